//! The named scenarios, each the plan of one kind of fault.

use std::str::FromStr;

use super::fault::{Fault, Master, SlotOf};
use super::{Plan, PlannedFault};

/// A named plan.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "`about` describes each")]
pub enum Scenario {
    HungSaleMaster,
    HungOtherMaster,
    KilledMaster,
    LostTail,
    KilledAllRedis,
    Flushall,
    HungPostgres,
    KilledPostgres,
    ReadOnlyPostgres,
    LaggingStandbyPromoted,
    PausedApi,
    KilledApi,
    KilledOperator,
    ClockSkew,
    SlotMigration,
    FullRedis,
}

/// Scenarios are short.
const FEWEST_PURCHASES: usize = 500;

/// The name of each on the command line, and what it does, in the order of [`Scenario::ALL`].
const WORDS: [(&str, &str); 16] = [
    (
        "hung-sale-master",
        "SIGSTOP of the master of the sale's slot",
    ),
    ("hung-other-master", "SIGSTOP of another master"),
    ("killed-master", "SIGKILL of the master of the sale's slot"),
    (
        "lost-tail",
        "promoted replicas miss the last writes: of carts, then of the sale",
    ),
    (
        "killed-all-redis",
        "SIGKILL of all Redis nodes: empty afterwards, then with an old snapshot",
    ),
    ("flushall", "FLUSHALL on all masters"),
    ("hung-postgres", "SIGSTOP of all processes of Postgres"),
    ("killed-postgres", "SIGKILL of Postgres"),
    (
        "read-only-postgres",
        "sessions are read-only, as of a demoted primary",
    ),
    (
        "lagging-standby-promoted",
        "the primary is lost and a standby that lags takes its place",
    ),
    (
        "paused-api",
        "SIGSTOP of an API process, during the sale and across its close",
    ),
    ("killed-api", "SIGKILL of an API process"),
    (
        "killed-operator",
        "no operator from before the opening until after the close",
    ),
    (
        "clock-skew",
        "the clock of an API process is ahead, then behind",
    ),
    (
        "slot-migration",
        "slots of a cart partition and of the sale move to other masters",
    ),
    ("full-redis", "Redis has no memory left for writes"),
];

impl Scenario {
    /// All of them, in the order of a list.
    pub const ALL: [Self; 16] = [
        Self::HungSaleMaster,
        Self::HungOtherMaster,
        Self::KilledMaster,
        Self::LostTail,
        Self::KilledAllRedis,
        Self::Flushall,
        Self::HungPostgres,
        Self::KilledPostgres,
        Self::ReadOnlyPostgres,
        Self::LaggingStandbyPromoted,
        Self::PausedApi,
        Self::KilledApi,
        Self::KilledOperator,
        Self::ClockSkew,
        Self::SlotMigration,
        Self::FullRedis,
    ];

    const fn words(self) -> (&'static str, &'static str) {
        WORDS[self as usize]
    }

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.words().0
    }

    /// What it does, in a line.
    #[must_use]
    pub const fn about(self) -> &'static str {
        self.words().1
    }

    /// What it does, and when.
    #[must_use]
    pub fn plan(self) -> Plan {
        let (sale_seconds, faults) = self.timing();
        let faults = faults
            .into_iter()
            .map(|(at_ms, for_ms, fault)| PlannedFault {
                at_ms,
                for_ms,
                fault,
            });
        Plan {
            name: self.name().to_owned(),
            sale_seconds,
            items: None,
            sold_before: 0,
            fewest_purchases: FEWEST_PURCHASES,
            faults: faults.collect(),
        }
    }

    /// For how long the sale is open, and when each fault begins, how long it takes, and what it is.
    fn timing(self) -> (u32, Vec<(i64, u64, Fault)>) {
        match self {
            Self::HungSaleMaster
            | Self::HungOtherMaster
            | Self::KilledMaster
            | Self::LostTail
            | Self::KilledAllRedis
            | Self::Flushall
            | Self::SlotMigration
            | Self::FullRedis => self.timing_of_redis(),
            Self::HungPostgres => (34, vec![(8_000, 12_000, Fault::HangPostgres)]),
            Self::KilledPostgres => (30, vec![(10_000, 1_000, Fault::KillPostgres)]),
            Self::ReadOnlyPostgres => (32, vec![(8_000, 8_000, Fault::ReadOnlyPostgres)]),
            Self::LaggingStandbyPromoted => {
                let promote = Fault::PromoteLaggingStandby { lag_ms: 2_000 };
                (32, vec![(10_000, 2_000, promote)])
            }
            Self::PausedApi => {
                let pause = Fault::PauseApi { process: 0 };
                (30, vec![(7_000, 6_000, pause), (28_000, 6_000, pause)])
            }
            Self::KilledApi => {
                let kill = Fault::KillApi {
                    process: 0,
                    holding_ms: 800,
                };
                (30, vec![(8_000, 8_000, kill)])
            }
            Self::KilledOperator => (20, vec![(-1_500, 24_000, Fault::KillOperator)]),
            Self::ClockSkew => {
                let skew = |by_ms| Fault::SkewClock { process: 0, by_ms };
                let ahead = (-1_500, 8_000, skew(3_000));
                let far_ahead = (10_000, 6_000, skew(30_000));
                (34, vec![ahead, far_ahead, (18_000, 18_000, skew(-3_000))])
            }
        }
    }

    fn timing_of_redis(self) -> (u32, Vec<(i64, u64, Fault)>) {
        let [sale, other] = [Master::OfSale, Master::Other];
        match self {
            Self::HungSaleMaster => {
                let hang = Fault::HangMaster { master: sale };
                (32, vec![(8_000, 15_000, hang)])
            }
            Self::HungOtherMaster => {
                let hang = Fault::HangMaster { master: other };
                (32, vec![(8_000, 15_000, hang)])
            }
            Self::KilledMaster => {
                let kill = Fault::KillMaster { master: sale };
                (30, vec![(8_000, 12_000, kill)])
            }
            Self::LostTail => {
                let lag_ms = 1_000;
                let lose = |master| Fault::LoseTail { master, lag_ms };
                let of_carts = (6_000, 9_000, lose(other));
                (38, vec![of_carts, (21_000, 9_000, lose(sale))])
            }
            Self::KilledAllRedis => {
                let kill = |snapshot_age_ms| Fault::KillAllRedis { snapshot_age_ms };
                let empty = (8_000, 1_000, kill(None));
                (38, vec![empty, (25_000, 1_000, kill(Some(5_000)))])
            }
            Self::SlotMigration => {
                let migrate = |slot| Fault::MigrateSlot { slot };
                let of_carts = (7_000, 4_000, migrate(SlotOf::Partition(0)));
                (32, vec![of_carts, (17_000, 4_000, migrate(SlotOf::Sale))])
            }
            Self::FullRedis => (30, vec![(8_000, 8_000, Fault::FillRedis)]),
            _ => (28, vec![(12_000, 0, Fault::FlushAll)]),
        }
    }
}

impl FromStr for Scenario {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL
            .into_iter()
            .find(|scenario| scenario.name() == name);
        found.ok_or_else(|| {
            let names: Vec<_> = Self::ALL.iter().map(|scenario| scenario.name()).collect();
            format!("expected one of {}, found {name:?}", names.join(", "))
        })
    }
}
