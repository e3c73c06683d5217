//! Open loops at a rate that was given or found, as values: rows of a table, JSON.

use std::fmt;

use serde_json::{Value, json};

use super::load::LoadResult;

/// What one of them was answered.
#[derive(Debug, Clone)]
pub struct OpenLoop {
    /// Of the case.
    pub name: String,
    /// Over all targets.
    pub connections: u32,
    /// Requests per second that were asked for.
    pub rate: f64,
    /// Requests per second of the closed loop that the rate was derived from.
    pub closed_rate: Option<f64>,
    /// Whether the first second is reported by itself.
    pub is_opening: bool,
    /// Requests that failed before the measurement.
    pub earlier_errors: u64,
    /// What the load generator saw.
    pub load: LoadResult,
}

impl OpenLoop {
    /// Requests with an unexpected answer or none. Requests that never started are not among
    /// them: at a rate that was not derived from the machine they are a result.
    pub fn errors(&self) -> u64 {
        self.earlier_errors + self.load.errors.saturating_sub(self.load.backlog)
    }

    /// For `latest.json`.
    pub fn json(&self) -> Value {
        let load = &self.load;
        json!({
            "name": self.name,
            "connections": self.connections,
            "rate": self.rate,
            "closed_requests_per_second": self.closed_rate,
            "duration_s": load.duration_s,
            "requests": load.requests,
            "requests_per_second": load.requests_per_second,
            "p50_ms": load.p50_ms,
            "p99_ms": load.p99_ms,
            "max_ms": load.max_ms,
            "never_started": load.backlog,
            "errors": self.errors(),
            "endpoints": load.endpoints,
            "first_second": self.is_opening.then_some(&load.first_second),
        })
    }

    fn rows(&self) -> Vec<Row> {
        let load = &self.load;
        let all = Row {
            of: "all".to_owned(),
            requests: load.requests,
            latencies_ms: [load.p50_ms, load.p99_ms, load.max_ms],
            never_started: Some(load.backlog),
            errors: Some(self.errors()),
        };
        let first = &load.first_second;
        let first = self.is_opening.then(|| Row {
            of: "first second".to_owned(),
            requests: first.requests,
            latencies_ms: [first.p50_ms, first.p99_ms, first.max_ms],
            never_started: Some(first.backlog),
            errors: Some(first.errors.saturating_sub(first.backlog)),
        });
        let endpoints = load.endpoints.iter().map(|endpoint| Row {
            of: endpoint.name.clone(),
            requests: endpoint.count,
            latencies_ms: [endpoint.p50_ms, endpoint.p99_ms, endpoint.max_ms],
            never_started: None,
            errors: None,
        });
        [all].into_iter().chain(first).chain(endpoints).collect()
    }
}

/// A line of the table.
struct Row {
    of: String,
    requests: u64,
    latencies_ms: [f64; 3],
    never_started: Option<u64>,
    errors: Option<u64>,
}

/// Writes them below each other; nothing where there are none.
pub fn write_table(f: &mut fmt::Formatter<'_>, loops: &[OpenLoop]) -> fmt::Result {
    if loops.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "Open loops, latency from the intended start of each request:\n\
         {:<16}{:>12}{:>9}{:>9}  {:<22}{:>10}{:>10}{:>10}{:>10}{:>15}{:>8}",
        "case",
        "connections",
        "asked/s",
        "done/s",
        "of",
        "requests",
        "p50 ms",
        "p99 ms",
        "max ms",
        "never started",
        "errors"
    )?;
    let or_blank = |count: Option<u64>| count.map_or(String::new(), |count| count.to_string());
    for open in loops {
        for row in open.rows() {
            let [p50, p99, max] = row.latencies_ms;
            let line = format!(
                "{:<16}{:>12}{:>9.0}{:>9.0}  {:<22}{:>10}{p50:>10.2}{p99:>10.2}{max:>10.2}{:>15}{:>8}",
                open.name,
                open.connections,
                open.rate,
                open.load.requests_per_second,
                row.of,
                row.requests,
                or_blank(row.never_started),
                or_blank(row.errors),
            );
            writeln!(f, "{}", line.trim_end())?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::super::load::{EndpointResult, FirstSecond};
    use super::*;

    fn open_loop() -> OpenLoop {
        let endpoint = |name: &str, p99_ms| EndpointResult {
            name: name.into(),
            count: 450,
            p50_ms: 1.0,
            p99_ms,
            max_ms: 20.0,
        };
        OpenLoop {
            name: "mixed".into(),
            connections: 256,
            rate: 100.0,
            closed_rate: None,
            is_opening: true,
            earlier_errors: 1,
            load: LoadResult {
                requests: 900,
                requests_per_second: 90.0,
                p50_ms: 2.0,
                p99_ms: 9.0,
                max_ms: 5_000.0,
                errors: 103,
                backlog: 100,
                endpoints: vec![
                    endpoint("POST /checkout", 3.5),
                    endpoint("POST /purchase", 7.5),
                ],
                first_second: FirstSecond {
                    requests: 70,
                    errors: 32,
                    backlog: 30,
                    p50_ms: 4.0,
                    p99_ms: 800.0,
                    max_ms: 900.0,
                },
                ..LoadResult::default()
            },
        }
    }

    struct Table(Vec<OpenLoop>);

    impl fmt::Display for Table {
        fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            write_table(f, &self.0)
        }
    }

    #[test]
    fn the_first_second_and_each_endpoint_have_a_line_of_their_own() {
        let table = Table(vec![open_loop()]).to_string();
        let lines: Vec<Vec<&str>> = table
            .lines()
            .skip(2)
            .map(|line| line.split_whitespace().skip(4).collect())
            .collect();
        let expected = [
            "all 900 2.00 9.00 5000.00 100 4",
            "first second 70 4.00 800.00 900.00 30 2",
            "POST /checkout 450 1.00 3.50 20.00",
            "POST /purchase 450 1.00 7.50 20.00",
        ];
        let expected = expected.map(|line| line.split(' ').collect::<Vec<_>>());
        assert_eq!(lines, expected, "{table}");
        assert_eq!(Table(Vec::new()).to_string(), "");
    }

    #[test]
    fn requests_that_never_started_are_reported_and_are_no_errors() {
        let mut open = open_loop();
        // One failed before, three in the measurement.
        assert_eq!(open.errors(), 4);
        let json = open.json();
        assert_eq!(
            (&json["errors"], &json["never_started"]),
            (&json!(4), &json!(100))
        );
        assert_eq!(json["first_second"]["never_started"], json!(30));
        open.is_opening = false;
        assert_eq!(open.json()["first_second"], json!(null));
    }
}
