//! The verb `rollback`: PostgreSQL's state as a SQLite file, everything that was not changed there as the source had it.
//!
//! All of it happens in a private copy of the source, which is published whole or not at all. A dry run is the same
//! without the last step.

mod baseline;
mod ground;
mod loaded;
mod losses;
mod made;
mod place;
mod prove;
mod rows;
mod strangers;
mod way;

use super::clock::Clock;
use super::{Options, rejects, start};
use crate::error::Result;
use crate::model::event::{Event, Observer};
use crate::model::plan::Remark;
use crate::model::reshape::Reshape;
use crate::model::restored::{Ending, Restored};
use crate::postgres::{Pool, PoolSettings, Session, Target, fence, stranger};
use loaded::{reshape_of, run_of};
use place::Place;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;
use way::{Both, Way};

/// Everything that shapes a way back besides its source and target.
#[derive(Debug, Clone)]
pub struct RollbackOptions {
    /// The SQLite file that was migrated, or a copy of it; as typed.
    pub source: PathBuf,
    /// Where the restored file goes.
    pub to: PathBuf,
    /// The target schema.
    pub schema: String,
    /// Readers and connections at work at once.
    pub jobs: usize,
    /// Replace a file that is there.
    pub force: bool,
    /// Only find out what would happen.
    pub dry_run: bool,
    /// Tables and columns that stay as the source has them, and those of the target that are left behind.
    pub leave: Vec<String>,
    /// Find out what only the source has, which takes one more reading of both sides.
    pub losses: bool,
    /// A folder for what SQLite cannot hold; without one, such a way back is refused.
    pub export: Option<PathBuf>,
    /// Whether writers of the target are stopped meanwhile.
    pub fence: Fence,
    /// The shapes of the run, where somebody states anew how they go back; the run's own otherwise.
    pub reshape: Option<Reshape>,
}

/// Whether writers of the target are stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Fence {
    /// No: what they write after the start is not in the file.
    #[default]
    No,
    /// Until the end.
    During,
    /// Until the end, and for good once the file is there.
    Keep,
}

impl RollbackOptions {
    /// A way back of everything with the defaults of the command line.
    pub fn new(source: impl Into<PathBuf>, to: impl Into<PathBuf>) -> Self {
        Self {
            source: source.into(),
            to: to.into(),
            schema: "public".to_owned(),
            jobs: super::default_jobs(),
            force: false,
            dry_run: false,
            leave: Vec::new(),
            losses: false,
            export: None,
            fence: Fence::No,
            reshape: None,
        }
    }
}

/// Brings PostgreSQL's state back into a SQLite file. `stop` may be set from a signal handler: then nothing is
/// published, and the same call may be made again.
pub fn rollback(
    options: &RollbackOptions,
    target: &Target,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<Restored> {
    let clock = Clock::new(observer);
    let place = Place::look(&options.to, &options.source, options.force || options.dry_run)?;
    let pool = Pool::connect(target, 1, &PoolSettings::default())?;
    let mut control = pool.session()?;
    start::check_encoding(&control)?;
    let reading = reading(options);
    start::check_reading_rights(&control, &reading, start::Use::Compare)?;
    start::hold(&mut control, &reading)?;
    lift_left_over(&mut control, options, observer)?;
    let run = run_of(&control, options)?;
    let reshape = reshape_of(&run, options)?;
    let mut tables = stranger::tables(&control, &options.schema)?;
    tables.retain(|table| !options.leave.contains(table));
    start::check_table_rights(&control, &reading, &tables, start::Use::Compare)?;
    let rejected = rejects::places(&control, run.id)?;
    let workshop = place.open(observer)?;
    let way = Way {
        options,
        observer,
        stop,
        pool: &pool,
        place: &place,
        workshop: &workshop,
        run: &run,
        reshape: &reshape,
        rejected: &rejected,
    };
    let result = way.go(&mut control, clock);
    // Whatever came of it, writers do not wait for us any longer than they must.
    let keep = options.fence == Fence::Keep && matches!(&result, Ok(r) if r.ending == Ending::Published);
    let ended = match (options.fence, keep) {
        (Fence::No, _) => Ok(()),
        (_, true) => fence::keep(&mut control, &options.schema),
        (_, false) => fence::lift(&mut control, &options.schema, false).map(drop),
    };
    let mut restored = result?;
    ended?;
    restored.fence_kept = keep && restored.fenced > 0;
    Ok(restored)
}

/// Lifts whatever fence is up in a schema; the tables that can be written to again.
pub fn lift_fence(target: &Target, schema: &str) -> Result<Vec<String>> {
    let pool = Pool::connect(target, 1, &PoolSettings::default())?;
    let mut control = pool.session()?;
    let options = Options { schema: schema.to_owned(), ..Options::new(PathBuf::new()) };
    start::hold(&mut control, &options)?;
    fence::lift(&mut control, schema, true)
}

// Nobody else works on the schema: what stands there was left by a command that was killed.
fn lift_left_over(control: &mut Session, options: &RollbackOptions, observer: &dyn Observer) -> Result<()> {
    let fenced = fence::look(control, &options.schema)?;
    if !fenced.raised.is_empty() {
        let tables = fence::lift(control, &options.schema, false)?;
        let text = format!("the fence of a rollback that was killed is lifted from {} tables", tables.len());
        observer.event(&Event::Remark(Remark::warning(&options.schema, text)));
    }
    if !fenced.kept.is_empty() {
        let text = "a fence that an earlier rollback left up on purpose is still there: writers are refused";
        observer.event(&Event::Remark(Remark::note(&options.schema, text)));
    }
    Ok(())
}

// What start's questions are asked with.
fn reading(options: &RollbackOptions) -> Options {
    Options { schema: options.schema.clone(), jobs: options.jobs, ..Options::new(&options.source) }
}
