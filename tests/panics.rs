//! A panic of ours, in whatever thread and at whatever moment: nothing hangs, nothing is left running, and the same
//! command ends with every row once. What a person is told is tested beside the hook, in src/cli/fault.rs.
//!
//! The panic is raised by whoever listens to the run: it is called by the run's own threads, lanes included.

mod support;

use lite2pg::model::event::{Event, Observer, Progress};
use lite2pg::postgres::{Embedded, EmbeddedOptions, Target};
use lite2pg::run::{self, BenchOptions, Options};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::channel;
use std::time::Duration;
use support::program::{source, until, value};
use support::{database, eventually, session, told};

const SOURCE: &str = "
    CREATE TABLE a (id INTEGER PRIMARY KEY, x TEXT); CREATE INDEX ax ON a (x);
    CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER REFERENCES a); CREATE TABLE c (id INTEGER PRIMARY KEY, n REAL);
    CREATE VIEW v AS SELECT x FROM a;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500) INSERT INTO a SELECT i, 'x' || i FROM n;
    INSERT INTO b SELECT id, id FROM a; INSERT INTO c SELECT id, id / 2.0 FROM a;";

/// Panics at one call; counts them all.
struct Fragile {
    calls: AtomicUsize,
    at: usize,
}

impl Fragile {
    fn new(at: usize) -> Self {
        Self { calls: AtomicUsize::new(0), at }
    }

    fn call(&self, what: &str) {
        let call = self.calls.fetch_add(1, Ordering::SeqCst);
        assert!(call != self.at, "planted at call {call}: {what}");
    }
}

impl Observer for Fragile {
    fn event(&self, event: &Event) {
        self.call(&format!("{event:?}"));
    }

    fn watch(&self, _: Arc<Progress>) {
        self.call("watch");
    }
}

/// Whether the work panicked; fails the test where it takes longer than a minute.
#[track_caller]
fn panics(work: impl FnOnce() + Send + 'static) -> bool {
    let (end, ended) = channel();
    std::thread::spawn(move || {
        let result = catch_unwind(AssertUnwindSafe(work));
        let _ = end.send(result.is_err());
    });
    ended.recv_timeout(Duration::from_secs(60)).expect("a panic makes nothing hang")
}

fn migrates(path: &Path, target: &Target, observer: Arc<Fragile>) -> bool {
    let (options, target) = (Options { jobs: 3, ..Options::new(path) }, target.clone());
    panics(move || {
        let result = run::migrate(&options, &target, &*observer, &AtomicBool::new(false));
        result.unwrap_or_else(|e| panic!("{}", told(&e)));
    })
}

#[test]
fn a_panic_at_any_moment_of_a_migration_leaves_a_run_that_goes_on() {
    let (_dir, path) = source(SOURCE);
    let calm = Arc::new(Fragile::new(usize::MAX));
    assert!(!migrates(&path, &database(), Arc::clone(&calm)));
    let calls = calm.calls.load(Ordering::SeqCst);
    assert!(calls > 20, "{calls} calls");
    // Each moment takes two migrations: all of them on request, every fifth otherwise.
    let step = if std::env::var_os("LITE2PG_LONG").is_some() { 1 } else { 5 };
    for at in (0..calls).step_by(step) {
        let target = database();
        // How many there are differs a little by how lanes share the work.
        if !migrates(&path, &target, Arc::new(Fragile::new(at))) {
            continue;
        }
        let seen = session(&target);
        let gone = format!(
            "NOT EXISTS (SELECT FROM pg_stat_activity WHERE datname = '{}' AND pid <> pg_backend_pid())",
            target.dbname()
        );
        until(&seen, &gone);
        assert!(!migrates(&path, &target, Arc::new(Fragile::new(usize::MAX))), "after a panic at call {at}");
        assert_eq!(
            value(
                &seen,
                "SELECT (SELECT count(*) FROM a) || ' ' || (SELECT count(*) FROM b) || ' ' || (SELECT sum(n) FROM c)"
            ),
            "500 500 62625"
        );
    }
}

#[test]
fn a_reader_of_messages_that_goes_away_is_no_panic() {
    let (_dir, path) = source(SOURCE);
    for format in ["text", "json"] {
        let target = database();
        let program = env!("CARGO_BIN_EXE_lite2pg");
        let (path, url) = (path.display(), support::program::url(&target));
        let script = format!(
            "{{ {program} migrate {path} '{url}' --log-format {format} 2>&1 >/dev/null; echo exit $? >&3; }} 3>&2 | true"
        );
        let output =
            std::process::Command::new("sh").args(["-c", &script]).env_remove("DATABASE_URL").output().unwrap();
        assert_eq!(String::from_utf8_lossy(&output.stderr), "exit 0\n");
        assert_eq!(value(&session(&target), "SELECT count(*) FROM a"), "500");
    }
}

#[test]
fn a_panic_at_any_moment_of_a_comparison_ends_it() {
    let (_dir, path) = source(SOURCE);
    let target = database();
    assert!(!migrates(&path, &target, Arc::new(Fragile::new(usize::MAX))));
    session(&target).batch("UPDATE a SET x = 'other' WHERE id = 7").unwrap();
    let lists = tempfile::tempdir().unwrap();
    let verify = |at: usize| {
        let observer = Arc::new(Fragile::new(at));
        let (mut options, target, seen) =
            (Options { jobs: 3, ..Options::new(&path) }, target.clone(), Arc::clone(&observer));
        options.wish.folder = lists.path().to_owned();
        let panicked =
            panics(move || drop(run::verify(&options, &target, false, &*seen, &AtomicBool::new(false)).unwrap()));
        (panicked, observer.calls.load(Ordering::SeqCst))
    };
    let (_, calls) = verify(usize::MAX);
    for at in 0..calls {
        verify(at);
    }
    assert!(verify(1).0 && !verify(usize::MAX).0);
}

#[test]
fn a_panic_in_a_bench_takes_its_schema_and_its_server_along() {
    let (_dir, path) = source(SOURCE);
    let options = || BenchOptions {
        source: path.clone(),
        include: Vec::new(),
        exclude: Vec::new(),
        lanes: 2,
        rounds: 1,
        full: true,
        embedded: false,
        queries: Vec::new(),
        pipeline: None,
    };
    let target = database();
    for at in [0, 2, 4] {
        let (options, to) = (options(), target.clone());
        panics(move || drop(run::bench(&options, &to, &Fragile::new(at), &AtomicBool::new(false))));
        assert_eq!(value(&session(&target), "SELECT count(*) FROM pg_namespace WHERE nspname = 'lite2pg_bench'"), "0");
    }
    let (place, told) = channel();
    let options = options();
    let panicked = panics(move || {
        let server = Embedded::start(&EmbeddedOptions::default()).unwrap();
        place.send(server.dir().to_owned()).unwrap();
        drop(run::bench(&options, &server.target(), &Fragile::new(1), &AtomicBool::new(false)));
    });
    let dir = told.recv().unwrap();
    assert!(panicked);
    eventually("the server's directory is gone", || !dir.exists());
}
