//! Real backends, a seeded sale and real API processes for the tests of the HTTP surface.
#![allow(dead_code, clippy::unwrap_used, clippy::expect_used)]

pub mod api_processes;
pub mod http_client;
pub mod openapi_document;
pub mod raw_tcp;

use std::future::Future;
use std::time::{Duration, Instant};

use flashsale_engine::{
    Ambient, BackendUrls, CURRENT_FORMAT, Catalog, Certificates, CodeSuffix, FlashSaleName, Limits,
    Sale, SaleId, SystemRandom, Window,
};
use flashsale_servers::{Postgres, RedisCluster, TestCertificates};

/// Operations on the sales of real backends.
pub type Admin =
    flashsale_engine::Admin<flashsale_engine::RedisCluster, flashsale_engine::PostgresPool>;

use jiff::{SignedDuration, Timestamp};

use api_processes::Apis;
pub use http_client::{Answer, Client};

/// The FlashSale of processes without the flag --flash-sale.
pub const FLASH_SALE: &str = "shop.hourly";

/// A code suffix that no cart has.
pub fn unknown_suffix(partition: u16) -> CodeSuffix {
    CodeSuffix::generate(partition, Timestamp::now(), &SystemRandom::random())
}

/// Ten for a user, ten for a cart; the total is the whole catalogue.
pub fn limits(items: u32) -> Limits {
    Limits {
        per_user: 10,
        per_checkout: 10,
        total: items,
    }
}

/// Backends, an active sale, and API processes. The drop stops all of them.
pub struct Stack {
    // Before the backends: fields are dropped in order, and the processes end first.
    pub apis: Apis,
    pub admin: Admin,
    pub redis: RedisCluster,
    pub postgres: Postgres,
    pub sale: Sale,
    pub catalog: Catalog,
    client: Client,
}

impl Stack {
    /// One Redis node that owns all slots, a migrated Postgres, a sale that started a minute ago
    /// and ends in an hour, and `processes` API processes that are ready.
    pub async fn start(items: u32, limits: Limits, processes: usize) -> Self {
        Self::start_on(1, 0, items, limits, processes).await
    }

    /// The same on a Redis Cluster of this many masters and replicas.
    pub async fn start_on(
        masters: usize,
        replicas: usize,
        items: u32,
        limits: Limits,
        processes: usize,
    ) -> Self {
        let servers = move || {
            let redis = RedisCluster::start(masters, replicas).unwrap();
            let postgres = Postgres::start().unwrap();
            let urls = BackendUrls::new(redis.url(), postgres.url());
            (redis, postgres, urls)
        };
        let mut stack = Self::start_servers(servers, items, limits).await;
        for _ in 0..processes {
            stack.start_api().await;
        }
        stack
    }

    /// Backends that speak TLS and ask for certificates, and an active sale.
    pub async fn start_with_tls(items: u32, limits: Limits) -> Self {
        let servers = || {
            let redis = RedisCluster::start_with_tls(1, 0).unwrap();
            let postgres = Postgres::start_with_tls().unwrap();
            let read = |of: Option<&TestCertificates>| {
                Certificates::read(|name| of.unwrap().entry(name)).unwrap()
            };
            let urls = BackendUrls {
                redis: redis.tls_url(""),
                redis_certificates: read(redis.certificates()),
                postgres: postgres.url(),
                postgres_certificates: read(postgres.certificates()),
            };
            (redis, postgres, urls)
        };
        Self::start_servers(servers, items, limits).await
    }

    async fn start_servers(
        servers: impl FnOnce() -> (RedisCluster, Postgres, BackendUrls) + Send + 'static,
        items: u32,
        limits: Limits,
    ) -> Self {
        let (redis, postgres, urls) = tokio::task::spawn_blocking(servers).await.unwrap();
        flashsale_engine::migrate(&urls.postgres, &urls.postgres_certificates)
            .await
            .unwrap();
        let ambient = Ambient::system().unwrap();
        let admin = Admin::connect(&urls, &ambient).await.unwrap();
        let (sale, catalog) = sale_of(FLASH_SALE, SignedDuration::from_mins(-1), items, limits);
        admin.seed(&sale, &catalog).await.unwrap();
        Self {
            apis: Apis::new(&urls.redis, &urls.postgres),
            admin,
            redis,
            postgres,
            sale,
            catalog,
            client: Client::default(),
        }
    }

    /// Starts another API process and waits until it is ready. Returns its number.
    pub async fn start_api(&mut self) -> usize {
        self.start_api_with(&[]).await
    }

    /// The same with more flags, which replace the default flags.
    pub async fn start_api_with(&mut self, flags: &[&str]) -> usize {
        self.apis.start(&self.client, flags).await
    }

    /// Starts an API process with these environment variables and waits until it is ready.
    pub async fn start_api_with_variables(&mut self, variables: &[(String, String)]) -> usize {
        let apis = &mut self.apis;
        apis.start_with_variables(&self.client, variables).await
    }

    /// Starts another API process, which may not become ready while a backend is down.
    pub async fn launch_api(&mut self, flags: &[&str]) -> usize {
        self.apis.launch(flags).await
    }

    /// Awaits that process `i` is ready.
    pub async fn awaits_ready(&mut self, i: usize) {
        self.apis.awaits_ready(&self.client, i).await;
    }

    /// A value of /metrics of process `i`: the sum of the samples that begin with `series`.
    pub async fn metric(&self, i: usize, series: &str) -> f64 {
        let url = format!("{}/metrics", self.internal(i));
        let answer = self.client.get(&url).await;
        assert_eq!(answer.status, 200, "{answer:?}");
        let lines = answer
            .text()
            .lines()
            .filter(|line| line.starts_with(series));
        let values = lines.map(|line| line.rsplit(' ').next().unwrap());
        values.map(|value| value.parse::<f64>().unwrap()).sum()
    }

    /// Awaits that every POST /checkout that was answered is logged, exactly once.
    pub async fn awaits_attempts(&self) {
        let answered = self.client.answered_checkouts();
        let query = "SELECT count(*) FROM checkout_attempts";
        self.awaits_count(query, answered).await;
    }

    /// The public base URL of process `i`, without a slash at its end.
    pub fn api(&self, i: usize) -> &str {
        &self.apis.get(i).public
    }

    /// The base URL of the internal port of process `i`.
    pub fn internal(&self, i: usize) -> &str {
        &self.apis.get(i).internal
    }

    /// SIGKILL.
    pub fn kill_api(&mut self, i: usize) {
        self.apis.kill(i);
    }

    /// SIGTERM; await the end with `stack.apis.exit_code(i)`.
    pub fn terminate_api(&mut self, i: usize) {
        self.apis.terminate(i);
    }

    /// A client; clones share its idle connections.
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The id of item `idx` of the sale.
    pub fn item(&self, idx: u32) -> &str {
        &self.catalog.get(idx).unwrap().id
    }

    /// Seeds one more sale, which starts `from_now` (before now: negative) and takes an hour.
    pub async fn seed(
        &self,
        flash_sale: &str,
        from_now: SignedDuration,
        items: u32,
    ) -> (Sale, Catalog) {
        self.seed_as(flash_sale, from_now, items, |_| {}).await
    }

    /// The same with a `change` of the sale. The id of the sale stays.
    pub async fn seed_as(
        &self,
        flash_sale: &str,
        from_now: SignedDuration,
        items: u32,
        change: impl FnOnce(&mut Sale),
    ) -> (Sale, Catalog) {
        let (mut sale, catalog) = sale_of(flash_sale, from_now, items, limits(items));
        change(&mut sale);
        self.admin.seed(&sale, &catalog).await.unwrap();
        (sale, catalog)
    }

    /// Sends POST /checkout to process `i`.
    pub async fn checkout(&self, i: usize, user: &str, item: &str) -> Answer {
        let url = format!("{}/checkout?user_id={user}&id={item}", self.api(i));
        self.client.post(&url).await
    }

    /// Sends POST /purchase to process `i`.
    pub async fn purchase(&self, i: usize, code: &str) -> Answer {
        let url = format!("{}/purchase?code={code}", self.api(i));
        self.client.post(&url).await
    }

    /// Sends POST /purchase to process `i` until the response is not 503, for at most 30 seconds.
    pub async fn retry_purchase(&self, i: usize, code: &str) -> Answer {
        let started = Instant::now();
        loop {
            let answer = self.purchase(i, code).await;
            if answer.status != 503 {
                return answer;
            }
            answer.problem(503, "unavailable");
            assert!(started.elapsed() < LIMIT, "never confirmed: {answer:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sends GET to process `i`.
    pub async fn get(&self, i: usize, path: &str) -> Answer {
        self.client.get(&format!("{}{path}", self.api(i))).await
    }

    /// Puts items into a cart, all of them with success; returns its code.
    pub async fn fill(&self, i: usize, user: &str, items: &[u32]) -> String {
        let mut code = String::new();
        for idx in items {
            let answer = self.checkout(i, user, self.item(*idx)).await;
            assert_eq!(answer.status, 200, "{answer:?}");
            code = answer.json()["code"].as_str().unwrap().to_owned();
        }
        code
    }

    /// The single value of a query.
    pub async fn sql<T>(&self, query: &'static str) -> T
    where
        T: Send + Unpin + for<'r> sqlx::Decode<'r, sqlx::Postgres> + sqlx::Type<sqlx::Postgres>,
    {
        use sqlx::Connection;
        let url = self.postgres.url();
        let mut connection = sqlx::PgConnection::connect(&url).await.unwrap();
        let value = sqlx::query_scalar(query).fetch_one(&mut connection).await;
        value.unwrap()
    }

    /// Awaits that a counting query returns exactly `expected`.
    pub async fn awaits_count(&self, query: &'static str, expected: i64) {
        let started = Instant::now();
        loop {
            let found: i64 = self.sql(query).await;
            if found == expected {
                return;
            }
            let waited = started.elapsed();
            assert!(
                found < expected && waited < LIMIT,
                "{query}: expected {expected}, found {found} after {waited:?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Closes and settles a sale; returns the number of sold items.
    pub async fn close_and_settle(&self, sale: &SaleId) -> u32 {
        let started = Instant::now();
        loop {
            // As an operator does, whose calls may meet a node that is away.
            let closed = self.admin.end_early(sale).await.map(drop);
            let settlement = match closed {
                Ok(()) => self.admin.settle(sale).await,
                Err(error) => Err(error),
            };
            let Ok(settlement) = settlement else {
                assert!(started.elapsed() < LIMIT, "not settled: {settlement:?}");
                tokio::time::sleep(PAUSE).await;
                continue;
            };
            if settlement.settled {
                return settlement.sold;
            }
            assert!(started.elapsed() < LIMIT, "not settled: {settlement:?}");
            tokio::time::sleep(PAUSE).await;
        }
    }
}

fn sale_of(
    flash_sale: &str,
    from_now: SignedDuration,
    items: u32,
    limits: Limits,
) -> (Sale, Catalog) {
    let name: FlashSaleName = flash_sale.parse().unwrap();
    // Postgres stores microseconds, and responses contain the stored times.
    let now = Timestamp::now().round(jiff::Unit::Microsecond).unwrap();
    let starts_at = now + from_now;
    let sale = Sale {
        id: SaleId::new(&name, starts_at),
        window: Window {
            starts_at,
            ends_at: starts_at + SignedDuration::from_hours(1),
        },
        limits,
        items,
        partitions: 4,
        best_effort: false,
        format: CURRENT_FORMAT,
    };
    let catalog = Catalog::generate(items, sale.id.starts_label()).unwrap();
    (sale, catalog)
}

const LIMIT: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);

/// Awaits a condition, for at most 30 seconds.
pub async fn eventually<F, Fut>(what: &str, mut condition: F)
where
    F: FnMut() -> Fut,
    Fut: Future<Output = bool>,
{
    let started = Instant::now();
    while !condition().await {
        assert!(started.elapsed() < LIMIT, "never: {what}");
        tokio::time::sleep(PAUSE).await;
    }
}
