//! Carries out a plan through the API, one outcome per step.
//!
//! The protocol of a change is DESIGN section 6: read afresh, compare with what the plan saw, write once, read
//! back, compare again. Decides nothing that the plan has not decided; everything it compares is `verify`'s.
//! Each kind of step has a module of its own; they share [`Run`] and what was made so far.

mod create;
mod delete;
mod interrupt;
mod lists;
mod once_more;
pub mod probe;
mod read;
mod results;
mod send;
mod status;
mod unlock;
mod update;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::atomic::Ordering;
use std::time::Duration;

use serde_json::Value;

pub use self::interrupt::Interrupt;
use self::lists::Lists;
pub use self::send::Journal;
use crate::api::WriteApi;
use crate::job::SettableStatus;
use crate::plan::{self, Action, Basis, Change, Outcome, OutcomeKind, Plan};
use crate::script::Scripts;
use crate::snapshot::LiveJob;
use crate::verify;

/// Everything that carrying out a plan is told.
pub struct Run<'a, A> {
    /// The plan.
    pub plan: &'a Plan,
    /// The contents of the scripts that stand in it by digest.
    pub scripts: &'a Scripts,
    /// Steps whose outcome was settled before, by their position in the plan: they are not carried out.
    pub decided: &'a BTreeMap<usize, Outcome>,
    /// The gateway.
    pub api: &'a A,
    /// Whether somebody wants it to stop.
    pub interrupt: &'a Interrupt,
    /// Keys of the manifests whose jobs may be armed though they run once.
    pub allow_run_once: &'a BTreeSet<String>,
    /// For how long a write that does not show yet is read again; 0 is once only.
    pub settle_time: Duration,
    /// The time, in milliseconds since 1970-01-01 UTC.
    pub now: fn() -> i64,
    /// What is told of each call before it is sent, so that whatever happens after, the next run knows of it.
    pub journal: &'a dyn Journal,
    /// How many steps may fail before the rest is skipped; `None` is no limit, 0 counts as 1.
    pub max_failures: Option<usize>,
}

// Not derived: the API need not be copied for its borrow to be.
impl<A> Clone for Run<'_, A> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<A> Copy for Run<'_, A> {}

/// What the steps so far have come to.
#[derive(Default)]
struct Progress {
    /// Jobs as they were read back after a write of this run, by key.
    made: BTreeMap<String, LiveJob>,
    /// The lists of live jobs, as they were read in this run.
    lists: Lists,
}

/// Carries out a plan, step by step in its order; `tell` hears of each outcome as it comes.
///
/// Once an interrupt is asked for, a write that was sent is still settled by reading, and everything else is skipped.
pub async fn apply<A: WriteApi>(run: Run<'_, A>, mut tell: impl FnMut(&Change, &Outcome)) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    let mut progress = Progress::default();
    let mut failed_steps: BTreeSet<String> = BTreeSet::new();
    let mut stopped: Option<String> = None;
    let mut n_failures = 0;
    for (at, change) in run.plan.changes.iter().enumerate() {
        let n_calls = run.api.calls().total();
        let mut outcome = if let Some(outcome) = run.decided.get(&at) {
            outcome.clone()
        } else if let Some(guard) = run.plan.guard.as_ref().filter(|_| change.action.writes()) {
            Outcome::said(OutcomeKind::Held, guard.reason.clone()).helped(guard.help.clone())
        } else if let Some(reason) = &stopped {
            Outcome::said(OutcomeKind::Skipped, reason.clone())
        } else if run.interrupt.is_asked() {
            interrupted()
        } else if change.action.writes()
            && let Some(step) = change.after.iter().find(|step| failed_steps.contains(*step))
        {
            Outcome::said(OutcomeKind::Skipped, format!("waits for `{step}`, which was not carried out"))
        } else {
            match plan::filled(change, &progress.made) {
                Ok(None) => step(run, change, &mut progress).await,
                Ok(Some(change)) => step(run, &change, &mut progress).await,
                Err(unfilled) => Outcome::said(OutcomeKind::Failed, unfilled.to_string())
                    .helped("nothing was written; run plan again"),
            }
        };
        if outcome.kind.has_written() {
            run.interrupt.has_written.store(true, Ordering::Relaxed);
        }
        run.interrupt.rest();
        if outcome.kind == OutcomeKind::Collateral {
            stopped =
                Some(format!("stopped, because the write to `{}` changed what was not sent", change.key));
        }
        n_failures += usize::from(outcome.kind.is_failure());
        if stopped.is_none() && outcome.kind.is_failure() && run.max_failures.is_some_and(|n| n_failures >= n)
        {
            let failures =
                if n_failures == 1 { "1 failure".to_owned() } else { format!("{n_failures} failures") };
            stopped = Some(format!("stopped after {failures}, the last of them `{}`", change.step()));
        }
        if !matches!(outcome.kind, OutcomeKind::Applied | OutcomeKind::Unchanged) {
            failed_steps.insert(change.step());
        }
        if let Some(job) = &outcome.read_back {
            progress.made.insert(change.key.clone(), LiveJob::new(job.clone()));
        }
        outcome.n_calls = run.api.calls().total().saturating_sub(n_calls);
        run.journal.outcome(change, &outcome);
        tell(change, &outcome);
        outcomes.push(outcome);
    }
    outcomes
}

fn interrupted() -> Outcome {
    Outcome::said(OutcomeKind::Skipped, "interrupted before it was started")
}

async fn step<A: WriteApi>(run: Run<'_, A>, change: &Change, progress: &mut Progress) -> Outcome {
    let advised = |kind: OutcomeKind| {
        let help = (!change.notes.is_empty()).then(|| change.notes.join("; "));
        Outcome { help, ..Outcome::said(kind, change.reason.clone()) }
    };
    let made = progress.made.get(&change.key);
    let id = change.id.clone().or_else(|| Some(made?.raw.get("id")?.as_str()?.to_ascii_lowercase()));
    match (change.action, &change.basis, &id) {
        (Action::Update, Some(basis), Some(id)) => {
            update::Update { run, change, basis, id }.carry_out(&mut progress.lists).await
        }
        (Action::Create, Some(basis), _) => {
            create::Create { run, change, basis }.carry_out(&mut progress.lists).await
        }
        (Action::Enable, basis, Some(id)) => {
            set_status(run, change, basis.as_ref(), id, SettableStatus::Enabled, made).await
        }
        (Action::Disable, basis, Some(id)) => {
            set_status(run, change, basis.as_ref(), id, SettableStatus::Disabled, made).await
        }
        (Action::Delete, Some(basis), Some(id)) => {
            delete::Delete { run, change, basis, id }.carry_out(&mut progress.lists).await
        }
        (Action::Blocked, _, _) => advised(OutcomeKind::Blocked),
        (Action::Held, _, _) => advised(OutcomeKind::Held),
        (Action::Create | Action::Update | Action::Enable | Action::Disable | Action::Delete, _, _) => {
            without_basis()
        }
    }
}

/// Changes the status of a job; `made` is the job as an earlier step of this run left it.
async fn set_status<A: WriteApi>(
    run: Run<'_, A>,
    change: &Change,
    basis: Option<&Basis>,
    id: &str,
    status: SettableStatus,
    made: Option<&LiveJob>,
) -> Outcome {
    if let Some(outcome) = taken_over(change, basis, made) {
        return outcome;
    }
    // After a step that wrote, the job is expected as that step left it.
    let Some(expected) = made.map(|job| &job.normalised).or_else(|| basis.map(|basis| &basis.live)) else {
        return without_basis();
    };
    status::Status { run, change, id, status, expected }.carry_out().await
}

/// Why a job is not armed after a step of this run has written to it: that step leaves alone what it does not write, so
/// what somebody put there since the plan is there now, and nobody has seen it in the plan.
fn taken_over(change: &Change, basis: Option<&Basis>, made: Option<&LiveJob>) -> Option<Outcome> {
    let (Action::Enable, Some(basis), Some(made)) = (change.action, basis, made) else { return None };
    let moved = verify::settled(basis, &basis.live, &made.normalised).collateral;
    if moved.is_empty() {
        return None;
    }
    let edit = Some(made.last_edit());
    let words = "the job is not what the plan saw: other members were edited since";
    let outcome = Outcome { fields: moved, edit, ..Outcome::said(OutcomeKind::Stale, words) };
    Some(outcome.helped("it was not armed; run plan again and look at what moved"))
}

fn without_basis() -> Outcome {
    Outcome::said(OutcomeKind::Failed, "internal error: a step without its basis")
        .helped("please report this; nothing was written")
}

/// How often a write that was turned away by the rate limit is made anew, each time from a fresh read.
///
/// Each read waits for as long as the gateway asks, so this bounds refusals in a row, not time.
const MOST_THROTTLED_TRIES: usize = 5;

fn throttled() -> Outcome {
    Outcome::said(OutcomeKind::Failed, "the gateway's rate limit turned the write away every time")
        .helped("nothing was written; run it again later")
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

/// Whether the marker of a deleted job says when it was deleted.
fn is_deleted(job: &Value) -> bool {
    job.pointer("/deletedBy/date").is_some_and(|date| !date.is_null())
}
