//! One call and its answer.

use flashsale_load::client::answer::Answer;
use flashsale_load::client::call::{Call, Endpoint};
use flashsale_load::client::catalogue::Catalogue;
use flashsale_load::client::run_id::{RequestNo, RunId, UserNo};
use serde_json::{Value, json};

/// One call and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CallRecord {
    /// Number of the request: unique in the run.
    pub request: RequestNo,
    /// Whose call it is.
    pub user: UserNo,
    /// Which API process was called, from 0.
    pub target: usize,
    /// What was asked.
    pub call: Call,
    /// When it was due.
    pub due_us: i64,
    /// When it was sent.
    pub began_us: i64,
    /// When the answer was there, or it was known that none comes.
    pub ended_us: i64,
    /// The answer.
    pub answer: Answer,
    /// Why there is none, where there is none.
    pub no_answer: Option<&'static str>,
}

impl CallRecord {
    /// Whether it was answered, with anything but a failure of the server.
    #[must_use]
    pub fn is_success(&self) -> bool {
        !self.answer.is_failure()
    }

    /// From the moment when it was due to its end.
    #[must_use]
    pub fn latency_us(&self) -> i64 {
        self.ended_us - self.due_us
    }

    /// Whether it is a purchase.
    #[must_use]
    pub fn is_purchase(&self) -> bool {
        matches!(self.call, Call::Purchase { .. })
    }

    /// How many items it bought.
    #[must_use]
    pub fn bought(&self) -> usize {
        match &self.answer {
            Answer::Outcome(outcome) => outcome.bought.len(),
            _ => 0,
        }
    }

    /// As a line of the history.
    #[must_use]
    pub fn to_json(&self, run: &RunId, catalogue: &Catalogue) -> Value {
        let id = |item: u32| catalogue.id(item).into_owned();
        let mut line = json!({
            "request": run.request(self.request),
            "user": run.user(self.user),
            "api": self.target,
            "call": self.call.endpoint().name(),
            "due_us": self.due_us,
            "began_us": self.began_us,
            "ended_us": self.ended_us,
            "status": self.answer.status(),
        });
        match &self.call {
            Call::Checkout { item, .. } => line["item"] = json!(id(*item)),
            Call::Purchase { code, .. } | Call::Cart { code } => line["code"] = json!(**code),
            Call::ActiveSale | Call::Items | Call::Page { .. } => {}
        }
        match &self.answer {
            Answer::None => line["no_answer"] = json!(self.no_answer.unwrap_or("unknown")),
            Answer::Added { code } => line["added_to"] = json!(**code),
            Answer::Outcome(outcome) => {
                let failed = outcome.failed.iter();
                line["bought"] = outcome.bought.iter().map(|item| id(*item)).collect();
                line["failed"] = failed
                    .map(|(item, why)| json!([id(*item), why.as_str()]))
                    .collect();
            }
            Answer::Cart { items } => line["cart"] = items.iter().map(|item| id(*item)).collect(),
            Answer::Refused { problem, .. } => line["problem"] = json!(problem.as_str()),
            Answer::Read | Answer::Page { .. } => {}
            Answer::Unreadable { .. } => line["unreadable"] = json!(true),
        }
        line
    }

    /// Where it is counted.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        self.call.endpoint()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_is_a_line_with_its_times_and_its_answer() {
        let record = CallRecord {
            request: 3,
            user: 7,
            target: 1,
            call: Call::Checkout { user: 7, item: 1 },
            due_us: -5,
            began_us: 10,
            ended_us: 20,
            answer: Answer::None,
            no_answer: Some("time-out"),
        };
        let catalogue = Catalogue::listed("ns.s.1", ["a", "b"]);
        let line = record.to_json(&RunId::from("r"), &catalogue).to_string();
        for part in [
            r#""request":"r-3""#,
            r#""user":"r-u7""#,
            r#""call":"POST /checkout""#,
            r#""due_us":-5"#,
            r#""item":"b""#,
            r#""no_answer":"time-out""#,
            r#""status":null"#,
        ] {
            assert!(line.contains(part), "{part}: {line}");
        }
        assert!(!record.is_success());
        assert_eq!(record.latency_us(), 25);
    }
}
