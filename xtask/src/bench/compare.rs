//! `--compare`: measures two revisions in turn until the ratio of their CPU times per request
//! is known well enough.
//!
//! Both revisions run side by side in each block, on servers of their own, and only one of
//! them is under load at a time. The load generator is this tree's for both.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde_json::json;

use super::{
    block::{Block, Part, Side, order},
    case::{self, Case, WARM_UP_SECONDS},
    comparison::{Comparison, HALF_WIDTH, MAX_ERROR_SHARE},
    load::LoadRun,
    product::{measured, sell_out, servers, start_product},
    report::machine,
    revision::Revision,
};
use crate::{
    project::{self, Profile},
    session::Session,
    setup::{self, Needs},
    shop::Shop,
    stack::Stack,
};

const CONNECTIONS: u32 = 64;
/// Measured rounds of each revision in a block.
const ROUNDS: u32 = 2;
/// What is compared unless a case was named.
const CASES: [Case; 2] = [Case::Checkout, Case::Mixed];

/// How two revisions are compared.
pub struct Plan {
    /// This case alone.
    pub case: Option<Case>,
    /// Length of a round.
    pub seconds: u32,
    /// How both are built.
    pub profile: Profile,
    /// Requests per second.
    pub rate: u32,
    /// The upper end of the product's interval must not be above this.
    pub limit: Option<f64>,
    /// Most blocks of a case.
    pub max_blocks: u32,
}

/// Compares `revision` with this tree; fails where the limit is exceeded.
pub fn run(session: &Session, revision: &str, plan: &Plan) -> Result<()> {
    let folder = project::output_folder("bench")?;
    let file = folder.join("compare.json");
    // What a comparison that fails leaves must not be taken for its result.
    let _ = fs::remove_file(&file);
    setup::install_missing(session, Needs::Servers)?;
    let base = Revision::commit(session, revision, plan.profile)?;
    let this = Revision::this_tree(session, plan.profile)?;
    if plan.profile != Profile::Release {
        // The load generator is a release build whatever is measured.
        project::build_product(session)?;
    }
    if this.is_dirty {
        session.say("This tree has uncommitted changes: they are measured too");
    }

    let comparer = Comparer {
        session,
        plan,
        base: &base,
        this: &this,
        logs: folder,
    };
    let mut comparisons = Vec::new();
    for case in plan.case.map_or(CASES.to_vec(), |only| vec![only]) {
        comparisons.push(comparer.compare(case)?);
        // After each case, so that an interruption does not cost what was measured.
        comparer.write(&file, &comparisons)?;
    }
    println!(
        "\nbase: {}\nthis tree: {}\nBuild profile {}, open loop at {} requests/s, {} s a round, \
         {ROUNDS} rounds of each revision in a block; 95% intervals.\n",
        base.describe(),
        this.describe(),
        plan.profile.folder(),
        plan.rate,
        plan.seconds
    );
    for comparison in &comparisons {
        println!("{comparison}");
    }
    println!("{}", file.display());
    verdict(plan, &comparisons)
}

fn verdict(plan: &Plan, comparisons: &[Comparison]) -> Result<()> {
    for comparison in comparisons {
        let case = comparison.case.name();
        let errors = comparison.error_share();
        ensure!(
            errors <= MAX_ERROR_SHARE,
            "expected at most {:.0}% errors in {case}, found {:.1}%: choose a --rate that this \
             machine bears, or see the logs of the API in target/bench",
            MAX_ERROR_SHARE * 100.0,
            errors * 100.0
        );
        if let Some(limit) = plan.limit {
            ensure!(
                comparison.is_within(limit),
                "expected the upper end of the interval of the product's CPU time in {case} to \
                 be at most {limit}, found {}",
                comparison.interval(Part::Product).map_or(
                    "no interval".to_owned(),
                    |interval| format!("{:.3}", interval.upper)
                )
            );
        }
    }
    Ok(())
}

struct Comparer<'a> {
    session: &'a Session,
    plan: &'a Plan,
    base: &'a Revision,
    this: &'a Revision,
    logs: PathBuf,
}

/// A revision that runs, and the load that it gets.
struct Running {
    stack: Stack,
    targets: Vec<String>,
}

impl Comparer<'_> {
    fn compare(&self, case: Case) -> Result<Comparison> {
        let mut comparison = Comparison::new(case);
        while !comparison.is_decided() && comparison.blocks.len() < self.plan.max_blocks as usize {
            let number = comparison.blocks.len();
            self.session.say(format_args!(
                "{}, block {} of at most {}",
                case.name(),
                number + 1,
                self.plan.max_blocks
            ));
            comparison.blocks.push(self.block(case, number)?);
            let so_far = Part::ALL.iter().filter_map(|part| {
                let interval = comparison.interval(*part)?;
                let (ratio, half_width) = (interval.ratio, interval.half_width());
                Some(format!("{} {ratio:.3} ±{half_width:.3}", part.name()))
            });
            let so_far: Vec<String> = so_far.collect();
            if !so_far.is_empty() {
                self.session
                    .say(format_args!("So far: {}", so_far.join(", ")));
            }
        }
        Ok(comparison)
    }

    fn block(&self, case: Case, number: usize) -> Result<Block> {
        let mut base = self.start(case, self.base, "base")?;
        let mut this = self.start(case, self.this, "this")?;
        let block = self.rounds(case, &base, &this, number);
        // A process that has ended is the cause of what failed.
        base.stack.check()?;
        this.stack.check()?;
        block
    }

    fn rounds(&self, case: Case, base: &Running, this: &Running, number: usize) -> Result<Block> {
        for running in [base, this] {
            let warm_up = LoadRun {
                seconds: WARM_UP_SECONDS,
                ..self.load(case, running)
            };
            warm_up.run(self.session)?;
        }
        let mut block = Block::default();
        for side in order(number) {
            let running = match side {
                Side::Base => base,
                Side::This => this,
            };
            let load = self.load(case, running);
            let round = measured(self.session, &servers(&running.stack), &load)?;
            ensure!(
                !round.load.has_used_up_its_items(),
                "expected the items of {} to last for the whole block; choose a lower --rate or \
                 fewer --seconds",
                case.name()
            );
            block.side(side).add(round);
        }
        Ok(block)
    }

    fn start(&self, case: Case, revision: &Revision, folder: &str) -> Result<Running> {
        let seconds = WARM_UP_SECONDS + ROUNDS * self.plan.seconds;
        let items = case.items_for(seconds * self.plan.rate);
        let logs = self.logs.join(folder);
        fs::create_dir_all(&logs).with_context(|| format!("could not make {}", logs.display()))?;
        let sample = revision.sample.clone();
        let stack = start_product(self.session, sample, items, &revision.programs, &logs)?;
        let targets = stack.endpoints().api;
        if case == Case::Refused {
            sell_out(self.session, &targets)?;
        }
        Ok(Running { stack, targets })
    }

    fn load<'a>(&self, case: Case, running: &'a Running) -> LoadRun<'a> {
        LoadRun {
            profile: case.name(),
            targets: &running.targets,
            connections: CONNECTIONS,
            users: case::users(self.plan.seconds),
            seconds: self.plan.seconds,
            rate: Some(f64::from(self.plan.rate)),
            flags: &[],
        }
    }

    fn write(&self, file: &Path, comparisons: &[Comparison]) -> Result<()> {
        let revision = |revision: &Revision| {
            json!({
                "name": revision.name,
                "commit": revision.commit,
                "is_dirty": revision.is_dirty,
            })
        };
        let cases: Vec<_> = comparisons.iter().map(Comparison::json).collect();
        let report = json!({
            "machine": machine(),
            "base": revision(self.base),
            "this": revision(self.this),
            "profile": self.plan.profile.folder(),
            "rate": self.plan.rate,
            "connections": CONNECTIONS,
            "seconds": self.plan.seconds,
            "rounds_in_a_block": ROUNDS,
            "half_width_wanted": HALF_WIDTH,
            "limit": self.plan.limit,
            "cases": cases,
        });
        fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("could not write {}", file.display()))
    }
}
