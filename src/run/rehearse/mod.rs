//! The verb `rehearse`: a migration, its way back, and everything that may happen between, on a ground that is
//! thrown away.
//!
//! All of it happens with a private copy of the source. A step that does not hold is told with the others; only those
//! that need it are not run.

mod emptying;
mod hand;
mod hook;
mod judge;
mod kills;
mod rows;
mod steps;
mod writes;

use super::clock::Clock;
use super::rollback::{RollbackOptions, rollback};
use super::{Options, Scope, migrate, open};
use crate::error::{Error, Kind, Result};
use crate::files::Workplace;
use crate::model::bounds::{REHEARSAL_ROWS, REHEARSAL_WHOLE_BYTES_MAX};
use crate::model::event::{Observer, Summary};
use crate::model::plan::Draw;
use crate::model::rehearsal::{Downtime, Part, Rehearsal};
use crate::model::reshape::Reshape;
use crate::model::restored::Ending;
use crate::postgres::drill::{self, Ground};
use crate::postgres::{Pool, PoolSettings, Session, Target, control, fence};
use std::path::Path;
use std::process::Command;
use std::sync::atomic::AtomicBool;
use steps::{Drill, refused};

pub use kills::{Job, Verb};

/// Everything that shapes a rehearsal.
pub struct RehearseOptions<'a> {
    /// The migration that is rehearsed: its source, shapes and rules.
    pub migration: Options,
    /// The pipeline's name, where there is one.
    pub pipeline: Option<String>,
    /// Whether the target is a throw-away server of ours.
    pub embedded: bool,
    /// Rehearse with some rows only.
    pub quick: bool,
    /// A command to run on the restored file.
    pub hook: Option<String>,
    /// This program as a process of its own that does a job and may be killed.
    pub child: &'a dyn Fn(&Job) -> Command,
}

/// Rehearses. `stop` may be set from a signal handler.
pub fn rehearse(
    options: &RehearseOptions<'_>,
    target: &Target,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<Rehearsal> {
    check(options)?;
    let clock = Clock::new(observer);
    let place = Workplace::new("lite2pg-rehearsal-").map_err(|e| {
        Error::new(Kind::Failed, "no private folder can be made to rehearse in")
            .cause(e)
            .hint("TMPDIR=/a/larger/disk lite2pg …")
    })?;
    let base = place.path().join("source.db");
    let sample = excerpt(options, &base)?;
    let pool = Pool::connect(target, 2, &PoolSettings::default())?;
    let admin = pool.session()?;
    super::start::check_server(&admin)?;
    drill::alone(&admin)?;
    let had = (control::exists(&admin)?, fence::has_function(&admin)?);
    let grounds = Grounds::new(options, target);
    let mut drill = Drill {
        options,
        observer,
        stop,
        admin: &admin,
        place: &place,
        base: &base,
        grounds: &grounds,
        steps: Vec::new(),
        losses: Vec::new(),
        restored: None,
    };
    let ended = drill.all();
    let (steps, losses) = (std::mem::take(&mut drill.steps), std::mem::take(&mut drill.losses));
    // On every way out; what a kill leaves is found by the next rehearsal, by its mark.
    let cleared = grounds.clear(&admin, had);
    let (summary, back_ms) = ended?;
    cleared?;
    let rows = |summary: &Summary| summary.tables.iter().map(|t| t.rows).sum::<u64>();
    let scale = |ms: u64| match sample {
        Some(part) if part.rows > 0 => (u128::from(ms) * u128::from(part.of) / u128::from(part.rows)) as u64,
        _ => ms,
    };
    Ok(Rehearsal {
        passed: !steps.iter().any(|step| step.outcome.is_in_the_way()),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        source: options.migration.source.display().to_string(),
        content: crate::files::content(&base).map_err(|e| cannot_read(&base, e))?,
        pipeline: options.pipeline.clone(),
        server: server_words(&admin, options.embedded)?,
        tables: summary.as_ref().map_or(0, |s| s.tables.len() as u64),
        rows: summary.as_ref().map_or(0, rows),
        bytes: summary.as_ref().map_or(0, |s| s.tables.iter().map(|t| t.bytes).sum()),
        sample,
        downtime: summary.as_ref().map(|summary| Downtime {
            there_ms: scale(summary.ms),
            back_ms: back_ms.map(scale),
            measured: sample.is_none(),
        }),
        losses,
        remarks: summary.map(|s| s.remarks).unwrap_or_default(),
        steps,
        ms: clock.ms(),
    })
}

/// What a child does: one verb of the program, between the files and on the ground that the job names.
pub fn work(job: &Job, migration: &Options, target: &Target, observer: &dyn Observer, stop: &AtomicBool) -> Result<()> {
    let options = of(migration, &job.source, &job.schema, &job.folder);
    match &job.verb {
        Verb::There => {
            let summary = migrate(&options, target, observer, stop)?;
            match summary.verification {
                Some(found) if found.agrees() => Ok(()),
                _ => Err(Error::new(Kind::Different, "both sides differ at the end")),
            }
        }
        Verb::Back { to } => {
            let options = RollbackOptions {
                schema: job.schema.clone(),
                jobs: migration.jobs,
                force: true,
                leave: migration.leave.clone(),
                fence: super::rollback::Fence::During,
                ..RollbackOptions::new(&job.source, to)
            };
            let restored = rollback(&options, target, observer, stop)?;
            if restored.ending == Ending::Published { Ok(()) } else { Err(refused(&restored)) }
        }
    }
}

fn check(options: &RehearseOptions<'_>) -> Result<()> {
    let usage = |what: &str| Error::new(Kind::Usage, what);
    let scripts = &options.migration.scripts;
    if options.migration.scope == Scope::SchemaOnly {
        return Err(usage("without rows there is nothing to rehearse"));
    }
    options.migration.check_tables()?;
    let has_scripts = *scripts != super::Scripts::default();
    if !options.embedded && has_scripts {
        return Err(usage("the pipeline runs SQL of its own, which might reach more than the scratch schema")
            .hint("without --target, it is rehearsed on a throw-away server"));
    }
    Ok(())
}

// The places of the migrations of one rehearsal.
struct Grounds {
    main: Ground,
    again: Ground,
    kills: Ground,
}

impl Grounds {
    fn new(options: &RehearseOptions<'_>, target: &Target) -> Self {
        let of = |name: &str| {
            let name = format!("lite2pg_rehearsal_{name}");
            if options.embedded {
                Ground::database(target, &name, &options.migration.schema)
            } else {
                Ground::schema(target, &name)
            }
        };
        Self { main: of("main"), again: of("again"), kills: of("kills") }
    }

    fn clear(&self, admin: &Session, (had_control, had_fence): (bool, bool)) -> Result<()> {
        for ground in [&self.main, &self.again, &self.kills] {
            ground.clear(admin)?;
        }
        if !had_fence && control::exists(admin)? {
            // Another command may have put a fence up meanwhile, and needs it.
            fence::drop_function(admin).ok();
        }
        if had_control { Ok(()) } else { control::drop_empty(admin) }
    }
}

// A migration's options, for other files on another ground.
fn of(migration: &Options, source: &Path, schema: &str, folder: &Path) -> Options {
    let mut options = Options {
        source: source.to_owned(),
        schema: schema.to_owned(),
        truncate: false,
        conflict: None,
        restart: false,
        verify: true,
        // Its migrations are compared with each other, those of its processes too.
        draw: Some(Draw::default()),
        ..migration.clone()
    };
    options.settings.backup = None;
    options.rejects.folder = folder.join("rejects");
    options.wish.folder = folder.join("differences");
    options
}

// The private copy that is rehearsed with: of the file, or of a part of its rows.
fn excerpt(options: &RehearseOptions<'_>, base: &Path) -> Result<Option<Part>> {
    let opened = open(&Options { jobs: 1, ..plain_of(options) })?;
    let reader = &opened.readers[0];
    if !options.quick || opened.catalog.bytes <= REHEARSAL_WHOLE_BYTES_MAX {
        reader.copy_to(base)?;
        return Ok(None);
    }
    reader.excerpt(&reader.catalog()?, base, REHEARSAL_ROWS)?;
    let count = |opened: &super::Opened| -> Result<u64> {
        let tables = opened.catalog.tables.iter();
        tables.map(|table| opened.readers[0].count(table)).sum()
    };
    let taken = open(&Options { source: base.to_owned(), jobs: 1, ..plain_of(options) })?;
    Ok(Some(Part { rows: count(&taken)?, of: count(&opened)? }))
}

// Tables as they are, whatever a person makes of them.
fn plain_of(options: &RehearseOptions<'_>) -> Options {
    Options { reshape: Reshape::default(), ..options.migration.clone() }
}

fn cannot_read(path: &Path, e: std::io::Error) -> Error {
    Error::new(Kind::Failed, format!("`{}` cannot be read", path.display())).cause(e)
}

fn server_words(admin: &Session, embedded: bool) -> Result<String> {
    let version = admin.server_info()?.version;
    let version = version.split(' ').next().unwrap_or_default();
    Ok(if embedded {
        format!("PostgreSQL {version}, a throw-away server that syncs to disk")
    } else {
        format!("PostgreSQL {version}, scratch schemas of the target")
    })
}
