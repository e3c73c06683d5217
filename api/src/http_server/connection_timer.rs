//! The timer of a connection: how long the connection waits for its client.
//!
//! Guarantees: a client that stops in the middle of a request, does not read its response or sends
//! nothing holds a connection for a bounded time. The timer stands still while the service makes a
//! response: the middleware limits that time ([`crate::middleware`]).
//!
//! The timer ticks [`TICKS`] times in the time limit of a request, and reads and writes compare
//! ticks. A request needs no timer of the runtime and does not read the clock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::time::Duration;

/// Ticks in the time limit of a request.
const TICKS: u32 = 10;

/// The time limits of a connection.
#[derive(Debug, Clone, Copy)]
pub struct ConnectionTimeouts {
    /// For the rest of a request that has begun, for the client to read its response, and for the
    /// client to close after the last response.
    pub request: Duration,
    /// For the next request.
    pub idle: Duration,
}

impl ConnectionTimeouts {
    /// The time between two ticks.
    pub fn tick(&self) -> Duration {
        self.request / TICKS
    }

    fn idle_ticks(&self) -> u32 {
        let ticks = self.idle.as_nanos() / self.tick().as_nanos().max(1);
        u32::try_from(ticks).unwrap_or(u32::MAX).max(1)
    }
}

/// What a connection waits for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u8)]
enum Wait {
    /// The first byte of the client.
    First,
    /// The next request.
    Next,
    /// The rest of a request's head.
    Head,
    /// The response of the service.
    Response,
    /// The client, to read what is written.
    Reader,
    /// The client, to close after the last response.
    Close,
}

impl Wait {
    const ALL: [Self; 6] = [
        Self::First,
        Self::Next,
        Self::Head,
        Self::Response,
        Self::Reader,
        Self::Close,
    ];
}

/// Counts the ticks of a connection's current wait. The stream and the driver of a connection share
/// the timer and run in one task; the atomics only satisfy the compiler.
#[derive(Debug)]
pub struct ConnectionTimer {
    ticks: AtomicU32,
    wait_start: AtomicU32,
    wait: AtomicU8,
    idle_ticks: u32,
}

impl ConnectionTimer {
    /// Starts to wait for the first byte.
    pub fn new(timeouts: &ConnectionTimeouts) -> Arc<Self> {
        Arc::new(Self {
            ticks: AtomicU32::new(0),
            wait_start: AtomicU32::new(0),
            wait: AtomicU8::new(Wait::First as u8),
            idle_ticks: timeouts.idle_ticks(),
        })
    }

    /// Counts a tick.
    pub fn tick(&self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the current wait has exceeded its limit. While the server closes (`closing`), a new
    /// connection has one tick to send its first byte.
    pub fn is_expired(&self, closing: bool) -> bool {
        // The first tick may have come right after the wait began, hence "more than".
        let waited = self.ticks.load(Ordering::Relaxed) - self.wait_start.load(Ordering::Relaxed);
        match self.wait() {
            Wait::First if closing => waited > 1,
            Wait::First | Wait::Next => waited > self.idle_ticks,
            Wait::Head | Wait::Reader | Wait::Close => waited > TICKS,
            Wait::Response => false,
        }
    }

    /// Whether the client has sent nothing yet.
    pub fn is_new(&self) -> bool {
        self.wait() == Wait::First
    }

    /// Stops the timer after the head of a request, until the guard is dropped.
    pub fn start_response(self: &Arc<Self>) -> ResponseInProgress {
        self.start_wait(Wait::Response);
        ResponseInProgress(self.clone())
    }

    /// Restarts the wait for the first byte when the server starts to close.
    pub fn start_closing(&self) {
        if self.is_new() {
            self.start_wait(Wait::First);
        }
    }

    /// The client has sent bytes.
    pub fn on_read(&self) {
        if matches!(self.wait(), Wait::First | Wait::Next) {
            self.start_wait(Wait::Head);
        }
    }

    /// The client has accepted bytes. During a response they are `100 Continue`, after which the
    /// response still follows.
    pub fn on_written(&self) {
        if self.wait() != Wait::Response {
            self.start_wait(Wait::Next);
        }
    }

    /// The client does not accept bytes.
    pub fn on_write_blocked(&self) {
        if !matches!(self.wait(), Wait::Response | Wait::Reader) {
            self.start_wait(Wait::Reader);
        }
    }

    /// The server has closed its side.
    pub fn on_shutdown(&self) {
        if self.wait() != Wait::Close {
            self.start_wait(Wait::Close);
        }
    }

    fn wait(&self) -> Wait {
        let wait = usize::from(self.wait.load(Ordering::Relaxed));
        Wait::ALL.get(wait).copied().unwrap_or(Wait::Next)
    }

    fn start_wait(&self, wait: Wait) {
        self.wait_start
            .store(self.ticks.load(Ordering::Relaxed), Ordering::Relaxed);
        self.wait.store(wait as u8, Ordering::Relaxed);
    }
}

/// A guard: the timer stands still while it lives.
#[derive(Debug)]
pub struct ResponseInProgress(Arc<ConnectionTimer>);

impl Drop for ResponseInProgress {
    fn drop(&mut self) {
        self.0.start_wait(Wait::Next);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks until the wait expires, at most 1,000.
    fn ticks_to_expiry(timer: &ConnectionTimer, closing: bool) -> u32 {
        let mut ticks = 0;
        while !timer.is_expired(closing) && ticks < 1_000 {
            timer.tick();
            ticks += 1;
        }
        ticks
    }

    #[test]
    fn each_wait_has_its_own_limit_and_a_response_in_progress_has_none() {
        let timeouts = ConnectionTimeouts {
            request: Duration::from_secs(10),
            idle: Duration::from_secs(75),
        };
        let timer = ConnectionTimer::new(&timeouts);
        assert_eq!(ticks_to_expiry(&timer, false), 76, "a silent client");
        timer.start_closing();
        assert_eq!(
            ticks_to_expiry(&timer, true),
            2,
            "at the end of the process"
        );
        timer.on_read();
        assert_eq!(ticks_to_expiry(&timer, true), 11, "a head that stops");
        timer.on_read();
        assert!(
            timer.is_expired(false),
            "further bytes of a head give no more time"
        );

        let response = timer.start_response();
        timer.on_written();
        timer.on_write_blocked();
        assert_eq!(ticks_to_expiry(&timer, true), 1_000, "100 Continue");
        drop(response);
        assert_eq!(ticks_to_expiry(&timer, false), 76);

        timer.on_write_blocked();
        assert_eq!(
            ticks_to_expiry(&timer, false),
            11,
            "a client that does not read"
        );
        timer.on_written();
        timer.on_write_blocked();
        assert_eq!(ticks_to_expiry(&timer, false), 11, "a slow reader");
        timer.on_written();
        timer.on_shutdown();
        timer.on_read();
        timer.on_shutdown();
        assert_eq!(ticks_to_expiry(&timer, false), 11, "a client that goes on");
    }
}
