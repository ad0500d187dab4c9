//! The pool: connections to one target, all in the same known state, and the runtime that drives them.
//!
//! Owns the order in which servers and TLS are tried, the settings that every session begins with, and the
//! two threads that talk to sockets. Does not know what the sessions are for.

use super::refusal::{refused, unreachable};
use super::session::Session;
use super::silence::Backend;
use super::target::{Endpoint, Keepalive, SslMode, Target};
use super::tls;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::{CONNECT_TIMEOUT, KEEPALIVE_COUNT, KEEPALIVE_IDLE, KEEPALIVE_INTERVAL};
use crate::model::name::literal;
use deadpool_postgres::{
    ClientWrapper, Connect, Hook, HookError, Manager, ManagerConfig, PoolError, RecyclingMethod,
    Runtime as PoolRuntime, StatementCache,
};
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::{Duration, SystemTime, UNIX_EPOCH};
use tokio::runtime::Runtime;
use tokio::task::JoinHandle;
use tokio_postgres::config::{LoadBalanceHosts, SslMode as DriverSslMode};
use tokio_postgres::{Client, Config, SimpleQueryMessage};
use tokio_postgres_rustls::MakeRustlsConnect;

/// The oldest server that is supported: 12 is the first whose `extra_float_digits` prints floats that read
/// back the same by default, and has generated columns and `REINDEX CONCURRENTLY`.
const VERSION_NUM_MIN: i32 = 120_000;

/// Threads that move bytes between sockets and lanes.
const RUNTIME_THREADS: usize = 2;

/// What the sessions of a pool have in common.
#[derive(Debug, Clone)]
pub struct PoolSettings {
    /// The `application_name`, unless the target states one.
    pub application_name: String,
    /// How long a statement waits for a lock. None waits for ever, which is right for a load: sessions of
    /// one run wait for each other while indexes are built.
    pub lock_timeout: Option<Duration>,
    /// How long a statement may take. None lets it take as long as it needs: a COPY may take hours.
    pub statement_timeout: Option<Duration>,
}

impl Default for PoolSettings {
    fn default() -> Self {
        Self { application_name: "lite2pg".to_owned(), lock_timeout: None, statement_timeout: None }
    }
}

/// A bounded set of connections to one target. Clones share it. Each session begins in the same state,
/// whatever the one before it did: outside a transaction, without advisory locks, with these settings:
/// UTC, ISO dates and intervals, floats that read back the same, no timeouts but the lock's, and
/// `search_path` as the server has it.
#[derive(Clone)]
pub struct Pool(pub(super) Arc<Shared>);

/// What a pool and its sessions share.
pub(super) struct Shared {
    pool: deadpool_postgres::Pool,
    failure: Failure,
    pub target: Target,
    /// Makes connections beside the pool's, to look at those.
    pub connector: Connector,
    backends: Backends,
    pub tls: MakeRustlsConnect,
    settings: PoolSettings,
    /// None once the last of them is gone.
    runtime: Option<Runtime>,
    /// The runtime has no thread of its own: who waits drives it.
    is_lone: bool,
}

/// Why the last connection could not be made. The pool's own errors have no room for it.
type Failure = Arc<Mutex<Option<Error>>>;

/// The server's process behind each connection. The pool has no room for it; a connection's cache of statements is
/// what nobody else has.
type Backends = Arc<Mutex<Vec<(Weak<StatementCache>, Backend)>>>;

impl Pool {
    /// Connects to `target` and keeps up to `size` connections; the first is made at once, so that a wrong
    /// password or an old server is known here.
    pub fn connect(target: &Target, size: usize, settings: &PoolSettings) -> Result<Self> {
        let mut threads = tokio::runtime::Builder::new_multi_thread();
        threads.worker_threads(RUNTIME_THREADS).thread_name("lite2pg-net");
        Self::on(threads, false, target, size, settings)
    }

    /// A connection beside the pool, whose socket is read by the thread that waits for it. The server sends a COPY in
    /// pieces of 8 kB; handed on by a thread of the pool's, each would wake two threads instead of one.
    pub fn lone_session(&self) -> Result<Session> {
        let runtime = tokio::runtime::Builder::new_current_thread();
        Self::on(runtime, true, &self.0.target, 1, &self.0.settings)?.session()
    }

    /// Closes the connections that nobody uses.
    pub fn close_idle(&self) {
        self.0.pool.retain(|_, _| false);
    }

    fn on(
        mut runtime: tokio::runtime::Builder,
        is_lone: bool,
        target: &Target,
        size: usize,
        settings: &PoolSettings,
    ) -> Result<Self> {
        let runtime = runtime
            .enable_all()
            .build()
            .map_err(|e| Error::new(Kind::Failed, "no threads for the network can be started").cause(e))?;
        let tls = tls::connector(target)?;
        let failure = Failure::default();
        let connector = Connector {
            target: target.clone(),
            settings: settings.clone(),
            tls: tls.clone(),
            failure: failure.clone(),
        };
        let opening = opening_statements(settings, &target.keepalive);
        let manager = Manager::from_connect(
            Config::new(),
            connector.clone(),
            ManagerConfig { recycling_method: RecyclingMethod::Custom(format!("ROLLBACK; RESET ALL; {opening}")) },
        );
        let backends = Backends::default();
        let (hook_failure, hook_target, hook_backends) = (failure.clone(), target.clone(), backends.clone());
        let pool = deadpool_postgres::Pool::builder(manager)
            .max_size(size)
            .runtime(PoolRuntime::Tokio1)
            .create_timeout(target.connect_timeout.map(|t| t * attempts_max(target)))
            // A connection that does not answer any more is replaced.
            .recycle_timeout(Some(target.connect_timeout.unwrap_or(CONNECT_TIMEOUT)))
            .post_create(Hook::async_fn(move |client: &mut ClientWrapper, _| {
                let (sql, failure, target) = (opening.clone(), hook_failure.clone(), hook_target.clone());
                let backends = hook_backends.clone();
                Box::pin(async move { open(client, &sql, &target, &failure, &backends).await })
            }))
            .build()
            .map_err(|e| Error::new(Kind::Bug, "the connection pool cannot be built").cause(e))?;
        let (target, settings) = (target.clone(), settings.clone());
        let pool = Self(Arc::new(Shared {
            pool,
            failure,
            target,
            connector,
            backends,
            tls,
            settings,
            runtime: Some(runtime),
            is_lone,
        }));
        drop(pool.session()?);
        Ok(pool)
    }

    /// A connection of the pool; waits while all are taken.
    pub fn session(&self) -> Result<Session> {
        let client = self.0.block_on(self.0.pool.get()).map_err(|e| self.0.not_connected(e))?;
        let backend = self.0.backend_of(&client);
        Ok(Session::new(client, backend, self.0.clone()))
    }

    /// The target that the pool is connected to.
    #[must_use]
    pub fn target(&self) -> &Target {
        &self.0.target
    }
}

impl std::fmt::Debug for Pool {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Pool({})", self.0.target)
    }
}

impl Shared {
    // Not by the runtime's handle: that would not drive one without threads.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.as_ref().expect("the runtime is only taken by drop").block_on(future)
    }

    /// Another connection of the same kind.
    pub fn another(self: &Arc<Self>) -> Result<Session> {
        let pool = Pool(self.clone());
        if self.is_lone { pool.lone_session() } else { pool.session() }
    }

    fn backend_of(&self, client: &ClientWrapper) -> Option<Backend> {
        let backends = self.backends.lock().unwrap_or_else(PoisonError::into_inner);
        let cache = Arc::downgrade(&client.statement_cache);
        backends.iter().find(|(known, _)| known.ptr_eq(&cache)).map(|(_, backend)| backend.clone())
    }

    fn not_connected(&self, error: PoolError) -> Error {
        let known = self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
        let (error, known) = match (error, known) {
            (PoolError::Timeout(_), known) => (no_answer(&self.target), known),
            (_, Some(known)) => (known, None),
            (PoolError::PostCreateHook(HookError::Backend(e)), None) => (refused(e, "session settings"), None),
            (other, None) => {
                (Error::new(Kind::Target, format!("no connection to {}", places(&self.target))).cause(other), None)
            }
        };
        known.into_iter().fold(error, |error, before| error.fact(format!("before: {before}")))
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pool.close();
        // Waiting for its tasks would wait for name look-ups as well, and nothing here depends on them.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The statements that every session begins with, as one message; the last gives the server's version.
fn opening_statements(settings: &PoolSettings, keepalive: &Keepalive) -> String {
    let statement_ms = settings.statement_timeout.map_or(0, |t| t.as_millis().max(1));
    let lock_ms = settings.lock_timeout.map_or(0, |t| t.as_millis().max(1));
    // Of the timeouts that end sessions, some are not known to every version. Lanes are idle in their
    // transactions while they read the source, and a COPY may take hours.
    let timeouts = ["statement_timeout", "idle_in_transaction_session_timeout", "idle_session_timeout"];
    let timeouts: Vec<_> = timeouts.iter().chain(&["transaction_timeout"]).map(|name| literal(name)).collect();
    format!(
        "SET client_min_messages = warning; SET standard_conforming_strings = on; SET TimeZone = 'UTC'; \
         SET DateStyle = 'ISO, YMD'; SET IntervalStyle = 'iso_8601'; SET extra_float_digits = 1; \
         SET bytea_output = 'hex'; SET lock_timeout = {lock_ms}; {} SELECT pg_advisory_unlock_all(); \
         SELECT set_config(name, '0', false) FROM pg_settings WHERE name IN ({}); \
         SET statement_timeout = {statement_ms}; \
         SELECT current_setting('server_version_num')",
        server_keepalive(keepalive),
        timeouts.join(", ")
    )
}

// The server asks in its turn whether our machine is still there: ours may vanish too, and its sessions would keep the
// run's locks for the two hours that systems wait. A unix socket takes the settings and has no use for them.
fn server_keepalive(settings: &Keepalive) -> String {
    if settings.off {
        return String::new();
    }
    let idle = settings.idle.unwrap_or(KEEPALIVE_IDLE).as_secs();
    let interval = settings.interval.unwrap_or(KEEPALIVE_INTERVAL).as_secs();
    let count = settings.count.unwrap_or(KEEPALIVE_COUNT);
    format!(
        "SET tcp_keepalives_idle = {idle}; SET tcp_keepalives_interval = {interval}; SET tcp_keepalives_count = {count};"
    )
}

/// Brings a new connection into the state that sessions begin with, and refuses old servers.
async fn open(
    client: &mut ClientWrapper,
    sql: &str,
    target: &Target,
    failure: &Failure,
    backends: &Backends,
) -> std::result::Result<(), HookError> {
    let sql = format!("{}; {sql}", Backend::WHO);
    let asked = client.simple_query(&sql);
    let asked = match target.connect_timeout {
        // A server may let us in and then fall silent; being let in is not yet being connected.
        Some(patience) => tokio::time::timeout(patience, asked).await.map_err(|_| {
            note(failure, no_answer(target));
            HookError::message("no answer")
        })?,
        None => asked.await,
    };
    let messages = asked.map_err(HookError::Backend)?;
    let rows: Vec<_> = messages
        .iter()
        .filter_map(|message| if let SimpleQueryMessage::Row(row) = message { Some(row) } else { None })
        .collect();
    if let Some(backend) = rows.first().and_then(|row| Backend::of(row)) {
        let mut known = backends.lock().unwrap_or_else(PoisonError::into_inner);
        known.retain(|(cache, _)| cache.strong_count() > 0);
        known.push((Arc::downgrade(&client.statement_cache), backend));
    }
    let version = rows.last().and_then(|row| row.get(0)?.parse::<i32>().ok());
    if version.is_some_and(|v| v >= VERSION_NUM_MIN) {
        return Ok(());
    }
    let (major, oldest) = (version.unwrap_or(0) / 10_000, VERSION_NUM_MIN / 10_000);
    let error = Error::new(Kind::Target, format!("the server is PostgreSQL {major}; lite2pg needs {oldest} or later"))
        .fact(target.redacted())
        .hint("name a newer server, or upgrade this one first");
    note(failure, error);
    Err(HookError::message("server too old"))
}

fn no_answer(target: &Target) -> Error {
    Error::new(Kind::Target, format!("no answer from {} in time", places(target)))
        .hint("connect_timeout=SECONDS in the connection string waits longer")
}

fn places(target: &Target) -> String {
    target.endpoints().map(|e| format!("`{e}`")).collect::<Vec<_>>().join(", ")
}

fn note(failure: &Failure, error: Error) {
    *failure.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
}

fn attempts_max(target: &Target) -> u32 {
    // Two ways (with TLS and without) for each server, and names with a few addresses.
    2 * target.endpoints.len().max(1) as u32
}

/// Makes connections: tries the target's servers in order.
#[derive(Clone)]
pub(super) struct Connector {
    pub target: Target,
    settings: PoolSettings,
    tls: MakeRustlsConnect,
    failure: Failure,
}

type Connected = std::result::Result<(Client, JoinHandle<()>), tokio_postgres::Error>;

impl Connect for Connector {
    fn connect(&self, _: &Config) -> Pin<Box<dyn Future<Output = Connected> + Send + '_>> {
        Box::pin(self.any_server())
    }
}

impl Connector {
    async fn any_server(&self) -> Connected {
        let count = self.target.endpoints.len();
        let first = match self.target.load_balance {
            // The clock's last digits spread clients well enough over a handful of servers.
            LoadBalanceHosts::Random => SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |t| t.subsec_nanos()),
            _ => 0,
        } as usize;
        let mut before: Vec<String> = Vec::new();
        for i in 0..count {
            let number = (first + i) % count;
            let endpoint = &self.target.endpoints[number].0;
            match self.server(number).await {
                Ok(connected) => {
                    self.failure.lock().unwrap_or_else(PoisonError::into_inner).take();
                    return Ok(connected);
                }
                Err(e) => {
                    let error = unreachable(e, &self.target, endpoint);
                    let shown = error.to_string();
                    note(&self.failure, before.iter().fold(error, |error, fact| error.fact(format!("before: {fact}"))));
                    before.push(shown);
                }
            }
        }
        Err(no_server())
    }

    /// The server of this number among the target's.
    pub async fn server(&self, number: usize) -> Connected {
        let (endpoint, password) = &self.target.endpoints[number];
        let config = self.config(endpoint, password.as_ref().map(super::target::Secret::reveal));
        self.one_server(endpoint, config).await
    }

    /// One server, by the ways that the `sslmode` allows.
    async fn one_server(&self, endpoint: &Endpoint, mut config: Config) -> Connected {
        let ways: &[DriverSslMode] = match (endpoint, self.target.tls.mode) {
            // A socket has no TLS, and libpq does not ask for it there.
            (Endpoint::Socket { .. }, _) | (_, SslMode::Disable) => &[DriverSslMode::Disable],
            (_, SslMode::Allow) => &[DriverSslMode::Disable, DriverSslMode::Require],
            (_, SslMode::Prefer) => &[DriverSslMode::Prefer, DriverSslMode::Disable],
            _ => &[DriverSslMode::Require],
        };
        let mut first_error = None;
        for way in ways {
            let result = config.ssl_mode(*way).connect(self.tls.clone()).await;
            match result {
                Ok((client, connection)) => {
                    // How a connection ends is told by the statement that notices it.
                    let driver = tokio::spawn(async move { drop(connection.await) });
                    return Ok((client, driver));
                }
                // Another way helps only if TLS, or its absence, was what the two disagreed on.
                Err(e) if first_error.is_none() && is_about_tls(&e) => first_error = Some(e),
                Err(e) => return Err(first_error.unwrap_or(e)),
            }
        }
        Err(first_error.unwrap_or_else(no_server))
    }

    fn config(&self, endpoint: &Endpoint, password: Option<&str>) -> Config {
        let target = &self.target;
        let mut config = Config::new();
        config.user(&target.user).dbname(&target.dbname).port(endpoint.port());
        match endpoint {
            Endpoint::Socket { dir, .. } => config.host_path(dir),
            Endpoint::Tcp { host, .. } => config.host(host),
        };
        if let Endpoint::Tcp { addr: Some(addr), .. } = endpoint {
            config.hostaddr(*addr);
        }
        if let Some(password) = password {
            config.password(password);
        }
        config.application_name(target.application_name.as_ref().unwrap_or(&self.settings.application_name));
        if let Some(options) = &target.options {
            config.options(options);
        }
        if let Some(timeout) = target.connect_timeout {
            config.connect_timeout(timeout);
        }
        config
            .target_session_attrs(target.session_attrs)
            .channel_binding(target.channel_binding)
            .load_balance_hosts(target.load_balance)
            .ssl_negotiation(target.tls.negotiation);
        keep_alive(&mut config, &target.keepalive);
        config
    }
}

fn keep_alive(config: &mut Config, settings: &Keepalive) {
    config.keepalives(!settings.off);
    config.keepalives_idle(settings.idle.unwrap_or(KEEPALIVE_IDLE));
    config.keepalives_interval(settings.interval.unwrap_or(KEEPALIVE_INTERVAL));
    config.keepalives_retries(settings.count.unwrap_or(KEEPALIVE_COUNT));
    // None by default: Linux counts with it also how long a server takes nothing, and one that waits for a lock in the
    // middle of a COPY takes nothing for as long as that lasts (tcp(7), TCP_USER_TIMEOUT; tcp_probe_timer).
    if let Some(timeout) = settings.user_timeout {
        config.tcp_user_timeout(timeout);
    }
}

fn is_about_tls(error: &tokio_postgres::Error) -> bool {
    error.to_string().starts_with("error performing TLS") || error.code().is_some_and(|c| c.code() == "28000")
}

/// An error of the driver's type that says nothing: the pool hands on only these, and ours stands beside it.
fn no_server() -> tokio_postgres::Error {
    "port=none".parse::<Config>().expect_err("`none` is no port")
}
