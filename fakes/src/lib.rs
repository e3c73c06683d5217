//! In-memory backends for tests: [`FakeRedis`] and [`FakePostgres`] implement the two seams of the
//! engine, so that a whole sale runs without a socket, a process or a real clock.
//!
//! Guarantees:
//! - Both answer as the real servers do, for the commands and operations that the engine uses. One
//!   suite of operations (`tests/`) runs against the fakes and against real servers and compares
//!   the answers.
//! - [`FakeRedis`] runs the shipped Lua files in Lua 5.1, as Redis does.
//! - The same calls at the same times give the same answers: nothing depends on the order of a
//!   hash map, on a real clock or on a random number.
//! - Time is the [`flashsale_engine::Clock`] that a test passes in. [`TestClock`]
//!   follows the paused time of tokio.
//! - A call is atomic: it holds one lock from its first read to its last write, and it holds no
//!   lock while it waits. It yields to the runtime once before it begins, as a call over a network
//!   does, so that other tasks run in between.
//!
//! The fakes leave out: faults and time-outs (a simulator's job), several nodes (the fake Redis is
//! one master that owns all slots, without replicas), durability, and whatever can be seen only
//! while two calls run at once (locks, deadlocks, serialization failures).

mod postgres;
mod random;
mod redis;
mod time;

pub use postgres::{FakePostgres, Held};
pub use random::TestRandom;
pub use redis::{FakeRedis, RedisSnapshot};
pub use time::{TestClock, thread_cpu_time};
