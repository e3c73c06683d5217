#![allow(clippy::unwrap_used)]

use super::*;

const LIMIT: Duration = Duration::from_secs(20);
const SALE: &str = "ns.s.20261126T0800Z";

fn start(with_proxies: bool) -> (Network, RedisNodes) {
    let network = Network::start().unwrap();
    let nodes = RedisNodes::start(with_proxies, &network).unwrap();
    (network, nodes)
}

fn key(name: &str) -> String {
    format!("{{{SALE}}}:{name}")
}

#[test]
fn the_first_bit_of_a_byte_is_its_highest() {
    assert_eq!(bits(&[0b1000_0001, 0, 0b0100_0000]), [0, 7, 17].into());
    assert_eq!(bits(&[]), [].into());
}

#[test]
fn a_promoted_replica_misses_what_was_written_after_its_disconnection() {
    let (_network, mut nodes) = start(false);
    let (keys, slot) = nodes.find(Master::OfSale, SALE).unwrap();
    let master = keys.master;
    let replica = nodes.replica_of(master).unwrap();
    let ask = |nodes: &RedisNodes, node: usize, words: &[&str]| {
        nodes.cluster.ask_node(node, words).unwrap()
    };
    ask(&nodes, master, &["SET", &key("early"), "here"]);
    assert_eq!(ask(&nodes, master, &["WAIT", "1", "5000"]), "1");
    nodes.pause(replica);
    nodes.disconnect_replicas(master).unwrap();
    ask(&nodes, master, &["SET", &key("late"), "here"]);
    nodes.kill(master);
    nodes.resume(replica);
    assert!(nodes.await_new_master(slot, master, LIMIT));
    // The next fault of the sale's master hits the same keys on the replica.
    assert!(keys.sale && keys.partitions.contains(&false), "{keys:?}");
    let moved = OwnedKeys {
        master: replica,
        ..keys
    };
    let found = nodes.find(Master::OfSale, SALE).unwrap();
    assert_eq!(found, (moved, slot));
    assert_eq!(ask(&nodes, replica, &["EXISTS", &key("early")]), "1");
    assert_eq!(ask(&nodes, replica, &["EXISTS", &key("late")]), "0");
    nodes.restart(master).unwrap();
    assert!(nodes.await_answers(LIMIT));
}

#[test]
fn a_slot_moves_with_its_keys_and_a_sale_is_read_where_it_is() {
    let (_network, nodes) = start(false);
    let (keys, slot) = nodes.find(Master::OfSale, SALE).unwrap();
    let master = keys.master;
    assert_eq!(nodes.sale(SALE).unwrap(), None);
    let set = |words: &[&str]| nodes.cluster.ask_node(master, words).unwrap();
    set(&["HSET", &key("meta"), "ready", "1"]);
    set(&["SETBIT", &key("sold"), "3", "1"]);
    set(&["HSET", &key("outcomes"), "a", "1"]);
    let sale = Some(([3].into(), 1));
    assert_eq!(nodes.sale(SALE).unwrap(), sale);
    nodes.migrate(slot).unwrap();
    assert_ne!(nodes.owner_of(slot).unwrap(), master);
    assert_eq!(nodes.sale(SALE).unwrap(), sale);
}

#[test]
fn clients_are_led_through_proxies_and_the_nodes_reach_each_other() {
    let (_network, nodes) = start(true);
    let (keys, _) = nodes.find(Master::Other, SALE).unwrap();
    let master = keys.master;
    let port = nodes.announced[master];
    assert!(nodes.url().contains(&port.to_string()));
    let ping = || {
        let client = ::redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
        let mut connection = client.get_connection_with_timeout(CALL_LIMIT)?;
        ::redis::cmd("PING").query::<String>(&mut connection)
    };
    assert_eq!(ping().unwrap(), "PONG");
    nodes.set_network(master, Mode::Cut).unwrap();
    assert!(ping().is_err());
    nodes.set_network(master, Mode::Pass).unwrap();
    assert_eq!(ping().unwrap(), "PONG");
}
