#![allow(clippy::unwrap_used, clippy::expect_used)]

use super::*;

fn cron(expression: &str, zone: &str) -> Schedule {
    Schedule::Cron(Box::new(
        CronSchedule::parse(expression, TimeZone::get(zone).unwrap()).unwrap(),
    ))
}

fn at(time: &str) -> Timestamp {
    time.parse().unwrap()
}

/// What a table's row must give: from this moment on, these are the next starts.
#[track_caller]
fn starts(expression: &str, zone: &str, from: &str, expected: &[&str]) {
    let schedule = cron(expression, zone);
    let mut now = at(from);
    for expected in expected {
        let next = schedule.next_after(now).expect("a further start");
        assert_eq!(next, at(expected), "{expression} in {zone} after {now}");
        // Looking back from anywhere until the following start finds the same one.
        assert_eq!(schedule.last_until(next), Some(next), "at {next}");
        let following = schedule.next_after(next).expect("a further start");
        assert_eq!(
            schedule.last_until(following - TICK),
            Some(next),
            "before {following}"
        );
        assert!(schedule.has(next) && !schedule.has(next + TICK));
        now = next;
    }
}

#[test]
fn hours_days_and_weekdays_in_utc() {
    let utc = "Etc/UTC";
    starts(
        "0 * * * *",
        utc,
        "2026-11-23T07:59:59.5Z",
        &["2026-11-23T08:00Z", "2026-11-23T09:00Z"],
    );
    starts(
        "0 * * * *",
        utc,
        "2026-11-23T08:00:00Z",
        &["2026-11-23T09:00Z"],
    );
    starts(
        "@hourly",
        utc,
        "2026-12-31T23:10:00Z",
        &["2027-01-01T00:00Z"],
    );
    starts(
        "*/20 8 * * MON-FRI",
        utc,
        "2026-11-20T08:30:00Z",
        &["2026-11-20T08:40Z", "2026-11-23T08:00Z"],
    );
    // As in cron, a day matches by its date or by its weekday where both are given.
    starts(
        "0 12 13 * FRI",
        utc,
        "2026-11-12T00:00:00Z",
        &["2026-11-13T12:00Z", "2026-11-20T12:00Z"],
    );
    starts(
        "0 20 * * FRI#L",
        utc,
        "2026-11-01T00:00:00Z",
        &["2026-11-27T20:00Z", "2026-12-25T20:00Z"],
    );
}

#[test]
fn a_leap_day_comes_every_four_years_and_not_in_2100() {
    let utc = "Etc/UTC";
    starts(
        "0 9 29 2 *",
        utc,
        "2026-03-01T00:00:00Z",
        &["2028-02-29T09:00Z", "2032-02-29T09:00Z"],
    );
    starts(
        "0 9 29 2 *",
        utc,
        "2096-03-01T00:00:00Z",
        &["2104-02-29T09:00Z"],
    );
    // In a zone with clock changes the search passes sixteen of them.
    starts(
        "0 9 29 2 *",
        "Europe/Berlin",
        "2096-03-01T00:00:00Z",
        &["2104-02-29T08:00Z"],
    );
}

#[test]
fn a_time_zone_moves_the_start() {
    starts(
        "0 8 * * *",
        "Asia/Kolkata",
        "2026-11-23T00:00:00Z",
        &["2026-11-23T02:30Z"],
    );
    starts(
        "0 8 * * *",
        "America/New_York",
        "2026-11-23T00:00:00Z",
        &["2026-11-23T13:00Z"],
    );
    // The same wall clock time, before and after the change to summer time.
    starts(
        "0 8 * * *",
        "Europe/Berlin",
        "2027-03-27T00:00:00Z",
        &["2027-03-27T07:00Z", "2027-03-28T06:00Z"],
    );
}

// Berlin goes from 02:00 to 03:00 on 2027-03-28 at 01:00 UTC.
#[test]
fn a_time_that_the_clock_skips_opens_nothing_that_day() {
    let berlin = "Europe/Berlin";
    starts(
        "30 2 * * *",
        berlin,
        "2027-03-27T00:00:00Z",
        &["2027-03-27T01:30Z", "2027-03-29T00:30Z"],
    );
    starts(
        "0 2 28 3 *",
        berlin,
        "2027-01-01T00:00:00Z",
        &["2028-03-28T00:00Z"],
    );
    // 03:00 is there: it is the first moment after the change.
    starts(
        "0 3 * * *",
        berlin,
        "2027-03-27T12:00:00Z",
        &["2027-03-28T01:00Z", "2027-03-29T01:00Z"],
    );
    // Every hour is every hour of real time.
    starts(
        "0 * * * *",
        berlin,
        "2027-03-28T00:00:00Z",
        &["2027-03-28T01:00Z", "2027-03-28T02:00Z"],
    );
}

// Berlin goes from 03:00 back to 02:00 on 2026-10-25 at 01:00 UTC.
#[test]
fn a_time_that_the_clock_repeats_opens_twice_that_day() {
    let berlin = "Europe/Berlin";
    starts(
        "30 2 * * *",
        berlin,
        "2026-10-24T12:00:00Z",
        &[
            "2026-10-25T00:30Z",
            "2026-10-25T01:30Z",
            "2026-10-26T01:30Z",
        ],
    );
    starts(
        "0 2 * * *",
        berlin,
        "2026-10-25T00:30:00Z",
        &["2026-10-25T01:00Z", "2026-10-26T01:00Z"],
    );
    starts(
        "0 3 * * *",
        berlin,
        "2026-10-24T12:00:00Z",
        &["2026-10-25T02:00Z"],
    );
    starts(
        "*/30 * * * *",
        berlin,
        "2026-10-25T00:00:00Z",
        &[
            "2026-10-25T00:30Z",
            "2026-10-25T01:00Z",
            "2026-10-25T01:30Z",
            "2026-10-25T02:00Z",
        ],
    );
}

// Lord Howe moves by half an hour; Samoa once left out a whole day.
#[test]
fn odd_clock_changes_are_followed_too() {
    starts(
        "15 2 * * *",
        "Australia/Lord_Howe",
        "2026-10-03T00:00:00Z",
        &["2026-10-04T15:15Z"],
    );
    starts(
        "0 12 30 12 *",
        "Pacific/Apia",
        "2011-01-01T00:00:00Z",
        &["2012-12-29T22:00Z"],
    );
}

#[test]
fn the_macros_and_steps_of_a_cron_job_are_understood() {
    let utc = "Etc/UTC";
    let from = "2026-11-23T07:50:00Z";
    let cases: [(&str, [&str; 2]); 10] = [
        ("@hourly", ["2026-11-23T08:00Z", "2026-11-23T09:00Z"]),
        ("@midnight", ["2026-11-24T00:00Z", "2026-11-25T00:00Z"]),
        ("@daily", ["2026-11-24T00:00Z", "2026-11-25T00:00Z"]),
        ("@weekly", ["2026-11-29T00:00Z", "2026-12-06T00:00Z"]),
        ("@monthly", ["2026-12-01T00:00Z", "2027-01-01T00:00Z"]),
        ("@annually", ["2027-01-01T00:00Z", "2028-01-01T00:00Z"]),
        ("@yearly", ["2027-01-01T00:00Z", "2028-01-01T00:00Z"]),
        ("5/25 * * * *", ["2026-11-23T07:55Z", "2026-11-23T08:05Z"]),
        ("0 20/3,1 * * *", ["2026-11-23T20:00Z", "2026-11-23T23:00Z"]),
        // To Saturday: Sunday is the first day of this field, not also its last.
        ("0 0 * * 3/2", ["2026-11-25T00:00Z", "2026-11-27T00:00Z"]),
    ];
    for (expression, expected) in cases {
        starts(expression, utc, from, &expected);
    }
    starts(
        "0 0 * * 3/2",
        utc,
        "2026-11-27T12:00:00Z",
        &["2026-12-02T00:00Z"],
    );
}

#[test]
fn a_single_start_is_ahead_once() {
    let once = Schedule::Once(at("2026-11-27T08:00:15Z"));
    assert_eq!(
        once.next_after(at("2026-11-27T08:00:14Z")),
        Some(at("2026-11-27T08:00:15Z"))
    );
    assert_eq!(once.next_after(at("2026-11-27T08:00:15Z")), None);
    assert_eq!(once.last_until(at("2026-11-27T08:00:14Z")), None);
    assert_eq!(
        once.last_until(at("2027-01-01T00:00:00Z")),
        Some(at("2026-11-27T08:00:15Z"))
    );
}

#[test]
fn what_is_no_schedule_is_refused_with_a_reason() {
    let cases = [
        ("", "empty"),
        ("0 * * *", "5 fields"),
        ("0 0 * * * *", "5 fields"),
        ("60 * * * *", "out of bounds"),
        ("0 25 * * *", "out of bounds"),
        ("0 0 * * FUNDAY", "illegal character"),
        ("TZ=Europe/Berlin 0 8 * * *", "5 fields"),
        ("@every 1h", "5 fields"),
        ("0 0 30 2 *", "never matches"),
    ];
    for (expression, reason) in cases {
        let error = CronSchedule::parse(expression, TimeZone::UTC).expect_err(expression);
        assert!(
            error.contains(reason),
            "`{expression}`: `{error}` does not contain `{reason}`"
        );
    }
}

#[test]
fn the_closest_starts_limit_how_long_a_sale_may_be() {
    let closest = |expression: &str| {
        let Schedule::Cron(cron) = cron(expression, "Etc/UTC") else {
            unreachable!()
        };
        cron.closest_starts().map(|(a, b)| b.duration_since(a))
    };
    let hours = |hours| Some(SignedDuration::from_hours(hours));
    assert_eq!(closest("0 * * * *"), hours(1));
    assert_eq!(closest("0 8,12,22 * * *"), hours(4));
    assert_eq!(closest("0 0 1 * *"), hours(28 * 24));
    assert_eq!(closest("0 22 * * MON,TUE"), hours(24));
}
