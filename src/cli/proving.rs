//! Arguments of every verb that compares both sides: what it lists, and where.

use crate::model::bounds::DIFFERENCES_MAX;
use crate::run::Wish;
use clap::Args;
use std::path::PathBuf;

/// How differences are told.
#[derive(Debug, Args)]
pub struct Proving {
    /// Folder for the files that list each cell that differs, with its values; made when there is one
    #[arg(long, value_name = "DIR", default_value = "differences")]
    differences_dir: PathBuf,
    /// Look for at most this many differing rows in one table
    #[arg(long, value_name = "N", default_value_t = DIFFERENCES_MAX)]
    max_differences: u64,
    /// Tell values of differing cells on the screen too, not only in the files
    #[arg(long)]
    show_values: bool,
}

impl Proving {
    /// Whether values of rows may be told on the screen.
    pub fn shows_values(&self) -> bool {
        self.show_values
    }

    /// What these arguments ask for.
    pub fn wish(&self) -> Wish {
        Wish {
            folder: self.differences_dir.clone(),
            rows_max: self.max_differences.max(1),
            show_values: self.show_values,
            ..Wish::default()
        }
    }
}
