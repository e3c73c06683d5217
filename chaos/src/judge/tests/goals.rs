//! The figures of faults.

use flashsale_load::client::answer::Answer;

use super::fixture::{Fixture, SECOND, call, history_of, hung_sale_master};
use crate::history::{FaultRecord, RunHistory};
use crate::judge::{Goal, goals};
use crate::plan::Fault;

/// Users of each of the three partitions, in order: the first partition is on the hung master.
fn users() -> [u32; 3] {
    let history = history_of(Vec::new(), Vec::new());
    let partition = |user: u32| crate::history::partition_of_user(&history.run.user(user), 3);
    [0, 1, 2].map(|number| (0..100).find(|user| partition(*user) == number).unwrap())
}

/// Checkouts every 20 ms; those of the hung master's partition fail from 2 s until `back_us`.
fn history_back_at(back_us: i64) -> RunHistory {
    let [own, other, another] = users();
    let calls = (0..600_u32).flat_map(|step| {
        let at_us = i64::from(step) * 20_000;
        [own, other, another].map(|user| {
            let mut record = call(step, at_us);
            record.user = user;
            if user == own && (2 * SECOND..back_us).contains(&at_us) {
                record.answer = Answer::None;
                record.ended_us += SECOND;
            }
            record
        })
    });
    history_of(
        calls.collect(),
        vec![hung_sale_master(2 * SECOND, 9 * SECOND)],
    )
}

fn find<'a>(goals: &'a [Goal], name: &str) -> &'a Goal {
    goals.iter().find(|goal| goal.name.contains(name)).unwrap()
}

#[test]
fn a_hung_master_costs_its_own_slots_until_they_sell_again() {
    let evidence = Fixture::right().evidence;
    // The new master is reported after 3 s; purchases are not due, so checkouts alone count.
    let mut history = history_back_at(5_500_000);
    let [own, ..] = users();
    let purchases: Vec<_> = history
        .calls
        .iter()
        .filter(|record| record.user == own)
        .map(|record| {
            let mut record = record.clone();
            record.call = flashsale_load::client::call::Call::Purchase {
                user: own,
                code: "CHK-x-0".into(),
            };
            record
        })
        .collect();
    history.calls.extend(purchases);
    let found = goals(&history, &evidence);
    let after_report = find(&found, "new master is reported").value.unwrap();
    assert!((after_report - 0.5).abs() < 0.05, "{after_report}");
    let after_fault = find(&found, "after the fault began");
    assert!((after_fault.value.unwrap() - 3.5).abs() < 0.05);
    assert_eq!(after_fault.is_met(), Some(true));
    assert_eq!(find(&found, "failed").value, Some(0.0));
    assert_eq!(find(&found, "p99").value, Some(1.0));
}

#[test]
fn a_call_of_another_slot_that_fails_counts_against_the_goal() {
    let evidence = Fixture::right().evidence;
    let mut history = history_back_at(4 * SECOND);
    let [_, other, _] = users();
    let is_hit = |record: &&mut crate::history::CallRecord| {
        record.user == other && record.due_us >= 3 * SECOND
    };
    let record = history.calls.iter_mut().find(is_hit).unwrap();
    record.answer = Answer::None;
    let found = goals(&history, &evidence);
    let failed = find(&found, "failed");
    assert_eq!(failed.is_met(), Some(false), "{failed:?}");
}

#[test]
fn the_figures_of_a_fault_end_where_the_next_one_begins() {
    let evidence = Fixture::right().evidence;
    let mut history = history_back_at(4 * SECOND);
    let [_, other, _] = users();
    let is_hit = |record: &&mut crate::history::CallRecord| {
        record.user == other && record.due_us >= 6 * SECOND
    };
    let record = history.calls.iter_mut().find(is_hit).unwrap();
    record.answer = Answer::None;
    let failed = |history: &RunHistory| find(&goals(history, &evidence), "failed").value;
    assert!(failed(&history) > Some(0.0));
    history.faults[0].ended_us = 5 * SECOND;
    history.faults.push(FaultRecord {
        fault: Fault::FlushAll,
        ..hung_sale_master(5_500_000, 5_500_000)
    });
    assert_eq!(failed(&history), Some(0.0));
}

#[test]
fn what_a_run_did_not_show_has_no_figure() {
    let evidence = Fixture::right().evidence;
    let history = history_of(Vec::new(), vec![hung_sale_master(2 * SECOND, 9 * SECOND)]);
    let found = goals(&history, &evidence);
    assert!(found.iter().all(|goal| goal.value.is_none()), "{found:?}");
    assert!(found.iter().all(|goal| goal.is_met().is_none()));
}

#[test]
fn claims_wait_for_postgres_and_for_another_process() {
    let mut fixture = Fixture::right();
    // Claimed at 10.0 s, while Postgres was away until 12 s, and committed at 14.5 s.
    let commit = &mut fixture.evidence.commits[20];
    assert!((10 * SECOND..11 * SECOND).contains(&commit.claimed_us));
    commit.committed_us = Some(14_500_000);
    let away = FaultRecord {
        fault: Fault::HangPostgres,
        master: None,
        serves_again_us: Some(12 * SECOND),
        ..hung_sale_master(9 * SECOND, 12 * SECOND)
    };
    let killed = FaultRecord {
        fault: Fault::KillApi {
            process: 0,
            holding_ms: 0,
        },
        ..away.clone()
    };
    fixture.history.faults = vec![
        away,
        FaultRecord {
            began_us: 10_500_000,
            ..killed
        },
    ];
    let found = goals(&fixture.history, &fixture.evidence);
    assert_eq!(find(&found, "backlog").value, Some(2.5));
    assert_eq!(find(&found, "another process").value, Some(4.0));
}

#[test]
fn purchases_that_a_promoted_standby_misses_are_counted_without_a_goal() {
    let mut fixture = Fixture::right();
    fixture.sale().orders.truncate(100);
    fixture.history.faults = vec![FaultRecord {
        fault: Fault::PromoteLaggingStandby { lag_ms: 2_000 },
        master: None,
        ..hung_sale_master(50 * SECOND, 52 * SECOND)
    }];
    let found = goals(&fixture.history, &fixture.evidence);
    let lost = find(&found, "are lost");
    assert_eq!((lost.value, lost.limit), (Some(20.0), None));
}
