//! `--prune`: what goes, and every condition without which it stays, one by one.

use patchctl::simulator::{Behaviour, Call, Effect, Event, Fault, Lag, Meanwhile};
use serde_json::{Value, json};

use crate::identity::{commit, git};
use crate::support::{Repo, Server, bodies, counts, live_job_with, manifest, snapshot};

/// A manifest of a job that can be made.
fn whole(key: &str, lines: &str) -> String {
    manifest(key, &format!("  startDateTime: 2030-01-05T03:00\n{lines}"))
}

/// A tenant with the jobs of two manifests, both made and stamped by an apply.
fn setting() -> (Server, Repo) {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    for key in ["keep", "old"] {
        repo.write(&format!("jobs.d/{key}.yaml"), whole(key, ""));
    }
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    // Before the first job nothing was known of the subscription, so nothing was remembered of it.
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    server.take_requests();
    (server, repo)
}

fn remove(repo: &Repo, key: &str) {
    std::fs::remove_file(repo.path(&format!("jobs.d/{key}.yaml"))).unwrap();
}

fn id_of(server: &Server, name: &str) -> String {
    let jobs = server.dump()["jobs"].as_array().unwrap().clone();
    let job = jobs.into_iter().find(|job| job["name"] == name).unwrap();
    job["id"].as_str().unwrap().to_owned()
}

fn names(server: &Server) -> Vec<String> {
    let mut names: Vec<String> = server.dump()["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .map(|job| job["name"].as_str().unwrap().to_owned())
        .collect();
    names.sort();
    names
}

const APPLY: [&str; 6] = ["apply", "--auto-approve", "--output", "json", "--settle-time", "0"];

fn applied(server: &Server, repo: &Repo, flags: &[&str], code: i32) -> Value {
    repo.run_at(server, &[&APPLY[..], flags].concat()).ends(code).json()
}

/// `action key outcome` of each step.
fn outcomes(document: &Value) -> Vec<String> {
    let word = |change: &Value, name: &str| change[name].as_str().unwrap_or_default().to_owned();
    let changes = document["changes"].as_array().unwrap();
    let line =
        |change| format!("{} {} {}", word(change, "action"), word(change, "key"), word(change, "outcome"));
    changes.iter().map(line).collect()
}

const PRUNE: [&str; 3] = ["--prune", "--max-deletes", "5"];

/// Expects that the job of the removed manifest stays, and why.
#[track_caller]
fn stays(server: &Server, repo: &Repo, flags: &[&str], why: &str) {
    let before = names(server);
    let done = applied(server, repo, flags, 3);
    let steps = done["changes"].as_array().unwrap();
    let step = steps.iter().find(|step| step["key"] == "old").unwrap_or_else(|| panic!("{done:#}"));
    let reason = step["reason"].as_str().unwrap();
    assert_eq!(step["action"], "blocked", "{step:#}");
    assert!(reason.starts_with("not deleted: ") && reason.contains(why), "`{why}` in `{reason}`");
    assert!(server.take_requests().iter().all(|request| request.call != Call::Delete));
    assert_eq!(names(server), before);
}

#[test]
fn a_job_without_a_manifest_goes_only_when_that_is_asked_for() {
    let (server, repo) = setting();
    remove(&repo, "old");
    let ran = repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    ran.says("1 live job has lost its manifest and stays; --prune shows what deleting would do.\n");
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    assert_eq!(names(&server), ["keep", "old"]);
    let id = id_of(&server, "old");
    let ran = repo.run_at(&server, &["plan", "--prune", "--max-deletes", "1"]).ends(0);
    let shown = ran.stdout.replace(&server.host(), "127.0.0.1:PORT0").replace(&id, "ID-OF-OLD");
    snapshot("prune", &shown);
    server.take_requests();
    let done = applied(&server, &repo, &["--prune", "--max-deletes", "1"], 0);
    assert_eq!(outcomes(&done), ["delete old applied"]);
    assert_eq!(names(&server), ["keep"]);
    let requests = server.take_requests();
    assert_eq!(bodies(&requests, Call::Delete), [json!({"ids": [id]})]);
    // Nothing of it is left, and nothing is asked for it again.
    repo.run_at(&server, &["plan", "--prune"]).ends(0).says("No changes.");
    let calls = counts(&[("auth", 1), ("list", 4)]);
    assert_eq!(server.take_counts(), calls);
}

#[test]
fn so_many_deletions_stop_the_whole_run() {
    let (server, repo) = setting();
    remove(&repo, "old");
    repo.write("jobs.d/keep.yaml", whole("keep", "  timeout: 5\n"));
    // One of two managed jobs is more than a tenth.
    let ran = repo.run_at(&server, &["apply", "--auto-approve", "--prune"]).ends(3);
    ran.says("Stopped: 1 of 2 managed jobs would be deleted, and 10 % in one run is the usual limit")
        .says("= help: if they are to go, allow it for this once: --max-deletes 1")
        .says("Apply: 2 held of 2 steps.");
    let done = applied(&server, &repo, &["--prune", "--max-deletes", "0"], 3);
    assert_eq!(outcomes(&done), ["update keep held", "delete old held"]);
    assert_eq!(done["guard"]["reason"], "1 job would be deleted, and --max-deletes allows 0");
    let writes =
        server.take_requests().into_iter().filter(|r| !matches!(r.call, Call::Auth | Call::List | Call::Get));
    assert_eq!(writes.count(), 0);
    let done = applied(&server, &repo, &["--prune", "--max-deletes", "1"], 0);
    assert_eq!(outcomes(&done), ["update keep applied", "delete old applied"]);
}

#[test]
fn without_an_owner_of_its_own() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    // The owner is the name of the folder, which another repository may have as well.
    repo.write("patchctl.yaml", "# nothing is set\n");
    for key in ["keep", "old"] {
        repo.write(&format!("jobs.d/{key}.yaml"), whole(key, ""));
    }
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    remove(&repo, "old");
    stays(&server, &repo, &PRUNE, "`owner` is not set in patchctl.yaml");
}

#[test]
fn with_a_selection() {
    let (server, repo) = setting();
    remove(&repo, "old");
    stays(
        &server,
        &repo,
        &["--prune", "--max-deletes", "5", "--only", "keep"],
        "--only selects some manifests",
    );
}

#[test]
fn with_a_manifest_that_can_not_be_read() {
    let (server, repo) = setting();
    remove(&repo, "old");
    repo.write("jobs.d/broken.yaml", "apiVersion: [");
    repo.run_at(&server, &[&["apply", "--auto-approve"], &PRUNE[..]].concat()).ends(1);
    assert_eq!((names(&server).len(), server.take_requests().len()), (2, 0));
}

#[test]
fn with_a_manifest_that_was_cut_off() {
    for rest in ["", "# only this is left\n", "---\n"] {
        let (server, repo) = setting();
        repo.write("jobs.d/old.yaml", rest);
        stays(&server, &repo, &PRUNE, "`jobs.d/old.yaml` holds no manifest");
    }
}

#[test]
fn protected_as_long_as_the_manifest_was_there() {
    let (server, repo) = setting();
    repo.write("jobs.d/old.yaml", whole("old", "").replace("key: old\n", "key: old\n  protect: true\n"));
    repo.run_at(&server, &["plan"]).ends(0);
    remove(&repo, "old");
    stays(&server, &repo, &PRUNE, "its manifest said `protect: true`");
}

/// Whatever the console makes of the stamp.
#[test]
fn a_stamp_that_proves_nothing() {
    for (description, why) in [
        ("", "bears no stamp of ours"),
        ("[patchctl:team/old 1:00:00]", "stamp is damaged"),
        ("[patchctl:others/old 1:00000000:00000000:00000000]", "stamped by another owner, `others`"),
        ("[patchctl:team/other 1:00000000:00000000:00000000]", "stamped `team/other`"),
        ("[patchctl:team/old 9:00000000:00000000:00000000]", "under another table of members"),
        ("[patchctl:team/old 1:00000000:00000000:00000000]", "edited since the last apply, last by anna.k"),
    ] {
        let (server, repo) = setting();
        remove(&repo, "old");
        server.edit(&id_of(&server, "old"), json!({"description": description}));
        stays(&server, &repo, &PRUNE, why);
    }
}

#[test]
fn edited_in_the_console() {
    let (server, repo) = setting();
    remove(&repo, "old");
    server.edit(&id_of(&server, "old"), json!({"timeout": 9}));
    stays(&server, &repo, &PRUNE, "edited since the last apply, last by anna.k");
}

#[test]
fn copied_in_the_console() {
    let (server, repo) = setting();
    remove(&repo, "old");
    let old = id_of(&server, "old");
    let mut copy = server.job(&old).as_object().unwrap().clone();
    copy.insert("name".to_owned(), "Copy of old".into());
    for member in ["id", "createdBy", "updatedBy"] {
        copy.shift_remove(member);
    }
    server.happen(&Event::Insert { user: "anna.k".to_owned(), job: copy });
    stays(&server, &repo, &PRUNE, "another live job bears the same stamp");
}

#[test]
fn linked_to_by_another_job() {
    let (server, repo) = setting();
    remove(&repo, "old");
    let old = id_of(&server, "old");
    let child = live_job_with(7, "child", json!({"linkedJobId": old}));
    server.happen(&Event::Insert { user: "anna.k".to_owned(), job: child.as_object().unwrap().clone() });
    stays(&server, &repo, &PRUNE, "the live job `child`");
}

#[test]
fn a_child_goes_before_its_parent() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    repo.write("jobs.d/keep.yaml", whole("keep", ""));
    repo.write("jobs.d/a-parent.yaml", whole("a-parent", ""));
    repo.write("jobs.d/b-child.yaml", whole("b-child", "  linkedJob: a-parent\n"));
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    remove(&repo, "a-parent");
    remove(&repo, "b-child");
    let done = applied(&server, &repo, &PRUNE, 0);
    assert_eq!(outcomes(&done), ["delete b-child applied", "delete a-parent applied"]);
    assert_eq!(done["changes"][1]["after"], json!(["b-child:delete"]));
    assert_eq!(names(&server), ["keep"]);
}

#[test]
fn a_parent_stays_with_its_child() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    repo.write("jobs.d/keep.yaml", whole("keep", ""));
    repo.write("jobs.d/old.yaml", whole("old", ""));
    repo.write("jobs.d/old-child.yaml", whole("old-child", "  linkedJob: old\n"));
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    remove(&repo, "old");
    remove(&repo, "old-child");
    server.edit(&id_of(&server, "old-child"), json!({"timeout": 9}));
    stays(&server, &repo, &PRUNE, "the live job `old-child`");
}

#[test]
fn a_child_may_let_go_of_its_parent_in_the_same_run() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    repo.write("jobs.d/keep.yaml", whole("keep", "  linkedJob: old\n"));
    repo.write("jobs.d/old.yaml", whole("old", ""));
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    remove(&repo, "old");
    repo.write("jobs.d/keep.yaml", whole("keep", "  linkedJobId: null\n"));
    let done = applied(&server, &repo, &PRUNE, 0);
    assert_eq!(outcomes(&done), ["update keep applied", "delete old applied"]);
    assert_eq!(done["changes"][1]["after"], json!(["keep:update"]));
}

#[test]
fn a_copy_of_a_managed_job_is_told_by_a_scan() {
    let (server, repo) = setting();
    let mut copy = server.job(&id_of(&server, "old")).as_object().unwrap().clone();
    copy.insert("name".to_owned(), "Copy of old".into());
    for member in ["id", "createdBy", "updatedBy"] {
        copy.shift_remove(member);
    }
    server.happen(&Event::Insert { user: "anna.k".to_owned(), job: copy });
    let ran =
        repo.run_at(&server, &["apply", "--auto-approve", "--prune=scan", "--max-deletes", "5"]).ends(0);
    ran.complains("`Copy of old` bears our stamp of `old`, whose manifest is about another job");
    assert_eq!(names(&server).len(), 3);
}

#[test]
fn under_another_key_or_name_it_is_managed_still() {
    let (server, repo) = setting();
    remove(&repo, "old");
    repo.write("jobs.d/new.yaml", whole("old", "").replace("key: old", "key: new"));
    for how in ["--prune", "--prune=scan"] {
        let done = applied(&server, &repo, &[how, "--max-deletes", "5"], 0);
        assert_eq!(done["summary"]["delete"], 0);
    }
    assert_eq!(names(&server), ["keep", "old"]);
}

/// A repository in Git, whose state folder is thrown away as pipelines do.
fn in_git(old: &str) -> (Server, Repo) {
    let (server, repo) = setting();
    repo.write("jobs.d/old.yaml", old);
    git(&repo.path(""), &["init", "-q", "-b", "main"]);
    commit(&repo);
    remove(&repo, "old");
    commit(&repo);
    std::fs::remove_dir_all(repo.path(".patchctl")).unwrap();
    (server, repo)
}

#[test]
fn the_base_says_what_was_there() {
    let (server, repo) = in_git(&whole("old", ""));
    let none = applied(&server, &repo, &PRUNE, 0);
    assert_eq!(none["summary"]["delete"], 0, "nobody knows of it");
    let flags = ["--prune", "--max-deletes", "5", "--base", "HEAD~1"];
    let ran = repo.run_at(&server, &[&["plan"], &flags[..]].concat()).ends(0);
    ran.says("jobs.d/old.yaml:4: its manifest was in the base and is gone");
    let done = applied(&server, &repo, &flags, 0);
    assert_eq!(outcomes(&done), ["delete old applied"]);
}

#[test]
fn protected_in_the_base() {
    let (server, repo) = in_git(&whole("old", "").replace("key: old\n", "key: old\n  protect: true\n"));
    let flags = ["--prune", "--max-deletes", "5", "--base", "HEAD~1"];
    stays(&server, &repo, &flags, "its manifest said `protect: true`");
}

#[test]
fn a_scan_finds_what_nobody_remembers() {
    let (server, repo) = setting();
    let anna = live_job_with(7, "anna's", json!({}));
    server.happen(&Event::Insert { user: "anna.k".to_owned(), job: anna.as_object().unwrap().clone() });
    remove(&repo, "old");
    std::fs::remove_dir_all(repo.path(".patchctl")).unwrap();
    let none = applied(&server, &repo, &PRUNE, 0);
    assert_eq!(none["summary"]["delete"], 0);
    let ran = repo.run_at(&server, &["plan", "--prune=scan", "--max-deletes", "5"]).ends(0);
    ran.says("it bears our stamp and has no manifest")
        .complains("note: --prune reads 2 live jobs that no manifest names, to look for our stamp");
    let done = applied(&server, &repo, &["--prune=scan", "--max-deletes", "5"], 0);
    assert_eq!(outcomes(&done), ["delete old applied"]);
    assert_eq!(names(&server), ["anna's", "keep"]);
}

#[test]
fn bulk_answers_and_lost_ones() {
    let answered = |body: Value| {
        let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
        Effect::Status { code: 200, body: Some(body.to_string()), headers }
    };
    let of_old = |old: &str, mut answer: Value| {
        answer[0]["id"] = old.into();
        answered(answer)
    };
    // An answer that is not about this job is as good as a lost one: the call is sent once more.
    for (make, outcome, code) in [
        (
            &(|old: &str| of_old(old, json!([{"status": "failure", "error": "in use"}])))
                as &dyn Fn(&str) -> Effect,
            "delete old failed",
            1,
        ),
        (&|_: &str| answered(json!([])), "delete old applied", 0),
        (&|_: &str| answered(json!([{"id": "other", "status": "success"}])), "delete old applied", 0),
        (&|old: &str| of_old(old, json!([{"status": "success"}])), "delete old unsettled", 4),
        (&|_: &str| Effect::CloseBefore, "delete old applied", 0),
        (&|_: &str| Effect::CloseAfter, "delete old applied", 0),
    ] {
        let (server, repo) = setting();
        let effect = make(&id_of(&server, "old"));
        remove(&repo, "old");
        server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Delete, effect.clone())]);
        let done = applied(&server, &repo, &PRUNE, code);
        assert_eq!(outcomes(&done), [outcome], "{effect:?}");
        let is_gone = outcome == "delete old applied";
        assert_eq!(names(&server), if is_gone { vec!["keep"] } else { vec!["keep", "old"] });
    }
}

#[test]
fn what_happened_since_the_plan() {
    // Somebody else was faster.
    let (server, repo) = setting();
    let old = id_of(&server, "old");
    remove(&repo, "old");
    let gone = Event::Delete { id: old.clone(), user: "anna.k".to_owned() };
    server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 1, gone)));
    let done = applied(&server, &repo, &PRUNE, 0);
    assert_eq!(outcomes(&done), ["delete old unchanged"]);
    // Somebody edited it.
    let (server, repo) = setting();
    let old = id_of(&server, "old");
    remove(&repo, "old");
    let merge = json!({"timeout": 9}).as_object().unwrap().clone();
    let edit = Event::Edit { id: old.clone(), user: "anna.k".to_owned(), merge, scripts: [].into() };
    server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 1, edit)));
    let done = applied(&server, &repo, &PRUNE, 3);
    assert_eq!(outcomes(&done), ["delete old stale"]);
    // Somebody linked a job to it, which the list that is read before the first deletion shows.
    let (server, repo) = setting();
    let old = id_of(&server, "old");
    remove(&repo, "old");
    let child = live_job_with(7, "child", json!({"linkedJobId": old})).as_object().unwrap().clone();
    let insert = Event::Insert { user: "anna.k".to_owned(), job: child };
    server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 1, insert)));
    let done = applied(&server, &repo, &PRUNE, 3);
    assert_eq!(outcomes(&done), ["delete old stale"]);
    assert_eq!(names(&server), ["child", "keep", "old"]);
}

#[test]
fn a_deletion_that_shows_late_is_waited_for() {
    let (server, repo) = setting();
    remove(&repo, "old");
    server.change(|behaviour| *behaviour = Behaviour { get_lag: Lag::Calls(2), ..behaviour.clone() });
    let flags = ["apply", "--auto-approve", "--settle-time", "20s", "--prune", "--max-deletes", "1"];
    repo.run_at(&server, &flags).ends(0).says("applied       delete old");
}
