#![expect(
    clippy::disallowed_methods,
    reason = "this module reads manifest files and remembers them between runs"
)]

//! What the repository declares, at the least cost: manifests that did not change are not parsed twice.
//!
//! A run needs of every manifest who it is about, and of few of them anything more. So files are read on all cores and
//! reduced to summaries; what they declare is kept in little room (`packed`), which is enough to find out that there is
//! nothing to do. A manifest is parsed again in full only where something is to be said of it. Between runs a memo
//! says which files were quiet (no finding at all) and which jobs they were seen equal to. The memo is a convenience:
//! deleting it changes no result. Whatever is wrong with a repository is said by `load`, which always reads it all.

mod packed;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use serde::{Deserialize, Serialize};

pub use packed::Packed;

use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::fingerprint;
use crate::ignore;
use crate::job::{Platform, TABLE_VERSION};
use crate::load::{self, LoadContext};
use crate::manifest::{self, Context, Linked, Manifest, Parent, ReadScript, ScriptProblem};
use crate::record::Record;
use crate::script::{self, Scripts};
use crate::source::SourceFile;

/// Who a manifest is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// The manifest's key.
    pub key: String,
    /// The live job it is bound to, where it says so.
    pub id: Option<String>,
    /// The declared name.
    pub name: Option<String>,
    /// The name that the live job had before, where the manifest says so.
    pub previous_name: Option<String>,
    /// Whether the live job must never be deleted.
    pub protect: bool,
    /// The declared platform, in the API's spelling.
    platform: Option<String>,
    /// The parent that it declares.
    pub parent: Parent,
    /// Whether it names actions of the parent, so that the parent must be read to plan it.
    pub names_actions: bool,
    /// Whether it declares the contents of scripts, which can not be read back.
    pub has_scripts: bool,
    /// Whether it says itself that members are left alone.
    ignores: bool,
    /// Of the members that rules of the configuration are about, those that it declares, by JSON Pointer.
    pub ignorable: Vec<String>,
    /// Revision of the live job that it was last seen equal to.
    clean: Option<String>,
    #[serde(skip)]
    file: usize,
    #[serde(skip)]
    position: usize,
}

impl Summary {
    /// The declared platform.
    pub fn platform(&self) -> Option<Platform> {
        self.platform.as_deref().and_then(Platform::parse)
    }

    /// Whether a rule may leave something alone in it.
    pub fn may_ignore(&self) -> bool {
        self.ignores || !self.ignorable.is_empty()
    }

    /// Whether other jobs must be looked at to plan it.
    pub fn has_links(&self) -> bool {
        self.names_actions || matches!(self.parent, Parent::Key(_) | Parent::Id(_))
    }

    /// Revision of the live job that the manifest, as it stands, was last seen equal to.
    pub fn clean_revision(&self) -> Option<&str> {
        self.clean.as_deref()
    }

    /// Whether the manifest, as it stands, was seen equal to a job of this revision.
    pub fn was_clean(&self, revision: Option<&str>) -> bool {
        self.clean.is_some() && self.clean.as_deref() == revision
    }
}

/// One manifest file.
#[derive(Debug)]
struct ManifestFile {
    path: PathBuf,
    shown: String,
    digest: String,
    /// Script files that its manifests name, each with the digest of its content.
    scripts: Vec<(String, String)>,
    /// Whether nothing was to be said of it.
    is_quiet: bool,
    /// What it declares, in order; empty where it was not parsed in this run.
    packed: Vec<Arc<Packed>>,
}

/// One line of the memo.
#[derive(Debug, Serialize, Deserialize)]
struct Remembered {
    path: String,
    digest: String,
    scripts: Vec<(String, String)>,
    jobs: Vec<Summary>,
}

/// What is needed to read manifests, beside their text.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// The manifest folder.
    pub jobs: &'a Path,
    /// The repository: scripts must lie in it.
    pub root: &'a Path,
    /// Turns a path into the words of messages.
    pub shown: &'a (dyn Fn(&Path) -> String + Sync),
    /// What the configuration says of manifests.
    pub context: LoadContext<'a>,
    /// The owner in our stamps: what is equal for one owner need not be for another.
    pub owner: &'a str,
    /// What stands in place of stamps: a job without its entry has scripts of which nothing is known.
    pub record: Option<&'a Record>,
    /// The rules of the configuration that leave members alone.
    pub ignore: &'a ignore::Rules,
}

/// All manifests, in brief.
#[derive(Debug)]
pub struct Inventory {
    /// Sorted by key.
    pub summaries: Vec<Summary>,
    /// Warnings of all manifests.
    pub warnings: Diagnostics,
    /// What to tell the person of the memo, if anything.
    pub note: Option<String>,
    files: Vec<ManifestFile>,
}

impl Inventory {
    /// Reads the manifest folder; `memo` is where earlier runs left theirs, if it may be used.
    ///
    /// # Errors
    /// Everything that is wrong with the manifests.
    pub fn take(sources: Sources<'_>, memo: Option<&Path>) -> Result<Self, Diagnostics> {
        let (remembered, note) = match memo.map(|path| (path, read_memo(path, sources))) {
            None => (BTreeMap::new(), None),
            Some((_, Ok(remembered))) => (remembered, None),
            Some((path, Err(Damaged))) => {
                let note = format!("the memo `{}` is not used: it is damaged", (sources.shown)(path));
                (BTreeMap::new(), Some(note))
            }
        };
        let mut diagnostics = Diagnostics::new();
        let paths = load::manifest_paths(sources.jobs, sources.shown, &mut diagnostics);
        if !diagnostics.is_empty() || paths.is_empty() {
            return Err(load_all(sources));
        }
        let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
        let read: Vec<Read> = std::thread::scope(|scope| {
            let share = paths.len().div_ceil(cores);
            let remembered = &remembered;
            let threads: Vec<_> = paths
                .chunks(share)
                .map(|paths| {
                    scope.spawn(move || {
                        paths.iter().map(|path| read_file(path, sources, remembered)).collect::<Vec<_>>()
                    })
                })
                .collect();
            let joined = threads.into_iter().map(|thread| thread.join());
            joined.flat_map(|read| read.expect("internal error: a reader of manifests panicked")).collect()
        });
        let mut inventory =
            Self { summaries: Vec::new(), warnings: Diagnostics::new(), note, files: Vec::new() };
        for Read { file, summaries, findings } in read {
            let at = inventory.files.len();
            inventory.summaries.extend(summaries.into_iter().map(|summary| Summary { file: at, ..summary }));
            inventory.files.extend(file);
            inventory.warnings.append(findings);
        }
        inventory.summaries.sort_by(|a, b| a.key.cmp(&b.key));
        if inventory.warnings.has_errors() || inventory.summaries.is_empty() || !inventory.is_sound() {
            return Err(load_all(sources));
        }
        inventory.warnings.sort();
        Ok(inventory)
    }

    /// Whether nothing is wrong with the manifests together; if there is, `load` says it with all places.
    fn is_sound(&self) -> bool {
        let linked = |summary: &'_ Summary| !matches!(summary.parent, Parent::Undeclared | Parent::None);
        self.is_unique() && (!self.summaries.iter().any(linked) || self.has_sound_links())
    }

    fn has_sound_links(&self) -> bool {
        let all: Vec<Linked<'_>> = self
            .summaries
            .iter()
            .map(|summary| Linked { key: &summary.key, id: summary.id.as_deref(), parent: &summary.parent })
            .collect();
        manifest::faults(&all).is_empty()
    }

    /// Whether no two manifests could be about one job; if they could, `load` says it with both places.
    fn is_unique(&self) -> bool {
        let mut keys = BTreeSet::new();
        let mut ids = BTreeSet::new();
        let mut names: BTreeMap<_, bool> = BTreeMap::new();
        let mut previous: BTreeMap<_, bool> = BTreeMap::new();
        self.summaries.iter().all(|summary| {
            let key = keys.insert(&summary.key);
            let id = summary.id.as_ref().is_none_or(|id| ids.insert(id));
            let is_first = |names: &mut BTreeMap<_, bool>, name| match (&summary.platform, name) {
                (Some(platform), Some(name)) => {
                    let both_have_ids = names.insert((platform, name), summary.id.is_some());
                    both_have_ids.is_none_or(|had_id| had_id && summary.id.is_some())
                }
                (_, _) => true,
            };
            let name = is_first(&mut names, summary.name.as_ref());
            let previous = is_first(&mut previous, summary.previous_name.as_ref());
            key && id && name && previous
        })
    }

    /// What a manifest declares, without its places; `None` where it was not parsed in this run.
    pub fn packed(&self, summary: &Summary) -> Option<Arc<Packed>> {
        self.files[summary.file].packed.get(summary.position).cloned()
    }

    /// Parses one manifest in full, with the contents of its scripts.
    ///
    /// # Errors
    /// Where the file changed since the run began, so that it can not be read as it was.
    pub fn manifest(
        &self,
        summary: &Summary,
        sources: Sources<'_>,
    ) -> Result<(Manifest, Scripts), Diagnostics> {
        let file = &self.files[summary.file];
        let changed = || {
            let mut findings = Diagnostics::new();
            let message = format!("`{}` changed while this run was reading it", file.shown);
            findings.push(Diagnostic::error("changed-file", message).help("run it again"));
            findings
        };
        let bytes = load::read_manifest(&file.path, sources.root, &file.shown).map_err(|_| changed())?;
        if digest(&bytes) != file.digest {
            return Err(changed());
        }
        let text = crate::yaml::decode(&file.shown, bytes).map_err(|_| changed())?;
        let scripts = SeenScripts::new(sources);
        let parsed = manifest::parse(&text, context(sources, &scripts));
        // What was found quiet, and equal to a job, was found so with the scripts of then.
        if scripts.digests() != file.scripts {
            return Err(changed());
        }
        let found = parsed.manifests.into_iter().nth(summary.position);
        found
            .filter(|manifest| manifest.key == summary.key)
            .map(|found| (found, parsed.scripts))
            .ok_or_else(changed)
    }

    /// A file without any manifest, as messages show it.
    pub fn empty_file(&self) -> Option<&str> {
        let used: BTreeSet<usize> = self.summaries.iter().map(|summary| summary.file).collect();
        let empty = self.files.iter().enumerate().find(|(at, _)| !used.contains(at));
        empty.map(|(_, file)| file.shown.as_str())
    }

    /// The file that a manifest stands in: its path, and the same as messages show it.
    pub fn file_of(&self, key: &str) -> Option<(&Path, &str)> {
        let at = self.summaries.binary_search_by(|summary| summary.key.as_str().cmp(key)).ok()?;
        let file = &self.files[self.summaries[at].file];
        Some((&file.path, &file.shown))
    }

    /// Whether these bytes are what the run read of the file of a manifest.
    pub fn is_as_read(&self, key: &str, bytes: &[u8]) -> bool {
        let at = self.summaries.binary_search_by(|summary| summary.key.as_str().cmp(key)).ok();
        at.is_some_and(|at| self.files[self.summaries[at].file].digest == digest(bytes))
    }

    /// Remembers quiet files, and which jobs their manifests are equal to (revisions by key).
    ///
    /// # Errors
    /// Where the memo can not be written; nothing of the former one is lost then.
    pub fn remember(
        &self,
        memo: &Path,
        clean: &BTreeMap<String, String>,
        sources: Sources<'_>,
    ) -> std::io::Result<()> {
        let mut by_file: BTreeMap<usize, Vec<Summary>> = BTreeMap::new();
        for summary in &self.summaries {
            let clean = clean.get(&summary.key).cloned();
            by_file.entry(summary.file).or_default().push(Summary { clean, ..summary.clone() });
        }
        let mut text = String::new();
        for (at, mut jobs) in by_file {
            let file = &self.files[at];
            if file.is_quiet {
                jobs.sort_by_key(|summary| summary.position);
                let line = Remembered {
                    path: file.shown.clone(),
                    digest: file.digest.clone(),
                    scripts: file.scripts.clone(),
                    jobs,
                };
                text.push_str(&serde_json::to_string(&line)?);
                text.push('\n');
            }
        }
        text.insert_str(0, &format!("{} {}\n", memo_header(sources), digest(text.as_bytes())));
        if std::fs::read(memo).is_ok_and(|former| former == text.as_bytes()) {
            return Ok(());
        }
        let folder = memo.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(folder)?;
        let mut file = tempfile::NamedTempFile::new_in(folder)?;
        file.write_all(text.as_bytes())?;
        file.persist(memo)?;
        Ok(())
    }
}

/// What one file came to.
struct Read {
    file: Option<ManifestFile>,
    summaries: Vec<Summary>,
    findings: Diagnostics,
}

fn read_file(path: &Path, sources: Sources<'_>, remembered: &BTreeMap<String, Remembered>) -> Read {
    let shown = (sources.shown)(path);
    let failed = |finding: Diagnostic| {
        let mut findings = Diagnostics::new();
        findings.push(finding);
        Read { file: None, summaries: Vec::new(), findings }
    };
    let bytes = match load::read_manifest(path, sources.root, &shown) {
        Ok(bytes) => bytes,
        Err(finding) => return failed(finding),
    };
    let digest = digest(&bytes);
    let scripts = SeenScripts::new(sources);
    let mut file = ManifestFile {
        path: path.to_path_buf(),
        shown,
        digest,
        scripts: Vec::new(),
        is_quiet: true,
        packed: Vec::new(),
    };
    if let Some(known) = remembered.get(&file.shown)
        && known.digest == file.digest
        && known
            .scripts
            .iter()
            .all(|(name, digest)| script_digest(&scripts.files, &file.shown, name).as_ref() == Some(digest))
    {
        let summaries = known.jobs.iter().cloned().enumerate();
        let summaries = summaries.map(|(position, summary)| Summary { position, ..summary }).collect();
        file.scripts.clone_from(&known.scripts);
        return Read { file: Some(file), summaries, findings: Diagnostics::new() };
    }
    let text = match crate::yaml::decode(&file.shown, bytes) {
        Ok(text) => text,
        Err(finding) => return failed(finding),
    };
    let parsed = manifest::parse(&text, context(sources, &scripts));
    file.scripts = scripts.digests();
    file.is_quiet = parsed.diagnostics.is_empty();
    let summaries = parsed.manifests.iter().enumerate().map(|(position, manifest)| Summary {
        key: manifest.key.clone(),
        id: manifest.id.clone(),
        name: manifest.name().map(str::to_owned),
        previous_name: manifest.previous_name.clone(),
        protect: manifest.protect,
        platform: manifest.platform().map(|platform| platform.as_str().to_owned()),
        parent: manifest.parent(),
        names_actions: !manifest.named_actions().is_empty(),
        has_scripts: !script::all_declared(&manifest.spec).is_empty(),
        ignores: !manifest.ignore.is_empty(),
        ignorable: sources.ignore.declared_in(&manifest.spec),
        clean: None,
        file: 0,
        position,
    });
    let summaries = summaries.collect();
    let nowhere = SourceFile::new(file.shown.as_str(), "");
    let pack = |manifest| Arc::new(Packed::new(manifest, &nowhere));
    file.packed = parsed.manifests.into_iter().map(pack).collect();
    Read { summaries, findings: parsed.diagnostics, file: Some(file) }
}

fn context<'a>(sources: Sources<'a>, scripts: &'a dyn ReadScript) -> Context<'a> {
    Context {
        tags: sources.context.tags,
        allow_unknown_fields: sources.context.allow_unknown_fields,
        scripts,
    }
}

fn digest(bytes: &[u8]) -> String {
    fingerprint::sha256_hex(bytes)[..32].to_owned()
}

fn script_digest(scripts: &dyn ReadScript, manifest: &str, name: &str) -> Option<String> {
    scripts.read_script(manifest, name).ok().map(|content| digest(&content))
}

/// Reads scripts and notes what it read, so that what is remembered is what was parsed and not what came after.
struct SeenScripts<'a> {
    files: load::RepositoryScripts<'a>,
    /// Path and digest. A script that changes between two reads is noted twice, which no later state is equal to.
    seen: Mutex<BTreeSet<(String, String)>>,
}

impl<'a> SeenScripts<'a> {
    fn new(sources: Sources<'a>) -> Self {
        let files = load::RepositoryScripts { root: sources.root, shown: sources.shown };
        Self { files, seen: Mutex::default() }
    }

    /// What was read so far, in the order of the paths.
    fn digests(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl ReadScript for SeenScripts<'_> {
    fn read_script(&self, manifest: &str, path: &str) -> Result<Vec<u8>, ScriptProblem> {
        let content = self.files.read_script(manifest, path)?;
        let sight = (path.to_owned(), digest(&content));
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).insert(sight);
        Ok(content)
    }
}

/// Everything that is wrong, read and said in one piece.
fn load_all(sources: Sources<'_>) -> Diagnostics {
    let mut findings = load::load(sources.jobs, sources.root, sources.shown, sources.context).1;
    if !findings.has_errors() {
        let message = "the manifests changed while this run was reading them";
        findings.push(Diagnostic::error("changed-file", message).help("run it again"));
    }
    findings
}

/// What a memo depends on beside the files: the program, its table, and the settings that manifests are read with.
fn memo_header(sources: Sources<'_>) -> String {
    let program = std::env::current_exe().and_then(std::fs::metadata).ok();
    let changed = program.as_ref().and_then(|program| program.modified().ok());
    let changed = changed
        .and_then(|at| at.duration_since(std::time::UNIX_EPOCH).ok())
        .map(|at| at.as_nanos().to_string());
    let parts = serde_json::json!([
        env!("CARGO_PKG_VERSION"),
        TABLE_VERSION,
        program.map(|program| program.len()),
        changed,
        sources.context.tags,
        sources.context.allow_unknown_fields,
        sources.owner,
        sources.record.map(|record| fingerprint::sha256_hex(record.text(sources.owner).as_bytes())),
        sources.root.to_string_lossy(),
        // A manifest that was equal to its job under a rule need not be so the day after the rule's last.
        sources.ignore.facts(),
    ]);
    format!("patchctl-manifests 4 {}", fingerprint::of_value(&parts))
}

/// A memo whose text is not what was written.
struct Damaged;

/// Reads a memo; one that was made under other circumstances is no memo.
fn read_memo(path: &Path, sources: Sources<'_>) -> Result<BTreeMap<String, Remembered>, Damaged> {
    let bytes = match std::fs::read(path) {
        Ok(bytes) => bytes,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(BTreeMap::new()),
        Err(_) => return Err(Damaged),
    };
    let text = std::str::from_utf8(&bytes).map_err(|_| Damaged)?;
    let (first, lines) = text.split_once('\n').ok_or(Damaged)?;
    let (header, told) = first.rsplit_once(' ').ok_or(Damaged)?;
    if header != memo_header(sources) {
        return Ok(BTreeMap::new());
    }
    // What it says of a manifest is believed, so that every byte of it must be what was written.
    if told != digest(lines.as_bytes()) {
        return Err(Damaged);
    }
    let entries: Result<Vec<Remembered>, _> = lines.lines().map(serde_json::from_str).collect();
    Ok(entries.map_err(|_| Damaged)?.into_iter().map(|entry| (entry.path.clone(), entry)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANIFEST: &str = "\
apiVersion: patchctl/v1
kind: DeploymentJob
metadata: {key: a}
spec:
  name: A
  platform: Linux
  preDeployActions:
    - {action: Run Script, params: {actionItem: One}, scriptType: sh, scriptFile: one.sh}
";

    #[test]
    fn a_script_that_changes_during_the_run_is_noticed_with_a_memo_and_without() {
        let folder = tempfile::tempdir().expect("a folder");
        let (jobs, memo) = (folder.path().join("jobs.d"), folder.path().join("memo"));
        std::fs::create_dir(&jobs).expect("writable");
        let manifest = MANIFEST.replace("patchctl/v1", manifest::API_VERSION);
        let manifest = manifest.replace("DeploymentJob", manifest::KIND);
        std::fs::write(jobs.join("a.yaml"), manifest).expect("writable");
        let shown = |path: &Path| path.to_string_lossy().into_owned();
        let tags = BTreeMap::new();
        let sources = Sources {
            record: None,
            jobs: &jobs,
            root: folder.path(),
            shown: &shown,
            context: LoadContext { tags: &tags, allow_unknown_fields: false },
            owner: "us",
            ignore: &ignore::Rules::default(),
        };
        for round in ["without a memo", "with one"] {
            std::fs::write(jobs.join("one.sh"), "echo 1").expect("writable");
            let inventory = Inventory::take(sources, Some(&memo)).expect("good manifests");
            inventory.remember(&memo, &BTreeMap::new(), sources).expect("writable");
            assert_eq!(!inventory.files[0].packed.is_empty(), round == "without a memo");
            let summary = &inventory.summaries[0];
            inventory.manifest(summary, sources).expect("nothing changed");
            std::fs::write(jobs.join("one.sh"), "echo 2").expect("writable");
            let findings = inventory.manifest(summary, sources).expect_err(round);
            assert!(findings.has_errors(), "{round}");
        }
    }
}
