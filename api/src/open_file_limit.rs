//! How many files, sockets included, the process may have open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// What the process needs beside its clients: stores, probes, the log.
const RESERVE: u64 = 256;

/// Raises the limit to what the system allows, which is usually far more than a shell gives its
/// programs, and says so where it is too low for that many clients.
pub fn allow_all(clients: u32) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(error = %error, "the limit of open files stays as it is");
    }
    let wanted = u64::from(clients) + RESERVE;
    let allowed = getrlimit(Resource::Nofile).current;
    if let Some(allowed) = allowed
        && allowed < wanted
    {
        tracing::warn!(
            allowed,
            wanted,
            "fewer files may be open than --max-connections needs: clients beyond will wait; \
             raise the limit of open files (ulimit -n) or lower --max-connections"
        );
    }
}
