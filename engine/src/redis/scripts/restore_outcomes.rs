//! Restores outcomes that Postgres has.

use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::domain::outcome::Outcome;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;

/// Restores outcomes, at most [`super::RESTORED_AT_ONCE`]; those that are there stay as they are.
pub(crate) async fn restore_outcomes(
    redis: &impl Redis,
    keys: &SaleKeys,
    outcomes: &[(CodeSuffix, Outcome)],
) -> Result<(), BackendError> {
    super::RESTORE_OUTCOMES
        .call::<i64>(redis, &[&keys.outcomes], |command| {
            for (suffix, outcome) in outcomes {
                command
                    .arg(suffix.as_str())
                    .arg(keys.format.encode_outcome(outcome));
            }
        })
        .await
        .map(drop)
}
