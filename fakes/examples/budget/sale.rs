//! A sale on the fakes and a process that sells it.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::{
    Admin, Ambient, Backends, CURRENT_FORMAT, Catalog, Checkout, CheckoutCode, DEFAULT_PARTITIONS,
    FlashSaleName, ItemId, Limits, Metrics, RequestId, Sale, SaleId, SellingOptions,
    SellingService, UserId, Window,
};
use flashsale_fakes::{FakePostgres, FakeRedis, TestClock, TestRandom};
use jiff::{SignedDuration, Timestamp};

use crate::recorder::Recorder;

/// Items of a cart.
pub const CART: u32 = 3;
const ITEMS: u32 = 1_000;

/// What begins in the background when the sale opens is done by then, and no later timer ends then.
const UNTIL_QUIET: Duration = Duration::from_millis(7);

/// The sale is open; time is paused.
pub struct OpenSale {
    pub fake: FakeRedis,
    pub redis: Recorder,
    pub postgres: FakePostgres,
    pub service: Arc<SellingService<Recorder, FakePostgres>>,
    ambient: Ambient,
    catalog: Catalog,
}

/// What a checkout asks for.
pub struct CheckoutRequest {
    pub user: UserId,
    pub item: ItemId,
    pub request_id: RequestId,
}

impl OpenSale {
    /// Seeds a sale and waits until the process sells it. Each call does the same.
    pub async fn open() -> Self {
        let noon: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let clock = TestClock::starting_at(noon);
        let sale = sale_after(noon);
        let (fake, postgres) = (
            FakeRedis::new(clock.clone()),
            FakePostgres::new(clock.clone()),
        );
        let ambient = Ambient {
            metrics: Arc::new(Metrics::new().unwrap()),
            clock,
            random: TestRandom::from_seed(1),
        };
        let catalog = Catalog::generate(ITEMS, "item").unwrap();
        let admin = Admin::new(fake.clone(), postgres.clone(), &ambient);
        admin.seed(&sale, &catalog).await.unwrap();
        let redis = Recorder::new(fake.clone());
        let options = SellingOptions {
            flash_sale: sale.id.flash_sale().clone(),
            attempts_backlog: 10_000,
        };
        let backends = Backends {
            redis: redis.clone(),
            lookups: postgres.clone(),
            postgres: postgres.clone(),
        };
        let service = SellingService::start(&options, backends, &ambient);
        let service = service.await.unwrap();
        while service.active().is_none() {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        tokio::time::sleep(UNTIL_QUIET).await;
        Self {
            fake,
            redis,
            postgres,
            service,
            ambient,
            catalog,
        }
    }

    /// The checkout of the item `n` of a user's cart.
    pub fn request(&self, user: u32, n: u32) -> CheckoutRequest {
        let item = self.catalog.get(user * CART + n).unwrap();
        CheckoutRequest {
            user: UserId::parse(&format!("user-{user:06}")).unwrap(),
            item: ItemId::parse(&item.id).unwrap(),
            request_id: self.request_id(),
        }
    }

    pub fn request_id(&self) -> RequestId {
        RequestId::generate(&self.ambient.random)
    }

    /// Sends a checkout; returns the code of the cart.
    pub async fn checkout(&self, request: &CheckoutRequest) -> CheckoutCode {
        let CheckoutRequest {
            user,
            item,
            request_id,
        } = request;
        match self.service.checkout(user, item, request_id).await.unwrap() {
            Checkout::InCart { code, .. } => CheckoutCode::parse(&code).unwrap(),
            Checkout::Refused(refusal) => panic!("{refusal:?}"),
        }
    }

    /// Buys a cart; all its items are free.
    pub async fn purchase(&self, code: &CheckoutCode, request_id: &RequestId) {
        let order = self.service.purchase(code, request_id).await.unwrap();
        assert_eq!(order.sold_count() as u32, CART);
    }
}

fn sale_after(noon: Timestamp) -> Sale {
    let starts_at = noon + SignedDuration::from_mins(1);
    Sale {
        id: SaleId::new(&FlashSaleName::new("shop", "hourly").unwrap(), starts_at),
        window: Window {
            starts_at,
            ends_at: starts_at + SignedDuration::from_hours(1),
        },
        limits: Limits {
            per_user: 10,
            per_checkout: 10,
            total: ITEMS,
        },
        items: ITEMS,
        partitions: DEFAULT_PARTITIONS,
        best_effort: false,
        format: CURRENT_FORMAT,
    }
}
