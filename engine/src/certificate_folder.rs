//! Certificates in a folder.

use std::io::ErrorKind;
use std::path::Path;

use crate::domain::certificates::Certificates;
use crate::domain::error::AddressError;

/// Reads certificates from a folder with the files [`Certificates::ENTRIES`], each of which may be
/// missing: a Secret that is mounted, or files of the same names.
pub fn read_certificates(folder: &Path) -> Result<Certificates, AddressError> {
    let unreadable = |path: &Path, error: std::io::Error| AddressError {
        found: format!("{}: {error}", path.display()),
        expected: format!(
            "a folder that can be read, with {} where the backend needs them",
            Certificates::ENTRIES.join(", ")
        ),
    };
    std::fs::read_dir(folder).map_err(|error| unreadable(folder, error))?;
    let mut found = Vec::new();
    for name in Certificates::ENTRIES {
        let path = folder.join(name);
        match std::fs::read(&path) {
            Ok(bytes) => found.push((name, bytes)),
            Err(error) if error.kind() == ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(&path, error)),
        }
    }
    let entry = |name: &str| found.iter().find(|(entry, _)| *entry == name);
    Certificates::read(|name| entry(name).map(|(_, bytes)| bytes.clone()))
}
