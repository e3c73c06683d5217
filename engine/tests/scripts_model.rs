//! The scripts on a real redis-server against a plain model in memory: after every step of a
//! random story of carts, claims, repeats and repairs by many users both must agree.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use flashsale_engine::keys::{PartitionKeys, SaleKeys};
use flashsale_engine::metrics::Metrics;
use flashsale_engine::redis_cluster::{ADD, CLAIM, FREEZE, REPAIR, RedisCluster, SEED};
use flashsale_engine::sale::SaleId;
use proptest::prelude::*;

const ITEMS: u32 = 12;
const USERS: usize = 5;
const PER_USER: usize = 3;
const PER_CHECKOUT: usize = 4;
const TOTAL: usize = 9;

#[derive(Debug, Clone)]
enum Step {
    /// A user adds an item, or repeats the very call of the step before.
    Add {
        user: usize,
        item: u32,
    },
    RepeatAdd,
    /// Some code, known or not, is frozen, and perhaps claimed.
    Freeze {
        code: usize,
    },
    Claim {
        code: usize,
    },
    /// Two codes are claimed in one call.
    ClaimTwo {
        first: usize,
        second: usize,
    },
    /// Postgres says that a code did not get its first item: another one has it, or nobody.
    Repair {
        code: usize,
        nobody: bool,
    },
}

fn step() -> impl Strategy<Value = Step> {
    let code = 0..40_usize;
    prop_oneof![
        6 => (0..USERS, 0..ITEMS).prop_map(|(user, item)| Step::Add { user, item }),
        1 => Just(Step::RepeatAdd),
        2 => code.clone().prop_map(|code| Step::Freeze { code }),
        3 => code.clone().prop_map(|code| Step::Claim { code }),
        1 => (code.clone(), code.clone()).prop_map(|(first, second)| Step::ClaimTwo { first, second }),
        1 => (code, any::<bool>()).prop_map(|(code, nobody)| Step::Repair { code, nobody }),
    ]
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Got {
    Sold { user_slot: usize, sale_slot: usize },
    AlreadySold,
    Limit,
}

/// What a careful person with pen and paper would keep.
#[derive(Debug, Default)]
struct Model {
    /// Open carts: user to code and items.
    open: BTreeMap<String, (String, Vec<u32>)>,
    /// Frozen carts: code to user and items.
    frozen: BTreeMap<String, (String, Vec<u32>)>,
    sold: BTreeMap<u32, ()>,
    slots: BTreeMap<String, Vec<bool>>,
    outcomes: BTreeMap<String, (String, Vec<(u32, Got)>)>,
    given_back: VecDeque<usize>,
    next_slot: usize,
    codes: Vec<String>,
}

impl Model {
    fn add(&mut self, user: &str, new_code: &str, item: u32) -> String {
        if !self.open.contains_key(user) {
            if let Some((_, items)) = self.frozen.get(new_code) {
                return format!("i|{new_code}|{}", items.len());
            }
            self.open
                .insert(user.to_owned(), (new_code.to_owned(), vec![item]));
            self.codes.push(new_code.to_owned());
            return format!("a|{new_code}|1");
        }
        let (code, items) = self.open.get_mut(user).unwrap();
        if items.contains(&item) {
            return format!("i|{code}|{}", items.len());
        }
        if items.len() >= PER_CHECKOUT {
            return format!("f|{code}|{}", items.len());
        }
        items.push(item);
        format!("a|{code}|{}", items.len())
    }

    fn freeze(&mut self, code: &str) -> Option<(String, Vec<u32>)> {
        let owner = self.open.iter().find(|(_, (c, _))| c == code);
        if let Some(user) = owner.map(|(user, _)| user.clone()) {
            let (_, items) = self.open.remove(&user).unwrap();
            self.frozen.insert(code.to_owned(), (user, items));
        }
        self.frozen.get(code).cloned()
    }

    fn claim(&mut self, code: &str, user: &str, items: &[u32]) -> Vec<(u32, Got)> {
        if let Some((_, outcome)) = self.outcomes.get(code) {
            return outcome.clone();
        }
        let mut outcome = Vec::new();
        for item in items {
            let slots = self.slots.entry(user.to_owned()).or_default();
            let free = slots.iter().position(|taken| !taken).unwrap_or(slots.len());
            let got = if self.sold.contains_key(item) {
                Got::AlreadySold
            } else if free >= PER_USER || self.sold.len() >= TOTAL {
                Got::Limit
            } else {
                if free == slots.len() {
                    slots.push(true);
                } else {
                    slots[free] = true;
                }
                self.sold.insert(*item, ());
                let sale_slot = self.given_back.pop_front().unwrap_or_else(|| {
                    self.next_slot += 1;
                    self.next_slot
                });
                Got::Sold {
                    user_slot: free + 1,
                    sale_slot,
                }
            };
            outcome.push((*item, got));
        }
        self.outcomes
            .insert(code.to_owned(), (user.to_owned(), outcome.clone()));
        outcome
    }

    /// Takes the first sold item from a code; answers what a repair has to tell Redis.
    fn take_away(&mut self, code: &str, nobody: bool) -> Option<Vec<(u32, Got)>> {
        let (user, outcome) = self.outcomes.get_mut(code)?;
        let place = outcome
            .iter()
            .position(|(_, got)| matches!(got, Got::Sold { .. }))?;
        let (item, got) = outcome[place].clone();
        let Got::Sold {
            user_slot,
            sale_slot,
        } = got
        else {
            return None;
        };
        self.slots.get_mut(user).unwrap()[user_slot - 1] = false;
        self.given_back.push_back(sale_slot);
        if nobody {
            self.sold.remove(&item);
        }
        outcome[place].1 = if nobody { Got::Limit } else { Got::AlreadySold };
        Some(outcome.clone())
    }
}

fn text(outcome: &[(u32, Got)]) -> String {
    let word = |(item, got): &(u32, Got)| match got {
        Got::Sold {
            user_slot,
            sale_slot,
        } => format!("{item}:s:{user_slot}:{sale_slot}"),
        Got::AlreadySold => format!("{item}:a"),
        Got::Limit => format!("{item}:l"),
    };
    outcome.iter().map(word).collect::<Vec<_>>().join(",")
}

fn join(items: &[u32]) -> String {
    items
        .iter()
        .map(u32::to_string)
        .collect::<Vec<_>>()
        .join(",")
}

struct Real {
    redis: RedisCluster,
    sale: SaleKeys,
    partition: PartitionKeys,
}

impl Real {
    async fn seeded(redis: &RedisCluster, id: &SaleId) -> Self {
        let (sale, partition) = (SaleKeys::new(id), PartitionKeys::new(id, 0));
        for meta in [&sale.meta, &partition.meta] {
            let fields = [
                ("starts_ms", "0".to_owned()),
                ("ends_ms", "99999999999999".to_owned()),
                ("per_user", PER_USER.to_string()),
                ("per_checkout", PER_CHECKOUT.to_string()),
                ("total", TOTAL.to_string()),
                ("numbered", "1".to_owned()),
            ];
            redis
                .eval::<i64>(&SEED, &[meta], |cmd| {
                    cmd.arg("epoch");
                    for (field, value) in &fields {
                        cmd.arg(field).arg(value);
                    }
                })
                .await
                .unwrap();
        }
        Self {
            redis: redis.clone(),
            sale,
            partition,
        }
    }

    async fn add(&self, user: &str, code: &str, item: u32) -> String {
        let answer: Vec<String> = self
            .redis
            .eval(&ADD, &self.partition.all(), |cmd| {
                cmd.arg("batch").arg(user).arg(code).arg(item);
            })
            .await
            .unwrap();
        answer[1].clone()
    }

    async fn freeze(&self, code: &str) -> Option<(String, Vec<u32>)> {
        let keys = [
            self.partition.meta.as_str(),
            &self.partition.carts,
            &self.partition.codes,
        ];
        let cart: Option<(String, String)> = self
            .redis
            .eval(&FREEZE, &keys, |cmd| {
                cmd.arg(code);
            })
            .await
            .unwrap();
        cart.map(|(user, items)| (user, items.split(',').map(|n| n.parse().unwrap()).collect()))
    }

    /// Claims carts in one call; answers the results of each.
    async fn claim(&self, carts: &[(String, String, Vec<u32>)]) -> Vec<String> {
        let answer: Vec<String> = self
            .redis
            .eval(&CLAIM, &self.sale.all(), |cmd| {
                for (code, user, items) in carts {
                    cmd.arg(code).arg(user).arg("request").arg(join(items));
                }
            })
            .await
            .unwrap();
        let results = |text: &String| text.rsplit_once('|').unwrap().1.to_owned();
        answer[1..].iter().map(results).collect()
    }

    async fn repair(&self, model: &Model, code: &str, truth: &[(u32, Got)]) {
        let (user, _) = &model.outcomes[code];
        let slots: String = model.slots[user]
            .iter()
            .map(|t| if *t { '1' } else { '0' })
            .collect();
        let (sold, free): (Vec<u32>, Vec<u32>) = truth
            .iter()
            .map(|(item, _)| *item)
            .partition(|item| model.sold.contains_key(item));
        let given_back = model.given_back.back().unwrap();
        let arguments = [
            code.to_owned(),
            format!("{user}|request|1|{}", text(truth)),
            user.clone(),
            slots,
            join(&sold),
            join(&free),
            given_back.to_string(),
            "0".to_owned(),
        ];
        // Twice: the second time must change nothing.
        for expected in [1, 0] {
            let repaired: i64 = self
                .redis
                .eval(&REPAIR, &self.sale.all(), |cmd| {
                    cmd.arg(&arguments);
                })
                .await
                .unwrap();
            assert_eq!(repaired, expected);
        }
    }

    /// Everything that is visible of the sale's slot must be as the model has it.
    async fn agrees(&self, model: &Model) {
        let command = |name: &str, key: &str| {
            let mut cmd = redis::cmd(name);
            cmd.arg(key);
            cmd
        };
        let bitmap: Option<Vec<u8>> = self
            .redis
            .run("feed", &command("GET", &self.sale.sold))
            .await
            .unwrap();
        let bitmap = bitmap.unwrap_or_default();
        let bit = |n: u32| {
            bitmap
                .get(n as usize / 8)
                .is_some_and(|b| b & (0x80 >> (n % 8)) != 0)
        };
        let sold: Vec<u32> = (0..ITEMS).filter(|n| bit(*n)).collect();
        assert_eq!(
            sold,
            model.sold.keys().copied().collect::<Vec<_>>(),
            "sold items"
        );

        let bought: BTreeMap<String, String> = self
            .redis
            .run("feed", &command("HGETALL", &self.sale.bought))
            .await
            .unwrap();
        for (user, slots) in &model.slots {
            let taken = slots.iter().filter(|taken| **taken).count();
            let in_redis = bought.get(user).map_or(0, |text| text.matches('1').count());
            assert_eq!(in_redis, taken, "slots of {user}");
            assert!(taken <= PER_USER);
        }
        assert!(model.sold.len() <= TOTAL);
        let mut cmd = redis::cmd("HGET");
        cmd.arg(&self.sale.meta).arg("sold");
        let count: Option<usize> = self.redis.run("feed", &cmd).await.unwrap();
        assert_eq!(count.unwrap_or(0), model.sold.len(), "count of sold items");
    }
}

async fn play(redis: &RedisCluster, steps: &[Step]) {
    // Every story has a sale of its own: the label is drawn, the keys stay apart.
    let id: SaleId = format!("shop.m{:016x}.20261123T0800Z", rand::random::<u64>())
        .parse()
        .unwrap();
    let real = Real::seeded(redis, &id).await;
    let mut model = Model::default();
    let mut last_add: Option<(String, String, u32)> = None;
    for (n, step) in steps.iter().enumerate() {
        let code_of = |model: &Model, code: usize| match model.codes.len() {
            0 => "nobody-knows".to_owned(),
            len => model
                .codes
                .get(code % (len + 1))
                .cloned()
                .unwrap_or("nobody-knows".to_owned()),
        };
        match step {
            Step::Add { user, item } => {
                last_add = Some((format!("user-{user}"), format!("code-{n}"), *item));
                let (user, code, item) = last_add.clone().unwrap();
                assert_eq!(
                    real.add(&user, &code, item).await,
                    model.add(&user, &code, item)
                );
            }
            Step::RepeatAdd => {
                if let Some((user, code, item)) = &last_add {
                    assert_eq!(
                        real.add(user, code, *item).await,
                        model.add(user, code, *item)
                    );
                }
            }
            Step::Freeze { code } => {
                let code = code_of(&model, *code);
                assert_eq!(real.freeze(&code).await, model.freeze(&code));
            }
            Step::Claim { code } => claim(&real, &mut model, &[*code]).await,
            Step::ClaimTwo { first, second } => claim(&real, &mut model, &[*first, *second]).await,
            Step::Repair { code, nobody } => {
                let code = code_of(&model, *code);
                if let Some(truth) = model.take_away(&code, *nobody) {
                    real.repair(&model, &code, &truth).await;
                }
            }
        }
        real.agrees(&model).await;
    }
}

async fn claim(real: &Real, model: &mut Model, codes: &[usize]) {
    let mut carts = Vec::new();
    for code in codes {
        let Some(code) = model.codes.get(code % model.codes.len().max(1)).cloned() else {
            continue;
        };
        let (user, items) = model.freeze(&code).unwrap();
        assert_eq!(
            real.freeze(&code).await,
            Some((user.clone(), items.clone()))
        );
        carts.push((code, user, items));
    }
    if carts.is_empty() {
        return;
    }
    let expected: Vec<String> = carts
        .iter()
        .map(|(code, user, items)| text(&model.claim(code, user, items)))
        .collect();
    assert_eq!(real.claim(&carts).await, expected);
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let server = flashsale_servers::RedisCluster::single().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let redis = runtime
        .block_on(RedisCluster::connect(&server.url(), metrics))
        .unwrap();
    let config = ProptestConfig {
        cases: 96,
        failure_persistence: None,
        ..ProptestConfig::default()
    };
    proptest!(config, |(steps in proptest::collection::vec(step(), 1..80))| {
        runtime.block_on(play(&redis, &steps));
    });
}
