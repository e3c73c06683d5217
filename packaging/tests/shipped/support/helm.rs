//! The real Helm, and kubectl where it renders as Helm does.

use std::path::Path;
use std::process::{Command, Output};

use flashsale_servers::go_program;

use super::project::root;

/// The oldest Kubernetes that the chart is for.
const KUBERNETES: &str = "1.33.0";

/// Helm, without anything that its user may have set up.
pub fn helm() -> Command {
    program("helm")
}

/// A program that the project builds itself, in the root of the tree.
fn program(name: &str) -> Command {
    let program = go_program(name).unwrap_or_else(|error| panic!("{name}: {error}"));
    let mut program = Command::new(program);
    let nowhere = concat!(env!("CARGO_TARGET_TMPDIR"), "/helm");
    for home in ["HELM_CACHE_HOME", "HELM_CONFIG_HOME", "HELM_DATA_HOME"] {
        program.env(home, nowhere);
    }
    program.env_remove("KUBECONFIG").current_dir(root());
    program
}

/// What a command has printed: its standard output, or what it failed with.
pub fn text_of(output: Output) -> Result<String, String> {
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    if output.status.success() {
        Ok(text(output.stdout))
    } else {
        Err(text(output.stderr) + &text(output.stdout))
    }
}

/// `helm lint --strict` with a file of values.
pub fn lint(values: &Path) -> Result<String, String> {
    let mut lint = helm();
    lint.args(["lint", "--strict", "charts/flashsale", "--kube-version"])
        .args([KUBERNETES, "--values"])
        .arg(values);
    text_of(lint.output().expect("helm runs"))
}

/// `helm template` of a release, with further flags.
pub fn template(release: &str, flags: &[&str]) -> Result<String, String> {
    let mut template = helm();
    template
        .args(["template", release, "charts/flashsale"])
        .args(["--kube-version", KUBERNETES])
        .args(flags);
    text_of(template.output().expect("helm runs"))
}

/// `kubectl kustomize` of a folder.
pub fn kustomize(folder: &str) -> Result<String, String> {
    let mut kubectl = program("kubectl");
    kubectl.args(["kustomize", folder]);
    text_of(kubectl.output().expect("kubectl runs"))
}
