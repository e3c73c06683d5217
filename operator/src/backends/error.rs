//! Why an observation or an action failed.

use std::sync::Arc;

use flashsale_engine::{AdminError, BackendError, CatalogError};

use crate::planner::FieldError;

/// Why an observation or an action failed. No message holds a URL.
#[derive(Debug, thiserror::Error)]
pub enum ActionError {
    /// A backend failed.
    #[error(transparent)]
    Backend(#[from] BackendError),
    /// An operation on a sale failed.
    #[error(transparent)]
    Admin(#[from] AdminError),
    /// The resource and its catalogue do not fit together.
    #[error(transparent)]
    Field(#[from] FieldError),
    /// The catalogue cannot be generated.
    #[error("the catalogue: {0}")]
    Catalog(#[from] CatalogError),
    /// The error of another FlashSale with the same backends, at the same time.
    #[error(transparent)]
    Shared(Arc<ActionError>),
}

impl ActionError {
    /// `Redis` or `Postgres`, if one of them failed.
    pub fn backend(&self) -> Option<&'static str> {
        match self.backend_error()? {
            BackendError::Redis { .. }
            | BackendError::NodeAway { .. }
            | BackendError::Unseeded
            | BackendError::Promoted => Some("Redis"),
            BackendError::Postgres { .. } => Some("Postgres"),
            BackendError::TimedOut { backend, .. } | BackendError::Url { backend, .. } => {
                Some(backend)
            }
            _ => None,
        }
    }

    /// The error of the backend, if one failed.
    pub fn backend_error(&self) -> Option<&BackendError> {
        match self {
            Self::Backend(error) | Self::Admin(AdminError::Backend(error)) => Some(error),
            Self::Shared(error) => error.backend_error(),
            _ => None,
        }
    }

    /// Whether a retry cannot succeed.
    pub fn is_final(&self) -> bool {
        matches!(self.backend_error(), Some(BackendError::Url { .. }))
    }
}
