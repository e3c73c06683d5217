//! What the cases share: the cluster, the chart, FlashSales, and load on them.

use std::{path::PathBuf, time::Duration};

use anyhow::{Context, Result};
use flashsale_servers::{Launch, Process};
use jiff::{SignedDuration, Timestamp};

use crate::{
    chart::{Chart, NAMESPACE},
    cluster::Cluster,
    cluster_shop::ClusterShop,
    http,
    manifest::Manifest,
    project,
    session::Session,
    shop::Shop,
    stack::product,
};

/// The names of the FlashSales of the cases.
pub const SALES: [&str; 5] = ["whole", "alone", "rolled", "upgraded", "uninstalled"];
/// A FlashSale that is wanted open soon opens so long after it is applied.
const OPENS_IN: SignedDuration = SignedDuration::from_secs(20);
const OPEN_LIMIT: Duration = Duration::from_secs(60);
/// What is done to a sale has to be done within the load on it.
const LOAD_SECONDS: u32 = 75;
/// More than are bought in that time.
const ITEMS: u32 = 100_000;
/// From its start to its first purchases, and from its end to its checked report.
const LOAD_LIMIT: Duration = Duration::from_secs(60);
/// Of the stores of k8s/dev.
const SECRETS: [&str; 2] = ["flashsale-redis", "flashsale-postgres"];

/// See the module.
pub struct Fixture<'a> {
    /// The run that this is part of.
    pub session: &'a Session,
    /// Where all happens.
    pub cluster: &'a Cluster,
    /// What is tested.
    pub chart: Chart<'a>,
    /// Where the load generator's logs go.
    pub logs: PathBuf,
}

impl<'a> Fixture<'a> {
    /// Removes what cases make; an operator has to be there for FlashSales to go.
    pub fn clear(&self) -> Result<()> {
        for name in SALES {
            let shop = self.shop(name)?;
            if shop.is_there().unwrap_or(false) {
                self.chart.install_or_upgrade(&[])?;
                shop.delete(self.session)?;
            }
        }
        self.chart.uninstall()?;
        let kubectl = self.cluster.kubectl();
        for secret in SECRETS {
            kubectl.output(&[
                "delete",
                "secret",
                secret,
                "-n",
                NAMESPACE,
                "--ignore-not-found",
            ])?;
        }
        Ok(())
    }

    /// The Secrets with the URLs of the backends, made as in the README.
    pub fn make_secrets(&self) -> Result<()> {
        let kubectl = self.cluster.kubectl();
        for secret in SECRETS {
            let url = ["get", "secret", secret, "-n", "default"];
            let url = [
                &url[..],
                &["-o", "go-template={{.data.url | base64decode}}"],
            ]
            .concat();
            let url = format!("--from-literal=url={}", kubectl.output(&url)?);
            kubectl.output(&["create", "secret", "generic", secret, "-n", NAMESPACE, &url])?;
        }
        Ok(())
    }

    /// The FlashSale `name`, which need not be there.
    pub fn shop(&self, name: &str) -> Result<ClusterShop<'a>> {
        ClusterShop::new(self.cluster, &format!("{NAMESPACE}.{name}"))
    }

    /// The sample as the FlashSale `name`, to be applied.
    pub fn manifest(&self, name: &str) -> Result<Manifest> {
        let mut manifest = Manifest::sample()?;
        manifest.call(NAMESPACE, name);
        manifest.leave_no_rows();
        Ok(manifest)
    }

    /// The FlashSale `name` with two pods and a sale that is open, for longer than any case,
    /// and the sale's id.
    pub fn open_sale(&self, name: &str) -> Result<(ClusterShop<'a>, String)> {
        let mut shop = self.shop(name)?;
        let mut manifest = self.manifest(name)?;
        manifest.sell(ITEMS);
        manifest.start_in(OPENS_IN)?;
        shop.apply(self.session, &manifest)?;
        shop.await_ready(self.session)?;
        let sale = shop.await_open(self.session, OPEN_LIMIT);
        let sale = sale.with_context(|| shop.more())?;
        Ok((shop, sale))
    }

    /// Does `what` to a sale while people buy; every request has to be answered as in a sale
    /// that works, and the answers have to be true.
    pub fn under_load(
        &self,
        shop: &ClusterShop<'_>,
        sale: &str,
        what: impl FnOnce() -> Result<()>,
    ) -> Result<()> {
        self.session.say(format_args!(
            "{LOAD_SECONDS} s of load on {sale} through its Service"
        ));
        let mut load = self.start_load(shop, sale)?;
        let path = format!("/sales/{sale}");
        self.session.await_that("people buy", LOAD_LIMIT, || {
            still_loads(&mut load)?;
            let answer = http::get(first(shop)?, &path);
            let sold = answer
                .ok()
                .and_then(|(_, sale)| sale["items_sold"].as_u64());
            Ok(sold.filter(|sold| *sold > 0))
        })?;
        what()?;
        still_loads(&mut load)?;
        let limit = Duration::from_secs(LOAD_SECONDS.into()) + LOAD_LIMIT;
        let status = self
            .session
            .await_that("the load ends", limit, || Ok(load.status()))?;
        print!("{}", load.log_tail(24));
        anyhow::ensure!(
            status.success(),
            "expected every request to be answered and every answer to be true, found that \
             flashsale-load ended with {status}; see above"
        );
        Ok(())
    }

    fn start_load(&self, shop: &ClusterShop<'_>, sale: &str) -> Result<Process> {
        let load = self
            .load(shop)?
            .log(self.logs.join(format!("{sale}.log")))
            // No faster than leaves two cores time for Kubernetes, and over many connections, each
            // of which may be idle just when its pod ends.
            .args(["--rate", "200"])
            .args(["--users", "64", "--connections", "64"])
            .args(["--duration", &LOAD_SECONDS.to_string()]);
        Ok(self.session.guard().launch(&load)?)
    }

    /// A call of the load generator, with light load and a check of the answers.
    pub fn load(&self, shop: &ClusterShop<'_>) -> Result<Launch> {
        let program = project::program(shop.load_profile(), "flashsale-load")?;
        Ok(product("flashsale-load", program)
            .args(["--profile", "light", "--quiet"])
            .args(["--target", first(shop)?])
            .args(["--postgres", &shop.places().postgres]))
    }
}

/// The base URL of the Service.
fn first<'s>(shop: &'s ClusterShop<'_>) -> Result<&'s str> {
    let url = shop.places().api.first();
    url.map(String::as_str)
        .context("the Service was not reached yet")
}

/// From now until `then`; to milliseconds, for people.
pub fn until(then: Timestamp) -> SignedDuration {
    let left = then.duration_since(Timestamp::now());
    SignedDuration::from_millis_i128(left.as_millis())
}

/// What was done must not have taken longer than the load, or nobody was there to notice.
fn still_loads(load: &mut Process) -> Result<()> {
    match load.status() {
        None => Ok(()),
        Some(status) => anyhow::bail!(
            "expected the load to go on meanwhile, found that it had ended with {status}:\n{}",
            load.log_tail(24)
        ),
    }
}
