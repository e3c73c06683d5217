//! Watches the sale of a run, so that a stage ends with it: what is measured behind its
//! end would be refusals, not sales.

use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::client::answer::Problem;
use crate::client::catalogue::Sale;
use crate::client::connection::Client;
use crate::run::{Ending, Run};

/// How often the API is asked.
const POLL_EVERY: Duration = Duration::from_millis(250);
const POLL_TIMEOUT: Duration = Duration::from_secs(2);
/// How often the run's own answers are checked.
const REMEMBER_EVERY: Duration = Duration::from_millis(20);
/// An API process that was just started knows no sale yet. Only a sale whose end was due, or
/// that stays away for so long, has ended.
const GONE_AFTER: Duration = Duration::from_secs(5);

/// Waits until the sale has nothing left for this run, or has ended.
pub(crate) async fn end_of_sale(run: &Run) -> Ending {
    tokio::select! {
        ending = ended_by_answers(run) => ending,
        ending = ended_by_api(run) => ending,
    }
}

async fn ended_by_answers(run: &Run) -> Ending {
    loop {
        {
            let state = run.state.borrow();
            if state.is_sold_out() && !run.profile.goes_on_when_sold_out() {
                return Ending::SoldOut;
            }
            if state.is_walked_through() && run.profile.walks() {
                return Ending::CatalogueUsedUp;
            }
            if state.has_no_cart_left() && run.profile.buys_filled_carts() {
                return Ending::CartsUsedUp;
            }
        }
        tokio::time::sleep(REMEMBER_EVERY).await;
    }
}

#[derive(Deserialize)]
struct NoSale {
    code: Problem,
}

/// What an answer says about the sale.
#[derive(Debug, PartialEq, Eq)]
enum Seen {
    /// It sells.
    On,
    /// Everything is sold.
    SoldOut,
    /// Another one is active.
    Another,
    /// None is active.
    None,
    /// No answer, or one that says nothing about sales.
    Nothing,
}

fn seen(answer: Option<(u16, &[u8])>, sale: &str) -> Seen {
    match answer {
        Some((200, body)) => match serde_json::from_slice::<Sale>(body) {
            Ok(other) if other.id != sale => Seen::Another,
            Ok(sale) if sale.is_sold_out() => Seen::SoldOut,
            Ok(_) => Seen::On,
            Err(_) => Seen::Nothing,
        },
        Some((404, body)) => match serde_json::from_slice::<NoSale>(body) {
            Ok(NoSale {
                code: Problem::NoActiveSale,
            }) => Seen::None,
            _ => Seen::Nothing,
        },
        _ => Seen::Nothing,
    }
}

async fn ended_by_api(run: &Run) -> Ending {
    let mut targets = run.targets.iter().cycle();
    let mut client: Option<Client> = None;
    let mut gone_since: Option<Instant> = None;
    loop {
        let asked = match (&mut client, targets.next()) {
            (Some(client), _) => client,
            (none, Some(target)) => none.insert(Client::new(target.clone(), POLL_TIMEOUT)),
            (None, None) => return std::future::pending().await,
        };
        let answer = asked.get("/sales/active").await.ok();
        let answer = answer.as_ref().map(|(status, body)| (*status, &body[..]));
        match seen(answer, run.catalogue.sale()) {
            Seen::On => gone_since = None,
            Seen::SoldOut if run.profile.goes_on_when_sold_out() => gone_since = None,
            Seen::SoldOut => return Ending::SoldOut,
            Seen::Another => return Ending::SaleEnded,
            Seen::None => {
                let since = *gone_since.get_or_insert_with(|| run.clock.now());
                if run.close_is_due() || run.clock.since(since) >= GONE_AFTER {
                    return Ending::SaleEnded;
                }
            }
            // The next call asks another process.
            Seen::Nothing => client = None,
        }
        tokio::time::sleep(POLL_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_look_tells_a_sale_that_ended_from_a_server_that_failed() {
        let sale = |id: &str, sold: u32| {
            format!(r#"{{"id":"{id}","total_items":3,"items_sold":{sold},"active":true}}"#)
        };
        let poll = |status, body: &str| seen(Some((status, body.as_bytes())), "ns.s.1");
        assert_eq!(poll(200, &sale("ns.s.1", 2)), Seen::On);
        assert_eq!(poll(200, &sale("ns.s.1", 3)), Seen::SoldOut);
        assert_eq!(poll(200, &sale("ns.s.2", 3)), Seen::Another);
        assert_eq!(poll(404, r#"{"code":"no_active_sale"}"#), Seen::None);
        for nothing in [
            poll(404, r#"{"code":"not_found"}"#),
            poll(404, ""),
            poll(200, "hello"),
            poll(503, r#"{"code":"unavailable"}"#),
            seen(None, "ns.s.1"),
        ] {
            assert_eq!(nothing, Seen::Nothing);
        }
    }
}
