//! Which live jobs go, because their manifests did (DESIGN 6, Deleting).
//!
//! A candidate comes from evidence that a manifest of ours was there; it is removed only if everything else agrees.
//! Pure: what the candidates are and what was read of them is given.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::job::note;
use super::origin::StampCounts;
use super::{Action, Basis, Change, Policy, Request};
use crate::job::{Platform, TABLE_VERSION};
use crate::normalise::Normalised;
use crate::snapshot::{ListRow, LiveJob};
use crate::source::Place;
use crate::stamp::{self, Found, Stamp};

/// What may be removed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prune {
    /// Jobs of manifests that were in the base, or that an earlier run of this state folder knew.
    Known,
    /// These, and every live job that bears our stamp and has no manifest.
    Scan,
}

/// What deleting is allowed by.
#[derive(Clone, Debug)]
pub struct PrunePolicy {
    /// Whether the owner stands in the configuration: one that follows a folder's name may be somebody else's.
    pub owner_is_set: bool,
    /// Whether the manifests are those of the folder that the configuration names: earlier runs and stamps may be
    /// about others.
    pub folder_is_usual: bool,
    /// A file of the manifest folder that holds no manifest: one that was cut off looks like a removed manifest.
    pub empty_file: Option<String>,
    /// The most jobs that may go in one run, as allowed for this once; `None` for the usual threshold.
    pub most: Option<usize>,
}

/// How we know that a manifest was there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Evidence {
    /// It is in the base.
    Base,
    /// An earlier run of this state folder bound it.
    Ledger,
    /// The live job bears our stamp.
    Stamp,
}

/// A live job whose manifest is gone.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The key of the manifest that was there.
    pub key: String,
    /// The live job.
    pub id: String,
    /// The name that people know it by.
    pub name: String,
    /// Its platform.
    pub platform: Option<Platform>,
    /// Whether the manifest protected it as long as it was there.
    pub is_protected: bool,
    /// How we know.
    pub evidence: Evidence,
    /// Where the manifest stood, or where it is known from.
    pub place: Place,
}

/// The most jobs that go in one run without being allowed by number.
const MOST_DELETIONS: usize = 3;
/// The largest share of the managed jobs that goes in one run without being allowed by number, in percent.
const MOST_PERCENT: usize = 10;

/// Whether so many removals need leave of their own, and why.
pub(super) fn over_threshold(n_deletions: usize, n_managed: usize, most: Option<usize>) -> Option<String> {
    match most {
        Some(most) => (n_deletions > most)
            .then(|| format!("{} would be deleted, and --max-deletes allows {most}", jobs(n_deletions))),
        None if n_deletions > MOST_DELETIONS => Some(format!(
            "{n_deletions} jobs would be deleted, and {MOST_DELETIONS} in one run is the usual limit"
        )),
        None if n_deletions * 100 > n_managed * MOST_PERCENT => Some(format!(
            "{n_deletions} of {n_managed} managed jobs would be deleted, and {MOST_PERCENT} % in one run is the usual \
             limit"
        )),
        None => None,
    }
}

fn jobs(n: usize) -> String {
    if n == 1 { "1 job".to_owned() } else { format!("{n} jobs") }
}

/// Judges all candidates; of jobs that are linked to one another the child goes first.
pub(super) fn steps(
    policy: &Policy,
    prune: PrunePolicy,
    stamps: &StampCounts,
    rows: &[ListRow],
    candidates: &[(Candidate, LiveJob)],
    changes: &[Change],
) -> Vec<Change> {
    let parents: BTreeMap<&str, &str> =
        rows.iter().filter_map(|row| Some((row.id.as_str(), row.linked_job_id.as_deref()?))).collect();
    let mut order: Vec<&(Candidate, LiveJob)> = candidates.iter().collect();
    // Stable, so that jobs which have nothing to do with one another stay in the order of their keys.
    order.sort_by_key(|(candidate, _)| std::cmp::Reverse(depth(&candidate.id, &parents)));
    let mut judge = Judge { policy, prune, stamps, rows, going: unlinked(changes) };
    let mut steps = Vec::new();
    for (candidate, job) in order {
        let Some(change) = judge.step(candidate, job) else { continue };
        if change.action == Action::Delete {
            judge.going.insert(candidate.id.clone(), change.step());
        }
        steps.push(change);
    }
    steps
}

/// Jobs that another step of this plan unlinks from their parent, by id, with that step.
fn unlinked(changes: &[Change]) -> BTreeMap<String, String> {
    let is_unlinking = |change: &&Change| {
        change.action == Action::Update && change.fields.iter().any(|field| field.path == "/linkedJobId")
    };
    changes
        .iter()
        .filter(is_unlinking)
        .filter_map(|change| Some((change.id.clone()?, change.step())))
        .collect()
}

/// How many parents a job has one above the other; a ring, which the API should not have, is left after one round.
fn depth(id: &str, parents: &BTreeMap<&str, &str>) -> usize {
    let mut depth = 0;
    let mut at = id;
    while let Some(parent) = parents.get(at).filter(|_| depth <= parents.len()) {
        (depth, at) = (depth + 1, parent);
    }
    depth
}

/// Everything that is known when one candidate is judged.
struct Judge<'a> {
    policy: &'a Policy,
    prune: PrunePolicy,
    stamps: &'a StampCounts,
    rows: &'a [ListRow],
    /// The jobs that go, or that let go of their parent, by id, with the step that does it.
    going: BTreeMap<String, String>,
}

impl Judge<'_> {
    /// The step that removes a candidate, or that says why it stays; `None` where it is gone already.
    fn step(&self, candidate: &Candidate, job: &LiveJob) -> Option<Change> {
        let row = self.rows.iter().find(|row| row.id == candidate.id);
        if job.raw.pointer("/deletedBy/date").is_some_and(|date| !date.is_null()) {
            return None;
        }
        let mut change = deletion(candidate, row);
        change.notes.extend(facts(row, job));
        let children: Vec<&str> =
            children(self.rows, &candidate.id).map(|child| child.name.as_str()).collect();
        if !children.is_empty() {
            change.notes.push(format!("linked to it: {}", children.join(", ")));
        }
        let obstacle = match row {
            Some(_) => self.obstacle(candidate, job),
            None => Some(not_listed()),
        };
        Some(match obstacle {
            Some((reason, help)) => {
                change.action = Action::Blocked;
                change.reason = format!("not deleted: {reason}");
                change.request = None;
                note(change, &help)
            }
            None => {
                change.basis = Some(Basis::deletion(self.policy, job));
                change.after = self.removal(candidate).after();
                note(
                    change,
                    "patchctl revert makes it again with a new id: without its history, and without scripts whose \
                     content Git does not have",
                )
            }
        })
    }

    /// The first condition that does not hold, with what to do.
    fn obstacle(&self, candidate: &Candidate, job: &LiveJob) -> Option<(String, String)> {
        if !self.prune.owner_is_set {
            let reason =
                "`owner` is not set in patchctl.yaml, so a stamp may be another repository's".to_owned();
            return Some((reason, format!("write `owner: {}` into patchctl.yaml", self.policy.owner)));
        }
        if !self.policy.is_whole {
            let reason = "--only selects some manifests".to_owned();
            return Some((reason, "run it without --only".to_owned()));
        }
        if !self.prune.folder_is_usual {
            let reason =
                "--jobs names another folder than patchctl.yaml, and its manifest may be there".to_owned();
            return Some((reason, "run it without --jobs, or set `jobs` in patchctl.yaml".to_owned()));
        }
        if let Some(file) = &self.prune.empty_file {
            let reason = format!("`{file}` holds no manifest, as if it had been cut off");
            return Some((reason, "put its manifest back, or remove the file".to_owned()));
        }
        if candidate.is_protected {
            let reason = "its manifest said `protect: true`".to_owned();
            return Some((reason, "put the manifest back, or delete the job in the console".to_owned()));
        }
        self.removal(candidate).obstacle(job)
    }

    fn removal<'r>(&'r self, candidate: &'r Candidate) -> Removal<'r> {
        Removal {
            policy: self.policy,
            key: &candidate.key,
            id: &candidate.id,
            stamps: self.stamps,
            rows: self.rows,
            going: &self.going,
        }
    }
}

/// A job that may go because we made it, and what is known beside it: the conditions are the same wherever it is removed.
#[derive(Clone, Copy)]
pub(crate) struct Removal<'a> {
    pub(crate) policy: &'a Policy,
    /// The key that it was made for.
    pub(crate) key: &'a str,
    /// The live job.
    pub(crate) id: &'a str,
    pub(crate) stamps: &'a StampCounts,
    /// All rows of its platform.
    pub(crate) rows: &'a [ListRow],
    /// The jobs that go, or that let go of their parent, by id, with the step that does it.
    pub(crate) going: &'a BTreeMap<String, String>,
}

impl<'a> Removal<'a> {
    /// The first condition that does not hold, with what to do.
    pub(crate) fn obstacle(self, job: &LiveJob) -> Option<(String, String)> {
        let by_hand = || "delete it in the console if it is to go".to_owned();
        if !self.rows.iter().any(|row| row.id == self.id) {
            return Some(not_listed());
        }
        let description = job.raw.get("description").and_then(Value::as_str).unwrap_or_default();
        if let Some(other) = stamp::owners(description).find(|other| *other != self.policy.owner) {
            return Some((format!("the job is stamped by another owner, `{other}`"), by_hand()));
        }
        let found = match &self.policy.record {
            Some(record) => record.of_job(self.key, self.id),
            None => job.stamp.clone(),
        };
        let stamp = match found {
            Found::Stamp(stamp) => stamp,
            Found::None => return Some(("the job bears no stamp of ours".to_owned(), by_hand())),
            Found::Damaged => return Some(("the job's stamp is damaged".to_owned(), by_hand())),
        };
        if stamp.owner != self.policy.owner || stamp.key != self.key {
            let reason = format!("the job is stamped `{}/{}`", stamp.owner, stamp.key);
            return Some((reason, by_hand()));
        }
        if stamp.table_version != TABLE_VERSION {
            let reason = "its stamp was written under another table of members and proves nothing".to_owned();
            return Some((reason, by_hand()));
        }
        if !self.stamps.is_unique(&stamp) {
            let reason = "another live job bears the same stamp; the console copies it with a job".to_owned();
            return Some((reason, "delete the one that is to go in the console".to_owned()));
        }
        if stamp.job != stamp::job_digest(&job.normalised) {
            let edit = job.last_edit();
            let who = edit.user.unwrap_or_else(|| "an unknown user".to_owned());
            let reason = format!("it was edited since the last apply, last by {who}");
            return Some((reason, "look at it; delete it in the console if it is to go".to_owned()));
        }
        dependent(self.id, self.rows, &|child| self.going.contains_key(child))
    }

    /// The steps that must have let go of the job before.
    pub(crate) fn after(self) -> Vec<String> {
        children(self.rows, self.id).filter_map(|child| self.going.get(&child.id)).cloned().collect()
    }
}

impl Basis {
    /// What the removal of a job is carried out with.
    pub(crate) fn deletion(policy: &Policy, job: &LiveJob) -> Self {
        let stamp = match &job.stamp {
            Found::Stamp(stamp) => stamp.clone(),
            // The record keeps it then, and nothing is compared with this one.
            Found::None | Found::Damaged => Stamp::nothing(),
        };
        Self {
            owner: policy.owner.clone(),
            declared: serde_json::Map::new(),
            live: job.normalised.clone(),
            desired: Normalised::default(),
            stamp,
            description: policy.record.is_none().then(String::new),
            scripts_are_known: false,
        }
    }
}

/// Why a job stays that the list does not show: what is linked to it can not be seen there either.
fn not_listed() -> (String, String) {
    (
        "the list does not show it, though it is there".to_owned(),
        "run it again in a few minutes; the list may lag".to_owned(),
    )
}

/// A job that depends on this one and does not go before it, with what to do.
///
/// A login sees the jobs of its own scope only, and the API counts all that are linked to a job.
pub(crate) fn dependent(
    id: &str,
    rows: &[ListRow],
    is_going: &dyn Fn(&str) -> bool,
) -> Option<(String, String)> {
    if let Some(child) = children(rows, id).find(|child| !is_going(&child.id)) {
        let reason = format!("the live job `{}` ({}) is linked to it", child.name, child.id);
        return Some((reason, "unlink that job first".to_owned()));
    }
    let n_shown = children(rows, id).count() as u64;
    let n_counted = rows.iter().find(|row| row.id == id).and_then(|row| row.n_children).unwrap_or(0);
    (n_counted > n_shown).then(|| {
        let reason = format!("the API counts {n_counted} linked to it, and shows {n_shown}");
        let help =
            "look at it in the console: this login may not see them all, or they are on another platform";
        (reason, help.to_owned())
    })
}

/// The jobs that are linked to one.
fn children<'a>(rows: &'a [ListRow], id: &'a str) -> impl Iterator<Item = &'a ListRow> {
    rows.iter().filter(move |row| row.linked_job_id.as_deref() == Some(id))
}

fn deletion(candidate: &Candidate, row: Option<&ListRow>) -> Change {
    let reason = match candidate.evidence {
        Evidence::Base => "its manifest was in the base and is gone",
        Evidence::Ledger => "its manifest was here in an earlier run and is gone",
        Evidence::Stamp => "it bears our stamp and has no manifest",
    };
    Change {
        key: candidate.key.clone(),
        id: Some(candidate.id.clone()),
        name: row.map_or_else(|| candidate.name.clone(), |row| row.name.clone()),
        platform: row.and_then(|row| row.platform).or(candidate.platform),
        action: Action::Delete,
        reason: reason.to_owned(),
        place: candidate.place.clone(),
        fields: Vec::new(),
        request: Some(Request {
            method: "DELETE",
            path: "/pm/v1/deploymentjobs".to_owned(),
            body: json!({"ids": [candidate.id]}),
        }),
        after: Vec::new(),
        schedule: None,
        notes: Vec::new(),
        basis: None,
        is_one_way: false,
        unknown: Vec::new(),
        waiting: None,
        edited: row.map(ListRow::last_edit),
    }
}

/// What people want to know before a job goes: who made it, what it is, when it runs next.
fn facts(row: Option<&ListRow>, job: &LiveJob) -> Option<String> {
    let time = |at: i64| {
        let at = jiff::Timestamp::from_millisecond(at).ok()?;
        Some(at.strftime("%Y-%m-%d %H:%M UTC").to_string())
    };
    let who = job.raw.pointer("/createdBy/user/name").and_then(Value::as_str).unwrap_or("an unknown user");
    let made = job.raw.pointer("/createdBy/date").and_then(Value::as_i64).and_then(time);
    let made = made.map_or(String::new(), |at| format!(" on {at}"));
    let status = job.normalised.text("status").unwrap_or("in an unknown state");
    let next = row.and_then(|row| row.next_run_at).and_then(time);
    let next = next.map_or_else(|| "no next run is known".to_owned(), |at| format!("runs next {at}"));
    Some(format!("made by {who}{made}; {status}; {next}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_threshold_is_three_and_a_tenth() {
        #[track_caller]
        fn check(n_deletions: usize, n_managed: usize, most: Option<usize>, stops: bool) {
            assert_eq!(
                over_threshold(n_deletions, n_managed, most).is_some(),
                stops,
                "{n_deletions} of {n_managed}"
            );
        }
        check(0, 0, None, false);
        check(1, 10, None, false);
        check(1, 9, None, true);
        check(3, 30, None, false);
        check(3, 29, None, true);
        check(4, 1_000, None, true);
        check(4, 4, Some(4), false);
        check(5, 1_000, Some(4), true);
        check(0, 9, Some(0), false);
        check(1, 9, Some(0), true);
    }
}
