//! Carries plans out: looks, plans, acts, and tells what came of it.
//!
//! It knows the stores and nothing of where a FlashSale comes from or where its status goes, so
//! that every driver of resources shares it. Whatever it does it may do twice, and after a
//! crash in the middle of it.

use std::collections::HashSet;

use flashsale_engine::{Catalog, Closed, SaleRecord};
use jiff::{SignedDuration, Timestamp};

use crate::crd::{FlashSaleStatus, PastSale, Phase, SaleResult};
use crate::planner::{Action, KnownSale, Observed, Plan, Scale, Upcoming, plan};
use crate::status::{self, Change, Health};
use crate::planner::Settings;
use crate::backends::{Problem, Stores};

/// How often a sale in progress is looked after.
const ATTEND_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// How often Redis is asked whether it is fit for a sale, while one is looked after.
const FITNESS_EVERY: SignedDuration = SignedDuration::from_secs(10);
/// The wait after the first failure; it doubles with each.
const FIRST_RETRY: SignedDuration = SignedDuration::from_millis(500);
/// The longest wait after a failure, far from any sale.
const LAST_RETRY: SignedDuration = SignedDuration::from_secs(30);
/// The longest wait after a failure while a sale is in progress.
const LAST_RETRY_IN_SALE: SignedDuration = SignedDuration::from_secs(2);
/// What one look leads to may need another look: a sale that is closed can be settled.
const MAX_ROUNDS: usize = 5;

/// What is sold.
pub enum Goods {
    /// So many made-up items, others for each sale.
    MadeUp(u32),
    /// The same items in each sale.
    Listed(Catalog),
}

/// One FlashSale that is being carried out.
pub struct Driver {
    settings: Settings,
    goods: Goods,
    observed: Observed,
    status: FlashSaleStatus,
    /// Whether Postgres has been looked at since this process began.
    looked: bool,
    /// Whether a step has told where things stand.
    stepped: bool,
    /// The sales of the past that have been told of.
    told: HashSet<String>,
    /// When Redis was last asked whether it is fit, and why it is not.
    fitness: Option<(Timestamp, Option<String>)>,
    failures: u32,
    /// Whether no further sale is to be prepared.
    nothing_new: bool,
}

/// What came of one step.
#[derive(Debug)]
pub struct Step {
    /// What has changed since the step before.
    pub changes: Vec<Change>,
    /// Why something could not be done; it is tried again in the next step.
    pub problem: Option<Problem>,
    /// How many pods are wanted; `None`: as many as there are, because nobody can tell before
    /// Postgres has been looked at.
    pub scale: Option<Scale>,
    /// When the next step is due; `None`: never, unless the resource changes.
    pub next_at: Option<Timestamp>,
}

/// What was done in one step.
#[derive(Default)]
struct Done {
    looked: bool,
    tried: Vec<Action>,
    problem: Option<Problem>,
    /// When a sale can be closed that is still open by the clock of Redis.
    close_at: Option<Timestamp>,
}

impl Done {
    /// The first problem is the one that is told.
    fn fail(&mut self, problem: Problem) {
        self.problem.get_or_insert(problem);
    }
}

impl Driver {
    /// As [`Driver::new`], but tells only what differs from the status: where a status is kept
    /// beside the resource, and events with it, who leads next need not tell all of it again.
    pub fn resumed(settings: Settings, goods: Goods, status: FlashSaleStatus) -> Self {
        Self {
            stepped: true,
            ..Self::new(settings, goods, status)
        }
    }

    /// Begins where the status, if there is one, says that another process has left off.
    pub fn new(settings: Settings, goods: Goods, status: FlashSaleStatus) -> Self {
        let status = report::of_this(status, &settings.name);
        Self {
            settings,
            goods,
            observed: Observed {
                failed: failed(&status),
                ..Observed::default()
            },
            status,
            looked: false,
            stepped: false,
            told: HashSet::new(),
            fitness: None,
            failures: 0,
            nothing_new: false,
        }
    }

    /// Knows what another driver of the same FlashSale on the same stores has seen.
    pub fn remembering(self, last: Self) -> Self {
        Self {
            observed: Observed {
                failed: self.observed.failed,
                ..last.observed
            },
            looked: last.looked,
            told: last.told,
            fitness: last.fitness,
            ..self
        }
    }

    /// From now on looks after what is prepared or has started, and prepares nothing: the
    /// FlashSale has been changed to something that cannot be carried out.
    pub fn begin_nothing_new(&mut self) {
        self.nothing_new = true;
    }

    /// What is told about the FlashSale.
    pub fn status(&self) -> &FlashSaleStatus {
        &self.status
    }

    /// Does what is due. Reads the time from `clock`, because work takes time.
    pub async fn step(&mut self, stores: &Stores, clock: impl Fn() -> Timestamp) -> Step {
        self.observed.resumed_at = report::resumed_at(&self.status.conditions, clock());
        let mut done = Done::default();
        if let Err(problem) = self.carry_out(stores, &clock, &mut done).await {
            done.fail(problem);
        }
        let now = clock();
        // Also when the stores are away: what was known and the clock still tell something.
        let plan = plan(&self.settings, now, &self.observed);
        let health = Health {
            looked: done.looked,
            problem: done.problem.take(),
            unfit: self.fitness.as_ref().and_then(|(_, unfit)| unfit.clone()),
        };
        let changes = self.tell(&plan, &health, now);
        self.failures = match health.problem {
            Some(_) => self.failures.saturating_add(1),
            None => 0,
        };
        Step {
            changes,
            scale: self.looked.then_some(plan.scale),
            next_at: self.next_at(&plan, &done, now),
            problem: health.problem,
        }
    }

    /// Makes the new status, and says what is new in it.
    fn tell(&mut self, plan: &Plan, health: &Health, now: Timestamp) -> Vec<Change> {
        let mut before = self.status.clone();
        if !self.stepped {
            // Whoever starts a process wants to hear from it how things stand.
            before.conditions.clear();
            before.phase = Phase::Pending;
        }
        self.stepped = true;
        if !self.looked {
            self.status = report::unlooked(&self.settings, health, &self.status, now);
            return report::changes(&before, &self.status, &[]);
        }
        let (settings, observed) = (&self.settings, &self.observed);
        self.status = report::status(settings, plan, observed, health, &self.status, now);
        self.observed.failed = failed(&self.status);
        let past = plan.past.iter().rev();
        let past: Vec<&PastSale> = past.filter(|sale| !self.told.contains(&sale.id)).collect();
        let changes = report::changes(&before, &self.status, &past);
        self.told = plan.past.iter().map(|sale| sale.id.clone()).collect();
        changes
    }

    fn next_at(&self, plan: &Plan, done: &Done, now: Timestamp) -> Option<Timestamp> {
        // Before the first look the status tells more of what is in progress than the plan.
        let in_sale = !self.looked
            && (self.status.active_sale.is_some() || self.status.phase == Phase::Settling);
        let attend = plan.attend || in_sale;
        // What came due while the step did its work, and nobody has tried yet.
        let untried = plan
            .actions
            .iter()
            .any(|action| !done.tried.contains(action));
        let soon = match self.failures {
            0 if untried => Some(SignedDuration::ZERO),
            0 => attend.then_some(ATTEND_EVERY),
            failures => {
                let last = if attend {
                    LAST_RETRY_IN_SALE
                } else {
                    LAST_RETRY
                };
                Some(last.min(FIRST_RETRY * 2_i32.pow((failures - 1).min(10))))
            }
        };
        [soon.map(|soon| now + soon), plan.wake_at, done.close_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Looks, plans and acts until nothing is left to do now.
    async fn carry_out(
        &mut self,
        stores: &Stores,
        clock: &impl Fn() -> Timestamp,
        done: &mut Done,
    ) -> Result<(), Problem> {
        let look = stores.look(&self.settings.name).await?;
        self.saw(look.sales, clock());
        done.looked = true;
        let admin = &*look.admin?;
        for _ in 0..MAX_ROUNDS {
            let now = clock();
            let mut progress = false;
            for action in plan(&self.settings, now, &self.observed).actions {
                if self.nothing_new && matches!(action, Action::Seed(_)) {
                    done.tried.push(action);
                    continue;
                }
                // A fault of one sale must not keep the others from being looked after.
                match self.act(admin, &action, clock, done).await {
                    Ok(changed) => progress |= changed,
                    Err(problem) => {
                        tracing::warn!(?action, %problem, "could not be done; it is tried again");
                        done.fail(problem);
                    }
                }
                done.tried.push(action);
            }
            if !progress || done.problem.is_some() {
                break;
            }
            let sales = admin.observe(&self.settings.name).await?;
            self.saw(sales, clock());
        }
        self.look_at_fitness(admin, clock()).await
    }

    fn saw(&mut self, records: Vec<SaleRecord>, now: Timestamp) {
        self.observed.sales = records.into_iter().map(KnownSale::from).collect();
        if !self.looked {
            self.looked = true;
            self.told = self.told_before(now);
        }
    }

    /// What was past before this process began was told by another one, but for the sale that
    /// the status still calls open or to come. A start that was missed is not in Postgres; only
    /// the status says whether it was told.
    fn told_before(&self, now: Timestamp) -> HashSet<String> {
        let FlashSaleStatus {
            active_sale,
            next_sale,
            history,
            ..
        } = &self.status;
        let untold = |id: &str| {
            active_sale.as_ref().is_some_and(|sale| sale.id == id)
                || next_sale.as_ref().is_some_and(|sale| sale.id == id)
        };
        let past = plan(&self.settings, now, &self.observed).past;
        let in_postgres = |id: &str| {
            let mut known = self.observed.sales.iter();
            known.any(|known| known.sale.id.as_str() == id)
        };
        let told = past.iter().filter(|sale| in_postgres(&sale.id));
        told.chain(history)
            .map(|sale| sale.id.clone())
            .filter(|id| !untold(id))
            .collect()
    }

    async fn look_at_fitness(&mut self, admin: &Admin, now: Timestamp) -> Result<(), Problem> {
        let due = |at: Timestamp| now.duration_since(at).abs() >= FITNESS_EVERY;
        if self.fitness.as_ref().is_none_or(|(at, _)| due(*at)) {
            self.fitness = Some((now, admin.fault().await?));
        }
        Ok(())
    }

    /// Answers whether there may be more to do at once.
    async fn act(
        &mut self,
        admin: &Admin,
        action: &Action,
        clock: &impl Fn() -> Timestamp,
        done: &mut Done,
    ) -> Result<bool, Problem> {
        match action {
            Action::KeepUp(id) => {
                let kept_up = admin.keep_up(id).await?;
                if kept_up.restored || kept_up.settled_entries > 0 {
                    tracing::info!(sale = %id, ?kept_up, "put right what was lost or left behind");
                }
                Ok(false)
            }
            Action::Close(id) => match admin.close(id).await? {
                Closed::Closed { .. } => Ok(true),
                Closed::NotYet { open_for } => {
                    tracing::info!(sale = %id, ?open_for, "still open by the clock of Redis");
                    let wait = SignedDuration::try_from(open_for).unwrap_or(ATTEND_EVERY);
                    done.close_at = Some(clock() + wait.min(ATTEND_EVERY));
                    Ok(false)
                }
            },
            Action::Withdraw(id) => Ok(admin.withdraw(id).await?),
            Action::Seed(upcoming) => {
                self.seed(admin, upcoming).await?;
                Ok(true)
            }
            Action::Settle(id) => Ok(admin.settle(id).await?.settled),
            Action::Retire(id) => {
                admin.retire(id).await?;
                Ok(true)
            }
            Action::KeepAttempts { days } => {
                admin.attempts_housekeeping(*days).await?;
                self.observed.attempts_kept_at = Some(clock());
                Ok(false)
            }
        }
    }

    async fn seed(&self, admin: &Admin, upcoming: &Upcoming) -> Result<(), Problem> {
        let made_up;
        let catalog = match &self.goods {
            Goods::Listed(catalog) => catalog,
            Goods::MadeUp(count) => {
                made_up = Catalog::generate(*count, upcoming.id.starts_label())?;
                &made_up
            }
        };
        let sale = self.settings.sale(upcoming.window, catalog.len() as u32)?;
        let report = admin.seed(&sale, catalog).await?;
        tracing::info!(sale = %sale.id, ?report, "seeded");
        Ok(())
    }
}

/// The starts that were missed are nowhere but in the status.
fn failed(status: &FlashSaleStatus) -> Vec<PastSale> {
    status
        .history
        .iter()
        .filter(|sale| sale.result == SaleResult::Failed)
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests;
