//! A small run that is right: its calls, its faults and what the backends hold.

use std::sync::Arc;

use flashsale_load::checker::stored_rows::{
    AttemptRow, OrderRow, PurchaseRow, SaleRow, StoredRows, StoredSale,
};
use flashsale_load::checker::verdict::Finding;
use flashsale_load::client::answer::{Answer, Outcome, Problem};
use flashsale_load::client::call::Call;
use flashsale_load::client::catalogue::{Catalogue, ItemNo};
use flashsale_load::client::run_id::RunId;

use crate::history::{CallRecord, FaultRecord, OwnedKeys, RunHistory};
use crate::judge::{Commit, Evidence, RedisSale, judge};
use crate::plan::{Fault, Master};

pub(super) const SALE: &str = "ns.s.20261126T0800Z";
pub(super) const SECOND: i64 = 1_000_000;
const ENDS_US: i64 = 60 * SECOND;
/// Users of the run; each buys the item of its own number.
const USERS: u32 = 120;

/// A successful checkout of user 0 that was due at this moment and took a millisecond.
pub(in crate::judge) fn call(request: u32, at_us: i64) -> CallRecord {
    CallRecord {
        request,
        user: 0,
        target: 0,
        call: Call::Checkout { user: 0, item: 0 },
        due_us: at_us,
        began_us: at_us,
        ended_us: at_us + 1_000,
        answer: Answer::Added {
            code: code(0).into(),
        },
        no_answer: None,
    }
}

pub(in crate::judge) fn history_of(calls: Vec<CallRecord>, faults: Vec<FaultRecord>) -> RunHistory {
    RunHistory {
        run: RunId::from("r"),
        catalogue: Catalogue::listed(SALE, (0..1_000).map(|item| format!("i{item}"))),
        ends_us: ENDS_US,
        calls,
        never_started_us: Vec::new(),
        faults,
    }
}

pub(in crate::judge) fn hung_sale_master(began_us: i64, ended_us: i64) -> FaultRecord {
    FaultRecord {
        fault: Fault::HangMaster {
            master: Master::OfSale,
        },
        began_us,
        ended_us,
        master: Some(OwnedKeys {
            master: 0,
            sale: true,
            partitions: vec![true, false, false],
        }),
        serves_again_us: Some(began_us + 3 * SECOND),
        problem: None,
    }
}

pub(super) fn code(user: u32) -> String {
    format!("CHK-{SALE}-{user}")
}

/// Each user adds an item and buys it; every tenth asks again, every second reads its cart.
pub(super) struct Fixture {
    pub(super) history: RunHistory,
    pub(super) evidence: Evidence,
}

impl Fixture {
    pub(super) fn right() -> Self {
        let mut fixture = Self {
            history: history_of(Vec::new(), Vec::new()),
            evidence: Evidence {
                stored: StoredRows {
                    sales: vec![StoredSale {
                        id: SALE.to_owned(),
                        row: SaleRow {
                            per_user: 2,
                            total_limit: 1_000,
                            best_effort: false,
                        },
                        purchases: Vec::new(),
                        orders: Vec::new(),
                    }],
                    attempts: Vec::new(),
                },
                claimed_us: [].into(),
                commits: Vec::new(),
                redis: Some(RedisSale {
                    sold: [].into(),
                    outcomes: 0,
                }),
                is_settled: true,
            },
        };
        for user in 0..USERS {
            fixture.buy(user, i64::from(user) * SECOND / 2);
        }
        fixture
    }

    fn buy(&mut self, user: u32, at_us: i64) {
        let item = user;
        let code: Arc<str> = code(user).into();
        let added = Answer::Added { code: code.clone() };
        let request = self.add(user, Call::Checkout { user, item }, at_us, added);
        if user.is_multiple_of(2) {
            let items = [item].into();
            let cart = Call::Cart { code: code.clone() };
            self.add(user, cart, at_us + 2_000, Answer::Cart { items });
        }
        let purchase = || Call::Purchase {
            user,
            code: code.clone(),
        };
        self.add(user, purchase(), at_us + 5_000, bought(&[item]));
        if user.is_multiple_of(10) {
            self.add(user, purchase(), at_us + 9_000, bought(&[item]));
        }
        self.store(user, item, at_us + 5_200);
        self.evidence.stored.attempts.push(AttemptRow {
            request,
            sale: Some(SALE.into()),
            user: Some(self.history.run.user(user).into()),
            item: Some(item),
            code: Some((*code).into()),
            outcome: "added".into(),
        });
    }

    /// Appends a call that took a millisecond, and returns its request.
    pub(super) fn add(&mut self, user: u32, asked: Call, at_us: i64, answer: Answer) -> u32 {
        let request = self.history.calls.len() as u32;
        self.history.calls.push(CallRecord {
            user,
            target: user as usize % 2,
            call: asked,
            answer,
            ..call(request, at_us)
        });
        request
    }

    /// A claim of one item, committed 1 ms later, in all that the backends hold.
    pub(super) fn store(&mut self, user: u32, item: ItemNo, claimed_us: i64) {
        let user_id: Arc<str> = self.history.run.user(user).into();
        let code: Arc<str> = code(user).into();
        let sale = &mut self.evidence.stored.sales[0];
        sale.purchases.push(PurchaseRow {
            item,
            user: user_id.clone(),
            code: code.clone(),
        });
        sale.orders.push(OrderRow {
            code: code.clone(),
            user: user_id,
            results: vec![(item, None)],
        });
        self.evidence.claimed_us.insert(item, claimed_us);
        self.evidence.commits.push(Commit {
            code,
            claimed_us,
            committed_us: Some(claimed_us + 1_000),
        });
        let redis = self.redis();
        redis.sold.insert(item);
        redis.outcomes += 1;
    }

    pub(super) fn redis(&mut self) -> &mut RedisSale {
        self.evidence.redis.as_mut().unwrap()
    }

    pub(super) fn sale(&mut self) -> &mut StoredSale {
        &mut self.evidence.stored.sales[0]
    }

    /// The number of each verdict that is not held, and the detail of all of them.
    pub(super) fn faults(&self) -> (Vec<&'static str>, String) {
        let verdicts = judge(&self.history, &self.evidence);
        let faults = verdicts
            .iter()
            .filter(|numbered| numbered.verdict.finding != Finding::Held);
        let numbers = faults.clone().map(|numbered| numbered.number).collect();
        let details: Vec<&str> = faults.map(|numbered| &*numbered.verdict.detail).collect();
        (numbers, details.join("\n"))
    }

    /// Exactly these invariants are broken, and one of them by this.
    #[track_caller]
    pub(super) fn breaks(&self, expected: &[&str], offender: &str) {
        let (numbers, details) = self.faults();
        assert_eq!(numbers, expected, "{details}");
        assert!(details.contains(offender), "{details}");
    }

    #[track_caller]
    pub(super) fn holds(&self) {
        self.breaks(&[], "");
    }
}

pub(super) fn bought(items: &[ItemNo]) -> Answer {
    Answer::Outcome(Arc::new(Outcome {
        status: 200,
        bought: items.to_vec(),
        failed: vec![],
    }))
}

pub(super) fn refused(status: u16, problem: Problem) -> Answer {
    Answer::Refused { status, problem }
}
