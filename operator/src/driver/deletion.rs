//! Puts an end to the sales of a FlashSale that is deleted.

use flashsale_engine::FlashSaleName;
use jiff::Timestamp;

use crate::crd::DeletionPolicy;
use crate::planner::{KnownSale, Observed, Removal, removal};
use crate::backends::{Problem, Stores};

/// What one look leads to may need another look: a sale that is stopped can be settled.
const MAX_ROUNDS: usize = 5;

/// Stops and settles what sells, takes back what has not begun and deletes what Redis holds; with
/// the policy to delete also what Postgres holds, last. Answers whether nothing is left to do;
/// else, as after a failure, call it again.
pub async fn remove(
    stores: &Stores,
    name: &FlashSaleName,
    policy: DeletionPolicy,
    clock: impl Fn() -> Timestamp,
) -> Result<bool, Problem> {
    for _ in 0..MAX_ROUNDS {
        let look = stores.look(name).await?;
        let admin = look.admin?;
        let observed = Observed {
            sales: look.sales.into_iter().map(KnownSale::from).collect(),
            ..Observed::default()
        };
        let left = removal(&observed, clock());
        if left.is_empty() {
            admin.forget(name).await?;
            if policy == DeletionPolicy::Delete {
                admin.delete_rows(name).await?;
            }
            return Ok(true);
        }
        for step in left {
            match &step {
                Removal::Stop(id) => admin.end_early(id).await.map(drop)?,
                Removal::Withdraw(id) => admin.withdraw(id).await.map(drop)?,
                Removal::Settle(id) => admin.settle(id).await.map(drop)?,
                Removal::Retire(id) => admin.retire(id).await?,
            }
            tracing::info!(?step, "the FlashSale is deleted");
        }
    }
    Ok(false)
}
