//! Drift: a plan looked at from the other side, as what became of the live jobs since Git last had its way.
//!
//! Pure: a plan, the rows of the lists and what else is known go in, a [`Report`] comes out. It compares nothing by
//! itself: it says of the differences in the plan which were made live, which Git made and has not applied, and what can
//! not be told, and adds the scripts that somebody may have replaced. It never reads a clock: what was seen before is [`seen`], and ages are the renderer's business.

pub mod seen;

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::elements;
use crate::fingerprint;
use crate::job::Platform;
use crate::plan::{Action, Binding, Change, Doubt, Field, Origin, Plan};
use crate::script;
use crate::snapshot::{ApiUsers, Edit, ListRow};
use crate::source::Place;

/// What kind of difference one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Kind {
    /// A member has another value than it should.
    Member,
    /// The live job is gone.
    Missing,
    /// What is stored for a script can not be read back, and somebody may have replaced it.
    Unverified,
    /// Something stands in the way of comparing the job at all.
    Unclear,
    /// A manifest has no live job yet. Only ever pending.
    Create,
}

impl Kind {
    /// The word used in output of every kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Member => "member",
            Self::Missing => "missing",
            Self::Unverified => "unverified",
            Self::Unclear => "unclear",
            Self::Create => "create",
        }
    }
}

/// What earlier runs knew of a difference.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// No earlier run saw it.
    New,
    /// An earlier run saw it, first at this time, in milliseconds since 1970-01-01 UTC.
    Ongoing(i64),
}

impl State {
    /// The word used in output of every kind.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::New => "new",
            Self::Ongoing(_) => "ongoing",
        }
    }

    /// When it was seen first, in milliseconds since 1970-01-01 UTC; `None` for what this run sees first.
    pub fn since(self) -> Option<i64> {
        match self {
            Self::New => None,
            Self::Ongoing(since) => Some(since),
        }
    }
}

/// One difference.
#[derive(Clone, Debug)]
pub struct Difference<'p> {
    /// What kind it is.
    pub kind: Kind,
    /// JSON Pointer from the job's root; empty for what is about the whole job.
    pub path: String,
    /// What people call the block of a list that the member stands in; empty where it stands in none.
    pub label: String,
    /// The value that should be live: what was declared when Git and the live job last agreed, in canonical form.
    pub was: Value,
    /// The live value in canonical form.
    pub is: Value,
    /// What the manifest says now, in canonical form; another value than `was` where Git moved as well.
    pub declared: Value,
    /// Where it came from.
    pub origin: Origin,
    /// What there is to say of it in words; empty for a member, whose values say it.
    pub words: String,
    /// Where the member is declared.
    pub place: Option<Place>,
    /// The step of the plan that it stands in; `None` for what no step is about.
    pub step: Option<&'p Change>,
    /// What earlier runs knew of it.
    pub state: State,
}

/// What differs about one job.
#[derive(Clone, Debug)]
pub struct JobDrift<'p> {
    /// The manifest's key.
    pub key: String,
    /// The live job's id, where there is or was one and it is known.
    pub id: Option<String>,
    /// The name that people know the job by.
    pub name: String,
    /// The job's platform.
    pub platform: Option<Platform>,
    /// Where the manifest stands.
    pub place: Place,
    /// What `apply` would do about it, as the plan has it now.
    pub action: Action,
    /// Who edited the live job last. The API keeps only the last editor.
    pub edited: Option<Edit>,
    /// Whether that last edit was made as the API user that we write as; `false` where that user is not known.
    pub is_our_edit: bool,
    /// Whether a write of ours came after the edit above, and did not send the scripts.
    pub is_before_ours: bool,
    /// The differences, in the order of the plan.
    pub differences: Vec<Difference<'p>>,
    /// What people should know beside them.
    pub notes: Vec<String>,
}

impl JobDrift<'_> {
    /// Whether no earlier run saw any of it.
    pub fn is_all_new(&self) -> bool {
        self.differences.iter().all(|difference| difference.state == State::New)
    }

    /// Whether this run is the first to see some of it.
    pub fn has_new(&self) -> bool {
        self.differences.iter().any(|difference| difference.state == State::New)
    }

    /// The gravest kind among the differences: gone, not comparable, different, not verifiable.
    pub fn kind(&self) -> Kind {
        let order = [Kind::Missing, Kind::Unclear, Kind::Member, Kind::Unverified];
        let has = |kind: &Kind| self.differences.iter().any(|difference| difference.kind == *kind);
        order.into_iter().find(has).unwrap_or(Kind::Create)
    }

    /// When an earlier run saw the oldest of the differences first; `None` where all are new.
    pub fn since(&self) -> Option<i64> {
        self.differences.iter().filter_map(|difference| difference.state.since()).min()
    }
}

/// A live job that no manifest is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unmanaged {
    /// Its id.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Its platform.
    pub platform: Option<Platform>,
    /// Who made it, and when.
    pub created: Edit,
    /// Who edited it last, and when.
    pub edited: Edit,
}

/// A difference that earlier runs saw and this one does not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Resolved {
    /// The manifest's key.
    pub key: String,
    /// The name of the job.
    pub name: String,
    /// JSON Pointer of the member; empty for the whole job.
    pub path: String,
    /// What kind of difference it was.
    pub kind: Kind,
    /// When it was seen first, in milliseconds since 1970-01-01 UTC.
    pub since: i64,
}

/// A quiet job with scripts that somebody else edited since they were sent.
#[derive(Clone, Debug)]
pub struct EditedScripts {
    /// The manifest's key.
    pub key: String,
    /// The live job's id.
    pub id: String,
    /// The job's name.
    pub name: String,
    /// Its platform.
    pub platform: Option<Platform>,
    /// Where the manifest stands.
    pub place: Place,
    /// The edit.
    pub edited: Edit,
    /// Whether a write of ours came after it, and did not send the scripts.
    pub is_before_ours: bool,
    /// The scripts that the manifest declares.
    pub scripts: Vec<DeclaredScript>,
}

/// A script that a manifest declares.
#[derive(Clone, Debug)]
pub struct DeclaredScript {
    /// JSON Pointer from the job's root.
    pub path: String,
    /// What people call the action that it belongs to.
    pub label: String,
    /// Digest and size, as canonical value.
    pub value: Value,
    /// Where it is declared.
    pub place: Option<Place>,
}

/// What a report is made of, beside the plan.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// What each manifest is bound to, by key.
    pub bindings: &'a BTreeMap<String, Binding>,
    /// The rows of all lists that were read, sorted by id.
    pub rows: &'a [ListRow],
    /// Live jobs that manifests outside of the selection are about.
    pub others: &'a BTreeSet<String>,
    /// Login names of the API users that we write as, as far as they are known.
    pub api_users: &'a ApiUsers,
    /// Jobs without a difference whose scripts somebody may have replaced.
    pub edited_scripts: &'a [EditedScripts],
}

/// What became of the live jobs.
#[must_use]
#[derive(Clone, Debug, Default)]
pub struct Report<'p> {
    /// What differs, is gone or can not be told, job by job in the order of the plan.
    pub drifted: Vec<JobDrift<'p>>,
    /// What Git changed and nobody applied.
    pub pending: Vec<JobDrift<'p>>,
    /// What earlier runs saw and is gone by now.
    pub resolved: Vec<Resolved>,
    /// Live jobs that no manifest is about, by name; not known where only some manifests were looked at.
    pub unmanaged: Option<Vec<Unmanaged>>,
    /// How many manifests were looked at.
    pub n_manifests: usize,
}

impl Report<'_> {
    /// How many differences of a kind drifted.
    pub fn count(&self, kind: Kind) -> usize {
        let all = self.drifted.iter().flat_map(|job| &job.differences);
        all.filter(|difference| difference.kind == kind).count()
    }

    /// How many differences drifted that no earlier run saw.
    pub fn n_new(&self) -> usize {
        let all = self.drifted.iter().flat_map(|job| &job.differences);
        all.filter(|difference| difference.state == State::New).count()
    }

    /// How many differences drifted.
    pub fn n_differences(&self) -> usize {
        self.drifted.iter().map(|job| job.differences.len()).sum()
    }

    /// How many manifests are as they should be, what Git changed aside.
    pub fn n_clean(&self) -> usize {
        let keys: BTreeSet<&str> = self.drifted.iter().map(|job| job.key.as_str()).collect();
        self.n_manifests.saturating_sub(keys.len())
    }

    /// Says whether two reports are about the same drift: which members of which jobs, and their live values. When it
    /// was seen, who edited last and what is pending are not in it.
    pub fn fingerprint(&self) -> String {
        let facts = self.drifted.iter().flat_map(|job| {
            let id = job.id.as_deref();
            job.differences.iter().map(move |difference| {
                json!([job.key, id, difference.kind.as_str(), difference.path, difference.is])
            })
        });
        fingerprint::of_value(&facts.collect())
    }
}

/// Makes the report of a plan.
///
/// What Git changed and nobody applied is no drift unless `include_pending`.
pub fn report<'p>(plan: &'p Plan, facts: Facts<'_>, include_pending: bool) -> Report<'p> {
    let mut report = Report { n_manifests: plan.n_manifests, ..Report::default() };
    let mut by_key: BTreeMap<&str, Vec<&Change>> = BTreeMap::new();
    let mut order: Vec<&str> = Vec::new();
    for change in &plan.changes {
        let steps = by_key.entry(&change.key).or_default();
        if steps.is_empty() {
            order.push(&change.key);
        }
        steps.push(change);
    }
    for key in order {
        let steps = &by_key[key];
        let (pending, drifted): (Vec<_>, Vec<_>) = differences(steps, facts)
            .into_iter()
            .partition(|(is_pending, _)| *is_pending && !include_pending);
        let job = |differences: Vec<(bool, Difference<'p>)>| {
            let differences: Vec<_> = differences.into_iter().map(|(_, difference)| difference).collect();
            (!differences.is_empty()).then(|| job_of(steps, differences, facts))
        };
        report.drifted.extend(job(drifted));
        report.pending.extend(job(pending));
    }
    for job in facts.edited_scripts {
        add_edited_scripts(&mut report, job);
    }
    report.unmanaged = plan.n_unmanaged.map(|_| unmanaged(facts));
    report
}

/// The differences in the steps of one manifest, and whether Git made them and nobody applied them.
fn differences<'p>(steps: &[&'p Change], facts: Facts<'_>) -> Vec<(bool, Difference<'p>)> {
    let Some(first) = steps.first() else { return Vec::new() };
    let whole = |kind: Kind, origin: Origin, step: &'p Change| Difference {
        kind,
        path: String::new(),
        label: String::new(),
        was: Value::Null,
        is: Value::Null,
        declared: Value::Null,
        origin,
        words: step.reason.clone(),
        place: Some(step.place.clone()),
        step: Some(step),
        state: State::New,
    };
    match facts.bindings.get(&first.key) {
        // A step that knows who edited its job stands for a job that was found by its stamp, under another name.
        None | Some(Binding::Missing) => match steps.iter().find(|step| step.edited.is_some()) {
            Some(step) => vec![(false, whole(Kind::Unclear, Origin::Console, step))],
            None => vec![(true, whole(Kind::Create, Origin::Git, first))],
        },
        Some(Binding::Unclear(doubt)) => vec![of_doubt(doubt, first, whole)],
        Some(Binding::Job(id)) => {
            let is_listed = facts.rows.binary_search_by(|row| row.id.as_str().cmp(id)).is_ok();
            let fields = steps.iter().flat_map(|step| step.fields.iter().map(move |field| (*step, field)));
            let found: Vec<_> = fields.map(|(step, field)| of_field(step, field)).collect();
            if !found.is_empty() {
                return found;
            }
            // Nothing was compared, so something stands in the way.
            let is_gone = first.edited.is_none() || !is_listed;
            let kind = if is_gone { Kind::Missing } else { Kind::Unclear };
            vec![(false, whole(kind, Origin::Unknown, first))]
        }
    }
}

/// A manifest that finds no live job, and had one.
fn of_doubt<'p>(
    doubt: &Doubt,
    step: &'p Change,
    whole: impl Fn(Kind, Origin, &'p Change) -> Difference<'p>,
) -> (bool, Difference<'p>) {
    let renamed = |before: &str, now: &str, origin: Origin| Difference {
        path: "/name".to_owned(),
        was: before.into(),
        is: now.into(),
        declared: step.name.as_str().into(),
        ..whole(Kind::Member, origin, step)
    };
    match doubt {
        Doubt::RenamedLive { before, now, .. } => (false, renamed(before, now, Origin::Console)),
        Doubt::RenamedInBoth { before, now, .. } => (false, renamed(before, now, Origin::Both)),
        Doubt::RenamedInGit { before, .. } => (true, renamed(before, before, Origin::Git)),
        Doubt::OtherPlatform { .. } => (true, whole(Kind::Unclear, Origin::Git, step)),
        Doubt::Vanished { .. } => (false, whole(Kind::Missing, Origin::Unknown, step)),
        Doubt::CreateUnsettled { .. } => (false, whole(Kind::Unclear, Origin::Unknown, step)),
    }
}

fn of_field<'p>(step: &'p Change, field: &Field) -> (bool, Difference<'p>) {
    let mut difference = Difference {
        kind: Kind::Member,
        path: field.path.clone(),
        label: label_of(step, field),
        was: match field.origin {
            // With all three at odds, what was applied last is the value that the base had.
            Origin::Both => field.base.clone().unwrap_or_else(|| field.after.clone()),
            Origin::Git => field.before.clone(),
            Origin::Console | Origin::Unknown => field.after.clone(),
        },
        is: field.before.clone(),
        declared: field.after.clone(),
        origin: field.origin,
        words: String::new(),
        place: field.place.clone(),
        step: Some(step),
        state: State::New,
    };
    let is_pending = field.origin == Origin::Git;
    // A live script answers with a path that never changes: that Git has another one is all that can be known.
    if !is_pending
        && script::stored_path(&field.before).is_some()
        && script::declared_digest(&field.after).is_some()
    {
        difference.kind = Kind::Unverified;
        difference.words = "nothing proves that what is stored is what Git has".to_owned();
    }
    (is_pending, difference)
}

/// What people call the block of a list that a member stands in.
fn label_of(step: &Change, field: &Field) -> String {
    let mut parts = field.path.splitn(4, '/').skip(1);
    let (Some(list), Some(position)) = (parts.next(), parts.next()) else { return String::new() };
    let Ok(at) = position.parse() else { return String::new() };
    let whole = parts.next().is_none().then_some([&field.after, &field.before]);
    let itself = whole.into_iter().flatten().find(|value| value.is_object());
    let desired = || step.basis.as_ref().and_then(|basis| basis.desired.at(&format!("/{list}/{position}")));
    itself.or_else(desired).map_or_else(String::new, |element| elements::label(element, at))
}

const MAY_BE_REPLACED: &str = "the job was edited after our last write, so the script may have been replaced";

const NOT_SENT_AGAIN: &str =
    "the script may have been replaced in that edit, and our write after it did not send those of Git";

/// All that differs about the job of some steps.
fn job_of<'p>(steps: &[&'p Change], differences: Vec<Difference<'p>>, facts: Facts<'_>) -> JobDrift<'p> {
    let first = differences.iter().find_map(|difference| difference.step).unwrap_or(steps[0]);
    let id = steps.iter().find_map(|step| step.id.clone());
    let row = id.as_ref().and_then(|id| {
        let at = facts.rows.binary_search_by(|row| row.id.cmp(id)).ok()?;
        Some(facts.rows[at].last_edit())
    });
    let edited = steps.iter().find_map(|step| step.edited.clone()).or(row);
    let is_blocked = |difference: &Difference<'_>| {
        difference.step.is_some_and(|step| step.action == Action::Blocked && difference.words.is_empty())
    };
    // Why apply would not put it back is worth a line; what stands in the way of comparing is said already.
    let mut notes = Vec::new();
    for step in differences.iter().filter(|difference| is_blocked(difference)).filter_map(|d| d.step) {
        let note = format!("apply would not put it back: {}", step.reason);
        if !notes.contains(&note) {
            notes.push(note);
        }
    }
    for step in differences
        .iter()
        .filter(|d| !d.words.is_empty() && d.kind != Kind::Unverified)
        .filter_map(|d| d.step)
    {
        notes.extend(step.notes.iter().filter(|_| step.action == Action::Blocked).cloned());
    }
    JobDrift {
        key: first.key.clone(),
        id,
        name: first.name.clone(),
        platform: first.platform,
        place: first.place.clone(),
        action: first.action,
        is_our_edit: edited.as_ref().is_some_and(|edit| is_ours(facts.api_users, edit)),
        is_before_ours: false,
        edited,
        differences,
        notes,
    }
}

fn is_ours(us: &ApiUsers, edit: &Edit) -> bool {
    edit.user.as_deref().is_some_and(|them| us.has(them))
}

/// Adds the scripts of a job that differs in nothing else.
fn add_edited_scripts(report: &mut Report<'_>, job: &EditedScripts) {
    // Where the plan sets the scripts anyway, it has said so.
    let is_said = |drifted: &JobDrift<'_>| {
        drifted.key == job.key && drifted.differences.iter().any(|d| d.kind == Kind::Unverified)
    };
    if report.drifted.iter().any(is_said) {
        return;
    }
    let differences = job.scripts.iter().map(|script| Difference {
        kind: Kind::Unverified,
        path: script.path.clone(),
        label: script.label.clone(),
        was: script.value.clone(),
        is: Value::Null,
        declared: script.value.clone(),
        origin: Origin::Unknown,
        words: if job.is_before_ours { NOT_SENT_AGAIN } else { MAY_BE_REPLACED }.to_owned(),
        place: script.place.clone(),
        step: None,
        state: State::New,
    });
    report.drifted.push(JobDrift {
        key: job.key.clone(),
        id: Some(job.id.clone()),
        name: job.name.clone(),
        platform: job.platform,
        place: job.place.clone(),
        action: Action::Held,
        edited: Some(job.edited.clone()),
        is_our_edit: false,
        is_before_ours: job.is_before_ours,
        differences: differences.collect(),
        notes: Vec::new(),
    });
}

/// The live jobs that no manifest is about, by name and then by id.
fn unmanaged(facts: Facts<'_>) -> Vec<Unmanaged> {
    let bound: BTreeSet<&str> = facts.bindings.values().filter_map(Binding::id).collect();
    let is_managed = |row: &ListRow| bound.contains(row.id.as_str()) || facts.others.contains(&row.id);
    let mut found: Vec<Unmanaged> = facts
        .rows
        .iter()
        .filter(|row| !is_managed(row))
        .map(|row| Unmanaged {
            id: row.id.clone(),
            name: row.name.clone(),
            platform: row.platform,
            created: row.created.clone(),
            edited: row.last_edit(),
        })
        .collect();
    found.sort_by(|a, b| (&a.name, &a.id).cmp(&(&b.name, &b.id)));
    found
}
