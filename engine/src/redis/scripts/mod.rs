//! The Lua scripts that decide, a Rust file for each.
//!
//! Guarantees: every script is idempotent by an id that its caller chose; a master that does not
//! hold a script gets it whole with the call; a script of one format refuses a sale of another; a
//! script of a cart partition refuses on a master that may miss the last writes of the partition.

pub(crate) mod check_whole;
pub(crate) mod claim;
pub(crate) mod close;
pub(crate) mod correct;
pub(crate) mod extend_lease;
pub(crate) mod mark_ready;
pub(crate) mod read_cart;
pub(crate) mod release;
pub(crate) mod restore_carts;
pub(crate) mod restore_outcomes;
pub(crate) mod restore_purchases;
pub(crate) mod snapshot;
pub(crate) mod update_carts;

#[cfg(test)]
mod model_tests;
#[cfg(test)]
mod restoration_tests;

use std::sync::LazyLock;

use redis::{Cmd, FromRedisValue};

use crate::domain::error::BackendError;
use crate::redis::codec::Format;
use crate::redis::commands::{Redis, convert};

/// How many purchases or outcomes one call restores: a call takes a few milliseconds, and Lua hands
/// a command at most some 8,000 arguments, of which an item takes four.
pub(crate) const RESTORED_AT_ONCE: usize = 1_000;

/// A Lua script in one format, with the name that metrics and errors have for it.
#[derive(Debug)]
pub(crate) struct Script {
    operation: &'static str,
    source: String,
    sha: String,
}

impl Script {
    /// A script that reads or writes texts of a format.
    fn in_format(operation: &'static str, format: Format, body: &str) -> Self {
        Self::new(operation, format.with_functions(body))
    }

    fn new(operation: &'static str, source: String) -> Self {
        let sha = redis::Script::new(&source).get_hash().to_owned();
        Self {
            operation,
            source,
            sha,
        }
    }

    /// Runs the script. `keys` share one slot; `arguments` appends ARGV.
    pub(crate) async fn call<T: FromRedisValue>(
        &self,
        redis: &impl Redis,
        keys: &[&str],
        arguments: impl Fn(&mut Cmd),
    ) -> Result<T, BackendError> {
        let command = |name: &str, script: &str| {
            let mut command = redis::cmd(name);
            command.arg(script).arg(keys.len()).arg(keys);
            arguments(&mut command);
            command
        };
        let evalsha = command("EVALSHA", &self.sha);
        let answer = match redis.call(self.operation, keys[0], &evalsha).await {
            Err(error) if error.has_redis_code("NOSCRIPT") => {
                let eval = command("EVAL", &self.source);
                redis.call(self.operation, keys[0], &eval).await
            }
            answer => answer,
        };
        convert(self.operation, answer.map_err(typed)?)
    }
}

/// The error of a script by the code that `partition.lua` gives it.
fn typed(error: BackendError) -> BackendError {
    match error.has_redis_code("PROMOTED") {
        true => BackendError::Promoted,
        false => error,
    }
}

/// A script that exists once for each format.
#[derive(Debug)]
pub(crate) struct FormatScript(Vec<(Format, Script)>);

impl FormatScript {
    fn new(operation: &'static str, body: &str) -> Self {
        let versions = Format::ALL.iter();
        Self(
            versions
                .map(|format| (*format, Script::in_format(operation, *format, body)))
                .collect(),
        )
    }

    /// The script in this format.
    pub(crate) fn of(&self, format: Format) -> &Script {
        let versions = &self.0;
        let version = versions.iter().find(|(version, _)| *version == format);
        // One was made for each of Format::ALL; the first stands for a version that is not there.
        version.map_or(&versions[0].1, |(_, script)| script)
    }
}

/// Declares the scripts that read or write texts of a format, those of a cart partition, which do
/// too, and those that do not.
macro_rules! scripts {
    (formatted { $($format_name:ident = $format_operation:literal, $format_file:literal;)* }
     partition { $($cart_name:ident = $cart_operation:literal, $cart_file:literal;)* }
     plain { $($name:ident = $operation:literal, $file:literal;)* }) => {
        $(static $format_name: LazyLock<FormatScript> =
            LazyLock::new(|| FormatScript::new($format_operation, include_str!($format_file)));)*
        $(static $cart_name: LazyLock<FormatScript> = LazyLock::new(|| {
            let body = concat!(include_str!("partition.lua"), "\n", include_str!($cart_file));
            FormatScript::new($cart_operation, body)
        });)*
        $(static $name: LazyLock<Script> =
            LazyLock::new(|| Script::new($operation, include_str!($file).to_owned()));)*

        /// All scripts.
        fn all() -> Vec<&'static Script> {
            let mut scripts: Vec<&'static Script> = vec![$(&*$name),*];
            $(scripts.extend($format_name.0.iter().map(|(_, script)| script));)*
            $(scripts.extend($cart_name.0.iter().map(|(_, script)| script));)*
            scripts
        }
    };
}

scripts! {
    formatted {
        CLAIM = "claim", "claim.lua";
        CORRECT = "repair", "correct.lua";
    }
    partition {
        UPDATE_CARTS = "add", "update_carts.lua";
        READ_CART = "freeze", "read_cart.lua";
        CHECK_WHOLE = "restore", "check_whole.lua";
        RESTORE_CARTS = "restore", "restore_carts.lua";
        MARK_WHOLE = "restore", "mark_whole.lua";
    }
    plain {
        RESTORE_OUTCOMES = "restore", "restore_outcomes.lua";
        RESTORE_PURCHASES = "restore", "restore_purchases.lua";
        MARK_READY = "seed", "mark_ready.lua";
        CLOSE = "close", "close.lua";
        RELEASE = "repair", "release.lua";
        EXTEND_LEASE = "restore", "extend_lease.lua";
        SNAPSHOT = "snapshot", "snapshot.lua";
        READ_BUYERS = "snapshot", "read_buyers.lua";
    }
}

/// Loads every script into every master that answers, so that no first call of a script pays for
/// it. A master that is away gets each script with its first call.
pub(crate) async fn load_all(redis: &impl Redis) {
    for script in all() {
        let mut command = redis::cmd("SCRIPT");
        command.arg("LOAD").arg(&script.source);
        for master in redis.call_all_masters("seed", &command).await {
            if let Err(error) = master.answer {
                tracing::debug!(node = master.node, %error, "script not loaded");
            }
        }
    }
}
