//! What can go wrong while servers are started, stopped or asked.

use std::{io, time::Duration};

/// Why a server could not be started or did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum ServersError {
    /// The program is not installed.
    #[error(
        "expected the program `{program}` in PATH or in Debian's place for it, found none; \
         install Debian's package `{package}`, or run `cargo xtask test`, which does"
    )]
    ProgramMissing {
        /// Name of the program's file.
        program: &'static str,
        /// Debian package that brings it.
        package: &'static str,
    },

    /// The operating system refused something.
    #[error("could not {doing}: {source}")]
    Io {
        /// What was tried, as the rest of "could not …".
        doing: String,
        /// What the operating system said.
        source: io::Error,
    },

    /// A process ended that should be running, or ended with a failure.
    #[error("{name} ended with {status}; the end of its log:\n{log}")]
    Ended {
        /// Name of the process.
        name: String,
        /// Its exit status, as text.
        status: String,
        /// The last lines that it wrote.
        log: String,
    },

    /// A process did not reach a state in time.
    #[error(
        "expected {name} to {expected} within {limit:?}, it did not ({found}); the end of its log:\n{log}"
    )]
    TimedOut {
        /// Name of the process.
        name: String,
        /// The state that was awaited, as the rest of "expected … to …".
        expected: &'static str,
        /// How long was waited.
        limit: Duration,
        /// What was seen last.
        found: String,
        /// The last lines that it wrote.
        log: String,
    },

    /// A Redis node did not answer, or with an error.
    #[error("{name} did not do `{command}`: {source}")]
    Redis {
        /// Name of the node.
        name: String,
        /// What it was asked.
        command: String,
        /// What it said, or why it could not be asked.
        source: io::Error,
    },

    /// Nothing of that name is built from `tools/go`.
    #[error("expected one of the programs {known:?}, found `{name}`")]
    GoProgramUnknown {
        /// What was asked for.
        name: String,
        /// What there is.
        known: Vec<&'static str>,
    },

    /// Go is missing or too old.
    #[error(
        "expected {expected} in PATH, found {found}; \
         install a later one and put its `go` first in PATH"
    )]
    Go {
        /// The oldest version that will do, as text.
        expected: String,
        /// What is there.
        found: String,
    },

    /// A Go program could not be built.
    #[error("could not build {program}: expected {expected}; the end of its output:\n{log}")]
    GoBuild {
        /// Name of the program.
        program: String,
        /// What did not come true.
        expected: String,
        /// The last lines of the build's output.
        log: String,
    },

    /// No folder is named in which built programs could be kept.
    #[error("expected FLASHSALE_CACHE, XDG_CACHE_HOME or HOME to name a folder; none is set")]
    NoCache,

    /// No free port below the range that outgoing connections use.
    #[error("expected a free port between {first} and {last}, found none in {tries} tries")]
    NoFreePort {
        /// Lowest port tried.
        first: u16,
        /// Highest port tried.
        last: u16,
        /// How many were tried.
        tries: u32,
    },
}

impl ServersError {
    /// For `map_err`: says what was tried when the operating system refused.
    pub(crate) fn io(doing: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let doing = doing.into();
        move |source| Self::Io { doing, source }
    }
}
