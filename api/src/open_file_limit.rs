//! The limit of open files of the process. A socket counts as an open file.
//!
//! Guarantees: the limit is as high as the system allows. The log has a warning where it is lower
//! than the connections of clients need.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Open files besides the connections of clients: backends, probes, the log.
const RESERVED_FILES: u64 = 256;

/// Raises the limit of open files to the maximum. A shell usually starts programs with far less.
pub fn raise_open_file_limit(clients: u32) {
    let mut limit = getrlimit(Resource::Nofile);
    limit.current = limit.maximum;
    if let Err(error) = setrlimit(Resource::Nofile, limit) {
        tracing::warn!(error = %error, "cannot raise the limit of open files");
    }
    let needed = u64::from(clients) + RESERVED_FILES;
    let allowed = getrlimit(Resource::Nofile).current;
    if let Some(allowed) = allowed
        && allowed < needed
    {
        tracing::warn!(
            allowed,
            wanted = needed,
            "fewer files may be open than --max-connections needs: further clients wait; raise \
             the limit of open files (ulimit -n) or lower --max-connections"
        );
    }
}
