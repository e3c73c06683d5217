//! Whether a master that started again from an old file can be told from one that has everything.

use crate::redis::commands::Redis;

/// Asks every master whether the user may run `INFO`; returns a sentence where not. Scripts then name
/// a master by the id of its node, which shows promotions and survives a restart.
pub(crate) async fn restart_detection_warning(redis: &impl Redis) -> Option<String> {
    let mut command = redis::cmd("INFO");
    command.arg("replication");
    let masters = redis.call_all_masters("INFO replication", &command).await;
    let mut answers = masters.into_iter().map(|master| master.answer);
    let is_refused = answers.any(|answer| answer.is_err_and(|error| error.is_command_refused()));
    is_refused.then(|| {
        "the Redis user may not run INFO: expected the permission +info, because without it carts \
         may lack their last items after a master has started again from an old file"
            .to_owned()
    })
}
