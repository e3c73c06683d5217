//! `GET /sales/active`.

use flashsale_engine::{RequestId, SaleStatus};
use poem::http::StatusCode;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use super::sale::{SaleBody, unavailable};
use crate::responses::{Json, Problem, Unavailable};
use crate::selling::Selling;

/// A problem; where no sale is active, with the start of the next sale.
#[derive(Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct NoSaleProblem {
    #[oai(flatten)]
    #[serde(flatten)]
    problem: Problem,
    /// When the next sale starts; absent where none is seeded (RFC 3339, UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    next_sale_starts_at: Option<String>,
}

/// Responses of GET /sales/active.
#[derive(Debug, ApiResponse)]
pub enum ActiveResponse {
    /// The active sale.
    #[oai(status = 200)]
    Active(Json<SaleBody>),
    /// invalid_request: a malformed body.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// no_active_sale.
    #[oai(status = 404, content_type = "application/problem+json")]
    None(Json<NoSaleProblem>),
}

/// Serves GET /sales/active.
pub fn active_sale(
    selling: &Selling,
    request_id: &RequestId,
) -> Result<ActiveResponse, Unavailable> {
    let active = selling
        .selling()
        .map_err(|error| unavailable(&error, request_id))?;
    if let Some(served) = active {
        let status = SaleStatus {
            sale: served.sale.clone(),
            sold: served.sold_count(),
        };
        let now = selling.clock().now();
        return Ok(ActiveResponse::Active(Json(SaleBody::new(&status, now))));
    }
    Ok(ActiveResponse::None(Json(NoSaleProblem {
        problem: Problem::new(
            StatusCode::NOT_FOUND,
            "no_active_sale",
            "no sale is active at this moment",
            request_id,
        ),
        next_sale_starts_at: selling
            .next()
            .map(|served| served.sale.window.starts_at.to_string()),
    })))
}
