//! The files that the rules apply to, as values: path and text.

use std::collections::HashMap;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// A file of the repository.
#[derive(Debug, Clone)]
pub struct File {
    /// Path from the root, with `/`.
    pub path: String,
    pub text: String,
}

impl File {
    pub fn is(&self, extension: &str) -> bool {
        self.path
            .rsplit_once('.')
            .is_some_and(|(_, found)| found == extension)
    }

    /// The text's lines with their numbers, from 1.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        (1..).zip(self.text.lines())
    }
}

/// All text files of the repository.
#[derive(Debug, Default)]
pub struct Tree {
    pub files: Vec<File>,
    by_path: HashMap<String, usize>,
}

impl Tree {
    pub fn new(files: Vec<File>) -> Self {
        let by_path = (0..)
            .zip(&files)
            .map(|(index, file)| (file.path.clone(), index))
            .collect();
        Self { files, by_path }
    }

    /// The files of a work tree that Git knows or would add: what `.gitignore` names is left
    /// out, and so is what is no text.
    pub fn read(root: &Path) -> Result<Self> {
        let listed = git(
            root,
            &[
                "ls-files",
                "-z",
                "--cached",
                "--others",
                "--exclude-standard",
            ],
        )?;
        let mut files = Vec::new();
        for path in listed.split('\0').filter(|path| !path.is_empty()) {
            // Deleted in the work tree, or no text.
            if let Ok(text) = std::fs::read_to_string(root.join(path)) {
                files.push(File {
                    path: path.to_owned(),
                    text,
                });
            }
        }
        files.sort_by(|one, other| one.path.cmp(&other.path));
        files.dedup_by(|one, other| one.path == other.path);
        Ok(Self::new(files))
    }

    pub fn index(&self, path: &str) -> Option<usize> {
        self.by_path.get(path).copied()
    }

    pub fn file(&self, path: &str) -> Option<&File> {
        self.index(path).map(|index| &self.files[index])
    }

    #[cfg(test)]
    pub fn of(files: &[(&str, &str)]) -> Self {
        let file = |(path, text): &(&str, &str)| File {
            path: (*path).to_owned(),
            text: (*text).to_owned(),
        };
        Self::new(files.iter().map(file).collect())
    }
}

/// The output of a Git command in a work tree.
pub fn git(root: &Path, arguments: &[&str]) -> Result<String> {
    let output = Command::new("git")
        .arg("-C")
        .arg(root)
        .args(arguments)
        .output()
        .context("expected the program git; install it")?;
    ensure!(
        output.status.success(),
        "git {}: {}",
        arguments.join(" "),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
