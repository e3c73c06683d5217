//! Carries out one FlashSale: fetch, validate, plan and act, build, apply, tell.
//!
//! Where nothing is due, nothing has changed and nobody has touched what was made, it asks and
//! writes nothing. Sales come first: what cannot be told or applied never keeps them waiting.

use std::sync::Arc;
use std::time::Duration;

use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};
use kube::ResourceExt;
use kube::runtime::controller::Action;
use tokio::time::Instant;

use super::apply::{Applied, ApplyError, apply};
use super::cleanup::{self, Ending};
use super::cluster::{Copies, find};
use super::context::Context;
use super::fetch::{Referred, fetch};
use super::tell::Told;
use super::validate::{Refused, Valid, validate};
use super::{RequestError, pods};
use crate::crd::{FlashSale, FlashSaleStatus};
use crate::driver::Driver;
use crate::planner::Scale;
use crate::status::{self, with_pods};
use crate::resources::{self, Inputs};
use crate::backends::{StoreUrls, Stores};

/// How often stores are looked at where the schedule asks for nothing, so that the conditions say
/// how they are.
const LOOK_EVERY: SignedDuration = SignedDuration::from_mins(10);
/// The longest sleep: a clock that is set forward, or a machine that was suspended, does not end a
/// sleep. Much shorter than a warm-up.
const LONGEST_SLEEP: Duration = Duration::from_secs(30);
/// The wait after the first failure; it doubles with each.
const FIRST_RETRY: Duration = Duration::from_secs(1);
/// The longest wait after a failure.
const LAST_RETRY: Duration = Duration::from_secs(60);

/// What this process remembers of a FlashSale. All of it can be lost.
#[derive(Default)]
pub(super) struct Carried {
    /// What the rest was made from.
    sources: Option<Sources>,
    driving: Option<Driving>,
    told: Told,
    failures: u32,
    /// Of one that is deleted.
    ending: Ending,
}

/// A FlashSale that can be carried out, or could be.
struct Driving {
    driver: Driver,
    /// When the driver is to take its next step; `None`: now.
    next_at: Option<Timestamp>,
    applied: Option<Applied>,
    urls: StoreUrls,
    stores: Arc<Stores>,
    revision: String,
    replicas: i32,
    /// The FlashSale as it was when it could last be carried out.
    valid: FlashSale,
    /// Why, as it is now, it cannot be. What has begun is brought to its end as it was.
    refused: Option<Refused>,
}

/// The versions of a FlashSale and of what it refers to.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Sources {
    generation: Option<i64>,
    redis: Option<String>,
    postgres: Option<String>,
    catalog: Option<String>,
}

impl Sources {
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
    fn as_str(self) -> &'static str {
        match self {
            Self::Idle => "idle",
            Self::Done => "done",
            Self::Refused => "refused",
        }
    }
}

/// Looks at a FlashSale and does what is due. Answers when to look again.
async fn carry_out(
    flash_sale: &FlashSale,
    context: &Context,
) -> (Result<Outcome, RequestError>, Action) {
    let uid = flash_sale.uid().unwrap_or_default();
    let mut carried = context.take(&uid);
    if flash_sale.metadata.deletion_timestamp.is_some() {
        let stores = carried.driving.as_ref().map(|driving| &driving.stores);
        let ending = &mut carried.ending;
        let (outcome, action) = cleanup::clean_up(flash_sale, context, stores, ending).await;
        if !ending.is_over() {
            context.keep(uid, carried);
        }
        return (outcome, action);
    }
    let outcome = carried.look(flash_sale, context).await;
    let due = carried.wait(Timestamp::now());
    let wait = match outcome {
        Ok(_) => due,
        // What is due for a sale does not wait longer because something else fails.
        Err(_) => back_off(&mut carried.failures).min(due.max(FIRST_RETRY)),
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
        let sources = Sources::of(flash_sale, &context.copies);
        let mut outcome = Outcome::Idle;
        if self.sources.as_ref() != Some(&sources) {
            let referred = fetch(&context.client, flash_sale).await?;
            outcome = self.begin(flash_sale, &referred, context).await?;
            self.sources = Some(sources);
        }
        let Some(driving) = &mut self.driving else {
            self.told.publish(flash_sale, context).await;
            // The watches tell when it changes, or what it refers to.
            self.failures = 0;
            return Ok(Outcome::Refused);
        };
        if driving.step(&mut self.told).await {
            outcome = Outcome::Done;
        }
        let fault = match driving.apply(context).await {
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
        driving
            .tell(flash_sale, context, fault.as_ref(), &mut self.told)
            .await?;
        if fault.is_none() {
            self.failures = 0;
            return Ok(outcome);
        }
        // The status says it; the next look tries again.
        let retry = back_off(&mut self.failures);
        let retry = Timestamp::now() + SignedDuration::try_from(retry).unwrap_or(LOOK_EVERY);
        driving.next_at = Some(driving.next_at.map_or(retry, |next| next.min(retry)));
        Ok(Outcome::Done)
    }

    /// Begins anew with what the FlashSale and what it refers to are now, and goes on from what
    /// was last told.
    async fn begin(
        &mut self,
        flash_sale: &FlashSale,
        referred: &Referred,
        context: &Context,
    ) -> Result<Outcome, RequestError> {
        let before = self.told.before(flash_sale);
        match validate(flash_sale, referred) {
            Ok(valid) => {
                let last = self.driving.take();
                let driving = Driving::begin(flash_sale, valid, referred, before, context, last);
                self.driving = Some(driving);
                Ok(Outcome::Done)
            }
            Err(refused) => {
                let generation = flash_sale.metadata.generation;
                let status = refused.status(generation, &before, &before);
                let changes = report::changes(&before, &status, &[]);
                self.told
                    .write(flash_sale, context, status, changes)
                    .await?;
                if let Some(driving) = &mut self.driving {
                    driving.driver.begin_nothing_new();
                    driving.refused = Some(refused);
                    driving.next_at = None;
                }
                Ok(Outcome::Refused)
            }
        }
    }

    fn wait(&self, now: Timestamp) -> Duration {
        let next_at = self.driving.as_ref().and_then(|driving| driving.next_at);
        let left = next_at.map(|next| next.duration_since(now));
        let left = left.map(|left| Duration::try_from(left).unwrap_or(Duration::ZERO));
        left.unwrap_or(LONGEST_SLEEP).min(LONGEST_SLEEP)
    }
}

impl Driving {
    /// Takes over what `last` knows of the same stores.
    fn begin(
        flash_sale: &FlashSale,
        valid: Valid,
        referred: &Referred,
        before: FlashSaleStatus,
        context: &Context,
        last: Option<Self>,
    ) -> Self {
        let Valid {
            settings,
            goods,
            urls,
        } = valid;
        let mut this = Self {
            driver: Driver::resumed(settings, goods, before),
            next_at: None,
            applied: None,
            stores: context.stores.at(&urls),
            urls,
            revision: referred.revision.clone(),
            replicas: 0,
            valid: flash_sale.clone(),
            refused: None,
        };
        let Some(last) = last else {
            this.replicas = replicas_now(flash_sale, context);
            return this;
        };
        this.replicas = last.replicas;
        this.applied = last.applied;
        if last.urls == this.urls {
            this.driver = this.driver.remembering(last.driver);
            // The Secret has a new label, or another key.
            this.revision = last.revision;
        }
        this
    }

    /// Has the driver do what is due; answers whether anything was.
    async fn step(&mut self, told: &mut Told) -> bool {
        let now = Timestamp::now();
        // What seems further away than it ever is was planned by a clock that has been set back.
        let due = |at: Timestamp| at <= now || at > now + LOOK_EVERY;
        if !self.next_at.is_none_or(due) {
            return false;
        }
        let step = self.driver.step(&self.stores, Timestamp::now).boxed().await;
        let replicas = &self.valid.spec.api.replicas;
        if let Some(scale) = step.scale {
            self.replicas = match scale {
                Scale::Idle => replicas.idle,
                Scale::Sale => replicas.sale,
            };
        }
        // A driver that does as it was told before does not know that this is not well.
        let refused = self.refused.is_some();
        let changes = step.changes.into_iter();
        told.add(changes.filter(|change| !(refused && change.reason == "Ready")));
        let latest = Timestamp::now() + LOOK_EVERY;
        self.next_at = Some(step.next_at.map_or(latest, |next| next.min(latest)));
        true
    }

    /// Answers whether anything was to be applied.
    async fn apply(&mut self, context: &Context) -> Result<bool, ApplyError> {
        let resources = resources::build(&Inputs {
            flash_sale: &self.valid,
            defaults: &context.defaults,
            replicas: self.replicas,
            revision: self.revision.clone(),
        });
        let applied = apply(context, &resources, self.applied.as_ref());
        let Some(applied) = applied.await? else {
            return Ok(false);
        };
        self.applied = Some(applied);
        Ok(true)
    }

    /// Writes the status if it is new, and publishes what has changed.
    async fn tell(
        &self,
        flash_sale: &FlashSale,
        context: &Context,
        fault: Option<&ApplyError>,
        told: &mut Told,
    ) -> Result<(), RequestError> {
        let namespace = flash_sale.namespace().unwrap_or_default();
        let name = flash_sale.name_any();
        let child = resources::child_name(&name);
        let deployment = find(&context.copies.deployments, &namespace, &child);
        let selector = resources::selector_text(&name);
        let mut pods = pods::pods(deployment.as_deref(), self.replicas, selector);
        pods.fault = fault
            .filter(|fault| !fault.passes_by_itself())
            .map(ToString::to_string);
        let before = told.before(flash_sale);
        let mut status = self.driver.status().clone();
        if let Some(refused) = &self.refused {
            status = refused.status(flash_sale.metadata.generation, &status, &before);
        }
        let (status, changes) = with_pods(status, &before, &pods, Timestamp::now());
        told.write(flash_sale, context, status, changes).await?;
        told.publish(flash_sale, context).await;
        Ok(())
    }
}

/// As many pods as there are, until the plan tells how many there should be.
fn replicas_now(flash_sale: &FlashSale, context: &Context) -> i32 {
    let namespace = flash_sale.namespace().unwrap_or_default();
    let name = resources::child_name(&flash_sale.name_any());
    let autoscaler = find(&context.copies.autoscalers, &namespace, &name);
    let minimum = autoscaler.and_then(|autoscaler| autoscaler.spec.as_ref()?.min_replicas);
    let deployment = find(&context.copies.deployments, &namespace, &name);
    pods::current(deployment.as_deref(), minimum).unwrap_or(flash_sale.spec.api.replicas.idle)
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
