//! Where the target is and how it wants to be spoken to: a connection string, completed and checked.
//!
//! Owns the order of precedence (connection string, service, environment, default), the meaning of each
//! setting, and how a target is shown without its password. Opens no connection and reads no certificate.

use super::conninfo::{self, Settings};
use super::environment::Environment;
use super::passfile::{self, Found, Wanted};
use super::service;
use crate::error::{Error, Kind, Result};
use crate::model::bounds::CONNECT_TIMEOUT;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

const PORT: u16 = 5432;

/// What may stand in a URL without being written by its code.
const PLAIN: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'_').remove(b'.').remove(b'~');

/// The same for a path after the `?`.
const PATH: &AsciiSet = &PLAIN.remove(b'/');

/// How much TLS is asked for (<https://www.postgresql.org/docs/current/libpq-ssl.html>).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SslMode {
    /// Never.
    Disable,
    /// Only if the server refuses a connection without it.
    Allow,
    /// If the server has it; the certificate is not looked at.
    Prefer,
    /// Always. The certificate is checked like `verify-ca` if there is a root certificate, else not.
    Require,
    /// Always, and the certificate comes from a trusted authority.
    VerifyCa,
    /// Always, and the certificate is the server's own by name.
    VerifyFull,
}

impl SslMode {
    /// libpq's word.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Disable => "disable",
            Self::Allow => "allow",
            Self::Prefer => "prefer",
            Self::Require => "require",
            Self::VerifyCa => "verify-ca",
            Self::VerifyFull => "verify-full",
        }
    }
}

/// A server's place.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket in this directory.
    Socket {
        /// The directory.
        dir: PathBuf,
        /// The number in the socket's file name.
        port: u16,
    },
    /// A host on the network.
    Tcp {
        /// The name or address that was asked for; certificates are checked against it.
        host: String,
        /// The address to use instead of looking the name up.
        addr: Option<IpAddr>,
        /// The port.
        port: u16,
    },
}

impl Endpoint {
    /// The host as connection strings spell it: a name, an address or a directory.
    #[must_use]
    pub fn host(&self) -> String {
        match self {
            Self::Socket { dir, .. } => dir.display().to_string(),
            Self::Tcp { host, .. } => host.clone(),
        }
    }

    /// The port.
    #[must_use]
    pub const fn port(&self) -> u16 {
        match self {
            Self::Socket { port, .. } | Self::Tcp { port, .. } => *port,
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Socket { dir, port } => write!(f, "{}/.s.PGSQL.{port}", dir.display()),
            Self::Tcp { host, port, .. } if host.contains(':') => write!(f, "[{host}]:{port}"),
            Self::Tcp { host, port, .. } => write!(f, "{host}:{port}"),
        }
    }
}

/// A password, shown as `***` only.
#[derive(Clone, PartialEq, Eq)]
pub(super) struct Secret(String);

impl Secret {
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Where trusted certificates come from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Roots {
    /// The operating system's store.
    System,
    /// A file that was named: it has to exist.
    Named(PathBuf),
    /// The file where libpq looks, if it exists.
    Default(Option<PathBuf>),
}

/// Everything about TLS that a connection string can say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct TlsSettings {
    pub mode: SslMode,
    pub roots: Roots,
    /// Named certificate and key, or the ones where libpq looks.
    pub cert: Option<PathBuf>,
    pub key: Option<PathBuf>,
    /// Whether the certificate was named, so that it has to exist.
    pub cert_is_named: bool,
    pub only_tls13: bool,
    pub negotiation: SslNegotiation,
}

/// TCP's own settings.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Keepalive {
    pub off: bool,
    pub idle: Option<Duration>,
    pub interval: Option<Duration>,
    pub count: Option<u32>,
    pub user_timeout: Option<Duration>,
}

/// A PostgreSQL database to connect to: resolved, checked, and never shown with its password.
#[derive(Clone, PartialEq, Eq)]
pub struct Target {
    /// At least one, in the order to try; each with the password to use there.
    pub(super) endpoints: Vec<(Endpoint, Option<Secret>)>,
    pub(super) user: String,
    pub(super) dbname: String,
    pub(super) application_name: Option<String>,
    pub(super) options: Option<String>,
    /// None: as long as it takes (`connect_timeout=0`).
    pub(super) connect_timeout: Option<Duration>,
    pub(super) tls: TlsSettings,
    pub(super) session_attrs: TargetSessionAttrs,
    pub(super) channel_binding: ChannelBinding,
    pub(super) load_balance: LoadBalanceHosts,
    pub(super) keepalive: Keepalive,
    remarks: Vec<String>,
}

impl Target {
    /// Reads a connection string: a URL, `key=value` pairs, or nothing at all. What it does not say is
    /// taken from its service, then from `env`, then from libpq's defaults. Errors have kind
    /// [`Kind::Usage`] and repeat no value.
    pub fn parse(text: &str, env: &Environment) -> Result<Self> {
        let mut settings = conninfo::parse(text)?;
        let stated = |settings: &Settings, key: &str, var: &str| {
            settings.get(key).map(String::as_str).or_else(|| env.var(var)).filter(|v| !v.is_empty()).map(str::to_owned)
        };
        if let Some(name) = stated(&settings, "service", "PGSERVICE") {
            let file = stated(&settings, "servicefile", "PGSERVICEFILE");
            for (key, value) in service::look_up(&name, file.as_deref(), env)? {
                settings.entry(key).or_insert(value);
            }
        }
        conninfo::add_variables(&mut settings, |name| env.var(name).map(str::to_owned))?;
        // An empty value asks for the default, and was kept until here so that it hides the environment's.
        settings.retain(|_, value| !value.is_empty());
        Self::resolve(&settings, env)
    }

    fn resolve(settings: &Settings, env: &Environment) -> Result<Self> {
        let text = |key: &str| settings.get(key).cloned();
        let user = text("user").or_else(|| env.user().map(str::to_owned)).ok_or_else(|| {
            Error::new(Kind::Usage, "the connection string names no user and the system knows none")
                .hint("postgres://USER@host/db")
        })?;
        let dbname = text("dbname").unwrap_or_else(|| user.clone());
        let mut remarks = Vec::new();
        if word(settings, "gssencmode", &[("disable", false), ("prefer", false), ("require", true)])? == Some(true) {
            conninfo::unsupported("gssencmode", "require")?;
        }
        Ok(Self {
            endpoints: with_passwords(endpoints(settings, env)?, settings, (&user, &dbname), env, &mut remarks),
            application_name: text("application_name").or_else(|| text("fallback_application_name")),
            options: text("options"),
            connect_timeout: match number::<i64>(settings, "connect_timeout")? {
                None => Some(CONNECT_TIMEOUT),
                // libpq takes zero and below as "for ever".
                Some(seconds) => u64::try_from(seconds).ok().filter(|s| *s > 0).map(Duration::from_secs),
            },
            tls: tls_settings(settings, env)?,
            session_attrs: word(settings, "target_session_attrs", &SESSION_ATTRS)?.unwrap_or(TargetSessionAttrs::Any),
            channel_binding: word(settings, "channel_binding", &CHANNEL_BINDING)?.unwrap_or(ChannelBinding::Prefer),
            load_balance: word(
                settings,
                "load_balance_hosts",
                &[("disable", LoadBalanceHosts::Disable), ("random", LoadBalanceHosts::Random)],
            )?
            .unwrap_or(LoadBalanceHosts::Disable),
            keepalive: keepalive(settings)?,
            user,
            dbname,
            remarks,
        })
    }

    /// A server that lite2pg started itself.
    pub(super) fn of_socket(dir: &Path, port: u16, user: &str, dbname: &str) -> Self {
        Self {
            endpoints: vec![(Endpoint::Socket { dir: dir.to_owned(), port }, None)],
            user: user.to_owned(),
            dbname: dbname.to_owned(),
            application_name: None,
            options: None,
            connect_timeout: Some(CONNECT_TIMEOUT),
            tls: TlsSettings {
                mode: SslMode::Disable,
                roots: Roots::Default(None),
                cert: None,
                key: None,
                cert_is_named: false,
                only_tls13: false,
                negotiation: SslNegotiation::Postgres,
            },
            session_attrs: TargetSessionAttrs::Any,
            channel_binding: ChannelBinding::Prefer,
            load_balance: LoadBalanceHosts::Disable,
            keepalive: Keepalive::default(),
            remarks: Vec::new(),
        }
    }

    /// The same server, another database.
    #[must_use]
    pub fn with_dbname(mut self, dbname: impl Into<String>) -> Self {
        self.dbname = dbname.into();
        self
    }

    /// The database's name.
    #[must_use]
    pub fn dbname(&self) -> &str {
        &self.dbname
    }

    /// The role to connect as.
    #[must_use]
    pub fn user(&self) -> &str {
        &self.user
    }

    /// The servers to try, in order; at least one.
    pub fn endpoints(&self) -> impl Iterator<Item = &Endpoint> {
        self.endpoints.iter().map(|(endpoint, _)| endpoint)
    }

    /// The first server's host: a name, an address, or the directory of its socket.
    #[must_use]
    pub fn host(&self) -> String {
        self.endpoints().map(Endpoint::host).next().unwrap_or_default()
    }

    /// The first server's port.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.endpoints().map(Endpoint::port).next().unwrap_or(PORT)
    }

    /// How much TLS is asked for.
    #[must_use]
    pub fn ssl_mode(&self) -> SslMode {
        self.tls.mode
    }

    /// What a person should hear about how this target was read, such as a password file that was ignored.
    #[must_use]
    pub fn remarks(&self) -> &[String] {
        &self.remarks
    }

    /// The target as a URL, with `***` where a password is known.
    #[must_use]
    pub fn redacted(&self) -> String {
        let code = |text: &str| utf8_percent_encode(text, PLAIN).to_string();
        let password = if self.endpoints.iter().any(|(_, p)| p.is_some()) { ":***" } else { "" };
        let places: Vec<_> = self
            .endpoints()
            .map(|endpoint| match endpoint {
                Endpoint::Socket { dir, port } => format!("{}:{port}", code(&dir.display().to_string())),
                tcp @ Endpoint::Tcp { .. } => tcp.to_string(),
            })
            .collect();
        let url = match self.endpoints.as_slice() {
            // One socket reads better with its directory in plain sight.
            [(Endpoint::Socket { dir, port }, _)] => {
                let port = if *port == PORT { String::new() } else { format!("&port={port}") };
                return format!(
                    "postgres://{}{password}@/{}?host={}{port}",
                    code(&self.user),
                    code(&self.dbname),
                    utf8_percent_encode(&dir.display().to_string(), PATH)
                );
            }
            _ => format!("postgres://{}{password}@{}/{}", code(&self.user), places.join(","), code(&self.dbname)),
        };
        if self.tls.mode == SslMode::Prefer { url } else { format!("{url}?sslmode={}", self.tls.mode.word()) }
    }

    /// A command that opens this target in psql. It holds no password; psql finds or asks for it.
    #[must_use]
    pub fn psql(&self) -> String {
        let plain = |text: &str| {
            let safe = |b: u8| b.is_ascii_alphanumeric() || b"-_./:".contains(&b);
            !text.is_empty() && !text.starts_with('-') && text.bytes().all(safe)
        };
        let (host, port) = (self.endpoints().map(Endpoint::host), self.endpoints().map(Endpoint::port));
        let host = host.collect::<Vec<_>>().join(",");
        let is_simple = self.endpoints.len() == 1
            && matches!(self.tls.mode, SslMode::Prefer | SslMode::Disable)
            && [&host, &self.user, &self.dbname].iter().all(|t| plain(t));
        if is_simple {
            let port = if self.port() == PORT { String::new() } else { format!(" -p {}", self.port()) };
            return format!("psql -h {host}{port} -U {} -d {}", self.user, self.dbname);
        }
        let quoted = |text: &str| {
            if plain(text) { text.to_owned() } else { format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'")) }
        };
        let mut conninfo = format!("host={}", if host.contains(',') { host } else { quoted(&host) });
        let ports: Vec<_> = port.map(|p| p.to_string()).collect();
        for (key, value) in [("port", ports.join(",")), ("user", quoted(&self.user)), ("dbname", quoted(&self.dbname))]
        {
            conninfo.push_str(&format!(" {key}={value}"));
        }
        conninfo.push_str(&format!(" sslmode={}", self.tls.mode.word()));
        match &self.tls.roots {
            Roots::System => conninfo.push_str(" sslrootcert=system"),
            Roots::Named(path) => conninfo.push_str(&format!(" sslrootcert={}", quoted(&path.display().to_string()))),
            Roots::Default(_) => {}
        }
        format!("psql '{}'", conninfo.replace('\'', r"'\''"))
    }
}

impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.redacted())
    }
}

impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({})", self.redacted())
    }
}

/// The driver asks whether a server takes writes, so `primary` and `standby` are answered by that.
const SESSION_ATTRS: [(&str, TargetSessionAttrs); 6] = [
    ("any", TargetSessionAttrs::Any),
    ("read-write", TargetSessionAttrs::ReadWrite),
    ("read-only", TargetSessionAttrs::ReadOnly),
    ("primary", TargetSessionAttrs::ReadWrite),
    ("standby", TargetSessionAttrs::ReadOnly),
    ("prefer-standby", TargetSessionAttrs::Any),
];

const CHANNEL_BINDING: [(&str, ChannelBinding); 3] =
    [("disable", ChannelBinding::Disable), ("prefer", ChannelBinding::Prefer), ("require", ChannelBinding::Require)];

const SSL_MODES: [(&str, SslMode); 6] = [
    ("disable", SslMode::Disable),
    ("allow", SslMode::Allow),
    ("prefer", SslMode::Prefer),
    ("require", SslMode::Require),
    ("verify-ca", SslMode::VerifyCa),
    ("verify-full", SslMode::VerifyFull),
];

/// The meaning of a setting that takes one of a few words.
fn word<T: Copy>(settings: &Settings, key: &str, words: &[(&str, T)]) -> Result<Option<T>> {
    let Some(value) = settings.get(key) else { return Ok(None) };
    match words.iter().find(|(word, _)| word == value) {
        Some((_, meaning)) => Ok(Some(*meaning)),
        None => {
            let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            Err(Error::new(Kind::Usage, format!("`{key}` has a value that it does not know"))
                .hint(format!("{key} is one of {}", all.join(", "))))
        }
    }
}

fn number<T: std::str::FromStr>(settings: &Settings, key: &str) -> Result<Option<T>> {
    let Some(value) = settings.get(key) else { return Ok(None) };
    match value.trim().parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Error::new(Kind::Usage, format!("`{key}` is no number, or one out of its range"))),
    }
}

fn endpoints(settings: &Settings, env: &Environment) -> Result<Vec<Endpoint>> {
    let list = |key: &str| settings.get(key).map(|v| v.split(',').map(str::trim).collect::<Vec<_>>());
    let (hosts, addrs) = (list("host"), list("hostaddr"));
    let count = hosts.as_ref().or(addrs.as_ref()).map_or(1, Vec::len);
    if addrs.as_ref().is_some_and(|a| a.len() != count) {
        return Err(Error::new(Kind::Usage, format!("`hostaddr` has to have as many entries as `host`: {count}")));
    }
    let mut ports = list("port").unwrap_or_else(|| vec![""]);
    if ports.len() == 1 {
        ports = vec![ports[0]; count];
    }
    if ports.len() != count {
        return Err(Error::new(Kind::Usage, format!("`port` has to have one entry, or as many as `host`: {count}")));
    }
    (0..count)
        .map(|i| {
            let port = match ports[i] {
                "" => PORT,
                text => text.parse().ok().filter(|p| *p > 0).ok_or_else(|| {
                    Error::new(Kind::Usage, "`port` is no number between 1 and 65535").hint("PostgreSQL's own is 5432")
                })?,
            };
            let host = hosts.as_ref().map_or("", |h| h[i]);
            let addr = match addrs.as_ref().map_or("", |a| a[i]) {
                "" => None,
                text => Some(text.parse::<IpAddr>().map_err(|_| {
                    Error::new(Kind::Usage, "`hostaddr` is no IP address").hint("names belong into `host`")
                })?),
            };
            Ok(match (host, addr) {
                ("", None) => default_endpoint(port, env),
                ("", Some(addr)) => Endpoint::Tcp { host: addr.to_string(), addr: Some(addr), port },
                (dir, None) if dir.starts_with('/') => Endpoint::Socket { dir: PathBuf::from(dir), port },
                (host, addr) => Endpoint::Tcp { host: host.to_owned(), addr, port },
            })
        })
        .collect()
}

/// A socket where servers leave them, else this machine by its name.
fn default_endpoint(port: u16, env: &Environment) -> Endpoint {
    let socket = env.socket_dirs().iter().find(|dir| dir.join(format!(".s.PGSQL.{port}")).exists());
    match socket {
        Some(dir) => Endpoint::Socket { dir: dir.clone(), port },
        None => Endpoint::Tcp { host: "localhost".to_owned(), addr: None, port },
    }
}

/// Gives each server its password: the stated one, else what the password file has for it.
fn with_passwords(
    endpoints: Vec<Endpoint>,
    settings: &Settings,
    (user, dbname): (&str, &str),
    env: &Environment,
    remarks: &mut Vec<String>,
) -> Vec<(Endpoint, Option<Secret>)> {
    let stated = settings.get("password").map(|p| Secret(p.clone()));
    let file = settings.get("passfile").map(PathBuf::from).or_else(|| env.in_home(".pgpass"));
    let looked_up = |endpoint: &Endpoint, remarks: &mut Vec<String>| {
        let host = match endpoint {
            Endpoint::Socket { dir, .. } if env.is_default_socket_dir(dir) => "localhost".to_owned(),
            other => other.host(),
        };
        let wanted = Wanted { host: &host, port: endpoint.port(), dbname, user };
        match passfile::look_up(file.as_deref()?, &wanted) {
            Found::Password(password) => Some(Secret(password)),
            Found::Nothing => None,
            Found::Ignored(remark) => {
                if !remarks.contains(&remark) {
                    remarks.push(remark);
                }
                None
            }
        }
    };
    endpoints
        .into_iter()
        .map(|endpoint| {
            let password = stated.clone().or_else(|| looked_up(&endpoint, remarks));
            (endpoint, password)
        })
        .collect()
}

fn tls_settings(settings: &Settings, env: &Environment) -> Result<TlsSettings> {
    let roots = match settings.get("sslrootcert").map(String::as_str) {
        Some("system") => Roots::System,
        Some(path) => Roots::Named(PathBuf::from(path)),
        None => Roots::Default(env.in_home(".postgresql/root.crt")),
    };
    let mode = word(settings, "sslmode", &SSL_MODES)?;
    // Anyone can get a certificate that the system trusts, so that only the name tells servers apart.
    if roots == Roots::System && mode.is_some_and(|m| m != SslMode::VerifyFull) {
        return Err(Error::new(Kind::Usage, "`sslrootcert=system` is only safe together with the server's name")
            .hint("sslmode=verify-full sslrootcert=system"));
    }
    let default_mode = if roots == Roots::System { SslMode::VerifyFull } else { SslMode::Prefer };
    let mode = mode.unwrap_or(default_mode);
    let negotiation = word(
        settings,
        "sslnegotiation",
        &[("postgres", SslNegotiation::Postgres), ("direct", SslNegotiation::Direct)],
    )?
    .unwrap_or_default();
    if negotiation == SslNegotiation::Direct && matches!(mode, SslMode::Allow | SslMode::Prefer | SslMode::Disable) {
        return Err(Error::new(Kind::Usage, format!("`sslnegotiation=direct` contradicts `sslmode={}`", mode.word()))
            .hint("sslmode=require, verify-ca or verify-full"));
    }
    let versions = [("TLSv1", false), ("TLSv1.1", false), ("TLSv1.2", false), ("TLSv1.3", true)];
    Ok(TlsSettings {
        mode,
        roots,
        cert: settings.get("sslcert").map(PathBuf::from).or_else(|| env.in_home(".postgresql/postgresql.crt")),
        key: settings.get("sslkey").map(PathBuf::from).or_else(|| env.in_home(".postgresql/postgresql.key")),
        cert_is_named: settings.contains_key("sslcert"),
        only_tls13: word(settings, "ssl_min_protocol_version", &versions)?.unwrap_or(false),
        negotiation,
    })
}

fn keepalive(settings: &Settings) -> Result<Keepalive> {
    let seconds = |key: &str| {
        Ok::<_, Error>(number::<i64>(settings, key)?.and_then(|s| u64::try_from(s).ok()).filter(|s| *s > 0))
    };
    Ok(Keepalive {
        off: number::<i64>(settings, "keepalives")? == Some(0),
        idle: seconds("keepalives_idle")?.map(Duration::from_secs),
        interval: seconds("keepalives_interval")?.map(Duration::from_secs),
        count: seconds("keepalives_count")?.and_then(|n| u32::try_from(n).ok()),
        // The only one in milliseconds.
        user_timeout: seconds("tcp_user_timeout")?.map(Duration::from_millis),
    })
}
