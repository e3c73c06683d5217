//! Words that `docs/glossary.toml` refuses are not used where it refuses them.

use std::collections::BTreeSet;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::code::Code;
use crate::finding::{Finding, Rule};
use crate::prose::{self, Where};
use crate::rules;
use crate::tree::{File, Tree};

/// Path of the glossary.
pub const PATH: &str = "docs/glossary.toml";

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Glossary {
    #[serde(default)]
    pub entry: Vec<Entry>,
    #[serde(default)]
    pub keep: Vec<Keep>,
}

/// A word of the product.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    pub word: String,
    #[serde(rename = "for", deserialize_with = "rules::not_empty")]
    pub meaning: String,
    #[serde(default)]
    pub refused: Vec<Refused>,
}

/// Words that are not used for it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    pub words: Vec<String>,
    #[serde(rename = "where")]
    pub places: Vec<Where>,
    /// Files and folders, by the beginning of their path; absent: everywhere.
    #[serde(default)]
    pub paths: Vec<String>,
    #[serde(default)]
    pub except: Vec<String>,
    /// What to write in place of it; absent: the entry's word.
    pub instead: Option<String>,
}

/// An identifier that keeps its spelling although it contains a refused word.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Keep {
    pub identifier: String,
    #[serde(deserialize_with = "rules::not_empty")]
    pub reason: String,
}

impl Refused {
    fn applies_to(&self, path: &str) -> bool {
        let begins = |prefix: &String| path.starts_with(prefix.as_str());
        (self.paths.is_empty() || self.paths.iter().any(begins)) && !self.except.iter().any(begins)
    }
}

/// Reads the glossary of a tree.
pub fn read(tree: &Tree) -> Result<Glossary> {
    let file = tree
        .file(PATH)
        .with_context(|| format!("expected {PATH} in the work tree, found none"))?;
    toml::from_str(&file.text).with_context(|| format!("{PATH} does not parse"))
}

/// Finds refused words in identifiers and prose.
pub fn check(code: &Code<'_>, glossary: &Glossary) -> Vec<Finding> {
    let mut findings = Vec::new();
    let mut kept = BTreeSet::new();
    for (index, file) in code.tree.files.iter().enumerate() {
        let refused: Vec<(&Entry, &Refused)> = glossary
            .entry
            .iter()
            .flat_map(|entry| entry.refused.iter().map(move |refused| (entry, refused)))
            .filter(|(_, refused)| refused.applies_to(&file.path))
            .collect();
        if refused.is_empty() {
            continue;
        }
        for definition in code
            .syntax
            .get(&index)
            .into_iter()
            .flat_map(|syntax| &syntax.definitions)
        {
            let parts = parts(&definition.name);
            let Some(hit) = hit(&refused, Where::Identifiers, &parts) else {
                continue;
            };
            if glossary
                .keep
                .iter()
                .any(|keep| keep.identifier == definition.name)
            {
                kept.insert(definition.name.as_str());
            } else {
                findings.push(finding(
                    file,
                    definition.line,
                    &format!("the name {}", definition.name),
                    &hit,
                ));
            }
        }
        for piece in prose::of(file) {
            let words = words(&piece.text);
            if let Some(hit) = hit(&refused, piece.place, &words) {
                findings.push(finding(file, piece.line, place_name(piece.place), &hit));
            }
        }
    }
    findings.extend(unneeded(code.tree, glossary, &kept));
    findings
}

/// A refused word, and what is used in place of it.
struct Hit<'g> {
    word: &'g str,
    instead: &'g str,
    meaning: &'g str,
}

/// The first refused word among the words of a name or a line.
fn hit<'g>(
    refused: &[(&'g Entry, &'g Refused)],
    place: Where,
    words: &[String],
) -> Option<Hit<'g>> {
    let here = refused
        .iter()
        .filter(|(_, refused)| refused.places.contains(&place));
    for (entry, refused) in here {
        for word in &refused.words {
            let parts: Vec<&str> = word.split(' ').collect();
            if words
                .windows(parts.len())
                .any(|window| window == parts.as_slice())
            {
                let instead = refused.instead.as_deref().unwrap_or(&entry.word);
                return Some(Hit {
                    word,
                    instead,
                    meaning: &entry.meaning,
                });
            }
        }
    }
    None
}

fn finding(file: &File, line: usize, what: &str, hit: &Hit<'_>) -> Finding {
    let text = format!(
        "{what} uses \"{}\", expected \"{}\" ({PATH}: {}); rename or reword it",
        hit.word, hit.instead, hit.meaning
    );
    Finding::new(Rule::Word, &file.path, line, text)
}

fn place_name(place: Where) -> &'static str {
    match place {
        Where::Identifiers => "a name",
        Where::Comments => "a comment",
        Where::Texts => "a text",
        Where::Docs => "the document",
    }
}

fn unneeded(tree: &Tree, glossary: &Glossary, kept: &BTreeSet<&str>) -> Vec<Finding> {
    let unneeded = glossary
        .keep
        .iter()
        .filter(|keep| !kept.contains(keep.identifier.as_str()));
    unneeded
        .map(|keep| {
            let line = rules::line_of(tree, PATH, &keep.identifier);
            let text = format!(
                "no code defines {}, or no word in it is refused; remove it from the kept names (it was kept because: {})",
                keep.identifier, keep.reason
            );
            Finding::new(Rule::RulesFile, PATH, line, text)
        })
        .collect()
}

/// The words of an identifier in lower case: `soldItems`, `SoldItems` and `sold_items` have two.
fn parts(name: &str) -> Vec<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut before = '_';
    for char in name.chars() {
        let begins = char.is_uppercase() && !before.is_uppercase();
        if char == '_' {
        } else if before == '_' || begins || parts.is_empty() {
            parts.push(char.to_lowercase().collect());
        } else if let Some(last) = parts.last_mut() {
            last.extend(char.to_lowercase());
        }
        before = char;
    }
    parts
}

/// The words of a line of prose in lower case.
fn words(text: &str) -> Vec<String> {
    text.split(|char: char| !char.is_alphanumeric() && char != '\'' && char != '_')
        .filter(|word| !word.is_empty())
        .map(str::to_lowercase)
        .collect()
}
