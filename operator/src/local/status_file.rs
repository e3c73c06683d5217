//! The status file of the local mode.
//!
//! Guarantees: the file always holds one whole status, also after a crash of the machine; a file
//! that holds something else is kept under another name.

use std::fs::File;
use std::io::Write as _;
use std::path::{Path, PathBuf};

use crate::crd::FlashSaleStatus;

/// The file, and what it holds.
pub(super) struct StatusFile {
    path: PathBuf,
    /// The status in the file, or why it could not be written.
    written: Result<FlashSaleStatus, String>,
}

/// A status file that was opened, and the name under which an unreadable one was kept.
pub(super) struct Opened {
    pub(super) file: StatusFile,
    pub(super) status: FlashSaleStatus,
    /// A sentence about the file that was found instead of a status.
    pub(super) warning: Option<String>,
}

impl StatusFile {
    /// Reads the status of an earlier run, if there is one, and writes it again, so that a path that
    /// cannot be written fails now. A file that holds no status is renamed: somebody may need it.
    pub(super) fn open(path: &Path, manifest: &Path) -> std::io::Result<Opened> {
        refuse_manifest(path, manifest)?;
        let bytes = match std::fs::read(path) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(error),
        };
        let mut warning = None;
        let status = match serde_json::from_slice(&bytes) {
            Ok(status) => status,
            Err(_) if bytes.is_empty() => FlashSaleStatus::default(),
            Err(error) => {
                let aside = with_suffix(path, ".unreadable");
                std::fs::rename(path, &aside)?;
                warning = Some(format!(
                    "{}: found what is no status ({error}); it is now {}",
                    path.display(),
                    aside.display()
                ));
                FlashSaleStatus::default()
            }
        };
        write(path, &status)?;
        let file = Self {
            path: path.to_owned(),
            written: Ok(status.clone()),
        };
        Ok(Opened {
            file,
            status,
            warning,
        })
    }

    /// Writes a status, if it differs. Returns a sentence about a failure, once for each.
    pub(super) fn update(&mut self, status: &FlashSaleStatus) -> Option<String> {
        if self.written.as_ref() == Ok(status) {
            return None;
        }
        let written = match write(&self.path, status) {
            Ok(()) => Ok(status.clone()),
            Err(error) => Err(error.to_string()),
        };
        let warning = match &written {
            Err(error) if self.written.as_ref() != Err(error) => {
                Some(format!("{}: {error}", self.path.display()))
            }
            _ => None,
        };
        self.written = written;
        warning
    }
}

/// A manifest in JSON could be read as a status, and be overwritten.
fn refuse_manifest(path: &Path, manifest: &Path) -> std::io::Result<()> {
    match path.canonicalize() {
        Ok(path) if path == manifest.canonicalize()? => {
            Err(std::io::Error::other("it is the manifest"))
        }
        _ => Ok(()),
    }
}

/// A reader finds the old status or the new one, never a part, and so does a process that starts
/// after a crash of the machine.
fn write(path: &Path, status: &FlashSaleStatus) -> std::io::Result<()> {
    let mut text = serde_json::to_vec_pretty(status)?;
    text.push(b'\n');
    let beside = with_suffix(path, ".new");
    let mut new = File::create(&beside)?;
    new.write_all(&text)?;
    new.sync_all()?;
    std::fs::rename(&beside, path)
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    name.into()
}
