//! Types decided by the rows: what each column became, and whether every cell is on the other side.

mod support;

use std::fmt::Write as _;
use std::sync::OnceLock;
use support::oracle;
use support::scenario::{Moved, Source, migrate};

/// Every column of fixtures/types.sql with the type that its rows ask for.
const CHOSEN: &str = "
blob_in_text: id bigint, t bytea
booleans: id bigint, digit boolean, word boolean, text_word boolean, flag bigint, yes_no text
booleans_mixed: id bigint, many bigint, maybe text, halves double precision
dates: id bigint, d date, t text, german text, american text, year bigint
dates_wrong: id bigint, d text, t text
decimals: id bigint, price numeric, amount numeric, exact text
decimals_mixed: id bigint, price text
epochs: id bigint, created_s bigint, created_ms bigint, created_us bigint, created_ns bigint, seen_at double precision, julian double precision, apple_s double precision
int_extremes: id bigint, i bigint, small bigint, tiny bigint, unsigned_big numeric
int_from_reals: id bigint, n numeric
int_mixed: id bigint, n bytea
json_good: id bigint, declared jsonb, undeclared jsonb, list jsonb
json_hard: id bigint, what text, doc text
json_malformed: id bigint, doc text
never_filled: id bigint, b boolean, j jsonb, d numeric(5,1), u uuid, t timestamp with time zone, x text
odd_types: id bigint, a text, b text, c text, d text, e text, f text, g text, h numeric, never bigint
only_blobs_in_text: id bigint, t bytea
only_text_in_blob: id bigint, b text
real_extremes: id bigint, r double precision, bare text
real_mixed: id bigint, r bytea, f text
text_in_blob: id bigint, b bytea
texts: id bigint, t text, short text, fixed text, nocase text, note text
texts_broken: id bigint, what text, t text
timestamps: id bigint, zulu timestamp with time zone, offset_colon timestamp with time zone, offset_plain timestamp with time zone, offset_hours timestamp with time zone, no_zone timestamp with time zone, space_zulu text, millis text, micros timestamp with time zone, nanos text, minutes text, compact text
timestamps_mixed: id bigint, at text
untyped: id bigint, numbers double precision, words text, anything bytea, absent text
uuid_nearly: id text, n bigint
uuid_twins: id text, note text
uuids: canonical uuid, upper_case uuid, bare text, braced uuid, urn text, bytes bytea, declared text, mixed text
";

fn fixture() -> &'static (Source, Moved) {
    static MOVED: OnceLock<(Source, Moved)> = OnceLock::new();
    MOVED.get_or_init(|| {
        let source = Source::fixture("types.sql");
        let moved = migrate(&source);
        (source, moved)
    })
}

/// A column of a table as text, NULL as a word of its own.
#[track_caller]
fn column(moved: &Moved, table: &str, column: &str) -> Vec<String> {
    let position = moved.columns(&moved.name(table)).iter().position(|(name, _)| name == column);
    let position = position.expect("a column of that name");
    moved.rows(table).into_iter().map(|mut row| row.swap_remove(position).unwrap_or_else(|| "<null>".into())).collect()
}

/// One column's declared type, its cells as SQL, and the type that they ask for.
#[track_caller]
fn chosen(cases: &[(&str, &str, &str)]) {
    let mut sql = String::new();
    for (n, (declared, cells, _)) in cases.iter().enumerate() {
        let _ = writeln!(
            sql,
            "CREATE TABLE t{n} (id INTEGER PRIMARY KEY, c {declared}); INSERT INTO t{n} (c) VALUES {cells};"
        );
    }
    let source = Source::sql(&sql);
    let moved = migrate(&source);
    for (n, (declared, cells, want)) in cases.iter().enumerate() {
        assert_eq!(moved.type_of(&format!("t{n}"), "c"), *want, "{declared}: {cells}");
    }
    oracle::compare_all(&source.open(), &moved);
}

#[test]
fn every_column_has_the_type_that_its_rows_ask_for() {
    let (source, moved) = fixture();
    let tables = oracle::ordinary_tables(&source.open());
    let found: Vec<String> = tables.iter().map(|table| format!("{table}: {}", moved.types(table))).collect();
    assert_eq!(found.join("\n"), CHOSEN.trim());
}

#[test]
fn every_cell_is_on_the_other_side() {
    let (source, moved) = fixture();
    assert!(oracle::compare_all(&source.open(), moved) > 500);
    assert!(moved.widened().is_empty(), "small tables are read whole: {:?}", moved.widened());
}

#[test]
fn integers_keep_all_64_bits_and_approximations_stay_what_they_are() {
    let (_, moved) = fixture();
    assert_eq!(
        column(moved, "int_extremes", "i"),
        ["-9223372036854775808", "-2147483648", "0", "2147483648", "9223372036854775807"]
    );
    // SQLite holds 1.8446744073709552e19 there: its digits, not those that were typed.
    assert_eq!(column(moved, "int_extremes", "unsigned_big")[4], "18446744073709552000");
    assert_eq!(column(moved, "int_from_reals", "n")[..2], ["9007199254740993", "9007199254740992"]);
}

#[test]
fn infinities_and_negative_zero_keep_their_signs() {
    let (_, moved) = fixture();
    assert_eq!(column(moved, "real_extremes", "r")[..5], ["Infinity", "-Infinity", "0", "0", "<null>"]);
    assert_eq!(column(moved, "real_extremes", "bare")[..4], ["Infinity", "-Infinity", "-0.0", "0.0"]);
    let source = Source::sql("CREATE TABLE t (x); INSERT INTO t VALUES (-0.0), (0.0), (9e999), (5e-324)");
    let moved = migrate(&source);
    assert_eq!(moved.types("t"), "x double precision");
    assert_eq!(column(&moved, "t", "x"), ["-0", "0", "Infinity", "5e-324"]);
}

#[test]
fn decimals_are_exact_and_widen_where_a_row_has_more_digits() {
    let source = Source::sql(
        "CREATE TABLE t (fits DECIMAL(10,2), sum DECIMAL(10,2), large DECIMAL(10,2), plain NUMERIC);
         INSERT INTO t VALUES (0.1, 0.1, 1, 0.1), (19.9, 0.1 + 0.2, 123456789, 1e-7), (-99999999.99, 3, 0, 1e20)",
    );
    let moved = migrate(&source);
    assert_eq!(moved.types("t"), "fits numeric(10,2), sum numeric, large numeric, plain numeric");
    assert_eq!(column(&moved, "t", "fits"), ["0.10", "19.90", "-99999999.99"]);
    assert_eq!(column(&moved, "t", "sum"), ["0.1", "0.30000000000000004", "3"]);
    assert_eq!(column(&moved, "t", "plain"), ["0.1", "0.0000001", "100000000000000000000"]);
    oracle::compare_all(&source.open(), &moved);
}

#[test]
fn zero_one_and_words_are_booleans_where_the_declared_type_says_so() {
    let (_, moved) = fixture();
    assert_eq!(column(moved, "booleans", "word"), ["true", "false", "true", "false", "true", "false"]);
    assert_eq!(column(moved, "booleans", "flag"), ["0", "1", "<null>", "0", "1", "1"]);
    chosen(&[
        ("BOOLEAN", "(0), (1), (NULL), ('true'), ('FALSE'), ('yes'), ('Off')", "boolean"),
        ("BOOLEAN", "(0), (2)", "bigint"),
        ("BOOLEAN", "(0), ('maybe')", "text"),
        ("BOOL", "(1.0), (0.0)", "boolean"),
        ("INTEGER", "(0), (1)", "bigint"),
    ]);
}

#[test]
fn json_is_jsonb_where_jsonb_holds_it() {
    let deep = |depth: usize| format!("('{}{}')", "[".repeat(depth), "]".repeat(depth));
    let (shallow, deep) = (deep(500), deep(600));
    chosen(&[
        ("TEXT", "('{\"a\":1}'), ('[]'), (NULL)", "jsonb"),
        ("TEXT", "('{\"a\":1}'), ('17')", "text"),
        ("JSON", "('{\"a\":1}'), ('\"s\"'), ('null'), ('true')", "jsonb"),
        // JSON is a numeric affinity: SQLite holds an integer there, and text beside it.
        ("JSON", "('{\"a\":1}'), ('17')", "text"),
        ("TEXT", r#"('{"a":"\u0000"}')"#, "text"),
        ("TEXT", r#"('{"a":"\\u0000"}')"#, "jsonb"),
        ("TEXT", r#"('{"a":"\ud83d"}')"#, "text"),
        ("TEXT", r#"('["\ude00"]')"#, "text"),
        ("TEXT", r#"('["\ud83d\ude00"]')"#, "jsonb"),
        ("JSON", "('[1e999999]')", "text"),
        ("JSON", "('[1e100]')", "jsonb"),
        ("TEXT", &shallow, "jsonb"),
        ("TEXT", &deep, "text"),
        ("TEXT", "('{a:1}')", "text"),
        ("TEXT", "('[1,]')", "text"),
        ("TEXT", "('')", "text"),
    ]);
    // Key order, white space and the first of two equal keys are not kept: the ledger says so.
    let source = Source::sql("CREATE TABLE t (doc JSON); INSERT INTO t VALUES ('{ \"b\":1, \"a\":1, \"a\":2 }')");
    let moved = migrate(&source);
    assert_eq!(column(&moved, "t", "doc"), [r#"{"a": 2, "b": 1}"#]);
    assert!(
        moved.summary.ledger.iter().any(|l| l.rule.contains("earlier of two equal keys")),
        "{:?}",
        moved.summary.ledger
    );
}

#[test]
fn moments_are_told_from_every_spelling() {
    let zoned = "timestamp with time zone";
    chosen(&[
        ("TEXT", "('2024-02-29T12:34:56Z'), ('2024-02-29 12:34:56+02:00')", zoned),
        ("TEXT", "('2024-02-29T12:34:56.789Z'), ('2024-02-29T12:34:56.123456-0330')", zoned),
        ("TEXT", "('2024-02-29T12:34:56+02'), ('2024-02-29T12:34Z')", zoned),
        ("DATETIME", "('2024-02-29 12:34:56'), ('2024-02-29'), ('2024-02-29T10:00:00Z')", zoned),
        ("DATETIME", "(1709210096), (0), (1700000000)", zoned),
        ("DATETIME", "(1709210096789), (1600000000000)", zoned),
        ("DATETIME", "(1709210096789012)", zoned),
        ("DATETIME", "(1709210096789012000)", zoned),
        ("DATETIME", "(1709210096789012345)", "bigint"),
        ("DATETIME", "(2460370.5), (2460371)", zoned),
        ("DATETIME", "(12), (13)", "bigint"),
        ("DATETIME", "(1709210096), ('2024-02-29')", "text"),
        ("INTEGER", "(1709210096)", "bigint"),
        ("DATE", "('2024-02-29'), ('0001-01-01'), ('9999-12-31')", "date"),
        ("TEXT", "('2024-02-29')", "date"),
        ("DATE", "('2023-02-29')", "text"),
        ("TIME", "('12:34'), ('12:34:56'), ('23:59:59.999999')", "time without time zone"),
        ("TIME", "('24:00:00')", "text"),
        ("TEXT", "('2024-02-29T12:34:56.1234567Z')", "text"),
    ]);
    let (_, moved) = fixture();
    assert_eq!(column(moved, "timestamps", "offset_plain")[1], "1970-01-01 03:30:00+00");
    assert_eq!(column(moved, "timestamps", "micros")[1], "1969-12-31 23:59:59.999999+00");
    assert_eq!(column(moved, "timestamps", "no_zone")[2], "0001-01-01 00:00:00+00");
}

#[test]
fn numbers_declared_datetime_are_the_moment_of_their_unit() {
    let source = Source::sql(
        "CREATE TABLE t (s DATETIME, ms DATETIME, us DATETIME, ns DATETIME, julian DATETIME);
         INSERT INTO t VALUES (1709210096, 1709210096789, 1709210096789012, 1709210096789012000, 2460370.5)",
    );
    let moved = migrate(&source);
    let row = moved.rows("t").remove(0);
    let want = [
        "2024-02-29 12:34:56+00",
        "2024-02-29 12:34:56.789+00",
        "2024-02-29 12:34:56.789012+00",
        "2024-02-29 12:34:56.789012+00",
        "2024-03-01 00:00:00+00",
    ];
    assert_eq!(row, want.map(|w| Some(w.to_owned())));
}

#[test]
fn uuids_of_one_spelling_are_uuids_and_others_stay_text() {
    let (_, moved) = fixture();
    let first = "0b0c4c2e-7b1e-4d1a-9a43-1c5e8b0f9f10";
    for name in ["canonical", "upper_case", "braced"] {
        assert_eq!(column(moved, "uuids", name)[0], first, "{name}");
    }
    // Two spellings of one uuid are two keys in SQLite.
    assert_eq!(column(moved, "uuid_twins", "id").len(), 2);
    let hex = "('0b0c4c2e7b1e4d1a9a431c5e8b0f9f10'), ('0b0c4c2e7b1e4d1a9a431c5e8b0f9f11')";
    chosen(&[("UUID", hex, "uuid"), ("CHAR(32)", hex, "text"), ("UNIQUEIDENTIFIER", "('x')", "text")]);
}

#[test]
fn an_empty_text_is_no_null_and_no_text_is_cut() {
    let (_, moved) = fixture();
    assert_eq!(column(moved, "texts", "t")[..3], ["", "<null>", "😀"]);
    assert_eq!(column(moved, "texts", "short")[3], "abcd");
    assert_eq!(column(moved, "texts", "fixed")[2..5], ["ab   ", "longer than five", "\\\\"]);
    assert_eq!(column(moved, "texts", "note")[6], "\u{1}\u{7f}\u{80}\u{ffff}");
}

#[test]
fn text_that_the_server_refuses_has_a_stand_in_and_its_exact_bytes_beside() {
    let (_, moved) = fixture();
    assert_eq!(column(moved, "texts_broken", "t")[0], "a\u{fffd}b");
    let kept = moved.query(
        "SELECT key, column_name, class, bytes FROM lite2pg.original WHERE table_name = 'texts_broken' ORDER BY key",
    );
    let bytes = ["610062", "0061", "00", "ff", "61e282", "c0af", "eda080", "f4908080", "636166e9"];
    let want: Vec<Vec<Option<String>>> = bytes
        .iter()
        .enumerate()
        .map(|(n, hex)| {
            vec![Some((n + 1).to_string()), Some("t".into()), Some("text".into()), Some(format!("\\x{hex}"))]
        })
        .collect();
    assert_eq!(kept, want);
}

#[test]
fn bytes_in_text_columns_make_bytea_and_text_in_blob_columns_stays_text() {
    let (_, moved) = fixture();
    assert_eq!(column(moved, "blob_in_text", "t"), ["\\x74657874", "\\x74657874", "\\x00ff", "\\x", "<null>", "\\x35"]);
    assert_eq!(column(moved, "only_text_in_blob", "b"), ["base64==", "", "<null>"]);
    assert_eq!(column(moved, "only_blobs_in_text", "t"), ["\\x89504e47", "\\x", "<null>"]);
}

#[test]
fn the_ledger_names_three_keys_of_each_rule() {
    let source = Source::sql(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v); INSERT INTO t VALUES (3, 1), (5, 2), (7, 'x'), (9, 3), (11, 4)",
    );
    let moved = migrate(&source);
    let line = &moved.summary.ledger[0];
    assert_eq!((line.rule.as_str(), line.cells, line.keys.as_slice()), ("number kept as text", 4, &[3, 5, 9][..]));
}

#[test]
fn rows_without_an_integer_key_and_keys_have_no_stand_ins_but_bytes() {
    let source = Source::sql(
        "CREATE TABLE t (k TEXT PRIMARY KEY, v TEXT) WITHOUT ROWID;
         INSERT INTO t VALUES ('a', CAST(x'ff' AS TEXT)), ('b', 'sound'), ('c', CAST(x'fe' AS TEXT));
         CREATE TABLE u (k TEXT PRIMARY KEY);
         INSERT INTO u VALUES (CAST(x'ff' AS TEXT)), (CAST(x'fe' AS TEXT)), (CAST(x'6100' AS TEXT));",
    );
    let moved = migrate(&source);
    assert_eq!(moved.types("t"), "k text, v bytea");
    assert_eq!(column(&moved, "t", "v"), ["\\xff", "\\x736f756e64", "\\xfe"]);
    assert_eq!(moved.types("u"), "k bytea");
    assert_eq!(moved.refusal("INSERT INTO u VALUES ('\\x6100')").as_deref(), Some("23505"));
    assert_eq!(moved.one("SELECT count(*) FROM lite2pg.original").as_deref(), Some("0"));
}

// Widening -----------------------------------------------------------------------------------------------------------

/// `rows` rows of `select`, which may use `i` from 1.
fn many(rows: u32, insert: &str, select: &str) -> String {
    format!(
        "{insert} WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT {select} FROM n;"
    )
}

/// Between two places that a profile of 70,000 rows reads.
const UNSEEN: u32 = 35_900;

#[test]
fn a_value_that_the_sample_did_not_see_widens_its_column_and_no_row_is_lost() {
    let source = Source::sql(&format!(
        "BEGIN; CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, word TEXT);{}
         UPDATE t SET n = 'n/a' WHERE id = {UNSEEN}; COMMIT;",
        many(70_000, "INSERT INTO t", "i, i * 2, 'word ' || i")
    ));
    let moved = migrate(&source);
    assert_eq!(moved.widened().len(), 1, "{:?}", moved.widened());
    assert!(moved.widened()[0].contains(&format!("key {UNSEEN}")), "{:?}", moved.widened());
    assert_eq!(moved.types("t"), "id bigint, n text, word text");
    assert_eq!(moved.summary.tables[0].rows, 70_000);
    assert_eq!(moved.one("SELECT count(DISTINCT id) FROM t").as_deref(), Some("70000"));
    assert_eq!(moved.one(&format!("SELECT n FROM t WHERE id = {UNSEEN}")).as_deref(), Some("n/a"));
    assert_eq!(
        moved.one("SELECT sum(n::bigint) FROM t WHERE n <> 'n/a'"),
        Some((70_000_u64 * 70_001 - u64::from(UNSEEN) * 2).to_string())
    );
}

#[test]
fn several_columns_are_widened_at_once_each_to_what_it_needs() {
    let source = Source::sql(&format!(
        "BEGIN; CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, d DECIMAL(6,2), at DATETIME, doc JSON, u TEXT, b BOOLEAN, t TEXT);{}
         UPDATE t SET n = 0.5 WHERE id = {UNSEEN};
         UPDATE t SET d = 123456.789 WHERE id = {UNSEEN};
         UPDATE t SET at = 'never' WHERE id = {UNSEEN} + 1;
         UPDATE t SET doc = '{{' WHERE id = {UNSEEN} + 2;
         UPDATE t SET u = 'system' WHERE id = {UNSEEN} + 30000;
         UPDATE t SET b = 2 WHERE id = {UNSEEN} + 3;
         UPDATE t SET t = x'00' WHERE id = {UNSEEN} - 20; COMMIT;",
        many(
            70_000,
            "INSERT INTO t",
            "i, i, i % 1000 / 4.0, '2024-01-01 10:00:00', '{\"i\":' || i || '}', \
             printf('0b0c4c2e-7b1e-4d1a-9a43-%012x', i), i % 2, 'word'"
        )
    ));
    let moved = migrate(&source);
    assert_eq!(
        moved.types("t"),
        "id bigint, n double precision, d numeric, at text, doc text, u text, b bigint, t bytea"
    );
    assert!(!moved.widened().is_empty());
    assert_eq!(moved.one("SELECT count(DISTINCT id) FROM t").as_deref(), Some("70000"));
    let row = |id: u32| moved.query(&format!("SELECT n, d, at, doc, u, b, t FROM t WHERE id = {id}")).remove(0);
    let text = |s: &str| Some(s.to_owned());
    assert_eq!(row(UNSEEN)[..2], [text("0.5"), text("123456.789")]);
    assert_eq!(row(UNSEEN + 1)[2], text("never"));
    assert_eq!(row(UNSEEN + 2)[3], text("{"));
    assert_eq!(row(UNSEEN + 3)[5], text("2"));
    assert_eq!(row(UNSEEN - 20)[6], text("\\x00"));
    assert_eq!(row(UNSEEN + 30_000)[4], text("system"));
}

#[test]
fn columns_on_both_sides_of_a_foreign_key_widen_together() {
    let source = Source::sql(&format!(
        "BEGIN; CREATE TABLE parent (id TEXT PRIMARY KEY NOT NULL, n INTEGER);
         CREATE TABLE child (id INTEGER PRIMARY KEY, parent_id TEXT REFERENCES parent (id));
         CREATE TABLE grandchild (id INTEGER PRIMARY KEY, parent_id TEXT REFERENCES child (parent_id));
         CREATE UNIQUE INDEX child_parent ON child (parent_id);{}
         INSERT INTO child SELECT n, id FROM parent WHERE n <= 10 OR n = {UNSEEN}; COMMIT;",
        many(
            70_000,
            "INSERT INTO parent",
            &format!("CASE i WHEN {UNSEEN} THEN 'system' ELSE printf('0b0c4c2e-7b1e-4d1a-9a43-%012x', i) END, i")
        ),
    ));
    source.open().execute_batch("DELETE FROM child WHERE parent_id = 'system'").unwrap();
    let moved = migrate(&source);
    assert!(!moved.widened().is_empty(), "the sample saw the odd value");
    for (table, column) in [("parent", "id"), ("child", "parent_id"), ("grandchild", "parent_id")] {
        assert_eq!(moved.type_of(table, column), "text", "{table}.{column}");
    }
    assert_eq!(moved.one("SELECT count(*) FROM parent").as_deref(), Some("70000"));
    assert_eq!(moved.one("SELECT count(*) FROM child").as_deref(), Some("10"));
    assert_eq!(moved.one("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND convalidated AND connamespace = 'public'::regnamespace").as_deref(), Some("2"));
}

#[test]
fn null_that_is_found_late_in_a_primary_key_makes_it_a_unique_index() {
    let source = Source::sql(&format!(
        "BEGIN; CREATE TABLE t (id TEXT PRIMARY KEY, n INTEGER);{} COMMIT;",
        many(70_000, "INSERT INTO t", &format!("CASE WHEN i = {UNSEEN} THEN NULL ELSE 'key ' || i END, i"))
    ));
    let moved = migrate(&source);
    assert_eq!(moved.widened().len(), 1, "{:?}", moved.widened());
    assert!(moved.remarks("t").contains("the primary key holds NULL"), "{}", moved.remarks("t"));
    assert_eq!(moved.one("SELECT count(*) FROM t").as_deref(), Some("70000"));
    assert_eq!(moved.one("SELECT count(*) FROM t WHERE id IS NULL").as_deref(), Some("1"));
    assert_eq!(
        moved.one("SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND conrelid = 't'::regclass").as_deref(),
        Some("0")
    );
    assert_eq!(moved.refusal("INSERT INTO t VALUES ('key 1', 0)").as_deref(), Some("23505"));
    assert_eq!(moved.refusal("INSERT INTO t VALUES (NULL, 0)"), None);
}

#[test]
fn null_that_is_found_late_in_a_not_null_column_leaves_it_nullable() {
    let source = Source::sql(&format!(
        "BEGIN; CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER);{}
         UPDATE t SET n = NULL WHERE id = {UNSEEN}; COMMIT;
         -- What an edit of the schema by hand leaves behind.
         PRAGMA writable_schema = ON;
         UPDATE sqlite_schema SET sql = 'CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER NOT NULL)' WHERE name = 't';",
        many(70_000, "INSERT INTO t", "i, i")
    ));
    let moved = migrate(&source);
    assert_eq!(moved.widened().len(), 1, "{:?}", moved.widened());
    assert_eq!(moved.one("SELECT count(*) FROM t WHERE n IS NULL").as_deref(), Some("1"));
    assert_eq!(moved.one("SELECT count(*) FROM t").as_deref(), Some("70000"));
    assert!(moved.remarks("t.n").contains("declared NOT NULL"), "{}", moved.remarks("t.n"));
}
