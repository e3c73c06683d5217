//! Which functions of a format's Lua file a script gets.
//!
//! Guarantees: a script gets every function that it calls, directly or through another one. It gets
//! no other: Redis runs the text of a script from its top at each call, and a function that the text
//! defines costs time there, called or not.

/// The parts of `library` that `script` needs, in their order. Parts stand between empty lines; one
/// that defines no function has constants and is always there.
pub(super) fn used_by(script: &str, library: &str) -> String {
    let parts: Vec<&str> = library.trim_end().split("\n\n").collect();
    let mut used: Vec<bool> = parts.iter().map(|part| name_of(part).is_none()).collect();
    loop {
        let is_called = |name: &str| {
            let callers = parts.iter().zip(&used).filter(|(_, used)| **used);
            calls(script, name) || callers.into_iter().any(|(part, _)| calls(part, name))
        };
        let called =
            (0..parts.len()).find(|n| !used[*n] && name_of(parts[*n]).is_some_and(&is_called));
        match called {
            Some(part) => used[part] = true,
            None => break,
        }
    }
    let used = parts.iter().zip(used).filter(|(_, used)| *used);
    let used: Vec<&str> = used.map(|(part, _)| *part).collect();
    used.join("\n\n")
}

/// The name of the function that a part defines.
fn name_of(part: &str) -> Option<&str> {
    let mut lines = part.lines();
    let definition = lines.find_map(|line| line.strip_prefix("local function "))?;
    definition.split('(').next()
}

/// Whether a text calls a function.
fn calls(text: &str, name: &str) -> bool {
    let is_of_name = |c: char| c.is_ascii_alphanumeric() || c == '_';
    text.match_indices(name).any(|(start, _)| {
        let (before, after) = (&text[..start], &text[start + name.len()..]);
        !before.ends_with(is_of_name) && after.starts_with('(')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIBRARY: &str = "-- Constants.\nlocal US = '\\31'\n\n\
        local function join(a, b)\n  return a .. US .. b\nend\n\n\
        -- A cart.\nlocal function encode_cart(code, items)\n  return join(code, items)\nend\n\n\
        local function encode_cart_of(user)\n  return user\nend\n";

    #[test]
    fn a_script_gets_what_it_calls_and_what_that_calls() {
        let text = used_by("return encode_cart(ARGV[1], ARGV[2])", LIBRARY);
        assert!(text.contains("local US") && text.contains("function join"));
        assert!(text.contains("-- A cart.\nlocal function encode_cart("));
        assert!(!text.contains("encode_cart_of"), "{text}");
    }

    #[test]
    fn a_script_that_calls_nothing_gets_the_constants_alone() {
        let text = used_by("return 'encode_cart', re_join(1)", LIBRARY);
        assert_eq!(text, "-- Constants.\nlocal US = '\\31'");
    }
}
