//! Functions of the hot path, each alone.

use std::collections::VecDeque;
use std::hint::black_box;

use flashsale_engine::budget::{
    CartPartition, decode_attempts, decode_outcome, encode_attempts, encode_outcome,
};
use flashsale_engine::{
    AttemptRequest, CheckoutCode, CodeSuffix, ItemId, ItemOutcome, ItemResult, Outcome, RequestId,
    SaleId, UserId,
};
use flashsale_fakes::{FakeRedis, TestClock, TestRandom};
use jiff::Timestamp;
use redis::Value;
use uuid::Uuid;

use crate::cases::{Case, Selection};
use crate::recorder::Recorder;

const TIMES: u32 = 100;
const SALE: &str = "shop.hourly.20261123T1200Z";
const SUFFIX: &str = "03abcd0123456789abcdef";

/// Counts the instructions of each that is selected.
pub fn measure_all(selection: &Selection) {
    codec(selection);
    ids(selection);
    selection.measure("update_carts_of_one_item", TIMES, update_carts);
}

fn attempts() -> Vec<AttemptRequest> {
    let attempt = |n: u128| AttemptRequest {
        id: Uuid::from_u128(0x0123_4567_89ab_cdef_0123_4567_89ab_cdef + n),
        at_us: 1_795_435_200_000_000 + n as i64,
        user: Some(UserId::parse(&format!("user-{n:06}")).unwrap()),
        item: Some(ItemId::parse(&format!("item-{n:06}")).unwrap()),
        request_id: RequestId::parse(&format!("{n:032x}")).unwrap(),
    };
    (0..10).map(attempt).collect()
}

fn outcome() -> Outcome {
    let sold = |n: u32| ItemResult {
        idx: 1_000 + n,
        outcome: ItemOutcome::Sold {
            user_slot: 1 + n,
            sale_slot: 5_000 + n,
        },
    };
    let refused = ItemResult {
        idx: 7,
        outcome: ItemOutcome::AlreadySold,
    };
    Outcome {
        user: "user-000042".to_owned(),
        request_id: format!("{:032x}", 42),
        at_ms: 1_795_435_200_123,
        results: (0..3).map(sold).chain([refused]).collect(),
    }
}

fn codec(selection: &Selection) {
    selection.measure("encode_10_attempts", TIMES, || {
        let attempts = attempts();
        Box::new(move || drop(black_box(encode_attempts(black_box(&attempts)))))
    });
    selection.measure("decode_10_attempts", TIMES, || {
        let text = encode_attempts(&attempts());
        assert_eq!(decode_attempts(&text).unwrap(), attempts());
        Box::new(move || drop(black_box(decode_attempts(black_box(&text)))))
    });
    selection.measure("encode_outcome", TIMES, || {
        let outcome = outcome();
        Box::new(move || drop(black_box(encode_outcome(black_box(&outcome)))))
    });
    selection.measure("decode_outcome", TIMES, || {
        let text = encode_outcome(&outcome());
        assert_eq!(decode_outcome(&text).unwrap(), outcome());
        Box::new(move || drop(black_box(decode_outcome(black_box(&text)))))
    });
}

fn ids(selection: &Selection) {
    let sale: SaleId = SALE.parse().unwrap();
    let suffix = CodeSuffix::parse(SUFFIX).unwrap();
    let code = CheckoutCode::format(&sale, &suffix);
    selection.measure("format_checkout_code", TIMES, || {
        Box::new(move || drop(black_box(CheckoutCode::format(black_box(&sale), &suffix))))
    });
    selection.measure("parse_checkout_code", TIMES, || {
        assert!(CheckoutCode::parse(&code).is_some());
        Box::new(move || drop(black_box(CheckoutCode::parse(black_box(&code)))))
    });
    selection.measure("draw_checkout_code", TIMES, || {
        let random = TestRandom::from_seed(1);
        Box::new(move || {
            let now = black_box(Timestamp::UNIX_EPOCH);
            black_box(CodeSuffix::generate(3, now, &random));
        })
    });
    selection.measure("parse_user_id", TIMES, || {
        Box::new(|| drop(black_box(UserId::parse(black_box("ann@shop.example:7")))))
    });
    selection.measure("parse_item_id", TIMES, || {
        Box::new(|| drop(black_box(ItemId::parse(black_box("item-000042")))))
    });
}

/// The command of a checkout and the reading of its answer, without the lane before it.
fn update_carts() -> Case {
    let answer = format!("a\u{1f}{SUFFIX}\u{1f}1");
    let reply = || {
        let texts = ["1795435200000-0", answer.as_str()];
        let texts = texts.map(|text| Value::BulkString(text.as_bytes().to_vec()));
        Ok(Value::Array(texts.to_vec()))
    };
    let replies: VecDeque<_> = (0..2 * TIMES).map(|_| reply()).collect();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    let fake =
        runtime.block_on(async { FakeRedis::new(TestClock::starting_at(Timestamp::UNIX_EPOCH)) });
    let redis = Recorder::of_replies(fake, replies);
    let partition = CartPartition::new(&SALE.parse().unwrap()).unwrap();
    let suffix = CodeSuffix::parse(SUFFIX).unwrap();
    let text = encode_attempts(&attempts()[..1]);
    Box::new(move || {
        let added = partition.add(&redis, &text, "user-000042", (suffix, 1_234));
        let answers = runtime.block_on(added).unwrap();
        assert_eq!(answers, 1);
    })
}
