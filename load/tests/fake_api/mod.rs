//! A small API with the contract of the public port, in memory, for tests of the
//! generator alone. It can stall, hang up, and lie; with a database it writes the rows
//! that the real system writes.

#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs)]

pub mod database;
pub mod run;
mod state;

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use http_body_util::Full;
use hyper::body::{Bytes, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Method, Request, Response};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{Value, json};
use sqlx::PgPool;
use tokio::net::TcpListener;

use state::{State, decide_checkout, item_id, item_no, outcome, problem};

pub const SALE: &str = "default.test.20261123T0800Z";
pub const PER_USER: usize = 10;
pub const PER_CHECKOUT: usize = 10;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Lie {
    None,
    /// Answers a purchase that it does not store.
    ForgetsPurchases,
    /// Stores every tenth attempt twice.
    LogsTwice,
    /// The same, the second time as late as a settler that takes over.
    LogsTwiceLate,
    /// Makes a purchase, and says at first that it could not.
    DeniesPurchases,
    /// Answers no purchase but with 404.
    UnknownCodes,
}

#[derive(Clone)]
pub struct Settings {
    pub items: u32,
    /// Answers that are due within this span after the start come at its end.
    pub stall: Option<(Duration, Duration)>,
    /// The sale opens so long after the start.
    pub opens_after: Duration,
    /// The sale ends so long after the start.
    pub open_for: Option<Duration>,
    /// Closes the connection after every so many answers.
    pub hang_up_every: Option<u32>,
    pub lie: Lie,
    pub database: Option<String>,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            items: 1_000,
            stall: None,
            opens_after: Duration::ZERO,
            open_for: None,
            hang_up_every: None,
            lie: Lie::None,
            database: None,
        }
    }
}

struct Inner {
    settings: Settings,
    began: Instant,
    state: Mutex<State>,
    pool: Option<PgPool>,
}

/// Runs until it is dropped, on threads of its own.
pub struct FakeApi {
    url: String,
    inner: Arc<Inner>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl FakeApi {
    pub fn open(settings: Settings) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let (listener, pool) = runtime.block_on(async {
            let pool = match &settings.database {
                Some(url) => Some(PgPool::connect(url).await.unwrap()),
                None => None,
            };
            (TcpListener::bind("127.0.0.1:0").await.unwrap(), pool)
        });
        let url = format!("http://{}", listener.local_addr().unwrap());
        let inner = Arc::new(Inner {
            settings,
            began: Instant::now(),
            state: Mutex::default(),
            pool,
        });
        runtime.spawn(serve(listener, Arc::clone(&inner)));
        Self {
            url,
            inner,
            runtime: Some(runtime),
        }
    }

    pub fn url(&self) -> &str {
        &self.url
    }

    pub fn checkouts(&self) -> u64 {
        self.inner.state.lock().unwrap().checkouts
    }

    pub fn sold(&self) -> usize {
        self.inner.state.lock().unwrap().sold.len()
    }
}

impl Drop for FakeApi {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

async fn serve(listener: TcpListener, inner: Arc<Inner>) {
    while let Ok((stream, _)) = listener.accept().await {
        let _ = stream.set_nodelay(true);
        let inner = Arc::clone(&inner);
        tokio::spawn(async move {
            let answered = Mutex::new(0_u32);
            let service = service_fn(|request| {
                let hang_up = inner.settings.hang_up_every.is_some_and(|every| {
                    let mut answered = answered.lock().unwrap();
                    *answered += 1;
                    answered.is_multiple_of(every)
                });
                answer(Arc::clone(&inner), request, hang_up)
            });
            let _ = http1::Builder::new()
                .timer(TokioTimer::new())
                .serve_connection(TokioIo::new(stream), service)
                .await;
        });
    }
}

async fn answer(
    inner: Arc<Inner>,
    request: Request<Incoming>,
    hang_up: bool,
) -> Result<Response<Full<Bytes>>, Infallible> {
    if let Some((from, length)) = inner.settings.stall
        && inner.began.elapsed() >= from
        && inner.began.elapsed() < from + length
    {
        tokio::time::sleep_until((inner.began + from + length).into()).await;
    }
    let (status, body) = route(&inner, &request).await;
    let mut response = Response::new(Full::new(Bytes::from(body.to_string())));
    *response.status_mut() = status.try_into().unwrap();
    if hang_up {
        response
            .headers_mut()
            .insert("connection", "close".parse().unwrap());
    }
    Ok(response)
}

async fn route(inner: &Inner, request: &Request<Incoming>) -> (u16, Value) {
    let query: HashMap<&str, &str> = request
        .uri()
        .query()
        .unwrap_or_default()
        .split('&')
        .filter_map(|pair| pair.split_once('='))
        .collect();
    let request_id = request
        .headers()
        .get("x-request-id")
        .map_or("none", |id| id.to_str().unwrap())
        .to_owned();
    let path = request.uri().path();
    let post = request.method() == Method::POST;
    let since_start = inner.began.elapsed();
    let ended = |open_for: Option<Duration>| open_for.is_some_and(|span| since_start >= span);
    let closed = since_start < inner.settings.opens_after || ended(inner.settings.open_for);
    match path {
        "/checkout" | "/purchase" if post && closed => problem(400, "sale_not_active"),
        "/sales/active" if closed => problem(404, "no_active_sale"),
        path if path.starts_with("/checkout/") && closed => problem(404, "unknown_code"),
        "/purchase" if post && inner.settings.lie == Lie::UnknownCodes => {
            problem(404, "unknown_code")
        }
        "/checkout" if post => checkout(inner, query["user_id"], query["id"], request_id).await,
        "/purchase" if post => purchase(inner, query["code"], request_id).await,
        "/sales/active" => {
            let sold = inner.state.lock().unwrap().sold.len();
            let mut sale = json!({"id": SALE, "total_items": inner.settings.items,
                "items_sold": sold, "active": true});
            if let Some(open_for) = inner.settings.open_for {
                let left = open_for.saturating_sub(inner.began.elapsed());
                let end = jiff::Timestamp::now() + left;
                sale["ended_at"] = json!(end.to_string());
            }
            (200, sale)
        }
        path if path == format!("/sales/{SALE}") => {
            let opens_in = inner.settings.opens_after.saturating_sub(since_start);
            let start = (jiff::Timestamp::now() + opens_in).to_string();
            let sale = json!({"id": SALE, "total_items": inner.settings.items, "items_sold": 0,
                "active": !closed, "started_at": start});
            (200, sale)
        }
        path if path.ends_with("/items") => (200, page(inner, &query)),
        path if path.starts_with("/checkout/") => cart(inner, &path["/checkout/".len()..]),
        _ => problem(404, "not_found"),
    }
}

fn page(inner: &Inner, query: &HashMap<&str, &str>) -> Value {
    let limit: u32 = query["limit"].parse().unwrap();
    let from: u32 = query.get("cursor").map_or(0, |c| c.parse().unwrap());
    let state = inner.state.lock().unwrap();
    let available = query.get("available").map(|available| *available == "true");
    let items: Vec<u32> = (from..inner.settings.items)
        .filter(|item| available.is_none_or(|available| available != state.sold.contains(item)))
        .take(limit as usize)
        .collect();
    let next = items.last().map(|item| item + 1);
    let next = next.filter(|next| *next < inner.settings.items);
    let items: Vec<Value> = items
        .into_iter()
        .map(|item| json!({"id": item_id(item), "sold": state.sold.contains(&item)}))
        .collect();
    json!({"items": items, "next_cursor": next.map(|next| next.to_string())})
}

fn cart(inner: &Inner, code: &str) -> (u16, Value) {
    let state = inner.state.lock().unwrap();
    let carts = state.carts.values();
    let Some((_, items)) = carts.into_iter().find(|(other, _)| other == code) else {
        return problem(404, "unknown_code");
    };
    let items: Vec<Value> = items
        .iter()
        .map(|item| json!({"id": item_id(*item)}))
        .collect();
    (200, json!({"code": code, "items": items}))
}

async fn checkout(inner: &Inner, user: &str, id: &str, request_id: String) -> (u16, Value) {
    let (outcome, code, answer) = {
        let mut state = inner.state.lock().unwrap();
        state.checkouts += 1;
        decide_checkout(&mut state, user, item_no(id), inner.settings.items)
    };
    if let Some(pool) = inner.pool.clone() {
        let second = match inner.settings.lie {
            Lie::LogsTwice => Some(Duration::ZERO),
            Lie::LogsTwiceLate => Some(Duration::from_secs(4)),
            _ => None,
        };
        let second = second.filter(|_| request_id.ends_with('0'));
        let attempt = database::Attempt {
            user: user.to_owned(),
            item: id.to_owned(),
            code,
            outcome,
            request_id,
        };
        // Settled behind the answer's back, as the real system does.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            attempt.log(&pool).await;
            if let Some(later) = second {
                tokio::time::sleep(later).await;
                attempt.log(&pool).await;
            }
        });
    }
    answer
}

async fn purchase(inner: &Inner, code: &str, request_id: String) -> (u16, Value) {
    let (answer, user, results, first_slot) = {
        let mut state = inner.state.lock().unwrap();
        if let Some(outcome) = state.outcomes.get(code) {
            return outcome.clone();
        }
        let Some(user) = state.user_of.get(code).cloned() else {
            return problem(404, "unknown_code");
        };
        let (_, cart) = state.carts.remove(&user).unwrap();
        let before = state.bought.get(&user).copied().unwrap_or(0);
        let mut count = before;
        let results: Vec<(u32, &str)> = cart
            .into_iter()
            .map(|item| {
                if state.sold.contains(&item) {
                    (item, "already_sold")
                } else if count == PER_USER {
                    (item, "limit_reached")
                } else {
                    state.sold.insert(item);
                    count += 1;
                    (item, "sold")
                }
            })
            .collect();
        state.bought.insert(user.clone(), count);
        let answer = outcome(&results);
        state.outcomes.insert(code.to_owned(), answer.clone());
        (answer, user, results, before + 1)
    };
    if let Some(pool) = &inner.pool
        && inner.settings.lie != Lie::ForgetsPurchases
    {
        database::store(pool, code, &user, &results, first_slot, &request_id).await;
    }
    if inner.settings.lie == Lie::DeniesPurchases {
        return problem(503, "unavailable");
    }
    answer
}
