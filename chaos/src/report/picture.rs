//! A run as a picture: calls, failures and items sold over time, with the faults marked.

use std::collections::HashSet;
use std::fmt::{Result, Write as _};

use flashsale_load::client::call::Call;
use flashsale_load::report::axis::{escaped, grouped, scale, short};

use crate::history::RunHistory;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 844.0;
/// Where the first panel begins, below the title and the names of the faults.
const TOP: f64 = 104.0;
const PANEL_HEIGHT: f64 = 96.0;
/// From one panel to the next, with the heading between them.
const PANEL_STEP: f64 = 128.0;
/// Length of a point.
const POINT_US: i64 = 250_000;

const STYLE: &str = "\
.ink{fill:#1c2330}.soft{fill:#667085}.paper{fill:#fff;stroke:#d7dce4}\
.grid{stroke:#d7dce4}.fault{fill:#e5484d;opacity:.14}.moment{stroke:#667085;stroke-dasharray:4 3}\
.line{fill:none;stroke-width:1.6;stroke-linejoin:round}\
.line.a{stroke:#2f6fde}.line.b{stroke:#e5484d}.name.a{fill:#2f6fde}.name.b{fill:#e5484d}\
@media(prefers-color-scheme:dark){.ink{fill:#e6e9ef}.soft{fill:#98a2b3}\
.paper{fill:#14181f;stroke:#344054}.grid{stroke:#344054}.moment{stroke:#98a2b3}\
.line.a{stroke:#7aa7ff}.line.b{stroke:#ff8589}.name.a{fill:#7aa7ff}.name.b{fill:#ff8589}}";

/// One span of the run.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
struct Point {
    answered: u32,
    failed: u32,
    /// Items sold by its end.
    sold: u32,
}

/// A line of a panel.
struct Line {
    name: &'static str,
    class: char,
    value: fn(&Point) -> f64,
}

const PANELS: [&[Line]; 2] = [
    &[
        Line {
            name: "answers per second",
            class: 'a',
            value: |point| per_second(point.answered),
        },
        Line {
            name: "failures per second",
            class: 'b',
            value: |point| per_second(point.failed),
        },
    ],
    &[Line {
        name: "items sold",
        class: 'a',
        value: |point| f64::from(point.sold),
    }],
];

fn per_second(count: u32) -> f64 {
    f64::from(count) * 1_000_000.0 / POINT_US as f64
}

/// The picture of a run as a file.
#[must_use]
pub fn svg(name: &str, history: &RunHistory) -> String {
    let mut svg = String::with_capacity(32 << 10);
    // Writing to a string cannot fail.
    let _ = write(&mut svg, name, history);
    svg
}

fn write(to: &mut String, name: &str, history: &RunHistory) -> Result {
    let points = points(history);
    let time = TimeAxis::of(history);
    let height = TOP + PANEL_STEP * PANELS.len() as f64 + 6.0;
    let bottom = TOP + PANEL_STEP * (PANELS.len() - 1) as f64 + PANEL_HEIGHT;
    let failed = history.calls.iter().filter(|record| !record.is_success());
    let subtitle = format!(
        "{} calls, {} failed, {} never started; {}",
        grouped(history.calls.len() as u64),
        grouped(failed.count() as u64),
        grouped(history.never_started_us.len() as u64),
        history.catalogue.sale()
    );
    write!(
        to,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
         font-family=\"system-ui,sans-serif\" font-size=\"12\" role=\"img\" aria-label=\"{0}\">\
         <style>{STYLE}</style>\n<rect class=\"paper\" x=\".5\" y=\".5\" width=\"{1}\" \
         height=\"{2}\" rx=\"6\"/>\n<text class=\"ink\" x=\"16\" y=\"28\" font-size=\"15\" \
         font-weight=\"600\">{0}</text>\n<text class=\"soft\" x=\"16\" y=\"46\">{3}</text>\n",
        escaped(name),
        WIDTH - 1.0,
        height - 1.0,
        escaped(&subtitle),
    )?;
    write_faults(to, history, &time, bottom)?;
    for (row, lines) in PANELS.iter().enumerate() {
        let top = TOP + PANEL_STEP * row as f64;
        write_panel(to, lines, &points, &time, top)?;
    }
    time.write_ticks(to, bottom + 18.0)?;
    to.push_str("</svg>\n");
    Ok(())
}

/// Each fault as a strip through all panels, and the moment when what it hit serves again as a line.
fn write_faults(to: &mut String, history: &RunHistory, time: &TimeAxis, bottom: f64) -> Result {
    for (number, record) in history.faults.iter().enumerate() {
        let (x, end) = (time.x(record.began_us), time.x(record.ended_us));
        // Names of faults that follow each other closely stand on two lines.
        let y = TOP - 36.0 + 13.0 * (number % 2) as f64;
        writeln!(
            to,
            "<rect class=\"fault\" x=\"{x:.1}\" y=\"{0}\" width=\"{1:.1}\" height=\"{2}\"/>\
             <text class=\"ink\" x=\"{x:.1}\" y=\"{y}\" font-size=\"11\">{3}</text>",
            TOP - 20.0,
            (end - x).max(1.5),
            bottom - TOP + 20.0,
            escaped(&record.fault.to_string()),
        )?;
        if let Some(again_us) = record.serves_again_us {
            let x = time.x(again_us);
            let top = TOP - 20.0;
            writeln!(to, "<path class=\"moment\" d=\"M{x:.1} {top}V{bottom}\"/>")?;
        }
    }
    Ok(())
}

fn write_panel(
    to: &mut String,
    lines: &[Line],
    points: &[Point],
    time: &TimeAxis,
    top: f64,
) -> Result {
    let values = lines
        .iter()
        .flat_map(|line| points.iter().map(move |point| (line.value)(point)));
    let (step, ticks) = scale(values.fold(0.0, f64::max));
    let highest = step * f64::from(ticks);
    let y = |value: f64| top + PANEL_HEIGHT * (1.0 - value / highest);
    for tick in 0..=ticks {
        let value = step * f64::from(tick);
        write!(
            to,
            "<path class=\"grid\" d=\"M{LEFT} {0:.1}H{RIGHT}\"/>\
             <text class=\"soft\" x=\"{1}\" y=\"{2:.1}\" text-anchor=\"end\">{3}</text>",
            y(value),
            LEFT - 6.0,
            y(value) + 4.0,
            short(value)
        )?;
    }
    write!(to, "\n<text x=\"{}\" y=\"{}\">", LEFT + 6.0, top - 6.0)?;
    for Line { class, name, .. } in lines {
        write!(to, "<tspan class=\"name {class}\">{name} \u{a0} </tspan>")?;
    }
    to.push_str("</text>\n");
    for line in lines {
        write!(
            to,
            "<path class=\"line {}\" d=\"M{LEFT} {:.1}",
            line.class,
            y(0.0)
        )?;
        for (number, point) in (1..).zip(points) {
            let x = time.x(time.first_us + number * POINT_US);
            write!(to, "L{x:.1} {:.1}", y((line.value)(point)))?;
        }
        to.push_str("\"/>\n");
    }
    Ok(())
}

/// The time since the sale opened.
struct TimeAxis {
    first_us: i64,
    last_us: i64,
}

impl TimeAxis {
    fn of(history: &RunHistory) -> Self {
        let ends = history.calls.iter().map(|record| record.ended_us);
        let last_us = ends.clone().max().unwrap_or(0).max(history.ends_us);
        let first_us = ends.min().unwrap_or(0).min(0);
        Self { first_us, last_us }
    }

    fn x(&self, at_us: i64) -> f64 {
        let share = (at_us - self.first_us) as f64 / (self.last_us - self.first_us).max(1) as f64;
        LEFT + share.clamp(0.0, 1.0) * (RIGHT - LEFT)
    }

    fn write_ticks(&self, to: &mut String, y: f64) -> Result {
        let last_s = self.last_us as f64 / 1_000_000.0;
        let (step_s, ticks) = scale(last_s);
        for tick in 0..=ticks {
            let at_s = step_s * f64::from(tick);
            if at_s <= last_s {
                let x = self.x((at_s * 1_000_000.0) as i64);
                writeln!(
                    to,
                    "<text class=\"soft\" x=\"{x:.1}\" y=\"{y}\" text-anchor=\"middle\">{} s</text>",
                    short(at_s)
                )?;
            }
        }
        Ok(())
    }
}

fn points(history: &RunHistory) -> Vec<Point> {
    let time = TimeAxis::of(history);
    let count = (time.last_us - time.first_us) / POINT_US + 1;
    let mut points = vec![Point::default(); usize::try_from(count).unwrap_or(1)];
    let mut answered_codes = HashSet::new();
    for record in &history.calls {
        let place = (record.ended_us - time.first_us) / POINT_US;
        let place = usize::try_from(place).unwrap_or(usize::MAX);
        let Some(point) = points.get_mut(place) else {
            continue;
        };
        if record.is_success() {
            point.answered += 1;
        } else {
            point.failed += 1;
        }
        // A code that is asked again answers the same items.
        if let Call::Purchase { code, .. } = &record.call
            && record.bought() > 0
            && answered_codes.insert(code)
        {
            point.sold += record.bought() as u32;
        }
    }
    let mut sold = 0;
    for point in &mut points {
        sold += point.sold;
        point.sold = sold;
    }
    points
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::example_history;

    #[test]
    fn a_run_shows_its_faults_and_its_lines() {
        let history = example_history();
        let svg = svg("hung-<sale>-master", &history);
        assert!(svg.contains("hung-&lt;sale&gt;-master"), "{svg}");
        assert_eq!(svg.matches("<rect class=\"fault\"").count(), 1);
        assert_eq!(svg.matches("<path class=\"moment\"").count(), 1);
        assert_eq!(svg.matches("<path class=\"line").count(), 3);
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
    }

    #[test]
    fn points_count_answers_failures_and_each_bought_item_once() {
        let history = example_history();
        let points = points(&history);
        let answered: u32 = points.iter().map(|point| point.answered).sum();
        assert_eq!(answered as usize, history.calls.len());
        // 120 users buy an item each, and every tenth asks for it again.
        assert_eq!(points.last().map(|point| point.sold), Some(120));
    }
}
