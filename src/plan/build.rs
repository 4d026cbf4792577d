//! The plan of all manifests together, made one manifest at a time.
//!
//! A whole live job is needed only while its own manifest is planned, so ten thousand of them never have to be held
//! at once.

use std::collections::{BTreeMap, BTreeSet};

use super::bind::Binding;
use super::job::{Planned, Planner, block};
use super::origin::StampCounts;
use super::{Action, Candidate, Change, Guard, Plan, Policy, PrunePolicy, prune};
use crate::diagnostic::Diagnostics;
use crate::manifest::{DesiredSet, Manifest};
use crate::snapshot::{ListRow, LiveJob, Snapshot};

/// What one manifest comes to.
#[derive(Clone, Debug)]
pub struct Steps {
    changes: Vec<Change>,
    diagnostics: Diagnostics,
}

impl Steps {
    /// Plans one manifest; `job` is the live job it is bound to, `None` where the API does not know it.
    ///
    /// A stamp that was not counted is taken for the only one of its kind.
    pub fn of(
        policy: &Policy,
        stamps: &StampCounts,
        manifest: &Manifest,
        binding: &Binding,
        job: Option<&LiveJob>,
    ) -> Self {
        let Planned { steps, diagnostics } = Planner { policy, stamps }.plan(manifest, binding, job);
        Self { changes: steps, diagnostics }
    }

    /// Whether nothing is to be done and nothing to be said.
    pub fn is_quiet(&self) -> bool {
        self.changes.is_empty() && self.diagnostics.is_empty()
    }
}

/// A plan in the making.
#[derive(Debug)]
pub struct Builder<'a> {
    policy: &'a Policy,
    changes: Vec<Change>,
    diagnostics: Diagnostics,
    n_unchanged: usize,
    n_manifests: usize,
    deletions: Vec<Change>,
    most_deletions: Option<usize>,
}

impl<'a> Builder<'a> {
    /// Begins a plan.
    pub fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            changes: Vec::new(),
            diagnostics: Diagnostics::new(),
            n_unchanged: 0,
            n_manifests: 0,
            deletions: Vec::new(),
            most_deletions: None,
        }
    }

    /// Adds what the next manifest comes to.
    pub fn add(&mut self, steps: Steps) {
        let Steps { changes, diagnostics } = steps;
        if changes.is_empty() {
            self.n_unchanged += 1;
        }
        self.n_manifests += 1;
        self.changes.extend(changes);
        self.diagnostics.append(diagnostics);
    }

    /// Counts a manifest that is known to need nothing, from an earlier run with the same manifest and the same job.
    pub fn add_unchanged(&mut self) {
        self.n_unchanged += 1;
        self.n_manifests += 1;
    }

    /// Adds the removal of jobs whose manifests are gone; they come after everything else.
    ///
    /// `stamps` counts those of all live jobs that may bear the stamp of a candidate.
    pub fn prune(
        &mut self,
        prune: PrunePolicy,
        stamps: &StampCounts,
        rows: &[ListRow],
        candidates: &[(Candidate, Option<LiveJob>)],
    ) {
        self.deletions = prune::steps(self.policy, prune, stamps, rows, candidates);
        self.most_deletions = prune.most;
    }

    /// Ends the plan.
    ///
    /// # Errors
    /// What is wrong with the jobs as they would be; then nothing is planned at all.
    pub fn finish(mut self, bindings: &[Binding], rows: &[ListRow]) -> Result<Plan, Diagnostics> {
        self.diagnostics.sort();
        if self.diagnostics.has_errors() {
            return Err(self.diagnostics);
        }
        self.block_taken_names(rows);
        let bound: BTreeSet<&str> = bindings.iter().filter_map(Binding::id).collect();
        let n_unmanaged = rows.iter().filter(|row| !bound.contains(row.id.as_str())).count();
        let n_deletions = self.deletions.iter().filter(|change| change.action == Action::Delete).count();
        let over =
            prune::over_threshold(n_deletions, bound.len() + self.deletions.len(), self.most_deletions);
        let guard = over.map(|reason| Guard {
            reason,
            help: format!("if they are to go, allow it for this once: --max-deletes {n_deletions}"),
        });
        self.changes.append(&mut self.deletions);
        let mut tag_names = Snapshot::tag_names_of(rows);
        tag_names.extend(self.policy.tag_names.clone());
        Ok(Plan {
            changes: self.changes,
            n_unchanged: self.n_unchanged,
            n_unmanaged: self.policy.is_whole.then_some(n_unmanaged),
            n_manifests: self.n_manifests,
            envelope: self.policy.envelope,
            guard,
            list_calls: BTreeMap::new(),
            tag_names,
            warnings: self.diagnostics,
        })
    }
}

impl Builder<'_> {
    /// A name that another live job of the platform has must not be taken: nobody could tell the two apart by name.
    fn block_taken_names(&mut self, rows: &[ListRow]) {
        for change in &mut self.changes {
            let renamed =
                change.fields.iter().find(|field| field.path == "/name" && change.action == Action::Update);
            let Some(name) = renamed.and_then(|field| field.after.as_str()) else { continue };
            let taken = rows.iter().find(|row| {
                row.name == name && row.platform == change.platform && Some(&row.id) != change.id.as_ref()
            });
            if let Some(row) = taken {
                let reason = format!("the live job {} has the name `{name}` already", row.id);
                *change = block(change.clone(), reason, "choose another name, or rename that job first");
            }
        }
    }
}

/// Plans every manifest; `bindings` are in the order of the manifests, and the snapshot holds all bound jobs.
///
/// # Errors
/// What is wrong with the jobs as they would be; then nothing is planned at all.
pub fn build(
    set: &DesiredSet,
    bindings: &[Binding],
    snapshot: &Snapshot,
    policy: &Policy,
) -> Result<Plan, Diagnostics> {
    let mut stamps = StampCounts::default();
    for job in snapshot.jobs.values().flatten() {
        stamps.add(&job.stamp);
    }
    let mut builder = Builder::new(policy);
    for (manifest, binding) in set.manifests.iter().zip(bindings) {
        let job = binding.id().and_then(|id| snapshot.jobs.get(id)?.as_ref());
        builder.add(Steps::of(policy, &stamps, manifest, binding, job));
    }
    builder.finish(bindings, &snapshot.rows)
}
