//! The end of a FlashSale that is deleted.

use super::*;

/// What is done at `now`, step by step, until nothing is left.
fn end(world: &mut Observed, now: &str) -> Vec<String> {
    let mut log = Vec::new();
    loop {
        let left = plan_deletion(world, at(now));
        if left.is_empty() {
            return log;
        }
        assert!(log.len() < 20, "it never comes to an end: {log:?}");
        for step in left {
            let (DeletionAction::EndEarly(id)
            | DeletionAction::Withdraw(id)
            | DeletionAction::Settle(id)
            | DeletionAction::Retire(id)) = &step;
            let mut sales = world.sales.iter();
            let n = sales.position(|observed| observed.sale.id == *id).unwrap();
            let word = match step {
                DeletionAction::EndEarly(_) => {
                    world.sales[n].closed_at = Some(at(now));
                    "stop"
                }
                DeletionAction::Settle(_) => {
                    world.sales[n].settled_at = Some(at(now));
                    "settle"
                }
                DeletionAction::Retire(_) => {
                    world.sales[n].retired_at = Some(at(now));
                    "retire"
                }
                DeletionAction::Withdraw(ref id) => {
                    let label = id.starts_label()[9..].to_owned();
                    world.sales.remove(n);
                    log.push(format!("withdraw {label}"));
                    continue;
                }
            };
            log.push(format!("{word} {}", &id.starts_label()[9..]));
        }
    }
}

#[test]
fn what_sells_is_stopped_first_and_what_has_not_begun_never_begins() {
    let settings = settings(HOURLY);
    let mut world = observed(vec![
        seeded(&settings, "2026-11-23T11:00:00Z"),
        seeded(&settings, "2026-11-23T10:00:00Z"),
        settled(&settings, "2026-11-23T09:00:00Z"),
    ]);
    assert_eq!(
        end(&mut world, "2026-11-23T10:10:00Z"),
        [
            "stop 1000Z",
            "withdraw 1100Z",
            "settle 1000Z",
            "retire 1000Z"
        ]
    );
    // The sold sale stays observed.
    assert_eq!(world.sales.len(), 2);
}

#[test]
fn what_another_operator_has_left_half_done_is_brought_to_its_end() {
    let settings = settings(HOURLY);
    let ended = seeded(&settings, "2026-11-23T08:00:00Z");
    let closed = ObservedSale {
        closed_at: Some(at("2026-11-23T09:30:00Z")),
        ..seeded(&settings, "2026-11-23T09:00:00Z")
    };
    let begun = ObservedSale {
        seeded_at: None,
        ..seeded(&settings, "2026-11-23T07:00:00Z")
    };
    let mut world = observed(vec![closed, ended, begun]);
    assert_eq!(
        end(&mut world, "2026-11-23T09:45:00Z"),
        [
            "stop 0800Z",
            "settle 0900Z",
            "retire 0700Z",
            "settle 0800Z",
            "retire 0900Z",
            "retire 0800Z"
        ]
    );
}
