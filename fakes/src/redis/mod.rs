//! An in-memory Redis: one master that owns all slots, with the commands that the engine uses.
//!
//! Guarantees: replies have the shape that a cluster connection with RESP2 gives, which is the one
//! that the engine opens; a command is atomic, a script too; keys expire by the clock that was
//! passed in; a read that waits wakes when a stream changes or its time is over.
//!
//! Stricter than one real node: all keys of a command or a script must lie in the slot of the key
//! that the call is addressed by, and a script may touch declared keys alone. An option or a
//! command that the fake does not have is an error, never ignored.

mod arguments;
mod consumer_groups;
mod dispatch;
mod hashes;
mod keys;
mod keyspace;
mod lists;
mod reply;
mod scripting;
mod stream_reads;
mod stream_value;
mod streams;
mod strings_and_bits;

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use flashsale_engine::redis::commands::{MasterAnswer, Redis};
use flashsale_engine::{BackendError, Clock};
use redis::cluster_routing::Slot;
use redis::{Arg, Cmd, Value};
use tokio::sync::Notify;

use dispatch::{Action, Call};
use keyspace::Keyspace;
use reply::{CommandError, Reply};
use scripting::Scripts;
use stream_reads::Wait;

/// A handle to an in-memory Redis; clones share it.
#[derive(Clone)]
pub struct FakeRedis {
    shared: Arc<Shared>,
}

/// The keys of a [`FakeRedis`] at one time.
#[derive(Clone)]
pub struct RedisSnapshot(Keyspace);

impl fmt::Debug for RedisSnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("RedisSnapshot")
    }
}

struct Shared {
    server: Mutex<Server>,
    stream_changed: Notify,
    clock: Clock,
}

struct Server {
    keyspace: Keyspace,
    scripts: Scripts,
}

impl fmt::Debug for FakeRedis {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("FakeRedis")
    }
}

impl FakeRedis {
    /// An empty Redis whose time is that of `clock`.
    #[expect(
        clippy::expect_used,
        reason = "the prelude is a file of this crate that every test loads"
    )]
    pub fn new(clock: Clock) -> Self {
        let server = Server {
            keyspace: Keyspace::new(),
            scripts: Scripts::new().expect("the prelude runs"),
        };
        Self {
            shared: Arc::new(Shared {
                server: Mutex::new(server),
                stream_changed: Notify::new(),
                clock,
            }),
        }
    }

    /// Removes all keys, as a master does that restarts without its files. Scripts stay.
    pub fn flush_all(&self) {
        self.lock().keyspace.clear();
        self.shared.stream_changed.notify_waiters();
    }

    /// The keys as they are now.
    pub fn snapshot(&self) -> RedisSnapshot {
        RedisSnapshot(self.lock().keyspace.clone())
    }

    /// Takes the keys of a snapshot, as the slots do whose replica is promoted and has not received
    /// what was written after it.
    pub fn return_to(&self, snapshot: &RedisSnapshot) {
        self.lock().keyspace.return_to(&snapshot.0);
        self.shared.stream_changed.notify_waiters();
    }

    /// Makes the server another master than before, as a failover and a restart do. The keys stay.
    pub fn promote(&self) {
        self.lock().keyspace.replication_id += 1;
    }

    /// How many commands have run: those of scripts, and not the calls of scripts themselves.
    pub fn commands(&self) -> u64 {
        self.lock().keyspace.commands
    }

    fn lock(&self) -> MutexGuard<'_, Server> {
        // A panic in a test leaves the keys as they were between two commands, or ends the test.
        self.shared
            .server
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    /// Runs one command now. Wakes reads that wait where it changed a stream.
    fn run(&self, words: &[Vec<u8>]) -> Reply {
        let mut server = self.lock();
        let changes = server.keyspace.stream_changes();
        server.keyspace.begin(self.shared.clock.now_us());
        let reply = server.run(words);
        if server.keyspace.stream_changes() != changes {
            self.shared.stream_changed.notify_waiters();
        }
        reply
    }

    /// Runs a read until it finds something or its time is over.
    async fn run_waiting(&self, words: &[Vec<u8>], wait: Wait) -> Reply {
        let read = async {
            loop {
                let changed = self.shared.stream_changed.notified();
                tokio::pin!(changed);
                // Registered before the read, so that no change falls in between.
                changed.as_mut().enable();
                match self.run(words) {
                    Ok(Value::Nil) => changed.await,
                    reply => return reply,
                }
            }
        };
        match wait {
            Wait::Forever => read.await,
            Wait::AtMost(longest) => tokio::time::timeout(longest, read)
                .await
                .unwrap_or(Ok(Value::Nil)),
        }
    }

    async fn call_words(&self, mut words: Vec<Vec<u8>>) -> Reply {
        tokio::task::yield_now().await;
        let wait = stream_reads::begin_wait(&self.lock().keyspace, &mut words);
        match wait {
            None => self.run(&words),
            Some(wait) => self.run_waiting(&words, wait).await,
        }
    }
}

impl Server {
    fn run(&mut self, words: &[Vec<u8>]) -> Reply {
        let call = Call::parse(words)?;
        let Self { keyspace, scripts } = self;
        match call.action() {
            Action::Run(_) => dispatch::run(keyspace, &call),
            Action::Eval => scripts.eval(keyspace, &mut call.arguments()),
            Action::EvalSha => scripts.eval_sha(keyspace, &mut call.arguments()),
            Action::Script => scripts.script(&mut call.arguments()),
        }
    }
}

/// The words of a command: its name and its arguments.
fn words(command: &Cmd) -> Vec<Vec<u8>> {
    let word = |argument: Arg<&[u8]>| match argument {
        Arg::Simple(bytes) => bytes.to_vec(),
        // The cursor of a command in scan mode; its first is 0.
        _ => b"0".to_vec(),
    };
    command.args_iter().map(word).collect()
}

/// Fails where a key of the command lies in another slot than the one that it is addressed by.
fn check_slot(addressed: &str, words: &[Vec<u8>]) -> Result<(), CommandError> {
    let slot = Slot::for_key(addressed);
    let call = Call::parse(words)?;
    match call.keys().iter().find(|key| Slot::for_key(key) != slot) {
        None => Ok(()),
        Some(key) => Err(CommandError::new(
            "CROSSSLOT",
            format!(
                "Keys in request don't hash to the same slot: expected the slot of {addressed:?}, \
                 found the key {:?}",
                String::from_utf8_lossy(key)
            ),
        )),
    }
}

impl Redis for FakeRedis {
    async fn call(
        &self,
        operation: &'static str,
        key: &str,
        command: &Cmd,
    ) -> Result<Value, BackendError> {
        let words = words(command);
        let reply = match check_slot(key, &words) {
            Ok(()) => self.call_words(words).await,
            Err(error) => Err(error),
        };
        reply.map_err(|error| error.into_backend_error(operation))
    }

    async fn call_all_masters(&self, operation: &'static str, command: &Cmd) -> Vec<MasterAnswer> {
        let reply = self.call_words(words(command)).await;
        vec![MasterAnswer {
            node: "fake".to_owned(),
            answer: reply.map_err(|error| error.into_backend_error(operation)),
        }]
    }

    fn stream_reader(&self) -> impl Future<Output = Result<Self, BackendError>> + Send {
        std::future::ready(Ok(self.clone()))
    }
}
