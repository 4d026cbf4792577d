//! The workflows of GitHub Actions, step by step as they stand.

use serde_json::Value;

use crate::files::{members, yaml};
use crate::stub::{Checkout, Step, World, become_world, has_drift};
use crate::support::{Repo, Server, id, live_job, manifest};

/// One job at 4 hours, and a manifest that wants 5.
fn setting() -> (Server, Checkout) {
    let server = Server::of(vec![live_job(1, "job")]);
    let mut checkout = Checkout::of(Repo::with(&[("job", "  timeout: 5\n")]), &server);
    let temporary = checkout.repo.path("temp").to_string_lossy().into_owned();
    checkout.set("RUNNER_TEMP", temporary);
    for file in ["GITHUB_PATH", "GITHUB_OUTPUT", "GITHUB_STEP_SUMMARY"] {
        checkout.repo.write(&format!("runner/{file}"), "");
        checkout.set(file, checkout.repo.path(&format!("runner/{file}")).to_string_lossy().into_owned());
    }
    checkout.set("GITHUB_REPOSITORY", "acme/patching");
    (server, checkout)
}

/// What an expression of a workflow stands for here.
fn expression(checkout: &Checkout, text: &str) -> String {
    let Some(inner) = text.strip_prefix("${{ ").and_then(|text| text.strip_suffix(" }}")) else {
        return text.to_owned();
    };
    let variable = |name: &str| checkout.variable(name).unwrap_or_else(|| panic!("no {name}")).to_owned();
    match inner {
        "github.token" => "token-of-the-job".to_owned(),
        "github.event.pull_request.number" => "17".to_owned(),
        "secrets.QUALYS_READER_USERNAME" | "secrets.QUALYS_USERNAME" => variable("QUALYS_USERNAME"),
        "secrets.QUALYS_READER_PASSWORD" | "secrets.QUALYS_PASSWORD" => variable("QUALYS_PASSWORD"),
        other => variable(other.strip_prefix("vars.").unwrap_or_else(|| panic!("`{other}`"))),
    }
}

/// Runs the steps of a job in order, up to the first that fails; returns the last that ran.
fn run_job(checkout: &mut Checkout, workflow: &str, job: &str) -> Step {
    let workflow = yaml(workflow);
    let job = &workflow["jobs"][job];
    let mut last = None;
    let mut path = checkout.variable("PATH").unwrap().to_owned();
    for step in job["steps"].as_array().unwrap() {
        let Some(run) = step["run"].as_str() else { continue };
        let added = checkout.repo.read("runner/GITHUB_PATH");
        if let Some(folder) = added.lines().last() {
            path = format!("{folder}:{path}");
        }
        // Of the login only what the step is given.
        let mut variables = vec![("PATH".to_owned(), path.clone())];
        for name in ["QUALYS_USERNAME", "QUALYS_PASSWORD", "QUALYS_GATEWAY_URL"] {
            variables.push((name.to_owned(), String::new()));
        }
        let given = [&workflow["env"], &job["env"], &step["env"]];
        for (name, value) in given.into_iter().flat_map(members) {
            variables.push((name.to_owned(), expression(checkout, value.as_str().unwrap())));
        }
        let step = checkout.sh(run, &variables);
        let is_over = step.code != Some(0);
        last = Some(step);
        if is_over {
            break;
        }
    }
    last.expect("a job has a step that runs something")
}

fn plan(checkout: &mut Checkout) -> Step {
    run_job(checkout, "github/patchctl-plan.yml", "plan")
}

const BOT: &str = "github-actions[bot]";

#[test]
fn the_first_plan_makes_a_comment_and_the_next_replaces_it() {
    let (server, mut checkout) = setting();
    plan(&mut checkout).ends(0);
    let calls = checkout.take_calls();
    assert_eq!(calls.len(), 2, "{calls:?}");
    assert!(calls[0].contains("--paginate repos/acme/patching/issues/17/comments?per_page=100"), "{calls:?}");
    assert!(
        calls[1].contains("--method POST repos/acme/patching/issues/17/comments -F body=@plan.md"),
        "{calls:?}"
    );
    let posted = checkout.posted();
    assert!(
        posted.starts_with("<!-- patchctl:plan team -->\n### Plan: 1 to update, 0 unchanged\n"),
        "{posted}"
    );

    // Somebody quotes it, somebody else has the marker further down, another owner has a comment, and there is ours.
    checkout.list(&[
        (1, "anna", &posted),
        (2, BOT, "see\n<!-- patchctl:plan team -->"),
        (3, BOT, "<!-- patchctl:plan other -->\r\nx"),
        (4, BOT, &posted.replace('\n', "\r\n")),
        (5, BOT, &posted),
    ]);
    plan(&mut checkout).ends(0);
    let calls = checkout.take_calls();
    assert!(
        calls[1].contains("--method PATCH repos/acme/patching/issues/comments/4 -F body=@plan.md"),
        "{calls:?}"
    );
    assert_eq!(server.job(&id(1))["timeout"], 4, "a plan writes nothing");
}

#[test]
fn a_plan_that_can_not_be_made_is_commented_and_fails_the_check() {
    let (_server, mut checkout) = setting();
    checkout.list(&[(4, BOT, "<!-- patchctl:plan team -->\nold")]);
    checkout.repo.edit("jobs.d/job.yaml", "timeout: 5", "timeot: 5");
    plan(&mut checkout).ends(1).complains("error: patchctl ended with 1");
    assert!(checkout.take_calls()[1].contains("comments/4"));
    let posted = checkout.posted();
    assert!(posted.starts_with("<!-- patchctl:plan team -->\n### Plan failed: 1 error\n"), "{posted}");

    // Not even the configuration can be read, so there is no owner to look for.
    checkout.repo.write("patchctl.yaml", "owner: [\n");
    plan(&mut checkout).ends(1);
    assert!(checkout.take_calls()[1].contains("comments/4"));
    assert!(
        checkout.posted().starts_with("<!-- patchctl:plan -->\n### Plan failed: "),
        "{}",
        checkout.posted()
    );
    checkout.list(&[(4, BOT, &checkout.posted())]);
    checkout.repo.write("patchctl.yaml", "owner: team\n");
    plan(&mut checkout).ends(1);
    assert!(checkout.take_calls()[1].contains("comments/4"), "and it is replaced once the owner is known");
}

#[test]
fn a_platform_that_refuses_fails_the_check() {
    let (_server, mut checkout) = setting();
    checkout.refuse(Some("--paginate"));
    plan(&mut checkout).ends(1).complains("HTTP 403");
    assert_eq!(checkout.take_calls().len(), 1, "nothing is posted where it is not known what is there");
    checkout.refuse(Some("--method POST"));
    plan(&mut checkout).ends(1).complains("HTTP 403");
    checkout.refuse(None);
    checkout.repo.write("plan.md", "something else\n");
    let variables = [("PR_NUMBER".to_owned(), "17".to_owned())];
    checkout
        .sh("sh ci/patchctl/github-comment.sh plan.md", &variables)
        .ends(1)
        .complains("does not begin with a marker");
}

#[test]
fn what_was_merged_is_planned_kept_and_applied() {
    let (server, mut checkout) = setting();
    run_job(&mut checkout, "github/patchctl-apply.yml", "plan").ends(0);
    assert_eq!(checkout.repo.read("runner/GITHUB_OUTPUT"), "changes=true\n");
    assert!(checkout.repo.read("runner/GITHUB_STEP_SUMMARY").contains("### Plan: 1 to update"));
    assert_eq!(server.job(&id(1))["timeout"], 4);

    run_job(&mut checkout, "github/patchctl-apply.yml", "apply").ends(0);
    assert_eq!(server.job(&id(1))["timeout"], 5);
    let summary = checkout.repo.read("runner/GITHUB_STEP_SUMMARY");
    assert!(summary.contains("<!-- patchctl:apply team -->\n### Apply: 1 applied of 1 step\n"), "{summary}");
    let audit = checkout.repo.read("audit.jsonl");
    let line: Value = serde_json::from_str(audit.lines().next().unwrap()).unwrap();
    assert_eq!((&line["key"], &line["outcome"]), (&"job".into(), &"applied".into()), "{audit}");

    // With the artifact of the run, the README's way to take it back.
    let kept = checkout.repo.path(".patchctl/runs");
    for entry in std::fs::read_dir(kept).unwrap() {
        let path = entry.unwrap().path();
        let name = format!("audit/.patchctl/runs/{}", path.file_name().unwrap().to_string_lossy());
        checkout.repo.write(&name, std::fs::read(path).unwrap());
    }
    checkout
        .sh("sh stub/program revert --state-dir audit/.patchctl --dry-run", &[])
        .ends(0)
        .says("timeout: 5 -> 4");

    // Nothing is left, so nobody is asked to approve.
    checkout.repo.write("runner/GITHUB_OUTPUT", "");
    run_job(&mut checkout, "github/patchctl-apply.yml", "plan").ends(0);
    assert_eq!(checkout.repo.read("runner/GITHUB_OUTPUT"), "changes=false\n");
}

#[test]
fn a_plan_of_held_steps_only_is_put_to_the_approver() {
    let (server, mut checkout) = setting();
    checkout.repo.write("jobs.d/job.yaml", manifest("job", "  status: Enabled\n  dynamicPatchesQQL: x\n"));
    run_job(&mut checkout, "github/patchctl-apply.yml", "plan").ends(0);
    run_job(&mut checkout, "github/patchctl-apply.yml", "apply").ends(0);
    server.edit(&id(1), serde_json::json!({"status": "Disabled"}));
    checkout.repo.write("runner/GITHUB_OUTPUT", "");
    checkout.repo.write("runner/GITHUB_STEP_SUMMARY", "");
    run_job(&mut checkout, "github/patchctl-apply.yml", "plan").ends(0).complains("only held steps");
    assert_eq!(checkout.repo.read("runner/GITHUB_OUTPUT"), "changes=true\n");
    let summary = checkout.repo.read("runner/GITHUB_STEP_SUMMARY");
    assert!(summary.contains("decides this held step for Git"), "{summary}");
    assert_eq!(server.job(&id(1))["status"], "Disabled");
    run_job(&mut checkout, "github/patchctl-apply.yml", "apply").ends(0);
    assert_eq!(server.job(&id(1))["status"], "Enabled");

    // What a saved plan leaves is put to nobody.
    checkout.repo.write("jobs.d/job.yaml", manifest("job", "  status: Disabled\n  dynamicPatchesQQL: x\n"));
    run_job(&mut checkout, "github/patchctl-apply.yml", "plan").ends(0);
    run_job(&mut checkout, "github/patchctl-apply.yml", "apply").ends(0);
    server.edit(&id(1), serde_json::json!({"status": "Enabled"}));
    checkout.repo.write("patchctl.yaml", "owner: team\nconsole: hold\n");
    checkout.repo.write("runner/GITHUB_OUTPUT", "");
    run_job(&mut checkout, "github/patchctl-apply.yml", "plan").ends(3).complains("may not be applied");
    assert_eq!(checkout.repo.read("runner/GITHUB_OUTPUT"), "changes=false\n");
    assert!(!checkout.repo.read("plan.md").contains("decides"), "{}", checkout.repo.read("plan.md"));
}

#[test]
fn an_apply_whose_plan_is_past_writes_nothing_and_is_red() {
    let (server, mut checkout) = setting();
    run_job(&mut checkout, "github/patchctl-apply.yml", "plan").ends(0);
    server.edit(&id(1), serde_json::json!({"timeout": 9}));
    run_job(&mut checkout, "github/patchctl-apply.yml", "apply").ends(3).complains("nothing was written");
    assert_eq!(server.job(&id(1))["timeout"], 9);
    assert!(checkout.repo.read("applied.md").contains("1 stale"), "{}", checkout.repo.read("applied.md"));
}

#[test]
fn a_merge_whose_plan_can_not_be_made_is_red() {
    let (_server, mut checkout) = setting();
    checkout.repo.edit("jobs.d/job.yaml", "timeout: 5", "timeot: 5");
    run_job(&mut checkout, "github/patchctl-apply.yml", "plan").ends(1).complains("there is no plan");
    assert_eq!(checkout.repo.read("runner/GITHUB_OUTPUT"), "changes=false\n");
}

#[test]
fn a_program_with_another_digest_is_not_run() {
    let (_server, mut checkout) = setting();
    checkout.repo.write("stub/program", "#!/bin/sh\ntouch was-run\n");
    plan(&mut checkout).ends(1).complains("has not the digest");
    assert!(!checkout.repo.path("was-run").exists());
    assert!(!checkout.repo.path("temp/patchctl/patchctl").exists());
}

#[test]
fn drift_opens_updates_and_closes_one_issue() {
    let (server, mut checkout) = setting();
    let drift = |checkout: &mut Checkout| run_job(checkout, "github/patchctl-drift.yml", "drift");
    become_world(&mut checkout, &server, &World::Drifted);
    drift(&mut checkout).ends(0).says("opened an issue");
    let calls = checkout.take_calls();
    assert!(calls[0].contains("repos/acme/patching/issues?state=open&per_page=100"), "{calls:?}");
    assert!(
        calls[1].contains("--method POST repos/acme/patching/issues -f title=Deployment jobs differ from Git -F body=@drift.md"),
        "{calls:?}"
    );
    let posted = checkout.posted();
    assert!(posted.starts_with("<!-- patchctl:drift team -->\n"), "{posted}");
    assert!(!has_drift() || posted.contains("timeout"), "{posted}");

    checkout.list(&[(6, "anna", &posted), (7, BOT, "other"), (8, BOT, &posted)]);
    drift(&mut checkout).ends(0).says("updated issue 8");
    assert!(
        checkout.take_calls()[1].contains("--method PATCH repos/acme/patching/issues/8 -F body=@drift.md")
    );

    // It could not be told: the issue is not even looked for.
    become_world(&mut checkout, &server, &World::Unknown);
    drift(&mut checkout).ends(1).complains("the issue stays as it is");
    assert_eq!(checkout.take_calls(), [""; 0]);

    become_world(&mut checkout, &server, &World::Clean);
    drift(&mut checkout).ends(0).says("closed issue 8");
    let calls = checkout.take_calls();
    assert!(calls[1].contains("--method POST repos/acme/patching/issues/8/comments"), "{calls:?}");
    assert!(calls[2].contains("--method PATCH repos/acme/patching/issues/8 -f state=closed"), "{calls:?}");

    checkout.list(&[]);
    drift(&mut checkout).ends(0).says("nothing to do");
    assert_eq!(checkout.take_calls().len(), 1);
}
