//! The jobs of GitLab CI, as they stand.

use serde_json::{Value, json};

use crate::files::{GITLAB, yaml};
use crate::stub::{Checkout, Step, World, become_world};
use crate::support::{Repo, Server, id, live_job};

fn setting() -> (Server, Checkout) {
    let server = Server::of(vec![live_job(1, "job")]);
    let mut checkout = Checkout::of(Repo::with(&[("job", "  timeout: 5\n")]), &server);
    let here = checkout.repo.path("").to_string_lossy().trim_end_matches('/').to_owned();
    for (name, value) in [
        ("CI_PROJECT_DIR", here.as_str()),
        ("CI_API_V4_URL", "https://gitlab.example/api/v4"),
        ("CI_PROJECT_ID", "42"),
        ("CI_MERGE_REQUEST_IID", "17"),
        ("PATCHCTL_GITLAB_TOKEN", "glpat-SECRET"),
    ] {
        checkout.set(name, value);
    }
    (server, checkout)
}

/// Runs a job: one shell for all of its lines, as GitLab has it.
fn run_job(checkout: &Checkout, job: &str) -> Step {
    let file = yaml(GITLAB);
    let lines = |value: &Value| -> Vec<String> {
        value.as_array().unwrap().iter().map(|line| line.as_str().unwrap().to_owned()).collect()
    };
    let all = [lines(&file[".patchctl"]["before_script"]), lines(&file[job]["script"])].concat();
    checkout.sh(&all.join("\n"), &[])
}

const NOTES: &str = "https://gitlab.example/api/v4/projects/42/merge_requests/17/notes";
const ISSUES: &str = "https://gitlab.example/api/v4/projects/42/issues";
const ME: &str = "project_1_bot";

fn note(n: u32, author: &str, body: &str) -> Value {
    json!({"id": n, "type": null, "body": body, "author": {"id": 1, "username": author}, "system": false})
}

#[test]
fn the_first_plan_makes_a_note_and_the_next_replaces_it() {
    let (_server, checkout) = setting();
    run_job(&checkout, "patchctl-plan").ends(0).says("made a note");
    let calls = checkout.take_calls();
    assert_eq!(calls.len(), 3, "{calls:?}");
    assert!(
        calls[2].contains("--request POST --data-urlencode body@plan.md") && calls[2].ends_with(NOTES),
        "{calls:?}"
    );
    assert!(calls.iter().all(|call| !call.contains("SECRET")), "the token is no argument: {calls:?}");
    assert_eq!(checkout.repo.read("stub/config"), "header = \"PRIVATE-TOKEN: glpat-SECRET\"\n");
    let posted = checkout.posted();
    assert!(posted.starts_with("<!-- patchctl:plan team -->\n### Plan: 1 to update"), "{posted}");

    // A hundred notes before it, with whatever people write in them.
    let hostile = "\"},{\"id\":1,\"author\":{\"username\":\"project_1_bot\"},\"body\":\"<!-- patchctl:plan team -->\\\\\"";
    let mut first: Vec<Value> = (100..199).map(|n| note(n, "anna", hostile)).collect();
    first.push(note(199, "anna", &posted));
    checkout.page(1, &first);
    checkout.page(
        2,
        &[note(200, ME, hostile), note(201, ME, "<!-- patchctl:plan other -->\n"), note(202, ME, &posted)],
    );
    run_job(&checkout, "patchctl-plan").ends(0).says("replaced note 202");
    let calls = checkout.take_calls();
    assert!(calls[3].contains("--request PUT --data-urlencode body@plan.md"), "{calls:?}");
    assert!(calls[3].ends_with(&format!("{NOTES}/202")), "{calls:?}");
}

#[test]
fn a_plan_that_can_not_be_made_is_noted_and_fails_the_job() {
    let (_server, checkout) = setting();
    checkout.repo.edit("jobs.d/job.yaml", "timeout: 5", "timeot: 5");
    run_job(&checkout, "patchctl-plan").ends(1).says("made a note").complains("error: patchctl ended with 1");
    assert!(checkout.posted().starts_with("<!-- patchctl:plan team -->\n### Plan failed: 1 error\n"));
}

#[test]
fn a_platform_that_refuses_fails_the_job() {
    let (_server, checkout) = setting();
    for (what, n_calls) in [("GET https://gitlab.example/api/v4/user", 1), ("/notes?", 2), ("POST", 3)] {
        checkout.refuse(Some(what));
        let step = run_job(&checkout, "patchctl-plan").complains("403");
        assert_ne!(step.code, Some(0), "{what}");
        assert_eq!(checkout.take_calls().len(), n_calls, "{what}: nothing is tried after a refusal");
    }
}

#[test]
fn what_was_merged_is_planned_kept_and_applied() {
    let (server, checkout) = setting();
    run_job(&checkout, "patchctl-save-plan").ends(0);
    run_job(&checkout, "patchctl-apply").ends(0);
    assert_eq!(server.job(&id(1))["timeout"], 5);
    assert!(checkout.repo.read("applied.md").contains("### Apply: 1 applied of 1 step"));
    assert_eq!(checkout.repo.read("audit.jsonl").lines().count(), 1);
    // A plan without changes is applied as well: nothing is done.
    run_job(&checkout, "patchctl-save-plan").ends(0);
    run_job(&checkout, "patchctl-apply").ends(0);
    assert!(checkout.repo.read("applied.md").contains("**Nothing to do.**"));
}

#[test]
fn drift_opens_updates_and_closes_one_issue() {
    let (server, mut checkout) = setting();
    become_world(&mut checkout, &server, &World::Drifted);
    run_job(&checkout, "patchctl-drift").ends(0).says("opened an issue");
    let calls = checkout.take_calls();
    assert!(
        calls[0].ends_with(&format!("{ISSUES}?state=opened&scope=created_by_me&per_page=100&page=1")),
        "{calls:?}"
    );
    assert!(
        calls[1].contains("--request POST --data-urlencode title=Deployment jobs differ from Git"),
        "{calls:?}"
    );
    assert!(calls[1].contains("description@drift.md") && calls[1].ends_with(ISSUES), "{calls:?}");
    let posted = checkout.posted();

    checkout.page(1, &[json!({"iid": 3, "description": null}), json!({"iid": 8, "description": posted})]);
    run_job(&checkout, "patchctl-drift").ends(0).says("updated issue 8");
    assert!(checkout.take_calls()[1].ends_with(&format!("{ISSUES}/8")));

    become_world(&mut checkout, &server, &World::Unknown);
    run_job(&checkout, "patchctl-drift").ends(1).complains("the issue stays as it is");
    assert_eq!(checkout.take_calls(), [""; 0]);

    become_world(&mut checkout, &server, &World::Clean);
    run_job(&checkout, "patchctl-drift").ends(0).says("closed issue 8");
    let calls = checkout.take_calls();
    assert!(calls[1].ends_with(&format!("{ISSUES}/8/notes")), "{calls:?}");
    assert!(
        calls[2].contains("state_event=close") && calls[2].ends_with(&format!("{ISSUES}/8")),
        "{calls:?}"
    );
}
