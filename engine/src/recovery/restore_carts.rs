//! Restores the carts of a partition whose master may miss their last writes: a replica that was
//! promoted, a server that started again from an old file, a partition that Redis lost.
//!
//! Guarantees: until the carts are whole every script on the partition refuses, so that no partial
//! cart is frozen and no user gets a second code; afterwards the partition holds every item that a
//! checkout answered as added, in carts that were not bought, and a user's latest code is open. A
//! frozen cart never changes.

use std::collections::{BTreeSet, HashMap};
use std::time::Duration;

use tokio::sync::Semaphore;

use crate::domain::cart::{Cart, LoggedCart};
use crate::domain::code::{CheckoutCode, CodeSuffix};
use crate::domain::error::BackendError;
use crate::domain::outcome::Outcome;
use crate::domain::sale::{FlashSaleName, Sale};
use crate::postgres::operations::Postgres;
use crate::recovery::restore::Restorer;
use crate::redis::commands::Redis;
use crate::redis::keys::{PartitionKeys, SaleKeys};
use crate::redis::restore_lease::RestoreLease;
use crate::redis::scripts::check_whole::{check_whole, mark_whole};
use crate::redis::scripts::restore_carts::{
    RestoreAs, RestoredCart, restore_carts as restore_carts_script,
};
use crate::redis::{carts, sale_state};

/// Codes or carts of one call.
const CHUNK: usize = 500;

/// How long one process has to restore a partition before another one tries.
const LEASE: Duration = Duration::from_secs(10);

/// How long a restoration waits for the attempts of other processes before it gives the lease back.
const WAIT_FOR_ATTEMPTS: Duration = Duration::from_secs(5);

/// How often it reads how far they are.
const READ_WATERMARKS_EVERY: Duration = Duration::from_millis(25);

/// What an attempt to restore the carts of a partition found or did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CartsState {
    /// They are whole, without having been restored.
    Whole,
    /// They are whole now.
    Restored {
        /// Carts that changed.
        changed: u64,
    },
    /// They are not: another process restores them, or attempts of another process may still be on
    /// their way to Postgres.
    NotYet,
}

/// One cart partition of a sale.
#[derive(Debug)]
pub(crate) struct CartPartition<'a> {
    pub sale: &'a Sale,
    pub number: u16,
    pub keys: &'a PartitionKeys,
}

/// What a restoration needs of the process beside its backends.
#[derive(Debug)]
pub(crate) struct RestoreLimits<'a> {
    /// Partitions that are restored at once: each reads much from Postgres.
    pub at_once: &'a Semaphore,
    /// Since when the process has had answers of Postgres without a pause; Unix time in microseconds
    /// by the server's clock.
    pub steady_since_us: i64,
}

impl<R: Redis> Restorer<R> {
    /// Restores the carts of a partition where they may not be whole, unless another process is at
    /// it. [`BackendError::Unseeded`] where Redis does not hold the partition at all.
    pub(crate) async fn restore_carts(
        &self,
        postgres: &impl Postgres,
        partition: &CartPartition<'_>,
        limits: &RestoreLimits<'_>,
    ) -> Result<CartsState, BackendError> {
        let (meta, format) = (&partition.keys.meta, partition.keys.format);
        if check_whole(&self.redis, meta, format).await?.is_whole {
            return Ok(CartsState::Whole);
        }
        let lease = &partition.keys.restore_lease;
        let lease = RestoreLease::take(&self.redis, &self.random, lease, LEASE).await?;
        let Some(lease) = lease else {
            return Ok(CartsState::NotYet);
        };
        let done = self.restore_leased(postgres, partition, limits).await;
        lease.release(&self.redis).await?;
        done
    }

    async fn restore_leased(
        &self,
        postgres: &impl Postgres,
        partition: &CartPartition<'_>,
        limits: &RestoreLimits<'_>,
    ) -> Result<CartsState, BackendError> {
        // The master from before the first read: only one that gets everything may be whole.
        let (meta, format) = (&partition.keys.meta, partition.keys.format);
        let checked = check_whole(&self.redis, meta, format).await?;
        if checked.is_whole {
            return Ok(CartsState::Whole);
        }
        let flash_sale = partition.sale.id.flash_sale();
        let waited = await_attempts(postgres, flash_sale, limits.steady_since_us);
        if !waited.await? {
            tracing::warn!(
                sale = %partition.sale.id, partition = partition.number,
                "carts wait for attempts that another process has answered and not settled"
            );
            return Ok(CartsState::NotYet);
        }
        // The semaphore is never closed.
        let _permit = limits.at_once.acquire().await.ok();
        let mut changed = 0;
        for chunk in self.carts_of(postgres, partition).await?.chunks(CHUNK) {
            changed += restore_carts_script(&self.redis, partition.keys, chunk).await?;
        }
        match mark_whole(&self.redis, meta, format, &checked.master).await? {
            true => Ok(CartsState::Restored { changed }),
            false => Ok(CartsState::NotYet),
        }
    }

    /// The carts that the partition must hold, those of a user in the order in which they came.
    async fn carts_of(
        &self,
        postgres: &impl Postgres,
        partition: &CartPartition<'_>,
    ) -> Result<Vec<RestoredCart>, BackendError> {
        let logged = postgres
            .read_carts(partition.sale, partition.number)
            .await?;
        let open = carts::read_open_codes(&self.redis, partition.keys).await?;
        let decided = self
            .decided_carts(postgres, partition, &logged, &open)
            .await?;
        Ok(merge(logged, decided))
    }

    /// The carts whose outcome is decided, in Postgres or in Redis, of those that were logged and of
    /// those that Redis holds as open.
    async fn decided_carts(
        &self,
        postgres: &impl Postgres,
        partition: &CartPartition<'_>,
        logged: &[LoggedCart],
        open: &[CodeSuffix],
    ) -> Result<HashMap<CodeSuffix, Cart>, BackendError> {
        let sale = &partition.sale.id;
        let mut decided = HashMap::new();
        for chunk in open.chunks(CHUNK) {
            let code = |suffix: &CodeSuffix| CheckoutCode {
                sale: sale.clone(),
                suffix: *suffix,
            };
            let codes: Vec<CheckoutCode> = chunk.iter().map(code).collect();
            let found = postgres.read_outcomes(&codes).await?;
            for (code, outcome) in found.complete(&codes)? {
                decided.insert(code.suffix, cart_of(&outcome));
            }
        }
        let logged = logged.iter().map(|cart| cart.suffix);
        let suffixes: BTreeSet<CodeSuffix> = logged.chain(open.iter().copied()).collect();
        let suffixes: Vec<CodeSuffix> = suffixes.into_iter().collect();
        let keys = SaleKeys::new(sale, partition.keys.format);
        for chunk in suffixes.chunks(CHUNK) {
            // A claim that is not committed yet: its process, or a settler, commits it.
            for (suffix, outcome) in sale_state::read_outcomes(&self.redis, &keys, chunk).await? {
                decided.entry(suffix).or_insert_with(|| cart_of(&outcome));
            }
        }
        Ok(decided)
    }
}

/// The cart that an outcome was decided for.
fn cart_of(outcome: &Outcome) -> Cart {
    let indexes = outcome.results.iter().map(|result| result.idx.to_string());
    Cart {
        user: outcome.user.clone(),
        items: indexes.collect::<Vec<_>>().join(","),
    }
}

/// What the script gets: a user's latest cart comes last, when the earlier ones are frozen.
fn merge(logged: Vec<LoggedCart>, mut decided: HashMap<CodeSuffix, Cart>) -> Vec<RestoredCart> {
    let mut carts: Vec<RestoredCart> = logged
        .into_iter()
        .map(|logged| match decided.remove(&logged.suffix) {
            Some(cart) => (logged.suffix, cart, RestoreAs::Decided),
            None if logged.is_latest => (logged.suffix, logged.cart, RestoreAs::Latest),
            None => (logged.suffix, logged.cart, RestoreAs::Earlier),
        })
        .map(|(suffix, cart, restore_as)| RestoredCart {
            suffix,
            cart,
            restore_as,
        })
        .collect();
    carts.extend(decided.into_iter().map(|(suffix, cart)| RestoredCart {
        suffix,
        cart,
        restore_as: RestoreAs::Decided,
    }));
    carts.sort_by_key(|cart| (cart.restore_as == RestoreAs::Latest, cart.suffix));
    carts
}

/// Waits until every attempt that was answered before this call is in Postgres. Returns whether it
/// is.
async fn await_attempts(
    postgres: &impl Postgres,
    flash_sale: &FlashSaleName,
    steady_since_us: i64,
) -> Result<bool, BackendError> {
    let answered_before_us = postgres.read_watermarks(flash_sale).await?.now_us;
    let wait = async {
        loop {
            let watermarks = postgres.read_watermarks(flash_sale).await?;
            if watermarks.cover(answered_before_us, steady_since_us) {
                return Ok(true);
            }
            tokio::time::sleep(READ_WATERMARKS_EVERY).await;
        }
    };
    let waited = tokio::time::timeout(WAIT_FOR_ATTEMPTS, wait).await;
    waited.unwrap_or(Ok(false))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn suffix(n: u8) -> CodeSuffix {
        CodeSuffix::parse(&format!("00{n:020}")).unwrap()
    }

    fn cart(items: &str) -> Cart {
        Cart {
            user: "ann".to_owned(),
            items: items.to_owned(),
        }
    }

    #[test]
    fn the_latest_cart_comes_last_and_a_decided_one_has_the_items_of_its_outcome() {
        let logged = |n, items, is_latest| LoggedCart {
            suffix: suffix(n),
            cart: cart(items),
            is_latest,
        };
        let logged = vec![
            logged(1, "7", true),
            logged(2, "5", false),
            logged(3, "9", false),
        ];
        let decided = HashMap::from([(suffix(3), cart("8,9")), (suffix(4), cart("1"))]);
        let merged: Vec<_> = merge(logged, decided)
            .into_iter()
            .map(|cart| (cart.suffix, cart.cart.items, cart.restore_as))
            .collect();
        let expected = [
            (2, "5", RestoreAs::Earlier),
            (3, "8,9", RestoreAs::Decided),
            (4, "1", RestoreAs::Decided),
            (1, "7", RestoreAs::Latest),
        ];
        let expected = expected.map(|(n, items, kind)| (suffix(n), items.to_owned(), kind));
        assert_eq!(merged, expected);
    }
}
