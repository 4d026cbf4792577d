//! Bad days: what others do in the middle of a run, two runs at once, and servers that are not what they are said to be.

use patchctl::simulator::{Behaviour, Call, EditEnabled, Effect, Event, Fault, Lag, Meanwhile, Updates};
use serde_json::{Map, Value, json};

use crate::support::{Repo, Server, bodies, id, live_job_with, manifest};

/// Members that a job must have to be armed.
const WORK: &str = "  assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n  dynamicPatchesQQL: q\n";

/// The manifest of a job that can be armed, with what a new job needs.
fn whole(key: &str, lines: &str) -> String {
    manifest(key, &format!("  startDateTime: 2030-01-05T03:00\n{WORK}{lines}"))
}

/// A live job that can be armed.
fn armable(members: Value) -> Value {
    let mut all = json!({"dynamicPatchesQQL": "q", "startDateTime": "2030-1-05 03:00:00 AM"});
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    live_job_with(1, "job", all)
}

const APPLY: [&str; 6] = ["apply", "--auto-approve", "--output", "json", "--settle-time", "0"];

fn outcomes(document: &Value) -> Vec<String> {
    let word = |change: &Value, name: &str| change[name].as_str().unwrap_or_default().to_owned();
    let changes = document["changes"].as_array().unwrap();
    changes.iter().map(|change| format!("{} {}", word(change, "action"), word(change, "outcome"))).collect()
}

fn edit(members: Value) -> Event {
    let merge: Map<String, Value> = serde_json::from_value(members).unwrap();
    Event::Edit { id: id(1), user: "anna.k".to_owned(), merge, scripts: Default::default() }
}

fn names(server: &Server) -> Vec<String> {
    let dump = server.dump();
    let mut names: Vec<String> =
        dump["jobs"].as_array().unwrap().iter().map(|job| job["name"].as_str().unwrap().to_owned()).collect();
    names.sort();
    names
}

#[test]
fn what_somebody_put_into_a_job_before_our_update_is_not_armed_by_us() {
    let server = Server::of(vec![armable(json!({}))]);
    let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
    // After the plan, before the update: members that no manifest declares.
    let edit = edit(json!({"dynamicPatchesQQL": "everything"}));
    server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 2, edit)));
    let done = repo.run_at(&server, &APPLY).ends(4).json();
    assert_eq!(outcomes(&done), ["update applied", "enable stale"]);
    assert_eq!(server.job(&id(1))["status"], "Disabled");
    assert_eq!(done["changes"][1]["error"]["fields"][0]["path"], "/dynamicPatchesQQL", "{done:#}");
}

#[test]
fn a_job_that_became_one_that_runs_once_while_it_was_disabled_for_an_edit_is_not_armed_again() {
    for (members, what) in [
        (json!({"scheduleType": "On-demand", "recurring": false, "recurringWeekDays": null}), "runs once"),
        (json!({"dynamicPatchesQQL": "everything"}), "other content"),
    ] {
        let behaviour = Behaviour { edit_enabled: EditEnabled::Refuse, ..Behaviour::default() };
        let server = Server::behaving(vec![armable(json!({"status": "Enabled"}))], behaviour);
        let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
        // The plan, before the edit, after its refusal; then it is disabled, and somebody is there before we look.
        let edit = edit(members);
        server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 4, edit)));
        let done = repo.run_at(&server, &APPLY).ends(4).json();
        let armed = server.take_requests().into_iter().filter(|request| request.path.ends_with("/Enabled"));
        assert_eq!(armed.count(), 0, "{what}: {done:#}");
        assert_eq!(server.job(&id(1))["status"], "Disabled");
        let notes = done["changes"][0]["notes"].to_string();
        assert!(notes.contains("left Disabled"), "{notes}");
    }
}

#[test]
fn a_new_job_that_its_own_stamp_damaged_is_not_armed() {
    let server = Server::behaving(
        Vec::new(),
        Behaviour {
            updates: Updates::Replace,
            announce_updates: false,
            create_defaults: serde_json::from_value(json!({"timeout": 8})).unwrap(),
            ..Behaviour::default()
        },
    );
    let repo = Repo::empty();
    repo.write("jobs.d/job.yaml", whole("job", "  status: Enabled\n"));
    let done = repo.run_at(&server, &[&APPLY[..], &["--updates", "minimal"]].concat()).ends(4).json();
    assert_eq!(outcomes(&done), ["create collateral", "enable skipped"], "{done:#}");
    assert!(bodies(&server.take_requests(), Call::Status).is_empty());
}

#[test]
fn two_runs_with_one_state_folder_make_one_job_though_the_list_lags() {
    let server = Server::behaving(Vec::new(), Behaviour { list_lag: Lag::Never, ..Behaviour::default() });
    let repo = Repo::empty();
    repo.write("jobs.d/job.yaml", whole("job", ""));
    let ran = repo.run_at_terminal(&server, "patchctl apply", "yes", || {
        let second = repo.run_at(&server, &["apply", "--auto-approve"]).ends(1);
        second.complains("is applying with this state folder");
    });
    ran.ends(0);
    assert_eq!(names(&server), ["job"]);
    // Nor does the next one, which can not see it in the list.
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(3);
    assert_eq!(names(&server), ["job"]);
}

#[test]
fn another_folder_of_manifests_on_the_command_line_does_not_make_orphans_of_all_others() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    for key in ["a", "b"] {
        repo.write(&format!("jobs.d/{key}/{key}.yaml"), whole(key, ""));
    }
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    for prune in ["--prune", "--prune=scan"] {
        let flags = ["--jobs", "jobs.d/a", prune, "--max-deletes", "5"];
        repo.run_at(&server, &[&APPLY[..], &flags].concat()).ends(3);
        assert_eq!(names(&server), ["a", "b"], "{prune}");
    }
}

#[test]
fn what_a_manifest_protected_under_its_last_key_stays_whatever_its_keys_were() {
    for last in ["a", "z"] {
        let server = Server::of(Vec::new());
        let repo = Repo::empty();
        for key in ["keep", "old"] {
            repo.write(&format!("jobs.d/{key}.yaml"), whole(key, ""));
        }
        repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
        repo.edit("jobs.d/old.yaml", "key: old", &format!("key: {last}\n  protect: true"));
        repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
        std::fs::remove_file(repo.path("jobs.d/old.yaml")).unwrap();
        repo.run_at(&server, &[&APPLY[..], &["--prune", "--max-deletes", "5"]].concat()).ends(3);
        assert_eq!(names(&server), ["keep", "old"], "{last}");
    }
}

#[test]
fn a_create_of_an_earlier_run_stays_unsettled_where_this_one_sends_nothing() {
    let server = Server::of(vec![live_job_with(1, "parent", json!({}))]);
    let repo = Repo::empty();
    repo.write("jobs.d/job.yaml", whole("job", ""));
    server.change(|behaviour| {
        behaviour.fail_next.push(Fault::on(Call::Create, Effect::CloseBefore));
    });
    assert_eq!(outcomes(&repo.run_at(&server, &APPLY).ends(4).json()), ["create unsettled"]);
    repo.run_at(&server, &["plan"]).says("without an answer, and may still");
    // Allowed for this once, and the list fails before anything is sent.
    server.change(|behaviour| {
        let down = Effect::Status { code: 403, body: None, headers: Default::default() };
        behaviour.fail_next.push(Fault { nth: 3, ..Fault::on(Call::List, down) });
    });
    let done = repo.run_at(&server, &[&APPLY[..], &["--allow-create", "job"]].concat()).ends(1).json();
    assert_eq!(outcomes(&done), ["create failed"]);
    repo.run_at(&server, &["plan"]).says("without an answer, and may still");
}

#[test]
fn a_lost_create_is_not_sent_again_because_its_manifest_has_another_key_now() {
    let server = Server::behaving(Vec::new(), Behaviour { list_lag: Lag::Never, ..Behaviour::default() });
    let repo = Repo::empty();
    repo.write("jobs.d/job.yaml", whole("job", ""));
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Create, Effect::CloseAfter)));
    assert_eq!(outcomes(&repo.run_at(&server, &APPLY).ends(4).json()), ["create unsettled"]);
    repo.edit("jobs.d/job.yaml", "key: job", "key: other");
    assert_eq!(outcomes(&repo.run_at(&server, &APPLY).ends(3).json()), ["blocked blocked"]);
    assert_eq!(names(&server), ["job"]);
    // Once it shows, it is the one.
    server.change(|behaviour| behaviour.list_lag = Lag::None);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    assert_eq!(names(&server), ["job"]);
    server.delete(server.dump()["jobs"][0]["id"].as_str().unwrap());
    repo.run_at(&server, &["plan"]).ends(0).says("vanished");
}

#[test]
fn a_status_that_is_misspelled_arms_nothing() {
    for status in ["Disable", "Off", "Paused", "Completed", "null", "\"\"", "~"] {
        let server = Server::of(vec![armable(json!({}))]);
        let repo = Repo::with(&[("job", &format!("  status: {status}\n"))]);
        repo.run_at(&server, &APPLY).ends(1).says("`status` must be `Enabled` or `Disabled`");
        assert_eq!(server.job(&id(1))["status"], "Disabled", "{status}");
    }
}
