//! `cargo xtask bench`: how fast it is, as ratios to two reference programs that
//! are measured in the same run on the same machine, load generator included.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;
use flashsale_servers::{Launch, Process, RedisCluster};
use jiff::SignedDuration;

use crate::{
    bench_report::{Measurement, Report},
    manifest::Manifest,
    project::{self, Profile},
    session::Session,
    setup::{self, Needs},
    stack::{Sale, Settings, Stack},
};

/// Closed loops; the first is what the references are quoted at.
const CONNECTIONS: [u32; 2] = [64, 256];
/// References and API alike: two processes of one thread.
const PROCESSES: usize = 2;
const THREADS: usize = 1;
const OPENS_IN: SignedDuration = SignedDuration::from_secs(2);
/// A million items take their time to be seeded.
const OPEN_LIMIT: Duration = Duration::from_secs(180);
const LISTEN_LIMIT: Duration = Duration::from_secs(20);
const SELL_OUT_LIMIT_SECONDS: &str = "120";

/// What is measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Case {
    /// Checkouts of random users and items.
    Checkout,
    /// Three checkouts, then a purchase.
    Mixed,
    /// Checkouts when everything is sold.
    Refused,
}

impl Case {
    const ALL: [Self; 3] = [Self::Checkout, Self::Mixed, Self::Refused];

    /// Also the load generator's profile.
    fn name(self) -> &'static str {
        match self {
            Self::Checkout => "checkout",
            Self::Mixed => "mixed",
            Self::Refused => "refused",
        }
    }

    /// Mixed: so many that nothing runs out. Refused: so few that it soon has.
    fn items(self) -> u32 {
        match self {
            Self::Checkout => 10_000,
            Self::Mixed => 1_000_000,
            Self::Refused => 1_000,
        }
    }
}

/// Measures the references and all cases, or one; fails where a request failed.
pub fn run(session: &Session, case: Option<Case>, seconds: u32) -> Result<()> {
    setup::install_missing(session, Needs::Servers)?;
    project::build_product(session)?;
    session.say("Building the reference programs (release)");
    project::build(
        session,
        Profile::Release,
        &["-p", "xtask", "--example", "reference"],
    )?;

    let bench = Bench { session, seconds };
    let mut report = Report::default();
    for reference in ["a", "b"] {
        for connections in CONNECTIONS {
            report
                .references
                .push(bench.reference(reference, connections)?);
        }
    }
    for case in case.map_or(Case::ALL.to_vec(), |only| vec![only]) {
        for connections in CONNECTIONS {
            report.cases.push(bench.case(case, connections)?);
        }
    }
    let file = project::output_folder("bench")?.join("latest.json");
    report.write(&file)?;
    println!("\n{report}\n{}", file.display());
    anyhow::ensure!(
        report.errors() == 0,
        "expected every request to be answered as the profile expects; {} were not",
        report.errors()
    );
    Ok(())
}

struct Bench<'a> {
    session: &'a Session,
    seconds: u32,
}

impl Bench<'_> {
    fn reference(&self, name: &str, connections: u32) -> Result<Measurement> {
        let mut redis = RedisCluster::start(3, 3)?;
        let program = project::program(Profile::Release, "examples/reference")?;
        let mut processes = Vec::new();
        let mut targets = Vec::new();
        for number in 1..=PROCESSES {
            let file = self
                .session
                .guard()
                .folder()
                .join(format!("reference-{number}"));
            let _ = fs::remove_file(&file);
            let launch = Launch::new(format!("reference-{name}-{number}"), &program)
                .arg(name)
                .arg("--endpoints-file")
                .arg(&file)
                .args(["--redis-url", &redis.url()]);
            let mut process = self.session.guard().launch(&launch)?;
            let listens = "the reference program listens";
            let url = self.session.await_that(listens, LISTEN_LIMIT, || {
                process.ended().map_or(Ok(()), Err)?;
                Ok(fs::read_to_string(&file).ok().filter(|url| !url.is_empty()))
            })?;
            processes.push(process);
            targets.push(url);
        }
        let measured = self.measure(
            &format!("reference {name}"),
            "checkout",
            &targets,
            connections,
        );
        let ended = processes.iter_mut().find_map(Process::ended);
        ended.or_else(|| redis.ended()).map_or(Ok(()), Err)?;
        measured
    }

    /// Each on servers of its own: what one measurement leaves does not slow the next.
    fn case(&self, case: Case, connections: u32) -> Result<Measurement> {
        let mut manifest = Manifest::sample()?;
        manifest.sell(case.items());
        let settings = Settings {
            sale: Sale::Soon(manifest, OPENS_IN),
            worker_threads: Some(THREADS),
            logs: &project::output_folder("bench")?,
        };
        let mut stack = Stack::start(self.session, settings)?;
        stack.await_open(self.session, OPEN_LIMIT)?;
        let targets = stack.endpoints().api;
        if case == Case::Refused {
            self.sell_out(&targets)?;
        }
        let measured = self.measure(case.name(), case.name(), &targets, connections);
        stack.check()?;
        measured
    }

    fn sell_out(&self, targets: &[String]) -> Result<()> {
        let load = load(targets)?
            .args(["--profile", "heavy", "--until-sold-out", "--quiet"])
            .args(["--duration", SELL_OUT_LIMIT_SECONDS]);
        self.session
            .run(load)
            .context("selling out before the refusals")
    }

    fn measure(
        &self,
        name: &str,
        profile: &str,
        targets: &[String],
        connections: u32,
    ) -> Result<Measurement> {
        let (session, seconds) = (self.session, self.seconds);
        session.say(format_args!(
            "{name}, {connections} connections, {seconds} s"
        ));
        let json = session.guard().folder().join("load.json");
        let _ = fs::remove_file(&json);
        let load = load(targets)?
            .args(["--profile", profile, "--quiet", "--seed", "1"])
            .args(["--duration", &seconds.to_string()])
            .args(["--connections", &connections.to_string()])
            .arg("--json")
            .arg(&json);
        // Errors make it fail too; they are counted and told with all the rest.
        let status = session.run_to_end(load)?;
        Measurement::read(name, connections, &json)
            .with_context(|| format!("flashsale-load ended with {status}"))
    }
}

fn load(targets: &[String]) -> Result<Launch> {
    let program = project::program(Profile::Release, "flashsale-load")?;
    Ok(Launch::new("flashsale-load", program).args(["--target", &targets.join(",")]))
}
