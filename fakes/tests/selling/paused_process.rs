//! A process pauses across the end of a sale with a claim that it has not committed, and Redis
//! loses the claim: nobody is refused for good while the claim may still be committed.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::{BackendError, CheckoutCode, NoOrder, Order};
use flashsale_fakes::Held;

use crate::harness::{Harness, Service, let_others_run, sold, until};

struct Paused {
    harness: Harness,
    service: Arc<Service>,
    paused: Arc<Service>,
    code: CheckoutCode,
    /// The paused process goes on when this is dropped.
    held: Held,
}

/// The window of the sale has ended; a paused process has a claim that nobody else has.
async fn process_paused_across_the_end() -> Paused {
    let harness = Harness::new();
    let service = harness.open().await;
    let postgres = harness.postgres.of_another_process();
    let redis = harness.redis.clone();
    let paused = harness.process(redis, postgres.clone()).await;
    until("the other process sells", || paused.active().is_some()).await;
    let code = harness.fill(&service, "ann", &[1]).await;
    let before = harness.redis.snapshot();
    let held = postgres.hold().await;
    harness.begin_purchase(&paused, &code);
    let_others_run().await;
    harness.redis.return_to(&before);
    until("the window ends", || service.active().is_none()).await;
    Paused {
        harness,
        service,
        paused,
        code,
        held,
    }
}

async fn purchase(paused: &Paused) -> Result<Order, NoOrder> {
    let request = paused.harness.request();
    paused.service.purchase(&paused.code, &request).await
}

#[tokio::test(start_paused = true)]
async fn a_code_is_not_refused_for_good_before_its_sale_is_settled() {
    let paused = process_paused_across_the_end().await;
    match purchase(&paused).await {
        Err(NoOrder::Unavailable(error)) => assert_eq!(*error, BackendError::Unsettled),
        other => panic!("{other:?}"),
    }
    let Paused {
        harness,
        service,
        code,
        held,
        ..
    } = paused;
    drop(held);
    until("the claim is committed", || {
        harness.ambient.metrics.sale_items_sold_total.get() == 1
    })
    .await;
    let order = service.purchase(&code, &harness.request()).await.unwrap();
    assert_eq!(sold(&order), [1]);
}

#[tokio::test(start_paused = true)]
async fn a_claim_that_comes_after_the_settlement_is_refused_by_postgres() {
    let paused = process_paused_across_the_end().await;
    let id = paused.harness.sale.id.clone();
    let admin = paused.harness.admin();
    admin.close(&id).await.unwrap();
    while !admin.settle(&id).await.unwrap().settled {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
    let refused = purchase(&paused).await;
    assert!(
        matches!(refused, Err(NoOrder::SaleNotActive)),
        "{refused:?}"
    );

    let Paused {
        harness,
        paused,
        code,
        held,
        ..
    } = paused;
    drop(held);
    let_others_run().await;
    let late = paused.purchase(&code, &harness.request()).await;
    assert!(matches!(late, Err(NoOrder::SaleNotActive)), "{late:?}");
    let purchases = harness.postgres.read_purchases(&id, 0).await.unwrap();
    assert_eq!(purchases, [], "nothing is sold after the settlement");
    // Nothing waits for a commit that cannot come.
    assert!(paused.stop(Duration::from_secs(10)).await);
}
