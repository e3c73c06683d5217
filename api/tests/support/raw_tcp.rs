//! Raw bytes over TCP, for requests that no HTTP client would send.

use std::io::ErrorKind;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const LIMIT: Duration = Duration::from_secs(30);

/// A connection to a base URL.
pub struct Raw {
    stream: TcpStream,
}

impl Raw {
    pub async fn connect(base: &str) -> Self {
        let authority = base.strip_prefix("http://").unwrap();
        let stream = TcpStream::connect(authority).await.unwrap();
        stream.set_nodelay(true).unwrap();
        Self { stream }
    }

    /// Writes; false where the server has closed the connection.
    pub async fn send(&mut self, bytes: impl AsRef<[u8]>) -> bool {
        self.stream.write_all(bytes.as_ref()).await.is_ok()
    }

    /// Closes the write side.
    pub async fn end(&mut self) {
        let _ = self.stream.shutdown().await;
    }

    /// Awaits bytes and reads at most this many; 0 at the end.
    pub async fn read_at_most(&mut self, bytes: usize) -> usize {
        let mut buffer = vec![0; bytes];
        self.stream.read(&mut buffer).await.unwrap()
    }

    /// Reads until the server closes the connection; fails the test after 30 seconds.
    pub async fn read_to_close(&mut self) -> Vec<u8> {
        let mut read = Vec::new();
        let mut buffer = [0; 16 * 1024];
        loop {
            let more = tokio::time::timeout(LIMIT, self.stream.read(&mut buffer)).await;
            match more.expect("the server closes the connection") {
                Ok(0) => return read,
                Ok(n) => read.extend_from_slice(&buffer[..n]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return read,
                Err(error) => panic!("{error}"),
            }
        }
    }
}

/// Sends the bytes and reads until the server closes. A server that refuses early stops to read, so
/// both happen at the same time.
pub async fn exchange(base: &str, bytes: impl AsRef<[u8]>) -> String {
    let mut raw = Raw::connect(base).await;
    let (mut reading, mut writing) = raw.stream.split();
    let mut read = Vec::new();
    let mut buffer = [0; 16 * 1024];
    let read_all = async {
        loop {
            match reading.read(&mut buffer).await {
                Ok(0) | Err(_) => return,
                Ok(n) => read.extend_from_slice(&buffer[..n]),
            }
        }
    };
    let write_all = async {
        let _ = writing.write_all(bytes.as_ref()).await;
    };
    let both = async { tokio::join!(read_all, write_all) };
    let closed = tokio::time::timeout(LIMIT, both).await;
    closed.expect("the server closes the connection");
    String::from_utf8_lossy(&read).into_owned()
}

/// The status of the first answer in raw bytes; none where there is none.
pub fn status(answer: &str) -> Option<u16> {
    let rest = answer.strip_prefix("HTTP/1.1 ")?;
    rest.get(..3)?.parse().ok()
}
