//! The connections of a pool.
//!
//! Guarantees: there are never more than the limit; a connection whose server condemned it is
//! closed, with all that are idle, and no later call meets one that was made before; while no
//! connection can be made, one call at a time tries and the others fail at once; a place in the
//! pool is free again whatever happens to the call that had it; long operations use at most half of
//! the connections, in turn, and never keep a short one waiting for a place.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard, OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use crate::domain::clock::{Clock, Timer};
use crate::domain::error::BackendError;
use crate::postgres::connector::Connector;
use crate::postgres::errors::{from_sqlx, timed_out};
use crate::postgres::session::Session;

/// How long a call waits for a connection.
pub(super) const ACQUIRE_TIMEOUT: Duration = Duration::from_secs(1);

/// What is left of it for a connection that has to be made, at the least.
const MIN_CONNECT_TIMEOUT: Duration = Duration::from_millis(250);

/// How long a long operation waits for its turn: hundreds of FlashSales may begin theirs at once.
const LONG_TURN_TIMEOUT: Duration = Duration::from_secs(30);

/// A connection that was idle longer is pinged before it is used: a round trip for every call
/// would be too much, and so would an error for every one that a restart has broken meanwhile.
const PING_AFTER_IDLE: Duration = Duration::from_millis(500);

/// How long the answer to such a ping may take.
const PING_TIMEOUT: Duration = Duration::from_millis(500);

/// How long after a failure the next connection is tried.
const RETRY_AFTER: Duration = Duration::from_millis(50);

/// A connection that was idle longer is closed.
const MAX_IDLE: Duration = Duration::from_secs(60);

/// An older connection is not used again: names and certificates change.
const MAX_AGE: Duration = Duration::from_secs(30 * 60);

/// The same for a connection to a server that takes no writes: another one may by now.
const MAX_READ_ONLY_AGE: Duration = Duration::from_millis(500);

/// The connections of a pool.
#[derive(Debug)]
pub(super) struct Connections {
    connector: Connector,
    limit: usize,
    permits: Arc<Semaphore>,
    /// Turns of long operations: half of the connections, so that the others serve short ones.
    long_turns: Arc<Semaphore>,
    idle: Mutex<Idle>,
    /// Whoever makes a connection holds it, and for [`RETRY_AFTER`] longer where that failed.
    turn: Arc<AsyncMutex<()>>,
    /// Why no connection could be made the last time.
    failure: Mutex<Option<BackendError>>,
    clock: Clock,
}

#[derive(Debug, Default)]
struct Idle {
    /// Counts how often all connections were condemned.
    generation: u64,
    /// The one that was used last is at the end.
    connections: Vec<(Connection, Timer)>,
}

#[derive(Debug)]
struct Connection {
    session: Session,
    generation: u64,
    age: Timer,
}

/// A connection that one call has for itself. A drop closes it.
#[derive(Debug)]
pub(super) struct Acquired {
    connection: Connection,
    connections: Arc<Connections>,
    _permit: OwnedSemaphorePermit,
}

impl Connections {
    /// Makes no connection yet.
    pub fn new(connector: Connector, limit: u32, clock: Clock) -> Arc<Self> {
        let limit = usize::try_from(limit).unwrap_or(usize::MAX);
        let limit = limit.clamp(1, Semaphore::MAX_PERMITS);
        Arc::new(Self {
            connector,
            limit,
            permits: Arc::new(Semaphore::new(limit)),
            long_turns: Arc::new(Semaphore::new((limit / 2).max(1))),
            idle: Mutex::default(),
            turn: Arc::default(),
            failure: Mutex::default(),
            clock,
        })
    }

    /// The turn of a long operation, which it keeps to its end, within [`LONG_TURN_TIMEOUT`].
    pub async fn long_turn(
        &self,
        operation: &'static str,
    ) -> Result<OwnedSemaphorePermit, BackendError> {
        let turn = timeout(LONG_TURN_TIMEOUT, self.long_turns.clone().acquire_owned());
        let turn = turn.await.ok().and_then(Result::ok);
        turn.ok_or_else(|| timed_out(operation, LONG_TURN_TIMEOUT))
    }

    /// A connection, within [`ACQUIRE_TIMEOUT`], for the call of `operation`.
    pub async fn acquire(
        self: &Arc<Self>,
        operation: &'static str,
    ) -> Result<Acquired, BackendError> {
        let timer = self.clock.start_timer();
        let no_place = || timed_out(operation, ACQUIRE_TIMEOUT);
        let permit = timeout(ACQUIRE_TIMEOUT, self.permits.clone().acquire_owned());
        let permit = permit.await.ok().and_then(Result::ok);
        let permit = permit.ok_or_else(no_place)?;
        let connection = match self.take_idle().await {
            Some(connection) => connection,
            None => self.connect(&timer).await?,
        };
        Ok(Acquired {
            connection,
            connections: self.clone(),
            _permit: permit,
        })
    }

    /// How many connections are in use, and how many are idle.
    pub fn count(&self) -> (usize, usize) {
        let in_use = self.limit.saturating_sub(self.permits.available_permits());
        (in_use, self.lock_idle().connections.len())
    }

    async fn take_idle(&self) -> Option<Connection> {
        let (mut connection, idle) = self.lock_idle().connections.pop()?;
        if idle.elapsed() > MAX_IDLE {
            // So have all others been.
            self.lock_idle().connections.clear();
            return None;
        }
        if idle.elapsed() > PING_AFTER_IDLE
            && !matches!(
                timeout(PING_TIMEOUT, connection.session.ping()).await,
                Ok(Ok(()))
            )
        {
            self.condemn(connection);
            return None;
        }
        Some(connection)
    }

    /// Makes a connection. Where that failed just now for another call, fails as that one did.
    async fn connect(&self, timer: &Timer) -> Result<Connection, BackendError> {
        let rest = || ACQUIRE_TIMEOUT.saturating_sub(timer.elapsed());
        let turn = match self.failure() {
            Some(failure) => self.turn.clone().try_lock_owned().map_err(|_| failure)?,
            None => {
                let turn = timeout(rest(), self.turn.clone().lock_owned()).await;
                let turn = turn.map_err(|_| timed_out("connect", ACQUIRE_TIMEOUT))?;
                // Another call has ended, or failed to connect, while this one waited.
                if let Some(failure) = self.failure() {
                    return Err(failure);
                }
                if let Some((connection, _)) = self.lock_idle().connections.pop() {
                    return Ok(connection);
                }
                turn
            }
        };
        let generation = self.lock_idle().generation;
        let limit = rest().max(MIN_CONNECT_TIMEOUT);
        let opened = match timeout(limit, self.connector.open()).await {
            Ok(opened) => opened.map_err(|error| from_sqlx("connect", &error)),
            Err(_) => Err(timed_out("connect", limit)),
        };
        self.note_failure(opened.as_ref().err(), turn);
        Ok(Connection {
            session: opened?,
            generation,
            age: self.clock.start_timer(),
        })
    }

    fn failure(&self) -> Option<BackendError> {
        let failure = self.failure.lock();
        failure.unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn note_failure(&self, failure: Option<&BackendError>, turn: OwnedMutexGuard<()>) {
        let mut noted = self.failure.lock().unwrap_or_else(PoisonError::into_inner);
        *noted = failure.cloned();
        if failure.is_some() {
            tokio::spawn(async move {
                tokio::time::sleep(RETRY_AFTER).await;
                drop(turn);
            });
        }
    }

    fn put_back(&self, connection: Connection) {
        let max_age = match connection.session.is_read_only() {
            true => MAX_READ_ONLY_AGE,
            false => MAX_AGE,
        };
        if connection.age.elapsed() > max_age {
            return;
        }
        let mut idle = self.lock_idle();
        if connection.generation == idle.generation {
            idle.connections
                .push((connection, self.clock.start_timer()));
            // They were used in this order: the first has been idle for the longest time.
            if idle.connections[0].1.elapsed() > MAX_IDLE {
                idle.connections.remove(0);
            }
        }
    }

    /// Closes a connection and all that were made before now: those that are idle at once, those
    /// that are in use when they come back.
    fn condemn(&self, connection: Connection) {
        let mut idle = self.lock_idle();
        if connection.generation == idle.generation {
            idle.generation += 1;
            let condemned = std::mem::take(&mut idle.connections);
            drop(idle);
            tracing::warn!(
                idle = condemned.len(),
                "Postgres broke or refused a connection: closing it and all idle ones"
            );
        }
    }

    fn lock_idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Acquired {
    /// The session of the connection.
    pub fn session(&mut self) -> &mut Session {
        &mut self.connection.session
    }

    /// Ends the use of the connection by a call, with its error if it failed. A connection that can
    /// be used again goes back into the pool.
    pub async fn finish(mut self, error: Option<&BackendError>) {
        if !error.is_some_and(BackendError::condemns_connection) {
            let ended = timeout(ACQUIRE_TIMEOUT, self.connection.session.roll_back()).await;
            if matches!(ended, Ok(Ok(()))) {
                return self.connections.put_back(self.connection);
            }
        }
        self.connections.condemn(self.connection);
    }
}
