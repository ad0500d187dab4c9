//! A server's stand-in: passes the protocol's messages on, counts them, and does to a connection what a test says.
//!
//! Reads as much of PostgreSQL's protocol as it takes to tell messages apart and to know which of them make something
//! last (<https://www.postgresql.org/docs/current/protocol-message-formats.html>). Speaks no TLS.

use lite2pg::postgres::Target;
use std::collections::HashMap;
use std::io::{BufReader, Read, Write};
use std::net::{Shutdown, TcpListener, TcpStream};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::Duration;
use tempfile::TempDir;

/// Who sent a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum From {
    Program,
    Server,
}

/// A message on its way.
#[derive(Debug)]
pub struct Message<'a> {
    pub from: From,
    /// The protocol's letter.
    pub kind: u8,
    /// The statement that it carries or belongs to.
    pub sql: &'a str,
    /// The number of the durable step, from 1, that it asks the server for, or that the server says is done.
    pub step: Option<u64>,
    /// The number of its connection, from 0.
    pub connection: u64,
}

impl Message<'_> {
    /// Asks for the durable step of this number.
    pub fn asks_for(&self, step: u64) -> bool {
        self.from == From::Program && self.step == Some(step)
    }

    /// Says that the durable step of this number is done.
    pub fn confirms(&self, step: u64) -> bool {
        self.from == From::Server && self.step == Some(step)
    }
}

/// What becomes of a message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Act {
    Pass,
    /// It waits for [`Proxy::go_on`], and with it all that comes after it on this side of the connection.
    Hold,
    /// It is lost, and both ends of its connection are reset.
    Cut,
    /// It is lost, and nothing more passes on this connection, in either direction.
    Mute,
    /// The same on all connections, and new ones are accepted and never answered.
    MuteAll,
}

type Rule = Box<dyn Fn(&Message<'_>) -> Act + Send + Sync>;

/// A place to connect to, by a unix socket and by TCP. Dropped, it cuts all its connections.
pub struct Proxy {
    shared: Arc<Shared>,
    dir: TempDir,
    port: u16,
}

struct Shared {
    server: Mutex<PathBuf>,
    rule: Rule,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
#[expect(clippy::struct_excessive_bools, reason = "what was told to a proxy, each independent of the others")]
struct State {
    steps: u64,
    connections: u64,
    /// A message met a rule that does not let it pass.
    is_reached: bool,
    may_go_on: bool,
    is_mute: bool,
    hides_ends: bool,
    is_over: bool,
    ends: Vec<Weak<End>>,
    /// Those that nobody serves.
    unanswered: Vec<End>,
}

/// One end of a connection. The last handle that goes closes it.
enum End {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Proxy {
    /// Stands before the server of `target`, and asks `rule` about each message.
    pub fn before(target: &Target, rule: impl Fn(&Message<'_>) -> Act + Send + Sync + 'static) -> Self {
        let server = Mutex::new(socket_of(target));
        let shared =
            Arc::new(Shared { server, rule: Box::new(rule), state: Mutex::default(), changed: Condvar::new() });
        let dir = TempDir::new().expect("a directory for a socket");
        let socket = UnixListener::bind(dir.path().join(".s.PGSQL.5432")).expect("a socket");
        let tcp = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = tcp.local_addr().expect("its number").port();
        let serving = shared.clone();
        thread::spawn(move || socket.incoming().flatten().all(|end| serving.serve(End::Unix(end))));
        let serving = shared.clone();
        thread::spawn(move || {
            tcp.incoming().flatten().all(|end| {
                // A small message would wait for the acknowledgement of the one before.
                end.set_nodelay(true).expect("a setting of the socket");
                serving.serve(End::Tcp(end))
            })
        });
        Self { shared, dir, port }
    }

    /// How to come here by TCP.
    pub fn by_tcp(&self, target: &Target) -> String {
        let (user, dbname) = (target.user(), target.dbname());
        format!("host=127.0.0.1 port={} user={user} dbname={dbname} sslmode=disable", self.port)
    }

    /// The directory of its socket, whose port is the usual one.
    pub fn socket_dir(&self) -> String {
        self.dir.path().display().to_string()
    }

    /// Waits a moment for a message that was not let pass.
    pub fn is_reached(&self) -> bool {
        let state = self.shared.lock();
        let waited = self.shared.changed.wait_timeout_while(state, Duration::from_millis(5), |s| !s.is_reached);
        waited.unwrap_or_else(PoisonError::into_inner).0.is_reached
    }

    /// Lets the message go that was held.
    pub fn go_on(&self) {
        self.shared.lock().may_go_on = true;
        self.shared.changed.notify_all();
    }

    /// New connections go to this server from now on.
    pub fn send_to(&self, target: &Target) {
        *self.shared.server.lock().unwrap_or_else(PoisonError::into_inner) = socket_of(target);
    }

    /// Connections that the program ends stay open on the server's side.
    pub fn hide_ends(&self) {
        self.shared.lock().hides_ends = true;
    }

    /// Connections that were made.
    pub fn connections(&self) -> u64 {
        self.shared.lock().connections
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let mut state = self.shared.lock();
        state.is_over = true;
        state.ends.drain(..).filter_map(|end| end.upgrade()).for_each(|end| end.shut(Shutdown::Both));
        state.unanswered.clear();
        drop(state);
        self.shared.changed.notify_all();
        // The listeners notice by a last connection.
        drop(UnixStream::connect(self.dir.path().join(".s.PGSQL.5432")));
        drop(TcpStream::connect(("127.0.0.1", self.port)));
    }
}

/// What the two directions of a connection know of each other.
#[derive(Default)]
struct Line {
    number: u64,
    /// The transaction's state, as the server told it last: `I`, `T` or `E`.
    status: AtomicU8,
    sql: Mutex<String>,
    step: AtomicU64,
    is_cut: AtomicBool,
    is_mute: AtomicBool,
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// False when it is over.
    fn serve(self: &Arc<Self>, program: End) -> bool {
        let mut state = self.lock();
        if state.is_over {
            return false;
        }
        let line = Arc::new(Line { number: state.connections, ..Line::default() });
        state.connections += 1;
        if state.is_mute {
            state.unanswered.push(program);
            return true;
        }
        // Dropped where there is no server: the program sees its connection end.
        let place = self.server.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let Ok(server) = UnixStream::connect(place) else { return true };
        let (program, server) = (Arc::new(program), Arc::new(End::Unix(server)));
        state.ends.extend([&program, &server].map(Arc::downgrade));
        drop(state);
        for from in [From::Program, From::Server] {
            let (shared, line) = (self.clone(), line.clone());
            let (program, server) = (program.clone(), server.clone());
            thread::spawn(move || {
                let (source, mut sink) = match from {
                    From::Program => (&*program, &*server),
                    From::Server => (&*server, &*program),
                };
                shared.pass(&line, from, &mut BufReader::with_capacity(64 * 1024, source), &mut sink);
                drop(shared.changed.wait_while(shared.lock(), |s| s.hides_ends && !s.is_over));
                if !line.is_cut.load(Ordering::SeqCst) {
                    program.shut(Shutdown::Both);
                    server.shut(Shutdown::Both);
                    return;
                }
                // Wakes the other direction without a word to the program: the last handle that goes sends a reset.
                program.reset_when_closed();
                program.shut(Shutdown::Read);
                server.shut(Shutdown::Both);
            });
        }
        true
    }

    // Passes messages on until one end is gone or the rule says so.
    fn pass(&self, line: &Line, from: From, reader: &mut impl Read, sink: &mut impl Write) {
        let mut statements: HashMap<String, String> = HashMap::new();
        let mut is_first = from == From::Program;
        while let Some((kind, bytes)) = message(reader, is_first) {
            is_first = false;
            let body = &bytes[5.min(bytes.len())..];
            if from == From::Program {
                note(line, kind, body, &mut statements);
            }
            let act = {
                let mut state = self.lock();
                let step = match (from, kind) {
                    (From::Program, b'Q' | b'E') => step_of(line, &mut state),
                    (From::Server, b'Z') => Some(line.step.swap(0, Ordering::SeqCst)).filter(|step| *step > 0),
                    _ => None,
                };
                let sql = line.sql.lock().unwrap_or_else(PoisonError::into_inner);
                let message = Message { from, kind, sql: &sql, step, connection: line.number };
                let act = if state.is_mute { Act::Mute } else { (self.rule)(&message) };
                drop(sql);
                state.is_reached |= act != Act::Pass;
                state.is_mute |= act == Act::MuteAll;
                act
            };
            self.changed.notify_all();
            if from == From::Server && kind == b'Z' {
                line.status.store(body.first().copied().unwrap_or(b'I'), Ordering::SeqCst);
            }
            match act {
                Act::Pass => {}
                Act::Hold => {
                    let state = self.lock();
                    let held = self.changed.wait_while(state, |s| !s.may_go_on && !s.is_over);
                    if held.unwrap_or_else(PoisonError::into_inner).is_over {
                        return;
                    }
                }
                Act::Cut => {
                    line.is_cut.store(true, Ordering::SeqCst);
                    return;
                }
                Act::Mute | Act::MuteAll => line.is_mute.store(true, Ordering::SeqCst),
            }
            if line.is_mute.load(Ordering::SeqCst) || self.lock().is_mute {
                let waited = self.changed.wait_while(self.lock(), |s| !s.is_over);
                drop(waited);
                return;
            }
            if line.is_cut.load(Ordering::SeqCst) || sink.write_all(&bytes).is_err() {
                return;
            }
        }
    }
}

// A statement that makes something last, and is not inside a transaction or ends one.
fn step_of(line: &Line, state: &mut State) -> Option<u64> {
    let sql = line.sql.lock().unwrap_or_else(PoisonError::into_inner);
    let is_alone = line.status.load(Ordering::SeqCst) == b'I';
    let reads = ["SELECT", "SHOW", "SET", "BEGIN", "START", "ROLLBACK", "RESET", "LOCK", "FETCH", "SAVEPOINT"];
    let first = sql.trim_start().split(|c: char| !c.is_ascii_alphabetic()).next().unwrap_or_default();
    let lasts = !reads.contains(&first) || sql.contains("setval");
    if !(is_alone && lasts || sql.contains("COMMIT")) {
        return None;
    }
    state.steps += 1;
    line.step.store(state.steps, Ordering::SeqCst);
    Some(state.steps)
}

fn socket_of(target: &Target) -> PathBuf {
    Path::new(&target.host()).join(format!(".s.PGSQL.{}", target.port()))
}

// The next message with its head. The first of a program has no letter.
fn message(reader: &mut impl Read, is_first: bool) -> Option<(u8, Vec<u8>)> {
    let head = if is_first { 4 } else { 5 };
    let mut bytes = vec![0; head];
    reader.read_exact(&mut bytes).ok()?;
    let length = u32::from_be_bytes(bytes[head - 4..].try_into().expect("four bytes")) as usize;
    bytes.resize(head - 4 + length.max(4), 0);
    reader.read_exact(&mut bytes[head..]).ok()?;
    Some((if is_first { 0 } else { bytes[0] }, bytes))
}

// Remembers which statement the program's messages are about.
fn note(line: &Line, kind: u8, body: &[u8], statements: &mut HashMap<String, String>) {
    let mut texts = body.split(|b| *b == 0).map(|text| String::from_utf8_lossy(text).into_owned());
    let mut next = || texts.next().unwrap_or_default();
    let sql = match kind {
        b'Q' => next(),
        b'P' => {
            let (name, sql) = (next(), next());
            statements.insert(name, sql);
            return;
        }
        b'B' => {
            next();
            statements.get(&next()).cloned().unwrap_or_default()
        }
        _ => return,
    };
    *line.sql.lock().unwrap_or_else(PoisonError::into_inner) = sql;
}

impl End {
    fn shut(&self, how: Shutdown) {
        drop(match self {
            Self::Tcp(stream) => stream.shutdown(how),
            Self::Unix(stream) => stream.shutdown(how),
        });
    }

    fn reset_when_closed(&self) {
        let Self::Tcp(stream) = self else { return };
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build().expect("a runtime");
        let _entered = runtime.enter();
        let stream = stream.try_clone().and_then(|stream| {
            stream.set_nonblocking(true)?;
            tokio::net::TcpStream::from_std(stream)
        });
        stream.and_then(|stream| stream.set_zero_linger()).expect("a setting of the socket");
    }
}

impl Read for &End {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        match self {
            End::Tcp(stream) => (&*stream).read(into),
            End::Unix(stream) => (&*stream).read(into),
        }
    }
}

impl Write for &End {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        match self {
            End::Tcp(stream) => (&*stream).write(bytes),
            End::Unix(stream) => (&*stream).write(bytes),
        }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}
