//! Everything that an operator does to a sale. All of it can be done again at any time, by a
//! second operator too.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::catalog::Catalog;
use crate::error::StoreError;
use crate::keys::{SaleKeys, refusals};
use crate::metrics::Metrics;
use crate::postgres::Database;
use crate::redis_cluster::{RELEASE, RedisCluster};
use crate::restore::{self, CloseWhen};
use crate::sale::{DEFAULT_PARTITIONS, FlashSaleName, Sale, SaleId};
use crate::sales::{self, Milestone, PAGE, SaleRecord};
use crate::settle::{GRACE, Settler};

/// What went wrong in an operation on a sale.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// A store failed; ask again later.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// There is no such sale in Postgres.
    #[error("sale {0}: expected one that was seeded, found none in Postgres")]
    UnknownSale(SaleId),
    /// Metrics could not be set up.
    #[error("metrics: {0}")]
    Metrics(#[from] prometheus::Error),
}

/// What seeding did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SeedReport {
    /// Items of the catalogue.
    pub items: u32,
    /// How long it took.
    pub took: Duration,
    /// Whether everything was there before.
    pub already_seeded: bool,
}

/// What [`Admin::keep_up`] found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct KeptUp {
    /// Redis had lost the sale, or a part of it, and has it again.
    pub rebuilt: bool,
    /// Entries of dead processes that were settled.
    pub settled_entries: usize,
}

/// What closing a sale did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Closed {
    /// It sells nothing any more.
    Closed {
        /// Items sold, as committed so far.
        sold: u32,
    },
    /// By the clock of Redis its window is still open: try again then.
    NotYet {
        /// For how long.
        open_for: Duration,
    },
}

/// How far the settling of a closed sale is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Settlement {
    /// Redis and Postgres agree item by item, and nothing waits. False: call again.
    pub settled: bool,
    /// Items sold, as committed.
    pub sold: u32,
}

/// A connection to the stores for operations on sales.
#[derive(Debug)]
pub struct Admin {
    db: Arc<Database>,
    redis: RedisCluster,
    settler: Settler,
}

impl Admin {
    /// Connects to both stores, within a bounded time.
    pub async fn connect(redis_url: &str, postgres_url: &str) -> Result<Self, AdminError> {
        let metrics = Arc::new(Metrics::new()?);
        let db = Arc::new(Database::connect(postgres_url, 4, metrics.clone()).await?);
        let redis = RedisCluster::connect(redis_url, metrics).await?;
        Ok(Self {
            settler: Settler::new(db.clone(), redis.clone()),
            db,
            redis,
        })
    }

    /// Writes the sale and its catalogue to Postgres, then to Redis, and registers it.
    pub async fn seed(&self, sale: &Sale, catalog: &Catalog) -> Result<SeedReport, AdminError> {
        let started = Instant::now();
        self.attempts_days(sale).await?;
        let in_postgres = sales::write(&self.db, sale, catalog).await?;
        // What was seeded first is what is sold, whatever the manifest says by now.
        let record = self.record(&sale.id).await?;
        let in_redis = in_postgres && restore::is_whole(&self.redis, &record.sale).await?;
        if !in_redis {
            self.redis.load_scripts().await?;
            restore::restore(&self.db, &self.redis, &record).await?;
        }
        sales::note(&self.db, &sale.id, Milestone::Seeded).await?;
        Ok(SeedReport {
            items: record.sale.items,
            took: started.elapsed(),
            already_seeded: in_redis,
        })
    }

    /// The newest 100 sales of a FlashSale, and all that are not retired; newest first.
    pub async fn observe(&self, flash_sale: &FlashSaleName) -> Result<Vec<SaleRecord>, AdminError> {
        Ok(sales::of_flash_sale(&self.db, flash_sale, 100).await?)
    }

    /// Rebuilds what Redis lost, and settles what dead processes left. Cheap when all is well.
    pub async fn keep_up(&self, id: &SaleId) -> Result<KeptUp, AdminError> {
        let record = self.record(id).await?;
        let whole = restore::is_whole(&self.redis, &record.sale).await?;
        if !whole {
            tracing::warn!(sale = %id, "Redis lost the sale: rebuilding it from Postgres");
            restore::restore(&self.db, &self.redis, &record).await?;
        }
        let settled_entries = self.settler.claims(id, GRACE).await?
            + self.settler.attempts(&record.sale, GRACE).await?;
        Ok(KeptUp {
            rebuilt: !whole,
            settled_entries,
        })
    }

    /// Why Redis is not fit for a sale, where it is not: a sentence that says what to do.
    pub async fn fault(&self) -> Result<Option<String>, AdminError> {
        Ok(self.redis.eviction_fault().await?)
    }

    /// Stops a sale that has ended, for good.
    pub async fn close(&self, id: &SaleId) -> Result<Closed, AdminError> {
        self.close_when(id, CloseWhen::Ended).await
    }

    /// Stops a sale before its end, for good.
    pub async fn stop(&self, id: &SaleId) -> Result<Closed, AdminError> {
        self.close_when(id, CloseWhen::Now).await
    }

    async fn close_when(&self, id: &SaleId, when: CloseWhen) -> Result<Closed, AdminError> {
        let record = self.record(id).await?;
        if let Some(open_for) = restore::close(&self.redis, &record.sale, when).await? {
            return Ok(Closed::NotYet { open_for });
        }
        sales::note(&self.db, id, Milestone::Closed).await?;
        Ok(Closed::Closed { sold: record.sold })
    }

    /// Commits what is left of a closed sale and compares Redis with Postgres, item by item.
    pub async fn settle(&self, id: &SaleId) -> Result<Settlement, AdminError> {
        let record = self.record(id).await?;
        if !restore::is_whole(&self.redis, &record.sale).await? {
            // Lost after its close: without its streams nothing could be said of it.
            tracing::warn!(sale = %id, "Redis lost the closed sale: rebuilding it from Postgres");
            restore::restore(&self.db, &self.redis, &record).await?;
        }
        let mut taken = self.settler.claims(id, GRACE).await?;
        taken += self.settler.attempts(&record.sale, GRACE).await?;
        let waiting = taken > 0 || self.waits(&record.sale).await?;
        let settled = !waiting && self.audit(&record).await?;
        if settled {
            sales::note(&self.db, id, Milestone::Settled).await?;
        }
        Ok(Settlement {
            settled,
            sold: self.record(id).await?.sold,
        })
    }

    /// Deletes a sale's keys in Redis; what it sold stays in Postgres.
    pub async fn retire(&self, id: &SaleId) -> Result<(), AdminError> {
        let record = self.record(id).await?;
        restore::forget(&self.redis, id, record.sale.partitions).await?;
        Ok(sales::note(&self.db, id, Milestone::Retired).await?)
    }

    /// Takes back a sale that was seeded and has not begun: it will not open. Answers whether
    /// it did; a sale that has begun goes on.
    pub async fn withdraw(&self, id: &SaleId) -> Result<bool, AdminError> {
        let Some(record) = sales::one(&self.db, id).await? else {
            restore::forget(&self.redis, id, DEFAULT_PARTITIONS).await?;
            return Ok(true);
        };
        // In this order a crash at any point leaves a sale that does not open and that the next
        // call takes back to the end: first nobody brings it back, then Redis forgets it.
        if !sales::unseed(&self.db, id).await? {
            return Ok(false);
        }
        restore::forget(&self.redis, id, record.sale.partitions).await?;
        sales::delete_unseeded(&self.db, id).await?;
        Ok(true)
    }

    /// Deletes what Redis holds of a FlashSale beside its sales: refused attempts, once what dead
    /// processes left of them is in Postgres. Who lives has its own in memory.
    pub async fn forget(&self, flash_sale: &FlashSaleName) -> Result<(), AdminError> {
        self.settler.refusals(flash_sale, GRACE).await?;
        let mut unlink = redis::cmd("UNLINK");
        unlink.arg(refusals(flash_sale));
        self.redis.run::<i64>("registry", &unlink).await?;
        Ok(())
    }

    /// Deletes what Postgres keeps of a FlashSale and of what it sold. Only for one whose sales are
    /// all retired: Redis must not hold what Postgres does not know.
    pub async fn delete_rows(&self, flash_sale: &FlashSaleName) -> Result<(), AdminError> {
        Ok(sales::delete_rows(&self.db, flash_sale).await?)
    }

    /// Makes the partitions of the coming days and drops those older than `keep_days`.
    pub async fn attempts_housekeeping(&self, keep_days: u32) -> Result<(), AdminError> {
        let keep_days = i32::try_from(keep_days).unwrap_or(i32::MAX);
        self.db
            .run_long("seed", move |connection| {
                Box::pin(async move {
                    sqlx::query("SELECT make_attempt_days((now() AT TIME ZONE 'UTC')::date, 3)")
                        .execute(&mut *connection)
                        .await?;
                    sqlx::query("SELECT drop_attempt_days((now() AT TIME ZONE 'UTC')::date - $1)")
                        .bind(keep_days)
                        .execute(connection)
                        .await
                        .map(drop)
                })
            })
            .await?;
        Ok(())
    }

    async fn attempts_days(&self, sale: &Sale) -> Result<(), StoreError> {
        let us = sale.window.starts_at.as_microsecond();
        self.db
            .run_long("seed", move |connection| {
                Box::pin(async move {
                    sqlx::query(
                        "SELECT make_attempt_days((('epoch'::timestamptz \
                         + $1::bigint * interval '1 microsecond') AT TIME ZONE 'UTC')::date, 2)",
                    )
                    .bind(us)
                    .execute(connection)
                    .await
                    .map(drop)
                })
            })
            .await
    }

    async fn record(&self, id: &SaleId) -> Result<SaleRecord, AdminError> {
        sales::one(&self.db, id)
            .await?
            .ok_or_else(|| AdminError::UnknownSale(id.clone()))
    }

    /// Whether a process still has claims or attempts on their way.
    async fn waits(&self, sale: &Sale) -> Result<bool, AdminError> {
        let mut cmd = redis::cmd("XPENDING");
        cmd.arg(SaleKeys::new(&sale.id).events)
            .arg(crate::settle::GROUP);
        let pending: Vec<redis::Value> = self.redis.run("settle", &cmd).await?;
        if !matches!(pending.first(), Some(redis::Value::Int(0)) | None) {
            return Ok(true);
        }
        for partition in 0..sale.partitions {
            let mut cmd = redis::cmd("XLEN");
            cmd.arg(crate::keys::PartitionKeys::new(&sale.id, partition).attempts);
            if self.redis.run::<i64>("settle", &cmd).await? > 0 {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Compares Redis with Postgres and puts Redis right. Answers whether they agreed.
    async fn audit(&self, record: &SaleRecord) -> Result<bool, AdminError> {
        let keys = SaleKeys::new(&record.sale.id);
        let in_postgres = self.sold_items(&record.sale.id).await?;
        let mut cmd = redis::cmd("GET");
        cmd.arg(&keys.sold);
        let bitmap: Option<Vec<u8>> = self.redis.run("settle", &cmd).await?;
        let in_redis = set_bits(&bitmap.unwrap_or_default());
        if in_redis == in_postgres {
            return Ok(true);
        }
        let lost: Vec<u32> = in_redis.difference(&in_postgres).copied().collect();
        tracing::warn!(
            sale = %record.sale.id,
            only_in_redis = lost.len(),
            only_in_postgres = in_postgres.difference(&in_redis).count(),
            "Redis and Postgres differ at the close: putting Redis right"
        );
        if !lost.is_empty() {
            let touched = [keys.meta.as_str(), &keys.sold];
            for chunk in lost.chunks(1_000) {
                self.redis
                    .eval::<i64>(&RELEASE, &touched, |cmd| {
                        cmd.arg(chunk);
                    })
                    .await?;
            }
        }
        restore::restore(&self.db, &self.redis, record).await?;
        Ok(false)
    }

    async fn sold_items(&self, id: &SaleId) -> Result<BTreeSet<u32>, StoreError> {
        let sql = include_str!("sql/sold_items.sql");
        let mut sold = BTreeSet::new();
        let mut from = 0;
        loop {
            let page: Vec<(i32,)> = sales::page(&self.db, "audit", sql, id, from).await?;
            sold.extend(page.iter().map(|(idx,)| idx.unsigned_abs()));
            match page.last() {
                Some((idx,)) if page.len() == PAGE => from = idx + 1,
                _ => return Ok(sold),
            }
        }
    }
}

/// The positions of the ones, as Redis counts them: from the highest bit of the first byte.
pub(crate) fn set_bits(bitmap: &[u8]) -> BTreeSet<u32> {
    let mut set = BTreeSet::new();
    for (byte, bits) in bitmap.iter().enumerate() {
        for bit in 0..8 {
            if bits & (0x80 >> bit) != 0 {
                set.insert(byte as u32 * 8 + bit);
            }
        }
    }
    set
}
