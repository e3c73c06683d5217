//! Whether a code that a checkout answered stays known, and its cart keeps every item that was
//! answered as added.

use std::collections::HashMap;

use super::Case;
use crate::checker::history::{Asked, Exchange};
use crate::checker::verdict::{Offenders, Scope, Verdict};
use crate::client::answer::{Answer, Outcome, Problem};
use crate::client::catalogue::ItemNo;

impl Case<'_> {
    pub(super) fn carts_keep_answered_items(&self) -> Verdict {
        let mut carts = AnsweredCarts::default();
        let mut offenders = Offenders::default();
        let (mut compared, mut due) = (0_usize, false);
        for exchange in self.history.exchanges() {
            let code = match &exchange.asked {
                Asked::Checkout { item } => {
                    carts.add(&exchange.answer, *item);
                    continue;
                }
                Asked::Purchase { code } | Asked::Cart { code } => code,
            };
            let Some(added) = carts.items.get(&**code) else {
                continue;
            };
            due = true;
            let found = match found(exchange) {
                Found::Items(items) => items,
                Found::Unknown => {
                    compared += 1;
                    offenders.add(|| format!("{code} was answered and is unknown later"));
                    continue;
                }
                Found::Nothing => continue,
            };
            compared += 1;
            for item in added.iter().filter(|item| !found.contains(item)) {
                let id = self.id(*item);
                offenders.add(|| format!("{id} was answered as added to {code} and is not in it"));
            }
        }
        compared += self.compare_orders(&carts, &mut offenders);
        let checked = format!("{} codes answered", carts.items.len());
        offenders.verdict(
            "carts keep answered items",
            Scope { compared, due },
            checked,
        )
    }

    /// Compares the stored orders too: the answer of a purchase may never have come.
    fn compare_orders(&self, carts: &AnsweredCarts<'_>, offenders: &mut Offenders) -> usize {
        let sales = self.stored_rows.sales.iter();
        let mut compared = 0;
        for order in sales.flat_map(|sale| &sale.orders) {
            let Some(added) = carts.items.get(&*order.code) else {
                continue;
            };
            compared += 1;
            let is_there = |item: &ItemNo| order.results.iter().any(|(stored, _)| stored == item);
            for item in added.iter().filter(|item| !is_there(item)) {
                let (id, code) = (self.id(*item), &order.code);
                offenders.add(|| format!("{id} was added to {code} and is not in its order"));
            }
        }
        compared
    }
}

/// The items that checkouts answered as added, by code.
#[derive(Default)]
struct AnsweredCarts<'a> {
    items: HashMap<&'a str, Vec<ItemNo>>,
}

impl<'a> AnsweredCarts<'a> {
    fn add(&mut self, answer: &'a Answer, item: ItemNo) {
        if let Answer::Added { code } = answer {
            let items = self.items.entry(code).or_default();
            if !items.contains(&item) {
                items.push(item);
            }
        }
    }
}

/// What an answer says about the cart of a code.
enum Found {
    Items(Vec<ItemNo>),
    /// There is no such code.
    Unknown,
    Nothing,
}

fn found(exchange: &Exchange) -> Found {
    match &exchange.answer {
        Answer::Cart { items } => Found::Items(items.to_vec()),
        Answer::Outcome(outcome) => Found::Items(all_items(outcome)),
        // Once a sale has ended, carts that were not bought are gone.
        Answer::Refused {
            problem: Problem::UnknownCode,
            ..
        } if !exchange.at_close => Found::Unknown,
        _ => Found::Nothing,
    }
}

fn all_items(outcome: &Outcome) -> Vec<ItemNo> {
    let failed = outcome.failed.iter().map(|(item, _)| *item);
    outcome.bought.iter().copied().chain(failed).collect()
}
