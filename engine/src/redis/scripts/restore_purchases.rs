//! Merges purchases that Postgres has into the sale's slot.

use std::collections::BTreeMap;

use crate::domain::error::BackendError;
use crate::domain::outcome::Purchase;
use crate::redis::commands::Redis;
use crate::redis::keys::SaleKeys;

/// Merges purchases, at most [`super::RESTORED_AT_ONCE`]; what is there stays as it is.
pub(crate) async fn restore_purchases(
    redis: &impl Redis,
    keys: &SaleKeys,
    purchases: &[Purchase],
) -> Result<(), BackendError> {
    let touched = [keys.meta.as_str(), &keys.sold, &keys.bought];
    let next_slot = purchases.iter().map(|purchase| purchase.sale_slot + 1);
    let next_slot = next_slot.max().unwrap_or(1);
    let buyers = slots_of_buyers(purchases);
    super::RESTORE_PURCHASES
        .call::<i64>(redis, &touched, |command| {
            command.arg(next_slot).arg(purchases.len());
            for purchase in purchases {
                command.arg(purchase.idx);
            }
            for (user, slots) in &buyers {
                command.arg(user).arg(slots);
            }
        })
        .await
        .map(drop)
}

/// The slots of each buyer: a `1` for each that is taken, a `0` for those before it that are not.
fn slots_of_buyers(purchases: &[Purchase]) -> BTreeMap<&str, Vec<u8>> {
    let mut buyers: BTreeMap<&str, Vec<u8>> = BTreeMap::new();
    for purchase in purchases {
        let slots = buyers.entry(&purchase.user).or_default();
        let slot = purchase.user_slot as usize;
        if slots.len() < slot {
            slots.resize(slot, b'0');
        }
        if let Some(taken) = slots.get_mut(slot.wrapping_sub(1)) {
            *taken = b'1';
        }
    }
    buyers
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_slots_of_a_buyer_are_one_text() {
        let purchase = |idx, user: &str, user_slot| Purchase {
            idx,
            user: user.to_owned(),
            user_slot,
            sale_slot: 0,
        };
        let purchases = [
            purchase(3, "ann", 3),
            purchase(4, "bob", 1),
            purchase(9, "ann", 1),
        ];
        let slots = slots_of_buyers(&purchases);
        let expected = [("ann", b"101".to_vec()), ("bob", b"1".to_vec())];
        assert_eq!(slots, BTreeMap::from(expected));
    }
}
