#![expect(clippy::disallowed_methods, reason = "this module keeps two applies apart by a file")]

//! One apply at a time for each state folder. The system gives the lock back when the process ends, however it does.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Who holds the lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The run's id.
    pub run: String,
    /// Number of the process.
    pub pid: u32,
    /// When it took the lock, RFC 3339.
    pub since: String,
}

/// The lock, for as long as this value lives.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    told: PathBuf,
}

/// What comes of an attempt.
#[derive(Debug)]
pub enum Attempt {
    /// It is ours.
    Taken(Lock),
    /// Another run has it; who, where that can be read.
    Held(Option<Holder>),
}

/// Tries once to take the lock of a state folder.
///
/// # Errors
/// Where the folder can not be written to.
pub fn take(state_dir: &Path, holder: &Holder) -> io::Result<Attempt> {
    std::fs::create_dir_all(state_dir)?;
    let path = state_dir.join("apply.lock");
    // Who holds it stands in a file of its own: one that is locked can not be read everywhere.
    let told = state_dir.join("apply.json");
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(path)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let holder = std::fs::read(&told).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok());
            return Ok(Attempt::Held(holder));
        }
        // A file system without locks; then nobody is kept apart, as it was before there was a lock.
        Err(TryLockError::Error(error)) if error.kind() == io::ErrorKind::Unsupported => {}
        Err(TryLockError::Error(error)) => return Err(error),
    }
    std::fs::write(&told, serde_json::to_string(holder)? + "\n")?;
    Ok(Attempt::Taken(Lock { _file: file, told }))
}

impl Drop for Lock {
    fn drop(&mut self) {
        // It is told from the lock whether a run goes on; this is only for the eye.
        let _stays = std::fs::remove_file(&self.told);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_learns_who_is_first() {
        let folder = tempfile::tempdir().expect("a folder");
        let holder = |run: &str| Holder { run: run.to_owned(), pid: 7, since: "2026".to_owned() };
        let first = take(folder.path(), &holder("first")).expect("writable");
        assert!(matches!(first, Attempt::Taken(_)));
        match take(folder.path(), &holder("second")).expect("writable") {
            Attempt::Held(found) => assert_eq!(found, Some(holder("first"))),
            Attempt::Taken(_) => panic!("both have it"),
        }
        drop(first);
        assert!(matches!(take(folder.path(), &holder("second")).expect("writable"), Attempt::Taken(_)));
    }
}
