//! `GET /sales/{id}`.

use flashsale_engine::{BackendError, RequestId, SaleStatus};
use jiff::Timestamp;
use poem::http::StatusCode;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use super::parameters::{Checked, SaleIdShape};
use crate::responses::{Json, Problem, Unavailable};
use crate::selling::Selling;

/// A sale.
#[derive(Debug, Object, Serialize)]
pub struct SaleBody {
    /// The id of the sale.
    id: String,
    /// When it starts or started (RFC 3339, UTC).
    started_at: String,
    /// When it ends or ended (RFC 3339, UTC).
    ended_at: String,
    /// Items in its catalogue.
    total_items: u32,
    /// Items sold.
    items_sold: u32,
    /// Whether it is selling.
    active: bool,
}

impl SaleBody {
    /// The body of a sale at a time, which decides whether the sale is active.
    pub fn new(status: &SaleStatus, now: Timestamp) -> Self {
        let window = status.sale.window;
        Self {
            id: status.sale.id.to_string(),
            started_at: window.starts_at.to_string(),
            ended_at: window.ends_at.to_string(),
            total_items: status.sale.items,
            items_sold: status.sold,
            active: window.contains(now),
        }
    }
}

/// Responses of GET /sales/{id}.
#[derive(Debug, ApiResponse)]
pub enum SaleResponse {
    /// The sale.
    #[oai(status = 200)]
    Sale(Json<SaleBody>),
    /// invalid_sale_id, invalid_path, or invalid_request for a malformed body.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_sale.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
}

/// Serves GET /sales/{id}.
pub async fn sale(
    selling: &Selling,
    id: &Checked<SaleIdShape>,
    request_id: &RequestId,
) -> Result<SaleResponse, Unavailable> {
    let id = match id.get() {
        Ok(id) => id,
        Err(why) => {
            let status = StatusCode::BAD_REQUEST;
            let problem = Problem::new(status, "invalid_sale_id", why, request_id);
            return Ok(SaleResponse::BadRequest(Json(problem)));
        }
    };
    match selling.status(id).await {
        Ok(Some(status)) => {
            let now = selling.clock().now();
            Ok(SaleResponse::Sale(Json(SaleBody::new(&status, now))))
        }
        Ok(None) => Ok(SaleResponse::NotFound(unknown_sale(request_id))),
        Err(error) => Err(unavailable(&error, request_id)),
    }
}

/// 404 for an id that no sale of this FlashSale has.
pub fn unknown_sale(request_id: &RequestId) -> Json<Problem> {
    Json(Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_sale",
        "this FlashSale has no sale with this id: GET /sales/active shows the active sale",
        request_id,
    ))
}

/// 503 where the sale cannot be read, with the error in the log.
pub fn unavailable(error: &BackendError, request_id: &RequestId) -> Unavailable {
    tracing::warn!(request_id = request_id.as_str(), error = %error, "sale unavailable");
    Unavailable::new(
        "the sale is unavailable: send the request again",
        request_id,
    )
}
