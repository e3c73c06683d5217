//! Logs: one JSON object a line.
//!
//! Promises: a line is never torn; lines are written together, so that logging a request does
//! not cost a system call, and no later than [`FLUSH_EVERY`]. What is buffered at a `kill -9`
//! is lost; call [`Telemetry::flush`] before a planned end.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use jiff::Timestamp;
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

/// The longest that a line waits.
pub const FLUSH_EVERY: Duration = Duration::from_millis(100);

const BUFFER_BYTES: usize = 64 * 1024;

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// The filter is not one.
    #[error("RUST_LOG: {0}; expected for example info or info,flashsale_engine=debug")]
    Filter(String),
    /// There is a logger already.
    #[error("logging is set up twice")]
    Twice,
    /// The thread that flushes could not be started.
    #[error("the log thread did not start: {0}")]
    Thread(#[from] io::Error),
}

/// The log of this process.
#[derive(Debug, Clone, Default)]
pub struct Telemetry {
    buffer: Arc<Mutex<Buffer>>,
    on_stderr: bool,
}

/// Lines that wait to be written, and the second that was last spelled out.
#[derive(Debug, Default)]
struct Buffer {
    lines: Vec<u8>,
    second: i64,
    spelled: String,
}

/// What the log says of an answered request.
#[derive(Debug, Clone, Copy)]
pub struct RequestLine<'a> {
    /// Of a shape that needs no escaping in JSON.
    pub request_id: &'a str,
    /// A token as HTTP has it, which needs none either.
    pub method: &'a str,
    /// The route, never the path: ids and codes stay out of the log's labels.
    pub route: &'static str,
    /// The status of the answer.
    pub status: u16,
    /// From the request's head to its answer.
    pub took: Duration,
}

impl Telemetry {
    /// Sends all logs to standard output, filtered by `RUST_LOG` (default `info`).
    pub fn start() -> Result<Self, TelemetryError> {
        Self::default().take_over()
    }

    /// The same on standard error, for a program that tells people something on the other.
    pub fn start_on_stderr() -> Result<Self, TelemetryError> {
        let telemetry = Self {
            on_stderr: true,
            ..Self::default()
        };
        telemetry.take_over()
    }

    fn take_over(self) -> Result<Self, TelemetryError> {
        let filter = match std::env::var("RUST_LOG") {
            Ok(text) if !text.is_empty() => {
                EnvFilter::try_new(&text).map_err(|e| TelemetryError::Filter(e.to_string()))?
            }
            _ => EnvFilter::new("info"),
        };
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_env_filter(filter)
            .with_writer(self.clone())
            .try_init()
            .map_err(|_| TelemetryError::Twice)?;
        let flusher = self.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(FLUSH_EVERY);
                    flusher.flush();
                }
            })?;
        Ok(self)
    }

    /// Logs an answered request, at level INFO under the target `flashsale::access`. Its line
    /// has the fields of every other line, but is put together by hand: there is one for each
    /// request, and the general way takes as long as the rest of a refusal.
    pub fn request(&self, line: &RequestLine<'_>) {
        if !tracing::enabled!(target: "flashsale::access", tracing::Level::INFO) {
            return;
        }
        let full = {
            let mut buffer = self.lock();
            buffer.push_request(line, Timestamp::now());
            buffer.lines.len() >= BUFFER_BYTES
        };
        if full {
            self.flush();
        }
    }

    /// Writes what is buffered.
    pub fn flush(&self) {
        let lines = std::mem::take(&mut self.lock().lines);
        if lines.is_empty() {
            return;
        }
        // Nobody can be told that the log cannot be written.
        let _ = if self.on_stderr {
            io::stderr().lock().write_all(&lines)
        } else {
            let mut out = io::stdout().lock();
            out.write_all(&lines).and_then(|()| out.flush())
        };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Buffer> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Buffer {
    fn push_request(&mut self, line: &RequestLine<'_>, now: Timestamp) {
        if self.second != now.as_second() || self.spelled.is_empty() {
            self.second = now.as_second();
            self.spelled = now.strftime("%Y-%m-%dT%H:%M:%S").to_string();
        }
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
            self.lines,
            r#"{{"timestamp":"{}.{:06}Z","level":"INFO","message":"request","request_id":"{request_id}","method":"{method}","route":"{route}","status":{status},"ms":{}.{:03},"target":"flashsale::access"}}"#,
            self.spelled,
            now.subsec_microsecond(),
            us / 1_000,
            us % 1_000,
        );
    }
}

impl Write for Telemetry {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let full = {
            let mut buffer = self.lock();
            buffer.lines.extend_from_slice(line);
            buffer.lines.len() >= BUFFER_BYTES
        };
        if full {
            Telemetry::flush(self);
        }
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Telemetry {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_line_of_a_request_is_one_json_object_with_the_fields_of_every_line() {
        let mut buffer = Buffer::default();
        let line = RequestLine {
            request_id: "r-1",
            method: "POST",
            route: "/checkout",
            status: 409,
            took: Duration::from_micros(12_034),
        };
        for now in ["2026-11-25T08:00:00.000007Z", "2026-11-25T08:00:01.5Z"] {
            buffer.push_request(&line, now.parse().unwrap());
        }
        let text = String::from_utf8(buffer.lines).unwrap();
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
