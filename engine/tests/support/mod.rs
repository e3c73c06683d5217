//! Real servers and a seeded sale for the engine's tests.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use flashsale_engine::{
    Admin, Ambient, BackendUrls, Backends, CURRENT_FORMAT, Catalog, Certificates, Checkout,
    CheckoutCode, FlashSaleName, ItemId, Limits, PostgresPool, RedisCluster, RequestId, Sale,
    SaleId, SellingOptions, SellingService, SystemRandom, UserId, Window,
};
use flashsale_servers::{PgBouncer, Postgres as PostgresServer, RedisCluster as RedisServer};
use jiff::{SignedDuration, Timestamp};

/// The hash tag of a user's cart partition, with its braces, as the node of this port has it, which has
/// all slots.
pub fn cart_tag(port: u16, sale: &Sale, user: &str) -> String {
    let pattern = format!("{{{}#{}.*}}:meta", sale.id, sale.partition_of(user));
    let client = redis::Client::open(format!("redis://127.0.0.1:{port}")).unwrap();
    let mut connection = client.get_connection().unwrap();
    let keys: Vec<String> = redis::cmd("KEYS")
        .arg(pattern)
        .query(&mut connection)
        .unwrap();
    let [meta] = keys.as_slice() else {
        panic!("{keys:?}")
    };
    meta.strip_suffix(":meta").unwrap().to_owned()
}

pub type Service = SellingService<RedisCluster, PostgresPool>;

pub struct Stack {
    pub redis: RedisServer,
    /// Before the server: fields are dropped in order.
    pub pooler: Option<PgBouncer>,
    pub postgres: PostgresServer,
    /// Where the engine finds Postgres: the server or its pooler.
    pub postgres_url: String,
    pub admin: Admin<RedisCluster, PostgresPool>,
    pub name: FlashSaleName,
}

impl Stack {
    /// One Redis node that owns all slots, and a migrated database.
    pub async fn start() -> Self {
        Self::start_with((1, 0), |_| None).await
    }

    /// The same with the slots spread over some masters, each with so many replicas in turn.
    pub async fn start_on(masters: usize, replicas: usize) -> Self {
        Self::start_with((masters, replicas), |_| None).await
    }

    /// The same, and a pooler in front of the database, where there is one.
    pub async fn start_with(
        (masters, replicas): (usize, usize),
        pooler: impl FnOnce(&PostgresServer) -> Option<PgBouncer> + Send + 'static,
    ) -> Self {
        let (redis, postgres, pooler) = tokio::task::spawn_blocking(move || {
            let postgres = PostgresServer::start().unwrap();
            let pooler = pooler(&postgres);
            let redis = RedisServer::start(masters, replicas).unwrap();
            (redis, postgres, pooler)
        })
        .await
        .unwrap();
        let postgres_url = pooler
            .as_ref()
            .map_or_else(|| postgres.url(), PgBouncer::url);
        flashsale_engine::migrate(&postgres_url, &Certificates::NONE)
            .await
            .unwrap();
        let ambient = Ambient::system().unwrap();
        let admin = Admin::connect(&BackendUrls::new(redis.url(), &*postgres_url), &ambient)
            .await
            .unwrap();
        Self {
            redis,
            pooler,
            postgres,
            postgres_url,
            admin,
            name: FlashSaleName::new("shop", "hourly").unwrap(),
        }
    }

    /// A sale that began a minute ago and goes on for an hour.
    pub fn sale(&self, items: u32, limits: Limits) -> Sale {
        let starts_at = Timestamp::now() - SignedDuration::from_mins(1);
        Sale {
            id: SaleId::new(&self.name, starts_at),
            window: Window {
                starts_at,
                ends_at: starts_at + SignedDuration::from_hours(1),
            },
            limits,
            items,
            partitions: 4,
            best_effort: false,
            format: CURRENT_FORMAT,
        }
    }

    pub async fn seed(&self, sale: &Sale) -> Catalog {
        let catalog = Catalog::generate(sale.items, sale.id.starts_label()).unwrap();
        self.admin.seed(sale, &catalog).await.unwrap();
        catalog
    }

    /// Creates and drops partitions of attempts.
    pub async fn housekeeping(&self, keep_days: u32) {
        let housekeeping = self.admin.attempts_housekeeping(&self.name, keep_days);
        housekeeping.await.unwrap();
    }

    /// Replaces the operations by some that log in to Redis as another user.
    pub async fn connect_admin_at(&mut self, redis_url: &str) {
        let urls = BackendUrls::new(redis_url, &*self.postgres_url);
        let ambient = Ambient::system().unwrap();
        self.admin = Admin::connect(&urls, &ambient).await.unwrap();
    }

    pub async fn service(&self) -> Arc<Service> {
        self.service_at(&self.redis.url()).await
    }

    /// A service that logs in to Redis as a user.
    pub async fn service_at(&self, redis_url: &str) -> Arc<Service> {
        let service = self.start_service(redis_url).await;
        eventually("the service is ready and its sale active", || async {
            service.not_ready().is_none() && service.active().is_some()
        })
        .await;
        service
    }

    pub async fn service_not_ready(&self) -> Arc<Service> {
        self.start_service(&self.redis.url()).await
    }

    async fn start_service(&self, redis_url: &str) -> Arc<Service> {
        let urls = BackendUrls::new(redis_url, &*self.postgres_url);
        let options = SellingOptions {
            flash_sale: self.name.clone(),
            attempts_backlog: 100_000,
        };
        let ambient = Ambient::system().unwrap();
        let backends = Backends::connect(&urls, 8, &ambient).await.unwrap();
        Service::start(&options, backends, &ambient).await.unwrap()
    }

    pub async fn sql<T>(&self, query: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        use sqlx::Connection;
        let url = self.postgres.url();
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::query_scalar(query)
            .fetch_one(&mut connection)
            .await
            .unwrap()
    }

    pub async fn execute(&self, statement: &'static str) {
        use sqlx::Connection;
        let url = self.postgres.url();
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        sqlx::query(statement)
            .execute(&mut connection)
            .await
            .unwrap();
    }

    /// Everything a closed sale needs to be settled.
    pub async fn close_and_settle(&self, sale: &SaleId) -> u32 {
        self.admin.end_early(sale).await.unwrap();
        let mut sold = 0;
        let started = Instant::now();
        loop {
            let settlement = self.admin.settle(sale).await.unwrap();
            sold = sold.max(settlement.sold);
            if settlement.settled {
                return sold;
            }
            assert!(started.elapsed() < Duration::from_secs(30), "not settled");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

pub const LIMITS: Limits = Limits {
    per_user: 10,
    per_checkout: 10,
    total: 100,
};

pub fn request_id() -> RequestId {
    RequestId::generate(&SystemRandom::random())
}

pub fn user(name: &str) -> UserId {
    UserId::parse(name).unwrap()
}

/// Adds items to a cart; returns its code.
pub async fn fill(service: &Service, name: &str, items: &[&str]) -> CheckoutCode {
    let mut code = None;
    for item in items {
        let item = ItemId::parse(item).unwrap();
        match service
            .checkout(&user(name), &item, &request_id())
            .await
            .unwrap()
        {
            Checkout::InCart { code: text, .. } => code = CheckoutCode::parse(&text),
            Checkout::Refused(refusal) => panic!("refused: {refusal:?}"),
        }
    }
    code.unwrap()
}

/// Awaits a condition, for at most 20 seconds.
pub async fn eventually<F, Fut>(what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < Duration::from_secs(20), "never: {what}");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
