//! What makes two steps the same step: what is reviewed, and nothing that moves by itself.
//!
//! A job that nobody touched must give the same fingerprint an hour later, and one that somebody touched where it
//! matters must not. So a request counts with the members that the step is about, each whole, and without the
//! bookkeeping that travels along: the stamp, and with the full envelope the rest of the job as it was read.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value, json};

use super::{Action, Change};
use crate::diff::top_level_name;
use crate::fingerprint;
use crate::job::{JOB, find};
use crate::normalise::Normalised;
use crate::script;
use crate::stamp;

/// The parts of a step that say which step it is.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    /// The manifest's key.
    pub key: &'a str,
    /// The live job's id, where there is one.
    pub id: Option<&'a str>,
    /// The word of the action.
    pub action: &'a str,
    /// Method, path and body of the call.
    pub request: Option<(&'a str, &'a str, &'a Value)>,
    /// Path, before-value and after-value of each difference.
    pub fields: &'a [(&'a str, &'a Value, &'a Value)],
    /// What else the step was judged by.
    pub judged_by: Option<&'a BTreeMap<String, String>>,
}

impl Parts<'_> {
    /// One value that is equal for two steps exactly if they are the same.
    pub fn facts(&self) -> Value {
        let fields: Vec<Value> =
            self.fields.iter().map(|(path, before, after)| json!([path, before, after])).collect();
        let request = self.request.map(|(method, path, _)| json!([method, path, self.body()]));
        json!([self.key, self.id, self.action, request, fields, self.judged_by])
    }

    /// The body as far as the step is about it.
    pub fn body(&self) -> Value {
        let Some((_, _, body)) = self.request else { return Value::Null };
        let Some(members) = body.as_object() else { return body.clone() };
        let named: BTreeSet<_> = self.fields.iter().map(|(path, _, _)| top_level_name(path)).collect();
        let is_about = |name: &str| match self.action {
            "update" => name == "type" || named.contains(name),
            _ => true,
        };
        let kept = members.iter().filter(|(name, _)| is_about(name));
        let kept: Map<String, Value> = kept
            .map(|(name, value)| match (name.as_str(), value.as_str()) {
                ("description", Some(text)) => (name.clone(), stamp::split(text).0.into()),
                (_, _) => (name.clone(), value.clone()),
            })
            .collect();
        Value::Object(kept)
    }
}

impl Change {
    /// One value that is equal for two steps exactly if they are the same.
    pub fn facts(&self) -> Value {
        let fields: Vec<_> =
            self.fields.iter().map(|field| (field.path.as_str(), &field.before, &field.after)).collect();
        let request =
            self.request.as_ref().map(|request| (request.method, request.path.as_str(), &request.body));
        let judged_by = self.judged_by();
        let parts = Parts {
            key: &self.key,
            id: self.id.as_deref(),
            action: self.action.as_str(),
            request,
            fields: &fields,
            judged_by: judged_by.as_ref(),
        };
        parts.facts()
    }

    /// Digests of the whole job, member by member, where a step is approved for what the job is and not for what
    /// differs: the job as it will be armed, and the job that goes.
    ///
    /// Disarming is judged by which job it is: one that is to be off must not stay armed because something else about
    /// it moved.
    pub fn judged_by(&self) -> Option<BTreeMap<String, String>> {
        let basis = self.basis.as_ref()?;
        match self.action {
            Action::Enable => Some(digests(&basis.desired, |name| name != "status")),
            Action::Disable => Some(digests(&basis.live, |name| IDENTITY.contains(&name))),
            Action::Delete => Some(digests(&basis.live, |_| true)),
            Action::Create | Action::Update | Action::Blocked | Action::Held => None,
        }
    }
}

/// What tells that it is the same job still.
const IDENTITY: [&str; 4] = ["name", "type", "platform", "scheduleType"];

/// Members that the table does not know are left out: the server may change them by itself.
fn digests(job: &Normalised, is_meant: impl Fn(&str) -> bool) -> BTreeMap<String, String> {
    let members = job
        .members()
        .iter()
        .filter(|(name, _)| find(JOB, name).is_some_and(|row| row.is_settable()) && is_meant(name));
    members.map(|(name, value)| (name.clone(), fingerprint::short(&without_contents(value)))).collect()
}

/// A script counts as being there: its content is compared where it is sent, and can not be read back.
pub(super) fn without_contents(value: &Value) -> Value {
    match value {
        _ if script::declared_digest(value).is_some() || script::stored_path(value).is_some() => {
            "script".into()
        }
        Value::Array(items) => items.iter().map(without_contents).collect(),
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), without_contents(value))).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}
