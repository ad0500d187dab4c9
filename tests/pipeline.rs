//! Pipeline files: what they say, what is said of their mistakes, and what becomes of the rows.
#![allow(clippy::unwrap_used, reason = "a test that unwraps fails with the place")]

mod support;

use lite2pg::pipeline::{Pipeline, file::File};
use lite2pg::report::message;
use rusqlite::Connection;
use std::path::Path;
use support::piped::Stage;
use support::program::{ended, program, url};

fn parsed(text: &str) -> lite2pg::Result<Pipeline> {
    let variable = |name: &str| (name == "DATABASE_URL").then(|| "postgres://db".to_owned());
    Pipeline::parse(Path::new("shop.toml"), text.to_owned(), &variable)
}

fn refused(text: &str) -> String {
    message::error(&parsed(text).map(|_| ()).expect_err("mistakes"), false)
}

#[test]
fn what_a_file_leaves_out_is_left_to_lite2pg() {
    let pipeline = parsed("source = \"app.db\"\ntarget = \"${DATABASE_URL}\"\n").unwrap();
    assert_eq!(pipeline.file.target.as_deref(), Some("postgres://db"));
    assert_eq!(pipeline.name(), "shop");
    assert!(pipeline.file.table.is_empty() && pipeline.file.on_error.is_none());
    assert_eq!(parsed("").unwrap().file, File::default());
    assert_eq!(parsed("target = \"a$$b\"").unwrap().file.target.as_deref(), Some("a$b"));
}

#[test]
fn all_mistakes_are_shown_at_once_each_with_its_line_and_what_was_meant() {
    let text = r#"sourse = "app.db"
target = "${NO_SUCH}"
jobs = "two"

[[table]]
from = "orders"
ont_error = "fail"
[table.columns]
amount = { typ = "numeric", on_error = "maybe" }

[[check]]
source = "SELECT 1"
"#;
    insta::assert_snapshot!(refused(text));
}

#[test]
fn a_file_that_is_no_toml_says_where_it_stops_to_be_one() {
    let told = refused("source = \"app.db\n[[table]\nfrom = 1 2\n");
    assert!(told.contains("shop.toml:1:") && told.contains("shop.toml:2:"), "{told}");
}

#[test]
fn paths_are_relative_to_the_file_and_read_as_a_person_would_write_them() {
    let dir = tempfile::tempdir().unwrap();
    let at = |path: &str| dir.path().join(path).to_str().unwrap().to_owned();
    std::fs::create_dir_all(dir.path().join("deep/inside")).unwrap();
    std::os::unix::fs::symlink("deep/inside", dir.path().join("link")).unwrap();
    let beside = |file: &str, path: &str| {
        let pipeline = Pipeline::parse(Path::new(&at(file)), String::new(), &|_| None).unwrap();
        pipeline.beside(path).to_str().unwrap().to_owned()
    };
    assert_eq!(beside("deep/x.toml", "../there/rejects"), at("there/rejects"));
    assert_eq!(beside("deep/inside/x.toml", "../../a"), at("a"));
    assert_eq!(beside("deep/x.toml", "/c/d"), "/c/d");
    assert_eq!(beside("deep/x.toml", "file:../d?mode=ro"), "file:../d?mode=ro");
    // Behind a symbolic link, `..` is the folder that it leads to, not the one that it is in.
    assert_eq!(beside("link/x.toml", "../there"), at("link/../there"));
}

#[test]
fn no_text_panics_the_parser() {
    let odd =
        ["[", "[[table]]\n[table.columns]\nx", "=", "\u{feff}", "a.b.c = 1", "[table]\nfrom = 1", "table = 7", "\0"];
    for text in odd.into_iter().chain(["check = [1]", "name = '''\u{2028}", "[[table]]\n[[table]]\nfrom = []\n"]) {
        let _ = parsed(text);
    }
}

#[test]
fn the_schema_names_every_key_that_the_document_explains() {
    let schema = lite2pg::pipeline::schema();
    let schema: serde_json::Value = serde_json::from_str(&schema).unwrap();
    let text = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/pipelines.md")).unwrap();
    let definitions = schema["$defs"].as_object().unwrap();
    let objects = std::iter::once(("File", &schema)).chain(definitions.iter().map(|(name, of)| (name.as_str(), of)));
    let mut keys = 0;
    for (name, object) in objects {
        for (key, about) in object["properties"].as_object().into_iter().flatten() {
            keys += 1;
            let about = about["description"].as_str().unwrap_or_else(|| panic!("{name}.{key} has no description"));
            // The document has a line `| key | words |`, and its words are the type's.
            let line = format!("| `{key}` | {} |", about.replace('\n', " "));
            assert!(text.contains(&line), "docs/pipelines.md has no line\n{line}");
        }
    }
    assert!(keys > 30, "{keys}");
}

const SHOP: &str = "
    CREATE TABLE customers (id INTEGER PRIMARY KEY, name TEXT NOT NULL, status TEXT, legacy TEXT, CHECK (length(name) > 0));
    CREATE UNIQUE INDEX customers_name ON customers (name); CREATE INDEX customers_legacy ON customers (legacy);
    INSERT INTO customers VALUES (1, 'Ann', 'A', 'x'), (2, 'Bob', 'I', NULL), (3, 'Cy', '?', 'y');
    CREATE TABLE orders (id INTEGER PRIMARY KEY AUTOINCREMENT, customer INTEGER NOT NULL REFERENCES customers, amount TEXT,
                         doc TEXT, deleted INTEGER DEFAULT 0, tags TEXT);
    CREATE INDEX orders_customer ON orders (customer);
    INSERT INTO orders VALUES (1, 1, '10.50', '{\"a\":{\"b\":5}}', 0, '[\"x\",\"y\"]'), (2, 1, 'oops', '{}', 0, '[]'),
        (3, 2, '7', '{\"a\":{\"b\":6}}', 1, NULL), (4, 3, '8.25', NULL, 0, '[\"z\"]');
    CREATE TABLE junk (x); INSERT INTO junk VALUES (1);";

#[test]
fn tables_are_renamed_filtered_computed_exploded_and_left_out() {
    let stage = Stage::new(SHOP);
    let text = r#"
        [[table]]
        from = "customers"
        to = "clients"
        [table.columns]
        status = { map = { A = "active", I = "idle" }, to = "state" }
        legacy = { skip = true }
        name = { to = "full_name" }

        [[table]]
        from = "orders"
        where = "deleted = 0"
        [table.columns]
        amount = { type = "numeric(12,2)", on_error = "reject" }
        b = { json = "$.a.b", sql = "json_extract(doc, '$.a.b')" }
        doc = { default = "{}" }
        made_by = { value = "sqlite" }
        deleted = { skip = true }

        [[table]]
        to = "order_tags"
        query = "SELECT o.id AS order_id, t.key AS position, t.value AS tag FROM orders o, json_each(o.tags) t WHERE o.deleted = 0"
        key = ["order_id", "position"]

        [[table]]
        from = "junk"
        skip = true
    "#;
    let wrong = stage.migrate(text).exits(2);
    assert!(wrong.stderr.contains("a column has one of sql, json"), "{}", wrong.stderr);
    let text = text.replace("json = \"$.a.b\", ", "");
    let ran = stage.migrate(&text).exits(4);
    assert!(ran.stderr.contains("1 row was set aside"), "{}", ran.stderr);
    assert_eq!(
        stage.there("SELECT string_agg(c::text, ' ' ORDER BY id) FROM clients c"),
        "(1,Ann,active) (2,Bob,idle) (3,Cy,?)"
    );
    assert_eq!(stage.there("SELECT string_agg(o::text, ' ' ORDER BY id) FROM (SELECT id, customer, amount, doc->'a'->'b' AS d, b, made_by FROM orders) o"),
               "(1,1,10.50,5,5,sqlite) (4,3,8.25,,,sqlite)");
    assert_eq!(stage.there("SELECT string_agg(t::text, ' ' ORDER BY 1) FROM order_tags t"), "(1,0,x) (1,1,y) (4,0,z)");
    assert_eq!(stage.there("to_regclass('junk')"), "NULL");
    // Keys and indexes of columns that stayed are there under the new names, and in force.
    let indexes = "SELECT string_agg(indexname, ' ' ORDER BY indexname) FROM pg_indexes WHERE schemaname = 'public'";
    assert_eq!(stage.there(indexes), "clients_pkey customers_name order_tags_pkey orders_customer orders_pkey");
    assert_eq!(stage.there("SELECT nextval(pg_get_serial_sequence('orders', 'id'))"), "5", "SQLite gave 4 out");
    assert!(
        stage.seen.batch("INSERT INTO orders (customer) VALUES (99)").is_err(),
        "the foreign key follows its tables"
    );
    let list = std::fs::read_to_string(stage.dir.path().join("rejects/orders.csv")).unwrap();
    assert!(list.lines().nth(1).unwrap().starts_with("2,amount,text that is no number,,'oops',"), "{list}");
}

#[test]
fn a_run_by_pipeline_is_verified_resumed_repaired_and_tried_again_by_it() {
    let stage = Stage::new(SHOP);
    let text = r#"
        [[table]]
        from = "orders"
        where = "deleted = 0"
        [table.columns]
        amount = { type = "numeric(12,2)", on_error = "reject" }
        twice = { sql = "id * 2" }
    "#;
    stage.migrate(text).exits(4);
    let file = stage.file(text);
    // By the file, and without it: the run itself knows its shapes.
    stage.run(&["verify"], &file, &["--quiet"]).exits(0);
    let plain = |verb: &[&str], more: &[&str]| {
        ended(program().args(verb).arg(&stage.path).arg(url(&stage.target)).args(more).output().unwrap())
    };
    plain(&["verify"], &["--quiet"]).exits(0);
    stage.seen.batch("UPDATE orders SET twice = 7 WHERE id = 1").unwrap();
    stage.run(&["verify"], &file, &["--quiet"]).exits(5);
    plain(&["verify"], &["--quiet", "--repair"]).exits(0);
    assert_eq!(stage.there("SELECT twice FROM orders WHERE id = 1"), "2");
    stage.run(&["migrate"], &file, &["--quiet"]).exits(4).says(&["1 row was set aside"]);
    stage.run(&["rejects", "retry"], &file, &["--quiet", "--on-error", "orders.amount=null"]).exits(0);
    assert_eq!(stage.there("SELECT count(*) FROM orders WHERE amount IS NULL"), "1");
    // Another shape is another run.
    let other = stage.file(&text.replace("id * 2", "id * 3"));
    stage.run(&["migrate"], &other, &["--quiet"]).exits(3).says(&["the target holds rows already"]);
    stage.run(&["migrate"], &other, &["--quiet", "--restart"]).exits(4);
    assert_eq!(stage.there("SELECT string_agg(twice::text, ' ' ORDER BY id) FROM orders"), "3 12");
}

#[test]
fn a_query_with_an_integer_key_is_split_and_one_that_has_to_be_sorted_is_not() {
    let stage = Stage::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 450000) INSERT INTO a SELECT i, 'v' || i FROM n;
         CREATE TABLE b (id INTEGER PRIMARY KEY, a INTEGER, w TEXT); INSERT INTO b VALUES (1, 5, 'five'), (2, 400000, 'late');",
    );
    let text = r#"
        exclude = ["a", "b"]
        [[table]]
        to = "joined"
        query = "SELECT a.id, a.v, b.w FROM a LEFT JOIN b ON b.id = a.id % 3"
        key = ["id"]
        [[table]]
        to = "grouped"
        query = "SELECT id % 7 AS k, count(*) AS n, min(v) AS least FROM a GROUP BY 1"
        key = ["k"]
    "#;
    stage.migrate(text).exits(0);
    assert_eq!(stage.there("SELECT (count(*), count(w), count(DISTINCT id)) FROM joined"), "(450000,300000,450000)");
    assert_eq!(stage.there("SELECT (count(*), sum(n)) FROM grouped"), "(7,450000)");
    let ranges = "SELECT string_agg(table_name || ' ' || n, ', ' ORDER BY table_name) \
                  FROM (SELECT table_name, count(*) > 1 AS n FROM lite2pg.range GROUP BY 1) r";
    assert_eq!(stage.there(ranges), "grouped false, joined true");
}

#[test]
fn scripts_and_checks_run_at_their_time_and_a_wrong_answer_is_an_error() {
    let stage = Stage::new("CREATE TABLE t (id INTEGER PRIMARY KEY, v REAL); INSERT INTO t VALUES (1, 0.5), (2, 1.5);");
    std::fs::write(stage.dir.path().join("after.sql"), "CREATE VIEW total AS SELECT sum(v) AS v FROM t").unwrap();
    let text = r#"
        [[before]]
        sql = "CREATE TABLE log (what text); INSERT INTO log VALUES ('began')"
        [[after]]
        file = "after.sql"
        [[check]]
        name = "the same sum"
        source = "SELECT sum(v) FROM t"
        target = "SELECT v FROM total"
        [[check]]
        name = "the names"
        target = "SELECT id, 'a,\"b' FROM t ORDER BY id"
        expect = "1,\"a,\"\"b\"\n2,\"a,\"\"b\""
    "#;
    stage.migrate(text).exits(0);
    assert_eq!(stage.there("SELECT string_agg(what, ' ') FROM log"), "began");
    // On a finished run the questions are asked again, the scripts are not run.
    stage.migrate(text).exits(0);
    assert_eq!(stage.there("SELECT count(*) FROM log"), "1");
    stage.seen.batch("CREATE OR REPLACE VIEW total AS SELECT sum(v) + 1 AS v FROM t").unwrap();
    stage.migrate(text).exits(5).says(&["check `the same sum`: not the expected answer"]);
    let wrong =
        stage.migrate(&format!("{text}\n[[check]]\nname = \"broken\"\nsource = \"SELECT nothing\"\nexpect = \"1\"\n"));
    assert!(wrong.stderr.contains("and 1 more"), "{}", wrong.stderr);
}

#[test]
fn a_script_that_the_server_refuses_leaves_the_target_as_it_was() {
    let stage = Stage::new("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);");
    let ran = stage.migrate("[[before]]\nsql = \"CREATE TABLE one (x int)\"\n[[before]]\nsql = \"NO SQL\"\n").exits(1);
    assert!(ran.stderr.contains("the server refuses script 2 of `before`"), "{}", ran.stderr);
    assert_eq!(stage.there("(to_regclass('one'), to_regclass('t'))"), "(,)");
    // The rows are there when the last script fails; the same command goes on with it once it is mended.
    stage.migrate("[[after]]\nsql = \"NO SQL\"\n").exits(1);
    assert_eq!(stage.there("SELECT count(*) FROM t"), "1");
}

#[test]
fn a_script_that_ends_its_transaction_is_refused_before_anything_is_done() {
    let stage = Stage::new("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);");
    let nothing = "(to_regclass('one'), to_regclass('t'), to_regclass('lite2pg.run'))";
    for (phase, sql, said) in [
        (
            "before",
            "CREATE TABLE one (x int); COMMIT; CREATE TABLE two (x int)",
            "script 1 of `before` has COMMIT in it",
        ),
        ("before", "BEGIN; CREATE TABLE one (x int); END", "script 1 of `before` has BEGIN in it"),
        ("before", "CREATE TABLE one (x int); ROLLBACK", "script 1 of `before` has ROLLBACK in it"),
        ("after", "SELECT 1; /* ; */ rollback", "script 1 of `after` has ROLLBACK in it"),
        ("after", "VACUUM t", "script 1 of `after` has VACUUM in it"),
        ("after", "CREATE INDEX CONCURRENTLY i ON t (id)", "has CREATE INDEX CONCURRENTLY in it"),
    ] {
        stage.migrate(&format!("[[{phase}]]\nsql = \"{sql}\"\n")).exits(2).says(&[said, "hint:"]);
        assert_eq!(stage.there(nothing), "(,,)", "{sql}");
    }
    // What only the server can see is refused there, and leaves nothing either.
    let hidden = "CREATE TABLE one (x int); DO 'BEGIN COMMIT; END'";
    let ran = stage.migrate(&format!("[[before]]\nsql = \"{hidden}\"\n")).exits(1);
    ran.says(&["the server refuses script 1 of `before`", "no block and no procedure in it can end that"]);
    assert_eq!(stage.there(nothing), "(,,)");
    // Such words in a text or a body are none.
    let body = "CREATE TABLE one AS SELECT 'COMMIT;' AS x; DO $a$ BEGIN PERFORM 1; END $a$";
    stage.migrate(&format!("[[before]]\nsql = \"{body}\"\n")).exits(0);
    assert_eq!(stage.there("SELECT x FROM one"), "COMMIT;");
}

#[test]
fn names_that_the_source_does_not_have_are_told_with_their_lines() {
    let stage = Stage::new(SHOP);
    let told = stage.migrate(
        "[[table]]\nfrom = \"order\"\n[[table]]\nfrom = \"customers\"\n[table.columns]\nnam = { to = \"x\" }\n\
         status = { type = \"moneyy\" }\n[[table]]\nto = \"q\"\nquery = \"SELECT 1 AS a\"\n[[table]]\nto = \"r\"\n\
         [[check]]\nname = \"c\"\nsource = \"SELECT 1\"\n",
    );
    let told = told.exits(2).stderr;
    for words in [
        "6 mistakes",
        "did you mean `orders`?",
        "did you mean `name`?",
        "`moneyy` is no type",
        "shop.toml:3:8",
        "columns of its `key`",
        "comes `from` a table, from a `query`, or from a `merge`",
        "needs its answer",
    ] {
        assert!(told.contains(words), "`{words}` is not in\n{told}");
    }
    for (text, words) in [
        ("[[table]]\nfrom = \"orders\"\nwhere = \"absent = 1\"\n", "no such column: absent"),
        (
            "[[table]]\nfrom = \"orders\"\nwhere = \"1) AS s; DROP TABLE orders; --\"\n",
            "SQLite refuses the SQL of table `orders`",
        ),
        ("[[table]]\nto = \"q\"\nquery = \"DELETE FROM orders RETURNING id\"\nkey = [\"id\"]\n", "SQLite refuses"),
        ("[[table]]\nto = \"q\"\nquery = \"SELECT id FROM orders\"\nkey = [\"idd\"]\n", "no column `idd` for its key"),
    ] {
        let ran = stage.migrate(text).exits(2);
        assert!(ran.stderr.contains(words), "`{words}` is not in\n{}", ran.stderr);
    }
    let rows: i64 =
        Connection::open(&stage.path).unwrap().query_row("SELECT count(*) FROM orders", [], |r| r.get(0)).unwrap();
    assert_eq!(rows, 4, "the source is as it was");
}

#[test]
fn settings_of_the_file_count_unless_the_command_line_says_otherwise() {
    let stage = Stage::new(
        "CREATE TABLE userData (id INTEGER PRIMARY KEY, firstName TEXT, at DATETIME); \
                            INSERT INTO userData VALUES (1, 'x', '2024-01-01 00:00:00'); CREATE TABLE other (x);",
    );
    let text = "schema = \"app\"\nidentifiers = \"snake\"\nassume_tz = \"none\"\nexclude = [\"oth*\"]\n\
                on_error = \"reject\"\n[rejects]\ndir = \"aside\"\nallow = 1\n[[table]]\nfrom = \"userData\"\n\
                [table.columns]\nfirstName = { type = \"integer\" }\n";
    stage.migrate(text).exits(0);
    assert_eq!(
        stage.there(
            "SELECT string_agg(column_name || ' ' || data_type, ', ' ORDER BY ordinal_position) \
                            FROM information_schema.columns WHERE table_schema = 'app' AND table_name = 'user_data'"
        ),
        "id bigint, first_name integer, at timestamp without time zone"
    );
    assert!(stage.dir.path().join("aside/user_data.csv").exists());
    assert_eq!(stage.there("to_regclass('app.other')"), "NULL");
    stage.run(&["migrate"], &stage.file(text), &["--quiet", "--schema", "mine", "--on-error", "fail"]).exits(3);
    assert_eq!(stage.there("to_regclass('mine.user_data')"), "NULL");
}

#[test]
fn the_plan_of_a_file_says_what_would_happen_and_changes_nothing() {
    let stage = Stage::new(SHOP);
    let file = stage.file(
        "[[table]]\nfrom = \"orders\"\n[table.columns]\namount = { type = \"numeric(12,2)\", on_error = \"reject\" }\n",
    );
    let text = stage.run(&["plan"], &file, &["--quiet", "--sql"]).exits(0).stdout;
    assert!(text.contains("numeric(12,2)") && text.contains("1 do not fit: reject"), "{text}");
    assert!(
        text.contains("CREATE TABLE \"public\".\"orders\"") || text.contains("CREATE TABLE public.orders"),
        "{text}"
    );
    let json = stage.run(&["plan"], &file, &["--quiet", "--json"]).exits(0).stdout;
    let plan: serde_json::Value = serde_json::from_str(&json).unwrap();
    assert_eq!(plan["tables"][1]["columns"][2]["on_error"], "reject");
    assert_eq!(stage.there("SELECT count(*) FROM pg_tables WHERE schemaname = 'public'"), "0");
    let offline = ended(program().arg("plan").arg(&stage.path).arg("--offline").output().unwrap()).exits(0).stdout;
    assert!(offline.contains("table customers"), "{offline}");
}
