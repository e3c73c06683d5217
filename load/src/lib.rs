//! Load for a flash sale: users that behave like users, numbers that can be trusted,
//! and a check of every answer against Postgres.
//!
//! The generator shares its machine with what it measures, so it runs on one thread and
//! spends little on a request. It keeps a history only where a check follows.

use std::cell::RefCell;
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub mod answer;
pub mod args;
mod bench;
pub mod call;
pub mod catalogue;
pub mod checker;
pub mod client;
mod error;
pub mod histogram;
pub mod history;
mod html;
pub mod market;
pub mod pace;
pub mod pool;
pub mod profile;
mod progress;
pub mod reader;
pub mod recorder;
pub mod run;
pub mod run_id;
pub mod stress;
pub mod summary;
pub mod truth;
pub mod user;
pub mod visitor;

pub use error::LoadError;

use args::Plan;
use catalogue::{Catalogue, Sale};
use checker::Verdict;
use client::Client;
use history::History;
use market::Market;
use pace::{Arrivals, Pace};
use pool::Pool;
use profile::Profile;
use progress::Progress;
use reader::Reader;
use recorder::Recorder;
use run::{Run, Stage, Until};
use run_id::RunId;
use stress::Stress;
use summary::Summary;

/// How often a sale that is not active yet is asked for.
const ASK_EVERY: Duration = Duration::from_millis(250);
/// How long attempts may take to be settled after the run.
const SETTLE_WITHIN: Duration = Duration::from_secs(15);

/// Makes the run: waits for the sale, loads it, checks the answers. Must be called
/// within a `LocalSet`.
///
/// # Errors
/// When there is no sale to load, or Postgres cannot be read.
pub async fn execute(plan: &Plan) -> Result<Summary, LoadError> {
    let progress = Progress::new(plan.quiet);
    // A wrong URL is better told before the run than after it.
    let reader = match &plan.postgres {
        Some(url) => Some(Reader::connect(url).await?),
        None => None,
    };
    let since = SystemTime::now();
    let run = prepare(plan, &progress).await?;
    let until = match plan.targets.first() {
        Some(target) if plan.until_sold_out => Until::SoldOut(Arc::clone(target)),
        _ => Until::TimeUp,
    };
    let follow = progress.follow(Rc::clone(&run), plan.duration);
    let (stage, stress) = tokio::select! {
        ended = load(plan, &run, &until) => ended?,
        never = follow => match never {},
    };
    let sold = run.market.borrow().bought();
    run.recorder.borrow_mut().end_point(sold);
    progress.finish();

    let verdicts = match reader {
        Some(mut reader) => {
            progress.say("checking the answers against Postgres");
            check(&mut reader, &run, since).await?
        }
        None => Vec::new(),
    };
    Ok(Summary::new(plan, &run, stage, stress, verdicts))
}

/// Writes the reports that the plan asks for, and returns their paths.
///
/// # Errors
/// When a file cannot be written.
pub fn write_reports(plan: &Plan, summary: &Summary) -> Result<Vec<PathBuf>, LoadError> {
    let mut written = Vec::new();
    let mut write = |path: PathBuf, text: String| {
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).map_err(|source| unwritten(folder, source))?;
        }
        std::fs::write(&path, text).map_err(|source| unwritten(&path, source))?;
        written.push(path);
        Ok(())
    };
    if let Some(folder) = &plan.report {
        write(folder.join("report.html"), html::page(summary))?;
        write(folder.join("report.json"), summary.json())?;
    }
    if let Some(file) = &plan.json {
        write(file.clone(), summary.json())?;
    }
    Ok(written)
}

fn unwritten(path: &Path, source: std::io::Error) -> LoadError {
    LoadError::Write {
        path: path.to_owned(),
        source,
    }
}

async fn prepare(plan: &Plan, progress: &Progress) -> Result<Rc<Run>, LoadError> {
    let mut client = Client::new(Arc::clone(&plan.targets[0]), plan.timeout);
    let sale = await_sale(&mut client, plan.sale_start_timeout, progress).await?;
    let catalogue = Catalogue::fetch(&mut client, &sale).await?;
    let sold_before = match plan.profile {
        Profile::Refused if sale.items_sold < sale.total_items => {
            catalogue.sold(&mut client, &sale).await?
        }
        Profile::Refused => (0..catalogue.count()).collect(),
        _ => Vec::new(),
    };
    // What is sold was walked by a run before this one.
    let market = Market::new(catalogue.count(), sale.items_sold, plan.seed);
    let pool = Pool::open(&plan.targets, plan.connections, plan.timeout).await;
    Ok(Rc::new(Run {
        id: RunId::now(),
        profile: plan.profile,
        users: plan.users,
        seats: plan.profile.seats(plan.users, plan.connections),
        catalogue,
        sold_before: sold_before.into(),
        market: RefCell::new(market),
        pool,
        recorder: RefCell::new(Recorder::start()),
        history: plan
            .postgres
            .as_ref()
            .map(|_| RefCell::new(History::default())),
    }))
}

async fn await_sale(
    client: &mut Client,
    within: Duration,
    progress: &Progress,
) -> Result<Sale, LoadError> {
    let began = Instant::now();
    let mut told = false;
    loop {
        let last = match client.get("/sales/active").await {
            Ok((200, body)) => match serde_json::from_slice(&body) {
                Ok(sale) => return Ok(sale),
                Err(error) => format!("an answer that is no sale: {error}"),
            },
            Ok((404, _)) => "no active sale".to_owned(),
            Ok((status, _)) => format!("status {status}"),
            Err(error) => error.to_string(),
        };
        if began.elapsed() >= within {
            return Err(LoadError::NoActiveSale {
                target: client.target().address().to_owned(),
                waited_s: within.as_secs(),
                last,
            });
        }
        if !told {
            progress.say(&format!(
                "waiting up to {} s for an active sale ({last})",
                within.as_secs()
            ));
            told = true;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}

async fn load(
    plan: &Plan,
    run: &Rc<Run>,
    until: &Until,
) -> Result<(Stage, Option<Stress>), LoadError> {
    match (plan.profile, plan.rate) {
        (Profile::Stress, Some(rate)) => {
            let (stage, stress) = stress::climb(run, rate, plan.duration, until).await?;
            Ok((stage, Some(stress)))
        }
        (_, Some(rate)) => {
            let pace = Pace::Open(Arrivals::at_rate(rate)?);
            Ok((run::stage(run, pace, plan.duration, until).await?, None))
        }
        (_, None) => Ok((
            run::stage(run, Pace::Closed, plan.duration, until).await?,
            None,
        )),
    }
}

async fn check(
    reader: &mut Reader,
    run: &Run,
    since: SystemTime,
) -> Result<Vec<Verdict>, LoadError> {
    let Some(history) = &run.history else {
        return Ok(Vec::new());
    };
    let history = history.take();
    let deadline = Instant::now() + SETTLE_WITHIN;
    let expected = history.must_be_logged();
    loop {
        reader
            .await_attempts(&run.id, since, expected, deadline)
            .await?;
        let truth = reader.read(&run.catalogue, &run.id, since).await?;
        let verdicts = checker::check(&history, &truth, &run.id, &run.catalogue);
        // Attempts of calls without an answer were counted among those waited for, so
        // some may still be on their way. Nothing else heals by waiting.
        let missing = checker::missing_attempts(&history, &truth);
        if missing == 0 || Instant::now() >= deadline {
            return Ok(verdicts);
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
