//! What the fake API decides, in memory.

use std::collections::{HashMap, HashSet};

use serde_json::{Value, json};

use super::{PER_CHECKOUT, PER_USER, SALE};

#[derive(Default)]
pub struct State {
    pub carts: HashMap<String, (String, Vec<u32>)>,
    pub user_of: HashMap<String, String>,
    pub outcomes: HashMap<String, (u16, Value)>,
    pub sold: HashSet<u32>,
    pub bought: HashMap<String, usize>,
    pub checkouts: u64,
}

pub fn item_id(item: u32) -> String {
    format!("20261123T0800Z-{:05}", item + 1)
}

pub fn item_no(id: &str) -> Option<u32> {
    id.strip_prefix("20261123T0800Z-")?
        .parse::<u32>()
        .ok()
        .map(|number| number - 1)
}

pub fn problem(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"status": status, "code": code}))
}

pub fn decide_checkout(
    state: &mut State,
    user: &str,
    item: Option<u32>,
    items: u32,
) -> (&'static str, Option<String>, (u16, Value)) {
    let refuse = |status, code| (code, None, problem(status, code));
    if state.sold.len() as u32 == items {
        return refuse(409, "sold_out");
    }
    let Some(item) = item.filter(|item| *item < items) else {
        return refuse(404, "unknown_item");
    };
    if state.sold.contains(&item) {
        return refuse(409, "already_sold");
    }
    if state
        .bought
        .get(user)
        .is_some_and(|count| *count >= PER_USER)
    {
        return refuse(400, "limit_reached");
    }
    let next_code = format!("CHK-{SALE}-{}", state.user_of.len());
    let fresh = !state.carts.contains_key(user);
    let (code, cart) = state
        .carts
        .entry(user.to_owned())
        .or_insert((next_code, Vec::new()));
    let outcome = if cart.contains(&item) {
        "in_cart"
    } else if cart.len() == PER_CHECKOUT {
        return refuse(400, "cart_full");
    } else {
        cart.push(item);
        "added"
    };
    let (code, count) = (code.clone(), cart.len());
    if fresh {
        state.user_of.insert(code.clone(), user.to_owned());
    }
    let body = json!({"code": code, "items_count": count, "sale_ends_at": "2026-11-23T09:00:00Z"});
    (outcome, Some(code), (200, body))
}

pub fn outcome(results: &[(u32, &str)]) -> (u16, Value) {
    let of = |sold: bool| results.iter().filter(move |(_, r)| (*r == "sold") == sold);
    let bought: Vec<Value> = of(true)
        .map(|(item, _)| json!({"id": item_id(*item), "name": "x", "sold": true}))
        .collect();
    let failed: Vec<Value> = of(false)
        .map(|(item, reason)| json!({"id": item_id(*item), "reason": reason}))
        .collect();
    let (status, code) = match (bought.is_empty(), results.first()) {
        (false, _) => (200, Value::Null),
        (true, Some((_, "limit_reached"))) => (400, json!("limit_reached")),
        (true, _) => (409, json!("already_sold")),
    };
    let mut body = json!({
        "success": status == 200,
        "total_purchased": bought.len(),
        "failed_count": failed.len(),
        "purchased_items": bought,
        "failed_items": failed,
    });
    if status != 200 {
        body["code"] = code;
    }
    (status, body)
}
