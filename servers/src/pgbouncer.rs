//! One PgBouncer in front of a Postgres, in transaction mode.
//!
//! It has the settings of Debian's package but for its addresses and sizes: start-up parameters
//! that it does not follow are refused, and no session is reset between two clients.

use std::{
    fs::{self, Permissions},
    os::unix::fs::{PermissionsExt, chown},
    path::{Path, PathBuf},
    time::Duration,
};

use crate::{
    Guard, Postgres, ServersError,
    account::{self, Account},
    ports,
    postgres::{USER, query},
    process::{Launch, Process},
    programs::pgbouncer,
};

const START_LIMIT: Duration = Duration::from_secs(20);
/// How often another program may take the port between our look and the start.
const PORT_TRIES: u32 = 5;

/// A running PgBouncer.
#[derive(Debug)]
pub struct PgBouncer {
    // Before the guard, whose folder holds its settings: fields are dropped in order.
    process: Process,
    #[expect(dead_code, reason = "the process ends with it at the latest")]
    guard: Guard,
    port: u16,
}

impl PgBouncer {
    /// Starts one in front of the database `flashsale`, with at most this many connections to it.
    /// With fewer than its clients have, transactions of many clients share each.
    ///
    /// # Errors
    /// Where the program is missing or it does not start.
    pub fn start(postgres: &Postgres, server_connections: u16) -> Result<Self, ServersError> {
        let program = pgbouncer()?;
        let mut tries = 1;
        loop {
            match Self::try_start(&program, postgres.port(), server_connections) {
                Err(ServersError::Ended { log, .. })
                    if log.contains("Address already in use") && tries < PORT_TRIES =>
                {
                    tries += 1;
                }
                result => return result,
            }
        }
    }

    fn try_start(
        program: &Path,
        postgres_port: u16,
        server_connections: u16,
    ) -> Result<Self, ServersError> {
        let guard = Guard::new()?;
        let account = account::unprivileged();
        let port = ports::hold(1)?.pop().map_or(0, ports::release);
        let settings = settings(&guard, postgres_port, port, server_connections);
        let file = write(&guard, account, "pgbouncer.ini", &settings)?;
        write(&guard, account, "users.txt", &format!("\"{USER}\" \"\"\n"))?;
        let launch = Launch::new("pgbouncer", program).arg(file).account(account);
        let process = guard.launch(&launch)?;
        let mut bouncer = Self {
            process,
            guard,
            port,
        };
        bouncer.await_ready()?;
        Ok(bouncer)
    }

    /// URL of the database `flashsale` through it.
    pub fn url(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{USER}", self.port)
    }

    /// Waits until a statement passes through it.
    fn await_ready(&mut self) -> Result<(), ServersError> {
        let url = self.url();
        self.process.await_state("answer", START_LIMIT, || {
            query(&url, "SELECT 1")
                .map(drop)
                .map_err(|error| error.to_string())
        })
    }
}

fn settings(guard: &Guard, postgres_port: u16, port: u16, server_connections: u16) -> String {
    let folder = guard.folder().display();
    format!(
        "[databases]\n\
         {USER} = host=127.0.0.1 port={postgres_port} dbname={USER}\n\
         [pgbouncer]\n\
         listen_addr = 127.0.0.1\n\
         listen_port = {port}\n\
         unix_socket_dir =\n\
         auth_type = trust\n\
         auth_file = {folder}/users.txt\n\
         pool_mode = transaction\n\
         default_pool_size = {server_connections}\n\
         max_client_conn = 200\n\
         server_login_retry = 1\n"
    )
}

fn write(
    guard: &Guard,
    account: Option<Account>,
    name: &str,
    text: &str,
) -> Result<PathBuf, ServersError> {
    let file = guard.folder().join(name);
    let write = || {
        fs::write(&file, text)?;
        fs::set_permissions(&file, Permissions::from_mode(0o600))?;
        match account {
            Some(Account { uid, gid }) => chown(&file, Some(uid), Some(gid)),
            None => Ok(()),
        }
    };
    write().map_err(ServersError::io(format!("write PgBouncer's {name}")))?;
    Ok(file)
}
