//! The command line: flags over the defaults of a profile.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

use crate::buy::Buy;
use crate::client::connection::Target;
use crate::fill::Fill;
use crate::profiles::profile::Profile;
use crate::run::plan::Plan;

/// Longest run, in seconds: the timeline keeps two points a second.
const LONGEST_S: u64 = 86_400;
/// Bound of a run until sold out where no duration is given, in seconds.
const SOLD_OUT_WITHIN_S: u64 = 300;

/// Generates load for a flash sale, reports what it saw, and checks the answers.
///
/// A run ends early when everything is sold, and when the sale ends.
///
/// Exit codes: 0 fine; 1 an invariant was broken or not looked at, or there were errors, or
/// the run could not be made; 2 wrong usage; 130 interrupted. The first Ctrl-C ends the run
/// and tells what it saw, the second one ends it at once.
#[derive(Debug, Clone, Parser)]
#[command(
    name = "flashsale-load",
    version,
    args_conflicts_with_subcommands = true,
    subcommand_negates_reqs = true
)]
pub struct Args {
    /// Something else than load.
    #[command(subcommand)]
    pub instead: Option<Instead>,

    /// Kind of load; sets defaults for the flags below. Several, separated by commas, run one
    /// after the other, each with its report in a folder of its own.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "light")]
    pub profile: Vec<Profile>,

    /// Where the API is: http://HOST:PORT, several separated by commas.
    #[arg(long, value_delimiter = ',', required = true, num_args = 1.., env = "FLASHSALE_TARGET")]
    pub target: Vec<Target>,

    /// Length of each run in seconds, at most.
    #[arg(long, value_name = "SECONDS", value_parser = clap::value_parser!(u64).range(1..=LONGEST_S))]
    pub duration: Option<u64>,

    /// Connections over all targets.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: Option<u32>,

    /// Open loop: requests per second, whatever the answers do. 0 or absent: closed loop.
    /// Stress: the first rate.
    #[arg(long, value_parser = rate)]
    pub rate: Option<f64>,

    /// Begins with this sale: lists its items and connects before the sale starts, and makes
    /// the first call when it does. Its id is, for example, in the FlashSale's status.
    #[arg(long, value_name = "ID")]
    pub sale: Option<String>,

    /// Purchases: file with the checkout codes of filled carts, from `flashsale-load fill`.
    #[arg(long, value_name = "FILE", required_if_eq("profile", "purchases"))]
    pub carts: Option<PathBuf>,

    /// Users at the same time; checkout and refused: different users to draw from.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=100_000_000))]
    pub users: Option<u32>,

    /// Makes the users of two runs behave alike; drawn and printed where absent.
    #[arg(long)]
    pub seed: Option<u64>,

    /// Folder for report.html, report.json and sale.svg; with several profiles for a folder for each.
    #[arg(long, value_name = "DIR")]
    pub report: Option<PathBuf>,

    /// File for the JSON of the run; with several profiles NAME.json becomes NAME.light.json
    /// and so on.
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

    /// How long Postgres may be away when the answers are checked.
    #[arg(long, value_name = "SECONDS", default_value_t = 60,
          value_parser = clap::value_parser!(u64).range(0..=3_600))]
    pub postgres_timeout: u64,

    /// Exit code 1 where not everything is sold in time (by default 300 s).
    #[arg(long)]
    pub until_sold_out: bool,

    /// Errors do not fail the run: for runs in which faults are injected.
    #[arg(long)]
    pub expect_errors: bool,

    /// How long to wait for a sale to be active, with something left to buy.
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

/// What the program does instead of a run.
#[derive(Debug, Clone, Subcommand)]
pub enum Instead {
    #[allow(missing_docs, reason = "a comment here would replace the help of Buy")]
    Buy(Buy),
    #[allow(missing_docs, reason = "a comment here would replace the help of Fill")]
    Fill(Fill),
}

impl Args {
    /// A plan for each profile, in their order. `drawn_seed` is the rng seed of all of them where
    /// no flag gives one; it has 32 bits, so that the JSON of the report carries it exactly
    /// everywhere.
    ///
    /// # Errors
    /// When a profile is named twice: its reports would overwrite each other.
    pub fn plans(self, drawn_seed: u32) -> Result<Vec<Plan>, clap::Error> {
        let several = self.profile.len() > 1;
        // One for all, so that all runs of a command line can be made again.
        let seed = self.seed.unwrap_or(u64::from(drawn_seed));
        for (index, profile) in self.profile.iter().enumerate() {
            if self.profile[..index].contains(profile) {
                let message = format!("expected each profile once, found {profile:?} again");
                return Err(Self::command().error(ErrorKind::ValueValidation, message));
            }
        }
        let is_checked = self.postgres.as_ref().is_some_and(|url| !url.is_empty());
        if is_checked && self.profile.contains(&Profile::Purchases) {
            // Their carts are of other users than the run's, so its history lacks the checkouts.
            let message = "expected no --postgres with --profile purchases; --postgres \"\" \
                           overrides FLASHSALE_POSTGRES_URL";
            return Err(Self::command().error(ErrorKind::ArgumentConflict, message));
        }
        let plan = |profile: &Profile| {
            let mut plan = self.plan(*profile, seed);
            if several {
                plan.report = plan.report.map(|folder| folder.join(profile.name()));
                plan.json = plan.json.map(|file| beside(&file, profile.name()));
            }
            plan
        };
        Ok(self.profile.iter().map(plan).collect())
    }

    fn plan(&self, profile: Profile, seed: u64) -> Plan {
        let defaults = profile.defaults();
        let duration_s = self.duration.unwrap_or(if self.until_sold_out {
            SOLD_OUT_WITHIN_S
        } else {
            defaults.duration_s
        });
        let rate = match self.rate {
            // A staircase needs a first step.
            Some(0.0) if profile == Profile::Stress => defaults.rate,
            Some(rate) => (rate > 0.0).then_some(rate),
            None => defaults.rate,
        };
        Plan {
            profile,
            targets: self.target.iter().cloned().map(Arc::new).collect(),
            duration: Duration::from_secs(duration_s),
            connections: self.connections.unwrap_or(defaults.connections),
            rate,
            users: self.users.unwrap_or(defaults.users),
            seed,
            report: self.report.clone(),
            json: self.json.clone(),
            carts: self.carts.clone(),
            sale: self.sale.clone(),
            postgres: self.postgres.clone().filter(|url| !url.is_empty()),
            postgres_timeout: Duration::from_secs(self.postgres_timeout),
            until_sold_out: self.until_sold_out,
            expect_errors: self.expect_errors,
            sale_start_timeout: Duration::from_secs(self.sale_start_timeout),
            timeout: Duration::from_secs(self.timeout),
            quiet: self.quiet,
        }
    }
}

/// `run.json` becomes `run.light.json`.
fn beside(file: &Path, profile: &str) -> PathBuf {
    match file.extension() {
        Some(extension) => {
            let own = format!("{profile}.{}", extension.to_string_lossy());
            file.with_extension(own)
        }
        None => file.with_extension(profile),
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

    fn plans(flags: &str) -> Result<Vec<Plan>, clap::Error> {
        let words = format!("flashsale-load --target http://a:1,http://b:2 {flags}");
        Args::try_parse_from(words.split_whitespace())?.plans(7)
    }

    fn plan(flags: &str) -> Plan {
        plans(flags).unwrap().remove(0)
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
    fn several_profiles_are_several_runs_with_reports_of_their_own() {
        let flags = "--profile light,heavy,stress,realistic --report out --json run.json";
        let plans_of_all = plans(flags).unwrap();
        let found: Vec<_> = plans_of_all
            .iter()
            .map(|plan| (plan.profile, plan.report.clone(), plan.json.clone()))
            .collect();
        let expected = [
            (Profile::Light, "out/light", "run.light.json"),
            (Profile::Heavy, "out/heavy", "run.heavy.json"),
            (Profile::Stress, "out/stress", "run.stress.json"),
            (Profile::Realistic, "out/realistic", "run.realistic.json"),
        ];
        let expected = expected
            .map(|(profile, report, json)| (profile, Some(report.into()), Some(json.into())));
        assert_eq!(found, expected);
        assert_eq!(plans_of_all[2].rate, Profile::Stress.defaults().rate);
        assert_eq!(plans_of_all[0].seed, plans_of_all[3].seed);
        let alone = plan("--profile heavy --report out --json run.json");
        assert_eq!(alone.report, Some("out".into()));
        assert_eq!(alone.json, Some("run.json".into()));
        let twice = plans("--profile light,light").unwrap_err();
        assert_eq!(twice.exit_code(), 2);
    }

    #[test]
    fn purchases_of_carts_of_another_run_are_not_checked() {
        let flags = "--profile purchases --carts file";
        assert_eq!(plan(flags).carts, Some("file".into()));
        let checked = plans(&format!("{flags} --postgres postgres://x")).unwrap_err();
        assert_eq!(checked.exit_code(), 2);
    }

    #[test]
    fn wrong_usage_is_refused_with_exit_code_2() {
        for flags in [
            "",
            "--target https://a",
            "--target http://a --profile furious",
            "--target http://a --profile light,furious",
            "--target http://a --rate -1",
            "--target http://a --rate NaN",
            "--target http://a --duration 0",
            "--target http://a --connections 0",
            "buy --target http://a,http://b",
            "buy --target http://a --within 0",
            "--target http://a --profile purchases",
            "fill --target http://a --carts 10",
            "fill --target http://a --carts 0 --file x",
            "--target http://a buy --target http://a",
        ] {
            let words = format!("flashsale-load {flags}");
            let error = Args::try_parse_from(words.split_whitespace()).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{flags}");
        }
    }
}
