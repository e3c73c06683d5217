//! Carries plans out: looks, plans, acts, and tells what came of it.
//!
//! It knows the stores and nothing of where a FlashSale comes from or where its status goes, so
//! that every driver of resources shares it. Whatever it does it may do twice, and after a
//! crash in the middle of it.

use std::collections::HashSet;

use flashsale_engine::admin::Admin;
use flashsale_engine::catalog::Catalog;
use flashsale_engine::sale::SaleId;
use jiff::{SignedDuration, Timestamp};

use crate::api::{FlashSaleStatus, PastSale, SaleResult};
use crate::plan::{Action, KnownSale, Observed, Plan, Upcoming, plan};
use crate::report::{self, Change};
use crate::settings::Settings;
use crate::stores::{Problem, Stores};

/// How often a sale in progress is looked after.
const ATTEND_EVERY: SignedDuration = SignedDuration::from_secs(1);
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
    gone: HashSet<SaleId>,
    observed: Observed,
    status: FlashSaleStatus,
    failures: u32,
}

/// What came of one step.
#[derive(Debug)]
pub struct Step {
    /// What has changed since the step before.
    pub changes: Vec<Change>,
    /// Why something could not be done; it is tried again in the next step.
    pub problem: Option<Problem>,
    /// When the next step is due; `None`: never, unless the resource changes.
    pub next_at: Option<Timestamp>,
}

impl Driver {
    /// Begins where the status, if there is one, says that another process has left off.
    pub fn new(settings: Settings, goods: Goods, status: FlashSaleStatus) -> Self {
        let observed = Observed {
            failed: failed(&status),
            ..Observed::default()
        };
        Self {
            settings,
            goods,
            gone: HashSet::new(),
            observed,
            status,
            failures: 0,
        }
    }

    /// What is told about the FlashSale.
    pub fn status(&self) -> &FlashSaleStatus {
        &self.status
    }

    /// Does what is due. Reads the time from `clock`, because work takes time.
    pub async fn step(&mut self, stores: &mut Stores, clock: impl Fn() -> Timestamp) -> Step {
        let problem = self.carry_out(stores, &clock).await.err();
        let now = clock();
        // Also when the stores are away: what was known and the clock still tell something.
        let plan = plan(&self.settings, now, &self.observed);
        let status = report::status(
            &self.settings,
            &plan,
            &self.observed,
            problem.as_ref(),
            &self.status,
            now,
        );
        self.observed.failed = failed(&status);
        let changes = report::changes(&self.status, &status);
        self.status = status;
        self.failures = if problem.is_some() {
            self.failures.saturating_add(1)
        } else {
            0
        };
        Step {
            changes,
            next_at: self.next_at(&plan, now),
            problem,
        }
    }

    fn next_at(&self, plan: &Plan, now: Timestamp) -> Option<Timestamp> {
        let soon = match (self.failures, plan.attend) {
            (0, true) => Some(ATTEND_EVERY),
            (0, false) => None,
            (failures, attend) => {
                let last = if attend {
                    LAST_RETRY_IN_SALE
                } else {
                    LAST_RETRY
                };
                Some(last.min(FIRST_RETRY * 2_i32.pow((failures - 1).min(10))))
            }
        };
        [soon.map(|soon| now + soon), plan.wake_at]
            .into_iter()
            .flatten()
            .min()
    }

    /// Looks, plans and acts until nothing is left to do now.
    async fn carry_out(
        &mut self,
        stores: &mut Stores,
        clock: &impl Fn() -> Timestamp,
    ) -> Result<(), Problem> {
        let admin = stores.connected().await?;
        let mut first_problem = Ok(());
        for _ in 0..MAX_ROUNDS {
            self.look(admin).await?;
            let now = clock();
            let mut progress = false;
            for action in plan(&self.settings, now, &self.observed).actions {
                // A fault of one sale must not keep the others from being looked after.
                match self.act(admin, &action, now).await {
                    Ok(changed) => progress |= changed,
                    Err(problem) => {
                        tracing::warn!(?action, %problem, "could not be done; it is tried again");
                        first_problem = first_problem.and(Err(problem));
                    }
                }
            }
            if !progress || first_problem.is_err() {
                break;
            }
        }
        first_problem
    }

    async fn look(&mut self, admin: &Admin) -> Result<(), Problem> {
        let records = admin.observe(&self.settings.name).await?;
        self.observed.sales = records
            .into_iter()
            .map(|record| KnownSale {
                gone: self.gone.contains(&record.sale.id),
                sale: record.sale,
                seeded_at: record.seeded_at,
                closed_at: record.closed_at,
                settled_at: record.settled_at,
                sold: record.sold,
            })
            .collect();
        // What Postgres does not list any more is not asked about any more.
        let sales = &self.observed.sales;
        self.gone
            .retain(|id| sales.iter().any(|known| known.sale.id == *id));
        Ok(())
    }

    /// Answers whether there may be more to do at once.
    async fn act(
        &mut self,
        admin: &Admin,
        action: &Action,
        now: Timestamp,
    ) -> Result<bool, Problem> {
        match action {
            Action::KeepAttempts { days } => {
                admin.attempts_housekeeping(*days).await?;
                self.observed.attempts_kept_at = Some(now);
                Ok(false)
            }
            Action::Seed(upcoming) => {
                self.seed(admin, upcoming).await?;
                self.gone.remove(&upcoming.id);
                Ok(true)
            }
            Action::KeepUp(id) => {
                let kept_up = admin.keep_up(id).await?;
                if kept_up.rebuilt || kept_up.settled_entries > 0 {
                    tracing::info!(sale = %id, ?kept_up, "put right what was lost or left behind");
                }
                self.gone.remove(id);
                Ok(false)
            }
            Action::Withdraw(id) => {
                admin.withdraw(id).await?;
                self.gone.insert(id.clone());
                Ok(true)
            }
            Action::Close(id) => {
                admin.close(id).await?;
                Ok(true)
            }
            Action::Settle(id) => Ok(admin.settle(id).await?.settled),
            Action::Retire(id) => {
                admin.retire(id).await?;
                self.gone.insert(id.clone());
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
