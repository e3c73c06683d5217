//! `http_requests_total` and `http_request_duration_seconds`.

use std::sync::{Arc, OnceLock};

use flashsale_engine::Metrics;
use prometheus::{Histogram, IntCounter};

use crate::middleware::route_labels::{METHODS, Route};

/// Statuses that requests usually have.
const STATUSES: [u16; 10] = [200, 400, 404, 405, 408, 409, 413, 499, 500, 503];

/// Counts requests. The metric children seen before are kept in a table: looking one up by its
/// labels hashes and locks.
#[derive(Debug)]
pub struct Traffic {
    metrics: Arc<Metrics>,
    seen: Vec<OnceLock<Series>>,
}

#[derive(Debug)]
struct Series {
    requests: IntCounter,
    seconds: Histogram,
}

impl Traffic {
    /// Counts in these metrics.
    pub fn new(metrics: Arc<Metrics>) -> Self {
        let places = Route::COUNT * METHODS.len() * STATUSES.len();
        Self {
            metrics,
            seen: (0..places).map(|_| OnceLock::new()).collect(),
        }
    }

    /// Counts a request. `method` is one of [`METHODS`].
    pub fn count(&self, method: &'static str, route: Route, status: u16, seconds: f64) {
        match self.place(method, route, status) {
            Some(place) => place
                .get_or_init(|| self.series(method, route, status))
                .count(seconds),
            None => self.series(method, route, status).count(seconds),
        }
    }

    fn place(&self, method: &str, route: Route, status: u16) -> Option<&OnceLock<Series>> {
        let method = METHODS.iter().position(|known| *known == method)?;
        let status = STATUSES.iter().position(|known| *known == status)?;
        let row = route as usize * METHODS.len() + method;
        self.seen.get(row * STATUSES.len() + status)
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
        let traffic = Traffic::new(metrics.clone());
        let routes = [Route::Checkout, Route::Cart, Route::Other];
        let statuses = [200, 418, 503];
        // Twice: the first time makes the series, the second finds it.
        for _ in 0..2 {
            for route in routes {
                for method in ["GET", "other"] {
                    for status in statuses {
                        traffic.count(method, route, status, 0.01);
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
