//! The result of a bench, and the JSON file and the picture of it.

use std::{fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use super::{
    accounting::{hundredths, thousandths},
    claims::Claims,
    load::Loop,
    open_loop::OpenLoop,
    plot::{self, Bar},
    scale::ScaleRun,
    stampede::Stampede,
};

/// One case, or one reference, at one count of connections.
#[derive(Debug, Clone)]
pub struct Measurement {
    /// Of the case, or `reference a`, `reference b`.
    pub name: String,
    /// Over all targets.
    pub connections: u32,
    /// Requests that failed before the measurement.
    pub warm_up_errors: u64,
    /// As much as the system can take.
    pub closed: Loop,
    /// The most memory that each API process had resident until the end of that loop.
    pub api_peak_rss_bytes: Vec<u64>,
    /// The rate that was asked for, and the result.
    pub open: Option<(f64, Loop)>,
}

impl Measurement {
    /// Requests that were not answered as they should be.
    pub fn errors(&self) -> u64 {
        let open = self.open.as_ref();
        self.warm_up_errors + self.closed.load.errors + open.map_or(0, |(_, open)| open.load.errors)
    }
}

/// All of one bench.
#[derive(Debug)]
pub struct Report {
    /// The build profile of what was measured.
    pub profile: &'static str,
    /// The reference programs, `reference a` and `reference b`, at each count of
    /// connections.
    pub references: Vec<Measurement>,
    /// The API.
    pub cases: Vec<Measurement>,
    /// At a rate that was given or found.
    pub open_loops: Vec<OpenLoop>,
    /// Until sold out.
    pub stampedes: Vec<Stampede>,
    /// The slot of one sale.
    pub claims: Option<Claims>,
    /// With more of one thing at a time.
    pub scale: Vec<ScaleRun>,
}

impl Report {
    /// An empty one of programs of this build profile.
    pub fn new(profile: &'static str) -> Self {
        Self {
            profile,
            references: Vec::new(),
            cases: Vec::new(),
            open_loops: Vec::new(),
            stampedes: Vec::new(),
            claims: None,
            scale: Vec::new(),
        }
    }

    /// Requests that were not answered as they should be, in all.
    pub fn errors(&self) -> u64 {
        let open_loops = self.open_loops.iter().map(OpenLoop::errors);
        let stampedes = self.stampedes.iter().map(Stampede::errors);
        let scale = self.scale.iter().map(ScaleRun::errors);
        let measurements = self.all().map(Measurement::errors);
        let others = open_loops.chain(stampedes).chain(scale);
        measurements.chain(others).sum()
    }

    /// Writes `latest.json`: `references` are requests per second at the first
    /// count of connections, ratios are to the reference at the same count. `p50_ms` and
    /// `p99_ms` are from the intended start of each request in the open loop, null where
    /// there was none; those of the closed loop begin with `closed_`. CPU times and counts are
    /// per request, in the closed loop unless their name begins with `open_`.
    pub fn write(&self, file: &Path) -> Result<()> {
        let quoted = |name: &str| {
            let found = self
                .references
                .iter()
                .find(|reference| reference.name == name);
            found.map(|reference| reference.closed.load.requests_per_second)
        };
        let rows = |measurements: &[Measurement]| -> Vec<_> {
            measurements
                .iter()
                .map(|measurement| self.row(measurement))
                .collect()
        };
        let report = json!({
            "machine": machine(),
            "profile": self.profile,
            "references": {"A": quoted("reference a"), "B": quoted("reference b")},
            "reference_runs": rows(&self.references),
            "cases": rows(&self.cases),
            "open_loops": self.open_loops.iter().map(OpenLoop::json).collect::<Vec<_>>(),
            "stampedes": self.stampedes.iter().map(Stampede::json).collect::<Vec<_>>(),
            "claims": self.claims.as_ref().map(Claims::json),
            "scale": self.scale.iter().map(ScaleRun::json).collect::<Vec<_>>(),
        });
        fs::write(file, serde_json::to_string_pretty(&report)? + "\n")
            .with_context(|| format!("could not write {}", file.display()))
    }

    /// Writes the picture beside the JSON.
    pub fn write_plot(&self, file: &Path) -> Result<()> {
        let bar = |measurement: &Measurement| {
            let ratio = self.ratio(measurement, "reference b");
            let ratio = ratio.map(|ratio| format!(", {ratio:.2} of B"));
            let open = measurement.open.as_ref();
            let latency =
                open.map(|(_, half)| format!(", p99 {:.1} ms at half load", half.load.p99_ms));
            Bar {
                name: format!("{}, {}", measurement.name, measurement.connections),
                requests_per_second: measurement.closed.load.requests_per_second,
                note: ratio.into_iter().chain(latency).collect(),
                is_reference: measurement.name.starts_with("reference"),
            }
        };
        let bars: Vec<Bar> = self.all().map(bar).collect();
        fs::write(file, plot::svg(&bars))
            .with_context(|| format!("could not write {}", file.display()))
    }

    fn row(&self, measurement: &Measurement) -> Value {
        let Loop { load, usage } = &measurement.closed;
        let open = measurement.open.as_ref();
        let open_load = open.map(|(_, open)| &open.load);
        let open_usage = open.map(|(_, open)| &open.usage);
        json!({
            "name": measurement.name,
            "connections": measurement.connections,
            "requests_per_second": load.requests_per_second,
            "cpu_us": usage.cpu_us_per_request().json(),
            "product_cpu_us": hundredths(usage.cpu_us_per_request().product()),
            "load_cpu_share": thousandths(usage.cpu_us.load_share()),
            "redis_commands": thousandths(usage.per_request(usage.redis_commands)),
            "redis_scripts": thousandths(usage.per_request(usage.redis_scripts)),
            "postgres_transactions": usage
                .postgres_transactions
                .map(|count| thousandths(usage.per_request(count))),
            "postgres_statements": usage
                .postgres_statements
                .map(|count| thousandths(usage.per_request(count))),
            "p50_ms": open_load.map(|load| load.p50_ms),
            "p99_ms": open_load.map(|load| load.p99_ms),
            "open_rate": open.map(|(rate, _)| rate),
            "open_requests_per_second": open_load.map(|load| load.requests_per_second),
            "open_never_started": open_load.map(|load| load.backlog),
            "open_cpu_us": open_usage.map(|usage| usage.cpu_us_per_request().json()),
            "closed_p50_ms": load.p50_ms,
            "closed_p99_ms": load.p99_ms,
            "closed_duration_s": load.duration_s,
            "closed_ending": load.ending,
            "api_peak_rss_bytes": measurement.api_peak_rss_bytes,
            "ratio_a": self.ratio(measurement, "reference a"),
            "ratio_b": self.ratio(measurement, "reference b"),
            "errors": measurement.errors(),
        })
    }

    /// To the reference at the same count of connections.
    pub fn ratio(&self, measurement: &Measurement, reference: &str) -> Option<f64> {
        let base = self.references.iter().find(|other| {
            other.name == reference && other.connections == measurement.connections
        })?;
        let ratio =
            measurement.closed.load.requests_per_second / base.closed.load.requests_per_second;
        ratio.is_finite().then(|| thousandths(ratio))
    }

    /// References and cases.
    pub fn all(&self) -> impl Iterator<Item = &Measurement> {
        self.references.iter().chain(&self.cases)
    }
}

/// What the figures were measured on.
pub fn machine() -> serde_json::Value {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let model = cpuinfo
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(": "))
        .map(|(_, model)| model.to_owned());
    let kernel = Command::new("uname").arg("-sr").output().ok();
    json!({
        "cores": std::thread::available_parallelism().ok().map(usize::from),
        "model": model,
        "kernel": kernel.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned()),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::super::{
        accounting::{CpuUs, Usage},
        load::LoadResult,
    };
    use super::*;

    fn result(requests_per_second: f64, p99_ms: f64) -> Loop {
        let requests = (requests_per_second * 10.0) as u64;
        let load = LoadResult {
            requests,
            requests_per_second,
            p50_ms: 1.0,
            p99_ms,
            errors: 1,
            backlog: 1,
            duration_s: 10.0,
            ending: "time_up".into(),
            ..LoadResult::default()
        };
        let each = requests as f64;
        let usage = Usage {
            requests,
            cpu_us: CpuUs {
                api: 40.0 * each,
                redis_masters: 20.0 * each,
                redis_replicas: 10.0 * each,
                postgres: 5.0 * each,
                load: 25.0 * each,
                operator: 0.0,
            },
            redis_commands: 3 * requests,
            redis_scripts: requests / 2,
            postgres_transactions: Some(requests / 100),
            postgres_statements: Some(requests / 20),
        };
        Loop { load, usage }
    }

    fn measurement(name: &str, connections: u32, requests_per_second: f64) -> Measurement {
        let rate = requests_per_second / 2.0;
        Measurement {
            name: name.to_owned(),
            connections,
            warm_up_errors: 0,
            closed: result(requests_per_second, 9.25),
            api_peak_rss_bytes: vec![40 << 20, 50 << 20],
            open: Some((rate, result(rate, 2.5))),
        }
    }

    fn report(references: Vec<Measurement>, cases: Vec<Measurement>) -> Report {
        Report {
            references,
            cases,
            ..Report::new("release")
        }
    }

    #[test]
    fn ratios_are_to_the_reference_at_the_same_connections() {
        let references = vec![
            measurement("reference a", 64, 50_000.0),
            measurement("reference b", 64, 20_000.0),
            measurement("reference b", 256, 40_000.0),
        ];
        let report = report(references, vec![measurement("checkout", 64, 15_000.0)]);
        let row = report.row(&report.cases[0]);
        assert_eq!(
            (&row["ratio_a"], &row["ratio_b"]),
            (&json!(0.3), &json!(0.75))
        );
        // An error in either loop is one.
        assert_eq!(report.errors(), 8);
        assert!(report.to_string().contains("0.75"), "{report}");

        let other = measurement("checkout", 256, 10_000.0);
        assert_eq!(report.ratio(&other, "reference a"), None);
        assert_eq!(report.ratio(&other, "reference b"), Some(0.25));
    }

    #[test]
    fn latencies_are_those_of_the_open_loop_and_the_others_are_named_so() {
        let mut report = report(Vec::new(), vec![measurement("mixed", 64, 20_000.0)]);
        let row = report.row(&report.cases[0]);
        assert_eq!(
            (&row["p99_ms"], &row["closed_p99_ms"]),
            (&json!(2.5), &json!(9.25))
        );
        assert_eq!(row["open_rate"], json!(10_000.0));

        let case = &mut report.cases[0];
        case.open = None;
        case.closed.load.ending = "catalogue_used_up".into();
        let row = report.row(&report.cases[0]);
        assert_eq!(row["p99_ms"], json!(null));
        assert!(
            report
                .to_string()
                .contains("sold all its items after 10.0 s"),
            "{report}"
        );
    }

    #[test]
    fn what_a_request_costs_is_in_the_table_and_in_the_json() {
        let report = report(Vec::new(), vec![measurement("checkout", 64, 1_000.0)]);
        let row = report.row(&report.cases[0]);
        let expected = json!({
            "api": 40.0, "redis_masters": 20.0, "redis_replicas": 10.0, "postgres": 5.0,
            "load": 25.0, "operator": 0.0,
        });
        assert_eq!(
            (&row["cpu_us"], &row["open_cpu_us"]),
            (&expected, &expected)
        );
        assert_eq!(row["product_cpu_us"], json!(75.0));
        assert_eq!(row["load_cpu_share"], json!(0.25));
        assert_eq!(row["redis_commands"], json!(3.0));
        assert_eq!(row["redis_scripts"], json!(0.5));
        assert_eq!(row["postgres_transactions"], json!(0.01));
        assert_eq!(row["postgres_statements"], json!(0.05));
        let table = report.to_string();
        let line = table.lines().last().unwrap();
        let words: Vec<&str> = line.split_whitespace().collect();
        let expected = [
            "checkout", "64", "40.0", "20.0", "10.0", "5.0", "75.0", "25.0", "25%", "3.00", "0.50",
            "0.010", "0.050",
        ];
        assert_eq!(words, expected, "{table}");
    }
}
