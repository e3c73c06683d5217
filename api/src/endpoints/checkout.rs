//! `POST /checkout`.
//!
//! Guarantees: every request that gets a response other than 5xx is logged as an attempt once.

use flashsale_engine::{
    BackendError, Checkout, InvalidCheckout, ItemId, Refusal, RequestId, UserId,
};
use poem::http::StatusCode;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use super::parameters::{Checked, ItemIdShape, UserIdShape};
use crate::responses::{Json, Problem, Unavailable};
use crate::selling::Selling;

/// A cart after a checkout.
#[derive(Debug, Object, Serialize)]
pub struct CheckoutBody {
    /// The checkout code, for POST /purchase. It is a bearer token.
    code: String,
    /// Items in the cart.
    items_count: u32,
    /// When the sale ends (RFC 3339, UTC).
    sale_ends_at: String,
}

/// Responses of POST /checkout.
#[derive(Debug, ApiResponse)]
pub enum CheckoutResponse {
    /// The item is in the cart. It is not reserved.
    #[oai(status = 200)]
    InCart(Json<CheckoutBody>),
    /// invalid_user_id, invalid_item_id, cart_full, limit_reached, sale_not_active,
    /// item_of_another_sale, or invalid_request for a malformed body.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_item.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
    /// already_sold or sold_out.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(Json<Problem>),
}

/// Serves POST /checkout.
pub async fn checkout(
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
            "no sale is active: GET /sales/active shows when the next sale starts",
        ),
        Refusal::UnknownItem => (
            StatusCode::NOT_FOUND,
            "no sale has this item: GET /sales/{id}/items lists the items of a sale",
        ),
        Refusal::ItemOfAnotherSale => (
            StatusCode::BAD_REQUEST,
            "the item belongs to another sale than the active one",
        ),
        Refusal::AlreadySold => (
            StatusCode::CONFLICT,
            "the item is sold: GET /sales/{id}/items?available=true lists unsold items",
        ),
        Refusal::SoldOut => (
            StatusCode::CONFLICT,
            "the sale has reached its limit of sold items",
        ),
        Refusal::LimitReached => (
            StatusCode::BAD_REQUEST,
            "the user has reached the limit of items per user in this sale",
        ),
        Refusal::CartFull => (
            StatusCode::BAD_REQUEST,
            "the cart has reached the limit of items per checkout: buy it with POST /purchase, \
             then start a new cart",
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
    Unavailable::new(
        "the cart is unavailable: send the request again",
        request_id,
    )
}
