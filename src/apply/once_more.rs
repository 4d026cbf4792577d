//! A write whose answer was lost and which, by all that can be read, changed nothing: it is sent once more, and no
//! more than that (DESIGN 6, "a lost answer is settled by reading").
//!
//! Updates, changes of a status and removals bear it: done twice they leave behind what they leave done once. That
//! holds too where the first one shows only later, so `--settle-time 0` is no exception: it asks for fewer reads, not
//! for less certainty. Two kinds of write do not bear it and are never sent again in a run: a create, because two jobs
//! would patch the same servers, and arming a job that runs once, because it might start twice.

use super::Run;
use crate::diff;
use crate::plan::{Outcome, OutcomeKind};
use crate::snapshot::LiveJob;

/// What is known of a write whose answer was lost.
pub(super) enum Lost {
    /// This, whatever it is.
    Told(Outcome),
    /// The job is still as it was; the outcome is the one of a write that is left at that.
    AsBefore(LiveJob, Outcome),
}

impl Lost {
    /// The outcome, where nothing more is sent.
    pub(super) fn left_at_that(self) -> Outcome {
        match self {
            Self::Told(outcome) | Self::AsBefore(_, outcome) => outcome,
        }
    }

    /// The outcome after the second sending, saying that there was one.
    pub(super) fn after_both(self) -> Outcome {
        let outcome = match self {
            Self::Told(outcome) => outcome,
            Self::AsBefore(_, outcome) => outcome
                .helped("it was sent twice and does not show, or not yet; run plan before applying again"),
        };
        let note = "the first answer was lost and the job was as before, so it was sent once more".to_owned();
        let notes = [note].into_iter().chain(outcome.notes.clone()).collect();
        Outcome { notes, ..outcome }
    }
}

/// Whether the job is exactly what it was just before the write, and nobody wants to stop.
pub(super) fn may_be_sent<A>(run: Run<'_, A>, before: &LiveJob, now: &LiveJob) -> bool {
    !run.interrupt.is_asked()
        && now.last_edit() == before.last_edit()
        && now.stamp == before.stamp
        && diff::diff(&before.normalised, &now.normalised).is_empty()
}

/// Why neither answer proves anything; `second` is empty where the second write was accepted.
///
/// A refusal is no proof here: it may be the first write that made the second one impossible.
pub(super) fn both(first: Vec<String>, second: Vec<String>) -> Vec<String> {
    if second.is_empty() {
        return first;
    }
    let between = "the answer to the first sending was lost".to_owned();
    second.into_iter().chain([between]).chain(first).collect()
}

/// A second sending that a guard forbids. The first one may still show, so it is never one of "nothing was written".
pub(super) fn not_sent(first: Vec<String>, guard: Outcome) -> Outcome {
    let error = first.into_iter().chain(guard.error.clone()).collect();
    Outcome { error, kind: OutcomeKind::Unsettled, ..guard }
        .helped("it was not sent again; run plan before applying again")
}
