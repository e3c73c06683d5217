//! Backends that speak TLS with certificates of private authorities, which the Secrets hold beside
//! the URLs.

use flashsale_servers::{Postgres, RedisCluster, TestCertificates};
use k8s_openapi::api::core::v1::Secret;
use serde_json::{Value, json};

use super::support::{World, condition, is_true, soon};

/// A Secret with the key `url`, and what a client needs for TLS.
fn secret(name: &str, url: &str, certificates: &TestCertificates) -> Value {
    let entry = |key| String::from_utf8(certificates.entry(key).unwrap()).unwrap();
    json!({
        "apiVersion": "v1",
        "kind": "Secret",
        "metadata": {"name": name},
        "stringData": {
            "url": url,
            "ca.crt": entry("ca.crt"),
            "tls.crt": entry("tls.crt"),
            "tls.key": entry("tls.key"),
        },
    })
}

#[tokio::test(flavor = "multi_thread")]
async fn a_sale_is_seeded_over_tls_with_the_certificates_beside_the_urls() {
    let world = World::without_secret("certificates").await;
    let servers = || {
        let redis = RedisCluster::start_with_tls(1, 0).unwrap();
        (redis, Postgres::start_with_tls().unwrap())
    };
    let (redis, postgres) = tokio::task::spawn_blocking(servers).await.unwrap();
    let (of_redis, of_postgres) = (redis.certificates().unwrap(), postgres.certificates());
    let redis_secret = secret("redis", &redis.tls_url(""), of_redis);
    world.apply::<Secret>("redis", &redis_secret).await;
    let postgres_secret = secret("postgres", &postgres.url(), of_postgres.unwrap());
    world.apply::<Secret>("postgres", &postgres_secret).await;
    let _operator = world.operator("one");
    let more = json!({
        "startAt": soon(5),
        "redis": {"secretKeyRef": {"name": "redis", "key": "url"}},
        "postgres": {"secretKeyRef": {"name": "postgres", "key": "url"}},
    });
    world.flash_sale("deal", more).await;
    world
        .await_status("it is seeded", "deal", |status| is_true(status, "Seeded"))
        .await;
    let sessions = "SELECT count(*) FILTER (WHERE client_dn = '/CN=flashsale') > 0, \
                    count(*) FILTER (WHERE NOT ssl) \
                    FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                    WHERE application_name = 'flashsale'";
    assert_eq!(postgres.query(sessions).unwrap(), "t|0");

    // A certificate without its key is refused by name, before any connection.
    let without_key = json!({"data": {"tls.key": null}});
    world.patch::<Secret>("redis", without_key).await;
    let status = world.await_status("it is refused", "deal", |status| {
        condition(status, "Ready").is_some_and(|ready| ready.reason == "WrongReference")
    });
    let status = status.await;
    let message = &condition(&status, "Ready").unwrap().message;
    let begin = "spec.redis.secretKeyRef: found tls.crt without tls.key in Secret redis; expected";
    assert!(message.starts_with(begin), "{message}");
}
