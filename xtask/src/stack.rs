//! Everything that makes a sale, on this machine: Postgres, a six-node Redis
//! Cluster, the operator in `local` mode, and API processes.

use std::{
    env, fmt, fs,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context, Result};
use flashsale_servers::{
    Guard, Launch, Postgres, PostgresSettings, Process, RedisCluster, ServersError, Signal,
};
use jiff::SignedDuration;
use serde::Deserialize;

use crate::{
    http,
    manifest::Manifest,
    project::{Profile, Programs},
    session::{STOP_LIMIT, Session},
    shop::{Endpoints, Shop},
    status::Status,
};

const READY_LIMIT: Duration = Duration::from_secs(60);

/// What the operator runs.
pub enum Sale {
    /// This manifest, with its start moved to some seconds from when servers are up.
    Soon(Manifest, SignedDuration),
    /// This file, as it is.
    AsItIs(PathBuf),
}

impl Sale {
    /// The manifest that the operator runs, and its file, which may be made in `folder`.
    fn manifest(self, folder: &Path) -> Result<(Manifest, PathBuf)> {
        match self {
            Self::AsItIs(file) => Ok((Manifest::read(&file)?, file)),
            Self::Soon(mut manifest, delay) => {
                let file = folder.join("flashsale.yaml");
                manifest.start_in(delay)?;
                manifest.write(&file)?;
                Ok((manifest, file))
            }
        }
    }
}

impl Sale {
    /// The sale of `manifest`, or without one the sample, `delay` after the servers
    /// are up. A manifest is read here already, so that a typing error in it shows
    /// before anything is installed and built.
    pub fn of(manifest: Option<&Path>, delay: SignedDuration) -> Result<Self> {
        let Some(file) = manifest else {
            return Ok(Self::Soon(Manifest::sample()?, delay));
        };
        Manifest::read(file)?.name()?;
        let file = std::path::absolute(file).context("could not tell where the manifest is")?;
        Ok(Self::AsItIs(file))
    }
}

/// How a [`Stack`] is started.
pub struct Settings<'a> {
    /// What the operator runs.
    pub sale: Sale,
    /// How many API processes are started.
    pub api_processes: usize,
    /// Worker threads of each API process; `None`: its own default.
    pub worker_threads: Option<usize>,
    /// The folder that the logs go to.
    pub logs: &'a Path,
}

/// The servers of a [`Stack`].
#[derive(Debug, Clone, Copy)]
pub struct BackendSettings {
    /// How Postgres is set up.
    pub postgres: PostgresSettings,
    /// Redis nodes that are masters; each has one replica.
    pub redis_masters: usize,
}

impl Default for BackendSettings {
    fn default() -> Self {
        Self {
            postgres: PostgresSettings::default(),
            redis_masters: 3,
        }
    }
}

impl BackendSettings {
    /// Starts them beside each other.
    fn start(self, session: &Session) -> Result<(Postgres, RedisCluster)> {
        let Self {
            postgres,
            redis_masters: masters,
        } = self;
        session.say(format_args!(
            "Starting Postgres and a Redis Cluster of {} nodes",
            2 * masters
        ));
        let postgres = session.begin_work(move || Ok(Postgres::start_with(postgres)?));
        let redis = session.begin_work(move || Ok(RedisCluster::start(masters, masters)?));
        Ok((session.finish_work(postgres)?, session.finish_work(redis)?))
    }
}

/// What an API process writes once it listens.
#[derive(Deserialize)]
struct Listening {
    public: String,
    internal: String,
}

/// See the module. Dropping it ends everything at once; [`Stack::stop`] lets the
/// programs finish first.
pub struct Stack {
    // Before the processes: fields are dropped in order, and the guard stops all at once.
    guard: Guard,
    api: Vec<Process>,
    operator: Process,
    /// How the API processes were started, but for where they listen.
    api_launches: Vec<Launch>,
    operator_launch: Launch,
    redis: RedisCluster,
    postgres: Postgres,
    status_file: PathBuf,
    endpoints: Endpoints,
}

impl Stack {
    /// Starts everything and waits until every API process is ready.
    /// The programs must have been built in release mode.
    pub fn start(session: &Session, settings: Settings) -> Result<Self> {
        let programs = Programs::built(Profile::Release)?;
        Self::start_with(session, settings, &programs, BackendSettings::default())
    }

    /// The same with these programs and these servers.
    pub fn start_with(
        session: &Session,
        settings: Settings,
        programs: &Programs,
        backends: BackendSettings,
    ) -> Result<Self> {
        let (postgres, redis) = backends.start(session)?;
        let count = settings.api_processes;
        session.say(format!("Starting the operator and {count} API processes"));
        // Of its own, so that several stacks of one session share no file.
        let guard = Guard::new()?;
        let here = guard.folder().to_owned();
        let (manifest, file) = settings.sale.manifest(&here)?;
        let logs = settings.logs;
        let backends = [
            format!("--redis-url={}", redis.url()),
            format!("--postgres-url={}", postgres.url()),
        ];
        let status_file = here.join("status.json");
        let operator = fresh(logs, "operator", programs.operator.clone())
            .arg("local")
            .args(&backends)
            .arg("--manifest")
            .arg(&file)
            .arg("--status-file")
            .arg(&status_file);
        let mut stack = Self {
            api: Vec::new(),
            api_launches: Vec::new(),
            operator: guard.launch(&operator)?,
            operator_launch: operator,
            endpoints: Endpoints {
                redis: redis.url(),
                postgres: postgres.url(),
                ..Endpoints::default()
            },
            redis,
            postgres,
            status_file,
            guard,
        };
        let shared = [
            format!("--flash-sale={}", manifest.name()?),
            backends[0].clone(),
            backends[1].clone(),
        ];
        let threads = settings.worker_threads;
        let shared = shared.into_iter();
        let arguments: Vec<String> = shared
            .chain(threads.map(|threads| format!("--worker-threads={threads}")))
            .collect();
        stack.start_api(session, count, (&programs.api, &arguments), logs)?;
        Ok(stack)
    }

    /// Starts the API processes and waits until each is ready.
    fn start_api(
        &mut self,
        session: &Session,
        count: usize,
        (program, arguments): (&Path, &[String]),
        logs: &Path,
    ) -> Result<()> {
        let folder = self.guard.folder();
        let listening: Vec<PathBuf> = (1..=count)
            .map(|number| folder.join(format!("api-{number}.json")))
            .collect();
        for (index, file) in listening.iter().enumerate() {
            let name = format!("api-{}", index + 1);
            let api = fresh(logs, &name, program.to_owned())
                .args(arguments)
                .arg("--endpoints-file")
                .arg(file);
            let anywhere = listening_at(&api, "127.0.0.1:0", "127.0.0.1:0");
            self.api.push(self.guard.launch(&anywhere)?);
            self.api_launches.push(api);
        }
        for file in listening {
            self.await_ready(session, &file)?;
        }
        Ok(())
    }

    fn await_ready(&mut self, session: &Session, listening: &Path) -> Result<()> {
        let listening = session.await_that("the API listens", READY_LIMIT, || {
            self.check()?;
            Ok(fs::read_to_string(listening).ok())
        })?;
        let Listening { public, internal } =
            serde_json::from_str(&listening).context("the API's endpoints file")?;
        session.await_that("the API is ready", READY_LIMIT, || {
            self.check()?;
            Ok(matches!(http::get(&internal, "/readyz"), Ok((200, _))).then_some(()))
        })?;
        self.endpoints.api.push(public);
        self.endpoints.internal.push(internal);
        Ok(())
    }

    /// What has ended, and how.
    pub fn ended(&mut self) -> Vec<(Part, ServersError)> {
        let mut ended = Vec::new();
        for (index, process) in self.api.iter_mut().enumerate() {
            ended.extend(process.ended().map(|how| (Part::Api(index), how)));
        }
        ended.extend(self.operator.ended().map(|how| (Part::Operator, how)));
        ended.extend(self.postgres.ended().map(|how| (Part::Postgres, how)));
        let nodes = self.redis.ended_nodes().into_iter();
        ended.extend(nodes.map(|(index, how)| (Part::Redis(index), how)));
        ended
    }

    /// Starts what has ended again, where it was.
    pub fn start_again(&mut self, part: Part) -> Result<()> {
        match part {
            Part::Api(index) => {
                let (public, internal) =
                    (&self.endpoints.api[index], &self.endpoints.internal[index]);
                let launch = listening_at(&self.api_launches[index], host(public), host(internal));
                self.api[index] = self.guard.launch(&launch)?;
            }
            Part::Operator => self.operator = self.guard.launch(&self.operator_launch)?,
            Part::Redis(index) => self.redis.restart(index)?,
            Part::Postgres => self.postgres.start_again()?,
        }
        Ok(())
    }

    /// Process ids of the API processes.
    pub fn api_pids(&self) -> Vec<u32> {
        self.api.iter().map(Process::pid).collect()
    }

    /// Process id of the operator.
    pub fn operator_pid(&self) -> u32 {
        self.operator.pid()
    }

    /// The Redis Cluster.
    pub fn redis(&self) -> &RedisCluster {
        &self.redis
    }

    /// The database server.
    pub fn postgres(&self) -> &Postgres {
        &self.postgres
    }

    /// Lets the API processes drain and the operator finish; then all is ended.
    pub fn stop(mut self) {
        for process in &mut self.api {
            process.signal(Signal::Terminate);
        }
        for process in self.api.iter_mut().chain([&mut self.operator]) {
            process.stop(Signal::Terminate, STOP_LIMIT);
        }
    }
}

impl Shop for Stack {
    fn check(&mut self) -> Result<()> {
        let ended = self
            .api
            .iter_mut()
            .chain([&mut self.operator])
            .find_map(Process::ended)
            .or_else(|| self.redis.ended())
            .or_else(|| self.postgres.ended());
        ended.map_or(Ok(()), |ended| Err(ended.into()))
    }

    fn status(&self) -> Status {
        Status::read(&fs::read_to_string(&self.status_file).unwrap_or_default())
    }

    fn places(&self) -> &Endpoints {
        &self.endpoints
    }

    fn ask_redis(&self, words: &[&str]) -> Result<String> {
        Ok(self.redis.ask(words)?)
    }
}

/// Something of the stack that can end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Part {
    /// An API process, from 0.
    Api(usize),
    /// The operator.
    Operator,
    /// A Redis node, from 0.
    Redis(usize),
    /// The database server.
    Postgres,
}

impl fmt::Display for Part {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Api(index) => write!(f, "API process {}", index + 1),
            Self::Operator => f.write_str("the operator"),
            Self::Redis(index) => write!(f, "Redis node {}", index + 1),
            Self::Postgres => f.write_str("Postgres"),
        }
    }
}

fn listening_at(api: &Launch, public: &str, internal: &str) -> Launch {
    api.clone().args([
        format!("--listen={public}"),
        format!("--internal-listen={internal}"),
    ])
}

/// `host:port` of a URL that an API process wrote.
fn host(url: &str) -> &str {
    url.trim_start_matches("http://")
}

/// A process with a log of this run alone.
fn fresh(logs: &Path, name: &str, program: PathBuf) -> Launch {
    let log = logs.join(format!("{name}.log"));
    // Where there was none there is nothing to remove.
    let _ = fs::remove_file(&log);
    product(name, program).log(log)
}

/// A program of the product, with its defaults: variables of the developer's environment for
/// other such programs, such as the address of a database, are not passed on.
pub fn product(name: &str, program: PathBuf) -> Launch {
    let ours = env::vars_os()
        .map(|(name, _)| name)
        .filter(|name| name.to_string_lossy().starts_with("FLASHSALE_"));
    Launch::new(name, program).without_env(ours)
}
