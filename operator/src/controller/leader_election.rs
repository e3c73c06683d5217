//! Who leads: one of several operators, by a Lease.
//!
//! Promises: never two at once, as long as clocks run at about the same speed. No clock of another
//! machine is trusted: a Lease counts as abandoned when this process has seen it unchanged for as
//! long as it is good for. Whoever leads and cannot renew gives up a third of that time before
//! others may take over. Each write names the version that it replaces, so that of two who try
//! at once one fails.
//!
//! The crates that do this take the time in the Lease for their own and keep leading while the
//! API server is away; this must not.

use std::time::Duration;

use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use k8s_openapi::apimachinery::pkg::apis::meta::v1::MicroTime;
use kube::api::{ObjectMeta, PostParams};
use kube::{Api, Client};
use tokio::time::{Instant, sleep, sleep_until, timeout};

use super::RunSettings;

/// A pod that is to end has half a minute.
const RELEASE_LIMIT: Duration = Duration::from_secs(10);

/// Holds the Lease, or waits for it.
pub struct Elector {
    api: Api<Lease>,
    name: String,
    identity: String,
    /// How long the Lease is good for without a renewal.
    duration: Duration,
}

/// A time in which this process leads.
pub struct Term {
    lease: Lease,
    renewed_at: Instant,
}

impl Elector {
    /// Asks nobody yet.
    pub fn new(client: Client, settings: &RunSettings) -> Self {
        Self {
            api: Api::namespaced(client, &settings.lease_namespace),
            name: settings.lease_name.clone(),
            identity: settings.identity.clone(),
            duration: Duration::from_secs(settings.lease_seconds.into()),
        }
    }

    /// How often the Lease is looked at and renewed.
    fn period(&self) -> Duration {
        self.duration / 6
    }

    /// Waits until this process leads.
    pub async fn acquire(&self) -> Term {
        let mut seen: Option<(Lease, Instant)> = None;
        let mut told = None;
        loop {
            let begun = Instant::now();
            match timeout(self.period(), self.try_acquire(&mut seen)).await {
                Ok(Ok(Some(lease))) => {
                    tracing::info!(lease = self.name, identity = self.identity, "leading");
                    return Term {
                        lease,
                        renewed_at: begun,
                    };
                }
                Ok(Ok(None)) => {
                    let holder = seen.as_ref().and_then(|(lease, _)| holder(lease));
                    if told.as_deref() != holder {
                        tracing::info!(lease = self.name, holder, "standing by");
                        told = holder.map(str::to_owned);
                    }
                }
                Ok(Err(error)) if is_conflict(&error) => {}
                Ok(Err(error)) => tracing::warn!(%error, "the Lease cannot be read or taken"),
                Err(_) => tracing::warn!("the API server does not answer about the Lease"),
            }
            sleep(self.period()).await;
        }
    }

    /// Returns the Lease if it is ours now.
    async fn try_acquire(
        &self,
        seen: &mut Option<(Lease, Instant)>,
    ) -> Result<Option<Lease>, kube::Error> {
        let now = Instant::now();
        let Some(found) = self.api.get_opt(&self.name).await? else {
            let new = Lease {
                metadata: ObjectMeta {
                    name: Some(self.name.clone()),
                    ..ObjectMeta::default()
                },
                spec: Some(self.spec(None)),
            };
            let created = self.api.create(&PostParams::default(), &new).await?;
            return Ok(Some(created));
        };
        let unchanged_since = match seen {
            Some((before, since)) if before.spec == found.spec => *since,
            _ => now,
        };
        let spec = found.spec.clone().unwrap_or_default();
        let good_for = spec
            .lease_duration_seconds
            .unwrap_or(0)
            .max(0)
            .unsigned_abs();
        // Ours, where the process before this one had the same name, as in a StatefulSet.
        let free = match holder(&found) {
            None => true,
            Some(holder) if holder == self.identity => true,
            Some(_) => now.duration_since(unchanged_since) >= Duration::from_secs(good_for.into()),
        };
        *seen = Some((found.clone(), unchanged_since));
        if !free {
            return Ok(None);
        }
        self.replace(found, self.spec(Some(&spec))).await.map(Some)
    }

    /// Renews; returns when this process may not lead any more.
    pub async fn renew(&self, mut term: Term) {
        loop {
            // By then somebody must know; others take over a third of the duration later.
            let give_up_at = term.renewed_at + self.duration * 2 / 3;
            let begun = Instant::now();
            let spec = LeaseSpec {
                renew_time: Some(MicroTime(Timestamp::now())),
                ..term.lease.spec.clone().unwrap_or_default()
            };
            let renewed = tokio::select! {
                renewed = self.replace(term.lease.clone(), spec) => renewed,
                () = sleep_until(give_up_at) => return,
            };
            match renewed {
                Ok(lease) => {
                    term.lease = lease;
                    term.renewed_at = begun;
                }
                // Somebody else has it, or has only written a label, or the answer to an earlier
                // renewal was lost.
                Err(error) if is_conflict(&error) => {
                    let found = tokio::select! {
                        found = self.api.get(&self.name) => found,
                        () = sleep_until(give_up_at) => return,
                    };
                    match found {
                        Ok(lease) if holder(&lease) == Some(&self.identity) => {
                            term.lease = lease;
                            continue;
                        }
                        Ok(_) => return,
                        Err(error) => tracing::warn!(%error, "the Lease cannot be read"),
                    }
                }
                Err(kube::Error::Api(status)) if status.is_not_found() => return,
                Err(error) => tracing::warn!(%error, "the Lease cannot be renewed; trying again"),
            }
            tokio::select! {
                () = sleep(self.period()) => {}
                () = sleep_until(give_up_at) => return,
            }
        }
    }

    /// Gives the Lease back, if it is ours, so that another takes over at once. Best effort.
    pub async fn release(&self) {
        let given_back = async {
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
        match timeout((self.duration / 3).min(RELEASE_LIMIT), given_back).await {
            Ok(Ok(())) => {}
            Ok(Err(error)) => tracing::warn!(%error, "the Lease cannot be given back"),
            Err(_) => tracing::warn!("the API server does not take the Lease back"),
        }
    }

    /// The Lease as its new holder writes it.
    fn spec(&self, before: Option<&LeaseSpec>) -> LeaseSpec {
        let now = MicroTime(Timestamp::now());
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

    /// Fails with a conflict where the Lease is not the one that was read.
    async fn replace(&self, mut lease: Lease, spec: LeaseSpec) -> Result<Lease, kube::Error> {
        lease.spec = Some(spec);
        self.api
            .replace(&self.name, &PostParams::default(), &lease)
            .await
    }
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
