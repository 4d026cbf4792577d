use serde_json::json;

use super::*;
use crate::journal::{Step, Undoes};
use crate::normalise;
use crate::patch::Envelope;
use crate::plan::{Decisions, RunOnce};
use crate::source::{SourceFile, Span};

/// A journal of a run that set `timeout` of job 1 from 4 to 5, with what else is given.
fn journal(more: &[Value]) -> String {
    let start = json!({"line": "start", "format": 1, "run": "r", "at": "", "gateway": "g", "owner": "us", "commit": null,
        "version": "1", "pid": 1, "fingerprint": "", "steps": [
            {"key": "a", "action": "update", "id": "1"}, {"key": "b", "action": "update", "id": "2"}]});
    [start].iter().chain(more).map(|line| format!("{line}\n")).collect()
}

fn job(members: Value) -> Value {
    let mut job = json!({"id": "1", "name": "A", "type": "Install", "platform": "Windows", "status": "Disabled",
        "scheduleType": "Weekly", "timeout": 4, "timeoutUnit": "HOURS", "description": "Mine"});
    for (name, value) in members.as_object().expect("members") {
        job[name] = value.clone();
    }
    job
}

fn intent(action: &str, call: &str, before: Value) -> Value {
    json!({"line": "intent", "call_number": 1, "at": "", "key": "a", "id": "1", "name": "A", "platform": "Windows",
        "action": action, "call": call, "method": "", "path": "", "expected": {"stamp": null, "job": null, "status": null},
        "body": {"type": "Install", "timeout": 5}, "before": before})
}

fn outcome(action: &str, outcome: &str, read_back: Value) -> Value {
    json!({"line": "outcome", "at": "", "key": "a", "action": action, "id": "1", "outcome": outcome, "job": null,
        "status": null, "calls": 3, "read_back": read_back})
}

fn update(became: &str) -> Vec<Value> {
    vec![intent("update", "update", job(json!({}))), outcome("update", became, job(json!({"timeout": 5})))]
}

#[track_caller]
fn inverse(lines: &[Value], live: Option<Value>, leave: &Leave) -> Inverse {
    let policy = Policy {
        owner: "us".to_owned(),
        envelope: Envelope::Minimal,
        is_whole: true,
        now: 0,
        record: None,
        run_once: RunOnce::default(),
        api_users: crate::snapshot::ApiUsers::default(),
        decisions: Decisions::default(),
        set_scripts: Vec::new(),
        allow_script_loss: Vec::new(),
        tag_names: BTreeMap::new(),
        findings_stop: true,
        ignore: crate::ignore::Rules::default(),
    };
    let jobs = BTreeMap::from([("1".to_owned(), live.map(LiveJob::new))]);
    let (stamps, declared) = (StampCounts::default(), BTreeMap::new());
    let place = Place::new(&SourceFile::new("journal", ""), Span::new(0, 0));
    let now = Now { jobs: &jobs, rows: &[], stamps: &stamps };
    let look = Look {
        policy: &policy,
        now,
        leave,
        declared: &declared,
        place: &place,
        command: "patchctl revert r",
        is_wanted: &|_| true,
    };
    plan(&read(&journal(lines)).expect("a journal"), look)
}

/// `action: path before -> after, …` of each step.
#[track_caller]
fn check(lines: &[Value], live: Value, expected: &[&str]) {
    let found = inverse(lines, (!live.is_null()).then_some(live), &Leave::default());
    let words: Vec<String> = found
        .plan
        .changes
        .iter()
        .map(|change| {
            let fields = change
                .fields
                .iter()
                .map(|field| format!(" {} {}->{}", field.path, field.before, field.after));
            format!("{}:{}", change.action.as_str(), fields.collect::<Vec<_>>().join(","))
        })
        .collect();
    assert_eq!(words, expected, "{:?}", found.plan.changes);
}

#[test]
fn only_a_journal_of_this_format_is_read() {
    assert_eq!(read("").err(), Some(Unusable::NoJournal));
    assert_eq!(read("{\"line\":\"end\",\"format\":1}\n").err(), Some(Unusable::NoJournal));
    assert_eq!(read("{\"line\":\"start\",\"format\":1}\n").err(), Some(Unusable::NoJournal));
    assert_eq!(read("{\"line\":\"start\",\"format\":3}\n").err(), Some(Unusable::Format(3)));
    let run = read(&(journal(&update("applied")) + "{\"line\":\"outc")).expect("a journal");
    assert_eq!((run.n_damaged, run.jobs.len()), (1, 1));
    assert_eq!(run.without_effect, [("b".to_owned(), "update".to_owned(), "not begun".to_owned())]);
}

#[test]
fn a_member_goes_back_and_only_it() {
    let live = job(json!({"timeout": 5, "minimizeWindow": true, "description": "Theirs"}));
    check(&update("applied"), live, &["update: /timeout 5->4"]);
    // The server kept another value than the one that was sent.
    let lines = vec![
        intent("update", "update", job(json!({}))),
        outcome("update", "not_converged", job(json!({"timeout": 6}))),
    ];
    check(&lines, job(json!({"timeout": 6})), &["update: /timeout 6->4"]);
    // A journal without the job as it was read back, as older ones are.
    let lines = vec![intent("update", "update", job(json!({}))), outcome("update", "applied", Value::Null)];
    check(&lines, job(json!({"timeout": 5})), &["update: /timeout 5->4"]);
}

#[test]
fn what_is_back_already_or_never_was_done_needs_nothing() {
    check(&update("applied"), job(json!({})), &[]);
    for nothing in ["stale", "blocked", "held", "skipped", "unchanged", "failed"] {
        let mut lines = update(nothing);
        lines.insert(
            1,
            json!({"line": "answer", "call_number": 1, "at": "", "answer": "refused", "id": null}),
        );
        check(&lines, job(json!({"timeout": 5})), &[]);
    }
}

#[test]
fn what_moved_since_is_held_unless_allowed() {
    check(&update("applied"), job(json!({"timeout": 9})), &["held: /timeout 5->9"]);
    let leave = Leave { overrides: ["a".to_owned()].into(), ..Leave::default() };
    let found = inverse(&update("applied"), Some(job(json!({"timeout": 9}))), &leave);
    let [change] = found.plan.changes.as_slice() else { panic!("{:?}", found.plan.changes) };
    assert_eq!((change.action, &change.fields[0].after), (Action::Update, &json!(4)));
    assert!(change.notes.iter().any(|note| note.starts_with("overwrites")), "{:?}", change.notes);
}

#[test]
fn a_write_that_nobody_can_tell_of_is_blocked() {
    for lines in [vec![intent("update", "update", job(json!({})))], update("unsettled")] {
        check(&lines, job(json!({"timeout": 5})), &["blocked:"]);
        let settled = |verdict: &str| {
            let write = json!({"key": "a", "action": "update", "verdict": verdict});
            [lines.clone(), vec![json!({"line": "settled", "at": "", "writes": [write]})]].concat()
        };
        check(&settled("took_effect"), job(json!({"timeout": 5})), &["update: /timeout 5->4"]);
        check(&settled("did_not"), job(json!({})), &[]);
        check(&settled("cannot_tell"), job(json!({"timeout": 5})), &["blocked:"]);
    }
}

#[test]
fn a_status_goes_back_where_that_can_be() {
    let armed = |schedule: &str| job(json!({"status": "Enabled", "scheduleType": schedule}));
    let lines = |schedule: &str| {
        vec![
            intent("enable", "enable", job(json!({"scheduleType": schedule}))),
            outcome("enable", "applied", armed(schedule)),
        ]
    };
    check(&lines("Weekly"), armed("Weekly"), &["disable: /status \"Enabled\"->\"Disabled\""]);
    check(&lines("Weekly"), job(json!({})), &[]);
    check(&lines("Once"), armed("Once"), &["blocked:"]);
    check(&lines("On-demand"), armed("On-demand"), &["blocked:"]);
}

#[test]
fn another_owners_job_and_one_that_is_gone_are_left_alone() {
    let theirs = json!({"timeout": 5, "description": "[patchctl:them/a 1:00000001:00000002:00000003]"});
    check(&update("applied"), job(theirs), &["blocked:"]);
    check(&update("applied"), Value::Null, &["blocked:"]);
    let deleted = json!({"timeout": 5, "deletedBy": {"user": null, "date": 1}});
    check(&update("applied"), job(deleted), &["blocked:"]);
}

#[test]
fn the_stamp_is_the_former_one_or_none() {
    let found = inverse(&update("applied"), Some(job(json!({"timeout": 5}))), &Leave::default());
    let basis = found.plan.changes[0].basis.as_ref().expect("a step that writes");
    assert_eq!(basis.description.as_deref(), Some("Mine"));
    let before = job(json!({"description": "Mine\n[patchctl:us/a 1:00000001:00000002:00000003]"}));
    let digest = stamp::job_digest(&normalise::live(&before));
    let lines =
        [intent("update", "update", before), outcome("update", "applied", job(json!({"timeout": 5})))];
    let found = inverse(&lines, Some(job(json!({"timeout": 5}))), &Leave::default());
    let basis = found.plan.changes[0].basis.as_ref().expect("a step that writes");
    let expected = format!("Mine\n[patchctl:us/a 1:00000001:{digest}:00000003]");
    assert_eq!(basis.description.as_deref(), Some(expected.as_str()));
}

#[test]
fn what_the_run_left_alone_is_told_in_words() {
    let told = |lines: &[Value]| {
        let left_out = inverse(lines, Some(job(json!({}))), &Leave::default()).left_out;
        left_out.into_iter().filter(|(_, why)| !why.ends_with("not begun")).collect::<Vec<_>>()
    };
    let held = told(&[outcome("held", "held", Value::Null)]);
    assert_eq!(held, [("a".to_owned(), "the run left it alone, it was held".to_owned())]);
    let failed = told(&[outcome("update", "failed", Value::Null)]);
    assert_eq!(failed, [("a".to_owned(), "its update changed nothing: failed".to_owned())]);
}

/// A run of one update of `a`, as what it is of another.
fn run(id: &str, undoes: Option<&str>, became: &str) -> PastRun {
    let mut run = read(&journal(&update(became))).expect("a journal");
    run.start.run = id.to_owned();
    run.start.steps = vec![Step { key: "a".to_owned(), action: "update".to_owned(), id: None }];
    run.start.undoes = undoes.map(|of| Undoes { run: of.to_owned(), left_out: Vec::new() });
    run
}

#[test]
fn a_run_is_undone_while_what_undid_it_stands() {
    let fates = |runs: &[PastRun]| -> Vec<String> {
        let undoings = Undoings::of(runs.iter().rev());
        runs.iter().map(|run| format!("{:?}", undoings.since(run))).collect()
    };
    let mut runs = vec![run("1", None, "applied"), run("2", Some("1"), "applied")];
    assert_eq!(fates(&runs), ["Undone(\"2\")", "Stands"]);
    runs.push(run("3", Some("2"), "applied"));
    assert_eq!(fates(&runs), ["Stands", "Undone(\"3\")", "Stands"]);
    runs.push(run("4", Some("3"), "not_converged"));
    assert_eq!(fates(&runs), ["Stands", "Undone(\"3\")", "Stands", "Stands"]);
}
