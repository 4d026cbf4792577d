//! Scripts that somebody may have replaced before a write of ours hid who it was: remembered until they are sent.

use std::collections::BTreeMap;

use crate::bindings::ScriptDoubt;
use crate::inventory::Inventory;
use crate::ledger::Ledger;
use crate::plan::{Action, Change, Outcome, OutcomeKind, Plan};
use crate::script;
use crate::snapshot::ApiUsers;

/// Notes which jobs with scripts somebody else edited last, before anything is written that would hide who it was.
///
/// The caller saves the ledger.
pub(super) fn remember(
    plan: &Plan,
    inventory: Option<&Inventory>,
    api_users: &ApiUsers,
    ledger: &mut Ledger,
) {
    let summaries = inventory.into_iter().flat_map(|inventory| &inventory.summaries);
    let scripted: BTreeMap<&str, bool> =
        summaries.map(|summary| (summary.key.as_str(), summary.has_scripts)).collect();
    let declares = |change: &Change| {
        // A manifest that is not here, or can not be read, may have scripts; a doubt of one that has none shows nowhere.
        scripted.get(change.key.as_str()).copied().unwrap_or(true)
            || change.basis.as_ref().is_some_and(|basis| !script::all_declared(&basis.declared).is_empty())
    };
    for change in plan.changes.iter().filter(|change| change.action.writes() && declares(change)) {
        let Some(edit) = change.edited.as_ref().filter(|edit| edit.by_others(api_users).is_some()) else {
            continue;
        };
        if let Some(id) = &change.id {
            let doubt = ScriptDoubt { id: id.clone(), user: edit.user.clone(), at: edit.at };
            ledger.doubts_scripts(&change.key, doubt);
        }
    }
}

/// Notes whose scripts were sent, all of them, so that nothing is in doubt any more. The caller saves the ledger.
pub(super) fn settle(plan: &Plan, outcomes: &[Outcome], ledger: &mut Ledger) {
    for (change, outcome) in plan.changes.iter().zip(outcomes) {
        // A declared member that does not hold may be a script that was not taken.
        let is_written = matches!(outcome.kind, OutcomeKind::Applied | OutcomeKind::Collateral);
        if is_written && matches!(change.action, Action::Create | Action::Update) && sends_all(change) {
            ledger.sent_scripts(&change.key);
        }
    }
}

/// Whether a step sends all scripts of its manifest: where they are not known they all differ, else none does.
fn sends_all(change: &Change) -> bool {
    change
        .basis
        .as_ref()
        .is_some_and(|basis| !basis.scripts_are_known && !script::all_declared(&basis.declared).is_empty())
}
