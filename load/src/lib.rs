//! Load for a flash sale: users that behave like users, numbers that can be trusted,
//! and a check of every answer against Postgres.
//!
//! The generator shares its machine with what it measures, so it runs on one thread and
//! spends little on a request. It keeps a history only where a check follows.

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

pub mod answer;
pub mod args;
mod bench;
pub mod buy;
pub mod call;
pub mod catalogue;
mod check;
pub mod checker;
pub mod client;
mod error;
pub mod histogram;
pub mod history;
mod html;
pub mod interrupt;
pub mod market;
pub mod pace;
pub mod pool;
pub mod profile;
mod progress;
pub mod reader;
pub mod recorder;
pub mod report;
pub mod run;
pub mod run_id;
pub mod stress;
pub mod summary;
mod table;
pub mod truth;
pub mod user;
pub mod verdict;
pub mod visitor;
mod watch;

pub use error::LoadError;

use args::Plan;
use catalogue::{Catalogue, Sale};
use check::Check;
use client::Client;
use history::History;
use interrupt::Interrupt;
use market::Market;
use pace::{Arrivals, Pace};
use pool::Pool;
use profile::Profile;
use progress::Progress;
use reader::Reader;
use recorder::Recorder;
use run::{Run, Stage};
use run_id::RunId;
use stress::Stress;
use summary::{Checked, Summary};

/// How often a sale that is not active yet is asked for.
const ASK_EVERY: Duration = Duration::from_millis(250);

/// Makes the run: waits for the sale, loads it, checks the answers. Must be called
/// within a `LocalSet`.
///
/// # Errors
/// When there is no sale to load, or Postgres cannot be read before the run. What goes wrong
/// after the run is told in its summary.
pub async fn execute(plan: &Plan, interrupt: &Interrupt) -> Result<Summary, LoadError> {
    let progress = Progress::new(plan.quiet);
    let since = SystemTime::now();
    let run = tokio::select! {
        run = prepare(plan, interrupt, &progress) => run?,
        () = interrupt.comes() => return Err(LoadError::Interrupted),
    };
    let follow = progress.follow(Rc::clone(&run), plan.duration);
    let (stage, stress) = tokio::select! {
        ended = load(plan, &run) => ended?,
        never = follow => match never {},
    };
    let sold = run.market.borrow().bought();
    run.recorder.borrow_mut().end_point(sold);
    progress.finish();
    let checked = check(plan, &run, since, &progress).await;
    Ok(Summary::new(plan, &run, stage, stress, checked))
}

async fn prepare(
    plan: &Plan,
    interrupt: &Interrupt,
    progress: &Progress,
) -> Result<Rc<Run>, LoadError> {
    if let Some(url) = &plan.postgres {
        // A wrong URL is better told before the run than after it.
        Reader::connect(url).await?;
    }
    let mut client = Client::new(Arc::clone(&plan.targets[0]), plan.timeout);
    let sale = await_sale(&mut client, plan, progress).await?;
    let (catalogue, known_sold) = Catalogue::fetch(&mut client, &sale).await?;
    let sold_before = match plan.profile {
        Profile::Refused if !sale.is_sold_out() => catalogue.sold(&mut client, &sale).await?,
        Profile::Refused => (0..catalogue.count()).collect(),
        _ => Vec::new(),
    };
    // What is sold was walked by a run before this one.
    let mut market = Market::new(catalogue.count(), sale.items_sold, plan.seed);
    market.learn_sold(&known_sold);
    let pool = Pool::open(&plan.targets, plan.connections, plan.timeout).await;
    Ok(Rc::new(Run {
        id: RunId::now(),
        profile: plan.profile,
        users: plan.users,
        seats: plan.profile.seats(plan.users, plan.connections),
        targets: plan.targets.clone(),
        closes_at: sale.left().map(|left| Instant::now() + left),
        catalogue,
        sold_before: sold_before.into(),
        market: RefCell::new(market),
        pool,
        recorder: RefCell::new(Recorder::start()),
        history: plan
            .postgres
            .as_ref()
            .map(|_| RefCell::new(History::default())),
        interrupt: interrupt.clone(),
    }))
}

/// Waits for a sale that has something left for the profile.
async fn await_sale(
    client: &mut Client,
    plan: &Plan,
    progress: &Progress,
) -> Result<Sale, LoadError> {
    let within = plan.sale_start_timeout;
    let began = Instant::now();
    let mut told = false;
    loop {
        let last = match client.get("/sales/active").await {
            Ok((200, body)) => match serde_json::from_slice::<Sale>(&body) {
                Ok(sale) if !sale.is_sold_out() || plan.profile.goes_on_when_sold_out() => {
                    return Ok(sale);
                }
                Ok(sale) => {
                    let left = within.saturating_sub(began.elapsed());
                    if sale.left().is_none_or(|open_for| open_for > left) {
                        let until = sale.ended_at.map(|at| at.to_string());
                        return Err(LoadError::SoldOut {
                            sale: sale.id,
                            until: until.unwrap_or_else(|| "an unknown time".to_owned()),
                        });
                    }
                    format!("sale {}, which is sold out", sale.id)
                }
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

async fn load(plan: &Plan, run: &Rc<Run>) -> Result<(Stage, Option<Stress>), LoadError> {
    Ok(match (plan.profile, plan.rate) {
        (Profile::Stress, Some(rate)) => {
            let (stage, stress) = stress::climb(run, rate, plan.duration).await?;
            (stage, Some(stress))
        }
        (_, Some(rate)) => {
            let pace = Pace::Open(Arrivals::at_rate(rate)?);
            (run::stage(run, pace, plan.duration).await, None)
        }
        (_, None) => (run::stage(run, Pace::Closed, plan.duration).await, None),
    })
}

/// A check that fails must not cost the numbers of the run.
async fn check(plan: &Plan, run: &Run, since: SystemTime, progress: &Progress) -> Checked {
    let (Some(url), Some(history)) = (&plan.postgres, &run.history) else {
        return Checked::NotAsked;
    };
    progress.say("checking the answers against Postgres");
    let history = history.take();
    let in_haste = run.interrupt.has_come();
    let check = Check {
        url,
        run,
        history: &history,
        since,
        away_at_most: plan.postgres_timeout,
        in_haste,
    };
    let checked = tokio::select! {
        checked = check.make(progress) => checked,
        // Where it came before, the run was ended for it, and this is in haste.
        () = run.interrupt.comes(), if !in_haste => Err(LoadError::Interrupted),
    };
    checked.map_or_else(
        |error| Checked::Failed(error.to_string()),
        Checked::Verdicts,
    )
}
