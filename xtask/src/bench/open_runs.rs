//! Runs open loops at a rate that was given or found, and a sale until sold out.

use std::{path::Path, time::Duration};

use anyhow::{Context, Result, bail, ensure};
use jiff::SignedDuration;

use super::{
    case::{self, Case, MAX_REQUESTS_PER_SECOND, WARM_UP_SECONDS},
    load::LoadRun,
    open_loop::OpenLoop,
    plan::Measure,
    product::{start_closed, start_product},
    stampede::Stampede,
};
use crate::{manifest::Manifest, project::Programs, session::Session, shop::Shop};

/// As many as calls wait at once at 15,000 requests/s and 17 ms each.
const CONNECTIONS: u32 = 256;
const STAMPEDE_CONNECTIONS: u32 = 64;
/// Most time that a stampede may take.
const STAMPEDE_SECONDS: u32 = 120;
/// The operator, the API and the load generator are ready before the sale opens.
const OPENS_IN: SignedDuration = SignedDuration::from_secs(20);
const PLAN_LIMIT: Duration = Duration::from_secs(15);
/// Share of the closed loop's rate: a system near its limit that still keeps up.
const KNEE_SHARE: f64 = 0.8;

/// What they share.
pub struct OpenRuns<'a> {
    /// The run of the command.
    pub session: &'a Session,
    /// The product.
    pub programs: &'a Programs,
    /// The folder that logs go to.
    pub logs: &'a Path,
}

impl OpenRuns<'_> {
    /// Runs an open loop on servers of its own.
    pub fn open_loop(&self, measure: Measure) -> Result<Option<OpenLoop>> {
        match measure {
            Measure::FixedRate {
                case,
                rate,
                seconds,
            } => self.after_warm_up(case, seconds, Some(rate)).map(Some),
            Measure::Knee { case, seconds } => self.after_warm_up(case, seconds, None).map(Some),
            Measure::Opening { rate, seconds } => self.opening(rate, seconds).map(Some),
            Measure::Closed { .. }
            | Measure::Stampede
            | Measure::Claims
            | Measure::Scale { .. } => Ok(None),
        }
    }

    /// At `rate`, or where there is none at 80% of the rate of a closed loop.
    fn after_warm_up(&self, case: Case, seconds: u32, rate: Option<u32>) -> Result<OpenLoop> {
        let sample = Manifest::sample()?;
        let warm_up = MAX_REQUESTS_PER_SECOND * WARM_UP_SECONDS;
        let measured = match rate {
            Some(rate) => rate * seconds,
            // The closed loop, then the open loop.
            None => 2 * MAX_REQUESTS_PER_SECOND * seconds,
        };
        let items = case.items_for(warm_up + measured);
        let mut stack = start_product(self.session, sample, items, self.programs, self.logs)?;
        let targets = stack.endpoints().api;
        let warm_up = LoadRun {
            profile: case.profile(),
            targets: &targets,
            connections: CONNECTIONS,
            users: case::users(WARM_UP_SECONDS + 2 * seconds),
            seconds: WARM_UP_SECONDS,
            rate: None,
            flags: &[],
        };
        let mut earlier_errors = warm_up.run(self.session)?.errors;
        let run = LoadRun { seconds, ..warm_up };
        let mut closed_rate = None;
        let (name, rate) = match rate {
            Some(rate) => (case.name().to_owned(), f64::from(rate)),
            None => {
                self.say(&format!("{}, closed loop, {seconds} s", case.name()));
                let closed = run.run(self.session)?;
                earlier_errors += closed.errors;
                closed_rate = Some(closed.requests_per_second);
                let rate = (closed.requests_per_second * KNEE_SHARE).floor().max(1.0);
                (format!("80% of {}", case.name()), rate)
            }
        };
        self.say(&format!("{name}, {rate} requests/s, {seconds} s"));
        let load = LoadRun {
            rate: Some(rate),
            ..run
        };
        let load = load.run(self.session)?;
        stack.check()?;
        ensure!(
            !load.has_used_up_its_items(),
            "expected the items of {name} to last for {seconds} s; choose fewer --seconds"
        );
        Ok(OpenLoop {
            name,
            connections: CONNECTIONS,
            rate,
            closed_rate,
            is_opening: false,
            earlier_errors,
            load,
        })
    }

    /// From the start of a sale, without a warm-up.
    fn opening(&self, rate: u32, seconds: u32) -> Result<OpenLoop> {
        let case = Case::Opening;
        let (sample, items) = (Manifest::sample()?, case.items());
        let (session, programs) = (self.session, self.programs);
        let mut stack = start_closed(session, sample, items, programs, self.logs, OPENS_IN)?;
        let sale = session.await_that("the operator plans the sale", PLAN_LIMIT, || {
            stack.check()?;
            Ok(stack.status().sale().map(str::to_owned))
        })?;
        let targets = stack.endpoints().api;
        if stack.active_sale().is_some() {
            bail!("expected the servers to be ready before the sale opens; measure again");
        }
        self.say(&format!("opening, {rate} requests/s, {seconds} s"));
        let flags = ["--sale".to_owned(), sale];
        let load = LoadRun {
            profile: case.profile(),
            targets: &targets,
            connections: CONNECTIONS,
            users: case::users(seconds),
            seconds,
            rate: Some(f64::from(rate)),
            flags: &flags,
        };
        let load = load.run(session).context("loading the opening of a sale")?;
        stack.check()?;
        Ok(OpenLoop {
            name: case.name().to_owned(),
            connections: CONNECTIONS,
            rate: f64::from(rate),
            closed_rate: None,
            is_opening: true,
            earlier_errors: 0,
            load,
        })
    }

    /// Until sold out, without a warm-up.
    pub fn stampede(&self) -> Result<Stampede> {
        let case = Case::Stampede;
        let (sample, items) = (Manifest::sample()?, case.items());
        let mut stack = start_product(self.session, sample, items, self.programs, self.logs)?;
        let targets = stack.endpoints().api;
        self.say(&format!("stampede until {items} items are sold"));
        let load = LoadRun {
            profile: case.profile(),
            targets: &targets,
            connections: STAMPEDE_CONNECTIONS,
            users: STAMPEDE_CONNECTIONS,
            seconds: STAMPEDE_SECONDS,
            rate: None,
            flags: &["--until-sold-out".to_owned()],
        };
        let load = load.run(self.session)?;
        stack.check()?;
        Ok(Stampede {
            connections: STAMPEDE_CONNECTIONS,
            items,
            load,
        })
    }

    fn say(&self, what: &str) {
        self.session.say(what);
    }
}
