//! The finalizer: a FlashSale that is deleted stays until what Kubernetes does not hold is cleaned
//! up. What sells is stopped first.
//!
//! What Kubernetes holds goes with the FlashSale, by its owner references. Stores that cannot be
//! reached do not keep a namespace from being deleted for ever.

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use kube::api::{Patch, PatchParams};
use kube::runtime::controller::Action;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use std::time::Duration;

use super::carry::{Context, Outcome, back_off};
use super::fetch::fetch;
use super::validate::urls;
use super::{RequestError, request, tell};
use crate::api::FlashSale;
use crate::removal::remove;
use crate::report::Change;
use flashsale_engine::sale::FlashSaleName;

const FINALIZER: &str = "flashsale.dev/stores";
/// How long stores that cannot be reached are waited for.
const GIVE_UP_AFTER: SignedDuration = SignedDuration::from_mins(15);
/// The next look at a sale that is being settled.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// Puts the finalizer there, if it is not.
pub(super) async fn keep_until_cleaned_up(
    client: &Client,
    flash_sale: &FlashSale,
) -> Result<(), RequestError> {
    if has_finalizer(flash_sale) {
        return Ok(());
    }
    let mut finalizers = flash_sale.finalizers().to_vec();
    finalizers.push(FINALIZER.to_owned());
    set_finalizers(client, flash_sale, finalizers).await
}

/// Cleans up what a deleted FlashSale leaves in the stores, then lets it go.
pub(super) async fn clean_up(
    flash_sale: &FlashSale,
    context: &Context,
    failures: &mut u32,
) -> (Result<Outcome, RequestError>, Action) {
    if !has_finalizer(flash_sale) {
        return (Ok(Outcome::Idle), Action::await_change());
    }
    match try_clean_up(flash_sale, context).await {
        Ok(true) => (Ok(Outcome::Done), Action::await_change()),
        Ok(false) => (Ok(Outcome::Done), Action::requeue(SETTLE_EVERY)),
        Err(error) => (Err(error), Action::requeue(back_off(failures))),
    }
}

/// Answers whether it is done.
async fn try_clean_up(flash_sale: &FlashSale, context: &Context) -> Result<bool, RequestError> {
    let referred = fetch(&context.client, flash_sale).await?;
    let mut errors = Vec::new();
    let namespace = flash_sale.namespace().unwrap_or_default();
    let name = format!("{namespace}.{}", flash_sale.name_any()).parse::<FlashSaleName>();
    let problem = match (urls(flash_sale, &referred, &mut errors), name) {
        // It has never sold.
        (_, Err(_)) => None,
        (Some(urls), Ok(name)) => {
            let stores = context.stores.at(&urls);
            let policy = flash_sale.spec.deletion_policy;
            match remove(&stores, &name, policy, Timestamp::now).boxed().await {
                Ok(false) => return Ok(false),
                Ok(true) => None,
                Err(problem) => Some(problem.to_string()),
            }
        }
        (None, Ok(_)) => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Some(errors.join("; "))
        }
    };
    if let Some(problem) = problem {
        let deleted_at = flash_sale.metadata.deletion_timestamp.as_ref();
        let since = deleted_at.map(|at| Timestamp::now().duration_since(at.0));
        // Without its Secret nobody can ever clean up: it may be gone with the namespace.
        let hopeless = !errors.is_empty() || since.is_some_and(|since| since >= GIVE_UP_AFTER);
        let message = match hopeless {
            true => format!("what Redis and Postgres hold of it stays there: {problem}"),
            false => format!("it is not cleaned up yet, trying again: {problem}"),
        };
        tracing::warn!(namespace, flash_sale = flash_sale.name_any(), message);
        let change = Change {
            reason: if hopeless {
                "NotCleanedUp"
            } else {
                "CleaningUp"
            },
            message,
            warning: true,
        };
        // In a namespace that is being deleted no event can be made.
        if let Err(error) = tell::event(&context.recorder, flash_sale, &change).await {
            tracing::debug!(%error, "no event");
        }
        if !hopeless {
            return Ok(false);
        }
    }
    let mut others = flash_sale.finalizers().to_vec();
    others.retain(|finalizer| finalizer != FINALIZER);
    set_finalizers(&context.client, flash_sale, others).await?;
    Ok(true)
}

fn has_finalizer(flash_sale: &FlashSale) -> bool {
    flash_sale
        .finalizers()
        .iter()
        .any(|finalizer| finalizer == FINALIZER)
}

/// Fails where somebody else has written meanwhile.
async fn set_finalizers(
    client: &Client,
    flash_sale: &FlashSale,
    finalizers: Vec<String>,
) -> Result<(), RequestError> {
    let namespace = flash_sale.namespace().unwrap_or_default();
    let api: Api<FlashSale> = Api::namespaced(client.clone(), &namespace);
    let patch = json!({"metadata": {
        "finalizers": finalizers,
        "resourceVersion": flash_sale.resource_version(),
    }});
    let name = flash_sale.name_any();
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    match request(api.patch_metadata(&name, &params, &patch)).await {
        // It is gone already.
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}
