//! What a measurement cost the servers: CPU time by group of processes, Redis commands, and
//! Postgres transactions and statements.

use anyhow::{Context, Result, ensure};
use flashsale_servers::{Postgres, RedisCluster};
use serde_json::{Value, json};

use super::processes;

/// CPU time by group of processes, in microseconds.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct CpuUs {
    /// The API processes, or those of a reference program.
    pub api: f64,
    /// The Redis nodes that are masters.
    pub redis_masters: f64,
    /// The other Redis nodes.
    pub redis_replicas: f64,
    /// Postgres with all its processes.
    pub postgres: f64,
    /// The load generator.
    pub load: f64,
    /// The operator, which serves no request.
    pub operator: f64,
}

impl CpuUs {
    /// What requests cost the product: API, Redis and Postgres.
    pub fn product(&self) -> f64 {
        self.api + self.redis_masters + self.redis_replicas + self.postgres
    }

    /// The load generator's share of the time that all groups used, 0 to 1.
    pub fn load_share(&self) -> f64 {
        let all = self.product() + self.operator + self.load;
        if all > 0.0 { self.load / all } else { 0.0 }
    }

    /// With digits that mean something.
    pub fn json(&self) -> Value {
        json!({
            "api": hundredths(self.api),
            "redis_masters": hundredths(self.redis_masters),
            "redis_replicas": hundredths(self.redis_replicas),
            "postgres": hundredths(self.postgres),
            "load": hundredths(self.load),
            "operator": hundredths(self.operator),
        })
    }

    fn with_each(self, other: Self, combine: impl Fn(f64, f64) -> f64) -> Self {
        Self {
            api: combine(self.api, other.api),
            redis_masters: combine(self.redis_masters, other.redis_masters),
            redis_replicas: combine(self.redis_replicas, other.redis_replicas),
            postgres: combine(self.postgres, other.postgres),
            load: combine(self.load, other.load),
            operator: combine(self.operator, other.operator),
        }
    }
}

/// Two digits behind the point.
pub fn hundredths(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

/// Three digits behind the point.
pub fn thousandths(value: f64) -> f64 {
    (value * 1000.0).round() / 1000.0
}

/// What one or more measurements used.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Usage {
    /// Requests that were made.
    pub requests: u64,
    /// CPU time.
    pub cpu_us: CpuUs,
    /// Commands that the Redis masters carried out, those inside scripts included.
    pub redis_commands: u64,
    /// Scripts and functions that the Redis masters ran.
    pub redis_scripts: u64,
    /// Postgres transactions, committed or not; `None` where there is no Postgres.
    pub postgres_transactions: Option<u64>,
    /// Postgres statements; `None` where Postgres does not count them.
    pub postgres_statements: Option<u64>,
}

impl Usage {
    /// CPU time per request.
    pub fn cpu_us_per_request(&self) -> CpuUs {
        let requests = self.requests.max(1) as f64;
        self.cpu_us
            .with_each(CpuUs::default(), |mine, _| mine / requests)
    }

    /// A count per request.
    pub fn per_request(&self, count: u64) -> f64 {
        count as f64 / self.requests.max(1) as f64
    }

    /// Both together.
    pub fn plus(&self, other: &Self) -> Self {
        let sum = |mine: Option<u64>, theirs: Option<u64>| match (mine, theirs) {
            (Some(mine), Some(theirs)) => Some(mine + theirs),
            (mine, theirs) => mine.or(theirs),
        };
        Self {
            requests: self.requests + other.requests,
            cpu_us: self
                .cpu_us
                .with_each(other.cpu_us, |mine, theirs| mine + theirs),
            redis_commands: self.redis_commands + other.redis_commands,
            redis_scripts: self.redis_scripts + other.redis_scripts,
            postgres_transactions: sum(self.postgres_transactions, other.postgres_transactions),
            postgres_statements: sum(self.postgres_statements, other.postgres_statements),
        }
    }
}

/// The processes whose work is measured.
pub struct Servers<'a> {
    /// Process ids of the API or of a reference program.
    pub api: Vec<u32>,
    /// Process ids of the operators.
    pub operators: Vec<u32>,
    /// The cluster.
    pub redis: &'a RedisCluster,
    /// The database server.
    pub postgres: Option<&'a Postgres>,
}

impl Servers<'_> {
    /// Measures what `work` uses; `work` returns its number of requests with its result. Its
    /// child processes, which it waits for, are the load generator.
    pub fn measure<T>(&self, work: impl FnOnce() -> Result<(u64, T)>) -> Result<(Usage, T)> {
        // Counters are read outside of the times, because reading costs time, too.
        let counters_before = self.counters()?;
        let cpu_before = self.cpu_us(&counters_before.masters)?;
        let load_before = processes::ended_children_microseconds()?;
        let (requests, result) = work()?;
        let load_after = processes::ended_children_microseconds()?;
        let cpu_after = self.cpu_us(&counters_before.masters)?;
        let counters = self.counters()?;
        ensure!(
            counters.masters == counters_before.masters,
            "expected Redis nodes {:?} to stay the masters, found {:?}: a failover spoils the \
             measurement; measure again on a machine with less load",
            counters_before.masters,
            counters.masters
        );
        let difference = |after: Option<u64>, before: Option<u64>| {
            after
                .zip(before)
                .map(|(after, before)| after.saturating_sub(before))
        };
        let mut cpu_us = cpu_after.with_each(cpu_before, |after, before| after - before);
        cpu_us.load = (load_after - load_before) as f64;
        let usage = Usage {
            requests,
            cpu_us,
            redis_commands: counters.commands.saturating_sub(counters_before.commands),
            redis_scripts: counters.scripts.saturating_sub(counters_before.scripts),
            postgres_transactions: difference(counters.transactions, counters_before.transactions),
            postgres_statements: difference(counters.statements, counters_before.statements),
        };
        Ok((usage, result))
    }

    /// CPU time so far, without the load generator's.
    fn cpu_us(&self, masters: &[usize]) -> Result<CpuUs> {
        let redis = self.redis.pids();
        let postgres = self.postgres.map(Postgres::pid);
        let mut roots = self.api.clone();
        roots.extend(&redis);
        roots.extend(self.operators.iter().copied().chain(postgres));
        let times = processes::cpu_microseconds(&roots)?;
        let mut times = times.into_iter().map(|time| time as f64);
        let api = times.by_ref().take(self.api.len()).sum();
        let (mut redis_masters, mut redis_replicas) = (0.0, 0.0);
        for (index, time) in times.by_ref().take(redis.len()).enumerate() {
            match masters.contains(&index) {
                true => redis_masters += time,
                false => redis_replicas += time,
            }
        }
        let operator = times.by_ref().take(self.operators.len()).sum();
        Ok(CpuUs {
            api,
            redis_masters,
            redis_replicas,
            operator,
            // What is left is Postgres, where there is one.
            postgres: times.sum(),
            load: 0.0,
        })
    }

    fn counters(&self) -> Result<Counters> {
        let masters = self.redis.masters();
        let (mut commands, mut scripts) = (0, 0);
        for &index in &masters {
            let processed = self.redis.ask_node(index, &["INFO", "stats"])?;
            commands += total_commands(&processed).with_context(|| {
                format!("expected total_commands_processed in INFO stats of Redis node {index}")
            })?;
            scripts += script_calls(&self.redis.ask_node(index, &["INFO", "commandstats"])?);
        }
        let transactions = self.postgres.map(transactions).transpose()?;
        let statements = self.postgres.map(statements).transpose()?.flatten();
        Ok(Counters {
            masters,
            commands,
            scripts,
            transactions,
            statements,
        })
    }
}

/// Counters of the servers since their start.
struct Counters {
    /// Numbers of the nodes that are masters; the counts are theirs.
    masters: Vec<usize>,
    commands: u64,
    scripts: u64,
    transactions: Option<u64>,
    statements: Option<u64>,
}

fn transactions(postgres: &Postgres) -> Result<u64> {
    let statement = "SELECT xact_commit + xact_rollback FROM pg_stat_database \
                     WHERE datname = current_database()";
    let answer = postgres.query(statement)?;
    answer
        .parse()
        .with_context(|| format!("expected a number of transactions, found {answer:?}"))
}

fn statements(postgres: &Postgres) -> Result<Option<u64>> {
    let answer = postgres.statement_count()?;
    answer
        .map(|count| {
            let expected = || format!("expected a number of statements, found {count:?}");
            count.parse().with_context(expected)
        })
        .transpose()
}

fn total_commands(info: &str) -> Option<u64> {
    let field = |line: &str| {
        line.trim()
            .strip_prefix("total_commands_processed:")?
            .parse()
            .ok()
    };
    info.lines().find_map(field)
}

/// Calls of EVAL, EVALSHA, FCALL and their read-only forms.
fn script_calls(commandstats: &str) -> u64 {
    let calls = |line: &str| -> Option<u64> {
        let (command, rest) = line
            .trim()
            .strip_prefix("cmdstat_")?
            .split_once(":calls=")?;
        let runs_a_script = ["eval", "evalsha", "fcall"]
            .iter()
            .any(|script| command.trim_end_matches("_ro") == *script);
        runs_a_script.then(|| rest.split(',').next()?.parse().ok())?
    };
    commandstats.lines().filter_map(calls).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn cpu_us(api: f64, load: f64) -> CpuUs {
        CpuUs {
            api,
            redis_masters: 20.0,
            redis_replicas: 10.0,
            postgres: 5.0,
            load,
            operator: 100.0,
        }
    }

    #[test]
    fn the_product_is_without_the_load_generator_and_the_operator() {
        let cpu_us = cpu_us(65.0, 300.0);
        assert!((cpu_us.product() - 100.0).abs() < 1e-9);
        assert!((cpu_us.load_share() - 0.6).abs() < 1e-9);
        assert!(CpuUs::default().load_share().abs() < 1e-9);
    }

    #[test]
    fn usage_is_added_and_divided_by_the_requests_of_all() {
        let usage = |requests, api, postgres_transactions| Usage {
            requests,
            cpu_us: cpu_us(api, 4.0),
            redis_commands: 30,
            redis_scripts: 10,
            postgres_transactions,
            postgres_statements: None,
        };
        let both = usage(10, 100.0, Some(4)).plus(&usage(30, 300.0, Some(6)));
        assert_eq!(both.postgres_transactions, Some(10));
        assert_eq!(both.postgres_statements, None);
        assert!((both.cpu_us_per_request().api - 10.0).abs() < 1e-9);
        assert!((both.cpu_us_per_request().load - 0.2).abs() < 1e-9);
        assert!((both.per_request(both.redis_commands) - 1.5).abs() < 1e-9);
        let all = Usage::default().plus(&both).plus(&Usage::default());
        assert_eq!(all, both);
    }

    #[test]
    fn counters_of_redis_are_read_from_its_info() {
        let stats = "# Stats\r\ntotal_connections_received:7\r\ntotal_commands_processed:1234\r\n";
        assert_eq!(total_commands(stats), Some(1234));
        assert_eq!(total_commands("# Stats\r\n"), None);
        let commandstats = "# Commandstats\r\n\
            cmdstat_evalsha:calls=40,usec=1,usec_per_call=1.00\r\n\
            cmdstat_evalsha_ro:calls=2,usec=1,usec_per_call=1.00\r\n\
            cmdstat_fcall:calls=3,usec=1\r\n\
            cmdstat_sadd:calls=99,usec=1\r\n\
            cmdstat_client|setinfo:calls=5,usec=1\r\n";
        assert_eq!(script_calls(commandstats), 45);
        assert_eq!(script_calls(""), 0);
    }
}
