//! A run's life: killed, interrupted, resumed, refused, and beside writers of its source.
//!
//! Nothing here waits for luck: a second session holds a lock that the program needs, so that it stands still in
//! the state that the test is about.
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails with the place")]
#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::postgres::{Session, Target};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;
use support::program::{Ran, Running, bytes_of, migrate, program, source, until, url, value};
use support::{database, session};
use tempfile::TempDir;

/// Rows of the large table: three ranges.
const ROWS: i64 = 450_000;

const SCHEMA: &str = "
    CREATE TABLE owner (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    INSERT INTO owner VALUES (1, 'one'), (2, 'two'), (3, 'three');
    CREATE TABLE big (id INTEGER PRIMARY KEY, owner INTEGER NOT NULL REFERENCES owner, t TEXT NOT NULL);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450000)
        INSERT INTO big SELECT i, i % 3 + 1, 'row ' || i FROM n;
    CREATE INDEX big_owner ON big (owner);
    CREATE UNIQUE INDEX big_t ON big (t);
    CREATE TABLE small (id INTEGER PRIMARY KEY AUTOINCREMENT, v REAL);
    INSERT INTO small (v) VALUES (0.5), (1.5);";

/// A source with a table of several ranges. Made once; each test has a copy.
fn big_source() -> (TempDir, PathBuf) {
    static MADE: OnceLock<(TempDir, PathBuf)> = OnceLock::new();
    let (_, made) = MADE.get_or_init(|| source(SCHEMA));
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("app.db");
    std::fs::copy(made, &path).unwrap();
    (dir, path)
}

/// A target, a session that looks at it, and another that holds the program up.
struct Stage {
    target: Target,
    seen: Session,
    holder: Session,
    _dir: TempDir,
    path: PathBuf,
}

impl Stage {
    fn new() -> Self {
        let (dir, path) = big_source();
        let target = database();
        Self { seen: session(&target), holder: session(&target), target, _dir: dir, path }
    }

    fn command(&self, more: &[&str]) -> Command {
        let mut command = program();
        command.arg("migrate").arg(&self.path).arg(url(&self.target)).args(["--jobs", "1"]).args(more);
        command
    }

    fn run(&self, more: &[&str]) -> Ran {
        support::program::ended(self.command(more).output().unwrap())
    }

    fn start(&self) -> Running {
        Running::start(&mut self.command(&[]))
    }

    /// Starts, and returns when `ranges` ranges are committed and no other can be.
    fn held_after_ranges(&self, ranges: u32) -> Running {
        let running = self.start();
        until(&self.seen, "to_regclass('lite2pg.range') IS NOT NULL");
        until(&self.seen, &format!("SELECT count(*) >= {ranges} FROM lite2pg.range"));
        self.hold("LOCK TABLE lite2pg.range IN SHARE MODE");
        until(&self.seen, "EXISTS (SELECT FROM pg_locks WHERE relation = 'lite2pg.range'::regclass AND NOT granted)");
        running
    }

    /// Starts, and returns when all rows are there and an index of `big` waits to be built.
    fn held_before_indexes(&self) -> Running {
        let running = self.start();
        until(&self.seen, "to_regclass('big') IS NOT NULL");
        self.hold("LOCK TABLE big IN ROW EXCLUSIVE MODE");
        until(&self.seen, "EXISTS (SELECT FROM pg_locks WHERE relation = 'big'::regclass AND NOT granted)");
        running
    }

    fn hold(&self, lock: &str) {
        self.holder.batch(&format!("BEGIN; {lock}")).unwrap();
    }

    fn release(&self) {
        self.holder.batch("ROLLBACK").unwrap();
    }

    /// The ranges that are committed, with the time of it.
    fn ranges(&self) -> Vec<String> {
        let sql =
            "SELECT table_name || ' ' || coalesce(lo::text, '-') || ' ' || committed_at FROM lite2pg.range ORDER BY 1";
        self.seen.query(sql, &[]).unwrap().iter().map(|row| row.get(0)).collect()
    }

    #[track_caller]
    fn holds_every_row_once(&self) {
        let seen = &self.seen;
        let sums = "SELECT (count(*), count(DISTINCT id), sum(id), sum(owner), sum(length(t))) FROM big";
        let expected = Connection::open(&self.path)
            .unwrap()
            .query_row("SELECT count(*), sum(id), sum(owner), sum(length(t)) FROM big", [], |r| {
                Ok(format!(
                    "({0},{0},{1},{2},{3})",
                    r.get::<_, i64>(0)?,
                    r.get::<_, i64>(1)?,
                    r.get::<_, i64>(2)?,
                    r.get::<_, i64>(3)?
                ))
            })
            .unwrap();
        assert_eq!(value(seen, sums), expected);
        assert_eq!(value(seen, "SELECT (SELECT count(*) FROM owner) || ' ' || (SELECT sum(v) FROM small)"), "3 2");
        let built = "SELECT string_agg(indexrelid::regclass::text, ' ' ORDER BY 1) FROM \
                     (SELECT indexrelid FROM pg_index WHERE indrelid = 'big'::regclass AND indisvalid) i";
        assert!(
            value(seen, built).contains("big_owner") && value(seen, built).contains("big_t"),
            "{}",
            value(seen, built)
        );
        let keys = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'big'::regclass AND contype IN ('p', 'f') AND convalidated";
        assert_eq!(value(seen, keys), "2");
        assert_eq!(
            value(seen, "SELECT string_agg(state, ' ' ORDER BY id) FROM lite2pg.run WHERE state <> 'abandoned'"),
            "done"
        );
    }
}

#[test]
fn a_run_killed_in_mid_copy_goes_on_and_copies_no_finished_range_again() {
    let stage = Stage::new();
    stage.held_after_ranges(1).kill();
    stage.release();
    until(
        &stage.seen,
        "NOT EXISTS (SELECT FROM pg_stat_activity WHERE query LIKE 'COPY%' AND datname = current_database())",
    );
    let before = stage.ranges();
    assert!((1..=4).contains(&before.len()), "{before:?}");

    stage.run(&[]).exits(0).says(&["going on with run"]);
    stage.holds_every_row_once();
    let after = stage.ranges();
    assert!(after.len() > before.len() && before.iter().all(|range| after.contains(range)), "{before:?}\n{after:?}");
}

#[test]
fn a_run_killed_before_its_first_range_goes_on() {
    let stage = Stage::new();
    stage.held_after_ranges(0).kill();
    stage.release();
    assert_eq!(stage.ranges(), Vec::<String>::new());
    stage.run(&[]).exits(0).says(&["going on with run"]);
    stage.holds_every_row_once();
}

#[test]
fn a_run_killed_during_index_building_goes_on_although_the_server_still_builds() {
    let stage = Stage::new();
    stage.held_before_indexes().kill();
    let before = stage.ranges();
    // The killed start's statement still waits for our lock: the server does not notice that its client is gone.
    let again = stage.start();
    let waiting = "SELECT count(*) = 1 FROM pg_locks WHERE relation = 'big'::regclass AND NOT granted \
                   AND pid NOT IN (SELECT pid FROM pg_stat_activity WHERE backend_start < now() - interval '1 hour')";
    until(&stage.seen, "EXISTS (SELECT FROM lite2pg.run WHERE state = 'finishing')");
    until(&stage.seen, waiting);
    stage.release();
    let ran = again.end().exits(0);
    assert!(!ran.stderr.contains("not built"), "{}", ran.stderr);
    stage.holds_every_row_once();
    assert_eq!(stage.ranges(), before);
}

#[test]
fn sigint_and_sigterm_in_mid_copy_end_with_8_and_the_same_command_goes_on() {
    for signal in ["INT", "TERM"] {
        let stage = Stage::new();
        let mut running = stage.held_after_ranges(1);
        // Its lane waits for our lock, which stays.
        running.signal(signal);
        running.end().exits(8).says(&[
            "error: the run was interrupted",
            "finished ranges are",
            "hint: the same command goes on",
        ]);
        stage.release();
        let before = stage.ranges();
        stage.run(&[]).exits(0);
        stage.holds_every_row_once();
        assert!(before.iter().all(|range| stage.ranges().contains(range)));
    }
}

#[test]
fn sigint_during_index_building_cancels_the_statement_that_runs() {
    let stage = Stage::new();
    let mut running = stage.held_before_indexes();
    running.signal("INT");
    running.end().exits(8).says(&["hint: the same command goes on"]);
    let waiting = "EXISTS (SELECT FROM pg_locks WHERE relation = 'big'::regclass AND NOT granted)";
    assert_eq!(value(&stage.seen, waiting), "false");
    stage.release();
    stage.run(&[]).exits(0);
    stage.holds_every_row_once();
}

#[test]
fn a_second_start_on_the_same_schema_is_refused_and_disturbs_nothing() {
    let stage = Stage::new();
    let first = stage.held_after_ranges(1);
    stage.run(&[]).exits(3).says(&[
        "another lite2pg is at work on schema `public`",
        "this one has written nothing",
        "hint:",
    ]);
    stage.run(&["--restart"]).exits(3).says(&["another lite2pg is at work"]);
    stage.release();
    first.end().exits(0);
    stage.holds_every_row_once();
}

#[test]
fn a_second_start_of_a_finished_run_says_so_counts_and_changes_nothing() {
    let stage = Stage::new();
    stage.run(&[]).exits(0);
    let before =
        (support::program::listing(&stage.seen), stage.ranges(), value(&stage.seen, "SELECT r FROM lite2pg.run r"));
    let ran = stage.run(&[]).exits(0);
    assert!(ran.stdout.contains("had finished before"), "{}", ran.stdout);
    assert!(ran.stdout.contains("450 000"), "{}", ran.stdout);
    let after =
        (support::program::listing(&stage.seen), stage.ranges(), value(&stage.seen, "SELECT r FROM lite2pg.run r"));
    assert_eq!(before, after);

    // The application has begun to write there: that is not our business to mend.
    stage.seen.batch("INSERT INTO owner VALUES (4, 'four')").unwrap();
    let lists = tempfile::TempDir::new().unwrap();
    let ran = stage
        .run(&["--differences-dir", lists.path().to_str().unwrap()])
        .exits(5)
        .says(&["had finished before: the target was changed since", "the comparison changed nothing"]);
    assert!(ran.stdout.contains("`owner` differs: 1 extra"), "{}", ran.stdout);
}

#[test]
fn a_source_that_changed_between_start_and_resume_is_refused_with_the_ways_out() {
    let stage = Stage::new();
    stage.held_after_ranges(1).kill();
    stage.release();
    let before = stage.ranges();
    Connection::open(&stage.path).unwrap().execute_batch("INSERT INTO owner VALUES (9, 'late')").unwrap();
    stage.run(&[]).exits(3).says(&[
        "did not end",
        "the source has changed since",
        "nothing was written by this start",
        "`--restart`",
    ]);
    assert_eq!(stage.ranges(), before);

    stage.run(&["--restart"]).exits(0);
    assert_eq!(value(&stage.seen, "SELECT count(*) FROM owner"), "4");
    assert_eq!(value(&stage.seen, "SELECT count(*) || ' ' || count(DISTINCT id) FROM big"), format!("{ROWS} {ROWS}"));
}

#[test]
fn other_options_between_start_and_resume_are_refused_and_named() {
    let stage = Stage::new();
    stage.held_after_ranges(1).kill();
    stage.release();
    stage.run(&["--identifiers", "snake"]).exits(3).says(&[
        "did not end",
        "`identifiers` was \"preserve\" and is \"snake\" now",
        "`--restart`",
    ]);
    // How many lanes work does not shape the result.
    migrate([stage.path.to_str().unwrap(), &url(&stage.target), "-j", "4"]).exits(0);
    stage.holds_every_row_once();
}

#[test]
fn restart_drops_only_what_lite2pg_made() {
    let (_dir, path) =
        source("CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE b (x TEXT);");
    let target = database();
    let seen = session(&target);
    seen.batch("CREATE TABLE mine (id int); INSERT INTO mine VALUES (7)").unwrap();
    let run = |more: &[&str]| migrate([path.to_str().unwrap(), &url(&target)].iter().chain(more));
    run(&[]).exits(0);

    seen.batch("CREATE VIEW on_theirs AS SELECT id FROM a").unwrap();
    run(&["--restart"]).exits(1).says(&[
        "what the earlier run created cannot be dropped",
        "on_theirs",
        "nothing was dropped",
        "hint:",
    ]);
    assert_eq!(value(&seen, "SELECT count(*) FROM on_theirs"), "1");
    seen.batch("DROP VIEW on_theirs").unwrap();

    // A table of the same name that is not ours any more stays, and is refused like any other that holds rows.
    seen.batch("DROP TABLE b; CREATE TABLE b (x text); INSERT INTO b VALUES ('theirs')").unwrap();
    run(&["--restart"]).exits(3).says(&["the target holds rows already", "`b`", "is dropped; nothing new was written"]);
    assert_eq!(value(&seen, "SELECT x FROM b"), "theirs");
    seen.batch("DROP TABLE b").unwrap();
    run(&["--restart"]).exits(0);
    assert_eq!(value(&seen, "SELECT (SELECT id FROM mine) || ' ' || (SELECT count(*) FROM a)"), "7 1");
}

#[test]
fn a_table_dropped_after_its_run_is_made_again_when_the_source_is_another() {
    let (_dir, path) =
        source("CREATE TABLE a (id INTEGER PRIMARY KEY); INSERT INTO a VALUES (1); CREATE TABLE b (x TEXT);");
    let target = database();
    let seen = session(&target);
    migrate([path.to_str().unwrap(), &url(&target)]).exits(0);
    seen.batch("DROP TABLE a, b").unwrap();
    migrate([path.to_str().unwrap(), &url(&target)]).exits(5).says(&["changed since", "`--restart`"]);
    Connection::open(&path).unwrap().execute_batch("INSERT INTO a VALUES (2)").unwrap();
    migrate([path.to_str().unwrap(), &url(&target)]).exits(0);
    assert_eq!(value(&seen, "SELECT sum(id) FROM a"), "3");
}

/// A writer that moves one unit a commit from `left` to `right` and counts its commits, until told to stop.
fn writing<T>(path: &Path, stop: &AtomicBool, work: impl FnOnce() -> T) -> (T, u64) {
    std::thread::scope(|scope| {
        let writer = scope.spawn(move || {
            let conn = Connection::open(path).unwrap();
            conn.busy_timeout(Duration::from_secs(20)).unwrap();
            let mut commits = 0;
            while !stop.load(Ordering::Relaxed) {
                conn.execute_batch(
                    "BEGIN IMMEDIATE; UPDATE account SET amount = amount - 1 WHERE side = 'left';
                     UPDATE account SET amount = amount + 1 WHERE side = 'right';
                     UPDATE moved SET n = n + 1; COMMIT",
                )
                .unwrap();
                commits += 1;
                std::thread::sleep(Duration::from_micros(500));
            }
            commits
        });
        let result = work();
        stop.store(true, Ordering::Relaxed);
        let commits = writer.join().unwrap();
        (result, commits)
    })
}

fn add_accounts(path: &Path, journal: &str) {
    Connection::open(path)
        .unwrap()
        .execute_batch(&format!(
            "PRAGMA journal_mode = {journal}; PRAGMA synchronous = OFF;
             CREATE TABLE account (side TEXT PRIMARY KEY, amount INTEGER NOT NULL) WITHOUT ROWID;
             INSERT INTO account VALUES ('left', 1000000), ('right', 0);
             CREATE TABLE moved (n INTEGER NOT NULL); INSERT INTO moved VALUES (0);"
        ))
        .unwrap();
}

const ONE_MOMENT: &str = "SELECT (SELECT sum(amount) FROM account) || ' ' || \
    (SELECT amount FROM account WHERE side = 'right') - (SELECT n FROM moved)";

#[test]
fn the_copy_shows_one_moment_of_a_wal_source_that_is_written_meanwhile() {
    let stage = Stage::new();
    add_accounts(&stage.path, "WAL");
    let stop = AtomicBool::new(false);
    // A writer that had to wait for the copy would run into its timeout.
    let (_, commits) = writing(&stage.path, &stop, || {
        migrate([stage.path.to_str().unwrap(), &url(&stage.target), "--jobs", "4"]).exits(0)
    });
    assert!(commits > 20, "{commits} commits beside the copy");
    // The sum is constant, and the counter fits the amounts: a state that the writer committed.
    assert_eq!(value(&stage.seen, ONE_MOMENT), "1000000 0");
    let copied: u64 = value(&stage.seen, "SELECT n FROM moved").parse().unwrap();
    assert!(copied < commits, "{copied} of {commits}");
    stage.holds_every_row_once();
}

#[test]
fn a_held_read_lock_makes_writers_wait_and_a_backup_does_not() {
    for (choice, waits) in [("lock", true), ("backup", false)] {
        let stage = Stage::new();
        add_accounts(&stage.path, "DELETE");
        let before = bytes_of(&stage.path);
        let mut command = stage.command(&["--snapshot", choice]);
        let running = Running::start(&mut command);
        until(&stage.seen, "to_regclass('lite2pg.range') IS NOT NULL");
        stage.hold("LOCK TABLE lite2pg.range IN SHARE MODE");
        until(&stage.seen, "EXISTS (SELECT FROM pg_locks WHERE relation = 'lite2pg.range'::regclass AND NOT granted)");
        let writer = Connection::open(&stage.path).unwrap();
        writer.busy_timeout(Duration::ZERO).unwrap();
        let written = writer.execute_batch("UPDATE account SET amount = 5 WHERE side = 'right'");
        assert_eq!(written.is_err(), waits, "{choice}: {written:?}");
        if waits {
            let code = written.unwrap_err().sqlite_error_code();
            assert_eq!(code, Some(rusqlite::ErrorCode::DatabaseBusy));
            assert_eq!(bytes_of(&stage.path), before);
        }
        stage.release();
        running.end().exits(0);
        assert_eq!(value(&stage.seen, "SELECT sum(amount) FROM account"), "1000000");
        writer.execute_batch("UPDATE account SET amount = 6 WHERE side = 'right'").unwrap();
    }
}

#[test]
fn a_busy_writer_of_a_rollback_journal_source_waits_and_goes_on() {
    let stage = Stage::new();
    add_accounts(&stage.path, "DELETE");
    let stop = AtomicBool::new(false);
    let (_, commits) = writing(&stage.path, &stop, || stage.run(&[]).exits(0));
    assert!(commits > 1);
    assert_eq!(value(&stage.seen, ONE_MOMENT), "1000000 0");
}

#[test]
fn the_source_and_what_lies_beside_it_stay_byte_for_byte() {
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');";
    for pragma in ["PRAGMA journal_mode = DELETE;", "PRAGMA journal_mode = WAL;"] {
        let (_dir, path) = source(&format!("{pragma}{sql}"));
        let open = Connection::open(&path).unwrap();
        // In WAL mode this row is in the -wal only, which is read too.
        open.execute_batch("PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (3, 'c')").unwrap();
        let before = bytes_of(&path);
        for more in [&[][..], &["--snapshot", "backup", "--schema", "other"]] {
            let target = database();
            migrate([path.to_str().unwrap(), &url(&target)].iter().chain(more)).exits(0);
            let schema = more.last().unwrap_or(&"public");
            assert_eq!(value(&session(&target), &format!("SELECT count(*) FROM {schema}.t")), "3");
            assert_eq!(bytes_of(&path), before, "{pragma}");
        }
        drop(open);
        // Nobody has it open now: what SQLite makes beside it while it reads is taken away again.
        let before = bytes_of(&path);
        migrate([path.to_str().unwrap(), &url(&database())]).exits(0);
        assert_eq!(bytes_of(&path), before, "{pragma}");
    }
}

#[test]
fn foreign_keys_and_triggers_that_a_killed_run_had_set_aside_are_put_back_by_the_next_start_and_by_restart() {
    let (_dir, path) = source(
        "CREATE TABLE node (id INTEGER PRIMARY KEY, next INTEGER REFERENCES node);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450000) INSERT INTO node SELECT i, 450001 - i FROM n;",
    );
    for restarts in [false, true] {
        let target = database();
        let (seen, holder) = (session(&target), session(&target));
        let role = format!("plain_{restarts}");
        let dbname = target.dbname();
        seen.batch(&format!("CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {dbname} TO {role}")).unwrap();
        let as_role = format!("host={} user={role} dbname={dbname}", target.host());
        let arguments = ["migrate", path.to_str().unwrap(), &as_role, "--schema", "app", "--jobs", "1"];
        let run = |more: &[&str]| support::program::ended(program().args(arguments).args(more).output().unwrap());
        run(&["--schema-only"]).exits(0);
        seen.batch(&format!(
            "SET ROLE {role}; CREATE FUNCTION app.refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$; \
             CREATE TRIGGER refuse BEFORE INSERT ON app.node FOR EACH ROW EXECUTE FUNCTION app.refuse(); RESET ROLE"
        ))
        .unwrap();
        let keys = "SELECT string_agg(conname || pg_get_constraintdef(oid), ' ') FROM pg_constraint \
                    WHERE contype = 'f' AND connamespace = 'app'::regnamespace";
        let trigger = "SELECT tgenabled FROM pg_trigger WHERE tgname = 'refuse'";
        let before = value(&seen, keys);
        assert!(before.contains("node_next"), "{before}");

        let running = Running::start(program().args(arguments).arg("--data-only"));
        until(&seen, "SELECT count(*) >= 1 FROM lite2pg.range");
        holder.batch("BEGIN; LOCK TABLE lite2pg.range IN SHARE MODE").unwrap();
        until(&seen, "EXISTS (SELECT FROM pg_locks WHERE relation = 'lite2pg.range'::regclass AND NOT granted)");
        running.kill();
        holder.batch("ROLLBACK").unwrap();
        assert_eq!(value(&seen, keys), "NULL");
        assert_eq!(value(&seen, trigger), "D");

        if restarts {
            run(&["--data-only", "--restart"]).exits(3).says(&["the target holds rows already", "`--truncate`"]);
            // Half of the rows point at rows that are not there yet, so the key holds for new rows only.
            assert_eq!(value(&seen, keys), format!("{before} NOT VALID"));
            assert_eq!(value(&seen, trigger), "O");
            run(&["--data-only", "--truncate"]).exits(0);
        } else {
            run(&["--data-only"]).exits(0).says(&["going on with run"]);
            assert_eq!(value(&seen, keys), before);
        }
        assert_eq!(value(&seen, "SELECT count(*) || ' ' || count(DISTINCT id) FROM app.node"), "450000 450000");
        assert_eq!(value(&seen, "SELECT count(*) FROM lite2pg.foreign_key"), "0");
        assert_eq!(value(&seen, trigger), "O");
    }
}

#[test]
fn a_connection_that_the_server_ends_in_mid_copy_is_7_and_the_same_command_goes_on() {
    let stage = Stage::new();
    let running = stage.held_after_ranges(1);
    let end = "SELECT count(pg_terminate_backend(pid)) FROM pg_locks WHERE relation = 'lite2pg.range'::regclass AND NOT granted";
    assert_eq!(value(&stage.seen, end), "1");
    running.end().exits(7).says(&["error: `big` cannot be copied", "hint:"]);
    stage.release();
    let before = stage.ranges();
    stage.run(&[]).exits(0);
    stage.holds_every_row_once();
    assert!(before.iter().all(|range| stage.ranges().contains(range)));
}
