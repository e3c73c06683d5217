//! The view `order_outcomes`, and the outcomes in `orders`.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};

use crate::domain::code::{CheckoutCode, CodeSuffix};
use crate::domain::error::BackendError;
use crate::domain::outcome::{ItemOutcome, ItemResult, ItemResultKind, Outcome};
use crate::domain::sale::SaleId;
use crate::postgres::page::read_page;
use crate::postgres::pool::PostgresPool;

/// A row of the view.
struct OutcomeRow {
    code: String,
    user_id: String,
    request_id: String,
    at_ms: i64,
    items: Vec<i32>,
    results: Vec<String>,
    user_slots: Vec<i32>,
    sale_slots: Vec<i32>,
}

impl FromRow<'_, PgRow> for OutcomeRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            code: row.try_get("code")?,
            user_id: row.try_get("user_id")?,
            request_id: row.try_get("request_id")?,
            at_ms: row.try_get("at_ms")?,
            items: row.try_get("items")?,
            results: row.try_get("results")?,
            user_slots: row.try_get("user_slots")?,
            sale_slots: row.try_get("sale_slots")?,
        })
    }
}

impl OutcomeRow {
    fn decode(self) -> Result<(CheckoutCode, Outcome), BackendError> {
        let code = parse_code(&self.code)?;
        let slots = self.user_slots.iter().zip(&self.sale_slots);
        let cart = self.items.iter().zip(&self.results).zip(slots);
        let results = cart.map(|((idx, word), (user_slot, sale_slot))| {
            let outcome = match parse_kind(word)? {
                ItemResultKind::Sold => ItemOutcome::Sold {
                    user_slot: user_slot.unsigned_abs(),
                    sale_slot: sale_slot.unsigned_abs(),
                },
                ItemResultKind::AlreadySold => ItemOutcome::AlreadySold,
                ItemResultKind::LimitReached => ItemOutcome::LimitReached,
            };
            Ok(ItemResult {
                idx: idx.unsigned_abs(),
                outcome,
            })
        });
        let outcome = Outcome {
            results: results.collect::<Result<_, BackendError>>()?,
            user: self.user_id,
            request_id: self.request_id,
            at_ms: self.at_ms,
        };
        Ok((code, outcome))
    }
}

fn parse_code(text: &str) -> Result<CheckoutCode, BackendError> {
    CheckoutCode::parse(text)
        .ok_or_else(|| BackendError::unexpected("orders.code", "a checkout code", text))
}

fn parse_kind(word: &str) -> Result<ItemResultKind, BackendError> {
    let expected = "sold, already_sold or limit_reached";
    ItemResultKind::parse(word)
        .ok_or_else(|| BackendError::unexpected("orders.results", expected, word))
}

/// The outcomes of these codes. A server that takes no writes may be behind another one that does:
/// what it has is answered, and what it lacks is an error.
pub(super) async fn read(
    pool: &PostgresPool,
    codes: &[CheckoutCode],
) -> Result<HashMap<CheckoutCode, Outcome>, BackendError> {
    let texts: Vec<String> = codes.iter().map(CheckoutCode::to_string).collect();
    let (rows, is_read_only): (Vec<OutcomeRow>, bool) = pool
        .run("read_order", move |session| {
            Box::pin(async move {
                let is_read_only = session.is_read_only();
                let rows = sqlx::query_as(include_str!("sql/read_outcomes.sql"))
                    .bind(texts)
                    .fetch_all(session)
                    .await?;
                Ok((rows, is_read_only))
            })
        })
        .await?;
    let outcomes: HashMap<_, _> = rows
        .into_iter()
        .map(OutcomeRow::decode)
        .collect::<Result<_, _>>()?;
    if is_read_only && !codes.iter().all(|code| outcomes.contains_key(code)) {
        return Err(BackendError::read_only("read_order"));
    }
    Ok(outcomes)
}

/// What became of the items of these codes, without slots: a read that joins nothing.
pub(super) async fn read_kinds(
    pool: &PostgresPool,
    codes: &[CheckoutCode],
) -> Result<HashMap<CheckoutCode, Vec<(u32, ItemResultKind)>>, BackendError> {
    let codes: Vec<String> = codes.iter().map(CheckoutCode::to_string).collect();
    let rows: Vec<(String, Vec<i32>, Vec<String>)> = pool
        .run("read_order", move |session| {
            Box::pin(async move {
                sqlx::query_as(include_str!("sql/read_result_kinds.sql"))
                    .bind(codes)
                    .fetch_all(session)
                    .await
            })
        })
        .await?;
    let decode = |(code, items, words): (String, Vec<i32>, Vec<String>)| {
        let items = items.iter().map(|idx| idx.unsigned_abs());
        let kinds = items.zip(&words);
        let kinds = kinds.map(|(idx, word)| Ok((idx, parse_kind(word)?)));
        Ok((parse_code(&code)?, kinds.collect::<Result<_, _>>()?))
    };
    rows.into_iter().map(decode).collect()
}

/// A page of the outcomes of a sale, behind the code `after`.
pub(super) async fn read_of_sale(
    pool: &PostgresPool,
    sale: &SaleId,
    after: Option<&CodeSuffix>,
) -> Result<Vec<(CodeSuffix, Outcome)>, BackendError> {
    let sql = include_str!("sql/read_sale_outcomes.sql");
    // Codes are `CHK-<sale>-<suffix>`: without a suffix the text is before all of them.
    let after = format!(
        "CHK-{sale}-{}",
        after.map(CodeSuffix::as_str).unwrap_or_default()
    );
    let rows: Vec<OutcomeRow> = read_page(pool, "audit", sql, sale, after).await?;
    rows.into_iter()
        .map(|row| row.decode().map(|(code, outcome)| (code.suffix, outcome)))
        .collect()
}
