//! Which keys and jobs the manifests of the repository take already.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use crate::cli::args::Common;
use crate::cli::session::Failure;
use crate::cli::settings::Settings;
use crate::diagnostic::Diagnostics;
use crate::job::Platform;
use crate::load::{self, LoadContext, RepositoryScripts};
use crate::manifest::{self, Context, DesiredSet};
use crate::render::import::Reason;
use crate::snapshot::ListRow;
use crate::terminal::Terminal;

/// What manifests there are.
#[derive(Debug, Default)]
pub(super) struct Existing {
    pub(super) keys: BTreeSet<String>,
    /// Key and file of the manifest that is bound to this id.
    by_id: BTreeMap<String, (String, String)>,
    /// Key and file of the manifest that is bound to this name, having no id.
    by_name: BTreeMap<(Platform, String), (String, String)>,
    /// Key and file of the manifest that had this name before, with the name that it has now.
    by_previous_name: BTreeMap<(Platform, String), (String, (String, String))>,
}

impl Existing {
    /// Reads the manifest folder, which may be missing or empty, and the folder beside it that is written into.
    pub(super) fn load(
        settings: &Settings,
        common: &Common,
        beside: Option<&Path>,
        terminal: &Terminal,
    ) -> Result<Self, Failure> {
        let shown = |path: &Path| settings.shown(path);
        let mut existing = Self::default();
        let broken = |findings: Diagnostics| {
            terminal.note("nothing is imported: which keys and jobs are taken is known only where every manifest can be read");
            Failure::Findings(findings)
        };
        if settings.jobs.exists() {
            let context =
                LoadContext { tags: &settings.tags, allow_unknown_fields: common.allow_unknown_fields };
            let (set, findings) = load::load(&settings.jobs, &settings.root, &shown, context);
            // A folder without manifests is what the first day begins with.
            let is_empty =
                settings.jobs.is_dir() && findings.iter().all(|finding| finding.code == "no-manifests");
            if findings.has_errors() && !is_empty {
                return Err(broken(findings));
            }
            existing.add(&set);
        }
        if let Some(folder) = beside.filter(|folder| folder.is_dir()) {
            let mut findings = Diagnostics::new();
            let scripts = RepositoryScripts { root: &settings.root, shown: &shown };
            let context = Context {
                tags: &settings.tags,
                allow_unknown_fields: common.allow_unknown_fields,
                scripts: &scripts,
            };
            let paths = load::manifest_paths(folder, &shown, &mut findings);
            let mut read = Vec::new();
            for path in paths.iter().filter(|path| path.parent() == Some(folder)) {
                match load::read_text(path, &shown(path)) {
                    Ok(file) => read.push(manifest::parse(&file, context)),
                    Err(finding) => findings.push(finding),
                }
            }
            let (set, found) = DesiredSet::join(read);
            findings.append(found);
            if findings.has_errors() {
                findings.sort();
                return Err(broken(findings));
            }
            existing.add(&set);
        }
        Ok(existing)
    }

    fn add(&mut self, set: &DesiredSet) {
        for manifest in &set.manifests {
            let named = (manifest.key.clone(), manifest.place().file.path.clone());
            self.keys.insert(manifest.key.clone());
            match (&manifest.id, manifest.platform(), manifest.name()) {
                (Some(id), _, _) => {
                    self.by_id.insert(id.clone(), named);
                }
                (None, Some(platform), Some(name)) => {
                    if let Some(previous) = &manifest.previous_name {
                        let renamed = (name.to_owned(), named.clone());
                        self.by_previous_name.insert((platform, previous.clone()), renamed);
                    }
                    self.by_name.insert((platform, name.to_owned()), named);
                }
                (None, _, _) => {}
            }
        }
    }

    /// Looks which manifests are still about the job of their previous name: those that no listed job has the name of.
    pub(super) fn settle_renames(&mut self, rows: &[ListRow]) {
        let names: BTreeSet<_> =
            rows.iter().filter_map(|row| Some((row.platform?, row.name.as_str()))).collect();
        for ((platform, previous), (name, named)) in std::mem::take(&mut self.by_previous_name) {
            if !names.contains(&(platform, name.as_str())) {
                self.by_name.entry((platform, previous)).or_insert(named);
            }
        }
    }

    /// Key and file of the manifest that is about a listed job.
    pub(super) fn manifest_of(&self, row: &ListRow) -> Option<&(String, String)> {
        self.find(&row.id, row.platform, &row.name)
    }

    fn find(&self, id: &str, platform: Option<Platform>, name: &str) -> Option<&(String, String)> {
        let by_name = || self.by_name.get(&(platform?, name.to_owned()));
        self.by_id.get(id).or_else(by_name)
    }

    /// Why a job of this id, platform and name needs no manifest, if it has one.
    pub(super) fn bound(&self, id: &str, platform: Option<Platform>, name: &str) -> Option<Reason> {
        let (key, file) = self.find(id, platform, name)?;
        Some(Reason::Bound(key.clone(), file.clone()))
    }
}
