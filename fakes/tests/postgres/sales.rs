//! Sales and catalogues.

use flashsale_engine::postgres::operations::{Postgres, Shown};
use flashsale_engine::{Catalog, ItemId, Milestone, Sale};

use crate::operations::{Fixture, Operation as O, claim, sold};
use crate::support::{assert_same, fake, real};

#[tokio::test]
async fn the_life_of_sales_is_as_on_the_server() {
    let fixture = Fixture::new("life");
    let [past, current, future] = [-2, 0, 2].map(|hours| fixture.sale(hours));
    let all = [&past, &current, &future];
    let mut operations = vec![O::Ping, O::ReadSales(5), O::ReadSale(past.id.clone())];
    operations.extend(all.map(|sale| O::InsertSale(sale.clone())));
    operations.push(O::InsertSale(current.clone()));
    operations.extend([0, 1, 2, 9].map(O::ReadSales));
    for milestone in [Milestone::Seeded, Milestone::Closed] {
        operations.extend([O::Note(past.id.clone(), milestone), O::ReadSales(5)]);
    }
    operations.extend([O::SettleSale(past.id.clone(), 0), O::ReadSales(5)]);
    operations.extend([
        O::Note(past.id.clone(), Milestone::Retired),
        O::ReadSales(5),
    ]);
    // A sale that is retired is in the answer only where it is among the newest.
    operations.extend([0, 1, 2, 3].map(O::ReadSales));
    operations.push(O::Note(current.id.clone(), Milestone::Seeded));
    operations.push(O::Note(future.id.clone(), Milestone::Seeded));
    for sale in all {
        operations.extend([
            O::DeleteUnseeded(sale.id.clone()),
            O::Unseed(sale.id.clone()),
            O::ReadSale(sale.id.clone()),
            O::DeleteUnseeded(sale.id.clone()),
            O::ReadItems(sale.id.clone(), 0),
        ]);
    }
    let unknown = fixture.sale(5);
    operations.extend([
        O::Note(unknown.id.clone(), Milestone::Closed),
        O::SettleSale(unknown.id.clone(), 0),
        O::Unseed(unknown.id.clone()),
        O::DeleteUnseeded(unknown.id.clone()),
        O::ReadSales(9),
    ]);
    let answers = assert_same("life", &fixture, &operations).await;
    assert!(answers.last().unwrap().contains(past.id.as_str()));
    assert!(!answers.last().unwrap().contains(future.id.as_str()));
}

#[tokio::test]
async fn a_settled_sale_keeps_its_count_on_both() {
    let fixture = Fixture::new("count");
    let sale = fixture.sale(0);
    let id = || sale.id.clone();
    let one = claim(&sale, 1, 1, &[(0, sold(1, 1))]);
    let late = claim(&sale, 2, 2, &[(1, sold(1, 2))]);
    let operations = [
        O::InsertSale(sale.clone()),
        O::InsertOrders(vec![one]),
        O::ReadSale(id()),
        O::SettleSale(id(), 2),
        O::ReadStage(id()),
        O::SettleSale(id(), 1),
        O::ReadStage(id()),
        O::InsertOrders(vec![late.clone()]),
        O::InsertOrderByItem(late),
        O::SettleSale(id(), 7),
        O::ReadSale(id()),
        O::ReadSoldItems(id(), 0),
    ];
    assert_same("count", &fixture, &operations).await;
}

#[tokio::test]
async fn catalogues_are_read_as_on_the_server() {
    let fixture = Fixture::new("catalogue");
    let (sale, other) = (fixture.sale(0), fixture.sale(1));
    let id = || sale.id.clone();
    let mut operations = vec![
        O::InsertSale(sale.clone()),
        O::InsertOrders(vec![claim(
            &sale,
            1,
            1,
            &[(1, sold(1, 1)), (4, sold(2, 2))],
        )]),
        O::ReadItems(other.id.clone(), 0),
        O::HasItem(fixture.item(&sale, 3)),
        O::HasItem(fixture.item(&other, 3)),
        O::HasItem(ItemId::parse("nothing").unwrap()),
        O::ReadItemsByIndex(id(), vec![5, 0, 0, 77]),
        O::ReadItemsByIndex(id(), vec![]),
    ];
    operations.extend([0, 3, 6, 99].map(|from| O::ReadItems(id(), from)));
    for shown in [Shown::All, Shown::Available, Shown::Sold] {
        for (from, limit) in [(0, 9), (0, 2), (2, 2), (5, 0), (9, 9)] {
            operations.push(O::Browse(id(), from, shown, limit));
        }
    }
    assert_same("catalogue", &fixture, &operations).await;
}

/// A catalogue of more than one page is read page by page.
async fn pages(postgres: &impl Postgres, sale: &Sale, catalog: &Catalog) -> Vec<(usize, u32)> {
    assert!(postgres.insert_sale(sale, catalog).await.unwrap());
    let mut pages = Vec::new();
    let mut from = 0;
    loop {
        let page = postgres.read_items(&sale.id, from).await.unwrap();
        let Some(last) = page.last() else {
            return pages;
        };
        pages.push((page.len(), last.idx));
        from = last.idx + 1;
    }
}

#[tokio::test]
async fn a_catalogue_has_the_same_pages_on_both() {
    let fixture = Fixture::new("pages");
    let sale = Sale {
        items: 20_500,
        ..fixture.sale(0)
    };
    let catalog = fixture.catalog(&sale);
    let on_fake = pages(&fake(), &sale, &catalog).await;
    assert_eq!(on_fake, [(10_000, 9_999), (10_000, 19_999), (500, 20_499)]);
    assert_eq!(on_fake, pages(&real("pages").await, &sale, &catalog).await);
}

#[tokio::test]
async fn deleting_a_flash_sale_leaves_the_others_on_both() {
    let (fixture, other) = (Fixture::new("deleted"), Fixture::new("kept"));
    let (sale, kept) = (fixture.sale(0), other.sale(0));
    let both = [&sale, &kept];
    let mut operations = Vec::new();
    for (n, sale) in (1..).zip(both) {
        operations.extend([
            O::InsertSale(sale.clone()),
            O::InsertOrders(vec![claim(sale, n, 1, &[(0, sold(1, 1))])]),
            O::AppendAttempts(vec![fixture.added(sale, u64::from(n), (1, 9, 2))]),
        ]);
    }
    operations.push(O::DeleteFlashSale);
    for sale in both {
        operations.extend([
            O::ReadSale(sale.id.clone()),
            O::ReadItems(sale.id.clone(), 0),
            O::ReadSaleOutcomes(sale.id.clone(), None),
            O::ReadPurchases(sale.id.clone(), 0),
            O::ReadCarts(sale.clone()),
        ]);
    }
    let answers = assert_same("deleted", &fixture, &operations).await;
    let of_deleted = &answers[7..12];
    assert_eq!(of_deleted, ["None", "[]", "[]", "[]", "[]"]);
}
