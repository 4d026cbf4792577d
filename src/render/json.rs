//! Plans as JSON for programs: structs of their own shape, never a dump of inner types (DESIGN section 8).

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use crate::job::Platform;
use crate::plan::{self, Action, Change, Field, Outcome, Plan, Values};
use crate::source::Place;

/// Version of the JSON output; members are added within it, never renamed.
pub const FORMAT_VERSION: u32 = 1;

/// A plan; `api` holds the calls that were made, by kind.
pub fn plan(plan: &Plan, api: Value) -> Value {
    let mut document = json!({
        "format_version": FORMAT_VERSION,
        "command": "plan",
        "summary": summary(plan),
        "changes": plan.changes.iter().map(change).collect::<Vec<_>>(),
        "unmanaged": plan.n_unmanaged,
        "orphans": plan.n_orphans,
        "updates": plan.shown_envelope().as_str(),
        "guard": plan.guard.as_ref().map(|guard| json!({"reason": guard.reason, "help": guard.help})),
        "warnings": super::diagnostic::diagnostics_json(&plan.warnings),
        "api": api,
        "calls_needed": plan.calls_needed(),
        "base": base(plan),
        "no_longer_managed": no_longer_managed(plan),
        "fingerprint": plan.fingerprint(),
    });
    super::probe::add_planned(&mut document, plan);
    document
}

/// What became of a plan; `api` holds the calls of the whole run, by kind.
pub fn apply(plan: &Plan, outcomes: &[Outcome], api: Value) -> Value {
    let steps = plan.changes.iter().zip(outcomes);
    let made: BTreeMap<&str, &str> = steps
        .clone()
        .filter_map(|(change, outcome)| Some((&*change.key, outcome.made.as_deref()?)))
        .collect();
    let changes = steps.map(|(change, outcome)| {
        let mut object = self::change(change);
        if let Some(members) = object.as_object_mut() {
            if let (None, Some(id)) = (&change.id, made.get(change.key.as_str())) {
                members.insert("id".to_owned(), (*id).into());
            }
            members.insert("outcome".to_owned(), outcome.kind.as_str().into());
            members.insert("error".to_owned(), error(outcome));
            if let Some(Value::Array(notes)) = members.get_mut("notes") {
                notes.extend(outcome.notes.iter().map(|note| Value::from(note.as_str())));
            }
        }
        object
    });
    json!({
        "format_version": FORMAT_VERSION,
        "command": "apply",
        "summary": summary(plan),
        "outcomes": plan::counts(outcomes),
        "changes": changes.collect::<Vec<_>>(),
        "unmanaged": plan.n_unmanaged,
        "orphans": plan.n_orphans,
        "updates": plan.envelope.as_str(),
        "guard": plan.guard.as_ref().map(|guard| json!({"reason": guard.reason, "help": guard.help})),
        "warnings": super::diagnostic::diagnostics_json(&plan.warnings),
        "base": base(plan),
        "no_longer_managed": no_longer_managed(plan),
        "api": api,
        "fingerprint": plan.fingerprint(),
    })
}

/// The commit that manifests and jobs were compared with; `null` where there is none.
fn base(plan: &Plan) -> Value {
    plan.base.as_ref().map_or(Value::Null, |base| json!({"commit": base.commit, "source": base.source}))
}

fn no_longer_managed(plan: &Plan) -> Value {
    let members = plan.no_longer_managed.iter();
    members.map(|member| json!({"key": member.key, "path": member.path, "value": member.value})).collect()
}

/// Why a step is not simply done; `null` where it is.
fn error(outcome: &Outcome) -> Value {
    if outcome.error.is_empty() {
        return Value::Null;
    }
    let fields = outcome.fields.iter().map(|field| {
        let Values { sent, expected, found } = outcome.values(field);
        let mut members = Map::new();
        members.insert("path".to_owned(), field.pointer.as_str().into());
        members.insert("before".to_owned(), field.before.clone());
        members.insert("after".to_owned(), field.after.clone());
        if let Some(sent) = sent {
            members.insert("sent".to_owned(), sent.clone());
        }
        members.insert("expected".to_owned(), expected.clone());
        members.insert("found".to_owned(), found.clone());
        members
    });
    let edit = outcome.edit.as_ref().map(|edit| {
        let at = edit.at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
        json!({"id": edit.user_id, "name": edit.user, "at": at.map(|at| at.to_string())})
    });
    json!({
        "message": outcome.error,
        "help": outcome.help,
        "fields": fields.collect::<Vec<_>>(),
        "changed_by": edit,
    })
}

/// Counts by action.
pub fn summary(plan: &Plan) -> Value {
    json!({
        "create": plan.count(Action::Create),
        "update": plan.count(Action::Update),
        "enable": plan.count(Action::Enable),
        "disable": plan.count(Action::Disable),
        "delete": plan.count(Action::Delete),
        "unchanged": plan.n_unchanged,
        "blocked": plan.count(Action::Blocked),
        "held": plan.count(Action::Held),
    })
}

/// One step.
pub fn change(change: &Change) -> Value {
    let (line, _) = change.place.line_column();
    let request = change
        .request
        .as_ref()
        .map(|request| json!({"method": request.method, "path": request.path, "body": request.body}));
    let mut notes = change.notes.clone();
    notes.extend(change.unknown.iter().map(ToString::to_string));
    let mut object = json!({
        "key": change.key,
        "id": change.id,
        "name": change.name,
        "platform": change.platform.map(Platform::as_str),
        "action": change.action.as_str(),
        "reason": change.reason,
        "source": {"file": change.place.file.path, "line": line},
        "fields": change.fields.iter().map(field).collect::<Vec<_>>(),
        "request": request,
        "after": change.after,
        "notes": notes,
    });
    // Of a job that nobody edited since it was made there is nobody to name.
    if let (Some(edit), Some(members)) = (&change.edited, object.as_object_mut()) {
        let is_known = edit.user.is_some() || edit.user_id.is_some();
        let by = is_known.then(|| json!({"id": edit.user_id, "name": edit.user}));
        members.insert("changed_by".to_owned(), by.unwrap_or(Value::Null));
        members.insert("changed_at".to_owned(), json!(time(edit.at)));
    }
    if let (Some((before, after)), Some(members)) = (&change.schedule, object.as_object_mut()) {
        members.insert("schedule".to_owned(), json!({"before": before, "after": after}));
    }
    object
}

fn field(field: &Field) -> Value {
    let mut members = Map::new();
    members.insert("path".to_owned(), field.path.as_str().into());
    members.insert("before".to_owned(), field.before.clone());
    members.insert("after".to_owned(), field.after.clone());
    if let Some(base) = &field.base {
        members.insert("base".to_owned(), base.clone());
    }
    members.insert("origin".to_owned(), field.origin.as_str().into());
    members.insert("source".to_owned(), field.place.as_ref().map_or(Value::Null, place));
    Value::Object(members)
}

/// Milliseconds since 1970-01-01 UTC as RFC 3339.
fn time(at: Option<i64>) -> Option<String> {
    at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok()).map(|at| at.to_string())
}

fn place(place: &Place) -> Value {
    let (line, column) = place.line_column();
    json!({"file": place.file.path, "line": line, "column": column})
}
