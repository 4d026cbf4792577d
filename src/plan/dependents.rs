//! Rules of other live jobs that a step would break (DESIGN section 6).
//!
//! Pure. Which jobs are linked to which, and what their rules are, is read by the caller.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::links::block_with_what_follows;
use super::{Action, Basis, Change};
use crate::elements;
use crate::links;
use crate::snapshot::LiveJob;

/// A live job that is linked to another one, and what its rules wait for.
#[derive(Clone, Debug)]
pub struct Dependent {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Key of the manifest that manages it, where there is one.
    pub key: Option<String>,
    /// Id of its parent.
    pub parent: String,
    /// Ids of the parent's actions in its rules.
    pub waits_for: BTreeSet<String>,
}

impl Dependent {
    /// Reads a live job; `None` for one that has no parent.
    pub fn of(id: &str, key: Option<String>, job: &LiveJob) -> Option<Self> {
        let members = job.normalised.members();
        Some(Self {
            id: id.to_owned(),
            name: job.normalised.text("name").unwrap_or_default().to_owned(),
            key,
            parent: members.get("linkedJobId")?.as_str()?.to_owned(),
            waits_for: waited_for(members),
        })
    }
}

/// Ids of all actions in the rules of a job.
fn waited_for(members: &Map<String, Value>) -> BTreeSet<String> {
    let rules = members.get("chainedJobRule").and_then(Value::as_array).into_iter().flatten();
    let ids = rules.filter_map(|rule| rule.get("actionIds")?.as_array()).flatten();
    ids.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// Post-actions that an update takes away: ids and names.
fn removed_actions(basis: &Basis) -> BTreeMap<String, String> {
    let kept: BTreeSet<String> = links::actions(basis.desired.members())
        .iter()
        .filter_map(elements::action_id)
        .map(str::to_owned)
        .collect();
    links::actions(basis.live.members())
        .iter()
        .filter_map(|action| {
            let id = elements::action_id(action).filter(|id| !kept.contains(*id))?;
            Some((id.to_owned(), links::name(action).unwrap_or_default().to_owned()))
        })
        .collect()
}

/// Ids of the jobs that lose a post-action by these steps: rules of their children may be broken by that.
pub(super) fn losing(changes: &[Change]) -> BTreeSet<String> {
    let losing = changes.iter().filter(|change| {
        change.action == Action::Update
            && change.basis.as_ref().is_some_and(|basis| !removed_actions(basis).is_empty())
    });
    losing.filter_map(|change| change.id.clone()).collect()
}

/// Blocks updates that take away an action which a rule of another live job waits for.
pub(super) fn block_broken_rules(changes: &mut [Change], dependents: &[Dependent]) {
    for at in 0..changes.len() {
        let change = &changes[at];
        let (Action::Update, Some(id), Some(basis)) = (change.action, &change.id, &change.basis) else {
            continue;
        };
        let removed = removed_actions(basis);
        let broken: Vec<(&Dependent, Vec<&str>)> = dependents
            .iter()
            .filter(|dependent| dependent.parent == *id && dependent.id != *id)
            .map(|dependent| {
                let lost = removed.iter().filter(|(id, _)| dependent.waits_for.contains(*id));
                (dependent, lost.map(|(_, name)| name.as_str()).collect::<Vec<_>>())
            })
            .filter(|(_, lost)| !lost.is_empty())
            .collect();
        if broken.is_empty() {
            continue;
        }
        let words = broken.iter().map(|(dependent, lost)| {
            let who = match &dependent.key {
                Some(key) => format!("`{key}`"),
                None => format!("the live job `{}` ({})", dependent.name, dependent.id),
            };
            format!("`{}`, which the rule of {who} waits for", lost.join("`, `"))
        });
        let reason = format!("would remove the post-action {}", words.collect::<Vec<_>>().join("; "));
        let lets_go = |dependent: &Dependent| {
            let own = changes
                .iter()
                .find(|other| other.action == Action::Update && other.id.as_deref() == Some(&dependent.id));
            own.and_then(|own| own.basis.as_ref()).is_some_and(|basis| {
                waited_for(basis.desired.members()).is_disjoint(&removed.keys().cloned().collect())
            })
        };
        let (going, staying): (Vec<&Dependent>, Vec<&Dependent>) =
            broken.iter().map(|(dependent, _)| *dependent).partition(|dependent| lets_go(dependent));
        let help = if staying.is_empty() {
            let keys: Vec<&str> = going.iter().filter_map(|dependent| dependent.key.as_deref()).collect();
            format!(
                "this plan changes the rule of `{}`: when that is applied, plan and apply again",
                keys.join("`, `")
            )
        } else if staying.iter().all(|dependent| dependent.key.is_none()) {
            "no manifest manages that job: change its rule in the console first, or keep the action"
                .to_owned()
        } else {
            "change the rule of that job and apply it, then remove the action; an action that only gets another name \
             stays the same one with its `actionId`"
                .to_owned()
        };
        block_with_what_follows(changes, at, reason, &help);
    }
}
