//! What a check says about one invariant.
//!
//! Promises: nothing is called held that could not be checked.

use serde::Serialize;

/// Offenders that a verdict names.
const NAMED: usize = 5;

/// What came of the check of an invariant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Finding {
    /// It was checked, and it held.
    Held,
    /// It was broken.
    Broken,
    /// The run made calls that it speaks of, and none of their answers could be compared.
    #[serde(rename = "not_looked_at")]
    NotChecked,
    /// The run made no call that it speaks of.
    #[serde(rename = "nothing_to_look_at")]
    NothingToCheck,
}

impl Finding {
    /// The word in a table.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Held => "held",
            Self::Broken => "BROKEN",
            Self::NotChecked => "NOT LOOKED AT",
            Self::NothingToCheck => "nothing to look at",
        }
    }

    /// Whether it speaks against the run.
    #[must_use]
    pub fn is_fault(self) -> bool {
        matches!(self, Self::Broken | Self::NotChecked)
    }
}

/// The judgement on one invariant.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Verdict {
    /// The invariant.
    pub invariant: &'static str,
    /// What was found.
    pub finding: Finding,
    /// What was compared and, where it broke, up to five offenders.
    pub detail: String,
}

/// How much there was to compare.
#[derive(Debug, Clone, Copy)]
pub struct Scope {
    /// Comparisons that were made.
    pub compared: usize,
    /// Whether the run made calls that should have led to some.
    pub due: bool,
}

/// Collects offenders: all are counted, few are named.
#[derive(Debug, Default)]
pub struct Offenders {
    count: usize,
    named: Vec<String>,
}

impl Offenders {
    /// Counts one more, which is described where it is among the first.
    pub fn add(&mut self, describe: impl FnOnce() -> String) {
        self.count += 1;
        if self.named.len() < NAMED {
            self.named.push(describe());
        }
    }

    /// The judgement: broken where there is an offender.
    #[must_use]
    pub fn verdict(self, invariant: &'static str, scope: Scope, checked: String) -> Verdict {
        let finding = match scope {
            _ if self.count > 0 => Finding::Broken,
            Scope { compared: 1.., .. } => Finding::Held,
            Scope { due: true, .. } => Finding::NotChecked,
            Scope { due: false, .. } => Finding::NothingToCheck,
        };
        let detail = if self.count == 0 {
            checked
        } else {
            let named = self.named.join("; ");
            format!("{checked}; {} broke it: {named}", self.count)
        };
        Verdict {
            invariant,
            finding,
            detail,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn findings_have_in_reports_the_names_that_machines_read() {
        let all = [
            Finding::Held,
            Finding::Broken,
            Finding::NotChecked,
            Finding::NothingToCheck,
        ];
        let names = serde_json::to_string(&all).unwrap();
        let expected = r#"["held","broken","not_looked_at","nothing_to_look_at"]"#;
        assert_eq!(names, expected);
    }
}
