//! The result of a run as text for the terminal.

use std::fmt::Write as _;

use crate::report::summary::{Summary, statuses};

/// The whole of it.
#[must_use]
pub fn text(summary: &Summary) -> String {
    let mut text = String::new();
    // Writing to a string cannot fail.
    let _ = write_table(&mut text, summary);
    text
}

fn write_table(to: &mut String, s: &Summary) -> std::fmt::Result {
    writeln!(
        to,
        "{} on {} ({}, {} connections, seed {})",
        s.profile,
        s.sale,
        s.loop_words(),
        s.connections,
        s.seed
    )?;
    writeln!(
        to,
        "{} requests in {:.1} s{}: {:.0}/s, {} errors, {} items bought\n",
        s.requests,
        s.duration_s,
        s.ending_words(),
        s.requests_per_second,
        s.errors,
        s.sold
    )?;
    write_endpoints(to, s)?;
    if s.rate.is_some() {
        let first = &s.first_second;
        writeln!(
            to,
            "\nfirst second: {} requests, p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms, {} errors, \
             {} of them never started",
            first.requests, first.p50_ms, first.p99_ms, first.max_ms, first.errors, first.backlog
        )?;
    }
    if let Some(seconds) = s.last_sold_s {
        writeln!(to, "\nthe last item was bought after {seconds:.2} s")?;
    }
    if !s.no_answers.is_empty() {
        writeln!(to)?;
    }
    for none in &s.no_answers {
        writeln!(to, "no answer to {} calls: {}", none.count, none.sample)?;
    }
    if s.backlog > 0 {
        writeln!(to, "\n{} calls were due and never started", s.backlog)?;
    }
    if !s.rate_steps.is_empty() {
        write_rate_steps(to, s)?;
    }
    if !s.verdicts.is_empty() {
        writeln!(to)?;
    }
    for verdict in &s.verdicts {
        let word = verdict.finding.word();
        writeln!(to, "{word:<20}{}: {}", verdict.invariant, verdict.detail)?;
    }
    for fault in s.faults() {
        writeln!(to, "FAILED: {fault}")?;
    }
    Ok(())
}

fn write_endpoints(to: &mut String, s: &Summary) -> std::fmt::Result {
    writeln!(
        to,
        "{:<24}{:>10}{:>10}{:>10}{:>10}{:>10}  status",
        "endpoint", "count", "p50 ms", "p95 ms", "p99 ms", "max ms"
    )?;
    for e in &s.endpoints {
        writeln!(
            to,
            "{:<24}{:>10}{:>10.2}{:>10.2}{:>10.2}{:>10.2}  {}",
            e.name,
            e.count,
            e.p50_ms,
            e.p95_ms,
            e.p99_ms,
            e.max_ms,
            statuses(&e.status)
        )?;
    }
    Ok(())
}

fn write_rate_steps(to: &mut String, s: &Summary) -> std::fmt::Result {
    writeln!(
        to,
        "\n{:>12}{:>12}{:>10}{:>10}{:>10}",
        "asked/s", "answered/s", "errors %", "p50 ms", "p99 ms"
    )?;
    for rate_step in &s.rate_steps {
        writeln!(
            to,
            "{:>12.0}{:>12.0}{:>10.2}{:>10.2}{:>10.2}",
            rate_step.rate,
            rate_step.answered_per_second,
            rate_step.error_share * 100.0,
            rate_step.p50_ms,
            rate_step.p99_ms
        )?;
    }
    writeln!(to, "{}", s.knee_words())
}
