//! A source, a target, and a pipeline file beside the source.

use super::program::{Ran, ended, program, source, url, value};
use super::{database, session};
use lite2pg::postgres::{Session, Target};
use std::path::{Path, PathBuf};
use std::process::Command;
use tempfile::TempDir;

pub struct Stage {
    pub target: Target,
    pub seen: Session,
    pub path: PathBuf,
    pub dir: TempDir,
}

impl Stage {
    pub fn new(sql: &str) -> Self {
        let (dir, path) = source(sql);
        let target = database();
        Self { seen: session(&target), target, path, dir }
    }

    /// A file of this name beside the source.
    pub fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, text).expect("a file for the test");
        path
    }

    /// The pipeline of this text, which needs not name its source.
    pub fn file(&self, text: &str) -> PathBuf {
        self.write("shop.toml", &format!("source = \"app.db\"\n{text}"))
    }

    /// A verb of the program with a pipeline, not started yet.
    pub fn command(&self, verb: &[&str], file: &Path, more: &[&str]) -> Command {
        let mut command = program();
        command.args(verb).arg("-p").arg(file).args(["--target", &url(&self.target)]).args(more);
        command.current_dir(self.dir.path());
        command
    }

    /// The same, to its end.
    pub fn run(&self, verb: &[&str], file: &Path, more: &[&str]) -> Ran {
        ended(self.command(verb, file, more).output().expect("the program starts"))
    }

    /// `lite2pg migrate --quiet` by a pipeline of this text.
    pub fn migrate(&self, text: &str) -> Ran {
        self.run(&["migrate"], &self.file(text), &["--quiet"])
    }

    /// What a query on the target gives.
    pub fn there(&self, sql: &str) -> String {
        value(&self.seen, sql)
    }
}
