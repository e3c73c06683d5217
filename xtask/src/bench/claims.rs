//! How many carts the slot of one sale claims in a second: a limit of one sale that no number of API
//! processes and of Redis masters moves.

use std::{
    fmt,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use flashsale_servers::RedisCluster;
use serde::Deserialize;
use serde_json::{Value, json};

use super::accounting::{CpuUs, Servers, hundredths};
use crate::{project, session::Session};

/// Carts of a run, of three items each: they take some seconds.
const CARTS: u32 = 300_000;
const RUNS: usize = 3;

/// What came of it.
#[derive(Debug, Clone)]
pub struct Claims {
    /// The median of the runs.
    pub carts_per_second: f64,
    /// The slowest and the fastest run.
    pub range: (f64, f64),
    /// CPU time of the masters for a cart, in microseconds; all but one are idle.
    pub master_us: f64,
    /// The same of the replicas.
    pub replica_us: f64,
}

#[derive(Deserialize)]
struct Run {
    carts: u32,
    seconds: f64,
}

impl Claims {
    /// Measures it, each run on servers of its own.
    pub fn measure(session: &Session, program: &Path) -> Result<Self> {
        let mut rates = Vec::new();
        let mut cpu = Vec::new();
        for number in 1..=RUNS {
            session.say(format_args!("claims, {CARTS} carts ({number} of {RUNS})"));
            let redis = session.begin_work(|| Ok(RedisCluster::start(3, 3)?));
            let redis = session.finish_work(redis)?;
            let servers = Servers {
                api: Vec::new(),
                operators: Vec::new(),
                redis: &redis,
                postgres: None,
            };
            let (usage, run) = servers.measure(|| {
                let run = claim(program, &redis.url())?;
                Ok((u64::from(run.carts), run))
            })?;
            rates.push(f64::from(run.carts) / run.seconds);
            cpu.push(usage.cpu_us_per_request());
        }
        Ok(Self::of(rates, &cpu))
    }

    fn of(mut rates: Vec<f64>, cpu: &[CpuUs]) -> Self {
        rates.sort_by(f64::total_cmp);
        let mean = |us: fn(&CpuUs) -> f64| cpu.iter().map(us).sum::<f64>() / cpu.len() as f64;
        Self {
            carts_per_second: rates[rates.len() / 2],
            range: (rates[0], rates[rates.len() - 1]),
            master_us: mean(|cpu| cpu.redis_masters),
            replica_us: mean(|cpu| cpu.redis_replicas),
        }
    }

    /// For `latest.json`.
    pub fn json(&self) -> Value {
        json!({
            "carts_per_second": self.carts_per_second.round(),
            "slowest": self.range.0.round(),
            "fastest": self.range.1.round(),
            "masters_us": hundredths(self.master_us),
            "replicas_us": hundredths(self.replica_us),
        })
    }
}

/// One run of the program.
fn claim(program: &Path, url: &str) -> Result<Run> {
    let output = Command::new(program)
        .args([url, &CARTS.to_string()])
        .output()
        .with_context(|| format!("could not run {}", program.display()))?;
    ensure!(
        output.status.success(),
        "{} ended with {}: {}",
        program.display(),
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    let printed = String::from_utf8_lossy(&output.stdout);
    serde_json::from_str(&printed)
        .with_context(|| format!("expected a line of JSON, found {printed:?}"))
}

/// The example of the engine that claims.
pub fn build(session: &Session, profile: project::Profile) -> Result<PathBuf> {
    let example = ["-p", "flashsale-engine", "--example", "claims"];
    project::build(session, profile, &example)?;
    project::program(profile, "examples/claims")
}

impl fmt::Display for Claims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "claims in one sale's slot: {:.0} carts/s ({:.0} to {:.0} in {RUNS} runs), masters {:.1} us \
             and replicas {:.1} us of CPU time a cart",
            self.carts_per_second, self.range.0, self.range.1, self.master_us, self.replica_us
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_of_the_runs_is_reported_with_the_slowest_and_the_fastest() {
        let cpu = |redis_masters, redis_replicas| CpuUs {
            redis_masters,
            redis_replicas,
            ..CpuUs::default()
        };
        let cpu = [cpu(10.0, 4.0), cpu(12.0, 6.0), cpu(14.0, 5.0)];
        let claims = Claims::of(vec![50_000.0, 70_000.0, 40_000.0], &cpu);
        let text = claims.to_string();
        assert!(text.contains("50000 carts/s (40000 to 70000"), "{text}");
        assert_eq!(claims.json()["masters_us"], json!(12.0));
        assert_eq!(claims.json()["replicas_us"], json!(5.0));
    }
}
