//! The source as the baseline: copied, and known to be what was loaded.

use super::super::crew::Hands;
use super::super::proof::{self, Known, Proof, Subject, Wish};
use super::super::{Opened, Options, open};
use super::Way;
use super::loaded::shape;
use super::place::AS_IT_WAS;
use crate::error::{Error, Kind, Result};
use crate::model::digest::SetDigest;
use crate::model::event::Event;
use crate::model::plan::Remark;
use crate::model::source::Table;
use crate::postgres::Session;
use crate::postgres::control;
use crate::verify::source;
use std::path::PathBuf;

impl Way<'_> {
    // How a file is read that this run has read, or a copy of it.
    pub(super) fn reading(&self, file: PathBuf) -> Options {
        let shape = shape(self.run);
        let globs = |name: &str| serde_json::from_value(shape[name].clone()).unwrap_or_default();
        Options {
            schema: self.options.schema.clone(),
            include: globs("include"),
            exclude: globs("exclude"),
            jobs: self.options.jobs,
            reshape: self.reshape.clone(),
            ..Options::new(file)
        }
    }

    // Makes the private copy; says whether it is of the very file that was loaded.
    pub(super) fn copy(&self) -> Result<bool> {
        let opened = open(&self.reading(self.options.source.clone()))?;
        opened.readers[0].copy_to(&self.workshop.copy())?;
        Ok(opened.fingerprint == self.run.fingerprint)
    }

    // Another file than the one that was loaded: a checkpoint makes one of the same rows. Their digests tell.
    pub(super) fn same_rows(&self, control: &Session, opened: &mut Opened) -> Result<()> {
        let loaded = control::ranges(control, self.run.id)?;
        let changed = |what: String| {
            Error::new(Kind::Blocked, "this is not the source that was loaded")
                .fact(what)
                .fact(format!("run {} read `{}`", self.run.id, self.run.source))
                .state(AS_IT_WAS)
                .hint("name the file that was migrated as it was then, or the backup of it")
        };
        let session = || self.pool.lone_session();
        let hands = Hands { number: self.options.jobs, stop: self.stop, session: &session };
        let wish = Wish::default();
        let plan = &self.run.plan;
        let proof =
            Proof { plan, wish: &wish, hands, observer: self.observer, is_thorough: false, rejected: self.rejected };
        for table in &plan.tables {
            let there = opened.catalog.table(&table.source);
            let is_whole = |t: &Table| table.columns.iter().all(|c| t.column_index(&c.source).is_some());
            if there.is_none_or(|t| !is_whole(t)) {
                return Err(changed(format!("it has no table `{}` with the columns that were loaded", table.source)));
            }
        }
        let subjects: Vec<Subject> = plan.tables.iter().map(|_| unread(Vec::new())).collect();
        let progress = proof::announce(&proof, &subjects);
        let now = proof::source_digests(&proof, opened, &subjects, &progress)?;
        for (t, table) in plan.tables.iter().enumerate() {
            let parts = loaded.get(&table.target).into_iter().flatten();
            let digests: Option<Vec<SetDigest>> =
                parts.map(|r| r.digest.as_deref().and_then(source::from_stored)).collect();
            let then = digests.map(|all| {
                all.iter().fold(SetDigest::default(), |mut sum, digest| {
                    sum.merge(digest);
                    sum
                })
            });
            if then != Some(now.get(&t).copied().unwrap_or_default()) {
                return Err(changed(format!("the rows of `{}` are not those that were loaded", table.source)));
            }
        }
        let text =
            "the file was written since it was loaded, as a checkpoint does; by their digests its rows are the same";
        self.observer.event(&Event::Remark(Remark::note(self.options.source.display().to_string(), text)));
        Ok(())
    }
}

/// A side of a table that nobody has read yet.
pub fn unread(unverified: Vec<String>) -> Subject {
    Subject { source: Known::Unread, unverified }
}
