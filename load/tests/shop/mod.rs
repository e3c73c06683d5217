//! A tiny shop with the contract of the public port, in memory, for tests of the
//! generator alone. It can stall, hang up, and lie; with a database it writes the rows
//! that the real system writes.

#![allow(clippy::unwrap_used, clippy::expect_used, dead_code, missing_docs)]

pub mod database;

use std::collections::{HashMap, HashSet};
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
}

#[derive(Clone)]
pub struct Settings {
    pub items: u32,
    /// Answers that are due within this span after the start come at its end.
    pub stall: Option<(Duration, Duration)>,
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
            hang_up_every: None,
            lie: Lie::None,
            database: None,
        }
    }
}

#[derive(Default)]
struct Books {
    carts: HashMap<String, (String, Vec<u32>)>,
    user_of: HashMap<String, String>,
    outcomes: HashMap<String, (u16, Value)>,
    sold: HashSet<u32>,
    bought: HashMap<String, usize>,
    checkouts: u64,
}

struct Inner {
    settings: Settings,
    began: Instant,
    books: Mutex<Books>,
    pool: Option<PgPool>,
}

/// Runs until it is dropped, on threads of its own.
pub struct Shop {
    url: String,
    inner: Arc<Inner>,
    runtime: Option<tokio::runtime::Runtime>,
}

impl Shop {
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
            books: Mutex::default(),
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
        self.inner.books.lock().unwrap().checkouts
    }

    pub fn sold(&self) -> usize {
        self.inner.books.lock().unwrap().sold.len()
    }
}

impl Drop for Shop {
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

pub fn item_id(item: u32) -> String {
    format!("20261123T0800Z-{:05}", item + 1)
}

fn item_no(id: &str) -> Option<u32> {
    id.strip_prefix("20261123T0800Z-")?
        .parse::<u32>()
        .ok()
        .map(|number| number - 1)
}

fn problem(status: u16, code: &str) -> (u16, Value) {
    (status, json!({"status": status, "code": code}))
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
    match path {
        "/checkout" if post => checkout(inner, query["user_id"], query["id"], request_id).await,
        "/purchase" if post => purchase(inner, query["code"], request_id).await,
        "/sales/active" => {
            let sold = inner.books.lock().unwrap().sold.len();
            (
                200,
                json!({"id": SALE, "total_items": inner.settings.items, "items_sold": sold, "active": true}),
            )
        }
        path if path.ends_with("/items") => (200, page(inner, &query)),
        path if path.starts_with("/checkout/") => (200, json!({})),
        _ => problem(404, "not_found"),
    }
}

fn page(inner: &Inner, query: &HashMap<&str, &str>) -> Value {
    let limit: u32 = query["limit"].parse().unwrap();
    let from: u32 = query.get("cursor").map_or(0, |c| c.parse().unwrap());
    let books = inner.books.lock().unwrap();
    let wanted = query.get("available").map(|available| *available == "true");
    let items: Vec<u32> = (from..inner.settings.items)
        .filter(|item| wanted.is_none_or(|available| available != books.sold.contains(item)))
        .take(limit as usize)
        .collect();
    let next = items.last().map(|item| item + 1);
    let next = next.filter(|next| *next < inner.settings.items);
    let items: Vec<Value> = items
        .into_iter()
        .map(|item| json!({"id": item_id(item), "sold": books.sold.contains(&item)}))
        .collect();
    json!({"items": items, "next_cursor": next.map(|next| next.to_string())})
}

async fn checkout(inner: &Inner, user: &str, id: &str, request_id: String) -> (u16, Value) {
    let (outcome, code, answer) = {
        let mut books = inner.books.lock().unwrap();
        books.checkouts += 1;
        decide_checkout(&mut books, user, item_no(id), inner.settings.items)
    };
    if let Some(pool) = inner.pool.clone() {
        let attempt = database::Attempt {
            user: user.to_owned(),
            item: id.to_owned(),
            code,
            outcome,
            times: 1 + usize::from(
                inner.settings.lie == Lie::LogsTwice && request_id.ends_with('0'),
            ),
            request_id,
        };
        // Settled behind the answer's back, as the real system does.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_millis(300)).await;
            attempt.log(&pool).await;
        });
    }
    answer
}

fn decide_checkout(
    books: &mut Books,
    user: &str,
    item: Option<u32>,
    items: u32,
) -> (&'static str, Option<String>, (u16, Value)) {
    let refuse = |status, code| (code, None, problem(status, code));
    if books.sold.len() as u32 == items {
        return refuse(409, "sold_out");
    }
    let Some(item) = item.filter(|item| *item < items) else {
        return refuse(404, "unknown_item");
    };
    if books.sold.contains(&item) {
        return refuse(409, "already_sold");
    }
    if books
        .bought
        .get(user)
        .is_some_and(|count| *count >= PER_USER)
    {
        return refuse(400, "limit_reached");
    }
    let next_code = format!("CHK-{SALE}-{}", books.user_of.len());
    let fresh = !books.carts.contains_key(user);
    let (code, cart) = books
        .carts
        .entry(user.to_owned())
        .or_insert((next_code, Vec::new()));
    let outcome = if cart.contains(&item) {
        "in_cart"
    } else if cart.len() == PER_CHECKOUT {
        return refuse(400, "cart_full");
    } else {
        cart.push(item);
        "added"
    };
    let (code, count) = (code.clone(), cart.len());
    if fresh {
        books.user_of.insert(code.clone(), user.to_owned());
    }
    let body = json!({"code": code, "items_count": count, "sale_ends_at": "2026-11-23T09:00:00Z"});
    (outcome, Some(code), (200, body))
}

async fn purchase(inner: &Inner, code: &str, request_id: String) -> (u16, Value) {
    let (answer, user, results, first_slot) = {
        let mut books = inner.books.lock().unwrap();
        if let Some(outcome) = books.outcomes.get(code) {
            return outcome.clone();
        }
        let Some(user) = books.user_of.get(code).cloned() else {
            return problem(404, "unknown_code");
        };
        let (_, cart) = books.carts.remove(&user).unwrap();
        let before = books.bought.get(&user).copied().unwrap_or(0);
        let mut count = before;
        let results: Vec<(u32, &str)> = cart
            .into_iter()
            .map(|item| {
                if books.sold.contains(&item) {
                    (item, "already_sold")
                } else if count == PER_USER {
                    (item, "limit_reached")
                } else {
                    books.sold.insert(item);
                    count += 1;
                    (item, "sold")
                }
            })
            .collect();
        books.bought.insert(user.clone(), count);
        let answer = outcome(&results);
        books.outcomes.insert(code.to_owned(), answer.clone());
        (answer, user, results, before + 1)
    };
    if let Some(pool) = &inner.pool
        && inner.settings.lie != Lie::ForgetsPurchases
    {
        database::store(pool, code, &user, &results, first_slot, &request_id).await;
    }
    answer
}

fn outcome(results: &[(u32, &str)]) -> (u16, Value) {
    let of = |wanted: bool| {
        results
            .iter()
            .filter(move |(_, r)| (*r == "sold") == wanted)
    };
    let bought: Vec<Value> = of(true)
        .map(|(item, _)| json!({"id": item_id(*item), "name": "x", "sold": true}))
        .collect();
    let failed: Vec<Value> = of(false)
        .map(|(item, reason)| json!({"id": item_id(*item), "reason": reason}))
        .collect();
    let (status, code) = match (bought.is_empty(), results.first()) {
        (false, _) => (200, Value::Null),
        (true, Some((_, "limit_reached"))) => (400, json!("limit_reached")),
        (true, _) => (409, json!("already_sold")),
    };
    let mut body = json!({
        "success": status == 200,
        "total_purchased": bought.len(),
        "failed_count": failed.len(),
        "purchased_items": bought,
        "failed_items": failed,
    });
    if status != 200 {
        body["code"] = code;
    }
    (status, body)
}
