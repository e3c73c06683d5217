//! Audits a closed sale: compares Redis and Postgres item by item.

use std::collections::BTreeSet;

use crate::domain::error::BackendError;
use crate::domain::lifecycle::SaleRecord;
use crate::domain::sale::SaleId;
use crate::postgres::operations::{PAGE, Postgres};
use crate::recovery::restore::Restorer;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;
use crate::redis::sale_state;
use crate::redis::scripts::release::release;

/// Items that one script call releases.
const CHUNK: usize = 1_000;

/// Compares Redis with Postgres and changes Redis where they differ. Returns how many items are sold,
/// where both agreed.
pub(crate) async fn audit<R: Redis>(
    postgres: &impl Postgres,
    restorer: &Restorer<R>,
    record: &SaleRecord,
) -> Result<Option<u32>, BackendError> {
    let redis = &restorer.redis;
    let keys = SaleKeys::new(&record.sale.id, restorer.newest_format.of(&record.sale)?);
    let in_postgres = read_sold_items(postgres, &record.sale.id).await?;
    let in_redis = set_bits(&sale_state::sold_bitmap(redis, &keys).await?);
    if in_redis == in_postgres {
        return Ok(Some(u32::try_from(in_postgres.len()).unwrap_or(u32::MAX)));
    }
    let only_in_redis: Vec<u32> = in_redis.difference(&in_postgres).copied().collect();
    tracing::warn!(
        sale = %record.sale.id,
        only_in_redis = only_in_redis.len(),
        only_in_postgres = in_postgres.difference(&in_redis).count(),
        "Redis and Postgres differ at the close: Redis is changed to what Postgres has"
    );
    for chunk in only_in_redis.chunks(CHUNK) {
        release(redis, &keys, chunk).await?;
    }
    restorer
        .restore(postgres, &record.sale, record.stage())
        .await?;
    Ok(None)
}

async fn read_sold_items(
    postgres: &impl Postgres,
    id: &SaleId,
) -> Result<BTreeSet<u32>, BackendError> {
    let mut sold = BTreeSet::new();
    let mut from = 0;
    loop {
        let page = postgres.read_sold_items(id, from).await?;
        sold.extend(&page);
        match page.last() {
            Some(idx) if page.len() == PAGE => from = idx + 1,
            _ => return Ok(sold),
        }
    }
}

/// The positions of the ones, as Redis counts them: from the highest bit of the first byte.
fn set_bits(bitmap: &[u8]) -> BTreeSet<u32> {
    let mut set = BTreeSet::new();
    for (byte, bits) in (0_u32..).zip(bitmap) {
        for bit in 0..8 {
            if bits & (0x80 >> bit) != 0 {
                set.insert(byte * 8 + bit);
            }
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bits_count_from_the_highest_of_the_first_byte() {
        let set = set_bits(&[0b1000_0001, 0b0100_0000]);
        assert_eq!(set.into_iter().collect::<Vec<_>>(), [0, 7, 9]);
    }
}
