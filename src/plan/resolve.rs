//! Ids in the place of keys and names, once bindings are known.
//!
//! Pure. What must be read to know a parent is the caller's business.

use serde_json::{Map, Value};

use super::links::Known;
use super::{Policy, ignored};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::elements;
use crate::job::nearest;
use crate::links::{self, Placeholder};
use crate::manifest::{Manifest, NamedAction, Parent};
use crate::normalise;
use crate::overlay;
use crate::snapshot::LiveJob;

/// The parent of a job with all that its child's links are resolved by.
#[derive(Clone, Debug)]
pub struct ParentJob {
    /// Which job it is.
    pub known: Known,
    /// The live job, where it was read: only names of actions need it.
    pub live: Option<LiveJob>,
    /// Its manifest, where it has one and names of actions need it.
    pub manifest: Option<Manifest>,
}

impl ParentJob {
    /// The same with its manifest as if nobody had declared what rules leave alone.
    pub(super) fn leaving_out(&self, policy: &Policy) -> Self {
        let mut parent = self.clone();
        if let (Some(manifest), Some(_)) = (&self.manifest, &self.live) {
            parent.manifest = Some(ignored::left_out(policy, manifest).into_owned());
        }
        parent
    }

    /// The words for it in a message.
    fn words(&self) -> String {
        let Known { key, id, .. } = &self.known;
        let name = self.live.as_ref().and_then(|live| live.normalised.text("name"));
        match (key, name, id) {
            (Some(key), _, _) => format!("`{key}`"),
            (None, Some(name), Some(id)) => format!("`{name}` ({id})"),
            (None, _, Some(id)) => format!("the live job {id}"),
            (None, _, None) => "the parent".to_owned(),
        }
    }

    /// Its post-actions as this run leaves them; those that the run adds have no id yet.
    fn actions(&self) -> Vec<Value> {
        let nothing = normalise::from_canonical(Map::new());
        let live = self.live.as_ref().map_or(&nothing, |live| &live.normalised);
        let declared = self.manifest.as_ref().filter(|_| self.known.in_plan);
        match declared.and_then(|manifest| manifest.spec.get(links::WAITED_FOR)) {
            Some(declared) => {
                let declared = Map::from_iter([(links::WAITED_FOR.to_owned(), declared.clone())]);
                links::actions(overlay::overlay(&declared, live, true).desired.members())
            }
            None => links::actions(live.members()),
        }
    }

    /// Whether its manifest, which is not part of this run, declares an action of this name.
    fn would_add(&self, name: &str) -> bool {
        let declared = self.manifest.as_ref().filter(|_| !self.known.in_plan);
        declared.is_some_and(|manifest| !links::called(links::actions(&manifest.spec), name).is_empty())
    }
}

/// What became of a manifest's links.
pub(super) enum Resolution {
    /// There is nothing to resolve.
    Plain,
    /// The manifest with ids in the place of keys and names, and what people should know of them.
    Resolved(Box<Manifest>, Vec<String>),
    /// It can not be resolved in this run: why, and what to do.
    Blocked(String, String),
    /// The manifest is wrong.
    Wrong(Diagnostics),
}

/// Puts ids in the place of keys and names, placeholders where this run makes the ids.
pub(super) fn resolve(manifest: &Manifest, parent: Option<&ParentJob>) -> Resolution {
    let declared = manifest.parent();
    let named = manifest.named_actions();
    let by_key = matches!(declared, Parent::Key(_));
    if named.is_empty() && !by_key {
        return Resolution::Plain;
    }
    let Some(parent) = parent else {
        let mut findings = Diagnostics::new();
        for action in &named {
            let message = format!(
                "`{}` is no UUID, and there is no parent job that could have such a post-action",
                action.name
            );
            let finding = manifest.at_member(Diagnostic::error("unknown-action", message), &action.pointer);
            findings.push(finding.help("name the parent with `linkedJob` or `linkedJobId`"));
        }
        return Resolution::Wrong(findings);
    };
    let mut spec = manifest.as_declared().clone();
    let mut notes = Vec::new();
    let key = parent.known.key.as_deref();
    if let (true, Some(key)) = (by_key, key) {
        let id = match &parent.known.id {
            Some(id) => {
                notes.push(format!("`{key}` is the live job {id}"));
                id.clone()
            }
            None if parent.known.in_plan => Placeholder::Job(key).to_string(),
            None => {
                let reason = format!("its parent `{key}` has no live job, and is not part of this run");
                return Resolution::Blocked(reason, format!("apply `{key}` first, or leave out --only"));
            }
        };
        spec.insert("linkedJobId".to_owned(), id.into());
    }
    if !named.is_empty() {
        if let (Some(id), None) = (&parent.known.id, &parent.live) {
            let reason = format!("its parent, the live job {id}, is gone");
            let help = "run plan again, the answer may lag; if it stays so, declare another parent";
            return Resolution::Blocked(reason, help.to_owned());
        }
        let actions = parent.actions();
        let mut findings = Diagnostics::new();
        for action in &named {
            match find(manifest, parent, &actions, action) {
                Found::Id(id) => {
                    notes.push(format!("`{}` is the post-action {id} of {}", action.name, parent.words()));
                    replace(&mut spec, action, id);
                }
                Found::New(key) => {
                    replace(
                        &mut spec,
                        action,
                        Placeholder::Action { name: &action.name, key: &key }.to_string(),
                    );
                }
                Found::Blocked(reason, help) => return Resolution::Blocked(reason, help),
                Found::Wrong(finding) => findings.push(*finding),
            }
        }
        if !findings.is_empty() {
            return Resolution::Wrong(findings);
        }
    }
    Resolution::Resolved(Box::new(manifest.resolved(spec)), notes)
}

/// What a name of an action stands for.
enum Found {
    Id(String),
    /// An action that this run makes, by the key of the parent's manifest.
    New(String),
    Blocked(String, String),
    Wrong(Box<Diagnostic>),
}

fn find(manifest: &Manifest, parent: &ParentJob, actions: &[Value], action: &NamedAction) -> Found {
    let name = action.name.as_str();
    let words = parent.words();
    let wrong = |code: &'static str, message: String| {
        manifest.at_member(Diagnostic::error(code, message), &action.pointer)
    };
    match links::called(actions.to_vec(), name).as_slice() {
        [only] => match (elements::action_id(only), &parent.known.key) {
            (Some(id), _) => Found::Id(id.to_ascii_lowercase()),
            (None, Some(key)) if parent.known.in_plan => Found::New(key.clone()),
            (None, _) => Found::Wrong(Box::new(
                wrong("unknown-action", format!("the post-action `{name}` of {words} has no id"))
                    .help("a rule can wait only for an action that has one"),
            )),
        },
        several @ [_, ..] => {
            let ids: Vec<&str> = several.iter().filter_map(elements::action_id).collect();
            let message = format!("{} post-actions of {words} are called `{name}`", several.len());
            let help = match ids.as_slice() {
                [] => "give each a name of its own".to_owned(),
                ids => format!("say which by its id: {}", ids.join(" or ")),
            };
            Found::Wrong(Box::new(wrong("ambiguous-action", message).help(help)))
        }
        [] => {
            // Ids are UUIDs in all samples; another form is still an id where the parent has an action of that id.
            if actions.iter().any(|action| elements::action_id(action) == Some(name)) {
                return Found::Id(name.to_owned());
            }
            if parent.would_add(name) {
                let key = parent.known.key.clone().unwrap_or_default();
                let reason = format!(
                    "its parent `{key}` has no post-action `{name}` yet, and is not part of this run"
                );
                return Found::Blocked(reason, format!("apply `{key}` first, or leave out --only"));
            }
            let live = parent.live.as_ref().map(|live| links::actions(live.normalised.members()));
            let is_removed = !links::called(live.unwrap_or_default(), name).is_empty();
            if is_removed {
                let message = format!(
                    "the manifest of {words} removes the post-action `{name}`, which this rule waits for"
                );
                let finding = wrong("unknown-action", message);
                return Found::Wrong(Box::new(
                    finding.help("keep the action there, or change this rule first"),
                ));
            }
            let finding = wrong("unknown-action", format!("{words} has no post-action called `{name}`"));
            let names: Vec<&str> = actions.iter().filter_map(links::name).collect();
            let near = nearest(name, names.iter().copied()).map(str::to_owned);
            let place = manifest.declared_at(&action.pointer).map(|(_, place)| place);
            Found::Wrong(Box::new(match (near, place, names.as_slice()) {
                (Some(near), Some(place), _) => finding.fix(place, near, "did you mean this?"),
                (_, _, []) => finding.help("it has no post-actions at all"),
                (_, _, names) => finding.help(format!("it has `{}`", names.join("`, `"))),
            }))
        }
    }
}

/// Puts an id in the place of a name, and the set back into its order.
fn replace(spec: &mut Map<String, Value>, action: &NamedAction, id: String) {
    let rules = spec.get_mut("chainedJobRule");
    let ids = rules.and_then(|rules| rules.pointer_mut(&format!("/{}/actionIds", action.rule)));
    let Some(Value::Array(ids)) = ids else { return };
    for value in ids.iter_mut().filter(|value| value.as_str() == Some(&action.name)) {
        *value = id.clone().into();
    }
    links::sort_ids(ids);
}
