//! The definition of FlashSales in the chart: the generated one, upgraded with the chart, kept.

use crate::support::{project, rendered::Rendered};

const GENERATED: &str = "crds/flashsales.flashsale.dev.yaml";

#[test]
fn the_definition_is_the_generated_one_with_what_helm_has_to_know() {
    let chart = Rendered::by(&["--show-only", "templates/crd.yaml"]);
    let annotations = &chart.one("CustomResourceDefinition")["metadata"]["annotations"];
    assert_eq!(annotations["helm.sh/resource-policy"], "keep");

    let generated = project::text(GENERATED);
    let mut missing = generated.lines().peekable();
    let mut added = Vec::new();
    for line in chart.text.lines() {
        if missing.peek() == Some(&line) {
            missing.next();
        } else {
            added.push(line.trim());
        }
    }
    assert_eq!(
        missing.next(),
        None,
        "the text is there from first to last line"
    );
    let version = format!(
        "app.kubernetes.io/version: \"{}\"",
        env!("CARGO_PKG_VERSION")
    );
    let expected = [
        "---",
        "# Source: flashsale/templates/crd.yaml",
        "annotations:",
        "helm.sh/resource-policy: keep",
        "labels:",
        "app.kubernetes.io/managed-by: Helm",
        "app.kubernetes.io/part-of: flashsale",
        version.as_str(),
        "helm.sh/chart: flashsale-0.1.0",
    ];
    assert_eq!(added, expected, "nothing else is");
}

#[test]
fn helm_may_upgrade_it() {
    // Helm installs what lies in a folder crds/ once, and never touches it again.
    assert!(!project::root().join("charts/flashsale/crds").exists());
    let chart = Rendered::with(&[]);
    assert_eq!(chart.all("CustomResourceDefinition").len(), 1);
}
