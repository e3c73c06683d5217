//! A stack under bad input, and what must not change.

use std::sync::atomic::{AtomicI64, Ordering};

use hyper::Method;

use super::support::raw_tcp as raw;
use super::support::{Answer, Stack, limits};

/// A stack with ann's open cart of one item, and what must not change under bad input.
pub struct Story {
    pub stack: Stack,
    pub code: String,
    raw_checkouts: AtomicI64,
}

impl Story {
    pub async fn begin(flags: &[&str]) -> Self {
        let mut stack = Stack::start(50, limits(50), 0).await;
        stack.start_api_with(flags).await;
        let code = stack.fill(0, "ann", &[0]).await;
        let story = Self {
            stack,
            code,
            raw_checkouts: AtomicI64::new(0),
        };
        story.nothing_changed().await;
        story
    }

    /// The process serves, ann's cart is as it was, and nobody has bought anything.
    pub async fn nothing_changed(&self) {
        let cart = self.stack.get(0, &format!("/checkout/{}", self.code)).await;
        assert_eq!(cart.status, 200, "{cart:?}");
        assert_eq!(cart.json()["items_count"], 1, "{cart:?}");
    }

    /// Every answered checkout is logged once, only ann's put something into a cart, and
    /// nothing was bought.
    pub async fn end(mut self) {
        self.nothing_changed().await;
        assert!(self.stack.apis.runs(0), "{}", self.stack.apis.log(0));
        let answered =
            self.stack.client().answered_checkouts() + self.raw_checkouts.load(Ordering::Relaxed);
        let attempts = "SELECT count(*) FROM checkout_attempts";
        self.stack.awaits_count(attempts, answered).await;
        for (what, expected) in [
            (
                "SELECT count(*) FROM checkout_attempts WHERE code IS NOT NULL",
                1,
            ),
            ("SELECT count(*) FROM orders", 0),
            ("SELECT count(*) FROM purchases", 0),
        ] {
            let found: i64 = self.stack.sql(what).await;
            assert_eq!(found, expected, "{what}");
        }
        assert!(!self.stack.apis.log(0).contains("panicked"));
    }

    pub async fn call(&self, method: Method, path: &str) -> Answer {
        let url = format!("{}{path}", self.stack.api(0));
        self.stack.client().call(method, &url, &[]).await
    }

    /// Closes the connections that earlier calls left open.
    pub fn client_goes(&self) {
        self.stack.client().close_idle();
    }

    pub async fn checkout(&self, query: &str) -> Answer {
        self.call(Method::POST, &format!("/checkout?{query}")).await
    }

    /// Notes checkouts that were sent as raw bytes and answered.
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
