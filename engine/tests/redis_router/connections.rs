//! TLS with client certificates, ACL users and IPv6 addresses.

use std::sync::Arc;

use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{BackendError, Certificates, Metrics, RedisCluster, SystemClock};
use flashsale_servers::RedisCluster as Server;

use crate::{bulk, connect, keys, run, start};

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_over_tls_with_client_certificates_and_an_acl_user() {
    let server = tokio::task::spawn_blocking(|| Server::start_with_tls(3, 0));
    let server = server.await.unwrap().unwrap();
    for node in 0..3 {
        let user = [
            "ACL", "SETUSER", "app", "on", ">secret", "~*", "&*", "+@all",
        ];
        server.ask_node(node, &user).unwrap();
    }
    let files = server.certificates().unwrap();
    let certificates = Certificates::read(|name| files.entry(name)).unwrap();
    let connect = async |login: &str, certificates: &Certificates| {
        let metrics = Arc::new(Metrics::new().unwrap());
        let url = server.tls_url(login);
        RedisCluster::connect(&url, certificates, metrics, SystemClock::clock()).await
    };

    let redis = connect("app:secret@", &certificates).await.unwrap();
    for key in keys(&server, 3) {
        run(&redis, &["SET", &key, "over TLS"]).await.unwrap();
        assert_eq!(bulk(run(&redis, &["GET", &key]).await), "over TLS");
    }
    let mut who = redis::cmd("ACL");
    who.arg("WHOAMI");
    let masters = redis.call_all_masters("test", &who).await;
    assert_eq!(masters.len(), 3);
    for master in masters {
        assert_eq!(bulk(master.answer), "app");
    }

    let without_client =
        Certificates::read(|name| (name == "ca.crt").then(|| files.entry(name))?);
    for (login, certificates) in [
        ("app:secret@", &without_client.unwrap()),
        ("app:secret@", &Certificates::NONE),
        ("app:wrong@", &certificates),
    ] {
        let error = connect(login, certificates).await.unwrap_err();
        assert!(matches!(error, BackendError::Redis { .. }), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_with_ipv6_addresses() {
    let server = start(1, 0).await;
    server
        .ask_node(0, &["CONFIG", "SET", "bind", "\"127.0.0.1 ::1\""])
        .unwrap();
    server
        .ask_node(0, &["CONFIG", "SET", "cluster-announce-ip", "::1"])
        .unwrap();
    let (redis, _) = connect(&format!("redis://[::1]:{}", server.port(0))).await;
    let address = format!("[::1]:{}", server.port(0));
    assert_eq!(redis.nodes()[0].address, address);
    run(&redis, &["SET", "key", "1"]).await.unwrap();
    // A seed by IPv4 leads to the announced address.
    let (redis, _) = connect(&server.url()).await;
    run(&redis, &["GET", "key"]).await.unwrap();
    assert_eq!(redis.nodes()[0].address, address);
}
