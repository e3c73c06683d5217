//! The local mode: follows the FlashSale of one manifest file, without Kubernetes.
//!
//! Guarantees: an invalid manifest, or a status file that cannot be written, is refused before
//! anything is changed; backends that are away are retried, and reported in a line; a restart at any
//! moment changes nothing about the sales. Every change is a line on stdout, and the status is in a
//! file.

pub mod manifest;
mod status_file;

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use flashsale_engine::{Ambient, Clock};
use jiff::Timestamp;

use crate::backends::{ActionError, Backends};
use crate::crd::FlashSaleStatus;
use crate::driver::Driver;
use manifest::{GivenBackends, Manifest, ManifestError};
use status_file::StatusFile;

/// Longer sleeps are split, because a clock that is set forward does not end a sleep.
const LONGEST_SLEEP: Duration = Duration::from_secs(5);
/// Larger files are not read: a manifest with a CSV of a million items is smaller.
const MAX_MANIFEST_BYTES: u64 = 512 * 1024 * 1024;

/// The settings of the local mode.
pub struct LocalSettings {
    /// The file of YAML.
    pub manifest: PathBuf,
    /// The backends, instead of those that the Secrets name.
    pub backends: GivenBackends,
    /// Where to write the status as JSON.
    pub status_file: Option<PathBuf>,
}

/// Why the local mode does not start, or does not go on.
#[derive(Debug, thiserror::Error)]
pub enum LocalError {
    /// The file cannot be read.
    #[error("{path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The error of the system.
        source: std::io::Error,
    },
    /// The manifest is invalid.
    #[error("{}", located(.path, .source))]
    Manifest {
        /// The file.
        path: PathBuf,
        /// All errors in it.
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
        /// The error of the system.
        source: std::io::Error,
    },
    /// The URL of a backend cannot be used.
    #[error(transparent)]
    Backends(ActionError),
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
pub async fn run(local: LocalSettings, ambient: Ambient) -> Result<(), LocalError> {
    let clock = ambient.clock.clone();
    let Manifest {
        settings,
        catalog,
        urls,
    } = read_manifest(&local)?;
    let mut status = FlashSaleStatus::default();
    let mut status_file = None;
    if let Some(path) = &local.status_file {
        let opened = StatusFile::open(path, &local.manifest);
        let opened = opened.map_err(|source| LocalError::StatusFile {
            path: path.clone(),
            source,
        })?;
        if let Some(warning) = opened.warning {
            print_status_file_warning(&clock, &warning);
        }
        status = opened.status;
        status_file = Some(opened.file);
    }
    let (name, file) = (&settings.name, local.manifest.display());
    print_line(&clock, &format!("  {:<12} {name} from {file}", "Following"));
    let backends = Backends::new(urls, ambient);
    let mut driver = Driver::new(settings, catalog, status);
    loop {
        let step = driver.step(backends.connect().await, &clock).await;
        for change in &step.changes {
            print_line(&clock, &change.to_string());
        }
        let warning = status_file
            .as_mut()
            .and_then(|file| file.update(driver.status()));
        if let Some(warning) = warning {
            print_status_file_warning(&clock, &warning);
        }
        if let Some(error) = step.error.filter(ActionError::is_final) {
            return Err(LocalError::Backends(error));
        }
        sleep_until(step.next_at, &clock).await;
    }
}

fn read_manifest(local: &LocalSettings) -> Result<Manifest, LocalError> {
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
    manifest::read(&bytes, local.backends.clone()).map_err(|source| LocalError::Manifest {
        path: path(),
        source,
    })
}

async fn sleep_until(moment: Option<Timestamp>, clock: &Clock) {
    loop {
        let left = match moment {
            Some(moment) => Duration::try_from(moment.duration_since(clock.now())),
            None => Ok(LONGEST_SLEEP),
        };
        match left {
            Ok(left) if !left.is_zero() => tokio::time::sleep(left.min(LONGEST_SLEEP)).await,
            _ => return,
        }
    }
}

/// Sales go on while the status cannot be written.
fn print_status_file_warning(clock: &Clock, warning: &str) {
    print_line(clock, &format!("! {:<12} {warning}", "StatusFile"));
}

/// A closed pipe does not end the sales.
fn print_line(clock: &Clock, line: &str) {
    let now = clock.now().strftime("%Y-%m-%dT%H:%M:%SZ");
    let _ = writeln!(std::io::stdout().lock(), "{now} {line}");
}
