//! The access log: a line for each request, at level INFO under the target `flashsale::access`.
//!
//! Guarantees: a line is one JSON object with the fields of every other log line. This file formats
//! it without `tracing`, because an event of `tracing` costs as much CPU as the rest of a refused
//! checkout.

use std::io::Write;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use flashsale_engine::{Clock, Logging};
use jiff::Timestamp;

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
    second: Arc<Mutex<FormattedSecond>>,
}

/// The last formatted second, which most lines share.
#[derive(Debug, Default)]
struct FormattedSecond {
    second: i64,
    text: String,
}

impl AccessLog {
    /// The access log of this process.
    pub fn new(logging: Logging, clock: Clock) -> Self {
        Self {
            logging,
            clock,
            second: Arc::default(),
        }
    }

    /// Writes the line of a request.
    pub fn write(&self, line: &RequestLine<'_>) {
        if !tracing::enabled!(target: "flashsale::access", tracing::Level::INFO) {
            return;
        }
        let now = self.clock.now();
        let mut second = self.second.lock().unwrap_or_else(PoisonError::into_inner);
        second.format(now);
        self.logging
            .append(|lines| push_line(lines, line, &second.text, now));
    }
}

impl FormattedSecond {
    fn format(&mut self, now: Timestamp) {
        if self.second != now.as_second() || self.text.is_empty() {
            self.second = now.as_second();
            self.text = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
    }
}

fn push_line(lines: &mut Vec<u8>, line: &RequestLine<'_>, second: &str, now: Timestamp) {
    let RequestLine {
        request_id,
        method,
        route,
        status,
        took,
    } = line;
    let us = took.as_micros();
    // Writing into a vector cannot fail.
    let _ = writeln!(
        lines,
        r#"{{"timestamp":"{second}.{:06}Z","level":"INFO","message":"request","request_id":"{request_id}","method":"{method}","route":"{route}","status":{status},"ms":{}.{:03},"target":"flashsale::access"}}"#,
        now.subsec_microsecond(),
        us / 1_000,
        us % 1_000,
    );
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_line_of_a_request_is_one_json_object_with_the_fields_of_every_line() {
        let mut lines = Vec::new();
        let mut second = FormattedSecond::default();
        let line = RequestLine {
            request_id: "r-1",
            method: "POST",
            route: "/checkout",
            status: 409,
            took: Duration::from_micros(12_034),
        };
        for now in ["2026-11-25T08:00:00.000007Z", "2026-11-25T08:00:01.5Z"] {
            let now = now.parse().unwrap();
            second.format(now);
            push_line(&mut lines, &line, &second.text, now);
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
}
