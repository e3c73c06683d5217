//! The scripts on a real redis-server against a plain model in memory: after every step of a
//! random sequence of carts, claims, repeats and corrections by many users both must agree.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod model;

use flashsale_servers::RedisCluster as Server;
use jiff::Timestamp;
use proptest::prelude::*;
use std::collections::BTreeMap;

use crate::domain::cart::{Added, Cart};
use crate::domain::certificates::Certificates;
use crate::domain::code::CodeSuffix;
use crate::domain::ids::RequestId;
use crate::domain::outcome::{ItemOutcome, ItemResult, Outcome};
use crate::domain::sale::{CURRENT_FORMAT, Limits, Sale, SaleId, Window};
use crate::observability::Ambient;
use crate::redis::cluster::RedisCluster;
use crate::redis::codec::{ClaimDecision, Format};
use crate::redis::commands::call;
use crate::redis::keys::{PartitionKeys, SaleKeys};
use crate::redis::sale_state;
use crate::redis::scripts::claim::{ClaimRequest, claim as claim_script};
use crate::redis::scripts::correct::{Correction, correct};
use crate::redis::scripts::mark_ready::{Carts, mark_partition_ready, mark_sale_ready};
use crate::redis::scripts::update_carts::{Add, CartUpdates, update_carts};

use model::{Got, Model};

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
    Correct {
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
        1 => (code, any::<bool>()).prop_map(|(code, nobody)| Step::Correct { code, nobody }),
    ]
}

fn results(outcome: &[(u32, Got)]) -> Vec<ItemResult> {
    let result = |(idx, got): &(u32, Got)| ItemResult {
        idx: *idx,
        outcome: match got {
            Got::Sold {
                user_slot,
                sale_slot,
            } => ItemOutcome::Sold {
                user_slot: *user_slot as u32,
                sale_slot: *sale_slot as u32,
            },
            Got::AlreadySold => ItemOutcome::AlreadySold,
            Got::Limit => ItemOutcome::LimitReached,
        },
    };
    outcome.iter().map(result).collect()
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
        let format = Format::CURRENT;
        let keys = SaleKeys::new(id, format);
        let partition = PartitionKeys::of_sale(id, 1, format).next().unwrap();
        let sale = Sale {
            id: id.clone(),
            window: Window {
                starts_at: Timestamp::UNIX_EPOCH,
                ends_at: "2999-01-01T00:00:00Z".parse().unwrap(),
            },
            limits: Limits {
                per_user: PER_USER as u32,
                per_checkout: PER_CHECKOUT as u32,
                total: TOTAL as u32,
            },
            items: ITEMS,
            partitions: 1,
            best_effort: false,
            format: CURRENT_FORMAT,
        };
        mark_sale_ready(redis, &keys, &sale, "epoch").await.unwrap();
        mark_partition_ready(redis, &partition, &sale, "epoch", Carts::Whole)
            .await
            .unwrap();
        Self {
            redis: redis.clone(),
            sale: keys,
            partition,
        }
    }

    async fn add(&self, user: &str, code: CodeSuffix, item: u32) -> Added {
        let batch = [Add {
            user,
            new_suffix: code,
            idx: item,
        }];
        let updates = CartUpdates {
            requests: "batch",
            adds: &batch,
            freezes: &[],
        };
        let updated = update_carts(&self.redis, &self.partition, &updates).await;
        updated.unwrap().added.remove(0)
    }

    async fn freeze(&self, code: CodeSuffix) -> Option<(String, Vec<u32>)> {
        let updates = CartUpdates {
            requests: "",
            adds: &[],
            freezes: &[code],
        };
        let updated = update_carts(&self.redis, &self.partition, &updates).await;
        let cart = updated.unwrap().frozen.remove(0);
        cart.map(|cart| (cart.user.clone(), cart.indexes().collect()))
    }

    /// Claims carts in one call; returns the results of each.
    async fn claim(&self, carts: &[(CodeSuffix, String, Vec<u32>)]) -> Vec<Vec<ItemResult>> {
        let request = |(code, user, items): &(CodeSuffix, String, Vec<u32>)| ClaimRequest {
            suffix: *code,
            cart: Cart {
                user: user.clone(),
                items: join(items),
            },
            request_id: RequestId::parse("request").unwrap(),
        };
        let batch: Vec<ClaimRequest> = carts.iter().map(request).collect();
        let decisions = claim_script(&self.redis, &self.sale, &batch).await.unwrap();
        let results = |decision| match decision {
            ClaimDecision::Decided { outcome, .. } => outcome.results,
            ClaimDecision::NotActive => panic!("the sale is open"),
        };
        decisions.into_iter().map(results).collect()
    }

    async fn correct(&self, model: &Model, code: CodeSuffix, truth: &[(u32, Got)]) {
        let (user, _) = &model.outcomes[&code];
        let user_slots: String = model.slots[user]
            .iter()
            .map(|t| if *t { '1' } else { '0' })
            .collect();
        let (sold, free): (Vec<u32>, Vec<u32>) = truth
            .iter()
            .map(|(item, _)| *item)
            .partition(|item| model.sold.contains_key(item));
        let outcome = Outcome {
            user: user.clone(),
            request_id: "request".to_owned(),
            at_ms: 1,
            results: results(truth),
        };
        let correction = Correction {
            suffix: code,
            outcome: &outcome,
            user_slots: &user_slots,
            sold: &sold,
            free: &free,
            free_sale_slots: &[*model.given_back.back().unwrap() as u32],
            highest_sale_slot: 0,
        };
        // Twice: the second time must change nothing.
        for expected in [true, false] {
            let corrected = correct(&self.redis, &self.sale, &correction).await.unwrap();
            assert_eq!(corrected, expected);
        }
    }

    /// Everything that is visible of the sale's slot must be as the model has it.
    async fn agrees(&self, model: &Model) {
        let bitmap = sale_state::sold_bitmap(&self.redis, &self.sale)
            .await
            .unwrap();
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

        let mut command = redis::cmd("HGETALL");
        command.arg(&self.sale.bought);
        let bought: BTreeMap<String, String> =
            call(&self.redis, "feed", &self.sale.bought, &command)
                .await
                .unwrap();
        for (user, slots) in &model.slots {
            let taken = slots.iter().filter(|taken| **taken).count();
            let in_redis = bought.get(user).map_or(0, |text| text.matches('1').count());
            assert_eq!(in_redis, taken, "slots of {user}");
            assert!(taken <= PER_USER);
        }
        assert!(model.sold.len() <= TOTAL);
        let mut command = redis::cmd("HGET");
        command.arg(&self.sale.meta).arg("sold");
        let count: Option<usize> = call(&self.redis, "feed", &self.sale.meta, &command)
            .await
            .unwrap();
        assert_eq!(count.unwrap_or(0), model.sold.len(), "count of sold items");
    }
}

/// The code of step `n`.
fn suffix(n: usize) -> CodeSuffix {
    let digits = format!("{n:022}");
    CodeSuffix::parse(&digits[digits.len() - 22..]).unwrap()
}

async fn play(redis: &RedisCluster, steps: &[Step]) {
    // Every sequence has a sale of its own: the name is drawn, the keys stay apart.
    let id: SaleId = format!("shop.m{:016x}.20261123T0800Z", rand::random::<u64>())
        .parse()
        .unwrap();
    let real = Real::seeded(redis, &id).await;
    let mut model = Model::default();
    let mut last_add: Option<(String, CodeSuffix, u32)> = None;
    for (n, step) in steps.iter().enumerate() {
        let code_of = |model: &Model, code: usize| {
            let known = model.codes.get(code % (model.codes.len() + 1));
            known.copied().unwrap_or_else(|| suffix(usize::MAX))
        };
        match step {
            Step::Add { user, item } => {
                last_add = Some((format!("user-{user}"), suffix(n), *item));
                let (user, code, item) = last_add.clone().unwrap();
                assert_eq!(
                    real.add(&user, code, item).await,
                    model.add(&user, code, item)
                );
            }
            Step::RepeatAdd => {
                if let Some((user, code, item)) = &last_add {
                    assert_eq!(
                        real.add(user, *code, *item).await,
                        model.add(user, *code, *item)
                    );
                }
            }
            Step::Freeze { code } => {
                let code = code_of(&model, *code);
                assert_eq!(real.freeze(code).await, model.freeze(code));
            }
            Step::Claim { code } => claim(&real, &mut model, &[*code]).await,
            Step::ClaimTwo { first, second } => claim(&real, &mut model, &[*first, *second]).await,
            Step::Correct { code, nobody } => {
                let code = code_of(&model, *code);
                if let Some(truth) = model.take_away(code, *nobody) {
                    real.correct(&model, code, &truth).await;
                }
            }
        }
        real.agrees(&model).await;
    }
}

async fn claim(real: &Real, model: &mut Model, codes: &[usize]) {
    let mut carts = Vec::new();
    for code in codes {
        let Some(code) = model.codes.get(code % model.codes.len().max(1)).copied() else {
            continue;
        };
        let (user, items) = model.freeze(code).unwrap();
        assert_eq!(real.freeze(code).await, Some((user.clone(), items.clone())));
        carts.push((code, user, items));
    }
    if carts.is_empty() {
        return;
    }
    let expected: Vec<Vec<ItemResult>> = carts
        .iter()
        .map(|(code, user, items)| results(&model.claim(*code, user, items)))
        .collect();
    assert_eq!(real.claim(&carts).await, expected);
}

#[test]
fn the_scripts_do_what_the_model_does() {
    let server = Server::single().unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .unwrap();
    let Ambient { metrics, clock, .. } = Ambient::system().unwrap();
    let redis = runtime
        .block_on(RedisCluster::connect(
            &server.url(),
            &Certificates::NONE,
            metrics,
            clock,
        ))
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
