//! The command line: flags over the defaults of a profile.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use crate::client::Target;
use crate::profile::Profile;

/// Longest run, in seconds: the timeline keeps two points a second.
const LONGEST_S: u64 = 86_400;
/// Bound of a run until sold out where no duration is given, in seconds.
const SOLD_OUT_WITHIN_S: u64 = 300;

/// Generates load for a flash sale, reports what it saw, and checks the answers.
///
/// Exit codes: 0 fine; 1 an invariant was broken, or there were errors, or the run
/// could not be made; 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "flashsale-load", version)]
pub struct Args {
    /// Kind of load; sets defaults for the flags below.
    #[arg(long, value_enum, default_value = "light")]
    pub profile: Profile,

    /// Where the API is: http://HOST:PORT, several separated by commas.
    #[arg(long, value_delimiter = ',', required = true, num_args = 1.., env = "FLASHSALE_TARGET")]
    pub target: Vec<Target>,

    /// Length of the run in seconds (stress and --until-sold-out: at most that long).
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=LONGEST_S))]
    pub duration: Option<u64>,

    /// Connections over all targets.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: Option<u32>,

    /// Open loop: requests per second, whatever the answers do. 0 or absent: closed loop.
    /// Stress: the first rate.
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,

    /// Users at the same time; checkout and refused: different users to draw from.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub users: Option<u32>,

    /// Makes the users of two runs behave alike; drawn and printed where absent.
    #[arg(long)]
    pub seed: Option<u64>,

    /// Folder for report.html and report.json.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,

    /// File for the JSON of the run.
    #[arg(long, value_name = "FILE")]
    pub json: Option<PathBuf>,

    /// Checks the answers against this database after the run.
    #[arg(
        long,
        value_name = "URL",
        env = "FLASHSALE_POSTGRES_URL",
        hide_env_values = true
    )]
    pub postgres: Option<String>,

    /// Ends the run when everything is sold; exit code 1 where it is not in time.
    #[arg(long)]
    pub until_sold_out: bool,

    /// Errors do not fail the run: for runs in which faults are injected.
    #[arg(long)]
    pub expect_errors: bool,

    /// How long to wait for a sale to be active.
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(0..=LONGEST_S))]
    pub sale_start_timeout: u64,

    /// A call without an answer after this long has none.
    #[arg(long, value_name = "SECONDS", default_value_t = 10,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub timeout: u64,

    /// No progress, only the result.
    #[arg(long)]
    pub quiet: bool,
}

/// What is to be done, with every default filled in.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Kind of load.
    pub profile: Profile,
    /// Where to; never empty.
    pub targets: Vec<Arc<Target>>,
    /// Length of the run.
    pub duration: Duration,
    /// Connections over all targets.
    pub connections: u32,
    /// Requests per second of an open loop; `None` for a closed loop.
    pub rate: Option<f64>,
    /// See [`Args::users`].
    pub users: u32,
    /// Of the users' dice.
    pub seed: u64,
    /// Folder for the report.
    pub report: Option<PathBuf>,
    /// File for the JSON.
    pub json: Option<PathBuf>,
    /// Database to check against.
    pub postgres: Option<String>,
    /// End when everything is sold.
    pub until_sold_out: bool,
    /// Errors do not fail the run.
    pub expect_errors: bool,
    /// How long to wait for a sale.
    pub sale_start_timeout: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// No progress.
    pub quiet: bool,
}

impl From<Args> for Plan {
    fn from(args: Args) -> Self {
        let defaults = args.profile.defaults();
        let duration_s = args.duration.unwrap_or(if args.until_sold_out {
            SOLD_OUT_WITHIN_S
        } else {
            defaults.duration_s
        });
        let rate = match args.rate {
            // A staircase needs a first step.
            Some(0.0) if args.profile == Profile::Stress => defaults.rate,
            Some(rate) => (rate > 0.0).then_some(rate),
            None => defaults.rate,
        };
        Self {
            profile: args.profile,
            targets: args.target.into_iter().map(Arc::new).collect(),
            duration: Duration::from_secs(duration_s),
            connections: args.connections.unwrap_or(defaults.connections),
            rate,
            users: args.users.unwrap_or(defaults.users),
            // 32 bits, so that the JSON of the report carries it exactly everywhere.
            seed: args
                .seed
                .unwrap_or_else(|| u64::from(rand::random::<u32>())),
            report: args.report,
            json: args.json,
            postgres: args.postgres.filter(|url| !url.is_empty()),
            until_sold_out: args.until_sold_out,
            expect_errors: args.expect_errors,
            sale_start_timeout: Duration::from_secs(args.sale_start_timeout),
            timeout: Duration::from_secs(args.timeout),
            quiet: args.quiet,
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if rate == 0.0 || (0.01..=1_000_000.0).contains(&rate) => Ok(rate),
        _ => Err(format!(
            "expected requests per second, 0.01 to 1000000 (or 0 for a closed loop), found {text:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn plan(flags: &str) -> Plan {
        let words = format!("flashsale-load --target http://a:1,http://b:2 {flags}");
        Args::try_parse_from(words.split_whitespace())
            .unwrap()
            .into()
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn a_profile_sets_what_no_flag_sets() {
        let plan_of_heavy = plan("--profile heavy --connections 7");
        assert_eq!(plan_of_heavy.connections, 7);
        assert_eq!(plan_of_heavy.users, Profile::Heavy.defaults().users);
        assert_eq!(plan_of_heavy.targets.len(), 2);
        assert_eq!(plan("--profile heavy --rate 50").rate, Some(50.0));
        assert_eq!(plan("--profile heavy --rate 0").rate, None);
        assert_eq!(plan("--profile stress --rate 0").rate, Some(500.0));
        let sold_out = plan("--profile heavy --until-sold-out");
        assert_eq!(sold_out.duration, Duration::from_secs(SOLD_OUT_WITHIN_S));
    }

    #[test]
    fn wrong_usage_is_refused_with_exit_code_2() {
        for flags in [
            "",
            "--target https://a",
            "--target http://a --profile furious",
            "--target http://a --rate -1",
            "--target http://a --rate NaN",
            "--target http://a --duration 0",
            "--target http://a --connections 0",
        ] {
            let words = format!("flashsale-load {flags}");
            let error = Args::try_parse_from(words.split_whitespace()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flags}");
        }
    }
}
