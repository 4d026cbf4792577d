#![expect(clippy::disallowed_methods, reason = "this module writes files")]

//! Files that several runs may write: they come into the place of others whole and at once, are on disk before anybody
//! counts on them, and there are locks.

use std::fs::{File, TryLockError};
use std::io::{self, Write as _};
use std::path::Path;
use std::time::Duration;

/// How often the lock is tried for, 20 ms apart: two seconds. It is held for one reading and one writing of a file.
const MOST_TRIES: u32 = 100;

/// How long between two tries.
const PAUSE: Duration = Duration::from_millis(20);

/// Who may read a file that is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readers {
    /// Its owner, who alone may write it too.
    Owner,
    /// Everybody, as a file of the repository; on Windows what the folder says.
    Everybody,
}

/// Puts a file where another one may stand, whole and on disk. Its folder must be there. A link is replaced by the file:
/// what a pull request links to must not be written.
///
/// # Errors
/// Where it can not be written; what stood there is as it was then.
pub fn put(path: &Path, content: &[u8], readers: Readers) -> io::Result<()> {
    write(path, content, &|file| permit(file, readers))
}

/// Puts a file in the place of one that is there, with the permissions of that one; a link stays one.
///
/// # Errors
/// Where there is none, it is read-only or it can not be written; what stood there is as it was then.
pub fn replace(path: &Path, content: &[u8]) -> io::Result<()> {
    let path = std::fs::canonicalize(path)?;
    let permissions = std::fs::metadata(&path)?.permissions();
    if permissions.readonly() {
        return Err(io::Error::new(io::ErrorKind::PermissionDenied, "it is read-only"));
    }
    write(&path, content, &|file| file.set_permissions(permissions.clone()))
}

/// Takes the lock that stands beside a file which several runs write; the system gives it back when the result is
/// dropped, also by the end of the process.
///
/// # Errors
/// Where another run keeps it for two seconds, or the lock can not be made.
pub fn lock(path: &Path) -> io::Result<File> {
    let lock = File::create(path)?;
    for _ in 0..MOST_TRIES {
        match lock.try_lock() {
            Ok(()) => return Ok(lock),
            Err(TryLockError::WouldBlock) => std::thread::sleep(PAUSE),
            // A file system without locks; the file is replaced whole all the same.
            Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => return Ok(lock),
            Err(TryLockError::Error(error)) => return Err(error),
        }
    }
    Err(io::Error::new(io::ErrorKind::WouldBlock, "another run is writing it"))
}

fn write(path: &Path, content: &[u8], permit: &dyn Fn(&File) -> io::Result<()>) -> io::Result<()> {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    // Hidden, so that no walk over manifests takes it for one. It is made for its owner's eyes only.
    let mut file = tempfile::Builder::new().prefix(".patchctl-").tempfile_in(folder)?;
    file.write_all(content)?;
    permit(file.as_file())?;
    file.as_file().sync_all()?;
    file.persist(path)?;
    Ok(())
}

#[cfg(unix)]
fn permit(file: &File, readers: Readers) -> io::Result<()> {
    use std::os::unix::fs::PermissionsExt as _;
    let mode = match readers {
        Readers::Owner => 0o600,
        Readers::Everybody => 0o644,
    };
    file.set_permissions(std::fs::Permissions::from_mode(mode))
}

#[cfg(not(unix))]
fn permit(_: &File, _: Readers) -> io::Result<()> {
    Ok(())
}

#[cfg(all(test, unix))]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn mode(path: &Path) -> u32 {
        std::fs::metadata(path).expect("a file").permissions().mode() & 0o777
    }

    #[test]
    fn a_file_is_put_for_whom_it_is_meant_and_in_the_place_of_a_link() {
        let folder = tempfile::tempdir().expect("a folder");
        let (file, link) = (folder.path().join("file"), folder.path().join("link"));
        put(&file, b"1", Readers::Everybody).expect("writable");
        assert_eq!(mode(&file), 0o644);
        put(&file, b"2", Readers::Owner).expect("writable");
        assert_eq!(mode(&file), 0o600);
        symlink("file", &link).expect("writable");
        put(&link, b"3", Readers::Owner).expect("writable");
        assert!(!link.is_symlink());
        assert_eq!(std::fs::read(&file).expect("a file"), b"2");
        put(&folder.path().join("none/file"), b"4", Readers::Owner).expect_err("no folder");
    }

    #[test]
    fn what_is_replaced_keeps_its_permissions_and_a_read_only_file_stays() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("file");
        replace(&file, b"1").expect_err("nothing to replace");
        std::fs::write(&file, b"1").expect("writable");
        for (mode_before, is_replaced) in [(0o640, true), (0o400, false)] {
            std::fs::set_permissions(&file, std::fs::Permissions::from_mode(mode_before)).expect("ours");
            assert_eq!(replace(&file, b"2").is_ok(), is_replaced, "{mode_before:o}");
            assert_eq!(mode(&file), mode_before);
        }
        assert_eq!(std::fs::read_dir(folder.path()).expect("a folder").count(), 1);
    }
}
