//! The plan of all manifests together, made one manifest at a time.
//!
//! A whole live job is needed only while its own manifest is planned, so ten thousand of them never have to be held
//! at once.

use std::collections::BTreeSet;

use super::bind::Binding;
use super::job::{Planned, Planner};
use super::origin::StampCounts;
use super::{Change, Plan, Policy};
use crate::diagnostic::Diagnostics;
use crate::manifest::{DesiredSet, Manifest};
use crate::snapshot::{ListRow, LiveJob, Snapshot};

/// A plan in the making.
#[derive(Debug)]
pub struct Builder<'a> {
    policy: &'a Policy,
    stamps: StampCounts,
    changes: Vec<Change>,
    diagnostics: Diagnostics,
    n_unchanged: usize,
    n_manifests: usize,
}

impl<'a> Builder<'a> {
    /// Begins a plan; the stamps of all bound jobs must have been counted before.
    pub fn new(policy: &'a Policy, stamps: StampCounts) -> Self {
        Self {
            policy,
            stamps,
            changes: Vec::new(),
            diagnostics: Diagnostics::new(),
            n_unchanged: 0,
            n_manifests: 0,
        }
    }

    /// Plans one manifest; `job` is the live job it is bound to, `None` where the API does not know it.
    ///
    /// Returns whether nothing is to be done and nothing to be said.
    pub fn add(&mut self, manifest: &Manifest, binding: &Binding, job: Option<&LiveJob>) -> bool {
        let planner = Planner { policy: self.policy, stamps: &self.stamps };
        let Planned { steps, diagnostics } = planner.plan(manifest, binding, job);
        let is_quiet = steps.is_empty() && diagnostics.is_empty();
        if steps.is_empty() {
            self.n_unchanged += 1;
        }
        self.n_manifests += 1;
        self.changes.extend(steps);
        self.diagnostics.append(diagnostics);
        is_quiet
    }

    /// Counts a manifest that is known to need nothing, from an earlier run with the same manifest and the same job.
    pub fn add_unchanged(&mut self) {
        self.n_unchanged += 1;
        self.n_manifests += 1;
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
        let bound: BTreeSet<&str> = bindings.iter().filter_map(Binding::id).collect();
        let n_unmanaged = rows.iter().filter(|row| !bound.contains(row.id.as_str())).count();
        let mut tag_names = Snapshot::tag_names_of(rows);
        tag_names.extend(self.policy.tag_names.clone());
        Ok(Plan {
            changes: self.changes,
            n_unchanged: self.n_unchanged,
            n_unmanaged: self.policy.is_whole.then_some(n_unmanaged),
            n_manifests: self.n_manifests,
            envelope: self.policy.envelope,
            tag_names,
            warnings: self.diagnostics,
        })
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
    let mut builder = Builder::new(policy, stamps);
    for (manifest, binding) in set.manifests.iter().zip(bindings) {
        let job = binding.id().and_then(|id| snapshot.jobs.get(id)?.as_ref());
        builder.add(manifest, binding, job);
    }
    builder.finish(bindings, &snapshot.rows)
}
