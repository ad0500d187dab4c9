//! The verb `init`: a pipeline file made of what a source holds, to review and to edit.

use super::output;
use super::signals::stop_flag;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::model::event::Silent;
use crate::pipeline;
use crate::report::init;
use crate::run::{self, Options};
use clap::Args;
use std::io::Write as _;
use std::path::{Path, PathBuf};

/// The arguments of `lite2pg init`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  lite2pg init app.db > shop.toml
  lite2pg init app.db -o pipelines/shop.toml
  lite2pg init --json-schema > pipeline.schema.json")]
pub struct Arguments {
    /// The SQLite file
    #[arg(required_unless_present = "json_schema")]
    source: Option<PathBuf>,
    /// Write the file here instead of printing it; one that is there stays
    #[arg(long, short, value_name = "FILE", requires = "source")]
    output: Option<PathBuf>,
    /// Print the JSON Schema of pipeline files, for editors
    #[arg(long, conflicts_with_all = ["source", "output"])]
    json_schema: bool,
}

/// Runs the verb.
pub fn run(arguments: &Arguments) -> Result<()> {
    let Some(source) = arguments.source.as_deref().filter(|_| !arguments.json_schema) else {
        return output::result(&pipeline::schema());
    };
    let options = Options::new(source);
    let stop = stop_flag()?;
    let catalog = run::catalog_of(&options)?;
    let dry = run::dry_run(&options, None, &Silent, &stop)?;
    let name = source.file_stem().map_or_else(|| "app".to_owned(), |stem| stem.to_string_lossy().into_owned());
    let Some(path) = &arguments.output else {
        return output::result(&init::text(&dry.plan, &catalog, &name, &source.to_string_lossy()));
    };
    let text = init::text(&dry.plan, &catalog, &name, &from(path, source)?.to_string_lossy());
    let failed = |e: std::io::Error| {
        let error = Error::new(Kind::Usage, format!("`{}` cannot be written", path.display()));
        let is_there = e.kind() == std::io::ErrorKind::AlreadyExists;
        let error = if is_there { error.hint("it is there already: another name, or move it away") } else { error };
        error.state("nothing was written").cause(e)
    };
    let mut file = files::create(path).map_err(failed)?;
    file.write_all(text.as_bytes()).map_err(failed)
}

// The source as the file names it: paths in a pipeline are relative to its folder.
fn from(file: &Path, source: &Path) -> Result<PathBuf> {
    let is_uri = ["file:", "sqlite:"].iter().any(|scheme| source.to_string_lossy().starts_with(scheme));
    let is_beside = file.parent().is_none_or(|folder| folder.as_os_str().is_empty());
    if is_uri || is_beside || source.is_absolute() {
        return Ok(source.to_owned());
    }
    source
        .canonicalize()
        .map_err(|e| Error::new(Kind::Source, format!("`{}` cannot be found", source.display())).cause(e))
}
