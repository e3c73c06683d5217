//! `POST /purchase`: a cart becomes an order.
//!
//! Guarantees: what is answered is committed in Postgres (invariant 4); a code has one outcome,
//! whoever asks, whenever (invariant 5). After an error the same code can be asked again. A code
//! whose order is in Postgres is answered as long as one backend can be read.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::attempt::Refusal;
use crate::domain::catalog::Item;
use crate::domain::code::CheckoutCode;
use crate::domain::error::{BackendError, SharedError};
use crate::domain::ids::RequestId;
use crate::domain::lifecycle::SaleStage;
use crate::domain::outcome::{
    Claim, ItemOutcome, ItemResult, ItemResultKind, NothingSold, Outcome,
};
use crate::domain::sale::SaleId;
use crate::observability::metrics::FailureReason;
use crate::postgres::commit::CommitOutcome;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::redis::scripts::claim::ClaimRequest;
use crate::selling::claim_lane::ClaimAnswer;
use crate::selling::group_commit::FULL;
use crate::selling::open_calls::OpenCall;
use crate::selling::served_sale::ServedSale;
use crate::selling::service::SellingService;

/// How long an answer waits for its commit; the claim is committed whether it waits or not.
pub const COMMIT_WAIT: Duration = Duration::from_secs(2);

/// How long, after a backend failed, an answer waits for the order that may exist.
const ORDER_WAIT: Duration = Duration::from_secs(1);

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
pub struct ShownCart {
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
    /// There is no such code.
    UnknownCode,
    /// Its sale has not begun, or is settled, and it was not bought: it never will be.
    SaleNotActive,
    /// A backend is away; ask again with the same code.
    Unavailable(SharedError),
}

impl From<BackendError> for NoOrder {
    fn from(error: BackendError) -> Self {
        Self::Unavailable(Arc::new(error))
    }
}

impl From<SharedError> for NoOrder {
    fn from(error: SharedError) -> Self {
        Self::Unavailable(error)
    }
}

impl<R: Redis, P: Postgres> SellingService<R, P> {
    /// Buys the cart of a code, or returns what it bought before.
    pub async fn purchase(
        &self,
        code: &CheckoutCode,
        request_id: &RequestId,
    ) -> Result<Order, NoOrder> {
        let tally = &self.context.metrics.purchase;
        tally.attempts.inc();
        let outcome = self.try_purchase(code, request_id).await;
        match &outcome {
            Ok(order) if order.sold_count() > 0 => tally.success.inc(),
            Ok(order) => tally.fail(FailureReason::NothingSold(order.refusal())),
            Err(NoOrder::UnknownCode) => tally.fail(FailureReason::UnknownCode),
            Err(NoOrder::SaleNotActive) => {
                tally.fail(FailureReason::Refused(Refusal::SaleNotActive))
            }
            Err(NoOrder::Unavailable(_)) => tally.fail(FailureReason::Unavailable),
        }
        outcome
    }

    /// Counts a purchase that was refused before it could be understood.
    pub fn count_invalid_purchase(&self) {
        self.context.metrics.purchase.attempts.inc();
        self.context.metrics.purchase.fail(FailureReason::Invalid);
    }

    async fn try_purchase(
        &self,
        code: &CheckoutCode,
        request_id: &RequestId,
    ) -> Result<Order, NoOrder> {
        if code.sale.flash_sale() != &self.flash_sale {
            return Err(NoOrder::UnknownCode);
        }
        let Some(served) = self.sales.get(&code.sale) else {
            return match self.sales.is_to_be_loaded(&code.sale) {
                true => self.bought_or(code, BackendError::NotLoaded.into()).await,
                false => self.bought_earlier(code).await,
            };
        };
        // Open until Postgres has the claim, so that nobody restores the cart as one that can grow.
        let call = self.context.open_calls.begin();
        let cart = match served.carts.freeze(&code.suffix).await {
            Ok(Some(cart)) => cart,
            Ok(None) => return self.bought_or_unknown(code).await,
            Err(error) => {
                served.note(&error);
                return self.bought_or(code, error.into()).await;
            }
        };
        if !self.commits.has_room() {
            return self.bought_or(code, FULL.into()).await;
        }
        let request = ClaimRequest {
            suffix: code.suffix,
            cart,
            request_id: request_id.clone(),
        };
        let claim = match served.claims.claim(request).await {
            Ok(ClaimAnswer::Decided(claim)) => claim,
            Ok(ClaimAnswer::NotActive) => return self.bought_earlier(code).await,
            Err(error) => {
                served.note(&error);
                return self.bought_or(code, error.into()).await;
            }
        };
        let (replayed, decided_by) = (claim.replayed, claim.outcome.request_id.clone());
        let was_waiting = self.commits.waiting().contains(code);
        let committed = match self.commit(claim, &served, call).await {
            Ok(CommitOutcome::Committed(committed)) => committed,
            Ok(CommitOutcome::SaleSettled) => return Err(NoOrder::SaleNotActive),
            Err(error) if was_waiting && !self.commits.may_read_order(code) => {
                return Err(error.into());
            }
            // An earlier purchase of this code may have been committed before writes failed.
            Err(error) => {
                let order = self.bought_or(code, error.into()).await?;
                self.commits.waiting().note_order(code);
                return Ok(order);
            }
        };
        let replayed = replayed || committed.outcome.request_id != decided_by;
        self.order(&served.sale.id, code, committed.outcome, replayed)
            .await
    }

    /// Waits for the commit of a claim, for at most [`COMMIT_WAIT`].
    async fn commit(
        &self,
        claim: Claim,
        served: &ServedSale<R>,
        call: OpenCall,
    ) -> Result<CommitOutcome, BackendError> {
        let commit = self.commits.commit(claim, &served.keys, call);
        let committed = tokio::time::timeout(COMMIT_WAIT, commit).await;
        committed.unwrap_or(Err(BackendError::TimedOut {
            backend: "Postgres",
            operation: "commit",
            after: COMMIT_WAIT,
        }))
    }

    /// The outcome of a code, if it was bought.
    pub async fn outcome(&self, code: &CheckoutCode) -> Result<Option<Order>, NoOrder> {
        if self.code_lookups.is_unknown(code) {
            return Ok(None);
        }
        let _lookup = self.code_lookups.shown.begin().await?;
        self.find_order(code).await
    }

    async fn find_order(&self, code: &CheckoutCode) -> Result<Option<Order>, NoOrder> {
        let codes = std::slice::from_ref(code);
        let found = self.context.lookups.read_outcomes(codes).await?;
        self.order_found(code, found.of(code)?).await
    }

    async fn order_found(
        &self,
        code: &CheckoutCode,
        outcome: Option<Outcome>,
    ) -> Result<Option<Order>, NoOrder> {
        match outcome {
            Some(outcome) => Ok(Some(self.order(&code.sale, code, outcome, true).await?)),
            None => Ok(None),
        }
    }

    /// The cart of a code, bought or not.
    pub async fn cart(&self, code: &CheckoutCode) -> Result<ShownCart, NoOrder> {
        let Some(served) = self.sales.get(&code.sale) else {
            return Err(match self.sales.is_to_be_loaded(&code.sale) {
                true => BackendError::NotLoaded.into(),
                false => NoOrder::UnknownCode,
            });
        };
        let ends_at = served.sale.window.ends_at;
        let Some(cart) = served.carts.read(&code.suffix).await? else {
            let order = self.bought_or_unknown(code).await?;
            return Ok(ShownCart {
                items: order.items.into_iter().map(|(item, _)| item).collect(),
                user: order.user,
                ends_at,
            });
        };
        let items = cart
            .indexes()
            .filter_map(|idx| served.catalog.get(idx).cloned());
        Ok(ShownCart {
            items: items.collect(),
            user: cart.user,
            ends_at,
        })
    }

    /// A code that Redis does not hold, where it holds all carts that were not bought: an order, or
    /// nothing that this FlashSale has given to anyone.
    async fn bought_or_unknown(&self, code: &CheckoutCode) -> Result<Order, NoOrder> {
        if self.code_lookups.is_unknown(code) {
            return Err(NoOrder::UnknownCode);
        }
        let _lookup = self.code_lookups.not_in_redis.begin().await?;
        if let Some(order) = self.find_order(code).await? {
            return Ok(order);
        }
        self.code_lookups.note_unknown(code);
        Err(NoOrder::UnknownCode)
    }

    /// A code whose sale takes no claim: an order, or a refusal once no order can come any more.
    async fn bought_earlier(&self, code: &CheckoutCode) -> Result<Order, NoOrder> {
        let found = self.code_lookups.of_ended_sales.find(code).await?;
        if let Some(order) = self.order_found(code, found.outcome).await? {
            return Ok(order);
        }
        match self.sales.get(&code.sale) {
            Some(served) => {
                if served.carts.read(&code.suffix).await?.is_none() {
                    return Err(NoOrder::UnknownCode);
                }
                if self.context.clock.now() < served.sale.window.starts_at {
                    return Err(NoOrder::SaleNotActive);
                }
            }
            None if found.stage.is_none() => return Err(NoOrder::UnknownCode),
            None => {}
        }
        match found.stage {
            Some(SaleStage::Settled) => Err(NoOrder::SaleNotActive),
            // A claim that Redis has lost may still be on its way from a process that paused.
            _ => Err(BackendError::Unsettled.into()),
        }
    }

    /// Redis failed, or Postgres takes no writes: a code that has an order can be answered all the
    /// same.
    async fn bought_or(&self, code: &CheckoutCode, error: NoOrder) -> Result<Order, NoOrder> {
        let find_order = async {
            let outcome = self.code_lookups.during_faults.find(code).await?;
            self.order_found(code, outcome).await
        };
        match tokio::time::timeout(ORDER_WAIT, find_order).await {
            Ok(Ok(Some(order))) => Ok(order),
            _ => Err(error),
        }
    }

    async fn order(
        &self,
        sale: &SaleId,
        code: &CheckoutCode,
        outcome: Outcome,
        replayed: bool,
    ) -> Result<Order, NoOrder> {
        let items = match self.sales.get(sale) {
            Some(served) => in_memory(&served, &outcome),
            None => self.in_postgres(sale, &outcome).await?,
        };
        Ok(Order {
            code: code.to_string(),
            items,
            user: outcome.user,
            replayed,
        })
    }

    async fn in_postgres(
        &self,
        sale: &SaleId,
        outcome: &Outcome,
    ) -> Result<Vec<(Item, ItemOutcome)>, BackendError> {
        let indexes: Vec<u32> = outcome.kinds().map(|(idx, _)| idx).collect();
        let lookups = &self.context.lookups;
        let items = lookups.read_items_by_index(sale, &indexes).await?;
        let items: HashMap<u32, Item> = items.into_iter().map(|item| (item.idx, item)).collect();
        let with_item = |r: &ItemResult| Some((items.get(&r.idx)?.clone(), r.outcome));
        Ok(outcome.results.iter().filter_map(with_item).collect())
    }
}

fn in_memory<R>(served: &ServedSale<R>, outcome: &Outcome) -> Vec<(Item, ItemOutcome)> {
    let with_item = |r: &ItemResult| Some((served.catalog.get(r.idx)?.clone(), r.outcome));
    outcome.results.iter().filter_map(with_item).collect()
}

impl Order {
    /// How many items the code got.
    pub fn sold_count(&self) -> usize {
        let is_sold = |(_, outcome): &&(Item, ItemOutcome)| outcome.kind() == ItemResultKind::Sold;
        self.items.iter().filter(is_sold).count()
    }

    /// Why nothing was sold, where nothing was: `limit_reached` as soon as the limit kept the
    /// code from an item that was free, else `already_sold`.
    pub fn refusal(&self) -> NothingSold {
        let is_limited = |(_, outcome): &(Item, ItemOutcome)| *outcome == ItemOutcome::LimitReached;
        match self.items.iter().any(is_limited) {
            true => NothingSold::LimitReached,
            false => NothingSold::AlreadySold,
        }
    }
}
