//! Makes the faults of a plan at their moments, and records when each began, when it ended, and when
//! what it hit could serve again. Calls block: it runs on a thread of its own.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use crate::history::{FaultRecord, OwnedKeys};
use crate::moments::Moments;
use crate::network::Mode;
use crate::plan::{Fault, Link, LinkFault, Plan, PlannedFault};
use crate::testbed::Testbed;

/// How long it is watched whether what a fault hit serves again.
pub(super) const WATCH_LIMIT: Duration = Duration::from_secs(20);

/// Makes the faults of a plan on a testbed.
pub(super) struct Faults<'a> {
    pub(super) testbed: &'a mut Testbed,
    pub(super) moments: Moments,
}

/// What a fault did, beside its times.
#[derive(Default)]
pub(super) struct Effects {
    pub(super) began_us: i64,
    pub(super) ended_us: i64,
    pub(super) master: Option<OwnedKeys>,
    pub(super) serves_again_us: Option<i64>,
}

impl Faults<'_> {
    /// Makes all of them. One that cannot be made is recorded with its problem.
    pub(super) fn make(&mut self, plan: &Plan) -> Vec<FaultRecord> {
        let mut records = Vec::with_capacity(plan.faults.len());
        for planned in &plan.faults {
            self.await_begin(planned);
            let begins_us = self.moments.now_us();
            println!(
                "    {:>5.1} s  {} begins",
                seconds(begins_us),
                planned.fault
            );
            let made = self.make_one(planned);
            let ends_us = self.moments.now_us();
            let (effects, problem) = match made {
                Ok(effects) => (effects, None),
                Err(error) => {
                    let effects = Effects {
                        began_us: begins_us,
                        ended_us: ends_us,
                        ..Effects::default()
                    };
                    (effects, Some(format!("{error:#}")))
                }
            };
            let record = FaultRecord {
                fault: planned.fault,
                began_us: effects.began_us,
                ended_us: effects.ended_us,
                master: effects.master,
                serves_again_us: effects.serves_again_us,
                problem,
            };
            print_end(&record, ends_us);
            records.push(record);
        }
        records
    }

    /// A fault whose damage needs something beforehand begins so much earlier.
    fn await_begin(&self, planned: &PlannedFault) {
        let lead_ms = match planned.fault {
            Fault::KillAllRedis {
                snapshot_age_ms: Some(age_ms),
            } => age_ms,
            Fault::LoseTail { lag_ms, .. } | Fault::PromoteLaggingStandby { lag_ms } => lag_ms,
            Fault::KillApi { holding_ms, .. } => holding_ms,
            _ => 0,
        };
        let at_ms = planned.at_ms.saturating_sub_unsigned(lead_ms);
        self.moments.sleep_until(self.moments.at(at_ms));
    }

    fn make_one(&mut self, planned: &PlannedFault) -> Result<Effects> {
        let span = Duration::from_millis(planned.for_ms);
        match planned.fault {
            Fault::HangMaster { master } => self.hang_master(master, span),
            Fault::KillMaster { master } => self.kill_master(master, span),
            Fault::LoseTail { master, lag_ms } => self.lose_tail(master, lag_ms, span),
            Fault::KillAllRedis { snapshot_age_ms } => self.kill_all_redis(snapshot_age_ms, span),
            Fault::FlushAll => self.flush_all(),
            Fault::MigrateSlot { slot } => self.migrate(slot),
            Fault::FillRedis => self.fill_redis(span),
            Fault::PromoteLaggingStandby { lag_ms } => self.promote(lag_ms),
            Fault::Network { link, fault } => self.network(link, fault, span),
            Fault::HangPostgres => self.postgres(
                span,
                always(|testbed| testbed.database.pause()),
                always(|testbed| testbed.database.resume()),
            ),
            Fault::KillPostgres => {
                self.postgres(span, always(|testbed| testbed.database.kill()), |testbed| {
                    testbed.database.start_again()
                })
            }
            Fault::ReadOnlyPostgres => self.postgres(
                span,
                |testbed| testbed.database.make_read_only(),
                |testbed| testbed.database.make_writable(),
            ),
            Fault::PauseApi { .. }
            | Fault::KillApi { .. }
            | Fault::SkewClock { .. }
            | Fault::KillOperator => self.hit_product(planned.fault, span),
        }
    }

    /// A fault of the product's own processes: of an API process, else of the operator.
    fn hit_product(&mut self, fault: Fault, span: Duration) -> Result<Effects> {
        match fault {
            Fault::PauseApi { process } => self.during(
                span,
                always(|testbed| testbed.api.pause(process)),
                always(|testbed| testbed.api.resume(process)),
            ),
            Fault::KillApi {
                process,
                holding_ms,
            } => self.kill_api(process, Duration::from_millis(holding_ms), span),
            Fault::SkewClock { process, by_ms } => self.during(
                span,
                |testbed| testbed.api.skew(process, by_ms),
                |testbed| testbed.api.skew(process, 0),
            ),
            _ => self.during(
                span,
                always(|testbed| testbed.operator.kill()),
                Testbed::restart_operator,
            ),
        }
    }

    fn kill_api(&mut self, process: usize, holding: Duration, span: Duration) -> Result<Effects> {
        if !holding.is_zero() {
            self.testbed.database.pause();
            thread::sleep(holding);
        }
        self.during(
            span,
            |testbed| {
                testbed.api.kill(process);
                testbed.database.resume();
                Ok(())
            },
            |testbed| testbed.restart_api(process),
        )
    }

    /// Begins a fault, waits for `span`, and ends it.
    pub(super) fn during(
        &mut self,
        span: Duration,
        begin: impl FnOnce(&mut Testbed) -> Result<()>,
        end: impl FnOnce(&mut Testbed) -> Result<()>,
    ) -> Result<Effects> {
        let began_us = self.moments.now_us();
        begin(self.testbed)?;
        thread::sleep(span);
        end(self.testbed)?;
        Ok(Effects {
            began_us,
            ended_us: self.moments.now_us(),
            ..Effects::default()
        })
    }

    /// The same, and watches from its end when Postgres accepts a write.
    fn postgres(
        &mut self,
        span: Duration,
        begin: impl FnOnce(&mut Testbed) -> Result<()>,
        end: impl FnOnce(&mut Testbed) -> Result<()>,
    ) -> Result<Effects> {
        let mut effects = self.during(span, begin, end)?;
        effects.serves_again_us = self.await_write();
        Ok(effects)
    }

    fn await_write(&self) -> Option<i64> {
        let accepts = self.testbed.database.await_write(WATCH_LIMIT);
        accepts.then(|| self.moments.now_us())
    }

    fn promote(&mut self, lag_ms: u64) -> Result<Effects> {
        self.testbed.database.disconnect_standby()?;
        thread::sleep(Duration::from_millis(lag_ms));
        let began_us = self.moments.now_us();
        self.testbed.database.promote_standby()?;
        let ended_us = self.moments.now_us();
        Ok(Effects {
            began_us,
            ended_us,
            master: None,
            serves_again_us: self.await_write(),
        })
    }

    fn network(&mut self, link: Link, fault: LinkFault, span: Duration) -> Result<Effects> {
        let mode = match fault {
            LinkFault::Hang => Mode::Hang,
            LinkFault::Cut => Mode::Cut,
            LinkFault::Delay { ms } => Mode::Delay(Duration::from_millis(ms.into())),
        };
        let Link::RedisMaster(master) = link else {
            let set = |mode| move |testbed: &mut Testbed| testbed.database.set_network(mode);
            return self.postgres(span, set(mode), set(Mode::Pass));
        };
        let (keys, _) = self.find(master)?;
        let node = keys.master;
        let set = |mode| move |testbed: &mut Testbed| testbed.redis.set_network(node, mode);
        let effects = self.during(span, set(mode), set(Mode::Pass))?;
        Ok(Effects {
            master: Some(keys),
            serves_again_us: Some(effects.ended_us),
            ..effects
        })
    }
}

/// A step that cannot fail.
fn always(step: impl FnOnce(&mut Testbed)) -> impl FnOnce(&mut Testbed) -> Result<()> {
    move |testbed: &mut Testbed| {
        step(testbed);
        Ok(())
    }
}

fn print_end(record: &FaultRecord, ends_us: i64) {
    let again = record.serves_again_us.map_or(String::new(), |again_us| {
        format!("; serves again at {:.1} s", seconds(again_us))
    });
    let problem = record.problem.as_ref();
    let problem = problem.map_or(String::new(), |problem| format!("; PROBLEM: {problem}"));
    let (at_s, fault) = (seconds(ends_us), &record.fault);
    println!("    {at_s:>5.1} s  {fault} is over{again}{problem}");
}

fn seconds(us: i64) -> f64 {
    us as f64 / 1_000_000.0
}
