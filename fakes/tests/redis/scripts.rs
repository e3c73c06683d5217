//! The shipped scripts in random sequences: every reply and all that is stored at the end is the
//! same on the fake and on the server.

use std::sync::atomic::{AtomicU32, Ordering};

use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{BackendError, RedisCluster};
use flashsale_fakes::FakeRedis;
use jiff::Timestamp;
use proptest::prelude::*;
use redis::Value;

use crate::support::{contents, hide_masters, hide_times, play, run_sequences, show};

const ITEMS: u32 = 8;
/// What divides the fields of a stored text.
const SEPARATOR: &str = "\u{1f}";

/// The text of a shipped script.
macro_rules! shipped {
    ($name:literal) => {
        include_str!(concat!("../../../engine/src/redis/scripts/", $name, ".lua"))
    };
}

/// The text of a shipped script that writes or reads texts of the stored format.
macro_rules! formatted {
    ($name:literal) => {
        format!("{CODEC}\n{}", shipped!($name))
    };
}

/// The text of a shipped script of a cart partition.
macro_rules! of_partition {
    ($name:literal) => {
        format!("{CODEC}\n{PARTITION}\n{}", shipped!($name))
    };
}

const PARTITION: &str = shipped!("partition");
const CODEC: &str = include_str!("../../../engine/src/redis/codec/v1.lua");

/// One call of a script, by what it means.
#[derive(Debug, Clone)]
enum Step {
    Update {
        attempts: Vec<(u8, u8, u32)>,
        freezes: Vec<u8>,
        logged: bool,
    },
    Claim {
        carts: Vec<(u8, u8, Vec<u32>)>,
    },
    Correct(Correction),
    ReadCart {
        code: u8,
    },
    CheckWhole,
    /// Another master than before holds the partition.
    Promote,
    RestoreCarts {
        code: u8,
        user: u8,
        items: Vec<u32>,
        kind: char,
    },
    MarkWhole,
    RestorePurchases {
        rows: Vec<(u32, u8, u32, u32)>,
    },
    Release {
        items: Vec<u32>,
    },
    Close {
        now: bool,
    },
    Snapshot,
    ReadBuyers,
    MarkReady,
    Lose,
}

#[derive(Debug, Clone)]
struct Correction {
    code: u8,
    user: u8,
    slots: u8,
    sold: Vec<u32>,
    released: Vec<u32>,
    sale_slot: u32,
}

impl Correction {
    fn argv(&self) -> Vec<String> {
        let released = self.released.iter().filter(|idx| !self.sold.contains(idx));
        let released: Vec<u32> = released.copied().collect();
        let (user, sale_slot) = (user_of(self.user), self.sale_slot.to_string());
        let results = format!("{}:s:1:1", self.sold[0]);
        let outcome = [user.as_str(), "request", "1790000000000", &results].join(SEPARATOR);
        vec![
            suffix(self.code),
            outcome,
            user,
            format!("{:03b}", self.slots),
            join(&self.sold),
            join(&released),
            sale_slot.clone(),
            sale_slot,
        ]
    }
}

/// A call of a script.
struct Call {
    script: String,
    keys: Vec<String>,
    argv: Vec<String>,
}

impl Call {
    fn of(script: &str, keys: &[String], argv: Vec<String>) -> Self {
        Self {
            script: script.to_owned(),
            keys: keys.to_vec(),
            argv,
        }
    }
}

fn step() -> impl Strategy<Value = Step> {
    let (user, code, item) = (0..3_u8, 0..6_u8, 0..ITEMS);
    let items = prop::collection::vec(item.clone(), 1..4);
    let attempts = prop::collection::vec((user.clone(), code.clone(), item.clone()), 0..4);
    let freezes = prop::collection::vec(code.clone(), 0..3);
    let cart = (code.clone(), user.clone(), items.clone());
    let purchase = (item, user.clone(), 1..4_u32, 0..4_u32);
    prop_oneof![
        11 => (attempts, freezes, any::<bool>()).prop_map(
            |(attempts, freezes, logged)| Step::Update { attempts, freezes, logged }),
        6 => prop::collection::vec(cart, 1..3).prop_map(|carts| Step::Claim { carts }),
        2 => (code.clone(), user.clone(), 0..8_u8, items.clone(), items.clone(), 0..4_u32).prop_map(
            |(code, user, slots, sold, released, sale_slot)| Step::Correct(Correction {
                code, user, slots, sold, released, sale_slot,
            })
        ),
        2 => code.clone().prop_map(|code| Step::ReadCart { code }),
        1 => Just(Step::CheckWhole),
        1 => Just(Step::Promote),
        3 => (code, user, items.clone(), prop::sample::select(vec!['o', 'e', 'd'])).prop_map(
            |(code, user, items, kind)| Step::RestoreCarts { code, user, items, kind }
        ),
        3 => Just(Step::MarkWhole),
        1 => prop::collection::vec(purchase, 1..3).prop_map(|rows| Step::RestorePurchases { rows }),
        1 => items.prop_map(|items| Step::Release { items }),
        1 => prop::bool::weighted(0.2).prop_map(|now| Step::Close { now }),
        3 => Just(Step::Snapshot),
        2 => Just(Step::ReadBuyers),
        1 => Just(Step::MarkReady),
        1 => Just(Step::Lose),
    ]
}

/// A sale of one cart partition under a hash tag of its own.
struct Played {
    tag: String,
    starts_ms: i64,
}

impl Played {
    fn sale_keys(&self) -> Vec<String> {
        let names = ["meta", "sold", "bought", "outcomes", "events", "free_slots"];
        names
            .map(|name| format!("{{{}}}:{name}", self.tag))
            .to_vec()
    }

    fn partition_keys(&self) -> Vec<String> {
        let names = ["meta", "carts", "codes", "attempts"];
        names
            .map(|name| format!("{{{}#0}}:{name}", self.tag))
            .to_vec()
    }

    async fn eval(&self, redis: &impl Redis, call: Call) -> String {
        hide_masters(&show(&self.run(redis, call).await))
    }

    async fn run(&self, redis: &impl Redis, call: Call) -> Result<Value, BackendError> {
        let mut command = redis::cmd("EVAL");
        command.arg(call.script).arg(call.keys.len());
        command.arg(&call.keys).arg(&call.argv);
        redis.call("test", &call.keys[0], &command).await
    }

    /// Marks the carts as whole on the master that the server says it is.
    async fn mark_whole(&self, redis: &impl Redis) -> String {
        let meta = &self.partition_keys()[..1];
        let check = Call::of(&of_partition!("check_whole"), meta, vec![]);
        let checked = self.run(redis, check).await.unwrap();
        let (master, _): (String, u8) = redis::from_redis_value(checked).unwrap();
        let mark = Call::of(&of_partition!("mark_whole"), meta, vec![master]);
        self.eval(redis, mark).await
    }

    async fn mark_ready(&self, redis: &impl Redis) -> String {
        let (starts, ends) = (self.starts_ms, self.starts_ms + 3_600_000);
        let fields = format!(
            "epoch-1 1  starts_ms {starts} ends_ms {ends} per_user 2 per_checkout 3 total 5 \
             numbered 1"
        );
        let mut replies = String::new();
        for keys in [self.sale_keys(), self.partition_keys()] {
            let argv = fields.split(' ').map(str::to_owned).collect();
            let call = Call::of(shipped!("mark_ready"), &keys[..1], argv);
            replies += &self.eval(redis, call).await;
        }
        replies
    }

    /// The call of a step on the partition's keys.
    fn cart_call(&self, step: &Step) -> Option<Call> {
        let keys = self.partition_keys();
        match step {
            Step::Update {
                attempts,
                freezes,
                logged,
            } => {
                let requests = if *logged { "batch" } else { "" };
                let mut argv = vec![requests.to_owned(), attempts.len().to_string()];
                for (user, code, item) in attempts {
                    argv.extend([user_of(*user), suffix(*code), item.to_string()]);
                }
                argv.extend(freezes.iter().map(|code| suffix(*code)));
                Some(Call::of(&of_partition!("update_carts"), &keys, argv))
            }
            Step::ReadCart { code } => {
                let argv = vec![suffix(*code)];
                Some(Call::of(&of_partition!("read_cart"), &keys[..3], argv))
            }
            Step::CheckWhole => Some(Call::of(&of_partition!("check_whole"), &keys[..1], vec![])),
            Step::RestoreCarts {
                code,
                user,
                items,
                kind,
            } => {
                let argv = vec![suffix(*code), user_of(*user), join(items), kind.to_string()];
                Some(Call::of(&of_partition!("restore_carts"), &keys[..3], argv))
            }
            _ => None,
        }
    }

    /// The call of a step on the sale's keys.
    fn sale_call(&self, step: &Step) -> Option<Call> {
        let keys = self.sale_keys();
        match step {
            Step::Claim { carts } => {
                let cart = |(code, user, items): &(u8, u8, Vec<u32>)| {
                    [
                        suffix(*code),
                        user_of(*user),
                        "request".to_owned(),
                        join(items),
                    ]
                };
                let argv = carts.iter().flat_map(cart).collect();
                Some(Call::of(&formatted!("claim"), &keys, argv))
            }
            Step::Correct(correction) => {
                Some(Call::of(&formatted!("correct"), &keys, correction.argv()))
            }
            Step::RestorePurchases { rows } => {
                let next = rows.iter().map(|(_, _, _, sale_slot)| sale_slot + 1).max();
                let mut argv = vec![next.unwrap_or(1).to_string(), rows.len().to_string()];
                argv.extend(rows.iter().map(|(idx, ..)| idx.to_string()));
                for (_, user, user_slot, _) in rows {
                    let slots = format!("{:0>1$}", 1, *user_slot as usize);
                    argv.extend([user_of(*user), slots]);
                }
                Some(Call::of(shipped!("restore_purchases"), &keys[..3], argv))
            }
            Step::Release { items } => {
                let argv = items.iter().map(u32::to_string).collect();
                Some(Call::of(shipped!("release"), &keys[..2], argv))
            }
            Step::Close { now } => {
                let argv = vec![if *now { "now" } else { "ended" }.to_owned()];
                Some(Call::of(shipped!("close"), &keys[..1], argv))
            }
            Step::Snapshot => Some(Call::of(shipped!("snapshot"), &keys[..2], vec![])),
            Step::ReadBuyers => {
                let keys = [keys[0].clone(), keys[2].clone()];
                let argv = vec!["0".to_owned(), "1000".to_owned()];
                Some(Call::of(shipped!("read_buyers"), &keys, argv))
            }
            _ => None,
        }
    }

    async fn play(&self, redis: &impl Redis, step: &Step) -> String {
        if let Some(call) = self.cart_call(step).or_else(|| self.sale_call(step)) {
            let reply = self.eval(redis, call).await;
            // How long the window is still open depends on the moment of the call.
            let is_open = matches!(step, Step::Close { .. }) && reply != "int(0)";
            return if is_open { "open".to_owned() } else { reply };
        }
        match step {
            Step::Lose => {
                let [meta, sold, ..] = &self.sale_keys()[..] else {
                    unreachable!("there are six keys");
                };
                play(redis, &format!("UNLINK {meta} {sold}")).await
            }
            Step::Promote => {
                let meta = &self.partition_keys()[0];
                play(redis, &format!("HSET {meta} master other")).await
            }
            Step::MarkWhole => self.mark_whole(redis).await,
            _ => self.mark_ready(redis).await,
        }
    }

    /// What each key holds; the id of the last event is that of an event.
    async fn contents(&self, redis: &impl Redis) -> Vec<String> {
        let last_id = play(redis, &format!("HGET {{{}}}:meta last_id", self.tag)).await;
        let events = play(redis, &format!("XRANGE {{{}}}:events - +", self.tag)).await;
        assert!(
            last_id == "nil" || events.contains(&last_id),
            "{last_id} {events}"
        );
        let mut all = Vec::new();
        for key in self.sale_keys().into_iter().chain(self.partition_keys()) {
            all.push(format!(
                "{key}: {}",
                hide_masters(&contents(redis, &key).await)
            ));
        }
        all
    }
}

fn user_of(user: u8) -> String {
    format!("user-{user}")
}

fn suffix(code: u8) -> String {
    format!("code{code}")
}

fn join(items: &[u32]) -> String {
    let items: Vec<String> = items.iter().map(u32::to_string).collect();
    items.join(",")
}

/// Plays the steps on both, in turn.
async fn compare(fake: &FakeRedis, real: &RedisCluster, steps: &[Step]) {
    static PLAYED: AtomicU32 = AtomicU32::new(0);
    let played = Played {
        tag: format!("scripts-{}", PLAYED.fetch_add(1, Ordering::Relaxed)),
        starts_ms: Timestamp::now().as_millisecond() - 60_000,
    };
    // What no step made ready first refuses.
    let first = [Step::Snapshot, Step::MarkReady];
    for step in first.iter().chain(steps) {
        let fake_reply = hide_times(&played.play(fake, step).await);
        let real_reply = hide_times(&played.play(real, step).await);
        assert_eq!(
            fake_reply, real_reply,
            "{step:?}: left is the fake, right the server"
        );
    }
    let stored = played
        .contents(fake)
        .await
        .into_iter()
        .zip(played.contents(real).await);
    for (fake_key, real_key) in stored {
        assert_eq!(hide_times(&fake_key), hide_times(&real_key));
    }
}

#[test]
fn shipped_scripts_reply_and_store_as_on_the_server_in_random_sequences() {
    let sequences = prop::collection::vec(step(), 1..40);
    run_sequences(64, &sequences, |(fake, real), steps| {
        Box::pin(compare(fake, real, steps))
    });
}
