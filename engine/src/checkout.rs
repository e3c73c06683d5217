//! `POST /checkout`: an item into a user's cart.
//!
//! Promises: sold items, full users and unknown items are refused without a script call; every
//! answer but "unavailable" is in a stream before it is given.

use std::sync::Arc;

use jiff::Timestamp;

use crate::batch::SharedError;
use crate::carts::{AddOutcome, AddRequest};
use crate::code::CheckoutCode;
use crate::error::StoreError;
use crate::ids::{ItemId, RequestId, UserId};
use crate::open_sale::OpenSale;
use crate::shop::Shop;

/// The answer to a checkout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Checkout {
    /// The item is in the cart.
    InCart {
        /// Buys the cart.
        code: String,
        /// Items in the cart.
        items_count: u32,
        /// When the sale ends.
        ends_at: Timestamp,
    },
    /// It is not, and why.
    Refused(Refusal),
}

/// Why a checkout is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// No sale is active.
    SaleNotActive,
    /// No sale has such an item.
    UnknownItem,
    /// Another sale has it.
    ItemOfAnotherSale,
    /// It is sold.
    AlreadySold,
    /// The sale has sold as many as it may.
    SoldOut,
    /// The user has bought as many as one may.
    LimitReached,
    /// The cart holds as many as it may.
    CartFull,
}

impl Refusal {
    /// The stable code in the HTTP answer, in the log of attempts and in the metrics.
    pub fn code(self) -> &'static str {
        match self {
            Self::SaleNotActive => "sale_not_active",
            Self::UnknownItem => "unknown_item",
            Self::ItemOfAnotherSale => "item_of_another_sale",
            Self::AlreadySold => "already_sold",
            Self::SoldOut => "sold_out",
            Self::LimitReached => "limit_reached",
            Self::CartFull => "cart_full",
        }
    }
}

enum Decision {
    InCart(Checkout),
    /// Refused from memory: to be logged.
    Refused(Refusal),
    /// Refused by the script, which logged it.
    RefusedAndLogged(Refusal),
}

fn log_is_full() -> SharedError {
    Arc::new(StoreError::Full {
        what: "the log of attempts that wait for Postgres",
    })
}

impl Shop {
    /// Puts an item into the user's cart. The error says that nothing is known to have
    /// happened: the client may ask again.
    pub async fn checkout(
        &self,
        user: &UserId,
        item: &ItemId,
        request_id: &RequestId,
    ) -> Result<Checkout, SharedError> {
        let answer = self.decide(user, item, request_id).await;
        let tally = &self.metrics.checkout;
        tally.attempts.inc();
        match &answer {
            Ok(Checkout::InCart { .. }) => tally.success.inc(),
            Ok(Checkout::Refused(refusal)) => tally.fail(refusal.code()),
            Err(_) => tally.fail("unavailable"),
        }
        answer
    }

    async fn decide(
        &self,
        user: &UserId,
        item: &ItemId,
        request_id: &RequestId,
    ) -> Result<Checkout, SharedError> {
        let active = self.selling()?;
        let decision = match &active {
            Some(open) => self
                .try_checkout(open, user, item, request_id)
                .await
                .inspect_err(|error| open.note(error))?,
            None => Decision::Refused(Refusal::SaleNotActive),
        };
        match decision {
            Decision::InCart(in_cart) => Ok(in_cart),
            Decision::RefusedAndLogged(refusal) => Ok(Checkout::Refused(refusal)),
            Decision::Refused(refusal) => {
                let said = (Some(user), Some(item));
                self.log_refusal(active.as_deref(), said, refusal.code(), request_id)
                    .await?;
                Ok(Checkout::Refused(refusal))
            }
        }
    }

    /// Logs an attempt that was refused before it could be understood. `outcome` is the stable
    /// code of the refusal.
    pub async fn log_invalid_checkout(
        &self,
        user: Option<&UserId>,
        item: Option<&ItemId>,
        outcome: &'static str,
        request_id: &RequestId,
    ) -> Result<(), SharedError> {
        let active = self.active();
        let logged = self
            .log_refusal(active.as_deref(), (user, item), outcome, request_id)
            .await;
        let tally = &self.metrics.checkout;
        tally.attempts.inc();
        tally.fail(match logged {
            Ok(()) => "invalid",
            Err(_) => "unavailable",
        });
        logged
    }

    /// Logs an attempt under the sale that decided it, even if the next one has begun meanwhile.
    async fn log_refusal(
        &self,
        active: Option<&OpenSale>,
        (user, item): (Option<&UserId>, Option<&ItemId>),
        outcome: &'static str,
        request_id: &RequestId,
    ) -> Result<(), SharedError> {
        if !self.means.log.has_room() {
            if active.is_some_and(|open| open.sale.best_effort) {
                self.means.log.count_dropped(1);
                return Ok(());
            }
            return Err(log_is_full());
        }
        let sale = active.map_or_else(|| "".into(), |open| open.id_text.clone());
        let mut attempt = self.means.log.draw(&sale, user, item, request_id);
        attempt.outcome = outcome.to_owned();
        self.refusals.log(attempt).await
    }

    async fn try_checkout(
        &self,
        open: &OpenSale,
        user: &UserId,
        item: &ItemId,
        request_id: &RequestId,
    ) -> Result<Decision, SharedError> {
        if !open.sale.best_effort && !self.means.log.has_room() {
            return Err(log_is_full());
        }
        let Some(known) = open.catalog.by_id(item.as_str()) else {
            return Ok(Decision::Refused(self.why_unknown(item).await));
        };
        let idx = known.idx;
        if open.view.is_sold(idx) {
            return Ok(Decision::Refused(Refusal::AlreadySold));
        }
        if open.view.sold_count() >= open.sale.limits.total {
            return Ok(Decision::Refused(Refusal::SoldOut));
        }
        if open.view.bought(user.as_str()) >= open.sale.limits.per_user {
            return Ok(Decision::Refused(Refusal::LimitReached));
        }
        let request = AddRequest {
            user: user.clone(),
            item: item.clone(),
            idx,
            request_id: request_id.clone(),
        };
        let partition = open.sale.partition_of(user.as_str());
        let added = open.carts.add(partition, request).await?;
        Ok(match (added.outcome, added.tail) {
            (AddOutcome::Added | AddOutcome::InCart, Some(tail)) => {
                Decision::InCart(Checkout::InCart {
                    code: CheckoutCode::format(&open.sale.id, &tail),
                    items_count: added.items_count,
                    ends_at: open.sale.window.ends_at,
                })
            }
            (AddOutcome::CartFull, _) => Decision::RefusedAndLogged(Refusal::CartFull),
            // The clock of Redis differs from ours: it decides.
            _ => Decision::RefusedAndLogged(Refusal::SaleNotActive),
        })
    }

    async fn why_unknown(&self, item: &ItemId) -> Refusal {
        let id = item.as_str().to_owned();
        let elsewhere = self.lookups.run("read_items", |connection| {
            Box::pin(async move {
                sqlx::query_scalar::<_, bool>(include_str!("sql/item_elsewhere.sql"))
                    .bind(id)
                    .fetch_one(connection)
                    .await
            })
        });
        // While Postgres is away an item of another sale is as good as unknown.
        match elsewhere.await {
            Ok(true) => Refusal::ItemOfAnotherSale,
            _ => Refusal::UnknownItem,
        }
    }
}
