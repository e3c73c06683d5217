//! References in the arguments of a macro: tokens, in which paths and calls of methods are
//! recognised by their shape.

use proc_macro2::{Delimiter, Ident, Span, TokenStream, TokenTree};

use crate::references::{ReferenceKind, begins_upper, plain};

/// Tokens that look like a reference.
pub struct Shape {
    pub span: Span,
    pub segments: Vec<String>,
    pub kind: ReferenceKind,
}

/// All of them, those in groups included.
pub fn read(tokens: &TokenStream) -> Vec<Shape> {
    let mut found = Vec::new();
    let tokens: Vec<TokenTree> = tokens.clone().into_iter().collect();
    let mut at = 0;
    while at < tokens.len() {
        match &tokens[at] {
            TokenTree::Group(group) => found.extend(read(&group.stream())),
            TokenTree::Ident(first) => {
                let (segments, last) = path(&tokens, at, first);
                found.extend(shape(&tokens, at..=last, first.span(), segments));
                at = last;
            }
            TokenTree::Punct(_) | TokenTree::Literal(_) => {}
        }
        at += 1;
    }
    found
}

fn is_punct(tokens: &[TokenTree], at: Option<usize>, expected: char) -> bool {
    let token = at.and_then(|at| tokens.get(at));
    matches!(token, Some(TokenTree::Punct(punct)) if punct.as_char() == expected)
}

/// The segments of the path that begins at a token, and the index of its last token.
fn path(tokens: &[TokenTree], begin: usize, first: &Ident) -> (Vec<String>, usize) {
    let mut segments = vec![plain(first)];
    let mut at = begin;
    while is_punct(tokens, Some(at + 1), ':') && is_punct(tokens, Some(at + 2), ':') {
        let Some(TokenTree::Ident(next)) = tokens.get(at + 3) else {
            break;
        };
        segments.push(plain(next));
        at += 3;
    }
    (segments, at)
}

fn shape(
    tokens: &[TokenTree],
    place: std::ops::RangeInclusive<usize>,
    span: Span,
    segments: Vec<String>,
) -> Option<Shape> {
    let (begin, last) = place.into_inner();
    let arguments = match tokens.get(last + 1) {
        Some(TokenTree::Group(group)) if group.delimiter() == Delimiter::Parenthesis => {
            Some(group.stream().is_empty())
        }
        _ => None,
    };
    let before = |distance: usize| is_punct(tokens, begin.checked_sub(distance), '.');
    // `a..b` is a range, no access to a field.
    let after_dot = before(1) && !before(2);
    let kind = match arguments {
        Some(true) if after_dot => ReferenceKind::Method,
        _ if after_dot => return None,
        Some(_) => ReferenceKind::Path,
        None if segments.len() > 1 || begins_upper(&segments[0]) => ReferenceKind::Path,
        None => return None,
    };
    Some(Shape {
        span,
        segments,
        kind,
    })
}
