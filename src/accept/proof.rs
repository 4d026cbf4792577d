//! Proof that a text says, after an edit, what it said before, but for what was wanted; by two readers.

use std::sync::Arc;

use serde::Deserialize as _;
use serde_json::{Map, Value as Json};

use crate::source::SourceFile;
use crate::yaml::{self, Node, Value};

/// One step into a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Step {
    /// To the member of this name.
    Member(String),
    /// To the element at this position.
    Element(usize),
}

/// An element of a list afterwards.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Slot<T> {
    /// The one that stood at this position.
    Old(usize),
    /// A new one.
    New(T),
}

/// What an edit does to the tree; steps and positions are those before all edits.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Change {
    /// The value there is another one.
    Set(Vec<Step>, Json),
    /// The mapping there has one more member, after the one named first.
    Insert(Vec<Step>, String, String, Json),
    /// The list there has these elements.
    List(Vec<Step>, Vec<Slot<Json>>),
    /// The member there has another name.
    Rename(Vec<Step>, String),
}

/// A tree without places.
pub(super) fn json_of(node: &Node) -> Json {
    match &node.value {
        Value::Null => Json::Null,
        Value::Bool(value) => (*value).into(),
        Value::Integer(value) => (*value).into(),
        // What JSON has no number for is told apart by its bits all the same.
        Value::Float(value) => serde_json::Number::from_f64(*value)
            .map_or_else(|| Json::from(format!("{value:?}")), Json::Number),
        Value::String(text) => text.as_str().into(),
        Value::Sequence(items) => items.iter().map(json_of).collect(),
        Value::Mapping(entries) => Json::Object(
            entries.iter().map(|entry| (entry.key.clone(), json_of(&entry.value))).collect::<Map<_, _>>(),
        ),
    }
}

/// The documents of a text by our reader; `None` where anything is wrong with it.
fn ours(file: &Arc<SourceFile>) -> Option<Vec<Json>> {
    let (documents, findings) = yaml::parse(file);
    (!findings.has_errors()).then(|| documents.iter().map(|document| json_of(&document.root)).collect())
}

/// The same by a reader that shares nothing with ours.
fn theirs(text: &str) -> Option<Vec<Json>> {
    let mut documents = Vec::new();
    for document in serde_yaml::Deserializer::from_str(text) {
        let value = serde_yaml::Value::deserialize(document).ok()?;
        // A document of comments only is none for our reader.
        if !value.is_null() {
            documents.push(plain(&value));
        }
    }
    Some(documents)
}

fn plain(value: &serde_yaml::Value) -> Json {
    match value {
        serde_yaml::Value::Null => Json::Null,
        serde_yaml::Value::Bool(value) => (*value).into(),
        serde_yaml::Value::Number(number) => match (number.as_i64(), number.as_u64(), number.as_f64()) {
            (Some(number), _, _) => number.into(),
            (None, Some(number), _) => number.into(),
            (None, None, Some(number)) => serde_json::Number::from_f64(number)
                .map_or_else(|| Json::from(format!("{number:?}")), Json::Number),
            (None, None, None) => number.to_string().into(),
        },
        serde_yaml::Value::String(text) => text.as_str().into(),
        serde_yaml::Value::Sequence(items) => items.iter().map(plain).collect(),
        serde_yaml::Value::Mapping(members) => Json::Object(
            members
                .iter()
                .map(|(key, value)| {
                    let key = match plain(key) {
                        Json::String(text) => text,
                        other => other.to_string(),
                    };
                    (key, plain(value))
                })
                .collect(),
        ),
        serde_yaml::Value::Tagged(tagged) => plain(&tagged.value),
    }
}

/// Whether the new text means the old one with these changes to its documents, by both readers.
pub(super) fn holds(before: &Arc<SourceFile>, after: &Arc<SourceFile>, changes: &[(usize, Change)]) -> bool {
    let by = |before: Option<Vec<Json>>, after: Option<Vec<Json>>| {
        let (Some(mut expected), Some(after)) = (before, after) else { return false };
        apply(&mut expected, changes).is_some() && is_same(&expected, &after)
    };
    by(ours(before), ours(after)) && by(theirs(&before.text), theirs(&after.text))
}

/// Whether two lists of trees are equal, the order of members included.
fn is_same(a: &[Json], b: &[Json]) -> bool {
    a.len() == b.len() && a.iter().zip(b).all(|(a, b)| is_same_tree(a, b))
}

fn is_same_tree(a: &Json, b: &Json) -> bool {
    match (a, b) {
        (Json::Object(a), Json::Object(b)) => {
            a.len() == b.len()
                && a.iter().zip(b).all(|((left, a), (right, b))| left == right && is_same_tree(a, b))
        }
        (Json::Array(a), Json::Array(b)) => is_same(a, b),
        (a, b) => a == b,
    }
}

/// Makes the changes; those further in first, and lists after their elements, because positions are the old ones.
fn apply(documents: &mut [Json], changes: &[(usize, Change)]) -> Option<()> {
    let mut sorted: Vec<&(usize, Change)> = changes.iter().collect();
    sorted.sort_by_key(|(_, change)| match change {
        Change::Set(path, _) | Change::Insert(path, ..) => (0, std::cmp::Reverse(path.len())),
        Change::List(path, _) => (1, std::cmp::Reverse(path.len())),
        // After all, because the others go by the old name.
        Change::Rename(path, _) => (2, std::cmp::Reverse(path.len())),
    });
    let mut inserted: Vec<(Vec<Step>, String, usize)> = Vec::new();
    for (document, change) in sorted {
        let root = documents.get_mut(*document)?;
        match change {
            Change::Set(path, value) => *at(root, path)? = value.clone(),
            Change::Insert(path, after, name, value) => {
                let members = at(root, path)?.as_object_mut()?;
                let position = members.keys().position(|key| key == after)?;
                // Several after the same one keep their order.
                let n_before =
                    inserted.iter().filter(|(p, a, d)| (p, a, d) == (path, after, document)).count();
                members.shift_insert(position + 1 + n_before, name.clone(), value.clone());
                inserted.push((path.clone(), after.clone(), *document));
            }
            Change::List(path, slots) => {
                let list = at(root, path)?;
                let old = match &*list {
                    Json::Array(items) => items.clone(),
                    _ => Vec::new(),
                };
                let items = slots.iter().map(|slot| match slot {
                    Slot::Old(position) => old.get(*position).cloned(),
                    Slot::New(value) => Some(value.clone()),
                });
                *list = items.collect::<Option<Vec<_>>>()?.into();
            }
            Change::Rename(path, name) => {
                let (Step::Member(old), parent) = path.split_last()? else { return None };
                let members = at(root, parent)?.as_object_mut()?;
                let position = members.keys().position(|key| key == old)?;
                let value = members.shift_remove(old)?;
                members.shift_insert(position, name.clone(), value);
            }
        }
    }
    Some(())
}

fn at<'j>(mut tree: &'j mut Json, path: &[Step]) -> Option<&'j mut Json> {
    for step in path {
        tree = match step {
            Step::Member(name) => tree.get_mut(name)?,
            Step::Element(position) => tree.get_mut(position)?,
        };
    }
    Some(tree)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn file(text: &str) -> Arc<SourceFile> {
        SourceFile::new("a.yaml", text)
    }

    #[test]
    fn only_what_was_wanted_may_be_different() {
        let before = file("a: {b: [1, 2, 3]}\nc: x\n");
        let b = vec![Step::Member("a".to_owned()), Step::Member("b".to_owned())];
        let list = Change::List(b, vec![Slot::Old(2), Slot::New(json!(9))]);
        assert!(holds(&before, &file("a: {b: [3, 9]}\nc: x\n"), &[(0, list.clone())]));
        assert!(!holds(&before, &file("a: {b: [3, 9]}\nc: y\n"), &[(0, list.clone())]));
        assert!(!holds(&before, &file("a: {b: [9, 3]}\nc: x\n"), &[(0, list)]));
        let insert =
            |name: &str, n: i64| (0, Change::Insert(Vec::new(), "a".to_owned(), name.to_owned(), json!(n)));
        let after = file("a: {b: [1, 2, 3]}\nd: 1\ne: 2\nc: x\n");
        assert!(holds(&before, &after, &[insert("d", 1), insert("e", 2)]));
        assert!(!holds(&before, &after, &[insert("e", 2), insert("d", 1)]));
        assert!(!holds(&before, &file("a: {b: [1, 2, 3]}\nc: [\n"), &[]));
    }
}
