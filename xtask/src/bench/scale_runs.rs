//! Runs the variants of the case `scale`, each on servers of its own.

use std::{
    path::Path,
    time::{Duration, Instant},
};

use anyhow::{Context, Result, ensure};

use super::{
    accounting::{Servers, Usage},
    case::{Case, WARM_UP_SECONDS},
    load::LoadRun,
    other_sales::{self, OtherSales},
    processes::rss_bytes,
    product::{Counts, measured, servers, start_counted},
    scale::{CONNECTIONS, RATE, ScaleRun, Variant},
};
use crate::{manifest::Manifest, project::Programs, session::Session, shop::Shop, stack::Stack};

/// A closed loop over so many connections fills the carts of users.
const FILL_CONNECTIONS: u32 = 256;
/// The first run of it shows its rate.
const FIRST_FILL_SECONDS: u32 = 2;
const MAX_FILL_SECONDS: u32 = 120;
/// More than a machine needs that takes 2,000 checkouts a second.
const MAX_FILLS: u32 = 8;
/// Users are drawn from so many that hardly one of a million is drawn twice.
const USERS_TO_DRAW_FROM: u32 = 100_000_000;
/// Attempts of earlier load are settled meanwhile, and connections that were opened are used.
const SETTLE_TIME: Duration = Duration::from_secs(5);

/// What they share.
pub struct ScaleRuns<'a> {
    /// The run of the command.
    pub session: &'a Session,
    /// The product.
    pub programs: &'a Programs,
    /// The folder that logs go to.
    pub logs: &'a Path,
}

/// Users whose carts were filled.
struct Filled {
    users: u64,
    errors: u64,
}

impl ScaleRuns<'_> {
    /// Runs every variant, for so many seconds where its items last so long.
    pub fn all(&self, seconds: u32) -> Result<Vec<ScaleRun>> {
        // What cannot be built fails before the first measurement.
        other_sales::build_programs()?;
        let run = |variant: Variant| {
            let run = self.one(variant, seconds);
            run.with_context(|| format!("measuring the product with {variant}"))
        };
        Variant::all().into_iter().map(run).collect()
    }

    fn one(&self, variant: Variant, asked: u32) -> Result<ScaleRun> {
        let seconds = variant.seconds(asked);
        self.session.say(format_args!("scale: {variant}"));
        let counts = Counts {
            redis_masters: variant.masters as usize,
            api_processes: variant.api_processes as usize,
        };
        let (sample, items) = (Manifest::sample()?, variant.items);
        let (session, programs) = (self.session, self.programs);
        let mut stack = start_counted(session, sample, items, programs, self.logs, counts)?;
        let mut others = match variant.sales {
            1 => None,
            sales => Some(OtherSales::start(
                session,
                programs,
                self.logs,
                &stack.endpoints(),
                sales - 1,
            )?),
        };
        let run = self.measure(&stack, others.as_ref(), variant, (seconds, asked));
        // A process that has ended is the cause of what failed.
        stack.check()?;
        if let Some(others) = &mut others {
            others.check()?;
        }
        run
    }

    fn measure(
        &self,
        stack: &Stack,
        others: Option<&OtherSales>,
        variant: Variant,
        (seconds, rest_seconds): (u32, u32),
    ) -> Result<ScaleRun> {
        let mut servers = servers(stack);
        servers
            .operators
            .extend(others.map(OtherSales::operator_pid));
        let targets = stack.endpoints().api;
        let filled = self.fill_carts(&targets, variant.users)?;
        self.wait(SETTLE_TIME)?;
        let rest = self.rest(&servers, rest_seconds)?;
        let run = LoadRun {
            profile: Case::Scale.profile(),
            targets: &targets,
            connections: CONNECTIONS,
            users: CONNECTIONS,
            seconds: WARM_UP_SECONDS,
            rate: Some(f64::from(RATE)),
            flags: &[],
        };
        let warm_up = run.run(self.session)?;
        let load = measured(self.session, &servers, &LoadRun { seconds, ..run })?;
        ensure!(
            !load.load.has_used_up_its_items(),
            "expected the {} items to last for {seconds} s at {RATE} requests/s, found none left; \
             choose fewer --seconds",
            variant.items
        );
        Ok(ScaleRun {
            variant,
            users_with_a_cart: filled.users,
            seconds,
            rest,
            load,
            api_rss_bytes: resident(&servers.api)?,
            masters_rss_bytes: resident(&masters(stack))?,
            operators_rss_bytes: resident(&servers.operators)?,
            earlier_errors: filled.errors + warm_up.errors.saturating_sub(warm_up.backlog),
        })
    }

    /// Gives so many users, or some more, a cart with an item.
    fn fill_carts(&self, targets: &[String], users: u32) -> Result<Filled> {
        let mut filled = Filled {
            users: 0,
            errors: 0,
        };
        let mut seconds = FIRST_FILL_SECONDS;
        for _ in 0..MAX_FILLS {
            if filled.users >= u64::from(users) {
                return Ok(filled);
            }
            self.session.say(format_args!(
                "{} of {users} users have a cart; filling for {seconds} s",
                filled.users
            ));
            let fill = LoadRun {
                profile: Case::Checkout.profile(),
                targets,
                connections: FILL_CONNECTIONS,
                users: USERS_TO_DRAW_FROM,
                seconds,
                rate: None,
                flags: &[],
            };
            let load = fill.run(self.session)?;
            filled.users += load.requests.saturating_sub(load.errors);
            filled.errors += load.errors;
            let left = u64::from(users).saturating_sub(filled.users);
            seconds = fill_seconds(left, load.requests_per_second);
        }
        ensure!(
            filled.users >= u64::from(users),
            "expected {users} users with a cart after {MAX_FILLS} runs of the load generator, found \
             {}; measure again on a machine with less load",
            filled.users
        );
        Ok(filled)
    }

    /// What the servers use without load. Seconds take the place of requests.
    fn rest(&self, servers: &Servers, seconds: u32) -> Result<Usage> {
        let length = Duration::from_secs(seconds.into());
        let (usage, ()) = servers.measure(|| {
            self.wait(length)?;
            Ok((u64::from(seconds), ()))
        })?;
        Ok(usage)
    }

    /// Waits for a time that Ctrl-C ends.
    fn wait(&self, time: Duration) -> Result<()> {
        let end = Instant::now() + time;
        let limit = time + Duration::from_secs(10);
        self.session.await_that("a pause is over", limit, || {
            Ok((Instant::now() >= end).then_some(()))
        })
    }
}

/// How long a closed loop at this rate takes for so many carts.
fn fill_seconds(carts: u64, requests_per_second: f64) -> u32 {
    let seconds = (carts as f64 / requests_per_second.max(1.0)).ceil();
    (seconds as u32).clamp(1, MAX_FILL_SECONDS)
}

fn masters(stack: &Stack) -> Vec<u32> {
    let (pids, masters) = (stack.redis().pids(), stack.redis().masters());
    masters.into_iter().map(|index| pids[index]).collect()
}

fn resident(pids: &[u32]) -> Result<Vec<u64>> {
    pids.iter().map(|pid| rss_bytes(*pid)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fill_takes_as_long_as_the_carts_that_are_left_need_at_the_rate_so_far() {
        assert_eq!(fill_seconds(100_000, 10_000.0), 10);
        assert_eq!(fill_seconds(100_001, 10_000.0), 11);
        assert_eq!(fill_seconds(1, 10_000.0), 1);
        assert_eq!(fill_seconds(0, 0.0), 1);
        assert_eq!(fill_seconds(1_000_000, 100.0), MAX_FILL_SECONDS);
    }

    #[test]
    fn the_fills_reach_a_million_users_on_a_machine_that_takes_2_000_checkouts_a_second() {
        let most = FIRST_FILL_SECONDS + (MAX_FILLS - 1) * MAX_FILL_SECONDS;
        assert!(most * 2_000 >= 1_000_000);
    }
}
