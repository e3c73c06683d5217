//! A Postgres with a private authority that asks its clients for certificates.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;

use flashsale_engine::{
    BackendError, Certificates, ClientCertificate, Metrics, PostgresAddress, PostgresPool,
    SystemClock,
};
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
    let authority = Some(read(&own.authority));
    let client = Some(ClientCertificate {
        certificate: read(&own.client.certificate),
        key: read(&own.client.key),
    });
    let other = Some(read(&others.authority));
    let connect = async |authority: &Option<String>, client: &Option<ClientCertificate>| {
        let address = PostgresAddress::parse(&postgres.url()).unwrap();
        connect(address.with_certificates(&Certificates {
            authority: authority.clone(),
            client: client.clone(),
        }))
        .await
    };

    let pool = connect(&authority, &client).await.unwrap();
    let sessions = "SELECT count(*) FROM pg_stat_ssl WHERE ssl AND client_dn = '/CN=flashsale'";
    assert_eq!(postgres.query(sessions).unwrap(), "1");
    drop(pool);

    for (authority, client, found) in [
        (&other, &client, "invalid peer certificate"),
        (&authority, &None, "certificate"),
    ] {
        let error = connect(authority, client).await.unwrap_err().to_string();
        assert!(error.contains(found), "{error}");
    }
}
