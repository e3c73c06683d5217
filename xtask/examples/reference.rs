//! The two programs that `cargo xtask bench` compares the API with.
//!
//! - `a`: a poem-openapi endpoint that answers the checkout's JSON and does nothing
//!   else: what the HTTP stack costs.
//! - `b`: the same with one EVALSHA of a small cart script for each request: what
//!   a checkout that asks Redis once costs.
//!
//! Both answer what the load generator asks before a run, and run on one thread,
//! like an API process of the bench.

use std::{fs, path::PathBuf, process::ExitCode, time::Duration};

use clap::{Parser, ValueEnum};
use poem::{
    EndpointExt, Route, Server,
    error::InternalServerError,
    listener::{Acceptor, Listener, TcpListener},
};
use poem_openapi::{
    Object, OpenApi, OpenApiService,
    param::{Path, Query},
    payload::Json,
};
use redis::{Script, cluster::ClusterClientBuilder, cluster_async::ClusterConnection};

const SALE: &str = "default.reference.20260101T0800Z";
/// Above what the generator lists page by page: it derives the others from one page.
const ITEMS: u32 = 100_000;
const PAGE: u32 = 1_000;
const REDIS_LIMIT: Duration = Duration::from_secs(2);

/// Adds an item to a cart of ten at most; returns how many it holds.
const CART: &str = r"
local held = redis.call('SCARD', KEYS[1])
if held < 10 then
    held = held + redis.call('SADD', KEYS[1], ARGV[1])
    redis.call('PEXPIRE', KEYS[1], 3600000)
end
return held
";

#[derive(Parser)]
struct Args {
    /// Which one.
    #[arg(value_enum)]
    reference: Reference,
    /// Where its address is written once it listens.
    #[arg(long)]
    endpoints_file: PathBuf,
    /// Nodes of the cluster, separated by commas; for b.
    #[arg(long)]
    redis_url: Option<String>,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Reference {
    A,
    B,
}

#[derive(Object)]
struct Cart {
    code: String,
    items_count: u32,
    sale_ends_at: String,
}

#[derive(Object)]
struct Sale {
    id: String,
    total_items: u32,
    items_sold: u32,
    active: bool,
}

#[derive(Object)]
struct Items {
    items: Vec<Item>,
    next_cursor: Option<String>,
}

#[derive(Object)]
struct Item {
    id: String,
    sold: bool,
}

struct Api {
    /// Connection and script of b; a uses no Redis.
    redis: Option<(ClusterConnection, Script)>,
}

#[OpenApi]
impl Api {
    #[oai(path = "/checkout", method = "post")]
    async fn checkout(
        &self,
        user_id: Query<String>,
        id: Query<String>,
    ) -> poem::Result<Json<Cart>> {
        let items_count = match &self.redis {
            None => 1,
            Some((connection, script)) => script
                .key(format!("cart:{}", user_id.0))
                .arg(id.0)
                .invoke_async(&mut connection.clone())
                .await
                .map_err(InternalServerError)?,
        };
        Ok(Json(Cart {
            code: format!("CHK-{SALE}-0abcdefghijklmnopqrst"),
            items_count,
            sale_ends_at: "2026-01-01T09:00:00Z".into(),
        }))
    }

    #[oai(path = "/sales/active", method = "get")]
    async fn active(&self) -> Json<Sale> {
        Json(Sale {
            id: SALE.into(),
            total_items: ITEMS,
            items_sold: 0,
            active: true,
        })
    }

    #[oai(path = "/sales/:id/items", method = "get")]
    async fn items(&self, id: Path<String>) -> Json<Items> {
        let start = id.0.rsplit('.').next().unwrap_or_default();
        let items = (1..=PAGE).map(|number| Item {
            id: format!("{start}-{number:05}"),
            sold: false,
        });
        Json(Items {
            items: items.collect(),
            next_cursor: Some(PAGE.to_string()),
        })
    }
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    match run(Args::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(args: Args) -> anyhow::Result<()> {
    let redis = match (args.reference, args.redis_url) {
        (Reference::A, _) => None,
        (Reference::B, None) => anyhow::bail!("expected --redis-url for reference b"),
        (Reference::B, Some(url)) => Some((connect(&url).await?, Script::new(CART))),
    };
    let api = OpenApiService::new(Api { redis }, "reference", "1");
    let acceptor = TcpListener::bind("127.0.0.1:0").into_acceptor().await?;
    let address = acceptor
        .local_addr()
        .into_iter()
        .find_map(|address| address.as_socket_addr().copied())
        .ok_or_else(|| anyhow::anyhow!("expected a TCP address"))?;
    fs::write(&args.endpoints_file, format!("http://{address}"))?;
    Server::new_with_acceptor(acceptor)
        .run(Route::new().nest("/", api).boxed())
        .await?;
    Ok(())
}

/// The settings that the API has too: without them the comparison flatters it.
async fn connect(url: &str) -> anyhow::Result<ClusterConnection> {
    let tcp = redis::io::tcp::TcpSettings::default().set_nodelay(true);
    let client = ClusterClientBuilder::new(url.split(','))
        .tcp_settings(tcp)
        .connection_timeout(REDIS_LIMIT)
        .response_timeout(REDIS_LIMIT)
        .build()?;
    Ok(client.get_async_connection().await?)
}
