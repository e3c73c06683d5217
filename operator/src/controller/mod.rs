//! The controller: reconciles the FlashSales of a Kubernetes cluster, `flashsale-operator run`.
//!
//! Guarantees: only the holder of the Lease writes anything, and it stops at once when it may not
//! hold the Lease any more; SIGTERM releases the Lease; a FlashSale that is invalid, or whose
//! backends are away, delays no other; where nothing is due there is no request and no write. Sales
//! that are seeded open and close without the operator.
//!
//! [`reconcile`] is the function that kube-rs calls; its five steps are a file each.

mod api_pods;
mod apply;
mod backoff;
mod client;
mod config;
mod context;
mod drift;
mod event_publisher;
mod finalizer;
mod health;
mod leader_election;
mod malformed;
mod metrics;
mod reconcile;
mod references;
mod state;
mod status;
mod validate;
mod watches;

use std::sync::Arc;

use flashsale_engine::Ambient;
use futures_util::StreamExt;
use kube::runtime::controller::{Config, Controller, Error};
use kube::runtime::watcher;
use kube::{Client, ResourceExt};
use tokio::task::JoinHandle;

use crate::backends::SharedBackends;
use client::REQUEST_TIMEOUT;
pub use config::RunSettings;
use context::{Context, States};
use event_publisher::EventRecorder;
use health::HealthServer;
use leader_election::LeaderElector;
use metrics::Metrics;
use reconcile::{error_policy, reconcile};
use watches::{Guarded, Scope, watch};

/// FlashSales that are reconciled concurrently. Seeding a catalogue of a million items takes a
/// while, and must not delay many others.
const CONCURRENCY: u16 = 64;

/// Why the operator does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no access to a cluster.
    #[error(
        "no access to Kubernetes: {0}; expected to run in a pod with a service account, or \
         KUBECONFIG to name a kubeconfig file"
    )]
    Config(#[from] kube::config::InferConfigError),
    /// The client cannot be created.
    #[error("the client of Kubernetes: {0}")]
    Client(#[source] kube::Error),
    /// The port of the probes cannot be bound.
    #[error("{address}: cannot listen there for probes and metrics: {source}")]
    Listen {
        /// The address of the settings.
        address: std::net::SocketAddr,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The metrics cannot be registered.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Ends a task when it is dropped.
struct AbortOnDrop(JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs until `stopped`, then releases the Lease.
pub async fn run(
    settings: RunSettings,
    ambient: Ambient,
    stopped: impl Future<Output = ()>,
) -> Result<(), RunError> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(REQUEST_TIMEOUT);
    let client = Client::try_from(config).map_err(RunError::Client)?;
    let metrics = Arc::new(Metrics::new()?);
    let address = settings.listen;
    let health = HealthServer::bind(address).await;
    let health = health.map_err(|source| RunError::Listen { address, source })?;
    tracing::info!(listen = %health.address(), identity = %settings.identity, "started");
    let _health = AbortOnDrop(tokio::spawn(health.serve(metrics.clone())));

    let elector = LeaderElector::new(client.clone(), settings.lease(), ambient.clock.clone());
    let lead = async {
        loop {
            let term = elector.acquire().await;
            metrics.is_leader.set(1);
            // At the end of a term the reconciliations are dropped where they are; the next leader
            // repeats them.
            tokio::select! {
                () = run_controller(&client, &settings, &metrics, &ambient) => {}
                () = elector.renew(term) => tracing::warn!("the Lease is lost"),
            }
            metrics.is_leader.set(0);
        }
    };
    tokio::select! {
        () = lead => {}
        () = stopped => {}
    }
    metrics.is_leader.set(0);
    elector.release().await;
    tracing::info!("stopped");
    Ok(())
}

/// Reconciles all FlashSales until it is dropped.
async fn run_controller(
    client: &Client,
    settings: &RunSettings,
    metrics: &Arc<Metrics>,
    ambient: &Ambient,
) {
    let scope = Scope::new(client, &settings.namespace);
    let controller = Controller::new(scope.api::<Guarded>(), watcher::Config::default())
        .with_config(Config::default().concurrency(CONCURRENCY));
    let flash_sales = controller.store();
    let (caches, controller) = watch(&scope, controller);
    let context = Arc::new(Context {
        client: client.clone(),
        clock: ambient.clock.clone(),
        events: EventRecorder::new(client.clone(), &settings.identity),
        metrics: metrics.clone(),
        pod_defaults: settings.pod_defaults(),
        caches,
        backends: SharedBackends::new(ambient.clone()),
        states: States::default(),
    });
    controller
        .run(reconcile, error_policy, context.clone())
        .for_each(|reconciled| {
            match reconciled {
                // `error_policy` has handled the error of a reconciliation.
                Ok(_) | Err(Error::ReconcilerFailed(..)) => {}
                Err(Error::ObjectNotFound(_)) => {
                    let existing = flash_sales.state();
                    let uids = existing.iter().filter_map(|flash_sale| flash_sale.uid());
                    context.states.retain(&uids.collect());
                }
                Err(error) => tracing::warn!(%error, "a watch failed and is retried"),
            }
            let count = i64::try_from(context.states.count()).unwrap_or(i64::MAX);
            context.metrics.flash_sales.set(count);
            std::future::ready(())
        })
        .await;
}
