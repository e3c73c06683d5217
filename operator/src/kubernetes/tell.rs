//! Tells about a FlashSale: its status, and events.

use kube::api::{Patch, PatchParams};
use kube::runtime::events::{Event, EventType, Recorder};
use kube::{Api, Client, Resource, ResourceExt};
use serde_json::json;

use super::{MANAGER, RequestError, request};
use crate::api::{FlashSale, FlashSaleStatus};
use crate::report::Change;

/// The API server takes no longer notes.
const MAX_NOTE_BYTES: usize = 1024;

/// Writes a status.
pub(super) async fn status(
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
        // Not of another one of the same name.
        "metadata": {"name": name, "uid": flash_sale.uid()},
        "status": status,
    });
    let params = PatchParams::apply(MANAGER).force();
    request(api.patch_status(&name, &params, &Patch::Apply(patch)))
        .await
        .map(drop)
}

/// Publishes what has changed as an event.
pub(super) async fn event(
    recorder: &Recorder,
    flash_sale: &FlashSale,
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
    request(recorder.publish(&event, &flash_sale.object_ref(&()))).await
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
