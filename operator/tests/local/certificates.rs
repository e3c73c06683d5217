//! Backends that speak TLS, in a manifest file.

use flashsale_servers::{Postgres, RedisCluster, TestCertificates};

use super::support::{World, in_seconds};

/// A Secret with the key `url`, and what a client needs for TLS.
fn secret(name: &str, url: &str, certificates: &TestCertificates) -> String {
    let entry = |key: &str| {
        let text = String::from_utf8(certificates.entry(key).unwrap()).unwrap();
        let lines: Vec<String> = text.lines().map(|line| format!("    {line}\n")).collect();
        format!("  {key}: |\n{}", lines.concat())
    };
    format!(
        "---\napiVersion: v1\nkind: Secret\nmetadata: {{name: {name}, namespace: shop}}\n\
         stringData:\n  url: \"{url}\"\n{}{}{}",
        entry("ca.crt"),
        entry("tls.crt"),
        entry("tls.key")
    )
}

#[test]
fn a_sale_is_seeded_over_tls_with_the_certificates_of_the_manifest() {
    let redis = RedisCluster::start_with_tls(1, 0).unwrap();
    let postgres = Postgres::start_with_tls().unwrap();
    let world = World::with("certificates", &postgres);
    let redis_secret = secret("redis", &redis.tls_url(""), redis.certificates().unwrap());
    let certificates = postgres.certificates().unwrap();
    let postgres_secret = secret("postgres", &postgres.url(), certificates);
    let manifest = world.file("tls.yaml");
    let text = format!(
        "apiVersion: flashsale.dev/v1alpha1
kind: FlashSale
metadata: {{name: certificates, namespace: shop}}
spec:
  startAt: {}
  catalog: {{generate: {{count: 50}}}}
  redis: {{secretKeyRef: {{name: redis, key: url}}}}
  postgres: {{secretKeyRef: {{name: postgres, key: url}}}}
{redis_secret}{postgres_secret}",
        in_seconds(20)
    );
    std::fs::write(&manifest, text).unwrap();
    let mut operator = world.start(&manifest);
    operator.await_seeded();
    let sessions = "SELECT count(*) > 0 FROM pg_stat_ssl WHERE client_dn = '/CN=flashsale'";
    assert_eq!(postgres.query(sessions).unwrap(), "t");
}
