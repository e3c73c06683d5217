//! Many FlashSales, and what they cost at rest.

use std::time::Duration;

use flashsale_operator::crd::{FlashSale, Phase};
use flashsale_servers::KubeApi;
use kube::api::ListParams;
use serde_json::json;

use super::support::{Operator, World, start_kubernetes};

const MANY: usize = 200;
/// With so many FlashSales.
const MOST_MEMORY_KIB: u64 = 64 * 1024;
/// How long nothing may happen.
const REST: Duration = Duration::from_secs(60);

/// Requests that write, as the API server counts them, but for those about Leases: these are how
/// operators live.
fn writes(kubernetes: &KubeApi) -> f64 {
    let mut ask = kubernetes.kubectl();
    let metrics = ask.args(["get", "--raw", "/metrics"]).output().unwrap();
    let metrics = String::from_utf8(metrics.stdout).unwrap();
    let counted = metrics.lines().filter(|line| {
        line.starts_with("apiserver_request_total{")
            && ["POST", "PUT", "PATCH", "APPLY", "DELETE"]
                .iter()
                .any(|verb| line.contains(&format!("verb=\"{verb}\"")))
            && !line.contains("resource=\"leases\"")
            // Those of the server itself.
            && !line.contains("group=\"apiregistration.k8s.io\"")
            && !line.contains("group=\"flowcontrol.apiserver.k8s.io\"")
            && !line.contains("group=\"authentication.k8s.io\"")
            && !line.contains("group=\"authorization.k8s.io\"")
    });
    let value = |line: &str| line.rsplit(' ').next()?.parse::<f64>().ok();
    counted.filter_map(value).sum()
}

/// Reconciliations that were not idle.
async fn work(operator: &Operator) -> String {
    let metrics = operator.ask("/metrics").await;
    let counted = metrics.lines().filter(|line| {
        line.starts_with("flashsale_operator_reconciliations_total") && !line.contains("idle")
    });
    counted.collect::<Vec<_>>().join("\n")
}

fn resident_kib(operator: &Operator) -> u64 {
    let status = operator.proc("status");
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse().unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn two_hundred_flash_sales_at_once_take_little_memory_and_at_rest_no_work() {
    let kubernetes = tokio::task::spawn_blocking(start_kubernetes).await.unwrap();
    let world = World::on("many", &kubernetes).await;
    world.put_secret(&world.redis, &world.postgres).await;
    // As it is by default: so much work on a busy machine may keep a renewal waiting for seconds.
    let operator = world.operator_with("one", 15);
    for n in 0..MANY {
        let more = json!({"schedule": "30 3 1 1 *"});
        world.flash_sale(&format!("deal-{n}"), more).await;
    }
    let begun = std::time::Instant::now();
    loop {
        let (api, params) = (world.api::<FlashSale>(), ListParams::default());
        let all = api.list(&params).await.unwrap().items;
        let scheduled = all.iter().filter(|flash_sale| {
            let status = flash_sale.status.as_ref();
            status.is_some_and(|status| status.phase == Phase::Scheduled)
        });
        if scheduled.count() == MANY {
            break;
        }
        assert!(begun.elapsed().as_secs() < 120, "{}", operator.log());
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    // The last events and statuses are on their way.
    let mut before = writes(&kubernetes);
    assert!(before > MANY as f64 * 8.0, "{before} writes are counted");
    loop {
        tokio::time::sleep(Duration::from_secs(2)).await;
        let now = writes(&kubernetes);
        if now == before {
            break;
        }
        before = now;
    }
    let worked = work(&operator).await;
    tokio::time::sleep(REST).await;
    assert_eq!(writes(&kubernetes), before, "{}", operator.log());
    assert_eq!(work(&operator).await, worked, "it has observed backends");
    let memory = resident_kib(&operator);
    println!("{MANY} FlashSales: {memory} KiB resident");
    assert!(memory <= MOST_MEMORY_KIB, "{memory} KiB");
}
