//! Tells about a FlashSale: its status, and events.

use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Resource, ResourceExt};
use serde_json::json;

use super::context::Context;
use super::{MANAGER, RequestError, request};
use crate::crd::{FlashSale, FlashSaleStatus};
use crate::status::Change;

/// The API server takes no longer notes.
const MAX_NOTE_BYTES: usize = 1024;
/// Events that wait for the API server at the most.
const MAX_UNTOLD: usize = 100;
/// How often the count of sold items is written while nothing else changes.
const COUNT_EVERY: SignedDuration = SignedDuration::from_secs(5);

/// What was told of a FlashSale, and what is yet to be.
#[derive(Default)]
pub(super) struct Told {
    /// The status that was last written, and when.
    status: Option<(FlashSaleStatus, Timestamp)>,
    untold: Vec<Change>,
}

impl Told {
    /// The status that was last told, by this process or by another.
    pub(super) fn before(&self, flash_sale: &FlashSale) -> FlashSaleStatus {
        match &self.status {
            Some((status, _)) => status.clone(),
            None => flash_sale.status.clone().unwrap_or_default(),
        }
    }

    /// Remembers what is to be published.
    pub(super) fn add(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.untold.extend(changes);
        let too_many = self.untold.len().saturating_sub(MAX_UNTOLD);
        self.untold.drain(..too_many);
    }

    /// Writes a status, if it is new, with the changes that it shows.
    pub(super) async fn write(
        &mut self,
        flash_sale: &FlashSale,
        context: &Context,
        status: FlashSaleStatus,
        changes: Vec<Change>,
    ) -> Result<(), RequestError> {
        let now = Timestamp::now();
        let before = self.before(flash_sale);
        let counts_alone = self.status.as_ref().is_some_and(|(told, at)| {
            same_but_for_counts(told, &status) && now < *at + COUNT_EVERY
        });
        if counts_alone && changes.is_empty() {
            return Ok(());
        }
        if before != status {
            write_status(context, flash_sale, &status).await?;
        }
        self.status = Some((status, now));
        self.add(changes);
        Ok(())
    }

    /// Publishes what is yet to be told. Sales do not wait for it: what cannot be published now is
    /// tried again, what may not be is dropped.
    pub(super) async fn publish(&mut self, flash_sale: &FlashSale, context: &Context) {
        while let Some(change) = self.untold.first() {
            match event(context, flash_sale, change).await {
                Ok(()) => {}
                Err(error) if error.is_refused() => {
                    tracing::warn!(%error, ?change, "an event is refused");
                }
                Err(error) => {
                    tracing::warn!(%error, "events wait for the API server");
                    return;
                }
            }
            self.untold.remove(0);
        }
    }
}

/// Whether nothing differs but how much is sold.
fn same_but_for_counts(told: &FlashSaleStatus, status: &FlashSaleStatus) -> bool {
    let mut counted = told.clone();
    if let (Some(counted), Some(now)) = (&mut counted.active_sale, &status.active_sale) {
        counted.sold = now.sold;
        counted.sold_of_total.clone_from(&now.sold_of_total);
    }
    counted == *status
}

async fn write_status(
    context: &Context,
    flash_sale: &FlashSale,
    status: &FlashSaleStatus,
) -> Result<(), RequestError> {
    let namespace = flash_sale.namespace().unwrap_or_default();
    let api: Api<FlashSale> = Api::namespaced(context.client.clone(), &namespace);
    let name = flash_sale.name_any();
    let patch = json!({
        "apiVersion": FlashSale::api_version(&()),
        "kind": FlashSale::kind(&()),
        // Not of another one of the same name.
        "metadata": {"name": name, "uid": flash_sale.uid()},
        "status": status,
    });
    let params = PatchParams::apply(MANAGER).force();
    request(api.patch_status(&name, &params, &Patch::Apply(patch)))
        .await
        .map(drop)
}

/// Publishes a change as an event.
pub(super) async fn event(
    context: &Context,
    about: &impl Resource<DynamicType = ()>,
    change: &Change,
) -> Result<(), RequestError> {
    let event = Event {
        type_: match change.warning {
            true => EventType::Warning,
            false => EventType::Normal,
        },
        reason: change.reason.to_owned(),
        note: Some(shortened(&change.message)),
        action: "Reconcile".to_owned(),
        secondary: None,
    };
    // A recorder that has seen the same reason before keeps the note of that time, and these
    // notes differ: another sale, another count.
    let recorder = Recorder::new(context.client.clone(), context.reporter.clone());
    request(recorder.publish(&event, &about.object_ref(&()))).await
}

fn shortened(text: &str) -> String {
    if text.len() <= MAX_NOTE_BYTES {
        return text.to_owned();
    }
    let end = (0..=MAX_NOTE_BYTES - "…".len())
        .rev()
        .find(|end| text.is_char_boundary(*end));
    format!("{}…", &text[..end.unwrap_or(0)])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_note_is_never_longer_than_the_api_server_takes() {
        assert_eq!(shortened("short"), "short");
        for text in ["x".repeat(1025), "ü".repeat(1000)] {
            let note = shortened(&text);
            assert!(note.len() <= MAX_NOTE_BYTES && note.len() > MAX_NOTE_BYTES - 4);
            assert!(note.ends_with('…'));
        }
        assert_eq!(shortened(&"x".repeat(1024)).len(), 1024);
    }
}
