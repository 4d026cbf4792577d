//! The inverse of what a run did: its journal and the live jobs of now, to a [`Plan`] that is shown and carried out
//! like any other.
//!
//! Pure. What the run changed is put back, and nothing else: a member that somebody moved since is not overwritten, a
//! job that somebody edited is not deleted, a script whose former content is not at hand is not guessed. What can not be
//! undone is a blocked step that says why, before anything is asked. The stamp goes back to what it said before, so that
//! the next plan tells by it that Git and not the console asks for something else.

mod former;
mod past;
mod step;
mod undone;

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use self::former::Contents;
pub use self::past::{PastJob, PastRun, Unusable, read};
use self::step::Writer;
pub use self::undone::{Since, Undoings};
use crate::diagnostic::Diagnostics;
use crate::job::Platform;
use crate::links;
use crate::plan::{Action, Change, Plan, Policy, StampCounts};
use crate::snapshot::{ListRow, LiveJob, Snapshot};
use crate::source::Place;
use crate::stamp;

/// The live jobs as they are now.
#[derive(Clone, Copy, Debug)]
pub struct Now<'a> {
    /// The jobs that the run wrote to, by id; `None` for one that is gone.
    pub jobs: &'a BTreeMap<String, Option<LiveJob>>,
    /// All rows of the platforms in question.
    pub rows: &'a [ListRow],
    /// How often each stamp was found.
    pub stamps: &'a StampCounts,
}

/// What a person allowed by name.
#[derive(Clone, Debug, Default)]
pub struct Leave {
    /// Keys whose members are put back although somebody moved them since.
    pub overrides: BTreeSet<String>,
    /// Keys of which less than all may be put back.
    pub partly: BTreeSet<String>,
    /// Keys whose manifests say that the job must never be deleted.
    pub protected: BTreeSet<String>,
}

/// What is planned with.
#[derive(Clone, Copy)]
pub struct Look<'a> {
    /// How requests are made, and whose stamps are ours.
    pub policy: &'a Policy,
    /// The live jobs.
    pub now: Now<'a>,
    /// What a person allowed.
    pub leave: &'a Leave,
    /// What manifests declare or declared, by key: where the contents of former scripts may be.
    pub declared: &'a BTreeMap<String, Vec<Map<String, Value>>>,
    /// The journal, in the place of a manifest.
    pub place: &'a Place,
    /// The command that undoes this run, as it is to be typed again.
    pub command: &'a str,
    /// Whether a key is wanted.
    pub is_wanted: &'a dyn Fn(&str) -> bool,
}

/// An inverse plan.
#[derive(Debug)]
pub struct Inverse {
    /// The plan.
    pub plan: Plan,
    /// Keys for which a script's former content was looked for and not found.
    pub lacking: BTreeSet<String>,
    /// What of the run needs no undoing, and why: key and words.
    pub left_out: Vec<(String, String)>,
}

/// Plans the undoing of a run: its jobs in the reverse of the order in which it wrote to them, so that a child lets go
/// of its parent before that goes, and a parent is there again before its child.
pub fn plan(run: &PastRun, look: Look<'_>) -> Inverse {
    let mut undo = Undo {
        look,
        anew: anew(run, look),
        changes: Vec::new(),
        lacking: BTreeSet::new(),
        left_out: run
            .without_effect
            .iter()
            .filter(|(key, _, _)| (look.is_wanted)(key))
            .map(|(key, action, why)| (key.clone(), nothing_to_undo(action, why)))
            .collect(),
    };
    let wanted = || run.jobs.iter().rev().filter(|job| (look.is_wanted)(&job.key));
    for job in wanted() {
        undo.job(job);
    }
    let mut tag_names = Snapshot::tag_names_of(look.now.rows);
    tag_names.extend(look.policy.tag_names.clone());
    let plan = Plan {
        changes: undo.changes,
        n_unchanged: 0,
        n_unmanaged: None,
        n_manifests: wanted().count(),
        envelope: look.policy.envelope,
        n_orphans: 0,
        guard: None,
        probe: None,
        leftovers: Vec::new(),
        list_calls: BTreeMap::new(),
        tag_names,
        base: None,
        no_longer_managed: Vec::new(),
        ignored: Vec::new(),
        warnings: Diagnostics::new(),
    };
    Inverse { plan, lacking: undo.lacking, left_out: undo.left_out }
}

/// Why a step of the run needs no undoing.
fn nothing_to_undo(action: &str, why: &str) -> String {
    match action {
        "held" | "blocked" => format!("the run left it alone, it was {action}"),
        _ => format!("its {action} changed nothing: {why}"),
    }
}

/// The keys of those allowed to be overwritten that are held without that: for the others it has no effect.
pub fn held_without_override(run: &PastRun, look: Look<'_>) -> BTreeSet<String> {
    let leave = Leave { overrides: BTreeSet::new(), ..look.leave.clone() };
    let held = plan(run, Look { leave: &leave, ..look }).plan.changes;
    held.into_iter().filter(|change| change.action == Action::Held).map(|change| change.key).collect()
}

/// Ids that are not there any more, and what comes to stand in their place.
#[derive(Default)]
struct Anew {
    /// Jobs that are made again: the key by the former id.
    jobs: BTreeMap<String, String>,
    /// Post-actions that are made again, by their former ids: the key of their job, and their name.
    actions: BTreeMap<String, (String, String)>,
}

fn anew(run: &PastRun, look: Look<'_>) -> Anew {
    let mut anew = Anew::default();
    for job in run.jobs.iter().filter(|job| (look.is_wanted)(&job.key)) {
        let live = job.id.as_ref().and_then(|id| look.now.jobs.get(id)?.as_ref());
        if live.is_none() && job.has("delete") {
            anew.jobs.extend(job.id.clone().map(|id| (id, job.key.clone())));
        }
        let actions = |job: &Value| -> BTreeMap<String, String> {
            let actions = job.get(links::WAITED_FOR).and_then(Value::as_array).into_iter().flatten();
            let named = actions.filter_map(|action| {
                let id = action.get("actionId")?.as_str()?.to_ascii_lowercase();
                Some((id, action.pointer("/params/actionItem")?.as_str()?.to_owned()))
            });
            named.collect()
        };
        let there = live.map(|live| actions(&live.raw)).unwrap_or_default();
        let before = job.before.as_ref().map(actions).unwrap_or_default();
        let gone = before.into_iter().filter(|(id, _)| !there.contains_key(id));
        anew.actions.extend(gone.map(|(id, name)| (id, (job.key.clone(), name))));
    }
    anew
}

struct Undo<'a> {
    look: Look<'a>,
    anew: Anew,
    changes: Vec<Change>,
    lacking: BTreeSet<String>,
    left_out: Vec<(String, String)>,
}

impl<'a> Undo<'a> {
    fn job(&mut self, job: &PastJob) {
        let meant = Meant::by(job, self.look.now.rows);
        let id = meant.id();
        let live = id.and_then(|id| self.look.now.jobs.get(id)?.as_ref());
        let live = live.filter(|live| live.raw.pointer("/deletedBy/date").is_none_or(Value::is_null));
        let writer = Writer { look: self.look, job, id, live };
        if let Some(doubt) = &job.doubt {
            let command = self.look.command;
            let help = format!("look at it with patchctl plan, which reads it again; then run `{command}`");
            self.changes.push(writer.blocked(doubt.clone(), &help));
            return;
        }
        if let Some(owner) = live.and_then(|live| writer.other_owner(live)) {
            let reason = format!("managed by another owner now: the job is stamped by `{owner}`");
            self.changes.push(writer.blocked(reason, "it is left alone"));
            return;
        }
        match (job.has("delete"), job.before.is_some(), live) {
            (true, true, None) => self.make_again(&writer),
            (true, _, Some(_)) => self.leave(job, "the job is there again"),
            // Made and removed by the same run.
            (true, false, None) => self.leave(job, "the run made it and removed it"),
            (false, false, Some(live)) => {
                let change = writer.remove(live, &self.going());
                self.changes.push(change);
            }
            (false, false, None) => match &meant {
                Meant::Job(_) => self.leave(job, "the job that it made is gone already"),
                Meant::Several(ids) => self.changes.push(writer.not_told_apart(ids)),
                Meant::Nobody => self.changes.push(writer.not_found()),
            },
            (false, true, Some(live)) => self.put_back(&writer, live),
            (false, true, None) => {
                let reason = "the job is gone: it was deleted since".to_owned();
                self.changes
                    .push(writer.blocked(reason, "revert the run that deleted it first, if it was one"));
            }
        }
    }

    fn leave(&mut self, job: &PastJob, why: &str) {
        self.left_out.push((job.key.clone(), why.to_owned()));
    }

    /// Jobs that go, or that let go of their parent, by id, with the step that does it.
    fn going(&self) -> BTreeMap<String, String> {
        let lets_go = |change: &&Change| match change.action {
            Action::Delete => true,
            Action::Update => change.fields.iter().any(|field| field.path == "/linkedJobId"),
            Action::Create | Action::Enable | Action::Disable | Action::Blocked | Action::Held => false,
        };
        let steps = self.changes.iter().filter(lets_go);
        steps.filter_map(|change| Some((change.id.clone()?, change.step()))).collect()
    }

    /// What the manifest declared that was applied before the run, by the digest of its contents in the stamp.
    fn contents(&self, job: &PastJob) -> Contents<'a> {
        let former = job.stamp_before.as_ref()?;
        let known = self.look.declared.get(&job.key)?;
        known.iter().find(|declared| stamp::contents_digest(declared) == former.contents)
    }

    fn put_back(&mut self, writer: &Writer<'_>, live: &LiveJob) {
        let contents = self.contents(writer.job);
        let (mut steps, is_lacking) = writer.put_back(live, contents, |declared| self.follow(declared));
        if is_lacking {
            self.lacking.insert(writer.job.key.clone());
        }
        if steps.is_empty() {
            self.leave(writer.job, "the job is as it was before already");
        }
        self.wait(writer, &mut steps);
        self.changes.extend(steps);
    }

    fn make_again(&mut self, writer: &Writer<'_>) {
        let contents = self.contents(writer.job);
        let (mut steps, is_lacking) = writer.make_again(contents, |declared| self.follow(declared));
        if is_lacking {
            self.lacking.insert(writer.job.key.clone());
        }
        self.wait(writer, &mut steps);
        self.changes.extend(steps);
    }

    /// Lets steps wait for those that make what they link to; blocks them where that is not made.
    fn wait(&self, writer: &Writer<'_>, steps: &mut Vec<Change>) {
        let Some(declared) = steps.iter().find_map(|change| Some(&change.basis.as_ref()?.declared)) else {
            return;
        };
        let parents: BTreeSet<String> = links::placeholders(declared)
            .iter()
            .filter_map(|text| Some(links::Placeholder::parse(text)?.key().to_owned()))
            .collect();
        for parent in parents {
            let makes = |change: &&Change| {
                change.key == parent && matches!(change.action, Action::Create | Action::Update)
            };
            match self.changes.iter().find(makes).map(Change::step) {
                Some(step) => {
                    let waiting = steps.iter_mut();
                    waiting
                        .filter(|change| matches!(change.action, Action::Create | Action::Update))
                        .for_each(|change| change.after.push(step.clone()));
                }
                None => {
                    let reason = format!("what it is linked to, of `{parent}`, is not made again");
                    *steps = vec![writer.blocked(reason, "see the step of that job")];
                    return;
                }
            }
        }
    }

    /// Links to jobs that are made anew lead to their new ids, which stand as placeholders until they are known.
    fn follow(&self, declared: &mut Map<String, Value>) {
        let parent = declared.get("linkedJobId").and_then(Value::as_str).map(str::to_ascii_lowercase);
        if let Some(key) = parent.and_then(|id| self.anew.jobs.get(&id)) {
            declared.insert("linkedJobId".to_owned(), links::Placeholder::Job(key).to_string().into());
        }
        let rules = declared.get_mut("chainedJobRule").and_then(Value::as_array_mut);
        for ids in rules.into_iter().flatten().filter_map(|rule| rule.get_mut("actionIds")?.as_array_mut()) {
            for id in ids {
                let known = id.as_str().and_then(|id| self.anew.actions.get(&id.to_ascii_lowercase()));
                if let Some((key, name)) = known {
                    *id = links::Placeholder::Action { name, key }.to_string().into();
                }
            }
        }
    }
}

/// The live job that a run wrote to, as far as the journal and the lists tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Meant {
    /// This one.
    Job(String),
    /// One of these, which have its name: the journal holds no id where the answer to a create was lost.
    Several(Vec<String>),
    /// No live job has its name, and there is no id.
    Nobody,
}

impl Meant {
    /// Looks for the job of a run: by its id, else as the only one of its name and platform.
    pub fn by(job: &PastJob, rows: &[ListRow]) -> Self {
        if let Some(id) = &job.id {
            return Self::Job(id.clone());
        }
        let is_alike =
            |row: &&ListRow| row.name == job.name && (job.platform.is_none() || row.platform == job.platform);
        let ids: Vec<String> = rows.iter().filter(is_alike).map(|row| row.id.clone()).collect();
        match <[String; 1]>::try_from(ids) {
            Ok([id]) => Self::Job(id),
            Err(ids) if ids.is_empty() => Self::Nobody,
            Err(ids) => Self::Several(ids),
        }
    }

    /// The job's id, where it is one.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Job(id) => Some(id),
            Self::Several(_) | Self::Nobody => None,
        }
    }
}

/// The platforms on which a run wrote; all of them where it is not known of a job.
pub fn platforms(run: &PastRun) -> Vec<Platform> {
    let is_unknown = run.jobs.iter().any(|job| job.platform.is_none());
    let is_in_use = |platform: &Platform| run.jobs.iter().any(|job| job.platform == Some(*platform));
    Platform::ALL.into_iter().filter(|platform| is_unknown || is_in_use(platform)).collect()
}

#[cfg(test)]
mod tests;
