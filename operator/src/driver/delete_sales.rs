//! Ends the sales of a FlashSale that is deleted.

use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{Clock, FlashSaleName};

use crate::backends::{ActionError, Connection};
use crate::crd::DeletionPolicy;
use crate::planner::{DeletionAction, Observed, ObservedSale, plan_deletion};

/// One pass of actions may make another one due: a closed sale can be settled.
const MAX_PASSES: usize = 5;

/// How far the deletion is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Deletion {
    /// Nothing is left.
    Complete,
    /// Actions are left: call again.
    InProgress,
}

/// Closes and settles open sales, withdraws sales that have not started, and deletes what Redis
/// holds; with [`DeletionPolicy::Delete`] also, as the last step, the rows in Postgres. After an
/// error, call it again.
pub async fn delete_sales<R: Redis, P: Postgres>(
    connection: &Connection<R, P>,
    name: &FlashSaleName,
    policy: DeletionPolicy,
    clock: &Clock,
) -> Result<Deletion, ActionError> {
    let admin = connection.admin()?;
    for _ in 0..MAX_PASSES {
        let sales = admin.observe(name).await?;
        let observed = Observed {
            sales: sales.into_iter().map(ObservedSale::from).collect(),
            ..Observed::default()
        };
        let actions = plan_deletion(&observed, clock.now());
        if actions.is_empty() {
            admin.delete_refused_attempts(name).await?;
            if policy == DeletionPolicy::Delete {
                admin.delete_rows(name).await?;
            }
            return Ok(Deletion::Complete);
        }
        for action in actions {
            match &action {
                DeletionAction::EndEarly(id) => admin.end_early(id).await.map(drop)?,
                DeletionAction::Withdraw(id) => admin.withdraw(id).await.map(drop)?,
                DeletionAction::Settle(id) => admin.settle(id).await.map(drop)?,
                DeletionAction::Retire(id) => admin.retire(id).await?,
            }
            tracing::info!(?action, "executed, because the FlashSale is deleted");
        }
    }
    Ok(Deletion::InProgress)
}
