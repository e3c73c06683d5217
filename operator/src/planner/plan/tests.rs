//! What the planner does from one moment to another, with backends on which every action succeeds
//! at once.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod changes;
mod deletion;
mod exceptions;
mod timeline;

use super::*;
use crate::crd::{FlashSale, SaleResult};
use crate::planner::starts::MAX_PREPARED;
use crate::planner::{DeletionAction, NoNext, plan_deletion, validate};

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// The settings of FlashSale shop/deal with these lines of spec.
fn settings(lines: &str) -> Settings {
    let spec: String = lines
        .lines()
        .map(|line| format!("  {}\n", line.trim()))
        .collect();
    let manifest = format!(
        "apiVersion: flashsale.dev/v1alpha1\nkind: FlashSale\n\
         metadata: {{name: deal, namespace: shop}}\nspec:\n{spec}  \
         catalog: {{generate: {{count: 100}}}}\n  \
         redis: {{secretKeyRef: {{name: r, key: url}}}}\n  \
         postgres: {{secretKeyRef: {{name: p, key: url}}}}\n"
    );
    validate(&serde_yaml_ng::from_str::<FlashSale>(&manifest).unwrap()).unwrap()
}

/// A sale that was seeded for this start.
fn seeded(settings: &Settings, start: &str) -> ObservedSale {
    let sale = settings.sale(settings.window(at(start)), 100).unwrap();
    let seeded_at = Some(sale.window.starts_at - SignedDuration::from_mins(3));
    ObservedSale {
        sale,
        seeded_at,
        closed_at: None,
        settled_at: None,
        sold: 0,
        retired_at: None,
    }
}

fn settled(settings: &Settings, start: &str) -> ObservedSale {
    let seeded = seeded(settings, start);
    let end = Some(seeded.sale.window.ends_at);
    ObservedSale {
        closed_at: end,
        settled_at: end,
        retired_at: end,
        sold: 7,
        ..seeded
    }
}

fn observed(sales: Vec<ObservedSale>) -> Observed {
    Observed {
        sales,
        ..Observed::default()
    }
}

fn position(observed: &Observed, id: &SaleId) -> usize {
    let mut sales = observed.sales.iter();
    let position = sales.position(|observed| observed.sale.id == *id);
    position.expect("an observed sale")
}

/// Executes a plan and logs it; returns whether the observed state has changed.
fn execute(
    settings: &Settings,
    plan: &Plan,
    now: Timestamp,
    world: &mut Observed,
    log: &mut Vec<String>,
) -> bool {
    let before = world.clone();
    for action in &plan.actions {
        let (word, id) = match action {
            Action::Maintain(_) => continue,
            Action::MaintainPartitions { .. } => {
                world.partitions_maintained_at = Some(now);
                continue;
            }
            Action::Seed(sale) => {
                world.sales.retain(|observed| observed.sale.id != sale.id);
                let sale = settings.sale(sale.window, 100).unwrap();
                let (closed_at, settled_at) = (None, None);
                world.sales.push(ObservedSale {
                    sale,
                    seeded_at: Some(now),
                    closed_at,
                    settled_at,
                    sold: 0,
                    retired_at: None,
                });
                ("seed", &world.sales.last().unwrap().sale.id)
            }
            Action::Withdraw(id) => {
                let n = position(world, id);
                world.sales.remove(n);
                ("withdraw", id)
            }
            Action::Close(id) => {
                let n = position(world, id);
                world.sales[n].closed_at = Some(now);
                ("close", id)
            }
            Action::Settle(id) => {
                let n = position(world, id);
                world.sales[n].settled_at = Some(now);
                ("settle", id)
            }
            Action::Retire(id) => {
                let n = position(world, id);
                world.sales[n].retired_at = Some(now);
                ("retire", id)
            }
        };
        log.push(format!(
            "{} {word} {}",
            now.strftime("%d %H:%M:%S"),
            id.starts_label()
        ));
    }
    *world != before
}

/// The log between two moments: an entry for each action and change of phase.
fn log_between(settings: &Settings, from: &str, until: &str, world: &mut Observed) -> Vec<String> {
    let (mut now, until) = (at(from), at(until));
    let mut log = Vec::new();
    let mut phase = Phase::Pending;
    while now < until {
        let mut passes = 0;
        let plan = loop {
            let plan = plan(settings, now, world);
            if !execute(settings, &plan, now, world, &mut log) {
                break plan;
            }
            passes += 1;
            assert!(
                passes < 10,
                "the plan never becomes empty at {now}: {:?}",
                plan.actions
            );
        };
        if plan.phase != phase {
            phase = plan.phase;
            log.push(format!(
                "{} is {}",
                now.strftime("%d %H:%M:%S"),
                phase.as_str()
            ));
        }
        let Some(next_change_at) = plan.next_change_at else {
            break;
        };
        assert!(next_change_at > now, "the next change is in the past");
        now = next_change_at;
    }
    log
}

/// The starts of the sales that are to be seeded now.
fn seeds(plan: &Plan) -> Vec<&str> {
    let seeds = plan.actions.iter().filter_map(|action| match action {
        Action::Seed(sale) => Some(sale.id.starts_label()),
        _ => None,
    });
    seeds.collect()
}

/// An action in words, with the hour of its sale.
fn word(action: &Action) -> String {
    let (word, id) = match action {
        Action::Maintain(id) => ("keep up", id),
        Action::Close(id) => ("close", id),
        Action::Withdraw(id) => ("withdraw", id),
        Action::Seed(sale) => ("seed", &sale.id),
        Action::Settle(id) => ("settle", id),
        Action::Retire(id) => ("retire", id),
        Action::MaintainPartitions { .. } => return "keep attempts".to_owned(),
    };
    format!("{word} {}", &id.starts_label()[9..])
}

const HOURLY: &str = "schedule: '0 * * * *'\nduration: 30m";
