//! Single calls on loopback: looking whether something is ready, making a cart.

use std::{
    io::{self, Read, Write},
    net::TcpStream,
    time::Duration,
};

use serde_json::Value;

const LIMIT: Duration = Duration::from_secs(5);
const ANSWER_LIMIT_BYTES: u64 = 4 * 1024 * 1024;

/// Status and JSON body (null where it is none) of `GET <base><path>`; base is
/// `http://<address>:<port>`.
pub fn get(base: &str, path: &str) -> io::Result<(u16, Value)> {
    send("GET", base, path, 0)
}

/// The same for a POST without a body.
pub fn post(base: &str, path: &str) -> io::Result<(u16, Value)> {
    send("POST", base, path, 0)
}

/// The same for any method, with a body of so many zeros.
pub fn send(method: &str, base: &str, path: &str, body: usize) -> io::Result<(u16, Value)> {
    let authority = base.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    // HTTP/1.0: the answer comes in one piece and ends with the connection.
    let head = format!("{method} {path} HTTP/1.0\r\nHost: {authority}");
    write!(stream, "{head}\r\nContent-Length: {body}\r\n\r\n")?;
    // A server that does not read the body may answer and close before it has all of it.
    let _ = stream.write_all(&vec![b'0'; body]);
    let mut answer = String::new();
    stream
        .take(ANSWER_LIMIT_BYTES)
        .read_to_string(&mut answer)?;
    parse(&answer).ok_or_else(|| io::Error::new(io::ErrorKind::InvalidData, "no HTTP answer"))
}

fn parse(answer: &str) -> Option<(u16, Value)> {
    let (head, body) = answer.split_once("\r\n\r\n")?;
    let status = head.strip_prefix("HTTP/1.")?.get(2..5)?.parse().ok()?;
    Some((status, serde_json::from_str(body).unwrap_or(Value::Null)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_whatever_it_holds() {
        let ok = "HTTP/1.0 200 OK\r\nContent-Length: 7\r\n\r\n{\"a\":1}";
        assert_eq!(parse(ok), Some((200, serde_json::json!({"a": 1}))));
        let empty = "HTTP/1.1 503 Service Unavailable\r\n\r\n";
        assert_eq!(parse(empty), Some((503, Value::Null)));
        assert_eq!(parse("SSH-2.0-OpenSSH\r\n\r\n"), None);
        assert_eq!(parse(""), None);
    }
}
