//! Whole requests: how much a checkout and a purchase call and compute.

use std::collections::VecDeque;
use std::hint::black_box;

use flashsale_engine::{BackendError, CheckoutCode, RequestId};
use redis::Value;
use tokio::runtime::Runtime;

use crate::cases::Selection;
use crate::sale::{CART, CheckoutRequest, OpenSale};

/// How often a request is measured, after as many that are not: the average evens out the random
/// choices of tokio's `select!` and of hash maps.
const TIMES: u32 = 32;
const REQUESTS: u32 = 2 * TIMES;

type Replies = VecDeque<Result<Value, BackendError>>;

/// One thread whose time is paused: no timer ends while a request runs.
fn runtime() -> Runtime {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .unwrap()
}

/// A sale with the checkouts that are to be sent.
async fn before_checkouts() -> (OpenSale, Vec<CheckoutRequest>) {
    let sale = OpenSale::open().await;
    let requests = (0..REQUESTS).map(|user| sale.request(user, 0)).collect();
    (sale, requests)
}

/// A sale with filled carts.
async fn before_purchases() -> (OpenSale, Vec<(CheckoutCode, RequestId)>) {
    let sale = OpenSale::open().await;
    let mut carts = Vec::new();
    for user in 0..REQUESTS {
        let mut code = None;
        for n in 0..CART {
            code = Some(sale.checkout(&sale.request(user, n)).await);
        }
        carts.push((code.unwrap(), sale.request_id()));
    }
    (sale, carts)
}

/// The replies of Redis to the checkouts.
async fn record_checkouts() -> Replies {
    let (sale, requests) = before_checkouts().await;
    sale.redis.record();
    for request in &requests {
        sale.checkout(request).await;
    }
    sale.redis.recorded()
}

/// The replies of Redis to the purchases.
async fn record_purchases() -> Replies {
    let (sale, carts) = before_purchases().await;
    sale.redis.record();
    for (code, request_id) in &carts {
        sale.purchase(code, request_id).await;
    }
    sale.redis.recorded()
}

/// Counts the instructions of each that is selected.
pub fn measure_all(selection: &Selection) {
    selection.measure("checkout", TIMES, || {
        let replies = runtime().block_on(record_checkouts());
        let runtime = runtime();
        let (sale, requests) = runtime.block_on(before_checkouts());
        sale.redis.replay(replies);
        let mut requests = requests.into_iter();
        Box::new(move || {
            let request = requests.next().unwrap();
            black_box(runtime.block_on(sale.checkout(&request)));
        })
    });
    selection.measure("purchase", TIMES, || {
        let replies = runtime().block_on(record_purchases());
        let runtime = runtime();
        let (sale, carts) = runtime.block_on(before_purchases());
        sale.redis.replay(replies);
        let mut carts = carts.into_iter();
        Box::new(move || {
            let (code, request_id) = carts.next().unwrap();
            runtime.block_on(sale.purchase(&code, &request_id));
        })
    });
}

/// Counters of one sale.
#[derive(Clone, Copy)]
struct Counted {
    commands: u64,
    operations: u64,
}

fn counted(sale: &OpenSale) -> Counted {
    Counted {
        commands: sale.fake.commands(),
        operations: sale.postgres.operations(),
    }
}

/// Prints what a request called. A reader of the event stream that wakes once for all requests is
/// less than one command of each.
fn print(name: &str, before: Counted, after: Counted, calls: usize) {
    let each = |what: &str, all: u64| println!("{name}_{what} {}", all / u64::from(REQUESTS));
    each("redis_calls", calls as u64);
    each("redis_commands", after.commands - before.commands);
    each("postgres_operations", after.operations - before.operations);
}

/// Counts the calls of each request, none of which shares a call with others.
pub fn count_calls() {
    runtime().block_on(async {
        let (sale, requests) = before_checkouts().await;
        sale.redis.record();
        let before = counted(&sale);
        for request in &requests {
            sale.checkout(request).await;
        }
        print(
            "checkout",
            before,
            counted(&sale),
            sale.redis.recorded().len(),
        );
    });
    runtime().block_on(async {
        let (sale, carts) = before_purchases().await;
        sale.redis.record();
        let before = counted(&sale);
        for (code, request_id) in &carts {
            sale.purchase(code, request_id).await;
        }
        print(
            "purchase",
            before,
            counted(&sale),
            sale.redis.recorded().len(),
        );
    });
}
