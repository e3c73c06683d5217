//! The faults, with their parameters.

use std::fmt;

use serde::Serialize;

/// A Redis master, found when the fault begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Master {
    /// The one that has the sale's slot.
    OfSale,
    /// Another one, which has cart partitions.
    Other,
}

/// A connection between the product and a backend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Link {
    /// Between every process and this master. The nodes still reach each other, so there is no
    /// failover.
    RedisMaster(Master),
    /// Between every process and Postgres.
    Postgres,
}

/// What a connection does instead of passing bytes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum LinkFault {
    /// It stays open and is silent; what was sent arrives afterwards.
    Hang,
    /// It breaks, and new ones break at once.
    Cut,
    /// Every byte arrives so many milliseconds later.
    Delay {
        /// How much later.
        ms: u32,
    },
}

/// Keys of the sale that share a slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum SlotOf {
    /// The sale's own.
    Sale,
    /// A cart partition's.
    Partition(u16),
}

/// Something that goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fault {
    /// SIGSTOP of a Redis master, SIGCONT at the end.
    HangMaster {
        /// Which.
        master: Master,
    },
    /// SIGKILL of a Redis master, which starts again, empty, at the end.
    KillMaster {
        /// Which.
        master: Master,
    },
    /// A master's replica receives nothing for a while, then the master is killed: the promoted
    /// replica misses the last writes. The old master starts again, empty, at the end.
    LoseTail {
        /// Which.
        master: Master,
        /// How long the replica receives nothing.
        lag_ms: u64,
    },
    /// SIGKILL of all Redis nodes, which start again at the end: empty, or with a snapshot.
    KillAllRedis {
        /// How old the snapshot is when they are killed; `None`: they start empty.
        snapshot_age_ms: Option<u64>,
    },
    /// FLUSHALL on all masters.
    FlushAll,
    /// SIGSTOP of all processes of Postgres, SIGCONT at the end.
    HangPostgres,
    /// SIGKILL of Postgres, which starts again at the end.
    KillPostgres,
    /// Every new session of the product is read-only, and every old one ends; until the end.
    ReadOnlyPostgres,
    /// The standby receives nothing for a while; then the primary is killed and the standby is
    /// promoted in its place.
    PromoteLaggingStandby {
        /// How long the standby receives nothing.
        lag_ms: u64,
    },
    /// SIGSTOP of an API process, SIGCONT at the end.
    PauseApi {
        /// Which, from 0.
        process: usize,
    },
    /// SIGKILL of an API process, which starts again at the end.
    KillApi {
        /// Which, from 0.
        process: usize,
        /// For how long Postgres stands still before, so that the process has claims without a
        /// commit.
        holding_ms: u64,
    },
    /// SIGKILL of the operator, which starts again at the end.
    KillOperator,
    /// The clock of an API process is wrong until the end.
    SkewClock {
        /// Which, from 0.
        process: usize,
        /// By how much it is ahead; negative: behind.
        by_ms: i64,
    },
    /// A slot moves to another master key by key.
    MigrateSlot {
        /// Which.
        slot: SlotOf,
    },
    /// No Redis node accepts writes that need memory, until the end.
    FillRedis,
    /// The network between the product and a backend fails until the end.
    Network {
        /// Where.
        link: Link,
        /// How.
        fault: LinkFault,
    },
}

/// Kinds of faults, for counting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(missing_docs, reason = "each is the fault of the same name")]
pub enum Kind {
    HungMaster,
    KilledMaster,
    LostTail,
    KilledAllRedis,
    FlushAll,
    HungPostgres,
    KilledPostgres,
    ReadOnlyPostgres,
    PausedApi,
    KilledApi,
    KilledOperator,
    HungNetwork,
    CutNetwork,
    SlowNetwork,
    LaggingStandbyPromoted,
    ClockSkew,
    SlotMigration,
    FullRedis,
}

impl Kind {
    /// Those that plans of rng seeds are made of. The others change what the product runs on, or
    /// may break an invariant.
    pub const OF_SEEDS: [Self; 14] = [
        Self::HungMaster,
        Self::KilledMaster,
        Self::LostTail,
        Self::KilledAllRedis,
        Self::FlushAll,
        Self::HungPostgres,
        Self::KilledPostgres,
        Self::ReadOnlyPostgres,
        Self::PausedApi,
        Self::KilledApi,
        Self::KilledOperator,
        Self::HungNetwork,
        Self::CutNetwork,
        Self::SlowNetwork,
    ];

    /// The name in tables and plots.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::HungMaster => "hung master",
            Self::KilledMaster => "killed master",
            Self::LostTail => "lost tail",
            Self::KilledAllRedis => "killed all Redis",
            Self::FlushAll => "FLUSHALL",
            Self::HungPostgres => "hung Postgres",
            Self::KilledPostgres => "killed Postgres",
            Self::ReadOnlyPostgres => "read-only Postgres",
            Self::PausedApi => "paused API",
            Self::KilledApi => "killed API",
            Self::KilledOperator => "killed operator",
            Self::HungNetwork => "hung network",
            Self::CutNetwork => "cut network",
            Self::SlowNetwork => "slow network",
            Self::LaggingStandbyPromoted => "promoted standby",
            Self::ClockSkew => "clock skew",
            Self::SlotMigration => "slot migration",
            Self::FullRedis => "full Redis",
        }
    }

    /// Whether writes to Redis that were answered can be lost by it.
    #[must_use]
    pub fn loses_writes_of_redis(self) -> bool {
        matches!(
            self,
            Self::HungMaster
                | Self::KilledMaster
                | Self::LostTail
                | Self::KilledAllRedis
                | Self::FlushAll
        )
    }
}

impl Fault {
    /// Its kind.
    #[must_use]
    pub fn kind(&self) -> Kind {
        match self {
            Self::HangMaster { .. } => Kind::HungMaster,
            Self::KillMaster { .. } => Kind::KilledMaster,
            Self::LoseTail { .. } => Kind::LostTail,
            Self::KillAllRedis { .. } => Kind::KilledAllRedis,
            Self::FlushAll => Kind::FlushAll,
            Self::HangPostgres => Kind::HungPostgres,
            Self::KillPostgres => Kind::KilledPostgres,
            Self::ReadOnlyPostgres => Kind::ReadOnlyPostgres,
            Self::PromoteLaggingStandby { .. } => Kind::LaggingStandbyPromoted,
            Self::PauseApi { .. } => Kind::PausedApi,
            Self::KillApi { .. } => Kind::KilledApi,
            Self::KillOperator => Kind::KilledOperator,
            Self::SkewClock { .. } => Kind::ClockSkew,
            Self::MigrateSlot { .. } => Kind::SlotMigration,
            Self::FillRedis => Kind::FullRedis,
            Self::Network { fault, .. } => match fault {
                LinkFault::Hang => Kind::HungNetwork,
                LinkFault::Cut => Kind::CutNetwork,
                LinkFault::Delay { .. } => Kind::SlowNetwork,
            },
        }
    }

    /// The API process that it hits, where it hits one.
    #[must_use]
    pub fn api_process(&self) -> Option<usize> {
        match self {
            Self::PauseApi { process }
            | Self::KillApi { process, .. }
            | Self::SkewClock { process, .. } => Some(*process),
            _ => None,
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kind = self.kind().name();
        match self {
            Self::HangMaster { master } | Self::KillMaster { master } => {
                write!(f, "{kind} ({master})")
            }
            Self::LoseTail { master, lag_ms } => write!(f, "{kind} of {lag_ms} ms ({master})"),
            Self::KillAllRedis {
                snapshot_age_ms: Some(age_ms),
            } => write!(f, "{kind} (snapshot of {age_ms} ms before)"),
            Self::PromoteLaggingStandby { lag_ms } => write!(f, "{kind} ({lag_ms} ms behind)"),
            Self::PauseApi { process } | Self::KillApi { process, .. } => {
                write!(f, "{kind} {}", process + 1)
            }
            Self::SkewClock { process, by_ms } => {
                write!(f, "{kind} of API {} by {by_ms} ms", process + 1)
            }
            Self::MigrateSlot {
                slot: SlotOf::Partition(partition),
            } => write!(f, "{kind} (cart partition {partition})"),
            Self::MigrateSlot { slot: SlotOf::Sale } => write!(f, "{kind} (sale)"),
            Self::Network { link, .. } => match link {
                Link::RedisMaster(master) => write!(f, "{kind} (Redis, {master})"),
                Link::Postgres => write!(f, "{kind} (Postgres)"),
            },
            _ => f.write_str(kind),
        }
    }
}

impl fmt::Display for Master {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::OfSale => "sale's slot",
            Self::Other => "other slots",
        })
    }
}
