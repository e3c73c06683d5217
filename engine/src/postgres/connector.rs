//! Connects to the server that takes writes.
//!
//! Guarantees: of several hosts one that takes writes is preferred, wherever it is in the URL; one
//! that hangs keeps no other from being tried, and none that can be read from being used; a pooler
//! that refuses start-up options is asked without them, and is not asked with them again.

use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;

use crate::postgres::address::PostgresAddress;
use crate::postgres::session::{Session, SessionKind};

/// How long the host that took writes last is tried before the others are tried as well.
const FIRST_HOST_LIMIT: Duration = Duration::from_millis(400);

/// How long the next host that takes writes is waited for while a host that can be read waits.
const OTHERS_LIMIT: Duration = Duration::from_millis(250);

/// Opens sessions at an address.
#[derive(Debug)]
pub(super) struct Connector {
    address: PostgresAddress,
    /// Which host took writes last.
    preferred: AtomicUsize,
    /// Whether there is a pooler, which refuses or drops start-up options.
    is_pooled: AtomicBool,
}

impl Connector {
    /// Does not connect yet.
    pub fn new(address: PostgresAddress) -> Self {
        Self {
            address,
            preferred: AtomicUsize::new(0),
            is_pooled: AtomicBool::new(false),
        }
    }

    /// Opens a session at a host that takes writes; where there is none, at one that is read-only.
    /// Waits as long as the hosts do: limit it.
    pub async fn open(&self) -> Result<Session, sqlx::Error> {
        let first = self.preferred.load(Ordering::Relaxed);
        if self.address.hosts().len() == 1 {
            return self.open_at(first).await;
        }
        let opening = tokio::time::timeout(FIRST_HOST_LIMIT, self.open_at(first));
        let mut candidate = match opening.await {
            Ok(Ok(session)) if !session.is_read_only() => return Ok(session),
            Ok(opened) => opened,
            Err(_) => Err(sqlx::Error::Io(ErrorKind::TimedOut.into())),
        };
        let others = (0..self.address.hosts().len()).filter(|host| *host != first);
        let mut others: FuturesUnordered<_> = others
            .map(|host| async move { (host, self.open_at(host).await) })
            .collect();
        loop {
            let next = match &candidate {
                Ok(_) => tokio::time::timeout(OTHERS_LIMIT, others.next()).await,
                Err(_) => Ok(others.next().await),
            };
            let Ok(Some((host, opened))) = next else {
                return candidate;
            };
            match opened {
                Ok(session) if !session.is_read_only() => {
                    self.preferred.store(host, Ordering::Relaxed);
                    return Ok(session);
                }
                Ok(session) => candidate = candidate.or(Ok(session)),
                // The error of the preferred host is the one that is shown.
                Err(_) => {}
            }
        }
    }

    async fn open_at(&self, host: usize) -> Result<Session, sqlx::Error> {
        let options = &self.address.hosts()[host];
        if self.is_pooled.load(Ordering::Relaxed) {
            return Session::open(options, SessionKind::TransactionPooled).await;
        }
        let session = match Session::open(options, SessionKind::Dedicated).await {
            Err(error) if refuses_options(&error) => {
                Session::open(options, SessionKind::TransactionPooled).await?
            }
            opened => opened?,
        };
        if session.kind() == SessionKind::TransactionPooled {
            tracing::info!("Postgres is behind a pooler: every statement has a transaction");
            self.is_pooled.store(true, Ordering::Relaxed);
        }
        Ok(session)
    }
}

/// Whether a server or a pooler refuses the start-up options: a protocol violation for PgBouncer,
/// a feature that is not supported for others.
fn refuses_options(error: &sqlx::Error) -> bool {
    let code = error.as_database_error().and_then(|error| error.code());
    code.is_some_and(|code| code.starts_with("08") || code.starts_with("0A"))
}
