//! Executes one action of a plan.

use std::time::Duration;

use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{Admin, Catalog, Closed};

use crate::backends::ActionError;
use crate::planner::{Action, Settings, Upcoming};

/// The items of a FlashSale's sales.
pub enum ResolvedCatalog {
    /// This many generated items, different ones for each sale.
    Generated(u32),
    /// The same items in each sale.
    Listed(Catalog),
}

/// What an action has done.
pub(super) enum Executed {
    /// The observed state may have changed, and with it the plan.
    Changed,
    /// The plan stays the same.
    Unchanged,
    /// The partitions of the attempts are maintained; the plan stays the same otherwise.
    PartitionsMaintained,
    /// The sale is open by the clock of Redis for this long, and cannot be closed yet.
    StillOpen(Duration),
}

impl Executed {
    fn changed(changed: bool) -> Self {
        match changed {
            true => Self::Changed,
            false => Self::Unchanged,
        }
    }
}

/// Executes an action on the backends.
pub(super) async fn execute<R: Redis, P: Postgres>(
    admin: &Admin<R, P>,
    action: &Action,
    settings: &Settings,
    catalog: &ResolvedCatalog,
) -> Result<Executed, ActionError> {
    match action {
        Action::Maintain(id) => {
            let kept_up = admin.keep_up(id).await?;
            if kept_up.restored || kept_up.settled_entries > 0 {
                tracing::info!(sale = %id, ?kept_up, "restored, corrected or settled");
            }
            Ok(Executed::Unchanged)
        }
        Action::Close(id) => match admin.close(id).await? {
            Closed::Closed { .. } => Ok(Executed::Changed),
            Closed::NotYet { open_for } => {
                tracing::info!(sale = %id, ?open_for, "still open by the clock of Redis");
                Ok(Executed::StillOpen(open_for))
            }
        },
        Action::Withdraw(id) => Ok(Executed::changed(admin.withdraw(id).await?)),
        Action::Seed(upcoming) => {
            seed(admin, upcoming, settings, catalog).await?;
            Ok(Executed::Changed)
        }
        Action::Settle(id) => Ok(Executed::changed(admin.settle(id).await?.settled)),
        Action::Retire(id) => {
            admin.retire(id).await?;
            Ok(Executed::Changed)
        }
        Action::MaintainPartitions { retention_days } => {
            admin
                .attempts_housekeeping(&settings.name, *retention_days)
                .await?;
            Ok(Executed::PartitionsMaintained)
        }
    }
}

async fn seed<R: Redis, P: Postgres>(
    admin: &Admin<R, P>,
    upcoming: &Upcoming,
    settings: &Settings,
    catalog: &ResolvedCatalog,
) -> Result<(), ActionError> {
    let generated;
    let catalog = match catalog {
        ResolvedCatalog::Listed(catalog) => catalog,
        ResolvedCatalog::Generated(count) => {
            generated = Catalog::generate(*count, upcoming.id.starts_label())?;
            &generated
        }
    };
    let sale = settings.sale(upcoming.window, catalog.len() as u32)?;
    let report = admin.seed(&sale, catalog).await?;
    tracing::info!(sale = %sale.id, ?report, "seeded");
    Ok(())
}
