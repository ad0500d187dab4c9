//! The embedded server: it starts as whoever runs the tests, and nothing of it is left behind.
#![allow(clippy::unwrap_used, reason = "where a test fails is what it says")]

mod support;

use lite2pg::Kind;
use lite2pg::postgres::{Embedded, EmbeddedOptions};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use support::{eventually, session};

/// Set for the child process that only holds a server, until it is killed.
const HOLDER: &str = "LITE2PG_TEST_HOLDS_A_SERVER";

fn answers(dir: &Path) -> bool {
    UnixStream::connect(dir.join(".s.PGSQL.5432")).is_ok()
}

#[test]
fn it_starts_answers_and_leaves_nothing_behind() {
    let server = Embedded::start(&EmbeddedOptions::default()).unwrap();
    let dir = server.dir().to_owned();
    assert_eq!(dir.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    assert_ne!(dir.join("data/PG_VERSION").metadata().unwrap().uid(), 0, "PostgreSQL does not run as root");

    let info = session(&server.target()).server_info().unwrap();
    assert_eq!((info.encoding.as_str(), info.is_superuser), ("UTF8", true));
    assert!(info.version_num >= 120_000);

    drop(server);
    assert!(!dir.exists());
    assert!(!answers(&dir));
}

#[test]
fn settings_are_taken_and_throw_away_data_is_not_synced() {
    let settings = vec![("work_mem".to_owned(), "7MB".to_owned()), ("cluster_name".to_owned(), r"it's \".to_owned())];
    let server = Embedded::start(&EmbeddedOptions { settings, ..EmbeddedOptions::default() }).unwrap();
    let session = session(&server.target());
    let show = |name: &str| session.query_one(&format!("SHOW {name}"), &[]).unwrap().get::<_, String>(0);
    assert_eq!(
        (show("work_mem"), show("fsync"), show("listen_addresses")),
        ("7MB".into(), "off".into(), String::new())
    );
    assert_eq!(show("cluster_name"), r"it's \");
}

#[test]
fn killing_its_holder_stops_the_server_and_removes_its_directory() {
    let mut holder = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "holder", "--nocapture"])
        .env(HOLDER, "1")
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let lines = BufReader::new(holder.stdout.take().unwrap()).lines();
    let dir = lines.map_while(Result::ok).find_map(|line| line.strip_prefix("holding ").map(PathBuf::from)).unwrap();
    assert!(answers(&dir));

    holder.kill().unwrap(); // SIGKILL: nothing of ours runs after it
    holder.wait().unwrap();
    eventually("the server is gone", || !answers(&dir));
    eventually("its directory is gone", || !dir.exists());
}

/// Not a test by itself: the process that is killed above.
#[test]
fn holder() {
    if std::env::var_os(HOLDER).is_none() {
        return;
    }
    let server = Embedded::start(&EmbeddedOptions::default()).unwrap();
    println!("\nholding {}", server.dir().display());
    loop {
        std::thread::park();
    }
}

#[test]
fn a_kept_server_runs_on_until_it_is_stopped_and_keeps_its_data() {
    let parent = tempfile::Builder::new().prefix("it's kept ").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(parent.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = EmbeddedOptions { keep: true, dir: Some(parent.path().to_owned()), ..EmbeddedOptions::default() };
    let server = Embedded::start(&options).unwrap();
    session(&server.target()).batch("CREATE TABLE stays (id int)").unwrap();
    let kept = server.keep().unwrap();

    let again = session(&kept.target);
    let fsync: String = again.query_one("SHOW fsync", &[]).unwrap().get(0);
    assert_eq!(fsync, "on");
    again.batch("SELECT * FROM stays").unwrap();
    drop(again);
    assert!(kept.psql.starts_with("psql '"), "{}", kept.psql);

    if Command::new("psql").arg("--version").output().is_ok() {
        let asked = Command::new("sh").arg("-c").arg(format!("{} -Atc 'TABLE stays'", kept.psql)).output().unwrap();
        assert!(asked.status.success(), "{}: {}", kept.psql, String::from_utf8_lossy(&asked.stderr));
    }
    let stopped = Command::new("sh").arg("-c").arg(&kept.stop).output().unwrap();
    assert!(stopped.status.success(), "{}", String::from_utf8_lossy(&stopped.stderr));
    assert!(!answers(&kept.dir));
    assert!(kept.dir.join("data/PG_VERSION").exists());
}

#[test]
fn a_path_too_long_for_a_socket_gets_another_directory_for_it() {
    let parent = tempfile::Builder::new().prefix(&"x".repeat(90)).tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(parent.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let server =
        Embedded::start(&EmbeddedOptions { dir: Some(parent.path().to_owned()), ..EmbeddedOptions::default() })
            .unwrap();
    let (dir, socket_dir) = (server.dir().to_owned(), PathBuf::from(server.target().host()));
    assert!(dir.starts_with(parent.path()) && !socket_dir.starts_with(parent.path()));
    session(&server.target()).batch("SELECT 1").unwrap();
    drop(server);
    assert!(!dir.exists() && !socket_dir.exists());
}

#[test]
fn a_server_that_cannot_start_says_why_and_leaves_nothing() {
    let parent = tempfile::Builder::new().prefix("fails").tempdir_in("/tmp").unwrap();
    std::fs::set_permissions(parent.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
    let options = EmbeddedOptions {
        settings: vec![("shared_buffers".to_owned(), "nonsense".to_owned())],
        dir: Some(parent.path().to_owned()),
        ..EmbeddedOptions::default()
    };
    let error = Embedded::start(&options).unwrap_err();
    assert_eq!(error.kind(), Kind::Target);
    assert!(error.facts().iter().any(|fact| fact.contains("shared_buffers")), "{error:?}");
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 0);
}

#[test]
fn a_directory_without_the_programs_is_named() {
    let error = Embedded::start(&EmbeddedOptions { bin: Some("/nowhere".into()), ..EmbeddedOptions::default() });
    let error = error.unwrap_err();
    assert_eq!((error.kind(), error.message()), (Kind::Usage, "`/nowhere` holds no PostgreSQL server"));
}
