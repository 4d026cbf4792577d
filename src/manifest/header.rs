//! The manifest around the job: `apiVersion`, `kind`, `metadata`, `spec`.

use super::decode::Decoder;
use super::{API_VERSION, KIND, Manifest};
use crate::diagnostic::Diagnostic;
use crate::ignore;
use crate::job::{JOB, canonical, nearest};
use crate::source::Span;
use crate::yaml::{Document, Entry, Node, Value};

const MEMBERS: [&str; 4] = ["apiVersion", "kind", "metadata", "spec"];
const METADATA: [&str; 5] = ["key", "id", "previousName", "protect", "ignore"];

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
        previous_name: metadata.previous_name,
        protect: metadata.protect,
        ignore: metadata.ignore,
        spec,
        unresolved: None,
        written: None,
        script_files: std::mem::take(&mut decoder.script_files),
        file: std::sync::Arc::clone(decoder.file),
        key_span: metadata.key_span,
        id_span: metadata.id_span,
        previous_name_span: metadata.previous_name_span,
        declared: super::Places::new(std::mem::take(&mut decoder.declared)),
    };
    identity(decoder, &manifest, spec_entry?);
    rename(decoder, &manifest);
    useless_ignores(decoder, &manifest);
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

/// A rename that changes nothing is left over from one that was taken back: harmless, and it says what is not so.
fn rename(decoder: &mut Decoder<'_>, manifest: &Manifest) {
    if let (Some(previous), Some(span)) = (&manifest.previous_name, manifest.previous_name_span)
        && manifest.name() == Some(previous)
    {
        let place = decoder.place(span);
        let message = "`metadata.previousName` is the name that the job has now";
        let finding = Diagnostic::warning("useless-previous-name", message).at(place, "");
        decoder.push(finding.help("remove it; it declares which name the live job had before"));
    }
}

struct Metadata {
    key: String,
    key_span: Span,
    id: Option<String>,
    id_span: Option<Span>,
    previous_name: Option<String>,
    previous_name_span: Option<Span>,
    protect: bool,
    ignore: Vec<(String, Span)>,
}

fn metadata(decoder: &mut Decoder<'_>, root: &Node) -> Option<Metadata> {
    let entry = required(decoder, root, "metadata", "at least a `key`")?;
    decoder.mapping(&entry.value, "metadata")?;
    known_members(decoder, &entry.value, &METADATA, "metadata");
    let id = entry.value.value.entry("id").and_then(|entry| id(decoder, &entry.value));
    let previous = entry.value.value.get("previousName");
    let previous_name = previous.and_then(|node| previous_name(decoder, node));
    let protect = entry.value.value.get("protect").is_some_and(|node| protect(decoder, node));
    let ignore = entry.value.value.get("ignore").map(|node| ignored(decoder, node)).unwrap_or_default();
    let key = required(decoder, &entry.value, "key", "the manifest's name in Git")?;
    let key_text = key_text(decoder, &key.value)?;
    let id_span = id.as_ref().and_then(|_| entry.value.value.get("id")).map(|node| node.span);
    let previous_name_span = previous.filter(|_| previous_name.is_some()).map(|node| node.span);
    let key_span = key.value.span;
    Some(Metadata {
        key: key_text,
        key_span,
        id,
        id_span,
        previous_name,
        previous_name_span,
        protect,
        ignore,
    })
}

/// The name that the live job had before, in the form that names are compared in.
fn previous_name(decoder: &mut Decoder<'_>, node: &Node) -> Option<String> {
    let written = node.value.as_str().zip(crate::job::find(JOB, "name"));
    let name = written
        .and_then(|(text, row)| canonical::canonical(row, &text.into()).ok()?.as_str().map(str::to_owned));
    if name.is_none() {
        let message = format!("`metadata.previousName` must be a text, found {}", node.value.describe());
        let place = decoder.place(node.span);
        let finding = Diagnostic::error("manifest-previous-name", message).at(place, "");
        decoder.push(finding.help("give the name that the live job had before, or leave it out"));
    }
    name
}

/// Whether the job must not be deleted. What can not be read counts as yes, though the error stops the run anyway.
fn protect(decoder: &mut Decoder<'_>, node: &Node) -> bool {
    node.value.as_bool().unwrap_or_else(|| {
        let message = format!("`metadata.protect` must be true or false, found {}", node.value.describe());
        let place = decoder.place(node.span);
        let finding = Diagnostic::error("manifest-protect", message).at(place, "");
        decoder
            .push(finding.help("`true` keeps the live job from being deleted, whatever else is asked for"));
        true
    })
}

/// The members that are left alone, each held against the table.
fn ignored(decoder: &mut Decoder<'_>, node: &Node) -> Vec<(String, Span)> {
    let Some(items) = node.value.as_sequence() else {
        // A list with nothing in it is what is meant by nothing.
        if !matches!(node.value, Value::Null) {
            let message =
                format!("`metadata.ignore` must be a list of pointers, found {}", node.value.describe());
            let place = decoder.place(node.span);
            let finding = Diagnostic::error(ignore::CODE_MEMBER, message).at(place.clone(), "");
            decoder.push(match node.value.as_str().filter(|text| ignore::member(text).is_ok()) {
                Some(text) => finding.fix(place, format!("[{text}]"), "write it like this"),
                None => finding.help("such as [/notification/notificationConfigs/recipientEmails]"),
            });
        }
        return Vec::new();
    };
    let mut members = Vec::new();
    for item in items {
        let place = decoder.place(item.span);
        match item.value.as_str() {
            None => {
                let message = format!("a member is named by a pointer, found {}", item.value.describe());
                let finding = Diagnostic::error(ignore::CODE_MEMBER, message).at(place, "");
                decoder.push(finding.help("such as /notification/notificationConfigs/recipientEmails"));
            }
            Some(text) => match ignore::member(text) {
                Ok(_) => members.push((text.to_owned(), item.span)),
                Err(unusable) => decoder.push(unusable.finding(ignore::CODE_MEMBER, place)),
            },
        }
    }
    members
}

/// A member that is not declared is left alone anyway.
fn useless_ignores(decoder: &mut Decoder<'_>, manifest: &Manifest) {
    for (member, span) in &manifest.ignore {
        if !ignore::is_declared(&manifest.spec, member) {
            let message = format!("`metadata.ignore` names `{member}`, which this manifest does not declare");
            let place = decoder.place(*span);
            let finding = Diagnostic::warning(ignore::CODE_UNUSED, message).at(place, "");
            decoder.push(finding.help("remove it; what is not declared is left alone anyway"));
        }
    }
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

    /// The finding in a manifest with this `metadata` beside the key: code, line and column, marked text.
    #[track_caller]
    fn check_metadata(line: &str, expected: Option<(&str, (usize, usize), &str)>) -> Option<Manifest> {
        let text = format!(
            "apiVersion: {API_VERSION}\nkind: {KIND}\nmetadata:\n  key: a\n  {line}\nspec: {{name: A, platform: Linux}}\n"
        );
        let tags = std::collections::BTreeMap::new();
        let context = Context { tags: &tags, allow_unknown_fields: false, scripts: &NoScripts };
        let parsed = parse(&SourceFile::new("a.yaml", text), context);
        let found: Vec<_> = parsed
            .diagnostics
            .iter()
            .map(|finding| {
                let place = finding.place.as_ref().expect("a place");
                (finding.code, place.line_column(), place.text())
            })
            .collect();
        assert_eq!(found, expected.into_iter().collect::<Vec<_>>(), "{line}");
        parsed.manifests.into_iter().next()
    }

    #[test]
    fn a_previous_name_is_a_name() {
        let of = |line| check_metadata(line, None).expect("a manifest").previous_name;
        assert_eq!(of("id: 6c1e7a94-0f3d-4b58-a2c7-d915e86b4f30"), None);
        assert_eq!(of("previousName: Old one").as_deref(), Some("Old one"));
        assert_eq!(of("previousName: '2026'").as_deref(), Some("2026"));
        for (line, text) in [
            ("previousName: [a]", "[a]"),
            ("previousName: true", "true"),
            ("previousName: 2026", "2026"),
            ("previousName: 1.5", "1.5"),
            ("previousName: ''", "''"),
            ("previousName:", ""),
        ] {
            let column = if text.is_empty() { 16 } else { 17 };
            assert!(check_metadata(line, Some(("manifest-previous-name", (5, column), text))).is_none());
        }
        let left = check_metadata("previousName: A", Some(("useless-previous-name", (5, 17), "A")));
        assert!(left.is_some(), "it is a warning");
    }

    #[test]
    fn protect_is_true_or_false() {
        assert!(check_metadata("protect: true", None).is_some_and(|manifest| manifest.protect));
        assert!(check_metadata("protect: false", None).is_some_and(|manifest| !manifest.protect));
        for (line, text) in [("protect: yes", "yes"), ("protect: 1", "1"), ("protect: 'true'", "'true'")] {
            assert!(check_metadata(line, Some(("manifest-protect", (5, 12), text))).is_none());
        }
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
