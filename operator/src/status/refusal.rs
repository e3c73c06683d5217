//! The status of a resource that is invalid, or whose references cannot be resolved.

use jiff::Timestamp;

use super::conditions::Conditions;
use super::sales::still_open;
use crate::crd::{FlashSaleStatus, Phase};
use crate::planner::FieldError;

/// Why a resource is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// It is invalid: it has to be changed.
    Invalid,
    /// A reference cannot be resolved, or leads to an invalid value.
    Reference,
}

/// The status of a refused resource: the reason, beside its sales as in `sales`. `before` is the
/// status that was last written.
pub fn refused(
    why: Refusal,
    errors: &[FieldError],
    generation: Option<i64>,
    sales: &FlashSaleStatus,
    before: &FlashSaleStatus,
    now: Timestamp,
) -> FlashSaleStatus {
    let messages: Vec<String> = errors.iter().map(ToString::to_string).collect();
    let mut conditions = Conditions {
        before: &before.conditions,
        generation,
        now,
        list: vec![],
    };
    let (phase, reason) = match why {
        Refusal::Invalid => (Phase::Invalid, "Invalid"),
        Refusal::Reference if sales.phase == Phase::Invalid => (Phase::Pending, "WrongReference"),
        Refusal::Reference => (sales.phase, "WrongReference"),
    };
    conditions.set("Ready", false, reason, messages.join("; "));
    let others = sales.conditions.iter();
    let others = others.filter(|condition| condition.type_ != "Ready");
    conditions.list.extend(others.cloned());
    FlashSaleStatus {
        phase,
        observed_generation: generation,
        conditions: conditions.list,
        active_sale: still_open(sales, now),
        ..sales.clone()
    }
}
