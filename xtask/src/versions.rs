//! Whether programs that are there are new enough.

use std::{env, process::Command};

use anyhow::{Context, Result};
use flashsale_servers::{postgres_programs, redis_server};

/// Redis, or Valkey, which counts on from it.
pub const OLDEST_REDIS: u32 = 7;
/// The oldest Postgres that the schema is tested with.
pub const OLDEST_POSTGRES: u32 = 15;
/// What the contract tester asks for.
pub const OLDEST_PYTHON: (u32, u32) = (3, 10);

/// Fails where Redis is too old.
pub fn check_redis() -> Result<()> {
    let program = redis_server()?;
    let printed = output_of(Command::new(&program).arg("--version"))?;
    anyhow::ensure!(
        redis_major(&printed).is_some_and(|major| major >= OLDEST_REDIS),
        "expected Redis {OLDEST_REDIS} or later, found `{printed}` ({}); \
         install a later redis-server or valkey-server and put it first in PATH",
        program.display()
    );
    Ok(())
}

/// Fails where Postgres is too old.
pub fn check_postgres() -> Result<()> {
    let program = postgres_programs()?.join("postgres");
    let printed = output_of(Command::new(&program).arg("--version"))?;
    anyhow::ensure!(
        postgres_major(&printed).is_some_and(|major| major >= OLDEST_POSTGRES),
        "expected PostgreSQL {OLDEST_POSTGRES} or later, found `{printed}` ({}); \
         install a later one and put the folder of its programs first in PATH",
        program.display()
    );
    Ok(())
}

/// Fails where Python is too old.
pub fn check_python() -> Result<()> {
    let printed = output_of(Command::new("python3").arg("--version"))?;
    let (major, minor) = OLDEST_PYTHON;
    anyhow::ensure!(
        python_version(&printed).is_some_and(|version| version >= OLDEST_PYTHON),
        "expected Python {major}.{minor} or later, found `{printed}`; \
         install a later one and put its python3 first in PATH"
    );
    Ok(())
}

/// Fails where rustfmt or clippy is missing: rustup's minimal profile has neither.
pub fn check_rust_tools() -> Result<()> {
    let cargo = env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    for tool in ["fmt", "clippy"] {
        let output = Command::new(&cargo).args([tool, "--version"]).output();
        let output = output.with_context(|| format!("could not run {}", cargo.display()))?;
        anyhow::ensure!(
            output.status.success(),
            "expected `cargo {tool}`, found `{}`; run `rustup component add rustfmt clippy`, \
             or install your distribution's packages of both",
            String::from_utf8_lossy(&output.stderr).trim()
        );
    }
    Ok(())
}

fn output_of(command: &mut Command) -> Result<String> {
    let output = command
        .output()
        .with_context(|| format!("could not run {}", command.get_program().display()))?;
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn redis_major(printed: &str) -> Option<u32> {
    let mut words = printed.split_whitespace();
    words.find_map(|word| leading_number(word.strip_prefix("v=")?))
}

/// The distribution may add a word of its own in brackets at the end.
fn postgres_major(printed: &str) -> Option<u32> {
    leading_number(printed.strip_prefix("postgres (PostgreSQL) ")?)
}

fn python_version(printed: &str) -> Option<(u32, u32)> {
    let (major, rest) = printed.strip_prefix("Python ")?.split_once('.')?;
    Some((major.parse().ok()?, leading_number(rest)?))
}

fn leading_number(text: &str) -> Option<u32> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    text[..digits].parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_read_as_the_programs_print_them() {
        let redis = "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(redis_major(redis), Some(7));
        let valkey = "Valkey server v=8.1.1 sha=00000000:0 malloc=jemalloc-5.3.0 bits=64";
        assert_eq!(redis_major(valkey), Some(8));
        let debian = "postgres (PostgreSQL) 15.14 (Debian 15.14-0+deb12u1)";
        assert_eq!(postgres_major(debian), Some(15));
        assert_eq!(postgres_major("postgres (PostgreSQL) 19beta1"), Some(19));
        assert_eq!(python_version("Python 3.11.2"), Some((3, 11)));
        assert_eq!(python_version("Python 3.9.2"), Some((3, 9)));
        assert!(python_version("Python 3.9.2") < Some(OLDEST_PYTHON));
        for none in ["", "unknown", "Python", "postgres (PostgreSQL) "] {
            let read = (
                redis_major(none),
                postgres_major(none),
                python_version(none),
            );
            assert_eq!(read, (None, None, None), "{none:?}");
        }
    }
}
