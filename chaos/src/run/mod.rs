//! One run: the testbed, the users, the faults, and what the backends hold afterwards.

mod evidence;
mod faults;
mod play;
mod presold;
mod rate;
mod redis_faults;

pub use play::{Outcome, Run, play};
pub use rate::quarter_of_highest_rate;
