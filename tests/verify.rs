//! Does the comparison find every change, and nothing but changes?
//!
//! `LITE2PG_LONG=1` tries many more; `LITE2PG_SEED` repeats a run.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

#[path = "verify/chance.rs"]
mod chance;
#[path = "verify/mutation.rs"]
mod mutation;
#[path = "verify/subject.rs"]
mod subject;
mod support;

use chance::Chance;
use lite2pg::model::verdict::Outcome;
use lite2pg::postgres::{Session, Target};
use lite2pg::run::{self, Options};
use mutation::Patient;
use rusqlite::Connection;
use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use subject::{APPS_TYPES, SHAPES, Shape};
use support::compared::{by_hand, compare, compare_with};
use support::program::{source, value};
use support::scenario::{Listener, Source};
use support::{database, session, told};

fn is_long() -> bool {
    std::env::var_os("LITE2PG_LONG").is_some()
}

/// Migrates, and both sides must be equal then.
#[track_caller]
fn migrate(path: &Path, target: &Target) {
    let mut options = Options::new(path);
    // Lists belong to nobody here.
    options.wish.folder = path.with_file_name("differences");
    options.wish.show_values = true;
    let stop = AtomicBool::new(false);
    let summary =
        run::migrate(&options, target, &Listener::default(), &stop).unwrap_or_else(|e| panic!("{}", told(&e)));
    let verification = summary.verification.unwrap();
    assert!(verification.is_equal(), "{}", lite2pg::report::verification::text(&verification));
}

// Every change -------------------------------------------------------------------------------------------------------

/// Copies of a table. Each even one gets one change, so that its whole digest hangs on that; each odd one many.
fn copies(shape: &Shape) -> usize {
    match (shape.name, is_long()) {
        ("large", false) => 2,
        (_, false) => 10,
        (_, true) => 60,
    }
}

const CHANGES: usize = 18;

#[test]
fn every_change_is_found_where_it_was_made() {
    let mut chance = Chance::seeded("mutations");
    let source = Source::nothing();
    let db = Connection::open(&source.path).unwrap();
    db.execute_batch("PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN").unwrap();
    let all: Vec<(&Shape, usize)> = SHAPES.iter().flat_map(|s| (0..copies(s)).map(move |copy| (s, copy))).collect();
    for (shape, copy) in &all {
        shape.fill(&db, *copy, &mut chance);
    }
    db.execute_batch("COMMIT").unwrap();
    drop(db);
    let target = database();
    let session = session(&target);
    let types = app_tables(&session, &all);
    migrate(&source.path, &target);

    harmless(&session, &all, types);
    compare(&source.path, &target).is_equal();

    let mut patients = Vec::new();
    for (shape, copy) in &all {
        let mut patient = Patient::new(&session, shape, *copy, &mut chance);
        let wanted = if copy % 2 == 0 { 1 } else { CHANGES };
        for _ in 0..wanted * 40 {
            if patient.made.len() == wanted {
                break;
            }
            patient.change(&mut chance);
        }
        patients.push((shape.table(*copy), patient));
    }
    let compared = compare(&source.path, &target);
    let (mut made, mut found, mut missed) = (BTreeMap::new(), 0, String::new());
    for (table, patient) in &patients {
        for kind in &patient.made {
            *made.entry(kind.clone()).or_insert(0_usize) += 1;
        }
        let (expected, told) = (patient.expected(), compared.found(table));
        if told == expected {
            found += patient.made.len();
        } else {
            let _ = writeln!(missed, "`{table}`, {:?}\n  made  {expected:?}\n  found {told:?}", patient.made);
        }
    }
    let total: usize = made.values().sum();
    eprintln!("mutations: {total} made, {found} found and located, in {} tables\n{made:#?}", patients.len());
    assert!(missed.is_empty(), "{missed}");
    assert!(total >= 1000 && total == found, "{total} made, {found} found");
}

// The tables that an app made; gives the type that stands for citext.
fn app_tables(session: &Session, all: &[(&Shape, usize)]) -> &'static str {
    let has = value(session, "EXISTS (SELECT FROM pg_available_extensions WHERE name = 'citext')") == "true";
    let citext = if has { "citext" } else { "text" };
    let extension = if has { "CREATE EXTENSION citext;" } else { "" };
    let tables: String = all.iter().filter_map(|(shape, copy)| shape.there(*copy, citext)).collect();
    session.batch(&format!("{extension}{APPS_TYPES}{tables}")).unwrap();
    citext
}

// What changes no value: other bytes, other places, other spellings.
fn harmless(session: &Session, all: &[(&Shape, usize)], citext: &str) {
    for (shape, copy) in all {
        let table = shape.table(*copy);
        let sql = if shape.existing.is_some() {
            format!(
                "ALTER TABLE {table} ALTER num TYPE numeric USING (num::text || CASE WHEN num::text LIKE '%.%' THEN '000' ELSE '.0' END)::numeric, \
                    ALTER lim TYPE numeric(14,5), ALTER i2 TYPE int8, ALTER f4 TYPE float8, ALTER v TYPE text, ALTER ci TYPE text; \
                 ALTER TABLE {table} ALTER i2 TYPE int2, ALTER f4 TYPE float4, ALTER ci TYPE {citext}, ALTER v TYPE varchar(12); \
                 UPDATE {table} SET c = rtrim(c), jb = replace(jb::text, ', ', ',')::jsonb, u = upper(u::text)::uuid"
            )
        } else if shape.columns.len() > 5 {
            format!(
                "UPDATE {table} SET amount = (amount::text || CASE WHEN amount::text LIKE '%.%' THEN '0' ELSE '.00' END)::numeric, \
                    \"at\" = ((\"at\" AT TIME ZONE 'Asia/Tokyo')::text || '+09')::timestamptz, doc = regexp_replace(doc::text, '([,:]) ', '\\1   ', 'g')::jsonb"
            )
        } else {
            format!("UPDATE {table} SET n = n")
        };
        session.batch(&sql).unwrap_or_else(|e| panic!("{sql}\n{}", told(&e)));
    }
    session.batch("VACUUM (FULL)").unwrap();
}

// What other tools do not see ----------------------------------------------------------------------------------------

/// A column `v` on both sides, in rows numbered from 1: what the source holds and what the target.
#[track_caller]
fn cells(sqlite: (&str, &str), postgres: (&str, &str), changed: &[i64]) {
    let rows = |values: &str| {
        let values = values.split('\n').map(str::trim).filter(|v| !v.is_empty()).enumerate();
        values.map(|(n, v)| format!("({}, {v})", n + 1)).collect::<Vec<_>>().join(", ")
    };
    let compared = by_hand(
        &format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v {}); INSERT INTO t VALUES {}", sqlite.0, rows(sqlite.1)),
        &format!("CREATE TABLE t (id int8 PRIMARY KEY, v {}); INSERT INTO t VALUES {}", postgres.0, rows(postgres.1)),
    );
    let words: Vec<String> = changed.iter().map(|n| format!("changed id={n} v")).collect();
    compared.finds("t", &words.iter().map(String::as_str).collect::<Vec<_>>());
}

/// Two columns of text in one row.
#[track_caller]
fn pairs(sqlite: &str, postgres: &str) {
    let compared = by_hand(
        &format!("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b TEXT); INSERT INTO t VALUES (1, {sqlite})"),
        &format!("CREATE TABLE t (id int8 PRIMARY KEY, a text, b text); INSERT INTO t VALUES (1, {postgres})"),
    );
    compared.finds("t", &["changed id=1 a", "changed id=1 b"]);
}

#[test]
fn no_value_is_neither_the_empty_text_nor_a_word_for_it() {
    let words = "''\n'<null>'\n'NULL'\n'DEFAULT_REPLACEMENT_STRING'\n'\\N'\n'null'\n' '";
    let nulls = "NULL\n".repeat(7);
    cells(("TEXT", words), ("text", &nulls), &[1, 2, 3, 4, 5, 6, 7]);
    cells(("TEXT", &nulls), ("text", words), &[1, 2, 3, 4, 5, 6, 7]);
    cells(("TEXT", "'a'\nNULL\n''\n'NULL'"), ("text", "'a'\nNULL\n''\n'NULL'"), &[]);
}

#[test]
fn a_separator_in_a_text_does_not_move_the_border_of_two_cells() {
    pairs("'a|b', 'c'", "'a', 'b|c'");
}

#[test]
fn two_texts_are_not_their_concatenation() {
    pairs("'ab', 'c'", "'a', 'bc'");
    pairs("'x0', 'y'", "'x', '0y'");
}

#[test]
fn no_value_in_another_column_is_another_row() {
    pairs("NULL, 'x'", "'x', NULL");
    pairs("NULL, ''", "'', NULL");
}

#[test]
fn a_blank_at_the_end_counts() {
    cells(("TEXT", "'a '\n'a'\n'a\t'\n' '"), ("text", "'a'\n'a '\n'a'\n''"), &[1, 2, 3, 4]);
}

#[test]
fn case_and_accents_count_even_where_the_server_compares_without() {
    cells(("TEXT COLLATE NOCASE", "'Ann'\n'É'\n'ß'\n'ﬁ'"), ("text", "'ann'\n'E'\n'ss'\n'fi'"), &[1, 2, 3, 4]);
}

#[test]
fn two_forms_of_one_character_are_two_texts() {
    cells(("TEXT", "'é'\n'Å'"), ("text", "U&'e\\0301'\nU&'\\212B'"), &[1, 2]);
}

#[test]
fn four_rows_that_changed_alike_do_not_cancel_each_other() {
    cells(("TEXT", "'aa'\n'ab'\n'ba'\n'bb'"), ("text", "'ca'\n'cb'\n'da'\n'db'"), &[1, 2, 3, 4]);
}

#[test]
fn pairs_of_alike_rows_do_not_cancel_each_other() {
    let compared = by_hand(
        "CREATE TABLE nines (v INTEGER); INSERT INTO nines VALUES (9), (9);
         CREATE TABLE gone (v INTEGER); INSERT INTO gone VALUES (9), (9), (1);
         CREATE TABLE three (v INTEGER); INSERT INTO three VALUES (9), (9), (9);
         CREATE TABLE same (v INTEGER); INSERT INTO same VALUES (9), (9), (9);",
        "CREATE TABLE nines (v int8); INSERT INTO nines VALUES (7), (7);
         CREATE TABLE gone (v int8); INSERT INTO gone VALUES (1);
         CREATE TABLE three (v int8); INSERT INTO three VALUES (9);
         CREATE TABLE same (v int8); INSERT INTO same VALUES (9), (9), (9);",
    );
    compared.finds("nines", &["missing ", "missing ", "extra ", "extra "]);
    compared.finds("gone", &["missing ", "missing "]);
    compared.finds("three", &["missing ", "missing "]);
    assert!(matches!(compared.table("same").outcome, Outcome::Equal));
}

#[test]
fn a_numeric_is_not_its_lowest_64_bits() {
    cells(
        ("TEXT", "'18446744073709551621'\n'5'\n'-18446744073709551621'\n'36893488147419103237'"),
        ("numeric", "5\n18446744073709551621\n-5\n18446744073709551621"),
        &[1, 2, 3, 4],
    );
}

#[test]
fn small_numbers_are_not_alike() {
    cells(
        ("REAL", "1e-9\n5e-7\n1e-300\n0.1\n1e15"),
        ("float8", "5e-7\n5.1e-7\n0\n0.1::float4\n1e15+0.125"),
        &[1, 2, 3, 4, 5],
    );
}

#[test]
fn a_negative_zero_is_not_zero() {
    cells(("REAL", "0.0\n0.0"), ("float8", "'-0'\n0"), &[1]);
    cells(("", "-0.0\n1.5"), ("float8", "0\n1.5"), &[1]);
    cells(("", "-0.0\n1.5"), ("float8", "'-0'\n1.5"), &[]);
}

#[test]
fn parts_of_a_second_and_hours_count() {
    cells(
        ("TEXT", "'2024-02-29T12:34:56.000001Z'\n'2024-02-29T12:34:56Z'\n'2024-02-29T12:34:56+01:00'"),
        ("timestamptz", "'2024-02-29 12:34:56Z'\n'2024-02-29 13:34:56Z'\n'2024-02-29 11:34:56Z'"),
        &[1, 2],
    );
}

#[test]
fn long_integers_in_documents_keep_their_digits() {
    cells(
        ("JSON", "'{\"id\": 12345678901234567890}'\n'[0.1]'\n'[1e2]'\n'{\"a\":1,\"b\":2}'\n'[1.10]'"),
        ("jsonb", "'{\"id\": 12345678901234567891}'\n'[0.10000000000000001]'\n'[100]'\n'{\"b\":2,\"a\":1}'\n'[1.1]'"),
        &[1, 2, 5],
    );
}

#[test]
fn bytes_are_no_text_and_end_where_they_end() {
    cells(("BLOB", "x'00'\nx''\nx'6100'\nx'ff'"), ("bytea", "''\n'\\x00'\n'\\x61'\n'\\xff'"), &[1, 2, 3]);
    cells(("BLOB", "x'616263'"), ("text", "'abc'"), &[1]);
}

#[test]
fn rows_far_behind_the_first_are_compared_on_both_sides() {
    let numbers = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 12000)";
    let compared = by_hand(
        &format!("CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); {numbers} INSERT INTO t SELECT i, 'v' || i FROM n"),
        "CREATE TABLE t (id int8 PRIMARY KEY, v text);
         INSERT INTO t SELECT i, 'v' || i FROM generate_series(1, 12000) i WHERE i <> 11000;
         UPDATE t SET v = 'other' WHERE id = 11500; INSERT INTO t VALUES (12001, 'more')",
    );
    compared.finds("t", &["missing id=11000", "changed id=11500 v", "extra id=12001"]);
}

#[test]
fn a_row_that_is_there_twice_is_found_though_its_key_forbids_it() {
    let compared = by_hand(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c');",
        "CREATE TABLE t (id int8, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b'), (2, 'b'), (3, 'c');",
    );
    compared.finds("t", &["extra "]);
}

#[test]
fn a_stated_key_tells_rows_apart_even_where_it_repeats() {
    let (_dir, path) = source(
        "CREATE TABLE t (name TEXT, city TEXT, n INTEGER);
         INSERT INTO t VALUES ('Ann', 'Rome', 1), ('Ann', 'Rome', 1), ('Bob', 'Oslo', 2), ('Cy', 'Bern', 3), ('Cy', 'Bonn', 4)",
    );
    let target = database();
    session(&target)
        .batch(
            "CREATE TABLE t (name text, city text, n int8);
             INSERT INTO t VALUES ('Ann', 'Rome', 1), ('Ann', 'Rome', 2), ('Bob', 'Oslo', 2), ('Cy', 'Bern', 3), ('Cy', 'Köln', 4), ('Di', 'Rom', 5)",
        )
        .unwrap();
    compare(&path, &target).finds("t", &["missing ", "missing ", "extra ", "extra ", "extra "]);
    let mut options = Options::new(&path);
    options.wish.keys.insert("t".into(), vec!["name".into()]);
    let compared = compare_with(&options, &target).unwrap();
    compared.finds("t", &["changed name='Ann' n", "changed name='Cy' city", "extra name='Di'"]);
}

// The server's settings ----------------------------------------------------------------------------------------------

#[test]
fn settings_of_server_and_role_change_no_verdict() {
    let source = Source::fixture("types.sql");
    let target = database();
    migrate(&source.path, &target);
    let admin = session(&target);
    let name = value(&admin, "quote_ident(current_database())");
    for setting in [
        "TimeZone = 'Asia/Kathmandu'",
        "DateStyle = 'SQL, DMY'",
        "IntervalStyle = 'sql_standard'",
        "extra_float_digits = -15",
        "client_encoding = 'LATIN1'",
        "bytea_output = 'escape'",
        "lc_monetary = 'C'",
        "lc_numeric = 'C'",
        "lc_time = 'C'",
        "search_path = ''",
        "default_transaction_read_only = on",
        "default_transaction_isolation = 'serializable'",
        "default_transaction_deferrable = on",
        "xmloption = 'document'",
        "xmlbinary = 'hex'",
        "standard_conforming_strings = off",
        "quote_all_identifiers = on",
        "transform_null_equals = on",
        "enable_seqscan = off",
        "synchronize_seqscans = off",
        "row_security = off",
        "array_nulls = off",
    ] {
        // Version 18 knows no other strings than conforming ones from some day on.
        let _ = admin.batch(&format!("ALTER DATABASE {name} SET {setting}"));
    }
    compare(&source.path, &target).is_equal();
    admin
        .batch(
            "SET default_transaction_read_only = off;
             UPDATE public.timestamps SET micros = micros + interval '1 microsecond' WHERE id = 2;
             UPDATE public.real_extremes SET r = 0.30000000000000004 WHERE id = 1;
             UPDATE public.only_blobs_in_text SET t = '\\x5c' WHERE id = 2;
             UPDATE public.texts SET t = t || ' ' WHERE id = 3",
        )
        .unwrap();
    let compared = compare(&source.path, &target);
    for (table, column) in
        [("timestamps", "2 micros"), ("real_extremes", "1 r"), ("only_blobs_in_text", "2 t"), ("texts", "3 t")]
    {
        compared.finds(table, &[&format!("changed id={column}")]);
    }
    let different = compared.verification.tables.iter().filter(|t| matches!(t.outcome, Outcome::Different(_)));
    assert_eq!(different.count(), 4);
}

// Faults of our own --------------------------------------------------------------------------------------------------

const MOMENTS: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, at DATETIME, seen DATETIME);
    INSERT INTO t VALUES (1, '2024-07-01 10:00:00', 1709210096), (2, '2024-01-01 10:00:00', 1709210097), (3, NULL, NULL)";

#[test]
fn what_the_load_writes_wrong_is_found_at_its_end() {
    let (dir, path) = source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, word TEXT, n INTEGER);
        INSERT INTO t VALUES (1, 'a', 1), (2, 'b ', 2), (3, 'c', NULL), (4, '', 4)",
    );
    let target = database();
    // A trigger of the app stands for any fault between the source's cell and the target's.
    session(&target)
        .batch(
            "CREATE TABLE t (id int8 PRIMARY KEY, word text, n int8);
             CREATE FUNCTION tidy() RETURNS trigger LANGUAGE plpgsql AS
                 'BEGIN NEW.word = nullif(rtrim(NEW.word), ''''); NEW.n = coalesce(NEW.n, 0); RETURN NEW; END';
             CREATE TRIGGER tidy BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION tidy()",
        )
        .unwrap();
    let mut options = Options::new(&path);
    options.fires_triggers = true;
    options.wish.folder = dir.path().join("differences");
    let summary = run::migrate(&options, &target, &Listener::default(), &AtomicBool::new(false)).unwrap();
    let verification = summary.verification.unwrap();
    let Outcome::Different(found) = &verification.tables[0].outcome else { panic!("{verification:?}") };
    assert_eq!((found.changed, found.missing, found.extra), (3, 0, 0));
    assert_eq!(found.columns, [("word".to_owned(), 2), ("n".to_owned(), 1)]);
    compare(&path, &target).finds("t", &["changed id=2 word", "changed id=3 n", "changed id=4 word"]);
}

// The plan that a run was loaded by says one rule, the comparison follows another: as if one of the two had a fault.
#[track_caller]
fn misread(options: &Options, from: &str, to: &str) -> support::compared::Compared {
    let target = database();
    let summary = run::migrate(options, &target, &Listener::default(), &AtomicBool::new(false));
    assert!(summary.unwrap_or_else(|e| panic!("{}", told(&e))).verification.unwrap().is_equal());
    let sql = format!("UPDATE lite2pg.run SET plan = replace(plan::text, '{from}', '{to}')::jsonb");
    let session = session(&target);
    let before = value(&session, "SELECT plan FROM lite2pg.run");
    session.batch(&sql).unwrap_or_else(|e| panic!("{}", told(&e)));
    assert_ne!(before, value(&session, "SELECT plan FROM lite2pg.run"), "{before}");
    compare(&options.source, &target)
}

#[test]
fn a_zone_that_was_taken_for_another_is_found() {
    let (_dir, path) = source(MOMENTS);
    let mut options = Options::new(&path);
    options.types.assume_tz = Some(lite2pg::model::conversion::Naive::Zone("Europe/Berlin".into()));
    let compared = misread(&options, r#"{"zone": "Europe/Berlin"}"#, r#""utc""#);
    compared.finds("t", &["changed id=1 at", "changed id=2 at"]);
}

#[test]
fn a_unit_that_was_taken_for_another_is_found() {
    let (_dir, path) = source(MOMENTS);
    let compared = misread(&Options::new(&path), r#"{"epoch": "seconds"}"#, r#"{"epoch": "micros"}"#);
    compared.finds("t", &["changed id=1 seen", "changed id=2 seen"]);
}

#[test]
fn a_digest_that_was_stored_wrong_is_never_green() {
    let (_dir, path) = source(MOMENTS);
    let target = database();
    migrate(&path, &target);
    let flipped = "UPDATE lite2pg.range SET digest = set_byte(digest, 20, get_byte(digest, 20) # 1)";
    session(&target).batch(flipped).unwrap();
    let result = run::migrate(&Options::new(&path), &target, &Listener::default(), &AtomicBool::new(false));
    let error = result.map(|_| ()).unwrap_err();
    assert!(told(&error).contains("the digests of `t` differ, and its rows do not"), "{}", told(&error));
}

#[test]
fn a_table_that_the_run_left_out_is_not_green() {
    let (_dir, path) = source("CREATE TABLE a (x); CREATE TABLE b (x); INSERT INTO b VALUES (1)");
    let target = database();
    let mut options = Options::new(&path);
    options.exclude = vec!["b".into()];
    run::migrate(&options, &target, &Listener::default(), &AtomicBool::new(false)).unwrap();
    compare_with(&options, &target).unwrap().is_equal();
    let compared = compare(&path, &target);
    assert!(!compared.verification.is_equal());
    assert!(matches!(&compared.table("b").outcome, Outcome::Unverified { why } if why.contains("left it out")));
}

// The specification --------------------------------------------------------------------------------------------------

const EXAMPLE: &str = "CREATE TABLE t (id INTEGER, name TEXT, price DECIMAL(9,2), at DATETIME, note TEXT);
    INSERT INTO t VALUES (7, 'Zoë', -12.50, '2000-01-01 00:00:01.5Z', NULL)";

#[test]
fn the_worked_example_of_the_specification_is_what_is_stored() {
    let page = include_str!("../docs/verify.md");
    let example = page.split("### An example").nth(1).expect("the example");
    let blocks: Vec<&str> = example.split("```").collect();
    // Each line is a column's name and its cell; the second block is the digest.
    let cells = blocks[1].lines().filter_map(|line| line.split_once(' '));
    let hex: String = cells.flat_map(|(_, cell)| cell.chars().filter(char::is_ascii_hexdigit)).collect();
    let mut row: Vec<u8> = (0..hex.len()).step_by(2).map(|i| u8::from_str_radix(&hex[i..i + 2], 16).unwrap()).collect();
    row.resize(row.len().next_multiple_of(64), 0);
    let digest = blake3::hash(&row).to_hex().to_string();
    assert_eq!(blocks[3].split_whitespace().collect::<String>(), digest);

    let (_dir, path) = source(EXAMPLE);
    let target = database();
    migrate(&path, &target);
    let session = session(&target);
    let types = "SELECT string_agg(format_type(atttypid, atttypmod), ', ' ORDER BY attnum) FROM pg_attribute \
                 WHERE attrelid = 't'::regclass AND attnum > 0";
    assert_eq!(value(&session, types), "bigint, text, numeric(9,2), timestamp with time zone, text");
    let stored = value(&session, "SELECT encode(digest, 'hex') FROM lite2pg.range");
    assert_eq!(stored, format!("010000000000000001{digest}"));
}

#[test]
fn a_table_that_was_dropped_since_its_run_is_not_there() {
    let (_dir, path) = source("CREATE TABLE a (x INTEGER); INSERT INTO a VALUES (1), (2); CREATE TABLE b (x INTEGER)");
    let target = database();
    migrate(&path, &target);
    session(&target).batch("DROP TABLE a").unwrap();
    let compared = compare(&path, &target);
    assert!(matches!(compared.table("a").outcome, Outcome::Absent));
    assert!(matches!(compared.table("b").outcome, Outcome::Equal) && !compared.verification.is_equal());
    let summary = run::migrate(&Options::new(&path), &target, &Listener::default(), &AtomicBool::new(false)).unwrap();
    assert!(!summary.verification.unwrap().is_equal());
}

// The target, changed in its shape -----------------------------------------------------------------------------------

#[test]
fn columns_that_the_target_dropped_or_changed_since_are_named_and_never_green() {
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT, b INTEGER, c REAL);
         INSERT INTO t VALUES (1, 'x', 2, 0.5), (2, 'y', 3, 1.5)",
    );
    let target = database();
    migrate(&source.path, &target);
    let session = session(&target);
    session.batch("ALTER TABLE t ALTER b TYPE integer, ALTER a TYPE varchar(9)").unwrap();
    compare(&source.path, &target).is_equal();
    session.batch("ALTER TABLE t DROP a, ALTER c TYPE text").unwrap();
    let seen = compare(&source.path, &target);
    let table = &seen.verification.tables[0];
    assert!(matches!(table.outcome, Outcome::Equal), "{:?}", table.outcome);
    let named = ["a: the target has no such column any more", "c: its type on the target is text now"];
    assert_eq!(table.unverified, named);
    assert!(!seen.verification.is_equal());
}

#[test]
fn a_key_that_no_table_has_is_refused_before_anything_is_read() {
    let source = Source::sql("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let target = database();
    migrate(&source.path, &target);
    for (table, column) in [("t", "nope"), ("nope", "id")] {
        let mut options = Options::new(&source.path);
        options.wish.keys.insert(table.to_owned(), vec![column.to_owned()]);
        let error = compare_with(&options, &target).err().expect("no such key");
        assert_eq!(error.kind(), lite2pg::error::Kind::Usage);
    }
}
