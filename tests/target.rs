//! The target side: what is refused, what is loaded into tables that are there, who may, and how it is named.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::postgres::{Session, Target};
use std::path::PathBuf;
use std::process::Command;
use support::program::{Ran, ended, listing, migrate, program, source, url, value};
use support::{database, server, session};
use tempfile::TempDir;

const SHOP: &str = "
    CREATE TABLE customer (id INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL, boss INTEGER REFERENCES customer);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, customer INTEGER NOT NULL REFERENCES customer, total REAL CHECK (total >= 0));
    CREATE INDEX orders_customer ON orders (customer);
    CREATE TABLE log_entry (at TEXT, what TEXT);
    INSERT INTO customer VALUES (1, 'Ann', 2), (2, 'Bob', NULL), (3, 'Cem', 1);
    INSERT INTO orders VALUES (10, 1, 9.5), (11, 3, 0);
    INSERT INTO log_entry VALUES ('2024-01-01 00:00:00', 'x');
    UPDATE sqlite_sequence SET seq = 40 WHERE name = 'customer';";

/// A source, an empty database, and a session that looks at it.
struct Case {
    _dir: TempDir,
    path: PathBuf,
    target: Target,
    seen: Session,
}

impl Case {
    fn new(sql: &str) -> Self {
        Self::into(sql, database())
    }

    fn into(sql: &str, target: Target) -> Self {
        let (dir, path) = source(sql);
        Self { _dir: dir, path, seen: session(&target), target }
    }

    fn run(&self, more: &[&str]) -> Ran {
        migrate([self.path.to_str().unwrap(), &url(&self.target)].iter().chain(more))
    }

    #[track_caller]
    fn asks(&self, sql: &str, answer: &str) {
        assert_eq!(value(&self.seen, sql), answer, "{sql}");
    }
}

#[test]
fn a_target_that_holds_rows_is_refused_and_nothing_is_written() {
    let case = Case::new(SHOP);
    case.seen
        .batch("CREATE TABLE customer (id int8 PRIMARY KEY, name text); INSERT INTO customer VALUES (1, 'old')")
        .unwrap();
    let before = listing(&case.seen);
    case.run(&[]).exits(3).says(&[
        "the target holds rows already in schema `public`",
        "in `customer`",
        "nothing was written",
        "`--truncate`",
        "`--on-conflict skip|update|fail`",
        "`--restart`",
    ]);
    assert_eq!(listing(&case.seen), before);
    case.asks("SELECT string_agg(name, ',') FROM customer", "old");
}

#[test]
fn truncate_empties_the_tables_of_the_run_and_no_others() {
    let case = Case::new(SHOP);
    case.run(&[]).exits(0);
    case.seen.batch("UPDATE customer SET name = 'changed'; CREATE TABLE mine AS SELECT 1 AS x").unwrap();
    case.run(&["--truncate"]).exits(0);
    case.asks("SELECT string_agg(name, ',' ORDER BY id) FROM customer", "Ann,Bob,Cem");
    case.asks("SELECT (SELECT count(*) FROM orders) || ' ' || (SELECT x FROM mine)", "2 1");
    // Somebody else's table that refers to ours cannot be emptied with it.
    case.seen.batch("CREATE TABLE outside (c int8 REFERENCES customer)").unwrap();
    case.run(&["--truncate"]).exits(1).says(&["the target's tables cannot be emptied", "nothing was written"]);
    case.asks("SELECT count(*) FROM customer", "3");
}

#[test]
fn on_conflict_decides_between_rows_with_equal_keys() {
    let existing = "CREATE TABLE t (id int8 PRIMARY KEY, v text, extra text DEFAULT 'none'); \
                    INSERT INTO t VALUES (1, 'target', 'kept'), (9, 'target', 'kept')";
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, 'source'), (2, 'source');";
    let all = "SELECT string_agg(id || v || extra, ' ' ORDER BY id) FROM t";
    for (choice, code, result) in [
        // Rows of two origins in one table cannot be compared with one of them: unverified is not green.
        ("skip", 5, "1targetkept 2sourcenone 9targetkept"),
        ("update", 5, "1sourcekept 2sourcenone 9targetkept"),
        ("fail", 1, "1targetkept 9targetkept"),
    ] {
        let case = Case::new(sql);
        case.seen.batch(existing).unwrap();
        let ran = case.run(&["--on-conflict", choice]).exits(code);
        if choice == "fail" {
            ran.says(&["the server refused rows of `t`", "t_pkey", "this range was rolled back"]);
        }
        case.asks(all, result);
    }
}

#[test]
fn on_conflict_fail_adds_rows_where_no_key_is_there_twice() {
    let case = Case::new("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2);");
    case.seen.batch("CREATE TABLE t (id int8 PRIMARY KEY); INSERT INTO t VALUES (7)").unwrap();
    case.run(&["--on-conflict", "fail"]).exits(5).says(&["not everything could be compared"]);
    case.asks("SELECT string_agg(id::text, ' ' ORDER BY id) FROM t", "1 2 7");
}

#[test]
fn on_conflict_says_where_no_key_tells_rows_apart() {
    let case = Case::new("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (7);");
    case.seen.batch("CREATE TABLE t (id int8); INSERT INTO t VALUES (7)").unwrap();
    case.run(&["--on-conflict", "skip"]).exits(5).says(&["`t`: no primary key on the target", "all are added"]);
    case.asks("SELECT count(*) FROM t", "2");
}

#[test]
fn schema_only_makes_every_object_and_data_only_fills_them() {
    let case = Case::new(&format!(
        "{SHOP}
         CREATE TABLE egg (id INTEGER PRIMARY KEY, hen INTEGER NOT NULL REFERENCES hen);
         CREATE TABLE hen (id INTEGER PRIMARY KEY, egg INTEGER NOT NULL REFERENCES egg);
         INSERT INTO egg VALUES (1, 5); INSERT INTO hen VALUES (5, 1);"
    ));
    case.run(&["--schema-only"]).exits(0);
    case.asks("SELECT sum(n) FROM (SELECT count(*) n FROM customer UNION ALL SELECT count(*) FROM orders) c", "0");
    case.asks("SELECT count(*) FROM pg_constraint WHERE contype = 'p' AND connamespace = 'public'::regnamespace", "4");
    case.asks("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace", "4");
    case.asks("SELECT count(*) FROM pg_constraint WHERE contype = 'c' AND connamespace = 'public'::regnamespace", "1");
    case.asks("SELECT count(*) FROM pg_indexes WHERE indexname = 'orders_customer'", "1");

    case.run(&["--data-only"]).exits(0);
    case.asks("SELECT string_agg(id || name || coalesce(boss, 0), ' ' ORDER BY id) FROM customer", "1Ann2 2Bob0 3Cem1");
    case.asks(
        "SELECT (SELECT hen FROM egg) || ' ' || (SELECT egg FROM hen) || ' ' || (SELECT count(*) FROM orders)",
        "5 1 2",
    );
    case.asks("SELECT nextval(pg_get_serial_sequence('orders', 'id'))", "12");
    case.asks("SELECT nextval(pg_get_serial_sequence('customer', 'id')) > 3", "true");
    case.asks("SELECT bool_and(convalidated) FROM pg_constraint WHERE connamespace = 'public'::regnamespace", "true");
}

#[test]
fn data_only_by_a_role_that_is_no_superuser_keeps_foreign_keys_in_force() {
    // The self-reference points forward over several ranges; the two others point at each other.
    let case = Case::new(
        "CREATE TABLE node (id INTEGER PRIMARY KEY, next INTEGER REFERENCES node, pad TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450000)
            INSERT INTO node SELECT i, 450001 - i, NULL FROM n;
         CREATE TABLE egg (id INTEGER PRIMARY KEY, hen INTEGER NOT NULL REFERENCES hen);
         CREATE TABLE hen (id INTEGER PRIMARY KEY, egg INTEGER NOT NULL REFERENCES egg);
         INSERT INTO egg VALUES (1, 5); INSERT INTO hen VALUES (5, 1);",
    );
    case.seen
        .batch(&format!("CREATE ROLE plain LOGIN; GRANT CREATE ON DATABASE {} TO plain", case.target.dbname()))
        .unwrap();
    let path = case.path.to_str().unwrap();
    let target = as_role(&case.target, "plain");
    migrate([path, &target, "--schema", "app", "--schema-only"]).exits(0);
    let keys = "SELECT string_agg(conname || pg_get_constraintdef(oid) || convalidated, ' ' ORDER BY conname) \
                FROM pg_constraint WHERE contype = 'f' AND connamespace = 'app'::regnamespace";
    let before = value(&case.seen, keys);
    migrate([path, &target, "--schema", "app", "--data-only"]).exits(0);
    case.asks("SELECT (SELECT count(*) FROM app.node) || ' ' || (SELECT hen FROM app.egg) || ' ' || (SELECT egg FROM app.hen)", "450000 5 1");
    case.asks(keys, &before);
}

#[test]
fn data_only_needs_every_table() {
    let case = Case::new(SHOP);
    case.seen.batch("CREATE TABLE customer (id int8, name text, boss int8)").unwrap();
    let before = listing(&case.seen);
    case.run(&["--data-only"]).exits(3).says(&[
        "missing: `orders`, `log_entry`",
        "nothing was written",
        "`--schema-only`",
        "`--exclude`",
    ]);
    assert_eq!(listing(&case.seen), before);
    case.run(&["--data-only", "--include", "customer"]).exits(0);
    case.asks("SELECT count(*) FROM customer", "3");
}

const HAND_MADE: &str = "
    CREATE EXTENSION IF NOT EXISTS citext;
    CREATE TYPE mood AS ENUM ('sad', 'ok', 'happy');
    CREATE TABLE person (
        doc jsonb, born date, \"createdAt\" timestamp, seen timestamptz, active boolean NOT NULL DEFAULT true,
        email citext UNIQUE, code varchar(5), tiny int2, small int4, key uuid, mood mood, price numeric(8,2),
        shout text GENERATED ALWAYS AS (upper(code)) STORED, note text DEFAULT 'mine',
        id int4 GENERATED ALWAYS AS IDENTITY PRIMARY KEY)";

const PERSON: &str = "
    CREATE TABLE Person (ID INTEGER PRIMARY KEY, Tiny INTEGER, Small INTEGER, Code TEXT, Active INTEGER, Mood TEXT,
        Email TEXT, created_at TEXT, Seen TEXT, Born TEXT, Key TEXT, Doc TEXT, Price REAL);
    INSERT INTO Person VALUES
        (5, 32767, 2147483647, 'abcde', 1, 'happy', 'Ann@x.org', '2024-02-29 12:00:00', '2024-02-29T12:00:00+02:00', '1999-12-31',
         '01890a5d-ac96-774b-bcce-b302099a8057', '{\"a\": [1]}', 12.25),
        (8, -1, 0, 'é', 0, 'sad', 'bob@x.org', NULL, NULL, NULL, NULL, NULL, NULL);";

#[test]
fn data_only_loads_a_hand_made_schema_of_other_types_order_and_case() {
    let case = Case::new(PERSON);
    case.seen.batch(&HAND_MADE.replace("\"createdAt\"", "created_at")).unwrap();
    case.run(&["--data-only"]).exits(0);
    case.asks(
        "SELECT p FROM person p WHERE id = 5",
        "(\"{\"\"a\"\": [1]}\",1999-12-31,\"2024-02-29 12:00:00\",\"2024-02-29 10:00:00+00\",t,Ann@x.org,abcde,32767,2147483647,\
         01890a5d-ac96-774b-bcce-b302099a8057,happy,12.25,ABCDE,mine,5)",
    );
    case.asks("SELECT code || active || mood || shout FROM person WHERE email = 'BOB@x.org'", "éfalsesadÉ");
    case.asks("SELECT nextval(pg_get_serial_sequence('person', 'id'))", "9");
}

#[test]
fn a_value_that_does_not_fit_a_hand_made_column_is_refused_before_anything_is_written() {
    for (change, column, says) in [
        ("Tiny = 32768", "Tiny", "smallint"),
        ("Small = 2147483648", "Small", "integer"),
        ("Code = 'abcdef'", "Code", "varchar(5)"),
        ("Key = 'not a uuid'", "Key", "uuid"),
        ("Doc = '{broken'", "Doc", "jsonb"),
        ("Active = 2", "Active", "boolean"),
        ("created_at = 'yesterday'", "created_at", "timestamp"),
        ("Price = 1234567.5", "Price", "numeric(8,2)"),
        ("Born = '1999-02-30'", "Born", "date"),
    ] {
        let case = Case::new(&format!("{PERSON} UPDATE Person SET {change} WHERE ID = 8;"));
        case.seen.batch(&HAND_MADE.replace("\"createdAt\"", "created_at")).unwrap();
        let before = listing(&case.seen);
        let ran = case.run(&["--data-only"]).exits(3).says(&[
            &format!("`Person.{column}`"),
            says,
            "at key 8",
            "nothing was written",
            "hint:",
        ]);
        assert!(
            !ran.stderr.contains("yesterday") && !ran.stderr.contains("abcdef"),
            "a value is shown: {}",
            ran.stderr
        );
        assert_eq!(listing(&case.seen), before, "{change}");
        case.asks("SELECT count(*) FROM person", "0");
    }
}

#[test]
fn an_unknown_enum_label_is_refused_before_anything_is_written() {
    let case = Case::new(&format!("{PERSON} UPDATE Person SET Mood = 'angry' WHERE ID = 8;"));
    case.seen.batch(&HAND_MADE.replace("\"createdAt\"", "created_at")).unwrap();
    case.run(&["--data-only"]).exits(3).says(&[
        "`Person.Mood`",
        "no label of the enum",
        "at key 8",
        "nothing was written",
    ]);
    case.asks("SELECT count(*) FROM person", "0");
}

#[test]
fn include_and_exclude_choose_tables() {
    let case = Case::new(SHOP);
    case.run(&["--include", "*o*", "--exclude", "log_*"]).exits(0);
    case.asks("SELECT string_agg(relname, ' ' ORDER BY relname) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace", "customer orders");
    case.run(&["--include", "orders", "--exclude", "custmer", "--schema", "slip"])
        .exits(0)
        .says(&["REFERENCES customer warning:", "`--exclude custmer` matches no table: did you mean"]);
    case.run(&["--include", "nothing", "--schema", "other"])
        .exits(2)
        .says(&["no table is left of the source", "nothing was written"]);
}

#[test]
fn a_schema_that_is_missing_is_made_and_runs_into_two_schemas_do_not_meet() {
    let case = Case::new(SHOP);
    for schema in ["New \"Schema\"", "second"] {
        case.run(&["--schema", schema, "--jobs", "8"]).exits(0);
    }
    case.asks("SELECT count(*) FROM \"New \"\"Schema\"\"\".customer", "3");
    case.asks("SELECT count(*) FROM second.orders", "2");
    case.asks("SELECT count(*) FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace", "0");
}

#[test]
fn one_lane_and_eight_bring_the_same_rows() {
    let sql = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 60000)
        INSERT INTO t SELECT i * 7, 'v' || i FROM n; CREATE TABLE u AS SELECT * FROM t; CREATE TABLE w AS SELECT * FROM t;";
    let digests: Vec<String> = ["1", "8"]
        .into_iter()
        .map(|jobs| {
            let case = Case::new(sql);
            case.run(&["--jobs", jobs]).exits(0);
            let of =
                |t: &str| value(&case.seen, &format!("SELECT md5(string_agg({t}::text, ',' ORDER BY id)) FROM {t}"));
            of("t") + &of("u") + &of("w")
        })
        .collect();
    assert_eq!(digests[0], digests[1]);
}

#[test]
fn a_dry_run_changes_nothing_on_the_server() {
    let case = Case::new(SHOP);
    case.seen.batch("CREATE TABLE customer (id int8 PRIMARY KEY, name text NOT NULL, boss int8)").unwrap();
    let before = listing(&case.seen);
    for more in [
        &["--dry-run"][..],
        &["--dry-run", "--sql"],
        &["--dry-run", "--schema", "not_there"],
        &["--dry-run", "--data-only", "--include", "customer"],
    ] {
        let ran = case.run(more).exits(0);
        assert!(ran.stdout.contains("table customer"), "{}", ran.stdout);
        assert_eq!(listing(&case.seen), before, "{more:?}");
    }
}

#[test]
fn the_printed_script_runs_as_it_is_in_psql_and_makes_what_a_run_makes() {
    let case = Case::new(SHOP);
    let ran = case.run(&["--dry-run", "--sql"]).exits(0);
    let script = &ran.stdout[ran.stdout.find("CREATE SCHEMA").expect("a script")..];
    let by_hand = database();
    let psql = Command::new("psql")
        .args([
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
            "-c",
            script,
        ])
        .output()
        .unwrap();
    assert!(psql.status.success(), "{}", String::from_utf8_lossy(&psql.stderr));
    case.run(&["--schema-only"]).exits(0);
    let shape = "SELECT string_agg(line, E'\\n' ORDER BY line) FROM (\
        SELECT attrelid::regclass || ' ' || attname || ' ' || format_type(atttypid, atttypmod) || attnotnull || attidentity::text AS line \
          FROM pg_attribute JOIN pg_class c ON c.oid = attrelid WHERE relnamespace = 'public'::regnamespace AND attnum > 0 \
        UNION ALL SELECT conname || pg_get_constraintdef(oid) FROM pg_constraint WHERE connamespace = 'public'::regnamespace \
        UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public') s";
    assert_eq!(value(&session(&by_hand), shape), value(&case.seen, shape));
}

#[test]
fn the_target_is_found_by_database_url_pairs_and_variables() {
    let (_dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);");
    let rows = |target: &Target| value(&session(target), "SELECT count(*) FROM t");

    let target = database();
    let mut command = program();
    ended(command.args(["migrate", path.to_str().unwrap()]).env("DATABASE_URL", url(&target)).output().unwrap())
        .exits(0);
    assert_eq!(rows(&target), "1");

    let target = database();
    let pairs = format!("host={} user=postgres dbname='{}'", target.host(), target.dbname());
    migrate([path.to_str().unwrap(), &pairs]).exits(0);
    assert_eq!(rows(&target), "1");

    let target = database();
    let mut command = program();
    command.args(["migrate", path.to_str().unwrap(), ""]);
    command.env("PGHOST", target.host()).env("PGUSER", "postgres").env("PGDATABASE", target.dbname());
    ended(command.output().unwrap()).exits(0);
    assert_eq!(rows(&target), "1");
}

/// A target for a role of its own.
fn as_role(target: &Target, role: &str) -> String {
    format!("host={} user={role} dbname={}", target.host(), target.dbname())
}

#[test]
fn a_role_that_owns_one_schema_and_may_create_in_the_database_is_enough() {
    let case = Case::new(SHOP);
    case.seen
        .batch(&format!(
            "CREATE ROLE owner_of_app LOGIN; CREATE SCHEMA app AUTHORIZATION owner_of_app; \
             REVOKE ALL ON SCHEMA public FROM PUBLIC; GRANT CREATE ON DATABASE {} TO owner_of_app",
            case.target.dbname()
        ))
        .unwrap();
    let path = case.path.to_str().unwrap();
    let target = as_role(&case.target, "owner_of_app");
    migrate([path, &target, "--schema", "app"]).exits(0);
    case.asks("SELECT count(*) FROM app.customer", "3");
    // From now on not even that right is needed.
    case.seen.batch(&format!("REVOKE CREATE ON DATABASE {} FROM owner_of_app", case.target.dbname())).unwrap();
    migrate([path, &target, "--schema", "app"]).exits(0);
    migrate([path, &target, "--schema", "app", "--restart"]).exits(0);
    // Foreign keys are in force for this role: parents come first, and a customer's boss in the same statement.
    migrate([path, &target, "--schema", "app", "--truncate"]).exits(0);
    case.asks("SELECT count(*) FROM app.orders", "2");
}

#[test]
fn a_role_that_may_not_create_is_told_which_grant_is_missing() {
    let case = Case::new(SHOP);
    case.seen.batch("CREATE ROLE may_not LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC").unwrap();
    let before = listing(&case.seen);
    let path = case.path.to_str().unwrap();
    let target = as_role(&case.target, "may_not");
    let database = case.target.dbname();
    let grant = format!("GRANT CREATE ON DATABASE \"{database}\" TO \"may_not\"");
    migrate([path, &target]).exits(3).says(&[
        "role `may_not` may not create schema `lite2pg`",
        "nothing was written",
        &grant,
    ]);
    migrate([path, &target, "--schema", "app"]).exits(3).says(&["may not create schema `app`", &grant]);
    case.seen.batch(&format!("GRANT CREATE ON DATABASE {database} TO may_not")).unwrap();
    migrate([path, &target])
        .exits(3)
        .says(&["may not create tables in schema `public`", "GRANT CREATE ON SCHEMA \"public\" TO \"may_not\""]);
    assert_eq!(listing(&case.seen), before);
    migrate([path, &target, "--schema", "app"]).exits(0);
    // Another role meets a control schema that is not its own.
    case.seen.batch(&format!("CREATE ROLE a_third LOGIN; GRANT CREATE ON DATABASE {database} TO a_third")).unwrap();
    let third = as_role(&case.target, "a_third");
    migrate([path, &third, "--schema", "third"])
        .exits(3)
        .says(&["may not use the control schema `lite2pg`, which another role made", "hint:"]);
}

#[test]
fn databases_of_other_encodings_are_refused() {
    for (i, encoding) in ["SQL_ASCII", "LATIN1"].into_iter().enumerate() {
        let name = format!("encoded_{i}");
        let admin = session(&server::shared().target());
        admin
            .batch(&format!(
                "CREATE DATABASE {name} ENCODING '{encoding}' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C'"
            ))
            .unwrap();
        let case = Case::into(SHOP, server::shared().target().with_dbname(name));
        let before = listing(&case.seen);
        case.run(&[]).exits(3).says(&[encoding, "nothing was written", "createdb --encoding=UTF8"]);
        assert_eq!(listing(&case.seen), before);
    }
}

#[test]
fn the_exit_code_tells_which_side_is_wrong() {
    let (dir, path) = source(SHOP);
    let path = path.to_str().unwrap();
    let nobody = format!("host={} user=postgres", dir.path().display());
    migrate([path, &nobody]).exits(7).says(&["hint:"]);
    migrate([path, &as_role(&server::shared().target(), "nobody_knows_me")]).exits(7).says(&["nobody_knows_me"]);
    let no_database = url(&server::shared().target().with_dbname("not_there"));
    migrate([path, &no_database]).exits(7).says(&["not_there"]);
    migrate(["/not/there.db", &nobody]).exits(6).says(&["/not/there.db"]);
    migrate([path, &nobody, "--jobs", "65"]).exits(2);
    migrate([path, &nobody, "--no-such-option"]).exits(2);
    migrate([path, "postgres://h:notaport/db"]).exits(2);
    migrate([path]).exits(2).says(&["no TARGET is given", "`embedded`"]);
}
