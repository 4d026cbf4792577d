//! Where the contents of former scripts may be: manifests as they are here, and as they stood at commits.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::base;
use crate::cli::planning::Request;
use crate::inventory::Inventory;
use crate::ledger::Ledger;
use crate::revert::PastRun;
use crate::script::Scripts;

/// What manifests declare or declared, with the contents of their scripts.
#[derive(Default)]
pub(super) struct Known {
    pub(super) declared: BTreeMap<String, Vec<Map<String, Value>>>,
    pub(super) scripts: Scripts,
}

/// The manifests as they are here now; those that can not be read are no obstacle to undoing.
pub(super) fn inventory(request: Request<'_>) -> Option<Inventory> {
    let shown = |path: &std::path::Path| request.settings.shown(path);
    let inventory = Inventory::take(request.sources(&shown), None).ok();
    if inventory.is_none() {
        request.terminal.note("the manifests here can not be read, so no script is taken from them");
    }
    inventory
}

/// The jobs of the run that must never be deleted: as their manifests say, and of those that are not here or can not be
/// read, as they said when a run saw them last.
pub(super) fn protected(past: &PastRun, inventory: Option<&Inventory>, ledger: &Ledger) -> BTreeSet<String> {
    let is_protected = |key: &str| {
        let mut summaries = inventory.into_iter().flat_map(|inventory| &inventory.summaries);
        summaries
            .find(|summary| summary.key == key)
            .map_or_else(|| ledger.bound(key).is_some_and(|bound| bound.protect), |summary| summary.protect)
    };
    past.jobs.iter().map(|job| job.key.clone()).filter(|key| is_protected(key)).collect()
}

impl Known {
    /// What the manifests of the run's jobs declare as they are here now.
    pub(super) fn of_the_tree(&mut self, request: Request<'_>, inventory: &Inventory, past: &PastRun) {
        let shown = |path: &std::path::Path| request.settings.shown(path);
        let sources = request.sources(&shown);
        for summary in
            inventory.summaries.iter().filter(|summary| past.jobs.iter().any(|job| job.key == summary.key))
        {
            if let Ok((manifest, scripts)) = inventory.manifest(summary, sources) {
                self.declared.entry(summary.key.clone()).or_default().push(manifest.spec);
                self.scripts.extend(scripts);
            }
        }
    }

    /// The manifests of these keys as they stood at a commit.
    pub(super) fn of_a_commit(
        &mut self,
        request: Request<'_>,
        commit: &base::Commit,
        keys: &BTreeSet<String>,
    ) {
        let shown = |path: &std::path::Path| request.settings.shown(path);
        let Ok(mut base) = base::read(commit, request.sources(&shown)) else { return };
        for key in keys {
            if let Some(manifest) = base.manifests.remove(key).and_then(|standing| standing.manifest) {
                self.declared.entry(key.clone()).or_default().push(manifest.spec);
            }
        }
        self.scripts.extend(base.scripts);
    }
}
