//! `lite2pg rollback`: what was not changed comes back to the byte, what was changed comes back, and what cannot is
//! said before anything is there.
//!
//! The oracle is SQLite: the same writes, done by plain SQL on a copy of the source, must give the same file.
#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::error::Kind;
use lite2pg::model::restored::{Ending, Restored, TableRestored};
use lite2pg::postgres::Target;
use lite2pg::report::restored;
use lite2pg::run::{self, Options, RollbackOptions};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
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
    let stage = Stage::sql("CREATE TABLE heap (a INTEGER, b TEXT); INSERT INTO heap VALUES (1, 'x'), (1, 'x'), (1, 'x'), (2, 'y')");
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
    let source = Source::sql("CREATE TABLE \"Order Line\" (\"orderId\" INTEGER PRIMARY KEY, \"CTID\" TEXT, xmin TEXT); INSERT INTO \"Order Line\" VALUES (1, 'a', 'b')");
    let stage = Stage::with(source, |o| o.spelling = lite2pg::model::name::Spelling::Snake);
    let table = value(&session(&stage.target), "SELECT relname FROM pg_class WHERE relname LIKE 'order%' AND relkind = 'r'");
    assert_eq!(table, "order_line");
    stage.pg("UPDATE order_line SET order_id = 2");
    stage.back();
    same(&stage.to(), &stage.mirror("DELETE FROM \"Order Line\"; INSERT INTO \"Order Line\" VALUES (2, 'a', 'b')").path);
}

#[test]
fn what_stood_in_for_bad_text_gives_the_text_back_unless_it_was_changed() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, n INTEGER);
         INSERT INTO t VALUES (1, 'a' || char(0) || 'b', 1), (2, CAST(x'ff41' AS TEXT), 1), (3, 'x' || char(0), 1)",
    );
    stage.both("UPDATE t SET n = 2 WHERE id < 3; UPDATE t SET v = 'y' WHERE id = 3", "UPDATE t SET n = 2 WHERE id < 3; UPDATE t SET v = 'y' WHERE id = 3");
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
