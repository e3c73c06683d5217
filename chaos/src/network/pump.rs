//! Passes the bytes of one connection on, in both directions.

use std::io;
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use super::{Mode, break_off};

const CHUNK_BYTES: usize = 64 * 1024;
/// Chunks of a direction that are on their way: a sender that is faster waits, as on a full line.
const CHUNKS: usize = 256;

/// Some bytes, and when they may arrive.
struct Chunk {
    bytes: Vec<u8>,
    due: Instant,
}

/// Passes bytes on until one side closes, or the connection is cut.
pub(super) async fn both_ways(
    mut client: TcpStream,
    mut server: TcpStream,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut cut = mode.clone();
    let is_cut = {
        let (client_read, client_write) = client.split();
        let (server_read, server_write) = server.split();
        let ends = async {
            // An end of one direction ends both: Redis and Postgres use no half-open connections.
            tokio::select! {
                ended = one_way(client_read, server_write, mode.clone()) => ended,
                ended = one_way(server_read, client_write, mode.clone()) => ended,
            }
        };
        tokio::select! {
            ended = ends => { ended?; false }
            _ = cut.wait_for(|mode| *mode == Mode::Cut) => true,
        }
    };
    if is_cut {
        break_off(&client)?;
        break_off(&server)?;
    }
    Ok(())
}

async fn one_way(
    from: ReadHalf<'_>,
    to: WriteHalf<'_>,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let (sender, receiver) = mpsc::channel(CHUNKS);
    // The writer ends when the reader has ended and everything is written.
    let (read, written) = tokio::join!(read(from, sender, mode.clone()), write(to, receiver, mode));
    read.and(written)
}

async fn read(
    mut from: ReadHalf<'_>,
    chunks: mpsc::Sender<Chunk>,
    mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut buffer = vec![0; CHUNK_BYTES];
    loop {
        let count = from.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        let delay = match *mode.borrow() {
            Mode::Delay(delay) => delay,
            _ => Duration::ZERO,
        };
        let chunk = Chunk {
            bytes: buffer[..count].to_vec(),
            due: Instant::now() + delay,
        };
        if chunks.send(chunk).await.is_err() {
            return Ok(());
        }
    }
}

async fn write(
    mut to: WriteHalf<'_>,
    mut chunks: mpsc::Receiver<Chunk>,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    while let Some(chunk) = chunks.recv().await {
        tokio::time::sleep_until(chunk.due).await;
        // The network ended: so does the connection.
        if mode.wait_for(|mode| *mode != Mode::Hang).await.is_err() {
            return Ok(());
        }
        to.write_all(&chunk.bytes).await?;
    }
    Ok(())
}
