//! The finalizer: a FlashSale that is deleted stays until what Kubernetes does not hold is cleaned
//! up. What sells is stopped first.
//!
//! What Kubernetes holds goes with the FlashSale, by its owner references. Stores that cannot be
//! reached do not keep a namespace from being deleted for ever.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::FlashSaleName;
use futures_util::FutureExt;
use jiff::Timestamp;
use kube::api::{Patch, PatchParams};
use kube::core::{ObjectMeta, Resource};
use kube::runtime::controller::Action;
use kube::{Api, Client, ResourceExt};
use serde_json::json;
use tokio::time::Instant;

use super::carry::{Outcome, back_off};
use super::context::Context;
use super::fetch::fetch;
use super::validate::urls;
use super::{RequestError, request, tell};
use crate::crd::FlashSale;
use crate::driver::remove;
use crate::status::Change;
use crate::backends::Stores;

const FINALIZER: &str = "flashsale.dev/stores";
/// How long stores that cannot be reached are tried, from the first failure without a success.
const GIVE_UP_AFTER: Duration = Duration::from_secs(900);
/// The next look at a sale that is being settled.
const SETTLE_EVERY: Duration = Duration::from_secs(1);

/// How far the clean-up of a deleted FlashSale is.
#[derive(Default)]
pub(super) struct Ending {
    /// The Secret may be gone before it is done.
    stores: Option<Arc<Stores>>,
    failing_since: Option<Instant>,
    failures: u32,
    over: bool,
}

impl Ending {
    /// Whether nothing needs to be remembered of it.
    pub(super) fn is_over(&self) -> bool {
        self.over
    }
}

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
    set_finalizers(client, flash_sale.meta(), finalizers).await
}

/// Cleans up what a deleted FlashSale leaves in the stores, then lets it go. `stores` are those
/// that it was carried out with.
pub(super) async fn clean_up(
    flash_sale: &FlashSale,
    context: &Context,
    stores: Option<&Arc<Stores>>,
    ending: &mut Ending,
) -> (Result<Outcome, RequestError>, Action) {
    if !has_finalizer(flash_sale) {
        ending.over = true;
        return (Ok(Outcome::Idle), Action::await_change());
    }
    if ending.stores.is_none() {
        ending.stores = stores.cloned();
    }
    match try_clean_up(flash_sale, context, ending).await {
        Ok(wait) => (Ok(Outcome::Done), wait),
        Err(error) => (Err(error), Action::requeue(back_off(&mut ending.failures))),
    }
}

async fn try_clean_up(
    flash_sale: &FlashSale,
    context: &Context,
    ending: &mut Ending,
) -> Result<Action, RequestError> {
    let namespace = flash_sale.namespace().unwrap_or_default();
    let name = format!("{namespace}.{}", flash_sale.name_any()).parse::<FlashSaleName>();
    // Without a name that sales can have it has never sold.
    if let Ok(name) = name {
        let problem = match stores_of(flash_sale, context, ending).await? {
            Ok(stores) => {
                let policy = flash_sale.spec.deletion_policy;
                match remove(&stores, &name, policy, Timestamp::now).boxed().await {
                    Ok(true) => None,
                    Ok(false) => {
                        ending.failing_since = None;
                        ending.failures = 0;
                        return Ok(Action::requeue(SETTLE_EVERY));
                    }
                    Err(problem) => Some((problem.to_string(), false)),
                }
            }
            // Without its Secret nobody can ever clean up: it may be gone with the namespace.
            Err(problem) => Some((problem, true)),
        };
        if let Some((problem, hopeless)) = problem {
            let since = *ending.failing_since.get_or_insert_with(Instant::now);
            let hopeless = hopeless || since.elapsed() >= GIVE_UP_AFTER;
            tell_of(flash_sale, context, &problem, hopeless, ending.failures).await;
            if !hopeless {
                return Ok(Action::requeue(back_off(&mut ending.failures)));
            }
        }
    }
    take_finalizer_away(&context.client, flash_sale.meta()).await?;
    ending.over = true;
    Ok(Action::await_change())
}

/// The stores to clean up, or why they cannot be found.
async fn stores_of(
    flash_sale: &FlashSale,
    context: &Context,
    ending: &mut Ending,
) -> Result<Result<Arc<Stores>, String>, RequestError> {
    if let Some(stores) = &ending.stores {
        return Ok(Ok(stores.clone()));
    }
    let referred = fetch(&context.client, flash_sale).await?;
    let mut errors = Vec::new();
    Ok(match urls(flash_sale, &referred, &mut errors) {
        Some(urls) => Ok(ending.stores.insert(context.stores.at(&urls)).clone()),
        None => {
            let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
            Err(errors.join("; "))
        }
    })
}

async fn tell_of(
    flash_sale: &FlashSale,
    context: &Context,
    problem: &str,
    hopeless: bool,
    failures: u32,
) {
    let message = match hopeless {
        true => format!("what Redis and Postgres hold of it stays there: {problem}"),
        false => format!("it is not cleaned up yet, trying again: {problem}"),
    };
    tracing::warn!(
        namespace = flash_sale.namespace(),
        flash_sale = flash_sale.name_any(),
        message
    );
    if !hopeless && failures > 0 {
        return;
    }
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
    if let Err(error) = tell::event(context, flash_sale, &change).await {
        tracing::debug!(%error, "no event");
    }
}

fn has_finalizer(object: &impl Resource) -> bool {
    let finalizers = object.meta().finalizers.as_ref();
    finalizers.is_some_and(|finalizers| finalizers.iter().any(|found| found == FINALIZER))
}

/// Lets a deleted FlashSale go, if it is ours to.
pub(super) async fn take_finalizer_away(
    client: &Client,
    meta: &ObjectMeta,
) -> Result<(), RequestError> {
    let mut others = meta.finalizers.clone().unwrap_or_default();
    others.retain(|finalizer| finalizer != FINALIZER);
    if others.len() == meta.finalizers.as_ref().map_or(0, Vec::len) {
        return Ok(());
    }
    set_finalizers(client, meta, others).await
}

/// Fails where somebody else has written meanwhile.
async fn set_finalizers(
    client: &Client,
    meta: &ObjectMeta,
    finalizers: Vec<String>,
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
        // It is gone already.
        Err(error) if error.is_not_found() => Ok(()),
        other => other.map(drop),
    }
}
