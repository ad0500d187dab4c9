//! From a connection string to a target: completed from its sources and checked.
//!
//! Owns the order of precedence (connection string, service, environment, default) and the meaning of each
//! setting. Opens no connection and reads no certificate.

use super::conninfo::{self, Settings};
use super::environment::Environment;
use super::passfile::{self, Found, Wanted};
use super::service;
use super::target::{Endpoint, Keepalive, PORT, Roots, Secret, SslMode, Target, TlsSettings};
use crate::error::{Error, Kind, Result};
use crate::model::bounds::CONNECT_TIMEOUT;
use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;
use tokio_postgres::config::{ChannelBinding, LoadBalanceHosts, SslNegotiation, TargetSessionAttrs};

impl FromStr for Target {
    type Err = Error;

    /// [`Target::parse`] with this process's environment, as libpq reads it.
    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text, &Environment::of_process())
    }
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

    /// Whether a connection string itself holds a password, or may hold one that cannot be read.
    #[must_use]
    pub fn states_password(text: &str) -> bool {
        conninfo::parse(text).map_or(true, |settings| settings.get("password").is_some_and(|p| !p.is_empty()))
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
    if let Some((_, meaning)) = words.iter().find(|(word, _)| word == value) {
        return Ok(Some(*meaning));
    }
    let all: Vec<_> = words.iter().map(|(word, _)| *word).collect();
    Err(Error::new(Kind::Usage, format!("`{key}` has a value that it does not know"))
        .hint(format!("{key} is one of {}", all.join(", "))))
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
