//! One sale on the fakes, and the processes that sell it.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{
    Admin, Ambient, Backends, CURRENT_FORMAT, Catalog, Checkout, CheckoutCode, FlashSaleName,
    ItemId, Limits, Metrics, NoOrder, Order, RequestId, Sale, SaleId, SellingOptions,
    SellingService, UserId, Window,
};
use flashsale_fakes::{FakePostgres, FakeRedis, TestClock, TestRandom};
use jiff::{SignedDuration, Timestamp};

pub const ITEMS: u32 = 40;

pub type Service<R = FakeRedis> = SellingService<R, FakePostgres>;

pub struct Harness {
    pub redis: FakeRedis,
    pub postgres: FakePostgres,
    pub ambient: Ambient,
    pub sale: Sale,
    pub catalog: Catalog,
}

impl Harness {
    /// It is noon, and a sale starts in a minute and goes on for a minute.
    pub fn new() -> Self {
        let noon: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
        let clock = TestClock::starting_at(noon);
        let starts_at = noon + SignedDuration::from_mins(1);
        let sale = Sale {
            id: SaleId::new(&FlashSaleName::new("shop", "hourly").unwrap(), starts_at),
            window: Window {
                starts_at,
                ends_at: starts_at + SignedDuration::from_mins(1),
            },
            limits: Limits {
                per_user: 2,
                per_checkout: 3,
                total: 30,
            },
            items: ITEMS,
            partitions: 4,
            best_effort: false,
            format: CURRENT_FORMAT,
        };
        Self {
            redis: FakeRedis::new(clock.clone()),
            postgres: FakePostgres::new(clock.clone()),
            ambient: Ambient {
                metrics: Arc::new(Metrics::new().unwrap()),
                clock,
                random: TestRandom::from_seed(1),
            },
            catalog: Catalog::generate(ITEMS, "item").unwrap(),
            sale,
        }
    }

    pub fn admin(&self) -> Admin<FakeRedis, FakePostgres> {
        Admin::new(self.redis.clone(), self.postgres.clone(), &self.ambient)
    }

    pub async fn service(&self) -> Arc<Service> {
        self.process(self.redis.clone(), self.postgres.clone())
            .await
    }

    /// Another process, with backends of its own.
    pub async fn process<R: Redis>(&self, redis: R, postgres: FakePostgres) -> Arc<Service<R>> {
        let options = SellingOptions {
            flash_sale: self.sale.id.flash_sale().clone(),
            attempts_backlog: 10_000,
        };
        let backends = Backends {
            redis,
            lookups: postgres.clone(),
            postgres,
        };
        Service::start(&options, backends, &self.ambient)
            .await
            .unwrap()
    }

    /// Seeds the sale; returns a process that sells it.
    pub async fn open(&self) -> Arc<Service> {
        self.admin().seed(&self.sale, &self.catalog).await.unwrap();
        let service = self.service().await;
        until("the sale opens", || service.active().is_some()).await;
        service
    }

    /// Puts items into a user's cart; returns the code.
    pub async fn fill<R: Redis>(
        &self,
        service: &Service<R>,
        user: &str,
        items: &[u32],
    ) -> CheckoutCode {
        let user = UserId::parse(user).unwrap();
        let mut code = None;
        for idx in items {
            let item = ItemId::parse(&self.catalog.get(*idx).unwrap().id).unwrap();
            let answer = service.checkout(&user, &item, &self.request()).await;
            match answer.unwrap() {
                Checkout::InCart { code: text, .. } => code = CheckoutCode::parse(&text),
                Checkout::Refused(refusal) => panic!("{refusal:?}"),
            }
        }
        code.unwrap()
    }

    /// Buys a cart in the background.
    pub fn begin_purchase<R: Redis>(
        &self,
        service: &Arc<Service<R>>,
        code: &CheckoutCode,
    ) -> tokio::task::JoinHandle<Result<Order, NoOrder>> {
        let (service, code, request) = (service.clone(), code.clone(), self.request());
        tokio::spawn(async move { service.purchase(&code, &request).await })
    }

    pub fn request(&self) -> RequestId {
        RequestId::generate(&self.ambient.random)
    }
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..10_000 {
        if holds() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{what}: not within 100 seconds");
}

/// Runs the other tasks until none can go on without time passing.
pub async fn let_others_run() {
    for _ in 0..1_000 {
        tokio::task::yield_now().await;
    }
}

/// The indexes of the items that an order got.
pub fn sold(order: &Order) -> Vec<u32> {
    use flashsale_engine::ItemOutcome;
    let items = order.items.iter();
    items
        .filter(|(_, outcome)| matches!(outcome, ItemOutcome::Sold { .. }))
        .map(|(item, _)| item.idx)
        .collect()
}
