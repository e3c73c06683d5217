//! Settling what other processes left: claims and attempts in the streams whose owner died.
//!
//! Promises: reads with a consumer group, so that processes share the work and what one left
//! is taken over by another; an event is trimmed only behind Postgres; everything can be done
//! twice. A process settles its own claims and attempts itself, much sooner.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use redis::streams::{StreamAutoClaimReply, StreamId, StreamReadReply};

use crate::attempts::{self, Attempt};
use crate::carts::Added;
use crate::error::StoreError;
use crate::keys::{PartitionKeys, SaleKeys, refusals};
use crate::orders;
use crate::postgres::Database;
use crate::record::{Claim, Event};
use crate::redis_cluster::RedisCluster;
use crate::repair::repair;
use crate::sale::{FlashSaleName, Sale, SaleId};

/// The consumer group on every stream.
pub(crate) const GROUP: &str = "settle";

/// An attempt that its own process has not settled after this long is settled by another.
pub const GRACE: Duration = Duration::from_secs(3);

/// A claim younger than this is left to its own process, in milliseconds.
const OWNER_COMMITS_MS: i64 = 1_000;

/// Entries that one step takes at the most.
pub(crate) const ENTRIES: usize = 200;

/// How long events stay for slow feeds after they are settled.
const KEEP_EVENTS: Duration = Duration::from_secs(60);

/// Settles streams under one consumer name.
#[derive(Debug, Clone)]
pub struct Settler {
    db: Arc<Database>,
    redis: RedisCluster,
    consumer: String,
}

impl Settler {
    /// A settler with a consumer name of its own.
    pub fn new(db: Arc<Database>, redis: RedisCluster) -> Self {
        let consumer = format!("{:016x}", rand::random::<u64>());
        Self {
            db,
            redis,
            consumer,
        }
    }

    /// Commits claims that are in the events stream and not in Postgres. Answers how many
    /// entries it took; 0 means that nothing is left to take.
    pub async fn claims(&self, sale: &SaleId, idle: Duration) -> Result<usize, StoreError> {
        let keys = SaleKeys::new(sale);
        let entries = self.take(&keys.events, idle).await?;
        if entries.is_empty() {
            return Ok(0);
        }
        let mut claims = Vec::new();
        for entry in &entries {
            let Some(text) = entry.get::<String>("e") else {
                continue;
            };
            for event in Event::parse_entry(&text)? {
                if let Event::Claimed { tail, record } = event {
                    let sale = sale.clone();
                    let replayed = false;
                    claims.push(Claim {
                        sale,
                        tail,
                        record,
                        replayed,
                    });
                }
            }
        }
        self.commit(&claims).await?;
        self.acknowledge(&keys.events, &entries).await?;
        self.trim(&keys.events).await?;
        Ok(entries.len())
    }

    async fn commit(&self, claims: &[Claim]) -> Result<(), StoreError> {
        let mut agreements = orders::agreements(&self.db, claims).await?;
        let newest_ms = claims
            .iter()
            .filter(|claim| !agreements.contains_key(&orders::code(claim)))
            .map(|claim| claim.record.at_ms)
            .max();
        let young = newest_ms.map_or(0, |at| at + OWNER_COMMITS_MS - attempts::now_us() / 1_000);
        if young > 0 {
            // Its own process is most likely at it; two that commit one claim get in the way
            // of each other.
            tokio::time::sleep(Duration::from_millis(
                young.min(OWNER_COMMITS_MS).unsigned_abs(),
            ))
            .await;
            agreements = orders::agreements(&self.db, claims).await?;
        }
        let mut missing = Vec::new();
        for claim in claims {
            match agreements.get(&orders::code(claim)) {
                Some(true) => {}
                None => missing.push(claim.clone()),
                // Committing again answers the outcome that Postgres has.
                Some(false) => missing.push(Claim {
                    replayed: true,
                    ..claim.clone()
                }),
            }
        }
        if missing.is_empty() {
            return Ok(());
        }
        let outcomes = orders::commit(&self.db, &missing).await?;
        let recovered = missing.len() - agreements.values().filter(|agrees| !**agrees).count();
        self.db.metrics().claims_recovered.inc_by(recovered as u64);
        for (claim, outcome) in missing.iter().zip(outcomes) {
            if outcome.new {
                let sold = outcome.record.sold_count() as u64;
                self.db.metrics().sale_items_sold_total.inc_by(sold);
            }
            if outcome.corrected {
                repair(&self.db, &self.redis, claim, &outcome.record).await?;
            }
        }
        Ok(())
    }

    /// Settles attempts older than `grace` of every stream that the sale uses. Answers how
    /// many entries it took.
    pub async fn attempts(&self, sale: &Sale, grace: Duration) -> Result<usize, StoreError> {
        let mut taken = self.refusals(sale.id.flash_sale(), grace).await?;
        for partition in 0..sale.partitions {
            let keys = PartitionKeys::new(&sale.id, partition);
            taken += self
                .attempts_of(&keys.attempts, Some(&sale.id), grace)
                .await?;
        }
        Ok(taken)
    }

    /// Settles refused attempts older than `grace`.
    pub async fn refusals(
        &self,
        flash_sale: &FlashSaleName,
        grace: Duration,
    ) -> Result<usize, StoreError> {
        self.attempts_of(&refusals(flash_sale), None, grace).await
    }

    async fn attempts_of(
        &self,
        stream: &str,
        sale: Option<&SaleId>,
        grace: Duration,
    ) -> Result<usize, StoreError> {
        if !self.has_older(stream, grace).await? {
            return Ok(0);
        }
        let entries = self.take(stream, grace).await?;
        if entries.is_empty() {
            return Ok(0);
        }
        let mut found = Vec::new();
        for entry in &entries {
            found.extend(parse_attempts(entry, sale)?);
        }
        attempts::insert(&self.db, found.iter()).await?;
        self.db
            .metrics()
            .attempts_recovered
            .inc_by(found.len() as u64);
        self.acknowledge(stream, &entries).await?;
        let mut cmd = redis::cmd("XDEL");
        cmd.arg(stream);
        for entry in &entries {
            cmd.arg(&entry.id);
        }
        self.redis.run::<i64>("settle", &cmd).await?;
        Ok(entries.len())
    }

    /// Whether the oldest entry of a stream is older than `grace`: while owners settle their
    /// own, this is all that a settler asks.
    async fn has_older(&self, stream: &str, grace: Duration) -> Result<bool, StoreError> {
        let mut cmd = redis::cmd("XRANGE");
        cmd.arg(stream).arg("-").arg("+").arg("COUNT").arg(1);
        let oldest: Vec<(String, redis::Value)> = self.redis.run("settle", &cmd).await?;
        let Some((id, _)) = oldest.first() else {
            return Ok(false);
        };
        let age_ms = attempts::now_us() / 1_000 - entry_ms(id);
        Ok(age_ms >= i64::try_from(grace.as_millis()).unwrap_or(i64::MAX))
    }

    /// Takes over entries that a consumer left for `idle`, then new ones.
    async fn take(&self, stream: &str, idle: Duration) -> Result<Vec<StreamId>, StoreError> {
        match self.try_take(stream, idle).await {
            Err(StoreError::Redis { source, .. }) if source.code() == Some("NOGROUP") => {
                // A sale that was retired has no stream, and must not get one back.
                let mut cmd = redis::cmd("EXISTS");
                cmd.arg(stream);
                if self.redis.run::<i64>("settle", &cmd).await? == 0 {
                    return Ok(Vec::new());
                }
                make_group(&self.redis, stream).await?;
                self.try_take(stream, idle).await
            }
            taken => taken,
        }
    }

    async fn try_take(&self, stream: &str, idle: Duration) -> Result<Vec<StreamId>, StoreError> {
        let mut cmd = redis::cmd("XAUTOCLAIM");
        cmd.arg(stream)
            .arg(GROUP)
            .arg(&self.consumer)
            .arg(idle.as_millis() as u64)
            .arg("0-0")
            .arg("COUNT")
            .arg(ENTRIES);
        let left: StreamAutoClaimReply = self.redis.run("settle", &cmd).await?;
        if !left.claimed.is_empty() {
            return Ok(left.claimed);
        }
        let mut cmd = redis::cmd("XREADGROUP");
        cmd.arg("GROUP")
            .arg(GROUP)
            .arg(&self.consumer)
            .arg("COUNT")
            .arg(ENTRIES)
            .arg("STREAMS")
            .arg(stream)
            .arg(">");
        let new: Option<StreamReadReply> = self.redis.run("settle", &cmd).await?;
        let keys = new.map(|reply| reply.keys).unwrap_or_default();
        Ok(keys.into_iter().flat_map(|key| key.ids).collect())
    }

    async fn acknowledge(&self, stream: &str, entries: &[StreamId]) -> Result<(), StoreError> {
        let mut cmd = redis::cmd("XACK");
        cmd.arg(stream).arg(GROUP);
        for entry in entries {
            cmd.arg(&entry.id);
        }
        self.redis.run::<i64>("settle", &cmd).await.map(drop)
    }

    /// Trims events that are in Postgres and that no feed needs any more.
    async fn trim(&self, stream: &str) -> Result<(), StoreError> {
        let mut cmd = redis::cmd("XPENDING");
        cmd.arg(stream).arg(GROUP);
        let pending: Vec<redis::Value> = self.redis.run("settle", &cmd).await?;
        let first_pending: Option<String> = pending
            .get(1)
            .cloned()
            .and_then(|value| redis::from_redis_value(value).ok());
        let old_ms = attempts::now_us() / 1_000 - KEEP_EVENTS.as_millis() as i64;
        let mut min_ms = old_ms;
        if let Some(id) = first_pending {
            min_ms = min_ms.min(entry_ms(&id));
        } else {
            // Nothing pending: everything delivered is settled, but what was not delivered yet
            // is not. It is younger than the last delivery.
            min_ms = min_ms.min(self.last_delivered_ms(stream).await?);
        }
        let mut cmd = redis::cmd("XTRIM");
        cmd.arg(stream).arg("MINID").arg(format!("{min_ms}-0"));
        self.redis.run::<i64>("settle", &cmd).await.map(drop)
    }

    async fn last_delivered_ms(&self, stream: &str) -> Result<i64, StoreError> {
        let mut cmd = redis::cmd("XINFO");
        cmd.arg("GROUPS").arg(stream);
        let groups: redis::streams::StreamInfoGroupsReply = self.redis.run("settle", &cmd).await?;
        let group = groups.groups.iter().find(|group| group.name == GROUP);
        Ok(group.map_or(0, |group| entry_ms(&group.last_delivered_id)))
    }
}

/// Makes the consumer group, and the stream, where they are missing.
pub(crate) async fn make_group(redis: &RedisCluster, stream: &str) -> Result<(), StoreError> {
    let mut cmd = redis::cmd("XGROUP");
    cmd.arg("CREATE")
        .arg(stream)
        .arg(GROUP)
        .arg("0")
        .arg("MKSTREAM");
    match redis.run::<redis::Value>("settle", &cmd).await {
        Err(StoreError::Redis { source, .. }) if source.code() == Some("BUSYGROUP") => Ok(()),
        made => made.map(drop),
    }
}

/// Unix milliseconds of a stream id.
pub(crate) fn entry_ms(id: &str) -> i64 {
    id.split('-')
        .next()
        .and_then(|ms| ms.parse().ok())
        .unwrap_or_default()
}

fn parse_attempts(entry: &StreamId, sale: Option<&SaleId>) -> Result<Vec<Attempt>, StoreError> {
    let lines: String = entry.get("b").unwrap_or_default();
    let mut attempts = lines
        .lines()
        .map(Attempt::parse)
        .collect::<Result<Vec<_>, _>>()?;
    let decided: HashMap<usize, Added> = match (entry.get::<String>("o"), sale) {
        (Some(text), Some(_)) => text
            .split(',')
            .map(Added::parse)
            .collect::<Result<Vec<_>, _>>()?
            .into_iter()
            .enumerate()
            .collect(),
        _ => HashMap::new(),
    };
    for (n, attempt) in attempts.iter_mut().enumerate() {
        if let (Some(added), Some(sale)) = (decided.get(&n), sale) {
            added.complete(attempt, sale, &sale.as_str().into());
        }
    }
    Ok(attempts)
}
