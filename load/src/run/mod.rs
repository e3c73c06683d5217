//! A run: a sale, virtual users on their seats, and what they share.
//!
//! Guarantees: a run ends in time, with its sale, or by an interrupt; calls that were sent are
//! waited for, and nothing keeps running afterwards.

pub mod check;
mod end_of_sale;
pub mod interrupt;
pub mod plan;
pub mod progress;
pub mod stage;
pub mod stress;

use std::cell::RefCell;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::checker::history::History;
use crate::client::catalogue::{Catalogue, ItemNo};
use crate::client::connection::Target;
use crate::client::pool::Pool;
use crate::client::run_id::RunId;
use crate::clock::Clock;
use crate::measurement::recorder::Recorder;
use crate::profiles::profile::Profile;
use crate::profiles::run_state::RunState;
use crate::run::interrupt::Interrupt;

/// How far a clock of the API may be ahead of this one at the close.
const CLOCK_SKEW: Duration = Duration::from_secs(1);

/// What a run works on.
pub struct Run {
    /// The time.
    pub clock: Clock,
    /// Its name.
    pub id: RunId,
    /// The kind of virtual users.
    pub profile: Profile,
    /// See [`Profile::virtual user`].
    pub users: u32,
    /// Virtual users at the same time.
    pub seats: u32,
    /// Where the API is.
    pub targets: Vec<Arc<Target>>,
    /// The items of the sale.
    pub catalogue: Catalogue,
    /// For how long the sale had been open when the run began, where the API says so.
    pub open_for: Option<Duration>,
    /// When the sale starts, where it had not started when the run was prepared.
    pub starts_at: Option<Instant>,
    /// When the sale ends, where the API says so.
    pub closes_at: Option<Instant>,
    /// Items that were sold before the run; only the profile `refused` asks for them.
    pub sold_before: Rc<[ItemNo]>,
    /// What the virtual users share.
    pub state: RefCell<RunState>,
    /// The connections.
    pub pool: Pool,
    /// The counts.
    pub recorder: RefCell<Recorder>,
    /// The calls, where a check follows.
    pub history: Option<RefCell<History>>,
    /// Whether it is to end.
    pub interrupt: Interrupt,
}

impl Run {
    /// Whether the sale has ended or is about to.
    pub(crate) fn close_is_due(&self) -> bool {
        self.closes_at
            .is_some_and(|at| self.clock.now() + CLOCK_SKEW >= at)
    }
}

/// Why a stage ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Ending {
    /// Its time was up.
    TimeUp,
    /// Everything was sold.
    SoldOut,
    /// The sale ended, or another one began.
    SaleEnded,
    /// Every item has been offered once; only the profile `mixed` goes by that.
    CatalogueUsedUp,
    /// Every cart that was filled before the run is bought; only the profile `purchases`.
    CartsUsedUp,
    /// Ctrl-C or SIGTERM.
    Interrupted,
}
