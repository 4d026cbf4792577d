//! `patchctl revert` beside other people: what the run did not do is not undone, what is not known is not guessed, and
//! what earlier runs knew of a job is known after it.

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use patchctl::simulator::{Call, Effect, Event, Fault, Meanwhile, ThrottleForm};
use serde_json::{Map, Value, json};

use crate::identity::{commit, git};
use crate::support::{
    CUSTOMER, LOGIN, Ran, Repo, Server, id, live_job, live_job_with, live_script, manifest,
};

const APPLY: [&str; 4] = ["apply", "--auto-approve", "--settle-time", "0"];
const REVERT: [&str; 4] = ["revert", "--auto-approve", "--settle-time", "0"];

/// What a manifest needs for its job to be made and armed.
const WHOLE: &str = "  startDateTime: 2030-01-05T03:00\n  dynamicPatchesQQL: q\n  \
                     assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n";

/// [`live_job`] that is as [`WHOLE`] says, with members laid over it.
fn whole_job(n: u8, name: &str, members: Value) -> Value {
    let mut whole = json!({"startDateTime": "2030-1-05 03:00:00 AM", "dynamicPatchesQQL": "q"});
    whole.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    live_job_with(n, name, whole)
}

fn write(repo: &Repo, key: &str, lines: &str) {
    repo.write(&format!("jobs.d/{key}.yaml"), manifest(key, lines));
}

fn id_of(server: &Server, name: &str, platform: &str) -> Option<String> {
    let jobs = server.dump()["jobs"].as_array().unwrap().clone();
    let job = jobs.into_iter().find(|job| job["name"] == name && job["platform"] == platform)?;
    Some(job["id"].as_str().unwrap().to_owned())
}

/// The run that a command ended with.
fn run_of(ran: &Ran) -> String {
    let rest = ran.stdout.split("Undo with: patchctl revert ").nth(1).unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

/// What was said, without line breaks.
fn in_one_line(ran: &Ran) -> String {
    ran.stdout.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn edit_of_anna(n: u8, merge: Value) -> Event {
    let merge: Map<String, Value> = serde_json::from_value(merge).unwrap();
    Event::Edit { id: id(n), user: "anna.k".to_owned(), merge, scripts: BTreeMap::new() }
}

#[test]
fn an_edit_during_the_wait_for_the_rate_limit_is_not_undone() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "  minimizeWindow: true\n")]);
    let throttle = Effect::Throttle { form: ThrottleForm::RetryAfter, seconds: 0 };
    server.change(|behaviour| {
        behaviour.fail_next = vec![Fault::on(Call::Update, throttle)];
        // Read for the plan, before the write that is turned away, and before the one that passes.
        behaviour.meanwhile = vec![Meanwhile::before(Call::Get, 3, edit_of_anna(1, json!({"timeout": 6})))];
    });
    repo.run_at(&server, &APPLY).ends(0);
    let members = |server: &Server| {
        let job = server.job(&id(1));
        (job["timeout"].clone(), job["minimizeWindow"].as_bool().unwrap_or_default())
    };
    assert_eq!(members(&server), (json!(6), true));
    repo.run_at(&server, &REVERT).ends(0).says("1 member goes back to what it was");
    assert_eq!(members(&server), (json!(6), false));
}

#[test]
fn an_edit_between_two_steps_of_the_run_is_not_undone() {
    let server = Server::of(vec![whole_job(1, "job", json!({"status": "Enabled"}))]);
    let repo = Repo::with(&[("job", "  minimizeWindow: true\n  status: Disabled\n")]);
    server.change(|behaviour| {
        // Read for the plan, before and after the edit, and before the job is disabled.
        behaviour.meanwhile = vec![Meanwhile::before(Call::Get, 4, edit_of_anna(1, json!({"timeout": 6})))];
    });
    repo.run_at(&server, &APPLY).ends(0).says("applied       disable job");
    repo.run_at(&server, &REVERT).ends(0);
    let job = server.job(&id(1));
    assert_eq!((&job["timeout"], &job["status"]), (&json!(6), &json!("Enabled")));
    assert_ne!(job["minimizeWindow"], true);
}

#[test]
fn a_job_that_the_console_disabled_stays_off_after_a_revert_of_another() {
    let server = Server::of(vec![whole_job(1, "a", json!({})), whole_job(2, "k", json!({}))]);
    let repo = Repo::empty();
    write(&repo, "a", WHOLE);
    write(&repo, "k", &format!("{WHOLE}  status: Enabled\n"));
    git(&repo.path(""), &["init", "-q"]);
    commit(&repo);
    repo.run_at(&server, &APPLY).ends(0);
    write(&repo, "a", &format!("{WHOLE}  timeout: 5\n"));
    commit(&repo);
    let run = run_of(&repo.run_at(&server, &APPLY).ends(0));
    server.edit(&id(2), json!({"status": "Disabled"}));
    write(&repo, "k", &format!("{WHOLE}  timeout: 7\n  status: Enabled\n"));
    commit(&repo);
    // The write is the job's last edit from now on.
    repo.run_at(&server, &APPLY).ends(4).says("the job was disabled in the console, last edited by anna.k");
    repo.run_at(&server, &[&REVERT[..], &[&run]].concat()).ends(0);
    assert_eq!(server.job(&id(1))["timeout"], 4);
    let ran = repo.run_at(&server, &APPLY).ends(4);
    ran.says("the job was disabled in the console, last edited by anna.k");
    assert_eq!(server.job(&id(2))["status"], "Disabled");
}

/// Another team links a job of a platform to this one that our run has nothing to do with.
fn child_of_others(parent: &str) -> Event {
    let child = json!({"name": "theirs", "platform": "Linux", "linkedJobId": parent});
    let job: Map<String, Value> = serde_json::from_value(child).unwrap();
    Event::Insert { user: "berta.l".to_owned(), job }
}

#[test]
fn a_parent_with_children_that_are_not_shown_stays() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    write(&repo, "parent", WHOLE);
    repo.run_at(&server, &APPLY).ends(0);
    let parent = id_of(&server, "parent", "Windows").unwrap();
    // The run wrote to no job of that platform, so its list is not read: as where a login may not see a job.
    server.happen(&child_of_others(&parent));
    server.take_requests();
    let ran = repo.run_at(&server, &REVERT).ends(3);
    ran.says("not deleted: the API counts 1 linked to it, and shows 0");
    assert!(server.requests().iter().all(|call| call.call != Call::Delete));
    assert!(id_of(&server, "parent", "Windows").is_some());
}

#[test]
fn a_child_that_is_not_shown_and_came_after_the_plan_keeps_its_parent() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    write(&repo, "parent", WHOLE);
    repo.run_at(&server, &APPLY).ends(0);
    let parent = id_of(&server, "parent", "Windows").unwrap();
    // Read for the plan, and before the job is removed.
    let insert = Meanwhile::before(Call::Get, 2, child_of_others(&parent));
    server.change(|behaviour| behaviour.meanwhile = vec![insert]);
    server.take_requests();
    repo.run_at(&server, &REVERT).ends(3).says("the API counts 1 linked to it, and shows 0");
    assert!(server.requests().iter().all(|call| call.call != Call::Delete));
}

const SCRIPTED: &str = "  preDeployActions:\n    - action: Run Script\n      params: { actionItem: Drain, timeout: 180 }\n      \
                        scriptType: ps\n      script: exit 0\n";

#[test]
fn a_script_in_doubt_stays_in_doubt() {
    for is_readable in [true, false] {
        let live = json!({"preDeployActions": [live_script(1, "Drain")]});
        let server = Server::of(vec![live_job_with(1, "job", live)]);
        let repo = Repo::empty();
        let mut texts = (1..3).map(|n| manifest("job", &format!("{SCRIPTED}  timeout: {n}\n")));
        let (first, second) = (texts.next().unwrap(), texts.next().unwrap());
        for text in [&first, &second] {
            repo.write("jobs.d/job.yaml", text);
            repo.run_at(&server, &APPLY).ends(0);
        }
        let path = format!("{CUSTOMER}/aaaaaaaa-0000-4000-8000-000000000001/Script");
        let scripts = BTreeMap::from([(path, "Format-Volume".to_owned())]);
        server.happen(&Event::Edit { id: id(1), user: "anna.k".to_owned(), merge: Map::new(), scripts });
        let unverified = || {
            let report = repo.run_at(&server, &["drift", "--output", "json"]).ends(2).json();
            report["unverified"][0]["changed_by"]["name"].clone()
        };
        assert_eq!(unverified(), "anna.k");
        // Also where nothing here tells which jobs have scripts.
        repo.write("jobs.d/job.yaml", if is_readable { first.as_str() } else { "{" });
        repo.run_at(&server, &REVERT).ends(0).says("applied       update job");
        repo.write("jobs.d/job.yaml", &first);
        assert_eq!(unverified(), "anna.k", "{is_readable}");
    }
}

#[test]
fn a_job_that_was_armed_is_disabled_though_its_members_are_held() {
    let server = Server::of(vec![whole_job(1, "job", json!({}))]);
    let repo = Repo::with(&[("job", &format!("{WHOLE}  timeout: 5\n  status: Enabled\n"))]);
    repo.run_at(&server, &APPLY).ends(0);
    server.edit(&id(1), json!({"timeout": 6}));
    let ran = repo.run_at(&server, &REVERT).ends(4);
    let words = in_one_line(&ran);
    assert!(!words.contains("nothing of this job is put back"), "{words}");
    assert!(
        words.contains(
            "no member of this job is put back = the job is disabled all the same, because the run armed it"
        ),
        "{words}"
    );
    let job = server.job(&id(1));
    assert_eq!((&job["timeout"], &job["status"]), (&json!(6), &json!("Disabled")));
    // Where nothing is disabled, nothing is said of it.
    let ran = repo.run_at(&server, &REVERT).ends(3);
    let words = in_one_line(&ran);
    assert!(
        words.contains("no member of this job is put back") && !words.contains("all the same"),
        "{words}"
    );
}

/// A run that was killed while it waited for the answer to its create, which made `new` on Windows; it had written to
/// a job on Linux before.
fn killed_create(others: Vec<Value>) -> (Server, Repo) {
    let mut jobs = vec![live_job_with(1, "a", json!({"platform": "Linux"}))];
    jobs.extend(others);
    let server = Server::of(jobs);
    let repo = Repo::empty();
    repo.write(
        "jobs.d/a.yaml",
        manifest("a", "  timeout: 5\n").replace("platform: Windows", "platform: Linux"),
    );
    write(&repo, "new", WHOLE);
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Create, Effect::HangAfter)]);
    let mut command = repo.command(&APPLY);
    command.args(["--gateway", &server.url()]).envs(LOGIN).stdout(Stdio::null());
    let mut child = command.spawn().unwrap();
    while id_of(&server, "new", "Windows").is_none() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it wrote");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    assert_eq!(server.job(&id(1))["timeout"], 5);
    (server, repo)
}

#[test]
fn a_job_whose_id_is_not_known_is_found_by_name_and_platform() {
    let (server, repo) = killed_create(vec![live_job_with(2, "new", json!({"platform": "Linux"}))]);
    repo.run_at(&server, &REVERT).ends(0).says("applied       delete new");
    assert_eq!(id_of(&server, "new", "Windows"), None);
    assert_eq!(id_of(&server, "new", "Linux"), Some(id(2)));
    assert_eq!(server.job(&id(1))["timeout"], 4);
}

#[test]
fn a_job_whose_id_is_not_known_is_not_told_from_another_of_its_name() {
    let (server, repo) = killed_create(Vec::new());
    // Once it is settled, nothing else is read of it.
    repo.run_at(&server, &["plan"]).ends(0).complains("the job was made");
    let job: Map<String, Value> = serde_json::from_value(json!({"name": "new"})).unwrap();
    server.happen(&Event::Insert { user: "anna.k".to_owned(), job });
    let made = server.dump()["jobs"].as_array().unwrap().len();
    let ran = repo.run_at(&server, &REVERT).ends(4);
    let words = in_one_line(&ran);
    assert!(words.contains("are both called `new`, and the journal does not say which of them"), "{words}");
    assert_eq!(server.dump()["jobs"].as_array().unwrap().len(), made);
}

#[test]
fn a_job_whose_id_is_not_known_is_not_called_gone_where_it_has_another_name() {
    let (server, repo) = killed_create(Vec::new());
    repo.run_at(&server, &["plan"]).ends(0).complains("the job was made");
    let made = id_of(&server, "new", "Windows").unwrap();
    server.edit(&made, json!({"name": "renamed"}));
    let ran = repo.run_at(&server, &REVERT).ends(4);
    let words = in_one_line(&ran);
    assert!(words.contains("no live job is called `new` any more"), "{words}");
    assert!(!words.contains("gone already"), "{words}");
}

/// A protected job that was written to twice; the second time is undone.
fn protected(between: impl Fn(&Repo)) -> (Server, Repo) {
    let server = Server::of(vec![live_job(1, "keep"), live_job(2, "job")]);
    let repo = Repo::with(&[("keep", "")]);
    let text = |n: u8| {
        manifest("job", &format!("  timeout: {n}\n")).replace("  key: job\n", "  key: job\n  protect: true\n")
    };
    for n in [5, 6] {
        repo.write("jobs.d/job.yaml", text(n));
        repo.run_at(&server, &APPLY).ends(0);
    }
    between(&repo);
    repo.run_at(&server, &REVERT).ends(0);
    let _gone = fs::remove_file(repo.path("jobs.d/job.yaml"));
    (server, repo)
}

#[test]
fn a_protected_job_is_protected_after_a_revert() {
    let leave: fn(&Repo) = |_| {};
    let remove: fn(&Repo) = |repo| fs::remove_file(repo.path("jobs.d/job.yaml")).unwrap();
    let spoil: fn(&Repo) = |repo| repo.write("jobs.d/job.yaml", "{");
    for between in [leave, remove, spoil] {
        let (server, repo) = protected(between);
        let ran = repo.run_at(&server, &[&APPLY[..], &["--prune", "--max-deletes", "5"]].concat()).ends(3);
        ran.says("not deleted: its manifest said `protect: true`");
        assert_eq!(server.job(&id(2))["timeout"], 5);
    }
}

#[test]
fn a_protected_job_that_the_run_made_stays_though_its_manifest_is_gone() {
    let server = Server::of(vec![live_job(1, "keep")]);
    let repo = Repo::with(&[("keep", "")]);
    repo.write(
        "jobs.d/new.yaml",
        manifest("new", WHOLE).replace("  key: new\n", "  key: new\n  protect: true\n"),
    );
    repo.run_at(&server, &APPLY).ends(0);
    fs::remove_file(repo.path("jobs.d/new.yaml")).unwrap();
    repo.run_at(&server, &REVERT)
        .ends(3)
        .says("not deleted: it is protected by `protect: true` in its manifest");
    assert!(id_of(&server, "new", "Windows").is_some());
}
