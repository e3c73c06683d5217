//! The adapter of [`Postgres`] to a real database: each method is a function of the file of its
//! table.

use std::collections::HashMap;

use jiff::Timestamp;

use crate::domain::attempt::Attempt;
use crate::domain::cart::LoggedCart;
use crate::domain::catalog::{Catalog, Item};
use crate::domain::code::{CheckoutCode, CodeSuffix};
use crate::domain::ids::ItemId;
use crate::domain::lifecycle::{Milestone, SaleRecord, SaleStage};
use crate::domain::outcome::{Claim, ItemResultKind, Outcome, Purchase};
use crate::domain::sale::{FlashSaleName, Sale, SaleId};
use crate::domain::watermark::Watermarks;
use crate::postgres::operations::{Answer, CorrectionFacts, FoundOutcomes, Postgres, Shown};
use crate::postgres::pool::PostgresPool;
use crate::postgres::{
    attempts, insert_orders, items, read_outcomes, read_purchases, sales, watermarks,
};

impl Postgres for PostgresPool {
    async fn ping(&self) -> Answer<()> {
        self.run("ping", |session| {
            Box::pin(async move { sqlx::query("SELECT 1").execute(session).await.map(drop) })
        })
        .await
    }

    async fn read_sales(&self, flash_sale: &FlashSaleName, newest: u32) -> Answer<Vec<SaleRecord>> {
        sales::read(self, flash_sale.as_str(), "", newest).await
    }

    async fn read_sale(&self, id: &SaleId) -> Answer<Option<SaleRecord>> {
        Ok(sales::read(self, "", id.as_str(), 1).await?.pop())
    }

    async fn insert_sale(&self, sale: &Sale, catalog: &Catalog) -> Answer<bool> {
        sales::insert(self, sale, catalog).await
    }

    async fn note_milestone(&self, id: &SaleId, milestone: Milestone) -> Answer<()> {
        sales::note(self, id, milestone).await
    }

    async fn settle_sale(&self, id: &SaleId, sold: u32) -> Answer<bool> {
        sales::settle(self, id, sold).await
    }

    async fn read_stages(&self, ids: &[SaleId]) -> Answer<HashMap<SaleId, SaleStage>> {
        sales::read_stages(self, ids).await
    }

    async fn unseed_sale(&self, id: &SaleId) -> Answer<bool> {
        sales::unseed(self, id).await
    }

    async fn delete_unseeded_sale(&self, id: &SaleId) -> Answer<()> {
        sales::delete_unseeded(self, id).await
    }

    async fn delete_flash_sale(&self, flash_sale: &FlashSaleName) -> Answer<()> {
        sales::delete_flash_sale(self, flash_sale).await
    }

    async fn read_items(&self, sale: &SaleId, from: u32) -> Answer<Vec<Item>> {
        items::read(self, sale, from).await
    }

    async fn browse_items(
        &self,
        sale: &SaleId,
        from: u32,
        shown: Shown,
        limit: usize,
    ) -> Answer<Vec<(Item, bool)>> {
        items::browse(self, sale, from, shown, limit).await
    }

    async fn read_items_by_index(&self, sale: &SaleId, indexes: &[u32]) -> Answer<Vec<Item>> {
        items::read_by_index(self, sale, indexes).await
    }

    async fn has_item(&self, item: &ItemId) -> Answer<bool> {
        items::exists(self, item).await
    }

    async fn insert_orders(&self, claims: &[&Claim]) -> Answer<()> {
        insert_orders::insert(self, claims).await
    }

    async fn insert_order_by_item(&self, claim: &Claim) -> Answer<Outcome> {
        insert_orders::insert_by_item(self, claim).await
    }

    async fn read_outcomes(&self, codes: &[CheckoutCode]) -> Answer<FoundOutcomes> {
        read_outcomes::read(self, codes).await
    }

    async fn read_result_kinds(
        &self,
        codes: &[CheckoutCode],
    ) -> Answer<HashMap<CheckoutCode, Vec<(u32, ItemResultKind)>>> {
        read_outcomes::read_kinds(self, codes).await
    }

    async fn read_sale_outcomes(
        &self,
        sale: &SaleId,
        after: Option<&CodeSuffix>,
    ) -> Answer<Vec<(CodeSuffix, Outcome)>> {
        read_outcomes::read_of_sale(self, sale, after).await
    }

    async fn read_purchases(&self, sale: &SaleId, from: u32) -> Answer<Vec<Purchase>> {
        read_purchases::read(self, sale, from).await
    }

    async fn read_sold_items(&self, sale: &SaleId, from: u32) -> Answer<Vec<u32>> {
        read_purchases::read_sold_items(self, sale, from).await
    }

    async fn read_purchases_of_items(&self, sale: &SaleId, items: &[u32]) -> Answer<Vec<Purchase>> {
        read_purchases::read_of_items(self, sale, items).await
    }

    async fn read_correction_facts(
        &self,
        sale: &SaleId,
        user: &str,
        items: &[u32],
        sale_slots: &[u32],
    ) -> Answer<CorrectionFacts> {
        read_purchases::read_correction_facts(self, sale, user, items, sale_slots).await
    }

    async fn append_attempts(
        &self,
        flash_sale: &FlashSaleName,
        attempts: &[&Attempt],
    ) -> Answer<()> {
        attempts::append(self, flash_sale, attempts).await
    }

    async fn read_carts(&self, sale: &Sale, partition: u16) -> Answer<Vec<LoggedCart>> {
        attempts::read_carts(self, sale, partition).await
    }

    async fn create_attempt_days(
        &self,
        flash_sale: &FlashSaleName,
        first: Option<Timestamp>,
        days: u32,
    ) -> Answer<()> {
        attempts::create_days(self, flash_sale, first, days).await
    }

    async fn drop_attempt_days(&self, flash_sale: &FlashSaleName, keep_days: u32) -> Answer<()> {
        attempts::drop_days(self, flash_sale, keep_days).await
    }

    async fn publish_watermark(
        &self,
        flash_sale: &FlashSaleName,
        process: u64,
        settled_through_us: i64,
    ) -> Answer<i64> {
        watermarks::publish(self, flash_sale, process, settled_through_us).await
    }

    async fn delete_watermark(&self, process: u64) -> Answer<()> {
        watermarks::delete(self, process).await
    }

    async fn delete_silent_watermarks(
        &self,
        flash_sale: &FlashSaleName,
        silent_us: i64,
    ) -> Answer<()> {
        watermarks::delete_silent(self, flash_sale, silent_us).await
    }

    async fn read_watermarks(&self, flash_sale: &FlashSaleName) -> Answer<Watermarks> {
        watermarks::read(self, flash_sale).await
    }

    fn connections(&self) -> (i64, i64) {
        self.count_connections()
    }
}
