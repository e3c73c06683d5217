//! Redis loses the keys of some slots and keeps those of the others, as after a master that starts
//! again without its data before its replica is promoted.

use flashsale_engine::redis::commands::Redis as _;
use flashsale_engine::{Checkout, CheckoutCode, Refusal};

use crate::harness::{Harness, SETTLED_AFTER, checkout, checkout_at_last, purchase_at_last, sold};

const USERS: u32 = 10;

/// What the keys of each slot of a sale begin with: those of the sale itself, of its cart partitions, and
/// of the FlashSale.
fn slots(harness: &Harness) -> Vec<String> {
    let sale = &harness.sale;
    let mut slots = vec![
        format!("{{{}}}", sale.id),
        format!("{{{}}}", sale.id.flash_sale()),
    ];
    slots.extend((0..sale.partitions).map(|number| format!("{{{}#{number}.", sale.id)));
    slots
}

/// Deletes the keys of a slot; returns how many there were.
async fn lose(harness: &Harness, slot: &str) -> usize {
    let names = harness.keys_with(slot).await;
    for name in &names {
        let mut delete = redis::cmd("DEL");
        delete.arg(name);
        harness.redis.call("test", name, &delete).await.unwrap();
    }
    names.len()
}

#[tokio::test(start_paused = true)]
async fn a_sale_goes_on_after_the_loss_of_any_one_of_its_slots() {
    for slot in slots(&Harness::new()) {
        let harness = Harness::new();
        let service = harness.open().await;
        let mut codes = Vec::<CheckoutCode>::new();
        for user in 0..USERS {
            let items = [2 * user, 2 * user + 1];
            codes.push(
                harness
                    .fill(&service, &format!("user-{user}"), &items)
                    .await,
            );
        }
        let (bought, open) = codes.split_at(codes.len() / 2);
        for code in bought {
            service.purchase(code, &harness.request()).await.unwrap();
        }
        tokio::time::sleep(SETTLED_AFTER).await;

        assert!(lose(&harness, &slot).await > 0, "{slot}");
        for (user, code) in (0..).zip(&codes) {
            let order = purchase_at_last(&harness, &service, code).await;
            assert_eq!(sold(&order), [2 * user, 2 * user + 1], "{slot}");
            assert_eq!(order.replayed, bought.contains(code), "{slot}");
        }
        assert_eq!(open.len(), 5);
        let late = checkout_at_last(&harness, &service, "late", 30).await;
        let order = purchase_at_last(&harness, &service, &late).await;
        assert_eq!(sold(&order), [30], "{slot}");
        let refused = checkout(&harness, &service, "later", 0).await.unwrap();
        assert_eq!(refused, Checkout::Refused(Refusal::AlreadySold), "{slot}");
        let refused = checkout(&harness, &service, "user-1", 31).await.unwrap();
        assert_eq!(refused, Checkout::Refused(Refusal::LimitReached), "{slot}");
        end(&harness, 21, &slot).await;
    }
}

/// Ends the sale, and settles it.
async fn end(harness: &Harness, items: u32, slot: &str) {
    let (admin, id) = (harness.admin(), &harness.sale.id);
    admin.end_early(id).await.unwrap();
    let mut settlement = admin.settle(id).await.unwrap();
    while !settlement.settled {
        tokio::time::sleep(SETTLED_AFTER).await;
        settlement = admin.settle(id).await.unwrap();
    }
    assert_eq!(settlement.sold, items, "{slot}");
}
