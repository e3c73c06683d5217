//! A field of a resource whose value cannot be used.

use std::fmt;

/// A field whose value cannot be used: the field, what was found, what is expected.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub struct FieldError {
    /// The field, as `spec.limits.total`.
    pub path: String,
    /// What it holds.
    pub found: String,
    /// What it may hold.
    pub expected: String,
}

impl fmt::Display for FieldError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: found {}; expected {}",
            self.path, self.found, self.expected
        )
    }
}

/// A text as a message shows it: shortened, in backticks, and different from an empty one.
pub(crate) fn quoted(text: &str) -> String {
    match text.char_indices().nth(80) {
        _ if text.is_empty() => "nothing".to_owned(),
        Some((end, _)) => format!("`{}…`", &text[..end]),
        None => format!("`{text}`"),
    }
}
