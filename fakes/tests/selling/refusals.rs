//! Refusals while a node that holds one of their streams hangs.

use std::time::Duration;

use flashsale_engine::redis::commands::{MasterAnswer, Redis};
use flashsale_engine::{AttemptOutcome, BackendError, Checkout, ItemId, Refusal, UserId};
use flashsale_fakes::FakeRedis;
use redis::{Cmd, Value};

use crate::harness::{Harness, Service, until};

/// How long a call waits for a node that hangs.
const CALL_TIMEOUT: Duration = Duration::from_millis(1_500);

/// A Redis whose node with the keys of this beginning hangs.
#[derive(Debug, Clone)]
struct Hanging {
    redis: FakeRedis,
    keys: &'static str,
}

impl Redis for Hanging {
    async fn call(
        &self,
        operation: &'static str,
        key: &str,
        command: &Cmd,
    ) -> Result<Value, BackendError> {
        if key.starts_with(self.keys) {
            tokio::time::sleep(CALL_TIMEOUT).await;
            return Err(BackendError::TimedOut {
                backend: "Redis",
                operation,
                after: CALL_TIMEOUT,
            });
        }
        self.redis.call(operation, key, command).await
    }

    async fn call_all_masters(&self, operation: &'static str, command: &Cmd) -> Vec<MasterAnswer> {
        self.redis.call_all_masters(operation, command).await
    }

    async fn stream_reader(&self) -> Result<Self, BackendError> {
        Ok(self.clone())
    }
}

/// How long a refusal takes.
async fn refuse(harness: &Harness, service: &Service<Hanging>) -> Duration {
    let user = UserId::parse("ann").unwrap();
    let item = ItemId::parse("no-such-item").unwrap();
    let started = tokio::time::Instant::now();
    let answer = service.checkout(&user, &item, &harness.request()).await;
    assert_eq!(answer.unwrap(), Checkout::Refused(Refusal::UnknownItem));
    started.elapsed()
}

#[tokio::test(start_paused = true)]
async fn a_node_that_hangs_delays_one_batch_of_refusals_by_milliseconds() {
    let harness = Harness::new();
    let _healthy = harness.open().await;
    let redis = Hanging {
        redis: harness.redis.clone(),
        keys: "{shop.hourly}:attempts",
    };
    let service = harness.process(redis, harness.postgres.clone()).await;
    until("the process sells", || service.active().is_some()).await;

    let first = refuse(&harness, &service).await;
    assert!(first < Duration::from_millis(50), "{first:?}");
    for _ in 0..3 {
        let later = refuse(&harness, &service).await;
        assert!(later < Duration::from_millis(5), "{later:?}");
    }
    let unknown = AttemptOutcome::Refused(Refusal::UnknownItem);
    let in_log = || {
        let attempts = harness.postgres.attempts();
        attempts
            .iter()
            .filter(|attempt| attempt.outcome == unknown)
            .count()
    };
    until("each refusal is logged", || in_log() == 4).await;
}
