//! Ctrl-C and SIGTERM: the first one ends the run in good order, the second one at once.

use std::io;
use std::thread;

use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::watch;

/// The exit code of an interrupted run, as shells have it.
pub const EXIT_CODE: u8 = 130;

/// Tells whether the run is to end. Clones tell the same.
#[derive(Debug, Clone)]
pub struct Interrupt {
    requested: watch::Receiver<bool>,
}

impl Interrupt {
    /// Takes over Ctrl-C and SIGTERM of this process. The second one ends the process.
    ///
    /// # Errors
    /// When the system refuses a thread or the signals.
    pub fn by_signals() -> io::Result<Self> {
        // A thread of its own: the second signal must not wait for whatever keeps the
        // thread of the run busy.
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_io()
            .build()?;
        let (sender, interrupt) = Self::by_hand();
        let (mut ctrl_c, mut terminate) = {
            let _inside = runtime.enter();
            let of = |kind| signal(kind);
            (of(SignalKind::interrupt())?, of(SignalKind::terminate())?)
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(move || {
                runtime.block_on(async {
                    either(&mut ctrl_c, &mut terminate).await;
                    sender.send_replace(true);
                    either(&mut ctrl_c, &mut terminate).await;
                });
                std::process::exit(i32::from(EXIT_CODE));
            })?;
        Ok(interrupt)
    }

    /// One that comes when the caller says so; never, when the other end is dropped first.
    #[must_use]
    pub fn by_hand() -> (watch::Sender<bool>, Self) {
        let (sender, requested) = watch::channel(false);
        (sender, Self { requested })
    }

    /// Whether it has come.
    #[must_use]
    pub fn has_come(&self) -> bool {
        *self.requested.borrow()
    }

    /// Waits until it comes.
    pub async fn comes(&self) {
        if self
            .requested
            .clone()
            .wait_for(|requested| *requested)
            .await
            .is_err()
        {
            // Nobody is left to say so.
            std::future::pending().await
        }
    }
}

async fn either(one: &mut Signal, other: &mut Signal) {
    tokio::select! {
        _ = one.recv() => {}
        _ = other.recv() => {}
    }
}
