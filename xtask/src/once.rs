//! `cargo xtask demo --once`: a sale sold out under load and checked, from before its start
//! until it is over, settled, and Redis and Postgres agree about it.

use std::{fs, path::Path, time::Duration};

use anyhow::{Context, Result, bail};
use jiff::{SignedDuration, Timestamp};

use crate::{
    http,
    news::News,
    project,
    session::Session,
    setup::{self, Needs},
    shop::Shop,
    stack::{Sale, Settings, Stack, product},
    status::Status,
};

const API_PROCESSES: usize = 2;
const OPENS_IN: SignedDuration = SignedDuration::from_secs(5);
/// How long the sample is open: its 10,000 items are sold in some seconds, and what comes
/// after the close is to be seen too.
const OPEN_SECONDS: u32 = 35;
/// A manifest of the developer's own may open later than the sample.
const OPEN_LIMIT: SignedDuration = SignedDuration::from_secs(120);
/// How long a sale may still go on after it is sold out, if its end is to be seen.
const CLOSE_LIMIT: SignedDuration = SignedDuration::from_secs(120);
const SETTLE_LIMIT: Duration = Duration::from_secs(30);

/// The folder of the report, in that of the demo.
pub const REPORT: &str = "report";
/// The picture of the sale, in the folder of the report.
const PICTURE: &str = "sale.svg";

/// Runs the sample, or `manifest` as it is; an error where the sale was not sold out
/// or an invariant is broken.
pub fn run(session: &Session, manifest: Option<&Path>) -> Result<()> {
    let sale = match manifest {
        Some(_) => Sale::of(manifest, OPENS_IN)?,
        None => sample()?,
    };
    setup::install_missing(session, Needs::Servers)?;
    project::build_product(session)?;
    sell_out(session, sale)
}

/// Copies the picture of the sale that was sold out last.
pub fn copy_picture(to: &Path) -> Result<()> {
    let picture = project::output_folder("demo")?.join(REPORT).join(PICTURE);
    fs::copy(&picture, to).with_context(|| {
        let (from, to) = (picture.display(), to.display());
        format!("could not copy {from} to {to}; expected a file in a folder that exists")
    })?;
    Ok(())
}

/// The sample, with everything installed and built.
pub fn run_built(session: &Session) -> Result<()> {
    sell_out(session, sample()?)
}

fn sample() -> Result<Sale> {
    let mut sale = Sale::of(None, OPENS_IN)?;
    if let Sale::Soon(manifest, _) = &mut sale {
        manifest.last(OPEN_SECONDS);
    }
    Ok(sale)
}

fn sell_out(session: &Session, sale: Sale) -> Result<()> {
    let folder = project::output_folder("demo")?;
    let logs = project::output_folder("demo/once")?;
    let report = folder.join(REPORT);
    let settings = Settings {
        sale,
        api_processes: API_PROCESSES,
        worker_threads: None,
        logs: &logs,
    };
    let mut stack = Stack::start(session, settings)?;
    let result = from_start_to_end(session, &mut stack, &report);
    stack.stop();
    let end = result.with_context(|| format!("the logs are in {}", logs.display()))?;
    session.say(format_args!("{end}; report: {}", report.display()));
    Ok(())
}

/// Sells out the next sale of `shop` and returns what it observed, once it is settled where its end
/// is near.
pub fn from_start_to_end(session: &Session, shop: &mut dyn Shop, report: &Path) -> Result<String> {
    opens_in_time(&shop.await_planned(session)?, Timestamp::now())?;
    let mut news = News::default();
    let limit = Duration::try_from(OPEN_LIMIT)?;
    let sale = session.await_that("the sale opens", limit, || {
        shop.check()?;
        news.print(session, &shop.status());
        Ok(shop.active_sale())
    })?;

    session.say(format_args!("Selling out {sale}"));
    load(session, shop, report)?;
    let goes_on_until = session.await_that("the operator tells of the sale", SETTLE_LIMIT, || {
        shop.check()?;
        let status = shop.status();
        let open = status.active_sale.as_ref().filter(|open| open.id == sale);
        Ok(match (open, status.past(&sale)) {
            (Some(open), _) => Some((open.ends_at, open.total)),
            (None, Some(past)) => Some((Timestamp::now(), past.total.unwrap_or(0))),
            (None, None) => None,
        })
    });
    let (ends_at, total) = goes_on_until?;
    is_sold_out(shop, &sale, total)?;

    let goes_on = ends_at.duration_since(Timestamp::now());
    if goes_on > CLOSE_LIMIT {
        return Ok(format!(
            "Sold out and checked; the sale would go on until {ends_at}, which was not awaited"
        ));
    }
    if goes_on.is_positive() {
        session.say(format_args!("Sold out; the sale ends at {ends_at}"));
    }
    let limit = Duration::try_from(goes_on).unwrap_or_default() + SETTLE_LIMIT;
    let past = shop.await_settled(session, &sale, limit)?;
    anyhow::ensure!(
        past.result == "Successful" && past.sold == total && past.total == Some(total),
        "expected the operator to say that {sale} was held and sold {total} items, found {past:?}"
    );
    let (in_postgres, in_redis) = shop.sold(&sale)?;
    anyhow::ensure!(
        in_postgres == total && in_redis.is_none_or(|sold| sold == total),
        "expected {total} items sold in Postgres and in Redis, \
         found {in_postgres} in Postgres and {in_redis:?} in Redis"
    );
    is_sold_out(shop, &sale, total)?;
    Ok(format!(
        "Sold out, closed and settled: {total} items, Redis and Postgres agree"
    ))
}

/// Fails where nothing opens soon, instead of waiting for it.
fn opens_in_time(status: &Status, now: Timestamp) -> Result<()> {
    if status.active_sale.is_some() {
        return Ok(());
    }
    let limit = OPEN_LIMIT.as_secs();
    match &status.next_sale {
        Some(next) if next.starts_at.duration_since(now) <= OPEN_LIMIT => Ok(()),
        Some(next) => bail!(
            "expected a sale that opens within {limit} s, found that {} opens at {}; \
             put spec.startAt earlier, or use `cargo xtask demo --manifest` without --once",
            next.id,
            next.starts_at
        ),
        None => bail!(
            "expected a sale that opens within {limit} s, found none to come (phase {}); \
             look at spec.schedule, spec.startAt and spec.suspend of the manifest",
            status.phase.as_deref().unwrap_or("unknown")
        ),
    }
}

/// Ends with an error where the load generator found an invariant broken.
fn load(session: &Session, shop: &dyn Shop, report: &Path) -> Result<()> {
    let endpoints = shop.endpoints();
    let program = project::program(shop.load_profile(), "flashsale-load")?;
    let load = product("flashsale-load", program)
        .inherit_output()
        .args(["--profile", "heavy", "--until-sold-out"])
        .args(["--target", &endpoints.api.join(",")])
        .args(["--postgres", &endpoints.postgres])
        .arg("--report")
        .arg(report);
    session.run(load)
}

/// Looks for itself, so that a generator that ends early and content is noticed.
fn is_sold_out(shop: &dyn Shop, sale: &str, total: u64) -> Result<()> {
    for api in &shop.endpoints().api {
        let (status, answer) = http::get(api, &format!("/sales/{sale}"))?;
        let sold = answer.get("items_sold").and_then(serde_json::Value::as_u64);
        anyhow::ensure!(
            status == 200 && total > 0 && sold == Some(total),
            "expected {api} to say that {total} items are sold, as many as the sale may sell, \
             found status {status}: {answer}"
        );
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_sale_that_opens_too_late_or_never_is_reported_at_once() {
        let now: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
        let judge =
            |text: &str| opens_in_time(&Status::read(text), now).map_err(|error| error.to_string());
        let opens = |at: &str| {
            let next = format!(r#"{{"id": "shop.s", "startsAt": "2026-11-23T{at}Z"}}"#);
            judge(&format!(r#"{{"phase": "Scheduled", "nextSale": {next}}}"#))
        };
        assert_eq!(opens("08:02:00"), Ok(()));
        let late = opens("08:02:01").unwrap_err();
        assert!(
            late.contains("shop.s opens at 2026-11-23T08:02:01Z"),
            "{late}"
        );
        let never = judge(r#"{"phase": "Finished"}"#).unwrap_err();
        assert!(never.contains("phase Finished"), "{never}");
        let open = r#"{"id": "s", "endsAt": "2026-11-23T09:00:00Z", "total": 7}"#;
        assert_eq!(judge(&format!(r#"{{"activeSale": {open}}}"#)), Ok(()));
    }
}
