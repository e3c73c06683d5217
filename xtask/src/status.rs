//! What the operator tells about a FlashSale: the part of its status that is acted on here.

use jiff::Timestamp;
use serde::Deserialize;
use serde_json::Value;

/// The status; all of it is empty before the operator has looked once.
#[derive(Debug, Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Status {
    /// Where the FlashSale stands, in one word.
    pub phase: Option<String>,
    /// The sale that is open.
    pub active_sale: Option<ActiveSale>,
    /// The sale that opens next.
    pub next_sale: Option<NextSale>,
    /// Those that are over.
    pub history: Vec<PastSale>,
}

/// The sale that is open.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ActiveSale {
    /// Its id.
    pub id: String,
    /// When it ends.
    pub ends_at: Timestamp,
    /// How many items it may sell.
    pub total: u64,
    /// How many of them are sold.
    #[serde(default)]
    pub sold: u64,
}

/// The sale that opens next.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct NextSale {
    /// Its id.
    pub id: String,
    /// When it opens.
    pub starts_at: Timestamp,
    /// Whether it is prepared: it then opens by itself.
    #[serde(default)]
    pub seeded: bool,
}

/// A sale that is over.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct PastSale {
    /// Its id.
    pub id: String,
    /// `Successful`: it was held and is settled.
    pub result: String,
    /// How many items it could sell.
    pub total: Option<u64>,
    /// How many it sold.
    #[serde(default)]
    pub sold: u64,
    /// Why it was not held.
    pub message: Option<String>,
}

impl Status {
    /// Reads the operator's file, which holds the status alone or the whole resource.
    pub fn read(text: &str) -> Self {
        let value: Value = serde_json::from_str(text).unwrap_or_default();
        let status = value.get("status").unwrap_or(&value);
        // A file that cannot be read tells as much as none.
        Self::deserialize(status).unwrap_or_default()
    }

    /// Id of the active sale, else of the next one.
    pub fn sale(&self) -> Option<&str> {
        let active = self.active_sale.as_ref().map(|sale| sale.id.as_str());
        active.or(self.next_sale.as_ref().map(|sale| sale.id.as_str()))
    }

    /// A sale that is over.
    pub fn past(&self, id: &str) -> Option<&PastSale> {
        self.history.iter().find(|sale| sale.id == id)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_sale_is_the_active_one_or_the_next() {
        let active = r#"{"id": "a", "endsAt": "2026-11-23T09:00:00Z", "total": 7}"#;
        let next = r#"{"id": "b", "startsAt": "2026-11-24T08:00:00Z", "seeded": false}"#;
        let text = format!(r#"{{"phase": "Selling", "activeSale": {active}, "nextSale": {next}}}"#);
        let status = Status::read(&text);
        assert_eq!(status.sale(), Some("a"));
        assert_eq!(status.active_sale.unwrap().total, 7);
        let text = format!(r#"{{"status": {{"activeSale": null, "nextSale": {next}}}}}"#);
        let status = Status::read(&text);
        assert_eq!(status.sale(), Some("b"));
        let opens = status.next_sale.unwrap().starts_at;
        assert_eq!(opens.to_string(), "2026-11-24T08:00:00Z");
        for nothing in [r#"{"phase": "Finished"}"#, "", "null", "{"] {
            assert_eq!(Status::read(nothing).sale(), None, "{nothing}");
        }
    }

    #[test]
    fn a_past_sale_tells_what_came_of_it() {
        let history = r#"[{"id": "a", "result": "Successful", "total": 7, "sold": 6,
                           "startedAt": "2026-11-23T08:00:00Z"},
                          {"id": "b", "result": "Failed", "message": "too late"}]"#;
        let status = Status::read(&format!(r#"{{"history": {history}}}"#));
        let held = status.past("a").unwrap();
        assert_eq!((held.total, held.sold), (Some(7), 6));
        let failed = status.past("b").unwrap();
        assert_eq!(failed.message.as_deref(), Some("too late"));
        assert_eq!(status.past("c"), None);
    }
}
