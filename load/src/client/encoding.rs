//! Percent-encoding of what stands in a path or a query.

use std::fmt::Write as _;

/// Ids may hold `+` and `@`, which a query does not carry as they are.
pub(crate) fn push_encoded(into: &mut String, text: &str) {
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~:".contains(&byte) {
            into.push(char::from(byte));
        } else {
            // Writing to a string cannot fail.
            let _ = write!(into, "%{byte:02X}");
        }
    }
}
