//! Attempts that may be lost: the process that answered them and the writes of Redis were lost
//! within the time that settling takes.

use std::collections::HashSet;

use flashsale_load::client::call::Call;

use crate::history::{FaultRecord, RunHistory};
use crate::plan::Fault;

/// An attempt is settled by then: it waits three seconds, a settler runs every second and needs a
/// moment.
const SETTLE_LAG_US: i64 = 8_000_000;

/// The checkouts whose attempts may be lost, and a sentence about them for a verdict.
pub(super) fn excused_checkouts(history: &RunHistory) -> (HashSet<u32>, String) {
    let kills: Vec<(usize, i64)> = history
        .faults
        .iter()
        .filter_map(|record| match record.fault {
            Fault::KillApi { process } => Some((process, record.began_us)),
            _ => None,
        })
        .filter(|(_, killed_us)| {
            let losses = history.faults.iter();
            losses
                .filter(|record| record.fault.kind().loses_writes_of_redis())
                .any(|loss| is_near(loss, *killed_us))
        })
        .collect();
    let excused: HashSet<u32> = history
        .calls
        .iter()
        .filter(|record| matches!(record.call, Call::Checkout { .. }))
        .filter(|record| {
            let hit = |(process, killed_us): &(usize, i64)| {
                *process == record.target
                    && record.ended_us <= *killed_us
                    && record.ended_us >= *killed_us - SETTLE_LAG_US
            };
            kills.iter().any(hit)
        })
        .map(|record| record.request)
        .collect();
    let sentence = format!(
        "; {} attempts of a killed process are not counted, because Redis lost writes within {} s \
         of its end",
        excused.len(),
        SETTLE_LAG_US / 1_000_000
    );
    (excused, sentence)
}

fn is_near(loss: &FaultRecord, killed_us: i64) -> bool {
    loss.is_within(killed_us, SETTLE_LAG_US)
}
