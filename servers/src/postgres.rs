//! One Postgres server.
//!
//! Trust authentication, on 127.0.0.1 alone, user `flashsale`. It flushes to disk
//! on commit unless told otherwise, so that what tests and benches say about
//! durability and speed is true.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Command,
    time::Duration,
};

use crate::{
    Guard, ServersError, TestCertificates,
    account::{self, Account},
    ports, postgres_tls,
    process::{Launch, Process, Signal},
    programs::postgres_programs,
};

mod data_folder;
mod standby;

use data_folder::init;

/// The user, and the database that is used.
pub(crate) const USER: &str = "flashsale";
/// The database that every server has from its start.
const MAINTENANCE: &str = "postgres";
const STATEMENT_COUNTER: &str = "pg_stat_statements";
const START_LIMIT: Duration = Duration::from_secs(60);
const STOP_LIMIT: Duration = Duration::from_secs(10);
/// How often another program may take the port between our look and the start.
const PORT_TRIES: u32 = 5;

/// How a [`Postgres`] is set up.
#[derive(Debug, Clone, Copy)]
pub struct PostgresSettings {
    /// Flush to disk on commit. Turn it off only where nothing is said about
    /// durability or speed.
    pub fsync: bool,
    /// How many connections it accepts.
    pub max_connections: u16,
    /// Record when each transaction was committed (`pg_xact_commit_timestamp`).
    pub commit_timestamps: bool,
    /// Count statements, where the extension pg_stat_statements is installed; it costs some
    /// microseconds for each.
    pub count_statements: bool,
}

impl Default for PostgresSettings {
    fn default() -> Self {
        Self {
            fsync: true,
            max_connections: 200,
            commit_timestamps: false,
            count_statements: false,
        }
    }
}

/// A running Postgres with an empty database `flashsale`.
#[derive(Debug)]
pub struct Postgres {
    // Before the process: fields are dropped in order, and the guard stops it cleanly.
    guard: Guard,
    process: Process,
    programs: PathBuf,
    data: PathBuf,
    account: Option<Account>,
    settings: PostgresSettings,
    certificates: Option<TestCertificates>,
    port: u16,
}

impl Postgres {
    /// Starts a server with the default settings; about two seconds.
    ///
    /// # Errors
    /// Where the programs are missing or it does not start.
    pub fn start() -> Result<Self, ServersError> {
        Self::start_with(PostgresSettings::default())
    }

    /// Starts a server.
    ///
    /// # Errors
    /// Where the programs are missing or it does not start.
    pub fn start_with(settings: PostgresSettings) -> Result<Self, ServersError> {
        Self::start_in(settings, |_, _| Ok(None))
    }

    /// Starts a server that asks every client over TLS for one of its
    /// [`Postgres::certificates`], and takes clients without TLS as it otherwise does.
    ///
    /// # Errors
    /// As [`Postgres::start`], and where OpenSSL makes no certificates.
    pub fn start_with_tls() -> Result<Self, ServersError> {
        Self::start_in(PostgresSettings::default(), |data, account| {
            postgres_tls::set_up(data, account).map(Some)
        })
    }

    fn start_in(
        settings: PostgresSettings,
        set_up_tls: impl FnOnce(
            &Path,
            Option<Account>,
        ) -> Result<Option<TestCertificates>, ServersError>,
    ) -> Result<Self, ServersError> {
        let programs = postgres_programs()?;
        let guard = Guard::new()?;
        let account = account::unprivileged();
        let data = init(&guard, &programs, account)?;
        let certificates = set_up_tls(&data, account)?;
        let (process, port) = start_on_free_port(&guard, &programs, &data, account, settings)?;
        let postgres = Self {
            guard,
            process,
            programs,
            data,
            account,
            settings,
            certificates,
            port,
        };
        postgres.create_database(USER)?;
        if postgres.counts_statements() {
            // In another database, so that the one that is used is empty.
            postgres.query_in(
                MAINTENANCE,
                &format!("CREATE EXTENSION {STATEMENT_COUNTER}"),
            )?;
        }
        Ok(postgres)
    }

    /// The port at which it listens.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// URL of the database `flashsale`.
    pub fn url(&self) -> String {
        self.url_of(USER)
    }

    /// Creates an empty database and returns its URL.
    ///
    /// # Errors
    /// Where there is one of this name, or the server is down.
    pub fn create_database(&self, name: &str) -> Result<String, ServersError> {
        let mut createdb = Command::new(self.programs.join("createdb"));
        createdb
            .args(["--host=127.0.0.1", "--no-password"])
            .arg(format!("--port={}", self.port))
            .arg(format!("--username={USER}"))
            .arg(format!("--maintenance-db={MAINTENANCE}"))
            .arg(name);
        printed(&mut createdb, format!("createdb {name}"))?;
        Ok(self.url_of(name))
    }

    /// What psql prints for `statement` in the database `flashsale`: fields divided by `|`.
    ///
    /// # Errors
    /// Where the server is down or does not understand it.
    pub fn query(&self, statement: &str) -> Result<String, ServersError> {
        run_psql(&self.programs, &self.url(), statement)
    }

    /// How many statements were carried out in the database `flashsale` so far, as psql prints
    /// it, those of transactions (`BEGIN`, `COMMIT`) included; `None` where they are not counted.
    ///
    /// # Errors
    /// Where the server is down.
    pub fn statement_count(&self) -> Result<Option<String>, ServersError> {
        if !self.counts_statements() {
            return Ok(None);
        }
        let statement = format!(
            "SELECT coalesce(sum(calls), 0)::bigint FROM {STATEMENT_COUNTER} \
             JOIN pg_database ON pg_database.oid = dbid WHERE datname = '{USER}'"
        );
        self.query_in(MAINTENANCE, &statement).map(Some)
    }

    fn counts_statements(&self) -> bool {
        self.settings.count_statements && has_statement_counter(&self.programs)
    }

    fn query_in(&self, database: &str, statement: &str) -> Result<String, ServersError> {
        run_psql(&self.programs, &self.url_of(database), statement)
    }

    /// The certificates of a server with TLS.
    pub fn certificates(&self) -> Option<&TestCertificates> {
        self.certificates.as_ref()
    }

    /// Process id of the postmaster.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// That it has ended, as an error with the end of its log; `None` while it runs.
    pub fn ended(&mut self) -> Option<ServersError> {
        self.process.ended()
    }

    /// Immediate shutdown: connections break at once, nothing is left half done
    /// but what a crash leaves too.
    pub fn stop(&mut self) {
        self.process.stop(Signal::Quit, STOP_LIMIT);
    }

    /// Kills the postmaster with SIGKILL; its backends notice and end.
    pub fn kill(&mut self) {
        self.process.stop(Signal::Kill, STOP_LIMIT);
    }

    /// Starts the stopped or killed server again, with its data, on its port.
    ///
    /// # Errors
    /// Where it does not start, or still runs.
    pub fn start_again(&mut self) -> Result<(), ServersError> {
        self.stop();
        // Backends of a killed postmaster need a moment to end and until then hold
        // its shared memory, and a new postmaster refuses to start beside them.
        let mut tries = 0;
        loop {
            let launch = server(
                &self.programs,
                &self.data,
                self.account,
                self.settings,
                self.port,
            );
            self.process = self.guard.launch(&launch)?;
            match ready(&mut self.process, &self.data) {
                Err(ServersError::Ended { log, .. })
                    if log.contains("still in use") && tries < 50 =>
                {
                    tries += 1;
                    std::thread::sleep(Duration::from_millis(100));
                }
                result => return result,
            }
        }
    }

    fn url_of(&self, database: &str) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/{database}", self.port)
    }
}

fn start_on_free_port(
    guard: &Guard,
    programs: &Path,
    data: &Path,
    account: Option<Account>,
    settings: PostgresSettings,
) -> Result<(Process, u16), ServersError> {
    let mut tries = 0;
    loop {
        tries += 1;
        let port = ports::hold(1)?.pop().map_or(0, ports::release);
        let mut process = guard.launch(&server(programs, data, account, settings, port))?;
        match ready(&mut process, data) {
            Ok(()) => return Ok((process, port)),
            Err(ServersError::Ended { log, .. })
                if log.contains("Address already in use") && tries < PORT_TRIES => {}
            Err(error) => return Err(error),
        }
    }
}

fn server(
    programs: &Path,
    data: &Path,
    account: Option<Account>,
    settings: PostgresSettings,
    port: u16,
) -> Launch {
    let on_off = |on: bool| if on { "on" } else { "off" };
    let mut launch = Launch::new("postgres", programs.join("postgres"))
        .arg("-D")
        .arg(data)
        .folder(data)
        .account(account)
        .guard_signal(Signal::Quit);
    for setting in [
        format!("port={port}"),
        "listen_addresses=127.0.0.1".into(),
        "unix_socket_directories=".into(),
        format!("max_connections={}", settings.max_connections),
        format!("fsync={}", on_off(settings.fsync)),
        format!(
            "track_commit_timestamp={}",
            on_off(settings.commit_timestamps)
        ),
        // Files below the data folder instead of /dev/shm, where they could be left.
        "dynamic_shared_memory_type=mmap".into(),
        "log_line_prefix=%m [%p] ".into(),
        "timezone=UTC".into(),
        "log_timezone=UTC".into(),
    ] {
        launch = launch.arg("-c").arg(setting);
    }
    if settings.count_statements && has_statement_counter(programs) {
        let preload = format!("shared_preload_libraries={STATEMENT_COUNTER}");
        launch = launch.arg("-c").arg(preload);
    }
    launch
}

/// Whether the extension is where Debian's package of the server puts it.
fn has_statement_counter(programs: &Path) -> bool {
    let library = programs.join("../lib").join(STATEMENT_COUNTER);
    library.with_extension("so").is_file()
}

/// Waits for the postmaster's own word, the eighth line of its pid file.
fn ready(process: &mut Process, data: &Path) -> Result<(), ServersError> {
    let pid = process.pid().to_string();
    process.await_state("accept connections", START_LIMIT, || {
        let text = fs::read_to_string(data.join("postmaster.pid"))
            .map_err(|error| format!("its postmaster.pid: {error}"))?;
        let mut lines = text.lines().map(str::trim);
        // A killed server's file is still there, and says "ready" too.
        match (lines.next() == Some(&pid), lines.nth(6)) {
            (true, Some("ready")) => Ok(()),
            (true, Some(state)) => Err(format!("it says `{state}`")),
            _ => Err("it says nothing yet".into()),
        }
    })
}

/// What one statement prints at any server's URL, as [`Postgres::query`] has it.
///
/// # Errors
/// Where psql is missing, or ends with a failure.
pub fn query(url: &str, statement: &str) -> Result<String, ServersError> {
    run_psql(&postgres_programs()?, url, statement)
}

fn run_psql(programs: &Path, url: &str, statement: &str) -> Result<String, ServersError> {
    let mut psql = Command::new(programs.join("psql"));
    psql.args(["-X", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-c", statement])
        .arg(url);
    printed(&mut psql, format!("psql -c {statement:?}"))
}

/// What a client of Postgres prints.
fn printed(client: &mut Command, name: String) -> Result<String, ServersError> {
    let output = client
        .env("PGCONNECT_TIMEOUT", "10")
        // A server with TLS would ask for a certificate.
        .env("PGSSLMODE", "disable")
        .output()
        .map_err(ServersError::io(format!("run {name}")))?;
    if !output.status.success() {
        return Err(ServersError::Ended {
            name,
            status: output.status.to_string(),
            log: String::from_utf8_lossy(&output.stderr).into_owned(),
        });
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
