//! The seed files and the state file.
//!
//! The seed is read and never written. The state file holds one JSON value per line: a header with the format's
//! version and the seed's digest, then whole jobs, where the last line of an id is the job. Every change appends a
//! line, so that a process killed at any moment leaves at worst a torn last line, which is ignored; a file that has
//! grown to twice what it needs is written anew beside the old one and renamed over it.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Seek as _, SeekFrom, Write as _};
use std::path::{Path, PathBuf};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::SimulatorError;
use super::stored::{Job, StoredJob, hex};

/// Version of the state file's format; a file of another version is refused.
const FORMAT: u32 = 1;

/// A state file is not compacted before it has this many bytes more than it needs, so that small tenants are not
/// rewritten all the time.
const SLACK_BYTES: u64 = 256 * 1024;

/// Name of the seed folder's file of tag names, `{"<tag UUID>": "<name>"}`.
const TAGS_FILE: &str = "tags.json";

/// The seed as it was read.
#[derive(Debug)]
pub(super) struct Seed {
    /// SHA-256 over names and contents of all files, in hexadecimal.
    pub(super) digest: String,
    /// Tag names by tag id.
    pub(super) tags: BTreeMap<String, String>,
    files: Vec<(PathBuf, Vec<u8>)>,
}

impl Seed {
    /// Reads a folder of `*.json` files, in the order of their names and without its sub-folders, or one such file.
    pub(super) fn read(path: &Path) -> Result<Self, SimulatorError> {
        let failed = |source| SimulatorError::ReadSeed { path: path.to_owned(), source };
        let mut paths = Vec::new();
        if fs::metadata(path).map_err(failed)?.is_dir() {
            for entry in fs::read_dir(path).map_err(failed)? {
                let file = entry.map_err(failed)?.path();
                if file.extension().is_some_and(|extension| extension == "json") && file.is_file() {
                    paths.push(file);
                }
            }
            paths.sort();
        } else {
            paths.push(path.to_owned());
        }
        let mut seed = Self { digest: String::new(), tags: BTreeMap::new(), files: Vec::new() };
        let mut digest = Sha256::new();
        for file in paths {
            let bytes =
                fs::read(&file).map_err(|source| SimulatorError::ReadSeed { path: file.clone(), source })?;
            let name = file.file_name().unwrap_or_default().to_string_lossy().into_owned();
            // Lengths first, so that no two seeds run together to the same bytes.
            digest.update(format!("{} {} {name}", name.len(), bytes.len()));
            digest.update(&bytes);
            if name == TAGS_FILE {
                seed.tags = parse(&bytes, &file, "an object of tag names by tag id")?;
            } else {
                seed.files.push((file, bytes));
            }
        }
        seed.digest = hex(&digest.finalize());
        if seed.files.is_empty() {
            return Err(SimulatorError::EmptySeed { path: path.to_owned() });
        }
        Ok(seed)
    }

    /// The jobs of all files, each a job, an array of jobs, or `{"jobs": [...]}`, with the file each comes from.
    pub(super) fn jobs(&self) -> Result<Vec<(&Path, Job)>, SimulatorError> {
        let mut jobs = Vec::new();
        let mut ids = BTreeSet::new();
        for (file, bytes) in &self.files {
            let damaged = |what: String| SimulatorError::DamagedSeed { path: file.clone(), what };
            let value: Value = parse(bytes, file, "JSON")?;
            let values = match value {
                Value::Array(values) => values,
                Value::Object(mut members) if !members.contains_key("id") => {
                    match members.shift_remove("jobs") {
                        Some(Value::Array(values)) => values,
                        _ => {
                            return Err(damaged(
                                "it holds neither a job with an id nor an array of jobs".to_owned(),
                            ));
                        }
                    }
                }
                other => vec![other],
            };
            for (at, value) in values.into_iter().enumerate() {
                let Value::Object(job) = value else {
                    return Err(damaged(format!("entry {at} is not an object")));
                };
                let has_text =
                    |member| job.get(member).and_then(Value::as_str).is_some_and(|text| !text.is_empty());
                for member in ["id", "name", "platform"] {
                    if !has_text(member) {
                        return Err(damaged(format!("the job at entry {at} has no `{member}`")));
                    }
                }
                let id = super::stored::text(&job, "id").to_owned();
                if !ids.insert(id.clone()) {
                    return Err(damaged(format!("the id `{id}` occurs twice in the seed")));
                }
                jobs.push((file.as_path(), job));
            }
        }
        Ok(jobs)
    }
}

fn parse<T: serde::de::DeserializeOwned>(
    bytes: &[u8],
    file: &Path,
    expected: &str,
) -> Result<T, SimulatorError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    serde_json::from_slice(bytes).map_err(|error| SimulatorError::DamagedSeed {
        path: file.to_owned(),
        what: format!("it is not {expected}: {error}"),
    })
}

#[derive(Serialize, Deserialize)]
struct Header {
    patchctl_simulator: u32,
    seed: String,
}

/// A job as a line holds it; script contents are base64, since they may be any bytes.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    job: Job,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    scripts: BTreeMap<String, String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    last_run: Option<i64>,
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    deleted: bool,
}

impl Line {
    fn of(stored: &StoredJob) -> String {
        let StoredJob { job, scripts, last_run, deleted } = stored;
        let scripts =
            scripts.iter().map(|(path, content)| (path.clone(), STANDARD.encode(content))).collect();
        let line = Self { job: job.clone(), scripts, last_run: *last_run, deleted: *deleted };
        let mut text = serde_json::to_string(&line).expect("internal error: a stored job is plain data");
        text.push('\n');
        text
    }

    fn into_stored(self) -> Result<StoredJob, String> {
        let Self { job, scripts, last_run, deleted } = self;
        let decode = |(path, content): (String, String)| match STANDARD.decode(content) {
            Ok(bytes) => Ok((path, bytes)),
            Err(error) => Err(error.to_string()),
        };
        Ok(StoredJob {
            job,
            scripts: scripts.into_iter().map(decode).collect::<Result<_, _>>()?,
            last_run,
            deleted,
        })
    }
}

/// Jobs by id, in the order of their ids.
pub(super) type Jobs = BTreeMap<String, StoredJob>;

/// The state file of a tenant, held under an exclusive lock while it is open.
#[derive(Debug)]
pub(super) struct StateFile {
    path: PathBuf,
    file: File,
    n_bytes: u64,
    /// How many bytes the file had when every job stood in it once.
    n_needed: u64,
    /// Digest of the seed that the state started from.
    seed_digest: String,
    /// Gives the lock up when it is dropped.
    _lock: File,
}

impl StateFile {
    /// Opens the state of the seed at `seed_path`, starting it with `first_jobs` where there is none or `reset` says
    /// so, and returns the jobs in it.
    pub(super) fn open(
        state_dir: &Path,
        seed_path: &Path,
        seed: &Seed,
        reset: bool,
        first_jobs: impl FnOnce() -> Result<Jobs, SimulatorError>,
    ) -> Result<(Self, Jobs), SimulatorError> {
        let canonical = fs::canonicalize(seed_path)
            .map_err(|source| SimulatorError::ReadSeed { path: seed_path.to_owned(), source })?;
        let folder = state_dir.join("simulator");
        let failed = |source| SimulatorError::WriteState { path: folder.clone(), source };
        fs::create_dir_all(&folder).map_err(failed)?;
        let path = folder.join(file_name(&canonical));
        let lock = lock(&path)?;
        let failed = |source| SimulatorError::WriteState { path: path.clone(), source };
        let exists = fs::exists(&path).map_err(failed)?;
        if reset || !exists {
            let jobs = first_jobs()?;
            let (file, n_bytes) = write_anew(&path, &seed.digest, &jobs).map_err(failed)?;
            let seed_digest = seed.digest.clone();
            return Ok((Self { path, file, n_bytes, n_needed: n_bytes, seed_digest, _lock: lock }, jobs));
        }
        let bytes =
            fs::read(&path).map_err(|source| SimulatorError::ReadState { path: path.clone(), source })?;
        let (seed_digest, jobs, n_bytes) = read_lines(&bytes)
            .map_err(|(line, what)| SimulatorError::DamagedState { path: path.clone(), line, what })?;
        let mut file = OpenOptions::new().write(true).open(&path).map_err(failed)?;
        // Cuts off what a killed process left of its last line.
        file.set_len(n_bytes).and_then(|()| file.seek(SeekFrom::End(0))).map_err(failed)?;
        let n_needed = jobs.values().map(|stored| Line::of(stored).len() as u64).sum();
        Ok((Self { path, file, n_bytes, n_needed, seed_digest, _lock: lock }, jobs))
    }

    /// Digest of the seed that the state started from.
    pub(super) fn seed_digest(&self) -> &str {
        &self.seed_digest
    }

    /// Appends changed jobs; either all of them are kept, or none and the file is as before.
    pub(super) fn append<'a>(
        &mut self,
        jobs: impl IntoIterator<Item = &'a StoredJob>,
    ) -> Result<(), SimulatorError> {
        let lines: String = jobs.into_iter().map(Line::of).collect();
        if let Err(source) = self.file.write_all(lines.as_bytes()) {
            // Best effort: what cannot be cut off is a torn last line, which the next reader ignores.
            let _cut = self.file.set_len(self.n_bytes).and_then(|()| self.file.seek(SeekFrom::End(0)));
            return Err(SimulatorError::WriteState { path: self.path.clone(), source });
        }
        self.n_bytes += lines.len() as u64;
        Ok(())
    }

    /// Writes the file anew if it has grown past twice what it needs.
    pub(super) fn compact_if_grown(&mut self, jobs: &Jobs) -> Result<(), SimulatorError> {
        if self.n_bytes <= 2 * self.n_needed + SLACK_BYTES {
            return Ok(());
        }
        let (file, n_bytes) = write_anew(&self.path, &self.seed_digest, jobs)
            .map_err(|source| SimulatorError::WriteState { path: self.path.clone(), source })?;
        (self.file, self.n_bytes, self.n_needed) = (file, n_bytes, n_bytes);
        Ok(())
    }
}

/// `<name of the seed>-<hash of its path>.jsonl`, so that two seeds of one name do not share a state.
fn file_name(canonical: &Path) -> String {
    let name = canonical.file_stem().unwrap_or_default().to_string_lossy();
    let safe = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '_' };
    let name: String = name.chars().take(64).map(safe).collect();
    let hash = hex(&Sha256::digest(canonical.as_os_str().as_encoded_bytes()));
    format!("{name}-{}.jsonl", &hash[..12])
}

fn lock(path: &Path) -> Result<File, SimulatorError> {
    let mut lock_path = path.as_os_str().to_owned();
    lock_path.push(".lock");
    let lock_path = PathBuf::from(lock_path);
    let failed = |source| SimulatorError::WriteState { path: lock_path.clone(), source };
    let file =
        OpenOptions::new().create(true).truncate(false).write(true).open(&lock_path).map_err(failed)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(SimulatorError::InUse { path: path.to_owned() }),
        Err(TryLockError::Error(source)) => Err(failed(source)),
    }
}

/// Writes header and jobs to a new file, readable by its owner only, and puts it in place of the old one.
fn write_anew(path: &Path, seed_digest: &str, jobs: &Jobs) -> io::Result<(File, u64)> {
    let header = Header { patchctl_simulator: FORMAT, seed: seed_digest.to_owned() };
    let mut text = serde_json::to_string(&header)?;
    text.push('\n');
    text.extend(jobs.values().map(Line::of));
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    // Temporary files are made with mode 0600, and keep it.
    let mut file = tempfile::NamedTempFile::new_in(folder)?;
    file.write_all(text.as_bytes())?;
    let file = file.persist(path)?;
    Ok((file, text.len() as u64))
}

/// Reads the lines of a state file: the seed's digest, the jobs, and how many bytes make up whole lines. An error
/// names the line, counted from 1.
fn read_lines(bytes: &[u8]) -> Result<(String, Jobs, u64), (usize, String)> {
    let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
    let mut lines = bytes[..whole].split_inclusive(|byte| *byte == b'\n').zip(1..);
    let Some((header, _)) = lines.next() else {
        return Err((1, "the header is missing".to_owned()));
    };
    let header: Header =
        serde_json::from_slice(header).map_err(|error| (1, format!("the header cannot be read: {error}")))?;
    if header.patchctl_simulator != FORMAT {
        return Err((1, format!("its format is version {}, not {FORMAT}", header.patchctl_simulator)));
    }
    let mut jobs = Jobs::new();
    for (text, line) in lines {
        let read: Line = serde_json::from_slice(text).map_err(|error| (line, error.to_string()))?;
        let stored = read.into_stored().map_err(|what| (line, what))?;
        if stored.id().is_empty() {
            return Err((line, "the job has no id".to_owned()));
        }
        jobs.insert(stored.id().to_owned(), stored);
    }
    Ok((header.seed, jobs, whole as u64))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn stored(id: &str, name: &str) -> StoredJob {
        let job = json!({"id": id, "name": name}).as_object().expect("an object").clone();
        let scripts = BTreeMap::from([("c/a/Script".to_owned(), vec![0, 255, b'\n'])]);
        StoredJob { job, scripts, last_run: Some(5), deleted: id == "gone" }
    }

    #[test]
    fn the_last_line_of_a_job_wins_and_a_torn_one_is_ignored() {
        let header = "{\"patchctl_simulator\":1,\"seed\":\"d\"}\n";
        let lines = [stored("a", "first"), stored("gone", "x"), stored("a", "second")];
        let text: String = header
            .chars()
            .chain(lines.iter().flat_map(|job| Line::of(job).chars().collect::<Vec<_>>()))
            .collect();
        for torn in ["", "{\"job\":{\"id\":\"a\",\"na", "{"] {
            let bytes = format!("{text}{torn}").into_bytes();
            let (digest, jobs, n_bytes) = read_lines(&bytes).expect("readable");
            assert_eq!((digest.as_str(), n_bytes), ("d", text.len() as u64));
            assert_eq!(jobs.into_values().collect::<Vec<_>>(), [stored("a", "second"), stored("gone", "x")]);
        }
    }

    #[test]
    fn damage_is_reported_with_its_line() {
        #[track_caller]
        fn check(text: &str, line: usize) {
            assert_eq!(read_lines(text.as_bytes()).map_err(|(line, _)| line).map(|_| ()), Err(line));
        }
        let header = "{\"patchctl_simulator\":1,\"seed\":\"d\"}\n";
        check("", 1);
        check("{\"patchctl_simulator\":1", 1);
        check("nonsense\n", 1);
        check("{\"patchctl_simulator\":2,\"seed\":\"d\"}\n", 1);
        check(&format!("{header}{{}}\n"), 2);
        check(&format!("{header}{{\"job\":{{}}}}\n"), 2);
        check(&format!("{header}{{\"job\":{{\"id\":\"a\"}}}}\nx\n{{\"job\":{{\"id\":\"b\"}}}}\n"), 3);
        check(&format!("{header}{{\"job\":{{\"id\":\"a\"}},\"scripts\":{{\"p\":\"!\"}}}}\n"), 2);
    }
}
