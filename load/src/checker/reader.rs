//! Reads from Postgres what the checker compares the answers with.
//!
//! Only reads, on one connection; every statement is bounded in time. A reader whose
//! connection broke is of no use any more: connect again.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use futures_util::TryStreamExt;
use sqlx::postgres::PgRow;
use sqlx::{Connection, PgConnection, Row};

use crate::checker::stored_rows::{
    AttemptRow, OrderRow, PurchaseRow, SaleRow, StoredRows, StoredSale,
};
use crate::client::answer::Problem;
use crate::client::catalogue::{Catalogue, ItemNo};
use crate::client::run_id::RunId;
use crate::clock::Clock;
use crate::error::LoadError;

/// A statement that takes longer has failed.
const STATEMENT_LIMIT: Duration = Duration::from_secs(60);
const CONNECT_LIMIT: Duration = Duration::from_secs(10);
const POLL_EVERY: Duration = Duration::from_millis(250);
/// The clocks of the API processes may be behind this one by as much.
const CLOCK_SKEW: Duration = Duration::from_secs(300);

/// A reader of one database.
pub struct Reader {
    connection: PgConnection,
}

fn failed(what: &'static str) -> impl Fn(sqlx::Error) -> LoadError {
    move |source| LoadError::Postgres { what, source }
}

impl Reader {
    /// Connects, and sees whether the tables are there.
    ///
    /// # Errors
    /// When Postgres does not answer within ten seconds, or has other tables.
    pub async fn connect(url: &str) -> Result<Self, LoadError> {
        let what = "nothing yet (connecting)";
        let mut connection = tokio::time::timeout(CONNECT_LIMIT, PgConnection::connect(url))
            .await
            .map_err(|_| failed(what)(sqlx::Error::PoolTimedOut))?
            .map_err(failed(what))?;
        sqlx::query("SELECT set_config('statement_timeout', $1, false)")
            .bind(STATEMENT_LIMIT.as_millis().to_string())
            .execute(&mut connection)
            .await
            .map_err(failed(what))?;
        sqlx::query("SELECT FROM sales, items, orders, purchases, checkout_attempts LIMIT 0")
            .execute(&mut connection)
            .await
            .map_err(failed("the tables"))?;
        Ok(Self { connection })
    }

    /// Waits until as many attempts of the run are stored, or until the deadline:
    /// what is missing then is for the checker to say.
    ///
    /// # Errors
    /// When Postgres fails.
    pub async fn await_attempts(
        &mut self,
        run: &RunId,
        since: SystemTime,
        expected: u64,
        deadline: Instant,
        clock: Clock,
    ) -> Result<(), LoadError> {
        loop {
            let stored: i64 = sqlx::query_scalar(
                "SELECT count(*) FROM checkout_attempts \
                  WHERE attempted_at >= to_timestamp($1) AND starts_with(request_id, $2)",
            )
            .bind(epoch_s(since))
            .bind(prefix(run))
            .fetch_one(&mut self.connection)
            .await
            .map_err(failed("the number of attempts"))?;
            if stored.unsigned_abs() >= expected || clock.now() >= deadline {
                return Ok(());
            }
            tokio::time::sleep(POLL_EVERY).await;
        }
    }

    /// Reads everything about the catalogue's sale and the `others` that there are, and the
    /// attempts of the run.
    ///
    /// # Errors
    /// When Postgres fails or does not know the catalogue's sale.
    pub async fn read(
        &mut self,
        catalogue: &Catalogue,
        others: &[&str],
        run: &RunId,
        since: SystemTime,
    ) -> Result<StoredRows, LoadError> {
        let own = catalogue.sale();
        let mut sales = Vec::new();
        for id in others.iter().copied().filter(|id| *id != own).chain([own]) {
            match self.sale(id, catalogue).await? {
                Some(sale) => sales.push(sale),
                // A code of a sale that is not there has no order: the checker says so.
                None if id != own => {}
                None => {
                    let what = format!("sale {id}");
                    return Err(LoadError::NotInPostgres { what });
                }
            }
        }
        let attempts = self.attempts(catalogue, run, since).await?;
        Ok(StoredRows { sales, attempts })
    }

    async fn sale(
        &mut self,
        id: &str,
        catalogue: &Catalogue,
    ) -> Result<Option<StoredSale>, LoadError> {
        let Some(row) = self.sale_row(id).await? else {
            return Ok(None);
        };
        let items = self.items(id, catalogue).await?;
        // Orders first: the purchases of an order are committed together with it, so
        // those of every order seen here are seen below.
        let orders = self.orders(id, &items).await?;
        let purchases = self.purchases(id, &items).await?;
        Ok(Some(StoredSale {
            id: id.to_owned(),
            row,
            purchases,
            orders,
        }))
    }

    async fn sale_row(&mut self, id: &str) -> Result<Option<SaleRow>, LoadError> {
        let failed = failed("the sale");
        let row = sqlx::query("SELECT per_user, total_limit, best_effort FROM sales WHERE id = $1")
            .bind(id)
            .fetch_optional(&mut self.connection)
            .await
            .map_err(&failed)?;
        let Some(row) = row else {
            return Ok(None);
        };
        let number = |column| row.try_get::<i32, _>(column).map(i32::unsigned_abs);
        Ok(Some(SaleRow {
            per_user: number("per_user").map_err(&failed)?,
            total_limit: number("total_limit").map_err(&failed)?,
            best_effort: row.try_get("best_effort").map_err(&failed)?,
        }))
    }

    /// The catalogue's number of each item of a sale by its index in Postgres.
    async fn items(&mut self, sale: &str, catalogue: &Catalogue) -> Result<Items, LoadError> {
        let failed = failed("the items");
        let mut rows = sqlx::query("SELECT idx, id FROM items WHERE sale_id = $1")
            .bind(sale)
            .fetch(&mut self.connection);
        let mut numbers = HashMap::with_capacity(catalogue.count() as usize);
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            let id: &str = row.try_get("id").map_err(&failed)?;
            if let Some(item) = catalogue.item(id) {
                numbers.insert(row.try_get("idx").map_err(&failed)?, item);
            }
        }
        Ok(Items {
            numbers,
            all_known: sale == catalogue.sale(),
        })
    }

    async fn orders(&mut self, sale: &str, items: &Items) -> Result<Vec<OrderRow>, LoadError> {
        let failed = failed("the orders");
        let mut rows =
            sqlx::query("SELECT code, user_id, items, results FROM orders WHERE sale_id = $1")
                .bind(sale)
                .fetch(&mut self.connection);
        let mut orders = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            let indices: Vec<i32> = row.try_get("items").map_err(&failed)?;
            let words: Vec<String> = row.try_get("results").map_err(&failed)?;
            let mut results = Vec::with_capacity(indices.len());
            for (index, word) in indices.iter().zip(&words) {
                if let Some(item) = items.at(*index)? {
                    results.push((item, result(word)));
                }
            }
            orders.push(OrderRow {
                code: text(&row, "code").map_err(&failed)?,
                user: text(&row, "user_id").map_err(&failed)?,
                results,
            });
        }
        Ok(orders)
    }

    async fn purchases(
        &mut self,
        sale: &str,
        items: &Items,
    ) -> Result<Vec<PurchaseRow>, LoadError> {
        let failed = failed("the purchases");
        let mut rows =
            sqlx::query("SELECT item_idx, user_id, code FROM purchases WHERE sale_id = $1")
                .bind(sale)
                .fetch(&mut self.connection);
        let mut purchases = Vec::new();
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            let index = row.try_get("item_idx").map_err(&failed)?;
            let Some(item) = items.at(index)? else {
                continue;
            };
            purchases.push(PurchaseRow {
                item,
                user: text(&row, "user_id").map_err(&failed)?,
                code: text(&row, "code").map_err(&failed)?,
            });
        }
        Ok(purchases)
    }

    async fn attempts(
        &mut self,
        catalogue: &Catalogue,
        run: &RunId,
        since: SystemTime,
    ) -> Result<Vec<AttemptRow>, LoadError> {
        let failed = failed("the attempts");
        let mut rows = sqlx::query(
            "SELECT request_id, sale_id, user_id, item_id, code, outcome FROM checkout_attempts \
              WHERE attempted_at >= to_timestamp($1) AND starts_with(request_id, $2)",
        )
        .bind(epoch_s(since))
        .bind(prefix(run))
        .fetch(&mut self.connection);
        let mut attempts = Vec::new();
        // Next to always that of the row before.
        let mut last_sale: Option<Arc<str>> = None;
        while let Some(row) = rows.try_next().await.map_err(&failed)? {
            let word = |column| row.try_get::<Option<&str>, _>(column).map_err(&failed);
            let Some(request) = word("request_id")?.and_then(|id| run.request_no(id)) else {
                continue;
            };
            let sale = word("sale_id")?;
            if last_sale.as_deref() != sale {
                last_sale = sale.map(Arc::from);
            }
            attempts.push(AttemptRow {
                request,
                sale: last_sale.clone(),
                user: word("user_id")?.map(Into::into),
                item: word("item_id")?.and_then(|id| catalogue.item(id)),
                code: word("code")?.map(Into::into),
                outcome: word("outcome")?.unwrap_or_default().into(),
            });
        }
        Ok(attempts)
    }
}

fn text(row: &PgRow, column: &str) -> Result<Arc<str>, sqlx::Error> {
    row.try_get::<&str, _>(column).map(Arc::from)
}

/// The items of one sale.
struct Items {
    numbers: HashMap<i32, ItemNo>,
    /// Whether it is the sale whose catalogue the API has listed.
    all_known: bool,
}

impl Items {
    /// `None`: an item of another sale that this run cannot have bought.
    fn at(&self, index: i32) -> Result<Option<ItemNo>, LoadError> {
        match self.numbers.get(&index) {
            None if self.all_known => Err(LoadError::NotInPostgres {
                what: format!("item {index} of the catalogue that the API lists"),
            }),
            item => Ok(item.copied()),
        }
    }
}

fn result(word: &str) -> Option<Problem> {
    match word {
        "sold" => None,
        "already_sold" => Some(Problem::AlreadySold),
        "limit_reached" => Some(Problem::LimitReached),
        _ => Some(Problem::Other),
    }
}

fn prefix(run: &RunId) -> String {
    format!("{}-", run.as_str())
}

fn epoch_s(since: SystemTime) -> f64 {
    since
        .checked_sub(CLOCK_SKEW)
        .and_then(|start| start.duration_since(UNIX_EPOCH).ok())
        .map_or(0.0, |since| since.as_secs_f64())
}
