//! The state of a process: whether it has reached its backends, and whether it drains.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use flashsale_engine::{Ambient, BackendError, Metrics, RequestId};

use crate::Selling;
use crate::responses::common_responses::Unavailable;

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
    not_reached: Mutex<Option<Backend>>,
    draining: AtomicBool,
}

impl Readiness {
    /// A process that has reached nothing yet.
    pub fn new(ambient: Ambient) -> Self {
        Self {
            ambient,
            selling: OnceLock::new(),
            not_reached: Mutex::new(None),
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

    /// The selling service, once the backends were reached.
    pub fn selling(&self) -> Option<&Arc<Selling>> {
        self.selling.get()
    }

    /// The same for a request that needs it.
    pub fn selling_for(&self, request_id: &RequestId) -> Result<&Arc<Selling>, Unavailable> {
        let detail = "this process has not reached its backends yet: ask again";
        self.selling()
            .ok_or_else(|| Unavailable::new(detail, request_id))
    }

    /// Notes that the backends were reached. Only the first service counts.
    pub fn open(&self, selling: Arc<Selling>) {
        let _ = self.selling.set(selling);
    }

    /// Notes that a backend could not be reached.
    pub fn note_failure(&self, error: &BackendError) {
        *self.lock_not_reached() = Backend::of(error);
    }

    /// The backend that could not be reached when it was last tried.
    pub fn not_reached(&self) -> Option<Backend> {
        *self.lock_not_reached()
    }

    /// From now on this process takes no more requests.
    pub fn drain(&self) {
        self.draining.store(true, Ordering::Relaxed);
    }

    /// Whether it takes no more requests.
    pub fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    /// Why this process should get no requests; none when it should.
    pub fn not_ready(&self) -> Option<String> {
        if self.is_draining() {
            return Some("draining".to_owned());
        }
        match self.selling() {
            Some(selling) => selling.not_ready(),
            None => Some("backends not reached yet".to_owned()),
        }
    }

    fn lock_not_reached(&self) -> std::sync::MutexGuard<'_, Option<Backend>> {
        self.not_reached
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }
}
