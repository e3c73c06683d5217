//! What the plan of the variants holds, and what the tables print.

use super::*;
use crate::bench::{accounting::CpuUs, load::LoadResult};

fn run(variant: Variant) -> ScaleRun {
    let requests = 20_000_u64;
    let each = requests as f64;
    let cpu_us = CpuUs {
        api: 40.0,
        redis_masters: 20.0,
        redis_replicas: 10.0,
        postgres: 5.0,
        load: 25.0,
        operator: 1.0,
    };
    ScaleRun {
        variant,
        users_with_a_cart: 0,
        seconds: 10,
        rest: Usage {
            requests: 10,
            cpu_us: CpuUs {
                api: 30_000.0,
                operator: 15_000.0,
                ..CpuUs::default()
            },
            redis_commands: 310,
            postgres_transactions: Some(125),
            ..Usage::default()
        },
        load: Loop {
            load: LoadResult {
                requests,
                p50_ms: 1.25,
                p99_ms: 4.5,
                errors: 7,
                backlog: 5,
                ..LoadResult::default()
            },
            usage: Usage {
                requests,
                cpu_us: CpuUs {
                    api: cpu_us.api * each,
                    redis_masters: cpu_us.redis_masters * each,
                    redis_replicas: cpu_us.redis_replicas * each,
                    postgres: cpu_us.postgres * each,
                    load: cpu_us.load * each,
                    operator: cpu_us.operator * each,
                },
                redis_scripts: requests / 2,
                ..Usage::default()
            },
        },
        api_rss_bytes: vec![30 << 20, 32 << 20],
        masters_rss_bytes: vec![10 << 20, 11 << 20, 12 << 20],
        operators_rss_bytes: vec![20 << 20],
        earlier_errors: 1,
    }
}

struct Tables(Vec<ScaleRun>);

impl fmt::Display for Tables {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write_tables(f, &self.0)
    }
}

#[test]
fn each_dimension_varies_alone_and_reaches_its_largest_count() {
    for dimension in Dimension::ALL {
        let variants: Vec<_> = dimension.variants().collect();
        assert!(variants.contains(&Variant::BASE), "{dimension:?}");
        for variant in &variants {
            let differs =
                |other: &&Dimension| variant.count_of(**other) != Variant::BASE.count_of(**other);
            let different: Vec<_> = Dimension::ALL.iter().filter(differs).collect();
            assert!(different.iter().all(|other| **other == dimension));
        }
        let largest = variants.iter().map(|variant| variant.count_of(dimension));
        let expected = match dimension {
            Dimension::Items | Dimension::Users => 1_000_000,
            Dimension::Sales => 100,
            Dimension::Masters => 6,
            Dimension::ApiProcesses => 4,
        };
        assert_eq!(largest.max(), Some(expected));
    }
}

#[test]
fn the_base_is_measured_once_for_all_tables() {
    let all = Variant::all();
    assert_eq!(all[0], Variant::BASE);
    for (index, variant) in all.iter().enumerate() {
        assert!(!all[..index].contains(variant), "{variant}");
    }
    // Three rows in each of four tables and two in the fifth, five of them the base.
    assert_eq!(all.len(), 3 * 4 + 2 - 4);
}

#[test]
fn the_items_of_each_variant_last_for_the_warm_up_and_the_measurement() {
    for asked in [1, 10, 120] {
        for variant in Variant::all() {
            let seconds = variant.seconds(asked);
            assert!((1..=asked).contains(&seconds), "{variant}");
            let requests = RATE * (WARM_UP_SECONDS + seconds);
            let items = requests / 4 * 3 + 2 * 3 * CONNECTIONS;
            assert!(items <= variant.items, "{variant}");
        }
    }
    assert_eq!(Variant::BASE.seconds(10), 10);
}

#[test]
fn a_run_is_a_row_of_each_table_that_has_its_variant() {
    let six_masters = Variant::BASE.with(Dimension::Masters, 6);
    let text = Tables(vec![run(Variant::BASE), run(six_masters)]).to_string();
    let rows: Vec<Vec<&str>> = text
        .lines()
        .map(|line| line.split_whitespace().collect())
        .filter(|words: &Vec<&str>| words.len() == 18 && words[1] == "40.0")
        .collect();
    let firsts: Vec<&str> = rows.iter().map(|row| row[0]).collect();
    assert_eq!(firsts, ["100000", "0", "1", "3", "6", "2"], "{text}");
    let expected = [
        "40.0", "20.0", "10.0", "5.0", "75.0", "3.0", "0.0", "0.0", "0.0", "1.5", "31", "12",
        "32.0", "33.0", "20.0", "1.25", "4.50",
    ];
    assert_eq!(rows[0][1..], expected, "{text}");
    assert_eq!(Tables(Vec::new()).to_string(), "");
}

#[test]
fn requests_that_never_started_are_reported_and_are_no_errors() {
    let run = run(Variant::BASE);
    assert_eq!(run.errors(), 3);
    let text = Tables(vec![run.clone()]).to_string();
    assert!(
        text.contains("5 requests never started, 3 errors"),
        "{text}"
    );
    let json = run.json();
    assert_eq!(
        (&json["never_started"], &json["errors"]),
        (&json!(5), &json!(3))
    );
    assert_eq!(json["rest_cpu_us_per_second"]["operator"], json!(1500.0));
    assert_eq!(json["rest_redis_commands_per_second"], json!(31.0));
    assert_eq!(json["rest_postgres_transactions_per_second"], json!(12.5));
    assert_eq!(json["product_cpu_us"], json!(75.0));
    assert_eq!(json["redis_scripts"], json!(0.5));
}
