//! The connections of a run, shared by its users.
//!
//! Never more than were asked for; who finds none free waits in line. They are handed
//! out in turn, which spreads the calls over the targets also when few are in use.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::Arc;
use std::time::Duration;

use futures_util::{FutureExt, StreamExt, stream};
use tokio::sync::Semaphore;

use crate::client::connection::{Client, NoAnswer, Response, Target};

const CONNECT_AT_ONCE: usize = 64;
const CONNECT_AHEAD: Duration = Duration::from_secs(5);

/// A fixed number of connections.
pub struct Pool {
    idle: RefCell<VecDeque<Client>>,
    free: Semaphore,
}

impl Pool {
    /// Connections over the targets in turn, opened ahead where somebody answers.
    pub async fn open(targets: &[Arc<Target>], connections: u32, timeout: Duration) -> Self {
        let targets = targets.iter().cycle().take(connections as usize);
        let mut idle: VecDeque<Client> = targets
            .map(|target| Client::new(Arc::clone(target), timeout))
            .collect();
        let connecting = stream::iter(&mut idle).for_each_concurrent(CONNECT_AT_ONCE, |client| {
            // One that fails now is tried again by its first call, which reports it.
            client.connect().map(drop)
        });
        // Those that are not open by then are opened by their first call too.
        let _ = tokio::time::timeout(CONNECT_AHEAD, connecting).await;
        Self {
            free: Semaphore::new(idle.len()),
            idle: RefCell::new(idle),
        }
    }

    /// Makes one call on the connection that has rested longest.
    ///
    /// # Errors
    /// When there is no answer.
    pub async fn send(
        &self,
        method: hyper::Method,
        path: String,
        request_id: String,
    ) -> Result<Response, NoAnswer> {
        let none = || NoAnswer::Connect(std::io::ErrorKind::NotConnected.into());
        let _permit = self.free.acquire().await.map_err(|_| none())?;
        let mut client = self.idle.borrow_mut().pop_front().ok_or_else(none)?;
        let response = client.send(method, path, Some(request_id)).await;
        self.idle.borrow_mut().push_back(client);
        response
    }
}
