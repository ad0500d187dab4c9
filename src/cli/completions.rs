//! The verb `completions`: a script by which a shell completes verbs and arguments.

use super::output;
use crate::error::Result;
use clap::Args;
use clap_complete::Shell;

/// The arguments of `lite2pg completions`.
#[derive(Debug, Args)]
#[command(after_long_help = "Examples:
  lite2pg completions bash > ~/.local/share/bash-completion/completions/lite2pg
  lite2pg completions zsh > \"${fpath[1]}/_lite2pg\"
  lite2pg completions fish > ~/.config/fish/completions/lite2pg.fish")]
pub struct Arguments {
    /// The shell
    shell: Shell,
}

/// Runs the verb. `command` is the whole program's.
pub fn run(arguments: &Arguments, mut command: clap::Command) -> Result<()> {
    let mut script = Vec::new();
    clap_complete::generate(arguments.shell, &mut command, "lite2pg", &mut script);
    output::result(&String::from_utf8_lossy(&script))
}
