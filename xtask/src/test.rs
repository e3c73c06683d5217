//! `cargo xtask test`: everything that a change must pass. Nothing is skipped:
//! what is missing is installed, or the step fails.

use anyhow::Result;
use flashsale_servers::go_program;

use crate::{
    contract, crds, once,
    project::{self, cargo},
    python,
    session::Session,
    setup::{self, Needs},
    steps::{self, Step},
    tidy,
};

/// What tests run of it. Each costs minutes where the cache is empty, so no more than needed.
const GO_PROGRAMS: [&str; 5] = ["etcd", "kube-apiserver", "kubectl", "helm", "starlark"];

const STEPS: &[Step<Session>] = &[
    (
        "set-up",
        |session| {
            setup::install_missing(session, Needs::Tests)?;
            python::schemathesis(session)?;
            // Before the tests: there a build of ten minutes would look like a test that hangs.
            for program in GO_PROGRAMS {
                session.finish_work(session.begin_work(move || Ok(go_program(program)?)))?;
            }
            Ok(())
        },
        "install what it names, then run `cargo xtask test` again",
    ),
    (
        "formatting",
        |session| session.run(cargo("fmt").args(["fmt", "--all", "--check"])),
        "run `cargo fmt --all`",
    ),
    (
        "structure and words",
        tidy::run,
        "do what each finding says; `cargo xtask tidy` finds them again",
    ),
    (
        "lints",
        |session| {
            let clippy = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ];
            session.run(cargo("clippy").args(clippy))
        },
        "put right what clippy says above; `cargo clippy --workspace --all-targets` shows it again",
    ),
    (
        "unit and integration tests",
        |session| session.run(cargo("test").args(["test", "--workspace"])),
        "run the test named above alone: `cargo test -p <crate> <name of the test>`",
    ),
    (
        "custom resource definitions",
        // The tests have built the operator.
        crds::check_built,
        "run `cargo xtask crds` and commit crds/",
    ),
    (
        "contract test of the API",
        |session| {
            project::build_product(session)?;
            contract::run(session)
        },
        "the tester prints a curl line for each failure; `cargo xtask demo` gives an API to send it to",
    ),
    (
        "a sale from start to end",
        once::run_built,
        "run `cargo xtask demo --once` and read its logs",
    ),
];

/// Runs all steps; stops at the first that fails.
pub fn run(session: &Session) -> Result<()> {
    steps::run(STEPS, session)
}
