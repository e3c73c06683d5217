//! Compares what was answered with what Postgres holds, and judges each invariant.
//!
//! Pure: values in, verdicts out. A code is judged against the sale that it names, so a run
//! in which one sale ends and the next one begins is judged right.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use crate::checker::history::{Asked, Exchange, History};
use crate::checker::stored_rows::{OrderRow, PurchaseRow, StoredRows, StoredSale, sale_of_code};
use crate::checker::verdict::{Offenders, Scope, Verdict};
use crate::client::answer::{Answer, Outcome, Problem};
use crate::client::catalogue::{Catalogue, ItemNo};
use crate::client::run_id::{RequestNo, RunId};

mod attempts;
mod carts;

/// Judges all invariants.
#[must_use]
pub fn check(
    history: &History,
    stored_rows: &StoredRows,
    run: &RunId,
    catalogue: &Catalogue,
) -> Vec<Verdict> {
    let purchases = history.exchanges().iter();
    let case = Case {
        outcomes: outcomes(history, catalogue),
        purchases_asked: purchases
            .filter(|exchange| matches!(exchange.asked, Asked::Purchase { .. }))
            .count(),
        history,
        stored_rows,
        run,
        catalogue,
    };
    vec![
        case.nothing_sold_twice(),
        case.nobody_over_the_limit(),
        case.total_not_exceeded(),
        case.answered_purchases_are_there(),
        case.one_outcome_per_code(),
        case.attempts_logged_once(),
        case.carts_keep_answered_items(),
    ]
}

/// Answered attempts that have no row yet: they are settled a little after the answer.
#[must_use]
pub fn missing_attempts(history: &History, stored_rows: &StoredRows) -> usize {
    let logged: HashSet<RequestNo> = stored_rows.attempts.iter().map(|row| row.request).collect();
    let exchanges = history.exchanges().iter();
    exchanges
        .filter(|exchange| exchange.must_be_logged() && !logged.contains(&exchange.request))
        .count()
}

/// A purchase that was answered with an outcome.
struct Answered<'a> {
    exchange: &'a Exchange,
    code: &'a Arc<str>,
    /// The sale that the code names.
    sale: &'a str,
    outcome: &'a Outcome,
}

fn outcomes<'a>(history: &'a History, catalogue: &'a Catalogue) -> Vec<Answered<'a>> {
    let exchanges = history.exchanges().iter();
    exchanges
        .filter_map(|exchange| match (&exchange.asked, &exchange.answer) {
            (Asked::Purchase { code }, Answer::Outcome(outcome)) => Some(Answered {
                exchange,
                code,
                sale: sale_of_code(code).unwrap_or(catalogue.sale()),
                outcome,
            }),
            _ => None,
        })
        .collect()
}

struct Case<'a> {
    history: &'a History,
    outcomes: Vec<Answered<'a>>,
    purchases_asked: usize,
    stored_rows: &'a StoredRows,
    run: &'a RunId,
    catalogue: &'a Catalogue,
}

impl Case<'_> {
    fn id(&self, item: ItemNo) -> String {
        self.catalogue.id(item).into_owned()
    }

    fn purchases(&self) -> impl Iterator<Item = (&StoredSale, &PurchaseRow)> {
        let sales = self.stored_rows.sales.iter();
        sales.flat_map(|sale| sale.purchases.iter().map(move |row| (sale, row)))
    }

    /// What was compared about sales: answers and rows.
    fn sold_scope(&self) -> Scope {
        Scope {
            compared: self.outcomes.len() + self.purchases().count(),
            due: self.purchases_asked > 0,
        }
    }

    fn nothing_sold_twice(&self) -> Verdict {
        let mut offenders = Offenders::default();
        let mut buyer_of = HashMap::new();
        for answered in &self.outcomes {
            let code = answered.code;
            let mut in_answer = HashSet::new();
            for item in &answered.outcome.bought {
                if !in_answer.insert(item) {
                    offenders.add(|| format!("{} twice in one answer of {code}", self.id(*item)));
                }
                let first = buyer_of.entry((answered.sale, *item)).or_insert(code);
                if *first != code {
                    offenders.add(|| {
                        format!("{} answered as sold to {first} and {code}", self.id(*item))
                    });
                }
            }
        }
        let mut in_table = HashMap::new();
        for (sale, row) in self.purchases() {
            if let Some(first) = in_table.insert((&sale.id, row.item), &row.code) {
                offenders.add(|| {
                    format!(
                        "{} in the table for {first} and {}",
                        self.id(row.item),
                        row.code
                    )
                });
            }
        }
        let checked = format!(
            "{} items answered as sold, {} in the table",
            buyer_of.len(),
            in_table.len()
        );
        offenders.verdict("nothing is sold twice", self.sold_scope(), checked)
    }

    fn nobody_over_the_limit(&self) -> Verdict {
        let mut offenders = Offenders::default();
        let mut answered: HashMap<_, HashSet<ItemNo>> = HashMap::new();
        for of in &self.outcomes {
            answered
                .entry((of.sale, of.exchange.user))
                .or_default()
                .extend(&of.outcome.bought);
        }
        for ((sale, user), items) in &answered {
            let sale = self.stored_rows.sale(sale);
            if sale.is_some_and(|sale| items.len() > sale.row.per_user as usize) {
                offenders.add(|| format!("{} was answered {}", self.run.user(*user), items.len()));
            }
        }
        let mut stored: HashMap<_, usize> = HashMap::new();
        for (sale, row) in self.purchases() {
            let of = (&sale.id, &row.user);
            let count = stored.entry(of).or_default();
            *count += 1;
            if *count == sale.row.per_user as usize + 1 {
                offenders.add(|| format!("{} has {count} or more in the table", row.user));
            }
        }
        let limits: Vec<String> = self
            .stored_rows
            .sales
            .iter()
            .map(|sale| sale.row.per_user.to_string())
            .collect();
        let checked = format!("{} users, {} items each", stored.len(), limits.join(" or "));
        offenders.verdict("nobody is over the limit", self.sold_scope(), checked)
    }

    fn total_not_exceeded(&self) -> Verdict {
        let mut offenders = Offenders::default();
        let mut details = Vec::new();
        for sale in &self.stored_rows.sales {
            let total = sale.row.total_limit as usize;
            let stored = sale.purchases.len();
            let answered = self
                .outcomes
                .iter()
                .filter(|answered| answered.sale == sale.id)
                .flat_map(|answered| &answered.outcome.bought)
                .collect::<HashSet<_>>()
                .len();
            if stored > total {
                offenders.add(|| format!("{stored} in the table"));
            }
            if answered > total {
                offenders.add(|| format!("{answered} answered"));
            }
            details.push(format!("{stored} of {total} sold"));
        }
        let checked = details.join(", ");
        offenders.verdict("the total is not exceeded", self.sold_scope(), checked)
    }

    fn answered_purchases_are_there(&self) -> Verdict {
        let sales = || self.stored_rows.sales.iter();
        let orders: HashMap<&str, &OrderRow> = sales()
            .flat_map(|sale| sale.orders.iter().map(|order| (&*order.code, order)))
            .collect();
        let buyers: HashMap<(&str, ItemNo), &PurchaseRow> = self
            .purchases()
            .map(|(sale, row)| ((sale.id.as_str(), row.item), row))
            .collect();
        let mut offenders = Offenders::default();
        for Answered {
            exchange,
            code,
            sale,
            outcome,
        } in &self.outcomes
        {
            let user = self.run.user(exchange.user);
            let Some(order) = orders.get(&***code) else {
                offenders.add(|| format!("{code} of {user} was answered and has no order"));
                continue;
            };
            if *order.user != *user {
                offenders.add(|| format!("{code} of {user} is an order of {}", order.user));
            }
            if let Some(difference) = self.difference(outcome, order) {
                offenders.add(|| format!("{code} of {user}: {difference}"));
            }
            for item in &outcome.bought {
                let row = buyers.get(&(sale, *item));
                if !row.is_some_and(|row| *row.code == ***code && *row.user == *user) {
                    offenders.add(|| {
                        let found = row.map_or("to nobody".to_owned(), |row| {
                            format!("to {} of {}", row.code, row.user)
                        });
                        let item = self.id(*item);
                        format!("{code} of {user} was answered {item}, stored as sold {found}")
                    });
                }
            }
        }
        let scope = Scope {
            compared: self.outcomes.len(),
            due: self.purchases_asked > 0,
        };
        let checked = format!("{} answers compared with orders", self.outcomes.len());
        offenders.verdict("every answered purchase is there", scope, checked)
    }

    /// What an answer and the stored order tell differently.
    fn difference(&self, outcome: &Outcome, order: &OrderRow) -> Option<String> {
        let mut answered: Vec<(ItemNo, Option<Problem>)> = outcome
            .bought
            .iter()
            .map(|item| (*item, None))
            .chain(outcome.failed.iter().map(|(item, why)| (*item, Some(*why))))
            .collect();
        let mut stored = order.results.clone();
        answered.sort_by_key(|(item, _)| *item);
        stored.sort_by_key(|(item, _)| *item);
        let word = |found: Option<&(ItemNo, Option<Problem>)>| match found {
            None => "nothing",
            Some((_, None)) => "sold",
            Some((_, Some(why))) => why.as_str().unwrap_or("another reason"),
        };
        let all = answered.iter().chain(&stored).map(|(item, _)| *item);
        all.into_iter().find_map(|item| {
            let of = |list: &[(ItemNo, Option<Problem>)]| {
                word(list.iter().find(|(other, _)| *other == item))
            };
            let (answered, stored) = (of(&answered), of(&stored));
            (answered != stored).then(|| {
                format!(
                    "{} answered as {answered}, stored as {stored}",
                    self.id(item)
                )
            })
        })
    }

    fn one_outcome_per_code(&self) -> Verdict {
        let mut offenders = Offenders::default();
        let mut first_of: HashMap<&str, &Outcome> = HashMap::new();
        let mut repeats = 0_usize;
        for answered in &self.outcomes {
            let (code, outcome) = (answered.code, answered.outcome);
            match first_of.get(&**code) {
                None => {
                    first_of.insert(code, outcome);
                }
                Some(first) => {
                    repeats += 1;
                    if *first != outcome {
                        offenders.add(|| {
                            let (first, then) = (self.described(first), self.described(outcome));
                            format!("{code} was answered {first}, then {then}")
                        });
                    }
                }
            }
        }
        // A code that has an outcome answers it; anything else says that it was forgotten, or
        // was not decided when it was said to be. A failure (5xx, no answer) says nothing. An
        // order is an outcome too, also where its answer never came.
        let sales = self.stored_rows.sales.iter();
        let ordered: HashSet<&str> = sales
            .flat_map(|sale| sale.orders.iter().map(|order| &*order.code))
            .collect();
        for exchange in self.history.exchanges() {
            if let (
                Asked::Purchase { code },
                Answer::Refused { status, .. } | Answer::Unreadable { status },
            ) = (&exchange.asked, &exchange.answer)
                && *status < 500
                && (first_of.contains_key(&**code) || ordered.contains(&**code))
            {
                repeats += 1;
                offenders.add(|| format!("{code} has an outcome and was answered {status}"));
            }
        }
        let scope = Scope {
            compared: repeats,
            due: false,
        };
        let checked = format!("{} codes, {repeats} asked again", first_of.len());
        offenders.verdict("a code has one outcome", scope, checked)
    }

    fn described(&self, outcome: &Outcome) -> String {
        let ids: Vec<_> = outcome.bought.iter().map(|item| self.id(*item)).collect();
        format!(
            "{} with [{}] bought and {} failed",
            outcome.status,
            ids.join(" "),
            outcome.failed.len()
        )
    }
}

#[cfg(test)]
mod tests;
