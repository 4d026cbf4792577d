//! The members of a job as they were before a run: what must be declared so that they are so again, and which scripts
//! that takes.

use std::collections::BTreeSet;
use std::fmt;

use serde_json::{Map, Value};

use crate::diff::{self, FieldChange, top_level};
use crate::elements;
use crate::job::{JOB, Member, Owner, Type, find};
use crate::normalise::{self, Normalised};
use crate::script;

/// What a former job asks for.
#[derive(Debug, Default)]
pub(super) struct Former {
    /// The members, canonical, `null` for none.
    pub(super) declared: Map<String, Value>,
    /// The scripts whose former content is not known.
    pub(super) lost: Vec<Lost>,
    /// Scripts that are put back with their former content.
    pub(super) n_restored: usize,
}

/// A script whose former content is not known.
#[derive(Clone, Debug)]
pub(super) struct Lost {
    /// The member that holds it.
    member: &'static str,
    /// What people call its action.
    label: String,
}

impl fmt::Display for Lost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the {} of `{}`", self.member, self.label)
    }
}

/// Several of them in words: ``the scripts of `Drain` and `Stop` ``.
pub(super) fn words(lost: &[Lost]) -> String {
    let kinds: BTreeSet<&str> = lost.iter().map(|lost| lost.member).collect();
    let of_kind = |kind: &str| {
        let of_it = || lost.iter().filter(|lost| lost.member == kind);
        // Actions before and after the deployment may have one name.
        let mut labels: Vec<String> = Vec::new();
        for label in of_it().map(|lost| format!("`{}`", lost.label)) {
            if !labels.contains(&label) {
                labels.push(label);
            }
        }
        let plural = if of_it().count() == 1 { "" } else { "s" };
        format!("the {kind}{plural} of {}", enumerated(&labels))
    };
    enumerated(&kinds.into_iter().map(of_kind).collect::<Vec<_>>())
}

/// `a, b and c`.
pub(super) fn enumerated(words: &[String]) -> String {
    match words {
        [] => String::new(),
        [one] => one.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}

/// Where the contents of former scripts come from: the members that the manifest declared which was applied then.
pub(super) type Contents<'a> = Option<&'a Map<String, Value>>;

/// The members at these pointers as they were in `before`.
///
/// `live` is the job as it is; `rewritten` names the scripts whose contents were overwritten since.
pub(super) fn of_members(
    pointers: &[String],
    before: &Normalised,
    live: &Normalised,
    rewritten: &Rewritten,
    contents: Contents<'_>,
) -> Former {
    let mut former = Former::default();
    for pointer in pointers {
        let name = diff::top_level_name(pointer).into_owned();
        let value = before.members().get(&name);
        match find(JOB, &name).map(|row| row.kind) {
            Some(Type::List(rows, _)) => {
                if former.declared.contains_key(&name) {
                    continue;
                }
                let items = value.and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let there =
                    live.members().get(&name).and_then(Value::as_array).map_or(&[][..], Vec::as_slice);
                let mut list = List { name: &name, rows, there, rewritten, contents, former: &mut former };
                let items: Vec<Value> =
                    items.iter().enumerate().filter_map(|(at, item)| list.item(at, item)).collect();
                former.declared.insert(name, Value::Array(items));
            }
            Some(Type::Object(_)) if pointer.len() > name.len() + 1 => {
                let value = before.at(pointer).cloned().unwrap_or(Value::Null);
                set(&mut former.declared, pointer, value);
            }
            Some(_) | None => {
                former.declared.insert(name, value.cloned().unwrap_or(Value::Null));
            }
        }
    }
    former
}

/// All members that a person can set, for a job that is made anew. Ids of its actions are the server's to make.
pub(super) fn of_job(before: &Normalised, contents: Contents<'_>) -> Former {
    let mut former = Former::default();
    let nothing = Rewritten::default();
    for row in JOB.iter().filter(|row| is_restorable(row)) {
        let Some(value) = before.members().get(row.name) else { continue };
        let value = match (row.kind, value) {
            (Type::List(rows, _), Value::Array(items)) => {
                let mut list = List {
                    name: row.name,
                    rows,
                    there: &[],
                    rewritten: &nothing,
                    contents,
                    former: &mut former,
                };
                let items = items.iter().enumerate();
                Value::Array(items.filter_map(|(at, item)| list.item(at, item)).collect())
            }
            (Type::Object(rows), Value::Object(members)) => Value::Object(restorable(rows, members)),
            (_, value) => value.clone(),
        };
        former.declared.insert(row.name.to_owned(), value);
    }
    former
}

fn is_restorable(row: &Member) -> bool {
    match row.owner {
        Owner::User | Owner::UserAtCreation | Owner::WriteOnly => row.name != "actionId",
        Owner::Status | Owner::Server | Owner::Unknown => false,
    }
}

fn restorable(rows: &'static [Member], members: &Map<String, Value>) -> Map<String, Value> {
    let known = rows.iter().filter(|row| is_restorable(row));
    known
        .filter_map(|row| {
            let value = match (row.kind, members.get(row.name)?) {
                (Type::Object(rows), Value::Object(inner)) => Value::Object(restorable(rows, inner)),
                (_, value) => value.clone(),
            };
            Some((row.name.to_owned(), value))
        })
        .collect()
}

/// Scripts whose contents were written: list, action's id, and member.
#[derive(Debug, Default)]
pub(super) struct Rewritten(BTreeSet<(String, String, &'static str)>);

impl Rewritten {
    /// Finds the scripts that a body sets for actions which were there before.
    pub(super) fn of(bodies: &[Value], before: &Normalised) -> Self {
        let mut found = Self::default();
        for body in bodies {
            let body = normalise::live(body);
            for row in JOB {
                let (Type::List(rows, _), Some(Value::Array(items))) =
                    (row.kind, body.members().get(row.name))
                else {
                    continue;
                };
                let was = before.members().get(row.name).and_then(Value::as_array);
                let was = was.map_or(&[][..], Vec::as_slice);
                let matches = elements::match_elements(items, was);
                for (item, at) in items.iter().zip(matches) {
                    let elements::Match::Live(at) = at else { continue };
                    let Some(id) = elements::action_id(&was[at]) else { continue };
                    for script in rows.iter().filter(|row| row.owner == Owner::WriteOnly) {
                        let is_set = item
                            .get(script.name)
                            .is_some_and(|value| script::declared_digest(value).is_some());
                        if is_set {
                            found.0.insert((row.name.to_owned(), id.to_owned(), script.name));
                        }
                    }
                }
            }
        }
        found
    }

    /// The lists that they stand in, as pointers: such a list is put back whole.
    pub(super) fn lists(&self) -> impl Iterator<Item = String> {
        self.0.iter().map(|(list, _, _)| format!("/{list}"))
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn has(&self, list: &str, id: &str, script: &'static str) -> bool {
        self.0.contains(&(list.to_owned(), id.to_owned(), script))
    }
}

struct List<'a, 'f> {
    name: &'a str,
    rows: &'static [Member],
    /// The blocks that are there now.
    there: &'a [Value],
    rewritten: &'a Rewritten,
    contents: Contents<'a>,
    former: &'f mut Former,
}

impl List<'_, '_> {
    /// One block as it was; `None` for an action that can not be brought back without its script.
    fn item(&mut self, position: usize, item: &Value) -> Option<Value> {
        let Some(members) = item.as_object() else { return Some(item.clone()) };
        let id = elements::action_id(item);
        let there = match id {
            Some(id) => self.there.iter().find(|other| elements::action_id(other) == Some(id)),
            // Blocks without an id are told apart by their position.
            None => self.there.get(position).filter(|other| elements::action_id(other).is_none()),
        };
        let mut declared = block(self.rows, members, there.and_then(Value::as_object));
        if let (Some(id), Some(_)) = (id, there) {
            declared.insert("actionId".to_owned(), id.into());
        }
        let mut is_whole = true;
        for row in self.rows.iter().filter(|row| row.owner == Owner::WriteOnly) {
            let Some(stored) = members.get(row.name).filter(|value| !value.is_null()) else {
                if there.is_some_and(|there| there.get(row.name).is_some()) {
                    declared.insert(row.name.to_owned(), Value::Null);
                }
                continue;
            };
            let kept = there.and_then(|there| there.get(row.name));
            let is_same =
                kept == Some(stored) && id.is_none_or(|id| !self.rewritten.has(self.name, id, row.name));
            if is_same {
                declared.insert(row.name.to_owned(), stored.clone());
            } else if let Some(known) = self.content(item, row.name) {
                declared.insert(row.name.to_owned(), known);
                self.former.n_restored += 1;
            } else {
                let label = elements::label(item, position);
                self.former.lost.push(Lost { member: row.name, label });
                match kept {
                    Some(kept) => {
                        declared.insert(row.name.to_owned(), kept.clone());
                    }
                    None => is_whole = false,
                }
            }
        }
        is_whole.then_some(Value::Object(declared))
    }

    /// The content that the manifest of then declared for this script.
    fn content(&self, item: &Value, script: &str) -> Option<Value> {
        let declared = self.contents?.get(self.name)?.as_array()?;
        let at = elements::match_elements(declared, std::slice::from_ref(item));
        let at = at.iter().position(|found| *found == elements::Match::Live(0))?;
        declared[at].get(script).filter(|value| script::declared_digest(value).is_some()).cloned()
    }
}

/// The members of a block as they were; those that were none and are there now are taken away.
fn block(
    rows: &'static [Member],
    before: &Map<String, Value>,
    live: Option<&Map<String, Value>>,
) -> Map<String, Value> {
    let mut declared = Map::new();
    for row in rows.iter().filter(|row| is_restorable(row) && row.owner != Owner::WriteOnly) {
        let there = live.and_then(|live| live.get(row.name));
        let value = match (row.kind, before.get(row.name), there) {
            (_, None, None) => continue,
            (Type::Object(rows), before, there) => {
                let empty = Map::new();
                let before = before.and_then(Value::as_object).unwrap_or(&empty);
                Value::Object(block(rows, before, there.and_then(Value::as_object)))
            }
            (_, Some(value), _) => value.clone(),
            (_, None, Some(_)) => Value::Null,
        };
        declared.insert(row.name.to_owned(), value);
    }
    declared
}

/// Sets a member of nested objects.
fn set(members: &mut Map<String, Value>, pointer: &str, value: Value) {
    let Some(rest) = pointer.strip_prefix('/') else { return };
    match rest.split_once('/') {
        None => {
            members.insert(rest.to_owned(), value);
        }
        Some((name, inner)) => {
            let entry = members.entry(name.to_owned()).or_insert_with(|| Value::Object(Map::new()));
            if !entry.is_object() {
                *entry = Value::Object(Map::new());
            }
            if let Value::Object(inside) = entry {
                set(inside, &format!("/{inner}"), value);
            }
        }
    }
}

/// The members that a run changed: what was before against what it left, without status.
pub(super) fn changed(before: &Normalised, after: &Normalised) -> Vec<FieldChange> {
    diff::diff(before, after).into_iter().filter(|field| is_settable(&field.pointer)).collect()
}

/// Members that moved since the run, of those that it changed, unless they are as they were before it again.
pub(super) fn moved(
    changed: &[String],
    before: &Normalised,
    after: &Normalised,
    live: &Normalised,
) -> Vec<FieldChange> {
    let is_list = |name: &str| find(JOB, name).is_some_and(|row| matches!(row.kind, Type::List(..)));
    diff::diff(after, live)
        .into_iter()
        .filter(|field| {
            let name = top_level(&field.pointer);
            let is_same_list = is_list(name) && changed.iter().any(|other| top_level(other) == name);
            let is_touched = is_same_list || changed.iter().any(|other| overlaps(other, &field.pointer));
            let is_back = if is_list(name) {
                before.members().get(name) == live.members().get(name)
            } else {
                before.at(&field.pointer) == live.at(&field.pointer)
            };
            is_touched && !is_back && !is_servers_doing(field)
        })
        .collect()
}

/// What a server makes of what was sent: where the journal has no job as it was read back, it is no edit.
fn is_servers_doing(field: &FieldChange) -> bool {
    let is_stored =
        script::declared_digest(&field.before).is_some() && script::stored_path(&field.after).is_some();
    is_stored || (field.before.is_null() && field.pointer.ends_with("/actionId"))
}

fn is_settable(pointer: &str) -> bool {
    let owner = find(JOB, top_level(pointer)).map(|row| row.owner);
    match owner {
        Some(Owner::User | Owner::UserAtCreation | Owner::WriteOnly | Owner::Unknown) | None => true,
        Some(Owner::Status | Owner::Server) => false,
    }
}

/// Whether one pointer is the other or leads into it.
fn overlaps(a: &str, b: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    inside(a, b) || inside(b, a)
}
