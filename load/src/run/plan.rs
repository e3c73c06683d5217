//! What a run is to do.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::client::connection::Target;
use crate::profiles::profile::Profile;

/// What is to be done, with every default filled in.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Kind of load.
    pub profile: Profile,
    /// Where to; never empty.
    pub targets: Vec<Arc<Target>>,
    /// Length of the run.
    pub duration: Duration,
    /// Connections over all targets.
    pub connections: u32,
    /// Requests per second of an open loop; `None` for a closed loop.
    pub rate: Option<f64>,
    /// Virtual users at the same time; checkout and refused: different users to draw from.
    pub users: u32,
    /// The rng seed of the virtual users.
    pub seed: u64,
    /// Folder for the report.
    pub report: Option<PathBuf>,
    /// File for the JSON.
    pub json: Option<PathBuf>,
    /// File with the checkout codes of filled carts.
    pub carts: Option<PathBuf>,
    /// Waits for the start of this sale, and begins with it.
    pub sale: Option<String>,
    /// Database to check against.
    pub postgres: Option<String>,
    /// How long the database may be away.
    pub postgres_timeout: Duration,
    /// Not selling everything is a fault.
    pub until_sold_out: bool,
    /// Errors do not fail the run.
    pub expect_errors: bool,
    /// How long to wait for a sale.
    pub sale_start_timeout: Duration,
    /// Longest wait for an answer.
    pub timeout: Duration,
    /// No progress.
    pub quiet: bool,
}
