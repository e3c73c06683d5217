//! One block of a comparison: rounds of both revisions in turn.

use serde_json::{Value, json};

use super::{
    accounting::{CpuUs, Usage},
    load::{LoadResult, Loop},
};

/// One of the two revisions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// The one that was named.
    Base,
    /// This tree.
    This,
}

/// What one revision did in one block.
#[derive(Debug, Clone, Default)]
pub struct Rounds {
    /// All rounds together.
    pub usage: Usage,
    /// What the load generator saw, round by round.
    pub loads: Vec<LoadResult>,
}

impl Rounds {
    /// One more round.
    pub fn add(&mut self, round: Loop) {
        self.usage = self.usage.plus(&round.usage);
        self.loads.push(round.load);
    }

    /// For `compare.json`.
    pub fn json(&self) -> Value {
        let p99_ms: Vec<f64> = self.loads.iter().map(|load| load.p99_ms).collect();
        json!({
            "requests": self.usage.requests,
            "cpu_us": self.usage.cpu_us_per_request().json(),
            "p99_ms": p99_ms,
            "errors": self.loads.iter().map(|load| load.errors).sum::<u64>(),
        })
    }
}

/// Both revisions on servers that were started for this block: the unit of the statistics,
/// because what differs from start to start is the same in all rounds of a block.
#[derive(Debug, Clone, Default)]
pub struct Block {
    /// The named revision.
    pub base: Rounds,
    /// This tree.
    pub this: Rounds,
}

impl Block {
    /// The rounds of one revision.
    pub fn side(&mut self, side: Side) -> &mut Rounds {
        match side {
            Side::Base => &mut self.base,
            Side::This => &mut self.this,
        }
    }

    /// Of this tree to the base, as a natural logarithm.
    pub fn log_ratio(&self, part: Part) -> f64 {
        let of = |rounds: &Rounds| part.of(&rounds.usage.cpu_us_per_request());
        (of(&self.this) / of(&self.base)).ln()
    }
}

/// The order of the rounds of a block: each revision is as often first as the other, and a
/// machine that becomes slower during a block slows both alike.
pub fn order(block: usize) -> [Side; 4] {
    use Side::{Base, This};
    match block % 2 {
        0 => [Base, This, This, Base],
        _ => [This, Base, Base, This],
    }
}

/// A part of the CPU time that is compared.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// API, Redis and Postgres.
    Product,
    /// The API processes.
    Api,
    /// Redis nodes that are masters.
    RedisMasters,
    /// Redis nodes that are not.
    RedisReplicas,
    /// The database server.
    Postgres,
    /// The operator.
    Operator,
    /// The load generator, which is the same for both: its ratio is 1 but for noise.
    Load,
}

impl Part {
    /// All of them.
    pub const ALL: [Self; 7] = [
        Self::Product,
        Self::Api,
        Self::RedisMasters,
        Self::RedisReplicas,
        Self::Postgres,
        Self::Operator,
        Self::Load,
    ];
    /// Those whose intervals must become narrow.
    pub const DECISIVE: [Self; 2] = [Self::Product, Self::Api];

    /// Its CPU time.
    pub fn of(self, cpu_us: &CpuUs) -> f64 {
        match self {
            Self::Product => cpu_us.product(),
            Self::Api => cpu_us.api,
            Self::RedisMasters => cpu_us.redis_masters,
            Self::RedisReplicas => cpu_us.redis_replicas,
            Self::Postgres => cpu_us.postgres,
            Self::Operator => cpu_us.operator,
            Self::Load => cpu_us.load,
        }
    }

    /// Its name in the table and in the JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Product => "product",
            Self::Api => "api",
            Self::RedisMasters => "redis_masters",
            Self::RedisReplicas => "redis_replicas",
            Self::Postgres => "postgres",
            Self::Operator => "operator",
            Self::Load => "load",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_block_has_both_revisions_equally_often_and_early() {
        for number in [0, 1] {
            let places = |side| -> usize {
                let order = order(number).into_iter().enumerate();
                order
                    .filter(|(_, one)| *one == side)
                    .map(|(at, _)| at)
                    .sum()
            };
            assert_eq!(places(Side::Base), places(Side::This));
        }
        assert_ne!(order(0)[0], order(1)[0]);
    }
}
