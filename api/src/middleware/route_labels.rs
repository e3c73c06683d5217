//! The labels of routes and methods in metrics and in the log.
//!
//! Guarantees: ids, codes and invented methods never become labels.

use poem::http::Method;

/// A route of the public port.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Route {
    /// `/checkout`
    Checkout,
    /// `/checkout/{code}`
    Cart,
    /// `/purchase`
    Purchase,
    /// `/purchase/{code}`
    Outcome,
    /// `/sales/active`
    ActiveSale,
    /// `/sales/{id}`
    Sale,
    /// `/sales/{id}/items`
    Items,
    /// `/health`
    Health,
    /// `/docs`
    Docs,
    /// `/openapi.json`
    Document,
    /// Everything else.
    Other,
}

impl Route {
    /// The number of routes.
    pub const COUNT: usize = Self::Other as usize + 1;

    /// The route of a path.
    pub fn of(path: &str) -> Self {
        let mut parts = path.split('/').skip(1);
        let parts = [parts.next(), parts.next(), parts.next(), parts.next()];
        match parts {
            [_, Some(""), ..] => Self::Other,
            [Some("checkout"), None, ..] => Self::Checkout,
            [Some("checkout"), Some(_), None, _] => Self::Cart,
            [Some("purchase"), None, ..] => Self::Purchase,
            [Some("purchase"), Some(_), None, _] => Self::Outcome,
            [Some("sales"), Some("active"), None, _] => Self::ActiveSale,
            [Some("sales"), Some(_), None, _] => Self::Sale,
            [Some("sales"), Some(_), Some("items"), None] => Self::Items,
            [Some("health"), None, ..] => Self::Health,
            [Some("docs"), None, ..] => Self::Docs,
            [Some("openapi.json"), None, ..] => Self::Document,
            _ => Self::Other,
        }
    }

    /// The label of the route.
    pub fn label(self) -> &'static str {
        match self {
            Self::Checkout => "/checkout",
            Self::Cart => "/checkout/{code}",
            Self::Purchase => "/purchase",
            Self::Outcome => "/purchase/{code}",
            Self::ActiveSale => "/sales/active",
            Self::Sale => "/sales/{id}",
            Self::Items => "/sales/{id}/items",
            Self::Health => "/health",
            Self::Docs => "/docs",
            Self::Document => "/openapi.json",
            Self::Other => "other",
        }
    }

    /// The methods of the route, for the header Allow.
    pub fn allow(self) -> &'static str {
        match self {
            Self::Checkout | Self::Purchase => "POST",
            _ => "GET, HEAD",
        }
    }
}

/// Labels of methods. Methods outside of HTTP share the last label.
pub const METHODS: [&str; 10] = [
    "GET", "POST", "HEAD", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "other",
];

/// The label of a method.
pub fn method_label(method: &Method) -> &'static str {
    let found = METHODS.iter().find(|label| **label == method.as_str());
    found.copied().unwrap_or("other")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn ids_and_codes_never_become_labels() {
        for (path, label) in [
            ("/checkout", "/checkout"),
            ("/checkout/", "other"),
            ("/checkout/a/", "other"),
            ("/purchase/CHK-a.b.c-d", "/purchase/{code}"),
            ("/purchase/CHK-a/b", "other"),
            ("/sales/shop.x.20261123T0800Z", "/sales/{id}"),
            ("/sales/active", "/sales/active"),
            ("/sales/x/items", "/sales/{id}/items"),
            ("/sales/x/items/y", "other"),
            ("/sales", "other"),
            ("/", "other"),
            ("", "other"),
            ("/../../etc/passwd", "other"),
        ] {
            assert_eq!(Route::of(path).label(), label, "{path}");
        }
    }

    #[test]
    fn methods_outside_of_http_share_a_label() {
        for (method, label) in [
            ("GET", "GET"),
            ("CONNECT", "CONNECT"),
            ("BREW", "other"),
            ("get", "other"),
        ] {
            let method = Method::from_bytes(method.as_bytes()).unwrap();
            assert_eq!(method_label(&method), label);
        }
    }
}
