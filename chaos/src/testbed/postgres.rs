//! The database of a run: a server, perhaps a standby, perhaps a proxy in front.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use flashsale_servers::{Postgres, PostgresSettings, query};

use crate::network::{Mode, Network, Proxy};
use crate::plan::Requirements;

/// The user of the product.
const PRODUCT: &str = "flashsale";
/// A user of its own, which faults of the product's user do not hit.
const ADMIN: &str = "chaos";
const POLL_EVERY: Duration = Duration::from_millis(20);

/// See the module.
pub struct Database {
    server: Postgres,
    standby: Option<Postgres>,
    proxy: Option<Proxy>,
}

impl Database {
    pub(super) fn start(needs: Requirements, network: &Network) -> Result<Self> {
        let server = Postgres::start_with(PostgresSettings {
            commit_timestamps: true,
            ..PostgresSettings::default()
        })?;
        server.query(&format!("CREATE ROLE {ADMIN} SUPERUSER LOGIN"))?;
        server.query(&format!(
            "CREATE SCHEMA {ADMIN} CREATE TABLE probe (at timestamptz DEFAULT now())"
        ))?;
        let standby = needs.standby.then(|| server.start_standby()).transpose()?;
        let proxy = needs.postgres_proxy.then(|| network.open()).transpose()?;
        if let Some(proxy) = &proxy {
            proxy.lead_to(server.port());
        }
        Ok(Self {
            server,
            standby,
            proxy,
        })
    }

    /// The URL that the product is given.
    pub fn url(&self) -> String {
        let proxy = self.proxy.as_ref().map(Proxy::port);
        url_of(PRODUCT, proxy.unwrap_or(self.server.port()))
    }

    /// The URL of the server itself, whatever stands in front of it.
    pub fn direct_url(&self) -> String {
        url_of(ADMIN, self.server.port())
    }

    /// What psql prints for a statement of the admin.
    ///
    /// # Errors
    /// Where the server is away or refuses it.
    pub fn query(&self, statement: &str) -> Result<String> {
        Ok(query(&self.direct_url(), statement)?)
    }

    /// SIGSTOP of all its processes.
    pub fn pause(&self) {
        self.server.pause();
    }

    /// SIGCONT.
    pub fn resume(&self) {
        self.server.resume();
    }

    /// SIGKILL.
    pub fn kill(&mut self) {
        self.server.kill();
    }

    /// Starts the killed server again.
    ///
    /// # Errors
    /// Where it does not start.
    pub fn start_again(&mut self) -> Result<()> {
        Ok(self.server.start_again()?)
    }

    /// Every session of the product that begins from now on is read-only, and those that are open
    /// end.
    ///
    /// # Errors
    /// Where the server is away.
    pub fn make_read_only(&self) -> Result<()> {
        self.query(&format!(
            "ALTER ROLE {PRODUCT} SET default_transaction_read_only = on"
        ))?;
        self.query(&format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{PRODUCT}'"
        ))?;
        Ok(())
    }

    /// Sessions that begin from now on may write; those that are open stay read-only.
    ///
    /// # Errors
    /// Where the server is away.
    pub fn make_writable(&self) -> Result<()> {
        self.query(&format!(
            "ALTER ROLE {PRODUCT} RESET default_transaction_read_only"
        ))?;
        Ok(())
    }

    /// The standby receives nothing any more.
    ///
    /// # Errors
    /// Where there is none.
    pub fn disconnect_standby(&self) -> Result<()> {
        let standby = self.standby.as_ref().context("expected a standby")?;
        Ok(standby.disconnect_from_primary()?)
    }

    /// Kills the primary, promotes the standby and leads the product's connections there.
    ///
    /// # Errors
    /// Where there is no standby, or it cannot be promoted.
    pub fn promote_standby(&mut self) -> Result<()> {
        let Some(standby) = self.standby.take() else {
            bail!("expected a standby, found none");
        };
        self.server.kill();
        standby.promote()?;
        if let Some(proxy) = &self.proxy {
            proxy.lead_to(standby.port());
        }
        self.server = standby;
        Ok(())
    }

    /// Changes the network between the product and the server.
    ///
    /// # Errors
    /// Where nothing stands in between.
    pub fn set_network(&self, mode: Mode) -> Result<()> {
        let proxy = self.proxy.as_ref();
        proxy
            .context("expected a proxy in front of Postgres")?
            .set(mode);
        Ok(())
    }

    /// Waits until a new session of the product can write; whether it could within `limit`.
    pub fn await_write(&self, limit: Duration) -> bool {
        let url = url_of(PRODUCT, self.server.port());
        let statement = format!("INSERT INTO {ADMIN}.probe DEFAULT VALUES");
        let deadline = Instant::now() + limit;
        while query(&url, &statement).is_err() {
            if Instant::now() >= deadline {
                return false;
            }
            thread::sleep(POLL_EVERY);
        }
        true
    }

    /// Removes the keys that are the last guard against a second sale of an item: a run against
    /// such a database must report broken invariants.
    ///
    /// # Errors
    /// Where the server refuses it.
    pub fn drop_keys(&self) -> Result<()> {
        for statement in include_str!("drop_keys.sql").split(";\n") {
            if !statement.trim().is_empty() {
                self.query(statement)?;
            }
        }
        Ok(())
    }
}

fn url_of(user: &str, port: u16) -> String {
    format!("postgres://{user}@127.0.0.1:{port}/{PRODUCT}")
}
