//! Sessions with a real server: what a transaction, a COPY and a pool promise.
#![allow(clippy::unwrap_used, reason = "where a test fails is what it says")]

mod support;

use bytes::Bytes;
use lite2pg::postgres::{Pool, PoolSettings, Session, is_server_gone};
use lite2pg::{Error, Kind};
use std::thread;
use support::{database, eventually, server, told};

fn pool(size: usize) -> Pool {
    Pool::connect(&database(), size, &PoolSettings::default()).unwrap()
}

fn count(session: &Session, table: &str) -> i64 {
    session.query_one(&format!("SELECT count(*) FROM {table}"), &[]).unwrap().get(0)
}

fn code(error: &Error) -> &str {
    error.sqlstate().unwrap_or_default()
}

#[test]
fn a_transaction_is_kept_by_commit_and_by_nothing_else() {
    let pool = pool(1);
    let mut session = pool.session().unwrap();
    session.batch("CREATE TABLE t (id int8 PRIMARY KEY)").unwrap();
    let tx = session.transaction().unwrap();
    assert_eq!(tx.execute("INSERT INTO t VALUES ($1), ($2)", &[&1_i64, &2_i64]).unwrap(), 2);
    tx.commit().unwrap();
    drop(session.transaction().map(|tx| tx.batch("INSERT INTO t VALUES (3)")));
    let tx = session.transaction_as("BEGIN ISOLATION LEVEL REPEATABLE READ").unwrap();
    tx.batch("INSERT INTO t VALUES (4)").unwrap();
    tx.rollback().unwrap();
    assert_eq!(count(&session, "t"), 2);
}

#[test]
fn committing_a_failed_transaction_is_an_error() {
    let pool = pool(1);
    let mut session = pool.session().unwrap();
    session.batch("CREATE TABLE t (id int8)").unwrap();
    let tx = session.transaction().unwrap();
    tx.batch("INSERT INTO t VALUES (1)").unwrap();
    assert_eq!(code(&tx.batch("SELECT nonsense").unwrap_err()), "42703");
    let error = tx.commit().unwrap_err();
    assert_eq!((error.kind(), code(&error)), (Kind::Failed, "25P02"));
    assert_eq!(error.data_state(), Some("the transaction was rolled back"));
    assert_eq!(count(&session, "t"), 0);
}

#[test]
fn a_deferred_constraint_that_fails_at_commit_is_reported_and_rolled_back() {
    let pool = pool(1);
    let mut session = pool.session().unwrap();
    session
        .batch("CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE c (p int REFERENCES p DEFERRABLE INITIALLY DEFERRED)")
        .unwrap();
    let tx = session.transaction().unwrap();
    tx.batch("INSERT INTO c VALUES (424242)").unwrap();
    let error = tx.commit().unwrap_err();
    assert_eq!(code(&error), "23503");
    assert!(!told(&error).contains("424242"), "{error:?}");
    assert_eq!(count(&session, "c"), 0);
}

#[test]
fn every_session_of_a_pool_begins_in_the_same_state() {
    let pool = pool(1);
    let show =
        |session: &Session, name: &str| -> String { session.query_one(&format!("SHOW {name}"), &[]).unwrap().get(0) };
    let pid = |session: &Session| -> i32 { session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0) };
    let first = pool.session().unwrap();
    let first_pid = pid(&first);
    first
        .batch(
            "SET TimeZone = 'Asia/Tokyo'; SET work_mem = '1MB'; SET extra_float_digits = -15; BEGIN; \
                CREATE TABLE never (id int); SELECT pg_advisory_lock(7)",
        )
        .unwrap();
    drop(first);
    let again = pool.session().unwrap();
    assert_eq!(pid(&again), first_pid, "the connection was used again");
    assert_eq!((show(&again, "TimeZone"), show(&again, "work_mem")), ("UTC".into(), "4MB".into()));
    assert_eq!((show(&again, "DateStyle"), show(&again, "extra_float_digits")), ("ISO, YMD".into(), "1".into()));
    assert_eq!((show(&again, "application_name"), show(&again, "lock_timeout")), ("lite2pg".into(), "0".into()));
    assert!(again.query_opt("SELECT 1 FROM pg_class WHERE relname = 'never'", &[]).unwrap().is_none());
    assert!(again.query_opt("SELECT 1 FROM pg_locks WHERE locktype = 'advisory'", &[]).unwrap().is_none());
}

#[test]
fn rows_go_in_and_come_out_by_copy() {
    let pool = pool(1);
    let mut session = pool.session().unwrap();
    session.batch("CREATE TABLE t (id int8, body text)").unwrap();
    let tx = session.transaction().unwrap();
    let mut copy = tx.copy_in("COPY t FROM STDIN").unwrap();
    copy.send(Bytes::from_static(b"1\tone\n2\t")).unwrap();
    // One cell of 5 MB, cut into messages on the way, and a tail below the driver's own buffer.
    copy.send(Bytes::from(vec![b'x'; 5 * 1024 * 1024])).unwrap();
    copy.send(Bytes::new()).unwrap();
    copy.send(Bytes::from_static(b"\n3\tthree\n")).unwrap();
    assert_eq!(copy.finish().unwrap(), 3);
    tx.commit().unwrap();

    let mut copy = session.copy_out("COPY (SELECT id, length(body) FROM t ORDER BY id) TO STDOUT").unwrap();
    let mut text = Vec::new();
    while let Some(piece) = copy.next().unwrap() {
        text.extend_from_slice(&piece);
    }
    drop(copy);
    assert_eq!(text, b"1\t3\n2\t5242880\n3\t5\n");
    assert_eq!(count(&session, "t"), 3);
}

#[test]
fn many_rows_come_out_complete_and_in_order() {
    let pool = pool(1);
    let mut session = pool.session().unwrap();
    let mut copy = session.copy_out("COPY (SELECT i FROM generate_series(1, 200000) i) TO STDOUT").unwrap();
    let mut next = 1;
    while let Some(piece) = copy.next().unwrap() {
        for line in piece.split(|b| *b == b'\n').filter(|l| !l.is_empty()) {
            assert_eq!(std::str::from_utf8(line).unwrap().parse(), Ok(next));
            next += 1;
        }
    }
    assert_eq!(next, 200_001);
}

#[test]
fn a_copy_that_is_dropped_is_aborted_and_fails_its_transaction() {
    let pool = pool(1);
    let mut session = pool.session().unwrap();
    session.batch("CREATE TABLE t (id int8)").unwrap();
    let tx = session.transaction().unwrap();
    tx.batch("INSERT INTO t VALUES (1)").unwrap();
    let mut copy = tx.copy_in("COPY t FROM STDIN").unwrap();
    copy.send(Bytes::from_static(b"2\n")).unwrap();
    drop(copy);
    assert_eq!(code(&tx.commit().unwrap_err()), "25P02");
    let mut copy = session.copy_in("COPY t FROM STDIN").unwrap();
    copy.send(Bytes::from_static(b"3\n")).unwrap();
    drop(copy);
    assert_eq!(count(&session, "t"), 0);
}

#[test]
fn a_row_that_the_server_refuses_is_told_by_finish_without_its_values() {
    let pool = pool(1);
    let mut session = pool.session().unwrap();
    session.batch("CREATE TABLE t (id int8 PRIMARY KEY)").unwrap();
    let mut copy = session.copy_in("COPY t FROM STDIN").unwrap();
    copy.send(Bytes::from_static(b"confidential\n")).unwrap();
    for _ in 0..40 {
        copy.send(Bytes::from(b"1\n".repeat(100_000))).unwrap();
    }
    let error = copy.finish().unwrap_err();
    assert_eq!((error.kind(), code(&error)), (Kind::Failed, "22P02"));
    assert!(told(&error).contains("COPY t, line 1, column id") && !told(&error).contains("confidential"), "{error:?}");

    session.batch("INSERT INTO t VALUES (4711)").unwrap();
    let error = session.execute("INSERT INTO t VALUES ($1)", &[&4711_i64]).unwrap_err();
    assert_eq!(code(&error), "23505");
    assert!(told(&error).contains("t_pkey") && told(&error).contains("Key (id)=(values hidden)"), "{error:?}");
    assert!(!told(&error).contains("4711"), "{error:?}");
}

#[test]
fn a_copy_that_the_server_refuses_never_leaves_answers_out_of_step() {
    let pool = pool(1);
    pool.session()
        .unwrap()
        .batch(
            "CREATE TABLE t (id int8);
             CREATE FUNCTION no() RETURNS trigger LANGUAGE plpgsql AS $$BEGIN RAISE 'not today'; END$$;
             CREATE TABLE guarded (id int8);
             CREATE TRIGGER no BEFORE INSERT ON guarded FOR EACH STATEMENT EXECUTE FUNCTION no()",
        )
        .unwrap();
    // The last column: whether the driver loses count of the answers, so that the connection is given up.
    for (begin, sql, refusal, is_given_up) in [
        ("BEGIN", "COPY nowhere FROM STDIN", "42P01", true),
        ("BEGIN READ ONLY", "COPY t FROM STDIN", "25006", true),
        ("BEGIN", "COPY t FROM STDIN (FREEZE)", "55000", true),
        ("BEGIN", "COPY guarded FROM STDIN", "P0001", true),
        ("BEGIN", "COPY t FROM STDIN", "22P02", false),
        ("BEGIN", "COPY t FROM STDIN (FORMAT nonsense)", "22023", true),
        ("BEGIN", "COPY t FROM SOMEWHERE", "42601", false),
    ] {
        let mut session = pool.session().unwrap();
        let tx = session.transaction_as(begin).unwrap();
        let error = match tx.copy_in(sql) {
            Err(error) => error,
            Ok(mut copy) => {
                copy.send(Bytes::from_static(b"no number\n")).unwrap();
                copy.finish().unwrap_err()
            }
        };
        assert_eq!(code(&error), refusal, "{sql}: {error:?}");
        assert_eq!(tx.is_given_up(), is_given_up, "{sql}");
        drop(tx);
        for i in 0..20 {
            match session.query_one("SELECT $1::int8", &[&i]) {
                Ok(row) => assert_eq!(row.get::<_, i64>(0), i, "{sql}"),
                Err(error) => assert!(is_given_up && error.message().contains("given up"), "{sql}: {error:?}"),
            }
        }
    }
    assert_eq!(count(&pool.session().unwrap(), "t"), 0);
}

#[test]
fn leaving_a_copy_out_early_gives_the_connection_up() {
    let pool = pool(1);
    let mut session = pool.session().unwrap();
    let pid: i32 = session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let mut tx = session.transaction().unwrap();
    let mut copy = tx.copy_out("COPY (SELECT generate_series(1, 100000000)) TO STDOUT").unwrap();
    assert!(copy.next().unwrap().is_some());
    drop(copy);
    drop(tx);
    drop(session);
    let session = pool.session().unwrap();
    assert_ne!(session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get::<_, i32>(0), pid);
}

#[test]
fn a_statement_is_stopped_from_another_thread() {
    let pool = pool(2);
    let session = pool.session().unwrap();
    let handle = session.cancel_handle();
    let watcher = pool.session().unwrap();
    let stopper = thread::spawn(move || {
        eventually("it sleeps", || {
            watcher
                .query_opt(
                    "SELECT 1 FROM pg_stat_activity WHERE wait_event = 'PgSleep' AND datname = current_database()",
                    &[],
                )
                .unwrap()
                .is_some()
        });
        handle.cancel().unwrap();
    });
    let error = session.batch("SELECT pg_sleep(60)").unwrap_err();
    stopper.join().unwrap();
    assert_eq!(code(&error), "57014");
    session.batch("SELECT 1").unwrap();
}

#[test]
fn a_connection_that_the_server_ends_is_known_as_gone_and_replaced() {
    let pool = pool(1);
    let mut session = pool.session().unwrap();
    let pid: i32 = session.query_one("SELECT pg_backend_pid()", &[]).unwrap().get(0);
    let tx = session.transaction().unwrap();
    tx.batch("CREATE TABLE t (id int8)").unwrap();
    let mut sending = tx.copy_in("COPY t FROM STDIN").unwrap();
    support::session(&server::shared().target()).execute("SELECT pg_terminate_backend($1)", &[&pid]).unwrap();
    let lost = (0..10_000).find_map(|_| sending.send(Bytes::from(b"1\n".repeat(50_000))).err());
    let error = lost.unwrap_or_else(|| panic!("half a gigabyte was taken by a server that is gone"));
    drop(sending);
    assert!(is_server_gone(&error), "{error:?}");
    drop(tx);
    drop(session);
    pool.session().unwrap().batch("CREATE TABLE t (id int8)").unwrap();
}

#[test]
fn a_lock_that_is_held_is_not_waited_for_beyond_its_timeout() {
    let target = database();
    let settings = PoolSettings { lock_timeout: Some(std::time::Duration::from_millis(50)), ..PoolSettings::default() };
    let pool = Pool::connect(&target, 2, &settings).unwrap();
    let mut holder = pool.session().unwrap();
    holder.batch("CREATE TABLE t (id int8)").unwrap();
    let tx = holder.transaction().unwrap();
    tx.batch("LOCK TABLE t").unwrap();
    assert_eq!(code(&pool.session().unwrap().batch("SELECT * FROM t").unwrap_err()), "55P03");
}

#[test]
fn a_statement_with_a_password_is_not_repeated_in_its_error() {
    let pool = pool(1);
    let error = pool.session().unwrap().batch("CREATE ROLE postgres PASSWORD 'hunter2'").unwrap_err();
    assert_eq!(code(&error), "42710");
    assert!(!told(&error).contains("hunter2"), "{error:?}");
}
