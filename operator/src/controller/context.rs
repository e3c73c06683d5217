//! What all reconciliations share.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flashsale_engine::Clock;
use kube::{Client, ResourceExt};

use super::event_publisher::EventRecorder;
use super::metrics::Metrics;
use super::state::State;
use super::watches::Caches;
use crate::backends::SharedBackends;
use crate::resources::PodDefaults;

/// The state of one FlashSale. The lock is free whenever a reconciliation starts, because kube-rs
/// runs one at a time for each object.
type SharedState = Arc<tokio::sync::Mutex<State>>;

/// What all reconciliations of a term of leadership share.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) clock: Clock,
    pub(super) events: EventRecorder,
    pub(super) metrics: Arc<Metrics>,
    pub(super) pod_defaults: PodDefaults,
    pub(super) caches: Caches,
    pub(super) backends: SharedBackends,
    pub(super) states: States,
}

/// The states of all FlashSales, by uid.
#[derive(Default)]
pub(super) struct States {
    by_uid: Mutex<HashMap<String, SharedState>>,
}

impl States {
    fn lock(&self) -> MutexGuard<'_, HashMap<String, SharedState>> {
        self.by_uid.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The state of a FlashSale, an empty one at first.
    pub(super) fn of(&self, flash_sale: &impl ResourceExt) -> SharedState {
        let uid = flash_sale.uid().unwrap_or_default();
        self.lock().entry(uid).or_default().clone()
    }

    /// Drops the state of a FlashSale.
    pub(super) fn remove(&self, flash_sale: &impl ResourceExt) {
        self.lock().remove(&flash_sale.uid().unwrap_or_default());
    }

    /// Drops the states of all other FlashSales: one whose finalizer was removed by hand is deleted
    /// without a last reconciliation.
    pub(super) fn retain(&self, uids: &HashSet<String>) {
        self.lock().retain(|uid, _| uids.contains(uid));
    }

    /// The number of FlashSales.
    pub(super) fn count(&self) -> usize {
        self.lock().len()
    }
}
