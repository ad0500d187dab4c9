//! A server that says nothing: it may be at work for an hour, or it will never answer again.
//!
//! Owns the look, by a second connection, at what the server does for the first one, and the patience with what is
//! seen. TCP's own timers find a machine that is gone. They do not find a server, a proxy or a tunnel that hangs while
//! its machine goes on acknowledging, and a unix socket has none. A limit on the time of a statement would not do: an
//! index may take an hour, and nothing is sent meanwhile.

use super::connect::{Connector, Shared};
use super::refusal::AGAIN;
use crate::error::{Error, Kind};
use crate::model::bounds::{CONNECT_TIMEOUT, SILENCE, SILENT_LOOKS_MAX, SILENT_LOOKS_SENDING_MAX};
use crate::model::name::literal;
use std::time::{Duration, Instant};
use tokio_postgres::SimpleQueryMessage;

/// The server's process behind a session, told from all others that it ever had or will have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Backend {
    pid: i32,
    started: String,
    /// When the server itself was started: behind one address there may be several.
    server_started: String,
}

impl Backend {
    /// The query that a new session asks about itself.
    pub const WHO: &str = "SELECT pid, extract(epoch FROM backend_start), extract(epoch FROM pg_postmaster_start_time()) \
         FROM pg_stat_activity WHERE pid = pg_backend_pid()";

    /// The answer to it.
    pub fn of(row: &tokio_postgres::SimpleQueryRow) -> Option<Self> {
        let text = |i| row.try_get(i).ok().flatten().map(str::to_owned);
        Some(Self { pid: text(0)?.parse().ok()?, started: text(1)?, server_started: text(2)? })
    }

    // It would hold its locks for as long as the server does not notice, and other sessions of the run may need them.
    fn farewell(&self) -> String {
        format!(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid = {} \
             AND extract(epoch FROM backend_start)::text = {} \
             AND extract(epoch FROM pg_postmaster_start_time())::text = {}",
            self.pid,
            literal(&self.started),
            literal(&self.server_started)
        )
    }

    fn question(&self) -> String {
        format!(
            "SELECT extract(epoch FROM pg_postmaster_start_time()), a.pid, a.state, a.wait_event_type, a.wait_event \
             FROM (SELECT {} AS pid, {} AS started) b \
             LEFT JOIN pg_stat_activity a ON a.pid = b.pid AND extract(epoch FROM a.backend_start)::text = b.started",
            self.pid,
            literal(&self.started)
        )
    }
}

/// What a look sees.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sight {
    /// At work for us, or there is no telling.
    AtWork,
    /// Nobody is answered.
    Mute,
    /// The session is over on the server.
    Gone,
    /// It waits for what we have sent long ago.
    Listens,
    /// It has an answer that does not get through to us.
    Sends,
}

impl Sight {
    // How many such sights in a row it takes: each may be of a moment.
    const fn patience(self) -> u32 {
        match self {
            Self::AtWork => u32::MAX,
            Self::Mute | Self::Gone | Self::Listens => SILENT_LOOKS_MAX,
            Self::Sends => SILENT_LOOKS_SENDING_MAX,
        }
    }

    const fn words(self) -> &'static str {
        match self {
            Self::AtWork => "it is at work",
            Self::Mute => "a second connection was not answered either",
            Self::Gone => "a second connection shows that the first one is over on the server",
            Self::Listens => "a second connection shows that the server waits for us: what is sent does not arrive",
            Self::Sends => "a second connection shows that the server has answered: its answer does not arrive",
        }
    }
}

/// How long an answer may take before somebody looks: `tcp_user_timeout`, where the target states one.
pub(super) fn silence_of(shared: &Shared) -> Duration {
    shared.target.keepalive.user_timeout.unwrap_or(SILENCE)
}

/// Ends once it is certain that no answer comes any more, with the error that says so; never, while the server is at
/// work. Dropped when the answer comes.
pub(super) async fn lost(shared: &Shared, backend: Option<&Backend>) -> Error {
    // Nobody knows whom to look at: the connection's own timers have to do.
    let Some(backend) = backend else { return std::future::pending().await };
    let (silence, began) = (silence_of(shared), Instant::now());
    let (mut last, mut times) = (Sight::AtWork, 0);
    loop {
        tokio::time::sleep(silence).await;
        // On the heap: it is rare, and each wait of each statement would carry it.
        let sight = Box::pin(look(&shared.connector, backend)).await;
        times = if sight == last { times + 1 } else { 1 };
        last = sight;
        if times >= sight.patience() {
            if matches!(sight, Sight::Listens | Sight::Sends) {
                Box::pin(end(&shared.connector, backend)).await;
            }
            return Error::new(Kind::Target, "the server stopped answering")
                .fact(format!("nothing came for {} s, and {}", began.elapsed().as_secs(), sight.words()))
                .hint(AGAIN);
        }
    }
}

// What can be done about a session that waits for nobody; whether it helps, the server decides.
async fn end(connector: &Connector, backend: &Backend) {
    let patience = connector.target.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    for number in 0..connector.target.endpoints.len() {
        let ended = async {
            let (client, driver) = connector.server(number).await?;
            let told = client.simple_query(&backend.farewell()).await;
            driver.abort();
            told
        };
        drop(tokio::time::timeout(patience, ended).await);
    }
}

// A target may name several servers; ours is known by when it was started.
async fn look(connector: &Connector, backend: &Backend) -> Sight {
    let patience = connector.target.connect_timeout.unwrap_or(CONNECT_TIMEOUT);
    let mut sight = Sight::Mute;
    for number in 0..connector.target.endpoints.len() {
        match tokio::time::timeout(patience, look_at(connector, number, backend)).await {
            Ok(Some(seen)) => return seen,
            // It answers, and is another or tells nothing.
            Ok(None) => sight = Sight::AtWork,
            Err(_) => {}
        }
    }
    sight
}

async fn look_at(connector: &Connector, number: usize, backend: &Backend) -> Option<Sight> {
    let answer = |e: &tokio_postgres::Error| e.as_db_error().map_or(Some(Sight::Mute), |_| None);
    let (client, driver) = match connector.server(number).await {
        Ok(connected) => connected,
        Err(e) => return answer(&e),
    };
    let told = client.simple_query(&backend.question()).await;
    driver.abort();
    let messages = match told {
        Ok(messages) => messages,
        Err(e) => return answer(&e),
    };
    let row = messages.iter().find_map(|m| if let SimpleQueryMessage::Row(row) = m { Some(row) } else { None })?;
    if row.get(0) != Some(backend.server_started.as_str()) {
        return None;
    }
    Some(match (row.get(1), row.get(2), row.get(3), row.get(4)) {
        (None, ..) => Sight::Gone,
        (_, Some("active"), Some("Client"), Some("ClientWrite")) => Sight::Sends,
        (_, Some("active"), Some("Client"), Some("ClientRead")) => Sight::Listens,
        (_, Some(state), ..) if state.starts_with("idle") => Sight::Listens,
        _ => Sight::AtWork,
    })
}
