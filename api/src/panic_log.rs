//! The panic hook of the process.
//!
//! Guarantees: each panic of any thread is one JSON line in the log, like every other event.

use std::cell::Cell;
use std::fmt;
use std::panic::PanicHookInfo;

thread_local! {
    static LAST: Cell<Option<Panic>> = const { Cell::new(None) };
}

/// The message and the location of a panic.
#[derive(Debug, Clone)]
pub struct Panic {
    message: String,
    /// File, line and column.
    location: String,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.message, self.location)
    }
}

/// Installs the hook: panics are logged instead of printed to standard error.
pub fn log_panics() {
    std::panic::set_hook(Box::new(|info| {
        let panic = Panic::of(info);
        let thread = std::thread::current();
        tracing::error!(panic = %panic, thread = thread.name(), "panic");
        LAST.set(Some(panic));
    }));
}

/// Takes the last panic of this thread. The caller has just caught it.
pub fn take_last_panic() -> Option<Panic> {
    LAST.take()
}

impl Panic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let location = info.location().map(ToString::to_string);
        Self {
            message: info.payload_as_str().unwrap_or("no message").to_owned(),
            location: location.unwrap_or_else(|| "an unknown location".to_owned()),
        }
    }
}
