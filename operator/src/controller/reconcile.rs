//! The reconciliation of one FlashSale: what kube-rs calls when the FlashSale, a reference or an
//! owned object has changed, and when the last reconciliation asked for it.
//!
//! Guarantees: where nothing is due, nothing has changed and nothing has drifted, there is no
//! request and no write. Sales come first: a failed apply or status update does not delay sale
//! actions.

use std::sync::Arc;

use flashsale_engine::Clock;
use futures_util::FutureExt;
use kube::ResourceExt;
use kube::runtime::controller::Action;
use kube::runtime::reflector::store::WriterDropped;

use super::api_pods::api_pods;
use super::apply::{ApplyError, apply};
use super::backoff::FIRST_RETRY;
use super::client::RequestError;
use super::context::Context;
use super::finalizer;
use super::malformed;
use super::metrics::Outcome;
use super::references::{self, ReferenceVersions};
use super::state::State;
use super::validate::{Refused, Valid, validate};
use super::watches::Guarded;
use crate::crd::FlashSale;
use crate::resources::{self, Inputs};
use crate::status::with_api_pods;

/// Why a reconciliation failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum Error {
    /// A request to the API server failed.
    #[error(transparent)]
    Request(#[from] RequestError),
    /// The watches have ended, because this process does not lead any more.
    #[error("the watches have ended")]
    WatchesEnded(#[from] WriterDropped),
}

/// Reconciles one FlashSale in five steps, and returns when to reconcile it again.
pub(super) async fn reconcile(
    object: Arc<Guarded>,
    context: Arc<Context>,
) -> Result<Action, Error> {
    context.caches.wait_until_listed().await?;
    let measurement = context.metrics.measure(&context.clock);
    let flash_sale = match &object.0 {
        Ok(flash_sale) => flash_sale,
        Err(malformed) => {
            measurement.finish(Outcome::Refused);
            return Ok(malformed::refuse(&object, &malformed.error, &context).await);
        }
    };
    let state = context.states.of(flash_sale);
    let mut state = state.lock().await;
    if flash_sale.metadata.deletion_timestamp.is_some() {
        let (outcome, action) = finalizer::clean_up(flash_sale, &mut state, &context).await?;
        measurement.finish(outcome);
        return Ok(action);
    }
    finalizer::add(flash_sale, &context.client).await?;

    // 1. Resolve references, and 2. validate, if the spec or a reference is new.
    let versions = ReferenceVersions::of(flash_sale, &context.caches);
    let is_new = state.versions.as_ref() != Some(&versions);
    if is_new {
        let references = references::resolve(flash_sale, &context.client).await?;
        let validated = validate(flash_sale, &references);
        begin(flash_sale, validated, &mut state, &context);
        state.versions = Some(versions);
    }
    // 3. Plan and act on Redis and Postgres, if a step is due.
    let has_acted = plan_and_act(&mut state, &context.clock).await;
    // 4. Build and apply the objects, if they are new or have drifted.
    let applied = build_and_apply(flash_sale, &mut state, &context).await;
    // 5. Update the status, and publish events.
    update_status(flash_sale, &mut state, applied.as_ref().err(), &context).await?;

    measurement.finish(match (&state.accepted, &applied) {
        (None, _) => Outcome::Refused,
        (Some(_), Ok(false)) if !is_new && !has_acted => Outcome::Idle,
        (Some(_), _) => Outcome::Done,
    });
    let requeue = state.requeue_after(context.clock.now());
    Ok(Action::requeue(match applied {
        Ok(_) => {
            state.backoff.reset();
            requeue
        }
        Err(_) => requeue.min(state.backoff.next()),
    }))
}

/// When to reconcile again after an error.
pub(super) fn error_policy(object: Arc<Guarded>, error: &Error, context: Arc<Context>) -> Action {
    if let Error::WatchesEnded(_) = error {
        return Action::await_change();
    }
    tracing::warn!(
        namespace = object.namespace(),
        flash_sale = object.name_any(),
        %error,
        "the reconciliation failed and is retried"
    );
    let state = context.states.of(&*object);
    // The failed reconciliation has dropped its lock.
    let requeue = match state.try_lock() {
        Ok(mut state) => state.requeue_after_error(context.clock.now()),
        Err(_) => FIRST_RETRY,
    };
    Action::requeue(requeue)
}

/// Continues with the result of the validation.
fn begin(
    flash_sale: &FlashSale,
    validated: Result<Valid, Refused>,
    state: &mut State,
    context: &Context,
) {
    match validated {
        Ok(valid) => {
            let backends = context.backends.at(&valid.urls);
            // As many pods as there are, until the first plan.
            let replicas = context.caches.applied_replicas(flash_sale);
            let replicas = replicas.unwrap_or(flash_sale.spec.api.replicas.idle);
            state.accept(flash_sale, valid, backends, replicas);
        }
        Err(refused) => state.refuse(flash_sale, refused, context.clock.now()),
    }
}

/// Returns whether a step was due.
async fn plan_and_act(state: &mut State, clock: &Clock) -> bool {
    if !state.is_step_due(clock.now()) {
        return false;
    }
    let Some(accepted) = &mut state.accepted else {
        return false;
    };
    let connection = accepted.backends.connect().await;
    let step = accepted.driver.step(connection, clock).boxed().await;
    state.record_step(step, clock.now());
    true
}

/// Returns whether anything was to be applied.
async fn build_and_apply(
    flash_sale: &FlashSale,
    state: &mut State,
    context: &Context,
) -> Result<bool, ApplyError> {
    let Some(accepted) = &state.accepted else {
        return Ok(false);
    };
    let resources = resources::build(&Inputs {
        flash_sale: &accepted.flash_sale,
        defaults: &context.pod_defaults,
        replicas: accepted.replicas,
        revision: accepted.secrets_revision.clone(),
    });
    let observed = context.caches.versions(flash_sale);
    let applied = apply(
        &context.client,
        &resources,
        &observed,
        state.applied.as_ref(),
    )
    .await;
    match applied {
        Ok(Some(applied)) => {
            state.applied = Some(applied);
            Ok(true)
        }
        Ok(None) => Ok(false),
        Err(error) => {
            tracing::warn!(
                namespace = flash_sale.namespace(),
                flash_sale = flash_sale.name_any(),
                %error,
                "the apply failed and is retried"
            );
            Err(error)
        }
    }
}

async fn update_status(
    flash_sale: &FlashSale,
    state: &mut State,
    apply_error: Option<&ApplyError>,
    context: &Context,
) -> Result<(), RequestError> {
    let now = context.clock.now();
    let before = state.status.last_written(flash_sale);
    let mut status = match &state.accepted {
        Some(accepted) => accepted.driver.status().clone(),
        None => before.clone(),
    };
    if let Some(refused) = &state.refused {
        let generation = flash_sale.metadata.generation;
        status = refused.status(generation, &status, &before, now);
    }
    let mut changes = Vec::new();
    if let Some(accepted) = &state.accepted {
        let deployment = context.caches.deployment(flash_sale);
        let selector = resources::selector_text(&flash_sale.name_any());
        let error = apply_error.filter(|error| !error.is_transient());
        let error = error.map(ToString::to_string);
        let pods = api_pods(deployment.as_deref(), accepted.replicas, selector, error);
        (status, changes) = with_api_pods(status, &before, &pods, now);
    }
    let has_changes = !changes.is_empty();
    let State {
        status: writer,
        events,
        ..
    } = state;
    writer
        .write(&context.client, flash_sale, status, has_changes, now)
        .await?;
    events.extend(changes);
    events.publish(flash_sale, &context.events).await;
    Ok(())
}
