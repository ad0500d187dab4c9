//! The short way in for programs: one call for each verb, without anybody who watches.

use super::{DryRun, Options, RollbackOptions, dry_run, migrate, rollback, verify};
use crate::error::Result;
use crate::model::event::{Silent, Summary};
use crate::model::restored::Restored;
use crate::model::verdict::Verification;
use crate::pipeline::Pipeline;
use crate::postgres::Target;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

/// Nobody stops what nobody watches.
static NEVER: AtomicBool = AtomicBool::new(false);

impl Options {
    /// What a migration would do, with its DDL; nothing is changed. The target is asked what it thinks of the plan, if one
    /// is given.
    ///
    /// Errors: [`Kind::Source`](crate::Kind) for a file that is no SQLite database or cannot be read, `Target` for a server
    /// that is out of reach, `Usage` for options that do not fit the source, `Blocked` for what would lose data.
    pub fn plan(&self, target: Option<&Target>) -> Result<DryRun> {
        dry_run(self, target, &Silent, &NEVER)
    }

    /// Moves the source into the target, and compares both sides unless [`Options::verify`](field@Options::verify) says no.
    /// The same call goes on with a run that was cut, and compares again where it had finished.
    ///
    /// `Ok` says that the run came to its end, not that both sides agree: [`Summary::is_verified`] says so. Errors are those
    /// of [`Options::plan`], and `Failed` where the run could not go on; [`Error::data_state`](crate::Error::data_state)
    /// tells what is on the target then.
    pub fn migrate(&self, target: &Target) -> Result<Summary> {
        migrate(self, target, &Silent, &NEVER)
    }

    /// Reads both sides anew and compares them, whoever loaded the target. Nothing is changed.
    ///
    /// `Ok` says that they were read, not that they agree: [`Verification::is_proof`] says so. Where they differ, each cell
    /// is listed in a file of the folder [`Wish::folder`](super::Wish::folder).
    pub fn verify(&self, target: &Target) -> Result<Verification> {
        verify(self, target, false, &Silent, &NEVER)
    }

    /// Brings what the target holds by now back into a new SQLite file `to`: what was not changed there as the source has it,
    /// to the byte. The source is the file that was migrated, or a copy of it; it is only read. A file that is there is
    /// refused, as `Usage`; [`RollbackOptions`] ask for more.
    ///
    /// `Ok` may be a refusal: [`Restored::ending`] says whether the file is there, [`Restored::unfit`] what SQLite cannot
    /// take back.
    pub fn rollback(&self, target: &Target, to: impl Into<PathBuf>) -> Result<Restored> {
        let reshape = (!self.reshape.tables.is_empty()).then(|| self.reshape.clone());
        let back = RollbackOptions::new(&self.source, to);
        let (schema, leave) = (self.schema.clone(), self.leave.clone());
        let options = RollbackOptions { schema, jobs: self.jobs, leave, reshape, ..back };
        rollback(&options, target, &Silent, &NEVER)
    }
}

impl Pipeline {
    /// [`Options::plan`] with what the file asks, of the source that it names.
    pub fn plan(&self, target: Option<&Target>) -> Result<DryRun> {
        let target = target.map(|target| self.connecting(target.clone()));
        self.options()?.plan(target.as_ref())
    }

    /// [`Options::migrate`] with what the file asks, of the source that it names. [`Pipeline::target`] is the target that
    /// the file names.
    pub fn migrate(&self, target: &Target) -> Result<Summary> {
        self.options()?.migrate(&self.connecting(target.clone()))
    }

    /// [`Options::verify`](Options#method.verify) with what the file asks, of the source that it names.
    pub fn verify(&self, target: &Target) -> Result<Verification> {
        self.options()?.verify(&self.connecting(target.clone()))
    }

    /// [`Options::rollback`] through the file: what it says of `inverse` counts, and it must be the one of the run otherwise.
    pub fn rollback(&self, target: &Target, to: impl Into<PathBuf>) -> Result<Restored> {
        let options = RollbackOptions::of(self, self.source()?, to)?;
        rollback(&options, &self.connecting(target.clone()), &Silent, &NEVER)
    }
}
