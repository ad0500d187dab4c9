//! Disks that are full: the server's, for tables, for indexes and for its log, and the one for private copies.
//!
//! A small file system in memory is mounted for each; where that is not allowed, a line says that it was left out.

use super::own_server::OwnServer;
use super::stage::{BIG, same_rows};
use crate::support::program::{Ran, Running, ended, program, source, value};
use crate::support::proxy::{Act, Proxy};
use crate::support::{database, eventually, session};
use lite2pg::postgres::Target;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

/// A file system of a few megabytes.
pub struct Small {
    pub path: PathBuf,
    _dir: TempDir,
}

impl Small {
    /// None where this user may not mount.
    pub fn of_megabytes(megabytes: u32, owner: Option<(u32, u32)>) -> Option<Self> {
        let dir = tempfile::Builder::new().prefix("lite2pg-small-").tempdir_in("/tmp").unwrap();
        std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
        let path = dir.path().join("mounted");
        std::fs::create_dir(&path).unwrap();
        let owner = owner.map_or_else(String::new, |(uid, gid)| format!(",uid={uid},gid={gid},mode=700"));
        let options = format!("size={megabytes}m{owner}");
        let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", &options, "lite2pg"]).arg(&path).output();
        if mounted.is_ok_and(|m| m.status.success()) {
            return Some(Self { path, _dir: dir });
        }
        println!("left out: this user may not mount a small file system");
        None
    }

    pub fn remount_read_only(&self) {
        let again = Command::new("mount").args(["-o", "remount,ro"]).arg(&self.path).status().unwrap();
        assert!(again.success());
    }

    /// Takes all room but this.
    pub fn fill(&self, left_bytes: u64) {
        let mut file = std::fs::OpenOptions::new().create(true).append(true).open(self.filler()).unwrap();
        while let Some(much) = self.free_bytes().checked_sub(left_bytes).filter(|much| *much > 0) {
            let chunk = vec![1; much.min(1 << 20) as usize];
            if file.write_all(&chunk).is_err() {
                return;
            }
        }
    }

    pub fn make_room(&self) {
        std::fs::remove_file(self.filler()).unwrap();
    }

    fn filler(&self) -> PathBuf {
        self.path.join("filler")
    }

    fn free_bytes(&self) -> u64 {
        let told = Command::new("df").args(["--output=avail", "-B1"]).arg(&self.path).output().unwrap();
        String::from_utf8(told.stdout).unwrap().lines().last().unwrap().trim().parse().unwrap()
    }
}

impl Drop for Small {
    fn drop(&mut self) {
        drop(Command::new("umount").arg("-l").arg(&self.path).status());
    }
}

fn command(path: &Path, host: &str, target: &Target) -> Command {
    let mut command = program();
    let place = format!("host={host} user=postgres dbname={}", target.dbname());
    command.arg("migrate").arg(path).arg(place).args(["--jobs", "1"]);
    command
}

fn run(path: &Path, target: &Target) -> Ran {
    ended(command(path, &target.host(), target).output().unwrap())
}

#[track_caller]
fn is_complete(path: &Path, target: &Target) {
    let seen = session(target);
    same_rows(path, &seen, "public", "big", &["t"]);
    same_rows(path, &seen, "public", "owner", &["name"]);
    let built = "SELECT count(*) FROM pg_index WHERE indrelid = 'big'::regclass AND indisvalid";
    assert_eq!(value(&seen, built), "2");
    assert_eq!(
        value(&seen, "SELECT count(*) FROM pg_constraint WHERE conrelid = 'big'::regclass AND contype = 'f'"),
        "1"
    );
}

#[test]
fn a_disk_that_fills_up_in_mid_copy_or_in_an_index_build_is_1_and_the_same_command_goes_on_once_there_is_room() {
    let server = OwnServer::start();
    let Some(disk) = Small::of_megabytes(120, Some(server.owner())) else { return };
    let (_dir, path) = source(BIG);
    let admin = session(&server.target());
    admin.batch(&format!("CREATE TABLESPACE small LOCATION '{}'", disk.path.display())).unwrap();
    admin.batch("CREATE DATABASE full_disk TABLESPACE small").unwrap();
    let target = server.target().with_dbname("full_disk");

    // Room for one range of three.
    disk.fill(12 << 20);
    run(&path, &target).exits(1).says(&[
        "error: the server refused rows of `big`",
        "could not extend file",
        "53100",
        "state this range was rolled back; finished ranges are kept",
        "hint: make room on the server's disk, then run the same command again",
    ]);
    let seen = session(&target);
    let told =
        "SELECT (SELECT count(*) FROM big) || ' ' || (SELECT sum(rows) FROM lite2pg.range WHERE table_name = 'big')";
    let there = value(&seen, told);
    let (rows, recorded) = there.split_once(' ').unwrap();
    assert!(rows == recorded && rows != "0" && rows != "450000", "{there}");
    let before = value(&seen, "SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM lite2pg.range r");
    // Still full: the same again, and nothing is lost or doubled by it.
    run(&path, &target).exits(1).says(&["53100", "hint: make room"]);
    assert_eq!(value(&seen, "SELECT string_agg(r::text, ' ' ORDER BY r::text) FROM lite2pg.range r"), before);

    disk.make_room();
    // All rows come, and then the disk is full once more.
    let index = |m: &crate::support::proxy::Message<'_>| {
        m.from == crate::support::proxy::From::Program && m.step.is_some() && m.sql.contains("\"big_owner\"")
    };
    let proxy = Proxy::before(&target, move |m| if index(m) { Act::Hold } else { Act::Pass });
    let running = Running::start(&mut command(&path, &proxy.socket_dir(), &target));
    eventually("the index is asked for", || proxy.is_reached());
    disk.fill(0);
    proxy.go_on();
    running.end().exits(1).says(&[
        "53100",
        "state all rows are on the target; of keys, indexes, constraints and views, what was finished",
        "hint: make room on the server's disk, then run the same command again",
    ]);
    drop(proxy);
    // Sorting would need room as well.
    assert_eq!(value(&seen, "SELECT count(*) FROM big"), "450000");
    assert_eq!(value(&seen, "SELECT to_regclass('big_owner') IS NULL"), "true");

    disk.make_room();
    run(&path, &target).exits(0);
    is_complete(&path, &target);
    drop((seen, admin));
    server.stop_at_once();
}

#[test]
fn a_disk_that_fills_up_under_the_servers_log_ends_the_server_and_the_same_command_goes_on_after_both_are_mended() {
    let server = OwnServer::start();
    let Some(disk) = Small::of_megabytes(256, Some(server.owner())) else { return };
    let (_dir, path) = source(BIG);
    assert!(server.control("stop -m fast"));
    let (log, moved) = (server.dir().join("data/pg_wal"), disk.path.join("pg_wal"));
    assert!(Command::new("cp").arg("-a").args([&log, &moved]).status().unwrap().success());
    std::fs::remove_dir_all(&log).unwrap();
    std::os::unix::fs::symlink(&moved, &log).unwrap();
    server.start_again();
    // Less than a segment of the log: the one in use can be filled, and no other made.
    disk.fill(1 << 20);
    let ran = run(&path, &server.target()).exits(7).says(&["hint: the server's log says why"]);
    assert!(ran.stderr.contains("state"), "{}", ran.stderr);
    disk.make_room();
    server.comes_back();
    run(&path, &server.target()).exits(0);
    is_complete(&path, &server.target());
    server.stop_at_once();
}

#[test]
fn a_disk_that_has_no_room_for_the_lists_of_rows_is_1_and_the_same_command_writes_them_once_there_is() {
    let Some(disk) = Small::of_megabytes(2, None) else { return };
    let (_dir, path) = source(
        "CREATE TABLE t (id INTEGER PRIMARY KEY, v TEXT);
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
             INSERT INTO t SELECT i, CASE i % 2 WHEN 0 THEN i ELSE 'text ' || hex(zeroblob(60)) END FROM n;",
    );
    let target = database();
    let run = || {
        let mut command = command(&path, &target.host(), &target);
        command.args(["--type", "t.v=numeric", "--on-error", "reject", "--rejects-dir"]).arg(disk.path.join("rejects"));
        ended(command.output().unwrap())
    };
    disk.fill(8192);
    run().exits(1).says(&[
        "rejects/t.csv` cannot be written",
        "No space left on device",
        "state the rows are on the target",
        "--rejects-dir DIR",
    ]);
    let seen = session(&target);
    assert_eq!(
        value(&seen, "SELECT (SELECT count(*) FROM t) || ' ' || (SELECT count(*) FROM lite2pg.reject)"),
        "1000 1000"
    );
    disk.make_room();
    run().exits(4).says(&["1 000 rows were set aside"]);
    let list = std::fs::read_to_string(disk.path.join("rejects/t.csv")).unwrap();
    assert_eq!(list.lines().count(), 1001, "each row once");
    assert_eq!(value(&seen, "SELECT count(*) FROM t"), "1000");
}

#[test]
fn a_disk_that_has_no_room_for_a_private_copy_is_6_and_says_where_to_make_one() {
    let Some(disk) = Small::of_megabytes(2, None) else { return };
    let (_dir, path) = source(BIG);
    let target = database();
    let mut command = command(&path, &target.host(), &target);
    let ran = ended(command.args(["--snapshot", "backup"]).env("TMPDIR", &disk.path).output().unwrap());
    ran.exits(6).says(&["no room left", "nothing was written by this start", "hint: TMPDIR=/a/larger/disk lite2pg"]);
    assert_eq!(std::fs::read_dir(&disk.path).unwrap().count(), 0, "what was copied is gone");
    assert_eq!(value(&session(&target), "SELECT to_regnamespace('lite2pg') IS NULL"), "true");
}
