#![allow(clippy::unwrap_used)]

use std::sync::{Arc, Mutex};

use tracing_subscriber::layer::SubscriberExt as _;

use super::*;

fn hosts(url: &str) -> Vec<(String, u16)> {
    let address = PostgresAddress::parse(url).unwrap();
    let host = |host: &PgConnectOptions| (host.get_host().to_owned(), host.get_port());
    address.hosts().iter().map(host).collect()
}

fn error_of(url: &str) -> AddressError {
    PostgresAddress::parse(url).unwrap_err()
}

#[test]
fn each_host_of_a_url_has_its_port_and_shares_the_rest() {
    let url = "postgres://u:p%40ss@a.example:6432,b.example,[::1]:7000/db\
               ?target_session_attrs=read-write&sslmode=require&connect_timeout=10\n";
    assert_eq!(
        hosts(url),
        [
            ("a.example".to_owned(), 6432),
            ("b.example".to_owned(), 5432),
            ("::1".to_owned(), 7000),
        ]
    );
    for host in PostgresAddress::parse(url).unwrap().hosts() {
        assert_eq!(host.get_username(), "u");
        assert_eq!(host.get_database(), Some("db"));
        assert_eq!(host.get_application_name(), Some("flashsale"));
        assert!(matches!(host.get_ssl_mode(), PgSslMode::Require));
        assert_eq!(host.get_options(), None, "a pooler refuses options");
    }
    let socket = PostgresAddress::parse("postgres:///db?host=%2Frun%2Fpostgresql").unwrap();
    let folder = socket.hosts()[0].get_socket().unwrap();
    assert_eq!(folder.to_str(), Some("/run/postgresql"));
}

#[test]
fn a_parameter_without_use_is_refused_by_its_name() {
    for (url, found) in [
        (
            "postgres://u@h/d?sslpassword=hunter2",
            "the parameter `sslpassword`",
        ),
        (
            "postgres://u@h/d?options=-c%20a=hunter2",
            "the parameter `options`",
        ),
        (
            "postgres://u@h/d?sslmode=hunter2",
            "another value of the parameter `sslmode`",
        ),
        (
            "postgres://u@h,i/d?target_session_attrs=standby",
            "another value of the parameter `target_session_attrs`",
        ),
        (
            "postgres://u@/d?host=a,hunter2",
            "several values of the parameter `host`",
        ),
        (
            "postgres://u@h/d?hunter2hunter2hunter2hunter2hunter2=1",
            "a name that is not shown",
        ),
        // Parts of a password that is not encoded.
        ("postgres://u:1?hunter2&x@h/d", "a name that is not shown"),
        ("postgres://u:1?hunter2@h/d", "a name that is not shown"),
        ("postgres://u:a#hunter2@h/d", "no URL of Postgres"),
        ("postgres://u:hunter2@h:port/d", "no URL of Postgres"),
        ("postgres://u:hunter2@h,,i/d", "no URL of Postgres"),
    ] {
        let error = error_of(url).to_string();
        assert!(error.contains(found), "{url}: {error}");
        assert!(!error.contains("hunter2"), "{url}: {error}");
    }
}

/// Everything that is logged, as text.
#[derive(Clone, Default)]
struct Captured(Arc<Mutex<Vec<u8>>>);

impl std::io::Write for Captured {
    fn write(&mut self, text: &[u8]) -> std::io::Result<usize> {
        self.0.lock().unwrap().extend_from_slice(text);
        Ok(text.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn no_value_of_a_parameter_is_logged() {
    let captured = Captured::default();
    let writer = captured.clone();
    let lines = tracing_subscriber::fmt::layer().with_writer(move || writer.clone());
    let subscriber = tracing_subscriber::registry().with(lines);
    tracing::subscriber::with_default(subscriber, || {
        // The client library logs what it does not know: shows that lines are captured.
        let direct = "postgres://u@h/d?unknown_to_sqlx=shown";
        PgConnectOptions::from_str(direct).unwrap();
        for url in [
            "postgres://u:hunter2@h/d?sslpassword=hunter2",
            "postgres://u@h/d?connect_timeout=hunter2&application_name=hunter2",
            "postgres://u@h/d?keepalives=hunter2&target_session_attrs=hunter2",
        ] {
            let _ = PostgresAddress::parse(url);
        }
    });
    let text = String::from_utf8(captured.0.lock().unwrap().clone()).unwrap();
    assert!(text.contains("unknown_to_sqlx"), "{text}");
    assert!(!text.contains("hunter2"), "{text}");
}

#[test]
fn a_private_authority_makes_the_server_prove_its_name() {
    let mode = |url: &str| {
        let address = PostgresAddress::parse(url).unwrap();
        let address = address.with_certificates(&Certificates {
            authority: Some("-----BEGIN CERTIFICATE-----".to_owned()),
            client: None,
        });
        format!("{:?}", address.hosts()[0].get_ssl_mode())
    };
    assert_eq!(mode("postgres://u@h/d"), "VerifyFull");
    assert_eq!(mode("postgres://u@h/d?sslmode=require"), "VerifyFull");
    assert_eq!(mode("postgres://u@h/d?sslmode=verify-ca"), "VerifyCa");
    assert_eq!(mode("postgres://u@h/d?sslmode=disable"), "Disable");
}
