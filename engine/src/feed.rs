//! What a process knows in memory of a sale: which items are sold and who has bought how many.
//!
//! Promises: exact, not probable: a bit is set because an event or a snapshot said so, and the
//! feed notices a gap and takes a new snapshot. An unsold item is refused as sold no longer
//! than the feed lags (invariant 8). It decides nothing that Redis does not decide again.

use std::collections::HashMap;
use std::sync::RwLock;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use redis::streams::{StreamId, StreamReadReply};
use tokio_util::sync::CancellationToken;

use crate::attempts::now_us;
use crate::error::StoreError;
use crate::keys::SaleKeys;
use crate::record::{Event, ItemOutcome};
use crate::redis_cluster::{RedisCluster, SNAPSHOT};
use crate::sale::Sale;
use crate::settle::entry_ms;

/// How long one read waits for events. Below the time-out of a call.
const BLOCK: Duration = Duration::from_millis(400);

/// Events that come within this time are applied together.
const COALESCE: Duration = Duration::from_millis(5);

/// Entries of one read.
const ENTRIES: usize = 1_000;

/// How often the feed makes sure that it follows the stream that is there.
const CHECK_EVERY: Duration = Duration::from_secs(1);

const RETRY_AFTER: Duration = Duration::from_millis(200);

/// The state of a sale as this process knows it.
#[derive(Debug)]
pub struct View {
    items: u32,
    sold: Vec<AtomicU64>,
    sold_count: AtomicU32,
    buyers: RwLock<HashMap<String, u32>>,
    caught_up: AtomicBool,
}

impl View {
    /// A view of a sale of which nothing is known yet.
    pub fn new(items: u32) -> Self {
        let words = (items as usize).div_ceil(64);
        Self {
            items,
            sold: (0..words).map(|_| AtomicU64::new(0)).collect(),
            sold_count: AtomicU32::new(0),
            buyers: RwLock::default(),
            caught_up: AtomicBool::new(false),
        }
    }

    /// Whether the item is sold.
    pub fn is_sold(&self, idx: u32) -> bool {
        self.sold
            .get(idx as usize / 64)
            .is_some_and(|word| word.load(Ordering::Relaxed) & (1 << (idx % 64)) != 0)
    }

    /// How many items are sold.
    pub fn sold_count(&self) -> u32 {
        self.sold_count.load(Ordering::Relaxed)
    }

    /// How many items the user has bought.
    pub fn bought(&self, user: &str) -> u32 {
        // Counts are whole between any two statements, so a panic elsewhere spoils nothing.
        let buyers = self
            .buyers
            .read()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        buyers.get(user).copied().unwrap_or(0)
    }

    /// Whether the view has seen a snapshot; before that it refuses nothing.
    pub fn is_caught_up(&self) -> bool {
        self.caught_up.load(Ordering::Relaxed)
    }

    fn set(&self, idx: u32, sold: bool) {
        let Some(word) = self.sold.get(idx as usize / 64) else {
            return;
        };
        let bit = 1_u64 << (idx % 64);
        let before = if sold {
            word.fetch_or(bit, Ordering::Relaxed)
        } else {
            word.fetch_and(!bit, Ordering::Relaxed)
        };
        match (before & bit != 0, sold) {
            (false, true) => self.sold_count.fetch_add(1, Ordering::Relaxed),
            (true, false) => self.sold_count.fetch_sub(1, Ordering::Relaxed),
            _ => 0,
        };
    }

    fn buyers(&self) -> std::sync::RwLockWriteGuard<'_, HashMap<String, u32>> {
        self.buyers
            .write()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }

    fn replace(&self, snapshot: Snapshot) {
        // Redis counts bits from the highest of the first byte.
        let sold = |idx: u32| {
            let byte = snapshot.bitmap.get(idx as usize / 8).copied();
            byte.unwrap_or(0) & (0x80 >> (idx % 8)) != 0
        };
        for idx in 0..self.items {
            self.set(idx, sold(idx));
        }
        *self.buyers() = snapshot.buyers;
        self.caught_up.store(true, Ordering::Relaxed);
    }

    /// Applies one event.
    pub fn apply(&self, event: &Event) {
        match event {
            Event::Claimed { record, .. } => {
                let mut count = 0;
                for result in &record.results {
                    if matches!(result.outcome, ItemOutcome::Sold { .. }) {
                        self.set(result.idx, true);
                        count += 1;
                    }
                }
                if count > 0 {
                    *self.buyers().entry(record.user.clone()).or_default() += count;
                }
            }
            Event::Repaired {
                user,
                bought,
                sold,
                released,
            } => {
                for idx in sold {
                    self.set(*idx, true);
                }
                for idx in released {
                    self.set(*idx, false);
                }
                self.buyers().insert(user.clone(), *bought);
            }
        }
    }
}

struct Snapshot {
    bitmap: Vec<u8>,
    buyers: HashMap<String, u32>,
}

struct Position {
    epoch: String,
    seq: u64,
    last_id: String,
}

/// Why the feed stopped following the stream.
enum Broken {
    /// Events are missing, or the sale was rebuilt: a new snapshot is needed.
    Gap,
    Store(StoreError),
}

impl From<StoreError> for Broken {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

/// Keeps a view up to date from the events stream of its sale.
#[derive(Debug)]
pub struct Feed<'a> {
    /// A handle of its own: its reads block.
    pub redis: RedisCluster,
    /// The sale.
    pub sale: &'a Sale,
    /// What is kept up to date.
    pub view: &'a View,
}

impl Feed<'_> {
    /// Follows the sale until `stop`. Calls `lost` whenever Redis does not know the sale.
    pub async fn run<F, Fut>(&self, stop: &CancellationToken, lost: F)
    where
        F: Fn() -> Fut,
        Fut: Future<Output = ()>,
    {
        let keys = SaleKeys::new(&self.sale.id);
        while !stop.is_cancelled() {
            let broken = tokio::select! {
                broken = self.follow(&keys) => broken,
                () = stop.cancelled() => return,
            };
            match broken {
                Broken::Gap => {
                    tracing::info!(sale = %self.sale.id, "feed takes a new snapshot");
                    continue;
                }
                Broken::Store(StoreError::Unseeded) => lost().await,
                Broken::Store(error) => {
                    tracing::warn!(sale = %self.sale.id, error = %error, "feed interrupted");
                }
            }
            tokio::time::sleep(RETRY_AFTER).await;
        }
    }

    async fn follow(&self, keys: &SaleKeys) -> Broken {
        match self.try_follow(keys).await {
            Ok(never) => match never {},
            Err(broken) => broken,
        }
    }

    async fn try_follow(&self, keys: &SaleKeys) -> Result<std::convert::Infallible, Broken> {
        let (mut position, snapshot) = self.snapshot(keys).await?;
        self.view.replace(snapshot);
        let mut checked = Instant::now();
        loop {
            let entries = self.read(keys, &position.last_id).await?;
            let any = !entries.is_empty();
            for entry in entries {
                self.apply(&mut position, &entry)?;
            }
            if checked.elapsed() >= CHECK_EVERY {
                self.check(keys, &position).await?;
                checked = Instant::now();
            }
            if any {
                tokio::time::sleep(COALESCE).await;
            }
        }
    }

    async fn snapshot(&self, keys: &SaleKeys) -> Result<(Position, Snapshot), StoreError> {
        type Answer = (String, u64, String, u32, Vec<u8>, Vec<String>);
        let touched = [keys.meta.as_str(), &keys.sold, &keys.bought];
        let mut answer: Vec<redis::Value> = self.redis.eval(&SNAPSHOT, &touched, |_| {}).await?;
        let buyers = answer.split_off(answer.len().min(5));
        answer.push(redis::Value::Array(buyers));
        let bad = |error: redis::ParsingError| {
            StoreError::unexpected("answer of snapshot.lua", "6 parts", error.to_string())
        };
        let (epoch, seq, last_id, _sold, bitmap, buyers): Answer =
            redis::from_redis_value(redis::Value::Array(answer)).map_err(bad)?;
        let ones = |slots: &str| slots.bytes().filter(|b| *b == b'1').count() as u32;
        let position = Position {
            epoch,
            seq,
            last_id,
        };
        let buyers = buyers
            .chunks_exact(2)
            .map(|pair| (pair[0].clone(), ones(&pair[1])))
            .collect();
        Ok((position, Snapshot { bitmap, buyers }))
    }

    async fn read(&self, keys: &SaleKeys, behind: &str) -> Result<Vec<StreamId>, StoreError> {
        let mut cmd = redis::cmd("XREAD");
        cmd.arg("COUNT")
            .arg(ENTRIES)
            .arg("BLOCK")
            .arg(BLOCK.as_millis() as u64)
            .arg("STREAMS")
            .arg(&keys.events)
            .arg(behind);
        let reply: Option<StreamReadReply> = self.redis.run("feed", &cmd).await?;
        let keys = reply.map(|reply| reply.keys).unwrap_or_default();
        Ok(keys.into_iter().flat_map(|key| key.ids).collect())
    }

    fn apply(&self, position: &mut Position, entry: &StreamId) -> Result<(), Broken> {
        let seq: u64 = entry.get("n").unwrap_or_default();
        if seq != position.seq + 1 {
            return Err(Broken::Gap);
        }
        let text: String = entry.get("e").unwrap_or_default();
        for event in Event::parse_entry(&text)? {
            self.view.apply(&event);
        }
        let lag_ms = now_us() / 1_000 - entry_ms(&entry.id);
        self.redis
            .metrics()
            .feed_lag
            .set((lag_ms as f64 / 1e3).max(0.0));
        position.seq = seq;
        position.last_id.clone_from(&entry.id);
        Ok(())
    }

    /// A stream that was made anew is not seen as a gap until its next event.
    async fn check(&self, keys: &SaleKeys, position: &Position) -> Result<(), Broken> {
        let mut cmd = redis::cmd("HMGET");
        cmd.arg(&keys.meta).arg("ready").arg("epoch").arg("seq");
        let (ready, epoch, seq): (Option<u8>, Option<String>, Option<u64>) =
            self.redis.run("feed", &cmd).await?;
        if ready.is_none() {
            return Err(StoreError::Unseeded.into());
        }
        let behind = seq.unwrap_or_default() < position.seq;
        if epoch.as_deref() != Some(&position.epoch) || behind {
            return Err(Broken::Gap);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{ItemResult, Record};

    fn claimed(user: &str, outcomes: &[(u32, ItemOutcome)]) -> Event {
        Event::Claimed {
            tail: crate::code::CodeTail::generate(0),
            record: Record {
                user: user.to_owned(),
                request_id: "r".to_owned(),
                at_ms: 0,
                results: outcomes
                    .iter()
                    .map(|(idx, outcome)| ItemResult {
                        idx: *idx,
                        outcome: *outcome,
                    })
                    .collect(),
            },
        }
    }

    const SOLD: ItemOutcome = ItemOutcome::Sold {
        user_slot: 1,
        sale_slot: 0,
    };

    #[test]
    fn a_view_follows_claims_and_repairs() {
        let view = View::new(100);
        view.apply(&claimed(
            "ann",
            &[(3, SOLD), (64, SOLD), (5, ItemOutcome::AlreadySold)],
        ));
        assert!(view.is_sold(3) && view.is_sold(64) && !view.is_sold(5));
        assert_eq!((view.sold_count(), view.bought("ann")), (2, 2));

        view.apply(&Event::Repaired {
            user: "ann".to_owned(),
            bought: 1,
            sold: vec![3, 7],
            released: vec![64],
        });
        assert!(view.is_sold(3) && view.is_sold(7) && !view.is_sold(64));
        assert_eq!((view.sold_count(), view.bought("ann")), (2, 1));
        assert_eq!(view.bought("bob"), 0);
    }

    #[test]
    fn a_snapshot_replaces_everything_and_reads_bits_as_redis_counts_them() {
        let view = View::new(70);
        view.apply(&claimed("ann", &[(1, SOLD)]));
        view.replace(Snapshot {
            bitmap: vec![0b1000_0000, 0b0000_0001],
            buyers: HashMap::from([("bob".to_owned(), 2)]),
        });
        assert!(view.is_sold(0) && view.is_sold(15) && !view.is_sold(1));
        assert_eq!(
            (view.sold_count(), view.bought("ann"), view.bought("bob")),
            (2, 0, 2)
        );
    }
}
