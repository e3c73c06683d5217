//! How many statements an operation on Postgres is, counted by a real server. `cargo xtask budget`
//! counts the operations of a request.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use flashsale_engine::postgres::operations::Postgres as _;
use flashsale_engine::{
    Attempt, AttemptOutcome, AttemptRequest, CURRENT_FORMAT, Catalog, Certificates, CheckoutCode,
    Claim, CodeSuffix, FlashSaleName, ItemOutcome, ItemResult, Limits, Metrics, Outcome,
    PostgresPool, Refusal, RequestId, Sale, SaleId, SystemClock, Window, migrate,
};
use flashsale_servers::{Postgres as PostgresServer, PostgresSettings};
use jiff::{SignedDuration, Timestamp};
use uuid::Uuid;

const ITEMS: u32 = 100;

fn sale() -> Sale {
    let starts_at = Timestamp::now();
    Sale {
        id: SaleId::new(&FlashSaleName::new("shop", "hourly").unwrap(), starts_at),
        window: Window {
            starts_at,
            ends_at: starts_at + SignedDuration::from_hours(1),
        },
        limits: Limits {
            per_user: 10,
            per_checkout: 10,
            total: ITEMS,
        },
        items: ITEMS,
        partitions: 4,
        best_effort: false,
        format: CURRENT_FORMAT,
    }
}

/// A claim of one item by a user of its own.
fn claim(sale: &Sale, idx: u32) -> Claim {
    Claim {
        code: CheckoutCode {
            sale: sale.id.clone(),
            suffix: CodeSuffix::parse(&format!("{idx:022}")).unwrap(),
        },
        outcome: Outcome {
            user: format!("user-{idx}"),
            request_id: "r".to_owned(),
            at_ms: 1_000,
            results: vec![ItemResult {
                idx,
                outcome: ItemOutcome::Sold {
                    user_slot: 1,
                    sale_slot: 0,
                },
            }],
        },
        replayed: false,
    }
}

fn attempt(n: u128) -> Attempt {
    Attempt {
        request: AttemptRequest {
            id: Uuid::from_u128(n),
            at_us: Timestamp::now().as_microsecond(),
            user: None,
            item: None,
            request_id: RequestId::parse("r").unwrap(),
        },
        sale: None,
        suffix: None,
        outcome: AttemptOutcome::Refused(Refusal::SaleNotActive),
    }
}

/// The statements that the server has run.
fn count(server: &PostgresServer) -> u64 {
    let count = server.statement_count().unwrap();
    let count = count.expect("Debian's package of Postgres has pg_stat_statements");
    count.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_group_of_claims_is_one_statement_and_a_batch_of_attempts_two() {
    let server = tokio::task::spawn_blocking(|| {
        PostgresServer::start_with(PostgresSettings {
            count_statements: true,
            ..PostgresSettings::default()
        })
    });
    let server = server.await.unwrap().unwrap();
    let url = server.url();
    migrate(&url, &Certificates::NONE).await.unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let pool = PostgresPool::connect(&url, &Certificates::NONE, 1, metrics, SystemClock::clock());
    let (pool, sale) = (pool.await.unwrap(), sale());
    let flash_sale = sale.id.flash_sale();
    let catalog = Catalog::generate(ITEMS, "item").unwrap();
    pool.insert_sale(&sale, &catalog).await.unwrap();
    pool.create_attempt_days(flash_sale, None, 2).await.unwrap();
    let claims: Vec<Claim> = (0..20).map(|idx| claim(&sale, idx)).collect();
    let claims: Vec<&Claim> = claims.iter().collect();
    let attempts: Vec<Attempt> = (0..20).map(attempt).collect();
    let attempts: Vec<&Attempt> = attempts.iter().collect();

    let before = count(&server);
    pool.insert_orders(&claims).await.unwrap();
    let after_orders = count(&server);
    assert_eq!(after_orders - before, 1, "statements of a group of claims");
    pool.append_attempts(flash_sale, &attempts).await.unwrap();
    let after_attempts = count(&server);
    assert_eq!(
        after_attempts - after_orders,
        2,
        "the number of the FlashSale and the copy of the attempts"
    );
}
