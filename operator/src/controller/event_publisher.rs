//! Publishes the changes of a FlashSale as events.

use kube::runtime::events::{Event, EventType, Recorder, Reporter};
use kube::{Client, Resource};

use super::client::{FIELD_MANAGER, RequestError, request};
use crate::crd::FlashSale;
use crate::status::Change;

/// The API server refuses longer notes.
const MAX_NOTE_BYTES: usize = 1024;
/// At most this many events wait for the API server; the oldest are dropped.
const MAX_QUEUED: usize = 100;

/// Publishes events in the name of this process.
pub(super) struct EventRecorder {
    client: Client,
    reporter: Reporter,
}

impl EventRecorder {
    pub(super) fn new(client: Client, identity: &str) -> Self {
        let reporter = Reporter {
            controller: FIELD_MANAGER.to_owned(),
            instance: Some(identity.to_owned()),
        };
        Self { client, reporter }
    }

    /// Publishes a change of an object as an event.
    pub(super) async fn publish(
        &self,
        object: &impl Resource<DynamicType = ()>,
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
        // A recorder keeps the note of the first event with a reason, and these notes differ:
        // another sale, another count. So each event gets a recorder of its own.
        let recorder = Recorder::new(self.client.clone(), self.reporter.clone());
        request(recorder.publish(&event, &object.object_ref(&()))).await
    }
}

/// The changes of a FlashSale that are not published yet.
#[derive(Default)]
pub(super) struct EventQueue {
    changes: Vec<Change>,
}

impl EventQueue {
    pub(super) fn extend(&mut self, changes: impl IntoIterator<Item = Change>) {
        self.changes.extend(changes);
        let too_many = self.changes.len().saturating_sub(MAX_QUEUED);
        self.changes.drain(..too_many);
    }

    /// The reasons of the queued changes.
    #[cfg(test)]
    pub(super) fn reasons(&self) -> Vec<&'static str> {
        self.changes.iter().map(|change| change.reason).collect()
    }

    /// Publishes the queued changes. An event that fails is retried by the next call; an event that
    /// the API server refuses is dropped.
    pub(super) async fn publish(&mut self, flash_sale: &FlashSale, recorder: &EventRecorder) {
        while let Some(change) = self.changes.first() {
            match recorder.publish(flash_sale, change).await {
                Ok(()) => {}
                Err(error) if error.is_refused() => {
                    tracing::warn!(%error, ?change, "an event is refused");
                }
                Err(error) => {
                    tracing::warn!(%error, "events wait for the API server");
                    return;
                }
            }
            self.changes.remove(0);
        }
    }
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
