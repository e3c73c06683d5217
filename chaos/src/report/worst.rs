//! The worst figures of the runs of each scenario, which is what a goal is compared with.

use super::run_row::RunRow;
use crate::judge::Goal;

/// One figure of the runs of one scenario.
struct Figure<'a> {
    row: &'a RunRow,
    goal: &'a Goal,
    /// `None`: a run did not show it.
    worst: Option<f64>,
    runs: usize,
}

impl Figure<'_> {
    fn is_of(&self, row: &RunRow, goal: &Goal) -> bool {
        let (group, own) = (&row.group, self.goal);
        &self.row.group == group && own.fault == goal.fault && own.name == goal.name
    }
}

/// A row for each figure; the last revision alone, because figures of others are of other programs.
pub fn markdown(rows: &[RunRow]) -> String {
    let mut text = "| worst of | runs | fault | figure | worst | goal |\n".to_owned();
    text.push_str(&"|---".repeat(6));
    text.push_str("|\n");
    for Figure {
        row,
        goal,
        worst,
        runs,
    } in figures(rows)
    {
        let unit = &goal.unit;
        let worst = worst.map_or("not seen".to_owned(), |value| format!("{value:.2} {unit}"));
        let limit = goal
            .limit
            .map_or(String::new(), |limit| format!("{limit} {unit}"));
        let (group, fault, name) = (&row.group, &goal.fault, &goal.name);
        text.push_str(&format!(
            "| {group} | {runs} | {fault} | {name} | {worst} | {limit} |\n"
        ));
    }
    text
}

fn figures(rows: &[RunRow]) -> Vec<Figure<'_>> {
    let revision = rows.last().map(|row| &row.revision);
    let mut figures: Vec<Figure> = Vec::new();
    for row in rows.iter().filter(|row| Some(&row.revision) == revision) {
        for goal in &row.goals {
            match figures.iter_mut().find(|figure| figure.is_of(row, goal)) {
                Some(figure) => {
                    figure.runs += 1;
                    figure.worst = figure.worst.zip(goal.value).map(|(a, b)| a.max(b));
                }
                None => figures.push(Figure {
                    row,
                    goal,
                    worst: goal.value,
                    runs: 1,
                }),
            }
        }
    }
    figures
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(revision: &str, group: &str, value: Option<f64>) -> RunRow {
        RunRow {
            run: format!("{group}-1"),
            group: group.to_owned(),
            revision: revision.to_owned(),
            faults: Vec::new(),
            purchases: 1,
            verdicts: Vec::new(),
            goals: vec![Goal {
                fault: "FLUSHALL".to_owned(),
                name: "selling".into(),
                value,
                unit: "s".into(),
                limit: Some(2.0),
            }],
            is_sound: true,
        }
    }

    fn last_lines(rows: &[RunRow]) -> Vec<String> {
        markdown(rows).lines().skip(2).map(str::to_owned).collect()
    }

    #[test]
    fn the_worst_run_of_a_scenario_is_shown_and_other_revisions_are_not() {
        let rows = [
            row("old", "flushall", Some(9.0)),
            row("new", "flushall", Some(0.5)),
            row("new", "flushall", Some(1.25)),
            row("new", "flushall-300000-items", Some(3.0)),
        ];
        let expected = [
            "| flushall | 2 | FLUSHALL | selling | 1.25 s | 2 s |",
            "| flushall-300000-items | 1 | FLUSHALL | selling | 3.00 s | 2 s |",
        ];
        assert_eq!(last_lines(&rows), expected);
    }

    #[test]
    fn a_figure_that_a_run_does_not_show_is_not_replaced_by_those_of_others() {
        let rows = [
            row("new", "flushall", Some(0.5)),
            row("new", "flushall", None),
        ];
        let expected = ["| flushall | 2 | FLUSHALL | selling | not seen | 2 s |"];
        assert_eq!(last_lines(&rows), expected);
    }
}
