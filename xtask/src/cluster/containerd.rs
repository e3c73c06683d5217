//! containerd of the cluster's own: other folders and another socket than the machine's.

use std::{fs, path::Path, process::Command, time::Duration};

use anyhow::Result;
use flashsale_servers::Launch;

use super::{
    daemons::{self, Daemon},
    place, write_if_other,
};
use crate::session::Session;

const START_LIMIT: Duration = Duration::from_secs(30);
/// The namespace of what kubelet starts.
const NAMESPACE: &str = "k8s.io";

/// Starts it unless it runs.
pub fn ensure(session: &Session) -> Result<()> {
    let config = place::state().join("containerd.toml");
    write_if_other(&config, &configuration())?;
    let ready = || {
        Ok(ctr()
            .args(["version"])
            .output()
            .is_ok_and(|printed| printed.status.success()))
    };
    Daemon::new("containerd", "containerd")
        .flag("config", &config)
        .reads(&config)
        .ensure(session, START_LIMIT, ready)
}

/// Imports an OCI archive.
pub fn import(session: &Session, archive: &Path) -> Result<()> {
    session.run(
        Launch::new("ctr-import", "ctr")
            .arg("--address")
            .arg(place::containerd_socket())
            .args(["--namespace", NAMESPACE, "images", "import"])
            .arg(archive),
    )
}

/// Kills every container, and the processes that containerd keeps for them: they go on
/// when it ends.
pub fn kill_containers(session: &Session) -> Result<()> {
    let shims: Vec<u32> = processes().filter(|pid| is_our_shim(*pid)).collect();
    let is_contained = |pid: &u32| {
        let stat = daemons::stat(*pid);
        stat.is_some_and(|stat| shims.contains(&stat.parent))
    };
    // The first process of a container takes all others with it.
    for pid in processes().filter(is_contained) {
        daemons::kill(session, pid)?;
    }
    for pid in shims {
        daemons::kill(session, pid)?;
    }
    Ok(())
}

/// Kills the containers that run `program`, as a crash would: the pods stay, and kubelet starts
/// them again. Returns how many.
pub fn kill_program(session: &Session, program: &str) -> Result<usize> {
    let is_it = |pid: &u32| {
        // Read as the kernel has it: in a container its path means nothing here.
        let name = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let name = name.split('\0').next().unwrap_or_default();
        let parent = daemons::stat(*pid).map(|stat| stat.parent);
        Path::new(name).ends_with(program) && parent.is_some_and(is_our_shim)
    };
    let pids: Vec<u32> = processes().filter(is_it).collect();
    for pid in &pids {
        daemons::kill(session, *pid)?;
    }
    Ok(pids.len())
}

fn processes() -> impl Iterator<Item = u32> {
    let folders = fs::read_dir("/proc").into_iter().flatten().flatten();
    folders.filter_map(|folder| folder.file_name().to_str()?.parse().ok())
}

/// No other containerd has our socket.
fn is_our_shim(pid: u32) -> bool {
    let line = fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    let text = String::from_utf8_lossy(&line);
    let args: Vec<&str> = text.split('\0').collect();
    let socket = place::containerd_socket().display().to_string();
    args.first()
        .is_some_and(|program| program.contains("containerd-shim"))
        && args.windows(2).any(|pair| pair == ["-address", &socket])
}

fn ctr() -> Command {
    let mut command = Command::new("ctr");
    command
        .arg("--address")
        .arg(place::containerd_socket())
        .args(["--connect-timeout", "2s", "--namespace", NAMESPACE]);
    command
}

fn configuration() -> String {
    let (state, run) = (place::state().display(), place::run().display());
    format!(
        r#"version = 2
root = "{state}/containerd"
state = "{run}/containerd"

[grpc]
  address = "{socket}"

[plugins."io.containerd.internal.v1.opt"]
  path = "{state}/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause}"
  stream_server_address = "127.0.0.1"
  # Lowering it needs a capability that even root may not have.
  restrict_oom_score_adj = true
  netns_mounts_under_state_dir = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "{state}/cni"
  [plugins."io.containerd.grpc.v1.cri".containerd]
    snapshotter = "{snapshotter}"
    [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
      runtime_type = "io.containerd.runc.v2"
      [plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
        Root = "{run}/runc"
"#,
        socket = place::containerd_socket().display(),
        pause = place::PAUSE_IMAGE,
        snapshotter = snapshotter(),
    )
}

/// Layers of an image are shared where the kernel can, and copied where it cannot.
fn snapshotter() -> &'static str {
    let known = fs::read_to_string("/proc/filesystems").unwrap_or_default();
    if known.lines().any(|line| line.ends_with("overlay")) {
        "overlayfs"
    } else {
        "native"
    }
}
