//! Starts Postgres and a six-node Redis Cluster, prints their URLs as
//! `postgres=…` and `redis=…`, and runs until it is killed: servers to try
//! something against by hand.

use std::{error::Error, thread};

use flashsale_servers::{Postgres, RedisCluster};

fn main() -> Result<(), Box<dyn Error>> {
    let postgres = Postgres::start()?;
    println!("postgres={}", postgres.url());
    let redis = RedisCluster::start(3, 3)?;
    println!("redis={}", redis.url());
    loop {
        thread::park();
    }
}
