//! The errors of a manifest.

use std::fmt;

/// All errors in a file, from its beginning to its end.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub struct ManifestError {
    pub(super) faults: Vec<Fault>,
}

/// One error.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Fault {
    /// The line of the file, if the error has one.
    pub(super) line: Option<usize>,
    pub(super) message: String,
}

impl fmt::Display for ManifestError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, fault) in self.faults.iter().enumerate() {
            let new_line = if n == 0 { "" } else { "\n" };
            match fault.line {
                Some(line) => write!(f, "{new_line}line {line}: {}", fault.message)?,
                None => write!(f, "{new_line}{}", fault.message)?,
            }
        }
        Ok(())
    }
}

impl ManifestError {
    pub(super) fn one(line: Option<usize>, message: impl Into<String>) -> Self {
        Self {
            faults: vec![Fault {
                line,
                message: message.into(),
            }],
        }
    }
}
