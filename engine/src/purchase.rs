//! `POST /purchase`: a cart becomes an order.
//!
//! Promises: what is answered is committed in Postgres (invariant 4); a code has one outcome,
//! whoever asks, whenever (invariant 5). An error says "ask again with the same code".

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::batch::SharedError;
use crate::carts::FrozenCart;
use crate::catalog::Item;
use crate::claims::{ClaimAnswer, ClaimRequest};
use crate::code::CheckoutCode;
use crate::error::StoreError;
use crate::ids::RequestId;
use crate::open_sale::OpenSale;
use crate::orders;
use crate::record::{ItemOutcome, Record};
use crate::sale::SaleId;
use crate::sales::{self, ItemRow};
use crate::shop::Shop;

/// How long an answer waits for its commit; the claim is committed whether it waits or not.
pub const COMMIT_WAIT: Duration = Duration::from_secs(2);

/// The outcome of a code, with the items it names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Order {
    /// The whole code.
    pub code: String,
    /// In the order of the cart.
    pub items: Vec<(Item, ItemOutcome)>,
    /// Whose cart it was.
    pub user: String,
    /// Whether the outcome was decided by an earlier request.
    pub replayed: bool,
}

/// What a code buys, or bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cart {
    /// Whose it is.
    pub user: String,
    /// In the order in which they were added.
    pub items: Vec<Item>,
    /// When its sale ends.
    pub ends_at: Timestamp,
}

/// Why a code buys nothing.
#[derive(Debug, Clone)]
pub enum NoOrder {
    /// Nobody knows the code.
    UnknownCode,
    /// Its sale has not begun, or is over, and it was not bought.
    SaleNotActive,
    /// A store is away; ask again with the same code.
    Unavailable(SharedError),
}

impl From<StoreError> for NoOrder {
    fn from(error: StoreError) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

impl From<SharedError> for NoOrder {
    fn from(error: SharedError) -> Self {
        Self::Unavailable(error)
    }
}

impl Shop {
    /// Buys the cart of a code, or tells what it has bought before.
    pub async fn purchase(
        &self,
        code: &CheckoutCode,
        request_id: &RequestId,
    ) -> Result<Order, NoOrder> {
        let tally = &self.metrics.purchase;
        tally.attempts.inc();
        let outcome = self.try_purchase(code, request_id).await;
        match &outcome {
            Ok(order) if order.sold_count() > 0 => tally.success.inc(),
            Ok(order) => tally.fail(order.refusal()),
            Err(NoOrder::UnknownCode) => tally.fail("unknown_code"),
            Err(NoOrder::SaleNotActive) => tally.fail("sale_not_active"),
            Err(NoOrder::Unavailable(_)) => tally.fail("unavailable"),
        }
        outcome
    }

    /// Counts a purchase that was refused before it could be understood.
    pub fn count_invalid_purchase(&self) {
        self.metrics.purchase.attempts.inc();
        self.metrics.purchase.fail("invalid");
    }

    async fn try_purchase(
        &self,
        code: &CheckoutCode,
        request_id: &RequestId,
    ) -> Result<Order, NoOrder> {
        if code.sale.flash_sale() != &self.flash_sale {
            return Err(NoOrder::UnknownCode);
        }
        let Some(open) = self.known(&code.sale) else {
            return match self.is_to_be_loaded(&code.sale) {
                true => self.bought_or(code, StoreError::NotLoaded.into()).await,
                false => self.bought_earlier(code).await,
            };
        };
        let cart = match open.carts.freeze(&code.tail).await {
            Ok(Some(cart)) => cart,
            // A code that Redis does not know may be an order in Postgres.
            Ok(None) => return self.bought_earlier(code).await,
            Err(error) => {
                open.note(&error);
                return self.bought_or(code, error.into()).await;
            }
        };
        let full = StoreError::Full {
            what: "the queue of purchases that wait for Postgres",
        };
        if !self.committer.has_room() {
            return Err(full.into());
        }
        let request = ClaimRequest {
            tail: code.tail.clone(),
            cart,
            request_id: request_id.clone(),
        };
        let claim = match open.claims.claim(request).await {
            Ok(ClaimAnswer::Decided(claim)) => claim,
            Ok(ClaimAnswer::NotActive) => return self.bought_earlier(code).await,
            Err(error) => {
                open.note(&error);
                return self.bought_or(code, error.into()).await;
            }
        };
        let (replayed, decided_by) = (claim.replayed, claim.record.request_id.clone());
        let committed = tokio::time::timeout(COMMIT_WAIT, self.committer.commit(claim))
            .await
            .map_err(|_| StoreError::TimedOut {
                store: "Postgres",
                what: "commit",
                after: COMMIT_WAIT,
            })??;
        let replayed = replayed || committed.record.request_id != decided_by;
        self.order(&open.sale.id, code, committed.record, replayed)
            .await
    }

    /// The outcome of a code, if it was bought.
    pub async fn outcome(&self, code: &CheckoutCode) -> Result<Option<Order>, NoOrder> {
        let text = code.to_string();
        let mut orders = orders::read(&self.lookups, std::slice::from_ref(&text)).await?;
        match orders.remove(&text) {
            Some(record) => Ok(Some(self.order(&code.sale, code, record, true).await?)),
            None => Ok(None),
        }
    }

    /// The cart of a code, bought or not.
    pub async fn cart(&self, code: &CheckoutCode) -> Result<Cart, NoOrder> {
        let Some(open) = self.known(&code.sale) else {
            return Err(match self.is_to_be_loaded(&code.sale) {
                true => StoreError::NotLoaded.into(),
                false => NoOrder::UnknownCode,
            });
        };
        let cart = open.carts.peek(&code.tail).await?;
        let FrozenCart { user, items } = cart.ok_or(NoOrder::UnknownCode)?;
        let indexes = items.split(',').filter_map(|idx| idx.parse().ok());
        let items = indexes.filter_map(|idx| open.catalog.get(idx).cloned());
        Ok(Cart {
            user,
            items: items.collect(),
            ends_at: open.sale.window.ends_at,
        })
    }

    async fn bought_earlier(&self, code: &CheckoutCode) -> Result<Order, NoOrder> {
        if let Some(order) = self.outcome(code).await? {
            return Ok(order);
        }
        if let Some(open) = self.known(&code.sale) {
            let cart = open.carts.peek(&code.tail).await?;
            return Err(match cart {
                Some(_) => NoOrder::SaleNotActive,
                None => NoOrder::UnknownCode,
            });
        }
        match sales::one(&self.lookups, &code.sale).await? {
            // What was claimed at its end may still be committed, and is then the outcome.
            Some(record) if record.settled_at.is_none() => Err(StoreError::Unsettled.into()),
            Some(_) => Err(NoOrder::SaleNotActive),
            None => Err(NoOrder::UnknownCode),
        }
    }

    /// Redis failed: what is an order already can be answered all the same.
    async fn bought_or(&self, code: &CheckoutCode, error: NoOrder) -> Result<Order, NoOrder> {
        match self.outcome(code).await {
            Ok(Some(order)) => Ok(order),
            _ => Err(error),
        }
    }

    async fn order(
        &self,
        sale: &SaleId,
        code: &CheckoutCode,
        record: Record,
        replayed: bool,
    ) -> Result<Order, NoOrder> {
        let items = match self.known(sale) {
            Some(open) => in_memory(&open, &record),
            None => self.in_postgres(sale, &record).await?,
        };
        Ok(Order {
            code: code.to_string(),
            items,
            user: record.user,
            replayed,
        })
    }

    async fn in_postgres(
        &self,
        sale: &SaleId,
        record: &Record,
    ) -> Result<Vec<(Item, ItemOutcome)>, StoreError> {
        let sale = sale.to_string();
        let indexes: Vec<i32> = record.results.iter().map(|r| r.idx as i32).collect();
        let rows: Vec<ItemRow> = self
            .lookups
            .run("read_items", |connection| {
                Box::pin(async move {
                    sqlx::query_as(include_str!("sql/read_items_by_idx.sql"))
                        .bind(sale)
                        .bind(indexes)
                        .fetch_all(connection)
                        .await
                })
            })
            .await?;
        let items = rows
            .into_iter()
            .map(sales::item)
            .map(|item| (item.idx, item));
        let items: HashMap<u32, Item> = items.collect();
        let with_item =
            |r: &crate::record::ItemResult| Some((items.get(&r.idx)?.clone(), r.outcome));
        Ok(record.results.iter().filter_map(with_item).collect())
    }
}

fn in_memory(open: &OpenSale, record: &Record) -> Vec<(Item, ItemOutcome)> {
    let with_item =
        |r: &crate::record::ItemResult| Some((open.catalog.get(r.idx)?.clone(), r.outcome));
    record.results.iter().filter_map(with_item).collect()
}

impl Order {
    /// How many items the code got.
    pub fn sold_count(&self) -> usize {
        let sold =
            |(_, outcome): &&(Item, ItemOutcome)| matches!(outcome, ItemOutcome::Sold { .. });
        self.items.iter().filter(sold).count()
    }

    /// Why nothing was sold, where nothing was: `limit_reached` as soon as the limit kept the
    /// code from an item that was free, else `already_sold`.
    pub fn refusal(&self) -> &'static str {
        let limited = |(_, outcome): &(Item, ItemOutcome)| *outcome == ItemOutcome::LimitReached;
        if self.items.iter().any(limited) {
            ItemOutcome::LimitReached.as_str()
        } else {
            ItemOutcome::AlreadySold.as_str()
        }
    }
}
