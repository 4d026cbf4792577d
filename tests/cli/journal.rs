//! What a run that was ended in the middle leaves behind, and what the next one makes of it; one apply at a time;
//! when a run stops; the audit.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use patchctl::simulator::{Behaviour, Call, EditEnabled, Effect, Fault, RecordedRequest};
use serde_json::{Value, json};

use crate::support::{LOGIN, Ran, Repo, Server, id, live_job, live_job_with, manifest};

const APPLY: [&str; 8] =
    ["apply", "--auto-approve", "--output", "json", "--settle-time", "0", "--max-deletes=1", "--prune=scan"];

/// What a manifest needs for its job to be armed.
const WHOLE: &str = "  startDateTime: 2030-01-05T03:00\n  status: Enabled\n  dynamicPatchesQQL: q\n  \
                     assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n";

/// A change of each kind, on a server that refuses to edit what is Enabled: `armed` is to be disabled, edited and
/// enabled, `keep` edited, `new` made and enabled, and `old` removed.
fn world() -> (Server, Repo) {
    let armed =
        json!({"status": "Enabled", "startDateTime": "2030-1-05 03:00:00 AM", "dynamicPatchesQQL": "q"});
    let jobs = vec![live_job_with(1, "armed", armed), live_job(2, "keep")];
    let server =
        Server::behaving(jobs, Behaviour { edit_enabled: EditEnabled::Refuse, ..Behaviour::default() });
    let repo = Repo::with(&[("old", "  startDateTime: 2030-01-05T03:00\n")]);
    repo.run_at(&server, &APPLY).ends(0);
    fs::remove_file(repo.path("jobs.d/old.yaml")).unwrap();
    repo.write("jobs.d/armed.yaml", manifest("armed", &format!("{WHOLE}  timeout: 5\n")));
    repo.write("jobs.d/keep.yaml", manifest("keep", "  timeout: 5\n"));
    repo.write("jobs.d/new.yaml", manifest("new", WHOLE));
    server.take_requests();
    (server, repo)
}

/// Names of the live jobs with their status and time-out.
fn state(server: &Server) -> BTreeSet<String> {
    let dump = server.dump();
    let jobs = dump["jobs"].as_array().unwrap().iter();
    jobs.map(|job| format!("{} {} {}", job["name"], job["status"], job["timeout"]).replace('"', "")).collect()
}

fn wanted() -> BTreeSet<String> {
    ["armed Enabled 5", "keep Disabled 5", "new Enabled null"].map(str::to_owned).into()
}

/// Runs an apply and kills it at its n-th call; what that call was.
fn killed_at(server: &Server, repo: &Repo, nth: u64, effect: Effect) -> RecordedRequest {
    server.take_requests();
    server.change(|behaviour| behaviour.fail_next = vec![Fault::next(effect).nth(nth)]);
    let mut child = started(server, repo, &APPLY);
    let nth = usize::try_from(nth).unwrap();
    while server.n_requests() < nth {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before its call {nth}");
        std::thread::yield_now();
    }
    let last = server.requests().swap_remove(nth - 1);
    child.kill().unwrap();
    child.wait().unwrap();
    server.change(|behaviour| behaviour.fail_next.clear());
    last
}

fn started(server: &Server, repo: &Repo, arguments: &[&str]) -> Child {
    let mut command = repo.command(arguments);
    command.args(["--gateway", &server.url()]).envs(LOGIN).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.spawn().unwrap()
}

fn is_write(call: Call) -> bool {
    matches!(call, Call::Update | Call::Create | Call::Status | Call::Delete)
}

/// The calls of the whole apply, where nobody stops it.
fn all_calls() -> Vec<RecordedRequest> {
    let (server, repo) = world();
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(state(&server), wanted());
    server.take_requests()
}

/// Applies until nothing is left, with what a person would allow on being told; every job is as it should be.
fn converges(server: &Server, repo: &Repo, case: &str) {
    let ran = repo.run_at(server, &APPLY);
    if ran.code() != Some(0) {
        // The one thing that is left to a person: whether a job is made after a create that does not show.
        let document = ran.json();
        let blocked: Vec<&Value> = document["changes"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|step| step["outcome"] == "blocked")
            .collect();
        assert!(
            blocked.iter().all(|step| step["key"] == "new") && !blocked.is_empty(),
            "{case}: {document:#}"
        );
        assert!(!state(server).iter().any(|job| job.starts_with("new ")), "{case}: {document:#}");
        repo.run_at(server, &[&APPLY[..], &["--allow-create", "new"]].concat()).ends(0);
    }
    assert_eq!(state(server), wanted(), "{case}");
    let last = repo.run_at(server, &["plan", "--detailed-exitcode", "--output", "json"]);
    // It may have shown only now that an older write took effect.
    let last = if last.json()["unsettled_runs"] == json!([]) {
        last
    } else {
        repo.run_at(server, &["plan", "--detailed-exitcode", "--output", "json"])
    };
    let document = last.ends(0).json();
    assert_eq!(document["unsettled_runs"], json!([]), "{case}: said more than once");
}

/// Kills an apply at one of its calls and goes on with and without the state folder.
fn killed(nth: u64, effect: &Effect, keeps_state: bool) {
    let (server, repo) = world();
    let call = killed_at(&server, &repo, nth, effect.clone());
    let case = format!("{effect:?} at call {nth}, {} {}, state kept: {keeps_state}", call.method, call.path);
    if keeps_state {
        let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0);
        let document = plan.json();
        let [run] = document["unsettled_runs"].as_array().unwrap().as_slice() else {
            panic!("{case}: {document:#}");
        };
        assert_eq!(run["interrupted"], true, "{case}");
        let writes = run["writes"].as_array().unwrap();
        let is_off = state(&server).iter().any(|job| job.starts_with("armed Disabled"));
        if is_write(call.call) {
            let [write] = writes.as_slice() else { panic!("{case}: {run:#}") };
            let verdict = write["verdict"].as_str().unwrap();
            let is_there = matches!(effect, Effect::HangAfter);
            // A refused edit changes nothing although it was processed.
            let expected: &[&str] = match (call.call, is_there) {
                (Call::Update, _) => &["took_effect", "not_yet"],
                // It is about the edit for which the job is disabled and enabled.
                (Call::Status, _) if write["key"] == "armed" => &["took_effect", "did_not", "not_yet"],
                (_, true) => &["took_effect", "not_yet"],
                (_, false) => &["not_yet"],
            };
            assert!(expected.contains(&verdict), "{case}: {run:#}");
            assert!(
                plan.stderr.contains(&format!("of run {}", run["run"].as_str().unwrap())),
                "{}",
                plan.stderr
            );
        }
        if is_off {
            let steps = document["changes"].as_array().unwrap();
            let enable =
                steps.iter().find(|step| step["key"] == "armed" && step["action"] == "enable").unwrap();
            assert!(enable["notes"].to_string().contains("this completes it"), "{case}: {enable:#}");
            assert_eq!(writes[0]["left_disabled"], true, "{case}");
        }
    } else {
        fs::remove_dir_all(repo.path(".patchctl")).unwrap();
    }
    converges(&server, &repo, &case);
}

fn killed_at_every_call(keeps_state: bool) {
    let calls = all_calls();
    // Before the first write is prepared there is nothing to leave behind.
    let first = calls.iter().position(|request| is_write(request.call)).unwrap() - 1;
    let mut cases: Vec<(u64, Effect)> = Vec::new();
    for (request, nth) in calls.iter().zip(1..).skip(first) {
        cases.push((nth, Effect::HangBefore));
        if is_write(request.call) {
            cases.push((nth, Effect::HangAfter));
        }
    }
    assert!(cases.len() > 20, "{}", cases.len());
    let next = std::sync::Mutex::new(cases.into_iter());
    std::thread::scope(|scope| {
        for _ in 0..3 {
            scope.spawn(|| {
                while let Some((nth, effect)) = { next.lock().unwrap().next() } {
                    killed(nth, &effect, keeps_state);
                }
            });
        }
    });
}

#[test]
fn killed_at_every_call_the_next_run_says_so_and_converges() {
    killed_at_every_call(true);
}

#[test]
fn killed_at_every_call_the_next_run_converges_without_the_state_folder() {
    killed_at_every_call(false);
}

/// The journals of a repository, oldest first.
fn journals(repo: &Repo) -> Vec<(std::path::PathBuf, Vec<Value>)> {
    let entries = fs::read_dir(repo.path(".patchctl/runs")).unwrap();
    let mut paths: Vec<_> = entries.map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let lines = |path: &std::path::PathBuf| {
        let text = fs::read_to_string(path).unwrap();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    };
    paths.into_iter().map(|path| (path.clone(), lines(&path))).collect()
}

#[test]
fn the_journal_holds_each_call_before_and_after_and_no_script() {
    let server = Server::of(vec![live_job(1, "a")]);
    let repo = Repo::empty();
    let script = "  preDeployActions:\n  - action: Run Script\n    params: { actionItem: Drain, timeout: 180 }\n    \
                  scriptType: ps\n    script: very-much-a-secret\n";
    repo.write("jobs.d/a.yaml", manifest("a", script));
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    repo.edit("jobs.d/a.yaml", "very-much-a-secret", "another-secret");
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let journals = journals(&repo);
    assert_eq!(journals.len(), 2);
    // The page names every member, and the lines hold no others.
    let page = fs::read_to_string(crate::support::sources().join("docs/journal.md")).unwrap();
    for line in journals.iter().flat_map(|(_, lines)| lines) {
        let kind = line["line"].as_str().unwrap();
        let row = page.lines().find(|row| row.starts_with(&format!("| `{kind}` |"))).unwrap();
        for name in line.as_object().unwrap().keys().filter(|name| *name != "line") {
            assert!(row.contains(&format!("`{name}`")), "`{name}` in {row}");
        }
    }
    for (path, lines) in &journals {
        let kinds: Vec<&str> = lines.iter().map(|line| line["line"].as_str().unwrap()).collect();
        assert_eq!(kinds, ["start", "intent", "answer", "outcome", "end"]);
        let text = fs::read_to_string(path).unwrap();
        use base64::Engine as _;
        let encode = |text: &str| base64::engine::general_purpose::STANDARD.encode(text);
        for secret in ["very-much-a-secret", "another-secret", "Bearer"] {
            assert!(!text.contains(secret) && !text.contains(&encode(secret)), "{text}");
        }
        assert_eq!(lines[0]["steps"], json!([{"key": "a", "action": "update", "id": id(1)}]));
        let intent = &lines[1];
        assert_eq!((&intent["key"], &intent["method"]), (&json!("a"), &json!("PATCH")));
        assert!(intent["body"]["preDeployActions"][0]["script"]["sha256"].is_string(), "{intent:#}");
        assert!(intent["expected"]["stamp"].as_str().unwrap().starts_with("[patchctl:team/a 1:"));
        assert_eq!(intent["before"]["name"], "a");
        assert_eq!((&lines[3]["outcome"], &lines[3]["calls"]), (&json!("applied"), &json!(3)));
        assert_eq!(lines[4]["outcomes"]["applied"], 1);
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            assert_eq!(fs::metadata(path).unwrap().permissions().mode() & 0o777, 0o600);
        }
    }
    let stored = journals[1].1[1]["before"]["preDeployActions"][0]["script"].as_str().unwrap();
    assert!(stored.ends_with("/Script"), "{stored}");
    // A run that has nothing to write leaves no journal.
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    assert_eq!(self::journals(&repo).len(), 2);
}

#[test]
fn nothing_is_sent_that_can_not_be_written_down() {
    let server = Server::of(vec![live_job(1, "a")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n")]);
    // In the way of the folder.
    repo.write(".patchctl/runs", "");
    repo.run_at(&server, &["apply", "--auto-approve"])
        .ends(1)
        .complains("the journal of this run could not be begun")
        .complains("nothing was changed");
    assert_eq!(server.take_counts().get("update"), None);
}

// --- two at once -----------------------------------------------------------------------------------------------

/// An apply that waits for the answer to its write.
fn hanging() -> (Server, Repo, Child) {
    let server = Server::of(vec![live_job(1, "a")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n")]);
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Update, Effect::HangBefore)]);
    let mut child = started(&server, &repo, &["apply", "--auto-approve"]);
    while !server.requests().iter().any(|request| request.call == Call::Update) {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it wrote");
        std::thread::yield_now();
    }
    (server, repo, child)
}

#[test]
fn the_second_apply_is_refused_and_told_of_the_first() {
    let (server, repo, mut first) = hanging();
    let second = repo.run_at(&server, &["apply", "--auto-approve", "--output", "json"]).ends(1);
    let run = journals(&repo)[0].1[0]["run"].as_str().unwrap().to_owned();
    let message = second.json()["error"]["message"][0].as_str().unwrap().to_owned();
    assert!(message.starts_with(&format!("run {run} (process {}, since 20", first.id())), "{message}");
    second.complains("--lock-wait");
    // A plan is not kept waiting, and does not take a run that goes on for one that was ended.
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0);
    assert_eq!(plan.json()["unsettled_runs"], json!([]));
    plan.complains(&format!("run {run} (process {}) is applying since", first.id()));
    first.kill().unwrap();
    first.wait().unwrap();
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0).complains(&format!("run {run} of 20"));
}

#[test]
fn the_second_apply_waits_where_it_is_told_to() {
    let (server, repo, mut first) = hanging();
    let mut second = started(&server, &repo, &["apply", "--auto-approve", "--lock-wait", "10m"]);
    let mut stderr = BufReader::new(second.stderr.take().unwrap());
    let mut line = String::new();
    stderr.read_line(&mut line).unwrap();
    assert!(line.starts_with("note: waiting for run ") && line.ends_with(" to end\n"), "{line}");
    first.kill().unwrap();
    first.wait().unwrap();
    let mut shown = String::new();
    second.stdout.take().unwrap().read_to_string(&mut shown).unwrap();
    assert!(shown.contains("1 applied of 1 step"), "{shown}");
    assert_eq!(second.wait().unwrap().code(), Some(0));
    assert_eq!(server.job(&id(1))["timeout"], 5);
}

// --- going on or stopping --------------------------------------------------------------------------------------

/// The outcomes of an apply of five updates, of which the second and third are refused.
#[track_caller]
fn two_refused(flags: &[&str], code: i32, expected: [&str; 5]) -> Value {
    let keys = ["a", "b", "c", "d", "e"];
    let server = Server::of(keys.iter().zip(1..).map(|(key, n)| live_job(n, key)).collect());
    let repo = Repo::with(&keys.map(|key| (key, "  timeout: 5\n")));
    let refused = Effect::Status { code: 400, body: None, headers: std::collections::BTreeMap::new() };
    let fault = |nth| Fault::on(Call::Update, refused.clone()).nth(nth);
    server.change(|behaviour| behaviour.fail_next = vec![fault(2), fault(3)]);
    let arguments = [&["apply", "--auto-approve", "--output", "json"], flags].concat();
    let document = repo.run_at(&server, &arguments).ends(code).json();
    let steps = document["changes"].as_array().unwrap();
    let outcomes: Vec<&str> = steps.iter().map(|step| step["outcome"].as_str().unwrap()).collect();
    assert_eq!(outcomes, expected);
    // The summary adds up to the plan.
    let counts = document["outcomes"].as_object().unwrap();
    assert_eq!(counts.values().map(|n| n.as_u64().unwrap()).sum::<u64>(), 5);
    for (kind, n) in counts {
        assert_eq!(outcomes.iter().filter(|outcome| *outcome == kind).count() as u64, n.as_u64().unwrap());
    }
    document
}

#[test]
fn a_run_goes_on_after_a_failure_unless_it_is_told_to_stop() {
    two_refused(&[], 4, ["applied", "failed", "failed", "applied", "applied"]);
    two_refused(&["--max-failures", "3"], 4, ["applied", "failed", "failed", "applied", "applied"]);
    let stopped =
        two_refused(&["--max-failures", "2"], 4, ["applied", "failed", "failed", "skipped", "skipped"]);
    let words = "stopped after 2 failures, the last of them `c:update`";
    assert_eq!(stopped["changes"][4]["error"]["message"], json!([words]));
    let stopped = two_refused(&["--fail-fast"], 4, ["applied", "failed", "skipped", "skipped", "skipped"]);
    let words = "stopped after 1 failure, the last of them `b:update`";
    assert_eq!(stopped["changes"][2]["error"]["message"], json!([words]));
}

#[test]
fn the_two_ways_to_stop_exclude_each_other() {
    let repo = Repo::empty();
    repo.run(&["apply", "--fail-fast", "--max-failures", "2"]).ends(64);
    repo.run(&["apply", "--max-failures", "0"]).ends(64);
}

// --- audit -----------------------------------------------------------------------------------------------------

fn lines(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const NOTIFIED: &str = "  timeout: 5\n  notification:\n    notificationTypes: { email: true }\n    \
                        notificationConfigs: { recipientEmails: [anna@acme.example] }\n";

#[test]
fn the_audit_has_a_line_for_each_step_and_no_value() {
    let server = Server::of(vec![live_job(1, "a"), live_job(2, "b")]);
    let repo = Repo::with(&[("a", NOTIFIED), ("b", "  timeout: 5\n")]);
    let refused = Effect::Status { code: 400, body: None, headers: std::collections::BTreeMap::new() };
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Update, refused).nth(2)]);
    let apply = |flags: &[&str]| -> Ran {
        let mut command = repo.command(&[&["apply", "--auto-approve"], flags].concat());
        command.args(["--gateway", &server.url()]).envs(LOGIN);
        command.envs([("USER", "root"), ("GITLAB_USER_LOGIN", "anna.k")]);
        Ran::of(&mut command, &repo)
    };
    let first = apply(&["--audit", "audit.jsonl", "--output", "json"]).ends(4).json();
    let text = repo.read("audit.jsonl");
    assert!(!text.contains("acme.example"), "{text}");
    let [a, b] = <[Value; 2]>::try_from(lines(&text)).unwrap();
    assert_eq!((&a["run"], &b["run"]), (&first["run"], &first["run"]));
    assert_eq!((&a["operator"], &a["key"], &a["id"]), (&json!("anna.k"), &json!("a"), &json!(id(1))));
    assert_eq!((&a["action"], &a["outcome"], &a["calls"]), (&json!("update"), &json!("applied"), &json!(3)));
    assert!(a["members"].as_array().unwrap().contains(&json!("/timeout")), "{a:#}");
    assert!(a["members"].to_string().contains("/recipientEmails"), "{a:#}");
    assert_eq!((&b["outcome"], &b["calls"], &b["commit"]), (&json!("failed"), &json!(2), &Value::Null));
    // It is appended to.
    apply(&["--audit", "audit.jsonl"]).ends(0);
    assert_eq!(lines(&repo.read("audit.jsonl")).len(), 3);
    // On stdout it stands alone.
    repo.edit("jobs.d/b.yaml", "timeout: 5", "timeout: 6");
    let ran = apply(&["--audit", "-"]).ends(0);
    assert_eq!(lines(&ran.stdout).len(), 1, "{}", ran.stdout);
    ran.complains("Apply: 1 applied of 1 step");
}

#[test]
fn an_audit_that_can_not_be_written_stops_the_run_before_it_writes() {
    let server = Server::of(vec![live_job(1, "a")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n")]);
    repo.run_at(&server, &["apply", "--auto-approve", "--audit", "no/such/folder"])
        .ends(1)
        .complains("the audit file `no/such/folder` can not be written");
    repo.run_at(&server, &["apply", "--auto-approve", "--audit", "-", "--output", "json"])
        .ends(64)
        .complains("both want stdout");
    assert_eq!(server.take_counts().get("update"), None);
}
