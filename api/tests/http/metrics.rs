//! `/metrics`: the names that dashboards use, in the text format of Prometheus.

use std::collections::{HashMap, HashSet};

use super::support::{Answer, Stack, eventually, limits};

/// Metrics with their types; the first ones exist in the followed system too.
const EXPECTED: [(&str, &str); 28] = [
    ("http_request_duration_seconds", "histogram"),
    ("http_requests_total", "counter"),
    ("sale_items_total", "gauge"),
    ("sale_items_sold", "gauge"),
    ("sale_items_sold_total", "counter"),
    ("checkout_attempts_total", "counter"),
    ("checkout_success_total", "counter"),
    ("checkout_failure_total", "counter"),
    ("purchase_attempts_total", "counter"),
    ("purchase_success_total", "counter"),
    ("purchase_failure_total", "counter"),
    ("db_query_duration_seconds", "histogram"),
    ("db_connections_active", "gauge"),
    ("db_connections_idle", "gauge"),
    ("redis_command_duration_seconds", "histogram"),
    ("purchase_commit_batch_size", "histogram"),
    ("purchase_commit_wait_seconds", "histogram"),
    ("settle_lag_seconds", "gauge"),
    ("feed_lag_seconds", "gauge"),
    ("attempts_unsettled", "gauge"),
    ("attempts_dropped_total", "counter"),
    ("outcome_repairs_total", "counter"),
    ("postgres_up", "gauge"),
    ("postgres_away_since_timestamp_seconds", "gauge"),
    ("redis_node_up", "gauge"),
    ("redis_node_slots", "gauge"),
    ("redis_node_away_since_timestamp_seconds", "gauge"),
    ("redis_node_info", "gauge"),
];

/// A sample: name, labels, value.
type Sample = (String, Vec<(String, String)>, f64);

#[derive(Default)]
struct Exposition {
    types: HashMap<String, String>,
    samples: Vec<Sample>,
}

impl Exposition {
    /// Parses the text format; text that Prometheus would refuse fails the test.
    fn parse(text: &str) -> Self {
        assert!(text.ends_with('\n'));
        let mut read = Self::default();
        let (mut helped, mut series) = (HashSet::new(), HashSet::new());
        for line in text.lines() {
            if let Some(help) = line.strip_prefix("# HELP ") {
                let (name, words) = help.split_once(' ').unwrap();
                assert!(helped.insert(name.to_owned()), "HELP twice: {line}");
                assert!(!words.is_empty(), "{line}");
            } else if let Some(kind) = line.strip_prefix("# TYPE ") {
                let (name, kind) = kind.split_once(' ').unwrap();
                assert!(helped.contains(name), "TYPE without HELP: {line}");
                let before = read.types.insert(name.to_owned(), kind.to_owned());
                assert_eq!(before, None, "TYPE twice: {line}");
            } else {
                let (labelled, value) = line.rsplit_once(' ').unwrap();
                assert!(series.insert(labelled.to_owned()), "series twice: {line}");
                let (name, labels) = labels_of(labelled);
                let value = value
                    .parse()
                    .unwrap_or_else(|_| panic!("no number: {line}"));
                read.samples.push((name, labels, value));
            }
        }
        for (name, ..) in &read.samples {
            assert!(read.type_of(name).is_some(), "{name} has no TYPE");
        }
        read
    }

    fn type_of(&self, sample: &str) -> Option<&str> {
        let bases = ["", "_bucket", "_sum", "_count"]
            .iter()
            .filter_map(|end| sample.strip_suffix(end));
        bases
            .filter_map(|base| self.types.get(base))
            .map(String::as_str)
            .next()
    }

    /// The sum of a family's samples with these labels.
    fn value(&self, name: &str, labels: &[(&str, &str)]) -> f64 {
        let has = |found: &[(String, String)], (label, value): &(&str, &str)| {
            found.iter().any(|(l, v)| l == label && v == value)
        };
        let matching = self
            .samples
            .iter()
            .filter(|(found, with, _)| found == name && labels.iter().all(|l| has(with, l)));
        matching.map(|(.., value)| value).sum()
    }
}

fn labels_of(labelled: &str) -> (String, Vec<(String, String)>) {
    let word = |text: &str| {
        !text.is_empty()
            && text
                .bytes()
                .all(|b| b.is_ascii_alphanumeric() || b"_:".contains(&b))
    };
    let Some((name, rest)) = labelled.split_once('{') else {
        assert!(word(labelled), "{labelled}");
        return (labelled.to_owned(), Vec::new());
    };
    assert!(word(name), "{labelled}");
    let inside = rest.strip_suffix('}').unwrap();
    // No value contains a quote or a comma, so that a split suffices.
    let pairs = inside.split(',').map(|pair| {
        let (label, value) = pair.split_once("=\"").unwrap();
        let value = value.strip_suffix('"').unwrap();
        assert!(word(label) && !value.contains('"'), "{labelled}");
        (label.to_owned(), value.to_owned())
    });
    (name.to_owned(), pairs.collect())
}

async fn scrape(stack: &Stack) -> Answer {
    let url = format!("{}/metrics", stack.internal(0));
    let answer = stack.client().get(&url).await;
    assert_eq!(answer.status, 200, "{answer:?}");
    let kind = answer.header("content-type").unwrap();
    assert!(kind.starts_with("text/plain; version=0.0.4"), "{kind}");
    answer
}

/// Names and values of labels.
type Labels = &'static [(&'static str, &'static str)];

/// Values after [`send_requests`].
const EXPECTED_VALUES: [(&str, Labels, f64); 15] = [
    ("sale_items_total", &[], 20.0),
    ("sale_items_sold_total", &[], 2.0),
    ("checkout_attempts_total", &[], 4.0),
    ("checkout_success_total", &[], 2.0),
    ("checkout_failure_total", &[("reason", "unknown_item")], 1.0),
    ("checkout_failure_total", &[("reason", "invalid")], 1.0),
    ("purchase_attempts_total", &[], 3.0),
    ("purchase_success_total", &[], 2.0),
    ("purchase_failure_total", &[("reason", "invalid")], 1.0),
    (
        "http_requests_total",
        &[("endpoint", "/checkout"), ("status", "200")],
        2.0,
    ),
    (
        "http_requests_total",
        &[("endpoint", "/checkout"), ("status", "404")],
        1.0,
    ),
    (
        "http_requests_total",
        &[("endpoint", "/checkout/{code}"), ("method", "GET")],
        1.0,
    ),
    (
        "http_requests_total",
        &[("endpoint", "other"), ("status", "404")],
        1.0,
    ),
    (
        "http_request_duration_seconds_count",
        &[("endpoint", "/purchase")],
        3.0,
    ),
    ("purchase_commit_batch_size_sum", &[], 2.0),
];

/// Sends requests of each kind as `user`; returns the code of the cart.
async fn send_requests(stack: &Stack, user: &str) -> String {
    let code = stack.fill(0, user, &[0, 1]).await;
    assert_eq!(stack.purchase(0, &code).await.status, 200);
    assert_eq!(stack.purchase(0, &code).await.status, 200);
    stack
        .checkout(0, user, "no-such-item")
        .await
        .problem(404, "unknown_item");
    stack
        .checkout(0, "", "")
        .await
        .problem(400, "invalid_user_id");
    stack
        .purchase(0, "CHK-1")
        .await
        .problem(400, "invalid_code");
    for path in [format!("/checkout/{code}"), format!("/purchase/{code}")] {
        assert_eq!(stack.get(0, &path).await.status, 200);
    }
    stack
        .get(0, &format!("/{user}/{code}"))
        .await
        .problem(404, "not_found");
    eventually("the gauge has the sold items", || async {
        Exposition::parse(scrape(stack).await.text()).value("sale_items_sold", &[]) == 2.0
    })
    .await;
    code
}

#[tokio::test(flavor = "multi_thread")]
async fn metrics_have_the_names_and_count_what_happens() {
    let stack = Stack::start(20, limits(20), 1).await;
    let user = "a-user-of-note";
    let code = send_requests(&stack, user).await;
    let answer = scrape(&stack).await;
    let text = answer.text();
    for secret in [
        user,
        &code,
        stack.item(0),
        stack.sale.id.as_str(),
        "no-such-item",
    ] {
        assert!(!text.contains(secret), "{secret} is in the metrics");
    }
    let metrics = Exposition::parse(text);
    for (name, kind) in EXPECTED {
        assert_eq!(
            metrics.types.get(name).map(String::as_str),
            Some(kind),
            "{name}"
        );
    }
    for (name, labels, expected) in EXPECTED_VALUES {
        assert_eq!(metrics.value(name, labels), expected, "{name}{labels:?}");
    }
    for timed in [
        "db_query_duration_seconds_count",
        "redis_command_duration_seconds_count",
    ] {
        assert!(metrics.value(timed, &[]) > 0.0, "{timed}");
    }
    assert!(metrics.value("db_connections_idle", &[]) > 0.0);
}
