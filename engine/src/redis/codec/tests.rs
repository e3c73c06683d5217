//! Golden files: what each text is, in Rust and in Lua.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;
use std::sync::Arc;

use flashsale_servers::RedisCluster as Server;
use uuid::Uuid;

use super::*;
use crate::domain::attempt::{AttemptOutcome, InvalidCheckout, Refusal};
use crate::domain::cart::AddOutcome;
use crate::domain::certificates::Certificates;
use crate::domain::ids::{ItemId, RequestId, UserId};
use crate::domain::outcome::{ItemOutcome, ItemResult};
use crate::domain::sale::SaleId;
use crate::observability::Ambient;
use crate::redis::cluster::RedisCluster;
use crate::redis::commands::call;

const FORMAT: Format = Format::CURRENT;

/// An id with every character that separates something in a text of an earlier format.
const USER: &str = "ann|vip:1,2";

fn golden() -> BTreeMap<&'static str, String> {
    let text = |text: &str| text.replace('␟', "\u{1f}").replace('␞', "\u{1e}");
    include_str!("golden/v1.txt")
        .lines()
        .filter(|line| !line.starts_with('#'))
        .map(|line| line.split_once('\t').unwrap())
        .map(|(name, example)| (name, text(example)))
        .collect()
}

fn suffix() -> CodeSuffix {
    CodeSuffix::parse("0k123456789abcdefghjkm").unwrap()
}

fn requests() -> [AttemptRequest; 2] {
    let request = |n: u64, user, item| AttemptRequest {
        id: Uuid::from_u64_pair(7, 7 + n),
        at_us: 1_790_000_000_000_000 + n as i64,
        user,
        item,
        request_id: RequestId::parse(&format!("r-{n}")).unwrap(),
    };
    let (user, item) = (
        UserId::parse("ann+vip@shop:7").ok(),
        ItemId::parse("a.b:7").ok(),
    );
    [request(1, user, item), request(2, None, None)]
}

fn refused() -> [Attempt; 2] {
    let [full, empty] = requests();
    let sale: SaleId = "shop.hourly.20261123T0800Z".parse().unwrap();
    let attempt = |request, sale, outcome| Attempt {
        request,
        sale,
        suffix: None,
        outcome,
    };
    [
        attempt(
            full,
            Some(Arc::new(sale)),
            AttemptOutcome::Refused(Refusal::AlreadySold),
        ),
        attempt(
            empty,
            None,
            AttemptOutcome::Invalid(InvalidCheckout::UserId),
        ),
    ]
}

fn added() -> Vec<Added> {
    let added = |outcome, suffix, items_count| Added {
        outcome,
        suffix,
        items_count,
    };
    vec![
        added(AddOutcome::Added, Some(suffix()), 3),
        added(AddOutcome::InCart, Some(suffix()), 3),
        added(AddOutcome::CartFull, Some(suffix()), 10),
        added(AddOutcome::NotActive, None, 0),
    ]
}

fn outcome() -> Outcome {
    let sold = ItemOutcome::Sold {
        user_slot: 1,
        sale_slot: 42,
    };
    let result = |(idx, outcome)| ItemResult { idx, outcome };
    let results = [
        (7, sold),
        (9, ItemOutcome::AlreadySold),
        (12, ItemOutcome::LimitReached),
    ];
    Outcome {
        user: USER.to_owned(),
        request_id: "r-1".to_owned(),
        at_ms: 1_790_000_000_000,
        results: results.into_iter().map(result).collect(),
    }
}

fn events() -> Vec<Event> {
    vec![
        Event::Claimed {
            suffix: suffix(),
            outcome: outcome(),
        },
        Event::Corrected {
            suffix: suffix(),
            user: USER.to_owned(),
            bought: 2,
            sold: vec![7, 8],
            released: vec![],
        },
    ]
}

#[test]
fn every_text_is_as_the_golden_file_has_it() {
    let golden = golden();
    let text = |name: &str| golden[name].as_str();
    assert_eq!(FORMAT.encode_requests(requests().iter()), text("requests"));
    assert_eq!(
        FORMAT.decode_requests(text("requests")).unwrap(),
        requests()
    );
    assert_eq!(FORMAT.encode_refused(refused().iter()), text("refused"));
    assert_eq!(FORMAT.decode_refused(text("refused")).unwrap(), refused());
    assert_eq!(FORMAT.decode_added_list(text("added")).unwrap(), added());
    assert_eq!(FORMAT.encode_outcome(&outcome()), text("outcome"));
    assert_eq!(FORMAT.decode_outcome(text("outcome")).unwrap(), outcome());
    assert_eq!(FORMAT.decode_events(text("events")).unwrap(), events());
    let cart = (suffix(), "7,9,12".to_owned());
    assert_eq!(FORMAT.decode_cart(text("cart")).unwrap(), cart);
    for (name, decision) in [
        ("claim_decided", decided(false)),
        ("claim_replayed", decided(true)),
        ("claim_not_active", ClaimDecision::NotActive),
    ] {
        assert_eq!(FORMAT.decode_claim(text(name)).unwrap(), decision);
    }
}

fn decided(replayed: bool) -> ClaimDecision {
    ClaimDecision::Decided {
        outcome: outcome(),
        replayed,
    }
}

/// Encodes in Lua what the golden file has in Rust's words.
const ENCODE: &str = r"
local suffix, user = ARGV[1], ARGV[2]
local outcome = encode_outcome(user, 'r-1', 1790000000000,
  { encode_sold(7, 1, 42), encode_already_sold(9), encode_limit_reached(12) })
local added = { encode_added(ADDED, suffix, 3), encode_added(IN_CART, suffix, 3),
  encode_added(CART_FULL, suffix, 10), encode_added(NOT_ACTIVE, '', 0) }
local cart_suffix, cart_items = decode_cart(encode_cart(suffix, '7,9,12'))
local open_user, no_items = decode_code(encode_open_code(user))
local frozen_user, frozen_items = decode_code(encode_frozen_code(user, '7,9,12'))
local outcome_user, results = decode_outcome(outcome)
return {
  'added', table.concat(added, RS),
  'open_code', encode_open_code(user),
  'frozen_code', encode_frozen_code(user, '7,9,12'),
  'cart', encode_cart(suffix, '7,9,12'),
  'outcome', outcome,
  'events', encode_claimed(suffix, outcome) .. RS .. encode_corrected(suffix, user, 2, '7,8', ''),
  'claim_decided', CLAIMED .. US .. outcome,
  'claim_replayed', REPLAYED .. US .. outcome,
  'claim_not_active', NOT_ACTIVE,
  'decoded', table.concat({ cart_suffix, cart_items, open_user, tostring(no_items), frozen_user,
    frozen_items, outcome_user, results }, ' '),
}";

#[tokio::test]
async fn scripts_write_and_read_every_text_as_the_golden_file_has_it() {
    let server = Server::single().unwrap();
    let Ambient { metrics, clock, .. } = Ambient::system().unwrap();
    let redis = RedisCluster::connect(&server.url(), &Certificates::NONE, metrics, clock)
        .await
        .unwrap();
    let mut command = redis::cmd("EVAL");
    command
        .arg(FORMAT.with_functions(ENCODE))
        .arg(1)
        .arg("key")
        .arg(suffix().as_str())
        .arg(USER);
    let texts: Vec<String> = call(&redis, "EVAL", "key", &command).await.unwrap();
    let golden = golden();
    for pair in texts.chunks_exact(2).take(9) {
        assert_eq!(golden[pair[0].as_str()], pair[1], "{}", pair[0]);
    }
    let decoded =
        format!("0k123456789abcdefghjkm 7,9,12 {USER} nil {USER} 7,9,12 {USER} 7:s:1:42,9:a,12:l");
    assert_eq!(texts[19], decoded);
}

#[test]
fn a_text_of_another_shape_is_an_error_that_shows_it() {
    let shows = |error: BackendError, text: &str| {
        let BackendError::Unexpected { found, .. } = error else {
            panic!("expected an unexpected text, found {error:?}");
        };
        assert_eq!(found, format!("{text:?}"));
    };
    for text in [
        "",
        "ann",
        "ann\u{1f}r\u{1f}x\u{1f}7:a",
        "ann\u{1f}r\u{1f}1\u{1f}7:z",
    ] {
        shows(FORMAT.decode_outcome(text).unwrap_err(), text);
    }
    for text in ["x", "1\u{1f}2\u{1f}3"] {
        shows(FORMAT.decode_requests(text).unwrap_err(), text);
        shows(FORMAT.decode_refused(text).unwrap_err(), text);
        shows(FORMAT.decode_events(text).unwrap_err(), text);
    }
    shows(
        FORMAT.decode_added("z\u{1f}\u{1f}0").unwrap_err(),
        "z\u{1f}\u{1f}0",
    );
    shows(FORMAT.decode_cart("x").unwrap_err(), "x");
    shows(FORMAT.decode_claim("c").unwrap_err(), "c");
}

#[test]
fn every_outcome_of_an_attempt_reads_back() {
    for outcome in AttemptOutcome::all() {
        let [mut attempt, _] = refused();
        attempt.outcome = outcome;
        let text = FORMAT.encode_refused([&attempt].into_iter());
        assert_eq!(FORMAT.decode_refused(&text).unwrap(), [attempt]);
    }
}

#[test]
fn no_text_of_one_version_is_a_text_of_another() {
    let (v2, v3) = (
        Format::V2.encode_outcome(&outcome()),
        Format::V3.encode_outcome(&outcome()),
    );
    assert_eq!(Format::V3.decode_outcome(&v3).unwrap(), outcome());
    assert!(Format::V3.decode_outcome(&v2).is_err());
    assert!(Format::V2.decode_outcome(&v3).is_err());
}

#[test]
fn a_script_refuses_a_sale_of_another_version() {
    for format in Format::ALL {
        let constant = format!("local FORMAT = '{}'", format.version());
        assert!(format.with_functions("").contains(&constant), "{format:?}");
    }
}
