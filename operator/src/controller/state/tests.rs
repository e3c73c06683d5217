//! What the state of a FlashSale does with validations, steps and errors, without a cluster.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use flashsale_engine::{Ambient, Certificates};

use super::*;
use crate::backends::{PostgresUrl, RedisUrl};
use crate::driver::ResolvedCatalog;
use crate::planner::{FieldError, validate};
use crate::status::{Change, Refusal};

fn at(time: &str) -> Timestamp {
    format!("2026-11-23T{time}Z").parse().unwrap()
}

fn flash_sale() -> FlashSale {
    let manifest = "{apiVersion: flashsale.dev/v1alpha1, kind: FlashSale, metadata: {name: hourly, \
        namespace: shop, generation: 3}, spec: {schedule: 0 * * * *, duration: 30m, \
        catalog: {generate: {count: 100}}, redis: {secretKeyRef: {name: r, key: url}}, \
        postgres: {secretKeyRef: {name: p, key: url}}}}";
    serde_yaml_ng::from_str(manifest).unwrap()
}

/// The FlashSale with its backends at this host, and Secrets of this revision.
fn valid(host: &str, secrets_revision: &str) -> Valid {
    Valid {
        settings: validate(&flash_sale()).unwrap(),
        catalog: ResolvedCatalog::Generated(100),
        urls: CheckedUrls::new(
            (
                RedisUrl::parse("", &format!("redis://{host}:6379")).unwrap(),
                Certificates::NONE,
            ),
            (
                PostgresUrl::parse("", &format!("postgres://{host}/db")).unwrap(),
                Certificates::NONE,
            ),
        ),
        secrets_revision: secrets_revision.to_owned(),
    }
}

fn accept(state: &mut State, host: &str, secrets_revision: &str) {
    let valid = valid(host, secrets_revision);
    let backends = Arc::new(Backends::new(
        valid.urls.clone(),
        Ambient::system().unwrap(),
    ));
    state.accept(&flash_sale(), valid, backends, 4);
}

fn refuse(state: &mut State) {
    let error = FieldError {
        path: "spec.schedule".to_owned(),
        found: "x".to_owned(),
        expected: "y".to_owned(),
    };
    let refused = Refused {
        why: Refusal::Invalid,
        errors: vec![error],
    };
    state.refuse(&flash_sale(), refused, at("08:00:00"));
}

fn step(next_at: Option<Timestamp>, scale: Option<Scale>, reasons: &[&'static str]) -> Step {
    let change = |reason: &&'static str| Change {
        reason,
        message: String::new(),
        warning: false,
    };
    Step {
        changes: reasons.iter().map(change).collect(),
        error: None,
        scale,
        next_at,
    }
}

#[test]
fn the_number_of_pods_stays_until_the_first_plan_and_then_follows_it() {
    let mut state = State::default();
    accept(&mut state, "a", "1");
    let replicas = |state: &State| state.accepted.as_ref().unwrap().replicas;
    state.record_step(step(None, None, &[]), at("08:00:00"));
    assert_eq!(replicas(&state), 4, "Postgres was not observed");
    state.record_step(step(None, Some(Scale::Sale), &[]), at("08:00:01"));
    assert_eq!(replicas(&state), 6);
    accept(&mut state, "a", "1");
    assert_eq!(replicas(&state), 6, "a new revision keeps the number");
    state.record_step(step(None, Some(Scale::Idle), &[]), at("08:00:02"));
    assert_eq!(replicas(&state), 2);
}

#[test]
fn pods_are_replaced_only_when_the_urls_in_the_secrets_change() {
    let mut state = State::default();
    let revision = |state: &State| state.accepted.as_ref().unwrap().secrets_revision.clone();
    accept(&mut state, "a", "1");
    accept(&mut state, "a", "2");
    assert_eq!(revision(&state), "1", "only a label has changed");
    accept(&mut state, "b", "3");
    assert_eq!(revision(&state), "3");
}

#[test]
fn a_refused_flash_sale_keeps_its_last_valid_revision_and_is_not_reported_as_ready() {
    let mut state = State::default();
    accept(&mut state, "a", "1");
    let reasons = |state: &State| state.events.reasons();
    refuse(&mut state);
    assert_eq!(reasons(&state), ["NotReady"]);
    assert!(state.accepted.is_some());
    state.record_step(step(None, None, &["Ready", "Opened"]), at("08:00:01"));
    assert_eq!(reasons(&state), ["NotReady", "Opened"]);

    accept(&mut state, "a", "1");
    assert!(state.refused.is_none());
    state.record_step(step(None, None, &["Ready"]), at("08:00:02"));
    assert_eq!(reasons(&state), ["NotReady", "Opened", "Ready"]);
}

#[test]
fn a_step_is_due_at_its_time_and_after_a_clock_that_was_set_back() {
    let mut state = State::default();
    assert!(state.is_step_due(at("08:00:00")));
    state.record_step(step(Some(at("08:00:05")), None, &[]), at("08:00:00"));
    assert!(!state.is_step_due(at("08:00:04")));
    assert_eq!(state.requeue_after(at("08:00:04")), Duration::from_secs(1));
    assert!(state.is_step_due(at("08:00:05")));
    assert_eq!(state.requeue_after(at("08:00:09")), Duration::ZERO);
    assert!(state.is_step_due(at("07:00:00")), "an hour back");

    // Without a planned step the backends are observed every ten minutes.
    state.record_step(step(None, None, &[]), at("08:00:00"));
    assert!(!state.is_step_due(at("08:09:59")));
    assert!(state.is_step_due(at("08:10:00")));
    assert_eq!(state.requeue_after(at("08:00:00")), LONGEST_REQUEUE);
}

#[test]
fn an_error_does_not_delay_the_next_step() {
    let mut state = State::default();
    state.record_step(step(Some(at("08:00:03")), None, &[]), at("08:00:00"));
    let waits = [0; 4].map(|_| state.requeue_after_error(at("08:00:00")));
    assert_eq!(waits, [1, 2, 3, 3].map(Duration::from_secs));
    // A step that is due already waits for the first retry, too.
    assert_eq!(state.requeue_after_error(at("08:00:04")), FIRST_RETRY);
}

#[test]
fn a_deletion_takes_the_backends_of_the_last_valid_revision_once() {
    let mut state = State::default();
    accept(&mut state, "a", "1");
    state.backoff.next();
    assert!(state.deletion().backends.is_some());
    assert!(
        state.accepted.is_none(),
        "its sales are not followed any more"
    );
    assert!(
        !state.backoff.has_failed(),
        "its failures are those of the deletion"
    );
    state.backoff.next();
    assert!(state.deletion().backends.is_some());
    assert!(state.backoff.has_failed());
    assert!(State::default().deletion().backends.is_none());
}
