//! The password file `.pgpass` (<https://www.postgresql.org/docs/current/libpq-pgpass.html>).
//!
//! Owns its syntax and its permissions rule. Does not know how a host was chosen.

use std::fs;
use std::io;
use std::path::Path;

/// What a password file says about one server.
#[derive(PartialEq, Eq)]
pub(super) enum Found {
    /// The first line that matches.
    Password(String),
    /// No line matches, or there is no file.
    Nothing,
    /// The file was not used; the sentence says why.
    Ignored(String),
}

/// The four fields that a line is matched by.
pub(super) struct Wanted<'a> {
    pub host: &'a str,
    pub port: u16,
    pub dbname: &'a str,
    pub user: &'a str,
}

/// Looks for the password of one server.
pub(super) fn look_up(path: &Path, wanted: &Wanted<'_>) -> Found {
    let ignored = |why: &str| Found::Ignored(format!("password file `{}` ignored: {why}", path.display()));
    let metadata = match fs::metadata(path) {
        Ok(metadata) => metadata,
        Err(e) if e.kind() == io::ErrorKind::NotFound => return Found::Nothing,
        Err(e) => return ignored(&e.to_string()),
    };
    if !metadata.is_file() {
        return ignored("it is no plain file");
    }
    if others_may_read(&metadata) {
        return ignored("others may read it; its permissions have to be 0600");
    }
    match fs::read_to_string(path) {
        Ok(text) => text.lines().find_map(|line| password_in(line, wanted)).map_or(Found::Nothing, Found::Password),
        Err(e) => ignored(&e.to_string()),
    }
}

#[cfg(unix)]
fn others_may_read(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt;
    metadata.permissions().mode() & 0o077 != 0
}

#[cfg(not(unix))]
fn others_may_read(_: &fs::Metadata) -> bool {
    false
}

/// The password of `host:port:dbname:user:password` when the first four fields match.
fn password_in(line: &str, wanted: &Wanted<'_>) -> Option<String> {
    let line = line.trim_end_matches('\r');
    if line.starts_with('#') {
        return None;
    }
    let port = wanted.port.to_string();
    let mut rest = line;
    for want in [wanted.host, &port, wanted.dbname, wanted.user] {
        let (raw, field, after) = field(rest);
        if raw != "*" && field != want {
            return None;
        }
        rest = after?;
    }
    let (_, password, _) = field(rest);
    (!password.is_empty()).then_some(password)
}

/// A field as written, as meant, and what follows its colon. A backslash takes the next character as it is.
fn field(text: &str) -> (&str, String, Option<&str>) {
    let mut meant = String::new();
    let mut chars = text.char_indices();
    while let Some((at, c)) = chars.next() {
        match c {
            '\\' => meant.extend(chars.next().map(|(_, escaped)| escaped)),
            ':' => return (&text[..at], meant, Some(&text[at + 1..])),
            c => meant.push(c),
        }
    }
    (text, meant, None)
}
