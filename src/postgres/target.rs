//! Where the target is and how it wants to be spoken to, as a value.
//!
//! Owns how a target is shown without its password. Does not know which texts it was read from.

use crate::model::bounds::CONNECT_TIMEOUT;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

pub(super) const PORT: u16 = 5432;

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
pub(super) struct Secret(pub(super) String);

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
    pub(super) remarks: Vec<String>,
}

impl Target {
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

    /// The target for a program of PostgreSQL's own, as the variables that libpq reads. One of them is the password.
    pub(super) fn environment(&self) -> Vec<(&'static str, String)> {
        let list = |of: &dyn Fn(&Endpoint) -> String| self.endpoints().map(of).collect::<Vec<_>>().join(",");
        let mut all = vec![
            ("PGHOST", list(&Endpoint::host)),
            ("PGPORT", list(&|endpoint| endpoint.port().to_string())),
            ("PGUSER", self.user.clone()),
            ("PGDATABASE", self.dbname.clone()),
            ("PGSSLMODE", self.tls.mode.word().to_owned()),
            ("PGAPPNAME", self.application_name.clone().unwrap_or_else(|| "lite2pg".to_owned())),
        ];
        all.extend(self.options.clone().map(|options| ("PGOPTIONS", options)));
        all.extend(match &self.tls.roots {
            Roots::System => Some(("PGSSLROOTCERT", "system".to_owned())),
            Roots::Named(path) => Some(("PGSSLROOTCERT", path.display().to_string())),
            Roots::Default(_) => None,
        });
        let file = |path: &Option<PathBuf>| path.as_ref().map(|path| path.display().to_string());
        all.extend(file(&self.tls.cert).map(|path| ("PGSSLCERT", path)));
        all.extend(file(&self.tls.key).map(|path| ("PGSSLKEY", path)));
        let password = self.endpoints.iter().find_map(|(_, password)| password.as_ref());
        all.extend(password.map(|password| ("PGPASSWORD", password.reveal().to_owned())));
        all
    }

    /// Gives connections this long to be made.
    #[must_use]
    pub fn with_connect_timeout(mut self, patience: Duration) -> Self {
        self.connect_timeout = Some(patience);
        self
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
        let list = |parts: Vec<String>| parts.join(",");
        let host = list(self.endpoints().map(Endpoint::host).collect());
        let is_simple = self.endpoints.len() == 1
            && matches!(self.tls.mode, SslMode::Prefer | SslMode::Disable)
            && [&host, &self.user, &self.dbname].iter().all(|text| is_plain(text));
        if is_simple {
            let port = if self.port() == PORT { String::new() } else { format!(" -p {}", self.port()) };
            return format!("psql -h {host}{port} -U {} -d {}", self.user, self.dbname);
        }
        let quoted = |text: &str| {
            let escaped = || format!("'{}'", text.replace('\\', "\\\\").replace('\'', "\\'"));
            if is_plain(text) { text.to_owned() } else { escaped() }
        };
        let mut pairs = vec![
            format!("host={}", quoted(&host)),
            format!("port={}", list(self.endpoints().map(|e| e.port().to_string()).collect())),
            format!("user={}", quoted(&self.user)),
            format!("dbname={}", quoted(&self.dbname)),
            format!("sslmode={}", self.tls.mode.word()),
        ];
        match &self.tls.roots {
            Roots::System => pairs.push("sslrootcert=system".to_owned()),
            Roots::Named(path) => pairs.push(format!("sslrootcert={}", quoted(&path.display().to_string()))),
            Roots::Default(_) => {}
        }
        format!("psql '{}'", pairs.join(" ").replace('\'', r"'\''"))
    }
}

/// Whether neither the shell nor libpq sees more than a word in it.
fn is_plain(text: &str) -> bool {
    let is_safe = |b: u8| b.is_ascii_alphanumeric() || b"-_./:,".contains(&b);
    !text.is_empty() && !text.starts_with('-') && text.bytes().all(is_safe)
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
