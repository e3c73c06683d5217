//! The prose of a file: comments, texts in string literals, paragraphs of documents.

use std::iter::Peekable;
use std::str::Chars;

use serde::Deserialize;

use crate::tree::File;

/// Where words can stand.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Where {
    /// Names that Rust code defines; the names of tests are sentences and count as none.
    Identifiers,
    /// Comments of Rust, Lua, SQL and shell files.
    Comments,
    /// String literals of Rust with a space in them: messages, help, log lines.
    Texts,
    /// Markdown outside of code.
    Docs,
}

/// A line of prose.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    pub line: usize,
    pub place: Where,
    pub text: String,
}

/// All prose of a file, by its extension.
pub fn of(file: &File) -> Vec<Piece> {
    match file.path.rsplit_once('.').map(|(_, extension)| extension) {
        Some("rs") => rust(&file.text),
        Some("lua" | "sql") => line_comments(file, "--"),
        Some("sh" | "star") => line_comments(file, "#"),
        Some("md") => markdown(file),
        _ => Vec::new(),
    }
}

fn line_comments(file: &File, mark: &str) -> Vec<Piece> {
    let comments = file.lines().filter_map(|(line, text)| {
        let text = text.trim_start().strip_prefix(mark)?;
        Some(Piece {
            line,
            place: Where::Comments,
            text: text.to_owned(),
        })
    });
    comments.collect()
}

fn markdown(file: &File) -> Vec<Piece> {
    let mut pieces = Vec::new();
    let mut in_code = false;
    for (line, text) in file.lines() {
        if text.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            // Every second part stands between backticks.
            let outside: Vec<&str> = text.split('`').step_by(2).collect();
            pieces.push(Piece {
                line,
                place: Where::Docs,
                text: outside.join("`"),
            });
        }
    }
    pieces
}

/// Comments and string literals of Rust.
fn rust(text: &str) -> Vec<Piece> {
    let mut lexer = Lexer {
        rest: text.chars().peekable(),
        line: 1,
        pieces: Vec::new(),
    };
    let mut before = ' ';
    while let Some(char) = lexer.next() {
        match char {
            '/' if lexer.rest.peek() == Some(&'/') => lexer.line_comment(),
            '/' if lexer.rest.peek() == Some(&'*') => lexer.block_comment(),
            '"' => lexer.string(),
            'r' if !is_name(before) || before == 'b' => lexer.raw_string(),
            '\'' => lexer.quote(),
            _ => {}
        }
        before = char;
    }
    lexer.pieces
}

fn is_name(char: char) -> bool {
    char.is_alphanumeric() || char == '_'
}

struct Lexer<'t> {
    rest: Peekable<Chars<'t>>,
    line: usize,
    pieces: Vec<Piece>,
}

impl Lexer<'_> {
    fn next(&mut self) -> Option<char> {
        let char = self.rest.next()?;
        self.line += usize::from(char == '\n');
        Some(char)
    }

    /// Adds a piece for each line of a text.
    fn push(&mut self, first_line: usize, place: Where, text: &str) {
        for (line, text) in (first_line..).zip(text.lines()) {
            self.pieces.push(Piece {
                line,
                place,
                text: text.to_owned(),
            });
        }
    }

    fn push_string(&mut self, line: usize, text: &str) {
        if text.trim().contains(' ') {
            self.push(line, Where::Texts, text);
        }
    }

    fn line_comment(&mut self) {
        let line = self.line;
        let mut text = String::new();
        while let Some(char) = self.rest.next_if(|char| *char != '\n') {
            text.push(char);
        }
        self.push(line, Where::Comments, text.trim_start_matches(['/', '!']));
    }

    fn block_comment(&mut self) {
        let (line, mut depth, mut text) = (self.line, 0, String::from("/"));
        while let Some(char) = self.next() {
            text.push(char);
            if text.ends_with("/*") {
                depth += 1;
            } else if text.ends_with("*/") {
                depth -= 1;
                if depth == 0 {
                    break;
                }
            }
        }
        self.push(line, Where::Comments, &text);
    }

    fn string(&mut self) {
        let (line, mut text) = (self.line, String::new());
        while let Some(char) = self.next() {
            match char {
                '"' => break,
                '\\' => {
                    // Only whether it ends the line matters here.
                    if self.next() == Some('\n') {
                        text.push('\n');
                    }
                }
                char => text.push(char),
            }
        }
        self.push_string(line, &text);
    }

    /// `r"…"`, `r#"…"#`; also a raw identifier or a name that begins with `r`.
    fn raw_string(&mut self) {
        let mut marks = 0;
        while self.rest.next_if_eq(&'#').is_some() {
            marks += 1;
        }
        if self.rest.next_if_eq(&'"').is_none() {
            return;
        }
        let line = self.line;
        let end = format!("\"{}", "#".repeat(marks));
        let mut text = String::new();
        while let Some(char) = self.next() {
            text.push(char);
            if text.ends_with(&end) {
                text.truncate(text.len() - end.len());
                break;
            }
        }
        self.push_string(line, &text);
    }

    /// A character such as `'"'`, or a lifetime.
    fn quote(&mut self) {
        match self.next() {
            Some('\\') => {
                self.next();
                while self.rest.next_if(|char| *char != '\'').is_some() {}
                self.next();
            }
            Some(_) => {
                self.rest.next_if_eq(&'\'');
            }
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pieces(path: &str, text: &str) -> Vec<(usize, Where, String)> {
        let file = File {
            path: path.to_owned(),
            text: text.to_owned(),
        };
        let pieces = of(&file).into_iter();
        pieces
            .map(|piece| (piece.line, piece.place, piece.text.trim().to_owned()))
            .collect()
    }

    #[test]
    fn comments_and_texts_of_rust_are_told_from_code() {
        let text = r##"//! One.
fn f<'a>(quote: char) { // two
    let c = '"'; let d = '\''; let r#type = "no_space";
    log("three is a text"); /* four /* nested */ end */
    raw(r#"five "quoted" too"#, b"six bytes");
}
"##;
        let expected = [
            (1, Where::Comments, "One."),
            (2, Where::Comments, "two"),
            (4, Where::Texts, "three is a text"),
            (4, Where::Comments, "/* four /* nested */ end */"),
            (5, Where::Texts, "five \"quoted\" too"),
            (5, Where::Texts, "six bytes"),
        ];
        let expected = expected.map(|(line, place, text)| (line, place, text.to_owned()));
        assert_eq!(pieces("a.rs", text), expected);
    }

    #[test]
    fn code_in_a_document_is_no_prose() {
        let text = "Use `carry` so.\n```\ncarry\n```\nEnd.\n";
        let found = pieces("README.md", text);
        assert_eq!(found[0], (1, Where::Docs, "Use ` so.".to_owned()));
        assert_eq!(found[1], (5, Where::Docs, "End.".to_owned()));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn lua_and_shell_have_comments() {
        assert_eq!(
            pieces("a.lua", "x = 1\n-- why\n"),
            [(2, Where::Comments, "why".to_owned())]
        );
        assert_eq!(
            pieces("a.sh", "# why\n"),
            [(1, Where::Comments, "why".to_owned())]
        );
    }
}
