//! `GET /sales/active`, `GET /sales/{id}` and `GET /sales/{id}/items`.

use flashsale_engine::{BackendError, Item, MAX_PAGE, RequestId, SaleStatus, Shown};
use jiff::Timestamp;
use poem::http::StatusCode;
use poem_openapi::payload::Json;
use poem_openapi::{ApiResponse, Object};

use crate::Selling;
use crate::endpoints::parameters::{Checked, SaleIdShape};
use crate::responses::common_responses::Unavailable;
use crate::responses::problem::Problem;

const DEFAULT_PAGE: u32 = 100;

/// A sale.
#[derive(Debug, Object)]
pub struct SaleBody {
    /// Its id.
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

/// An item of a sale.
#[derive(Debug, Object)]
pub struct ItemBody {
    /// Its id, for POST /checkout.
    id: String,
    /// What people read.
    name: String,
    /// Its picture; empty for none.
    image_url: String,
    /// Whether it is sold.
    sold: bool,
}

impl ItemBody {
    /// An item as a client sees it.
    pub fn new(item: &Item, sold: bool) -> Self {
        Self {
            id: item.id.clone(),
            name: item.name.clone(),
            image_url: item.image_url.clone(),
            sold,
        }
    }
}

/// A page of items.
#[derive(Debug, Object)]
pub struct PageBody {
    /// At most `limit` items, in the order of the catalogue.
    items: Vec<ItemBody>,
    /// Hand it back as `cursor` for the next page; null at the end.
    #[oai(nullable)]
    next_cursor: Option<String>,
}

/// A problem; where no sale is active, with the start of the next one.
#[derive(Debug, Object)]
#[oai(skip_serializing_if_is_none)]
pub struct NoSaleProblem {
    #[oai(flatten)]
    problem: Problem,
    /// When the next sale starts, where one is known (RFC 3339, UTC).
    next_sale_starts_at: Option<String>,
}

/// Answers of GET /sales/active.
#[derive(Debug, ApiResponse)]
pub enum ActiveResponse {
    /// The sale that is selling.
    #[oai(status = 200)]
    Active(Json<SaleBody>),
    /// invalid_request: a body that is none.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// no_active_sale.
    #[oai(status = 404, content_type = "application/problem+json")]
    None(Json<NoSaleProblem>),
}

/// Answers of GET /sales/{id}.
#[derive(Debug, ApiResponse)]
pub enum SaleResponse {
    /// The sale.
    #[oai(status = 200)]
    Sale(Json<SaleBody>),
    /// invalid_sale_id, invalid_path, or invalid_request for a body that is none.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_sale.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
}

/// Answers of GET /sales/{id}/items.
#[derive(Debug, ApiResponse)]
pub enum ItemsResponse {
    /// A page of items.
    #[oai(status = 200)]
    Page(Json<PageBody>),
    /// invalid_sale_id, invalid_parameter, invalid_path, or invalid_request for a body that is
    /// none.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_sale.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
}

/// What of the items is asked for.
#[derive(Debug)]
pub struct PageQuery {
    /// 1 to 1000.
    pub limit: Option<u32>,
    /// `next_cursor` of the page before.
    pub cursor: Option<String>,
    /// true: only those for sale; false: only those that are sold.
    pub available: Option<bool>,
}

fn body(status: &SaleStatus, now: Timestamp) -> SaleBody {
    let window = status.sale.window;
    SaleBody {
        id: status.sale.id.to_string(),
        started_at: window.starts_at.to_string(),
        ended_at: window.ends_at.to_string(),
        total_items: status.sale.items,
        items_sold: status.sold,
        active: window.contains(now),
    }
}

/// Serves GET /sales/active.
pub fn active(selling: &Selling, request_id: &RequestId) -> Result<ActiveResponse, Unavailable> {
    let active = selling
        .selling()
        .map_err(|error| unavailable(&error, request_id))?;
    if let Some(served) = active {
        let status = SaleStatus {
            sale: served.sale.clone(),
            sold: served.sold_count(),
        };
        let now = selling.clock().now();
        return Ok(ActiveResponse::Active(Json(body(&status, now))));
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

fn unknown_sale(request_id: &RequestId) -> Json<Problem> {
    Json(Problem::new(
        StatusCode::NOT_FOUND,
        "unknown_sale",
        "there is no sale of this id here: GET /sales/active names the active one",
        request_id,
    ))
}

fn unavailable(error: &BackendError, request_id: &RequestId) -> Unavailable {
    tracing::warn!(request_id = request_id.as_str(), error = %error, "sale unavailable");
    Unavailable::new("the sale could not be read: ask again", request_id)
}

/// Serves GET /sales/{id}.
pub async fn get(
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
            Ok(SaleResponse::Sale(Json(body(&status, now))))
        }
        Ok(None) => Ok(SaleResponse::NotFound(unknown_sale(request_id))),
        Err(error) => Err(unavailable(&error, request_id)),
    }
}

/// Serves GET /sales/{id}/items.
pub async fn items(
    selling: &Selling,
    id: &Checked<SaleIdShape>,
    query: PageQuery,
    request_id: &RequestId,
) -> Result<ItemsResponse, Unavailable> {
    let bad = |code: &str, why: &str| {
        let problem = Problem::new(StatusCode::BAD_REQUEST, code, why, request_id);
        Ok(ItemsResponse::BadRequest(Json(problem)))
    };
    let id = match id.get() {
        Ok(id) => id,
        Err(why) => return bad("invalid_sale_id", why),
    };
    let limit = query.limit.unwrap_or(DEFAULT_PAGE);
    if !(1..=MAX_PAGE).contains(&limit) {
        return bad(
            "invalid_parameter",
            &format!("limit: expected 1 to {MAX_PAGE}, found {limit}"),
        );
    }
    let from = match query.cursor.as_deref().map(str::parse::<u32>) {
        None => 0,
        Some(Ok(from)) => from,
        Some(Err(_)) => {
            let why = "cursor: expected the next_cursor of the page before, found something else";
            return bad("invalid_parameter", why);
        }
    };
    let shown = match query.available {
        None => Shown::All,
        Some(true) => Shown::Available,
        Some(false) => Shown::Sold,
    };
    match selling.page(id, from, limit, shown).await {
        Ok(Some(page)) => Ok(ItemsResponse::Page(Json(PageBody {
            items: page
                .items
                .iter()
                .map(|(item, sold)| ItemBody::new(item, *sold))
                .collect(),
            next_cursor: page.next.map(|idx| idx.to_string()),
        }))),
        Ok(None) => Ok(ItemsResponse::NotFound(unknown_sale(request_id))),
        Err(error) => Err(unavailable(&error, request_id)),
    }
}
