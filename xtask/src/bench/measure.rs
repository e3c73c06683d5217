//! Measures the product and the reference programs: a closed loop, then an open loop at half
//! the rate that the closed loop reached.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result};
use flashsale_servers::{Launch, PostgresSettings, Process, RedisCluster};
use jiff::SignedDuration;

use super::{
    accounting::Servers,
    case::{self, Case, OPEN_SECONDS, WARM_UP_SECONDS},
    load::{self, LoadRun},
    report::{Loop, Measurement, Report},
};
use crate::{
    manifest::Manifest,
    project::{self, Profile, Programs},
    session::Session,
    setup::{self, Needs},
    shop::Shop,
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

/// The open loop asks for this share of what the closed loop reached: latency at a load
/// that the system bears, not at one that it is drowned in.
const OPEN_SHARE: f64 = 0.5;

/// Measures the references and all cases, or one; fails where a request failed.
pub fn run(session: &Session, case: Option<Case>, seconds: u32, profile: Profile) -> Result<()> {
    let file = project::output_folder("bench")?.join("latest.json");
    let picture = file.with_extension("svg");
    // What a bench that fails leaves must not be taken for its result.
    for old in [&file, &picture] {
        let _ = fs::remove_file(old);
    }
    setup::install_missing(session, Needs::Servers)?;
    // The load generator is a release build whatever is measured.
    project::build_product(session)?;
    if profile != Profile::Release {
        project::build_product_in(session, profile)?;
    }
    session.say(format_args!(
        "Building the reference programs ({})",
        profile.folder()
    ));
    project::build(session, profile, &["-p", "xtask", "--example", "reference"])?;

    let bench = Bench {
        session,
        seconds,
        profile,
        programs: Programs::built(profile)?,
    };
    let mut report = Report::new(profile.folder());
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

/// Starts the product with one thread for each API process, as every measurement has it.
pub fn start_product(
    session: &Session,
    mut manifest: Manifest,
    items: u32,
    programs: &Programs,
    logs: &Path,
) -> Result<Stack> {
    manifest.sell(items);
    let settings = Settings {
        sale: Sale::Soon(manifest, OPENS_IN),
        api_processes: PROCESSES,
        worker_threads: Some(THREADS),
        logs,
    };
    let postgres = PostgresSettings {
        count_statements: true,
        ..PostgresSettings::default()
    };
    let mut stack = Stack::start_with(session, settings, programs, postgres)?;
    stack.await_open(session, OPEN_LIMIT)?;
    Ok(stack)
}

/// The processes of a stack.
pub fn servers(stack: &Stack) -> Servers<'_> {
    Servers {
        api: stack.api_pids(),
        operator: Some(stack.operator_pid()),
        redis: stack.redis(),
        postgres: Some(stack.postgres()),
    }
}

/// Sells everything, so that all further checkouts are refused.
pub fn sell_out(session: &Session, targets: &[String]) -> Result<()> {
    let load = load::launch(targets)?
        .args(["--profile", "heavy", "--until-sold-out", "--quiet"])
        .args(["--duration", SELL_OUT_LIMIT_SECONDS]);
    session.run(load).context("selling out before the refusals")
}

struct Bench<'a> {
    session: &'a Session,
    seconds: u32,
    profile: Profile,
    programs: Programs,
}

impl Bench<'_> {
    fn reference(&self, name: &str, connections: u32) -> Result<Measurement> {
        let redis = self.session.begin_work(|| Ok(RedisCluster::start(3, 3)?));
        let mut redis = self.session.finish_work(redis)?;
        let mut processes = Vec::new();
        let mut targets = Vec::new();
        for number in 1..=PROCESSES {
            let (process, url) = self.start_reference(name, number, &redis)?;
            processes.push(process);
            targets.push(url);
        }
        let servers = Servers {
            api: processes.iter().map(Process::pid).collect(),
            operator: None,
            redis: &redis,
            postgres: None,
        };
        let what = What {
            name: &format!("reference {name}"),
            profile: "checkout",
            targets: &targets,
            connections,
            seconds: self.seconds,
        };
        let measured = self.measure(&servers, &what);
        let ended = processes.iter_mut().find_map(Process::ended);
        ended.or_else(|| redis.ended()).map_or(Ok(()), Err)?;
        measured
    }

    /// One process of a reference program, and its URL.
    fn start_reference(
        &self,
        name: &str,
        number: usize,
        redis: &RedisCluster,
    ) -> Result<(Process, String)> {
        let program = project::program(self.profile, "examples/reference")?;
        let guard = self.session.guard();
        let file = guard.folder().join(format!("reference-{number}"));
        let _ = fs::remove_file(&file);
        let launch = Launch::new(format!("reference-{name}-{number}"), &program)
            .arg(name)
            .arg("--endpoints-file")
            .arg(&file)
            .args(["--redis-url", &redis.url()]);
        let mut process = guard.launch(&launch)?;
        let listens = "the reference program listens";
        let url = self.session.await_that(listens, LISTEN_LIMIT, || {
            process.ended().map_or(Ok(()), Err)?;
            Ok(fs::read_to_string(&file).ok().filter(|url| !url.is_empty()))
        })?;
        Ok((process, url))
    }

    /// Each on servers of its own: what one measurement leaves does not slow the next.
    fn case(&self, case: Case, connections: u32) -> Result<Measurement> {
        let logs = project::output_folder("bench")?;
        let sample = Manifest::sample()?;
        let mut stack = start_product(self.session, sample, case.items(), &self.programs, &logs)?;
        let targets = stack.endpoints().api;
        if case == Case::Refused {
            sell_out(self.session, &targets)?;
        }
        let what = What {
            name: case.name(),
            profile: case.name(),
            targets: &targets,
            connections,
            seconds: case.seconds(self.seconds),
        };
        let measured = self.measure(&servers(&stack), &what);
        stack.check()?;
        measured
    }

    /// In a closed loop how much, then in an open loop how fast.
    fn measure(&self, servers: &Servers, what: &What) -> Result<Measurement> {
        let What {
            name,
            connections,
            seconds,
            ..
        } = *what;
        let session = self.session;
        let open_seconds = seconds.min(OPEN_SECONDS);
        let run = LoadRun {
            profile: what.profile,
            targets: what.targets,
            connections,
            users: case::users(WARM_UP_SECONDS + seconds + open_seconds),
            seconds,
            rate: None,
        };
        let shorter = match seconds < self.seconds {
            true => ", for its items would not last longer",
            false => "",
        };
        session.say(format_args!(
            "{name}, {connections} connections, {WARM_UP_SECONDS} s to warm up, {seconds} s{shorter}"
        ));
        let warm_up = LoadRun {
            seconds: WARM_UP_SECONDS,
            ..run
        };
        let warm_up = warm_up.run(session)?;
        let closed = measured(session, servers, &run)?;
        let rate = (closed.load.requests_per_second * OPEN_SHARE).floor();
        let open = if closed.load.has_used_up_its_items() || rate < 1.0 {
            None
        } else {
            session.say(format_args!(
                "{name}, {connections} connections, {rate} requests/s, {open_seconds} s"
            ));
            let run = LoadRun {
                seconds: open_seconds,
                rate: Some(rate),
                ..run
            };
            Some((rate, measured(session, servers, &run)?))
        };
        Ok(Measurement {
            name: name.to_owned(),
            connections,
            warm_up_errors: warm_up.errors,
            closed,
            open,
        })
    }
}

/// Runs load and accounts for what it uses.
pub fn measured(session: &Session, servers: &Servers, run: &LoadRun) -> Result<Loop> {
    let (usage, load) = servers.measure(|| {
        let load = run.run(session)?;
        Ok((load.requests, load))
    })?;
    Ok(Loop { load, usage })
}

/// One measurement.
struct What<'a> {
    name: &'a str,
    profile: &'a str,
    targets: &'a [String],
    connections: u32,
    seconds: u32,
}
