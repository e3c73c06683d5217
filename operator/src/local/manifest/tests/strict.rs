//! What the API server would refuse is refused here too, and no secret is shown.

use super::*;

#[test]
fn values_of_secrets_are_never_shown_however_they_are_misplaced() {
    let secret = |lines: &str| {
        let stated = "stringData: {redis: \"redis://127.0.0.1:7000\"}\n\
                      data: {postgres: cG9zdGdyZXM6Ly91QDEyNy4wLjAuMS9kYg==}";
        assert!(whole().contains(stated));
        whole().replace(stated, lines)
    };
    let cases = [
        (
            secret("stringData: redis://u:hunter2@h"),
            "line 21: Secret stores: stringData: found a text that is not shown; expected a map",
        ),
        (
            secret("data: {redis: \"redis://u:hunter2@h\"}"),
            "Secret stores: data.redis: found a text that is not base64 and is not shown; \
             expected base64; plain text belongs under stringData",
        ),
        (
            secret("stringData: {redis: [\"redis://u:hunter2@h\"]}"),
            "Secret stores: stringData.redis: found a list",
        ),
        (
            secret("stringData: {redis: 1234567}"),
            "Secret stores: stringData.redis: found a value that is not shown; expected a text",
        ),
        (
            secret("stringData:\nredis://u:hunter2@h: x"),
            "line 22: Secret stores: (not shown): found an unknown field",
        ),
        (
            secret("stringData: {redis: hunter2}"),
            "spec.redis.secretKeyRef: found another scheme in address 1 of 1 of Redis",
        ),
        (
            whole().replace("{name: stores, key: redis}", "\"redis://u:hunter2@h\""),
            "line 14: spec.redis.secretKeyRef: found a text that is not shown; expected a map",
        ),
        (
            whole().replace(
                "{name: stores, key: redis}",
                "{name: \"redis://u:hunter2@h\", key: a}",
            ),
            "line 14: spec.redis.secretKeyRef.name: found a text that is not shown",
        ),
    ];
    for (text, expected) in cases {
        let message = refusal(&text);
        assert!(
            message.contains(expected),
            "`{message}` is not `{expected}`"
        );
        for secret in ["hunter2", "1234567"] {
            assert!(!message.contains(secret), "{message}");
        }
    }
}

#[test]
fn what_a_kind_does_not_have_is_refused_in_every_document() {
    let change = |from: &str, to: &str| {
        assert!(whole().contains(from), "{from}");
        whole().replacen(from, to, 1)
    };
    let cases = [
        (
            change("kind: FlashSale\n", "kind: FlashSale\nsepc: {}\n"),
            "line 3: sepc: found an unknown field; expected one of apiVersion, kind, metadata, spec",
        ),
        (
            change("  namespace: shop\n", "  namepsace: shop\n"),
            "line 5: metadata.namepsace: found an unknown field; expected one of annotations,",
        ),
        (
            change("stringData:", "stringdata:"),
            "line 21: Secret stores: stringdata: found an unknown field; expected one of apiVersion, data,",
        ),
        (
            change("data:\n  items.csv", "dat:\n  items.csv"),
            "line 29: ConfigMap goods: dat: found an unknown field; expected one of apiVersion, binaryData,",
        ),
        (
            change(
                "  namespace: shop\n",
                "  namespace: shop\n  labels: {a: 1}\n",
            ),
            "line 6: metadata.labels.a: found 1; expected a text",
        ),
        (
            change("  duration: 1h\n", "  duration: 1h\n  duration: 2h\n"),
            "duplicate entry with key \"duration\"",
        ),
    ];
    for (text, expected) in cases {
        let message = refusal(&text);
        assert!(
            message.contains(expected),
            "`{message}` is not `{expected}`"
        );
    }
    // What every resource has is no unknown field, and is not read.
    let more = "  labels: {app: shop}\n  annotations: {\"example.com/a.b\": x}\n  finalizers: [a]\n  \
                creationTimestamp: null\n";
    let text = change("  namespace: shop\n", &format!("  namespace: shop\n{more}"));
    let read = read(text.as_bytes(), GivenBackends::default());
    assert!(read.is_ok(), "{}", read.err().unwrap());
}

#[test]
fn bounds_of_the_definition_hold_here_too() {
    let spec = |lines: &str| whole().replace("  duration: 1h\n", &format!("{lines}\n"));
    let cases = [
        (
            "  api: {service: {port: 70000}}",
            "line 8: spec.api.service.port: found 70000; expected 1 to 65535",
        ),
        (
            "  api: {autoscaling: {maxReplicas: 9, targetCPUUtilizationPercentage: 500}}",
            "spec.api.autoscaling.targetCPUUtilizationPercentage: found 500; expected 1 to 100",
        ),
        (
            "  api:\n    ingress: {host: ''}",
            "line 9: spec.api.ingress.host: found nothing; expected 1 to 253 characters",
        ),
        (
            "  api: {ingress: {}}",
            "spec.api.ingress.host: found nothing; expected a value",
        ),
        (
            "  api: {service: {type: External}}",
            "spec.api.service.type: found the text `External`; expected one of ClusterIP, NodePort, LoadBalancer",
        ),
        (
            "  api: {podTemplate: {tolerations: [{key: a, efect: b}]}}",
            "spec.api.podTemplate.tolerations[0].efect: found an unknown field",
        ),
        (
            "  attempts: most",
            "spec.attempts: found the text `most`; expected one of exact, bestEffort",
        ),
        (
            "  attemptsRetentionDays: 4000000000",
            "spec.attemptsRetentionDays: found 4000000000; expected 1 to 3650",
        ),
        (
            "  attemptsRetentionDays: 1.5",
            "spec.attemptsRetentionDays: found 1.5; expected a whole number",
        ),
        (
            "  suspend: \"true\"",
            "spec.suspend: found the text `true`; expected true or false",
        ),
        (
            "  duration: \"\"",
            "spec.duration: found nothing; expected hours, minutes and seconds",
        ),
    ];
    for (lines, expected) in cases {
        let message = refusal(&spec(lines));
        assert!(
            message.contains(expected),
            "`{message}` is not `{expected}`"
        );
        assert_eq!(message.lines().count(), 1, "one message: {message}");
    }
}

#[test]
fn a_long_text_is_refused_and_shown_in_part() {
    let long = format!("\"0 {} * * *\"", "1,".repeat(60) + "2");
    let message = refusal(&whole().replace("\"0 * * * *\"", &long));
    assert!(
        message.starts_with("line 7: spec.schedule: found the text `0 1,1,"),
        "{message}"
    );
    assert!(
        message.ends_with("expected 1 to 100 characters"),
        "{message}"
    );
}

#[test]
fn a_field_that_is_left_empty_is_as_good_as_none() {
    let text = whole()
        .replace(
            "  limits:\n    total: 2\n",
            "  limits:\n  api:\n  startingDeadlineSeconds:\n",
        )
        .replace("  duration: 1h\n", "  duration:\n");
    let manifest = read(text.as_bytes(), GivenBackends::default());
    let settings = manifest.unwrap_or_else(|error| panic!("{error}")).settings;
    assert_eq!((settings.per_user, settings.sale_replicas), (10, 6));
    assert_eq!(settings.duration, jiff::SignedDuration::from_hours(1));
}
