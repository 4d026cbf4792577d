#![expect(clippy::disallowed_methods, reason = "this module keeps the journals of runs in files")]

//! The files of the journal: one for each run that writes, below `runs` in the state folder.
//!
//! A file is only ever appended to. The run that writes it holds a lock on it, so that a run which is still going on
//! is told from one that was ended. Nobody but the owner may read the files: they hold live jobs as they were.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use super::judge::{self, Unfinished};
use super::line::{Line, Settled, Start};

/// How many journals of runs that are over are kept: some two months of a run on every working day.
pub const MOST_KEPT: usize = 50;

/// How much of the end of a file is read to see whether the run is over; the last line of one that is, is short.
const TAIL_BYTES: u64 = 4_096;

/// The journal of a run that goes on.
#[derive(Debug)]
pub struct Journal {
    file: File,
    path: PathBuf,
    /// Whether a line may be half there, because writing it failed.
    is_torn: bool,
}

impl Journal {
    /// Begins the journal of a run, and removes the oldest ones of runs that are over.
    ///
    /// # Errors
    /// Where the state folder can not be written to.
    pub fn begin(state_dir: &Path, start: Start) -> io::Result<Self> {
        let folder = folder(state_dir);
        std::fs::create_dir_all(&folder)?;
        // The time first, so that names sort by it; without colons, which are no part of a name everywhere.
        let path = folder.join(format!("{}-{}.jsonl", start.at.replace(':', ""), start.run));
        let mut options = OpenOptions::new();
        options.create_new(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        let file = options.open(&path)?;
        // A file system without locks: then a run that goes on can not be told from one that was ended.
        let _unsupported = file.try_lock();
        let mut journal = Self { file, path, is_torn: false };
        journal.write_through(&Line::Start(Box::new(start)))?;
        // The name of the file is on disk only when its folder is.
        #[cfg(unix)]
        File::open(&folder)?.sync_all()?;
        remove_oldest(&folder);
        Ok(journal)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a line.
    ///
    /// # Errors
    /// Where it can not be written.
    pub fn write(&mut self, line: &Line) -> io::Result<()> {
        let text = serde_json::to_string(line)?;
        // In one piece, and never behind half of another.
        let text = if self.is_torn { format!("\n{text}\n") } else { text + "\n" };
        let written = self.file.write_all(text.as_bytes());
        self.is_torn = written.is_err();
        written
    }

    /// Adds a line, and comes back when it is on disk.
    ///
    /// # Errors
    /// Where it can not be written.
    pub fn write_through(&mut self, line: &Line) -> io::Result<()> {
        self.write(line)?;
        self.file.sync_data()
    }
}

/// A journal that a later run has something to say of.
#[derive(Debug)]
pub enum Left {
    /// The run goes on; how it began.
    Running(Box<Start>),
    /// The run ended, or was ended, with something left open.
    Open(PathBuf, Box<Unfinished>),
}

/// Finds the journals that something is left to be said of, oldest first; those of other gateways and owners are left
/// alone.
///
/// It reads the ends of the files only, where a run is over. What can not be read is left out.
pub fn left(state_dir: &Path, gateway: &str, owner: &str) -> Vec<Left> {
    let is_ours = |start: &Start| start.gateway == gateway && start.owner == owner;
    let look = |path: PathBuf| {
        if is_over(&path) {
            return None;
        }
        let text = String::from_utf8_lossy(&std::fs::read(&path).ok()?).into_owned();
        let found = judge::read(&text).filter(|found| is_ours(&found.start))?;
        if is_running(&path) {
            return Some(Left::Running(Box::new(found.start)));
        }
        (!found.is_settled()).then_some(Left::Open(path, Box::new(found)))
    };
    journals(&folder(state_dir)).into_iter().filter_map(look).collect()
}

/// A journal that is kept.
#[derive(Clone, Debug)]
pub struct Kept {
    /// Where it is.
    pub path: PathBuf,
    /// The run's id, as the file's name says it.
    pub run: String,
    /// Whether the run goes on.
    pub is_running: bool,
    /// Its text; what is no text in it is left for the reader to pass over.
    pub text: String,
}

/// All journals of a state folder, oldest first.
///
/// # Errors
/// The first file that can not be read.
pub fn kept(state_dir: &Path) -> io::Result<Vec<Kept>> {
    let read = |path: PathBuf| {
        let text = String::from_utf8_lossy(&std::fs::read(&path)?).into_owned();
        let name = path.file_stem().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let run = name.rsplit_once('-').map_or(name.as_str(), |(_, run)| run).to_owned();
        Ok(Kept { run, is_running: is_running(&path), text, path })
    };
    journals(&folder(state_dir)).into_iter().map(read).collect()
}

/// Where the journals of a state folder are.
pub fn place(state_dir: &Path) -> PathBuf {
    folder(state_dir)
}

/// Adds to the journal of a former run what was found out about it.
///
/// # Errors
/// Where it can not be written; then the next run finds it out again.
pub fn settle(path: &Path, settled: Settled) -> io::Result<()> {
    let file = OpenOptions::new().append(true).open(path)?;
    // The last line may have been cut off in the middle; an empty line is none.
    let mut journal = Journal { file, path: path.to_path_buf(), is_torn: true };
    journal.write(&Line::Settled(settled))
}

fn folder(state_dir: &Path) -> PathBuf {
    state_dir.join("runs")
}

/// The journals in a folder, oldest first.
fn journals(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten().map(|entry| entry.path());
    let mut paths: Vec<PathBuf> =
        entries.filter(|path| path.extension().is_some_and(|extension| extension == "jsonl")).collect();
    paths.sort();
    paths
}

/// Whether the last line says that nothing is left to be said; where in doubt, not.
fn is_over(path: &Path) -> bool {
    let tail = || -> io::Result<Vec<u8>> {
        let mut file = File::open(path)?;
        let length = file.metadata()?.len();
        file.seek(SeekFrom::Start(length.saturating_sub(TAIL_BYTES)))?;
        let mut tail = Vec::new();
        file.read_to_end(&mut tail)?;
        Ok(tail)
    };
    let Ok(tail) = tail() else { return false };
    let tail = String::from_utf8_lossy(&tail);
    match tail.lines().last().and_then(|line| serde_json::from_str(line).ok()) {
        Some(Line::End(end)) => end.outcomes.get("unsettled").and_then(serde_json::Value::as_u64) == Some(0),
        // Whether it is all that was open is told by the whole file.
        Some(Line::Settled(_)) => whole_is_settled(path),
        _ => false,
    }
}

fn whole_is_settled(path: &Path) -> bool {
    let Ok(bytes) = std::fs::read(path) else { return false };
    judge::read(&String::from_utf8_lossy(&bytes)).is_some_and(|found| found.is_settled())
}

fn is_running(path: &Path) -> bool {
    match File::open(path).map(|file| file.try_lock_shared()) {
        Ok(Err(TryLockError::WouldBlock)) => true,
        Ok(Ok(()) | Err(TryLockError::Error(_))) | Err(_) => false,
    }
}

fn remove_oldest(folder: &Path) {
    let over: Vec<PathBuf> = journals(folder).into_iter().filter(|path| is_over(path)).collect();
    for path in over.iter().rev().skip(MOST_KEPT) {
        // One that stays is removed by the next run.
        let _stays = std::fs::remove_file(path);
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::line::{End, FORMAT};
    use super::*;

    fn start(n: usize) -> Start {
        Start {
            format: FORMAT,
            run: format!("run{n}"),
            at: format!("2026-11-23T10:{:02}:{:02}Z", n / 60, n % 60),
            gateway: "gateway".to_owned(),
            owner: "us".to_owned(),
            commit: None,
            applied_before: None,
            undoes: None,
            version: "1".to_owned(),
            pid: 1,
            fingerprint: String::new(),
            steps: Vec::new(),
        }
    }

    fn end(n_unsettled: u64) -> Line {
        Line::End(End { at: String::new(), outcomes: json!({"unsettled": n_unsettled}) })
    }

    fn runs_left(folder: &Path) -> Vec<String> {
        let name = |left: Left| match left {
            Left::Running(start) => format!("running {}", start.run),
            Left::Open(_, found) => found.start.run,
        };
        left(folder, "gateway", "us").into_iter().map(name).collect()
    }

    #[test]
    fn a_run_is_left_until_it_ends_or_is_settled() {
        let folder = tempfile::tempdir().expect("a folder");
        let mut journal = Journal::begin(folder.path(), start(1)).expect("writable");
        assert_eq!(runs_left(folder.path()), ["running run1"]);
        assert!(left(folder.path(), "gateway", "them").is_empty());
        assert!(left(folder.path(), "another", "us").is_empty());
        let path = journal.path().to_path_buf();
        // Half a line, as a process that is killed may leave it.
        journal.file.write_all(b"{\"line\":\"int").expect("writable");
        drop(journal);
        assert_eq!(runs_left(folder.path()), ["run1"]);
        settle(&path, Settled { at: String::new(), writes: Vec::new() }).expect("writable");
        assert!(runs_left(folder.path()).is_empty());
        let mut second = Journal::begin(folder.path(), start(2)).expect("writable");
        second.write_through(&end(0)).expect("writable");
        drop(second);
        assert!(runs_left(folder.path()).is_empty());
    }

    #[test]
    fn the_oldest_that_are_over_are_removed_and_no_others() {
        let folder = tempfile::tempdir().expect("a folder");
        drop(Journal::begin(folder.path(), start(0)).expect("writable"));
        for n in 1..=MOST_KEPT + 2 {
            let mut journal = Journal::begin(folder.path(), start(n)).expect("writable");
            journal.write(&end(0)).expect("writable");
        }
        let mut last = Journal::begin(folder.path(), start(100)).expect("writable");
        last.write(&end(0)).expect("writable");
        let names: Vec<String> = journals(&super::folder(folder.path()))
            .iter()
            .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
            .collect();
        assert_eq!(names.len(), MOST_KEPT + 2, "{names:?}");
        assert!(names[0].ends_with("-run0.jsonl") && names[1].ends_with("-run3.jsonl"), "{names:?}");
        assert_eq!(runs_left(folder.path()), ["run0"]);
    }

    #[cfg(unix)]
    #[test]
    fn nobody_else_may_read_it() {
        use std::os::unix::fs::PermissionsExt as _;
        let folder = tempfile::tempdir().expect("a folder");
        let journal = Journal::begin(folder.path(), start(1)).expect("writable");
        let mode = std::fs::metadata(journal.path()).expect("it is there").permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
