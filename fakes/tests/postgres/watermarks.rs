//! Watermarks of API processes.

use flashsale_engine::Watermarks;
use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::{Clock, SystemClock};

use crate::operations::Fixture;
use crate::support::{fake, real};

/// The processes of a FlashSale with what they have settled, in their order.
fn settled(watermarks: &Watermarks) -> Vec<(u64, i64)> {
    let each = watermarks.of_processes.iter();
    let mut settled: Vec<_> = each.map(|w| (w.process, w.settled_through_us)).collect();
    settled.sort_unstable();
    settled
}

async fn watermarks_are_kept_by_process(postgres: &impl Postgres, clock: &Clock) {
    let (fixture, other) = (Fixture::new("marks"), Fixture::new("other-marks"));
    let read = async || postgres.read_watermarks(&fixture.flash_sale).await.unwrap();
    let publish = async |process, settled_us| {
        let published = postgres.publish_watermark(&fixture.flash_sale, process, settled_us);
        published.await.unwrap()
    };
    assert_eq!(settled(&read().await), []);

    let before_us = clock.now_us();
    // The server's clock is this machine's.
    assert!(before_us <= publish(1, 0).await);
    let published_us = publish(u64::MAX, 7_000_001).await;
    // Nothing of the future is settled.
    let now_us = publish(1, i64::MAX / 2).await;
    let of_first = settled(&read().await)[0].1;
    assert!((before_us..=now_us).contains(&of_first), "{of_first}");
    publish(1, 8_000_000).await;
    let elsewhere = postgres.publish_watermark(&other.flash_sale, 3, 5);
    elsewhere.await.unwrap();
    let watermarks = read().await;
    assert_eq!(
        settled(&watermarks),
        [(1, 8_000_000), (u64::MAX, 7_000_001)]
    );
    let last = watermarks.of_processes.iter().find(|w| w.process > 1);
    assert_eq!(last.unwrap().seen_us, published_us);
    assert!(published_us <= watermarks.now_us);

    let delete_silent = async |silent_us| {
        let deleted = postgres.delete_silent_watermarks(&fixture.flash_sale, silent_us);
        deleted.await.unwrap();
        settled(&read().await).len()
    };
    assert_eq!(delete_silent(60_000_000).await, 2, "seen within a minute");

    postgres.delete_watermark(1).await.unwrap();
    postgres.delete_watermark(1).await.unwrap();
    assert_eq!(settled(&read().await), [(u64::MAX, 7_000_001)]);
    let dropped = postgres.drop_attempt_days(&fixture.flash_sale, 30);
    dropped.await.unwrap();
    assert_eq!(settled(&read().await).len(), 1, "seen today");
    assert_eq!(delete_silent(-1_000_000).await, 0);
    publish(2, 0).await;
    let deleted = postgres.delete_flash_sale(&fixture.flash_sale);
    deleted.await.unwrap();
    assert_eq!(settled(&read().await), []);
    let elsewhere = postgres.read_watermarks(&other.flash_sale).await.unwrap();
    assert_eq!(settled(&elsewhere), [(3, 5)]);
}

#[tokio::test]
async fn both_keep_what_processes_have_published() {
    let clock = SystemClock::clock();
    watermarks_are_kept_by_process(&fake(), &clock).await;
    watermarks_are_kept_by_process(&real("watermarks").await, &clock).await;
}
