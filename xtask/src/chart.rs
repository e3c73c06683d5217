//! The chart of this tree in the development cluster, put there by Helm as a user does it.

use std::path::PathBuf;

use anyhow::{Context, Result};
use flashsale_servers::{Launch, go_program};

use crate::{cluster::Cluster, project, session::Session};

/// The namespace of the operator.
pub const NAMESPACE: &str = "shop";
/// The Deployment of the operator.
pub const OPERATOR: &str = "deployment/flashsale-operator";
/// The labels of the operator's pods.
pub const OPERATOR_PODS: &str = "app.kubernetes.io/name=flashsale-operator";
const RELEASE: &str = "flashsale";

/// See the module.
pub struct Chart<'a> {
    session: &'a Session,
    cluster: &'a Cluster,
    image: &'a str,
    helm: PathBuf,
}

impl<'a> Chart<'a> {
    /// For the cluster whose node this machine is. In others nobody but their owner can put
    /// our image.
    pub fn new(session: &'a Session, cluster: &'a Cluster) -> Result<Self> {
        let image = cluster
            .image()
            .context("expected the cluster of `cargo xtask cluster up`, found another one")?;
        let helm = session.begin_work(|| Ok(go_program("helm")?));
        Ok(Self {
            session,
            cluster,
            image,
            helm: session.finish_work(helm)?,
        })
    }

    /// `helm install`; an error where it is installed.
    pub fn install(&self, values: &[&str]) -> Result<()> {
        self.session.run(self.put(&["install"], values))
    }

    /// `helm upgrade`.
    pub fn upgrade(&self, values: &[&str]) -> Result<()> {
        self.session.run(self.put(&["upgrade"], values))
    }

    /// Whichever of the two it takes.
    pub fn install_or_upgrade(&self, values: &[&str]) -> Result<()> {
        let verb = ["upgrade", "--install"];
        self.session.run(self.put(&verb, values))
    }

    /// `helm test`, with the log of the pod that buys.
    pub fn test(&self) -> Result<()> {
        self.session.run(self.helm(&["test", RELEASE, "--logs"]))
    }

    /// `helm uninstall`; nothing where it is not installed.
    pub fn uninstall(&self) -> Result<()> {
        let verb = ["uninstall", RELEASE, "--ignore-not-found", "--wait"];
        self.session.run(self.helm(&verb))
    }

    fn put(&self, verb: &[&str], values: &[&str]) -> Launch {
        let mut launch = self
            .helm(verb)
            .arg(RELEASE)
            .arg(project::root().join("charts/flashsale"))
            .args(["--create-namespace", "--wait", "--timeout", "3m"])
            .args(["--set", "image.tag=dev"])
            // The same tag may name another image than the last time.
            .args([
                "--set-string",
                &format!("podAnnotations.image={}", self.image),
            ]);
        for value in values {
            launch = launch.args(["--set", value]);
        }
        launch
    }

    fn helm(&self, verb: &[&str]) -> Launch {
        Launch::new("helm", &self.helm)
            .arg("--kubeconfig")
            .arg(self.cluster.kubectl().kubeconfig())
            .args(["--namespace", NAMESPACE])
            .args(verb)
            .inherit_output()
    }
}
