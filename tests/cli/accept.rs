//! `accept`: what was changed in the console into the manifests, and what is left alone.

use serde_json::{Value, json};

use crate::support::{Repo, Server, id, live_job, live_job_with, manifest, snapshot};

const ACCEPT: [&str; 2] = ["accept", "--auto-approve"];

/// A job that was applied, so that its stamp tells Git from console.
fn applied(text: &str) -> (Server, Repo) {
    let server = Server::of(vec![live_job(1, "one"), live_job(2, "two")]);
    let repo = Repo::with(&[("one", text), ("two", "")]);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    (server, repo)
}

const TEXT: &str = "  description: of one   # ours
  timeout: 5   # hours
  postDeployment:
    # long enough to save
    rebootCountdown: { interval: 15, intervalUnit: MINUTES }
";

#[test]
fn a_change_in_the_console_and_nothing_else() {
    let (server, repo) = applied(TEXT);
    let countdown = json!({"rebootCountdown": {"interval": 5, "intervalUnit": "MINUTES"}});
    server.edit(&id(1), json!({"timeout": 7, "postDeployment": countdown}));
    let before = repo.read("jobs.d/one.yaml");
    // First what it would do.
    let dry = repo.run_at(&server, &["accept", "--dry-run"]).ends(0);
    assert_eq!(repo.read("jobs.d/one.yaml"), before);
    snapshot("accept-dry-run", &dry.both());
    server.take_counts();
    let done = repo.run_at(&server, &ACCEPT).ends(0).says("Accept: 2 live values written into 1 file");
    assert!(done.stdout.contains("edited last by anna.k on "), "{}", done.stdout);
    let counts = server.take_counts();
    assert!(
        !counts.keys().any(|call| ["update", "create", "status", "delete"].contains(&call.as_str())),
        "{counts:?}"
    );
    let expected = before.replace("timeout: 5", "timeout: 7").replace("interval: 15", "interval: 5");
    assert_eq!(repo.read("jobs.d/one.yaml"), expected);
    assert_eq!(repo.read("jobs.d/two.yaml"), manifest("two", ""));
    repo.run_at(&server, &["plan"]).ends(0).keeps_quiet().says("No changes.");
    // Nothing is left to accept, and that is no failure.
    repo.run_at(&server, &ACCEPT).ends(0).says("Accept: nothing to accept");
    assert_eq!(repo.read("jobs.d/one.yaml"), expected);
}

#[test]
fn one_member_of_one_manifest() {
    let (server, repo) = applied(TEXT);
    server.edit(&id(1), json!({"timeout": 7, "timeoutUnit": "HOURS", "assetIds": []}));
    server.edit(&id(1), json!({"description": "of one, edited"}));
    repo.run_at(&server, &[&ACCEPT[..], &["one/timeout"]].concat()).ends(0);
    assert_eq!(repo.read("jobs.d/one.yaml"), manifest("one", &TEXT.replace("timeout: 5", "timeout: 7")));
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    let paths: Vec<&Value> =
        plan["changes"][0]["fields"].as_array().unwrap().iter().map(|f| &f["path"]).collect();
    assert_eq!(paths, ["/description"]);
}

#[test]
fn what_git_changed_is_left() {
    let (server, repo) = applied(TEXT);
    repo.edit("jobs.d/one.yaml", "timeout: 5", "timeout: 6");
    let before = repo.read("jobs.d/one.yaml");
    repo.run_at(&server, &ACCEPT)
        .ends(0)
        .says("nothing to accept")
        .says("Git changed it and not the console");
    repo.run_at(&server, &[&ACCEPT[..], &["one"]].concat()).ends(0).says("nothing to accept");
    repo.run_at(&server, &[&ACCEPT[..], &["one/timeout"]].concat())
        .ends(1)
        .complains("error[accept-git]: `timeout` was changed in Git and not in the console");
    assert_eq!(repo.read("jobs.d/one.yaml"), before);
}

#[test]
fn what_nobody_can_prove_is_taken_by_key_only() {
    let server = Server::of(vec![live_job_with(1, "one", json!({"timeout": 7}))]);
    let repo = Repo::with(&[("one", "  timeout: 5\n")]);
    let before = repo.read("jobs.d/one.yaml");
    repo.run_at(&server, &ACCEPT).ends(0).says("`patchctl accept one` takes it all the same");
    assert_eq!(repo.read("jobs.d/one.yaml"), before);
    repo.run_at(&server, &[&ACCEPT[..], &["o*"]].concat()).ends(0);
    assert_eq!(repo.read("jobs.d/one.yaml"), before.replace("timeout: 5", "timeout: 7"));
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn what_is_refused_is_told_and_the_rest_written() {
    let (server, repo) =
        applied("  timeout: &hours 5\n  downloadRandomizeTime: *hours\n  minimizeWindow: true\n");
    server.edit(&id(1), json!({"timeout": 7, "minimizeWindow": false}));
    let ran = repo.run_at(&server, &ACCEPT).ends(1);
    snapshot("accept-anchor", &ran.both());
    let text = repo.read("jobs.d/one.yaml");
    assert!(text.contains("timeout: &hours 5\n") && text.contains("minimizeWindow: false\n"), "{text}");
}

#[test]
fn for_programs() {
    let (server, repo) = applied(TEXT);
    server.edit(&id(1), json!({"timeout": 7}));
    let json =
        repo.run_at(&server, &[&ACCEPT[..], &["--output", "json"]].concat()).ends(0).keeps_quiet().json();
    assert_eq!(json["summary"], json!({"accepted": 1, "refused": 0, "left": 0, "files": 1, "written": 1}));
    let accepted = &json["accepted"][0];
    assert_eq!(
        (&accepted["path"], &accepted["was"], &accepted["is"]),
        (&json!("/timeout"), &json!(5), &json!(7))
    );
    assert_eq!(accepted["changed_by"]["name"], "anna.k");
    assert_eq!(accepted["origin"], "console");
    assert!(
        json["files"][0]["diff"]
            .as_str()
            .unwrap()
            .contains("\n-  timeout: 5   # hours\n+  timeout: 7   # hours\n")
    );
    assert_eq!(json["files"][0]["written"], true);
}

#[test]
fn somebody_must_be_there_to_answer() {
    let (server, repo) = applied(TEXT);
    server.edit(&id(1), json!({"timeout": 7}));
    server.take_counts();
    let before = repo.read("jobs.d/one.yaml");
    repo.run_at(&server, &["accept"]).ends(64).complains("there is no terminal");
    assert!(server.take_counts().is_empty());
    let no = repo.run_at_terminal(&server, "patchctl accept", "no", || {}).ends(1);
    assert!(no.stdout.contains("the change was not approved"), "{}", no.stdout);
    assert_eq!(repo.read("jobs.d/one.yaml"), before);
    let changed = || repo.write("jobs.d/one.yaml", format!("{before}# edited meanwhile\n"));
    let late = repo.run_at_terminal(&server, "patchctl accept", "yes", changed).ends(1);
    assert!(late.stdout.contains("it changed while this run went on"), "{}", late.stdout);
    assert_eq!(repo.read("jobs.d/one.yaml"), format!("{before}# edited meanwhile\n"));
    let yes = repo.run_at_terminal(&server, "patchctl accept", "yes", || {}).ends(0);
    assert!(yes.stdout.contains("+  timeout: 7   # hours"), "{}", yes.stdout);
    assert!(repo.read("jobs.d/one.yaml").contains("timeout: 7   # hours"));
}

#[test]
fn a_target_that_is_not_there_is_no_success() {
    let (server, repo) = applied(TEXT);
    repo.run_at(&server, &[&ACCEPT[..], &["ome"]].concat()).ends(1).complains("did you mean `one`?");
    repo.run_at(&server, &[&ACCEPT[..], &["one/timeot"]].concat())
        .ends(64)
        .complains("did you mean `timeout`?");
    repo.run_at(&server, &[&ACCEPT[..], &["/timeout"]].concat()).ends(64).complains("names no manifest");
    repo.write("jobs.d/new.yaml", manifest("new", "  startDateTime: 2031-01-05T03:00\n"));
    repo.run_at(&server, &[&ACCEPT[..], &["new"]].concat()).ends(1).complains("it has no live job yet");
}

#[cfg(unix)]
#[test]
fn links_permissions_and_bytes_stay() {
    use std::os::unix::fs::PermissionsExt as _;
    let server = Server::of(vec![live_job(1, "one")]);
    let repo = Repo::empty();
    let text = format!("\u{feff}{}", manifest("one", "  timeout: 5 # Stunden ⏱\n").replace('\n', "\r\n"));
    let text = text.trim_end();
    repo.write("shared/one.yaml", text);
    std::fs::set_permissions(repo.path("shared/one.yaml"), std::fs::Permissions::from_mode(0o640)).unwrap();
    std::fs::create_dir(repo.path("jobs.d")).unwrap();
    std::os::unix::fs::symlink("../shared/one.yaml", repo.path("jobs.d/one.yaml")).unwrap();
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    server.edit(&id(1), json!({"timeout": 7}));
    repo.run_at(&server, &ACCEPT).ends(0);
    assert_eq!(repo.read("shared/one.yaml"), text.replace("timeout: 5", "timeout: 7"));
    assert!(repo.path("jobs.d/one.yaml").is_symlink());
    let mode = std::fs::metadata(repo.path("shared/one.yaml")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o640);
    std::fs::set_permissions(repo.path("shared/one.yaml"), std::fs::Permissions::from_mode(0o440)).unwrap();
    server.edit(&id(1), json!({"timeout": 9}));
    repo.run_at(&server, &[&ACCEPT[..], &["one"]].concat()).ends(1).complains("it is read-only");
    assert_eq!(repo.read("shared/one.yaml"), text.replace("timeout: 5", "timeout: 7"));
}
