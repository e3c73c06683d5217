//! `cargo xtask cluster down`: ends every process and removes all that was made.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};

use super::{containerd, daemons, network, node, packages, place, traces};
use crate::session::Session;

/// Those that would start again what is being ended come first.
const ORDER: [&str; 3] = ["kubelet", "kube-controller-manager", "kube-scheduler"];

/// Removes the cluster, whole or broken off; nothing where there is none.
pub fn run(session: &Session) -> Result<()> {
    packages::check_root("down")?;
    let _alone = place::lock()?;
    session.say("Ending the cluster's processes");
    for name in ORDER {
        daemons::stop(session, name)?;
    }
    containerd::kill_containers(session)?;
    for name in daemons::names() {
        daemons::stop(session, &name)?;
    }
    session.say("Removing mounts, the network and folders");
    unmount()?;
    network::remove()?;
    node::remove_traces()?;
    traces::remove()?;
    for folder in [place::run(), place::state()] {
        remove(folder)?;
    }
    let kubeconfig = place::kubeconfig()?;
    if kubeconfig.exists() {
        fs::remove_file(kubeconfig).context("could not remove the kubeconfig")?;
    }
    session.say(format_args!(
        "The cluster is gone. Its logs stay in {}",
        place::logs()?.display()
    ));
    Ok(())
}

/// Unmounts whatever is mounted in our folders, the innermost first.
fn unmount() -> Result<()> {
    let mounts = fs::read_to_string("/proc/self/mounts").context("could not read the mounts")?;
    let ours = mounts.lines().rev().filter_map(|mount| {
        let place = mount.split(' ').nth(1)?;
        let path = Path::new(place);
        (path.starts_with(place::state()) || path.starts_with(place::run())).then_some(place)
    });
    for place in ours {
        let status = Command::new("umount").arg(place).status();
        let status = status.context("could not run umount")?;
        anyhow::ensure!(status.success(), "could not unmount {place}; see above");
    }
    Ok(())
}

fn remove(folder: &Path) -> Result<()> {
    if !folder.exists() {
        return Ok(());
    }
    fs::remove_dir_all(folder).with_context(|| format!("could not remove {}", folder.display()))
}
