//! Audits a closed sale: compares Redis and Postgres item by item.

use crate::domain::error::BackendError;
use crate::domain::lifecycle::SaleRecord;
use crate::postgres::operations::Postgres;
use crate::recovery::restore::Restorer;
use crate::recovery::sold_items::{sold_in_postgres, sold_in_redis};
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;
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
    let in_postgres = sold_in_postgres(postgres, &record.sale.id).await?;
    let in_redis = sold_in_redis(redis, &keys).await?;
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
