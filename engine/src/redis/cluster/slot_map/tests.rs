#![allow(clippy::unwrap_used)]

use super::*;

fn bulk(text: &str) -> Value {
    Value::BulkString(text.as_bytes().to_vec())
}

fn node(host: Value, port: i64, id: &str) -> Value {
    Value::Array(vec![host, Value::Int(port), bulk(id), Value::Array(vec![])])
}

fn range(first: i64, last: i64, nodes: Vec<Value>) -> Value {
    let mut fields = vec![Value::Int(first), Value::Int(last)];
    fields.extend(nodes);
    Value::Array(fields)
}

fn asked() -> NodeAddress {
    NodeAddress::new("asked", 7000)
}

fn owner(map: &SlotMap<AnnouncedNode>, slot: u16) -> Option<String> {
    let owner = map.owner(Slot::new(slot).unwrap());
    owner.map(|node| node.address.to_string())
}

#[test]
fn the_slot_of_a_key_is_that_of_its_hash_tag() {
    // The values are those of CLUSTER KEYSLOT.
    for (key, slot) in [
        ("foo", 12_182),
        ("{foo}:bar", 12_182),
        ("a{foo}{bar}", 12_182),
        ("foo{}{bar}", 8_363),
        ("foo{{bar}}zap", 4_015),
        ("123456789", 12_739),
        ("", 0),
    ] {
        assert_eq!(Slot::of_key(key), Slot(slot), "{key:?}");
    }
    assert_eq!(Slot::new(16_383), Some(Slot(16_383)));
    assert_eq!(Slot::new(16_384), None);
}

#[test]
fn the_first_node_of_a_range_owns_it_and_the_others_are_replicas() {
    let answer = Value::Array(vec![
        range(
            0,
            99,
            vec![
                node(bulk("10.0.0.1"), 7001, "a"),
                node(bulk("10.0.0.2"), 7002, "b"),
            ],
        ),
        range(100, 100, vec![node(bulk("fd00::3"), 7003, "c")]),
        range(
            200,
            16_383,
            vec![
                node(bulk("10.0.0.1"), 7001, "a"),
                node(bulk("10.0.0.2"), 7002, "b"),
            ],
        ),
    ]);
    let map = SlotMap::parse(&answer, &asked()).unwrap();
    assert_eq!(owner(&map, 0).as_deref(), Some("10.0.0.1:7001"));
    assert_eq!(owner(&map, 100).as_deref(), Some("[fd00::3]:7003"));
    assert_eq!(owner(&map, 150), None, "no range has it");
    assert_eq!(owner(&map, 16_383).as_deref(), Some("10.0.0.1:7001"));
    assert_eq!((map.masters().len(), map.replicas().len()), (2, 1));
    assert_eq!(map.masters()[0].id.as_deref(), Some("a"));
    assert_eq!(map.ranges_of(0), [(0, 99), (200, 16_383)]);
    assert_eq!(map.ranges_of(1), [(100, 100)]);
}

#[test]
fn an_empty_host_is_the_node_that_was_asked_and_an_unknown_one_owns_nothing() {
    let replica = node(bulk("10.0.0.2"), 7002, "b");
    let answer = Value::Array(vec![
        range(0, 0, vec![node(bulk(""), 7001, "a")]),
        range(1, 1, vec![node(Value::Nil, 7002, "a")]),
        range(2, 2, vec![node(bulk("?"), 7003, "a"), replica]),
        range(3, 3, vec![node(bulk("redis-3.redis.svc"), 6379, "d")]),
    ]);
    let map = SlotMap::parse(&answer, &asked()).unwrap();
    assert_eq!(owner(&map, 0).as_deref(), Some("asked:7001"));
    assert_eq!(owner(&map, 1).as_deref(), Some("asked:7002"));
    assert_eq!(owner(&map, 2), None, "a replica takes no writes");
    assert_eq!(owner(&map, 3).as_deref(), Some("redis-3.redis.svc:6379"));
}

#[test]
fn an_answer_of_another_shape_or_without_slots_is_an_error() {
    let master = || vec![node(bulk("a"), 1, "a")];
    for answer in [
        Value::Nil,
        Value::Array(vec![]),
        Value::Array(vec![Value::Int(1)]),
        Value::Array(vec![Value::Array(vec![Value::Int(0)])]),
        Value::Array(vec![range(0, 16_384, master())]),
        Value::Array(vec![range(-1, 5, master())]),
    ] {
        assert!(SlotMap::parse(&answer, &asked()).is_err(), "{answer:?}");
    }
}

#[test]
fn one_slot_moves_and_the_others_stay() {
    let answer = Value::Array(vec![range(0, 16_383, vec![node(bulk("a"), 1, "a")])]);
    let mut map = SlotMap::parse(&answer, &asked()).unwrap();
    let place = map.add_master(AnnouncedNode {
        address: NodeAddress::new("b", 2),
        id: None,
    });
    map.set_owner(Slot(7), place);
    assert_eq!(owner(&map, 6).as_deref(), Some("a:1"));
    assert_eq!(owner(&map, 7).as_deref(), Some("b:2"));
    assert_eq!(owner(&map, 8).as_deref(), Some("a:1"));
    assert_eq!(map.ranges_of(0), [(0, 6), (8, 16_383)]);
    let names = map.map(|node| node.address.host().to_owned());
    assert_eq!(names.owner(Slot(7)).map(String::as_str), Some("b"));
}
