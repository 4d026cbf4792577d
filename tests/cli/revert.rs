//! `patchctl revert`: what an apply did is put back, member for member and script for script; what can not be is said
//! before; nobody's edit is lost.

use std::collections::BTreeMap;
use std::fs;

use patchctl::simulator::{Behaviour, Call, EditEnabled, Effect, Fault};
use serde_json::{Value, json};

use crate::identity::{commit, git};
use crate::support::{
    CUSTOMER, LOGIN, Repo, Server, but_its_cost, id, live_job, live_job_with, live_script, manifest,
    settable, snapshot,
};

const APPLY: [&str; 4] = ["apply", "--auto-approve", "--settle-time", "0"];
const REVERT: [&str; 4] = ["revert", "--auto-approve", "--settle-time", "0"];

/// What a manifest needs for its job to be made and armed.
const WHOLE: &str = "  startDateTime: 2030-01-05T03:00\n  dynamicPatchesQQL: q\n  \
                     assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n";

/// All that a person can set of all jobs, by name.
fn picture(server: &Server) -> BTreeMap<String, Value> {
    let jobs = settable(&server.dump()).into_values();
    jobs.map(|job| (job["name"].as_str().unwrap().to_owned(), job)).collect()
}

fn descriptions(server: &Server) -> BTreeMap<String, String> {
    let dump = server.dump();
    let text = |job: &Value, name: &str| job[name].as_str().unwrap_or_default().to_owned();
    dump["jobs"].as_array().unwrap().iter().map(|job| (text(job, "name"), text(job, "description"))).collect()
}

fn script(item: &str, content: &str) -> String {
    format!(
        "    - action: Run Script\n      params: {{ actionItem: {item}, timeout: 180 }}\n      scriptType: ps\n      \
         script: {content}\n"
    )
}

fn write(repo: &Repo, key: &str, lines: &str) {
    repo.write(&format!("jobs.d/{key}.yaml"), manifest(key, lines));
}

fn with_flags<'a>(base: &[&'a str], flags: &[&'a str]) -> Vec<&'a str> {
    [base, flags].concat()
}

#[test]
fn an_edit_beside_a_script_that_goes_back_is_not_lost() {
    let live = json!({"preDeployActions": [live_script(1, "Drain")]});
    let server = Server::of(vec![live_job_with(1, "job", live)]);
    let repo = Repo::empty();
    let with = |content: &str| format!("  preDeployActions:\n{}", script("Drain", content));
    write(&repo, "job", &with("exit 1"));
    repo.run_at(&server, &APPLY).ends(0);
    write(&repo, "job", &with("exit 2"));
    repo.run_at(&server, &APPLY).ends(0);
    // As after the commit was reverted: the former script is in the working tree.
    write(&repo, "job", &with("exit 1"));
    let mut actions = server.job(&id(1))["preDeployActions"].clone();
    actions[0]["params"]["timeout"] = json!(999);
    server.edit(&id(1), json!({"preDeployActions": actions}));
    repo.run_at(&server, &REVERT).ends(3).says("edited since that run, last by anna.k").says("180 -> 999");
    repo.run_at(&server, &with_flags(&REVERT, &["--override", "job"])).ends(0);
    let path = live_script(1, "Drain")["script"].as_str().unwrap().to_owned();
    assert_eq!(server.script(&path).unwrap(), b"exit 1");
    assert_eq!(server.job(&id(1))["preDeployActions"][0]["params"]["timeout"], 180);
}

/// The run that a command ended with.
fn run_of(text: &str) -> String {
    let rest = text.split("Undo with: patchctl revert ").nth(1).unwrap();
    rest.split_whitespace().next().unwrap().to_owned()
}

/// The lines of the list, newest first.
fn listed(repo: &Repo, server: &Server) -> Vec<String> {
    let list = repo.run_at(server, &["revert", "--list"]).ends(0).stdout;
    list.lines().map(str::to_owned).collect()
}

#[test]
fn a_second_revert_goes_on_to_the_run_before_and_never_takes_back_the_first() {
    let server = Server::of(vec![live_job(1, "a"), live_job(2, "b")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n"), ("b", "  timeout: 5\n")]);
    repo.run_at(&server, &APPLY).ends(0);
    write(&repo, "a", "  timeout: 6\n");
    write(&repo, "b", "  timeout: 6\n");
    let second = run_of(&repo.run_at(&server, &APPLY).ends(0).stdout);
    let timeouts = || [1, 2].map(|n| server.job(&id(n))["timeout"].as_i64().unwrap());
    // A part of a run that is undone leaves it the one to be undone.
    let part = run_of(&repo.run_at(&server, &with_flags(&REVERT, &["--only", "a"])).ends(0).stdout);
    assert_eq!(timeouts(), [5, 6]);
    let lines = listed(&repo, &server);
    assert!(lines[0].ends_with(&format!("1 update: a (revert of {second})")), "{lines:#?}");
    assert!(lines[1].ends_with(&format!("2 update: a, b (undone in part by {part})")), "{lines:#?}");
    repo.run_at(&server, &REVERT).ends(0).says("Left out: a, the job is as it was before already");
    assert_eq!(timeouts(), [5, 5]);
    // What is undone is not done again.
    let first = run_of(&repo.run_at(&server, &REVERT).ends(0).stdout);
    assert_eq!(timeouts(), [4, 4]);
    repo.run_at(&server, &REVERT)
        .ends(1)
        .complains("every run in `.patchctl/runs` that wrote to this gateway is undone, or is a revert")
        .complains("patchctl revert --list");
    assert_eq!(timeouts(), [4, 4]);
    // Named, a revert is undone; the run that it undid stands again and is the last one.
    let undone = repo.run_at(&server, &with_flags(&REVERT, &[&first])).ends(0);
    assert!(!undone.stdout.contains("The manifests still say"), "{}", undone.stdout);
    undone.says("the revert of run").says("stands again: `patchctl plan");
    assert_eq!(timeouts(), [5, 5]);
    let json = repo.run_at(&server, &["revert", "--list", "--output", "json"]).ends(0).json();
    let of = |n: usize, member: &str| json["runs"][n][member].as_str().map(str::to_owned);
    assert_eq!(of(0, "revert_of"), Some(first.clone()));
    assert_eq!((of(1, "run"), of(1, "undone_by")), (Some(first), of(0, "run")));
    assert_eq!((of(5, "revert_of"), of(5, "undone_by")), (None, None), "{json:#}");
    assert_eq!(of(4, "undone_by"), of(2, "run"), "{json:#}");
    repo.run_at(&server, &REVERT).ends(0);
    assert_eq!(timeouts(), [4, 4]);
}

#[test]
fn a_printed_command_works_as_it_is_printed() {
    let server = Server::of(vec![live_job(1, "a"), live_job(2, "b")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n")]);
    let flags = ["--config", "my own/it's.yaml", "--state-dir", "my own/state", "--jobs", "jobs.d"];
    repo.write("my own/it's.yaml", "owner: team\n");
    let applied = repo.run_at(&server, &with_flags(&APPLY, &flags)).ends(0);
    let command = applied.stdout.split("Undo with: ").nth(1).unwrap().trim();
    assert!(
        command.ends_with(r"--config 'my own/it'\''s.yaml' --state-dir 'my own/state' --jobs jobs.d"),
        "{command}"
    );
    server.edit(&id(1), json!({"timeout": 11}));
    let held = repo.run_at(&server, &[&REVERT[..], &flags].concat()).ends(3);
    let run = run_of(&applied.stdout);
    let words = held.stdout.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(words.contains(&format!("`patchctl revert {run} --gateway")), "{words}");
    assert!(words.contains("--jobs jobs.d --override a` puts the former values"), "{words}");
    let line =
        command.replacen("patchctl", env!("CARGO_BIN_EXE_patchctl"), 1) + " --auto-approve --override a";
    let mut shell = std::process::Command::new("sh");
    let ran = shell.args(["-c", &line]).current_dir(repo.path("")).envs(LOGIN).output().unwrap();
    assert!(ran.status.success(), "{ran:?}");
    assert_eq!(server.job(&id(1))["timeout"], 4);
    let imported = repo.run_at(&server, &[&["import", "--all"], &flags[..4]].concat()).ends(0).stdout;
    let next = imported.split("Next: ").nth(1).unwrap().trim();
    assert!(next.starts_with("patchctl plan --gateway http"), "{next}");
    assert!(next.ends_with(r"--config 'my own/it'\''s.yaml' --state-dir 'my own/state'"), "{next}");
}

#[test]
fn a_key_that_a_flag_names_for_nothing_is_told() {
    let server = Server::of(vec![live_job(1, "windows")]);
    let repo = Repo::with(&[("windows", "  timeout: 5\n")]);
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &with_flags(&REVERT, &["--override", "window"]))
        .ends(1)
        .complains("has no step for this key")
        .complains("did you mean `windows`?");
    assert_eq!(server.job(&id(1))["timeout"], 5);
    repo.run_at(&server, &with_flags(&REVERT, &["--override", "windows", "--allow-partial", "windows"]))
        .ends(0)
        .complains("--override windows has no effect")
        .complains("--allow-partial windows has no effect");
}

#[test]
fn several_scripts_that_nobody_knows_are_told_in_one_sentence() {
    let live = json!({"preDeployActions": [live_script(1, "Drain"), live_script(2, "Stop")]});
    let server = Server::of(vec![live_job_with(1, "job", live), live_job(2, "b")]);
    let repo = Repo::with(&[("b", "  timeout: 5\n")]);
    let both = script("Drain", "exit 1") + &script("Stop", "exit 2");
    write(&repo, "job", &format!("  preDeployActions:\n{both}"));
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &REVERT).ends(4).says("the scripts of `Drain` and `Stop` is not known");
}

/// `action key` of each step.
fn steps(document: &Value) -> Vec<String> {
    let word = |change: &Value, name: &str| change[name].as_str().unwrap().to_owned();
    let changes = document["changes"].as_array().unwrap();
    changes.iter().map(|change| format!("{} {}", word(change, "action"), word(change, "key"))).collect()
}

#[test]
fn members_of_every_kind_go_back_and_the_stamp_with_them() {
    let server = Server::of(vec![
        live_job_with(1, "a", json!({"description": "Mine", "preDeployment": {"userMessage": "Soon"}})),
        live_job_with(2, "b", json!({"minimizeWindow": true})),
        live_job(3, "untouched"),
    ]);
    let before = (picture(&server), descriptions(&server));
    let repo = Repo::with(&[
        (
            "a",
            "  description: Ours\n  timeout: 9\n  preDeployment:\n    userMessage: Now\n    description: More\n  \
             assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db2]\n",
        ),
        ("untouched", ""),
    ]);
    repo.write(
        "jobs.d/b.yaml",
        manifest("b", "  startDateTime: 2031-02-03T04:00\n  minimizeWindow: null\n")
            .replace("scheduleType: Weekly", "scheduleType: Monthly")
            .replace("recurringWeekDays: [Wed]", "monthlyRecurringType: 0\n  recurringDayOfMonth: 3"),
    );
    let applied = repo.run_at(&server, &APPLY).ends(0);
    let run = run_of(&applied.stdout);
    assert_ne!(picture(&server), before.0);
    server.take_requests();
    let shown = repo.run_at(&server, &["revert", "--dry-run"]).ends(0);
    assert!(server.requests().iter().all(|call| matches!(call.call, Call::Auth | Call::List | Call::Get)));
    snapshot("revert-plan", &but_its_cost(&shown.stdout).replace(&run, "[RUN]"));
    let undone = repo.run_at(&server, &with_flags(&REVERT, &[&run])).ends(0);
    let undone = undone.says("The manifests still say what was undone");
    assert_eq!((picture(&server), descriptions(&server)), before);
    // What Git wants is to be done again, and the same.
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    assert_eq!(steps(&plan), ["update a", "update b"]);
    // And a revert is a run like any other: undone by its id, what it took away is there again.
    let second = run_of(&undone.stdout);
    let back = repo.run_at(&server, &with_flags(&REVERT, &[&second, "--output", "json"])).ends(0).json();
    assert_eq!(back["command"], "revert");
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn the_next_plan_says_that_git_asks_for_it() {
    let server = Server::of(vec![live_job(1, "a")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n")]);
    repo.run_at(&server, &APPLY).ends(0);
    let stamped = descriptions(&server);
    write(&repo, "a", "  timeout: 6\n");
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &REVERT).ends(0);
    assert_eq!(descriptions(&server), stamped);
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    assert_eq!(plan["changes"][0]["fields"][0]["origin"], "git", "{plan:#}");
    write(&repo, "a", "  timeout: 5\n");
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn a_status_goes_back_before_and_after_the_members() {
    let whole = json!({"startDateTime": "2030-1-05 03:00:00 AM", "dynamicPatchesQQL": "q"});
    let mut armed = whole.clone();
    armed["status"] = json!("Enabled");
    let jobs = vec![live_job_with(1, "off", whole.clone()), live_job_with(2, "on", armed)];
    let server =
        Server::behaving(jobs, Behaviour { edit_enabled: EditEnabled::Refuse, ..Behaviour::default() });
    let before = picture(&server);
    let repo = Repo::with(&[
        ("off", "  status: Enabled\n  timeout: 7\n"),
        ("on", "  status: Disabled\n  timeoutUnit: MINUTES\n"),
    ]);
    // What is armed can not be edited on this server: its edit comes after it is off.
    repo.run_at(&server, &APPLY);
    repo.run_at(&server, &APPLY).ends(0);
    let list = repo.run_at(&server, &["revert", "--list", "--output", "json"]).ends(0).json();
    let runs: Vec<String> =
        list["runs"].as_array().unwrap().iter().map(|run| run["run"].as_str().unwrap().to_owned()).collect();
    for run in &runs {
        let undone = repo.run_at(&server, &with_flags(&REVERT, &[run, "--output", "json"])).ends(0).json();
        if steps(&undone).len() > 2 {
            assert_eq!(steps(&undone), ["enable on", "disable off", "update off"], "{undone:#}");
        }
    }
    assert_eq!(picture(&server), before);
}

#[test]
fn what_was_made_goes_and_what_was_removed_is_made_again() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    let scripted = format!("{WHOLE}  preDeployActions:\n{}", script("Drain", "exit 7"));
    write(&repo, "old", &format!("{scripted}  status: Enabled\n"));
    git(&repo.path(""), &["init", "-q"]);
    commit(&repo);
    repo.run_at(&server, &APPLY).ends(0);
    let before = (picture(&server), descriptions(&server));
    fs::remove_file(repo.path("jobs.d/old.yaml")).unwrap();
    write(&repo, "new", &format!("{WHOLE}  status: Enabled\n"));
    commit(&repo);
    let flags = ["--prune=scan", "--max-deletes", "1"];
    repo.run_at(&server, &with_flags(&APPLY, &flags)).ends(0);
    assert_eq!(picture(&server).keys().collect::<Vec<_>>(), ["new"]);
    let undone = repo.run_at(&server, &with_flags(&REVERT, &["--output", "json"])).ends(0).json();
    assert_eq!(steps(&undone), ["create old", "enable old", "delete new"]);
    assert!(undone["undone"]["commit"].is_string());
    // What Git has is new to it again: it is shown as what it is, and not as a job that vanished.
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    assert_eq!(steps(&plan), ["create new", "enable new"], "{plan:#}");
    // Its script was in the manifest of the commit before, and nowhere in the working tree.
    assert_eq!((picture(&server), descriptions(&server)), before);
}

#[test]
fn a_script_goes_back_to_what_git_had() {
    let live = json!({"preDeployActions": [live_script(1, "Drain"), live_script(2, "Stop")]});
    let server = Server::of(vec![live_job_with(1, "job", live)]);
    let repo = Repo::empty();
    let both = |drain: &str| {
        let actions = script("Drain", drain) + &script("Stop", "exit 2");
        format!("  preDeployActions:\n{actions}")
    };
    write(&repo, "job", &both("exit 1"));
    git(&repo.path(""), &["init", "-q"]);
    commit(&repo);
    repo.run_at(&server, &APPLY).ends(0);
    let before = (picture(&server), descriptions(&server));
    // One script changes, the other action goes.
    write(&repo, "job", &format!("  timeout: 8\n  preDeployActions:\n{}", script("Drain", "exit 9")));
    commit(&repo);
    repo.run_at(&server, &with_flags(&APPLY, &["--allow-script-loss", "job"])).ends(0);
    let path = live_script(1, "Drain")["script"].as_str().unwrap().to_owned();
    assert_eq!(server.script(&path).unwrap(), b"exit 9");
    repo.run_at(&server, &REVERT).ends(0);
    assert_eq!(server.script(&path).unwrap(), b"exit 1");
    assert_eq!((picture(&server), descriptions(&server)), before);
}

#[test]
fn a_script_that_nobody_knows_is_said_before_anything_is_asked() {
    let live = json!({"preDeployActions": [live_script(1, "Drain")]});
    let server = Server::of(vec![live_job_with(1, "job", live)]);
    let repo = Repo::empty();
    write(&repo, "job", &format!("  timeout: 8\n  preDeployActions:\n{}", script("Drain", "exit 9")));
    repo.run_at(&server, &APPLY).ends(0);
    server.take_requests();
    repo.run_at(&server, &REVERT)
        .ends(3)
        .says("can not be undone as a whole: what was in the script of `Drain` is not known")
        .says("--allow-partial job` puts the rest back");
    assert!(server.requests().iter().all(|call| call.call != Call::Update));
    assert_eq!(server.job(&id(1))["timeout"], 8);
    repo.run_at(&server, &with_flags(&REVERT, &["--allow-partial", "job"]))
        .ends(0)
        .says("not undone: the script of `Drain` stays as the run left it");
    assert_eq!(server.job(&id(1))["timeout"], 4);
    let path = live_script(1, "Drain")["script"].as_str().unwrap().to_owned();
    assert_eq!(server.script(&path).unwrap(), b"exit 9");
}

#[test]
fn what_somebody_edited_since_is_held_and_named() {
    let server = Server::of(vec![live_job(1, "a"), live_job(2, "b")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n"), ("b", "  timeout: 5\n")]);
    repo.run_at(&server, &APPLY).ends(0);
    server.edit(&id(1), json!({"timeout": 11, "minimizeWindow": true}));
    // Another member than the run changed is nobody's obstacle, and stays.
    server.edit(&id(2), json!({"minimizeWindow": true}));
    let ran = repo.run_at(&server, &REVERT).ends(4);
    let ran =
        ran.says("edited since that run, last by anna.k").says("--override a").says("applied       update b");
    assert!(ran.stdout.contains("timeout: 5 -> 11"), "{}", ran.stdout);
    assert_eq!(server.job(&id(1))["timeout"], 11);
    assert_eq!(
        (&server.job(&id(2))["timeout"], &server.job(&id(2))["minimizeWindow"]),
        (&json!(4), &json!(true))
    );
    // The run is undone in part, and may be named by the beginning of its id.
    let list = repo.run_at(&server, &["revert", "--list", "--output", "json"]).ends(0).json();
    let first = list["runs"].as_array().unwrap().last().unwrap()["run"].as_str().unwrap().to_owned();
    repo.run_at(&server, &with_flags(&REVERT, &[&first[..6], "--override", "a"]))
        .ends(0)
        .says("overwrites what anna.k changed since, as --override says: timeout");
    assert_eq!(
        (&server.job(&id(1))["timeout"], &server.job(&id(1))["minimizeWindow"]),
        (&json!(4), &json!(true))
    );
}

#[test]
fn a_new_job_that_somebody_edited_stays() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    write(&repo, "new", WHOLE);
    repo.run_at(&server, &APPLY).ends(0);
    let made = server.dump()["jobs"][0]["id"].as_str().unwrap().to_owned();
    server.edit(&made, json!({"timeout": 11}));
    repo.run_at(&server, &REVERT)
        .ends(3)
        .says("not deleted: it was edited since the last apply, last by anna.k");
    assert_eq!(server.job(&made)["timeout"], 11);
}

#[test]
fn a_job_that_runs_once_and_started_can_not_be_taken_back() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    let once = manifest("hotfix", &format!("{WHOLE}  status: Enabled\n"))
        .replace("scheduleType: Weekly", "scheduleType: Once")
        .replace("  recurringWeekDays: [Wed]\n", "");
    repo.write("jobs.d/hotfix.yaml", once);
    repo.run_at(&server, &with_flags(&APPLY, &["--allow-run-once", "hotfix"])).ends(0);
    server.take_requests();
    repo.run_at(&server, &REVERT).ends(3).says("not deleted: it runs once and is Enabled");
    assert!(server.requests().iter().all(|call| matches!(call.call, Call::Auth | Call::List | Call::Get)));
}

fn action(n: u8, item: &str) -> Value {
    let id = format!("bbbbbbbb-0000-4000-8000-0000000000{n:02}");
    json!({
        "actionId": id, "action": "Run Script", "actionType": "postdeploy", "scriptType": "ps",
        "params": {"actionItem": item, "timeout": 180}, "script": format!("{CUSTOMER}/{id}/Script"),
    })
}

fn rule(actions: &str) -> String {
    format!(
        "  chainedJobRule:\n    - field: postDeployAction\n      actionIds: [{actions}]\n      threshold: \"90\"\n      \
         condition: Post Actions were successfully executed\n"
    )
}

#[test]
fn links_and_rules_go_back() {
    let parent = json!({"postDeployActions": [action(1, "Stop"), action(2, "Report")]});
    let server = Server::of(vec![live_job_with(1, "parent", parent), live_job(2, "child")]);
    let before = picture(&server);
    let repo = Repo::with(&[("parent", ""), ("child", &format!("  linkedJob: parent\n{}", rule("Stop")))]);
    repo.run_at(&server, &APPLY).ends(0);
    let linked = picture(&server);
    write(&repo, "child", &format!("  linkedJob: parent\n{}", rule("Report")));
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &REVERT).ends(0);
    assert_eq!(picture(&server), linked);
    let list = repo.run_at(&server, &["revert", "--list", "--output", "json"]).ends(0).json();
    let first = list["runs"].as_array().unwrap().last().unwrap()["run"].as_str().unwrap().to_owned();
    repo.run_at(&server, &with_flags(&REVERT, &[&first])).ends(0);
    assert_eq!(picture(&server), before);
}

#[test]
fn a_parent_and_its_child_are_made_and_removed_and_made_again() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    repo.write("jobs.d/none.yaml", manifest("other", WHOLE));
    repo.run_at(&server, &APPLY).ends(0);
    let nothing = picture(&server);
    let post = format!("{WHOLE}  postDeployActions:\n{}", script("Stop", "exit 3"));
    write(&repo, "parent", &post);
    write(&repo, "child", &format!("{WHOLE}  linkedJob: parent\n{}", rule("Stop")));
    repo.run_at(&server, &APPLY).ends(0);
    let both = picture(&server);
    let undone = repo.run_at(&server, &with_flags(&REVERT, &["--output", "json"])).ends(0).json();
    assert_eq!(steps(&undone), ["delete child", "delete parent"]);
    assert_eq!(picture(&server), nothing);
    // The child's link and its rule lead to the ids of the new parent.
    let run = undone["run"].as_str().unwrap();
    let again = repo.run_at(&server, &with_flags(&REVERT, &[run, "--output", "json"])).ends(0).json();
    assert_eq!(steps(&again), ["create parent", "create child"]);
    assert_eq!(picture(&server), both);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn a_run_that_was_killed_is_settled_and_undone() {
    let server = Server::of(vec![live_job(1, "a"), live_job(2, "b")]);
    let before = (picture(&server), descriptions(&server));
    let repo = Repo::with(&[("a", "  timeout: 5\n"), ("b", "  timeout: 5\n")]);
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Update, Effect::HangAfter)]);
    let mut command = repo.command(&APPLY);
    let mut child = command.args(["--gateway", &server.url()]).envs(LOGIN).spawn().unwrap();
    while server.job(&id(1))["timeout"] != 5 {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it wrote");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    let list = repo.run_at(&server, &["revert", "--list"]).ends(0);
    assert!(list.stdout.contains("interrupted  1 update: a"), "{}", list.stdout);
    let ran = repo.run_at(&server, &REVERT).ends(0).complains("it took effect");
    assert!(ran.stdout.contains("Left out: b, its update changed nothing: not begun"), "{}", ran.stdout);
    assert_eq!((picture(&server), descriptions(&server)), before);
}

#[test]
fn a_record_in_place_of_stamps_goes_back_too() {
    let server = Server::of(vec![live_job(1, "a")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n")]);
    repo.write("patchctl.yaml", "owner: team\nrecord: record.json\n");
    repo.run_at(&server, &APPLY).ends(0);
    let (before, record) = (picture(&server), repo.read("record.json"));
    write(&repo, "a", "  timeout: 6\n");
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &REVERT).ends(0);
    assert_eq!((picture(&server), repo.read("record.json")), (before, record));
    assert_eq!(server.job(&id(1))["description"], "");
    // The first apply found no entry, and undoing it leaves none.
    let list = repo.run_at(&server, &["revert", "--list", "--output", "json"]).ends(0).json();
    let first = list["runs"].as_array().unwrap().last().unwrap()["run"].as_str().unwrap().to_owned();
    repo.run_at(&server, &with_flags(&REVERT, &[&first])).ends(0);
    assert_eq!(server.job(&id(1))["timeout"], 4);
    assert!(!repo.read("record.json").contains("\"a\""), "{}", repo.read("record.json"));
}

#[test]
fn what_can_not_be_used_is_refused_and_why() {
    let server = Server::of(vec![live_job(1, "a")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n")]);
    repo.run_at(&server, &REVERT).ends(1).complains("there is no journal in `.patchctl/runs`");
    repo.run_at(&server, &["revert"]).ends(64).complains("there is no terminal");
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &with_flags(&REVERT, &["ffffffff0"]))
        .ends(1)
        .complains("no journal of a run `ffffffff0`");
    let other = Server::of(vec![live_job(1, "a")]);
    let list = repo.run_at(&server, &["revert", "--list", "--output", "json"]).ends(0).json();
    let run = list["runs"][0]["run"].as_str().unwrap().to_owned();
    repo.run_at(&other, &with_flags(&REVERT, &[&run])).ends(1).complains("and this is http://");
    repo.run_at(&other, &REVERT).ends(1).complains("wrote anything to this gateway");
    let folder = repo.path(".patchctl/runs");
    let path = fs::read_dir(&folder).unwrap().next().unwrap().unwrap().path();
    let text = fs::read_to_string(&path).unwrap();
    fs::write(&path, text.replacen("\"owner\":\"team\"", "\"owner\":\"others\"", 1)).unwrap();
    repo.run_at(&server, &with_flags(&REVERT, &[&run])).ends(1).complains("wrote as `others`");
    fs::write(&path, text.replacen("\"format\":1", "\"format\":2", 1)).unwrap();
    repo.run_at(&server, &with_flags(&REVERT, &[&run])).ends(1).complains("a journal of format 2");
    fs::write(&path, "nothing\n").unwrap();
    repo.run_at(&server, &with_flags(&REVERT, &[&run])).ends(1).complains("does not begin like a journal");
    fs::write(&path, format!("{text}{{\"line\":\"out")).unwrap();
    repo.run_at(&server, &with_flags(&REVERT, &[&run]))
        .ends(0)
        .complains("1 line of the journal can not be read");
    assert_eq!(server.job(&id(1))["timeout"], 4);
    // Once more: nothing is left to be undone.
    repo.run_at(&server, &with_flags(&REVERT, &[&run])).ends(0).says("Nothing is to be undone.");
}
