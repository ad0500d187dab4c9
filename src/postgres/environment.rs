//! What the process around us says: variables, home directory, user, socket directories.
//!
//! A value, so that tests state an environment instead of changing the process's own. Knows nothing of
//! what the variables mean.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};

/// The directories where a server listens unless told otherwise: Debian's and Red Hat's builds use the
/// first, PostgreSQL's own default is the second.
const SOCKET_DIRS: [&str; 2] = ["/var/run/postgresql", "/tmp"];

/// The surroundings that a connection string is completed from.
#[derive(Clone, Default)]
pub struct Environment {
    vars: HashMap<String, String>,
    home: Option<PathBuf>,
    user: Option<String>,
    socket_dirs: Vec<PathBuf>,
}

impl Environment {
    /// The surroundings of this process. Variables that are not UTF-8 count as unset.
    #[must_use]
    pub fn of_process() -> Self {
        let vars = std::env::vars_os().filter_map(|(k, v)| Some((k.into_string().ok()?, v.into_string().ok()?)));
        Self {
            vars: vars.collect(),
            home: std::env::home_dir(),
            user: whoami::username().ok(),
            socket_dirs: SOCKET_DIRS.iter().map(PathBuf::from).collect(),
        }
    }

    /// Surroundings that say nothing at all.
    #[must_use]
    pub fn empty() -> Self {
        Self::default()
    }

    /// Sets a variable.
    #[must_use]
    pub fn with_var(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.vars.insert(name.into(), value.into());
        self
    }

    /// Sets the home directory.
    #[must_use]
    pub fn with_home(mut self, home: impl Into<PathBuf>) -> Self {
        self.home = Some(home.into());
        self
    }

    /// Sets the name of the operating system's user.
    #[must_use]
    pub fn with_user(mut self, user: impl Into<String>) -> Self {
        self.user = Some(user.into());
        self
    }

    /// Adds a directory to look for a server's socket in.
    #[must_use]
    pub fn with_socket_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.socket_dirs.push(dir.into());
        self
    }

    /// A variable's value; an empty one counts as unset, as in libpq.
    #[must_use]
    pub fn var(&self, name: &str) -> Option<&str> {
        self.vars.get(name).map(String::as_str).filter(|v| !v.is_empty())
    }

    /// A file below the home directory.
    #[must_use]
    pub fn in_home(&self, relative: &str) -> Option<PathBuf> {
        self.home.as_ref().map(|home| home.join(relative))
    }

    /// The name of the operating system's user.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The directories to look for a server's socket in, the likeliest first.
    #[must_use]
    pub fn socket_dirs(&self) -> &[PathBuf] {
        &self.socket_dirs
    }

    /// Whether `dir` is where servers listen by default; a `.pgpass` calls those `localhost`.
    pub(super) fn is_default_socket_dir(&self, dir: &Path) -> bool {
        SOCKET_DIRS.iter().any(|d| Path::new(d) == dir) || self.socket_dirs.iter().any(|d| d == dir)
    }
}

/// Shows names only: variables hold passwords.
impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut names: Vec<_> = self.vars.keys().collect();
        names.sort();
        f.debug_struct("Environment").field("vars", &names).field("home", &self.home).finish_non_exhaustive()
    }
}
