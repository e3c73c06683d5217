//! Which items of a sale are sold, in Postgres and in Redis.

use std::collections::BTreeSet;

use crate::domain::error::BackendError;
use crate::domain::sale::SaleId;
use crate::postgres::operations::{PAGE, Postgres};
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;
use crate::redis::sale_state;

/// The items that Postgres has as sold.
pub(super) async fn sold_in_postgres(
    postgres: &impl Postgres,
    id: &SaleId,
) -> Result<BTreeSet<u32>, BackendError> {
    let mut sold = BTreeSet::new();
    read_sold(postgres, id, |page| sold.extend(page)).await?;
    Ok(sold)
}

/// Reads the items that Postgres has as sold, page by page.
async fn read_sold(
    postgres: &impl Postgres,
    id: &SaleId,
    mut take: impl FnMut(&[u32]) + Send,
) -> Result<(), BackendError> {
    let mut from = 0;
    loop {
        let page = postgres.read_sold_items(id, from).await?;
        take(&page);
        match page.last() {
            Some(idx) if page.len() == PAGE => from = idx + 1,
            _ => return Ok(()),
        }
    }
}

/// The items that Redis has as sold.
pub(super) async fn sold_in_redis(
    redis: &impl Redis,
    keys: &SaleKeys,
) -> Result<BTreeSet<u32>, BackendError> {
    let bitmap = sale_state::sold_bitmap(redis, keys).await?;
    Ok(set_bits(&bitmap))
}

/// The items that Postgres has as sold and Redis has not.
pub(super) async fn missing_in_redis(
    postgres: &impl Postgres,
    redis: &impl Redis,
    id: &SaleId,
    keys: &SaleKeys,
) -> Result<Vec<u32>, BackendError> {
    let bitmap = sale_state::sold_bitmap(redis, keys).await?;
    let mut missing = Vec::new();
    let take = |page: &[u32]| {
        missing.extend(page.iter().copied().filter(|idx| !is_set(&bitmap, *idx)));
    };
    read_sold(postgres, id, take).await?;
    Ok(missing)
}

/// Whether a bit is one, as Redis counts them: from the highest bit of the first byte.
fn is_set(bitmap: &[u8], idx: u32) -> bool {
    let byte = bitmap.get(idx as usize / 8);
    byte.is_some_and(|bits| bits & (0x80 >> (idx % 8)) != 0)
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
        let bitmap = [0b1000_0001, 0b0100_0000];
        let set = (0..24).filter(|idx| is_set(&bitmap, *idx));
        assert_eq!(set.collect::<Vec<_>>(), [0, 7, 9]);
    }
}
