//! A whole sale through the driver and the engine, on backends in memory and in paused time: seed,
//! open, checkouts, purchases, close, settle, audit, retire. No socket is opened.

use std::sync::Arc;
use std::time::Duration;

use flashsale_engine::postgres::operations::Postgres as _;
use flashsale_engine::redis::commands::Redis as _;
use flashsale_engine::{
    Admin, Ambient, Backends, Catalog, Checkout, CheckoutCode, FlashSaleName, ItemId, Metrics,
    RequestId, SellingOptions, SellingService, UserId,
};
use flashsale_fakes::{FakePostgres, FakeRedis, TestClock, TestRandom, thread_cpu_time};
use flashsale_operator::backends::Connection;
use flashsale_operator::crd::{FlashSale, FlashSaleStatus, Phase, SaleResult};
use flashsale_operator::driver::{Driver, ResolvedCatalog};
use flashsale_operator::planner::validate;
use jiff::Timestamp;

const ITEMS: u32 = 12;
const USERS: u32 = 8;

/// An hourly FlashSale; its sales are two minutes long and sell ten of twelve items.
const FLASH_SALE: &str = "
apiVersion: flashsale.dev/v1alpha1
kind: FlashSale
metadata: {name: hourly, namespace: shop}
spec:
  schedule: 0 * * * *
  duration: 2m
  catalog: {generate: {count: 12}}
  limits: {perUser: 3, perCheckout: 3, total: 10}
  redis: {secretKeyRef: {name: r, key: url}}
  postgres: {secretKeyRef: {name: p, key: url}}
  api: {replicas: {idle: 1, sale: 1}, warmUp: 1m, coolDown: 1m}
";

type Service = Arc<SellingService<FakeRedis, FakePostgres>>;

struct Harness {
    redis: FakeRedis,
    postgres: FakePostgres,
    ambient: Ambient,
    driver: Driver,
    events: Vec<String>,
}

impl Harness {
    /// The time is 11:58, two minutes before a sale.
    fn new() -> Self {
        let clock = TestClock::starting_at(at("11:58:00"));
        let flash_sale: FlashSale = serde_yaml_ng::from_str(FLASH_SALE).unwrap();
        let settings = validate(&flash_sale).unwrap();
        let catalog = ResolvedCatalog::Generated(ITEMS);
        Self {
            redis: FakeRedis::new(clock.clone()),
            postgres: FakePostgres::new(clock.clone()),
            ambient: Ambient {
                metrics: Arc::new(Metrics::new().unwrap()),
                clock,
                random: TestRandom::from_seed(9),
            },
            driver: Driver::new(settings, catalog, FlashSaleStatus::default()),
            events: Vec::new(),
        }
    }

    async fn service(&self) -> Service {
        let options = SellingOptions {
            flash_sale: FlashSaleName::new("shop", "hourly").unwrap(),
            attempts_backlog: 1_000,
        };
        let backends = Backends {
            redis: self.redis.clone(),
            postgres: self.postgres.clone(),
            lookups: self.postgres.clone(),
        };
        SellingService::start(&options, backends, &self.ambient)
            .await
            .unwrap()
    }

    /// Takes the driver's steps when they are due, until this time of day.
    async fn run_until(&mut self, time: &str) {
        let (end, clock) = (at(time), self.ambient.clock.clone());
        let (redis, postgres) = (self.redis.clone(), self.postgres.clone());
        let admin = Arc::new(Admin::new(redis, postgres, &self.ambient));
        while clock.now() < end {
            let step = self
                .driver
                .step(Ok(Connection::Both(admin.clone())), &clock)
                .await;
            assert!(step.error.is_none(), "{:?}", step.error);
            let changes = step.changes.into_iter();
            self.events
                .extend(changes.map(|change| change.reason.to_owned()));
            let next = step.next_at.map_or(end, |next| next.min(end));
            let wait = Duration::try_from(next.duration_since(clock.now()));
            tokio::time::sleep(wait.unwrap_or_default()).await;
        }
    }

    fn phase(&self) -> Phase {
        self.driver.status().phase
    }
}

/// Changes a parameter of Redis.
async fn set(redis: &FakeRedis, parameter: &str, value: &str) {
    let mut command = redis::cmd("CONFIG");
    command.arg("SET").arg(parameter).arg(value);
    for master in redis.call_all_masters("test", &command).await {
        master.answer.unwrap();
    }
}

fn reason_of_redis(harness: &Harness) -> (String, String) {
    let mut conditions = harness.driver.status().conditions.iter();
    let ready = conditions.find(|c| c.type_ == "RedisReady").unwrap();
    (ready.status.clone(), ready.reason.clone())
}

fn at(time: &str) -> Timestamp {
    format!("2026-11-23T{time}Z").parse().unwrap()
}

/// A user adds three items to a cart and buys it; returns how many items the user got.
async fn buy(service: &Service, user: u32) -> usize {
    let catalog = Catalog::generate(ITEMS, "20261123T1200Z").unwrap();
    let id = UserId::parse(&format!("user-{user}")).unwrap();
    let request_id = || RequestId::generate(service.random());
    let mut code = None;
    for n in 0..3 {
        let item = catalog.get((user + 5 * n) % ITEMS).unwrap();
        let item = ItemId::parse(&item.id).unwrap();
        let answer = service.checkout(&id, &item, &request_id()).await.unwrap();
        if let Checkout::InCart { code: text, .. } = answer {
            code = CheckoutCode::parse(&text);
        }
    }
    match code {
        Some(code) => service
            .purchase(&code, &request_id())
            .await
            .unwrap()
            .sold_count(),
        None => 0,
    }
}

#[tokio::test(start_paused = true)]
async fn a_sale_runs_from_its_seeding_to_its_retirement_without_a_server() {
    let before = thread_cpu_time();
    let mut harness = Harness::new();
    let service = harness.service().await;
    harness.run_until("11:59:30").await;
    assert_eq!(harness.phase(), Phase::WarmingUp);
    assert!(service.active().is_none(), "the sale opens at 12:00");

    harness.run_until("12:00:05").await;
    assert_eq!(harness.phase(), Phase::Selling);
    let mut sold = 0;
    for user in 0..USERS {
        sold += buy(&service, user).await;
    }
    assert_eq!(sold, 10, "the total of the sale");

    harness.run_until("12:02:10").await;
    assert!(service.active().is_none(), "the sale ended at 12:02");
    assert!(service.stop(Duration::from_secs(10)).await);
    harness.run_until("12:06:00").await;
    let past = &harness.driver.status().history[0];
    assert_eq!((past.result, past.sold), (SaleResult::Successful, 10));
    for event in ["Seeded", "Opened", "SoldOut", "Ended", "Settled"] {
        assert!(
            harness.events.iter().any(|e| e == event),
            "{event}: {:?}",
            harness.events
        );
    }
    assert_eq!(harness.postgres.attempts().len(), 3 * USERS as usize);
    let name = FlashSaleName::new("shop", "hourly").unwrap();
    let sales = harness.postgres.read_sales(&name, 1).await.unwrap();
    assert!(sales[0].retired_at.is_some(), "{sales:?}");
    let took = thread_cpu_time() - before;
    assert!(took < Duration::from_secs(1), "{took:?}");
}

#[tokio::test(start_paused = true)]
async fn a_redis_that_may_evict_keys_gets_no_sale_until_it_is_corrected() {
    let mut harness = Harness::new();
    let service = harness.service().await;
    set(&harness.redis, "maxmemory-policy", "allkeys-lru").await;
    set(&harness.redis, "maxmemory", "1000000").await;
    harness.run_until("11:59:30").await;
    let unfit = ("False".to_owned(), "EvictionPolicy".to_owned());
    assert_eq!(reason_of_redis(&harness), unfit);
    let name = FlashSaleName::new("shop", "hourly").unwrap();
    let sales = harness.postgres.read_sales(&name, 1).await.unwrap();
    assert!(
        sales.iter().all(|sale| sale.seeded_at.is_none()),
        "{sales:?}"
    );
    assert!(service.not_ready().unwrap().contains("allkeys-lru"));

    set(&harness.redis, "maxmemory", "0").await;
    harness.run_until("12:00:05").await;
    assert_eq!(reason_of_redis(&harness).0, "True");
    assert_eq!(harness.phase(), Phase::Selling);
}

#[tokio::test(start_paused = true)]
async fn a_process_that_sells_stays_ready_whatever_the_eviction_policy_becomes() {
    let mut harness = Harness::new();
    let service = harness.service().await;
    harness.run_until("12:00:05").await;
    assert_eq!(service.not_ready(), None);
    set(&harness.redis, "maxmemory", "1000000").await;
    for policy in ["volatile-lru", "allkeys-lru"] {
        set(&harness.redis, "maxmemory-policy", policy).await;
        tokio::time::sleep(Duration::from_secs(15)).await;
        assert_eq!(service.not_ready(), None, "{policy}");
    }
    assert!(buy(&service, 1).await > 0);
}
