//! Scripts by digest: the content travels apart from everything that is compared, shown or saved.
//!
//! In canonical values a declared script is `{"sha256": …, "bytes": …}` and a live one is `{"stored": path}`,
//! because the API answers with a path that says nothing of the content (REFERENCE 5.8).

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value, json};

use crate::fingerprint::sha256_hex;

/// The contents of all declared scripts, by digest.
#[derive(Clone, Debug, Default)]
pub struct Scripts {
    contents: BTreeMap<String, Arc<[u8]>>,
    /// Files that contents were read from, as manifests name them, by digest.
    files: BTreeMap<String, String>,
}

impl Scripts {
    /// Keeps a content and returns the canonical value that stands for it; the empty script is none.
    ///
    /// Contents are bytes: PowerShell reads several encodings, and none of them is our business.
    pub fn keep(&mut self, content: &[u8]) -> Value {
        if content.is_empty() {
            return Value::Null;
        }
        let digest = sha256_hex(content);
        let value = json!({"sha256": digest, "bytes": content.len()});
        self.contents.entry(digest).or_insert_with(|| content.into());
        value
    }

    /// The same for the content of a file, whose name is kept for messages.
    pub fn keep_file(&mut self, content: &[u8], file: &str) -> Value {
        let value = self.keep(content);
        if let Some(digest) = declared_digest(&value) {
            self.files.entry(digest.to_owned()).or_insert_with(|| file.to_owned());
        }
        value
    }

    /// The file that a content was read from, as its manifest names it; `None` for one written in place.
    pub fn file(&self, digest: &str) -> Option<&str> {
        self.files.get(digest).map(String::as_str)
    }

    /// The content of a digest, if it was declared.
    pub fn content(&self, digest: &str) -> Option<&[u8]> {
        self.contents.get(digest).map(AsRef::as_ref)
    }

    /// Adds all contents of another store.
    pub fn extend(&mut self, other: Self) {
        self.contents.extend(other.contents);
        self.files.extend(other.files);
    }
}

/// All declared scripts of a block of members: JSON Pointer below it, and canonical value.
pub fn all_declared(members: &Map<String, Value>) -> Vec<(String, &Value)> {
    fn collect<'v>(value: &'v Value, pointer: String, found: &mut Vec<(String, &'v Value)>) {
        match value {
            script if declared_digest(script).is_some() => found.push((pointer, script)),
            Value::Object(members) => {
                members.iter().for_each(|(name, inner)| collect(inner, format!("{pointer}/{name}"), found));
            }
            Value::Array(items) => {
                items
                    .iter()
                    .enumerate()
                    .for_each(|(at, inner)| collect(inner, format!("{pointer}/{at}"), found));
            }
            Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
        }
    }
    let mut found = Vec::new();
    members.iter().for_each(|(name, value)| collect(value, format!("/{name}"), &mut found));
    found
}

/// The digest of a canonical declared script.
pub fn declared_digest(value: &Value) -> Option<&str> {
    value.get("sha256").and_then(Value::as_str)
}

/// The storage path of a canonical live script.
pub fn stored_path(value: &Value) -> Option<&str> {
    value.get("stored").and_then(Value::as_str)
}

/// The canonical value of a script as the API answered it.
pub fn live(value: &Value) -> Value {
    match value {
        Value::String(path) if path.is_empty() => Value::Null,
        Value::String(path) => json!({"stored": path}),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => value.clone(),
    }
}

/// Whether a text looks like the path under which the API stores a script, and not like a script.
///
/// The form is `{customerId}/{actionId}/Script` or `…/DetectionScript` (REFERENCE 5.8).
pub fn is_storage_path(text: &str) -> bool {
    let parts: Vec<&str> = text.trim().split('/').collect();
    matches!(parts.as_slice(), [customer, action, "Script" | "DetectionScript"]
        if crate::job::canonical::is_uuid(customer) && crate::job::canonical::is_uuid(action))
}
