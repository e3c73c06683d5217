//! `cargo xtask test`: everything that a change must pass. Nothing is skipped:
//! what is missing is installed, or the step fails. `--quick` is the inner loop: what needs no more
//! than Redis and Postgres.

use std::cell::RefCell;

use anyhow::{Context, Result};
use flashsale_servers::{Process, go_program};

use crate::{
    budget, chaos, contract, crds, once,
    project::{self, cargo},
    python,
    session::{Session, Work},
    setup::{self, Needs},
    steps::{self, Step},
    test_programs::{self, TestProgram},
    test_runs,
    test_selection::Selection,
    tidy,
};

/// What tests run of it. Each costs minutes where the cache is empty, so no more than needed. The
/// first is small: where Go is missing or reaches no modules, the set-up fails at once.
const GO_PROGRAMS: [&str; 5] = ["starlark", "etcd", "kube-apiserver", "kubectl", "helm"];

const LEFT_OUT: &str = "Left out: the tests that need a Kubernetes API server or other programs \
                        written in Go, tests in documentation, the budget, the contract test and \
                        the sale from start to end. `cargo xtask test` runs everything.";

/// What the steps hand on to each other.
struct Checks<'a> {
    session: &'a Session,
    /// The build of programs written in Go. Much of it waits, for modules and for one linker, so
    /// it goes on beside the lints and the build of the tests.
    go: RefCell<Option<Work<()>>>,
    tests: RefCell<Vec<TestProgram>>,
    /// The release build, which takes what time the tests leave: they wait more than they compute.
    release: RefCell<Option<Process>>,
}

/// Runs all steps; stops at the first that fails.
pub fn run(session: &Session) -> Result<()> {
    let steps: &[Step<Checks<'_>>] = &[
        (
            "set-up",
            set_up,
            "install what it names, then run `cargo xtask test` again",
        ),
        formatting(),
        structure_and_words(),
        lints(),
        (
            "build of the tests",
            |checks| checks.build(Selection::All),
            "correct the errors of the compiler above",
        ),
        (
            "programs written in Go",
            finish_go,
            "read the output of `go build` above; with the modules of tools/go in reach, run \
             `cargo xtask test` again",
        ),
        (
            "unit and integration tests",
            |checks| {
                checks.begin_release()?;
                checks.run()
            },
            RUN_ONE_TEST,
        ),
        tests_in_documentation(),
        custom_resource_definitions(),
        (
            "budget",
            |checks| budget::run(checks.session, false),
            "make the change cheaper, or run `cargo xtask budget --update` and give the reason in \
             the message of the commit; docs/performance.md has more",
        ),
        (
            "contract test of the API",
            |checks| {
                project::build_product(checks.session)?;
                drop(checks.release.take());
                contract::run(checks.session)
            },
            "the tester prints a curl line for each failure; `cargo xtask demo` gives an API to send it to",
        ),
        (
            "a sale from start to end",
            |checks| once::run_built(checks.session),
            "run `cargo xtask demo --once` and read its logs",
        ),
        (
            "faults under load",
            |checks| chaos::run_for_continuous_integration(checks.session),
            "read target/chaos/runs.md, and the verdicts and logs of the run beside it; `cargo xtask \
             chaos` plays it again",
        ),
    ];
    steps::run(steps, &Checks::new(session))
}

/// Runs the steps of the inner loop; stops at the first that fails. Prints at its end
/// what it leaves out.
pub fn run_quick(session: &Session) -> Result<()> {
    let steps: &[Step<Checks<'_>>] = &[
        (
            "set-up",
            |checks| setup::install_missing(checks.session, Needs::QuickTests),
            "install what it names, then run `cargo xtask test --quick` again",
        ),
        formatting(),
        structure_and_words(),
        lints(),
        (
            "build of the tests",
            |checks| checks.build(Selection::Quick),
            "correct the errors of the compiler above",
        ),
        (
            "unit tests, and tests with Redis and Postgres",
            |checks| checks.run(),
            RUN_ONE_TEST,
        ),
        custom_resource_definitions(),
    ];
    let result = steps::run(steps, &Checks::new(session));
    println!("{LEFT_OUT}");
    result
}

fn formatting<'a>() -> Step<Checks<'a>> {
    (
        "formatting",
        |checks| {
            checks
                .session
                .run(cargo("fmt").args(["fmt", "--all", "--check"]))
        },
        "run `cargo fmt --all`",
    )
}

fn structure_and_words<'a>() -> Step<Checks<'a>> {
    (
        "structure and words",
        |checks| tidy::run(checks.session),
        "correct what each finding names; `cargo xtask tidy` finds them again",
    )
}

fn lints<'a>() -> Step<Checks<'a>> {
    (
        "lints",
        |checks| {
            let clippy = [
                "clippy",
                "--workspace",
                "--all-targets",
                "--",
                "-D",
                "warnings",
            ];
            checks.session.run(cargo("clippy").args(clippy))
        },
        "correct what clippy reports above; `cargo clippy --workspace --all-targets` shows it again",
    )
}

fn tests_in_documentation<'a>() -> Step<Checks<'a>> {
    (
        "tests in documentation",
        |checks| {
            let doc_tests = ["test", "--workspace", "--doc", "--quiet"];
            checks.session.run(cargo("test").args(doc_tests))
        },
        "run them alone: `cargo test --doc -p <crate>`",
    )
}

fn custom_resource_definitions<'a>() -> Step<Checks<'a>> {
    (
        "custom resource definitions",
        // The tests have built the operator.
        |checks| crds::check_built(checks.session),
        "run `cargo xtask crds` and commit crds/",
    )
}

const RUN_ONE_TEST: &str =
    "run the test named above alone: `cargo test -p <crate> <name of the test>`";

fn set_up(checks: &Checks<'_>) -> Result<()> {
    let session = checks.session;
    setup::install_missing(session, Needs::Tests)?;
    python::schemathesis(session)?;
    let [first, others @ ..] = GO_PROGRAMS;
    session.finish_work(session.begin_work(move || Ok(go_program(first)?)))?;
    // Before the tests need them: there a build of ten minutes would look like a test that hangs.
    let build = move || {
        for program in others {
            go_program(program)?;
        }
        Ok(())
    };
    checks.go.replace(Some(session.begin_work(build)));
    Ok(())
}

fn finish_go(checks: &Checks<'_>) -> Result<()> {
    let work = checks.go.take();
    checks
        .session
        .finish_work(work.context("the set-up has begun no build with Go")?)
}

impl<'a> Checks<'a> {
    fn new(session: &'a Session) -> Self {
        Self {
            session,
            go: RefCell::new(None),
            tests: RefCell::new(Vec::new()),
            release: RefCell::new(None),
        }
    }

    fn build(&self, selection: Selection) -> Result<()> {
        self.tests
            .replace(test_programs::build(self.session, selection)?);
        Ok(())
    }

    fn begin_release(&self) -> Result<()> {
        let log = project::output_folder("test")?.join("release build.log");
        let build = project::begin_product(self.session, &chaos::PACKAGE, &log)?;
        self.release.replace(Some(build));
        Ok(())
    }

    fn run(&self) -> Result<()> {
        test_runs::run(self.session, self.tests.take())
    }
}
