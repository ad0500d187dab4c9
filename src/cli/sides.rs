//! Which source and which target: as arguments, or in a pipeline file with all that it says of them.

use crate::error::{Error, Kind, Result};
use crate::model::bounds::PARITY_TIMES;
use crate::model::check::{Parity, Question};
use crate::model::name::Spelling;
use crate::pipeline::file::{self, Identifiers, Script};
use crate::pipeline::{Pipeline, check};
use crate::postgres::Target;
use crate::run::{self, Backup, Ddl, Options, Scope, Scripts, Settings};
use clap::Args;
use std::path::{Path, PathBuf};
use std::time::Duration;

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
        let Some(path) = pipeline else {
            let source = source.cloned().expect("clap asks for the source where there is no pipeline");
            return Ok(Self { source, target: first.or(second).cloned(), pipeline: None });
        };
        let pipeline = Pipeline::load(path)?;
        let own = pipeline.file.source.as_ref().map(|source| pipeline.beside(source));
        let Some(source) = source.cloned().or(own) else {
            return Err(Error::new(Kind::Usage, format!("`{}` names no source", path.display()))
                .hint("`source = \"app.db\"` in the file, or `--source app.db`"));
        };
        let target = first.cloned().or_else(|| pipeline.file.target.clone()).or_else(|| second.cloned());
        Ok(Self { source, target, pipeline: Some(pipeline) })
    }

    /// Adds what the pipeline says. What the command line states, beyond its defaults, counts more.
    pub fn shape(&self, options: Options) -> Result<Options> {
        let Some(pipeline) = &self.pipeline else { return Ok(options) };
        let file = &pipeline.file;
        let mut options = options;
        let defaults = Options::new(&self.source);
        if options.schema == defaults.schema {
            options.schema = file.schema.clone().unwrap_or(options.schema);
        }
        if options.spelling == Spelling::Preserve {
            options.spelling = match file.identifiers {
                None | Some(Identifiers::Preserve) => Spelling::Preserve,
                Some(Identifiers::Lower) => Spelling::Lower,
                Some(Identifiers::Snake) => Spelling::Snake,
            };
        }
        if let Some(zone) = file.assume_tz.as_deref().filter(|_| options.types.assume_tz == defaults.types.assume_tz) {
            options.types.assume_tz = super::reading::assumed(zone)?;
        }
        if let Some(jobs) = file.jobs.filter(|_| options.jobs == defaults.jobs) {
            super::reading::check_jobs(jobs)?;
            options.jobs = jobs;
        }
        options.include.extend(file.include.iter().cloned());
        options.exclude.extend(file.exclude.iter().cloned());
        if file.data_only && options.scope == Scope::All {
            options.scope = Scope::DataOnly;
        }
        if let Some(dir) = file.rejects.dir.as_deref().filter(|_| options.rejects.folder == defaults.rejects.folder) {
            options.rejects.folder = pipeline.beside(dir);
        }
        options.rejects.most = file.rejects.max.unwrap_or(options.rejects.most);
        options.rejects.allowed = options.rejects.allowed.max(file.rejects.allow.unwrap_or(0));
        let said = &file.migrations;
        options.migrations.alone.clone_from(&said.tables);
        // A table of which something is said moves as it says.
        let is_described = |t: &&file::Table| !t.skip && (t.only.is_some() || t.to.is_some() || !t.columns.is_empty());
        let described = file.table.iter().filter(is_described).filter_map(|t| t.from.clone());
        options.migrations.moved = said.r#move.iter().cloned().chain(described).collect();
        options.migrations.ignored |= said.ignore;
        options.fires_triggers |= file.fire_triggers;
        let found = check::check(pipeline, &run::catalog_of(&options)?)?;
        options.reshape = found.reshape;
        // The command line's stand behind the file's, so that they win.
        let stated = std::mem::replace(&mut options.rules, found.rules);
        options.rules.types.extend(stated.types);
        options.rules.policies.extend(stated.policies);
        let read = |file: &String| Ok::<_, Error>(Ddl { name: file.clone(), sql: self.text(file)? });
        let ddl = file.ddl.as_ref().map(read).transpose()?;
        options.scripts = Scripts { ddl, before: self.scripts(&file.before)?, after: self.scripts(&file.after)? };
        // Beside the lanes one session holds the schema's lock, and one asks.
        let lanes = file.settings.connections.map_or(options.jobs, |most| most.saturating_sub(2).max(1));
        options.jobs = options.jobs.min(lanes);
        options.parity = file.parity.iter().map(parity).collect();
        let seconds = |s: Option<u64>| s.map(Duration::from_secs);
        let backup = file.backup.as_ref().map(|backup| Backup {
            folder: pipeline.beside(&backup.dir),
            source: backup.source,
            target: backup.target,
            keep_days: backup.keep_days,
        });
        options.settings = Settings {
            backup: options.settings.backup.or(backup),
            lock_timeout: seconds(file.settings.lock_timeout),
            statement_timeout: seconds(file.settings.statement_timeout),
            range_rows: file.settings.range_rows,
            batch_rows: file.settings.batch_rows,
        };
        options.questions = file.check.iter().map(question).chain(file.show.iter().map(show)).collect();
        Ok(options)
    }

    // A file that the pipeline names.
    fn text(&self, file: &str) -> Result<String> {
        let path = self.pipeline.as_ref().map_or_else(|| PathBuf::from(file), |pipeline| pipeline.beside(file));
        std::fs::read_to_string(&path)
            .map_err(|e| Error::new(Kind::Usage, format!("the script `{}` cannot be read", path.display())).cause(e))
    }

    /// The target with what the pipeline says of connecting to it.
    pub fn connecting(&self, target: Target) -> Target {
        match self.pipeline.as_ref().and_then(|pipeline| pipeline.file.settings.connect_timeout) {
            Some(seconds) => target.with_connect_timeout(Duration::from_secs(seconds)),
            None => target,
        }
    }

    fn scripts(&self, scripts: &[Script]) -> Result<Vec<String>> {
        let text = |script: &Script| match (&script.sql, &script.file, &self.pipeline) {
            (Some(sql), _, _) => Ok(sql.clone()),
            (None, Some(file), Some(_)) => self.text(file),
            _ => Ok(String::new()),
        };
        scripts.iter().map(text).collect()
    }
}

fn parity(asked: &file::Parity) -> Parity {
    let sql = || asked.sql.clone().unwrap_or_default();
    Parity {
        name: asked.name.clone(),
        source: asked.source.clone().unwrap_or_else(sql),
        target: asked.target.clone().unwrap_or_else(sql),
        times: asked.times.unwrap_or(PARITY_TIMES),
    }
}

fn question(check: &file::Check) -> Question {
    Question {
        name: check.name.clone(),
        source: check.source.clone(),
        target: check.target.clone(),
        expect: check.expect.clone(),
        is_shown: false,
    }
}

fn show(asked: &file::Show) -> Question {
    Question {
        name: asked.name.clone(),
        source: asked.source.clone(),
        target: asked.target.clone(),
        expect: None,
        is_shown: true,
    }
}
