//! Connection strings: URLs and `key=value` text, read by libpq's rules
//! (<https://www.postgresql.org/docs/current/libpq-connect.html#LIBPQ-CONNSTRING>).
//!
//! Owns the syntax and the list of keys. Does not know what a value means, nor where missing ones come
//! from. No message repeats a part of the text: what looks like a host may be half a password.

use crate::error::{Error, Kind, Result};
use crate::model::name::nearest;
use percent_encoding::percent_decode_str;
use std::collections::BTreeMap;

/// What a connection string, a service or the environment says, by key.
pub(super) type Settings = BTreeMap<&'static str, String>;

/// What becomes of a key.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Treatment {
    /// Followed.
    Used,
    /// Accepted and without effect here: nothing gets weaker without it.
    Ignored,
    /// It would promise something that is not kept here.
    Unsupported,
}

use Treatment::{Ignored, Unsupported, Used};

/// Every key of libpq 18, the variable that stands for it, and what becomes of it.
const KEYS: &[(&str, &str, Treatment)] = &[
    ("host", "PGHOST", Used),
    ("hostaddr", "PGHOSTADDR", Used),
    ("port", "PGPORT", Used),
    ("user", "PGUSER", Used),
    ("password", "PGPASSWORD", Used),
    ("dbname", "PGDATABASE", Used),
    ("passfile", "PGPASSFILE", Used),
    ("service", "PGSERVICE", Used),
    ("servicefile", "PGSERVICEFILE", Used),
    ("options", "PGOPTIONS", Used),
    ("application_name", "PGAPPNAME", Used),
    ("fallback_application_name", "", Used),
    ("connect_timeout", "PGCONNECT_TIMEOUT", Used),
    ("sslmode", "PGSSLMODE", Used),
    ("sslnegotiation", "PGSSLNEGOTIATION", Used),
    ("sslrootcert", "PGSSLROOTCERT", Used),
    ("sslcert", "PGSSLCERT", Used),
    ("sslkey", "PGSSLKEY", Used),
    ("target_session_attrs", "PGTARGETSESSIONATTRS", Used),
    ("channel_binding", "PGCHANNELBINDING", Used),
    ("load_balance_hosts", "PGLOADBALANCEHOSTS", Used),
    ("keepalives", "", Used),
    ("keepalives_idle", "", Used),
    ("keepalives_interval", "", Used),
    ("keepalives_count", "", Used),
    ("tcp_user_timeout", "", Used),
    // TLS 1.2 is the least that is spoken here, which is also libpq's default.
    ("ssl_min_protocol_version", "PGSSLMINPROTOCOLVERSION", Used),
    ("client_encoding", "PGCLIENTENCODING", Ignored),
    ("gssencmode", "PGGSSENCMODE", Used),
    ("krbsrvname", "PGKRBSRVNAME", Ignored),
    ("gsslib", "PGGSSLIB", Ignored),
    ("gssdelegation", "PGGSSDELEGATION", Ignored),
    ("sslcompression", "PGSSLCOMPRESSION", Ignored),
    ("sslsni", "PGSSLSNI", Ignored),
    ("sslcertmode", "PGSSLCERTMODE", Ignored),
    ("sslkeylogfile", "", Ignored),
    ("ssl_max_protocol_version", "PGSSLMAXPROTOCOLVERSION", Ignored),
    ("min_protocol_version", "PGMINPROTOCOLVERSION", Ignored),
    ("max_protocol_version", "PGMAXPROTOCOLVERSION", Ignored),
    ("authtype", "", Ignored),
    ("tty", "", Ignored),
    ("requirepeer", "PGREQUIREPEER", Unsupported),
    ("require_auth", "PGREQUIREAUTH", Unsupported),
    ("sslcrl", "PGSSLCRL", Unsupported),
    ("sslcrldir", "PGSSLCRLDIR", Unsupported),
    ("sslpassword", "", Unsupported),
    ("scram_client_key", "", Unsupported),
    ("scram_server_key", "", Unsupported),
    ("oauth_issuer", "", Unsupported),
    ("oauth_client_id", "", Unsupported),
    ("oauth_client_secret", "", Unsupported),
    ("oauth_scope", "", Unsupported),
    ("replication", "", Unsupported),
];

/// What other programs call these keys.
const OTHER_NAMES: &[(&str, &str)] =
    &[("database", "dbname"), ("db", "dbname"), ("username", "user"), ("server", "host"), ("pass", "password")];

/// Keys that object mappers write into their URLs for themselves.
const FOREIGN: &[&str] = &[
    "schema",
    "pgbouncer",
    "connection_limit",
    "pool_timeout",
    "pool_size",
    "socket_timeout",
    "statement_cache_size",
    "sslaccept",
    "sslidentity",
    "currentSchema",
    "conn_max_age",
    "prepareThreshold",
];

/// The keys that a variable can state, with the variable's name.
pub(super) fn variables() -> impl Iterator<Item = (&'static str, &'static str)> {
    KEYS.iter().filter(|(_, var, _)| !var.is_empty()).map(|(key, var, _)| (*key, *var))
}

/// Reads a connection string. An empty one says nothing.
pub(super) fn parse(text: &str) -> Result<Settings> {
    let text = text.trim();
    for scheme in ["postgres://", "postgresql://"] {
        if let Some(rest) = text.get(..scheme.len()).filter(|s| s.eq_ignore_ascii_case(scheme)) {
            return url(&text[rest.len()..]);
        }
    }
    // A `=` before `://` means that the URL-like part is a value.
    if text.find("://").is_some_and(|at| !text[..at].contains('=')) {
        return Err(malformed("the target is a URL, but not one of PostgreSQL"));
    }
    key_values(text)
}

/// Adds one pair, after a look at whether the key is one of libpq's.
pub(super) fn put(settings: &mut Settings, key: &str, value: String, place: &str) -> Result<()> {
    match KEYS.iter().find(|(known, ..)| *known == key) {
        Some((known, _, Used)) => {
            settings.insert(known, value);
            Ok(())
        }
        Some((_, _, Ignored)) => Ok(()),
        Some((known, _, Unsupported)) => unsupported(known, &value),
        None => Err(unknown(key, place)),
    }
}

/// An error unless `value` is empty, which is libpq's way to say "not set".
pub(super) fn unsupported(key: &str, value: &str) -> Result<()> {
    if value.is_empty() {
        return Ok(());
    }
    Err(Error::new(Kind::Usage, format!("`{key}` is a setting of libpq that lite2pg does not support"))
        .fact("without it the connection would promise less than was asked for")
        .hint(format!("leave `{key}` out if that is acceptable")))
}

/// Takes the pairs of the environment that nobody set before.
pub(super) fn add_variables(settings: &mut Settings, var: impl Fn(&str) -> Option<String>) -> Result<()> {
    for (key, name) in variables() {
        if settings.contains_key(key) {
            continue;
        }
        if let Some(value) = var(name) {
            put(settings, key, value, &format!("the variable {name}"))?;
        }
    }
    Ok(())
}

fn unknown(key: &str, place: &str) -> Error {
    if FOREIGN.contains(&key) {
        return Error::new(
            Kind::Usage,
            format!("the connection string has the key `{key}`, which is not PostgreSQL's"),
        )
        .fact("an object mapper reads it and takes it out before it connects")
        .hint(format!("leave `{key}` out"));
    }
    let known = KEYS.iter().map(|(known, ..)| *known).chain(OTHER_NAMES.iter().map(|(other, _)| *other));
    let near = nearest(key, known);
    let near = near.map(|n| OTHER_NAMES.iter().find(|(other, _)| *other == n).map_or(n, |(_, known)| known));
    // A key that is near to a known one is a typing error and may be shown; anything else may be a piece
    // of a password with a blank or a `&` in it.
    let error = Error::new(
        Kind::Usage,
        match near {
            Some(_) => format!("the connection string has an unknown key `{key}` ({place})"),
            None => format!("the connection string has an unknown key ({place})"),
        },
    );
    match near {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("quote values that hold blanks: password='two words'; in a URL, write & as %26"),
    }
}

fn malformed(what: &str) -> Error {
    Error::new(Kind::Usage, what).hint("postgres://user@host:5432/db, or: host=… port=5432 user=… dbname=…")
}

/// `key = value` pairs with libpq's quoting.
fn key_values(text: &str) -> Result<Settings> {
    let mut settings = Settings::new();
    let mut rest = text;
    loop {
        rest = rest.trim_start();
        if rest.is_empty() {
            return Ok(settings);
        }
        let place = format!("at character {}", text[..text.len() - rest.len()].chars().count() + 1);
        let key_end = rest.find(|c: char| c == '=' || c.is_whitespace()).unwrap_or(rest.len());
        let (key, after) = rest.split_at(key_end);
        let Some(after) = after.trim_start().strip_prefix('=') else {
            return Err(malformed(&format!("the connection string has a word without `=` ({place})"))
                .fact("values that hold blanks stand in single quotes"));
        };
        let (value, remaining) = value(after.trim_start(), &place)?;
        put(&mut settings, key, value, &place)?;
        rest = remaining;
    }
}

/// One value and what follows it. A backslash takes the next character as it is, quoted or not.
fn value<'a>(text: &'a str, place: &str) -> Result<(String, &'a str)> {
    let (quoted, body) = text.strip_prefix('\'').map_or((false, text), |body| (true, body));
    let mut out = String::new();
    let mut chars = body.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => out.extend(chars.next().map(|(_, escaped)| escaped)),
            '\'' if quoted => return Ok((out, &body[at + 1..])),
            c if !quoted && c.is_whitespace() => return Ok((out, &body[at..])),
            c => out.push(c),
        }
    }
    if quoted {
        return Err(malformed(&format!("the connection string has a quote that does not end ({place})")));
    }
    Ok((out, ""))
}

/// What follows `postgres://`: `[user[:password]@][host[:port],…][/dbname][?key=value&…]`.
fn url(text: &str) -> Result<Settings> {
    let mut settings = Settings::new();
    let (before_query, query) = text.split_once('?').map_or((text, None), |(b, q)| (b, Some(q)));
    let (authority, path) = before_query.split_once('/').unwrap_or((before_query, ""));
    let (user_info, hosts) = authority.rsplit_once('@').map_or((None, authority), |(u, h)| (Some(u), h));
    if path.contains('@') || user_info.is_some_and(|u| u.contains('@')) {
        return Err(malformed("the connection URL has an `@` or `/` in its user name or password")
            .hint("write them by their codes: @ as %40, / as %2F, : as %3A, % as %25"));
    }
    if let Some(user_info) = user_info {
        let (user, password) = user_info.split_once(':').map_or((user_info, None), |(u, p)| (u, Some(p)));
        put_decoded(&mut settings, "user", user, "user name")?;
        put_decoded(&mut settings, "password", password.unwrap_or_default(), "password")?;
    }
    hosts_and_ports(&mut settings, hosts)?;
    put_decoded(&mut settings, "dbname", path, "database name")?;
    for pair in query.into_iter().flat_map(|q| q.split('&')).filter(|pair| !pair.is_empty()) {
        let Some((key, value)) = pair.split_once('=') else {
            return Err(malformed("the connection URL has a parameter without `=` after its `?`")
                .hint("if the `?` belongs to the password, write it as %3F"));
        };
        let (key, value) = (decoded(key, "parameter")?, decoded(value, "parameter")?);
        // JDBC's spelling, which libpq takes in URLs as well.
        let (key, value) =
            if key == "ssl" && value == "true" { ("sslmode".to_owned(), "require".to_owned()) } else { (key, value) };
        put(&mut settings, &key, value, "after the `?`")?;
    }
    Ok(settings)
}

fn hosts_and_ports(settings: &mut Settings, text: &str) -> Result<()> {
    if text.is_empty() {
        return Ok(());
    }
    let (mut hosts, mut ports) = (Vec::new(), Vec::new());
    for one in text.split(',') {
        let (host, port) = if let Some(bracketed) = one.strip_prefix('[') {
            let (host, after) = bracketed
                .split_once(']')
                .ok_or_else(|| malformed("the connection URL has an IPv6 address without its closing `]`"))?;
            match after.strip_prefix(':') {
                Some(port) => (host, port),
                None if after.is_empty() => (host, ""),
                None => return Err(malformed("the connection URL has something else than a port after `]`")),
            }
        } else {
            one.split_once(':').unwrap_or((one, ""))
        };
        if !port.bytes().all(|b| b.is_ascii_digit()) {
            return Err(malformed("the connection URL has a port that is no number")
                .fact("this also happens when the password holds a character that a URL reserves")
                .hint("write them by their codes: @ as %40, / as %2F, ? as %3F, # as %23, % as %25"));
        }
        let host = decoded(host, "host")?;
        if host.contains(',') {
            return Err(malformed("the connection URL has a comma in a host name"));
        }
        hosts.push(host);
        ports.push(port);
    }
    if hosts.iter().any(|h| !h.is_empty()) {
        settings.insert("host", hosts.join(","));
    }
    if ports.iter().any(|p| !p.is_empty()) {
        settings.insert("port", ports.join(","));
    }
    Ok(())
}

fn put_decoded(settings: &mut Settings, key: &'static str, text: &str, part: &str) -> Result<()> {
    if !text.is_empty() {
        settings.insert(key, decoded(text, part)?);
    }
    Ok(())
}

fn decoded(text: &str, part: &str) -> Result<String> {
    let is_code = |tail: &str| tail.len() >= 2 && tail.bytes().take(2).all(|b| b.is_ascii_hexdigit());
    if text.split('%').skip(1).any(|tail| !is_code(tail)) {
        return Err(malformed(&format!("the {part} of the connection URL has a `%` that starts no code"))
            .hint("write a literal % as %25"));
    }
    let decoded = percent_decode_str(text)
        .decode_utf8()
        .map_err(|_| malformed(&format!("the {part} of the connection URL is not UTF-8")))?;
    if decoded.contains('\0') {
        return Err(malformed(&format!("the {part} of the connection URL holds %00")));
    }
    Ok(decoded.into_owned())
}
