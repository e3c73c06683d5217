//! Requests to the API server.
//!
//! Guarantees: every request has a time limit, and its error is a value with whether a retry can
//! succeed.

use std::time::Duration;

/// The field manager of all that is applied, and the reporter of events.
pub(super) const FIELD_MANAGER: &str = "flashsale-operator";

/// Requests to the API server that take longer than this have failed.
pub(super) const REQUEST_TIMEOUT: Duration = Duration::from_secs(20);

/// Why a request to the API server failed.
#[derive(Debug, thiserror::Error)]
pub enum RequestError {
    /// It was refused, or could not be sent.
    #[error("Kubernetes: {}", message(.0))]
    Kube(#[from] kube::Error),
    /// The answer did not come in time.
    #[error("Kubernetes: no answer within {REQUEST_TIMEOUT:?}")]
    TimedOut,
}

impl RequestError {
    pub(super) fn is_not_found(&self) -> bool {
        // The answer for a path that is not served has no reason.
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.code == 404)
    }

    /// Whether the API server refuses the same request again.
    pub(super) fn is_refused(&self) -> bool {
        let refused = 400..=499;
        // A conflict and too many requests are temporary.
        matches!(self, Self::Kube(kube::Error::Api(status))
            if refused.contains(&status.code) && status.code != 409 && status.code != 429)
    }
}

/// The message of the API server without the whole answer, which repeats it.
fn message(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Waits for an answer of the API server, at most [`REQUEST_TIMEOUT`].
pub(super) async fn request<T>(
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, RequestError> {
    match tokio::time::timeout(REQUEST_TIMEOUT, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(RequestError::TimedOut),
    }
}
