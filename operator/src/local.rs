//! Carries one manifest out without Kubernetes.
//!
//! Promises: a wrong manifest is refused before anything is touched; stores that are away are
//! waited for, and it says so; a restart at any moment changes nothing about the sales. Every
//! change is a line on stdout, and the status is in a file that is always whole.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::api::FlashSaleStatus;
use crate::driver::Driver;
use crate::manifest::{self, GivenUrls, Manifest, ManifestError};
use crate::stores::{Problem, Stores};

/// Longer sleeps are cut, because a clock that is put forward does not end a sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// Larger files than this are no manifests: a million items in a CSV stay below it.
const MAX_MANIFEST_BYTES: u64 = 512 * 1024 * 1024;

/// What to carry out.
pub struct LocalSettings {
    /// The file of YAML.
    pub manifest: PathBuf,
    /// Where the stores are, instead of what the Secrets say.
    pub urls: GivenUrls,
    /// Where to write the status as JSON.
    pub status_file: Option<PathBuf>,
}

/// Why it does not begin, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is wrong.
    #[error("{}", located(.path, .source))]
    Manifest {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: ManifestError,
    },
    /// A store's URL cannot be used.
    #[error(transparent)]
    Stores(Problem),
}

/// Every line with the name of the file before it.
fn located(path: &Path, error: &ManifestError) -> String {
    let lines: Vec<String> = error
        .to_string()
        .lines()
        .map(|line| format!("{}: {line}", path.display()))
        .collect();
    lines.join("\n")
}

/// Runs until it is dropped; only a manifest or a URL that cannot be used ends it.
pub async fn run(local: LocalSettings) -> Result<(), LocalError> {
    let Manifest {
        settings,
        goods,
        urls,
    } = read(&local)?;
    let status_file = local.status_file.as_deref();
    say(&format!(
        "  {:<12} {} from {}",
        "Carrying out",
        settings.name,
        local.manifest.display()
    ));
    let before = status_file.and_then(read_status).unwrap_or_default();
    let mut stores = Stores::new(urls);
    let mut driver = Driver::new(settings, goods, before);
    let mut written = None;
    loop {
        let step = driver.step(&mut stores, Timestamp::now).await;
        for change in &step.changes {
            say(&change.to_string());
        }
        if let (Some(file), status) = (status_file, driver.status())
            && written.as_ref() != Some(status)
        {
            match write_status(file, status) {
                Ok(()) => written = Some(status.clone()),
                Err(error) => say(&format!(
                    "! {:<12} {}: {error}",
                    "StatusFile",
                    file.display()
                )),
            }
        }
        if let Some(problem) = step.problem.filter(Problem::is_final) {
            return Err(LocalError::Stores(problem));
        }
        sleep_until(step.next_at).await;
    }
}

fn read(local: &LocalSettings) -> Result<Manifest, LocalError> {
    let path = || local.manifest.clone();
    let failed = |source| LocalError::Read {
        path: path(),
        source,
    };
    let size = std::fs::metadata(&local.manifest).map_err(failed)?.len();
    if size > MAX_MANIFEST_BYTES {
        let message = format!("found {size} bytes; expected at most {MAX_MANIFEST_BYTES}");
        return Err(failed(std::io::Error::other(message)));
    }
    let bytes = std::fs::read(&local.manifest).map_err(failed)?;
    manifest::read(&bytes, local.urls.clone()).map_err(|source| LocalError::Manifest {
        path: path(),
        source,
    })
}

async fn sleep_until(moment: Option<Timestamp>) {
    loop {
        let left = match moment {
            Some(moment) => Duration::try_from(moment.duration_since(Timestamp::now())),
            None => Ok(LONGEST_SLEEP),
        };
        match left {
            Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LONGEST_SLEEP)).await,
            _ => return,
        }
    }
}

/// A closed pipe must not end the sales.
fn say(line: &str) {
    let now = Timestamp::now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let _ = writeln!(std::io::stdout().lock(), "{now} {line}");
}

/// A status that cannot be read is as good as none: it only remembers missed starts.
fn read_status(file: &Path) -> Option<FlashSaleStatus> {
    serde_json::from_slice(&std::fs::read(file).ok()?).ok()
}

/// A reader finds the old status or the new one, never a part.
fn write_status(file: &Path, status: &FlashSaleStatus) -> std::io::Result<()> {
    let mut text = serde_json::to_vec_pretty(status)?;
    text.push(b'\n');
    let mut beside = file.as_os_str().to_owned();
    beside.push(".new");
    std::fs::write(&beside, text)?;
    std::fs::rename(&beside, file)
}
