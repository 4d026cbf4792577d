//! The journal of a run as `apply` writes it: the file, and the ledger for jobs that are to be made.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use super::session::Failure;
use super::settings::Settings;
use super::unsettled::{now, to_the_second};
use crate::apply;
use crate::journal::folder::Journal;
use crate::journal::lock::{self, Attempt, Holder, Lock};
use crate::journal::{Answer, End, FORMAT, Intent, Line, OutcomeLine, Start, Step, Undoes};
use crate::ledger::Ledger;
use crate::patch;
use crate::plan::{self, Action, Change, Outcome, Plan};
use crate::record::Record;
use crate::snapshot::LiveJob;
use crate::stamp;
use crate::terminal::Terminal;

/// How often a run that waits for another one looks again.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// A new id for a run: eight hexadecimal digits, which is plenty to tell the runs of one repository apart.
pub(super) fn run_id() -> String {
    let id = uuid::Uuid::new_v4().simple().to_string();
    id.get(..8).unwrap_or(&id).to_owned()
}

/// Keeps other applies of this state folder away for as long as the value lives; waits for one that is there.
pub(super) async fn lock(
    settings: &Settings,
    run: &str,
    wait: Duration,
    terminal: &Terminal,
) -> Result<Lock, Failure> {
    let holder = Holder { run: run.to_owned(), pid: std::process::id(), since: now() };
    let until = Instant::now() + wait;
    let mut is_told = false;
    loop {
        let attempt = lock::take(&settings.state_dir, &holder).map_err(|error| {
            let message =
                format!("the state folder `{}` can not be written", settings.shown(&settings.state_dir));
            let help = "nothing was changed; apply keeps its journal there: give another --state-dir";
            Failure::Error(vec![message, error.to_string()], Some(help.to_owned()))
        })?;
        let other = match attempt {
            Attempt::Taken(lock) => return Ok(lock),
            Attempt::Held(other) => other,
        };
        let who = other.map_or_else(
            || "another run".to_owned(),
            |other| {
                format!("run {} (process {}, since {})", other.run, other.pid, to_the_second(&other.since))
            },
        );
        if Instant::now() >= until {
            let message = format!("{who} is applying with this state folder");
            let help = "nothing was changed; wait for it to end, or let this run wait with --lock-wait 10m";
            return Err(Failure::Error(vec![message], Some(help.to_owned())));
        }
        if !is_told {
            terminal.note(&format!("waiting for {who} to end"));
            is_told = true;
        }
        sleep(LOOK_AGAIN).await;
    }
}

/// What is told of the calls of a run, and written down.
pub(super) struct RunJournal<'a> {
    inner: Mutex<Inner<'a>>,
}

struct Inner<'a> {
    ledger: &'a mut Ledger,
    /// None where nothing is to be written to the API.
    file: Option<Journal>,
    n_calls: u64,
    /// What was applied last, where that is kept in place of stamps.
    record: Option<&'a Record>,
    /// Why a line that nothing waits for could not be written.
    lost: Option<io::Error>,
}

/// What a journal begins with, beside the plan.
pub(super) struct About<'a> {
    pub(super) run: &'a str,
    pub(super) gateway: &'a str,
    pub(super) owner: &'a str,
    pub(super) commit: Option<&'a str>,
    /// What it undoes, where it is a revert.
    pub(super) undoes: Option<Undoes>,
    /// What was applied last, where that is kept in place of stamps.
    pub(super) record: Option<&'a Record>,
}

impl<'a> RunJournal<'a> {
    /// Begins the journal, if the plan writes anything.
    pub(super) fn begin(
        state_dir: &Path,
        about: About<'a>,
        plan: &Plan,
        ledger: &'a mut Ledger,
    ) -> Result<Self, Failure> {
        let step = |change: &Change| Step {
            key: change.key.clone(),
            action: change.action.as_str().to_owned(),
            id: change.id.clone(),
        };
        let start = Start {
            format: FORMAT,
            run: about.run.to_owned(),
            at: now(),
            gateway: about.gateway.to_owned(),
            owner: about.owner.to_owned(),
            commit: about.commit.map(str::to_owned),
            applied_before: ledger.applied_commit().map(str::to_owned),
            undoes: about.undoes,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            pid: std::process::id(),
            fingerprint: plan.fingerprint(),
            steps: plan.changes.iter().map(step).collect(),
        };
        let is_needed = plan.has_writes() && plan.guard.is_none();
        let file = is_needed.then(|| Journal::begin(state_dir, start)).transpose().map_err(|error| {
            let message = "the journal of this run could not be begun".to_owned();
            let help = "nothing was changed; mend the state folder, or give another --state-dir";
            Failure::Error(vec![message, error.to_string()], Some(help.to_owned()))
        })?;
        Ok(Self { inner: Mutex::new(Inner { ledger, file, n_calls: 0, record: about.record, lost: None }) })
    }

    /// Writes the last line; tells why lines are missing, if any are.
    pub(super) fn end(self, outcomes: &[Outcome], terminal: &Terminal) {
        let mut inner = self.inner.into_inner().unwrap_or_else(PoisonError::into_inner);
        inner.tell(&Line::End(End { at: now(), outcomes: plan::counts(outcomes) }));
        if let Some(error) = inner.lost {
            terminal.note(&format!(
                "the journal of this run is not whole, so the next one settles by reading what is missing: {error}"
            ));
        }
    }

    fn with<T>(&self, act: impl FnOnce(&mut Inner<'a>) -> T) -> T {
        act(&mut self.inner.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Inner<'_> {
    /// Writes a line that nothing waits for, if there is a file.
    fn tell(&mut self, line: &Line) {
        if let Some(file) = &mut self.file
            && let Err(error) = file.write(line)
        {
            self.lost.get_or_insert(error);
        }
    }

    fn intent(&mut self, change: &Change, mut intent: Intent) -> io::Result<()> {
        let recorded =
            self.record.zip(intent.id.as_deref()).map(|(record, id)| record.of_job(&intent.key, id));
        intent.recorded = recorded.and_then(|found| found.text());
        if change.action == Action::Create && intent.id.is_none() {
            self.ledger.create_sent(&change.key, &change.name, change.platform)?;
        }
        let Some(file) = &mut self.file else {
            return Err(io::Error::other("internal error: a plan that writes nothing writes"));
        };
        self.n_calls += 1;
        file.write_through(&Line::Intent { call_number: self.n_calls, at: now(), intent: Box::new(intent) })
    }
}

impl apply::Journal for RunJournal<'_> {
    fn intent(&self, change: &Change, intent: Intent) -> io::Result<()> {
        self.with(|inner| inner.intent(change, intent))
    }

    fn answer(&self, answer: Answer) {
        self.with(|inner| inner.tell(&Line::Answer { call_number: inner.n_calls, at: now(), answer }));
    }

    fn outcome(&self, change: &Change, outcome: &Outcome) {
        let read_back = outcome.read_back.clone().map(LiveJob::new);
        let status = read_back.as_ref().and_then(|job| job.normalised.text("status")).map(str::to_owned);
        let line = Line::Outcome(OutcomeLine {
            at: now(),
            key: change.key.clone(),
            action: change.action.as_str().to_owned(),
            id: change.id.clone().or_else(|| outcome.made.clone()),
            outcome: outcome.kind.as_str().to_owned(),
            job: read_back.as_ref().map(|job| stamp::job_digest(&job.normalised)),
            status,
            read_back: outcome.read_back.as_ref().map(patch::without_contents),
            calls: outcome.n_calls,
            error: outcome.error.clone(),
        });
        self.with(|inner| inner.tell(&line));
    }
}
