//! Single manifests of a commit: no more is parsed than is asked for, and what is not as it was.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::{Base, BaseProblem, Commit, Files, Git, Standing};
use crate::inventory::Sources;
use crate::manifest::Manifest;

/// The manifests of a commit, read as they are needed.
///
/// Opening it costs three processes of Git, whatever the number of manifests; the files that are not as they were at the
/// commit are parsed when one of them may be meant, and of the others only those that are asked for.
pub struct Lookup {
    base: Base,
    files: Files,
    /// Manifest files of the commit: id of the content by the path in its tree.
    paths: BTreeMap<String, String>,
    /// Ids of contents that the working tree does not have any more in the same place.
    changed: BTreeSet<String>,
    read: BTreeSet<String>,
}

impl std::fmt::Debug for Lookup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Lookup").field("commit", &self.base.commit).finish_non_exhaustive()
    }
}

impl Lookup {
    /// Lists the files of a commit, and which of them are not as they were.
    ///
    /// # Errors
    /// Where Git can not be asked or the commit's files are not there.
    pub fn open(commit: &Commit, sources: Sources<'_>) -> Result<Self, BaseProblem> {
        let git = Git::open(sources.root)?;
        let files = Files::list(commit, &git, sources)?;
        let paths = files.tree.manifests(&files.folder).into_iter().collect();
        // A folder that is a link leads elsewhere, so then it is asked of the whole repository.
        let inside = format!("{}/", files.folder);
        let is_plain =
            files.tree.0.range(inside.clone()..).next().is_some_and(|(p, _)| p.starts_with(&inside));
        let folder = if is_plain { files.folder.as_str() } else { "." };
        let arguments = [
            "diff",
            "--raw",
            "-z",
            "--no-abbrev",
            "--no-renames",
            "--no-ext-diff",
            "--no-textconv",
            "--ignore-submodules=all",
            commit.id(),
            "--",
            folder,
        ];
        let listed = git.run(&arguments).map_err(|said| Files::unreadable(commit, said))?;
        let changed = listed.split(|byte| *byte == 0).filter_map(former_id).collect();
        Ok(Self { base: Base::nothing(commit), files, paths, changed, read: BTreeSet::new() })
    }

    /// The manifest as it stood, found by its key, else by its id or its name; `path` is the file that it is in now.
    ///
    /// # Errors
    /// Where a content of the commit is not there.
    pub fn of(
        &mut self,
        manifest: &Manifest,
        id: Option<&str>,
        path: Option<&Path>,
        sources: Sources<'_>,
    ) -> Result<Option<&Standing>, BaseProblem> {
        if let Some(path) = path.and_then(|path| path.strip_prefix(sources.jobs).ok()) {
            let parts: Vec<_> = path.components().map(|part| part.as_os_str().to_string_lossy()).collect();
            let path = super::tree::join(&self.files.folder, &parts.join("/"));
            self.read([path], sources)?;
        }
        if !self.base.manifests.contains_key(&manifest.key) {
            self.read_changed(sources)?;
        }
        let standings = &self.base.manifests;
        let by_key = standings.get(&manifest.key);
        Ok(by_key.or_else(|| {
            let is_same = |standing: &&Standing| match (&standing.id, id) {
                (Some(then), Some(now)) => then == now,
                (_, _) => {
                    standing.name.is_some()
                        && standing.name.as_deref() == manifest.name()
                        && standing.platform == manifest.platform()
                }
            };
            standings.values().find(is_same)
        }))
    }

    /// The manifests of all files that are not as they were.
    ///
    /// # Errors
    /// Where a content of the commit is not there.
    pub fn changed(&mut self, sources: Sources<'_>) -> Result<Vec<Standing>, BaseProblem> {
        self.read_changed(sources)?;
        let ids = &self.changed;
        let files: BTreeSet<String> = self
            .paths
            .iter()
            .filter(|(_, id)| ids.contains(*id))
            .map(|(path, _)| {
                let inside = path.strip_prefix(&self.files.folder).unwrap_or(path).trim_start_matches('/');
                (sources.shown)(&sources.jobs.join(inside))
            })
            .collect();
        let standings = self.base.manifests.values();
        Ok(standings.filter(|standing| files.contains(&standing.place.file.path)).cloned().collect())
    }

    /// What could not be read of what was asked for, for people; each once.
    pub fn take_notes(&mut self) -> Vec<String> {
        std::mem::take(&mut self.base.notes)
    }

    fn read_changed(&mut self, sources: Sources<'_>) -> Result<(), BaseProblem> {
        let changed = self.paths.iter().filter(|(_, id)| self.changed.contains(*id));
        let changed: Vec<String> = changed.map(|(path, _)| path.clone()).collect();
        self.read(changed, sources)
    }

    fn read(
        &mut self,
        paths: impl IntoIterator<Item = String>,
        sources: Sources<'_>,
    ) -> Result<(), BaseProblem> {
        for path in paths {
            if let Some(id) = self.paths.get(&path).filter(|_| !self.read.contains(&path)) {
                self.base.read_file(&self.files, &path, id, sources)?;
                self.read.insert(path);
            }
        }
        Ok(())
    }
}

/// The id that one entry of `diff --raw -z` had before; `None` for a path, or where there was none.
fn former_id(entry: &[u8]) -> Option<String> {
    let entry = std::str::from_utf8(entry).ok()?.strip_prefix(':')?;
    let id = entry.split(' ').nth(2)?;
    let is_there = id.bytes().any(|byte| byte != b'0') && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_there.then(|| id.to_owned())
}
