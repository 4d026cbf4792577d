#![expect(clippy::disallowed_methods, reason = "this module keeps bodies of live jobs in files")]

//! Whole live jobs, fetched or remembered: which must be asked for, and where each one's body is.
//!
//! The list call says of every job when it was changed last, so a job whose row is as it was when its details were
//! read need not be read again (DESIGN section 7). Bodies stay in files and are parsed one at a time. The cache is
//! a convenience: without it, or with a damaged one, the result is the same and costs more calls. It never decides
//! anything about a job, and `apply` never trusts it: it reads every job afresh before it writes to it.

mod spill;
mod store;

use std::cmp::Reverse;
use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};

use serde_json::Value;

use self::spill::Spill;
use self::store::{After, Meta, Store, Whose};
use crate::files;
use crate::fingerprint;
use crate::lean::Lean;
use crate::plan::StampCounts;
use crate::render::text::count;
use crate::snapshot::{ListRow, LiveJob, updated_at};
use crate::stamp::Found;

/// Age after which an entry is read again although its row says that nothing changed, in milliseconds: a day.
///
/// A server could change a job without moving its date; a day bounds how long that stays unseen.
const OLD_MS: i64 = 24 * 60 * 60 * 1000;

/// How many old entries are read again in one run, oldest first.
///
/// 20 an hour go once round 480 jobs in a day and cost a fifteenth of the quota; more would make a no-change run
/// over thousands of jobs expensive again.
const MOST_AGED_READS: usize = 20;

/// Where the bytes of a body are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Where {
    /// In the cache as it was when the run began.
    Cache,
    /// In the cache that another run wrote since.
    Newer,
    /// In what this run read itself.
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
    whose: Whose,
    cache: Option<Store>,
    newer: Option<Store>,
    entries: BTreeMap<String, Option<(Meta, Where)>>,
    spill: Spill,
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
    /// Opens the cache of a gateway and a subscription; `now` is in milliseconds since 1970-01-01 UTC. A cache that can
    /// not be used is a note.
    pub fn open(folder: &Path, gateway: &str, customer: &str, cache: CacheUse, now: i64) -> Self {
        let name = fingerprint::short(&serde_json::json!([gateway, customer]));
        let mut details = Self {
            path: (cache != CacheUse::None).then(|| folder.join(format!("{name}.cache"))),
            whose: Whose { gateway: gateway.to_owned(), customer: customer.to_owned() },
            cache: None,
            newer: None,
            entries: BTreeMap::new(),
            spill: Spill::default(),
            changed: false,
            reads_cache: cache == CacheUse::Full,
            now,
            note: None,
        };
        // Entries of other jobs are kept also where this run asks for everything anew.
        let Some(path) = &details.path else { return details };
        match Store::open(path, &details.whose) {
            Ok(store) => {
                if store.n_lost > 0 {
                    let jobs = count(store.n_lost, "job");
                    details.note =
                        Some(format!("the cache `{}` is cut short: {jobs} are lost", path.display()));
                }
                details.cache = Some(store);
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => {
                details.note = Some(format!("the cache `{}` is not used: {error}", path.display()));
            }
        }
        details
    }

    /// When the body of this run that was read longest ago was read, in milliseconds since 1970-01-01 UTC; `None` where
    /// the run looked at none.
    pub fn oldest_read(&self) -> Option<i64> {
        self.entries.values().flatten().map(|(meta, _)| meta.read).min()
    }

    /// What is remembered, for `doctor`; changes nothing.
    pub fn summary(&self) -> CacheSummary {
        CacheSummary {
            path: self.path.clone(),
            n_jobs: self.cached().count(),
            oldest_ms: self.cached().map(|meta| self.now.saturating_sub(meta.read)).max(),
            bytes: self.cache.as_ref().and_then(Store::n_bytes),
        }
    }

    /// What was remembered when the run began.
    fn cached(&self) -> impl Iterator<Item = &Meta> {
        self.cache.iter().flat_map(|store| store.jobs.values())
    }

    /// Settles which of the bound jobs must be asked for; the others are taken from the cache.
    pub fn missing(&mut self, bound: impl Iterator<Item = String>, rows: &[ListRow]) -> Vec<String> {
        let rows: BTreeMap<&str, &ListRow> = rows.iter().map(|row| (row.id.as_str(), row)).collect();
        let mut ask = Vec::new();
        let mut old = Vec::new();
        for id in bound {
            let cached = self.cache.as_ref().and_then(|store| store.jobs.get(&id));
            match (cached, rows.get(id.as_str())) {
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
        let offset = self.spill.push(&json)?;
        let meta = Meta {
            id: id.to_owned(),
            row: row.filter(|row| row.updated_at == updated).map(|row| row.digest.clone()),
            after,
            status,
            updated,
            read: self.now,
            stamp,
            sha,
            offset,
            bytes: json.len(),
        };
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
        let store = match place {
            Where::Spill => return self.spill.at(offset),
            Where::Cache => &mut self.cache,
            Where::Newer => &mut self.newer,
        };
        store.as_mut().ok_or_else(damaged_job)?.at(offset)
    }

    /// Writes the cache anew, whole and at once, if anything was read in this run.
    ///
    /// Jobs that this run was not about keep their entries, so that a run over a selection forgets nothing, and nothing
    /// of what another run read meanwhile. A body that is damaged is forgotten: it would be asked for again anyway, and
    /// must not keep the others from being remembered.
    ///
    /// # Errors
    /// Where it can not be written; nothing of the former cache is lost then.
    pub fn save(&mut self) -> io::Result<()> {
        let Some(path) = self.path.clone().filter(|_| self.changed) else { return Ok(()) };
        std::fs::create_dir_all(path.parent().unwrap_or(Path::new(".")))?;
        let _lock = files::lock(&path.with_extension("lock"))?;
        self.newer = Store::open(&path, &self.whose).ok();
        let mut wanted: Vec<(Meta, Where)> = self
            .newer
            .iter()
            .flat_map(|store| store.jobs.values())
            .filter(|meta| !self.entries.contains_key(&meta.id))
            .map(|meta| (meta.clone(), Where::Newer))
            .collect();
        // A body that is newer or older than its row must not stay: the next run could not tell.
        wanted.extend(
            self.entries
                .values()
                .flatten()
                .filter(|(meta, _)| meta.row.is_some() || meta.after != After::Nothing)
                .cloned(),
        );
        // Before anything is written, because the lines and the offsets count what follows.
        // What this run wrote itself is as it was written.
        wanted.retain(|(meta, place)| *place == Where::Spill || self.body(meta, *place).is_ok());
        // Bodies that lie behind one another go over in one piece.
        wanted.sort_by_key(|(meta, place)| (*place, meta.offset));
        let mut offset = 0;
        let mut jobs = Vec::with_capacity(wanted.len());
        let mut pieces: Vec<(Where, u64, u64)> = Vec::new();
        for (meta, place) in wanted {
            let n_bytes = meta.bytes as u64;
            match pieces.last_mut() {
                Some((last, start, length)) if *last == place && *start + *length == meta.offset => {
                    *length += n_bytes;
                }
                _ => pieces.push((place, meta.offset, n_bytes)),
            }
            jobs.push(Meta { offset, ..meta });
            offset += n_bytes;
        }
        let whose = self.whose.clone();
        store::write(&path, &whose, &jobs, |to| {
            for (place, start, n_bytes) in pieces {
                // From file to file the system copies by itself.
                let copied = io::copy(&mut self.file_at(place, start)?.take(n_bytes), to)?;
                if copied != n_bytes {
                    return Err(damaged_job());
                }
            }
            Ok(())
        })?;
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
