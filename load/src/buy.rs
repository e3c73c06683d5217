//! Buys one item, as the first customer of a shop would: tells whether it sells at all.
//!
//! Promises an end: one item is bought within the given time, or the error says what stood in
//! the way last. A code without an outcome is asked again, never replaced: a purchase whose
//! answer was lost is not made a second time.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use clap::Args;
use hyper::Method;

use crate::client::answer::Answer;
use crate::client::call::Call;
use crate::client::catalogue::{Catalogue, Sale, first_free};
use crate::client::connection::{Client, Target};
use crate::client::run_id::RunId;
use crate::clock::Clock;
use crate::error::LoadError;

/// How often it is tried.
const TRY_EVERY: Duration = Duration::from_millis(500);
/// Longest wait for one answer.
const CALL_TIMEOUT: Duration = Duration::from_secs(5);
/// How much of an answer is shown, in bytes: a problem fits.
const SHOWN_BYTES: usize = 300;

/// Buys one item: waits for a sale, adds an item to a cart, buys it, and says which.
///
/// Exit codes: 0 bought; 1 not bought in time; 2 wrong usage; 130 interrupted.
#[derive(Debug, Clone, Args)]
pub struct Buy {
    /// Where the API is: http://HOST:PORT.
    #[arg(long, env = "FLASHSALE_TARGET")]
    pub target: Target,

    /// How long the purchase may take, the wait for a sale included.
    #[arg(long, value_name = "SECONDS", default_value_t = 180,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub within: u64,
}

/// What was bought.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bought {
    /// The sale's id.
    pub sale: String,
    /// The item's id.
    pub item: String,
    /// The checkout code.
    pub code: Arc<str>,
}

impl fmt::Display for Bought {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sale, item, code } = self;
        write!(f, "bought item {item} of sale {sale} with code {code}")
    }
}

impl Buy {
    /// Buys; what it waits for goes to standard error.
    ///
    /// # Errors
    /// When nothing was bought in time.
    pub async fn run(&self, clock: Clock) -> Result<Bought, LoadError> {
        let mut buyer = Buyer {
            client: Client::new(Arc::new(self.target.clone()), CALL_TIMEOUT),
            name: RunId::at(clock.wall()),
            cart: None,
        };
        let mut last = String::from("no answer");
        let buys = async {
            loop {
                match buyer.try_once().await {
                    Ok(bought) => return bought,
                    Err(obstacle) if obstacle == last => {}
                    Err(obstacle) => {
                        eprintln!("not yet: {obstacle}");
                        last = obstacle;
                    }
                }
                tokio::time::sleep(TRY_EVERY).await;
            }
        };
        let bought = tokio::time::timeout(Duration::from_secs(self.within), buys).await;
        bought.map_err(|_| LoadError::NotBought {
            target: self.target.address().to_owned(),
            within_s: self.within,
            last,
        })
    }
}

/// A filled cart that waits for its outcome; its one item is number 0 of the catalogue.
struct Cart {
    catalogue: Catalogue,
    code: Arc<str>,
}

struct Buyer {
    client: Client,
    name: RunId,
    cart: Option<Cart>,
}

impl Buyer {
    /// Goes as far as it gets; the error is what stands in the way.
    async fn try_once(&mut self) -> Result<Bought, String> {
        let cart = match self.cart.take() {
            Some(cart) => cart,
            None => self.fill_cart().await?,
        };
        let call = Call::Purchase {
            user: 0,
            code: Arc::clone(&cart.code),
        };
        let (answer, shown) = self.ask(&call, &cart.catalogue).await;
        match answer {
            Answer::Outcome(outcome) if !outcome.bought.is_empty() => Ok(Bought {
                sale: cart.catalogue.sale().to_owned(),
                item: cart.catalogue.id(0).into_owned(),
                code: cart.code,
            }),
            answer => {
                if answer.is_failure() {
                    self.cart = Some(cart);
                }
                Err(format!("{shown} to the purchase"))
            }
        }
    }

    async fn fill_cart(&mut self) -> Result<Cart, String> {
        let sale = self.active_sale().await?;
        let item = first_free(&mut self.client, &sale)
            .await
            .map_err(|error| error.to_string())?
            .ok_or_else(|| format!("sale {}, which is sold out", sale.id))?;
        let catalogue = Catalogue::listed(&sale.id, [item]);
        let call = Call::Checkout { user: 0, item: 0 };
        match self.ask(&call, &catalogue).await {
            (Answer::Added { code }, _) => Ok(Cart { catalogue, code }),
            (_, shown) => Err(format!("{shown} to the checkout")),
        }
    }

    async fn active_sale(&mut self) -> Result<Sale, String> {
        match self.client.get("/sales/active").await {
            Ok((200, body)) => serde_json::from_slice(&body)
                .map_err(|error| format!("an answer that is no sale: {error}")),
            Ok((404, _)) => Err("no active sale".to_owned()),
            Ok((status, body)) => Err(format!("{} for the active sale", shown(status, &body))),
            Err(error) => Err(error.to_string()),
        }
    }

    /// The answer, and how it is told.
    async fn ask(&mut self, call: &Call, catalogue: &Catalogue) -> (Answer, String) {
        let path = call.path(&self.name, catalogue);
        match self.client.send(Method::POST, path, None).await {
            Ok(response) => {
                let read = Some((response.status, &response.body[..]));
                let answer = Answer::read(call, read, catalogue);
                (answer, shown(response.status, &response.body))
            }
            Err(error) => (Answer::None, error.to_string()),
        }
    }
}

fn shown(status: u16, body: &[u8]) -> String {
    let body = String::from_utf8_lossy(&body[..body.len().min(SHOWN_BYTES)]);
    format!("answer {status} {}", body.trim())
}
