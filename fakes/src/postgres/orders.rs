//! Operations that write `orders` and `purchases`.

use std::collections::BTreeMap;

use flashsale_engine::{
    BackendError, Claim, ItemOutcome, ItemResult, ItemResultKind, Outcome, SaleId,
};

use crate::postgres::tables::{OrderRow, PurchaseRow, SaleRow, Tables, Violation};

/// What a transaction has written so far: what its rollback deletes.
#[derive(Debug, Default)]
struct Written {
    orders: Vec<String>,
    purchases: Vec<(SaleId, u32)>,
}

/// Why a purchase is refused.
enum Refused {
    Violation(Violation),
    /// There is no such sale.
    NoSale,
}

impl From<Violation> for Refused {
    fn from(violation: Violation) -> Self {
        Self::Violation(violation)
    }
}

impl Tables {
    /// Inserts the orders and purchases of claims, all or none.
    pub fn insert_orders(&mut self, claims: &[&Claim]) -> Result<(), Violation> {
        let mut written = Written::default();
        let done = self.try_insert_orders(claims, &mut written);
        if done.is_err() {
            self.roll_back(written);
        }
        done
    }

    /// Orders by code first, then purchases by item, then the triggers: the order in which Postgres
    /// carries the statement out, which decides the error where there are several.
    fn try_insert_orders(
        &mut self,
        claims: &[&Claim],
        written: &mut Written,
    ) -> Result<(), Violation> {
        let mut claims = claims.to_vec();
        claims.sort_unstable_by_key(|claim| claim.code.to_string());
        let mut bought = Vec::new();
        for claim in &claims {
            self.insert_order(claim, written)?;
            for result in &claim.outcome.results {
                if let ItemOutcome::Sold {
                    user_slot,
                    sale_slot,
                } = result.outcome
                {
                    let row = PurchaseRow {
                        user: claim.outcome.user.clone(),
                        user_slot,
                        sale_slot: (sale_slot != 0).then_some(sale_slot),
                    };
                    bought.push((claim.sale(), result.idx, row));
                }
            }
        }
        bought.sort_by_key(|(sale, idx, _)| (sale.as_str(), *idx));
        for (sale, idx, row) in bought {
            self.insert_purchase(sale, idx, row, written)?;
        }
        self.check_unsettled(claims.iter().map(|claim| claim.sale()))?;
        self.check_within_sale(&written.purchases)
    }

    /// Inserts the order of one claim item by item, at the lowest free slots.
    pub fn insert_order_by_item(
        &mut self,
        claim: &Claim,
        operation: &'static str,
    ) -> Result<Outcome, BackendError> {
        let mut written = Written::default();
        let done = self.try_insert_by_item(claim, &mut written);
        done.map_err(|refused| {
            self.roll_back(written);
            match refused {
                Refused::Violation(violation) => violation.into_backend_error(operation),
                Refused::NoSale => BackendError::unexpected(operation, "a row", "none"),
            }
        })
    }

    fn try_insert_by_item(
        &mut self,
        claim: &Claim,
        written: &mut Written,
    ) -> Result<Outcome, Refused> {
        self.insert_order(claim, written)?;
        self.check_unsettled([claim.sale()])?;
        let mut outcome = claim.outcome.clone();
        let mut results: Vec<&mut ItemResult> = outcome.results.iter_mut().collect();
        results.sort_by_key(|result| result.idx);
        for result in results {
            if result.outcome.kind() == ItemResultKind::Sold {
                result.outcome = self.buy_at_free_slots(claim, result.idx, written)?;
            }
        }
        if let Some(row) = self.orders.get_mut(&claim.code.to_string()) {
            row.results = outcome.kinds().collect();
        }
        Ok(outcome)
    }

    fn buy_at_free_slots(
        &mut self,
        claim: &Claim,
        idx: u32,
        written: &mut Written,
    ) -> Result<ItemOutcome, Refused> {
        let (sale, user) = (claim.sale(), &claim.outcome.user);
        let row = self.sales.get(sale).ok_or(Refused::NoSale)?;
        let purchases = self.purchases.get(sale);
        if purchases.is_some_and(|purchases| purchases.of_item(idx).is_some()) {
            return Ok(ItemOutcome::AlreadySold);
        }
        let taken_by_user = |slot: u32| purchases.is_some_and(|p| p.has_user_slot(user, slot));
        let taken_in_sale = |slot: u32| purchases.is_some_and(|p| p.has_sale_slot(slot));
        let limits = row.sale.limits;
        let Some(user_slot) = (1..=limits.per_user).find(|slot| !taken_by_user(*slot)) else {
            return Ok(ItemOutcome::LimitReached);
        };
        let sale_slot = if row.sale.needs_sale_slots() {
            match (1..=limits.total).find(|slot| !taken_in_sale(*slot)) {
                None => return Ok(ItemOutcome::LimitReached),
                slot => slot,
            }
        } else {
            None
        };
        let purchase = PurchaseRow {
            user: user.clone(),
            user_slot,
            sale_slot,
        };
        self.insert_purchase(sale, idx, purchase, written)?;
        self.check_within_sale(&[(sale.clone(), idx)])?;
        Ok(ItemOutcome::Sold {
            user_slot,
            sale_slot: sale_slot.unwrap_or(0),
        })
    }

    fn insert_order(&mut self, claim: &Claim, written: &mut Written) -> Result<(), Violation> {
        let outcome = &claim.outcome;
        let code = claim.code.to_string();
        if self.orders.contains_key(&code) {
            return Err(Violation::unique("orders_pkey"));
        }
        let row = OrderRow {
            sale: claim.sale().clone(),
            user: outcome.user.clone(),
            request_id: outcome.request_id.clone(),
            at_ms: outcome.at_ms,
            results: outcome.kinds().collect(),
        };
        written.orders.push(code.clone());
        self.orders.insert(code, row);
        Ok(())
    }

    fn insert_purchase(
        &mut self,
        sale: &SaleId,
        idx: u32,
        row: PurchaseRow,
        written: &mut Written,
    ) -> Result<(), Violation> {
        let purchases = self.purchases.entry(sale.clone()).or_default();
        purchases.insert(idx, row)?;
        written.purchases.push((sale.clone(), idx));
        Ok(())
    }

    /// The trigger `purchases_within_sale`.
    fn check_within_sale(&self, inserted: &[(SaleId, u32)]) -> Result<(), Violation> {
        let admitted = |(sale, idx): &(SaleId, u32)| {
            let row = self.purchases.get(sale).and_then(|rows| rows.of_item(*idx));
            let sale: Option<&SaleRow> = self.sales.get(sale);
            sale.zip(row)
                .is_some_and(|(sale, row)| sale.admits(*idx, row))
        };
        if inserted.iter().all(admitted) {
            Ok(())
        } else {
            Err(Violation::check("purchases_within_sale"))
        }
    }

    /// The trigger `orders_before_settlement`.
    fn check_unsettled<'a>(
        &self,
        sales: impl IntoIterator<Item = &'a SaleId>,
    ) -> Result<(), Violation> {
        match sales.into_iter().any(|sale| self.is_settled(sale)) {
            true => Err(Violation::sale_settled()),
            false => Ok(()),
        }
    }

    fn roll_back(&mut self, written: Written) {
        for code in written.orders {
            self.orders.remove(&code);
        }
        let purchases: &mut BTreeMap<_, _> = &mut self.purchases;
        for (sale, idx) in written.purchases {
            if let Some(rows) = purchases.get_mut(&sale) {
                rows.delete(idx);
            }
        }
    }
}
