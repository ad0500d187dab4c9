//! What is written to the disk: for its owner only, whatever the umask, never through a link, never in the place of what
//! belongs to somebody else.

#![expect(clippy::unwrap_used, reason = "a helper that unwraps fails its test with the place")]

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use support::program::{Ran, Running, ended, migrate, program, source, until, url, value};
use support::{database, session};

const SOURCE: &str = "CREATE TABLE t (id INTEGER PRIMARY KEY, x TEXT); INSERT INTO t VALUES (1, 'a secret'), (2, 'b')";

/// The program in a folder, under the most careless umask.
fn careless(cwd: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("sh");
    command
        .args(["-c", "umask 000; exec \"$@\"", "sh", env!("CARGO_BIN_EXE_lite2pg")])
        .args(arguments)
        .current_dir(cwd);
    // The same surroundings that `program` has.
    for (name, value) in program().get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

fn run(cwd: &Path, arguments: &[&str]) -> Ran {
    ended(careless(cwd, arguments).output().unwrap())
}

/// All that is below a folder, itself included.
fn all_below(path: &Path) -> Vec<PathBuf> {
    let mut all = vec![path.to_owned()];
    if fs::symlink_metadata(path).unwrap().is_dir() {
        for entry in fs::read_dir(path).unwrap() {
            all.extend(all_below(&entry.unwrap().path()));
        }
    }
    all
}

#[track_caller]
fn is_for_its_owner_only(path: &Path) {
    for path in all_below(path) {
        // A server may remove a file while it is looked at.
        let Ok(found) = fs::symlink_metadata(&path) else { continue };
        // Whoever may not enter the folder reaches no socket in it.
        if !found.file_type().is_socket() {
            assert_eq!(found.mode() & 0o077, 0, "{} {:o}", path.display(), found.mode());
        }
    }
}

#[test]
fn lists_of_differences_are_for_their_owner_only() {
    let (dir, path) = source(SOURCE);
    let target = database();
    let (path, url) = (path.to_str().unwrap(), url(&target));
    migrate([path, &url]).exits(0);
    session(&target).batch("UPDATE t SET x = 'c' WHERE id = 1").unwrap();
    for folder in ["differences", "deep/er"] {
        run(dir.path(), &["verify", path, &url, "--differences-dir", folder]).exits(5);
        is_for_its_owner_only(&dir.path().join(folder));
        assert!(fs::read_to_string(dir.path().join(folder).join("t.csv")).unwrap().contains("a secret"));
    }
    is_for_its_owner_only(&dir.path().join("deep"));
    // One that an earlier version, or somebody else, left open is not written into.
    let list = dir.path().join("differences/t.csv");
    fs::set_permissions(&list, Permissions::from_mode(0o666)).unwrap();
    let reader = fs::File::open(&list).unwrap();
    run(dir.path(), &["verify", path, &url]).exits(5);
    is_for_its_owner_only(&list);
    assert_ne!(reader.metadata().unwrap().ino(), list.metadata().unwrap().ino());
    // The folder that one stands in.
    run(dir.path(), &["verify", path, &url, "--differences-dir", "."]).exits(5);
    is_for_its_owner_only(&dir.path().join("t.csv"));
}

#[test]
fn nothing_is_listed_through_a_link() {
    let (dir, path) = source(SOURCE);
    let target = database();
    let (path, url) = (path.to_str().unwrap(), url(&target));
    migrate([path, &url]).exits(0);
    session(&target).batch("UPDATE t SET x = 'c' WHERE id = 1").unwrap();
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    let lists = dir.path().join("differences");
    fs::create_dir(&lists).unwrap();
    for place in [&victim, &dir.path().join("absent")] {
        symlink(place, lists.join("t.csv")).unwrap();
        run(dir.path(), &["verify", path, &url]).exits(1).says(&[
            "`differences/t.csv` cannot be written",
            "is a link, and links are not followed",
            "--differences-dir DIR",
        ]);
        fs::remove_file(lists.join("t.csv")).unwrap();
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    assert!(!dir.path().join("absent").exists());
    assert_eq!(fs::read_dir(&lists).unwrap().count(), 0, "nothing is left behind");
    // Where the folder itself is a link of our own, it is used; one of another user is not.
    let behind = dir.path().join("behind");
    symlink(&lists, &behind).unwrap();
    run(dir.path(), &["verify", path, &url, "--differences-dir", "behind"]).exits(5);
    assert!(lists.join("t.csv").exists());
    if std::os::unix::fs::lchown(&behind, Some(65534), None).is_ok() {
        run(dir.path(), &["verify", path, &url, "--differences-dir", "behind"])
            .exits(1)
            .says(&["is a link that another user made"]);
        fs::remove_file(lists.join("t.csv")).unwrap();
        fs::write(lists.join("t.csv"), "his").unwrap();
        std::os::unix::fs::chown(lists.join("t.csv"), Some(65534), None).unwrap();
        run(dir.path(), &["verify", path, &url]).exits(1).says(&["belongs to another user"]);
        assert_eq!(fs::read_to_string(lists.join("t.csv")).unwrap(), "his");
    }
}

#[test]
fn the_bench_writes_where_nothing_of_others_is_and_says_so_before_it_measures() {
    let (dir, path) = source(SOURCE);
    let target = database();
    let (path, url) = (path.to_str().unwrap(), url(&target));
    let bench = |csv: &str, svg: &str| {
        run(dir.path(), &["bench", path, &url, "--rounds", "1", "--jobs", "1", "--csv", csv, "--svg", svg])
    };
    bench("b.csv", "b.svg").exits(0);
    for file in ["b.csv", "b.svg"] {
        is_for_its_owner_only(&dir.path().join(file));
        assert!(dir.path().join(file).metadata().unwrap().len() > 100);
    }
    let victim = dir.path().join("victim");
    fs::write(&victim, "precious").unwrap();
    symlink(&victim, dir.path().join("link")).unwrap();
    for (csv, svg) in [("link", "c.svg"), ("c.csv", "link"), ("c.csv", "not/there.svg"), ("c.csv", "/dev/null")] {
        let ran = bench(csv, svg).exits(2).says(&["cannot be written"]);
        assert!(!ran.stderr.contains("profile"), "{}", ran.stderr);
    }
    assert_eq!(fs::read_to_string(&victim).unwrap(), "precious");
    // What was there stays until there is something better; a bench that fails leaves it.
    let before = fs::read(dir.path().join("b.csv")).unwrap();
    run(dir.path(), &["bench", "absent.db", &url, "--csv", "b.csv"]).exits(6);
    assert_eq!(fs::read(dir.path().join("b.csv")).unwrap(), before);
    let left: Vec<_> = fs::read_dir(dir.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".lite2pg")), "{left:?}");
    assert!(!dir.path().join("c.csv").exists() && !dir.path().join("c.svg").exists());
}

#[test]
fn a_private_copy_of_the_source_is_private() {
    let (dir, path) = source(SOURCE);
    let target = database();
    let scratch = dir.path().join("scratch");
    fs::create_dir(&scratch).unwrap();
    fs::set_permissions(&scratch, Permissions::from_mode(0o777)).unwrap();
    let seen = session(&target);
    seen.batch("SELECT pg_advisory_lock_shared(1815244904, 0)").unwrap();
    let mut command = careless(dir.path(), &["migrate", path.to_str().unwrap(), &url(&target), "--snapshot", "backup"]);
    let running = Running::start(command.env("TMPDIR", &scratch));
    // It waits where it would make its control schema; its copy is there.
    until(
        &seen,
        "EXISTS (SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database() \
                   WHERE locktype = 'advisory' AND classid = 1815244904 AND NOT granted)",
    );
    let made: Vec<PathBuf> = fs::read_dir(&scratch).unwrap().map(|e| e.unwrap().path()).collect();
    assert_eq!(made.len(), 1, "{made:?}");
    assert!(all_below(&made[0]).len() > 1, "the copy is there");
    is_for_its_owner_only(&made[0]);
    seen.batch("SELECT pg_advisory_unlock_all()").unwrap();
    running.end().exits(0);
    assert_eq!(fs::read_dir(&scratch).unwrap().count(), 0);
    assert_eq!(value(&seen, "SELECT count(*) FROM t"), "2");
}

#[test]
fn a_server_of_our_own_is_private() {
    let (dir, path) = source(SOURCE);
    let ran = run(dir.path(), &["migrate", path.to_str().unwrap(), "embedded", "--keep", "--quiet"]).exits(0);
    let told = |what: &str| {
        let line = ran.stderr.lines().find_map(|l| l.trim_start().strip_prefix(what));
        line.unwrap_or_else(|| panic!("{}", ran.stderr)).trim().to_owned()
    };
    let (server, stop) = (PathBuf::from(told("the server is left running in")), told("stop it"));
    let looked = std::panic::catch_unwind(|| is_for_its_owner_only(&server));
    ended(Command::new("sh").args(["-c", &stop]).output().unwrap()).exits(0);
    fs::remove_dir_all(&server).unwrap();
    looked.unwrap();
}
