//! Clocks, lengths, and the exceptions from them.

use super::*;

const CLOCK: &str = "[clock]\nfolders = [\"sample/src/\"]\n\
    functions = [\"Instant::now\", \"rand::random\"]\nmethods = [\"elapsed\"]\ntypes = [\"Instant\"]\n";

#[test]
fn code_reads_no_clock_and_no_random_source() {
    let with = |code: &str| found_in_package(CLOCK, &[("sample/src/lib.rs", code)]);
    assert_eq!(with("fn f(clock: &Clock) { clock.now(); }\n"), NONE);
    let own_type = "fn f(timer: crate::Timer) { timer.elapsed(); }\n";
    assert_eq!(with(own_type), NONE);
    let in_test = "#[cfg(test)]\nmod tests { fn f() { std::time::Instant::now(); } }\n";
    assert_eq!(with(in_test), NONE);
    for (code, call) in [
        (
            "use tokio::time::Instant;\nfn f() { Instant::now(); }\n",
            "Instant::now",
        ),
        (
            "use std::time as t;\nfn f() { t::Instant::now(); }\n",
            "Instant::now",
        ),
        (
            "fn f() {\n o.get_or_insert_with(std::time::Instant::now); }\n",
            "Instant::now",
        ),
        (
            "use rand::random;\nfn f() -> u8 { random() }\n",
            "rand::random",
        ),
        (
            "fn f() {\n    format!(\"{}\", rand::random::<u8>()); }\n",
            "rand::random",
        ),
        (
            "fn f(t: std::time::Instant) {\n    t.elapsed(); }\n",
            ".elapsed()",
        ),
        (
            "use std::time::Instant; fn f(t: Instant) {\n    assert!(t.elapsed() > 1); }\n",
            ".elapsed()",
        ),
    ] {
        assert_one(&with(code), "sample/src/lib.rs:2: clock:", call);
    }
}

#[test]
fn a_listed_file_may_read_the_clock_and_is_listed_only_while_it_does() {
    let rules = format!(
        "{CLOCK}[[clock.allowed]]\nfile = \"sample/src/lib.rs\"\nreason = \"an adapter\"\n"
    );
    let reads = [(
        "sample/src/lib.rs",
        "fn f() { std::time::Instant::now(); }\n",
    )];
    assert_eq!(found_in_package(&rules, &reads), NONE);
    let pure = [("sample/src/lib.rs", "")];
    assert_one(
        &found_in_package(&rules, &pure),
        "tidy.toml:",
        "remove it from the list",
    );
}

const LENGTH: &str = "[length]\nextensions = [\"rs\", \"lua\"]\nfile_lines = 5\n\
    function_lines = 2\nmax_file_exceptions = 1\nmax_function_exceptions = 0\n";

#[test]
fn files_are_short() {
    let with = |rules: &str, text: &str| {
        let files = [
            MANIFEST,
            ("sample/a.lua", text),
            ("sample/a.txt", "1\n2\n3\n4\n5\n6\n"),
        ];
        found(&format!("{PACKAGE}{LENGTH}{rules}"), "", &files)
    };
    let long = "1\n2\n3\n4\n5\n6\n";
    assert_eq!(with("", "1\n2\n3\n4\n5\n"), NONE);
    assert_one(
        &with("", long),
        "sample/a.lua:6: file-length: 6 lines",
        "at most 5",
    );

    let exception = "[[length.file]]\nfile = \"sample/a.lua\"\nlines = 6\nreason = \"one table\"\n";
    assert_eq!(with(exception, long), NONE);
    assert_one(
        &with(exception, &format!("{long}7\n")),
        "sample/a.lua:7: file-length:",
        "one table",
    );
    assert_one(
        &with(exception, "1\n"),
        "tidy.toml:",
        "remove the exception",
    );
    let two = exception.replace("a.lua", "a.txt") + exception;
    assert!(
        with(&two, long)
            .iter()
            .any(|line| line.contains("2 exceptions"))
    );
}

#[test]
fn functions_are_short() {
    let with = |rules: &str, code: &str| {
        found_in_package(&format!("{LENGTH}{rules}"), &[("sample/src/lib.rs", code)])
    };
    assert_eq!(with("", "/// Why.\n#[a]\nfn f() {\n}\n"), NONE);
    let long = "impl A {\n    fn f() {\n        g()\n    }\n}\n";
    assert_one(
        &with("", long),
        "sample/src/lib.rs:2: function-length: fn f has 3 lines",
        "at most 2",
    );

    let exception = "[[length.function]]\nfile = \"sample/src/lib.rs\"\nfunction = \"f\"\nlines = 3\nreason = \"one list\"\n";
    assert_one(
        &with(exception, long),
        "tidy.toml:1: rules-file: 1 exceptions",
        "at most 0",
    );
    let of_nothing = exception.replace("\"f\"", "\"g\"");
    let findings = with(&of_nothing, "");
    assert!(
        findings
            .iter()
            .any(|line| line.contains("fn g of sample/src/lib.rs is not there"))
    );
}

#[test]
fn an_exception_without_a_reason_is_no_exception() {
    let rules =
        "[clock]\nfolders = []\nfunctions = []\n[[clock.allowed]]\nfile = \"a\"\nreason = \" \"\n";
    let tree = Tree::of(&[("tidy.toml", rules)]);
    let error = rules::read(&tree).err().map(|error| format!("{error:#}"));
    assert!(error.is_some_and(|text| text.contains("expected a reason")));
}
