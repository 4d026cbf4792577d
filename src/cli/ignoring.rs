//! What is odd about the rules that leave members alone, held against the manifests.
//!
//! That a rule has nothing to act on is told only where all manifests of the configuration are looked at.

use super::args::Common;
use super::settings::Settings;
use crate::diagnostic::Diagnostics;
use crate::inventory::Inventory;
use crate::manifest::DesiredSet;

/// For `validate`, which reads all manifests in full.
pub(super) fn of_set(set: &DesiredSet, settings: &Settings, common: &Common) -> Diagnostics {
    let all = set.manifests.iter();
    let all = all.map(|manifest| (manifest.key.as_str(), settings.ignore.declared_in(&manifest.spec)));
    findings(all.collect(), settings, common)
}

/// For a run that took stock, also of manifests that it remembers and does not read.
pub(super) fn of_inventory(inventory: &Inventory, settings: &Settings, common: &Common) -> Diagnostics {
    let all = inventory.summaries.iter();
    findings(all.map(|summary| (summary.key.as_str(), summary.ignorable.clone())).collect(), settings, common)
}

fn findings(all: Vec<(&str, Vec<String>)>, settings: &Settings, common: &Common) -> Diagnostics {
    let is_whole = common.only.is_empty() && settings.jobs_folder_is_usual();
    settings.ignore.findings(is_whole.then_some(all.as_slice()))
}
