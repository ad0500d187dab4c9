//! Schema objects on the other side: keys, indexes, checks, defaults, views and names, by what the two databases do
//! when they are used, not by what their catalogs say.

#[path = "../fixtures/generate.rs"]
mod generate;
mod support;

use lite2pg::Kind;
use lite2pg::model::name::Spelling;
use lite2pg::model::plan::Level;
use lite2pg::run::Options;
use rusqlite::Connection;
use std::sync::{Mutex, OnceLock, PoisonError};
use support::oracle::{self, Held};
use support::scenario::{Moved, Source, attempt, migrate, migrate_with, quoted};
use support::told;

/// fixtures/schema.sql, migrated once. Statements that try something roll back, one test at a time.
fn fixture() -> std::sync::MutexGuard<'static, (Source, Moved)> {
    static MOVED: OnceLock<Mutex<(Source, Moved)>> = OnceLock::new();
    let moved = MOVED.get_or_init(|| {
        let source = Source::fixture("schema.sql");
        let moved = migrate(&source);
        Mutex::new((source, moved))
    });
    moved.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Whether SQLite takes these statements and their commit, with foreign keys in force. Tried on a copy of the file.
fn sqlite_takes(db: &Connection, sql: &str) -> bool {
    let copy = Source::copy_of(db.path().expect("a file").as_ref());
    copy.open().execute_batch(&format!("PRAGMA foreign_keys = ON; BEGIN; {sql}; COMMIT")).is_ok()
}

/// Each statement is taken by both or refused by both.
#[track_caller]
fn agree(db: &Connection, moved: &Moved, statements: &[&str]) {
    for sql in statements {
        let refusal = moved.refusal(&format!("{sql}; SET CONSTRAINTS ALL IMMEDIATE"));
        assert_eq!(refusal.is_none(), sqlite_takes(db, sql), "{sql}: PostgreSQL says {refusal:?}");
    }
}

/// All rows of a query in SQLite, each value as PostgreSQL would write it where that is the same for both.
fn sqlite_rows(db: &Connection, sql: &str) -> Vec<Vec<Option<String>>> {
    let mut statement = db.prepare(sql).unwrap_or_else(|e| panic!("{sql}: {e}"));
    let width = statement.column_count();
    let read = |row: &rusqlite::Row<'_>| -> rusqlite::Result<Vec<Option<String>>> {
        (0..width)
            .map(|i| {
                Ok(match Held::from(row.get_ref(i)?) {
                    Held::Null => None,
                    Held::Integer(n) => Some(n.to_string()),
                    Held::Real(x) => Some(x.to_string()),
                    Held::Text(bytes) => Some(String::from_utf8(bytes).expect("UTF-8")),
                    Held::Blob(bytes) => Some(bytes.iter().fold("\\x".to_owned(), |s, b| s + &format!("{b:02x}"))),
                })
            })
            .collect()
    };
    statement.query_map([], read).expect("rows").collect::<Result<_, _>>().expect("rows")
}

// Rows and what is said ----------------------------------------------------------------------------------------------

#[test]
fn every_row_of_the_schema_fixture_arrives_whatever_its_schema_could_not_bring() {
    let guard = fixture();
    let (source, moved) = &*guard;
    let db = source.open();
    for table in oracle::ordinary_tables(&db) {
        // A server that multiplies -5.5 by 0 keeps the sign; SQLite's REAL columns have no negative zero.
        if table != "generated" {
            oracle::compare(&db, moved, &table);
        }
    }
    assert!(moved.widened().is_empty(), "{:?}", moved.widened());
    let negative = moved.query("SELECT id, tax = 0 FROM generated WHERE id = 3");
    assert_eq!(negative, [[Some("3".to_owned()), Some("true".to_owned())]]);
}

#[test]
fn what_is_left_out_is_reported_with_its_sql() {
    let guard = fixture();
    let (_, moved) = &*guard;
    for (object, words) in [
        ("search", "virtual table of module `fts5`"),
        ("documents_search", "fts5"),
        ("boxes", "rtree"),
        ("parents_audit", "CREATE TRIGGER"),
        ("view_simple_insert", "INSTEAD OF INSERT"),
        ("trigger_broken", "no_such_function"),
        ("view_broken_table", "CREATE VIEW"),
        ("view_broken_column", "CREATE VIEW"),
        ("view_broken_function", "CREATE VIEW"),
        ("view_dialect", "group_concat"),
        ("generated.label", "printf('%08.2f', net)"),
        ("checks", "datetime(at) IS NOT NULL"),
        ("fk_to_nowhere", "REFERENCES no_such_table"),
        ("fk_to_not_unique", "FOREIGN KEY"),
        ("fk_across_types", "no common type"),
        ("unique_across_classes", "UNIQUE INDEX"),
        ("indexed", "indexed_long"),
    ] {
        let said = moved.remarks(object);
        assert!(said.contains("Warning") && said.contains(words), "{object}: {said}");
    }
    assert!(moved.summary.remarks.iter().filter(|r| r.level == Level::Warning).count() < 50);
}

// Keys ---------------------------------------------------------------------------------------------------------------

#[test]
fn primary_keys_refuse_what_sqlite_refuses() {
    let guard = fixture();
    let (source, moved) = &*guard;
    agree(
        &source.open(),
        moved,
        &[
            "INSERT INTO composite_pk VALUES ('x', 1, 'again')",
            "INSERT INTO composite_pk VALUES ('x', 3, 'new')",
            "INSERT INTO without_rowid VALUES ('a', 'again')",
            "INSERT INTO without_rowid VALUES (NULL, 'null')",
            "INSERT INTO without_rowid VALUES ('A', 'another case')",
            "INSERT INTO without_rowid_composite VALUES ('Eu', '2024-01-02', 4)",
            "INSERT INTO without_rowid_composite VALUES ('Eu', '2024-01-03', 4)",
            "INSERT INTO strict_without_rowid VALUES (1, 'x', 2)",
            "INSERT INTO strict_without_rowid VALUES (2, NULL, 2)",
            "INSERT INTO strict_all (id, i) VALUES (9, NULL)",
            "INSERT INTO null_in_text_pk VALUES ('a', 9)",
            "INSERT INTO null_in_text_pk VALUES (NULL, 9)",
            "INSERT INTO null_in_composite_pk VALUES (1, 'x', 9)",
            "INSERT INTO null_in_composite_pk VALUES (1, NULL, 9)",
            "INSERT INTO int_pk_is_no_rowid VALUES ('text', 'again')",
            "INSERT INTO int_pk_is_no_rowid VALUES (NULL, 'again')",
            "INSERT INTO empty_table VALUES (1, NULL)",
            "INSERT INTO added_column (id) VALUES (9)",
        ],
    );
    for table in ["null_in_text_pk", "null_in_composite_pk", "int_pk_is_no_rowid", "integer_pk_desc"] {
        assert!(moved.remarks(table).contains("the primary key holds NULL"), "{table}: {}", moved.remarks(table));
    }
}

#[test]
fn the_next_id_is_the_same_on_both_sides() {
    let guard = fixture();
    let (source, moved) = &*guard;
    let db = source.open();
    for table in ["auto_plain", "auto_deleted", "auto_emptied", "auto_never", "empty_table", "tree", "added_column"] {
        db.execute_batch("BEGIN").unwrap();
        let column = if table == "tree" { "parent_id) VALUES (NULL" } else { "v) VALUES ('next'" };
        let sql = format!("INSERT INTO {table} ({column}) RETURNING id");
        let here: i64 = db.query_row(&sql, [], |row| row.get(0)).unwrap();
        db.execute_batch("ROLLBACK").unwrap();
        let there: i64 = moved.session.query_one(&sql, &[]).unwrap_or_else(|e| panic!("{sql}: {}", told(&e))).get(0);
        moved.run(&format!("DELETE FROM {table} WHERE id = {there}"));
        assert_eq!(here, there, "{table}");
    }
    // SQLite goes on from 1 after negative ids, and says that it is full after the largest.
    let sql = "INSERT INTO auto_negative (v) VALUES ('next') RETURNING id";
    assert_eq!(moved.session.query_one(sql, &[]).unwrap().get::<_, i64>(0), 1);
    moved.run("DELETE FROM auto_negative WHERE id = 1");
    agree(&db, moved, &["INSERT INTO auto_full (v) VALUES ('one too many')"]);
    assert!(moved.remarks("auto_full.id").contains("largest number"), "{}", moved.remarks("auto_full.id"));
}

#[test]
fn foreign_keys_refuse_what_sqlite_refuses() {
    let guard = fixture();
    let (source, moved) = &*guard;
    let db = source.open();
    agree(
        &db,
        moved,
        &[
            "INSERT INTO children (id, implicit) VALUES (9, 404)",
            "INSERT INTO children (id, implicit) VALUES (9, 2)",
            "INSERT INTO children (id, restrict_code) VALUES (9, 'nine')",
            "INSERT INTO children (id, a, b) VALUES (9, 1, 'lost')",
            "INSERT INTO children (id, a, b) VALUES (9, 99, NULL)",
            "INSERT INTO children (id, soon_id) VALUES (9, 404)",
            "INSERT INTO children (id, late_id) VALUES (9, 404)",
            "INSERT INTO tree VALUES (9, 99)",
            "INSERT INTO tree VALUES (9, 9)",
            "INSERT INTO ring_a VALUES (2, 20)",
            "INSERT INTO ring_a VALUES (2, 20); INSERT INTO ring_b VALUES (20, NULL)",
            "DELETE FROM ring_c",
            "UPDATE parents SET code = 'changed' WHERE id = 1",
            "INSERT INTO orphans VALUES (9, 404, NULL, NULL)",
        ],
    );
    // A deferred key waits for the commit on both sides.
    assert_eq!(moved.refusal("INSERT INTO children (id, late_id) VALUES (9, 404)"), None);
}

#[test]
fn foreign_key_actions_leave_the_same_rows() {
    let source = Source::sql(
        "PRAGMA foreign_keys = OFF;
         CREATE TABLE parents (id INTEGER PRIMARY KEY, a INTEGER, b TEXT, UNIQUE (a, b));
         CREATE TABLE children (
           id INTEGER PRIMARY KEY,
           cascade_id INTEGER REFERENCES parents ON DELETE CASCADE ON UPDATE CASCADE,
           null_id INTEGER REFERENCES parents (id) ON DELETE SET NULL ON UPDATE SET NULL,
           default_id INTEGER DEFAULT 1 REFERENCES parents (id) ON DELETE SET DEFAULT,
           a INTEGER, b TEXT, FOREIGN KEY (a, b) REFERENCES parents (a, b) ON UPDATE CASCADE ON DELETE SET NULL
         );
         CREATE TABLE tree (id INTEGER PRIMARY KEY, parent_id INTEGER REFERENCES tree (id) ON DELETE CASCADE);
         INSERT INTO parents VALUES (1, 1, 'x'), (2, 1, 'y'), (3, 3, 'z');
         INSERT INTO children VALUES (1, 1, 1, 1, 1, 'x'), (2, 2, 2, 2, 1, 'y'), (3, NULL, 3, 3, 3, NULL), (4, 2, 3, NULL, 1, 'y');
         INSERT INTO tree VALUES (1, 1), (2, 3), (3, 1), (4, NULL), (5, 2);",
    );
    let moved = migrate(&source);
    let db = source.open();
    for sql in [
        "DELETE FROM tree WHERE id = 3",
        "DELETE FROM tree WHERE id = 1",
        "DELETE FROM parents WHERE id = 2",
        "DELETE FROM parents WHERE id = 3",
        "UPDATE parents SET b = 'new' WHERE id = 2",
        "UPDATE parents SET a = 7, b = 'new' WHERE id = 3",
    ] {
        db.execute_batch(&format!("PRAGMA foreign_keys = ON; BEGIN; {sql}")).unwrap_or_else(|e| panic!("{sql}: {e}"));
        moved.run(&format!("BEGIN; {sql}"));
        for table in ["tree", "children", "parents"] {
            let query = format!("SELECT * FROM {table} ORDER BY id");
            assert_eq!(moved.query(&query), sqlite_rows(&db, &query), "after {sql}");
        }
        moved.run("ROLLBACK");
        db.execute_batch("ROLLBACK").unwrap();
    }
}

#[test]
fn orphans_leave_their_key_not_valid_and_are_counted() {
    let guard = fixture();
    let (_, moved) = &*guard;
    let said = moved.remarks("orphans");
    assert_eq!(said.matches("1 row has no parent in `parents`").count(), 2, "{said}");
    assert_eq!(said.matches("VALIDATE CONSTRAINT").count(), 2, "{said}");
    let sql = "SELECT count(*) FROM pg_constraint WHERE conrelid = 'orphans'::regclass AND contype = 'f' AND NOT convalidated";
    assert_eq!(moved.one(sql).as_deref(), Some("2"));
    // After mending the rows, the SQL that was given works.
    let statement =
        said.lines().find(|l| l.starts_with("ALTER TABLE") && l.contains("parent_id")).expect("SQL").to_owned();
    assert_eq!(moved.refusal(&statement).as_deref(), Some("23503"));
    assert_eq!(moved.refusal(&format!("DELETE FROM orphans WHERE parent_id = 404; {statement}")), None);
}

// Indexes and checks -------------------------------------------------------------------------------------------------

#[test]
fn unique_indexes_refuse_what_sqlite_refuses() {
    let guard = fixture();
    let (source, moved) = &*guard;
    agree(
        &source.open(),
        moved,
        &[
            "INSERT INTO indexed (id, email) VALUES (9, 'ADA@example.ORG')",
            "INSERT INTO indexed (id, email) VALUES (9, 'Carl@example.org')",
            "INSERT INTO indexed (id, email) VALUES (9, NULL)",
            "INSERT INTO indexed (id, name) VALUES (9, 'Ada')",
            "INSERT INTO indexed (id, name) VALUES (9, 'ada')",
            "INSERT INTO indexed (id, name, kind) VALUES (9, 'Ada', 'z')",
            "INSERT INTO indexed (id, name, deleted_at) VALUES (9, 'Ada', '2024-01-01')",
            "INSERT INTO uniques (id, a) VALUES (9, 'x')",
            "INSERT INTO uniques (id, a) VALUES (9, 'Y')",
            "INSERT INTO uniques (id, b) VALUES (9, 'y')",
            "INSERT INTO uniques (id, b) VALUES (9, 'Ÿ')",
            "INSERT INTO uniques (id, c, d) VALUES (9, 1, 1)",
            "INSERT INTO uniques (id, c, d) VALUES (9, 1, NULL)",
            "INSERT INTO uniques (id, d, a) VALUES (9, 2, 'X')",
        ],
    );
    // SQLite replaces the row there; a constraint of PostgreSQL can only refuse.
    assert_eq!(moved.refusal("INSERT INTO uniques (id, e) VALUES (9, 'e')").as_deref(), Some("23505"));
}

#[test]
fn checks_and_not_null_refuse_what_sqlite_refuses() {
    let guard = fixture();
    let (source, moved) = &*guard;
    let values = [
        ("age", "-1"),
        ("age", "0"),
        ("age", "150"),
        ("age", "151"),
        ("age", "NULL"),
        ("kind", "'a'"),
        ("kind", "'A'"),
        ("kind", "'d'"),
        ("kind", "''"),
        ("email", "'@x'"),
        ("email", "'x@'"),
        ("email", "''"),
        ("low, high", "1, 1"),
        ("low, high", "2, 1"),
        ("low, high", "NULL, 1"),
        ("flag", "0"),
        ("flag", "-3"),
        ("flag", "NULL"),
        ("code", "'B7'"),
        ("code", "'b7'"),
        ("code", "'B'"),
        ("code", "'B7' || char(10)"),
        ("code", "'Ä7'"),
        ("word", "'PREtext'"),
        ("word", "'text'"),
        ("word", "'pre'"),
        ("word", "'pré'"),
        ("same", "'never'"),
        ("same", "'Never'"),
        ("same", "NULL"),
    ];
    let statements: Vec<String> = values
        .iter()
        .map(|(columns, values)| format!("INSERT INTO checks (id, {columns}) VALUES (9, {values})"))
        .collect();
    let (newline, plain): (Vec<&str>, Vec<&str>) =
        statements.iter().map(String::as_str).partition(|s| s.contains("char(10)"));
    agree(&source.open(), moved, &plain);
    assert_eq!((newline.len(), moved.refusal(&newline[0].replace("char(10)", "chr(10)"))), (1, None));
    // A rule that rows of the source break holds for new ones.
    agree(
        &source.open(),
        moved,
        &[
            "INSERT INTO checks_broken VALUES (9, -1, 'x')",
            "INSERT INTO checks_broken VALUES (9, 1, '')",
            "INSERT INTO checks_broken VALUES (9, 1, 'x')",
        ],
    );
    assert_eq!(moved.remarks("checks_broken").matches("holds for new rows only").count(), 2);
}

#[test]
fn moments_of_a_key_stay_text_where_they_are_not_spelled_alike() {
    let source = Source::sql(
        "CREATE TABLE t (at DATETIME PRIMARY KEY NOT NULL, n INTEGER);
         INSERT INTO t VALUES ('2024-01-01T10:00:00Z', 1), ('2024-01-01 10:00:00+00:00', 2);
         CREATE TABLE u (at DATETIME PRIMARY KEY NOT NULL);
         INSERT INTO u VALUES ('2024-01-01T10:00:00Z'), ('2024-01-02T10:00:00Z');",
    );
    let moved = migrate(&source);
    assert_eq!(oracle::compare_all(&source.open(), &moved), 6);
    assert_eq!(moved.remarks("t"), "");
    let kind = |table: &str| moved.type_of(table, "at");
    assert_eq!([kind("t"), kind("u")], ["text", "timestamp with time zone"]);
    let keys = moved.one(
        "SELECT count(*)::text FROM pg_constraint WHERE contype = 'p' AND conrelid IN ('t'::regclass, 'u'::regclass)",
    );
    assert_eq!(keys.as_deref(), Some("2"));
}

#[test]
fn a_schema_of_many_tables_keeps_every_key() {
    // More than one transaction may ask the server about: foreign keys across the parts are made all the same.
    let tables: Vec<String> = (0..300)
        .map(|i| {
            let parent = (i + 299) % 300;
            format!(
                "CREATE TABLE t{i} (id INTEGER PRIMARY KEY, u TEXT UNIQUE, p REFERENCES t{parent} (id));
                 INSERT INTO t{i} VALUES (1, 'x', 1);"
            )
        })
        .collect();
    let mut sql = format!("PRAGMA foreign_keys = OFF; BEGIN; {}", tables.concat());
    sql += "CREATE VIEW v AS SELECT a.u FROM t0 a JOIN t299 b ON a.p = b.id; COMMIT;";
    let moved = migrate(&Source::sql(&sql));
    let constraints = "SELECT string_agg(contype || n::text, ' ' ORDER BY contype) FROM (SELECT contype::text, count(*) n \
                       FROM pg_constraint WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'u', 'f') \
                       GROUP BY 1) c";
    assert_eq!(moved.one(constraints).as_deref(), Some("f300 p300 u300"));
    assert_eq!(moved.one("SELECT count(*)::text FROM v").as_deref(), Some("1"));
}

// Defaults, generated columns, views ---------------------------------------------------------------------------------

#[test]
fn defaults_give_the_same_values() {
    let guard = fixture();
    let (source, moved) = &*guard;
    let db = source.open();
    db.execute_batch("BEGIN; INSERT INTO defaults (id) VALUES (9)").unwrap();
    moved.run("BEGIN; INSERT INTO defaults (id) VALUES (9)");
    let columns = moved.columns("defaults");
    let there = moved.query("SELECT * FROM defaults WHERE id = 9").remove(0);
    let list = columns.iter().map(|(c, _)| quoted(c)).collect::<Vec<_>>().join(", ");
    let here: Vec<Held> = db
        .query_row(&format!("SELECT {list} FROM defaults WHERE id = 9"), [], |row| {
            (0..columns.len()).map(|i| row.get_ref(i).map(Held::from)).collect()
        })
        .unwrap();
    moved.run("ROLLBACK");
    db.execute_batch("ROLLBACK").unwrap();
    for (((name, kind), held), text) in columns.iter().zip(&here).zip(&there) {
        match name.as_str() {
            // Of the present, the day and the hour will do; of chance, nothing is translated.
            "made" | "day" | "now" | "clock" | "epoch" | "julian" => assert!(text.is_some(), "{name} has no default"),
            "id_hex" | "chance" => assert_eq!(*text, None, "{name}"),
            _ => assert!(oracle::same(held, kind, text.as_deref()), "{name} {kind}: {held:?} became {text:?}"),
        }
    }
    let now = "SELECT abs(extract(epoch FROM (made - now()))) < 60 AND abs(epoch - extract(epoch FROM now())) < 60 \
               AND abs(julian - 2440587.5 - extract(epoch FROM now()) / 86400) < 0.01 FROM defaults WHERE id = 9";
    moved.run("BEGIN; INSERT INTO defaults (id) VALUES (9)");
    assert_eq!(moved.one(now).as_deref(), Some("true"));
    moved.run("ROLLBACK");
}

#[test]
fn generated_columns_are_computed_alike() {
    let guard = fixture();
    let (source, moved) = &*guard;
    let db = source.open();
    let insert = "INSERT INTO generated (id, net, rate, name) VALUES (9, 12.5, 0.25, 'ÇA Va')";
    db.execute_batch(&format!("BEGIN; {insert}")).unwrap();
    moved.run(&format!("BEGIN; {insert}"));
    let query = "SELECT tax, name_lower, first_letter FROM generated WHERE id = 9";
    assert_eq!(moved.query(query), sqlite_rows(&db, query));
    moved.run("ROLLBACK");
    db.execute_batch("ROLLBACK").unwrap();
}

#[test]
fn views_show_the_same_rows() {
    let guard = fixture();
    let (source, moved) = &*guard;
    let db = source.open();
    for view in ["view_simple", "view_named", "view_join", "view_on_later", "view_later"] {
        let sorted = |mut rows: Vec<Vec<Option<String>>>| {
            rows.sort();
            rows
        };
        let query = format!("SELECT * FROM {view}");
        assert_eq!(sorted(moved.query(&query)), sorted(sqlite_rows(&db, &query)), "{view}");
    }
    assert_eq!(moved.columns("view_named")[0].0, "number");
}

// Names --------------------------------------------------------------------------------------------------------------

#[test]
fn hard_names_keep_their_rows_and_harm_nothing() {
    for spelling in [Spelling::Preserve, Spelling::Lower, Spelling::Snake] {
        let source = Source::fixture("names.sql");
        let moved = migrate_with(&Options { spelling, ..Options::new(&source.path) });
        let db = source.open();
        assert!(oracle::compare_all(&db, &moved) > 150, "{spelling:?}");
        // Every table has a name of its own, and nothing else is in the schema.
        let tables = oracle::ordinary_tables(&db).len().to_string();
        let count = "SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace";
        assert_eq!(moved.one(count), Some(tables), "{spelling:?}");
        let folded = "SELECT count(*) FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND attnum > 0 \
                      WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND (relname <> lower(relname) OR attname <> lower(attname))";
        assert_eq!(moved.one(folded).as_deref() == Some("0"), spelling != Spelling::Preserve, "{spelling:?}");
        let refused: Vec<&str> =
            moved.summary.remarks.iter().filter(|r| r.level == Level::Warning).map(|r| r.text.as_str()).collect();
        assert!(refused.is_empty(), "{spelling:?}: {refused:?}");
    }
}

#[test]
fn renamed_tables_and_columns_are_reported() {
    let source = Source::fixture("names.sql");
    let moved = migrate(&source);
    for (object, words) in [
        ("system_columns.ctid", "`ctid_`: PostgreSQL keeps that name for itself"),
        ("system_columns_taken.xmin_", "that name is taken"),
        ("", "`unnamed`: PostgreSQL has no empty name"),
        ("table_with_a_name_of_seventy_bytes_which_is_more_than_postgresql_takes", "63 bytes"),
    ] {
        assert!(moved.remarks(object).contains(words), "{object}: {}", moved.remarks(object));
    }
    // The identity beside a table that has its sequence's name.
    moved.run("INSERT INTO things (code) VALUES ('next')");
    assert_eq!(moved.one("SELECT id FROM things WHERE code = 'next'").as_deref(), Some("3"));
}

#[test]
fn a_schema_of_its_own_is_created_and_everything_lands_there() {
    let source = Source::fixture("schema.sql");
    let schema = "Ärger \"mit\" Namen; --";
    let moved = migrate_with(&Options { schema: schema.into(), ..Options::new(&source.path) });
    let count = |schema: &str| {
        let sql = "SELECT count(*) FROM pg_class c JOIN pg_namespace n ON n.oid = relnamespace WHERE nspname = $1";
        moved.session.query_one(sql, &[&schema]).unwrap().get::<_, i64>(0)
    };
    assert!(count(schema) > 100);
    assert_eq!(count("public"), 0);
    oracle::compare(&source.open(), &moved, "children");
    assert_eq!(moved.query(&format!("SELECT n FROM {}", moved.name("view_on_later"))), [[Some("3".to_owned())]]);
}

// Odd databases ------------------------------------------------------------------------------------------------------

#[test]
fn fifteen_hundred_columns_arrive() {
    let source = Source::nothing();
    generate::Source::Wide.write(&source.path, 0.2).unwrap();
    let moved = migrate(&source);
    assert_eq!(moved.columns("wide_sparse").len(), 1500);
    assert_eq!(oracle::compare_all(&source.open(), &moved), 2 * 10 * 1500);
}

#[test]
fn more_than_1600_columns_block_before_anything_is_written() {
    let columns = |n: usize| (1..=n).map(|i| format!("c{i}")).collect::<Vec<_>>().join(", ");
    let source = Source::sql(&format!("CREATE TABLE fits ({}); INSERT INTO fits (c1) VALUES (1)", columns(1600)));
    assert_eq!(migrate(&source).columns("fits").len(), 1600);
    let source =
        Source::sql(&format!("CREATE TABLE first (id INTEGER PRIMARY KEY); CREATE TABLE too_wide ({})", columns(1601)));
    let tried = attempt(&Options::new(&source.path));
    let error = tried.result.expect_err("too many columns");
    assert_eq!(error.kind(), Kind::Blocked);
    let words = told(&error);
    for part in ["`too_wide` has 1601 columns", "1600", "nothing was written", "--exclude too_wide"] {
        assert!(words.contains(part), "{part}: {words}");
    }
    let session = support::session(&tried.target);
    let sql = "SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace";
    assert_eq!(session.query_one(sql, &[]).unwrap().get::<_, i64>(0), 0);
    let options = Options { exclude: vec!["too_wide".into()], ..Options::new(&source.path) };
    assert!(attempt(&options).result.is_ok());
}

#[test]
fn utf16_arrives_as_utf8() {
    let source = Source::fixture("utf16.sql");
    let moved = migrate(&source);
    assert!(oracle::compare_all(&source.open(), &moved) > 30);
}

#[test]
fn every_page_size_is_read() {
    for size in [512, 1024, 2048, 4096, 8192, 16384, 32768, 65536] {
        let source = Source::sql(&format!(
            "PRAGMA page_size = {size}; CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT, b BLOB);
             INSERT INTO t VALUES (1, 'short', NULL), (2, hex(zeroblob(70000)), zeroblob(70000)), (3, '', x'');"
        ));
        let moved = migrate(&source);
        assert_eq!(oracle::compare_all(&source.open(), &moved), 9, "{size}");
    }
}

#[test]
fn a_collation_of_the_application_stops_no_row() {
    let source = Source::nothing();
    let db = Connection::open(&source.path).unwrap();
    let compare = |a: &str, b: &str| a.to_lowercase().cmp(&b.to_lowercase());
    db.create_collation("APP", compare).unwrap();
    db.execute_batch(
        "CREATE TABLE t (k TEXT COLLATE APP PRIMARY KEY, v TEXT COLLATE APP) WITHOUT ROWID;
         INSERT INTO t VALUES ('b', 'x'), ('A', 'y'), ('ä', 'z');
         CREATE TABLE u (id INTEGER PRIMARY KEY, v TEXT COLLATE APP UNIQUE);
         INSERT INTO u (v) VALUES ('b'), ('A'), (NULL);
         CREATE INDEX u_v ON u (v COLLATE APP DESC);",
    )
    .unwrap();
    let moved = migrate(&source);
    assert_eq!(oracle::compare_all(&db, &moved), 12);
    assert!(moved.summary.remarks.iter().any(|r| r.text.contains("APP")), "{:?}", moved.summary.remarks);
}

#[test]
fn a_missing_module_stops_no_row() {
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'x');
         PRAGMA writable_schema = ON;
         INSERT INTO sqlite_schema VALUES ('table', 'places', 'places', 0, 'CREATE VIRTUAL TABLE places USING spatial_app (a, b)');",
    );
    let moved = migrate(&source);
    assert_eq!(moved.query("SELECT * FROM t"), [[Some("1".to_owned()), Some("x".to_owned())]]);
    assert!(moved.remarks("places").contains("spatial_app"), "{}", moved.remarks("places"));
}
