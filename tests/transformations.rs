//! What pipelines make of rows and columns: ids of maps, and what the rest of this file names.

mod support;

use support::piped::Stage;
use support::program::{Running, ended, program, until, url};
use support::session;

/// Cells that a rule of the ledger counts.
fn ledger(stage: &Stage, rule: &str) -> String {
    stage.there(&format!(
        "SELECT coalesce(sum((l->>'cells')::int), 0) FROM lite2pg.range, jsonb_array_elements(ledger) l WHERE l->>'rule' LIKE '{rule}'"
    ))
}

const AGENTS: &str = "
    CREATE TABLE agents (id TEXT PRIMARY KEY, name TEXT);
    INSERT INTO agents VALUES ('018f4e2a-9b7c-7def-8123-456789abcdef', 'new'), ('agent-7', 'old'), ('7', 'number'),
        ('018F4E2A-9B7C-7DEF-8123-456789ABCDEF', 'upper'), ('Ünï''s', 'odd');
    CREATE TABLE tasks (id INTEGER PRIMARY KEY, agent TEXT COLLATE NOCASE REFERENCES agents, other TEXT);
    INSERT INTO tasks VALUES (1, 'agent-7', 'x'), (2, '018f4e2a-9b7c-7def-8123-456789abcdef', 'AGENT-7'), (3, NULL, 'agent-7'),
        (4, '7', NULL);";

const MAPPED: &str = "
    name = \"platform\"
    [[table]]
    from = \"agents\"
    [table.columns]
    id = { type = \"uuid\", v5 = \"agents\" }
    [[table]]
    from = \"tasks\"
    [table.columns]
    id = { v5 = \"tasks\", to = \"uid\" }
    agent = { v5 = \"agents\" }
    other = { v5 = \"agents\" }";

#[test]
fn ids_of_a_map_are_the_same_in_every_column_and_uuids_stay() {
    let stage = Stage::new(AGENTS);
    stage.migrate(MAPPED).exits(0);
    stage.run(&["verify"], &stage.file(MAPPED), &["--quiet"]).exits(0);
    assert_eq!(
        stage.there("SELECT id FROM agents WHERE name = 'new'"),
        "018f4e2a-9b7c-7def-8123-456789abcdef",
        "a canonical uuid stays"
    );
    let namespace = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_URL, b"lite2pg:platform");
    let map = |map: &str, old: &str| {
        uuid::Uuid::new_v5(&uuid::Uuid::new_v5(&namespace, map.as_bytes()), old.as_bytes()).to_string()
    };
    assert_eq!(stage.there("SELECT id FROM agents WHERE name = 'old'"), map("agents", "agent-7"));
    assert_eq!(stage.there("SELECT id FROM agents WHERE name = 'number'"), map("agents", "7"));
    assert_eq!(stage.there("SELECT agent FROM tasks WHERE other IS NULL"), map("agents", "7"));
    assert_eq!(
        stage.there(&format!("SELECT other FROM tasks WHERE uid = '{}'", map("tasks", "3"))),
        map("agents", "agent-7")
    );
    assert_eq!(stage.there("SELECT count(*) FROM tasks t JOIN agents a ON a.id = t.agent"), "3");
    assert!(stage.seen.batch("INSERT INTO tasks (uid, agent) VALUES (gen_random_uuid(), gen_random_uuid())").is_err());
    // Every id that was no uuid stands in the map, once, and says what became of it.
    let kept = "SELECT string_agg(map || ' ' || old, ', ' ORDER BY map, old COLLATE \"C\") FROM lite2pg.id_map";
    assert_eq!(
        stage.there(kept),
        "agents 018F4E2A-9B7C-7DEF-8123-456789ABCDEF, agents 7, agents AGENT-7, agents agent-7, agents x, agents Ünï's, \
         tasks 1, tasks 2, tasks 3, tasks 4"
    );
    assert_eq!(
        stage.there("SELECT count(*) FROM agents a JOIN lite2pg.id_map m ON m.new = a.id AND m.map = 'agents'"),
        "4"
    );
    assert_eq!(ledger(&stage, "id that is no uuid%"), "13");
}

#[test]
fn what_no_id_can_be_made_of_follows_the_policy_and_a_column_of_another_type_is_refused() {
    let stage = Stage::new(
        "CREATE TABLE t (n INTEGER PRIMARY KEY, id); INSERT INTO t VALUES (1, 'a'), (2, x'00'), (3, 1.5), (4, CAST(x'610062' AS TEXT)), (5, NULL);",
    );
    let text = "[[table]]\nfrom = \"t\"\n[table.columns]\nid = { v5 = \"t\", on_error = \"reject\" }\n";
    stage.migrate(&text.replace("reject", "fail")).exits(3).says(&["cannot be loaded into uuid"]);
    stage.migrate(text).exits(4).says(&["3 rows were set aside"]);
    assert_eq!(stage.there("SELECT string_agg(n::text, ' ' ORDER BY n) FROM t"), "1 5");
    assert_eq!(stage.there("SELECT string_agg(old, ' ') FROM lite2pg.id_map"), "a");
    stage.run(&["verify"], &stage.file(text), &["--quiet"]).exits(0);
    let told = stage
        .migrate("namespace = \"x\"\n[[table]]\nfrom = \"t\"\n[table.columns]\nid = { v5 = \"t\", type = \"text\" }\n");
    let told = told.exits(2).stderr;
    for words in ["a namespace is a uuid", "an id of a map is a `uuid`", "2 mistakes"] {
        assert!(told.contains(words), "`{words}` is not in\n{told}");
    }
    let there = Stage::new("CREATE TABLE t (id TEXT); INSERT INTO t VALUES ('a');");
    there.seen.batch("CREATE TABLE t (id varchar(40))").unwrap();
    there.migrate(text).exits(2).says(&["`t.id` becomes uuid, and the target's is varchar(40)"]);
    there.seen.batch("ALTER TABLE t ALTER id TYPE uuid USING NULL").unwrap();
    there.migrate(text).exits(0);
    assert_eq!(there.there("SELECT count(*) FROM t JOIN lite2pg.id_map m ON m.new = t.id"), "1");
}

#[test]
fn a_namespace_that_is_stated_gives_the_ids_that_others_make_within_it() {
    let stage = Stage::new("CREATE TABLE t (id TEXT PRIMARY KEY); INSERT INTO t VALUES ('www.example.com');");
    let text = "namespace = \"6ba7b810-9dad-11d1-80b4-00c04fd430c8\"\n[[table]]\nfrom = \"t\"\n[table.columns]\nid = { v5 = \"t\" }\n";
    stage.migrate(text).exits(0);
    let map = uuid::Uuid::new_v5(&uuid::Uuid::NAMESPACE_DNS, b"t");
    assert_eq!(stage.there("SELECT id FROM t"), uuid::Uuid::new_v5(&map, b"www.example.com").to_string());
    // Another namespace is another run.
    stage.migrate(&text.replace("6ba7b810", "6ba7b811")).exits(3).says(&["the target holds rows already"]);
    // The verifier expects them by itself.
    stage.seen.batch("UPDATE t SET id = gen_random_uuid()").unwrap();
    stage.run(&["verify"], &stage.file(text), &["--quiet"]).exits(5);
}

#[test]
fn a_run_that_was_killed_before_its_maps_were_whole_writes_them_when_it_goes_on() {
    let stage = Stage::new(
        "CREATE TABLE t (id TEXT PRIMARY KEY); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 30000) \
         INSERT INTO t SELECT 'old-' || i FROM n;",
    );
    let text = "[[table]]\nfrom = \"t\"\n[table.columns]\nid = { v5 = \"t\" }\n";
    let holder = session(&stage.target);
    // The control schema of an earlier run, so that its table can be locked.
    ended(
        program().arg("migrate").arg(&stage.path).arg(url(&stage.target)).args(["--schema", "other"]).output().unwrap(),
    )
    .exits(0);
    holder.batch("BEGIN; LOCK TABLE lite2pg.id_map IN SHARE MODE").unwrap();
    let mut running = Running::start(&mut stage.command(&["migrate"], &stage.file(text), &["--quiet"]));
    until(&stage.seen, "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'lite2pg.id_map'::regclass AND NOT granted");
    running.signal("KILL");
    running.end();
    holder.batch("ROLLBACK").unwrap();
    assert_eq!(stage.there("(SELECT count(*) FROM t) || ' ' || (SELECT count(*) FROM lite2pg.id_map)"), "30000 0");
    stage.migrate(text).exits(0);
    let both = "SELECT count(*) || ' ' || count(DISTINCT new) || ' ' || count(*) FILTER (WHERE t.id = new) \
                FROM lite2pg.id_map LEFT JOIN t ON t.id = new";
    assert_eq!(stage.there(both), "30000 30000 30000");
    // Once more changes nothing.
    stage.migrate(text).exits(0);
    assert_eq!(stage.there(both), "30000 30000 30000");
}

#[test]
fn an_id_that_is_met_again_and_again_stands_in_its_map_once() {
    // 7 and '7' are two values of a column without a type, and one id. Far more different ids than are remembered come between
    // the two times that each is met.
    let stage = Stage::new(
        "CREATE TABLE t (id PRIMARY KEY); INSERT INTO t VALUES ('7'), (7);
         CREATE TABLE many (id INTEGER PRIMARY KEY, a TEXT, b TEXT);
         WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 159999)
         INSERT INTO many SELECT i, 'a' || (i % 80000), 'b' || (i % 3) FROM n;",
    );
    let text = "[[table]]\nfrom = \"t\"\n[table.columns]\nid = { to = \"uid\", v5 = \"t\" }\n\
                [[table]]\nfrom = \"many\"\n[table.columns]\na = { v5 = \"m\" }\nb = { v5 = \"m\" }\n";
    stage.migrate(text).exits(0).says(&["primary key not built"]);
    let map = "SELECT string_agg(map || ' ' || n || ' ' || d, ', ' ORDER BY map) FROM (SELECT map, count(*) AS n, \
               count(DISTINCT old) AS d FROM lite2pg.id_map GROUP BY map) m";
    assert_eq!(stage.there(map), "m 80003 80003, t 1 1");
    assert_eq!(stage.there("SELECT count(*) FROM many JOIN lite2pg.id_map ON new = a"), "160000");
}

const ORDERS: &str = "
    CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, gone INTEGER DEFAULT 0);
    INSERT INTO people VALUES (1, 'Ann', 0), (2, 'Bob', 1);
    CREATE TABLE orders (id INTEGER PRIMARY KEY, person INTEGER NOT NULL REFERENCES people, boss INTEGER REFERENCES orders, seller INTEGER);
    INSERT INTO orders VALUES (1, 1, NULL, 1), (2, 2, 1, 2), (3, 99, 3, NULL), (4, 1, 77, 55);";

#[test]
fn orphans_become_null_are_set_aside_or_stay_and_are_counted() {
    let of = |policy: &str| {
        format!(
            "
        [[table]]
        from = \"people\"
        where = \"gone = 0\"
        [[table]]
        from = \"orders\"
        [table.columns]
        person = {{ orphans = \"{policy}\" }}
        boss = {{ orphans = \"null\" }}
        seller = {{ orphans = \"keep\", references = \"people.id\" }}"
        )
    };
    // The parent's own filter counts: Bob is gone, so that he is nobody's person.
    let stage = Stage::new(ORDERS);
    stage.migrate(&of("null")).exits(0);
    stage.run(&["verify"], &stage.file(&of("null")), &["--quiet"]).exits(0);
    let rows = "SELECT string_agg(o::text, ' ' ORDER BY id) FROM orders o";
    assert_eq!(stage.there(rows), "(1,1,,1) (2,,1,2) (3,,3,) (4,1,,55)");
    let keys = "SELECT string_agg((l->>'column') || ' ' || (l->>'cells') || ' ' || (l->>'keys'), ', ' ORDER BY 1) \
                FROM lite2pg.range, jsonb_array_elements(ledger) l WHERE l->>'rule' LIKE 'an orphan%'";
    let counted = "SELECT string_agg((l->>'column') || ' ' || (l->>'rule') || ' ' || (l->>'keys'), ', ' ORDER BY l->>'column') \
                   FROM lite2pg.range, jsonb_array_elements(ledger) l";
    assert_eq!(
        stage.there(counted),
        "boss an orphan: no such row of `orders`: NULL [4], person an orphan: no such row of `people`: NULL [2, 3], \
         seller an orphan: no such row of `people`, kept [2, 4]",
        "{keys}"
    );
    assert!(stage.seen.batch("INSERT INTO orders VALUES (9, 99)").is_err(), "the foreign keys are in force");
    let other = Stage::new(ORDERS);
    let ran = other.migrate(&of("reject")).exits(4);
    assert!(ran.stderr.contains("2 rows were set aside"), "{}", ran.stderr);
    assert_eq!(other.there(rows), "(1,1,,1) (4,1,,55)");
    let list = std::fs::read_to_string(other.dir.path().join("rejects/orders.csv")).unwrap();
    assert!(list.contains("2,person,an orphan: no such row of `people`,,2,2,2,1,2"), "{list}");
    // What was set aside for what it says stays set aside, and what is compared is what arrived.
    other.run(&["verify"], &other.file(&of("reject")), &["--quiet"]).exits(0);
    other.run(&["rejects", "retry"], &other.file(&of("reject")), &["--quiet"]).exits(4);
    assert_eq!(other.there("SELECT count(*) FROM orders"), "2");
    let told = other.migrate("[[table]]\nfrom = \"orders\"\n[table.columns]\nseller = { orphans = \"null\" }\nboss = { references = \"peple.id\" }\n");
    let told = told.exits(2).stderr;
    for words in ["no foreign key says what `seller` refers to", "did you mean `people.id`?", "2 mistakes"] {
        assert!(told.contains(words), "`{words}` is not in\n{told}");
    }
}

#[test]
fn values_that_many_rows_refer_to_are_found_as_sqlite_finds_them() {
    // Parents of each affinity and collation, and children that spell what they refer to in every way.
    let stage = Stage::new(
        "CREATE TABLE a (id TEXT PRIMARY KEY, gone INTEGER DEFAULT 0);
         INSERT INTO a (id) VALUES ('x'), ('X2'), ('7'), ('007'), ('7.0'), ('ü'), (''); INSERT INTO a VALUES ('lost', 1);
         CREATE TABLE b (id TEXT COLLATE NOCASE PRIMARY KEY); INSERT INTO b SELECT id FROM a;
         CREATE TABLE c (id INTEGER PRIMARY KEY); INSERT INTO c VALUES (7), (-1);
         CREATE TABLE d (id PRIMARY KEY); INSERT INTO d SELECT id FROM a; INSERT INTO d VALUES (7);
         CREATE TABLE child (id INTEGER PRIMARY KEY, a TEXT, a_any, b TEXT, c TEXT, d TEXT, d_number INTEGER);
         WITH v (v) AS (VALUES ('x'), ('X'), ('x2'), ('X2'), ('7'), (7), (7.0), ('007'), ('7.0'), (' 7'), ('ü'), ('Ü'), (''), ('lost'),
                               ('never'), (NULL), (x'78'), ('-1'))
         INSERT INTO child (a, a_any, b, c, d, d_number) SELECT v, v, v, v, v, v FROM v;",
    );
    let columns = ["a", "a_any", "b", "c", "d", "d_number"];
    let of = |column: &str| {
        let parent = &column[..1];
        format!(
            "{column} = {{ type = \"text\", orphans = \"null\", references = \"{parent}.id\", on_error = \"null\" }}\n"
        )
    };
    let rules: String = columns.map(of).concat();
    let text =
        format!("[[table]]\nfrom = \"a\"\nwhere = \"gone = 0\"\n[[table]]\nfrom = \"child\"\n[table.columns]\n{rules}");
    stage.migrate(&text).exits(0);
    let source = rusqlite::Connection::open(&stage.path).unwrap();
    for column in columns {
        let gone = if column.starts_with('a') { " AND gone = 0" } else { "" };
        let parent = &column[..1];
        let sql = format!(
            "SELECT group_concat(id, ' ') FROM (SELECT id FROM child WHERE typeof({column}) <> 'blob' \
             AND EXISTS (SELECT 1 FROM {parent} AS p WHERE p.id = child.{column}{gone}) ORDER BY id)"
        );
        let there: String = source.query_row(&sql, [], |row| row.get(0)).unwrap();
        let arrived = format!("SELECT string_agg(id::text, ' ' ORDER BY id) FROM child WHERE \"{column}\" IS NOT NULL");
        assert_eq!(stage.there(&arrived), there, "{column}");
    }
    stage.run(&["verify"], &stage.file(&text), &["--quiet"]).exits(0);
}

#[test]
fn rows_are_set_aside_for_what_they_say_and_for_values_that_a_map_does_not_name() {
    let stage = Stage::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, status TEXT, doc TEXT);
         INSERT INTO t VALUES (1, 'A', '{\"a\": 1}'), (2, 'idle', '{\"a\" 1}'), (3, 'weird', '[]'), (4, NULL, NULL), (5, 'I', '');",
    );
    let text = r#"
        [[table]]
        from = "t"
        reject = [{ when = "json_error_position(doc)", reason = "no JSON: character {}" }]
        [table.columns]
        status = { map = { A = "active", I = "idle" }, others = "reject" }
        doc = { type = "jsonb" }"#;
    let plan = stage.run(&["plan"], &stage.file(text), &["--quiet"]).exits(0).stdout;
    assert!(plan.contains("no JSON: character {}") && plan.contains("a value that the map does not name"), "{plan}");
    let ran = stage.migrate(text).exits(4);
    assert!(ran.stderr.contains("3 rows were set aside"), "{}", ran.stderr);
    assert_eq!(
        stage.there("SELECT string_agg(t::text, ' ' ORDER BY id) FROM t"),
        "(1,active,\"{\"\"a\"\": 1}\") (4,,)"
    );
    let why = "SELECT string_agg(concat_ws(' ', key, column_name, reason), ', ' ORDER BY key) FROM lite2pg.reject";
    assert_eq!(
        stage.there(why),
        "2 no JSON: character 6, 3 status a value that the map does not name, 5 no JSON: character 1"
    );
    stage.run(&["verify"], &stage.file(text), &["--quiet"]).exits(0);
    let other =
        Stage::new("CREATE TABLE t (id INTEGER PRIMARY KEY, status TEXT); INSERT INTO t VALUES (1, 'A'), (2, 'x');");
    let text = "[[table]]\nfrom = \"t\"\n[table.columns]\nstatus = { map = { A = \"a\" }, others = \"null\", default = \"d\" }\n";
    other.migrate(text).exits(0);
    assert_eq!(other.there("SELECT string_agg(t::text, ' ' ORDER BY id) FROM t"), "(1,a) (2,)");
    assert_eq!(ledger(&other, "a value that the map%"), "1");
    other
        .migrate("[[table]]\nfrom = \"t\"\n[table.columns]\nstatus = { others = \"null\" }\n")
        .exits(2)
        .says(&["of a `map`"]);
    other
        .migrate("[[table]]\nfrom = \"t\"\nreject = [{ when = \"nonsense(1)\", reason = \"x\" }]\n")
        .exits(2)
        .says(&["no such function"]);
}

const DDL: &str = r#"
    [[before]]
    sql = """
    CREATE TYPE mood AS ENUM ('calm', 'wild');
    CREATE TABLE t (id bigint PRIMARY KEY, at timestamptz NOT NULL DEFAULT now(), mood mood DEFAULT 'calm', extra jsonb DEFAULT '{}',
                    status varchar(20) CHECK (status IN ('on', 'off')));
    CREATE TABLE other (id bigint REFERENCES t);
    """
    [[table]]
    from = "t"
    on_error = "reject"
    [table.columns]
    at = { nulls = "default" }
    mood = { nulls = "default" }"#;

const MOODS: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, at TEXT, mood TEXT, status TEXT);
    INSERT INTO t VALUES (1, '2024-01-02 03:04:05', 'wild', 'on'), (2, NULL, NULL, 'off'), (3, 'never', 'calm', 'on'),
        (4, NULL, 'calm', 'broken');";

#[test]
fn rows_go_into_tables_that_a_script_made_and_null_takes_their_defaults() {
    let stage = Stage::new(MOODS);
    let plan = stage.run(&["plan"], &stage.file(DDL), &["--quiet"]).exits(0).stdout;
    assert!(plan.contains("loaded into the table that is there"), "{plan}");
    assert_eq!(stage.there("to_regclass('t')"), "NULL", "a plan changes nothing");
    let ran = stage.migrate(DDL).exits(4);
    assert!(ran.stderr.contains("2 rows were set aside"), "{}", ran.stderr);
    assert_eq!(
        stage.there("SELECT string_agg(concat_ws(' ', id, mood, status, extra, at > now() - interval '1 hour'), ', ' ORDER BY id) FROM t"),
        "1 wild on {} f, 2 calm off {} t"
    );
    let why = stage.there(
        "SELECT string_agg(concat_ws(' ', key, column_name, reason, sqlstate), ', ' ORDER BY key) FROM lite2pg.reject",
    );
    assert!(
        why.starts_with("3 at text that is no such time, 4 ")
            && why.contains("violates check constraint")
            && why.ends_with("23514"),
        "{why}"
    );
    assert_eq!(ledger(&stage, "the default in the place of NULL"), "2");
    stage.run(&["verify"], &stage.file(DDL), &["--quiet"]).exits(0);
    stage.seen.batch("UPDATE t SET mood = 'wild' WHERE id = 2").unwrap();
    stage.run(&["verify"], &stage.file(DDL), &["--quiet"]).exits(5);
    stage.run(&["verify"], &stage.file(DDL), &["--quiet", "--repair"]).exits(0);
    assert_eq!(stage.there("SELECT mood FROM t WHERE id = 2"), "calm");
    // Begun again: what the script made is dropped before the script runs again, and nothing else is.
    stage.seen.batch("CREATE TABLE mine (x int)").unwrap();
    stage.run(&["migrate"], &stage.file(DDL), &["--quiet", "--restart"]).exits(4);
    assert_eq!(stage.there("SELECT count(*) FROM t"), "2");
    assert_eq!(stage.there("to_regclass('mine')"), "mine");
    // A default that is none takes no place, and is told before anything is written.
    let other = Stage::new(MOODS);
    other.migrate(&DDL.replace("mood mood DEFAULT 'calm'", "mood mood")).exits(3).says(&["`t.mood` has no default"]);
    assert_eq!(other.there("to_regclass('t')"), "NULL");
}

#[test]
fn a_run_that_was_killed_after_its_scripts_goes_on_without_running_them_again() {
    let stage = Stage::new(MOODS);
    let holder = session(&stage.target);
    ended(
        program().arg("migrate").arg(&stage.path).arg(url(&stage.target)).args(["--schema", "other"]).output().unwrap(),
    )
    .exits(0);
    holder.batch("BEGIN; LOCK TABLE lite2pg.range IN SHARE MODE").unwrap();
    let mut running = Running::start(&mut stage.command(&["migrate"], &stage.file(DDL), &["--quiet"]));
    until(&stage.seen, "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'lite2pg.range'::regclass AND NOT granted");
    running.signal("KILL");
    running.end();
    holder.batch("ROLLBACK").unwrap();
    assert_eq!(stage.there("SELECT count(*) FROM t"), "0");
    stage.migrate(DDL).exits(4);
    assert_eq!(stage.there("SELECT count(*) FROM t"), "2");
}

const TWINS: &str = "
    CREATE TABLE v3_files (id TEXT PRIMARY KEY, filename TEXT, size INTEGER, is_mock INTEGER, note TEXT);
    INSERT INTO v3_files VALUES ('a', 'new.csv', 10, 0, 'n'), ('b', 'b.csv', 20, 1, NULL), ('d', NULL, 7, 0, 'x');
    CREATE TABLE files (id TEXT PRIMARY KEY, source_filename TEXT, size_bytes INTEGER, is_mock INTEGER, hash TEXT, legacy TEXT);
    INSERT INTO files VALUES ('a', 'old.csv', 10, 0, 'h', 'l1'), ('b', 'b.csv', 20, 0, 'h', 'l2'), ('c', 'c.csv', 30, 0, 'h', 'l3'), ('d', NULL, 8, 0, 'h', NULL),
        ('e', 'gone.csv', 1, 0, 'h', 'deleted');
    CREATE TABLE records (id INTEGER PRIMARY KEY, file TEXT REFERENCES files);
    INSERT INTO records VALUES (1, 'a'), (2, 'c'), (3, 'nowhere'), (4, 'd'), (5, 'e');";

const MERGED: &str = r#"
    [[table]]
    to = "files"
    key = ["id"]
    merge = [
        { from = "v3_files" },
        { from = "files", columns = { source_filename = "filename", size_bytes = "size" }, drop = ["hash", "is_mock"], where = "legacy IS NOT 'deleted'" },
    ]
    [table.columns]
    size = { type = "integer" }
    tenant = { sql = "iif(is_mock, 'test', 'real')" }
    is_mock = { skip = true }
    [[table]]
    from = "records"
    [table.columns]
    file = { orphans = "null" }"#;

#[test]
fn twins_are_merged_by_precedence_under_their_new_names_and_conflicts_are_counted() {
    let stage = Stage::new(TWINS);
    let plan = stage.run(&["plan"], &stage.file(MERGED), &["--quiet"]).exits(0).stdout;
    assert!(plan.contains("rows counted: id: merge of `v3_files`, `files`"), "{plan}");
    stage.migrate(MERGED).exits(0);
    assert_eq!(
        stage.there(
            "SELECT string_agg(concat_ws('|', id, filename, size, note, legacy, tenant), ' ' ORDER BY id) FROM files"
        ),
        "a|new.csv|10|n|real b|b.csv|20|test c|c.csv|30|l3|real d|7|x|real"
    );
    // 'b' is the same in what both tables have and keep; 'a' and 'd' are not.
    assert_eq!(ledger(&stage, "merge of%"), "2");
    assert_eq!(stage.there("to_regclass('v3_files')"), "NULL");
    assert_eq!(stage.there("SELECT string_agg(coalesce(file, '-'), ' ' ORDER BY id) FROM records"), "a c - d -");
    assert!(stage.seen.batch("INSERT INTO files (id) VALUES ('a')").is_err(), "the key is the primary key");
    assert!(
        stage.seen.batch("INSERT INTO records VALUES (9, 'zz')").is_err(),
        "what referred to a twin refers to the merged table"
    );
    stage.run(&["verify"], &stage.file(MERGED), &["--quiet"]).exits(0);
    stage.seen.batch("UPDATE files SET size = 11 WHERE id = 'a'").unwrap();
    stage.run(&["verify"], &stage.file(MERGED), &["--quiet"]).exits(5);
    stage.run(&["verify"], &stage.file(MERGED), &["--quiet", "--repair"]).exits(0);
    stage.migrate(MERGED).exits(0);
}

#[test]
fn mistakes_of_a_merge_and_of_a_querys_columns_are_told() {
    let stage = Stage::new(TWINS);
    let told = stage.migrate(
        r#"
        [[table]]
        to = "files"
        merge = [{ from = "v3_files", drop = ["is_mok"] }, { from = "files", columns = { source_filename = "size_bytes" } }]
        [[table]]
        to = "x"
        key = ["idd"]
        merge = [{ from = "filess" }]
        [[table]]
        from = "files"
        query = "SELECT 1"
        "#,
    );
    let told = told.exits(2).stderr;
    for words in [
        "5 mistakes",
        "`v3_files` has no column `is_mok`",
        "did you mean `is_mock`?",
        "two columns of `files` are called `size_bytes`",
        "a merge needs the columns of its `key`",
        "did you mean `files`?",
        "from a `merge` of tables",
    ] {
        assert!(told.contains(words), "`{words}` is not in\n{told}");
    }
    let typo = "[[table]]\nto = \"q\"\nquery = \"SELECT id, file FROM records\"\nkey = [\"id\"]\n[table.columns]\nfil = { to = \"f\" }\n";
    stage.migrate(typo).exits(2).says(&["the query of table `q` gives no column `fil`"]);
}

const LISTS: &str = "
    CREATE TABLE t (id INTEGER PRIMARY KEY, tags TEXT DEFAULT '[]', parts TEXT, numbers TEXT, flags TEXT, ids TEXT);
    INSERT INTO t VALUES
        (1, '[\"a\", \"b,\\\"c\\\"\", null, \"\\u00fc\\ud83d\\udeb2\"]', 'x, y,,z', '[1, -2, 9223372036854775807]', '[true,false]', '[\"018F4E2A-9B7C-7DEF-8123-456789ABCDEF\"]'),
        (2, '[]', '', '[]', '[]', '[]'),
        (3, NULL, NULL, NULL, NULL, NULL),
        (4, 'no list', 'one', '[1.5]', '[1]', '[\"x\"]');";

const ARRAYS: &str = r#"
    [[table]]
    from = "t"
    on_error = "POLICY"
    [table.columns]
    tags = { type = "text[]" }
    parts = { split = "," }
    numbers = { type = "bigint[]" }
    flags = { type = "boolean[]" }
    ids = { type = "uuid[]" }"#;

#[test]
fn lists_in_text_become_arrays_and_what_is_no_list_follows_the_policy() {
    let stage = Stage::new(LISTS);
    stage.migrate(&ARRAYS.replace("POLICY", "fail")).exits(3).says(&["`t.tags` cannot be loaded into text[]"]);
    let text = ARRAYS.replace("POLICY", "null");
    let plan = stage.run(&["plan"], &stage.file(&text), &["--quiet", "--sql"]).exits(0).stdout;
    assert!(plan.contains("\"tags\" text[] DEFAULT '{}'") && plan.contains("1 do not fit:"), "{plan}");
    stage.migrate(&text).exits(0);
    // PostgreSQL says by itself what the arrays hold.
    assert_eq!(
        stage.there(
            "SELECT tags = ARRAY['a', 'b,\"c\"', NULL, 'ü🚲'] AND parts = ARRAY['x', ' y', '', 'z'] FROM t WHERE id = 1"
        ),
        "true"
    );
    assert_eq!(
        stage.there("SELECT concat_ws(' ', numbers, flags, ids) FROM t WHERE id = 1"),
        "{1,-2,9223372036854775807} {t,f} {018f4e2a-9b7c-7def-8123-456789abcdef}"
    );
    assert_eq!(
        stage.there("SELECT concat_ws(' ', tags, parts, numbers, flags, ids) FROM t WHERE id = 2"),
        "{} {} {} {} {}"
    );
    assert_eq!(stage.there("SELECT concat_ws(' ', tags, parts, numbers, flags, ids) FROM t WHERE id = 4"), "{one}");
    assert_eq!(
        stage.there("SELECT string_agg(convert_from(bytes, 'UTF8'), ' ' ORDER BY column_name) FROM lite2pg.original"),
        "[1] [\"x\"] [1.5] no list"
    );
    assert_eq!(stage.there("SELECT cardinality(tags) FROM (SELECT tags FROM t WHERE id = 2) s"), "0");
    stage.run(&["verify"], &stage.file(&text), &["--quiet"]).exits(0);
    stage.run(&["verify"], &stage.file(&text), &["--quiet", "--sample", "10"]).exits(0);
    for change in [
        "tags = array_append(tags, 'd')",
        "parts[2] = 'y'",
        "numbers = '{1,-2}'",
        "flags = NULL",
        "tags = ARRAY[['a','b'],['c','d']]",
    ] {
        stage.seen.batch(&format!("UPDATE t SET {change} WHERE id = 1")).unwrap();
        stage.run(&["verify"], &stage.file(&text), &["--quiet"]).exits(5);
        stage.run(&["verify"], &stage.file(&text), &["--quiet", "--repair"]).exits(0);
    }
    let other = Stage::new(LISTS);
    other.seen.batch("CREATE TABLE t (id bigint PRIMARY KEY, tags text[], parts text[] DEFAULT '{}', numbers int[], flags text, ids text)").unwrap();
    let text = "[[table]]\nfrom = \"t\"\non_error = \"reject\"\n[table.columns]\nparts = { split = \", \", nulls = \"default\" }\n";
    other.migrate(text).exits(4).says(&["2 rows were set aside"]);
    assert_eq!(
        other.there("SELECT string_agg(concat_ws(' ', id, tags, parts, numbers), ' ' ORDER BY id) FROM t"),
        "2 {} {} {} 3 {}"
    );
    other.run(&["verify"], &other.file(text), &["--quiet"]).exits(0);
    let told = other.migrate("[[table]]\nfrom = \"t\"\n[table.columns]\ntags = { split = \",\", type = \"text\" }\nparts = { split = \"\" }\nids = { type = \"cidr[]\" }\n");
    let told = told.exits(2).stderr;
    for words in
        ["what is split is an array", "what stands between values is some text", "`cidr[]` is no type", "3 mistakes"]
    {
        assert!(told.contains(words), "`{words}` is not in\n{told}");
    }
}

const SPELLED: &str = r#"
    CREATE TABLE t (id INTEGER PRIMARY KEY, tags TEXT, ints TEXT, prices TEXT DEFAULT '[]', parts TEXT, days TEXT, docs TEXT DEFAULT '{}');
    INSERT INTO t VALUES
        (1, '{a,"b \"c\"",NULL,"null"}', '{1,+2,NULL}', '[1.50, "2", null, 12345678901234567890.1]', '1.50;2', '["2024-01-05"]', '[{"a":1},2]'),
        (2, '["x"]', '[7]', '{0.1,NaN}', '', '{2024-01-05,2024-02-29}', '{"{\"b\":2}"}'),
        (3, '{{a},{b}}', '{1', '1.5', '1.505', '{2024-02-30}', '[');"#;

#[test]
fn arrays_come_from_lists_in_json_from_separators_and_from_postgres_s_own_spelling_and_go_back_so() {
    let text = r#"
        [[table]]
        from = "t"
        on_error = "POLICY"
        [table.columns]
        tags = { type = "text[]" }
        ints = { type = "integer[]" }
        prices = { type = "numeric[]" }
        parts = { type = "numeric(6,2)[]", split = ";" }
        days = { type = "date[]" }
        docs = { type = "jsonb[]" }"#;
    let stage = Stage::new(SPELLED);
    stage.migrate(&text.replace("POLICY", "fail")).exits(3).says(&["nothing was written", "hint:"]);
    let text = text.replace("POLICY", "null");
    let plan = stage.run(&["plan"], &stage.file(&text), &["--quiet", "--sql"]).exits(0).stdout;
    assert!(
        plan.contains("\"prices\" numeric[] DEFAULT '{}'")
            && plan.contains("\"docs\" jsonb[] DEFAULT '{}'")
            && plan.contains("values between `;`"),
        "{plan}"
    );
    stage.migrate(&text).exits(0);
    assert_eq!(
        stage.there(
            "SELECT string_agg(concat_ws(' ', tags, ints, prices, parts, days, docs), ' | ' ORDER BY id) FROM t"
        ),
        "{a,\"b \\\"c\\\"\",NULL,\"null\"} {1,2,NULL} {1.50,2,NULL,12345678901234567890.1} {1.50,2.00} {2024-01-05} \
         {\"{\\\"a\\\": 1}\",2} | {x} {7} {0.1,NaN} {} {2024-01-05,2024-02-29} {\"{\\\"b\\\": 2}\"} | "
    );
    assert_eq!(stage.there("SELECT count(*) FROM lite2pg.original"), "6");
    assert_eq!(
        stage.there("SELECT format_type(atttypid, atttypmod) FROM pg_attribute WHERE attname = 'parts'"),
        "numeric(6,2)[]"
    );
    stage.run(&["verify"], &stage.file(&text), &["--quiet"]).exits(0);
    for change in
        ["tags[4] = NULL", "ints = '{1,2}'", "prices[1] = 1.51", "parts = '{1.5}'", "days = NULL", "docs[2] = '3'"]
    {
        stage.seen.batch(&format!("UPDATE t SET {change} WHERE id = 1")).unwrap();
        stage.run(&["verify"], &stage.file(&text), &["--quiet"]).exits(5);
        stage.run(&["verify"], &stage.file(&text), &["--quiet", "--repair"]).exits(0);
    }
    // Those of which lite2pg writes the binary form go back in the spelling that the cell had.
    let short = "[[table]]\nfrom = \"t\"\nwhere = \"id < 3\"\n[table.columns]\ntags = { type = \"text[]\" }\nints = { type = \"integer[]\" }\n";
    let back = Stage::new(SPELLED);
    back.migrate(short).exits(0);
    back.seen.batch("UPDATE t SET tags = ARRAY['', 'null', NULL, 'a,b', 'c\"\\', 'd'], ints = '{5,NULL}' WHERE id = 1; UPDATE t SET tags = '{y,z}' WHERE id = 2").unwrap();
    let file = back.file(short);
    let to = file.with_file_name("back.db");
    back.run(&["rollback"], &file, &["--quiet", "--to", to.to_str().unwrap()]).exits(0);
    let db = rusqlite::Connection::open(&to).unwrap();
    let said: String =
        db.query_row("SELECT group_concat(tags || ints, ' ') FROM t WHERE id < 3", [], |row| row.get(0)).unwrap();
    assert_eq!(said, r#"{"","null",NULL,"a,b","c\"\\",d}{5,NULL} ["y","z"][7]"#);
    // Tables that are there take them so too.
    let there = Stage::new(SPELLED);
    there.seen.batch("CREATE TABLE t (id int PRIMARY KEY, tags varchar(4)[], ints int[], prices numeric(3,1)[], parts text, days date[], docs json[])").unwrap();
    there.migrate("[[table]]\nfrom = \"t\"\non_error = \"null\"\n").exits(0);
    assert_eq!(there.there("SELECT concat_ws(' ', tags, ints, prices) FROM t WHERE id = 2"), "{x} {7} {0.1,NaN}");
    assert_eq!(there.there("SELECT concat_ws(' ', tags, ints, prices) FROM t WHERE id = 1"), "{1,2,NULL}");
}

#[test]
fn a_foreign_key_brings_ids_along_only_where_the_column_is_a_uuid() {
    let stage = Stage::new(
        "CREATE TABLE p (id TEXT PRIMARY KEY); INSERT INTO p VALUES ('a');
         CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p); INSERT INTO c VALUES (1, 'a');
         CREATE TABLE d (id INTEGER PRIMARY KEY, p TEXT REFERENCES p); INSERT INTO d VALUES (1, 'a');",
    );
    stage.seen.batch("CREATE TABLE c (id bigint, p varchar(10)); CREATE TABLE d (id bigint, p uuid)").unwrap();
    let text = "[[table]]\nfrom = \"p\"\n[table.columns]\nid = { v5 = \"p\" }\n";
    stage.migrate(text).exits(0);
    assert_eq!(stage.there("SELECT p FROM c"), "a");
    assert_eq!(stage.there("SELECT count(*) FROM d JOIN p ON p.id = d.p"), "1");
    let other = Stage::new(
        "CREATE TABLE p (id TEXT PRIMARY KEY); INSERT INTO p VALUES ('a');
         CREATE TABLE c (id INTEGER PRIMARY KEY, p TEXT REFERENCES p); INSERT INTO c VALUES (1, 'a');",
    );
    let stated = format!("{text}[[table]]\nfrom = \"c\"\n[table.columns]\np = {{ type = \"text\" }}\n");
    other.migrate(&stated).exits(0);
    assert_eq!(other.there("SELECT p FROM c"), "a");
}
