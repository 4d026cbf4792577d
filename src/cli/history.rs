//! What is known of the past of manifests and jobs: the base, read as it is needed, and the ledger.

use std::cell::{OnceCell, RefCell};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use globset::{Glob, GlobSetBuilder};
use serde_json::{Map, Value};

use super::identity::base_failed;
use super::planning::{Request, job};
use super::reading::Live;
use super::session::Failure;
use crate::api::ReadApi;
use crate::base::{BaseProblem, Choice, Chosen, Lookup};
use crate::diff::escape;
use crate::inventory::{Inventory, Sources, Summary};
use crate::ledger::Ledger;
use crate::manifest::Manifest;
use crate::plan::{self, AtBase, Decisions, DisabledBy, Left, NoLongerManaged, PlanBase, Trail, Trails};
use crate::terminal::Terminal;

/// Remarks on the base that are shown; more of them say the same about more files.
const MOST_NOTES: usize = 5;

/// The past, as far as a run can know it.
pub(super) struct History<'a> {
    inventory: &'a Inventory,
    sources: Sources<'a>,
    terminal: &'a Terminal,
    /// The base; `None` where there is none.
    chosen: Option<Chosen>,
    /// Why there is none, until that was said.
    lost: RefCell<Option<String>>,
    /// Whether a person named it, so that a run without it is not what was asked for.
    is_demanded: bool,
    lookup: OnceCell<Option<RefCell<Lookup>>>,
    problem: RefCell<Option<BaseProblem>>,
    applied_at: Option<i64>,
    left: BTreeMap<String, Left>,
    disabled: BTreeMap<String, DisabledBy>,
}

impl<'a> Request<'a> {
    /// Chooses the base; nothing of it is read yet.
    pub(super) fn history<'s>(
        &'s self,
        inventory: &'s Inventory,
        sources: Sources<'s>,
        ledger: &Ledger,
    ) -> Result<History<'s>, Failure> {
        let (chosen, lost) = match self.choose_base(ledger)? {
            Choice::Base(chosen) => (Some(chosen), None),
            Choice::Lost(words) => (None, Some(words)),
            Choice::Nothing => (None, None),
        };
        if self.terminal.is_verbose() {
            match &chosen {
                Some(chosen) => self.terminal.note(&chosen.words()),
                None if lost.is_none() => {
                    self.terminal.note("there is no base: no commit is known that was applied")
                }
                None => {}
            }
        }
        // When the ledger knows the time of the very commit that is the base, it does not matter who named it.
        let is_applied =
            chosen.as_ref().is_some_and(|chosen| ledger.applied_commit() == Some(chosen.commit.id()));
        let keys = inventory.summaries.iter().map(|summary| summary.key.as_str());
        Ok(History {
            inventory,
            sources,
            terminal: self.terminal,
            chosen,
            lost: RefCell::new(lost),
            is_demanded: self.planning.base.is_some(),
            lookup: OnceCell::new(),
            problem: RefCell::new(None),
            applied_at: ledger.applied_at().filter(|_| is_applied),
            left: keys.clone().filter_map(|key| Some((key.to_owned(), ledger.left(key)?.clone()))).collect(),
            disabled: keys.filter_map(|key| Some((key.to_owned(), ledger.disabled(key)?.clone()))).collect(),
        })
    }

    /// What was decided of changes in the console, for the manifests of this run.
    pub(super) fn decisions(&self, selected: &[&Summary]) -> Result<Decisions, Failure> {
        let mut overridden = BTreeSet::new();
        for pattern in &self.planning.overrides {
            let wrong = |error: &globset::Error| {
                Failure::Usage(
                    format!("--override `{pattern}` is no pattern: {error}"),
                    "use * and ?".to_owned(),
                )
            };
            let glob = Glob::new(pattern).map_err(|error| wrong(&error))?;
            let globs = GlobSetBuilder::new().add(glob).build().map_err(|error| wrong(&error))?;
            let keys = selected.iter().map(|summary| summary.key.as_str());
            let n_before = overridden.len();
            let matching: Vec<&str> = keys.filter(|key| globs.is_match(key)).collect();
            overridden.extend(matching.iter().map(|key| (*key).to_owned()));
            if overridden.len() == n_before && matching.is_empty() {
                self.terminal.note(&format!("--override `{pattern}` is the key of no manifest of this run"));
            }
        }
        Ok(Decisions { console: self.settings.console, overridden })
    }

    /// Members that manifests declared at the base and do not declare any more, with the values that stay.
    pub(super) async fn no_longer_managed<A: ReadApi>(
        &self,
        inventory: &Inventory,
        selected: &[&Summary],
        live: &mut Live,
        history: &History<'_>,
        api: &A,
    ) -> Result<Vec<NoLongerManaged>, Failure> {
        let mut found = Vec::new();
        for former in history.changed()? {
            let at = selected.iter().position(|summary| summary.key == former.key);
            let Some((summary, binding)) = at.map(|at| (selected[at], &live.identified.bindings[at])) else {
                continue;
            };
            let (manifest, _) = inventory.manifest(summary, history.sources).map_err(Failure::Findings)?;
            let mut paths = Vec::new();
            // What rules left alone then was not managed; what they leave alone now is told by itself.
            let former = plan::managed(&self.settings.ignore, &former);
            undeclared(former.as_declared(), manifest.as_written(), "", &mut paths);
            let Some(id) = binding.id().filter(|_| !paths.is_empty()) else { continue };
            let Some(job) = job(&mut live.details, id, api).await? else { continue };
            found.extend(paths.into_iter().filter_map(|path| {
                let value = job.normalised.at(&path)?.clone();
                Some(NoLongerManaged { key: summary.key.clone(), path, value })
            }));
        }
        found.sort_by(|a, b| (&a.key, &a.path).cmp(&(&b.key, &b.path)));
        Ok(found)
    }
}

/// JSON Pointers of what was declared and is no longer; a list is managed as a whole.
fn undeclared(then: &Map<String, Value>, now: &Map<String, Value>, prefix: &str, found: &mut Vec<String>) {
    for (name, value) in then {
        let pointer = format!("{prefix}/{}", escape(name));
        match (value, now.get(name)) {
            (_, None) => found.push(pointer),
            (Value::Object(then), Some(Value::Object(now))) => undeclared(then, now, &pointer, found),
            (_, Some(_)) => {}
        }
    }
}

impl History<'_> {
    /// The base as output shows it.
    pub(super) fn shown(&self) -> Option<PlanBase> {
        let chosen = self.chosen.as_ref()?;
        Some(PlanBase { commit: chosen.commit.id().to_owned(), source: chosen.source.as_str() })
    }

    /// Ends a run whose base a person named and Git can not give.
    pub(super) fn check(&self) -> Result<(), Failure> {
        match self.problem.borrow_mut().take() {
            Some(problem) if self.is_demanded => Err(base_failed(problem)),
            Some(problem) => {
                self.terminal
                    .note(&format!("there is no base to compare with: {problem}; {}", problem.help()));
                Ok(())
            }
            None => Ok(()),
        }
    }

    fn lookup(&self) -> Option<&RefCell<Lookup>> {
        let open = || {
            if let Some(words) = self.lost.borrow_mut().take() {
                self.terminal
                    .note(&format!("there is no base, so it may not be known who changed what: {words}"));
            }
            let chosen = self.chosen.as_ref()?;
            match Lookup::open(&chosen.commit, self.sources) {
                Ok(lookup) => Some(RefCell::new(lookup)),
                Err(problem) => {
                    *self.problem.borrow_mut() = Some(problem);
                    None
                }
            }
        };
        self.lookup.get_or_init(open).as_ref()
    }

    fn at_base(&self, manifest: &Manifest, id: Option<&str>) -> AtBase {
        let Some(lookup) = self.lookup() else { return AtBase::NoBase };
        let path = self.inventory.file_of(&manifest.key).map(|(path, _)| path);
        let mut lookup = lookup.borrow_mut();
        let found = match lookup.of(manifest, id, path, self.sources) {
            Ok(None) => AtBase::Absent,
            Ok(Some(standing)) => match &standing.manifest {
                Some(manifest) => AtBase::Manifest(Arc::new(manifest.clone())),
                None => AtBase::Unreadable,
            },
            Err(problem) => {
                *self.problem.borrow_mut() = Some(problem);
                AtBase::Unreadable
            }
        };
        self.say(lookup.take_notes());
        found
    }

    /// Manifests of the base whose files are not as they were.
    fn changed(&self) -> Result<Vec<Manifest>, Failure> {
        // Without a base it is not worth a word that there is none.
        if self.chosen.is_none() {
            return Ok(Vec::new());
        }
        let changed = self.lookup().map(|lookup| {
            let mut lookup = lookup.borrow_mut();
            let changed = lookup.changed(self.sources);
            self.say(lookup.take_notes());
            changed
        });
        let changed = match changed {
            Some(Ok(changed)) => changed,
            Some(Err(problem)) => {
                *self.problem.borrow_mut() = Some(problem);
                Vec::new()
            }
            None => Vec::new(),
        };
        self.check()?;
        Ok(changed.into_iter().filter_map(|standing| standing.manifest).collect())
    }

    fn say(&self, notes: Vec<String>) {
        for note in notes.iter().take(MOST_NOTES) {
            self.terminal.note(note);
        }
        let n_more = notes.len().saturating_sub(MOST_NOTES);
        if n_more > 0 {
            self.terminal
                .note(&format!("{n_more} more files at the base are not as this build would have them"));
        }
    }
}

impl Trails for History<'_> {
    fn of(&self, manifest: &Manifest, id: Option<&str>) -> Trail {
        let left = self.left.get(&manifest.key).filter(|left| Some(left.id.as_str()) == id);
        Trail {
            base: self.at_base(manifest, id),
            applied_at: self.applied_at,
            left: left.cloned(),
            disabled: self.disabled.get(&manifest.key).filter(|by| Some(by.id.as_str()) == id).cloned(),
        }
    }
}
