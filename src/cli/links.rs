//! The live jobs that a plan needs beside those that its manifests are bound to: parents, and children whose rules
//! wait for an action that goes.

use std::collections::{BTreeMap, BTreeSet};

use super::identity::keys_of_jobs;
use super::planning::{job, read_failed, spill_failed};
use super::session::Failure;
use crate::api::ReadApi;
use crate::details::Details;
use crate::diagnostic::Diagnostics;
use crate::inventory::{Inventory, Sources, Summary};
use crate::manifest::{self, Parent};
use crate::plan::{Binding, Dependent, Graph, Known, Node, ParentJob, Steps};
use crate::snapshot::{ListRow, LiveJob};

/// The selected manifests and the parents that they name by key, sorted by key.
pub(super) fn with_parents<'a>(inventory: &'a Inventory, selected: &[&'a Summary]) -> Vec<&'a Summary> {
    let mut all: BTreeMap<&str, &Summary> =
        selected.iter().map(|summary| (summary.key.as_str(), *summary)).collect();
    for summary in selected {
        if let Parent::Key(key) = &summary.parent
            && let Some(parent) = find(inventory, key)
        {
            all.insert(&parent.key, parent);
        }
    }
    all.into_values().collect()
}

/// Summaries are sorted by key.
fn find<'a>(inventory: &'a Inventory, key: &str) -> Option<&'a Summary> {
    let at = inventory.summaries.binary_search_by(|summary| summary.key.as_str().cmp(key)).ok()?;
    inventory.summaries.get(at)
}

/// Who is linked to whom in this run.
#[derive(Debug, Default)]
pub(super) struct Links {
    graph: Graph,
}

impl Links {
    /// Looks at the selected manifests and their parents; `bindings` are in the order of `all`.
    pub(super) fn new(
        all: &[&Summary],
        bindings: &[Binding],
        selected: &[&Summary],
        rows: &[ListRow],
    ) -> Self {
        let selected: BTreeSet<&str> = selected.iter().map(|summary| summary.key.as_str()).collect();
        let nodes = all.iter().zip(bindings).map(|(summary, binding)| Node {
            key: summary.key.clone(),
            bound: binding.id().map(str::to_owned),
            parent: summary.parent.clone(),
            live_parent: binding.id().and_then(|id| row(rows, id)?.linked_job_id.clone()),
            in_plan: selected.contains(summary.key.as_str()),
        });
        Self { graph: Graph::new(&nodes.collect::<Vec<_>>()) }
    }

    /// Stops where declared links lead round in a circle of which bindings tell; circles of keys were found before.
    pub(super) fn check_circles(&self, inventory: &Inventory, sources: Sources<'_>) -> Result<(), Failure> {
        let mut findings = Diagnostics::new();
        for circle in self.graph.circles() {
            let mut members = Vec::new();
            for summary in circle.iter().filter_map(|key| find(inventory, key)) {
                members.push(inventory.manifest(summary, sources).map_err(Failure::Findings)?.0);
            }
            findings.push(manifest::circle_finding(&members.iter().collect::<Vec<_>>()));
        }
        if findings.is_empty() { Ok(()) } else { Err(Failure::Findings(findings)) }
    }

    /// Ids of the parents that must be read: those whose actions are named.
    pub(super) fn to_read(&self, selected: &[&Summary]) -> BTreeSet<String> {
        let naming = selected.iter().filter(|summary| summary.names_actions);
        naming.filter_map(|summary| self.graph.parent(&summary.key)?.id.clone()).collect()
    }

    /// Positions of the selected manifests with each parent before its children.
    pub(super) fn order(&self, selected: &[&Summary]) -> Vec<usize> {
        let keys: Vec<&str> = selected.iter().map(|summary| summary.key.as_str()).collect();
        self.graph.order(&keys)
    }

    /// What tells one state of all that a manifest was compared with from another; `None` where that is not settled.
    ///
    /// `clean` holds the manifests that are known to be equal to their jobs: where a parent's manifest is not, its
    /// actions are about to be others than the live ones.
    pub(super) fn revision(
        &self,
        summary: &Summary,
        binding: &Binding,
        details: &Details,
        clean: &BTreeMap<String, String>,
    ) -> Option<String> {
        let own = details.revision(binding.id()?)?;
        if !summary.names_actions && !matches!(summary.parent, Parent::Key(_)) {
            return Some(own.to_owned());
        }
        let Known { key, id, in_plan } = self.graph.parent(&summary.key)?;
        let id = id.as_deref()?;
        if !summary.names_actions {
            return Some(format!("{own}+{id}"));
        }
        let is_settled = !in_plan || key.as_ref().is_some_and(|key| clean.contains_key(key));
        let parent = details.revision(id).filter(|_| is_settled)?;
        Some(format!("{own}+{id}@{parent}"))
    }

    /// What the order of steps is made by.
    pub(super) fn into_graph(self) -> Graph {
        self.graph
    }
}

/// Rows are sorted by id.
fn row<'a>(rows: &'a [ListRow], id: &str) -> Option<&'a ListRow> {
    let at = rows.binary_search_by(|row| row.id.as_str().cmp(id)).ok()?;
    rows.get(at)
}

/// Everything that looking at other jobs needs.
#[derive(Clone, Copy)]
pub(super) struct Look<'a, A> {
    pub(super) inventory: &'a Inventory,
    pub(super) sources: Sources<'a>,
    pub(super) rows: &'a [ListRow],
    pub(super) links: &'a Links,
    pub(super) api: &'a A,
}

impl<A: ReadApi> Look<'_, A> {
    /// The parent by which a manifest's links are resolved; `live` is the job that the manifest is bound to.
    pub(super) async fn parent(
        &self,
        summary: &Summary,
        live: Option<&LiveJob>,
        details: &mut Details,
    ) -> Result<Option<ParentJob>, Failure> {
        if !summary.names_actions && !matches!(summary.parent, Parent::Key(_)) {
            return Ok(None);
        }
        let known = match summary.parent {
            // The job itself knows better than its row, which may lag.
            Parent::Undeclared => {
                live.and_then(|live| live.normalised.text("linkedJobId")).map(|id| self.links.graph.by_id(id))
            }
            Parent::None | Parent::Key(_) | Parent::Id(_) => self.links.graph.parent(&summary.key).cloned(),
        };
        let Some(known) = known else { return Ok(None) };
        let mut parent = ParentJob { known, live: None, manifest: None };
        if summary.names_actions {
            if let Some(id) = &parent.known.id {
                parent.live = self.read(id, details).await?;
            }
            if let Some(declared) = parent.known.key.as_deref().and_then(|key| find(self.inventory, key)) {
                let read = self.inventory.manifest(declared, self.sources).map_err(Failure::Findings)?;
                parent.manifest = Some(read.0);
            }
        }
        Ok(Some(parent))
    }

    /// Blocks a link to a job that does not exist. A list may lag, so the API is asked for one that is not listed.
    pub(super) async fn check_new_parent(
        &self,
        steps: &mut Steps,
        details: &mut Details,
    ) -> Result<(), Failure> {
        let Some(id) = steps.new_parent().map(str::to_owned) else { return Ok(()) };
        if row(self.rows, &id).is_none() && self.read(&id, details).await?.is_none() {
            steps.block_new_parent();
        }
        Ok(())
    }

    /// The live jobs that are linked to one of these, with what their rules wait for.
    pub(super) async fn dependents(
        &self,
        parents: &BTreeSet<String>,
        details: &mut Details,
    ) -> Result<Vec<Dependent>, Failure> {
        if parents.is_empty() {
            return Ok(Vec::new());
        }
        // Also of manifests outside of the selection.
        let all: Vec<&Summary> = self.inventory.summaries.iter().collect();
        let keys = keys_of_jobs(&all, self.rows);
        let mut dependents = Vec::new();
        for row in self.rows {
            if row.linked_job_id.as_ref().is_some_and(|parent| parents.contains(parent))
                && let Some(child) = self.read(&row.id, details).await?
            {
                let key = keys.get(row.id.as_str()).map(|key| (*key).to_owned());
                dependents.extend(Dependent::of(&row.id, key, &child));
            }
        }
        Ok(dependents)
    }

    /// A job as it is remembered, if that is current, else as the API answers.
    async fn read(&self, id: &str, details: &mut Details) -> Result<Option<LiveJob>, Failure> {
        if !details.is_known(id) {
            for id in details.missing(std::iter::once(id.to_owned()), self.rows) {
                let job = self.api.get_job(&id).await.map_err(read_failed)?;
                let row = row(self.rows, &id);
                details.put(&id, job.as_ref(), row).map_err(|error| spill_failed(&error))?;
            }
        }
        let job = job(details, id, self.api).await?;
        // A server may go on answering for a job that was deleted; nothing waits for it, and it waits for nothing.
        let is_deleted =
            |job: &LiveJob| job.raw.pointer("/deletedBy/date").is_some_and(|date| !date.is_null());
        Ok(job.filter(|job| !is_deleted(job)))
    }
}
