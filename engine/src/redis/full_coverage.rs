//! Whether a Redis Cluster goes on without some of its slots.

use crate::redis::commands::{Redis, convert};

const SETTING: &str = "cluster-require-full-coverage";

/// Asks every master whether it refuses all slots while one shard has no master; returns a sentence
/// where one does. A user who may not read the configuration, as with most managed services, gets
/// none: the setting is unknown, which is no fault.
pub async fn full_coverage_warning(redis: &impl Redis) -> Option<String> {
    let mut command = redis::cmd("CONFIG");
    command.arg("GET").arg(SETTING);
    let masters = redis.call_all_masters("CONFIG GET", &command).await;
    let settings = masters.into_iter().filter_map(|master| master.answer.ok());
    let mut settings = settings.filter_map(|answer| convert("CONFIG GET", answer).ok());
    let is_required =
        settings.any(|setting: Vec<String>| setting.get(1).is_some_and(|v| v == "yes"));
    is_required.then(|| {
        format!(
            "a Redis master has {SETTING} yes: expected no, because with yes a failed master stops \
             all slots; set it with CONFIG SET {SETTING} no"
        )
    })
}
