//! What only the source has: told by dry runs, cell by cell, and held against what SQLite and PostgreSQL say themselves.

use super::pipelines::Through;
use super::support::program::value;
use super::support::scenario::Source;
use super::support::session;
use super::{Stage, TableRestored};
use lite2pg::model::cell::Class;
use lite2pg::model::loss::Form;
use lite2pg::model::restored::Restored;
use lite2pg::run::RollbackOptions;

impl Stage {
    fn dry(&self, more: impl FnOnce(&mut RollbackOptions)) -> Restored {
        let mut options = RollbackOptions { dry_run: true, losses: true, ..self.options() };
        more(&mut options);
        self.with_options(&options)
    }

    fn losses(&self) -> Vec<(String, Form, u64)> {
        told(&self.dry(|_| {}))
    }

    fn sqlite(&self, sql: &str) -> u64 {
        self.source.open().query_row(sql, [], |row| row.get::<_, i64>(0)).unwrap() as u64
    }
}

fn told(done: &Restored) -> Vec<(String, Form, u64)> {
    let losses = done.losses.as_ref().expect("it was asked for");
    let name = |table: &str, column: Option<&String>| column.map_or(table.to_owned(), |c| format!("{table}.{c}"));
    losses.iter().map(|loss| (name(&loss.table, loss.column.as_ref()), loss.form, loss.count)).collect()
}

fn lost(place: &str, form: Form, count: u64) -> (String, Form, u64) {
    (place.to_owned(), form, count)
}

const fn class(is: Class, would_be: Class) -> Form {
    Form::Class { is, would_be }
}

#[test]
fn forms_that_postgresql_does_not_tell_are_counted_as_sqlite_and_postgresql_count_them() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, yes BOOLEAN, at TIMESTAMP, price DECIMAL(8,2), about JSON,
           mixed, ref UUID, half REAL, raw BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60)
           INSERT INTO t SELECT i, 'name ' || i || iif(i % 20 = 0, char(0), ''), iif(i % 3, 'Yes', 'no'),
             strftime(iif(i % 4, '%Y-%m-%d %H:%M:%S', '%Y-%m-%dT%H:%M:%SZ'), '2024-01-01', i || ' hours'),
             iif(i % 5, i, i + 0.25), iif(i % 7, '{\"a\": ' || i || '}', '{\"a\":  ' || i || ' }'),
             iif(i % 6, i, i + 0.5), printf('A0EEBC99-9C0B-4EF8-BB6D-%012X', i), i, NULL FROM n;
         UPDATE t SET raw = iif(id % 2, 'text', x'00ff'), about = iif(id = 50, NULL, about), half = iif(id = 9, NULL, half);",
    );
    let spelled = |column: &str, of_target: &str| {
        // What PostgreSQL prints by itself, held against the source's text.
        let there = value(&session(&stage.target), &format!("SELECT string_agg({of_target}, '|' ORDER BY id) FROM t"));
        let sql = format!(
            "SELECT group_concat({column}, '|') FROM (SELECT {column} FROM t WHERE {column} IS NOT NULL ORDER BY id)"
        );
        let here: String = stage.source.open().query_row(&sql, [], |row| row.get(0)).unwrap();
        here.split('|').zip(there.split('|')).filter(|(a, b)| a != b).count() as u64
    };
    let losses = stage.losses();
    assert_eq!(
        losses,
        [
            lost(
                "t.name",
                Form::Original,
                stage.sqlite("SELECT count(*) FROM t WHERE instr(CAST(name AS BLOB), x'00')")
            ),
            lost(
                "t.yes",
                class(Class::Text, Class::Integer),
                stage.sqlite("SELECT count(*) FROM t WHERE typeof(yes) = 'text'")
            ),
            lost("t.at", Form::Spelling, spelled("at", "to_char(at AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS')")),
            lost("t.about", Form::Spelling, spelled("about", "about::text")),
            lost(
                "t.mixed",
                class(Class::Integer, Class::Real),
                stage.sqlite("SELECT count(*) FROM t WHERE typeof(mixed) = 'integer'")
            ),
            lost(
                "t.raw",
                class(Class::Text, Class::Blob),
                stage.sqlite("SELECT count(*) FROM t WHERE typeof(raw) = 'text'")
            ),
        ]
    );
    assert_eq!(losses.iter().map(|(_, _, n)| n).sum::<u64>(), 3 + 60 + 15 + 8 + 50 + 30, "{losses:?}");
    // It does not reach what comes back.
    stage.back();
    assert!(std::fs::read(stage.to()).unwrap() == stage.bytes);
}

#[test]
fn a_source_in_the_forms_that_postgresql_gives_has_nothing_for_itself() {
    let stage = Stage::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, name TEXT, about JSON, at DATE, n REAL, b BLOB, price DECIMAL(8,2));
         INSERT INTO t VALUES (1, 'x', '{\"a\": 1}', '2024-01-01', 0.5, x'00', 3), (2, NULL, NULL, NULL, NULL, NULL, 3.5);
         CREATE TABLE k (a TEXT, b INTEGER, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO k VALUES ('x', 1), ('x', 2);",
    );
    assert_eq!(stage.losses(), []);
    let text = lite2pg::report::restored::text(&stage.dry(|_| {}));
    assert!(text.contains("only the source has: nothing"), "{text}");
    assert!(stage.back().losses.is_none(), "nobody asked");
}

#[test]
fn rows_without_a_key_are_found_as_often_as_they_are_there_and_changed_ones_are_not_looked_at() {
    let stage = Stage::sql(
        "CREATE TABLE log (n, level TEXT);
         INSERT INTO log VALUES (1, 'a'), (1.0, 'a'), (1, 'a'), (2.5, 'b'), (3, 'c'), (4, 'c');",
    );
    assert_eq!(stage.losses(), [lost("log.n", class(Class::Integer, Class::Real), 4), lost("log", Form::Rowid, 6)]);
    stage
        .pg("UPDATE log SET level = 'd' WHERE n > 3.5; DELETE FROM log WHERE n = 3; INSERT INTO log VALUES (9, 'new')");
    let done = stage.dry(|_| {});
    assert_eq!(told(&done), [lost("log.n", class(Class::Integer, Class::Real), 2), lost("log", Form::Rowid, 4)]);
    let TableRestored { unchanged, inserted, deleted, .. } = &done.tables[0];
    assert_eq!((*unchanged, *inserted, *deleted), (4, 2, 2));
}

#[test]
fn columns_and_tables_that_stay_behind_are_only_the_sources() {
    let stage = Stage::of(Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT, c INTEGER GENERATED ALWAYS AS (id + 1));
         INSERT INTO t (a, b) VALUES ('x', 'y'), ('x', NULL), (NULL, 'z');
         CREATE TABLE gone (x); INSERT INTO gone VALUES (1), (2);
         CREATE TABLE names (rowid TEXT, _rowid_ TEXT, oid TEXT); INSERT INTO names VALUES ('a', 'b', 'c');",
    ));
    stage.pg("ALTER TABLE t DROP COLUMN a; DROP TABLE gone");
    let done = stage.dry(|options| options.leave = vec!["t.b".to_owned()]);
    assert_eq!(
        told(&done),
        [
            lost("t.a", Form::Column, 2),
            lost("t.b", Form::Column, 2),
            lost("gone", Form::Table, 2),
            lost("names", Form::Rowid, 1),
        ]
    );
}

#[test]
fn what_a_pipeline_makes_of_cells_is_undone_before_they_are_counted() {
    let through = Through::new(
        "CREATE TABLE users (id TEXT PRIMARY KEY, full_name TEXT, state TEXT, note TEXT, cents INTEGER, kind TEXT, gone INTEGER);
         INSERT INTO users VALUES ('u-1', 'Ann Alt', 'A', 'n1', 1250, 'x', 0), ('u-2', 'Bob  Bo', 'I', NULL, 100, 'x', 0),
           ('u-3', 'Cem Can', 'a', 'n3', 75, 'y', 0), ('u-4', 'Dee', 'A', 'n4', 5, 'y', 1);
         CREATE TABLE tag (user TEXT, tag TEXT, PRIMARY KEY (user, tag)) WITHOUT ROWID; INSERT INTO tag VALUES ('u-1', 't');",
        r#"
        [[table]]
        from = "users"
        where = "gone = 0"
        [table.columns]
        id        = { v5 = "users" }
        state     = { map = { A = "active", a = "active", I = "inactive" } }
        note      = { skip = true }
        cents     = { to = "amount", sql = "cents / 100.0", inverse = "CAST(round(cents * 100) AS INTEGER)" }
        full_name = { skip = true, inverse = "first || ' ' || last" }
        first     = { sql = "substr(full_name, 1, instr(full_name, ' ') - 1)" }
        last      = { sql = "trim(substr(full_name, instr(full_name, ' ') + 1))" }
        kind      = { sql = "upper(kind)" }
        [[table]]
        from = "tag"
        skip = true
        [[table]]
        to = "tags"
        query = "SELECT user, tag FROM tag"
        key = ["user", "tag"]"#,
    );
    let ran = through.back(&["--dry-run", "--json"]).exits(0);
    let done: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let found: Vec<String> = done["losses"]
        .as_array()
        .unwrap()
        .iter()
        .map(|l| format!("{}.{} {} {}", l["table"], l["column"], l["form"], l["count"]).replace('"', ""))
        .collect();
    assert_eq!(
        found,
        [
            // Two blanks between the names, which the inverse does not make again.
            "users.full_name spelling 1",
            // The first of the two that became one.
            "users.state spelling 1",
            "users.note column 3",
            "users.kind column 4",
            "users.null rowid 3",
            "users.null row 1",
            "tag.null table 1",
        ],
        "{}",
        ran.stdout
    );
}
