//! The server that a verb works with: one that was named, or a throw-away one of its own.

use crate::error::{Error, Kind, Result};
use crate::model::event::{Event, Observer};
use crate::model::plan::Remark;
use crate::postgres::{Embedded, EmbeddedOptions, Environment, Kept, Target};

/// Where the rows are or go.
pub enum Server {
    /// One that somebody else runs.
    Given(Box<Target>),
    /// One that stops when it is dropped.
    Embedded(Box<Embedded>),
}

impl Server {
    /// The server that the argument TARGET names; `embedded` is for the one that it starts itself.
    pub fn of(text: &str, embedded: &EmbeddedOptions, observer: &dyn Observer) -> Result<Self> {
        if text == Embedded::WORD {
            return Ok(Self::Embedded(Box::new(Embedded::start(embedded)?)));
        }
        if embedded.keep {
            return Err(Error::new(Kind::Usage, "`--keep` is for the target `embedded`: every other server stays")
                .hint("leave `--keep` out, or name `embedded` in the place of the target"));
        }
        let target = Target::parse(text, &Environment::of_process()).map_err(|error| {
            let is_near = strsim::osa_distance(&text.to_ascii_lowercase(), Embedded::WORD) <= 2;
            if is_near { error.hint("did you mean `embedded`?") } else { error }
        })?;
        for remark in target.remarks() {
            observer.event(&Event::Remark(Remark::warning("TARGET", remark)));
        }
        // DATABASE_URL and PGPASSWORD are read by us alone; what a command line says, everybody's `ps` shows.
        if Target::states_password(text) && std::env::args_os().skip(1).any(|argument| argument == text) {
            let what = "holds a password, which other users of this machine may see in the list of processes: \
                        PGPASSWORD or ~/.pgpass keep it from them";
            observer.event(&Event::Remark(Remark::note("TARGET", what)));
        }
        Ok(Self::Given(Box::new(target)))
    }

    /// The server that TARGET names, for a verb that asks for what is there: one that starts empty has nothing.
    pub fn that_holds(text: &str, (lacks, hint): (&str, &str), observer: &dyn Observer) -> Result<Self> {
        if text == Embedded::WORD {
            let what = format!("`{text}` starts an empty server: {lacks}");
            return Err(Error::new(Kind::Usage, what).hint(hint));
        }
        Self::of(text, &EmbeddedOptions::default(), observer)
    }

    /// How to reach it.
    pub fn target(&self) -> Target {
        match self {
            Self::Given(target) => (**target).clone(),
            Self::Embedded(server) => server.target(),
        }
    }

    /// Leaves a server of our own running, and says how to use it.
    pub fn keep(self, observer: &dyn Observer) -> Result<()> {
        let Self::Embedded(server) = self else { return Ok(()) };
        let Kept { dir, psql, stop, .. } = server.keep()?;
        observer.event(&Event::Kept { dir: dir.display().to_string(), psql, stop });
        Ok(())
    }

    /// Stops a server of our own: half a migration in one that nobody was told of is of no use to anybody.
    pub fn discard(self) {
        if let Self::Embedded(server) = self {
            server.discard();
        }
    }
}

/// The error where no TARGET is given.
pub fn no_target(verb: &str) -> Error {
    let hint = match verb {
        "migrate" => "lite2pg migrate app.db postgres://user@host/database, or `embedded` for a throw-away server",
        "rollback" => "lite2pg rollback app.db postgres://user@host/database --to restored.db",
        "rejects" => "lite2pg rejects list app.db postgres://user@host/database",
        "status" => "lite2pg status postgres://user@host/database",
        _ => "lite2pg verify app.db postgres://user@host/database",
    };
    Error::new(Kind::Usage, "no TARGET is given, and DATABASE_URL is not set").hint(hint)
}
