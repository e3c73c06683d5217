//! Backends that speak TLS with certificates of private authorities.

use std::path::Path;

use flashsale_engine::Certificates;
use flashsale_servers::TestCertificates;

use super::support::{Stack, limits};

/// Writes what a client needs, as a Secret is mounted.
fn write(folder: &Path, certificates: &TestCertificates) {
    for name in Certificates::ENTRIES {
        std::fs::write(folder.join(name), certificates.entry(name).unwrap()).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_sells_over_tls_with_the_certificates_of_two_folders() {
    let mut stack = Stack::start_with_tls(20, limits(20)).await;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let [redis, postgres] = folders.each_ref().map(|folder| folder.path());
    write(redis, stack.redis.certificates().unwrap());
    write(postgres, stack.postgres.certificates().unwrap());
    let flags = [
        "--redis-certificates",
        redis.to_str().unwrap(),
        "--postgres-certificates",
        postgres.to_str().unwrap(),
    ];
    let i = stack.start_api_with(&flags).await;
    let code = stack.fill(i, "ann", &[0, 1]).await;
    let answer = stack.purchase(i, &code).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let sessions = "SELECT count(*) FROM pg_stat_ssl JOIN pg_stat_activity USING (pid) \
                    WHERE application_name = 'flashsale' AND NOT ssl";
    assert_eq!(stack.postgres.query(sessions).unwrap(), "0");

    std::fs::remove_file(redis.join("tls.key")).unwrap();
    let (code, log) = stack.apis.run(&flags);
    assert_eq!(code, Some(1), "{log}");
    let expected = "the certificates of a backend: found tls.crt without tls.key";
    assert!(log.contains(expected), "{log}");
}
