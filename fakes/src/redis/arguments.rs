//! The arguments of one command, read from the left.

use crate::redis::reply::CommandError;

/// Arguments that are left to read.
#[derive(Debug)]
pub(crate) struct Arguments<'a> {
    rest: &'a [Vec<u8>],
}

impl<'a> Arguments<'a> {
    /// The arguments behind the command's name.
    pub fn new(rest: &'a [Vec<u8>]) -> Self {
        Self { rest }
    }

    /// How many are left.
    pub fn len(&self) -> usize {
        self.rest.len()
    }

    /// Whether none is left.
    pub fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// Reads the next one, where there is one.
    pub fn try_next(&mut self) -> Option<&'a Vec<u8>> {
        let (first, rest) = self.rest.split_first()?;
        self.rest = rest;
        Some(first)
    }

    /// Reads the next one; a missing one is a syntax error.
    pub fn next(&mut self) -> Result<&'a Vec<u8>, CommandError> {
        self.try_next().ok_or_else(CommandError::syntax)
    }

    /// Reads the next one as an integer.
    pub fn next_integer(&mut self) -> Result<i64, CommandError> {
        parse_integer(self.next()?).ok_or_else(CommandError::not_an_integer)
    }

    /// Reads `word` where it comes next, in any case of letters. Returns whether it did.
    pub fn keyword(&mut self, word: &str) -> bool {
        let found = self
            .rest
            .first()
            .is_some_and(|next| next.eq_ignore_ascii_case(word.as_bytes()));
        if found {
            self.rest = &self.rest[1..];
        }
        found
    }

    /// Reads all that are left.
    pub fn rest(&mut self) -> &'a [Vec<u8>] {
        std::mem::take(&mut self.rest)
    }

    /// Fails where an argument is left.
    pub fn end(&self) -> Result<(), CommandError> {
        if self.is_empty() {
            Ok(())
        } else {
            Err(CommandError::syntax())
        }
    }
}

/// Reads a 64-bit integer in its one canonical spelling, as Redis does.
pub(crate) fn parse_integer(text: &[u8]) -> Option<i64> {
    let text = std::str::from_utf8(text).ok()?;
    let number: i64 = text.parse().ok()?;
    (number.to_string() == text).then_some(number)
}
