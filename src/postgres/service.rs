//! The service file: named sets of connection settings
//! (<https://www.postgresql.org/docs/current/libpq-pgservice.html>).
//!
//! Owns the search for the files and their syntax. Does not know what a setting means.

use super::conninfo::{self, Settings};
use super::environment::Environment;
use crate::error::{Error, Kind, Result};
use crate::model::name::nearest;
use std::fs;
use std::io;
use std::path::PathBuf;

/// Where distributions keep the system's file when `PGSYSCONFDIR` does not say.
const SYSTEM_DIRS: [&str; 3] = ["/etc/postgresql-common", "/etc/sysconfig/pgsql", "/etc"];

/// The settings of the service `name`, from the first file that has it.
pub(super) fn look_up(name: &str, file: Option<&str>, env: &Environment) -> Result<Settings> {
    let mut known = Vec::new();
    let mut read = Vec::new();
    for (path, required) in files(file, env) {
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(e) if e.kind() == io::ErrorKind::NotFound && !required => continue,
            Err(e) => {
                return Err(
                    Error::new(Kind::Usage, format!("the service file `{}` cannot be read", path.display())).cause(e)
                );
            }
        };
        if let Some(settings) = section(&text, name, &path.display().to_string(), &mut known)? {
            return Ok(settings);
        }
        read.push(path.display().to_string());
    }
    let error = Error::new(Kind::Usage, format!("the service `{name}` is defined nowhere")).fact(if read.is_empty() {
        "no service file found".to_owned()
    } else {
        format!("looked in {}", read.join(", "))
    });
    Err(match nearest(name, known.iter().map(String::as_str)) {
        Some(near) => error.hint(format!("did you mean `{near}`?")),
        None => error.hint("define it in ~/.pg_service.conf: [name], then one key=value a line"),
    })
}

/// The files to look in, and whether each has to exist.
fn files(stated: Option<&str>, env: &Environment) -> Vec<(PathBuf, bool)> {
    let mut files = Vec::new();
    if let Some(path) = stated {
        files.push((PathBuf::from(path), true));
    } else if let Some(path) = env.in_home(".pg_service.conf") {
        files.push((path, false));
    }
    match env.var("PGSYSCONFDIR") {
        Some(dir) => files.push((PathBuf::from(dir).join("pg_service.conf"), false)),
        None => files.extend(SYSTEM_DIRS.iter().map(|dir| (PathBuf::from(dir).join("pg_service.conf"), false))),
    }
    files
}

/// The section `[name]`, or None; the names of all sections are added to `known`.
fn section(text: &str, name: &str, path: &str, known: &mut Vec<String>) -> Result<Option<Settings>> {
    let mut settings = None;
    let mut inside = false;
    for (number, line) in text.lines().enumerate().map(|(i, line)| (i + 1, line.trim())) {
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        if let Some(title) = line.strip_prefix('[').and_then(|l| l.strip_suffix(']')) {
            known.push(title.to_owned());
            // A second section of the same name is not read, as in libpq.
            inside = title == name && settings.is_none();
            if inside {
                settings = Some(Settings::new());
            }
            continue;
        }
        let Some(settings) = settings.as_mut().filter(|_| inside) else { continue };
        let place = format!("{path}:{number}");
        let Some((key, value)) = line.split_once('=').filter(|_| !line.starts_with("ldap")) else {
            return Err(Error::new(Kind::Usage, format!("a service file has a line that is no key=value ({place})")));
        };
        if key == "service" || key == "servicefile" {
            return Err(Error::new(Kind::Usage, format!("a service cannot refer to another one ({place})")));
        }
        if !settings.contains_key(key) {
            conninfo::put(settings, key, value.to_owned(), &place)?;
        }
    }
    Ok(settings)
}
