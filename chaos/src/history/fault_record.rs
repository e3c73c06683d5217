//! One fault as it was made.

use serde_json::{Value, json};

use super::OwnedKeys;
use crate::plan::Fault;

/// One fault as it was made.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultRecord {
    /// What it was.
    pub fault: Fault,
    /// When it began.
    pub began_us: i64,
    /// When it ended.
    pub ended_us: i64,
    /// The Redis master that it hit, where it hit one, with the keys that it had when the fault began.
    pub master: Option<OwnedKeys>,
    /// When what it hit could serve again: a reachable node reports the new master, Redis answers,
    /// Postgres accepts a write. `None`: not seen, or there is nothing to see.
    pub serves_again_us: Option<i64>,
    /// What went wrong while it was made; empty where it was made as planned.
    pub problem: Option<String>,
}

impl FaultRecord {
    /// Whether it lasts at a moment, or will or did within so many microseconds of it.
    #[must_use]
    pub fn is_within(&self, at_us: i64, margin_us: i64) -> bool {
        let until_us = self
            .serves_again_us
            .unwrap_or(self.ended_us)
            .max(self.ended_us);
        at_us >= self.began_us - margin_us && at_us <= until_us + margin_us
    }

    /// As a line of the history.
    #[must_use]
    pub fn to_json(&self) -> Value {
        json!({
            "fault": self.fault.to_string(),
            "parameters": self.fault,
            "began_us": self.began_us,
            "ended_us": self.ended_us,
            "master": self.master.as_ref().map(|keys| keys.master),
            "serves_again_us": self.serves_again_us,
            "problem": self.problem,
        })
    }
}
