//! What the manifest of the base commit would make of a member.

use serde_json::{Map, Value};

use super::super::same::without_contents;
use crate::diff::{self, FieldChange};
use crate::elements::{self, Match};
use crate::job::{JOB, Type, find};
use crate::manifest::{Manifest, Parent};
use crate::normalise::Normalised;
use crate::overlay;

/// What the base says of one member.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum BaseValue {
    /// It does not declare the member.
    Undeclared,
    /// It would make the member this; `null` for none.
    Is(Value),
    /// It declares the member, and what that came to is not known: names that stood for other jobs.
    NotKnown,
}

/// The manifest of the base, laid over the live job as the desired one is.
pub(super) struct BaseJob {
    spec: Map<String, Value>,
    job: Normalised,
    /// Members that stand in it by names which are not resolved.
    unresolved: Vec<&'static str>,
}

/// The members in which names may stand for ids.
const LINKS: [&str; 2] = ["linkedJobId", "chainedJobRule"];

impl BaseJob {
    pub(super) fn new(base: &Manifest, manifest: &Manifest, live: &Normalised) -> Self {
        let mut spec = base.as_declared().clone();
        let has_names = matches!(base.parent(), Parent::Key(_)) || !base.named_actions().is_empty();
        let mut unresolved = Vec::new();
        for name in LINKS {
            match (spec.get(name), manifest.as_declared().get(name)) {
                // What is written in the same way is resolved in the same way.
                (Some(then), Some(now)) if then == now => {
                    if let Some(resolved) = manifest.spec.get(name) {
                        spec.insert(name.to_owned(), resolved.clone());
                    }
                }
                (Some(_), _) if has_names => {
                    spec.shift_remove(name);
                    unresolved.push(name);
                }
                (_, _) => {}
            }
        }
        let job = overlay::overlay(&spec, live, true).desired;
        Self { spec, job, unresolved }
    }

    /// What it would make of the member of a difference.
    pub(super) fn value(&self, field: &FieldChange, live: &Normalised, desired: &Normalised) -> BaseValue {
        let parts: Vec<_> = field.pointer.split('/').skip(1).map(diff::unescape).collect();
        let Some(top) = parts.first().map(AsRef::as_ref) else { return BaseValue::NotKnown };
        if self.unresolved.contains(&top) {
            return BaseValue::NotKnown;
        }
        let position = parts.get(1).and_then(|part| part.parse::<usize>().ok());
        let is_list = find(JOB, top).is_some_and(|row| matches!(row.kind, Type::List(..)));
        match position {
            Some(position) if is_list => {
                let is_gone = parts.len() == 2 && field.after.is_null();
                let side = if is_gone { live } else { desired };
                self.in_list(top, position, &parts[2..], side)
            }
            Some(_) | None if is_declared(&self.spec, &parts) => {
                BaseValue::Is(self.job.at(&field.pointer).cloned().unwrap_or(Value::Null))
            }
            Some(_) | None => BaseValue::Undeclared,
        }
    }

    /// The same for a block of a list, or a member of it; the block is at `position` on one of the two sides.
    fn in_list(
        &self,
        name: &str,
        position: usize,
        rest: &[std::borrow::Cow<'_, str>],
        side: &Normalised,
    ) -> BaseValue {
        let Some(declared) = self.spec.get(name) else { return BaseValue::Undeclared };
        let blocks = self.job.members().get(name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
        let Some(block) = side.members().get(name).and_then(|list| list.get(position)) else {
            return BaseValue::NotKnown;
        };
        // Blocks without a name are told apart by where they stand.
        let has_name = elements::action_id(block).is_some() || block.get("action").is_some();
        let found = match elements::match_elements(std::slice::from_ref(block), blocks).pop() {
            Some(found) if has_name => found,
            Some(_) | None if position < blocks.len() => Match::Live(position),
            Some(_) | None => Match::New,
        };
        match found {
            Match::Live(at) if rest.is_empty() => BaseValue::Is(blocks[at].clone()),
            Match::Live(at) => {
                // The blocks stand in the order in which they were declared.
                let members = declared.get(at).and_then(Value::as_object);
                if !members.is_some_and(|members| is_declared(members, rest)) {
                    return BaseValue::Undeclared;
                }
                let inner = rest.iter().try_fold(&blocks[at], |value, part| value.get(part.as_ref()));
                BaseValue::Is(inner.cloned().unwrap_or(Value::Null))
            }
            Match::New if rest.is_empty() => BaseValue::Is(Value::Null),
            Match::New => BaseValue::Undeclared,
            Match::Ambiguous(_) => BaseValue::NotKnown,
        }
    }
}

/// Whether a member is declared, itself or with a block around it that is declared as none or as a whole.
fn is_declared(members: &Map<String, Value>, parts: &[std::borrow::Cow<'_, str>]) -> bool {
    let Some((first, rest)) = parts.split_first() else { return true };
    match members.get(first.as_ref()) {
        None => false,
        Some(Value::Object(inner)) => is_declared(inner, rest),
        Some(_) => true,
    }
}

/// Whether two values of a member are the same, as far as values tell: contents of scripts do not, and of two lists of
/// blocks under the list's own path it is the order that is meant.
pub(super) fn is_same(pointer: &str, one: &Value, other: &Value) -> bool {
    let is_list = find(JOB, diff::top_level(pointer)).is_some_and(|row| matches!(row.kind, Type::List(..)));
    match (one, other) {
        (Value::Array(one), Value::Array(other)) if is_list && pointer.matches('/').count() == 1 => {
            let order = |items: &[Value]| {
                let named = items.iter().enumerate().map(|(at, item)| elements::label(item, at));
                named.collect::<Vec<_>>()
            };
            order(one) == order(other)
        }
        (Value::Object(_), _) | (_, Value::Object(_)) => without_id(one) == without_id(other),
        (_, _) => one == other,
    }
}

/// A block without the id that the server gave it and without the contents of scripts.
fn without_id(value: &Value) -> Value {
    let mut value = without_contents(value);
    if let Some(members) = value.as_object_mut() {
        members.shift_remove("actionId");
    }
    value
}
