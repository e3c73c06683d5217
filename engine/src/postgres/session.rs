//! One session with Postgres.
//!
//! Guarantees: nothing depends on the state of a session, unless the server shows that the session
//! is dedicated to this connection: such a session has its limits, and the durability of its commits,
//! from its start. Behind a pooler in transaction mode each transaction may have another session:
//! there, every statement has a transaction that sets its own, and no statement is prepared under a
//! name.

use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use sqlx::error::BoxDynError;
use sqlx::postgres::{
    PgArguments, PgConnectOptions, PgCopyIn, PgQueryResult, PgRow, PgStatement, PgTypeInfo,
};
use sqlx::{ConnectOptions, Connection, Either, Execute, Executor, PgConnection, Postgres, SqlStr};

/// What a dedicated session starts with. The first is read back: a pooler drops or refuses it, and
/// keeps no other.
const START_UP_OPTIONS: [(&str, &str); 7] = [
    ("flashsale.session", "dedicated"),
    // Half a second less than the limit of the client.
    ("statement_timeout", "2500ms"),
    ("lock_timeout", "2s"),
    ("idle_in_transaction_session_timeout", "5s"),
    ("default_transaction_isolation", "read committed"),
    // A named statement keeps its plan. A plan from when a table was nearly empty reads the whole table
    // at each call until autovacuum analyses it, which takes longer than the first rush of a sale.
    ("enable_seqscan", "off"),
    // A plan that has no other way than a scan counts as so expensive that Postgres compiles it.
    ("jit", "off"),
];

/// Whose the session is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum SessionKind {
    /// This connection's, as long as the connection lasts.
    Dedicated,
    /// A pooler's, which lends it for the length of a transaction.
    TransactionPooled,
}

/// A session, by its connection. Queries run on `&mut Session` as on a connection of sqlx.
#[derive(Debug)]
pub(super) struct Session {
    connection: PgConnection,
    kind: SessionKind,
    is_read_only: bool,
    in_transaction: bool,
}

impl Session {
    /// Connects. Ask for a dedicated session where none was refused before; what comes may be
    /// another kind. An error of class 08 or 0A means that start-up options are refused.
    pub async fn open(options: &PgConnectOptions, kind: SessionKind) -> Result<Self, sqlx::Error> {
        let mut connection = match kind {
            SessionKind::Dedicated => {
                let options = options.clone().options(START_UP_OPTIONS);
                options.connect().await?
            }
            SessionKind::TransactionPooled => options.connect().await?,
        };
        let row = sqlx::raw_sql(include_str!("sql/read_session.sql"))
            .fetch_one(&mut connection)
            .await?;
        let (is_dedicated, is_read_only, _): (bool, bool, Option<String>) =
            sqlx::FromRow::from_row(&row)?;
        Ok(Self {
            connection,
            kind: match is_dedicated {
                true => SessionKind::Dedicated,
                false => SessionKind::TransactionPooled,
            },
            is_read_only,
            in_transaction: false,
        })
    }

    /// Whose it is.
    pub fn kind(&self) -> SessionKind {
        self.kind
    }

    /// Whether the server took no writes when the connection was made: it is a standby, or was
    /// demoted. It may lack what the primary has.
    pub fn is_read_only(&self) -> bool {
        self.is_read_only
    }

    /// Begins a transaction with a script that begins one.
    pub async fn begin(&mut self, script: &'static str) -> Result<(), sqlx::Error> {
        self.in_transaction = true;
        sqlx::raw_sql(script).execute(&mut self.connection).await?;
        Ok(())
    }

    /// Commits the transaction, if there is one.
    pub async fn commit(&mut self) -> Result<(), sqlx::Error> {
        self.end("COMMIT").await
    }

    /// Rolls the transaction back, if there is one.
    pub async fn roll_back(&mut self) -> Result<(), sqlx::Error> {
        self.end("ROLLBACK").await
    }

    async fn end(&mut self, statement: &'static str) -> Result<(), sqlx::Error> {
        if self.in_transaction {
            sqlx::raw_sql(statement)
                .execute(&mut self.connection)
                .await?;
            self.in_transaction = false;
        }
        Ok(())
    }

    /// Sees whether the server answers.
    pub async fn ping(&mut self) -> Result<(), sqlx::Error> {
        self.connection.ping().await
    }

    /// Begins a `COPY … FROM STDIN`.
    pub async fn copy_in_raw(
        &mut self,
        statement: &str,
    ) -> Result<PgCopyIn<&mut PgConnection>, sqlx::Error> {
        self.connection.copy_in_raw(statement).await
    }
}

impl<'c> Executor<'c> for &'c mut Session {
    type Database = Postgres;

    fn fetch_many<'e, 'q, E>(
        self,
        query: E,
    ) -> BoxStream<'e, Result<Either<PgQueryResult, PgRow>, sqlx::Error>>
    where
        'c: 'e,
        'q: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.kind {
            SessionKind::Dedicated => self.connection.fetch_many(query),
            SessionKind::TransactionPooled => self.connection.fetch_many(Unnamed(query)),
        }
    }

    fn fetch_optional<'e, 'q, E>(
        self,
        query: E,
    ) -> BoxFuture<'e, Result<Option<PgRow>, sqlx::Error>>
    where
        'c: 'e,
        'q: 'e,
        E: 'q + Execute<'q, Postgres>,
    {
        match self.kind {
            SessionKind::Dedicated => self.connection.fetch_optional(query),
            SessionKind::TransactionPooled => self.connection.fetch_optional(Unnamed(query)),
        }
    }

    /// A statement that is prepared by hand has a name.
    fn prepare_with<'e>(
        self,
        sql: SqlStr,
        parameters: &'e [PgTypeInfo],
    ) -> BoxFuture<'e, Result<PgStatement, sqlx::Error>>
    where
        'c: 'e,
    {
        match self.kind {
            SessionKind::Dedicated => self.connection.prepare_with(sql, parameters),
            SessionKind::TransactionPooled => {
                let expected = "expected a dedicated session, found one of a pooler";
                Box::pin(async move { Err(sqlx::Error::Protocol(expected.to_owned())) })
            }
        }
    }
}

/// A query that is prepared without a name.
struct Unnamed<E>(E);

impl<'q, E: Execute<'q, Postgres>> Execute<'q, Postgres> for Unnamed<E> {
    fn sql(self) -> SqlStr {
        self.0.sql()
    }

    fn statement(&self) -> Option<&PgStatement> {
        self.0.statement()
    }

    fn take_arguments(&mut self) -> Result<Option<PgArguments>, BoxDynError> {
        self.0.take_arguments()
    }

    fn persistent(&self) -> bool {
        false
    }
}
