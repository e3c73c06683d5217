//! A Redis of one process whose calls of one script go wrong.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use flashsale_engine::BackendError;
use flashsale_engine::redis::commands::{MasterAnswer, Redis};
use flashsale_fakes::FakeRedis;
use redis::{Cmd, Value};

/// What happens to the calls of one script.
#[derive(Debug, Clone)]
pub enum Trouble {
    /// They fail and do nothing.
    Fails,
    /// They fail and do nothing, while this is true.
    FailsWhile(Arc<AtomicBool>),
    /// They begin late.
    BeginsLate,
    /// Their answers come late.
    AnswersLate,
    /// Their first reply is lost, and the router sends the same command again.
    RepliesLost,
}

const LATE: Duration = Duration::from_secs(3);

/// A Redis with trouble in the calls of one script.
#[derive(Debug, Clone)]
pub struct Troubled {
    pub redis: FakeRedis,
    /// The operation of the script.
    pub operation: &'static str,
    pub trouble: Trouble,
}

impl Redis for Troubled {
    async fn call(
        &self,
        operation: &'static str,
        key: &str,
        command: &Cmd,
    ) -> Result<Value, BackendError> {
        let is_troubled = operation == self.operation;
        let fails = match &self.trouble {
            Trouble::Fails => is_troubled,
            Trouble::FailsWhile(fails) => is_troubled && fails.load(Ordering::Relaxed),
            _ => false,
        };
        if fails {
            return Err(BackendError::TimedOut {
                backend: "Redis",
                operation,
                after: Duration::ZERO,
            });
        }
        match &self.trouble {
            Trouble::BeginsLate if is_troubled => tokio::time::sleep(LATE).await,
            Trouble::RepliesLost if is_troubled => {
                self.redis.call(operation, key, command).await?;
            }
            _ => {}
        }
        let answer = self.redis.call(operation, key, command).await;
        if let Trouble::AnswersLate = self.trouble
            && is_troubled
        {
            tokio::time::sleep(LATE).await;
        }
        answer
    }

    async fn call_all_masters(&self, operation: &'static str, command: &Cmd) -> Vec<MasterAnswer> {
        self.redis.call_all_masters(operation, command).await
    }

    async fn stream_reader(&self) -> Result<Self, BackendError> {
        Ok(self.clone())
    }
}
