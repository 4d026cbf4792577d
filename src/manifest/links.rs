//! How manifests are linked to each other, before any live job is known: parents by key, circles.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Manifest;
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::diff::escape;
use crate::job::{canonical, nearest};
use crate::source::Place;

/// JSON Pointer of the member that names the parent, however it is written.
const LINK: &str = "/linkedJobId";

/// The job whose patches a job takes, as its manifest says it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum Parent {
    /// It says nothing: the live link stays.
    #[default]
    Undeclared,
    /// It says that there is none.
    None,
    /// The job of the manifest with this key.
    Key(String),
    /// The live job with this id.
    Id(String),
}

/// A name of one of the parent's actions, where a manifest gives no id.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NamedAction {
    /// Position of the rule.
    pub rule: usize,
    /// The name as written, without blanks around it.
    pub name: String,
    /// JSON Pointer under which its place is kept.
    pub pointer: String,
}

impl Manifest {
    /// The declared members as Git has them: links by key and by name are not resolved.
    pub fn as_declared(&self) -> &Map<String, Value> {
        self.unresolved.as_ref().unwrap_or(&self.spec)
    }

    /// The same manifest with ids, or placeholders for them, in the place of keys and names.
    #[must_use]
    pub fn resolved(&self, spec: Map<String, Value>) -> Self {
        let unresolved = Some(self.as_declared().clone());
        Self { spec, unresolved, ..self.clone() }
    }

    /// The parent that it declares.
    pub fn parent(&self) -> Parent {
        match self.as_declared().get("linkedJobId") {
            None => Parent::Undeclared,
            Some(Value::Object(link)) => link
                .get("linkedJob")
                .and_then(Value::as_str)
                .map_or(Parent::Undeclared, |key| Parent::Key(key.to_owned())),
            Some(Value::String(id)) => Parent::Id(id.clone()),
            Some(_) => Parent::None,
        }
    }

    /// The parent's actions that it names, in the order of the rules.
    pub fn named_actions(&self) -> Vec<NamedAction> {
        let rules = self.as_declared().get("chainedJobRule").and_then(Value::as_array);
        let mut named = Vec::new();
        for (rule, members) in rules.into_iter().flatten().enumerate() {
            let ids = members.get("actionIds").and_then(Value::as_array).into_iter().flatten();
            for name in ids.filter_map(Value::as_str).filter(|text| !canonical::is_uuid(text)) {
                let pointer = action_pointer(&format!("/chainedJobRule/{rule}/actionIds"), name);
                named.push(NamedAction { rule, name: name.to_owned(), pointer });
            }
        }
        named
    }

    /// Where the parent is declared, else where the manifest begins.
    fn link_place(&self) -> Place {
        self.declared_at(LINK).map_or_else(|| self.place(), |(_, value)| value)
    }
}

/// The pointer under which the place of one action in a set is kept; sets are sorted, so a position would not do.
pub(super) fn action_pointer(set: &str, name: &str) -> String {
    format!("{set}/{}", escape(name))
}

/// Who is linked to whom.
#[derive(Clone, Copy, Debug)]
pub struct Linked<'a> {
    /// The manifest's key.
    pub key: &'a str,
    /// The live job that it is bound to, where it says so.
    pub id: Option<&'a str>,
    /// Its parent.
    pub parent: &'a Parent,
}

/// What is wrong with links, by positions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The parent's key is that of no manifest.
    Unknown(usize),
    /// Each is linked to the next, and the last to the first.
    Circle(Vec<usize>),
}

/// Everything that is wrong with the links of all manifests.
pub fn faults(all: &[Linked<'_>]) -> Vec<Fault> {
    let mut by_key = BTreeMap::new();
    let mut by_id = BTreeMap::new();
    for (at, linked) in all.iter().enumerate() {
        by_key.entry(linked.key).or_insert(at);
        if let Some(id) = linked.id {
            by_id.entry(id).or_insert(at);
        }
    }
    let mut faults = Vec::new();
    let mut parents = Vec::new();
    for (at, linked) in all.iter().enumerate() {
        parents.push(match linked.parent {
            Parent::Undeclared | Parent::None => None,
            Parent::Id(id) => by_id.get(id.as_str()).copied(),
            Parent::Key(key) => {
                let found = by_key.get(key.as_str()).copied();
                if found.is_none() {
                    faults.push(Fault::Unknown(at));
                }
                found
            }
        });
    }
    faults.extend(circles(&parents).into_iter().map(Fault::Circle));
    faults
}

/// The circles among positions of which each has one parent at most; each begins with its smallest position.
pub fn circles(parents: &[Option<usize>]) -> Vec<Vec<usize>> {
    // The walk on which a position was first seen.
    let mut seen: Vec<Option<usize>> = vec![None; parents.len()];
    let mut circles = Vec::new();
    for start in 0..parents.len() {
        let mut path = Vec::new();
        let mut at = Some(start);
        while let Some(position) = at {
            match seen[position] {
                Some(walk) if walk == start => {
                    let from = path.iter().position(|other| *other == position).unwrap_or(0);
                    let mut circle: Vec<usize> = path.split_off(from);
                    let smallest = circle.iter().enumerate().min_by_key(|(_, position)| **position);
                    let turn = smallest.map_or(0, |(at, _)| at);
                    circle.rotate_left(turn);
                    circles.push(circle);
                    break;
                }
                Some(_) => break,
                None => {
                    seen[position] = Some(start);
                    path.push(position);
                    at = parents[position];
                }
            }
        }
    }
    circles.sort();
    circles
}

/// Reports what is wrong with the links of all manifests; `is_whole` says that no manifest was left out for errors of
/// its own, which could be the one that is missing.
pub(super) fn check(manifests: &[Manifest], is_whole: bool, diagnostics: &mut Diagnostics) {
    let parents: Vec<Parent> = manifests.iter().map(Manifest::parent).collect();
    let all: Vec<Linked<'_>> = manifests
        .iter()
        .zip(&parents)
        .map(|(manifest, parent)| Linked { key: &manifest.key, id: manifest.id.as_deref(), parent })
        .collect();
    for fault in faults(&all) {
        match fault {
            Fault::Unknown(at) if is_whole => {
                if let Parent::Key(key) = &parents[at] {
                    diagnostics.push(unknown(&manifests[at], key, manifests));
                }
            }
            Fault::Unknown(_) => {}
            Fault::Circle(circle) => {
                let members: Vec<&Manifest> = circle.iter().map(|at| &manifests[*at]).collect();
                diagnostics.push(circle_finding(&members));
            }
        }
    }
}

fn unknown(manifest: &Manifest, key: &str, manifests: &[Manifest]) -> Diagnostic {
    let place = manifest.link_place();
    let message = format!("`linkedJob` names `{key}`, and no manifest has this key");
    let diagnostic = Diagnostic::error("unknown-linked-job", message).at(place.clone(), "");
    if canonical::is_uuid(key) {
        return diagnostic.help("the id of a live job belongs into `linkedJobId`");
    }
    match nearest(key, manifests.iter().map(|manifest| manifest.key.as_str())) {
        Some(near) => diagnostic.fix(place, near, "did you mean this?"),
        None => diagnostic.help(
            "give the key of another manifest; a job that no manifest declares is named by `linkedJobId`",
        ),
    }
}

/// Says that jobs are linked in a circle: each to the next, the last to the first.
pub fn circle_finding(members: &[&Manifest]) -> Diagnostic {
    let next = |at: usize| members[(at + 1) % members.len()];
    let message = match members {
        [only] => format!("`{}` is linked to itself", only.key),
        [..] => {
            let keys: Vec<&str> =
                members.iter().chain(members.first()).map(|manifest| manifest.key.as_str()).collect();
            format!("jobs are linked in a circle: {}", keys.join(" → "))
        }
    };
    let mut diagnostic = Diagnostic::error("link-circle", message);
    for (at, manifest) in members.iter().enumerate() {
        let words = format!("`{}` is linked to `{}`", manifest.key, next(at).key);
        diagnostic = match at {
            0 => diagnostic.at(manifest.link_place(), words),
            _ => diagnostic.related(manifest.link_place(), words),
        };
    }
    diagnostic.help("a job can not wait for itself: remove one of these links")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(parents: &[Option<usize>], expected: &[&[usize]]) {
        assert_eq!(circles(parents), expected, "{parents:?}");
    }

    #[test]
    fn circles_are_found_once_each_and_begin_with_the_smallest() {
        check(&[], &[]);
        check(&[None, Some(0), Some(1)], &[]);
        check(&[Some(0)], &[&[0]]);
        check(&[Some(1), Some(0)], &[&[0, 1]]);
        check(&[Some(2), Some(0), Some(1)], &[&[0, 2, 1]]);
        // A way into a circle is no part of it; two circles are two.
        check(&[Some(1), Some(2), Some(1), Some(4), Some(3), None], &[&[1, 2], &[3, 4]]);
        check(&[Some(3), Some(0), Some(0), Some(3)], &[&[3]]);
    }

    #[test]
    fn keys_and_ids_make_one_circle() {
        let key = |key: &str| Parent::Key(key.to_owned());
        let (a, b, c) = (Parent::Id("2".to_owned()), key("a"), key("nobody"));
        let all = [
            Linked { key: "a", id: Some("1"), parent: &a },
            Linked { key: "b", id: Some("2"), parent: &b },
            Linked { key: "c", id: None, parent: &c },
        ];
        assert_eq!(faults(&all), [Fault::Unknown(2), Fault::Circle(vec![0, 1])]);
    }
}
