//! The manifests of the development stores, as kubectl puts them together.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::process::Command;

use flashsale_servers::go_program;

fn images(folder: &str) -> Vec<String> {
    let root = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
    let output = Command::new(go_program("kubectl").unwrap())
        .args(["kustomize", folder])
        .current_dir(root)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{folder}: {errors}");
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().filter_map(|line| line.split_once("image: "));
    let mut images: Vec<String> = lines.map(|(_, image)| image.to_owned()).collect();
    images.sort();
    images.dedup();
    images
}

#[test]
fn a_cluster_without_a_registry_is_asked_for_local_images_alone() {
    assert_eq!(images("k8s/dev"), ["postgres:17", "redis:7"]);
    let local = images("k8s/dev-local-images");
    assert_eq!(local, ["localhost/postgres:dev", "localhost/redis:dev"]);
}
