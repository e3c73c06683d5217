//! Whether every answered attempt is logged once, as what it was.

use std::collections::HashMap;

use super::Case;
use crate::checker::history::{Asked, Exchange};
use crate::checker::stored_rows::{AttemptRow, sale_of_code};
use crate::checker::verdict::{Offenders, Scope, Verdict};
use crate::client::answer::{Answer, Problem};
use crate::client::catalogue::ItemNo;
use crate::client::run_id::RequestNo;

impl Case<'_> {
    pub(super) fn attempts_logged_once(&self) -> Verdict {
        let mut offenders = Offenders::default();
        let mut rows: HashMap<RequestNo, &AttemptRow> =
            HashMap::with_capacity(self.stored_rows.attempts.len());
        for row in &self.stored_rows.attempts {
            if rows.insert(row.request, row).is_some() {
                offenders.add(|| format!("{} is logged twice", self.run.request(row.request)));
            }
        }
        let (mut asked, mut dropped) = (0_usize, 0_usize);
        for exchange in self.history.exchanges() {
            let Asked::Checkout { item } = &exchange.asked else {
                continue;
            };
            asked += 1;
            match rows.remove(&exchange.request) {
                Some(row) => {
                    if let Some(difference) = self.attempt_difference(exchange, *item, row) {
                        let id = self.run.request(exchange.request);
                        offenders.add(|| format!("{id} is logged {difference}"));
                    }
                }
                None if !exchange.must_be_logged() => {}
                None if self.may_be_dropped(exchange) => dropped += 1,
                None => {
                    let id = self.run.request(exchange.request);
                    offenders.add(|| format!("{id} was answered and is not logged"));
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
        let answered = self.history.must_be_logged();
        let logged = self.stored_rows.attempts.len();
        let mut checked = format!("{answered} attempts answered, {logged} logged");
        if dropped > 0 {
            checked.push_str(&format!(", {dropped} dropped, which this sale allows"));
        }
        let scope = Scope {
            compared: usize::try_from(answered).unwrap_or(usize::MAX).max(logged),
            due: asked > 0,
        };
        offenders.verdict("every answered attempt is logged once", scope, checked)
    }

    fn may_be_dropped(&self, exchange: &Exchange) -> bool {
        let sale = match &exchange.answer {
            Answer::Added { code } => sale_of_code(code),
            _ => None,
        };
        self.stored_rows
            .sale(sale.unwrap_or(self.catalogue.sale()))
            .is_some_and(|sale| sale.row.best_effort)
    }

    fn attempt_difference(
        &self,
        exchange: &Exchange,
        item: ItemNo,
        row: &AttemptRow,
    ) -> Option<String> {
        let user = self.run.user(exchange.user);
        if row.user.as_deref() != Some(&*user) {
            let stored = row.user.as_deref().unwrap_or("nobody");
            return Some(format!("for {stored} instead of {user}"));
        }
        if row.item != Some(item) {
            let stored = row.item.map(|stored| self.id(stored));
            let stored = stored.as_deref().unwrap_or("no item of the catalogue");
            return Some(format!("with {stored} instead of {}", self.id(item)));
        }
        if !self.sale_fits(exchange, row.sale.as_deref()) {
            let stored = row.sale.as_deref().unwrap_or("no sale");
            return Some(format!("in {stored}, which is not where it was"));
        }
        match &exchange.answer {
            Answer::Added { code } => {
                let outcome = matches!(&*row.outcome, "added" | "in_cart");
                (!outcome || row.code.as_deref() != Some(code)).then(|| {
                    let stored = row.code.as_deref().unwrap_or("nothing");
                    format!("as {} with code {stored} instead of {code}", row.outcome)
                })
            }
            Answer::Refused { status, problem } if *status < 500 => {
                let expected = problem.as_str()?;
                (*row.outcome != *expected)
                    .then(|| format!("as {} instead of {expected}", row.outcome))
            }
            _ => None,
        }
    }

    /// Whether an attempt can have been made in the sale that is stored with it.
    fn sale_fits(&self, exchange: &Exchange, stored: Option<&str>) -> bool {
        let own = self.catalogue.sale();
        match (&exchange.answer, stored) {
            (Answer::Added { code }, stored) => stored == sale_of_code(code).or(Some(own)),
            (_, Some(stored)) if stored == own => true,
            // What is refused names no sale: at the close it may be the next one of the same
            // FlashSale, or none.
            (_, Some(stored)) => exchange.at_close && flash_sale(stored) == flash_sale(own),
            (
                Answer::Refused {
                    problem: Problem::SaleNotActive,
                    ..
                },
                None,
            ) => true,
            // Without an answer nobody knows whether it was refused like that.
            (answer, None) => answer.is_failure(),
        }
    }
}

/// `<namespace>.<name>` of a sale id, which ends with its start.
fn flash_sale(sale: &str) -> Option<&str> {
    sale.rsplit_once('.').map(|(name, _)| name)
}
