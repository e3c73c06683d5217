#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

const FLASH_SALE: &str = "\
apiVersion: flashsale.dev/v1alpha1
kind: FlashSale
metadata:
  name: hourly
  namespace: shop
spec:
  schedule: \"0 * * * *\"
  duration: 1h
  catalog:
    configMapRef: {name: goods, key: items.csv}
  limits:
    total: 2
  redis:
    secretKeyRef: {name: stores, key: redis}
  postgres:
    secretKeyRef: {name: stores, key: postgres}
";

const REFERRED_TO: &str = "\
---
apiVersion: v1
kind: Secret
metadata: {name: stores, namespace: shop}
stringData: {redis: \"redis://127.0.0.1:7000\"}
data: {postgres: cG9zdGdyZXM6Ly91QDEyNy4wLjAuMS9kYg==}
---
# an empty document is none
---
apiVersion: v1
kind: ConfigMap
metadata: {name: goods, namespace: shop}
data:
  items.csv: |
    id,name,image_url
    mug-1,Blue mug,
    mug-2,Red mug,/red.jpg
";

fn whole() -> String {
    format!("{FLASH_SALE}{REFERRED_TO}")
}

#[track_caller]
fn refusal(text: &str) -> String {
    match read(text.as_bytes(), GivenUrls::default()) {
        Ok(_) => panic!("it was taken:\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_file_with_everything_in_it_is_read() {
    let manifest = read(whole().as_bytes(), GivenUrls::default()).unwrap();
    assert_eq!(manifest.settings.name.to_string(), "shop.hourly");
    let urls = StoreUrls::new("redis://127.0.0.1:7000", "postgres://u@127.0.0.1/db").unwrap();
    assert!(
        manifest.urls == urls,
        "one is written as text, one in base64"
    );
    let Goods::Listed(catalog) = manifest.goods else {
        panic!("the ConfigMap is not read")
    };
    assert_eq!(catalog.by_id("mug-2").unwrap().name, "Red mug");
}

#[test]
fn given_urls_come_before_those_of_secrets_which_may_then_be_missing() {
    let config_map = &REFERRED_TO[REFERRED_TO.find("# an empty").unwrap()..];
    let text = format!("{FLASH_SALE}---\n{config_map}");
    let given = |postgres: &str| GivenUrls {
        redis: Some("redis://r:1,redis://s:1".into()),
        postgres: Some(postgres.into()),
    };
    let manifest = read(text.as_bytes(), given("postgres://p/d\n")).unwrap();
    let urls = StoreUrls::new("redis://r:1,redis://s:1", "postgres://p/d").unwrap();
    assert!(
        manifest.urls == urls,
        "a new line at the end of a secret is usual"
    );

    let Err(error) = read(text.as_bytes(), given("u:hunter2@p/d")) else {
        panic!("it was taken")
    };
    let error = error.to_string();
    assert!(
        error.starts_with("the Postgres URL cannot be used: expected postgres://"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");

    let message = refusal(&text);
    assert!(
        message.starts_with(
            "line 14: spec.redis.secretKeyRef: found Secret stores with the key redis; expected"
        ),
        "{message}"
    );
    assert!(message.ends_with("or --redis-url"), "{message}");
}

#[test]
fn what_is_wrong_is_said_with_its_line() {
    let change = |from: &str, to: &str| {
        assert!(whole().contains(from), "{from}");
        whole().replacen(from, to, 1)
    };
    let cases = [
        (
            "a tab",
            change("  duration: 1h", "\tduration: 1h"),
            "line 8: ",
        ),
        (
            "a wrong value",
            change("duration: 1h", "duration: 2h"),
            "line 8: spec.duration: found 2h; expected at most 1h",
        ),
        (
            "a number for a text",
            change("duration: 1h", "duration: [1]"),
            "line 8: spec.duration: invalid type",
        ),
        (
            "a text for a number",
            change("total: 2", "total: two"),
            "line 12: spec.limits.total: invalid type",
        ),
        (
            "a total too high",
            change("total: 2", "total: 3"),
            "line 12: spec.limits.total: found 3; expected at most the 2 items",
        ),
        (
            "an unknown field",
            change("total: 2", "totl: 2"),
            "line 12: spec.limits.totl: found an unknown field; expected one of perCheckout, perUser, total",
        ),
        (
            "a missing field",
            change(
                "  catalog:\n    configMapRef: {name: goods, key: items.csv}\n",
                "",
            ),
            "missing field `catalog`",
        ),
        (
            "a bad name",
            change("name: hourly", "name: Hourly_1"),
            "line 3: metadata: found shop/Hourly_1",
        ),
        (
            "another kind",
            change("kind: Secret", "kind: Sekret"),
            "line 18: found kind Sekret of apiVersion v1; expected FlashSale",
        ),
        (
            "a second FlashSale",
            format!("{FLASH_SALE}---\n{FLASH_SALE}"),
            "line 18: found a second FlashSale",
        ),
        ("no FlashSale", REFERRED_TO.to_owned(), "found no FlashSale"),
        ("nothing", String::new(), "found no FlashSale"),
        (
            "no such ConfigMap",
            change("name: goods, key: items.csv", "name: good, key: items.csv"),
            "line 10: spec.catalog.configMapRef: found ConfigMap good",
        ),
        (
            "a ConfigMap elsewhere",
            change(
                "{name: goods, namespace: shop}",
                "{name: goods, namespace: other}",
            ),
            "ConfigMap goods with the key items.csv",
        ),
        (
            "a wrong CSV",
            change("mug-2,Red mug,/red.jpg", "mug-1,Red mug,"),
            "ConfigMap goods, key items.csv: line 3: id: found `mug-1` again",
        ),
    ];
    for (what, text, expected) in cases {
        let message = refusal(&text);
        assert!(
            message.contains(expected),
            "{what}: `{message}` is not `{expected}`"
        );
    }
}

#[test]
fn everything_wrong_is_said_at_once_and_secrets_are_not_shown() {
    let text = whole()
        .replace("duration: 1h", "duration: forever")
        .replace("total: 2", "total: 0")
        .replace("redis://127.0.0.1:7000", "redis://user:hunter2@127.0.0.1");
    let message = refusal(&text);
    assert_eq!(message.lines().count(), 2, "{message}");
    assert!(!message.contains("hunter2"));
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    let mut bytes = whole().into_bytes();
    let at = whole().find("Blue mug").unwrap();
    bytes[at] = 0xff;
    let Err(error) = read(&bytes, GivenUrls::default()) else {
        panic!("it was taken")
    };
    assert!(
        error
            .to_string()
            .starts_with("line 32: found bytes that are not UTF-8"),
        "{error}"
    );
}
