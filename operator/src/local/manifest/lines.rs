//! The lines of fields in a file of YAML. The parser drops the lines of what it has parsed, so they
//! are found again by indentation. A field inside a flow mapping (`{a: {b: 1}}`) gets the line of
//! the mapping.

/// One document of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Document<'a> {
    /// The line of the file, from 1, with which `text` begins.
    first_line: usize,
    /// Its text, with the marker `---` before it, behind which its content may begin already.
    pub(super) text: &'a str,
}

/// The documents of a file.
pub(super) fn documents(text: &str) -> Vec<Document<'_>> {
    let mut documents = Vec::new();
    let (mut start, mut first_line) = (0, 1);
    let mut offset = 0;
    for (n, line) in text.split_inclusive('\n').enumerate() {
        if behind_marker(line).is_some() && offset > 0 {
            documents.push(Document {
                first_line,
                text: &text[start..offset],
            });
            (start, first_line) = (offset, n + 1);
        }
        offset += line.len();
    }
    documents.push(Document {
        first_line,
        text: &text[start..],
    });
    documents
}

/// What follows the marker with which a document begins, if the line has one.
fn behind_marker(line: &str) -> Option<&str> {
    let behind = line.strip_prefix("---")?;
    (behind.is_empty() || behind.starts_with([' ', '\t', '\r', '\n'])).then_some(behind)
}

impl Document<'_> {
    /// The line of the file that is the `line`-th of this document.
    pub(super) fn line(&self, line: usize) -> usize {
        self.first_line + line.max(1) - 1
    }

    /// The first line with content.
    pub(super) fn first(&self) -> usize {
        let has_content = |line: &str| {
            let line = behind_marker(line).unwrap_or(line).trim();
            !line.is_empty() && !line.starts_with('#')
        };
        let n = self.text.lines().position(has_content).unwrap_or_default();
        self.first_line + n
    }

    /// The line of a field such as `spec.limits.total`.
    pub(super) fn line_of(&self, path: &str) -> usize {
        let names: Vec<&str> = path.split(['.', '[']).collect();
        self.line_of_names(&names)
    }

    /// The line of the field that is reached by these names. Where it has no line of its own,
    /// that of the nearest field around it.
    pub(super) fn line_of_names(&self, names: &[&str]) -> usize {
        let mut names = names.iter();
        let mut next = names.next();
        let mut found = self.first();
        // The indentation that the next field must have more of.
        let mut outer: Option<usize> = None;
        let mut siblings: Option<usize> = None;
        for (n, line) in self.text.lines().enumerate() {
            let content = line.trim_start();
            if content.is_empty() || content.starts_with('#') || behind_marker(line).is_some() {
                continue;
            }
            let indent = line.len() - content.len();
            if outer.is_some_and(|outer| indent <= outer) {
                break; // the field around has ended
            }
            if indent != *siblings.get_or_insert(indent) {
                continue; // inside a sibling
            }
            if next.is_some_and(|name| is_field(content, name)) {
                found = self.first_line + n;
                next = names.next();
                (outer, siblings) = (Some(indent), None);
                if next.is_none() {
                    break;
                }
            }
        }
        found
    }
}

/// Whether a line without its indentation is that of a field with this name.
fn is_field(content: &str, name: &str) -> bool {
    let content = content.trim_start_matches(['"', '\'']);
    let behind = content.strip_prefix(name).unwrap_or_default();
    let behind = behind.trim_start_matches(['"', '\'', ' ']);
    behind.starts_with(':')
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# two\nkind: Secret\n---\nkind: FlashSale\nspec:\n  duration: 1h\n\n  limits:\n    total: 5\n  api:\n    replicas: {idle: 9}\n  last: 1\n";

    #[test]
    fn documents_know_their_first_line() {
        let documents = documents(TEXT);
        let lines: Vec<_> = documents.iter().map(Document::first).collect();
        assert_eq!(lines, [2, 4]);
        assert_eq!(documents[0].text, "# two\nkind: Secret\n");
        assert!(documents[1].text.starts_with("---\nkind: FlashSale\n"));
    }

    #[test]
    fn a_document_may_begin_behind_its_marker() {
        let documents = documents("---\n# nothing\n--- {kind: A}\n---\t# a comment\r\nkind: B\r\n");
        let found: Vec<_> = documents.iter().map(|d| (d.first(), d.text)).collect();
        assert_eq!(
            found,
            [
                (1, "---\n# nothing\n"),
                (3, "--- {kind: A}\n"),
                (5, "---\t# a comment\r\nkind: B\r\n"),
            ]
        );
    }

    #[test]
    fn dashes_that_are_no_marker_divide_nothing() {
        assert_eq!(documents("a: |\n  ---\nb: 1\n----\n---c\n").len(), 1);
    }

    #[test]
    fn fields_are_found_by_their_path() {
        let documents = documents(TEXT);
        let line = |path| documents[1].line_of(path);
        assert_eq!(line("spec.duration"), 6);
        assert_eq!(line("spec.limits.total"), 9);
        assert_eq!(line("spec.last"), 12);
        assert_eq!(line("spec.api.replicas.idle"), 11, "the line that holds it");
        assert_eq!(
            line("spec.api.warmUp"),
            10,
            "not there: the field around it"
        );
        assert_eq!(line("metadata"), 4, "nowhere: the document");
    }
}
