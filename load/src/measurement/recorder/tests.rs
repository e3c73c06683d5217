#![allow(clippy::unwrap_used)]
use super::*;

fn took(milliseconds: u64) -> Timing {
    Timing {
        start: Instant::now(),
        latency: Duration::from_millis(milliseconds),
    }
}

#[test]
fn calls_are_counted_by_endpoint_and_status_and_stages_apart() {
    let mut recorder = Recorder::start(Instant::now());
    recorder.record(Endpoint::Checkout, 200, took(1), false);
    recorder.record(Endpoint::Checkout, 0, took(9), true);
    recorder.begin_stage(Instant::now());
    recorder.record(Endpoint::Purchase, 409, took(2), false);

    let endpoints: Vec<_> = recorder.endpoints().collect();
    assert_eq!(endpoints.len(), 2);
    assert_eq!(endpoints[0].0, Endpoint::Checkout);
    assert_eq!(endpoints[0].1.status(), BTreeMap::from([(0, 1), (200, 1)]));
    assert_eq!(recorder.stage().requests, 1);
    assert_eq!(recorder.so_far(), (3, 1));
    assert!((recorder.total().latency.max_ms() - 9.0).abs() < f64::EPSILON);
}

#[test]
fn a_call_that_never_started_is_an_error_and_as_slow_as_its_wait() {
    let mut recorder = Recorder::start(Instant::now());
    recorder.record(Endpoint::Checkout, 200, took(1), false);
    for _ in 0..3 {
        recorder.record_never_started(took(900));
    }
    for tally in [recorder.stage(), &recorder.total()] {
        assert_eq!(
            (tally.requests, tally.never_started, tally.errors),
            (1, 3, 3)
        );
        assert!((tally.error_share() - 0.75).abs() < f64::EPSILON);
        assert_eq!(tally.latency.count(), 4);
        assert!((tally.latency.percentile_ms(50.0) - 900.0).abs() < 9.0);
    }
    let (_, checkout) = recorder.endpoints().next().unwrap();
    assert_eq!(
        checkout.latency.count(),
        1,
        "it was never sent to an endpoint"
    );
    recorder.end_point(Instant::now(), 0);
    assert!(recorder.timeline()[0].errors_per_second > 0.0);
    recorder.begin_stage(Instant::now());
    assert_eq!((recorder.stage().errors, recorder.total().errors), (0, 3));
}

#[test]
fn silence_is_counted_by_its_kind_with_one_reason_each() {
    let mut recorder = Recorder::start(Instant::now());
    let second = Duration::from_secs(1);
    for why in [
        NoAnswer::TimedOut(second),
        NoAnswer::Connect(std::io::Error::from_raw_os_error(24)),
        NoAnswer::TimedOut(second * 2),
    ] {
        recorder.record_no_answer(&why);
    }
    let [slow, no_files] = recorder.no_answers() else {
        panic!("{:?}", recorder.no_answers());
    };
    assert_eq!((slow.kind, slow.count), ("time-out", 2));
    assert_eq!(slow.sample, "no answer within 1 s");
    assert_eq!(no_files.count, 1);
    assert!(no_files.sample.contains("ulimit -n"), "{}", no_files.sample);
}

#[test]
fn the_first_second_is_that_of_the_intended_starts_in_the_first_stage() {
    let began = Instant::now();
    let mut recorder = Recorder::start(began);
    let starting_after = |start_ms, latency_ms| Timing {
        start: began + Duration::from_millis(start_ms),
        latency: Duration::from_millis(latency_ms),
    };
    recorder.begin_stage(began);
    recorder.record(Endpoint::Checkout, 200, starting_after(0, 5), false);
    // It was answered behind the first second, but meant to start in it.
    recorder.record(Endpoint::Checkout, 503, starting_after(999, 40), true);
    recorder.record(Endpoint::Checkout, 200, starting_after(1_000, 900), false);
    recorder.record_never_started(starting_after(500, 3_000));
    recorder.record_never_started(starting_after(1_500, 2_000));
    recorder.begin_stage(began + Duration::from_secs(5));
    recorder.record(Endpoint::Checkout, 200, starting_after(5_100, 900), false);
    let first = recorder.first_second();
    assert_eq!(
        (first.requests, first.never_started, first.errors),
        (2, 1, 2)
    );
    assert!((first.latency.max_ms() - 3_000.0).abs() < f64::EPSILON);
    assert!((first.latency.percentile_ms(50.0) - 40.0).abs() < 1.0);
}

#[test]
fn the_time_until_the_last_sale_begins_with_the_load() {
    let began = Instant::now();
    let mut recorder = Recorder::start(began);
    let loaded = began + Duration::from_secs(3);
    recorder.begin_stage(loaded);
    assert_eq!(recorder.sold_within(), None);
    for second in [1, 2] {
        recorder.record_sale(loaded + Duration::from_secs(second));
    }
    assert_eq!(recorder.sold_within(), Some(Duration::from_secs(2)));
}
