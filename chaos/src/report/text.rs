//! The verdicts and the figures of a run, for the terminal.

use std::fmt::Write as _;

use crate::judge::{Goal, NumberedVerdict};

/// A line for each invariant, then one for each figure.
#[must_use]
pub fn verdicts(verdicts: &[NumberedVerdict], goals: &[Goal]) -> String {
    let mut text = String::new();
    for NumberedVerdict { number, verdict } in verdicts {
        let word = verdict.finding.word();
        // Writing to a string cannot fail.
        let _ = writeln!(
            text,
            "    {number:<6}{word:<20}{}: {}",
            verdict.invariant, verdict.detail
        );
    }
    for goal in goals {
        let _ = writeln!(text, "    {}", line(goal));
    }
    text
}

fn line(goal: &Goal) -> String {
    let Goal {
        fault, name, unit, ..
    } = goal;
    let value = goal.value.map_or("not seen".to_owned(), |value| {
        format!("{value:.2} {unit}").trim_end().to_owned()
    });
    let limit = goal.limit.map_or(String::new(), |limit| {
        let word = match goal.is_met() {
            Some(true) => "met",
            Some(false) => "MISSED",
            None => "not measured",
        };
        format!(" (goal {limit} {unit}: {word})")
    });
    format!("{fault}: {name}: {value}{limit}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_figure_is_shown_with_its_goal() {
        let goal = |value, limit| Goal {
            fault: "hung master (sale's slot)".to_owned(),
            name: "selling".into(),
            value,
            unit: "s".into(),
            limit,
        };
        let shown = |value, limit| line(&goal(value, limit));
        assert!(shown(Some(1.5), Some(1.0)).ends_with("selling: 1.50 s (goal 1 s: MISSED)"));
        assert!(shown(Some(0.5), Some(1.0)).ends_with("selling: 0.50 s (goal 1 s: met)"));
        assert!(shown(None, Some(1.0)).ends_with("not seen (goal 1 s: not measured)"));
        assert!(shown(Some(2.0), None).ends_with("selling: 2.00 s"));
    }
}
