//! What must never be written to, found by attacking the program: each case with the request that would do the harm.

use patchctl::simulator::Lag;
use serde_json::{Value, json};

use crate::support::{Repo, Server, id, live_job, live_job_with, manifest};

/// A manifest that is bound by id.
fn bound(key: &str, n: u8, lines: &str) -> String {
    manifest(key, lines).replace("spec:", &format!("  id: {}\nspec:", id(n)))
}

/// Expects that the only step is blocked for a reason, and that apply writes nothing.
#[track_caller]
fn blocked(server: &Server, repo: &Repo, why: &str) {
    let plan = repo.run_at(server, &["plan", "--output", "json"]).ends(0).json();
    let changes = plan["changes"].as_array().unwrap();
    let actions: Vec<&Value> = changes.iter().map(|change| &change["action"]).collect();
    assert_eq!(actions, ["blocked"], "{plan:#}");
    let reason = changes[0]["reason"].as_str().unwrap();
    assert!(reason.contains(why), "`{why}` in `{reason}`");
    let before = server.dump();
    repo.run_at(server, &["apply", "--auto-approve"]).ends(3);
    assert_eq!(server.dump(), before);
}

#[test]
fn a_job_of_another_owner_however_damaged_its_stamp_is() {
    let stamp = "[patchctl:others/job 1:9f3ac21b:77e01c44:5e6f7a8b]";
    for description in [
        stamp.to_owned(),
        format!("{stamp}\nsomebody wrote behind it"),
        format!("{stamp} note"),
        format!("{stamp}\n{stamp}"),
        "[patchctl:others/job 2:9f3ac21b:77e01c44:5e6f7a8b:00000000]".to_owned(),
        "[patchctl:others/job 1:zz".to_owned(),
    ] {
        let server = Server::of(vec![live_job_with(1, "job", json!({"description": description}))]);
        let repo = Repo::with(&[("job", "  timeout: 5\n")]);
        blocked(&server, &repo, "managed by another owner");
    }
}

#[test]
fn an_armed_job_does_not_become_one_that_runs_once() {
    let armed = json!({"status": "Enabled", "dynamicPatchesQQL": "q"});
    let server = Server::of(vec![live_job_with(1, "job", armed)]);
    let repo = Repo::empty();
    let once = manifest("job", "")
        .replace("scheduleType: Weekly\n  recurringWeekDays: [Wed]", "scheduleType: On-demand");
    repo.write("jobs.d/job.yaml", once);
    blocked(&server, &repo, "armed for good");
}

#[test]
fn a_job_whose_state_is_not_understood_is_taken_for_armed() {
    for (schedule_type, status) in [
        (json!("On-demand"), json!(null)),
        (json!("On-demand"), json!(5)),
        (json!("On-demand"), json!("")),
        (json!("On-demand"), json!({"name": "Enabled"})),
        (json!("Run Once"), json!("Enabled")),
        (json!(null), json!("Enabled")),
    ] {
        let members = json!({"scheduleType": schedule_type, "status": status, "recurringWeekDays": null});
        let server = Server::of(vec![live_job_with(1, "job", members)]);
        let repo = Repo::empty();
        let plain = manifest("job", "  timeout: 5\n");
        repo.write(
            "jobs.d/job.yaml",
            plain.replace("  scheduleType: Weekly\n  recurringWeekDays: [Wed]\n", ""),
        );
        blocked(&server, &repo, "once");
    }
}

#[test]
fn a_job_that_was_deleted() {
    let deleted =
        json!({"deletedBy": {"user": {"id": "x", "name": "anna.k"}, "date": 1_780_000_000_000_i64}});
    let server = Server::of(vec![live_job_with(1, "job", deleted)]);
    let repo = Repo::empty();
    repo.write("jobs.d/job.yaml", bound("job", 1, "  timeout: 5\n"));
    blocked(&server, &repo, "deleted by anna.k");
}

#[test]
fn a_job_that_the_list_still_calls_by_its_former_name() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    server.change(|behaviour| behaviour.list_lag = Lag::Never);
    server.edit(&id(1), json!({"name": "another"}));
    blocked(&server, &repo, "it is called `another`");
}

#[test]
fn a_name_that_another_job_has() {
    let server = Server::of(vec![live_job(1, "old"), live_job(2, "taken")]);
    let repo = Repo::empty();
    repo.write("jobs.d/job.yaml", bound("taken", 1, ""));
    blocked(&server, &repo, "has the name `taken` already");
}

#[test]
fn a_job_that_a_manifest_outside_of_the_selection_is_bound_to() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    repo.write("jobs.d/other.yaml", bound("other", 1, "").replace("name: other", "name: new name"));
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        let ran = repo.run_at(&server, &[command, &["--only", "job"]].concat()).ends(1);
        ran.complains("`job` and `other` are about the same live job");
    }
}

#[test]
fn an_armed_job_keeps_something_to_do_and_something_to_do_it_to() {
    let armed = json!({"status": "Enabled", "dynamicPatchesQQL": "q"});
    let server = Server::of(vec![live_job_with(1, "job", armed)]);
    let repo = Repo::with(&[("job", "  assetTagIds: []\n  dynamicPatchesQQL: null\n")]);
    let ran = repo.run_at(&server, &["plan"]).ends(1);
    let ran = ran.complains("an enabled job needs at least one patch, query or action");
    ran.complains("an enabled job needs at least one asset or tag");
}

#[test]
fn enabling_a_job_that_runs_once_is_shown_as_a_one_way_door() {
    let once = json!({"scheduleType": "On-demand", "recurring": false, "recurringWeekDays": null, "dynamicPatchesQQL": "q"});
    let server = Server::of(vec![live_job_with(1, "job", once)]);
    let repo = Repo::empty();
    let plain = manifest("job", "  status: Enabled\n");
    repo.write(
        "jobs.d/job.yaml",
        plain.replace("scheduleType: Weekly\n  recurringWeekDays: [Wed]", "scheduleType: On-demand"),
    );
    repo.run_at(&server, &["plan"]).ends(0).says("one-way door: starts AT ONCE on");
}
