//! `--ddl`: the tables of a target that an application makes, for a throw-away server that lacks them.

use crate::error::{Error, Kind, Result};
use crate::run::{Ddl, Options};
use clap::Args;
use std::path::PathBuf;

/// The argument.
#[derive(Debug, Args)]
pub struct TargetDdl {
    /// The target's own tables, as SQL: run first on the throw-away server. For rows that go into tables which an
    /// application makes
    #[arg(long = "ddl", value_name = "FILE", conflicts_with = "target")]
    file: Option<PathBuf>,
}

impl TargetDdl {
    /// Whether there is one.
    pub const fn is_given(&self) -> bool {
        self.file.is_some()
    }

    /// Adds it to a migration.
    pub fn apply(&self, mut migration: Options) -> Result<Options> {
        let Some(path) = &self.file else { return Ok(migration) };
        let name = path.display().to_string();
        if migration.scripts.ddl.is_some() {
            return Err(Error::new(Kind::Usage, "the pipeline has a `ddl` of its own, and `--ddl` names another"));
        }
        let sql = std::fs::read_to_string(path)
            .map_err(|e| Error::new(Kind::Usage, format!("`--ddl {name}` cannot be read")).cause(e))?;
        migration.scripts.ddl = Some(Ddl { name, sql });
        Ok(migration)
    }
}
