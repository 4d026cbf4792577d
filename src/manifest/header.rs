//! The manifest around the job: `apiVersion`, `kind`, `metadata`, `spec`.

use super::decode::Decoder;
use super::{API_VERSION, KIND, Manifest};
use crate::diagnostic::Diagnostic;
use crate::job::{JOB, canonical, nearest};
use crate::source::Span;
use crate::yaml::{Document, Entry, Node, Value};

const MEMBERS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
const METADATA: [&str; 2] = ["key", "id"];

/// Reads one document; `None` where there is too little to go on, with the findings in the decoder.
pub(super) fn manifest(decoder: &mut Decoder<'_>, document: &Document) -> Option<Manifest> {
    let root = &document.root;
    if root.value.as_mapping().is_none() {
        let message = format!("a manifest must be a mapping, found {}", root.value.describe());
        decoder.error("manifest-form", message, root.span, "");
        return None;
    }
    known_members(decoder, root, &MEMBERS, "a manifest");
    fixed_word(decoder, root, "apiVersion", API_VERSION);
    fixed_word(decoder, root, "kind", KIND);
    let metadata = metadata(decoder, root);
    let spec_entry = required(decoder, root, "spec", "the job's members");
    let spec = spec_entry.and_then(|entry| {
        let spec = decoder.mapping(&entry.value, "spec")?;
        Some(decoder.block(JOB, spec, ""))
    });
    let metadata = metadata?;
    let spec = spec?;
    let manifest = Manifest {
        key: metadata.key,
        id: metadata.id,
        spec,
        unresolved: None,
        script_files: std::mem::take(&mut decoder.script_files),
        file: std::sync::Arc::clone(decoder.file),
        key_span: metadata.key_span,
        id_span: metadata.id_span,
        declared: super::Places::new(std::mem::take(&mut decoder.declared)),
    };
    identity(decoder, &manifest, spec_entry?);
    Some(manifest)
}

/// A job without an id is found by its name and platform, so both must be there.
fn identity(decoder: &mut Decoder<'_>, manifest: &Manifest, spec: &Entry) {
    for name in ["name", "platform"] {
        let given = manifest.spec.get(name).is_some_and(|value| !value.is_null());
        let declared = manifest.spec.contains_key(name);
        if declared && !given {
            let span =
                manifest.declared.get(&format!("/{name}")).map_or(manifest.key_span, |place| place.value);
            decoder.error("manifest-identity", format!("`{name}` must not be empty"), span, "");
        } else if !given && manifest.id.is_none() && spec.value.value.entry(name).is_none() {
            // A value that is there and could not be read was complained of already.
            let message = format!("`spec.{name}` is missing");
            let help = "name and platform find the live job; or bind the manifest to it with `metadata.id`";
            let place = manifest.place();
            decoder.push(
                Diagnostic::error("manifest-identity", message).at(place, "in this manifest").help(help),
            );
        }
    }
}

struct Metadata {
    key: String,
    key_span: Span,
    id: Option<String>,
    id_span: Option<Span>,
}

fn metadata(decoder: &mut Decoder<'_>, root: &Node) -> Option<Metadata> {
    let entry = required(decoder, root, "metadata", "at least a `key`")?;
    decoder.mapping(&entry.value, "metadata")?;
    known_members(decoder, &entry.value, &METADATA, "metadata");
    let id = entry.value.value.entry("id").and_then(|entry| id(decoder, &entry.value));
    let key = required(decoder, &entry.value, "key", "the manifest's name in Git")?;
    let key_text = key_text(decoder, &key.value)?;
    let id_span = id.as_ref().and_then(|_| entry.value.value.get("id")).map(|node| node.span);
    Some(Metadata { key: key_text, key_span: key.value.span, id, id_span })
}

fn key_text(decoder: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let text = match &node.value {
        Value::String(text) => text.clone(),
        Value::Integer(number) => number.to_string(),
        other => {
            let message = format!("`metadata.key` must be a text, found {}", other.describe());
            decoder.error("manifest-key", message, node.span, "");
            return None;
        }
    };
    let good = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    if !text.is_empty() && text.chars().all(good) {
        return Some(text);
    }
    let tidy = tidy_key(&text);
    let message = "`metadata.key` must be of small letters, digits and dashes";
    let place = decoder.place(node.span);
    let diagnostic = Diagnostic::error("manifest-key", message).at(place.clone(), "");
    decoder.push(if tidy.is_empty() {
        diagnostic
    } else {
        diagnostic.fix(place, tidy, "write it like this")
    });
    None
}

/// The nearest good key: small letters and digits, dashes for everything between.
fn tidy_key(text: &str) -> String {
    let words = text.to_lowercase();
    let words =
        words.split(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit()).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join("-")
}

fn id(decoder: &mut Decoder<'_>, node: &Node) -> Option<String> {
    match node.value.as_str() {
        Some(text) if canonical::is_uuid(text) => Some(text.to_ascii_lowercase()),
        Some(_) | None => {
            let message =
                format!("`metadata.id` must be the UUID of a live job, found {}", node.value.describe());
            let help = "leave it out to find the job by name and platform";
            let place = decoder.place(node.span);
            decoder.push(Diagnostic::error("manifest-id", message).at(place, "").help(help));
            None
        }
    }
}

fn required<'n>(decoder: &mut Decoder<'_>, node: &'n Node, name: &str, what: &str) -> Option<&'n Entry> {
    let found = node.value.entry(name);
    if found.is_none() {
        let at = node
            .value
            .as_mapping()
            .and_then(|entries| entries.first())
            .map_or(node.span, |entry| entry.key_span);
        let message = format!("`{name}` is missing");
        let place = decoder.place(at);
        let help = format!("add `{name}:` with {what}");
        decoder.push(Diagnostic::error("manifest-form", message).at(place, "in this mapping").help(help));
    }
    found
}

fn fixed_word(decoder: &mut Decoder<'_>, root: &Node, name: &str, word: &str) {
    let Some(entry) = required(decoder, root, name, &format!("the word `{word}`")) else { return };
    if entry.value.value.as_str() != Some(word) {
        let message = format!("`{name}` must be `{word}`, found {}", entry.value.value.describe());
        let place = decoder.place(entry.value.span);
        let diagnostic = Diagnostic::error("manifest-form", message).at(place.clone(), "");
        decoder.push(diagnostic.fix(place, word, "this build knows no other"));
    }
}

fn known_members(decoder: &mut Decoder<'_>, node: &Node, known: &[&str], what: &str) {
    for entry in node.value.as_mapping().into_iter().flatten() {
        if known.contains(&entry.key.as_str()) {
            continue;
        }
        let place = decoder.place(entry.key_span);
        let message = format!("`{}` is no member of {what}", entry.key);
        let diagnostic = Diagnostic::error("unknown-member", message).at(place.clone(), "");
        let is_job_member = crate::job::find(JOB, &entry.key).is_some();
        decoder.push(match nearest(&entry.key, known.iter().copied()) {
            Some(near) => diagnostic.fix(place, near, "did you mean this?"),
            None if is_job_member => diagnostic.help("it is a member of the job: write it below `spec`"),
            None => diagnostic.help(format!("known are {}", known.join(", "))),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::manifest::{Context, ReadScript, ScriptProblem, parse};
    use crate::source::SourceFile;

    struct NoScripts;

    impl ReadScript for NoScripts {
        fn read_script(&self, _: &str, _: &str) -> Result<Vec<u8>, ScriptProblem> {
            Err(ScriptProblem { message: "is missing".to_owned(), help: String::new() })
        }
    }

    /// The codes of what is found in a manifest with this `spec`.
    #[track_caller]
    fn check(spec: &str, expected: &[&str]) {
        let text =
            format!("apiVersion: {API_VERSION}\nkind: {KIND}\nmetadata: {{key: a}}\nspec: {{{spec}}}\n");
        let tags = std::collections::BTreeMap::new();
        let context = Context { tags: &tags, allow_unknown_fields: false, scripts: &NoScripts };
        let parsed = parse(&SourceFile::new("a.yaml", text), context);
        let codes: Vec<&str> = parsed.diagnostics.iter().map(|finding| finding.code).collect();
        assert_eq!(codes, expected, "{spec}");
    }

    #[test]
    fn a_member_that_is_there_and_wrong_is_not_missing() {
        check("name: A, platform: Linux", &[]);
        check("name: A, platform: MacOS", &["wrong-value"]);
        check("name: [A], platform: Linux", &["wrong-value"]);
        check("name: A, platform: null", &["manifest-identity"]);
        check("platform: Linux", &["manifest-identity"]);
        check("", &["manifest-identity", "manifest-identity"]);
    }
}
