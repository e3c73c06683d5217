//! A Postgres that fails, hangs or takes no writes: purchases succeed within a second after it
//! takes writes again, and what it holds is answered meanwhile.
#![allow(clippy::unwrap_used, clippy::expect_used)]

mod support;

use std::sync::Arc;
use std::time::{Duration, Instant};

use flashsale_engine::postgres::operations::Postgres as _;
use flashsale_engine::{
    BackendError, Certificates, CheckoutCode, Metrics, Milestone, NoOrder, PostgresPool, SaleId,
    SystemClock,
};
use flashsale_servers::{Postgres as PostgresServer, SuspendedPostgres};
use futures_util::future::join_all;
use support::{LIMITS, Service, Stack, eventually, fill, request_id};

/// How long after Postgres takes writes a purchase may still fail, on a loaded machine.
const RECOVERY: Duration = Duration::from_secs(5);

const BUYERS: usize = 20;

/// Users are impatient: some thousand calls arrive in an outage.
const RETRY_AFTER: Duration = Duration::from_millis(5);

/// A sale, a service that has sold one item, the code of that item, and carts with one item each.
async fn selling(stack: &Stack) -> (Arc<Service>, CheckoutCode, Vec<CheckoutCode>) {
    let sale = stack.sale(100, LIMITS);
    let catalog = stack.seed(&sale).await;
    let service = stack.service().await;
    let ids: Vec<&str> = catalog.iter().map(|item| item.id.as_str()).collect();
    let bought = fill(&service, "ann", &[ids[0]]).await;
    service.purchase(&bought, &request_id()).await.unwrap();
    let mut codes = Vec::new();
    for (n, item) in ids[1..=BUYERS].iter().enumerate() {
        codes.push(fill(&service, &format!("user-{n}"), &[item]).await);
    }
    (service, bought, codes)
}

/// Users who ask again with their code until it is bought.
fn buy_all(service: &Arc<Service>, codes: Vec<CheckoutCode>) -> tokio::task::JoinHandle<()> {
    let users = codes.into_iter().map(|code| {
        let service = service.clone();
        async move {
            loop {
                match service.purchase(&code, &request_id()).await {
                    Ok(order) => break assert_eq!(order.sold_count(), 1),
                    Err(NoOrder::Unavailable(_)) => {}
                    Err(refusal) => panic!("refused: {refusal:?}"),
                }
                tokio::time::sleep(RETRY_AFTER).await;
            }
        }
    });
    let users: Vec<_> = users.collect();
    tokio::spawn(async move {
        join_all(users).await;
    })
}

/// Awaits that all is bought, for at most [`RECOVERY`] from now on.
async fn recovers(buying: tokio::task::JoinHandle<()>) {
    let started = Instant::now();
    let bought = tokio::time::timeout(Duration::from_secs(30), buying).await;
    bought.expect("nothing is sold for 30 s").unwrap();
    let took = started.elapsed();
    assert!(took < RECOVERY, "recovered only after {took:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_hang_purchases_succeed_soon() {
    let stack = Stack::start().await;
    let (service, _, codes) = selling(&stack).await;
    let suspended = SuspendedPostgres::suspend(&stack.postgres).unwrap();
    let buying = buy_all(&service, codes);
    // Statements and attempts to connect have timed out by then.
    tokio::time::sleep(Duration::from_secs(7)).await;
    assert!(!buying.is_finished());
    drop(suspended);
    recovers(buying).await;
    assert_eq!(
        stack.sql::<i64>("SELECT count(*) FROM purchases").await,
        BUYERS as i64 + 1
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_purchases_succeed_soon() {
    let mut stack = Stack::start().await;
    let (service, _, codes) = selling(&stack).await;
    stack.postgres.kill();
    let buying = buy_all(&service, codes);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let started = tokio::task::spawn_blocking(move || {
        stack.postgres.start_again().unwrap();
        stack
    });
    let _stack = started.await.unwrap();
    recovers(buying).await;
    // A claim for each code, and one for the answer to each: not one for each of the calls.
    let committed = service.metrics().commit_batch_size.get_sample_sum();
    let codes = BUYERS as f64 + 1.0;
    assert!(
        committed < 5.0 * codes,
        "{committed} claims of {codes} codes"
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn a_pool_that_connected_to_a_read_only_server_writes_as_soon_as_it_may() {
    let stack = Stack::start().await;
    let (service, bought, codes) = selling(&stack).await;
    stack
        .execute("ALTER ROLE flashsale SET default_transaction_read_only = on")
        .await;
    // Every connection from now on is one to a server that takes no writes.
    end_all_connections(&stack.postgres);
    let refused = service.purchase(&codes[0], &request_id()).await;
    assert!(
        matches!(refused, Err(NoOrder::Unavailable(_))),
        "{refused:?}"
    );
    // What is there is answered. What is not there may be on a server that takes writes.
    eventually("the pool has connected again", || async {
        service.purchase(&bought, &request_id()).await.is_ok()
    })
    .await;
    for _ in 0..3 {
        let order = service.purchase(&bought, &request_id()).await.unwrap();
        assert!(order.replayed && order.sold_count() == 1);
    }
    let missing = service.outcome(&codes[1]).await;
    assert!(
        matches!(missing, Err(NoOrder::Unavailable(_))),
        "{missing:?}"
    );

    let buying = buy_all(&service, codes.clone());
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(!buying.is_finished());
    let reset = "BEGIN READ WRITE; \
                 ALTER ROLE flashsale RESET default_transaction_read_only; COMMIT";
    stack.postgres.query(reset).unwrap();
    recovers(buying).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn purchases_survive_the_end_of_all_connections() {
    let stack = Stack::start().await;
    let (service, _, codes) = selling(&stack).await;
    end_all_connections(&stack.postgres);
    recovers(buy_all(&service, codes)).await;
}

fn end_all_connections(postgres: &PostgresServer) {
    let end = "SELECT count(pg_terminate_backend(pid, 5000)) FROM pg_stat_activity \
                WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()";
    postgres.query(end).unwrap();
}

/// A write without effect; a server that takes no writes refuses it.
async fn write(pool: &PostgresPool) -> Result<(), BackendError> {
    let name = flashsale_engine::FlashSaleName::new("shop", "hourly").unwrap();
    let id = SaleId::new(&name, jiff::Timestamp::UNIX_EPOCH);
    pool.note_milestone(&id, Milestone::Closed).await
}

async fn connect(url: &str) -> PostgresPool {
    let metrics = Arc::new(Metrics::new().unwrap());
    let pool =
        PostgresPool::connect(url, &Certificates::NONE, 4, metrics, SystemClock::clock()).await;
    pool.unwrap()
}

/// Opens all connections of a pool.
async fn warm_up(pool: &PostgresPool) {
    eventually("all connections are open and idle", || async {
        for answer in join_all((0..40).map(|_| pool.ping())).await {
            answer.unwrap();
        }
        pool.connections() == (0, 4)
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_broken_connection_is_evidence_against_all() {
    let stack = Stack::start().await;
    let pool = connect(&stack.postgres.url()).await;
    warm_up(&pool).await;
    end_all_connections(&stack.postgres);
    let mut failures = 0;
    for _ in 0..8 {
        failures += usize::from(write(&pool).await.is_err());
    }
    assert!(failures <= 1, "{failures} calls met a broken connection");
}

#[tokio::test(flavor = "multi_thread")]
async fn while_postgres_is_away_calls_fail_at_once() {
    let mut stack = Stack::start().await;
    let pool = connect(&stack.postgres.url()).await;
    warm_up(&pool).await;
    stack.postgres.stop();
    let _ = pool.ping().await;
    let started = Instant::now();
    for answer in join_all((0..100).map(|_| pool.ping())).await {
        answer.unwrap_err();
    }
    let took = started.elapsed();
    assert!(took < Duration::from_secs(2), "{took:?}");
}

/// `host:port` of a server.
fn host(server: &PostgresServer) -> String {
    let url = server.url();
    let behind_user = url.split_once('@').unwrap().1;
    behind_user.split_once('/').unwrap().0.to_owned()
}

const DEMOTE: &str = "ALTER DATABASE flashsale SET default_transaction_read_only = on";

#[tokio::test(flavor = "multi_thread")]
async fn of_several_hosts_one_that_hangs_hides_none_that_can_be_read() {
    let standby = tokio::task::spawn_blocking(|| PostgresServer::start().unwrap());
    let standby = standby.await.unwrap();
    standby.query(DEMOTE).unwrap();
    // Accepts connections and answers nothing.
    let hangs = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let (hung_host, read_host) = (hangs.local_addr().unwrap().to_string(), host(&standby));
    for [first, second] in [[&hung_host, &read_host], [&read_host, &hung_host]] {
        let url = format!("postgres://flashsale@{first},{second}/flashsale");
        // A loaded machine may need longer for a connection than a call waits.
        eventually("the standby is read", async || {
            let (metrics, clock) = (Arc::new(Metrics::new().unwrap()), SystemClock::clock());
            let pool = PostgresPool::connect(&url, &Certificates::NONE, 2, metrics, clock);
            pool.await.is_ok()
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn of_several_hosts_the_one_that_takes_writes_is_used() {
    let servers =
        tokio::task::spawn_blocking(|| [(); 2].map(|()| PostgresServer::start().unwrap()));
    let [left, right] = servers.await.unwrap();
    for server in [&left, &right] {
        flashsale_engine::migrate(&server.url(), &Certificates::NONE)
            .await
            .unwrap();
    }
    let promote =
        "BEGIN READ WRITE; ALTER DATABASE flashsale RESET default_transaction_read_only; COMMIT";
    left.query(DEMOTE).unwrap();
    let url = format!(
        "postgres://flashsale@{},{}/flashsale?target_session_attrs=read-write",
        host(&left),
        host(&right)
    );
    flashsale_engine::migrate(&url, &Certificates::NONE)
        .await
        .unwrap();
    let pool = connect(&url).await;
    write(&pool).await.unwrap();

    right.query(DEMOTE).unwrap();
    end_all_connections(&right);
    left.query(promote).unwrap();
    let started = Instant::now();
    while write(&pool).await.is_err() {
        assert!(started.elapsed() < RECOVERY, "no writes on the other host");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_commit_is_on_disk_whatever_the_database_says() {
    let stack = Stack::start().await;
    // What holds at the very end of a transaction, just before its commit.
    let watch = "CREATE TABLE commits (written text, setting text); \
         CREATE FUNCTION note_commit() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO commits VALUES (TG_ARGV[0], current_setting('synchronous_commit')); \
             RETURN NULL; END $$; \
         DO $$ DECLARE name text; BEGIN \
             FOR name IN SELECT oid::regclass::text FROM pg_class \
                          WHERE oid = 'orders'::regclass \
                             OR relkind = 'p' AND relname LIKE '%attempts' LOOP \
                 EXECUTE format('CREATE CONSTRAINT TRIGGER note_commit AFTER INSERT ON %I \
                     DEFERRABLE INITIALLY DEFERRED FOR EACH ROW \
                     EXECUTE FUNCTION note_commit(%L)', name, name); \
             END LOOP; END $$";
    stack.postgres.query(watch).unwrap();
    let weaker = "ALTER DATABASE flashsale SET synchronous_commit = off";
    stack.postgres.query(weaker).unwrap();
    let (service, _, codes) = selling(&stack).await;
    buy_all(&service, codes).await.unwrap();
    assert!(service.stop(Duration::from_secs(10)).await);
    let settings = "SELECT count(DISTINCT written), string_agg(DISTINCT setting, ',') FROM commits";
    assert_eq!(stack.postgres.query(settings).unwrap(), "2|on");

    let stronger = "ALTER DATABASE flashsale SET synchronous_commit = remote_apply";
    stack.postgres.query(stronger).unwrap();
    let service = stack.service().await;
    let item = stack.postgres.query("SELECT id FROM items WHERE idx = 90");
    let code = fill(&service, "zoe", &[&item.unwrap()]).await;
    service.purchase(&code, &request_id()).await.unwrap();
    let newest = "SELECT setting FROM commits WHERE written = 'orders' ORDER BY ctid DESC LIMIT 1";
    assert_eq!(stack.postgres.query(newest).unwrap(), "remote_apply");
}
