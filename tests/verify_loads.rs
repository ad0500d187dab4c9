//! Loads by other tools: what they broke is told, and what they did right is equal.
//!
//! Each load is made by hand, with the fault that some tool or script is known for.

mod support;

use lite2pg::model::verdict::Outcome;
use lite2pg::report::verification;
use lite2pg::run::Options;
use support::compared::{by_hand, compare, compare_with};
use support::program::source;
use support::{database, session};

const SHOP: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, name VARCHAR(40) NOT NULL, email TEXT, since DATETIME,
        balance DECIMAL(12,3), rate REAL, vip BOOLEAN, uid TEXT, prefs JSON, photo BLOB);
    INSERT INTO customer VALUES
        (1, 'Ann', 'ann@example.com', '2024-01-31 10:00:00', 12.125, 0.1, 1, '0b0c4c2e-7b1e-4d1a-9a43-1c5e8b0f9f10', '{\"a\":1}', x'00ff'),
        (2, 'Zoë', '', '2024-07-31 10:00:00.25', 0.001, 16777217.0, 0, '0b0c4c2e-7b1e-4d1a-9a43-1c5e8b0f9f11', '[]', NULL),
        (3, 'Bob and a name that fills all of it. ok', NULL, NULL, -5, -2.5, NULL, NULL, NULL, x'');
    CREATE TABLE tag (customer INTEGER, word TEXT);
    INSERT INTO tag VALUES (1, 'a'), (1, 'a'), (2, 'b'), (NULL, 'c');";

/// The tables, `DDL` changed by the fault.
const TABLES: &str = "
    CREATE TABLE customer (id serial PRIMARY KEY, name varchar(40), email text, since timestamptz, balance numeric(12,3),
        rate float8, vip boolean, uid uuid, prefs jsonb, photo bytea);
    CREATE TABLE tag (customer int8, word text);";

const ROWS: &str = "
    INSERT INTO customer VALUES
        (1, 'Ann', 'ann@example.com', '2024-01-31 10:00:00Z', 12.125, 0.1, true, '0b0c4c2e-7b1e-4d1a-9a43-1c5e8b0f9f10', '{\"a\":1}', '\\x00ff'),
        (2, 'Zoë', '', '2024-07-31 10:00:00.25Z', 0.001, 16777217.0, false, '0b0c4c2e-7b1e-4d1a-9a43-1c5e8b0f9f11', '[]', NULL),
        (3, 'Bob and a name that fills all of it. ok', NULL, NULL, -5, -2.5, NULL, NULL, NULL, '');
    INSERT INTO tag VALUES (1, 'a'), (1, 'a'), (2, 'b'), (NULL, 'c');
    SELECT setval('customer_id_seq', 3);";

/// A load with one fault in it, and what must be said of `customer`.
#[track_caller]
fn faulty(tables: (&str, &str), rows: (&str, &str), expect: &[&str]) {
    let replaced = |text: &str, (from, to): (&str, &str)| {
        assert!(text.contains(from), "{from}");
        text.replace(from, to)
    };
    let compared = by_hand(SHOP, &(replaced(TABLES, tables) + &replaced(ROWS, rows)));
    compared.finds("customer", expect);
    assert!(matches!(compared.table("tag").outcome, Outcome::Equal));
}

const AS_IT_IS: (&str, &str) = ("", "");

#[test]
fn a_load_that_is_right_is_equal() {
    by_hand(SHOP, &format!("{TABLES}{ROWS}")).is_equal();
    // Names in another case, and columns in another order.
    by_hand(
        "CREATE TABLE \"Camel\" (Id INTEGER PRIMARY KEY, \"aWord\" TEXT, n INTEGER); INSERT INTO \"Camel\" VALUES (1, 'x', 2)",
        "CREATE TABLE camel (n int4, more text DEFAULT 'y', a_word text, id int8 PRIMARY KEY); INSERT INTO camel VALUES (2, 'y', 'x', 1)",
    )
    .is_equal();
}

#[test]
fn single_precision_is_found() {
    faulty(("rate float8", "rate float4"), AS_IT_IS, &["changed id=1 rate", "changed id=2 rate"]);
    // Widened again, it stays wrong.
    faulty(("vip boolean", "vip boolean"), ("16777217.0", "16777216.0"), &["changed id=2 rate"]);
}

#[test]
fn times_that_moved_are_found() {
    // Taken as local time somewhere, and shifted in summer only.
    faulty(AS_IT_IS, ("10:00:00.25Z", "10:00:00.25+02"), &["changed id=2 since"]);
    faulty(AS_IT_IS, ("10:00:00Z", "10:00:00+01"), &["changed id=1 since"]);
    faulty(AS_IT_IS, (".25Z", "Z"), &["changed id=2 since"]);
}

#[test]
fn text_that_was_cut_is_found() {
    faulty(("varchar(40)", "varchar(38)"), ("it. ok'", "it. o'"), &["changed id=3 name"]);
}

#[test]
fn lost_and_invented_nulls_are_found() {
    faulty(AS_IT_IS, ("'Zoë', ''", "'Zoë', NULL"), &["changed id=2 email"]);
    faulty(AS_IT_IS, ("it. ok', NULL, NULL", "it. ok', '', NULL"), &["changed id=3 email"]);
    faulty(AS_IT_IS, ("-5, -2.5, NULL", "-5, -2.5, false"), &["changed id=3 vip"]);
    faulty(AS_IT_IS, ("'[]', NULL", "'[]', ''"), &["changed id=2 photo"]);
}

#[test]
fn letters_that_were_decoded_wrong_are_found() {
    faulty(AS_IT_IS, ("Zoë", "ZoÃ«"), &["changed id=2 name"]);
    faulty(AS_IT_IS, ("Zoë", "Zo?"), &["changed id=2 name"]);
}

#[test]
fn decimals_that_were_rounded_are_found() {
    faulty(("numeric(12,3)", "numeric(12,2)"), AS_IT_IS, &["changed id=1 balance", "changed id=2 balance"]);
    faulty(("numeric(12,3)", "float8"), AS_IT_IS, &[]);
}

#[test]
fn rows_that_are_missing_or_doubled_are_found() {
    let compared = by_hand(
        SHOP,
        &format!(
            "{TABLES}{ROWS} DELETE FROM customer WHERE id = 2; INSERT INTO tag VALUES (2, 'b'); DELETE FROM tag WHERE word = 'c'"
        ),
    );
    compared.finds("customer", &["missing id=2"]);
    compared.finds("tag", &["missing ", "extra "]);
}

#[test]
fn a_sequence_that_would_give_a_number_twice_is_found() {
    for state in
        ["setval('customer_id_seq', 2)", "setval('customer_id_seq', 3, false)", "setval('customer_id_seq', 1, false)"]
    {
        let compared = by_hand(SHOP, &format!("{TABLES}{ROWS} SELECT {state}"));
        assert_eq!(compared.verification.sequences, ["customer.id"], "{state}");
        assert!(compared.verification.is_different() && !compared.verification.is_equal());
    }
}

#[test]
fn tables_and_columns_that_are_not_there_are_named_and_never_green() {
    let compared = by_hand(
        "CREATE TABLE gone (id INTEGER PRIMARY KEY); INSERT INTO gone VALUES (1), (2);
         CREATE TABLE empty (id INTEGER PRIMARY KEY);
         CREATE TABLE less (id INTEGER PRIMARY KEY, here TEXT, absent TEXT); INSERT INTO less VALUES (1, 'a', 'b');
         CREATE TABLE odd (id INTEGER PRIMARY KEY, address TEXT); INSERT INTO odd VALUES (1, '10.0.0.1');
         CREATE TABLE none (v TEXT); INSERT INTO none VALUES ('x');",
        "CREATE TABLE less (id int8 PRIMARY KEY, here text); INSERT INTO less VALUES (1, 'a');
         CREATE TABLE odd (id int8 PRIMARY KEY, elsewhere text); INSERT INTO odd VALUES (1, '10.0.0.1');
         CREATE TABLE none (w inet); INSERT INTO none VALUES (NULL), (NULL);
         CREATE VIEW gone AS SELECT 1 AS id;",
    );
    for (table, rows) in [("gone", 2), ("empty", 0)] {
        let verdict = compared.table(table);
        assert!(matches!(verdict.outcome, Outcome::Absent), "{verdict:?}");
        assert_eq!(verdict.source_rows, rows);
    }
    assert_eq!(compared.table("less").unverified, ["absent: the target has no such column"]);
    assert_eq!(compared.table("odd").unverified, ["address: the target has no such column"]);
    // Where no column can be compared, rows still can be counted.
    let found = compared.differences("none").unwrap();
    assert_eq!((found.missing, found.extra), (0, 1));
    let text = verification::text(&compared.verification);
    for word in [
        "`gone` is not on the target, which lacks its 2 rows",
        "less` has an unverified column: absent",
        "not verified",
    ] {
        assert!(text.contains(word), "{text}");
    }
    assert!(verification::error(&compared.verification).is_some());
}

#[test]
fn an_unverified_column_alone_is_not_green() {
    let compared = by_hand(
        "CREATE TABLE odd (id INTEGER PRIMARY KEY, address TEXT); INSERT INTO odd VALUES (1, '10.0.0.1');",
        "CREATE TABLE odd (id int8 PRIMARY KEY); INSERT INTO odd VALUES (1);",
    );
    assert!(matches!(compared.table("odd").outcome, Outcome::Equal));
    assert!(!compared.verification.is_equal() && !compared.verification.is_different());
    let error = verification::error(&compared.verification).unwrap();
    assert_eq!(error.kind().exit_code(), 5);
}

#[test]
fn a_value_that_the_type_has_no_room_for_differs_whatever_is_there() {
    let compared = by_hand(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, at TEXT, doc TEXT);
         INSERT INTO t VALUES (1, 'n/a', 'soon', '{'), (2, 40000, '2024-01-01', '{}');",
        "CREATE TABLE t (id int8 PRIMARY KEY, n int2, at timestamptz, doc jsonb);
         INSERT INTO t VALUES (1, NULL, NULL, NULL), (2, 0, '2024-01-01Z', '{}');",
    );
    compared.finds("t", &["changed id=1 n", "changed id=1 at", "changed id=1 doc", "changed id=2 n"]);
}

#[test]
fn a_table_is_chosen_by_its_exact_name() {
    let name = "odd [*?!] \\ {a,b} name";
    let (_dir, path) = source(&format!(
        "CREATE TABLE \"{name}\" (id INTEGER PRIMARY KEY); INSERT INTO \"{name}\" VALUES (1); CREATE TABLE other (id INTEGER);"
    ));
    let target = database();
    session(&target).batch(&format!("CREATE TABLE \"{name}\" (id int8); INSERT INTO \"{name}\" VALUES (1)")).unwrap();
    let mut options = Options::new(&path);
    options.include = vec!["other".into()];
    assert!(!compare_with(&options, &target).unwrap().verification.is_equal());
    let ran = support::program::verify([path.to_str().unwrap(), &support::program::url(&target), "--table", name]);
    ran.exits(0);
    assert!(!compare(&path, &target).verification.is_equal());
}
