//! Rows that are compared while keys and indexes are still built: what is read ahead is of one moment, after the load,
//! and whatever goes wrong with it is made good.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::model::event::{Event, Observer, Phase, Progress, Summary};
use lite2pg::model::verdict::Outcome;
use lite2pg::postgres::{Environment, Target};
use lite2pg::run::{self, Options};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use support::compared::compare;
use support::scenario::Source;
use support::{database, session, told};

/// Two tables, each with keys and indexes, and with a key between them.
const APP: &str = "
    CREATE TABLE agents (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE tasks (id TEXT PRIMARY KEY NOT NULL, agent INTEGER NOT NULL REFERENCES agents (id), note TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
        INSERT INTO agents SELECT i, 'agent ' || i FROM n;
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        INSERT INTO tasks SELECT printf('%08x', i * 2654435761 % 4294967296), 1 + i % 100, printf('%0400d', i) FROM n;
    CREATE INDEX tasks_by_agent ON tasks (agent);
    CREATE INDEX tasks_by_note ON tasks (note);";

/// Hears of each event once.
struct Hears<F>(F);

impl<F: Fn(&Event) + Sync> Observer for Hears<F> {
    fn event(&self, event: &Event) {
        (self.0)(event);
    }

    fn watch(&self, _: Arc<Progress>) {}
}

fn migrate(source: &Source, target: &Target, hears: impl Fn(&Event) + Sync) -> Summary {
    let mut options = Options::new(&source.path);
    options.wish.folder = source.path.with_file_name("differences");
    options.jobs = 2;
    let stop = AtomicBool::new(false);
    run::migrate(&options, target, &Hears(hears), &stop).unwrap_or_else(|e| panic!("{}", told(&e)))
}

fn begins(event: &Event, wanted: Phase) -> bool {
    matches!(event, Event::PhaseStarted { phase, .. } if *phase == wanted)
}

/// After this, nothing of the run's own is written to the rows.
fn is_loaded(event: &Event) -> bool {
    matches!(event, Event::PhaseFinished { phase: Phase::Copy, .. })
}

fn tasks(summary: &Summary) -> &Outcome {
    let verification = summary.verification.as_ref().unwrap();
    &verification.tables.iter().find(|t| t.source == "tasks").unwrap().outcome
}

#[test]
fn what_is_wrong_before_the_indexes_are_built_is_found_by_the_reading_ahead() {
    let (source, target) = (Source::sql(APP), database());
    let seen = session(&target);
    let summary = migrate(&source, &target, |event| {
        if is_loaded(event) {
            assert_eq!(seen.execute("UPDATE tasks SET agent = 8 WHERE agent = 7", &[]).unwrap(), 600);
        }
    });
    let Outcome::Different(differences) = tasks(&summary) else { panic!("{:?}", tasks(&summary)) };
    assert_eq!(differences.changed, 600);
}

#[test]
fn what_others_write_after_the_load_is_not_of_the_moment_and_the_next_comparison_finds_it() {
    let (source, target) = (Source::sql(APP), database());
    let seen = session(&target);
    let summary = migrate(&source, &target, |event| {
        if begins(event, Phase::Constrain) {
            assert_eq!(seen.execute("DELETE FROM tasks WHERE agent = 7", &[]).unwrap(), 600);
        }
    });
    assert!(matches!(tasks(&summary), Outcome::Equal), "{:?}", tasks(&summary));
    assert_eq!(compare(&source.path, &target).differences("tasks").unwrap().missing, 600);
}

#[test]
fn where_the_moment_is_lost_all_is_read_at_another() {
    let (source, target) = (Source::sql(APP), database());
    let seen = session(&target);
    let summary = migrate(&source, &target, |event| {
        if begins(event, Phase::Analyze) {
            let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() \
                       AND state = 'idle in transaction' AND query LIKE '%pg_export_snapshot%'";
            assert_eq!(seen.query(sql, &[]).unwrap().len(), 1);
            seen.execute("DELETE FROM tasks WHERE agent = 7", &[]).unwrap();
        }
    });
    // What was read ahead would say that all is equal.
    let Outcome::Different(differences) = tasks(&summary) else { panic!("{:?}", tasks(&summary)) };
    assert_eq!(differences.missing, 600);
}

#[test]
fn a_reader_that_is_ended_leaves_its_tables_to_the_comparison() {
    let (source, target) = (Source::sql(APP), database());
    let (seen, lock) = (session(&target), Mutex::new(session(&target)));
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            // Whoever reads waits for the lock, and so do the builds. Only a reader asks for a table's size.
            support::eventually("a reader waits, and is ended", || {
                let sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
                           WHERE datname = current_database() AND wait_event_type = 'Lock' \
                           AND query LIKE '%pg_table_size%' AND pid <> pg_backend_pid()";
                seen.query(sql, &[]).unwrap().len() == 1
            });
            ended.store(true, Ordering::Relaxed);
            lock.lock().unwrap().batch("ROLLBACK").unwrap();
        });
        let summary = migrate(&source, &target, |event| {
            if is_loaded(event) {
                lock.lock().unwrap().batch("BEGIN; LOCK TABLE tasks IN ACCESS EXCLUSIVE MODE").unwrap();
            }
        });
        assert!(matches!(tasks(&summary), Outcome::Equal), "{:?}", tasks(&summary));
        assert!(ended.load(Ordering::Relaxed));
    });
}

#[test]
fn where_no_connection_is_to_be_had_while_keys_are_built_all_is_read_at_the_end() {
    let (source, target) = (Source::sql(APP), database());
    let seen = session(&target);
    let database = target.dbname().to_owned();
    seen.batch(&format!(
        "CREATE ROLE frugal LOGIN CONNECTION LIMIT 6; GRANT CREATE ON DATABASE {database} TO frugal; \
         GRANT ALL ON SCHEMA public TO frugal"
    ))
    .unwrap();
    let text = format!("host={} port={} user=frugal dbname={database}", target.host(), target.port());
    let frugal = Target::parse(&text, &Environment::of_process()).unwrap();
    let count = || {
        let sql = "SELECT count(*) FROM pg_stat_activity WHERE usename = 'frugal'";
        seen.query_one(sql, &[]).unwrap().get::<_, i64>(0)
    };
    let others = Mutex::new(Vec::new());
    let summary = migrate(&source, &frugal, |event| {
        let mut others = others.lock().unwrap();
        if is_loaded(event) {
            others.extend((count()..6).map(|_| session(&frugal)));
            assert_eq!(count(), 6);
        } else if begins(event, Phase::Analyze) {
            assert_eq!(count(), 6, "no reader came in");
            let left = 6 - others.len() as i64;
            others.clear();
            support::eventually("the connections are free again", || count() == left);
        }
    });
    assert!(matches!(tasks(&summary), Outcome::Equal), "{:?}", tasks(&summary));
}
