//! One connection, used by a plain thread: every call waits for the server.
//!
//! Owns transactions (dropped is rolled back), cancelling, and what a server says of itself. Does not know
//! what the statements mean. Statements with parameters are prepared once per connection.

use super::connect::Shared;
use super::copy::{CopyIn, CopyOut};
use super::refusal::refused;
use super::silence::{self, Backend};
use super::target::Target;
use crate::durable;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::CONNECT_TIMEOUT;
use std::future::Future;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use tokio_postgres::types::ToSql;
use tokio_postgres::{CancelToken, Row, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// A connection borrowed from its pool; dropped, it goes back. One thread uses it at a time.
pub struct Session {
    /// None once it was given up or given back.
    client: Option<deadpool_postgres::Client>,
    /// Who answers, where that is known.
    backend: Option<Backend>,
    /// Set when the connection's state is not known any more: it refuses statements and is closed.
    is_given_up: AtomicBool,
    /// Whether what is done lasts only once the transaction is committed.
    is_in_transaction: AtomicBool,
    pool: Arc<Shared>,
}

/// What a server says of itself and of us.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerInfo {
    /// The version as a number: 150013 is 15.13.
    pub version_num: i32,
    /// The version as the server writes it.
    pub version: String,
    /// The database's encoding, `UTF8` nearly always.
    pub encoding: String,
    /// The database's `LC_COLLATE`.
    pub collation: String,
    /// The database that this is.
    pub dbname: String,
    /// The role that statements run as.
    pub user: String,
    /// Whether that role may do anything.
    pub is_superuser: bool,
    /// Whether the server only follows another one, so that nothing can be written.
    pub is_standby: bool,
}

impl Session {
    pub(super) fn new(client: deadpool_postgres::Client, backend: Option<Backend>, pool: Arc<Shared>) -> Self {
        let (is_given_up, is_in_transaction) = (AtomicBool::new(false), AtomicBool::new(false));
        Self { client: Some(client), backend, is_given_up, is_in_transaction, pool }
    }

    pub(super) fn client(&self) -> Result<&deadpool_postgres::Client> {
        if self.is_given_up.load(Ordering::Relaxed) {
            return Err(Error::new(Kind::Failed, "a connection was used after it had been given up")
                .fact("its answers are out of step, or do not come any more")
                .hint("the transaction is lost; a new session of the pool starts afresh"));
        }
        Ok(self.client.as_ref().expect("a session has its connection until it is dropped"))
    }

    /// Waits for an answer for as long as one can still come; then the connection is given up.
    pub(super) fn wait<T>(
        &self,
        sql: &str,
        answer: impl Future<Output = std::result::Result<T, tokio_postgres::Error>>,
    ) -> Result<T> {
        self.pool.block_on(async {
            tokio::select! {
                biased;
                told = answer => told.map_err(|e| refused(e, sql)),
                error = silence::lost(&self.pool, self.backend.as_ref()) => {
                    self.give_up();
                    Err(error)
                }
            }
        })
    }

    /// Refuses all further statements; the connection is closed with the session.
    pub(super) fn give_up(&self) {
        self.is_given_up.store(true, Ordering::Relaxed);
    }

    /// Whether a COPY left the connection in a state where it cannot be used any more. A transaction on it is
    /// lost; its session refuses statements, and the pool makes a new connection.
    #[must_use]
    pub fn is_given_up(&self) -> bool {
        self.is_given_up.load(Ordering::Relaxed)
    }

    /// Finds out whether answers still belong to questions, and gives the connection up if not.
    ///
    /// tokio-postgres 0.7.18 sends two Sync messages around a COPY into the server. The server skips the first
    /// while it reads rows; if it refuses earlier (no permission, read-only, FREEZE, a statement trigger),
    /// it answers both, and every later answer would be taken for that of the statement before.
    pub(super) fn find_step(&self) {
        let Ok(client) = self.client() else { return };
        let is_in_step = match self.wait("", client.simple_query("SELECT 'in step'")) {
            Ok(messages) => {
                messages.iter().any(|m| matches!(m, SimpleQueryMessage::Row(row) if row.get(0) == Some("in step")))
            }
            // A failed transaction refuses the query, which is an answer to it.
            Err(e) => e.sqlstate().is_some(),
        };
        if !is_in_step {
            self.give_up();
        }
    }

    /// Runs any number of statements, separated by semicolons. Outside a transaction they are one.
    pub fn batch(&self, sql: &str) -> Result<()> {
        self.lasting(sql, || self.wait(sql, self.client()?.batch_execute(sql)))
    }

    // Outside a transaction, a statement that writes is a step of its own.
    fn lasting<T>(&self, sql: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
        if !durable::is_watched() || self.is_in_transaction.load(Ordering::Relaxed) || !writes(sql) {
            return run();
        }
        // Keywords only: which object it is about does not matter to anybody.
        let is_keyword = |word: &&str| word.bytes().all(|b| b.is_ascii_uppercase());
        let words: Vec<&str> = sql.split_whitespace().take(2).take_while(is_keyword).collect();
        durable::step(&words.join(" "), run)
    }

    /// Runs a statement; gives the number of rows that it touched.
    pub fn execute(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<u64> {
        let client = self.client()?;
        let run = async {
            if params.is_empty() {
                return client.execute(sql, params).await;
            }
            let statement = client.prepare_cached(sql).await?;
            client.execute(&statement, params).await
        };
        self.lasting(sql, || self.wait(sql, run))
    }

    /// Runs a query; gives all its rows.
    pub fn query(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Vec<Row>> {
        let client = self.client()?;
        self.wait(sql, async {
            // Without parameters a query is seldom asked twice, and a table that changes shape would
            // invalidate its plan.
            if params.is_empty() {
                return client.query(sql, params).await;
            }
            let statement = client.prepare_cached(sql).await?;
            client.query(&statement, params).await
        })
    }

    /// Runs a query that has exactly one row.
    pub fn query_one(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Row> {
        let mut rows = self.query(sql, params)?;
        match (rows.pop(), rows.len()) {
            (Some(row), 0) => Ok(row),
            (last, rest) => Err(not_as_many(sql, "one row", rest + usize::from(last.is_some()))),
        }
    }

    /// Runs a query that has one row or none.
    pub fn query_opt(&self, sql: &str, params: &[&(dyn ToSql + Sync)]) -> Result<Option<Row>> {
        let mut rows = self.query(sql, params)?;
        match (rows.pop(), rows.len()) {
            (row, 0) => Ok(row),
            (_, rest) => Err(not_as_many(sql, "at most one row", rest + 1)),
        }
    }

    /// Begins a transaction with the server's default isolation.
    pub fn transaction(&mut self) -> Result<Transaction<'_>> {
        self.transaction_as("BEGIN")
    }

    /// Begins a transaction with a `BEGIN` statement of one's own, for an isolation level or READ ONLY.
    pub fn transaction_as(&mut self, begin: &str) -> Result<Transaction<'_>> {
        self.batch(begin)?;
        self.is_in_transaction.store(true, Ordering::Relaxed);
        Ok(Transaction { session: self, is_open: true })
    }

    /// Begins `COPY … FROM STDIN`, outside a transaction: its rows are there once it finishes.
    pub fn copy_in(&mut self, sql: &str) -> Result<CopyIn<'_>> {
        CopyIn::start(self, sql)
    }

    /// Begins `COPY … TO STDOUT`.
    pub fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>> {
        CopyOut::start(self, sql)
    }

    /// A handle by which another thread stops the statement that runs here.
    #[must_use]
    pub fn cancel_handle(&self) -> CancelHandle {
        let client = self.client.as_ref().expect("a session has its connection until it is dropped");
        CancelHandle { token: client.cancel_token(), tls: self.pool.tls.clone(), pool: self.pool.clone() }
    }

    /// Another connection of the same pool; waits while all are taken.
    pub fn another(&self) -> Result<Session> {
        self.pool.another()
    }

    /// What the server says of itself.
    pub fn server_info(&self) -> Result<ServerInfo> {
        let row = self.query_one(
            "SELECT current_setting('server_version_num')::int4, current_setting('server_version'), \
             current_setting('server_encoding'), d.datcollate::text, d.datname::text, current_user::text, \
             current_setting('is_superuser') = 'on', pg_is_in_recovery() \
             FROM pg_database d WHERE d.datname = current_database()",
            &[],
        )?;
        Ok(ServerInfo {
            version_num: row.get(0),
            version: row.get(1),
            encoding: row.get(2),
            collation: row.get(3),
            dbname: row.get(4),
            user: row.get(5),
            is_superuser: row.get(6),
            is_standby: row.get(7),
        })
    }

    /// The target that the session is connected to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.pool.target
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        if let Some(client) = self.client.take().filter(|_| self.is_given_up()) {
            drop(deadpool_postgres::Client::take(client));
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Session({})", self.pool.target)
    }
}

// A batch begins with what matters: nothing else here is run outside a transaction and writes.
fn writes(sql: &str) -> bool {
    const WORDS: [&str; 9] =
        ["ALTER", "ANALYZE", "COMMENT", "CREATE", "DELETE", "DROP", "INSERT", "TRUNCATE", "UPDATE"];
    let first = sql.split_whitespace().next().unwrap_or_default();
    WORDS.iter().any(|word| first.eq_ignore_ascii_case(word))
}

fn not_as_many(sql: &str, wanted: &str, rows: usize) -> Error {
    Error::new(Kind::Bug, format!("a query should give {wanted} and gave {rows}"))
        .fact(format!("statement: {}", sql.lines().next().unwrap_or_default()))
        .hint("this is a fault of lite2pg; please report it")
}

/// A transaction; rolled back unless it is committed. Has all of [`Session`]'s statements.
pub struct Transaction<'a> {
    session: &'a mut Session,
    is_open: bool,
}

impl Transaction<'_> {
    /// Makes the transaction's changes last. If a statement in it failed there is nothing to keep, and
    /// that is an error here as well.
    pub fn commit(mut self) -> Result<()> {
        // PostgreSQL answers COMMIT in a failed transaction by rolling back, without an error, and the driver
        // hides the tag that says so. The query in front fails there (25P02) and keeps COMMIT from being run.
        let sql = "SELECT 1; COMMIT";
        match durable::step("COMMIT", || self.session.wait("COMMIT", self.session.client()?.batch_execute(sql))) {
            Ok(()) => {
                self.is_open = false;
                Ok(())
            }
            Err(error) => Err(match error.kind() {
                Kind::Target => {
                    self.session.give_up();
                    error.state("the server may or may not have kept the transaction")
                }
                _ => error.state("the transaction was rolled back"),
            }),
        }
    }

    /// Undoes the transaction now; an error means that the connection is gone, and the transaction with it.
    pub fn rollback(mut self) -> Result<()> {
        self.is_open = false;
        self.session.batch("ROLLBACK").inspect_err(|_| self.session.give_up())
    }

    /// The session that the transaction is in.
    pub fn session(&mut self) -> &mut Session {
        self.session
    }

    /// Marks a point to which the transaction can go back.
    pub fn savepoint(&self, name: &'static str) -> Result<Savepoint<'_>> {
        self.batch(&format!("SAVEPOINT {name}"))?;
        Ok(Savepoint { session: self.session, name })
    }

    /// Begins `COPY … FROM STDIN` in this transaction. Until it is finished or dropped, the transaction's other
    /// statements wait for ever: the connection is in the middle of the COPY.
    pub fn copy_in(&self, sql: &str) -> Result<CopyIn<'_>> {
        CopyIn::start(self.session, sql)
    }

    /// Begins `COPY … TO STDOUT` in this transaction.
    pub fn copy_out(&mut self, sql: &str) -> Result<CopyOut<'_>> {
        CopyOut::start(self.session, sql)
    }
}

/// A point to which a transaction can go back. Left alone, what came after it stays.
pub struct Savepoint<'a> {
    session: &'a Session,
    name: &'static str,
}

impl Savepoint<'_> {
    /// Undoes what came after it.
    pub fn back(self) -> Result<()> {
        self.session.batch(&format!("ROLLBACK TO SAVEPOINT {0}; RELEASE SAVEPOINT {0}", self.name))
    }

    /// Keeps what came after it.
    pub fn keep(self) -> Result<()> {
        self.session.batch(&format!("RELEASE SAVEPOINT {}", self.name))
    }
}

impl Deref for Transaction<'_> {
    type Target = Session;

    fn deref(&self) -> &Session {
        self.session
    }
}

impl Drop for Transaction<'_> {
    fn drop(&mut self) {
        if self.is_open && !self.session.is_given_up() && self.session.batch("ROLLBACK").is_err() {
            self.session.give_up();
        }
        self.session.is_in_transaction.store(false, Ordering::Relaxed);
    }
}

/// Stops what runs on one connection, from another thread.
#[derive(Clone)]
pub struct CancelHandle {
    token: CancelToken,
    tls: MakeRustlsConnect,
    pool: Arc<Shared>,
}

impl CancelHandle {
    /// Asks the server to stop the statement that the session runs now, if it runs one; that statement
    /// then fails with SQLSTATE 57014. An error means that the request could not be sent.
    pub fn cancel(&self) -> Result<()> {
        let refused = || Error::new(Kind::Target, "the server could not be asked to stop a statement");
        let patience = self.pool.target.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
        let asked = async { tokio::time::timeout(patience, self.token.cancel_query(self.tls.clone())).await };
        self.pool.block_on(asked).map_err(|_| refused())?.map_err(|e| refused().cause(e))
    }
}
