//! What must be as it was after a write: all that no manifest declares, and the true contents of scripts.

use std::collections::{BTreeMap, BTreeSet};

use patchctl::{job, normalise};
use serde_json::{Map, Value, json};

use super::manifest::Draft;

/// Jobs by id and the true contents of scripts by path.
pub(crate) type Truth = (BTreeMap<String, Value>, Map<String, Value>);

/// Members of a changed job that may move though no manifest declares them.
const FOLLOWING: [&str; 3] = ["updatedBy", "description", "recurring"];

/// Members that the server writes in its own way whenever it stores a job; their meaning must stay.
const REWRITTEN: [&str; 5] =
    ["deletedBy", "startDateTime", "remediationQids", "postDeployment", "patchTuesdayPlusXDays"];

/// Holds all that is not declared against its former value, at the top and inside of blocks.
#[track_caller]
pub(crate) fn undeclared_is_kept(declared: &Map<String, Value>, before: &Value, after: &Value, key: &str) {
    let new_schedule = before["scheduleType"] != after["scheduleType"];
    let meant = (normalise::live(before), normalise::live(after));
    let (before, after) = (before.as_object().expect("a job"), after.as_object().expect("a job"));
    let names: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    for name in names {
        let row = job::find(job::JOB, name);
        // The schedule is one unit.
        let of_the_schedule = new_schedule && row.is_some_and(|row| row.schedules != job::schedules::ALL);
        let filled_in = new_schedule && ["timezone", "timezoneType"].contains(&name.as_str());
        let follows = FOLLOWING.contains(&name.as_str()) && !declared.contains_key(name);
        if of_the_schedule || filled_in || follows {
            continue;
        }
        let values = (before.get(name), after.get(name));
        match declared.get(name) {
            None if REWRITTEN.contains(&name.as_str()) => {
                assert_eq!(meant.0.members().get(name), meant.1.members().get(name), "{key} {name}");
            }
            None => assert_eq!(nothing_is_null(values.0), nothing_is_null(values.1), "{key} {name}"),
            Some(declared) => inner_is_kept(declared, values.0, values.1, &format!("{key} {name}")),
        }
    }
}

#[track_caller]
fn inner_is_kept(declared: &Value, before: Option<&Value>, after: Option<&Value>, path: &str) {
    match (declared, before, after) {
        (Value::Object(declared), Some(Value::Object(before)), Some(Value::Object(after))) => {
            for (name, before) in before {
                let path = format!("{path}.{name}");
                match declared.get(name) {
                    // The documented way in which the server stores none here (REFERENCE 5.6).
                    None if name == "onComplete" && before.is_null() => {
                        let empty =
                            json!({"userMessage": "", "description": "", "alwaysShowCompletedPrompt": false});
                        assert_eq!(after.get(name), Some(&empty), "{path}");
                    }
                    // None, in so many words: a block of which nothing is left is written whole, or stored so.
                    None if before.is_null() && [json!(false), json!("")].contains(&after[name]) => {}
                    None => assert_eq!(Some(before), after.get(name), "{path}"),
                    Some(declared) => inner_is_kept(declared, Some(before), after.get(name), &path),
                }
            }
        }
        (Value::Array(declared), Some(Value::Array(before)), Some(Value::Array(after)))
            if after.iter().any(|element| element.get("actionId").is_some()) =>
        {
            assert_eq!(declared.len(), after.len(), "{path}");
            for (declared, after) in declared.iter().zip(after) {
                let same = |other: &&Value| other["actionId"] == after["actionId"];
                if let Some(before) = before.iter().find(same) {
                    let path = format!("{path} {}", after["actionId"]);
                    // Its path is the server's, whatever was sent.
                    let mut declared = declared.clone();
                    for (content, file) in
                        [("script", "scriptFile"), ("detectionScript", "detectionScriptFile")]
                    {
                        assert!(declared.get(file).is_none(), "not generated");
                        if declared[content].is_null() && before[content].is_string() {
                            continue;
                        }
                        declared[content] = json!(null);
                    }
                    inner_is_kept(&declared, Some(before), Some(after), &path);
                }
            }
        }
        _ => {}
    }
}

/// An absent member and `null` are one: a server that replaces writes the one for the other.
fn nothing_is_null(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| !value.is_null())
}

/// True contents survive wherever no manifest declares a script, and are the declared ones wherever one does and the
/// job's members were written; says how many contents were declared.
///
/// `drafts` are by the id of their job, `written` are ids.
#[track_caller]
pub(crate) fn scripts_are_kept(
    drafts: &BTreeMap<String, &Draft>,
    written: &BTreeSet<String>,
    before: &Truth,
    after: &Truth,
) -> usize {
    let mut declared: BTreeSet<String> = BTreeSet::new();
    // A job that is not written to, because its change is blocked, keeps what it had.
    for (id, draft) in drafts.iter().filter(|(id, _)| written.contains(*id)) {
        for list in ["preDeployActions", "postDeployActions"] {
            let (Some(Value::Array(manifest)), Some(Value::Array(stored))) =
                (draft.spec.get(list), after.0[id].get(list))
            else {
                continue;
            };
            for (action, stored) in manifest.iter().zip(stored) {
                for content in ["script", "detectionScript"] {
                    let (Some(text), Some(path)) = (action[content].as_str(), stored[content].as_str())
                    else {
                        continue;
                    };
                    if !text.is_empty() {
                        assert_eq!(after.1.get(path), Some(&json!(text)), "{} {path}", draft.key);
                        declared.insert(path.to_owned());
                    }
                }
            }
        }
    }
    for (path, content) in before.1.iter().filter(|(path, _)| !declared.contains(*path)) {
        assert_eq!(after.1.get(path), Some(content), "{path}");
    }
    declared.len()
}
