//! How many carts the slot of one sale claims in a second: batches of carts of three items, as the lane
//! of claims of an API process sends them, several at a time. `cargo xtask bench --case claims` runs it.
//!
//! Prints a line of JSON. Nothing else of the product runs: no HTTP, no cart partition, no Postgres.

use std::error::Error;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use flashsale_engine::budget::{FrozenCart, SaleSlot};
use flashsale_engine::{
    Ambient, BackendError, CURRENT_FORMAT, Certificates, CodeSuffix, DEFAULT_PARTITIONS, Limits,
    RedisCluster, RequestId, Sale, SaleId, Window,
};
use jiff::{SignedDuration, Timestamp};

/// As many as the lane puts into one script call.
const BATCH: u32 = 64;
const ITEMS_OF_A_CART: u32 = 3;
/// Batches on their way at once: so many API processes would each send one.
const IN_FLIGHT: usize = 4;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let mut args = std::env::args().skip(1);
    let usage = "expected the URL of a Redis cluster and a number of carts";
    let url = args.next().ok_or(usage)?;
    let carts: u32 = args.next().ok_or(usage)?.parse()?;
    let ambient = Ambient::system()?;
    let (metrics, clock) = (ambient.metrics.clone(), ambient.clock.clone());
    let redis = RedisCluster::connect(&url, &Certificates::NONE, metrics, clock).await?;
    let sale = sale(carts * ITEMS_OF_A_CART)?;
    let slot = Arc::new(SaleSlot::new(&sale.id));
    slot.open(&redis, &sale).await?;

    let next_batch = Arc::new(AtomicU32::new(0));
    let begun = ambient.clock.start_timer();
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..IN_FLIGHT {
        let (redis, slot, next_batch) = (redis.clone(), slot.clone(), next_batch.clone());
        senders.spawn(async move {
            let mut sold = 0;
            loop {
                let first = next_batch.fetch_add(1, Ordering::Relaxed) * BATCH;
                if first >= carts {
                    return Ok::<_, BackendError>(sold);
                }
                let batch = first..carts.min(first + BATCH);
                sold += slot.claim(&redis, batch.filter_map(cart).collect()).await?;
            }
        });
    }
    let mut sold = 0;
    while let Some(of_sender) = senders.join_next().await {
        sold += of_sender??;
    }
    let seconds = begun.elapsed().as_secs_f64();
    if sold != (carts * ITEMS_OF_A_CART) as usize {
        let expected = carts * ITEMS_OF_A_CART;
        return Err(format!("expected {expected} items to be sold, found {sold}").into());
    }
    println!("{{\"carts\": {carts}, \"seconds\": {seconds}}}");
    Ok(())
}

/// A cart of a user of its own, with items that nobody else has.
fn cart(number: u32) -> Option<FrozenCart> {
    let suffix = CodeSuffix::parse(&format!("{number:022}"))?;
    let request_id = RequestId::parse(&format!("request-{number:07}")).ok()?;
    let first = number * ITEMS_OF_A_CART;
    let items: Vec<String> = (first..first + ITEMS_OF_A_CART)
        .map(|idx| idx.to_string())
        .collect();
    let user = format!("user-{number:07}");
    Some(FrozenCart::new(suffix, user, items.join(","), request_id))
}

fn sale(items: u32) -> Result<Sale, Box<dyn Error>> {
    let hour = SignedDuration::from_hours(1);
    let now = Timestamp::now();
    let window = Window {
        starts_at: now - hour,
        ends_at: now + hour,
    };
    Ok(Sale {
        id: "default.claims.20260101T0000Z".parse::<SaleId>()?,
        window,
        limits: Limits {
            per_user: 10,
            per_checkout: 10,
            total: items,
        },
        items,
        partitions: DEFAULT_PARTITIONS,
        best_effort: false,
        format: CURRENT_FORMAT,
    })
}
