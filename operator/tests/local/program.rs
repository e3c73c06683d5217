//! The commands themselves: what they refuse, and with which exit code.

use std::process::{Command, Stdio};

use crate::support::{PROGRAM, World, in_seconds, run};

#[test]
fn a_wrong_manifest_is_refused_with_its_line_and_exit_code_1() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sale.yaml");
    let name = file.to_str().unwrap();
    let text = "apiVersion: flashsale.dev/v1alpha1\nkind: FlashSale\nmetadata: {name: a}\nspec:\n  schedul: x\n";
    std::fs::write(&file, text).unwrap();
    let (code, _, message) = run(&["local", "--manifest", name]);
    assert_eq!(code, Some(1));
    assert!(
        message
            .contains("sale.yaml: line 5: spec.schedul: found an unknown field; expected one of"),
        "{message}"
    );

    std::fs::remove_file(&file).unwrap();
    let (code, _, message) = run(&["local", "--manifest", name]);
    assert_eq!(code, Some(1), "no such file");
    assert!(message.contains(name), "{message}");
}

#[test]
fn a_status_file_that_cannot_be_written_is_refused_at_the_start() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("sale.yaml");
    let text = "{apiVersion: flashsale.dev/v1alpha1, kind: FlashSale, metadata: {name: a}, spec: {schedule: '@midnight', catalog: {generate: {count: 1}}, redis: {secretKeyRef: {name: r, key: u}}, postgres: {secretKeyRef: {name: p, key: u}}}}";
    std::fs::write(&manifest, text).unwrap();
    for wrong in ["no/such/folder/status.json", "", "sale.yaml"] {
        let file = folder.path().join(wrong);
        let arguments = [
            "local",
            "--redis-url=redis://127.0.0.1:1",
            "--postgres-url=postgres://u@127.0.0.1:1/d",
            "--manifest",
            manifest.to_str().unwrap(),
            "--status-file",
            file.to_str().unwrap(),
        ];
        let (code, printed, message) = run(&arguments);
        assert_eq!(code, Some(1), "{message}");
        assert_eq!(printed, "", "nothing was begun");
        assert!(message.contains(file.to_str().unwrap()), "{message}");
        assert!(
            message.contains("the status cannot be written there"),
            "{message}"
        );
        assert_eq!(std::fs::read_to_string(&manifest).unwrap(), text);
    }
}

#[test]
fn migrate_brings_a_database_up_to_date_and_names_what_is_missing() {
    let world = World::new("migrate");
    for _ in 0..2 {
        let (code, _, message) = run(&["migrate", "--postgres-url", &world.postgres]);
        assert_eq!(code, Some(0), "{message}");
    }
    assert_eq!(world.records(), []);
    for nothing in [&["migrate"][..], &["migrate", "--postgres-url", ""]] {
        let (code, _, message) = run(nothing);
        assert_eq!(code, Some(1));
        assert!(
            message.starts_with("--postgres-url: found nothing as the URL of Postgres; expected"),
            "{message}"
        );
    }
}

#[test]
fn an_empty_variable_counts_as_not_given() {
    let world = World::new("variables");
    let manifest = world.manifest(in_seconds(600), "  suspend: true");
    let output = Command::new(PROGRAM)
        .args(["local", "--manifest"])
        .arg(&manifest)
        .args(["--status-file", "/no/such/folder/status.json"])
        .env("FLASHSALE_REDIS_URL", "")
        .env("FLASHSALE_POSTGRES_URL", "")
        .output()
        .unwrap();
    // The Secret of the manifest is taken instead, and the next fault is that of the other file.
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!(message.lines().count(), 1, "{message}");
    assert!(
        message.starts_with("/no/such/folder/status.json: "),
        "{message}"
    );
}

#[test]
fn the_definition_of_the_resource_in_the_tree_is_the_one_that_is_printed() {
    let (code, printed, _) = run(&["crd"]);
    assert_eq!(code, Some(0));
    let file = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../crds/flashsales.flashsale.dev.yaml"
    );
    let in_tree = std::fs::read_to_string(file).unwrap();
    assert_eq!(printed, in_tree, "run `cargo xtask crds`");
}

#[test]
fn who_reads_the_definition_may_stop_early() {
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let output = Command::new(PROGRAM)
        .arg("crd")
        .stdout(writer)
        .stderr(Stdio::piped())
        .output()
        .unwrap();
    let message = String::from_utf8(output.stderr).unwrap();
    assert_eq!((output.status.code(), message.as_str()), (Some(0), ""));
}
