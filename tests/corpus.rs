//! Databases that nobody here wrote: every file below `LITE2PG_CORPUS` is migrated, its rows are counted on both sides,
//! and every column is summed up by SQLite and by PostgreSQL in plain SQL, which must agree.

mod support;

use lite2pg::run::Options;
use rusqlite::Connection;
use rusqlite::types::ValueRef;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::SystemTime;
use support::oracle::{self, ordinary_tables};
use support::scenario::{Moved, Source, migrate_with, quoted};

#[test]
fn every_database_of_the_corpus_arrives_whole() {
    let Some(folder) = std::env::var_os("LITE2PG_CORPUS").map(PathBuf::from) else {
        println!("skipped: LITE2PG_CORPUS names no folder with databases");
        return;
    };
    let before = listing(&folder);
    let files: Vec<&PathBuf> = before.keys().filter(|path| is_database(path)).collect();
    assert!(!files.is_empty(), "`{}` holds no database", folder.display());
    println!("{:60} {:>10} {:>10} {:>8} {:>8}", "file", "rows in", "there", "columns", "checks");
    for file in files {
        let done = check(file);
        let name = file.strip_prefix(&folder).unwrap_or(file).display().to_string();
        println!("{name:60} {:>10} {:>10} {:>8} {:>8}", done.rows_in, done.rows_there, done.columns, done.checks);
    }
    assert_eq!(listing(&folder), before, "the corpus is as it was");
}

fn is_database(path: &Path) -> bool {
    let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let beside = ["-wal", "-shm", "-journal", ".md", ".txt", ".sql", ".sh"];
    !name.starts_with("README") && !name.starts_with("LICENSE") && !beside.iter().any(|end| name.ends_with(end))
}

/// Every file with its size and time.
fn listing(folder: &Path) -> BTreeMap<PathBuf, (u64, Option<SystemTime>)> {
    let mut found = BTreeMap::new();
    for entry in std::fs::read_dir(folder).expect("the corpus is a folder") {
        let path = entry.expect("an entry of the corpus").path();
        if path.is_dir() {
            found.extend(listing(&path));
        } else {
            let about = std::fs::metadata(&path).expect("a file of the corpus");
            found.insert(path, (about.len(), about.modified().ok()));
        }
    }
    found
}

#[derive(Default)]
struct Done {
    rows_in: i64,
    rows_there: i64,
    columns: usize,
    checks: usize,
}

fn check(file: &Path) -> Done {
    let moved = migrate_with(&Options::new(file));
    // Asked on a copy, so that no question leaves a lock or a log beside the file.
    let source = Source::copy_of(file);
    let db = source.open();
    let tables = ordinary_tables(&db);
    let planned = moved.plan["tables"].as_array().expect("a list").len();
    let mut done = Done::default();
    let mut seen = 0;
    for table in &tables {
        let Some(columns) = readable(&db, table) else {
            println!("  {}: `{table}` cannot be read by SQLite", file.display());
            continue;
        };
        seen += 1;
        let relation = moved.name(table);
        let here: i64 = one(&db, &format!("SELECT count(*) FROM {} NOT INDEXED", quoted(table)));
        let there: i64 =
            moved.one(&format!("SELECT count(*) FROM {relation}")).expect("a count").parse().expect("a number");
        assert_eq!(here, there, "rows of `{table}` in {}", file.display());
        done.rows_in += here;
        done.rows_there += there;
        // Cell by cell where one lane wrote the table, so that its rows stand in SQLite's order.
        if here <= 20_000 {
            oracle::compare(&db, &moved, table);
        }
        let kinds = moved.columns(&relation);
        assert_eq!(kinds.len(), columns.len(), "columns of `{table}`");
        for (source, (target, kind)) in columns.iter().zip(&kinds) {
            done.checks += column(&db, &moved, table, source, target, kind);
            done.columns += 1;
        }
    }
    assert_eq!(planned, seen, "{}: tables in the plan, tables in SQLite", file.display());
    done
}

// The names of a table's columns, where SQLite can read it.
fn readable(db: &Connection, table: &str) -> Option<Vec<String>> {
    let statement = db.prepare(&format!("SELECT * FROM {}", quoted(table))).ok()?;
    Some(statement.column_names().map(str::to_owned).collect())
}

fn one<T: rusqlite::types::FromSql>(db: &Connection, sql: &str) -> T {
    db.query_row(sql, [], |row| row.get(0)).unwrap_or_else(|e| panic!("{sql}: {e}"))
}

/// A question to both sides. Exact ones are compared as text, others as numbers within a tolerance.
struct Question {
    here: String,
    there: String,
    tolerance: Option<f64>,
}

fn exact(here: String, there: String) -> Question {
    Question { here, there, tolerance: None }
}

fn close(here: String, there: String, tolerance: f64) -> Question {
    Question { here, there, tolerance: Some(tolerance) }
}

// How many answers agreed.
fn column(db: &Connection, moved: &Moved, table: &str, source: &str, target: &str, kind: &str) -> usize {
    let from = format!("FROM {} NOT INDEXED", quoted(table));
    let classes: String = one(
        db,
        &format!(
            "SELECT coalesce(group_concat(DISTINCT typeof({0})), '') {from} WHERE {0} IS NOT NULL",
            quoted(source)
        ),
    );
    let relation = moved.name(table);
    let stood_in: i64 = moved
        .session
        .query_one(
            "SELECT count(*) FROM lite2pg.original o JOIN pg_class c ON c.relname = o.table_name \
             WHERE c.oid = $1::text::regclass AND column_name = $2",
            &[&relation, &target],
        )
        .expect("the originals")
        .get(0);
    let asked = questions(&quoted(source), &quoted(target), kind, &classes, stood_in > 0);
    for question in &asked {
        let sql = format!("SELECT {} {from}", question.here);
        let here = db.query_row(&sql, [], |row| row.get_ref(0).map(words)).unwrap_or_else(|e| panic!("{sql}: {e}"));
        let there = moved.one(&format!("SELECT {} FROM {relation}", question.there));
        let agree = match question.tolerance {
            None => here == there,
            Some(tolerance) => match (&here, &there) {
                (Some(a), Some(b)) => {
                    let (a, b): (f64, f64) = (a.parse().expect("a number"), b.parse().expect("a number"));
                    a.total_cmp(&b).is_eq() || (a - b).abs() <= tolerance * a.abs().max(1.0)
                }
                // SQLite cannot say.
                (None, _) => true,
                (Some(_), None) => false,
            },
        };
        assert!(
            agree,
            "`{table}`.{source} {kind} ({classes}): {} gives {here:?}, {} gives {there:?}",
            question.here, question.there
        );
    }
    asked.len()
}

fn words(value: ValueRef<'_>) -> Option<String> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(n) => Some(n.to_string()),
        ValueRef::Real(x) => Some(format!("{x:?}")),
        ValueRef::Text(bytes) => Some(String::from_utf8_lossy(bytes).into_owned()),
        ValueRef::Blob(bytes) => Some(bytes.iter().fold("\\x".to_owned(), |s, b| s + &format!("{b:02x}"))),
    }
}

// `s` is the column in SQLite, `t` in PostgreSQL, both quoted.
fn questions(s: &str, t: &str, kind: &str, classes: &str, stood_in: bool) -> Vec<Question> {
    let mut all = vec![exact(format!("count({s})"), format!("count({t})"))];
    match (kind.split(['(', ' ']).next().expect("a word"), classes) {
        ("bigint", "integer") => all.extend(integers(s, t)),
        ("double", _) => {
            let number = format!("{t}::float8");
            all.push(close(format!("min({s})"), format!("min({number})"), 0.0));
            all.push(close(format!("max({s})"), format!("max({number})"), 0.0));
            all.push(close(format!("total({s})"), format!("coalesce(sum({number}), 0)"), 1e-9));
        }
        ("numeric", "integer" | "real" | "real,integer" | "integer,real") => {
            all.push(close(format!("min({s})"), format!("min({t})"), 0.0));
            all.push(close(format!("max({s})"), format!("max({t})"), 0.0));
            all.push(close(format!("total({s})"), format!("coalesce(sum({t}), 0)"), 1e-9));
        }
        ("text", _) if !stood_in && !classes.contains("real") => all.extend(texts(&format!("CAST({s} AS TEXT)"), t)),
        ("bytea", _) if !classes.contains("real") => {
            all.push(exact(format!("sum(length(CAST({s} AS BLOB)))"), format!("sum(octet_length({t}))")));
            all.push(exact(
                format!("sum(unicode(hex(substr(CAST({s} AS BLOB), 1, 1))))"),
                format!("nullif(sum(ascii(upper(encode(substr({t}, 1, 1), 'hex')))), 0)"),
            ));
            all.push(exact(
                format!("sum(unicode(substr(hex(substr(CAST({s} AS BLOB), -1)), 2)))"),
                format!("nullif(sum(ascii(substr(upper(encode(substr({t}, octet_length({t})), 'hex')), 2))), 0)"),
            ));
        }
        ("boolean", _) => {
            let yes = "'1', 't', 'true', 'y', 'yes', 'on'";
            all.push(exact(
                format!("count(*) FILTER (WHERE lower({s}) IN ({yes}))"),
                format!("count(*) FILTER (WHERE {t})"),
            ));
        }
        ("uuid", _) => {
            let bare = format!("lower(replace(replace(replace({s}, '-', ''), '{{', ''), '}}', ''))");
            let there = format!("replace({t}::text, '-', '') COLLATE \"C\"");
            for of in ["min", "max"] {
                all.push(exact(format!("{of}({bare})"), format!("{of}({there})")));
            }
            all.push(exact(format!("sum(unicode(substr({bare}, 9)))"), format!("sum(ascii(substr({there}, 9)))")));
        }
        ("date", "text") => {
            all.extend(["min", "max"].map(|of| exact(format!("{of}({s})"), format!("{of}({t})"))));
            all.push(exact(
                format!("sum(CAST(julianday({s}) + 0.5 AS INTEGER) - 2440588)"),
                format!("sum({t} - DATE '1970-01-01')"),
            ));
        }
        ("timestamp", "text") => all.extend(moments(s, t)),
        ("jsonb", "text") => {
            for kind in ["object", "array"] {
                all.push(exact(
                    format!("count(*) FILTER (WHERE json_type({s}) = '{kind}')"),
                    format!("count(*) FILTER (WHERE jsonb_typeof({t}) = '{kind}')"),
                ));
            }
            all.push(exact(
                format!("sum(json_array_length({s}))"),
                format!("sum(CASE WHEN jsonb_typeof({t}) = 'array' THEN jsonb_array_length({t}) ELSE 0 END) FILTER (WHERE {t} IS NOT NULL)"),
            ));
        }
        _ => {}
    }
    all
}

// Both halves of the numbers are summed, so that 64 bits do not overflow.
fn integers(s: &str, t: &str) -> Vec<Question> {
    let sums =
        ["/", "%"].map(|part| exact(format!("sum({s} {part} 1000000007)"), format!("sum({t} {part} 1000000007)")));
    let ends = ["min", "max"].map(|of| exact(format!("{of}({s})"), format!("{of}({t})")));
    sums.into_iter().chain(ends).collect()
}

// Lengths, ends in the order of bytes, and a character of each text.
fn texts(s: &str, t: &str) -> Vec<Question> {
    // The ends of text in UTF-16 files would be others: their BINARY order is not that of UTF-8.
    let ends = ["min", "max"].map(|of| {
        exact(
            format!("{of}(hex({s})) FILTER (WHERE {s} IS NOT NULL)"),
            format!("{of}(upper(encode(convert_to({t}, 'UTF8'), 'hex')) COLLATE \"C\")"),
        )
    });
    let mut all: Vec<Question> = ends.into_iter().collect();
    all.push(exact(format!("sum(length({s}))"), format!("sum(length({t}))")));
    all.push(exact(format!("sum(octet_length({s}))"), format!("sum(octet_length({t}))")));
    all.push(exact(
        format!("sum(unicode(substr({s}, length({s}) / 2 + 1)))"),
        format!("sum(nullif(ascii(substr({t}, length({t}) / 2 + 1)), 0))"),
    ));
    all
}

// Of the spellings that SQLite's own date functions know.
fn moments(s: &str, t: &str) -> Vec<Question> {
    let known = format!("CASE WHEN count({s}) = count(unixepoch({s})) THEN");
    let mut all = Vec::new();
    for of in ["min", "max"] {
        all.push(Question {
            here: format!("{known} {of}(unixepoch({s}, 'subsec')) END"),
            there: format!("{of}(extract(epoch FROM {t}))::float8"),
            tolerance: Some(1e-9),
        });
    }
    all
}
