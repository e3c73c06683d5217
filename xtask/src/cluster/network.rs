//! The bridge that pods are connected to, their way out, and the kernel's settings for it.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result};
use serde_json::json;

use super::{output, place, write_if_other};
use crate::session::Session;

/// Our table of packet rules; kube-proxy has its own.
const TABLE: &str = "flashsale-cluster";
/// kube-proxy's tables.
const PROXY_TABLES: [(&str, &str); 2] = [("ip", "kube-proxy"), ("ip6", "kube-proxy")];

/// What we set, and what kubelet sets when it starts (`None`); `down` sets them back.
const SETTINGS: [(&str, Option<&str>); 9] = [
    ("net/ipv4/ip_forward", Some("1")),
    // Pods talk over one bridge: replies that do not pass the rules are not translated back.
    ("net/bridge/bridge-nf-call-iptables", Some("1")),
    ("net/ipv4/conf/all/route_localnet", None),
    ("vm/overcommit_memory", None),
    ("vm/panic_on_oom", None),
    ("kernel/panic", None),
    ("kernel/panic_on_oops", None),
    ("kernel/keys/root_maxkeys", None),
    ("kernel/keys/root_maxbytes", None),
];

/// Makes what is missing.
pub fn make(session: &Session) -> Result<()> {
    let (bridge, address) = (place::BRIDGE, place::ADDRESS);
    if !Path::new("/sys/class/net").join(bridge).exists() {
        check_free()?;
        session.say(format_args!(
            "Making the network bridge {bridge} ({address})"
        ));
        call("ip", &["link", "add", bridge, "type", "bridge"])?;
    }
    let own = format!("{address}/{}", place::PODS_PREFIX);
    call("ip", &["addr", "replace", &own, "dev", bridge])?;
    call("ip", &["link", "set", bridge, "up"])?;
    change_settings()?;
    let rules = format!(
        "table ip {TABLE} {{}}
flush table ip {TABLE}
table ip {TABLE} {{
    chain out {{
        type nat hook postrouting priority srcnat;
        ip saddr {pods} oifname != \"{bridge}\" masquerade
    }}
}}
",
        pods = place::PODS
    );
    let file = place::state().join("rules.nft");
    write_if_other(&file, &rules)?;
    call("nft", &["-f", &file.display().to_string()])?;
    let folder = place::state().join("cni");
    fs::create_dir_all(&folder).context("could not make the folder of the network's settings")?;
    write_if_other(&folder.join("10-flashsale.conflist"), &plugins())
}

/// Removes all of it.
pub fn remove() -> Result<()> {
    let bridge = place::BRIDGE;
    if Path::new("/sys/class/net").join(bridge).exists() {
        // Pods that were killed leave their ends for some moments.
        for port in names(&PathBuf::from(format!("/sys/class/net/{bridge}/brif"))) {
            let _ = call("ip", &["link", "delete", &port]);
        }
        call("ip", &["link", "delete", bridge])?;
    }
    for (family, table) in PROXY_TABLES.into_iter().chain([("ip", TABLE)]) {
        if call("nft", &["list", "table", family, table]).is_ok() {
            call("nft", &["delete", "table", family, table])?;
        }
    }
    set_back()
}

/// Fails where this machine uses our addresses for something else.
fn check_free() -> Result<()> {
    let routes = call("ip", &["-4", "route", "show"])?;
    for range in [place::PODS, place::SERVICES] {
        let start: Vec<&str> = range.split('.').take(2).collect();
        let start = format!("{}.", start.join("."));
        let taken = routes.lines().find(|route| route.starts_with(&start));
        if let Some(route) = taken {
            anyhow::bail!(
                "expected the addresses {range} to be free for the cluster, found the route \
                 `{route}`; remove it or use another cluster by KUBECONFIG"
            );
        }
    }
    Ok(())
}

fn plugins() -> String {
    json!({
        "cniVersion": "0.4.0",
        "name": "flashsale",
        "plugins": [{
            "type": "bridge",
            "bridge": place::BRIDGE,
            "isGateway": true,
            // A pod may reach itself through its Service.
            "hairpinMode": true,
            "ipam": {
                "type": "host-local",
                "dataDir": place::run().join("addresses"),
                "ranges": [[{
                    "subnet": place::PODS,
                    "rangeStart": place::FIRST_POD,
                    "gateway": place::ADDRESS,
                }]],
                "routes": [{"dst": "0.0.0.0/0"}],
            },
        }],
    })
    .to_string()
}

fn former_settings() -> PathBuf {
    place::run().join("former-settings")
}

fn change_settings() -> Result<()> {
    let read = |name: &str| fs::read_to_string(Path::new("/proc/sys").join(name));
    if !former_settings().is_file() {
        let former: Vec<String> = SETTINGS
            .iter()
            .filter_map(|(name, _)| Some(format!("{name} {}", read(name).ok()?.trim())))
            .collect();
        fs::write(former_settings(), former.join("\n"))
            .context("could not note the kernel's settings")?;
    }
    for (name, value) in SETTINGS {
        let Some(value) = value else { continue };
        let found = read(name).with_context(|| {
            format!("expected the kernel to have the setting {name}; load its module br_netfilter")
        })?;
        if found.trim() != value {
            fs::write(Path::new("/proc/sys").join(name), value)
                .with_context(|| format!("could not set {name} to {value}"))?;
        }
    }
    Ok(())
}

fn set_back() -> Result<()> {
    let Ok(former) = fs::read_to_string(former_settings()) else {
        return Ok(());
    };
    for (name, value) in former.lines().filter_map(|line| line.split_once(' ')) {
        fs::write(Path::new("/proc/sys").join(name), value)
            .with_context(|| format!("could not set {name} back to {value}"))?;
    }
    Ok(())
}

fn names(folder: &Path) -> Vec<String> {
    let files = fs::read_dir(folder).into_iter().flatten().flatten();
    files
        .filter_map(|file| file.file_name().into_string().ok())
        .collect()
}

fn call(program: &str, args: &[&str]) -> Result<String> {
    output(Command::new(program).args(args))
}
