//! `verify --repair`: what differs is made like the source, in one transaction, and proven again.
#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::error::Kind;
use lite2pg::model::verdict::Verification;
use lite2pg::postgres::Target;
use lite2pg::report::verification;
use lite2pg::run::{self, Options};
use std::sync::atomic::AtomicBool;
use support::program::value;
use support::scenario::{Listener, Source};
use support::{database, session, told};

const SCHEMA: &str = "
    CREATE TABLE parent (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, x REAL);
    CREATE TABLE child (id TEXT PRIMARY KEY, parent INTEGER REFERENCES parent (id) ON DELETE CASCADE, j TEXT, t TEXT);
    CREATE TABLE line (order_id INTEGER, n INTEGER, v TEXT, PRIMARY KEY (order_id, n)) WITHOUT ROWID;
    CREATE TABLE heap (a INTEGER, b TEXT);
    WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 500)
        INSERT INTO parent SELECT i, 'n' || i, i / 3.0 FROM n;
    INSERT INTO child SELECT 'k' || id, id, '{\"b\":' || id || ',\"a\":1.50}', CASE WHEN id = 7 THEN 'x' || char(0) END FROM parent;
    INSERT INTO line SELECT id / 3, id % 3, 'v' || id FROM parent;
    INSERT INTO heap SELECT id % 10, 'v' || (id % 3) FROM parent;";

fn options(source: &Source) -> Options {
    let mut options = Options::new(&source.path);
    options.wish.folder = source.path.with_file_name("differences");
    options
}

fn verify(options: &Options, target: &Target, repairs: bool) -> lite2pg::Result<Verification> {
    run::verify(options, target, repairs, &Listener::default(), &AtomicBool::new(false))
}

/// A source and a target that lite2pg loaded from it, then changed by these statements.
fn changed(changes: &str) -> (Source, Target) {
    let source = Source::sql(SCHEMA);
    let target = database();
    let stop = AtomicBool::new(false);
    let done = run::migrate(&options(&source), &target, &Listener::default(), &stop);
    assert!(done.unwrap_or_else(|e| panic!("{}", told(&e))).verification.unwrap().is_equal());
    session(&target).batch(changes).unwrap();
    (source, target)
}

#[track_caller]
fn repaired(source: &Source, target: &Target) -> Verification {
    let before = verify(&options(source), target, false).unwrap();
    assert!(before.is_different(), "the changes are seen");
    let after = verify(&options(source), target, true).unwrap_or_else(|e| panic!("{}", told(&e)));
    assert!(after.is_equal(), "{}", verification::text(&after));
    let again = verify(&options(source), target, true).unwrap();
    assert!(again.is_equal() && again.repaired.is_none(), "nothing is left to repair");
    after
}

#[test]
fn a_repair_makes_the_target_like_the_source_and_touches_nothing_else() {
    let (source, target) = changed(
        "UPDATE parent SET name = name || '!' WHERE id IN (3, 4);
         INSERT INTO parent (id, name) VALUES (5000, 'extra');
         INSERT INTO child (id, parent) VALUES ('extra', 5000);
         DELETE FROM child WHERE id = 'k10';
         UPDATE child SET j = '{}' WHERE id = 'k500';
         UPDATE line SET n = 9 WHERE order_id = 1 AND n = 1;
         DELETE FROM heap WHERE ctid IN (SELECT ctid FROM heap LIMIT 3);
         INSERT INTO heap VALUES (1, 'new'), (1, 'new');
         CREATE TABLE place AS SELECT id, ctid::text AS at FROM parent WHERE id NOT IN (3, 4)",
    );
    let after = repaired(&source, &target);
    assert!(after.repaired.unwrap().written > 0);
    let moved = "SELECT count(*) FROM parent p JOIN place USING (id) WHERE p.ctid::text <> at";
    assert_eq!(value(&session(&target), moved), "0", "rows that were equal were not written");
}

#[test]
fn a_parent_that_is_replaced_keeps_its_children() {
    let (source, target) = changed("UPDATE parent SET x = 0 WHERE id = 20");
    let after = repaired(&source, &target);
    assert_eq!(after.repaired.map(|r| (r.written, r.deleted)), Some((1, 0)));
    assert_eq!(value(&session(&target), "SELECT count(*) FROM child"), "500");
}

#[test]
fn a_repair_keeps_the_originals_of_stand_ins_and_mends_the_sequence() {
    let (source, target) = changed(
        "UPDATE child SET t = 'other' WHERE id = 'k7'; SELECT setval('parent_id_seq', 5); DELETE FROM lite2pg.original;
         DELETE FROM child WHERE parent = 500; DELETE FROM parent WHERE id = 500",
    );
    repaired(&source, &target);
    let session = session(&target);
    let original = "SELECT encode(bytes, 'hex') FROM lite2pg.original WHERE table_name = 'child'";
    assert_eq!(value(&session, original), "7800");
    session.batch("INSERT INTO parent (name) VALUES ('next')").unwrap();
    assert_eq!(value(&session, "SELECT id FROM parent WHERE name = 'next'"), "501");
}

#[test]
fn a_repair_that_the_server_refuses_changes_nothing() {
    // A row that only the target has is referred to by a table that is none of the source's.
    let (source, target) = changed(
        "UPDATE parent SET x = 0 WHERE id = 1; INSERT INTO parent (id, name) VALUES (600, 'extra');
         CREATE TABLE other (parent bigint REFERENCES parent); INSERT INTO other VALUES (600)",
    );
    let error = verify(&options(&source), &target, true).expect_err("the server refuses");
    assert_eq!(error.kind(), Kind::Failed);
    assert!(error.data_state().unwrap().contains("as it was"), "{}", told(&error));
    assert_eq!(value(&session(&target), "SELECT x FROM parent WHERE id = 1"), "0");
}

#[test]
fn what_another_tool_loaded_is_repaired_by_a_stated_key() {
    let source = Source::sql("CREATE TABLE t (id INTEGER, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c')");
    let target = database();
    session(&target)
        .batch("CREATE TABLE t (id int, v text); INSERT INTO t VALUES (1, 'a'), (2, 'x'), (4, 'd')")
        .unwrap();
    let mut options = options(&source);
    options.wish.keys.insert("t".to_owned(), vec!["id".to_owned()]);
    let before = verify(&options, &target, false).unwrap();
    assert!(verification::text(&before).contains("1 missing, 1 extra, 1 changed"), "{}", verification::text(&before));
    let after = verify(&options, &target, true).unwrap_or_else(|e| panic!("{}", told(&e)));
    assert!(after.is_equal(), "{}", verification::text(&after));
    let all = "SELECT string_agg(id || v, ' ' ORDER BY id) FROM t";
    assert_eq!(value(&session(&target), all), "1a 2b 3c");
}
