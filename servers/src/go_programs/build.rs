//! One build, by Go.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, ExitStatus},
    time::Instant,
};

use super::recipe::{Recipe, go_version};
use super::{BUILD_LIMIT, REPORT_EVERY};
use crate::{Guard, Launch, Process, ServersError, in_path};

/// Go, where it is new enough.
pub(super) fn find_go(source: &Path, oldest: (u32, u32)) -> Result<PathBuf, ServersError> {
    let expected = format!("Go {}.{} or later", oldest.0, oldest.1);
    // Where Go's own archive is unpacked to; a login shell may not have it in PATH.
    let unpacked = PathBuf::from("/usr/local/go/bin/go");
    let go = in_path("go")
        .or_else(|| unpacked.is_file().then_some(unpacked))
        .ok_or_else(|| ServersError::Go {
            expected: expected.clone(),
            found: "no program `go`".into(),
        })?;
    // In the module's folder: Go may fetch the toolchain that the module asks for.
    let output = Command::new(&go)
        .args(["env", "GOVERSION"])
        .env("GOWORK", "off")
        .current_dir(source)
        .output()
        .map_err(ServersError::io(format!("run {}", go.display())))?;
    let printed = String::from_utf8_lossy(&output.stdout);
    if go_version(&printed).is_some_and(|version| version >= oldest) {
        return Ok(go);
    }
    let errors = String::from_utf8_lossy(&output.stderr);
    Err(ServersError::Go {
        expected,
        found: format!("`{}{}` ({})", printed.trim(), errors.trim(), go.display()),
    })
}

/// Builds a program and moves it into place.
pub(super) fn build(
    name: &str,
    package: &str,
    go: &Path,
    source: &Path,
    recipe: &Recipe,
    lock: &File,
    program: &Path,
) -> Result<(), ServersError> {
    let begun = Instant::now();
    let version = &recipe.version;
    eprintln!("Building {name} {version} with Go; minutes the first time, then it is kept");
    // Holds the lock until the compiler has ended, also where this program is killed.
    let guard = Guard::holding(lock)?;
    let partial = program.with_file_name(format!("{name}.partial"));
    guard.remove_at_end(&partial)?;
    let launch = Launch::new("go build", go)
        .args([
            "build",
            "-mod=readonly",
            "-trimpath",
            "-buildvcs=false",
            "-v",
        ])
        .arg("-ldflags")
        .arg(&recipe.linker)
        .arg("-o")
        .arg(&partial)
        .arg(package)
        .env("CGO_ENABLED", "0")
        .env("GOWORK", "off")
        .without_env(["GOFLAGS".into()])
        .folder(source);
    let mut process = guard.launch(&launch)?;
    let failed = |expected: String, log: String| ServersError::GoBuild {
        program: name.to_owned(),
        expected,
        log,
    };
    let status = wait_for_end(&mut process, name, begun).map_err(|log| {
        let expected = format!("`go build` to end within {} s", BUILD_LIMIT.as_secs());
        failed(expected, log)
    })?;
    if !status.success() {
        let expected = format!("`go build {package}` to succeed, it ended with {status}");
        return Err(failed(expected, process.log_tail(20)));
    }
    fs::rename(&partial, program).map_err(ServersError::io(format!(
        "move {} into place",
        program.display()
    )))?;
    eprintln!("Built {name} {version} in {} s", begun.elapsed().as_secs());
    Ok(())
}

/// Waits for the end of a build and prints how far it is; the error is the end of its log.
fn wait_for_end(process: &mut Process, name: &str, begun: Instant) -> Result<ExitStatus, String> {
    loop {
        if let Some(status) = process.wait(REPORT_EVERY) {
            return Ok(status);
        }
        let seconds = begun.elapsed().as_secs();
        if begun.elapsed() > BUILD_LIMIT {
            return Err(process.log_tail(20));
        }
        // It names each package that it compiles or, the first time, each module it fetches.
        let now = match process.log_tail(1) {
            last if last.is_empty() => "at the beginning or linking".to_owned(),
            last => format!("at {last}"),
        };
        eprintln!("  building {name}: {seconds} s, now {now}");
    }
}
