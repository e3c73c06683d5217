//! A Postgres with a private authority that asks its clients for certificates.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;

use flashsale_engine::{BackendError, Metrics, PostgresAddress, PostgresPool, SystemClock};
use flashsale_servers::{Postgres, TestCertificates};

fn read(file: &Path) -> String {
    std::fs::read_to_string(file).unwrap()
}

async fn connect(address: PostgresAddress) -> Result<PostgresPool, BackendError> {
    let metrics = Arc::new(Metrics::new().unwrap());
    PostgresPool::connect_to(address, 1, metrics, SystemClock::clock()).await
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
    let own = postgres.certificates().unwrap();
    let authority = read(&own.authority);
    let client = (read(&own.client.certificate), read(&own.client.key));
    let client = Some((client.0.as_str(), client.1.as_str()));
    let address = PostgresAddress::parse(&postgres.url()).unwrap();

    let pool = connect(address.clone().with_certificates(Some(&authority), client)).await;
    let sessions = "SELECT count(*) FROM pg_stat_ssl WHERE ssl AND client_dn = '/CN=flashsale'";
    assert_eq!(postgres.query(sessions).unwrap(), "1");
    drop(pool.unwrap());

    let other = read(&others.authority);
    for (authority, client, found) in [
        (other.as_str(), client, "invalid peer certificate"),
        (authority.as_str(), None, "certificate"),
    ] {
        let refused = connect(address.clone().with_certificates(Some(authority), client)).await;
        let error = refused.unwrap_err().to_string();
        assert!(error.contains(found), "{error}");
    }
}
