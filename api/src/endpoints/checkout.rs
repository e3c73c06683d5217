//! `POST /checkout` and `GET /checkout/{code}`.

use flashsale_engine::{
    BackendError, Checkout, InvalidCheckout, ItemId, NoOrder, Refusal, RequestId, ShownCart, UserId,
};
use poem::http::StatusCode;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};

use crate::Selling;
use crate::endpoints::parameters::{Checked, CodeShape, ItemIdShape, UserIdShape};
use crate::endpoints::sale::ItemBody;
use crate::responses::common_responses::Unavailable;
use crate::responses::problem::Problem;

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
    /// invalid_user_id, invalid_item_id, cart_full, limit_reached, sale_not_active,
    /// item_of_another_sale, or invalid_request for a body that is none.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_item.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
    /// already_sold or sold_out.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Json<Problem>),
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
    /// invalid_code, invalid_path, or invalid_request for a body that is none.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_code: there is no such cart, or its sale is over.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
}

/// Serves POST /checkout.
pub async fn post(
    selling: &Selling,
    user: &Checked<UserIdShape>,
    item: &Checked<ItemIdShape>,
    request_id: &RequestId,
) -> Result<CheckoutResponse, Unavailable> {
    let (valid_user, valid_item) = match (user.get(), item.get()) {
        (Ok(user), Ok(item)) => (user, item),
        (Err(why), item) => {
            return invalid(
                selling,
                InvalidCheckout::UserId,
                why,
                (None, item.ok()),
                request_id,
            )
            .await;
        }
        (user, Err(why)) => {
            return invalid(
                selling,
                InvalidCheckout::ItemId,
                why,
                (user.ok(), None),
                request_id,
            )
            .await;
        }
    };
    match selling.checkout(valid_user, valid_item, request_id).await {
        Ok(Checkout::InCart {
            code,
            items_count,
            ends_at,
        }) => Ok(CheckoutResponse::InCart(Json(CheckoutBody {
            code,
            items_count,
            sale_ends_at: ends_at.to_string(),
        }))),
        Ok(Checkout::Refused(refusal)) => Ok(refused(refusal, request_id)),
        Err(error) => Err(unavailable(&error, request_id)),
    }
}

async fn invalid(
    selling: &Selling,
    invalid: InvalidCheckout,
    why: &str,
    (user, item): (Option<&UserId>, Option<&ItemId>),
    request_id: &RequestId,
) -> Result<CheckoutResponse, Unavailable> {
    let logged = selling.log_invalid_checkout(user, item, invalid, request_id);
    logged
        .await
        .map_err(|error| unavailable(&error, request_id))?;
    let problem = Problem::new(StatusCode::BAD_REQUEST, invalid.code(), why, request_id);
    Ok(CheckoutResponse::BadRequest(Json(problem)))
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

fn unavailable(error: &BackendError, request_id: &RequestId) -> Unavailable {
    tracing::warn!(request_id = request_id.as_str(), error = %error, "checkout unavailable");
    Unavailable::new("the cart could not be reached: ask again", request_id)
}

/// Serves GET /checkout/{code}.
pub async fn get(
    selling: &Selling,
    code: &Checked<CodeShape>,
    request_id: &RequestId,
) -> Result<CartResponse, Unavailable> {
    let problem = |status, code: &str, why: &str| Json(Problem::new(status, code, why, request_id));
    let code = match code.get() {
        Ok(code) => code,
        Err(why) => {
            let problem = problem(StatusCode::BAD_REQUEST, "invalid_code", why);
            return Ok(CartResponse::BadRequest(problem));
        }
    };
    match selling.cart(code).await {
        Ok(ShownCart {
            user,
            items,
            ends_at,
        }) => {
            let view = selling.known(&code.sale);
            let sold = |idx| view.as_ref().is_some_and(|served| served.is_sold(idx));
            Ok(CartResponse::Cart(Json(CartBody {
                code: code.to_string(),
                user_id: user,
                items_count: items.len() as u32,
                items: items
                    .iter()
                    .map(|item| ItemBody::new(item, sold(item.idx)))
                    .collect(),
                sale_ends_at: ends_at.to_string(),
            })))
        }
        Err(NoOrder::Unavailable(error)) => {
            tracing::warn!(request_id = request_id.as_str(), error = %error, "cart unavailable");
            let detail = "the cart could not be read: ask again";
            Err(Unavailable::new(detail, request_id))
        }
        Err(NoOrder::UnknownCode | NoOrder::SaleNotActive) => {
            let why = "no cart has this code; GET /purchase/{code} knows carts that were bought";
            let problem = problem(StatusCode::NOT_FOUND, "unknown_code", why);
            Ok(CartResponse::NotFound(problem))
        }
    }
}
