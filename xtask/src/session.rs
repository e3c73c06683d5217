//! One run of a command: what it starts ends with it, and every wait in it ends
//! on Ctrl-C and SIGTERM.

use std::{
    fmt,
    process::ExitStatus,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
        mpsc::{self, Receiver, RecvTimeoutError},
    },
    thread,
    time::{Duration, Instant},
};

use anyhow::{Context, Result};
use flashsale_servers::{Guard, Launch, Process, Signal};
use signal_hook::{
    consts::{SIGINT, SIGTERM},
    flag,
};

const PAUSE: Duration = Duration::from_millis(50);
/// How long a process may take to end after SIGTERM.
pub const STOP_LIMIT: Duration = Duration::from_secs(15);

/// Ctrl-C or SIGTERM came before the command was done.
#[derive(Debug)]
pub struct Interrupted;

impl fmt::Display for Interrupted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("interrupted")
    }
}

impl std::error::Error for Interrupted {}

/// See the module.
pub struct Session {
    guard: Guard,
    interrupted: Arc<AtomicBool>,
}

impl Session {
    /// Makes the temporary folder and takes over Ctrl-C and SIGTERM.
    pub fn begin() -> Result<Self> {
        let interrupted = Arc::new(AtomicBool::new(false));
        for signal in [SIGINT, SIGTERM] {
            // The second one ends this program at once; the guard cleans up.
            flag::register_conditional_shutdown(signal, 130, Arc::clone(&interrupted))
                .and_then(|_| flag::register(signal, Arc::clone(&interrupted)))
                .context("could not take over Ctrl-C and SIGTERM")?;
        }
        Ok(Self {
            guard: Guard::new()?,
            interrupted,
        })
    }

    /// The guard, for what is started and written in this run.
    pub fn guard(&self) -> &Guard {
        &self.guard
    }

    /// Prints what is being done.
    pub fn say(&self, what: impl fmt::Display) {
        println!("==> {what}");
    }

    /// Whether Ctrl-C or SIGTERM came.
    pub fn is_interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Fails with [`Interrupted`] once Ctrl-C or SIGTERM came.
    pub fn check(&self) -> Result<()> {
        if self.is_interrupted() {
            return Err(Interrupted.into());
        }
        Ok(())
    }

    /// Runs a process to its end; anything but success is an error.
    pub fn run(&self, launch: Launch) -> Result<()> {
        let (process, status) = self.finish(launch)?;
        anyhow::ensure!(
            status.success(),
            "{} ended with {status}{}",
            process.name(),
            log_of(&process)
        );
        Ok(())
    }

    /// Runs a process to its end and tells how it ended.
    pub fn run_to_end(&self, launch: Launch) -> Result<ExitStatus> {
        Ok(self.finish(launch)?.1)
    }

    fn finish(&self, launch: Launch) -> Result<(Process, ExitStatus)> {
        let mut process = self.guard.launch(&launch)?;
        loop {
            if let Some(status) = process.wait(PAUSE) {
                // An interruption is the reason of its end, not one more failure.
                self.check()?;
                return Ok((process, status));
            }
            if let Err(interrupted) = self.check() {
                process.stop(Signal::Terminate, STOP_LIMIT);
                return Err(interrupted);
            }
        }
    }

    /// Begins work that cannot be interrupted, such as starting a server.
    pub fn begin_work<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T> + Send + 'static,
    ) -> Work<T> {
        let (done, result) = mpsc::channel();
        thread::spawn(move || {
            // Nobody waits any more where the command was interrupted.
            let _ = done.send(work());
        });
        Work { result }
    }

    /// Waits for the result of such work. An interruption does not wait for it: what it has
    /// started ends with this program.
    pub fn finish_work<T>(&self, work: Work<T>) -> Result<T> {
        loop {
            self.check()?;
            match work.result.recv_timeout(PAUSE) {
                Ok(result) => return result,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    anyhow::bail!("work in the background panicked; see above")
                }
            }
        }
    }

    /// Calls `find` every 50 ms until it finds something; fails after `limit`.
    pub fn await_that<T>(
        &self,
        what: &str,
        limit: Duration,
        mut find: impl FnMut() -> Result<Option<T>>,
    ) -> Result<T> {
        let deadline = Instant::now() + limit;
        loop {
            self.check()?;
            if let Some(found) = find()? {
                return Ok(found);
            }
            anyhow::ensure!(
                Instant::now() < deadline,
                "expected within {} s that {what}; it did not come true",
                limit.as_secs()
            );
            thread::sleep(PAUSE);
        }
    }
}

/// Work in the background; see [`Session::begin_work`].
pub struct Work<T> {
    result: Receiver<Result<T>>,
}

fn log_of(process: &Process) -> String {
    match process.log() {
        Some(log) => format!("; the end of {}:\n{}", log.display(), process.log_tail(20)),
        None => String::new(),
    }
}
