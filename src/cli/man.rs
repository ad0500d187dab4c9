//! The verb `man`: the manual page of the program or of one of its verbs, as `man` reads it.

use super::output;
use crate::error::{Error, Kind, Result};
use clap::Args;

/// The arguments of `lite2pg man`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  lite2pg man > lite2pg.1
  lite2pg man migrate > lite2pg-migrate.1
  lite2pg man rejects retry | man -l -")]
pub struct Arguments {
    /// The verb, and the verb within it; none for the program itself
    verb: Vec<String>,
}

/// Runs the verb. `command` is the whole program's.
pub fn run(arguments: &Arguments, mut command: clap::Command) -> Result<()> {
    // Only a built command knows its full name.
    command.build();
    let mut found = &command;
    for verb in &arguments.verb {
        found = found.find_subcommand(verb).ok_or_else(|| {
            let verbs: Vec<&str> = found.get_subcommands().map(clap::Command::get_name).collect();
            let error = Error::new(Kind::Usage, format!("`{}` has no verb `{verb}`", found.get_name()));
            if verbs.is_empty() { error } else { error.fact(format!("it has {}", verbs.join(", "))) }
        })?;
    }
    let mut page = Vec::new();
    clap_mangen::Man::new(found.clone())
        .render(&mut page)
        .map_err(|e| Error::new(Kind::Bug, "a manual page cannot be written").cause(e))?;
    output::result(&String::from_utf8_lossy(&page))
}
