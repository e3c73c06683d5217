//! The eviction policy of the masters: whether Redis is fit for a sale.

use crate::domain::error::BackendError;
use crate::redis::commands::{Redis, convert};

/// Asks every master whether it would evict keys; returns a sentence where one would.
///
/// An evicted key is a lost claim or a lost limit, so this is a fault. Masters that do not answer
/// are left out; it is an error where none answers.
pub async fn eviction_fault(redis: &impl Redis) -> Result<Option<String>, BackendError> {
    let mut command = redis::cmd("INFO");
    command.arg("memory");
    let answers = redis.call_all_masters("INFO memory", &command).await;
    let mut failure = None;
    let mut is_answered = false;
    for master in answers {
        let answer = match master.answer {
            Ok(answer) => answer,
            Err(error) => {
                failure = failure.or(Some(error));
                continue;
            }
        };
        is_answered = true;
        let text: String = convert("INFO memory", answer)?;
        if let Some(policy) = eviction_policy(&text).filter(|policy| *policy != "noeviction") {
            return Ok(Some(format!(
                "a Redis master has maxmemory-policy {policy}: expected noeviction, because an \
                 evicted key is a lost claim; set it with CONFIG SET maxmemory-policy noeviction"
            )));
        }
    }
    match failure {
        Some(error) if !is_answered => Err(error),
        _ => Ok(None),
    }
}

fn eviction_policy(info: &str) -> Option<&str> {
    info.lines()
        .find_map(|line| line.strip_prefix("maxmemory_policy:"))
        .map(str::trim)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_eviction_policy_is_read_from_the_memory_section() {
        let info = "# Memory\r\nused_memory:1\r\nmaxmemory_policy:allkeys-lru\r\nx:2\r\n";
        assert_eq!(eviction_policy(info), Some("allkeys-lru"));
        assert_eq!(eviction_policy("# Memory\r\nused_memory:1\r\n"), None);
    }
}
