//! Carries out one FlashSale: fetch, validate, plan and act, build, apply, tell.
//!
//! Where nothing is due, nothing has changed and nobody has touched what was made, it asks and
//! writes nothing.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use kube::runtime::controller::Action;
use kube::runtime::events::Recorder;
use kube::{Client, ResourceExt};
use tokio::time::Instant;

use super::apply::{Applied, apply};
use super::cluster::{Copies, find};
use super::fetch::{Referred, fetch};
use super::validate::{Refused, Valid, validate};
use super::{RequestError, cleanup, pods, tell};
use crate::api::{FlashSale, FlashSaleStatus};
use crate::driver::Driver;
use crate::plan::Scale;
use crate::report::{self, Change, with_pods};
use crate::resources::{self, Inputs, PodDefaults, Resources};
use crate::stores::{SharedStores, Stores};

/// How often stores are looked at where the schedule asks for nothing, so that the conditions say
/// how they are.
const LOOK_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// The longest sleep: the clock of the machine may be set meanwhile.
const LONGEST_SLEEP: Duration = Duration::from_secs(300);
/// The wait after the first failure; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LAST_RETRY: Duration = Duration::from_secs(60);
/// How often the count of sold items is written while nothing else changes.
const COUNT_EVERY: SignedDuration = SignedDuration::from_secs(5);
/// Events that wait for the API server at the most.
const MAX_UNTOLD: usize = 100;

/// What every FlashSale is carried out with.
pub(super) struct Context {
    pub(super) client: Client,
    pub(super) recorder: Recorder,
    pub(super) defaults: PodDefaults,
    pub(super) copies: Copies,
    pub(super) stores: SharedStores,
    /// By uid.
    pub(super) carried: Mutex<HashMap<String, Carried>>,
    /// Whether the cluster has ServiceMonitors.
    pub(super) service_monitors: bool,
}

impl Context {
    fn take(&self, uid: &str) -> Carried {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        carried.remove(uid).unwrap_or_default()
    }

    fn keep(&self, uid: String, this: Carried) {
        let mut carried = self.carried.lock().unwrap_or_else(PoisonError::into_inner);
        carried.insert(uid, this);
    }

    /// How many are carried out.
    pub(super) fn count(&self) -> usize {
        self.carried
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .len()
    }
}

/// What this process remembers of a FlashSale. All of it can be lost.
#[derive(Default)]
pub(super) struct Carried {
    /// What the rest was made from.
    inputs: Option<Versions>,
    driver: Option<Driving>,
    /// When the driver is to take its next step.
    next_at: Option<Timestamp>,
    applied: Option<Applied>,
    /// What was last told, and when.
    told: Option<(FlashSaleStatus, Timestamp)>,
    /// What is yet to be published.
    untold: Vec<Change>,
    failures: u32,
}

struct Driving {
    driver: Driver,
    stores: Arc<Stores>,
    revision: String,
    replicas: i32,
    /// Why the FlashSale as it is now cannot be carried out. What has begun is brought to its end
    /// as it was.
    refused: Option<Refused>,
}

/// The versions of a FlashSale and of what it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Versions {
    generation: Option<i64>,
    redis: Option<String>,
    postgres: Option<String>,
    catalog: Option<String>,
}

impl Versions {
    fn of(flash_sale: &FlashSale, copies: &Copies) -> Self {
        let namespace = flash_sale.namespace().unwrap_or_default();
        let spec = &flash_sale.spec;
        let secret = |name: &str| find(&copies.secrets, &namespace, name)?.resource_version();
        let config_map = spec.catalog.config_map_ref.as_ref();
        Self {
            generation: flash_sale.metadata.generation,
            redis: secret(&spec.redis.secret_key_ref.name),
            postgres: secret(&spec.postgres.secret_key_ref.name),
            catalog: config_map.and_then(|reference| {
                find(&copies.config_maps, &namespace, &reference.name)?.resource_version()
            }),
        }
    }
}

/// What came of a look at a FlashSale.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Nothing was due.
    Idle,
    /// What was due was done, or is being retried by the driver.
    Done,
    /// It cannot be carried out as it is.
    Refused,
}

impl Outcome {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// Looks at a FlashSale and does what is due. Answers when to look again.
pub(super) async fn carry_out(
    flash_sale: &FlashSale,
    context: &Context,
) -> (Result<Outcome, RequestError>, Action) {
    let uid = flash_sale.uid().unwrap_or_default();
    let mut carried = context.take(&uid);
    if flash_sale.metadata.deletion_timestamp.is_some() {
        return cleanup::clean_up(flash_sale, context, &mut carried.failures).await;
    }
    let outcome = carried.look(flash_sale, context).await;
    let wait = match outcome {
        Ok(_) => carried.wait(Timestamp::now()),
        Err(_) => back_off(&mut carried.failures),
    };
    context.keep(uid, carried);
    (outcome, Action::requeue(wait))
}

/// The wait after one more failure.
pub(super) fn back_off(failures: &mut u32) -> Duration {
    let wait = FIRST_RETRY * 2_u32.pow((*failures).min(10));
    *failures = failures.saturating_add(1);
    wait.min(LAST_RETRY)
}

impl Carried {
    async fn look(
        &mut self,
        flash_sale: &FlashSale,
        context: &Context,
    ) -> Result<Outcome, RequestError> {
        cleanup::keep_until_cleaned_up(&context.client, flash_sale).await?;
        let inputs = Versions::of(flash_sale, &context.copies);
        let mut outcome = Outcome::Idle;
        if self.inputs.as_ref() != Some(&inputs) {
            let referred = fetch(&context.client, flash_sale).await?;
            outcome = self.begin(flash_sale, &referred, context).await?;
            self.inputs = Some(inputs);
        }
        let now = Timestamp::now();
        let Some(driving) = &mut self.driver else {
            self.publish(flash_sale, context).await?;
            // The watches tell when it changes, or what it refers to.
            self.next_at = None;
            self.failures = 0;
            return Ok(Outcome::Refused);
        };
        let refused = driving.refused.is_some();
        if self.next_at.is_none_or(|due| due <= now) {
            let step = driving
                .driver
                .step(&driving.stores, Timestamp::now)
                .boxed()
                .await;
            let replicas = &flash_sale.spec.api.replicas;
            if let Some(scale) = step.scale {
                driving.replicas = match scale {
                    Scale::Idle => replicas.idle,
                    Scale::Sale => replicas.sale,
                };
            }
            // That nothing new is begun is told with the reason.
            let told =
                |change: &Change| !refused || !["Suspended", "Ready"].contains(&change.reason);
            self.untold.extend(step.changes.into_iter().filter(told));
            let latest = Timestamp::now() + LOOK_EVERY;
            self.next_at = Some(step.next_at.map_or(latest, |next| next.min(latest)));
            outcome = Outcome::Done;
        }
        let fault = match self.apply(flash_sale, context).await {
            Ok(changed) => {
                if changed {
                    outcome = Outcome::Done;
                }
                None
            }
            Err(error) => {
                tracing::warn!(flash_sale = flash_sale.name_any(), %error, "could not be applied");
                Some(error)
            }
        };
        self.tell(flash_sale, context, fault.as_ref().map(ToString::to_string))
            .await?;
        match fault {
            None => {
                self.failures = 0;
                Ok(outcome)
            }
            Some(_) => {
                // The status says it; the next look tries again.
                let retry = back_off(&mut self.failures);
                let retry =
                    Timestamp::now() + SignedDuration::try_from(retry).unwrap_or(LOOK_EVERY);
                self.next_at = Some(self.next_at.map_or(retry, |next| next.min(retry)));
                Ok(Outcome::Done)
            }
        }
    }

    /// Begins anew with what the FlashSale and what it refers to are now, and goes on from what
    /// was last told.
    async fn begin(
        &mut self,
        flash_sale: &FlashSale,
        referred: &Referred,
        context: &Context,
    ) -> Result<Outcome, RequestError> {
        let before = self.before(flash_sale);
        match validate(flash_sale, referred) {
            Ok(Valid {
                settings,
                goods,
                urls,
            }) => {
                let replicas = match &self.driver {
                    Some(driving) => driving.replicas,
                    None => self.replicas_now(flash_sale, context),
                };
                self.driver = Some(Driving {
                    driver: Driver::resumed(settings, goods, before),
                    stores: context.stores.at(&urls),
                    revision: referred.revision.clone(),
                    replicas,
                    refused: None,
                });
                self.next_at = None;
                Ok(Outcome::Done)
            }
            Err(refused) => {
                let generation = flash_sale.metadata.generation;
                let status = refused.status(generation, &before);
                self.untold.extend(report::changes(&before, &status, &[]));
                self.write(flash_sale, context, status).await?;
                if let Some(driving) = &mut self.driver {
                    driving.driver.begin_nothing_new();
                    driving.refused = Some(refused);
                }
                self.next_at = None;
                Ok(Outcome::Refused)
            }
        }
    }

    /// The status that was last told, by this process or by another.
    fn before(&self, flash_sale: &FlashSale) -> FlashSaleStatus {
        match &self.told {
            Some((status, _)) => status.clone(),
            None => flash_sale.status.clone().unwrap_or_default(),
        }
    }

    /// As many pods as there are, until the plan tells how many there should be.
    fn replicas_now(&self, flash_sale: &FlashSale, context: &Context) -> i32 {
        let namespace = flash_sale.namespace().unwrap_or_default();
        let name = resources::child_name(&flash_sale.name_any());
        let autoscaler = find(&context.copies.autoscalers, &namespace, &name);
        let minimum = autoscaler.and_then(|autoscaler| autoscaler.spec.as_ref()?.min_replicas);
        let deployment = find(&context.copies.deployments, &namespace, &name);
        pods::current(deployment.as_deref(), minimum).unwrap_or(flash_sale.spec.api.replicas.idle)
    }

    fn resources(&self, flash_sale: &FlashSale, context: &Context) -> Option<Resources> {
        let driving = self.driver.as_ref()?;
        if driving.refused.is_some() {
            return None;
        }
        Some(resources::build(&Inputs {
            flash_sale,
            defaults: &context.defaults,
            replicas: driving.replicas,
            revision: driving.revision.clone(),
            service_monitors: context.service_monitors,
        }))
    }

    /// Answers whether anything was to be applied.
    async fn apply(
        &mut self,
        flash_sale: &FlashSale,
        context: &Context,
    ) -> Result<bool, super::apply::ApplyError> {
        let Some(resources) = self.resources(flash_sale, context) else {
            return Ok(false);
        };
        let applied = apply(
            &context.client,
            &resources,
            &context.copies,
            context.service_monitors,
            self.applied.as_ref(),
        );
        match applied.await? {
            Some(applied) => {
                self.applied = Some(applied);
                Ok(true)
            }
            None => Ok(false),
        }
    }

    /// Writes the status if it is new, and publishes what has changed.
    async fn tell(
        &mut self,
        flash_sale: &FlashSale,
        context: &Context,
        fault: Option<String>,
    ) -> Result<(), RequestError> {
        let Some(driving) = &self.driver else {
            return Ok(());
        };
        let namespace = flash_sale.namespace().unwrap_or_default();
        let name = flash_sale.name_any();
        let deployment = find(
            &context.copies.deployments,
            &namespace,
            &resources::child_name(&name),
        );
        let pods = report::Pods {
            fault,
            ..pods::pods(
                deployment.as_deref(),
                driving.replicas,
                resources::selector_text(&name),
            )
        };
        let now = Timestamp::now();
        let before = self.before(flash_sale);
        let mut status = driving.driver.status().clone();
        if let Some(refused) = &driving.refused {
            status.conditions.clone_from(&before.conditions);
            status = refused.status(flash_sale.metadata.generation, &status);
        }
        let (status, changes) = with_pods(status, &before, &pods, now);
        self.untold.extend(changes);
        let counts_alone = self.told.as_ref().is_some_and(|(told, at)| {
            same_but_for_counts(told, &status) && now < *at + COUNT_EVERY
        });
        if before != status && !counts_alone {
            self.write(flash_sale, context, status).await?;
        }
        self.publish(flash_sale, context).await
    }

    async fn write(
        &mut self,
        flash_sale: &FlashSale,
        context: &Context,
        status: FlashSaleStatus,
    ) -> Result<(), RequestError> {
        if self.before(flash_sale) != status {
            tell::status(&context.client, flash_sale, &status).await?;
        }
        self.told = Some((status, Timestamp::now()));
        Ok(())
    }

    async fn publish(
        &mut self,
        flash_sale: &FlashSale,
        context: &Context,
    ) -> Result<(), RequestError> {
        let too_many = self.untold.len().saturating_sub(MAX_UNTOLD);
        self.untold.drain(..too_many);
        while let Some(change) = self.untold.first() {
            tell::event(&context.recorder, flash_sale, change).await?;
            self.untold.remove(0);
        }
        Ok(())
    }

    fn wait(&self, now: Timestamp) -> Duration {
        let left = self.next_at.map(|next| next.duration_since(now));
        let left = left.map(|left| Duration::try_from(left).unwrap_or(Duration::ZERO));
        left.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }
}

/// Whether nothing differs but how much is sold.
fn same_but_for_counts(told: &FlashSaleStatus, status: &FlashSaleStatus) -> bool {
    let mut counted = told.clone();
    if let (Some(counted), Some(now)) = (&mut counted.active_sale, &status.active_sale) {
        counted.sold = now.sold;
        counted.sold_of_total.clone_from(&now.sold_of_total);
    }
    counted == *status
}

/// Measures a look; see [`carry_out`].
pub(super) async fn timed(
    flash_sale: &FlashSale,
    context: &Context,
    metrics: &super::probes::Metrics,
) -> Action {
    let begun = Instant::now();
    let (outcome, action) = carry_out(flash_sale, context).await;
    let word = match &outcome {
        Ok(outcome) => outcome.as_str(),
        Err(error) => {
            tracing::warn!(
                namespace = flash_sale.namespace(),
                flash_sale = flash_sale.name_any(),
                %error,
                "could not be carried out; trying again"
            );
            "failed"
        }
    };
    metrics.reconciliations.with_label_values(&[word]).inc();
    if !matches!(outcome, Ok(Outcome::Idle)) {
        metrics.seconds.observe(begun.elapsed().as_secs_f64());
    }
    metrics
        .flash_sales
        .set(i64::try_from(context.count()).unwrap_or(i64::MAX));
    action
}
