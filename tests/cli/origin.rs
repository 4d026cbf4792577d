//! Where differences came from, over the real program, real repositories and a server that keeps who edited what.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Stdio;

use patchctl::simulator::{Behaviour, Call, EditEnabled, Effect, Fault, RecordedRequest};
use serde_json::{Value, json};

use crate::identity::{commit, git};
use crate::support::{LOGIN, Ran, Repo, Server, id, live_job, live_job_with, manifest};

const APPLY: [&str; 2] = ["apply", "--auto-approve"];

/// A repository in Git with one manifest, `one`, and a server with its job; what is declared is applied.
fn applied(lines: &str, job: Value) -> (Repo, Server) {
    let server = Server::of(vec![job, live_job(9, "nine")]);
    let repo = Repo::with(&[("one", lines)]);
    git(&repo.path(""), &["init", "-q", "-b", "main"]);
    commit(&repo);
    repo.run_at(&server, &APPLY).ends(0);
    (repo, server)
}

fn timeouts() -> (Repo, Server) {
    applied("  timeout: 5\n", live_job(1, "one"))
}

fn plan(repo: &Repo, server: &Server, arguments: &[&str]) -> Value {
    repo.run_at(server, &[&["plan", "--output", "json"], arguments].concat()).ends(0).json()
}

/// Path and origin of every difference.
fn origins(plan: &Value) -> Vec<(String, String)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let changes = plan["changes"].as_array().unwrap();
    let fields = changes.iter().flat_map(|change| change["fields"].as_array().unwrap());
    fields.map(|field| (text(&field["path"]), text(&field["origin"]))).collect()
}

fn timeout(origin: &str) -> Vec<(String, String)> {
    vec![("/timeout".to_owned(), origin.to_owned())]
}

/// Changes what is declared, and commits it.
fn declare(repo: &Repo, from: &str, to: &str) {
    repo.edit("jobs.d/one.yaml", from, to);
    commit(repo);
}

#[test]
fn a_change_in_the_console_is_told_with_who_and_when() {
    let (repo, server) = timeouts();
    server.edit(&id(1), json!({"timeout": 6}));
    let found = plan(&repo, &server, &[]);
    let change = &found["changes"][0];
    assert_eq!(origins(&found), timeout("console"));
    assert_eq!(change["fields"][0]["base"], json!(5));
    assert_eq!(change["changed_by"]["name"], json!("anna.k"));
    let at = server.job(&id(1))["updatedBy"]["date"].as_i64().unwrap();
    let at = jiff::Timestamp::from_millisecond(at).unwrap();
    assert_eq!(change["changed_at"], json!(at.to_string()));
    assert_eq!(found["base"]["source"], json!("last_apply"));
    assert_eq!(found["base"]["commit"], json!(git(&repo.path(""), &["rev-parse", "HEAD"])));
    repo.run_at(&server, &["plan"]).ends(0).says("changed live since the last apply, last by anna.k on ");
    repo.run_at(&server, &["plan", "-v"]).ends(0).complains("which was applied last");
    // It is put back, and then all is well.
    repo.run_at(&server, &APPLY).ends(0);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn git_and_console_are_told_apart_member_by_member() {
    let (repo, server) = timeouts();
    server.edit(&id(1), json!({"timeout": 6}));
    declare(&repo, "[Wed]", "[Thu]");
    let found = origins(&plan(&repo, &server, &[]));
    let expected = [("/recurringWeekDays", "git"), ("/timeout", "console")];
    let mut found: Vec<(&str, &str)> = found.iter().map(|(a, b)| (a.as_str(), b.as_str())).collect();
    found.sort_unstable();
    assert_eq!(found, expected);
    repo.run_at(&server, &["plan"]).ends(0).says("timeout [console]: 6 -> 5").says("[git]");
}

#[test]
fn a_conflict_is_held_with_its_three_values_until_somebody_decides() {
    let (repo, server) = timeouts();
    server.edit(&id(1), json!({"timeout": 6}));
    declare(&repo, "timeout: 5", "timeout: 7");
    let shown = repo.run_at(&server, &["plan"]).ends(0);
    let shown = shown.says("= held one").says("timeout [git and console]: 6 -> 7");
    let shown = shown.says("at the base 5; the console says 6, Git 7").says("last edited by anna.k on");
    shown.says("--override one").says("Plan: 1 held");
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(3);
    server.take_requests();
    let held = repo.run_at(&server, &[&APPLY[..], &["--output", "json"]].concat()).ends(3).json();
    assert_eq!(held["changes"][0]["outcome"], json!("held"));
    assert_eq!(held["changes"][0]["request"], Value::Null);
    assert_eq!(server.job(&id(1))["timeout"], json!(6));
    // A pattern of another job decides nothing.
    repo.run_at(&server, &[&APPLY[..], &["--override", "two*"]].concat())
        .ends(3)
        .complains("no manifest of this run");
    repo.run_at(&server, &[&APPLY[..], &["--override", "on?"]].concat()).ends(0);
    assert_eq!(server.job(&id(1))["timeout"], json!(7));
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn a_saved_plan_that_shows_a_conflict_decides_it() {
    let (repo, server) = timeouts();
    server.edit(&id(1), json!({"timeout": 6}));
    declare(&repo, "timeout: 5", "timeout: 7");
    repo.run_at(&server, &["plan", "--out", "p.json"]).ends(0).says("= held one");
    // What moved after the plan was looked at was not decided.
    server.edit(&id(1), json!({"timeout": 8}));
    repo.run_at(&server, &["apply", "--plan", "p.json"]).ends(3);
    assert_eq!(server.job(&id(1))["timeout"], json!(8));
    repo.run_at(&server, &["plan", "--out", "p.json"]).ends(0).says("= held one");
    repo.run_at(&server, &["apply", "--plan", "p.json"]).ends(0);
    assert_eq!(server.job(&id(1))["timeout"], json!(7));
}

/// Whoever approves the document of a saved plan approves what is held in it, and must see that.
#[test]
fn the_document_of_a_saved_plan_says_what_it_decides() {
    let lines = "  status: Enabled\n  timeout: 5\n  dynamicPatchesQQL: x\n";
    let (repo, server) = applied(lines, live_job(1, "one"));
    server.edit(&id(1), json!({"status": "Disabled", "timeout": 6}));
    declare(&repo, "timeout: 5", "timeout: 7");
    let markdown = ["plan", "--output", "markdown"];
    let only_shown = repo.run_at(&server, &markdown).ends(0);
    assert!(!only_shown.stdout.contains("Approving"), "nobody approves a plan that is not kept");
    let shown = repo.run_at(&server, &[&markdown[..], &["--out", "p.json"]].concat()).ends(0);
    let head = shown.stdout.split("Gateway ").next().unwrap().to_owned();
    assert!(
        head.contains("\n\n**Approving this saved plan decides these 2 held steps for Git:**\n\n"),
        "{head}"
    );
    assert!(head.contains("- **update** `one`: Git and the console both changed `timeout`"), "{head}");
    let enable = "- **enable (the job will run)** `one`: waits for a change that is held; the job was disabled in the \
                  console, last edited by anna.k on ";
    assert!(head.contains(enable), "{head}");
    shown.says("Applying takes 6 calls");
    let json = plan(&repo, &server, &["--out", "p.json"]);
    assert_eq!(json["decided_by_saved_plan"], json!(["one:update", "one:enable"]));
    assert_eq!(plan(&repo, &server, &[])["decided_by_saved_plan"], Value::Null);
    let human = repo.run_at(&server, &["plan", "--out", "p.json"]).ends(0);
    human.says(
        "Applying the saved plan decides for Git:\n  update one: Git and the console both changed `timeout`",
    );
    let done = repo.run_at(&server, &["apply", "--plan", "p.json", "--output", "markdown"]).ends(0);
    let decided = "\n**Held in the plan, and decided for Git by its approval:**\n\n- update `one`, which was last edited by ";
    let done = done.says(decided).says("\n- enable `one`, which was last edited by ");
    assert!(done.stdout.find(decided) < done.stdout.find("<details>"), "{}", done.stdout);
}

#[test]
fn a_saved_plan_decides_no_conflict_that_it_does_not_show() {
    let (repo, server) = timeouts();
    declare(&repo, "timeout: 5", "timeout: 7");
    repo.run_at(&server, &["plan", "--out", "p.json"]).ends(0).says("~ update one");
    server.edit(&id(1), json!({"timeout": 6}));
    repo.run_at(&server, &["apply", "--plan", "p.json"]).ends(3);
    assert_eq!(server.job(&id(1))["timeout"], json!(6));
}

#[test]
fn the_console_wins_for_as_long_as_it_is_configured_so() {
    let (repo, server) = timeouts();
    repo.write("patchctl.yaml", "owner: team\nconsole: hold\n");
    server.edit(&id(1), json!({"timeout": 6}));
    repo.run_at(&server, &APPLY).ends(3).says("`console: hold` leaves it");
    // A saved plan does not change what is configured; the command line does.
    repo.run_at(&server, &["plan", "--out", "p.json"]).ends(0);
    repo.run_at(&server, &["apply", "--plan", "p.json"]).ends(3);
    assert_eq!(server.job(&id(1))["timeout"], json!(6));
    repo.run_at(&server, &[&APPLY[..], &["--override", "one"]].concat()).ends(0);
    assert_eq!(server.job(&id(1))["timeout"], json!(5));
}

/// The stamp says nothing of the status; what we left is in the ledger, with Git or without.
#[test]
fn a_job_that_the_console_disabled_is_not_enabled_again() {
    for is_in_git in [true, false] {
        let server = Server::of(vec![live_job(1, "one")]);
        let repo = Repo::with(&[("one", "  status: Enabled\n  dynamicPatchesQQL: x\n")]);
        if is_in_git {
            git(&repo.path(""), &["init", "-q", "-b", "main"]);
            commit(&repo);
        }
        repo.run_at(&server, &APPLY).ends(0);
        server.edit(&id(1), json!({"status": "Disabled"}));
        let words = "the job was disabled in the console, last edited by anna.k on";
        repo.run_at(&server, &APPLY).ends(3).says(words);
        assert_eq!(server.job(&id(1))["status"], json!("Disabled"));
        repo.run_at(&server, &["plan", "--out", "p.json"]).ends(0);
        let flags: &[&str] =
            if is_in_git { &["--override", "one", "--auto-approve"] } else { &["--plan", "p.json"] };
        repo.run_at(&server, &[&["apply"], flags].concat()).ends(0);
        assert_eq!(server.job(&id(1))["status"], json!("Enabled"));
    }
}

/// What was accepted needs no write, so the stamp is older than the base.
#[test]
fn what_was_accepted_and_put_back_in_the_console_is_of_the_console() {
    let (repo, server) = timeouts();
    server.edit(&id(1), json!({"timeout": 6}));
    repo.run_at(&server, &["accept", "--auto-approve"]).ends(0);
    commit(&repo);
    repo.run_at(&server, &APPLY).ends(0).says("No changes.");
    server.edit(&id(1), json!({"timeout": 5}));
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("console"));
    repo.run_at(&server, &["drift"]).ends(2).says("anna.k");
    repo.write("patchctl.yaml", "owner: team\nconsole: hold\n");
    repo.run_at(&server, &APPLY).ends(3).says("`console: hold` leaves it");
    assert_eq!(server.job(&id(1))["timeout"], json!(5));
    // Git goes on from what was accepted.
    declare(&repo, "timeout: 6", "timeout: 7");
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("both"));
    server.edit(&id(1), json!({"timeout": 6}));
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("git"));
}

/// What was applied from elsewhere is no edit of whoever edited something else afterwards.
#[test]
fn what_another_state_folder_applied_is_no_edit_in_the_console() {
    let (repo, server) = timeouts();
    declare(&repo, "timeout: 5", "timeout: 6");
    repo.run_at(&server, &[&APPLY[..], &["--state-dir", "elsewhere"]].concat()).ends(0);
    server.edit(&id(1), json!({"minimizeWindow": true}));
    declare(&repo, "timeout: 6", "timeout: 7");
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("unknown"));
    repo.run_at(&server, &["plan"]).ends(0).says("one from another state folder");
    // The folder that wrote it knows.
    assert_eq!(origins(&plan(&repo, &server, &["--state-dir", "elsewhere"])), timeout("git"));
}

/// What Git agreed to is what was applied last, and what Git says later is a decision.
#[test]
fn a_job_that_git_agreed_to_disable_is_enabled_by_git() {
    let lines = "  status: Enabled\n  dynamicPatchesQQL: x\n";
    let (repo, server) = applied(lines, live_job(1, "one"));
    server.edit(&id(1), json!({"status": "Disabled"}));
    repo.run_at(&server, &["accept", "--auto-approve"]).ends(0);
    commit(&repo);
    repo.run_at(&server, &APPLY).ends(0).says("No changes.");
    declare(&repo, "status: Disabled", "status: Enabled");
    assert_eq!(origins(&plan(&repo, &server, &[])), [("/status".to_owned(), "git".to_owned())]);
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(server.job(&id(1))["status"], json!("Enabled"));
}

/// A run is killed between disabling a job for an edit and enabling it again, and then somebody edits something else.
#[test]
fn a_job_that_we_disabled_for_an_edit_was_not_disabled_in_the_console() {
    for is_held in [false, true] {
        let lines =
            "  startDateTime: 2030-01-05T03:00\n  status: Enabled\n  dynamicPatchesQQL: x\n  timeout: 5\n";
        let (repo, server) = applied(lines, live_job(1, "one"));
        declare(&repo, "timeout: 5", "timeout: 7");
        server.take_requests();
        server.change(|behaviour| {
            behaviour.edit_enabled = EditEnabled::Refuse;
            behaviour.fail_next.push(Fault::on(Call::Status, Effect::HangBefore).nth(2));
        });
        let mut command = repo.command(&[&APPLY[..], &["--gateway", &server.url()]].concat());
        let mut child = command.envs(LOGIN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        let is_status = |request: &&RecordedRequest| request.call == Call::Status;
        while server.requests().iter().filter(is_status).count() < 2 {
            assert_eq!(child.try_wait().unwrap(), None);
            std::thread::yield_now();
        }
        child.kill().unwrap();
        child.wait().unwrap();
        server.change(|behaviour| behaviour.fail_next.clear());
        let job = server.job(&id(1));
        assert_eq!((&job["timeout"], &job["status"]), (&json!(7), &json!("Disabled")));
        let edit = if is_held { json!({"timeout": 8}) } else { json!({"minimizeWindow": true}) };
        server.edit(&id(1), edit);
        if is_held {
            repo.write("patchctl.yaml", "owner: team\nconsole: hold\n");
            let held = plan(&repo, &server, &[]);
            let text = held.to_string();
            assert!(text.contains("it is still to be done"), "{held:#}");
            assert!(!text.contains("disabled in the console"), "{held:#}");
        }
        let found = plan(&repo, &server, if is_held { &["--override", "one"] } else { &[] });
        let changes = found["changes"].as_array().unwrap();
        let enable = changes.iter().find(|change| change["action"] == json!("enable")).unwrap();
        assert_eq!(enable["fields"][0]["origin"], json!("unknown"), "{found:#}");
        assert!(enable["request"].is_object(), "{found:#}");
        let notes = enable["notes"].to_string();
        assert!(notes.contains("this completes it") && !notes.contains("changed live"), "{notes}");
        assert_eq!(found["unsettled_runs"][0]["writes"][0]["left_disabled"], json!(true));
        let flags: &[&str] = if is_held { &["--override", "one"] } else { &[] };
        repo.run_at(&server, &[&APPLY[..], flags].concat()).ends(0);
        assert_eq!(server.job(&id(1))["status"], json!("Enabled"));
        repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    }
}

/// What we write to the job meanwhile is its last edit, and must not hide who disabled it.
#[test]
fn a_job_that_the_console_disabled_stays_so_whatever_is_written_to_it() {
    let lines = "  status: Enabled\n  timeout: 5\n  dynamicPatchesQQL: x\n";
    let (repo, server) = applied(lines, live_job(1, "one"));
    server.edit(&id(1), json!({"status": "Disabled", "timeout": 6}));
    for timeout in [5, 7, 8] {
        if timeout > 5 {
            declare(
                &repo,
                &format!("timeout: {}", if timeout == 7 { 5 } else { 7 }),
                &format!("timeout: {timeout}"),
            );
        }
        let words = "the job was disabled in the console, last edited by anna.k on";
        repo.run_at(&server, &APPLY).ends(4).says(words);
        let job = server.job(&id(1));
        assert_eq!((&job["timeout"], &job["status"]), (&json!(timeout), &json!("Disabled")));
        repo.run_at(&server, &APPLY).ends(3).says(words);
    }
    // Git agrees, and later says otherwise: that is a decision.
    declare(&repo, "status: Enabled", "status: Disabled");
    repo.run_at(&server, &APPLY).ends(0);
    declare(&repo, "status: Disabled", "status: Enabled");
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(server.job(&id(1))["status"], json!("Enabled"));
}

/// Our own call for the status is the last edit, and the console's edit before it is still the console's.
#[test]
fn our_status_call_is_no_edit_in_the_console() {
    let lines = "  status: Enabled\n  timeout: 5\n  dynamicPatchesQQL: x\n";
    let (repo, server) = applied(lines, live_job(1, "one"));
    declare(&repo, "status: Enabled", "status: Disabled");
    repo.run_at(&server, &APPLY).ends(0);
    // Only our call moved anything.
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    declare(&repo, "timeout: 5", "timeout: 7");
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("git"));
    // Without the state folder nothing but the stamp speaks.
    assert_eq!(origins(&plan(&repo, &server, &["--state-dir", "elsewhere"])), timeout("git"));
    repo.run_at(&server, &APPLY).ends(0);
    repo.write("patchctl.yaml", "owner: team\nconsole: hold\n");
    server.edit(&id(1), json!({"timeout": 6, "status": "Enabled"}));
    declare(&repo, "status: Disabled", "status: Enabled");
    repo.run_at(&server, &APPLY).ends(3);
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("console"));
    let found = plan(&repo, &server, &["--state-dir", "elsewhere"]);
    assert_eq!(origins(&found), timeout("console"));
}

#[test]
fn after_an_apply_that_failed_what_is_pending_is_of_git() {
    let (repo, server) = timeouts();
    declare(&repo, "timeout: 5", "timeout: 7");
    let refuse = Effect::Status { code: 403, body: None, headers: BTreeMap::new() };
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Update, refuse)));
    repo.run_at(&server, &APPLY).ends(1);
    for arguments in [&[][..], &["--state-dir", "elsewhere"], &["--base", "HEAD", "--state-dir", "elsewhere"]]
    {
        assert_eq!(origins(&plan(&repo, &server, arguments)), timeout("git"), "{arguments:?}");
    }
    // Somebody edits something else meanwhile: then the commit that was applied tells, and HEAD does not.
    server.edit(&id(1), json!({"minimizeWindow": true}));
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("git"));
    let head = plan(&repo, &server, &["--base", "HEAD", "--state-dir", "elsewhere"]);
    assert_eq!(origins(&head), timeout("unknown"));
    let notes = head["changes"][0]["notes"].to_string();
    assert!(notes.contains("something else was applied last than the base"), "{notes}");
}

#[test]
fn a_revert_commit_and_two_merges_with_one_apply_are_of_git() {
    let (repo, server) = timeouts();
    let first = git(&repo.path(""), &["rev-parse", "HEAD"]);
    declare(&repo, "timeout: 5", "timeout: 7");
    declare(&repo, "timeout: 7", "timeout: 8");
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("git"));
    repo.run_at(&server, &APPLY).ends(0);
    declare(&repo, "timeout: 8", "timeout: 5");
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("git"));
    // A base from before the last apply has what Git has again; the stamp knows better than to accuse anybody.
    let found = plan(&repo, &server, &["--base", &first, "--state-dir", "elsewhere"]);
    assert_eq!(origins(&found), timeout("git"));
}

#[test]
fn a_rewritten_history_is_said_and_accuses_nobody() {
    let (repo, server) = timeouts();
    git(&repo.path(""), &["commit", "-q", "--amend", "--allow-empty", "-m", "y"]);
    declare(&repo, "timeout: 5", "timeout: 7");
    server.edit(&id(1), json!({"timeout": 6}));
    let found = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).complains("it was rewritten");
    assert_eq!(origins(&found.json()), timeout("unknown"));
    assert_eq!(found.json()["base"], Value::Null);
    repo.run_at(&server, &["plan"]).ends(0).says("--base, or keep the state folder");
}

/// A pull request as a pipeline sees it; the clone stands in the place of the repository.
fn in_pipeline(repo: &Repo, server: &Server, folder: &Path, variables: &[(&str, &str)]) -> Ran {
    let mut command = repo.command(&["plan", "--output", "json", "--gateway", &server.url()]);
    command.current_dir(folder).envs(variables.iter().copied());
    command.envs(LOGIN);
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default());
    Ran::of(&mut command, repo)
}

#[test]
fn in_a_pull_request_the_merge_base_is_the_base() {
    let (repo, server) = timeouts();
    let root = repo.path("");
    let base = git(&root, &["rev-parse", "HEAD"]);
    git(&root, &["checkout", "-q", "-b", "topic"]);
    declare(&repo, "timeout: 5", "timeout: 7");
    server.edit(&id(1), json!({"timeout": 6}));
    let folder = tempfile::tempdir().unwrap();
    let url = format!("file://{}", root.display());
    let clone = |name: &str, depth: &[&str]| {
        let arguments = [&["clone", "-q", "--branch", "topic"], depth, &[url.as_str(), name]].concat();
        git(folder.path(), &arguments);
        folder.path().join(name)
    };
    let (whole, shallow) = (clone("whole", &[]), clone("shallow", &["--depth", "1"]));
    let github = [("GITHUB_EVENT_NAME", "pull_request"), ("GITHUB_BASE_REF", "main")];
    let gitlab = [("CI_MERGE_REQUEST_TARGET_BRANCH_NAME", "main")];
    let told = [gitlab[0], ("CI_MERGE_REQUEST_DIFF_BASE_SHA", base.as_str())];
    for (variables, source) in
        [(&github[..], "pull_request"), (&gitlab[..], "merge_request"), (&told[..], "merge_request")]
    {
        let found = in_pipeline(&repo, &server, &whole, variables).ends(0).json();
        assert_eq!(found["base"], json!({"commit": base, "source": source}));
        assert_eq!(origins(&found), timeout("both"));
        let lost = in_pipeline(&repo, &server, &shallow, variables).ends(0);
        let lost = lost.complains("there is no base, so it may not be known who changed what").json();
        assert_eq!((origins(&lost), &lost["base"]), (timeout("unknown"), &Value::Null));
    }
    let lost = in_pipeline(&repo, &server, &shallow, &github).ends(0);
    lost.complains("`fetch-depth: 0` of actions/checkout");
}

#[test]
fn outside_of_git_the_stamp_alone_speaks() {
    let server = Server::of(vec![live_job(1, "one")]);
    let repo = Repo::with(&[("one", "  timeout: 5\n")]);
    let first = plan(&repo, &server, &[]);
    assert_eq!(origins(&first), timeout("unknown"));
    let notes = first["changes"][0]["notes"].to_string();
    assert!(notes.contains("the job bears no stamp of this manifest"), "{notes}");
    repo.run_at(&server, &["plan"]).ends(0).keeps_quiet();
    repo.run_at(&server, &APPLY).ends(0);
    server.edit(&id(1), json!({"timeout": 6}));
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("console"));
    repo.edit("jobs.d/one.yaml", "timeout: 5", "timeout: 7");
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("unknown"));
}

/// Two repositories on one subscription, which write as the same user.
#[test]
fn another_repository_is_no_console() {
    let server = Server::of(vec![live_job(1, "one"), live_job(2, "two")]);
    let ours = Repo::with(&[("one", "  timeout: 5\n")]);
    let theirs = Repo::with(&[("two", "  timeout: 5\n")]);
    theirs.write("patchctl.yaml", "owner: others\n");
    for repo in [&ours, &theirs] {
        git(&repo.path(""), &["init", "-q", "-b", "main"]);
        commit(repo);
        repo.run_at(&server, &APPLY).ends(0);
    }
    theirs.edit("jobs.d/two.yaml", "timeout: 5", "timeout: 6");
    commit(&theirs);
    theirs.run_at(&server, &APPLY).ends(0);
    ours.run_at(&server, &["plan"]).ends(0).says("No changes.");
    // What they wrote to their own job since our apply is no edit of ours, and theirs is not touched.
    ours.write("jobs.d/two.yaml", manifest("two", "  timeout: 9\n"));
    commit(&ours);
    let found = plan(&ours, &server, &[]);
    assert_eq!(found["changes"][0]["action"], json!("blocked"));
    assert!(found["changes"][0]["reason"].as_str().unwrap().contains("others/two"));
}

#[test]
fn members_that_are_no_longer_declared_are_listed_with_what_stays() {
    let lines = "  timeout: 5\n  postDeployment: {rebootCountdown: {interval: 10, intervalUnit: MINUTES}}\n";
    let (repo, server) = applied(lines, live_job(1, "one"));
    assert_eq!(plan(&repo, &server, &[])["no_longer_managed"], json!([]));
    repo.edit("jobs.d/one.yaml", "  timeout: 5\n", "");
    repo.edit("jobs.d/one.yaml", "interval: 10, ", "");
    let expected = json!([
        {"key": "one", "path": "/postDeployment/rebootCountdown/interval", "value": 10},
        {"key": "one", "path": "/timeout", "value": 5},
    ]);
    assert_eq!(plan(&repo, &server, &[])["no_longer_managed"], expected);
    let shown = repo.run_at(&server, &["plan"]).ends(0).says("No longer managed, live value stays:");
    shown.says("one  timeout: 5").says("No changes.");
    // Also where the file has another name.
    std::fs::rename(repo.path("jobs.d/one.yaml"), repo.path("jobs.d/first.yaml")).unwrap();
    assert_eq!(plan(&repo, &server, &[])["no_longer_managed"], expected);
    // Once it was applied there is nothing more to be said.
    commit(&repo);
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(plan(&repo, &server, &[])["no_longer_managed"], json!([]));
}

#[test]
fn a_manifest_that_moved_or_has_another_key_is_found_at_the_base() {
    let (repo, server) = timeouts();
    server.edit(&id(1), json!({"timeout": 6}));
    declare(&repo, "timeout: 5", "timeout: 7");
    std::fs::rename(repo.path("jobs.d/one.yaml"), repo.path("jobs.d/first.yaml")).unwrap();
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("both"));
    repo.edit("jobs.d/first.yaml", "key: one", "key: first");
    // The stamp is of the other key and proves nothing; the values do.
    assert_eq!(origins(&plan(&repo, &server, &[])), timeout("both"));
}

#[test]
fn jobs_that_were_never_applied_are_carried_out() {
    let server = Server::behaving(
        vec![live_job_with(
            1,
            "one",
            json!({"timeout": 9, "updatedBy": {"user": {"id": "x", "name": "anna.k"}, "date": 1_785_000_000_000_i64}}),
        )],
        Behaviour::default(),
    );
    let repo = Repo::with(&[("one", "  timeout: 5\n")]);
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(server.job(&id(1))["timeout"], json!(5));
}
