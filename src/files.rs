//! Files and folders that hold what is nobody else's business: readable by their owner only, whatever the umask, and
//! never written through a link or in the place of somebody else's file.
//!
//! Everything that lite2pg writes to the disk is made here. Knows nothing of what is written.

use std::fs::{self, DirBuilder, File, Metadata, OpenOptions};
use std::io::{self, ErrorKind, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::NamedTempFile;

/// What a file is called before it has its name: one that is left behind by `kill -9` says whose it was.
const PREFIX: &str = ".lite2pg-";

/// Makes a file where nothing is; [`ErrorKind::AlreadyExists`] where something is, a link that leads nowhere included.
pub fn create(path: &Path) -> io::Result<File> {
    OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)
}

/// Makes an empty file, in the place of an earlier one of ours where there is one.
pub fn replace(path: &Path) -> io::Result<File> {
    Pending::new(path)?.publish()
}

/// Bytes that this user may still write to the disk of a folder.
pub fn free_bytes(folder: &Path) -> io::Result<u64> {
    let disk = rustix::fs::statvfs(folder)?;
    Ok(disk.f_bavail.saturating_mul(disk.f_frsize))
}

/// Makes a folder and those above it that are missing. One that is there stays as it is, but is refused where it is
/// a link that somebody else made: whoever made it says where our files go.
pub fn folder(path: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    let link = fs::symlink_metadata(path)?;
    if link.is_symlink() && link.uid() != 0 && link.uid() != our_uid(path)? {
        return Err(refused("is a link that another user made"));
    }
    Ok(())
}

/// Makes a folder of our own, or takes one that is there: a folder, no link, and ours.
pub fn own_folder(path: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(path) {
        Err(e) if e.kind() == ErrorKind::AlreadyExists => {}
        made => return made,
    }
    let there = fs::symlink_metadata(path)?;
    if !there.is_dir() {
        return Err(refused("is there, and is no folder"));
    }
    if there.uid() != our_uid(folder_of(path))? {
        return Err(refused("belongs to another user"));
    }
    Ok(())
}

/// A file that has not got its name yet. Dropped, it is gone, and what was there before is as it was.
#[derive(Debug)]
pub struct Pending {
    path: PathBuf,
    file: NamedTempFile,
}

impl Pending {
    /// Prepares a file for `path`. Fails now where it could not be put there: the folder is missing or may not be
    /// written to, or the name is taken by a link, by something that is no file, or by a file of somebody else.
    pub fn new(path: &Path) -> io::Result<Self> {
        let file = tempfile::Builder::new().prefix(PREFIX).tempfile_in(folder_of(path))?;
        let pending = Self { path: path.to_owned(), file };
        pending.check()?;
        Ok(pending)
    }

    /// Writes all of it, and gives it its name in one step.
    pub fn write(mut self, content: &[u8]) -> io::Result<()> {
        self.file.write_all(content)?;
        self.publish().map(drop)
    }

    // A rename takes the place of a link, never of what the link leads to.
    fn publish(self) -> io::Result<File> {
        self.check()?;
        self.file.persist(&self.path).map_err(|e| e.error)
    }

    fn check(&self) -> io::Result<()> {
        match fs::symlink_metadata(&self.path) {
            Ok(there) => may_be_replaced(&there, self.file.as_file().metadata()?.uid()),
            Err(e) if e.kind() == ErrorKind::NotFound => Ok(()),
            Err(e) => Err(e),
        }
    }
}

fn may_be_replaced(there: &Metadata, us: u32) -> io::Result<()> {
    if there.is_symlink() {
        return Err(refused("is a link, and links are not followed"));
    }
    if !there.is_file() {
        return Err(refused("is there, and is no file"));
    }
    if there.uid() != us {
        return Err(refused("belongs to another user"));
    }
    Ok(())
}

fn refused(why: &str) -> io::Error {
    io::Error::new(ErrorKind::AlreadyExists, why)
}

fn folder_of(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

// Who owns what we make is who we are.
fn our_uid(folder: &Path) -> io::Result<u32> {
    Ok(tempfile::tempfile_in(folder)?.metadata()?.uid())
}

/// The BLAKE3 of a file, in hex. Not for a database that this process has open: see `sqlite::fingerprint`.
pub fn content(path: &Path) -> io::Result<String> {
    let mut hash = blake3::Hasher::new();
    hash.update_reader(File::open(path)?)?;
    Ok(hash.finalize().to_hex().to_string())
}

/// A private folder for a piece of work. However the process ends, the folder goes with it: dropped it is removed, and a
/// small shell that waits for our end removes it after a `kill -9`.
#[derive(Debug)]
pub struct Workplace {
    folder: tempfile::TempDir,
    leash: Child,
}

impl Workplace {
    /// A new, empty folder among the system's temporary ones.
    pub fn new(prefix: &str) -> io::Result<Self> {
        let mode = fs::Permissions::from_mode(0o700);
        let folder = tempfile::Builder::new().prefix(prefix).permissions(mode).tempdir()?;
        // In a group of its own: Ctrl-C reaches us, not it.
        let leash = Command::new("sh")
            .args(["-c", "trap '' HUP INT TERM; read -r _; rm -rf -- \"$1\"", "sh"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .process_group(0)
            .spawn()?;
        Ok(Self { folder, leash })
    }

    /// The folder.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

impl Drop for Workplace {
    fn drop(&mut self) {
        drop(self.leash.stdin.take());
        self.leash.wait().ok();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn only_the_owner_may_read_what_is_made() {
        let dir = tempfile::tempdir().unwrap();
        let (a, b, c) = (dir.path().join("a"), dir.path().join("b"), dir.path().join("c"));
        create(&a).unwrap().write_all(b"new").unwrap();
        replace(&b).unwrap();
        Pending::new(&c).unwrap().write(b"x").unwrap();
        folder(&dir.path().join("one/two")).unwrap();
        assert_eq!([mode(&a), mode(&b), mode(&c)], [0o600; 3]);
        assert_eq!([mode(&dir.path().join("one")), mode(&dir.path().join("one/two"))], [0o700; 2]);
        assert_eq!(create(&a).unwrap_err().kind(), ErrorKind::AlreadyExists);
        assert_eq!(fs::read(&a).unwrap(), b"new");
    }

    #[test]
    fn a_file_of_an_earlier_run_that_was_open_to_all_is_replaced_by_one_that_is_not() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list.csv");
        fs::write(&path, "old").unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o666)).unwrap();
        let reader = File::open(&path).unwrap();
        replace(&path).unwrap().write_all(b"new").unwrap();
        assert_eq!((mode(&path), io::read_to_string(reader).unwrap().as_str()), (0o600, "old"));
    }

    #[test]
    fn nothing_is_written_through_a_link() {
        let dir = tempfile::tempdir().unwrap();
        let (victim, link, nowhere) =
            (dir.path().join("victim"), dir.path().join("link"), dir.path().join("leads to nothing"));
        fs::write(&victim, "precious").unwrap();
        symlink(&victim, &link).unwrap();
        symlink(dir.path().join("absent"), &nowhere).unwrap();
        for path in [&link, &nowhere] {
            assert_eq!(create(path).unwrap_err().kind(), ErrorKind::AlreadyExists);
            assert!(replace(path).unwrap_err().to_string().contains("link"));
            assert!(Pending::new(path).unwrap_err().to_string().contains("link"));
            assert!(fs::symlink_metadata(path).unwrap().is_symlink());
        }
        // A link that comes later, too.
        let late = dir.path().join("late");
        let pending = Pending::new(&late).unwrap();
        symlink(&victim, &late).unwrap();
        assert!(pending.write(b"evil").is_err());
        assert_eq!(fs::read(&victim).unwrap(), b"precious");
        assert!(!dir.path().join("absent").exists());
        let left = fs::read_dir(dir.path())
            .unwrap()
            .filter(|e| e.as_ref().unwrap().file_name().to_string_lossy().starts_with(PREFIX));
        assert_eq!(left.count(), 0, "nothing is left behind");
    }

    #[test]
    fn a_file_of_another_user_is_not_replaced_and_a_folder_behind_his_link_not_used() {
        let dir = tempfile::tempdir().unwrap();
        let (path, behind) = (dir.path().join("list.csv"), dir.path().join("lists"));
        fs::write(&path, "his").unwrap();
        symlink(dir.path(), &behind).unwrap();
        folder(&behind).unwrap();
        // Only root can give files away.
        let given = std::os::unix::fs::chown(&path, Some(65534), None)
            .and_then(|()| std::os::unix::fs::lchown(&behind, Some(65534), None));
        if given.is_ok() {
            assert!(replace(&path).unwrap_err().to_string().contains("another user"));
            assert!(folder(&behind).unwrap_err().to_string().contains("another user"));
            assert_eq!(fs::read(&path).unwrap(), b"his");
        }
    }

    #[test]
    fn what_is_no_file_is_not_replaced() {
        let dir = tempfile::tempdir().unwrap();
        let folder = dir.path().join("folder");
        fs::create_dir(&folder).unwrap();
        assert!(replace(&folder).unwrap_err().to_string().contains("no file"));
        assert_eq!(Pending::new(&dir.path().join("not/there")).unwrap_err().kind(), ErrorKind::NotFound);
    }
}
