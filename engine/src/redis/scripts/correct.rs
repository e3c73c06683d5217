//! Corrects what Redis holds of one code after Postgres decided otherwise.

use crate::domain::code::CodeSuffix;
use crate::domain::error::BackendError;
use crate::domain::outcome::Outcome;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;

/// What Postgres has of a code, its user and its items.
#[derive(Debug)]
pub(crate) struct Correction<'a> {
    /// The code.
    pub suffix: CodeSuffix,
    /// Its outcome in Postgres.
    pub outcome: &'a Outcome,
    /// The user's slots in Postgres, one `0` or `1` each.
    pub user_slots: &'a str,
    /// Items that are sold.
    pub sold: &'a [u32],
    /// Items that no purchase has: those of them that the code holds in Redis are released.
    pub free: &'a [u32],
    /// Sale slots that no purchase has: those of them that the code holds in Redis are freed.
    pub free_sale_slots: &'a [u32],
    /// The highest sale slot in Postgres; 0 for none.
    pub highest_sale_slot: u32,
}

/// Applies a correction. Returns whether anything differed.
pub(crate) async fn correct(
    redis: &impl Redis,
    keys: &SaleKeys,
    correction: &Correction<'_>,
) -> Result<bool, BackendError> {
    let corrected: i64 = super::CORRECT
        .of(keys.format)
        .call(redis, &keys.all(), |command| {
            command
                .arg(correction.suffix.as_str())
                .arg(keys.format.encode_outcome(correction.outcome))
                .arg(&correction.outcome.user)
                .arg(correction.user_slots)
                .arg(join(correction.sold))
                .arg(join(correction.free))
                .arg(join(correction.free_sale_slots))
                .arg(correction.highest_sale_slot);
        })
        .await?;
    Ok(corrected == 1)
}

fn join(numbers: &[u32]) -> String {
    let texts: Vec<String> = numbers.iter().map(u32::to_string).collect();
    texts.join(",")
}
