//! The program as a person runs it: a command, its exit code, both streams; and sources for it.

use super::eventually;
use lite2pg::postgres::{Session, Target};
use rusqlite::Connection;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// A finished run of the program.
#[derive(Debug)]
pub struct Ran {
    pub code: i32,
    pub stdout: String,
    pub stderr: String,
}

impl Ran {
    /// Fails the test unless the exit code is this one.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.stdout, self.stderr);
        self
    }

    /// Fails the test unless stderr says all of this, whatever the line breaks.
    #[track_caller]
    pub fn says(self, words: &[&str]) -> Self {
        let told = self.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        for word in words {
            assert!(told.contains(word), "stderr does not say `{word}`:\n{}", self.stderr);
        }
        self
    }
}

/// The program without arguments, in an environment that says nothing about any server.
pub fn program() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_lite2pg"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("PG") && name != "PG_BIN" || name == "DATABASE_URL" {
            command.env_remove(name);
        }
    }
    command.env("HOME", "/nonexistent").stdin(Stdio::null());
    command
}

/// `lite2pg migrate` with arguments, to its end.
pub fn migrate<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    ended(program().arg("migrate").args(arguments).output().expect("the program starts"))
}

/// `lite2pg verify` with arguments, to its end.
pub fn verify<S: AsRef<std::ffi::OsStr>>(arguments: impl IntoIterator<Item = S>) -> Ran {
    ended(program().arg("verify").args(arguments).output().expect("the program starts"))
}

pub fn ended(output: std::process::Output) -> Ran {
    use std::os::unix::process::ExitStatusExt;
    Ran {
        code: output.status.code().unwrap_or_else(|| -output.status.signal().unwrap_or(0)),
        stdout: String::from_utf8(output.stdout).expect("stdout is UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("stderr is UTF-8"),
    }
}

/// The program at work, killed when the test is over.
pub struct Running(Option<Child>);

impl Running {
    pub fn start(command: &mut Command) -> Self {
        Self(Some(command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the program starts")))
    }

    fn child(&mut self) -> &mut Child {
        self.0.as_mut().expect("it was not waited for yet")
    }

    pub fn id(&mut self) -> u32 {
        self.child().id()
    }

    pub fn signal(&mut self, name: &str) {
        let pid = self.child().id().to_string();
        assert!(Command::new("kill").args([&format!("-{name}"), &pid]).status().expect("kill").success());
    }

    pub fn is_over(&mut self) -> bool {
        self.child().try_wait().expect("a child can be asked").is_some()
    }

    /// The most memory that it held so far, where the kernel says so.
    pub fn memory_peak_bytes(&mut self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child().id())).ok()?;
        let kilobytes: u64 =
            status.lines().find_map(|l| l.strip_prefix("VmHWM:"))?.split_whitespace().next()?.parse().ok()?;
        Some(kilobytes * 1024)
    }

    /// Waits for its end; fails the test after a minute.
    pub fn end(mut self) -> Ran {
        let deadline = Instant::now() + Duration::from_secs(60);
        while !self.is_over() {
            if Instant::now() > deadline {
                let _ = self.child().kill();
                let output = self.0.take().expect("a child").wait_with_output().expect("its output");
                panic!("still at work after a minute: {:?}", ended(output));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        ended(self.0.take().expect("a child").wait_with_output().expect("its output"))
    }

    /// `kill -9`
    pub fn kill(mut self) -> Ran {
        self.child().kill().expect("it can be killed");
        self.end()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.0.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// How the program names a target of the tests' server.
pub fn url(target: &Target) -> String {
    target.redacted()
}

/// A source file made of SQL, in a directory of its own.
pub fn source(sql: &str) -> (TempDir, PathBuf) {
    let dir = TempDir::new().expect("a directory for the source");
    let path = dir.path().join("app.db");
    // SQLite checks foreign keys only where it is told to, and sources break them.
    let sql = format!("PRAGMA foreign_keys = OFF; {sql}");
    Connection::open(&path).and_then(|c| c.execute_batch(&sql)).expect("a source");
    (dir, path)
}

/// Bytes of the file and of its -wal, and the names beside them.
pub fn bytes_of(path: &Path) -> (Vec<u8>, Option<Vec<u8>>, Vec<String>) {
    let mut names: Vec<String> = std::fs::read_dir(path.parent().expect("a directory"))
        .expect("a listing")
        .map(|e| e.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    names.sort();
    (std::fs::read(path).expect("the source"), std::fs::read(path.with_extension("db-wal")).ok(), names)
}

/// One value of the target, as text; `NULL` for none.
#[track_caller]
pub fn value(session: &Session, sql: &str) -> String {
    let row = session.query_one(&format!("SELECT ({sql})::text"), &[]).unwrap_or_else(|e| panic!("{sql}: {e:?}"));
    row.get::<_, Option<String>>(0).unwrap_or_else(|| "NULL".to_owned())
}

/// Waits until a question has the answer `true`.
#[track_caller]
pub fn until(session: &Session, sql: &str) {
    eventually(sql, || session.query_one(&format!("SELECT ({sql})"), &[]).is_ok_and(|row| row.get(0)));
}

/// All that a person could see in the database's catalogs, as text.
pub fn listing(session: &Session) -> String {
    let sql = "SELECT string_agg(line, E'\\n' ORDER BY line) FROM (\
        SELECT 'schema ' || nspname AS line FROM pg_namespace WHERE nspname !~ '^pg_(toast|temp)' \
        UNION ALL SELECT 'relation ' || oid || ' ' || relname || ' ' || relkind::text || ' ' || relfilenode \
            FROM pg_class WHERE oid >= 16384 \
        UNION ALL SELECT 'column ' || attrelid || ' ' || attname || ' ' || atttypid FROM pg_attribute WHERE attrelid >= 16384 \
        UNION ALL SELECT 'constraint ' || oid || ' ' || conname || ' ' || convalidated FROM pg_constraint WHERE oid >= 16384 \
        UNION ALL SELECT 'type ' || oid || ' ' || typname FROM pg_type WHERE oid >= 16384 \
        UNION ALL SELECT 'function ' || oid || ' ' || proname FROM pg_proc WHERE oid >= 16384 \
        UNION ALL SELECT 'sequence ' || schemaname || '.' || sequencename || ' ' || coalesce(last_value::text, '-') FROM pg_sequences\
        ) all_of_it";
    value(session, sql)
}
