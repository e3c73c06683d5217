//! What a bench measures: the command line as a list of measurements.

use anyhow::{Result, bail, ensure};

use super::case::{Case, Choice};
use crate::project::Profile;

const SECONDS: u32 = 10;
/// A fixed rate is to be borne, not to be reached: that takes longer to show.
const FIXED_RATE_SECONDS: u32 = 60;
/// Requests per second of a fixed rate, unless one is given.
const FIXED_RATE: u32 = 10_000;
const OPENING_RATE: u32 = 15_000;
/// Most requests of a fixed rate: every checkout leaves a cart in memory.
const MAX_REQUESTS: u32 = 3_600_000;
/// The same for mixed, whose million items must last for the warm-up, too.
const MAX_REQUESTS_MIXED: u32 = 1_250_000;
/// The closed loop, its warm-up and the open loop of the knee share a million items.
const MAX_SECONDS_KNEE: u32 = 20;

/// How the product is measured.
pub struct Plan {
    /// Cases that were named.
    pub choice: Option<Choice>,
    /// How long each measurement takes, where that was given.
    pub seconds: Option<u32>,
    /// Requests per second, where that was given.
    pub rate: Option<u32>,
    /// How the programs are built.
    pub profile: Profile,
}

/// One entry of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// A closed loop, then an open loop at half its rate; at several counts of connections.
    Closed {
        /// What is measured.
        case: Case,
        /// Length of the closed loop.
        seconds: u32,
    },
    /// An open loop at this rate.
    FixedRate {
        /// Checkout or mixed.
        case: Case,
        /// Requests per second.
        rate: u32,
        /// Its length.
        seconds: u32,
    },
    /// A closed loop, then an open loop at 80% of its rate.
    Knee {
        /// Checkout or mixed.
        case: Case,
        /// Length of each.
        seconds: u32,
    },
    /// An open loop from the start of a sale.
    Opening {
        /// Requests per second.
        rate: u32,
        /// Its length.
        seconds: u32,
    },
    /// A sale until sold out.
    Stampede,
    /// Claims in the slot of one sale.
    Claims,
    /// An open loop for each variant of [`super::scale`].
    Scale {
        /// The length of each, where its items last so long.
        seconds: u32,
    },
}

impl Plan {
    /// The measurements, in their order.
    pub fn measures(&self) -> Result<Vec<Measure>> {
        let cases = match self.choice {
            None if self.rate.is_some() => vec![Case::Checkout, Case::Mixed],
            None => Case::DEFAULT.to_vec(),
            Some(Choice::One(case)) => vec![case],
            Some(Choice::All) => Case::ALL.to_vec(),
        };
        let mut measures = Vec::new();
        for case in cases {
            measures.extend(self.of_case(case)?);
        }
        Ok(measures)
    }

    fn of_case(&self, case: Case) -> Result<Vec<Measure>> {
        let is_one_of_all = self.choice == Some(Choice::All);
        let seconds = self.seconds.unwrap_or(SECONDS);
        let closed = Measure::Closed {
            case,
            seconds: case.seconds(seconds),
        };
        Ok(match (case, self.rate) {
            (Case::Checkout | Case::Mixed, rate) if is_one_of_all => {
                vec![closed, self.fixed_rate(case, rate.unwrap_or(FIXED_RATE))?]
            }
            (Case::Checkout | Case::Mixed, Some(rate)) => vec![self.fixed_rate(case, rate)?],
            (Case::Opening, rate) => {
                let rate = rate.filter(|_| !is_one_of_all).unwrap_or(OPENING_RATE);
                ensure_bounded(case, rate, seconds, MAX_REQUESTS)?;
                vec![Measure::Opening { rate, seconds }]
            }
            (_, Some(_)) if !is_one_of_all => bail!(
                "expected --rate with checkout, mixed or opening, found it with {}",
                case.name()
            ),
            (Case::Stampede, _) => vec![Measure::Stampede],
            (Case::Claims, _) => vec![Measure::Claims],
            (Case::Scale, _) => vec![Measure::Scale { seconds }],
            (Case::Knee, _) => [Case::Checkout, Case::Mixed]
                .map(|case| Measure::Knee {
                    case,
                    seconds: seconds.min(MAX_SECONDS_KNEE),
                })
                .to_vec(),
            _ => vec![closed],
        })
    }

    fn fixed_rate(&self, case: Case, rate: u32) -> Result<Measure> {
        let seconds = self.seconds.unwrap_or(FIXED_RATE_SECONDS);
        let most = match case {
            Case::Mixed => MAX_REQUESTS_MIXED,
            _ => MAX_REQUESTS,
        };
        ensure_bounded(case, rate, seconds, most)?;
        Ok(Measure::FixedRate {
            case,
            rate,
            seconds,
        })
    }
}

fn ensure_bounded(case: Case, rate: u32, seconds: u32, most: u32) -> Result<()> {
    ensure!(
        u64::from(rate) * u64::from(seconds) <= u64::from(most),
        "expected at most {most} requests of {}, found {rate} requests/s for {seconds} s; choose a \
         lower --rate or fewer --seconds",
        case.name()
    );
    Ok(())
}

impl Measure {
    /// Whether its rate is reported as a ratio to the reference programs.
    pub fn has_ratios(self) -> bool {
        matches!(self, Self::Closed { case, .. } if Case::DEFAULT.contains(&case))
    }

    /// The length of its measurement; `None` where it ends by itself.
    pub fn seconds(self) -> Option<u32> {
        match self {
            Self::Closed { seconds, .. }
            | Self::FixedRate { seconds, .. }
            | Self::Knee { seconds, .. }
            | Self::Opening { seconds, .. }
            | Self::Scale { seconds } => Some(seconds),
            Self::Stampede | Self::Claims => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::bench::case::WARM_UP_SECONDS;

    fn plan(choice: Option<Choice>, seconds: Option<u32>, rate: Option<u32>) -> Plan {
        Plan {
            choice,
            seconds,
            rate,
            profile: Profile::Release,
        }
    }

    fn closed(case: Case, seconds: u32) -> Measure {
        Measure::Closed { case, seconds }
    }

    #[test]
    fn without_a_case_the_three_cases_beside_the_references_are_measured() {
        let measures = plan(None, None, None).measures().unwrap();
        assert_eq!(measures, Case::DEFAULT.map(|case| closed(case, 10)));
        assert!(measures.iter().all(|measure| measure.has_ratios()));
    }

    #[test]
    fn a_rate_makes_an_open_loop_of_a_minute_of_checkout_and_mixed() {
        let fixed = |case, rate, seconds| Measure::FixedRate {
            case,
            rate,
            seconds,
        };
        let both = plan(None, None, Some(5_000)).measures().unwrap();
        let expected = [Case::Checkout, Case::Mixed].map(|case| fixed(case, 5_000, 60));
        assert_eq!(both, expected);
        let mixed = Some(Choice::One(Case::Mixed));
        let one = plan(mixed, Some(30), Some(12_000)).measures().unwrap();
        assert_eq!(one, [fixed(Case::Mixed, 12_000, 30)]);
        assert!(!one[0].has_ratios());
    }

    #[test]
    fn all_holds_every_case_and_the_fixed_rates() {
        let measures = plan(Some(Choice::All), None, None).measures().unwrap();
        for case in Case::ALL {
            let has_it = measures.iter().any(|measure| match measure {
                Measure::Closed { case: other, .. } => *other == case,
                Measure::FixedRate { rate, .. } => {
                    assert_eq!(*rate, 10_000);
                    false
                }
                Measure::Knee { .. } => case == Case::Knee,
                Measure::Opening { rate, .. } => {
                    assert_eq!(*rate, 15_000);
                    case == Case::Opening
                }
                Measure::Stampede => case == Case::Stampede,
                Measure::Claims => case == Case::Claims,
                Measure::Scale { seconds } => {
                    assert_eq!(*seconds, 10);
                    case == Case::Scale
                }
            });
            assert!(has_it, "{case:?}");
        }
        let is_fixed = |measure: &&Measure| matches!(measure, Measure::FixedRate { .. });
        assert_eq!(measures.iter().filter(is_fixed).count(), 2);
    }

    #[test]
    fn the_knee_is_that_of_checkout_and_of_mixed_and_its_items_last() {
        let knee = Some(Choice::One(Case::Knee));
        let measures = plan(knee, Some(60), None).measures().unwrap();
        let of = |case| Measure::Knee { case, seconds: 20 };
        assert_eq!(measures, [of(Case::Checkout), of(Case::Mixed)]);
        // At 30,000 requests/s, the open loop at 80% of it.
        let requests = 30_000 * (WARM_UP_SECONDS + 20) + 24_000 * 20;
        assert!(requests / 4 * 3 <= Case::Mixed.items());
    }

    #[test]
    fn a_rate_that_a_case_has_no_use_for_or_that_takes_too_much_is_refused() {
        for case in [Case::Refused, Case::Scale] {
            let refused = plan(Some(Choice::One(case)), None, Some(100));
            let error = refused.measures().unwrap_err().to_string();
            assert!(error.contains("--rate with checkout, mixed or opening"));
        }
        for case in [Case::Checkout, Case::Mixed, Case::Opening] {
            let too_much = plan(Some(Choice::One(case)), Some(120), Some(100_000));
            let error = too_much.measures().unwrap_err().to_string();
            assert!(error.contains("fewer --seconds"), "{error}");
        }
        let warm_up = 30_000 * WARM_UP_SECONDS;
        assert!((MAX_REQUESTS_MIXED + warm_up) / 4 * 3 <= Case::Mixed.items());
    }
}
