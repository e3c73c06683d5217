//! Folders that containerd, kubelet, buildah and network plugins make outside those that they
//! are told of, and that nothing tells them not to make.
//!
//! Which of them were there before is noted when the cluster is first made; the others go with it.

use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result};

use super::place;

const FOLDERS: [&str; 7] = [
    "/etc/cni",
    "/run/containerd",
    "/usr/libexec/kubernetes",
    "/var/lib/cni",
    "/var/lib/containers",
    "/var/lib/kubelet",
    "/var/log/containers",
];
/// Of a containerd of the machine's own, installed since.
const FOREIGN: &str = "/run/containerd/containerd.sock";

fn note() -> PathBuf {
    place::state().join("absent-before")
}

/// Notes which of them are not there, the first time.
pub fn note_absent() -> Result<()> {
    if note().exists() {
        return Ok(());
    }
    let absent: Vec<&str> = FOLDERS
        .into_iter()
        .filter(|folder| !Path::new(folder).exists())
        .collect();
    fs::write(note(), absent.join("\n")).context("could not note which folders are there")
}

/// Removes those that were not there.
pub fn remove() -> Result<()> {
    let absent = fs::read_to_string(note()).unwrap_or_default();
    for folder in FOLDERS {
        let foreign = Path::new(FOREIGN).starts_with(folder) && Path::new(FOREIGN).exists();
        if foreign || !absent.lines().any(|line| line == folder) || !Path::new(folder).exists() {
            continue;
        }
        fs::remove_dir_all(folder).with_context(|| format!("could not remove {folder}"))?;
    }
    Ok(())
}
