//! What a rule found, and how it is printed.

use std::collections::BTreeMap;
use std::fmt;

/// The rules; a finding names the one that it breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Rule {
    /// `tidy.toml` or `docs/glossary.toml` itself is wrong, or says more than is needed.
    RulesFile,
    /// A Rust file does not parse, or no target of its package contains it.
    Module,
    /// A package depends on another that it must not depend on.
    Dependency,
    /// A layer uses another that it must not use.
    Layer,
    /// Files import each other in a circle.
    Circle,
    /// Code reads a clock or a random source by itself.
    Clock,
    FileLength,
    FunctionLength,
    /// A word that the glossary refuses.
    Word,
    /// The subject of a commit.
    Commit,
}

impl Rule {
    pub const ALL: [Self; 10] = [
        Self::RulesFile,
        Self::Module,
        Self::Dependency,
        Self::Layer,
        Self::Circle,
        Self::Clock,
        Self::FileLength,
        Self::FunctionLength,
        Self::Word,
        Self::Commit,
    ];

    pub fn name(self) -> &'static str {
        match self {
            Self::RulesFile => "rules-file",
            Self::Module => "module",
            Self::Dependency => "dependency",
            Self::Layer => "layer",
            Self::Circle => "circle",
            Self::Clock => "clock",
            Self::FileLength => "file-length",
            Self::FunctionLength => "function-length",
            Self::Word => "word",
            Self::Commit => "commit",
        }
    }
}

/// One violation. Ordered by place.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Finding {
    pub path: String,
    pub line: usize,
    pub rule: Rule,
    /// What was found, what was expected, what to do.
    pub text: String,
}

impl Finding {
    pub fn new(rule: Rule, path: &str, line: usize, text: impl Into<String>) -> Self {
        Self {
            path: path.to_owned(),
            line,
            rule,
            text: text.into(),
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}:{}: {}: {}",
            self.path,
            self.line,
            self.rule.name(),
            self.text
        )
    }
}

/// The number of findings of each rule, a rule without one included.
pub fn counts(findings: &[Finding]) -> BTreeMap<Rule, usize> {
    let mut counts: BTreeMap<_, _> = Rule::ALL.into_iter().map(|rule| (rule, 0)).collect();
    for finding in findings {
        *counts.entry(finding.rule).or_default() += 1;
    }
    counts
}
