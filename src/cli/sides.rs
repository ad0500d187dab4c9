//! Which source and which target: as arguments, or in a pipeline file with all that it says of them.

use crate::error::{Error, Kind, Result};
use crate::pipeline::Pipeline;
use crate::postgres::Target;
use crate::run::Options;
use crate::sqlite::Source;
use clap::Args;
use std::path::{Path, PathBuf};

/// The two sides of a verb.
#[derive(Debug, Args)]
pub struct Sides {
    /// The SQLite file: a path, or a `sqlite:` or `file:` URI
    #[arg(required_unless_present = "pipeline")]
    source: Option<PathBuf>,
    /// The PostgreSQL database: postgres://…, key=value pairs, or "" for the PG* variables; `migrate` also takes
    /// `embedded` for a throw-away server
    #[arg(env = "DATABASE_URL", hide_env_values = true)]
    target: Option<String>,
    /// A pipeline file: source, target, and what to do beyond what is decided by itself
    #[arg(long, short, value_name = "FILE", conflicts_with = "source")]
    pipeline: Option<PathBuf>,
    /// With --pipeline: another source than the file's
    #[arg(long = "source", id = "other_source", value_name = "SOURCE", requires = "pipeline")]
    other_source: Option<PathBuf>,
    /// With --pipeline: another target than the file's
    #[arg(long = "target", id = "other_target", value_name = "TARGET", requires = "pipeline")]
    other_target: Option<String>,
}

/// The two sides, and the pipeline that says more of them.
pub struct Given {
    /// The SQLite file.
    pub source: PathBuf,
    /// The target, where one is named.
    pub target: Option<String>,
    /// The pipeline, where there is one.
    pub pipeline: Option<Pipeline>,
}

impl Sides {
    /// Reads the pipeline file, if one is named, and finds both sides.
    pub fn given(&self) -> Result<Given> {
        // clap lets an option off that requires one which a stated argument excludes.
        for (name, is_there) in [("--source", self.other_source.is_some()), ("--target", self.other_target.is_some())] {
            if is_there && self.pipeline.is_none() {
                return Err(Error::new(Kind::Usage, format!("`{name}` goes with `--pipeline`")).hint(
                    "without a pipeline, SOURCE and TARGET are arguments: `lite2pg migrate app.db postgres://…`",
                ));
            }
        }
        let source = self.other_source.as_ref().or(self.source.as_ref());
        Given::of(self.pipeline.as_deref(), source, (self.other_target.as_ref(), self.target.as_ref()))
    }
}

impl Given {
    /// Reads the pipeline file, if one is named. The source and the first target are stated, and count more than the
    /// file's; the second target less.
    pub fn of(
        pipeline: Option<&Path>,
        source: Option<&PathBuf>,
        (first, second): (Option<&String>, Option<&String>),
    ) -> Result<Self> {
        if let Some(source) = source {
            Source::check_name(source)?;
        }
        let Some(path) = pipeline else {
            let source = source.cloned().expect("clap asks for the source where there is no pipeline");
            return Ok(Self { source, target: first.or(second).cloned(), pipeline: None });
        };
        let pipeline = Pipeline::load(path)?;
        let source = source.cloned().map_or_else(|| pipeline.source(), Ok)?;
        let target = first.cloned().or_else(|| pipeline.file.target.clone()).or_else(|| second.cloned());
        Ok(Self { source, target, pipeline: Some(pipeline) })
    }

    /// Adds what the pipeline says. What the command line states, beyond its defaults, counts more.
    pub fn shape(&self, options: Options) -> Result<Options> {
        match &self.pipeline {
            Some(pipeline) => options.shaped(pipeline),
            None => Ok(options),
        }
    }

    /// The target with what the pipeline says of connecting to it.
    pub fn connecting(&self, target: Target) -> Target {
        match &self.pipeline {
            Some(pipeline) => pipeline.connecting(target),
            None => target,
        }
    }
}
