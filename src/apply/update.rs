//! Changing members of a job.

use super::lists::Lists;
use super::once_more::{self, Lost};
use super::read::{self, Settling};
use super::send::{self, Body, Target};
use super::{MOST_THROTTLED_TRIES, Run, chain, interrupted, throttled, unlock};
use crate::api::{ApiError, WriteApi, WriteError};
use crate::diff::FieldChange;
use crate::normalise;
use crate::overlay;
use crate::patch::{self, Envelope};
use crate::plan::{Basis, Change, Outcome, OutcomeKind};
use crate::snapshot::LiveJob;
use crate::stamp::Found;
use crate::verify;

/// One update and all it needs.
pub(super) struct Update<'a, A> {
    pub(super) run: Run<'a, A>,
    pub(super) change: &'a Change,
    pub(super) basis: &'a Basis,
    pub(super) id: &'a str,
}

impl<A: WriteApi> Update<'_, A> {
    pub(super) async fn carry_out(&self, lists: &mut Lists) -> Outcome {
        let interrupt = self.run.interrupt;
        for _ in 0..MOST_THROTTLED_TRIES {
            // Also here: a write that was turned away goes on with a read that may wait for an hour.
            if interrupt.is_asked() {
                return interrupted();
            }
            let fresh = match read::job(self.run, self.id).await {
                Ok(job) => job,
                Err(outcome) => return outcome.helped("nothing was written"),
            };
            let body = match self.body(&fresh) {
                Ok(body) => body,
                Err(outcome) => return outcome,
            };
            if interrupt.is_asked() {
                return interrupted();
            }
            return match send::update(self.run, self.target(&fresh), self.basis, &body).await {
                // The answer may be an echo of the request (REFERENCE 9), so only a read of its own proves anything.
                Ok(_) => self.read_back(&fresh, &body).await,
                // Nothing was done. The wait is sat out by the next read, so that what is compared is never old.
                Err(WriteError::Throttled { .. }) => {
                    interrupt.rest();
                    continue;
                }
                // What a login may do is told by the error; any other refusal may be about the state of the job.
                Err(error @ WriteError::Refused(ApiError::Call { .. }))
                    if normalise::is_armed(fresh.normalised.text("status")) =>
                {
                    unlock::edit(self, &fresh, &body, &error, lists).await
                }
                Err(error @ (WriteError::NotSent(_) | WriteError::Refused(_) | WriteError::NotNoted(_))) => {
                    refused(&error)
                }
                Err(error @ WriteError::Unclear(_)) => {
                    self.settle(&fresh, &error, |now| self.body(now)).await
                }
            };
        }
        throttled()
    }

    /// The job, as it was read just before a write to it.
    pub(super) fn target<'t>(&'t self, before: &'t LiveJob) -> Target<'t> {
        Target { change: self.change, id: self.id, before }
    }

    /// Reads the job after a write, again while the answer may be an old copy.
    pub(super) async fn read_back(&self, before: &LiveJob, sent: &Body) -> Outcome {
        let mut settling = Settling::begin(self.run);
        loop {
            match read::job(self.run, self.id).await {
                Ok(now) if self.may_be_old(before, &now) => {
                    if !settling.wait(self.run).await {
                        let words =
                            "the answer may be an old copy: who and when of the last edit have not moved";
                        let edit = Some(now.last_edit());
                        return Outcome { edit, ..Outcome::said(OutcomeKind::Unsettled, words) }
                            .helped("run plan in a few minutes");
                    }
                }
                Ok(now) => {
                    let (read_back, sent) = (Some(now.raw.clone()), Some(sent.shown.clone()));
                    return Outcome { read_back, sent, ..self.judge(before, &now) };
                }
                Err(outcome) => {
                    let help = "the change was sent and accepted; run plan to see whether it holds";
                    return Outcome { kind: OutcomeKind::Unsettled, ..outcome }.helped(help);
                }
            }
        }
    }

    /// Whether a read after a write can not be told from one before it: the server answers from copies that lag.
    fn may_be_old(&self, before: &LiveJob, now: &LiveJob) -> bool {
        let moved = crate::diff::diff(&before.normalised, &now.normalised);
        now.last_edit() == before.last_edit()
            && !self.is_stamped(now)
            // Damage is told whatever the bookkeeping says; a status moves by itself.
            && moved.iter().all(|field| field.pointer == "/status")
    }

    /// Whether a job shows what only this write could have left: its stamp, or, where the record keeps that, all that
    /// was declared.
    fn is_stamped(&self, job: &LiveJob) -> bool {
        shows(self.basis, job)
    }

    /// Settles a write whose answer was lost by reading. Where it surely changed nothing that shows, it is sent once
    /// more, with the body that `again` makes from the job as it is now.
    pub(super) async fn settle(
        &self,
        before: &LiveJob,
        error: &WriteError,
        again: impl Fn(&LiveJob) -> Result<Body, Outcome>,
    ) -> Outcome {
        let first = chain(error);
        let now = match self.found(before, &first).await {
            Lost::Told(outcome) => return outcome,
            Lost::AsBefore(now, outcome) if !once_more::may_be_sent(self.run, before, &now) => {
                return outcome;
            }
            Lost::AsBefore(now, _) => now,
        };
        let body = match again(&now) {
            Ok(body) => body,
            Err(outcome) => return once_more::not_sent(first, outcome),
        };
        let sent = send::update(self.run, self.target(&now), self.basis, &body).await;
        let error = once_more::both(first, sent.err().map(|error| chain(&error)).unwrap_or_default());
        let outcome = self.found(&now, &error).await.after_both();
        Outcome { sent: Some(body.shown), ..outcome }
    }

    /// What reading tells of a write whose answer was lost: it took effect if its stamp is there now, and was not there
    /// before.
    ///
    /// One read that shows the former job proves nothing, because the answer may be an old copy.
    async fn found(&self, before: &LiveJob, error: &[String]) -> Lost {
        let unsettled = |help: &str| {
            Outcome { error: error.to_vec(), ..Outcome::plain(OutcomeKind::Unsettled) }.helped(help)
        };
        let mut settling = Settling::begin(self.run);
        loop {
            let Ok(now) = read::job(self.run, self.id).await else {
                let help = "it could not be read back either; run plan to see whether it took effect";
                return Lost::Told(unsettled(help));
            };
            let is_stamped = self.is_stamped(&now);
            // Where the same stamp was there before, only what moved since can tell.
            let stamp_tells = self.basis.description.is_some() && !self.is_stamped(before);
            let is_edited = now.last_edit() != before.last_edit();
            // Not with what the plan saw: a job that was disabled for this edit is not that any more. A status moves by
            // itself, and an older copy may still show the former one; only `may_be_sent` is as strict about it.
            let is_as_before = verify::moved(self.change, &before.normalised, &now.normalised)
                .iter()
                .all(|field| field.pointer == "/status");
            if is_as_before && !(is_stamped && (stamp_tells || is_edited)) {
                if settling.wait(self.run).await {
                    continue;
                }
                let help = "read back: not there, or not yet; run plan before applying again";
                return Lost::AsBefore(now, unsettled(help));
            }
            let judged = is_stamped.then(|| self.judge(before, &now));
            return Lost::Told(match judged {
                Some(outcome) if stamp_tells || outcome.kind != OutcomeKind::NotConverged => {
                    let is_good = outcome.kind == OutcomeKind::Applied;
                    let note = is_good.then(|| "the answer was lost; confirmed by reading".to_owned());
                    let notes = note.into_iter().chain(outcome.notes.clone()).collect();
                    Outcome { notes, read_back: Some(now.raw.clone()), ..outcome }
                }
                Some(_) | None => {
                    unsettled("the job is neither what it was nor what it should be; run plan and look at it")
                }
            });
        }
    }

    /// The body to send, made from the job as it is now; it must be the one that the plan showed.
    fn body(&self, fresh: &LiveJob) -> Result<Body, Outcome> {
        if let Some(outcome) = read::taken_away(fresh, &self.basis.owner) {
            return Err(outcome);
        }
        let edit = fresh.last_edit();
        let moved = verify::moved(self.change, &self.basis.live, &fresh.normalised);
        if !moved.is_empty() {
            let left = crate::diff::diff(
                &fresh.normalised,
                &overlay::overlay(&self.basis.declared, &fresh.normalised, true).desired,
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
            self.run.plan.envelope,
            patch::Update {
                raw: &fresh.raw,
                live: &self.basis.live,
                desired: &self.basis.desired,
                fields: &fields,
                description: self.basis.description.as_deref(),
            },
        );
        let shown = self.change.request.as_ref().map(|request| &request.body);
        if self.run.plan.envelope == Envelope::Minimal && shown != Some(&body) {
            let words = "the request would not be the one that the plan showed";
            return Err(Outcome { edit: Some(edit), ..Outcome::said(OutcomeKind::Stale, words) }
                .helped("nothing was written; run plan again"));
        }
        match patch::with_contents(&body, self.run.scripts) {
            Ok(sent) => Ok(Body { shown: patch::without_contents(&body), sent }),
            Err(digest) => {
                let words = format!("internal error: no script has the digest {digest}");
                Err(Outcome::said(OutcomeKind::Failed, words)
                    .helped("please report this; nothing was written"))
            }
        }
    }

    fn judge(&self, before: &LiveJob, now: &LiveJob) -> Outcome {
        let settled = verify::settled(self.basis, &before.normalised, &now.normalised);
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
            let lost = settled.not_converged.into_iter().map(FieldChange::turned);
            let mut fields = settled.collateral;
            fields.extend(lost);
            return Outcome { fields, edit, ..Outcome::said(OutcomeKind::Collateral, words) }.helped(help);
        }
        if !settled.not_converged.is_empty() {
            let words = "the server accepted the change and kept other values";
            let help = NOT_KEPT;
            return Outcome {
                fields: settled.not_converged,
                edit,
                ..Outcome::said(OutcomeKind::NotConverged, words)
            }
            .helped(help);
        }
        Outcome { notes: stamp_note(self.basis, now), ..Outcome::plain(OutcomeKind::Applied) }
    }
}

/// What to do about a value that a server does not keep.
pub(super) const NOT_KEPT: &str =
    "run plan to see what is left; where the server keeps a value of its own, declare that one";

/// A write that was not done, with what to do about it.
pub(super) fn refused(error: &WriteError) -> Outcome {
    Outcome { error: chain(error), ..Outcome::plain(OutcomeKind::Failed) }.helped(error.help())
}

/// Whether a job shows what only a write of ours could have left: its stamp, or, where the record keeps that, all that
/// was declared.
pub(super) fn shows(basis: &Basis, job: &LiveJob) -> bool {
    match basis.description {
        // What undoes the first apply takes the stamp away with it.
        Some(_) if basis.stamp.is_nothing() => {
            job.stamp == Found::None && verify::not_converged(basis, &job.normalised).is_empty()
        }
        Some(_) => job.stamp == Found::Stamp(basis.stamp.clone()),
        None => verify::not_converged(basis, &job.normalised).is_empty(),
    }
}

/// Says where the server did not keep the stamp: a warning, never a failed change (DESIGN 5).
pub(super) fn stamp_note(basis: &Basis, now: &LiveJob) -> Vec<String> {
    if basis.description.is_none() || shows(basis, now) {
        return Vec::new();
    }
    let words = "the server did not keep the stamp at the end of the description: what was applied last, and \
                 which script, can not be told from this job later";
    vec![words.to_owned()]
}
