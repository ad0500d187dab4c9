//! `lite2pg rollback`: what was not changed comes back to the byte, what was changed comes back, and what cannot is
//! said before anything is there.
//!
//! The oracle is SQLite: the same writes, done by plain SQL on a copy of the source, must give the same file.
#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

#[path = "rollback/inverses.rs"]
mod inverses;
#[path = "rollback/losses.rs"]
mod losses;
#[path = "rollback/pipelines.rs"]
mod pipelines;

use lite2pg::error::Kind;
use lite2pg::model::event::Silent;
use lite2pg::model::pg_type::PgType;
use lite2pg::model::restored::{Ending, Restored, TableRestored};
use lite2pg::postgres::Target;
use lite2pg::report::restored;
use lite2pg::run::{self, Options, RollbackOptions};
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use support::contents::{contents, same, same_lines};
use support::program::value;
use support::scenario::{Listener, Source};
use support::{database, session, told};

/// A source, and a target that lite2pg loaded from it.
struct Stage {
    source: Source,
    target: Target,
    bytes: Vec<u8>,
}

impl Stage {
    fn of(source: Source) -> Self {
        Self::with(source, |_| {})
    }

    fn with(source: Source, change: impl FnOnce(&mut Options)) -> Self {
        let target = database();
        let mut options = Options::new(&source.path);
        options.wish.folder = source.path.with_file_name("differences");
        change(&mut options);
        let done = run::migrate(&options, &target, &Listener::default(), &AtomicBool::new(false));
        done.unwrap_or_else(|e| panic!("{}", told(&e)));
        let bytes = std::fs::read(&source.path).unwrap();
        Self { source, target, bytes }
    }

    fn sql(sql: &str) -> Self {
        Self::of(Source::sql(sql))
    }

    /// Changes PostgreSQL.
    #[track_caller]
    fn pg(&self, sql: &str) -> &Self {
        session(&self.target).batch(sql).unwrap_or_else(|e| panic!("{sql}\n{}", told(&e)));
        self
    }

    fn to(&self) -> PathBuf {
        self.source.path.with_file_name("restored.db")
    }

    fn options(&self) -> RollbackOptions {
        RollbackOptions { force: true, ..RollbackOptions::new(&self.source.path, self.to()) }
    }

    fn try_with(&self, options: &RollbackOptions) -> lite2pg::Result<Restored> {
        let result = run::rollback(options, &self.target, &Listener::default(), &AtomicBool::new(false));
        assert!(std::fs::read(&self.source.path).unwrap() == self.bytes, "the source was written to");
        let beside: Vec<String> = std::fs::read_dir(self.source.path.parent().unwrap())
            .unwrap()
            .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
            .filter(|name| name.starts_with('.') || name.starts_with("restored.db-"))
            .collect();
        assert_eq!(beside, Vec::<String>::new(), "something is left beside the file");
        result
    }

    #[track_caller]
    fn with_options(&self, options: &RollbackOptions) -> Restored {
        self.try_with(options).unwrap_or_else(|e| panic!("{}", told(&e)))
    }

    /// Brings everything back, and it must work.
    #[track_caller]
    fn back(&self) -> Restored {
        let done = self.with_options(&self.options());
        assert_eq!(done.ending, Ending::Published, "{}", restored::text(&done));
        assert!(done.verification.as_ref().unwrap().tables.iter().all(|t| t.source_rows == t.target_rows));
        done
    }

    /// The source after the same writes by plain SQL.
    fn mirror(&self, sql: &str) -> Source {
        let mirror = Source::copy_of(&self.source.path);
        let db = mirror.open();
        db.execute_batch("PRAGMA foreign_keys = OFF").unwrap();
        db.execute_batch(sql).unwrap_or_else(|e| panic!("{e}\n{sql}"));
        drop(db);
        mirror
    }

    /// The same writes on both sides, and the same file afterwards.
    #[track_caller]
    fn both(&self, pg: &str, sqlite: &str) -> Restored {
        self.pg(pg);
        let done = self.back();
        same(&self.to(), &self.mirror(sqlite).path);
        self.forward_again();
        done
    }

    /// The restored file, migrated again, holds what PostgreSQL holds.
    #[track_caller]
    fn forward_again(&self) {
        let mut options = Options::new(self.to());
        options.wish.folder = self.source.path.with_file_name("differences");
        let found = run::verify(&options, &self.target, false, &Listener::default(), &AtomicBool::new(false));
        let found = found.unwrap_or_else(|e| panic!("{}", told(&e)));
        let equal = found.tables.iter().all(|t| matches!(t.outcome, lite2pg::model::verdict::Outcome::Equal));
        assert!(equal, "{}", lite2pg::report::verification::text(&found));
    }

    /// Why it is refused, and nothing is there.
    #[track_caller]
    fn refused(&self) -> String {
        let done = self.with_options(&self.options());
        assert_eq!(done.ending, Ending::Refused, "{}", restored::text(&done));
        assert!(!self.to().exists());
        let error = restored::error(&done).unwrap();
        assert_eq!(error.kind(), Kind::Blocked);
        done.unfit
            .iter()
            .map(|u| {
                let column = u.column.as_deref().map_or(String::new(), |c| format!(".{c}"));
                format!("{}{column} {}: {} [{}]", u.table, u.count, u.reason, u.keys.join("; "))
            })
            .collect::<Vec<_>>()
            .join("\n")
    }
}

fn counts(done: &Restored, table: &str) -> (u64, u64, u64, u64) {
    let TableRestored { unchanged, updated, inserted, deleted, .. } =
        done.tables.iter().find(|t| t.source == table).unwrap().clone();
    (unchanged, updated, inserted, deleted)
}

// ---------------------------------------------------------------------------------------------------------
// Nothing was changed
// ---------------------------------------------------------------------------------------------------------

#[track_caller]
fn unchanged(source: Source) {
    let before = contents(&source.path);
    let stage = Stage::of(source);
    let done = stage.back();
    for table in &done.tables {
        assert_eq!((table.updated, table.inserted, table.deleted, table.unfit), (0, 0, 0, 0), "{table:?}");
    }
    same_lines(&contents(&stage.to()), &before);
    if !stage.source.path.with_file_name("source.db-wal").exists() {
        assert!(std::fs::read(stage.to()).unwrap() == stage.bytes, "not even a byte of the file is another");
    }
}

#[test]
fn an_unchanged_target_gives_the_source_back_to_the_byte() {
    for name in ["types.sql", "names.sql", "schema.sql", "utf16.sql"] {
        unchanged(Source::fixture(name));
    }
}

#[test]
fn whole_numbers_of_every_class_go_into_a_column_of_integers_and_come_back() {
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n TEXT, x, k TEXT UNIQUE);
         INSERT INTO t VALUES (1, '12', 12, '1'), (2, '007', 5.0, '2'), (3, '+3', '-9223372036854775808', '3'),
           (4, NULL, -0.0, '4'), (5, '-0', '9', '5');",
    );
    let target = database();
    let types = [("t.n", PgType::Int8), ("t.x", PgType::Int8), ("t.k", PgType::Int4)];
    let mut options = Options::new(&source.path);
    options.wish.folder = source.path.with_file_name("differences");
    options.rules.types = types.map(|(name, of)| (name.to_owned(), of)).into();
    run::migrate(&options, &target, &Listener::default(), &AtomicBool::new(false))
        .unwrap_or_else(|e| panic!("{}", told(&e)));
    let asked = value(&session(&target), "SELECT string_agg(concat_ws(',', n, x, k), ' ' ORDER BY id) FROM t");
    assert_eq!(asked, "12,12,1 7,5,2 3,-9223372036854775808,3 0,4 0,9,5");
    let bytes = std::fs::read(&source.path).unwrap();
    let stage = Stage { source, target, bytes };
    stage.back();
    assert!(std::fs::read(stage.to()).unwrap() == stage.bytes, "unchanged cells keep class and spelling");
    // What was changed takes the class that the cell had.
    stage.pg("UPDATE t SET n = n + 1, x = x + 1 WHERE id IN (1, 2, 5)");
    stage.back();
    same(
        &stage.to(),
        &stage
            .mirror(
                "UPDATE t SET n = '13', x = 13 WHERE id = 1; UPDATE t SET n = '8', x = 6.0 WHERE id = 2;
                     UPDATE t SET n = '1', x = '10' WHERE id = 5;",
            )
            .path,
    );
}

#[test]
fn settings_free_pages_and_sequences_are_the_sources() {
    unchanged(Source::sql(
        "PRAGMA auto_vacuum = INCREMENTAL; PRAGMA user_version = 7; PRAGMA application_id = 252006674;
         CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); CREATE TABLE gone (x);
         INSERT INTO t VALUES (5, 'a'), (900, 'b'); DELETE FROM t WHERE id = 900;
         INSERT INTO gone WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) SELECT hex(randomblob(50)) FROM n;
         DROP TABLE gone;",
    ));
}

#[test]
fn a_source_in_a_wal_comes_back_with_its_frames() {
    let source = Source::sql("PRAGMA journal_mode = WAL; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT)");
    let writer = source.open();
    writer.execute_batch("PRAGMA wal_autocheckpoint = 0; INSERT INTO t VALUES (1, 'in the wal')").unwrap();
    let before = contents(&source.path);
    let stage = Stage::of(source);
    stage.back();
    same_lines(&contents(&stage.to()), &before);
    // The application ends: SQLite writes the frames into the file, whose rows are still those that were loaded.
    writer.execute_batch("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    drop(writer);
    let stage = Stage { bytes: std::fs::read(&stage.source.path).unwrap(), ..stage };
    stage.pg("UPDATE t SET v = 'new' WHERE id = 1");
    let done = stage.back();
    assert_eq!(counts(&done, "t"), (0, 1, 0, 0));
    assert!(contents(&stage.to()).iter().any(|line| line.contains("journal_mode Text(\"wal\")")));
}

#[test]
fn another_source_than_the_one_that_was_loaded_is_refused() {
    let stage = Stage::sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')");
    stage.source.open().execute_batch("UPDATE t SET v = 'b'").unwrap();
    let stage = Stage { bytes: std::fs::read(&stage.source.path).unwrap(), ..stage };
    let error = stage.try_with(&stage.options()).expect_err("another source");
    assert_eq!(error.kind(), Kind::Blocked);
    assert!(told(&error).contains("the rows of `t` are not those that were loaded"), "{}", told(&error));
}

#[test]
fn every_file_of_the_corpus_comes_back_to_the_byte() {
    let Some(folder) = std::env::var_os("LITE2PG_CORPUS") else { return };
    let mut files: Vec<PathBuf> = Vec::new();
    let mut folders = vec![PathBuf::from(folder)];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if std::fs::read(&path).unwrap().starts_with(b"SQLite format 3\0") {
                files.push(path);
            }
        }
    }
    files.sort();
    assert!(!files.is_empty());
    for file in files {
        println!("{}", file.display());
        unchanged(Source::copy_of(&file));
    }
}

// ---------------------------------------------------------------------------------------------------------
// Writes on both sides
// ---------------------------------------------------------------------------------------------------------

const SHOP: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, since DATE, j JSON, x REAL,
        price DECIMAL(10,2), ok BOOLEAN, at DATETIME, ref UUID, data BLOB);
    INSERT INTO customer VALUES
        (1, 'Ann', '2024-01-31', '{\"b\": 1,   \"a\": [1.50]}', 1.5, 12.5, 1, '2024-01-31T12:00:00Z', '0A0B0C0D-0000-4000-8000-00000000000A', x'00ff'),
        (2, 'Bob', NULL, '{}', 2, 3, 0, '2024-02-01T00:00:00Z', '0A0B0C0D-0000-4000-8000-00000000000B', NULL),
        (7, 'Cem', '1999-12-31', NULL, NULL, NULL, NULL, NULL, NULL, x'');
    CREATE TABLE line (customer INTEGER REFERENCES customer ON DELETE CASCADE, n INTEGER, what TEXT, PRIMARY KEY (customer, n)) WITHOUT ROWID;
    INSERT INTO line VALUES (1, 1, 'tea'), (1, 2, 'salt'), (2, 1, 'x');
    CREATE TABLE word (w TEXT PRIMARY KEY, n INTEGER);
    INSERT INTO word VALUES ('b', 1), ('a', 2), ('c', 3);
    CREATE TABLE heap (a INTEGER, b TEXT);
    INSERT INTO heap VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, 'y');
    CREATE TABLE device (id UUID PRIMARY KEY, v TEXT);
    INSERT INTO device VALUES ('0a0b0c0d-0000-4000-8000-00000000000a', 'one'), ('0a0b0c0d-0000-4000-8000-00000000000b', 'two');
    CREATE INDEX customer_since ON customer (since DESC) WHERE ok;
    CREATE UNIQUE INDEX word_n ON word (n);
    CREATE VIEW v AS SELECT name FROM customer;
    CREATE TABLE log (t TEXT);
    CREATE TRIGGER touched AFTER UPDATE ON customer BEGIN INSERT INTO log VALUES ('touched ' || new.id); END;
    CREATE TRIGGER gone AFTER DELETE ON customer BEGIN INSERT INTO log VALUES ('gone ' || old.id); END;
    CREATE TRIGGER born AFTER INSERT ON customer BEGIN INSERT INTO log VALUES ('born ' || new.id); END;";

/// The mirror's own triggers must not write what PostgreSQL did not.
const NO_TRIGGERS: &str = "DROP TRIGGER touched; DROP TRIGGER gone; DROP TRIGGER born;";

/// The same writes by SQLite without its triggers firing; the schema stays.
fn quietly(stage: &Stage, sql: &str) -> Vec<String> {
    let mirror = stage.mirror(&format!("{NO_TRIGGERS} {sql}"));
    contents(&mirror.path).into_iter().filter(|line| !line.starts_with("sqlite_schema")).collect()
}

#[track_caller]
fn shop(pg: &str, sqlite: &str) -> Restored {
    let stage = Stage::sql(SHOP);
    stage.pg(pg);
    let done = stage.back();
    let (schema, rows): (Vec<String>, Vec<String>) =
        contents(&stage.to()).into_iter().partition(|line| line.starts_with("sqlite_schema"));
    same_lines(&rows, &quietly(&stage, sqlite));
    let before: Vec<String> =
        contents(&stage.source.path).into_iter().filter(|line| line.starts_with("sqlite_schema")).collect();
    assert_eq!(schema, before, "the schema is the source's, in its order");
    stage.forward_again();
    done
}

#[test]
fn each_column_that_was_changed_alone_is_written_alone() {
    for (pg, sqlite) in [
        ("name = 'Änn'", "name = 'Änn'"),
        ("since = '2000-02-29'", "since = '2000-02-29'"),
        ("j = '{\"z\":1}'", "j = '{\"z\": 1}'"),
        ("x = -0.1", "x = -0.1"),
        ("price = 99.99", "price = 99.99"),
        ("price = 7", "price = 7"),
        ("ok = false", "ok = 0"),
        ("at = '2025-06-30 23:59:59+02'", "at = '2025-06-30T21:59:59Z'"),
        ("at = '2025-06-30 23:59:59.5Z'", "at = '2025-06-30T23:59:59.500Z'"),
        ("ref = 'ffffffff-0000-4000-8000-00000000000f'", "ref = 'FFFFFFFF-0000-4000-8000-00000000000F'"),
        ("data = '\\x01'", "data = x'01'"),
        ("data = NULL", "data = NULL"),
    ] {
        let done = shop(
            &format!("UPDATE customer SET {pg} WHERE id = 1"),
            &format!("UPDATE customer SET {sqlite} WHERE id = 1"),
        );
        assert_eq!(counts(&done, "customer"), (2, 1, 0, 0), "{pg}");
    }
}

#[test]
fn rows_that_came_went_or_changed_their_key_are_the_same_as_in_sqlite() {
    let done = shop(
        "INSERT INTO customer (name, since, j, x, price, ok, at, ref, data) VALUES
            ('Dee', '2024-05-01', '[1]', 0.5, 1.25, true, '2024-05-01 10:00:00Z', '0a0b0c0d-0000-4000-8000-00000000000c', '\\x02');
         DELETE FROM customer WHERE id = 2;
         UPDATE line SET n = 9 WHERE n = 2;
         INSERT INTO line VALUES (7, 1, 'new');
         INSERT INTO word VALUES ('d', 4); DELETE FROM word WHERE w = 'a'; UPDATE word SET w = 'bb' WHERE w = 'b';
         DELETE FROM device WHERE v = 'two'; INSERT INTO device VALUES ('0a0b0c0d-0000-4000-8000-00000000000e', 'three')",
        "INSERT INTO customer VALUES (8, 'Dee', '2024-05-01', '[1]', 0.5, 1.25, 1, '2024-05-01T10:00:00Z', '0A0B0C0D-0000-4000-8000-00000000000C', x'02');
         DELETE FROM customer WHERE id = 2;
         DELETE FROM line WHERE customer = 2;
         DELETE FROM line WHERE n = 2; INSERT INTO line VALUES (1, 9, 'salt'), (7, 1, 'new');
         DELETE FROM word WHERE w IN ('a', 'b'); INSERT INTO word VALUES ('d', 4), ('bb', 1);
         DELETE FROM device WHERE v = 'two'; INSERT INTO device VALUES ('0a0b0c0d-0000-4000-8000-00000000000e', 'three')",
    );
    assert_eq!(counts(&done, "customer"), (2, 0, 1, 1));
    assert_eq!(counts(&done, "line"), (1, 0, 2, 2));
}

#[test]
fn a_truncated_table_is_empty() {
    let done = shop("TRUNCATE customer, line, heap", "DELETE FROM customer; DELETE FROM line; DELETE FROM heap");
    assert_eq!(counts(&done, "heap"), (0, 0, 0, 4));
}

#[test]
fn rows_without_a_key_count_as_often_as_they_are_there() {
    let stage = Stage::sql(
        "CREATE TABLE heap (a INTEGER, b TEXT); INSERT INTO heap VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, 'y')",
    );
    let done = stage.both(
        "DELETE FROM heap WHERE ctid IN (SELECT ctid FROM heap WHERE a = 1 LIMIT 2); INSERT INTO heap VALUES (3, 'z'), (3, 'z')",
        "DELETE FROM heap WHERE rowid IN (2, 3); INSERT INTO heap VALUES (3, 'z'), (3, 'z')",
    );
    assert_eq!(counts(&done, "heap"), (2, 0, 2, 2));
}

#[test]
fn unique_values_may_change_places() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, u TEXT UNIQUE, n INTEGER); CREATE UNIQUE INDEX t_n ON t (n) WHERE n > 0;
         INSERT INTO t VALUES (1, 'a', 1), (2, 'b', 2), (3, 'c', 3), (4, 'd', -1), (5, 'e', -1);
         CREATE TABLE r (k TEXT PRIMARY KEY, u TEXT UNIQUE); INSERT INTO r VALUES ('x', '1'), ('y', '2');
         CREATE TABLE w (k TEXT PRIMARY KEY, u TEXT UNIQUE) WITHOUT ROWID; INSERT INTO w VALUES ('x', '1'), ('y', '2')",
    );
    stage.both(
        "ALTER TABLE t DROP CONSTRAINT t_u_key; DROP INDEX t_n;
         UPDATE t SET u = CASE id WHEN 1 THEN 'b' WHEN 2 THEN 'c' WHEN 3 THEN 'a' ELSE u END, n = CASE id WHEN 1 THEN 2 WHEN 2 THEN 1 ELSE n END;
         DELETE FROM t WHERE id = 5; INSERT INTO t VALUES (6, 'e', 9);
         ALTER TABLE r DROP CONSTRAINT r_u_key; UPDATE r SET u = 3 - u::int;
         ALTER TABLE w DROP CONSTRAINT w_u_key; UPDATE w SET u = 3 - u::int",
        "DELETE FROM t; INSERT INTO t VALUES (1, 'b', 2), (2, 'c', 1), (3, 'a', 3), (4, 'd', -1), (6, 'e', 9);
         DELETE FROM r; INSERT INTO r VALUES ('x', '2'), ('y', '1');
         DELETE FROM w; INSERT INTO w VALUES ('x', '2'), ('y', '1')",
    );
}

#[test]
fn conflict_clauses_of_the_schema_take_no_row_away() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY ON CONFLICT REPLACE, u TEXT UNIQUE ON CONFLICT REPLACE, v TEXT NOT NULL ON CONFLICT IGNORE);
         INSERT INTO t VALUES (1, 'a', 'x'), (2, 'b', 'y')",
    );
    stage.both(
        "ALTER TABLE t DROP CONSTRAINT t_u_key; UPDATE t SET u = CASE id WHEN 1 THEN 'b' ELSE 'a' END; INSERT INTO t VALUES (3, 'c', 'z')",
        "DELETE FROM t; INSERT INTO t VALUES (1, 'b', 'x'), (2, 'a', 'y'), (3, 'c', 'z')",
    );
}

#[test]
fn generated_columns_are_computed_and_indexes_follow() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b INTEGER GENERATED ALWAYS AS (a * 2) STORED, c TEXT AS ('v' || a) VIRTUAL);
         CREATE INDEX t_c ON t (c); CREATE INDEX t_e ON t (a + 1);
         INSERT INTO t (id, a) VALUES (1, 10), (2, 20), (3, 30)",
    );
    let done = stage.both(
        "UPDATE t SET a = 11 WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t (id, a) VALUES (4, 40)",
        "UPDATE t SET a = 11 WHERE id = 1; DELETE FROM t WHERE id = 2; INSERT INTO t (id, a) VALUES (4, 40)",
    );
    assert_eq!(counts(&done, "t"), (1, 1, 1, 1));
}

#[test]
fn an_identity_that_gave_out_more_moves_autoincrement_on() {
    let schema = "CREATE TABLE t (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); INSERT INTO t VALUES (1, 'a');
                  CREATE TABLE never (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT);
                  CREATE TABLE plain (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO plain VALUES (1, 'a')";
    let stage = Stage::sql(schema);
    let done = stage.both(
        "INSERT INTO t (v) VALUES ('b'), ('c'); DELETE FROM t WHERE v <> 'a';
         INSERT INTO never (v) VALUES ('x'); DELETE FROM never; INSERT INTO plain (v) VALUES ('x'); DELETE FROM plain WHERE v = 'x'",
        "INSERT INTO t (v) VALUES ('b'), ('c'); DELETE FROM t WHERE v <> 'a'; INSERT INTO never (v) VALUES ('x'); DELETE FROM never",
    );
    assert_eq!(done.sequences, [("t".to_owned(), 3), ("never".to_owned(), 1)]);
}

#[test]
fn what_was_loaded_under_other_names_comes_back_under_its_own() {
    let source = Source::sql(
        "CREATE TABLE \"Order Line\" (\"orderId\" INTEGER PRIMARY KEY, \"CTID\" TEXT, xmin TEXT); INSERT INTO \"Order Line\" VALUES (1, 'a', 'b')",
    );
    let stage = Stage::with(source, |o| o.spelling = lite2pg::model::name::Spelling::Snake);
    let table =
        value(&session(&stage.target), "SELECT relname FROM pg_class WHERE relname LIKE 'order%' AND relkind = 'r'");
    assert_eq!(table, "order_line");
    stage.pg("UPDATE order_line SET order_id = 2");
    stage.back();
    same(
        &stage.to(),
        &stage.mirror("DELETE FROM \"Order Line\"; INSERT INTO \"Order Line\" VALUES (2, 'a', 'b')").path,
    );
}

#[test]
fn what_stood_in_for_bad_text_gives_the_text_back_unless_it_was_changed() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER);
         INSERT INTO t VALUES (1, 'a' || char(0) || 'b', 1), (2, CAST(x'ff41' AS TEXT), 1), (3, 'x' || char(0), 1)",
    );
    stage.both(
        "UPDATE t SET n = 2 WHERE id < 3; UPDATE t SET v = 'y' WHERE id = 3",
        "UPDATE t SET n = 2 WHERE id < 3; UPDATE t SET v = 'y' WHERE id = 3",
    );
}

#[test]
fn new_cells_look_like_those_that_are_there() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, flag BOOLEAN, at DATETIME, ms TIMESTAMP, jd TIMESTAMP, tm TIME, u UUID, any, txt DECIMAL(10,2), t2 TEXT);
         INSERT INTO t VALUES
            (1, 'Yes', '2024-01-31 12:00:00.000001', 1700000000123, 2460341.5, '12:30', '{0a0b0c0d-0000-4000-8000-00000000000a}', 5, 1.5, 'a'),
            (2, 'No', '2024-01-31 12:00:00.500000', 1700000000124, 2460342.5, '12:31', '{0a0b0c0d-0000-4000-8000-00000000000b}', 6, 2, 'b'),
            (3, 'Yes', '2024-01-31 13:00:00.500000', 1700000000125, 2460343.25, '12:32', '{0a0b0c0d-0000-4000-8000-00000000000c}', 'w', 3, 'c')",
    );
    stage.both(
        "INSERT INTO t VALUES (4, true, '2025-01-01 00:00:00Z', '2023-11-14 22:13:20.5Z', '2024-02-01 00:00:00Z', '01:02:00', '0a0b0c0d-0000-4000-8000-00000000000d', '77', 9.75, 'd');
         UPDATE t SET flag = NOT flag, \"any\" = '8' WHERE id = 2",
        "INSERT INTO t VALUES (4, 'Yes', '2025-01-01 00:00:00.000000', 1700000000500, 2460341.5, '01:02', '{0a0b0c0d-0000-4000-8000-00000000000d}', 77, 9.75, 'd');
         UPDATE t SET flag = 'Yes', \"any\" = 8 WHERE id = 2",
    );
}

// ---------------------------------------------------------------------------------------------------------
// What cannot go back
// ---------------------------------------------------------------------------------------------------------

/// Makes a table, changes PostgreSQL, and looks why it is refused.
#[track_caller]
fn refuses(sqlite: &str, pg: &str, expect: &[&str]) {
    let stage = Stage::sql(sqlite);
    stage.pg(pg);
    let why = stage.refused();
    let lines: Vec<&str> = why.lines().collect();
    assert_eq!(lines.len(), expect.len(), "{why}");
    for word in expect {
        assert!(why.contains(word), "`{word}` is not among the reasons:\n{why}");
    }
}

#[test]
fn values_that_no_cell_stands_for_are_refused() {
    refuses(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, d DATE, tm TIME, x REAL, n DECIMAL(30,2), e TIMESTAMP);
         INSERT INTO t VALUES (1, '2024-01-31 12:00:00', '2024-01-31', '12:00:00', 1.5, 1.25, 1700000000)",
        "INSERT INTO t (id, at) VALUES (2, 'infinity'); INSERT INTO t (id, d) VALUES (3, '-infinity'); INSERT INTO t (id, at) VALUES (4, '10000-01-01');
         INSERT INTO t (id, tm) VALUES (5, '24:00'); INSERT INTO t (id, x) VALUES (6, 'NaN'), (7, '-0');
         INSERT INTO t (id, n) VALUES (8, 1234567890123456789012.25), (9, 'NaN'); INSERT INTO t (id, e) VALUES (10, 'infinity');
         UPDATE t SET at = '-infinity', x = 'NaN' WHERE id = 1",
        &[
            "t.at 2: an infinite time [id=1; id=2]",
            "t.at 1: a time outside the years 1 to 9999",
            "t.d 1: an infinite time [id=3]",
            "t.tm 1: a time outside",
            "t.x 2: NaN, which SQLite stores as NULL [id=1; id=6]",
            "t.x 1: a value that the column's declared type changes into another [id=7]",
            "t.n 1: a number that a cell of this column cannot hold exactly [id=8]",
            "t.n 1: NaN",
            "t.e 1: an infinite time",
        ],
    );
}

#[test]
fn rows_that_sqlite_refuses_are_refused_in_its_words() {
    refuses(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT NOT NULL, n INTEGER CHECK (n < 100), u TEXT UNIQUE COLLATE NOCASE);
         CREATE TABLE s (id INTEGER PRIMARY KEY, v INT, b BLOB) STRICT;
         CREATE TABLE k (a TEXT PRIMARY KEY COLLATE NOCASE) WITHOUT ROWID;
         INSERT INTO t VALUES (1, 'a', 1, 'x'), (2, 'b', 2, 'y'); INSERT INTO s VALUES (1, 5, x'00'); INSERT INTO k VALUES ('a')",
        "ALTER TABLE t ALTER v DROP NOT NULL, DROP CONSTRAINT t_n_check; UPDATE t SET v = NULL WHERE id = 1; UPDATE t SET n = 100 WHERE id = 2;
         DROP INDEX t_u_key; INSERT INTO t VALUES (3, 'c', 3, 'X');
         DROP INDEX k_pkey_fold; INSERT INTO k VALUES ('A')",
        &[
            "t 1: SQLite refuses the row: NOT NULL constraint failed: t.v [id=1]",
            "t 1: SQLite refuses the row: CHECK constraint failed: n < 100 [id=2]",
            "t 1: SQLite refuses the row: UNIQUE constraint failed: t.u [id=3]",
            "k 1: SQLite refuses the row: UNIQUE constraint failed: k.a",
        ],
    );
}

#[test]
fn a_text_that_its_column_would_change_is_refused() {
    refuses(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v NUMERIC); INSERT INTO t VALUES (1, 'a'), (2, 'b')",
        "UPDATE t SET v = '1e3' WHERE id = 1; UPDATE t SET v = '12' WHERE id = 2",
        &["t.v 1: a value that the column's declared type changes into another [id=1]"],
    );
}

#[test]
fn a_key_of_times_has_one_spelling() {
    refuses(
        "CREATE TABLE t (at DATETIME PRIMARY KEY, v TEXT); INSERT INTO t VALUES ('2024-01-31 12:00', 'a'), ('2024-01-31 13:00', 'b')",
        "INSERT INTO t VALUES ('2024-01-31 14:00:01Z', 'c'), ('2024-01-31 15:00Z', 'd')",
        &["t.at 1: a time that cannot be said in the one spelling of the column"],
    );
}

#[test]
fn a_generated_column_that_postgres_fills_otherwise_is_refused() {
    refuses(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT AS (printf('%05d', a)) STORED); INSERT INTO t (id, a) VALUES (1, 5), (2, 6)",
        "UPDATE t SET b = 'other' WHERE id = 1; INSERT INTO t VALUES (3, 7, '00007')",
        &["t.b 1: SQLite computes the column, and comes to another value [id=1]"],
    );
}

#[test]
fn a_column_of_a_type_without_a_way_back_is_refused_as_that_and_may_be_left() {
    let stage =
        Stage::sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, w TEXT); INSERT INTO t VALUES (1, '::1', 'a')");
    stage.pg("ALTER TABLE t ALTER v TYPE inet USING v::inet; UPDATE t SET w = 'b'");
    assert_eq!(stage.refused(), "t.v 1: its type there has no way back, and PostgreSQL has values in it []");
    let leaving = RollbackOptions { leave: vec!["t.v".to_owned()], ..stage.options() };
    assert_eq!(stage.with_options(&leaving).ending, Ending::Published);
    let row = |row: &rusqlite::Row<'_>| Ok((row.get::<_, String>(1)?, row.get::<_, String>(2)?));
    let found = rusqlite::Connection::open(stage.to()).unwrap().query_row("SELECT * FROM t", [], row).unwrap();
    assert_eq!(found, ("::1".to_owned(), "b".to_owned()), "the cells of the column stay, the row's others go back");
}

#[test]
fn what_sqlite_never_had_is_refused_where_it_holds_anything() {
    let stage = Stage::sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    stage.pg(
        "CREATE TABLE more (id int PRIMARY KEY, v text); CREATE TABLE none (id int); ALTER TABLE t ADD c text, ADD e text;
         INSERT INTO more VALUES (1, 'x'), (2, 'y'); UPDATE t SET c = 'new' WHERE id = 2",
    );
    let why = stage.refused();
    assert_eq!(
        why,
        "more 2: SQLite never had the table, and PostgreSQL has rows in it []\n\
         t.c 1: SQLite never had the column, and PostgreSQL has values in it []"
    );
    // Left behind, as asked.
    let leave =
        |names: &[&str]| RollbackOptions { leave: names.iter().map(|n| (*n).to_owned()).collect(), ..stage.options() };
    assert_eq!(stage.with_options(&leave(&["more", "t.c"])).ending, Ending::Published);
    same(&stage.to(), &stage.source.path);
    let error = stage.try_with(&leave(&["more", "t.c", "nosuch"])).expect_err("no such name");
    assert_eq!(error.kind(), Kind::Usage, "{}", told(&error));
    // Or kept in files.
    let folder = stage.source.path.with_file_name("unmappable");
    let exporting = RollbackOptions { export: Some(folder.clone()), ..stage.options() };
    let dry = stage.with_options(&RollbackOptions { dry_run: true, ..exporting.clone() });
    assert_eq!((dry.ending, folder.exists()), (Ending::DryRun, false));
    let done = stage.with_options(&exporting);
    assert_eq!(done.ending, Ending::Published);
    assert_eq!(restored::error(&done).unwrap().kind(), Kind::Rejected);
    assert_eq!(std::fs::read_to_string(folder.join("more.csv")).unwrap(), "id,v\n1,x\n2,y\n");
    assert_eq!(std::fs::read_to_string(folder.join("t.c.csv")).unwrap(), "id,c\n2,new\n");
    assert_eq!(mode(&folder.join("more.csv")), 0o600);
}

fn mode(path: &std::path::Path) -> u32 {
    use std::os::unix::fs::PermissionsExt;
    std::fs::metadata(path).unwrap().permissions().mode() & 0o777
}

#[test]
fn what_is_put_into_files_is_missing_in_the_restored_file_and_nothing_else_is() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, x REAL, u TEXT UNIQUE COLLATE NOCASE);
         INSERT INTO t VALUES (1, 'a', 1.5, 'p'), (2, 'b', 2.5, 'q'), (3, 'c', 3.5, 'r')",
    );
    stage.pg(
        "DROP INDEX t_u_key; UPDATE t SET x = 'NaN', v = 'changed' WHERE id = 1; UPDATE t SET u = 'Q' WHERE id = 3;
         INSERT INTO t VALUES (4, 'new', 'NaN', 's'), (5, 'fine', 5.5, 'five')",
    );
    let folder = stage.source.path.with_file_name("unmappable");
    let done = stage.with_options(&RollbackOptions { export: Some(folder.clone()), ..stage.options() });
    let table = &done.tables[0];
    assert_eq!(
        (table.unchanged, table.updated, table.inserted, table.unfit),
        (1, 0, 1, 3),
        "{}",
        restored::text(&done)
    );
    same(
        &stage.to(),
        &stage.mirror("UPDATE t SET v = 'changed' WHERE id = 1; INSERT INTO t VALUES (5, 'fine', 5.5, 'five')").path,
    );
    let csv = std::fs::read_to_string(folder.join("t.csv")).unwrap();
    for line in [
        "key,column,is_null,value,reason",
        "id=1,x,false,NaN,\"NaN, which SQLite stores as NULL\"",
        "id=3,u,false,Q,SQLite refuses the row: UNIQUE constraint failed: t.u",
        "id=4,v,false,new,\"left out with its row, of which `x` cannot go back\"",
        "id=4,x,false,NaN,\"NaN, which SQLite stores as NULL\"",
    ] {
        assert!(csv.lines().any(|l| l == line), "no line `{line}` in\n{csv}");
    }
}

#[test]
fn what_the_target_dropped_stays_as_the_source_has_it_and_is_said() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, w TEXT DEFAULT 'dflt'); INSERT INTO t VALUES (1, 'a', 'p'), (2, 'b', 'q');
         CREATE TABLE gone (id INTEGER PRIMARY KEY); INSERT INTO gone VALUES (1)",
    );
    stage.pg(
        "DROP TABLE gone; ALTER TABLE t DROP w; UPDATE t SET v = 'c' WHERE id = 1; INSERT INTO t VALUES (3, 'new')",
    );
    let done = stage.back();
    let said: Vec<String> = done.remarks.iter().map(|r| format!("{}: {}", r.object, r.text)).collect();
    assert_eq!(
        said,
        [
            "t.w: the target has no such column any more: its cells stay as the source has them",
            "gone: the target has no such table any more: its rows stay as the source has them",
        ]
    );
    same(&stage.to(), &stage.mirror("UPDATE t SET v = 'c' WHERE id = 1; INSERT INTO t (id, v) VALUES (3, 'new')").path);
}

#[test]
fn a_column_of_another_type_is_refused_unless_it_is_left() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER); INSERT INTO t VALUES (1, '7', 1), (2, NULL, 2)",
    );
    stage.pg("ALTER TABLE t ALTER v TYPE inet USING '::1'::inet; UPDATE t SET n = 5 WHERE id = 2");
    let why = stage.refused();
    assert!(why.starts_with("t.v 2: "), "{why}");
    let done = stage.with_options(&RollbackOptions { leave: vec!["t.v".to_owned()], ..stage.options() });
    assert_eq!(done.ending, Ending::Published);
    same(&stage.to(), &stage.mirror("UPDATE t SET n = 5 WHERE id = 2").path);
}

#[test]
fn a_wider_type_on_the_target_has_a_way_back_and_is_verified_as_wide() {
    let source =
        Source::sql("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, v TEXT); INSERT INTO t VALUES (1, 1, 'a')");
    let stage = Stage::with(source, |o| o.types.narrow_integers = true);
    stage.pg("ALTER TABLE t ALTER n TYPE bigint, ALTER v TYPE varchar(50); UPDATE t SET n = 5000000000");
    stage.back();
    same(&stage.to(), &stage.mirror("UPDATE t SET n = 5000000000").path);
    let options = Options { schema: stage.options().schema, ..Options::new(stage.to()) };
    let found = run::verify(&options, &stage.target, false, &Silent, &AtomicBool::new(false)).expect("a comparison");
    assert!(found.is_equal(), "{found:?}");
}

// ---------------------------------------------------------------------------------------------------------
// Where the file goes
// ---------------------------------------------------------------------------------------------------------

#[test]
fn a_dry_run_says_the_same_and_leaves_nothing() {
    let stage = Stage::sql(SHOP);
    stage.pg("UPDATE customer SET name = 'x' WHERE id = 1; DELETE FROM line; INSERT INTO heap VALUES (9, 'n')");
    let dry = stage.with_options(&RollbackOptions { dry_run: true, ..stage.options() });
    assert_eq!(dry.ending, Ending::DryRun);
    assert!(!stage.to().exists());
    assert_eq!(dry.tables, stage.back().tables);
}

#[test]
fn a_file_that_is_there_is_replaced_only_where_that_was_asked_for() {
    let stage = Stage::sql("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    std::fs::write(stage.to(), "precious").unwrap();
    let plain = RollbackOptions { force: false, ..stage.options() };
    let error = stage.try_with(&plain).expect_err("it is there");
    assert_eq!(error.kind(), Kind::Blocked, "{}", told(&error));
    assert_eq!(std::fs::read_to_string(stage.to()).unwrap(), "precious");
    stage.back();
    assert_eq!(mode(&stage.to()), 0o600);
    same(&stage.to(), &stage.source.path);
    let itself = RollbackOptions { to: stage.source.path.clone(), ..stage.options() };
    assert_eq!(stage.try_with(&itself).expect_err("the source").kind(), Kind::Usage);
    let journal = stage.source.path.with_file_name("other.db-journal");
    std::fs::write(&journal, "x").unwrap();
    let beside = RollbackOptions { to: stage.source.path.with_file_name("other.db"), ..stage.options() };
    assert_eq!(stage.try_with(&beside).expect_err("a journal is there").kind(), Kind::Blocked);
    let nowhere = RollbackOptions { to: stage.source.path.with_file_name("no").join("such.db"), ..stage.options() };
    assert_eq!(stage.try_with(&nowhere).expect_err("no such folder").kind(), Kind::Usage);
}

#[test]
fn without_a_finished_run_there_is_no_way_back() {
    let source = Source::sql("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    let bytes = std::fs::read(&source.path).unwrap();
    let stage = Stage { source, target: database(), bytes };
    let error = stage.try_with(&stage.options()).expect_err("no run");
    assert_eq!(error.kind(), Kind::Blocked);
    let stage = Stage::sql("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    stage.pg("UPDATE lite2pg.run SET state = 'finishing'");
    let error = stage.try_with(&stage.options()).expect_err("an unfinished run");
    assert!(told(&error).contains("has not ended"), "{}", told(&error));
    stage.pg("UPDATE lite2pg.run SET state = 'done', options = jsonb_set(options::jsonb, '{scope}', '\"schema_only\"')::text");
    let error = stage.try_with(&stage.options()).expect_err("a run without rows");
    assert!(told(&error).contains("no rows"), "{}", told(&error));
}

#[test]
fn rows_that_were_added_to_others_have_no_way_back() {
    let source = Source::sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')");
    let target = database();
    session(&target)
        .batch("CREATE TABLE t (id bigint PRIMARY KEY, v text); INSERT INTO t VALUES (5, 'theirs')")
        .unwrap();
    let mut options = Options::new(&source.path);
    options.conflict = Some(lite2pg::load::Conflict::Fail);
    let _ = run::migrate(&options, &target, &Listener::default(), &AtomicBool::new(false));
    let bytes = std::fs::read(&source.path).unwrap();
    let stage = Stage { source, target, bytes };
    let error = stage.try_with(&stage.options()).expect_err("shared tables");
    assert!(told(&error).contains("added its rows"), "{}", told(&error));
}

#[test]
fn virtual_tables_are_said_to_be_stale_once_rows_were_written() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); CREATE VIRTUAL TABLE f USING fts5(v, content='t', content_rowid='id');
         CREATE TRIGGER tf AFTER UPDATE ON t BEGIN INSERT INTO f(f, rowid, v) VALUES ('delete', old.id, old.v); INSERT INTO f(rowid, v) VALUES (new.id, new.v); END;
         INSERT INTO t VALUES (1, 'a'); INSERT INTO f(rowid, v) VALUES (1, 'a')",
    );
    assert!(stage.back().remarks.iter().all(|r| r.object != "f"));
    stage.pg("UPDATE t SET v = 'b'");
    let done = stage.back();
    let remark = done.remarks.iter().find(|r| r.object == "f").unwrap();
    assert_eq!(remark.sql.as_deref(), Some("INSERT INTO \"f\" (\"f\") VALUES ('rebuild')"));
}

#[test]
fn new_orphans_are_said_and_old_ones_are_not() {
    let stage = Stage::sql(
        "PRAGMA foreign_keys = OFF; CREATE TABLE p (id INTEGER PRIMARY KEY); CREATE TABLE c (id INTEGER PRIMARY KEY, p INTEGER REFERENCES p);
         INSERT INTO p VALUES (1); INSERT INTO c VALUES (1, 1), (2, 99)",
    );
    stage.pg("ALTER TABLE c DROP CONSTRAINT c_p_fkey; UPDATE c SET id = 3 WHERE id = 1");
    assert!(stage.back().remarks.is_empty());
    stage.pg("INSERT INTO c VALUES (4, 98)");
    let done = stage.back();
    assert_eq!(done.remarks[0].text, "2 rows refer to no row of `p`, 1 of them did in the source");
}

#[test]
fn tables_that_cannot_be_reached_or_written_here_are_named() {
    let stage = Stage::sql("CREATE TABLE t (rowid TEXT, _rowid_ TEXT, oid TEXT); INSERT INTO t VALUES ('a', 'b', 'c')");
    stage.back();
    stage.pg("INSERT INTO t VALUES ('d', 'e', 'f')");
    let error = stage.try_with(&stage.options()).expect_err("no rowid can be had");
    assert_eq!(error.kind(), Kind::Blocked);
    assert!(told(&error).contains("--leave 't'"), "{}", told(&error));
}

#[test]
fn a_schema_that_needs_the_application_is_left_or_refused() {
    let source = Source::nothing();
    let db = rusqlite::Connection::open(&source.path).unwrap();
    db.create_collation("MINE", Ord::cmp).unwrap();
    db.execute_batch(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT COLLATE MINE); CREATE INDEX t_v ON t (v);
         CREATE TABLE other (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'); INSERT INTO other VALUES (1, 'a')",
    )
    .unwrap();
    drop(db);
    let stage = Stage::of(source);
    stage.back();
    stage.pg("UPDATE other SET v = 'b'");
    stage.back();
    stage.pg("UPDATE t SET v = 'c' WHERE id = 1");
    let error = stage.try_with(&stage.options()).expect_err("an index that nobody here can sort");
    assert_eq!(error.kind(), Kind::Blocked, "{}", told(&error));
    assert!(told(&error).contains("`t`") && told(&error).contains("MINE"), "{}", told(&error));
    let done = stage.with_options(&RollbackOptions { leave: vec!["t".to_owned()], ..stage.options() });
    assert_eq!(done.ending, Ending::Published);
}

#[test]
fn rows_loaded_into_tables_of_an_application_come_back() {
    let source = Source::sql(
        "CREATE TABLE item (id INTEGER PRIMARY KEY, name TEXT, made DATETIME, ok BOOLEAN); INSERT INTO item VALUES (1, 'a', '2024-01-31 12:00:00', 1), (2, 'b', NULL, 0)",
    );
    let target = database();
    session(&target)
        .batch("CREATE TABLE item (id serial PRIMARY KEY, name varchar(20) NOT NULL, made timestamptz, ok boolean, note text)")
        .unwrap();
    let mut options = Options::new(&source.path);
    options.scope = lite2pg::run::Scope::DataOnly;
    options.wish.folder = source.path.with_file_name("differences");
    run::migrate(&options, &target, &Listener::default(), &AtomicBool::new(false))
        .unwrap_or_else(|e| panic!("{}", told(&e)));
    let bytes = std::fs::read(&source.path).unwrap();
    let stage = Stage { source, target, bytes };
    stage.both(
        "UPDATE item SET made = '2025-01-01 00:00:00Z', ok = true WHERE id = 2; INSERT INTO item VALUES (3, 'c', NULL, NULL)",
        "UPDATE item SET made = '2025-01-01 00:00:00', ok = 1 WHERE id = 2; INSERT INTO item VALUES (3, 'c', NULL, NULL)",
    );
}

#[test]
fn a_hot_journal_of_the_source_is_no_obstacle() {
    let stage = Stage::sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')");
    // A writer that died before it had written anything: the journal of the unchanged pages lies beside the file.
    let journal = stage.source.path.with_file_name("source.db-journal");
    let db = stage.source.open();
    db.execute_batch("PRAGMA journal_mode = PERSIST; BEGIN; UPDATE t SET v = 'b'").unwrap();
    let hot = std::fs::read(&journal).unwrap();
    drop(db);
    std::fs::write(&journal, hot).unwrap();
    let before = std::fs::read(&journal).unwrap();
    stage.pg("UPDATE t SET v = 'c'");
    stage.back();
    assert!(std::fs::read(&journal).unwrap() == before);
    let db = rusqlite::Connection::open(stage.to()).unwrap();
    assert_eq!(db.query_row("SELECT v FROM t", [], |r| r.get::<_, String>(0)).unwrap(), "c");
}

#[test]
fn odd_names_encodings_and_large_cells_are_written_as_they_are() {
    let stage = Stage::sql(
        "PRAGMA encoding = 'UTF-16le'; PRAGMA page_size = 1024;
         CREATE TABLE \"a\"\"b; --\" (\"select\" INTEGER PRIMARY KEY, \"x'y\" TEXT, \" \" BLOB);
         INSERT INTO \"a\"\"b; --\" VALUES (1, 'ä', x'00'), (2, '', NULL);
         CREATE TABLE s (k ANY PRIMARY KEY, v TEXT NOT NULL, n INT) STRICT, WITHOUT ROWID; INSERT INTO s VALUES ('one', 'é', 1), ('', 'x', NULL)",
    );
    let large = "é".repeat(1_500_000);
    stage.both(
        &format!(
            "UPDATE \"a\"\"b; --\" SET \"x'y\" = '😀' WHERE \"select\" = 2; INSERT INTO \"a\"\"b; --\" VALUES (3, '{large}', decode(repeat('ff', 2000000), 'hex'));
             UPDATE s SET v = '😀' WHERE k = ''; INSERT INTO s VALUES ('two', 'y', 5)"
        ),
        &format!(
            "UPDATE \"a\"\"b; --\" SET \"x'y\" = '😀' WHERE \"select\" = 2;
             INSERT INTO \"a\"\"b; --\" VALUES (3, '{large}', CAST(replace(hex(zeroblob(1000000)), '00', char(65533)) AS BLOB));
             UPDATE \"a\"\"b; --\" SET \" \" = unhex(replace(hex(zeroblob(2000000)), '0', 'f')) WHERE \"select\" = 3;
             UPDATE s SET v = '😀' WHERE k = ''; INSERT INTO s VALUES ('two', 'y', 5)"
        ),
    );
}

#[test]
fn padding_is_no_part_of_a_text() {
    let source =
        Source::sql("CREATE TABLE t (id INTEGER PRIMARY KEY, c TEXT); INSERT INTO t VALUES (1, 'ab'), (2, 'c')");
    let target = database();
    session(&target).batch("CREATE TABLE t (id bigint PRIMARY KEY, c char(5))").unwrap();
    let mut options = Options::new(&source.path);
    options.scope = lite2pg::run::Scope::DataOnly;
    options.wish.folder = source.path.with_file_name("differences");
    run::migrate(&options, &target, &Listener::default(), &AtomicBool::new(false))
        .unwrap_or_else(|e| panic!("{}", told(&e)));
    let bytes = std::fs::read(&source.path).unwrap();
    let stage = Stage { source, target, bytes };
    stage.both("UPDATE t SET c = 'new' WHERE id = 1", "UPDATE t SET c = 'new' WHERE id = 1");
}

#[test]
fn clocks_of_a_zone_go_back_by_that_zone() {
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME); INSERT INTO t VALUES (1, '2024-07-01 12:00:00'), (2, '2024-01-01 12:00:00')",
    );
    let berlin = lite2pg::model::conversion::Naive::Zone("Europe/Berlin".to_owned());
    let stage = Stage::with(source, |o| o.types.assume_tz = Some(berlin));
    // The last is a moment that the clock shows twice.
    stage.pg(
        "INSERT INTO t VALUES (3, '2024-07-02 10:00:00Z'), (4, '2024-12-02 10:00:00Z'), (5, '2024-10-27 00:30:00Z'), (6, '2024-10-27 01:30:00Z')",
    );
    stage.back();
    same(
        &stage.to(),
        &stage
            .mirror(
                "INSERT INTO t VALUES (3, '2024-07-02 12:00:00'), (4, '2024-12-02 11:00:00'), (5, '2024-10-27 00:30:00Z'), (6, '2024-10-27 01:30:00Z')",
            )
            .path,
    );
}

#[test]
fn a_row_whose_other_cells_would_change_with_it_is_refused() {
    // The column's type was declared after its cells were written: SQLite would make numbers of them.
    refuses(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a BLOB, b TEXT); INSERT INTO t VALUES (1, '12', 'x'), (2, 'y', 'y');
         PRAGMA writable_schema = ON; UPDATE sqlite_schema SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, a INTEGER, b TEXT)'",
        "UPDATE t SET b = 'new'",
        &["t 1: SQLite refuses the row: its cell of `a` would be stored as another one [id=1]"],
    );
}

#[test]
fn rows_that_the_migration_set_aside_stay_and_cells_that_it_replaced_do() {
    use lite2pg::model::pg_type::PgType;
    use lite2pg::model::policy::Policy;
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n); INSERT INTO t VALUES (1, 5), (2, 'bad'), (3, 7), (4, 'bad');
         CREATE TABLE w (k TEXT PRIMARY KEY, n) WITHOUT ROWID; INSERT INTO w VALUES ('a', 1), ('b', 'bad'), ('c', 3), ('d', 'bad');
         CREATE TABLE h (a, n); INSERT INTO h VALUES ('x', 1), ('y', 'bad'), ('z', 3);
         CREATE TABLE r (id INTEGER PRIMARY KEY, n, v TEXT); INSERT INTO r VALUES (1, 5, 'a'), (2, 'bad', 'b'), (3, 'bad', 'c');
         CREATE TABLE same (id INTEGER PRIMARY KEY, n); INSERT INTO same VALUES (1, 5), (2, 'bad')",
    );
    let before = contents(&source.path);
    let stage = Stage::with(source, |o| {
        o.rules.types = ["t", "w", "h", "r", "same"].map(|t| (format!("{t}.n"), PgType::Int8)).to_vec();
        o.rules.policies = vec![(None, Policy::Reject), (Some("r.n".to_owned()), Policy::Null)];
        o.rejects.folder = o.source.with_file_name("rejects");
    });
    let session = session(&stage.target);
    let there = "SELECT (SELECT count(*) FROM t) + (SELECT count(*) FROM w) + (SELECT count(*) FROM h) + (SELECT count(*) FROM r)";
    assert_eq!(value(&session, there), "9");
    stage.back();
    same_lines(&contents(&stage.to()), &before);
    stage.pg("UPDATE t SET n = 6 WHERE id = 1; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (5, 9);
         DELETE FROM w WHERE k = 'a'; INSERT INTO w VALUES ('bb', 2), ('A', 4);
         DELETE FROM h WHERE a = 'x'; INSERT INTO h VALUES ('n', 9);
         UPDATE r SET v = 'B' WHERE id = 2; UPDATE r SET n = 8 WHERE id = 3");
    let done = stage.back();
    assert_eq!(counts(&done, "t"), (0, 1, 1, 1));
    assert_eq!(counts(&done, "same"), (1, 0, 0, 0));
    same(
        &stage.to(),
        &stage
            .mirror(
                "UPDATE t SET n = 6 WHERE id = 1; DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (5, 9);
                 DELETE FROM w WHERE k = 'a'; INSERT INTO w VALUES ('bb', 2), ('A', 4);
                 DELETE FROM h WHERE a = 'x'; INSERT INTO h VALUES ('n', 9);
                 UPDATE r SET v = 'B' WHERE id = 2; UPDATE r SET n = 8 WHERE id = 3",
            )
            .path,
    );
    // A new row in the place of one that was set aside is for a person to decide.
    stage.pg("INSERT INTO t VALUES (2, 1)");
    let done = stage.with_options(&stage.options());
    assert_eq!(done.ending, Ending::Refused);
    assert_eq!(done.unfit[0].reason, "SQLite refuses the row: UNIQUE constraint failed: t.id");
}

#[test]
fn links_and_rows_that_the_role_may_not_see_are_refused() {
    let stage = Stage::sql("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a')");
    let elsewhere = stage.source.path.with_file_name("elsewhere.db");
    std::fs::write(&elsewhere, "precious").unwrap();
    std::os::unix::fs::symlink(&elsewhere, stage.to()).unwrap();
    let error = stage.try_with(&stage.options()).expect_err("a link");
    assert_eq!(error.kind(), Kind::Blocked, "{}", told(&error));
    assert_eq!(std::fs::read_to_string(&elsewhere).unwrap(), "precious");
    std::fs::remove_file(stage.to()).unwrap();
    // A folder that is a link would say where the copy of all rows goes.
    let workshop = stage.source.path.with_file_name(".restored.db.lite2pg");
    let theirs = stage.source.path.with_file_name("theirs");
    std::fs::create_dir(&theirs).unwrap();
    std::os::unix::fs::symlink(&theirs, &workshop).unwrap();
    let result = run::rollback(&stage.options(), &stage.target, &Listener::default(), &AtomicBool::new(false));
    assert!(told(&result.expect_err("a link")).contains("no folder"));
    std::fs::remove_file(&workshop).unwrap();
    // Rows that a policy hides would count as deleted.
    stage.pg("CREATE ROLE blind LOGIN; GRANT USAGE ON SCHEMA public, lite2pg TO blind;
         GRANT SELECT ON ALL TABLES IN SCHEMA public, lite2pg TO blind; GRANT SELECT ON ALL SEQUENCES IN SCHEMA public TO blind;
         ALTER TABLE t ENABLE ROW LEVEL SECURITY");
    let blind = format!("host={} user=blind dbname={}", stage.target.host(), stage.target.dbname());
    let blind = Target::parse(&blind, &lite2pg::postgres::Environment::of_process()).unwrap();
    let fenced = RollbackOptions { fence: run::Fence::During, ..stage.options() };
    stage.pg("ALTER TABLE t DISABLE ROW LEVEL SECURITY");
    let result = run::rollback(&fenced, &blind, &Listener::default(), &AtomicBool::new(false));
    let why = told(&result.expect_err("it may not"));
    assert!(why.contains("no fence can be put up"), "{why}");
    stage.pg("ALTER TABLE t ENABLE ROW LEVEL SECURITY");
    let result = run::rollback(&stage.options(), &blind, &Listener::default(), &AtomicBool::new(false));
    let error = result.expect_err("rows are hidden");
    assert_eq!(error.kind(), Kind::Blocked, "{}", told(&error));
    assert!(!stage.to().exists());
}
