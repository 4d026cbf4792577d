//! `--output markdown`: documents for comments, with the marker first, also where a command fails.

use serde_json::json;

use crate::support::{LOGIN, Repo, Server, live_job, live_job_with, live_script, manifest, snapshot};

/// Host names of servers have another port each time.
fn tidy(server: &Server, text: &str) -> String {
    text.replace(&server.host(), "[GATEWAY]")
}

/// One step of each kind that must be seen, and two that need not.
fn setting() -> (Server, Repo) {
    let script = |n| json!([live_script(n, "Drain")]);
    let once = json!({"scheduleType": "Once", "startDateTime": "2027-1-05 03:00:00 AM", "recurring": false, "recurringWeekDays": null,
        "assetCount": 14, "patches": ["p"], "isDynamicPatchesQQL": true, "dynamicPatchesQQL": "vendorSeverity:Critical"});
    let server = Server::of(vec![
        live_job_with(
            1,
            "weekly",
            json!({"description": "Patches all | servers of @ops, see https://wiki.example/p?token=abc"}),
        ),
        live_job_with(2, "hotfix", once),
        live_job_with(3, "drained", json!({"preDeployActions": script(3)})),
        live_job_with(4, "kept", json!({"preDeployActions": script(4)})),
        live_job(5, "same"),
        live_job(6, "</details> @everyone"),
    ]);
    let repo = Repo::with(&[
        (
            "weekly",
            "  timeout: 5\n  description: Patches all servers\n  notification:\n    notificationTypes: { email: true }\n    notificationConfigs:\n      \
             recipientEmails: [anna@example.org, ops@example.org]\n    notificationEvents: { onJobStart: true }\n",
        ),
        ("drained", "  preDeployActions: []\n"),
        ("kept", "  preDeployActions: []\n"),
        ("same", ""),
        (
            "new",
            "  startDateTime: 2026-12-01T02:00\n  assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n  timezone: UTC\n  timezoneType: SPECIFIC_TZ\n",
        ),
    ]);
    let hotfix =
        manifest("hotfix", "  status: Enabled\n").replace("Weekly\n  recurringWeekDays: [Wed]", "Once");
    repo.write("jobs.d/hotfix.yaml", hotfix);
    let hostile =
        manifest("hostile", "  timeout: 9\n").replace("name: hostile", "name: \"</details> @everyone\"");
    repo.write("jobs.d/hostile.yaml", hostile);
    (server, repo)
}

const FLAGS: [&str; 7] =
    ["--output", "markdown", "--allow-run-once", "hotfix", "--allow-script-loss", "drained", "--no-cache"];

#[test]
fn a_plan_for_a_comment() {
    let (server, repo) = setting();
    let ran = repo.run_at(&server, &[&["plan"][..], &FLAGS].concat()).ends(0);
    snapshot("markdown-plan", &tidy(&server, &ran.stdout));
    for secret in ["anna@example.org", "ops@example.org", "token=abc"] {
        assert!(!ran.stdout.contains(secret), "{secret}");
    }
    // The same plan, the same fingerprint.
    let json = repo.run_at(
        &server,
        &["plan", "--output", "json", "--allow-run-once", "hotfix", "--allow-script-loss", "drained"],
    );
    let fingerprint = json.json()["fingerprint"].as_str().unwrap().to_owned();
    assert!(ran.stdout.contains(&format!("Fingerprint `{fingerprint}`.")), "{}", ran.stdout);
}

#[test]
fn what_became_of_it_for_a_comment() {
    let (server, repo) = setting();
    let ran = repo.run_at(&server, &[&["apply", "--auto-approve"][..], &FLAGS].concat()).ends(4);
    let text = tidy(&server, &ran.stdout);
    let run = text.split("Run `").nth(1).unwrap().split('`').next().unwrap().to_owned();
    let made = text.split("`new`, id `").nth(1).unwrap().split('`').next().unwrap().to_owned();
    snapshot("markdown-apply", &text.replace(&run, "[RUN]").replace(&made, "[ID]"));
    let left =
        repo.run_at(&server, &["apply", "--auto-approve", "--only", "same", "--output", "markdown"]).ends(0);
    assert_eq!(
        tidy(&server, &left.stdout),
        "<!-- patchctl:apply team -->\n**Nothing to do.** The live job is as declared in Git, at `[GATEWAY]`.\n"
    );
}

#[test]
fn no_changes_are_one_line() {
    let server = Server::of(vec![live_job(1, "same")]);
    let repo = Repo::with(&[("same", "")]);
    let ran = repo.run_at(&server, &["plan", "--output", "markdown"]).ends(0).keeps_quiet();
    assert_eq!(
        tidy(&server, &ran.stdout),
        "<!-- patchctl:plan team -->\n**No changes.** The live job is as declared in Git, at `[GATEWAY]`.\n"
    );
}

#[test]
fn failures_are_documents_too() {
    let (_server, repo) = setting();
    // Nobody listens there.
    let unreachable = ["plan", "--output", "markdown", "--gateway", "http://127.0.0.1:1"];
    repo.run_with(&LOGIN, &unreachable)
        .ends(1)
        .says("<!-- patchctl:plan team -->\n### Plan failed\n\n**Error:** could not log in to 127.0.0.1:1\n- caused by: ")
        .complains("error: could not log in");
    repo.edit("jobs.d/weekly.yaml", "timeout: 5", "timeot: 5");
    repo.run_with(&LOGIN, &unreachable)
        .ends(1)
        .says("<!-- patchctl:plan team -->\n### Plan failed: 1 error\n\n- **error** (`unknown-member`) `jobs.d/weekly.yaml:11:3`: ")
        .says("  - help: did you mean this? `timeout`\n");
    repo.run(&["validate", "--output", "markdown"])
        .ends(1)
        .says("<!-- patchctl:validate team -->\n### Validate failed: 1 error\n");
    // Nobody is there to answer, and the comment says so.
    repo.run(&["apply", "--output", "markdown"])
        .ends(64)
        .says("<!-- patchctl:apply team -->\n### Apply failed\n\n**Error:** apply asks before it writes, and there is no terminal\n");
    // Without settings there is no owner.
    repo.write("patchctl.yaml", "owner: [\n");
    repo.run(&["plan", "--output", "markdown"])
        .ends(1)
        .says("<!-- patchctl:plan -->\n### Plan failed: 1 error\n");
}

#[test]
fn manifests_that_are_valid() {
    let repo = Repo::of_the_sources();
    let ran = repo.run(&["validate", "--output", "markdown"]).ends(0).keeps_quiet();
    assert_eq!(
        ran.stdout,
        "<!-- patchctl:validate acme-patching -->\n**13 manifests in `jobs.d` are valid.**\n"
    );
}

#[test]
fn commands_without_markdown_say_so() {
    let repo = Repo::of_the_sources();
    for (command, outputs) in [
        (&["doctor"][..], "its outputs are human and json"),
        (&["import", "--all"], "its outputs are human and json"),
        (&["schema"], "it prints a JSON Schema"),
        (&["simulator", "examples/tenant"], "nothing but messages"),
    ] {
        let ran = repo.run(&[command, &["--output", "markdown"]].concat()).ends(64);
        assert_eq!(ran.stdout, "");
        ran.complains(&format!("error: {} has no Markdown", command[0])).complains(outputs);
    }
    repo.run(&["apply", "--auto-approve", "--audit", "-", "--output", "markdown"])
        .ends(64)
        .complains("--audit - and --output markdown both want stdout");
}
