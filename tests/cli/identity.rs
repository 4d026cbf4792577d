//! Manifests whose live job vanished or was renamed, and how a person says what became of it.

use std::path::Path;
use std::process::Command;

use patchctl::simulator::{Behaviour, Call, Effect, Event, Fault, Lag, Meanwhile};
use serde_json::{Value, json};

use crate::support::{Repo, Server, id, live_job, live_job_with, manifest, snapshot};

const APPLY: [&str; 2] = ["apply", "--auto-approve"];

/// What a manifest needs beside its text to be created; live jobs have the same.
const START: &str = "  startDateTime: 2026-01-05T03:00\n";

/// A plan's steps as JSON: key, action, id.
#[track_caller]
fn steps(repo: &Repo, server: &Server, arguments: &[&str]) -> Vec<(String, String, Value)> {
    let arguments = [&["plan", "--output", "json"], arguments].concat();
    let plan = repo.run_at(server, &arguments).ends(0).json();
    let changes = plan["changes"].as_array().unwrap();
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    changes.iter().map(|c| (text(&c["key"]), text(&c["action"]), c["id"].clone())).collect()
}

/// The steps of a plan as a person reads them, with what was said beside it.
fn shown(repo: &Repo, server: &Server, arguments: &[&str]) -> String {
    let plan = repo.run_at(server, &[&["plan"], arguments].concat()).ends(0);
    plan.both().replace(&server.host(), "127.0.0.1:PORT0")
}

fn step(key: &str, action: &str, id: Option<String>) -> Vec<(String, String, Value)> {
    vec![(key.to_owned(), action.to_owned(), json!(id))]
}

/// A manifest for a job of the name of its key, changed in its lines.
fn changed(key: &str, from: &str, to: &str) -> String {
    let text = manifest(key, "");
    assert_eq!(text.matches(from).count(), 1, "`{from}` in {text}");
    text.replace(from, to)
}

#[track_caller]
pub(crate) fn git(folder: &Path, arguments: &[&str]) -> String {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=x", "-c", "user.email=x@example.com", "-c", "commit.gpgsign=false"]);
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap().trim().to_owned()
}

#[track_caller]
pub(crate) fn commit(repo: &Repo) -> String {
    git(&repo.path(""), &["add", "-A", "jobs.d", "patchctl.yaml"]);
    git(&repo.path(""), &["commit", "-q", "--allow-empty", "-m", "x"]);
    git(&repo.path(""), &["rev-parse", "HEAD"])
}

#[test]
fn a_job_that_was_deleted_in_the_console_is_not_made_anew() {
    let server = Server::of(vec![live_job(1, "one"), live_job(2, "two")]);
    let repo = Repo::with(&[("one", START), ("two", "")]);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    server.delete(&id(1));
    // Also without the cache, which is another thing.
    assert_eq!(steps(&repo, &server, &["--no-cache"]), step("one", "blocked", Some(id(1))));
    let plan = shown(&repo, &server, &[]);
    let (before, after) = plan.split_once("last on ").unwrap();
    // The clock of this run.
    snapshot("vanished", &format!("{before}last on DATE at TIME{}", after.split_once(" UTC").unwrap().1));
    repo.run_at(&server, &APPLY).ends(3);
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(3);
    // Saying so by the key makes it a create; of another key it does not.
    assert_eq!(steps(&repo, &server, &["--allow-create", "one"]), step("one", "create", None));
    assert_eq!(steps(&repo, &server, &["--allow-create", "two,one"]), step("one", "create", None));
    assert_eq!(steps(&repo, &server, &["--allow-create", "two"]), step("one", "blocked", Some(id(1))));
    let unknown = repo.run_at(&server, &["plan", "--allow-create", "tow"]).ends(1);
    assert_eq!(
        unknown.stderr,
        "error: --allow-create `tow` is the key of no manifest\n  = help: did you mean `two`?\n"
    );
    // Without the state folder nobody knows of it.
    std::fs::remove_dir_all(repo.path(".patchctl")).unwrap();
    assert_eq!(steps(&repo, &server, &[]), step("one", "create", None));
}

#[test]
fn a_job_that_was_renamed_in_the_console() {
    let server = Server::of(vec![live_job(1, "one")]);
    let repo = Repo::with(&[("one", "")]);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    server.edit(&id(1), json!({"name": "uno"}));
    snapshot("renamed-in-console", &shown(&repo, &server, &[]));
    // The name taken over, or the id to have it renamed back.
    repo.write("jobs.d/one.yaml", changed("one", "name: one", "name: uno"));
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    repo.write("jobs.d/one.yaml", changed("one", "spec:", &format!("  id: {}\nspec:", id(1))));
    assert_eq!(steps(&repo, &server, &[]), step("one", "update", Some(id(1))));
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(server.job(&id(1))["name"], "one");
}

#[test]
fn a_manifest_that_was_renamed_in_git() {
    let server = Server::of(vec![live_job(1, "one")]);
    let repo = Repo::with(&[("one", "")]);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    repo.write("jobs.d/one.yaml", changed("one", "name: one", "name: uno"));
    snapshot("renamed-in-git", &shown(&repo, &server, &[]));
    // Declared, it is an update like any other; afterwards the declaration may stay.
    let declared =
        changed("one", "spec:", "  previousName: one\nspec:").replace("name: one\n", "name: uno\n");
    repo.write("jobs.d/one.yaml", &declared);
    let plan = repo.run_at(&server, &["plan"]).ends(0).says("update one  \"uno\"").says("name: one -> uno");
    assert_eq!(plan.stderr, "");
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(server.job(&id(1))["name"], "uno");
    repo.run_at(&server, &["plan"]).ends(0).keeps_quiet().says("No changes.");
    // Somebody makes a job of the old name: the manifest stays with its own, and the other one is pointed out.
    let server = Server::of(vec![live_job(1, "uno"), live_job(2, "one")]);
    let plan = repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    snapshot("old-name-lives", &plan.stderr);
}

#[test]
fn a_copy_that_took_the_name_is_pointed_out_until_somebody_says_which() {
    let server = Server::of(vec![live_job(1, "one"), live_job(2, "copy of one")]);
    let repo = Repo::with(&[("one", "")]);
    repo.run_at(&server, &["plan"]).ends(0).keeps_quiet();
    server.edit(&id(1), json!({"name": "one, former"}));
    server.edit(&id(2), json!({"name": "one"}));
    for _ in 0..2 {
        let plan = repo.run_at(&server, &["plan"]).ends(0).complains("warning[moved-binding]");
        assert!(plan.stderr.contains(&format!("`metadata.id: {}` or `metadata.id: {}`", id(2), id(1))));
    }
    // A write to the one that has the name now settles nothing, and its id is not committed by the way.
    repo.write("jobs.d/one.yaml", manifest("one", "  timeout: 5\n"));
    let done = repo.run_at(&server, &["apply", "--auto-approve", "--write-ids"]).ends(0);
    done.complains("warning[moved-binding]");
    assert_eq!(server.job(&id(2))["timeout"], 5);
    assert!(!repo.read("jobs.d/one.yaml").contains("id: "), "{}", repo.read("jobs.d/one.yaml"));
    repo.run_at(&server, &["plan"]).ends(0).complains("warning[moved-binding]");
    repo.write("jobs.d/one.yaml", changed("one", "spec:", &format!("  id: {}\nspec:", id(2))));
    repo.run_at(&server, &["plan"]).ends(0).keeps_quiet();
    repo.write("jobs.d/one.yaml", manifest("one", ""));
    repo.run_at(&server, &["plan"]).ends(0).keeps_quiet();
}

#[test]
fn a_new_manifest_is_a_create_with_the_jobs_that_look_like_it() {
    let tags = json!({"startDateTime": "2026-2-01 03:00:00 AM"});
    let server = Server::of(vec![
        live_job(1, "windows weekly"),
        live_job_with(2, "Something else", tags),
        live_job_with(3, "Linux weekly", json!({"platform": "Linux"})),
        live_job(4, "managed"),
        live_job(5, "Windows, weekly"),
    ]);
    let repo = Repo::with(&[
        ("managed", ""),
        ("new", "  startDateTime: 2026-01-05T03:00\n  timezoneType: SPECIFIC_TZ\n  timezone: UTC\n"),
    ]);
    repo.edit("jobs.d/new.yaml", "name: new", "name: Windows weekly");
    snapshot("looks-like-it", &shown(&repo, &server, &[]));
    // A selection knows of the other manifests, too.
    let plan = repo.run_at(&server, &["plan", "--only", "new"]).ends(0);
    assert!(!plan.stdout.contains(&id(4)), "{}", plan.stdout);
}

#[test]
fn the_base_says_what_is_not_new() {
    let server = Server::of(vec![live_job(2, "two")]);
    let repo = Repo::with(&[("one", START), ("two", START)]);
    git(&repo.path(""), &["init", "-q", "-b", "main"]);
    let first = commit(&repo);
    repo.write("jobs.d/three.yaml", manifest("three", START));
    repo.edit("jobs.d/two.yaml", "name: two", "name: due");
    commit(&repo);
    // A state folder that every run throws away, as pipelines do.
    let plan = |arguments: &[&str]| {
        std::fs::remove_dir_all(repo.path(".patchctl")).unwrap_or_default();
        shown(&repo, &server, arguments)
    };
    let creates = plan(&[]);
    assert_eq!(creates.matches("+ create ").count(), 3, "{creates}");
    snapshot("base", &plan(&["--base", "HEAD~1"]).replace(&first[..10], "COMMIT"));
    let allowed = plan(&["--base", &first, "--allow-create", "one"]);
    assert!(allowed.contains("+ create one ") && allowed.contains("! blocked two "), "{allowed}");
    let bad = repo.run_at(&server, &["plan", "--base", "nowhere"]).ends(1);
    snapshot("no-base", &bad.stderr);
    repo.run_at(&server, &["plan", "--base=--all"]).ends(1).complains("`--all` is no name of a commit");
    // An unknown commit is found out before any call.
    server.take_requests();
    repo.run_at(&server, &["apply", "--auto-approve", "--base", "nowhere"]).ends(1);
    assert!(server.take_requests().is_empty());
}

#[test]
fn without_a_base_the_commit_that_was_applied_counts() {
    let server = Server::of(vec![live_job(1, "one"), live_job(2, "two")]);
    let repo = Repo::with(&[("one", "  timeout: 5\n"), ("two", "")]);
    git(&repo.path(""), &["init", "-q", "-b", "main"]);
    let first = commit(&repo);
    let applied = || {
        let folder = repo.path(".patchctl/bindings");
        let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let file = files.into_iter().find(|path| path.extension().is_some_and(|e| e == "json")).unwrap();
        let ledger: Value = serde_json::from_slice(&std::fs::read(file).unwrap()).unwrap();
        let sections: Vec<&Value> = ledger["subscriptions"].as_object().unwrap().values().collect();
        sections[0]["applied_commit"].clone()
    };
    // A plan records nothing, nor does a selection, nor a folder with changes of its own.
    repo.run_at(&server, &["plan"]).ends(0);
    assert_eq!(applied(), Value::Null);
    repo.run_at(&server, &["apply", "--auto-approve", "--only", "two"]).ends(0);
    assert_eq!(applied(), Value::Null);
    repo.edit("jobs.d/two.yaml", "name: two", "name: two ");
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(applied(), Value::Null);
    repo.edit("jobs.d/two.yaml", "name: two ", "name: two");
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(applied(), json!(first));
    // Something left over: the former commit stays.
    repo.write("jobs.d/new.yaml", manifest("new", START));
    repo.write("jobs.d/one.yaml", manifest("one", "  timeout: 6\n"));
    commit(&repo);
    server.edit(&id(1), json!({"description": "[patchctl:others/one 1:00000000:00000000:00000000]"}));
    repo.run_at(&server, &APPLY);
    assert_eq!(applied(), json!(first));
}

#[test]
fn a_simulator_that_starts_afresh_has_no_past() {
    let repo = Repo::with(&[("one", START)]);
    repo.write("tenant/one.json", live_job(1, "one").to_string());
    let plan =
        |arguments: &[&str]| repo.run(&[&["plan", "--gateway", "sim:tenant"], arguments].concat()).ends(0);
    plan(&[]).says("No changes.");
    repo.write("tenant/one.json", live_job(1, "another").to_string());
    plan(&["--reset"]).says("+ create one ");
    plan(&[]).says("+ create one ");
}

#[test]
fn a_damaged_ledger_is_put_aside() {
    let server = Server::of(vec![live_job(1, "one")]);
    let repo = Repo::with(&[("one", "")]);
    repo.run_at(&server, &["plan"]).ends(0);
    let folder = repo.path(".patchctl/bindings");
    let names = || {
        let names = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().file_name());
        let mut names: Vec<String> = names.map(|name| name.into_string().unwrap()).collect();
        names.sort();
        names
    };
    let name = names().into_iter().find(|name| name.ends_with(".json")).unwrap();
    std::fs::write(folder.join(&name), "{").unwrap();
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.").complains("is damaged; it is kept as ");
    assert_eq!(names().len(), 3, "{:?}", names());
    repo.run_at(&server, &["plan"]).ends(0).keeps_quiet();
}

#[test]
fn a_selection_takes_no_job_that_another_manifest_is_about() {
    let server = Server::of(vec![live_job(1, "one"), live_job(2, "two")]);
    let repo = Repo::with(&[("two", "")]);
    let renamed = changed("one", "spec:", "  previousName: two\nspec:").replace("name: one\n", "name: new\n");
    repo.write("jobs.d/one.yaml", renamed);
    let both = repo.run_at(&server, &["plan"]).ends(1).complains("error[duplicate-binding]");
    assert!(both.stderr.contains("jobs.d/one.yaml") && both.stderr.contains("jobs.d/two.yaml"));
    let words = format!("error: `one` and `two` are about the same live job {}\n", id(2));
    repo.run_at(&server, &["plan", "--only", "one"]).ends(1).complains(&words);
    // A previous name whose job another manifest is about by right is no reason for a warning.
    repo.write("jobs.d/one.yaml", changed("one", "spec:", "  previousName: two\nspec:"));
    repo.run_at(&server, &["plan"]).ends(0).keeps_quiet();
    repo.run_at(&server, &["plan", "--only", "one"]).ends(0).keeps_quiet();
}

#[test]
fn a_selection_takes_no_job_that_another_manifest_is_about_by_its_previous_name() {
    let server = Server::of(vec![live_job(1, "old")]);
    let repo = Repo::with(&[("old", "  timeout: 9\n")]);
    let renamed = changed("two", "spec:", "  previousName: old\nspec:").replace("name: two\n", "name: new\n");
    repo.write("jobs.d/two.yaml", renamed);
    repo.run_at(&server, &["plan"]).ends(1).complains("error[duplicate-binding]");
    let words = format!("error: `old` and `two` are about the same live job {}\n", id(1));
    repo.run_at(&server, &["apply", "--auto-approve", "--only", "old"]).ends(1).complains(&words);
    assert_eq!(server.take_counts().get("update"), None);
}

#[cfg(unix)]
#[test]
fn git_is_asked_without_the_hooks_environment_and_programs() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::of(vec![live_job(1, "one")]);
    let repo = Repo::with(&[("one", "")]);
    git(&repo.path(""), &["init", "-q", "-b", "main"]);
    commit(&repo);
    repo.write("monitor.sh", "#!/bin/sh\ntouch started\n");
    std::fs::set_permissions(repo.path("monitor.sh"), std::fs::Permissions::from_mode(0o755)).unwrap();
    let monitor = repo.path("monitor.sh").to_string_lossy().into_owned();
    git(&repo.path(""), &["config", "core.fsmonitor", &monitor]);
    let url = server.url();
    let arguments = ["apply", "--auto-approve", "--base", "HEAD", "--gateway", &url];
    let mut command = repo.command(&arguments);
    command.envs(crate::support::LOGIN).envs([("GIT_DIR", "/nowhere"), ("GIT_INDEX_FILE", "/nowhere/index")]);
    let output = command.output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(!repo.path("started").exists(), "a program of the repository ran");
    assert!(!repo.path(".git/index.lock").exists());
}

#[test]
fn a_create_without_an_answer_is_not_sent_again_by_the_next_run_either() {
    let server = Server::behaving(Vec::new(), Behaviour { list_lag: Lag::Never, ..Behaviour::default() });
    let repo = Repo::with(&[("new", START)]);
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Create, Effect::CloseAfter)));
    let apply = ["apply", "--auto-approve", "--settle-time", "0"];
    repo.run_at(&server, &apply).ends(4);
    server.take_requests();
    repo.run_at(&server, &apply).ends(3).says("a create of `new` was sent on ").says("may still appear");
    assert_eq!(server.take_counts().get("create"), None);
    // Nor by one whose manifest has another name by now.
    repo.edit("jobs.d/new.yaml", "name: new", "name: neu");
    repo.run_at(&server, &apply).ends(3).says("a create of `new` was sent on ");
    repo.edit("jobs.d/new.yaml", "name: neu", "name: new");
    // When the job shows, it is the one, and the matter is settled.
    server.change(|behaviour| behaviour.list_lag = Lag::None);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    assert_eq!(server.dump()["jobs"].as_array().unwrap().len(), 1);
    let job = server.dump()["jobs"][0]["id"].as_str().unwrap().to_owned();
    server.delete(&job);
    repo.run_at(&server, &["plan"]).ends(0).says("vanished: it was deleted");
}

#[test]
fn a_create_that_surely_made_nothing_leaves_no_doubt() {
    let server = Server::of(Vec::new());
    let repo = Repo::with(&[("new", START)]);
    let refuse = Effect::ServerError { code: 400, body: patchctl::simulator::ErrorBody::Html };
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Create, refuse)));
    repo.run_at(&server, &APPLY).ends(1);
    assert_eq!(steps(&repo, &server, &[]), step("new", "create", None));
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn nothing_is_made_that_the_next_run_could_not_know_of() {
    let server = Server::of(Vec::new());
    let repo = Repo::with(&[("new", START)]);
    // In the way of the folder.
    repo.write(".patchctl/bindings", "");
    let done = repo.run_at(&server, &APPLY).ends(1);
    done.says("it could not be written down in the state folder what is about to be sent");
    assert_eq!(server.take_counts().get("create"), None);
}

/// With neither the state folder nor a base, the stamp on a job that looks like the new one tells.
#[test]
fn a_renamed_job_bears_our_stamp_still() {
    let server = Server::of(vec![live_job(9, "bystander")]);
    let repo = Repo::empty();
    let whole = |lines: &str| manifest("job", &format!("  startDateTime: 2030-01-05T03:00\n{lines}"));
    repo.write("jobs.d/job.yaml", whole(""));
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let jobs = server.dump()["jobs"].as_array().unwrap().clone();
    let id = jobs.iter().find(|job| job["name"] == "job").unwrap()["id"].as_str().unwrap().to_owned();
    server.edit(&id, json!({"name": "quite another name"}));
    std::fs::remove_dir_all(repo.path(".patchctl")).unwrap();
    let ran = repo.run_at(&server, &["apply", "--auto-approve"]).ends(3);
    ran.says("`quite another name` bears our stamp").says(&format!("set `metadata.id: {id}`"));
    assert_eq!(server.dump()["jobs"].as_array().unwrap().len(), 2);
    // What was read for it is remembered.
    server.take_requests();
    repo.run_at(&server, &["plan"]).ends(0);
    assert_eq!(server.take_counts().get("get"), None);
    repo.run_at(&server, &["apply", "--auto-approve", "--allow-create", "job"]).ends(0);
    assert_eq!(server.dump()["jobs"].as_array().unwrap().len(), 3);
}

#[test]
fn a_job_that_slips_between_two_pages_is_there_all_the_same() {
    let jobs = || (1..=7).map(|n| live_job(n, &format!("job-{n}"))).collect::<Vec<_>>();
    for gone in 1..=7 {
        let keys: Vec<String> = (1..=7).filter(|n| *n != gone).map(|n| format!("job-{n}")).collect();
        let repo = Repo::with(&keys.iter().map(|key| (key.as_str(), "")).collect::<Vec<_>>());
        for nth in [2, 3] {
            let server = Server::of(jobs());
            let event = Event::Delete { id: id(gone), user: "anna".to_owned() };
            server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::List, nth, event)));
            let plan = ["plan", "--page-size", "3", "--no-cache"];
            repo.run_at(&server, &plan).ends(0).keeps_quiet().says("No changes.");
        }
    }
    // It costs the pages once more, and only where something is missing and a list has pages.
    let server = Server::of(jobs());
    let repo = Repo::with(&[("job-1", ""), ("new", START)]);
    for (page_size, n_lists) in [("3", 8), ("7", 2)] {
        repo.run_at(&server, &["plan", "--page-size", page_size]).ends(0).says("+ create new ");
        assert_eq!(server.take_counts()["list"], n_lists, "{page_size}");
    }
}

#[test]
fn our_stamp_is_looked_for_however_many_jobs_are_to_be_made() {
    let server =
        Server::of(vec![live_job(7, "bystander"), live_job(8, "passer-by"), live_job(9, "stranger")]);
    let repo = Repo::empty();
    let whole = |key: &str| manifest(key, "  startDateTime: 2030-01-05T03:00\n");
    repo.write("jobs.d/zz.yaml", whole("zz"));
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let jobs = server.dump()["jobs"].as_array().unwrap().clone();
    let made = jobs.iter().find(|job| job["name"] == "zz").unwrap()["id"].as_str().unwrap().to_owned();
    server.edit(&made, json!({"name": "aa quite another name"}));
    for id in (7..=9).map(id) {
        server.edit(&id, json!({"recurringWeekDays": "1,1,1,1,1,1,1"}));
    }
    std::fs::remove_dir_all(repo.path(".patchctl")).unwrap();
    for n in 0..40 {
        let key = format!("new-{n:02}");
        repo.write(&format!("jobs.d/{key}.yaml"), whole(&key));
    }
    server.take_requests();
    repo.run_at(&server, &["plan"])
        .ends(0)
        .keeps_quiet()
        .says("! blocked zz ")
        .says("40 to create, 1 blocked");
    assert!(server.take_counts()["get"] <= 4);
}

#[test]
fn a_flag_that_names_no_manifest_is_told() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "")]);
    let ran = repo.run_at(&server, &["plan", "--allow-create", "jov"]).ends(1);
    ran.complains("--allow-create `jov` is the key of no manifest").complains("did you mean `job`?");
    assert_eq!(server.take_counts(), crate::support::counts(&[]));
    for flag in ["--allow-run-once", "--allow-script-loss"] {
        let ran = repo.run_at(&server, &["plan", flag, "jov"]).ends(0);
        ran.complains(&format!("note: {flag} `jov` is the key of no manifest; did you mean `job`?"));
    }
}

#[test]
fn the_state_folder_is_kept_out_of_git() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "")]);
    repo.run_at(&server, &["plan", "--state-dir", "elsewhere"]).ends(0);
    assert!(repo.read("elsewhere/.gitignore").lines().any(|line| line == "*"));
}
