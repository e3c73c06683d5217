//! The access log: lines of requests, at level INFO under the target `flashsale::access`.
//!
//! Guarantees: each response of a status from 500 on, and each that took [`SLOW`], has a line. Of the
//! others a second has at most so many lines as are configured; the next line says how many were left
//! out. A pod that answers 10,000 requests a second would write 2 MB/s otherwise, and kubelet keeps
//! 10 MB.
//!
//! A line is one JSON object with the fields of every other log line. This file formats it without
//! `tracing`, because an event of `tracing` costs as much CPU as the rest of a refused checkout.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flashsale_engine::{Clock, LineLimit, Logging};
use jiff::Timestamp;

/// A response that takes this long always has a line: the longest time that a purchase is to take.
pub const SLOW: Duration = Duration::from_millis(200);

/// A response of this status or a higher one always has a line.
const FAILED: u16 = 500;

/// The fields of a request in the log.
#[derive(Debug, Clone, Copy)]
pub struct RequestLine<'a> {
    /// Its characters need no escaping in JSON.
    pub request_id: &'a str,
    /// A label of `route_labels`, which needs no escaping either.
    pub method: &'a str,
    /// The route instead of the path: codes are secrets.
    pub route: &'static str,
    /// The status of the response.
    pub status: u16,
    /// The time between the head of the request and its response.
    pub took: Duration,
}

/// Writes request lines to the log of the process.
#[derive(Debug, Clone)]
pub struct AccessLog {
    logging: Logging,
    clock: Clock,
    lines_per_second: u32,
    second: Arc<Mutex<Second>>,
}

/// The last second in which a line was written.
#[derive(Debug, Default)]
struct Second {
    second: i64,
    /// The second as a line has it, which most lines share.
    text: String,
    limit: LineLimit,
}

impl AccessLog {
    /// The access log of this process. `lines_per_second` bounds the lines of requests that were
    /// answered soon and without a failure.
    pub fn new(logging: Logging, clock: Clock, lines_per_second: u32) -> Self {
        Self {
            logging,
            clock,
            lines_per_second,
            second: Arc::default(),
        }
    }

    /// Writes the line of a request, unless it is left out.
    pub fn write(&self, line: &RequestLine<'_>) {
        if !tracing::enabled!(target: "flashsale::access", tracing::Level::INFO) {
            return;
        }
        let now = self.clock.now();
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        if second.admits(line, now, self.lines_per_second) {
            self.logging
                .append(|lines| push_line(lines, line, &mut second, now));
        }
    }
}

impl Second {
    /// Whether a request gets a line. Counts it.
    fn admits(&mut self, line: &RequestLine<'_>, now: Timestamp, limit: u32) -> bool {
        if self.second != now.as_second() || self.text.is_empty() {
            self.second = now.as_second();
            self.text = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
        let is_notable = line.status >= FAILED || line.took >= SLOW;
        is_notable || self.limit.admits(self.second, limit)
    }
}

fn push_line(lines: &mut Vec<u8>, line: &RequestLine<'_>, second: &mut Second, now: Timestamp) {
    let RequestLine {
        request_id,
        method,
        route,
        status,
        took,
    } = line;
    let us = took.as_micros();
    // Writing into a vector cannot fail.
    let _ = write!(
        lines,
        r#"{{"timestamp":"{}.{:06}Z","level":"INFO","message":"request","request_id":"{request_id}","method":"{method}","route":"{route}","status":{status},"ms":{}.{:03},"#,
        second.text,
        now.subsec_microsecond(),
        us / 1_000,
        us % 1_000,
    );
    let left_out = second.limit.take_left_out();
    if left_out > 0 {
        let _ = write!(lines, r#""left_out":{left_out},"#);
    }
    let _ = writeln!(lines, r#""target":"flashsale::access"}}"#);
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const LINE: RequestLine<'static> = RequestLine {
        request_id: "r-1",
        method: "POST",
        route: "/checkout",
        status: 409,
        took: Duration::from_micros(12_034),
    };

    #[test]
    fn the_line_of_a_request_is_one_json_object_with_the_fields_of_every_line() {
        let mut lines = Vec::new();
        let mut second = Second::default();
        for now in ["2026-11-25T08:00:00.000007Z", "2026-11-25T08:00:01.5Z"] {
            let now = now.parse().unwrap();
            assert!(second.admits(&LINE, now, 1));
            push_line(&mut lines, &LINE, &mut second, now);
        }
        let text = String::from_utf8(lines).unwrap();
        let lines: Vec<serde_json::Value> = text
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect();
        let expected = |timestamp: &str| {
            serde_json::json!({
                "timestamp": timestamp, "level": "INFO", "message": "request",
                "request_id": "r-1", "method": "POST", "route": "/checkout", "status": 409,
                "ms": 12.034, "target": "flashsale::access",
            })
        };
        let moments = ["2026-11-25T08:00:00.000007Z", "2026-11-25T08:00:01.500000Z"];
        assert_eq!(lines, moments.map(expected));
    }

    #[test]
    fn a_second_has_so_many_lines_and_the_next_line_says_how_many_were_left_out() {
        let now: Timestamp = "2026-11-25T08:00:00.2Z".parse().unwrap();
        let mut second = Second::default();
        let admitted = (0..50).filter(|_| second.admits(&LINE, now, 20)).count();
        assert_eq!(admitted, 20);
        let later = now + Duration::from_secs(1);
        assert!(second.admits(&LINE, later, 20));
        let mut lines = Vec::new();
        push_line(&mut lines, &LINE, &mut second, later);
        push_line(&mut lines, &LINE, &mut second, later);
        let text = String::from_utf8(lines).unwrap();
        let left_out: Vec<Option<u64>> = text
            .lines()
            .map(|line| {
                serde_json::from_str::<serde_json::Value>(line).unwrap()["left_out"].as_u64()
            })
            .collect();
        assert_eq!(left_out, [Some(30), None], "{text}");
    }

    #[test]
    fn failed_and_slow_requests_always_have_a_line() {
        let now = "2026-11-25T08:00:00Z".parse().unwrap();
        let (failed, slow) = (
            RequestLine {
                status: 503,
                ..LINE
            },
            RequestLine { took: SLOW, ..LINE },
        );
        let mut second = Second::default();
        for (line, is_admitted) in [(LINE, false), (failed, true), (slow, true)] {
            assert_eq!(second.admits(&line, now, 0), is_admitted, "{line:?}");
        }
    }
}
