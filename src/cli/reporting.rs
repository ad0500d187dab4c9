//! The argument that asks for a report, and the two files that it becomes.

use crate::error::{Error, Kind, Result};
use crate::files::{self, Pending};
use crate::model::event::Summary;
use crate::report::page::Report;
use clap::Args;
use std::path::{Path, PathBuf};

/// Where the report goes.
#[derive(Debug, Args)]
pub struct Reporting {
    /// Folder for report.html, a page that reads offline and in print, and report.json; made if absent
    #[arg(long, value_name = "DIR", conflicts_with = "dry_run")]
    report: Option<PathBuf>,
}

/// The files, prepared before the long work begins. Dropped, they leave what was there as it was.
pub struct Prepared {
    html: (PathBuf, Pending),
    json: (PathBuf, Pending),
}

impl Reporting {
    /// Prepares the files: what cannot be written is known now.
    pub fn prepare(&self) -> Result<Option<Prepared>> {
        let Some(folder) = &self.report else { return Ok(None) };
        files::folder(folder).map_err(|e| refused(folder, Kind::Usage, e))?;
        let file = |name: &str| {
            let path = folder.join(name);
            let file = Pending::new(&path).map_err(|e| refused(&path, Kind::Usage, e))?;
            Ok::<_, Error>((path, file))
        };
        Ok(Some(Prepared { html: file("report.html")?, json: file("report.json")? }))
    }
}

impl Prepared {
    /// Writes both.
    pub fn write(self, summary: &Summary) -> Result<()> {
        let report = Report::of(summary);
        for ((path, file), text) in [(self.html, report.html()), (self.json, report.json())] {
            let state = "everything is on the target, the report is not whole";
            file.write(text.as_bytes()).map_err(|e| refused(&path, Kind::Failed, e).state(state))?;
        }
        Ok(())
    }
}

fn refused(path: &Path, kind: Kind, cause: std::io::Error) -> Error {
    Error::new(kind, format!("the report `{}` cannot be written", path.display())).cause(cause)
}
