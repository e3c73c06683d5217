//! What the resource reports: its status, its conditions, and the changes that become events.
//!
//! Guarantees: everything here is a function of values, so that the controller and the local mode
//! report the same. A status is computed from the one before it: the time of a condition moves only
//! when its status does, so a status in which nothing has changed is equal to the one before and
//! need not be written. Statuses are written, and events published, in [`crate::controller`].

mod api_pods;
mod conditions;
mod events;
mod reasons;
mod refusal;
mod sales;

pub use api_pods::{ApiPods, with_api_pods};
pub use conditions::{Health, resumed_at};
pub use events::{Change, changes};
pub use refusal::{Refusal, refused};
pub use sales::{before_first_observation, of_flash_sale, status};

#[cfg(test)]
mod tests;
