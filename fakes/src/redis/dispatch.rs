//! The commands of the fake server: for each its arity, its keys and what it runs.

use redis::Value;

use crate::redis::arguments::{Arguments, parse_integer};
use crate::redis::keyspace::Keyspace;
use crate::redis::reply::{CommandError, Reply};
use crate::redis::{consumer_groups, hashes, keys, lists, stream_reads, streams, strings_and_bits};

type Run = fn(&mut Keyspace, &mut Arguments<'_>) -> Reply;

/// Which arguments of a command are keys.
#[derive(Debug, Clone, Copy)]
enum Keys {
    None,
    First,
    Second,
    All,
    /// Behind a count of them: `EVAL`.
    Counted,
    /// The first half of what follows `STREAMS`.
    Streams,
}

/// A command.
#[derive(Debug)]
pub(crate) struct Spec {
    name: &'static str,
    /// How many words it has, its name included; a negative number is a minimum.
    arity: i32,
    keys: Keys,
    action: Action,
}

/// What runs a command.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Action {
    /// A function on the keys.
    Run(Run),
    /// `EVAL`.
    Eval,
    /// `EVALSHA`.
    EvalSha,
    /// `SCRIPT`.
    Script,
}

const fn command(name: &'static str, arity: i32, keys: Keys, run: Run) -> Spec {
    Spec {
        name,
        arity,
        keys,
        action: Action::Run(run),
    }
}

const fn scripting(name: &'static str, arity: i32, keys: Keys, action: Action) -> Spec {
    Spec {
        name,
        arity,
        keys,
        action,
    }
}

static COMMANDS: &[Spec] = &[
    command("BITCOUNT", -2, Keys::First, strings_and_bits::bitcount),
    command("BITFIELD", -2, Keys::First, strings_and_bits::bitfield),
    command("CLUSTER", -2, Keys::None, keys::cluster),
    command("CONFIG", -2, Keys::None, keys::config),
    command("DEL", -2, Keys::All, keys::del),
    scripting("EVAL", -3, Keys::Counted, Action::Eval),
    scripting("EVALSHA", -3, Keys::Counted, Action::EvalSha),
    command("EXISTS", -2, Keys::All, keys::exists),
    command("EXPIRE", 3, Keys::First, keys::expire),
    command("FLUSHALL", -1, Keys::None, keys::flush_all),
    command("GET", 2, Keys::First, strings_and_bits::get),
    command("GETBIT", 3, Keys::First, strings_and_bits::getbit),
    command("HDEL", -3, Keys::First, hashes::hdel),
    command("HEXISTS", 3, Keys::First, hashes::hexists),
    command("HGET", 3, Keys::First, hashes::hget),
    command("HGETALL", 2, Keys::First, hashes::hgetall),
    command("HINCRBY", 4, Keys::First, hashes::hincrby),
    command("HKEYS", 2, Keys::First, hashes::hkeys),
    command("HLEN", 2, Keys::First, hashes::hlen),
    command("HMGET", -3, Keys::First, hashes::hmget),
    command("HSCAN", -3, Keys::First, hashes::hscan),
    command("HSET", -4, Keys::First, hashes::hset),
    command("HSETNX", 4, Keys::First, hashes::hsetnx),
    command("HVALS", 2, Keys::First, hashes::hvals),
    command("INFO", -1, Keys::None, keys::info),
    command("KEYS", 2, Keys::None, keys::keys),
    command("LLEN", 2, Keys::First, lists::llen),
    command("LPOP", -2, Keys::First, lists::lpop),
    command("LRANGE", 4, Keys::First, lists::lrange),
    command("PEXPIRE", 3, Keys::First, keys::pexpire),
    command("PING", -1, Keys::None, keys::ping),
    command("PTTL", 2, Keys::First, keys::pttl),
    command("RPUSH", -3, Keys::First, lists::rpush),
    command("SCAN", -2, Keys::None, keys::scan),
    scripting("SCRIPT", -2, Keys::None, Action::Script),
    command("SET", -3, Keys::First, strings_and_bits::set),
    command("SETBIT", 4, Keys::First, strings_and_bits::setbit),
    command("TIME", 1, Keys::None, keys::time),
    command("TYPE", 2, Keys::First, keys::type_of),
    command("UNLINK", -2, Keys::All, keys::del),
    command("XACK", -4, Keys::First, consumer_groups::xack),
    command("XADD", -5, Keys::First, streams::xadd),
    command("XAUTOCLAIM", -6, Keys::First, consumer_groups::xautoclaim),
    command("XDEL", -3, Keys::First, streams::xdel),
    command("XGROUP", -2, Keys::Second, consumer_groups::xgroup),
    command("XINFO", -2, Keys::Second, consumer_groups::xinfo),
    command("XLEN", 2, Keys::First, streams::xlen),
    command("XPENDING", -3, Keys::First, consumer_groups::xpending),
    command("XRANGE", -4, Keys::First, streams::xrange),
    command("XREAD", -4, Keys::Streams, stream_reads::xread),
    command("XREADGROUP", -7, Keys::Streams, stream_reads::xreadgroup),
    command("XTRIM", -4, Keys::First, streams::xtrim),
];

/// A command with its arguments, checked for their number.
#[derive(Debug)]
pub(crate) struct Call<'a> {
    spec: &'static Spec,
    arguments: &'a [Vec<u8>],
}

impl<'a> Call<'a> {
    /// Finds the command of these words.
    pub fn parse(words: &'a [Vec<u8>]) -> Result<Self, CommandError> {
        let Some((name, arguments)) = words.split_first() else {
            return Err(CommandError::err("empty command"));
        };
        let spec = COMMANDS
            .iter()
            .find(|spec| name.eq_ignore_ascii_case(spec.name.as_bytes()))
            .ok_or_else(|| {
                let name = String::from_utf8_lossy(name);
                CommandError::err(format!("unknown command '{name}'"))
            })?;
        let words = i32::try_from(words.len()).unwrap_or(i32::MAX);
        if words < spec.arity.abs() || (spec.arity > 0 && words != spec.arity) {
            let name = spec.name.to_ascii_lowercase();
            return Err(CommandError::err(format!(
                "wrong number of arguments for '{name}' command"
            )));
        }
        Ok(Self { spec, arguments })
    }

    /// What runs the command.
    pub fn action(&self) -> Action {
        self.spec.action
    }

    /// The arguments, to be read.
    pub fn arguments(&self) -> Arguments<'a> {
        Arguments::new(self.arguments)
    }

    /// The keys among the arguments.
    pub fn keys(&self) -> &'a [Vec<u8>] {
        let arguments = self.arguments;
        match self.spec.keys {
            Keys::None => &[],
            Keys::First => arguments.get(..1).unwrap_or_default(),
            Keys::Second => arguments.get(1..2).unwrap_or_default(),
            Keys::All => arguments,
            Keys::Counted => {
                let number = arguments.get(1).and_then(|text| parse_integer(text));
                let number = number.and_then(|n| usize::try_from(n).ok()).unwrap_or(0);
                let end = number.saturating_add(2);
                arguments.get(2..end).unwrap_or_default()
            }
            Keys::Streams => {
                let is_word = |word: &Vec<u8>| word.eq_ignore_ascii_case(b"STREAMS");
                let start = arguments.iter().position(is_word).map_or(0, |i| i + 1);
                let streams = &arguments[start..];
                &streams[..streams.len() / 2]
            }
        }
    }
}

/// Runs a command on the keys. A script, which cannot call a script, comes here as well.
pub(crate) fn run(keyspace: &mut Keyspace, call: &Call<'_>) -> Result<Value, CommandError> {
    match call.action() {
        Action::Run(run) => {
            keyspace.commands += 1;
            run(keyspace, &mut call.arguments())
        }
        Action::Eval | Action::EvalSha | Action::Script => Err(CommandError::err(
            "This Redis command is not allowed from script",
        )),
    }
}
