//! The faults of Redis.

use std::thread;
use std::time::Duration;

use anyhow::Result;
use flashsale_servers::RestartData;

use super::faults::{Effects, Faults, WATCH_LIMIT};
use crate::history::OwnedKeys;
use crate::plan::{Master, SlotOf};

impl Faults<'_> {
    /// The master that a fault hits, with the keys of the sale that it has now, and one of its slots.
    pub(super) fn find(&self, master: Master) -> Result<(OwnedKeys, u16)> {
        let sale = &self.testbed.sale.id;
        self.testbed.redis.find(master, sale)
    }

    pub(super) fn hang_master(&mut self, master: Master, span: Duration) -> Result<Effects> {
        let (keys, slot) = self.find(master)?;
        let node = keys.master;
        let began_us = self.moments.now_us();
        self.testbed.redis.pause(node);
        let serves_again_us = self.await_new_master(slot, node, span);
        self.wait_out(began_us, span);
        self.testbed.redis.resume(node);
        Ok(Effects {
            began_us,
            ended_us: self.moments.now_us(),
            master: Some(keys),
            serves_again_us,
        })
    }

    pub(super) fn kill_master(&mut self, master: Master, span: Duration) -> Result<Effects> {
        let (keys, slot) = self.find(master)?;
        self.kill_and_restart(keys, slot, span, |_| Ok(()))
    }

    /// The replica stands still while its connection is broken: the master goes on alone, and when
    /// the replica goes on, the master is dead.
    pub(super) fn lose_tail(
        &mut self,
        master: Master,
        lag_ms: u64,
        span: Duration,
    ) -> Result<Effects> {
        let (keys, slot) = self.find(master)?;
        let node = keys.master;
        let replica = self.testbed.redis.replica_of(node)?;
        self.testbed.redis.pause(replica);
        self.testbed.redis.disconnect_replicas(node)?;
        thread::sleep(Duration::from_millis(lag_ms));
        self.kill_and_restart(keys, slot, span, |faults| {
            faults.testbed.redis.resume(replica);
            Ok(())
        })
    }

    fn kill_and_restart(
        &mut self,
        keys: OwnedKeys,
        slot: u16,
        span: Duration,
        after_kill: impl FnOnce(&mut Self) -> Result<()>,
    ) -> Result<Effects> {
        let node = keys.master;
        let began_us = self.moments.now_us();
        self.testbed.redis.kill(node);
        after_kill(self)?;
        let serves_again_us = self.await_new_master(slot, node, span);
        self.wait_out(began_us, span);
        self.testbed.redis.restart(node)?;
        Ok(Effects {
            began_us,
            ended_us: self.moments.now_us(),
            master: Some(keys),
            serves_again_us,
        })
    }

    fn await_new_master(&self, slot: u16, old: usize, limit: Duration) -> Option<i64> {
        let reported = self.testbed.redis.await_new_master(slot, old, limit);
        reported.then(|| self.moments.now_us())
    }

    /// Waits until a fault has lasted for `span`.
    fn wait_out(&self, began_us: i64, span: Duration) {
        let lasted_us = self.moments.now_us() - began_us;
        let lasted = Duration::from_micros(lasted_us.unsigned_abs());
        thread::sleep(span.saturating_sub(lasted));
    }

    pub(super) fn kill_all_redis(
        &mut self,
        snapshot_age_ms: Option<u64>,
        span: Duration,
    ) -> Result<Effects> {
        let mut data = RestartData::None;
        if let Some(age_ms) = snapshot_age_ms {
            self.testbed.redis.save_snapshots()?;
            thread::sleep(Duration::from_millis(age_ms));
            data = RestartData::Snapshot;
        }
        let began_us = self.moments.now_us();
        self.testbed.redis.kill_all();
        thread::sleep(span);
        self.testbed.redis.restart_all(data)?;
        let ended_us = self.moments.now_us();
        Ok(Effects {
            began_us,
            ended_us,
            master: None,
            serves_again_us: self.await_redis(),
        })
    }

    pub(super) fn flush_all(&mut self) -> Result<Effects> {
        let began_us = self.moments.now_us();
        self.testbed.redis.flush_all()?;
        let ended_us = self.moments.now_us();
        Ok(Effects {
            began_us,
            ended_us,
            master: None,
            serves_again_us: Some(ended_us),
        })
    }

    pub(super) fn migrate(&mut self, of: SlotOf) -> Result<Effects> {
        let sale = &self.testbed.sale.id;
        let slot = self.testbed.redis.slot(sale, of)?;
        let master = self.testbed.redis.owner_of(slot)?;
        let keys = self.testbed.redis.keys_of(master, sale)?;
        let began_us = self.moments.now_us();
        self.testbed.redis.migrate(slot)?;
        let ended_us = self.moments.now_us();
        Ok(Effects {
            began_us,
            ended_us,
            master: Some(keys),
            serves_again_us: Some(ended_us),
        })
    }

    pub(super) fn fill_redis(&mut self, span: Duration) -> Result<Effects> {
        // One byte: nothing that needs memory is accepted.
        let effects = self.during(
            span,
            |testbed| testbed.redis.limit_memory(1),
            |testbed| testbed.redis.limit_memory(0),
        )?;
        Ok(Effects {
            serves_again_us: Some(effects.ended_us),
            ..effects
        })
    }

    fn await_redis(&self) -> Option<i64> {
        let answers = self.testbed.redis.await_answers(WATCH_LIMIT);
        answers.then(|| self.moments.now_us())
    }
}
