//! A fake and a real Postgres, and operations that are played on both.

use std::pin::Pin;
use std::sync::{Arc, OnceLock};

use flashsale_engine::{Certificates, Metrics, PostgresPool, SystemClock};
use flashsale_fakes::FakePostgres;
use flashsale_servers::Postgres as Server;
use proptest::strategy::Strategy;
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use crate::operations::{Fixture, Operation, answer};

/// A fake that has the machine's time, as the real server has.
pub fn fake() -> FakePostgres {
    FakePostgres::new(SystemClock::clock())
}

fn server() -> &'static Server {
    static SHARED: OnceLock<Server> = OnceLock::new();
    SHARED.get_or_init(|| Server::start().unwrap())
}

/// A migrated database of its own on the server that the tests of this program share.
pub async fn real(name: &'static str) -> PostgresPool {
    let url = tokio::task::spawn_blocking(|| server().create_database(name).unwrap());
    let url = url.await.unwrap();
    flashsale_engine::migrate(&url, &Certificates::NONE)
        .await
        .unwrap();
    let metrics = Arc::new(Metrics::new().unwrap());
    let pool =
        PostgresPool::connect(&url, &Certificates::NONE, 2, metrics, SystemClock::clock()).await;
    pool.unwrap()
}

/// Plays operations on both and compares each answer. Returns the answers.
pub async fn assert_same(
    name: &'static str,
    fixture: &Fixture,
    operations: &[Operation],
) -> Vec<String> {
    compare(&fake(), &real(name).await, fixture, operations).await
}

pub async fn compare(
    fake: &FakePostgres,
    real: &PostgresPool,
    fixture: &Fixture,
    operations: &[Operation],
) -> Vec<String> {
    let mut answers = Vec::new();
    for operation in operations {
        let on_fake = answer(fake, fixture, operation).await;
        let on_real = answer(real, fixture, operation).await;
        assert_eq!(
            on_fake, on_real,
            "{operation:?}: left is the fake, right the server"
        );
        answers.push(on_fake);
    }
    answers
}

/// Plays random sequences, always the same ones. `compare` panics where the two differ.
pub fn run_sequences<T: std::fmt::Debug>(
    name: &'static str,
    cases: u32,
    sequences: &impl Strategy<Value = Vec<T>>,
    compare: impl for<'a> Fn(
        &'a (FakePostgres, PostgresPool),
        &'a [T],
    ) -> Pin<Box<dyn Future<Output = ()> + 'a>>,
) {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let backends = runtime.block_on(async { (fake(), real(name).await) });
    let config = Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    };
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &[9; 32]);
    let mut runner = TestRunner::new_with_rng(config, rng);
    let compared = runner.run(sequences, |steps| {
        runtime.block_on(compare(&backends, &steps));
        Ok(())
    });
    compared.unwrap();
}
