//! What the table of runs has of one run.

use serde::{Deserialize, Serialize};

use crate::judge::Goal;

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRow {
    /// The scenario or the seed, and the number of the run: what a resumed command recognises.
    pub run: String,
    /// The runs that its figures are compared with; empty in a table of an earlier version.
    #[serde(default)]
    pub group: String,
    /// The revision of the product.
    pub revision: String,
    /// The faults, in words.
    pub faults: Vec<String>,
    /// How many purchases were answered.
    pub purchases: usize,
    /// The number of each invariant, and what was found.
    pub verdicts: Vec<(String, String)>,
    /// What was measured; empty in a table of an earlier version.
    #[serde(default)]
    pub goals: Vec<Goal>,
    /// Whether no invariant is broken.
    pub is_sound: bool,
}

impl RunRow {
    /// The goals that were missed.
    pub fn missed_goals(&self) -> impl Iterator<Item = &Goal> {
        let goals = self.goals.iter();
        goals.filter(|goal| goal.is_met() == Some(false))
    }
}
