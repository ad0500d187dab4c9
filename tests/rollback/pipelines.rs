//! The way back of rows that came through a pipeline: by the inverse of what it did, or refused, and said beforehand.

use super::support::contents::same;
use super::support::program::{Ran, ended, migrate, program, source, url, value};
use super::support::{database, session};
use lite2pg::postgres::{Session, Target};
use rusqlite::Connection;
use std::fs;
use std::path::PathBuf;
use tempfile::TempDir;

/// A source that was migrated through a pipeline.
pub struct Through {
    _dir: TempDir,
    pub path: PathBuf,
    pub pipeline: PathBuf,
    pub target: Target,
    pub seen: Session,
}

impl Through {
    pub fn new(sql: &str, pipeline: &str) -> Self {
        let (dir, path) = source(sql);
        let file = path.with_file_name("pipeline.toml");
        let target = database();
        fs::write(&file, format!("source = \"app.db\"\ntarget = '{}'\n{pipeline}", url(&target))).expect("a pipeline");
        migrate(["-p".as_ref(), file.as_os_str(), "--quiet".as_ref()]).exits(0);
        Self { _dir: dir, path, pipeline: file, seen: session(&target), target }
    }

    pub fn pg(&self, sql: &str) -> &Self {
        self.seen.batch(sql).unwrap_or_else(|e| panic!("{sql}\n{e:?}"));
        self
    }

    pub fn to(&self) -> PathBuf {
        self.path.with_file_name("restored.db")
    }

    pub fn back(&self, more: &[&str]) -> Ran {
        let mut command = program();
        command.arg("rollback").arg("-p").arg(&self.pipeline).arg("--to").arg(self.to()).arg("--force").args(more);
        ended(command.output().expect("the program starts"))
    }

    pub fn plan(&self, more: &[&str]) -> Ran {
        let mut command = program();
        command.arg("plan").arg("-p").arg(&self.pipeline).arg("--offline").args(more);
        ended(command.output().expect("the program starts")).exits(0)
    }

    /// The source, with the same done by SQLite.
    pub fn mirror(&self, sql: &str) -> PathBuf {
        let mirror = self.path.with_file_name("mirror.db");
        fs::copy(&self.path, &mirror).expect("a copy");
        Connection::open(&mirror).and_then(|db| db.execute_batch(sql)).unwrap_or_else(|e| panic!("{e}\n{sql}"));
        mirror
    }

    #[track_caller]
    pub fn comes_back_as(&self, sql: &str) {
        self.back(&[]).exits(0);
        same(&self.to(), &self.mirror(sql));
    }
}

const USERS: &str = "
    CREATE TABLE Users (Id INTEGER PRIMARY KEY AUTOINCREMENT, fullName TEXT NOT NULL, state TEXT, lang TEXT, secret TEXT,
        cents INTEGER, gone INTEGER NOT NULL DEFAULT 0);
    INSERT INTO Users VALUES (1, 'Ann Alt', 'A', 'de', 's1', 1250, 0), (2, 'Bob Bo', 'I', NULL, 's2', 0, 0),
        (3, 'Cem Can', 'A', 'tr', NULL, 5, 0), (4, 'Dee Dash', 'odd', 'en', 's4', 99, 1), (5, 'Eve Elm', 'x', 'fr', 's5', 7, 0);
    CREATE TABLE Keys (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID; INSERT INTO Keys VALUES ('a', '1'), ('b', '2');
    CREATE TABLE Old (x TEXT); INSERT INTO Old VALUES ('kept');";

const SHAPES: &str = r#"
[[table]]
from = "Users"
to = "users"
where = "gone = 0"
[table.columns]
Id = { to = "id" }
fullName = { skip = true, inverse = "first || ' ' || last" }
first = { sql = "substr(fullName, 1, instr(fullName, ' ') - 1)" }
last = { sql = "substr(fullName, instr(fullName, ' ') + 1)" }
state = { map = { A = "active", I = "inactive" } }
lang = { default = "en" }
secret = { skip = true }
cents = { to = "amount", sql = "cents / 100.0", inverse = "CAST(round(cents * 100) AS INTEGER)" }
[[table]]
from = "Keys"
to = "keys"
[table.columns]
k = { to = "key" }
[[table]]
from = "Old"
skip = true
"#;

#[test]
fn what_nobody_changed_comes_back_to_the_byte() {
    Through::new(USERS, SHAPES).comes_back_as("SELECT 1");
}

#[test]
fn what_was_changed_goes_back_by_the_inverse_of_the_pipeline() {
    let stage = Through::new(USERS, SHAPES);
    stage.pg(
        "UPDATE users SET state = 'inactive', amount = 20.5 WHERE id = 1; UPDATE users SET first = 'Bo' WHERE id = 2;
        UPDATE users SET state = 'new' WHERE id = 5; DELETE FROM users WHERE id = 3;
        INSERT INTO users (id, first, last, state, lang, amount, gone) VALUES (6, 'Gil', 'Gee', 'active', 'nl', 3.5, 0);
        UPDATE keys SET v = '3' WHERE key = 'a'; INSERT INTO keys VALUES ('c', '4'); DELETE FROM keys WHERE key = 'b'",
    );
    stage.comes_back_as(
        "UPDATE Users SET state = 'I', cents = 2050 WHERE Id = 1; UPDATE Users SET fullName = 'Bo Bo' WHERE Id = 2;
         UPDATE Users SET state = 'new' WHERE Id = 5; DELETE FROM Users WHERE Id = 3;
         INSERT INTO Users VALUES (6, 'Gil Gee', 'A', 'nl', NULL, 350, 0);
         UPDATE Keys SET v = '3' WHERE k = 'a'; INSERT INTO Keys VALUES ('c', '4'); DELETE FROM Keys WHERE k = 'b'",
    );
}

#[test]
fn what_the_pipeline_cannot_say_is_refused_and_named() {
    for (sql, words) in [
        (
            "UPDATE users SET lang = NULL WHERE id = 1",
            "`users.lang`, 1: NULL, in whose place the pipeline puts a default",
        ),
        (
            "UPDATE users SET state = 'A' WHERE id = 1",
            "`users.state`, 1: a value that no cell of this column stands for",
        ),
        ("UPDATE users SET amount = 0.001 WHERE id = 1", "`users.amount`, 1: the pipeline makes it of something else"),
        ("UPDATE users SET gone = 1 WHERE id = 1", "SQLite refuses the row: the pipeline would leave it out"),
        (
            "INSERT INTO users (id, first, last, lang, gone) VALUES (4, 'x', 'y', 'z', 0)",
            "SQLite refuses the row: UNIQUE constraint failed: Users.Id",
        ),
        ("UPDATE users SET first = 'a b' WHERE id = 1", "`users.first`, 1: the pipeline makes it of something else"),
    ] {
        let stage = Through::new(USERS, SHAPES);
        let ran = stage.pg(sql).back(&[]).exits(3);
        let told = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(words), "{sql}:\n{}", ran.stdout);
        assert!(!stage.to().exists());
    }
}

#[test]
fn several_old_values_that_became_one_go_back_as_the_first_where_the_cell_was_changed() {
    let stage = Through::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'y'), (2, 'yes'), (3, 'n'), (4, 'on');",
        "[[table]]\nfrom = \"t\"\n[table.columns]\nv = { map = { yes = \"1\", y = \"1\", n = \"0\" } }",
    );
    stage.pg("UPDATE t SET v = '1' WHERE id = 3").comes_back_as("UPDATE t SET v = 'yes' WHERE id = 3");
    let told = stage.plan(&[]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("way back: with exceptions `v`: `1` stands for 2 old values"), "{told}");
    assert!(told.contains("where PostgreSQL changes a cell to it, `yes` goes back"), "{told}");
}

const TAGS: &str = "
    CREATE TABLE post (id INTEGER PRIMARY KEY, tags TEXT);
    INSERT INTO post VALUES (1, '[\"a\",\"b\"]'), (2, '[\"b\"]');";

const QUERY: &str = r#"
[[table]]
query = "SELECT p.id AS post, j.value AS tag FROM post p, json_each(p.tags) j"
key = ["post", "tag"]
to = "tag"
"#;

#[test]
fn a_table_made_by_a_query_is_one_way_and_that_is_said_beforehand() {
    let stage = Through::new(TAGS, QUERY);
    let told = stage.plan(&[]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains("way back: none made by a query: what PostgreSQL changes in it is exported"), "{told}");
    let plan: serde_json::Value = serde_json::from_str(&stage.plan(&["--json"]).stdout).expect("a plan");
    let of = |table: &str| {
        let all = plan["ways_back"].as_array().expect("a list");
        all.iter().find(|way| way["table"] == table).expect("the table")["extent"].clone()
    };
    assert_eq!((of("post"), of("tag")), ("whole".into(), "one_way".into()));
    stage.comes_back_as("SELECT 1");
    // What went back into the table that it is made of shows in it, and is nothing that PostgreSQL changed there.
    stage.pg("UPDATE post SET tags = '[]' WHERE id = 1").comes_back_as("UPDATE post SET tags = '[]' WHERE id = 1");
    stage.pg("UPDATE post SET tags = '[\"a\",\"b\"]' WHERE id = 1");
    stage.pg("INSERT INTO tag VALUES (2, 'z')");
    let ran = stage.back(&[]).exits(3);
    assert!(ran.stdout.contains("cannot go back: `tag`, 4: PostgreSQL changed the table"), "{}", ran.stdout);
    let folder = stage.path.with_file_name("unmappable");
    let ran = stage.back(&["--export-unmappable", folder.to_str().expect("a path")]).exits(4);
    same(&stage.to(), &stage.path);
    let rows = fs::read_to_string(folder.join("tag.csv")).expect("the rows");
    assert!(rows.contains("2,z") && ran.stdout.contains("tag.csv"), "{rows}\n{}", ran.stdout);
    stage.back(&["--leave", "tag"]).exits(0);
    same(&stage.to(), &stage.path);
}

#[test]
fn ids_of_a_map_go_back_as_the_texts_that_they_were() {
    let stage = Through::new(
        "CREATE TABLE agent (id TEXT PRIMARY KEY, name TEXT);
         INSERT INTO agent VALUES ('agent-1', 'a'), ('agent-2', 'b'), ('018f4e2a-9b7c-7def-8123-456789abcdef', 'c');
         CREATE TABLE task (id INTEGER PRIMARY KEY, agent TEXT REFERENCES agent, n INTEGER);
         INSERT INTO task VALUES (1, 'agent-1', 5), (2, '018f4e2a-9b7c-7def-8123-456789abcdef', 6), (3, NULL, 7);",
        "[[table]]\nfrom = \"agent\"\n[table.columns]\nid = { type = \"uuid\", v5 = \"agents\" }",
    );
    let new = "018f4e2a-9b7c-7def-8123-00000000000a";
    stage.pg(&format!(
        "UPDATE task SET agent = (SELECT id FROM agent WHERE name = 'b') WHERE id IN (1, 3);
         UPDATE agent SET name = 'A' WHERE name = 'a'; INSERT INTO agent VALUES ('{new}', 'd');
         INSERT INTO task VALUES (4, (SELECT id FROM agent WHERE name = 'A'), 8), (5, '{new}', 9)"
    ));
    stage.comes_back_as(&format!(
        "UPDATE task SET agent = 'agent-2' WHERE id IN (1, 3); UPDATE agent SET name = 'A' WHERE name = 'a';
         INSERT INTO agent VALUES ('{new}', 'd'); INSERT INTO task VALUES (4, 'agent-1', 8), (5, '{new}', 9)"
    ));
}

#[test]
fn a_way_back_may_be_stated_later_and_nothing_else_may() {
    let stage = Through::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 10), (2, 20);",
        "[[table]]\nfrom = \"t\"\n[table.columns]\nn = { sql = \"n * 2\" }",
    );
    stage.pg("UPDATE t SET n = 6 WHERE id = 1");
    stage.back(&[]).exits(3);
    let text = fs::read_to_string(&stage.pipeline).expect("the pipeline");
    fs::write(&stage.pipeline, text.replace("\"n * 2\"", "\"n * 2\", inverse = \"n / 2\"")).expect("the pipeline");
    stage.comes_back_as("UPDATE t SET n = 3 WHERE id = 1");
    fs::write(&stage.pipeline, text.replace("n * 2", "n * 3")).expect("the pipeline");
    stage.back(&[]).exits(3).says(&["was made through another pipeline than this one"]);
    // Without the file, the run's own shapes count.
    let mut command = program();
    command.arg("rollback").arg(&stage.path).arg(url(&stage.target)).arg("--to").arg(stage.to()).arg("--dry-run");
    ended(command.output().expect("the program starts")).exits(3);
    assert_eq!(value(&stage.seen, "SELECT count(*) FROM t"), "2");
}

#[test]
fn an_inverse_that_sqlite_refuses_is_told() {
    let stage = Through::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER); INSERT INTO t VALUES (1, 10);",
        "[[table]]\nfrom = \"t\"\n[table.columns]\nn = { sql = \"n * 2\", inverse = \"nowhere + 1\" }",
    );
    let ran = stage.pg("UPDATE t SET n = 6 WHERE id = 1").back(&[]);
    ran.exits(3).says(&["an `inverse` of `t` cannot be worked out", "no such column: nowhere"]);
}

const DEFAULTS: &str =
    "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, NULL);";

/// A table of the application's own, with this column beside those of SQLite.
fn beside(column: &str, more: &str) -> Through {
    let made = format!("CREATE TABLE t (id int PRIMARY KEY, v text, extra {column})");
    let pipeline = format!(
        "{more}\n[[before]]\nsql = '''CREATE TYPE mood AS ENUM ('calm', 'odd')'''\n[[before]]\nsql = '''{made} '''"
    );
    Through::new(DEFAULTS, &pipeline)
}

#[test]
fn a_column_that_holds_nothing_but_a_constant_default_is_left_behind_and_that_is_said() {
    for column in [
        "int DEFAULT 0",
        "int DEFAULT -7",
        "numeric(3,2) DEFAULT 0.5",
        "varchar(20) NOT NULL DEFAULT 'idle'",
        "jsonb DEFAULT '{}'",
        "json DEFAULT '{ \"a\": 1 }'",
        "text[] DEFAULT '{}'",
        "varchar(3)[] DEFAULT ARRAY['a', 'b']",
        "boolean NOT NULL DEFAULT false",
        "double precision DEFAULT 'NaN'",
        "timestamptz DEFAULT '2024-01-01 00:00+00'",
        "mood DEFAULT 'calm'",
        "text COLLATE \"C\" DEFAULT 'it''s {CURRENT_DATE}'",
        "text DEFAULT upper('x')",
    ] {
        let stage = beside(column, "");
        let ran = stage.back(&[]).exits(0);
        ran.says(&["t.extra", "every row holds its default: it is left behind"]);
        same(&stage.to(), &stage.path);
        // Rows that were born there too.
        stage.pg("INSERT INTO t VALUES (4, 'd')").comes_back_as("INSERT INTO t VALUES (4, 'd')");
    }
    let stage = beside("text GENERATED ALWAYS AS (v || '!') STORED", "");
    stage.back(&[]).exits(0).says(&["t.extra", "PostgreSQL computes it: it is left behind"]);
    same(&stage.to(), &stage.path);
}

#[test]
fn another_value_than_the_default_and_a_default_that_changes_are_refused() {
    for (column, sql, count) in [
        ("int DEFAULT 0", "UPDATE t SET extra = 1 WHERE id = 2", 1),
        ("int DEFAULT 0", "UPDATE t SET extra = NULL WHERE id = 2", 1),
        ("text COLLATE \"C\" DEFAULT 'x'", "UPDATE t SET extra = 'X'", 3),
        ("jsonb DEFAULT '{}'", "UPDATE t SET extra = '[]' WHERE id < 3", 2),
        ("double precision DEFAULT 0", "UPDATE t SET extra = '-0' WHERE id = 1", 1),
        ("uuid DEFAULT gen_random_uuid()", "SELECT 1", 3),
        ("timestamptz DEFAULT now()", "SELECT 1", 3),
        ("date DEFAULT CURRENT_DATE", "SELECT 1", 3),
        ("text DEFAULT current_user", "SELECT 1", 3),
        ("date DEFAULT 'today'::text::date", "SELECT 1", 3),
        ("int GENERATED ALWAYS AS IDENTITY", "SELECT 1", 3),
        ("boolean DEFAULT random() < 2", "SELECT 1", 3),
        ("int", "UPDATE t SET extra = 1 WHERE id = 2", 1),
    ] {
        let stage = beside(column, "");
        let ran = stage.pg(sql).back(&[]).exits(3);
        let told = format!("`t.extra`, {count}: SQLite never had the column");
        assert!(ran.stdout.contains(&told), "{column}: {sql}\n{}", ran.stdout);
        assert!(!stage.to().exists());
        let folder = stage.path.with_file_name("unmappable");
        stage.back(&["--export-unmappable", folder.to_str().expect("a path")]).exits(4);
        let rows = fs::read_to_string(folder.join("t.extra.csv")).expect("the values");
        assert_eq!(rows.lines().count(), 1 + count, "{column}: {rows}");
    }
}

#[test]
fn a_pipeline_says_what_stays_behind() {
    let leave =
        "[rollback]\nleave = [\"t.extra\", \"other\"]\n[[after]]\nsql = \"CREATE TABLE other AS SELECT 1 AS x\"";
    let stage = beside("uuid DEFAULT gen_random_uuid()", leave);
    let told = stage.plan(&[]).stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    let words = "way back: with exceptions `extra`: what only PostgreSQL has of it is left behind";
    assert!(told.contains(words), "{told}");
    stage.pg("UPDATE t SET v = 'B' WHERE id = 2").comes_back_as("UPDATE t SET v = 'B' WHERE id = 2");
    // The command line may say it once more, and more than that.
    stage.back(&["--leave", "t.extra", "--leave", "t.v"]).exits(0).says(&["t.v", "stays as the source has it"]);
    same(&stage.to(), &stage.path);
    let text = fs::read_to_string(&stage.pipeline).expect("the pipeline");
    let with = |leave: &str| fs::write(&stage.pipeline, text.replace("\"other\"]", leave)).expect("the pipeline");
    with("\"other\", \"t.nothing\"]");
    stage.back(&[]).exits(2).says(&["`t.nothing`, which is to be left, names no table and no column"]);
    with("\"other\", \"t.\", \"other\"]");
    stage.back(&[]).exits(2).says(&["what is left is a `TABLE` or a `TABLE.COLUMN`", "`other` is left already"]);
}

#[test]
fn arrays_go_back_as_the_lists_that_they_came_from() {
    let stage = Through::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, tags TEXT, parts TEXT, flags TEXT, ids TEXT);
         INSERT INTO t VALUES (1, '[\"a\", \"b\"]', '1;2', '[true]', '[]'), (2, '[\"x\"]', '', '[ ]', NULL), (3, NULL, '7', NULL, '[null]');",
        "[[table]]\nfrom = \"t\"\n[table.columns]\ntags = { type = \"text[]\" }\nparts = { type = \"integer[]\", split = \";\" }\n\
         flags = { type = \"boolean[]\" }\nids = { type = \"uuid[]\" }",
    );
    stage.comes_back_as("SELECT 1");
    stage.pg(
        "UPDATE t SET tags = ARRAY['a', 'c, \"d\"', NULL], parts = ARRAY[3, -4, 5] WHERE id = 1;
         UPDATE t SET tags = '{}', parts = '{8}', flags = '{false,NULL}', ids = '{018f4e2a-9b7c-7def-8123-456789abcdef}' WHERE id = 2;
         UPDATE t SET parts = '{}' WHERE id = 3;
         INSERT INTO t VALUES (4, ARRAY['ü', E'\\n'], '{9,10}', '{true,false}', '{}')",
    );
    stage.comes_back_as(
        "UPDATE t SET tags = '[\"a\", \"c, \\\"d\\\"\", null]', parts = '3;-4;5' WHERE id = 1;
         UPDATE t SET tags = '[]', parts = '8', flags = '[false,null]', ids = '[\"018f4e2a-9b7c-7def-8123-456789abcdef\"]' WHERE id = 2;
         UPDATE t SET parts = '' WHERE id = 3;
         INSERT INTO t VALUES (4, '[\"ü\",\"\\n\"]', '9;10', '[true,false]', '[]')",
    );
    // What no such text lists.
    for sql in ["UPDATE t SET parts = '{1,NULL}' WHERE id = 1", "UPDATE t SET tags = ARRAY[ARRAY['a']] WHERE id = 1"] {
        let ran = stage.pg(sql).back(&[]).exits(3);
        assert!(ran.stdout.contains("a value that no cell of this column stands for"), "{sql}: {}", ran.stdout);
        stage.pg("UPDATE t SET parts = '{1}', tags = '{}' WHERE id = 1");
    }
}

#[test]
fn the_plan_has_the_line_that_does_without_what_does_not_go_back() {
    let (_dir, path) = source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b');
         CREATE TABLE tag (t INTEGER, tag TEXT); INSERT INTO tag VALUES (1, 'x'), (1, 'y'), (2, 'x');",
    );
    let (file, target) = (path.with_file_name("pipeline.toml"), database());
    let shapes = "[[before]]\nsql = \"CREATE TABLE audit (at timestamptz DEFAULT now()); INSERT INTO audit DEFAULT VALUES\"\n\
        [[table]]\nfrom = \"tag\"\nskip = true\n\
        [[table]]\nto = \"tags\"\nquery = \"SELECT tag, count(*) AS n FROM tag GROUP BY tag\"\nkey = [\"tag\"]\n";
    let write =
        |more: &str| fs::write(&file, format!("source = \"app.db\"\ntarget = '{}'\n{shapes}{more}", url(&target)));
    write("").expect("a pipeline");
    let seen = session(&target);
    // Filled by itself with what is no constant, by one, by PostgreSQL's own sum, and by nobody.
    let there = "CREATE TABLE t (id int PRIMARY KEY, v text, made timestamptz DEFAULT now(), kind int DEFAULT 1,
        twice int GENERATED ALWAYS AS (id * 2) STORED, note text)";
    seen.batch(there).expect("a table");
    let run = |verb: &str, more: &[&str]| {
        let mut command = program();
        command.arg(verb).arg("-p").arg(&file).args(more);
        ended(command.output().expect("the program starts"))
    };
    let listed = |ran: &Ran| -> Vec<String> {
        let plan: serde_json::Value = serde_json::from_str(&ran.stdout).expect("JSON");
        let of = |u: &serde_json::Value| format!("{} {}", u["name"], u["why"]).replace('"', "");
        plan["unreturned"].as_array().expect("a list").iter().map(of).collect()
    };
    assert_eq!(listed(&run("plan", &["--json"]).exits(0)), ["audit only_there", "t.made only_there", "tags one_way"]);
    assert_eq!(listed(&run("plan", &["--json", "--offline"]).exits(0)), ["tags one_way"]);
    let told = run("plan", &[]).exits(0).stdout;
    let line = "[rollback]\n            leave = [\"audit\", \"t.made\", \"tags\"]\n";
    assert!(told.contains(line), "{told}");
    run("migrate", &["--quiet"]).exits(0);
    let to = path.with_file_name("restored.db");
    let back = ["--to", to.to_str().expect("a path"), "--force"];
    seen.batch("UPDATE tags SET n = 9").expect("changed");
    let refused = run("rollback", &back).exits(3).stdout;
    for name in ["`audit`", "`t.made`", "`tags`"] {
        assert!(refused.contains(&format!("cannot go back: {name}, ")), "{name}: {refused}");
    }
    write(&line.replace("            ", "")).expect("a pipeline");
    run("rollback", &back).exits(0);
    same(&to, &path);
    assert_eq!(listed(&run("plan", &["--json", "--offline"]).exits(0)), [""; 0], "all of it is left");
}
