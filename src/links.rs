//! Links to jobs and actions that do not exist yet: what stands in their place, and how it is put right.
//!
//! Pure. A manifest may name its parent by key and the parent's actions by name. Ids that are known when the plan is
//! made are put in at once (`plan::links`); an id that the run itself will bring into being is a placeholder, which
//! people see in the plan and which [`fill`] replaces before anything is sent. Placeholders are looked for only where
//! ids of links stand, so no name and no text of a job can be taken for one.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value};
use thiserror::Error;

use crate::elements;
use crate::job::{Element, JOB, Member, Type};
use crate::snapshot::LiveJob;

/// The member that holds the actions a rule may wait for: `postDeployAction` is the only `field` there is
/// (REFERENCE 5.4).
pub const WAITED_FOR: &str = "postDeployActions";

/// What stands for an id that is not known yet.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Placeholder<'a> {
    /// `{id of KEY}`: the job of the manifest with this key.
    Job(&'a str),
    /// `{action NAME of KEY}`: a post-action of that job.
    Action {
        /// The action's `params.actionItem`.
        name: &'a str,
        /// The manifest's key.
        key: &'a str,
    },
}

impl fmt::Display for Placeholder<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Job(key) => write!(f, "{{id of {key}}}"),
            Self::Action { name, key } => write!(f, "{{action {name} of {key}}}"),
        }
    }
}

impl<'a> Placeholder<'a> {
    /// Reads a text. A key holds no blank, so the last ` of ` parts it from any name.
    pub fn parse(text: &'a str) -> Option<Self> {
        let inner = text.strip_prefix('{')?.strip_suffix('}')?;
        if let Some(key) = inner.strip_prefix("id of ") {
            return is_key(key).then_some(Self::Job(key));
        }
        let (name, key) = inner.strip_prefix("action ")?.rsplit_once(" of ")?;
        is_key(key).then_some(Self::Action { name, key })
    }

    /// Key of the manifest whose job must be there first.
    pub fn key(&self) -> &'a str {
        match self {
            Self::Job(key) | Self::Action { key, .. } => key,
        }
    }
}

/// Whether a text has the form of a manifest's key: small letters, digits and dashes.
pub fn is_key(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-')
}

/// A placeholder that nothing can be put in the place of.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub enum Unfilled {
    /// The parent was not made or read in this run.
    #[error("the parent `{key}` was not read back in this run")]
    Parent {
        /// Key of its manifest.
        key: String,
    },
    /// The parent as it was read back has no id, or no such action with an id.
    #[error("the parent `{key}`, as it was read back, has no post-action called `{name}`")]
    Action {
        /// The action's name.
        name: String,
        /// Key of the parent's manifest.
        key: String,
    },
    /// The parent as it was read back has several such actions.
    #[error("the parent `{key}`, as it was read back, has several post-actions called `{name}`")]
    Ambiguous {
        /// The action's name.
        name: String,
        /// Key of the parent's manifest.
        key: String,
    },
}

/// Puts ids in the place of all placeholders of a job, be it a request's body, a declared or a desired job.
///
/// `made` holds the parents as they were read back in this run, by the keys of their manifests.
///
/// # Errors
/// The first placeholder without an id; then the value is half filled and must not be used.
pub fn fill(value: &mut Value, made: &BTreeMap<String, LiveJob>) -> Result<(), Unfilled> {
    match value.as_object_mut() {
        Some(members) => fill_members(members, made),
        None => Ok(()),
    }
}

/// As [`fill`], for the members of a job.
///
/// # Errors
/// As for [`fill`].
pub fn fill_members(
    members: &mut Map<String, Value>,
    made: &BTreeMap<String, LiveJob>,
) -> Result<(), Unfilled> {
    visit(JOB, members, &mut |value| {
        if let Some(placeholder) = value.as_str().and_then(Placeholder::parse) {
            *value = id_for(placeholder, made)?.into();
        }
        Ok(())
    })
}

/// The placeholders of a job, in their order.
pub fn placeholders(members: &Map<String, Value>) -> Vec<String> {
    let mut found = Vec::new();
    let mut members = members.clone();
    let visited = visit(JOB, &mut members, &mut |value| {
        found.extend(value.as_str().filter(|text| Placeholder::parse(text).is_some()).map(str::to_owned));
        Ok(())
    });
    debug_assert!(visited.is_ok(), "looking does not fail");
    found
}

/// Shows every value that may be a placeholder, and keeps sets in their canonical order.
fn visit(
    rows: &'static [Member],
    members: &mut Map<String, Value>,
    see: &mut dyn FnMut(&mut Value) -> Result<(), Unfilled>,
) -> Result<(), Unfilled> {
    for row in rows.iter().filter(|row| row.is_settable()) {
        let Some(value) = members.get_mut(row.name) else { continue };
        match (row.kind, value) {
            (Type::Job, value) => see(value)?,
            (Type::Set(Element::Action), Value::Array(ids)) => {
                let before = ids.clone();
                ids.iter_mut().try_for_each(&mut *see)?;
                // What was not touched goes out as it came.
                if *ids != before {
                    sort_ids(ids);
                }
            }
            (Type::Object(rows), Value::Object(inner)) => visit(rows, inner, see)?,
            (Type::List(rows, _), Value::Array(items)) => {
                for item in items.iter_mut().filter_map(Value::as_object_mut) {
                    visit(rows, item, see)?;
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// The canonical order of a set of ids.
pub fn sort_ids(ids: &mut Vec<Value>) {
    ids.sort_by(|a, b| a.as_str().cmp(&b.as_str()));
    ids.dedup();
}

fn id_for(placeholder: Placeholder<'_>, made: &BTreeMap<String, LiveJob>) -> Result<String, Unfilled> {
    let key = placeholder.key();
    let absent = || Unfilled::Parent { key: key.to_owned() };
    let job = made.get(key).ok_or_else(absent)?;
    match placeholder {
        Placeholder::Job(_) => {
            let id = job.raw.get("id").and_then(Value::as_str).filter(|id| !id.is_empty());
            id.map(str::to_ascii_lowercase).ok_or_else(absent)
        }
        Placeholder::Action { name, .. } => {
            let (name, key) = (name.to_owned(), key.to_owned());
            match called(actions(job.normalised.members()), &name).as_slice() {
                [] => Err(Unfilled::Action { name, key }),
                [only] => match elements::action_id(only) {
                    Some(id) => Ok(id.to_ascii_lowercase()),
                    None => Err(Unfilled::Action { name, key }),
                },
                [..] => Err(Unfilled::Ambiguous { name, key }),
            }
        }
    }
}

/// The actions of a job that a rule may wait for.
pub fn actions(members: &Map<String, Value>) -> Vec<Value> {
    members.get(WAITED_FOR).and_then(Value::as_array).cloned().unwrap_or_default()
}

/// The name by which people know an action.
pub fn name(action: &Value) -> Option<&str> {
    action.pointer("/params/actionItem").and_then(Value::as_str).map(str::trim)
}

/// The actions that are called so.
pub fn called(actions: Vec<Value>, wanted: &str) -> Vec<Value> {
    actions.into_iter().filter(|action| name(action) == Some(wanted.trim())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn made() -> BTreeMap<String, LiveJob> {
        let action = |id: &str, name: &str| json!({"actionId": id, "params": {"actionItem": name}});
        let job = json!({
            "id": "5B0FD130-52c8-473c-96b1-8f10ea7d4c13",
            "postDeployActions": [
                action("00000000-0000-4000-8000-000000000001", "Stop"),
                action("00000000-0000-4000-8000-000000000002", "a of b"),
                action("00000000-0000-4000-8000-000000000003", "Twice"),
                action("00000000-0000-4000-8000-000000000004", "Twice"),
                {"params": {"actionItem": "No id"}},
            ],
        });
        BTreeMap::from([("p".to_owned(), LiveJob::new(job))])
    }

    #[track_caller]
    fn check(mut value: Value, expected: Result<Value, Unfilled>) {
        let filled = fill(&mut value, &made()).map(|()| value);
        assert_eq!(filled, expected);
    }

    fn rule(ids: &[&str]) -> Value {
        json!({"type": "Install", "chainedJobRule": [{"actionIds": ids}]})
    }

    #[test]
    fn placeholders_are_replaced_where_links_stand_and_sets_are_sorted_again() {
        check(
            json!({"linkedJobId": "{id of p}", "name": "{id of p}", "description": "{action Stop of p}"}),
            Ok(json!({
                "linkedJobId": "5b0fd130-52c8-473c-96b1-8f10ea7d4c13",
                "name": "{id of p}", "description": "{action Stop of p}",
            })),
        );
        check(
            rule(&["ffffffff-0000-4000-8000-000000000001", "{action Stop of p}", "{action a of b of p}"]),
            Ok(rule(&[
                "00000000-0000-4000-8000-000000000001",
                "00000000-0000-4000-8000-000000000002",
                "ffffffff-0000-4000-8000-000000000001",
            ])),
        );
        check(
            rule(&["00000000-0000-4000-8000-000000000001", "{action Stop of p}"]),
            Ok(rule(&["00000000-0000-4000-8000-000000000001"])),
        );
        // Not in their order, and nothing to fill: as they came.
        check(rule(&["b", "a"]), Ok(rule(&["b", "a"])));
        check(json!({"linkedJobId": {"linkedJob": "p"}}), Ok(json!({"linkedJobId": {"linkedJob": "p"}})));
        check(json!("{id of p}"), Ok(json!("{id of p}")));
    }

    #[test]
    fn what_can_not_be_filled_says_what_is_missing() {
        let absent = || Err(Unfilled::Parent { key: "q".to_owned() });
        let text = |text: &str| text.to_owned();
        check(json!({"linkedJobId": "{id of q}"}), absent());
        check(rule(&["{action Stop of q}"]), absent());
        check(rule(&["{action Start of p}"]), Err(Unfilled::Action { name: text("Start"), key: text("p") }));
        check(rule(&["{action No id of p}"]), Err(Unfilled::Action { name: text("No id"), key: text("p") }));
        check(
            rule(&["{action Twice of p}"]),
            Err(Unfilled::Ambiguous { name: text("Twice"), key: text("p") }),
        );
    }

    #[test]
    fn texts_that_are_no_placeholders() {
        for text in
            ["", "{}", "{id of }", "{id of A}", "{id of a b}", "{action x}", "{action of p}", "id of p"]
        {
            assert_eq!(Placeholder::parse(text), None, "{text}");
        }
        for text in ["{id of a-1}", "{action Stop of p}", "{action {action a of b} of p}", "{action  of p}"] {
            let read = Placeholder::parse(text).expect("a placeholder");
            assert_eq!(read.to_string(), text);
            assert!(["a-1", "p"].contains(&read.key()));
        }
    }
}
