//! `lite2pg migrate --report`: the page and its JSON, held against each other, against the target and in a browser.

use super::support::program::{Ran, Running, bytes_of, ended, migrate, program, source, url, value};
use super::support::{database, session};
use lite2pg::model::figures::{bytes, count, duration};
use serde_json::Value;
use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// Names and values that would be markup, and one row of each kind that a report tells of.
const HOSTILE: &str = "
    CREATE TABLE \"<script>alert(1)</script>\" (id INTEGER PRIMARY KEY, \"<img src=x onerror=alert(2)>\" TEXT DEFAULT '\"><script>alert(3)</script>',
        price DECIMAL(6,2), at DATETIME, CHECK (price <> 3 OR '</style>' <> '<b>'));
    INSERT INTO \"<script>alert(1)</script>\" VALUES (1, '</td><script>alert(4)</script>', 1.5, '2024-01-01 00:00:00'), (2, 'Hidden Value', 2.25, NULL);
    CREATE TABLE amounts (id INTEGER PRIMARY KEY, a DECIMAL(6,2)); INSERT INTO amounts VALUES (1, 1.5), (2, 'x'), (3, 9999999);
    CREATE INDEX \"&amp;\" ON amounts (a);
    CREATE TRIGGER \"on\u{202e}load=\" AFTER INSERT ON amounts BEGIN SELECT '<script>alert(5)</script>'; END;";

/// A report on the disk.
struct Written {
    _dir: TempDir,
    folder: PathBuf,
    html: String,
    json: Value,
}

impl Written {
    fn of(sql: &str, code: i32, more: &[&str]) -> Self {
        let (dir, path) = source(sql);
        let folder = dir.path().join("report");
        let rejects = dir.path().join("rejects");
        let target = url(&database());
        let mut arguments = vec![path.to_str().unwrap(), &target, "--quiet", "--report", folder.to_str().unwrap()];
        arguments.extend(["--rejects-dir", rejects.to_str().unwrap()]);
        arguments.extend(more);
        migrate(arguments).exits(code);
        Self::read(dir, folder)
    }

    fn read(dir: TempDir, folder: PathBuf) -> Self {
        let html = fs::read_to_string(folder.join("report.html")).unwrap();
        let json = serde_json::from_str(&fs::read_to_string(folder.join("report.json")).unwrap()).unwrap();
        Self { _dir: dir, folder, html, json }
    }
}

fn hostile() -> Written {
    Written::of(HOSTILE, 4, &["--type", "amounts.a=numeric(6,2)", "--on-error", "reject"])
}

/// Figures of a page: the place in the JSON, the unit, what is shown.
fn figures(page: &str) -> Vec<(String, String, String)> {
    let attribute = |text: &str, name: &str| {
        let (_, rest) = text.split_once(&format!("{name}=\"")).unwrap();
        rest.split_once('"').unwrap().0.to_owned()
    };
    let spans = page.split("<span data-at=").skip(1).map(|rest| format!("data-at={rest}"));
    spans
        .map(|span| {
            let (tag, rest) = span.split_once('>').unwrap();
            (attribute(tag, "data-at"), attribute(tag, "data-as"), rest.split_once('<').unwrap().0.to_owned())
        })
        .collect()
}

/// Holds every figure against the JSON; gives their number.
#[track_caller]
fn agrees(page: &str, json: &Value) -> usize {
    let all = figures(page);
    for (at, unit, shown) in &all {
        let value =
            json.pointer(at).and_then(Value::as_u64).unwrap_or_else(|| panic!("`{at}` is no number of the JSON"));
        let expect = match unit.as_str() {
            "count" => count(value),
            "bytes" => bytes(value),
            "ms" => duration(value),
            "bytes/s" => format!("{}/s", bytes(value)),
            other => panic!("an unknown unit, `{other}`"),
        };
        assert_eq!(*shown, expect, "{at}");
    }
    all.len()
}

/// A browser without a screen, where this machine has one.
fn browser() -> Option<PathBuf> {
    let names = ["chromium-headless-shell", "chromium", "chromium-browser", "google-chrome"];
    let stated = std::env::var_os("LITE2PG_BROWSER").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path =
        || std::env::split_paths(&path).flat_map(|dir| names.map(|name| dir.join(name))).find(|file| file.is_file());
    stated.or_else(on_path)
}

/// The page as a browser has it once it has loaded it, and what its console said.
fn loaded(browser: &Path, page: &Path) -> (String, String) {
    let profile = TempDir::new().unwrap();
    let mut command = Command::new(browser);
    command.args(["--headless", "--no-sandbox", "--disable-gpu", "--enable-logging=stderr", "--v=0", "--dump-dom"]);
    command.arg(format!("--user-data-dir={}", profile.path().display())).arg(format!("file://{}", page.display()));
    let ran: Ran = Running::start(&mut command).end().exits(0);
    let console: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("CONSOLE")).collect();
    (ran.stdout, console.join("\n"))
}

#[test]
fn the_figures_of_the_page_are_those_of_the_json_and_of_the_target() {
    let (dir, path) = source(
        "CREATE TABLE customer (id INTEGER PRIMARY KEY, name TEXT, balance DECIMAL(10,2));
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500) INSERT INTO customer SELECT i, 'n', i / 4.0 FROM n;
         CREATE TABLE note (id INTEGER PRIMARY KEY, customer INTEGER REFERENCES customer, body TEXT);
         INSERT INTO note VALUES (1, 1, 'hello');
         CREATE INDEX note_customer ON note (customer);",
    );
    let target = database();
    let folder = dir.path().join("deep/report");
    let before = bytes_of(&path);
    migrate([path.to_str().unwrap(), &url(&target), "--quiet", "--report", folder.to_str().unwrap()]).exits(0);
    assert_eq!(bytes_of(&path).0, before.0);
    let written = Written::read(dir, folder);
    let json = &written.json;
    assert_eq!((&json["format"], &json["verdict"]["word"]), (&1.into(), &"verified".into()));
    assert!(agrees(&written.html, json) > 30);
    let session = session(&target);
    for (i, table) in ["customer", "note"].into_iter().enumerate() {
        assert_eq!(json["tables"][i]["rows"].to_string(), value(&session, &format!("(SELECT count(*) FROM {table})")));
        assert_eq!(json["tables"][i]["verdict"], "equal");
    }
    assert_eq!(json["totals"]["rows"], 2501);
    assert!(
        json["target"]["server"].as_str().unwrap().starts_with(&value(&session, "current_setting('server_version')"))
    );
    assert_eq!(json["source"]["fingerprint"].as_str().unwrap().len(), 12);
    let phases: Vec<&str> = json["phases"].as_array().unwrap().iter().map(|p| p["phase"].as_str().unwrap()).collect();
    assert_eq!(phases, ["open", "profile", "plan", "create", "copy", "index", "constrain", "analyze", "verify"]);
    // One after the other, within the whole.
    let mut end = 0;
    for phase in json["phases"].as_array().unwrap() {
        let (start, ms) = (phase["start_ms"].as_u64().unwrap(), phase["ms"].as_u64().unwrap());
        assert!(start >= end && start + ms <= json["ms"].as_u64().unwrap() + 1, "{phase}");
        end = start + ms;
    }
    for (name, expect) in [("schema", "public"), ("verify", "rows"), ("scope", "all"), ("assume_tz", "UTC")] {
        assert_eq!(json["settings"][name], expect);
    }
}

#[test]
fn a_row_without_an_integer_key_is_not_told_by_one() {
    let written = Written::of(
        "CREATE TABLE pair (a TEXT, b TEXT, tags JSON, PRIMARY KEY (a, b)) WITHOUT ROWID; INSERT INTO pair VALUES ('x', 'y', '[1, 2]');
         CREATE TABLE one (id INTEGER PRIMARY KEY, tags JSON); INSERT INTO one VALUES (7, '[1, 2]')",
        0,
        &[],
    );
    let keys: Vec<String> = written.json["ledger"].as_array().unwrap().iter().map(|l| l["keys"].to_string()).collect();
    assert_eq!(keys, ["[7]", "[]"]);
    assert!(written.html.contains("such as key") && !written.html.contains(">-1"), "{}", written.html);
}

#[test]
fn nothing_of_a_source_is_markup() {
    let written = hostile();
    assert!(agrees(&written.html, &written.json) > 30);
    assert!(!written.html.contains("<script") && !written.html.contains("<img"), "{}", written.html);
    assert!(written.html.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    assert_eq!(written.html.matches("</style>").count(), 1);
    assert!(!written.html.contains('\u{202e}'));
    // Values are in the lists of rejects; a page that is passed around has none.
    for value in ["alert(4)", "Hidden Value", "9999999"] {
        assert!(!written.html.contains(value) && !written.json.to_string().contains(value), "`{value}` is told");
    }
    assert_eq!(written.json["verdict"]["word"], "rows set aside");
    assert_eq!((&written.json["rejects"][0]["rows"], &written.json["totals"]["rejected_rows"]), (&2.into(), &2.into()));
}

#[test]
fn a_browser_shows_the_same_and_complains_of_nothing() {
    let Some(browser) = browser() else {
        eprintln!("skipped: there is no Chromium here (apt install chromium-headless-shell, or LITE2PG_BROWSER=…)");
        return;
    };
    let written = hostile();
    let (page, console) = loaded(&browser, &written.folder.join("report.html"));
    assert_eq!(console, "");
    assert!(!page.contains("<script") && !page.contains("<img"), "{page}");
    assert_eq!(agrees(&page, &written.json), figures(&written.html).len());

    // The same test finds what it looks for where it is: a script that runs, one that the page's own rule stops, and a
    // figure that is another one.
    let bad = written.folder.join("bad.html");
    fs::write(&bad, "<p>x<script>console.error('seen'); document.body.append('ran')</script>").unwrap();
    let (page, console) = loaded(&browser, &bad);
    assert!(console.contains("seen") && page.contains("ran"), "{console}\n{page}");
    fs::write(&bad, written.html.replace("</body>", "<p>x<script>document.body.append('ran')</script></body>"))
        .unwrap();
    let (page, console) = loaded(&browser, &bad);
    assert!(console.contains("Content Security Policy") && !page.contains(">ran"), "{console}\n{page}");
    let other = written.html.replacen("data-as=\"count\">", "data-as=\"count\">1", 1);
    assert!(std::panic::catch_unwind(|| agrees(&other, &written.json)).is_err());
}

#[test]
fn the_verdict_says_what_is_worst() {
    let word = |written: &Written| written.json["verdict"]["word"].as_str().unwrap().to_owned();
    let plain = "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (1, 'a'), (2, 'b')";
    assert_eq!(word(&Written::of(plain, 0, &[])), "verified");
    assert_eq!(word(&Written::of(plain, 0, &["--no-verify"])), "not verified");
    let page = Written::of(plain, 0, &["--no-verify"]).html;
    assert!(page.contains("verdict careful") && page.contains("Nobody compared the rows"));

    let schema = Written::of(plain, 0, &["--schema-only"]);
    assert_eq!((word(&schema).as_str(), &schema.json["totals"]["rows"]), ("schema only", &0.into()));

    // A finished run whose target was changed since.
    let (dir, path) = source(plain);
    let target = database();
    let folder = dir.path().join("report");
    let differences = dir.path().join("differences");
    migrate([path.to_str().unwrap(), &url(&target), "--quiet"]).exits(0);
    session(&target).batch("UPDATE t SET x = 'other' WHERE id = 2; INSERT INTO t VALUES (9, 'new')").unwrap();
    let arguments = ["--report", folder.to_str().unwrap(), "--differences-dir", differences.to_str().unwrap()];
    migrate([path.to_str().unwrap(), &url(&target), "--quiet"].iter().chain(&arguments)).exits(5);
    let written = Written::read(dir, folder);
    assert_eq!(word(&written), "different");
    assert_eq!(written.json["finished_before"], true);
    let table = &written.json["verification"]["tables"][0];
    assert_eq!((&table["changed"], &table["extra"], &table["missing"]), (&1.into(), &1.into(), &0.into()));
    assert!(written.html.contains("verdict bad") && written.html.contains("differences/t.csv"));
    assert!(!written.html.contains("other"), "a value is told");
    agrees(&written.html, &written.json);
}

#[test]
fn answers_to_a_persons_questions_are_told_with_their_times() {
    let (dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1), (2)");
    let pipeline = dir.path().join("p.toml");
    let folder = dir.path().join("report");
    let text = "[[check]]\nname = \"rows & <ids>\"\nsource = \"SELECT count(*) FROM t\"\ntarget = \"SELECT count(*) FROM t\"\n\
                [[check]]\nname = \"sum\"\ntarget = \"SELECT sum(id) FROM t\"\nexpect = \"4\"\n";
    fs::write(&pipeline, format!("source = {:?}\n{text}", path.display().to_string())).unwrap();
    let target = url(&database());
    let arguments = [
        "migrate",
        "-p",
        pipeline.to_str().unwrap(),
        "--target",
        &target,
        "--quiet",
        "--report",
        folder.to_str().unwrap(),
    ];
    ended(program().args(arguments).output().unwrap()).exits(5);
    let written = Written::read(dir, folder);
    assert_eq!(written.json["verdict"]["word"], "a check failed");
    assert!(written.html.contains("rows &amp; &lt;ids&gt;") && written.html.contains("✗ wrong"), "{}", written.html);
    assert!(written.html.contains("expected: <code>4</code>") && written.html.contains("PostgreSQL: <code>3</code>"));
    assert_eq!(written.json["checks"][1]["right"], false);
}

#[test]
fn a_report_is_for_its_owner_holds_no_password_and_follows_no_link() {
    let (dir, path) = source("CREATE TABLE t (id INTEGER PRIMARY KEY); INSERT INTO t VALUES (1)");
    let (path, folder) = (path.to_str().unwrap().to_owned(), dir.path().join("report"));
    let target = url(&database());
    let with_password = target.replacen("postgres@", "postgres:Hunter2Xyzzy@", 1);
    assert_ne!(target, with_password);
    let script = dir.path().join("p.toml");
    let pipeline = format!(
        "source = {path:?}\n[[before]]\nsql = \"CREATE ROLE someone_of_this_test PASSWORD 'Sesame9Plugh'\"\n[[after]]\nsql = \"DROP ROLE someone_of_this_test\"\n"
    );
    fs::write(&script, pipeline).unwrap();
    let run = |target: &str, folder: &Path| {
        let arguments =
            ["migrate", "-p", script.to_str().unwrap(), "--target", target, "--report", folder.to_str().unwrap()];
        ended(program().args(arguments).arg("--restart").output().unwrap())
    };
    run(&with_password, &folder).exits(0);
    for name in ["report.html", "report.json"] {
        let file = folder.join(name);
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600, "{name}");
        let text = fs::read_to_string(&file).unwrap();
        assert!(!text.contains("Hunter2Xyzzy") && !text.contains("Sesame9Plugh"), "{name} holds a password");
        assert!(text.contains("***"), "{name}: {text}");
    }
    assert_eq!(fs::metadata(&folder).unwrap().mode() & 0o777, 0o700);

    // What cannot be written is known before anybody is connected to, and what is there stays.
    let nobody = "postgres://127.0.0.1:1/nobody";
    let kept = fs::read(folder.join("report.html")).unwrap();
    run(nobody, &folder).exits(7);
    assert_eq!(fs::read(folder.join("report.html")).unwrap(), kept);
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    fs::remove_file(folder.join("report.json")).unwrap();
    symlink(&victim, folder.join("report.json")).unwrap();
    run(nobody, &folder).exits(2).says(&["report.json` cannot be written", "links are not followed"]);
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    let file = dir.path().join("a file");
    fs::write(&file, "").unwrap();
    run(nobody, &file).exits(2).says(&["cannot be written"]);
    let none =
        fs::read_dir(&folder).unwrap().filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with('.'));
    assert_eq!(none.count(), 0, "an unfinished file is left");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
}

/// Every key of a JSON value, however deep; those of `settings` are names of options.
fn keys(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            for (key, inner) in fields {
                found.push(key.clone());
                keys(inner, found);
            }
        }
        Value::Array(list) => list.iter().for_each(|inner| keys(inner, found)),
        _ => {}
    }
}

#[test]
fn every_key_of_the_json_is_documented() {
    let documented = |page: &str, value: &Value| {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("docs").join(page)).unwrap();
        let mut found = Vec::new();
        keys(value, &mut found);
        found.sort();
        found.dedup();
        let missing: Vec<String> = found.into_iter().filter(|key| !text.contains(&format!("`{key}`"))).collect();
        assert!(missing.is_empty(), "docs/{page} does not name {missing:?}");
    };
    documented("report.md", &hostile().json);
    let (_dir, path) = source(HOSTILE);
    let ran = ended(program().args(["inspect", path.to_str().unwrap(), "--json"]).output().unwrap()).exits(0);
    documented("inspect.md", &serde_json::from_str(&ran.stdout).unwrap());
    let target = database();
    migrate([path.to_str().unwrap(), &url(&target), "--quiet"]).exits(0);
    let ran = ended(program().args(["status", &url(&target), "--json"]).output().unwrap()).exits(0);
    documented("status.md", &serde_json::from_str(&ran.stdout).unwrap());
}
