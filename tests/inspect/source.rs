//! `lite2pg inspect`: what it finds, what it says of it, and whether that is so.

use super::support::program::{Ran, bytes_of, ended, migrate, program, source, url, value};
use super::support::{database, session};
use lite2pg::model::name::is_reserved;
use rusqlite::Connection;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use unicode_width::UnicodeWidthStr;

/// Something of every kind.
const ODD: &str = "
    CREATE TABLE django_migrations (id INTEGER PRIMARY KEY AUTOINCREMENT, app varchar(255), name varchar(255), applied datetime);
    INSERT INTO django_migrations (app, name, applied) VALUES ('shop', '0001_initial', '2024-01-01 00:00:00');
    CREATE TABLE \"User\" (id INTEGER PRIMARY KEY, email VARCHAR(5) COLLATE NOCASE, amount DECIMAL(6,2), flag INTEGER,
        created DATETIME, \"order\" INT, bio TEXT, mixed, n INT, size INTEGER, secret COLLATE RTRIM);
    INSERT INTO \"User\" VALUES
        (1, 'Ann@x', 1.234, 0, 'yesterday', 2, 'a' || char(0) || 'b', 1, 5000000000, 'S', 's'),
        (2, 'ann@x', 2, 1, '2024-01-01', 3, CAST(x'ff41' AS TEXT), 'x', 1, 'M', 't'),
        (3, 'longer@x', 2, 1, '2024-01-01', 3, 'plain', 'y', 1, 'L', 'u');
    CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES \"User\", ts TIMESTAMP);
    INSERT INTO child VALUES (5, 1, 1700000000000), (6, 9, 1700000000001), (7, NULL, NULL);
    CREATE TABLE k (a TEXT PRIMARY KEY, b TEXT);
    INSERT INTO k VALUES (NULL, 'x'), ('b', 'y');
    CREATE VIEW plain AS SELECT id FROM child WHERE id = 1;
    CREATE VIEW odd AS SELECT random() AS r, printf('%d', id) AS p FROM child;
    CREATE TRIGGER touched AFTER INSERT ON child BEGIN SELECT 1; END;
    CREATE VIRTUAL TABLE search USING fts5(body);
    CREATE INDEX by_expression ON \"User\" (printf('%d', n));
    PRAGMA writable_schema = ON;
    UPDATE sqlite_schema SET sql = replace(sql, 'COLLATE RTRIM', 'COLLATE klingon') WHERE name = 'User';";

fn inspect(arguments: &[&str]) -> Ran {
    ended(program().arg("inspect").args(arguments).output().unwrap())
}

/// The JSON of an inspection.
fn json(path: &Path, more: &[&str]) -> Value {
    let mut arguments = vec![path.to_str().unwrap(), "--json", "--quiet"];
    arguments.extend(more);
    serde_json::from_str(&inspect(&arguments).exits(0).stdout).unwrap()
}

/// Kind, object and number of rows of each hazard.
fn hazards(found: &Value) -> Vec<(String, String, Option<u64>)> {
    let text = |h: &Value, name: &str| h[name].as_str().unwrap().to_owned();
    found["hazards"]
        .as_array()
        .unwrap()
        .iter()
        .map(|h| (text(h, "kind"), text(h, "object"), h["rows"].as_u64()))
        .collect()
}

/// The size of the sample of which orphans were told.
fn looked_at(found: &Value, table: &str) -> u64 {
    let all = found["hazards"].as_array().unwrap();
    let text = all.iter().find(|h| h["kind"] == "orphans" && h["object"] == table).unwrap()["text"].as_str().unwrap();
    let (_, of) = text.split_once(" of ").unwrap();
    of.split(' ').next().unwrap().parse().unwrap()
}

#[track_caller]
fn has(found: &Value, kind: &str, object: &str, rows: Option<u64>) {
    let all = hazards(found);
    assert!(all.contains(&(kind.to_owned(), object.to_owned(), rows)), "{kind} {object} {rows:?}: {all:?}");
}

#[test]
fn an_inspection_tells_what_is_there_and_what_to_do() {
    let (dir, path) = source(ODD);
    let before = bytes_of(&path);
    // By a name that does not change from test to test.
    let ran = ended(program().args(["inspect", "app.db"]).current_dir(dir.path()).output().unwrap()).exits(0);
    assert_eq!(bytes_of(&path), before, "the source was written to");
    for line in ran.stdout.lines() {
        assert!(line.width() <= 80, "{} columns: {line}", line.width());
    }
    insta::with_settings!({ omit_expression => true }, {
        insta::assert_snapshot!("inspect", format!("{}--- stderr\n{}", ran.stdout, ran.stderr));
    });
    let brief =
        ended(program().args(["inspect", "app.db", "--brief"]).current_dir(dir.path()).output().unwrap()).exits(0);
    assert!(!brief.stdout.contains("\ntable ") && brief.stdout.contains("\nhazards\n"), "{}", brief.stdout);
}

#[test]
fn every_hazard_is_found_where_it_is_and_nowhere_else() {
    let (_dir, path) = source(ODD);
    let found = json(&path, &[]);
    for (kind, object, rows) in [
        ("orphans", "child", Some(1)),
        ("null_keys", "k", None),
        ("mixed_types", "User.mixed", Some(1)),
        ("declared_type", "User.size", None),
        ("nul", "User.bio", Some(1)),
        ("bad_utf8", "User.bio", Some(1)),
        ("overflow", "User.email", Some(1)),
        ("overflow", "User.n", Some(1)),
        ("overflow", "User.amount", None),
        ("time_formats", "User.created", None),
        ("time_formats", "child.ts", None),
        ("time_zones", "django_migrations.applied", None),
        ("collations", "User.secret", None),
        ("case_twins", "User.email", Some(1)),
        ("quoted_names", "public", None),
        ("booleans", "User.flag", None),
    ] {
        has(&found, kind, object, rows);
    }
    assert_eq!(hazards(&found).len(), 16, "{:?}", hazards(&found));
    let kinds: Vec<&str> = found["by_hand"].as_array().unwrap().iter().map(|b| b["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["virtual_table", "trigger", "view", "definition"]);

    let (_dir, clean) = source(
        "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT NOT NULL, born DATE, price DECIMAL(10,2), at TIMESTAMP);
         INSERT INTO users VALUES (10, 'Ann', '2024-02-29', 12.5, '2024-01-01T00:00:00Z');
         CREATE TABLE notes (id INTEGER PRIMARY KEY, user_id INTEGER NOT NULL REFERENCES users, body TEXT);
         INSERT INTO notes VALUES (1, 10, 'hello');",
    );
    let found = json(&clean, &["--full"]);
    assert_eq!((hazards(&found), found["by_hand"].as_array().unwrap().len()), (vec![], 0));
    assert_eq!((&found["grade"]["grade"], &found["grade"]["minutes"]), (&"A1".into(), &0.into()));
    assert_eq!((&found["format"], &found["full"]), (&1.into(), &true.into()));
}

#[test]
fn the_grade_is_the_sum_of_what_is_told() {
    let (_dir, path) = source(ODD);
    let found = json(&path, &[]);
    let minutes =
        |list: &str| -> u64 { found[list].as_array().unwrap().iter().map(|x| x["minutes"].as_u64().unwrap()).sum() };
    assert_eq!(found["grade"]["minutes"].as_u64().unwrap(), minutes("hazards") + minutes("by_hand"));
    assert_eq!(found["grade"]["grade"], "B4");
}

#[test]
fn a_large_table_is_sampled_and_read_whole_on_request() {
    let (_dir, path) = source(
        "CREATE TABLE parent (id INTEGER PRIMARY KEY, x TEXT);
         INSERT INTO parent VALUES (1, 'x');
         CREATE TABLE big (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent, body TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 200000)
         INSERT INTO big SELECT i, 1 + (i % 2 = 0), 'row ' || i FROM n;
         UPDATE big SET body = 'a' || char(0) WHERE id = 3000;",
    );
    let found = json(&path, &[]);
    assert_eq!(found["sampled"], serde_json::json!(["big"]));
    assert_eq!(found["tables"][1]["rows"], 200_000);
    assert_eq!(found["tables"][1]["rows_exact"], false);
    // Every other row has no parent: the sample sees that half of it is so.
    let (_, _, rows) = hazards(&found).into_iter().find(|(kind, ..)| kind == "orphans").unwrap();
    let (told, of) = (rows.unwrap(), looked_at(&found, "big"));
    assert!(of > 30_000 && told.abs_diff(of / 2) <= of / 20, "{told} of {of}");
    assert!(
        !hazards(&found).iter().any(|(kind, ..)| kind == "nul"),
        "the sample cannot have met one row in 200 000 by this test's luck"
    );

    let whole = json(&path, &["--full"]);
    assert_eq!(whole["sampled"], serde_json::json!([]));
    has(&whole, "orphans", "big", Some(100_000));
    has(&whole, "nul", "big.body", Some(1));
    let ran = inspect(&[path.to_str().unwrap()]).exits(0);
    assert!(ran.stdout.contains("a spread sample of `big`, every row of the others"), "{}", ran.stdout);
}

#[test]
fn orphans_are_told_as_sqlite_itself_tells_them() {
    // Affinity, collation, several columns, NULLs, a key that no index finds, a parent that is not there.
    let (_dir, path) = source(
        "CREATE TABLE p (id INTEGER PRIMARY KEY, code TEXT COLLATE NOCASE UNIQUE, a INT, b TEXT, loose INT, UNIQUE (b, a));
         INSERT INTO p VALUES (1, 'AbC', 1, 'x', 5), (2, 'd', 2, 'y', 6);
         CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p, code TEXT REFERENCES p (code), a INT, b TEXT,
             l INT REFERENCES p (loose), g INT REFERENCES gone, FOREIGN KEY (a, b) REFERENCES p (a, b));
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         INSERT INTO c (id, p, code, a, b, l) SELECT i, '1', 'aBc', 1, 'x', 9 FROM n;
         CREATE TABLE d (id INTEGER PRIMARY KEY, p TEXT REFERENCES p, code TEXT REFERENCES p (code), a INT, b TEXT,
             FOREIGN KEY (a, b) REFERENCES p (a, b));
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
         INSERT INTO d SELECT i, '7', 'e', 2, 'x' FROM n;
         UPDATE d SET a = NULL WHERE id <= 30000;",
    );
    let found = json(&path, &[]);
    let orphans: Vec<_> = hazards(&found).into_iter().filter(|(kind, ..)| kind == "orphans").collect();
    assert_eq!(orphans.iter().filter(|(_, table, _)| table == "c").count(), 0, "{orphans:?}");
    let rows: Vec<u64> = orphans.iter().filter(|(_, table, _)| table == "d").map(|(.., n)| n.unwrap()).collect();
    assert_eq!(rows.len(), 3, "{orphans:?}");
    let read = looked_at(&found, "d");
    assert_eq!(rows.iter().filter(|n| **n == read).count(), 2, "{rows:?}");
    assert!(rows.iter().any(|n| n.abs_diff(read / 2) <= read / 20), "{rows:?}");
}

#[test]
fn frameworks_are_known_by_their_bookkeeping() {
    for (sql, name, entries) in [
        ("CREATE TABLE django_migrations (id, app, name, applied); INSERT INTO django_migrations VALUES (1,'a','b','c')", "Django", 1),
        (
            "CREATE TABLE schema_migrations (version varchar); INSERT INTO schema_migrations VALUES ('1'), ('2'), ('3');
             CREATE TABLE ar_internal_metadata (key, value, created_at, updated_at)",
            "Rails",
            3,
        ),
        (
            "CREATE TABLE ar_internal_metadata (key, value, created_at, updated_at);
             CREATE TABLE schema_migrations (version varchar); INSERT INTO schema_migrations VALUES ('1')",
            "Rails",
            1,
        ),
        ("CREATE TABLE schema_migrations (version varchar)", "Rails or dbmate", 0),
        ("CREATE TABLE schema_migrations (version uint64, dirty bool)", "golang-migrate", 0),
        ("CREATE TABLE schema_migrations (version INTEGER, inserted_at TEXT)", "Ecto", 0),
        ("CREATE TABLE _prisma_migrations (id, checksum, finished_at, migration_name)", "Prisma", 0),
        ("CREATE TABLE alembic_version (version_num VARCHAR(32))", "Alembic", 0),
        ("CREATE TABLE knex_migrations (id, name, batch, migration_time); CREATE TABLE knex_migrations_lock (i, is_locked)", "Knex", 0),
        ("CREATE TABLE migrations (id, timestamp bigint, name varchar)", "TypeORM", 0),
        ("CREATE TABLE migrations (id, migration varchar, batch integer)", "Laravel", 0),
        ("CREATE TABLE __diesel_schema_migrations (version, run_on)", "diesel", 0),
        ("CREATE TABLE _sqlx_migrations (version, description, checksum)", "sqlx", 0),
        ("CREATE TABLE goose_db_version (id, version_id, is_applied, tstamp)", "goose", 0),
    ] {
        let (_dir, path) = source(sql);
        let found = json(&path, &[]);
        let frameworks = found["frameworks"].as_array().unwrap();
        assert_eq!(frameworks.len(), 1, "{name}: {frameworks:?}");
        assert_eq!((&frameworks[0]["name"], &frameworks[0]["entries"]), (&name.into(), &entries.into()));
    }
    // A table that only shares the name is nobody's.
    let (_dir, path) = source("CREATE TABLE migrations (bird TEXT, flies_to TEXT)");
    assert_eq!(json(&path, &[])["frameworks"], serde_json::json!([]));
}

#[test]
fn what_would_end_a_migration_is_a_finding_and_the_next_command_works() {
    let columns: Vec<String> = (0..1601).map(|i| format!("c{i}")).collect();
    let (dir, path) = source(&format!(
        "CREATE TABLE good (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO good VALUES (1, 'a');
         CREATE TABLE \"too wide\" ({});
         CREATE TABLE broken (id INTEGER PRIMARY KEY, x TEXT);
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE broken (id INTEGER PRIMARY KEY, x TEXT,, y)' WHERE name = 'broken';",
        columns.join(", ")
    ));
    let found = json(&path, &[]);
    let by_hand = found["by_hand"].as_array().unwrap();
    let objects: Vec<&str> = by_hand.iter().map(|b| b["object"].as_str().unwrap()).collect();
    assert_eq!((objects, found["grade"]["hand"].as_u64()), (vec!["broken", "too wide"], Some(5)));
    let next = found["next"].as_str().unwrap();
    assert!(next.contains(" embedded ") && next.contains("--exclude 'too wide'"), "{next}");
    // As a person would run it.
    let bin = Path::new(env!("CARGO_BIN_EXE_lite2pg")).parent().unwrap().to_owned();
    let script = format!("PATH={}:$PATH; {next} --quiet", bin.display());
    let run = |script: &str, more: &[(&str, &str)]| {
        let mut command = Command::new("sh");
        ended(
            command
                .args(["-c", script])
                .env_remove("DATABASE_URL")
                .envs(more.iter().copied())
                .current_dir(dir.path())
                .output()
                .unwrap(),
        )
    };
    run(&script, &[]).exits(0);

    // Without a server on this machine another one is named, and works too.
    let nowhere = [("PG_BIN", "/nonexistent")];
    let ran = ended(
        program()
            .args(["inspect", path.to_str().unwrap(), "--json", "--identifiers", "snake"])
            .envs(nowhere)
            .output()
            .unwrap(),
    );
    let found: Value = serde_json::from_str(&ran.exits(0).stdout).unwrap();
    let next = found["next"].as_str().unwrap();
    assert!(next.starts_with("lite2pg plan ") && next.contains("--sql --identifiers snake"), "{next}");
    run(&format!("PATH={}:$PATH; {next}", bin.display()), &nowhere).exits(0);
}

#[test]
fn a_damaged_file_is_told_by_the_whole_look() {
    let (_dir, path) = source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (1, NULL);
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT NOT NULL)' WHERE name = 't';",
    );
    let found = json(&path, &["--full"]);
    has(&found, "damaged", "file", None);
    has(&found, "nulls", "t.x", None);
    assert_eq!(found["grade"]["hand"], 5);
    has(&json(&path, &[]), "nulls", "t.x", None);
}

#[test]
fn the_disk_that_is_predicted_is_the_disk_that_is_used() {
    let (_dir, path) = source(
        "CREATE TABLE wide (id INTEGER PRIMARY KEY, uid TEXT, at TEXT, n INTEGER, x REAL, price DECIMAL(10,2), ok BOOLEAN, name TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 40000)
         INSERT INTO wide SELECT i, lower(printf('%08x-0000-4000-8000-%012x', i, i)), '2024-01-01T00:00:00Z', i, i / 7.0, i / 100.0, i % 2,
             'a name of some length ' || i FROM n;
         CREATE TABLE narrow (a INTEGER NOT NULL, b INTEGER NOT NULL, PRIMARY KEY (a, b)) WITHOUT ROWID;
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000) INSERT INTO narrow SELECT i, i % 9 FROM n;
         CREATE TABLE files (id INTEGER PRIMARY KEY, data BLOB);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300) INSERT INTO files SELECT i, randomblob(20000) FROM n;
         CREATE INDEX wide_uid ON wide (uid); CREATE INDEX wide_name ON wide (name);",
    );
    let found = json(&path, &[]);
    let target = database();
    migrate([path.to_str().unwrap(), &url(&target), "--quiet"]).exits(0);
    let session = session(&target);
    for (what, sql) in [("table_bytes", "sum(pg_table_size(c.oid))"), ("index_bytes", "sum(pg_indexes_size(c.oid))")] {
        let sql = format!("SELECT {sql} FROM pg_class c WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace");
        let used: f64 = value(&session, &sql).parse().unwrap();
        let predicted = found["forecast"][what].as_f64().unwrap();
        assert!((0.75..1.34).contains(&(predicted / used)), "{what}: {predicted} predicted, {used} used");
    }
}

#[test]
fn words_that_need_quotes_are_those_of_the_server() {
    let session = session(&database());
    // Every version has those of the one before it.
    let rows = session.query("SELECT word FROM pg_get_keywords() WHERE catcode IN ('R', 'T')", &[]).unwrap();
    let words: Vec<String> = rows.iter().map(|row| row.get(0)).collect();
    assert!(words.len() > 90, "{words:?}");
    assert_eq!(words.iter().filter(|word| !is_reserved(word)).collect::<Vec<_>>(), Vec::<&String>::new());
    // And each of ours is refused as a column's bare name, but for one that came with PostgreSQL 16.
    let free = session.query("SELECT word FROM pg_get_keywords() WHERE catcode IN ('U', 'C')", &[]).unwrap();
    for row in free {
        let word: String = row.get(0);
        assert!(!is_reserved(&word), "{word}");
    }
}

#[test]
fn names_of_a_source_cannot_steer_the_terminal() {
    let (_dir, path) = source(
        "CREATE TABLE \"a\x1b[31mred\r\nline\" (\"\x07bell\" INTEGER, \"\u{202e}back\" TEXT);
         INSERT INTO \"a\x1b[31mred\r\nline\" VALUES (1, 2), (0, x'00');",
    );
    for more in [&[][..], &["--json"]] {
        let mut arguments = vec![path.to_str().unwrap()];
        arguments.extend(more);
        let ran = inspect(&arguments).exits(0);
        for text in [&ran.stdout, &ran.stderr] {
            assert!(text.chars().all(|c| c == '\n' || (!c.is_control() && c != '\u{202e}')), "{text:?}");
        }
    }
}

#[test]
fn an_empty_database_and_one_that_is_none_are_told_apart() {
    let (dir, path) = source("");
    Connection::open(&path).unwrap().execute_batch("VACUUM").unwrap();
    let found = json(&path, &[]);
    assert_eq!((&found["grade"]["grade"], found["tables"].as_array().unwrap().len()), (&"A1".into(), 0));
    let text = dir.path().join("text.db");
    std::fs::write(&text, "not a database at all\n".repeat(300)).unwrap();
    inspect(&[text.to_str().unwrap()]).exits(6).says(&["is not a SQLite database"]);
    inspect(&["/not/there.db"]).exits(6);
    assert_eq!(inspect(&[path.to_str().unwrap(), "--quiet"]).exits(0).stdout, "");
}
