//! The metrics of requests: `http_requests_total` and `http_request_duration_seconds`.
//!
//! Guarantees: labels have the few values of `route_labels` and statuses.

use std::sync::{Arc, OnceLock};

use flashsale_engine::Metrics;
use prometheus::{Histogram, IntCounter};

use super::route_labels::{METHODS, Route};

/// Statuses with an entry in the table of series.
const STATUSES: [u16; 10] = [200, 400, 404, 405, 408, 409, 413, 499, 500, 503];

/// Counts requests. A table keeps each series after its first use, because a lookup by labels
/// hashes and locks.
#[derive(Debug)]
pub struct RequestMetrics {
    metrics: Arc<Metrics>,
    table: Vec<OnceLock<Series>>,
}

#[derive(Debug)]
struct Series {
    requests: IntCounter,
    seconds: Histogram,
}

impl RequestMetrics {
    /// Counts in the series of `metrics`.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let entries = Route::COUNT * METHODS.len() * STATUSES.len();
        Self {
            metrics,
            table: (0..entries).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Counts a request. `method` is one of [`METHODS`].
    pub fn count(&self, method: &'static str, route: Route, status: u16, seconds: f64) {
        match self.entry(method, route, status) {
            Some(entry) => entry
                .get_or_init(|| self.series(method, route, status))
                .count(seconds),
            None => self.series(method, route, status).count(seconds),
        }
    }

    fn entry(&self, method: &str, route: Route, status: u16) -> Option<&OnceLock<Series>> {
        let method = METHODS.iter().position(|label| *label == method)?;
        let status = STATUSES.iter().position(|usual| *usual == status)?;
        let row = route as usize * METHODS.len() + method;
        self.table.get(row * STATUSES.len() + status)
    }

    fn series(&self, method: &str, route: Route, status: u16) -> Series {
        let labels = [method, route.label(), &status.to_string()];
        Series {
            requests: self.metrics.http_requests.with_label_values(&labels),
            seconds: self.metrics.http_duration.with_label_values(&labels),
        }
    }
}

impl Series {
    fn count(&self, seconds: f64) {
        self.requests.inc();
        self.seconds.observe(seconds);
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn every_combination_has_a_series_of_its_own() {
        let metrics = Arc::new(Metrics::new().unwrap());
        let request_metrics = RequestMetrics::new(metrics.clone());
        let routes = [Route::Checkout, Route::Cart, Route::Other];
        let statuses = [200, 418, 503];
        // The first pass creates each series, the second reads it from the table.
        for _ in 0..2 {
            for route in routes {
                for method in ["GET", "other"] {
                    for status in statuses {
                        request_metrics.count(method, route, status, 0.01);
                    }
                }
            }
        }
        let text = metrics.render().unwrap();
        let lines: Vec<&str> = text
            .lines()
            .filter(|line| line.starts_with("http_requests_total{"))
            .collect();
        assert_eq!(lines.len(), routes.len() * 2 * statuses.len(), "{text}");
        assert!(lines.iter().all(|line| line.ends_with(" 2")), "{text}");
    }
}
