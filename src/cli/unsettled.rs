#![expect(clippy::disallowed_methods, reason = "how old a write is needs the time")]

//! What interrupted runs left open: found in their journals, settled by reading, said once.

use std::path::Path;

use jiff::SignedDuration;
use serde_json::{Value, json};

use super::planning::Request;
use crate::api::ReadApi;
use crate::job::Platform;
use crate::journal::folder::{self, Left};
use crate::journal::judge::{Judged, Pending, Unfinished, Verdict};
use crate::journal::{Settled, SettledWrite};
use crate::plan::{Action, Plan};
use crate::render::text::clean;
use crate::snapshot::{ListRow, LiveJob};

/// For how long after a write a read that does not show it proves nothing (DESIGN section 6, the default of
/// `--settle-time`).
const YOUNG: SignedDuration = SignedDuration::from_secs(30);

/// What is said of the runs that were interrupted.
#[derive(Clone, Debug, Default)]
pub(super) struct UnsettledRuns(Vec<Value>);

impl UnsettledRuns {
    /// The member `unsettled_runs` of JSON output.
    pub(super) fn json(&self) -> Value {
        Value::Array(self.0.clone())
    }
}

impl Request<'_> {
    /// Settles by reading what interrupted runs left open, says it, and writes it down, so that it is said once.
    ///
    /// Steps of the plan that complete what such a run began say so. `bound` holds the live job of each manifest that
    /// the plan is about: a job that was disabled for an edit and is off still is settled by none but a plan with its
    /// manifest, and only where that does not have it enabled. Else whoever edits it next would have disabled it.
    pub(super) async fn settle_runs<A: ReadApi>(
        &self,
        plan: &mut Plan,
        bound: &[(String, String)],
        rows: &[ListRow],
        identity: &str,
        api: &A,
    ) -> UnsettledRuns {
        let mut runs = UnsettledRuns::default();
        for left in folder::left(&self.settings.state_dir, identity, &self.settings.owner) {
            match left {
                Left::Running(start) => self.terminal.note(&format!(
                    "run {} (process {}) is applying since {}: what is shown here may be out of date at once",
                    start.run,
                    start.pid,
                    to_the_second(&start.at)
                )),
                // A simulator that starts afresh has other jobs: nothing of a former run is in them.
                Left::Open(path, run) if self.planning.reset => {
                    let all = run.pending.iter().map(|pending| written(pending, "reset", false)).collect();
                    self.note_settled(&path, all);
                }
                Left::Open(path, run) => {
                    runs.0.push(self.settle_run(plan, bound, rows, &path, &run, api).await);
                }
            }
        }
        runs
    }

    async fn settle_run<A: ReadApi>(
        &self,
        plan: &mut Plan,
        bound: &[(String, String)],
        rows: &[ListRow],
        path: &Path,
        run: &Unfinished,
        api: &A,
    ) -> Value {
        let start = &run.start;
        let n_steps = start.steps.len();
        if !run.is_told && !run.is_ended {
            self.terminal.say(&format!(
                "note: run {} of {} was interrupted after {} of its {n_steps} steps\n",
                start.run,
                to_the_second(&start.at),
                run.n_outcomes
            ));
        }
        let (mut writes, mut settled) = (Vec::new(), Vec::new());
        for pending in &run.pending {
            let id = pending.id().map_or_else(|| id_by_name(rows, pending), |id| Some(id.to_owned()));
            let judged = self.judge(pending, id.as_deref(), api).await;
            let is_off = judged.as_ref().is_ok_and(|judged| judged.is_left_disabled);
            let (mut stays_open, mut about_it) = (is_off, "");
            if is_off {
                let is_it =
                    |(key, live): &(String, String)| key == pending.key() && Some(live) == id.as_ref();
                let is_planned = bound.iter().any(is_it);
                (stays_open, about_it) = match enabling(plan, pending.key(), is_planned, &start.run) {
                    Enabling::Planned => (true, ""),
                    Enabling::NotWanted => (false, NOT_WANTED),
                    Enabling::NotHere => (true, NOT_HERE),
                };
            }
            let (verdict, mut words) = match &judged {
                Ok(judged) => (judged.verdict.as_str(), judged.words.clone()),
                Err(words) => ("unread", words.clone()),
            };
            if is_off {
                words.push_str("; the job was disabled for this edit and is still Disabled");
                words.push_str(about_it);
            }
            self.terminal.say(&format!(
                "note: {} {} of run {}: {}\n",
                pending.action(),
                clean(pending.key()),
                start.run,
                clean(&words)
            ));
            let is_known = judged.as_ref().is_ok_and(|judged| judged.verdict != Verdict::NotYet);
            if is_known && !(stays_open && pending.is_noted()) {
                settled.push(written(pending, verdict, stays_open));
            }
            writes.push(json!({
                "key": pending.key(),
                "id": id,
                "name": pending.name(),
                "action": pending.action(),
                "sent_at": pending.sent_at(),
                "verdict": verdict,
                "message": words,
                "left_disabled": is_off,
            }));
        }
        if !settled.is_empty() || !run.is_told {
            self.note_settled(path, settled);
        }
        json!({
            "run": start.run,
            "started_at": start.at,
            "commit": start.commit,
            "interrupted": !run.is_ended,
            "steps": n_steps,
            "outcomes": run.n_outcomes,
            "writes": writes,
        })
    }

    /// Reads the job of a write and judges; the words of why not, where it can not be read.
    async fn judge<A: ReadApi>(
        &self,
        pending: &Pending,
        id: Option<&str>,
        api: &A,
    ) -> Result<Judged, String> {
        let live = match id.filter(|_| !pending.did_nothing()) {
            // What is remembered is from before: the journal asks what is there now.
            Some(id) => match api.get_job(id).await {
                Ok(job) => job.map(LiveJob::new),
                Err(error) => return Err(format!("the job {id} could not be read: {error}")),
            },
            None => None,
        };
        let sent = pending.sent_at().parse::<jiff::Timestamp>().ok();
        // By a clock that went back it was sent just now.
        let is_young = sent.is_none_or(|sent| jiff::Timestamp::now().duration_since(sent) < YOUNG);
        Ok(pending.judge(live.as_ref(), is_young))
    }

    fn note_settled(&self, path: &Path, writes: Vec<SettledWrite>) {
        let settled = Settled { at: now(), writes };
        if let Err(error) = folder::settle(path, settled) {
            let path = self.settings.shown(path);
            self.terminal.note(&format!("`{path}` could not be written, so this is said again: {error}"));
        }
    }
}

/// This moment in RFC 3339, to the millisecond, so that the journals of two runs in a row sort by it.
pub(super) fn now() -> String {
    jiff::Timestamp::now().strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// The same for people, to the second.
pub(super) fn to_the_second(at: &str) -> String {
    at.split_once('.').map_or_else(|| at.to_owned(), |(seconds, _)| format!("{seconds}Z"))
}

fn written(pending: &Pending, verdict: &str, left_disabled: bool) -> SettledWrite {
    SettledWrite {
        key: pending.key().to_owned(),
        action: pending.action().to_owned(),
        verdict: verdict.to_owned(),
        left_disabled,
    }
}

/// The live job that a create may have made: the only one of its name.
fn id_by_name(rows: &[ListRow], pending: &Pending) -> Option<String> {
    let mut named = rows.iter().filter(|row| {
        row.name == pending.name()
            && (pending.platform().is_none() || row.platform.map(Platform::as_str) == pending.platform())
    });
    let first = named.next()?;
    named.next().is_none().then(|| first.id.clone())
}

/// What a plan has for a job that was disabled for an edit and is off still.
enum Enabling {
    /// A step that enables it, now or once somebody has decided.
    Planned,
    /// Nothing, and its manifest was planned: Git does not want it Enabled.
    NotWanted,
    /// Nothing: its manifest was not planned, or something stands in the way.
    NotHere,
}

const NOT_WANTED: &str =
    ", and its manifest does not have it enabled: if it should run, declare `status: Enabled`";
const NOT_HERE: &str = ", and this run does not enable it: apply its manifest, or enable it in the console";

/// Finds out what a plan has for a job that run `run` left off; `is_planned` says that its manifest is in the plan.
fn enabling(plan: &mut Plan, key: &str, is_planned: bool, run: &str) -> Enabling {
    let mut steps = plan.changes.iter().filter(|change| change.key == key);
    let is_in_the_way = steps.any(|change| matches!(change.action, Action::Blocked | Action::Held));
    if note_completion(plan, key, run) {
        Enabling::Planned
    } else if is_planned && !is_in_the_way {
        Enabling::NotWanted
    } else {
        Enabling::NotHere
    }
}

/// Says at the step that arms a job again why it is Disabled; `false` where the plan has no such step.
///
/// It was not the console that disabled it, whoever edited the job since: the step is not held because of that.
fn note_completion(plan: &mut Plan, key: &str, run: &str) -> bool {
    // Where the content waits for a decision, so does the enabling.
    let has_to_wait = plan
        .changes
        .iter()
        .any(|change| change.key == key && change.action == Action::Held && !change.is_enabling());
    let Some(change) = plan.changes.iter_mut().find(|change| change.key == key && change.is_enabling())
    else {
        return false;
    };
    let former = change.step();
    let end = if change.not_by_console(has_to_wait) { "this completes it" } else { "it is still to be done" };
    change.notes.push(format!(
        "run {run} disabled it for an edit and was interrupted before it enabled it again: {end}"
    ));
    // Steps that come after it know it by its name.
    let name = change.step();
    for step in plan.changes.iter_mut().flat_map(|change| &mut change.after) {
        if *step == former {
            step.clone_from(&name);
        }
    }
    true
}
