//! Brings live and desired jobs to the one form in which they are compared.
//!
//! Equality, display and request all use this form; only this module can make it. It knows the rules that
//! look at more than one member: which members a schedule type uses, what a platform has, where chained rules
//! stand, what the server fills in by itself. The form of single values is `job::canonical`'s business.
//!
//! Absent and `null` are the same and are written by leaving the member out.
//! `normalise(normalise(x)) == normalise(x)`, by property test.

use serde_json::{Map, Value};

use crate::job::{self, Empty, JOB, Member, Owner, Platform, Type, canonical, schedules};
use crate::{script, stamp};

/// A job in the form in which jobs are compared: known members canonical, in the order of the table.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Normalised(Map<String, Value>);

impl Normalised {
    /// The members.
    pub fn members(&self) -> &Map<String, Value> {
        &self.0
    }

    /// A member's text, where it has one.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).and_then(Value::as_str)
    }

    /// The canonical schedule type, where it is known.
    pub fn schedule_type(&self) -> Option<&str> {
        self.text("scheduleType")
    }

    /// The value at a JSON Pointer.
    pub fn at(&self, pointer: &str) -> Option<&Value> {
        at(&self.0, pointer)
    }
}

/// The value at a JSON Pointer below an object.
pub fn at<'a>(members: &'a Map<String, Value>, pointer: &str) -> Option<&'a Value> {
    let rest = pointer.strip_prefix('/')?;
    match rest.split_once('/') {
        None => members.get(rest),
        Some((name, inner)) => members.get(name)?.pointer(&format!("/{inner}")),
    }
}

/// Normalises a job as the API answered it (or one that is normalised already).
///
/// Nothing is refused: a value that the table can not read is kept as it came, so that a newer server does
/// not stop the tool.
pub fn live(raw: &Value) -> Normalised {
    let empty = Map::new();
    let raw = raw.as_object().unwrap_or(&empty);
    let mut members = block(JOB, raw);
    let mut set = |name: &str, value: &Value| {
        if let Some(row) = job::find(JOB, name) {
            members.insert(name.to_owned(), live_value(row, value));
        }
    };
    if let Some(rules) = chained_rules(raw) {
        set("chainedJobRule", &rules);
    }
    if let Some(Value::String(description)) = raw.get("description") {
        set("description", &stamp::split(description).0.into());
    }
    from_canonical(members)
}

/// Applies the rules between members to an object whose members are canonical.
pub fn from_canonical(members: Map<String, Value>) -> Normalised {
    let platform = members.get("platform").and_then(Value::as_str).and_then(Platform::parse);
    let mut members = finish(JOB, members, platform);
    let used = members.get("scheduleType").and_then(Value::as_str).map_or(schedules::ALL, schedules::bit);
    for row in JOB.iter().filter(|row| row.schedules & used == 0) {
        members.shift_remove(row.name);
    }
    // Each machine's own zone is meant, whatever is stored beside it.
    if members.get("timezoneType").and_then(Value::as_str) == Some("AGENT_TZ") {
        members.shift_remove("timezone");
    }
    Normalised(members)
}

/// The chained rules, which answers hold in the parents' summaries and requests at the top (REFERENCE 10).
///
/// What the server adds to a rule in its answer is left out: no documented request carries it.
pub fn chained_rules(raw: &Map<String, Value>) -> Option<Value> {
    let at_the_top = raw.get("chainedJobRule").filter(|rules| rules.is_array());
    // An empty list beside rules in the parents' summaries is a form of "see there", and must not wipe them.
    if let Some(Value::Array(rules)) = at_the_top
        && !rules.is_empty()
    {
        return at_the_top.cloned();
    }
    let rows = job::find(JOB, "chainedJobRule").map_or(&[][..], Member::members);
    let is_ours = |name: &str| job::find(rows, name).is_none_or(|row| row.owner != Owner::Server);
    let parents = raw.get("linkedToJob").and_then(Value::as_array);
    let rules: Vec<Value> = parents
        .into_iter()
        .flatten()
        .filter_map(|parent| parent.get("chainedJobRule")?.as_array())
        .flatten()
        .cloned()
        .map(|mut rule| {
            if let Some(members) = rule.as_object_mut() {
                members.retain(|name, _| is_ours(name));
            }
            rule
        })
        .collect();
    if rules.is_empty() { at_the_top.cloned() } else { Some(Value::Array(rules)) }
}

/// Brings the members of a live block to canonical form, leniently.
fn block(rows: &'static [Member], raw: &Map<String, Value>) -> Map<String, Value> {
    let mut members = Map::with_capacity(raw.len());
    for row in rows.iter().filter(|row| row.is_settable()) {
        if let Some(value) = raw.get(row.name) {
            members.insert(row.name.to_owned(), live_value(row, value));
        }
    }
    for (name, value) in unknown_members(rows, raw) {
        members.insert(name.clone(), value.clone());
    }
    members
}

/// One live value in canonical form, leniently.
pub(crate) fn live_value(row: &Member, value: &Value) -> Value {
    match (row.kind, value) {
        (Type::Object(rows), Value::Object(raw)) => Value::Object(block(rows, raw)),
        (Type::List(rows, _), Value::Array(items)) => items
            .iter()
            .map(|item| match item {
                Value::Object(raw) => Value::Object(block(rows, raw)),
                other => other.clone(),
            })
            .collect(),
        (Type::Script, value) => script::live(value),
        (_, value) => canonical::canonical(row, value).unwrap_or_else(|_| value.clone()),
    }
}

/// Members of an object that the table does not know; they are carried along and never dropped.
pub fn unknown_members<'a>(
    rows: &'static [Member],
    members: &'a Map<String, Value>,
) -> impl Iterator<Item = (&'a String, &'a Value)> {
    members.iter().filter(move |(name, _)| job::find(rows, name).is_none())
}

/// Fills in what none means, leaves out what is none, and puts the members into the order of the table.
fn finish(
    rows: &'static [Member],
    mut members: Map<String, Value>,
    platform: Option<Platform>,
) -> Map<String, Value> {
    let mut finished = Map::with_capacity(members.len());
    for row in rows.iter().filter(|row| row.is_settable()) {
        // The order of the rest is of no account: what is left of it is sorted below.
        let value = members.swap_remove(row.name).unwrap_or_else(|| canonical::unset(row));
        let value = match (row.kind, value) {
            (Type::Object(inner), Value::Object(members)) => Value::Object(finish(inner, members, platform)),
            (Type::List(inner, _), Value::Array(items)) => {
                let items = items.into_iter().map(|item| match item {
                    Value::Object(members) => Value::Object(finish(inner, members, platform)),
                    other => other,
                });
                items.collect()
            }
            (_, value) => value,
        };
        if !is_none(row, &value, platform) {
            finished.insert(row.name.to_owned(), value);
        }
    }
    members.sort_keys();
    finished.extend(members.into_iter().filter(|(_, value)| !value.is_null()));
    finished
}

/// Whether a finished value says nothing.
fn is_none(row: &Member, value: &Value, platform: Option<Platform>) -> bool {
    let elsewhere = row.platform.is_some_and(|(only, _)| platform.is_some_and(|platform| platform != only));
    match value {
        Value::Null => true,
        // A switch that the platform does not have is off, whether it says so or says nothing.
        Value::Bool(false) => elsewhere,
        Value::Array(items) => items.is_empty() && matches!(row.kind, Type::List(..)),
        Value::Object(members) => row.empty == Empty::AllMembers && says_nothing(row.members(), members),
        Value::Bool(true) | Value::Number(_) | Value::String(_) => false,
    }
}

fn says_nothing(rows: &'static [Member], members: &Map<String, Value>) -> bool {
    members
        .iter()
        .all(|(name, value)| job::find(rows, name).is_some_and(|row| *value == canonical::unset(row)))
}

/// Whether a live status is armed or past: anything but `Disabled` (REFERENCE 8).
pub fn is_armed(status: Option<&str>) -> bool {
    status.is_some_and(|status| !status.eq_ignore_ascii_case("Disabled"))
}

/// Whether jobs of this schedule type run once, so that enabling is a one-way door (REFERENCE 8).
pub fn is_run_once(schedule_type: Option<&str>) -> bool {
    matches!(schedule_type, Some("On-demand" | "Once"))
}

/// Whether jobs of this schedule type surely run again and again, so that they can be disabled again (REFERENCE 8).
pub fn is_recurring(schedule_type: Option<&str>) -> bool {
    matches!(schedule_type, Some("Daily" | "Weekly" | "Monthly"))
}

/// Whether a job may be edited without a doubt: it is surely not armed, or it surely runs again and again.
///
/// Whatever is not understood, a status that is no text or a schedule type that is not known, is taken for the worse.
pub fn is_safely_editable(job: &Normalised) -> bool {
    let disabled = job.text("status").is_some_and(|status| !is_armed(Some(status)));
    disabled || is_recurring(job.schedule_type())
}

/// Whether a row's declared value goes out with an update; the status has a call of its own.
pub fn is_sent_in_update(row: &Member) -> bool {
    row.owner != Owner::Status
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn equal(left: Value, right: Value) {
        let (left, right) = (live(&left), live(&right));
        assert_eq!(left, right);
        assert_eq!(live(&Value::Object(left.members().clone())), left, "twice");
    }

    #[track_caller]
    fn different(left: Value, right: Value) {
        assert_ne!(live(&left), live(&right));
    }

    /// Each row of REFERENCE section 10, and what was concluded from it.
    #[test]
    fn what_means_the_same_is_equal() {
        equal(json!({"patchTuesdayPlusXDays": "-12"}), json!({"patchTuesdayPlusXDays": -12}));
        equal(json!({"remediationQids": null}), json!({"remediationQids": []}));
        equal(json!({"assetIds": null}), json!({"assetIds": []}));
        equal(json!({"dynamicPatchesQQL": null, "linkedJobId": ""}), json!({"dynamicPatchesQQL": ""}));
        equal(
            json!({"postDeployment": {"onComplete": null}}),
            json!({"postDeployment": {"onComplete": {"userMessage": "", "description": "", "alwaysShowCompletedPrompt": false}}}),
        );
        equal(json!({"deletedBy": {"user": null, "date": null}}), json!({"deletedBy": null}));
        equal(
            json!({"startDateTime": "2025-07-01 09:57:18 AM"}),
            json!({"startDateTime": "2025-7-01 09:57:18 AM"}),
        );
        equal(json!({"scheduleType": "On-demand"}), json!({"scheduleType": "On-Demand"}));
        equal(
            json!({"scheduleType": "On-demand", "startDateTime": "2025-7-01 09:57:18 AM", "patchTuesdayPlusXDays": -12}),
            json!({"scheduleType": "On-demand"}),
        );
        equal(
            json!({"timezoneType": "AGENT_TZ", "timezone": "UTC"}),
            json!({"timezoneType": "AGENT_TZ", "timezone": null}),
        );
        equal(json!({"patchCount": 3, "assetCount": "9"}), json!({}));
        equal(
            json!({"platform": "Linux", "minimizeWindow": null}),
            json!({"platform": "Linux", "minimizeWindow": false}),
        );
        equal(
            json!({"platform": "Windows", "continueOnPatchFailure": null}),
            json!({"platform": "Windows", "continueOnPatchFailure": false}),
        );
        equal(json!({"preDeployActions": []}), json!({"preDeployActions": null}));
        equal(
            json!({"description": "a\n[patchctl:o/k 1:00000000:00000000:00000000]"}),
            json!({"description": "a"}),
        );
    }

    #[test]
    fn the_rule_that_answers_hold_in_the_parent_is_lifted() {
        let rule = json!({"field": "postDeployAction", "actionIds": ["07eed865-d8e2-4cba-9c2a-27eeeef0598a"], "condition": "Post Actions were successfully executed"});
        let with = |extra: Value| {
            let mut rule = rule.clone();
            rule.as_object_mut().expect("an object").extend(extra.as_object().expect("an object").clone());
            rule
        };
        equal(
            json!({"chainedJobRule": [with(json!({"threshold": "100"}))]}),
            json!({"linkedToJob": [{"id": "x", "chainedJobRule": [with(json!({"id": null, "threshold": 100, "actionDetails": [{}]}))]}]}),
        );
    }

    /// A server that shows an empty list at the top must not make us send one: that would wipe the rules.
    #[test]
    fn an_empty_list_at_the_top_does_not_hide_the_rules_of_the_parent() {
        let rule = json!({"field": "postDeployAction", "threshold": 100});
        let raw = json!({"chainedJobRule": [], "linkedToJob": [{"id": "x", "chainedJobRule": [rule]}]});
        assert_eq!(chained_rules(raw.as_object().expect("an object")), Some(json!([rule])));
        let none = json!({"chainedJobRule": [], "linkedToJob": null});
        assert_eq!(chained_rules(none.as_object().expect("an object")), Some(json!([])));
    }

    #[test]
    fn what_means_something_else_is_different() {
        different(json!({"timezone": "UTC"}), json!({"timezone": "Europe/Berlin"}));
        different(json!({"timeout": -1}), json!({"timeout": null}));
        different(json!({"patchTuesdayPlusXDays": 0}), json!({"patchTuesdayPlusXDays": null}));
        different(
            json!({"scheduleType": "Weekly", "recurringWeekDays": "0,0,1,0,0,0,0"}),
            json!({"scheduleType": "Weekly"}),
        );
        different(json!({"futureMember": 1}), json!({"futureMember": 2}));
        different(
            json!({"platform": "Linux", "continueOnPatchFailure": null}),
            json!({"platform": "Linux", "continueOnPatchFailure": false}),
        );
    }
}
