//! What comes back from a call, as a value.
//!
//! An answer is read once, here; whoever acts on it, counts it or checks it afterwards
//! sees the same value. Nothing here does I/O.

use std::borrow::Cow;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::client::call::{Call, Endpoint};
use crate::client::catalogue::{Catalogue, ItemNo};

/// The stable `code` of a problem, as far as the generator acts on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Deserialize, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Problem {
    /// 400
    InvalidUserId,
    /// 400
    InvalidItemId,
    /// 400
    InvalidCode,
    /// 400
    CartFull,
    /// 400
    LimitReached,
    /// 400
    SaleNotActive,
    /// 400
    ItemOfAnotherSale,
    /// 404
    UnknownItem,
    /// 404
    UnknownCode,
    /// 404
    NoActiveSale,
    /// 409
    AlreadySold,
    /// 409
    SoldOut,
    /// 503
    Unavailable,
    /// A code that this generator does not know.
    #[serde(other)]
    Other,
}

impl Problem {
    /// The code as the API and the table of attempts write it; `None` for an unknown one.
    #[must_use]
    pub fn as_str(self) -> Option<&'static str> {
        Some(match self {
            Self::InvalidUserId => "invalid_user_id",
            Self::InvalidItemId => "invalid_item_id",
            Self::InvalidCode => "invalid_code",
            Self::CartFull => "cart_full",
            Self::LimitReached => "limit_reached",
            Self::SaleNotActive => "sale_not_active",
            Self::ItemOfAnotherSale => "item_of_another_sale",
            Self::UnknownItem => "unknown_item",
            Self::UnknownCode => "unknown_code",
            Self::NoActiveSale => "no_active_sale",
            Self::AlreadySold => "already_sold",
            Self::SoldOut => "sold_out",
            Self::Unavailable => "unavailable",
            Self::Other => return None,
        })
    }
}

/// What `POST /purchase` decided about a code: the same for ever.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// 200, 400 or 409.
    pub status: u16,
    /// The items that were bought, in the order of the answer.
    pub bought: Vec<ItemNo>,
    /// The items that were not, with the reason.
    pub failed: Vec<(ItemNo, Problem)>,
}

/// What came back from a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: no connection, a connection that broke, or a time-out.
    None,
    /// `POST /checkout` put the item into the cart.
    Added {
        /// The checkout code.
        code: Arc<str>,
    },
    /// `POST /purchase` answered an outcome.
    Outcome(Arc<Outcome>),
    /// A problem.
    Refused {
        /// HTTP status.
        status: u16,
        /// Its stable code.
        problem: Problem,
    },
    /// `GET /checkout/{code}` answered the cart.
    Cart {
        /// Its items, in the order of the answer.
        items: Arc<[ItemNo]>,
    },
    /// `GET /sales/{id}/items` answered a page that was asked for by its cursor.
    Page {
        /// The cursor of the next page; `None` on the last one.
        next: Option<Arc<str>>,
    },
    /// Another read (GET) that was answered with 200.
    Read,
    /// An answer that breaks the contract of the API.
    Unreadable {
        /// HTTP status.
        status: u16,
    },
}

#[derive(Deserialize)]
struct AddedBody<'a> {
    #[serde(borrow)]
    code: Cow<'a, str>,
}

#[derive(Deserialize)]
struct ProblemBody {
    code: Problem,
}

#[derive(Deserialize)]
struct OutcomeBody<'a> {
    #[serde(borrow)]
    purchased_items: Vec<BoughtBody<'a>>,
    #[serde(borrow)]
    failed_items: Vec<FailedBody<'a>>,
}

#[derive(Deserialize)]
struct CartBody<'a> {
    #[serde(borrow)]
    items: Vec<BoughtBody<'a>>,
}

#[derive(Deserialize)]
struct PageBody<'a> {
    #[serde(borrow)]
    next_cursor: Option<Cow<'a, str>>,
}

#[derive(Deserialize)]
struct BoughtBody<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
}

#[derive(Deserialize)]
struct FailedBody<'a> {
    #[serde(borrow)]
    id: Cow<'a, str>,
    reason: Problem,
}

impl Answer {
    /// Reads an answer; `response` is the HTTP status and the body, `None` when none came.
    #[must_use]
    pub fn read(call: &Call, response: Option<(u16, &[u8])>, catalogue: &Catalogue) -> Self {
        let Some((status, body)) = response else {
            return Self::None;
        };
        let read = match (call.endpoint(), status) {
            (Endpoint::Checkout, 200) => {
                serde_json::from_slice(body)
                    .ok()
                    .map(|AddedBody { code }| Self::Added {
                        code: Arc::from(code.as_ref()),
                    })
            }
            (Endpoint::Purchase, 200) => outcome(status, body, catalogue),
            // A code of which nothing could be sold has an outcome too: it rides on the problem.
            (Endpoint::Purchase, 400 | 409) => {
                outcome(status, body, catalogue).or_else(|| problem(status, body))
            }
            (Endpoint::Cart, 200) => cart(body, catalogue),
            (Endpoint::Items, 200) if matches!(call, Call::Page { .. }) => {
                serde_json::from_slice(body)
                    .ok()
                    .map(|PageBody { next_cursor }| Self::Page {
                        next: next_cursor.map(Arc::from),
                    })
            }
            (_, 200) => Some(Self::Read),
            _ => problem(status, body),
        };
        read.unwrap_or(Self::Unreadable { status })
    }

    /// The HTTP status; `None` when no answer came.
    #[must_use]
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::None => None,
            Self::Added { .. } | Self::Cart { .. } | Self::Page { .. } | Self::Read => Some(200),
            Self::Outcome(outcome) => Some(outcome.status),
            Self::Refused { status, .. } | Self::Unreadable { status } => Some(*status),
        }
    }

    /// Whether the server failed: no answer, a 5xx, or an answer that cannot be read.
    #[must_use]
    pub fn is_failure(&self) -> bool {
        match self {
            Self::None | Self::Unreadable { .. } => true,
            Self::Refused { status, .. } => *status >= 500,
            Self::Added { .. }
            | Self::Outcome(_)
            | Self::Cart { .. }
            | Self::Page { .. }
            | Self::Read => false,
        }
    }
}

fn problem(status: u16, body: &[u8]) -> Option<Answer> {
    serde_json::from_slice(body)
        .ok()
        .map(|ProblemBody { code }| Answer::Refused {
            status,
            problem: code,
        })
}

fn cart(body: &[u8], catalogue: &Catalogue) -> Option<Answer> {
    let CartBody { items } = serde_json::from_slice(body).ok()?;
    let numbers = items.iter().map(|item| catalogue.item(&item.id));
    Some(Answer::Cart {
        items: numbers.collect::<Option<_>>()?,
    })
}

fn outcome(status: u16, body: &[u8], catalogue: &Catalogue) -> Option<Answer> {
    let body: OutcomeBody<'_> = serde_json::from_slice(body).ok()?;
    let bought = body
        .purchased_items
        .iter()
        .map(|item| catalogue.item(&item.id))
        .collect::<Option<Vec<_>>>()?;
    let failed = body
        .failed_items
        .iter()
        .map(|item| Some((catalogue.item(&item.id)?, item.reason)))
        .collect::<Option<Vec<_>>>()?;
    Some(Answer::Outcome(Arc::new(Outcome {
        status,
        bought,
        failed,
    })))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalogue() -> Catalogue {
        Catalogue::listed("ns.s.1", ["a", "b+1@x", "c"])
    }

    fn purchase() -> Call {
        Call::Purchase {
            user: 7,
            code: "CHK-1".into(),
        }
    }

    #[test]
    fn an_added_item_answers_a_code_and_a_refused_one_a_problem() {
        let call = Call::Checkout { user: 7, item: 1 };
        let added = br#"{"code":"CHK-1","items_count":1,"sale_ends_at":"x"}"#;
        assert_eq!(
            Answer::read(&call, Some((200, added)), &catalogue()),
            Answer::Added {
                code: "CHK-1".into()
            }
        );
        let sold = Answer::read(
            &call,
            Some((409, br#"{"code":"already_sold"}"#)),
            &catalogue(),
        );
        assert_eq!(
            sold,
            Answer::Refused {
                status: 409,
                problem: Problem::AlreadySold
            }
        );
        assert!(!sold.is_failure());
    }

    #[test]
    fn a_purchase_of_nothing_is_an_outcome_and_a_closed_sale_is_not() {
        let nothing = br#"{"code":"already_sold","success":false,"purchased_items":[],
            "failed_items":[{"id":"c","reason":"already_sold"}]}"#;
        assert_eq!(
            Answer::read(&purchase(), Some((409, nothing)), &catalogue()),
            Answer::Outcome(Arc::new(Outcome {
                status: 409,
                bought: vec![],
                failed: vec![(2, Problem::AlreadySold)],
            }))
        );
        let closed = br#"{"code":"sale_not_active","status":400}"#;
        assert_eq!(
            Answer::read(&purchase(), Some((400, closed)), &catalogue()),
            Answer::Refused {
                status: 400,
                problem: Problem::SaleNotActive
            }
        );
    }

    #[test]
    fn a_cart_is_read_with_its_items_in_their_order() {
        let call = Call::Cart {
            code: "CHK-1".into(),
        };
        let body = br#"{"code":"CHK-1","user_id":"u","items":[{"id":"c"},{"id":"a"}]}"#;
        assert_eq!(
            Answer::read(&call, Some((200, body)), &catalogue()),
            Answer::Cart {
                items: [2, 0].into()
            }
        );
        let unknown_item = br#"{"items":[{"id":"zz"}]}"#;
        let answer = Answer::read(&call, Some((200, unknown_item)), &catalogue());
        assert_eq!(answer, Answer::Unreadable { status: 200 });
    }

    #[test]
    fn a_page_is_read_with_the_cursor_of_the_next_one() {
        let call = Call::Page { cursor: None };
        let read = |body: &[u8]| Answer::read(&call, Some((200, body)), &catalogue());
        let next = Some("50".into());
        let more = br#"{"items":[{"id":"a","sold":false}],"next_cursor":"50"}"#;
        assert_eq!(read(more), Answer::Page { next });
        let last = br#"{"items":[],"next_cursor":null}"#;
        assert_eq!(read(last), Answer::Page { next: None });
        assert!(read(b"hello").is_failure());
    }

    #[test]
    fn answers_that_break_the_contract_are_failures() {
        let unknown_item = br#"{"purchased_items":[{"id":"zz"}],"failed_items":[]}"#;
        for (status, body) in [(200, &unknown_item[..]), (200, b"hello"), (502, b"<html>")] {
            let answer = Answer::read(&purchase(), Some((status, body)), &catalogue());
            assert_eq!(answer, Answer::Unreadable { status });
            assert!(answer.is_failure());
        }
        assert!(Answer::read(&purchase(), None, &catalogue()).is_failure());
    }

    #[test]
    fn problem_codes_are_written_as_they_are_read() {
        for problem in [
            Problem::AlreadySold,
            Problem::ItemOfAnotherSale,
            Problem::CartFull,
        ] {
            let json = serde_json::to_string(&problem).unwrap_or_default();
            assert_eq!(json.trim_matches('"'), problem.as_str().unwrap_or(""));
        }
    }
}
