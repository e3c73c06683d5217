//! Objects that cannot be read as a FlashSale of this version. Only an API server with another
//! definition of the resource accepts them.

use std::time::Duration;

use kube::runtime::controller::Action;
use kube::{Resource, ResourceExt};

use super::context::Context;
use super::finalizer;
use super::watches::Guarded;
use crate::status::Change;

/// How long a failed removal of the finalizer waits for its retry.
const RETRY: Duration = Duration::from_secs(10);

/// Publishes an event, and removes the finalizer of a deleted object: its backends are unknown, and
/// it must not stay for ever.
pub(super) async fn refuse(object: &Guarded, error: &str, context: &Context) -> Action {
    let change = Change {
        reason: "Malformed",
        message: format!(
            "found no FlashSale of this version ({error}); expected the operator and the \
             CustomResourceDefinition to be of the same version"
        ),
        warning: true,
    };
    tracing::warn!(
        namespace = object.namespace(),
        flash_sale = object.name_any(),
        "{}",
        change.message
    );
    if let Err(error) = context.events.publish(object, &change).await {
        tracing::warn!(%error, "the event is not published");
    }
    if object.meta().deletion_timestamp.is_some()
        && let Err(error) = finalizer::remove(object.meta(), &context.client).await
    {
        tracing::warn!(%error, "the finalizer of the malformed FlashSale is not removed; retrying");
        return Action::requeue(RETRY);
    }
    Action::await_change()
}
