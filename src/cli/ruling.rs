//! Arguments that state rules: types of columns, what becomes of values that break them, and how strict a run is.

use crate::error::{Error, Kind, Result};
use crate::model::bounds::REJECTS_MAX;
use crate::model::pg_type::PgType;
use crate::model::policy::{Policy, Rules};
use crate::run::{Options, RejectLimits};
use clap::Args;
use std::path::PathBuf;

/// Types and policies.
#[derive(Debug, Args)]
pub struct Ruling {
    /// State a column's type, which its rows must then keep; may be repeated
    #[arg(long = "type", value_name = "TABLE.COLUMN=TYPE")]
    types: Vec<String>,
    /// What becomes of a value that a stated type, or the type of a table that is there, does not take, and of a row
    /// that the server refuses: fail, reject, null or default; of a column, a table, or all; may be repeated
    #[arg(long, value_name = "[TABLE[.COLUMN]=]POLICY")]
    on_error: Vec<String>,
    /// Folder for the files that list rows that were set aside, with their values; made when there is one
    #[arg(long, value_name = "DIR", default_value = "rejects")]
    rejects_dir: PathBuf,
    /// End the run once more rows than this would be set aside
    #[arg(long, value_name = "N", default_value_t = REJECTS_MAX)]
    max_rejects: u64,
    /// Exit with 0 although as many rows were set aside
    #[arg(long, value_name = "N", default_value_t = 0)]
    allow_rejects: u64,
    /// Refuse what would be lost, rewritten or left out: 3 before anything is written, 5 where only the rows show it
    #[arg(long)]
    strict: bool,
}

impl Ruling {
    /// Adds what these arguments ask for.
    pub fn apply(&self, options: Options) -> Result<Options> {
        Ok(Options {
            rules: Rules {
                types: self.types.iter().map(|text| stated_type(text)).collect::<Result<_>>()?,
                policies: self.on_error.iter().map(|text| policy(text)).collect::<Result<_>>()?,
                ..Rules::default()
            },
            rejects: RejectLimits {
                folder: self.rejects_dir.clone(),
                most: self.max_rejects,
                allowed: self.allow_rejects,
            },
            strict: self.strict,
            ..options
        })
    }
}

fn stated_type(text: &str) -> Result<(String, PgType)> {
    let Some((name, type_text)) = text.rsplit_once('=') else {
        return Err(Error::new(Kind::Usage, format!("`--type {text}` states no type"))
            .hint("--type 'orders.amount=numeric(12,2)'"));
    };
    let Some(pg_type) = PgType::parse(type_text) else {
        return Err(Error::new(Kind::Usage, format!("`--type {text}`: `{type_text}` is no type that lite2pg makes"))
            .fact(
                "boolean, smallint, integer, bigint, real, double precision, numeric, numeric(p,s), text, varchar(n), \
                 char(n), bytea, uuid, json, jsonb, date, time, timestamp, timestamptz",
            )
            .hint("other types: create the table first, and load it with `--data-only`"));
    };
    Ok((name.to_owned(), pg_type))
}

fn policy(text: &str) -> Result<(Option<String>, Policy)> {
    let (name, word) = match text.rsplit_once('=') {
        Some((name, word)) => (Some(name.to_owned()), word),
        None => (None, text),
    };
    let found = Policy::ALL.into_iter().find(|p| p.word() == word.trim().to_ascii_lowercase());
    found.map(|policy| (name, policy)).ok_or_else(|| {
        Error::new(Kind::Usage, format!("`--on-error {text}`: `{word}` is no policy"))
            .fact("a policy is fail, reject, null or default")
            .hint("--on-error reject, or --on-error 'orders.amount=null'")
    })
}
