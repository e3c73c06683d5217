//! `cargo xtask demo`: a sale to play with, until Ctrl-C. It leaves its logs in target/demo/
//! and nothing else.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use flashsale_servers::Guard;
use jiff::SignedDuration;

use crate::{
    news::News,
    project,
    revival::Revival,
    session::Session,
    setup::{self, Needs},
    shop::{Endpoints, Shop},
    stack::{Sale, Settings, Stack},
};

/// From the start of the programs; they need about two seconds to be ready.
const OPENS_IN: SignedDuration = SignedDuration::from_secs(10);
/// One of them can be killed while the sale goes on.
const API_PROCESSES: usize = 2;
const OPEN_LIMIT: Duration = Duration::from_secs(30);
const POLL_PAUSE: Duration = Duration::from_millis(200);
/// How long the files of a demo that was killed may take to be removed.
const LOCK_LIMIT: Duration = Duration::from_secs(2);

/// Runs the sample, or `manifest` as it is, until Ctrl-C or SIGTERM.
pub fn run(session: &Session, manifest: Option<&Path>) -> Result<()> {
    let folder = project::output_folder("demo")?;
    let file = EndpointsFile::new(session, &folder)?;
    let sale = Sale::of(manifest, OPENS_IN)?;
    let sample = matches!(sale, Sale::Soon(..));

    setup::install_missing(session, Needs::Servers)?;
    project::build_product(session)?;
    let settings = Settings {
        sale,
        api_processes: API_PROCESSES,
        worker_threads: None,
        logs: &folder,
    };
    let mut stack = Stack::start(session, settings)?;
    stack.await_planned(session)?;
    let mut written = stack.endpoints();
    file.write(&written)?;
    print(&written, &file.path, &folder);
    session.say("Ctrl-C ends it and leaves nothing behind but its logs");
    let mut news = News::default();
    let mut revival = Revival::default();
    let mut opens_by = sample.then(|| Instant::now() + OPEN_LIMIT);
    while !session.is_interrupted() {
        revival.check(session, &mut stack);
        news.print(session, &stack.status());
        if opens_by.is_some_and(|by| Instant::now() >= by) {
            let waited = OPEN_LIMIT.as_secs();
            stack.active_sale().with_context(|| {
                format!("expected the sale to open within {waited} s at every API process")
            })?;
            opens_by = None;
        }
        let endpoints = stack.endpoints();
        if endpoints != written {
            file.write(&endpoints)?;
            written = endpoints;
        }
        thread::sleep(POLL_PAUSE);
    }
    session.say("Stopping");
    stack.stop();
    Ok(())
}

fn print(endpoints: &Endpoints, file: &Path, logs: &Path) {
    let api = endpoints.api.first().map_or("", String::as_str);
    let internal = endpoints.internal.first().map_or("", String::as_str);
    println!(
        "\n\
         Swagger UI     {api}/docs\n\
         API            {}\n\
         metrics        {internal}/metrics\n\
         Redis          {}\n\
         Postgres       {}\n\
         logs           {}\n\
         all of it      {}\n\
         \n\
         Try:\n\
         curl -s {api}/sales/active\n\
         item=$(curl -s '{api}/sales/{}/items?limit=1' | grep -o '\"id\":\"[^\"]*' | cut -d'\"' -f4)\n\
         curl -s -X POST \"{api}/checkout?user_id=ada&id=$item\"\n\
         curl -s -X POST '{api}/purchase?code=<the code it answered>'\n",
        endpoints.api.join("  "),
        endpoints.redis,
        endpoints.postgres,
        logs.display(),
        file.display(),
        endpoints.sale.as_deref().unwrap_or("<sale>"),
    );
}

/// `target/demo/endpoints.json`; gone when this is dropped or this program ends.
pub struct EndpointsFile {
    path: PathBuf,
    // Before the lock: fields are dropped in order, and the next demo must not begin before
    // the file of this one is gone.
    _guard: Guard,
    /// Of the folder, so that it leaves no file: one demo at a time writes into it.
    _lock: File,
}

impl EndpointsFile {
    /// Fails where another demo has it.
    pub fn new(session: &Session, folder: &Path) -> Result<Self> {
        let path = folder.join("endpoints.json");
        let lock = File::open(folder).context("could not open the demo's folder")?;
        let deadline = Instant::now() + LOCK_LIMIT;
        session.await_that("no other demo runs", LOCK_LIMIT * 2, || {
            match lock.try_lock() {
                Ok(()) => Ok(Some(())),
                Err(TryLockError::WouldBlock) => {
                    anyhow::ensure!(
                        Instant::now() < deadline,
                        "expected no other demo in this tree, found one running; \
                         its URLs are in {}",
                        path.display()
                    );
                    Ok(None)
                }
                Err(TryLockError::Error(error)) => {
                    Err(error).context("could not lock the demo's folder")
                }
            }
        })?;
        // It holds the lock too: where this program is killed, until the files are gone.
        let guard = Guard::holding(&lock)?;
        guard.remove_at_end(&path)?;
        guard.remove_at_end(&partial(&path))?;
        // One that a machine's sudden end left must not be taken for ours.
        let _ = fs::remove_file(&path);
        Ok(Self {
            path,
            _guard: guard,
            _lock: lock,
        })
    }

    /// The file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A reader gets all of the old or all of the new.
    pub fn write(&self, endpoints: &Endpoints) -> Result<()> {
        let partial = partial(&self.path);
        let text = serde_json::to_string_pretty(endpoints)?;
        fs::write(&partial, text + "\n")
            .and_then(|()| fs::rename(&partial, &self.path))
            .with_context(|| format!("could not write {}", self.path.display()))
    }
}

fn partial(path: &Path) -> PathBuf {
    path.with_extension("json.partial")
}
