//! References as they stand in a source, before anything is resolved.

/// A path as it stands in the source, or a call of a method.
#[derive(Debug, Clone)]
pub struct Reference {
    pub line: usize,
    /// Inline modules of the file around it, from the outside.
    pub scope: Vec<String>,
    pub segments: Vec<String>,
    pub kind: ReferenceKind,
    /// Within `#[cfg(test)]` or a test function.
    pub test: bool,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ReferenceKind {
    /// A leaf of a `use` declaration.
    Use,
    /// The same, where the declaration hands the name on: `pub use`, `pub(crate) use`.
    Reexport,
    /// A path in code.
    Path,
    /// A call of a method without arguments.
    Method,
}

/// A raw identifier without its `r#`.
pub fn plain(name: &syn::Ident) -> String {
    let name = name.to_string();
    name.strip_prefix("r#").map(str::to_owned).unwrap_or(name)
}

pub fn begins_upper(name: &str) -> bool {
    name.starts_with(char::is_uppercase)
}
