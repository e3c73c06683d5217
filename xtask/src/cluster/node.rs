//! What makes this machine the cluster's node: kubelet and kube-proxy.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use flashsale_servers::go_program;

use super::{control_plane::accepts, daemons::Daemon, kubectl::Kubectl, place, write_if_other};
use crate::session::Session;

const START_LIMIT: Duration = Duration::from_secs(120);

/// Starts both unless they run, and waits until the node is ready.
pub fn ensure(session: &Session, kubectl: &Kubectl) -> Result<()> {
    let config = place::state().join("kubelet.yaml");
    write_if_other(&config, &kubelet_configuration())?;
    // Names outside the cluster are looked up as this machine does, without its search list.
    let resolver = place::state().join("resolv.conf");
    write_if_other(&resolver, &format!("nameserver {}\n", place::ADDRESS))?;
    let daemon = Daemon::new("kubelet", go_program("kubelet")?)
        .flag("config", &config)
        .flag("kubeconfig", place::kubeconfig_of("kubelet"))
        .flag("root-dir", place::state().join("kubelet"))
        .flag("cert-dir", place::state().join("kubelet-pki"))
        .flag("hostname-override", place::NODE)
        .flag("node-ip", place::ADDRESS)
        .reads(&config);
    daemon.ensure(session, START_LIMIT, || Ok(accepts(10250)))?;
    let condition = "jsonpath={.status.conditions[?(@.type==\"Ready\")].status}";
    session.await_that("the node is ready", START_LIMIT, || {
        let printed = kubectl.output(&["get", "node", place::NODE, "-o", condition]);
        Ok(printed.is_ok_and(|ready| ready == "True").then_some(()))
    })?;
    // It waits for the node, whose addresses it needs.
    proxy(session)
}

fn kubelet_configuration() -> String {
    let state = place::state().display();
    format!(
        "apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
address: {address}
port: 10250
healthzBindAddress: {address}
authentication:
  anonymous: {{enabled: false}}
  webhook: {{enabled: true}}
  x509: {{clientCAFile: {ca}}}
authorization: {{mode: Webhook}}
containerRuntimeEndpoint: unix://{socket}
cgroupDriver: cgroupfs
failCgroupV1: false
# This machine's own programs are no business of kubelet's.
enforceNodeAllocatable: []
failSwapOn: false
makeIPTablesUtilChains: false
oomScoreAdj: 0
clusterDomain: {domain}
clusterDNS: [{address}]
resolvConf: {state}/resolv.conf
podLogsDir: {state}/pod-logs
volumePluginDir: {state}/volume-plugins
# Images cannot be fetched again, and a full disk is the developer's to see.
imageGCHighThresholdPercent: 100
imageGCLowThresholdPercent: 99
evictionHard: {{memory.available: 100Mi, nodefs.available: 1%, imagefs.available: 1%}}
maxPods: 250
",
        address = place::ADDRESS,
        ca = place::pki("ca.crt").display(),
        socket = place::containerd_socket().display(),
        domain = place::DOMAIN,
    )
}

fn proxy(session: &Session) -> Result<()> {
    let config = place::state().join("kube-proxy.yaml");
    write_if_other(
        &config,
        &format!(
            "apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
mode: nftables
clusterCIDR: {pods}
detectLocalMode: ClusterCIDR
hostnameOverride: {node}
healthzBindAddress: {address}:10256
metricsBindAddress: {address}:10249
clientConnection: {{kubeconfig: {kubeconfig}}}
oomScoreAdj: 0
# Zero leaves the machine's own settings alone.
conntrack:
  maxPerCore: 0
  min: 0
  tcpEstablishedTimeout: 0s
  tcpCloseWaitTimeout: 0s
",
            pods = place::PODS,
            node = place::NODE,
            address = place::ADDRESS,
            kubeconfig = place::kubeconfig_of("kube-proxy").display(),
        ),
    )?;
    // kube-proxy wants rules for IPv6 too wherever the machine has it, and fails where the
    // kernel has no such rules. It alone is shown a machine without.
    let one = place::state().join("one");
    write_if_other(&one, "1\n")?;
    let setting = "/proc/sys/net/ipv6/conf/all/disable_ipv6";
    let script = "[ ! -e \"$2\" ] || mount --bind \"$1\" \"$2\"; shift 2; exec \"$@\"";
    let program = go_program("kube-proxy")?.display().to_string();
    let daemon = Daemon::new("kube-proxy", "unshare")
        .arg("--mount")
        .arg("sh")
        .arg("-ec")
        .arg(script)
        .arg("sh")
        .arg(one.display().to_string())
        .arg(setting)
        .arg(program)
        .flag("config", &config)
        .reads(&config);
    daemon.ensure(session, START_LIMIT, || Ok(accepts(10256)))
}

/// Removes what kubelet leaves outside its own folders.
pub fn remove_traces() -> Result<()> {
    let ours = place::state().join("pod-logs");
    let links = fs::read_dir("/var/log/containers").into_iter().flatten();
    for link in links.flatten() {
        let target = fs::read_link(link.path()).unwrap_or_default();
        if target.starts_with(&ours) {
            fs::remove_file(link.path()).context("could not remove a link to a pod's log")?;
        }
    }
    // Only where it is empty.
    let _ = fs::remove_dir("/var/log/containers");
    remove_control_groups();
    Ok(())
}

/// Those of pods; one that is in use is not removed by the kernel.
fn remove_control_groups() {
    let mounts = fs::read_to_string("/proc/self/mounts").unwrap_or_default();
    let hierarchies = mounts.lines().filter_map(|mount| {
        let fields: Vec<&str> = mount.split(' ').collect();
        let kind = *fields.get(2)?;
        (kind == "cgroup" || kind == "cgroup2").then(|| *fields.get(1).unwrap_or(&""))
    });
    for hierarchy in hierarchies {
        remove_groups(&Path::new(hierarchy).join("kubepods"));
    }
}

fn remove_groups(group: &Path) {
    let below = fs::read_dir(group).into_iter().flatten().flatten();
    for entry in below.filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_dir())) {
        remove_groups(&entry.path());
    }
    let _ = fs::remove_dir(group);
}
