//! Where the contents of former scripts may be: manifests as they are here, and as they stood at commits.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::base;
use crate::cli::planning::Request;
use crate::inventory::Inventory;
use crate::revert::{Leave, PastRun};
use crate::script::Scripts;

/// What manifests declare or declared, with the contents of their scripts.
#[derive(Default)]
pub(super) struct Known {
    pub(super) declared: BTreeMap<String, Vec<Map<String, Value>>>,
    pub(super) scripts: Scripts,
}

impl Known {
    /// The manifests as they are here now; those that can not be read are no obstacle to undoing.
    pub(super) fn of_the_tree(&mut self, request: Request<'_>, past: &PastRun, leave: &mut Leave) {
        let shown = |path: &std::path::Path| request.settings.shown(path);
        let sources = request.sources(&shown);
        let Ok(inventory) = Inventory::take(sources, None) else {
            request.terminal.note("the manifests here can not be read, so no script is taken from them");
            return;
        };
        for summary in
            inventory.summaries.iter().filter(|summary| past.jobs.iter().any(|job| job.key == summary.key))
        {
            if summary.protect {
                leave.protected.insert(summary.key.clone());
            }
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
