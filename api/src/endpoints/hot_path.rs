//! `POST /checkout` and `POST /purchase` in their plain form, without the routers of the framework.
//!
//! The routers of the framework decode and compare the path twice, copy each parameter, and box the
//! future of each step. `docs/performance.md` has what that cost.
//!
//! Guarantees: a request gets the same response here as from the framework. Where the query is not
//! exactly the endpoint's parameters, each once and without an encoded character, the framework
//! responds.

use std::sync::Arc;

use flashsale_engine::RequestId;
use poem::http::{Method, Uri};
use poem::{Endpoint, IntoResponse, Request, Response};

use super::parameters::{Checked, CodeShape, ItemIdShape, Shape, UserIdShape};
use super::{checkout, purchase};
use crate::readiness::Readiness;
use crate::responses::Unavailable;

/// The endpoints of the hot path, in front of all routes.
#[derive(Debug)]
pub struct HotPath<E> {
    readiness: Arc<Readiness>,
    routes: E,
}

impl<E> HotPath<E> {
    /// Puts the hot path in front of `routes`, which has both endpoints too.
    pub fn new(readiness: Arc<Readiness>, routes: E) -> Self {
        Self { readiness, routes }
    }
}

impl<E: Endpoint<Output = Response>> Endpoint for HotPath<E> {
    type Output = Response;

    async fn call(&self, request: Request) -> poem::Result<Response> {
        let (Some(call), Some(request_id)) = (
            HotCall::of(request.method(), request.uri()),
            request.data::<RequestId>(),
        ) else {
            return self.routes.call(request).await;
        };
        let response = self.respond(&call, request_id).await;
        Ok(response.unwrap_or_else(|unavailable| unavailable.into_response()))
    }
}

impl<E> HotPath<E> {
    async fn respond(
        &self,
        call: &HotCall,
        request_id: &RequestId,
    ) -> Result<Response, Unavailable> {
        let selling = self.readiness.selling_for(request_id)?;
        Ok(match call {
            HotCall::Checkout(user, item) => checkout::checkout(selling, user, item, request_id)
                .await?
                .into_response(),
            HotCall::Purchase(code) => purchase::purchase(selling, code, request_id)
                .await?
                .into_response(),
        })
    }
}

/// A call of the hot path.
#[derive(Debug)]
enum HotCall {
    Checkout(Checked<UserIdShape>, Checked<ItemIdShape>),
    Purchase(Checked<CodeShape>),
}

impl HotCall {
    /// The call of a request; none where the framework has to read it.
    fn of(method: &Method, uri: &Uri) -> Option<Self> {
        if method != Method::POST {
            return None;
        }
        let mut parameters = uri.query()?.split('&');
        let (first, second) = (parameters.next()?, parameters.next());
        match (uri.path(), second, parameters.next()) {
            ("/checkout", Some(second), None) => {
                let in_order = value::<UserIdShape>(first).zip(value::<ItemIdShape>(second));
                let (user, item) = in_order
                    .or_else(|| value::<UserIdShape>(second).zip(value::<ItemIdShape>(first)))?;
                Some(Self::Checkout(Checked::parse(user), Checked::parse(item)))
            }
            ("/purchase", None, None) => {
                let code = value::<CodeShape>(first)?;
                Some(Self::Purchase(Checked::parse(code)))
            }
            _ => None,
        }
    }
}

/// The value of `name=value`, where no character of it has to be decoded.
fn value<S: Shape>(parameter: &str) -> Option<&str> {
    let value = parameter.strip_prefix(S::NAME)?.strip_prefix('=')?;
    let is_plain = |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'%' | b'+');
    value.bytes().all(is_plain).then_some(value)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn call(method: &str, uri: &str) -> Option<String> {
        let method = Method::from_bytes(method.as_bytes()).unwrap();
        let text = |value: Result<String, &str>| value.unwrap_or_else(|why| format!("({why})"));
        Some(match HotCall::of(&method, &uri.parse().unwrap())? {
            HotCall::Checkout(user, item) => format!(
                "{} {}",
                text(user.get().map(ToString::to_string)),
                text(item.get().map(ToString::to_string))
            ),
            HotCall::Purchase(code) => text(code.get().map(|code| code.sale.to_string())),
        })
    }

    #[test]
    fn a_query_of_exactly_the_parameters_is_read_here() {
        let code = "CHK-shop.hourly.20261123T0800Z-0123456789abcdefghjkmn";
        for (uri, read) in [
            ("/checkout?user_id=ann&id=item-7", "ann item-7"),
            ("/checkout?id=item-7&user_id=ann", "ann item-7"),
            ("http://shop/checkout?user_id=a:b@c&id=x_1.2", "a:b@c x_1.2"),
            (
                &format!("/purchase?code={code}"),
                "shop.hourly.20261123T0800Z",
            ),
        ] {
            assert_eq!(call("POST", uri).as_deref(), Some(read), "{uri}");
        }
        let invalid = call("POST", "/checkout?user_id=&id=a/b").unwrap();
        assert!(invalid.contains("(user_id: "), "{invalid}");
        assert!(invalid.contains("(id: "), "{invalid}");
    }

    #[test]
    fn every_other_request_is_read_by_the_framework() {
        for uri in [
            "/checkout",
            "/checkout?",
            "/checkout?user_id=ann",
            "/checkout?user_id=ann&user_id=bob",
            "/checkout?user_id=ann&id=a&id=b",
            "/checkout?user_id=ann&id=a&",
            "/checkout?user_id=ann&id=a%2Db",
            "/checkout?user_id=ann+b&id=a",
            "/checkout?user%5Fid=ann&id=a",
            "/checkout?user_id&id=a",
            "/checkout/?user_id=ann&id=a",
            "/purchase?code=a&x=1",
            "/purchase?codes=a",
            "/sales/active?user_id=ann&id=a",
        ] {
            assert_eq!(call("POST", uri), None, "{uri}");
        }
        assert_eq!(call("GET", "/checkout?user_id=ann&id=a"), None);
        assert_eq!(call("post", "/checkout?user_id=ann&id=a"), None);
    }
}
