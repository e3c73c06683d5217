//! The seam itself: commands to all masters, and errors as values.

use flashsale_engine::BackendError;
use flashsale_engine::redis::commands::{Redis, ping};
use flashsale_engine::redis::eviction_policy::{Eviction, read_eviction};

use crate::support::{fake, real};

async fn set(redis: &impl Redis, parameter: &str, value: &str) {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg(parameter).arg(value);
    for master in redis.call_all_masters("test", &command).await {
        master.answer.unwrap();
    }
}

/// Every master answers, with whether it evicts.
async fn a_server_is_fit_until_it_may_evict_claims(redis: &impl Redis) {
    assert!(ping(redis).await.iter().all(|master| master.answer.is_ok()));
    assert_eq!(read_eviction(redis).await.unwrap(), Eviction::Off);
    set(redis, "maxmemory-policy", "volatile-lru").await;
    let volatile = read_eviction(redis).await.unwrap();
    assert!(matches!(&volatile, Eviction::Risky(why) if why.contains("volatile-lru")));
    set(redis, "maxmemory-policy", "allkeys-lru").await;
    let unlimited = read_eviction(redis).await.unwrap();
    assert!(matches!(&unlimited, Eviction::Risky(why) if why.contains("no memory limit")));
    set(redis, "maxmemory", "1000000000").await;
    let limited = read_eviction(redis).await.unwrap();
    let fault = limited.fault().unwrap();
    assert!(fault.contains("allkeys-lru") && fault.contains("1000000000"));
    set(redis, "maxmemory", "0").await;
    set(redis, "maxmemory-policy", "noeviction").await;
}

#[tokio::test]
async fn both_are_fit_until_they_may_evict_claims() {
    a_server_is_fit_until_it_may_evict_claims(&fake()).await;
    a_server_is_fit_until_it_may_evict_claims(&real().await).await;
}

/// The codes of errors that the engine acts on.
async fn errors_have_codes(redis: &impl Redis) {
    let mut unknown = redis::cmd("EVALSHA");
    unknown.arg("f".repeat(40)).arg(1).arg("{codes}:k");
    let error = redis.call("claim", "{codes}:k", &unknown).await;
    let error = error.unwrap_err();
    assert!(error.has_redis_code("NOSCRIPT"), "{error}");
    assert!(matches!(
        error,
        BackendError::Redis {
            operation: "claim",
            ..
        }
    ));
    let mut unseeded = redis::cmd("EVAL");
    unseeded.arg("return redis.error_reply('UNSEEDED sale')");
    unseeded.arg(1).arg("{codes}:k");
    let error = redis.call("claim", "{codes}:k", &unseeded).await;
    assert_eq!(error, Err(BackendError::Unseeded));
    let mut group = redis::cmd("XGROUP");
    group
        .arg("CREATE")
        .arg("{codes}:x")
        .arg("g")
        .arg("0")
        .arg("MKSTREAM");
    redis.call("settle", "{codes}:x", &group).await.unwrap();
    let error = redis.call("settle", "{codes}:x", &group).await.unwrap_err();
    assert!(error.has_redis_code("BUSYGROUP"), "{error}");
}

#[tokio::test]
async fn errors_have_their_codes_on_both() {
    errors_have_codes(&fake()).await;
    errors_have_codes(&real().await).await;
}

#[tokio::test]
async fn a_flushed_fake_holds_nothing() {
    let fake = fake();
    crate::support::play(&fake, "SET {flush}:k 1").await;
    fake.flush_all();
    assert_eq!(
        crate::support::play(&fake, "EXISTS {flush}:k").await,
        "int(0)"
    );
}
