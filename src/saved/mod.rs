//! Saved plans: a plan as a document that is looked at now and carried out later (DESIGN 6, Approval).
//!
//! Pure: a plan to a document, its text to a document again, and a document with a fresh plan to a verdict for every
//! step ([`judge`]). A document never makes a step: it only says which steps of the fresh plan may go, so whoever can
//! write one can approve, and can do no more than that.

mod judge;

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

pub use judge::{Judged, Look, judge, moved_ids};

use crate::fingerprint;
use crate::job::Platform;
use crate::plan::{Action, Change, Parts, Plan};
use crate::script::{self, Scripts};

/// Version of the document. Another version is refused, never guessed at.
pub const FORMAT: u32 = 1;

/// A plan as it is kept in a file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedPlan {
    /// Version of the document, [`FORMAT`].
    patchctl_plan: u32,
    /// Version of the program that made it.
    pub program: String,
    /// When it was made, RFC 3339 in UTC.
    pub created_at: String,
    /// What tells the gateway from others; no login is in it.
    pub gateway: String,
    /// The subscription that answered; empty where no live job told it.
    pub subscription: String,
    /// The owner in our stamps.
    pub owner: String,
    /// What updates carry: `minimal` or `full`, or `probe` where a probe is the first step and tells.
    pub updates: String,
    /// The flags that it was made with.
    pub options: Options,
    /// Says whether two plans are the same.
    pub fingerprint: String,
    /// How many manifests need no step.
    pub unchanged: usize,
    /// The steps, in their order.
    pub steps: Vec<Step>,
}

/// The flags that decide what a plan holds.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// `--updates`.
    pub updates: Option<String>,
    /// `--only`.
    pub only: Vec<String>,
    /// `--base`.
    pub base: Option<String>,
    /// `--allow-create`.
    pub allow_create: Vec<String>,
    /// `--allow-run-once`.
    pub allow_run_once: Vec<String>,
    /// `--set-scripts`.
    pub set_scripts: Vec<String>,
    /// `--allow-script-loss`.
    pub allow_script_loss: Vec<String>,
    /// `--prune`.
    pub prune: Option<String>,
    /// `--max-deletes`.
    pub max_deletes: Option<usize>,
    /// `--allow-unknown-fields`.
    pub allow_unknown_fields: bool,
    /// `--override`.
    #[serde(default, rename = "override", skip_serializing_if = "Vec::is_empty")]
    pub overrides: Vec<String>,
}

/// One step.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The manifest's key.
    pub key: String,
    /// The live job's id, where there is one.
    pub id: Option<String>,
    /// The name that people know the job by.
    pub name: String,
    /// The job's platform.
    pub platform: Option<String>,
    /// The word of the action.
    pub action: String,
    /// Why, for people.
    pub reason: String,
    /// Where the manifest stood.
    pub source: Source,
    /// The differences.
    pub fields: Vec<Field>,
    /// The call.
    pub request: Option<Request>,
    /// Steps that must have succeeded before, as `key:action`.
    pub after: Vec<String>,
    /// What people should know beside the differences.
    pub notes: Vec<String>,
    /// Whether it arms a job that runs once, which can not be taken back.
    pub one_way: bool,
    /// Whether it was held when the plan was made: whoever applies a plan that shows it decides for Git.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub held: bool,
    /// Digests of the whole job's members, where the step was approved for what the job is.
    pub judged_by: Option<BTreeMap<String, String>>,
    /// The scripts that are sent.
    pub scripts: Vec<Script>,
}

/// Where a manifest stood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Source {
    /// The file as messages show it.
    pub file: String,
    /// The line, from 1; 0 where there is no text.
    pub line: usize,
}

/// One difference.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Field {
    /// JSON Pointer from the job's root.
    pub path: String,
    /// The live value, `null` for none.
    pub before: Value,
    /// The desired value, `null` for none.
    pub after: Value,
    /// Where the difference came from.
    pub origin: String,
}

/// A call.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its method.
    pub method: String,
    /// Its path below the gateway.
    pub path: String,
    /// Its body; scripts stand in it by digest and size, or as the path under which the API keeps them.
    pub body: Value,
}

/// A script that is sent, without its content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Script {
    /// The file as its manifest names it; `null` for a script in the manifest itself.
    pub file: Option<String>,
    /// Digest of its content.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
}

/// What a document holds beside the plan itself.
#[derive(Clone, Debug, Default)]
pub struct Made {
    /// When the plan was made, RFC 3339 in UTC.
    pub created_at: String,
    /// What tells the gateway from others.
    pub gateway: String,
    /// The subscription that answered.
    pub subscription: String,
    /// The owner in our stamps.
    pub owner: String,
    /// The flags that it was made with.
    pub options: Options,
}

/// Why a file is no plan that can be carried out; a message and what to do.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// What was found.
    pub message: String,
    /// What to do.
    pub help: String,
}

impl SavedPlan {
    /// The document of a plan; `scripts` says which files its scripts were read from.
    pub fn of(plan: &Plan, scripts: &Scripts, made: Made) -> Self {
        let Made { created_at, gateway, subscription, owner, options } = made;
        Self {
            patchctl_plan: FORMAT,
            program: env!("CARGO_PKG_VERSION").to_owned(),
            created_at,
            gateway,
            subscription,
            owner,
            updates: plan.updates().to_owned(),
            options,
            fingerprint: plan.fingerprint(),
            unchanged: plan.n_unchanged,
            steps: plan.changes.iter().map(|change| Step::of(change, scripts)).collect(),
        }
    }

    /// The text of the file: indented JSON with one final newline, and a checksum of all of it.
    pub fn text(&self) -> String {
        let mut document = serde_json::to_value(self).unwrap_or_default();
        let checksum = fingerprint::of_value(&document);
        document["checksum"] = checksum.into();
        // Writing to memory can not fail for what is JSON already.
        let mut text = serde_json::to_string_pretty(&document).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads the text of a file.
    ///
    /// # Errors
    /// What it is instead of a plan that this build can carry out.
    pub fn read(text: &[u8]) -> Result<Self, Refused> {
        let refused = |message: String, help: &str| Err(Refused { message, help: help.to_owned() });
        let again = "make a new one with `patchctl plan --out FILE`";
        let Ok(Value::Object(mut members)) = serde_json::from_slice::<Value>(text) else {
            return refused("it is no JSON object, or was cut off".to_owned(), again);
        };
        match members.get("patchctl_plan").map(Value::as_u64) {
            Some(Some(format)) if format == u64::from(FORMAT) => {}
            Some(Some(format)) => {
                let age = if format > u64::from(FORMAT) { "newer" } else { "older" };
                let program =
                    members.get("program").and_then(Value::as_str).unwrap_or("of an unknown version");
                let message = format!(
                    "it has format {format}, {age} than format {FORMAT} of this build; patchctl {program} made it"
                );
                return refused(message, "plan and apply with the same version of patchctl");
            }
            None if members.get("command").and_then(Value::as_str) == Some("plan") => {
                return refused(
                    "it is the output of `plan --output json`, which can not be applied".to_owned(),
                    again,
                );
            }
            Some(None) | None => {
                return refused("it is no plan that was saved by patchctl".to_owned(), again);
            }
        }
        let changed = "it is not as it was saved: its checksum does not fit";
        let checksum = members.shift_remove("checksum");
        let document = Value::Object(members);
        if checksum.as_ref().and_then(Value::as_str) != Some(&*fingerprint::of_value(&document)) {
            return refused(changed.to_owned(), "nobody may edit a plan that was looked at; make a new one");
        }
        let read: Result<Self, _> = serde_json::from_value(document.clone());
        match read {
            // What this build does not know would be passed over, and a plan is carried out as a whole or not at all.
            Ok(read) if serde_json::to_value(&read).ok().as_ref() == Some(&document) => {
                match read.steps.iter().find(|step| action(&step.action).is_none()) {
                    Some(step) => {
                        refused(format!("it holds a step of an unknown kind, `{}`", step.action), again)
                    }
                    None => Ok(read),
                }
            }
            Ok(_) => refused("it holds members that this build does not know".to_owned(), again),
            Err(error) => refused(format!("it is damaged: {error}"), again),
        }
    }
}

impl Step {
    /// The document of a step; of one that is held, the step that waits for a decision.
    fn of(change: &Change, scripts: &Scripts) -> Self {
        if let Some(waiting) = &change.waiting {
            let mut step = Self::of(waiting, scripts);
            step.held = true;
            step.reason.clone_from(&change.reason);
            return step;
        }
        let mut sent = Vec::new();
        if let Some(request) = &change.request {
            declared_scripts(&request.body, scripts, &mut sent);
        }
        let text = &change.place.file.text;
        Self {
            key: change.key.clone(),
            id: change.id.clone(),
            name: change.name.clone(),
            platform: change.platform.map(|platform| platform.as_str().to_owned()),
            action: change.action.as_str().to_owned(),
            reason: change.reason.clone(),
            source: Source {
                file: change.place.file.path.clone(),
                line: if text.is_empty() { 0 } else { change.place.line_column().0 },
            },
            fields: change
                .fields
                .iter()
                .map(|field| Field {
                    path: field.path.clone(),
                    before: without_contents(&field.before),
                    after: without_contents(&field.after),
                    origin: field.origin.as_str().to_owned(),
                })
                .collect(),
            request: change.request.as_ref().map(|request| Request {
                method: request.method.to_owned(),
                path: request.path.clone(),
                body: without_contents(&request.body),
            }),
            after: change.after.clone(),
            notes: change.notes.clone(),
            one_way: change.is_one_way,
            held: false,
            judged_by: change.judged_by(),
            scripts: sent,
        }
    }

    /// Name of the step within its plan.
    pub fn step(&self) -> String {
        format!("{}:{}", self.key, self.action)
    }

    /// Whether carrying it out writes.
    pub fn writes(&self) -> bool {
        action(&self.action).is_some_and(Action::writes)
    }

    fn parts<T>(&self, use_parts: impl FnOnce(Parts<'_>) -> T) -> T {
        let fields: Vec<_> =
            self.fields.iter().map(|field| (field.path.as_str(), &field.before, &field.after)).collect();
        let request = self.request.as_ref();
        use_parts(Parts {
            key: &self.key,
            id: self.id.as_deref(),
            action: &self.action,
            request: request.map(|request| (request.method.as_str(), request.path.as_str(), &request.body)),
            fields: &fields,
            judged_by: self.judged_by.as_ref(),
        })
    }

    fn facts(&self) -> Value {
        self.parts(|parts| parts.facts())
    }

    fn body(&self) -> Value {
        self.parts(|parts| parts.body())
    }

    fn platform(&self) -> Option<Platform> {
        self.platform.as_deref().and_then(Platform::parse)
    }
}

/// The action of a word.
fn action(word: &str) -> Option<Action> {
    Action::ALL.into_iter().find(|action| action.as_str() == word)
}

/// Adds the scripts that stand in a body by digest, each once.
fn declared_scripts(value: &Value, scripts: &Scripts, found: &mut Vec<Script>) {
    match (value, script::declared_digest(value)) {
        (_, Some(digest)) => {
            let script = Script {
                file: scripts.file(digest).map(str::to_owned),
                sha256: digest.to_owned(),
                bytes: value.get("bytes").and_then(Value::as_u64).unwrap_or(0),
            };
            if !found.contains(&script) {
                found.push(script);
            }
        }
        (Value::Array(items), None) => items.iter().for_each(|item| declared_scripts(item, scripts, found)),
        (Value::Object(members), None) => {
            members.values().for_each(|value| declared_scripts(value, scripts, found));
        }
        (Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_), None) => {}
    }
}

/// A value without what may be the content of a script.
///
/// The API is known to answer with a storage path. One that answered with the script itself would have it copied into
/// a file that is kept and handed on, so whatever is no such path is a digest here.
fn without_contents(value: &Value) -> Value {
    let digest =
        |text: &str| json!({"sha256": fingerprint::sha256_hex(text.as_bytes()), "bytes": text.len()});
    let is_content = |text: &str| !text.is_empty() && !script::is_storage_path(text);
    match value {
        Value::Array(items) => items.iter().map(without_contents).collect(),
        Value::Object(members) => {
            let members: Map<String, Value> = members
                .iter()
                .map(|(name, value)| {
                    let is_script = matches!(name.as_str(), "script" | "detectionScript" | "stored");
                    match value.as_str().filter(|text| is_script && is_content(text)) {
                        Some(text) => (name.clone(), digest(text)),
                        None => (name.clone(), without_contents(value)),
                    }
                })
                .collect();
            Value::Object(members)
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn empty() -> SavedPlan {
        SavedPlan {
            patchctl_plan: FORMAT,
            program: "1.2.3".to_owned(),
            created_at: "2026-11-23T12:00:00Z".to_owned(),
            gateway: "https://gateway.example/".to_owned(),
            subscription: String::new(),
            owner: "team".to_owned(),
            updates: "minimal".to_owned(),
            options: Options::default(),
            fingerprint: "0".repeat(64),
            unchanged: 1,
            steps: Vec::new(),
        }
    }

    #[track_caller]
    fn refused(text: &str, words: &str) {
        let refused = SavedPlan::read(text.as_bytes()).expect_err("refused");
        assert!(refused.message.contains(words), "{}", refused.message);
    }

    #[test]
    fn every_byte_of_the_file_counts() {
        let plan = empty();
        let text = plan.text();
        assert_eq!(SavedPlan::read(text.as_bytes()), Ok(plan.clone()));
        // The final newline does not count.
        for at in 0..text.trim_end().len() {
            for byte in [b' ', b'0', b'1', b'"', b'x', b'}'] {
                let mut other = text.clone().into_bytes();
                other[at] = byte;
                // White space may change: then the plan is the very same.
                if let Ok(read) = SavedPlan::read(&other) {
                    assert_eq!(read, plan, "byte {at}");
                }
            }
            assert!(SavedPlan::read(&text.as_bytes()[..at]).is_err(), "cut off at {at}");
        }
    }

    #[test]
    fn what_it_is_instead_is_said() {
        refused("", "no JSON");
        refused("[]", "no JSON");
        refused("{}", "no plan that was saved");
        refused(r#"{"command": "plan", "format_version": 1}"#, "plan --output json");
        refused(r#"{"patchctl_plan": "1"}"#, "no plan that was saved");
        refused(
            r#"{"patchctl_plan": 0, "program": "0.0.9"}"#,
            "format 0, older than format 1 of this build; patchctl 0.0.9",
        );
        refused(r#"{"patchctl_plan": 2}"#, "newer");
        refused(r#"{"patchctl_plan": 1}"#, "checksum");
        let mut document = serde_json::to_value(empty()).expect("JSON");
        document["more"] = 1.into();
        document["checksum"] = fingerprint::of_value(&document).into();
        refused(&document.to_string(), "does not know");
    }

    #[test]
    fn what_may_be_a_script_is_a_digest() {
        let id = "00000000-0000-4000-8000-000000000001";
        let path = format!("{id}/{id}/Script");
        let value =
            json!({"script": path, "detectionScript": "rm -rf", "list": [{"stored": "echo"}], "name": "rm"});
        let kept = without_contents(&value);
        assert_eq!((&kept["script"], &kept["name"]), (&json!(path), &json!("rm")));
        assert_eq!(kept["detectionScript"]["bytes"], 6);
        assert_eq!(kept["list"][0]["stored"]["bytes"], 4);
    }
}
