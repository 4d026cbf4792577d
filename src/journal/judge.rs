//! What became of the writes of a run whose end is not in its journal. Pure: lines and a live job in, verdict out.

use std::collections::BTreeMap;

use serde_json::Value;

use super::line::{AnswerKind, Call, FORMAT, Intent, Line, Start};
use crate::normalise;
use crate::snapshot::{Edit, LiveJob};
use crate::stamp;

/// A journal as it was left.
#[derive(Clone, Debug)]
pub struct Unfinished {
    /// How the run began.
    pub start: Start,
    /// Whether it came to its end.
    pub is_ended: bool,
    /// Whether a later run has said that it was interrupted.
    pub is_told: bool,
    /// How many steps have an outcome.
    pub n_outcomes: usize,
    /// Steps that sent something and whose outcome is not known, in their order.
    pub pending: Vec<Pending>,
}

impl Unfinished {
    /// Whether nothing is left to be said of it.
    pub fn is_settled(&self) -> bool {
        self.pending.is_empty() && (self.is_ended || self.is_told)
    }
}

/// A step that sent something and whose outcome is not known.
#[derive(Clone, Debug)]
pub struct Pending {
    /// Its calls, at least one.
    calls: Vec<Sent>,
    /// What became of it, where a later run has written that down together with that the job is off still.
    noted: Option<Verdict>,
}

#[derive(Clone, Debug)]
struct Sent {
    number: u64,
    at: String,
    intent: Intent,
    answer: Option<AnswerKind>,
    made: Option<String>,
}

impl Sent {
    fn may_have_worked(&self) -> bool {
        !self.answer.is_some_and(AnswerKind::did_nothing)
    }
}

/// What was found out about a write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is there.
    TookEffect,
    /// The job is as it was before.
    DidNot,
    /// The job is as it was before, and the write is so young that it may show later.
    NotYet,
    /// The job is neither what it was nor what it should be, or there is nothing to tell by.
    CannotTell,
}

impl Verdict {
    /// The word used in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::TookEffect => "took_effect",
            Self::DidNot => "did_not",
            Self::NotYet => "not_yet",
            Self::CannotTell => "cannot_tell",
        }
    }

    /// Reads that word; one that it does not know tells nothing.
    fn parse(word: &str) -> Self {
        let all = [Self::TookEffect, Self::DidNot, Self::NotYet];
        all.into_iter().find(|verdict| verdict.as_str() == word).unwrap_or(Self::CannotTell)
    }
}

/// A verdict with its words.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Judged {
    /// What was found.
    pub verdict: Verdict,
    /// The same for people.
    pub words: String,
    /// Whether the job was disabled for an edit and has stayed so.
    pub is_left_disabled: bool,
}

/// Reads a journal; `None` for a text that does not begin like one of this version.
///
/// A line that can not be read is left out: the last one of a run that was killed may be half there.
pub fn read(text: &str) -> Option<Unfinished> {
    let mut lines = text.lines().filter_map(|line| serde_json::from_str::<Line>(line).ok());
    let Some(Line::Start(start)) = lines.next() else { return None };
    if start.format != FORMAT {
        return None;
    }
    let mut found =
        Unfinished { start: *start, is_ended: false, is_told: false, n_outcomes: 0, pending: Vec::new() };
    // Steps in the order of their first call; a name may come twice in no plan.
    let mut steps: BTreeMap<(String, String), usize> = BTreeMap::new();
    let mut pending: Vec<Option<Pending>> = Vec::new();
    for line in lines {
        match line {
            Line::Start(_) => {}
            Line::Intent { call_number, at, intent } => {
                let sent = Sent { number: call_number, at, intent: *intent, answer: None, made: None };
                let name = (sent.intent.key.clone(), sent.intent.action.clone());
                match steps.get(&name).and_then(|at| pending.get_mut(*at)?.as_mut()) {
                    Some(step) => step.calls.push(sent),
                    None => {
                        steps.insert(name, pending.len());
                        pending.push(Some(Pending { calls: vec![sent], noted: None }));
                    }
                }
            }
            Line::Answer { call_number, at: _, answer } => {
                let calls = pending.iter_mut().flatten().flat_map(|step| &mut step.calls);
                if let Some(sent) = calls.into_iter().find(|sent| sent.number == call_number) {
                    sent.answer = Some(answer.answer);
                    sent.made = answer.id;
                }
            }
            Line::Outcome(outcome) => {
                found.n_outcomes += 1;
                if outcome.outcome != "unsettled"
                    && let Some(at) = steps.get(&(outcome.key, outcome.action))
                {
                    pending[*at] = None;
                }
            }
            Line::End(_) => found.is_ended = true,
            Line::Settled(settled) => {
                found.is_told = true;
                for write in settled.writes {
                    let Some(at) = steps.get(&(write.key, write.action)) else { continue };
                    match &mut pending[*at] {
                        Some(step) if write.left_disabled => {
                            step.noted = Some(Verdict::parse(&write.verdict));
                        }
                        step => *step = None,
                    }
                }
            }
        }
    }
    found.pending = pending.into_iter().flatten().collect();
    Some(found)
}

impl Pending {
    /// The call that tells most: the last one of the step's own kind, or the last one.
    fn main(&self) -> &Sent {
        let own = |sent: &&Sent| match sent.intent.call {
            Call::Update | Call::Create | Call::Delete => true,
            Call::Enable => sent.intent.action == "enable",
            Call::Disable => sent.intent.action == "disable",
        };
        let last = self.calls.iter().rev().find(own).or(self.calls.last());
        last.expect("internal error: a step is pending because of a call")
    }

    fn last(&self) -> &Sent {
        self.calls.last().expect("internal error: a step is pending because of a call")
    }

    /// The manifest's key.
    pub fn key(&self) -> &str {
        &self.last().intent.key
    }

    /// The step's action.
    pub fn action(&self) -> &str {
        &self.last().intent.action
    }

    /// The job's name.
    pub fn name(&self) -> &str {
        &self.last().intent.name
    }

    /// The job's platform.
    pub fn platform(&self) -> Option<&str> {
        self.last().intent.platform.as_deref()
    }

    /// The job's id, where the journal tells it.
    pub fn id(&self) -> Option<&str> {
        let made = self.calls.iter().find_map(|sent| sent.made.as_deref());
        made.or_else(|| self.calls.iter().find_map(|sent| sent.intent.id.as_deref()))
    }

    /// When the last call was sent, RFC 3339.
    pub fn sent_at(&self) -> &str {
        &self.last().at
    }

    /// Whether no call of it can have changed anything; then there is no need to read the job.
    pub fn did_nothing(&self) -> bool {
        !self.calls.iter().any(Sent::may_have_worked)
    }

    /// Whether what became of it is in the journal already, and it is open only because the job is off still.
    pub fn is_noted(&self) -> bool {
        self.noted.is_some()
    }

    /// Whether the job may have been disabled for the edit of this step.
    fn was_disabled(&self) -> bool {
        self.action() == "update"
            && self.calls.iter().any(|sent| sent.intent.call == Call::Disable && sent.may_have_worked())
    }

    /// Says what became of it; `live` is the job as it is now, `None` where the API does not know it.
    ///
    /// `is_young` says that an answer of the API may still be from before the write.
    pub fn judge(&self, live: Option<&LiveJob>, is_young: bool) -> Judged {
        let sent = self.main();
        let said = |verdict: Verdict, words: &str| Judged {
            verdict,
            words: words.to_owned(),
            is_left_disabled: false,
        };
        let not_there = |words: &str| {
            if is_young {
                said(Verdict::NotYet, "it does not show, or not yet")
            } else {
                said(Verdict::DidNot, words)
            }
        };
        if self.did_nothing() {
            return said(Verdict::DidNot, "it was turned away and changed nothing");
        }
        let live = live.filter(|job| job.raw.pointer("/deletedBy/date").is_none_or(Value::is_null));
        let Some(live) = live else {
            return match (sent.intent.call, is_young) {
                (Call::Delete, _) => said(Verdict::TookEffect, "the job is gone"),
                (Call::Create, true) => said(Verdict::NotYet, "no such job is there, or not yet"),
                (Call::Create, false) => said(
                    Verdict::CannotTell,
                    "no such job is in the list; it is not made again unless that is allowed",
                ),
                (Call::Update | Call::Enable | Call::Disable, _) => {
                    said(Verdict::CannotTell, "the job is gone")
                }
            };
        };
        match sent.intent.call {
            Call::Delete => not_there("it changed nothing: the job is still there"),
            Call::Enable | Call::Disable => {
                let is_armed = normalise::is_armed(live.normalised.text("status"));
                if is_armed == (sent.intent.call == Call::Enable) {
                    said(Verdict::TookEffect, "it took effect")
                } else {
                    not_there("it changed nothing: the status is what it was")
                }
            }
            Call::Create => {
                if is_expected(sent, live) {
                    said(Verdict::TookEffect, "the job was made")
                } else {
                    said(Verdict::CannotTell, "a job of this name is there, and is not what was sent")
                }
            }
            Call::Update => {
                let is_armed = normalise::is_armed(live.normalised.text("status"));
                // What was done to it since says nothing of the write any more.
                if let Some(verdict) = self.noted.filter(|_| is_armed) {
                    return said(verdict, "the job that was left Disabled for it is Enabled again");
                }
                let judged = self.judge_update(sent, live, not_there);
                if self.was_disabled() && is_armed && is_young && judged.verdict == Verdict::DidNot {
                    // The edit was turned away; that it was disabled for another one may show later.
                    return said(
                        Verdict::NotYet,
                        "the job is what it was, or is disabled and does not show it yet",
                    );
                }
                Judged { is_left_disabled: self.was_disabled() && !is_armed, ..judged }
            }
        }
    }

    fn judge_update(&self, sent: &Sent, live: &LiveJob, not_there: impl Fn(&str) -> Judged) -> Judged {
        let said = |verdict: Verdict, words: &str| Judged {
            verdict,
            words: words.to_owned(),
            is_left_disabled: false,
        };
        let before = sent.intent.before.clone().map(LiveJob::new);
        let was_expected = before.as_ref().is_some_and(|before| is_expected(sent, before));
        let is_edited = before.as_ref().is_none_or(|before| Edit::last_of(&live.raw) != before.last_edit());
        let is_as_before = before.is_some_and(|before| {
            let moved = crate::diff::diff(&before.normalised, &live.normalised);
            before.stamp == live.stamp && moved.iter().all(|field| field.pointer == "/status")
        });
        if !sent.may_have_worked() && is_as_before {
            return said(Verdict::DidNot, "the edit was turned away and changed nothing");
        }
        if is_expected(sent, live) && (!was_expected || is_edited) {
            said(
                Verdict::TookEffect,
                if self.action() == "create" { "the job was made" } else { "it took effect" },
            )
        } else if is_as_before {
            not_there("it changed nothing: the job is what it was")
        } else {
            said(Verdict::CannotTell, "the job is neither what it was nor what it should be")
        }
    }
}

/// Whether a job shows what a call was to leave behind: its stamp, or all of the job.
fn is_expected(sent: &Sent, live: &LiveJob) -> bool {
    let expected = &sent.intent.expected;
    (expected.stamp.is_some() && live.stamp.text() == expected.stamp)
        || expected.job.as_deref() == Some(stamp::job_digest(&live.normalised).as_str())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::line::{Answer, End, Expected, OutcomeLine, Settled, SettledWrite};
    use super::*;

    const STAMP: &str = "[patchctl:us/a 1:00000001:00000002:00000003]";

    fn job(members: Value) -> Value {
        let mut job = json!({"id": "1", "name": "A", "type": "Install", "platform": "Windows", "status": "Enabled",
            "scheduleType": "Weekly", "timeout": 4, "description": "", "updatedBy": {"date": 1}});
        for (name, value) in members.as_object().expect("members") {
            job[name] = value.clone();
        }
        job
    }

    fn start() -> Line {
        Line::Start(Box::new(Start {
            format: FORMAT,
            run: "r".to_owned(),
            at: String::new(),
            gateway: String::new(),
            owner: String::new(),
            commit: None,
            applied_before: None,
            undoes: None,
            version: String::new(),
            pid: 1,
            fingerprint: String::new(),
            steps: Vec::new(),
        }))
    }

    fn intent(call_number: u64, action: &str, call: Call) -> Line {
        let expected = match call {
            Call::Update | Call::Create => Expected { stamp: Some(STAMP.to_owned()), ..Expected::default() },
            Call::Enable | Call::Disable | Call::Delete => Expected::default(),
        };
        let intent = Intent {
            key: "a".to_owned(),
            id: (call != Call::Create).then(|| "1".to_owned()),
            name: "A".to_owned(),
            platform: None,
            action: action.to_owned(),
            call,
            method: String::new(),
            path: String::new(),
            expected,
            body: None,
            before: (call != Call::Create).then(|| job(json!({}))),
            recorded: None,
        };
        Line::Intent { call_number, at: String::new(), intent: Box::new(intent) }
    }

    fn answer(call_number: u64, answer: AnswerKind) -> Line {
        let answer = Answer { answer, id: None, error: Vec::new() };
        Line::Answer { call_number, at: String::new(), answer }
    }

    fn outcome(outcome: &str) -> Line {
        Line::Outcome(OutcomeLine {
            at: String::new(),
            key: "a".to_owned(),
            action: "update".to_owned(),
            id: None,
            outcome: outcome.to_owned(),
            job: None,
            status: None,
            read_back: None,
            calls: 3,
            error: Vec::new(),
        })
    }

    fn end() -> Line {
        Line::End(End { at: String::new(), outcomes: json!({}) })
    }

    fn settled(writes: &[&str]) -> Line {
        let write = |action: &&str| SettledWrite {
            key: "a".to_owned(),
            action: (*action).to_owned(),
            verdict: "took_effect".to_owned(),
            left_disabled: false,
        };
        Line::Settled(Settled { at: String::new(), writes: writes.iter().map(write).collect() })
    }

    fn text(lines: &[Line]) -> String {
        let lines = lines.iter().map(|line| serde_json::to_string(line).expect("plain data") + "\n");
        serde_json::to_string(&start()).expect("plain data") + "\n" + &lines.collect::<String>()
    }

    /// What is left of a journal: whether it is settled, and how many steps wait.
    #[track_caller]
    fn left(lines: &[Line], expected: (bool, usize)) {
        let found = read(&text(lines)).expect("a journal");
        assert_eq!((found.is_settled(), found.pending.len()), expected);
    }

    #[test]
    fn a_step_waits_from_its_first_intent_to_its_outcome() {
        left(&[], (false, 0));
        left(&[end()], (true, 0));
        left(&[intent(1, "update", Call::Update)], (false, 1));
        left(&[intent(1, "update", Call::Update), answer(1, AnswerKind::Accepted)], (false, 1));
        left(&[intent(1, "update", Call::Update), outcome("applied")], (false, 0));
        left(&[intent(1, "update", Call::Update), outcome("applied"), end()], (true, 0));
        left(&[intent(1, "update", Call::Update), outcome("unsettled"), end()], (false, 1));
        left(&[intent(1, "update", Call::Update), settled(&["update"])], (true, 0));
        left(&[intent(1, "update", Call::Update), settled(&[])], (false, 1));
        left(&[settled(&[])], (true, 0));
    }

    #[test]
    fn half_a_line_at_the_end_is_left_out() {
        let whole = text(&[intent(1, "update", Call::Update), outcome("applied"), end()]);
        for cut in 0..whole.len() {
            let n_lines = whole[..cut].matches('\n').count();
            // A line is as good without its line end.
            let is_at_end = whole[cut..].starts_with('\n');
            match (read(&whole[..cut]), n_lines + usize::from(is_at_end)) {
                (None, 0) => {}
                (Some(found), 1) => assert_eq!((found.is_settled(), found.pending.len()), (false, 0)),
                (Some(found), 2) => assert_eq!((found.is_settled(), found.pending.len()), (false, 1)),
                (Some(found), 3) => assert_eq!((found.is_settled(), found.pending.len()), (false, 0)),
                (Some(found), 4) => assert!(found.is_settled()),
                (found, n) => panic!("{n} lines: {found:?}"),
            }
        }
    }

    #[test]
    fn what_is_no_journal_of_this_version_is_left_alone() {
        assert!(read("").is_none() && read("{}").is_none() && read("\u{0}\n[]\n").is_none());
        let other = text(&[]).replace("\"format\":1", "\"format\":2");
        assert!(read(&other).is_none());
    }

    #[track_caller]
    fn check(lines: &[Line], live: Option<Value>, is_young: bool, expected: (Verdict, bool)) {
        let found = read(&text(lines)).expect("a journal");
        let [pending] = found.pending.as_slice() else { panic!("{found:?}") };
        let judged = pending.judge(live.map(LiveJob::new).as_ref(), is_young);
        assert_eq!((judged.verdict, judged.is_left_disabled), expected, "{judged:?}");
    }

    use Verdict::{CannotTell, DidNot, NotYet, TookEffect};

    #[test]
    fn an_update_is_told_by_its_stamp_and_by_what_was_there_before() {
        let sent = [intent(1, "update", Call::Update)];
        check(&sent, Some(job(json!({"description": STAMP, "timeout": 5}))), true, (TookEffect, false));
        check(&sent, Some(job(json!({}))), false, (DidNot, false));
        check(&sent, Some(job(json!({}))), true, (NotYet, false));
        check(&sent, Some(job(json!({"timeout": 6}))), false, (CannotTell, false));
        check(&sent, None, false, (CannotTell, false));
        let refused = [intent(1, "update", Call::Update), answer(1, AnswerKind::Refused)];
        check(&refused, None, true, (DidNot, false));
    }

    #[test]
    fn a_status_and_a_removal_are_told_by_reading() {
        let disable = [intent(1, "disable", Call::Disable)];
        check(&disable, Some(job(json!({"status": "Disabled"}))), true, (TookEffect, false));
        check(&disable, Some(job(json!({}))), false, (DidNot, false));
        let enable = [intent(1, "enable", Call::Enable)];
        check(&enable, Some(job(json!({}))), false, (TookEffect, false));
        check(&enable, Some(job(json!({"status": "Disabled"}))), true, (NotYet, false));
        let delete = [intent(1, "delete", Call::Delete)];
        check(&delete, None, true, (TookEffect, false));
        check(&delete, Some(job(json!({"deletedBy": {"date": 5}}))), true, (TookEffect, false));
        check(&delete, Some(job(json!({}))), false, (DidNot, false));
    }

    #[test]
    fn a_create_is_told_by_the_stamp_of_a_job_of_its_name() {
        let create = [intent(1, "create", Call::Create)];
        check(&create, Some(job(json!({"description": STAMP}))), true, (TookEffect, false));
        check(&create, Some(job(json!({}))), false, (CannotTell, false));
        check(&create, None, true, (NotYet, false));
        check(&create, None, false, (CannotTell, false));
    }

    #[test]
    fn a_job_that_was_disabled_for_an_edit_is_named() {
        let refused = [
            intent(1, "update", Call::Update),
            answer(1, AnswerKind::Refused),
            intent(2, "update", Call::Disable),
        ];
        let disabled = || Some(job(json!({"status": "Disabled"})));
        check(&refused, disabled(), false, (DidNot, true));
        check(&refused, Some(job(json!({}))), false, (DidNot, false));
        check(&refused, Some(job(json!({}))), true, (NotYet, false));
        let edited = [
            intent(1, "update", Call::Update),
            answer(1, AnswerKind::Refused),
            intent(2, "update", Call::Disable),
            answer(2, AnswerKind::Accepted),
            intent(3, "update", Call::Update),
        ];
        check(&edited, disabled(), false, (DidNot, true));
        check(&edited, disabled(), true, (NotYet, true));
        let live = json!({"status": "Disabled", "description": STAMP, "timeout": 5});
        check(&edited, Some(job(live)), true, (TookEffect, true));
        let live = json!({"description": STAMP, "timeout": 5});
        check(&edited, Some(job(live)), true, (TookEffect, false));
    }
}
