#![expect(clippy::disallowed_methods, reason = "this module reads and writes cache files")]

//! One cache file: a line that says whose it is, a line for each job, and the bodies behind them.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead as _, BufReader, Seek as _, SeekFrom, Write as _};
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::fingerprint;

/// Version of the cache file; another one is ignored.
const FORMAT: u32 = 2;

/// Whose jobs are in a cache.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Whose {
    pub(super) gateway: String,
    pub(super) customer: String,
}

/// First line of a cache file.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Header {
    patchctl_cache: u32,
    gateway: String,
    customer: String,
    entries: usize,
    /// Digest of the lines of all jobs: what they say is believed.
    index: String,
}

/// What is remembered of one job beside its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Meta {
    pub(super) id: String,
    /// Digest of the list row that was seen with it; `None` where no row was seen that belongs to it.
    pub(super) row: Option<String>,
    /// Why it was read. After a write of ours no row was seen, and the next one that has its date and status belongs
    /// to it.
    pub(super) after: After,
    /// The job's status, which may move without the date.
    pub(super) status: Option<String>,
    /// `updatedBy.date` of the body.
    pub(super) updated: Option<i64>,
    /// When the body was read, milliseconds since 1970-01-01 UTC.
    pub(super) read: i64,
    /// What stood at the end of the description, as text.
    pub(super) stamp: Option<String>,
    /// Digest of the body's bytes: a damaged body is noticed.
    pub(super) sha: String,
    pub(super) offset: u64,
    pub(super) bytes: usize,
}

/// What went before the reading of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum After {
    /// Nothing of ours.
    Nothing,
    /// A change of ours.
    Change,
    /// We made the job: a row that says that nobody changed it since is a row of this very body.
    Creation,
}

/// A cache file that is open.
#[derive(Debug)]
pub(super) struct Store {
    file: File,
    /// Where the bodies begin.
    start: u64,
    /// By the job's id; those whose bodies are not in the file any more are left out.
    pub(super) jobs: BTreeMap<String, Meta>,
    /// How many were left out.
    pub(super) n_lost: usize,
}

impl Store {
    /// Opens the file and reads its lines.
    ///
    /// # Errors
    /// Where it can not be read, is somebody else's, of another version, or damaged.
    pub(super) fn open(path: &Path, whose: &Whose) -> io::Result<Self> {
        let mut reader = BufReader::new(File::open(path)?);
        let mut line = String::new();
        let mut next = |reader: &mut BufReader<File>| -> io::Result<String> {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                Err(invalid("it ends too early"))
            } else {
                Ok(line.clone())
            }
        };
        let damaged = |_| invalid("it is damaged or of another version");
        let header: Header = serde_json::from_str(&next(&mut reader)?).map_err(damaged)?;
        let Header { patchctl_cache, gateway, customer, entries, index } = header;
        if patchctl_cache != FORMAT || *whose != (Whose { gateway, customer }) {
            return Err(invalid("it is of another version or gateway"));
        }
        let mut lines = String::new();
        for _ in 0..entries {
            lines.push_str(&next(&mut reader)?);
        }
        if index != digest(&lines) {
            return Err(invalid("it is damaged"));
        }
        let start = reader.stream_position()?;
        let file = reader.into_inner();
        let n_bytes = file.metadata()?.len();
        let mut jobs = BTreeMap::new();
        for line in lines.lines() {
            let meta: Meta = serde_json::from_str(line).map_err(damaged)?;
            if start.saturating_add(meta.offset).saturating_add(meta.bytes as u64) <= n_bytes {
                jobs.insert(meta.id.clone(), meta);
            }
        }
        Ok(Self { file, start, n_lost: entries.saturating_sub(jobs.len()), jobs })
    }

    /// Size of the file in bytes, if the system tells it.
    pub(super) fn n_bytes(&self) -> Option<u64> {
        Some(self.file.metadata().ok()?.len())
    }

    /// The file, set to where a body begins.
    pub(super) fn at(&mut self, offset: u64) -> io::Result<&mut File> {
        let place = self.start.checked_add(offset).ok_or_else(|| invalid("the cached job is damaged"))?;
        self.file.seek(SeekFrom::Start(place))?;
        Ok(&mut self.file)
    }
}

/// Writes a cache file whole and at once; `bodies` writes those of the jobs, behind one another in their order.
///
/// It is not forced to the disk: a cache that a power cut damages is noticed, and costs calls only.
///
/// # Errors
/// Where it can not be written; nothing of the former file is lost then.
pub(super) fn write(
    path: &Path,
    whose: &Whose,
    jobs: &[Meta],
    bodies: impl FnOnce(&mut File) -> io::Result<()>,
) -> io::Result<()> {
    let mut lines = String::new();
    for meta in jobs {
        lines.push_str(&serde_json::to_string(meta)?);
        lines.push('\n');
    }
    let Whose { gateway, customer } = whose.clone();
    let header =
        Header { patchctl_cache: FORMAT, gateway, customer, entries: jobs.len(), index: digest(&lines) };
    let mut file = tempfile::NamedTempFile::new_in(path.parent().unwrap_or(Path::new(".")))?;
    let to = file.as_file_mut();
    to.write_all((serde_json::to_string(&header)? + "\n" + &lines).as_bytes())?;
    bodies(to)?;
    file.persist(path)?;
    Ok(())
}

fn digest(lines: &str) -> String {
    fingerprint::sha256_hex(lines.as_bytes())[..32].to_owned()
}

fn invalid(why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, why)
}
