//! Where the development cluster lives on this machine: its addresses and its folders.
//!
//! There is one on a machine. Everything listens on an address of its own, that of its
//! bridge, so its ports are never taken by another program.

use std::{
    fs::{File, TryLockError},
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};

use crate::project;

/// The bridge that pods are connected to.
pub const BRIDGE: &str = "flashsale0";
/// The bridge's address, which is also the node's.
pub const ADDRESS: &str = "10.213.0.1";
/// Addresses of pods, the bridge's among them.
pub const PODS: &str = "10.213.0.0/22";
/// The length of the above.
pub const PODS_PREFIX: u8 = 22;
/// The first address that a pod may get.
pub const FIRST_POD: &str = "10.213.0.16";
/// Addresses of Services.
pub const SERVICES: &str = "10.214.0.0/22";
/// The node's name.
pub const NODE: &str = "flashsale";
/// The end of every name in the cluster.
pub const DOMAIN: &str = "cluster.local";
/// The image that holds a pod's namespaces open.
pub const PAUSE_IMAGE: &str = "localhost/pause:dev";

/// State and data: certificates, etcd, images, volumes.
const STATE: &str = "/var/lib/flashsale-cluster";
/// Sockets and mounts that no restart of the machine survives.
const RUN: &str = "/run/flashsale-cluster";

/// The folder of state and data.
pub fn state() -> &'static Path {
    Path::new(STATE)
}

/// The folder of sockets and mounts.
pub fn run() -> &'static Path {
    Path::new(RUN)
}

/// containerd's socket.
pub fn containerd_socket() -> PathBuf {
    run().join("containerd.sock")
}

/// A file that kubeadm has made.
pub fn pki(name: &str) -> PathBuf {
    state().join("pki").join(name)
}

/// How a component reaches the API server, as a file.
pub fn kubeconfig_of(component: &str) -> PathBuf {
    state().join(format!("{component}.conf"))
}

/// The administrator's kubeconfig, where developers and other commands look for it.
pub fn kubeconfig() -> Result<PathBuf> {
    Ok(project::output_folder("cluster")?.join("kubeconfig"))
}

/// The folder of the logs.
pub fn logs() -> Result<PathBuf> {
    project::output_folder("cluster/logs")
}

/// Held while the cluster is being changed: there is one on a machine. The lock is on a folder
/// that is there anyway, so that none is left.
pub fn lock() -> Result<File> {
    let folder = state().parent().unwrap_or(Path::new("/"));
    let lock =
        File::open(folder).with_context(|| format!("could not open {}", folder.display()))?;
    match lock.try_lock() {
        Ok(()) => Ok(lock),
        Err(TryLockError::WouldBlock) => bail!(
            "another `cargo xtask cluster` is at work on this machine; wait for its end, then try again"
        ),
        Err(TryLockError::Error(error)) => Err(error).context("could not lock the cluster"),
    }
}
