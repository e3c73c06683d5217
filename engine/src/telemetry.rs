//! Logs: one JSON object a line on standard output.
//!
//! Promises: a line is never torn; lines are written together, so that logging a request does
//! not cost a system call, and no later than [`FLUSH_EVERY`]. What is buffered at a `kill -9`
//! is lost; call [`Telemetry::flush`] before a planned end.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

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
#[derive(Debug, Clone)]
pub struct Telemetry {
    buffer: Arc<Mutex<Vec<u8>>>,
}

impl Telemetry {
    /// Sends all logs to standard output, filtered by `RUST_LOG` (default `info`).
    pub fn start() -> Result<Self, TelemetryError> {
        let filter = match std::env::var("RUST_LOG") {
            Ok(text) if !text.is_empty() => {
                EnvFilter::try_new(&text).map_err(|e| TelemetryError::Filter(e.to_string()))?
            }
            _ => EnvFilter::new("info"),
        };
        let telemetry = Self {
            buffer: Arc::default(),
        };
        tracing_subscriber::fmt()
            .json()
            .flatten_event(true)
            .with_current_span(false)
            .with_span_list(false)
            .with_env_filter(filter)
            .with_writer(telemetry.clone())
            .try_init()
            .map_err(|_| TelemetryError::Twice)?;
        let flusher = telemetry.clone();
        std::thread::Builder::new()
            .name("log".to_owned())
            .spawn(move || {
                loop {
                    std::thread::sleep(FLUSH_EVERY);
                    flusher.flush();
                }
            })?;
        Ok(telemetry)
    }

    /// Writes what is buffered.
    pub fn flush(&self) {
        let lines = std::mem::take(&mut *self.lock());
        // Nobody can be told that the log cannot be written.
        let _ = io::stdout().lock().write_all(&lines);
        let _ = io::stdout().lock().flush();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u8>> {
        self.buffer.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Write for Telemetry {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        let full = {
            let mut buffer = self.lock();
            buffer.extend_from_slice(line);
            buffer.len() >= BUFFER_BYTES
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
