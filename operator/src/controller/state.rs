//! The state that this process keeps of one FlashSale.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::Timer;
use jiff::{SignedDuration, Timestamp};

use super::apply::Applied;
use super::backoff::{Backoff, FIRST_RETRY};
use super::event_publisher::EventQueue;
use super::references::ReferenceVersions;
use super::status::StatusWriter;
use super::validate::{Refused, Valid};
use crate::backends::{Backends, CheckedUrls};
use crate::crd::FlashSale;
use crate::driver::{Driver, Step};
use crate::planner::Scale;
use crate::status;

/// How often backends are observed while the plan has no action, so that the conditions are
/// current.
const OBSERVE_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// The longest requeue: a clock that is set forward, or a machine that was suspended, does not end
/// a sleep. Much shorter than a warm-up.
const LONGEST_REQUEUE: Duration = Duration::from_secs(30);

/// The state of one FlashSale. All of it can be lost.
#[derive(Default)]
pub(super) struct State {
    /// The versions of the spec and of the references from which the rest was made.
    pub(super) versions: Option<ReferenceVersions>,
    /// The last valid revision. Its sales go on while the FlashSale is refused.
    pub(super) accepted: Option<Accepted>,
    /// Why the FlashSale is refused, as it is now.
    pub(super) refused: Option<Refused>,
    /// When the next step of the driver is due; `None`: now.
    next_step_at: Option<Timestamp>,
    /// What was applied last.
    pub(super) applied: Option<Applied>,
    pub(super) status: StatusWriter,
    pub(super) events: EventQueue,
    pub(super) backoff: Backoff,
    /// Set once the FlashSale is deleted.
    pub(super) deletion: Option<DeletionState>,
}

/// A valid revision of a FlashSale.
pub(super) struct Accepted {
    pub(super) flash_sale: FlashSale,
    pub(super) driver: Driver,
    urls: CheckedUrls,
    pub(super) backends: Arc<Backends>,
    /// Pods are replaced when it changes.
    pub(super) secrets_revision: String,
    /// The desired number of API pods.
    pub(super) replicas: i32,
}

/// How far the deletion of a FlashSale is.
#[derive(Default)]
pub(super) struct DeletionState {
    /// The Secret may be deleted before the sales are.
    pub(super) backends: Option<Arc<Backends>>,
    /// Since the first failure without a success.
    pub(super) failing: Option<Timer>,
}

impl State {
    /// Continues with a valid revision, from the status that was written last. `replicas` is the
    /// number of API pods until the first plan.
    pub(super) fn accept(
        &mut self,
        flash_sale: &FlashSale,
        valid: Valid,
        backends: Arc<Backends>,
        replicas: i32,
    ) {
        let Valid {
            settings,
            catalog,
            urls,
            secrets_revision,
        } = valid;
        let status = self.status.last_written(flash_sale);
        let mut accepted = Accepted {
            flash_sale: flash_sale.clone(),
            driver: Driver::resumed(settings, catalog, status),
            urls,
            backends,
            secrets_revision,
            replicas,
        };
        if let Some(last) = self.accepted.take() {
            accepted.replicas = last.replicas;
            if last.urls == accepted.urls {
                accepted.driver = accepted.driver.with_observed_state_of(last.driver);
                // Only a label or another key of the Secret has changed.
                accepted.secrets_revision = last.secrets_revision;
            }
        }
        self.accepted = Some(accepted);
        self.refused = None;
        self.next_step_at = None;
    }

    /// Refuses the FlashSale as it is now. Sales that are seeded go on, and no further one is
    /// seeded.
    pub(super) fn refuse(&mut self, flash_sale: &FlashSale, refused: Refused, now: Timestamp) {
        let before = self.status.last_written(flash_sale);
        let generation = flash_sale.metadata.generation;
        let status = refused.status(generation, &before, &before, now);
        self.events.extend(status::changes(&before, &status, &[]));
        if let Some(accepted) = &mut self.accepted {
            accepted.driver.stop_seeding();
        }
        self.refused = Some(refused);
        self.next_step_at = None;
    }

    /// Whether a step of the driver is due.
    pub(super) fn is_step_due(&self, now: Timestamp) -> bool {
        // A step further away than the longest interval was planned before the clock was set back.
        let is_due = |at: Timestamp| at <= now || at > now + OBSERVE_EVERY;
        self.next_step_at.is_none_or(is_due)
    }

    /// Records a step of the driver.
    pub(super) fn record_step(&mut self, step: Step, now: Timestamp) {
        if let (Some(accepted), Some(scale)) = (&mut self.accepted, step.scale) {
            let replicas = &accepted.flash_sale.spec.api.replicas;
            accepted.replicas = match scale {
                Scale::Idle => replicas.idle,
                Scale::Sale => replicas.sale,
            };
        }
        // The driver follows the last valid revision, and reports it as ready.
        let is_refused = self.refused.is_some();
        let changes = step.changes.into_iter();
        self.events
            .extend(changes.filter(|change| !(is_refused && change.reason == "Ready")));
        let latest = now + OBSERVE_EVERY;
        self.next_step_at = Some(step.next_at.map_or(latest, |next_at| next_at.min(latest)));
    }

    /// The state of a deletion; the first call takes the backends of the last valid revision.
    pub(super) fn deletion(&mut self) -> &mut DeletionState {
        let Self {
            deletion,
            accepted,
            backoff,
            next_step_at,
            ..
        } = self;
        deletion.get_or_insert_with(|| {
            backoff.reset();
            *next_step_at = None;
            DeletionState {
                backends: accepted.take().map(|accepted| accepted.backends),
                failing: None,
            }
        })
    }

    /// When to reconcile again without a failure.
    pub(super) fn requeue_after(&self, now: Timestamp) -> Duration {
        let left = self.next_step_at.map(|next| next.duration_since(now));
        let left = left.map(|left| Duration::try_from(left).unwrap_or(Duration::ZERO));
        left.unwrap_or(LONGEST_REQUEUE).min(LONGEST_REQUEUE)
    }

    /// When to reconcile again after a failed request. The next step of the driver is not delayed.
    pub(super) fn requeue_after_error(&mut self, now: Timestamp) -> Duration {
        let due = self.requeue_after(now).max(FIRST_RETRY);
        self.backoff.next().min(due)
    }
}

#[cfg(test)]
mod tests;
