//! The planner: which starts of a schedule become sales, and which actions are due now.
//!
//! Guarantees: everything here is a function of values. Nothing performs I/O, reads a clock or
//! keeps state, so that the controller, the local mode and a test get the same plan for the same
//! settings, time and observed state, and a second operator or a restarted one gets it too.
//! [`validate`] turns a resource into [`Settings`], [`plan`] turns settings, the time and the
//! [`Observed`] state into a [`Plan`], and [`plan_deletion`] does so for a deleted FlashSale.

mod actions;
mod field_checks;
mod field_error;
mod history;
mod observed;
mod plan;
mod plan_deletion;
mod schedule;
mod settings;
mod starts;

pub use actions::{Action, NoNext, Plan, Scale, Upcoming};
pub use field_checks::CatalogChoice;
pub use field_error::FieldError;
pub(crate) use field_error::quoted;
pub use observed::{Observed, ObservedSale};
pub use plan::plan;
pub use plan_deletion::{DeletionAction, plan_deletion};
pub use schedule::{CronSchedule, Schedule};
pub use settings::{Settings, validate};
