//! The contents of scripts beside what they were at the base, for `--show-scripts`.

use serde_json::Value;

use super::planning::{Made, Request};
use super::session::Failure;
use crate::base::Base;
use crate::elements;
use crate::plan::{Change, Field};
use crate::render::scripts::{Before, ScriptText};
use crate::script;

impl Request<'_> {
    /// All scripts that a plan would set.
    ///
    /// The base is read only where there is one: that is a process of its own.
    pub(super) fn script_texts(&self, made: &Made) -> Result<Vec<ScriptText>, Failure> {
        let fields =
            made.plan.changes.iter().flat_map(|change| change.fields.iter().map(move |f| (change, f)));
        let scripts: Vec<(&Change, String, &Value)> = fields
            .flat_map(|(change, field)| {
                declared(field).into_iter().map(move |(path, value)| (change, path, value))
            })
            .collect();
        if scripts.is_empty() {
            return Ok(Vec::new());
        }
        let base = self.read_base(&made.ledger)?;
        let texts = scripts.into_iter().filter_map(|(change, path, value)| {
            let after = made.scripts.content(script::declared_digest(value)?)?.to_vec();
            let label = label(change, &path);
            let before = match &base {
                None => Before::NoBase,
                Some(base) => {
                    let content = at_base(base, &change.key, &path, &label);
                    content.map_or(Before::Undeclared, |content| Before::Content(content.to_vec()))
                }
            };
            Some(ScriptText { key: change.key.clone(), path, label, before, after })
        });
        Ok(texts.collect())
    }
}

/// The scripts in a difference: it is one, or it is a whole action with its scripts.
fn declared(field: &Field) -> Vec<(String, &Value)> {
    if script::declared_digest(&field.after).is_some() {
        return vec![(field.path.clone(), &field.after)];
    }
    let Value::Object(members) = &field.after else { return Vec::new() };
    let inner = script::all_declared(members).into_iter();
    inner.map(|(path, value)| (format!("{}{path}", field.path), value)).collect()
}

/// List, position and member of a path that leads into an action.
fn parts(path: &str) -> Option<(&str, usize, &str)> {
    let mut parts = path.strip_prefix('/')?.splitn(3, '/');
    Some((parts.next()?, parts.next()?.parse().ok()?, parts.next()?))
}

fn label(change: &Change, path: &str) -> String {
    let element = parts(path).and_then(|(list, at, _)| {
        let desired = &change.basis.as_ref()?.desired;
        Some(elements::label(desired.at(&format!("/{list}/{at}"))?, at))
    });
    element.unwrap_or_default()
}

/// The content of a script at the base: of the action that people call the same there.
fn at_base<'b>(base: &'b Base, key: &str, path: &str, label: &str) -> Option<&'b [u8]> {
    let manifest = base.manifests.get(key)?.manifest.as_ref()?;
    let (list, position, member) = parts(path)?;
    let actions = manifest.spec.get(list)?.as_array()?;
    let named = actions.iter().enumerate().find(|(at, action)| elements::label(action, *at) == label);
    let action =
        named.map(|(_, action)| action).or_else(|| actions.get(position).filter(|_| label.is_empty()))?;
    base.scripts.content(script::declared_digest(action.pointer(&format!("/{member}"))?)?)
}
