//! Runs of the load generator and what it reports of them.

use std::{fs, path::Path};

use anyhow::{Context, Result};
use flashsale_servers::Launch;
use serde::{Deserialize, Serialize};

use super::accounting::Usage;
use crate::{
    project::{self, Profile},
    session::Session,
    stack::product,
};

/// A run of the load generator.
#[derive(Debug, Clone, Copy)]
pub struct LoadRun<'a> {
    /// The load generator's profile.
    pub profile: &'a str,
    /// Base URLs of the API processes.
    pub targets: &'a [String],
    /// Over all targets.
    pub connections: u32,
    /// Different users.
    pub users: u32,
    /// Its length.
    pub seconds: u32,
    /// Requests per second of an open loop; `None`: closed loop.
    pub rate: Option<f64>,
    /// Further flags.
    pub flags: &'a [String],
}

impl LoadRun<'_> {
    /// Runs it to its end.
    pub fn run(&self, session: &Session) -> Result<LoadResult> {
        let json = session.guard().folder().join("load.json");
        let _ = fs::remove_file(&json);
        let load = launch(self.targets)?
            .args(["--profile", self.profile, "--quiet", "--seed", "1"])
            .args(["--duration", &self.seconds.to_string()])
            .args(["--users", &self.users.to_string()])
            .args(["--connections", &self.connections.to_string()])
            .args(["--rate", &self.rate.unwrap_or(0.0).to_string()])
            .args(self.flags)
            .arg("--json")
            .arg(&json);
        // Errors make it fail too; they are counted and reported with everything else.
        let status = session.run_to_end(load)?;
        LoadResult::read(&json).with_context(|| format!("flashsale-load ended with {status}"))
    }
}

/// The part of the load generator's JSON that the bench uses. Latencies in milliseconds.
#[derive(Debug, Clone, Default, Deserialize)]
pub struct LoadResult {
    /// Requests that were made, also those that were answered after the end.
    pub requests: u64,
    /// Requests that were done within its length, per second.
    pub requests_per_second: f64,
    /// Median latency.
    pub p50_ms: f64,
    /// 99% of the requests were at least as fast.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
    /// Requests with an unexpected answer or none, and `backlog`.
    pub errors: u64,
    /// Open loop: requests that were due and never started.
    pub backlog: u64,
    /// How long it took, without the wait for the last answers.
    pub duration_s: f64,
    /// Why it ended.
    pub ending: String,
    /// Items that were bought.
    pub sold: u64,
    /// From the start of the load to the answer that sold the last of them, in seconds.
    pub last_sold_s: Option<f64>,
    /// By endpoint; a request that never started belongs to none.
    pub endpoints: Vec<EndpointResult>,
    /// Requests that were due in the first second.
    pub first_second: FirstSecond,
}

/// One endpoint of [`LoadResult`].
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
pub struct EndpointResult {
    /// Method and path.
    pub name: String,
    /// Requests.
    pub count: u64,
    /// Median latency.
    pub p50_ms: f64,
    /// 99% of the requests were at least as fast.
    pub p99_ms: f64,
    /// The slowest.
    pub max_ms: f64,
}

/// The first second of [`LoadResult`], with the same fields.
#[derive(Debug, Clone, Default, Deserialize, Serialize)]
#[allow(missing_docs, reason = "they are those of LoadResult")]
pub struct FirstSecond {
    pub requests: u64,
    pub errors: u64,
    #[serde(rename(serialize = "never_started"))]
    pub backlog: u64,
    pub p50_ms: f64,
    pub p99_ms: f64,
    pub max_ms: f64,
}

impl LoadResult {
    /// Reads what the load generator wrote.
    pub fn read(json: &Path) -> Result<Self> {
        let text = fs::read_to_string(json)
            .context("expected the load generator to write its result, it did not")?;
        serde_json::from_str(&text).context("in the load generator's result")
    }

    /// Whether it ended before its time because nothing was left to sell.
    pub fn has_used_up_its_items(&self) -> bool {
        matches!(
            &*self.ending,
            "catalogue_used_up" | "sold_out" | "carts_used_up"
        )
    }
}

/// Load of one kind, and what it used.
#[derive(Debug, Clone)]
pub struct Loop {
    /// What the load generator saw.
    pub load: LoadResult,
    /// What the servers used meanwhile.
    pub usage: Usage,
}

/// Fills carts of three items each, and writes their codes to `file`.
pub fn fill_carts(session: &Session, targets: &[String], carts: u32, file: &Path) -> Result<()> {
    let program = project::program(Profile::Release, "flashsale-load")?;
    let fill = product("flashsale-load", program)
        .args(["fill", "--target", &targets.join(",")])
        .args(["--carts", &carts.to_string()])
        .arg("--file")
        .arg(file);
    session.run(fill).context("filling carts")
}

/// The load generator of this tree, against these API processes.
pub fn launch(targets: &[String]) -> Result<Launch> {
    let program = project::program(Profile::Release, "flashsale-load")?;
    Ok(product("flashsale-load", program)
        .args(["--target", &targets.join(",")])
        // A check would keep a history, and time it.
        .args(["--postgres", ""]))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_the_generator_writes_is_what_is_read() {
        let text = r#"{"requests": 60, "requests_per_second": 5.5, "p50_ms": 1, "p99_ms": 2.0,
                       "max_ms": 3.0, "errors": 3, "backlog": 2, "duration_s": 10.0,
                       "ending": "time_up", "sold": 4, "last_sold_s": null, "seed": 1,
                       "endpoints": [{"name": "POST /checkout", "count": 60, "p50_ms": 1.0,
                                      "p95_ms": 1.5, "p99_ms": 2.0, "max_ms": 3.0}],
                       "first_second": {"requests": 6, "errors": 1, "backlog": 1, "p50_ms": 1.0,
                                        "p99_ms": 2.0, "max_ms": 2.5}}"#;
        let read: LoadResult = serde_json::from_str(text).unwrap();
        assert!(!read.has_used_up_its_items());
        assert!((read.requests_per_second - 5.5).abs() < f64::EPSILON);
        assert_eq!((read.requests, read.errors, read.backlog), (60, 3, 2));
        assert_eq!(read.endpoints[0].name, "POST /checkout");
        // The JSON of the bench has a plain word for it.
        let first = serde_json::to_value(&read.first_second).unwrap();
        assert_eq!(first["never_started"], 1);
    }
}
