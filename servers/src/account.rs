//! The user that servers run as where they refuse root.

use std::fs;

/// A user's numbers.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Account {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}

/// The account to change to: none unless this program runs as root.
pub(crate) fn unprivileged() -> Option<Account> {
    if !rustix::process::geteuid().is_root() {
        return None;
    }
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    // 65534 is `nobody` on every Linux that names none in the file.
    const NOBODY: Account = Account {
        uid: 65534,
        gid: 65534,
    };
    ["postgres", "nobody"]
        .into_iter()
        .find_map(|name| find(&passwd, name))
        .or(Some(NOBODY))
}

fn find(passwd: &str, name: &str) -> Option<Account> {
    let line = passwd
        .lines()
        .find(|line| line.split(':').next() == Some(name))?;
    let mut fields = line.split(':').skip(2);
    Some(Account {
        uid: fields.next()?.parse().ok()?,
        gid: fields.next()?.parse().ok()?,
    })
}
