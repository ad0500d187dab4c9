//! Copies of both sides in a folder, made before anything is written, each with its BLAKE3 beside it.

use super::Opened;
use super::options::{Backup, Options};
use crate::error::{Error, Kind, Result};
use crate::files;
use crate::load::interrupted;
use crate::model::bounds::BACKUP_ROOM_PERCENT;
use crate::model::event::{BackedUp, Event, Observer};
use crate::postgres::{Session, dump};
use jiff::{Span, Timestamp};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

/// How a file's name says when it was made; names of one side are sorted by it.
const STAMP: &str = "%Y%m%dT%H%M%SZ";

/// Makes the copies that were asked for. Files are their owner's only, and get their names when they are complete.
pub fn make(
    options: &Options,
    opened: &Opened,
    control: &Session,
    observer: &dyn Observer,
    stop: &AtomicBool,
) -> Result<Vec<BackedUp>> {
    let Some(backup) = &options.settings.backup else { return Ok(Vec::new()) };
    let stem = options.source.file_stem().map_or_else(|| "source".to_owned(), |s| s.to_string_lossy().into_owned());
    let database = control.target().dbname().replace(['/', '\\'], "_");
    let dumps = backup.target && dump::holds_rows(control)?;
    let mut needed = if backup.source { opened.catalog.bytes } else { 0 };
    needed += if dumps { dump::database_bytes(control)? } else { 0 };
    files::folder(&backup.folder).map_err(|e| cannot(backup, "made", e))?;
    check_room(backup, needed)?;
    let now = Timestamp::now();
    let mut made = Vec::new();
    if backup.source {
        made.push(copy(backup, ("source", &stem, "db"), now, |path, _| opened.readers[0].back_up(path))?);
    }
    if dumps {
        made.push(copy(backup, ("target", &database, "dump"), now, |_, file| {
            if dump::dump(control, file, stop)? { Ok(()) } else { Err(interrupted()) }
        })?);
    } else if backup.target {
        observer
            .event(&Event::Info { text: "backup: the target holds no rows, so there is nothing to dump".to_owned() });
    }
    for one in &made {
        observer.event(&Event::Info { text: format!("backup of the {}: {}", one.side, one.file) });
    }
    if let Some(days) = backup.keep_days {
        for (stem, end) in [(&stem, "db"), (&database, "dump")] {
            for old in expired(&backup.folder, stem, end, now, days).map_err(|e| cannot(backup, "tidied", e))? {
                fs::remove_file(&old).map_err(|e| cannot(backup, "tidied", e))?;
                observer.event(&Event::Info { text: format!("backup: {} is gone after {days} days", old.display()) });
            }
        }
    }
    Ok(made)
}

// A file that is there under its name is whole.
fn copy(
    backup: &Backup,
    (side, stem, end): (&'static str, &str, &str),
    now: Timestamp,
    write: impl FnOnce(&Path, File) -> Result<()>,
) -> Result<BackedUp> {
    let failed = |e| cannot(backup, "written to", e);
    let (path, part, file) = begin(&backup.folder, (stem, end), now).map_err(failed)?;
    let done = write(&part, file).and_then(|()| {
        let mut hasher = blake3::Hasher::new();
        let mut file = File::open(&part).map_err(failed)?;
        let bytes = io::copy(&mut file, &mut hasher).map_err(failed)?;
        file.sync_all().map_err(failed)?;
        let blake3 = hasher.finalize().to_hex().to_string();
        // As `b3sum --check` reads it.
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let mut sum = files::create(&sum_of(&path)).map_err(failed)?;
        writeln!(sum, "{blake3}  {name}").and_then(|()| sum.sync_all()).map_err(failed)?;
        fs::rename(&part, &path).map_err(failed)?;
        Ok(BackedUp { side, file: path.display().to_string(), bytes, blake3 })
    });
    if done.is_err() {
        // What is left of it is of no use; that it cannot be taken away is not worth another error.
        let _ = fs::remove_file(&part);
    }
    done
}

// The name of this second, or of the first one after it that is free: two runs may begin within one.
fn begin(folder: &Path, (stem, end): (&str, &str), now: Timestamp) -> io::Result<(PathBuf, PathBuf, File)> {
    let mut at = now;
    loop {
        let path = folder.join(format!("{stem}-{}.{end}", at.strftime(STAMP)));
        let part = path.with_extension(format!("{end}.part"));
        if !path.exists() && !sum_of(&path).exists() {
            match files::create(&part) {
                Err(e) if e.kind() == io::ErrorKind::AlreadyExists => {}
                made => return made.map(|file| (path, part, file)),
            }
        }
        at = at.checked_add(Span::new().seconds(1)).map_err(io::Error::other)?;
    }
}

fn sum_of(path: &Path) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".blake3");
    PathBuf::from(name)
}

fn check_room(backup: &Backup, needed: u64) -> Result<()> {
    let needed = needed + needed * BACKUP_ROOM_PERCENT / 100;
    let free = files::free_bytes(&backup.folder).map_err(|e| cannot(backup, "looked at", e))?;
    if free >= needed {
        return Ok(());
    }
    Err(Error::new(Kind::Blocked, format!("`{}` has too little room for the backups", backup.folder.display()))
        .fact(format!("{free} bytes are free, and {needed} may be needed: both sides and {BACKUP_ROOM_PERCENT} % more"))
        .state("nothing was written")
        .hint("`dir` in [backup] on a larger disk, or `--backup DIR`"))
}

// Our files of this stem that are older than as many days; others in the folder are not ours to judge.
fn expired(folder: &Path, stem: &str, end: &str, now: Timestamp, days: u32) -> io::Result<Vec<PathBuf>> {
    let limit = now.checked_sub(Span::new().hours(i64::from(days.min(36_500)) * 24)).unwrap_or(Timestamp::MIN);
    let limit = limit.strftime(STAMP).to_string();
    let mut old = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let stamp =
            name.strip_prefix(stem).and_then(|rest| rest.strip_prefix('-')).and_then(|rest| rest.split_once('.'));
        let Some((stamp, rest)) = stamp else { continue };
        let is_ours = rest == end || rest == format!("{end}.blake3") || rest == format!("{end}.part");
        let is_stamp = stamp.len() == limit.len() && stamp.ends_with('Z') && stamp.as_bytes().get(8) == Some(&b'T');
        if is_ours && is_stamp && *stamp < *limit {
            old.push(entry.path());
        }
    }
    old.sort();
    Ok(old)
}

fn cannot(backup: &Backup, what: &str, cause: io::Error) -> Error {
    Error::new(Kind::Failed, format!("the folder for backups `{}` cannot be {what}", backup.folder.display()))
        .state("nothing was written to the target")
        .cause(cause)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_files_of_ours_that_are_old_enough_expire() {
        let folder = tempfile::tempdir().expect("a folder");
        let names = [
            "app-20240101T000000Z.db",
            "app-20240101T000000Z.db.blake3",
            "app-20240301T000000Z.db",
            "app-20240101T000000Z.dump",
            "app-20240101.db",
            "app-20240101T000000Z.db.mine",
            "apple-20240101T000000Z.db",
            "app.db",
        ];
        for name in names {
            fs::write(folder.path().join(name), "").expect("a file");
        }
        let now: Timestamp = "2024-03-05T00:00:00Z".parse().expect("a time");
        let gone = |days| -> Vec<String> {
            let found = expired(folder.path(), "app", "db", now, days).expect("a listing");
            found.iter().map(|p| p.file_name().unwrap_or_default().to_string_lossy().into_owned()).collect()
        };
        assert_eq!(gone(30), ["app-20240101T000000Z.db", "app-20240101T000000Z.db.blake3"]);
        assert_eq!(gone(4), ["app-20240101T000000Z.db", "app-20240101T000000Z.db.blake3"]);
        assert_eq!(gone(3).len(), 3);
        assert!(gone(400).is_empty());
    }
}
