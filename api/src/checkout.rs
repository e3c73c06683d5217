//! `POST /checkout` and `GET /checkout/{code}`.

use flashsale_engine::checkout::{Checkout, Refusal};
use flashsale_engine::ids::RequestId;
use flashsale_engine::purchase::{Cart, NoOrder};
use flashsale_engine::shop::Shop;
use poem::http::StatusCode;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};

use crate::params::{Checked, CodeShape, ItemIdShape, UserIdShape};
use crate::problem::{Problem, RETRY_AFTER_SECONDS};
use crate::sales::ItemBody;

/// A cart, as a checkout leaves it.
#[derive(Debug, Object)]
pub struct CheckoutBody {
    /// Buys the cart: hand it to POST /purchase. It is a bearer token.
    code: String,
    /// Items in the cart.
    items_count: u32,
    /// When the sale ends (RFC 3339, UTC).
    sale_ends_at: String,
}

/// Answers of POST /checkout.
#[derive(Debug, ApiResponse)]
pub enum CheckoutResponse {
    /// The item is in the cart. It is not reserved.
    #[oai(status = 200)]
    InCart(Json<CheckoutBody>),
    /// invalid_user_id, invalid_item_id, cart_full, limit_reached, sale_not_active or
    /// item_of_another_sale.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_item.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
    /// already_sold or sold_out.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Json<Problem>),
    /// unavailable: a store is away; ask again.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(
        Json<Problem>,
        /// Seconds to wait before asking again.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

/// A cart, bought or not: GET /purchase/{code} says whether it was.
#[derive(Debug, Object)]
pub struct CartBody {
    /// Its code.
    code: String,
    /// Whose it is.
    user_id: String,
    /// What it holds, in the order in which it was added.
    items: Vec<ItemBody>,
    /// Items in the cart.
    items_count: u32,
    /// When the sale ends (RFC 3339, UTC).
    sale_ends_at: String,
}

/// Answers of GET /checkout/{code}.
#[derive(Debug, ApiResponse)]
pub enum CartResponse {
    /// The cart.
    #[oai(status = 200)]
    Cart(Json<CartBody>),
    /// invalid_code.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_code: there is no such cart, or its sale is over.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
    /// unavailable: a store is away; ask again.
    #[oai(status = 503, content_type = "application/problem+json")]
    Unavailable(
        Json<Problem>,
        /// Seconds to wait before asking again.
        #[oai(header = "Retry-After")]
        u64,
    ),
}

/// Serves POST /checkout.
pub async fn post(
    shop: &Shop,
    user: &Checked<UserIdShape>,
    item: &Checked<ItemIdShape>,
    request_id: &RequestId,
) -> CheckoutResponse {
    let (valid_user, valid_item) = match (user.get(), item.get()) {
        (Ok(user), Ok(item)) => (user, item),
        (Err(why), item) => {
            return invalid(shop, "invalid_user_id", why, (None, item.ok()), request_id).await;
        }
        (user, Err(why)) => {
            return invalid(shop, "invalid_item_id", why, (user.ok(), None), request_id).await;
        }
    };
    match shop.checkout(valid_user, valid_item, request_id).await {
        Ok(Checkout::InCart {
            code,
            items_count,
            ends_at,
        }) => CheckoutResponse::InCart(Json(CheckoutBody {
            code,
            items_count,
            sale_ends_at: ends_at.to_string(),
        })),
        Ok(Checkout::Refused(refusal)) => refused(refusal, request_id),
        Err(error) => unavailable(&error, request_id),
    }
}

async fn invalid(
    shop: &Shop,
    code: &'static str,
    why: &str,
    (user, item): (
        Option<&flashsale_engine::ids::UserId>,
        Option<&flashsale_engine::ids::ItemId>,
    ),
    request_id: &RequestId,
) -> CheckoutResponse {
    match shop
        .log_invalid_checkout(user, item, code, request_id)
        .await
    {
        Ok(()) => CheckoutResponse::BadRequest(Json(Problem::new(
            StatusCode::BAD_REQUEST,
            code,
            why,
            request_id,
        ))),
        Err(error) => unavailable(&error, request_id),
    }
}

fn refused(refusal: Refusal, request_id: &RequestId) -> CheckoutResponse {
    let (status, detail) = match refusal {
        Refusal::SaleNotActive => (
            StatusCode::BAD_REQUEST,
            "no sale is active: GET /sales/active says when the next one starts",
        ),
        Refusal::UnknownItem => (
            StatusCode::NOT_FOUND,
            "no sale has such an item: GET /sales/{id}/items lists them",
        ),
        Refusal::ItemOfAnotherSale => (
            StatusCode::BAD_REQUEST,
            "the item belongs to another sale than the active one",
        ),
        Refusal::AlreadySold => (
            StatusCode::CONFLICT,
            "the item is sold: GET /sales/{id}/items?available=true lists what is left",
        ),
        Refusal::SoldOut => (
            StatusCode::CONFLICT,
            "the sale has sold as many items as it may",
        ),
        Refusal::LimitReached => (
            StatusCode::BAD_REQUEST,
            "the user has bought as many items as one user may in this sale",
        ),
        Refusal::CartFull => (
            StatusCode::BAD_REQUEST,
            "the cart holds as many items as a checkout may: POST /purchase with its code, then \
             start a new one",
        ),
    };
    let problem = Json(Problem::new(status, refusal.code(), detail, request_id));
    match status {
        StatusCode::NOT_FOUND => CheckoutResponse::NotFound(problem),
        StatusCode::CONFLICT => CheckoutResponse::Conflict(problem),
        _ => CheckoutResponse::BadRequest(problem),
    }
}

fn unavailable(error: &flashsale_engine::StoreError, request_id: &RequestId) -> CheckoutResponse {
    tracing::warn!(request_id = request_id.as_str(), error = %error, "checkout unavailable");
    let detail = "the cart could not be reached: ask again";
    CheckoutResponse::Unavailable(
        Json(Problem::unavailable(detail, request_id)),
        RETRY_AFTER_SECONDS,
    )
}

/// Serves GET /checkout/{code}.
pub async fn get(shop: &Shop, code: &Checked<CodeShape>, request_id: &RequestId) -> CartResponse {
    let code = match code.get() {
        Ok(code) => code,
        Err(why) => {
            return CartResponse::BadRequest(Json(Problem::new(
                StatusCode::BAD_REQUEST,
                "invalid_code",
                why,
                request_id,
            )));
        }
    };
    match shop.cart(code).await {
        Ok(Cart {
            user,
            items,
            ends_at,
        }) => {
            let view = shop.known(&code.sale);
            let sold = |idx| view.as_ref().is_some_and(|open| open.view.is_sold(idx));
            CartResponse::Cart(Json(CartBody {
                code: code.to_string(),
                user_id: user,
                items_count: items.len() as u32,
                items: items
                    .iter()
                    .map(|item| ItemBody::new(item, sold(item.idx)))
                    .collect(),
                sale_ends_at: ends_at.to_string(),
            }))
        }
        Err(NoOrder::Unavailable(error)) => {
            tracing::warn!(request_id = request_id.as_str(), error = %error, "cart unavailable");
            let problem = Problem::unavailable("the cart could not be read: ask again", request_id);
            CartResponse::Unavailable(Json(problem), RETRY_AFTER_SECONDS)
        }
        Err(NoOrder::UnknownCode | NoOrder::SaleNotActive) => {
            CartResponse::NotFound(Json(Problem::new(
                StatusCode::NOT_FOUND,
                "unknown_code",
                "no cart has this code; GET /purchase/{code} knows carts that were bought",
                request_id,
            )))
        }
    }
}
