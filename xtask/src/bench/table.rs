//! The result of a bench as a table.

use std::fmt;

use super::{open_loop, report::Report, scale};

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.all().next().is_some() {
            self.write_rates(f)?;
            writeln!(f)?;
            self.write_cpu(f)?;
        }
        for measurement in self.all() {
            let load = &measurement.closed.load;
            if load.has_used_up_its_items() {
                writeln!(
                    f,
                    "{} at {} connections had sold all its items after {:.1} s",
                    measurement.name, measurement.connections, load.duration_s
                )?;
            }
        }
        open_loop::write_table(f, &self.open_loops)?;
        for stampede in &self.stampedes {
            write!(f, "{stampede}")?;
        }
        if let Some(claims) = &self.claims {
            write!(f, "{claims}")?;
        }
        scale::write_tables(f, &self.scale)
    }
}

fn write_titles_of_rates(f: &mut fmt::Formatter<'_>) -> fmt::Result {
    let halves = [
        "",
        "",
        "",
        "half load",
        "half load",
        "full",
        "full",
        "",
        "",
        "",
        "",
    ];
    let titles = [
        "case",
        "connections",
        "requests/s",
        "p50 ms",
        "p99 ms",
        "p50 ms",
        "p99 ms",
        "to A",
        "to B",
        "errors",
        "API MiB",
    ];
    for [
        name,
        connections,
        rate,
        half_p50,
        half_p99,
        p50,
        p99,
        a,
        b,
        errors,
        memory,
    ] in [halves, titles]
    {
        writeln!(
            f,
            "{name:<14}{connections:>12}{rate:>12}{half_p50:>11}{half_p99:>11}{p50:>9}\
                 {p99:>9}{a:>8}{b:>8}{errors:>8}  {memory}"
        )?;
    }
    Ok(())
}

impl Report {
    fn write_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_titles_of_rates(f)?;
        for measurement in self.all() {
            let ratio = |name: &str| or_dash(self.ratio(measurement, name));
            let load = &measurement.closed.load;
            let open = measurement.open.as_ref().map(|(_, open)| &open.load);
            writeln!(
                f,
                "{:<14}{:>12}{:>12.0}{:>11}{:>11}{:>9.2}{:>9.2}{:>8}{:>8}{:>8}  {}",
                measurement.name,
                measurement.connections,
                load.requests_per_second,
                or_dash(open.map(|load| load.p50_ms)),
                or_dash(open.map(|load| load.p99_ms)),
                load.p50_ms,
                load.p99_ms,
                ratio("reference a"),
                ratio("reference b"),
                measurement.errors(),
                mebibytes(&measurement.api_peak_rss_bytes),
            )?;
        }
        Ok(())
    }

    fn write_cpu(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Per request at full load ({}): CPU µs by group of processes, the load generator's \
             share of all CPU time, and calls",
            self.profile
        )?;
        let titles = [
            "API",
            "masters",
            "replicas",
            "Postgres",
            "product",
            "load",
            "share",
            "Redis cmds",
            "scripts",
            "PG transact.",
            "PG statements",
        ];
        write_cells(f, "case", "connections", titles.map(str::to_owned))?;
        for measurement in self.all() {
            let usage = &measurement.closed.usage;
            let cpu_us = usage.cpu_us_per_request();
            let calls = |count| format!("{:.2}", usage.per_request(count));
            let postgres_calls = |count: Option<u64>| {
                count.map_or("-".to_owned(), |count| {
                    format!("{:.3}", usage.per_request(count))
                })
            };
            let cells = [
                format!("{:.1}", cpu_us.api),
                format!("{:.1}", cpu_us.redis_masters),
                format!("{:.1}", cpu_us.redis_replicas),
                format!("{:.1}", cpu_us.postgres),
                format!("{:.1}", cpu_us.product()),
                format!("{:.1}", cpu_us.load),
                format!("{:.0}%", usage.cpu_us.load_share() * 100.0),
                calls(usage.redis_commands),
                calls(usage.redis_scripts),
                postgres_calls(usage.postgres_transactions),
                postgres_calls(usage.postgres_statements),
            ];
            let connections = measurement.connections.to_string();
            write_cells(f, &measurement.name, &connections, cells)?;
        }
        Ok(())
    }
}

fn write_cells(
    f: &mut fmt::Formatter<'_>,
    name: &str,
    connections: &str,
    cells: [String; 11],
) -> fmt::Result {
    const WIDTHS: [usize; 11] = [8, 9, 10, 10, 9, 8, 7, 12, 9, 14, 15];
    write!(f, "{name:<14}{connections:>12}")?;
    for (cell, width) in cells.iter().zip(WIDTHS) {
        write!(f, "{cell:>width$}")?;
    }
    writeln!(f)
}

/// Of each process.
fn mebibytes(of_each: &[u64]) -> String {
    let words = of_each
        .iter()
        .map(|bytes| format!("{:.1}", *bytes as f64 / 1_048_576.0));
    words.collect::<Vec<_>>().join(" + ")
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}
