//! `patchctl apply` at a terminal: the question, the answers, and what may happen while it is thought about.

use serde_json::json;

use crate::support::{Repo, Server, counts, id, live_job, live_job_with, manifest, snapshot};

fn setting() -> (Server, Repo) {
    (Server::of(vec![live_job(1, "job")]), Repo::with(&[("job", "  timeout: 5\n")]))
}

#[test]
fn yes_is_a_yes() {
    let (server, repo) = setting();
    let ran = repo.run_at_terminal(&server, "patchctl apply --color never", "yes", || {}).ends(0);
    snapshot("asked-yes", &ran.stdout.replace(&server.host(), "127.0.0.1:PORT0"));
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2), ("get", 3), ("update", 1)]));
}

#[test]
fn everything_else_is_a_no() {
    for answer in ["no", "", "y", "YES", "yes please"] {
        let (server, repo) = setting();
        let ran = repo.run_at_terminal(&server, "patchctl apply --color never", answer, || {}).ends(1);
        ran.says("error: the plan was not approved\n  = help: nothing was changed\n");
        assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2), ("get", 1)]), "`{answer}`");
    }
}

#[test]
fn an_edit_while_the_question_stands_is_stale_and_says_by_whom() {
    let (server, repo) = setting();
    let edit = || server.edit(&id(1), json!({"timeout": 9}));
    let ran = repo.run_at_terminal(&server, "patchctl apply --color never", "yes", edit).ends(3);
    let (_, outcome) = ran.stdout.split_once("is a yes: ").unwrap();
    snapshot("stale", outcome);
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2), ("get", 2)]));
    assert_eq!(server.job(&id(1))["timeout"], 9);
}

#[test]
fn an_edit_of_what_is_not_written_stands_in_nobodys_way() {
    let (server, repo) = setting();
    let edit = || server.edit(&id(1), json!({"timezone": "Asia/Kolkata"}));
    repo.run_at_terminal(&server, "patchctl apply", "yes", edit).ends(0);
    let job = server.job(&id(1));
    assert_eq!((&job["timeout"], &job["timezone"]), (&json!(5), &json!("Asia/Kolkata")));
}

#[test]
fn an_edit_to_what_was_wanted_leaves_nothing_to_do() {
    let (server, repo) = setting();
    let edit = || server.edit(&id(1), json!({"timeout": 5}));
    repo.run_at_terminal(&server, "patchctl apply --color never", "yes", edit)
        .ends(0)
        .says("unchanged     update job");
    assert_eq!(server.take_counts().get("update"), None);
}

/// A job that runs once and is to be armed.
fn one_way() -> (Server, Repo) {
    let members = json!({
        "scheduleType": "On-demand", "recurring": false, "recurringWeekDays": null, "dynamicPatchesQQL": "q",
        "assetCount": 12,
    });
    let server = Server::of(vec![live_job_with(1, "fix", members)]);
    let repo = Repo::empty();
    let text = manifest("fix", "  status: Enabled\n");
    let text = text.replace("scheduleType: Weekly\n  recurringWeekDays: [Wed]", "scheduleType: On-demand");
    repo.write("jobs.d/fix.yaml", text);
    (server, repo)
}

#[test]
fn a_one_way_door_is_asked_for_by_itself() {
    let (server, repo) = one_way();
    let ran = repo.run_at_terminal(&server, "patchctl apply --color never", "yes\nfix", || {}).ends(0);
    snapshot("asked-one-way", &ran.stdout.replace(&server.host(), "127.0.0.1:PORT0"));
    assert_eq!(server.job(&id(1))["status"], "Prepared");
    for answer in ["yes\nyes", "yes\n", "yes\nFIX"] {
        let (server, repo) = one_way();
        let ran = repo.run_at_terminal(&server, "patchctl apply --color never", answer, || {}).ends(3);
        ran.says("blocked       enable fix").says("armed only where that was allowed by name");
        assert_eq!(server.job(&id(1))["status"], "Disabled");
    }
    // What was allowed on the command line is not asked for again.
    let (server, repo) = one_way();
    let line = "patchctl apply --allow-run-once fix";
    let ran = repo.run_at_terminal(&server, line, "yes", || {}).ends(0);
    assert!(!ran.stdout.contains("Type its key"), "{}", ran.stdout);
}

#[test]
fn with_nothing_to_write_nothing_is_asked() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "")]);
    repo.run_at_terminal(&server, "patchctl apply", "", || {}).ends(0).says("as declared in Git.");
}

#[test]
fn a_terminal_gets_colour_unless_it_is_refused() {
    let (server, repo) = setting();
    let escape = '\u{1b}';
    let shown = repo.run_at_terminal(&server, "patchctl apply", "no", || {}).stdout;
    assert!(shown.contains(escape));
    let plain = repo.run_at_terminal(&server, "patchctl apply --color never", "no", || {}).stdout;
    assert!(!plain.contains(escape));
    let plain = repo.run_at_terminal(&server, "NO_COLOR=1 patchctl apply", "no", || {}).stdout;
    assert!(!plain.contains(escape));
    let plain = repo.run_at_terminal(&server, "TERM=dumb patchctl apply", "no", || {}).stdout;
    assert!(!plain.contains(escape));
}

#[test]
fn the_json_of_an_asked_apply_stands_alone_on_stdout() {
    let (server, repo) = setting();
    let ran = repo.run_at_terminal(&server, "patchctl apply --output json > done.json", "yes", || {}).ends(0);
    // The plan beside the question is on the screen, by stderr.
    ran.says("timeout: 4 -> 5");
    let done: serde_json::Value = serde_json::from_str(&repo.read("done.json")).unwrap();
    assert_eq!(done["outcomes"]["applied"], 1);
}
