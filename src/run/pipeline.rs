//! What a pipeline file asks, as options of a run: its names matched with the source, its paths found beside the file.

use super::options::assumed;
use super::{Backup, Ddl, Options, RollbackOptions, Scope, Scripts, Settings, catalog_of};
use crate::error::{Error, Kind, Result};
use crate::model::bounds::PARITY_TIMES;
use crate::model::check::{Parity, Question};
use crate::model::name::Spelling;
use crate::pipeline::file::{self, Identifiers, Script};
use crate::pipeline::{Pipeline, check};
use crate::postgres::{Embedded, Target};
use std::path::PathBuf;
use std::time::Duration;

impl Options {
    /// Adds what a pipeline asks. What these options state beyond [`Options::new`] counts more than the file.
    ///
    /// The source is opened, because every name of the file is matched with what it holds. Mistakes of the file are told
    /// all at once, with their lines: [`Kind::Usage`]; a source that cannot be read is [`Kind::Source`].
    pub fn shaped(self, pipeline: &Pipeline) -> Result<Self> {
        let file = &pipeline.file;
        let mut options = self;
        let defaults = Self::new(&options.source);
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
            options.types.assume_tz = assumed(zone)?;
        }
        if let Some(jobs) = file.jobs.filter(|_| options.jobs == defaults.jobs) {
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
        options.leave.extend(file.rollback.leave.iter().cloned());
        options.keeps_indexes |= file.keep_indexes;
        let found = check::check(pipeline, &catalog_of(&options)?)?;
        options.check()?;
        options.reshape = found.reshape;
        // What was stated stands behind the file's, so that it wins.
        let stated = std::mem::replace(&mut options.rules, found.rules);
        options.rules.types.extend(stated.types);
        options.rules.policies.extend(stated.policies);
        let read = |file: &String| Ok::<_, Error>(Ddl { name: file.clone(), sql: text(pipeline, file)? });
        let ddl = file.ddl.as_ref().map(read).transpose()?;
        let (before, after) = (scripts(pipeline, &file.before)?, scripts(pipeline, &file.after)?);
        options.scripts = Scripts { ddl, before, after };
        // Beside the lanes one session is the run's own, and one holds the moment that is compared.
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
            connections: file.settings.connections,
            lock_timeout: seconds(file.settings.lock_timeout),
            statement_timeout: seconds(file.settings.statement_timeout),
            range_rows: file.settings.range_rows,
            batch_rows: file.settings.batch_rows,
        };
        options.questions = file.check.iter().map(question).chain(file.show.iter().map(show)).collect();
        Ok(options)
    }
}

impl RollbackOptions {
    /// The way back of a migration that was made through a pipeline, with what the file says of `inverse` by now.
    ///
    /// The source is the one given, not the file's. Mistakes of the file are told as [`Options::shaped`] tells them.
    pub fn of(pipeline: &Pipeline, source: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Result<Self> {
        let shaped = Options::new(source).shaped(pipeline)?;
        let back = Self::new(shaped.source, to);
        let (schema, jobs, leave) = (shaped.schema, shaped.jobs, shaped.leave);
        Ok(Self { schema, jobs, leave, reshape: Some(shaped.reshape), ..back })
    }
}

impl Pipeline {
    /// The file's source, found beside the file. A file that names none is [`Kind::Usage`].
    pub fn source(&self) -> Result<PathBuf> {
        self.file.source.as_ref().map(|source| self.beside(source)).ok_or_else(|| {
            Error::new(Kind::Usage, format!("`{}` names no source", self.path.display()))
                .hint("`source = \"app.db\"` in the file, or `--source app.db`")
        })
    }

    /// The file's target, with what it says of connecting; completed from `PG*` variables and `~/.pgpass`, as by libpq. A
    /// file that names none, or `embedded`, is [`Kind::Usage`]: [`Embedded`] starts such a server.
    pub fn target(&self) -> Result<Target> {
        let text = self.file.target.as_deref().filter(|text| *text != Embedded::WORD).ok_or_else(|| {
            Error::new(Kind::Usage, format!("`{}` names no server as its target", self.path.display()))
                .hint("`target = \"postgres://user@host/database\"` in the file")
        })?;
        Ok(self.connecting(text.parse()?))
    }

    /// A target with what the file says of connecting.
    #[must_use]
    pub fn connecting(&self, target: Target) -> Target {
        match self.file.settings.connect_timeout {
            Some(seconds) => target.with_connect_timeout(Duration::from_secs(seconds)),
            None => target,
        }
    }

    /// What the file asks, of the source that it names. Errors are those of [`Pipeline::source`] and
    /// [`Options::shaped`].
    pub fn options(&self) -> Result<Options> {
        Options::new(self.source()?).shaped(self)
    }
}

// A file that the pipeline names.
fn text(pipeline: &Pipeline, file: &str) -> Result<String> {
    let path = pipeline.beside(file);
    std::fs::read_to_string(&path)
        .map_err(|e| Error::new(Kind::Usage, format!("the script `{}` cannot be read", path.display())).cause(e))
}

fn scripts(pipeline: &Pipeline, scripts: &[Script]) -> Result<Vec<String>> {
    let read = |script: &Script| match (&script.sql, &script.file) {
        (Some(sql), _) => Ok(sql.clone()),
        (None, Some(file)) => text(pipeline, file),
        (None, None) => Ok(String::new()),
    };
    scripts.iter().map(read).collect()
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
