//! `helm install`, `test`, `upgrade` and `uninstall`.

use std::time::Duration;

use anyhow::{Context, Result};

use super::scene::Scene;
use crate::{cluster_shop::ClusterShop, shop::Shop};

/// A Lease that was handed over is taken within seconds; the counts in the status are written
/// every few seconds.
const TAKEN_OVER_LIMIT: Duration = Duration::from_secs(45);

/// The README's first commands.
pub fn is_installed_and_tested(scene: &Scene) -> Result<()> {
    scene.chart.install(&[])?;
    scene.make_secrets()?;
    scene.chart.test()
}

/// Operators are replaced one by one; API pods are none of the chart's business.
pub fn is_upgraded_under_load(scene: &Scene) -> Result<()> {
    let (shop, sale) = scene.open_sale("upgraded")?;
    let pods = shop.pod_ids()?;
    scene.under_load(&shop, &sale, || {
        scene.chart.upgrade(&["podAnnotations.upgraded=yes"])?;
        is_led(scene, &shop)?;
        has_the_same_pods(&shop, &pods)
    })?;
    shop.delete(scene.session)
}

/// The definition and the FlashSales stay, and with them what sells.
pub fn is_uninstalled_under_load(scene: &Scene) -> Result<()> {
    let session = scene.session;
    let (shop, sale) = scene.open_sale("uninstalled")?;
    let pods = shop.pod_ids()?;
    scene.under_load(&shop, &sale, || {
        scene.chart.uninstall()?;
        anyhow::ensure!(
            shop.is_there()?,
            "expected the FlashSale to survive the chart, found none"
        );
        has_the_same_pods(&shop, &pods)?;
        session.say("Installed again");
        scene.chart.install(&[])?;
        is_led(scene, &shop)?;
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

/// Waits until an operator tells more sold than there was.
fn is_led(scene: &Scene, shop: &ClusterShop<'_>) -> Result<()> {
    let sold = || shop.status().active_sale.map(|sale| sale.sold);
    let before = sold().context("expected a sale that is open, found none")?;
    scene
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
