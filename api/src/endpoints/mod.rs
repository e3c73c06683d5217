//! The public endpoints and their OpenAPI document.

pub mod checkout;
pub mod health;
pub mod internal_port;
pub mod parameters;
pub mod purchase;
pub mod sale;

use std::sync::Arc;

use flashsale_engine::RequestId;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{OpenApi, OpenApiService, Tags};

use self::sale as sales;
use crate::endpoints::parameters::{
    AtMostOne, Checked, CodeShape, ItemIdShape, SaleIdShape, UserIdShape,
};
use crate::readiness::Readiness;
use crate::responses::common_responses::{Refused, Unavailable};

/// The public API of one process.
#[derive(Debug)]
pub struct Api {
    readiness: Arc<Readiness>,
}

#[derive(Tags)]
enum Tag {
    /// Put items together, then buy them.
    Buying,
    /// Sales and their items.
    Sales,
    /// How the service is.
    Service,
}

/// The service with its document, ready to be nested.
pub fn service(readiness: Arc<Readiness>) -> OpenApiService<Api, ()> {
    let version = env!("CARGO_PKG_VERSION");
    OpenApiService::new(Api { readiness }, "flashsale", version).description(
        "Flash sales: unique items, at most once each, no reservations. Every error is \
         application/problem+json with a stable `code`. Every answer has an X-Request-Id. Bytes \
         that are no HTTP request are answered with an empty 400, 414 or 431, or not at all.",
    )
}

#[OpenApi]
impl Api {
    /// Put an item into the user's cart
    ///
    /// Answers the code that buys the cart. The code stays the same until it is bought. The
    /// item is not reserved: who buys first has it. Adding an item twice counts once.
    #[oai(path = "/checkout", method = "post", tag = "Tag::Buying")]
    async fn checkout(
        &self,
        /// Who buys: 1 to 64 characters of A-Z a-z 0-9 . - _ : @ +
        user_id: Query<Checked<UserIdShape>>,
        /// The item: 1 to 128 characters of A-Z a-z 0-9 . - _ : @ +
        id: Query<Checked<ItemIdShape>>,
        request_id: Data<&RequestId>,
    ) -> Result<checkout::CheckoutResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        checkout::post(selling, &user_id, &id, &request_id).await
    }

    /// Look at a cart
    #[oai(path = "/checkout/:code", method = "get", tag = "Tag::Buying")]
    async fn cart(
        &self,
        /// The code that POST /checkout answered.
        code: Path<Checked<CodeShape>>,
        request_id: Data<&RequestId>,
    ) -> Result<checkout::CartResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        checkout::get(selling, &code, &request_id).await
    }

    /// Buy a cart
    ///
    /// All its items are attempted at once; what is sold already is named. A code has one
    /// outcome: asked again, it answers the same, with the header Idempotent-Replayed.
    #[oai(path = "/purchase", method = "post", tag = "Tag::Buying")]
    async fn purchase(
        &self,
        /// The code that POST /checkout answered.
        code: Query<Checked<CodeShape>>,
        request_id: Data<&RequestId>,
    ) -> Result<purchase::PurchaseResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        purchase::post(selling, &code, &request_id).await
    }

    /// Look at what a code bought
    #[oai(path = "/purchase/:code", method = "get", tag = "Tag::Buying")]
    async fn outcome(
        &self,
        /// The code that POST /checkout answered.
        code: Path<Checked<CodeShape>>,
        request_id: Data<&RequestId>,
    ) -> Result<purchase::OutcomeResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        purchase::get(selling, &code, &request_id).await
    }

    /// The sale that is selling
    #[oai(path = "/sales/active", method = "get", tag = "Tag::Sales")]
    async fn active_sale(
        &self,
        request_id: Data<&RequestId>,
    ) -> Result<sales::ActiveResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        sales::active(selling, &request_id)
    }

    /// A sale
    #[oai(path = "/sales/:id", method = "get", tag = "Tag::Sales")]
    async fn sale(
        &self,
        /// <namespace>.<name>.<UTC start>
        id: Path<Checked<SaleIdShape>>,
        request_id: Data<&RequestId>,
    ) -> Result<sales::SaleResponse, Unavailable> {
        let selling = self.readiness.selling_for(&request_id)?;
        sales::get(selling, &id, &request_id).await
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
        /// The next_cursor of the page before.
        #[oai(validator(pattern = "^[0-9]{1,7}$"))]
        cursor: Query<AtMostOne<String>>,
        /// true: only items that are for sale; false: only those that are sold.
        available: Query<AtMostOne<bool>>,
        request_id: Data<&RequestId>,
    ) -> Result<sales::ItemsResponse, Unavailable> {
        let query = sales::PageQuery {
            limit: limit.0.0,
            cursor: cursor.0.0,
            available: available.0.0,
        };
        let selling = self.readiness.selling_for(&request_id)?;
        sales::items(selling, &id, query, &request_id).await
    }

    /// The state and latency of each dependency
    #[oai(path = "/health", method = "get", tag = "Tag::Service")]
    async fn health(
        &self,
        request_id: Data<&RequestId>,
    ) -> Result<health::HealthResponse, Refused> {
        Ok(health::get(&self.readiness, &request_id).await)
    }
}
