//! A real single-node Kubernetes on this machine, of
//! Debian packages and of Go programs that are built from pinned modules.
//!
//! Promises:
//! - Each part first checks whether it is there: `up` goes on where it was broken off, and
//!   is quick where nothing is missing.
//! - Nothing of the machine's own is used or changed: own containerd, own bridge, own
//!   folders. `down` leaves nothing but programs in the cache and installed packages.
//! - Where KUBECONFIG names a cluster, that one is used and no other is made.

mod backends;
mod certificates;
mod containerd;
mod control_plane;
mod daemons;
mod dns;
mod images;
mod kubectl;
mod metrics;
mod network;
mod node;
mod packages;
mod place;
mod removal;
mod traces;

use std::{env, ffi::OsString, fs, path::Path, path::PathBuf, process::Command, time::Instant};

use anyhow::{Context, Result};
use flashsale_servers::go_program;

pub use self::kubectl::Kubectl;
use crate::session::Session;

/// In the order in which they are needed first.
const PROGRAMS: [&str; 9] = [
    "kubectl",
    "kubeadm",
    "etcd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kubelet",
    "kube-proxy",
    "coredns",
];

/// The kubeconfig of a cluster that the user has already.
pub fn given() -> Option<OsString> {
    env::var_os("KUBECONFIG").filter(|value| !value.is_empty())
}

/// A cluster that is up, with Redis Cluster and Postgres.
pub struct Cluster {
    kubectl: Kubectl,
    image: Option<String>,
}

impl Cluster {
    /// What `cargo xtask cluster up` does.
    pub fn up(session: &Session) -> Result<Self> {
        let (kubectl, image) = match given() {
            Some(kubeconfig) => (use_given(session, &PathBuf::from(kubeconfig))?, None),
            None => (up(session)?, Some(images::imported(place::state())?)),
        };
        Ok(Self { kubectl, image })
    }

    /// Removes the cluster, whole or broken off; nothing where there is none.
    pub fn down(session: &Session) -> Result<()> {
        removal::run(session)
    }

    /// kubectl with its kubeconfig.
    pub fn kubectl(&self) -> &Kubectl {
        &self.kubectl
    }

    /// What distinguishes the image of the product on its node from others of the same tag;
    /// `None` where the cluster is not ours, and this machine not its node.
    pub fn image(&self) -> Option<&str> {
        self.image.as_deref()
    }

    /// Kills the containers that run `program`, all at once and without a warning; returns
    /// how many. Only where this machine is the node.
    pub fn kill_program(&self, session: &Session, program: &str) -> Result<usize> {
        containerd::kill_program(session, program)
    }
}

fn up(session: &Session) -> Result<Kubectl> {
    let begun = Instant::now();
    packages::check_root("up")?;
    let _alone = place::lock()?;
    packages::install(session)?;
    for program in PROGRAMS {
        build(session, program)?;
    }
    for folder in [place::state(), place::run()] {
        fs::create_dir_all(folder)
            .with_context(|| format!("could not make {}", folder.display()))?;
    }
    traces::note_absent()?;
    let kubectl = Kubectl::new(place::kubeconfig()?)?;
    network::make(session)?;
    certificates::make(session, &kubectl.version()?)?;
    containerd::ensure(session)?;
    control_plane::ensure(session, &kubectl)?;
    dns::ensure(session, &kubectl)?;
    node::ensure(session, &kubectl)?;
    let import = |archive: &Path| containerd::import(session, archive);
    images::build_and_import(session, place::state(), &import)?;
    backends::apply(session, &kubectl, backends::Images::Local)?;
    // Last: the cluster can be used while it is built.
    build(session, "metrics-server")?;
    metrics::ensure(session, &kubectl)?;
    session.say(format_args!(
        "The cluster is up after {:.0} s. Use it with\n    export KUBECONFIG={}",
        begun.elapsed().as_secs_f64(),
        place::kubeconfig()?.display()
    ));
    Ok(kubectl)
}

/// Builds a Go program where it is not cached; Ctrl-C breaks it off.
fn build(session: &Session, program: &'static str) -> Result<()> {
    let build = session.begin_work(move || Ok(go_program(program)?));
    session.finish_work(build).map(drop)
}

/// In a cluster that is not ours nothing can be put on its nodes.
fn use_given(session: &Session, kubeconfig: &Path) -> Result<Kubectl> {
    session.say(format_args!(
        "Using the cluster of KUBECONFIG ({})",
        kubeconfig.display()
    ));
    let kubectl = Kubectl::new(kubeconfig)?;
    kubectl.run(session, &["get", "nodes"])?;
    backends::apply(session, &kubectl, backends::Images::Public)?;
    session.say(
        "Redis Cluster and Postgres run there. Left to you: build the image \
         (`docker build -t <your registry>/flashsale:dev .`), push it to where this cluster \
         gets its images, and name it when you install the chart: `--set image.repository=…`",
    );
    Ok(kubectl)
}

/// What a program prints; anything but success is an error with its output.
pub fn output(command: &mut Command) -> Result<String> {
    let program = Path::new(command.get_program()).file_name();
    let program = program.unwrap_or_default().display().to_string();
    let output = command.output();
    let output = output.with_context(|| format!("could not run {program}"))?;
    anyhow::ensure!(
        output.status.success(),
        "`{program} {}` failed: {}",
        command
            .get_args()
            .map(|argument| argument.display().to_string())
            .collect::<Vec<_>>()
            .join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Writes a file unless it holds just that.
fn write_if_other(file: &Path, text: &str) -> Result<()> {
    if fs::read_to_string(file).is_ok_and(|old| old == text) {
        return Ok(());
    }
    fs::write(file, text).with_context(|| format!("could not write {}", file.display()))
}
