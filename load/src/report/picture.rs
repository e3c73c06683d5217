//! The picture of a sale: requests per second, items sold and latency over time, as one SVG.
//!
//! Guarantees: the picture needs nothing else and has a background of its own, so that it reads the
//! same on a light and on a dark page; its size does not grow with the length of the run; a moment
//! that the run did not see is not marked.

use std::fmt::{Result, Write as _};

use crate::measurement::recorder::Point;
use crate::report::axis::{escaped, grouped, scale, short};
use crate::report::summary::Summary;
use crate::run::Ending;

const WIDTH: f64 = 860.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = 844.0;
/// Where the first panel begins, below the title and the names of the moments.
const TOP: f64 = 84.0;
const PANEL_HEIGHT: f64 = 84.0;
/// From one panel to the next, with the heading between them.
const PANEL_STEP: f64 = 116.0;
/// Points of a line; a longer run is drawn with longer spans.
const MAX_POINTS: usize = 240;

const STYLE: &str = "\
.ink{fill:#1c2330}.soft{fill:#667085}.paper{fill:#fff;stroke:#d7dce4}\
.grid{stroke:#d7dce4}.moment{stroke:#667085;stroke-dasharray:4 3}\
.line{fill:none;stroke-width:1.8;stroke-linejoin:round}\
.line.a{stroke:#2f6fde}.line.b{stroke:#c77700}.name.a{fill:#2f6fde}.name.b{fill:#c77700}\
@media(prefers-color-scheme:dark){.ink{fill:#e6e9ef}.soft{fill:#98a2b3}\
.paper{fill:#14181f;stroke:#344054}.grid{stroke:#344054}.moment{stroke:#98a2b3}\
.line.a{stroke:#7aa7ff}.line.b{stroke:#f0b455}.name.a{fill:#7aa7ff}.name.b{fill:#f0b455}}";

/// A line of a panel.
struct Line {
    name: &'static str,
    class: char,
    value: fn(&Point) -> f64,
    /// Whether the value is that of a span, and not that of its end.
    is_of_span: bool,
}

/// Lines that share an axis.
struct Panel {
    lines: &'static [Line],
}

const PANELS: [Panel; 3] = [
    Panel {
        lines: &[Line {
            name: "requests per second",
            class: 'a',
            value: |point| point.requests_per_second,
            is_of_span: true,
        }],
    },
    Panel {
        lines: &[Line {
            name: "items sold",
            class: 'a',
            value: |point| point.sold as f64,
            is_of_span: false,
        }],
    },
    Panel {
        lines: &[
            Line {
                name: "latency p50, ms",
                class: 'a',
                value: |point| point.p50_ms,
                is_of_span: true,
            },
            Line {
                name: "p99",
                class: 'b',
                value: |point| point.p99_ms,
                is_of_span: true,
            },
        ],
    },
];

/// What a picture shows.
pub struct Picture<'a> {
    title: String,
    subtitle: String,
    timeline: &'a [Point],
    /// When the sale opened, in seconds since the run began; negative.
    opened_s: Option<f64>,
    /// When everything was sold, in seconds since the run began.
    sold_out_s: Option<f64>,
}

impl<'a> Picture<'a> {
    /// The picture of a run.
    #[must_use]
    pub fn of(summary: &'a Summary) -> Self {
        let is_sold_out = summary.ending == Ending::SoldOut;
        Self {
            title: format!(
                "{} items {} in {:.1} s",
                grouped(summary.sold),
                if is_sold_out { "sold out" } else { "sold" },
                summary.duration_s
            ),
            subtitle: subtitle(summary),
            timeline: &summary.timeline,
            opened_s: summary.opened_s,
            sold_out_s: is_sold_out.then_some(summary.duration_s),
        }
    }

    /// The picture as a file.
    #[must_use]
    pub fn svg(&self) -> String {
        let mut svg = String::with_capacity(16 << 10);
        // Writing to a string cannot fail.
        let _ = self.write(&mut svg);
        svg
    }

    fn write(&self, to: &mut String) -> Result {
        let points = thinned(self.timeline);
        let time = TimeAxis::of(self, &points);
        let height = TOP + PANEL_STEP * PANELS.len() as f64 + 6.0;
        write!(
            to,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" \
             font-family=\"system-ui,sans-serif\" font-size=\"12\" role=\"img\" \
             aria-label=\"{0}\"><style>{STYLE}</style>\n<rect class=\"paper\" x=\".5\" y=\".5\" \
             width=\"{1}\" height=\"{2}\" rx=\"6\"/>\n<text class=\"ink\" x=\"16\" y=\"28\" \
             font-size=\"15\" font-weight=\"600\">{0}</text>\n\
             <text class=\"soft\" x=\"16\" y=\"46\">{3}</text>\n",
            escaped(&self.title),
            WIDTH - 1.0,
            height - 1.0,
            escaped(&self.subtitle),
        )?;
        let bottom = TOP + PANEL_STEP * (PANELS.len() - 1) as f64 + PANEL_HEIGHT;
        self.write_moments(to, &time, bottom)?;
        for (row, panel) in PANELS.iter().enumerate() {
            let top = TOP + PANEL_STEP * row as f64;
            write_panel(to, panel, &points, &time, top)?;
        }
        time.write_ticks(to, bottom + 18.0)?;
        to.push_str("</svg>\n");
        Ok(())
    }

    /// The moments that the run saw, each as a line through all panels.
    fn write_moments(&self, to: &mut String, time: &TimeAxis, bottom: f64) -> Result {
        let moments = [
            (time.opened_s, "sale opens", "start"),
            (self.sold_out_s, "sold out", "end"),
        ];
        for (at_s, name, anchor) in moments {
            let Some(x) = at_s.map(|at_s| time.x(at_s)) else {
                continue;
            };
            writeln!(
                to,
                "<path class=\"moment\" d=\"M{x:.1} {0}V{bottom}\"/>\
                 <text class=\"ink\" x=\"{x:.1}\" y=\"{1}\" text-anchor=\"{anchor}\">{name}</text>",
                TOP - 16.0,
                TOP - 20.0,
            )?;
        }
        Ok(())
    }
}

fn subtitle(summary: &Summary) -> String {
    let processes = summary.targets.len();
    format!(
        "{} requests, {} errors; {} users, {}, {processes} API {}; {}",
        grouped(summary.requests),
        grouped(summary.errors),
        grouped(summary.seats.into()),
        summary.loop_words(),
        if processes == 1 {
            "process"
        } else {
            "processes"
        },
        summary.sale,
    )
}

fn write_panel(
    to: &mut String,
    panel: &Panel,
    points: &[Point],
    time: &TimeAxis,
    top: f64,
) -> Result {
    let values = panel
        .lines
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
    for line in panel.lines {
        let Line { class, name, .. } = line;
        write!(to, "<tspan class=\"name {class}\">{name} \u{a0} </tspan>")?;
    }
    to.push_str("</text>\n");
    for line in panel.lines {
        write_line(to, line, points, time, &y)?;
    }
    Ok(())
}

fn write_line(
    to: &mut String,
    line: &Line,
    points: &[Point],
    time: &TimeAxis,
    y: &dyn Fn(f64) -> f64,
) -> Result {
    write!(
        to,
        "<path class=\"line {}\" d=\"M{:.1} {:.1}",
        line.class,
        time.x(0.0),
        y(0.0)
    )?;
    for point in points {
        let (x, y) = (time.x(point.at_s), y((line.value)(point)));
        if line.is_of_span {
            write!(to, "V{y:.1}H{x:.1}")?;
        } else {
            write!(to, "L{x:.1} {y:.1}")?;
        }
    }
    to.push_str("\"/>\n");
    Ok(())
}

/// The time since the sale opened, or since the run began where the opening is not shown.
struct TimeAxis {
    /// When the sale opened, in seconds since the run began.
    opened_s: Option<f64>,
    last_s: f64,
}

impl TimeAxis {
    fn of(picture: &Picture<'_>, points: &[Point]) -> Self {
        let last_s = points.last().map_or(0.0, |point| point.at_s);
        let last_s = last_s.max(picture.sold_out_s.unwrap_or(0.0)).max(0.1);
        // A run that began long after the opening did not see it.
        let is_seen = |opened_s: &f64| *opened_s <= 0.0 && -opened_s <= last_s;
        Self {
            opened_s: picture.opened_s.filter(is_seen),
            last_s,
        }
    }

    fn first_s(&self) -> f64 {
        self.opened_s.unwrap_or(0.0)
    }

    fn x(&self, at_s: f64) -> f64 {
        let length_s = self.last_s - self.first_s();
        LEFT + (at_s - self.first_s()) / length_s * (RIGHT - LEFT)
    }

    fn write_ticks(&self, to: &mut String, y: f64) -> Result {
        let length_s = self.last_s - self.first_s();
        let (step_s, ticks) = scale(length_s);
        for tick in 0..=ticks {
            let at_s = step_s * f64::from(tick);
            if at_s <= length_s {
                writeln!(
                    to,
                    "<text class=\"soft\" x=\"{:.1}\" y=\"{y}\" text-anchor=\"middle\">{} s</text>",
                    self.x(at_s + self.first_s()),
                    short(at_s)
                )?;
            }
        }
        Ok(())
    }
}

/// At most [`MAX_POINTS`] points. Neighbours become one: the mean of their rates by length, and the
/// highest of their latencies.
fn thinned(points: &[Point]) -> Vec<Point> {
    let group = points.len().div_ceil(MAX_POINTS).max(1);
    let mut began_s = 0.0;
    let mut thinned = Vec::with_capacity(points.len().div_ceil(group));
    for points in points.chunks(group) {
        let mut merged = points.last().cloned().unwrap_or_default();
        let (mut requests, mut from_s) = (0.0, began_s);
        for point in points {
            requests += point.requests_per_second * (point.at_s - from_s);
            from_s = point.at_s;
            merged.p50_ms = merged.p50_ms.max(point.p50_ms);
            merged.p99_ms = merged.p99_ms.max(point.p99_ms);
        }
        merged.requests_per_second = requests / (merged.at_s - began_s).max(1e-9);
        began_s = merged.at_s;
        thinned.push(merged);
    }
    thinned
}

#[cfg(test)]
mod tests {
    use super::*;

    fn point(at_s: f64, requests_per_second: f64, sold: u64) -> Point {
        Point {
            at_s,
            requests_per_second,
            p50_ms: 1.0,
            p99_ms: 4.0,
            sold,
            ..Point::default()
        }
    }

    fn picture(timeline: &[Point]) -> Picture<'_> {
        Picture {
            title: "1,000 items <sold out>".to_owned(),
            subtitle: String::new(),
            timeline,
            opened_s: Some(-1.0),
            sold_out_s: Some(4.0),
        }
    }

    #[test]
    fn a_sold_out_sale_shows_its_moments_and_its_lines_to_scale() {
        let timeline = [point(2.0, 500.0, 800), point(4.0, 250.0, 1_000)];
        let svg = picture(&timeline).svg();
        // From the opening to the end the axis has 784 units for 5 s.
        assert!(svg.contains("d=\"M60.0 68V400\""), "{svg}");
        assert!(svg.contains("d=\"M844.0 68V400\""), "{svg}");
        assert!(svg.contains(">sale opens<") && svg.contains(">sold out<"));
        // The run begins at 216.8; 500 requests per second are the top of their panel.
        assert!(
            svg.contains("d=\"M216.8 168.0V84.0H530.4V126.0H844.0\""),
            "{svg}"
        );
        assert!(
            svg.contains("d=\"M216.8 284.0L530.4 216.8L844.0 200.0\""),
            "{svg}"
        );
        assert!(svg.contains("1,000 items &lt;sold out&gt;"), "{svg}");
        assert_eq!(svg.matches("<path class=\"line").count(), 4);
    }

    #[test]
    fn a_moment_that_the_run_did_not_see_is_not_marked() {
        let timeline = [point(2.0, 500.0, 800)];
        let late = Picture {
            opened_s: Some(-3_600.0),
            sold_out_s: None,
            ..picture(&timeline)
        };
        let svg = late.svg();
        assert!(
            !svg.contains(">sale opens<") && !svg.contains(">sold out<"),
            "{svg}"
        );
        assert!(svg.contains("d=\"M60.0 168.0V84.0H844.0\""), "{svg}");
    }

    #[test]
    fn a_day_of_points_is_a_small_picture_with_the_same_mean_rate() {
        let timeline: Vec<Point> = (1..=172_800_u32)
            .map(|n| point(f64::from(n) * 0.5, f64::from(n % 2) * 100.0, n.into()))
            .collect();
        let points = thinned(&timeline);
        assert_eq!(points.len(), 240);
        let is_mean = |point: &Point| (point.requests_per_second - 50.0).abs() < 1e-6;
        assert!(points.iter().all(is_mean), "{points:?}");
        assert!(picture(&timeline).svg().len() < 60 << 10);
    }

    #[test]
    fn a_run_without_points_is_a_picture_too() {
        let svg = picture(&[]).svg();
        assert!(svg.ends_with("</svg>\n") && !svg.contains("NaN"), "{svg}");
    }
}
