//! Words of the glossary.

use super::*;

const GLOSSARY: &str = r#"
[[entry]]
word = "restore"
for = "writing a sale's state from Postgres to Redis"
[[entry.refused]]
words = ["rebuild", "patch up"]
where = ["identifiers", "comments", "texts", "docs"]
paths = ["sample/src/", "README.md"]
except = ["sample/src/old.rs"]
[[keep]]
identifier = "rebuild_total"
reason = "a metric"
"#;

fn words_in(path: &str, text: &str) -> Vec<String> {
    let kept = "\nfn kept() { let rebuild_total = 1; }\n";
    let lib = format!(
        "{}{kept}",
        if path == "sample/src/lib.rs" {
            text
        } else {
            "mod old;"
        }
    );
    let mut files = vec![MANIFEST, ("sample/src/lib.rs", lib.as_str())];
    if path != "sample/src/lib.rs" {
        files.push((path, text));
    }
    found(PACKAGE, GLOSSARY, &files)
}

#[test]
fn a_refused_word_is_found_in_names_comments_texts_and_documents() {
    for text in [
        "fn rebuild_sale() {}",
        "struct SaleRebuild;",
        "fn f(patch_up: u8) {}",
        "// Rebuild it.",
        "/// What it puts: patch up, later.",
        "fn f() { log(\"cannot rebuild\") }",
    ] {
        let findings = words_in("sample/src/lib.rs", text);
        assert_one(
            &findings,
            "sample/src/lib.rs:1: word:",
            "expected \"restore\"",
        );
    }
    let findings = words_in("README.md", "# Shop\nIt can rebuild.\n");
    let findings: Vec<_> = findings
        .into_iter()
        .filter(|line| line.contains(": word:"))
        .collect();
    assert_one(&findings, "README.md:2: word: the document", "rebuild");
}

#[test]
fn other_words_other_places_and_the_tests_own_sentences_are_free() {
    for text in [
        "fn restore() { x.rebuild() }",
        "struct Rebuilder;",
        "// rebuilds, and right put",
        "fn f() { log(\"rebuild\") }",
        "#[test]\nfn a_rebuild_ends() {}",
        "impl Other for A { fn rebuild() {} }",
    ] {
        assert_eq!(words_in("sample/src/lib.rs", text), NONE, "{text}");
    }
    assert_eq!(words_in("sample/src/old.rs", "fn rebuild() {}"), NONE);
}

#[test]
fn a_kept_name_that_nothing_has_is_no_longer_kept() {
    let glossary = "[[keep]]\nidentifier = \"rebuild_total\"\nreason = \"a metric\"\n";
    let findings = found(PACKAGE, glossary, &[MANIFEST]);
    assert_one(&findings, "docs/glossary.toml:2: rules-file:", "a metric");
}
