//! A process that starts while a Redis master hangs sells what the others hold.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::{Duration, Instant};

use flashsale_engine::{
    CURRENT_FORMAT, Catalog, Checkout, CheckoutCode, ItemId, Sale, SaleId, Window,
};
use jiff::{SignedDuration, Timestamp};
use support::{LIMITS, Service, Stack, request_id, user};

const MASTERS: usize = 3;

/// What a process may take until it is ready: a few calls to the hung master.
const START_LIMIT: Duration = Duration::from_secs(30);

/// What a call that does not need the hung master stays below.
const CALL_LIMIT: Duration = Duration::from_millis(750);

/// The master that owns the slot of a hash tag.
fn master_of(stack: &Stack, tag: &str) -> usize {
    let slot = stack
        .redis
        .ask_node(0, &["CLUSTER", "KEYSLOT", tag])
        .unwrap();
    let slot: usize = slot.parse().unwrap();
    let mut masters = 0..MASTERS;
    masters.find(|m| slot < 16_384 * (m + 1) / MASTERS).unwrap()
}

/// A sale on another master than the registry. Each master has a cart partition.
fn spread_sale(stack: &Stack, registry: usize) -> Sale {
    let minutes = (1..).map(|minutes| Timestamp::now() - SignedDuration::from_mins(minutes));
    let sale = |starts_at: Timestamp| Sale {
        id: SaleId::new(&stack.name, starts_at),
        window: Window {
            starts_at,
            ends_at: starts_at + SignedDuration::from_hours(24),
        },
        limits: LIMITS,
        items: 100,
        partitions: MASTERS as u16,
        best_effort: false,
        format: CURRENT_FORMAT,
    };
    let is_elsewhere = |sale: &Sale| master_of(stack, sale.id.as_str()) != registry;
    minutes.map(sale).find(is_elsewhere).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_starts_while_a_master_hangs_and_sells_what_the_others_hold() {
    let mut stack = Stack::start_on(MASTERS, 0).await;
    let hung = master_of(&stack, &stack.name.to_string());
    let sale = spread_sale(&stack, hung);
    let catalog = stack.seed(&sale).await;
    let before = stack.service().await;
    let sold_item = sell_one(&before, &catalog).await;
    before.stop(Duration::from_secs(5)).await;
    stack.redis.pause(hung);

    let started = Instant::now();
    let service = stack.service().await;
    assert!(started.elapsed() < START_LIMIT, "{:?}", started.elapsed());
    let (mut sold, mut away) = (0, 0);
    for item in catalog.iter().skip(1).take(40) {
        let (user, item) = (
            user(&format!("user-{}", item.idx)),
            ItemId::parse(&item.id).unwrap(),
        );
        let asked = Instant::now();
        let checkout = service.checkout(&user, &item, &request_id()).await;
        assert!(asked.elapsed() < CALL_LIMIT, "{:?}", asked.elapsed());
        let code = match checkout {
            Ok(Checkout::InCart { code, .. }) => code,
            Ok(refused) => panic!("{refused:?}"),
            Err(error) => {
                assert!(error.to_string().contains("is away since"), "{error}");
                away += 1;
                continue;
            }
        };
        let code = CheckoutCode::parse(&code).unwrap();
        let order = service.purchase(&code, &request_id()).await.unwrap();
        assert_eq!(order.sold_count(), 1, "{order:?}");
        sold += 1;
    }
    assert!(
        sold > 0 && away > 0,
        "{sold} users bought, {away} were refused"
    );
    // The attempts that are refused from memory have a stream beside the registry, and seven others.
    let asked = Instant::now();
    let refused = service
        .checkout(&user("late"), &sold_item, &request_id())
        .await;
    assert!(asked.elapsed() < CALL_LIMIT, "{:?}", asked.elapsed());
    assert!(matches!(refused, Ok(Checkout::Refused(_))), "{refused:?}");
    stack.redis.resume(hung);
}

/// Sells the first item; returns its id.
async fn sell_one(service: &Service, catalog: &Catalog) -> ItemId {
    let item = ItemId::parse(&catalog.iter().next().unwrap().id).unwrap();
    let checkout = service.checkout(&user("first"), &item, &request_id()).await;
    let Ok(Checkout::InCart { code, .. }) = checkout else {
        panic!("{checkout:?}")
    };
    let code = CheckoutCode::parse(&code).unwrap();
    let order = service.purchase(&code, &request_id()).await.unwrap();
    assert_eq!(order.sold_count(), 1, "{order:?}");
    item
}
