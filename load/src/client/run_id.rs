//! The name of a run, and of everything it sends.
//!
//! Users and request ids carry it, so that a run meets neither the carts nor the
//! limits of an earlier one, and the check finds its own rows in a shared table.

use std::fmt::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

/// Number of a user within a run, from 0.
pub type UserNo = u32;
/// Number of a call within a run, from 0.
pub type RequestNo = u32;

/// Characters that user ids and request ids allow: short, lower case, no `-`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RunId(String);

impl RunId {
    /// The name of a run that starts now, which no other run of this machine has had: the time
    /// in µs.
    #[must_use]
    pub fn at(now: SystemTime) -> Self {
        let us = now
            .duration_since(UNIX_EPOCH)
            .map_or(0, |since| since.as_micros());
        // Two runs started in the same µs still differ by their process.
        Self(format!("r{us:x}p{:x}", std::process::id()))
    }

    /// The name itself.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Appends the id of a user: `<run>-u<number>`.
    pub fn push_user(&self, into: &mut String, user: UserNo) {
        let _ = write!(into, "{}-u{user}", self.0);
    }

    /// The id of a user.
    #[must_use]
    pub fn user(&self, user: UserNo) -> String {
        let mut id = String::with_capacity(32);
        self.push_user(&mut id, user);
        id
    }

    /// The id of a request: `<run>-<number>`.
    #[must_use]
    pub fn request(&self, request: RequestNo) -> String {
        format!("{}-{request}", self.0)
    }

    /// The number of a request of this run; `None` for another's.
    #[must_use]
    pub fn request_no(&self, id: &str) -> Option<RequestNo> {
        id.strip_prefix(&self.0)?.strip_prefix('-')?.parse().ok()
    }
}

impl From<&str> for RunId {
    fn from(name: &str) -> Self {
        Self(name.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_run_recognises_its_requests_and_no_others() {
        let run = RunId::from("r1");
        assert_eq!(run.request_no(&run.request(42)), Some(42));
        assert_eq!(run.request_no("r12-42"), None);
        assert_eq!(run.request_no("r1-u42"), None);
    }

    #[test]
    fn ids_fit_the_contract() {
        let run = RunId::at(SystemTime::now());
        for id in [run.user(u32::MAX), run.request(u32::MAX)] {
            assert!(id.len() <= 64, "{id}");
            assert!(id.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'));
        }
    }
}
