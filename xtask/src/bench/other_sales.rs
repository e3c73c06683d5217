//! Further FlashSales on the servers of a stack: one operator runs all of them, as in a cluster.
//!
//! The operator follows them in a real Kubernetes API server without a node, so that no pod serves
//! them: what they use is used by the operator, Redis and Postgres.

use std::{
    fs,
    path::Path,
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use flashsale_servers::{Guard, KubeApi, Process, go_program};
use jiff::SignedDuration;

use crate::{
    cluster::output,
    manifest::Manifest,
    project::{self, Programs},
    session::Session,
    shop::Endpoints,
    stack::product,
};

const NAMESPACE: &str = "others";
const CRD: &str = "crds/flashsales.flashsale.dev.yaml";
/// As many as the sale of the project's sample has.
const ITEMS: u32 = 10_000;
const OPENS_IN: SignedDuration = SignedDuration::from_secs(5);
/// A hundred sales are seeded meanwhile: a million rows.
const OPEN_LIMIT: Duration = Duration::from_secs(300);
const POLL_PAUSE: Duration = Duration::from_secs(1);

/// Builds what [`OtherSales::start`] starts, where it is not in the cache yet.
pub fn build_programs() -> Result<()> {
    for program in ["etcd", "kube-apiserver", "kubectl"] {
        go_program(program)?;
    }
    Ok(())
}

/// See the module. Dropping it ends the operator and the API server; the sales stay in the backends.
pub struct OtherSales {
    // Before the API server: fields are dropped in their order.
    operator: Process,
    #[expect(dead_code, reason = "it is kept running")]
    kubernetes: KubeApi,
    #[expect(dead_code, reason = "the operator runs under it")]
    guard: Guard,
}

impl OtherSales {
    /// Starts an operator with so many FlashSales, and waits until all of their sales are open.
    pub fn start(
        session: &Session,
        programs: &Programs,
        logs: &Path,
        backends: &Endpoints,
        count: u32,
    ) -> Result<Self> {
        session.say(format_args!("Opening {count} further sales"));
        let kubernetes = session.begin_work(|| Ok(KubeApi::start()?));
        let kubernetes = session.finish_work(kubernetes)?;
        let guard = Guard::new()?;
        let crd = project::root().join(CRD);
        let kubectl = |arguments: &[&str]| output(kubernetes.kubectl().args(arguments));
        kubectl(&["apply", "--server-side", "-f", text(&crd)?])?;
        let established = "--for=condition=Established";
        kubectl(&["wait", established, "crd/flashsales.flashsale.dev"])?;
        kubectl(&["create", "namespace", NAMESPACE])?;
        for (name, url) in [("redis", &backends.redis), ("postgres", &backends.postgres)] {
            let (secret, url) = (
                format!("flashsale-{name}"),
                format!("--from-literal=url={url}"),
            );
            kubectl(&[
                "create", "secret", "generic", &secret, &url, "-n", NAMESPACE,
            ])?;
        }
        let log = logs.join("operator-of-others.log");
        let operator = product("operator-of-others", programs.operator.clone())
            .args(["run", "--listen=127.0.0.1:0", "--api-image=none"])
            .args(["--namespace", NAMESPACE, "--lease-namespace", NAMESPACE])
            .env("KUBECONFIG", kubernetes.kubeconfig())
            .log(log);
        let mut operator = guard.launch(&operator)?;
        let folder = guard.folder().join("flash-sales");
        write_manifests(&folder, count)?;
        kubectl(&["create", "-f", text(&folder)?])?;
        let begun = Instant::now();
        session.await_that("the further sales are open", OPEN_LIMIT, || {
            if let Some(ended) = operator.ended() {
                return Err(ended.into());
            }
            let phases = "jsonpath={.items[*].status.phase}";
            let phases = kubectl(&["get", "flashsales", "-n", NAMESPACE, "-o", phases])?;
            let is_open = are_open(&phases, count);
            if !is_open {
                // Each poll starts a program, which takes time from the operator.
                thread::sleep(POLL_PAUSE);
            }
            Ok(is_open.then_some(()))
        })?;
        session.say(format_args!(
            "{count} further sales are open after {:.0} s",
            begun.elapsed().as_secs_f64()
        ));
        Ok(Self {
            operator,
            kubernetes,
            guard,
        })
    }

    /// Process id of their operator.
    pub fn operator_pid(&self) -> u32 {
        self.operator.pid()
    }

    /// Fails where the operator has ended.
    pub fn check(&mut self) -> Result<()> {
        self.operator
            .ended()
            .map_or(Ok(()), |ended| Err(ended.into()))
    }
}

/// A file for each of so many FlashSales, whose sale opens soon.
fn write_manifests(folder: &Path, count: u32) -> Result<()> {
    fs::create_dir(folder).with_context(|| format!("could not make {}", folder.display()))?;
    let mut manifest = Manifest::sample()?;
    manifest.sell(ITEMS);
    manifest.start_in(OPENS_IN)?;
    for number in 1..=count {
        let name = format!("sale-{number}");
        manifest.call(NAMESPACE, &name);
        manifest.write(&folder.join(format!("{name}.yaml")))?;
    }
    Ok(())
}

/// Whether these are the phases of so many FlashSales whose sale is open.
fn are_open(phases: &str, count: u32) -> bool {
    let open = phases
        .split_whitespace()
        .filter(|phase| *phase == "Selling");
    open.count() == count as usize
}

fn text(file: &Path) -> Result<&str> {
    file.to_str()
        .with_context(|| format!("expected a path in UTF-8, found {}", file.display()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn sales_are_open_once_every_one_of_them_is() {
        assert!(are_open("Selling Selling", 2));
        assert!(!are_open("Selling WarmingUp", 2));
        assert!(!are_open("Selling", 2));
        assert!(!are_open("", 1));
    }

    #[test]
    fn each_further_flash_sale_has_a_name_of_its_own_and_the_namespace_of_the_secrets() {
        let guard = Guard::new().unwrap();
        let folder = guard.folder().join("flash-sales");
        write_manifests(&folder, 3).unwrap();
        let mut names: Vec<String> = fs::read_dir(&folder)
            .unwrap()
            .map(|entry| Manifest::read(&entry.unwrap().path()).unwrap())
            .map(|manifest| manifest.name().unwrap())
            .collect();
        names.sort();
        assert_eq!(names, ["others.sale-1", "others.sale-2", "others.sale-3"]);
    }
}
