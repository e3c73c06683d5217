//! The command line.

use std::path::PathBuf;
use std::str::FromStr;

use clap::Parser;

use crate::plan::{Plan, SHORTEST_SEED_SECONDS, Scenario, plan_of_seed};

/// Plays faults on real processes under load, and prints a verdict on each invariant.
///
/// Each run starts Postgres, six Redis nodes, the operator and two API processes of its own, and
/// writes its history, its plot and its logs to a folder of its own. A table of all runs is in
/// runs.md beside it.
///
/// Exit codes: 0 no invariant is broken; 1 one is broken or could not be checked, or a run could not
/// be made; 2 wrong usage.
#[derive(Debug, Parser)]
#[command(name = "cargo xtask chaos", bin_name = "cargo xtask chaos", version)]
pub struct Args {
    /// Play this scenario; `all` plays each.
    #[arg(long, value_name = "NAME", conflicts_with = "seed")]
    pub scenario: Option<Scenarios>,

    /// How often a scenario is played.
    #[arg(long, value_name = "N", default_value_t = 1, requires = "scenario",
          value_parser = clap::value_parser!(u32).range(1..=1_000))]
    pub runs: u32,

    /// Play the plan of this rng seed.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,

    /// How many seeds are played, from that one on.
    #[arg(long, value_name = "K", default_value_t = 1, requires = "seed",
          value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub seeds: u32,

    /// How long the sale of a seed is open, in seconds.
    #[arg(long, value_name = "S", default_value_t = 60, requires = "seed",
          value_parser = clap::value_parser!(u32).range(i64::from(SHORTEST_SEED_SECONDS)..=3_600))]
    pub seconds: u32,

    /// Print the scenarios, and the plan where one is chosen; play nothing.
    #[arg(long)]
    pub list: bool,

    /// Leave out runs of this revision that are in the table.
    #[arg(long)]
    pub resume: bool,

    /// Calls per second; a quarter of the highest rate that this machine sustains, measured once,
    /// unless given.
    #[arg(long, value_name = "R", value_parser = rate)]
    pub rate: Option<f64>,

    /// The size of the catalogue; enough for the rate unless given.
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(100..=1_000_000))]
    pub items: Option<u32>,

    /// Items of it that other users have bought before the opening.
    #[arg(long, value_name = "N", default_value_t = 0,
          value_parser = clap::value_parser!(u32).range(0..=900_000))]
    pub sold_before: u32,

    /// Exit code 1 also where a goal is missed.
    #[arg(long)]
    pub goals: bool,

    /// Remove the last guards of a sale in Postgres: the run must report broken invariants.
    #[arg(long)]
    pub without_keys: bool,

    /// Where runs are written.
    #[arg(long, value_name = "DIR", default_value = "target/chaos")]
    pub folder: PathBuf,

    /// The revision of the product, for the table.
    #[arg(long, value_name = "REV", default_value = "unknown")]
    pub revision: String,

    /// The API's program, instead of that beside this one.
    #[arg(long, value_name = "FILE")]
    pub api: Option<PathBuf>,

    /// The operator's program, instead of that beside this one.
    #[arg(long, value_name = "FILE")]
    pub operator: Option<PathBuf>,
}

/// The scenarios that a name chooses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Scenarios(Vec<Scenario>);

impl FromStr for Scenarios {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "all" => Ok(Self(Scenario::ALL.to_vec())),
            name => match name.parse() {
                Ok(scenario) => Ok(Self(vec![scenario])),
                Err(error) => Err(format!("{error}; all chooses every one")),
            },
        }
    }
}

/// A plan that is played, and what the run is called in the table.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NamedPlan {
    /// What a resumed command recognises: the group and the number of the run.
    pub name: String,
    /// The runs whose figures are compared with each other: those of a scenario, or all seeds.
    pub group: String,
    /// The rng seed of the users.
    pub user_seed: u64,
    /// What is played.
    pub plan: Plan,
}

impl Args {
    /// The plans in their order.
    #[must_use]
    pub fn plans(&self) -> Vec<NamedPlan> {
        let scenarios = self.scenario.iter().flat_map(|scenarios| &scenarios.0);
        let runs = scenarios.flat_map(|scenario| {
            let group = scenario.name().to_owned();
            (1..=self.runs).map(move |run| (group.clone(), u64::from(run), scenario.plan()))
        });
        let seeds = self.seed.into_iter().flat_map(|first| {
            let seeds = first..first.saturating_add(self.seeds.into());
            let group = format!("seed-{}s", self.seconds);
            seeds.map(move |seed| (group.clone(), seed, plan_of_seed(seed, self.seconds)))
        });
        let plans = runs.chain(seeds);
        plans
            .map(|(group, user_seed, plan)| self.named(&group, user_seed, plan))
            .collect()
    }

    /// What changes the figures of a run is in its name.
    fn named(&self, group: &str, user_seed: u64, plan: Plan) -> NamedPlan {
        let items = self.items.map(|items| items.max(self.sold_before + 1));
        let mut group = group.to_owned();
        if let Some(items) = items {
            group.push_str(&format!("-{items}-items"));
        }
        if self.without_keys {
            group.push_str("-without-keys");
        }
        NamedPlan {
            name: format!("{group}-{user_seed}"),
            group,
            user_seed,
            plan: Plan {
                items,
                sold_before: self.sold_before,
                ..plan
            },
        }
    }
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(rate) if (10.0..=100_000.0).contains(&rate) => Ok(rate),
        _ => Err(format!(
            "expected calls per second, 10 to 100000, found {text:?}"
        )),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn parse(flags: &str) -> Result<Args, clap::Error> {
        let words = format!("chaos {flags}");
        Args::try_parse_from(words.split_whitespace())
    }

    #[test]
    fn the_command_line_is_consistent() {
        <Args as clap::CommandFactory>::command().debug_assert();
    }

    #[test]
    fn runs_of_a_scenario_and_seeds_have_names_of_their_own() {
        let plans = parse("--scenario lost-tail --runs 2").unwrap().plans();
        let names: Vec<_> = plans.iter().map(|plan| plan.name.as_str()).collect();
        assert_eq!(names, ["lost-tail-1", "lost-tail-2"]);
        assert_eq!(plans[0].plan, plans[1].plan);
        assert_eq!(plans[1].group, "lost-tail");
        let all = parse("--scenario all --runs 5 --without-keys")
            .unwrap()
            .plans();
        assert_eq!(all.len(), 5 * Scenario::ALL.len());
        assert_eq!(
            all[4].name,
            format!("{}-without-keys-5", Scenario::ALL[0].name())
        );
        let args = parse("--seed 7 --seeds 2 --seconds 90 --items 300000 --sold-before 250000");
        let plans = args.unwrap().plans();
        let names: Vec<_> = plans.iter().map(|plan| plan.name.as_str()).collect();
        let expected = ["seed-90s-300000-items-7", "seed-90s-300000-items-8"];
        assert_eq!(
            names, expected,
            "a resumed command does not take them for smaller ones"
        );
        assert_eq!(plans[0].plan.faults, plan_of_seed(7, 90).faults);
        assert_eq!(plans[1].plan.items, Some(300_000));
        assert_eq!(plans[1].plan.sold_before, 250_000);
    }

    #[test]
    fn wrong_usage_is_refused() {
        for flags in [
            "--scenario hung-moon",
            "--scenario lost-tail --seed 1",
            "--seed 1 --seconds 10",
            "--runs 2",
            "--seeds 2",
            "--seed 1 --rate 1",
        ] {
            assert_eq!(parse(flags).unwrap_err().exit_code(), 2, "{flags}");
        }
    }
}
