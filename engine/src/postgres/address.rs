//! The URL of Postgres, read and checked.
//!
//! Guarantees: neither an error nor a log holds a value of the URL; a parameter is used, or is
//! without effect here, or is refused by its name; every host of the URL is tried.

use std::str::FromStr;
use std::time::Duration;

use sqlx::ConnectOptions;
use sqlx::postgres::{PgConnectOptions, PgSslMode};

use crate::domain::certificates::Certificates;
use crate::domain::error::AddressError;

const SCHEMES: [&str; 2] = ["postgres://", "postgresql://"];

/// What such a URL looks like.
pub(super) const SHAPE: &str = "postgres://user[:password]@host[:port]/database";

/// Parameters that the client library takes, in its spellings.
const USED: [&str; 15] = [
    "sslmode",
    "ssl-mode",
    "sslrootcert",
    "ssl-root-cert",
    "ssl-ca",
    "sslcert",
    "ssl-cert",
    "sslkey",
    "ssl-key",
    "host",
    "hostaddr",
    "port",
    "dbname",
    "user",
    "password",
];

/// Parameters of other clients that do no harm: flashsale has a name and time-outs of its own.
const WITHOUT_EFFECT: [&str; 8] = [
    "application_name",
    "fallback_application_name",
    "connect_timeout",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "keepalives_count",
    "tcp_user_timeout",
];

/// The values of `target_session_attrs` under which writes succeed. With each of them the hosts
/// are tried until one takes writes.
const TARGETS: [&str; 3] = ["any", "primary", "read-write"];

/// Longer names of parameters are not repeated in an error.
const SHOWN_NAME_BYTES: usize = 32;

/// Where a database is: the hosts of a URL, with user, password, database and TLS.
#[derive(Clone)]
pub struct PostgresAddress {
    hosts: Vec<PgConnectOptions>,
}

impl std::fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("PostgresAddress")
    }
}

impl PostgresAddress {
    /// Reads a URL. White space around it, usual in Secrets, is dropped.
    pub fn parse(url: &str) -> Result<Self, AddressError> {
        let url = url.trim();
        if url.is_empty() {
            return Err(refused("nothing as the URL of Postgres"));
        }
        let (scheme, rest) = SCHEMES
            .iter()
            .find_map(|scheme| Some((*scheme, url.strip_prefix(scheme)?)))
            .ok_or_else(|| refused("another scheme in the URL of Postgres, which is not shown"))?;
        let no_url = || refused("no URL of Postgres in a text that is not shown");
        // A `#` would begin a fragment: it is part of a password that is not encoded.
        if rest.is_empty() || rest.contains('#') {
            return Err(no_url());
        }
        let (base, query) = rest.split_once('?').unwrap_or((rest, ""));
        let (authority, database) = base.split_at(base.find('/').unwrap_or(base.len()));
        let (user, hosts) = authority.split_at(authority.rfind('@').map_or(0, |at| at + 1));
        let query = used_parameters(query)?;
        let hosts: Vec<&str> = hosts.split(',').collect();
        if hosts.len() > 1 && hosts.contains(&"") {
            return Err(no_url());
        }
        let options = |host| {
            let url = format!("{scheme}{user}{host}{database}?{query}");
            PgConnectOptions::from_str(&url).map(with_defaults)
        };
        let hosts: Result<_, sqlx::Error> = hosts.into_iter().map(options).collect();
        Ok(Self {
            hosts: hosts.map_err(|_| no_url())?,
        })
    }

    /// The same with certificates. With an authority the certificate and the name of a server are
    /// checked (`sslmode=verify-full`), unless the URL has `sslmode=verify-ca`, `allow` or
    /// `disable`.
    #[must_use]
    pub fn with_certificates(mut self, certificates: &Certificates) -> Self {
        for host in &mut self.hosts {
            let mut options = host.clone();
            if let Some(authority) = &certificates.authority {
                options = options.ssl_root_cert_from_pem(authority.as_bytes().to_vec());
                if let PgSslMode::Prefer | PgSslMode::Require = options.get_ssl_mode() {
                    options = options.ssl_mode(PgSslMode::VerifyFull);
                }
            }
            if let Some(client) = &certificates.client {
                options = options
                    .ssl_client_cert_from_pem(&client.certificate)
                    .ssl_client_key_from_pem(&client.key);
            }
            *host = options;
        }
        self
    }

    /// Each host, with all that a connection to it needs.
    pub(super) fn hosts(&self) -> &[PgConnectOptions] {
        &self.hosts
    }
}

fn with_defaults(options: PgConnectOptions) -> PgConnectOptions {
    // The brackets of an IPv6 address belong to the URL; the client library leaves them.
    let host = options.get_host();
    let without_brackets = host
        .strip_prefix('[')
        .and_then(|host| host.strip_suffix(']'));
    let options = match without_brackets.map(str::to_owned) {
        Some(address) => options.host(&address),
        None => options,
    };
    options
        .application_name("flashsale")
        // Poolers refuse start-up parameters that they do not follow.
        .extra_float_digits(None::<i8>)
        .log_statements(log::LevelFilter::Off)
        .log_slow_statements(log::LevelFilter::Warn, Duration::from_secs(1))
}

/// The parameters that the client library takes; none that it would log.
fn used_parameters(query: &str) -> Result<String, AddressError> {
    let mut used = Vec::new();
    for parameter in query.split('&').filter(|parameter| !parameter.is_empty()) {
        let (name, value) = parameter.split_once('=').unwrap_or((parameter, ""));
        match name {
            "target_session_attrs" if TARGETS.contains(&value) => {}
            "target_session_attrs" => return Err(other_value(name, &TARGETS.join(", "))),
            "sslmode" | "ssl-mode" if value.parse::<PgSslMode>().is_err() => {
                let modes = "disable, allow, prefer, require, verify-ca, verify-full";
                return Err(other_value(name, modes));
            }
            "host" | "hostaddr" | "port" if has_comma(value) => return Err(several_hosts(name)),
            _ if USED.contains(&name) => used.push(parameter),
            _ if WITHOUT_EFFECT.contains(&name) => {}
            _ => return Err(unknown(name, query)),
        }
    }
    Ok(used.join("&"))
}

fn has_comma(value: &str) -> bool {
    value.contains(',') || value.contains("%2C") || value.contains("%2c")
}

fn refused(found: &str) -> AddressError {
    AddressError {
        found: found.to_owned(),
        expected: SHAPE.to_owned(),
    }
}

fn other_value(name: &str, expected: &str) -> AddressError {
    AddressError {
        found: format!("another value of the parameter `{name}`, which is not shown"),
        expected: format!("one of {expected}"),
    }
}

fn several_hosts(name: &str) -> AddressError {
    AddressError {
        found: format!("several values of the parameter `{name}`"),
        expected: "several hosts before the database: \
                   postgres://user@host1:5432,host2:5432/database"
            .to_owned(),
    }
}

fn unknown(name: &str, query: &str) -> AddressError {
    let is_word = |c: char| c.is_ascii_alphanumeric() || "_-.[]".contains(c);
    // A password with a `?` that is not encoded ends up here, and the host behind it.
    let is_shown = name.len() <= SHOWN_NAME_BYTES && name.chars().all(is_word);
    let found = match is_shown && !query.contains('@') {
        true => format!("the parameter `{name}`, which flashsale does not use"),
        false => "a parameter that flashsale does not use, with a name that is not shown".into(),
    };
    let expected = match name.starts_with("options") {
        true => "a URL without it: a pooler would refuse it; set defaults of the user \
                 with ALTER ROLE … SET"
            .to_owned(),
        false => format!(
            "a URL without it; parameters with a use are {}, target_session_attrs",
            USED.join(", ")
        ),
    };
    AddressError { found, expected }
}

#[cfg(test)]
mod tests;
