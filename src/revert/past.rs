//! What a run did, job by job, read from the lines of its journal.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use crate::job::Platform;
use crate::journal::{AnswerKind, Call, End, FORMAT, Intent, Line, Start};
use crate::normalise;
use crate::snapshot::Edit;
use crate::stamp::{self, Found, Stamp};

/// Why a journal can not be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unusable {
    /// It does not begin like a journal.
    NoJournal,
    /// Its lines are of another version.
    Format(u64),
}

/// What a run did.
#[derive(Clone, Debug)]
pub struct PastRun {
    /// How it began.
    pub start: Start,
    /// How many steps ended in each outcome; `None` where it did not come to its end.
    pub end: Option<End>,
    /// The jobs that it wrote to, in the order of its first writes.
    pub jobs: Vec<PastJob>,
    /// Its steps that changed nothing, with what became of them.
    pub without_effect: Vec<(String, String, String)>,
    /// Keys with a step that did not end as it was planned.
    pub incomplete: BTreeSet<String>,
    /// How many lines can not be read.
    pub n_damaged: usize,
}

/// What a run did to one job.
#[derive(Clone, Debug)]
pub struct PastJob {
    /// The manifest's key.
    pub key: String,
    /// The job's id, where it is known.
    pub id: Option<String>,
    /// The name that people knew the job by.
    pub name: String,
    /// The job's platform.
    pub platform: Option<Platform>,
    /// Its steps that wrote, by their actions, in their order.
    pub actions: Vec<String>,
    /// The job just before its members were written, or its status where only that was; `None` for one that was made.
    pub before: Option<Value>,
    /// The job as it was read back after that, with all that the same step did; `None` where that is not in the journal.
    pub after: Option<Value>,
    /// Who edited it last and when, as it was read back after the last step; `None` where that is not in the journal.
    pub left: Option<Edit>,
    /// What was sent, in its order: scripts as digest and size.
    pub bodies: Vec<Value>,
    /// Whether the run left it armed; `None` where it left the status as it was before.
    pub leaves_armed: Option<bool>,
    /// Whether the job was disabled for an edit and enabled again: its manifest declares it Enabled.
    pub was_unlocked: bool,
    /// The stamp before the first write.
    pub stamp_before: Option<Stamp>,
    /// The stamp that the last write of members was to leave.
    pub stamp_after: Option<Stamp>,
    /// The digest of the job that the last write of members was to leave.
    pub digest_after: Option<String>,
    /// Why it can not be told what the run did.
    pub doubt: Option<String>,
}

impl PastJob {
    /// Whether a step of this action wrote.
    pub fn has(&self, action: &str) -> bool {
        self.actions.iter().any(|other| other == action)
    }
}

/// One step as its lines tell it.
struct Told {
    key: String,
    action: String,
    calls: Vec<Sent>,
    outcome: Option<String>,
    verdict: Option<String>,
    read_back: Option<Value>,
    id: Option<String>,
}

struct Sent {
    number: u64,
    intent: Intent,
    answer: Option<AnswerKind>,
}

impl Sent {
    fn may_have_worked(&self) -> bool {
        !self.answer.is_some_and(AnswerKind::did_nothing)
    }

    /// Whether it was about members, and not about the status or the job as a whole.
    fn is_of_members(&self) -> bool {
        matches!(self.intent.call, Call::Update | Call::Create)
    }

    /// Whether the job was armed just before.
    fn found_armed(&self) -> Option<bool> {
        let status = self.intent.before.as_ref()?.get("status").and_then(Value::as_str);
        Some(normalise::is_armed(status))
    }
}

/// What is known of a step.
enum Effect {
    /// It wrote.
    Wrote,
    /// It changed nothing, and why.
    Nothing(String),
    /// Nobody can tell, and why.
    Doubtful(String),
}

impl Told {
    fn effect(&self) -> Effect {
        if self.worked().next().is_none() {
            let why = self.outcome.as_deref().unwrap_or("not begun");
            return Effect::Nothing(why.replace('_', " "));
        }
        match self.outcome.as_deref() {
            Some("applied" | "not_converged" | "collateral") => return Effect::Wrote,
            Some("unsettled") | None => {}
            // An edit for which the job was disabled first may have failed after that.
            Some(_) if self.left_disabled() => return Effect::Wrote,
            Some(other) => return Effect::Nothing(other.replace('_', " ")),
        }
        match self.verdict.as_deref() {
            Some("took_effect") => Effect::Wrote,
            Some("did_not") if self.left_disabled() => Effect::Wrote,
            Some("did_not") => Effect::Nothing("it did not take effect".to_owned()),
            Some("reset") => Effect::Nothing("the simulator began afresh since".to_owned()),
            Some(_) => Effect::Doubtful(format!("whether its {} took effect can not be told", self.action)),
            None => Effect::Doubtful(format!("whether its {} took effect is not known yet", self.action)),
        }
    }

    /// The calls that may have done something.
    fn worked(&self) -> impl Iterator<Item = &Sent> {
        self.calls.iter().filter(|sent| sent.may_have_worked())
    }

    /// Whether it left things as it was to.
    fn is_complete(&self) -> bool {
        match self.outcome.as_deref() {
            Some("applied" | "unchanged") => true,
            Some("unsettled") | None => self.verdict.as_deref() == Some("took_effect"),
            Some(_) => false,
        }
    }

    /// Whether the job was disabled for the edit, and not surely enabled again.
    fn left_disabled(&self) -> bool {
        let status = self.worked().filter(|sent| matches!(sent.intent.call, Call::Enable | Call::Disable));
        self.action == "update" && status.last().is_some_and(|sent| sent.intent.call == Call::Disable)
    }
}

/// Reads a journal.
///
/// A line that can not be read is left out and counted: the last one of a run that was killed may be half there, and a
/// call whose line is not whole was never sent.
///
/// # Errors
/// What it is not.
pub fn read(text: &str) -> Result<PastRun, Unusable> {
    let mut lines = text.lines().filter(|line| !line.trim().is_empty());
    let first: Value = lines
        .next()
        .and_then(|line| serde_json::from_str(line).ok())
        .filter(|line: &Value| line.get("line").and_then(Value::as_str) == Some("start"))
        .ok_or(Unusable::NoJournal)?;
    let format = first.get("format").and_then(Value::as_u64).ok_or(Unusable::NoJournal)?;
    if format != u64::from(FORMAT) {
        return Err(Unusable::Format(format));
    }
    let Ok(Line::Start(start)) = serde_json::from_value(first) else { return Err(Unusable::NoJournal) };
    let mut run = PastRun {
        start: *start,
        end: None,
        jobs: Vec::new(),
        without_effect: Vec::new(),
        incomplete: BTreeSet::new(),
        n_damaged: 0,
    };
    let mut steps: Vec<Told> = Vec::new();
    for line in lines {
        match serde_json::from_str::<Line>(line) {
            Ok(line) => take(line, &mut steps, &mut run),
            Err(_) => run.n_damaged += 1,
        }
    }
    for step in &run.start.steps {
        if !steps.iter().any(|told| told.key == step.key && told.action == step.action) {
            run.without_effect.push((step.key.clone(), step.action.clone(), "not begun".to_owned()));
            run.incomplete.insert(step.key.clone());
        }
    }
    join(steps, &mut run);
    Ok(run)
}

/// The position of a step among those told of so far.
fn position(steps: &mut Vec<Told>, key: &str, action: &str) -> usize {
    if let Some(at) = steps.iter().position(|told| told.key == key && told.action == action) {
        return at;
    }
    steps.push(Told {
        key: key.to_owned(),
        action: action.to_owned(),
        calls: Vec::new(),
        outcome: None,
        verdict: None,
        read_back: None,
        id: None,
    });
    steps.len() - 1
}

fn take(line: Line, steps: &mut Vec<Told>, run: &mut PastRun) {
    match line {
        Line::Start(_) => {}
        Line::Intent { call_number, at: _, intent } => {
            let at = position(steps, &intent.key, &intent.action);
            steps[at].calls.push(Sent { number: call_number, intent: *intent, answer: None });
        }
        Line::Answer { call_number, at: _, answer } => {
            let told = steps.iter_mut().find(|told| told.calls.iter().any(|sent| sent.number == call_number));
            let Some(told) = told else { return };
            told.id = answer.id.or(told.id.take());
            for sent in told.calls.iter_mut().filter(|sent| sent.number == call_number) {
                sent.answer = Some(answer.answer);
            }
        }
        Line::Outcome(outcome) => {
            let at = position(steps, &outcome.key, &outcome.action);
            let told = &mut steps[at];
            told.outcome = Some(outcome.outcome);
            told.read_back = outcome.read_back;
            told.id = outcome.id.or(told.id.take());
        }
        Line::End(end) => run.end = Some(end),
        Line::Settled(settled) => {
            for write in settled.writes {
                let at = position(steps, &write.key, &write.action);
                steps[at].verdict = Some(write.verdict);
            }
        }
    }
}

/// Brings the steps together by their jobs.
fn join(steps: Vec<Told>, run: &mut PastRun) {
    let mut at_key: BTreeMap<String, usize> = BTreeMap::new();
    let mut was_armed: Vec<Option<bool>> = Vec::new();
    for told in steps {
        if !told.is_complete() {
            run.incomplete.insert(told.key.clone());
        }
        let doubt = match told.effect() {
            Effect::Wrote => None,
            Effect::Doubtful(why) => Some(why),
            Effect::Nothing(why) => {
                run.without_effect.push((told.key, told.action, why));
                continue;
            }
        };
        // A call that was turned away shows the job as it was before a wait, in which somebody may have edited it: what
        // it shows is not what the run wrote over.
        let Some(first) = told.worked().next() else { continue };
        let at = *at_key.entry(told.key.clone()).or_insert_with(|| {
            run.jobs.push(PastJob::begun(&told, first));
            was_armed.push(first.found_armed().filter(|_| told.action != "create"));
            run.jobs.len() - 1
        });
        run.jobs[at].take(told, doubt);
    }
    for (job, was_armed) in run.jobs.iter_mut().zip(was_armed) {
        // A job that was made has no status of before.
        if job.leaves_armed == was_armed {
            job.leaves_armed = None;
        }
    }
}

impl PastJob {
    /// A job that nothing is known of but the first call of its first step which may have done something.
    fn begun(told: &Told, first: &Sent) -> Self {
        let intent = &first.intent;
        let before = intent.before.clone().filter(|_| told.action != "create");
        let stamp = match &intent.recorded {
            Some(text) => stamp::split(text).1,
            None => before.as_ref().map_or(Found::None, stamp_of),
        };
        Self {
            key: told.key.clone(),
            id: intent.id.clone(),
            name: intent.name.clone(),
            platform: intent.platform.as_deref().and_then(Platform::parse),
            actions: Vec::new(),
            before,
            after: None,
            left: None,
            bodies: Vec::new(),
            leaves_armed: None,
            was_unlocked: false,
            stamp_before: match stamp {
                Found::Stamp(stamp) => Some(stamp),
                Found::None | Found::Damaged => None,
            },
            stamp_after: None,
            digest_after: None,
            doubt: None,
        }
    }

    /// Adds what a step did.
    fn take(&mut self, told: Told, doubt: Option<String>) {
        self.doubt = self.doubt.take().or(doubt);
        self.id = told.id.clone().or(self.id.take());
        // What was read back before a later write says nothing of what that one left.
        self.left = told.read_back.as_ref().map(Edit::last_of);
        // Between two steps somebody may have edited the job, and a step for the status goes over that without a look:
        // what the members were and what became of them is told by the step that wrote them.
        let of_members = told.worked().find(|sent| sent.is_of_members());
        if let Some(sent) = of_members {
            self.before = sent.intent.before.clone().filter(|_| self.before.is_some());
        }
        if of_members.is_some() || self.bodies.is_empty() {
            self.after.clone_from(&told.read_back);
        }
        match told.action.as_str() {
            "enable" => self.leaves_armed = Some(true),
            "disable" => self.leaves_armed = Some(false),
            _ if told.left_disabled() => self.leaves_armed = Some(false),
            _ => {}
        }
        self.was_unlocked |=
            told.action == "update" && told.worked().any(|sent| sent.intent.call == Call::Disable);
        for sent in told.worked().filter(|sent| sent.is_of_members()) {
            let intent = &sent.intent;
            self.bodies.extend(intent.body.clone());
            self.digest_after = intent.expected.job.clone().or(self.digest_after.take());
            let stamp = intent.expected.stamp.as_deref().map(|text| stamp::split(text).1);
            if let Some(Found::Stamp(stamp)) = stamp {
                self.stamp_after = Some(stamp);
            }
        }
        self.actions.push(told.action);
    }
}

fn stamp_of(job: &Value) -> Found {
    stamp::split(job.get("description").and_then(Value::as_str).unwrap_or_default()).1
}
