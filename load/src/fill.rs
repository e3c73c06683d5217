//! Fills carts that a run of the profile `purchases` buys: what is measured then is the purchase
//! alone.
//!
//! Each cart holds the items that follow those of the cart before. The items of carts that are
//! bought in their order are therefore sold without a gap, and the next carts begin behind them.

use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use futures_util::{StreamExt, TryStreamExt, stream};
use hyper::Method;

use crate::client::answer::Answer;
use crate::client::call::Call;
use crate::client::catalogue::{Catalogue, Sale};
use crate::client::connection::{Client, Target};
use crate::client::pool::Pool;
use crate::client::run_id::RunId;
use crate::clock::Clock;
use crate::error::LoadError;

/// Items of a cart, as in the profile `mixed`.
const ITEMS: u32 = 3;
/// Longest wait for one answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(10);

/// Fills carts of three items of the active sale, which nobody else may buy meanwhile.
///
/// Writes their checkout codes to a file for `--profile purchases --carts FILE`.
///
/// Exit codes: 0 filled, where the sale has items for fewer carts so many; 1 not filled;
/// 2 wrong usage; 130 interrupted.
#[derive(Debug, Clone, Args)]
pub struct Fill {
    /// Where the API is: http://HOST:PORT, several separated by commas.
    #[arg(long, value_delimiter = ',', required = true, num_args = 1.., env = "FLASHSALE_TARGET")]
    pub target: Vec<Target>,

    /// How many carts, each of a user of its own.
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub carts: u32,

    /// File for the checkout codes, one a line.
    #[arg(long)]
    pub file: PathBuf,

    /// Connections over all targets.
    #[arg(long, default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..=20_000))]
    pub connections: u32,
}

/// What was filled.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Filled {
    /// Carts.
    pub carts: usize,
    /// Where their codes are.
    pub file: PathBuf,
}

impl fmt::Display for Filled {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (carts, file) = (self.carts, self.file.display());
        write!(f, "filled {carts} carts, their codes are in {file}")
    }
}

impl Fill {
    /// Fills the carts and writes the file.
    ///
    /// # Errors
    /// When there is no active sale, a checkout is not answered with a code, or the file cannot
    /// be written.
    pub async fn run(&self, clock: Clock) -> Result<Filled, LoadError> {
        let targets: Vec<_> = self.target.iter().cloned().map(Arc::new).collect();
        let mut client = Client::new(Arc::clone(&targets[0]), CALL_TIMEOUT);
        let sale = self.active_sale(&mut client).await?;
        let (catalogue, _) = Catalogue::fetch(&mut client, &sale).await?;
        let filler = Filler {
            pool: Pool::open(&targets, self.connections, CALL_TIMEOUT).await,
            id: RunId::at(clock.wall()),
            first_item: sale.items_sold,
            catalogue,
        };
        let carts = carts_of(self.carts, sale.total_items, sale.items_sold);
        let codes = self.fill(&filler, carts).await?;
        fs::write(&self.file, codes.join("\n") + "\n").map_err(|source| LoadError::Write {
            path: self.file.clone(),
            source,
        })?;
        Ok(Filled {
            carts: codes.len(),
            file: self.file.clone(),
        })
    }

    async fn active_sale(&self, client: &mut Client) -> Result<Sale, LoadError> {
        let last = match client.get("/sales/active").await {
            Ok((200, body)) => match serde_json::from_slice(&body) {
                Ok(sale) => return Ok(sale),
                Err(error) => format!("an answer that is no sale: {error}"),
            },
            Ok((404, _)) => "no active sale".to_owned(),
            Ok((status, _)) => format!("status {status}"),
            Err(error) => error.to_string(),
        };
        Err(LoadError::NoActiveSale {
            target: client.target().address().to_owned(),
            waited_s: 0,
            last,
        })
    }

    /// The codes, in the order of the carts.
    async fn fill(&self, filler: &Filler, carts: u32) -> Result<Vec<String>, LoadError> {
        let mut codes = Vec::with_capacity(carts as usize);
        let mut filled = stream::iter(0..carts)
            .map(|cart| filler.fill(cart))
            .buffered(self.connections as usize);
        loop {
            match filled.try_next().await {
                Ok(Some(code)) => codes.push(code.to_string()),
                Ok(None) => return Ok(codes),
                Err(found) => {
                    return Err(LoadError::CartNotFilled {
                        asked: carts,
                        filled: codes.len(),
                        found,
                    });
                }
            }
        }
    }
}

/// As many carts as were asked for, or as many as there are items for.
fn carts_of(asked: u32, items: u32, sold: u32) -> u32 {
    asked.min(items.saturating_sub(sold) / ITEMS)
}

struct Filler {
    pool: Pool,
    id: RunId,
    first_item: u32,
    catalogue: Catalogue,
}

impl Filler {
    /// Fills the cart of this number and returns its code; the error is what was answered.
    async fn fill(&self, cart: u32) -> Result<Arc<str>, String> {
        let mut code = None;
        let first = self.first_item + cart * ITEMS;
        for item in first..first + ITEMS {
            let call = Call::Checkout { user: cart, item };
            let path = call.path(&self.id, &self.catalogue);
            let request_id = self.id.request(item);
            let response = self.pool.send(Method::POST, path, request_id).await;
            let response = response.map_err(|error| error.to_string())?;
            let read = Some((response.status, &response.body[..]));
            match Answer::read(&call, read, &self.catalogue) {
                Answer::Added { code: added } => code = Some(added),
                answer => return Err(format!("{answer:?}")),
            }
        }
        code.ok_or_else(|| "a cart without an item".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_carts_are_filled_than_there_are_unsold_items_for() {
        assert_eq!(carts_of(10, 100, 0), 10);
        assert_eq!(carts_of(10, 100, 80), 6);
        assert_eq!(carts_of(10, 100, 100), 0);
    }
}
