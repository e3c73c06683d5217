//! Carries one manifest out without Kubernetes.
//!
//! Promises: a wrong manifest, or a status file that cannot be written, is refused before anything
//! is touched; stores that are away are waited for, and it says so; a restart at any moment
//! changes nothing about the sales. Every change is a line on stdout, and the status is in a file
//! that is always whole, also after a crash of the machine.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use jiff::Timestamp;

use crate::crd::FlashSaleStatus;
use crate::driver::Driver;
use crate::local::manifest::{self, GivenUrls, Manifest, ManifestError};
use crate::backends::{Problem, Stores};

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
    /// The status file cannot be written.
    #[error(
        "{path}: the status cannot be written there: {source}; expected a file, new or of an \
         earlier run, in a folder that can be written to"
    )]
    StatusFile {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
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
    let before = match status_file {
        Some(file) => not_the_manifest(file, &local.manifest)
            .and_then(|()| read_status(file))
            .map_err(|source| LocalError::StatusFile {
                path: file.to_owned(),
                source,
            })?,
        None => FlashSaleStatus::default(),
    };
    say(&format!(
        "  {:<12} {} from {}",
        "Carrying out",
        settings.name,
        local.manifest.display()
    ));
    let stores = Stores::new(urls);
    let mut driver = Driver::new(settings, goods, before);
    let mut written = Ok(None);
    loop {
        let step = driver.step(&stores, Timestamp::now).await;
        for change in &step.changes {
            say(&change.to_string());
        }
        if let Some(file) = status_file {
            written = write_changed(file, driver.status(), written);
        }
        if let Some(problem) = step.problem.filter(Problem::is_final) {
            return Err(LocalError::Stores(problem));
        }
        sleep_until(step.next_at).await;
    }
}

/// The status that is in the file, or why it is not.
type Written = Result<Option<FlashSaleStatus>, String>;

/// Writes what has changed. Sales go on where it cannot be written; that is said once.
fn write_changed(file: &Path, status: &FlashSaleStatus, before: Written) -> Written {
    if before
        .as_ref()
        .is_ok_and(|written| written.as_ref() == Some(status))
    {
        return before;
    }
    write_status(file, status)
        .map(|()| Some(status.clone()))
        .map_err(|error| {
            let said = error.to_string();
            if before != Err(said.clone()) {
                say(&format!(
                    "! {:<12} {}: {said}",
                    "StatusFile",
                    file.display()
                ));
            }
            said
        })
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

/// A manifest in JSON could be taken for a status, and be written over.
fn not_the_manifest(file: &Path, manifest: &Path) -> std::io::Result<()> {
    match file.canonicalize() {
        Ok(file) if file == manifest.canonicalize()? => {
            Err(std::io::Error::other("it is the manifest"))
        }
        _ => Ok(()),
    }
}

/// The status of an earlier run, if there is one; writes it again, to see now whether that can be
/// done. What is no status is put aside: it may be a file that somebody needs.
fn read_status(file: &Path) -> std::io::Result<FlashSaleStatus> {
    let bytes = match std::fs::read(file) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
        Err(error) => return Err(error),
    };
    let status = match serde_json::from_slice(&bytes) {
        Ok(status) => status,
        Err(_) if bytes.is_empty() => FlashSaleStatus::default(),
        Err(error) => {
            let aside = with_suffix(file, ".unreadable");
            std::fs::rename(file, &aside)?;
            say(&format!(
                "! {:<12} {}: found what is no status ({error}); it is now {}",
                "StatusFile",
                file.display(),
                aside.display()
            ));
            FlashSaleStatus::default()
        }
    };
    write_status(file, &status)?;
    Ok(status)
}

/// A reader finds the old status or the new one, never a part, and so does who starts after a
/// crash of the machine.
fn write_status(file: &Path, status: &FlashSaleStatus) -> std::io::Result<()> {
    let mut text = serde_json::to_vec_pretty(status)?;
    text.push(b'\n');
    let beside = with_suffix(file, ".new");
    let mut new = File::create(&beside)?;
    new.write_all(&text)?;
    new.sync_all()?;
    std::fs::rename(&beside, file)
}

fn with_suffix(file: &Path, suffix: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
