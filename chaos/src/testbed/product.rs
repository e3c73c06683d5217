//! The processes of the product.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flashsale_servers::{Guard, Launch, Process, Signal};
use serde::Deserialize;

use super::Settings;
use super::http::is_ready;

const READY_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(5);
const POLL_EVERY: Duration = Duration::from_millis(20);
/// A balancer notices a process that ended within this time.
const ROUTED_FOR: Duration = Duration::from_secs(1);

/// The programs of the product.
#[derive(Debug, Clone)]
pub struct Programs {
    /// `flashsale-api`.
    pub api: PathBuf,
    /// `flashsale-operator`.
    pub operator: PathBuf,
}

/// The operator in `local` mode.
pub struct Operator {
    launch: Launch,
    process: Process,
}

impl Operator {
    pub(super) fn start(
        guard: &Guard,
        settings: &Settings<'_>,
        backends: &[String],
        manifest: &Path,
        status_file: &Path,
    ) -> Result<Self> {
        let launch = product(settings.logs, "operator", &settings.programs.operator)
            .arg("local")
            .args(backends)
            .arg("--manifest")
            .arg(manifest)
            .arg("--status-file")
            .arg(status_file);
        let process = guard.launch(&launch)?;
        Ok(Self { launch, process })
    }

    /// Fails where it has ended.
    ///
    /// # Errors
    /// How it ended.
    pub fn check(&mut self) -> Result<()> {
        self.process.ended().map_or(Ok(()), |how| Err(how.into()))
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.process.stop(Signal::Kill, STOP_LIMIT);
    }

    /// Starts it again.
    ///
    /// # Errors
    /// Where the system gives no process.
    pub fn start_again(&mut self, guard: &Guard) -> Result<()> {
        self.process = guard.launch(&self.launch)?;
        Ok(())
    }
}

/// What an API process writes once it listens.
#[derive(Debug, Clone, Deserialize)]
struct Listening {
    public: String,
    internal: String,
}

struct ApiProcess {
    launch: Launch,
    process: Process,
    listening: Listening,
    /// Where the offset of its clock is written, where that can be set.
    offset_file: Option<PathBuf>,
}

/// The API processes.
pub struct ApiProcesses {
    processes: Vec<ApiProcess>,
    routed: Arc<[AtomicBool]>,
}

impl ApiProcesses {
    pub(super) fn start(
        guard: &Guard,
        settings: &Settings<'_>,
        backends: &[String],
        flash_sale: &str,
        count: usize,
    ) -> Result<Self> {
        let needs_time = settings.plan.requirements().fake_time;
        let mut processes = Vec::with_capacity(count);
        for number in 1..=count {
            let name = format!("api-{number}");
            let endpoints = guard.folder().join(format!("{name}.json"));
            let mut launch = product(settings.logs, &name, &settings.programs.api)
                .arg(format!("--flash-sale={flash_sale}"))
                .args(backends)
                .arg("--endpoints-file")
                .arg(&endpoints);
            let mut offset_file = None;
            if needs_time {
                let file = guard.folder().join(format!("{name}.offset"));
                fs::write(&file, "+0").context("the offset of a clock")?;
                launch = with_fake_time(launch, &file)?;
                offset_file = Some(file);
            }
            let anywhere = listening_at(&launch, "127.0.0.1:0", "127.0.0.1:0");
            let mut process = guard.launch(&anywhere)?;
            let listening = await_listening(&mut process, &endpoints)?;
            processes.push(ApiProcess {
                launch,
                process,
                listening,
                offset_file,
            });
        }
        for process in &mut processes {
            process.await_ready()?;
        }
        let routed = processes.iter().map(|_| AtomicBool::new(true)).collect();
        Ok(Self { processes, routed })
    }

    /// Base URLs of their public ports.
    pub fn urls(&self) -> Vec<String> {
        let processes = self.processes.iter();
        processes.map(|api| api.listening.public.clone()).collect()
    }

    /// Whether a balancer would send calls to each of them.
    pub fn routed(&self) -> Arc<[AtomicBool]> {
        Arc::clone(&self.routed)
    }

    /// SIGSTOP. A balancer does not notice it within the time of a fault.
    pub fn pause(&mut self, process: usize) {
        self.processes[process].process.signal(Signal::Stop);
    }

    /// SIGCONT.
    pub fn resume(&mut self, process: usize) {
        self.processes[process].process.signal(Signal::Continue);
    }

    /// SIGKILL; calls are sent to it for a second more.
    pub fn kill(&mut self, process: usize) {
        self.processes[process]
            .process
            .stop(Signal::Kill, STOP_LIMIT);
        let routed = self.routed();
        thread::spawn(move || {
            thread::sleep(ROUTED_FOR);
            routed[process].store(false, Ordering::Relaxed);
        });
    }

    /// Starts a killed one again where it was, and sends calls to it once it is ready.
    ///
    /// # Errors
    /// Where it does not become ready.
    pub fn start_again(&mut self, guard: &Guard, process: usize) -> Result<()> {
        let api = &mut self.processes[process];
        let Listening { public, internal } = &api.listening;
        let launch = listening_at(&api.launch, host(public), host(internal));
        api.process = guard.launch(&launch)?;
        api.await_ready()?;
        self.routed[process].store(true, Ordering::Relaxed);
        Ok(())
    }

    /// Sets the clock of one so much ahead; negative: behind.
    ///
    /// # Errors
    /// Where its clock cannot be set.
    pub fn skew(&self, process: usize, by_ms: i64) -> Result<()> {
        let file = self.processes[process].offset_file.as_ref();
        let file = file.context("expected an API process whose clock can be set")?;
        let seconds = by_ms as f64 / 1_000.0;
        let partial = file.with_extension("partial");
        fs::write(&partial, format!("{seconds:+.3}"))
            .and_then(|()| fs::rename(&partial, file))
            .context("the offset of a clock")
    }
}

impl ApiProcess {
    fn await_ready(&mut self) -> Result<()> {
        let deadline = Instant::now() + READY_LIMIT;
        while !is_ready(&self.listening.internal) {
            if let Some(how) = self.process.ended() {
                return Err(how.into());
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "expected {} to be ready within {} s",
                self.process.name(),
                READY_LIMIT.as_secs()
            );
            thread::sleep(POLL_EVERY);
        }
        Ok(())
    }
}

fn await_listening(process: &mut Process, file: &Path) -> Result<Listening> {
    let deadline = Instant::now() + READY_LIMIT;
    loop {
        if let Ok(text) = fs::read_to_string(file) {
            return serde_json::from_str(&text).context("the endpoints of an API process");
        }
        if let Some(how) = process.ended() {
            return Err(how.into());
        }
        anyhow::ensure!(
            Instant::now() < deadline,
            "{} does not listen",
            process.name()
        );
        thread::sleep(POLL_EVERY);
    }
}

fn listening_at(api: &Launch, public: &str, internal: &str) -> Launch {
    api.clone().args([
        format!("--listen={public}"),
        format!("--internal-listen={internal}"),
    ])
}

/// `host:port` of a URL that an API process wrote.
fn host(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// A program of the product with its defaults: variables of the developer's environment for other
/// such programs are not passed on.
fn product(logs: &Path, name: &str, program: &Path) -> Launch {
    let ours = env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_string_lossy().starts_with("FLASHSALE_"));
    let log = logs.join(format!("{name}.log"));
    Launch::new(name, program).without_env(ours).log(log)
}

/// The process reads the offset of its clock from `file`, at most a tenth of a second late. Its
/// timers go on as they are.
fn with_fake_time(launch: Launch, file: &Path) -> Result<Launch> {
    Ok(launch
        .env("LD_PRELOAD", fake_time_library()?)
        .env("FAKETIME_TIMESTAMP_FILE", file)
        .env("FAKETIME_CACHE_DURATION", "0")
        .env("FAKETIME_NO_CACHE", "1")
        .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
        .env("DONT_FAKE_MONOTONIC", "1"))
}

fn fake_time_library() -> Result<PathBuf> {
    let folders = fs::read_dir("/usr/lib").context("the folder /usr/lib")?;
    let library = |folder: PathBuf| folder.join("faketime/libfaketimeMT.so.1");
    let mut found = folders.flatten().map(|entry| library(entry.path()));
    found.find(|file| file.is_file()).context(
        "expected libfaketimeMT.so.1, found none; install Debian's package `faketime`, \
         or run `cargo xtask chaos`, which does",
    )
}
