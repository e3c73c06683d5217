//! `cargo xtask bench`: how fast the product is, in figures that can be compared.
//!
//! Without `--compare` it measures the product beside two reference programs: requests per
//! second as ratios, latency, and CPU time per request by group of processes. With `--compare`
//! it measures two revisions in turn and reports the ratio of their CPU times per request.

mod accounting;
mod block;
mod case;
mod claims;
mod compare;
mod comparison;
mod interval;
mod load;
mod measure;
mod open_loop;
mod open_runs;
mod other_sales;
mod plan;
mod plot;
mod processes;
mod product;
mod report;
mod revision;
mod scale;
mod scale_runs;
mod stampede;
mod table;

use anyhow::{Result, bail};

use crate::{project::Profile, session::Session};
use case::{Case, Choice, MAX_SECONDS};

/// Most blocks of `--compare`; ten of them take about ten minutes.
const MAX_BLOCKS: u32 = 200;
/// Requests per second of `--compare` unless a rate is given.
const COMPARED_RATE: u32 = 3_000;

/// The flags.
#[derive(Debug, clap::Args)]
pub struct Args {
    /// Run only this case; checkout, mixed and refused unless given.
    #[arg(long, value_name = "NAME", value_enum)]
    case: Option<Choice>,
    /// How long each measurement takes; 10, 60 at a fixed --rate, and 5 with --compare, unless
    /// given.
    #[arg(long, value_name = "S", value_parser = seconds)]
    seconds: Option<u32>,
    /// Measure programs of the profile `dist` instead of `release`.
    #[arg(long)]
    dist: bool,
    /// Measure this revision and the tree as it is in turn, and compare their CPU times.
    #[arg(long, value_name = "REV")]
    compare: Option<String>,
    /// Requests per second of the open loop of checkout, mixed and opening, which then is all
    /// that is measured; with --compare of the open loop in which both revisions are measured.
    #[arg(long, value_name = "R",
          value_parser = clap::value_parser!(u32).range(10..=100_000))]
    rate: Option<u32>,
    /// Fail where the upper end of the interval of the product's ratio is above this.
    #[arg(long, value_name = "RATIO", requires = "compare", value_parser = limit)]
    limit: Option<f64>,
    /// Give up after so many blocks of each case where the interval is still too wide.
    #[arg(long, value_name = "N", requires = "compare", default_value_t = 20,
          value_parser = clap::value_parser!(u32).range(2..=i64::from(MAX_BLOCKS)))]
    max_blocks: u32,
}

/// Runs it.
pub fn run(session: &Session, args: &Args) -> Result<()> {
    let profile = if args.dist {
        Profile::Dist
    } else {
        Profile::Release
    };
    match &args.compare {
        None => measure::run(
            session,
            &plan::Plan {
                choice: args.case,
                seconds: args.seconds,
                rate: args.rate,
                profile,
            },
        ),
        Some(revision) => compare::run(
            session,
            revision,
            &compare::Plan {
                case: args.case.map(compared).transpose()?,
                seconds: args.seconds.unwrap_or(5),
                profile,
                rate: args.rate.unwrap_or(COMPARED_RATE),
                limit: args.limit,
                max_blocks: args.max_blocks,
            },
        ),
    }
}

fn compared(choice: Choice) -> Result<Case> {
    match choice {
        Choice::One(case) if case.is_comparable() => Ok(case),
        _ => bail!("expected --compare with --case checkout, mixed or refused, or without --case"),
    }
}

fn seconds(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(seconds) if (1..=MAX_SECONDS).contains(&seconds) => Ok(seconds),
        _ => Err(format!(
            "expected 1 to {MAX_SECONDS}: the carts of longer measurements would fill the memory"
        )),
    }
}

fn limit(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(limit) if (0.01..=100.0).contains(&limit) => Ok(limit),
        _ => Err(format!("expected a ratio such as 1.03, found {text:?}")),
    }
}
