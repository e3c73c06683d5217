//! A server with a few endpoints inside the middleware, and the log of this test program.

use std::future::Future;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use flashsale_api::{
    AccessLog, ConnectionTimeouts, Limits, Listener, Readiness, RequestMiddleware, log_panics,
};
use flashsale_engine::{Ambient, Logging, Metrics};
use poem::endpoint::{make, make_sync};
use poem::{EndpointExt, Response, Route};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Short, so that tests are fast; long enough for a busy machine.
pub const TIMEOUTS: ConnectionTimeouts = ConnectionTimeouts {
    request: Duration::from_secs(1),
    idle: Duration::from_secs(2),
};

/// The limit on a wait that should take a second or two.
pub const LONG_WAIT: Duration = Duration::from_secs(10);

pub const LARGE: usize = 1024 * 1024;

/// A server. `/pending` and `/purchase` never respond, `/checkout` panics, `/large` returns a
/// megabyte and `/` a word. Each path takes all methods.
pub struct TestServer {
    pub base: String,
    pub metrics: Arc<Metrics>,
    /// Calls of the endpoints that never respond.
    pub pending: Arc<PendingCalls>,
    end: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

#[derive(Default)]
pub struct PendingCalls {
    begun: AtomicUsize,
    over: AtomicUsize,
}

struct PendingCall(Arc<PendingCalls>);

impl Drop for PendingCall {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::Relaxed);
    }
}

impl PendingCalls {
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    pub fn over(&self) -> usize {
        self.over.load(Ordering::Relaxed)
    }

    async fn never_respond(self: Arc<Self>) -> Response {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let _call = PendingCall(self);
        std::future::pending().await
    }
}

fn panics_on(_: poem::Request) -> &'static str {
    panic!("no more of {}", "this")
}

impl TestServer {
    pub async fn start(max_connections: u32, finish: Duration) -> Self {
        LazyLock::force(&LOG);
        let limits = Limits {
            max_connections,
            timeouts: TIMEOUTS,
        };
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits).unwrap();
        let base = format!("http://{}", listener.address().unwrap());
        let ambient = Ambient::system().unwrap();
        let metrics = ambient.metrics.clone();
        let access_log = AccessLog::new(Logging::default(), ambient.clock.clone(), u32::MAX);
        let pending = Arc::<PendingCalls>::default();
        let (for_pending, for_purchase) = (pending.clone(), pending.clone());
        let routes = Route::new()
            .at("/", make_sync(|_| "ok"))
            .at("/large", make_sync(|_| "x".repeat(LARGE)))
            .at("/checkout", make_sync(panics_on))
            .at(
                "/pending",
                make(move |_| for_pending.clone().never_respond()),
            )
            .at(
                "/purchase",
                make(move |_| for_purchase.clone().never_respond()),
            )
            .with(RequestMiddleware {
                readiness: Arc::new(Readiness::new(ambient)),
                access_log,
                response_limit: TIMEOUTS.request * 4 / 5,
            });
        let (end, ended) = oneshot::channel::<()>();
        let served = tokio::spawn(async move {
            let end = async {
                let _ = ended.await;
            };
            listener.serve(routes, end, finish).await;
        });
        Self {
            base,
            metrics,
            pending,
            end: Some(end),
            served,
        }
    }

    /// A server with default limits.
    pub async fn start_default() -> Self {
        Self::start(100, LONG_WAIT).await
    }

    /// Starts the drain.
    pub fn end(&mut self) {
        let _ = self.end.take().unwrap().send(());
    }

    /// Awaits the end; returns the duration of the wait.
    pub async fn ended(self) -> Duration {
        let started = Instant::now();
        let ended = tokio::time::timeout(LONG_WAIT, self.served).await;
        ended.expect("the server ends").unwrap();
        started.elapsed()
    }

    /// The number of requests of `endpoint` with this status.
    pub fn counted(&self, endpoint: &str, status: u16) -> u64 {
        let text = self.metrics.render().unwrap();
        let labels = [
            format!("endpoint=\"{endpoint}\""),
            format!("status=\"{status}\""),
        ];
        let lines = text.lines().filter(|line| {
            line.starts_with("http_requests_total{") && labels.iter().all(|l| line.contains(l))
        });
        let counts = lines.map(|line| line.rsplit(' ').next().unwrap());
        counts.map(|count| count.parse::<u64>().unwrap()).sum()
    }
}

/// Awaits a condition.
pub async fn eventually<F: FnMut() -> bool>(what: &str, mut condition: F) {
    let started = Instant::now();
    while !condition() {
        assert!(started.elapsed() < LONG_WAIT, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Awaits `work`; fails the test after [`LONG_WAIT`].
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(LONG_WAIT, work).await;
    done.unwrap_or_else(|_| panic!("not within {LONG_WAIT:?}: {what}"))
}

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// The tests of this program share one log.
static LOG: LazyLock<()> = LazyLock::new(|| {
    struct Lines;
    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            LINES.lock().unwrap().write(bytes)
        }
        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }
    tracing_subscriber::fmt()
        .json()
        .flatten_event(true)
        .with_writer(|| Lines)
        .init();
    log_panics();
});

/// The lines of the log so far that contain a text.
pub fn log_lines(text: &str) -> Vec<serde_json::Value> {
    let log = String::from_utf8(LINES.lock().unwrap().clone()).unwrap();
    let lines = log.lines().filter(|line| line.contains(text));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
