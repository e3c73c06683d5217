//! A port that serves a few endpoints under observation, and this program's log.

use std::future::Future;
use std::io::Write;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use flashsale_api::http_server::connection_timer::Patience;
use flashsale_api::http_server::listener::{Limits, Listener};
use flashsale_api::middleware::Observe;
use flashsale_api::middleware::access_log::AccessLog;
use flashsale_api::panic_log as panics;
use flashsale_api::readiness::Readiness;
use flashsale_engine::{Ambient, Logging, Metrics};
use poem::endpoint::{make, make_sync};
use poem::{EndpointExt, Response, Route};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Short, so that tests are; long enough for a busy machine to do what is not to be late.
pub const PATIENCE: Patience = Patience {
    request: Duration::from_secs(1),
    idle: Duration::from_secs(2),
};

/// What may pass until a wait of a second has surely ended.
pub const SURELY: Duration = Duration::from_secs(10);

pub const LARGE: usize = 1024 * 1024;

/// A server; `/hang` and `/purchase` never answer, `/checkout` panics, `/large` is a megabyte,
/// `/` is well. With another method than GET a path answers the same.
pub struct Host {
    pub base: String,
    pub metrics: Arc<Metrics>,
    /// Calls of endpoints that hang, and how many of them are over.
    pub hanging: Arc<Hanging>,
    end: Option<oneshot::Sender<()>>,
    served: JoinHandle<()>,
}

#[derive(Default)]
pub struct Hanging {
    begun: AtomicUsize,
    over: AtomicUsize,
}

struct Hang(Arc<Hanging>);

impl Drop for Hang {
    fn drop(&mut self) {
        self.0.over.fetch_add(1, Ordering::Relaxed);
    }
}

impl Hanging {
    pub fn begun(&self) -> usize {
        self.begun.load(Ordering::Relaxed)
    }

    pub fn over(&self) -> usize {
        self.over.load(Ordering::Relaxed)
    }

    async fn hang(self: Arc<Self>) -> Response {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let _hang = Hang(self);
        std::future::pending().await
    }
}

fn panics_on(_: poem::Request) -> &'static str {
    panic!("no more of {}", "this")
}

impl Host {
    pub async fn start(max_connections: u32, finish: Duration) -> Self {
        LazyLock::force(&LOG);
        let limits = Limits {
            max_connections,
            patience: PATIENCE,
        };
        let listener = Listener::bind("127.0.0.1:0".parse().unwrap(), limits).unwrap();
        let base = format!("http://{}", listener.address().unwrap());
        let ambient = Ambient::system().unwrap();
        let metrics = ambient.metrics.clone();
        let access_log = AccessLog::new(Logging::default(), ambient.clock.clone());
        let hanging = Arc::<Hanging>::default();
        let (for_hang, for_purchase) = (hanging.clone(), hanging.clone());
        let routes = Route::new()
            .at("/", make_sync(|_| "well"))
            .at("/large", make_sync(|_| "x".repeat(LARGE)))
            .at("/checkout", make_sync(panics_on))
            .at("/hang", make(move |_| for_hang.clone().hang()))
            .at("/purchase", make(move |_| for_purchase.clone().hang()))
            .with(Observe {
                readiness: Arc::new(Readiness::new(ambient)),
                access_log,
                answer_within: PATIENCE.request * 4 / 5,
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
            hanging,
            end: Some(end),
            served,
        }
    }

    /// The usual one.
    pub async fn usual() -> Self {
        Self::start(100, SURELY).await
    }

    /// Says that it is to end.
    pub fn end(&mut self) {
        let _ = self.end.take().unwrap().send(());
    }

    /// Awaits the end; answers how long it took.
    pub async fn ended(self) -> Duration {
        let started = Instant::now();
        let ended = tokio::time::timeout(SURELY, self.served).await;
        ended.expect("it ends").unwrap();
        started.elapsed()
    }

    /// How often requests of `endpoint` had this status.
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
        assert!(started.elapsed() < SURELY, "never: {what}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Ends what takes too long.
pub async fn soon<T>(what: &str, work: impl Future<Output = T>) -> T {
    let done = tokio::time::timeout(SURELY, work).await;
    done.unwrap_or_else(|_| panic!("not within {SURELY:?}: {what}"))
}

static LINES: Mutex<Vec<u8>> = Mutex::new(Vec::new());

/// All tests of this program share one log, as requests of a process do.
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
    panics::log_all();
});

/// The lines of the log so far that hold a text.
pub fn log_lines(text: &str) -> Vec<serde_json::Value> {
    let log = String::from_utf8(LINES.lock().unwrap().clone()).unwrap();
    let lines = log.lines().filter(|line| line.contains(text));
    lines
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}
