//! Editing a job that the API does not let be edited while it is Enabled: disable, edit, enable (DESIGN 6).
//!
//! Only where the manifest wants the job Enabled anyway, the refused edit changed nothing, and the next run is far
//! enough away. Once the job is disabled everything is done to leave it armed again, unless its content is not right:
//! a job that is off is found by the next run, one that is armed with the wrong content reboots servers.

use serde_json::Value;

use super::lists::Lists;
use super::read;
use super::send::{self, Body, Noting};
use super::status::{Throttled, switch, words};
use super::update::{Update, refused};
use super::{MOST_THROTTLED_TRIES, chain, throttled};
use crate::api::{WriteApi, WriteError};
use crate::diff::FieldChange;
use crate::job::{SettableStatus, rules};
use crate::normalise;
use crate::plan::{Outcome, OutcomeKind};
use crate::snapshot::LiveJob;
use crate::verify;

/// How far the next run must be away, in milliseconds: agents are given their jobs about 3 hours before (REFERENCE 8).
const SAFE_DISTANCE_MS: i64 = 4 * 60 * 60 * 1_000;

/// Carries out an edit that was refused because the job is armed; `before` is the job that was read just before it.
pub(super) async fn edit<A: WriteApi>(
    update: &Update<'_, A>,
    before: &LiveJob,
    body: &Body,
    error: &WriteError,
    lists: &mut Lists,
) -> Outcome {
    let run = update.run;
    let blocked = |words: String| {
        let error = chain(error).into_iter().chain([words]).collect();
        Outcome { error, ..Outcome::plain(OutcomeKind::Blocked) }
    };
    if !normalise::is_recurring(before.normalised.schedule_type()) {
        return refused(error);
    }
    let status = words(&before.raw);
    let declared = update.basis.declared.get("status").and_then(Value::as_str);
    if declared == Some(SettableStatus::Disabled.as_str()) {
        let reason =
            format!("it may be because the job is {status}; the manifest disarms it in a step of its own");
        return blocked(reason).helped("nothing was written; apply again once it is Disabled");
    }
    if !normalise::is_armed(declared) {
        let reason =
            format!("it may be because the job is {status}; the manifest does not declare its status");
        return blocked(reason).helped(
            "nothing was written; declare `status: Enabled` and apply disables, edits and enables it, or disable it first",
        );
    }
    // The server arms no job that lacks this (REFERENCE 8), though it may have let one be emptied while it was armed.
    if let Some(missing) = rules::check_enabling(update.basis.desired.members()).first() {
        let words = format!("once disabled it could not be enabled again: {}", missing.message);
        return blocked(words).helped(format!("nothing was written; {}", missing.help));
    }
    let unchanged = match read::job(run, update.id).await {
        Ok(now) => now,
        Err(outcome) => {
            let error = chain(error).into_iter().chain(outcome.error).collect();
            return Outcome { error, ..Outcome::plain(OutcomeKind::Unsettled) }.helped(
                "the edit was refused, and the job could not be read afterwards; run plan to see that it is as it was",
            );
        }
    };
    let moved = crate::diff::diff(&before.normalised, &unchanged.normalised);
    if !moved.is_empty() || unchanged.stamp != before.stamp {
        let error = chain(error).into_iter().chain(["the job changed all the same".to_owned()]).collect();
        let edit = Some(unchanged.last_edit());
        let fields = moved.into_iter().map(FieldChange::turned).collect();
        return Outcome { error, fields, edit, ..Outcome::plain(OutcomeKind::NotConverged) }
            .helped("run plan again and look at what moved");
    }
    if let Some(words) = too_near(update, lists).await {
        return blocked(words)
            .helped("nothing was written; apply again after the run, or disable the job first");
    }
    let disabled = match switch_patiently(update, SettableStatus::Disabled, unchanged).await {
        Ok(job) => job,
        Err(outcome) if outcome.kind == OutcomeKind::Failed => {
            let words = outcome.error.join(": ");
            return blocked(format!("to disable it first did not work either: {words}"))
                .helped("nothing was written");
        }
        Err(outcome) => {
            let words = "the API does not let it be edited while it is Enabled; disabling it is not settled";
            let error = std::iter::once(words.to_owned()).chain(outcome.error.clone()).collect();
            return Outcome { error, ..outcome };
        }
    };
    let outcome = edit_disabled(update, &disabled, before, body).await;
    let is_done = outcome.kind == OutcomeKind::Applied;
    // Refused, so its content is what it was armed with before. One that somebody edited meanwhile is not armed again:
    // nobody has seen that content in a plan, and it may be a job that runs once now.
    let is_untouched = outcome.kind == OutcomeKind::Failed;
    if !is_done && !is_untouched {
        let note = "left Disabled: it is not armed with content that is not as declared, or not as planned"
            .to_owned();
        // The status was written, so it is more than a step that found something else than the plan saw.
        let outcome = if outcome.kind == OutcomeKind::Stale { off_and_edited(outcome) } else { outcome };
        return Outcome { notes: outcome.notes.iter().cloned().chain([note]).collect(), ..outcome };
    }
    let edited = outcome.read_back.clone().map_or(disabled, LiveJob::new);
    match switch_patiently(update, SettableStatus::Enabled, edited).await {
        Ok(job) => {
            let note = if is_done {
                "disabled, edited and enabled again: the API does not let this job be edited while it is Enabled"
            } else {
                "disabled and enabled again; this edit was not carried out"
            };
            let notes = outcome.notes.iter().cloned().chain([note.to_owned()]).collect();
            Outcome { notes, read_back: Some(job.raw), ..outcome }
        }
        Err(failure) => {
            let state = if is_done { "edited as declared" } else { "not edited" };
            let words = format!("{state}, and left Disabled: it could not be enabled again");
            let error = std::iter::once(words).chain(outcome.error).chain(failure.error).collect();
            let job = failure.read_back.or(outcome.read_back);
            let now = job.clone().map(LiveJob::new);
            let fields = now.map(|now| verify::status_is_not(&now.normalised, "Enabled")).unwrap_or_default();
            let sent = Some(serde_json::json!({"status": "Enabled"}));
            Outcome { error, fields, sent, read_back: job, ..Outcome::plain(OutcomeKind::NotConverged) }
                .helped("this job does not run until it is enabled; the next apply enables it")
        }
    }
}

/// An edit that was not carried out, of a job whose status was written: its members are told as those of one that is
/// not as it should be.
fn off_and_edited(outcome: Outcome) -> Outcome {
    let fields = outcome.fields.into_iter().map(FieldChange::turned).collect();
    Outcome { kind: OutcomeKind::NotConverged, fields, ..outcome }
}

/// Sends the edit to the job that is disabled now.
async fn edit_disabled<A: WriteApi>(
    update: &Update<'_, A>,
    disabled: &LiveJob,
    before: &LiveJob,
    body: &Body,
) -> Outcome {
    if let Some(outcome) = edited_meanwhile(before, disabled) {
        return outcome;
    }
    let mut body = body.clone();
    // A whole job carries its status; a server that heeds it there must not arm the job before its content is right.
    for status in [&mut body.shown, &mut body.sent].into_iter().filter_map(|body| body.get_mut("status")) {
        *status = SettableStatus::Disabled.as_str().into();
    }
    for _ in 0..MOST_THROTTLED_TRIES {
        return match send::update(update.run, update.target(disabled), update.basis, &body).await {
            Ok(_) => update.read_back(disabled, &body).await,
            // Nothing was done; the read sits the wait out, and finds who used it.
            Err(WriteError::Throttled { .. }) => match read::job(update.run, update.id).await {
                Ok(now) => match edited_meanwhile(disabled, &now) {
                    Some(outcome) => outcome,
                    None => continue,
                },
                Err(outcome) => outcome,
            },
            Err(error @ (WriteError::NotSent(_) | WriteError::Refused(_) | WriteError::NotNoted(_))) => {
                refused(&error)
            }
            Err(error @ WriteError::Unclear(_)) => {
                update.settle(disabled, &error, |_| Ok(body.clone())).await
            }
        };
    }
    throttled()
}

/// What becomes of an edit of a job that somebody else edits as well.
fn edited_meanwhile(before: &LiveJob, now: &LiveJob) -> Option<Outcome> {
    let fields = verify::moved_at_all(&before.normalised, &now.normalised);
    if fields.is_empty() {
        return None;
    }
    let words = "the job was edited by somebody else at the same time";
    let outcome = Outcome { fields, edit: Some(now.last_edit()), ..Outcome::said(OutcomeKind::Stale, words) };
    Some(outcome.helped("run plan again and look at what moved"))
}

/// Changes the status; where the rate limit turns the call away, again after a read that sits the wait out.
async fn switch_patiently<A: WriteApi>(
    update: &Update<'_, A>,
    status: SettableStatus,
    mut before: LiveJob,
) -> Result<LiveJob, Outcome> {
    let (run, id) = (update.run, update.id);
    // A job that was disabled for its edit must not stay so because of a full disk.
    let noting = if status == SettableStatus::Enabled { Noting::May } else { Noting::Must };
    for _ in 0..MOST_THROTTLED_TRIES {
        match switch(run, update.target(&before), status, noting).await {
            Err(Throttled) => {
                // The wait may have been long, and what is armed must be what was looked at.
                let now = read::job(run, id).await?;
                let moved = verify::moved_at_all(&before.normalised, &now.normalised);
                if !moved.is_empty() {
                    let words = "the job was edited by somebody else at the same time";
                    let edit = Some(now.last_edit());
                    return Err(Outcome { fields: moved, edit, ..Outcome::said(OutcomeKind::Stale, words) });
                }
                before = now;
            }
            Ok(outcome) => {
                return match (outcome.kind, &outcome.read_back) {
                    (OutcomeKind::Applied, Some(job)) => Ok(LiveJob::new(job.clone())),
                    _ => Err(outcome),
                };
            }
        }
    }
    Err(throttled())
}

/// Why the job's next run is too near to disable it now; the list alone says when it runs (REFERENCE 6).
async fn too_near<A: WriteApi>(update: &Update<'_, A>, lists: &mut Lists) -> Option<String> {
    let run = update.run;
    let unknown = Some("when the job runs next is not known, so it is not disabled for the edit".to_owned());
    let Some(platform) = update.change.platform else { return unknown };
    lists.forget(platform);
    let Ok(rows) = lists.of(platform, run.api).await else { return unknown };
    let next = rows.iter().find(|row| row.id == update.id).and_then(|row| row.next_run_at);
    let Some(next) = next else { return unknown };
    let away = next - (run.now)();
    if away > SAFE_DISTANCE_MS {
        return None;
    }
    if away < 0 {
        return unknown;
    }
    let at = jiff::Timestamp::from_millisecond(next).ok();
    let at = at.map_or(String::new(), |at| format!(" on {}", at.strftime("%Y-%m-%d at %H:%M UTC")));
    Some(format!(
        "the job runs next{at}, less than 4 hours from now: agents may have their orders already, so it is not disabled \
         for the edit"
    ))
}
