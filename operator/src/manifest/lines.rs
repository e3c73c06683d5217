//! Where things are in a file of YAML. The parser forgets the lines of what it has parsed, so
//! they are found again by indentation; what is not written in lines of its own (`{a: {b: 1}}`)
//! is found as far as its lines go.

/// The documents of a file, each with its first line, from 1.
pub(super) fn documents(text: &str) -> Vec<(usize, &str)> {
    let mut documents = Vec::new();
    let (mut start, mut first_line) = (0, 1);
    let mut offset = 0;
    for (n, line) in text.split_inclusive('\n').enumerate() {
        let divides = line.trim_end() == "---" || line.starts_with("--- ");
        if divides {
            documents.push((first_line, &text[start..offset]));
            (start, first_line) = (offset + line.len(), n + 2);
        }
        offset += line.len();
    }
    documents.push((first_line, &text[start..]));
    documents
}

/// The line of a field such as `spec.limits.total` of the document that begins at `first_line`.
/// Where the field itself has no line of its own, that of the nearest field around it.
pub(super) fn find(text: &str, first_line: usize, path: &str) -> Option<usize> {
    let mut wanted = path.split(['.', '[']).peekable();
    let mut found = None;
    // The indentation that the next wanted field must have more of.
    let mut outer: Option<usize> = None;
    let mut siblings: Option<usize> = None;
    for (n, line) in text.lines().enumerate().skip(first_line - 1) {
        if n >= first_line && line.trim_end() == "---" {
            break;
        }
        let content = line.trim_start();
        if content.is_empty() || content.starts_with('#') {
            continue;
        }
        let indent = line.len() - content.len();
        if outer.is_some_and(|outer| indent <= outer) {
            break; // the field around has ended
        }
        if indent != *siblings.get_or_insert(indent) {
            continue; // inside a sibling
        }
        let key = content
            .split(':')
            .next()
            .unwrap_or(content)
            .trim_matches(['"', '\'']);
        if wanted.peek() == Some(&key) {
            wanted.next();
            found = Some(n + 1);
            (outer, siblings) = (Some(indent), None);
            if wanted.peek().is_none() {
                break;
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "# two\nkind: Secret\n---\nkind: FlashSale\nspec:\n  duration: 1h\n\n  limits:\n    total: 5\n  api:\n    replicas: {idle: 9}\n  last: 1\n";

    #[test]
    fn documents_know_their_first_line() {
        let documents = documents(TEXT);
        assert_eq!(documents.len(), 2);
        assert_eq!(documents[0], (1, "# two\nkind: Secret\n"));
        assert_eq!(
            (documents[1].0, documents[1].1.lines().next()),
            (4, Some("kind: FlashSale"))
        );
    }

    #[test]
    fn fields_are_found_by_their_path() {
        let line = |path| find(TEXT, 4, path);
        assert_eq!(line("spec.duration"), Some(6));
        assert_eq!(line("spec.limits.total"), Some(9));
        assert_eq!(line("spec.last"), Some(12));
        assert_eq!(
            line("spec.api.replicas.idle"),
            Some(11),
            "the line that holds it"
        );
        assert_eq!(
            line("spec.api.warmUp"),
            Some(10),
            "not there: the field around it"
        );
        assert_eq!(line("metadata"), None);
    }
}
