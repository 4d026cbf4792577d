//! How a manifest names its parent job and the parent's actions: by id, with the names beside it.
//!
//! The one place to change where parents are declared in another way.

use serde_json::Value;

use super::Known;
use super::emit::{Item, Node, Part};
use crate::job::Member;

/// Name of the rule's member that holds ids of the parent's actions.
const ACTIONS: &str = "actionIds";

/// Name of the member that holds the parent's id.
const PARENT: &str = "linkedJobId";

/// The parent job, if this row is about it.
pub(super) fn parent(row: &Member, id: &str, known: &Known) -> Option<Part> {
    if row.name != PARENT {
        return None;
    }
    let id = id.to_ascii_lowercase();
    let beside = match (known.job_names.get(&id), known.keys.get(&id)) {
        (Some(name), Some(key)) => Some(format!("{name} (the manifest {key})")),
        (Some(name), None) => Some(name.clone()),
        (None, Some(key)) => Some(format!("the manifest {key}")),
        (None, None) => None,
    };
    Some(Part::Entry { key: row.name, value: Node::Text(id), beside })
}

/// One of the parent's actions, if this row is about them.
pub(super) fn action(row: &Member, id: &str, known: &Known) -> Option<Item> {
    (row.name == ACTIONS).then(|| Item {
        value: Node::Text(id.to_owned()),
        beside: known.action_names.get(&id.to_ascii_lowercase()).cloned(),
    })
}

/// Ids and display names of all actions that an answered job shows: its own, and the parents' that its rules name.
pub(super) fn action_names(raw: &Value) -> impl Iterator<Item = (String, String)> {
    let list = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
    let mut actions = list(raw.get("postDeployActions"));
    for parent in list(raw.get("linkedToJob")) {
        for rule in list(parent.get("chainedJobRule")) {
            actions.extend(list(rule.get("actionDetails")));
        }
    }
    actions.into_iter().filter_map(|action| {
        let id = action.get("actionId")?.as_str()?.to_ascii_lowercase();
        let name = action.pointer("/params/actionItem").and_then(Value::as_str)?;
        (!name.is_empty()).then(|| (id, name.to_owned()))
    })
}
