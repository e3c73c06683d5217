//! The calls of the public port that the generator makes, as values.

use std::sync::Arc;

use crate::client::catalogue::{Catalogue, ItemNo};
use crate::client::encoding::push_encoded;
use crate::client::run_id::{RunId, UserNo};

/// What the numbers of a report are kept by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Endpoint {
    /// `POST /checkout`
    Checkout,
    /// `POST /purchase`
    Purchase,
    /// `GET /sales/active`
    ActiveSale,
    /// `GET /sales/{id}/items`
    Items,
    /// `GET /checkout/{code}`
    Cart,
}

impl Endpoint {
    /// All of them, in the order of a report.
    pub const ALL: [Self; 5] = [
        Self::Checkout,
        Self::Purchase,
        Self::ActiveSale,
        Self::Items,
        Self::Cart,
    ];

    /// Method and path, as the API documents them.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Checkout => "POST /checkout",
            Self::Purchase => "POST /purchase",
            Self::ActiveSale => "GET /sales/active",
            Self::Items => "GET /sales/{id}/items",
            Self::Cart => "GET /checkout/{code}",
        }
    }
}

/// One call of one user.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Call {
    /// Asks for the active sale.
    ActiveSale,
    /// Asks for a page of items that are for sale.
    Items,
    /// Asks for a page of all items.
    Page {
        /// The cursor that the page before gave; `None` for the first page.
        cursor: Option<Arc<str>>,
    },
    /// Looks at the cart under a code.
    Cart {
        /// The checkout code.
        code: Arc<str>,
    },
    /// Puts an item into the user's cart.
    Checkout {
        /// Who.
        user: UserNo,
        /// What.
        item: ItemNo,
    },
    /// Buys what is under a code.
    Purchase {
        /// Whose code it is.
        user: UserNo,
        /// The checkout code.
        code: Arc<str>,
    },
}

impl Call {
    /// Where the call is counted.
    #[must_use]
    pub fn endpoint(&self) -> Endpoint {
        match self {
            Self::ActiveSale => Endpoint::ActiveSale,
            Self::Items | Self::Page { .. } => Endpoint::Items,
            Self::Cart { .. } => Endpoint::Cart,
            Self::Checkout { .. } => Endpoint::Checkout,
            Self::Purchase { .. } => Endpoint::Purchase,
        }
    }

    /// Path and query of the request.
    #[must_use]
    pub fn path(&self, run: &RunId, catalogue: &Catalogue) -> String {
        let mut path = String::with_capacity(96);
        match self {
            Self::ActiveSale => path.push_str("/sales/active"),
            Self::Items => {
                path.push_str("/sales/");
                push_encoded(&mut path, catalogue.sale());
                path.push_str("/items?available=true&limit=50");
            }
            Self::Page { cursor } => {
                path.push_str("/sales/");
                push_encoded(&mut path, catalogue.sale());
                path.push_str("/items?limit=50");
                if let Some(cursor) = cursor {
                    path.push_str("&cursor=");
                    push_encoded(&mut path, cursor);
                }
            }
            Self::Cart { code } => {
                path.push_str("/checkout/");
                push_encoded(&mut path, code);
            }
            Self::Checkout { user, item } => {
                path.push_str("/checkout?user_id=");
                run.push_user(&mut path, *user);
                path.push_str("&id=");
                push_encoded(&mut path, &catalogue.id(*item));
            }
            Self::Purchase { code, .. } => {
                path.push_str("/purchase?code=");
                push_encoded(&mut path, code);
            }
        }
        path
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_query_carries_every_character_an_id_may_hold() {
        let call = Call::Checkout { user: 7, item: 1 };
        let path = call.path(
            &RunId::from("r1"),
            &Catalogue::listed("ns.s.1", ["a", "b+1@x"]),
        );
        assert_eq!(path, "/checkout?user_id=r1-u7&id=b%2B1%40x");
    }

    #[test]
    fn the_next_page_is_asked_for_with_the_cursor_of_the_one_before() {
        let catalogue = Catalogue::listed("ns.s.1", ["a"]);
        let path = |cursor| Call::Page { cursor }.path(&RunId::from("r1"), &catalogue);
        assert_eq!(path(None), "/sales/ns.s.1/items?limit=50");
        let second = path(Some("5+0".into()));
        assert_eq!(second, "/sales/ns.s.1/items?limit=50&cursor=5%2B0");
    }
}
