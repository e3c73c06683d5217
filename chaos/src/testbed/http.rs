//! Whether a process of the product is ready.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(2);
const ANSWER_LIMIT_BYTES: u64 = 64 * 1024;

/// Whether `GET /readyz` of `base`, `http://host:port`, answers 200.
pub(super) fn is_ready(base: &str) -> bool {
    status(base, "/readyz").is_ok_and(|status| status == 200)
}

fn status(base: &str, path: &str) -> std::io::Result<u16> {
    let authority = base.trim_start_matches("http://").trim_end_matches('/');
    let mut stream = TcpStream::connect(authority)?;
    stream.set_read_timeout(Some(LIMIT))?;
    stream.set_write_timeout(Some(LIMIT))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: {authority}\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(ANSWER_LIMIT_BYTES).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let status = answer.split(' ').nth(1).and_then(|word| word.parse().ok());
    status.ok_or_else(|| std::io::ErrorKind::InvalidData.into())
}
