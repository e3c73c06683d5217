//! The comparison of two revisions as a value: ratios with their intervals, a table, JSON.

use std::fmt;

use serde_json::{Value, json};

use super::{
    accounting::Usage,
    block::{Block, Part, Rounds, Side},
    case::Case,
    interval::Interval,
    load::LoadResult,
};

/// The interval is narrow enough where half its width is at most this.
pub const HALF_WIDTH: f64 = 0.015;
/// Below this the interval is not narrow but lucky.
pub const MIN_BLOCKS: usize = 5;
/// Above this share of errors it is not the asked load that was measured.
pub const MAX_ERROR_SHARE: f64 = 0.01;

/// All blocks of one case.
#[derive(Debug, Clone)]
pub struct Comparison {
    /// The case.
    pub case: Case,
    /// In the order of time.
    pub blocks: Vec<Block>,
}

impl Comparison {
    /// Without a block.
    pub fn new(case: Case) -> Self {
        Self {
            case,
            blocks: Vec::new(),
        }
    }

    /// The ratio of this tree's CPU time per request to the base's; `None` below two blocks.
    pub fn interval(&self, part: Part) -> Option<Interval> {
        let logs: Vec<f64> = self
            .blocks
            .iter()
            .map(|block| block.log_ratio(part))
            .collect();
        Interval::of_log_ratios(&logs)
    }

    /// Whether the intervals of product and API are as narrow as asked.
    pub fn is_decided(&self) -> bool {
        self.blocks.len() >= MIN_BLOCKS
            && Part::DECISIVE.iter().all(|part| {
                self.interval(*part)
                    .is_some_and(|interval| interval.half_width() <= HALF_WIDTH)
            })
    }

    /// Whether the product's ratio is at most `limit`, the upper end of its interval included.
    pub fn is_within(&self, limit: f64) -> bool {
        self.interval(Part::Product)
            .is_some_and(|interval| interval.upper <= limit)
    }

    /// The larger share of errors of the two revisions, 0 to 1.
    pub fn error_share(&self) -> f64 {
        let share = |side| {
            let due = self.sum(side, |load| load.requests + load.backlog);
            self.sum(side, |load| load.errors) as f64 / due.max(1) as f64
        };
        share(Side::Base).max(share(Side::This))
    }

    fn rounds(&self, side: Side) -> impl Iterator<Item = &Rounds> {
        self.blocks.iter().map(move |block| match side {
            Side::Base => &block.base,
            Side::This => &block.this,
        })
    }

    fn usage(&self, side: Side) -> Usage {
        self.rounds(side)
            .fold(Usage::default(), |sum, rounds| sum.plus(&rounds.usage))
    }

    fn sum(&self, side: Side, count: impl Fn(&LoadResult) -> u64) -> u64 {
        let loads = self.rounds(side).flat_map(|rounds| &rounds.loads);
        loads.map(count).sum()
    }

    /// The median over the rounds.
    fn median(&self, side: Side, value: impl Fn(&LoadResult) -> f64) -> f64 {
        let loads = self.rounds(side).flat_map(|rounds| &rounds.loads);
        let mut values: Vec<f64> = loads.map(value).collect();
        values.sort_by(f64::total_cmp);
        values.get(values.len() / 2).copied().unwrap_or_default()
    }

    /// For `compare.json`.
    pub fn json(&self) -> Value {
        let ratios = Part::ALL.map(|part| {
            let interval = self.interval(part);
            let value = interval.map(|interval| {
                json!({
                    "ratio": interval.ratio,
                    "lower": interval.lower,
                    "upper": interval.upper,
                    "half_width": interval.half_width(),
                })
            });
            (part.name().to_owned(), value.unwrap_or_default())
        });
        let side = |side| {
            let usage = self.usage(side);
            json!({
                "requests": usage.requests,
                "cpu_us": usage.cpu_us_per_request().json(),
                "redis_commands": usage.per_request(usage.redis_commands),
                "redis_scripts": usage.per_request(usage.redis_scripts),
                "postgres_transactions":
                    usage.postgres_transactions.map(|count| usage.per_request(count)),
                "postgres_statements":
                    usage.postgres_statements.map(|count| usage.per_request(count)),
                "p50_ms": self.median(side, |load| load.p50_ms),
                "p99_ms": self.median(side, |load| load.p99_ms),
                "errors": self.sum(side, |load| load.errors),
                "never_started": self.sum(side, |load| load.backlog),
            })
        };
        let blocks = self
            .blocks
            .iter()
            .map(|block| json!({"base": block.base.json(), "this": block.this.json()}));
        json!({
            "name": self.case.name(),
            "is_narrow_enough": self.is_decided(),
            "cpu_us_ratio": serde_json::Map::from_iter(ratios),
            "base": side(Side::Base),
            "this": side(Side::This),
            "blocks": blocks.collect::<Vec<_>>(),
        })
    }
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let usages = [Side::Base, Side::This].map(|side| self.usage(side));
        let [base, this] = usages;
        writeln!(
            f,
            "{}: {} blocks, {} and {} requests; CPU µs per request",
            self.case.name(),
            self.blocks.len(),
            base.requests,
            this.requests
        )?;
        self.write_cpu(f, usages)?;
        self.write_calls_and_latency(f, usages)?;
        let errors = |side| self.sum(side, |load| load.errors);
        let (base, this) = (errors(Side::Base), errors(Side::This));
        writeln!(f, "{:<16}{base:>11}{this:>11}", "errors")?;
        if !self.is_decided() {
            writeln!(
                f,
                "The intervals of product and api are wider than ±{:.1}%, or of fewer than \
                 {MIN_BLOCKS} blocks: this does not decide.",
                HALF_WIDTH * 100.0
            )?;
        }
        Ok(())
    }
}

impl Comparison {
    fn write_cpu(&self, f: &mut fmt::Formatter<'_>, usages: [Usage; 2]) -> fmt::Result {
        let titles = ["", "base", "this tree", "ratio", "lower", "upper"];
        let [name, base_title, this_title, ratio, lower, upper] = titles;
        writeln!(
            f,
            "{name:<16}{base_title:>11}{this_title:>11}{ratio:>9}{lower:>9}{upper:>9}"
        )?;
        for part in Part::ALL {
            let [base, this] = usages.map(|usage| part.of(&usage.cpu_us_per_request()));
            write!(f, "{:<16}{base:>11.2}{this:>11.2}", part.name())?;
            match self.interval(part) {
                Some(Interval {
                    ratio,
                    lower,
                    upper,
                }) => writeln!(f, "{ratio:>9.3}{lower:>9.3}{upper:>9.3}")?,
                None => writeln!(f, "{:>9}{:>9}{:>9}", "-", "-", "-")?,
            }
        }
        Ok(())
    }

    fn write_calls_and_latency(
        &self,
        f: &mut fmt::Formatter<'_>,
        usages: [Usage; 2],
    ) -> fmt::Result {
        let of_both = |value: &dyn Fn(Side) -> f64| [value(Side::Base), value(Side::This)];
        for (name, [base, this]) in [
            (
                "Redis commands",
                usages.map(|usage| usage.per_request(usage.redis_commands)),
            ),
            (
                "Redis scripts",
                usages.map(|usage| usage.per_request(usage.redis_scripts)),
            ),
            (
                "PG transactions",
                usages.map(|usage| usage.per_request(usage.postgres_transactions.unwrap_or(0))),
            ),
            (
                "PG statements",
                usages.map(|usage| {
                    let count = usage.postgres_statements;
                    count.map_or(f64::NAN, |count| usage.per_request(count))
                }),
            ),
            (
                "p50 ms",
                of_both(&|side| self.median(side, |load| load.p50_ms)),
            ),
            (
                "p99 ms",
                of_both(&|side| self.median(side, |load| load.p99_ms)),
            ),
        ] {
            writeln!(f, "{name:<16}{base:>11.3}{this:>11.3}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{accounting::CpuUs, block::order, load::Loop};
    use super::*;

    fn round(api: f64, requests: u64, errors: u64) -> Loop {
        let each = requests as f64;
        Loop {
            usage: Usage {
                requests,
                cpu_us: CpuUs {
                    api: api * each,
                    redis_masters: 20.0 * each,
                    load: 30.0 * each,
                    ..CpuUs::default()
                },
                postgres_transactions: Some(requests),
                ..Usage::default()
            },
            load: LoadResult {
                requests,
                requests_per_second: each,
                p50_ms: 1.0,
                p99_ms: api,
                errors,
                backlog: errors,
                duration_s: 1.0,
                ending: "time_up".into(),
                ..LoadResult::default()
            },
        }
    }

    fn comparison(of_this: &[f64]) -> Comparison {
        let mut comparison = Comparison::new(Case::Checkout);
        for (number, api) in of_this.iter().enumerate() {
            let mut block = Block::default();
            for side in order(number) {
                let api = match side {
                    Side::Base => 80.0,
                    Side::This => *api,
                };
                block.side(side).add(round(api, 100, 0));
            }
            comparison.blocks.push(block);
        }
        comparison
    }

    #[test]
    fn the_ratio_is_of_this_tree_to_the_base() {
        let comparison = comparison(&[84.0, 84.0, 84.0, 84.0, 84.0]);
        let product = comparison.interval(Part::Product).unwrap();
        assert!((product.ratio - 1.04).abs() < 1e-9, "{product:?}");
        let api = comparison.interval(Part::Api).unwrap();
        assert!((api.ratio - 1.05).abs() < 1e-9, "{api:?}");
        let load = comparison.interval(Part::Load).unwrap();
        assert!((load.ratio - 1.0).abs() < 1e-9, "{load:?}");
        // Nothing was used: there is no ratio.
        assert_eq!(comparison.interval(Part::Operator), None);
        assert!(comparison.is_within(1.041) && !comparison.is_within(1.039));
        let json = comparison.json();
        assert_eq!(json["base"]["cpu_us"]["api"], json!(80.0));
        assert_eq!(json["this"]["requests"], json!(1_000));
        assert_eq!(json["cpu_us_ratio"]["operator"], json!(null));
        let table = comparison.to_string();
        assert!(table.contains("1.040    1.040    1.040"), "{table}");
    }

    #[test]
    fn it_is_decided_by_enough_blocks_that_agree() {
        let near = [80.0, 80.4, 79.6, 80.2, 79.8];
        assert!(comparison(&near).is_decided());
        assert!(!comparison(&near[..MIN_BLOCKS - 1]).is_decided());
        let wide = comparison(&[80.0, 88.0, 72.0, 84.0, 76.0]);
        assert!(!wide.is_decided());
        assert!(wide.to_string().contains("does not decide"), "{wide}");
        // Its mean is 1, but its upper end is not.
        assert!(!wide.is_within(1.03));
        assert!(
            !comparison(&[80.0]).is_within(100.0),
            "one block is no interval"
        );
    }

    #[test]
    fn errors_of_one_revision_are_not_thinned_by_the_other() {
        let mut comparison = comparison(&[80.0]);
        let mut block = Block::default();
        block.side(Side::This).add(round(80.0, 100, 30));
        comparison.blocks.push(block);
        // 30 of 330 that were due.
        assert!((comparison.error_share() - 30.0 / 330.0).abs() < 1e-9);
    }
}
