//! The cluster's processes, which go on when the command that started them has ended.
//!
//! Each has a file with its process id, the time of its start and what it was started
//! with. A process is ours only where its id and its start are those of the file: an id is
//! given to another process sooner or later, a start with it is not.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use super::place;
use crate::session::Session;

/// The API server would wait a minute for those who watch it, who are ended too.
const STOP_LIMIT: Duration = Duration::from_secs(5);
const KILL_LIMIT: Duration = Duration::from_secs(10);
const LOG_LINES: usize = 20;
/// One who looks for the cause of something wants this much of the last run.
const MAX_LOG_BYTES: u64 = 16 * 1024 * 1024;

/// A process of the cluster.
pub struct Daemon {
    name: &'static str,
    program: PathBuf,
    args: Vec<String>,
    /// Files that it reads at its start only; it is started again when they change.
    reads: Vec<PathBuf>,
}

impl Daemon {
    /// One called `name` that runs `program`.
    pub fn new(name: &'static str, program: impl Into<PathBuf>) -> Self {
        Self {
            name,
            program: program.into(),
            args: Vec::new(),
            reads: Vec::new(),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds `--name=value`.
    pub fn flag(self, name: &str, value: impl AsRef<Path>) -> Self {
        let value = value.as_ref().display();
        self.arg(format!("--{name}={value}"))
    }

    /// Names a file that it reads at its start.
    pub fn reads(mut self, file: impl Into<PathBuf>) -> Self {
        self.reads.push(file.into());
        self
    }

    /// Starts it unless it runs already as it should, and waits until `ready` says yes.
    pub fn ensure(
        &self,
        session: &Session,
        limit: Duration,
        mut ready: impl FnMut() -> Result<bool>,
    ) -> Result<()> {
        let recipe = self.recipe();
        let running = Record::read(self.name).filter(Record::runs);
        match running {
            Some(record) if record.recipe == recipe => {}
            Some(record) => {
                session.say(format_args!(
                    "{} is set up differently now; restarting it",
                    self.name
                ));
                record.stop(session)?;
                self.start(&recipe)?;
            }
            None => {
                session.say(format_args!("Starting {}", self.name));
                self.start(&recipe)?;
            }
        }
        let what = format!("{} is ready", self.name);
        let awaited = session.await_that(&what, limit, || {
            let record = Record::read(self.name).filter(Record::runs);
            anyhow::ensure!(record.is_some(), "{} has ended", self.name);
            Ok(ready()?.then_some(()))
        });
        awaited.with_context(|| self.end_of_log())
    }

    fn start(&self, recipe: &str) -> Result<()> {
        let doing = || format!("could not start {}", self.name);
        let log = self.log()?;
        if log.metadata().is_ok_and(|log| log.len() > MAX_LOG_BYTES) {
            fs::remove_file(&log).with_context(doing)?;
        }
        let output = File::options().create(true).append(true).open(&log);
        let output = output.with_context(|| format!("could not write {}", log.display()))?;
        // `setsid` becomes the program: it has the same process id, and a session of its own,
        // so that neither Ctrl-C nor a closed terminal reaches it.
        let child = Command::new("setsid")
            .arg(&self.program)
            .args(&self.args)
            .current_dir(place::state())
            .env_remove("KUBECONFIG")
            .stdin(Stdio::null())
            .stdout(output.try_clone().with_context(doing)?)
            .stderr(output)
            .spawn()
            .with_context(doing)?;
        let record = Record {
            pid: i32::try_from(child.id()).context("a process id was out of range")?,
            start: stat(child.id())
                .map(|stat| stat.start)
                .with_context(doing)?,
            recipe: recipe.to_owned(),
        };
        record.write(self.name)
    }

    fn recipe(&self) -> String {
        let mut recipe = format!("{} {}", self.program.display(), self.args.join(" "));
        for file in &self.reads {
            let text = fs::read_to_string(file).unwrap_or_default();
            recipe.push_str(&format!("\n{}\n{text}", file.display()));
        }
        recipe
    }

    fn log(&self) -> Result<PathBuf> {
        Ok(place::logs()?.join(format!("{}.log", self.name)))
    }

    fn end_of_log(&self) -> String {
        let log = self.log().unwrap_or_default();
        let text = fs::read(&log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
        format!("the end of {}:\n{last}\n", log.display())
    }
}

/// Ends the process called `name`; nothing where it does not run.
pub fn stop(session: &Session, name: &str) -> Result<()> {
    let Some(record) = Record::read(name) else {
        return Ok(());
    };
    if record.runs() {
        println!("    {name}");
        record.stop(session)?;
    }
    fs::remove_file(Record::file(name)).with_context(|| format!("could not forget {name}"))
}

/// The names of all processes that were started.
pub fn names() -> Vec<String> {
    let files = fs::read_dir(place::state().join("pids"));
    let files = files.into_iter().flatten().flatten();
    files
        .filter_map(|file| file.file_name().into_string().ok())
        .collect()
}

/// Ends a process that is known by id alone: its start is read first and has to stay.
pub fn kill(session: &Session, pid: u32) -> Result<()> {
    let (Some(stat), Ok(pid)) = (stat(pid), i32::try_from(pid)) else {
        return Ok(());
    };
    let record = Record {
        pid,
        start: stat.start,
        recipe: String::new(),
    };
    record.end(session, Signal::KILL, KILL_LIMIT).map(drop)
}

/// What a file says of a process.
struct Record {
    pid: i32,
    start: u64,
    recipe: String,
}

impl Record {
    fn file(name: &str) -> PathBuf {
        place::state().join("pids").join(name)
    }

    fn read(name: &str) -> Option<Self> {
        let text = fs::read_to_string(Self::file(name)).ok()?;
        let (first, recipe) = text.split_once('\n')?;
        let (pid, start) = first.split_once(' ')?;
        Some(Self {
            pid: pid.parse().ok()?,
            start: start.parse().ok()?,
            recipe: recipe.to_owned(),
        })
    }

    fn write(&self, name: &str) -> Result<()> {
        let file = Self::file(name);
        let text = format!("{} {}\n{}", self.pid, self.start, self.recipe);
        fs::create_dir_all(place::state().join("pids"))
            .and_then(|()| fs::write(&file, text))
            .with_context(|| format!("could not write {}", file.display()))
    }

    fn runs(&self) -> bool {
        let stat = u32::try_from(self.pid).ok().and_then(stat);
        stat.is_some_and(|stat| stat.start == self.start && !stat.ended)
    }

    fn stop(&self, session: &Session) -> Result<()> {
        if self.end(session, Signal::TERM, STOP_LIMIT)?
            || self.end(session, Signal::KILL, KILL_LIMIT)?
        {
            return Ok(());
        }
        anyhow::bail!(
            "process {} did not end within {KILL_LIMIT:?} of SIGKILL",
            self.pid
        )
    }

    /// Whether it ended within `limit` of the signal.
    fn end(&self, session: &Session, signal: Signal, limit: Duration) -> Result<bool> {
        if let Some(pid) = Pid::from_raw(self.pid).filter(|_| self.runs()) {
            // It may have ended since.
            let _ = kill_process(pid, signal);
        }
        let deadline = std::time::Instant::now() + limit;
        while self.runs() {
            session.check()?;
            if std::time::Instant::now() >= deadline {
                return Ok(false);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(true)
    }
}

/// What the kernel says of a process.
pub struct Stat {
    /// When it started, in clock ticks since the machine did.
    pub start: u64,
    /// Whose child it is.
    pub parent: u32,
    /// It has ended and nobody has read its status yet.
    pub ended: bool,
}

/// `None` where there is no such process.
pub fn stat(pid: u32) -> Option<Stat> {
    parse_stat(&fs::read_to_string(format!("/proc/{pid}/stat")).ok()?)
}

fn parse_stat(text: &str) -> Option<Stat> {
    // The name in parentheses may hold spaces and parentheses.
    let (_, rest) = text.rsplit_once(") ")?;
    let fields: Vec<&str> = rest.split(' ').collect();
    Some(Stat {
        start: fields.get(19)?.parse().ok()?,
        parent: fields.get(1)?.parse().ok()?,
        ended: matches!(fields.first(), Some(&"Z" | &"X")),
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_process_differs_from_a_later_one_by_its_start() {
        let own = std::process::id();
        let start = stat(own).unwrap().start;
        let record = |start| Record {
            pid: i32::try_from(own).unwrap(),
            start,
            recipe: String::new(),
        };
        assert!(record(start).runs());
        assert!(!record(start + 1).runs());
    }

    #[test]
    fn a_name_with_parentheses_does_not_shift_the_fields() {
        let fields = "1 1 1 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 4711 9 9";
        let stat = parse_stat(&format!("7 (a) b (c) S {fields}")).unwrap();
        assert_eq!((stat.start, stat.parent, stat.ended), (4711, 1, false));
        assert!(parse_stat(&format!("7 (x) Z {fields}")).unwrap().ended);
        assert!(parse_stat("7 (x) S 1").is_none());
    }
}
