//! One embedded server per test binary. Statics are never dropped; the server ends with the process that
//! holds its leash.

use lite2pg::postgres::{Embedded, EmbeddedOptions, Pool, PoolSettings, Session, Target};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

static SERVER: OnceLock<Embedded> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// The server that all tests of this binary share.
pub fn shared() -> &'static Embedded {
    SERVER.get_or_init(|| {
        let settings = vec![("max_connections".to_owned(), "200".to_owned())];
        Embedded::start(&EmbeddedOptions { settings, ..EmbeddedOptions::default() }).expect("a server for the tests")
    })
}

/// A fresh, empty database of the shared server.
pub fn database() -> Target {
    let name = format!("test_{}", DATABASES.fetch_add(1, Ordering::Relaxed));
    let admin = session(&shared().target());
    admin.batch(&format!("CREATE DATABASE {name}")).expect("a database for the test");
    shared().target().with_dbname(name)
}

/// A session in `target`.
pub fn session(target: &Target) -> Session {
    let pool = Pool::connect(target, 1, &PoolSettings::default()).expect("a connection for the test");
    pool.session().expect("a session for the test")
}
