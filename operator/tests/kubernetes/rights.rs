//! The rights that the chart gives the operator are enough for all that it does.

use std::path::{Path, PathBuf};
use std::process::Command;

use flashsale_operator::crd::{FlashSale, Phase};
use flashsale_servers::{KubeApi, go_program};
use k8s_openapi::api::autoscaling::v2::HorizontalPodAutoscaler;
use k8s_openapi::api::core::v1::ServiceAccount;
use k8s_openapi::api::networking::v1::Ingress;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams};
use kube::{Api, ResourceExt};
use serde_json::json;

use super::support::{Operator, World, soon, start_kubernetes};

const SERVICE_ACCOUNT: &str = "flashsale-operator";
/// As the chart calls it in a release of this name.
const RELEASE: &str = "flashsale";

/// The chart's rights for the operator of a release in a namespace, for this namespace alone.
fn rights(namespace: &str) -> String {
    let chart: PathBuf = [env!("CARGO_MANIFEST_DIR"), "..", "charts", "flashsale"]
        .iter()
        .collect();
    let output = Command::new(go_program("helm").unwrap())
        .args(["template", RELEASE])
        .arg(chart)
        .args(["--namespace", namespace, "--show-only=templates/rbac.yaml"])
        .arg(format!("--set=watchNamespace={namespace}"))
        .output()
        .unwrap();
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

fn apply(kubernetes: &KubeApi, file: &Path) {
    let mut kubectl = kubernetes.kubectl();
    let applied = kubectl.args(["apply", "-f"]).arg(file).output().unwrap();
    assert!(applied.status.success(), "{applied:?}");
}

/// A namespace whose operators have the rights of the chart and no others.
async fn world_with_rights(kubernetes: &KubeApi) -> World {
    let mut world = World::on("rights", kubernetes).await;
    world.put_secret(&world.redis, &world.postgres).await;
    let file = kubernetes.kubeconfig().with_file_name("rights.yaml");
    std::fs::write(&file, rights(world.namespace)).unwrap();
    apply(kubernetes, &file);
    let account = format!(
        "system:serviceaccount:{}:{SERVICE_ACCOUNT}",
        world.namespace
    );
    world.kubeconfig = kubernetes.kubeconfig_as(&account).unwrap();
    world
}

/// Adds the kind ServiceMonitor to the API server.
fn install_service_monitors(kubernetes: &KubeApi) {
    let monitors = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/tests/kubernetes/monitors.yaml"
    );
    apply(kubernetes, monitors.as_ref());
    let established = ["wait", "--for=condition=Established", "crd", "--all"];
    let waited = kubernetes.kubectl().args(established).output().unwrap();
    assert!(waited.status.success(), "{waited:?}");
}

/// Waits until the ServiceMonitor is there, or is not.
async fn await_monitor(
    api: &Api<DynamicObject>,
    operator: &Operator,
    is: impl Fn(&Option<DynamicObject>) -> bool,
) -> Option<DynamicObject> {
    let begun = std::time::Instant::now();
    loop {
        let monitor = api.get_opt("deal-api").await.unwrap();
        if is(&monitor) {
            return monitor;
        }
        assert!(begun.elapsed().as_secs() < 30, "{}", operator.log());
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_the_rights_of_the_chart_everything_is_done_and_nothing_is_forbidden() {
    let kubernetes = tokio::task::spawn_blocking(start_kubernetes).await.unwrap();
    let world = world_with_rights(&kubernetes).await;
    let mut operator = world.operator("one");
    let more = |api| json!({"startAt": soon(3), "duration": "1h", "api": api});
    let everything = json!({
        "ingress": {"host": "shop.example"},
        "autoscaling": {"maxReplicas": 9},
    });
    world.flash_sale("deal", more(everything)).await;
    let status = world.await_status("it sells", "deal", |status| status.phase == Phase::Selling);
    status.await;
    world.await_event("deal", "Opened").await;

    // A ServiceMonitor too, once there are such and something is applied.
    install_service_monitors(&kubernetes);
    let template = json!({"labels": {"team": "shoes"}});
    let patch = json!({"spec": {"api": {"podTemplate": template}}});
    world.patch::<FlashSale>("deal", patch).await;
    let kind = flashsale_operator::resources::service_monitor_kind();
    let api: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), world.namespace, &kind);
    let monitor = await_monitor(&api, &operator, Option::is_some)
        .await
        .unwrap();
    assert_eq!(monitor.owner_references()[0].name, "deal");

    // Objects that are not desired any more are deleted.
    let patch = json!({"spec": {"api": {
        "ingress": null, "autoscaling": null, "serviceMonitor": false,
    }}});
    let kind = ApiResource::erase::<FlashSale>(&());
    let flash_sales: Api<DynamicObject> =
        Api::namespaced_with(world.client.clone(), world.namespace, &kind);
    let (params, patch) = (PatchParams::default(), Patch::Merge(patch));
    flash_sales.patch("deal", &params, &patch).await.unwrap();
    world.await_gone::<Ingress>("deal-api").await;
    world
        .await_gone::<HorizontalPodAutoscaler>("deal-api")
        .await;
    let deleted = await_monitor(&api, &operator, Option::is_none).await;
    assert_eq!(deleted, None);

    let params = DeleteParams::default();
    flash_sales.delete("deal", &params).await.unwrap();
    world.await_gone::<FlashSale>("deal").await;
    assert!(world.get::<ServiceAccount>("deal-api").await.is_some());
    assert_eq!(operator.terminate(), 0);
    let log = operator.log();
    assert!(!log.contains("forbidden"), "{log}");
    assert!(log.contains("leading"), "{log}");
}
