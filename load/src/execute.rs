//! One run from the wait for its sale to the check of its answers.

use std::cell::RefCell;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use crate::checker::history::History;
use crate::checker::reader::Reader;
use crate::client::catalogue::{Catalogue, Sale};
use crate::client::connection::Client;
use crate::client::encoding::push_encoded;
use crate::client::pool::Pool;
use crate::client::run_id::RunId;
use crate::clock::Clock;
use crate::error::LoadError;
use crate::measurement::recorder::Recorder;
use crate::pacing::{Arrivals, Pacing};
use crate::profiles::profile::Profile;
use crate::profiles::run_state::RunState;
use crate::report::summary::{Checked, Summary};
use crate::run::Run;
use crate::run::check::Check;
use crate::run::interrupt::Interrupt;
use crate::run::plan::Plan;
use crate::run::progress::Progress;
use crate::run::stage::{Stage, run_stage};
use crate::run::stress::{self, Stress};

/// How often the API is asked whether a sale is active.
const POLL_EVERY: Duration = Duration::from_millis(250);

/// Makes the run: waits for the sale, loads it, checks the answers. Must be called
/// within a `LocalSet`.
///
/// # Errors
/// When there is no sale to load, or Postgres cannot be read before the run. What goes wrong
/// after the run is in its summary.
pub async fn execute(
    plan: &Plan,
    interrupt: &Interrupt,
    clock: Clock,
) -> Result<Summary, LoadError> {
    let progress = Progress::new(plan.quiet);
    let since = clock.wall();
    let run = tokio::select! {
        run = prepare(plan, interrupt, clock, &progress) => run?,
        () = interrupt.comes() => return Err(LoadError::Interrupted),
    };
    tokio::select! {
        () = await_start(&run) => {}
        () = interrupt.comes() => return Err(LoadError::Interrupted),
    }
    let follow = progress.follow(Rc::clone(&run), plan.duration);
    let (stage, stress) = tokio::select! {
        ended = load(plan, &run) => ended?,
        never = follow => match never {},
    };
    let sold = run.state.borrow().bought();
    run.recorder.borrow_mut().end_point(clock.now(), sold);
    progress.finish();
    let checked = check(plan, &run, since, &progress).await;
    Ok(Summary::new(plan, &run, stage, stress, checked))
}

async fn prepare(
    plan: &Plan,
    interrupt: &Interrupt,
    clock: Clock,
    progress: &Progress,
) -> Result<Rc<Run>, LoadError> {
    if let Some(url) = &plan.postgres {
        // A wrong URL ends the program before the run, not after it.
        Reader::connect(url).await?;
    }
    let mut client = Client::new(Arc::clone(&plan.targets[0]), plan.timeout);
    let sale = match &plan.sale {
        Some(id) => await_named_sale(&mut client, id, plan, clock).await?,
        None => await_sale(&mut client, plan, clock, progress).await?,
    };
    let (catalogue, known_sold) = Catalogue::fetch(&mut client, &sale).await?;
    let sold_before = match plan.profile {
        Profile::Refused if !sale.is_sold_out() => catalogue.sold(&mut client, &sale).await?,
        Profile::Refused => (0..catalogue.count()).collect(),
        _ => Vec::new(),
    };
    // What is sold was walked by a run before this one.
    let mut state = RunState::new(catalogue.count(), sale.items_sold, plan.seed);
    state.learn_sold(&known_sold);
    if let Some(file) = &plan.carts {
        state.fill_carts(read_carts(file)?);
    }
    let pool = Pool::open(&plan.targets, plan.connections, plan.timeout).await;
    Ok(Rc::new(Run {
        id: RunId::at(clock.wall()),
        profile: plan.profile,
        users: plan.users,
        seats: plan.profile.seats(plan.users, plan.connections),
        targets: plan.targets.clone(),
        open_for: sale.open_for(clock.utc()),
        starts_at: sale.starts_in(clock.utc()).map(|wait| clock.now() + wait),
        closes_at: sale.left(clock.utc()).map(|left| clock.now() + left),
        clock,
        catalogue,
        sold_before: sold_before.into(),
        state: RefCell::new(state),
        pool,
        recorder: RefCell::new(Recorder::start(clock.now())),
        history: plan
            .postgres
            .as_ref()
            .map(|_| RefCell::new(History::default())),
        interrupt: interrupt.clone(),
    }))
}

/// The codes of carts that were filled before, one a line.
fn read_carts(file: &Path) -> Result<Vec<Arc<str>>, LoadError> {
    let text = std::fs::read_to_string(file).map_err(|source| LoadError::ReadCarts {
        path: file.to_owned(),
        source,
    })?;
    Ok(text.lines().map(Arc::from).collect())
}

/// Waits for the start of a sale that has not started yet; counts begin then.
async fn await_start(run: &Run) {
    if let Some(start) = run.starts_at {
        tokio::time::sleep_until(start.into()).await;
        run.recorder.replace(Recorder::start(run.clock.now()));
    }
}

/// Waits until the API serves the sale, which may start later.
async fn await_named_sale(
    client: &mut Client,
    id: &str,
    plan: &Plan,
    clock: Clock,
) -> Result<Sale, LoadError> {
    let mut path = String::from("/sales/");
    push_encoded(&mut path, id);
    let began = clock.now();
    loop {
        let left = plan.sale_start_timeout.saturating_sub(clock.since(began));
        let last = match client.get(&path).await {
            Ok((200, body)) => match serde_json::from_slice::<Sale>(&body) {
                Ok(sale) if sale.starts_in(clock.utc()).is_none_or(|wait| wait <= left) => {
                    return Ok(sale);
                }
                Ok(sale) => {
                    let start = sale.started_at.map(|at| at.to_string());
                    format!("sale {id}, which starts at {}", start.unwrap_or_default())
                }
                Err(error) => format!("an answer that is no sale: {error}"),
            },
            Ok((status, _)) => format!("status {status} for sale {id}"),
            Err(error) => error.to_string(),
        };
        if left.is_zero() {
            return Err(LoadError::NoActiveSale {
                target: client.target().address().to_owned(),
                waited_s: plan.sale_start_timeout.as_secs(),
                last,
            });
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

/// Waits for a sale that has something left for the profile.
async fn await_sale(
    client: &mut Client,
    plan: &Plan,
    clock: Clock,
    progress: &Progress,
) -> Result<Sale, LoadError> {
    let within = plan.sale_start_timeout;
    let began = clock.now();
    let mut is_reported = false;
    loop {
        let last = match client.get("/sales/active").await {
            Ok((200, body)) => match serde_json::from_slice::<Sale>(&body) {
                Ok(sale) if !sale.is_sold_out() || plan.profile.goes_on_when_sold_out() => {
                    return Ok(sale);
                }
                Ok(sale) => {
                    let left = within.saturating_sub(clock.since(began));
                    if sale
                        .left(clock.utc())
                        .is_none_or(|open_for| open_for > left)
                    {
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
        if clock.since(began) >= within {
            return Err(LoadError::NoActiveSale {
                target: client.target().address().to_owned(),
                waited_s: within.as_secs(),
                last,
            });
        }
        if !is_reported {
            progress.message(&format!(
                "waiting up to {} s for an active sale ({last})",
                within.as_secs()
            ));
            is_reported = true;
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

async fn load(plan: &Plan, run: &Rc<Run>) -> Result<(Stage, Option<Stress>), LoadError> {
    Ok(match (plan.profile, plan.rate) {
        (Profile::Stress, Some(rate)) => {
            let (stage, stress) = stress::climb(run, rate, plan.duration).await?;
            (stage, Some(stress))
        }
        (_, Some(rate)) => {
            let pacing = Pacing::Open(Arrivals::at_rate(rate, run.clock)?);
            (run_stage(run, pacing, plan.duration).await, None)
        }
        (_, None) => (run_stage(run, Pacing::Closed, plan.duration).await, None),
    })
}

/// A check that fails must not cost the numbers of the run.
async fn check(plan: &Plan, run: &Run, since: SystemTime, progress: &Progress) -> Checked {
    let (Some(url), Some(history)) = (&plan.postgres, &run.history) else {
        return Checked::NotAsked;
    };
    progress.message("checking the answers against Postgres");
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
