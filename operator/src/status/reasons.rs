//! The reasons of conditions that report an error.

use flashsale_engine::BackendError;

use crate::backends::ActionError;

/// The reason of a condition for an error.
pub(super) fn of_error(error: &ActionError) -> &'static str {
    match error.backend_error() {
        Some(BackendError::Url { .. }) => "WrongUrl",
        Some(_) if error.backend().is_some() => "Unreachable",
        Some(_) => "Failed",
        None => "Invalid",
    }
}
