//! The engine's selling service with the backends of this process.

use flashsale_engine::{PostgresPool, RedisCluster, SellingService};

/// The selling service on Redis Cluster and Postgres.
pub type Selling = SellingService<RedisCluster, PostgresPool>;
