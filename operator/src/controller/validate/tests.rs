//! References that are resolved, and references that are not.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn flash_sale(spec: &str) -> FlashSale {
    let manifest = format!(
        "apiVersion: flashsale.dev/v1alpha1\nkind: FlashSale\n\
         metadata: {{name: deal, namespace: shop}}\n\
         spec: {{schedule: 0 * * * *, {spec} \
         redis: {{secretKeyRef: {{name: stores, key: redis}}}}, \
         postgres: {{secretKeyRef: {{name: stores, key: postgres}}}}}}"
    );
    serde_yaml_ng::from_str(&manifest).unwrap()
}

const MADE_UP: &str = "catalog: {generate: {count: 100}},";
const LISTED: &str = "catalog: {configMapRef: {name: goods, key: items.csv}},";

fn backend(url: Resolved, certificates: &[(&str, &str)]) -> ResolvedBackend {
    let certificates = certificates.iter();
    ResolvedBackend {
        url,
        certificates: certificates
            .map(|(name, text)| ((*name).to_owned(), text.as_bytes().to_vec()))
            .collect(),
    }
}

fn references(redis: &str, postgres: &str, csv: Option<&str>) -> ResolvedReferences {
    ResolvedReferences {
        redis: backend(Ok(redis.into()), &[]),
        postgres: backend(Ok(postgres.into()), &[]),
        catalog: csv.map(|csv| Ok(csv.into())),
        secrets_revision: "1-2".to_owned(),
    }
}

const REDIS: &str = "redis://user:hunter2@redis:6379\n";
const POSTGRES: &str = "postgres://user:hunter2@postgres/db\n";

fn refusal(flash_sale: &FlashSale, references: &ResolvedReferences) -> (Refusal, Vec<String>) {
    match validate(flash_sale, references) {
        Ok(_) => panic!("it was taken"),
        Err(Refused { why, errors }) => (why, errors.iter().map(ToString::to_string).collect()),
    }
}

#[test]
fn what_is_there_and_right_can_be_carried_out() {
    let valid = validate(&flash_sale(MADE_UP), &references(REDIS, POSTGRES, None))
        .unwrap_or_else(|refused| panic!("{refused:?}"));
    assert_eq!(valid.settings.name.as_str(), "shop.deal");
    assert!(matches!(valid.catalog, ResolvedCatalog::Generated(100)));

    let csv = "id,name,image_url\na,An item,https://x.example/a.webp\n";
    let listed = references(REDIS, POSTGRES, Some(csv));
    let valid =
        validate(&flash_sale(LISTED), &listed).unwrap_or_else(|refused| panic!("{refused:?}"));
    assert!(matches!(valid.catalog, ResolvedCatalog::Listed(catalog) if catalog.len() == 1));
}

#[test]
fn what_is_missing_is_named_with_how_to_make_it_all_at_once() {
    let missing = ResolvedReferences {
        redis: backend(Err("no Secret stores".to_owned()), &[]),
        postgres: backend(
            Err("Secret stores without the key postgres".to_owned()),
            &[],
        ),
        catalog: Some(Err("no ConfigMap goods".to_owned())),
        secrets_revision: String::new(),
    };
    let (why, errors) = refusal(&flash_sale(LISTED), &missing);
    assert_eq!(why, Refusal::Reference);
    let begins = [
        "spec.redis.secretKeyRef: found no Secret stores; expected Secret stores with the key \
         redis in the namespace of the FlashSale; `kubectl create secret generic stores",
        "spec.postgres.secretKeyRef: found Secret stores without the key postgres; expected",
        "spec.catalog.configMapRef: found no ConfigMap goods; expected ConfigMap goods with the \
         key items.csv in the namespace of the FlashSale; `kubectl create configmap goods",
    ];
    assert_eq!(errors.len(), begins.len(), "{errors:?}");
    for (error, begin) in errors.iter().zip(begins) {
        assert!(error.starts_with(begin), "{error}");
    }
}

#[test]
fn what_a_secret_holds_is_never_said() {
    let cases = [
        ("hunter2", POSTGRES),
        ("redis://user:hunter2@", POSTGRES),
        (REDIS, "hunter2"),
        (REDIS, "postgres://user:hunter2@db:port/x"),
        ("hunter2", "mysql://hunter2"),
    ];
    for (redis, postgres) in cases {
        let (why, errors) = refusal(&flash_sale(MADE_UP), &references(redis, postgres, None));
        assert_eq!(why, Refusal::Reference);
        let wrong_ones = [redis != REDIS, postgres != POSTGRES];
        assert_eq!(
            errors.len(),
            wrong_ones.iter().filter(|wrong| **wrong).count()
        );
        assert!(!errors.join(" ").contains("hunter2"), "{errors:?}");
    }
    let bytes = ResolvedReferences {
        redis: backend(Ok(b"redis://hunter2\xff".to_vec()), &[]),
        ..references("", POSTGRES, None)
    };
    let (_, errors) = refusal(&flash_sale(MADE_UP), &bytes);
    assert_eq!(
        errors,
        [
            "spec.redis.secretKeyRef: found bytes that are not UTF-8 in Secret stores, key redis; \
          expected UTF-8 text"
        ]
    );
}

#[test]
fn certificates_that_cannot_be_used_are_named_beside_a_wrong_url() {
    let unusable = ResolvedReferences {
        redis: backend(Ok(REDIS.into()), &[("ca.crt", "hunter2")]),
        postgres: backend(Ok("hunter2".into()), &[("tls.key", "hunter2")]),
        ..references("", "", None)
    };
    let (why, errors) = refusal(&flash_sale(MADE_UP), &unusable);
    assert_eq!(why, Refusal::Reference);
    let [authority, url, alone] = &errors[..] else {
        panic!("{errors:?}")
    };
    let found =
        "spec.redis.secretKeyRef: found no certificate in PEM under ca.crt in Secret stores";
    assert!(authority.starts_with(found), "{authority}");
    assert!(
        url.starts_with("spec.postgres.secretKeyRef: found another scheme"),
        "{url}"
    );
    let found = "spec.postgres.secretKeyRef: found tls.key without tls.crt in Secret stores";
    assert!(alone.starts_with(found), "{alone}");
    assert!(!errors.join(" ").contains("hunter2"), "{errors:?}");
}

#[test]
fn a_resource_that_is_wrong_alone_is_invalid_whatever_it_refers_to() {
    let wrong_cron = flash_sale(MADE_UP);
    let mut wrong_cron = wrong_cron;
    wrong_cron.spec.schedule = Some("every hour".to_owned());
    let (why, errors) = refusal(&wrong_cron, &references(REDIS, "", None));
    assert_eq!(why, Refusal::Invalid);
    assert!(errors[0].starts_with("spec.schedule: found"), "{errors:?}");
}

#[test]
fn a_catalogue_with_a_wrong_line_or_too_few_items_is_refused() {
    let wrong_line = references(REDIS, POSTGRES, Some("id,name,image_url\na,An item\n"));
    let (why, errors) = refusal(&flash_sale(LISTED), &wrong_line);
    assert_eq!(why, Refusal::Reference);
    assert!(
        errors[0].starts_with("spec.catalog.configMapRef: found ConfigMap goods, key items.csv: "),
        "{errors:?}"
    );
    assert!(errors[0].contains("line 2"), "{errors:?}");

    let few = references(
        REDIS,
        POSTGRES,
        Some("id,name,image_url\na,An item,https://x.example/a.webp\n"),
    );
    let spec = format!("{LISTED} limits: {{total: 5}},");
    let (_, errors) = refusal(&flash_sale(&spec), &few);
    assert_eq!(
        errors,
        ["spec.limits.total: found 5; expected at most the 1 items of the catalogue"]
    );
}
