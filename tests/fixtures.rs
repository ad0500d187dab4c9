//! The fixtures are what their comments say: they load, they are sound files, and their traps are armed.
//!
//! Knows SQLite only. What lite2pg makes of these databases is asserted where lite2pg is tested.

#[path = "../fixtures/generate.rs"]
mod generate;

use std::path::{Path, PathBuf};

use generate::Source;
use rusqlite::types::{FromSql, ValueRef};
use rusqlite::{Connection, Row};
use tempfile::TempDir;

/// A folder that vanishes, and the path of a database in it.
fn scratch(name: &str) -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a temporary folder");
    let path = folder.path().join(name);
    (folder, path)
}

fn fixture(name: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(name);
    std::fs::read_to_string(&path).expect("a fixture of this name")
}

fn load(name: &str) -> (TempDir, Connection) {
    let (folder, path) = scratch("source.db");
    generate::write_sql(&path, &fixture(name)).unwrap_or_else(|error| panic!("fixtures/{name}: {error}"));
    (folder, Connection::open(path).expect("the file just written"))
}

fn all<T>(db: &Connection, sql: &str, read: impl Fn(&Row<'_>) -> rusqlite::Result<T>) -> Vec<T> {
    let mut statement = db.prepare(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    statement
        .query_map([], |row| read(row))
        .and_then(Iterator::collect)
        .unwrap_or_else(|error| panic!("{sql}: {error}"))
}

fn one<T: FromSql>(db: &Connection, sql: &str) -> T {
    all(db, sql, |row| row.get(0)).pop().unwrap_or_else(|| panic!("no row: {sql}"))
}

fn tables(db: &Connection) -> Vec<String> {
    all(db, "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\'", |row| {
        row.get(0)
    })
}

/// The storage classes of a column, in their order of first appearance by name.
fn classes(db: &Connection, table: &str, column: &str) -> String {
    one(
        db,
        &format!(
            "SELECT group_concat(class, ' ') FROM (SELECT DISTINCT typeof({column}) AS class FROM {table} ORDER BY 1)"
        ),
    )
}

#[test]
fn every_sql_file_loads_and_is_a_sound_database() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut files = 0;
    for entry in std::fs::read_dir(folder).expect("the fixtures") {
        let name = entry.expect("an entry").file_name().into_string().expect("a name in UTF-8");
        if Path::new(&name).extension().is_none_or(|extension| extension != "sql") {
            continue;
        }
        files += 1;
        let (_folder, db) = load(&name);
        assert!(!tables(&db).is_empty(), "{name} makes no table");
        // One table breaks its own CHECK on purpose.
        let faults = all(&db, "PRAGMA integrity_check", |row| row.get::<_, String>(0));
        let faults: Vec<_> = faults.iter().filter(|f| *f != "ok" && !f.ends_with("checks_broken")).collect();
        assert!(faults.is_empty(), "{name}: {faults:?}");
    }
    assert!(files >= 4, "only {files} files");
}

#[test]
fn types_hold_the_classes_that_their_comments_promise() {
    let (_folder, db) = load("types.sql");
    assert_eq!(classes(&db, "int_mixed", "n"), "blob integer null real text");
    assert_eq!(classes(&db, "untyped", "anything"), "blob integer null real text");
    assert_eq!(classes(&db, "untyped", "absent"), "null");
    assert_eq!(classes(&db, "only_blobs_in_text", "t"), "blob null");
    assert_eq!(classes(&db, "only_text_in_blob", "b"), "null text");
    assert_eq!(classes(&db, "never_filled", "count(*)"), "integer");
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM never_filled"), 0);
    assert_eq!(one::<i64>(&db, "SELECT min(i) FROM int_extremes"), i64::MIN);
    assert_eq!(one::<i64>(&db, "SELECT max(i) FROM int_extremes"), i64::MAX);
    assert_eq!(
        one::<String>(&db, "SELECT typeof(unsigned_big) FROM int_extremes WHERE id = 9223372036854775807"),
        "real"
    );
}

#[test]
fn real_extremes_are_infinite_and_negative_zero_lives_only_without_affinity() {
    let (_folder, db) = load("types.sql");
    let get = |column: &str, id: i64| one::<f64>(&db, &format!("SELECT {column} FROM real_extremes WHERE id = {id}"));
    assert_eq!(get("r", 1).to_bits(), f64::INFINITY.to_bits());
    assert_eq!(get("bare", 2).to_bits(), f64::NEG_INFINITY.to_bits());
    assert_eq!(get("bare", 3).to_bits(), (-0.0_f64).to_bits());
    assert_eq!(get("r", 3).to_bits(), 0.0_f64.to_bits());
    assert_eq!(one::<String>(&db, "SELECT typeof(bare) FROM real_extremes WHERE id = 5"), "null");
}

#[test]
fn broken_texts_are_texts_that_utf8_or_postgresql_refuses() {
    let (_folder, db) = load("types.sql");
    let rows = all(&db, "SELECT what, t FROM texts_broken WHERE typeof(t) = 'text' ORDER BY id", |row| {
        Ok((row.get::<_, String>(0)?, row.get_ref(1)?.as_bytes()?.to_vec()))
    });
    assert_eq!(rows.len(), 10);
    for (what, bytes) in rows {
        let refused = bytes.contains(&0) || std::str::from_utf8(&bytes).is_err();
        assert_eq!(refused, what != "sound", "{what}: {bytes:02x?}");
    }
}

#[test]
fn schema_has_the_sequences_orphans_and_broken_views_it_promises() {
    let (_folder, db) = load("schema.sql");
    let sequence =
        |table: &str| one::<Option<i64>>(&db, &format!("SELECT max(seq) FROM sqlite_sequence WHERE name = '{table}'"));
    assert_eq!(sequence("auto_deleted"), Some(3));
    assert_eq!(one::<i64>(&db, "SELECT max(id) FROM auto_deleted"), 1);
    assert_eq!(sequence("auto_emptied"), Some(5));
    assert_eq!(sequence("auto_never"), None);
    assert_eq!(sequence("auto_full"), Some(i64::MAX));

    assert_eq!(all(&db, "PRAGMA foreign_key_check(orphans)", |row| row.get::<_, i64>(1)), [2, 3]);
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM null_in_text_pk WHERE id IS NULL"), 2);
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM checks_broken WHERE age < 0"), 1);

    let views = all(&db, "SELECT name FROM sqlite_schema WHERE type = 'view'", |row| row.get::<_, String>(0));
    for view in views {
        let runs = db.prepare(&format!("SELECT * FROM {view}")).is_ok();
        assert_eq!(runs, !view.starts_with("view_broken"), "{view}");
    }
}

#[test]
fn names_are_as_long_and_as_alike_as_they_say_and_every_table_has_rows() {
    let (_folder, db) = load("names.sql");
    let names = tables(&db);
    for name in &names {
        let rows: i64 = one(&db, &format!("SELECT count(*) FROM \"{}\"", name.replace('"', "\"\"")));
        assert!(rows > 0, "{name:?} is empty");
    }
    let cut = |name: &String| name.bytes().take(63).collect::<Vec<u8>>();
    let twins =
        names.iter().filter(|name| cut(name) == b"a_name_whose_first_sixty_three_bytes_are_the_same_as_its_twin_s");
    assert_eq!(twins.count(), 3);
    assert!(names.iter().any(|name| name.len() == 70));
    assert!(names.iter().any(|name| String::from_utf8(cut(name)).is_err()), "none is cut within a character");
    assert!(names.iter().any(String::is_empty));
    assert_eq!(names.iter().filter(|name| name.to_lowercase() == "äpfel").count(), 2);
}

#[test]
fn utf16_is_the_encoding_of_the_file() {
    let (_folder, db) = load("utf16.sql");
    assert_eq!(one::<String>(&db, "PRAGMA encoding"), "UTF-16le");
    assert_eq!(one::<i64>(&db, "PRAGMA page_size"), 512);
    assert_eq!(one::<String>(&db, "SELECT note FROM \"größe\" WHERE id = 3"), "😀 outside the basic plane");
}

/// A digest of all cells of a database, in the order in which SQLite gives them.
fn digest(db: &Connection) -> String {
    let mut hasher = blake3::Hasher::new();
    for table in tables(db) {
        hasher.update(table.as_bytes());
        let sql = format!("SELECT * FROM \"{table}\"");
        let mut statement = db.prepare(&sql).expect("a table of ours can be read");
        let columns = statement.column_count();
        let mut rows = statement.query([]).expect("a query without parameters");
        while let Some(row) = rows.next().expect("a row") {
            for column in 0..columns {
                match row.get_ref(column).expect("a cell") {
                    ValueRef::Null => hasher.update(b"null"),
                    ValueRef::Integer(i) => hasher.update(b"i").update(&i.to_le_bytes()),
                    ValueRef::Real(r) => hasher.update(b"r").update(&r.to_bits().to_le_bytes()),
                    ValueRef::Text(t) => hasher.update(b"t").update(&t.len().to_le_bytes()).update(t),
                    ValueRef::Blob(b) => hasher.update(b"b").update(&b.len().to_le_bytes()).update(b),
                };
            }
        }
    }
    hasher.finalize().to_hex()[..16].to_owned()
}

#[test]
fn generated_sources_are_the_same_on_every_machine() {
    // A change here makes earlier benchmark figures incomparable: change it knowingly, and say so in the commit.
    let mut said = Vec::new();
    for (name, source) in Source::ALL {
        let (_folder, path) = scratch("source.db");
        source
            .write(&path, if source == Source::Shop { 0.1 } else { 0.001 })
            .unwrap_or_else(|error| panic!("{name}: {error}"));
        let db = Connection::open(path).expect("the file just written");
        let rows: i64 =
            tables(&db).iter().map(|table| one::<i64>(&db, &format!("SELECT count(*) FROM \"{table}\""))).sum();
        said.push(format!("{name} {rows} {}", digest(&db)));
    }
    assert_eq!(
        said,
        [
            "shop 4158 36d6738581758f55",
            "bench 6110 9a8af779f1adf8af",
            "wide 2 1c7bd7d336e13d52",
            "blobs 13 8b92de1ea61b914e",
            "relationhub 45 ab701fe0d473f4e6",
            "enhanced 126 08c74cc95734a9b3",
            "agent-platform 94 fb9e6878417daa91",
            "conversation-state 27 1ce2ca9b63a2b715",
            "tenant-consolidation 449 08538f14093224d9"
        ]
    );
}

#[test]
fn the_shop_is_an_app_without_faults_and_with_one_surprise() {
    let (_folder, path) = scratch("shop.db");
    Source::Shop.write(&path, 0.2).expect("a shop");
    let db = Connection::open(path).expect("the file just written");
    assert_eq!(all(&db, "PRAGMA foreign_key_check", |row| row.get::<_, String>(0)), [] as [String; 0]);
    assert_eq!(one::<i64>(&db, "SELECT count(*) FROM orders"), 1000);
    assert_eq!(classes(&db, "products", "weight_g"), "integer real");
    assert_eq!(classes(&db, "orders", "note"), "null text");
    let wrong = "SELECT count(*) FROM orders o WHERE abs(total - (SELECT sum(line_total) FROM order_items WHERE order_id = o.id)) > 0.001";
    assert_eq!(one::<i64>(&db, wrong), 0);
}

#[test]
fn a_generator_never_writes_over_a_file() {
    let (_folder, path) = scratch("precious.db");
    std::fs::write(&path, "precious").expect("a file");
    let error = Source::Shop.write(&path, 1.0).expect_err("the file is there");
    assert!(error.to_string().contains("exists already"), "{error}");
    assert_eq!(std::fs::read_to_string(&path).expect("still there"), "precious");
    assert!(Source::Shop.write(&path.with_extension("new"), f64::NAN).is_err());
}
