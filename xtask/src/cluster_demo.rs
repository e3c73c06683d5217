//! `cargo xtask demo --cluster`: the demo on Kubernetes. The chart is installed as a user does
//! it, the FlashSale is applied with kubectl, and people buy through its Service.
//!
//! At the end the FlashSale is deleted; the cluster and the chart stay.

use std::{path::Path, thread, time::Duration};

use anyhow::{Context, Result};
use jiff::SignedDuration;

use crate::{
    chart::Chart, cluster::Cluster, cluster_shop::ClusterShop, demo::EndpointsFile,
    manifest::Manifest, news::News, once, project, session::Session, shop::Shop, stack::Sale,
};

/// The sample opens this long after it is applied; its pods need about ten seconds.
const OPENS_IN: SignedDuration = SignedDuration::from_secs(25);
/// How long the sample is open with `--once`.
const OPEN_SECONDS: u32 = 40;
const POLL_PAUSE: Duration = Duration::from_secs(1);

/// Runs the sample, or `manifest` as it is, until Ctrl-C; with `once` until its sale is sold
/// out and settled.
pub fn run(session: &Session, manifest: Option<&Path>, once: bool) -> Result<()> {
    let folder = project::output_folder("demo")?;
    let file = EndpointsFile::new(session, &folder)?;
    let sale = Sale::of(manifest, OPENS_IN)?;
    let cluster = Cluster::up(session)?;
    install_chart(session, &cluster)?;

    let (mut manifest, delay) = match sale {
        Sale::AsItIs(of_user) => (Manifest::read(&of_user)?, None),
        Sale::Soon(sample, delay) => (sample, Some(delay)),
    };
    let mut shop = ClusterShop::new(&cluster, &manifest.name()?)?;
    match delay {
        // One of a demo that was killed has another start, and a sale of its own.
        Some(delay) => {
            shop.delete(session)?;
            manifest.leave_no_rows();
            if once {
                manifest.last(OPEN_SECONDS);
            }
            manifest.start_in(delay)?;
        }
        // It may be selling to people.
        None => anyhow::ensure!(
            !shop.is_there()?,
            "expected no FlashSale {} in the cluster, found one; \
             the demo would change it and delete it at its end",
            manifest.name()?
        ),
    }
    shop.apply(session, &manifest)?;
    let result = shop.await_ready(session).and_then(|()| match once {
        true => sell_out(session, &mut shop, &folder.join(once::REPORT)),
        false => play(session, &mut shop, &file),
    });
    session.say("Deleting the FlashSale");
    let close = shop.delete(session);
    result?;
    close?;
    let kubeconfig = cluster.kubectl().kubeconfig().display();
    session.say(format_args!(
        "The FlashSale is deleted. The cluster stays, with the chart: `kubectl --kubeconfig \
         {kubeconfig}`"
    ));
    if cluster.image().is_some() {
        session.say("`cargo xtask cluster down` removes it");
    }
    Ok(())
}

/// The steps of the README, with the image that was made here.
fn install_chart(session: &Session, cluster: &Cluster) -> Result<()> {
    if cluster.image().is_none() {
        return cluster
            .kubectl()
            .output(&["get", "crd", "flashsales.flashsale.dev"])
            .map(drop)
            .context(
                "expected the chart to be installed in the cluster of KUBECONFIG, with an image \
                 that it can get: `helm install flashsale charts/flashsale --set image.repository=…`",
            );
    }
    session.say("Installing the chart charts/flashsale");
    // Where k8s/dev has its Secrets.
    Chart::new(session, cluster)?.install_or_upgrade(&["test.namespace=default"])
}

fn sell_out(session: &Session, shop: &mut ClusterShop, report: &Path) -> Result<()> {
    let end = once::from_start_to_end(session, shop, report).with_context(|| shop.more())?;
    session.say(format_args!("{end}; report: {}", report.display()));
    Ok(())
}

fn play(session: &Session, shop: &mut ClusterShop, file: &EndpointsFile) -> Result<()> {
    let mut written = shop.endpoints();
    file.write(&written)?;
    let api = written.api.first().map_or("", String::as_str);
    println!(
        "\nSwagger UI     {api}/docs\nAPI            {api}\nPostgres       {}\n\
         status         {}\nall of it      {}\n",
        written.postgres,
        shop.describe(),
        file.path().display()
    );
    session.say("Ctrl-C ends it and deletes the FlashSale");
    let mut news = News::default();
    while !session.is_interrupted() {
        news.print(session, &shop.status());
        let endpoints = shop.endpoints();
        if endpoints != written {
            file.write(&endpoints)?;
            written = endpoints;
        }
        thread::sleep(POLL_PAUSE);
    }
    Ok(())
}
