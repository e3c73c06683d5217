//! `cargo xtask demo --cluster`: the demo on Kubernetes. The chart is installed as a user does
//! it, the FlashSale is applied with kubectl, and people buy through its Service.
//!
//! At the end the FlashSale is deleted; the cluster and the chart stay.

mod reach;

use std::{path::Path, path::PathBuf, thread, time::Duration};

use anyhow::{Context, Result};
use flashsale_servers::{Launch, go_program};
use jiff::SignedDuration;

use self::reach::{Reach, Target};
use crate::{
    cluster::{Cluster, Kubectl},
    demo::EndpointsFile,
    manifest::Manifest,
    news::News,
    once, project,
    session::Session,
    shop::{Endpoints, Shop},
    stack::Sale,
    status::Status,
};

/// The namespace of the operator.
const OPERATOR_NAMESPACE: &str = "flashsale";
/// The sample opens this long after it is applied; its pods need about ten seconds.
const OPENS_IN: SignedDuration = SignedDuration::from_secs(25);
/// How long the sample is open with `--once`.
const OPEN_SECONDS: u32 = 40;
/// The operator makes it at once; its pods may take a while to be ready.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// The operator stops the sale first, then cleans up.
const DELETE_LIMIT: Duration = Duration::from_secs(90);
const LOOK_PAUSE: Duration = Duration::from_secs(1);

/// Runs the sample, or `manifest` as it is, until Ctrl-C; with `once` until its sale is sold
/// out and settled.
pub fn run(session: &Session, manifest: Option<&Path>, once: bool) -> Result<()> {
    let folder = project::output_folder("demo")?;
    let file = EndpointsFile::new(session, &folder)?;
    let sale = Sale::of(manifest, OPENS_IN)?;
    let cluster = Cluster::up(session)?;
    install_chart(session, &cluster)?;

    let mut shop = ClusterShop::apply(session, &cluster, sale, once)?;
    let result = shop.await_ready(session).and_then(|()| match once {
        true => sell_out(session, &mut shop, &folder.join("report")),
        false => play(session, &mut shop, &file),
    });
    let close = shop.close(session);
    result?;
    close?;
    session.say(format_args!(
        "The FlashSale is deleted. The cluster stays, with the chart: \
         `kubectl --kubeconfig {}`; `cargo xtask cluster down` removes it",
        cluster.kubectl().kubeconfig().display()
    ));
    Ok(())
}

/// What the README says, with the image that was made here.
fn install_chart(session: &Session, cluster: &Cluster) -> Result<()> {
    let Some(image) = cluster.image() else {
        // Nobody but its owner can put our image into another cluster.
        return cluster
            .kubectl()
            .output(&["get", "crd", "flashsales.flashsale.dev"])
            .map(drop)
            .context(
                "expected the chart to be installed in the cluster of KUBECONFIG, with an image \
                 that it can get: `helm install flashsale charts/flashsale --set image.repository=…`",
            );
    };
    session.say("Installing the chart charts/flashsale");
    let helm = session.begin_work(|| Ok(go_program("helm")?));
    let helm = session.finish_work(helm)?;
    session.run(
        Launch::new("helm", helm)
            .args(["upgrade", "--install", "flashsale"])
            .arg(project::root().join("charts/flashsale"))
            .args(["--namespace", OPERATOR_NAMESPACE, "--create-namespace"])
            .args(["--set", "image.tag=dev"])
            // Where k8s/dev has its Secrets.
            .args(["--set", "test.namespace=default"])
            // The same tag may name another image than the last time.
            .args(["--set-string", &format!("podAnnotations.image={image}")])
            .args(["--wait", "--timeout", "3m"])
            .arg("--kubeconfig")
            .arg(cluster.kubectl().kubeconfig()),
    )
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
        news.tell(session, &shop.status());
        let endpoints = shop.endpoints();
        if endpoints != written {
            file.write(&endpoints)?;
            written = endpoints;
        }
        thread::sleep(LOOK_PAUSE);
    }
    Ok(())
}

/// A FlashSale in a cluster.
struct ClusterShop<'a> {
    kubectl: &'a Kubectl,
    namespace: String,
    name: String,
    manifest: PathBuf,
    endpoints: Endpoints,
    /// What leads there, as long as this is.
    reach: Reach<'a>,
}

impl<'a> ClusterShop<'a> {
    fn apply(session: &Session, cluster: &'a Cluster, sale: Sale, once: bool) -> Result<Self> {
        let is_sample = matches!(sale, Sale::Soon(..));
        let manifest = match sale {
            Sale::AsItIs(of_user) => Manifest::read(&of_user)?,
            Sale::Soon(mut sample, delay) => {
                sample.leave_no_rows();
                if once {
                    sample.last(OPEN_SECONDS);
                }
                sample.start_in(delay)?;
                sample
            }
        };
        let file = session.guard().folder().join("flashsale.yaml");
        manifest.write(&file)?;
        let full_name = manifest.name()?;
        let (namespace, name) = full_name
            .split_once('.')
            .context("expected <namespace>.<name>")?;
        let shop = Self {
            kubectl: cluster.kubectl(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            manifest: file,
            endpoints: Endpoints::default(),
            reach: Reach::of(cluster),
        };
        match is_sample {
            // One of a demo that was killed has another start, and a sale of its own.
            true => shop.delete(session)?,
            // It may be selling to people.
            false => anyhow::ensure!(
                shop.status_text().is_err(),
                "expected no FlashSale {full_name} in the cluster, found one; \
                 the demo would change it and delete it at its end"
            ),
        }
        let path = shop.manifest.display().to_string();
        shop.kubectl.run(session, &["apply", "-f", &path])?;
        Ok(shop)
    }

    /// Waits until its Service has a pod that is ready, and finds out how to get there.
    fn await_ready(&mut self, session: &Session) -> Result<()> {
        session.say("Waiting for the API pods");
        let here = ["-n", &self.namespace];
        let selector = format!("flashsale.dev/flash-sale={}", self.name);
        let services = ["get", "service", "-o", "name", "-l", &selector];
        let services = [&services[..], &here].concat();
        let service = session.await_that("the FlashSale has a Service", READY_LIMIT, || {
            let found = self.kubectl.output(&services)?;
            Ok(found.lines().next().map(|line| line.trim().to_owned()))
        });
        let service = service.with_context(|| self.more())?;
        let deployment = service.replace("service/", "deployment/");
        let ready = "jsonpath={.status.readyReplicas}";
        let ready = [&["get", &deployment, "-o", ready][..], &here].concat();
        let is_ready = session.await_that("a pod of the API is ready", READY_LIMIT, || {
            let count = self.kubectl.output(&ready).unwrap_or_default();
            let is_ready = count.trim().parse().is_ok_and(|count: u32| count > 0);
            Ok(is_ready.then_some(()))
        });
        is_ready.with_context(|| self.more())?;
        let api = Target {
            namespace: &self.namespace,
            resource: &service,
            port: 80,
        };
        let postgres = Target {
            namespace: "default",
            resource: "service/flashsale-postgres",
            port: 5432,
        };
        let api = self.reach.address(session, api)?;
        let postgres = self.reach.address(session, postgres)?;
        self.endpoints = Endpoints {
            api: vec![format!("http://{api}")],
            // As k8s/dev has it.
            postgres: format!("postgres://flashsale:flashsale@{postgres}/flashsale"),
            ..Endpoints::default()
        };
        Ok(())
    }

    /// The command that tells most about it.
    fn describe(&self) -> String {
        let kubeconfig = self.kubectl.kubeconfig().display();
        format!(
            "kubectl --kubeconfig {kubeconfig} describe flashsale {} -n {}",
            self.name, self.namespace
        )
    }

    /// The resource as JSON; an error where there is none.
    fn status_text(&self) -> Result<String> {
        let name = ["get", "flashsale", &self.name, "-n", &self.namespace];
        self.kubectl.output(&[&name[..], &["-o", "json"]].concat())
    }

    fn more(&self) -> String {
        format!("this tells more: `{}`", self.describe())
    }

    fn close(&self, session: &Session) -> Result<()> {
        session.say("Deleting the FlashSale");
        self.delete(session)
    }

    /// Deletes it where it is there, and waits until it is gone; also after Ctrl-C.
    fn delete(&self, session: &Session) -> Result<()> {
        let path = self.manifest.display().to_string();
        let delete = ["delete", "-f", &path, "--ignore-not-found"];
        let mut process = session.guard().launch(&self.kubectl.launch(&delete))?;
        let status = process.wait(DELETE_LIMIT);
        anyhow::ensure!(
            status.is_some_and(|status| status.success()),
            "could not delete the FlashSale within {} s; {}\n{}",
            DELETE_LIMIT.as_secs(),
            self.more(),
            process.log_tail(5)
        );
        Ok(())
    }
}

impl Shop for ClusterShop<'_> {
    fn check(&mut self) -> Result<()> {
        Ok(())
    }

    fn status(&self) -> Status {
        // An API server that does not answer now may do so the next time.
        Status::read(&self.status_text().unwrap_or_default())
    }

    fn places(&self) -> &Endpoints {
        &self.endpoints
    }

    fn ask_redis(&self, words: &[&str]) -> Result<String> {
        let exec = [
            "exec",
            "-n",
            "default",
            "flashsale-redis-0",
            "--",
            "redis-cli",
            "-c",
        ];
        let said = self.kubectl.output(&[&exec[..], words].concat())?;
        Ok(said.trim().to_owned())
    }
}
