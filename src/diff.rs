//! Two normalised jobs to a list of field changes.

use std::borrow::Cow;

use serde_json::{Map, Value};

use crate::elements::{self, Match};
use crate::job::{JOB, Member, Type};
use crate::normalise::Normalised;

/// One difference, as small as its type allows: a scalar, a whole set, a block of a list that is new or gone.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldChange {
    /// JSON Pointer from the job's root. Positions in lists are the desired ones; those of a block that is gone
    /// are the live ones.
    pub pointer: String,
    /// The live value in canonical form, `null` for none.
    pub before: Value,
    /// The desired value in canonical form, `null` for none.
    pub after: Value,
}

impl FieldChange {
    /// The same difference, told from the other side.
    #[must_use]
    pub fn turned(self) -> Self {
        Self { pointer: self.pointer, before: self.after, after: self.before }
    }
}

/// The differences between a live and a desired job, in the order of the table.
pub fn diff(live: &Normalised, desired: &Normalised) -> Vec<FieldChange> {
    // Most jobs are as they should be.
    if live == desired {
        return Vec::new();
    }
    let mut changes = Vec::new();
    block(JOB, live.members(), desired.members(), "", &mut changes);
    changes
}

fn block(
    rows: &'static [Member],
    live: &Map<String, Value>,
    desired: &Map<String, Value>,
    prefix: &str,
    changes: &mut Vec<FieldChange>,
) {
    for row in rows {
        let pointer = format!("{prefix}/{}", row.name);
        value(row, live.get(row.name), desired.get(row.name), &pointer, changes);
    }
    let mut others: Vec<&String> = live.keys().chain(desired.keys()).collect();
    others.retain(|name| crate::job::find(rows, name).is_none());
    others.sort();
    others.dedup();
    for name in others {
        leaf(live.get(name), desired.get(name), &format!("{prefix}/{}", escape(name)), changes);
    }
}

fn value(
    row: &Member,
    live: Option<&Value>,
    desired: Option<&Value>,
    pointer: &str,
    changes: &mut Vec<FieldChange>,
) {
    if live == desired {
        return;
    }
    match (row.kind, live, desired) {
        // A block that comes or goes is shown by its members: "interval: none to 15" says more than an object.
        (Type::Object(rows), Some(Value::Object(_)) | None, Some(Value::Object(_)) | None) => {
            let empty = Map::new();
            let members = |value: Option<&Value>| value.and_then(Value::as_object).unwrap_or(&empty).clone();
            let n_before = changes.len();
            block(rows, &members(live), &members(desired), pointer, changes);
            if changes.len() == n_before {
                leaf(live, desired, pointer, changes);
            }
        }
        (Type::List(rows, _), Some(Value::Array(_)) | None, Some(Value::Array(_)) | None) => {
            let items = |value: Option<&Value>| value.and_then(Value::as_array).cloned().unwrap_or_default();
            list(rows, &items(live), &items(desired), pointer, changes);
        }
        _ => leaf(live, desired, pointer, changes),
    }
}

fn list(
    rows: &'static [Member],
    live: &[Value],
    desired: &[Value],
    pointer: &str,
    changes: &mut Vec<FieldChange>,
) {
    let matches = elements::match_elements(desired, live);
    let empty = Map::new();
    let n_before = changes.len();
    for (at, element) in live.iter().enumerate() {
        if !matches.contains(&Match::Live(at)) {
            leaf(Some(element), None, &format!("{pointer}/{at}"), changes);
        }
    }
    for (position, (element, found)) in desired.iter().zip(&matches).enumerate() {
        let pointer = format!("{pointer}/{position}");
        match found {
            Match::Live(at) => {
                let counterpart = live[*at].as_object().unwrap_or(&empty);
                block(rows, counterpart, element.as_object().unwrap_or(&empty), &pointer, changes);
            }
            Match::New | Match::Ambiguous(_) => leaf(None, Some(element), &pointer, changes),
        }
    }
    // The order of those that stay matters too: actions run one after the other.
    let kept: Vec<usize> = matches
        .iter()
        .filter_map(|found| if let Match::Live(at) = found { Some(*at) } else { None })
        .collect();
    if !kept.is_sorted() || changes.len() == n_before {
        leaf(Some(&live.into()), Some(&desired.into()), pointer, changes);
    }
}

fn leaf(live: Option<&Value>, desired: Option<&Value>, pointer: &str, changes: &mut Vec<FieldChange>) {
    if live != desired {
        changes.push(FieldChange {
            pointer: pointer.to_owned(),
            before: live.cloned().unwrap_or(Value::Null),
            after: desired.cloned().unwrap_or(Value::Null),
        });
    }
}

/// Escapes a member's name for a JSON Pointer (RFC 6901, section 3).
pub fn escape(name: &str) -> String {
    // Hardly any name holds one of the two, and this is asked of every member.
    if name.contains(['~', '/']) { name.replace('~', "~0").replace('/', "~1") } else { name.to_owned() }
}

/// The name of a member from a part of a JSON Pointer (RFC 6901, section 4).
pub fn unescape(part: &str) -> Cow<'_, str> {
    if part.contains('~') {
        // In this order: `~01` is `~1` and not `/`.
        Cow::Owned(part.replace("~1", "/").replace("~0", "~"))
    } else {
        Cow::Borrowed(part)
    }
}

/// The name of the top-level member that a pointer leads into, as the job's object has it.
pub fn top_level_name(pointer: &str) -> Cow<'_, str> {
    unescape(top_level(pointer))
}

/// The top-level member that a pointer leads into, escaped as it stands there: to compare pointers with each other, or
/// with members of the table; [`top_level_name`] is what any member is looked up by.
pub fn top_level(pointer: &str) -> &str {
    pointer.strip_prefix('/').unwrap_or(pointer).split('/').next().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::normalise;
    use serde_json::json;

    #[track_caller]
    fn check(live: Value, desired: Value, expected: &[(&str, Value, Value)]) {
        let found = diff(&normalise::live(&live), &normalise::live(&desired));
        let found: Vec<_> =
            found.iter().map(|c| (c.pointer.as_str(), c.before.clone(), c.after.clone())).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn differences_are_as_small_as_their_type_allows() {
        check(json!({"name": "a"}), json!({"name": "a"}), &[]);
        check(json!({"name": "a"}), json!({"name": "b"}), &[("/name", json!("a"), json!("b"))]);
        check(
            json!({"postDeployment": {"rebootCountdown": {"interval": 5, "intervalUnit": "MINUTES"}}}),
            json!({"postDeployment": {"rebootCountdown": {"interval": 15, "intervalUnit": "MINUTES"}}}),
            &[("/postDeployment/rebootCountdown/interval", json!(5), json!(15))],
        );
        check(
            json!({"preDeployment": null}),
            json!({"preDeployment": {"deferment": {"count": 3}}}),
            &[("/preDeployment/deferment/count", json!(null), json!(3))],
        );
        check(json!({"futureMember": 1}), json!({}), &[("/futureMember", json!(1), json!(null))]);
    }

    #[test]
    fn names_of_members_survive_a_pointer() {
        for name in ["name", "a/b", "a~b", "~1", "/", "~", "~0~1/", ""] {
            let pointer = format!("/{}/inner/0", escape(name));
            assert_eq!(unescape(&escape(name)), name);
            assert_eq!(top_level_name(&pointer), name);
        }
    }

    #[test]
    fn blocks_of_a_list_are_compared_with_their_own_counterpart() {
        let action = |item: &str, id: &str, timeout: i64| json!({"action": "Run Script", "actionId": id, "params": {"actionItem": item, "timeout": timeout}});
        let (a, b) = (action("A", "1", 180), action("B", "2", 180));
        check(
            json!({"preDeployActions": [a, b]}),
            json!({"preDeployActions": [a, action("B", "2", 60)]}),
            &[("/preDeployActions/1/params/timeout", json!(180), json!(60))],
        );
        check(
            json!({"preDeployActions": [a, b]}),
            json!({"preDeployActions": [b]}),
            &[("/preDeployActions/0", a.clone(), json!(null))],
        );
        let swapped = diff(
            &normalise::live(&json!({"preDeployActions": [a, b]})),
            &normalise::live(&json!({"preDeployActions": [b, a]})),
        );
        assert_eq!(swapped.len(), 1);
        assert_eq!(swapped[0].pointer, "/preDeployActions");
    }
}
