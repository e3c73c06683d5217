//! Watches FlashSales and what belongs to them, and has each looked at when something has changed
//! or is due.

use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::{FutureExt, StreamExt};
use kube::runtime::controller::{Action, Config, Error};
use kube::runtime::events::Reporter;
use kube::runtime::{Controller, watcher};
use kube::{Client, Resource, ResourceExt};

use super::carry::timed;
use super::cleanup::take_finalizer_away;
use super::cluster::{Guarded, Scope, watch};
use super::context::Context;
use super::probes::Metrics;
use super::{MANAGER, RunSettings, tell};
use crate::status::Change;
use crate::backends::SharedStores;

/// FlashSales that are looked at at the same time. A catalogue of a million items takes a while to
/// seed, and must not keep many others waiting.
const AT_ONCE: u16 = 64;

/// The next try to let a malformed FlashSale go.
const MALFORMED_RETRY: Duration = Duration::from_secs(10);

/// Carries out all FlashSales until it is dropped.
pub(super) async fn run(client: &Client, settings: &RunSettings, metrics: &Arc<Metrics>) {
    let scope = Scope::new(client, &settings.namespace);
    let controller = Controller::new(scope.api::<Guarded>(), watcher::Config::default())
        .with_config(Config::default().concurrency(AT_ONCE));
    let flash_sales = controller.store();
    let (copies, controller) = watch(&scope, controller);
    let reporter = Reporter {
        controller: MANAGER.to_owned(),
        instance: Some(settings.identity.clone()),
    };
    let context = Arc::new(Context {
        client: client.clone(),
        reporter,
        defaults: settings.pod_defaults(),
        copies,
        stores: SharedStores::default(),
        carried: Mutex::default(),
    });
    let metrics = metrics.clone();
    let reconcile = move |object: Arc<Guarded>, context: Arc<Context>| {
        let metrics = metrics.clone();
        async move { Ok::<_, Infallible>(look(&object, &context, &metrics).await) }
    };
    let remembering = context.clone();
    controller
        .run(reconcile, |_, never, _| match *never {}, context)
        .for_each(|looked| {
            match looked {
                Ok(_) => {}
                Err(Error::ObjectNotFound(_)) => {
                    let there = flash_sales.state();
                    let uids = there.iter().filter_map(|flash_sale| flash_sale.uid());
                    remembering.forget_others(&uids.collect());
                }
                Err(error) => tracing::warn!(%error, "watching goes on after a failure"),
            }
            std::future::ready(())
        })
        .await;
}

async fn look(object: &Guarded, context: &Context, metrics: &Metrics) -> Action {
    if context.copies.ready().await.is_err() {
        return Action::await_change();
    }
    match &object.0 {
        Ok(flash_sale) => timed(flash_sale, context, metrics).boxed().await,
        Err(malformed) => {
            metrics
                .reconciliations
                .with_label_values(&["refused"])
                .inc();
            malformed_one(object, &malformed.error, context).await
        }
    }
}

/// Only an API server with another definition of the resource lets it pass.
async fn malformed_one(object: &Guarded, error: &str, context: &Context) -> Action {
    let change = Change {
        reason: "Malformed",
        message: format!(
            "found no FlashSale of this version ({error}); expected the operator and the \
             CustomResourceDefinition to be of the same version"
        ),
        warning: true,
    };
    let meta = object.meta();
    tracing::warn!(
        namespace = meta.namespace,
        flash_sale = meta.name,
        "{}",
        change.message
    );
    if let Err(error) = tell::event(context, object, &change).await {
        tracing::warn!(%error, "no event");
    }
    // Nobody can tell where its stores are, and it must not be there for ever.
    if meta.deletion_timestamp.is_some()
        && let Err(error) = take_finalizer_away(&context.client, meta).await
    {
        tracing::warn!(%error, "the malformed FlashSale cannot be let go; trying again");
        return Action::requeue(MALFORMED_RETRY);
    }
    Action::await_change()
}
