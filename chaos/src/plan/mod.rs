//! What a run does to the product, and when.
//!
//! Pure: a scenario, or an rng seed and a length, give the same plan every time. A plan is a list
//! of faults that do not overlap, with their moments relative to the opening of the sale.

mod fault;
mod scenario;
mod seeded;
mod splitmix;

pub use fault::{Fault, Kind, Link, LinkFault, Master, SlotOf};
pub use scenario::Scenario;
pub use seeded::{SHORTEST_SEED_SECONDS, plan_of_seed};

use serde::Serialize;

/// How many API processes a run has.
pub const API_PROCESSES: usize = 2;

/// One fault of a plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct PlannedFault {
    /// When it begins, in milliseconds after the opening of the sale; negative before it.
    pub at_ms: i64,
    /// How long it lasts, in milliseconds.
    pub for_ms: u64,
    /// What it is.
    pub fault: Fault,
}

impl PlannedFault {
    /// When it ends, in milliseconds after the opening of the sale.
    #[must_use]
    pub fn ends_ms(&self) -> i64 {
        self.at_ms.saturating_add_unsigned(self.for_ms)
    }
}

/// What a run does.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The scenario's name, or `seed-<number>`.
    pub name: String,
    /// How long the sale is open.
    pub sale_seconds: u32,
    /// The size of the catalogue; `None`: enough for the rate.
    pub items: Option<u32>,
    /// Items that are sold, to other users, before the sale opens.
    pub sold_before: u32,
    /// A run with fewer answered purchases shows too little.
    pub fewest_purchases: usize,
    /// The faults in the order of their moments.
    pub faults: Vec<PlannedFault>,
}

impl Plan {
    /// What has to stand between the processes for these faults.
    #[must_use]
    pub fn requirements(&self) -> Requirements {
        let mut requirements = Requirements::default();
        for PlannedFault { fault, .. } in &self.faults {
            match fault {
                Fault::Network { link, .. } => match link {
                    Link::RedisMaster(_) => requirements.redis_proxies = true,
                    Link::Postgres => requirements.postgres_proxy = true,
                },
                Fault::PromoteLaggingStandby { .. } => {
                    requirements.postgres_proxy = true;
                    requirements.standby = true;
                }
                Fault::SkewClock { .. } => requirements.fake_time = true,
                _ => {}
            }
        }
        requirements
    }
}

/// What a plan needs beside the processes of every run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Requirements {
    /// A proxy in front of each Redis node.
    pub redis_proxies: bool,
    /// A proxy in front of Postgres.
    pub postgres_proxy: bool,
    /// A standby of Postgres.
    pub standby: bool,
    /// API processes whose clocks can be set (libfaketime).
    pub fake_time: bool,
}

#[cfg(test)]
mod tests;
