//! One sale on the fakes, and the processes that sell it.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::redis::commands::Redis;
use flashsale_engine::{
    Admin, Ambient, BackendError, Backends, CURRENT_FORMAT, Catalog, Checkout, CheckoutCode,
    FlashSaleName, ItemId, Limits, Metrics, NoOrder, Order, RequestId, Sale, SaleId,
    SellingOptions, SellingService, UserId, Window,
};
use flashsale_fakes::{FakePostgres, FakeRedis, TestClock, TestRandom};
use jiff::{SignedDuration, Timestamp};

pub const ITEMS: u32 = 40;

/// Longer than attempts take to Postgres and a process to publish that they are there.
pub const SETTLED_AFTER: Duration = Duration::from_secs(1);

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

    /// The names of the keys that begin with a text.
    pub async fn keys_with(&self, prefix: &str) -> Vec<String> {
        let mut command = redis::cmd("KEYS");
        command.arg(format!("{prefix}*"));
        let masters = self.redis.call_all_masters("test", &command).await;
        let names = masters.into_iter().map(|master| master.answer.unwrap());
        names
            .flat_map(|names| redis::from_redis_value::<Vec<String>>(names).unwrap())
            .collect()
    }

    pub fn request(&self) -> RequestId {
        RequestId::generate(&self.ambient.random)
    }
}

/// How often a call is repeated, every 10 ms.
const TRIES: u32 = 10_000;

/// Puts an item into a user's cart.
pub async fn checkout(
    harness: &Harness,
    service: &Service,
    user: &str,
    idx: u32,
) -> Result<Checkout, Arc<BackendError>> {
    let user = UserId::parse(user).unwrap();
    let item = ItemId::parse(&harness.catalog.get(idx).unwrap().id).unwrap();
    service.checkout(&user, &item, &harness.request()).await
}

/// Repeats a checkout until it is answered; returns the code of the cart.
pub async fn checkout_at_last(
    harness: &Harness,
    service: &Service,
    user: &str,
    idx: u32,
) -> CheckoutCode {
    for _ in 0..TRIES {
        match checkout(harness, service, user, idx).await {
            Ok(Checkout::InCart { code, .. }) => return CheckoutCode::parse(&code).unwrap(),
            Ok(Checkout::Refused(refusal)) => panic!("{refusal:?}"),
            Err(error) => assert!(is_lost(&error), "{error:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{user}: no checkout is answered");
}

/// Repeats a purchase until it is answered.
pub async fn purchase_at_last<R: Redis>(
    harness: &Harness,
    service: &Service<R>,
    code: &CheckoutCode,
) -> Order {
    for _ in 0..TRIES {
        match service.purchase(code, &harness.request()).await {
            Ok(order) => return order,
            Err(NoOrder::Unavailable(error)) => assert!(is_lost(&error), "{error:?}"),
            Err(other) => panic!("{other:?}"),
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    panic!("{code}: no purchase is answered");
}

/// Whether Redis has lost what a script needs.
fn is_lost(error: &BackendError) -> bool {
    matches!(error, BackendError::Promoted | BackendError::Unseeded)
}

/// Waits until a condition holds.
pub async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    for _ in 0..TRIES {
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
