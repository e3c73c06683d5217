//! Panics, in the log like everything else: one JSON line each, wherever in the process.

use std::cell::Cell;
use std::fmt;
use std::panic::PanicHookInfo;

thread_local! {
    static LAST: Cell<Option<Panic>> = const { Cell::new(None) };
}

/// What a panic said, and where.
#[derive(Debug, Clone)]
pub struct Panic {
    /// Its message.
    pub message: String,
    /// File, line and column.
    pub location: String,
}

impl fmt::Display for Panic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at {}", self.message, self.location)
    }
}

/// From now on panics are logged, instead of being printed to standard error.
pub fn log_all() {
    std::panic::set_hook(Box::new(|info| {
        let panic = Panic::of(info);
        let thread = std::thread::current();
        tracing::error!(panic = %panic, thread = thread.name(), "panic");
        LAST.set(Some(panic));
    }));
}

/// The last panic of this thread, for whoever has just caught it.
pub fn take() -> Option<Panic> {
    LAST.take()
}

impl Panic {
    fn of(info: &PanicHookInfo<'_>) -> Self {
        let location = info.location().map(ToString::to_string);
        Self {
            message: info.payload_as_str().unwrap_or("no message").to_owned(),
            location: location.unwrap_or_else(|| "an unknown place".to_owned()),
        }
    }
}
