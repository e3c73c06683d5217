//! What a seat of the load generator is told to do next.

use std::time::Duration;

use crate::client::answer::Answer;
use crate::client::call::Call;
use crate::profiles::run_state::RunState;

/// What a virtual user does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Calls the API, and is asked again with the answer.
    Call(Call),
    /// Waits. An open loop skips this time.
    Think(Duration),
    /// Goes; the next virtual user takes the seat.
    Leave,
}

/// Decides the calls of one virtual user. Never does I/O: the same dice and answers give
/// the same steps.
pub trait VirtualUser {
    /// The next step; `answer` is that of the call before, and `None` where the step
    /// before was no call.
    fn next(&mut self, state: &mut RunState, answer: Option<&Answer>) -> Step;

    /// The server has asked to be left alone for so long before the next call.
    fn asked_to_wait(&mut self, _pause: Duration) {}

    /// Whether leaving now would leave something half done that a later run trips over.
    fn is_busy(&self) -> bool {
        false
    }
}
