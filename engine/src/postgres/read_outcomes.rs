//! Reads outcomes: orders, with the slots of what they bought.

use std::collections::HashMap;

use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row as _};

use crate::domain::code::{CheckoutCode, CodeSuffix};
use crate::domain::error::BackendError;
use crate::domain::outcome::{ItemOutcome, ItemResult, ItemResultKind, Outcome};
use crate::domain::sale::SaleId;
use crate::postgres::operations::{FoundOutcomes, PAGE};
use crate::postgres::page::in_index_order;
use crate::postgres::pool::PostgresPool;

/// An order, without the slots of what it bought.
struct OrderRow {
    code: String,
    user_id: String,
    request_id: String,
    at_ms: i64,
    items: Vec<i32>,
    results: Vec<String>,
}

impl FromRow<'_, PgRow> for OrderRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            code: row.try_get("code")?,
            user_id: row.try_get("user_id")?,
            request_id: row.try_get("request_id")?,
            at_ms: row.try_get("at_ms")?,
            items: row.try_get("items")?,
            results: row.try_get("results")?,
        })
    }
}

impl OrderRow {
    /// The outcome, with a user's slot and a sale's slot for each item of the cart; those of an item
    /// that was not sold are not looked at.
    fn decode(
        self,
        slots: impl Iterator<Item = (i32, i32)>,
    ) -> Result<(CheckoutCode, Outcome), BackendError> {
        let code = parse_code(&self.code)?;
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

/// An order with the slots of what it bought, item by item.
struct OutcomeRow {
    order: OrderRow,
    user_slots: Vec<i32>,
    sale_slots: Vec<i32>,
}

impl FromRow<'_, PgRow> for OutcomeRow {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        Ok(Self {
            order: OrderRow::from_row(row)?,
            user_slots: row.try_get("user_slots")?,
            sale_slots: row.try_get("sale_slots")?,
        })
    }
}

impl OutcomeRow {
    fn decode(self) -> Result<(CheckoutCode, Outcome), BackendError> {
        let slots = self.user_slots.into_iter().zip(self.sale_slots);
        self.order.decode(slots)
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

/// The outcomes of these codes.
pub(super) async fn read(
    pool: &PostgresPool,
    codes: &[CheckoutCode],
) -> Result<FoundOutcomes, BackendError> {
    let texts: Vec<String> = codes.iter().map(CheckoutCode::to_string).collect();
    let (rows, may_be_behind): (Vec<OutcomeRow>, bool) = pool
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
    let outcomes = rows.into_iter().map(OutcomeRow::decode);
    Ok(FoundOutcomes {
        outcomes: outcomes.collect::<Result<_, _>>()?,
        may_be_behind,
    })
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

/// A page of the outcomes of a sale, behind the code `after`. The slots of all items of the page are
/// read at once: a join for each order costs Postgres most of the time.
pub(super) async fn read_of_sale(
    pool: &PostgresPool,
    sale: &SaleId,
    after: Option<&CodeSuffix>,
) -> Result<Vec<(CodeSuffix, Outcome)>, BackendError> {
    // Codes are `CHK-<sale>-<suffix>`: without a suffix the text is before all of them.
    let after = format!(
        "CHK-{sale}-{}",
        after.map(CodeSuffix::as_str).unwrap_or_default()
    );
    let sale = sale.to_string();
    let (orders, slots) = pool
        .run_long("audit", move |session| {
            Box::pin(async move {
                in_index_order(session).await?;
                let orders: Vec<OrderRow> =
                    sqlx::query_as(include_str!("sql/read_sale_orders.sql"))
                        .bind(&sale)
                        .bind(after)
                        .bind(PAGE as i64)
                        .fetch_all(&mut *session)
                        .await?;
                let items: Vec<i32> = orders
                    .iter()
                    .flat_map(|order| order.items.iter().copied())
                    .collect();
                let slots: Vec<(i32, i32, i32)> =
                    sqlx::query_as(include_str!("sql/read_slots_of_items.sql"))
                        .bind(sale)
                        .bind(items)
                        .fetch_all(session)
                        .await?;
                Ok((orders, slots))
            })
        })
        .await?;
    let of_item = |(idx, user_slot, sale_slot)| (idx, (user_slot, sale_slot));
    let slots: HashMap<i32, (i32, i32)> = slots.into_iter().map(of_item).collect();
    let outcome = |order: OrderRow| {
        let items = order.items.clone();
        let of_items = items.iter().map(|idx| slots.get(idx).copied());
        let (code, outcome) = order.decode(of_items.map(Option::unwrap_or_default))?;
        Ok((code.suffix, outcome))
    };
    orders.into_iter().map(outcome).collect()
}
