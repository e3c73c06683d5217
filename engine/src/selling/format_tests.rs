//! Two processes of different versions sell one sale together, on real servers.
#![allow(clippy::unwrap_used)]

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use flashsale_servers::{Postgres as PostgresServer, RedisCluster as RedisServer};
use jiff::{SignedDuration, Timestamp};

use crate::admin::{Admin, Settlement};
use crate::domain::backend_urls::BackendUrls;
use crate::domain::catalog::Catalog;
use crate::domain::certificates::Certificates;
use crate::domain::code::CheckoutCode;
use crate::domain::ids::{ItemId, RequestId, UserId};
use crate::domain::sale::{CURRENT_FORMAT, FlashSaleName, Limits, Sale, SaleId, Window};
use crate::observability::Ambient;
use crate::postgres::pool::PostgresPool;
use crate::redis::cluster::RedisCluster;
use crate::redis::codec::Format;
use crate::redis::commands::call;
use crate::selling::checkout::Checkout;
use crate::selling::purchase::{NoOrder, Order};
use crate::selling::service::{Backends, SellingOptions, SellingService};

type Service = Arc<SellingService<RedisCluster, PostgresPool>>;

struct Harness {
    redis: RedisServer,
    postgres: PostgresServer,
    name: FlashSaleName,
}

impl Harness {
    async fn start() -> Self {
        let servers = || {
            (
                RedisServer::single().unwrap(),
                PostgresServer::start().unwrap(),
            )
        };
        let (redis, postgres) = tokio::task::spawn_blocking(servers).await.unwrap();
        crate::migrate(&postgres.url(), &Certificates::NONE)
            .await
            .unwrap();
        Self {
            redis,
            postgres,
            name: FlashSaleName::new("shop", "hourly").unwrap(),
        }
    }

    async fn backends(&self, ambient: &Ambient) -> Backends<RedisCluster, PostgresPool> {
        let urls = BackendUrls::new(self.redis.url(), self.postgres.url());
        Backends::connect(&urls, 8, ambient).await.unwrap()
    }

    async fn admin(&self, format: Format) -> Admin<RedisCluster, PostgresPool> {
        let ambient = Ambient::system().unwrap();
        let Backends {
            redis, postgres, ..
        } = self.backends(&ambient).await;
        Admin::with_format(redis, postgres, &ambient, format)
    }

    /// A process whose newest version is `format`.
    async fn process(&self, format: Format) -> Service {
        let ambient = Ambient::system().unwrap();
        let options = SellingOptions {
            flash_sale: self.name.clone(),
            attempts_backlog: 1_000,
        };
        let backends = self.backends(&ambient).await;
        SellingService::start_with_format(&options, backends, &ambient, format)
            .await
            .unwrap()
    }

    /// The names of the keys that Redis holds of a sale.
    async fn keys_of(&self, sale: &SaleId) -> Vec<String> {
        let backends = self.backends(&Ambient::system().unwrap()).await;
        let (key, mut command) = (sale.to_string(), redis::cmd("KEYS"));
        command.arg(format!("*{sale}*"));
        call(&backends.redis, "test", &key, &command).await.unwrap()
    }

    /// A sale that began a minute ago.
    fn sale(&self) -> Sale {
        let starts_at = Timestamp::now() - SignedDuration::from_mins(1);
        Sale {
            id: SaleId::new(&self.name, starts_at),
            window: Window {
                starts_at,
                ends_at: starts_at + SignedDuration::from_hours(1),
            },
            limits: Limits {
                per_user: 10,
                per_checkout: 10,
                total: 10,
            },
            items: 10,
            partitions: 2,
            best_effort: false,
            format: CURRENT_FORMAT,
        }
    }
}

async fn eventually<F: Future<Output = bool>>(what: &str, mut condition: impl FnMut() -> F) {
    let condition = async {
        while !condition().await {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    let waited = tokio::time::timeout(Duration::from_secs(20), condition).await;
    assert!(waited.is_ok(), "never: {what}");
}

async fn sells(service: &Service) {
    eventually("the sale is active", || async {
        service.not_ready().is_none() && service.active().is_some()
    })
    .await;
}

fn request_id(service: &Service) -> RequestId {
    RequestId::generate(service.random())
}

async fn add(service: &Service, user: &str, item: &str) -> CheckoutCode {
    let (user, item) = (UserId::parse(user).unwrap(), ItemId::parse(item).unwrap());
    let answer = service.checkout(&user, &item, &request_id(service)).await;
    match answer.unwrap() {
        Checkout::InCart { code, .. } => CheckoutCode::parse(&code).unwrap(),
        Checkout::Refused(refusal) => panic!("refused: {refusal:?}"),
    }
}

async fn buy(service: &Service, code: &CheckoutCode) -> Order {
    service.purchase(code, &request_id(service)).await.unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_this_version_sells_with_one_of_the_version_before() {
    sell_together(Format::V1, Format::V2).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_of_the_next_version_sells_with_one_of_this_version() {
    sell_together(Format::V2, Format::V3).await;
}

/// A sale of the older version, sold by a process of each version.
async fn sell_together(older_format: Format, newer_format: Format) {
    let harness = Harness::start().await;
    let sale = harness.sale();
    let catalog = Catalog::generate(10, sale.id.starts_label()).unwrap();
    let item = |n: u32| catalog.get(n).unwrap().id.as_str();
    let admin = harness.admin(older_format).await;
    admin.seed(&sale, &catalog).await.unwrap();
    let (older, newer) = (
        harness.process(older_format).await,
        harness.process(newer_format).await,
    );
    sells(&older).await;
    sells(&newer).await;

    // Each reads the cart that the other wrote, buys it, and repeats the outcome of the other.
    let code = add(&older, "ann", item(0)).await;
    assert_eq!(add(&newer, "ann", item(1)).await, code);
    assert_eq!(newer.cart(&code).await.unwrap().items.len(), 2);
    let bought = buy(&newer, &code).await;
    assert_eq!((bought.sold_count(), bought.replayed), (2, false));
    let again = buy(&older, &code).await;
    assert_eq!((&again.items, again.replayed), (&bought.items, true));
    let code = add(&newer, "bob", item(2)).await;
    assert_eq!(buy(&older, &code).await.sold_count(), 1);
    eventually("both views have all purchases", || async {
        let sold = |service: &Service| service.active().map(|served| served.sold_count());
        (sold(&older), sold(&newer)) == (Some(3), Some(3))
    })
    .await;

    // The newer process restores what Redis loses, in the format of the sale.
    harness.redis.flush_all().unwrap();
    eventually("the older process repeats an outcome", || async {
        let answer = older.purchase(&code, &request_id(&older)).await;
        answer.is_ok_and(|order| order.sold_count() == 1 && order.replayed)
    })
    .await;
    assert!(older.stop(Duration::from_secs(10)).await);
    assert!(newer.stop(Duration::from_secs(10)).await);
    let admin = harness.admin(newer_format).await;
    admin.end_early(&sale.id).await.unwrap();
    eventually("the sale is settled", || async {
        let settlement = admin.settle(&sale.id).await.unwrap();
        settlement
            == Settlement {
                settled: true,
                sold: 3,
            }
    })
    .await;
    admin.retire(&sale.id).await.unwrap();
    assert_eq!(harness.keys_of(&sale.id).await, [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_process_does_not_serve_a_sale_of_a_later_version() {
    let harness = Harness::start().await;
    let sale = harness.sale();
    let catalog = Catalog::generate(10, sale.id.starts_label()).unwrap();
    let admin = harness.admin(Format::V3).await;
    admin.seed(&sale, &catalog).await.unwrap();
    let (older, newer) = (
        harness.process(Format::V2).await,
        harness.process(Format::V3).await,
    );
    sells(&newer).await;
    let code = add(&newer, "ann", &catalog.get(0).unwrap().id).await;
    assert_eq!(buy(&newer, &code).await.sold_count(), 1);

    eventually("the older process says that it is not ready", || async {
        older
            .not_ready()
            .is_some_and(|why| why.contains("not loaded"))
    })
    .await;
    let answer = older.purchase(&code, &request_id(&older)).await;
    // What is committed is answered from Postgres, which has no format.
    assert_eq!(answer.unwrap().sold_count(), 1);
    let unbought = add(&newer, "bob", &catalog.get(1).unwrap().id).await;
    let answer = older.purchase(&unbought, &request_id(&older)).await;
    assert!(matches!(answer, Err(NoOrder::Unavailable(_))), "{answer:?}");
    assert!(
        harness
            .admin(Format::V2)
            .await
            .settle(&sale.id)
            .await
            .is_err()
    );
}
