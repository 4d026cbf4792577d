//! Jobs that a plan names and that nothing is written to, and pairs of jobs and manifests that it cannot tell apart.

use serde_json::{Value, json};

use crate::support::{Repo, Server, counts, id, live_job, live_job_with, live_script, manifest, snapshot};

/// One job for each reason.
fn all_reasons() -> (Server, Repo) {
    let others = json!({"description": "[patchctl:others/stamped 1:00000000:00000000:00000000]"});
    let armed = json!({
        "scheduleType": "Once", "status": "Enabled", "recurring": false, "recurringWeekDays": null,
    });
    let server = Server::of(vec![
        live_job_with(1, "stamped", others),
        live_job_with(2, "of-linux", json!({"platform": "Linux"})),
        live_job_with(3, "of-rollback", json!({"type": "Rollback"})),
        live_job_with(4, "scripted", json!({"preDeployActions": [live_script(1, "Drain")]})),
        live_job_with(5, "armed", armed),
    ]);
    let bound = |key: &str, n: u8| {
        manifest(key, "  timeout: 5\n").replace("spec:", &format!("  id: {}\nspec:", id(n)))
    };
    let repo = Repo::with(&[("stamped", "  timeout: 5\n"), ("scripted", "  preDeployActions: []\n")]);
    repo.write("jobs.d/of-linux.yaml", bound("of-linux", 2));
    repo.write("jobs.d/of-rollback.yaml", bound("of-rollback", 3));
    repo.write("jobs.d/gone.yaml", bound("gone", 99));
    let once = manifest("armed", "  timeout: 5\n");
    repo.write(
        "jobs.d/armed.yaml",
        once.replace("scheduleType: Weekly\n  recurringWeekDays: [Wed]", "scheduleType: Once"),
    );
    (server, repo)
}

#[test]
fn each_says_why_and_what_to_do() {
    let (server, repo) = all_reasons();
    let plan = repo.run_at(&server, &["plan"]).ends(0);
    snapshot("blocked", &plan.stdout.replace(&server.host(), "127.0.0.1:PORT0"));
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(3);
}

#[test]
fn none_is_written_to() {
    let (server, repo) = all_reasons();
    let before = server.dump();
    let done = repo.run_at(&server, &["apply", "--auto-approve", "--output", "json"]).ends(3).json();
    assert_eq!(done["outcomes"]["blocked"], 6);
    assert_eq!(done["summary"]["blocked"], 6);
    assert!(done["changes"].as_array().unwrap().iter().all(|change| change["request"].is_null()));
    // Each bound job was read once, for the plan; the one that is gone, too.
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2), ("get", 6)]));
    assert_eq!(server.dump(), before);
}

#[test]
fn the_outcome_says_the_word_once_and_repeats_the_advice() {
    let (server, repo) = all_reasons();
    let ran = repo.run_at(&server, &["apply", "--auto-approve"]).ends(3);
    let (_, outcomes) = ran.stdout.split_once("6 read).\n\n").unwrap();
    snapshot("blocked-apply", outcomes);
}

#[test]
fn what_is_blocked_does_not_hold_up_the_rest() {
    let (server, repo) = all_reasons();
    server.edit(&id(1), json!({"description": ""}));
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(2);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(4).says("applied       update stamped");
    assert_eq!(server.job(&id(1))["timeout"], 5);
}

#[test]
fn a_script_is_removed_only_when_that_is_allowed_by_name() {
    let (server, repo) = all_reasons();
    let apply = ["apply", "--auto-approve", "--only", "scripted", "--allow-script-loss"];
    repo.run_at(&server, &[&apply[..], &["armed"]].concat()).ends(3);
    assert_eq!(server.job(&id(4))["preDeployActions"].as_array().unwrap().len(), 1);
    repo.run_at(&server, &[&apply[..], &["scripted"]].concat()).ends(0).says("= irreversible: removes ");
    assert!(server.job(&id(4))["preDeployActions"].as_array().is_none_or(Vec::is_empty));
    repo.run_at(&server, &["plan", "--only", "scripted"]).ends(0).says("No changes.");
}

#[test]
fn a_renamed_action_does_not_lose_its_script_unnoticed() {
    let (server, repo) = all_reasons();
    let action = |id: &str| {
        let lines = "    - action: Run Script\n      params: { actionItem: Empty, timeout: 180 }\n      scriptType: ps\n";
        let lines = if id.is_empty() {
            lines.to_owned()
        } else {
            lines.replace("- action", &format!("- actionId: {id}\n      action"))
        };
        repo.write("jobs.d/scripted.yaml", manifest("scripted", &format!("  preDeployActions:\n{lines}")));
    };
    action("");
    let ran = repo.run_at(&server, &["plan", "--only", "scripted"]).ends(1);
    snapshot("renamed-action", &ran.stderr);
    action("aaaaaaaa-0000-4000-8000-000000000001");
    repo.run_at(&server, &["apply", "--auto-approve", "--only", "scripted"]).ends(0);
    let stored = &server.job(&id(4))["preDeployActions"][0];
    assert_eq!(
        (&stored["params"]["actionItem"], &stored["script"]),
        (&json!("Empty"), &live_script(1, "Drain")["script"])
    );
}

#[test]
fn two_live_jobs_of_one_name_are_an_error_that_lists_both() {
    let server = Server::of(vec![live_job(1, "twin"), live_job(2, "twin")]);
    let repo = Repo::with(&[("twin", "")]);
    let ran = repo.run_at(&server, &["plan"]).ends(1);
    snapshot("two-live-jobs", &ran.stderr);
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2)]));
    // The id says which.
    repo.write("jobs.d/twin.yaml", manifest("twin", "").replace("spec:", &format!("  id: {}\nspec:", id(2))));
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn one_name_on_two_platforms_is_no_twin() {
    let server = Server::of(vec![live_job(1, "job"), live_job_with(2, "job", json!({"platform": "Linux"}))]);
    let repo = Repo::with(&[("job", "")]);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn two_manifests_for_one_live_job_are_an_error_that_names_both() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "")]);
    let second = manifest("other", "").replace("spec:", &format!("  id: {}\nspec:", id(1)));
    repo.write("jobs.d/other.yaml", second);
    let ran = repo.run_at(&server, &["plan"]).ends(1);
    snapshot("two-manifests", &ran.stderr);
    assert_eq!(ran.stdout, "");
}

#[test]
fn a_stamp_copied_by_the_console_proves_nothing() {
    let server = Server::of(vec![live_job(1, "job"), live_job(2, "clone")]);
    let repo = Repo::with(&[("job", "  timeout: 5\n"), ("clone", "")]);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let stamp = server.job(&id(1))["description"].clone();
    server.edit(&id(2), json!({"description": stamp, "timeout": 9}));
    repo.write("jobs.d/clone.yaml", manifest("clone", "  timeout: 4\n"));
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    assert_eq!(plan["changes"][0]["key"], "clone");
    assert_eq!(plan["changes"][0]["fields"][0]["origin"], "unknown");
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let description = server.job(&id(2))["description"].clone();
    assert!(description.as_str().unwrap().starts_with("[patchctl:team/clone 1:"), "{description}");
    assert_ne!(description, Value::Null);
}
