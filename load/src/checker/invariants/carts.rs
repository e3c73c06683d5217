//! Whether a code that a checkout answered stays known and stays the user's until it is bought, and
//! its cart keeps every item that was answered as added.

use std::collections::HashMap;

use super::Case;
use crate::checker::history::{Asked, Exchange};
use crate::checker::stored_rows::sale_of_code;
use crate::checker::verdict::{Offenders, Scope, Verdict};
use crate::client::answer::{Answer, Outcome, Problem};
use crate::client::catalogue::ItemNo;
use crate::client::run_id::UserNo;

impl Case<'_> {
    pub(super) fn carts_keep_answered_items(&self) -> Verdict {
        let mut carts = AnsweredCarts::default();
        let mut offenders = Offenders::default();
        let (mut compared, mut due) = (0_usize, false);
        for exchange in self.history.exchanges() {
            let code = match &exchange.asked {
                Asked::Checkout { item } => {
                    if let Some((old, new)) = carts.add(exchange, *item) {
                        offenders.add(|| format!("{old} was not bought and {new} took its place"));
                    }
                    continue;
                }
                Asked::Purchase { code } => {
                    // From now on the user's next checkout opens another cart.
                    carts.open.remove(&exchange.user);
                    code
                }
                Asked::Cart { code } => code,
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

/// What checkouts answered.
#[derive(Default)]
struct AnsweredCarts<'a> {
    /// The items that were added, by code.
    items: HashMap<&'a str, Vec<ItemNo>>,
    /// The code of each user's cart that was not asked to be bought.
    open: HashMap<UserNo, &'a str>,
}

impl<'a> AnsweredCarts<'a> {
    /// Keeps what a checkout answered; returns the code that the user had and the one that took its
    /// place, where that may not be.
    fn add(&mut self, exchange: &'a Exchange, item: ItemNo) -> Option<(&'a str, &'a str)> {
        let Answer::Added { code } = &exchange.answer else {
            return None;
        };
        let items = self.items.entry(code).or_default();
        if !items.contains(&item) {
            items.push(item);
        }
        let old = self.open.insert(exchange.user, code)?;
        // A cart ends with its sale.
        let is_replaced = old != &**code && sale_of_code(old) == sale_of_code(code);
        is_replaced.then_some((old, code))
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
