//! The steps that undo what a run did to one job.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::Look;
use super::former::{self, Contents, Former, Rewritten};
use super::past::PastJob;
use crate::diff::{self, FieldChange};
use crate::job::{Platform, rules};
use crate::normalise::{self, Normalised};
use crate::overlay::{self, Issue};
use crate::patch;
use crate::plan::{Action, Basis, Change, Field, Origin, Removal, Request};
use crate::render::text::dotted;
use crate::schedule;
use crate::snapshot::{Edit, LiveJob};
use crate::stamp::{self, Stamp};

/// One job and all that is known of it.
pub(super) struct Writer<'a> {
    pub(super) look: Look<'a>,
    pub(super) job: &'a PastJob,
    pub(super) id: Option<&'a str>,
    pub(super) live: Option<&'a LiveJob>,
}

impl Writer<'_> {
    fn step(&self, action: Action, reason: impl Into<String>) -> Change {
        let name = self.live.and_then(|live| live.normalised.text("name"));
        Change {
            key: self.job.key.clone(),
            id: self.id.map(str::to_owned),
            name: name.unwrap_or(&self.job.name).to_owned(),
            platform: self.platform(),
            action,
            reason: reason.into(),
            place: self.look.place.clone(),
            fields: Vec::new(),
            request: None,
            after: Vec::new(),
            schedule: None,
            notes: Vec::new(),
            basis: None,
            is_one_way: false,
            unknown: Vec::new(),
            waiting: None,
            edited: self.live.map(LiveJob::last_edit),
        }
    }

    fn platform(&self) -> Option<Platform> {
        let live = self.live.and_then(|live| live.normalised.text("platform")).and_then(Platform::parse);
        live.or(self.job.platform)
    }

    /// A step that does nothing and says why.
    pub(super) fn blocked(&self, reason: impl Into<String>, help: &str) -> Change {
        let mut change = self.step(Action::Blocked, reason);
        change.notes.push(help.to_owned());
        change
    }

    /// The owner of a job that is another's now.
    pub(super) fn other_owner<'l>(&self, live: &'l LiveJob) -> Option<&'l str> {
        let description = live.raw.get("description").and_then(Value::as_str).unwrap_or_default();
        stamp::owners(description).find(|owner| *owner != self.look.policy.owner)
    }

    /// Removes a job that the run made, or says why it stays.
    pub(super) fn remove(&self, live: &LiveJob, going: &BTreeMap<String, String>) -> Change {
        let id = self.id.unwrap_or_default();
        let removal = Removal {
            policy: self.look.policy,
            key: &self.job.key,
            id,
            stamps: self.look.now.stamps,
            rows: self.look.now.rows,
            going,
        };
        if let Some((reason, help)) = self.stays(live, removal) {
            let mut change = self.blocked(format!("not deleted: {reason}"), &help);
            change.notes.extend(self.status_note(live));
            return change;
        }
        let mut change = self.step(Action::Delete, "the run made this job");
        change.after = removal.after();
        change.request = Some(Request {
            method: "DELETE",
            path: "/pm/v1/deploymentjobs".to_owned(),
            body: json!({"ids": [id]}),
        });
        change.basis = Some(Basis::deletion(self.look.policy, live));
        change.notes.extend(self.status_note(live));
        change
    }

    /// The job that the run made may be one of several.
    pub(super) fn not_told_apart(&self, ids: &[String]) -> Change {
        let (name, all) = (&self.job.name, if ids.len() == 2 { "both" } else { "all" });
        let reason = format!(
            "not deleted: the live jobs {} are {all} called `{name}`, and the journal does not say which of them the \
             run made",
            former::enumerated(ids)
        );
        let help = format!(
            "look for the stamp `{}/{}` in their descriptions; delete the one that is to go in the console",
            self.look.policy.owner, self.job.key
        );
        self.blocked(reason, &help)
    }

    /// The job that the run made has another name now, or is gone.
    pub(super) fn not_found(&self) -> Change {
        let reason = format!(
            "not deleted: no live job is called `{}` any more, and the journal does not hold the id of the one that \
             the run made",
            self.job.name
        );
        self.blocked(
            reason,
            "if it has another name now, delete it in the console; if it is gone, all is done",
        )
    }

    fn status_note(&self, live: &LiveJob) -> Option<String> {
        let status = live.normalised.text("status")?;
        normalise::is_armed(Some(status)).then(|| format!("the live job is {status}"))
    }

    /// Why a job that the run made stays, with what to do: the same conditions as for `--prune`, and that it has not
    /// begun to run.
    fn stays(&self, live: &LiveJob, removal: Removal<'_>) -> Option<(String, String)> {
        if !normalise::is_safely_editable(&live.normalised) {
            let status = live.normalised.text("status").unwrap_or("in an unknown state");
            let reason = format!("it runs once and is {status}; what has begun can not be taken back");
            return Some((
                reason,
                "look at it in the console, and stop it there if it must not go on".to_owned(),
            ));
        }
        if self.look.leave.protected.contains(&self.job.key) {
            let help = "take `protect` out of the manifest, or delete the job in the console";
            let reason = "it is protected by `protect: true` in its manifest".to_owned();
            return Some((reason, help.to_owned()));
        }
        removal.obstacle(live)
    }

    /// The stamp as it was, with the digest of the job as it will be.
    fn stamp(&self, desired: &Normalised, is_whole: bool) -> Stamp {
        let Some(former) = &self.job.stamp_before else { return Stamp::nothing() };
        let mut stamp = Stamp { job: stamp::job_digest(desired), ..former.clone() };
        // Scripts that could not be put back are those of the run still.
        if let (false, Some(after)) = (is_whole, &self.job.stamp_after) {
            stamp.contents.clone_from(&after.contents);
        }
        stamp
    }

    fn basis(
        &self,
        declared: Map<String, Value>,
        live: &Normalised,
        desired: &Normalised,
        stamp: Stamp,
    ) -> Basis {
        let description = stamp::join(desired.text("description"), &stamp);
        Basis {
            owner: self.look.policy.owner.clone(),
            declared,
            live: live.clone(),
            desired: desired.clone(),
            stamp,
            description: self.look.policy.record.is_none().then_some(description),
            scripts_are_known: false,
        }
    }

    /// What is lost where scripts can not be put back; `None` where that was allowed or nothing is.
    fn half(&self, former: &Former) -> Option<Change> {
        if former.lost.is_empty() || self.look.leave.partly.contains(&self.job.key) {
            return None;
        }
        let key = &self.job.key;
        let reason =
            format!("can not be undone as a whole: what was in {} is not known", former::words(&former.lost));
        let help = if self.job.stamp_before.is_some() {
            "no manifest at hand declares that content: look for a commit that has it, check it out or fetch it, and \
             run this again"
        } else {
            "patchctl had never written to this job before, so nothing tells what was in it; write it anew in the \
             console, or in the manifest"
        };
        let mut change = self.blocked(reason, help);
        change.notes.push(format!(
            "`{} --allow-partial {key}` puts the rest back and leaves what is listed as the run left it: a combination \
             that nobody has tried",
            self.look.command
        ));
        Some(change)
    }

    /// Puts back what the run changed; also whether a script's content was looked for in vain.
    pub(super) fn put_back(
        &self,
        live: &LiveJob,
        contents: Contents<'_>,
        follow: impl Fn(&mut Map<String, Value>),
    ) -> (Vec<Change>, bool) {
        let before = self.job.before.clone().map(LiveJob::new);
        let Some(before) = before.map(|before| before.normalised) else { return (Vec::new(), false) };
        let after = self.after(&before, &live.normalised);
        let rewritten = Rewritten::of(&self.job.bodies, &before);
        // What a step for the status found changed beside it was not its doing.
        let is_of_members = !self.job.bodies.is_empty();
        let changed = if is_of_members { former::changed(&before, &after) } else { Vec::new() };
        let pointers: Vec<String> =
            changed.iter().map(|field| field.pointer.clone()).chain(rewritten.lists()).collect();
        let moved = former::moved(&pointers, &before, &after, &live.normalised);
        let mut steps = Vec::new();
        let is_armed = normalise::is_armed(live.normalised.text("status"));
        let disarms = self.job.leaves_armed == Some(true) && is_armed;
        let arms = self.job.leaves_armed == Some(false) && !is_armed;
        if disarms {
            steps.push(self.disarm(live));
        }
        let can_disarm = steps.iter().all(|change| change.action == Action::Disable);
        let seen = if disarms && can_disarm {
            with_status(&live.normalised, "Disabled")
        } else {
            live.normalised.clone()
        };
        let Former { mut declared, lost, n_restored } =
            former::of_members(&pointers, &before, &live.normalised, &rewritten, contents);
        let is_lacking = !lost.is_empty();
        let former = Former { declared: Map::new(), lost, n_restored };
        follow(&mut declared);
        if self.job.was_unlocked && is_armed && !disarms {
            // As the run did it, on a server that lets no Enabled job be edited: the manifest allows it.
            declared.insert("status".to_owned(), "Enabled".into());
        }
        let laid = overlay::overlay(&declared, &seen, false);
        let desired = laid.desired;
        let mut fields = diff::diff(&seen, &desired);
        fields.retain(|field| field.pointer != "/status");
        let gone: Vec<(&str, Value)> = overlay::schedule_leftovers(&live.raw, &seen, &desired)
            .into_iter()
            .map(|(row, value)| (row.name, value))
            .collect();
        fields.extend(gone.into_iter().map(|(name, before)| FieldChange {
            pointer: format!("/{name}"),
            before,
            after: Value::Null,
        }));
        if !fields.is_empty() || (is_lacking && !rewritten.is_empty()) {
            let content =
                self.content(live, &seen, declared, desired.clone(), fields, &laid.issues, &moved, &former);
            let content = match steps.first() {
                Some(first) if first.action == Action::Disable => {
                    Change { after: vec![first.step()], ..content }
                }
                _ => content,
            };
            steps.push(content);
        }
        if arms {
            let last = steps.last();
            let step = self.arm(live, &desired, last);
            steps.push(step);
        }
        (steps, is_lacking)
    }

    /// The job as the run left it.
    fn after(&self, before: &Normalised, live: &Normalised) -> Normalised {
        if let Some(after) = &self.job.after {
            return normalise::live(after);
        }
        if self.job.digest_after.as_deref() == Some(stamp::job_digest(live).as_str()) {
            return live.clone();
        }
        // No read of the run is in its journal: what was there, with what was sent.
        let mut raw = self.job.before.clone().unwrap_or(Value::Null);
        for (name, value) in self.job.bodies.iter().filter_map(Value::as_object).flatten() {
            if let Some(members) = raw.as_object_mut() {
                if name == "chainedJobRule" {
                    members.shift_remove("linkedToJob");
                }
                members.insert(name.clone(), value.clone());
            }
        }
        if self.job.bodies.is_empty() { before.clone() } else { normalise::live(&raw) }
    }

    #[expect(clippy::too_many_arguments, reason = "all of one change, used once")]
    fn content(
        &self,
        live: &LiveJob,
        seen: &Normalised,
        declared: Map<String, Value>,
        desired: Normalised,
        fields: Vec<FieldChange>,
        issues: &[Issue],
        moved: &[FieldChange],
        former: &Former,
    ) -> Change {
        let shown =
            |change: Change| Change { fields: fields.iter().cloned().map(planned).collect(), ..change };
        if let Some(change) = self.not_editable(seen, &desired) {
            return shown(change);
        }
        let is_disarmed =
            normalise::is_armed(live.normalised.text("status")) && !normalise::is_armed(seen.text("status"));
        // A job that the run armed is disabled whatever becomes of its members: it can be armed again, and what it does
        // to servers can not be taken back.
        let left = |mut change: Change| {
            if is_disarmed {
                let words = "the job is disabled all the same, because the run armed it";
                change.notes.insert(change.notes.len().min(1), words.to_owned());
            }
            change
        };
        let key = &self.job.key;
        if !moved.is_empty() && !self.look.leave.overrides.contains(key) {
            return left(self.held(live, moved));
        }
        if let Some(change) = self.half(former) {
            return left(shown(change));
        }
        if let Some(Issue::AmbiguousAction { item, .. }) =
            issues.iter().find(|issue| matches!(issue, Issue::AmbiguousAction { .. }))
        {
            let reason =
                format!("several live actions are called `{item}`, and it can not be told which is meant");
            return left(self.blocked(reason, "put it right in the console, or in its manifest"));
        }
        let stamp = self.stamp(&desired, former.lost.is_empty());
        let mut change = self.step(
            Action::Update,
            match fields.len() {
                1 => "1 member goes back to what it was".to_owned(),
                n => format!("{n} members go back to what they were"),
            },
        );
        let basis = self.basis(declared, seen, &desired, stamp);
        let id = self.id.unwrap_or_default();
        let update = patch::Update {
            raw: &live.raw,
            live: seen,
            desired: &desired,
            fields: &fields,
            description: basis.description.as_deref(),
        };
        let body = patch::update(self.look.policy.envelope, update);
        change.request =
            Some(Request { method: "PATCH", path: format!("/pm/v1/deploymentjob/update/{id}"), body });
        let runs = (schedule::words(seen), schedule::words(&desired));
        change.schedule = (runs.0 != runs.1).then_some(runs);
        if normalise::is_armed(seen.text("status")) {
            let status = seen.text("status").unwrap_or_default();
            change.notes.push(format!("the live job is {status}: the next run uses what is written here"));
        }
        let left = self.job.left.as_ref();
        if former.n_restored > 0 && left.is_some_and(|left| *left != live.last_edit()) {
            change.notes.push(format!(
                "edited since that run, last by {}: a script that was changed there shows no difference, and is put \
                 back with the others",
                when(&live.last_edit())
            ));
        }
        change
            .notes
            .extend(former.lost.iter().map(|lost| format!("not undone: {lost} stays as the run left it")));
        if !moved.is_empty() {
            let names: Vec<String> = moved.iter().map(|field| dotted(&field.pointer)).collect();
            change.notes.push(format!(
                "overwrites what {} changed since, as --override says: {}",
                who(&live.last_edit()),
                names.join(", ")
            ));
        }
        let removed = issues.iter().filter_map(|issue| match issue {
            Issue::LostScript { pointer, item, .. } => Some((pointer, item)),
            Issue::AmbiguousAction { .. } | Issue::MissingScript { .. } => None,
        });
        let removed = removed
            .map(|(_, item)| format!("removes the action `{item}`, whose script is known to Git only"));
        change.notes.extend(removed);
        change.basis = Some(basis);
        shown(change)
    }

    /// Why the members of a job can not be written at all.
    fn not_editable(&self, seen: &Normalised, desired: &Normalised) -> Option<Change> {
        let status = seen.text("status").unwrap_or("in an unknown state");
        if !normalise::is_safely_editable(seen) {
            let reason = format!(
                "can not be undone: the live job runs once and is {status}; it can not be edited any more"
            );
            return Some(
                self.blocked(reason, "look at it in the console, and stop it there if it must not go on"),
            );
        }
        if normalise::is_armed(Some(status)) && normalise::is_run_once(desired.schedule_type()) {
            let kind = desired.schedule_type().unwrap_or_default();
            let reason =
                format!("the live job is {status}; as a job that runs {kind} it would be armed for good");
            return Some(self.blocked(reason, "disable it first"));
        }
        None
    }

    /// Members that somebody moved since are not overwritten without a word.
    fn held(&self, live: &LiveJob, moved: &[FieldChange]) -> Change {
        let edit = live.last_edit();
        let mut change = self.step(Action::Held, format!("edited since that run, last by {}", when(&edit)));
        change.fields = moved.iter().cloned().map(planned).collect();
        change.notes.push(
            "shown is what moved: as the run left it, and as it is now; no member of this job is put back"
                .to_owned(),
        );
        change.notes.push(format!(
            "if that was a later run of patchctl, revert that one first; `{} --override {}` puts the former values back \
             over it",
            self.look.command, self.job.key
        ));
        change
    }

    fn status(&self, action: Action, live: &LiveJob, reason: &str) -> Change {
        let status = if action == Action::Enable { "Enabled" } else { "Disabled" };
        let id = self.id.unwrap_or_default();
        let mut change = self.step(action, reason);
        let before = live.normalised.members().get("status").cloned().unwrap_or(Value::Null);
        change.fields =
            vec![planned(FieldChange { pointer: "/status".to_owned(), before, after: status.into() })];
        change.request = Some(Request {
            method: "POST",
            path: format!("/pm/v1/deploymentjobs/update/status/{status}"),
            body: json!({"ids": [id]}),
        });
        change
    }

    fn disarm(&self, live: &LiveJob) -> Change {
        if !normalise::is_recurring(live.normalised.schedule_type()) {
            let status = live.normalised.text("status").unwrap_or("in an unknown state");
            let reason = format!(
                "can not be undone: the live job runs once and is {status}; it can not be disabled any more"
            );
            return self.blocked(reason, "look at it in the console, and stop it there if it must not go on");
        }
        let mut change = self.status(Action::Disable, live, "the run armed the job");
        change.basis = Some(self.plain_basis(&live.normalised));
        change
    }

    fn arm(&self, live: &LiveJob, desired: &Normalised, content: Option<&Change>) -> Change {
        if content.is_some_and(|content| !content.action.writes()) {
            return self.blocked("waits for a change that is not made", "see the step before");
        }
        let mut change = self.status(Action::Enable, live, "the run disarmed the job");
        if let Some(refusal) = self.must_not_arm(desired) {
            return refusal;
        }
        change.after = content.map(Change::step).into_iter().collect();
        change.basis = content
            .and_then(|content| content.basis.clone())
            .or_else(|| Some(self.plain_basis(&live.normalised)));
        change
    }

    /// Only what surely recurs is armed again: whatever runs once would run a second time.
    fn must_not_arm(&self, job: &Normalised) -> Option<Change> {
        if !normalise::is_recurring(job.schedule_type()) {
            let reason = "not enabled again: the job runs once, and would start anew";
            let help =
                "if it is to run, enable it in the console, or from its manifest with --allow-run-once";
            return Some(self.blocked(reason, help));
        }
        let missing = rules::check_enabling(job.members());
        let words: Vec<&str> = missing.iter().map(|violation| violation.message.as_str()).collect();
        (!words.is_empty()).then(|| self.blocked(words.join("; "), "the API enables no such job"))
    }

    fn plain_basis(&self, live: &Normalised) -> Basis {
        Basis {
            owner: self.look.policy.owner.clone(),
            declared: Map::new(),
            live: live.clone(),
            desired: live.clone(),
            stamp: Stamp::nothing(),
            description: None,
            scripts_are_known: true,
        }
    }

    /// Makes a job again that the run deleted, and arms it if it recurs and was armed.
    pub(super) fn make_again(
        &self,
        contents: Contents<'_>,
        follow: impl Fn(&mut Map<String, Value>),
    ) -> (Vec<Change>, bool) {
        let Some(before) = self.job.before.clone().map(LiveJob::new) else { return (Vec::new(), false) };
        let former = former::of_job(&before.normalised, contents);
        let is_lacking = !former.lost.is_empty();
        let named = self
            .look
            .now
            .rows
            .iter()
            .find(|row| row.name == self.job.name && row.platform == self.job.platform);
        if let Some(row) = named {
            let reason = format!("not made again: the live job {} has this name now", row.id);
            return (vec![self.blocked(reason, "rename or remove that one first")], is_lacking);
        }
        if let Some(change) = self.half(&former) {
            return (vec![change], is_lacking);
        }
        let is_whole = former.lost.is_empty();
        let mut declared = former.declared;
        follow(&mut declared);
        let nothing = normalise::from_canonical(Map::new());
        let desired = overlay::overlay(&declared, &nothing, false).desired;
        let mut change = Change { id: None, ..self.step(Action::Create, "the run deleted this job") };
        let fields = diff::diff(&nothing, &desired);
        change.fields = fields.into_iter().map(planned).collect();
        change.schedule = Some((String::new(), schedule::words(&desired)));
        let basis = self.basis(declared, &nothing, &desired, self.stamp(&desired, is_whole));
        change.request = Some(Request {
            method: "POST",
            path: "/pm/v1/deploymentjob".to_owned(),
            body: patch::create(&basis.declared, basis.description.as_deref()),
        });
        change
            .notes
            .push("the job and its actions get new ids; its history stays with the old one".to_owned());
        change
            .notes
            .extend(former.lost.iter().map(|lost| format!("not undone: an action goes without {lost}")));
        change.basis = Some(basis);
        let first = change.step();
        let mut steps = vec![change];
        let status = before.normalised.text("status");
        if normalise::is_armed(status) {
            let mut arm = self.status(Action::Enable, &before, "the job was armed");
            arm.fields.iter_mut().for_each(|field| field.before = Value::Null);
            arm.id = None;
            arm.after = vec![first];
            if let Some(request) = &mut arm.request {
                request.body = json!({"ids": ["{id}"]});
            }
            steps.push(self.must_not_arm(&desired).unwrap_or(arm));
        }
        (steps, is_lacking)
    }
}

fn with_status(job: &Normalised, status: &str) -> Normalised {
    let mut members = job.members().clone();
    members.insert("status".to_owned(), status.into());
    normalise::from_canonical(members)
}

fn planned(field: FieldChange) -> Field {
    let FieldChange { pointer, before, after } = field;
    Field { path: pointer, before, after, base: None, origin: Origin::Unknown, place: None }
}

fn who(edit: &Edit) -> String {
    edit.user.clone().unwrap_or_else(|| "an unknown user".to_owned())
}

/// Who edited a job last, and when.
fn when(edit: &Edit) -> String {
    let at = edit.at.and_then(|at| jiff::Timestamp::from_millisecond(at).ok());
    let at = at.map_or(String::new(), |at| format!(" on {}", at.strftime("%Y-%m-%d at %H:%M UTC")));
    who(edit) + &at
}
