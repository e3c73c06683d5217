//! Shows how the run is going: a bar on a terminal, else a line every few seconds.
//!
//! Writes to stderr only; stdout belongs to the result.

use std::convert::Infallible;
use std::rc::Rc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use tokio::time::{MissedTickBehavior, interval};

use crate::run::Run;

/// Length of the first points of the timeline: a small sale sells out within seconds.
const TICK: Duration = Duration::from_millis(250);
/// How many points have that length; the points after them are twice as long.
const SHORT_POINTS: u32 = 40;
/// Ticks between two lines where there is no terminal.
const LINE_EVERY: u32 = 20;

/// Where progress goes.
pub struct Progress {
    bar: ProgressBar,
    lines: bool,
}

impl Progress {
    /// A bar or lines; nothing where `quiet`.
    #[must_use]
    pub fn new(quiet: bool) -> Self {
        let target = if quiet {
            ProgressDrawTarget::hidden()
        } else {
            ProgressDrawTarget::stderr()
        };
        let lines = !quiet && target.is_hidden();
        Self {
            bar: ProgressBar::with_draw_target(None, target),
            lines,
        }
    }

    /// One message, such as what is waited for.
    pub fn message(&self, message: &str) {
        if self.lines {
            eprintln!("{message}");
        } else {
            self.bar.println(message);
        }
    }

    /// Follows a run until the future is dropped, and closes the points of its timeline.
    pub async fn follow(&self, run: Rc<Run>, length: Duration) -> Infallible {
        self.bar.set_length(length.as_secs());
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {elapsed:>4}/{len}s {msg}") {
            self.bar.set_style(style);
        }
        let mut ticks = interval(TICK);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        ticks.tick().await;
        let mut tick = 0_u32;
        loop {
            ticks.tick().await;
            tick = tick.saturating_add(1);
            if !ends_point(tick) {
                continue;
            }
            let sold = run.state.borrow().bought();
            let message = {
                let mut recorder = run.recorder.borrow_mut();
                recorder.end_point(run.clock.now(), sold);
                let (_, errors) = recorder.so_far();
                let per_second = recorder
                    .timeline()
                    .last()
                    .map_or(0.0, |point| point.requests_per_second);
                format!("{per_second:.0} req/s, {errors} errors, {sold} items bought")
            };
            let elapsed = TICK * tick;
            self.bar.set_position(elapsed.as_secs());
            self.bar.set_message(message.clone());
            if self.lines && tick.is_multiple_of(LINE_EVERY) {
                eprintln!("{:>4} s  {message}", elapsed.as_secs());
            }
        }
    }

    /// Clears the bar.
    pub fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

/// Whether a point of the timeline ends at this tick, counted from 1.
fn ends_point(tick: u32) -> bool {
    tick <= SHORT_POINTS || tick.is_multiple_of(2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_ten_seconds_have_four_points_a_second_and_then_two() {
        let ticks_of = |seconds: std::ops::Range<u32>| seconds.start * 4 + 1..=seconds.end * 4;
        let points = |seconds| ticks_of(seconds).filter(|tick| ends_point(*tick)).count();
        assert_eq!(points(0..10), 40);
        assert_eq!(points(10..20), 20);
    }
}
