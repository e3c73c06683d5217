//! The files of a run.
//!
//! Promises: a folder that cannot be written is told before the run, not behind it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::LoadError;
use crate::report::html;
use crate::report::picture::Picture;
use crate::report::summary::Summary;
use crate::run::plan::Plan;

/// Makes the folders that [`write`] needs.
///
/// # Errors
/// When one cannot be made.
pub fn prepare(plan: &Plan) -> Result<(), LoadError> {
    let beside_json = plan.json.as_deref().and_then(Path::parent);
    for folder in [plan.report.as_deref(), beside_json].into_iter().flatten() {
        // Empty: a file in the current folder.
        if !folder.as_os_str().is_empty() {
            fs::create_dir_all(folder).map_err(|source| unwritten(folder, source))?;
        }
    }
    Ok(())
}

/// Writes the reports that the plan asks for, and returns their paths.
///
/// # Errors
/// When a file cannot be written.
pub fn write(plan: &Plan, summary: &Summary) -> Result<Vec<PathBuf>, LoadError> {
    prepare(plan)?;
    let mut files = Vec::new();
    if let Some(folder) = &plan.report {
        files.push((folder.join("report.html"), html::page(summary)));
        files.push((folder.join("report.json"), summary.json()));
        files.push((folder.join("sale.svg"), Picture::of(summary).svg()));
    }
    if let Some(file) = &plan.json {
        files.push((file.clone(), summary.json()));
    }
    let mut written = Vec::new();
    for (path, text) in files {
        fs::write(&path, text).map_err(|source| unwritten(&path, source))?;
        written.push(path);
    }
    Ok(written)
}

fn unwritten(path: &Path, source: std::io::Error) -> LoadError {
    LoadError::Write {
        path: path.to_owned(),
        source,
    }
}
