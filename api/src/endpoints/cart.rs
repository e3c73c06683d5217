//! `GET /checkout/{code}`.

use flashsale_engine::{NoOrder, RequestId, ShownCart};
use poem::http::StatusCode;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use super::items::ItemBody;
use super::parameters::{Checked, CodeShape};
use crate::responses::{Json, Problem, Unavailable};
use crate::selling::Selling;

/// A cart, bought or not: GET /purchase/{code} shows its outcome.
#[derive(Debug, Object, Serialize)]
pub struct CartBody {
    /// The checkout code of the cart.
    code: String,
    /// The user of the cart.
    user_id: String,
    /// Items in the order in which they were added.
    items: Vec<ItemBody>,
    /// Items in the cart.
    items_count: u32,
    /// When the sale ends (RFC 3339, UTC).
    sale_ends_at: String,
}

/// Responses of GET /checkout/{code}.
#[derive(Debug, ApiResponse)]
pub enum CartResponse {
    /// The cart.
    #[oai(status = 200)]
    Cart(Json<CartBody>),
    /// invalid_code, invalid_path, or invalid_request for a malformed body.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_code: there is no such cart, or its sale is over.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
}

/// Serves GET /checkout/{code}.
pub async fn cart(
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
            let detail = "the cart is unavailable: send the request again";
            Err(Unavailable::new(detail, request_id))
        }
        Err(NoOrder::UnknownCode | NoOrder::SaleNotActive) => {
            let why = "no cart has this code; GET /purchase/{code} shows carts that were bought";
            let problem = problem(StatusCode::NOT_FOUND, "unknown_code", why);
            Ok(CartResponse::NotFound(problem))
        }
    }
}
