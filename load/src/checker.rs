//! Compares what was answered with what Postgres holds, and judges each invariant.
//!
//! Pure: values in, verdicts out. It must never call something held that it could not
//! look at.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use serde::Serialize;

use crate::answer::{Answer, Outcome, Problem};
use crate::catalogue::{Catalogue, ItemNo};
use crate::history::{Asked, Exchange, History};
use crate::run_id::{RequestNo, RunId};
use crate::truth::{AttemptRow, OrderRow, PurchaseRow, Truth};

/// Offenders that a verdict names.
const NAMED: usize = 5;

/// The judgement on one invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The invariant.
    pub invariant: &'static str,
    /// Whether it held.
    pub held: bool,
    /// What was compared and, where it broke, up to five offenders.
    pub detail: String,
}

/// Judges all invariants.
#[must_use]
pub fn check(history: &History, truth: &Truth, run: &RunId, catalogue: &Catalogue) -> Vec<Verdict> {
    let case = Case {
        outcomes: outcomes(history),
        history,
        truth,
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
    ]
}

/// Answered attempts that have no row yet: they are settled a little after the answer.
#[must_use]
pub fn missing_attempts(history: &History, truth: &Truth) -> usize {
    let logged: HashSet<RequestNo> = truth.attempts.iter().map(|row| row.request).collect();
    let exchanges = history.exchanges().iter();
    exchanges
        .filter(|exchange| exchange.must_be_logged() && !logged.contains(&exchange.request))
        .count()
}

type Outcomes<'a> = Vec<(&'a Exchange, &'a Arc<str>, &'a Arc<Outcome>)>;

fn outcomes(history: &History) -> Outcomes<'_> {
    let answered = history.exchanges().iter();
    answered
        .filter_map(|exchange| match (&exchange.asked, &exchange.answer) {
            (Asked::Purchase { code }, Answer::Outcome(outcome)) => Some((exchange, code, outcome)),
            _ => None,
        })
        .collect()
}

struct Case<'a> {
    history: &'a History,
    outcomes: Outcomes<'a>,
    truth: &'a Truth,
    run: &'a RunId,
    catalogue: &'a Catalogue,
}

/// Collects offenders: all are counted, few are named.
#[derive(Default)]
struct Offenders {
    count: usize,
    named: Vec<String>,
}

impl Offenders {
    fn add(&mut self, describe: impl FnOnce() -> String) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(describe());
        }
    }

    fn verdict(self, invariant: &'static str, looked_at: String) -> Verdict {
        let held = self.count == 0;
        let detail = if held {
            looked_at
        } else {
            format!(
                "{looked_at}; {} broke it: {}",
                self.count,
                self.named.join("; ")
            )
        };
        Verdict {
            invariant,
            held,
            detail,
        }
    }
}

impl Case<'_> {
    fn id(&self, item: ItemNo) -> String {
        self.catalogue.id(item).into_owned()
    }

    fn nothing_sold_twice(&self) -> Verdict {
        let mut offenders = Offenders::default();
        let mut buyer_of = HashMap::new();
        for (_, code, outcome) in &self.outcomes {
            let mut in_answer = HashSet::new();
            for item in &outcome.bought {
                if !in_answer.insert(item) {
                    offenders.add(|| format!("{} twice in one answer of {code}", self.id(*item)));
                }
                let first = buyer_of.entry(*item).or_insert(*code);
                if *first != *code {
                    offenders.add(|| {
                        format!("{} answered as sold to {first} and {code}", self.id(*item))
                    });
                }
            }
        }
        let mut in_table = HashMap::new();
        for row in &self.truth.purchases {
            if let Some(first) = in_table.insert(row.item, &row.code) {
                offenders.add(|| {
                    format!(
                        "{} in the table for {first} and {}",
                        self.id(row.item),
                        row.code
                    )
                });
            }
        }
        let looked_at = format!(
            "{} items answered as sold, {} in the table",
            buyer_of.len(),
            in_table.len()
        );
        offenders.verdict("nothing is sold twice", looked_at)
    }

    fn nobody_over_the_limit(&self) -> Verdict {
        let limit = self.truth.sale.per_user as usize;
        let mut offenders = Offenders::default();
        let mut answered: HashMap<_, HashSet<ItemNo>> = HashMap::new();
        for (exchange, _, outcome) in &self.outcomes {
            answered
                .entry(exchange.user)
                .or_default()
                .extend(&outcome.bought);
        }
        for (user, items) in &answered {
            if items.len() > limit {
                offenders.add(|| format!("{} was answered {}", self.run.user(*user), items.len()));
            }
        }
        let mut stored: HashMap<&str, usize> = HashMap::new();
        for row in &self.truth.purchases {
            *stored.entry(&row.user).or_default() += 1;
        }
        for (user, count) in &stored {
            if *count > limit {
                offenders.add(|| format!("{user} has {count} in the table"));
            }
        }
        let looked_at = format!("{} users, {limit} items each", stored.len());
        offenders.verdict("nobody is over the limit", looked_at)
    }

    fn total_not_exceeded(&self) -> Verdict {
        let total = self.truth.sale.total_limit as usize;
        let stored = self.truth.purchases.len();
        let answered = self
            .outcomes
            .iter()
            .flat_map(|(_, _, outcome)| &outcome.bought)
            .collect::<HashSet<_>>()
            .len();
        let mut offenders = Offenders::default();
        if stored > total {
            offenders.add(|| format!("{stored} in the table"));
        }
        if answered > total {
            offenders.add(|| format!("{answered} answered"));
        }
        let looked_at = format!("{stored} of {total} sold");
        offenders.verdict("the total is not exceeded", looked_at)
    }

    fn answered_purchases_are_there(&self) -> Verdict {
        let orders: HashMap<&str, &OrderRow> = self
            .truth
            .orders
            .iter()
            .map(|order| (&*order.code, order))
            .collect();
        let buyers: HashMap<ItemNo, &PurchaseRow> = self
            .truth
            .purchases
            .iter()
            .map(|row| (row.item, row))
            .collect();
        let mut offenders = Offenders::default();
        for (exchange, code, outcome) in &self.outcomes {
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
                let row = buyers.get(item);
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
        let looked_at = format!("{} answers compared with orders", self.outcomes.len());
        offenders.verdict("every answered purchase is there", looked_at)
    }

    /// What an answer and the stored order tell differently.
    fn difference(&self, outcome: &Outcome, order: &OrderRow) -> Option<String> {
        let mut told: Vec<(ItemNo, Option<Problem>)> = outcome
            .bought
            .iter()
            .map(|item| (*item, None))
            .chain(outcome.failed.iter().map(|(item, why)| (*item, Some(*why))))
            .collect();
        let mut stored = order.results.clone();
        told.sort_by_key(|(item, _)| *item);
        stored.sort_by_key(|(item, _)| *item);
        let word = |found: Option<&(ItemNo, Option<Problem>)>| match found {
            None => "nothing",
            Some((_, None)) => "sold",
            Some((_, Some(why))) => why.as_str().unwrap_or("another reason"),
        };
        let all = told.iter().chain(&stored).map(|(item, _)| *item);
        all.into_iter().find_map(|item| {
            let of = |list: &[(ItemNo, Option<Problem>)]| {
                word(list.iter().find(|(other, _)| *other == item))
            };
            let (told, stored) = (of(&told), of(&stored));
            (told != stored)
                .then(|| format!("{} answered as {told}, stored as {stored}", self.id(item)))
        })
    }

    fn one_outcome_per_code(&self) -> Verdict {
        let mut offenders = Offenders::default();
        let mut first_of: HashMap<&str, &Outcome> = HashMap::new();
        let mut repeats = 0_usize;
        for (_, code, outcome) in &self.outcomes {
            match first_of.get(&***code) {
                None => {
                    first_of.insert(code, outcome);
                }
                Some(first) => {
                    repeats += 1;
                    if **first != ***outcome {
                        offenders.add(|| {
                            let (first, then) = (self.tell(first), self.tell(outcome));
                            format!("{code} was answered {first}, then {then}")
                        });
                    }
                }
            }
        }
        // Answered "no such code" after an outcome: the outcome was forgotten.
        for exchange in self.history.exchanges() {
            if let (Asked::Purchase { code }, Answer::Refused { status: 404, .. }) =
                (&exchange.asked, &exchange.answer)
                && first_of.contains_key(&**code)
            {
                offenders.add(|| format!("{code} has an outcome and was answered 404"));
            }
        }
        let looked_at = format!("{} codes, {repeats} asked again", first_of.len());
        offenders.verdict("a code has one outcome", looked_at)
    }

    fn tell(&self, outcome: &Outcome) -> String {
        let ids: Vec<_> = outcome.bought.iter().map(|item| self.id(*item)).collect();
        format!(
            "{} with [{}] bought and {} failed",
            outcome.status,
            ids.join(" "),
            outcome.failed.len()
        )
    }

    fn attempts_logged_once(&self) -> Verdict {
        let mut offenders = Offenders::default();
        let mut rows: HashMap<RequestNo, &AttemptRow> =
            HashMap::with_capacity(self.truth.attempts.len());
        for row in &self.truth.attempts {
            if rows.insert(row.request, row).is_some() {
                offenders.add(|| format!("{} is logged twice", self.run.request(row.request)));
            }
        }
        let mut missing = 0_usize;
        for exchange in self.history.exchanges() {
            let Asked::Checkout { item } = &exchange.asked else {
                continue;
            };
            match rows.remove(&exchange.request) {
                Some(row) => {
                    if let Some(difference) = self.attempt_difference(exchange, *item, row) {
                        let id = self.run.request(exchange.request);
                        offenders.add(|| format!("{id} is logged {difference}"));
                    }
                }
                None if !exchange.must_be_logged() => {}
                None => {
                    missing += 1;
                    if !self.truth.sale.best_effort {
                        let id = self.run.request(exchange.request);
                        offenders.add(|| format!("{id} was answered and is not logged"));
                    }
                }
            }
        }
        for request in rows.keys() {
            offenders.add(|| {
                format!(
                    "{} is logged and was no checkout",
                    self.run.request(*request)
                )
            });
        }
        let mut looked_at = format!(
            "{} attempts answered, {} logged",
            self.history.must_be_logged(),
            self.truth.attempts.len()
        );
        if self.truth.sale.best_effort {
            looked_at.push_str(&format!(", {missing} dropped, which this sale allows"));
        }
        offenders.verdict("every answered attempt is logged once", looked_at)
    }

    fn attempt_difference(
        &self,
        exchange: &Exchange,
        item: ItemNo,
        row: &AttemptRow,
    ) -> Option<String> {
        let user = self.run.user(exchange.user);
        if row.user.as_deref().is_some_and(|stored| stored != user) {
            return Some(format!("for {:?} instead of {user}", row.user));
        }
        if row.item.is_some_and(|stored| stored != item) {
            return Some(format!("with another item than {}", self.id(item)));
        }
        match &exchange.answer {
            Answer::Added { code } => {
                let outcome = matches!(&*row.outcome, "added" | "in_cart");
                (!outcome || row.code.as_deref() != Some(code)).then(|| {
                    format!(
                        "as {} with code {:?} instead of {code}",
                        row.outcome, row.code
                    )
                })
            }
            Answer::Refused { status, problem } if *status < 500 => {
                let told = problem.as_str()?;
                (*row.outcome != *told).then(|| format!("as {} instead of {told}", row.outcome))
            }
            _ => None,
        }
    }
}

#[cfg(test)]
#[path = "checker_tests.rs"]
mod tests;
