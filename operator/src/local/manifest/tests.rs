#![allow(clippy::unwrap_used, clippy::expect_used)]

mod strict;

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

const REFERENCES: &str = "\
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
    format!("{FLASH_SALE}{REFERENCES}")
}

fn urls(redis: &str, postgres: &str) -> CheckedUrls {
    CheckedUrls::new(
        (RedisUrl::parse("", redis).unwrap(), Certificates::NONE),
        (
            PostgresUrl::parse("", postgres).unwrap(),
            Certificates::NONE,
        ),
    )
}

#[track_caller]
fn refusal(text: &str) -> String {
    match read(text.as_bytes(), GivenBackends::default()) {
        Ok(_) => panic!("it was taken:\n{text}"),
        Err(error) => error.to_string(),
    }
}

#[test]
fn a_file_with_everything_in_it_is_read() {
    let manifest = read(whole().as_bytes(), GivenBackends::default()).unwrap();
    assert_eq!(manifest.settings.name.to_string(), "shop.hourly");
    let urls = urls("redis://127.0.0.1:7000", "postgres://u@127.0.0.1/db");
    assert!(
        manifest.urls == urls,
        "one is written as text, one in base64"
    );
    let ResolvedCatalog::Listed(catalog) = manifest.catalog else {
        panic!("the ConfigMap is not read")
    };
    assert_eq!(catalog.by_id("mug-2").unwrap().name, "Red mug");
}

#[test]
fn given_urls_come_before_those_of_secrets_which_may_then_be_missing() {
    let config_map = &REFERENCES[REFERENCES.find("# an empty").unwrap()..];
    let text = format!("{FLASH_SALE}---\n{config_map}");
    let given = |postgres: &str| GivenBackends::at("redis://r:1,redis://s:1", postgres);
    let manifest = read(text.as_bytes(), given("postgres://p/d\n")).unwrap();
    let urls = urls("redis://r:1,redis://s:1", "postgres://p/d");
    assert!(
        manifest.urls == urls,
        "a new line at the end of a secret is usual"
    );

    let Err(error) = read(text.as_bytes(), given("u:hunter2@p/d")) else {
        panic!("it was taken")
    };
    let error = error.to_string();
    assert!(
        error.starts_with("--postgres-url: found another scheme in the URL of Postgres"),
        "{error}"
    );
    assert!(!error.contains("hunter2"), "{error}");

    // An empty one, as an unset variable of a script leaves it, is as good as none.
    let empty = GivenBackends::at("", " ");
    for given in [empty, GivenBackends::default()] {
        let Err(error) = read(text.as_bytes(), given) else {
            panic!("it was taken")
        };
        assert_eq!(
            error.to_string(),
            "line 14: spec.redis.secretKeyRef: found no Secret stores in this file; expected it as \
             another document of the file, with the key redis, or --redis-url\n\
             line 16: spec.postgres.secretKeyRef: found no Secret stores in this file; expected it \
             as another document of the file, with the key postgres, or --postgres-url"
        );
    }
}

fn change(from: &str, to: &str) -> String {
    assert!(whole().contains(from), "{from}");
    whole().replacen(from, to, 1)
}

/// Each text is refused with a message that contains what is expected.
fn assert_refused(cases: impl IntoIterator<Item = (&'static str, String, &'static str)>) {
    for (what, text, expected) in cases {
        let message = refusal(&text);
        assert!(
            message.contains(expected),
            "{what}: `{message}` is not `{expected}`"
        );
    }
}

#[test]
fn an_invalid_field_of_the_spec_is_refused_with_its_line() {
    assert_refused([
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
            "line 8: spec.duration: found a list; expected a text",
        ),
        (
            "a text for a number",
            change("total: 2", "total: two"),
            "line 12: spec.limits.total: found the text `two`; expected a whole number",
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
            "line 6: spec.catalog: found nothing; expected a map of `key: value`",
        ),
    ]);
}

#[test]
fn an_invalid_document_is_refused_with_its_line() {
    assert_refused([
        (
            "no metadata",
            change("metadata:\n  name: hourly\n  namespace: shop\n", ""),
            "line 1: metadata: found nothing; expected a map of `key: value`",
        ),
        (
            "no name",
            change("  name: hourly\n", ""),
            "line 3: metadata.name: found nothing; expected 1 to 200",
        ),
        (
            "a bad name",
            change("name: hourly", "name: Hourly_1"),
            "line 4: metadata.name: found `Hourly_1`; expected 1 to 200 of a-z",
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
        ("no FlashSale", REFERENCES.to_owned(), "found no FlashSale"),
        ("nothing", String::new(), "found no FlashSale"),
        (
            "no such ConfigMap",
            change("name: goods, key: items.csv", "name: good, key: items.csv"),
            "line 10: spec.catalog.configMapRef: found no ConfigMap good in this file",
        ),
        (
            "a ConfigMap elsewhere",
            change(
                "{name: goods, namespace: shop}",
                "{name: goods, namespace: other}",
            ),
            "found ConfigMap goods in the namespace other; expected it in the namespace shop",
        ),
        (
            "a wrong CSV",
            change("mug-2,Red mug,/red.jpg", "mug-1,Red mug,"),
            "line 30: ConfigMap goods, key items.csv: line 3: id: found `mug-1` again",
        ),
    ]);
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
fn everything_that_is_referred_to_and_cannot_be_used_is_said_with_its_reason() {
    let text = whole()
        .replace("{name: goods, namespace: shop}", "{name: goods}")
        .replace("{redis: \"redis", "{rediss: \"redis")
        .replace("cG9zdGdyZXM6Ly91QDEyNy4wLjAuMS9kYg==", "/w==");
    assert_eq!(
        refusal(&text),
        "line 10: spec.catalog.configMapRef: found ConfigMap goods in the namespace default; \
         expected it in the namespace shop, where the FlashSale is\n\
         line 14: spec.redis.secretKeyRef: found Secret stores without the key redis; expected the \
         key in it, or --redis-url\n\
         line 16: spec.postgres.secretKeyRef: found bytes that are not UTF-8 in Secret stores, key \
         postgres; expected UTF-8 text, or --postgres-url"
    );
    let twice = format!(
        "{}---\napiVersion: v1\nkind: Secret\nmetadata: {{name: stores, namespace: shop}}\n",
        whole()
    );
    assert_eq!(
        refusal(&twice),
        "line 35: found Secret stores again; expected it once"
    );
}

#[test]
fn a_document_behind_its_marker_a_byte_order_mark_and_other_line_ends_change_nothing() {
    let manifest = |text: &str| {
        let read = read(text.as_bytes(), GivenBackends::default());
        read.unwrap_or_else(|error| panic!("{error}"))
    };
    let secret = "--- {apiVersion: v1, kind: Secret, metadata: {name: stores, namespace: shop}, \
                  stringData: {redis: \"redis://127.0.0.1:7000\", postgres: \"postgres://u@127.0.0.1/db\"}}\n";
    let a = whole().find("---\napiVersion: v1\nkind: Secret").unwrap();
    let b = whole().find("---\n# an empty").unwrap();
    let inline = format!("{}{secret}{}", &whole()[..a], &whole()[b..]);
    let usual = manifest(&whole()).urls;
    assert!(manifest(&inline).urls == usual);

    let windows = format!("\u{feff}---\r\n{}", whole().replace('\n', "\r\n"));
    let read = manifest(&windows);
    assert!(read.urls == usual);
    let ResolvedCatalog::Listed(catalog) = read.catalog else {
        panic!("the ConfigMap is not read")
    };
    assert_eq!(catalog.by_id("mug-2").unwrap().name, "Red mug");
    assert_eq!(
        refusal(&windows.replace("total: 2", "total: 0")),
        "line 13: spec.limits.total: found 0; expected 1 to 1000000"
    );
}

#[test]
fn bytes_that_are_no_text_are_refused_with_their_line() {
    let mut bytes = whole().into_bytes();
    let at = whole().find("Blue mug").unwrap();
    bytes[at] = 0xff;
    let Err(error) = read(&bytes, GivenBackends::default()) else {
        panic!("it was taken")
    };
    assert!(
        error
            .to_string()
            .starts_with("line 32: found bytes that are not UTF-8"),
        "{error}"
    );
}

#[test]
fn the_samples_in_the_tree_can_be_carried_out() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../k8s/samples");
    let mut samples = 0;
    for file in std::fs::read_dir(folder).unwrap() {
        let path = file.unwrap().path();
        let given = GivenBackends::at("redis://r:1", "postgres://p/d");
        let read = read(&std::fs::read(&path).unwrap(), given);
        assert!(read.is_ok(), "{}: {}", path.display(), read.err().unwrap());
        samples += 1;
    }
    assert!(samples > 0);
}
