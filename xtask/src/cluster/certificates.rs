//! Certificates, keys and kubeconfigs, made by `kubeadm`'s own steps.

use std::{fs, os::unix::fs::PermissionsExt, path::Path, process::Command};

use anyhow::{Context, Result};
use flashsale_servers::{Launch, go_program};

use super::{output, place, write_if_other};
use crate::session::Session;

/// Users that kubeadm has no step for.
const USERS: [(&str, &str); 3] = [
    ("kube-proxy", "system:kube-proxy"),
    ("coredns", "system:coredns"),
    ("metrics-server", "system:metrics-server"),
];

/// Makes what is missing; what is there is kept.
pub fn make(session: &Session, version: &str) -> Result<()> {
    let kubeadm = go_program("kubeadm")?;
    let config = place::state().join("kubeadm.yaml");
    write_if_other(&config, &configuration(version))?;
    let run = |args: &[&str]| {
        session.run(
            Launch::new(format!("kubeadm-{}", args[2]), &kubeadm)
                .args(args)
                .arg("--config")
                .arg(&config),
        )
    };
    let state = place::state().display().to_string();
    if !place::kubeconfig_of("super-admin").is_file() {
        session.say("Making certificates and keys");
        run(&["init", "phase", "certs", "all"])?;
        run(&[
            "init",
            "phase",
            "kubeconfig",
            "all",
            "--kubeconfig-dir",
            &state,
        ])?;
    }
    for (component, user) in USERS {
        let file = place::kubeconfig_of(component);
        if file.is_file() {
            continue;
        }
        let kubeconfig = output(
            Command::new(&kubeadm)
                .args(["kubeconfig", "user", "--client-name", user, "--config"])
                .arg(&config),
        )?;
        write_secret(&file, kubeconfig.as_bytes())?;
    }
    let admin = fs::read(place::kubeconfig_of("super-admin"));
    write_secret(
        &place::kubeconfig()?,
        &admin.context("could not read the administrator's kubeconfig")?,
    )
}

fn write_secret(file: &Path, text: &[u8]) -> Result<()> {
    let doing = || format!("could not write {}", file.display());
    if fs::read(file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(file, "").with_context(doing)?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).with_context(doing)?;
    fs::write(file, text).with_context(doing)
}

fn configuration(version: &str) -> String {
    let (address, node, domain) = (place::ADDRESS, place::NODE, place::DOMAIN);
    let (pods, services) = (place::PODS, place::SERVICES);
    let pki = place::pki("");
    format!(
        "apiVersion: kubeadm.k8s.io/v1beta4
kind: InitConfiguration
localAPIEndpoint: {{advertiseAddress: {address}, bindPort: 6443}}
nodeRegistration: {{name: {node}, criSocket: \"unix://{socket}\"}}
---
apiVersion: kubeadm.k8s.io/v1beta4
kind: ClusterConfiguration
clusterName: flashsale
kubernetesVersion: {version}
certificatesDir: {pki}
networking: {{serviceSubnet: {services}, podSubnet: {pods}, dnsDomain: {domain}}}
",
        socket = place::containerd_socket().display(),
        pki = pki.display(),
    )
}
