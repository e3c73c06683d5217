//! Pages of a sale's rows.

use sqlx::postgres::PgRow;

use crate::domain::error::BackendError;
use crate::domain::sale::SaleId;
use crate::postgres::operations::PAGE;
use crate::postgres::pool::PostgresPool;
use crate::postgres::session::Session;

/// One page of a sale's rows, by a statement that takes the sale, where to go on, and how many.
pub(super) async fn read_page<R, K>(
    pool: &PostgresPool,
    operation: &'static str,
    sql: &'static str,
    sale: &SaleId,
    from: K,
) -> Result<Vec<R>, BackendError>
where
    R: for<'r> sqlx::FromRow<'r, PgRow> + Send + Unpin + 'static,
    K: for<'q> sqlx::Encode<'q, sqlx::Postgres> + sqlx::Type<sqlx::Postgres> + Send + 'static,
{
    let sale = sale.to_string();
    pool.run_long(operation, move |session| {
        Box::pin(async move {
            in_index_order(session).await?;
            sqlx::query_as(sql)
                .bind(sale)
                .bind(from)
                .bind(PAGE as i64)
                .fetch_all(session)
                .await
        })
    })
    .await
}

/// Has the transaction of a session read pages in the order of an index.
pub(super) async fn in_index_order(session: &mut Session) -> Result<(), sqlx::Error> {
    sqlx::query(include_str!("sql/read_in_index_order.sql"))
        .execute(session)
        .await
        .map(drop)
}

/// Catalogues and limits are far below the range of an integer column.
pub(super) fn as_i32(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}
