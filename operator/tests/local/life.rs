//! Sales as they should be.

use std::time::Duration;

use flashsale_engine::{
    Ambient, BackendUrls, Backends, Checkout, CheckoutCode, ItemId, RequestId, SellingOptions,
    SellingService, UserId,
};
use flashsale_operator::crd::{Phase, SaleResult};
use jiff::{SignedDuration, Timestamp};

use crate::support::{World, in_seconds};

/// Each change of the sale is one line.
fn check_lines(output: &str) {
    for word in [
        "Scheduled",
        "Seeded",
        "Opened",
        "Ended",
        "Settled",
        "Finished",
    ] {
        assert_eq!(
            output.matches(&format!(" {word} ")).count(),
            1,
            "{word} in:\n{output}"
        );
    }
}

/// The log of the engine and the driver is on the other stream, a JSON object a line.
fn check_log(log: &str, id: &str) {
    let lines: Vec<serde_json::Value> = log
        .lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|_| panic!("{line}")))
        .collect();
    assert!(
        lines
            .iter()
            .any(|line| line["message"] == "seeded" && line["sale"] == id),
        "{log}"
    );
}

#[test]
fn a_sale_is_seeded_opened_closed_settled_and_retired() {
    let world = World::new("life");
    let start = in_seconds(6);
    let manifest = world.manifest(
        start,
        "  duration: 3s\n  limits: {total: 40}\n  api: {warmUp: 3s, coolDown: 1s}",
    );
    let mut operator = world.start(&manifest);

    let scheduled = operator.await_phase(Phase::Scheduled);
    assert!(!scheduled.next_sale.unwrap().seeded);
    let id = operator.await_seeded();
    assert!(Timestamp::now() < start, "it is prepared before it opens");
    assert!(world.redis_holds(&id));

    let open = operator.await_phase(Phase::Selling).active_sale.unwrap();
    assert_eq!(open.id, id);
    assert_eq!(
        (open.starts_at.0, open.sold_of_total.as_str()),
        (start, "0/40")
    );
    assert!(
        Timestamp::now() < start + SignedDuration::from_secs(2),
        "it opens on time"
    );

    let finished = operator.await_phase(Phase::Finished);
    assert_eq!(finished.history.len(), 1);
    assert_eq!(
        (finished.history[0].result, finished.history[0].total),
        (SaleResult::Successful, Some(40))
    );
    assert_eq!(world.sales(), [[true; 4]]);
    assert!(!world.redis_holds(&id), "{}", world.ask_redis("KEYS *"));

    assert_eq!(operator.signal("-TERM").code(), Some(0), "a clean end");
    check_lines(&operator.output());
    check_log(&operator.log(), &id);
}

#[test]
fn listed_items_are_sold_and_what_was_bought_is_in_the_history() {
    let world = World::new("listed");
    let start = in_seconds(3);
    let manifest = world.manifest_of(
        "{configMapRef: {name: goods, key: items.csv}}",
        start,
        "  duration: 7s\n  api: {warmUp: 3s, coolDown: 0s}",
        "---
apiVersion: v1
kind: ConfigMap
metadata: {name: goods, namespace: shop}
data:
  items.csv: |
    id,name,image_url
    mug-1,Blue mug,
    mug-2,\"Red mug, large\",/red.jpg
    mug-3,Green mug,
",
    );
    let mut operator = world.start(&manifest);
    operator.await_phase(Phase::Selling);
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let bought = runtime.block_on(buy(&world, &["mug-2", "mug-3"]));
    assert_eq!(bought, ["Red mug, large", "Green mug"]);

    operator.await_status("the count of sold items is written", |status| {
        let sale = status.active_sale.as_ref();
        sale.is_some_and(|sale| sale.sold_of_total == "2/3")
    });
    let finished = operator.await_phase(Phase::Finished);
    let sale = &finished.history[0];
    assert_eq!(
        (sale.result, sale.sold, sale.total),
        (SaleResult::Successful, 2, Some(3))
    );
    assert!(
        operator
            .output()
            .contains("2 of 3 items are sold and settled"),
        "{}",
        operator.output()
    );
    assert_eq!(world.records()[0].sold, 2);
}

/// Buys items through a selling service as an API process has it; returns the names of what was
/// sold.
async fn buy(world: &World, items: &[&str]) -> Vec<String> {
    let urls = BackendUrls::new(&*world.redis, &*world.postgres);
    let options = SellingOptions {
        flash_sale: world.flash_sale(),
        attempts_backlog: 100,
    };
    let ambient = Ambient::system().unwrap();
    let request_id = || RequestId::generate(&ambient.random);
    let backends = Backends::connect(&urls, 2, &ambient).await.unwrap();
    let service = SellingService::start(&options, backends, &ambient)
        .await
        .unwrap();
    let ready = async {
        while service.active().is_none() || service.not_ready().is_some() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(6), ready)
        .await
        .expect("the sale is open in the service too");
    let user = UserId::parse("ann").unwrap();
    let mut code = None;
    for item in items {
        let item = ItemId::parse(item).unwrap();
        let request = request_id();
        match service.checkout(&user, &item, &request).await.unwrap() {
            Checkout::InCart { code: text, .. } => code = CheckoutCode::parse(&text),
            Checkout::Refused(refusal) => panic!("refused: {refusal:?}"),
        }
    }
    let order = service
        .purchase(&code.unwrap(), &request_id())
        .await
        .unwrap();
    assert_eq!(order.sold_count(), items.len());
    assert!(service.stop(Duration::from_secs(5)).await);
    order.items.into_iter().map(|(item, _)| item.name).collect()
}
