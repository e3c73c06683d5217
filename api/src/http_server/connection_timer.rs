//! One connection's stream and the clock that says when it has waited long enough.
//!
//! Promises: a client that stops in the middle of a request, or does not read its answer, or
//! says nothing, holds a connection for a bounded time. While an answer is being made the clock
//! stands still: that has a limit of its own ([`crate::middleware`]).
//!
//! The clock ticks [`TICKS`] times in a request's time, and everything on the way of a request
//! compares ticks, so that a request costs no timer and no look at the time of day.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU8, AtomicU32, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;

/// Ticks in the time that a request may take.
pub const TICKS: u32 = 10;

/// What is read and thrown away at once, behind an answer that ended the connection.
const THROWN_AWAY_BYTES: usize = 16 * 1024;

/// How long connections may wait for their clients.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// For the rest of a request that has begun, for a client to read its answer, and for one
    /// to see that its connection has ended.
    pub request: Duration,
    /// For the next request.
    pub idle: Duration,
}

impl Patience {
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
    /// The first byte that the client sends.
    First,
    /// The next request.
    Next,
    /// The rest of a request's head.
    Head,
    /// Our own answer.
    Answer,
    /// The client, to take what is written.
    Reader,
    /// The client, to close behind the last answer.
    Close,
}

impl Wait {
    const ALL: [Self; 6] = [
        Self::First,
        Self::Next,
        Self::Head,
        Self::Answer,
        Self::Reader,
        Self::Close,
    ];
}

/// Counts how long a connection has been waiting. Its stream and its driver, which share it,
/// run in one task: the atomics are only for the compiler.
#[derive(Debug)]
pub struct Clock {
    ticks: AtomicU32,
    since: AtomicU32,
    wait: AtomicU8,
    idle_ticks: u32,
}

impl Clock {
    /// Starts.
    pub fn new(patience: &Patience) -> Arc<Self> {
        Arc::new(Self {
            ticks: AtomicU32::new(0),
            since: AtomicU32::new(0),
            wait: AtomicU8::new(Wait::First as u8),
            idle_ticks: patience.idle_ticks(),
        })
    }

    /// A tick has passed.
    pub fn tick(&self) {
        self.ticks.fetch_add(1, Ordering::Relaxed);
    }

    /// Whether the client has kept the connection waiting for too long. `closing`: nobody waits
    /// for requests that are not on their way.
    pub fn is_over(&self, closing: bool) -> bool {
        // The first tick may have come right after the wait began, hence "more than".
        let waited = self.ticks.load(Ordering::Relaxed) - self.since.load(Ordering::Relaxed);
        match self.wait() {
            Wait::First if closing => waited > 1,
            Wait::First | Wait::Next => waited > self.idle_ticks,
            Wait::Head | Wait::Reader | Wait::Close => waited > TICKS,
            Wait::Answer => false,
        }
    }

    /// Whether the client has sent nothing yet.
    pub fn is_new(&self) -> bool {
        self.wait() == Wait::First
    }

    /// A request's head is read; until the guard is dropped its answer is being made.
    pub fn answering(self: &Arc<Self>) -> Answering {
        self.now_for(Wait::Answer);
        Answering(self.clone())
    }

    /// The server is closing from now on; the wait for a first byte begins anew, and is short.
    pub fn closing(&self) {
        if self.is_new() {
            self.now_for(Wait::First);
        }
    }

    fn read(&self) {
        if matches!(self.wait(), Wait::First | Wait::Next) {
            self.now_for(Wait::Head);
        }
    }

    /// While an answer is being made what is written is not it (but `100 Continue`).
    fn wrote(&self) {
        if self.wait() != Wait::Answer {
            self.now_for(Wait::Next);
        }
    }

    fn write_waits(&self) {
        if !matches!(self.wait(), Wait::Answer | Wait::Reader) {
            self.now_for(Wait::Reader);
        }
    }

    fn closes(&self) {
        if self.wait() != Wait::Close {
            self.now_for(Wait::Close);
        }
    }

    fn wait(&self) -> Wait {
        let wait = usize::from(self.wait.load(Ordering::Relaxed));
        Wait::ALL.get(wait).copied().unwrap_or(Wait::Next)
    }

    fn now_for(&self, wait: Wait) {
        self.since
            .store(self.ticks.load(Ordering::Relaxed), Ordering::Relaxed);
        self.wait.store(wait as u8, Ordering::Relaxed);
    }
}

/// While it lives an answer is being made.
#[derive(Debug)]
pub struct Answering(Arc<Clock>);

impl Drop for Answering {
    fn drop(&mut self) {
        self.0.now_for(Wait::Next);
    }
}

/// A client's stream, which tells the clock what moves.
#[derive(Debug)]
pub struct Stream {
    tcp: TcpStream,
    clock: Arc<Clock>,
}

impl Stream {
    /// The stream of a connection.
    pub fn new(tcp: TcpStream, clock: Arc<Clock>) -> Self {
        Self { tcp, clock }
    }

    fn written(&self, written: Poll<io::Result<usize>>) -> Poll<io::Result<usize>> {
        match &written {
            Poll::Ready(_) => self.clock.wrote(),
            Poll::Pending => self.clock.write_waits(),
        }
        written
    }
}

impl AsyncRead for Stream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        let read = Pin::new(&mut self.tcp).poll_read(cx, buf);
        if buf.filled().len() > before {
            self.clock.read();
        }
        read
    }
}

impl AsyncWrite for Stream {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.written(written)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let written = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.written(written)
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    /// Ends our side, then reads what the client is still sending: a socket that is closed over
    /// unread bytes takes the answer to them back (413 to a large body, for one).
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(Pin::new(&mut self.tcp).poll_shutdown(cx))?;
        self.clock.closes();
        let mut bytes = [0; THROWN_AWAY_BYTES];
        loop {
            let mut buf = ReadBuf::new(&mut bytes);
            let read = ready!(Pin::new(&mut self.tcp).poll_read(cx, &mut buf));
            if read.is_err() || buf.filled().is_empty() {
                return Poll::Ready(Ok(()));
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Ticks until the clock says that it is over, at most 1,000.
    fn ticks_to_the_end(clock: &Clock, closing: bool) -> u32 {
        let mut ticks = 0;
        while !clock.is_over(closing) && ticks < 1_000 {
            clock.tick();
            ticks += 1;
        }
        ticks
    }

    #[test]
    fn each_wait_has_its_own_limit_and_an_answer_of_ours_has_none() {
        let patience = Patience {
            request: Duration::from_secs(10),
            idle: Duration::from_secs(75),
        };
        let clock = Clock::new(&patience);
        assert_eq!(ticks_to_the_end(&clock, false), 76, "a silent client");
        clock.closing();
        assert_eq!(
            ticks_to_the_end(&clock, true),
            2,
            "at the end of the process"
        );
        clock.read();
        assert_eq!(ticks_to_the_end(&clock, true), 11, "a head that stops");
        clock.read();
        assert!(clock.is_over(false), "a head that drips wins no time");

        let answering = clock.answering();
        clock.wrote();
        clock.write_waits();
        assert_eq!(ticks_to_the_end(&clock, true), 1_000, "100 Continue");
        drop(answering);
        assert_eq!(ticks_to_the_end(&clock, false), 76);

        clock.write_waits();
        assert_eq!(ticks_to_the_end(&clock, false), 11, "nobody reads");
        clock.wrote();
        clock.write_waits();
        assert_eq!(ticks_to_the_end(&clock, false), 11, "a slow reader");
        clock.wrote();
        clock.closes();
        clock.read();
        clock.closes();
        assert_eq!(ticks_to_the_end(&clock, false), 11, "a client that goes on");
    }
}
