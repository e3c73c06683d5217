//! `POST /checkout`: an item into a user's cart.
//!
//! Guarantees: sold items, full users and unknown items are refused without a script call; every
//! answer but "unavailable" is in a stream before it is returned.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use crate::domain::attempt::{Attempt, AttemptOutcome, InvalidCheckout, Refusal};
use crate::domain::cart::AddOutcome;
use crate::domain::code::CheckoutCode;
use crate::domain::error::{BackendError, SharedError};
use crate::domain::ids::{ItemId, RequestId, UserId};
use crate::observability::metrics::FailureReason;
use crate::postgres::operations::Postgres;
use crate::redis::commands::Redis;
use crate::selling::cart_lanes::AddRequest;
use crate::selling::served_sale::ServedSale;
use crate::selling::service::SellingService;

/// How long the answer to a checkout of an item that is not in the sale waits to know whether
/// another sale has it.
const ITEM_WAIT: Duration = Duration::from_millis(50);

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

enum Decision {
    InCart(Checkout),
    /// Refused from memory: to be logged.
    Refused(Refusal),
    /// Refused by the script, which logged it.
    RefusedAndLogged(Refusal),
}

fn log_is_full() -> SharedError {
    Arc::new(BackendError::Full {
        queue: "the log of attempts that wait for Postgres",
    })
}

impl<R: Redis, P: Postgres> SellingService<R, P> {
    /// Puts an item into the user's cart. The error says that nothing is known to have
    /// happened: the client may ask again.
    pub async fn checkout(
        &self,
        user: &UserId,
        item: &ItemId,
        request_id: &RequestId,
    ) -> Result<Checkout, SharedError> {
        let answer = self.decide(user, item, request_id).await;
        let tally = &self.context.metrics.checkout;
        tally.attempts.inc();
        match &answer {
            Ok(Checkout::InCart { .. }) => tally.success.inc(),
            Ok(Checkout::Refused(refusal)) => tally.fail(FailureReason::Refused(*refusal)),
            Err(_) => tally.fail(FailureReason::Unavailable),
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
            Some(served) => self
                .try_checkout(served, user, item, request_id)
                .await
                .inspect_err(|error| served.note(error))?,
            None => Decision::Refused(Refusal::SaleNotActive),
        };
        match decision {
            Decision::InCart(in_cart) => Ok(in_cart),
            Decision::RefusedAndLogged(refusal) => Ok(Checkout::Refused(refusal)),
            Decision::Refused(refusal) => {
                let (ids, outcome) = ((Some(user), Some(item)), AttemptOutcome::Refused(refusal));
                self.log_refused(active.as_deref(), ids, outcome, request_id)
                    .await?;
                Ok(Checkout::Refused(refusal))
            }
        }
    }

    /// Logs an attempt whose request is no checkout.
    pub async fn log_invalid_checkout(
        &self,
        user: Option<&UserId>,
        item: Option<&ItemId>,
        why: InvalidCheckout,
        request_id: &RequestId,
    ) -> Result<(), SharedError> {
        let (active, outcome) = (self.active(), AttemptOutcome::Invalid(why));
        let logged = self
            .log_refused(active.as_deref(), (user, item), outcome, request_id)
            .await;
        let tally = &self.context.metrics.checkout;
        tally.attempts.inc();
        tally.fail(match logged {
            Ok(()) => FailureReason::Invalid,
            Err(_) => FailureReason::Unavailable,
        });
        logged
    }

    /// Logs an attempt under the sale that decided it, even if the next one has begun meanwhile.
    async fn log_refused(
        &self,
        active: Option<&ServedSale<R>>,
        (user, item): (Option<&UserId>, Option<&ItemId>),
        outcome: AttemptOutcome,
        request_id: &RequestId,
    ) -> Result<(), SharedError> {
        if !self.log.has_room() {
            if active.is_some_and(|served| served.sale.best_effort) {
                self.log.count_dropped(1);
                return Ok(());
            }
            return Err(log_is_full());
        }
        let attempt = Attempt {
            request: self.log.draw(user, item, request_id),
            sale: active.map(|served| served.id.clone()),
            suffix: None,
            outcome,
        };
        self.refusals.log(attempt).await
    }

    async fn try_checkout(
        &self,
        served: &ServedSale<R>,
        user: &UserId,
        item: &ItemId,
        request_id: &RequestId,
    ) -> Result<Decision, SharedError> {
        if !served.sale.best_effort && !self.log.has_room() {
            return Err(log_is_full());
        }
        let Some(known) = served.catalog.by_id(item.as_str()) else {
            return Ok(Decision::Refused(self.why_unknown(item).await));
        };
        let idx = known.idx;
        if served.view.is_sold(idx) {
            return Ok(Decision::Refused(Refusal::AlreadySold));
        }
        if served.view.sold_count() >= served.sale.limits.total {
            return Ok(Decision::Refused(Refusal::SoldOut));
        }
        if served.view.bought(user.as_str()) >= served.sale.limits.per_user {
            return Ok(Decision::Refused(Refusal::LimitReached));
        }
        let request = AddRequest {
            user: user.clone(),
            item: item.clone(),
            idx,
            request_id: request_id.clone(),
        };
        let partition = served.sale.partition_of(user.as_str());
        let added = served.carts.add(partition, request).await?;
        Ok(match (added.outcome, added.suffix) {
            (AddOutcome::Added | AddOutcome::InCart, Some(suffix)) => {
                Decision::InCart(Checkout::InCart {
                    code: CheckoutCode::format(&served.sale.id, &suffix),
                    items_count: added.items_count,
                    ends_at: served.sale.window.ends_at,
                })
            }
            (AddOutcome::CartFull, _) => Decision::RefusedAndLogged(Refusal::CartFull),
            // The clock of Redis differs from that of this process: it decides.
            (AddOutcome::NotActive | AddOutcome::Added | AddOutcome::InCart, _) => {
                Decision::RefusedAndLogged(Refusal::SaleNotActive)
            }
        })
    }

    async fn why_unknown(&self, item: &ItemId) -> Refusal {
        let has_item = async {
            let _lookup = self.item_lookups.begin().await?;
            self.context.lookups.has_item(item).await
        };
        // While Postgres is away or busy an item of another sale is as good as unknown.
        match tokio::time::timeout(ITEM_WAIT, has_item).await {
            Ok(Ok(true)) => Refusal::ItemOfAnotherSale,
            _ => Refusal::UnknownItem,
        }
    }
}
