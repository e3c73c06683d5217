//! Operations as values, with their answers as text.

use std::collections::BTreeMap;
use std::sync::Arc;

use flashsale_engine::postgres::operations::{Answer, Postgres, Shown};
use flashsale_engine::{
    Attempt, AttemptOutcome, AttemptRequest, BackendError, CURRENT_FORMAT, Catalog, CheckoutCode,
    Claim, CodeSuffix, FlashSaleName, ItemId, ItemOutcome, ItemResult, Limits, Milestone, Outcome,
    RequestId, Sale, SaleId, SaleRecord, UserId, Window,
};
use jiff::{SignedDuration, Timestamp};

/// A FlashSale of a test, with a name that no other test has, and the present minute.
#[derive(Debug, Clone)]
pub struct Fixture {
    pub flash_sale: FlashSaleName,
    pub now: Timestamp,
}

pub const LIMITS: Limits = Limits {
    per_user: 2,
    per_checkout: 3,
    total: 4,
};
pub const ITEMS: u32 = 6;

impl Fixture {
    pub fn new(name: &str) -> Self {
        Self {
            flash_sale: FlashSaleName::new("shop", name).unwrap(),
            now: Timestamp::now(),
        }
    }

    /// The sale that starts so many hours from now and goes on for an hour.
    pub fn sale(&self, starts_in_hours: i64) -> Sale {
        let starts_at =
            self.now + SignedDuration::from_hours(starts_in_hours) - SignedDuration::from_mins(1);
        Sale {
            id: SaleId::new(&self.flash_sale, starts_at),
            window: Window {
                starts_at,
                ends_at: starts_at + SignedDuration::from_hours(1),
            },
            limits: LIMITS,
            items: ITEMS,
            partitions: 4,
            best_effort: starts_in_hours % 2 == 0,
            format: CURRENT_FORMAT,
        }
    }

    pub fn catalog(&self, sale: &Sale) -> Catalog {
        let prefix = format!("{}-{}", self.flash_sale.name(), sale.id.starts_label());
        Catalog::generate(sale.items, &prefix).unwrap()
    }

    pub fn item(&self, sale: &Sale, idx: u32) -> ItemId {
        let catalog = self.catalog(sale);
        ItemId::parse(&catalog.get(idx).unwrap().id).unwrap()
    }

    pub fn attempt(&self, sale: Option<&Sale>, n: u64, after_us: i64) -> Attempt {
        let start = sale.map_or(self.now, |sale| sale.window.starts_at);
        Attempt {
            request: AttemptRequest {
                id: uuid::Uuid::from_u64_pair(hash(self.flash_sale.as_str()), n),
                at_us: start.as_microsecond() + after_us,
                user: None,
                item: None,
                request_id: RequestId::parse("request").unwrap(),
            },
            sale: sale.map(|sale| Arc::new(sale.id.clone())),
            suffix: None,
            outcome: AttemptOutcome::Added,
        }
    }

    /// An attempt that added an item to the cart of a code.
    pub fn added(&self, sale: &Sale, n: u64, (user, code, idx): (u8, u8, u32)) -> Attempt {
        let mut attempt = self.attempt(Some(sale), n, i64::try_from(n).unwrap() + 1);
        attempt.request.user = Some(UserId::parse(&user_of(user)).unwrap());
        attempt.request.item = Some(self.item(sale, idx));
        attempt.suffix = Some(suffix(code));
        attempt
    }
}

fn hash(text: &str) -> u64 {
    text.bytes().fold(7, |hash, byte| {
        hash.wrapping_mul(31).wrapping_add(u64::from(byte))
    })
}

pub fn user_of(user: u8) -> String {
    format!("user-{user}")
}

pub fn suffix(code: u8) -> CodeSuffix {
    CodeSuffix::parse(&format!("00{code:020}")).unwrap()
}

pub fn code(sale: &Sale, code: u8) -> CheckoutCode {
    CheckoutCode {
        sale: sale.id.clone(),
        suffix: suffix(code),
    }
}

/// An item that was sold at these slots.
pub fn sold(user_slot: u32, sale_slot: u32) -> ItemOutcome {
    ItemOutcome::Sold {
        user_slot,
        sale_slot,
    }
}

pub fn claim(sale: &Sale, number: u8, user: u8, results: &[(u32, ItemOutcome)]) -> Claim {
    let result = |(idx, outcome): &(u32, ItemOutcome)| ItemResult {
        idx: *idx,
        outcome: *outcome,
    };
    Claim {
        code: code(sale, number),
        outcome: Outcome {
            user: user_of(user),
            request_id: format!("request-{number}"),
            at_ms: 1_790_000_000_000 + i64::from(number),
            results: results.iter().map(result).collect(),
        },
        replayed: false,
    }
}

/// One operation.
#[derive(Debug, Clone)]
pub enum Operation {
    ReadSales(u32),
    ReadSale(SaleId),
    InsertSale(Sale),
    Note(SaleId, Milestone),
    SettleSale(SaleId, u32),
    ReadStage(SaleId),
    Unseed(SaleId),
    DeleteUnseeded(SaleId),
    DeleteFlashSale,
    ReadItems(SaleId, u32),
    Browse(SaleId, u32, Shown, usize),
    ReadItemsByIndex(SaleId, Vec<u32>),
    HasItem(ItemId),
    InsertOrders(Vec<Claim>),
    InsertOrderByItem(Claim),
    ReadOutcomes(Vec<CheckoutCode>),
    ReadResultKinds(Vec<CheckoutCode>),
    ReadSaleOutcomes(SaleId, Option<CodeSuffix>),
    ReadPurchases(SaleId, u32),
    ReadSoldItems(SaleId, u32),
    ReadPurchasesOf(SaleId, Vec<u32>),
    ReadCorrectionFacts(SaleId, String, Vec<u32>, Vec<u32>),
    AppendAttempts(Vec<Attempt>),
    ReadCarts(Sale),
    Ping,
}

/// Carries an operation out and shows its answer, in an order of its own where the seam promises
/// none.
pub async fn answer(postgres: &impl Postgres, fixture: &Fixture, operation: &Operation) -> String {
    use Operation as O;
    match operation {
        O::ReadSales(newest) => {
            let answer = postgres.read_sales(&fixture.flash_sale, *newest).await;
            show(answer.map(|records| records.into_iter().map(without_times).collect::<Vec<_>>()))
        }
        O::ReadSale(id) => show(postgres.read_sale(id).await.map(|r| r.map(without_times))),
        O::InsertSale(sale) => show(postgres.insert_sale(sale, &fixture.catalog(sale)).await),
        O::Note(id, milestone) => show(postgres.note_milestone(id, *milestone).await),
        O::SettleSale(id, sold) => show(postgres.settle_sale(id, *sold).await),
        O::ReadStage(id) => show(postgres.read_stage(id).await),
        O::Unseed(id) => show(postgres.unseed_sale(id).await),
        O::DeleteUnseeded(id) => show(postgres.delete_unseeded_sale(id).await),
        O::DeleteFlashSale => show(postgres.delete_flash_sale(&fixture.flash_sale).await),
        O::ReadItems(sale, from) => show(postgres.read_items(sale, *from).await),
        O::Browse(sale, from, shown, limit) => {
            show(postgres.browse_items(sale, *from, *shown, *limit).await)
        }
        O::ReadItemsByIndex(sale, indexes) => {
            let answer = postgres.read_items_by_index(sale, indexes).await;
            show(answer.map(|mut items| {
                items.sort_by_key(|item| item.idx);
                items
            }))
        }
        O::HasItem(item) => show(postgres.has_item(item).await),
        O::InsertOrders(claims) => {
            let claims: Vec<_> = claims.iter().collect();
            show(postgres.insert_orders(&claims).await)
        }
        O::InsertOrderByItem(claim) => show(postgres.insert_order_by_item(claim).await),
        O::ReadOutcomes(codes) => show(read_outcomes(postgres, codes).await),
        O::ReadResultKinds(codes) => show(postgres.read_result_kinds(codes).await.map(sorted)),
        O::ReadSaleOutcomes(sale, after) => {
            show(postgres.read_sale_outcomes(sale, after.as_ref()).await)
        }
        O::ReadPurchases(sale, from) => show(postgres.read_purchases(sale, *from).await),
        O::ReadSoldItems(sale, from) => show(postgres.read_sold_items(sale, *from).await),
        O::ReadPurchasesOf(sale, of) => show(postgres.read_purchases_of_items(sale, of).await),
        O::ReadCorrectionFacts(sale, user, items, slots) => {
            let answer = postgres.read_correction_facts(sale, user, items, slots);
            show(answer.await.map(|mut facts| {
                facts.sold.sort_unstable();
                facts.free_sale_slots.sort_unstable();
                facts
            }))
        }
        O::AppendAttempts(attempts) => {
            let attempts: Vec<&Attempt> = attempts.iter().collect();
            show(append(postgres, fixture, &attempts).await)
        }
        O::ReadCarts(sale) => show(postgres.read_carts(sale, 0).await.map(|mut carts| {
            carts.sort_by_key(|cart| cart.suffix);
            carts
        })),
        O::Ping => show(postgres.ping().await),
    }
}

async fn append(postgres: &impl Postgres, fixture: &Fixture, attempts: &[&Attempt]) -> Answer<()> {
    let flash_sale = &fixture.flash_sale;
    postgres.append_attempts(flash_sale, attempts).await
}

/// An answer as text: values whole, errors of the server by their SQLSTATE.
fn show<T: std::fmt::Debug>(answer: Answer<T>) -> String {
    match answer {
        Ok(value) => format!("{value:?}"),
        Err(BackendError::Postgres { sqlstate, .. }) => format!("SQLSTATE {sqlstate:?}"),
        Err(BackendError::Unexpected { .. }) => "unexpected".to_owned(),
        Err(error) => format!("{error:?}"),
    }
}

async fn read_outcomes(
    postgres: &impl Postgres,
    codes: &[CheckoutCode],
) -> Answer<BTreeMap<String, Outcome>> {
    let found = postgres.read_outcomes(codes).await?;
    found.complete(codes).map(sorted)
}

fn sorted<T>(answers: std::collections::HashMap<CheckoutCode, T>) -> BTreeMap<String, T> {
    let by_text = answers.into_iter();
    by_text
        .map(|(code, answer)| (code.to_string(), answer))
        .collect()
}

/// Milestones are noted at the server's present time: only that they are noted is the same.
fn without_times(record: SaleRecord) -> (Sale, [bool; 4], u32) {
    let noted = [
        record.seeded_at.is_some(),
        record.closed_at.is_some(),
        record.settled_at.is_some(),
        record.retired_at.is_some(),
    ];
    (record.sale, noted, record.sold)
}
