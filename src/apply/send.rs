//! The one place where calls that write leave: the journal hears of each before it is sent, and of its answer after.

use std::io;

use serde_json::Value;

use super::Run;
use crate::api::{WriteApi, WriteError};
use crate::job::SettableStatus;
use crate::journal::{Answer, AnswerKind, Call, Expected, Intent};
use crate::patch;
use crate::plan::{Basis, Change, Outcome};
use crate::snapshot::LiveJob;

/// What is told of the calls of a run (DESIGN 6): each before it is sent, so that a run which is killed at any point
/// leaves behind what it was about to do.
pub trait Journal: Sync {
    /// A call is about to be sent.
    ///
    /// # Errors
    /// Where it can not be written down for good; then the call is not sent.
    fn intent(&self, change: &Change, intent: Intent) -> io::Result<()>;

    /// What came of the call that was told of last.
    fn answer(&self, answer: Answer);

    /// What became of a step.
    fn outcome(&self, change: &Change, outcome: &Outcome);
}

/// A body to send.
#[derive(Clone)]
pub(super) struct Body {
    /// As it is shown and written down: scripts stand in it as digest and size.
    pub(super) shown: Value,
    /// As it is sent.
    pub(super) sent: Value,
}

/// What is written to, and by which step.
#[derive(Clone, Copy)]
pub(super) struct Target<'a> {
    pub(super) change: &'a Change,
    pub(super) id: &'a str,
    /// The job as it was read just before.
    pub(super) before: &'a LiveJob,
}

/// What a write of content leaves behind.
fn expected(basis: &Basis, description: Option<&str>) -> Expected {
    Expected {
        stamp: description.filter(|_| !basis.stamp.is_nothing()).map(|_| basis.stamp.to_string()),
        job: Some(basis.stamp.job.clone()),
        ..Expected::default()
    }
}

/// Changes members of a job.
pub(super) async fn update<A: WriteApi>(
    run: Run<'_, A>,
    target: Target<'_>,
    basis: &Basis,
    body: &Body,
) -> Result<Value, WriteError> {
    let Target { change, id, .. } = target;
    let intent = Intent {
        body: Some(body.shown.clone()),
        expected: expected(basis, basis.description.as_deref()),
        ..on(target, Call::Update, "PATCH", format!("/pm/v1/deploymentjob/update/{id}"))
    };
    note(run, change, intent)?;
    answered(run, run.api.update_job(id, &body.sent).await)
}

/// Makes a job.
pub(super) async fn create<A: WriteApi>(
    run: Run<'_, A>,
    change: &Change,
    basis: &Basis,
    body: &Body,
) -> Result<Value, WriteError> {
    let request = change.request.as_ref();
    let path = request.map_or_else(String::new, |request| request.path.clone());
    let intent = Intent {
        body: Some(body.shown.clone()),
        expected: expected(basis, basis.description.as_deref()),
        ..intent(change, Call::Create, "POST", path)
    };
    note(run, change, intent)?;
    answered(run, run.api.create_job(&body.sent).await)
}

/// Whether a call may be sent that could not be written down.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Noting {
    /// No.
    Must,
    /// Yes: not sending it would leave the job in a worse state than not knowing of it.
    May,
}

/// Arms or disarms a job.
pub(super) async fn set_status<A: WriteApi>(
    run: Run<'_, A>,
    target: Target<'_>,
    status: SettableStatus,
    noting: Noting,
) -> Result<Value, WriteError> {
    let call = match status {
        SettableStatus::Enabled => Call::Enable,
        SettableStatus::Disabled => Call::Disable,
    };
    let expected = Expected { status: Some(status.as_str().to_owned()), ..Expected::default() };
    let path = format!("/pm/v1/deploymentjobs/update/status/{}", status.as_str());
    let noted = note(run, target.change, Intent { expected, ..on(target, call, "POST", path) });
    if noting == Noting::Must {
        noted?;
    }
    answered(run, run.api.set_status(status, &[target.id]).await)
}

/// Removes a job.
pub(super) async fn delete<A: WriteApi>(run: Run<'_, A>, target: Target<'_>) -> Result<Value, WriteError> {
    let expected = Expected { is_gone: true, ..Expected::default() };
    let path = "/pm/v1/deploymentjobs".to_owned();
    note(run, target.change, Intent { expected, ..on(target, Call::Delete, "DELETE", path) })?;
    answered(run, run.api.delete_jobs(&[target.id]).await)
}

fn note<A>(run: Run<'_, A>, change: &Change, intent: Intent) -> Result<(), WriteError> {
    run.interrupt.write(&change.key);
    run.journal.intent(change, intent).map_err(|error| {
        run.interrupt.rest();
        WriteError::NotNoted(error)
    })
}

fn intent(change: &Change, call: Call, method: &str, path: String) -> Intent {
    Intent {
        key: change.key.clone(),
        id: change.id.clone(),
        name: change.name.clone(),
        platform: change.platform.map(|platform| platform.as_str().to_owned()),
        action: change.action.as_str().to_owned(),
        call,
        method: method.to_owned(),
        path,
        expected: Expected::default(),
        body: None,
        before: None,
        recorded: None,
    }
}

fn on(target: Target<'_>, call: Call, method: &str, path: String) -> Intent {
    Intent {
        id: Some(target.id.to_owned()),
        before: Some(patch::without_contents(&target.before.raw)),
        ..intent(target.change, call, method, path)
    }
}

fn answered<A>(run: Run<'_, A>, answer: Result<Value, WriteError>) -> Result<Value, WriteError> {
    let (kind, error) = match &answer {
        Ok(_) => (AnswerKind::Accepted, None),
        Err(error @ WriteError::Refused(_)) => (AnswerKind::Refused, Some(error)),
        Err(error @ WriteError::Throttled { .. }) => (AnswerKind::Throttled, Some(error)),
        Err(error @ (WriteError::NotSent(_) | WriteError::NotNoted(_))) => (AnswerKind::NotSent, Some(error)),
        Err(error @ WriteError::Unclear(_)) => (AnswerKind::Unclear, Some(error)),
    };
    let id = answer.as_ref().ok().and_then(|answer| answer.get("id")?.as_str().map(str::to_ascii_lowercase));
    let error = error.map(|error| super::chain(error)).unwrap_or_default();
    run.journal.answer(Answer { answer: kind, id, error });
    answer
}
