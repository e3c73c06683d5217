//! Where the servers' programs are.

use std::{
    env, fs,
    path::{Path, PathBuf},
};

use crate::ServersError;

/// The folder with `postgres`, `initdb` and `createdb`: one of PATH, else the
/// newest of Debian's.
///
/// # Errors
/// [`ServersError::ProgramMissing`].
pub fn postgres_programs() -> Result<PathBuf, ServersError> {
    let complete = |folder: &PathBuf| {
        ["postgres", "initdb", "createdb"]
            .iter()
            .all(|program| folder.join(program).is_file())
    };
    path_folders()
        .chain(debian_postgres_folders())
        .find(complete)
        .ok_or(ServersError::ProgramMissing {
            program: "postgres",
            package: "postgresql",
        })
}

/// The Redis server's program, version 7 or later, or Valkey's.
///
/// # Errors
/// [`ServersError::ProgramMissing`].
pub fn redis_server() -> Result<PathBuf, ServersError> {
    path_folders()
        .flat_map(|folder| ["redis-server", "valkey-server"].map(|program| folder.join(program)))
        .find(|program| program.is_file())
        .ok_or(ServersError::ProgramMissing {
            program: "redis-server",
            package: "redis-server",
        })
}

/// The program of PgBouncer: of PATH, else Debian's, which is not in every user's PATH.
///
/// # Errors
/// [`ServersError::ProgramMissing`].
pub fn pgbouncer() -> Result<PathBuf, ServersError> {
    let debian = PathBuf::from("/usr/sbin/pgbouncer");
    in_path("pgbouncer")
        .or_else(|| debian.is_file().then_some(debian))
        .ok_or(ServersError::ProgramMissing {
            program: "pgbouncer",
            package: "pgbouncer",
        })
}

/// The program of OpenSSL.
///
/// # Errors
/// [`ServersError::ProgramMissing`].
pub fn openssl() -> Result<PathBuf, ServersError> {
    in_path("openssl").ok_or(ServersError::ProgramMissing {
        program: "openssl",
        package: "openssl",
    })
}

/// The file of a program in PATH.
pub fn in_path(name: &str) -> Option<PathBuf> {
    path_folders()
        .map(|folder| folder.join(name))
        .find(|program| program.is_file())
}

fn path_folders() -> impl Iterator<Item = PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).collect::<Vec<_>>().into_iter()
}

fn debian_postgres_folders() -> impl Iterator<Item = PathBuf> {
    let base = Path::new("/usr/lib/postgresql");
    let mut versions: Vec<u32> = fs::read_dir(base)
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    versions.sort_unstable_by(|a, b| b.cmp(a));
    versions
        .into_iter()
        .map(move |version| base.join(version.to_string()).join("bin"))
}
