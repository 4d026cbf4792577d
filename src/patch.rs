//! Field changes to the body of a request.
//!
//! Untouched parts are sent exactly as the server answered them, so that a request changes nothing that the
//! plan does not show. Scripts stand in a body by digest; [`with_contents`] puts the content in at the moment
//! of sending, so no plan or log ever holds it.

use std::borrow::Cow;

use base64::Engine as _;
use serde_json::{Map, Value};

use crate::diff::{FieldChange, top_level_name};
use crate::elements::{self, Match};
use crate::job::{self, JOB, Member, Owner, Type, canonical};
use crate::normalise::{self, Normalised};
use crate::script::{self, Scripts};

/// What a request carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Envelope {
    /// `type` and the members that change, each whole.
    Minimal,
    /// The whole job as it was read, overlaid with the changes: right on a server that replaces, too.
    Full,
}

impl Envelope {
    /// The word of the configuration.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Minimal => "minimal",
            Self::Full => "full",
        }
    }
}

/// Everything that the body of an update is made from.
#[derive(Clone, Copy, Debug)]
pub struct Update<'a> {
    /// The job as the API answered it.
    pub raw: &'a Value,
    /// The same, normalised.
    pub live: &'a Normalised,
    /// The job that should be.
    pub desired: &'a Normalised,
    /// What differs between the two.
    pub fields: &'a [FieldChange],
    /// The new description, stamp included; `None` where no stamp is written.
    pub description: Option<&'a str>,
}

/// The body of an update; scripts stand in it by digest.
pub fn update(envelope: Envelope, update: Update<'_>) -> Value {
    let Update { raw, live, desired, fields, description } = update;
    let empty = Map::new();
    let raw = raw.as_object().unwrap_or(&empty);
    let lifted = normalise::chained_rules(raw);
    let raw_member = |name: &str| if name == "chainedJobRule" { lifted.as_ref() } else { raw.get(name) };
    let mut body = match envelope {
        Envelope::Minimal => Map::new(),
        Envelope::Full => full_envelope(raw, lifted.as_ref()),
    };
    let changed: Vec<Cow<'_, str>> = fields.iter().map(|field| top_level_name(&field.pointer)).collect();
    let mut set = |name: &str, value: Value| {
        body.insert(name.to_owned(), value);
    };
    set("type", desired.members().get("type").or_else(|| raw.get("type")).cloned().unwrap_or(Value::Null));
    for row in JOB.iter().filter(|row| normalise::is_sent_in_update(row)) {
        if changed.iter().any(|name| name == row.name) {
            let sides = (live.members().get(row.name), desired.members().get(row.name));
            // A leftover of another schedule type is on neither side, and goes out as none and not as it was.
            let raw = raw_member(row.name).filter(|_| sides != (None, None));
            set(row.name, member(row, raw, sides.0, sides.1));
        }
    }
    for name in changed.iter().filter(|name| job::find(JOB, name).is_none()) {
        set(name, desired.members().get(&**name).cloned().unwrap_or(Value::Null));
    }
    if let Some(description) = description {
        set("description", description.into());
    }
    Value::Object(body)
}

/// The body as the samples send it: everything that was read, without the summaries that only answers hold.
fn full_envelope(raw: &Map<String, Value>, lifted: Option<&Value>) -> Map<String, Value> {
    let mut body = raw.clone();
    body.shift_remove("linkedToJob");
    body.shift_remove("linkedJobs");
    if let Some(rules) = lifted {
        body.insert("chainedJobRule".to_owned(), rules.clone());
    }
    body
}

/// One member: the raw live value where nothing differs, the desired value in the API's form where it does.
fn member(row: &Member, raw: Option<&Value>, live: Option<&Value>, desired: Option<&Value>) -> Value {
    if live == desired
        && let Some(raw) = raw
    {
        return raw.clone();
    }
    match (row.kind, desired) {
        (Type::Object(rows), None) if live.is_some_and(|live| has_switch_on(rows, live)) => {
            Value::Object(block(rows, raw, live.and_then(Value::as_object), &Map::new()))
        }
        (_, None) => canonical::wire(row, &canonical::unset(row)),
        (Type::Object(rows), Some(Value::Object(members))) => {
            Value::Object(block(rows, raw, live.and_then(Value::as_object), members))
        }
        (Type::List(rows, _), Some(Value::Array(items))) => {
            let live = live.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            let raw = raw.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
            Value::Array(list(row, rows, raw, live, items))
        }
        (Type::Script, Some(value)) => script::stored_path(value).map_or_else(|| value.clone(), Value::from),
        (_, Some(value)) => canonical::wire(row, value),
    }
}

/// Whether a switch is on somewhere in a block.
///
/// A block that is none is sent as `null`, but a switch is turned off in so many words: a server that takes `null` for
/// "not mentioned" would leave it on.
fn has_switch_on(rows: &'static [Member], value: &Value) -> bool {
    rows.iter().filter(|row| row.is_settable()).any(|row| match (row.kind, value.get(row.name)) {
        (Type::Bool, Some(value)) => *value == Value::Bool(true),
        (Type::Object(rows), Some(value)) => has_switch_on(rows, value),
        _ => false,
    })
}

fn block(
    rows: &'static [Member],
    raw: Option<&Value>,
    live: Option<&Map<String, Value>>,
    desired: &Map<String, Value>,
) -> Map<String, Value> {
    let mut body = raw.and_then(Value::as_object).cloned().unwrap_or_default();
    for row in rows.iter().filter(|row| row.is_settable()) {
        let before = live.and_then(|live| live.get(row.name));
        let after = desired.get(row.name);
        if before == after {
            continue;
        }
        // In a block that is new, a value that none means is left to the server, like any undeclared member.
        let says_nothing = after.is_none_or(|value| *value == canonical::unset(row));
        if live.is_none() && says_nothing {
            continue;
        }
        let raw_member = raw.and_then(|raw| raw.get(row.name));
        body.insert(row.name.to_owned(), member(row, raw_member, before, after));
    }
    for (name, value) in normalise::unknown_members(rows, desired) {
        body.insert(name.clone(), value.clone());
    }
    body
}

fn list(
    list: &Member,
    rows: &'static [Member],
    raw: &[Value],
    live: &[Value],
    desired: &[Value],
) -> Vec<Value> {
    let matches = elements::match_elements(desired, live);
    let elements = desired.iter().zip(matches).map(|(element, found)| {
        let empty = Map::new();
        let members = element.as_object().unwrap_or(&empty);
        match found {
            Match::Live(at) => Value::Object(block(rows, raw.get(at), live[at].as_object(), members)),
            Match::New | Match::Ambiguous(_) => {
                let mut body = block(rows, None, None, members);
                if let Some(action_type) = action_type(list.name) {
                    body.insert("actionType".to_owned(), action_type.into());
                }
                Value::Object(body)
            }
        }
    });
    elements.collect()
}

/// The type that follows from the list an action stands in (DESIGN 2).
fn action_type(list: &str) -> Option<&'static str> {
    match list {
        "preDeployActions" => Some("predeploy"),
        "postDeployActions" => Some("postdeploy"),
        _ => None,
    }
}

/// The body of a create: what the manifest declares and nothing else, the API's defaults being the API's.
///
/// `description` is the one with the stamp; `None` where no stamp is written.
pub fn create(declared: &Map<String, Value>, description: Option<&str>) -> Value {
    let mut body = declared_block(JOB, declared);
    body.shift_remove("status");
    // Armed only by the status call, after everything else is right (DESIGN 6).
    body.insert("status".to_owned(), "Disabled".into());
    if let Some(description) = description {
        body.insert("description".to_owned(), description.into());
    }
    if let Some(schedule_type) = declared.get("scheduleType").and_then(Value::as_str)
        && !declared.contains_key("recurring")
    {
        body.insert("recurring".to_owned(), (!normalise::is_run_once(Some(schedule_type))).into());
    }
    Value::Object(body)
}

/// Declared members in the API's form.
fn declared_block(rows: &'static [Member], declared: &Map<String, Value>) -> Map<String, Value> {
    let mut body = Map::new();
    for row in rows {
        let Some(value) = declared.get(row.name) else { continue };
        let value = match (row.kind, value) {
            (Type::Object(rows), Value::Object(members)) => Value::Object(declared_block(rows, members)),
            (Type::List(rows, _), Value::Array(items)) => items
                .iter()
                .map(|item| {
                    let mut body =
                        item.as_object().map(|members| declared_block(rows, members)).unwrap_or_default();
                    if let Some(action_type) = action_type(row.name) {
                        body.insert("actionType".to_owned(), action_type.into());
                    }
                    Value::Object(body)
                })
                .collect(),
            (_, value) => canonical::wire(row, value),
        };
        body.insert(row.name.to_owned(), value);
    }
    for (name, value) in normalise::unknown_members(rows, declared) {
        body.insert(name.clone(), value.clone());
    }
    body
}

/// Puts the contents of scripts into a body, as base64, where their digests stand.
///
/// # Errors
/// The digest whose content is not there.
pub fn with_contents(body: &Value, scripts: &Scripts) -> Result<Value, String> {
    let mut body = body.clone();
    each_script(JOB, &mut body, &mut |value| -> Result<(), String> {
        if let Some(digest) = script::declared_digest(value) {
            let content = scripts.content(digest).ok_or_else(|| digest.to_owned())?;
            *value = base64::engine::general_purpose::STANDARD.encode(content).into();
        }
        Ok(())
    })?;
    Ok(body)
}

/// The same job or body without the contents of scripts: what is no storage path stands in it as digest and size.
pub fn without_contents(body: &Value) -> Value {
    let mut body = body.clone();
    let masked: Result<(), std::convert::Infallible> = each_script(JOB, &mut body, &mut |value| {
        if let Some(text) = value.as_str().filter(|text| !text.is_empty() && !script::is_storage_path(text)) {
            *value = Scripts::default().keep(text.as_bytes());
        }
        Ok(())
    });
    match masked {
        Ok(()) => body,
    }
}

/// Calls a function with every script of a job or body.
fn each_script<E>(
    rows: &'static [Member],
    value: &mut Value,
    act: &mut impl FnMut(&mut Value) -> Result<(), E>,
) -> Result<(), E> {
    let Some(members) = value.as_object_mut() else { return Ok(()) };
    for row in rows {
        let Some(value) = members.get_mut(row.name) else { continue };
        match row.kind {
            Type::Script => act(value)?,
            Type::Object(rows) => each_script(rows, value, act)?,
            Type::List(rows, _) => {
                for item in value.as_array_mut().into_iter().flatten() {
                    each_script(rows, item, act)?;
                }
            }
            Type::Text
            | Type::Uuid
            | Type::Job
            | Type::Choice(_)
            | Type::OpenChoice(_)
            | Type::Bool
            | Type::Integer(..)
            | Type::WeekDays
            | Type::WeekDay
            | Type::DateTime
            | Type::Set(_)
            | Type::Addresses
            | Type::Any => {}
        }
    }
    Ok(())
}

/// Whether a row's content can not be read back.
pub fn is_write_only(row: &Member) -> bool {
    row.owner == Owner::WriteOnly
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(raw: Value, desired: Value, expected: Value) {
        let (live, desired) = (normalise::live(&raw), normalise::live(&desired));
        let fields = crate::diff::diff(&live, &desired);
        let body = update(
            Envelope::Minimal,
            Update { raw: &raw, live: &live, desired: &desired, fields: &fields, description: None },
        );
        assert_eq!(body, expected);
    }

    #[test]
    fn a_switch_is_turned_off_in_so_many_words() {
        let off = json!({"postDeployment": {"suppressReboots": false}});
        check(
            json!({"postDeployment": {"suppressReboots": true, "rebootHonorOnUserLogin": false}}),
            off.clone(),
            json!({"type": null, "postDeployment": {"suppressReboots": false, "rebootHonorOnUserLogin": false}}),
        );
        check(json!({"postDeployment": null}), off, json!({"type": null}));
        check(
            json!({"notification": {"notificationTypes": {"email": true}, "notificationConfigs": null}}),
            json!({"notification": null}),
            json!({"type": null, "notification": {"notificationTypes": {"email": false}, "notificationConfigs": null}}),
        );
        check(
            json!({"preDeployment": {"userMessage": "a"}}),
            json!({}),
            json!({"type": null, "preDeployment": null}),
        );
    }

    #[test]
    fn unknown_members_go_out_under_their_own_names() {
        check(
            json!({"type": "Install", "a/b": 1, "c~d": 1, "~1": 1}),
            json!({"type": "Install", "a/b": 2, "c~d": 3, "~1": 4}),
            json!({"type": "Install", "a/b": 2, "c~d": 3, "~1": 4}),
        );
    }
}
