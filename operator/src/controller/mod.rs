//! Carries FlashSales out on Kubernetes: `flashsale-operator run`.
//!
//! Promises: only the holder of the Lease writes anything, and it stops at once when it may not
//! hold the Lease any more; SIGTERM hands the Lease over; one FlashSale that is wrong, or whose
//! stores are away, keeps no other from being carried out; where nothing is due nothing is asked
//! or written. Sales that are seeded open and close without it.

mod apply;
mod carry;
mod cleanup;
mod cluster;
mod config;
mod context;
mod controller;
mod fetch;
mod lease;
mod pods;
mod probes;
mod tell;
mod validate;

use std::time::Duration;

use kube::Client;
use tokio::task::JoinHandle;

pub use config::RunSettings;
pub use lease::Elector;
use probes::Probes;

/// The field manager of all that is applied, and who reports events.
const MANAGER: &str = "flashsale-operator";

/// Requests to the API server that take longer than this have failed.
const REQUEST_LIMIT: Duration = Duration::from_secs(20);

/// Why the operator does not begin, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// There is no cluster to talk to.
    #[error(
        "no access to Kubernetes: {0}; expected to run in a pod with a service account, or \
         KUBECONFIG to name a kubeconfig file"
    )]
    Config(#[from] kube::config::InferConfigError),
    /// The client cannot be made.
    #[error("the client of Kubernetes: {0}")]
    Client(#[source] kube::Error),
    /// The probes' port.
    #[error("{address}: cannot listen there for probes and metrics: {source}")]
    Listen {
        /// What was asked for.
        address: std::net::SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
    /// Metrics could not be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// Why a request to Kubernetes came to nothing.
#[derive(Debug, thiserror::Error)]
enum RequestError {
    /// It was refused, or could not be sent.
    #[error("Kubernetes: {}", said(.0))]
    Kube(#[from] kube::Error),
    /// Nothing came.
    #[error("Kubernetes: no answer within {REQUEST_LIMIT:?}")]
    TimedOut,
}

impl RequestError {
    fn is_not_found(&self) -> bool {
        // A path that is not served is answered without a reason.
        matches!(self, Self::Kube(kube::Error::Api(status)) if status.code == 404)
    }

    /// Whether the same request will be answered the same way.
    fn is_refused(&self) -> bool {
        let refused = 400..=499;
        // A conflict and too many requests pass.
        matches!(self, Self::Kube(kube::Error::Api(status))
            if refused.contains(&status.code) && status.code != 409 && status.code != 429)
    }
}

/// Without the whole answer, which says the same again.
fn said(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) => status.message.clone(),
        other => other.to_string(),
    }
}

/// Waits for an answer of the API server, within bounds.
async fn request<T>(
    answer: impl Future<Output = Result<T, kube::Error>>,
) -> Result<T, RequestError> {
    match tokio::time::timeout(REQUEST_LIMIT, answer).await {
        Ok(answer) => Ok(answer?),
        Err(_) => Err(RequestError::TimedOut),
    }
}

/// Ends a task with its owner.
struct Ended(JoinHandle<()>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Runs until `stopped`, then hands the Lease over.
pub async fn run(settings: RunSettings, stopped: impl Future<Output = ()>) -> Result<(), RunError> {
    let mut config = kube::Config::infer().await?;
    config.connect_timeout = Some(REQUEST_LIMIT);
    let client = Client::try_from(config).map_err(RunError::Client)?;
    let probes = Probes::listen(settings.listen).await?;
    tracing::info!(listen = %probes.address(), identity = %settings.identity, "started");
    let metrics = probes.metrics();
    let _probes = Ended(tokio::spawn(probes.serve()));

    let elector = Elector::new(client.clone(), &settings);
    let lead = async {
        loop {
            let term = elector.acquire().await;
            metrics.leading.set(1);
            // Whatever the controller is doing when the term ends is dropped where it stands; all
            // of it may be done again, by whoever leads next.
            tokio::select! {
                () = controller::run(&client, &settings, &metrics) => {}
                () = elector.renew(term) => tracing::warn!("the Lease is lost"),
            }
            metrics.leading.set(0);
        }
    };
    tokio::select! {
        () = lead => {}
        () = stopped => {}
    }
    metrics.leading.set(0);
    elector.release().await;
    tracing::info!("stopped");
    Ok(())
}
