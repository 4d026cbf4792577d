//! Arming and disarming a job, through the bulk call; each id is judged by its own result.

use serde_json::{Value, json};

use super::once_more::{self, Lost};
use super::read::{self, Settling};
use super::results::{self, JobResult};
use super::send::{self, Noting, Target};
use super::update::refused;
use super::{MOST_THROTTLED_TRIES, Run, chain, interrupted, throttled};
use crate::api::{WriteApi, WriteError};
use crate::diff::FieldChange;
use crate::job::SettableStatus;
use crate::normalise::{self, Normalised};
use crate::plan::{Change, Outcome, OutcomeKind};
use crate::snapshot::LiveJob;
use crate::verify;

/// One change of a status and all it needs.
pub(super) struct Status<'a, A> {
    pub(super) run: Run<'a, A>,
    pub(super) change: &'a Change,
    pub(super) id: &'a str,
    pub(super) status: SettableStatus,
    /// The job as the plan saw it, or as an earlier step of this run left it.
    pub(super) expected: &'a Normalised,
}

/// The rate limit turned a call away; nothing was done.
pub(super) struct Throttled;

impl<A: WriteApi> Status<'_, A> {
    pub(super) async fn carry_out(&self) -> Outcome {
        let status = self.status;
        for _ in 0..MOST_THROTTLED_TRIES {
            if self.run.interrupt.is_asked() {
                return interrupted();
            }
            let fresh = match read::job(self.run, self.id).await {
                Ok(job) => job,
                Err(outcome) => return outcome.helped("nothing was written"),
            };
            if let Some(outcome) = self.obstacle(status, &fresh) {
                return outcome;
            }
            if self.run.interrupt.is_asked() {
                return interrupted();
            }
            let target = Target { change: self.change, id: self.id, before: &fresh };
            match switch(self.run, target, status, Noting::Must).await {
                Err(Throttled) => self.run.interrupt.rest(),
                Ok(outcome) => return outcome,
            }
        }
        throttled()
    }

    /// Why nothing is sent.
    fn obstacle(&self, status: SettableStatus, fresh: &LiveJob) -> Option<Outcome> {
        if let Some(basis) = &self.change.basis
            && let Some(outcome) = read::taken_away(fresh, &basis.owner)
        {
            return Some(outcome);
        }
        if is_status(&fresh.normalised, status) {
            return Some(Outcome::plain(OutcomeKind::Unchanged));
        }
        let mut moved = verify::moved_at_all(self.expected, &fresh.normalised);
        if status == SettableStatus::Disabled {
            // To disarm a job is right whatever it does, as long as it is this job and can be armed again.
            moved.retain(|field| {
                ["/name", "/type", "/platform", "/scheduleType"].contains(&field.pointer.as_str())
            });
        }
        if !moved.is_empty() {
            let words = "the job is not what the plan saw";
            let edit = Some(fresh.last_edit());
            let outcome = Outcome { fields: moved, edit, ..Outcome::said(OutcomeKind::Stale, words) };
            return Some(outcome.helped("nothing was written; run plan again and look at what moved"));
        }
        let is_allowed = self.run.allow_run_once.contains(&self.change.key);
        if !normalise::is_recurring(fresh.normalised.schedule_type()) && !is_allowed {
            let words = "a job that runs once is armed only where that was allowed by name";
            let help = format!("allow it with --allow-run-once {}", self.change.key);
            return Some(Outcome::said(OutcomeKind::Blocked, words).helped(help));
        }
        None
    }
}

/// Sends one change of a status and settles it.
pub(super) async fn switch<A: WriteApi>(
    run: Run<'_, A>,
    target: Target<'_>,
    status: SettableStatus,
    noting: Noting,
) -> Result<Outcome, Throttled> {
    let Target { id, before, .. } = target;
    let unclear = match send::set_status(run, target, status, noting).await {
        Ok(answer) => match results::of_job(&answer, id) {
            JobResult::Success => {
                return Ok(read_back(run, id, status, before, Vec::new()).await.left_at_that());
            }
            JobResult::Failure(words) => {
                let error = vec!["the API refused it for this job".to_owned(), words];
                return Ok(
                    Outcome { error, ..Outcome::plain(OutcomeKind::Failed) }.helped("nothing was written")
                );
            }
            JobResult::Unknown(words) => vec![words],
        },
        Err(WriteError::Throttled { .. }) => return Err(Throttled),
        Err(error @ (WriteError::NotSent(_) | WriteError::Refused(_) | WriteError::NotNoted(_))) => {
            return Ok(refused(&error));
        }
        Err(error @ WriteError::Unclear(_)) => chain(&error),
    };
    let now = match read_back(run, id, status, before, unclear.clone()).await {
        Lost::Told(outcome) => return Ok(outcome),
        Lost::AsBefore(now, outcome) => {
            if !may_be_sent_twice(status, &now) || !once_more::may_be_sent(run, before, &now) {
                return Ok(outcome);
            }
            now
        }
    };
    let second = match send::set_status(run, Target { before: &now, ..target }, status, noting).await {
        Ok(answer) => match results::of_job(&answer, id) {
            JobResult::Success => Vec::new(),
            JobResult::Failure(words) | JobResult::Unknown(words) => vec![words],
        },
        Err(error) => chain(&error),
    };
    Ok(read_back(run, id, status, &now, once_more::both(unclear, second)).await.after_both())
}

/// Whether the same change of a status twice is as good as once: a job that runs once might start twice.
fn may_be_sent_twice(status: SettableStatus, job: &LiveJob) -> bool {
    match status {
        SettableStatus::Enabled => normalise::is_recurring(job.normalised.schedule_type()),
        SettableStatus::Disabled => true,
    }
}

/// Reads the job after the call, again while the status has not moved; `unclear` is why the answer proves nothing.
async fn read_back<A: WriteApi>(
    run: Run<'_, A>,
    id: &str,
    status: SettableStatus,
    before: &LiveJob,
    unclear: Vec<String>,
) -> Lost {
    let mut settling = Settling::begin(run);
    loop {
        let now =
            match read::job(run, id).await {
                Ok(now) => now,
                Err(outcome) => {
                    let error = unclear.into_iter().chain(outcome.error).collect();
                    return Lost::Told(Outcome { error, ..Outcome::plain(OutcomeKind::Unsettled) }.helped(
                        "it was sent, and the job could not be read back; run plan to see its status",
                    ));
                }
            };
        if is_status(&now.normalised, status) {
            let note = "the answer did not say so; confirmed by reading".to_owned();
            let mut notes: Vec<String> = (!unclear.is_empty()).then_some(note).into_iter().collect();
            notes.extend(moved_meanwhile(before, &now));
            let read_back = Some(now.raw);
            return Lost::Told(Outcome { notes, read_back, ..Outcome::plain(OutcomeKind::Applied) });
        }
        if settling.wait(run).await {
            continue;
        }
        let edit = Some(now.last_edit());
        let is_edited = now.last_edit() != before.last_edit();
        if unclear.is_empty() && is_edited {
            let words = "the server accepted the new status and kept the former one";
            return Lost::Told(Outcome {
                fields: verify::status_is_not(&now.normalised, status.as_str()),
                sent: Some(json!({"status": status.as_str()})),
                edit,
                read_back: Some(now.raw),
                ..Outcome::said(OutcomeKind::NotConverged, words)
            });
        }
        let error = if unclear.is_empty() {
            vec!["the server accepted the new status and does not show it".to_owned()]
        } else {
            unclear
        };
        let outcome = Outcome { error, edit, ..Outcome::plain(OutcomeKind::Unsettled) }
            .helped("the status has not moved, or not yet; run plan before applying again");
        return Lost::AsBefore(now, outcome);
    }
}

/// Whether a job has the status asked for; whatever is not `Disabled` is armed or was.
fn is_status(job: &Normalised, status: SettableStatus) -> bool {
    let text = job.text("status");
    match status {
        SettableStatus::Enabled => normalise::is_armed(text),
        // A status that can not be read is not known to be disarmed.
        SettableStatus::Disabled => text.is_some() && !normalise::is_armed(text),
    }
}

/// A call about the status must not change anything else; what did is told, because somebody may have edited the job.
fn moved_meanwhile(before: &LiveJob, now: &LiveJob) -> Option<String> {
    let moved = verify::moved_at_all(&before.normalised, &now.normalised);
    let names: Vec<&str> =
        moved.iter().map(|field: &FieldChange| field.pointer.trim_start_matches('/')).collect();
    (!names.is_empty()).then(|| format!("changed at the same time: {}; run plan to see it", names.join(", ")))
}

/// The text of a job's status, for messages.
pub(super) fn words(job: &Value) -> &str {
    job.get("status").and_then(Value::as_str).unwrap_or("unknown")
}
