//! What every call that the checker judges asked, and what was answered: those that change
//! something, and those that read a cart.
//!
//! Kept only where a check follows; some 60 bytes a call.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use crate::checker::stored_rows::sale_of_code;
use crate::client::answer::Answer;
use crate::client::call::Call;
use crate::client::catalogue::ItemNo;
use crate::client::run_id::{RequestNo, UserNo};

/// What was asked.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// `POST /checkout`
    Checkout {
        /// What for.
        item: ItemNo,
    },
    /// `POST /purchase`
    Purchase {
        /// The checkout code.
        code: Arc<str>,
    },
    /// `GET /checkout/{code}`
    Cart {
        /// The checkout code.
        code: Arc<str>,
    },
}

/// One call and its answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Exchange {
    /// Number of the request: unique in the run.
    pub request: RequestNo,
    /// Who asked; 0 for a cart, whose code says enough.
    pub user: UserNo,
    /// What.
    pub asked: Asked,
    /// What came back.
    pub answer: Answer,
    /// The sale had closed by then, or was about to.
    pub at_close: bool,
}

impl Exchange {
    /// Whether the table of attempts must hold a row for it: a call of `POST /checkout`
    /// that was answered with anything but a 5xx.
    #[must_use]
    pub fn must_be_logged(&self) -> bool {
        matches!(self.asked, Asked::Checkout { .. })
            && self.answer.status().is_some_and(|status| status < 500)
    }
}

/// All exchanges of a run, in the order of their answers.
#[derive(Debug, Default)]
pub struct History {
    exchanges: Vec<Exchange>,
    /// One copy of each code, however often it was answered.
    codes: HashMap<Arc<str>, ()>,
}

impl History {
    /// Keeps a call. Other reads than those of carts are left out: nothing is checked about them.
    pub fn push(&mut self, request: RequestNo, call: &Call, answer: &Answer, at_close: bool) {
        let (user, asked) = match call {
            Call::Checkout { user, item } => (*user, Asked::Checkout { item: *item }),
            Call::Purchase { user, code } => (
                *user,
                Asked::Purchase {
                    code: self.shared(code),
                },
            ),
            Call::Cart { code } => (
                0,
                Asked::Cart {
                    code: self.shared(code),
                },
            ),
            Call::ActiveSale | Call::Items | Call::Page { .. } => return,
        };
        let answer = match answer {
            Answer::Added { code } => Answer::Added {
                code: self.shared(code),
            },
            other => other.clone(),
        };
        self.exchanges.push(Exchange {
            request,
            user,
            asked,
            answer,
            at_close,
        });
    }

    fn shared(&mut self, code: &Arc<str>) -> Arc<str> {
        if let Some((known, ())) = self.codes.get_key_value(code) {
            return Arc::clone(known);
        }
        self.codes.insert(Arc::clone(code), ());
        Arc::clone(code)
    }

    /// The exchanges.
    #[must_use]
    pub fn exchanges(&self) -> &[Exchange] {
        &self.exchanges
    }

    /// The sales that the codes of answers name, each once.
    #[must_use]
    pub fn sales(&self) -> Vec<&str> {
        let named = self.codes.keys().filter_map(|code| sale_of_code(code));
        named.collect::<BTreeSet<_>>().into_iter().collect()
    }

    /// How many rows of attempts must be there.
    #[must_use]
    pub fn must_be_logged(&self) -> u64 {
        self.exchanges.iter().filter(|e| e.must_be_logged()).count() as u64
    }
}
