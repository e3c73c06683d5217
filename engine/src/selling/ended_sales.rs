//! Look-ups of codes whose sale takes no claim.
//!
//! Guarantees: the stage of a sale is read before the orders, so that a code without an order in a
//! settled sale never gets one.

use std::collections::HashSet;
use std::sync::Arc;

use crate::domain::code::CheckoutCode;
use crate::domain::lifecycle::SaleStage;
use crate::domain::outcome::Outcome;
use crate::domain::sale::SaleId;
use crate::postgres::operations::Postgres;
use crate::selling::code_lane::FoundOfCodes;

/// What Postgres has of a code.
#[derive(Debug)]
pub(crate) struct CodeOfEndedSale {
    /// The stage of its sale; none where there is no such sale.
    pub stage: Option<SaleStage>,
    /// Its outcome; none where it had no order when the sale was in that stage.
    pub outcome: Option<Outcome>,
}

/// What Postgres has of these codes, and of their sales.
pub(crate) async fn find_codes<P: Postgres>(
    postgres: Arc<P>,
    codes: Vec<CheckoutCode>,
) -> FoundOfCodes<CodeOfEndedSale> {
    let sales: HashSet<&SaleId> = codes.iter().map(|code| &code.sale).collect();
    let sales: Vec<SaleId> = sales.into_iter().cloned().collect();
    let stages = postgres.read_stages(&sales).await?;
    let found = postgres.read_outcomes(&codes).await?;
    let answer = |code: &CheckoutCode| {
        Ok(CodeOfEndedSale {
            stage: stages.get(&code.sale).copied(),
            outcome: found.of(code)?,
        })
    };
    Ok(codes.iter().map(answer).collect())
}
