//! Limits how many lines one source logs in a second.

/// The lines that one source logged in a second, and those that were left out since they were last
/// reported.
#[derive(Debug, Default)]
pub struct LineLimit {
    second: i64,
    lines: u32,
    left_out: u64,
}

impl LineLimit {
    /// Whether one more line may be logged in this second, which has at most `limit`. Counts the line.
    pub fn admits(&mut self, second: i64, limit: u32) -> bool {
        if self.second != second {
            self.second = second;
            self.lines = 0;
        }
        let is_admitted = self.lines < limit;
        match is_admitted {
            true => self.lines += 1,
            false => self.left_out += 1,
        }
        is_admitted
    }

    /// The lines that were left out since the last call.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }

    /// Whether the second of the last line is over.
    pub(super) fn is_over(&self, second: i64) -> bool {
        self.second != second
    }
}
