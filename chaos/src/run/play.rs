//! Plays one plan from the start of the processes to the verdicts.

use std::fs;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use anyhow::{Context, Result};
use flashsale_load::client::catalogue::Catalogue;
use flashsale_load::client::connection::Target;
use flashsale_load::client::run_id::RunId;
use flashsale_load::clock::Clock;
use serde_json::json;
use tokio::runtime::Runtime;
use tokio::task::LocalSet;

use super::evidence;
use super::faults::Faults;
use super::presold::sell_before;
use crate::history::{CallRecord, FaultRecord, RunHistory};
use crate::judge::{Evidence, Goal, NumberedVerdict, answered_purchases, goals, judge};
use crate::moments::Moments;
use crate::plan::Plan;
use crate::report::{svg, verdicts};
use crate::testbed::{Programs, Settings, Testbed};
use crate::users::{Drive, OpenLoop};

/// Users call so long before the opening, so that it is seen.
const BEFORE_OPENING_MS: i64 = -1_500;
/// And so long after the close and the last fault: what they ask for gets its definitive answer.
const AFTER_CLOSE_MS: i64 = 6_000;
/// The settling of a sale waits for what is in the streams.
const SETTLED_LIMIT: Duration = Duration::from_secs(60);
/// Items for each call that is due: more than users buy, so that purchases go on to the close.
const ITEMS_PER_CALL: f64 = 0.75;
const FEWEST_ITEMS: u32 = 2_000;
const PROGRESS_EVERY: Duration = Duration::from_secs(5);

/// What is played, and with what.
pub struct Run<'a> {
    /// What happens.
    pub plan: &'a Plan,
    /// Calls that are due per second.
    pub rate: f64,
    /// The rng seed of the users.
    pub seed: u64,
    /// The programs of the product.
    pub programs: &'a Programs,
    /// Where the history, the plot and the logs go.
    pub folder: &'a Path,
    /// Whether the last guards in Postgres are removed: such a run must report broken invariants.
    pub drops_keys: bool,
}

/// What came of a run.
pub struct Outcome {
    /// On each invariant.
    pub verdicts: Vec<NumberedVerdict>,
    /// The figures.
    pub goals: Vec<Goal>,
    /// Answered purchases.
    pub purchases: usize,
    /// Faults that could not be made as planned, in words.
    pub problems: Vec<String>,
}

impl Outcome {
    /// Whether no invariant is broken, and the run shows something.
    #[must_use]
    pub fn is_sound(&self) -> bool {
        let broken = |numbered: &NumberedVerdict| numbered.verdict.finding.is_fault();
        !self.verdicts.iter().any(broken) && self.problems.is_empty()
    }
}

/// Plays it.
///
/// # Errors
/// Where a process does not start, or the backends cannot be read afterwards.
pub fn play(run: &Run<'_>) -> Result<Outcome> {
    let _ = fs::remove_dir_all(run.folder);
    fs::create_dir_all(run.folder)
        .with_context(|| format!("could not make {}", run.folder.display()))?;
    let clock = Clock::system();
    let began = clock.wall();
    println!(
        "==> {}: starting Postgres, Redis, the operator and two API processes",
        run.plan.name
    );
    let items = run.plan.items.unwrap_or_else(|| items_for(run));
    let testbed = Testbed::start(&Settings {
        plan: run.plan,
        items,
        programs: run.programs,
        logs: run.folder,
    })?;
    let runtime = one_thread()?;
    if run.drops_keys {
        testbed.database.drop_keys()?;
    }
    if run.plan.sold_before > 0 {
        runtime.block_on(sell_before(&testbed, run.plan.sold_before))?;
    }
    let url = testbed.database.direct_url();
    let catalogue = runtime.block_on(evidence::read_catalogue(&url, &testbed.sale.id))?;
    let moments = Moments::since(testbed.sale.starts_at, clock);
    println!(
        "    {} items, {:.0} calls/s, sale {}",
        items, run.rate, testbed.sale.id
    );
    let (history, testbed) = call_and_break(run, testbed, &runtime, catalogue, moments)?;
    fs::write(run.folder.join("history.jsonl"), history.to_json_lines()).context("the history")?;
    fs::write(run.folder.join("run.svg"), svg(&run.plan.name, &history)).context("the plot")?;
    let evidence = read_evidence(&history, &testbed, &runtime, began, clock)?;
    let outcome = outcome(run.plan, &history, &evidence);
    print!("{}", verdicts(&outcome.verdicts, &outcome.goals));
    for problem in &outcome.problems {
        println!("    PROBLEM: {problem}");
    }
    write_verdicts(run.folder, &outcome)?;
    Ok(outcome)
}

fn items_for(run: &Run<'_>) -> u32 {
    let calls = run.rate * f64::from(run.plan.sale_seconds);
    ((calls * ITEMS_PER_CALL) as u32).max(FEWEST_ITEMS) + run.plan.sold_before
}

/// The users call on this thread, and the faults are made on another one.
fn call_and_break(
    run: &Run<'_>,
    mut testbed: Testbed,
    runtime: &Runtime,
    catalogue: Catalogue,
    moments: Moments,
) -> Result<(RunHistory, Testbed)> {
    let clock = Clock::system();
    let name = RunId::at(clock.wall());
    let close_ms = i64::from(run.plan.sale_seconds) * 1_000;
    let last_fault = run
        .plan
        .faults
        .iter()
        .map(crate::plan::PlannedFault::ends_ms);
    let end_ms = last_fault.max().unwrap_or(0).max(close_ms) + AFTER_CLOSE_MS;
    let catalogue = Rc::new(catalogue);
    let open_loop = OpenLoop::new(Drive {
        run: name.clone(),
        catalogue: Rc::clone(&catalogue),
        targets: targets(&testbed)?,
        routed: testbed.api.routed(),
        rate: run.rate,
        seed: run.seed,
        moments,
    });
    let faults = thread::scope(|scope| {
        let testbed = &mut testbed;
        let made = scope.spawn(move || Faults { testbed, moments }.make(run.plan));
        moments.sleep_until(moments.at(BEFORE_OPENING_MS));
        let called = drive(&open_loop, runtime, moments, moments.at(end_ms), clock);
        let made: thread::Result<Vec<FaultRecord>> = made.join();
        let faults = made.map_err(|_| anyhow::anyhow!("the thread of the faults panicked"))?;
        called.map(|()| faults)
    })?;
    let (mut calls, never_started_us) = open_loop.take();
    calls.sort_by_key(|record: &CallRecord| record.ended_us);
    drop(open_loop);
    let catalogue = Rc::into_inner(catalogue).context("the catalogue is still in use")?;
    let history = RunHistory {
        run: name,
        catalogue,
        ends_us: close_ms * 1_000,
        calls,
        never_started_us,
        faults,
    };
    Ok((history, testbed))
}

fn targets(testbed: &Testbed) -> Result<Vec<Arc<Target>>> {
    let parse = |url: &String| {
        let target: Target = url.parse().map_err(anyhow::Error::msg)?;
        Ok(Arc::new(target))
    };
    testbed.api.urls().iter().map(parse).collect()
}

fn drive(
    open_loop: &Rc<OpenLoop>,
    runtime: &Runtime,
    moments: Moments,
    end: Instant,
    clock: Clock,
) -> Result<()> {
    LocalSet::new().block_on(runtime, async {
        let reporter = tokio::task::spawn_local({
            let open_loop = Rc::clone(open_loop);
            async move { report(&open_loop, moments).await }
        });
        let result = open_loop.run(end, clock).await;
        reporter.abort();
        // Its part of the loop is dropped with it.
        let _ = reporter.await;
        result
    })
}

/// A line of progress now and then.
async fn report(open_loop: &OpenLoop, moments: Moments) {
    let (mut calls_before, mut failed_before) = (0, 0);
    loop {
        tokio::time::sleep(PROGRESS_EVERY).await;
        let (calls, failed, bought) = open_loop.progress();
        let at_s = moments.now_us() as f64 / 1_000_000.0;
        let per_second = (calls - calls_before) as f64 / PROGRESS_EVERY.as_secs_f64();
        let failed_now = failed - failed_before;
        println!(
            "    {at_s:>5.1} s  {per_second:.0} answers/s, {failed_now} failed, {bought} sold"
        );
        (calls_before, failed_before) = (calls, failed);
    }
}

fn read_evidence(
    history: &RunHistory,
    testbed: &Testbed,
    runtime: &Runtime,
    began: SystemTime,
    clock: Clock,
) -> Result<Evidence> {
    println!("    waiting until the sale is settled");
    let is_settled = testbed.await_settled(SETTLED_LIMIT);
    if !is_settled {
        println!(
            "    not settled; the operator's status is {}",
            testbed.status()
        );
    }
    runtime.block_on(evidence::read(history, testbed, is_settled, began, clock))
}

fn outcome(plan: &Plan, history: &RunHistory, evidence: &Evidence) -> Outcome {
    let purchases = answered_purchases(history);
    let faults = history.faults.iter();
    let mut problems: Vec<String> = faults
        .filter_map(|record| Some(format!("{}: {}", record.fault, record.problem.as_ref()?)))
        .collect();
    let fewest = plan.fewest_purchases;
    if purchases < fewest {
        problems.push(format!(
            "expected {fewest} answered purchases or more, found {purchases}: \
             a longer sale or a higher --rate has more"
        ));
    }
    Outcome {
        verdicts: judge(history, evidence),
        goals: goals(history, evidence),
        purchases,
        problems,
    }
}

fn write_verdicts(folder: &Path, outcome: &Outcome) -> Result<()> {
    let verdicts: Vec<_> = outcome
        .verdicts
        .iter()
        .map(|numbered| json!({"number": numbered.number, "verdict": numbered.verdict}))
        .collect();
    let text = serde_json::to_string_pretty(&json!({
        "sound": outcome.is_sound(),
        "purchases": outcome.purchases,
        "verdicts": verdicts,
        "figures": outcome.goals,
        "problems": outcome.problems,
    }))?;
    fs::write(folder.join("verdicts.json"), text + "\n").context("the verdicts")
}

/// The users and the checks share one thread.
pub(super) fn one_thread() -> Result<Runtime> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("the runtime of the users")
}
