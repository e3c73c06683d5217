//! Logs: one JSON object a line.
//!
//! Guarantees: a line is never torn; lines are written together, so that a line does not cost a
//! system call, and no later than [`FLUSH_EVERY`]. What is buffered at a `kill -9`
//! is lost; call [`Logging::flush`] before a planned end.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::Layer as _;
use tracing_subscriber::fmt::MakeWriter;
use tracing_subscriber::layer::SubscriberExt as _;
use tracing_subscriber::util::SubscriberInitExt as _;

use crate::domain::clock::Clock;
use crate::observability::log_bound::LogBound;

/// The longest that a line waits.
pub const FLUSH_EVERY: Duration = Duration::from_millis(100);

const BUFFER_BYTES: usize = 64 * 1024;

/// Logging could not be set up.
#[derive(Debug, thiserror::Error)]
pub enum LoggingError {
    /// The filter cannot be read.
    #[error("RUST_LOG: {0}; expected for example info or info,flashsale_engine=debug")]
    Filter(String),
    /// Another logger is installed.
    #[error("logging is set up twice")]
    Twice,
    /// The thread that flushes could not be started.
    #[error("the log thread did not start: {0}")]
    Thread(#[from] io::Error),
}

/// The log of this process.
#[derive(Debug, Clone, Default)]
pub struct Logging {
    /// Lines that wait to be written.
    buffer: Arc<Mutex<Vec<u8>>>,
    on_stderr: bool,
}

impl Logging {
    /// Sends all logs to standard output, filtered by `RUST_LOG` (default `info`).
    pub fn start(clock: &Clock) -> Result<Self, LoggingError> {
        Self::default().install(clock)
    }

    /// The same on standard error, for a program whose standard output is for people.
    pub fn start_on_stderr(clock: &Clock) -> Result<Self, LoggingError> {
        let telemetry = Self {
            on_stderr: true,
            ..Self::default()
        };
        telemetry.install(clock)
    }

    fn install(self, clock: &Clock) -> Result<Self, LoggingError> {
        let filter = match std::env::var("RUST_LOG") {
            Ok(text) if !text.is_empty() => {
                EnvFilter::try_new(&text).map_err(|e| LoggingError::Filter(e.to_string()))?
            }
            _ => EnvFilter::new("info"),
        };
        let bound = LogBound::new(clock.clone());
        let lines = tracing_subscriber::fmt::layer()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_writer(self.clone())
            .with_filter(bound.clone());
        tracing_subscriber::registry()
            .with(filter)
            .with(lines)
            .try_init()
            .map_err(|_| LoggingError::Twice)?;
        let flusher = self.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(FLUSH_EVERY);
                    for left_out in bound.take_left_out() {
                        tracing::warn!(
                            lines = left_out.lines,
                            of = left_out.target,
                            "more lines of the same kind are left out"
                        );
                    }
                    flusher.flush();
                }
            })?;
        Ok(self)
    }

    /// Appends lines that `write` puts together: for a log of one line a request, for which an event
    /// of `tracing` costs as much as the rest of a refusal.
    pub fn append(&self, write: impl FnOnce(&mut Vec<u8>)) {
        let is_full = {
            let mut lines = self.lock();
            write(&mut lines);
            lines.len() >= BUFFER_BYTES
        };
        if is_full {
            self.flush();
        }
    }

    /// Writes what is buffered.
    pub fn flush(&self) {
        let lines = std::mem::take(&mut *self.lock());
        if lines.is_empty() {
            return;
        }
        // There is no place left for this error.
        let _ = if self.on_stderr {
            io::stderr().lock().write_all(&lines)
        } else {
            let mut out = io::stdout().lock();
            out.write_all(&lines).and_then(|()| out.flush())
        };
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Logging {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.append(|lines| lines.extend_from_slice(line));
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Logging {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}
