//! `GET /sales/{id}/items`.

use flashsale_engine::{Item, MAX_PAGE, RequestId, Shown};
use poem::http::StatusCode;
use poem_openapi::{ApiResponse, Object};
use serde::Serialize;

use super::parameters::{Checked, SaleIdShape};
use super::sale::{unavailable, unknown_sale};
use crate::responses::{Json, Problem, Unavailable};
use crate::selling::Selling;

const DEFAULT_PAGE: u32 = 100;

/// An item of a sale.
#[derive(Debug, Object, Serialize)]
pub struct ItemBody {
    /// The id of the item, for POST /checkout.
    id: String,
    /// The name of the item.
    name: String,
    /// The URL of its picture; empty where it has none.
    image_url: String,
    /// Whether the item is sold.
    sold: bool,
}

impl ItemBody {
    /// The body of an item.
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
#[derive(Debug, Object, Serialize)]
pub struct PageBody {
    /// At most `limit` items, in the order of the catalogue.
    items: Vec<ItemBody>,
    /// The parameter `cursor` of the next page; null on the last page.
    #[oai(nullable)]
    next_cursor: Option<String>,
}

/// Responses of GET /sales/{id}/items.
#[derive(Debug, ApiResponse)]
pub enum ItemsResponse {
    /// A page of items.
    #[oai(status = 200)]
    Page(Json<PageBody>),
    /// invalid_sale_id, invalid_parameter, invalid_path, or invalid_request for a malformed
    /// body.
    #[oai(status = 400, content_type = "application/problem+json")]
    BadRequest(Json<Problem>),
    /// unknown_sale.
    #[oai(status = 404, content_type = "application/problem+json")]
    NotFound(Json<Problem>),
}

/// The query parameters.
#[derive(Debug)]
pub struct PageQuery {
    /// 1 to 1000.
    pub limit: Option<u32>,
    /// `next_cursor` of the previous page.
    pub cursor: Option<String>,
    /// true: only unsold items; false: only sold items.
    pub available: Option<bool>,
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
            let why = "cursor: expected the next_cursor of the previous page, found something else";
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
