//! The steps of the driver: observe, plan, act, and compute the status.

use std::collections::HashSet;

use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{Admin, Clock, SaleRecord};
use jiff::{SignedDuration, Timestamp};

use super::actions::{Executed, ResolvedCatalog, execute};
use super::eviction_check::EvictionCheck;
use crate::backends::{ActionError, Connection};
use crate::crd::{FlashSaleStatus, PastSale, Phase, SaleResult};
use crate::planner::{Action, Observed, ObservedSale, Plan, Scale, Settings, plan};
use crate::status::{self, Change, Health};

/// How often a sale in progress is observed.
const OBSERVE_EVERY: SignedDuration = SignedDuration::from_secs(1);
/// The wait after the first failure; it doubles with each.
const FIRST_RETRY: SignedDuration = SignedDuration::from_millis(500);
/// The longest wait after a failure while no sale is in progress.
const LAST_RETRY: SignedDuration = SignedDuration::from_secs(30);
/// The longest wait after a failure while a sale is in progress.
const LAST_RETRY_IN_SALE: SignedDuration = SignedDuration::from_secs(2);
/// One pass of actions may make another one due: a closed sale can be settled.
const MAX_PASSES: usize = 5;

/// Executes the plans of one FlashSale.
pub struct Driver {
    settings: Settings,
    catalog: ResolvedCatalog,
    observed: Observed,
    status: FlashSaleStatus,
    /// Whether this process has observed Postgres.
    has_observed: bool,
    /// Whether a step has returned changes.
    has_reported: bool,
    /// The past sales for which a change was returned.
    reported_past: HashSet<String>,
    eviction: EvictionCheck,
    failures: u32,
    /// Whether further sales are seeded.
    is_seeding: bool,
}

/// The result of one step.
#[derive(Debug)]
pub struct Step {
    /// The changes since the step before.
    pub changes: Vec<Change>,
    /// Why something failed. The next step retries it.
    pub error: Option<ActionError>,
    /// The desired number of pods; `None`: the number stays, because Postgres was not observed yet.
    pub scale: Option<Scale>,
    /// When the next step is due; `None`: not before the resource changes.
    pub next_at: Option<Timestamp>,
}

/// What was done in one step.
#[derive(Default)]
struct Progress {
    observed: bool,
    tried: Vec<Action>,
    error: Option<ActionError>,
    /// When a sale can be closed that is still open by the clock of Redis.
    close_at: Option<Timestamp>,
}

impl Progress {
    /// The first error is the one that is reported.
    fn fail(&mut self, error: ActionError) {
        self.error.get_or_insert(error);
    }
}

impl Driver {
    /// Continues from the status of another process; the first step returns everything as a change.
    pub fn new(settings: Settings, catalog: ResolvedCatalog, status: FlashSaleStatus) -> Self {
        let status = status::of_flash_sale(status, &settings.name);
        Self {
            settings,
            catalog,
            observed: Observed {
                failed: failed(&status),
                ..Observed::default()
            },
            status,
            has_observed: false,
            has_reported: false,
            reported_past: HashSet::new(),
            eviction: EvictionCheck::default(),
            failures: 0,
            is_seeding: true,
        }
    }

    /// As [`Driver::new`], but the first step returns only what differs from the status, because the
    /// status and the events of another leader stay in the cluster.
    pub fn resumed(settings: Settings, catalog: ResolvedCatalog, status: FlashSaleStatus) -> Self {
        Self {
            has_reported: true,
            ..Self::new(settings, catalog, status)
        }
    }

    /// Takes the observed state of another driver of the same FlashSale on the same backends.
    pub fn with_observed_state_of(self, last: Self) -> Self {
        Self {
            observed: Observed {
                failed: self.observed.failed,
                ..last.observed
            },
            has_observed: last.has_observed,
            reported_past: last.reported_past,
            eviction: last.eviction,
            ..self
        }
    }

    /// Seeds no further sale, because the FlashSale was changed to something invalid. Sales that are
    /// seeded go on.
    pub fn stop_seeding(&mut self) {
        self.is_seeding = false;
    }

    /// The status of the FlashSale.
    pub fn status(&self) -> &FlashSaleStatus {
        &self.status
    }

    /// Observes, plans, acts, and computes the status. Reads the clock several times, because
    /// actions take time.
    pub async fn step<R: Redis, P: Postgres>(
        &mut self,
        connection: Result<Connection<R, P>, ActionError>,
        clock: &Clock,
    ) -> Step {
        self.observed.resumed_at = status::resumed_at(&self.status.conditions, clock.now());
        let mut progress = Progress::default();
        if let Err(error) = self.observe_and_act(connection, clock, &mut progress).await {
            progress.fail(error);
        }
        let now = clock.now();
        // Also without backends: the last observed state and the time still give a status.
        let plan = plan(&self.settings, now, &self.observed);
        let health = Health {
            observed: progress.observed,
            error: progress.error.take(),
            eviction: self.eviction.last(),
        };
        let changes = self.update_status(&plan, &health, now);
        self.failures = match health.error {
            Some(_) => self.failures.saturating_add(1),
            None => 0,
        };
        Step {
            changes,
            scale: self.has_observed.then_some(plan.scale),
            next_at: self.next_at(&plan, &progress, now),
            error: health.error,
        }
    }

    /// Observes, plans and acts until no action is left.
    async fn observe_and_act<R: Redis, P: Postgres>(
        &mut self,
        connection: Result<Connection<R, P>, ActionError>,
        clock: &Clock,
        progress: &mut Progress,
    ) -> Result<(), ActionError> {
        let connection = connection?;
        let sales = connection.observe(&self.settings.name).await?;
        self.set_observed(sales, clock.now());
        progress.observed = true;
        let admin = connection.admin()?;
        for _ in 0..MAX_PASSES {
            let actions = plan(&self.settings, clock.now(), &self.observed).actions;
            if actions.iter().any(is_seed) {
                self.eviction.check_if_due(admin, clock.now()).await?;
            }
            let has_changed = self.act(admin, actions, clock, progress).await;
            if !has_changed || progress.error.is_some() {
                break;
            }
            let sales = admin.observe(&self.settings.name).await?;
            self.set_observed(sales, clock.now());
        }
        self.eviction.check_if_due(admin, clock.now()).await
    }

    /// Executes actions; returns whether others may be due at once. An error of one sale does not
    /// delay the actions of the others.
    async fn act<R: Redis, P: Postgres>(
        &mut self,
        admin: &Admin<R, P>,
        actions: Vec<Action>,
        clock: &Clock,
        progress: &mut Progress,
    ) -> bool {
        let mut has_changed = false;
        for action in actions {
            if !is_seed(&action) || self.may_seed() {
                match execute(admin, &action, &self.settings, &self.catalog).await {
                    Ok(Executed::Changed) => has_changed = true,
                    Ok(Executed::Unchanged) => {}
                    Ok(Executed::PartitionsMaintained) => {
                        self.observed.partitions_maintained_at = Some(clock.now());
                    }
                    Ok(Executed::StillOpen(open_for)) => {
                        let wait = SignedDuration::try_from(open_for).unwrap_or(OBSERVE_EVERY);
                        progress.close_at = Some(clock.now() + wait.min(OBSERVE_EVERY));
                    }
                    Err(error) => {
                        tracing::warn!(?action, %error, "an action failed; it is retried");
                        progress.fail(error);
                    }
                }
            }
            progress.tried.push(action);
        }
        has_changed
    }

    /// Whether a sale may be seeded. A Redis that may evict its keys gets no further sale; a sale that
    /// has been seeded goes on.
    fn may_seed(&self) -> bool {
        self.is_seeding && self.eviction.last().fault().is_none()
    }

    fn set_observed(&mut self, records: Vec<SaleRecord>, now: Timestamp) {
        self.observed.sales = records.into_iter().map(ObservedSale::from).collect();
        if !self.has_observed {
            self.has_observed = true;
            self.reported_past = self.reported_by_others(now);
        }
    }

    /// The past sales that another process has reported: those that were past before this process
    /// started, but for the sale that the status still calls open or next. A missed start is not in
    /// Postgres; only the status shows whether it was reported.
    fn reported_by_others(&self, now: Timestamp) -> HashSet<String> {
        let FlashSaleStatus {
            active_sale,
            next_sale,
            history,
            ..
        } = &self.status;
        let is_unreported = |id: &str| {
            active_sale.as_ref().is_some_and(|sale| sale.id == id)
                || next_sale.as_ref().is_some_and(|sale| sale.id == id)
        };
        let past = plan(&self.settings, now, &self.observed).past;
        let is_in_postgres = |id: &str| {
            let mut observed = self.observed.sales.iter();
            observed.any(|observed| observed.sale.id.as_str() == id)
        };
        let reported = past.iter().filter(|sale| is_in_postgres(&sale.id));
        reported
            .chain(history)
            .map(|sale| sale.id.clone())
            .filter(|id| !is_unreported(id))
            .collect()
    }

    /// Computes the new status, and returns the changes since the one before.
    fn update_status(&mut self, plan: &Plan, health: &Health, now: Timestamp) -> Vec<Change> {
        let mut before = self.status.clone();
        if !self.has_reported {
            // A new process reports the whole state.
            before.conditions.clear();
            before.phase = Phase::Pending;
        }
        self.has_reported = true;
        let (settings, observed) = (&self.settings, &self.observed);
        if !self.has_observed {
            self.status = status::before_first_observation(settings, health, &self.status, now);
            return status::changes(&before, &self.status, &[]);
        }
        self.status = status::status(settings, plan, observed, health, &self.status, now);
        self.observed.failed = failed(&self.status);
        let is_new = |sale: &&PastSale| !self.reported_past.contains(&sale.id);
        let past: Vec<&PastSale> = plan.past.iter().rev().filter(is_new).collect();
        let changes = status::changes(&before, &self.status, &past);
        self.reported_past = plan.past.iter().map(|sale| sale.id.clone()).collect();
        changes
    }

    fn next_at(&self, plan: &Plan, progress: &Progress, now: Timestamp) -> Option<Timestamp> {
        // Before the first observation the status, and not the plan, shows what is in progress.
        let is_in_sale = !self.has_observed
            && (self.status.active_sale.is_some() || self.status.phase == Phase::Settling);
        let is_in_progress = plan.in_progress || is_in_sale;
        // Actions that have become due during the step.
        let is_tried = |action| progress.tried.contains(action);
        let has_untried = !plan.actions.iter().all(is_tried);
        let wait = match self.failures {
            0 if has_untried => Some(SignedDuration::ZERO),
            0 => is_in_progress.then_some(OBSERVE_EVERY),
            failures => {
                let last = match is_in_progress {
                    true => LAST_RETRY_IN_SALE,
                    false => LAST_RETRY,
                };
                Some(last.min(FIRST_RETRY * 2_i32.pow((failures - 1).min(10))))
            }
        };
        let retry_at = wait.map(|wait| now + wait);
        [retry_at, plan.next_change_at, progress.close_at]
            .into_iter()
            .flatten()
            .min()
    }
}

fn is_seed(action: &Action) -> bool {
    matches!(action, Action::Seed(_))
}

/// The failed sales of a status. A start that was missed is recorded nowhere else.
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
