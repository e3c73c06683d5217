//! A place where a FlashSale is carried out and people can buy: processes of this machine, or
//! pods of a cluster. What the demo reads of either.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use flashsale_servers::query;
use serde::Serialize;

use crate::{
    http,
    project::Profile,
    session::Session,
    status::{PastSale, Status},
};

const PLAN_LIMIT: Duration = Duration::from_secs(10);
const FIRST_STATUS_LIMIT: Duration = Duration::from_secs(60);

/// Where everything is, as in `endpoints.json`.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Endpoints {
    /// Base URLs of the public ports.
    pub api: Vec<String>,
    /// Base URLs of the internal ports.
    pub internal: Vec<String>,
    /// URLs of all Redis nodes, separated by commas.
    pub redis: String,
    /// URL of the database.
    pub postgres: String,
    /// Id of the active sale, else of the next one.
    pub sale: Option<String>,
}

/// See the module.
pub trait Shop {
    /// Fails where something of it has ended.
    fn check(&mut self) -> Result<()>;

    /// The status that the operator has written.
    fn status(&self) -> Status;

    /// Where everything is; the sale is filled in by [`Shop::endpoints`].
    fn places(&self) -> &Endpoints;

    /// What Redis answers to a command about a key.
    fn ask_redis(&self, words: &[&str]) -> Result<String>;

    /// The profile that the load generator for it is built with.
    fn load_profile(&self) -> Profile {
        Profile::Release
    }

    /// Where everything is now.
    fn endpoints(&self) -> Endpoints {
        Endpoints {
            sale: self.status().sale().map(str::to_owned),
            ..self.places().clone()
        }
    }

    /// How many items of a sale are sold, in Postgres and in Redis; in Redis as far as it
    /// still holds the sale.
    fn sold(&self, sale: &str) -> Result<(u64, Option<u64>)> {
        // The id is one that the operator made: no quote can be in it.
        let count = format!("SELECT count(*) FROM purchases WHERE sale_id = '{sale}'");
        let in_postgres = query(&self.places().postgres, &count)?;
        let held = self.ask_redis(&["EXISTS", &format!("{{{sale}}}:meta")])?;
        let bits = self.ask_redis(&["BITCOUNT", &format!("{{{sale}}}:sold")])?;
        let number = |text: &str| {
            let found = || format!("expected a number of sold items, found {text:?}");
            text.parse().with_context(found)
        };
        let in_redis = (held == "1").then(|| number(&bits)).transpose()?;
        Ok((number(&in_postgres)?, in_redis))
    }

    /// Waits until the sale is open wherever people buy and returns its id.
    fn await_open(&mut self, session: &Session, limit: Duration) -> Result<String> {
        session.await_that("the sale opens", limit, || {
            self.check()?;
            Ok(self.active_sale())
        })
    }

    /// The sale that is open wherever people buy.
    fn active_sale(&self) -> Option<String> {
        let at = |api: &String| match http::get(api, "/sales/active").ok()? {
            (200, sale) => Some(sale.get("id")?.as_str()?.to_owned()),
            _ => None,
        };
        let open: Option<Vec<String>> = self.places().api.iter().map(at).collect();
        open?.into_iter().next()
    }

    /// The operator's status once it has planned a sale. A manifest may plan none, so
    /// after some seconds it comes without one.
    fn await_planned(&mut self, session: &Session) -> Result<Status> {
        let deadline = Instant::now() + PLAN_LIMIT;
        session.await_that("the operator plans a sale", FIRST_STATUS_LIMIT, || {
            self.check()?;
            let status = self.status();
            let is_done = status.sale().is_some() || Instant::now() >= deadline;
            Ok(is_done.then_some(status))
        })
    }

    /// Waits until a sale is over and settled, and returns what came of it.
    fn await_settled(
        &mut self,
        session: &Session,
        sale: &str,
        limit: Duration,
    ) -> Result<PastSale> {
        session.await_that("the sale is over and settled", limit, || {
            self.check()?;
            Ok(self.status().past(sale).cloned())
        })
    }
}
