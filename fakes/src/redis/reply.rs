//! Replies of the fake server: values in the shape of RESP2, and errors with their code.

use flashsale_engine::BackendError;
use redis::Value;

/// The reply to one command.
pub(crate) type Reply = Result<Value, CommandError>;

/// An error reply: its first word is the code.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct CommandError {
    code: String,
    message: String,
}

impl CommandError {
    /// An error with a code of its own.
    pub fn new(code: &str, message: impl Into<String>) -> Self {
        Self {
            code: code.to_owned(),
            message: message.into(),
        }
    }

    /// An error with the general code `ERR`.
    pub fn err(message: impl Into<String>) -> Self {
        Self::new("ERR", message)
    }

    /// The error of arguments that do not fit the command.
    pub fn syntax() -> Self {
        Self::err("syntax error")
    }

    /// The error of a number that is none.
    pub fn not_an_integer() -> Self {
        Self::err("value is not an integer or out of range")
    }

    /// The error of a command on a key of another type.
    pub fn wrong_type() -> Self {
        let message = "Operation against a key holding the wrong kind of value";
        Self::new("WRONGTYPE", message)
    }

    /// Reads an error as the protocol spells it: the code, a blank, the message.
    pub fn parse(text: &str) -> Self {
        match text.split_once(' ') {
            Some((code, message)) => Self::new(code, message),
            None => Self::new(text, ""),
        }
    }

    /// The error as the protocol spells it.
    pub fn text(&self) -> String {
        format!("{} {}", self.code, self.message)
    }

    /// The error as the seam returns it.
    pub fn into_backend_error(self, operation: &'static str) -> BackendError {
        if self.code == "UNSEEDED" {
            return BackendError::Unseeded;
        }
        BackendError::Redis {
            operation,
            code: Some(self.code),
            message: self.message,
        }
    }
}

/// A bulk string.
pub(crate) fn bulk(bytes: impl Into<Vec<u8>>) -> Value {
    Value::BulkString(bytes.into())
}

/// A bulk string, or nil.
pub(crate) fn bulk_or_nil(bytes: Option<&Vec<u8>>) -> Value {
    bytes.map_or(Value::Nil, |bytes| bulk(bytes.clone()))
}

/// A number of things.
pub(crate) fn count(things: usize) -> Value {
    Value::Int(i64::try_from(things).unwrap_or(i64::MAX))
}

/// 1 or 0.
pub(crate) fn flag(yes: bool) -> Value {
    Value::Int(i64::from(yes))
}
