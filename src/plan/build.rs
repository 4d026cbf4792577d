//! The plan of all manifests together.

use std::collections::BTreeSet;

use super::bind::Binding;
use super::job::{Planned, Planner};
use super::{Plan, Policy};
use crate::diagnostic::Diagnostics;
use crate::manifest::DesiredSet;
use crate::snapshot::Snapshot;

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
    let planner = Planner::new(snapshot, policy);
    let mut diagnostics = Diagnostics::new();
    let mut changes = Vec::new();
    let mut n_unchanged = 0;
    for (manifest, binding) in set.manifests.iter().zip(bindings) {
        let Planned { steps, diagnostics: found } = planner.plan(manifest, binding);
        if steps.is_empty() && !found.has_errors() {
            n_unchanged += 1;
        }
        changes.extend(steps);
        diagnostics.append(found);
    }
    diagnostics.sort();
    if diagnostics.has_errors() {
        return Err(diagnostics);
    }
    let bound: BTreeSet<&str> = bindings
        .iter()
        .filter_map(|binding| match binding {
            Binding::Job(id) => Some(id.as_str()),
            Binding::Missing => None,
        })
        .collect();
    let mut tag_names = snapshot.tag_names();
    tag_names.extend(policy.tag_names.clone());
    Ok(Plan {
        changes,
        n_unchanged,
        n_unmanaged: policy
            .is_whole
            .then(|| snapshot.rows.iter().filter(|row| !bound.contains(row.id.as_str())).count()),
        n_manifests: set.manifests.len(),
        envelope: policy.envelope,
        tag_names,
        warnings: diagnostics,
    })
}
