//! The developer's commands: `cargo xtask <command>`.
//!
//! Exit codes: 0 done, 1 failed, 2 wrong usage, 130 interrupted before it was done.

mod bench;
mod budget;
mod chaos;
mod chart;
mod cluster;
mod cluster_commands;
mod cluster_demo;
mod cluster_shop;
mod cluster_test;
mod contract;
mod crds;
mod demo;
mod http;
mod manifest;
mod news;
mod once;
mod openapi;
mod project;
mod python;
mod revival;
mod session;
mod setup;
mod shop;
mod stack;
mod status;
mod steps;
mod test;
mod test_programs;
mod test_runs;
mod test_selection;
mod tidy;
mod versions;

use std::{ffi::OsString, path::PathBuf, process::ExitCode};

use clap::Parser;

use crate::session::{Interrupted, Session};

#[derive(Parser)]
#[command(
    name = "cargo xtask",
    bin_name = "cargo xtask",
    about = "The developer's commands"
)]
enum Command {
    /// Run everything on this machine until Ctrl-C: servers, operator, API, a sale.
    ///
    /// Installs what is missing, prints the URLs and writes them to
    /// target/demo/endpoints.json. The sale opens some seconds later.
    Demo {
        /// Run this FlashSale, as it is, instead of the sample.
        #[arg(long, value_name = "FILE")]
        manifest: Option<PathBuf>,
        /// Sell a sale out under load, check it until it is settled, write a report, and end.
        #[arg(long)]
        once: bool,
        /// With --once: copy the picture of the sale to this file.
        #[arg(long, value_name = "FILE", requires = "once")]
        picture: Option<PathBuf>,
        /// On Kubernetes: the cluster of `cargo xtask cluster up`, or that of KUBECONFIG.
        #[arg(long)]
        cluster: bool,
    },
    /// Check everything that a change must pass, set-up included.
    Test {
        /// Check sources, and run the tests that need no more than Redis and Postgres.
        ///
        /// Leaves out: the tests that need a Kubernetes API server or other programs written in
        /// Go (flashsale-operator's `kubernetes`, flashsale-packaging, flashsale-servers'
        /// `kube_api`, xtask's `dev_stores`), tests in documentation, the budget, the contract
        /// test of the API, the sale from start to end, and the release builds that these need.
        #[arg(long)]
        quick: bool,
    },
    /// Check the structure of the code, its words and the subjects of commits by tidy.toml.
    Tidy,
    /// A real single-node Kubernetes on this machine, with Redis Cluster and Postgres.
    ///
    /// Needs root and Go. `up` writes target/cluster/kubeconfig. Where KUBECONFIG names a
    /// cluster, `up` puts Redis Cluster and Postgres there and makes no other.
    Cluster {
        #[command(subcommand)]
        action: cluster_commands::Action,
    },
    /// Write the custom resource definitions to crds/.
    Crds {
        /// Change nothing; fail where crds/ differs.
        #[arg(long)]
        check: bool,
    },
    /// Measure how fast it is, beside two reference programs.
    Bench(bench::Args),
    /// Count instructions and calls of the hot path; fail where one is above its limit.
    ///
    /// The limits are in budget.toml. Installs Valgrind where it is missing.
    Budget {
        /// Write what is measured as the new limits.
        #[arg(long)]
        update: bool,
    },
    /// Play faults on real processes under load; a verdict on each invariant. `--help` lists flags.
    #[command(disable_help_flag = true)]
    Chaos {
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        args: Vec<OsString>,
    },
}

fn main() -> ExitCode {
    let command = Command::parse();
    match run(command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) if error.is::<Interrupted>() => {
            eprintln!("{Interrupted}");
            ExitCode::from(130)
        }
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> anyhow::Result<()> {
    let session = Session::begin()?;
    match command {
        Command::Demo {
            manifest,
            once,
            picture,
            cluster,
        } => {
            let manifest = manifest.as_deref();
            match (cluster, once) {
                (true, once) => cluster_demo::run(&session, manifest, once),
                (false, true) => once::run(&session, manifest),
                (false, false) => demo::run(&session, manifest),
            }?;
            picture.map_or(Ok(()), |file| once::copy_picture(&file))
        }
        Command::Test { quick: false } => test::run(&session),
        Command::Test { quick: true } => test::run_quick(&session),
        Command::Tidy => tidy::run(&session),
        Command::Cluster { action } => cluster_commands::run(&session, action),
        Command::Crds { check } => crds::run(&session, check),
        Command::Bench(args) => bench::run(&session, &args),
        Command::Budget { update } => budget::run(&session, update),
        Command::Chaos { args } => chaos::run(&session, &args),
    }
}
