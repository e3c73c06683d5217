//! The eviction policy of the masters: whether Redis may evict a key of a sale.
//!
//! An evicted key is a lost claim or a lost limit. A policy evicts only where the server has a memory
//! limit; the `volatile-*` policies evict only keys that expire, and no key of a sale expires.

use crate::domain::error::BackendError;
use crate::redis::commands::{Redis, convert};

/// What the eviction policies of all masters mean for a sale, from the best to the worst.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Eviction {
    /// No master evicts.
    Off,
    /// A master does not show its policy, or its user may not read it.
    #[default]
    Unknown,
    /// A policy that evicts no key of a sale as the server is configured now: a sentence that says
    /// what to change.
    Risky(String),
    /// A master may evict keys of a sale: a sentence that says what to change.
    Fault(String),
}

impl Eviction {
    /// Why Redis is not fit for a sale; none where it is, or where nothing is known.
    pub fn fault(&self) -> Option<&str> {
        match self {
            Self::Fault(sentence) => Some(sentence),
            _ => None,
        }
    }
}

/// Asks every master for its policy; the answer is that of the worst. Masters that do not answer are
/// left out; it is an error where none answers.
pub async fn read_eviction(redis: &impl Redis) -> Result<Eviction, BackendError> {
    let mut command = redis::cmd("INFO");
    command.arg("memory");
    let masters = redis.call_all_masters("INFO memory", &command).await;
    let mut worst: Option<Eviction> = None;
    let mut failure = None;
    for master in masters {
        let found = match master.answer {
            Ok(answer) => of_master(&convert::<String>("INFO memory", answer)?),
            // Managed servers keep INFO from users.
            Err(error) if error.is_command_refused() => Eviction::Unknown,
            Err(error) => {
                failure = Some(error);
                continue;
            }
        };
        worst = worst.max(Some(found));
    }
    match (worst, failure) {
        (Some(worst), _) => Ok(worst),
        (None, Some(error)) => Err(error),
        (None, None) => Ok(Eviction::Unknown),
    }
}

/// What the memory section of a master's INFO says.
fn of_master(info: &str) -> Eviction {
    let field = |name: &str| {
        let mut lines = info.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(':').map(str::trim))
    };
    let Some(policy) = field("maxmemory_policy") else {
        return Eviction::Unknown;
    };
    let advice = "set it with CONFIG SET maxmemory-policy noeviction";
    match (policy, field("maxmemory")) {
        ("noeviction", _) => Eviction::Off,
        (volatile, _) if volatile.starts_with("volatile-") => Eviction::Risky(format!(
            "a Redis master has maxmemory-policy {policy}: expected noeviction; no key of a sale \
             expires, so the policy evicts none, and writes fail when the memory is full; {advice}"
        )),
        (_, Some("0")) => Eviction::Risky(format!(
            "a Redis master has maxmemory-policy {policy} and no memory limit: expected \
             noeviction, because the policy evicts claims as soon as a limit is set; {advice}"
        )),
        (_, Some(limit)) => Eviction::Fault(format!(
            "a Redis master has maxmemory-policy {policy} with a limit of {limit} bytes: expected \
             noeviction, because an evicted key is a lost claim; {advice}"
        )),
        (_, None) => Eviction::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn info(policy: &str, limit: &str) -> String {
        format!(
            "# Memory\r\nused_memory:1\r\nmaxmemory:{limit}\r\nmaxmemory_human:x\r\nmaxmemory_policy:{policy}\r\n"
        )
    }

    #[test]
    fn only_a_policy_that_evicts_keys_without_expiry_under_a_limit_is_a_fault() {
        let fault = of_master(&info("allkeys-lru", "1000000"));
        let sentence = fault.fault().unwrap_or_default();
        assert!(sentence.contains("allkeys-lru") && sentence.contains("1000000"));
        assert!(matches!(
            of_master(&info("allkeys-lfu", "0")),
            Eviction::Risky(_)
        ));
        for limit in ["0", "1000000"] {
            let volatile = of_master(&info("volatile-lru", limit));
            assert!(matches!(volatile, Eviction::Risky(_)), "{volatile:?}");
            assert_eq!(of_master(&info("noeviction", limit)), Eviction::Off);
        }
    }

    #[test]
    fn a_policy_that_is_not_shown_is_unknown_and_no_fault() {
        let hidden = of_master("# Memory\r\nused_memory:1\r\n");
        assert_eq!(hidden, Eviction::Unknown);
        assert_eq!(hidden.fault(), None);
        let without_limit = of_master("maxmemory_policy:allkeys-lru\r\n");
        assert_eq!(without_limit, Eviction::Unknown);
    }

    #[test]
    fn the_worst_master_decides() {
        let fault = of_master(&info("allkeys-lru", "5"));
        let risky = of_master(&info("volatile-ttl", "5"));
        assert!(fault > risky && risky > Eviction::Unknown && Eviction::Unknown > Eviction::Off);
    }
}
