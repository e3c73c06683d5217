//! `cargo xtask demo`: a sale to play with, until Ctrl-C.

use std::{
    fs::{self, File, TryLockError},
    path::{Path, PathBuf},
    thread,
    time::Duration,
};

use anyhow::{Context, Result, bail};
use jiff::SignedDuration;

use crate::{
    project,
    session::Session,
    setup::{self, Needs},
    stack::{Endpoints, Sale, Settings, Stack},
};

/// From the start of the programs; they need about two seconds to be ready.
const OPENS_IN: SignedDuration = SignedDuration::from_secs(10);
const OPEN_LIMIT: Duration = Duration::from_secs(30);
const LOOK_PAUSE: Duration = Duration::from_millis(200);

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
        worker_threads: None,
        logs: &folder,
    };
    let mut stack = Stack::start(session, settings)?;
    let mut written = stack.await_planned(session)?;
    file.write(&written)?;
    print(&written, &file.path, &folder);
    if sample {
        let sale = stack.await_open(session, OPEN_LIMIT)?;
        session.say(format_args!("Open: {sale}"));
    }
    session.say("Ctrl-C ends it and leaves nothing behind");
    while !session.is_interrupted() {
        stack.check()?;
        let endpoints = stack.endpoints();
        if endpoints != written {
            file.write(&endpoints)?;
            written = endpoints;
        }
        thread::sleep(LOOK_PAUSE);
    }
    session.say("Stopping");
    drop(file);
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

/// `target/demo/endpoints.json`; gone when this is dropped or the session ends.
struct EndpointsFile {
    path: PathBuf,
    /// Held: one demo at a time writes the file.
    _lock: File,
}

impl EndpointsFile {
    fn new(session: &Session, folder: &Path) -> Result<Self> {
        let lock = File::create(folder.join("lock")).context("could not make the demo's lock")?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => bail!(
                "expected no other demo in this tree, found one running; \
                 its URLs are in {}",
                folder.join("endpoints.json").display()
            ),
            Err(TryLockError::Error(error)) => {
                return Err(error).context("could not lock the demo's folder");
            }
        }
        let path = folder.join("endpoints.json");
        session.guard().remove_at_end(&path)?;
        // One that a machine's sudden end left must not be taken for ours.
        let _ = fs::remove_file(&path);
        Ok(Self { path, _lock: lock })
    }

    /// Whoever reads it sees all of the old or all of the new.
    fn write(&self, endpoints: &Endpoints) -> Result<()> {
        let partial = self.path.with_extension("json.partial");
        let text = serde_json::to_string_pretty(endpoints)?;
        fs::write(&partial, text + "\n")
            .and_then(|()| fs::rename(&partial, &self.path))
            .with_context(|| format!("could not write {}", self.path.display()))
    }
}

impl Drop for EndpointsFile {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
    }
}
