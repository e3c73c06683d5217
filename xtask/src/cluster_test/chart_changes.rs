//! `helm install`, `test`, `upgrade` and `uninstall`.

use std::time::Duration;

use anyhow::{Context, Result};

use super::fixture::Fixture;
use crate::{cluster_shop::ClusterShop, shop::Shop};

/// A Lease that was handed over is taken within seconds; the counts in the status are written
/// every few seconds.
const TAKEN_OVER_LIMIT: Duration = Duration::from_secs(45);

/// The README's first commands.
pub fn is_installed_and_tested(fixture: &Fixture) -> Result<()> {
    fixture.chart.install(&[])?;
    fixture.make_secrets()?;
    fixture.chart.test()
}

/// Operators are replaced one by one; API pods are none of the chart's business.
pub fn is_upgraded_under_load(fixture: &Fixture) -> Result<()> {
    let (shop, sale) = fixture.open_sale("upgraded")?;
    let pods = shop.pod_ids()?;
    fixture.under_load(&shop, &sale, || {
        fixture.chart.upgrade(&["podAnnotations.upgraded=yes"])?;
        is_led(fixture, &shop)?;
        has_the_same_pods(&shop, &pods)
    })?;
    shop.delete(fixture.session)
}

/// The definition and the FlashSales stay, and with them what sells.
pub fn is_uninstalled_under_load(fixture: &Fixture) -> Result<()> {
    let session = fixture.session;
    let (shop, sale) = fixture.open_sale("uninstalled")?;
    let pods = shop.pod_ids()?;
    fixture.under_load(&shop, &sale, || {
        fixture.chart.uninstall()?;
        anyhow::ensure!(
            shop.is_there()?,
            "expected the FlashSale to survive the chart, found none"
        );
        has_the_same_pods(&shop, &pods)?;
        session.say("Installed again");
        fixture.chart.install(&[])?;
        is_led(fixture, &shop)?;
        has_the_same_pods(&shop, &pods)
    })?;
    shop.delete(session)?;
    let (left, _) = shop.sold(&sale)?;
    anyhow::ensure!(
        left == 0,
        "expected `deletionPolicy: Delete` to leave no row of {sale}, found {left} purchases"
    );
    Ok(())
}

/// Waits until an operator reports more sold items than before.
fn is_led(fixture: &Fixture, shop: &ClusterShop<'_>) -> Result<()> {
    let sold = || shop.status().active_sale.map(|sale| sale.sold);
    let before = sold().context("expected a sale that is open, found none")?;
    fixture
        .session
        .await_that("an operator is at work", TAKEN_OVER_LIMIT, || {
            Ok(sold().filter(|now| *now > before))
        })?;
    Ok(())
}

fn has_the_same_pods(shop: &ClusterShop<'_>, pods: &[String]) -> Result<()> {
    let now = shop.pod_ids()?;
    anyhow::ensure!(
        now == pods,
        "expected the API pods to stay as they are ({pods:?}), found {now:?}"
    );
    Ok(())
}
