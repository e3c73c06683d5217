//! Scripts: the shipped Lua files in Lua 5.1, with the conversions of Redis.
//!
//! Stricter than a real server: a script that touches a key it did not declare fails, also where
//! the key lies in its slot; `math.random` is missing. Lua's libraries are `string`, `table` and
//! `math`; `cjson`, `cmsgpack`, `bit` and `struct` are missing, because no script uses them.

use std::cell::RefCell;
use std::collections::BTreeMap;

use mlua::{Function, Lua, LuaOptions, MultiValue, StdLib, Table, Value as LuaValue};
use redis::Value;

use crate::redis::arguments::Arguments;
use crate::redis::dispatch::{self, Call};
use crate::redis::keyspace::Keyspace;
use crate::redis::reply::{CommandError, Reply, bulk, flag};

/// The scripts that were loaded or run, in one Lua state.
#[derive(Debug)]
pub(crate) struct Scripts {
    lua: Lua,
    run: Function,
    by_sha: BTreeMap<String, Function>,
}

impl Scripts {
    /// No scripts.
    pub fn new() -> mlua::Result<Self> {
        let libraries = StdLib::STRING | StdLib::TABLE | StdLib::MATH;
        let lua = Lua::new_with(libraries, LuaOptions::default())?;
        let sha1hex = lua.create_function(|_, text: mlua::LuaString| Ok(sha1(&text.to_str()?)))?;
        let prelude = lua.load(include_str!("prelude.lua")).set_name("@prelude");
        let run = prelude.call(sha1hex)?;
        Ok(Self {
            lua,
            run,
            by_sha: BTreeMap::new(),
        })
    }

    /// `EVAL`: compiles a script that is new, keeps it, and runs it.
    pub fn eval(&mut self, keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
        let sha = self.load(arguments.next()?)?;
        self.run(keyspace, &sha, arguments)
    }

    /// `EVALSHA`: runs a script that was loaded or run before.
    pub fn eval_sha(&mut self, keyspace: &mut Keyspace, arguments: &mut Arguments<'_>) -> Reply {
        let sha = String::from_utf8_lossy(arguments.next()?).to_ascii_lowercase();
        self.run(keyspace, &sha, arguments)
    }

    /// `SCRIPT LOAD`, `SCRIPT EXISTS` and `SCRIPT FLUSH`.
    pub fn script(&mut self, arguments: &mut Arguments<'_>) -> Reply {
        if arguments.keyword("LOAD") {
            let sha = self.load(arguments.next()?)?;
            arguments.end()?;
            return Ok(bulk(sha));
        }
        if arguments.keyword("EXISTS") {
            let known = |sha: &Vec<u8>| {
                let sha = String::from_utf8_lossy(sha).to_ascii_lowercase();
                flag(self.by_sha.contains_key(&sha))
            };
            return Ok(Value::Array(arguments.rest().iter().map(known).collect()));
        }
        if arguments.keyword("FLUSH") {
            self.by_sha.clear();
            return Ok(Value::Okay);
        }
        Err(CommandError::err(
            "the fake has SCRIPT LOAD, EXISTS and FLUSH alone",
        ))
    }

    fn load(&mut self, source: &[u8]) -> Result<String, CommandError> {
        let sha = sha1(&String::from_utf8_lossy(source));
        if !self.by_sha.contains_key(&sha) {
            let chunk = self.lua.load(source).set_name("@user_script");
            let script = chunk.into_function().map_err(|error| {
                CommandError::err(format!("Error compiling script (new function): {error}"))
            })?;
            self.by_sha.insert(sha.clone(), script);
        }
        Ok(sha)
    }

    fn run(&mut self, keyspace: &mut Keyspace, sha: &str, arguments: &mut Arguments<'_>) -> Reply {
        let number_of_keys = usize::try_from(arguments.next_integer()?)
            .map_err(|_| CommandError::err("Number of keys can't be negative"))?;
        if number_of_keys > arguments.len() {
            return Err(CommandError::err(
                "Number of keys can't be greater than number of args",
            ));
        }
        let (keys, argv) = arguments.rest().split_at(number_of_keys);
        let script = self
            .by_sha
            .get(sha)
            .ok_or_else(|| CommandError::new("NOSCRIPT", "No matching script. Please use EVAL."))?;
        // The prelude turns errors of a script into replies, so that an error that is left is one
        // of the Lua state.
        self.run_in_lua(keyspace, script, keys, argv)
            .unwrap_or_else(|error| Err(CommandError::err(format!("Lua: {error}"))))
    }

    fn run_in_lua(
        &self,
        keyspace: &mut Keyspace,
        script: &Function,
        keys: &[Vec<u8>],
        argv: &[Vec<u8>],
    ) -> mlua::Result<Reply> {
        let keyspace = RefCell::new(keyspace);
        self.lua.scope(|scope| {
            let backend = scope.create_function(|lua, arguments: MultiValue| {
                let reply = words(&arguments).and_then(|words| {
                    let call = declared(&words, keys)?;
                    dispatch::run(&mut keyspace.borrow_mut(), &call)
                });
                to_lua(lua, reply)
            })?;
            let arguments = (
                script,
                backend,
                string_table(&self.lua, keys)?,
                string_table(&self.lua, argv)?,
            );
            from_lua(self.run.call(arguments)?)
        })
    }
}

/// The SHA-1 of a script, in hexadecimal digits.
fn sha1(source: &str) -> String {
    redis::Script::new(source).get_hash().to_owned()
}

fn string_table(lua: &Lua, strings: &[Vec<u8>]) -> mlua::Result<Table> {
    let strings = strings.iter().map(|string| lua.create_string(string));
    lua.create_sequence_from(strings.collect::<mlua::Result<Vec<_>>>()?)
}

/// The command of these words, when it touches declared keys alone.
fn declared<'a>(words: &'a [Vec<u8>], declared: &[Vec<u8>]) -> Result<Call<'a>, CommandError> {
    let call = Call::parse(words)?;
    match call.keys().iter().find(|key| !declared.contains(key)) {
        None => Ok(call),
        Some(key) => Err(CommandError::err(format!(
            "Script attempted to access a non local key in a cluster node: expected a key of \
             KEYS, found {:?}",
            String::from_utf8_lossy(key)
        ))),
    }
}

/// The arguments of `redis.call`: strings, and numbers in up to 17 digits.
fn words(arguments: &MultiValue) -> Result<Vec<Vec<u8>>, CommandError> {
    let word = |argument: &LuaValue| match argument {
        LuaValue::String(text) => Ok(text.as_bytes().to_vec()),
        // Lua 5.1 has floating-point numbers alone; the library converts whole ones.
        LuaValue::Integer(number) => Ok(seventeen_digits(*number as f64).into_bytes()),
        LuaValue::Number(number) => Ok(seventeen_digits(*number).into_bytes()),
        _ => Err(CommandError::err(
            "Lua redis lib command arguments must be strings or integers",
        )),
    };
    arguments.iter().map(word).collect()
}

/// A number as C prints it with `%.17g`.
fn seventeen_digits(number: f64) -> String {
    if !number.is_finite() {
        let text = if number.is_nan() { "nan" } else { "inf" };
        let sign = if number < 0.0 { "-" } else { "" };
        return format!("{sign}{text}");
    }
    let scientific = format!("{number:.16e}");
    let (digits, exponent) = scientific.split_once('e').unwrap_or((&scientific, "0"));
    let exponent: i32 = exponent.parse().unwrap_or(0);
    let strip = |text: &str| match text.contains('.') {
        true => text.trim_end_matches('0').trim_end_matches('.').to_owned(),
        false => text.to_owned(),
    };
    if (-4..17).contains(&exponent) {
        let decimals = usize::try_from(16 - exponent).unwrap_or(0);
        return strip(&format!("{number:.decimals$}"));
    }
    let sign = if exponent < 0 { '-' } else { '+' };
    format!("{}e{sign}{:02}", strip(digits), exponent.abs())
}

/// A reply as a script gets it: nil is `false`, a status is `{ok = …}`, an error is `{err = …}`.
fn to_lua(lua: &Lua, reply: Reply) -> mlua::Result<LuaValue> {
    let field = |name: &str, text: &str| {
        let table = lua.create_table()?;
        table.raw_set(name, text)?;
        Ok(LuaValue::Table(table))
    };
    match reply {
        Err(error) => field("err", &error.text()),
        Ok(Value::Okay) => field("ok", "OK"),
        Ok(Value::SimpleString(text)) => field("ok", &text),
        // A number of Lua 5.1 has 53 bits; Redis converts in the same way.
        Ok(Value::Int(number)) => Ok(LuaValue::Number(number as f64)),
        Ok(Value::BulkString(bytes)) => lua.create_string(bytes).map(LuaValue::String),
        Ok(Value::Array(items)) => {
            let items = items.into_iter().map(|item| to_lua(lua, Ok(item)));
            let items = items.collect::<mlua::Result<Vec<_>>>()?;
            lua.create_sequence_from(items).map(LuaValue::Table)
        }
        Ok(_) => Ok(LuaValue::Boolean(false)),
    }
}

/// What a script returned as a reply: numbers lose their fraction, an array ends at the first nil.
fn from_lua(value: LuaValue) -> mlua::Result<Reply> {
    Ok(Ok(match value {
        LuaValue::String(text) => bulk(text.as_bytes().to_vec()),
        LuaValue::Integer(number) => Value::Int(number),
        LuaValue::Number(number) => Value::Int(number as i64),
        LuaValue::Boolean(true) => Value::Int(1),
        LuaValue::Table(table) => return table_from_lua(&table),
        _ => Value::Nil,
    }))
}

fn table_from_lua(table: &Table) -> mlua::Result<Reply> {
    if let LuaValue::String(text) = table.raw_get("err")? {
        return Ok(Err(CommandError::parse(&text.to_string_lossy())));
    }
    if let LuaValue::String(text) = table.raw_get("ok")? {
        return Ok(Ok(match text.to_string_lossy() {
            text if text == "OK" => Value::Okay,
            text => Value::SimpleString(text),
        }));
    }
    let mut items = Vec::new();
    for index in 1.. {
        match table.raw_get(index)? {
            LuaValue::Nil => break,
            item => match from_lua(item)? {
                Ok(item) => items.push(item),
                Err(error) => return Ok(Err(error)),
            },
        }
    }
    Ok(Ok(Value::Array(items)))
}

#[cfg(test)]
mod tests {
    use super::seventeen_digits;

    #[test]
    fn numbers_are_spelled_as_c_spells_them() {
        let spelled = [
            (3.0, "3"),
            (-0.5, "-0.5"),
            (0.1, "0.10000000000000001"),
            (1_790_000_000_123.0, "1790000000123"),
            (1e16, "10000000000000000"),
            (1e17, "1e+17"),
            (1.5e300, "1.5000000000000001e+300"),
            (0.00001, "1.0000000000000001e-05"),
            (f64::INFINITY, "inf"),
        ];
        for (number, text) in spelled {
            assert_eq!(seventeen_digits(number), text);
        }
    }
}
