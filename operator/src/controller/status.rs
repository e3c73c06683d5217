//! Writes the status of a FlashSale.

use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use super::client::{FIELD_MANAGER, RequestError, request};
use crate::crd::{FlashSale, FlashSaleStatus};

/// How often the count of sold items is written while nothing else changes.
const WRITE_COUNT_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// Writes the status of one FlashSale, as rarely as possible.
#[derive(Default)]
pub(super) struct StatusWriter {
    /// The status that this process wrote last, and when.
    last: Option<(FlashSaleStatus, Timestamp)>,
}

impl StatusWriter {
    /// The status that was written last, by this process or by another one.
    pub(super) fn last_written(&self, flash_sale: &FlashSale) -> FlashSaleStatus {
        match &self.last {
            Some((status, _)) => status.clone(),
            None => flash_sale.status.clone().unwrap_or_default(),
        }
    }

    /// Writes a status if it is new. A status that differs only in the count of sold items is
    /// written every few seconds, unless it `has_changes` that become events.
    pub(super) async fn write(
        &mut self,
        client: &Client,
        flash_sale: &FlashSale,
        status: FlashSaleStatus,
        has_changes: bool,
        now: Timestamp,
    ) -> Result<(), RequestError> {
        let is_count_only = self.last.as_ref().is_some_and(|(last, at)| {
            differs_only_in_count(last, &status) && now < *at + WRITE_COUNT_EVERY
        });
        if is_count_only && !has_changes {
            return Ok(());
        }
        if self.last_written(flash_sale) != status {
            patch(client, flash_sale, &status).await?;
        }
        self.last = Some((status, now));
        Ok(())
    }
}

/// Whether two statuses are equal but for the count of sold items.
fn differs_only_in_count(last: &FlashSaleStatus, status: &FlashSaleStatus) -> bool {
    let mut counted = last.clone();
    if let (Some(counted), Some(now)) = (&mut counted.active_sale, &status.active_sale) {
        counted.sold = now.sold;
        counted.sold_of_total.clone_from(&now.sold_of_total);
    }
    counted == *status
}

async fn patch(
    client: &Client,
    flash_sale: &FlashSale,
    status: &FlashSaleStatus,
) -> Result<(), RequestError> {
    let namespace = flash_sale.namespace().unwrap_or_default();
    let api: Api<FlashSale> = Api::namespaced(client.clone(), &namespace);
    let name = flash_sale.name_any();
    let patch = json!({
        "apiVersion": FlashSale::api_version(&()),
        "kind": FlashSale::kind(&()),
        // The uid excludes another FlashSale of the same name.
        "metadata": {"name": name, "uid": flash_sale.uid()},
        "status": status,
    });
    let params = PatchParams::apply(FIELD_MANAGER).force();
    request(api.patch_status(&name, &params, &Patch::Apply(patch)))
        .await
        .map(drop)
}
