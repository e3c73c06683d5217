//! Makes a sale, or one of its cart partitions, ready to sell.

use crate::domain::error::BackendError;
use crate::domain::sale::Sale;
use crate::redis::commands::Redis;
use crate::redis::keys::{PartitionKeys, SaleKeys};

/// What a cart partition holds when it is made ready.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Carts {
    /// All carts that there are.
    Whole,
    /// Perhaps not all: scripts refuse until they are restored.
    Unchecked,
}

/// Makes a cart partition ready.
pub(crate) async fn mark_partition_ready(
    redis: &impl Redis,
    keys: &PartitionKeys,
    sale: &Sale,
    epoch: &str,
    carts: Carts,
) -> Result<(), BackendError> {
    let fields = [("per_checkout", sale.limits.per_checkout)];
    mark_ready(redis, &keys.meta, sale, (epoch, carts), &fields).await
}

/// Makes the sale's slot ready.
pub(crate) async fn mark_sale_ready(
    redis: &impl Redis,
    keys: &SaleKeys,
    sale: &Sale,
    epoch: &str,
) -> Result<(), BackendError> {
    let fields = [
        ("per_user", sale.limits.per_user),
        ("total", sale.limits.total),
        ("numbered", u32::from(sale.needs_sale_slots())),
    ];
    mark_ready(redis, &keys.meta, sale, (epoch, Carts::Whole), &fields).await
}

async fn mark_ready(
    redis: &impl Redis,
    meta: &str,
    sale: &Sale,
    (epoch, carts): (&str, Carts),
    fields: &[(&str, u32)],
) -> Result<(), BackendError> {
    super::MARK_READY
        .call::<i64>(redis, &[meta], |command| {
            command
                .arg(epoch)
                .arg(sale.format)
                .arg(match carts {
                    Carts::Whole => "",
                    Carts::Unchecked => "unchecked",
                })
                .arg("starts_ms")
                .arg(sale.window.starts_at.as_millisecond())
                .arg("ends_ms")
                .arg(sale.window.ends_at.as_millisecond());
            for (field, value) in fields {
                command.arg(field).arg(value);
            }
        })
        .await
        .map(drop)
}
