//! The registry of a FlashSale's sales: what its API processes follow.

use crate::domain::error::BackendError;
use crate::domain::sale::{FlashSaleName, Sale, SaleId};
use crate::redis::commands::{Redis, call};
use crate::redis::keys::registry as key;

const OPERATION: &str = "registry";

/// The registered sales of a FlashSale.
pub(crate) async fn read(
    redis: &impl Redis,
    flash_sale: &FlashSaleName,
) -> Result<Vec<Sale>, BackendError> {
    let key = key(flash_sale);
    let mut command = redis::cmd("HVALS");
    command.arg(&key);
    let texts: Vec<String> = call(redis, OPERATION, &key, &command).await?;
    let parse = |text: &String| {
        let sale = serde_json::from_str(text);
        // One entry of a later version must not hide the sales beside it.
        sale.inspect_err(|error| tracing::error!(entry = text, %error, "registry: no sale"))
            .ok()
    };
    Ok(texts.iter().filter_map(parse).collect())
}

/// Whether a sale is registered.
pub(crate) async fn contains(redis: &impl Redis, id: &SaleId) -> Result<bool, BackendError> {
    let key = key(id.flash_sale());
    let mut command = redis::cmd("HEXISTS");
    command.arg(&key).arg(id.as_str());
    call(redis, OPERATION, &key, &command).await
}

/// Registers a sale.
pub(crate) async fn add(redis: &impl Redis, sale: &Sale) -> Result<(), BackendError> {
    let description = serde_json::to_string(sale)
        .map_err(|e| BackendError::unexpected("sale", "one that JSON can hold", e.to_string()))?;
    let key = key(sale.id.flash_sale());
    let mut command = redis::cmd("HSET");
    command.arg(&key).arg(sale.id.as_str()).arg(description);
    call::<i64>(redis, OPERATION, &key, &command)
        .await
        .map(drop)
}

/// Takes a sale out of the registry.
pub(crate) async fn remove(redis: &impl Redis, id: &SaleId) -> Result<(), BackendError> {
    let key = key(id.flash_sale());
    let mut command = redis::cmd("HDEL");
    command.arg(&key).arg(id.as_str());
    call::<i64>(redis, OPERATION, &key, &command)
        .await
        .map(drop)
}
