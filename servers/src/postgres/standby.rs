//! A standby of a server: an asynchronous copy that can be disconnected and promoted.

use super::data_folder::{new_home, run_to_end};
use super::{Postgres, start_on_free_port};
use crate::{Guard, ServersError, process::Launch};

impl Postgres {
    /// Starts a standby that follows this server; about two seconds. A commit does not wait for it.
    ///
    /// # Errors
    /// Where this server is down, or the copy cannot be made or does not start.
    pub fn start_standby(&self) -> Result<Self, ServersError> {
        let guard = Guard::new()?;
        let data = new_home(&guard, self.account)?.join("data");
        let launch = Launch::new("pg_basebackup", self.programs.join("pg_basebackup"))
            .args(["--write-recovery-conf", "--wal-method=stream"])
            .args(["--checkpoint=fast", "--no-sync", "--no-password"])
            .arg(format!("--dbname={}", self.url()))
            .arg("-D")
            .arg(&data)
            .account(self.account);
        run_to_end(&guard, "pg_basebackup", &launch)?;
        let (process, port) =
            start_on_free_port(&guard, &self.programs, &data, self.account, self.settings)?;
        Ok(Self {
            guard,
            process,
            programs: self.programs.clone(),
            data,
            account: self.account,
            settings: self.settings,
            certificates: None,
            port,
        })
    }

    /// Disconnects this standby from its primary: it receives nothing any more.
    ///
    /// # Errors
    /// Where it is down.
    pub fn disconnect_from_primary(&self) -> Result<(), ServersError> {
        self.query("ALTER SYSTEM SET primary_conninfo = ''")?;
        self.query("SELECT pg_reload_conf()")?;
        Ok(())
    }

    /// Makes this standby a server of its own, which accepts writes.
    ///
    /// # Errors
    /// Where it is down, or is no standby.
    pub fn promote(&self) -> Result<(), ServersError> {
        self.query("SELECT pg_promote(true, 30)").map(drop)
    }
}
