//! Operations that read `orders` and `purchases`.

use std::collections::HashMap;
use std::ops::Bound;

use flashsale_engine::postgres::operations::{CorrectionFacts, PAGE};
use flashsale_engine::{
    CheckoutCode, CodeSuffix, ItemOutcome, ItemResult, ItemResultKind, Outcome, Purchase, SaleId,
};

use crate::postgres::tables::{OrderRow, PurchaseRow, Purchases, Tables};

impl Tables {
    /// The outcomes of these codes.
    pub fn read_outcomes(&self, codes: &[CheckoutCode]) -> HashMap<CheckoutCode, Outcome> {
        let known = codes.iter().filter_map(|code| {
            let order = self.orders.get(&code.to_string())?;
            Some((code.clone(), self.outcome(order)))
        });
        known.collect()
    }

    /// What became of the items of these codes.
    pub fn read_result_kinds(
        &self,
        codes: &[CheckoutCode],
    ) -> HashMap<CheckoutCode, Vec<(u32, ItemResultKind)>> {
        let known = codes.iter().filter_map(|code| {
            let order = self.orders.get(&code.to_string())?;
            Some((code.clone(), order.results.clone()))
        });
        known.collect()
    }

    /// A page of the outcomes of a sale, behind the code `after`.
    pub fn read_sale_outcomes(
        &self,
        sale: &SaleId,
        after: Option<&CodeSuffix>,
    ) -> Vec<(CodeSuffix, Outcome)> {
        let after = after.map(CodeSuffix::as_str).unwrap_or_default();
        let range = (
            Bound::Excluded(format!("CHK-{sale}-{after}")),
            Bound::Excluded(format!("CHK-{sale}.")),
        );
        let orders = self.orders.range(range);
        let of_sale = orders.filter(|(_, order)| order.sale == *sale);
        let outcomes = of_sale.filter_map(|(code, order)| {
            // Every key was the text of a code.
            let code = CheckoutCode::parse(code)?;
            Some((code.suffix, self.outcome(order)))
        });
        outcomes.take(PAGE).collect()
    }

    /// The view `order_outcomes`: the slots of an item that was sold are those of its purchase.
    fn outcome(&self, order: &OrderRow) -> Outcome {
        let purchases = self.purchases.get(&order.sale);
        let result = |(idx, kind): &(u32, ItemResultKind)| ItemResult {
            idx: *idx,
            outcome: match kind {
                ItemResultKind::Sold => {
                    let row = purchases.and_then(|purchases| purchases.of_item(*idx));
                    ItemOutcome::Sold {
                        user_slot: row.map_or(0, |row| row.user_slot),
                        sale_slot: row.and_then(|row| row.sale_slot).unwrap_or(0),
                    }
                }
                ItemResultKind::AlreadySold => ItemOutcome::AlreadySold,
                ItemResultKind::LimitReached => ItemOutcome::LimitReached,
            },
        };
        Outcome {
            user: order.user.clone(),
            request_id: order.request_id.clone(),
            at_ms: order.at_ms,
            results: order.results.iter().map(result).collect(),
        }
    }

    /// A page of what a sale sold.
    pub fn read_purchases(&self, sale: &SaleId, from: u32) -> Vec<Purchase> {
        let purchases = self.purchases.get(sale).into_iter();
        let rows = purchases.flat_map(|purchases| purchases.from(from));
        let purchases = rows.map(|(idx, row)| purchase(idx, row));
        purchases.take(PAGE).collect()
    }

    /// A page of the item indexes that a sale sold.
    pub fn read_sold_items(&self, sale: &SaleId, from: u32) -> Vec<u32> {
        let purchases = self.purchases.get(sale).into_iter();
        let rows = purchases.flat_map(|purchases| purchases.from(from));
        rows.map(|(idx, _)| idx).take(PAGE).collect()
    }

    /// The purchases of items of a sale.
    pub fn read_purchases_of_items(&self, sale: &SaleId, items: &[u32]) -> Vec<Purchase> {
        let purchases = self.purchases.get(sale).into_iter();
        let rows = purchases.flat_map(|purchases| purchases.from(0));
        rows.filter(|(idx, _)| items.contains(idx))
            .map(|(idx, row)| purchase(idx, row))
            .collect()
    }

    /// What Redis must hold of a user, of these items and of these sale slots; none where there is
    /// no such sale.
    pub fn read_correction_facts(
        &self,
        sale: &SaleId,
        user: &str,
        items: &[u32],
        sale_slots: &[u32],
    ) -> Option<CorrectionFacts> {
        let per_user = self.sales.get(sale)?.sale.limits.per_user;
        let none = Purchases::default();
        let purchases = self.purchases.get(sale).unwrap_or(&none);
        let digit = |slot| {
            if purchases.has_user_slot(user, slot) {
                '1'
            } else {
                '0'
            }
        };
        let sold = purchases.from(0).map(|(idx, _)| idx);
        let free = sale_slots.iter().copied();
        Some(CorrectionFacts {
            user_slots: (1..=per_user).map(digit).collect(),
            highest_sale_slot: purchases.highest_sale_slot(),
            sold: sold.filter(|idx| items.contains(idx)).collect(),
            free_sale_slots: free
                .filter(|slot| !purchases.has_sale_slot(*slot))
                .collect(),
        })
    }
}

fn purchase(idx: u32, row: &PurchaseRow) -> Purchase {
    Purchase {
        idx,
        user: row.user.clone(),
        user_slot: row.user_slot,
        sale_slot: row.sale_slot.unwrap_or(0),
    }
}
