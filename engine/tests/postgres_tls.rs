//! A Postgres with a private authority that asks its clients for certificates.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::sync::Arc;

use flashsale_engine::{BackendError, Certificates, Metrics, PostgresPool, SystemClock};
use flashsale_servers::{Postgres, TestCertificates};

async fn connect(url: &str, certificates: &Certificates) -> Result<PostgresPool, BackendError> {
    let metrics = Arc::new(Metrics::new().unwrap());
    PostgresPool::connect(url, certificates, 1, metrics, SystemClock::clock()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn both_sides_show_certificates_of_a_private_authority() {
    let servers = || {
        let postgres = Postgres::start_with_tls().unwrap();
        let elsewhere = postgres
            .certificates()
            .unwrap()
            .authority
            .with_extension("d");
        std::fs::create_dir(&elsewhere).unwrap();
        (postgres, TestCertificates::generate(&elsewhere).unwrap())
    };
    let (postgres, others) = tokio::task::spawn_blocking(servers).await.unwrap();
    let url = postgres.url();
    let own = postgres.certificates().unwrap();
    let certificates = Certificates::read(|name| own.entry(name)).unwrap();

    let pool = connect(&url, &certificates).await.unwrap();
    let sessions = "SELECT count(*) FROM pg_stat_ssl WHERE ssl AND client_dn = '/CN=flashsale'";
    assert_eq!(postgres.query(sessions).unwrap(), "1");
    drop(pool);

    let of_others = Certificates::read(|name| match name {
        "ca.crt" => others.entry(name),
        _ => own.entry(name),
    });
    let without_client = Certificates::read(|name| (name == "ca.crt").then(|| own.entry(name))?);
    for (certificates, found) in [
        (of_others.unwrap(), "invalid peer certificate"),
        (without_client.unwrap(), "certificate"),
    ] {
        let error = connect(&url, &certificates).await.unwrap_err().to_string();
        assert!(error.contains(found), "{error}");
    }
}
