//! What a seat of the load generator is told to do next.

use std::time::Duration;

use crate::answer::Answer;
use crate::call::Call;
use crate::market::Market;

/// What a visitor does next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Step {
    /// Calls the API, and is asked again with the answer.
    Call(Call),
    /// Waits. Where a rate paces the run this time is skipped.
    Think(Duration),
    /// Goes; the next visitor takes the seat.
    Leave,
}

/// Decides the calls of one visitor. Never does I/O: the same dice and answers give
/// the same steps.
pub trait Visitor {
    /// The next step; `answer` is that of the call before, and `None` where the step
    /// before was no call.
    fn next(&mut self, market: &mut Market, answer: Option<&Answer>) -> Step;

    /// The server has asked to be left alone for so long before the next call.
    fn asked_to_wait(&mut self, _pause: Duration) {}

    /// Whether leaving now would leave something half done that a later run trips over.
    fn is_busy(&self) -> bool {
        false
    }
}
