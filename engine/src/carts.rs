//! Carts: adding items, freezing a cart for its purchase, looking at one.
//!
//! Promises: what [`CartLanes::add`] answers is in the partition's attempts stream first.
//! A cart reserves nothing.

use std::sync::Arc;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use crate::attempts::{Answered, Attempt, AttemptLog};
use crate::batch::{Batcher, LaneLimits, SharedError};
use crate::code::{CheckoutCode, CodeTail};
use crate::error::StoreError;
use crate::ids::{ItemId, RequestId, UserId};
use crate::keys::PartitionKeys;
use crate::redis_cluster::{ADD, FREEZE, RedisCluster};
use crate::sale::{Sale, SaleId};

const LANE_LIMITS: LaneLimits = LaneLimits {
    batch: 64,
    queue: 4_096,
};

/// One item for one user's cart.
#[derive(Debug, Clone)]
pub struct AddRequest {
    /// Whose cart.
    pub user: UserId,
    /// The item, as the client named it.
    pub item: ItemId,
    /// The item's index in the catalogue.
    pub idx: u32,
    /// The request that asks.
    pub request_id: RequestId,
}

/// What became of an [`AddRequest`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AddOutcome {
    /// The item is in the cart now.
    Added,
    /// It was there before; it counts once.
    InCart,
    /// The cart holds as many as a checkout may.
    CartFull,
    /// The sale has not begun, or is over, by the clock of Redis.
    NotActive,
}

impl AddOutcome {
    /// The word in the log of attempts: the stable code of the refusal, where it is one.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::InCart => "in_cart",
            Self::CartFull => "cart_full",
            Self::NotActive => "sale_not_active",
        }
    }
}

/// The answer to an [`AddRequest`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Added {
    /// What became of it.
    pub outcome: AddOutcome,
    /// The code of the cart; none where the sale is not active.
    pub tail: Option<CodeTail>,
    /// Items in the cart.
    pub items_count: u32,
}

impl Added {
    /// Reads `<outcome>|<tail>|<count>` of `add.lua`.
    pub(crate) fn parse(text: &str) -> Result<Self, StoreError> {
        let bad = || StoreError::unexpected("answer of add.lua", "outcome|tail|count", text);
        let parts: Vec<&str> = text.split('|').collect();
        let [outcome, tail, count] = parts[..] else {
            return Err(bad());
        };
        Ok(Self {
            outcome: match outcome {
                "a" => AddOutcome::Added,
                "i" => AddOutcome::InCart,
                "f" => AddOutcome::CartFull,
                "n" => AddOutcome::NotActive,
                _ => return Err(bad()),
            },
            tail: CodeTail::parse(tail),
            items_count: count.parse().map_err(|_| bad())?,
        })
    }

    /// Completes the record of an attempt with what the script decided.
    pub(crate) fn complete(&self, attempt: &mut Attempt, sale: &SaleId, sale_text: &Arc<str>) {
        attempt.sale = sale_text.clone();
        attempt.outcome = self.outcome.as_str().to_owned();
        if let Some(tail) = &self.tail {
            attempt.code = CheckoutCode::format(sale, tail);
        }
    }
}

/// A cart that is being bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FrozenCart {
    /// Whose it is.
    pub user: String,
    /// Item indexes, comma separated, in the order in which they were added.
    pub items: String,
}

/// The lanes of all cart partitions of a sale.
#[derive(Debug)]
pub struct CartLanes {
    keys: Vec<PartitionKeys>,
    lanes: Vec<Batcher<AddRequest, Added>>,
    redis: RedisCluster,
}

impl CartLanes {
    /// Starts a lane for every partition.
    pub fn start(
        sale: &Sale,
        redis: &RedisCluster,
        log: &Arc<AttemptLog>,
        tasks: &TaskTracker,
        stop: &CancellationToken,
    ) -> Self {
        let keys: Vec<PartitionKeys> = (0..sale.partitions)
            .map(|partition| PartitionKeys::new(&sale.id, partition))
            .collect();
        let lanes = (0..sale.partitions)
            .map(|partition| {
                let lane = Arc::new(Lane::new(sale, partition, redis, log));
                Batcher::start("cart lane", LANE_LIMITS, tasks, stop, move |batch| {
                    let lane = lane.clone();
                    async move { lane.add(batch).await }
                })
            })
            .collect();
        Self {
            keys,
            lanes,
            redis: redis.clone(),
        }
    }

    /// Adds an item to a user's cart, which lives in `partition`.
    pub async fn add(&self, partition: u16, request: AddRequest) -> Result<Added, SharedError> {
        match self.lanes.get(usize::from(partition)) {
            Some(lane) => lane.ask(request).await,
            None => Err(Arc::new(StoreError::unexpected(
                "cart partition",
                "one that the sale has",
                partition,
            ))),
        }
    }

    /// Freezes the cart of a code; none for a code that Redis does not know.
    pub async fn freeze(&self, tail: &CodeTail) -> Result<Option<FrozenCart>, StoreError> {
        let Some(keys) = self.keys.get(usize::from(tail.partition())) else {
            return Ok(None);
        };
        let keys = [keys.meta.as_str(), &keys.carts, &keys.codes];
        let cart: Option<(String, String)> = self
            .redis
            .eval(&FREEZE, &keys, |cmd| {
                cmd.arg(tail.as_str());
            })
            .await?;
        Ok(cart.map(|(user, items)| FrozenCart { user, items }))
    }

    /// Looks at the cart of a code, open or frozen, without changing it.
    pub async fn peek(&self, tail: &CodeTail) -> Result<Option<FrozenCart>, StoreError> {
        // Between its two reads the cart may have been frozen; it never thaws.
        match self.peek_once(tail).await? {
            Some(cart) => Ok(Some(cart)),
            None => self.peek_once(tail).await,
        }
    }

    async fn peek_once(&self, tail: &CodeTail) -> Result<Option<FrozenCart>, StoreError> {
        let Some(keys) = self.keys.get(usize::from(tail.partition())) else {
            return Ok(None);
        };
        let get = |key: &str, field: &str| {
            let mut cmd = redis::cmd("HGET");
            cmd.arg(key).arg(field);
            cmd
        };
        let entry: Option<String> = self
            .redis
            .run("freeze", &get(&keys.codes, tail.as_str()))
            .await?;
        let Some(entry) = entry else {
            // A partition that Redis lost knows no code, which says nothing about this one.
            let mut ready = redis::cmd("HEXISTS");
            ready.arg(&keys.meta).arg("ready");
            let ready: bool = self.redis.run("freeze", &ready).await?;
            return if ready {
                Ok(None)
            } else {
                Err(StoreError::Unseeded)
            };
        };
        if let Some((user, items)) = entry.strip_prefix("f|").and_then(|f| f.split_once('|')) {
            let (user, items) = (user.to_owned(), items.to_owned());
            return Ok(Some(FrozenCart { user, items }));
        }
        let user = entry.trim_start_matches("o|").to_owned();
        let cart: Option<String> = self.redis.run("freeze", &get(&keys.carts, &user)).await?;
        let items = cart
            .as_deref()
            .and_then(|cart| cart.split_once('|'))
            .filter(|(open, _)| *open == tail.as_str())
            .map(|(_, items)| items.to_owned());
        Ok(items.map(|items| FrozenCart { user, items }))
    }
}

struct Lane {
    sale: SaleId,
    sale_text: Arc<str>,
    /// The stream names the sale; its entries need not.
    unsaid: Arc<str>,
    best_effort: bool,
    partition: u16,
    keys: PartitionKeys,
    stream: Arc<str>,
    redis: RedisCluster,
    log: Arc<AttemptLog>,
}

impl Lane {
    fn new(sale: &Sale, partition: u16, redis: &RedisCluster, log: &Arc<AttemptLog>) -> Self {
        let keys = PartitionKeys::new(&sale.id, partition);
        Self {
            sale: sale.id.clone(),
            sale_text: sale.id.as_str().into(),
            unsaid: "".into(),
            best_effort: sale.best_effort,
            partition,
            stream: keys.attempts.as_str().into(),
            keys,
            redis: redis.clone(),
            log: log.clone(),
        }
    }

    async fn add(&self, batch: Vec<AddRequest>) -> Result<Vec<Added>, StoreError> {
        let mut attempts = Vec::with_capacity(batch.len());
        let mut tails = Vec::with_capacity(batch.len());
        let mut lines = String::with_capacity(batch.len() * 128);
        for request in &batch {
            let attempt = self.log.draw(
                &self.unsaid,
                Some(&request.user),
                Some(&request.item),
                &request.request_id,
            );
            if !lines.is_empty() {
                lines.push('\n');
            }
            lines.push_str(&attempt.line());
            attempts.push(attempt);
            tails.push(CodeTail::generate(self.partition));
        }
        let dropped = self.best_effort && !self.log.has_room();
        if dropped {
            lines.clear();
            self.log.count_dropped(attempts.len());
        }
        let mut answer: Vec<String> = self
            .redis
            .eval(&ADD, &self.keys.all(), |cmd| {
                cmd.arg(&lines);
                for (request, tail) in batch.iter().zip(&tails) {
                    cmd.arg(request.user.as_str())
                        .arg(tail.as_str())
                        .arg(request.idx);
                }
            })
            .await?;
        if answer.len() != batch.len() + 1 {
            return Err(StoreError::unexpected(
                "answer of add.lua",
                "an entry id and an answer per attempt",
                answer,
            ));
        }
        let entry = answer.remove(0);
        let answers = answer
            .iter()
            .map(|text| Added::parse(text))
            .collect::<Result<Vec<_>, _>>()?;
        if !dropped {
            for (attempt, added) in attempts.iter_mut().zip(&answers) {
                added.complete(attempt, &self.sale, &self.sale_text);
            }
            self.log.keep(Answered {
                stream: self.stream.clone(),
                entry,
                attempts,
            });
        }
        Ok(answers)
    }
}
