//! Plans that are drawn from an rng seed.

use super::fault::{Fault, Kind, Link, LinkFault, Master};
use super::splitmix::SplitMix64;
use super::{API_PROCESSES, Plan, PlannedFault};

/// A shorter sale has no room for the faults of a seed.
pub const SHORTEST_SEED_SECONDS: u32 = 50;
/// With so many, at least three differ.
const FEWEST_FAULTS: u64 = 5;
const SECONDS_PER_FAULT: u64 = 10;
/// The opening and the close are without faults, but for a pause across the close.
const FIRST_FAULT_MS: u64 = 3_000;
const LAST_FAULT_MS: u64 = 4_000;
/// Between the end of a fault and the begin of the next one.
const PAUSE_MS: u64 = 1_500;
const LONGEST_FAULT_MS: u64 = 5_000;
const FEWEST_PURCHASES: usize = 2_000;

/// The plan of a seed for a sale that is open for `seconds`, at least [`SHORTEST_SEED_SECONDS`].
/// Over 30 seeds in a row of 60 seconds or more, each kind of [`Kind::OF_SEEDS`] occurs ten times
/// or more.
#[must_use]
pub fn plan_of_seed(seed: u64, seconds: u32) -> Plan {
    let seconds = seconds.max(SHORTEST_SEED_SECONDS);
    let count = (u64::from(seconds) / SECONDS_PER_FAULT).max(FEWEST_FAULTS);
    let slice_ms = (u64::from(seconds) * 1_000 - FIRST_FAULT_MS - LAST_FAULT_MS) / count;
    let mut rng = SplitMix64::new(seed);
    let faults = (0..count).map(|number| {
        let kind = kind_at(seed.wrapping_mul(count).wrapping_add(number));
        let for_ms = length_ms(kind, &mut rng).min(slice_ms - PAUSE_MS);
        let latest_ms = slice_ms - PAUSE_MS - for_ms;
        let at_ms = FIRST_FAULT_MS + number * slice_ms + rng.between(0, latest_ms);
        PlannedFault {
            at_ms: at_ms.cast_signed(),
            for_ms,
            fault: fault(kind, &mut rng),
        }
    });
    Plan {
        name: format!("seed-{seed}"),
        sale_seconds: seconds,
        items: None,
        sold_before: 0,
        fewest_purchases: FEWEST_PURCHASES,
        faults: faults.collect(),
    }
}

/// The kind at a place of an endless list, in which each run of [`Kind::OF_SEEDS`] kinds is a
/// shuffle of all of them.
fn kind_at(place: u64) -> Kind {
    let mut kinds = Kind::OF_SEEDS;
    let length = kinds.len() as u64;
    SplitMix64::new(place / length).shuffle(&mut kinds);
    kinds[(place % length) as usize]
}

fn length_ms(kind: Kind, rng: &mut SplitMix64) -> u64 {
    match kind {
        // Longer than a failover takes.
        Kind::HungMaster | Kind::KilledMaster | Kind::LostTail => {
            rng.between(4_000, LONGEST_FAULT_MS)
        }
        Kind::FlushAll => 0,
        Kind::KilledAllRedis | Kind::KilledPostgres => rng.between(200, 1_500),
        _ => rng.between(1_000, LONGEST_FAULT_MS),
    }
}

fn fault(kind: Kind, rng: &mut SplitMix64) -> Fault {
    let master = rng.pick(&[Master::OfSale, Master::Other]);
    let process = rng.between(0, API_PROCESSES as u64 - 1) as usize;
    let link = rng.pick(&[Link::RedisMaster(master), Link::Postgres]);
    let network = |fault| Fault::Network { link, fault };
    match kind {
        Kind::HungMaster => Fault::HangMaster { master },
        Kind::KilledMaster => Fault::KillMaster { master },
        Kind::LostTail => Fault::LoseTail {
            master,
            lag_ms: rng.between(200, 1_500),
        },
        Kind::KilledAllRedis => Fault::KillAllRedis {
            snapshot_age_ms: rng.pick(&[None, Some(500), Some(2_000)]),
        },
        Kind::FlushAll => Fault::FlushAll,
        Kind::HungPostgres => Fault::HangPostgres,
        Kind::KilledPostgres => Fault::KillPostgres,
        Kind::ReadOnlyPostgres => Fault::ReadOnlyPostgres,
        Kind::PausedApi => Fault::PauseApi { process },
        Kind::KilledApi => Fault::KillApi {
            process,
            holding_ms: rng.pick(&[0, 600]),
        },
        Kind::KilledOperator => Fault::KillOperator,
        Kind::HungNetwork => network(LinkFault::Hang),
        Kind::CutNetwork => network(LinkFault::Cut),
        Kind::SlowNetwork => network(LinkFault::Delay {
            ms: rng.between(20, 400) as u32,
        }),
        Kind::LaggingStandbyPromoted => Fault::PromoteLaggingStandby { lag_ms: 1_000 },
        Kind::ClockSkew => Fault::SkewClock { process, by_ms: 0 },
        Kind::SlotMigration => Fault::MigrateSlot {
            slot: super::SlotOf::Sale,
        },
        Kind::FullRedis => Fault::FillRedis,
    }
}
