//! A job that a run disabled for an edit and was killed before it enabled it again: said and kept open until the job
//! is Enabled or Git wants it off, whichever command is the next to look.

use std::process::Stdio;

use patchctl::simulator::{Call, EditEnabled, Effect, Fault, RecordedRequest};
use serde_json::{Value, json};

use crate::identity::{commit, git};
use crate::support::{LOGIN, Repo, Server, id, live_job, manifest};

const APPLY: [&str; 2] = ["apply", "--auto-approve"];

/// The manifest of `a`, whose job is to be armed.
fn armed(timeout: u8) -> String {
    let lines = "  startDateTime: 2030-01-05T03:00\n  status: Enabled\n  dynamicPatchesQQL: x\n";
    manifest("a", &format!("{lines}  timeout: {timeout}\n"))
}

/// Two jobs as applied; then an apply of `a` that is killed when the job is edited and not enabled again.
fn killed_at(call: Call, effect: Effect) -> (Repo, Server) {
    let server = Server::of(vec![live_job(1, "a"), live_job(2, "b")]);
    let repo = Repo::with(&[("b", "  timeout: 5\n")]);
    repo.write("jobs.d/a.yaml", armed(5));
    git(&repo.path(""), &["init", "-q", "-b", "main"]);
    commit(&repo);
    repo.run_at(&server, &APPLY).ends(0);
    repo.write("jobs.d/a.yaml", armed(7));
    commit(&repo);
    server.take_requests();
    server.change(|behaviour| {
        behaviour.edit_enabled = EditEnabled::Refuse;
        behaviour.fail_next.push(Fault::on(call, effect).nth(2));
    });
    let mut command = repo.command(&[&APPLY[..], &["--gateway", &server.url()]].concat());
    let mut child = command.envs(LOGIN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let is_it = |request: &&RecordedRequest| request.call == call;
    while server.requests().iter().filter(is_it).count() < 2 || state(&server).0 != json!(7) {
        assert_eq!(child.try_wait().unwrap(), None);
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    server.change(|behaviour| behaviour.fail_next.clear());
    assert_eq!(state(&server), (json!(7), json!("Disabled")));
    (repo, server)
}

fn killed() -> (Repo, Server) {
    killed_at(Call::Status, Effect::HangBefore)
}

fn state(server: &Server) -> (Value, Value) {
    let job = server.job(&id(1));
    (job["timeout"].clone(), job["status"].clone())
}

fn plan(repo: &Repo, server: &Server, arguments: &[&str]) -> Value {
    repo.run_at(server, &[&["plan", "--output", "json"], arguments].concat()).ends(0).json()
}

/// What is said of the one write that was left open; `None` where nothing is.
fn said(document: &Value) -> Option<(bool, String)> {
    let write = document["unsettled_runs"].get(0)?["writes"].get(0)?;
    Some((write["left_disabled"].as_bool().unwrap(), write["message"].as_str().unwrap().to_owned()))
}

/// What is said once when the job is Enabled again.
fn again() -> Option<(bool, String)> {
    Some((false, "the job that was left Disabled for it is Enabled again".to_owned()))
}

fn journals(repo: &Repo) -> Vec<u8> {
    let files = crate::support::files_below(&repo.path(".patchctl/runs"));
    files.values().flatten().copied().collect()
}

/// The run that looks next does not plan it, and somebody edits it before the one that does: it was held as disabled by
/// whoever that was, and stayed off.
#[test]
fn a_run_that_does_not_plan_it_does_not_settle_it() {
    for other in [&["plan", "--only", "b"][..], &["revert", "--dry-run"], &["drift", "--only", "b"]] {
        let (repo, server) = killed();
        repo.run_at(&server, other).complains("the job was disabled for this edit and is still Disabled");
        let written = journals(&repo);
        let (is_off, words) = said(&plan(&repo, &server, &["--only", "b"])).unwrap();
        assert!(is_off, "{other:?} {words}");
        let expected = "still Disabled, and this run does not enable it: apply its manifest, or enable it in the console";
        assert!(words.ends_with(expected), "{other:?} {words}");
        assert_eq!(journals(&repo), written, "what was found out is written down once");
        server.edit(&id(1), json!({"minimizeWindow": true}));
        let found = plan(&repo, &server, &[]);
        let text = found.to_string();
        assert!(
            text.contains("this completes it") && !text.contains("in the console"),
            "{other:?} {found:#}"
        );
        repo.run_at(&server, &APPLY).ends(0);
        assert_eq!(state(&server), (json!(7), json!("Enabled")), "{other:?}");
        // That it is Enabled again is said once, too.
        assert_eq!(said(&plan(&repo, &server, &[])), again(), "{other:?}");
        assert_eq!(said(&plan(&repo, &server, &[])), None, "{other:?}");
    }
}

#[test]
fn a_run_whose_manifests_want_it_off_settles_it() {
    let (repo, server) = killed();
    repo.edit("jobs.d/a.yaml", "status: Enabled", "status: Disabled");
    commit(&repo);
    let (is_off, words) = said(&plan(&repo, &server, &[])).unwrap();
    assert!(is_off && words.contains("its manifest does not have it enabled"), "{words}");
    assert_eq!(said(&plan(&repo, &server, &[])), None);
    repo.run_at(&server, &APPLY).ends(0).says("No changes.");
    assert_eq!(state(&server), (json!(7), json!("Disabled")));
}

/// No plan will enable it any more, so that it is off is said until somebody has done something about it.
#[test]
fn without_its_manifest_it_is_said_until_it_is_enabled() {
    let (repo, server) = killed();
    std::fs::remove_file(repo.path("jobs.d/a.yaml")).unwrap();
    commit(&repo);
    for _ in 0..2 {
        assert!(said(&plan(&repo, &server, &[])).is_some_and(|(is_off, _)| is_off));
    }
    server.edit(&id(1), json!({"status": "Enabled"}));
    assert_eq!(said(&plan(&repo, &server, &[])), again());
    assert_eq!(said(&plan(&repo, &server, &[])), None);
}

/// What became of the write is known all the same.
#[test]
fn the_run_that_left_it_off_can_be_reverted() {
    let (repo, server) = killed_at(Call::Update, Effect::HangAfter);
    plan(&repo, &server, &["--only", "b"]);
    repo.run_at(&server, &["revert", "--auto-approve"]).ends(0);
    assert_eq!(state(&server), (json!(5), json!("Enabled")));
    assert_eq!(said(&plan(&repo, &server, &["--only", "b"])), again());
    assert_eq!(said(&plan(&repo, &server, &["--only", "b"])), None);
}
