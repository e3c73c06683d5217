//! The conditions of a status.

use flashsale_engine::redis::eviction_policy::Eviction;
use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use crate::backends::ActionError;
use crate::crd::{ActiveSale, Phase};
use crate::planner::{NoNext, Plan};
use crate::status::reasons;

/// The reason of the condition Suspended once a suspension has ended.
const RESUMED: &str = "Resumed";

/// How the last observation and the last actions went.
#[derive(Debug, Default)]
pub struct Health {
    /// Whether Postgres was observed.
    pub observed: bool,
    /// Why something failed.
    pub error: Option<ActionError>,
    /// Whether Redis, where it answers, may evict keys of a sale.
    pub eviction: Eviction,
}

/// Collects conditions; keeps the time of each whose status has not changed.
pub(super) struct Conditions<'a> {
    pub(super) before: &'a [Condition],
    pub(super) generation: Option<i64>,
    pub(super) now: Timestamp,
    pub(super) list: Vec<Condition>,
}

/// The condition of a type, if it is among these.
pub(super) fn find<'c>(conditions: &'c [Condition], type_: &str) -> Option<&'c Condition> {
    conditions.iter().find(|condition| condition.type_ == type_)
}

/// When a suspension ended, according to these conditions: now, if the FlashSale is still
/// suspended in them.
pub fn resumed_at(before: &[Condition], now: Timestamp) -> Option<Timestamp> {
    let suspended = find(before, "Suspended")?;
    match suspended.status.as_str() {
        "True" => Some(now),
        _ if suspended.reason == RESUMED => Some(suspended.last_transition_time.0),
        _ => None,
    }
}

impl Conditions<'_> {
    pub(super) fn set(
        &mut self,
        type_: &str,
        status: bool,
        reason: &str,
        message: impl Into<String>,
    ) {
        let status = if status { "True" } else { "False" };
        self.set_to(type_, status, reason, message);
    }

    fn set_to(&mut self, type_: &str, status: &str, reason: &str, message: impl Into<String>) {
        let same = find(self.before, type_).filter(|before| before.status == status);
        // The API server refuses two conditions of a type.
        self.list.retain(|condition| condition.type_ != type_);
        self.list.push(Condition {
            type_: type_.to_owned(),
            status: status.to_owned(),
            reason: reason.to_owned(),
            message: message.into(),
            observed_generation: self.generation,
            last_transition_time: same.map_or(Time(self.now), |condition| {
                condition.last_transition_time.clone()
            }),
        });
    }

    /// The condition as it was, because nothing newer is observed.
    pub(super) fn keep(&mut self, type_: &str) {
        match find(self.before, type_) {
            Some(before) => self.list.push(before.clone()),
            None => self.set_to(
                type_,
                "Unknown",
                "NotLooked",
                "Postgres has not answered yet",
            ),
        }
    }

    /// Whether the schedule is followed and the backends are ready.
    pub(super) fn backends(&mut self, health: &Health, no_next: Option<&NoNext>) {
        let failure = no_next.filter(|no_next| no_next.is_failure());
        let unfit = health.eviction.fault();
        match (&health.error, unfit, failure) {
            (Some(error), ..) => {
                let reason = format!(
                    "{}{}",
                    error.backend().unwrap_or(""),
                    reasons::of_error(error)
                );
                self.set("Ready", false, &reason, error.to_string());
            }
            (None, Some(unfit), _) => self.set("Ready", false, "EvictionPolicy", unfit),
            (None, None, Some(no_next)) => {
                self.set("Ready", false, no_next.reason(), no_next.to_string());
            }
            (None, None, None) => self.set("Ready", true, "Ready", "the schedule is followed"),
        }
        let failed = |backend| {
            let error = health.error.as_ref();
            error.filter(|error| error.backend() == Some(backend))
        };
        if let Some(error) = failed("Postgres") {
            self.set(
                "DatabaseReady",
                false,
                reasons::of_error(error),
                error.to_string(),
            );
        } else if health.observed {
            self.set("DatabaseReady", true, "Connected", "Postgres answers");
        } else {
            self.not_asked("DatabaseReady");
        }
        if let Some(error) = failed("Redis") {
            self.set(
                "RedisReady",
                false,
                reasons::of_error(error),
                error.to_string(),
            );
        } else if let Some(unfit) = unfit {
            self.set("RedisReady", false, "EvictionPolicy", unfit);
        } else if health.error.is_none() {
            let message = match &health.eviction {
                Eviction::Risky(why) => format!("Redis answers; {why}"),
                _ => "Redis answers".to_owned(),
            };
            self.set("RedisReady", true, "Connected", message);
        } else {
            self.not_asked("RedisReady");
        }
    }

    fn not_asked(&mut self, type_: &str) {
        self.set_to(type_, "Unknown", "NotAsked", "another error came first");
    }

    /// Whether the open sale, or the next one, is in Redis and Postgres.
    pub(super) fn seeded(&mut self, active: Option<&ActiveSale>, plan: &Plan) {
        let (status, reason, message) = match (active, &plan.next) {
            (Some(sale), _) => (true, "Open", format!("{} is open", sale.id)),
            (None, Ok(next)) if next.seeded => {
                (true, "Prepared", format!("{} is ready to open", next.id))
            }
            (None, Ok(next)) => (false, "NotYet", format!("{} is not prepared yet", next.id)),
            (None, Err(no_next)) => (false, no_next.reason(), no_next.to_string()),
        };
        self.set("Seeded", status, reason, message);
    }

    /// Whether anything is for sale.
    pub(super) fn selling(&mut self, active: Option<&ActiveSale>, phase: Phase) {
        match active {
            Some(sale) if phase == Phase::SoldOut => {
                let message = format!("everything in {} is sold", sale.id);
                self.set("Selling", false, "SoldOut", message);
            }
            Some(sale) => self.set("Selling", true, "Open", format!("{} is open", sale.id)),
            None => self.set("Selling", false, "NoSale", "no sale is open"),
        }
    }

    /// Records that a suspension has ended: starts before that were not missed.
    pub(super) fn suspended(&mut self, suspend: bool) {
        if suspend {
            return self.set("Suspended", true, "Suspended", "no further sale is opened");
        }
        let reason = match resumed_at(self.before, self.now) {
            Some(_) => RESUMED,
            None => "Scheduled",
        };
        self.set("Suspended", false, reason, "sales open as scheduled");
    }
}
