//! What the development cluster needs of this machine: root, Debian packages, and Go.

use std::path::Path;

use anyhow::{Result, bail};
use flashsale_servers::in_path;

use crate::{
    session::Session,
    setup::{self, Needs},
};

/// Programs or files, and the Debian packages that bring them.
const PACKAGES: [(&str, &str); 9] = [
    ("containerd", "containerd"),
    ("runc", "runc"),
    ("/usr/lib/cni/bridge", "containernetworking-plugins"),
    ("buildah", "buildah"),
    ("nft", "nftables"),
    ("conntrack", "conntrack"),
    ("ip", "iproute2"),
    ("setsid", "util-linux"),
    ("/etc/ssl/certs/ca-certificates.crt", "ca-certificates"),
];

/// Fails where this is not root: networks, mounts and containers need it.
pub fn check_root(command: &str) -> Result<()> {
    if setup::is_root() {
        return Ok(());
    }
    bail!(
        "`cargo xtask cluster {command}` makes a network bridge, mounts and containers and needs \
         root, this is another user. Run it as root (`sudo -E env \"PATH=$PATH\" cargo xtask \
         cluster {command}`), or name a cluster that you have already in KUBECONFIG"
    )
}

/// Installs what is missing.
pub fn install(session: &Session) -> Result<()> {
    setup::install_missing(session, Needs::Servers)?;
    let missing = missing();
    if missing.is_empty() {
        return Ok(());
    }
    setup::install(session, &missing)?;
    let left = self::missing();
    anyhow::ensure!(
        left.is_empty(),
        "installed {}, but still found nothing of {}",
        missing.join(" "),
        left.join(" ")
    );
    Ok(())
}

fn missing() -> Vec<&'static str> {
    let there = |what: &str| match what.strip_prefix('/') {
        Some(_) => Path::new(what).exists(),
        None => in_path(what).is_some(),
    };
    PACKAGES
        .iter()
        .filter(|(what, _)| !there(what))
        .map(|(_, package)| *package)
        .collect()
}
