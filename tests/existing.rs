//! Tables of types that PostgreSQL alone can read: it casts the source's texts, before the load for a look and in it, and
//! both sides are compared by what it makes of them.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::postgres::{Session, Target};
use std::path::PathBuf;
use support::program::{Ran, Running, ended, migrate, program, source, value, verify};
use support::{database, eventually, session};
use tempfile::TempDir;

/// A source, and a database that has the tables.
struct Sides {
    dir: TempDir,
    path: PathBuf,
    target: Target,
    seen: Session,
}

impl Sides {
    fn new(here: &str, there: &str) -> Self {
        let (dir, path) = source(here);
        let target = database();
        let seen = session(&target);
        seen.batch(there).unwrap_or_else(|e| panic!("{e:?}"));
        Self { dir, path, target, seen }
    }

    fn both(&self) -> [String; 2] {
        let target = format!("host={} user={} dbname={}", self.target.host(), self.target.user(), self.target.dbname());
        [self.path.to_str().unwrap().to_owned(), target]
    }

    fn lists(&self) -> [String; 4] {
        let list = |name: &str| self.dir.path().join(name).to_str().unwrap().to_owned();
        ["--differences-dir".into(), list("differences"), "--rejects-dir".into(), list("rejects")]
    }

    fn loads(&self, more: &[&str]) -> Ran {
        let more = more.iter().map(|&m| m.to_owned());
        migrate(self.both().into_iter().chain(["--data-only".to_owned()]).chain(self.lists()).chain(more))
    }

    fn compares(&self, more: &[&str]) -> Ran {
        let more = more.iter().map(|&m| m.to_owned());
        verify(self.both().into_iter().chain(self.lists().into_iter().take(2)).chain(more))
    }

    fn retries(&self, more: &[&str]) -> Ran {
        let lists = self.lists().into_iter().skip(2);
        ended(program().args(["rejects", "retry"]).args(self.both()).args(lists).args(more).output().unwrap())
    }

    #[track_caller]
    fn asks(&self, sql: &str, answer: &str) {
        assert_eq!(value(&self.seen, sql), answer, "{sql}");
    }
}

/// A type, a text that it reads, and another one that it does not: `None` where it reads every text.
const TYPES: [(&str, &str, Option<&str>); 56] = [
    ("interval", "1 day 02:03:04.5", Some("soon")),
    ("interval(0)", "00:00:02", Some("00:00:01.5")),
    ("interval year to month", "1 year 2 mons", Some("1 year 3 days")),
    ("inet", "10.0.0.1/8", Some("10.0.0.256")),
    ("cidr", "10.0.0.0/8", Some("10.0.0.1/8")),
    ("macaddr", "08:00:2b:01:02:03", Some("08:00")),
    ("macaddr8", "08:00:2b:01:02:03:04:05", Some("x")),
    ("timetz", "12:34:56+02", Some("25:00+00")),
    ("timetz(0)", "12:34:56+02", Some("12:34:56.7+02")),
    ("time(3)", "12:34:56.789", Some("12:34:56.7891")),
    ("money", "12.34", Some("12.345")),
    ("bit(3)", "101", Some("1010")),
    ("varbit(3)", "10", Some("1010")),
    ("xml", "<a>b</a>", Some("<a>")),
    ("tsvector", "'a':1 'b':2", Some("'a")),
    ("tsquery", "'a' & 'b'", Some("a b")),
    ("int4range", "[1,5)", Some("[5,1)")),
    ("int8range", "empty", Some("1")),
    ("numrange", "[1.5,2.5]", Some("x")),
    ("daterange", "[2024-01-01,2024-02-01)", Some("[2024-02-30,)")),
    ("tsrange", "[\"2024-01-01 00:00:00\",)", Some("[,")),
    ("tstzrange", "[\"2024-01-01 00:00:00+02\",)", Some("[,")),
    ("point", "(1.5,2)", Some("1")),
    ("line", "{1,2,3}", Some("1")),
    ("lseg", "[(0,0),(1,1)]", Some("1")),
    ("box", "(1,1),(0,0)", Some("1")),
    ("path", "((0,0),(1,1))", Some("1")),
    ("polygon", "((0,0),(1,1),(1,0))", Some("1")),
    ("circle", "<(0,0),1>", Some("1")),
    ("\"char\"", "x", Some("xy")),
    ("name", "a name", Some("0123456789012345678901234567890123456789012345678901234567890123")),
    ("oid", "4294967295", Some("4294967296")),
    ("xid8", "18446744073709551615", Some("x")),
    ("pg_lsn", "16/B374D848", Some("x")),
    ("regtype", "integer", Some("no_such_type")),
    ("jsonpath", "$.\"a\"", Some("$.")),
    ("txid_snapshot", "10:20:10,14", Some("1")),
    ("int2[]", "[1, null, -3]", Some("[70000]")),
    ("float8[]", "{1.5,NaN}", Some("[true]")),
    ("numeric(5,2)[]", "[1.25, 100]", Some("[1.255]")),
    ("varchar(3)[]", "[\"a,b\", \"\\\"\"]", Some("[\"abcd\"]")),
    ("char(3)[]", "[\"ab\"]", Some("[\"abcd\"]")),
    ("date[]", "[\"2024-02-29\"]", Some("[\"2024-02-30\"]")),
    ("timestamptz[]", "[\"2024-01-01T00:00:00Z\"]", Some("[\"x\"]")),
    ("jsonb[]", "[{\"a\": [1]}, [2], \"s\"]", Some("[\"\\u0000\"]")),
    ("inet[]", "{10.0.0.1,::1}", Some("{10}")),
    ("int2[][]", "{{1,2},{3,4}}", Some("{{1},{2,3}}")),
    ("text[]", "[\"a\", null]", Some("{a")),
    ("bytea[]", "{\"\\\\x00ff\"}", Some("{\"\\\\x0\"}")),
    ("mood[]", "[\"sad\", \"ok\"]", Some("[\"mad\"]")),
    ("pair", "(1,\"a b\")", Some("(1)")),
    ("positive", "7", None),
    ("short", "ab", Some("abc")),
    ("shorter", "ab", Some("abc")),
    ("net", "10.0.0.0/8", Some("::1")),
    ("few", "{1,2}", Some("{1,2,3}")),
];

const MADE: &str = "CREATE TYPE mood AS ENUM ('sad', 'ok'); CREATE TYPE pair AS (n int, t text); \
    CREATE DOMAIN positive AS numeric CHECK (VALUE > 0); CREATE DOMAIN short AS varchar(2); \
    CREATE DOMAIN shorter AS short CHECK (VALUE <> ''); CREATE DOMAIN net AS inet CHECK (family(VALUE) = 4); \
    CREATE DOMAIN few AS int2[] CHECK (cardinality(VALUE) < 3);";

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Columns c0, c1, … of these types, and for each a row with a text that it reads (id 1000 and on) and one with a text that
/// it does not (id 2000 and on).
fn of_all_types(with_wrong: bool) -> Sides {
    let columns = |of: &dyn Fn(usize) -> String| (0..TYPES.len()).map(of).collect::<Vec<_>>().join(", ");
    let row = |id: usize, i: usize, text: &str| format!("INSERT INTO t (id, c{i}) VALUES ({id}, {});", quoted(text));
    let right = TYPES.iter().enumerate().map(|(i, (_, text, _))| row(1000 + i, i, text));
    let wrong = TYPES.iter().enumerate().filter_map(|(i, (.., wrong))| wrong.map(|wrong| row(2000 + i, i, wrong)));
    let rows: String = right.chain(wrong.filter(|_| with_wrong)).collect();
    let table = format!("CREATE TABLE t (id INTEGER PRIMARY KEY, {});", columns(&|i| format!("c{i} TEXT")));
    let here = format!("{table} INSERT INTO t (id) VALUES (1); {rows}");
    let typed = columns(&|i| format!("c{i} {}", TYPES[i].0));
    Sides::new(&here, &format!("{MADE} CREATE TABLE t (id int PRIMARY KEY, {typed})"))
}

#[test]
fn a_column_of_each_type_takes_its_rows_and_each_change_in_one_is_found_and_put_right() {
    let sides = of_all_types(false);
    let ran = sides.loads(&[]).exits(0);
    assert!(ran.stdout.contains("verified: every cell of 57 rows"), "{}", ran.stdout);
    // What PostgreSQL makes of the same literal is what is there.
    for (i, (pg_type, text, _)) in TYPES.into_iter().enumerate() {
        if !(text.starts_with('[') && pg_type.ends_with(']')) {
            let alike =
                format!("SELECT c{i}::text = ({}::{pg_type})::text FROM t WHERE id = {}", quoted(text), 1000 + i);
            sides.asks(&alike, "true");
        }
    }
    sides.asks(
        "SELECT string_agg(concat(c37, c40, c44), ' ' ORDER BY id) FROM t WHERE id IN (1037, 1040, 1044)",
        r#"{1,NULL,-3} {"a,b","\""} {"{\"a\": [1]}",[2],"\"s\""}"#,
    );
    let changes: Vec<String> =
        (0..TYPES.len()).map(|i| format!("UPDATE t SET c{i} = NULL WHERE id = {}", 1000 + i)).collect();
    sides.seen.batch(&changes.join(";")).unwrap();
    let told = sides.compares(&["--json"]).exits(5);
    for (i, (pg_type, ..)) in TYPES.into_iter().enumerate() {
        assert!(told.stdout.contains(&format!("\"c{i}\"")), "{pg_type}: {}", told.stdout);
    }
    assert!(sides.compares(&["--repair"]).exits(0).stdout.contains("verified"));
    // A change that is none to the type is none.
    sides
        .seen
        .batch("UPDATE t SET c0 = '26:03:04.5' WHERE id = 1000; UPDATE t SET c3 = '10.0.0.1' WHERE id = 1003")
        .unwrap();
    let told = sides.compares(&["--sample", "1000"]).exits(5);
    assert!(told.stdout.contains("2 rows changed") || told.stdout.contains("changed"), "{}", told.stdout);
}

#[test]
fn a_text_that_a_type_does_not_read_whole_follows_the_column_s_policy() {
    let wrong = TYPES.iter().filter(|(_, _, wrong)| wrong.is_some()).count();
    let sides = of_all_types(true);
    sides.loads(&["--on-error", "null"]).exits(0);
    sides.asks("SELECT count(*) FROM t WHERE id >= 2000", &wrong.to_string());
    sides.asks("SELECT count(*) FROM lite2pg.original", &wrong.to_string());
    sides.compares(&[]).exits(0);
    let sides = of_all_types(true);
    let ran = sides.loads(&["--on-error", "reject"]).exits(4);
    assert!(ran.stdout.contains("agrees"), "{}", ran.stdout);
    sides.asks("SELECT count(*) FROM t WHERE id >= 2000", "0");
    sides.asks("SELECT count(DISTINCT column_name) FROM lite2pg.reject", &wrong.to_string());
    let list = std::fs::read_to_string(sides.dir.path().join("rejects/t.csv")).unwrap();
    assert!(
        list.contains("2003,c3,\"a value that PostgreSQL does not cast to the type, or not whole\",,'10.0.0.256'"),
        "{list}"
    );
    // One was made wider; the others follow the policy of now.
    sides.seen.batch("ALTER TABLE t ALTER c1 TYPE interval").unwrap();
    sides.retries(&[]).exits(4);
    sides.asks("SELECT string_agg(concat(id, c1), ' ') FROM t WHERE id >= 2000", "2001PT1.5S");
    sides.retries(&["--on-error", "null"]).exits(0);
    sides.asks("SELECT count(*) FROM t WHERE id >= 2000", &wrong.to_string());
}

#[test]
fn a_text_that_a_type_does_not_read_whole_ends_the_run_before_anything_is_written() {
    for (pg_type, text, wrong) in TYPES {
        let Some(wrong) = wrong.filter(|_| ["inet", "bit(3)", "numeric(5,2)[]", "net"].contains(&pg_type)) else {
            continue;
        };
        let here = format!(
            "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, {}), (4, {});",
            quoted(text),
            quoted(wrong)
        );
        let sides = Sides::new(&here, &format!("{MADE} CREATE TABLE t (id int PRIMARY KEY, v {pg_type} NOT NULL)"));
        let told = sides.loads(&[]).exits(3).says(&["`t.v` cannot be loaded into", "at key 4"]);
        assert!(!told.stderr.contains(wrong), "{pg_type}: {}", told.stderr);
        sides.asks("SELECT to_regclass('lite2pg.run') IS NULL", "true");
    }
    // A number says no unit: Django's durations are microseconds there.
    let sides = Sides::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v bigint); INSERT INTO t VALUES (1, 90000000);",
        "CREATE TABLE t (id int PRIMARY KEY, v interval)",
    );
    sides.loads(&[]).exits(3).says(&["`t.v` cannot be loaded into interval", "another storage class"]);
}

const ENABLED: &str =
    "SELECT string_agg(tgname::text || tgenabled::text, ' ' ORDER BY tgname) FROM pg_trigger WHERE NOT tgisinternal";
const AUDIT: &str = "SELECT coalesce(string_agg(what, ', ' ORDER BY what), '') FROM audit";

#[test]
fn triggers_are_silent_for_rows_that_a_retry_takes_or_a_repair_writes_as_for_those_of_the_load() {
    let here = "CREATE TABLE p (id INTEGER PRIMARY KEY); INSERT INTO p VALUES (1), (2);
        CREATE TABLE t (id INTEGER PRIMARY KEY, p_id INT REFERENCES p, n INTEGER);
        INSERT INTO t VALUES (1, 1, 7), (2, 2, 70000), (3, 1, 80000);";
    let there = "CREATE TABLE p (id int PRIMARY KEY); CREATE TABLE audit (what text);
        CREATE TABLE t (id int PRIMARY KEY, p_id int REFERENCES p DEFERRABLE INITIALLY DEFERRED, n smallint);
        CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
            $$ BEGIN INSERT INTO audit VALUES (TG_NAME || ' ' || TG_OP); RETURN NULL; END $$;
        CREATE TRIGGER usual AFTER INSERT OR UPDATE OR DELETE ON t FOR EACH ROW EXECUTE FUNCTION note();
        CREATE TRIGGER always AFTER INSERT ON t FOR EACH ROW EXECUTE FUNCTION note();
        ALTER TABLE t ENABLE ALWAYS TRIGGER always;";
    for fires in [false, true] {
        let sides = Sides::new(here, there);
        sides.loads(&["--on-error", "t=reject"]).exits(4);
        sides.asks(AUDIT, "");
        sides.seen.batch("ALTER TABLE t ALTER n TYPE int").unwrap();
        let flag: &[&str] = if fires { &["--fire-triggers"] } else { &[] };
        let word = if fires { "fired for every row" } else { "not fired for rows that are loaded" };
        sides.retries(flag).exits(0).says(&["`always`, `usual`", word]);
        let inserts = "always INSERT, always INSERT, usual INSERT, usual INSERT";
        sides.asks(AUDIT, if fires { inserts } else { "" });
        sides
            .seen
            .batch(
                "SET session_replication_role = replica; DELETE FROM t WHERE id = 1; \
            INSERT INTO t VALUES (9, 1, 1); UPDATE t SET n = 5 WHERE id = 2; \
            SET session_replication_role = origin; TRUNCATE audit",
            )
            .unwrap();
        let again: Vec<&str> = ["--repair"].iter().chain(flag).copied().collect();
        sides.compares(&again).exits(0).says(&[word]);
        let all = "always INSERT, usual DELETE, usual INSERT, usual UPDATE";
        sides.asks(AUDIT, if fires { all } else { "" });
        sides.asks(ENABLED, "alwaysA usualO");
        sides.asks("SELECT sum(n) FROM t", "150007");
    }
}

#[test]
fn keys_that_may_be_asked_later_refuse_their_twins_whoever_loads() {
    let here = "CREATE TABLE parent (id INTEGER PRIMARY KEY); INSERT INTO parent VALUES (1);
        CREATE TABLE child (id INTEGER PRIMARY KEY, code TEXT, parent INTEGER REFERENCES parent);
        INSERT INTO child VALUES (1, 'twin', 1), (2, 'other', 1), (3, 'twin', 1);";
    let there = "CREATE TABLE parent (id int PRIMARY KEY);
        CREATE TABLE child (id int PRIMARY KEY, code text UNIQUE DEFERRABLE, parent int REFERENCES parent)";
    // The tests' role is a superuser, for whom foreign keys are asked after the load.
    let sides = Sides::new(here, there);
    sides.loads(&[]).exits(1).says(&["duplicate key", "`child_code_key`"]);
    sides.asks("SELECT count(*) FROM child", "0");
    sides.loads(&["--on-error", "reject"]).exits(4).says(&["1 row was set aside"]);
    sides.asks("SELECT string_agg(code, ' ' ORDER BY code) FROM child", "other twin");
}

/// A table that is large enough for its indexes to be dropped, and a small one.
fn with_indexes() -> Sides {
    let here = "CREATE TABLE big (id INTEGER PRIMARY KEY, code TEXT, n INT, note TEXT);
        WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 120000)
        INSERT INTO big SELECT i, 'c' || i, i % 1000, 'note ' || (i * 7919 % 120000) FROM c;
        CREATE TABLE small (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO small VALUES (1, 'a');";
    let there = "CREATE SCHEMA IF NOT EXISTS odd; CREATE FUNCTION odd.plus(int) RETURNS int IMMUTABLE LANGUAGE sql AS 'SELECT $1 + 1';
        CREATE TABLE big (id int PRIMARY KEY, code text UNIQUE, n int, note text);
        CREATE INDEX plain ON big (n DESC NULLS LAST) INCLUDE (code) WITH (fillfactor = 70);
        CREATE INDEX \"of an Expression\" ON big (lower(note) text_pattern_ops, odd.plus(n)) WHERE n > 5;
        CREATE UNIQUE INDEX told_apart ON big (id, n); CREATE INDEX commented ON big (note); COMMENT ON INDEX commented IS 'stays';
        CREATE INDEX ready ON big USING hash (note);
        CREATE TABLE small (id int PRIMARY KEY, v text); CREATE INDEX of_small ON small (v)";
    Sides::new(here, there)
}

const INDEXES: &str =
    "SELECT string_agg(pg_get_indexdef(i.indexrelid) || indisvalid || c.relowner::regrole, E'\\n' ORDER BY c.relname)
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid WHERE c.relnamespace = 'public'::regnamespace";
const NAMES: &str =
    "SELECT string_agg(indexname, ' ' ORDER BY indexname COLLATE \"C\") FROM pg_indexes WHERE schemaname = 'public'";

#[test]
fn indexes_that_a_killed_run_has_dropped_are_built_again_as_they_were() {
    let sides = with_indexes();
    let before = value(&sides.seen, INDEXES);
    // The small table's rows wait for this lock, and the large one's indexes are away by then.
    let holder = session(&sides.target);
    holder.batch("BEGIN; LOCK TABLE small IN SHARE MODE").unwrap();
    let command = || {
        let mut command = program();
        command.arg("migrate").args(sides.both()).arg("--data-only").args(sides.lists());
        command
    };
    let dropped = "SELECT coalesce(count(*), 0)::text FROM pg_indexes WHERE schemaname = 'public' AND indexname IN ('plain', 'ready')";
    let running = Running::start(&mut command());
    eventually("the indexes are away", || value(&sides.seen, dropped) == "0");
    running.kill();
    sides.asks(
        "SELECT string_agg(name, ' ' ORDER BY name COLLATE \"C\") FROM lite2pg.index",
        "of an Expression plain ready",
    );
    sides.asks(NAMES, "big_code_key big_pkey commented of_small small_pkey told_apart");
    // The same command goes on; this lock lets rows in, and no index be built.
    holder.batch("COMMIT; BEGIN; LOCK TABLE big IN ROW EXCLUSIVE MODE").unwrap();
    let running = Running::start(&mut command());
    let waits =
        "SELECT count(*) > 0 FROM pg_stat_activity WHERE query LIKE 'CREATE INDEX%' AND wait_event_type = 'Lock'";
    eventually("an index waits to be built", || value(&sides.seen, waits) == "true");
    running.kill();
    holder.batch("COMMIT").unwrap();
    let ran = ended(command().output().unwrap()).exits(0);
    assert!(ran.stdout.contains("verified: every cell of 120 001 rows"), "{}", ran.stdout);
    assert_eq!(value(&sides.seen, INDEXES), before);
    sides.asks("SELECT count(*) FROM lite2pg.index", "0");
}

#[test]
fn indexes_of_a_large_load_are_dropped_as_the_plan_says_and_stay_where_that_is_wanted() {
    let word = "indexes `of an Expression`, `plain`, `ready` dropped before the load and built again after it";
    let sides = with_indexes();
    let before = value(&sides.seen, INDEXES);
    let plan = ended(program().arg("plan").args(sides.both()).output().unwrap()).exits(0);
    let told = plan.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(told.contains(word), "{}", plan.stdout);
    assert_eq!(value(&sides.seen, INDEXES), before);
    sides.loads(&[]).exits(0).says(&[word]);
    assert_eq!(value(&sides.seen, INDEXES), before);
    let ran = sides.loads(&["--truncate", "--keep-indexes"]).exits(0);
    assert!(!ran.stderr.contains("dropped before"), "{}", ran.stderr);
    assert_eq!(value(&sides.seen, INDEXES), before);
    // What a killed run has dropped is put back by `--restart`, whether there is room for the rows or not.
    let sides = with_indexes();
    let holder = session(&sides.target);
    holder.batch("BEGIN; LOCK TABLE small IN SHARE MODE").unwrap();
    let running = Running::start(program().arg("migrate").args(sides.both()).arg("--data-only").args(sides.lists()));
    eventually("the indexes are away", || value(&sides.seen, INDEXES) != before);
    running.kill();
    holder.batch("COMMIT").unwrap();
    sides.loads(&["--restart", "--keep-indexes"]);
    assert_eq!(value(&sides.seen, INDEXES), before);
}

#[test]
fn rows_that_are_cast_come_into_partitions_and_keep_numbers_that_the_table_always_makes() {
    let sides = Sides::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, day TEXT, span TEXT, twice INT);
         INSERT INTO t VALUES (4, '2024-01-05', '1 day', 8), (9, '2025-01-05', '2 days', 18);
         CREATE TABLE u (id INTEGER PRIMARY KEY AUTOINCREMENT, v TEXT); INSERT INTO u VALUES (7, '::1'); INSERT INTO u VALUES (9, NULL);
         DELETE FROM u WHERE id = 9;",
        "CREATE TABLE t (id int, day date, span interval, twice int GENERATED ALWAYS AS (id * 2) STORED,
            PRIMARY KEY (id, day)) PARTITION BY RANGE (day);
         CREATE TABLE t_old PARTITION OF t FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
         CREATE TABLE t_new PARTITION OF t FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
         CREATE TABLE u (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v inet)",
    );
    let ran = sides.loads(&[]).exits(0);
    assert!(ran.stdout.contains("verified: every cell of 3 rows"), "{}", ran.stdout);
    let rows = "SELECT string_agg(concat_ws(' ', tableoid::regclass, id, span, twice), ', ' ORDER BY id) FROM t";
    sides.asks(rows, "t_old 4 P1D 8, t_new 9 P2D 18");
    // SQLite had given out 9.
    sides.seen.batch("INSERT INTO u (v) VALUES ('::2')").unwrap();
    sides.asks("SELECT string_agg(id || ' ' || v, ', ' ORDER BY id) FROM u", "7 ::1/128, 10 ::2/128");
}

#[test]
fn rules_are_told_where_rows_are_copied_and_refused_where_they_would_be_asked() {
    let here = "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); INSERT INTO t VALUES (1, '10.0.0.1')";
    let rule = "CREATE RULE \"no one\" AS ON INSERT TO t DO INSTEAD NOTHING";
    let sides = Sides::new(here, &format!("CREATE TABLE t (id int PRIMARY KEY, v text); {rule}"));
    sides.loads(&[]).exits(0).says(&["rule `no one`: not asked for rows that are loaded"]);
    let sides = Sides::new(here, &format!("CREATE TABLE t (id int PRIMARY KEY, v inet); {rule}"));
    sides.loads(&[]).exits(3).says(&["`t` has a rule on INSERT, `no one`", "DISABLE RULE \"no one\""]);
    sides.asks("SELECT to_regclass('lite2pg.run') IS NULL", "true");
    sides.seen.batch("ALTER TABLE t DISABLE RULE \"no one\"").unwrap();
    sides.loads(&[]).exits(0);
    // A view of the name is no table, and is not written through.
    let sides = Sides::new(here, "CREATE TABLE real (id int, v text); CREATE VIEW t AS SELECT * FROM real");
    sides.loads(&[]).exits(3).says(&["needs every table on the target", "`t`"]);
    sides.asks("SELECT count(*) FROM real", "0");
}

#[test]
fn times_without_a_zone_in_types_that_postgresql_casts_are_of_the_zone_that_is_stated() {
    let here = "CREATE TABLE t (id INTEGER PRIMARY KEY, span TEXT, moments TEXT, at TEXT, plain TEXT);
        INSERT INTO t VALUES (1, '[2024-01-05 10:00,2024-07-05 10:00)', '[\"2024-01-05 10:00\",\"2024-07-05 10:00\",\"2024-07-05 10:00Z\"]', '10:00', '2024-07-05 10:00'),
                             (2, '[2024-01-05 10:00+09,)', '{2024-01-05 10:00,NULL}', '10:00 PM', NULL), (3, NULL, NULL, '10:00-03', NULL);";
    let there = "CREATE DOMAIN term AS tstzrange CHECK (NOT isempty(VALUE));
        CREATE TABLE t (id int PRIMARY KEY, span term, moments timestamptz(0)[], at timetz, plain timestamptz)";
    let rows = "SELECT string_agg(concat_ws(' ', span, moments, at, plain), ' | ' ORDER BY id) FROM t";
    let sides = Sides::new(here, there);
    let berlin = ["--assume-tz", "Europe/Berlin"];
    let ran = sides.loads(&berlin).exits(0);
    assert!(ran.stdout.contains("verified: every cell of 3 rows"), "{}", ran.stdout);
    sides.asks(
        rows,
        "[\"2024-01-05 09:00:00+00\",\"2024-07-05 08:00:00+00\") {\"2024-01-05 09:00:00+00\",\"2024-07-05 08:00:00+00\",\"2024-07-05 10:00:00+00\"} \
         10:00:00+00 2024-07-05 08:00:00+00 | [\"2024-01-05 01:00:00+00\",) {\"2024-01-05 09:00:00+00\",NULL} 22:00:00+00 | 10:00:00-03",
    );
    sides.compares(&[]).exits(0);
    sides.compares(&["--sample", "10"]).exits(0);
    sides.seen.batch("UPDATE t SET span = '[2024-01-05 10:00+00,2024-07-05 10:00+00)' WHERE id = 1; UPDATE t SET moments[1] = '2024-01-05 10:00+00' WHERE id = 2").unwrap();
    sides.compares(&[]).exits(5);
    sides.compares(&["--repair"]).exits(0);
    sides.asks(
        "SELECT lower(span) || ' ' || moments[1] FROM t WHERE id = 1",
        "2024-01-05 09:00:00+00 2024-01-05 09:00:00+00",
    );
    // What a person says of no run is asked in the zone too.
    sides.seen.batch("DROP SCHEMA lite2pg CASCADE").unwrap();
    sides.compares(&berlin).exits(0);
    sides.compares(&[]).exits(5);
    // Without a word they are UTC's.
    let sides = Sides::new(here, there);
    sides.loads(&[]).exits(0);
    sides.asks(
        "SELECT lower(span) || ' ' || moments[1] || ' ' || at FROM t WHERE id = 1",
        "2024-01-05 10:00:00+00 2024-01-05 10:00:00+00 10:00:00+00",
    );
}

#[test]
fn types_of_extensions_and_domains_over_them_take_their_texts() {
    let here = "CREATE TABLE t (id INTEGER PRIMARY KEY, attributes TEXT, email TEXT, login TEXT, path TEXT);
        INSERT INTO t VALUES (1, 'a=>1, \"b c\"=>NULL', 'Ann@X.org', 'Ann', 'top.sub'), (2, '', 'b@x.org', NULL, NULL);";
    let there = "CREATE SCHEMA ext; CREATE EXTENSION hstore SCHEMA ext; CREATE EXTENSION citext SCHEMA ext; CREATE EXTENSION ltree SCHEMA ext;
        CREATE DOMAIN mail AS ext.citext CHECK (VALUE ~ '@'); CREATE DOMAIN short AS ext.citext CHECK (length(VALUE) < 5);
        CREATE TABLE t (id int PRIMARY KEY, attributes ext.hstore NOT NULL DEFAULT '', email mail UNIQUE, login short, path ext.ltree)";
    let target = database();
    let available = "SELECT count(*) FROM pg_available_extensions WHERE name IN ('hstore', 'citext', 'ltree')";
    if value(&session(&target), available) != "3" {
        return;
    }
    let sides = Sides::new(here, there);
    let ran = sides.loads(&[]).exits(0);
    assert!(ran.stdout.contains("verified: every cell of 2 rows"), "{}", ran.stdout);
    sides.asks(
        "SELECT string_agg(concat_ws(' ', attributes, email, login, path), ' | ' ORDER BY id) FROM t",
        "\"a\"=>\"1\", \"b c\"=>NULL Ann@X.org Ann top.sub |  b@x.org",
    );
    // Case counts for the comparison, though not for the type.
    sides.seen.batch("UPDATE t SET email = 'ann@x.org' WHERE id = 1").unwrap();
    sides.compares(&[]).exits(5);
    sides.compares(&["--repair"]).exits(0);
    // Two that are one to the type, text that is no hstore, and one that the domain refuses.
    for (wrong, words) in [
        ("UPDATE t SET email = 'ANN@x.org' WHERE id = 2", "t_email_key"),
        ("UPDATE t SET attributes = 'a=>' WHERE id = 2", "`t.attributes` cannot be loaded into ext.hstore"),
        ("UPDATE t SET login = 'too long' WHERE id = 2", "short_check"),
    ] {
        let sides = Sides::new(&format!("{here} {wrong}"), there);
        let ran = sides.loads(&[]).says(&[words, "hint:"]);
        assert!(!ran.stderr.contains("ANN@x.org"), "{}", ran.stderr);
        let sides = Sides::new(&format!("{here} {wrong}"), there);
        sides.loads(&["--on-error", "reject"]).exits(4);
        sides.asks("SELECT count(*) FROM t", "1");
    }
}
