//! The plan of all manifests together, made one manifest at a time.
//!
//! A whole live job is needed only while its own manifest is planned, so ten thousand of them never have to be held
//! at once.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use super::alike;
use super::bind::Binding;
use super::dependents::{self, Dependent};
use super::ignored::{self, Ignored};
use super::job::{Planned, Planner, blocked, named_after};
use super::links::{self, Graph, Node};
use super::origin::{NoTrails, StampCounts, Trails};
use super::resolve::{ParentJob, Resolution, resolve};
use super::{Action, Candidate, Change, Guard, Plan, Policy, PrunePolicy, prune};
use crate::diagnostic::Diagnostics;
use crate::links::placeholders;
use crate::manifest::{DesiredSet, Manifest};
use crate::snapshot::{ListRow, LiveJob, Snapshot};

/// What one manifest comes to.
#[derive(Clone, Debug)]
pub struct Steps {
    changes: Vec<Change>,
    diagnostics: Diagnostics,
    ignored: Vec<Ignored>,
    /// Key of the manifest, where its requests hold placeholders.
    waiting: Option<String>,
}

impl Steps {
    /// Plans one manifest; `job` is the live job it is bound to, `None` where the API does not know it.
    ///
    /// A stamp that was not counted is taken for the only one of its kind.
    pub fn of(
        policy: &Policy,
        stamps: &StampCounts,
        trails: &dyn Trails,
        manifest: &Manifest,
        binding: &Binding,
        job: Option<&LiveJob>,
    ) -> Self {
        let planner = Planner { policy, stamps, trails };
        let Planned { steps, diagnostics, ignored } = planner.plan(manifest, binding, job);
        let is_waiting = !placeholders(&manifest.spec).is_empty();
        let waiting = is_waiting.then(|| manifest.key.clone());
        Self { changes: steps, diagnostics, ignored, waiting }
    }

    /// The same for a manifest whose links may stand in it by key and by name; `parent` is the job that it is linked
    /// to.
    pub fn linked(
        policy: &Policy,
        stamps: &StampCounts,
        trails: &dyn Trails,
        manifest: &Manifest,
        binding: &Binding,
        job: Option<&LiveJob>,
        parent: Option<&ParentJob>,
    ) -> Self {
        // Before links are resolved: one that is left alone needs no parent.
        let is_bound = binding.id().is_some() && job.is_some();
        let manifest = &*if is_bound { ignored::left_out(policy, manifest) } else { Cow::Borrowed(manifest) };
        let parent = parent.map(|parent| parent.leaving_out(policy));
        match resolve(manifest, parent.as_ref()) {
            Resolution::Plain => Self::of(policy, stamps, trails, manifest, binding, job),
            Resolution::Resolved(manifest, notes) => {
                let mut steps = Self::of(policy, stamps, trails, &manifest, binding, job);
                let links = steps.changes.iter_mut().find(|change| {
                    change.action.writes() && change.fields.iter().any(|field| links::is_link(&field.path))
                });
                if let Some(change) = links {
                    change.notes.extend(notes);
                }
                steps
            }
            Resolution::Blocked(reason, help) => {
                let mut change = blocked(manifest, binding.id(), reason, &help);
                if let Some(job) = job {
                    change = named_after(change, job);
                    change.edited = Some(job.last_edit());
                }
                Self {
                    changes: vec![change],
                    diagnostics: Diagnostics::new(),
                    ignored: Vec::new(),
                    waiting: None,
                }
            }
            Resolution::Wrong(mut diagnostics) => {
                let mut changes = Vec::new();
                if let (Some(job), false) = (job, policy.findings_stop) {
                    // Not compared, and so never to be taken for unchanged.
                    diagnostics.only_warn();
                    let words = diagnostics.iter().map(|finding| finding.message.clone()).collect::<Vec<_>>();
                    let change =
                        blocked(manifest, binding.id(), words.join("; "), "the job was not compared");
                    changes.push(Change { edited: Some(job.last_edit()), ..named_after(change, job) });
                }
                Self { changes, diagnostics, ignored: Vec::new(), waiting: None }
            }
        }
    }

    /// The live job that a step would link this one to; it must be there.
    pub fn new_parent(&self) -> Option<&str> {
        let fields =
            self.changes.iter().filter(|change| change.action.writes()).flat_map(|change| &change.fields);
        let after =
            fields.filter(|field| field.path == "/linkedJobId").find_map(|field| field.after.as_str());
        after.filter(|id| links::is_known_id(id))
    }

    /// Blocks the step that links the job, because the parent is not there.
    pub fn block_new_parent(&mut self) {
        let Some(id) = self.new_parent().map(str::to_owned) else { return };
        let at = self.changes.iter().position(|change| {
            change.action.writes() && change.fields.iter().any(|field| field.path == "/linkedJobId")
        });
        if let Some(at) = at {
            let reason = format!("there is no live job {id} to be linked to");
            let help = "run plan again, the answer may lag; if it stays so, declare another parent";
            links::block_with_what_follows(&mut self.changes, at, reason, help);
        }
    }

    /// Nothing to do and nothing to say.
    pub fn none() -> Self {
        Self { changes: Vec::new(), diagnostics: Diagnostics::new(), waiting: None, ignored: Vec::new() }
    }

    /// The steps.
    pub fn changes(&self) -> &[Change] {
        &self.changes
    }

    /// Whether a rule hides that declared and live differ.
    pub fn has_ignored(&self) -> bool {
        !self.ignored.is_empty()
    }

    /// Whether nothing is to be done and nothing to be said.
    pub fn is_quiet(&self) -> bool {
        self.changes.is_empty() && self.diagnostics.is_empty()
    }
}

/// A plan in the making.
#[derive(Debug)]
pub struct Builder<'a> {
    policy: &'a Policy,
    changes: Vec<Change>,
    diagnostics: Diagnostics,
    n_unchanged: usize,
    n_manifests: usize,
    others: BTreeSet<String>,
    ignored: Vec<Ignored>,
    deletions: Vec<Change>,
    most_deletions: Option<usize>,
    graph: Graph,
    dependents: Vec<Dependent>,
    /// Keys of manifests whose requests hold placeholders.
    waiting: BTreeSet<String>,
}

impl<'a> Builder<'a> {
    /// Begins a plan.
    pub fn new(policy: &'a Policy) -> Self {
        Self {
            policy,
            changes: Vec::new(),
            diagnostics: Diagnostics::new(),
            n_unchanged: 0,
            n_manifests: 0,
            others: BTreeSet::new(),
            ignored: Vec::new(),
            deletions: Vec::new(),
            most_deletions: None,
            graph: Graph::default(),
            dependents: Vec::new(),
            waiting: BTreeSet::new(),
        }
    }

    /// Adds what is to be said of the manifests before any of them is planned.
    pub fn warn(&mut self, findings: Diagnostics) {
        self.diagnostics.append(findings);
    }

    /// Says which live jobs manifests are about that this plan leaves out.
    pub fn set_others(&mut self, ids: BTreeSet<String>) {
        self.others = ids;
    }

    /// Live jobs that look like one that is to be made, each with the key of its manifest: one of them may be that very
    /// job under another name, which its stamp tells.
    pub fn look_alikes(&self, rows: &[ListRow], is_managed: &dyn Fn(&str) -> bool) -> Vec<(String, String)> {
        let found = alike::find_all(&self.changes, rows, is_managed);
        let pairs = found.iter().flat_map(|(at, alike)| alike.iter().map(move |alike| (at, alike.row)));
        pairs.map(|(at, row)| (self.changes[*at].key.clone(), row.id.clone())).collect()
    }

    /// Blocks the making of a job that is there already, under another name.
    pub fn block_second(&mut self, key: &str, row: &ListRow) {
        let is_it = |change: &Change| change.key == key && change.action == Action::Create;
        let Some(at) = self.changes.iter().position(is_it) else { return };
        let reason = format!(
            "the live job {} `{}` bears our stamp of this key: it was renamed, or copied, in the console",
            row.id, row.name
        );
        let help = format!(
            "set `metadata.id: {}` if it is the job meant; --allow-create {key} makes another job",
            row.id
        );
        links::block_with_what_follows(&mut self.changes, at, reason, &help);
        // What the new job would be is not what this is about.
        self.changes[at].fields.clear();
        self.changes[at].schedule = None;
        self.changes[at].edited = Some(row.last_edit());
    }

    /// Adds what the next manifest comes to.
    pub fn add(&mut self, steps: Steps) {
        let Steps { changes, diagnostics, ignored, waiting } = steps;
        self.ignored.extend(ignored);
        self.waiting.extend(waiting);
        if changes.is_empty() {
            self.n_unchanged += 1;
        }
        self.n_manifests += 1;
        self.changes.extend(changes);
        self.diagnostics.append(diagnostics);
    }

    /// Counts a manifest that is known to need nothing, from an earlier run with the same manifest and the same job.
    pub fn add_unchanged(&mut self) {
        self.n_unchanged += 1;
        self.n_manifests += 1;
    }

    /// Adds the removal of jobs whose manifests are gone; they come after everything else.
    ///
    /// `stamps` counts those of all live jobs that may bear the stamp of a candidate.
    pub fn prune(
        &mut self,
        prune: PrunePolicy,
        stamps: &StampCounts,
        rows: &[ListRow],
        candidates: &[(Candidate, LiveJob)],
    ) {
        self.most_deletions = prune.most;
        self.deletions = prune::steps(self.policy, prune, stamps, rows, candidates, &self.changes);
    }

    /// Says who is linked to whom, for the order of the steps.
    pub fn link(&mut self, graph: Graph) {
        self.graph = graph;
    }

    /// Ids of the jobs that lose a post-action: the rules of the jobs that are linked to them must be known.
    pub fn losing_actions(&self) -> BTreeSet<String> {
        dependents::losing(&self.changes)
    }

    /// Tells of live jobs whose rules wait for actions of others.
    pub fn depend(&mut self, dependents: impl IntoIterator<Item = Dependent>) {
        self.dependents.extend(dependents);
    }

    /// Ends the plan.
    ///
    /// # Errors
    /// What is wrong with the jobs as they would be; then nothing is planned at all.
    pub fn finish(mut self, bindings: &[Binding], rows: &[ListRow]) -> Result<Plan, Diagnostics> {
        self.diagnostics.sort();
        // Stable: the members of one manifest stay in the order of their rules.
        self.ignored.sort_by(|a, b| a.key.cmp(&b.key));
        if self.diagnostics.has_errors() {
            return Err(self.diagnostics);
        }
        self.block_taken_names(rows);
        dependents::block_broken_rules(&mut self.changes, &self.dependents);
        let changes = std::mem::take(&mut self.changes);
        self.changes = links::order(changes, &self.graph, &self.waiting);
        let bound: BTreeSet<&str> = bindings.iter().filter_map(Binding::id).collect();
        alike::note(&mut self.changes, rows, &|id| bound.contains(id) || self.others.contains(id));
        let going: BTreeSet<&str> = self.deletions.iter().filter_map(|change| change.id.as_deref()).collect();
        let is_unmanaged =
            |row: &&ListRow| !bound.contains(row.id.as_str()) && !going.contains(row.id.as_str());
        let n_unmanaged = rows.iter().filter(is_unmanaged).count();
        let n_deletions = self.deletions.iter().filter(|change| change.action == Action::Delete).count();
        let over =
            prune::over_threshold(n_deletions, bound.len() + self.deletions.len(), self.most_deletions);
        let guard = over.map(|reason| Guard {
            reason,
            help: format!("if they are to go, allow it for this once: --max-deletes {n_deletions}"),
        });
        self.changes.append(&mut self.deletions);
        let mut tag_names = Snapshot::tag_names_of(rows);
        tag_names.extend(self.policy.tag_names.clone());
        Ok(Plan {
            changes: self.changes,
            n_unchanged: self.n_unchanged,
            n_unmanaged: self.policy.is_whole.then_some(n_unmanaged),
            n_manifests: self.n_manifests,
            envelope: self.policy.envelope,
            guard,
            n_orphans: 0,
            probe: None,
            leftovers: Vec::new(),
            list_calls: BTreeMap::new(),
            tag_names,
            base: None,
            no_longer_managed: Vec::new(),
            ignored: self.ignored,
            warnings: self.diagnostics,
        })
    }
}

impl Builder<'_> {
    /// A name that another live job of the platform has must not be taken: nobody could tell the two apart by name.
    fn block_taken_names(&mut self, rows: &[ListRow]) {
        for at in 0..self.changes.len() {
            let change = &self.changes[at];
            let renamed =
                change.fields.iter().find(|field| field.path == "/name" && change.action == Action::Update);
            let Some(name) = renamed.and_then(|field| field.after.as_str()) else { continue };
            let taken = rows.iter().find(|row| {
                row.name == name && row.platform == change.platform && Some(&row.id) != change.id.as_ref()
            });
            if let Some(row) = taken {
                let reason = format!("the live job {} has the name `{name}` already", row.id);
                let help = "choose another name, or rename that job first";
                links::block_with_what_follows(&mut self.changes, at, reason, help);
            }
        }
    }
}

/// Plans every manifest; `bindings` are in the order of the manifests, and the snapshot holds all bound jobs.
///
/// # Errors
/// What is wrong with the jobs as they would be; then nothing is planned at all.
pub fn build(
    set: &DesiredSet,
    bindings: &[Binding],
    snapshot: &Snapshot,
    policy: &Policy,
) -> Result<Plan, Diagnostics> {
    build_with(set, bindings, snapshot, policy, &NoTrails)
}

/// The same with what is known of the past.
///
/// # Errors
/// What is wrong with the jobs as they would be; then nothing is planned at all.
pub fn build_with(
    set: &DesiredSet,
    bindings: &[Binding],
    snapshot: &Snapshot,
    policy: &Policy,
    trails: &dyn Trails,
) -> Result<Plan, Diagnostics> {
    let mut stamps = StampCounts::default();
    for job in snapshot.jobs.values().flatten() {
        stamps.add(&job.stamp);
    }
    let mut builder = Builder::new(policy);
    let live = |id: Option<&str>| snapshot.jobs.get(id?)?.as_ref();
    let linked_to = |job: Option<&LiveJob>| {
        Some(job?.normalised.text("linkedJobId")?.to_owned()).filter(|id| !id.is_empty())
    };
    let nodes: Vec<Node> = set
        .manifests
        .iter()
        .zip(bindings)
        .map(|(manifest, binding)| Node {
            key: manifest.key.clone(),
            bound: binding.id().map(str::to_owned),
            parent: manifest.parent(),
            live_parent: linked_to(live(binding.id())),
            in_plan: true,
        })
        .collect();
    let graph = Graph::new(&nodes);
    let by_key: BTreeMap<&str, &Manifest> =
        set.manifests.iter().map(|manifest| (manifest.key.as_str(), manifest)).collect();
    for circle in graph.circles() {
        let members: Vec<&Manifest> =
            circle.iter().filter_map(|key| by_key.get(key.as_str()).copied()).collect();
        builder.diagnostics.push(crate::manifest::circle_finding(&members));
    }
    let mut keys = BTreeMap::new();
    let order: Vec<&str> = set.manifests.iter().map(|manifest| manifest.key.as_str()).collect();
    for (manifest, binding) in graph.order(&order).into_iter().map(|at| (&set.manifests[at], &bindings[at])) {
        let job = live(binding.id());
        let parent = graph.parent(&manifest.key).map(|known| ParentJob {
            live: live(known.id.as_deref()).cloned(),
            manifest: known.key.as_deref().and_then(|key| by_key.get(key)).map(|found| (*found).clone()),
            known: known.clone(),
        });
        keys.extend(binding.id().map(|id| (id, manifest.key.clone())));
        builder.add(Steps::linked(policy, &stamps, trails, manifest, binding, job, parent.as_ref()));
    }
    let dependents = snapshot
        .jobs
        .iter()
        .filter_map(|(id, job)| Dependent::of(id, keys.get(id.as_str()).cloned(), job.as_ref()?));
    builder.depend(dependents);
    builder.link(graph);
    builder.finish(bindings, &snapshot.rows)
}
