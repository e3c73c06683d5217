//! The rules file, `tidy.toml`, as types. What it means is in its own header.

use anyhow::Context;
use serde::de::Error;
use serde::{Deserialize, Deserializer};

use crate::tree::Tree;

/// Path of the rules file.
pub const PATH: &str = "tidy.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rules {
    #[serde(default)]
    pub package: Vec<PackageRule>,
    #[serde(default)]
    pub layer: Vec<LayerRule>,
    #[serde(default)]
    pub clock: ClockRule,
    pub length: LengthRule,
    pub commits: CommitRule,
}

/// What a package of the workspace may depend on.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PackageRule {
    pub folder: String,
    /// Packages of the workspace, by folder, each listed before this one.
    #[serde(default)]
    pub uses: Vec<String>,
    /// Those that its tests and examples may use beside.
    #[serde(default)]
    pub tests_use: Vec<String>,
    /// Libraries that it does without.
    #[serde(default)]
    pub without: Vec<String>,
}

/// A folder, or some files, of a package.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LayerRule {
    pub name: String,
    /// Files, and folders with a `/` at the end.
    pub files: Vec<String>,
    /// Layers of the same package, each listed before this one.
    #[serde(default)]
    pub uses: Vec<String>,
    /// Libraries that it does without.
    #[serde(default)]
    pub without: Vec<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockRule {
    /// Folders that the rule applies to.
    pub folders: Vec<String>,
    /// `Type::function` or `crate::function`.
    pub functions: Vec<String>,
    /// Methods without an argument, where the file names one of `types`.
    #[serde(default)]
    pub methods: Vec<String>,
    #[serde(default)]
    pub types: Vec<String>,
    #[serde(default)]
    pub allowed: Vec<Allowed>,
}

/// A file that may read the machine's clock or randomness.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Allowed {
    pub file: String,
    #[serde(deserialize_with = "not_empty")]
    pub reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LengthRule {
    /// Extensions of files that have a limit.
    pub extensions: Vec<String>,
    pub file_lines: usize,
    pub function_lines: usize,
    pub max_file_exceptions: usize,
    pub max_function_exceptions: usize,
    #[serde(default)]
    pub file: Vec<LongFile>,
    #[serde(default)]
    pub function: Vec<LongFunction>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongFile {
    pub file: String,
    /// The exception's own limit.
    pub lines: usize,
    #[serde(deserialize_with = "not_empty")]
    pub reason: String,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongFunction {
    pub file: String,
    pub function: String,
    /// The exception's own limit.
    pub lines: usize,
    #[serde(deserialize_with = "not_empty")]
    pub reason: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CommitRule {
    /// The last commit that the rule does not apply to.
    pub base: String,
    pub max_characters: usize,
}

/// A reason is not empty.
pub fn not_empty<'de, D: Deserializer<'de>>(from: D) -> Result<String, D::Error> {
    let text = String::deserialize(from)?;
    if text.trim().is_empty() {
        return Err(D::Error::custom(
            "expected a reason or a meaning, found an empty text",
        ));
    }
    Ok(text)
}

/// Reads the rules of a tree.
pub fn read(tree: &Tree) -> anyhow::Result<Rules> {
    let file = tree
        .file(PATH)
        .with_context(|| format!("expected {PATH} at the root of the work tree, found none"))?;
    toml::from_str(&file.text).with_context(|| format!("{PATH} does not parse"))
}

/// The line of the rules file that holds a quoted value, for a finding about that value.
pub fn line_of(tree: &Tree, path: &str, value: &str) -> usize {
    let quoted = format!("\"{value}\"");
    tree.file(path)
        .and_then(|file| file.lines().find(|(_, line)| line.contains(&quoted)))
        .map_or(1, |(number, _)| number)
}
