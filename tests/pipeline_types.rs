//! Ids that a run seeds, and enums: what a pipeline says of the types that columns arrive in.

mod support;

use rusqlite::Connection;
use support::piped::Stage;
use support::program::{Running, ended, program, until, url};
use support::session;

const AGENTS: &str = "
    CREATE TABLE agents (id TEXT PRIMARY KEY, name TEXT, level);
    INSERT INTO agents VALUES ('018f4e2a-9b7c-7def-8123-456789abcdef', 'new', 1), ('agent-7', 'old', 2), ('7', 'number', 3),
        ('agent-9', 'late', 'oops');
    CREATE TABLE tasks (id INTEGER PRIMARY KEY, agent TEXT REFERENCES agents, other TEXT);
    INSERT INTO tasks VALUES (1, 'agent-7', 'x'), (2, '018f4e2a-9b7c-7def-8123-456789abcdef', 'agent-7'), (3, NULL, 'agent-7'),
        (4, '7', NULL), (5, 'agent-9', 'agent-9');";

const DRAWN: &str = "
    [[table]]
    from = \"agents\"
    [table.columns]
    id    = { v4 = \"agents\" }
    level = { type = \"integer\", on_error = \"reject\" }
    [[table]]
    from = \"tasks\"
    [table.columns]
    id    = { v7 = \"tasks\" }
    other = { v4 = \"agents\" }";

const JOINED: &str = "SELECT count(*) FROM tasks t JOIN agents a ON a.id = t.agent";

/// Every id that the tables hold and that was no uuid stands in its map, with what became of it.
const IN_MAPS: &str = "SELECT bool_and(EXISTS (SELECT FROM lite2pg.id_map m WHERE m.map = i.map AND m.new = i.id)) FROM \
    (SELECT 'agents' AS map, id FROM agents WHERE name <> 'new' UNION ALL SELECT 'agents', other FROM tasks WHERE other IS NOT NULL \
     UNION ALL SELECT 'tasks', id FROM tasks) i";

#[test]
fn drawn_ids_are_one_for_one_old_id_whoever_reads_them_later() {
    let stage = Stage::new(AGENTS);
    let file = stage.file(DRAWN);
    stage.run(&["migrate"], &file, &["--quiet"]).exits(4).says(&["1 row was set aside"]);
    assert_eq!(stage.there(JOINED), "3", "the key's other column follows without a word");
    assert_eq!(stage.there(IN_MAPS), "true");
    let version = "SELECT string_agg(DISTINCT substr(id::text, 15, 1) || substr(id::text, 20, 1), ' ') FROM";
    let digits = stage.there(&format!("{version} agents WHERE name <> 'new'"));
    assert!(digits.split(' ').all(|d| d.starts_with('4') && "89ab".contains(&d[1..])), "{digits}");
    let digits = stage.there(&format!("{version} tasks"));
    assert!(digits.split(' ').all(|d| d.starts_with('7') && "89ab".contains(&d[1..])), "{digits}");
    // The time of the run stands in front.
    let age = "SELECT max(abs(extract(epoch FROM now()) * 1000 - ('x' || translate(substr(id::text, 1, 13), '-', ''))::bit(48)::bigint)) \
               < 600000 FROM tasks";
    assert_eq!(stage.there(age), "true");
    assert_eq!(stage.there("SELECT name FROM agents WHERE id = '018f4e2a-9b7c-7def-8123-456789abcdef'"), "new");
    // The verifier expects them by itself, with the file and without.
    stage.run(&["verify"], &file, &["--quiet"]).exits(0);
    ended(program().arg("verify").arg(&stage.path).arg(url(&stage.target)).arg("--quiet").output().unwrap()).exits(0);
    let before = stage.there("SELECT string_agg(t::text, ' ' ORDER BY id) FROM tasks t");
    stage.seen.batch("UPDATE tasks SET other = gen_random_uuid() WHERE other IS NOT NULL").unwrap();
    stage.run(&["verify"], &file, &["--quiet"]).exits(5);
    stage.run(&["verify"], &file, &["--quiet", "--repair"]).exits(0);
    assert_eq!(
        stage.there("SELECT string_agg(t::text, ' ' ORDER BY id) FROM tasks t"),
        before,
        "a repair seeds nothing anew"
    );
    // The agent that was set aside comes in under the id that its tasks have.
    stage.run(&["rejects", "retry"], &file, &["--quiet", "--on-error", "agents.level=null"]).exits(0);
    assert_eq!(stage.there(JOINED), "4");
    assert_eq!(stage.there(IN_MAPS), "true");
    assert_eq!(
        stage.there("SELECT a.name FROM tasks t JOIN agents a ON a.id = t.other WHERE t.agent = t.other"),
        "late"
    );
    // The same command on a finished run changes nothing.
    let all = stage.there("SELECT string_agg(a::text, ' ' ORDER BY id) FROM agents a");
    stage.run(&["migrate"], &file, &["--quiet", "--on-error", "agents.level=null"]).exits(0);
    assert_eq!(stage.there("SELECT string_agg(a::text, ' ' ORDER BY id) FROM agents a"), all);
    // Another run seeds others.
    stage.run(&["migrate"], &file, &["--quiet", "--restart"]).exits(4);
    assert_eq!(
        stage.there(&format!(
            "SELECT count(*) FROM unnest(string_to_array('{all}', ' ')) x JOIN agents a ON a::text = x"
        )),
        "1",
        "only the one that was a uuid is the same"
    );
}

#[test]
fn drawn_ids_go_back_as_the_texts_and_numbers_that_they_were() {
    let stage = Stage::new(AGENTS);
    let text = DRAWN.replace("on_error = \"reject\"", "on_error = \"null\"");
    let file = stage.file(&text);
    stage.run(&["migrate"], &file, &["--quiet"]).exits(0);
    let born = "00000000-0000-4000-8000-00000000000a";
    stage
        .seen
        .batch(&format!(
            "UPDATE tasks SET agent = (SELECT id FROM agents WHERE name = 'number') WHERE other IS NULL OR agent IS NULL;
             UPDATE tasks SET other = (SELECT id FROM agents WHERE name = 'late') WHERE agent = (SELECT id FROM agents WHERE name = 'old');
             INSERT INTO agents (id, name) VALUES ('{born}', 'born'); UPDATE tasks SET agent = '{born}' WHERE other IS NULL"
        ))
        .unwrap();
    let to = stage.dir.path().join("restored.db");
    let to = to.to_str().unwrap();
    stage.run(&["rollback"], &file, &["--quiet", "--to", to]).exits(0);
    let restored = Connection::open(to).unwrap();
    let seen: String = restored
        .query_row(
            "SELECT (SELECT group_concat(quote(id) || quote(agent) || quote(other), ' ') FROM tasks) || ' | ' || \
             (SELECT group_concat(id || ' ' || quote(level), ', ') FROM agents WHERE name IN ('late', 'born', 'old'))",
            [],
            |row| row.get(0),
        )
        .unwrap();
    assert_eq!(
        seen,
        format!(
            "1'agent-7''agent-9' 2'018f4e2a-9b7c-7def-8123-456789abcdef''agent-7' 3'7''agent-7' 4'{born}'NULL \
             5'agent-9''agent-9' | agent-7 2, agent-9 'oops', {born} NULL"
        )
    );
}

#[test]
fn a_run_that_was_killed_goes_on_with_the_ids_that_it_began_with() {
    let stage = Stage::new(
        "CREATE TABLE parent (id INTEGER PRIMARY KEY, name TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE \
         i < 30000) INSERT INTO parent SELECT i, 'p' || i FROM n;
         CREATE TABLE child (id INTEGER PRIMARY KEY, parent INTEGER REFERENCES parent); INSERT INTO child SELECT 1 + 30000 - id, id FROM parent;",
    );
    let text = "[settings]\nrange_rows = 3000\nbatch_rows = 70\n[[table]]\nfrom = \"parent\"\n[table.columns]\nid = { v4 = \"p\" }\n\
                [[table]]\nfrom = \"child\"\n[table.columns]\nid = { v7 = \"c\" }\n";
    let file = stage.file(text);
    // The control schema of an earlier run, so that its table can be locked.
    ended(
        program().arg("migrate").arg(&stage.path).arg(url(&stage.target)).args(["--schema", "other"]).output().unwrap(),
    )
    .exits(0);
    let holder = session(&stage.target);
    let waits = "SELECT count(*) > 0 FROM pg_locks WHERE relation = 'lite2pg.RELATION'::regclass AND NOT granted";
    let drawn = "SELECT string_agg(plan->>'draw', ' ') FROM lite2pg.run WHERE target_schema = 'public'";
    let mut seeds = Vec::new();
    // In the midst of the rows, and before the maps.
    for (relation, done) in [("range", true), ("id_map", false)] {
        if !done {
            holder.batch("BEGIN; LOCK TABLE lite2pg.id_map IN SHARE MODE").unwrap();
        }
        let mut running = Running::start(&mut stage.command(&["migrate"], &file, &["--quiet", "--jobs", "1"]));
        if done {
            until(&stage.seen, "SELECT count(*) > 12 FROM lite2pg.range");
            holder.batch("BEGIN; LOCK TABLE lite2pg.range IN SHARE MODE").unwrap();
        }
        until(&stage.seen, &waits.replace("RELATION", relation));
        running.signal("KILL");
        running.end();
        holder.batch("ROLLBACK").unwrap();
        seeds.push(stage.there(drawn));
    }
    stage.run(&["migrate"], &file, &["--quiet"]).exits(0);
    seeds.push(stage.there(drawn));
    seeds.dedup();
    assert_eq!(seeds.len(), 1, "{seeds:?}");
    let joined = "SELECT count(*) || ' ' || count(DISTINCT p.id) || ' ' || count(DISTINCT m.old) FROM child c JOIN parent p ON p.id = c.parent \
                  JOIN lite2pg.id_map m ON m.map = 'p' AND m.new = p.id AND p.name = 'p' || m.old";
    assert_eq!(stage.there(joined), "30000 30000 30000");
    assert_eq!(
        stage
            .there("SELECT count(*) || ' ' || count(DISTINCT c.id) FROM child c JOIN lite2pg.id_map m ON m.new = c.id"),
        "30000 30000"
    );
}

#[test]
fn what_the_ids_were_drawn_by_is_missed_and_mistakes_of_maps_are_told() {
    let stage = Stage::new(AGENTS);
    let text = DRAWN.replace("on_error = \"reject\"", "on_error = \"null\"");
    let file = stage.file(&text);
    stage.run(&["migrate"], &file, &["--quiet"]).exits(0);
    stage.seen.batch("DROP SCHEMA lite2pg CASCADE").unwrap();
    stage.run(&["verify"], &file, &["--quiet"]).exits(3).says(&[
        "nothing tells what the ids of `agents.id` were drawn by",
        "no finished run of this source into this schema",
        "nothing was compared hint: `--exclude agents`",
    ]);
    stage.run(&["verify"], &file, &["--quiet", "--exclude", "agents", "--exclude", "tasks"]).exits(2);
    let told = stage.migrate(
        "[[table]]\nfrom = \"agents\"\n[table.columns]\nid = { v4 = \"a\", v5 = \"a\" }\nname = { v7 = \"n\", type = \"text\" }\n\
         [[table]]\nfrom = \"tasks\"\n[table.columns]\nagent = { v5 = \"n\" }\n",
    );
    told.exits(2).says(&[
        "3 mistakes",
        "an id is made by one of `v4`, `v5` and `v7`",
        "an id of a map is a `uuid`",
        "the ids of the map `n` are made by `v7` elsewhere in this file",
    ]);
}

const ORDERS: &str = "
    CREATE TABLE orders (id INTEGER PRIMARY KEY, status TEXT NOT NULL DEFAULT 'O' CHECK (status <> ''), mood TEXT CHECK (mood <> ''));
    CREATE INDEX orders_mood ON orders (mood);
    INSERT INTO orders VALUES (1, 'O', 'it''s \\fine'), (2, 'D', NULL), (3, 'open', 'bad'), (4, 'O', 'bad');
    CREATE TABLE moods (name TEXT PRIMARY KEY); INSERT INTO moods VALUES ('bad'), ('it''s \\fine');";

const ENUMS: &str = "
    [enum]
    order_status = [\"open\", \"done\"]
    \"Mood\" = [\"it's \\\\fine\", \"bad\"]
    [[table]]
    from = \"orders\"
    [table.columns]
    status = { type = \"order_status\", map = { O = \"open\", D = \"done\" } }
    mood = { type = \"Mood\" }
    [[table]]
    from = \"moods\"
    [table.columns]
    name = { type = \"Mood\" }";

const LABELS: &str = "SELECT string_agg(t.typname || '=' || l, ' ' ORDER BY t.typname) FROM pg_type t, LATERAL (SELECT \
    string_agg(enumlabel, ',' ORDER BY enumsortorder) AS l FROM pg_enum WHERE enumtypid = t.oid) x WHERE typtype = 'e'";

#[test]
fn enums_are_made_filled_compared_dropped_and_go_back() {
    let stage = Stage::new(ORDERS);
    let file = stage.file(ENUMS);
    for more in [&["--sql", "--offline"][..], &["--sql"]] {
        let plan = stage.run(&["plan"], &file, more).exits(0).stdout;
        for words in [
            "CREATE TYPE \"public\".\"order_status\" AS ENUM ('open', 'done');",
            "CREATE TYPE \"public\".\"Mood\" AS ENUM (E'it''s \\\\fine', 'bad');",
            "\"mood\" \"public\".\"Mood\"",
            "enum order_status (open, done)",
        ] {
            assert!(plan.contains(words), "`{words}` is not in\n{plan}");
        }
    }
    assert_eq!(stage.there("SELECT count(*) FROM pg_type WHERE typtype = 'e'"), "0", "a plan leaves nothing");
    stage.run(&["migrate"], &file, &["--quiet"]).exits(0);
    stage.run(&["verify"], &file, &["--quiet"]).exits(0);
    assert_eq!(stage.there(LABELS), "Mood=it's \\fine,bad order_status=open,done");
    let rows =
        "SELECT string_agg(id || ' ' || status || ' ' || coalesce(mood::text, '-'), ', ' ORDER BY id) FROM orders";
    assert_eq!(stage.there(rows), "1 open it's \\fine, 2 done -, 3 open bad, 4 open bad");
    assert_eq!(
        stage.there("SELECT string_agg(name::text, ' ' ORDER BY name) FROM moods"),
        "it's \\fine bad",
        "in their order"
    );
    assert_eq!(stage.there("SELECT count(*) FROM pg_indexes WHERE indexname = 'orders_mood'"), "1");
    // A difference is found, and mended.
    stage.seen.batch("UPDATE orders SET status = 'done' WHERE id = 1").unwrap();
    stage.run(&["verify"], &file, &["--quiet"]).exits(5);
    stage.run(&["verify"], &file, &["--quiet", "--repair"]).exits(0);
    stage.seen.batch("UPDATE orders SET status = 'done', mood = 'bad' WHERE id = 1; INSERT INTO orders VALUES (9, 'open', 'bad')").unwrap();
    let to = stage.dir.path().join("restored.db");
    stage.run(&["rollback"], &file, &["--quiet", "--to", to.to_str().unwrap()]).exits(0);
    let restored: String = Connection::open(&to)
        .and_then(|c| c.query_row("SELECT group_concat(id || status || mood, ' ') FROM orders", [], |r| r.get(0)))
        .unwrap();
    assert_eq!(restored, "1Dbad 3openbad 4Obad 9Obad");
    // What the run made goes with it, and a changed enum is another run.
    let wider = stage.file(&ENUMS.replace("\"done\"]", "\"done\", \"lost\"]"));
    stage
        .run(&["migrate"], &wider, &["--quiet"])
        .exits(3)
        .says(&["the target's enum `order_status` has no value `lost`"]);
    stage.run(&["migrate"], &wider, &["--quiet", "--restart"]).exits(0);
    assert_eq!(stage.there(LABELS), "Mood=it's \\fine,bad order_status=open,done,lost");
}

#[test]
fn an_enum_that_is_there_is_used_as_it_is_or_refused_and_stays() {
    let stage = Stage::new(ORDERS);
    let file = stage.file(ENUMS);
    stage.seen.batch("CREATE TYPE order_status AS ENUM ('done', 'lost')").unwrap();
    for verb in ["plan", "migrate"] {
        stage.run(&[verb], &file, &["--quiet"]).exits(3).says(&[
            "the target's enum `order_status` has no value `open`",
            "nothing was written",
            "hint: ALTER TYPE \"public\".\"order_status\" ADD VALUE 'open'",
        ]);
    }
    assert_eq!(stage.there("SELECT count(*) FROM pg_class WHERE relname IN ('orders', 'moods')"), "0");
    stage.seen.batch("ALTER TYPE order_status ADD VALUE 'open'").unwrap();
    let plan = stage.run(&["plan"], &file, &["--sql"]).exits(0).stdout;
    assert!(
        plan.contains("enum order_status, there already (open, done)")
            && !plan.contains("TYPE \"public\".\"order_status\""),
        "{plan}"
    );
    stage.run(&["migrate"], &file, &["--quiet"]).exits(0);
    stage.run(&["migrate"], &file, &["--quiet", "--restart"]).exits(0);
    assert_eq!(stage.there(LABELS), "Mood=it's \\fine,bad order_status=done,lost,open", "it is not ours to drop");
    // A table that a script makes of an enum of the file, and one that was there before.
    let other = Stage::new(ORDERS);
    let scripted = format!(
        "schema = \"shop\"\n{ENUMS}\n[[before]]\nsql = \"CREATE TABLE shop.orders (id bigint, status shop.order_status, mood shop.\\\"Mood\\\")\""
    );
    other.migrate(&scripted).exits(0);
    other.run(&["verify"], &other.file(&scripted), &["--quiet"]).exits(0);
    assert_eq!(other.there("SELECT string_agg(status::text, ' ' ORDER BY id) FROM shop.orders"), "open done open open");
    other.run(&["migrate"], &other.file(&scripted), &["--quiet", "--restart"]).exits(0);
    // Rows only: the enums are those of the tables.
    other.seen.batch("TRUNCATE shop.orders, shop.moods; DROP SCHEMA lite2pg CASCADE").unwrap();
    let rows = scripted.replace("schema =", "data_only = true\nschema =");
    let rows = &rows[..rows.find("[[before]]").unwrap()];
    other.migrate(rows).exits(0);
    assert_eq!(other.there("SELECT count(*) FROM shop.orders"), "4");
}

#[test]
fn values_outside_an_enum_are_found_before_a_row_is_written_or_follow_the_policy() {
    let stage = Stage::new(
        "CREATE TABLE big (id INTEGER PRIMARY KEY, status TEXT, pad TEXT); WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n \
         WHERE i < 300000) INSERT INTO big SELECT i, 'open', hex(randomblob(20)) FROM n; UPDATE big SET status = 'Open' WHERE id = 123457;
         UPDATE big SET status = x'00' WHERE id = 150001;",
    );
    let text =
        "[enum]\nstatus = [\"open\"]\n[[table]]\nfrom = \"big\"\n[table.columns]\nstatus = { type = \"status\" }\n";
    stage
        .migrate(text)
        .exits(3)
        .says(&["`big.status` cannot be loaded into status", "text that is no label of the enum, at key 123457"]);
    assert_eq!(stage.there("SELECT count(*) FROM pg_class WHERE relname = 'big'"), "0");
    assert_eq!(stage.there("SELECT count(*) FROM pg_type WHERE typtype = 'e'"), "0");
    stage
        .migrate(&text.replace("\"status\" }", "\"status\", on_error = \"reject\" }"))
        .exits(4)
        .says(&["2 rows were set aside"]);
    assert_eq!(stage.there("SELECT count(*) FROM big"), "299998");
    stage.seen.batch("ALTER TYPE status ADD VALUE 'Open'").unwrap();
    let file = stage.file(&text.replace("\"status\" }", "\"status\", on_error = \"reject\" }"));
    stage.run(&["rejects", "retry"], &file, &["--quiet"]).exits(4);
    assert_eq!(stage.there("SELECT string_agg(id::text, ' ') FROM big WHERE status <> 'open'"), "123457");
}

#[test]
fn mistakes_of_enums_are_told_with_their_lines() {
    let stage = Stage::new(ORDERS);
    let long = "x".repeat(64);
    let text = format!(
        "[enum]\ntext = [\"a\"]\nnone = []\ntwice = [\"a\", \"a\"]\nlong = [\"{long}\"]\nstate = [\"open\", \"done\"]\n\
         [[table]]\nfrom = \"orders\"\n[table.columns]\nstatus = {{ type = \"state\", map = {{ O = \"opne\", D = 5 }}, default = \"gone\" }}\n\
         mood = {{ type = \"stat\" }}\n"
    );
    stage.migrate(&text).exits(2).says(&[
        "8 mistakes",
        "`text` is a type of PostgreSQL's own",
        "the enum `none` has no value",
        "the enum `twice` has the value `a` twice",
        "a value of an enum has at most 63 bytes",
        "this is no value of the enum `state`",
        "did you mean `open`?",
        "its values are open, done",
        "`stat` is no type that lite2pg makes, and no `enum` of this file",
        "did you mean `state`?",
        "shop.toml:5:15",
        "shop.toml:11:40",
    ]);
}
