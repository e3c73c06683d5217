//! The lease of the process that restores a sale, or one of its cart partitions.
//!
//! Guarantees: a holder whose lease ran out neither extends nor ends the lease of another process.
//! The lease spares the servers the same work twice; two restorations at once do no harm.

use std::time::Duration;

use crate::domain::error::BackendError;
use crate::domain::random::Random;
use crate::redis::commands::{Redis, call};
use crate::redis::scripts::extend_lease::extend_lease;

/// A lease that this process took.
#[derive(Debug)]
pub(crate) struct RestoreLease<'a> {
    key: &'a str,
    /// Differs from that of every other holder.
    token: String,
    lasts: Duration,
}

impl<'a> RestoreLease<'a> {
    /// Takes the lease where it is free; `key` is from [`crate::redis::keys`].
    pub(crate) async fn take(
        redis: &impl Redis,
        random: &Random,
        key: &'a str,
        lasts: Duration,
    ) -> Result<Option<Self>, BackendError> {
        let token = format!("{:016x}", random.next_u64());
        let mut command = redis::cmd("SET");
        command.arg(key).arg(&token).arg("NX").arg("PX");
        command.arg(u64::try_from(lasts.as_millis()).unwrap_or(u64::MAX));
        let taken: Option<String> = call(redis, "restore", key, &command).await?;
        Ok(taken.map(|_| Self { key, token, lasts }))
    }

    /// Keeps the lease as long as it was taken for, from now on. Returns whether it still is this
    /// process's.
    pub(crate) async fn renew(&self, redis: &impl Redis) -> Result<bool, BackendError> {
        extend_lease(redis, self.key, &self.token, self.lasts).await
    }

    /// Gives the lease back, if it still is this process's.
    pub(crate) async fn release(self, redis: &impl Redis) -> Result<(), BackendError> {
        let ended = extend_lease(redis, self.key, &self.token, Duration::ZERO).await;
        ended.map(drop)
    }
}

#[cfg(test)]
#[allow(clippy::unwrap_used)]
mod tests {
    use flashsale_servers::RedisCluster as Server;

    use super::*;
    use crate::domain::certificates::Certificates;
    use crate::observability::Ambient;
    use crate::redis::cluster::RedisCluster;

    const KEY: &str = "{sale}:restore";
    const LONG: Duration = Duration::from_secs(60);

    async fn remaining_ms(redis: &RedisCluster) -> i64 {
        let mut command = redis::cmd("PTTL");
        command.arg(KEY);
        call(redis, "restore", KEY, &command).await.unwrap()
    }

    #[tokio::test]
    async fn a_holder_whose_lease_ran_out_leaves_the_lease_of_the_next_holder_alone() {
        let server = Server::single().unwrap();
        let Ambient {
            metrics,
            clock,
            random,
            ..
        } = Ambient::system().unwrap();
        let url = server.url();
        let redis = RedisCluster::connect(&url, &Certificates::NONE, metrics, clock);
        let redis = redis.await.unwrap();
        let take = async |lasts| {
            let lease = RestoreLease::take(&redis, &random, KEY, lasts);
            lease.await.unwrap()
        };

        let first = take(LONG).await.unwrap();
        assert!(take(LONG).await.is_none());
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(KEY);
        let _: i64 = call(&redis, "restore", KEY, &unlink).await.unwrap();
        let second = take(LONG / 2).await.unwrap();

        assert!(!first.renew(&redis).await.unwrap());
        assert!(remaining_ms(&redis).await <= 30_000);
        first.release(&redis).await.unwrap();
        assert!(remaining_ms(&redis).await > 0);
        assert!(second.renew(&redis).await.unwrap());
        second.release(&redis).await.unwrap();
        assert!(take(LONG).await.is_some());
    }
}
