//! Redis and Postgres of the operator's tests, and what is in them.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;

use flashsale_engine::{Ambient, Certificates, FlashSaleName, SaleRecord};
use flashsale_operator::backends::{Backends, CheckedUrls, PostgresUrl, RedisUrl};
use flashsale_servers::{Postgres, PostgresSettings};

/// No test takes the power away.
pub fn start_postgres() -> Postgres {
    let settings = PostgresSettings {
        fsync: false,
        ..PostgresSettings::default()
    };
    Postgres::start_with(settings).unwrap()
}

/// What Redis answers to a command, as its plain protocol prints it.
pub fn ask_redis(url: &str, command: &str) -> String {
    let address = url.strip_prefix("redis://").unwrap();
    let mut redis = TcpStream::connect(address).unwrap();
    redis
        .write_all(format!("{command}\r\nQUIT\r\n").as_bytes())
        .unwrap();
    let mut answer = String::new();
    redis.read_to_string(&mut answer).unwrap();
    answer
}

/// The sales of a FlashSale in Postgres.
pub async fn records(redis: &str, postgres: &str, name: &FlashSaleName) -> Vec<SaleRecord> {
    let urls = CheckedUrls::new(
        (RedisUrl::parse("", redis).unwrap(), Certificates::NONE),
        (
            PostgresUrl::parse("", postgres).unwrap(),
            Certificates::NONE,
        ),
    );
    let backends = Backends::new(urls, Ambient::system().unwrap());
    let connection = backends.connect().await.unwrap();
    connection.observe(name).await.unwrap()
}
