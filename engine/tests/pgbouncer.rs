//! A sale behind PgBouncer in transaction mode, whose two sessions are shared by all connections.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::time::Duration;

use flashsale_engine::Certificates;
use flashsale_servers::PgBouncer;
use futures_util::future::join_all;
use support::{LIMITS, Stack, eventually, fill, request_id};

const USERS: usize = 40;

#[tokio::test(flavor = "multi_thread")]
async fn a_whole_sale_takes_place_behind_a_pooler() {
    let stack = Stack::start_with((1, 0), |postgres| {
        Some(PgBouncer::start(postgres, 2).unwrap())
    })
    .await;
    // A second program migrates, and two at once.
    let migrations =
        (0..2).map(|_| flashsale_engine::migrate(&stack.postgres_url, &Certificates::NONE));
    for migrated in join_all(migrations).await {
        migrated.unwrap();
    }
    let sale = stack.sale(100, LIMITS);
    let catalog = stack.seed(&sale).await;
    let services = [stack.service().await, stack.service().await];
    let ids: Vec<&str> = catalog.iter().map(|item| item.id.as_str()).collect();

    // Each user shares an item with the next one.
    let carts = (0..USERS).map(|n| {
        let (service, items) = (&services[n % 2], [ids[n], ids[n + 1]]);
        async move { fill(service, &format!("user-{n}"), &items).await }
    });
    let codes = join_all(carts).await;
    let buyers = codes.iter().enumerate().map(|(n, code)| {
        let (service, other) = (&services[n % 2], &services[(n + 1) % 2]);
        async move {
            let order = service.purchase(code, &request_id()).await.unwrap();
            let again = other.purchase(code, &request_id()).await.unwrap();
            assert!(again.replayed);
            assert_eq!(again.items, order.items);
            order.sold_count()
        }
    });
    let sold: usize = join_all(buyers).await.into_iter().sum();
    assert_eq!(sold, USERS + 1);

    let attempts = 2 * USERS as i64;
    eventually("every attempt is in the table", || async {
        stack
            .sql::<i64>("SELECT count(*) FROM checkout_attempts")
            .await
            == attempts
    })
    .await;
    for service in &services {
        assert!(service.stop(Duration::from_secs(10)).await);
    }
    assert_eq!(stack.close_and_settle(&sale.id).await as usize, sold);
    stack.admin.retire(&sale.id).await.unwrap();
    leaves_no_session_state(&stack);
}

/// What other clients of the pooler would find in its sessions.
fn leaves_no_session_state(stack: &Stack) {
    let state = "SELECT (SELECT count(*) FROM pg_prepared_statements), \
                        (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory'), \
                        current_setting('statement_timeout'), current_setting('lock_timeout')";
    for _ in 0..10 {
        let found = flashsale_servers::query(&stack.postgres_url, state).unwrap();
        assert_eq!(found, "0|0|0|0");
    }
}
