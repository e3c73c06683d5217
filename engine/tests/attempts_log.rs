//! The log of attempts in Postgres: what an earlier version wrote, and what people read.
#![allow(clippy::unwrap_used, clippy::expect_used)]

use std::path::Path;
use std::sync::Arc;

use flashsale_engine::postgres::operations::Postgres;
use flashsale_engine::{
    Attempt, AttemptOutcome, AttemptRequest, Certificates, CodeSuffix, FlashSaleName, ItemId,
    Metrics, PostgresPool, Refusal, RequestId, SaleId, SystemClock, UserId,
};
use flashsale_servers::Postgres as Server;
use futures_util::future::join_all;
use jiff::{SignedDuration, Timestamp};
use sqlx::migrate::Migrator;
use sqlx::{Connection, PgConnection};

struct Database {
    _server: Server,
    url: String,
    connection: PgConnection,
}

impl Database {
    /// An empty database.
    async fn start() -> Self {
        let server = tokio::task::spawn_blocking(|| Server::start().unwrap());
        let server = server.await.unwrap();
        let url = server.url();
        Self {
            connection: PgConnection::connect(&url).await.unwrap(),
            _server: server,
            url,
        }
    }

    /// The schema that an earlier version left.
    async fn migrate_to(&mut self, version: i64) {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../migrations");
        let all = Migrator::new(folder.as_path()).await.unwrap();
        let earlier = all.iter().filter(|each| each.version <= version);
        let migrator = Migrator::with_migrations(earlier.cloned().collect());
        let done = migrator.run_direct(None, &mut self.connection, false);
        done.await.unwrap();
    }

    async fn pool(&self) -> PostgresPool {
        let metrics = Arc::new(Metrics::new().unwrap());
        let pool = PostgresPool::connect(
            &self.url,
            &Certificates::NONE,
            2,
            metrics,
            SystemClock::clock(),
        );
        pool.await.unwrap()
    }

    async fn execute(&mut self, sql: &'static str) {
        sqlx::query(sql)
            .execute(&mut self.connection)
            .await
            .unwrap();
    }

    async fn texts(&mut self, sql: &'static str) -> Vec<String> {
        sqlx::query_scalar(sql)
            .fetch_all(&mut self.connection)
            .await
            .unwrap()
    }
}

/// Every column of the view, a row a text.
const ALL: &str = "SELECT concat_ws(' ', attempted_at AT TIME ZONE 'UTC', coalesce(sale_id, '-'),
                          coalesce(user_id, '-'), coalesce(item_id, '-'), coalesce(code, '-'),
                          outcome, request_id)
                     FROM checkout_attempts ORDER BY request_id";

/// The partition of each attempt.
const PARTITIONS: &str = "SELECT concat(request_id, ' ', tableoid::regclass::text)
                            FROM attempts ORDER BY request_id";

const EARLIER_ROWS: &str = "
    INSERT INTO checkout_attempts
           (attempt_id, attempted_at, sale_id, user_id, item_id, code, outcome, request_id)
    VALUES (gen_random_uuid(), '2026-11-23T08:00:01Z', 'shop.hourly.20261123T0800Z', 'ann', 'a-1',
            'CHK-shop.hourly.20261123T0800Z-0k123456789abcdefghjkm', 'added', 'r-1'),
           (gen_random_uuid(), '2026-11-24T00:00:00Z', 'shop.daily.20261124T0000Z', 'bob', NULL,
            NULL, 'invalid_item_id', 'r-2'),
           (gen_random_uuid(), '2026-11-24T01:00:00Z', NULL, NULL, NULL, NULL, 'sale_not_active',
            'r-3')";

const EARLIER_ROWS_READ: [&str; 3] = [
    "2026-11-23 08:00:01 shop.hourly.20261123T0800Z ann a-1 \
     CHK-shop.hourly.20261123T0800Z-0k123456789abcdefghjkm added r-1",
    "2026-11-24 00:00:00 shop.daily.20261124T0000Z bob - - invalid_item_id r-2",
    "2026-11-24 01:00:00 - - - - sale_not_active r-3",
];

#[tokio::test]
async fn what_an_earlier_version_logged_reads_as_before() {
    let mut database = Database::start().await;
    database.migrate_to(5).await;
    database
        .execute("SELECT make_attempt_days('2026-11-23', 1)")
        .await;
    database.execute(EARLIER_ROWS).await;
    let before = database.texts(ALL).await;
    assert_eq!(before, EARLIER_ROWS_READ);

    flashsale_engine::migrate(&database.url, &Certificates::NONE)
        .await
        .unwrap();
    assert_eq!(database.texts(ALL).await, before);
    let partitions = database.texts(PARTITIONS).await;
    let [hourly, daily, unnamed] = &partitions[..] else {
        panic!("{partitions:?}");
    };
    assert!(hourly.ends_with("_20261123") && daily.ends_with("_20261124"));
    assert_eq!(unnamed, "r-3 attempts_default");
}

#[tokio::test]
async fn an_earlier_version_goes_on_logging_while_it_is_replaced() {
    let mut database = Database::start().await;
    flashsale_engine::migrate(&database.url, &Certificates::NONE)
        .await
        .unwrap();
    let rows = b"4a6d4c0e-8f0e-4f43-9d5c-0a2f4f6a3b10,2026-11-23T08:00:01Z,\
                 shop.hourly.20261123T0800Z,ann,a-1,\
                 CHK-shop.hourly.20261123T0800Z-0k123456789abcdefghjkm,added,r-1\n";
    // As often as it likes: a repeated attempt stays as it is.
    for _ in 0..2 {
        let mut copy = database
            .connection
            .copy_in_raw(
                "COPY checkout_attempts
                      (attempt_id, attempted_at, sale_id, user_id, item_id, code, outcome, request_id)
                 FROM STDIN WITH (FORMAT csv)",
            )
            .await
            .unwrap();
        copy.send(&rows[..]).await.unwrap();
        copy.finish().await.unwrap();
    }
    assert_eq!(database.texts(ALL).await, EARLIER_ROWS_READ[..1]);
}

fn attempt(
    flash_sale: &FlashSaleName,
    at: Timestamp,
    suffix: Option<CodeSuffix>,
    outcome: AttemptOutcome,
) -> Attempt {
    Attempt {
        request: AttemptRequest {
            id: uuid::Uuid::from_u128(at.as_microsecond().unsigned_abs().into()),
            at_us: at.as_microsecond(),
            user: UserId::parse("ann").ok(),
            item: ItemId::parse("a-1").ok(),
            request_id: RequestId::parse(outcome.as_str()).unwrap(),
        },
        sale: Some(Arc::new(SaleId::new(flash_sale, at))),
        suffix,
        outcome,
    }
}

/// Three attempts, of which one has the partition of its day, and one that of its FlashSale.
struct Logged {
    database: Database,
    pool: PostgresPool,
    hourly: FlashSaleName,
    daily: FlashSaleName,
    day: Timestamp,
    next_day: Timestamp,
}

const LOGGED: [&str; 3] = [
    "2026-11-23 08:00:00 shop.hourly.20261123T0800Z ann a-1 \
     CHK-shop.hourly.20261123T0800Z-0k123456789abcdefghjkm added added",
    "2026-11-24 08:00:00 shop.hourly.20261124T0800Z ann a-1 \
     CHK-shop.hourly.20261124T0800Z-0k123456789abcdefghjkm cart_full cart_full",
    "2026-11-23 08:00:00 shop.daily.20261123T0800Z ann a-1 - in_cart in_cart",
];

async fn log_attempts() -> Logged {
    let database = Database::start().await;
    flashsale_engine::migrate(&database.url, &Certificates::NONE)
        .await
        .unwrap();
    let pool = database.pool().await;
    let (hourly, daily) = (
        FlashSaleName::new("shop", "hourly").unwrap(),
        FlashSaleName::new("shop", "daily").unwrap(),
    );
    let day: Timestamp = "2026-11-23T08:00:00Z".parse().unwrap();
    let next_day = day + SignedDuration::from_hours(24);
    let days = pool.create_attempt_days(&hourly, Some(day), 1);
    days.await.unwrap();
    let suffix = CodeSuffix::parse("0k123456789abcdefghjkm");
    let added = attempt(&hourly, day, suffix, AttemptOutcome::Added);
    let full = AttemptOutcome::Refused(Refusal::CartFull);
    let of_no_day = attempt(&hourly, next_day, suffix, full);
    let of_no_tree = attempt(&daily, day, None, AttemptOutcome::InCart);
    for (flash_sale, attempt) in [
        (&hourly, &added),
        (&hourly, &of_no_day),
        (&daily, &of_no_tree),
    ] {
        let appended = pool.append_attempts(flash_sale, std::slice::from_ref(&attempt));
        appended.await.unwrap();
    }
    Logged {
        database,
        pool,
        hourly,
        daily,
        day,
        next_day,
    }
}

/// An operator with many FlashSales that starts, or whose Postgres is back.
#[tokio::test]
async fn two_hundred_flash_sales_get_their_days_at_once_and_leave_a_connection_to_others() {
    let database = Database::start().await;
    flashsale_engine::migrate(&database.url, &Certificates::NONE)
        .await
        .unwrap();
    let pool = database.pool().await;
    let names = (0..200).map(|n| FlashSaleName::new("shop", &format!("sale-{n}")).unwrap());
    let names: Vec<FlashSaleName> = names.collect();
    let creations = join_all(
        names
            .iter()
            .map(|name| pool.create_attempt_days(name, None, 3)),
    );
    let mut creations = std::pin::pin!(creations);
    let mut reads = 0;
    let created = loop {
        tokio::select! {
            created = &mut creations => break created,
            read = pool.read_watermarks(&names[0]) => {
                read.unwrap();
                reads += 1;
            }
        }
    };
    for created in created {
        created.unwrap();
    }
    assert!(reads > 10, "{reads} reads meanwhile");
}

#[tokio::test]
async fn no_attempt_is_without_a_partition_and_late_partitions_take_their_rows_along() {
    let mut logged = log_attempts().await;
    let database = &mut logged.database;
    let partitions = [
        "added attempts_1_20261123",
        "cart_full attempts_1_default",
        "in_cart attempts_default",
    ];
    assert_eq!(database.texts(PARTITIONS).await, partitions);
    assert_eq!(database.texts(ALL).await, LOGGED);

    let late = [
        (&logged.hourly, logged.next_day),
        (&logged.daily, logged.day),
    ];
    for (flash_sale, day) in late {
        let days = logged.pool.create_attempt_days(flash_sale, Some(day), 1);
        days.await.unwrap();
    }
    let partitions = [
        "added attempts_1_20261123",
        "cart_full attempts_1_20261124",
        "in_cart attempts_2_20261123",
    ];
    assert_eq!(database.texts(PARTITIONS).await, partitions);
    assert_eq!(database.texts(ALL).await, LOGGED);
}

#[tokio::test]
async fn what_is_deleted_of_one_flash_sale_stays_of_another() {
    let mut logged = log_attempts().await;
    let (pool, database) = (&logged.pool, &mut logged.database);
    let days = pool.create_attempt_days(&logged.daily, Some(logged.day), 1);
    days.await.unwrap();
    pool.delete_flash_sale(&logged.hourly).await.unwrap();
    assert_eq!(database.texts(ALL).await, LOGGED[2..]);
    let tables = "SELECT relname::text FROM pg_class
                   WHERE relname ~ '^attempts_' AND relkind IN ('r', 'p') ORDER BY 1";
    let left = [
        "attempts_2",
        "attempts_2_20261123",
        "attempts_2_default",
        "attempts_default",
    ];
    assert_eq!(database.texts(tables).await, left);
}

#[tokio::test]
async fn attempts_of_no_flash_sale_are_dropped_after_thirty_days() {
    let mut logged = log_attempts().await;
    let (pool, database) = (&logged.pool, &mut logged.database);
    let insert = "INSERT INTO attempts
           (attempted_at, attempt_id, flash_sale_no, sale_minute, outcome, code_suffix, request_id)
           SELECT now() - days * interval '1 day', gen_random_uuid(), 0, 0, 10, '', concat(days, ' days')
             FROM unnest(ARRAY[10, 29, 32, 400]) AS days RETURNING request_id";
    assert_eq!(database.texts(insert).await.len(), 4);
    let left = "SELECT request_id FROM attempts WHERE flash_sale_no = 0 ORDER BY attempted_at DESC";
    for (keep_days, expected) in [
        (100, vec!["10 days", "29 days", "32 days"]),
        (1, vec!["10 days", "29 days"]),
    ] {
        let dropped = pool.drop_attempt_days(&logged.hourly, keep_days);
        dropped.await.unwrap();
        assert_eq!(database.texts(left).await, expected);
    }
}
