//! A FlashSale in a cluster, as a user has it: applied with kubectl, bought from through its
//! Service.

mod reach;

use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::Value;

use self::reach::{Reach, Target};
use crate::{
    cluster::{Cluster, Kubectl},
    manifest::Manifest,
    project::Profile,
    session::Session,
    shop::{Endpoints, Shop},
    status::Status,
};

/// The operator makes a Service at once; its pods may take a while to be ready.
const READY_LIMIT: Duration = Duration::from_secs(120);
/// The operator stops the sale first, then cleans up.
const DELETE_LIMIT: Duration = Duration::from_secs(90);

/// See the module.
pub struct ClusterShop<'a> {
    kubectl: &'a Kubectl,
    namespace: String,
    name: String,
    endpoints: Endpoints,
    /// What leads there, as long as this is.
    reach: Reach<'a>,
}

/// How many API pods a FlashSale has.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pods {
    /// As many as the operator has asked for.
    pub desired: u64,
    /// As many as there are, those that are ending among them.
    pub present: u64,
    /// As many of them as can be sold through.
    pub ready: u64,
}

impl<'a> ClusterShop<'a> {
    /// For the FlashSale `<namespace>.<name>`, which need not be there.
    pub fn new(cluster: &'a Cluster, full_name: &str) -> Result<Self> {
        let (namespace, name) = full_name
            .split_once('.')
            .context("expected <namespace>.<name>")?;
        Ok(Self {
            kubectl: cluster.kubectl(),
            namespace: namespace.to_owned(),
            name: name.to_owned(),
            endpoints: Endpoints::default(),
            reach: Reach::of(cluster),
        })
    }

    /// Whether there is such a FlashSale.
    pub fn is_there(&self) -> Result<bool> {
        let name = ["get", "flashsale", &self.name, "-n", &self.namespace];
        let found = self
            .kubectl
            .output(&[&name[..], &["--ignore-not-found", "-o", "name"]].concat())?;
        Ok(!found.trim().is_empty())
    }

    /// `kubectl apply` of a manifest that holds it.
    pub fn apply(&self, session: &Session, manifest: &Manifest) -> Result<()> {
        let file = session.guard().folder().join("flashsale.yaml");
        manifest.write(&file)?;
        let path = file.display().to_string();
        self.kubectl.run(session, &["apply", "-f", &path])
    }

    /// Changes its spec, as `kubectl patch` does.
    pub fn patch(&self, session: &Session, spec: &Value) -> Result<()> {
        let patch = serde_json::json!({ "spec": spec }).to_string();
        let name = ["patch", "flashsale", &self.name, "-n", &self.namespace];
        let how = ["--type", "merge", "-p", &patch];
        self.kubectl.run(session, &[&name[..], &how].concat())
    }

    /// Waits until its Service has a pod that is ready, and finds out how to get there.
    pub fn await_ready(&mut self, session: &Session) -> Result<()> {
        session.say("Waiting for the API pods");
        let is_ready = session.await_that("a pod of the API is ready", READY_LIMIT, || {
            // Before the operator has made it there is no Deployment.
            let pods = self.pods().ok();
            Ok(pods.filter(|pods| pods.ready > 0).map(drop))
        });
        is_ready.with_context(|| self.more())?;
        let service = self.of_api("service", "jsonpath={.items[0].metadata.name}")?;
        let service = format!("service/{service}");
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

    /// How many API pods there are.
    pub fn pods(&self) -> Result<Pods> {
        let numbers = "jsonpath={.items[0].spec.replicas}/{.items[0].status.readyReplicas}";
        let printed = self.of_api("deployment", numbers)?;
        let (desired, ready) = printed.split_once('/').unwrap_or_default();
        Ok(Pods {
            desired: desired
                .parse()
                .context("expected a Deployment, found none")?,
            present: u64::try_from(self.pod_ids()?.len())?,
            // Absent where it is none.
            ready: ready.parse().unwrap_or(0),
        })
    }

    /// The API pods, by the ids of these very pods.
    pub fn pod_ids(&self) -> Result<Vec<String>> {
        let printed = self.of_api("pods", "jsonpath={.items[*].metadata.uid}")?;
        let mut ids: Vec<String> = printed.split_whitespace().map(str::to_owned).collect();
        ids.sort_unstable();
        Ok(ids)
    }

    /// The reasons of its events.
    pub fn events(&self) -> Result<Vec<String>> {
        let of = format!(
            "involvedObject.kind=FlashSale,involvedObject.name={}",
            self.name
        );
        let events = ["get", "events", "-n", &self.namespace];
        let how = ["--field-selector", &of, "-o", "jsonpath={.items[*].reason}"];
        let printed = self.kubectl.output(&[&events[..], &how].concat())?;
        Ok(printed.split_whitespace().map(str::to_owned).collect())
    }

    /// Waits until none of the pods `before` is left, and as many new ones are ready.
    pub fn await_replaced(&self, session: &Session, before: &[String]) -> Result<()> {
        let replaced = session.await_that("all API pods are new", READY_LIMIT, || {
            let (pods, now) = (self.pods()?, self.pod_ids()?);
            let is_new = now.iter().all(|id| !before.contains(id));
            let is_ready = pods.ready == pods.desired && pods.present == pods.desired;
            Ok((is_new && is_ready).then_some(()))
        });
        replaced.with_context(|| self.more())
    }

    /// The command that prints most about it.
    pub fn describe(&self) -> String {
        let kubeconfig = self.kubectl.kubeconfig().display();
        format!(
            "kubectl --kubeconfig {kubeconfig} describe flashsale {} -n {}",
            self.name, self.namespace
        )
    }

    /// For errors: the next command to run.
    pub fn more(&self) -> String {
        format!("for details: `{}`", self.describe())
    }

    /// Deletes it where it is there, and waits until it is gone; also after Ctrl-C.
    pub fn delete(&self, session: &Session) -> Result<()> {
        let delete = ["delete", "flashsale", &self.name, "-n", &self.namespace];
        let launch = self.kubectl.launch(&delete).arg("--ignore-not-found");
        let mut process = session.guard().launch(&launch)?;
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

    /// What kubectl prints of its objects of a kind, as `-o` selects.
    fn of_api(&self, kind: &str, output: &str) -> Result<String> {
        let selector = format!("flashsale.dev/flash-sale={}", self.name);
        let get = ["get", kind, "-n", &self.namespace, "-l", &selector];
        let printed = self.kubectl.output(&[&get[..], &["-o", output]].concat())?;
        Ok(printed.trim().to_owned())
    }
}

impl Shop for ClusterShop<'_> {
    fn check(&mut self) -> Result<()> {
        Ok(())
    }

    /// It is built with the programs of the image.
    fn load_profile(&self) -> Profile {
        Profile::Dist
    }

    fn status(&self) -> Status {
        // An API server that does not answer now may do so the next time.
        let name = ["get", "flashsale", &self.name, "-n", &self.namespace];
        let text = self.kubectl.output(&[&name[..], &["-o", "json"]].concat());
        Status::read(&text.unwrap_or_default())
    }

    fn places(&self) -> &Endpoints {
        &self.endpoints
    }

    fn ask_redis(&self, words: &[&str]) -> Result<String> {
        let exec = ["exec", "-n", "default", "flashsale-redis-0", "--"];
        let redis_cli = ["redis-cli", "-c"];
        let printed = self
            .kubectl
            .output(&[&exec[..], &redis_cli, words].concat())?;
        Ok(printed.trim().to_owned())
    }
}
