//! Sells a part of the catalogue before the opening, to other users.

use anyhow::{Context, Result};
use sqlx::{Connection, PgConnection};

use crate::testbed::Testbed;

/// Stores so many purchases in Postgres and empties Redis, which the product then restores.
pub(super) async fn sell_before(testbed: &Testbed, count: u32) -> Result<()> {
    let mut connection = PgConnection::connect(&testbed.database.direct_url()).await?;
    sqlx::query(include_str!("presold.sql"))
        .bind(&testbed.sale.id)
        .bind(count.cast_signed())
        .execute(&mut connection)
        .await
        .context("the purchases of other users")?;
    testbed.redis.flush_all()
}
