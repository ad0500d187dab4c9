//! Arguments of every verb that reads a source: which tables, under which names and types, and how fast.

use crate::error::Result;
use crate::model::candidates::TypeOptions;
use crate::model::name::Spelling;
use crate::run::{self, Options};
use crate::sqlite::SnapshotChoice;
use clap::{Args, ValueEnum};
use std::path::Path;

/// How a source is read.
#[derive(Debug, Args)]
pub struct Reading {
    /// Schema on the target; `migrate` creates it if absent
    #[arg(long, default_value = "public")]
    schema: String,
    /// How names change
    #[arg(long, value_enum, default_value_t = Identifiers::Preserve)]
    identifiers: Identifiers,
    /// Take only tables whose names match; may be repeated
    #[arg(long, value_name = "GLOB")]
    include: Vec<String>,
    /// Leave tables out whose names match; may be repeated
    #[arg(long, value_name = "GLOB")]
    exclude: Vec<String>,
    /// Readers and connections at work at once
    #[arg(long, short, value_name = "N", default_value_t = run::default_jobs())]
    jobs: usize,
    /// What times without a zone mean: UTC, an IANA zone, or `none` to keep them `timestamp`
    #[arg(long, value_name = "ZONE", default_value = "UTC")]
    assume_tz: String,
    /// `fit`: integer instead of bigint where every value fits
    #[arg(long, value_enum, default_value_t = Integers::Bigint)]
    integers: Integers,
    /// How the source is held still: `lock` reads it in its place, `backup` copies it first
    #[arg(long, value_enum, default_value_t = Snapshot::Auto)]
    snapshot: Snapshot,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Identifiers {
    /// As they are
    Preserve,
    /// In lower case
    Lower,
    /// camelCase and blanks become `snake_case`
    Snake,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Integers {
    Bigint,
    Fit,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Snapshot {
    Auto,
    Lock,
    Backup,
}

impl Reading {
    /// The options that these arguments ask for; those of other arguments are the defaults.
    pub fn options(&self, source: &Path) -> Result<Options> {
        let options = Options {
            schema: self.schema.clone(),
            spelling: match self.identifiers {
                Identifiers::Preserve => Spelling::Preserve,
                Identifiers::Lower => Spelling::Lower,
                Identifiers::Snake => Spelling::Snake,
            },
            include: self.include.clone(),
            exclude: self.exclude.clone(),
            jobs: self.jobs,
            types: TypeOptions {
                assume_tz: run::assumed(&self.assume_tz)?,
                narrow_integers: self.integers == Integers::Fit,
            },
            snapshot: match self.snapshot {
                Snapshot::Auto => SnapshotChoice::Auto,
                Snapshot::Lock => SnapshotChoice::Lock,
                Snapshot::Backup => SnapshotChoice::Backup,
            },
            ..Options::new(source)
        };
        options.check()?;
        Ok(options)
    }
}
