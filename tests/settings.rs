//! What a pipeline says beyond its tables: the target's own DDL, parity queries, backups, how the server is spoken to.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use rusqlite::Connection;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use support::piped::Stage;
use support::program::{Ran, bytes_of, ended, listing, program, source, url, value};
use support::{database, session};
use tempfile::TempDir;

fn run(stage: &Stage, verb: &str, text: &str, more: &[&str]) -> Ran {
    stage.run(&[verb], &stage.file(text), more)
}

fn files(stage: &Stage, folder: &str) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(stage.dir.path().join(folder))
        .into_iter()
        .flatten()
        .map(|e| e.unwrap().file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

const SHOP: &str = "CREATE TABLE orders (id INTEGER PRIMARY KEY, state TEXT, placed TEXT, note TEXT);
    INSERT INTO orders VALUES (1, 'open', '2024-01-01T00:00:00Z', NULL), (2, 'paid', '2024-01-02T00:00:00Z', 'x');
    CREATE TABLE extra (id INTEGER PRIMARY KEY, order_id INTEGER REFERENCES orders); INSERT INTO extra VALUES (1, 2);";

const SCHEMA: &str = "\\restrict abc
    -- A semicolon; in a comment, and a quote's end.
    CREATE TYPE order_state AS ENUM ('open', 'paid');
    CREATE FUNCTION shout(text) RETURNS text LANGUAGE sql IMMUTABLE AS $$ SELECT upper($1); $$;
    CREATE SEQUENCE numbers;
    CREATE TABLE orders (id bigint PRIMARY KEY DEFAULT nextval('numbers'), state order_state NOT NULL DEFAULT 'open',
        placed timestamptz NOT NULL, note text, loud text GENERATED ALWAYS AS (shout(note)) STORED);
    CREATE VIEW open_orders AS SELECT * FROM orders WHERE state = 'open';
    SELECT pg_catalog.set_config('search_path', '', false);";

#[test]
fn ddl_of_a_file_is_run_first_and_its_tables_are_loaded_as_they_are() {
    let stage = Stage::new(SHOP);
    stage.write("schema.sql", SCHEMA);
    let before = listing(&stage.seen);
    let plan = run(&stage, "plan", "ddl = \"schema.sql\"\n", &[]).exits(0);
    assert!(plan.stdout.contains("loaded into the table that is there"), "{}", plan.stdout);
    assert!(plan.stdout.contains("`schema.sql`: run first: makes 5 objects, 1 of them tables"), "{}", plan.stdout);
    assert_eq!(listing(&stage.seen), before, "a plan leaves nothing");
    run(&stage, "migrate", "ddl = \"schema.sql\"\n", &[]).exits(0);
    assert_eq!(
        stage.there("SELECT string_agg(o::text, ' ' ORDER BY id) FROM orders o"),
        "(1,open,\"2024-01-01 00:00:00+00\",,) (2,paid,\"2024-01-02 00:00:00+00\",x,X)"
    );
    assert_eq!(stage.there("SELECT nextval('numbers')"), "3");
    // The other table is created as usual, with its key to the one that the file made.
    assert_eq!(
        stage.there("SELECT count(*) FROM pg_constraint WHERE contype = 'f' AND connamespace = 'public'::regnamespace"),
        "1"
    );
    let again = run(&stage, "migrate", "ddl = \"schema.sql\"\n", &[]).exits(0);
    assert!(again.stdout.contains("this run had finished before"), "{}", again.stdout);
}

#[test]
fn ddl_that_was_run_is_told_and_restart_drops_what_it_made() {
    let stage = Stage::new(SHOP);
    stage.write("schema.sql", SCHEMA);
    let text = "ddl = \"schema.sql\"\n";
    run(&stage, "migrate", text, &["--schema", "app"]).exits(0);
    run(&stage, "migrate", text, &["--schema", "app", "--truncate"]).exits(1).says(&[
        "the server refuses the DDL of `schema.sql`",
        "already exists",
        "nothing was written",
        "leave `ddl` out",
    ]);
    run(&stage, "migrate", text, &["--schema", "app", "--restart"]).exits(0);
    assert_eq!(stage.there("SELECT count(*) FROM app.orders"), "2");
    // What somebody else made since is not ours to drop.
    stage.seen.batch("CREATE TYPE app.mine AS ENUM ('a'); CREATE TABLE app.yours (s app.order_state)").unwrap();
    run(&stage, "migrate", text, &["--schema", "app", "--restart"])
        .exits(1)
        .says(&["cannot be dropped", "nothing was dropped"]);
    assert_eq!(stage.there("SELECT count(*) FROM app.orders"), "2");
}

#[test]
fn a_value_that_the_ddl_does_not_take_leaves_nothing_of_it() {
    let stage = Stage::new(&format!("{SHOP} UPDATE orders SET state = 'lost' WHERE id = 2;"));
    stage.write("schema.sql", SCHEMA);
    let before = listing(&stage.seen);
    run(&stage, "migrate", "ddl = \"schema.sql\"\n", &[]).exits(3).says(&[
        "`orders.state`",
        "no label of the enum",
        "nothing was written",
    ]);
    assert_eq!(listing(&stage.seen), before);
    // A default of a table that is not there yet can take its place.
    let text =
        "ddl = \"schema.sql\"\n[[table]]\nfrom = \"orders\"\n[table.columns]\nstate = { on_error = \"default\" }\n";
    run(&stage, "migrate", text, &[]).exits(0);
    assert_eq!(stage.there("SELECT string_agg(state::text, ' ' ORDER BY id) FROM orders"), "open open");
}

#[test]
fn ddl_cannot_end_the_transaction_that_it_is_run_in() {
    let stage = Stage::new(SHOP);
    for sql in ["CREATE TABLE one (x int); COMMIT; CREATE TABLE two (x int)", "BEGIN; CREATE TABLE one (x int); COMMIT"]
    {
        stage.write("schema.sql", sql);
        run(&stage, "migrate", "ddl = \"schema.sql\"\n", &[])
            .exits(1)
            .says(&["refuses the DDL", "take BEGIN, COMMIT and ROLLBACK out"]);
        assert_eq!(stage.there("(to_regclass('one'), to_regclass('lite2pg.run'))"), "(,)");
    }
    stage.write("schema.sql", "CREATE TABLE one (x int;");
    run(&stage, "migrate", "ddl = \"schema.sql\"\n", &[])
        .exits(1)
        .says(&["refuses the DDL of `schema.sql`", "syntax error"]);
    run(&stage, "migrate", "ddl = \"nowhere.sql\"\n", &[]).exits(2).says(&["`", "nowhere.sql` cannot be read"]);
}

#[test]
fn parity_queries_are_timed_on_both_sides_and_must_agree() {
    let stage = Stage::new(SHOP);
    let text = r#"
        [[parity]]
        name = "orders by state"
        sql = "SELECT state, count(*) FROM orders GROUP BY state ORDER BY state"
        times = 7
        [[parity]]
        name = "the last one"
        source = "SELECT max(placed) FROM orders"
        target = "SELECT to_char(max(placed), 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"') FROM orders"
    "#;
    let ran = run(&stage, "migrate", text, &[]).exits(0);
    for words in
        ["parity orders by state: same answer · source ", "(median of 7) · target ", "parity the last one: same answer"]
    {
        let told = ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(told.contains(words), "{words}\n{told}");
    }
    let json: serde_json::Value =
        serde_json::from_str(&run(&stage, "migrate", text, &["--json"]).exits(0).stdout).unwrap();
    assert_eq!(json["parity"][0]["times"], 7);
    assert_eq!(json["parity"][0]["target"]["text"], "open,1\npaid,1");
    assert!(json["parity"][1]["source"]["us"].as_u64().is_some());
    run(
        &stage,
        "migrate",
        &format!(
            "{text}\n[[show]]\nname = \"all states\"\ntarget = \"SELECT DISTINCT state FROM orders ORDER BY 1\"\n"
        ),
        &["--report", "r"],
    )
    .exits(0);
    let page = std::fs::read_to_string(stage.dir.path().join("r/report.html")).unwrap();
    for words in ["The same questions, timed", "orders by state (median of 7)", "all states", "open"] {
        assert!(page.contains(words), "{words}");
    }
    let text_of = |parity: &str| format!("[[parity]]\nname = \"p\"\n{parity}\n");
    run(&stage, "migrate", &text_of("source = \"SELECT 1\"\ntarget = \"SELECT 2\""), &["--report", "bad"]).exits(5);
    let page = std::fs::read_to_string(stage.dir.path().join("bad/report.html")).unwrap();
    assert!(page.contains("a check failed"), "a page never says verified where answers differ");
    for (parity, says) in [
        ("sql = \"SELECT count(*) FROM orders WHERE note IS NULL OR note = 'X'\"", None),
        ("source = \"SELECT 1\"\ntarget = \"SELECT 2\"", Some("parity `p`: both sides do not say the same")),
        ("source = \"SELECT 1\"\ntarget = \"SELECT random()\"", Some("its answers differ among themselves")),
        ("sql = \"SELECT nowhere\"", Some("refuses: no such column: nowhere")),
    ] {
        let ran = run(&stage, "migrate", &format!("[[parity]]\nname = \"p\"\n{parity}\n"), &[])
            .exits(if says.is_some() { 5 } else { 0 });
        let told = format!("{} {}", ran.stdout, ran.stderr).split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(says.is_none_or(|words| told.contains(words)), "{told}");
    }
    run(&stage, "migrate", "[[parity]]\nname = \"p\"\nsource = \"SELECT 1\"\ntimes = 0\n", &[]).exits(2).says(&[
        "2 mistakes",
        "one `sql` for both sides",
        "`times` lies between 1 and 1000",
    ]);
}

#[test]
fn both_sides_are_backed_up_before_anything_is_written_and_old_copies_go() {
    let stage = Stage::new(SHOP);
    stage
        .seen
        .batch("CREATE TABLE kept (id int PRIMARY KEY, v text); INSERT INTO kept VALUES (1, 'precious')")
        .unwrap();
    let old = ["app-20200101T000000Z.db", "app-20200101T000000Z.db.blake3", "app-20200101T000000Z.other"];
    std::fs::create_dir(stage.dir.path().join("safe")).unwrap();
    for name in old {
        stage.write(&format!("safe/{name}"), "old");
    }
    let before = bytes_of(&stage.path).0;
    let ran = run(&stage, "migrate", "[backup]\ndir = \"safe\"\nkeep_days = 30\n", &["--json"]).exits(0);
    let summary: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    let files = files(&stage, "safe");
    assert_eq!(files.len(), 5, "{files:?}");
    assert!(files.contains(&old[2].to_owned()) && !files.contains(&old[0].to_owned()), "{files:?}");
    for (backup, side) in summary["backups"].as_array().unwrap().iter().zip(["source", "target"]) {
        assert_eq!(backup["side"], side);
        let path = Path::new(backup["file"].as_str().unwrap());
        assert_eq!(std::fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        let hash = blake3::hash(&std::fs::read(path).unwrap()).to_hex().to_string();
        assert_eq!(backup["blake3"], hash.as_str());
        let sum = std::fs::read_to_string(format!("{}.blake3", path.display())).unwrap();
        assert_eq!(sum, format!("{hash}  {}\n", path.file_name().unwrap().to_string_lossy()));
    }
    assert_eq!(bytes_of(&stage.path).0, before, "the source is only read");
    let copy = summary["backups"][0]["file"].as_str().unwrap();
    let rows: i64 = Connection::open(copy).unwrap().query_row("SELECT count(*) FROM orders", [], |r| r.get(0)).unwrap();
    assert_eq!(rows, 2);
    // The dump is one that pg_restore puts back, without what came after it.
    let restored = database();
    let dump = summary["backups"][1]["file"].as_str().unwrap();
    let bin = std::env::var("PG_BIN").unwrap_or_else(|_| "/usr/lib/postgresql/15/bin".to_owned());
    let restore = Command::new(Path::new(&bin).join("pg_restore"))
        .args([
            "--no-owner",
            "-h",
            &restored.host(),
            "-p",
            &restored.port().to_string(),
            "-U",
            restored.user(),
            "-d",
            restored.dbname(),
            dump,
        ])
        .output()
        .unwrap();
    assert!(restore.status.success(), "{}", String::from_utf8_lossy(&restore.stderr));
    let there = session(&restored);
    assert_eq!(value(&there, "SELECT v FROM kept"), "precious");
    assert_eq!(value(&there, "(to_regclass('orders'), to_regclass('lite2pg.run'))"), "(,)");
}

#[test]
fn an_empty_target_needs_no_dump_and_the_command_line_asks_for_backups_too() {
    let stage = Stage::new(SHOP);
    let ran = run(&stage, "migrate", "", &["--backup", "b"]).exits(0);
    ran.says(&["backup: the target holds no rows"]);
    assert_eq!(files(&stage, "b").len(), 2);
    let ran = run(&stage, "migrate", "[backup]\nsource = false\ntarget = false\n", &["--restart"]).exits(0);
    assert!(!ran.stdout.contains("backup of"), "{}", ran.stdout);
}

#[test]
fn a_pg_dump_that_is_older_than_the_server_or_missing_is_told_beforehand() {
    let stage = Stage::new(SHOP);
    stage.seen.batch("CREATE TABLE kept AS SELECT 1 AS x").unwrap();
    let before = listing(&stage.seen);
    for (script, says) in [
        (None, "no `pg_dump` is installed"),
        (Some("#!/bin/sh\necho 'pg_dump (PostgreSQL) 9.6.24'"), "each `pg_dump` here is older than the server"),
        (
            Some(
                "#!/bin/sh\n[ \"$1\" = --version ] && echo 'pg_dump (PostgreSQL) 99.1' || { echo 'pg_dump: error: no luck' >&2; exit 1; }",
            ),
            "pg_dump: error: no luck",
        ),
    ] {
        let bin = TempDir::new().unwrap();
        if let Some(script) = script {
            let path = bin.path().join("pg_dump");
            std::fs::write(&path, script).unwrap();
            std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let file = stage.write("shop.toml", "source = \"app.db\"\n[backup]\nsource = false\n");
        let mut command = program();
        command.arg("migrate").arg("-p").arg(file).args(["--target", &url(&stage.target)]).env("PG_BIN", bin.path());
        ended(command.output().unwrap()).exits(3).says(&[says, "nothing was written", "hint:"]);
        assert_eq!(listing(&stage.seen), before);
        assert!(files(&stage, "backups").is_empty(), "{:?}", files(&stage, "backups"));
    }
}

#[test]
fn a_run_never_has_more_connections_than_it_may() {
    let stage = Stage::new(
        "CREATE TABLE a (id INTEGER PRIMARY KEY, v TEXT); CREATE TABLE b (id INTEGER PRIMARY KEY, v TEXT); \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 20000) INSERT INTO a SELECT i, printf('%0200d', i) FROM n; \
         INSERT INTO b SELECT * FROM a; CREATE INDEX a_v ON a (v); CREATE INDEX b_v ON b (v);",
    );
    // The server itself counts, and keeps a line of each connection that it did not let in.
    let (database, role) = (stage.target.dbname(), "counted");
    let allowed = format!(
        "CREATE ROLE {role} LOGIN; GRANT CREATE ON DATABASE {database} TO {role}; GRANT ALL ON SCHEMA public TO {role}"
    );
    stage.seen.batch(&allowed).unwrap();
    let target = format!("host={} port={} user={role} dbname={database}", stage.target.host(), stage.target.port());
    let log = Path::new(&stage.target.host()).join("log");
    for (connections, more) in [(3, &[][..]), (4, &["--truncate"][..]), (7, &["--truncate", "--jobs", "2"][..])] {
        stage.seen.batch(&format!("ALTER ROLE {role} CONNECTION LIMIT {connections}")).unwrap();
        let file = stage.file(&format!("[settings]\nconnections = {connections}\n"));
        let mut command = program();
        command.args(["migrate", "-p"]).arg(&file).args(["--target", &target]).args(more).current_dir(stage.dir.path());
        ended(command.output().unwrap()).exits(0);
        let refused = std::fs::read_to_string(&log)
            .unwrap()
            .matches(&format!("too many connections for role \"{role}\""))
            .count();
        assert_eq!(refused, 0, "of {connections}");
    }
    stage.seen.batch(&format!("ALTER ROLE {role} CONNECTION LIMIT 1")).unwrap();
    let file = stage.file("[settings]\nconnections = 3\n");
    let mut command = program();
    command.args(["verify", "-p"]).arg(&file).args(["--target", &target]).current_dir(stage.dir.path());
    assert_ne!(ended(command.output().unwrap()).code, 0, "the server refuses what is too many");
    assert!(std::fs::read_to_string(&log).unwrap().contains(&format!("too many connections for role \"{role}\"")));
}

#[test]
fn settings_bound_connections_transactions_and_waiting() {
    let stage = Stage::new(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT); \
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 5000) INSERT INTO t SELECT i, 'v' || i FROM n;",
    );
    run(&stage, "migrate", "[settings]\nconnections = 3\nrange_rows = 1000\nconnect_timeout = 5\n", &["--jobs", "4"])
        .exits(0);
    assert_eq!(stage.there("SELECT count(*) FROM lite2pg.range"), "5");
    assert_eq!(stage.there("SELECT count(*) FROM t"), "5000");
    let holder = session(&stage.target);
    holder.batch("BEGIN; LOCK TABLE t").unwrap();
    let ran = run(&stage, "migrate", "[settings]\nlock_timeout = 1\n", &["--truncate"]);
    assert_ne!(ran.code, 0);
    assert!(ran.stderr.contains("lock timeout"), "{}", ran.stderr);
    run(&stage, "migrate", "[settings]\nconnections = 2\nrange_rows = 0\n", &[])
        .exits(2)
        .says(&["2 mistakes", "3 are the least"]);
}

/// The sources of the fixtures, and those of a corpus where one is named.
fn sources() -> Vec<(TempDir, PathBuf)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures");
    let mut all: Vec<(TempDir, PathBuf)> = ["names.sql", "schema.sql", "types.sql"]
        .map(|name| source(&std::fs::read_to_string(folder.join(name)).unwrap()))
        .into();
    all.push(source(SHOP));
    all.push(source("CREATE TABLE \"a\"\"b.c\\ \u{e9}\" (\"x y\" INTEGER PRIMARY KEY, \"tab\tand\nline\" TEXT, \"#\" DECIMAL(5,2), t DATETIME)"));
    let corpus = std::env::var_os("LITE2PG_CORPUS").map(PathBuf::from);
    for entry in corpus.iter().flat_map(|folder| std::fs::read_dir(folder).unwrap()) {
        let path = entry.unwrap().path();
        if std::fs::read(&path).is_ok_and(|bytes| bytes.starts_with(b"SQLite format 3\0")) {
            all.push((TempDir::new().unwrap(), path));
        }
    }
    all
}

#[test]
fn a_file_that_init_writes_loads_again_with_all_its_settings_on_or_off() {
    for (dir, path) in sources() {
        let file = dir.path().join("made.toml");
        ended(program().arg("init").arg(&path).arg("-o").arg(&file).output().unwrap()).exits(0);
        let text = std::fs::read_to_string(&file).unwrap();
        let plan =
            |file: &Path| ended(program().args(["plan", "--json", "-p"]).arg(file).output().unwrap()).exits(0).stdout;
        let off: serde_json::Value = serde_json::from_str(&plan(&file)).unwrap();
        let on = dir.path().join("on.toml");
        let is_prose = |line: &str| line == "#" || line.starts_with("# ");
        let lines = text.lines().map(|line| if is_prose(line) { line } else { line.strip_prefix('#').unwrap_or(line) });
        std::fs::write(&on, lines.collect::<Vec<_>>().join("\n")).unwrap();
        let on: serde_json::Value = serde_json::from_str(&plan(&on)).unwrap();
        let types = |plan: &serde_json::Value| -> Vec<String> {
            let tables = plan["tables"].as_array().unwrap().iter();
            let columns = tables.flat_map(|t| t["columns"].as_array().unwrap().iter());
            columns.map(|c| format!("{} {}", c["target"], c["pg_type"])).collect()
        };
        assert_eq!(types(&on), types(&off), "{}\n{text}", path.display());
        assert!(text.matches("\n[[table]]\n").count() == off["tables"].as_array().unwrap().len(), "{text}");
    }
}

#[test]
fn init_reads_well_and_leaves_files_that_are_there() {
    let stage = Stage::new(SHOP);
    let init = |more: &[&str]| ended(program().arg("init").args(more).current_dir(stage.dir.path()).output().unwrap());
    insta::assert_snapshot!(init(&["app.db"]).exits(0).stdout);
    stage.write("there.toml", "mine");
    init(&["app.db", "-o", "there.toml"]).exits(2).says(&["there.toml` cannot be written", "it is there already"]);
    assert_eq!(std::fs::read_to_string(stage.dir.path().join("there.toml")).unwrap(), "mine");
    init(&["app.db", "-o", "shop.toml"]).exits(0);
    let mut run = program();
    run.args(["migrate", "-p", "shop.toml", "--target", &url(&stage.target)]).current_dir(stage.dir.path());
    ended(run.output().unwrap()).exits(0);
    assert_eq!(stage.there("SELECT count(*) FROM orders"), "2");
    init(&["nowhere.db"]).exits(6);
}

#[test]
fn the_schema_of_the_files_is_printed_for_editors() {
    let ran = ended(program().args(["init", "--json-schema"]).output().unwrap()).exits(0);
    let schema: serde_json::Value = serde_json::from_str(&ran.stdout).unwrap();
    for key in ["table", "ddl", "parity", "backup", "settings", "migrations"] {
        assert!(schema["properties"][key].is_object(), "{key}");
    }
    assert_eq!(schema["additionalProperties"], false);
}

#[test]
fn what_was_written_into_a_run_s_tables_is_dumped_before_a_restart_drops_them() {
    let stage = Stage::new(SHOP);
    run(&stage, "migrate", "", &[]).exits(0);
    stage.seen.batch("INSERT INTO orders VALUES (77, 'open', now(), 'written since')").unwrap();
    run(&stage, "migrate", "[backup]\nsource = false\n", &["--restart"]).exits(0).says(&["backup of the target"]);
    assert_eq!(stage.there("SELECT count(*) FROM orders"), "2");
    let dump = files(&stage, "backups").into_iter().find(|name| !name.contains(".blake3")).unwrap();
    let bin = std::env::var("PG_BIN").unwrap_or_else(|_| "/usr/lib/postgresql/15/bin".to_owned());
    let shown = Command::new(Path::new(&bin).join("pg_restore"))
        .args(["--data-only", "--table=orders", "--file=-"])
        .arg(stage.dir.path().join("backups").join(dump))
        .output()
        .unwrap();
    assert!(String::from_utf8_lossy(&shown.stdout).contains("written since"));
}

#[test]
fn an_application_s_own_tables_follow_what_the_file_says_of_them() {
    let here = "CREATE TABLE schema_migrations (version TEXT PRIMARY KEY); INSERT INTO schema_migrations VALUES ('1'), ('2');
        CREATE TABLE my_versions (v INTEGER); INSERT INTO my_versions VALUES (1); CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1);";
    let there = "CREATE TABLE schema_migrations (version text PRIMARY KEY); CREATE TABLE my_versions (v int); CREATE TABLE t (id int PRIMARY KEY)";
    let runs = |text: &str, code: i32, rows: &str| {
        let stage = Stage::new(here);
        stage.seen.batch(there).unwrap();
        run(&stage, "migrate", &format!("data_only = true\n{text}"), &[]).exits(code);
        let counts = "SELECT (SELECT count(*) FROM schema_migrations) || ' ' || (SELECT count(*) FROM my_versions) || ' ' || (SELECT count(*) FROM t)";
        assert_eq!(stage.there(counts), rows, "{text}");
        stage
    };
    runs("", 3, "0 0 0");
    runs("[migrations]\nignore = true\n", 0, "0 1 1");
    runs("[migrations]\nignore = true\ntables = [\"my_versions\"]\n", 0, "0 0 1");
    runs("[migrations]\nmove = [\"SCHEMA_migrations\"]\n", 0, "2 1 1");
    runs("[[table]]\nfrom = \"schema_migrations\"\nwhere = \"version = '2'\"\n", 0, "1 1 1");
    // A run that was left unfinished goes on without them, and so does a comparison by its plan.
    let stage = runs("[migrations]\nignore = true\n", 0, "0 1 1");
    run(&stage, "verify", "data_only = true\n[migrations]\nignore = true\n", &[]).exits(0);
    stage.seen.batch("UPDATE lite2pg.run SET state = 'copying'").unwrap();
    run(&stage, "migrate", "data_only = true\n[migrations]\nignore = true\n", &[])
        .exits(0)
        .says(&["going on with run"]);
    // Compared with a target that lite2pg knows nothing of, they are left out too.
    stage.seen.batch("DROP SCHEMA lite2pg CASCADE").unwrap();
    run(&stage, "verify", "", &[]).exits(0);
}
