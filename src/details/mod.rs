#![expect(clippy::disallowed_methods, reason = "this module keeps bodies of live jobs in files")]

//! Whole live jobs, fetched or remembered: which must be asked for, and where each one's body is.
//!
//! The list call says of every job when it was changed last, so a job whose row is as it was when its details were
//! read need not be read again (DESIGN section 7). Bodies stay in files and are parsed one at a time. The cache is
//! a convenience: without it, or with a damaged one, the result is the same and costs more calls. It never decides
//! anything about a job, and `apply` never trusts it: it reads every job afresh before it writes to it.

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader, BufWriter, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::fingerprint;
use crate::lean::Lean;
use crate::plan::StampCounts;
use crate::snapshot::{ListRow, LiveJob, updated_at};
use crate::stamp::Found;

/// Version of the cache file; another one is ignored.
const FORMAT: u32 = 1;

/// Age after which an entry is read again although its row says that nothing changed, in milliseconds: a day.
///
/// A server could change a job without moving its date; a day bounds how long that stays unseen.
const OLD_MS: i64 = 24 * 60 * 60 * 1000;

/// How many old entries are read again in one run, oldest first.
///
/// 20 an hour go once round 480 jobs in a day and cost a fifteenth of the quota; more would make a no-change run
/// over thousands of jobs expensive again.
const MOST_AGED_READS: usize = 20;

/// Bodies are written in pieces of this size: with smaller ones most of the time goes into beginnings of pages.
const BUFFER_BYTES: usize = 256 << 10;

/// First line of a cache file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Header {
    patchctl_cache: u32,
    gateway: String,
    customer: String,
    entries: usize,
}

/// What is remembered of one job beside its body.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Meta {
    id: String,
    /// Digest of the list row that was seen with it; `None` where no row was seen that belongs to it.
    row: Option<String>,
    /// Why it was read. After a write of ours no row was seen, and the next one that has its date and status belongs
    /// to it.
    after: After,
    /// The job's status, which may move without the date.
    status: Option<String>,
    /// `updatedBy.date` of the body.
    updated: Option<i64>,
    /// When the body was read, milliseconds since 1970-01-01 UTC.
    read: i64,
    /// What stood at the end of the description, as text.
    stamp: Option<String>,
    /// Digest of the body's bytes: a damaged body is noticed.
    sha: String,
    offset: u64,
    bytes: usize,
}

/// What went before the reading of a body.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum After {
    /// Nothing of ours.
    Nothing,
    /// A change of ours.
    Change,
    /// We made the job: a row that says that nobody changed it since is a row of this very body.
    Creation,
}

/// Where the bytes of a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Where {
    Cache,
    Spill,
}

/// The body of one job, ready to be kept. Making it is most of the work, needs nothing else and can be done on any
/// thread.
#[derive(Debug)]
pub struct Body {
    json: Vec<u8>,
    sha: String,
    status: Option<String>,
    updated: Option<i64>,
    stamp: Option<String>,
}

impl Body {
    /// Reads off a job what is remembered of it.
    pub fn of(job: &Value) -> Self {
        let json = serde_json::to_vec(job).expect("internal error: a JSON value can be written as JSON");
        Self::read(&Lean::from(job), json)
    }

    /// The same for a job as it was answered; its bytes are kept as they came.
    pub fn read(job: &Lean<'_>, json: Vec<u8>) -> Self {
        let text = |name: &str| job.get(name).and_then(Lean::as_str);
        Self {
            sha: fingerprint::sha256_hex(&json)[..16].to_owned(),
            status: text("status").map(str::to_owned),
            updated: updated_at(job),
            stamp: crate::stamp::split(text("description").unwrap_or_default()).1.text(),
            json,
        }
    }
}

/// What is known of the bound jobs in this run.
#[derive(Debug)]
pub struct Details {
    /// Where the cache is, unless there is none.
    path: Option<PathBuf>,
    header: Header,
    cached: BTreeMap<String, Meta>,
    cache_file: Option<(File, u64)>,
    entries: BTreeMap<String, Option<(Meta, Where)>>,
    spill: BufWriter<File>,
    spilled: u64,
    /// Whether the spill was read, so that its end has to be looked for before the next write.
    spill_was_read: bool,
    changed: bool,
    reads_cache: bool,
    now: i64,
    /// What to tell the person, if anything.
    pub note: Option<String>,
}

/// How the cache may be used.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum CacheUse {
    /// Read and written.
    Full,
    /// Not read, written: everything is asked for again.
    Refresh,
    /// Neither.
    None,
}

impl Details {
    /// Opens the cache of a gateway and a subscription; `now` is in milliseconds since 1970-01-01 UTC.
    ///
    /// # Errors
    /// Where not even a temporary file can be made; a cache that can not be used is a note.
    pub fn open(folder: &Path, gateway: &str, customer: &str, cache: CacheUse, now: i64) -> io::Result<Self> {
        let header = Header {
            patchctl_cache: FORMAT,
            gateway: gateway.to_owned(),
            customer: customer.to_owned(),
            entries: 0,
        };
        let name = fingerprint::short(&serde_json::json!([gateway, customer]));
        let path = (cache != CacheUse::None).then(|| folder.join(format!("{name}.cache")));
        let mut details = Self {
            path,
            header,
            cached: BTreeMap::new(),
            cache_file: None,
            entries: BTreeMap::new(),
            spill: BufWriter::with_capacity(BUFFER_BYTES, tempfile::tempfile()?),
            spilled: 0,
            spill_was_read: false,
            changed: false,
            reads_cache: cache == CacheUse::Full,
            now,
            note: None,
        };
        // Entries of other jobs are kept also where this run asks for everything anew.
        if let Some(path) = details.path.clone() {
            match details.read_cache(&path) {
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => {
                    details.cached.clear();
                    details.note = Some(format!("the cache `{}` is not used: {error}", path.display()));
                }
            }
        }
        Ok(details)
    }

    fn read_cache(&mut self, path: &Path) -> io::Result<()> {
        let mut reader = BufReader::new(File::open(path)?);
        let mut line = String::new();
        let mut next = |reader: &mut BufReader<File>| -> io::Result<String> {
            line.clear();
            if reader.read_line(&mut line)? == 0 {
                return Err(io::Error::new(io::ErrorKind::InvalidData, "it ends too early"));
            }
            Ok(line.clone())
        };
        let damaged = |_| io::Error::new(io::ErrorKind::InvalidData, "it is damaged or of another version");
        let header: Header = serde_json::from_str(&next(&mut reader)?).map_err(damaged)?;
        if (header.patchctl_cache, &header.gateway, &header.customer)
            != (FORMAT, &self.header.gateway, &self.header.customer)
        {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "it is of another version or gateway"));
        }
        for _ in 0..header.entries {
            let meta: Meta = serde_json::from_str(&next(&mut reader)?).map_err(damaged)?;
            self.cached.insert(meta.id.clone(), meta);
        }
        let start = reader.stream_position()?;
        self.cache_file = Some((reader.into_inner(), start));
        Ok(())
    }

    /// When the body of this run that was read longest ago was read, in milliseconds since 1970-01-01 UTC; `None` where
    /// the run looked at none.
    pub fn oldest_read(&self) -> Option<i64> {
        self.entries.values().flatten().map(|(meta, _)| meta.read).min()
    }

    /// What is remembered, for `doctor`; changes nothing.
    pub fn summary(&self) -> CacheSummary {
        let expected = self.cache_file.as_ref().map(|(_, start)| {
            let end = |meta: &Meta| start.saturating_add(meta.offset).saturating_add(meta.bytes as u64);
            self.cached.values().map(end).max().unwrap_or(*start)
        });
        let found = self.cache_file.as_ref().and_then(|(file, _)| Some(file.metadata().ok()?.len()));
        CacheSummary {
            path: self.path.clone(),
            n_jobs: self.cached.len(),
            oldest_ms: self.cached.values().map(|meta| self.now.saturating_sub(meta.read)).max(),
            bytes: found,
            is_whole: found.is_none_or(|found| Some(found) == expected),
        }
    }

    /// Settles which of the bound jobs must be asked for; the others are taken from the cache.
    pub fn missing(&mut self, bound: impl Iterator<Item = String>, rows: &[ListRow]) -> Vec<String> {
        let rows: BTreeMap<&str, &ListRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let mut ask = Vec::new();
        let mut old = Vec::new();
        for id in bound {
            match (self.cached.get(&id), rows.get(id.as_str())) {
                (Some(meta), Some(row)) if self.reads_cache && is_current(meta, row) => {
                    let meta = Meta { row: Some(row.digest.clone()), ..meta.clone() };
                    if self.now.saturating_sub(meta.read) > OLD_MS {
                        old.push((Reverse(self.now.saturating_sub(meta.read)), id.clone()));
                    }
                    self.entries.insert(id, Some((meta, Where::Cache)));
                }
                (_, _) => ask.push(id),
            }
        }
        old.sort();
        ask.extend(old.into_iter().take(MOST_AGED_READS).map(|(_, id)| id));
        ask.sort();
        ask
    }

    /// Keeps the answer to a read; `None` where the API does not know the job.
    ///
    /// # Errors
    /// Where the temporary file can not be written.
    pub fn put(&mut self, id: &str, job: Option<&Value>, row: Option<&ListRow>) -> io::Result<()> {
        self.put_body(id, job.map(Body::of), row)
    }

    /// The same, where the body was made ready elsewhere.
    ///
    /// # Errors
    /// Where the temporary file can not be written.
    pub fn put_body(&mut self, id: &str, body: Option<Body>, row: Option<&ListRow>) -> io::Result<()> {
        self.keep(id, body, row, After::Nothing)
    }

    /// Keeps what was read back after a write.
    ///
    /// # Errors
    /// Where the temporary file can not be written.
    pub fn put_written(&mut self, id: &str, job: &Value) -> io::Result<()> {
        self.keep(id, Some(Body::of(job)), None, After::Change)
    }

    /// Keeps what was read back of a job that was made in this run.
    ///
    /// # Errors
    /// Where the temporary file can not be written.
    pub fn put_made(&mut self, id: &str, job: &Value) -> io::Result<()> {
        self.keep(id, Some(Body::of(job)), None, After::Creation)
    }

    fn keep(&mut self, id: &str, body: Option<Body>, row: Option<&ListRow>, after: After) -> io::Result<()> {
        let Some(Body { json, sha, status, updated, stamp }) = body else {
            self.entries.insert(id.to_owned(), None);
            return Ok(());
        };
        let meta = Meta {
            id: id.to_owned(),
            row: row.filter(|row| row.updated_at == updated).map(|row| row.digest.clone()),
            after,
            status,
            updated,
            read: self.now,
            stamp,
            sha,
            offset: self.spilled,
            bytes: json.len(),
        };
        if std::mem::take(&mut self.spill_was_read) {
            self.spill.seek(SeekFrom::Start(self.spilled))?;
        }
        self.spill.write_all(&json)?;
        self.spilled += json.len() as u64;
        self.changed = true;
        self.entries.insert(id.to_owned(), Some((meta, Where::Spill)));
        Ok(())
    }

    /// How many of the bound jobs were remembered and not asked for.
    pub fn n_cached(&self) -> usize {
        self.entries.values().flatten().filter(|(_, place)| *place == Where::Cache).count()
    }

    /// How often each stamp stands on the bound jobs.
    pub fn stamps(&self) -> StampCounts {
        let mut counts = StampCounts::default();
        for (meta, _) in self.entries.values().flatten() {
            counts.add(&crate::stamp::split(meta.stamp.as_deref().unwrap_or_default()).1);
        }
        counts
    }

    /// Whether the job has no stamp, or one that no other bound job bears.
    pub fn is_stamp_unique(&self, id: &str, counts: &StampCounts) -> bool {
        let text = self.entries.get(id).and_then(|entry| entry.as_ref()?.0.stamp.as_deref());
        match crate::stamp::split(text.unwrap_or_default()).1 {
            Found::Stamp(stamp) => counts.is_unique(&stamp),
            Found::None | Found::Damaged => true,
        }
    }

    /// Whether this run has the job already, or knows that it is not there.
    pub fn is_known(&self, id: &str) -> bool {
        self.entries.contains_key(id)
    }

    /// What tells one state of a job from another: digest of its body.
    pub fn revision(&self, id: &str) -> Option<&str> {
        self.entries.get(id)?.as_ref().map(|(meta, _)| meta.sha.as_str())
    }

    /// Reads one job: `Ok(None)` where the API does not know it.
    ///
    /// # Errors
    /// Where the body can not be read or is damaged; then the job must be asked for.
    pub fn job(&mut self, id: &str) -> io::Result<Option<LiveJob>> {
        match self.entries.get(id).cloned().flatten() {
            None => Ok(None),
            Some((meta, place)) => {
                let bytes = self.body(&meta, place)?;
                Ok(Some(LiveJob::new(serde_json::from_slice(&bytes).map_err(|_| damaged_job())?)))
            }
        }
    }

    /// The bytes of a body, as its digest says that they were.
    fn body(&mut self, meta: &Meta, place: Where) -> io::Result<Vec<u8>> {
        let bytes = self.bytes(meta, place)?;
        if fingerprint::sha256_hex(&bytes)[..16] == meta.sha { Ok(bytes) } else { Err(damaged_job()) }
    }

    /// The bytes that stand where a body should be.
    fn bytes(&mut self, meta: &Meta, place: Where) -> io::Result<Vec<u8>> {
        if meta.bytes > MOST_BODY_BYTES {
            return Err(damaged_job());
        }
        let mut bytes = vec![0; meta.bytes];
        self.file_at(place, meta.offset)?.read_exact(&mut bytes)?;
        Ok(bytes)
    }

    /// The file that bodies are in, set to where one of them begins.
    fn file_at(&mut self, place: Where, offset: u64) -> io::Result<&mut File> {
        let (file, start) = match (place, &mut self.cache_file) {
            (Where::Spill, _) => {
                self.spill.flush()?;
                self.spill_was_read = true;
                (self.spill.get_mut(), 0)
            }
            (Where::Cache, Some((file, start))) => (file, *start),
            (Where::Cache, None) => return Err(damaged_job()),
        };
        // The numbers of a cache are what somebody wrote into a file.
        file.seek(SeekFrom::Start(start.checked_add(offset).ok_or_else(damaged_job)?))?;
        Ok(file)
    }

    /// Writes the cache anew, whole and at once, if anything was read in this run.
    ///
    /// Jobs that this run was not about keep their entries, so that a run over a selection forgets nothing. A body
    /// that is damaged is forgotten: it would be asked for again anyway, and must not keep the others from being
    /// remembered.
    ///
    /// # Errors
    /// Where it can not be written; nothing of the former cache is lost then.
    pub fn save(&mut self) -> io::Result<()> {
        let Some(path) = self.path.clone().filter(|_| self.changed) else { return Ok(()) };
        let folder = path.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut wanted: Vec<(Meta, Where)> = self
            .cached
            .values()
            .filter(|meta| !self.entries.contains_key(&meta.id))
            .map(|meta| (meta.clone(), Where::Cache))
            .collect();
        // A body that is newer or older than its row must not stay: the next run could not tell.
        wanted.extend(
            self.entries
                .values()
                .flatten()
                .filter(|(meta, _)| meta.row.is_some() || meta.after != After::Nothing)
                .cloned(),
        );
        // Before anything is written, because the header and the offsets count what follows.
        // What this run wrote itself is as it was written.
        wanted.retain(|(meta, place)| *place == Where::Spill || self.body(meta, *place).is_ok());
        // Bodies that lie behind one another go over in one piece.
        wanted.sort_by_key(|(meta, place)| (*place == Where::Spill, meta.offset));
        let mut offset = 0;
        let mut lines = String::new();
        let mut pieces: Vec<(Where, u64, u64)> = Vec::new();
        for (meta, place) in &wanted {
            let moved = Meta { offset, ..meta.clone() };
            lines.push_str(&serde_json::to_string(&moved)?);
            lines.push('\n');
            let n_bytes = meta.bytes as u64;
            offset += n_bytes;
            match pieces.last_mut() {
                Some((last, start, length)) if last == place && *start + *length == meta.offset => {
                    *length += n_bytes;
                }
                _ => pieces.push((*place, meta.offset, n_bytes)),
            }
        }
        let header = Header { entries: wanted.len(), ..self.header.clone() };
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        let to = file.as_file_mut();
        to.write_all(serde_json::to_string(&header)?.as_bytes())?;
        to.write_all(b"\n")?;
        to.write_all(lines.as_bytes())?;
        for (place, start, n_bytes) in pieces {
            // From file to file the system copies by itself.
            let copied = io::copy(&mut self.file_at(place, start)?.take(n_bytes), to)?;
            if copied != n_bytes {
                return Err(damaged_job());
            }
        }
        file.persist(&path)?;
        self.changed = false;
        Ok(())
    }
}

/// What a cache file holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CacheSummary {
    /// Where it is or would be; `None` where no cache is used.
    pub path: Option<PathBuf>,
    /// Jobs that are remembered.
    pub n_jobs: usize,
    /// How long ago the oldest of them was read, in milliseconds.
    pub oldest_ms: Option<i64>,
    /// Size of the file; `None` where there is none or it is not readable.
    pub bytes: Option<u64>,
    /// Whether all bodies are there, by the size of the file.
    pub is_whole: bool,
}

/// Largest body that is read back, in bytes; the client takes no larger one either.
const MOST_BODY_BYTES: usize = 4 << 20;

fn damaged_job() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the cached job is damaged")
}

/// Whether a remembered job is still what the list shows.
fn is_current(meta: &Meta, row: &ListRow) -> bool {
    let same_row = match &meta.row {
        Some(digest) => *digest == row.digest,
        None => {
            let is_dated = match meta.after {
                After::Nothing => false,
                After::Change => meta.updated.is_some(),
                After::Creation => true,
            };
            is_dated && meta.status == row.status
        }
    };
    same_row && meta.updated == row.updated_at
}

#[cfg(test)]
mod tests;
