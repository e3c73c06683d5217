//! One process under a guard: how to start it, signal it, and read its log.

use std::{
    ffi::{OsStr, OsString},
    fs::{self, File},
    io,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    time::Duration,
};

use rustix::process::{Pid, kill_process_group};

use crate::{ServersError, account::Account, wait::poll};

/// A log is read from its end; more than this says nothing new.
const LOG_TAIL_BYTES: usize = 16 * 1024;

/// A signal that a [`Process`] can be sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Signal {
    /// SIGTERM: finish what you do, then end.
    Terminate,
    /// SIGQUIT: Postgres's immediate shutdown.
    Quit,
    /// SIGKILL.
    Kill,
    /// SIGSTOP: stand still until [`Signal::Continue`].
    Stop,
    /// SIGCONT.
    Continue,
}

impl Signal {
    fn number(self) -> rustix::process::Signal {
        match self {
            Self::Terminate => rustix::process::Signal::TERM,
            Self::Quit => rustix::process::Signal::QUIT,
            Self::Kill => rustix::process::Signal::KILL,
            Self::Stop => rustix::process::Signal::STOP,
            Self::Continue => rustix::process::Signal::CONT,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Terminate => "TERM",
            Self::Quit => "QUIT",
            Self::Kill => "KILL",
            Self::Stop => "STOP",
            Self::Continue => "CONT",
        }
    }
}

#[derive(Debug, Clone)]
enum Output {
    OwnLog,
    Log(PathBuf),
    Inherited,
}

/// What to start, and how.
#[derive(Debug, Clone)]
pub struct Launch {
    name: String,
    program: PathBuf,
    args: Vec<OsString>,
    env: Vec<(OsString, OsString)>,
    env_removed: Vec<OsString>,
    output: Output,
    folder: Option<PathBuf>,
    account: Option<Account>,
    guard_signal: Signal,
}

impl Launch {
    /// A process called `name` (in errors and for its log) that runs `program`.
    pub fn new(name: impl Into<String>, program: impl Into<PathBuf>) -> Self {
        Self {
            name: name.into(),
            program: program.into(),
            args: Vec::new(),
            env: Vec::new(),
            env_removed: Vec::new(),
            output: Output::OwnLog,
            folder: None,
            account: None,
            guard_signal: Signal::Kill,
        }
    }

    /// Adds an argument.
    #[must_use]
    pub fn arg(mut self, arg: impl AsRef<OsStr>) -> Self {
        self.args.push(arg.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    #[must_use]
    pub fn args<A: AsRef<OsStr>>(mut self, args: impl IntoIterator<Item = A>) -> Self {
        self.args
            .extend(args.into_iter().map(|arg| arg.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable, beside those of this program.
    #[must_use]
    pub fn env(mut self, name: impl AsRef<OsStr>, value: impl AsRef<OsStr>) -> Self {
        self.env
            .push((name.as_ref().to_owned(), value.as_ref().to_owned()));
        self
    }

    /// Takes environment variables of this program away.
    #[must_use]
    pub fn without_env(mut self, names: impl IntoIterator<Item = OsString>) -> Self {
        self.env_removed.extend(names);
        self
    }

    /// Where both its outputs go, instead of `<name>.log` in the guard's folder.
    #[must_use]
    pub fn log(mut self, file: impl Into<PathBuf>) -> Self {
        self.output = Output::Log(file.into());
        self
    }

    /// Both its outputs go where this program's go; then it has no log.
    #[must_use]
    pub fn inherit_output(mut self) -> Self {
        self.output = Output::Inherited;
        self
    }

    /// The folder that it runs in, instead of the guard's.
    #[must_use]
    pub fn folder(mut self, folder: impl Into<PathBuf>) -> Self {
        self.folder = Some(folder.into());
        self
    }

    /// The user that it runs as.
    #[must_use]
    pub(crate) fn account(mut self, account: Option<Account>) -> Self {
        self.account = account;
        self
    }

    /// What the guard sends it first, five seconds before SIGKILL, instead of
    /// SIGKILL at once.
    #[must_use]
    pub fn guard_signal(mut self, signal: Signal) -> Self {
        self.guard_signal = signal;
        self
    }
}

/// A process that was started under a [`Guard`](crate::Guard).
///
/// It leads a process group of its own, and signals go to the whole group.
/// Dropping it kills it.
#[derive(Debug)]
pub struct Process {
    name: String,
    log: Option<PathBuf>,
    child: Child,
}

impl Process {
    pub(crate) fn start(launch: &Launch, guarded: &Path) -> Result<Self, ServersError> {
        let name = launch.name.clone();
        let log = match &launch.output {
            Output::OwnLog => Some(guarded.join(format!("{name}.log"))),
            Output::Log(file) => Some(file.clone()),
            Output::Inherited => None,
        };
        let (output, errors) = match &log {
            Some(file) => outputs_to(file).map_err(ServersError::io(format!(
                "write the log {}",
                file.display()
            )))?,
            None => (Stdio::inherit(), Stdio::inherit()),
        };
        let mut command = Command::new("sh");
        command
            .args(["-c", include_str!("launch.sh"), "flashsale-launch"])
            .arg(guarded)
            .arg(launch.guard_signal.name())
            .arg(&launch.program)
            .args(&launch.args);
        for name in &launch.env_removed {
            command.env_remove(name);
        }
        command
            .envs(launch.env.iter().map(|(name, value)| (name, value)))
            .current_dir(launch.folder.as_deref().unwrap_or(guarded))
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(output)
            .stderr(errors);
        if let Some(account) = &launch.account {
            command.uid(account.uid).gid(account.gid);
        }
        let child = command
            .spawn()
            .map_err(ServersError::io(format!("start {name}")))?;
        Ok(Self { name, log, child })
    }

    /// The name given at its start.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where both its outputs go, unless they are this program's.
    pub fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// The last `lines` lines that it wrote; empty where there are none.
    pub fn log_tail(&self, lines: usize) -> String {
        let read = self.log.as_ref().map(fs::read);
        let bytes = read.and_then(Result::ok).unwrap_or_default();
        let from = bytes.len().saturating_sub(LOG_TAIL_BYTES);
        let text = String::from_utf8_lossy(&bytes[from..]);
        let all: Vec<&str> = text.lines().collect();
        all[all.len().saturating_sub(lines)..].join("\n")
    }

    /// Signals its group. A process that has ended takes no signal and no harm.
    pub fn signal(&mut self, signal: Signal) {
        // Until its status is read its number is not given to another process.
        if self.status().is_some() {
            return;
        }
        if let Some(group) = i32::try_from(self.pid()).ok().and_then(Pid::from_raw) {
            let _ = kill_process_group(group, signal.number());
        }
    }

    /// How it ended; `None` while it runs.
    pub fn status(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end; `None` where it still runs after `limit`.
    pub fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        poll(limit, || Ok::<_, std::convert::Infallible>(self.status()))
            .unwrap_or_else(|never| match never {})
    }

    /// Sends `signal`, waits `limit` for its end, then kills it and waits for that.
    pub fn stop(&mut self, signal: Signal, limit: Duration) {
        self.signal(signal);
        if self.wait(limit).is_none() {
            self.signal(Signal::Kill);
            let _ = self.child.wait();
        }
    }

    /// That it ended, as an error with the end of its log; `None` while it runs.
    pub fn ended(&mut self) -> Option<ServersError> {
        self.status().map(|status| ServersError::Ended {
            name: self.name.clone(),
            status: status.to_string(),
            log: self.log_tail(20),
        })
    }

    /// Waits until `check` finds something, the process ends or `limit` passes.
    pub(crate) fn await_state<T>(
        &mut self,
        expected: &'static str,
        limit: Duration,
        mut check: impl FnMut() -> Result<T, String>,
    ) -> Result<T, ServersError> {
        let mut found = String::new();
        let seen = poll(limit, || {
            // First: what is seen of a process that has ended is another one's doing.
            if let Some(ended) = self.ended() {
                return Err(ended);
            }
            check().map(Some).or_else(|other| {
                found = other;
                Ok(None)
            })
        })?;
        seen.ok_or_else(|| ServersError::TimedOut {
            name: self.name.clone(),
            expected,
            limit,
            found,
            log: self.log_tail(20),
        })
    }
}

fn outputs_to(log: &Path) -> io::Result<(Stdio, Stdio)> {
    let output = File::options().create(true).append(true).open(log)?;
    let errors = output.try_clone()?;
    Ok((output.into(), errors.into()))
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop(Signal::Kill, Duration::ZERO);
    }
}
