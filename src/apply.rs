//! Carries out a plan through the API, one outcome per step.
//!
//! The protocol of a change is DESIGN section 6: read afresh, compare with what the plan saw, write once, read
//! back, compare again. Decides nothing that the plan has not decided; everything it compares is `verify`'s.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde_json::Value;

use crate::api::{ApiError, WriteApi, WriteError};
use crate::diff::FieldChange;
use crate::manifest::Manifest;
use crate::normalise;
use crate::overlay;
use crate::patch::{self, Envelope};
use crate::plan::{Action, Basis, Change, Outcome, OutcomeKind, Plan};
use crate::script::Scripts;
use crate::snapshot::LiveJob;
use crate::stamp::{self, Found};
use crate::verify;

/// A wish to stop, and what would be left behind now. Shared between `apply` and whoever listens to signals.
#[derive(Debug, Default)]
pub struct Interrupt {
    is_asked: AtomicBool,
    has_written: AtomicBool,
    in_flight: Mutex<Option<String>>,
}

impl Interrupt {
    /// Asks `apply` to start nothing new.
    pub fn ask(&self) {
        self.is_asked.store(true, Ordering::Relaxed);
    }

    /// Whether it was asked for.
    pub fn is_asked(&self) -> bool {
        self.is_asked.load(Ordering::Relaxed)
    }

    /// Whether a job was written to, or may have been.
    pub fn has_written(&self) -> bool {
        self.has_written.load(Ordering::Relaxed)
    }

    /// Key of the job whose write was sent and is not settled yet.
    pub fn in_flight(&self) -> Option<String> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Option<String>> {
        self.in_flight.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Carries out a plan, step by step in its order; `tell` hears of each outcome as it comes.
///
/// Once `interrupt` is asked for, a write that was sent is still settled by reading, and everything else is skipped.
pub async fn apply<A: WriteApi>(
    plan: &Plan,
    manifests: &BTreeMap<&str, &Manifest>,
    scripts: &Scripts,
    api: &A,
    interrupt: &Interrupt,
    mut tell: impl FnMut(&Change, &Outcome),
) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut failed_steps: BTreeSet<String> = BTreeSet::new();
    let mut stopped: Option<String> = None;
    for change in &plan.changes {
        let outcome = if let Some(reason) = &stopped {
            Outcome::said(OutcomeKind::Skipped, reason.clone())
        } else if interrupt.is_asked() {
            interrupted()
        } else if let Some(step) = change.after.iter().find(|step| failed_steps.contains(*step)) {
            Outcome::said(OutcomeKind::Skipped, format!("waits for `{step}`, which was not carried out"))
        } else {
            step(plan, change, manifests, scripts, api, interrupt).await
        };
        if outcome.kind.has_written() {
            interrupt.has_written.store(true, Ordering::Relaxed);
        }
        *interrupt.lock() = None;
        if outcome.kind == OutcomeKind::Collateral {
            stopped =
                Some(format!("stopped, because the write to `{}` changed what was not sent", change.key));
        }
        if !matches!(outcome.kind, OutcomeKind::Applied | OutcomeKind::Unchanged) {
            failed_steps.insert(change.step());
        }
        tell(change, &outcome);
        outcomes.push(outcome);
    }
    outcomes
}

fn interrupted() -> Outcome {
    Outcome::said(OutcomeKind::Skipped, "interrupted before it was started")
}

async fn step<A: WriteApi>(
    plan: &Plan,
    change: &Change,
    manifests: &BTreeMap<&str, &Manifest>,
    scripts: &Scripts,
    api: &A,
    interrupt: &Interrupt,
) -> Outcome {
    let manifest = manifests.get(change.key.as_str());
    let advised = |kind: OutcomeKind| {
        let help = (!change.notes.is_empty()).then(|| change.notes.join("; "));
        Outcome { help, ..Outcome::said(kind, change.reason.clone()) }
    };
    match change.action {
        Action::Update => match (manifest, &change.id, &change.basis) {
            (Some(manifest), Some(id), Some(basis)) => {
                let envelope = plan.envelope;
                let update = Update { change, basis, id, manifest, scripts, envelope, interrupt };
                update.carry_out(api).await
            }
            (_, _, _) => Outcome::said(OutcomeKind::Failed, "internal error: an update without its basis")
                .helped("please report this; nothing was written"),
        },
        Action::Blocked => advised(OutcomeKind::Blocked),
        Action::Held => advised(OutcomeKind::Held),
        Action::Create | Action::Enable | Action::Disable | Action::Delete => {
            let words = "this release plans this step but does not carry it out";
            Outcome::said(OutcomeKind::Skipped, words).helped(by_hand(change.action, manifest.copied()))
        }
    }
}

/// What to know before doing in the console a step that is not carried out here.
fn by_hand(action: Action, manifest: Option<&Manifest>) -> &'static str {
    // A manifest need not declare the schedule type; what is not known to be recurring may run at once.
    let schedule_type =
        manifest.and_then(|manifest| manifest.spec.get("scheduleType")).and_then(Value::as_str);
    let may_run_at_once = schedule_type.is_none() || normalise::is_run_once(schedule_type);
    match action {
        Action::Create => {
            "check first that the job was not renamed in the console; if it was, bind it with `metadata.id`; \
             if it was not, make it there"
        }
        Action::Enable if may_run_at_once => {
            "do it in the console; enabling it in the console starts an On-demand job at that moment"
        }
        Action::Enable
        | Action::Disable
        | Action::Delete
        | Action::Update
        | Action::Blocked
        | Action::Held => "do it in the console; updates are carried out",
    }
}

/// How often a write that was turned away by the rate limit is made anew, each time from a fresh read.
///
/// Each read waits for as long as the gateway asks, so this bounds refusals in a row, not time.
const MOST_THROTTLED_TRIES: usize = 5;

/// One update and all it needs.
struct Update<'a> {
    change: &'a Change,
    basis: &'a Basis,
    id: &'a str,
    manifest: &'a Manifest,
    scripts: &'a Scripts,
    envelope: Envelope,
    interrupt: &'a Interrupt,
}

impl Update<'_> {
    async fn carry_out<A: WriteApi>(&self, api: &A) -> Outcome {
        for _ in 0..MOST_THROTTLED_TRIES {
            // Also here: a write that was turned away goes on with a read that may wait for an hour.
            if self.interrupt.is_asked() {
                return interrupted();
            }
            let fresh = match self.read(api).await {
                Ok(job) => job,
                Err(outcome) => return outcome.helped("nothing was written"),
            };
            let body = match self.body(&fresh) {
                Ok(body) => body,
                Err(outcome) => return outcome,
            };
            if self.interrupt.is_asked() {
                return interrupted();
            }
            *self.interrupt.lock() = Some(self.change.key.clone());
            return match api.update_job(self.id, &body).await {
                // The answer may be an echo of the request (REFERENCE 9), so only a read of its own proves anything.
                Ok(_) => self.read_back(&fresh, api).await,
                // Nothing was done. The wait is sat out by the next read, so that what is compared is never old.
                Err(WriteError::Throttled { .. }) => {
                    *self.interrupt.lock() = None;
                    continue;
                }
                Err(error @ (WriteError::NotSent(_) | WriteError::Refused(_))) => Outcome {
                    error: chain(&error),
                    help: Some(self.refused_help(&error, &fresh)),
                    ..Outcome::plain(OutcomeKind::Failed)
                },
                Err(error @ WriteError::Unclear(_)) => self.settle(&fresh, api, &error).await,
            };
        }
        Outcome::said(OutcomeKind::Failed, "the gateway's rate limit turned the write away every time")
            .helped("nothing was written; run it again later")
    }

    /// What to do about a write that was not done.
    fn refused_help(&self, error: &WriteError, before: &LiveJob) -> String {
        // What a login may do is told by the error; any other refusal may be about the state of the job.
        let may_be_about_the_job = matches!(error, WriteError::Refused(ApiError::Call { .. }));
        if may_be_about_the_job && normalise::is_armed(before.normalised.text("status")) {
            return "nothing was written; if the server does not let an Enabled job be edited, disable it in the \
                    console, apply again, enable it"
                .to_owned();
        }
        error.help()
    }

    async fn read_back<A: WriteApi>(&self, before: &LiveJob, api: &A) -> Outcome {
        match self.read(api).await {
            Ok(now) if self.may_be_old(before, &now) => {
                let words = "the answer may be an old copy: who and when of the last edit have not moved";
                Outcome { edit: Some(now.last_edit()), ..Outcome::said(OutcomeKind::Unsettled, words) }
                    .helped("run plan in a few minutes")
            }
            Ok(now) => Outcome { read_back: Some(now.raw.clone()), ..self.judge(before, &now) },
            Err(outcome) => Outcome {
                kind: OutcomeKind::Unsettled,
                help: Some("the change was sent and accepted; run plan to see whether it holds".to_owned()),
                ..outcome
            },
        }
    }

    /// Whether a read after a write can not be told from one before it: the server answers from copies that lag.
    fn may_be_old(&self, before: &LiveJob, now: &LiveJob) -> bool {
        let moved = crate::diff::diff(&before.normalised, &now.normalised);
        now.last_edit() == before.last_edit()
            && now.stamp != self.stamp()
            // Damage is told whatever the bookkeeping says; a status moves by itself.
            && moved.iter().all(|field| field.pointer == "/status")
    }

    /// The stamp that the write leaves.
    fn stamp(&self) -> Found {
        stamp::split(&self.basis.description).1
    }

    /// A write whose answer was lost took effect if its stamp is there now, and was not there before.
    ///
    /// One read that shows the former job proves nothing, because the answer may be an old copy.
    async fn settle<A: WriteApi>(&self, before: &LiveJob, api: &A, error: &WriteError) -> Outcome {
        let unsettled = |help: &str| {
            Outcome { error: chain(error), ..Outcome::plain(OutcomeKind::Unsettled) }.helped(help)
        };
        match self.read(api).await {
            Ok(now) => {
                let is_stamped = now.stamp == self.stamp();
                // Where the same stamp was there before, only what moved since can tell.
                let stamp_tells = before.stamp != self.stamp();
                let is_edited = now.last_edit() != before.last_edit();
                let is_as_before = verify::moved(self.change, self.basis, &now.normalised).is_empty();
                if is_as_before && !(is_stamped && (stamp_tells || is_edited)) {
                    return unsettled("read back: not there, or not yet; run plan before applying again");
                }
                let judged = is_stamped.then(|| self.judge(before, &now));
                match judged {
                    Some(outcome) if stamp_tells || outcome.kind != OutcomeKind::NotConverged => {
                        let is_good = outcome.kind == OutcomeKind::Applied;
                        let note = is_good.then(|| "the answer was lost; confirmed by reading".to_owned());
                        let notes = note.into_iter().collect();
                        Outcome { notes, read_back: Some(now.raw.clone()), ..outcome }
                    }
                    Some(_) | None => unsettled(
                        "the job is neither what it was nor what it should be; run plan and look at it",
                    ),
                }
            }
            Err(_) => unsettled("it could not be read back either; run plan to see whether it took effect"),
        }
    }

    async fn read<A: WriteApi>(&self, api: &A) -> Result<LiveJob, Outcome> {
        match api.get_job(self.id).await {
            Ok(Some(raw)) => Ok(LiveJob::new(raw)),
            Ok(None) => Err(Outcome::said(OutcomeKind::Stale, format!("the live job {} is gone", self.id))),
            Err(error) => Err(Outcome {
                error: chain(&error),
                help: Some(error.help()),
                ..Outcome::plain(OutcomeKind::Failed)
            }),
        }
    }

    /// The body to send, made from the job as it is now; it must be the one that the plan showed.
    #[expect(clippy::result_large_err, reason = "once per step, and the outcome is returned as it is")]
    fn body(&self, fresh: &LiveJob) -> Result<Value, Outcome> {
        let edit = fresh.last_edit();
        let description = fresh.raw.get("description").and_then(Value::as_str).unwrap_or_default();
        if let Some(owner) = stamp::owners(description).find(|owner| *owner != self.basis.owner) {
            let words = format!("the job was taken over by `{owner}` since the plan");
            return Err(Outcome { edit: Some(edit), ..Outcome::said(OutcomeKind::Stale, words) });
        }
        if fresh.raw.pointer("/deletedBy/date").is_some_and(|date| !date.is_null()) {
            let words = "the job was deleted since the plan";
            return Err(Outcome { edit: Some(edit), ..Outcome::said(OutcomeKind::Stale, words) });
        }
        let moved = verify::moved(self.change, self.basis, &fresh.normalised);
        if !moved.is_empty() {
            let left = crate::diff::diff(
                &fresh.normalised,
                &overlay::overlay(&self.manifest.spec, &fresh.normalised, true).desired,
            );
            let sets_scripts =
                self.change.fields.iter().any(|field| crate::script::declared_digest(&field.after).is_some());
            if left.is_empty() && !sets_scripts {
                return Err(Outcome::plain(OutcomeKind::Unchanged));
            }
            let words = "the job is not what the plan saw";
            let outcome =
                Outcome { fields: moved, edit: Some(edit), ..Outcome::said(OutcomeKind::Stale, words) };
            return Err(outcome.helped("nothing was written; run plan again and look at what moved"));
        }
        let fields: Vec<FieldChange> = self
            .change
            .fields
            .iter()
            .map(|field| FieldChange {
                pointer: field.path.clone(),
                before: field.before.clone(),
                after: field.after.clone(),
            })
            .collect();
        let body = patch::update(
            self.envelope,
            patch::Update {
                raw: &fresh.raw,
                live: &self.basis.live,
                desired: &self.basis.desired,
                fields: &fields,
                description: Some(&self.basis.description),
            },
        );
        let shown = self.change.request.as_ref().map(|request| &request.body);
        if self.envelope == Envelope::Minimal && shown != Some(&body) {
            let words = "the request would not be the one that the plan showed";
            return Err(Outcome { edit: Some(edit), ..Outcome::said(OutcomeKind::Stale, words) }
                .helped("nothing was written; run plan again"));
        }
        patch::with_contents(&body, self.scripts).map_err(|digest| {
            Outcome::said(OutcomeKind::Failed, format!("internal error: no script has the digest {digest}"))
                .helped("please report this; nothing was written")
        })
    }

    fn judge(&self, before: &LiveJob, now: &LiveJob) -> Outcome {
        let settled = verify::settled(&self.manifest.spec, self.basis, &before.normalised, &now.normalised);
        let edit = Some(now.last_edit());
        if !settled.collateral.is_empty() {
            let words =
                "the write changed members that were not sent, or somebody edited the job at the same time";
            let help = format!(
                "scripts that are gone can only be put back from Git; look at job {}; no further job was written to; \
                 if this server replaces jobs set `updates: full`",
                self.id
            );
            // What was declared and is gone belongs to the damage, told in the same direction: as it was, as it is.
            let lost = settled.not_converged.into_iter().map(|field| FieldChange {
                pointer: field.pointer,
                before: field.after,
                after: field.before,
            });
            let mut fields = settled.collateral;
            fields.extend(lost);
            return Outcome { fields, edit, ..Outcome::said(OutcomeKind::Collateral, words) }.helped(help);
        }
        if !settled.not_converged.is_empty() {
            let words = "the server accepted the change and kept other values";
            let help = "read back are the values on the left, sent were those on the right";
            return Outcome {
                fields: settled.not_converged,
                edit,
                ..Outcome::said(OutcomeKind::NotConverged, words)
            }
            .helped(help);
        }
        Outcome::plain(OutcomeKind::Applied)
    }
}

/// An error and its causes, outermost first.
pub fn chain(error: &dyn std::error::Error) -> Vec<String> {
    let mut lines = vec![error.to_string()];
    let mut source = error.source();
    while let Some(cause) = source {
        lines.push(cause.to_string());
        source = cause.source();
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn enabling_by_hand_is_warned_of_where_the_job_may_run_at_once() {
        assert!(by_hand(Action::Enable, None).contains("starts an On-demand job at that moment"));
        assert!(!by_hand(Action::Disable, None).contains("starts"));
        assert!(by_hand(Action::Create, None).starts_with("check first that the job was not renamed"));
    }
}
