//! A sale as it is meant to be, from `kubectl apply` to the history.

use std::time::Duration;

use anyhow::{Context, Result};
use jiff::SignedDuration;

use super::fixture::{Fixture, until};
use crate::{
    cluster_shop::{ClusterShop, Pods},
    once,
    shop::Shop,
};

const STARTS_IN: SignedDuration = SignedDuration::from_mins(2);
const WARM_UP_SECONDS: u32 = 60;
const OPEN_SECONDS: u32 = 60;
const COOL_DOWN_SECONDS: u32 = 5;
const IDLE: u32 = 1;
const SALE: u32 = 3;
/// Before the warm-up nothing but the idle pods has to start.
const IDLE_LIMIT: Duration = Duration::from_secs(50);
const COOL_DOWN_LIMIT: Duration = Duration::from_secs(60);
/// The events that are left for a later reader.
const EVENTS: [&str; 6] = [
    "Scheduled",
    "Seeded",
    "Opened",
    "SoldOut",
    "Ended",
    "Settled",
];

/// See the module.
pub fn from_apply_to_history(fixture: &Fixture) -> Result<()> {
    let session = fixture.session;
    let mut manifest = fixture.manifest("whole")?;
    manifest.replicas(IDLE, SALE);
    manifest.prepared(WARM_UP_SECONDS, COOL_DOWN_SECONDS);
    manifest.last(OPEN_SECONDS);
    manifest.start_in(STARTS_IN)?;
    let mut shop = fixture.shop("whole")?;
    shop.apply(session, &manifest)?;

    let next = shop.await_planned(session)?.next_sale;
    let next = next.context("expected a sale to come, found none")?;
    has_pods(fixture, &shop, IDLE, IDLE_LIMIT)?;
    let early = until(next.starts_at);
    anyhow::ensure!(
        early > SignedDuration::from_secs(WARM_UP_SECONDS.into()),
        "expected idle pods before the warm-up, found them {early:#} before the start"
    );
    session.say(format_args!("{IDLE} idle pod, {early:#} before the start"));

    let limit = Duration::try_from(early)?;
    session.await_that("the sale is seeded before its start", limit, || {
        let seeded = shop.status().next_sale.is_some_and(|next| next.seeded);
        Ok(seeded.then_some(()))
    })?;
    let left = until(next.starts_at);
    session.say(format_args!("Seeded {left:#} before the start"));
    let limit = Duration::try_from(left).unwrap_or_default();
    has_pods(fixture, &shop, SALE, limit).context("before the start")?;
    let left = until(next.starts_at);
    session.say(format_args!(
        "{SALE} pods are ready {left:#} before the start"
    ));

    shop.await_ready(session)?;
    let report = fixture.logs.join("whole");
    session.say(once::from_start_to_end(session, &mut shop, &report)?);

    has_pods(fixture, &shop, IDLE, COOL_DOWN_LIMIT).context("after the cool-down")?;
    session.say(format_args!("{IDLE} pod again"));
    let kept = shop.status();
    anyhow::ensure!(
        kept.past(&next.id).is_some(),
        "expected {} in the history, found {kept:?}",
        next.id
    );
    let events = shop.events()?;
    for expected in EVENTS {
        anyhow::ensure!(
            events.iter().any(|event| event == expected),
            "expected an event {expected}, found {events:?}"
        );
    }
    session.say(format_args!("Events: {}", events.join(", ")));
    shop.delete(session)
}

/// Waits until there are so many pods, all of them ready, and no other.
fn has_pods(fixture: &Fixture, shop: &ClusterShop<'_>, count: u32, limit: Duration) -> Result<()> {
    let count = u64::from(count);
    let expected = Pods {
        desired: count,
        present: count,
        ready: count,
    };
    let mut last = None;
    let what = format!("there are just {count} API pods, and they are ready");
    let found = fixture.session.await_that(&what, limit, || {
        last = shop.pods().ok();
        Ok((last == Some(expected)).then_some(()))
    });
    found.with_context(|| format!("found {last:?}"))
}
