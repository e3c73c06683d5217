//! A sale that is prepared needs no operator to open.

use std::time::Duration;

use anyhow::Result;
use jiff::SignedDuration;

use super::fixture::{Fixture, until};
use crate::{
    chart::{NAMESPACE, OPERATOR, OPERATOR_PODS},
    shop::Shop,
};

const STARTS_IN: SignedDuration = SignedDuration::from_secs(45);
const OPEN_SECONDS: u32 = 60;
/// The same moment by two clocks, and a check every 50 ms.
const LATE_AT_MOST: SignedDuration = SignedDuration::from_secs(1);
const GONE_LIMIT: Duration = Duration::from_secs(40);
/// Purchases are settled within a second or so; the operator observes every few seconds.
const STATUS_LIMIT: Duration = Duration::from_secs(40);
const SETTLE_LIMIT: Duration = Duration::from_secs(120);

/// Kills both operators, and keeps both away.
fn end_operators(fixture: &Fixture) -> Result<()> {
    let session = fixture.session;
    let kubectl = fixture.cluster.kubectl();
    let killed = fixture
        .cluster
        .kill_program(session, "flashsale-operator")?;
    anyhow::ensure!(killed == 2, "expected two operators, found {killed}");
    // And the new ones that kubelet starts in their place.
    kubectl.output(&["scale", OPERATOR, "-n", NAMESPACE, "--replicas=0"])?;
    let pods = [
        "get",
        "pods",
        "-n",
        NAMESPACE,
        "-l",
        OPERATOR_PODS,
        "-o",
        "name",
    ];
    session.await_that("no operator is left", GONE_LIMIT, || {
        Ok(kubectl.output(&pods)?.trim().is_empty().then_some(()))
    })
}

/// See the module.
pub fn before_the_start(fixture: &Fixture) -> Result<()> {
    let session = fixture.session;
    let kubectl = fixture.cluster.kubectl();
    let mut manifest = fixture.manifest("alone")?;
    manifest.last(OPEN_SECONDS);
    manifest.start_in(STARTS_IN)?;
    let mut shop = fixture.shop("alone")?;
    shop.apply(session, &manifest)?;
    shop.await_ready(session)?;
    let limit = Duration::try_from(STARTS_IN)?;
    let next = session.await_that("the sale is seeded", limit, || {
        Ok(shop.status().next_sale.filter(|next| next.seeded))
    })?;

    end_operators(fixture)?;
    let left = until(next.starts_at);
    anyhow::ensure!(
        left.is_positive(),
        "expected the operators to be gone before the start, found that this was {left:#} too late"
    );
    session.say(format_args!(
        "Both operators are killed; none is there {left:#} before the start"
    ));

    let limit = Duration::try_from(left + LATE_AT_MOST)?;
    let sale = shop.await_open(session, limit)?;
    let late = -until(next.starts_at);
    session.say(format_args!("{sale} is open {late:#} after its start"));
    let load = fixture.load(&shop)?.args(["--duration", "5"]);
    session.run(load.inherit_output())?;

    session.say("The operators come back");
    kubectl.output(&["scale", OPERATOR, "-n", NAMESPACE, "--replicas=2"])?;
    let status = session.await_that("the status has what is sold", STATUS_LIMIT, || {
        let (in_postgres, _) = shop.sold(&sale)?;
        let open = shop.status().active_sale.filter(|open| open.id == sale);
        Ok(open.filter(|open| open.sold > 0 && open.sold == in_postgres))
    })?;
    session.say(format_args!(
        "status: {} of {} are sold",
        status.sold, status.total
    ));
    let past = shop.await_settled(session, &sale, SETTLE_LIMIT)?;
    let (in_postgres, in_redis) = shop.sold(&sale)?;
    anyhow::ensure!(
        past.result == "Successful" && past.sold == in_postgres && past.sold == status.sold,
        "expected the history to have the {} items that are sold, found {past:?}, {in_postgres} \
         in Postgres and {in_redis:?} in Redis",
        status.sold
    );
    shop.delete(session)
}
