//! What must not be seen: passwords, by whatever way they are given, and values of rows, wherever a cell fails.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use lite2pg::postgres::{Embedded, EmbeddedOptions, Session, Target};
use std::fs::{self, Permissions};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use support::program::{Ran, Running, ended, program, source, until, url, value};
use support::{database, session};
use tempfile::TempDir;

// ---------------------------------------------------------------------------------------------------------
// Passwords
// ---------------------------------------------------------------------------------------------------------

/// Everything that some syntax takes for something else stands between two words that are looked for.
const PASSWORD: &str = "Hunter2Xyzzy@:/?#%&' \"\\=é;$`{}Sesame9Plugh";
const WORDS: [&str; 2] = ["Hunter2Xyzzy", "Sesame9Plugh"];

struct Guarded {
    server: Embedded,
    port: u16,
}

impl Guarded {
    fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(self.server.dir().join("log")).unwrap()).into_owned()
    }
}

/// A server that asks for passwords and writes down every statement.
fn guarded() -> &'static Guarded {
    static SERVER: OnceLock<Guarded> = OnceLock::new();
    SERVER.get_or_init(|| {
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let settings = [
            ("listen_addresses", "127.0.0.1"),
            ("port", &port.to_string()),
            ("log_statement", "all"),
            ("log_connections", "on"),
            ("log_min_duration_statement", "0"),
            ("log_parameter_max_length_on_error", "-1"),
        ];
        let server = Embedded::start(&EmbeddedOptions {
            settings: settings.map(|(name, value)| (name.to_owned(), value.to_owned())).to_vec(),
            hba: vec!["host all guest 127.0.0.1/32 scram-sha-256".to_owned()],
            ..EmbeddedOptions::default()
        })
        .unwrap();
        let password = PASSWORD.replace('\'', "''");
        let admin = session(&server.target());
        // The tests' own statement is the only one that may hold it.
        admin.batch("SET log_statement = none; SET log_min_duration_statement = -1").unwrap();
        admin.batch(&format!("CREATE ROLE guest LOGIN CREATEDB PASSWORD '{password}'")).unwrap();
        Guarded { server, port }
    })
}

/// A fresh database that the guest owns.
fn guest_database() -> String {
    static NEXT: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let name = format!("guest_{}", NEXT.fetch_add(1, std::sync::atomic::Ordering::Relaxed));
    session(&guarded().server.target()).batch(&format!("CREATE DATABASE {name} OWNER guest")).unwrap();
    name
}

fn percent(text: &str) -> String {
    text.bytes().fold(String::new(), |out, b| out + &format!("%{b:02X}"))
}

fn pair(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"))
}

/// A way to give a password: the argument TARGET, if any, and what is around the program.
struct Way {
    name: &'static str,
    target: Option<String>,
    vars: Vec<(&'static str, String)>,
}

fn ways(home: &Path, dbname: &str, password: &str, port: u16) -> Vec<Way> {
    let secret = |name: &str, content: String| {
        let path = home.join(name);
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    };
    let escaped = password.replace('\\', "\\\\").replace(':', "\\:");
    let line = format!("127.0.0.1:{port}:{dbname}:guest:{escaped}\n");
    let elsewhere = secret("elsewhere", line.clone());
    let service = secret(
        "service.conf",
        format!("[app]\nhost=127.0.0.1\nport={port}\nuser=guest\ndbname={dbname}\npassword={password}\n"),
    );
    let bare = format!("host=127.0.0.1 port={port} user=guest dbname={dbname}");
    let full = format!("postgres://guest:{}@127.0.0.1:{port}/{dbname}", percent(password));
    let way = |name, target: Option<&str>, vars: Vec<(&'static str, String)>| Way {
        name,
        target: target.map(str::to_owned),
        vars,
    };
    let mut all = vec![
        way("URL", Some(&full), vec![]),
        way(
            "URL parameter",
            Some(&format!("postgresql://127.0.0.1:{port}/{dbname}?user=guest&password={}", percent(password))),
            vec![],
        ),
        way("pairs", Some(&format!("{bare} password={}", pair(password))), vec![]),
        way("PGPASSWORD", Some(&bare), vec![("PGPASSWORD", password.to_owned())]),
        way("DATABASE_URL", None, vec![("DATABASE_URL", full.clone())]),
        way("DATABASE_URL with pairs", None, vec![("DATABASE_URL", format!("{bare} password={}", pair(password)))]),
        way("service", Some("service=app"), vec![("PGSERVICEFILE", service.clone())]),
        way("PGSERVICE", Some(""), vec![("PGSERVICEFILE", service), ("PGSERVICE", "app".to_owned())]),
        way("PGPASSFILE", Some(&bare), vec![("PGPASSFILE", elsewhere.clone())]),
        way("passfile", Some(&format!("{bare} passfile={}", pair(&elsewhere))), vec![]),
    ];
    let own = home.join("own");
    fs::create_dir_all(&own).unwrap();
    fs::write(own.join(".pgpass"), line).unwrap();
    fs::set_permissions(own.join(".pgpass"), Permissions::from_mode(0o600)).unwrap();
    all.push(way(".pgpass", Some(&bare), vec![("HOME", own.display().to_string())]));
    all
}

#[track_caller]
fn holds_no_password(what: &str, text: &str) {
    for word in WORDS.iter().map(|w| (*w).to_owned()).chain(WORDS.map(percent)) {
        if let Some(at) = text.find(&word) {
            let start = text[..at].char_indices().rev().nth(200).map_or(0, |(i, _)| i);
            panic!("{what} holds a password: …{}", &text[start..at + word.len()]);
        }
    }
}

fn run(way: &Way, verb: &str, path: &Path, more: &[&str], cwd: &Path) -> Ran {
    let mut command = program();
    command
        .arg(verb)
        .arg(path)
        .args(&way.target)
        .args(more)
        .envs(way.vars.iter().map(|(k, v)| (k, v)))
        .current_dir(cwd);
    let ran = ended(command.output().unwrap());
    holds_no_password(&format!("stdout of {verb} {more:?} by {}", way.name), &ran.stdout);
    holds_no_password(&format!("stderr of {verb} {more:?} by {}", way.name), &ran.stderr);
    ran
}

#[test]
fn a_password_is_seen_nowhere_whatever_way_it_is_given() {
    let guarded = guarded();
    let home = TempDir::new().unwrap();
    let (dir, path) =
        source("CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT NOT NULL); INSERT INTO t VALUES (1, 'a'), (2, 'b')");
    let cwd = dir.path().join("cwd");
    fs::create_dir(&cwd).unwrap();
    for i in 0..11 {
        let dbname = guest_database();
        let way = &ways(home.path(), &dbname, PASSWORD, guarded.port)[i];
        let seen = session(&guarded.server.target().with_dbname(&dbname));
        run(way, "migrate", &path, &["--dry-run", "--sql"], &cwd).exits(0);
        let ran = run(way, "migrate", &path, &[], &cwd).exits(0);
        let on_command_line = ran.stderr.contains("holds a password");
        let stated = matches!(way.name, "URL" | "URL parameter" | "pairs");
        assert_eq!(on_command_line, stated, "{}: {}", way.name, ran.stderr);
        run(way, "migrate", &path, &["--restart", "--json", "--log-format", "json"], &cwd).exits(0);
        seen.batch("UPDATE t SET x = 'c' WHERE id = 2").unwrap();
        run(way, "verify", &path, &["--json", "--log-format", "json", "--show-values"], &cwd).exits(5);
        run(way, "migrate", &path, &["--schema", "other", "--include", "nothing"], &cwd).exits(2);
        if let Some(target) = &way.target {
            let only = Way { name: way.name, target: Some(target.clone()), vars: way.vars.clone() };
            run(&only, "bench", &path, &["--rounds", "1", "--jobs", "1", "--csv", "b.csv", "--svg", "b.svg"], &cwd)
                .exits(0);
        }
        for table in ["run", "range", "object", "original", "foreign_key"] {
            let text = value(&seen, &format!("SELECT string_agg(t::text, ' ') FROM lite2pg.{table} t"));
            holds_no_password(&format!("lite2pg.{table} after {}", way.name), &text);
        }
    }
    holds_no_password("the server's log", &guarded.log());
    assert!(guarded.log().contains("statement:"), "statements are logged");
    let written: Vec<PathBuf> = files_below(&cwd);
    assert!(written.len() >= 3, "{written:?}");
    for file in written {
        holds_no_password(&file.display().to_string(), &String::from_utf8_lossy(&fs::read(&file).unwrap()));
    }
}

fn files_below(dir: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(dir).unwrap().map(|e| e.unwrap().path());
    entries.flat_map(|p| if p.is_dir() { files_below(&p) } else { vec![p] }).collect()
}

#[test]
fn a_password_that_is_wrong_or_cannot_be_read_is_not_repeated() {
    let port = guarded().port;
    let home = TempDir::new().unwrap();
    let (dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let wrong = format!("{PASSWORD} or so");
    for log in ["text", "json"] {
        for way in ways(home.path(), "postgres", &wrong, port) {
            run(&way, "migrate", &path, &["--log-format", log], dir.path())
                .exits(7)
                .says(&["refused the password of `guest`"]);
        }
        // A port at which nobody listens.
        for way in ways(home.path(), "postgres", PASSWORD, 1) {
            run(&way, "verify", &path, &["--log-format", log], dir.path()).exits(7).says(&["nothing listens at"]);
        }
    }
    // Strings that cannot be followed: whatever a message says, it repeats no piece of them.
    let (a, z) = (WORDS[0], WORDS[1]);
    for (code, target) in [
        (2, format!("postgres://guest:{a}/{z}@127.0.0.1:{port}/x")),
        (2, format!("postgres://guest:{a}@{z}@127.0.0.1:{port}/x")),
        (2, format!("postgres://guest:{a}#{z}@127.0.0.1:port/x")),
        (2, format!("postgres://guest:{a}%zz{z}@127.0.0.1/x")),
        (2, format!("postgres://guest:{a}@127.0.0.1/x?{z}")),
        (2, format!("postgres://guest:{a}@127.0.0.1/x?{z}=1")),
        (2, format!("postgres://guest:{a}@127.0.0.1/x?sslmode={z}")),
        (2, format!("postgres://guest:{a}@127.0.0.1/x?options={z}&password2={z}")),
        (2, format!("postgres://guest@127.0.0.1/x?passwd={a}{z}")),
        (2, format!("mysql://guest:{a}{z}@127.0.0.1/x")),
        (2, format!("host=127.0.0.1 password='{a} {z}")),
        (2, format!("host=127.0.0.1 password={a} {z}")),
        (2, format!("host=127.0.0.1 pasword={a}{z}")),
        (2, format!("host=127.0.0.1 password={a} port={z}")),
        (2, format!("guest:{a}@127.0.0.1/{z}")),
        (7, format!("host=127.0.0.1 port=1 password='{a}' options='{z}'")),
    ] {
        for log in ["text", "json"] {
            let way = Way { name: "a bad string", target: Some(target.clone()), vars: vec![] };
            run(&way, "migrate", &path, &["--log-format", log], dir.path()).exits(code).says(&["hint"]);
            run(&way, "verify", &path, &["--log-format", log], dir.path()).exits(code);
            run(&way, "bench", &path, &["--log-format", log], dir.path()).exits(code);
            let way = Way { name: "DATABASE_URL", target: None, vars: vec![("DATABASE_URL", target.clone())] };
            run(&way, "migrate", &path, &["--log-format", log], dir.path()).exits(code);
        }
    }
}

#[test]
fn a_password_in_the_wrong_place_of_the_command_line_is_not_repeated() {
    let (dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY)");
    let path = path.to_str().unwrap();
    let (a, z) = (WORDS[0], WORDS[1]);
    let full = format!("postgres://guest:{a}{z}@127.0.0.1:1/x");
    let pairs = format!("password={a}{z}");
    for arguments in [
        // Not quoted, and so in pieces.
        &["migrate", path, "host=127.0.0.1", &pairs][..],
        &["migrate", path, "password=x", a, z],
        &["verify", path, "host=127.0.0.1", &format!("password={a}"), z],
        // The two arguments swapped.
        &["migrate", &full, path],
        &["migrate", &pairs],
        &["verify", &full, &full],
        &["bench", &full],
        &["migrate", &format!("host=x {pairs}"), path],
        // The verb forgotten, or the value of another option.
        &[&full],
        &[&pairs],
        &["migrate", path, "--jobs", &full],
        &["migrate", path, &format!("--jobs={full}")],
        &["migrate", path, "--on-conflict", &full],
        &["migrate", path, "--truncate", "--restart", &full],
        &["migrate", path, &full, &full],
        &["verify", path, &full, "--key", &full],
        &["bench", path, "embedded", &full],
        &["migrate", path, &format!("--target={full}")],
    ] {
        let mut command = program();
        let ran = ended(command.args(arguments).current_dir(dir.path()).output().unwrap());
        assert_eq!(ran.code, 2, "{arguments:?}: {}", ran.stderr);
        holds_no_password(&format!("{arguments:?}"), &(ran.stdout + &ran.stderr));
    }
}

#[test]
fn a_password_that_is_not_on_the_command_line_stays_out_of_the_list_of_processes() {
    let guarded = guarded();
    let (dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    let dbname = guest_database();
    let home = TempDir::new().unwrap();
    let seen = session(&guarded.server.target().with_dbname(&dbname));
    let ways = ways(home.path(), &dbname, PASSWORD, guarded.port);
    for way in ways.iter().filter(|w| ["PGPASSWORD", "DATABASE_URL", ".pgpass", "service"].contains(&w.name)) {
        seen.batch("DROP SCHEMA IF EXISTS lite2pg CASCADE; DROP TABLE IF EXISTS t; SELECT pg_advisory_lock_shared(1815244904, 0)").unwrap();
        let mut command = program();
        command
            .arg("migrate")
            .arg(&path)
            .args(&way.target)
            .envs(way.vars.iter().map(|(k, v)| (k, v)))
            .current_dir(dir.path());
        let mut running = Running::start(&mut command);
        // It waits where it would make its control schema: everything of its start-up is behind it.
        until(
            &seen,
            "EXISTS (SELECT FROM pg_locks WHERE locktype = 'advisory' AND classid = 1815244904 AND NOT granted)",
        );
        // Itself and whatever it may have started.
        let id = running.id().to_string();
        let listed =
            ended(Command::new("ps").args(["-ww", "-o", "pid,args", "-p", &id, "--ppid", &id]).output().unwrap())
                .stdout;
        assert!(listed.contains("migrate"), "{listed}");
        holds_no_password(&format!("ps, by {}", way.name), &listed);
        let activity = value(&seen, "SELECT string_agg(a::text, ' ') FROM pg_stat_activity a");
        holds_no_password("pg_stat_activity", &activity);
        seen.batch("SELECT pg_advisory_unlock_all()").unwrap();
        running.end().exits(0);
    }
}

// ---------------------------------------------------------------------------------------------------------
// Values of rows
// ---------------------------------------------------------------------------------------------------------

const MARKER: &str = "Marker7Qux";

/// A row that holds the marker, into a table that takes it not.
struct Refused {
    what: &'static str,
    source: &'static str,
    target: &'static str,
    more: &'static [&'static str],
}

const REFUSALS: &[Refused] = &[
    Refused { what: "a text in a column of numbers", source: "x TEXT", target: "x bigint", more: &[] },
    Refused { what: "a text in a column of times", source: "x TEXT", target: "x timestamptz", more: &[] },
    Refused { what: "a text that is no uuid", source: "x TEXT", target: "x uuid", more: &[] },
    Refused { what: "a text that is no JSON", source: "x TEXT", target: "x jsonb", more: &[] },
    Refused { what: "a text that is no JSON", source: "x TEXT", target: "x json", more: &[] },
    Refused { what: "a text that is too long", source: "x TEXT", target: "x varchar(3)", more: &[] },
    Refused {
        what: "an unknown label",
        source: "x TEXT",
        target: "x mood",
        more: &["CREATE TYPE mood AS ENUM ('glad')"],
    },
    Refused { what: "a check", source: "x TEXT", target: "x text CHECK (length(x) < 3)", more: &[] },
    Refused {
        what: "a check of a domain",
        source: "x TEXT",
        target: "x short",
        more: &["CREATE DOMAIN short AS text CHECK (length(value) < 3)"],
    },
    Refused { what: "a unique column", source: "x TEXT", target: "x text UNIQUE", more: &["TWICE"] },
    Refused {
        what: "an exclusion",
        source: "x TEXT",
        target: "x text, EXCLUDE USING btree (x WITH =)",
        more: &["TWICE"],
    },
    Refused {
        what: "NOT NULL of another column",
        source: "x TEXT, n TEXT",
        target: "x text, n text NOT NULL",
        more: &[],
    },
    Refused {
        what: "a foreign key",
        source: "x TEXT",
        target: "x text REFERENCES parent",
        more: &["CREATE TABLE parent (x text PRIMARY KEY)"],
    },
    Refused {
        what: "an index on an expression",
        source: "x TEXT",
        target: "x text",
        more: &["CREATE INDEX ON t ((x::int8))"],
    },
    Refused {
        what: "a generated column",
        source: "x TEXT",
        target: "x text, g bigint GENERATED ALWAYS AS (x::bigint) STORED",
        more: &[],
    },
    Refused {
        what: "a trigger that raises",
        source: "x TEXT",
        target: "x text",
        more: &["TRIGGER RAISE EXCEPTION 'no %', new.x USING DETAIL = new.x, HINT = new.x"],
    },
    Refused {
        what: "a trigger that raises with a code",
        source: "x TEXT",
        target: "x text",
        more: &["TRIGGER RAISE EXCEPTION 'no %', new.x USING ERRCODE = 'U0001'"],
    },
    Refused {
        what: "a trigger that fails",
        source: "x TEXT",
        target: "x text",
        more: &["TRIGGER EXECUTE format('SELECT %L::int', new.x)"],
    },
    Refused {
        what: "a trigger whose statement fails",
        source: "x TEXT",
        target: "x text",
        more: &["TRIGGER EXECUTE format('SELECT 1 FROM nowhere WHERE x = %L', new.x)"],
    },
];

/// A source with the marker and a table that refuses it.
fn refusing(case: &Refused, target: &Target) -> (TempDir, PathBuf, Session) {
    let twice = case.more.contains(&"TWICE");
    let second = if twice { format!("; INSERT INTO t (id, x) VALUES (2, '{MARKER} is here')") } else { String::new() };
    let (dir, path) = source(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, {}); INSERT INTO t (id, x) VALUES (1, '{MARKER} is here'){second}",
        case.source
    ));
    let seen = session(target);
    let (before, after): (Vec<&str>, Vec<&str>) =
        case.more.iter().partition(|sql| !sql.contains(" ON t ") && !sql.starts_with("TRIGGER"));
    for sql in before.iter().filter(|sql| **sql != "TWICE") {
        seen.batch(sql).unwrap();
    }
    seen.batch(&format!("CREATE TABLE t (id bigint PRIMARY KEY, {})", case.target)).unwrap();
    for sql in after {
        match sql.strip_prefix("TRIGGER ") {
            Some(body) => seen
                .batch(&format!(
                    "CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS $f$ BEGIN {body}; RETURN new; END $f$; \
                     CREATE TRIGGER g BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION f()"
                ))
                .unwrap(),
            None => seen.batch(sql).unwrap(),
        }
    }
    (dir, path, seen)
}

fn shows_no_value(what: &str, ran: &Ran) {
    for (name, text) in [("stdout", &ran.stdout), ("stderr", &ran.stderr)] {
        assert!(!text.contains("Marker7") && !text.contains("7Qux"), "{what}: {name} holds a value:\n{text}");
    }
}

/// Loads into the table in every manner, and looks at all that is said.
fn loads_without_a_value(case: &Refused, target: &Target) {
    let (dir, path, seen) = refusing(case, target);
    // Foreign keys are in force for a role that is no superuser.
    seen.batch(&format!(
        "DO $$ BEGIN CREATE ROLE plain LOGIN; EXCEPTION WHEN duplicate_object THEN END $$; \
         GRANT CREATE ON DATABASE {} TO plain; GRANT ALL ON ALL TABLES IN SCHEMA public TO plain",
        target.dbname()
    ))
    .unwrap();
    let plain = format!("host={} user=plain dbname={}", target.host(), target.dbname());
    for more in [
        &["--data-only"][..],
        &["--data-only", "--log-format", "json", "--restart"],
        &["--data-only", "--on-conflict", "skip", "--quiet", "--restart"],
        &["--data-only", "--dry-run"],
    ] {
        // What one refusal left of a run is no matter of this test.
        seen.batch("DROP SCHEMA IF EXISTS lite2pg CASCADE").unwrap();
        let more: Vec<&str> = if more.contains(&"--on-conflict") {
            more.iter().copied().filter(|m| *m != "--restart").collect()
        } else {
            more.to_vec()
        };
        let mut command = program();
        let ran =
            ended(command.arg("migrate").arg(&path).arg(&plain).args(&more).current_dir(dir.path()).output().unwrap());
        shows_no_value(&format!("{} {more:?}", case.what), &ran);
        if more == ["--data-only"] {
            assert!([1, 3].contains(&ran.code), "{} was not refused: {} {}", case.what, ran.code, ran.stderr);
        }
        let control = value(&seen, "SELECT to_regclass('lite2pg.run') IS NOT NULL");
        if control == "true" {
            for table in ["run", "range", "object", "foreign_key"] {
                let text = value(&seen, &format!("SELECT string_agg(t::text, ' ') FROM lite2pg.{table} t"));
                assert!(!text.contains(MARKER), "{} {more:?}: lite2pg.{table}: {text}", case.what);
            }
        }
    }
}

#[test]
fn no_message_about_a_cell_that_was_refused_holds_its_value() {
    for case in REFUSALS {
        loads_without_a_value(case, &database());
    }
}

#[test]
fn no_message_of_a_server_that_speaks_german_holds_a_value() {
    let Some(server) = german() else {
        eprintln!("skipped: this PostgreSQL speaks no German");
        return;
    };
    for (i, case) in REFUSALS.iter().enumerate() {
        let admin = session(&server.target());
        admin.batch(&format!("CREATE DATABASE g{i}")).unwrap();
        loads_without_a_value(case, &server.target().with_dbname(format!("g{i}")));
    }
}

/// A server that speaks German, where its translations are installed: they need a locale that is not C, and LANGUAGE.
fn german() -> Option<Embedded> {
    let bin = support::server::shared().target();
    drop(bin);
    let programs = programs()?;
    let dir = tempfile::Builder::new().prefix("german").tempdir_in("/tmp").unwrap();
    fs::set_permissions(dir.path(), Permissions::from_mode(0o755)).unwrap();
    for name in ["initdb", "postgres", "pg_ctl"] {
        let script = format!("#!/bin/sh\nLANGUAGE=de; export LANGUAGE\nexec {}/{name} \"$@\"\n", programs.display());
        fs::write(dir.path().join(name), script).unwrap();
        fs::set_permissions(dir.path().join(name), Permissions::from_mode(0o755)).unwrap();
    }
    let settings = vec![("lc_messages".to_owned(), "C.UTF-8".to_owned())];
    let server =
        Embedded::start(&EmbeddedOptions { bin: Some(dir.path().to_owned()), settings, ..EmbeddedOptions::default() })
            .ok()?;
    let error = session(&server.target()).batch("SELECT 1 FROM nowhere").unwrap_err();
    error.message().contains("existiert nicht").then_some(server)
}

/// Where the programs are that the tests' own server runs by.
fn programs() -> Option<PathBuf> {
    let data = session(&support::server::shared().target());
    let command = value(&data, "SELECT setting FROM pg_settings WHERE name = 'data_directory'");
    let pid = fs::read_to_string(Path::new(&command).join("postmaster.pid")).ok()?.lines().next()?.to_owned();
    fs::read_link(format!("/proc/{pid}/exe")).ok()?.parent().map(Path::to_owned)
}

#[test]
fn what_a_trigger_says_is_shown_to_who_asks_for_values() {
    let case = REFUSALS.iter().find(|case| case.what == "a trigger that raises").unwrap();
    let target = database();
    let (dir, path, _seen) = refusing(case, &target);
    let run = |more: &[&str]| {
        let mut command = program();
        ended(
            command
                .arg("migrate")
                .arg(&path)
                .arg(url(&target))
                .arg("--fire-triggers")
                .args(more)
                .current_dir(dir.path())
                .output()
                .unwrap(),
        )
    };
    let ran = run(&["--data-only"]).exits(1).says(&["a trigger or function of the database raised an error", "hidden"]);
    shows_no_value("hidden", &ran);
    run(&["--data-only", "--show-values"]).exits(1).says(&["no Marker7Qux is here", "detail, as the server wrote it"]);
    let ran = run(&["--data-only", "--show-values", "--log-format", "json"]).exits(1);
    let last: serde_json::Value = serde_json::from_str(ran.stderr.lines().last().unwrap()).unwrap();
    assert!(last["facts"].to_string().contains("no Marker7Qux is here"), "{last}");
}

#[test]
fn no_message_about_a_difference_holds_a_value() {
    let (dir, path) = source(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT, y TEXT); INSERT INTO t VALUES (1, '{MARKER}', 'a'), (2, 'b', 'b'), (3, '{MARKER} 3', 'c');
         CREATE TABLE keyless (x TEXT); INSERT INTO keyless VALUES ('{MARKER}'), ('same');"
    ));
    let target = database();
    let seen = session(&target);
    let run = |verb: &str, more: &[&str]| {
        let mut command = program();
        ended(command.arg(verb).arg(&path).arg(url(&target)).args(more).current_dir(dir.path()).output().unwrap())
    };
    run("migrate", &[]).exits(0);
    seen.batch(&format!(
        "UPDATE t SET x = 'other' WHERE id = 1; UPDATE t SET y = '{MARKER} there' WHERE id = 2; DELETE FROM t WHERE id = 3; \
         INSERT INTO t VALUES (4, '{MARKER} 4', NULL); UPDATE keyless SET x = '{MARKER}!' WHERE x <> 'same'"
    ))
    .unwrap();
    for (verb, more) in [
        ("verify", &[][..]),
        ("verify", &["--json"]),
        ("verify", &["--json", "--log-format", "json"]),
        ("verify", &["--level", "aggregates"]),
        ("migrate", &[]),
        ("migrate", &["--json"]),
    ] {
        shows_no_value(&format!("{verb} {more:?}"), &run(verb, more).exits(5));
    }
    let ran = run("verify", &["--show-values"]).exits(5);
    assert!(ran.stdout.contains(MARKER));
    // A repair that the server refuses.
    seen.batch("ALTER TABLE t ADD CHECK (x NOT LIKE 'Marker%') NOT VALID").unwrap();
    let ran = run("verify", &["--repair"]).exits(1).says(&["cannot be repaired"]);
    shows_no_value("--repair", &ran);
    let ran = run("verify", &["--repair", "--log-format", "json"]).exits(1);
    shows_no_value("--repair", &ran);
}

#[test]
fn no_message_of_the_bench_or_about_a_wider_type_holds_a_value() {
    let (dir, path) = source(&format!(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, d DATETIME, j JSON);
         -- Between two places that the profile reads.
         WITH RECURSIVE k(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM k WHERE i < 70000)
            INSERT INTO t SELECT i, i, '2024-01-01 00:00:00', '{{}}' FROM k;
         UPDATE t SET n = '{MARKER}', d = '{MARKER}', j = '{MARKER}' WHERE id = 35900;"
    ));
    let target = database();
    for (verb, more) in [
        ("migrate", &[][..]),
        ("migrate", &["--log-format", "json", "--restart"]),
        ("bench", &["--rounds", "1", "--jobs", "1"]),
    ] {
        let mut command = program();
        let ran =
            ended(command.arg(verb).arg(&path).arg(url(&target)).args(more).current_dir(dir.path()).output().unwrap())
                .exits(0);
        shows_no_value(&format!("{verb} {more:?}"), &ran);
        if verb == "migrate" {
            let again = ran.stderr.contains("is loaded again") || ran.stderr.contains("\"widened\"");
            assert!(again, "{}", ran.stderr);
        }
    }
}
