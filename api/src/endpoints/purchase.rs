//! `POST /purchase`.
//!
//! Guarantees: a response names an item as bought only after the engine has returned its order.

use flashsale_engine::{BackendError, ItemOutcome, NoOrder, NothingSold, Order, RequestId, SaleId};
use poem::http::StatusCode;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use super::parameters::{Checked, CodeShape};
use crate::responses::{Json, Problem, Unavailable};
use crate::selling::Selling;

/// An item that was bought.
#[derive(Debug, Clone, Object, Serialize)]
pub struct PurchasedItem {
    /// The id of the item.
    id: String,
    /// The name of the item.
    name: String,
    /// Always true: this code bought the item.
    sold: bool,
}

/// An item that was not bought.
#[derive(Debug, Clone, Object, Serialize)]
pub struct FailedItem {
    /// The id of the item.
    id: String,
    /// already_sold or limit_reached.
    reason: String,
}

/// The outcome of a code.
#[derive(Debug, Object, Serialize)]
pub struct PurchaseBody {
    /// Whether at least one item was bought.
    success: bool,
    /// Items that were bought.
    purchased_items: Vec<PurchasedItem>,
    /// Items that were not bought, with reasons.
    failed_items: Vec<FailedItem>,
    /// The number of bought items.
    total_purchased: u32,
    /// The number of items that were not bought.
    failed_count: u32,
}

/// A problem; where a code bought nothing, with the outcome of the code.
#[derive(Debug, Object, Serialize)]
#[oai(skip_serializing_if_is_none)]
pub struct PurchaseProblem {
    #[oai(flatten)]
    #[serde(flatten)]
    problem: Problem,
    /// false, where the code has an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    success: Option<bool>,
    /// Empty, where the code has an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    purchased_items: Option<Vec<PurchasedItem>>,
    /// Items that were not bought, with reasons, where the code has an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_items: Option<Vec<FailedItem>>,
    /// 0, where the code has an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    total_purchased: Option<u32>,
    /// The number of items that were not bought, where the code has an outcome.
    #[serde(skip_serializing_if = "Option::is_none")]
    failed_count: Option<u32>,
}

/// Responses of POST /purchase.
#[derive(Debug, ApiResponse)]
pub enum PurchaseResponse {
    /// At least one item was bought, for good. The same code always gets the same outcome.
    #[oai(status = 200)]
    Bought(
        Json<PurchaseBody>,
        /// true where an earlier request decided the outcome.
        #[oai(header = "Idempotent-Replayed")]
        Option<bool>,
    ),
    /// invalid_code, sale_not_active, limit_reached: nothing was bought; or invalid_request for
    /// a malformed body.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(
        Json<PurchaseProblem>,
        /// true where an earlier request decided the outcome.
        #[oai(header = "Idempotent-Replayed")]
        Option<bool>,
    ),
    /// unknown_code.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
    /// already_sold: nothing was bought, because all items of the cart were sold.
    #[oai(status = 409, content_type = "application/problem+json")]
    Conflict(
        Json<PurchaseProblem>,
        /// true where an earlier request decided the outcome.
        #[oai(header = "Idempotent-Replayed")]
        Option<bool>,
    ),
}

impl PurchaseBody {
    /// The outcome of an order.
    pub fn new(order: &Order) -> Self {
        let mut purchased_items = Vec::new();
        let mut failed_items = Vec::new();
        for (item, outcome) in &order.items {
            let id = item.id.clone();
            if let ItemOutcome::Sold { .. } = outcome {
                let name = item.name.clone();
                purchased_items.push(PurchasedItem {
                    id,
                    name,
                    sold: true,
                });
            } else {
                let reason = outcome.as_str().to_owned();
                failed_items.push(FailedItem { id, reason });
            }
        }
        Self {
            success: !purchased_items.is_empty(),
            total_purchased: purchased_items.len() as u32,
            failed_count: failed_items.len() as u32,
            purchased_items,
            failed_items,
        }
    }
}

impl PurchaseProblem {
    fn plain(problem: Problem) -> Self {
        Self {
            problem,
            success: None,
            purchased_items: None,
            failed_items: None,
            total_purchased: None,
            failed_count: None,
        }
    }

    fn with_outcome(problem: Problem, body: PurchaseBody) -> Self {
        Self {
            problem,
            success: Some(body.success),
            purchased_items: Some(body.purchased_items),
            failed_items: Some(body.failed_items),
            total_purchased: Some(body.total_purchased),
            failed_count: Some(body.failed_count),
        }
    }
}

/// Serves POST /purchase.
pub async fn purchase(
    selling: &Selling,
    code: &Checked<CodeShape>,
    request_id: &RequestId,
) -> Result<PurchaseResponse, Unavailable> {
    let code = match code.get() {
        Ok(code) => code,
        Err(why) => {
            selling.count_invalid_purchase();
            return Ok(bad_request("invalid_code", why, request_id));
        }
    };
    match selling.purchase(code, request_id).await {
        Ok(order) => {
            log_order(&order, &code.sale, request_id);
            Ok(response(&order, request_id))
        }
        Err(NoOrder::UnknownCode) => Ok(PurchaseResponse::NotFound(Json(Problem::new(
            StatusCode::NOT_FOUND,
            "unknown_code",
            "no cart has this code: POST /checkout starts a cart",
            request_id,
        )))),
        Err(NoOrder::SaleNotActive) => Ok(bad_request(
            "sale_not_active",
            "the sale of this code is not active, and the code was not bought while it was",
            request_id,
        )),
        Err(NoOrder::Unavailable(error)) => {
            tracing::warn!(
                request_id = request_id.as_str(), sale = %code.sale, error = %error,
                "purchase unavailable"
            );
            let detail = match *error {
                BackendError::Unsettled => {
                    "the sale has ended and is being settled: send the request again with the same \
                     code for its final outcome"
                }
                _ => {
                    "the purchase could not be confirmed: send the request again with the same \
                     code; the cart is bought at most once"
                }
            };
            Err(Unavailable::new(detail, request_id))
        }
    }
}

fn log_order(order: &Order, sale: &SaleId, request_id: &RequestId) {
    tracing::info!(
        target: "flashsale::business",
        event = "order",
        request_id = request_id.as_str(),
        sale = %sale,
        user = order.user,
        sold = order.sold_count(),
        items = order.items.len(),
        replayed = order.replayed,
        "order answered"
    );
}

fn response(order: &Order, request_id: &RequestId) -> PurchaseResponse {
    let body = PurchaseBody::new(order);
    let replayed = order.replayed.then_some(true);
    if body.success {
        return PurchaseResponse::Bought(Json(body), replayed);
    }
    let limited = order.refusal() == NothingSold::LimitReached;
    let (status, detail) = if limited {
        let why = "nothing was bought: the user or the sale has reached its limit of items";
        (StatusCode::BAD_REQUEST, why)
    } else {
        let why = "nothing was bought: all items of the cart are sold";
        (StatusCode::CONFLICT, why)
    };
    let problem = Problem::new(status, order.refusal().code(), detail, request_id);
    let problem = Json(PurchaseProblem::with_outcome(problem, body));
    if limited {
        PurchaseResponse::BadRequest(problem, replayed)
    } else {
        PurchaseResponse::Conflict(problem, replayed)
    }
}

fn bad_request(code: &str, why: &str, request_id: &RequestId) -> PurchaseResponse {
    let problem = Problem::new(StatusCode::BAD_REQUEST, code, why, request_id);
    PurchaseResponse::BadRequest(Json(PurchaseProblem::plain(problem)), None)
}
