//! The protocol of one write: what it costs where nothing goes wrong, what is told where something does, and answers
//! that are lost, each of which took effect, did not (then it is sent once more), or cannot be told.

use std::io::{BufRead, BufReader, Read};
use std::process::Stdio;

use patchctl::simulator::{Behaviour, Call, Effect, Event, Fault, Lag, Meanwhile, Updates};
use serde_json::{Value, json};

use crate::support::{LOGIN, Repo, Server, files_below, id, live_job, live_job_with, manifest, says_nothing};

const APPLY: [&str; 6] = ["apply", "--auto-approve", "--output", "json", "--settle-time", "0"];

/// What a job must have to be armed.
const WHOLE: &str = "  startDateTime: 2030-01-05T03:00\n  dynamicPatchesQQL: q\n  \
                     assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n";

/// One write of some kind and the jobs for it.
struct Write {
    call: Call,
    server: Server,
    repo: Repo,
    arguments: Vec<&'static str>,
    is_done: fn(&Server) -> bool,
}

fn armable(status: &str, schedule: Value) -> Value {
    let mut job = live_job_with(1, "job", json!({"dynamicPatchesQQL": "q", "status": status}));
    job["startDateTime"] = "2030-1-05 03:00:00 AM".into();
    job.as_object_mut().unwrap().extend(schedule.as_object().unwrap().clone());
    job
}

fn status(server: &Server) -> String {
    server.job(&id(1))["status"].as_str().unwrap().to_owned()
}

fn update() -> Write {
    Write {
        call: Call::Update,
        server: Server::of(vec![live_job(1, "job")]),
        repo: Repo::with(&[("job", "  timeout: 5\n")]),
        arguments: Vec::new(),
        is_done: |server| server.job(&id(1))["timeout"] == 5,
    }
}

fn enable() -> Write {
    Write {
        call: Call::Status,
        server: Server::of(vec![armable("Disabled", json!({}))]),
        repo: Repo::with(&[("job", &format!("{WHOLE}  status: Enabled\n"))]),
        arguments: Vec::new(),
        is_done: |server| status(server) == "Enabled",
    }
}

fn disable() -> Write {
    Write {
        server: Server::of(vec![armable("Enabled", json!({}))]),
        repo: Repo::with(&[("job", &format!("{WHOLE}  status: Disabled\n"))]),
        is_done: |server| status(server) == "Disabled",
        ..enable()
    }
}

fn enable_once() -> Write {
    let schedule = json!({"scheduleType": "On-demand", "recurring": false, "recurringWeekDays": null,
        "startDateTime": null});
    let text = manifest("job", "  dynamicPatchesQQL: q\n  status: Enabled\n");
    let repo = Repo::empty();
    let once = text.replace("scheduleType: Weekly\n  recurringWeekDays: [Wed]", "scheduleType: On-demand");
    repo.write("jobs.d/job.yaml", once);
    Write {
        server: Server::of(vec![armable("Disabled", schedule)]),
        repo,
        arguments: vec!["--allow-run-once", "job"],
        is_done: |server| status(server) != "Disabled",
        ..enable()
    }
}

fn create() -> Write {
    Write {
        call: Call::Create,
        server: Server::of(Vec::new()),
        repo: Repo::with(&[("job", WHOLE)]),
        is_done: |server| !server.dump()["jobs"].as_array().unwrap().is_empty(),
        ..update()
    }
}

fn delete() -> Write {
    let server = Server::of(Vec::new());
    let repo = Repo::with(&[("job", WHOLE)]);
    repo.run_at(&server, &APPLY).ends(0);
    std::fs::remove_file(repo.path("jobs.d/job.yaml")).unwrap();
    repo.write("jobs.d/other.yaml", manifest("other", WHOLE).replace("name: job", "name: other"));
    repo.run_at(&server, &APPLY).ends(0);
    server.take_requests();
    Write {
        call: Call::Delete,
        server,
        repo,
        arguments: vec!["--prune", "--max-deletes", "1"],
        is_done: |server| server.dump()["jobs"].as_array().unwrap().len() == 1,
    }
}

impl Write {
    /// Applies with faults at its calls, in their order: how it ends, and how often it was sent.
    #[track_caller]
    fn meets(&self, effects: &[Effect], code: i32) -> (Value, usize) {
        let faults = effects.iter().map(|effect| Fault::on(self.call, effect.clone())).collect();
        self.server.change(|behaviour| behaviour.fail_next = faults);
        let done = self.repo.run_at(&self.server, &[&APPLY[..], &self.arguments].concat()).ends(code).json();
        let counts = self.server.take_counts();
        let kind = serde_json::to_value(self.call).unwrap();
        (done["changes"][0].clone(), counts.get(kind.as_str().unwrap()).copied().unwrap_or_default())
    }
}

const MORE: &str = "the first answer was lost and the job was as before, so it was sent once more";

#[test]
fn a_write_that_did_not_take_effect_is_sent_once_more() {
    for make in [update, enable, disable, delete] {
        let write = make();
        let (change, n_sent) = write.meets(&[Effect::CloseBefore], 0);
        assert_eq!((&change["outcome"], n_sent), (&json!("applied"), 2), "{change:#}");
        assert!(change["notes"].to_string().contains(MORE), "{change:#}");
        assert!((write.is_done)(&write.server));
        // Each sending is an intent of its own, with its answer.
        let journals = files_below(&write.repo.path(".patchctl/runs"));
        let text = String::from_utf8(journals.values().next_back().unwrap().clone()).unwrap();
        let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let kinds: Vec<&str> = lines.iter().map(|line| line["line"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["start", "intent", "answer", "intent", "answer", "outcome", "end"]);
        assert_eq!((&lines[2]["answer"], &lines[4]["answer"]), (&json!("unclear"), &json!("accepted")));
        assert_ne!(lines[1]["call_number"], lines[3]["call_number"]);
    }
}

#[test]
fn a_write_that_took_effect_is_not_sent_again() {
    for make in [update, enable, disable, delete, enable_once, create] {
        for effect in [Effect::CloseAfter, Effect::Truncated, Effect::Garbage] {
            let write = make();
            let (change, n_sent) = write.meets(std::slice::from_ref(&effect), 0);
            assert_eq!((&change["outcome"], n_sent), (&json!("applied"), 1), "{effect:?} {change:#}");
            assert!((write.is_done)(&write.server));
        }
    }
}

#[test]
fn twice_is_the_most() {
    for make in [update, enable, disable, delete] {
        let write = make();
        let (change, n_sent) = write.meets(&[Effect::CloseBefore, Effect::CloseBefore], 4);
        assert_eq!((&change["outcome"], n_sent), (&json!("unsettled"), 2), "{change:#}");
        let help = "it was sent twice and does not show, or not yet; run plan before applying again";
        assert_eq!(change["error"]["help"], help);
        assert!(!(write.is_done)(&write.server));
        let (change, n_sent) = write.meets(&[], 0);
        assert_eq!((&change["outcome"], n_sent), (&json!("applied"), 1), "the next run does it: {change:#}");
    }
}

/// Two new jobs would patch the same servers, and a job that runs once might start twice.
#[test]
fn what_twice_is_not_as_good_as_once_is_never_sent_again() {
    for make in [create, enable_once] {
        let write = make();
        let (change, n_sent) = write.meets(&[Effect::CloseBefore], 4);
        assert_eq!((&change["outcome"], n_sent), (&json!("unsettled"), 1), "{change:#}");
        assert!(!(write.is_done)(&write.server));
    }
}

/// A refusal of the second proves nothing: the first one may have made it impossible, or may still show.
#[test]
fn a_second_sending_that_is_refused_is_settled_by_reading_too() {
    for make in [update, enable, disable, delete] {
        for code in [400, 429] {
            let write = make();
            let refused =
                Effect::Status { code, body: None, headers: [("retry-after".into(), "0".into())].into() };
            let (change, n_sent) = write.meets(&[Effect::CloseBefore, refused], 4);
            assert_eq!((&change["outcome"], n_sent), (&json!("unsettled"), 2), "{code} {change:#}");
            let message = change["error"]["message"].to_string();
            assert!(message.contains("the answer to the first sending was lost"), "{message}");
        }
    }
}

/// The reads lag for ever: what is done twice is what it is done once.
#[test]
fn a_second_sending_does_no_harm_where_the_first_one_shows_late() {
    for make in [update, enable, disable, delete] {
        let write = make();
        write.server.change(|behaviour| behaviour.get_lag = Lag::Never);
        let (change, n_sent) = write.meets(&[Effect::CloseAfter], 4);
        assert_eq!((&change["outcome"], n_sent), (&json!("unsettled"), 2), "{change:#}");
        assert!((write.is_done)(&write.server));
        write.server.change(|behaviour| behaviour.get_lag = Lag::None);
        write.repo.run_at(&write.server, &["plan", "--detailed-exitcode", "--refresh"]).ends(0);
    }
}

#[test]
fn nothing_is_sent_again_to_a_job_that_somebody_edited_meanwhile() {
    for (make, n_reads) in [(update as fn() -> Write, 3), (enable, 3), (disable, 3)] {
        let write = make();
        let merge = json!({"duringDeployment": {"userMessage": "By hand"}}).as_object().unwrap().clone();
        let edit = Event::Edit { id: id(1), user: "anna.k".to_owned(), merge, scripts: [].into() };
        // Reads: for the plan, before the write, after it.
        write
            .server
            .change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, n_reads, edit)));
        let (change, n_sent) = write.meets(&[Effect::CloseBefore], 4);
        assert_eq!((&change["outcome"], n_sent), (&json!("unsettled"), 1), "{change:#}");
        assert!(!(write.is_done)(&write.server));
    }
}

#[test]
fn nothing_is_sent_again_after_ctrl_c() {
    let Write { server, repo, .. } = update();
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Update, Effect::CloseBefore)]);
    let mut command =
        repo.command(&["apply", "--auto-approve", "--settle-time", "10m", "--gateway", &server.url()]);
    let mut child = command.envs(LOGIN).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // The read after the lost write: from then on it waits.
    let n_reads = || server.requests().iter().filter(|request| request.call == Call::Get).count();
    while n_reads() < 3 {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it settled");
        std::thread::yield_now();
    }
    let sent = std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    assert!(sent.success());
    let mut line = String::new();
    BufReader::new(child.stderr.take().unwrap()).read_line(&mut line).unwrap();
    assert!(line.starts_with("interrupted: "), "{line}");
    let mut shown = String::new();
    child.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(4), "{shown}");
    assert!(shown.contains("unsettled     update job"), "{shown}");
    assert_eq!(server.take_counts()["update"], 1);
}

// --- what one write costs and tells ------------------------------------------------------------------------------

#[test]
fn a_write_costs_three_calls_where_nothing_goes_wrong() {
    for (make, kind) in [
        (update as fn() -> Write, "update"),
        (enable, "status"),
        (disable, "status"),
        (enable_once, "status"),
    ] {
        let Write { server, repo, arguments, .. } = make();
        repo.run_at(&server, &["plan"]).ends(0);
        let planning = server.take_counts();
        repo.run_at(&server, &[&APPLY[..], &arguments].concat()).ends(0);
        let mut expected = planning.clone();
        // The plan's own read is remembered.
        expected.insert("get".to_owned(), 2);
        expected.insert(kind.to_owned(), 1);
        assert_eq!(server.take_counts(), expected);
    }
}

#[test]
fn a_write_that_shows_late_is_waited_for() {
    for make in [update, enable, disable] {
        let Write { server, repo, .. } = make();
        server.change(|behaviour| behaviour.get_lag = Lag::Calls(2));
        let apply = ["apply", "--auto-approve", "--output", "json", "--settle-time", "30s"];
        let done = repo.run_at(&server, &apply).ends(0).json();
        assert_eq!(done["changes"][0]["outcome"], "applied", "{done:#}");
    }
}

/// The member, who and when, for people and for programs.
#[test]
fn stale_names_member_who_and_when() {
    for is_json in [false, true] {
        let Write { server, repo, .. } = update();
        let merge = json!({"timeout": 9}).as_object().unwrap().clone();
        let edit = Event::Edit { id: id(1), user: "anna.k".to_owned(), merge, scripts: [].into() };
        server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 2, edit)));
        let arguments = if is_json { &APPLY[..] } else { &APPLY[..2] };
        let ran = repo.run_at(&server, arguments).ends(3);
        if is_json {
            let error = ran.json()["changes"][0]["error"].clone();
            let expected = json!([{"path": "/timeout", "before": 4, "after": 9, "expected": 4, "found": 9}]);
            assert_eq!(error["fields"], expected);
            assert_eq!(error["changed_by"]["name"], "anna.k");
            assert!(error["changed_by"]["at"].as_str().unwrap().starts_with("2026-09-21T"), "{error:#}");
        } else {
            ran.says("last edited by anna.k on 2026-09-21 at ").says("timeout: 4 -> 9");
        }
    }
}

#[test]
fn not_converged_names_what_was_sent_expected_and_found() {
    for is_json in [false, true] {
        let Write { server, repo, .. } = update();
        let merge = json!({"timeout": 3}).as_object().unwrap().clone();
        let back = Event::Edit { id: id(1), user: "anna.k".to_owned(), merge, scripts: [].into() };
        server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 3, back)));
        let arguments = if is_json { &APPLY[..] } else { &APPLY[..2] };
        let ran = repo.run_at(&server, arguments).ends(4);
        if is_json {
            let expected =
                json!([{"path": "/timeout", "before": 3, "after": 5, "sent": 5, "expected": 5, "found": 3}]);
            assert_eq!(ran.json()["changes"][0]["error"]["fields"], expected);
        } else {
            ran.says("not converged update job").says("timeout: sent 5, expected 5, found 3");
        }
    }
}

#[test]
fn collateral_names_what_was_sent_expected_and_found() {
    for is_json in [false, true] {
        let server = Server::behaving(vec![live_job(1, "job")], says_nothing(Updates::Replace));
        let repo = Repo::with(&[("job", "  timeout: 5\n")]);
        let arguments = if is_json { &APPLY[..] } else { &APPLY[..2] };
        let ran = repo.run_at(&server, &[arguments, &["--updates", "minimal"]].concat()).ends(4);
        if is_json {
            let fields = ran.json()["changes"][0]["error"]["fields"].clone();
            let zone = fields.as_array().unwrap().iter().find(|field| field["path"] == "/timezone").unwrap();
            // The request did not hold it: there is no `sent`.
            let expected = json!({"path": "/timezone", "before": "UTC", "after": null, "expected": "UTC", "found": null});
            assert_eq!(*zone, expected);
        } else {
            ran.says("timezone: not sent, expected UTC, found (none)");
        }
    }
}

/// A member that was sent as it was, in a whole body, and came out as something else.
#[test]
fn collateral_of_a_whole_body_says_that_it_was_sent() {
    let behaviour = Behaviour { updates: Updates::Replace, ..Behaviour::default() };
    let server = Server::behaving(vec![live_job(1, "job")], behaviour);
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    let merge = json!({"timezone": "Europe/Paris"}).as_object().unwrap().clone();
    let edit = Event::Edit { id: id(1), user: "anna.k".to_owned(), merge, scripts: [].into() };
    server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 3, edit)));
    let ran = repo.run_at(&server, &["apply", "--auto-approve"]).ends(4);
    ran.says("last edited by anna.k").says("timezone: sent UTC, expected UTC, found Europe/Paris");
}
