//! Names in the cluster: CoreDNS, on this machine at the bridge's address.

use std::{fs, net::IpAddr, time::Duration};

use anyhow::Result;
use flashsale_servers::go_program;

use super::{control_plane::accepts, daemons::Daemon, kubectl::Kubectl, place, write_if_other};
use crate::session::Session;

const START_LIMIT: Duration = Duration::from_secs(60);

/// What it reads to answer.
const RIGHTS: &str = r#"
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: {name: "system:coredns"}
rules:
  - {apiGroups: [""], resources: [services, pods, namespaces], verbs: [list, watch]}
  - {apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch]}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: {name: "system:coredns"}
roleRef: {apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: "system:coredns"}
subjects: [{apiGroup: rbac.authorization.k8s.io, kind: User, name: "system:coredns"}]
"#;

/// Starts it unless it runs. Ready is when it knows the cluster's Services.
pub fn ensure(session: &Session, kubectl: &Kubectl) -> Result<()> {
    kubectl.apply(session, "coredns-rights", RIGHTS)?;
    let config = place::state().join("Corefile");
    let resolver = fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
    write_if_other(&config, &corefile(&name_servers(&resolver)))?;
    let daemon = Daemon::new("coredns", go_program("coredns")?)
        .arg("-conf")
        .arg(config.display().to_string())
        .reads(&config);
    // The port of its plugin `ready`.
    daemon.ensure(session, START_LIMIT, || Ok(accepts(8181) && accepts(53)))
}

fn corefile(upstream: &[IpAddr]) -> String {
    let (address, domain) = (place::ADDRESS, place::DOMAIN);
    let upstream: String = upstream.iter().map(|server| format!(" {server}")).collect();
    let forward = match upstream.as_str() {
        "" => String::new(),
        servers => format!("    forward .{servers}\n"),
    };
    format!(
        ".:53 {{
    bind {address}
    errors
    ready {address}:8181
    kubernetes {domain} in-addr.arpa ip6.arpa {{
        kubeconfig {kubeconfig}
        pods insecure
        fallthrough in-addr.arpa ip6.arpa
        ttl 5
    }}
{forward}    cache 5
}}
",
        kubeconfig = place::kubeconfig_of("coredns").display(),
    )
}

/// Those that this machine asks.
fn name_servers(resolver: &str) -> Vec<IpAddr> {
    resolver
        .lines()
        .filter_map(|line| line.trim().strip_prefix("nameserver")?.trim().parse().ok())
        .take(3)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn other_names_are_asked_of_the_machines_own_servers() {
        let servers = name_servers("search example\nnameserver 192.0.2.1\n nameserver ::1\n");
        assert!(corefile(&servers).contains("    forward . 192.0.2.1 ::1\n"));
        assert!(!corefile(&name_servers("nameserver nonsense")).contains("forward"));
    }
}
