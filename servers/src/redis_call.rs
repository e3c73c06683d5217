//! One command to one Redis node and its answer, over a connection of its own.
//!
//! Hand-written because `xtask` needs these few calls before anything else is
//! built, and a full client would be most of what a newcomer waits for.

use std::{
    io::{self, BufRead, BufReader, Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpStream},
    time::Duration,
};

/// A node that is paused answers nothing; the caller looks again or gives up.
const CALL_LIMIT: Duration = Duration::from_secs(5);
/// The longest answer asked for is a list of a few nodes.
const ANSWER_LIMIT_BYTES: u64 = 64 * 1024;

/// Sends `words` to the node at `port` and returns its answer as text.
///
/// # Errors
/// An error answer of the node has the kind `Other`.
pub(crate) fn call(port: u16, words: &[&str]) -> io::Result<String> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, CALL_LIMIT)?;
    stream.set_read_timeout(Some(CALL_LIMIT))?;
    stream.set_write_timeout(Some(CALL_LIMIT))?;
    stream.write_all(format!("{}\r\n", words.join(" ")).as_bytes())?;
    answer(&mut BufReader::new(stream.take(ANSWER_LIMIT_BYTES)))
}

fn answer(reader: &mut impl BufRead) -> io::Result<String> {
    let mut line = String::new();
    reader.read_line(&mut line)?;
    let unexpected = |found: &str| {
        io::Error::new(
            io::ErrorKind::InvalidData,
            format!("expected a simple or bulk answer, found {found:?}"),
        )
    };
    let line = line.strip_suffix("\r\n").ok_or_else(|| unexpected(&line))?;
    match line.split_at_checked(1) {
        Some(("+" | ":", text)) => Ok(text.to_owned()),
        Some(("-", error)) => Err(io::Error::other(error.to_owned())),
        Some(("$", length)) => {
            let length = length.parse().map_err(|_| unexpected(line))?;
            let mut text = String::new();
            reader.take(length).read_to_string(&mut text)?;
            Ok(text)
        }
        _ => Err(unexpected(line)),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::expect_used)]
    use super::*;

    #[test]
    fn answers_are_read_by_their_kind() {
        let read = |text: &str| answer(&mut text.as_bytes()).map_err(|error| error.to_string());
        assert_eq!(read("+OK\r\n").unwrap(), "OK");
        assert_eq!(read(":12\r\n").unwrap(), "12");
        assert_eq!(read("$4\r\na\r\nb\r\n").unwrap(), "a\r\nb");
        assert_eq!(
            read("-ERR no such node\r\n").unwrap_err(),
            "ERR no such node"
        );
        for wrong in ["", "+OK", "*1\r\n", "$x\r\n"] {
            assert!(
                read(wrong).unwrap_err().starts_with("expected"),
                "{wrong:?}"
            );
        }
    }
}
