//! Reads what the backends hold after a run.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use flashsale_load::checker::missing_attempts;
use flashsale_load::checker::reader::Reader;
use flashsale_load::client::catalogue::{Catalogue, ItemNo};
use flashsale_load::clock::Clock;
use jiff::Timestamp;
use sqlx::{Connection, PgConnection, Row};

use std::collections::HashSet;

use crate::history::RunHistory;
use crate::judge::{Commit, Evidence, RedisSale};
use crate::testbed::Testbed;

/// How long attempts may take to be settled after the run.
const SETTLE_LIMIT: Duration = Duration::from_secs(20);
/// A settler takes what is three seconds old, and runs every second: a row that it writes although
/// there is one already comes as late as this.
const LATE_ROWS: Duration = Duration::from_secs(6);
const READ_AGAIN_EVERY: Duration = Duration::from_millis(500);

/// The ids of a sale's items in the order of their indexes.
pub(super) async fn read_catalogue(url: &str, sale: &str) -> Result<Catalogue> {
    let mut connection = PgConnection::connect(url).await?;
    let ids: Vec<String> =
        sqlx::query_scalar("SELECT id FROM items WHERE sale_id = $1 ORDER BY idx")
            .bind(sale)
            .fetch_all(&mut connection)
            .await?;
    anyhow::ensure!(
        !ids.is_empty(),
        "expected the items of {sale} in Postgres, found none"
    );
    Ok(Catalogue::listed(sale, ids))
}

/// Waits until what was answered is settled, in bounded time, and reads everything.
pub(super) async fn read(
    history: &RunHistory,
    testbed: &Testbed,
    is_settled: bool,
    began: SystemTime,
    clock: Clock,
) -> Result<Evidence> {
    let url = testbed.database.direct_url();
    let checked = history.checked(&HashSet::new());
    let (deadline, late) = (clock.now() + SETTLE_LIMIT, clock.now() + LATE_ROWS);
    let mut reader = Reader::connect(&url).await?;
    let stored = loop {
        reader
            .await_attempts(
                &history.run,
                began,
                checked.must_be_logged(),
                deadline,
                clock,
            )
            .await?;
        tokio::time::sleep_until(late.into()).await;
        let others = checked.sales();
        let stored = reader
            .read(&history.catalogue, &others, &history.run, began)
            .await?;
        if missing_attempts(&checked, &stored) == 0 || clock.now() >= deadline {
            break stored;
        }
        tokio::time::sleep(READ_AGAIN_EVERY).await;
    };
    let mut connection = PgConnection::connect(&url).await?;
    let opening = testbed.sale.starts_at;
    let commits = read_commits(&mut connection, &testbed.sale.id, opening).await?;
    let claimed_us = read_claims(&mut connection, &testbed.sale.id, opening).await?;
    let redis = testbed
        .redis
        .sale(&testbed.sale.id)
        .context("the sale in Redis")?;
    Ok(Evidence {
        stored,
        claimed_us,
        commits,
        redis: redis.map(|(sold, outcomes)| RedisSale { sold, outcomes }),
        is_settled,
    })
}

async fn read_commits(
    connection: &mut PgConnection,
    sale: &str,
    opening: Timestamp,
) -> Result<Vec<Commit>> {
    let rows = sqlx::query(
        "SELECT code, (extract(epoch FROM ordered_at) * 1000000)::bigint AS claimed_us, \
                (extract(epoch FROM pg_xact_commit_timestamp(xmin)) * 1000000)::bigint \
                AS committed_us FROM orders WHERE sale_id = $1",
    )
    .bind(sale)
    .fetch_all(connection)
    .await?;
    let opening_us = opening.as_microsecond();
    let commits = rows.iter().map(|row| {
        let committed_us: Option<i64> = row.try_get("committed_us")?;
        Ok(Commit {
            code: Arc::from(row.try_get::<&str, _>("code")?),
            claimed_us: row.try_get::<i64, _>("claimed_us")? - opening_us,
            committed_us: committed_us.map(|us| us - opening_us),
        })
    });
    commits.collect()
}

async fn read_claims(
    connection: &mut PgConnection,
    sale: &str,
    opening: Timestamp,
) -> Result<BTreeMap<ItemNo, i64>> {
    let rows = sqlx::query(
        "SELECT item_idx, (extract(epoch FROM purchased_at) * 1000000)::bigint AS claimed_us \
           FROM purchases WHERE sale_id = $1",
    )
    .bind(sale)
    .fetch_all(connection)
    .await?;
    let opening_us = opening.as_microsecond();
    let claims = rows.iter().map(|row| {
        let item: i32 = row.try_get("item_idx")?;
        let claimed_us: i64 = row.try_get("claimed_us")?;
        // The catalogue was read in the order of the indexes.
        Ok((item.unsigned_abs(), claimed_us - opening_us))
    });
    claims.collect()
}
