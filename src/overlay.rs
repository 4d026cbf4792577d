//! The desired job: what a manifest declares, laid over the live job.
//!
//! A member that is not mentioned keeps its live value; `null` means none; a declared list is managed whole,
//! its blocks matched to the live ones (DESIGN 4). The same holds inside objects that the table does not know, whose
//! lists are taken whole. What would lose a script that nobody can read back is
//! reported as an issue, not decided here.

use serde_json::{Map, Value};

use crate::elements::{self, Match};
use crate::job::{JOB, Member, Owner, Type, find, schedules};
use crate::normalise::{self, Normalised};
use crate::script;

/// Why an overlay may not be carried out as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Issue {
    /// Several live actions have this kind and display name, and the manifest gives no `actionId`.
    AmbiguousAction {
        /// JSON Pointer of the declared action.
        pointer: String,
        /// Its display name.
        item: String,
        /// The ids of the live actions.
        ids: Vec<String>,
    },
    /// A declared Run Script action matches no live one and brings no script.
    MissingScript {
        /// JSON Pointer of the declared action.
        pointer: String,
        /// Its display name.
        item: String,
    },
    /// A live script would be gone, and its content can not be read back.
    LostScript {
        /// JSON Pointer of the live script.
        pointer: String,
        /// The action's display name.
        item: String,
        /// The action's id.
        action_id: String,
    },
}

/// A desired job and what is to be said of it.
#[derive(Clone, Debug)]
pub struct Overlay {
    /// The job that should be.
    pub desired: Normalised,
    /// What stands in the way.
    pub issues: Vec<Issue>,
}

/// Lays declared members (canonical, `null` for none) over a live job.
///
/// `scripts_are_known` says that the live scripts are the declared ones, as the stamp's digest proves;
/// otherwise every declared script is a difference.
pub fn overlay(declared: &Map<String, Value>, live: &Normalised, scripts_are_known: bool) -> Overlay {
    let mut walk = Walk { scripts_are_known, issues: Vec::new() };
    let mut members = walk.block(JOB, declared, live.members(), "");
    keep_armed_status(declared, live, &mut members);
    keep_filled_in_zone(declared, live, &mut members);
    follow_schedule_type(declared, live, &mut members);
    Overlay { desired: normalise::from_canonical(members), issues: walk.issues }
}

/// A declared `Enabled` equals every live status but `Disabled` (DESIGN 4).
///
/// So does any other status but that one: nobody can ask for more than to be armed, and what the server makes of that
/// goes on by itself. A declared none asks for nothing, because a job can not be without a status.
fn keep_armed_status(declared: &Map<String, Value>, live: &Normalised, members: &mut Map<String, Value>) {
    let keeps = match declared.get("status") {
        Some(Value::Null) => true,
        Some(declared) => normalise::is_armed(declared.as_str()) && normalise::is_armed(live.text("status")),
        None => false,
    };
    if keeps && let Some(status) = live.members().get("status") {
        members.insert("status".to_owned(), status.clone());
    }
}

/// The server fills in the zone of an On-demand job by itself, so that a declared none can not hold (REFERENCE 5.5).
fn keep_filled_in_zone(declared: &Map<String, Value>, live: &Normalised, members: &mut Map<String, Value>) {
    if members.get("scheduleType").and_then(Value::as_str) != Some("On-demand") {
        return;
    }
    for name in ["timezoneType", "timezone"] {
        if let (Some(Value::Null), Some(value)) = (declared.get(name), live.members().get(name)) {
            members.insert(name.to_owned(), value.clone());
        }
    }
}

/// The schedule is one unit: `recurring` follows a changed schedule type unless it is declared (REFERENCE 5.5).
fn follow_schedule_type(declared: &Map<String, Value>, live: &Normalised, members: &mut Map<String, Value>) {
    let Some(schedule_type) = declared.get("scheduleType").and_then(Value::as_str) else {
        return;
    };
    if live.schedule_type() != Some(schedule_type) && !declared.contains_key("recurring") {
        members.insert("recurring".to_owned(), Value::Bool(!normalise::is_run_once(Some(schedule_type))));
    }
}

/// Schedule members that a live job still holds though its new schedule type must not see them.
///
/// The server does not police leftovers (REFERENCE 5.5); when the type changes they are sent as `null`, lest
/// one of them comes to life.
pub fn schedule_leftovers(
    raw: &Value,
    live: &Normalised,
    desired: &Normalised,
) -> Vec<(&'static Member, Value)> {
    if live.schedule_type() == desired.schedule_type() {
        return Vec::new();
    }
    let kept = |row: &&'static Member| {
        row.schedules != schedules::ALL
            && !live.members().contains_key(row.name)
            && !desired.members().contains_key(row.name)
    };
    let value = |row: &'static Member| {
        let value = raw.get(row.name)?;
        let value = crate::job::canonical::canonical(row, value).unwrap_or_else(|_| value.clone());
        (value != crate::job::canonical::unset(row)).then_some((row, value))
    };
    JOB.iter().filter(kept).filter_map(value).collect()
}

/// A declared value that the table does not know, laid over the live one; `None` where it asks for what is there: none.
fn unknown(declared: &Value, live: Option<&Value>) -> Option<Value> {
    match (declared, live) {
        // Absent and none are the same, so a server may leave out what it was told to empty.
        (Value::Null, None) => None,
        (Value::Object(declared), Some(Value::Object(live))) => {
            let mut members = live.clone();
            for (name, value) in declared {
                if let Some(value) = unknown(value, live.get(name)) {
                    members.insert(name.clone(), value);
                }
            }
            Some(Value::Object(members))
        }
        (declared, _) => Some(declared.clone()),
    }
}

struct Walk {
    scripts_are_known: bool,
    issues: Vec<Issue>,
}

impl Walk {
    fn block(
        &mut self,
        rows: &'static [Member],
        declared: &Map<String, Value>,
        live: &Map<String, Value>,
        prefix: &str,
    ) -> Map<String, Value> {
        let undeclared = live.iter().filter(|(name, _)| !declared.contains_key(*name));
        let mut members: Map<_, _> = undeclared.map(|(name, value)| (name.clone(), value.clone())).collect();
        for (name, value) in declared {
            let pointer = format!("{prefix}/{name}");
            let desired = match find(rows, name) {
                Some(row) => self.value(row, value, live.get(name), &pointer),
                None => match unknown(value, live.get(name)) {
                    Some(value) => value,
                    None => continue,
                },
            };
            members.insert(name.clone(), desired);
        }
        members
    }

    fn value(
        &mut self,
        row: &'static Member,
        declared: &Value,
        live: Option<&Value>,
        pointer: &str,
    ) -> Value {
        match (row.kind, declared) {
            (Type::Object(rows), Value::Object(members)) => {
                let empty = Map::new();
                let live = live.and_then(Value::as_object).unwrap_or(&empty);
                Value::Object(self.block(rows, members, live, pointer))
            }
            (Type::List(rows, _), _) => {
                let live = live.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let declared = declared.as_array().map_or(&[][..], Vec::as_slice);
                Value::Array(self.list(rows, declared, live, pointer))
            }
            (Type::Script, _) => match live {
                Some(stored) if self.scripts_are_known && !declared.is_null() => stored.clone(),
                Some(_) | None => declared.clone(),
            },
            (_, value) => value.clone(),
        }
    }

    fn list(
        &mut self,
        rows: &'static [Member],
        declared: &[Value],
        live: &[Value],
        pointer: &str,
    ) -> Vec<Value> {
        let matches = elements::match_elements(declared, live);
        let empty = Map::new();
        let mut desired = Vec::new();
        for (position, (element, found)) in declared.iter().zip(&matches).enumerate() {
            let pointer = format!("{pointer}/{position}");
            let members = element.as_object().unwrap_or(&empty);
            let counterpart = match found {
                Match::Live(at) => live[*at].as_object().unwrap_or(&empty),
                Match::New => {
                    self.check_new(rows, members, element, position, &pointer);
                    &empty
                }
                Match::Ambiguous(candidates) => {
                    let ids = candidates.iter().filter_map(|at| elements::action_id(&live[*at]));
                    self.issues.push(Issue::AmbiguousAction {
                        pointer: pointer.clone(),
                        item: elements::label(element, position),
                        ids: ids.map(str::to_owned).collect(),
                    });
                    &empty
                }
            };
            desired.push(Value::Object(self.block(rows, members, counterpart, &pointer)));
        }
        let ambiguous = matches.iter().any(|found| matches!(found, Match::Ambiguous(_)));
        if !ambiguous {
            self.check_lost(rows, &matches, &desired, live, pointer);
        }
        desired
    }

    /// A new scripted action must bring its script: one under a new name is most likely a renamed one, and the
    /// script of the old name is gone with it.
    fn check_new(
        &mut self,
        rows: &'static [Member],
        members: &Map<String, Value>,
        element: &Value,
        position: usize,
        pointer: &str,
    ) {
        let has_scripts = rows.iter().any(|row| row.owner == Owner::WriteOnly);
        let is_script = members.get("action").and_then(Value::as_str) == Some("Run Script");
        let built_in = members.get("defaultScriptType").is_some_and(|value| !value.is_null());
        if has_scripts && is_script && !built_in && !members.contains_key("script") {
            let item = elements::label(element, position);
            self.issues.push(Issue::MissingScript { pointer: pointer.to_owned(), item });
        }
    }

    /// Reports live scripts that the desired list does not hold any more.
    fn check_lost(
        &mut self,
        rows: &'static [Member],
        matches: &[Match],
        desired: &[Value],
        live: &[Value],
        pointer: &str,
    ) {
        for (at, element) in live.iter().enumerate() {
            let kept =
                matches.iter().position(|found| *found == Match::Live(at)).map(|position| &desired[position]);
            for row in rows.iter().filter(|row| row.owner == Owner::WriteOnly) {
                let had = element.get(row.name).is_some_and(|value| script::stored_path(value).is_some());
                let has = kept.is_some_and(|kept| kept.get(row.name).is_some_and(|value| !value.is_null()));
                if had && !has {
                    self.issues.push(Issue::LostScript {
                        pointer: format!("{pointer}/{at}/{}", row.name),
                        item: elements::label(element, at),
                        action_id: elements::action_id(element).unwrap_or("unknown").to_owned(),
                    });
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(declared: Value, live: Value, expected: Value) {
        let declared = declared.as_object().expect("an object");
        let found = overlay(declared, &normalise::live(&live), false).desired;
        assert_eq!(found, normalise::live(&expected));
    }

    #[test]
    fn undeclared_members_of_unknown_objects_stay() {
        check(
            json!({"future": {"a": {"x": 2}, "list": [3]}}),
            json!({"future": {"a": {"x": 1, "y": 1}, "b": true, "list": [1, 2]}}),
            json!({"future": {"a": {"x": 2, "y": 1}, "b": true, "list": [3]}}),
        );
        check(json!({"future": {"a": 1}}), json!({"future": 5}), json!({"future": {"a": 1}}));
        check(json!({"future": 5}), json!({"future": {"a": 1}}), json!({"future": 5}));
        check(
            json!({"postDeployment": {"future": {"a": 2}}}),
            json!({"postDeployment": {"future": {"a": 1, "b": 1}}}),
            json!({"postDeployment": {"future": {"a": 2, "b": 1}}}),
        );
    }

    #[test]
    fn none_in_an_unknown_object_is_what_is_not_there() {
        check(json!({"future": {"a": null}}), json!({"future": {"b": 1}}), json!({"future": {"b": 1}}));
        check(json!({"future": {"a": null}}), json!({"future": {"a": 1}}), json!({"future": {"a": null}}));
        check(json!({"future": null}), json!({"future": {"a": 1}}), json!({}));
    }
}
