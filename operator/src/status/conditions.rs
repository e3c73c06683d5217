//! The conditions of a status.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};

use super::Health;
use crate::planner::NoNext;

/// The reason of the condition Suspended once a suspension has ended.
const RESUMED: &str = "Resumed";

/// Collects conditions; keeps the time of each that has not turned.
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

/// When a suspension ended, as far as these conditions tell: at the latest now, where they still
/// say that the FlashSale is suspended.
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
        // The API server takes no two of a type.
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

    /// As it was, where nothing newer is known.
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

    /// Whether the schedule and the stores are as they should be.
    pub(super) fn stores(&mut self, health: &Health, no_next: Option<&NoNext>) {
        let failure = no_next.filter(|no_next| no_next.is_failure());
        match (&health.problem, &health.unfit, failure) {
            (Some(problem), ..) => {
                let reason = format!("{}{}", problem.store().unwrap_or(""), problem.reason());
                self.set("Ready", false, &reason, problem.to_string());
            }
            (None, Some(unfit), _) => self.set("Ready", false, "EvictionPolicy", unfit.clone()),
            (None, None, Some(no_next)) => {
                self.set("Ready", false, no_next.reason(), no_next.to_string());
            }
            (None, None, None) => self.set("Ready", true, "Ready", "the schedule is carried out"),
        }
        let failed = |store| {
            let problem = health.problem.as_ref();
            problem.filter(|problem| problem.store() == Some(store))
        };
        if let Some(problem) = failed("Postgres") {
            self.set(
                "DatabaseReady",
                false,
                problem.reason(),
                problem.to_string(),
            );
        } else if health.looked {
            self.set("DatabaseReady", true, "Connected", "Postgres answers");
        } else {
            self.not_asked("DatabaseReady");
        }
        if let Some(problem) = failed("Redis") {
            self.set("RedisReady", false, problem.reason(), problem.to_string());
        } else if let Some(unfit) = &health.unfit {
            self.set("RedisReady", false, "EvictionPolicy", unfit.clone());
        } else if health.problem.is_none() {
            self.set("RedisReady", true, "Connected", "Redis answers");
        } else {
            self.not_asked("RedisReady");
        }
    }

    fn not_asked(&mut self, type_: &str) {
        self.set_to(type_, "Unknown", "NotAsked", "another fault came first");
    }

    /// Remembers that a suspension has ended: starts before that were not missed.
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
