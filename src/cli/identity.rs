#![expect(clippy::disallowed_methods, reason = "what is seen now is dated")]

//! Which live job each manifest is about: what Git, the gateway and earlier runs say, brought together.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use super::args::PlanningArgs;
use super::planning::{Request, job, read_failed, spill_failed};
use super::reading::Live;
use super::session::Failure;
use crate::api::ReadApi;
use crate::apply::chain;
use crate::base::{self, Base, BaseProblem, Choice, Commit};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::inventory::{Inventory, Summary};
use crate::job::{Platform, nearest};
use crate::ledger::{Ledger, Whose};
use crate::manifest::Manifest;
use crate::normalise;
use crate::plan::{
    self, Action, Binding, Builder, Change, DisabledBy, Left, Origin, Outcome, OutcomeKind, Plan, Remark,
};
use crate::render::text::count;
use crate::snapshot::{Edit, ListRow};
use crate::stamp::{self, Found};

/// Remarks on the base that are shown; more of them say the same about more files.
const MOST_BASE_NOTES: usize = 5;

/// The most jobs that are asked for because they look like one that is to be made; there may be hundreds on a day when
/// many manifests are new. Beyond it the plan says so.
const MOST_LOOK_ALIKES: usize = 30;

/// What manifests are bound to.
#[derive(Debug, Default)]
pub(super) struct Identified {
    /// In the order of the selected manifests.
    pub(super) bindings: Vec<Binding>,
    /// What there is to say of them; no errors.
    pub(super) findings: Diagnostics,
    /// Live jobs that manifests are about which are not selected.
    pub(super) others: BTreeSet<String>,
    /// Keys that were bound to another job which is still there: the ledger keeps that one until somebody says which.
    moved: BTreeSet<String>,
}

impl Identified {
    /// Goes on with the selected manifests alone; the jobs of the others are theirs.
    pub(super) fn select(&mut self, all: &[&Summary], selected: &[&Summary]) {
        if all.len() == selected.len() {
            return;
        }
        let keys: BTreeSet<&str> = selected.iter().map(|summary| summary.key.as_str()).collect();
        for (summary, binding) in all.iter().zip(std::mem::take(&mut self.bindings)) {
            if keys.contains(summary.key.as_str()) {
                self.bindings.push(binding);
            } else {
                self.others.extend(binding.id().map(str::to_owned));
            }
        }
    }
}

impl Request<'_> {
    /// Refuses names on the command line that mean nothing here, before any call is made.
    pub(super) fn check_names(&self, inventory: &Inventory) -> Result<(), Failure> {
        let keys: Vec<&str> = inventory.summaries.iter().map(|summary| summary.key.as_str()).collect();
        let help = |key: &str| {
            nearest(key, keys.iter().copied()).map_or_else(
                || "it takes the key of a manifest".to_owned(),
                |near| format!("did you mean `{near}`?"),
            )
        };
        let PlanningArgs { allow_create, allow_run_once, allow_script_loss, set_scripts, .. } = self.planning;
        let unknown = |key: &&String| !keys.contains(&key.as_str());
        if let Some(key) = allow_create.iter().find(unknown) {
            let message = format!("--allow-create `{key}` is the key of no manifest");
            return Err(Failure::Error(vec![message], Some(help(key))));
        }
        // These may stand in a pipeline for good, after the manifest went; without effect they do no harm.
        for (flag, given) in [
            ("--allow-run-once", allow_run_once),
            ("--allow-script-loss", allow_script_loss),
            ("--set-scripts", set_scripts),
        ] {
            for key in given.iter().filter(unknown) {
                self.terminal.note(&format!("{flag} `{key}` is the key of no manifest; {}", help(key)));
            }
        }
        match &self.planning.base {
            Some(reference) => base::resolve(&self.settings.root, reference).map(|_| ()).map_err(base_failed),
            None => Ok(()),
        }
    }

    /// The commit that is taken for the one that was applied last.
    pub(super) fn choose_base(&self, ledger: &Ledger) -> Result<Choice, Failure> {
        let variable = |name: &str| std::env::var(name).ok();
        let flag = self.planning.base.as_deref();
        base::choose(&self.settings.root, flag, &variable, ledger.applied_commit()).map_err(base_failed)
    }

    /// The manifests at the base: a commit that was named, the merge base of a pull request, else the one that the last
    /// apply recorded, if it is still there.
    pub(super) fn read_base(&self, ledger: &Ledger) -> Result<Option<Base>, Failure> {
        let Choice::Base(base::Chosen { commit, .. }) = self.choose_base(ledger)? else { return Ok(None) };
        let shown = |path: &Path| self.settings.shown(path);
        let base = match base::read(&commit, self.sources(&shown)) {
            Ok(base) => base,
            // Nobody asked for it, so nobody has to do without a plan.
            Err(problem) if self.planning.base.is_none() => {
                self.terminal.note(&format!("there is no base to compare with: {problem}"));
                return Ok(None);
            }
            Err(problem) => return Err(base_failed(problem)),
        };
        for note in base.notes.iter().take(MOST_BASE_NOTES) {
            self.terminal.note(note);
        }
        let n_more = base.notes.len().saturating_sub(MOST_BASE_NOTES);
        if n_more > 0 {
            self.terminal
                .note(&format!("{n_more} more files at the base are not as this build would have them"));
        }
        Ok(Some(base))
    }

    /// What earlier runs know; `customer` is empty where no live job told the subscription.
    pub(super) fn open_ledger(&self, identity: &str, customer: &str) -> Ledger {
        let customer = match customer {
            "" => self.settings.customer_id.as_deref().unwrap_or_default(),
            told => told,
        };
        let whose = Whose { gateway: identity, owner: &self.settings.owner, customer };
        let mut ledger =
            Ledger::open(&self.settings.state_dir, whose, self.planning.reset, jiff::Timestamp::now());
        if let Some(note) = ledger.note.take() {
            self.terminal.note(&note);
        }
        ledger
    }

    /// Binds the manifests; those of which something is to be said are read in full, so that it has its places.
    pub(super) fn bind(
        &self,
        inventory: &Inventory,
        selected: &[&Summary],
        rows: &[ListRow],
        ledger: &Ledger,
    ) -> Result<Identified, Failure> {
        let identities: Vec<_> = selected.iter().map(|summary| identity_of(summary)).collect();
        let plan::Bound { mut bindings, remarks } = plan::bind_plainly(&identities, rows);
        let others = jobs_of_others(inventory, selected, rows);
        refuse_jobs_of_others(&others, selected, &bindings)?;
        let mut findings = Diagnostics::new();
        for remark in &remarks {
            if matches!(remark, Remark::OldNameLives { id, .. } if others.contains_key(id.as_str())) {
                continue;
            }
            let mut manifests: BTreeMap<usize, Manifest> = BTreeMap::new();
            for at in remark.manifests() {
                manifests.insert(at, self.manifest(inventory, selected[at])?);
            }
            findings.push(remark.finding(|at| &manifests[&at]));
        }
        if findings.has_errors() {
            return Err(Failure::Findings(findings));
        }
        let mut moved = BTreeSet::new();
        let moves: Vec<_> = selected
            .iter()
            .zip(&bindings)
            .filter_map(|(summary, binding)| Some((summary, moved_from(summary, binding, ledger, rows)?)))
            .map(|(summary, (id, former))| (*summary, id.to_owned(), former))
            .collect();
        // The usual run has neither, and needs no set of all ids.
        if !moves.is_empty() || bindings.contains(&Binding::Missing) {
            let bound: BTreeSet<String> =
                bindings.iter().filter_map(Binding::id).map(str::to_owned).collect();
            let is_managed = |id: &str| bound.contains(id) || others.contains_key(id);
            for (summary, id, former) in moves.into_iter().filter(|(_, _, former)| !is_managed(&former.id)) {
                findings.push(moved_finding(&self.manifest(inventory, summary)?, &id, former));
                moved.insert(summary.key.clone());
            }
            self.judge_missing(selected, &identities, &mut bindings, rows, ledger, &is_managed)?;
        }
        let others = others.into_keys().map(str::to_owned).collect();
        Ok(Identified { bindings, findings, others, moved })
    }

    /// Tells manifests that are new from those whose job vanished or was renamed.
    fn judge_missing(
        &self,
        selected: &[&Summary],
        identities: &[plan::Identity<'_>],
        bindings: &mut [Binding],
        rows: &[ListRow],
        ledger: &Ledger,
        is_managed: &dyn Fn(&str) -> bool,
    ) -> Result<(), Failure> {
        // Read for the first manifest that needs it: a run without a new one does not.
        let mut base: Option<Option<Base>> = None;
        for ((summary, identity), binding) in selected.iter().zip(identities).zip(bindings) {
            if *binding != Binding::Missing || self.planning.allow_create.contains(&summary.key) {
                continue;
            }
            let bound = ledger.bound(&summary.key);
            let create = ledger
                .sent_create(&summary.key)
                .or_else(|| ledger.sent_create_of(identity.name, identity.platform));
            let declared = match (bound, &base) {
                (Some(_), _) => None,
                (None, Some(base)) => base.as_ref().and_then(|base| base.declared(&summary.key)),
                (None, None) => {
                    let read = base.insert(self.read_base(ledger)?);
                    read.as_ref().and_then(|base| base.declared(&summary.key))
                }
            };
            let past = plan::Past { bound, create, base: declared.as_ref() };
            if let Some(doubt) = plan::doubt(identity, past, rows, is_managed) {
                *binding = Binding::Unclear(Box::new(doubt));
            }
        }
        Ok(())
    }

    fn manifest(&self, inventory: &Inventory, summary: &Summary) -> Result<Manifest, Failure> {
        let shown = |path: &Path| self.settings.shown(path);
        let (manifest, _) = inventory.manifest(summary, self.sources(&shown)).map_err(Failure::Findings)?;
        Ok(manifest)
    }

    /// Looks for our stamp on live jobs that look like one that is to be made.
    ///
    /// Without the state folder and without a base that is all there is to tell a renamed job from a new one.
    pub(super) async fn block_second_jobs<A: ReadApi>(
        &self,
        live: &mut Live,
        builder: &mut Builder<'_>,
        api: &A,
    ) -> Result<(), Failure> {
        let Live { rows, identified, details, .. } = live;
        let managed: BTreeSet<&str> = identified
            .bindings
            .iter()
            .filter_map(Binding::id)
            .chain(identified.others.iter().map(String::as_str))
            .collect();
        let alike = builder.look_alikes(rows, &|id| managed.contains(id));
        let alike = alike.into_iter().filter(|(key, _)| !self.planning.allow_create.contains(key));
        let mut n_left = MOST_LOOK_ALIKES;
        let (mut unread, mut keys) = (BTreeSet::new(), BTreeSet::new());
        for (key, id) in alike {
            let Ok(at) = rows.binary_search_by(|row| row.id.cmp(&id)) else { continue };
            if !details.is_known(&id) && !details.missing(std::iter::once(id.clone()), rows).is_empty() {
                if n_left == 0 {
                    unread.insert(id);
                    keys.insert(key);
                    continue;
                }
                n_left -= 1;
                let found = api.get_job(&id).await.map_err(read_failed)?;
                details.put(&id, found.as_ref(), Some(&rows[at])).map_err(|error| spill_failed(&error))?;
            }
            let stamp = job(details, &id, api).await?.map(|live| live.stamp);
            if let Some(Found::Stamp(stamp)) = stamp
                && stamp.owner == self.settings.owner
                && stamp.key == key
            {
                builder.block_second(&key, &rows[at]);
            }
        }
        if !unread.is_empty() {
            self.terminal.note(&format!(
                "{} in no manifest may be {} under another name and {} not read, because too many look alike; with \
                 --base REF, or the state folder of earlier runs, it is known which manifests are new",
                count(unread.len(), "live job"),
                match keys.first() {
                    Some(key) if keys.len() == 1 => format!("that of `{key}`"),
                    _ => format!("one of {} that are to be made", count(keys.len(), "job")),
                },
                if unread.len() == 1 { "was" } else { "were" },
            ));
        }
        Ok(())
    }

    /// Notes what the manifests were found bound to, and keeps it for the next run.
    pub(super) fn remember_bindings(
        &self,
        identified: &Identified,
        selected: &[&Summary],
        rows: &[ListRow],
        ledger: &mut Ledger,
    ) {
        for key in &identified.moved {
            ledger.contest(key);
        }
        for (summary, binding) in selected.iter().zip(&identified.bindings) {
            if let Some(row) = binding.id().and_then(|id| row_of(rows, id)) {
                ledger.saw(&summary.key, row, summary.protect);
            }
        }
        self.save_ledger(ledger);
    }

    /// Writes the ledger; where that fails, the next run knows less, which is worth a word.
    fn save_ledger(&self, ledger: &mut Ledger) {
        if let Err(error) = ledger.save() {
            self.terminal.note(&format!("which job is bound to which manifest could not be kept: {error}"));
        }
    }

    /// Notes which jobs the console disabled, before anything is written that would hide who it was.
    pub(super) fn remember_disabled(&self, plan: &Plan, bound: &[(String, String)], ledger: &mut Ledger) {
        // Where the status is as declared, or nothing at all differs, Git has agreed to it.
        let disagrees = |key: &str| {
            plan.changes.iter().filter(|change| change.key == key).any(|change| {
                change.action == Action::Blocked || change.fields.iter().any(|field| field.path == "/status")
            })
        };
        let is_open = |key: &str| ledger.disabled(key).is_some();
        let agreed: Vec<&String> =
            bound.iter().map(|(key, _)| key).filter(|key| is_open(key) && !disagrees(key)).collect();
        for key in agreed {
            ledger.agreed(key);
        }
        for change in plan.changes.iter().filter(|change| change.action == Action::Held) {
            let was_disabled = change.fields.iter().any(|field| {
                field.path == "/status"
                    && field.origin == Origin::Console
                    && normalise::is_armed(field.after.as_str())
            });
            // What is known already was found before a write of ours.
            if let (true, Some(id), None) = (was_disabled, &change.id, ledger.disabled(&change.key)) {
                let Edit { user, at, .. } = change.edited.clone().unwrap_or_default();
                ledger.is_disabled(&change.key, DisabledBy { id: id.clone(), user, at });
            }
        }
        self.save_ledger(ledger);
    }

    /// Notes what an apply made of the jobs, and the commit if nothing of it is left to be done.
    ///
    /// `head` is the commit that the manifests were read at, and `seen_at` the youngest edit that was seen on any job.
    pub(super) fn remember_applied(
        &self,
        inventory: Option<&Inventory>,
        plan: &Plan,
        outcomes: &[Outcome],
        head: Option<&Commit>,
        seen_at: Option<i64>,
        ledger: &mut Ledger,
    ) {
        for (change, outcome) in plan.changes.iter().zip(outcomes) {
            let made = outcome.made.as_deref();
            match (change.action, outcome.kind, made) {
                (Action::Delete, OutcomeKind::Applied | OutcomeKind::Unchanged, _) => {
                    ledger.forget(&change.key);
                    continue;
                }
                // That a create was sent was written down before; this one surely made nothing.
                (Action::Create, kind, None) if kind != OutcomeKind::Unsettled => {
                    ledger.create_failed(&change.key);
                }
                (Action::Create, _, Some(id)) if outcome.read_back.is_none() => {
                    ledger.created(&change.key, id, &change.name, change.platform, false);
                }
                (_, _, _) => {}
            }
            let Some(job) = &outcome.read_back else { continue };
            if let Some(left) = left(change, job) {
                ledger.wrote(&change.key, left);
            }
            let text = |name: &str| job.get(name).and_then(Value::as_str);
            if let (Some(id), Some(name)) = (change.id.as_deref().or(text("id")), text("name")) {
                let platform = text("platform").and_then(Platform::parse).or(change.platform);
                let mut summaries = inventory.into_iter().flat_map(|inventory| &inventory.summaries);
                // A run that undoes another one may be about a manifest that is gone, or can not be read.
                let protect = summaries.find(|summary| summary.key == change.key).map_or_else(
                    || ledger.bound(&change.key).is_some_and(|bound| bound.protect),
                    |summary| summary.protect,
                );
                ledger.created(&change.key, &id.to_ascii_lowercase(), name, platform, protect);
            }
        }
        let all_done =
            outcomes.iter().all(|o| matches!(o.kind, OutcomeKind::Applied | OutcomeKind::Unchanged));
        if let Some(head) = head
            && all_done
            && self.common.only.is_empty()
            && self.clean_head().as_ref() == Some(head)
        {
            let read_back =
                outcomes.iter().filter_map(|outcome| Edit::last_of(outcome.read_back.as_ref()?).at);
            ledger.applied(head.id(), read_back.max().max(seen_at));
        }
        self.save_ledger(ledger);
    }

    /// The commit that is checked out, if the manifests are as it says.
    pub(super) fn clean_head(&self) -> Option<Commit> {
        base::clean_head(&self.settings.root, &self.settings.jobs)
    }
}

/// The ids to write into manifests: of those that do not say theirs, and whose binding nothing speaks against.
pub(super) fn ids_to_write(
    inventory: &Inventory,
    bound: &[(String, String)],
    plan: &Plan,
    outcomes: &[Outcome],
    ledger: &Ledger,
) -> Vec<(String, String)> {
    let blocked: BTreeSet<&str> = plan
        .changes
        .iter()
        .filter(|change| change.action == Action::Blocked)
        .map(|change| change.key.as_str())
        .collect();
    let say_theirs: BTreeSet<&str> = inventory
        .summaries
        .iter()
        .filter(|summary| summary.id.is_some())
        .map(|summary| summary.key.as_str())
        .collect();
    let made = plan.changes.iter().zip(outcomes);
    let created = made.filter_map(|(change, outcome)| Some((change.key.clone(), outcome.made.clone()?)));
    let all: BTreeMap<String, String> = bound.iter().cloned().chain(created).collect();
    all.into_iter()
        .filter(|(key, _)| !blocked.contains(key.as_str()) && !say_theirs.contains(key.as_str()))
        .filter(|(key, _)| !ledger.is_contested(key))
        .collect()
}

/// What a write left on a job, as it was read back; `None` where the server does not say who edited it and when.
fn left(change: &Change, job: &Value) -> Option<Left> {
    let Edit { at, user, .. } = Edit::last_of(job);
    let is_content = matches!(change.action, Action::Create | Action::Update);
    // A job that was made and not edited since has no edit at all.
    let at = at.or_else(|| Edit::made_of(job).at)?;
    Some(Left {
        id: change.id.as_deref().or(job.get("id")?.as_str())?.to_ascii_lowercase(),
        at,
        content_at: is_content.then_some(at),
        user: user.or_else(|| Edit::made_of(job).user),
        status: status_left(change, job),
        declared: stamp_left(job),
        since_applied: true,
    })
}

/// What the stamp on a job says was declared.
fn stamp_left(job: &Value) -> Option<String> {
    match stamp::split(job.get("description")?.as_str()?) {
        (_, Found::Stamp(stamp)) => Some(stamp.declared),
        (_, Found::Damaged | Found::None) => None,
    }
}

/// The status that a write gave a job, or left as the manifest wants it; one that only happens to be there is nobody's
/// decision.
fn status_left(change: &Change, job: &Value) -> Option<String> {
    let status = job.get("status").and_then(Value::as_str)?;
    let is_ours = match change.action {
        Action::Create | Action::Enable | Action::Disable => true,
        Action::Update => {
            let wanted = change.basis.as_ref().and_then(|basis| basis.declared.get("status")?.as_str());
            wanted
                .is_some_and(|wanted| normalise::is_armed(Some(wanted)) == normalise::is_armed(Some(status)))
        }
        Action::Delete | Action::Blocked | Action::Held => false,
    };
    is_ours.then(|| status.to_owned())
}

fn identity_of(summary: &Summary) -> plan::Identity<'_> {
    plan::Identity {
        id: summary.id.as_deref(),
        name: summary.name.as_deref(),
        previous_name: summary.previous_name.as_deref(),
        platform: summary.platform(),
    }
}

fn row_of<'r>(rows: &'r [ListRow], id: &str) -> Option<&'r ListRow> {
    rows.binary_search_by(|row| row.id.as_str().cmp(id)).ok().map(|at| &rows[at])
}

/// The job that a manifest was bound to, where that is another one than now, and still there.
fn moved_from<'a>(
    summary: &Summary,
    binding: &'a Binding,
    ledger: &'a Ledger,
    rows: &'a [ListRow],
) -> Option<(&'a str, &'a ListRow)> {
    // Who says it by the id means it.
    let id = binding.id().filter(|_| summary.id.is_none())?;
    let former = ledger.bound(&summary.key).filter(|former| former.id != id)?;
    row_of(rows, &former.id).map(|row| (id, row))
}

fn moved_finding(manifest: &Manifest, id: &str, former: &ListRow) -> Diagnostic {
    let message = format!(
        "the live job {id} is found by this name now; earlier runs found {}, which is called `{}` today",
        former.id, former.name
    );
    let help = format!(
        "both may patch the same assets: say which one is meant with `metadata.id: {id}` or `metadata.id: {}`",
        former.id
    );
    manifest.at_member(Diagnostic::warning("moved-binding", message), "/name").help(help)
}

/// Live jobs that manifests outside of the selection are about, with their keys.
fn jobs_of_others<'a>(
    inventory: &'a Inventory,
    selected: &[&Summary],
    rows: &'a [ListRow],
) -> BTreeMap<&'a str, &'a str> {
    if selected.len() == inventory.summaries.len() {
        return BTreeMap::new();
    }
    let keys: BTreeSet<&str> = selected.iter().map(|summary| summary.key.as_str()).collect();
    let others: Vec<&Summary> =
        inventory.summaries.iter().filter(|summary| !keys.contains(summary.key.as_str())).collect();
    keys_of_jobs(&others, rows)
}

/// The live jobs that manifests are about, with their keys.
pub(super) fn keys_of_jobs<'a>(manifests: &[&'a Summary], rows: &'a [ListRow]) -> BTreeMap<&'a str, &'a str> {
    let identities: Vec<_> = manifests.iter().map(|summary| identity_of(summary)).collect();
    let about = plan::about(&identities, rows);
    about.into_iter().map(|(id, at)| (id, manifests[at].key.as_str())).collect()
}

/// A selection must not bind what a manifest outside of it is about.
fn refuse_jobs_of_others(
    others: &BTreeMap<&str, &str>,
    selected: &[&Summary],
    bindings: &[Binding],
) -> Result<(), Failure> {
    for (summary, binding) in selected.iter().zip(bindings) {
        if let Some((id, other)) = binding.id().and_then(|id| Some((id, others.get(id)?))) {
            let message = format!("`{}` and `{other}` are about the same live job {id}", summary.key);
            let help =
                "run without --only to see both places; bind each manifest to its own job with `metadata.id`";
            return Err(Failure::Error(vec![message], Some(help.to_owned())));
        }
    }
    Ok(())
}

#[expect(clippy::needless_pass_by_value, reason = "the last use of a problem")]
pub(super) fn base_failed(problem: BaseProblem) -> Failure {
    let mut lines = vec!["the base can not be used".to_owned()];
    lines.extend(chain(&problem));
    Failure::Error(lines, Some(format!("{}; nothing was changed", problem.help())))
}
