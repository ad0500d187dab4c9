//! A source whose every name, type, default and check is an attack: through every verb, nothing of it is ever carried out.
//!
//! Each text would, where it got out of its quotes, create a canary, or drop or change a table of somebody else's.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::model::event::{Event, Observer, Progress};
use lite2pg::postgres::{Session, Target};
use lite2pg::run::{self, Options, Scope};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use support::program::{Ran, ended, program, url, value};
use support::scenario::quoted;
use support::{database, server, session, told};
use tempfile::TempDir;

/// Every way out of a quote, a comment, a format string or a terminal line that we know of.
fn names() -> Vec<String> {
    let mut names: Vec<String> = [
        "a\"; DROP TABLE victim; --",
        "b'; CREATE TABLE canary_a (); --",
        "c\"); CREATE TABLE canary_b (); --",
        "d'); CREATE ROLE canary_c; --",
        "e\n; CREATE TABLE canary_d (); --",
        "f\r\nCREATE TABLE canary_e ();\r\n\\.\n",
        "$$; CREATE TABLE canary_f (); $$",
        "/* g */; CREATE TABLE canary_g (); /*",
        "*/; CREATE TABLE canary_h (); --",
        "-- i",
        "j\\'; CREATE TABLE canary_j (); --",
        "\\\"; CREATE TABLE canary_k (); --",
        "%s %I %L {} {0} %n",
        "$1",
        ":m",
        "?",
        "\"",
        "'",
        "\\",
        "a.b",
        "a\".\"b",
        "U&\"\\0022; CREATE TABLE canary_q (); --",
        "\u{1b}[2J\u{1b}]0;title\u{7}",
        "\u{9b}31m\u{202e}evil\u{2066}",
        "\u{ff02}; CREATE TABLE canary_s (); --",
        "Ünï ćødé 表 😀",
        "select",
        "User",
        "a,b",
        "(a) SELECT",
        "COPY t FROM PROGRAM 'touch canary'",
        "lite2pg.run",
    ]
    .map(str::to_owned)
    .to_vec();
    // 63 bytes are kept; the quote is the last of them. Cut in the middle, the second half of a pair would be gone.
    names.push(format!("{}\"", "x".repeat(62)));
    names.push(format!("{}é", "y".repeat(61)));
    names
}

/// A literal for both databases.
fn literal(text: &str) -> String {
    let text = text.replace('\'', "''");
    format!("'{text}'")
}

/// A table, an index, a view and a trigger of each name, with columns, types, defaults, checks and keys of it.
fn statements() -> String {
    let mut sql = String::from("PRAGMA foreign_keys = OFF; BEGIN;");
    let names = names();
    for (i, name) in names.iter().enumerate() {
        let (n, text) = (quoted(name), literal(name));
        let parent = quoted(&names[(i + 1) % names.len()]);
        let column = quoted(&format!("c {}", &name.chars().take(20).collect::<String>()));
        let short = |kind: &str| quoted(&format!("{kind}{}", &name.chars().take(40).collect::<String>()));
        let all = format!(
            "CREATE TABLE {n} (id INTEGER PRIMARY KEY, {n} {n} DEFAULT {text}, {column} TEXT COLLATE NOCASE DEFAULT {text},
                parent INTEGER, CONSTRAINT {n} CHECK ({n} <> {text} || 'no'), UNIQUE ({column}),
                CONSTRAINT {parent} FOREIGN KEY (parent) REFERENCES {parent} (id));
             CREATE INDEX {index} ON {n} ({n}) WHERE {n} <> {text} || '!';
             CREATE VIEW {view} AS SELECT {n} AS {column}, {text} AS {n} FROM {n} WHERE {n} <> {text} || '?';
             CREATE TRIGGER {trigger} AFTER UPDATE ON {n} BEGIN UPDATE {n} SET parent = 1 WHERE {n} = {text}; END;
             INSERT INTO {n} (id, {n}, {column}, parent) VALUES (1, {text}, {text}, 1), (2, 'plain', {text} || '2', 2);",
            index = short("i "),
            view = short("v "),
            trigger = short("t "),
        );
        sql.push_str(&all);
    }
    sql + "COMMIT"
}

const VICTIMS: &str = "CREATE TABLE victim (id int); INSERT INTO victim VALUES (1);
    CREATE SCHEMA other; CREATE TABLE other.victim (id int); INSERT INTO other.victim VALUES (2)";

struct Case {
    dir: TempDir,
    path: PathBuf,
    target: Target,
    seen: Session,
    schema: String,
}

impl Case {
    fn new(schema: &str) -> Self {
        let (dir, path) = support::program::source(&statements());
        let target = database();
        let seen = session(&target);
        seen.batch(VICTIMS).unwrap();
        Self { dir, path, target, seen, schema: schema.to_owned() }
    }

    fn run(&self, verb: &str, more: &[&str]) -> Ran {
        let mut command = program();
        command.arg(verb).arg(&self.path).arg(url(&self.target));
        if verb != "bench" {
            command.args(["--schema", &self.schema]);
        }
        let ran = ended(command.args(more).current_dir(self.dir.path()).output().unwrap());
        for text in [&ran.stdout, &ran.stderr] {
            let steers = |c: char| {
                c != '\n' && (c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}'))
            };
            assert!(
                !text.contains(steers),
                "a name steers the terminal: {:?}",
                text.lines().find(|l| l.contains(steers))
            );
        }
        self.is_unharmed();
        ran
    }

    #[track_caller]
    fn is_unharmed(&self) {
        unharmed(&self.seen);
        let files = std::fs::read_dir(self.dir.path()).unwrap().map(|e| e.unwrap().file_name());
        assert_eq!(files.filter(|name| name.to_string_lossy().contains("canary")).count(), 0);
    }

    /// Every row of every table, by names that this test quotes itself.
    #[track_caller]
    fn has_every_row(&self) {
        let db = Connection::open(&self.path).unwrap();
        for name in names() {
            let column = format!("c {}", &name.chars().take(20).collect::<String>());
            let list = [&name, &column].map(|n| quoted(n)).join(", ");
            let here: Vec<(i64, String, String, i64)> = db
                .prepare(&format!("SELECT id, {list}, parent FROM {} ORDER BY id", quoted(&name)))
                .unwrap()
                .query_map([], |r| Ok((r.get(0)?, r.get(1)?, r.get(2)?, r.get(3)?)))
                .unwrap()
                .collect::<Result<_, _>>()
                .unwrap();
            let relation = format!("{}.{}", quoted(&self.schema), quoted(&name));
            let there = self.seen.query(&format!("SELECT id, {list}, parent FROM {relation} ORDER BY id"), &[]);
            let there: Vec<(i64, String, String, i64)> = there
                .unwrap_or_else(|e| panic!("{name:?}: {}", told(&e)))
                .iter()
                .map(|r| (r.get(0), r.get(1), r.get(2), r.get(3)))
                .collect();
            assert_eq!(here, there, "{name:?}");
        }
    }
}

#[track_caller]
fn unharmed(seen: &Session) {
    let canaries = "SELECT (SELECT count(*) FROM pg_class WHERE relname LIKE 'canary%') \
        + (SELECT count(*) FROM pg_roles WHERE rolname LIKE 'canary%') \
        + (SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'canary%')";
    assert_eq!(value(seen, canaries), "0", "a canary sings");
    assert_eq!(value(seen, "SELECT sum(id) FROM (TABLE victim UNION ALL TABLE other.victim) v"), "3");
}

/// What the catalogs say of a schema: tables, columns, defaults, constraints, indexes, views.
fn shape(seen: &Session, schema: &str) -> Vec<String> {
    let sql = "SELECT line FROM (\
        SELECT c.relname || '|' || a.attname || '|' || format_type(a.atttypid, a.atttypmod) || a.attnotnull || a.attidentity::text \
            || coalesce(pg_get_expr(d.adbin, d.adrelid), '') AS line \
          FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid LEFT JOIN pg_attrdef d ON d.adrelid = c.oid AND d.adnum = a.attnum \
          WHERE c.relnamespace = $1::text::regnamespace AND a.attnum > 0 AND c.relkind IN ('r', 'v') \
        UNION ALL SELECT conname || '|' || pg_get_constraintdef(oid) || convalidated FROM pg_constraint WHERE connamespace = $1::text::regnamespace \
        UNION ALL SELECT pg_get_indexdef(oid) FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind = 'i' \
        UNION ALL SELECT relname || '|' || pg_get_viewdef(oid) FROM pg_class WHERE relnamespace = $1::text::regnamespace AND relkind = 'v') s \
        ORDER BY line COLLATE \"C\"";
    seen.query(sql, &[&quoted(schema)]).unwrap().iter().map(|row| row.get(0)).collect()
}

#[test]
fn a_hostile_source_is_moved_compared_and_repaired_and_nothing_of_it_runs() {
    let schema = "s\"; DROP TABLE victim; CREATE TABLE canary_schema (); --'";
    let case = Case::new(schema);
    let before = case.run("migrate", &["--dry-run"]).exits(0);
    assert!(before.stdout.contains("table "), "{}", before.stdout);
    let ran = case.run("migrate", &[]).exits(0);
    assert!(ran.stdout.contains("verified: every cell"), "{}", ran.stdout);
    case.has_every_row();
    // Constraints, indexes and views are there as well: what was left out cannot have done harm.
    let count = |kind: &str| {
        let sql = format!(
            "SELECT count(*) FROM pg_class WHERE relnamespace = {}::regnamespace AND relkind = '{kind}'",
            literal(&quoted(schema))
        );
        value(&case.seen, &sql).parse::<usize>().unwrap()
    };
    assert_eq!(count("r"), names().len());
    assert_eq!(count("v"), names().len());
    assert!(count("i") >= 3 * names().len());
    let keys = format!(
        "SELECT count(*) FROM pg_constraint WHERE connamespace = {}::regnamespace AND contype IN ('c', 'f')",
        literal(&quoted(schema))
    );
    assert_eq!(value(&case.seen, &keys), (2 * names().len()).to_string());

    case.run("migrate", &[]).exits(0).says(&[]);
    case.run("migrate", &["--json", "--log-format", "json"]).exits(0);
    case.run("verify", &[]).exits(0);
    case.run("verify", &["--json"]).exits(0);
    for name in names().iter().step_by(4) {
        case.run("verify", &[&format!("--table={name}")]).exits(0);
    }

    // Some rows differ, are listed and put right.
    for name in names() {
        let relation = format!("{}.{}", quoted(schema), quoted(&name));
        // The tables refer to each other in a ring: a row that is missing could not be put back before its parent.
        let column = quoted(&name);
        let unique = quoted(&format!("c {}", &name.chars().take(20).collect::<String>()));
        let extra = format!("INSERT INTO {relation} (id, {unique}, parent) VALUES (3, 'three', 1)");
        case.seen.batch(&format!("UPDATE {relation} SET {column} = 'changed' WHERE id = 2; {extra}")).unwrap();
    }
    case.run("verify", &["--show-values"]).exits(5);
    let lists = std::fs::read_dir(case.dir.path().join("differences")).unwrap().count();
    assert_eq!(lists, names().len(), "a list for each table, none elsewhere");
    case.run("verify", &["--log-format", "json", "--json", "--show-values"]).exits(5);
    case.run("verify", &["--repair"]).exits(0);
    case.has_every_row();
    case.run("migrate", &["--restart", "--jobs", "3"]).exits(0);
    case.has_every_row();
}

#[test]
fn hostile_tables_that_are_there_are_loaded_by_every_mode() {
    let case = Case::new("t'; DROP TABLE victim; --\"");
    case.run("migrate", &["--schema-only"]).exits(0);
    // An enum, whose name and labels are attacks too.
    let schema = quoted(&case.schema);
    let labels: Vec<String> = names().iter().flat_map(|n| [n.clone(), format!("{n}2")]).map(|n| literal(&n)).collect();
    let labels: Vec<&String> = labels.iter().filter(|l| l.len() < 60).collect();
    let kind = quoted("kind\"; CREATE TABLE canary_enum (); --");
    let labels: Vec<&str> = labels.iter().map(|l| l.as_str()).collect();
    case.seen.batch(&format!("CREATE TYPE {schema}.{kind} AS ENUM ({})", labels.join(", "))).unwrap();
    let table = quoted("a,b");
    case.seen
        .batch(&format!(
            "DROP VIEW {schema}.\"v a,b\"; ALTER TABLE {schema}.{table} ALTER \"c a,b\" DROP DEFAULT; \
             DROP INDEX {schema}.\"a,b_c a,b_key\"; \
             ALTER TABLE {schema}.{table} ALTER \"c a,b\" TYPE {schema}.{kind} USING \"c a,b\"::text::{schema}.{kind}"
        ))
        .unwrap_or_else(|e| panic!("{}", told(&e)));
    case.run("migrate", &["--data-only", "--dry-run"]).exits(0);
    case.run("migrate", &["--data-only", "--exclude", "a,b"]).exits(0);
    case.run("migrate", &["--data-only", "--include", "a,b"]).exits(0);
    let text = format!("SELECT string_agg(\"c a,b\"::text, ' ' ORDER BY id) FROM {schema}.{table}");
    assert_eq!(value(&case.seen, &text), "a,b a,b2");
    case.run("migrate", &["--data-only", "--truncate"]).exits(0);
    case.run("verify", &[]).exits(0);
    // Rows that were joined to others are not compared, hence 5.
    case.run("migrate", &["--data-only", "--on-conflict", "skip"]).exits(5);
    case.run("migrate", &["--data-only", "--on-conflict", "update"]).exits(5);
    case.run("migrate", &["--data-only", "--on-conflict", "fail"]).exits(1);
    case.run("verify", &[]).exits(3);
}

#[test]
fn names_in_other_spellings_are_no_less_quoted() {
    for spelling in ["lower", "snake"] {
        let case = Case::new("spelled");
        let ran = case.run("migrate", &["--identifiers", spelling]).exits(0);
        assert!(ran.stdout.contains("verified: every cell"), "{}", ran.stdout);
        case.run("verify", &[]).exits(0);
    }
}

#[test]
fn the_bench_of_a_hostile_source_leaves_nothing() {
    let case = Case::new("public");
    case.run("bench", &["--rounds", "1", "--jobs", "2"]).exits(0);
    case.run("bench", &["--rounds", "1", "--jobs", "1", "--full", "--json"]).exits(0);
    assert_eq!(value(&case.seen, "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'lite2pg%'"), "0");
}

#[test]
fn the_script_of_a_hostile_source_makes_in_psql_what_a_run_makes() {
    let case = Case::new("w\"; CREATE TABLE canary_script (); --");
    let ran = case.run("migrate", &["--dry-run", "--sql"]).exits(0);
    let script = &ran.stdout[ran.stdout.rfind("\nCREATE SCHEMA").expect("a script")..];
    let file = case.dir.path().join("script.sql");
    std::fs::write(&file, script).unwrap();
    let by_hand = database();
    let seen = session(&by_hand);
    seen.batch(VICTIMS).unwrap();
    let mut psql = Command::new("psql");
    psql.args([
        "-X",
        "-q",
        "-v",
        "ON_ERROR_STOP=1",
        "-h",
        &by_hand.host(),
        "-U",
        "postgres",
        "-d",
        by_hand.dbname(),
        "-f",
    ]);
    let output = psql.arg(&file).current_dir(case.dir.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    unharmed(&seen);
    case.run("migrate", &["--schema-only"]).exits(0);
    assert_eq!(shape(&seen, &case.schema), shape(&case.seen, &case.schema));
    assert!(shape(&seen, &case.schema).len() > 8 * names().len());
}

/// Asks the run to end once a few tables are there.
struct Impatient<'a> {
    stop: &'a AtomicBool,
    copied: AtomicUsize,
}

impl Observer for Impatient<'_> {
    fn event(&self, event: &Event) {
        if matches!(event, Event::TableCopied { .. }) && self.copied.fetch_add(1, Ordering::Relaxed) == 5 {
            self.stop.store(true, Ordering::Relaxed);
        }
    }

    fn watch(&self, _: Arc<Progress>) {}
}

#[test]
fn a_hostile_run_that_was_cut_goes_on() {
    let case = Case::new("r\"'; DROP SCHEMA other CASCADE; --");
    let options = |path: &Path| Options { schema: case.schema.clone(), jobs: 2, ..Options::new(path) };
    let stop = AtomicBool::new(false);
    let observer = Impatient { stop: &stop, copied: AtomicUsize::new(0) };
    let error = run::migrate(&options(&case.path), &case.target, &observer, &stop).expect_err("it was cut");
    assert_eq!(error.kind(), lite2pg::Kind::Interrupted, "{}", told(&error));
    case.is_unharmed();
    let ran = case.run("migrate", &["--jobs", "2"]).exits(0).says(&["going on with run"]);
    assert!(ran.stdout.contains("verified: every cell"), "{}", ran.stdout);
    case.has_every_row();
}

#[test]
fn databases_and_roles_may_have_any_name() {
    let admin = session(&server::shared().target());
    let (dir, path) = support::program::source("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    for name in ["d\"; DROP DATABASE postgres; --", "it's \\ a 'name'", "a b&c=d%20/?#", "ü\n\u{1b}[31m"] {
        let q = quoted(name);
        admin.batch(&format!("CREATE ROLE {q} LOGIN")).unwrap();
        admin.batch(&format!("CREATE DATABASE {q} OWNER {q}")).unwrap();
        let escaped = name.replace('\\', "\\\\").replace('\'', "\\'");
        let target = format!("host={} dbname='{escaped}' user='{escaped}'", server::shared().target().host());
        let options = Options { scope: Scope::All, ..Options::new(&path) };
        for more in [&[][..], &["--restart"], &["--dry-run"], &["--schema", "lite2pg"], &["--include", "nothing"]] {
            let ran = ended(program().arg("migrate").arg(&options.source).arg(&target).args(more).output().unwrap());
            assert!(!format!("{}{}", ran.stdout, ran.stderr).contains('\u{1b}'));
            assert!([0, 2, 3].contains(&ran.code), "{name:?}: {}", ran.stderr);
        }
        ended(program().arg("verify").arg(&path).arg(&target).output().unwrap()).exits(0);
        // Of those that are not there, nothing is shown raw either.
        ended(program().arg("verify").arg(&path).arg(target.replace("dbname='", "dbname='no ")).output().unwrap())
            .exits(7);
    }
    drop(dir);
}
