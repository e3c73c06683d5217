//! What a process knows of itself: whether it has reached its stores, and whether it drains.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use flashsale_engine::StoreError;
use flashsale_engine::ids::RequestId;
use flashsale_engine::metrics::Metrics;
use flashsale_engine::shop::Shop;

use crate::faults::Unavailable;

/// One of the stores.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    /// Redis Cluster.
    Redis,
    /// Postgres.
    Postgres,
}

impl Store {
    fn of(error: &StoreError) -> Option<Self> {
        match error {
            StoreError::Redis { .. } | StoreError::TimedOut { store: "Redis", .. } => {
                Some(Self::Redis)
            }
            StoreError::Postgres { .. }
            | StoreError::TimedOut {
                store: "Postgres", ..
            } => Some(Self::Postgres),
            _ => None,
        }
    }
}

/// The state of a process, from its start to its end.
#[derive(Debug)]
pub struct Readiness {
    metrics: Arc<Metrics>,
    shop: OnceLock<Arc<Shop>>,
    not_reached: Mutex<Option<Store>>,
    draining: AtomicBool,
}

impl Readiness {
    /// A process that has reached nothing yet.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        Self {
            metrics,
            shop: OnceLock::new(),
            not_reached: Mutex::new(None),
            draining: AtomicBool::new(false),
        }
    }

    /// The metrics of the process.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.metrics
    }

    /// The shop, once the stores were reached.
    pub fn shop(&self) -> Option<&Arc<Shop>> {
        self.shop.get()
    }

    /// The same for a request that needs it.
    pub fn shop_for(&self, request_id: &RequestId) -> Result<&Arc<Shop>, Unavailable> {
        let detail = "this process has not reached its stores yet: ask again";
        self.shop()
            .ok_or_else(|| Unavailable::new(detail, request_id))
    }

    /// The stores were reached. Only the first shop counts.
    pub fn open(&self, shop: Arc<Shop>) {
        let _ = self.shop.set(shop);
    }

    /// A store could not be reached.
    pub fn note_failure(&self, error: &StoreError) {
        *self.lock_not_reached() = Store::of(error);
    }

    /// The store that could not be reached when it was last tried.
    pub fn not_reached(&self) -> Option<Store> {
        *self.lock_not_reached()
    }

    /// From now on this process wants no more requests.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether it wants no more requests.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Why this process should get no requests; none when it should.
    pub fn not_ready(&self) -> Option<String> {
        if self.is_draining() {
            return Some("draining".to_owned());
        }
        match self.shop() {
            Some(shop) => shop.not_ready(),
            None => Some("stores not reached yet".to_owned()),
        }
    }

    fn lock_not_reached(&self) -> std::sync::MutexGuard<'_, Option<Store>> {
        self.not_reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
