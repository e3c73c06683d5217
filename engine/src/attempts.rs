//! The log of answered checkout attempts.
//!
//! Promises: every attempt is in a Redis stream before it is answered, and stays in this
//! process until Postgres has it, exactly once (invariant 7). The process settles its own
//! attempts and then deletes their entries; entries that outlive their process are settled by
//! another one ([`crate::settle`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::Notify;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;
use uuid::Uuid;

use crate::copy::Rows;
use crate::error::StoreError;
use crate::ids::{ItemId, RequestId, UserId};
use crate::postgres::Database;
use crate::redis_cluster::RedisCluster;

/// Attempts that one statement settles.
const SETTLE_LIMIT: usize = 5_000;

/// How long answered attempts may gather before they are settled.
const SETTLE_EVERY: Duration = Duration::from_millis(100);

/// How long after a failure Postgres is asked again.
const RETRY_AFTER: Duration = Duration::from_millis(250);

/// One answered call of `POST /checkout`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// Drawn by the process that answers.
    pub id: Uuid,
    /// When it was answered, Unix time in microseconds.
    pub at_us: i64,
    /// The active sale's id; empty for none.
    pub sale: Arc<str>,
    /// Empty where the client sent no valid one.
    pub user: String,
    /// Empty where the client sent no valid one.
    pub item: String,
    /// The whole checkout code; empty where nothing is in a cart.
    pub code: String,
    /// `added`, `in_cart`, or the code of the refusal.
    pub outcome: String,
    /// The request's id.
    pub request_id: String,
}

impl Attempt {
    /// Writes the line that a stream entry holds for it. Outcome and code of a cart attempt
    /// are not known when it is written; the script puts them beside it.
    pub fn line(&self) -> String {
        let Self {
            id,
            at_us,
            sale,
            user,
            item,
            code,
            outcome,
            request_id,
        } = self;
        format!(
            "{:x}|{at_us}|{sale}|{user}|{item}|{code}|{outcome}|{request_id}",
            id.as_u128()
        )
    }

    /// Reads such a line.
    pub fn parse(line: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::unexpected("attempt", "8 fields divided by |", line);
        let parts: Vec<&str> = line.split('|').collect();
        let [id, at_us, sale, user, item, code, outcome, request_id] = parts[..] else {
            return Err(bad());
        };
        Ok(Self {
            id: Uuid::from_u128(u128::from_str_radix(id, 16).map_err(|_| bad())?),
            at_us: at_us.parse().map_err(|_| bad())?,
            sale: sale.into(),
            user: user.to_owned(),
            item: item.to_owned(),
            code: code.to_owned(),
            outcome: outcome.to_owned(),
            request_id: request_id.to_owned(),
        })
    }
}

/// Attempts of one stream entry, answered and not yet in Postgres.
#[derive(Debug)]
pub struct Answered {
    /// Key of the stream.
    pub stream: Arc<str>,
    /// The entry's id.
    pub entry: String,
    /// What it holds.
    pub attempts: Vec<Attempt>,
}

/// This process's part of the log.
#[derive(Debug)]
pub struct AttemptLog {
    instance: u64,
    drawn: AtomicU64,
    held: AtomicUsize,
    limit: usize,
    answered: Mutex<VecDeque<Answered>>,
    many: Notify,
    db: Arc<Database>,
    redis: RedisCluster,
}

impl AttemptLog {
    /// Starts settling in the background. `limit` attempts may wait for Postgres. After `stop`
    /// it ends when everything is settled.
    pub fn start(
        db: Arc<Database>,
        redis: RedisCluster,
        limit: usize,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Arc<Self> {
        let log = Arc::new(Self {
            instance: rand::random(),
            drawn: AtomicU64::new(0),
            held: AtomicUsize::new(0),
            limit,
            answered: Mutex::default(),
            many: Notify::new(),
            db,
            redis,
        });
        let (settling, stop) = (log.clone(), stop.clone());
        tasks.spawn(async move { settling.settle_until(stop).await });
        log
    }

    /// Starts an attempt's record: its id, its time and what the client said.
    pub fn draw(
        &self,
        sale: &Arc<str>,
        user: Option<&UserId>,
        item: Option<&ItemId>,
        request_id: &RequestId,
    ) -> Attempt {
        let n = self.drawn.fetch_add(1, Ordering::Relaxed);
        Attempt {
            id: Uuid::from_u64_pair(self.instance, n),
            at_us: now_us(),
            sale: sale.clone(),
            user: user.map(|u| u.as_str().to_owned()).unwrap_or_default(),
            item: item.map(|i| i.as_str().to_owned()).unwrap_or_default(),
            code: String::new(),
            outcome: String::new(),
            request_id: request_id.as_str().to_owned(),
        }
    }

    /// Whether another attempt may be answered. Full means that Postgres has been away long.
    pub fn has_room(&self) -> bool {
        self.held.load(Ordering::Relaxed) < self.limit
    }

    /// Counts attempts that a sale with `attempts: bestEffort` dropped.
    pub fn count_dropped(&self, count: usize) {
        self.db.metrics().attempts_dropped.inc_by(count as u64);
    }

    /// Takes over what is about to be answered. Call it before the answer leaves.
    pub fn keep(&self, answered: Answered) {
        let count = answered.attempts.len();
        // Counted first: what is in the queue may be settled, and counted off, at once.
        let held = self.held.fetch_add(count, Ordering::Relaxed) + count;
        self.lock().push_back(answered);
        self.db.metrics().attempts_unsettled.set(held as i64);
        if held >= SETTLE_LIMIT {
            self.many.notify_one();
        }
    }

    async fn settle_until(&self, stop: CancellationToken) {
        loop {
            tokio::select! {
                () = self.many.notified() => {}
                () = tokio::time::sleep(SETTLE_EVERY) => {}
                () = stop.cancelled() => {}
            }
            while let Some(batch) = self.take() {
                if let Err(error) = self.settle(&batch).await {
                    tracing::warn!(error = %error, entries = batch.len(), "attempts kept");
                    self.put_back(batch);
                    tokio::time::sleep(RETRY_AFTER).await;
                    break;
                }
            }
            if stop.is_cancelled() && self.held.load(Ordering::Relaxed) == 0 {
                return;
            }
        }
    }

    fn take(&self) -> Option<Vec<Answered>> {
        let mut queue = self.lock();
        let mut count = 0;
        let mut entries = 0;
        while entries < queue.len() && count < SETTLE_LIMIT {
            count += queue[entries].attempts.len();
            entries += 1;
        }
        let oldest_us = queue
            .front()
            .and_then(|a| a.attempts.first())
            .map(|a| a.at_us);
        let lag = oldest_us.map_or(0.0, |at| (now_us() - at) as f64 / 1e6);
        self.db.metrics().settle_lag.set(lag.max(0.0));
        (entries > 0).then(|| queue.drain(..entries).collect())
    }

    fn put_back(&self, batch: Vec<Answered>) {
        let mut queue = self.lock();
        for answered in batch.into_iter().rev() {
            queue.push_front(answered);
        }
    }

    async fn settle(&self, batch: &[Answered]) -> Result<(), StoreError> {
        let attempts = batch.iter().flat_map(|answered| &answered.attempts);
        insert(&self.db, attempts).await?;
        let count = batch.iter().map(|answered| answered.attempts.len()).sum();
        let held = self.held.fetch_sub(count, Ordering::Relaxed) - count;
        self.db.metrics().attempts_unsettled.set(held as i64);
        if let Err(error) = self.delete(batch).await {
            // A settler finds the entries, finds them settled and deletes them.
            tracing::debug!(error = %error, "settled entries left in their stream");
        }
        Ok(())
    }

    async fn delete(&self, batch: &[Answered]) -> Result<(), StoreError> {
        let mut by_stream = std::collections::HashMap::<&str, Vec<&str>>::new();
        for answered in batch {
            by_stream
                .entry(&answered.stream)
                .or_default()
                .push(&answered.entry);
        }
        for (stream, entries) in by_stream {
            let mut cmd = redis::cmd("XDEL");
            cmd.arg(stream).arg(entries);
            self.redis.run::<i64>("log", &cmd).await?;
        }
        Ok(())
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Answered>> {
        // A queue is whole between any two statements, so a panic elsewhere spoils nothing.
        self.answered
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner)
    }
}

/// Writes attempts to Postgres; those that are there stay as they are.
pub(crate) async fn insert<'a>(
    db: &Database,
    attempts: impl Iterator<Item = &'a Attempt> + Clone,
) -> Result<(), StoreError> {
    // Nearly always all of them are new: an attempt comes twice only after a time-out, or from a
    // stream whose owner was slow.
    let rows = rows(attempts.clone());
    let copied = db
        .run("log_attempts", |connection| {
            Box::pin(async move {
                let mut copy = connection
                    .copy_in_raw(include_str!("sql/copy_attempts.sql"))
                    .await?;
                copy.send(rows).await?;
                copy.finish().await.map(drop)
            })
        })
        .await;
    match copied {
        Err(StoreError::Postgres {
            source: sqlx::Error::Database(error),
            ..
        }) if error.is_unique_violation() => insert_new(db, attempts).await,
        done => done,
    }
}

/// Columns of `copy_attempts.sql`, and about how long a row is.
const COLUMNS: i16 = 8;
const ROW_BYTES: usize = 256;

fn rows<'a>(attempts: impl Iterator<Item = &'a Attempt>) -> Vec<u8> {
    let mut rows = Rows::new(COLUMNS, attempts.size_hint().0 * ROW_BYTES);
    for attempt in attempts {
        rows.row()
            .uuid(attempt.id)
            .time(attempt.at_us)
            .text_or_null(&attempt.sale)
            .text_or_null(&attempt.user)
            .text_or_null(&attempt.item)
            .text_or_null(&attempt.code)
            .text(&attempt.outcome)
            .text(&attempt.request_id);
    }
    rows.finish()
}

async fn insert_new<'a>(
    db: &Database,
    attempts: impl Iterator<Item = &'a Attempt>,
) -> Result<(), StoreError> {
    let mut ids = Vec::new();
    let mut times = Vec::new();
    let mut texts: [Vec<String>; 6] = Default::default();
    for attempt in attempts {
        ids.push(attempt.id);
        times.push(attempt.at_us);
        texts[0].push(attempt.sale.to_string());
        texts[1].push(attempt.user.clone());
        texts[2].push(attempt.item.clone());
        texts[3].push(attempt.code.clone());
        texts[4].push(attempt.outcome.clone());
        texts[5].push(attempt.request_id.clone());
    }
    let [sales, users, items, codes, outcomes, request_ids] = texts;
    db.run("log_attempts", |connection| {
        Box::pin(async move {
            sqlx::query(include_str!("sql/log_attempts.sql"))
                .bind(ids)
                .bind(times)
                .bind(sales)
                .bind(users)
                .bind(items)
                .bind(codes)
                .bind(outcomes)
                .bind(request_ids)
                .execute(connection)
                .await
                .map(drop)
        })
    })
    .await
}

/// Unix time in microseconds by this machine's clock.
pub(crate) fn now_us() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    i64::try_from(since.as_micros()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_line_reads_back_with_its_empty_fields() {
        let attempt = Attempt {
            id: Uuid::from_u64_pair(7, 8),
            at_us: 1_790_000_000_000_001,
            sale: "".into(),
            user: "ann".into(),
            item: String::new(),
            code: String::new(),
            outcome: "invalid_item_id".into(),
            request_id: "r-1".into(),
        };
        assert_eq!(Attempt::parse(&attempt.line()).unwrap(), attempt);
        assert!(Attempt::parse("1|2|3").is_err());
    }
}
