//! Leader election: one of several operators leads, by a Lease.
//!
//! Guarantees: two processes never lead at once, as long as their clocks run at about the same
//! speed. The time in the Lease is not used, because it comes from the clock of another machine: a
//! Lease has expired when this process has observed it unchanged for its whole duration. A leader
//! that cannot renew stops a third of that duration before a standby may take over. Each write names
//! the version that it replaces, so that one of two concurrent writes fails.
//!
//! The crates for leader election compare the time in the Lease with the local clock, and keep
//! leading while the API server is away.

use std::time::Duration;

use flashsale_engine::{Clock, Timer};
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::{sleep, timeout};

/// A pod that is terminated has 30 seconds.
const RELEASE_TIMEOUT: Duration = Duration::from_secs(10);

/// The Lease, and who asks for it.
pub(super) struct LeaseSettings {
    /// The namespace of the Lease.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The holder: a unique name for each operator.
    pub identity: String,
    /// How long it lasts without a renewal.
    pub duration: Duration,
}

/// Holds the Lease, or waits for it.
pub(super) struct LeaderElector {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// How long the Lease is valid without a renewal.
    duration: Duration,
    clock: Clock,
}

/// A term in which this process leads.
pub(super) struct Term {
    lease: Lease,
    since_renewal: Timer,
}

/// The Lease as it was observed last.
struct ObservedLease {
    lease: Lease,
    unchanged: Timer,
}

impl LeaderElector {
    /// Sends no request yet.
    pub(super) fn new(client: Client, settings: LeaseSettings, clock: Clock) -> Self {
        Self {
            api: Api::namespaced(client, &settings.namespace),
            name: settings.name,
            identity: settings.identity,
            duration: settings.duration,
            clock,
        }
    }

    /// How often the Lease is observed and renewed.
    fn period(&self) -> Duration {
        self.duration / 6
    }

    /// Waits until this process leads.
    pub(super) async fn acquire(&self) -> Term {
        let mut observed: Option<ObservedLease> = None;
        let mut logged_holder = None;
        loop {
            let since_renewal = self.clock.start_timer();
            match timeout(self.period(), self.try_acquire(&mut observed)).await {
                Ok(Ok(Some(lease))) => {
                    tracing::info!(lease = self.name, identity = self.identity, "leading");
                    return Term {
                        lease,
                        since_renewal,
                    };
                }
                Ok(Ok(None)) => {
                    let holder = observed.as_ref().and_then(|last| holder(&last.lease));
                    if logged_holder.as_deref() != holder {
                        tracing::info!(lease = self.name, holder, "standing by");
                        logged_holder = holder.map(str::to_owned);
                    }
                }
                Ok(Err(error)) if is_conflict(&error) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the Lease cannot be read or acquired"),
                Err(_) => tracing::warn!("the API server does not answer about the Lease"),
            }
            sleep(self.period()).await;
        }
    }

    /// Returns the Lease if this process has acquired it.
    async fn try_acquire(
        &self,
        observed: &mut Option<ObservedLease>,
    ) -> Result<Option<Lease>, kube::Error> {
        let now = self.clock.start_timer();
        let Some(found) = self.api.get_opt(&self.name).await? else {
            return self.create().await.map(Some);
        };
        let unchanged = match observed.take() {
            Some(last) if last.lease.spec == found.spec => last.unchanged,
            _ => now,
        };
        let is_expired = unchanged.elapsed() >= valid_for(&found);
        *observed = Some(ObservedLease {
            lease: found.clone(),
            unchanged,
        });
        let is_free = match holder(&found) {
            None => true,
            // The process before this one had the same name, as in a StatefulSet.
            Some(holder) if holder == self.identity => true,
            Some(_) => is_expired,
        };
        if !is_free {
            return Ok(None);
        }
        let spec = self.acquired(found.spec.as_ref());
        self.replace(found, spec).await.map(Some)
    }

    /// Renews the Lease; returns when this process may not lead any more.
    pub(super) async fn renew(&self, mut term: Term) {
        // Standbys take over a third of the duration later.
        let valid_for = self.duration * 2 / 3;
        loop {
            let left = valid_for.saturating_sub(term.since_renewal.elapsed());
            let Ok(renewed) = timeout(left, self.try_renew(&term.lease)).await else {
                return;
            };
            match renewed {
                Renewal::Renewed(lease, since_renewal) => {
                    term = Term {
                        lease: *lease,
                        since_renewal,
                    };
                }
                Renewal::Changed(lease) => {
                    term.lease = *lease;
                    continue;
                }
                Renewal::Failed => {}
                Renewal::Lost => return,
            }
            let left = valid_for.saturating_sub(term.since_renewal.elapsed());
            if left <= self.period() {
                sleep(left).await;
                return;
            }
            sleep(self.period()).await;
        }
    }

    async fn try_renew(&self, lease: &Lease) -> Renewal {
        let since_renewal = self.clock.start_timer();
        let spec = LeaseSpec {
            renew_time: Some(MicroTime(self.clock.now())),
            ..lease.spec.clone().unwrap_or_default()
        };
        match self.replace(lease.clone(), spec).await {
            Ok(lease) => Renewal::Renewed(Box::new(lease), since_renewal),
            // Another process holds the Lease, or somebody has changed a label of it, or the answer
            // to an earlier renewal was lost.
            Err(error) if is_conflict(&error) => match self.api.get(&self.name).await {
                Ok(lease) if holder(&lease) == Some(&self.identity) => {
                    Renewal::Changed(Box::new(lease))
                }
                Ok(_) => Renewal::Lost,
                Err(error) => {
                    tracing::warn!(%error, "the Lease cannot be read");
                    Renewal::Failed
                }
            },
            Err(kube::Error::Api(status)) if status.is_not_found() => Renewal::Lost,
            Err(error) => {
                tracing::warn!(%error, "the Lease cannot be renewed; trying again");
                Renewal::Failed
            }
        }
    }

    /// Releases the Lease, if this process holds it, so that a standby takes over at once. Best
    /// effort.
    pub(super) async fn release(&self) {
        let release = async {
            let found = self.api.get(&self.name).await?;
            if holder(&found) != Some(&self.identity) {
                return Ok(());
            }
            let spec = LeaseSpec {
                holder_identity: None,
                lease_duration_seconds: Some(1),
                ..found.spec.clone().unwrap_or_default()
            };
            self.replace(found, spec).await.map(drop)
        };
        match timeout((self.duration / 3).min(RELEASE_TIMEOUT), release).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the Lease cannot be released"),
            Err(_) => tracing::warn!("the API server does not answer the release of the Lease"),
        }
    }

    async fn create(&self) -> Result<Lease, kube::Error> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.clone()),
                ..ObjectMeta::default()
            },
            spec: Some(self.acquired(None)),
        };
        self.api.create(&PostParams::default(), &lease).await
    }

    /// The spec that a new holder writes.
    fn acquired(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(self.clock.now());
        let transitions = before.and_then(|before| before.lease_transitions);
        LeaseSpec {
            holder_identity: Some(self.identity.clone()),
            lease_duration_seconds: i32::try_from(self.duration.as_secs()).ok(),
            acquire_time: Some(now.clone()),
            renew_time: Some(now),
            lease_transitions: Some(transitions.map_or(0, |before| before.saturating_add(1))),
            ..LeaseSpec::default()
        }
    }

    /// Fails with a conflict if the Lease has changed since it was read.
    async fn replace(&self, mut lease: Lease, spec: LeaseSpec) -> Result<Lease, kube::Error> {
        lease.spec = Some(spec);
        self.api
            .replace(&self.name, &PostParams::default(), &lease)
            .await
    }
}

/// The result of a renewal.
enum Renewal {
    /// The Lease, and the time since just before the renewal.
    Renewed(Box<Lease>, Timer),
    /// The Lease was changed, and this process still holds it: the renewal is repeated at once.
    Changed(Box<Lease>),
    /// A request failed.
    Failed,
    /// This process does not hold the Lease any more.
    Lost,
}

fn valid_for(lease: &Lease) -> Duration {
    let spec = lease.spec.as_ref();
    let seconds = spec.and_then(|spec| spec.lease_duration_seconds);
    Duration::from_secs(seconds.unwrap_or(0).max(0).unsigned_abs().into())
}

fn holder(lease: &Lease) -> Option<&str> {
    let spec = lease.spec.as_ref()?;
    spec.holder_identity
        .as_deref()
        .filter(|holder| !holder.is_empty())
}

fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.is_conflict() || status.is_already_exists())
}
