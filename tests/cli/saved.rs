//! `plan --out`, `apply --plan` and `--expect`: what was looked at is what is carried out, and nothing else.

use std::fs;

use patchctl::fingerprint;
use patchctl::simulator::{Call, Updates};
use serde_json::{Value, json};

use crate::support::{
    Ran, Repo, Server, counts, id, live_job, live_job_with, live_script, manifest, says_nothing,
};

/// Two jobs, each of which is to have another time-out.
fn setting() -> (Server, Repo) {
    let server = Server::of(vec![live_job(1, "one"), live_job(2, "two")]);
    let repo = Repo::with(&[("one", "  timeout: 5\n"), ("two", "  timeout: 6\n")]);
    (server, repo)
}

fn save(repo: &Repo, server: &Server, flags: &[&str]) -> Ran {
    let ran = repo.run_at(server, &[&["plan", "--out", "plan.json"], flags].concat()).ends(0);
    server.take_requests();
    ran
}

fn saved(repo: &Repo) -> Value {
    serde_json::from_str(&repo.read("plan.json")).unwrap()
}

/// Applies the saved plan; every write must be one that it holds.
#[track_caller]
fn apply(repo: &Repo, server: &Server, code: i32) -> Value {
    let arguments = ["apply", "--plan", "plan.json", "--output", "json", "--settle-time", "0"];
    repo.run_at(server, &arguments).ends(code).json()
}

/// `action key outcome` of each step, and that the counts add up to them.
#[track_caller]
fn outcomes(document: &Value) -> Vec<String> {
    let changes = document["changes"].as_array().unwrap();
    let total: u64 = document["outcomes"].as_object().unwrap().values().map(|n| n.as_u64().unwrap()).sum();
    assert_eq!(total, changes.len() as u64);
    let word = |change: &Value, name: &str| change[name].as_str().unwrap_or_default().to_owned();
    changes
        .iter()
        .map(|change| {
            format!("{} {} {}", word(change, "action"), word(change, "key"), word(change, "outcome"))
        })
        .collect()
}

/// What is said of the step of a key.
#[track_caller]
fn error<'a>(document: &'a Value, key: &str) -> &'a Value {
    let changes = document["changes"].as_array().unwrap();
    &changes.iter().find(|change| change["key"] == key && !change["error"].is_null()).unwrap()["error"]
}

#[track_caller]
fn nothing_is_written(server: &Server) {
    let writes = [Call::Update, Call::Create, Call::Status, Call::Delete];
    let requests = server.take_requests();
    assert!(requests.iter().all(|request| !writes.contains(&request.call)), "{requests:?}");
}

/// A file that was changed on purpose, with a checksum that fits.
fn forge(repo: &Repo, change: impl FnOnce(&mut Value)) {
    let mut document = saved(repo);
    document.as_object_mut().unwrap().remove("checksum");
    change(&mut document);
    let checksum = fingerprint::of_value(&document);
    document["checksum"] = checksum.into();
    repo.write("plan.json", document.to_string());
}

#[test]
fn what_was_saved_is_carried_out_without_a_question() {
    let (server, repo) = setting();
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    let ran = save(&repo, &server, &[]);
    ran.says(&format!("Fingerprint: {}\n", plan["fingerprint"].as_str().unwrap()))
        .complains("saved 2 steps as `plan.json`; carry it out with `patchctl apply --plan plan.json`");
    let document = saved(&repo);
    assert_eq!(document["fingerprint"], plan["fingerprint"]);
    assert_eq!(document["steps"][0]["fields"][0]["before"], 4);
    let done = apply(&repo, &server, 0);
    assert_eq!(outcomes(&done), ["update one applied", "update two applied"]);
    assert_eq!(done["fingerprint"], plan["fingerprint"]);
    assert_eq!((&done["saved_plan"]["steps"], &done["saved_plan"]["same"]), (&json!(2), &json!(2)));
    // Once more there is nothing left to do, and that is no failure.
    server.take_requests();
    let again = apply(&repo, &server, 0);
    assert_eq!(outcomes(&again), ["update one unchanged", "update two unchanged"]);
    nothing_is_written(&server);
}

#[test]
fn for_people_it_is_one_line_and_the_outcomes() {
    let (server, repo) = setting();
    save(&repo, &server, &[]);
    server.edit(&id(2), json!({"timeout": 9}));
    let ran = repo.run_at(&server, &["apply", "--plan", "plan.json"]).ends(4);
    let ran = ran.says("Saved plan plan.json of 20").says(": 1 of its 2 steps are still the same.\n");
    let ran = ran.says("applied       update one\nstale         update two\n");
    let ran = ran.says("last edited by anna.k on ").says("timeout: 4 -> 9\n");
    ran.says("Apply: 1 applied, 1 stale of 2 steps.");
}

#[cfg(unix)]
#[test]
fn the_file_is_for_its_owner_only_and_replaces_a_former_one() {
    use std::os::unix::fs::PermissionsExt as _;
    let (server, repo) = setting();
    repo.write("plan.json", "what was here before");
    fs::set_permissions(repo.path("plan.json"), fs::Permissions::from_mode(0o644)).unwrap();
    save(&repo, &server, &[]);
    assert_eq!(fs::metadata(repo.path("plan.json")).unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(saved(&repo)["patchctl_plan"], 1);
}

#[test]
fn a_plan_that_can_not_be_saved_is_no_plan() {
    let (server, repo) = setting();
    let ran = repo.run_at(&server, &["plan", "--out", "nowhere/plan.json", "--output", "json"]).ends(1);
    assert_eq!(ran.json()["error"]["message"][0], "the plan could not be saved as `nowhere/plan.json`");
}

#[test]
fn what_moved_is_held_back_with_who_and_when_and_the_rest_goes() {
    let (server, repo) = setting();
    save(&repo, &server, &[]);
    server.edit(&id(1), json!({"timeout": 9}));
    server.take_requests();
    let done = apply(&repo, &server, 4);
    assert_eq!(outcomes(&done), ["update one stale", "update two applied"]);
    let error = error(&done, "one");
    let expected = json!([{"path": "/timeout", "before": 4, "after": 9, "expected": 4, "found": 9}]);
    assert_eq!(error["fields"], expected);
    assert_eq!(error["changed_by"]["name"], "anna.k");
    assert!(error["changed_by"]["at"].is_string());
    assert_eq!((&server.job(&id(1))["timeout"], &server.job(&id(2))["timeout"]), (&json!(9), &json!(6)));
    assert_eq!(server.take_counts().get("update"), Some(&1));
}

#[test]
fn where_everything_moved_nothing_is_written() {
    let (server, repo) = setting();
    save(&repo, &server, &[]);
    for n in [1, 2] {
        server.edit(&id(n), json!({"timeout": 9}));
    }
    let done = apply(&repo, &server, 3);
    assert_eq!(outcomes(&done), ["update one stale", "update two stale"]);
    nothing_is_written(&server);
}

#[test]
fn what_somebody_else_did_meanwhile_is_done() {
    let (server, repo) = setting();
    save(&repo, &server, &[]);
    server.edit(&id(1), json!({"timeout": 5}));
    let done = apply(&repo, &server, 0);
    assert_eq!(outcomes(&done), ["update one unchanged", "update two applied"]);
}

#[test]
fn an_edit_of_what_is_not_written_stands_in_nobodys_way() {
    for updates in ["minimal", "full"] {
        let (server, repo) = setting();
        save(&repo, &server, &["--updates", updates]);
        server.edit(&id(1), json!({"timezone": "Asia/Kolkata", "assetCount": 7}));
        apply(&repo, &server, 0);
        let job = server.job(&id(1));
        assert_eq!((&job["timeout"], &job["timezone"]), (&json!(5), &json!("Asia/Kolkata")), "{updates}");
    }
}

#[test]
fn an_edit_inside_of_what_is_sent_whole_is_one_of_the_change() {
    let block = |words: &str| {
        json!({"postDeployment": {"suppressReboots": false, "userMessage": words,
        "rebootCountdown": {"interval": 5, "intervalUnit": "MINUTES"}}})
    };
    let server = Server::of(vec![live_job_with(1, "one", block("a"))]);
    let repo = Repo::with(&[("one", "  postDeployment:\n    rebootCountdown: { interval: 15 }\n")]);
    save(&repo, &server, &[]);
    server.edit(&id(1), block("b"));
    let done = apply(&repo, &server, 3);
    assert_eq!(outcomes(&done), ["update one stale"]);
    let words = error(&done, "one")["message"][1].as_str().unwrap().to_owned();
    assert_eq!(words, "something else inside of `postDeployment`, which is sent whole, moved");
    assert_eq!(error(&done, "one")["changed_by"]["name"], "anna.k");
}

#[test]
fn a_manifest_that_changed_is_not_what_was_approved() {
    let (server, repo) = setting();
    save(&repo, &server, &[]);
    repo.write("jobs.d/one.yaml", manifest("one", "  timeout: 8\n"));
    let done = apply(&repo, &server, 4);
    assert_eq!(outcomes(&done), ["update one stale", "update two applied"]);
    let error = error(&done, "one");
    assert_eq!(error["message"][1], "`timeout` was to become 5, and is to become 8 now");
    // The live job is as it was: nobody is accused.
    assert_eq!(error["changed_by"], Value::Null);
    assert_eq!(server.job(&id(1))["timeout"], 4);
}

#[test]
fn what_is_new_since_is_listed_and_not_carried_out() {
    let (server, repo) = setting();
    fs::remove_file(repo.path("jobs.d/two.yaml")).unwrap();
    save(&repo, &server, &[]);
    repo.write("jobs.d/two.yaml", manifest("two", "  timeout: 6\n"));
    let done = apply(&repo, &server, 4);
    assert_eq!(outcomes(&done), ["update one applied", "update two held"]);
    assert_eq!(error(&done, "two")["message"][0], "new since the plan was made");
    assert_eq!(server.job(&id(2))["timeout"], 4);
}

#[test]
fn what_nothing_asks_for_any_more_is_told() {
    let (server, repo) = setting();
    save(&repo, &server, &[]);
    fs::remove_file(repo.path("jobs.d/one.yaml")).unwrap();
    repo.write("jobs.d/two.yaml", manifest("two", ""));
    let done = apply(&repo, &server, 3);
    assert_eq!(outcomes(&done), ["update one stale", "update two stale"]);
    assert_eq!(error(&done, "one")["message"][0], "its manifest is gone");
    assert!(error(&done, "two")["message"][0].as_str().unwrap().starts_with("nothing asks for it any more"));
    nothing_is_written(&server);
}

const SCRIPT: &str = "  preDeployActions:\n    - action: Run Script\n      params: { actionItem: Drain, timeout: 180 }\n      \
                      scriptType: ps\n      scriptFile: scripts/drain.ps1\n";

#[test]
fn a_script_file_must_be_the_one_of_the_plan() {
    let server = Server::of(vec![
        live_job_with(1, "one", json!({"preDeployActions": [live_script(1, "Drain")]})),
        live_job(2, "two"),
    ]);
    let repo = Repo::with(&[("one", SCRIPT), ("two", "  timeout: 6\n")]);
    repo.write("jobs.d/scripts/drain.ps1", "Write-Host hunter2\n");
    save(&repo, &server, &[]);
    let document = saved(&repo);
    assert_eq!(document["steps"][0]["scripts"][0]["file"], "scripts/drain.ps1");
    let text = repo.read("plan.json");
    assert!(!text.contains("hunter2") && !text.contains("V3JpdGUtSG9zdCBodW50ZXIyC"), "no content");
    assert!(!text.contains("simulator"), "no login");

    repo.write("jobs.d/scripts/drain.ps1", "Write-Host other\n");
    let done = apply(&repo, &server, 4);
    assert_eq!(outcomes(&done), ["update one stale", "update two applied"]);
    let words = error(&done, "one")["message"][1].as_str().unwrap().to_owned();
    assert!(words.starts_with("the script file `scripts/drain.ps1` is not what it was: sha256 "), "{words}");

    // As it was looked at, it goes; and then it is known to be there.
    repo.write("jobs.d/scripts/drain.ps1", "Write-Host hunter2\n");
    assert_eq!(outcomes(&apply(&repo, &server, 0)), ["update two unchanged", "update one applied"]);
    assert_eq!(outcomes(&apply(&repo, &server, 0)), ["update one unchanged", "update two unchanged"]);
    // A file that is gone is a mistake in a manifest.
    fs::remove_file(repo.path("jobs.d/scripts/drain.ps1")).unwrap();
    server.take_requests();
    repo.run_at(&server, &["apply", "--plan", "plan.json"]).ends(1).complains("scripts/drain.ps1");
    assert_eq!(server.take_requests(), []);
}

#[test]
fn a_file_that_was_tampered_with_costs_no_call() {
    let (server, repo) = setting();
    save(&repo, &server, &[]);
    let good = repo.read("plan.json");
    for (from, to, words) in [
        ("\"after\": 5", "\"after\": 50", "its checksum does not fit"),
        ("\"patchctl_plan\": 1", "\"patchctl_plan\": 0", "format 0, older than format 1"),
        ("\"patchctl_plan\": 1", "\"patchctl_plan\": 2", "format 2, newer than format 1"),
        ("\"patchctl_plan\": 1", "\"plan\": 1", "no plan that was saved by patchctl"),
        ("{", "", "it is no JSON object, or was cut off"),
    ] {
        repo.write("plan.json", good.replacen(from, to, 1));
        let ran = repo.run_at(&server, &["apply", "--plan", "plan.json"]).ends(1);
        ran.complains("error: the saved plan `plan.json` can not be used\n").complains(words);
    }
    repo.write("plan.json", repo.run_at(&server, &["plan", "--output", "json"]).stdout);
    server.take_requests();
    let ran = repo.run_at(&server, &["apply", "--plan", "plan.json"]).ends(1);
    ran.complains("it is the output of `plan --output json`, which can not be applied");
    repo.run_at(&server, &["apply", "--plan", "none.json"]).ends(1).complains("plan --out FILE");
    assert_eq!(server.take_requests(), []);
}

#[test]
fn a_forged_plan_approves_and_does_no_more() {
    let (server, repo) = setting();
    save(&repo, &server, &[]);
    forge(&repo, |document| document["steps"][0]["request"]["body"]["timeout"] = 99.into());
    let done = apply(&repo, &server, 4);
    assert_eq!(outcomes(&done), ["update one stale", "update two applied"]);
    assert_eq!(server.job(&id(1))["timeout"], 4);
}

#[test]
fn a_plan_is_for_one_gateway_one_owner_and_one_subscription() {
    let (server, repo) = setting();
    save(&repo, &server, &[]);
    let (other, _) = setting();
    let ran = repo.run_at(&other, &["apply", "--plan", "plan.json"]).ends(1);
    ran.complains("was made for another gateway");
    nothing_is_written(&other);
    forge(&repo, |document| document["subscription"] = "another".into());
    let ran = repo.run_at(&server, &["apply", "--plan", "plan.json"]).ends(1);
    ran.complains("was made for another subscription");
    nothing_is_written(&server);
    repo.write("patchctl.yaml", "owner: others\n");
    let ran = repo.run_at(&server, &["apply", "--plan", "plan.json"]).ends(1);
    ran.complains("was made for another owner").complains("it is for team, and this is others");
    assert_eq!(server.take_requests(), []);
}

#[test]
fn the_flags_of_the_plan_come_along_and_others_are_wrong_usage() {
    let (server, repo) = setting();
    save(&repo, &server, &["--only", "one"]);
    for flags in [
        &["--only", "two"][..],
        &["--updates", "full"],
        &["--base", "HEAD"],
        &["--prune"],
        &["--allow-run-once", "one"],
        &["--allow-create", "one"],
        &["--allow-script-loss", "one"],
        &["--allow-unknown-fields"],
    ] {
        let arguments = [&["apply", "--plan", "plan.json"], flags].concat();
        let ran = repo.run_at(&server, &arguments).ends(64);
        ran.complains(&format!("{} is not as it was when the saved plan was made", flags[0]));
    }
    assert_eq!(server.take_requests(), []);
    // Given once more as it was, it is no contradiction.
    let arguments = ["apply", "--plan", "plan.json", "--only", "one", "--auto-approve", "--output", "json"];
    let done = repo.run_at(&server, &arguments).ends(0).json();
    assert_eq!(outcomes(&done), ["update one applied"]);
}

#[test]
fn what_updates_carry_is_part_of_the_plan() {
    let server = Server::behaving(vec![live_job(1, "one")], says_nothing(Updates::Merge));
    let repo = Repo::with(&[("one", "  timeout: 5\n")]);
    save(&repo, &server, &["--no-probe"]);
    assert_eq!(saved(&repo)["updates"], "full");
    // It became known that the gateway merges: the plan that was looked at carries whole jobs all the same.
    server.change(|behaviour| behaviour.announce_updates = true);
    let done = apply(&repo, &server, 0);
    assert_eq!((&done["updates"], outcomes(&done)), (&json!("full"), vec!["update one applied".to_owned()]));

    let (server, repo) = setting();
    save(&repo, &server, &[]);
    server.change(|behaviour| behaviour.announce_updates = false);
    let done = apply(&repo, &server, 3);
    let words = error(&done, "one")["message"][1].as_str().unwrap().to_owned();
    assert!(
        words.starts_with("updates carried `minimal` when the plan was made; now it is not known"),
        "{words}"
    );
    nothing_is_written(&server);
}

#[test]
fn a_fingerprint_that_does_not_fit_writes_nothing() {
    let (server, repo) = setting();
    save(&repo, &server, &[]);
    let good = saved(&repo)["fingerprint"].as_str().unwrap().to_owned();
    let other = "0".repeat(64);
    for approval in [&["--auto-approve"][..], &["--plan", "plan.json"]] {
        let arguments = [&["apply", "--expect", &other], approval].concat();
        let ran = repo.run_at(&server, &arguments).ends(3);
        ran.says("Stopped: the plan has the fingerprint ")
            .says(&good)
            .says(&other)
            .says("help: something moved");
    }
    // What nobody asks to be written is none to be guarded, and still not what was expected.
    repo.write("jobs.d/one.yaml", manifest("one", ""));
    repo.write("jobs.d/two.yaml", manifest("two", ""));
    repo.run_at(&server, &["apply", "--auto-approve", "--expect", &good]).ends(3);
    nothing_is_written(&server);
    // It is no approval.
    repo.run_at(&server, &["apply", "--expect", &good]).ends(64);
    repo.run_at(&server, &["apply", "--auto-approve", "--expect", "abc"])
        .ends(64)
        .complains("64 hexadecimal digits");
    for (key, lines) in [("one", "  timeout: 5\n"), ("two", "  timeout: 6\n")] {
        repo.write(&format!("jobs.d/{key}.yaml"), manifest(key, lines));
    }
    repo.run_at(&server, &["apply", "--auto-approve", "--expect", &good.to_uppercase()]).ends(0);
}

#[test]
fn the_fingerprint_lasts_while_only_counters_move() {
    let (server, repo) = setting();
    let fingerprint = |flags: &[&str]| {
        let plan = repo.run_at(&server, &[&["plan", "--output", "json"], flags].concat()).ends(0).json();
        plan["fingerprint"].as_str().unwrap().to_owned()
    };
    let (minimal, full) = (fingerprint(&[]), fingerprint(&["--updates", "full"]));
    assert_ne!(minimal, full);
    server.edit(&id(1), json!({"assetCount": 12}));
    assert_eq!((fingerprint(&[]), fingerprint(&["--updates", "full"])), (minimal.clone(), full));
    server.edit(&id(1), json!({"timeout": 12}));
    assert_ne!(fingerprint(&[]), minimal);
}

/// A manifest of a job that can be made.
fn whole(key: &str, lines: &str) -> String {
    manifest(key, &format!("  startDateTime: 2030-01-05T03:00\n{lines}"))
}

const TARGET: &str = "  assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n  dynamicPatchesQQL: q\n";

#[test]
fn a_job_is_made_and_enabled_by_a_saved_plan() {
    let server = Server::of(vec![live_job(1, "one")]);
    let repo = Repo::with(&[("one", "")]);
    repo.write("jobs.d/new.yaml", whole("new", &format!("{TARGET}  status: Enabled\n")));
    save(&repo, &server, &[]);
    let done = apply(&repo, &server, 0);
    assert_eq!(outcomes(&done), ["create new applied", "enable new applied"]);
    let again = apply(&repo, &server, 0);
    assert_eq!(outcomes(&again), ["create new unchanged", "enable new unchanged"]);

    // Where the job is there already and is another, nothing is made and nothing is armed.
    let server = Server::of(vec![live_job(1, "one")]);
    save(&repo, &server, &["--no-cache", "--state-dir", "elsewhere"]);
    forge(&repo, |document| document["steps"][0]["request"]["body"]["timeout"] = 77.into());
    let flags = ["apply", "--plan", "plan.json", "--output", "json", "--state-dir", "elsewhere"];
    let done = repo.run_at(&server, &flags).ends(3).json();
    assert_eq!(outcomes(&done), ["create new stale", "enable new skipped"]);
    nothing_is_written(&server);
}

#[test]
fn a_job_is_armed_only_as_it_was_looked_at() {
    let target = json!({"dynamicPatchesQQL": "q", "assetCount": 12});
    let server = Server::of(vec![live_job_with(1, "one", target)]);
    let repo = Repo::with(&[("one", "  status: Enabled\n")]);
    save(&repo, &server, &[]);
    assert!(saved(&repo)["steps"][0]["judged_by"]["assetTagIds"].is_string());
    server.edit(&id(1), json!({"assetTagIds": ["00000000-0000-4000-8000-0000000000aa"]}));
    let done = apply(&repo, &server, 3);
    assert_eq!(outcomes(&done), ["enable one stale"]);
    let error = error(&done, "one");
    assert_eq!(
        error["message"][1],
        "the job is another than the one that was looked at: `assetTagIds` moved"
    );
    assert_eq!(error["changed_by"]["name"], "anna.k");
    nothing_is_written(&server);
    save(&repo, &server, &[]);
    server.edit(&id(1), json!({"assetCount": 13}));
    assert_eq!(outcomes(&apply(&repo, &server, 0)), ["enable one applied"]);
    assert_eq!(outcomes(&apply(&repo, &server, 0)), ["enable one unchanged"]);
}

#[test]
fn a_job_is_not_armed_where_its_content_is_held_back() {
    let server = Server::of(vec![live_job_with(1, "one", json!({"dynamicPatchesQQL": "q"}))]);
    let repo = Repo::with(&[("one", "  timeout: 5\n  status: Enabled\n")]);
    save(&repo, &server, &[]);
    server.edit(&id(1), json!({"timeout": 9}));
    let done = apply(&repo, &server, 3);
    assert_eq!(outcomes(&done), ["update one stale", "enable one skipped"]);
    nothing_is_written(&server);
}

#[test]
fn a_one_way_door_that_the_plan_shows_is_not_asked_for_again() {
    let members = json!({
        "scheduleType": "On-demand", "recurring": false, "recurringWeekDays": null, "dynamicPatchesQQL": "q",
    });
    let server = Server::of(vec![live_job_with(1, "fix", members)]);
    let repo = Repo::empty();
    let text = manifest("fix", "  status: Enabled\n");
    let text = text.replace("scheduleType: Weekly\n  recurringWeekDays: [Wed]", "scheduleType: On-demand");
    repo.write("jobs.d/fix.yaml", text);
    // What is blocked in the plan stays so.
    save(&repo, &server, &[]);
    assert_eq!(outcomes(&apply(&repo, &server, 3)), ["blocked fix blocked"]);
    save(&repo, &server, &["--allow-run-once", "fix"]);
    assert_eq!(saved(&repo)["steps"][0]["one_way"], true);
    assert_eq!(outcomes(&apply(&repo, &server, 0)), ["enable fix applied"]);
    assert_eq!(server.job(&id(1))["status"], "Prepared");
}

#[test]
fn jobs_are_deleted_by_a_saved_plan_only_as_they_were() {
    let server = Server::of(Vec::new());
    let repo = Repo::empty();
    for key in ["keep", "old", "gone", "moved"] {
        repo.write(&format!("jobs.d/{key}.yaml"), whole(key, ""));
    }
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    for key in ["old", "gone", "moved"] {
        fs::remove_file(repo.path(&format!("jobs.d/{key}.yaml"))).unwrap();
    }
    let id_of = |name: &str| {
        let jobs = server.dump()["jobs"].as_array().unwrap().clone();
        jobs.iter().find(|job| job["name"] == name).unwrap()["id"].as_str().unwrap().to_owned()
    };
    save(&repo, &server, &["--prune", "--max-deletes", "5"]);
    server.delete(&id_of("gone"));
    server.edit(&id_of("moved"), json!({"timeout": 9}));
    let done = apply(&repo, &server, 4);
    let mut steps = outcomes(&done);
    steps.sort();
    let expected =
        ["blocked moved blocked", "delete gone unchanged", "delete moved stale", "delete old applied"];
    assert_eq!(steps, expected);
    let error = error(&done, "moved");
    assert!(error["message"][0].as_str().unwrap().contains("edited since the last apply"), "{error}");
    assert_eq!(server.take_counts().get("delete"), counts(&[("delete", 1)]).get("delete"));
}
