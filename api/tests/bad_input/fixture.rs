//! A stack under bad input, and the state that bad input must not change.

use std::sync::atomic::{AtomicI64, Ordering};

use hyper::Method;

use super::support::raw_tcp as raw;
use super::support::{Answer, Stack, limits};

/// A stack with an open cart of ann with one item, which bad input must not change.
pub struct Fixture {
    pub stack: Stack,
    pub code: String,
    raw_checkouts: AtomicI64,
}

impl Fixture {
    pub async fn start(flags: &[&str]) -> Self {
        let mut stack = Stack::start(50, limits(50), 0).await;
        stack.start_api_with(flags).await;
        let code = stack.fill(0, "ann", &[0]).await;
        let fixture = Self {
            stack,
            code,
            raw_checkouts: AtomicI64::new(0),
        };
        fixture.nothing_changed().await;
        fixture
    }

    /// Checks that the process serves and that the cart of ann is unchanged.
    pub async fn nothing_changed(&self) {
        let cart = self.stack.get(0, &format!("/checkout/{}", self.code)).await;
        assert_eq!(cart.status, 200, "{cart:?}");
        assert_eq!(cart.json()["items_count"], 1, "{cart:?}");
    }

    /// Checks that every answered checkout is logged once, that only that of ann filled a cart, and
    /// that nothing was bought.
    pub async fn end(mut self) {
        self.nothing_changed().await;
        assert!(self.stack.apis.runs(0), "{}", self.stack.apis.log(0));
        let answered =
            self.stack.client().answered_checkouts() + self.raw_checkouts.load(Ordering::Relaxed);
        let attempts = "SELECT count(*) FROM checkout_attempts";
        self.stack.awaits_count(attempts, answered).await;
        for (query, expected) in [
            (
                "SELECT count(*) FROM checkout_attempts WHERE code IS NOT NULL",
                1,
            ),
            ("SELECT count(*) FROM orders", 0),
            ("SELECT count(*) FROM purchases", 0),
        ] {
            let found: i64 = self.stack.sql(query).await;
            assert_eq!(found, expected, "{query}");
        }
        assert!(!self.stack.apis.log(0).contains("panicked"));
    }

    pub async fn call(&self, method: Method, path: &str) -> Answer {
        let url = format!("{}{path}", self.stack.api(0));
        self.stack.client().call(method, &url, &[]).await
    }

    /// Closes the connections of earlier calls.
    pub fn close_client_connections(&self) {
        self.stack.client().close_idle();
    }

    pub async fn checkout(&self, query: &str) -> Answer {
        self.call(Method::POST, &format!("/checkout?{query}")).await
    }

    /// Counts answered checkouts that were sent as raw bytes.
    pub fn note_checkouts(&self, answered: i64) {
        self.raw_checkouts.fetch_add(answered, Ordering::Relaxed);
    }

    pub async fn raw(&self, bytes: impl AsRef<[u8]>) -> String {
        raw::exchange(self.stack.api(0), bytes).await
    }
}

/// The problem in a raw answer, with its status and code.
#[track_caller]
pub fn raw_problem(answer: &str, status: u16, code: &str) {
    assert_eq!(raw::status(answer), Some(status), "{answer:?}");
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(
        head.to_lowercase().contains("application/problem+json"),
        "{head}"
    );
    let problem: serde_json::Value = serde_json::from_str(body).unwrap();
    assert_eq!(problem["code"], code, "{problem}");
    let id = problem["request_id"].as_str().unwrap();
    assert!(head.contains(&format!("x-request-id: {id}")), "{head}");
}
