//! The state of a process: whether it has connected to its backends, and whether it drains.
//!
//! Guarantees: a process that drains or has not connected is not ready; afterwards the selling
//! service decides (`SellingService::not_ready` of the engine).

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use flashsale_engine::{Ambient, BackendError, Metrics, RequestId};

use crate::responses::Unavailable;
use crate::selling::Selling;

/// One of the backends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Backend {
    /// Redis Cluster.
    Redis,
    /// Postgres.
    Postgres,
}

impl Backend {
    fn of(error: &BackendError) -> Option<Self> {
        match error {
            BackendError::Redis { .. }
            | BackendError::NodeAway { .. }
            | BackendError::TimedOut {
                backend: "Redis", ..
            } => Some(Self::Redis),
            BackendError::Postgres { .. }
            | BackendError::TimedOut {
                backend: "Postgres",
                ..
            } => Some(Self::Postgres),
            _ => None,
        }
    }
}

/// The state of a process, from its start to its end.
#[derive(Debug)]
pub struct Readiness {
    ambient: Ambient,
    selling: OnceLock<Arc<Selling>>,
    unreachable: Mutex<Option<Backend>>,
    draining: AtomicBool,
}

impl Readiness {
    /// The state of a process that has no connections yet.
    pub fn new(ambient: Ambient) -> Self {
        Self {
            ambient,
            selling: OnceLock::new(),
            unreachable: Mutex::new(None),
            draining: AtomicBool::new(false),
        }
    }

    /// Metrics, time and randomness of the process.
    pub fn ambient(&self) -> &Ambient {
        &self.ambient
    }

    /// The metrics of the process.
    pub fn metrics(&self) -> &Arc<Metrics> {
        &self.ambient.metrics
    }

    /// The selling service; none before the backends are connected.
    pub fn selling(&self) -> Option<&Arc<Selling>> {
        self.selling.get()
    }

    /// The selling service for a request; 503 before the backends are connected.
    pub fn selling_for(&self, request_id: &RequestId) -> Result<&Arc<Selling>, Unavailable> {
        let detail = "this process has no connection to its backends yet: send the request again";
        self.selling()
            .ok_or_else(|| Unavailable::new(detail, request_id))
    }

    /// Stores the selling service once the backends are connected. Only the first call counts.
    pub fn set_selling(&self, selling: Arc<Selling>) {
        let _ = self.selling.set(selling);
    }

    /// Stores which backend failed to connect.
    pub fn set_failure(&self, error: &BackendError) {
        *self.lock_unreachable() = Backend::of(error);
    }

    /// The backend that failed the last attempt to connect.
    pub fn unreachable_backend(&self) -> Option<Backend> {
        *self.lock_unreachable()
    }

    /// Starts the drain: the process is not ready any more.
    pub fn start_drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether the process drains.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Why this process should get no requests; none where it is ready.
    pub fn not_ready(&self) -> Option<String> {
        if self.is_draining() {
            return Some("draining".to_owned());
        }
        match self.selling() {
            Some(selling) => selling.not_ready(),
            None => Some("backends not reached yet".to_owned()),
        }
    }

    fn lock_unreachable(&self) -> std::sync::MutexGuard<'_, Option<Backend>> {
        self.unreachable
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
