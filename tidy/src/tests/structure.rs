//! Packages, layers, circles, modules.

use super::*;

#[test]
fn a_package_uses_only_those_before_it_and_no_library_that_it_does_without() {
    let user =
        "[package]\nname = \"user\"\n[dependencies]\nsample.workspace = true\nredis = \"1\"\n";
    let files = [MANIFEST, ("user/Cargo.toml", user)];
    let allowed = format!("{PACKAGE}[[package]]\nfolder = \"user\"\nuses = [\"sample\"]\n");
    assert_eq!(found(&allowed, "", &files), NONE);

    let not_listed = format!("{PACKAGE}[[package]]\nfolder = \"user\"\n");
    assert_one(
        &found(&not_listed, "", &files),
        "user/Cargo.toml:4: dependency:",
        "user depends on sample",
    );
    let without = format!("{allowed}without = [\"redis\"]\n");
    assert_one(
        &found(&without, "", &files),
        "user/Cargo.toml:5: dependency:",
        "user depends on redis",
    );
    let backwards = format!("[[package]]\nfolder = \"user\"\nuses = [\"sample\"]\n{PACKAGE}");
    assert_one(
        &found(&backwards, "", &files),
        "tidy.toml:2: rules-file:",
        "listed before it",
    );
    assert_one(
        &found(PACKAGE, "", &files),
        "user/Cargo.toml:1: dependency:",
        "no [[package]]",
    );
}

#[test]
fn tests_may_use_what_the_package_may_not() {
    let user = "[package]\nname = \"user\"\n[dev-dependencies]\nsample.workspace = true\n";
    let files = [MANIFEST, ("user/Cargo.toml", user)];
    let allowed = format!("{PACKAGE}[[package]]\nfolder = \"user\"\ntests_use = [\"sample\"]\n");
    assert_eq!(found(&allowed, "", &files), NONE);
    let not_listed = format!("{PACKAGE}[[package]]\nfolder = \"user\"\n");
    assert_one(
        &found(&not_listed, "", &files),
        "user/Cargo.toml:4: dependency:",
        "in its tests",
    );
}

const LAYERS: &str = r#"
[[layer]]
name = "domain"
files = ["sample/src/domain/"]
without = ["tokio", "kube::Client"]
[[layer]]
name = "selling"
files = ["sample/src/selling.rs", "sample/src/lib.rs"]
uses = ["domain"]
"#;
const LIB: (&str, &str) = (
    "sample/src/lib.rs",
    "mod domain;\nmod selling;\npub use domain::Sale;\n",
);
const SELLING: (&str, &str) = (
    "sample/src/selling.rs",
    "use crate::domain::Sale;\npub fn sell(_: Sale) {}\n",
);

#[test]
fn a_layer_uses_only_the_layers_before_it() {
    let domain = "pub struct Sale;\n#[cfg(test)]\nmod tests {\n    use crate::selling::sell;\n}\n";
    let good = [LIB, SELLING, ("sample/src/domain/mod.rs", domain)];
    assert_eq!(found_in_package(LAYERS, &good), NONE);

    let upward = "pub struct Sale;\nfn f() {\n    vec![crate::selling::sell(Sale)];\n}\n";
    let bad = [LIB, SELLING, ("sample/src/domain/mod.rs", upward)];
    let findings = found_in_package(LAYERS, &bad);
    let layer: Vec<_> = findings
        .iter()
        .filter(|line| line.contains(": layer:"))
        .cloned()
        .collect();
    assert_one(
        &layer,
        "sample/src/domain/mod.rs:3: layer:",
        "domain uses crate::selling::sell of selling",
    );
}

#[test]
fn a_layer_uses_no_library_that_it_does_without() {
    let with = |line: &str| {
        let domain = format!("pub struct Sale;\n{line}\n");
        found_in_package(
            LAYERS,
            &[LIB, SELLING, ("sample/src/domain/mod.rs", &domain)],
        )
    };
    assert_eq!(with("use kube::CustomResource;"), NONE);
    let place = "sample/src/domain/mod.rs:2: layer:";
    assert_one(
        &with("async fn f() { tokio::time::sleep(D).await }"),
        place,
        "without tokio",
    );
    assert_one(
        &with("use kube::{Client, Resource};"),
        place,
        "without kube::Client",
    );
}

#[test]
fn every_file_of_a_package_with_layers_lies_in_one() {
    let lib = (
        "sample/src/lib.rs",
        "mod domain;\nmod selling;\nmod other;\n",
    );
    let domain = ("sample/src/domain/mod.rs", "pub struct Sale;\n");
    let files = [lib, SELLING, domain, ("sample/src/other.rs", "")];
    assert_one(
        &found_in_package(LAYERS, &files),
        "sample/src/other.rs:1: layer:",
        "lies in no layer",
    );
}

#[test]
fn files_that_import_each_other_are_a_circle() {
    let lib = (
        "sample/src/lib.rs",
        "mod a;\nmod b;\nmod c;\npub use b::B;\n",
    );
    let a = ("sample/src/a.rs", "pub struct A(pub crate::B);\n");
    let b = (
        "sample/src/b.rs",
        "use crate::c;\npub struct B;\nfn f() { c::g() }\n",
    );
    let good = [lib, a, b, ("sample/src/c.rs", "pub fn g() {}\n")];
    assert_eq!(found_in_package("", &good), NONE);

    // The name comes by a re-export of the root, and leads to the file that defines it.
    let bad = [
        lib,
        a,
        b,
        ("sample/src/c.rs", "pub fn g() { let _: super::a::A; }\n"),
    ];
    assert_one(
        &found_in_package("", &bad),
        "sample/src/a.rs:1: circle: 3 files",
        "sample/src/b.rs:3 uses c::g of sample/src/c.rs",
    );
}

#[test]
fn a_child_and_the_module_above_it_are_one_unit() {
    let lib = ("sample/src/lib.rs", "mod a;\nmod b;\n");
    let parent = (
        "sample/src/a/mod.rs",
        "mod child;\npub struct A;\nfn f() { child::g(A) }\n",
    );
    let child = (
        "sample/src/a/child.rs",
        "use super::A;\npub fn g(_: A) {}\n",
    );
    let good = [
        lib,
        parent,
        child,
        ("sample/src/b.rs", "use crate::a::A;\nfn h(_: A) {}\n"),
    ];
    assert_eq!(found_in_package("", &good), NONE);

    let child = (
        "sample/src/a/child.rs",
        "use crate::b::B;\npub fn g(_: B) {}\n",
    );
    let b = (
        "sample/src/b.rs",
        "use crate::a::A;\npub struct B;\nfn h(_: A) {}\n",
    );
    assert_one(
        &found_in_package("", &[lib, parent, child, b]),
        "sample/src/a/mod.rs:3: circle: 3 files",
        "sample/src/a/child.rs:1 uses crate::b::B of sample/src/b.rs",
    );
}

#[test]
fn tests_of_a_file_may_use_what_uses_it() {
    let lib = ("sample/src/lib.rs", "mod a;\nmod b;\n");
    let a = "pub struct A;\n#[cfg(test)]\nmod tests {\n    use crate::b::f;\n    fn g() { f(super::A) }\n}\n";
    let b = ("sample/src/b.rs", "use crate::a::A;\npub fn f(_: A) {}\n");
    assert_eq!(
        found_in_package("", &[lib, ("sample/src/a.rs", a), b]),
        NONE
    );
}

#[test]
fn a_file_that_no_target_contains_is_found_and_so_is_one_that_is_no_rust() {
    let lost = [("sample/src/lib.rs", ""), ("sample/src/lost.rs", "")];
    assert_one(
        &found_in_package("", &lost),
        "sample/src/lost.rs:1: module:",
        "no target",
    );
    let broken = [("sample/src/lib.rs", "fn f( {}\n")];
    assert_one(
        &found_in_package("", &broken),
        "sample/src/lib.rs:1: module:",
        "expected Rust",
    );
}
