//! Sales that open, close and follow each other by the clock, without an operator.

use flashsale_engine::{Catalog, Sale, SaleId, Window};
use jiff::{SignedDuration, Timestamp};

use super::support::{Answer, Stack, limits};

const FLASH_SALE: &str = "shop.brief";
const LENGTH: SignedDuration = SignedDuration::from_secs(2);

/// Redis reads its clock once for several commands, and in milliseconds.
const CLOCKS_DIFFER: SignedDuration = SignedDuration::from_millis(5);

/// The result of a checkout of an item of `sale` while `active` is the active sale.
fn expected(active: Option<&Sale>, sale: &Sale) -> (u16, &'static str) {
    match active {
        None => (400, "sale_not_active"),
        Some(active) if active.id == sale.id => (200, ""),
        Some(_) => (400, "item_of_another_sale"),
    }
}

fn found(answer: &Answer) -> (u16, String) {
    let body = answer.json();
    let code = body["code"].as_str().filter(|_| answer.status != 200);
    (answer.status, code.unwrap_or_default().to_owned())
}

/// Seeds three sales: the second starts when the first ends, the third follows after a gap.
async fn seed_three(stack: &Stack, first_start: Timestamp) -> Vec<(Sale, Catalog)> {
    let mut sales = Vec::new();
    for (n, starts_at) in [first_start, first_start + LENGTH, first_start + LENGTH * 3]
        .into_iter()
        .enumerate()
    {
        // Ids have minutes, and these sales are too short for minutes of their own.
        let minute = SignedDuration::from_mins(n as i64);
        let sale = stack.seed_as(FLASH_SALE, minute, 200, |sale| {
            let ends_at = starts_at + LENGTH;
            sale.window = Window { starts_at, ends_at };
        });
        sales.push(sale.await);
    }
    sales
}

/// How long a checkout looks up whether an item belongs to another sale; then it is unknown.
const ITEM_WAIT: SignedDuration = SignedDuration::from_millis(50);

/// The checkouts of a test, one after the other, each for the next of the three sales.
struct Checkouts<'a> {
    sales: &'a [(Sale, Catalog)],
    /// The active sale and the status of each checkout that no change of sales overlapped.
    seen: Vec<(Option<&'a SaleId>, u16)>,
    /// The last code of each sale.
    codes: [String; 3],
}

impl<'a> Checkouts<'a> {
    fn active_at(&self, at: Timestamp) -> Option<&'a Sale> {
        let mut all = self.sales.iter().map(|(sale, _)| sale);
        all.find(|sale| sale.window.contains(at))
    }

    /// Sends checkout `n` and checks its response against the time at which it was sent.
    async fn send(&mut self, stack: &Stack, api: usize, n: usize) {
        let (sale, catalog) = &self.sales[n % 3];
        let item = &catalog.get((n / 3) as u32 % 200).unwrap().id;
        let before = Timestamp::now();
        let answer = stack.checkout(api, &format!("user-{n}"), item).await;
        let after = Timestamp::now();
        let found = found(&answer);
        let around =
            [before - CLOCKS_DIFFER, after + CLOCKS_DIFFER].map(|moment| self.active_at(moment));
        let mut possible = around.map(|active| expected(active, sale)).to_vec();
        if around[0] != around[1] {
            // During a change the process may send a cart to a sale that has ended or has not
            // started by the clock of Redis, which decides.
            possible.push(expected(None, sale));
        }
        if after.duration_since(before) >= ITEM_WAIT {
            // On a busy machine the look-up of the item may end without an answer.
            possible.push((404, "unknown_item"));
        }
        assert!(
            possible.contains(&(found.0, found.1.as_str())),
            "{found:?} between {before} and {after}, expected one of {possible:?} of {:?}",
            self.sales
        );
        if answer.status == 200 {
            self.codes[n % 3] = answer.json()["code"].as_str().unwrap().to_owned();
        }
        let result = (around[0].map(|sale| &sale.id), found.0);
        if around[0] == around[1] && !self.seen.contains(&result) {
            self.seen.push(result);
        }
    }
}

/// Two sales, the second of which starts when the first ends; a gap; a third sale. Every response
/// is that of its moment.
#[tokio::test(flavor = "multi_thread")]
async fn sales_open_and_close_and_follow_each_other_by_the_clock() {
    let mut stack = Stack::start(5, limits(5), 0).await;
    let first_start = Timestamp::now() + SignedDuration::from_secs(4);
    let sales = seed_three(&stack, first_start).await;
    let api = stack.start_api_with(&["--flash-sale", FLASH_SALE]).await;
    assert!(Timestamp::now() < first_start, "too slow to see it open");
    let end = sales[2].0.window.ends_at + SignedDuration::from_millis(300);
    let mut checkouts = Checkouts {
        sales: &sales,
        seen: Vec::new(),
        codes: [const { String::new() }; 3],
    };
    let mut n = 0;
    while Timestamp::now() < end {
        checkouts.send(&stack, api, n).await;
        n += 1;
    }

    // Checkouts were sent before the sales, in each of the three, in the gap and after.
    let [a, b, c] = [0, 1, 2].map(|n| Some(&sales[n].0.id));
    let Checkouts { seen, codes, .. } = checkouts;
    for result in [
        (None, 400),
        (a, 200),
        (a, 400),
        (b, 200),
        (b, 400),
        (c, 200),
    ] {
        assert!(seen.contains(&result), "{result:?} is not among {seen:?}");
    }
    // A purchase after the end buys nothing, also where no operator has closed the sale. It is refused
    // for good once the sale is settled.
    for code in &codes {
        let late = stack.purchase(api, code).await;
        late.problem(503, "unavailable");
    }
    let sold: i64 = stack.sql("SELECT count(*) FROM purchases").await;
    assert_eq!(sold, 0);
    stack.awaits_attempts().await;
}
