//! The public endpoints with their OpenAPI document, and the endpoints of the internal port.
//!
//! Guarantees: each endpoint has a file, which maps the engine's result to a response and decides
//! nothing about a sale.

mod active_sale;
mod cart;
mod checkout;
mod health;
mod hot_path;
mod items;
mod outcome;
mod parameters;
mod probes_and_metrics;
mod purchase;
mod sale;

pub use hot_path::HotPath;
pub use probes_and_metrics::internal_routes;

use std::sync::Arc;

use flashsale_engine::RequestId;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{OpenApi, OpenApiService, Tags};

use self::parameters::{AtMostOne, Checked, CodeShape, ItemIdShape, SaleIdShape, UserIdShape};
use crate::readiness::Readiness;
use crate::responses::{CommonResponses, Unavailable};

/// The public API of one process.
#[derive(Debug)]
pub struct Api {
    readiness: Arc<Readiness>,
}

#[derive(Tags)]
enum Tag {
    /// Fill a cart, then buy it.
    Buying,
    /// Sales and their items.
    Sales,
    /// The state of the service.
    Service,
}

/// The public endpoints with their OpenAPI document.
pub fn openapi_service(readiness: Arc<Readiness>) -> OpenApiService<Api, ()> {
    let version = env!("CARGO_PKG_VERSION");
    OpenApiService::new(Api { readiness }, "flashsale", version).description(
        "Flash sales: unique items, at most once each, no reservations. Every error is \
         application/problem+json with a stable `code`. Every response has an X-Request-Id. \
         Bytes that are no HTTP request get an empty 400, 414 or 431, or no response.",
    )
}

#[OpenApi]
impl Api {
    /// Put an item into the user's cart
    ///
    /// Returns the code that buys the cart. The code stays the same until it is bought. The item
    /// is not reserved: the first purchase gets it. An item that is added twice counts once.
    #[oai(path = "/checkout", method = "post", tag = "Tag::Buying")]
    async fn checkout(
        &self,
        /// The user: 1 to 64 characters of A-Z a-z 0-9 . - _ : @ +
        user_id: Query<Checked<UserIdShape>>,
        /// The item: 1 to 128 characters of A-Z a-z 0-9 . - _ : @ +
        id: Query<Checked<ItemIdShape>>,
        request_id: Data<&RequestId>,
    ) -> Result<checkout::CheckoutResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        checkout::checkout(selling, &user_id, &id, &request_id).await
    }

    /// Show a cart
    #[oai(path = "/checkout/:code", method = "get", tag = "Tag::Buying")]
    async fn cart(
        &self,
        /// The code that POST /checkout returned.
        code: Path<Checked<CodeShape>>,
        request_id: Data<&RequestId>,
    ) -> Result<cart::CartResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        cart::cart(selling, &code, &request_id).await
    }

    /// Buy a cart
    ///
    /// Claims all items of the cart at once; the response lists items that were sold before. A
    /// code has one outcome: another request gets it again, with the header Idempotent-Replayed.
    #[oai(path = "/purchase", method = "post", tag = "Tag::Buying")]
    async fn purchase(
        &self,
        /// The code that POST /checkout returned.
        code: Query<Checked<CodeShape>>,
        request_id: Data<&RequestId>,
    ) -> Result<purchase::PurchaseResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        purchase::purchase(selling, &code, &request_id).await
    }

    /// Show the outcome of a code
    #[oai(path = "/purchase/:code", method = "get", tag = "Tag::Buying")]
    async fn outcome(
        &self,
        /// The code that POST /checkout returned.
        code: Path<Checked<CodeShape>>,
        request_id: Data<&RequestId>,
    ) -> Result<outcome::OutcomeResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        outcome::outcome(selling, &code, &request_id).await
    }

    /// The active sale
    #[oai(path = "/sales/active", method = "get", tag = "Tag::Sales")]
    async fn active_sale(
        &self,
        request_id: Data<&RequestId>,
    ) -> Result<active_sale::ActiveResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        active_sale::active_sale(selling, &request_id)
    }

    /// A sale
    #[oai(path = "/sales/:id", method = "get", tag = "Tag::Sales")]
    async fn sale(
        &self,
        /// <namespace>.<name>.<UTC start>
        id: Path<Checked<SaleIdShape>>,
        request_id: Data<&RequestId>,
    ) -> Result<sale::SaleResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        sale::sale(selling, &id, &request_id).await
    }

    /// The items of a sale, page by page
    #[oai(path = "/sales/:id/items", method = "get", tag = "Tag::Sales")]
    async fn items(
        &self,
        /// <namespace>.<name>.<UTC start>
        id: Path<Checked<SaleIdShape>>,
        /// Items of a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<AtMostOne<u32>>,
        /// The next_cursor of the previous page.
        #[oai(validator(pattern = "^[0-9]{1,7}$"))]
        cursor: Query<AtMostOne<String>>,
        /// true: only unsold items; false: only sold items.
        available: Query<AtMostOne<bool>>,
        request_id: Data<&RequestId>,
    ) -> Result<items::ItemsResponse, Unavailable> {
        let query = items::PageQuery {
            limit: limit.0.0,
            cursor: cursor.0.0,
            available: available.0.0,
        };
        let selling = self.readiness.selling_for(&request_id)?;
        items::items(selling, &id, query, &request_id).await
    }

    /// The state and latency of each dependency
    #[oai(path = "/health", method = "get", tag = "Tag::Service")]
    async fn health(
        &self,
        request_id: Data<&RequestId>,
    ) -> Result<health::HealthResponse, CommonResponses> {
        Ok(health::health(&self.readiness, &request_id).await)
    }
}
