//! Manifests about live jobs: the faithful one, which declares all that a person can set, and parts of it.

use patchctl::job::{JOB, Member, Owner, Type};
use serde_json::{Map, Value, json};

use super::dice::Dice;
use super::forms;
use super::server;

/// What a manifest declares of scripts.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum ScriptMembers {
    /// Nothing: the live ones are kept.
    Left,
    /// A text for each live script.
    Declared,
}

/// A manifest, not yet text.
#[derive(Clone, Debug)]
pub(crate) struct Draft {
    pub(crate) key: String,
    pub(crate) id: Option<String>,
    pub(crate) spec: Map<String, Value>,
}

impl Draft {
    /// The manifest as YAML, in one of two styles: flow with everything quoted, or block.
    pub(crate) fn text(&self, dice: &mut Dice) -> String {
        let mut metadata = json!({"key": self.key});
        if let Some(id) = &self.id {
            metadata["id"] = id.as_str().into();
        }
        let document = json!({
            "apiVersion": "patchctl/v1", "kind": "DeploymentJob", "metadata": metadata, "spec": self.spec,
        });
        // JSON is YAML; the other writer brings plain and block scalars.
        if dice.chance(50) {
            serde_yaml::to_string(&document).expect("plain data")
        } else {
            serde_json::to_string_pretty(&document).expect("plain data")
        }
    }
}

/// Declares every settable member of a live job, in any form.
pub(crate) fn faithful(dice: &mut Dice, live: &Value, scripts: ScriptMembers) -> Map<String, Value> {
    // Rules are declared where requests carry them.
    let stored = server::stored(live);
    let mut spec = block(dice, JOB, stored.as_object().expect("a job"), scripts);
    // A manifest is found by its name and platform, in the API's own spelling of the name.
    for name in ["name", "platform"] {
        spec.insert(name.to_owned(), live[name].clone());
    }
    // A manifest says whether the job is armed, and nothing else of its status.
    if spec.contains_key("status") {
        match live["status"].as_str() {
            Some(status) => {
                let declared = if status.eq_ignore_ascii_case("Disabled") { "Disabled" } else { "Enabled" };
                spec.insert("status".to_owned(), declared.into());
            }
            None => drop(spec.shift_remove("status")),
        }
    }
    spec
}

fn block(
    dice: &mut Dice,
    rows: &'static [Member],
    raw: &Map<String, Value>,
    scripts: ScriptMembers,
) -> Map<String, Value> {
    let mut declared = Map::new();
    for row in rows.iter().filter(|row| row.is_settable()) {
        let value = match raw.get(row.name) {
            // Saying that there is none is as true as saying nothing.
            None | Some(Value::Null) if row.owner != Owner::WriteOnly => {
                dice.chance(70).then_some(Value::Null)
            }
            None => None,
            Some(value) => member(dice, row, value, scripts),
        };
        if let Some(value) = value {
            declared.insert(row.name.to_owned(), value);
        }
    }
    declared
}

fn member(dice: &mut Dice, row: &Member, raw: &Value, scripts: ScriptMembers) -> Option<Value> {
    match (row.kind, raw) {
        (Type::Script, Value::String(path)) if !path.is_empty() => {
            (scripts == ScriptMembers::Declared).then(|| format!("# {}\n", path.len() + dice.below(9)).into())
        }
        (Type::Script, _) => dice.chance(30).then(|| dice.pick(&[json!(null), json!("")])),
        (Type::Object(rows), Value::Object(members)) => Some(block(dice, rows, members, scripts).into()),
        (Type::List(_, _), Value::Array(items)) if items.is_empty() => {
            Some(dice.pick(&[json!(null), json!([])]))
        }
        (Type::List(rows, _), Value::Array(items)) => {
            let twins = has_twins(items);
            let items = items.iter().filter_map(Value::as_object).map(|item| {
                let mut element = block(dice, rows, item, scripts);
                // The id may be left to the names, where they tell the actions apart.
                if !twins && item.contains_key("actionId") && dice.chance(50) {
                    element.shift_remove("actionId");
                }
                element
            });
            Some(items.collect::<Vec<_>>().into())
        }
        _ => Some(forms::any(dice, row, raw)),
    }
}

/// Whether two actions can be told apart by their ids only.
fn has_twins(items: &[Value]) -> bool {
    let name = |item: &Value| (item["action"].clone(), item.pointer("/params/actionItem").cloned());
    items.iter().enumerate().any(|(at, item)| items[..at].iter().any(|other| name(other) == name(item)))
}

/// Leaves out members at random; lists stay whole, and what tells jobs and actions apart stays.
pub(crate) fn subset(dice: &mut Dice, spec: &Map<String, Value>) -> Map<String, Value> {
    part(dice, JOB, spec, &["name", "platform"])
}

fn part(
    dice: &mut Dice,
    rows: &'static [Member],
    declared: &Map<String, Value>,
    kept: &[&str],
) -> Map<String, Value> {
    let mut rest = Map::new();
    for (name, value) in declared {
        if !kept.contains(&name.as_str()) && dice.chance(50) {
            continue;
        }
        let kind = rows.iter().find(|row| row.name == name).map(|row| row.kind);
        let value = match (kind, value) {
            (Some(Type::Object(rows)), Value::Object(members)) => {
                let kept: &[&str] = if members.contains_key("actionItem") { &["actionItem"] } else { &[] };
                part(dice, rows, members, kept).into()
            }
            (Some(Type::List(rows, _)), Value::Array(items)) => {
                let kept = &["actionId", "action", "params"];
                let items = items.iter().filter_map(Value::as_object);
                items.map(|item| part(dice, rows, item, kept)).collect::<Vec<_>>().into()
            }
            _ => value.clone(),
        };
        rest.insert(name.clone(), value);
    }
    rest
}
