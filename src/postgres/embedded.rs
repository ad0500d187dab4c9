//! A private throw-away server: initialised, started, watched and removed by us.
//!
//! Owns its directory, its settings and the shell script that holds it on a leash: the script stops the
//! server when a pipe closes, so that not even `kill -9` of this program leaves one behind. Reachable by a
//! socket in a directory that only its owner and root may enter; that is why no password is asked for.

use super::environment::Environment;
use super::programs;
use super::target::Target;
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::model::name::for_shell;
use std::fs::{self, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};
use tempfile::TempDir;

/// The script that runs the server; its own head says what it promises.
const SCRIPT: &str = include_str!("embedded.sh");

/// The superuser's name, and the name of the database that is there from the start.
const SUPERUSER: &str = "postgres";

/// A socket's whole path has to fit into `sun_path`: 104 bytes on macOS, 108 on Linux.
const SOCKET_DIR_BYTES_MAX: usize = 104 - "/.s.PGSQL.65535".len() - 1;

/// initdb takes a second, on a slow disk some more. After this the start is given up.
const START_TIMEOUT: Duration = Duration::from_secs(120);

/// A fast shutdown writes a checkpoint; the script ends it by force after 20 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(30);

/// How often a start or stop is looked at.
const POLL: Duration = Duration::from_millis(10);

/// Lines of the server's log that a failed start shows.
const LOG_LINES: usize = 12;

/// How to set a server up. The default is a throw-away one, as fast as it gets.
#[derive(Debug, Clone, Default)]
pub struct EmbeddedOptions {
    /// The data is meant to stay: writes are synced to disk, and the directory is left when the server stops.
    pub keep: bool,
    /// Where to make the server's directory; the system's temporary directory otherwise.
    pub dir: Option<PathBuf>,
    /// The directory with PostgreSQL's programs; searched for otherwise.
    pub bin: Option<PathBuf>,
    /// Lines for `postgresql.conf`, after ours: name and value, not quoted.
    pub settings: Vec<(String, String)>,
    /// Lines for `pg_hba.conf`, before the one that trusts the socket.
    pub hba: Vec<String>,
    /// Files to put beside the configuration, name and content, readable by the server only.
    pub files: Vec<(String, String)>,
}

impl EmbeddedOptions {
    /// A throw-away server that syncs to disk: its figures are those of one whose data stays.
    #[must_use]
    pub fn durable() -> Self {
        let durable = ["fsync", "synchronous_commit", "full_page_writes"];
        let settings = durable.map(|name| (name.to_owned(), "on".to_owned())).to_vec();
        Self { settings, ..Self::default() }
    }
}

/// A running server. Dropped, it is stopped and its directory removed; so it is when the process dies.
pub struct Embedded {
    script: Child,
    /// The leash. The script waits for its end.
    leash: Option<ChildStdin>,
    target: Target,
    bin: PathBuf,
    owner: Option<Owner>,
    dir: TempDir,
    /// A second directory, where the first one's path is too long for a socket.
    socket_dir: Option<TempDir>,
}

/// What a person needs to go on with a server that was left running.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Kept {
    /// Where the server is.
    pub target: Target,
    /// Its directory: `data` below it is PostgreSQL's, `log` its log.
    pub dir: PathBuf,
    /// The command that opens it in psql.
    pub psql: String,
    /// The command that stops it. Its directory stays.
    pub stop: String,
}

/// Whom the server runs as when we are root, which PostgreSQL refuses.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Owner {
    name: String,
    uid: u32,
    gid: u32,
}

impl Embedded {
    /// The word for such a server in the place of a target.
    pub const WORD: &'static str = "embedded";

    /// Whether PostgreSQL's server programs are on this machine.
    #[must_use]
    pub fn can_start(options: &EmbeddedOptions) -> bool {
        programs::find(options.bin.as_deref(), &Environment::of_process()).is_ok()
    }

    /// Sets a server up and starts it; it takes connections when this returns. Takes about two seconds.
    pub fn start(options: &EmbeddedOptions) -> Result<Self> {
        let env = Environment::of_process();
        let bin = programs::find(options.bin.as_deref(), &env)?;
        let (dir, owner) = private_dir(options.dir.as_deref())?;
        let socket_dir = match dir.path().as_os_str().len() {
            0..=SOCKET_DIR_BYTES_MAX => None,
            _ => Some(private_dir(Some(Path::new("/tmp")))?.0),
        };
        let socket_path = socket_dir.as_ref().unwrap_or(&dir).path().to_owned();
        write_configuration(dir.path(), &socket_path, options, owner.as_ref())?;
        let mut script = command(&bin, dir.path(), &socket_path, owner.as_ref())?
            .spawn()
            .map_err(|e| Error::new(Kind::Failed, "`sh` cannot be started").cause(e))?;
        let port = options.settings.iter().rev().find(|(name, _)| name == "port");
        let port = port.and_then(|(_, port)| port.parse().ok()).unwrap_or(5432);
        let target = Target::of_socket(&socket_path, port, SUPERUSER, SUPERUSER);
        let leash = script.stdin.take();
        let mut server = Self { script, leash, target, bin, owner, dir, socket_dir };
        server.wait_until_ready()?;
        Ok(server)
    }

    /// How to connect: as superuser, to the database `postgres`.
    #[must_use]
    pub fn target(&self) -> Target {
        self.target.clone()
    }

    /// Where PostgreSQL's programs are that it runs.
    #[must_use]
    pub fn programs(&self) -> &Path {
        &self.bin
    }

    /// The server's directory.
    #[must_use]
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// Leaves the server running when this process ends, and its directory with it.
    pub fn keep(mut self) -> Result<Kept> {
        let failed = |e| Error::new(Kind::Failed, "the server cannot be left running").cause(e);
        match files::create(&self.dir.path().join("keep")) {
            Err(e) if e.kind() != io::ErrorKind::AlreadyExists => return Err(failed(e)),
            _ => {}
        }
        if let Some(mut leash) = self.leash.take() {
            leash.write_all(b"keep\n").map_err(failed)?;
        }
        self.dir.disable_cleanup(true);
        if let Some(dir) = &mut self.socket_dir {
            dir.disable_cleanup(true);
        }
        let data = self.dir.path().join("data");
        let pg_ctl = format!(
            "{} -D {} stop -m fast",
            for_shell(&self.bin.join("pg_ctl").display().to_string()),
            for_shell(&data.display().to_string())
        );
        Ok(Kept {
            target: self.target.clone(),
            dir: self.dir.path().to_owned(),
            psql: self.target.psql(),
            stop: match &self.owner {
                Some(owner) => format!("runuser -u {} -- {pg_ctl}", owner.name),
                None => pg_ctl,
            },
        })
    }

    /// Stops the server and removes its directory, even where it was started to be kept.
    pub fn discard(self) {
        // Without the file the script and our drop remove everything.
        drop(fs::remove_file(self.dir.path().join("keep")));
    }

    /// Waits for the word `ready` in postmaster.pid, as `pg_ctl` does (since PostgreSQL 10, line 8).
    fn wait_until_ready(&mut self) -> Result<()> {
        let pid_file = self.dir.path().join("data/postmaster.pid");
        let deadline = Instant::now() + START_TIMEOUT;
        while Instant::now() < deadline {
            if let Ok(Some(status)) = self.script.try_wait() {
                return Err(self.not_started(&format!("it ended with {status}")));
            }
            let state = fs::read_to_string(&pid_file).unwrap_or_default();
            if state.lines().nth(7).is_some_and(|line| line.trim() == "ready") {
                return Ok(());
            }
            thread::sleep(POLL);
        }
        Err(self.not_started(&format!("it was not ready within {} s", START_TIMEOUT.as_secs())))
    }

    fn not_started(&self, why: &str) -> Error {
        let log = fs::read(self.dir.path().join("log")).unwrap_or_default();
        let log = String::from_utf8_lossy(&log);
        let lines: Vec<_> = log.lines().filter(|line| !line.trim().is_empty()).collect();
        let tail = &lines[lines.len().saturating_sub(LOG_LINES)..];
        let error = Error::new(Kind::Target, "the embedded PostgreSQL server did not start")
            .fact(format!("{why}; programs in {}", self.bin.display()));
        tail.iter()
            .fold(error, |error, line| error.fact(format!("log: {line}")))
            .hint("PG_BIN=DIR uses another installation; a target of your own needs no embedded server")
    }
}

impl std::fmt::Debug for Embedded {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Embedded({})", self.dir.path().display())
    }
}

impl Drop for Embedded {
    fn drop(&mut self) {
        // None: it was kept and runs on.
        let Some(leash) = self.leash.take() else { return };
        drop(leash);
        let deadline = Instant::now() + STOP_TIMEOUT;
        while matches!(self.script.try_wait(), Ok(None)) && Instant::now() < deadline {
            thread::sleep(POLL);
        }
        // The script removed the directory; `TempDir` takes what a failed start left, or what the script
        // may not delete where the directory's parent belongs to root.
        if self.dir.path().join("keep").exists() {
            self.dir.disable_cleanup(true);
        }
    }
}

/// An empty directory that only its owner may enter, and the owner where that is not us.
fn private_dir(parent: Option<&Path>) -> Result<(TempDir, Option<Owner>)> {
    let system = std::env::temp_dir();
    let fits = |dir: &Path| dir.as_os_str().len() + "/lite2pg-123456".len() <= SOCKET_DIR_BYTES_MAX;
    // Root may have a temporary directory of its own, where nobody else gets through.
    let candidates = match parent {
        Some(parent) => vec![parent.to_owned()],
        None if fits(&system) && is_open_to_all(&system) => vec![system, PathBuf::from("/tmp")],
        None => vec![PathBuf::from("/tmp"), system],
    };
    let mut failure = None;
    for parent in candidates {
        let made =
            tempfile::Builder::new().prefix("lite2pg-").permissions(Permissions::from_mode(0o700)).tempdir_in(&parent);
        match made {
            Ok(dir) => return owned(dir, &parent),
            Err(e) => failure = Some((parent, e)),
        }
    }
    let (parent, e) = failure.expect("there is at least one candidate");
    Err(Error::new(Kind::Failed, format!("no directory for the server can be made in `{}`", parent.display())).cause(e))
}

/// Gives the directory away if it is root's: PostgreSQL refuses to run as root.
fn owned(dir: TempDir, parent: &Path) -> Result<(TempDir, Option<Owner>)> {
    let unowned =
        |e| Error::new(Kind::Failed, format!("`{}` cannot be given to the server", dir.path().display())).cause(e);
    // The owner of what we just made is who we are.
    if fs::metadata(dir.path()).map_err(unowned)?.uid() != 0 {
        return Ok((dir, None));
    }
    if !is_open_to_all(parent) {
        return Err(Error::new(Kind::Usage, format!("the server cannot live in `{}`", parent.display()))
            .fact("PostgreSQL refuses to run as root, and other users may not pass through that directory")
            .hint("name a directory that everyone may enter, or run as another user"));
    }
    let owner = unprivileged();
    chown(dir.path(), Some(owner.uid), Some(owner.gid)).map_err(unowned)?;
    Ok((dir, Some(owner)))
}

/// Whether every user may pass through the directory and all above it.
fn is_open_to_all(dir: &Path) -> bool {
    let Ok(dir) = dir.canonicalize() else { return false };
    dir.ancestors().all(|dir| fs::metadata(dir).is_ok_and(|m| m.mode() & 0o001 != 0))
}

/// The user `postgres` of PostgreSQL's packages, else `nobody`, else its usual number.
fn unprivileged() -> Owner {
    let passwd = fs::read_to_string("/etc/passwd").unwrap_or_default();
    let user = |wanted: &str| {
        passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next().filter(|name| *name == wanted)?;
            let (uid, gid) = (fields.nth(1)?.parse().ok()?, fields.next()?.parse().ok()?);
            (uid != 0).then(|| Owner { name: name.to_owned(), uid, gid })
        })
    };
    let last_resort = Owner { name: "nobody".to_owned(), uid: 65534, gid: 65534 };
    user(SUPERUSER).or_else(|| user("nobody")).unwrap_or(last_resort)
}

/// Writes what the script puts in place once initdb is done.
fn write_configuration(dir: &Path, socket_dir: &Path, options: &EmbeddedOptions, owner: Option<&Owner>) -> Result<()> {
    let failed = |e| {
        Error::new(Kind::Failed, format!("the server's settings cannot be written to `{}`", dir.display())).cause(e)
    };
    let hand_over = |path: &Path| match owner {
        Some(owner) => chown(path, Some(owner.uid), Some(owner.gid)),
        None => Ok(()),
    };
    let write = |path: PathBuf, content: &str| {
        files::create(&path)?.write_all(content.as_bytes())?;
        hand_over(&path)
    };
    let socket = format!("\"{}\"", socket_dir.display());
    let sync = if options.keep { "on" } else { "off" };
    let mut settings: Vec<(&str, &str)> = vec![
        ("listen_addresses", ""),
        ("unix_socket_directories", &socket),
        ("timezone", "UTC"),
        ("log_timezone", "UTC"),
        ("shared_buffers", "128MB"),
        ("max_wal_size", "4GB"),
        ("maintenance_work_mem", "128MB"),
        // A throw-away server does not outlive a crash of the machine. A kept one is meant to.
        ("fsync", sync),
        ("synchronous_commit", sync),
        ("full_page_writes", sync),
    ];
    settings.extend(options.settings.iter().map(|(name, value)| (name.as_str(), value.as_str())));
    let mut lines = String::from("\n# lite2pg\n");
    for (name, value) in settings {
        if !name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.".contains(&b)) || value.contains('\n') {
            return Err(Error::new(Kind::Usage, "a setting of the embedded server has an impossible name or value")
                .hint("name it as in postgresql.conf, such as work_mem"));
        }
        lines.extend([name, " = '", &value.replace('\\', "\\\\").replace('\'', "''"), "'\n"]);
    }
    write(dir.join("settings"), &lines).map_err(failed)?;
    let hba = options.hba.iter().map(String::as_str).chain(["local all all trust"]);
    write(dir.join("hba"), &(hba.collect::<Vec<_>>().join("\n") + "\n")).map_err(failed)?;
    let files = dir.join("files");
    fs::DirBuilder::new().mode(0o700).create(&files).and_then(|()| hand_over(&files)).map_err(failed)?;
    for (name, content) in &options.files {
        write(files.join(name), content).map_err(failed)?;
    }
    if options.keep {
        write(dir.join("keep"), "").map_err(failed)?;
    }
    Ok(())
}

/// The script's command, as the server's user, in a process group of its own: Ctrl-C reaches us, not it.
fn command(bin: &Path, dir: &Path, socket_dir: &Path, owner: Option<&Owner>) -> Result<Command> {
    let log = dir.join("log");
    let failed = |e| Error::new(Kind::Failed, format!("the server's log `{}` cannot be made", log.display())).cause(e);
    let log_file = files::create(&log).map_err(failed)?;
    let errors = log_file.try_clone().map_err(failed)?;
    let mut command = Command::new("/bin/sh");
    command.arg("-c").arg(SCRIPT).arg("sh").arg(bin).arg(dir).arg(socket_dir);
    // PGDATA, PGPORT, LC_ALL and others would speak into it.
    command.env_clear().env("PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin");
    command.current_dir(dir).stdin(Stdio::piped()).stdout(log_file).stderr(errors).process_group(0);
    if let Some(owner) = owner {
        // The standard library drops root's other groups along with this.
        command.uid(owner.uid).gid(owner.gid);
    }
    Ok(command)
}
