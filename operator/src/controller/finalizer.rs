//! The finalizer: a deleted FlashSale stays until its sales are deleted from the backends. Open
//! sales end first.
//!
//! Guarantees: the objects in Kubernetes are garbage-collected by their owner references; backends
//! that cannot be reached do not keep a namespace from being deleted for ever.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::FlashSaleName;
use futures_util::FutureExt;
use kube::api::{Patch, PatchParams};
use kube::core::{ObjectMeta, Resource};
use kube::runtime::controller::Action;
use kube::{Api, Client, ResourceExt};
use serde_json::json;

use super::client::{RequestError, request};
use super::context::Context;
use super::metrics::Outcome;
use super::references;
use super::state::State;
use super::validate;
use crate::backends::Backends;
use crate::crd::FlashSale;
use crate::driver::{Deletion, delete_sales};
use crate::status::Change;

const FINALIZER: &str = "flashsale.dev/stores";
/// How long backends that cannot be reached are retried, from the first failure without a success.
const GIVE_UP_AFTER: Duration = Duration::from_secs(900);
/// The requeue while a sale is being settled.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// Why the sales of a FlashSale are not deleted.
struct NotCleanedUp {
    why: String,
    /// Whether a retry cannot succeed.
    is_final: bool,
}

/// Adds the finalizer, if it is missing.
pub(super) async fn add(flash_sale: &FlashSale, client: &Client) -> Result<(), RequestError> {
    if has_finalizer(flash_sale) {
        return Ok(());
    }
    let mut finalizers = flash_sale.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    set_finalizers(flash_sale.meta(), finalizers, client).await
}

/// Deletes the sales of a deleted FlashSale from the backends, then removes the finalizer.
pub(super) async fn clean_up(
    flash_sale: &FlashSale,
    state: &mut State,
    context: &Context,
) -> Result<(Outcome, Action), RequestError> {
    if !has_finalizer(flash_sale) {
        context.states.remove(flash_sale);
        return Ok((Outcome::Idle, Action::await_change()));
    }
    state.deletion();
    match delete(flash_sale, state, context).await? {
        Ok(Deletion::Complete) => {}
        Ok(Deletion::InProgress) => {
            state.deletion().failing = None;
            state.backoff.reset();
            return Ok((Outcome::Done, Action::requeue(SETTLE_EVERY)));
        }
        Err(error) => {
            let deletion = state.deletion();
            let failing = deletion
                .failing
                .get_or_insert_with(|| context.clock.start_timer());
            let gives_up = error.is_final || failing.elapsed() >= GIVE_UP_AFTER;
            let is_first = !state.backoff.has_failed();
            report(flash_sale, &error.why, gives_up, is_first, context).await;
            if !gives_up {
                return Ok((Outcome::Done, Action::requeue(state.backoff.next())));
            }
        }
    }
    remove(flash_sale.meta(), &context.client).await?;
    context.states.remove(flash_sale);
    Ok((Outcome::Done, Action::await_change()))
}

async fn delete(
    flash_sale: &FlashSale,
    state: &mut State,
    context: &Context,
) -> Result<Result<Deletion, NotCleanedUp>, RequestError> {
    let namespace = flash_sale.namespace().unwrap_or_default();
    let name = format!("{namespace}.{}", flash_sale.name_any()).parse::<FlashSaleName>();
    let Ok(name) = name else {
        // A FlashSale with a name that no sale can have has no sales.
        return Ok(Ok(Deletion::Complete));
    };
    let backends = match backends(flash_sale, state, context).await? {
        Ok(backends) => backends,
        // The Secret may be deleted with its namespace.
        Err(why) => {
            return Ok(Err(NotCleanedUp {
                why,
                is_final: true,
            }));
        }
    };
    let policy = flash_sale.spec.deletion_policy;
    let deletion = async {
        let connection = backends.connect().await?;
        delete_sales(&connection, &name, policy, &context.clock).await
    };
    Ok(deletion.boxed().await.map_err(|error| NotCleanedUp {
        why: error.to_string(),
        is_final: false,
    }))
}

/// The backends to clean up, or why the references do not resolve to any.
async fn backends(
    flash_sale: &FlashSale,
    state: &mut State,
    context: &Context,
) -> Result<Result<Arc<Backends>, String>, RequestError> {
    if let Some(backends) = &state.deletion().backends {
        return Ok(Ok(backends.clone()));
    }
    let references = references::resolve(flash_sale, &context.client).await?;
    let mut errors = Vec::new();
    Ok(match validate::urls(flash_sale, &references, &mut errors) {
        Some(urls) => {
            let backends = context.backends.at(&urls);
            Ok(state.deletion().backends.insert(backends).clone())
        }
        None => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Err(errors.join("; "))
        }
    })
}

/// Logs each failure; publishes the first and the last one as an event.
async fn report(
    flash_sale: &FlashSale,
    why: &str,
    gives_up: bool,
    is_first: bool,
    context: &Context,
) {
    let (reason, message) = match gives_up {
        true => (
            "NotCleanedUp",
            format!("what Redis and Postgres hold of it stays there: {why}"),
        ),
        false => (
            "CleaningUp",
            format!("it is not cleaned up yet, trying again: {why}"),
        ),
    };
    tracing::warn!(
        namespace = flash_sale.namespace(),
        flash_sale = flash_sale.name_any(),
        message
    );
    if !gives_up && !is_first {
        return;
    }
    let change = Change {
        reason,
        message,
        warning: true,
    };
    // No event can be created in a namespace that is being deleted.
    if let Err(error) = context.events.publish(flash_sale, &change).await {
        tracing::debug!(%error, "the event is not published");
    }
}

fn has_finalizer(object: &impl Resource) -> bool {
    let finalizers = object.meta().finalizers.as_ref();
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|found| found == FINALIZER))
}

/// Removes the finalizer, if it is there.
pub(super) async fn remove(meta: &ObjectMeta, client: &Client) -> Result<(), RequestError> {
    let mut others = meta.finalizers.clone().unwrap_or_default();
    others.retain(|finalizer| finalizer != FINALIZER);
    if others.len() == meta.finalizers.as_ref().map_or(0, Vec::len) {
        return Ok(());
    }
    set_finalizers(meta, others, client).await
}

/// Fails if the object was changed meanwhile.
async fn set_finalizers(
    meta: &ObjectMeta,
    finalizers: Vec<String>,
    client: &Client,
) -> Result<(), RequestError> {
    let namespace = meta.namespace.clone().unwrap_or_default();
    let api: Api<FlashSale> = Api::namespaced(client.clone(), &namespace);
    let patch = json!({"metadata": {
        "finalizers": finalizers,
        "resourceVersion": meta.resource_version,
    }});
    let name = meta.name.clone().unwrap_or_default();
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    match request(api.patch_metadata(&name, &params, &patch)).await {
        // The object is deleted already.
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}
