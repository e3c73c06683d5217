//! The public endpoints and their OpenAPI document.

use std::sync::Arc;

use flashsale_engine::ids::RequestId;
use flashsale_engine::shop::Shop;
use poem::web::Data;
use poem_openapi::param::{Path, Query};
use poem_openapi::{OpenApi, OpenApiService, Tags};

use crate::params::{Checked, CodeShape, ItemIdShape, SaleIdShape, UserIdShape};
use crate::{checkout, health, purchase, sales};

/// The public API of one shop.
#[derive(Debug)]
pub struct Api {
    shop: Arc<Shop>,
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
pub fn service(shop: Arc<Shop>) -> OpenApiService<Api, ()> {
    OpenApiService::new(Api { shop }, "flashsale", env!("CARGO_PKG_VERSION")).description(
        "Flash sales: unique items, at most once each, no reservations. Every error is \
         application/problem+json with a stable `code`. Every answer has an X-Request-Id.",
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
    ) -> checkout::CheckoutResponse {
        checkout::post(&self.shop, &user_id, &id, &request_id).await
    }

    /// Look at a cart
    #[oai(path = "/checkout/:code", method = "get", tag = "Tag::Buying")]
    async fn cart(
        &self,
        /// The code that POST /checkout answered.
        code: Path<Checked<CodeShape>>,
        request_id: Data<&RequestId>,
    ) -> checkout::CartResponse {
        checkout::get(&self.shop, &code, &request_id).await
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
    ) -> purchase::PurchaseResponse {
        purchase::post(&self.shop, &code, &request_id).await
    }

    /// Look at what a code bought
    #[oai(path = "/purchase/:code", method = "get", tag = "Tag::Buying")]
    async fn outcome(
        &self,
        /// The code that POST /checkout answered.
        code: Path<Checked<CodeShape>>,
        request_id: Data<&RequestId>,
    ) -> purchase::OutcomeResponse {
        purchase::get(&self.shop, &code, &request_id).await
    }

    /// The sale that is selling
    #[oai(path = "/sales/active", method = "get", tag = "Tag::Sales")]
    async fn active_sale(&self, request_id: Data<&RequestId>) -> sales::ActiveResponse {
        sales::active(&self.shop, &request_id)
    }

    /// A sale
    #[oai(path = "/sales/:id", method = "get", tag = "Tag::Sales")]
    async fn sale(
        &self,
        /// <namespace>.<name>.<UTC start>
        id: Path<Checked<SaleIdShape>>,
        request_id: Data<&RequestId>,
    ) -> sales::SaleResponse {
        sales::get(&self.shop, &id, &request_id).await
    }

    /// The items of a sale, page by page
    #[oai(path = "/sales/:id/items", method = "get", tag = "Tag::Sales")]
    async fn items(
        &self,
        /// <namespace>.<name>.<UTC start>
        id: Path<Checked<SaleIdShape>>,
        /// Items of a page.
        #[oai(validator(minimum(value = "1"), maximum(value = "1000")))]
        limit: Query<Option<u32>>,
        /// The next_cursor of the page before.
        #[oai(validator(pattern = "^[0-9]{1,7}$"))]
        cursor: Query<Option<String>>,
        /// true: only items that are for sale; false: only those that are sold.
        available: Query<Option<bool>>,
        request_id: Data<&RequestId>,
    ) -> sales::ItemsResponse {
        let query = sales::PageQuery {
            limit: limit.0,
            cursor: cursor.0,
            available: available.0,
        };
        sales::items(&self.shop, &id, query, &request_id).await
    }

    /// The state and latency of each dependency
    #[oai(path = "/health", method = "get", tag = "Tag::Service")]
    async fn health(&self) -> health::HealthResponse {
        health::get(&self.shop).await
    }
}
