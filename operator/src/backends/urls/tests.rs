#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn redis(text: &str) -> Result<RedisUrl, FieldError> {
    RedisUrl::parse("spec.redis.secretKeyRef", text)
}

fn postgres(text: &str) -> Result<PostgresUrl, FieldError> {
    PostgresUrl::parse("--postgres-url", text)
}

#[test]
fn urls_as_people_write_them_are_taken() {
    for text in [
        "redis://127.0.0.1:7000",
        " redis://user:pa%2Css@a.example:7000 , redis://user:pa%2Css@b.example\n",
        "rediss://:secret@cache.example:6380",
        "redis://[::1]:7000",
    ] {
        assert!(redis(text).is_ok(), "{text}");
    }
    for text in [
        "postgres://u@127.0.0.1/db\n",
        "postgresql://u:p%40ss@db.example:5432/db?sslmode=require",
        "postgres:///db?host=/run/postgresql",
        "postgres://u@a.example,b.example:5433/db?target_session_attrs=read-write",
    ] {
        assert!(postgres(text).is_ok(), "{text}");
    }
}

#[test]
fn what_is_no_url_is_refused_with_where_it_came_from_and_is_not_shown() {
    let cases = [
        ("", "nothing as address 1 of 1"),
        ("redis://:hunter2", "no URL as address 1 of 1"),
        ("redis://", "no URL as address 1 of 1"),
        ("redis://user:hunter2@", "no URL as address 1 of 1"),
        ("redis://host:hunter2", "no URL as address 1 of 1"),
        ("redis://user:hunter2@a:1,", "nothing as address 2 of 2"),
        (
            "redis://a:1, hunter2@b:2",
            "another scheme in address 2 of 2",
        ),
        ("http://user:hunter2@a", "another scheme in address 1 of 1"),
        (
            "redis://u:hunter2@a:1/3",
            "a database number in address 1 of 1",
        ),
        (
            "redis://u:hunter2@a:1,redis://u:other@b:1",
            "differ in user, password or TLS",
        ),
        (
            "redis://a:1,rediss://b:1",
            "differ in user, password or TLS",
        ),
    ];
    for (text, found) in cases {
        let Err(error) = redis(text) else {
            panic!("it was taken: {text}")
        };
        let error = error.to_string();
        assert!(
            error.starts_with("spec.redis.secretKeyRef: found "),
            "{error}"
        );
        assert!(error.contains(found), "{text}: {error}");
        assert!(error.contains("expected redis://"), "{error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
    for text in [
        "",
        "postgres://",
        "postgres://u:hunter2@db:port/x",
        "mysql://u:hunter2@db/x",
        "u:hunter2@db/x",
    ] {
        let Err(error) = postgres(text) else {
            panic!("it was taken: {text}")
        };
        let error = error.to_string();
        assert!(error.starts_with("--postgres-url: found "), "{error}");
        assert!(error.ends_with("expected postgres://user[:password]@host[:port]/database"));
        assert!(!error.contains("hunter2"), "{error}");
    }
}

#[test]
fn a_parameter_of_postgres_without_use_is_refused_by_its_name() {
    for (text, found) in [
        (
            "postgres://u@db/x?sslmode=hunter2",
            "another value of the parameter `sslmode`",
        ),
        (
            "postgres://u@db/x?sslpassword=hunter2",
            "the parameter `sslpassword`, which flashsale does not use",
        ),
        (
            "postgres://u@db,hunter2/x?target_session_attrs=standby",
            "another value of the parameter `target_session_attrs`",
        ),
    ] {
        let Err(error) = postgres(text) else {
            panic!("it was taken: {text}")
        };
        let error = error.to_string();
        assert!(error.contains(found), "{text}: {error}");
        assert!(!error.contains("hunter2"), "{error}");
    }
}
