//! Finds the knee: the rate at which the system stops keeping up.

use std::rc::Rc;
use std::time::Duration;

use serde::Serialize;

use crate::error::LoadError;
use crate::pacing::{Arrivals, Pacing};
use crate::run::stage::{Stage, run_stage};
use crate::run::{Ending, Run};

/// Length of a step.
const STEP: Duration = Duration::from_secs(5);
/// Each step asks for this many times the rate of the one before.
const GROWTH: f64 = 1.4;
/// Latency that counts as blown up: above this, and above ten times the calmest step.
const P99_FLOOR_MS: f64 = 50.0;
const P99_GROWTH: f64 = 10.0;
/// Share of errors that counts as blown up.
const ERROR_SHARE: f64 = 0.01;
/// Share of the asked rate below which the system does not keep up.
const KEPT_UP_SHARE: f64 = 0.9;

/// One step of the staircase.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct RateStep {
    /// Requests per second that were asked for.
    pub rate: f64,
    /// Requests per second that were answered.
    pub answered_per_second: f64,
    /// Share of errors, 0 to 1.
    pub error_share: f64,
    /// From the intended start, in milliseconds.
    pub p50_ms: f64,
    /// As above.
    pub p99_ms: f64,
}

/// Where the system gave in.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Knee {
    /// The highest rate that was held, in requests per second; 0 when none was.
    pub held_rate: f64,
    /// The rate that was not.
    pub broken_rate: f64,
    /// What gave in.
    pub reason: String,
}

/// What was climbed.
#[derive(Debug, Clone, Serialize)]
pub struct Stress {
    /// Every step.
    pub rate_steps: Vec<RateStep>,
    /// `None`: the run ended before the system gave in.
    pub knee: Option<Knee>,
}

/// The knee, when the last rate_step is it.
#[must_use]
pub fn knee(rate_steps: &[RateStep]) -> Option<Knee> {
    let (last, held) = rate_steps.split_last()?;
    let calmest_ms = rate_steps
        .iter()
        .map(|rate_step| rate_step.p99_ms)
        .fold(f64::MAX, f64::min);
    let bearable_ms = (calmest_ms * P99_GROWTH).max(P99_FLOOR_MS);
    // Calls that never started are errors too, so the rate is compared first.
    let reason = if last.answered_per_second < last.rate * KEPT_UP_SHARE {
        format!(
            "only {:.0} of {:.0} requests/s were answered",
            last.answered_per_second, last.rate
        )
    } else if last.error_share > ERROR_SHARE {
        format!("{:.1}% of the calls failed", last.error_share * 100.0)
    } else if last.p99_ms > bearable_ms {
        format!(
            "p99 rose to {:.0} ms (bearable: {bearable_ms:.0} ms)",
            last.p99_ms
        )
    } else {
        return None;
    };
    Some(Knee {
        held_rate: held.last().map_or(0.0, |rate_step| rate_step.rate),
        broken_rate: last.rate,
        reason,
    })
}

/// Climbs until the knee or the end of the sale, for at most `length`.
///
/// # Errors
/// When the system refuses a thread.
pub async fn climb(
    run: &Rc<Run>,
    first_rate: f64,
    length: Duration,
) -> Result<(Stage, Stress), LoadError> {
    let began = run.clock.now();
    let mut stress = Stress {
        rate_steps: Vec::new(),
        knee: None,
    };
    let mut rate = first_rate;
    let (mut climbed, mut done, mut never_started) = (Duration::ZERO, 0, 0);
    loop {
        let left = length.saturating_sub(run.clock.since(began));
        let pacing = Pacing::Open(Arrivals::at_rate(rate, run.clock)?);
        let stage = run_stage(run, pacing, STEP.min(left)).await;
        climbed += stage.length;
        done += stage.done;
        never_started += stage.never_started;
        // A step that was cut short tells no rate.
        let whole = stage.length >= STEP;
        if whole {
            stress.rate_steps.push(rate_step(run, rate, &stage));
            stress.knee = knee(&stress.rate_steps);
        }
        if stage.ending != Ending::TimeUp || stress.knee.is_some() || !whole {
            let all = Stage {
                length: climbed,
                done,
                never_started,
                ..stage
            };
            return Ok((all, stress));
        }
        rate *= GROWTH;
    }
}

fn rate_step(run: &Run, rate: f64, stage: &Stage) -> RateStep {
    let recorder = run.recorder.borrow();
    let tally = recorder.stage();
    RateStep {
        rate,
        answered_per_second: stage.done as f64 / stage.length.as_secs_f64(),
        error_share: tally.error_share(),
        p50_ms: tally.latency.percentile_ms(50.0),
        p99_ms: tally.latency.percentile_ms(99.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate_step(rate: f64, p99_ms: f64) -> RateStep {
        RateStep {
            rate,
            answered_per_second: rate,
            error_share: 0.0,
            p50_ms: 1.0,
            p99_ms,
        }
    }

    #[test]
    fn a_calm_staircase_has_no_knee() {
        assert_eq!(knee(&[]), None);
        assert_eq!(
            knee(&[
                rate_step(100.0, 5.0),
                rate_step(200.0, 9.0),
                rate_step(400.0, 45.0)
            ]),
            None
        );
    }

    #[test]
    fn the_knee_is_where_latency_errors_or_throughput_give_in() {
        let held = rate_step(100.0, 2.0);
        let slow = rate_step(200.0, 80.0);
        let failing = RateStep {
            error_share: 0.02,
            ..rate_step(200.0, 2.0)
        };
        let behind = RateStep {
            answered_per_second: 150.0,
            ..rate_step(200.0, 2.0)
        };
        for (broken, why) in [(slow, "p99"), (failing, "failed"), (behind, "answered")] {
            let found = knee(&[held.clone(), broken]);
            let (held_rate, reason) =
                found.map_or((0.0, String::new()), |k| (k.held_rate, k.reason));
            assert!((held_rate - 100.0).abs() < f64::EPSILON);
            assert!(reason.contains(why), "{reason}");
        }
    }
}
