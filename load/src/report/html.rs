//! The report as one page that needs nothing else: no script, no font, no request.

use std::fmt::Write as _;

use crate::checker::verdict::Finding;
use crate::measurement::recorder::Point;
use crate::report::axis::{escaped, scale, short};
use crate::report::summary::{Summary, statuses};

const WIDTH: f64 = 860.0;
const HEIGHT: f64 = 240.0;
const LEFT: f64 = 64.0;
const RIGHT: f64 = 16.0;
const TOP: f64 = 12.0;
const BOTTOM: f64 = 32.0;

const STYLE: &str = "\
:root{color-scheme:light dark;--ink:#1c2330;--soft:#667085;--line:#d7dce4;--paper:#fff;\
--a:#2f6fde;--b:#c77700;--c:#b3261e;--ok:#1a7f4b}\
@media(prefers-color-scheme:dark){:root{--ink:#e6e9ef;--soft:#98a2b3;--line:#344054;\
--paper:#14181f;--a:#7aa7ff;--b:#f0b455;--c:#ff8a80;--ok:#5fd39a}}\
body{font:15px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--paper);\
max-width:900px;margin:2rem auto;padding:0 1rem}\
h1{font-size:1.4rem;margin-bottom:0}h2{font-size:1.05rem;margin:2rem 0 .4rem}\
.soft{color:var(--soft)}table{border-collapse:collapse;width:100%}\
.wide{overflow-x:auto}td,th{padding:.3rem .6rem;border-bottom:1px solid var(--line);\
text-align:right;font-variant-numeric:tabular-nums}\
td:first-child,th:first-child,td:last-child,th:last-child{text-align:left}\
svg{width:100%;height:auto}svg text{fill:var(--soft);font-size:12px}\
.grid{stroke:var(--line)}.plot{fill:none;stroke-width:1.8;stroke-linejoin:round;stroke-linecap:round}\
.a{stroke:var(--a);color:var(--a)}.b{stroke:var(--b);color:var(--b)}.c{stroke:var(--c);color:var(--c)}\
.key{font-weight:600;margin-right:1rem}.ok{color:var(--ok)}.bad{color:var(--c)}";

/// A line of a plot: its name, its colour class, and its value at a point in time.
type Series = (&'static str, char, fn(&Point) -> f64);

/// The whole page.
#[must_use]
pub fn page(summary: &Summary) -> String {
    let mut page = String::with_capacity(64 << 10);
    // Writing to a string cannot fail.
    let _ = write_page(&mut page, summary);
    page
}

fn write_page(to: &mut String, s: &Summary) -> std::fmt::Result {
    let title = format!("{} on {}", s.profile, s.sale);
    write!(
        to,
        "<!doctype html><html lang=\"en\"><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\">\
         <title>{0}</title><style>{STYLE}</style><h1>{0}</h1>",
        escaped(&title)
    )?;
    write!(
        to,
        "<p class=\"soft\">{} · {} · {} connections · seed {} · {}</p>",
        escaped(&s.finished_at),
        escaped(&s.loop_words()),
        s.connections,
        s.seed,
        escaped(&s.targets.join(", "))
    )?;
    write!(
        to,
        "<p><b>{}</b> requests in {:.1} s{}, <b>{:.0}</b>/s, p50 <b>{:.2} ms</b>, \
         p99 <b>{:.2} ms</b>, <b>{}</b> errors, <b>{}</b> items bought</p>",
        s.requests,
        s.duration_s,
        s.ending_words(),
        s.requests_per_second,
        s.p50_ms,
        s.p99_ms,
        s.errors,
        s.sold
    )?;
    verdicts(to, s)?;
    for none in &s.no_answers {
        let sample = escaped(&none.sample);
        write!(to, "<p>No answer to {} calls: {sample}</p>", none.count)?;
    }
    endpoints(to, s)?;
    rate_steps(to, s)?;
    let latency: [Series; 3] = [
        ("p50", 'a', |p| p.p50_ms),
        ("p95", 'b', |p| p.p95_ms),
        ("p99", 'c', |p| p.p99_ms),
    ];
    plot(to, "Latency over time, ms", &s.timeline, &latency)?;
    let rates: [Series; 2] = [
        ("requests/s", 'a', |p| p.requests_per_second),
        ("errors/s", 'c', |p| p.errors_per_second),
    ];
    plot(to, "Requests per second", &s.timeline, &rates)?;
    let sold: [Series; 1] = [("items sold", 'a', |p| p.sold as f64)];
    plot(to, "Items sold over time", &s.timeline, &sold)?;
    to.push_str("</html>\n");
    Ok(())
}

fn verdicts(to: &mut String, s: &Summary) -> std::fmt::Result {
    for fault in s.faults() {
        write!(
            to,
            "<p class=\"bad\"><b>Failed:</b> {}</p>",
            escaped(&fault)
        )?;
    }
    if s.verdicts.is_empty() {
        return write!(to, "<p class=\"soft\">Answers were not checked.</p>");
    }
    write!(to, "<h2>Invariants</h2><table>")?;
    for verdict in &s.verdicts {
        let class = match verdict.finding {
            Finding::Held => "ok",
            Finding::NothingToCheck => "soft",
            Finding::Broken | Finding::NotChecked => "bad",
        };
        write!(
            to,
            "<tr><td>{}<td class=\"{class}\">{}<td>{}",
            escaped(verdict.invariant),
            verdict.finding.word(),
            escaped(&verdict.detail)
        )?;
    }
    write!(to, "</table>")
}

fn endpoints(to: &mut String, s: &Summary) -> std::fmt::Result {
    write!(
        to,
        "<h2>Endpoints</h2><div class=\"wide\"><table><tr><th>endpoint<th>count<th>p50 ms\
         <th>p95 ms<th>p99 ms<th>max ms<th>status"
    )?;
    for e in &s.endpoints {
        write!(
            to,
            "<tr><td>{}<td>{}<td>{:.2}<td>{:.2}<td>{:.2}<td>{:.2}<td>{}",
            escaped(e.name),
            e.count,
            e.p50_ms,
            e.p95_ms,
            e.p99_ms,
            e.max_ms,
            escaped(&statuses(&e.status))
        )?;
    }
    write!(to, "</table></div>")
}

fn rate_steps(to: &mut String, s: &Summary) -> std::fmt::Result {
    if s.rate_steps.is_empty() {
        return Ok(());
    }
    write!(
        to,
        "<h2>Stress</h2><p>{}</p><table><tr><th>asked/s<th>answered/s<th>errors<th>p50 ms<th>p99 ms",
        escaped(&s.knee_words())
    )?;
    for rate_step in &s.rate_steps {
        write!(
            to,
            "<tr><td>{:.0}<td>{:.0}<td>{:.2}%<td>{:.2}<td>{:.2}",
            rate_step.rate,
            rate_step.answered_per_second,
            rate_step.error_share * 100.0,
            rate_step.p50_ms,
            rate_step.p99_ms
        )?;
    }
    write!(to, "</table>")
}

fn plot(to: &mut String, title: &str, points: &[Point], series: &[Series]) -> std::fmt::Result {
    write!(to, "<h2>{}</h2><p>", escaped(title))?;
    for (name, class, _) in series {
        write!(to, "<span class=\"key {class}\">— {}</span>", escaped(name))?;
    }
    let last_s = points.last().map_or(1.0, |point| point.at_s).max(1.0);
    let highest = points
        .iter()
        .flat_map(|point| series.iter().map(move |(_, _, value)| value(point)))
        .fold(0.0, f64::max);
    let (step, ticks) = scale(highest);
    let top = step * f64::from(ticks);
    let x = |at_s: f64| LEFT + at_s / last_s * (WIDTH - LEFT - RIGHT);
    let y = |value: f64| HEIGHT - BOTTOM - value / top * (HEIGHT - TOP - BOTTOM);
    write!(
        to,
        "</p><svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"{}\">",
        escaped(title)
    )?;
    for tick in 0..=ticks {
        let value = step * f64::from(tick);
        write!(
            to,
            "<path class=\"grid\" d=\"M{LEFT} {0:.1}H{1}\"/><text x=\"{2}\" y=\"{3:.1}\" text-anchor=\"end\">{4}</text>",
            y(value),
            WIDTH - RIGHT,
            LEFT - 8.0,
            y(value) + 4.0,
            short(value)
        )?;
    }
    let (second_step, second_ticks) = scale(last_s);
    for tick in 0..=second_ticks {
        let at_s = second_step * f64::from(tick);
        if at_s <= last_s {
            write!(
                to,
                "<text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"middle\">{} s</text>",
                x(at_s),
                HEIGHT - 10.0,
                short(at_s)
            )?;
        }
    }
    for (_, class, value) in series {
        write!(to, "<path class=\"plot {class}\" d=\"")?;
        for (number, point) in points.iter().enumerate() {
            let command = if number == 0 { 'M' } else { 'L' };
            write!(to, "{command}{:.1} {:.1}", x(point.at_s), y(value(point)))?;
        }
        // A lone point is a dot.
        to.push_str("h0\"/>");
    }
    to.push_str("</svg>");
    Ok(())
}
