//! What a bench measured: a table to read and a JSON file to compare.

use std::{fmt, fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde::Deserialize;
use serde_json::json;

use crate::bench_plot::{self, Bar};

/// The part of the load generator's JSON that is told on. Latencies in milliseconds.
#[derive(Debug, Clone, Deserialize)]
pub struct LoadResult {
    /// Requests that were done within its length, per second.
    pub requests_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    errors: u64,
    duration_s: f64,
    ending: String,
}

impl LoadResult {
    /// Reads what the load generator wrote.
    pub fn read(json: &Path) -> Result<Self> {
        let text = fs::read_to_string(json)
            .context("expected the load generator to write its result, it did not")?;
        serde_json::from_str(&text).context("in the load generator's result")
    }

    /// Whether it ended before its time for want of something to sell.
    pub fn has_used_up_its_items(&self) -> bool {
        matches!(&*self.ending, "catalogue_used_up" | "sold_out")
    }
}

/// One case, or one reference, at one count of connections.
#[derive(Debug, Clone)]
pub struct Measurement {
    name: String,
    connections: u32,
    closed: LoadResult,
    /// The rate that was asked for, and what came of it.
    open: Option<(f64, LoadResult)>,
}

impl Measurement {
    /// What both loops showed.
    pub fn new(
        name: &str,
        connections: u32,
        closed: LoadResult,
        open: Option<(f64, LoadResult)>,
    ) -> Self {
        Self {
            name: name.to_owned(),
            connections,
            closed,
            open,
        }
    }

    fn errors(&self) -> u64 {
        self.closed.errors + self.open.as_ref().map_or(0, |(_, result)| result.errors)
    }
}

/// All of one bench.
#[derive(Debug, Default)]
pub struct Report {
    /// The reference programs, `reference a` and `reference b`, at each count of
    /// connections.
    pub references: Vec<Measurement>,
    /// The API.
    pub cases: Vec<Measurement>,
}

impl Report {
    /// Requests that were not answered as they should be, in all.
    pub fn errors(&self) -> u64 {
        self.all().map(Measurement::errors).sum()
    }

    /// Writes `latest.json`: `references` are requests per second at the first
    /// count of connections, ratios are to the reference at the same count. `p50_ms` and
    /// `p99_ms` are from the intended start of each request in the open loop, null where
    /// there was none; those of the closed loop begin with `closed_`.
    pub fn write(&self, file: &Path) -> Result<()> {
        let quoted = |name: &str| {
            let found = self
                .references
                .iter()
                .find(|reference| reference.name == name);
            found.map(|reference| reference.closed.requests_per_second)
        };
        let rows = |measurements: &[Measurement]| -> Vec<_> {
            measurements
                .iter()
                .map(|measurement| self.row(measurement))
                .collect()
        };
        let report = json!({
            "machine": machine(),
            "references": {"A": quoted("reference a"), "B": quoted("reference b")},
            "reference_runs": rows(&self.references),
            "cases": rows(&self.cases),
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
            let latency = open.map(|(_, half)| format!(", p99 {:.1} ms at half load", half.p99_ms));
            Bar {
                name: format!("{}, {}", measurement.name, measurement.connections),
                requests_per_second: measurement.closed.requests_per_second,
                note: ratio.into_iter().chain(latency).collect(),
                is_reference: measurement.name.starts_with("reference"),
            }
        };
        let bars: Vec<Bar> = self.all().map(bar).collect();
        fs::write(file, bench_plot::svg(&bars))
            .with_context(|| format!("could not write {}", file.display()))
    }

    fn row(&self, measurement: &Measurement) -> serde_json::Value {
        let closed = &measurement.closed;
        let open = measurement.open.as_ref();
        json!({
            "name": measurement.name,
            "connections": measurement.connections,
            "requests_per_second": closed.requests_per_second,
            "p50_ms": open.map(|(_, result)| result.p50_ms),
            "p99_ms": open.map(|(_, result)| result.p99_ms),
            "open_rate": open.map(|(rate, _)| rate),
            "open_requests_per_second": open.map(|(_, result)| result.requests_per_second),
            "closed_p50_ms": closed.p50_ms,
            "closed_p99_ms": closed.p99_ms,
            "closed_duration_s": closed.duration_s,
            "closed_ending": closed.ending,
            "ratio_a": self.ratio(measurement, "reference a"),
            "ratio_b": self.ratio(measurement, "reference b"),
            "errors": measurement.errors(),
        })
    }

    /// To the reference at the same count of connections.
    fn ratio(&self, measurement: &Measurement, reference: &str) -> Option<f64> {
        let base = self.references.iter().find(|other| {
            other.name == reference && other.connections == measurement.connections
        })?;
        let ratio = measurement.closed.requests_per_second / base.closed.requests_per_second;
        ratio
            .is_finite()
            .then_some((ratio * 1000.0).round() / 1000.0)
    }

    fn all(&self) -> impl Iterator<Item = &Measurement> {
        self.references.iter().chain(&self.cases)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{:<14}{:>12}{:>12}{:>11}{:>11}{:>9}{:>9}{:>8}{:>8}{:>8}",
            "", "", "", "half load", "half load", "full", "full", "", "", ""
        )?;
        writeln!(
            f,
            "{:<14}{:>12}{:>12}{:>11}{:>11}{:>9}{:>9}{:>8}{:>8}{:>8}",
            "case",
            "connections",
            "requests/s",
            "p50 ms",
            "p99 ms",
            "p50 ms",
            "p99 ms",
            "to A",
            "to B",
            "errors"
        )?;
        for measurement in self.all() {
            let or_none = |value: Option<f64>| match value {
                Some(value) => format!("{value:.2}"),
                None => "-".to_owned(),
            };
            let ratio = |name: &str| or_none(self.ratio(measurement, name));
            let open = measurement.open.as_ref().map(|(_, result)| result);
            writeln!(
                f,
                "{:<14}{:>12}{:>12.0}{:>11}{:>11}{:>9.2}{:>9.2}{:>8}{:>8}{:>8}",
                measurement.name,
                measurement.connections,
                measurement.closed.requests_per_second,
                or_none(open.map(|result| result.p50_ms)),
                or_none(open.map(|result| result.p99_ms)),
                measurement.closed.p50_ms,
                measurement.closed.p99_ms,
                ratio("reference a"),
                ratio("reference b"),
                measurement.errors(),
            )?;
        }
        for measurement in self.all() {
            if measurement.closed.has_used_up_its_items() {
                writeln!(
                    f,
                    "{} at {} connections had sold all its items after {:.1} s",
                    measurement.name, measurement.connections, measurement.closed.duration_s
                )?;
            }
        }
        Ok(())
    }
}

fn machine() -> serde_json::Value {
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
    use super::*;

    fn result(requests_per_second: f64, p99_ms: f64) -> LoadResult {
        LoadResult {
            requests_per_second,
            p50_ms: 1.0,
            p99_ms,
            errors: 1,
            duration_s: 10.0,
            ending: "time_up".into(),
        }
    }

    fn measurement(name: &str, connections: u32, requests_per_second: f64) -> Measurement {
        let rate = requests_per_second / 2.0;
        let open = Some((rate, result(rate, 2.5)));
        Measurement::new(name, connections, result(requests_per_second, 9.25), open)
    }

    #[test]
    fn ratios_are_to_the_reference_at_the_same_connections() {
        let report = Report {
            references: vec![
                measurement("reference a", 64, 50_000.0),
                measurement("reference b", 64, 20_000.0),
                measurement("reference b", 256, 40_000.0),
            ],
            cases: vec![measurement("checkout", 64, 15_000.0)],
        };
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
        let mut report = Report {
            cases: vec![measurement("mixed", 64, 20_000.0)],
            ..Report::default()
        };
        let row = report.row(&report.cases[0]);
        assert_eq!(
            (&row["p99_ms"], &row["closed_p99_ms"]),
            (&json!(2.5), &json!(9.25))
        );
        assert_eq!(row["open_rate"], json!(10_000.0));

        let case = &mut report.cases[0];
        case.open = None;
        case.closed.ending = "catalogue_used_up".into();
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
    fn what_the_generator_writes_is_what_is_read() {
        let text = r#"{"requests_per_second": 5.5, "p50_ms": 1, "p99_ms": 2.0, "errors": 0,
                       "duration_s": 10.0, "ending": "time_up", "seed": 1}"#;
        let read: LoadResult = serde_json::from_str(text).unwrap();
        assert!(!read.has_used_up_its_items());
        assert!((read.requests_per_second - 5.5).abs() < f64::EPSILON);
    }
}
