//! The result of a bench as a table.

use std::fmt;

use super::report::Report;

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write_rates(f)?;
        writeln!(f)?;
        self.write_cpu(f)?;
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
        Ok(())
    }
}

impl Report {
    fn write_rates(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
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
        ] in [halves, titles]
        {
            writeln!(
                f,
                "{name:<14}{connections:>12}{rate:>12}{half_p50:>11}{half_p99:>11}{p50:>9}\
                 {p99:>9}{a:>8}{b:>8}{errors:>8}"
            )?;
        }
        for measurement in self.all() {
            let ratio = |name: &str| or_dash(self.ratio(measurement, name));
            let load = &measurement.closed.load;
            let open = measurement.open.as_ref().map(|(_, open)| &open.load);
            writeln!(
                f,
                "{:<14}{:>12}{:>12.0}{:>11}{:>11}{:>9.2}{:>9.2}{:>8}{:>8}{:>8}",
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
            )?;
        }
        Ok(())
    }

    fn write_cpu(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "Per request at full load ({}): CPU µs by group of processes, the load generator's \
             share of the CPU time, and calls",
            self.profile
        )?;
        writeln!(
            f,
            "{:<14}{:>12}{:>8}{:>9}{:>10}{:>10}{:>9}{:>8}{:>8}{:>12}{:>10}{:>11}",
            "case",
            "connections",
            "API",
            "masters",
            "replicas",
            "Postgres",
            "product",
            "load",
            "share",
            "Redis cmds",
            "scripts",
            "PG transact"
        )?;
        for measurement in self.all() {
            let usage = &measurement.closed.usage;
            let cpu_us = usage.cpu_us_per_request();
            let transactions = usage.postgres_transactions;
            writeln!(
                f,
                "{:<14}{:>12}{:>8.1}{:>9.1}{:>10.1}{:>10.1}{:>9.1}{:>8.1}{:>7.0}%{:>12.2}{:>10.2}{:>11}",
                measurement.name,
                measurement.connections,
                cpu_us.api,
                cpu_us.redis_masters,
                cpu_us.redis_replicas,
                cpu_us.postgres,
                cpu_us.product(),
                cpu_us.load,
                usage.cpu_us.load_share() * 100.0,
                usage.per_request(usage.redis_commands),
                usage.per_request(usage.redis_scripts),
                transactions.map_or("-".to_owned(), |count| {
                    format!("{:.3}", usage.per_request(count))
                }),
            )?;
        }
        Ok(())
    }
}

fn or_dash(value: Option<f64>) -> String {
    value.map_or("-".to_owned(), |value| format!("{value:.2}"))
}
