//! Each test tells a story: what the planner does from one moment to another, with stores that
//! do at once what they are told.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod changes;
mod exceptions;
mod removal;
mod timeline;

use super::*;
use crate::crd::{FlashSale, SaleResult};
use crate::planner::validate;

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
fn seeded(settings: &Settings, start: &str) -> KnownSale {
    let sale = settings.sale(settings.window(at(start)), 100).unwrap();
    let seeded_at = Some(sale.window.starts_at - SignedDuration::from_mins(3));
    KnownSale {
        sale,
        seeded_at,
        closed_at: None,
        settled_at: None,
        sold: 0,
        retired_at: None,
    }
}

fn settled(settings: &Settings, start: &str) -> KnownSale {
    let known = seeded(settings, start);
    let end = Some(known.sale.window.ends_at);
    KnownSale {
        closed_at: end,
        settled_at: end,
        retired_at: end,
        sold: 7,
        ..known
    }
}

fn known(sales: Vec<KnownSale>) -> Observed {
    Observed {
        sales,
        ..Observed::default()
    }
}

/// Does what the plan says and writes it down; says whether the stores are different now.
fn carry_out(
    settings: &Settings,
    plan: &Plan,
    now: Timestamp,
    world: &mut Observed,
    log: &mut Vec<String>,
) -> bool {
    let before = world.clone();
    for action in &plan.actions {
        let find = |world: &mut Observed, id: &SaleId| {
            world
                .sales
                .iter()
                .position(|known| known.sale.id == *id)
                .expect("a known sale")
        };
        let (word, id) = match action {
            Action::KeepUp(_) => continue,
            Action::KeepAttempts { .. } => {
                world.attempts_kept_at = Some(now);
                continue;
            }
            Action::Seed(sale) => {
                world.sales.retain(|known| known.sale.id != sale.id);
                let sale = settings.sale(sale.window, 100).unwrap();
                let (closed_at, settled_at) = (None, None);
                world.sales.push(KnownSale {
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
                let n = find(world, id);
                world.sales.remove(n);
                ("withdraw", id)
            }
            Action::Close(id) => {
                let n = find(world, id);
                world.sales[n].closed_at = Some(now);
                ("close", id)
            }
            Action::Settle(id) => {
                let n = find(world, id);
                world.sales[n].settled_at = Some(now);
                ("settle", id)
            }
            Action::Retire(id) => {
                let n = find(world, id);
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

/// Everything that is done between two moments: an entry for each action and change of phase.
fn story(settings: &Settings, from: &str, until: &str, world: &mut Observed) -> Vec<String> {
    let (mut now, until) = (at(from), at(until));
    let mut log = Vec::new();
    let mut phase = Phase::Pending;
    while now < until {
        let mut rounds = 0;
        let plan = loop {
            let plan = plan(settings, now, world);
            if !carry_out(settings, &plan, now, world, &mut log) {
                break plan;
            }
            rounds += 1;
            assert!(
                rounds < 10,
                "the planner never comes to rest at {now}: {:?}",
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
        let Some(wake_at) = plan.wake_at else { break };
        assert!(wake_at > now, "wakes in the past");
        now = wake_at;
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
        Action::KeepUp(id) => ("keep up", id),
        Action::Close(id) => ("close", id),
        Action::Withdraw(id) => ("withdraw", id),
        Action::Seed(sale) => ("seed", &sale.id),
        Action::Settle(id) => ("settle", id),
        Action::Retire(id) => ("retire", id),
        Action::KeepAttempts { .. } => return "keep attempts".to_owned(),
    };
    format!("{word} {}", &id.starts_label()[9..])
}

const HOURLY: &str = "schedule: '0 * * * *'\nduration: 30m";
