//! Who is linked to whom among the manifests of a run, and the order of steps that follows (DESIGN section 6, "Order").

use std::collections::{BTreeMap, BTreeSet};

use super::job::block;
use super::{Action, Change};
use crate::links::Placeholder;
use crate::manifest::{self, Parent};

/// One manifest among all whose links are looked at.
#[derive(Clone, Debug)]
pub struct Node {
    /// Its key.
    pub key: String,
    /// The live job that it is bound to.
    pub bound: Option<String>,
    /// The parent that it declares.
    pub parent: Parent,
    /// The parent that the live job has, as its list row says.
    pub live_parent: Option<String>,
    /// Whether it is planned in this run; else it only tells which job a key means.
    pub in_plan: bool,
}

/// The parent of a manifest's job, as far as bindings tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Known {
    /// Key of the parent's manifest, where it has one.
    pub key: Option<String>,
    /// Id of the live parent; `None` for one that is not there.
    pub id: Option<String>,
    /// Whether the parent's manifest is planned in this run.
    pub in_plan: bool,
}

/// Who is linked to whom among the manifests of a run.
#[derive(Clone, Debug, Default)]
pub struct Graph {
    parents: BTreeMap<String, Known>,
    by_id: BTreeMap<String, (String, bool)>,
    /// Keys of manifests in a circle, each with the next.
    circles: Vec<Vec<String>>,
}

impl Graph {
    /// Looks at all manifests.
    pub fn new(nodes: &[Node]) -> Self {
        let by_key: BTreeMap<&str, usize> =
            nodes.iter().enumerate().map(|(at, node)| (node.key.as_str(), at)).collect();
        let mut graph = Self::default();
        for node in nodes {
            if let Some(id) = &node.bound {
                graph.by_id.insert(id.clone(), (node.key.clone(), node.in_plan));
            }
        }
        for node in nodes {
            let known = match (&node.parent, &node.live_parent) {
                (Parent::Key(key), _) => by_key.get(key.as_str()).map(|at| Known {
                    key: Some(key.clone()),
                    id: nodes[*at].bound.clone(),
                    in_plan: nodes[*at].in_plan,
                }),
                (Parent::Id(id), _) | (Parent::Undeclared, Some(id)) => Some(graph.by_id(id)),
                (Parent::None, _) | (Parent::Undeclared, None) => None,
            };
            graph.parents.extend(known.map(|known| (node.key.clone(), known)));
        }
        let parent_of = |node: &Node| {
            let known = graph.parents.get(&node.key)?;
            by_key.get(known.key.as_deref()?).copied()
        };
        let parents: Vec<Option<usize>> = nodes.iter().map(parent_of).collect();
        // A circle of live links that nobody declares is the server's own, and none of our business.
        let is_declared = |at: &usize| matches!(nodes[*at].parent, Parent::Key(_) | Parent::Id(_));
        for circle in manifest::circles(&parents) {
            if circle.iter().any(is_declared) {
                graph.circles.push(circle.iter().map(|at| nodes[*at].key.clone()).collect());
            }
        }
        graph
    }

    /// The parent that is a live job.
    pub fn by_id(&self, id: &str) -> Known {
        let found = self.by_id.get(id);
        Known {
            key: found.map(|(key, _)| key.clone()),
            id: Some(id.to_owned()),
            in_plan: found.is_some_and(|(_, in_plan)| *in_plan),
        }
    }

    /// The parent of a manifest's job; `None` where it has none.
    pub fn parent(&self, key: &str) -> Option<&Known> {
        self.parents.get(key)
    }

    /// Keys of manifests whose links, declared or live, lead round in a circle that a manifest takes part in making.
    pub fn circles(&self) -> &[Vec<String>] {
        &self.circles
    }

    /// Key of the parent of a manifest, where both are planned in this run.
    fn planned_parent(&self, key: &str) -> Option<&str> {
        self.parents.get(key).filter(|known| known.in_plan)?.key.as_deref()
    }

    /// Positions of keys with each parent before its children; else they stay in their order.
    pub fn order(&self, keys: &[&str]) -> Vec<usize> {
        let by_key: BTreeMap<&str, usize> = keys.iter().enumerate().map(|(at, key)| (*key, at)).collect();
        let mut order = Vec::with_capacity(keys.len());
        let mut seen = vec![false; keys.len()];
        for start in 0..keys.len() {
            let mut chain = Vec::new();
            let mut at = Some(start);
            while let Some(position) = at.filter(|position| !seen[*position]) {
                seen[position] = true;
                chain.push(position);
                at = self.planned_parent(keys[position]).and_then(|key| by_key.get(key).copied());
            }
            order.extend(chain.into_iter().rev());
        }
        order
    }
}

/// Blocks a step, and the steps of the same job that wait for it.
pub(super) fn block_with_what_follows(changes: &mut [Change], at: usize, reason: String, help: &str) {
    let (key, step) = (changes[at].key.clone(), changes[at].step());
    changes[at] = block(changes[at].clone(), reason, help);
    for change in &mut changes[at + 1..] {
        if change.key == key && change.after.contains(&step) {
            *change =
                block(change.clone(), "waits for a change that is blocked".to_owned(), "see the step before");
        }
    }
}

/// Brings steps into the order of their jobs, lets children wait for their parents, and blocks those whose parent
/// will not be there.
///
/// `waiting` holds the keys of manifests whose requests hold placeholders.
pub(super) fn order(changes: Vec<Change>, graph: &Graph, waiting: &BTreeSet<String>) -> Vec<Change> {
    let mut keys: Vec<&str> = changes.iter().map(|change| change.key.as_str()).collect();
    keys.dedup();
    let order: Vec<String> = graph.order(&keys).into_iter().map(|at| keys[at].to_owned()).collect();
    let mut by_key: BTreeMap<String, Vec<Change>> = BTreeMap::new();
    for change in changes {
        by_key.entry(change.key.clone()).or_default().push(change);
    }
    let mut ordered: Vec<Change> = Vec::new();
    for key in order {
        let Some(mut steps) = by_key.remove(&key) else { continue };
        if let Some(parent) = graph.planned_parent(&key) {
            let of_parent: Vec<&Change> = ordered.iter().filter(|change| change.key == parent).collect();
            wait(&mut steps, parent, &of_parent, waiting.contains(&key));
        }
        ordered.extend(steps);
    }
    ordered
}

/// Lets the steps of a child wait for those of its parent.
fn wait(steps: &mut [Change], parent: &str, of_parent: &[&Change], is_waiting: bool) {
    let is_content = |change: &&&Change| {
        matches!(change.action, Action::Create | Action::Update) || !is_about_status(change)
    };
    let will_not_be = of_parent
        .iter()
        .filter(is_content)
        .any(|change| matches!(change.action, Action::Blocked | Action::Held));
    let awaited: Vec<String> = of_parent
        .iter()
        .filter(|change| matches!(change.action, Action::Create | Action::Update))
        .map(|change| change.step())
        .collect();
    for at in 0..steps.len() {
        let change = &mut steps[at];
        let waits = match change.action {
            Action::Create | Action::Update | Action::Enable => true,
            Action::Disable | Action::Delete | Action::Blocked | Action::Held => false,
        };
        if !waits {
            continue;
        }
        let links_anew =
            change.fields.iter().any(|field| field.path == "/linkedJobId" && !field.after.is_null());
        // Members that have nothing to do with the parent are not held up by it: else an update which lets go of an
        // action could never go before the removal that is blocked because of it.
        let needs_parent = change.action != Action::Update || is_waiting || links_anew;
        if will_not_be && needs_parent {
            let reason = format!("its parent `{parent}` is blocked");
            block_with_what_follows(steps, at, reason, "see the step of that job");
            continue;
        }
        change.after.extend(awaited.iter().cloned());
    }
}

/// Whether a step changes nothing but the status.
fn is_about_status(change: &Change) -> bool {
    !change.fields.is_empty() && change.fields.iter().all(|field| field.path == "/status")
}

/// Whether a difference is one of the job's links.
pub(super) fn is_link(path: &str) -> bool {
    matches!(crate::diff::top_level(path), "linkedJobId" | "chainedJobRule")
}

/// Whether the text that stands for an id in a link is one.
pub(super) fn is_known_id(text: &str) -> bool {
    !text.is_empty() && Placeholder::parse(text).is_none()
}
