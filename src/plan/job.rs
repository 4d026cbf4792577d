//! The steps of one manifest.

use serde_json::Value;

use super::bind::Binding;
use super::ignored::{self, Ignored};
use super::missing;
use super::origin::{self, AtBase, Evidence, Finding, StampCounts, Trails};
use super::{Action, Basis, Change, Field, Origin, Policy, Request, hold, status};
use crate::diagnostic::{Diagnostic, Diagnostics};
use crate::diff::{self, FieldChange};
use crate::job::{JOB, Platform, canonical, find, find_pointer, rules};
use crate::manifest::Manifest;
use crate::normalise::{self, Normalised};
use crate::overlay::{self, Issue, Overlay};
use crate::patch;
use crate::schedule;
use crate::script;
use crate::snapshot::{Edit, LiveJob};
use crate::stamp::{self, Found, Stamp};

/// The steps of one manifest and what is to be said of it.
pub(super) struct Planned {
    pub(super) steps: Vec<Change>,
    pub(super) diagnostics: Diagnostics,
    /// What rules leave alone although it differs.
    pub(super) ignored: Vec<Ignored>,
}

/// What all manifests are planned with.
pub(super) struct Planner<'a> {
    pub(super) policy: &'a Policy,
    pub(super) stamps: &'a StampCounts,
    /// What is known of the past; asked where something differs.
    pub(super) trails: &'a dyn Trails,
}

impl Planner<'_> {
    pub(super) fn plan(&self, manifest: &Manifest, binding: &Binding, job: Option<&LiveJob>) -> Planned {
        let mut diagnostics = Diagnostics::new();
        let mut ignored = Vec::new();
        let steps = match (binding, job) {
            (Binding::Missing, _) => self.create(manifest, &mut diagnostics),
            (Binding::Unclear(doubt), _) => vec![missing::blocked(manifest, doubt)],
            (Binding::Job(id), Some(job)) => {
                let manifest = &*ignored::left_out(self.policy, manifest);
                ignored = ignored::differing(self.policy, manifest, id, job);
                let mut steps = self.existing(manifest, id, job, &mut diagnostics);
                steps.iter_mut().for_each(|step| step.edited = Some(job.last_edit()));
                if !self.policy.findings_stop {
                    diagnostics.only_warn();
                }
                steps
            }
            (Binding::Job(id), None) => vec![gone(manifest, id)],
        };
        Planned { steps, diagnostics, ignored }
    }

    fn create(&self, manifest: &Manifest, diagnostics: &mut Diagnostics) -> Vec<Change> {
        let nothing = normalise::from_canonical(serde_json::Map::new());
        let overlay = overlay::overlay(&manifest.spec, &nothing, false);
        // A job that was never there was changed by nobody, if the manifest was not there either.
        let origin = match self.trails.of(manifest, None).base {
            AtBase::Absent => Origin::Git,
            AtBase::NoBase | AtBase::Unreadable | AtBase::Manifest(_) => Origin::Unknown,
        };
        report_issues(manifest, overlay.issues, diagnostics);
        let job = overlay.desired;
        check_rules(manifest, None, &job, diagnostics);
        for name in ["type", "scheduleType"] {
            if !job.members().contains_key(name) {
                let message = format!("a new job needs `{name}`");
                let diagnostic = manifest.at_member(Diagnostic::error("job-rule", message), "");
                diagnostics.push(diagnostic.help(format!("add `{name}:` below `spec`")));
            }
        }
        // A new job gets what rules leave alone, because there is no live value yet that could stay; its stamp does
        // not speak of it, as that of no later update does.
        let stamped = ignored::left_out(self.policy, manifest);
        let stamp = stamp::expected(&self.policy.owner, &manifest.key, stamped.as_declared(), &job);
        let mut change =
            step(manifest, None, Action::Create, "no live job has this name on this platform".to_owned());
        change.fields = diff::diff(&nothing, &job)
            .into_iter()
            .filter(|field| {
                field.pointer != "/status" && normalise::at(&manifest.spec, &field.pointer).is_some()
            })
            .map(|field| planned_field(manifest, field, origin))
            .collect();
        change.schedule = Some((String::new(), schedule::words(&job)));
        let description = self.description(&job, &stamp);
        change.request = Some(Request {
            method: "POST",
            path: "/pm/v1/deploymentjob".to_owned(),
            body: patch::create(&manifest.spec, description.as_deref()),
        });
        change.basis = Some(Basis {
            owner: self.policy.owner.clone(),
            declared: manifest.spec.clone(),
            live: nothing,
            desired: job.clone(),
            stamp,
            description,
            scripts_are_known: false,
        });
        let first = change.step();
        let mut steps = vec![change];
        if normalise::is_armed(manifest.spec.get("status").and_then(Value::as_str)) {
            steps.push(status::of_new_job(self.policy, manifest, &job, first));
        }
        steps
    }

    fn existing(
        &self,
        manifest: &Manifest,
        id: &str,
        job: &LiveJob,
        diagnostics: &mut Diagnostics,
    ) -> Vec<Change> {
        if let Some(blocked) = self.forbidden(manifest, id, job) {
            return vec![named_after(blocked, job)];
        }
        if let Some(finding) = status::unknown(manifest, job) {
            diagnostics.push(finding);
        }
        let found = self.last_applied(manifest, id, job);
        let proof = origin::proof(&found, manifest, &self.policy.owner, self.stamps);
        let scripts_are_known = !self.policy.set_scripts.contains(&manifest.key)
            && proof.is_some_and(|stamp| manifest.has_stamped_contents(stamp));
        let (overlay, fields) = compare(self.policy, manifest, job, scripts_are_known);
        let lost = report_issues(manifest, overlay.issues, diagnostics);
        let desired = overlay.desired;
        let (status, content): (Vec<_>, Vec<_>) = fields.into_iter().partition(|f| f.pointer == "/status");
        if content.is_empty() && status.is_empty() {
            return Vec::new();
        }
        check_rules(manifest, Some(&job.normalised), &desired, diagnostics);
        let trail = self.trails.of(manifest, Some(id));
        let api_users = &self.policy.api_users;
        let evidence = Evidence::new(manifest, job, &desired, proof, &trail, self.policy);
        let mut steps = Vec::new();
        if !content.is_empty() {
            let findings = evidence.judge(&content);
            let change = self.content_step(manifest, id, job, &desired, content, scripts_are_known);
            let change = traced(change, findings, evidence.other_editor());
            let unseen = scripts_are_known && !script::all_declared(&manifest.spec).is_empty();
            let editor = job.last_edit();
            let editor = editor.by_others(api_users).filter(|_| unseen && change.action.writes());
            let change = match editor {
                Some(editor) => note(change, &unverified(editor, &manifest.key)),
                None => change,
            };
            let change = self.guard(manifest, job, &desired, change, &lost);
            steps.push(hold::content(&self.policy.decisions, change, evidence.other_editor()));
        }
        if let Some(field) = status.first() {
            let content = steps.first();
            let change = status::of_live_job(self.policy, manifest, id, job, &desired, field, content);
            let editor = evidence.status_editor();
            let change = traced(change, evidence.judge(&status), editor.as_ref());
            steps.push(hold::status(&self.policy.decisions, change, content, editor.as_ref()));
        }
        steps.into_iter().map(|change| named_after(change, job)).collect()
    }

    /// What was applied last, from where that is kept.
    fn last_applied(&self, manifest: &Manifest, id: &str, job: &LiveJob) -> Found {
        match &self.policy.record {
            Some(record) => record.of_job(&manifest.key, id),
            None => job.stamp.clone(),
        }
    }

    /// The description that a write leaves: with the stamp, or `None` where the record keeps it.
    fn description(&self, job: &Normalised, stamp: &Stamp) -> Option<String> {
        self.policy.record.is_none().then(|| stamp::join(job.text("description"), stamp))
    }

    /// Reasons for which a job is not touched at all.
    fn forbidden(&self, manifest: &Manifest, id: &str, job: &LiveJob) -> Option<Change> {
        let description = job.raw.get("description").and_then(Value::as_str).unwrap_or_default();
        if let Some(owner) = stamp::owners(description).find(|owner| *owner != self.policy.owner) {
            let stamped = match &job.stamp {
                Found::Stamp(stamp) if stamp.owner == owner => format!("`{}/{}`", stamp.owner, stamp.key),
                Found::Stamp(_) | Found::Damaged | Found::None => format!("by `{owner}`"),
            };
            let reason = format!("managed by another owner: the job is stamped {stamped}");
            let change = step(manifest, Some(id), Action::Blocked, reason);
            let help =
                format!("this repository writes as `{}` (`owner` in patchctl.yaml)", self.policy.owner);
            return Some(note(change, &help));
        }
        if job.raw.pointer("/deletedBy/date").is_some_and(|date| !date.is_null()) {
            let who = job.raw.pointer("/deletedBy/user/name").and_then(Value::as_str).unwrap_or("somebody");
            let change =
                step(manifest, Some(id), Action::Blocked, format!("the live job was deleted by {who}"));
            return Some(note(change, "remove `metadata.id` to make the job anew, or remove the manifest"));
        }
        // The list may lag behind a rename: then the job that it led to is not the one that is meant.
        if let (None, Some(declared), live) = (&manifest.id, manifest.name(), job.normalised.text("name"))
            && live != Some(declared)
            // A declared rename: the list found it by its former name.
            && (live.is_none() || live != manifest.previous_name.as_deref())
        {
            let live = live.unwrap_or_default();
            let reason = format!("the list called the live job {id} `{declared}`, and it is called `{live}`");
            let change = step(manifest, Some(id), Action::Blocked, reason);
            return Some(note(change, "run plan again; if it was renamed, bind it with `metadata.id`"));
        }
        for (name, consequence) in
            [("platform", "belongs to another platform"), ("type", "is of another type")]
        {
            let declared = manifest.spec.get(name).and_then(Value::as_str);
            let live = job.normalised.text(name);
            if let (Some(declared), Some(live)) = (declared, live)
                && declared != live
            {
                let reason =
                    format!("the live job {consequence}: `{name}` is {live}, the manifest says {declared}");
                let mut change = step(manifest, Some(id), Action::Blocked, reason);
                let field =
                    FieldChange { pointer: format!("/{name}"), before: live.into(), after: declared.into() };
                change.fields = vec![planned_field(manifest, field, Origin::Unknown)];
                let help = format!(
                    "`{name}` is fixed when a job is made; give the new job a key and a name of its own"
                );
                return Some(note(change, &help));
            }
        }
        None
    }

    fn content_step(
        &self,
        manifest: &Manifest,
        id: &str,
        job: &LiveJob,
        desired: &Normalised,
        fields: Vec<FieldChange>,
        scripts_are_known: bool,
    ) -> Change {
        let stamp = stamp::expected(&self.policy.owner, &manifest.key, manifest.as_declared(), desired);
        let description = self.description(desired, &stamp);
        let body = patch::update(
            self.policy.envelope,
            patch::Update {
                raw: &job.raw,
                live: &job.normalised,
                desired,
                fields: &fields,
                description: description.as_deref(),
            },
        );
        let scripts = fields.iter().filter(|field| script::declared_digest(&field.after).is_some()).count();
        let reason = match (scripts, fields.len()) {
            (0, 1) => "1 member differs".to_owned(),
            (0, n) => format!("{n} members differ"),
            (scripts, n) if scripts == n => "script contents can not be verified".to_owned(),
            (_, n) => format!("{n} members differ or can not be verified"),
        };
        let mut change = step(manifest, Some(id), Action::Update, reason);
        let runs = (schedule::words(&job.normalised), schedule::words(desired));
        if runs.0 != runs.1 {
            change.schedule = Some(runs);
        }
        if normalise::is_armed(job.normalised.text("status")) {
            let status = job.normalised.text("status").unwrap_or_default();
            change.notes.push(format!("the live job is {status}: the next run uses what is written here"));
        }
        let unknown = Origin::Unknown;
        change.fields = fields.into_iter().map(|field| planned_field(manifest, field, unknown)).collect();
        change.request =
            Some(Request { method: "PATCH", path: format!("/pm/v1/deploymentjob/update/{id}"), body });
        change.basis = Some(Basis {
            owner: self.policy.owner.clone(),
            declared: manifest.spec.clone(),
            live: job.normalised.clone(),
            desired: desired.clone(),
            stamp,
            description,
            scripts_are_known,
        });
        change
    }

    /// Turns a change that must not be made into one that says why not.
    fn guard(
        &self,
        manifest: &Manifest,
        job: &LiveJob,
        desired: &Normalised,
        change: Change,
        lost: &[String],
    ) -> Change {
        let status = job.normalised.text("status").unwrap_or("in an unknown state");
        if !normalise::is_safely_editable(&job.normalised) {
            let reason = match job.normalised.schedule_type() {
                kind if normalise::is_run_once(kind) => {
                    format!("the live job runs once and is {status} already; it can not be edited any more")
                }
                _ => format!(
                    "the live job is {status}, and its schedule type is not known: it may run once only"
                ),
            };
            let help = "for another run, declare a new job with a key and a name of its own";
            return block(change, reason, help);
        }
        if normalise::is_armed(Some(status)) && normalise::is_run_once(desired.schedule_type()) {
            let kind = desired.schedule_type().unwrap_or_default();
            let reason =
                format!("the live job is {status}; as a job that runs {kind} it would be armed for good");
            let help = "disable it first, or declare a new job with a key and a name of its own";
            return block(change, reason, help);
        }
        if !lost.is_empty() && !self.policy.allow_script_loss.contains(&manifest.key) {
            let reason = format!("would remove what can not be read back: {}", lost.join(", "));
            let help = format!(
                "to rename an action keep its `actionId`; to remove it for good allow it with \
                 --allow-script-loss {}",
                manifest.key
            );
            return block(change, reason, &help);
        }
        lost.iter().fold(change, |change, script| note(change, &format!("irreversible: removes {script}")))
    }
}

/// A bound job that the API does not know is never made anew by itself (DESIGN 3).
fn gone(manifest: &Manifest, id: &str) -> Change {
    if manifest.id.is_some() {
        let change =
            step(manifest, Some(id), Action::Blocked, format!("the live job {id} of `metadata.id` is gone"));
        note(
            change,
            "run plan again, the answer may lag; if it stays so, remove `metadata.id` or the manifest",
        )
    } else {
        let reason = format!("the live job {id} was listed, and is gone now");
        note(step(manifest, Some(id), Action::Blocked, reason), "run plan again")
    }
}

/// Says of each difference where it came from, in the order of the differences, and of all of them together in words.
fn traced(mut change: Change, findings: Vec<Finding>, editor: Option<&Edit>) -> Change {
    for (field, finding) in change.fields.iter_mut().zip(findings) {
        (field.origin, field.base) = (finding.origin, finding.base);
        if let Some(why) = finding.why.filter(|why| !change.unknown.contains(why)) {
            change.unknown.push(why);
        }
    }
    if change.action.writes() {
        change.notes.extend(hold::words(&change.fields, editor));
    }
    change
}

/// What nobody can see: whoever edited the job after us may have replaced a script, and our own write hides who it was.
fn unverified(editor: &str, key: &str) -> String {
    format!(
        "{editor} edited the job after our last write, so its scripts can not be verified; --set-scripts {key} sends them \
         again"
    )
}

/// What a manifest makes of a live job, and how that differs from it.
fn compare(
    policy: &Policy,
    manifest: &Manifest,
    job: &LiveJob,
    scripts_are_known: bool,
) -> (Overlay, Vec<FieldChange>) {
    let overlay = overlay::overlay(&manifest.spec, &job.normalised, scripts_are_known);
    let mut fields = diff::diff(&job.normalised, &overlay.desired);
    ignored::pass_over(policy, manifest, &mut fields);
    fields.retain(|field| !is_said_already(job, field));
    fields.extend(leftovers(job, &overlay.desired));
    (overlay, fields)
}

/// A step with nothing in it yet.
pub(super) fn step(manifest: &Manifest, id: Option<&str>, action: Action, reason: String) -> Change {
    Change {
        key: manifest.key.clone(),
        id: id.map(str::to_owned),
        name: manifest.name().unwrap_or_default().to_owned(),
        platform: manifest.platform(),
        action,
        reason,
        place: manifest.place(),
        fields: Vec::new(),
        request: None,
        after: Vec::new(),
        schedule: None,
        notes: Vec::new(),
        basis: None,
        is_one_way: false,
        unknown: Vec::new(),
        waiting: None,
        edited: None,
    }
}

/// A manifest that is bound by id need not declare name and platform; the live job has them.
pub(super) fn named_after(mut change: Change, job: &LiveJob) -> Change {
    if change.name.is_empty() {
        change.name = job.normalised.text("name").unwrap_or_default().to_owned();
    }
    change.platform = change.platform.or_else(|| job.normalised.text("platform").and_then(Platform::parse));
    change
}

pub(super) fn block(mut change: Change, reason: String, help: &str) -> Change {
    change.action = Action::Blocked;
    change.reason = reason;
    change.request = None;
    change.basis = None;
    change.notes = vec![help.to_owned()];
    change
}

/// The one step of a manifest that can not even be planned.
pub(super) fn blocked(manifest: &Manifest, id: Option<&str>, reason: String, help: &str) -> Change {
    note(step(manifest, id, Action::Blocked, reason), help)
}

pub(super) fn note(mut change: Change, words: &str) -> Change {
    change.notes.push(words.to_owned());
    change
}

pub(super) fn planned_field(manifest: &Manifest, field: FieldChange, origin: Origin) -> Field {
    let place = manifest.declared_at(&field.pointer).map(|(key, _)| key);
    Field { path: field.pointer, before: field.before, after: field.after, base: None, origin, place }
}

/// Whether a member that the former schedule type did not use says already what the new one wants: nothing.
fn is_said_already(job: &LiveJob, field: &FieldChange) -> bool {
    let name = diff::top_level(&field.pointer);
    find(JOB, name).is_some_and(|row| {
        let raw = canonical::canonical(row, job.raw.get(name).unwrap_or(&Value::Null));
        field.pointer.len() == name.len() + 1
            && !job.normalised.members().contains_key(name)
            && field.after == canonical::unset(row)
            && raw == Ok(field.after.clone())
    })
}

/// Members that only have to be cleared because the schedule type changes.
fn leftovers(job: &LiveJob, desired: &Normalised) -> Vec<FieldChange> {
    overlay::schedule_leftovers(&job.raw, &job.normalised, desired)
        .into_iter()
        .map(|(row, before)| FieldChange { pointer: format!("/{}", row.name), before, after: Value::Null })
        .collect()
}

/// Judges the job as it would be.
///
/// What the manifest alone breaks was said when it was read; what the live job breaks as it is, the server has
/// accepted, and it must not stop another change.
fn check_rules(
    manifest: &Manifest,
    live: Option<&Normalised>,
    desired: &Normalised,
    diagnostics: &mut Diagnostics,
) {
    let mut known = rules::check(&manifest.spec, rules::Scope::Declared);
    if let Some(live) = live {
        known.extend(rules::check(live.members(), rules::Scope::Whole));
    }
    for violation in rules::check(desired.members(), rules::Scope::Whole) {
        if !known.contains(&violation) {
            diagnostics.push(manifest.violation(&violation));
        }
    }
    if let Some(live) = live.filter(|live| normalise::is_armed(live.text("status"))) {
        check_armed(manifest, live, desired, diagnostics);
    }
}

/// A change must not take from an armed job what it needs to be armed; a job that is only to be armed has a step of
/// its own, which is blocked then.
fn check_armed(manifest: &Manifest, live: &Normalised, desired: &Normalised, diagnostics: &mut Diagnostics) {
    if !normalise::is_armed(desired.text("status")) {
        return;
    }
    let known = rules::check_enabling(live.members());
    for violation in rules::check_enabling(desired.members()) {
        if !known.contains(&violation) {
            diagnostics.push(manifest.violation(&violation));
        }
    }
}

/// Turns issues into findings, and returns the words for scripts that would be lost.
fn report_issues(manifest: &Manifest, issues: Vec<Issue>, diagnostics: &mut Diagnostics) -> Vec<String> {
    let mut lost = Vec::new();
    for issue in issues {
        match issue {
            Issue::AmbiguousAction { pointer, item, ids } => {
                let message = format!("{} live actions are called `{item}`", ids.len());
                let diagnostic = manifest.at_member(Diagnostic::error("ambiguous-action", message), &pointer);
                diagnostics.push(diagnostic.help(format!("say which with `actionId`: {}", ids.join(" or "))));
            }
            Issue::MissingScript { pointer, item } => {
                let message =
                    format!("no live action is called `{item}`, and a new one must bring its script");
                let diagnostic = manifest.at_member(Diagnostic::error("missing-script", message), &pointer);
                let help =
                    "add `scriptFile:`; if the action was renamed, add its `actionId` to keep its script";
                diagnostics.push(diagnostic.help(help));
            }
            Issue::LostScript { pointer, item, action_id } => {
                let what = find_pointer(&pointer).map_or("script", |row| row.name);
                lost.push(format!("the {what} of `{item}` ({action_id})"));
            }
        }
    }
    lost
}
