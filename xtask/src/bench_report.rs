//! What a bench measured: a table to read and a JSON file to compare.

use std::{fmt, fs, path::Path, process::Command};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use serde_json::json;

/// One run of the load generator.
#[derive(Debug, Clone)]
pub struct Measurement {
    name: String,
    connections: u32,
    result: LoadResult,
}

/// The part of the load generator's JSON that is told on. Latencies in milliseconds.
#[derive(Debug, Clone, Copy, Deserialize, Serialize)]
struct LoadResult {
    requests_per_second: f64,
    p50_ms: f64,
    p99_ms: f64,
    errors: u64,
}

impl Measurement {
    /// Reads what the load generator wrote.
    pub fn read(name: &str, connections: u32, json: &Path) -> Result<Self> {
        let text = fs::read_to_string(json)
            .context("expected the load generator to write its result, it did not")?;
        let result = serde_json::from_str(&text).context("in the load generator's result")?;
        Ok(Self {
            name: name.to_owned(),
            connections,
            result,
        })
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
        self.all()
            .map(|measurement| measurement.result.errors)
            .sum()
    }

    /// Writes `latest.json`: `references` are requests per second at the first
    /// count of connections, ratios are to the reference at the same count.
    pub fn write(&self, file: &Path) -> Result<()> {
        let quoted = |name: &str| {
            let found = self
                .references
                .iter()
                .find(|reference| reference.name == name);
            found.map(|reference| reference.result.requests_per_second)
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

    fn row(&self, measurement: &Measurement) -> serde_json::Value {
        let LoadResult {
            requests_per_second,
            p50_ms,
            p99_ms,
            errors,
        } = measurement.result;
        json!({
            "name": measurement.name,
            "connections": measurement.connections,
            "requests_per_second": requests_per_second,
            "p50_ms": p50_ms,
            "p99_ms": p99_ms,
            "ratio_a": self.ratio(measurement, "reference a"),
            "ratio_b": self.ratio(measurement, "reference b"),
            "errors": errors,
        })
    }

    /// To the reference at the same count of connections.
    fn ratio(&self, measurement: &Measurement, reference: &str) -> Option<f64> {
        let base = self.references.iter().find(|other| {
            other.name == reference && other.connections == measurement.connections
        })?;
        let ratio = measurement.result.requests_per_second / base.result.requests_per_second;
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
            "{:<14}{:>12}{:>12}{:>9}{:>9}{:>8}{:>8}{:>8}",
            "case", "connections", "requests/s", "p50 ms", "p99 ms", "to A", "to B", "errors"
        )?;
        for measurement in self.all() {
            let ratio = |name: &str| {
                let ratio = self.ratio(measurement, name);
                ratio.map_or("-".into(), |ratio| format!("{ratio:.2}"))
            };
            writeln!(
                f,
                "{:<14}{:>12}{:>12.0}{:>9.2}{:>9.2}{:>8}{:>8}{:>8}",
                measurement.name,
                measurement.connections,
                measurement.result.requests_per_second,
                measurement.result.p50_ms,
                measurement.result.p99_ms,
                ratio("reference a"),
                ratio("reference b"),
                measurement.result.errors,
            )?;
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
    use super::*;

    fn measurement(name: &str, connections: u32, requests_per_second: f64) -> Measurement {
        Measurement {
            name: name.into(),
            connections,
            result: LoadResult {
                requests_per_second,
                p50_ms: 1.0,
                p99_ms: 2.0,
                errors: 1,
            },
        }
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
        assert_eq!(report.errors(), 4);
        assert!(report.to_string().contains("0.75"), "{report}");

        let other = measurement("checkout", 256, 10_000.0);
        assert_eq!(report.ratio(&other, "reference a"), None);
        assert_eq!(report.ratio(&other, "reference b"), Some(0.25));
    }
}
