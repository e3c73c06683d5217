//! Claims that wait for Postgres, and the customers who ask for them.

use std::time::Duration;

use flashsale_engine::{BackendError, Checkout, CheckoutCode, CodeSuffix, ItemId, NoOrder};
use flashsale_engine::{Order, Refusal, UserId};

use crate::harness::{Harness, ITEMS, Service, let_others_run, sold, until};

/// Longer than a purchase waits for its commit and for the order that may exist.
const ANSWERED_AFTER: Duration = Duration::from_secs(4);

async fn purchase(
    harness: &Harness,
    service: &Service,
    code: &CheckoutCode,
) -> Result<Order, NoOrder> {
    service.purchase(code, &harness.request()).await
}

#[tokio::test(start_paused = true)]
async fn a_code_with_an_order_is_answered_while_its_claim_waits_for_a_server_that_takes_no_writes()
{
    let harness = Harness::new();
    let service = harness.open().await;
    let bought = harness.fill(&service, "ann", &[1]).await;
    purchase(&harness, &service, &bought).await.unwrap();
    let mut others = Vec::new();
    for (user, idx) in [("bob", 2), ("cid", 3), ("dan", 4)] {
        others.push(harness.fill(&service, user, &[idx]).await);
    }
    let committed = || harness.ambient.metrics.commit_batch_size.get_sample_sum();
    assert_eq!(committed(), 1.0);

    // Two commits hang, and behind them a claim of the bought code waits beside a new one.
    let hangs = harness.postgres.hold().await;
    let mut asked = Vec::new();
    for code in [&others[0], &others[1], &bought, &others[2]] {
        asked.push(harness.begin_purchase(&service, code));
        let_others_run().await;
    }
    tokio::time::sleep(ANSWERED_AFTER).await;
    for asked in asked {
        assert!(matches!(asked.await.unwrap(), Err(NoOrder::Unavailable(_))));
    }
    harness.postgres.set_read_only(true);
    drop(hangs);
    tokio::time::sleep(ANSWERED_AFTER).await;
    for _ in 0..20 {
        let again = purchase(&harness, &service, &bought).await.unwrap();
        assert_eq!((sold(&again), again.replayed), (vec![1], true));
        let new = purchase(&harness, &service, &others[2]).await;
        assert!(matches!(new, Err(NoOrder::Unavailable(_))));
    }

    harness.postgres.set_read_only(false);
    until("all claims are committed", || committed() >= 5.0).await;
    assert_eq!(committed(), 5.0, "each code has waited with one claim");
    for (code, idx) in others.iter().zip([2, 3, 4]) {
        let order = purchase(&harness, &service, code).await.unwrap();
        assert_eq!(sold(&order), [idx]);
    }
}

#[tokio::test(start_paused = true)]
async fn claims_that_come_soon_after_a_group_wait_milliseconds_and_share_the_next_one() {
    let harness = Harness::new();
    let service = harness.open().await;
    let mut codes = Vec::new();
    for idx in 0..6 {
        codes.push(harness.fill(&service, &format!("user-{idx}"), &[idx]).await);
    }
    let groups = || harness.postgres.count_writes("insert_orders");

    let began = tokio::time::Instant::now();
    purchase(&harness, &service, &codes[0]).await.unwrap();
    assert_eq!((groups(), began.elapsed()), (1, Duration::ZERO));
    let mut asked = Vec::new();
    for code in &codes[1..] {
        asked.push(harness.begin_purchase(&service, code));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    for asked in asked {
        asked.await.unwrap().unwrap();
    }
    assert_eq!(groups(), 2);
    assert!(began.elapsed() < Duration::from_millis(20));
}

#[tokio::test(start_paused = true)]
async fn a_crowd_that_looks_for_orders_leaves_purchases_their_look_ups() {
    let harness = std::sync::Arc::new(Harness::new());
    let service = harness.open().await;
    let bought = harness.fill(&service, "ann", &[1]).await;
    purchase(&harness, &service, &bought).await.unwrap();
    let held = harness.postgres.hold().await;
    let crowd: Vec<_> = (0..100)
        .map(|n| {
            let service = service.clone();
            let code = CheckoutCode {
                sale: harness.sale.id.clone(),
                suffix: CodeSuffix::parse(&format!("00{n:020}")).unwrap(),
            };
            tokio::spawn(async move { service.outcome(&code).await })
        })
        .collect();
    let_others_run().await;
    assert!(
        crowd.iter().any(|asked| asked.is_finished()),
        "some are refused"
    );

    // Redis does not hold the cart any more, and the order is in Postgres.
    harness.redis.flush_all();
    let asked = harness.begin_purchase(&service, &bought);
    let_others_run().await;
    assert!(!asked.is_finished(), "the look-up waits for Postgres");
    drop(held);
    assert_eq!(sold(&asked.await.unwrap().unwrap()), [1]);
    for asked in crowd {
        match asked.await.unwrap() {
            Ok(None) => {}
            Err(NoOrder::Unavailable(error)) => {
                assert!(matches!(*error, BackendError::Full { .. }), "{error:?}");
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test(start_paused = true)]
async fn after_an_outage_of_postgres_the_backlog_delays_no_purchase() {
    const BACKLOG: u32 = 3_000;
    let harness = Harness::new();
    let service = harness.open().await;
    let mut codes = Vec::new();
    for n in 0..=BACKLOG {
        let user = format!("user-{n}");
        codes.push(harness.fill(&service, &user, &[n % ITEMS]).await);
    }
    let committed = || harness.ambient.metrics.commit_batch_size.get_sample_sum();

    harness.postgres.set_read_only(true);
    let ask = |code| harness.begin_purchase(&service, code);
    let asked: Vec<_> = codes[1..].iter().map(ask).collect();
    for asked in asked {
        assert!(matches!(asked.await.unwrap(), Err(NoOrder::Unavailable(_))));
    }
    assert_eq!(committed(), 0.0);
    harness.postgres.set_read_only(false);
    until("Postgres takes commits again", || committed() > 0.0).await;
    // One customer has waited and asks again, and another one is new.
    for code in [&codes[BACKLOG as usize], &codes[0]] {
        purchase(&harness, &service, code).await.unwrap();
    }
    assert!(committed() < f64::from(BACKLOG) / 2.0, "{}", committed());

    let orders = || harness.postgres.count_writes("insert_orders");
    until("the backlog is committed", || {
        committed() >= f64::from(BACKLOG + 1)
    })
    .await;
    tokio::time::sleep(ANSWERED_AFTER).await;
    assert_eq!(committed(), f64::from(BACKLOG + 1), "each code once");
    assert!(orders() < 60, "{} groups", orders());
}

/// Customers who ask at once.
const CROWD: u32 = 300;

/// A crowd with carts.
async fn crowd(harness: &Harness, service: &Service) -> Vec<CheckoutCode> {
    let mut codes = Vec::new();
    for n in 0..CROWD {
        let user = format!("user-{n}");
        codes.push(harness.fill(service, &user, &[n % ITEMS]).await);
    }
    codes
}

/// Lets a crowd ask at once; returns the answers, and how many operations on Postgres these took.
async fn ask_at_once(
    harness: &Harness,
    service: &std::sync::Arc<Service>,
    codes: &[CheckoutCode],
) -> (Vec<Result<Order, NoOrder>>, u64) {
    let held = harness.postgres.hold().await;
    let ask = |code| harness.begin_purchase(service, code);
    let asked: Vec<_> = codes.iter().map(ask).collect();
    let_others_run().await;
    let before = harness.postgres.operations();
    drop(held);
    let mut answers = Vec::new();
    for asked in asked {
        answers.push(asked.await.unwrap());
    }
    (answers, harness.postgres.operations() - before)
}

#[tokio::test(start_paused = true)]
async fn customers_whose_purchases_fail_together_share_the_look_up_of_their_orders() {
    let harness = Harness::new();
    let service = harness.open().await;
    let codes = crowd(&harness, &service).await;
    for code in &codes {
        purchase(&harness, &service, code).await.unwrap();
    }
    harness.redis.flush_all();
    let (answers, operations) = ask_at_once(&harness, &service, &codes).await;
    assert!(answers.into_iter().all(|answer| answer.unwrap().replayed));
    assert!(operations < 20, "{operations} operations on Postgres");
}

#[tokio::test(start_paused = true)]
async fn customers_who_buy_too_late_share_the_look_up_of_their_orders() {
    let harness = Harness::new();
    let service = harness.open().await;
    let codes = crowd(&harness, &service).await;
    until("the sale is over", || service.active().is_none()).await;
    let (answers, operations) = ask_at_once(&harness, &service, &codes).await;
    for answer in answers {
        // The sale is over and not settled.
        let Err(NoOrder::Unavailable(error)) = answer else {
            panic!("{answer:?}");
        };
        assert_eq!(*error, BackendError::Unsettled);
    }
    assert!(operations < 20, "{operations} operations on Postgres");
}

#[tokio::test(start_paused = true)]
async fn codes_of_sales_that_never_were_share_the_look_up_of_their_sales() {
    let harness = Harness::new();
    let service = harness.open().await;
    let flash_sale = harness.sale.id.flash_sale().clone();
    let code = |n: u32| {
        let (hour, minute) = (n / 60, n % 60);
        let code = format!("CHK-{flash_sale}.20250101T{hour:02}{minute:02}Z-{:022}", 0);
        CheckoutCode::parse(&code).unwrap()
    };
    let codes: Vec<_> = (0..CROWD).map(code).collect();
    let (answers, operations) = ask_at_once(&harness, &service, &codes).await;
    assert!(
        answers
            .iter()
            .all(|answer| matches!(answer, Err(NoOrder::UnknownCode)))
    );
    assert!(operations < 20, "{operations} operations on Postgres");
}

#[tokio::test(start_paused = true)]
async fn an_item_that_is_not_in_the_sale_is_refused_at_once_while_postgres_hangs() {
    let harness = Harness::new();
    let service = harness.open().await;
    let _hangs = harness.postgres.hold().await;
    let user = UserId::parse("ann").unwrap();
    for n in 0..5 {
        let item = ItemId::parse(&format!("no-such-item-{n}")).unwrap();
        let request = harness.request();
        let answer = service.checkout(&user, &item, &request);
        let answer = tokio::time::timeout(Duration::from_millis(100), answer).await;
        let refused = Checkout::Refused(Refusal::UnknownItem);
        assert_eq!(answer.unwrap().unwrap(), refused);
    }
}
