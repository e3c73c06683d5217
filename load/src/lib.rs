//! Load for a flash sale: users that behave like users, numbers that can be trusted,
//! and a check of every answer against Postgres.
//!
//! The generator shares its machine with what it measures, so it runs on one thread and
//! spends little on a request. It keeps a history only where a check follows.

pub mod args;
pub mod buy;
pub mod checker;
pub mod client;
pub mod clock;
mod error;
mod execute;
pub mod fill;
pub mod measurement;
pub mod pacing;
pub mod profiles;
pub mod report;
pub mod run;

pub use error::LoadError;
pub use execute::execute;
