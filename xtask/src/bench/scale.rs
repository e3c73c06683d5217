//! The mixed flow at one rate while one thing grows, as values: variants, tables, JSON.

use std::fmt;

use serde_json::{Value, json};

use super::{
    accounting::{Usage, hundredths},
    case::WARM_UP_SECONDS,
    load::Loop,
};

/// Requests per second: so few that every variant bears them.
pub const RATE: u32 = 2_000;
/// As many as calls wait at once at this rate and 32 ms each.
pub const CONNECTIONS: u32 = 64;
/// Most items that users who have begun a cycle take after the end of a loop.
const ITEMS_BEHIND_A_LOOP: u32 = 3 * CONNECTIONS;

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Dimension {
    /// The catalogue of the sale.
    Items,
    /// Users who have a cart before the measurement.
    Users,
    /// FlashSales whose sale is open; one of them gets the load.
    Sales,
    /// Redis masters, with one replica each.
    Masters,
    /// API processes.
    ApiProcesses,
}

impl Dimension {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::Items,
        Self::Users,
        Self::Sales,
        Self::Masters,
        Self::ApiProcesses,
    ];

    /// In titles.
    pub fn name(self) -> &'static str {
        match self {
            Self::Items => "items",
            Self::Users => "users",
            Self::Sales => "sales",
            Self::Masters => "masters",
            Self::ApiProcesses => "API processes",
        }
    }

    fn counts(self) -> &'static [u32] {
        match self {
            Self::Items => &[10_000, 100_000, 1_000_000],
            Self::Users => &[0, 100_000, 1_000_000],
            Self::Sales => &[1, 10, 100],
            Self::Masters => &[3, 6],
            Self::ApiProcesses => &[1, 2, 4],
        }
    }

    /// The variants of its table, the base among them.
    pub fn variants(self) -> impl Iterator<Item = Variant> {
        let counts = self.counts().iter();
        counts.map(move |count| Variant::BASE.with(self, *count))
    }
}

/// How much there is of everything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Variant {
    /// Items of the sale that gets the load.
    pub items: u32,
    /// Users who have a cart before the measurement.
    pub users: u32,
    /// Sales that are open.
    pub sales: u32,
    /// Redis masters.
    pub masters: u32,
    /// API processes of the FlashSale that gets the load.
    pub api_processes: u32,
}

impl Variant {
    /// From which one thing at a time differs.
    pub const BASE: Self = Self {
        items: 100_000,
        users: 0,
        sales: 1,
        masters: 3,
        api_processes: 2,
    };

    /// Each of all tables once, the base first.
    pub fn all() -> Vec<Self> {
        let mut all = vec![Self::BASE];
        for variant in Dimension::ALL.into_iter().flat_map(Dimension::variants) {
            if !all.contains(&variant) {
                all.push(variant);
            }
        }
        all
    }

    fn with(mut self, dimension: Dimension, count: u32) -> Self {
        match dimension {
            Dimension::Items => self.items = count,
            Dimension::Users => self.users = count,
            Dimension::Sales => self.sales = count,
            Dimension::Masters => self.masters = count,
            Dimension::ApiProcesses => self.api_processes = count,
        }
        self
    }

    fn count_of(self, dimension: Dimension) -> u32 {
        match dimension {
            Dimension::Items => self.items,
            Dimension::Users => self.users,
            Dimension::Sales => self.sales,
            Dimension::Masters => self.masters,
            Dimension::ApiProcesses => self.api_processes,
        }
    }

    /// How long it is measured when so long was asked for: its items last for the warm-up and
    /// the measurement.
    pub fn seconds(self, asked: u32) -> u32 {
        let last = (self.items - 2 * ITEMS_BEHIND_A_LOOP) / (RATE / 4 * 3);
        asked.min(last - WARM_UP_SECONDS)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = Dimension::ALL.map(|dimension| {
            let (count, name) = (self.count_of(dimension), dimension.name());
            format!("{count} {name}")
        });
        f.write_str(&counts.join(", "))
    }
}

/// What one variant used.
#[derive(Debug, Clone)]
pub struct ScaleRun {
    /// How much there was of everything.
    pub variant: Variant,
    /// Users who had a cart, next to exactly.
    pub users_with_a_cart: u64,
    /// Length of the measurement under load, as asked of the load generator.
    pub seconds: u32,
    /// Without load, after the carts were filled; seconds take the place of requests.
    pub rest: Usage,
    /// The mixed flow.
    pub load: Loop,
    /// Resident memory of each API process, after the load.
    pub api_rss_bytes: Vec<u64>,
    /// The same of each Redis master.
    pub masters_rss_bytes: Vec<u64>,
    /// The same of each operator.
    pub operators_rss_bytes: Vec<u64>,
    /// Requests that failed before the measurement.
    pub earlier_errors: u64,
}

impl ScaleRun {
    /// Requests with an unexpected answer or none. Requests that never started are a result.
    pub fn errors(&self) -> u64 {
        let load = &self.load.load;
        self.earlier_errors + load.errors.saturating_sub(load.backlog)
    }

    /// For `latest.json`.
    pub fn json(&self) -> Value {
        let Loop { load, usage } = &self.load;
        let (variant, rest) = (&self.variant, &self.rest);
        let cpu_us = usage.cpu_us_per_request();
        json!({
            "items": variant.items,
            "users": variant.users,
            "sales": variant.sales,
            "masters": variant.masters,
            "api_processes": variant.api_processes,
            "users_with_a_cart": self.users_with_a_cart,
            "rate": RATE,
            "connections": CONNECTIONS,
            "seconds": self.seconds,
            "requests": load.requests,
            "cpu_us": cpu_us.json(),
            "product_cpu_us": hundredths(cpu_us.product()),
            "rest_cpu_us_per_second": rest.cpu_us_per_request().json(),
            "rest_redis_commands_per_second": tenths(rest.per_request(rest.redis_commands)),
            "rest_postgres_transactions_per_second": self.rest_transactions().map(tenths),
            "redis_scripts": hundredths(usage.per_request(usage.redis_scripts)),
            "api_rss_bytes": self.api_rss_bytes,
            "masters_rss_bytes": self.masters_rss_bytes,
            "operators_rss_bytes": self.operators_rss_bytes,
            "p50_ms": load.p50_ms,
            "p99_ms": load.p99_ms,
            "never_started": load.backlog,
            "errors": self.errors(),
        })
    }

    fn rest_transactions(&self) -> Option<f64> {
        let transactions = self.rest.postgres_transactions;
        transactions.map(|count| self.rest.per_request(count))
    }

    fn cells(&self) -> [String; COLUMNS] {
        let cpu_us = self.load.usage.cpu_us_per_request();
        let rest = self.rest.cpu_us_per_request();
        let tenth = |value: f64| format!("{value:.1}");
        let rest_ms = |value: f64| tenth(value / 1_000.0);
        let mebibytes = |bytes: u64| tenth(bytes as f64 / 1_048_576.0);
        [
            tenth(cpu_us.api),
            tenth(cpu_us.redis_masters),
            tenth(cpu_us.redis_replicas),
            tenth(cpu_us.postgres),
            tenth(cpu_us.product()),
            rest_ms(rest.api),
            rest_ms(rest.redis_masters),
            rest_ms(rest.redis_replicas),
            rest_ms(rest.postgres),
            rest_ms(rest.operator),
            format!("{:.0}", self.rest.per_request(self.rest.redis_commands)),
            format!("{:.0}", self.rest_transactions().unwrap_or_default()),
            mebibytes(self.api_rss_bytes.iter().copied().max().unwrap_or(0)),
            mebibytes(self.masters_rss_bytes.iter().sum()),
            mebibytes(self.operators_rss_bytes.iter().sum()),
            format!("{:.2}", self.load.load.p50_ms),
            format!("{:.2}", self.load.load.p99_ms),
        ]
    }
}

fn tenths(value: f64) -> f64 {
    (value * 10.0).round() / 10.0
}

/// Behind the count of what grows.
const COLUMNS: usize = 17;
/// Titles of the columns, those of the groups above them, and how wide they are.
const TITLES: [&str; COLUMNS] = [
    "API", "masters", "replicas", "Postgres", "product", "API", "masters", "replicas", "Postgres",
    "operator", "commands", "transact", "API", "masters", "operator", "p50", "p99",
];
const GROUPS: [(&str, usize); 5] = [
    ("CPU µs per request", 5),
    ("CPU ms per second at rest", 5),
    ("a second at rest", 2),
    ("resident MiB", 3),
    ("latency ms", 2),
];
const WIDTH: usize = 9;
const FIRST_WIDTH: usize = 14;

/// Writes a table for each dimension; nothing where nothing was measured.
pub fn write_tables(f: &mut fmt::Formatter<'_>, runs: &[ScaleRun]) -> fmt::Result {
    if runs.is_empty() {
        return Ok(());
    }
    writeln!(
        f,
        "Scale: mixed at {RATE} requests/s over {CONNECTIONS} connections. What is not in the first \
         column: {}.\nAt rest: commands in Redis masters and transactions of Postgres. Resident memory: the largest \
         API process, all masters, all operators.",
        Variant::BASE
    )?;
    for dimension in Dimension::ALL {
        write_titles(f, dimension)?;
        for variant in dimension.variants() {
            for run in runs.iter().filter(|run| run.variant == variant) {
                let count = variant.count_of(dimension).to_string();
                write_line(f, &count, &run.cells())?;
            }
        }
    }
    for run in runs {
        let (load, variant) = (&run.load.load, run.variant);
        let (never_started, errors) = (load.backlog, run.errors());
        if never_started + errors > 0 {
            writeln!(
                f,
                "{variant}: {never_started} requests never started, {errors} errors"
            )?;
        }
    }
    Ok(())
}

fn write_titles(f: &mut fmt::Formatter<'_>, dimension: Dimension) -> fmt::Result {
    write!(f, "\n{:<FIRST_WIDTH$}", "")?;
    for (group, columns) in GROUPS {
        write!(f, "  {group:>width$}", width = columns * WIDTH - 2)?;
    }
    writeln!(f)?;
    write_line(f, dimension.name(), &TITLES.map(str::to_owned))
}

fn write_line(f: &mut fmt::Formatter<'_>, first: &str, cells: &[String; COLUMNS]) -> fmt::Result {
    write!(f, "{first:<FIRST_WIDTH$}")?;
    for cell in cells {
        write!(f, "{cell:>WIDTH$}")?;
    }
    writeln!(f)
}

#[cfg(test)]
mod tests;
