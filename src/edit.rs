//! Changes to the text of manifests that leave everything else as a person wrote it: comments, order, quotes, line
//! ends.
//!
//! An edit is a few replacements of ranges. Afterwards the text is read again, by the reader of this program and by
//! another one, and both must find the wanted change and nothing else; otherwise the edit is refused with the reason.
//! Reads and writes no files.

use std::sync::Arc;

use serde::Deserialize as _;

use crate::job::canonical;
use crate::source::{SourceFile, Span};
use crate::yaml::{self, Document, Node, Style, Value};

/// Text to put in the place of a range; an empty range is an insertion.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Replacement {
    /// The bytes that go.
    pub span: Span,
    /// What comes instead.
    pub text: String,
}

/// Why a text is left as it is, to follow the name of the file.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// The text can not be read to begin with.
    #[error("can not be read as YAML")]
    Unreadable,
    /// No manifest of this key is in it.
    #[error("holds no manifest with the key `{0}`")]
    NoManifest(String),
    /// The manifest is bound to another job.
    #[error("binds `{key}` to {id} already")]
    OtherId {
        /// The manifest's key.
        key: String,
        /// The id that stands there.
        id: String,
    },
    /// The notation leaves no place for a line.
    #[error("has `metadata` of `{0}` in a notation that is not edited by a program")]
    Notation(String),
    /// The ranges overlap or lie between the bytes of a character.
    #[error("can not be edited at these places")]
    Ranges,
    /// The text means something else afterwards than was wanted.
    #[error("would mean something else afterwards")]
    OtherMeaning,
}

/// Replaces ranges of a text.
///
/// # Errors
/// [`Refusal::Ranges`] where they overlap or do not lie in the text.
pub fn splice(text: &str, replacements: &[Replacement]) -> Result<String, Refusal> {
    let mut sorted: Vec<&Replacement> = replacements.iter().collect();
    sorted.sort_by_key(|replacement| replacement.span);
    let mut out = String::with_capacity(text.len() + 64 * sorted.len());
    let mut done = 0;
    for Replacement { span, text: new } in sorted {
        out.push_str(text.get(done..span.start).ok_or(Refusal::Ranges)?);
        out.push_str(new);
        done = span.end.max(span.start);
    }
    out.push_str(text.get(done..).ok_or(Refusal::Ranges)?);
    Ok(out)
}

/// Writes `metadata.id` into manifests of one file, given by key; ids that stand there already are left alone.
///
/// Returns the new text, `None` where nothing is to be written.
///
/// # Errors
/// Where one of them can not be written; then the file is to be left as it is.
pub fn with_ids(file: &Arc<SourceFile>, ids: &[(&str, &str)]) -> Result<Option<String>, Refusal> {
    let documents = read(file)?;
    let mut replacements = Vec::new();
    let mut wanted = documents.clone();
    for (key, id) in ids {
        let at = documents.iter().position(|document| key_of(document).as_deref() == Some(*key));
        let at = at.ok_or_else(|| Refusal::NoManifest((*key).to_owned()))?;
        match documents[at].root.value.get("metadata").and_then(|metadata| metadata.value.get("id")) {
            Some(node) if node.value.as_str().is_some_and(|text| text.eq_ignore_ascii_case(id)) => {}
            Some(node) => {
                let id = node.value.as_str().unwrap_or("something else").to_owned();
                return Err(Refusal::OtherId { key: (*key).to_owned(), id });
            }
            None if !canonical::is_uuid(id) => return Err(Refusal::Notation((*key).to_owned())),
            None => {
                let insertion = insertion(&file.text, &documents[at], id);
                replacements.push(insertion.ok_or_else(|| Refusal::Notation((*key).to_owned()))?);
                insert_id(&mut wanted[at], id);
            }
        }
    }
    if replacements.is_empty() {
        return Ok(None);
    }
    let text = splice(&file.text, &replacements)?;
    let after = SourceFile::new(file.path.as_str(), text);
    let found = read(&after).map_err(|_| Refusal::OtherMeaning)?;
    let same = found.len() == wanted.len()
        && found.iter().zip(&wanted).all(|(found, wanted)| means(&found.root, &wanted.root));
    if !same || !is_confirmed(&file.text, &after.text, ids) {
        return Err(Refusal::OtherMeaning);
    }
    Ok(Some(after.text.clone()))
}

fn read(file: &Arc<SourceFile>) -> Result<Vec<Document>, Refusal> {
    let (documents, findings) = yaml::parse(file);
    if findings.has_errors() { Err(Refusal::Unreadable) } else { Ok(documents) }
}

fn key_of(document: &Document) -> Option<String> {
    match &document.root.value.get("metadata")?.value.get("key")?.value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        _ => None,
    }
}

/// The line or member to insert after `metadata.key`; `None` where there is no safe place.
fn insertion(text: &str, document: &Document, id: &str) -> Option<Replacement> {
    let metadata = document.root.value.get("metadata")?;
    let entry = metadata.value.entry("key")?;
    // What came by an alias stands somewhere else, where it means other things, too.
    if metadata.via_alias.is_some() || entry.value.via_alias.is_some() {
        return None;
    }
    let quote = text[entry.key_span.start..].chars().next().filter(|c| matches!(c, '"' | '\''));
    let quoted = |word: &str| quote.map_or_else(|| word.to_owned(), |quote| format!("{quote}{word}{quote}"));
    let end = entry.value.span.end;
    let (at, new) = match metadata.style {
        Style::Flow => (end, format!(", {}: {}", quoted("id"), quoted(id))),
        Style::Block => {
            let before = text.get(..entry.key_span.start)?;
            let line_start = before.rfind(['\n', '\r']).map_or(0, |at| at + 1);
            let indentation = &before[line_start..];
            // A dash, a question mark or a tag before the key: the next line would need another indentation.
            if !indentation.bytes().all(|byte| byte == b' ') {
                return None;
            }
            let line = format!("{indentation}id: {id}");
            match line_break_after(text, end) {
                Some((at, line_break)) => (at, format!("{line}{line_break}")),
                // The last line of a file without a line break at its end keeps it so.
                None => (text.len(), format!("{}{line}", usual_line_break(text))),
            }
        }
        Style::Plain | Style::SingleQuoted | Style::DoubleQuoted | Style::Literal | Style::Folded => {
            return None;
        }
    };
    Some(Replacement { span: Span::new(at, at), text: new })
}

/// Where the line goes on after the one that a value ends on, and the line break before it.
fn line_break_after(text: &str, end: usize) -> Option<(usize, &str)> {
    // A block scalar ends with its line break.
    let from =
        if text[..end].ends_with('\n') { text[..end].trim_end_matches(['\n', '\r']).len() } else { end };
    let start = from + text[from..].find(['\n', '\r'])?;
    let length = if text[start..].starts_with("\r\n") { 2 } else { 1 };
    Some((start + length, &text[start..start + length]))
}

/// The line break that a text uses.
fn usual_line_break(text: &str) -> &str {
    line_break_after(text, 0).map_or("\n", |(_, line_break)| line_break)
}

/// Puts the id where the new text must have it.
fn insert_id(document: &mut Document, id: &str) {
    let Value::Mapping(root) = &mut document.root.value else { return };
    let metadata = root.iter_mut().find(|entry| entry.key == "metadata");
    if let Some(Value::Mapping(entries)) = metadata.map(|entry| &mut entry.value.value)
        && let Some(at) = entries.iter().position(|entry| entry.key == "key")
    {
        let mut entry = entries[at].clone();
        "id".clone_into(&mut entry.key);
        entry.value.value = Value::String(id.to_owned());
        entries.insert(at + 1, entry);
    }
}

/// Whether two trees mean the same, wherever and however they were written; the order of members counts.
fn means(a: &Node, b: &Node) -> bool {
    match (&a.value, &b.value) {
        (Value::Mapping(a), Value::Mapping(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.key == b.key && means(&a.value, &b.value))
        }
        (Value::Sequence(a), Value::Sequence(b)) => {
            a.len() == b.len() && a.iter().zip(b).all(|(a, b)| means(a, b))
        }
        (Value::Float(a), Value::Float(b)) => a.to_bits() == b.to_bits(),
        (a, b) => a == b,
    }
}

/// The second opinion, of a reader that shares nothing with ours.
fn is_confirmed(before: &str, after: &str, ids: &[(&str, &str)]) -> bool {
    let read = |text: &str| -> Option<Vec<serde_yaml::Value>> {
        serde_yaml::Deserializer::from_str(text)
            .map(|document| serde_yaml::Value::deserialize(document).ok())
            .collect()
    };
    let (Some(mut before), Some(after)) = (read(before), read(after)) else { return false };
    for document in &mut before {
        let Some(metadata) = document.get_mut("metadata").and_then(serde_yaml::Value::as_mapping_mut) else {
            continue;
        };
        let key = match metadata.get("key") {
            Some(serde_yaml::Value::String(text)) => text.clone(),
            Some(serde_yaml::Value::Number(number)) => number.to_string(),
            _ => continue,
        };
        if let Some((_, id)) = ids.iter().find(|(wanted, _)| *wanted == key)
            && metadata.get("id").is_none()
        {
            metadata.insert("id".into(), (*id).into());
        }
    }
    before == after
}

#[cfg(test)]
mod tests {
    use super::*;

    const ID: &str = "6c1e7a94-0f3d-4b58-a2c7-d915e86b4f30";

    /// The text after the id was written, with `ID` for the id.
    fn edited(text: &str, key: &str) -> Result<Option<String>, Refusal> {
        let found = with_ids(&SourceFile::new("a.yaml", text), &[(key, ID)])?;
        Ok(found.map(|text| text.replace(ID, "ID")))
    }

    #[track_caller]
    fn check(text: &str, expected: &str) {
        assert_eq!(edited(text, "a").expect(text).as_deref(), Some(expected));
    }

    #[track_caller]
    fn check_refused(text: &str, expected: Refusal) {
        assert_eq!(edited(text, "a"), Err(expected), "{text}");
    }

    #[test]
    fn a_line_after_the_key_and_nothing_else() {
        check("metadata:\n  key: a\nspec: {}\n", "metadata:\n  key: a\n  id: ID\nspec: {}\n");
        check(
            "# top\nmetadata:   # whose\n    key:   'a'   # never change\n\n    # and\n    protect: true\nspec: {}\n",
            "# top\nmetadata:   # whose\n    key:   'a'   # never change\n    id: ID\n\n    # and\n    protect: true\nspec: {}\n",
        );
        check(
            "spec: {}\nmetadata:\n  protect: true\n  key: a\n",
            "spec: {}\nmetadata:\n  protect: true\n  key: a\n  id: ID\n",
        );
    }

    #[test]
    fn line_ends_and_the_end_of_the_file_stay() {
        check("metadata:\r\n  key: a\r\nspec: {}\r\n", "metadata:\r\n  key: a\r\n  id: ID\r\nspec: {}\r\n");
        check("spec: {}\r\nmetadata:\r\n  key: a", "spec: {}\r\nmetadata:\r\n  key: a\r\n  id: ID");
        check("spec: {}\nmetadata:\n  key: a", "spec: {}\nmetadata:\n  key: a\n  id: ID");
        check("spec: {}\nmetadata:\n  key: a # it", "spec: {}\nmetadata:\n  key: a # it\n  id: ID");
        check("metadata:\n  key: >-\n    a\nspec: 1\n", "metadata:\n  key: >-\n    a\n  id: ID\nspec: 1\n");
    }

    #[test]
    fn a_member_in_braces() {
        check("metadata: {key: a}\n", "metadata: {key: a, id: ID}\n");
        check("metadata: { protect: true, key: a }\n", "metadata: { protect: true, key: a, id: ID }\n");
        check("metadata: {\n  key: a, # one\n}\n", "metadata: {\n  key: a, id: ID, # one\n}\n");
        check(
            "{\"metadata\": {\"key\": \"a\"}, \"spec\": {}}\n",
            "{\"metadata\": {\"key\": \"a\", \"id\": \"ID\"}, \"spec\": {}}\n",
        );
        check("metadata: {'key': a}\n", "metadata: {'key': a, 'id': 'ID'}\n");
    }

    #[test]
    fn each_of_several_documents() {
        let text =
            "---\nmetadata:\n  key: a\n---\n# second\nmetadata: {key: b}\n...\n---\nmetadata:\n  key: 3\n";
        let ids = [("3", ID), ("a", ID), ("b", ID)];
        let found = with_ids(&SourceFile::new("a.yaml", text), &ids).expect("edited").expect("changed");
        assert_eq!(
            found.replace(ID, "ID"),
            "---\nmetadata:\n  key: a\n  id: ID\n---\n# second\nmetadata: {key: b, id: ID}\n...\n---\nmetadata:\n  key: 3\n  id: ID\n"
        );
        assert_eq!(with_ids(&SourceFile::new("a.yaml", found), &ids), Ok(None));
    }

    #[test]
    fn what_is_there_already_is_left_alone_and_never_replaced() {
        let upper = ID.to_uppercase();
        assert_eq!(edited(&format!("metadata: {{key: a, id: {upper}}}\n"), "a"), Ok(None));
        let other = "00000000-0f3d-4b58-a2c7-d915e86b4f30";
        check_refused(
            &format!("metadata: {{key: a, id: {other}}}\n"),
            Refusal::OtherId { key: "a".to_owned(), id: other.to_owned() },
        );
    }

    #[test]
    fn what_can_not_be_edited_safely_is_refused() {
        let notation = || Refusal::Notation("a".to_owned());
        check_refused("metadata:\n  key: b\n", Refusal::NoManifest("a".to_owned()));
        check_refused("metadata: {key: a\n", Refusal::Unreadable);
        check_refused("metadata:\n  ? key\n  : a\n", notation());
        check_refused("x: &m {key: a}\nmetadata: *m\n", notation());
        check_refused("x: &k a\nmetadata:\n  key: *k\n", notation());
        // The block would have the id in both places.
        check_refused("metadata: &m\n  key: a\nspec: {x: *m}\n", Refusal::OtherMeaning);
        let not_an_id = with_ids(&SourceFile::new("a.yaml", "metadata: {key: a}\n"), &[("a", "x: {")]);
        assert_eq!(not_an_id, Err(notation()));
    }

    #[test]
    fn pieces_are_replaced_from_any_order_and_never_across_each_other() {
        let piece =
            |start, end, text: &str| Replacement { span: Span::new(start, end), text: text.to_owned() };
        assert_eq!(splice("abcdef", &[piece(4, 5, "E"), piece(0, 2, "")]).as_deref(), Ok("cdEf"));
        assert_eq!(splice("abcdef", &[piece(0, 3, ""), piece(2, 4, "")]), Err(Refusal::Ranges));
        assert_eq!(splice("ä", &[piece(1, 1, "x")]), Err(Refusal::Ranges));
        assert_eq!(splice("a", &[piece(2, 2, "x")]), Err(Refusal::Ranges));
    }
}
