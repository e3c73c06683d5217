//! Real API processes under a guard: no process outlives the test.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use flashsale_servers::{Guard, Launch, Process, Signal};

use super::{Client, FLASH_SALE};

const PROGRAM: &str = env!("CARGO_BIN_EXE_flashsale-api");
/// Ports that are free.
const LISTEN: [[&str; 2]; 2] = [
    ["--listen", "127.0.0.1:0"],
    ["--internal-listen", "127.0.0.1:0"],
];

const START_LIMIT: Duration = Duration::from_secs(60);
const END_LIMIT: Duration = Duration::from_secs(60);
const PAUSE: Duration = Duration::from_millis(20);

/// One process.
pub struct Api {
    pub public: String,
    pub internal: String,
    process: Process,
}

/// All processes of a test, numbered from 0 in the order of their starts.
pub struct Apis {
    // The first field: fields are dropped in order, and the guard stops the processes.
    guard: Guard,
    apis: Vec<Api>,
    redis_url: String,
    postgres_url: String,
}

impl Apis {
    pub fn new(redis_url: &str, postgres_url: &str) -> Self {
        Self {
            guard: Guard::new().unwrap(),
            apis: Vec::new(),
            redis_url: redis_url.to_owned(),
            postgres_url: postgres_url.to_owned(),
        }
    }

    pub fn get(&self, i: usize) -> &Api {
        &self.apis[i]
    }

    /// Starts a process and waits until it is ready.
    pub async fn start(&mut self, client: &Client, flags: &[&str]) -> usize {
        let number = self.launch(flags).await;
        self.awaits_ready(client, number).await;
        number
    }

    /// Starts a process with these environment variables, on ports of its own, and waits until it is
    /// ready.
    pub async fn start_with_variables(
        &mut self,
        client: &Client,
        variables: &[(String, String)],
    ) -> usize {
        let mut launch = Launch::new(self.next_name(), PROGRAM).args(LISTEN.as_flattened());
        for (name, value) in variables {
            launch = launch.env(name, value);
        }
        let number = self.launch_process(launch).await;
        self.awaits_ready(client, number).await;
        number
    }

    /// Starts a process and waits until it listens.
    pub async fn launch(&mut self, flags: &[&str]) -> usize {
        let launch = self.command(&self.next_name(), flags);
        self.launch_process(launch).await
    }

    fn next_name(&self) -> String {
        format!("api-{}", self.apis.len())
    }

    async fn launch_process(&mut self, launch: Launch) -> usize {
        let number = self.apis.len();
        let endpoints = self.guard.folder().join(format!("api-{number}.json"));
        let launch = launch.arg("--endpoints-file").arg(&endpoints);
        let mut process = self.guard.launch(&launch).unwrap();
        let started = Instant::now();
        let (public, internal) = loop {
            if let Some(urls) = read_endpoints(&endpoints) {
                break urls;
            }
            sleep_or_fail(&mut process, started, "write its endpoints file").await;
        };
        self.apis.push(Api {
            public,
            internal,
            process,
        });
        number
    }

    pub async fn awaits_ready(&mut self, client: &Client, i: usize) {
        let started = Instant::now();
        let api = &mut self.apis[i];
        let ready = format!("{}/readyz", api.internal);
        while client.try_get(&ready).await.map(|a| a.status) != Ok(200) {
            sleep_or_fail(&mut api.process, started, "be ready").await;
        }
    }

    /// Runs a process that ends by itself; returns its exit code and its log.
    pub fn run(&mut self, flags: &[&str]) -> (Option<i32>, String) {
        let launch = self.command("api-that-ends", flags);
        let mut process = self.guard.launch(&launch).unwrap();
        let status = process.wait(END_LIMIT).expect("it ends by itself");
        (status.code(), process.log_tail(30))
    }

    /// Adds a default for each absent flag: a flag that is given twice is an error.
    fn command(&self, name: &str, flags: &[&str]) -> Launch {
        let defaults = [
            ("--flash-sale", FLASH_SALE),
            ("--worker-threads", "1"),
            ("--drain-seconds", "0"),
            ("--redis-url", &self.redis_url),
            ("--postgres-url", &self.postgres_url),
        ];
        let mut launch = Launch::new(name, PROGRAM).args(flags);
        for (flag, value) in defaults.into_iter().chain(LISTEN.map(|[f, v]| (f, v))) {
            if !flags.contains(&flag) {
                launch = launch.args([flag, value]);
            }
        }
        launch
    }

    pub fn kill(&mut self, i: usize) {
        self.apis[i].process.stop(Signal::Kill, Duration::ZERO);
    }

    pub fn terminate(&mut self, i: usize) {
        self.apis[i].process.signal(Signal::Terminate);
    }

    /// Stops the process until [`Apis::resume`].
    pub fn pause(&mut self, i: usize) {
        self.apis[i].process.signal(Signal::Stop);
    }

    pub fn resume(&mut self, i: usize) {
        self.apis[i].process.signal(Signal::Continue);
    }

    pub fn runs(&mut self, i: usize) -> bool {
        self.apis[i].process.status().is_none()
    }

    /// Awaits the end of the process; none where a signal ended it.
    pub async fn exit_code(&mut self, i: usize) -> Option<i32> {
        let started = Instant::now();
        loop {
            if let Some(status) = self.apis[i].process.status() {
                return status.code();
            }
            let late = started.elapsed() > END_LIMIT;
            assert!(!late, "it still runs; its log:\n{}", self.log_tail(i));
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// The log of the process so far.
    pub fn log(&self, i: usize) -> String {
        let file: Option<PathBuf> = self.apis[i].process.log().map(Path::to_owned);
        file.map(|file| std::fs::read_to_string(file).unwrap_or_default())
            .unwrap_or_default()
    }

    fn log_tail(&self, i: usize) -> String {
        self.apis[i].process.log_tail(30)
    }
}

impl Drop for Apis {
    fn drop(&mut self) {
        if std::thread::panicking() {
            for i in 0..self.apis.len() {
                eprintln!("--- the end of the log of api-{i}\n{}", self.log_tail(i));
            }
        }
    }
}

async fn sleep_or_fail(process: &mut Process, started: Instant, expected: &str) {
    if let Some(ended) = process.ended() {
        panic!("{ended}");
    }
    let late = started.elapsed() > START_LIMIT;
    assert!(
        !late,
        "expected it to {expected}; its log:\n{}",
        process.log_tail(30)
    );
    tokio::time::sleep(PAUSE).await;
}

fn read_endpoints(file: &Path) -> Option<(String, String)> {
    let text = std::fs::read_to_string(file).ok()?;
    let urls: serde_json::Value = serde_json::from_str(&text).unwrap();
    let url = |port: &str| urls[port].as_str().map(str::to_owned);
    Some((url("public")?, url("internal")?))
}
