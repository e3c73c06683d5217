//! Outcomes in Postgres: group commit, and what happens when Postgres disagrees.
//!
//! Promises: a code that has an order keeps it (invariant 5); the keys of `purchases` decide
//! who has an item (invariants 1 to 3), and what they decide is what is answered. Every
//! function here can be called again with the same claims.

use std::collections::{HashMap, HashSet};

use sqlx::Connection;
use sqlx::postgres::PgConnection;

use crate::code::CheckoutCode;
use crate::error::StoreError;
use crate::postgres::Database;
use crate::record::{Claim, ItemOutcome, ItemResult, Record};

/// How often one item is tried against purchases that come in between.
const TRIES_PER_ITEM: u32 = 5;

/// How often a transaction is tried that Postgres ended for the sake of another one.
const TRIES_PER_ORDER: u32 = 5;

/// The outcome of a code as Postgres has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// What is to be answered, now and for ever.
    pub record: Record,
    /// Whether Postgres decided other than Redis, so that Redis has to be put right.
    pub corrected: bool,
    /// Whether this very commit brought it into Postgres.
    pub new: bool,
}

/// Commits claims, of one or many sales; answers their outcomes in the same order.
///
/// All that are new and free of conflict become one statement. A conflict is mostly a code that
/// somebody else has committed: those are looked up and the rest is tried once more; what still
/// stands in the way makes the claims go one by one.
pub async fn commit(db: &Database, claims: &[Claim]) -> Result<Vec<Committed>, StoreError> {
    let replayed = claims.iter().filter(|claim| claim.replayed);
    let mut known = read_if_any(db, replayed.map(code).collect()).await?;
    for last in [false, true] {
        let unknown = claims
            .iter()
            .filter(|claim| !known.contains_key(&code(claim)));
        let batch = Batch::of(unknown);
        if batch.codes.is_empty() {
            break;
        }
        let codes = batch.codes.clone();
        let inserted = db.run("commit_orders", |connection| {
            Box::pin(async move { batch.insert(connection).await })
        });
        match inserted.await {
            Ok(()) => break,
            Err(error) if is_conflict(&error) && last => {
                return resolve_all(db, claims, &known).await;
            }
            Err(error) if is_conflict(&error) => known.extend(read_if_any(db, codes).await?),
            Err(error) => return Err(error),
        }
    }
    let mut outcomes = Vec::with_capacity(claims.len());
    for claim in claims {
        outcomes.push(match known.get(&code(claim)) {
            Some(record) => Committed::as_known(claim, record),
            None => Committed {
                record: claim.record.clone(),
                corrected: false,
                new: true,
            },
        });
    }
    Ok(outcomes)
}

impl Committed {
    fn as_known(claim: &Claim, record: &Record) -> Self {
        Self {
            corrected: !record.agrees_with(&claim.record),
            record: record.clone(),
            new: false,
        }
    }
}

async fn read_if_any(
    db: &Database,
    codes: Vec<String>,
) -> Result<HashMap<String, Record>, StoreError> {
    if codes.is_empty() {
        return Ok(HashMap::new());
    }
    read(db, &codes).await
}

/// Reads the outcomes of these codes; a code without an order is not in the answer.
pub async fn read(db: &Database, codes: &[String]) -> Result<HashMap<String, Record>, StoreError> {
    let codes = codes.to_vec();
    let rows: Vec<(String, String)> = db
        .run("read_order", |connection| {
            Box::pin(async move {
                sqlx::query_as(include_str!("sql/read_orders.sql"))
                    .bind(codes)
                    .fetch_all(connection)
                    .await
            })
        })
        .await?;
    rows.into_iter()
        .map(|(code, record)| Ok((code, Record::parse(&record)?)))
        .collect()
}

/// Which of these claims Postgres has, and whether it agrees with them: the settler's cheap
/// question, which joins nothing. A code without an order is not in the answer.
pub async fn agreements(
    db: &Database,
    claims: &[Claim],
) -> Result<HashMap<String, bool>, StoreError> {
    let codes: Vec<String> = claims.iter().map(code).collect();
    let rows: Vec<(String, Vec<String>)> = db
        .run("read_order", |connection| {
            Box::pin(async move {
                sqlx::query_as(include_str!("sql/read_results.sql"))
                    .bind(codes)
                    .fetch_all(connection)
                    .await
            })
        })
        .await?;
    let mut in_postgres: HashMap<String, Vec<String>> = rows.into_iter().collect();
    let agreement = |claim: &Claim| {
        let code = code(claim);
        let results = in_postgres.remove(&code)?;
        Some((code, columns(&claim.record.results).1 == results))
    };
    Ok(claims.iter().filter_map(agreement).collect())
}

/// The whole code of a claim.
pub fn code(claim: &Claim) -> String {
    CheckoutCode::format(&claim.sale, &claim.tail)
}

/// Whether Postgres refused because of what others wrote, rather than because it is away.
fn is_conflict(error: &StoreError) -> bool {
    matches!(error, StoreError::Postgres { source: sqlx::Error::Database(e), .. }
        // Unique, check (a slot beyond a limit), deadlock, serialization, lock time-out.
        if matches!(e.code().as_deref(), Some("23505" | "23514" | "40P01" | "40001" | "55P03")))
}

/// Whether Postgres would give the same error to the same claims for ever.
pub fn is_hopeless(error: &StoreError) -> bool {
    match error {
        StoreError::Postgres {
            source: sqlx::Error::Database(e),
            ..
        } => {
            // Connection, resources, shutdown, transaction and lock trouble pass.
            let passing = ["08", "25", "40", "53", "55", "57", "58"];
            !e.code()
                .is_some_and(|code| passing.iter().any(|class| code.starts_with(class)))
        }
        StoreError::Postgres {
            source: sqlx::Error::RowNotFound,
            ..
        }
        | StoreError::Unexpected { .. } => true,
        _ => false,
    }
}

/// The arrays of `commit_orders.sql`.
#[derive(Default)]
struct Batch {
    codes: Vec<String>,
    sales: Vec<String>,
    users: Vec<String>,
    items: Vec<String>,
    results: Vec<String>,
    request_ids: Vec<String>,
    at_ms: Vec<i64>,
    bought: Bought,
}

/// The arrays of what they bought.
#[derive(Default)]
struct Bought {
    codes: Vec<String>,
    sales: Vec<String>,
    users: Vec<String>,
    items: Vec<i32>,
    user_slots: Vec<i32>,
    sale_slots: Vec<i32>,
    at_ms: Vec<i64>,
}

impl Batch {
    fn of<'c>(claims: impl Iterator<Item = &'c Claim>) -> Self {
        let mut batch = Self::default();
        let mut seen = HashSet::new();
        for claim in claims {
            let code = code(claim);
            if seen.insert(code.clone()) {
                batch.push(code, claim);
            }
        }
        batch
    }

    fn push(&mut self, code: String, claim: &Claim) {
        let record = &claim.record;
        for result in &record.results {
            if let ItemOutcome::Sold {
                user_slot,
                sale_slot,
            } = result.outcome
            {
                let bought = &mut self.bought;
                bought.codes.push(code.clone());
                bought.sales.push(claim.sale.to_string());
                bought.users.push(record.user.clone());
                bought.items.push(as_i32(result.idx));
                bought.user_slots.push(as_i32(user_slot));
                bought.sale_slots.push(as_i32(sale_slot));
                bought.at_ms.push(record.at_ms);
            }
        }
        let (items, words) = columns(&record.results);
        let join_items: Vec<String> = items.iter().map(i32::to_string).collect();
        self.items.push(join_items.join(","));
        self.results.push(words.join(","));
        self.sales.push(claim.sale.to_string());
        self.users.push(record.user.clone());
        self.request_ids.push(record.request_id.clone());
        self.at_ms.push(record.at_ms);
        self.codes.push(code);
    }

    async fn insert(self, connection: &mut PgConnection) -> Result<(), sqlx::Error> {
        sqlx::query(include_str!("sql/commit_orders.sql"))
            .bind(self.codes)
            .bind(self.sales)
            .bind(self.users)
            .bind(self.items)
            .bind(self.results)
            .bind(self.request_ids)
            .bind(self.at_ms)
            .bind(self.bought.codes)
            .bind(self.bought.sales)
            .bind(self.bought.users)
            .bind(self.bought.items)
            .bind(self.bought.user_slots)
            .bind(self.bought.sale_slots)
            .bind(self.bought.at_ms)
            .execute(connection)
            .await
            .map(drop)
    }
}

fn columns(results: &[ItemResult]) -> (Vec<i32>, Vec<&'static str>) {
    results
        .iter()
        .map(|result| (as_i32(result.idx), result.outcome.as_str()))
        .unzip()
}

/// Catalogues and limits are far below the range of an integer column.
fn as_i32(n: u32) -> i32 {
    i32::try_from(n).unwrap_or(i32::MAX)
}

async fn resolve_all(
    db: &Database,
    claims: &[Claim],
    known: &HashMap<String, Record>,
) -> Result<Vec<Committed>, StoreError> {
    let mut outcomes = Vec::with_capacity(claims.len());
    for claim in claims {
        outcomes.push(match known.get(&code(claim)) {
            Some(record) => Committed::as_known(claim, record),
            None => resolve(db, claim).await?,
        });
    }
    Ok(outcomes)
}

/// Commits one claim item by item, letting Postgres choose the slots.
async fn resolve(db: &Database, claim: &Claim) -> Result<Committed, StoreError> {
    let code = code(claim);
    let mut tries = 0;
    let (record, new) = loop {
        if let Some(record) = read(db, std::slice::from_ref(&code)).await?.remove(&code) {
            break (record, false);
        }
        let (claim, order) = (claim.clone(), code.clone());
        let resolved = db
            .run("resolve_order", |connection| {
                Box::pin(async move { resolve_in_transaction(connection, &claim, &order).await })
            })
            .await;
        tries += 1;
        match resolved {
            Ok(record) => break (record, true),
            // Somebody else committed this very code, or stood in the way: look again.
            Err(error) if is_conflict(&error) && tries < TRIES_PER_ORDER => {}
            Err(error) => return Err(error),
        }
    };
    Ok(Committed {
        corrected: record.format() != claim.record.format(),
        record,
        new,
    })
}

async fn resolve_in_transaction(
    connection: &mut PgConnection,
    claim: &Claim,
    code: &str,
) -> Result<Record, sqlx::Error> {
    let mut transaction = connection.begin().await?;
    let mut record = claim.record.clone();
    for result in &mut record.results {
        if matches!(result.outcome, ItemOutcome::Sold { .. }) {
            result.outcome = buy_one(&mut transaction, claim, code, result.idx).await?;
        }
    }
    let (items, words) = columns(&record.results);
    sqlx::query(include_str!("sql/insert_order.sql"))
        .bind(code)
        .bind(claim.sale.as_str())
        .bind(&record.user)
        .bind(items)
        .bind(words)
        .bind(&record.request_id)
        .bind(record.at_ms)
        .execute(&mut *transaction)
        .await?;
    transaction.commit().await?;
    Ok(record)
}

async fn buy_one(
    connection: &mut PgConnection,
    claim: &Claim,
    code: &str,
    idx: u32,
) -> Result<ItemOutcome, sqlx::Error> {
    for _ in 0..TRIES_PER_ITEM {
        let slots: Option<(i32, i32)> = sqlx::query_as(include_str!("sql/buy_one.sql"))
            .bind(claim.sale.as_str())
            .bind(as_i32(idx))
            .bind(&claim.record.user)
            .bind(code)
            .bind(claim.record.at_ms)
            .fetch_optional(&mut *connection)
            .await?;
        if let Some((user_slot, sale_slot)) = slots {
            return Ok(ItemOutcome::Sold {
                user_slot: user_slot.unsigned_abs(),
                sale_slot: sale_slot.unsigned_abs(),
            });
        }
        let (taken, room): (bool, bool) = sqlx::query_as(include_str!("sql/room_for_one.sql"))
            .bind(claim.sale.as_str())
            .bind(as_i32(idx))
            .bind(&claim.record.user)
            .fetch_one(&mut *connection)
            .await?;
        if taken {
            return Ok(ItemOutcome::AlreadySold);
        }
        if !room {
            break;
        }
    }
    Ok(ItemOutcome::LimitReached)
}
