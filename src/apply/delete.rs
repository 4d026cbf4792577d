//! Removing a job.

use super::lists::Lists;
use super::once_more::{self, Lost};
use super::read::{self, Settling};
use super::results::{self, JobResult};
use super::send::{self, Target};
use super::update::refused;
use super::{MOST_THROTTLED_TRIES, Run, chain, interrupted, is_deleted, throttled};
use crate::api::{WriteApi, WriteError};
use crate::plan::{Basis, Change, Outcome, OutcomeKind, dependent};
use crate::snapshot::LiveJob;
use crate::stamp::Found;

/// One removal and all it needs.
pub(super) struct Delete<'a, A> {
    pub(super) run: Run<'a, A>,
    pub(super) change: &'a Change,
    pub(super) basis: &'a Basis,
    pub(super) id: &'a str,
}

impl<A: WriteApi> Delete<'_, A> {
    pub(super) async fn carry_out(&self, lists: &mut Lists) -> Outcome {
        let interrupt = self.run.interrupt;
        for _ in 0..MOST_THROTTLED_TRIES {
            if interrupt.is_asked() {
                return interrupted();
            }
            let fresh = match self.run.api.get_job(self.id).await {
                Ok(Some(raw)) => LiveJob::new(raw),
                Ok(None) => return gone(),
                Err(error) => {
                    return Outcome { error: chain(&error), ..Outcome::plain(OutcomeKind::Failed) }
                        .helped(format!("{}; nothing was written", error.help()));
                }
            };
            if is_deleted(&fresh.raw) {
                return gone();
            }
            if let Some(outcome) = self.obstacle(&fresh) {
                return outcome;
            }
            let waited = self.run.api.waited();
            if let Some(outcome) = self.child(lists).await {
                return outcome;
            }
            // The list may have waited for long; then the job is read anew, and the list is there.
            if self.run.api.waited() != waited {
                continue;
            }
            if interrupt.is_asked() {
                return interrupted();
            }
            let target = Target { change: self.change, id: self.id, before: &fresh };
            let outcome = match send::delete(self.run, target).await {
                Ok(answer) => match results::of_job(&answer, self.id) {
                    JobResult::Success => self.read_back(Vec::new()).await.left_at_that(),
                    JobResult::Failure(words) => Outcome {
                        error: vec!["the API refused to remove this job".to_owned(), words],
                        ..Outcome::plain(OutcomeKind::Failed)
                    }
                    .helped("nothing was written"),
                    JobResult::Unknown(words) => self.settle(&fresh, vec![words], lists).await,
                },
                Err(WriteError::Throttled { .. }) => {
                    interrupt.rest();
                    continue;
                }
                Err(error @ (WriteError::NotSent(_) | WriteError::Refused(_) | WriteError::NotNoted(_))) => {
                    refused(&error)
                }
                Err(error @ WriteError::Unclear(_)) => self.settle(&fresh, chain(&error), lists).await,
            };
            if outcome.kind == OutcomeKind::Applied {
                lists.drop_job(self.id);
            }
            return outcome;
        }
        throttled()
    }

    /// Why the job as it is now is not the one that was to be removed.
    fn obstacle(&self, fresh: &LiveJob) -> Option<Outcome> {
        if let Some(outcome) = read::taken_away(fresh, &self.basis.owner) {
            return Some(outcome);
        }
        let moved = crate::diff::diff(&self.basis.live, &fresh.normalised);
        let is_stamped =
            self.basis.description.is_none() || fresh.stamp == Found::Stamp(self.basis.stamp.clone());
        if moved.is_empty() && is_stamped {
            return None;
        }
        let words = if is_stamped {
            "the job is not what the plan saw"
        } else {
            "the job's stamp is not what the plan saw"
        };
        let edit = Some(fresh.last_edit());
        let outcome = Outcome { fields: moved, edit, ..Outcome::said(OutcomeKind::Stale, words) };
        Some(outcome.helped("nothing was written; run plan again and look at what moved"))
    }

    /// A job that was linked to this one since the plan, also one that this login does not see and the API counts.
    async fn child(&self, lists: &mut Lists) -> Option<Outcome> {
        let platform = self.change.platform?;
        match lists.of(platform, self.run.api).await {
            Ok(rows) => {
                // What went before it in this run is in the list no more.
                let (words, _) = dependent(self.id, rows, &|_| false)?;
                let outcome = Outcome::said(OutcomeKind::Stale, words);
                Some(outcome.helped("nothing was written; run plan again"))
            }
            Err(error) => Some(
                Outcome { error: chain(&error), ..Outcome::plain(OutcomeKind::Failed) }
                    .helped(format!("{}; nothing was written", error.help())),
            ),
        }
    }

    /// Settles a removal whose answer was lost by reading. Where the job is still exactly as it was, and may still go, it
    /// is sent once more.
    async fn settle(&self, before: &LiveJob, unclear: Vec<String>, lists: &mut Lists) -> Outcome {
        let now = match self.read_back(unclear.clone()).await {
            Lost::Told(outcome) => return outcome,
            Lost::AsBefore(now, outcome) if !once_more::may_be_sent(self.run, before, &now) => {
                return outcome;
            }
            Lost::AsBefore(now, _) => now,
        };
        // The waits may have been long: whoever was linked to it meanwhile is found in a new list.
        if let Some(platform) = self.change.platform {
            lists.forget(platform);
        }
        let waited = self.run.api.waited();
        let guard = match self.obstacle(&now) {
            Some(outcome) => Some(outcome),
            None => self.child(lists).await,
        };
        let guard = guard.or_else(|| {
            let words = "the rate limit made the run wait before it could be sent again";
            (self.run.api.waited() != waited).then(|| Outcome::said(OutcomeKind::Unsettled, words))
        });
        if let Some(guard) = guard {
            return once_more::not_sent(unclear, guard);
        }
        if self.run.interrupt.is_asked() {
            return once_more::not_sent(unclear, interrupted());
        }
        let target = Target { change: self.change, id: self.id, before: &now };
        let second = match send::delete(self.run, target).await {
            Ok(answer) => match results::of_job(&answer, self.id) {
                JobResult::Success => Vec::new(),
                JobResult::Failure(words) | JobResult::Unknown(words) => vec![words],
            },
            Err(error) => chain(&error),
        };
        self.read_back(once_more::both(unclear, second)).await.after_both()
    }

    /// Reads the job after the call, again while it is still there; `unclear` is why the answer proves nothing.
    async fn read_back(&self, unclear: Vec<String>) -> Lost {
        let mut settling = Settling::begin(self.run);
        loop {
            match self.run.api.get_job(self.id).await {
                Ok(None) => return confirmed(&unclear),
                Ok(Some(job)) if is_deleted(&job) => return confirmed(&unclear),
                Ok(Some(_)) if settling.wait(self.run).await => {}
                Ok(Some(job)) => {
                    let error = if unclear.is_empty() {
                        vec!["the server accepted the removal and still shows the job".to_owned()]
                    } else {
                        unclear
                    };
                    let outcome = Outcome { error, ..Outcome::plain(OutcomeKind::Unsettled) }
                        .helped("the job is still there, or not gone yet; run plan before applying again");
                    return Lost::AsBefore(LiveJob::new(job), outcome);
                }
                Err(error) => {
                    let error = unclear.into_iter().chain(chain(&error)).collect();
                    let outcome = Outcome { error, ..Outcome::plain(OutcomeKind::Unsettled) };
                    return Lost::Told(outcome.helped(
                        "it was sent, and the job could not be read back; run plan to see whether it is gone",
                    ));
                }
            }
        }
    }
}

/// The job is gone; `unclear` is why the answer did not prove it.
fn confirmed(unclear: &[String]) -> Lost {
    let note = "the answer did not say so; confirmed by reading".to_owned();
    let notes = (!unclear.is_empty()).then_some(note).into_iter().collect();
    Lost::Told(Outcome { notes, ..Outcome::plain(OutcomeKind::Applied) })
}

fn gone() -> Outcome {
    Outcome { notes: vec!["the job was gone already".to_owned()], ..Outcome::plain(OutcomeKind::Unchanged) }
}
