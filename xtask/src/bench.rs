//! `cargo xtask bench`: how fast it is, as ratios to two reference programs that
//! are measured in the same run on the same machine, load generator included.

use std::{fs, time::Duration};

use anyhow::{Context, Result};
use clap::ValueEnum;
use flashsale_servers::{Launch, Process, RedisCluster};
use jiff::SignedDuration;

use crate::{
    bench_report::{LoadResult, Measurement, Report},
    manifest::Manifest,
    project::{self, Profile},
    session::Session,
    setup::{self, Needs},
    shop::Shop,
    stack::{Sale, Settings, Stack, product},
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

/// The open loop asks for this share of what the closed loop reached: latency at a load
/// that the system bears, not at one that it is drowned in.
const OPEN_SHARE: f64 = 0.5;
const OPEN_SECONDS: u32 = 10;

/// The longest measurement. Every checkout leaves a cart in memory, six times over.
pub const MAX_SECONDS: u32 = 120;
/// A million items, three for every four requests, last 44 s at 30,000 requests/s, and the
/// open loop needs its share of them.
const MAX_SECONDS_MIXED: u32 = 35;
/// So many different users for each second that next to none of them fills his cart.
const USERS_PER_SECOND: u32 = 100_000;
const MIN_USERS: u32 = 1_000_000;

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

    /// How long its measurement takes when so long was asked for.
    fn seconds(self, asked: u32) -> u32 {
        match self {
            Self::Mixed => asked.min(MAX_SECONDS_MIXED),
            Self::Checkout | Self::Refused => asked,
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
    let file = project::output_folder("bench")?.join("latest.json");
    let picture = file.with_extension("svg");
    // What a bench that fails leaves must not be taken for its result.
    for old in [&file, &picture] {
        let _ = fs::remove_file(old);
    }
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
    report.write(&file)?;
    report.write_plot(&picture)?;
    println!("\n{report}\n{}\n{}", file.display(), picture.display());
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
        let redis = self.session.begin_work(|| Ok(RedisCluster::start(3, 3)?));
        let mut redis = self.session.finish_work(redis)?;
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
        let measured = self.measure(&What {
            name: &format!("reference {name}"),
            profile: "checkout",
            targets: &targets,
            connections,
            seconds: self.seconds,
        });
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
        let measured = self.measure(&What {
            name: case.name(),
            profile: case.name(),
            targets: &targets,
            connections,
            seconds: case.seconds(self.seconds),
        });
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

    /// In a closed loop how much, then in an open loop how fast.
    fn measure(&self, what: &What) -> Result<Measurement> {
        let What {
            name,
            connections,
            seconds,
            ..
        } = *what;
        let (session, loops) = (self.session, [seconds, seconds.min(OPEN_SECONDS)]);
        let users = (loops.iter().sum::<u32>() * USERS_PER_SECOND).max(MIN_USERS);
        let shorter = match seconds < self.seconds {
            true => ", for its items would not last longer",
            false => "",
        };
        session.say(format_args!(
            "{name}, {connections} connections, {seconds} s{shorter}"
        ));
        let closed = self.load(what, loops[0], users, None)?;
        let rate = (closed.requests_per_second * OPEN_SHARE).floor();
        let open = if closed.has_used_up_its_items() || rate < 1.0 {
            None
        } else {
            session.say(format_args!(
                "{name}, {connections} connections, {rate} requests/s, {} s",
                loops[1]
            ));
            Some((rate, self.load(what, loops[1], users, Some(rate))?))
        };
        Ok(Measurement::new(name, connections, closed, open))
    }

    fn load(&self, what: &What, seconds: u32, users: u32, rate: Option<f64>) -> Result<LoadResult> {
        let json = self.session.guard().folder().join("load.json");
        let _ = fs::remove_file(&json);
        let load = load(what.targets)?
            .args(["--profile", what.profile, "--quiet", "--seed", "1"])
            .args(["--duration", &seconds.to_string()])
            .args(["--users", &users.to_string()])
            .args(["--connections", &what.connections.to_string()])
            .args(["--rate", &rate.unwrap_or(0.0).to_string()])
            .arg("--json")
            .arg(&json);
        // Errors make it fail too; they are counted and told with all the rest.
        let status = self.session.run_to_end(load)?;
        LoadResult::read(&json).with_context(|| format!("flashsale-load ended with {status}"))
    }
}

/// One measurement.
struct What<'a> {
    name: &'a str,
    profile: &'a str,
    targets: &'a [String],
    connections: u32,
    seconds: u32,
}

fn load(targets: &[String]) -> Result<Launch> {
    let program = project::program(Profile::Release, "flashsale-load")?;
    Ok(product("flashsale-load", program)
        .args(["--target", &targets.join(",")])
        // A check would keep a history, and time it.
        .args(["--postgres", ""]))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_case_runs_out_of_items_or_users_within_its_time() {
        for asked in [1, 10, MAX_SECONDS] {
            for case in Case::ALL {
                let seconds = case.seconds(asked);
                assert!(seconds <= asked);
                let open = seconds.min(OPEN_SECONDS);
                // Half as much again as the fastest machine so far.
                let requests = 30_000 * (2 * seconds + open) / 2;
                if case == Case::Mixed {
                    assert!(requests * 3 / 4 <= case.items(), "{asked}");
                }
                // With so many users one in 10⁹ gets more than ten of as many checkouts.
                let users = ((seconds + open) * USERS_PER_SECOND).max(MIN_USERS);
                assert!(requests <= users, "{asked} {requests} {users}");
            }
        }
    }
}
