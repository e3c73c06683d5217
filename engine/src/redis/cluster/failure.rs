//! Why a call has no answer.

use super::address::NodeAddress;
use super::breaker::Away;
use super::node::Later;
use super::timeouts::CALL_TIMEOUT;
use crate::domain::error::BackendError;

/// Why a call has no answer.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Failure {
    /// The node is away.
    Away(NodeAddress, Away),
    /// The time of the call, or that for which a node may refuse, is over; the last refusal, where
    /// there was one.
    OutOfTime(Option<Later>),
    /// The server answered with an error.
    Refused {
        /// The first word of the error.
        code: Option<String>,
        /// The whole error.
        message: String,
    },
}

impl Failure {
    /// The error of an operation.
    pub(super) fn into_backend_error(self, operation: &'static str) -> BackendError {
        match self {
            Self::Away(node, away) => BackendError::NodeAway {
                operation,
                node: node.to_string(),
                since: away.since,
                why: away.why.to_string(),
            },
            Self::OutOfTime(None) => BackendError::TimedOut {
                backend: "Redis",
                operation,
                after: CALL_TIMEOUT,
            },
            Self::OutOfTime(Some(refusal)) => BackendError::Redis {
                operation,
                code: Some(refusal.code().to_owned()),
                message: format!("{}: the node refuses commands for now", refusal.code()),
            },
            Self::Refused { code, .. } if code.as_deref() == Some("UNSEEDED") => {
                BackendError::Unseeded
            }
            Self::Refused { code, message } => BackendError::Redis {
                operation,
                code,
                message,
            },
        }
    }
}
