//! How this machine reaches Services of a cluster: on the node itself by their addresses, from
//! elsewhere through `kubectl port-forward`.

use std::{fs, net::TcpStream, time::Duration};

use anyhow::{Context, Result};
use flashsale_servers::Process;

use crate::{
    cluster::{Cluster, Kubectl},
    session::Session,
};

const LIMIT: Duration = Duration::from_secs(20);

/// A port of a Service.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// Its namespace.
    pub namespace: &'a str,
    /// `service/<name>`.
    pub resource: &'a str,
    /// The Service's port.
    pub port: u16,
}

/// See the module. What forwards ends with it.
pub struct Reach<'a> {
    kubectl: &'a Kubectl,
    is_node: bool,
    forwards: Vec<Process>,
}

impl<'a> Reach<'a> {
    /// For a cluster, of which this machine may be the node.
    pub fn of(cluster: &'a Cluster) -> Self {
        Self {
            kubectl: cluster.kubectl(),
            is_node: cluster.image().is_some(),
            forwards: Vec::new(),
        }
    }

    /// `host:port` that leads to the target, once something answers there.
    pub fn address(&mut self, session: &Session, target: Target) -> Result<String> {
        let address = match self.is_node {
            true => self.cluster_address(target)?,
            false => self.forward(session, target)?,
        };
        session.await_that("a Service can be reached", LIMIT, || {
            Ok(TcpStream::connect(&address).is_ok().then_some(()))
        })?;
        Ok(address)
    }

    fn cluster_address(&self, target: Target) -> Result<String> {
        let get = ["get", target.resource, "-n", target.namespace];
        let get = [&get[..], &["-o", "jsonpath={.spec.clusterIP}"]].concat();
        let address = self.kubectl.output(&get)?;
        Ok(format!("{}:{}", address.trim(), target.port))
    }

    fn forward(&mut self, session: &Session, target: Target) -> Result<String> {
        let port = format!(":{}", target.port);
        let args = [
            "port-forward",
            target.resource,
            "-n",
            target.namespace,
            &port,
        ];
        let log = session
            .guard()
            .folder()
            .join(format!("forward-{}.log", self.forwards.len()));
        let launch = self.kubectl.launch(&args).log(&log);
        let mut process = session.guard().launch(&launch)?;
        let address = session.await_that("kubectl forwards a port", LIMIT, || {
            if let Some(ended) = process.ended() {
                return Err(ended.into());
            }
            let printed = fs::read_to_string(&log).context("could not read kubectl's log")?;
            Ok(forwarded(&printed))
        })?;
        self.forwards.push(process);
        Ok(address)
    }
}

/// The address that kubectl prints.
fn forwarded(printed: &str) -> Option<String> {
    let listens = printed.split_once("Forwarding from ")?.1;
    let (address, _) = listens.split_once(" -> ")?;
    Some(address.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_forwarded_port_is_read_as_kubectl_prints_it() {
        let printed =
            "Forwarding from 127.0.0.1:40123 -> 8080\nForwarding from [::1]:40123 -> 8080\n";
        assert_eq!(forwarded(printed).as_deref(), Some("127.0.0.1:40123"));
        assert_eq!(forwarded("Forwarding from 127.0.0.1:40"), None);
    }
}
