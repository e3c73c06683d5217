#![allow(clippy::unwrap_used)]

use std::io::{ErrorKind, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::thread;
use std::time::Instant;

use super::*;

const LIMIT: Duration = Duration::from_secs(20);

/// A server that sends back what it gets, on threads that end with their connections.
fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            thread::spawn(move || {
                let mut byte = [0];
                while stream.read_exact(&mut byte).is_ok() {
                    if stream.write_all(&byte).is_err() {
                        return;
                    }
                }
            });
        }
    });
    port
}

fn proxy_to_echo(network: &Network) -> Proxy {
    let proxy = network.open().unwrap();
    proxy.lead_to(echo());
    proxy
}

fn connect(proxy: &Proxy) -> TcpStream {
    let stream = TcpStream::connect(("127.0.0.1", proxy.port())).unwrap();
    stream.set_read_timeout(Some(LIMIT)).unwrap();
    stream
}

fn ask(stream: &mut TcpStream, byte: u8) -> std::io::Result<u8> {
    stream.write_all(&[byte])?;
    let mut answer = [0];
    stream.read_exact(&mut answer)?;
    Ok(answer[0])
}

#[test]
fn bytes_pass_and_a_delay_makes_them_late() {
    let network = Network::start().unwrap();
    let proxy = proxy_to_echo(&network);
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream, 7).unwrap(), 7);
    let delay = Duration::from_millis(60);
    proxy.set(Mode::Delay(delay));
    let began = Instant::now();
    assert_eq!(ask(&mut stream, 8).unwrap(), 8);
    // There and back.
    assert!(began.elapsed() >= delay * 2, "{:?}", began.elapsed());
}

#[test]
fn a_hung_connection_is_silent_and_delivers_afterwards() {
    let network = Network::start().unwrap();
    let proxy = proxy_to_echo(&network);
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream, 1).unwrap(), 1);
    proxy.set(Mode::Hang);
    let mut new = connect(&proxy);
    for stream in [&mut stream, &mut new] {
        let short = Duration::from_millis(100);
        stream.set_read_timeout(Some(short)).unwrap();
        let silent = ask(stream, 2).unwrap_err();
        assert_eq!(silent.kind(), ErrorKind::WouldBlock);
        stream.set_read_timeout(Some(LIMIT)).unwrap();
    }
    proxy.set(Mode::Pass);
    for mut stream in [stream, new] {
        let mut answer = [0];
        stream.read_exact(&mut answer).unwrap();
        assert_eq!(answer, [2]);
    }
}

#[test]
fn a_cut_breaks_open_connections_and_new_ones() {
    let network = Network::start().unwrap();
    let proxy = proxy_to_echo(&network);
    let mut stream = connect(&proxy);
    assert_eq!(ask(&mut stream, 1).unwrap(), 1);
    proxy.set(Mode::Cut);
    assert!(stream.read_exact(&mut [0]).is_err());
    assert!(ask(&mut connect(&proxy), 1).is_err());
    proxy.set(Mode::Pass);
    assert_eq!(ask(&mut connect(&proxy), 3).unwrap(), 3);
}

#[test]
fn new_connections_lead_to_the_server_that_was_named_last() {
    let network = Network::start().unwrap();
    let proxy = proxy_to_echo(&network);
    assert_eq!(ask(&mut connect(&proxy), 1).unwrap(), 1);
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    proxy.lead_to(silent.local_addr().unwrap().port());
    let _client = connect(&proxy);
    assert!(silent.accept().is_ok());
}
