//! Measures the product and the reference programs: a closed loop, then an open loop at half
//! the rate that the closed loop reached, and whatever else was asked for.

use std::{fs, path::PathBuf, thread, time::Duration};

use anyhow::Result;
use flashsale_servers::{Launch, Process, RedisCluster};

use super::{
    accounting::Servers,
    case::{self, Case, OPEN_SECONDS, PURCHASES_PER_SECOND, WARM_UP_SECONDS},
    claims::{self, Claims},
    load::{LoadRun, fill_carts},
    open_runs::OpenRuns,
    plan::{Measure, Plan},
    processes::peak_rss_bytes,
    product::{PROCESSES, measured, sell_out, servers, start_product},
    report::{Measurement, Report},
    scale_runs::ScaleRuns,
};
use crate::{
    manifest::Manifest,
    project::{self, Profile, Programs},
    session::Session,
    setup::{self, Needs},
    shop::Shop,
};

/// Closed loops; the first is what the references are quoted at.
const CONNECTIONS: [u32; 2] = [64, 256];
const MANY_CONNECTIONS: [u32; 1] = [1_000];
const LISTEN_LIMIT: Duration = Duration::from_secs(20);
/// Attempts of the checkouts that filled carts are settled meanwhile.
const SETTLE_TIME: Duration = Duration::from_secs(3);

/// The open loop asks for this share of what the closed loop reached: latency at a load
/// that the system bears, not at one that it is drowned in.
const OPEN_SHARE: f64 = 0.5;

/// Measures what was asked for; fails where a request failed.
pub fn run(session: &Session, plan: &Plan) -> Result<()> {
    // A plan that cannot be is refused before anything is built.
    let measures = plan.measures()?;
    let file = project::output_folder("bench")?.join("latest.json");
    let picture = file.with_extension("svg");
    // What a bench that fails leaves must not be taken for its result.
    for old in [&file, &picture] {
        let _ = fs::remove_file(old);
    }
    let report = build(session, plan.profile)?.all(&measures)?;
    report.write(&file)?;
    println!("\n{report}\n{}", file.display());
    if report.all().next().is_some() {
        report.write_plot(&picture)?;
        println!("{}", picture.display());
    }
    anyhow::ensure!(
        report.errors() == 0,
        "expected every request to be answered as the profile expects; {} were not",
        report.errors()
    );
    Ok(())
}

/// Builds what is measured.
fn build(session: &Session, profile: Profile) -> Result<Bench<'_>> {
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
    Ok(Bench {
        session,
        profile,
        programs: Programs::built(profile)?,
        logs: project::output_folder("bench")?,
    })
}

struct Bench<'a> {
    session: &'a Session,
    profile: Profile,
    programs: Programs,
    logs: PathBuf,
}

impl Bench<'_> {
    fn all(&self, measures: &[Measure]) -> Result<Report> {
        let mut report = Report::new(self.profile.folder());
        // Their length is that of the case that is measured longest.
        let with_ratios = measures.iter().filter(|measure| measure.has_ratios());
        if let Some(seconds) = with_ratios.filter_map(|measure| measure.seconds()).max() {
            for reference in ["a", "b"] {
                for connections in CONNECTIONS {
                    let measured = self.reference(reference, connections, seconds)?;
                    report.references.push(measured);
                }
            }
        }
        let open_runs = OpenRuns {
            session: self.session,
            programs: &self.programs,
            logs: &self.logs,
        };
        let scale_runs = ScaleRuns {
            session: self.session,
            programs: &self.programs,
            logs: &self.logs,
        };
        for measure in measures {
            match *measure {
                Measure::Closed { case, seconds } => {
                    for &connections in connections_of(case) {
                        report.cases.push(self.case(case, connections, seconds)?);
                    }
                }
                Measure::Stampede => report.stampedes.push(open_runs.stampede()?),
                Measure::Claims => {
                    let program = claims::build(self.session, self.profile)?;
                    report.claims = Some(Claims::measure(self.session, &program)?);
                }
                Measure::Scale { seconds } => report.scale = scale_runs.all(seconds)?,
                open => report.open_loops.extend(open_runs.open_loop(open)?),
            }
        }
        Ok(report)
    }

    fn reference(&self, name: &str, connections: u32, seconds: u32) -> Result<Measurement> {
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
            operators: Vec::new(),
            redis: &redis,
            postgres: None,
        };
        let what = What {
            name: &format!("reference {name}"),
            profile: "checkout",
            targets: &targets,
            connections,
            seconds,
            buys_filled_carts: false,
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
    fn case(&self, case: Case, connections: u32, seconds: u32) -> Result<Measurement> {
        let sample = Manifest::sample()?;
        let items = case.items_in(seconds);
        let mut stack = start_product(self.session, sample, items, &self.programs, &self.logs)?;
        let targets = stack.endpoints().api;
        if case == Case::Refused {
            sell_out(self.session, &targets)?;
        }
        let what = What {
            name: case.name(),
            profile: case.profile(),
            targets: &targets,
            connections,
            seconds,
            buys_filled_carts: case == Case::Purchases,
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
        session.say(format_args!(
            "{name}, {connections} connections, {WARM_UP_SECONDS} s to warm up, {seconds} s"
        ));
        let flags = self.fill_carts(what, PURCHASES_PER_SECOND * WARM_UP_SECONDS)?;
        let run = LoadRun {
            profile: what.profile,
            targets: what.targets,
            connections,
            users: case::users(WARM_UP_SECONDS + seconds + open_seconds),
            seconds: WARM_UP_SECONDS,
            rate: None,
            flags: &flags,
        };
        let warm_up = run.run(session)?;
        self.fill_carts(what, PURCHASES_PER_SECOND * seconds)?;
        let closed = measured(session, servers, &LoadRun { seconds, ..run })?;
        let peak_rss_bytes = servers.api.iter().map(|pid| peak_rss_bytes(*pid));
        let api_peak_rss_bytes = peak_rss_bytes.collect::<Result<_>>()?;
        let rate = (closed.load.requests_per_second * OPEN_SHARE).floor();
        let open = if closed.load.has_used_up_its_items() || rate < 1.0 {
            None
        } else {
            session.say(format_args!(
                "{name}, {connections} connections, {rate} requests/s, {open_seconds} s"
            ));
            // One for each connection on top: calls that are due at the end start behind it.
            let requests = rate as u32 * open_seconds + connections + 1;
            self.fill_carts(what, requests)?;
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
            api_peak_rss_bytes,
            open,
        })
    }

    /// Fills carts where the load buys such, before it is measured; returns the flags that name
    /// them to the load generator.
    fn fill_carts(&self, what: &What, carts: u32) -> Result<Vec<String>> {
        if !what.buys_filled_carts {
            return Ok(Vec::new());
        }
        let file = self.session.guard().folder().join("carts");
        fill_carts(self.session, what.targets, carts, &file)?;
        thread::sleep(SETTLE_TIME);
        Ok(vec!["--carts".to_owned(), file.display().to_string()])
    }
}

fn connections_of(case: Case) -> &'static [u32] {
    match case {
        Case::Connections => &MANY_CONNECTIONS,
        _ => &CONNECTIONS,
    }
}

/// One measurement.
struct What<'a> {
    name: &'a str,
    profile: &'a str,
    targets: &'a [String],
    connections: u32,
    seconds: u32,
    buys_filled_carts: bool,
}
