//! `GET /purchase/{code}`.

use flashsale_engine::{NoOrder, RequestId};
use poem::http::StatusCode;
use poem_openapi::ApiResponse;

use super::parameters::{Checked, CodeShape};
use super::purchase::PurchaseBody;
use crate::responses::{Json, Problem, Unavailable};
use crate::selling::Selling;

/// Responses of GET /purchase/{code}.
#[derive(Debug, ApiResponse)]
pub enum OutcomeResponse {
    /// The outcome of the code.
    #[oai(status = 200)]
    Outcome(Json<PurchaseBody>),
    /// invalid_code, invalid_path, or invalid_request for a malformed body.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_code: the code was not bought.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
}

/// Serves GET /purchase/{code}.
pub async fn outcome(
    selling: &Selling,
    code: &Checked<CodeShape>,
    request_id: &RequestId,
) -> Result<OutcomeResponse, Unavailable> {
    let problem = |status, code: &str, why: &str| Json(Problem::new(status, code, why, request_id));
    let code = match code.get() {
        Ok(code) => code,
        Err(why) => {
            let problem = problem(StatusCode::BAD_REQUEST, "invalid_code", why);
            return Ok(OutcomeResponse::BadRequest(problem));
        }
    };
    let unknown = || {
        let why = "this code was not bought: POST /purchase buys it";
        let problem = problem(StatusCode::NOT_FOUND, "unknown_code", why);
        Ok(OutcomeResponse::NotFound(problem))
    };
    if code.sale.flash_sale() != selling.flash_sale() {
        return unknown();
    }
    match selling.outcome(code).await {
        Ok(Some(order)) => Ok(OutcomeResponse::Outcome(Json(PurchaseBody::new(&order)))),
        Ok(None) | Err(NoOrder::UnknownCode | NoOrder::SaleNotActive) => unknown(),
        Err(NoOrder::Unavailable(error)) => {
            tracing::warn!(request_id = request_id.as_str(), error = %error, "outcome unavailable");
            let detail = "the outcome is unavailable: send the request again";
            Err(Unavailable::new(detail, request_id))
        }
    }
}
