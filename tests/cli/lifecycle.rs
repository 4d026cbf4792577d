//! The life of a job: made, armed, disarmed; what is sent for it, and what comes of answers that are lost, late or odd.

use patchctl::simulator::{Behaviour, Call, EditEnabled, Effect, Event, Fault, Lag, Meanwhile};
use serde_json::{Value, json};

use crate::support::{Repo, Server, bodies, counts, id, live_job_with, manifest};

/// Members that a job must have to be armed.
const WORK: &str = "  assetTagIds: [f81f37b3-a32b-4aa0-a428-12cad6e37db1]\n  dynamicPatchesQQL: q\n";

/// The manifest of a job that can be armed, with what a new job needs.
fn whole(key: &str, lines: &str) -> String {
    manifest(key, &format!("  startDateTime: 2030-01-05T03:00\n{WORK}{lines}"))
}

/// The same as a job that runs once, when it is enabled.
fn on_demand(key: &str, lines: &str) -> String {
    let text = manifest(key, &format!("{WORK}{lines}"));
    text.replace("scheduleType: Weekly\n  recurringWeekDays: [Wed]", "scheduleType: On-demand")
}

fn repo_of(manifests: &[(&str, String)]) -> Repo {
    let repo = Repo::empty();
    for (key, text) in manifests {
        repo.write(&format!("jobs.d/{key}.yaml"), text);
    }
    repo
}

/// A live job that can be armed.
fn armable(n: u8, name: &str, members: Value) -> Value {
    let mut all =
        json!({"dynamicPatchesQQL": "q", "startDateTime": "2030-1-05 03:00:00 AM", "assetCount": 12});
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    live_job_with(n, name, all)
}

const APPLY: [&str; 6] = ["apply", "--auto-approve", "--output", "json", "--settle-time", "0"];

/// Applies, and returns the document.
#[track_caller]
fn applied(server: &Server, repo: &Repo, code: i32) -> Value {
    repo.run_at(server, &APPLY).ends(code).json()
}

/// `action outcome` of each step.
fn outcomes(document: &Value) -> Vec<String> {
    let word = |change: &Value, name: &str| change[name].as_str().unwrap_or_default().to_owned();
    let changes = document["changes"].as_array().unwrap();
    changes.iter().map(|change| format!("{} {}", word(change, "action"), word(change, "outcome"))).collect()
}

fn only_job(server: &Server) -> Value {
    let jobs = server.dump()["jobs"].as_array().unwrap().clone();
    let [job] = <[Value; 1]>::try_from(jobs).unwrap();
    job
}

#[test]
fn a_new_manifest_makes_a_job_and_arms_it_afterwards() {
    let server = Server::of(Vec::new());
    let repo = repo_of(&[("job", whole("job", "  status: Enabled\n  description: Mine\n"))]);
    let done = applied(&server, &repo, 0);
    assert_eq!(outcomes(&done), ["create applied", "enable applied"]);
    let requests = server.take_requests();
    let [create] = <[Value; 1]>::try_from(bodies(&requests, Call::Create)).unwrap();
    // What the manifest declares, and nothing of what the API has defaults for; never armed by the same call.
    let mut names: Vec<&String> = create.as_object().unwrap().keys().collect();
    names.sort();
    assert_eq!(
        names,
        [
            "assetTagIds",
            "description",
            "dynamicPatchesQQL",
            "name",
            "platform",
            "recurring",
            "recurringWeekDays",
            "scheduleType",
            "startDateTime",
            "status",
            "type",
        ]
    );
    assert_eq!(
        (&create["status"], &create["startDateTime"]),
        (&json!("Disabled"), &json!("2030-1-05 03:00:00 AM"))
    );
    assert!(create["description"].as_str().unwrap().starts_with("Mine\n[patchctl:team/job 1:"));
    let job = only_job(&server);
    assert_eq!(bodies(&requests, Call::Status), [json!({"ids": [job["id"]]})]);
    assert_eq!(job["status"], "Enabled");
    assert!(done["changes"].as_array().unwrap().iter().all(|change| change["id"] == job["id"]), "{done:#}");
    assert_eq!(done["changes"][1]["after"], json!(["job:create"]));
    // The list once more for the name, then POST and GET; GET, POST and GET for the status.
    let by_kind = requests.iter().filter(|request| request.call == Call::List).count();
    assert_eq!((requests.len(), by_kind), (1 + 2 + 2 + 2 + 3, 4));
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    // What was read back is remembered, of the new job as of any other.
    server.take_requests();
    repo.run_at(&server, &["plan"]).ends(0);
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2)]));
}

#[test]
fn the_id_of_a_new_job_is_told() {
    let server = Server::of(Vec::new());
    let repo = repo_of(&[("job", whole("job", ""))]);
    let ran = repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let id = only_job(&server)["id"].as_str().unwrap().to_owned();
    ran.says(&format!("applied       create job\n              = the new job is {id}\n"));
}

#[test]
fn a_create_whose_answer_was_lost_is_found_by_name_and_stamp() {
    for effect in [Effect::CloseAfter, Effect::Truncated, Effect::Garbage] {
        let server = Server::of(Vec::new());
        let repo = repo_of(&[("job", whole("job", "  status: Enabled\n"))]);
        server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Create, effect.clone())));
        let done = applied(&server, &repo, 0);
        assert_eq!(outcomes(&done), ["create applied", "enable applied"], "{effect:?}");
        assert_eq!(done["changes"][0]["id"], only_job(&server)["id"]);
        let notes = done["changes"][0]["notes"].to_string();
        assert!(notes.contains("the answer was lost; the job was found by its name and stamp"), "{notes}");
        assert_eq!(server.take_counts()["create"], 1);
    }
}

#[test]
fn a_create_that_can_not_be_found_is_never_sent_again() {
    for (effect, lag, n_made) in [
        (Effect::CloseBefore, Lag::None, 0),
        (Effect::CloseAfter, Lag::Never, 1),
        (Effect::ServerError { code: 503, body: patchctl::simulator::ErrorBody::Html }, Lag::None, 0),
    ] {
        let server = Server::behaving(Vec::new(), Behaviour { list_lag: lag, ..Behaviour::default() });
        let repo = repo_of(&[("job", whole("job", "  status: Enabled\n"))]);
        server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Create, effect.clone())));
        let done = applied(&server, &repo, 4);
        assert_eq!(outcomes(&done), ["create unsettled", "enable skipped"], "{effect:?}");
        assert_eq!(server.dump()["jobs"].as_array().unwrap().len(), n_made);
        assert_eq!(server.take_counts()["create"], 1);
    }
}

#[test]
fn a_lost_create_that_shows_late_is_waited_for() {
    let server = Server::behaving(Vec::new(), Behaviour { list_lag: Lag::Calls(3), ..Behaviour::default() });
    let repo = repo_of(&[("job", whole("job", ""))]);
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Create, Effect::CloseAfter)));
    repo.run_at(&server, &["apply", "--auto-approve", "--settle-time", "20s"]).ends(0);
    assert_eq!(server.dump()["jobs"].as_array().unwrap().len(), 1);
}

#[test]
fn a_job_of_that_name_without_our_stamp_is_not_taken_for_ours() {
    let server = Server::of(Vec::new());
    let repo = repo_of(&[("job", whole("job", ""))]);
    let other = live_job_with(7, "job", json!({})).as_object().unwrap().clone();
    let made = Event::Insert { user: "anna.k".to_owned(), job: other };
    server.change(|behaviour| {
        behaviour.fail_next.push(Fault::on(Call::Create, Effect::CloseBefore));
        behaviour.meanwhile.push(Meanwhile::before(Call::Create, 1, made));
    });
    let done = applied(&server, &repo, 4);
    assert_eq!(outcomes(&done), ["create unsettled"]);
    let help = done["changes"][0]["error"]["help"].as_str().unwrap();
    assert!(help.contains("has this name now, without our stamp"), "{help}");
}

#[test]
fn a_name_that_was_taken_since_the_plan_is_stale() {
    let server = Server::of(Vec::new());
    let repo = repo_of(&[("job", whole("job", "  status: Enabled\n"))]);
    let other = live_job_with(7, "job", json!({})).as_object().unwrap().clone();
    let made = Event::Insert { user: "anna.k".to_owned(), job: other };
    // The plan lists two pages; then somebody is faster.
    server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::List, 3, made)));
    let done = applied(&server, &repo, 3);
    assert_eq!(outcomes(&done), ["create stale", "enable skipped"]);
    assert_eq!(server.take_counts().get("create"), None);
}

#[test]
fn a_refused_create_stops_only_what_waits_for_it() {
    let server = Server::of(Vec::new());
    let repo = repo_of(&[("a", whole("a", "  status: Enabled\n")), ("b", whole("b", "  status: Enabled\n"))]);
    let refused = Effect::Status { code: 409, body: None, headers: Default::default() };
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Create, refused)));
    let done = applied(&server, &repo, 4);
    assert_eq!(outcomes(&done), ["create failed", "enable skipped", "create applied", "enable applied"]);
    assert_eq!(only_job(&server)["name"], "b");
}

#[test]
fn a_new_job_whose_id_is_not_known_yet_by_the_server() {
    let server = Server::behaving(Vec::new(), Behaviour { get_lag: Lag::Never, ..Behaviour::default() });
    let repo = repo_of(&[("job", whole("job", ""))]);
    let done = applied(&server, &repo, 4);
    assert_eq!(outcomes(&done), ["create unsettled"]);
    assert_eq!(done["changes"][0]["id"], only_job(&server)["id"], "its id is told all the same");
}

#[test]
fn recurring_jobs_are_enabled_and_disabled_by_a_call_of_its_own() {
    let server = Server::of(vec![armable(1, "job", json!({}))]);
    let repo = repo_of(&[("job", whole("job", "  status: Enabled\n  timeout: 5\n"))]);
    let done = applied(&server, &repo, 0);
    assert_eq!(outcomes(&done), ["update applied", "enable applied"]);
    assert!(bodies(&server.take_requests(), Call::Update).iter().all(|body| body.get("status").is_none()));
    assert_eq!(server.job(&id(1))["status"], "Enabled");
    repo.write("jobs.d/job.yaml", whole("job", "  status: Disabled\n  timeout: 5\n"));
    assert_eq!(outcomes(&applied(&server, &repo, 0)), ["disable applied"]);
    assert_eq!(server.job(&id(1))["status"], "Disabled");
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn what_arming_needs_is_checked_before() {
    for (members, reason) in [
        (json!({"dynamicPatchesQQL": null}), "an enabled job needs at least one patch, query or action"),
        (json!({"assetTagIds": null}), "an enabled job needs at least one asset or tag"),
    ] {
        let server = Server::of(vec![armable(1, "job", members)]);
        let repo = Repo::with(&[("job", "  status: Enabled\n  timeout: 5\n")]);
        let done = applied(&server, &repo, 4);
        assert_eq!(outcomes(&done), ["update applied", "blocked blocked"]);
        assert_eq!(done["changes"][1]["reason"], reason);
        assert_eq!(server.take_counts().get("status"), None);
    }
}

#[test]
fn a_job_that_runs_once_is_armed_only_where_it_is_allowed_by_name() {
    let job = json!({"scheduleType": "On-demand", "recurring": false, "recurringWeekDays": null});
    let server = Server::of(vec![armable(1, "fix", job.clone()), armable(2, "other", job)]);
    let manifests = ["fix", "other"].map(|key| (key, on_demand(key, "  status: Enabled\n")));
    let repo = repo_of(&manifests);
    let plan = repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(3);
    plan.says("one-way door: starts AT ONCE on 12 assets; it can not be disabled or edited afterwards")
        .says("--allow-run-once fix");
    let done = applied(&server, &repo, 3);
    assert_eq!(outcomes(&done), ["blocked blocked", "blocked blocked"]);
    assert_eq!(done["summary"]["blocked"], 2);
    assert_eq!(server.take_counts().get("status"), None);
    // The plan that allows it shows the door all the same.
    let allowed = ["--allow-run-once", "fix,fix"];
    repo.run_at(&server, &[&["plan"], &allowed[..]].concat())
        .ends(0)
        .says("> enable fix")
        .says("one-way door");
    let done = repo.run_at(&server, &[&APPLY[..], &allowed].concat()).ends(4).json();
    assert_eq!(outcomes(&done), ["enable applied", "blocked blocked"]);
    assert_eq!(
        (&server.job(&id(1))["status"], &server.job(&id(2))["status"]),
        (&json!("Prepared"), &json!("Disabled"))
    );
    // Armed, it is as declared, and never edited again.
    repo.run_at(&server, &["plan", "--only", "fix"]).ends(0).says("No changes.");
    repo.write("jobs.d/fix.yaml", on_demand("fix", "  status: Enabled\n  timeout: 5\n"));
    let ran = repo.run_at(&server, &["plan", "--only", "fix"]).ends(0);
    ran.says("it can not be edited any more").says("declare a new job with a key and a name of its own");
}

#[test]
fn a_new_job_that_runs_once_is_made_and_not_armed() {
    let server = Server::of(Vec::new());
    let repo = repo_of(&[("fix", on_demand("fix", "  status: Enabled\n"))]);
    let done = applied(&server, &repo, 4);
    assert_eq!(outcomes(&done), ["create applied", "blocked blocked"]);
    assert_eq!(only_job(&server)["status"], "Disabled");
    let done = repo.run_at(&server, &[&APPLY[..], &["--allow-run-once", "fix"]].concat()).ends(0).json();
    assert_eq!(outcomes(&done), ["enable applied"]);
    assert_eq!(only_job(&server)["status"], "Prepared");
}

#[test]
fn a_job_that_was_edited_since_the_plan_is_not_armed() {
    let server = Server::of(vec![armable(1, "job", json!({}))]);
    let repo = repo_of(&[("job", whole("job", "  status: Enabled\n"))]);
    // A member that nobody declares: what is armed is the whole job.
    let merge = json!({"description": "rm -rf"}).as_object().unwrap().clone();
    let edit = Event::Edit { id: id(1), user: "anna.k".to_owned(), merge, scripts: [].into() };
    server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 2, edit)));
    let done = applied(&server, &repo, 3);
    assert_eq!(outcomes(&done), ["enable stale"]);
    assert_eq!(done["changes"][0]["error"]["changed_by"]["name"], "anna.k");
    assert_eq!(server.take_counts().get("status"), None);
}

#[test]
fn somebody_else_armed_it_meanwhile() {
    let server = Server::of(vec![armable(1, "job", json!({}))]);
    let repo = repo_of(&[("job", whole("job", "  status: Enabled\n"))]);
    let merge = json!({"status": "Enabled"}).as_object().unwrap().clone();
    let edit = Event::Edit { id: id(1), user: "anna.k".to_owned(), merge, scripts: [].into() };
    server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 2, edit)));
    assert_eq!(outcomes(&applied(&server, &repo, 0)), ["enable unchanged"]);
    assert_eq!(server.take_counts().get("status"), None);
}

fn answered(body: Value) -> Effect {
    let headers = [("content-type".to_owned(), "application/json".to_owned())].into();
    Effect::Status { code: 200, body: Some(body.to_string()), headers }
}

#[test]
fn each_id_is_judged_by_its_own_result() {
    let other = "00000000-0000-4000-8000-000000000099";
    // An answer that is not about this job is as good as a lost one: the call is sent once more.
    for (answer, outcome, code, n_sent) in [
        (json!([{"id": id(1), "status": "failure", "error": "Job is locked"}]), "enable failed", 1, 1),
        (json!([{"id": other, "status": "success"}]), "enable applied", 0, 2),
        (json!([]), "enable applied", 0, 2),
        (json!({"message": "queued"}), "enable applied", 0, 2),
        (json!([{"id": id(1), "status": "success"}]), "enable unsettled", 4, 1),
    ] {
        let server = Server::of(vec![armable(1, "job", json!({}))]);
        let repo = repo_of(&[("job", whole("job", "  status: Enabled\n"))]);
        server
            .change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Status, answered(answer.clone()))));
        let done = applied(&server, &repo, code);
        assert_eq!(outcomes(&done), [outcome], "{answer}");
        if outcome == "enable failed" {
            assert_eq!(
                done["changes"][0]["error"]["message"],
                json!(["the API refused it for this job", "Job is locked"])
            );
        }
        assert_eq!(server.take_counts()["status"], n_sent, "{answer}");
    }
}

#[test]
fn a_lost_status_call_is_settled_by_reading() {
    for (effect, n_sent) in [(Effect::CloseAfter, 1), (Effect::CloseBefore, 2)] {
        let server = Server::of(vec![armable(1, "job", json!({}))]);
        let repo = repo_of(&[("job", whole("job", "  status: Enabled\n"))]);
        server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Status, effect)));
        assert_eq!(outcomes(&applied(&server, &repo, 0)), ["enable applied"]);
        assert_eq!(server.take_counts()["status"], n_sent);
    }
}

#[test]
fn a_status_that_shows_late_is_waited_for() {
    let lag = Behaviour { get_lag: Lag::Calls(2), ..Behaviour::default() };
    let server = Server::behaving(vec![armable(1, "job", json!({}))], lag);
    let repo = repo_of(&[("job", whole("job", "  status: Enabled\n"))]);
    repo.run_at(&server, &["apply", "--auto-approve", "--settle-time", "20s"]).ends(0);
}

#[test]
fn a_status_that_is_not_known_is_told_and_taken_for_armed() {
    let server = Server::of(vec![armable(1, "job", json!({"status": "Hibernating"}))]);
    let repo = repo_of(&[("job", whole("job", "  status: Enabled\n"))]);
    let ran = repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    ran.complains("the live job is `Hibernating`, a status that this build does not know").complains("armed");
}

/// A server that refuses to edit Enabled jobs, and a job on it that starts at a time.
fn locked(start: &str, members: Value) -> Server {
    let mut job = armable(1, "job", json!({"status": "Enabled", "startDateTime": start}));
    job.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    Server::behaving(vec![job], Behaviour { edit_enabled: EditEnabled::Refuse, ..Behaviour::default() })
}

const FAR: &str = "2030-1-05 03:00:00 AM";

/// What an apply of one changed timeout and `status: Enabled` comes to.
#[track_caller]
fn edited(server: &Server, code: i32) -> Value {
    let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
    applied(server, &repo, code)["changes"][0].clone()
}

#[test]
fn a_job_that_may_not_be_edited_while_enabled_is_disabled_edited_and_enabled() {
    for updates in ["minimal", "full"] {
        let server = locked(FAR, json!({}));
        let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
        let done = repo.run_at(&server, &[&APPLY[..], &["--updates", updates]].concat()).ends(0).json();
        assert_eq!(outcomes(&done), ["update applied"]);
        let notes = done["changes"][0]["notes"].to_string();
        assert!(notes.contains("disabled, edited and enabled again"), "{notes}");
        let job = server.job(&id(1));
        assert_eq!((&job["timeout"], &job["status"]), (&json!(5), &json!("Enabled")));
        let writes: Vec<(Call, String)> = server
            .take_requests()
            .into_iter()
            .filter(|request| matches!(request.call, Call::Update | Call::Status))
            .map(|request| (request.call, request.path.rsplit('/').next().unwrap().to_owned()))
            .collect();
        let expected = [
            (Call::Update, id(1)),
            (Call::Status, "Disabled".to_owned()),
            (Call::Update, id(1)),
            (Call::Status, "Enabled".to_owned()),
        ];
        assert_eq!(writes, expected);
        repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    }
}

#[test]
fn a_job_is_not_disabled_for_an_edit_where_that_could_hurt() {
    let soon = jiff::Timestamp::now() + jiff::SignedDuration::from_hours(3);
    let soon = soon.strftime("%Y-%-m-%d %I:%M:%S %p").to_string();
    // It runs every day from 3 hours from now on; it ran last long ago, as far as the server says.
    let near = locked(&soon, json!({"scheduleType": "Daily", "recurringWeekDays": null}));
    let repo = Repo::empty();
    let daily = manifest("job", "  timeout: 5\n  status: Enabled\n");
    repo.write("jobs.d/job.yaml", daily.replace("Weekly\n  recurringWeekDays: [Wed]", "Daily"));
    let change = applied(&near, &repo, 3)["changes"][0].clone();
    assert_eq!(change["outcome"], "blocked");
    assert!(change["error"]["message"].to_string().contains("less than 4 hours from now"), "{change:#}");

    let unknown = locked("2026-1-05 03:00:00 AM", json!({"recurringWeekDays": null}));
    let repo = Repo::empty();
    let no_day =
        manifest("job", "  timeout: 5\n  status: Enabled\n").replace("  recurringWeekDays: [Wed]\n", "");
    repo.write("jobs.d/job.yaml", no_day);
    let change = applied(&unknown, &repo, 3)["changes"][0].clone();
    assert!(
        change["error"]["message"].to_string().contains("when the job runs next is not known"),
        "{change:#}"
    );

    // Whether it is to be armed is not declared.
    let undeclared = locked(FAR, json!({}));
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    let change = applied(&undeclared, &repo, 3)["changes"][0].clone();
    assert_eq!(change["outcome"], "blocked");
    assert!(change["error"]["help"].as_str().unwrap().contains("declare `status: Enabled`"), "{change:#}");

    for server in [near, unknown, undeclared] {
        let counts = server.take_counts();
        assert_eq!((counts.get("status"), counts["update"]), (None, 1));
        assert_eq!(only_job(&server)["timeout"], 4);
        assert_eq!(only_job(&server)["status"], "Enabled");
    }
}

#[test]
fn a_job_that_was_disabled_for_an_edit_is_never_forgotten() {
    let refused = |code: u16| Effect::Status { code, body: None, headers: Default::default() };
    // The second edit is refused as well: armed again as it was.
    let server = locked(FAR, json!({}));
    server.change(|b| b.fail_next.push(Fault::on(Call::Update, refused(422)).nth(2)));
    let change = edited(&server, 1);
    assert_eq!(change["outcome"], "failed");
    assert!(change["notes"].to_string().contains("disabled and enabled again"), "{change:#}");
    assert_eq!(server.job(&id(1))["status"], "Enabled");

    // Enabling is refused: said aloud, and the next apply does it.
    let server = locked(FAR, json!({}));
    let failure = answered(json!([{"id": id(1), "status": "failure", "error": "busy"}]));
    server.change(|b| b.fail_next.push(Fault::on(Call::Status, failure.clone()).nth(2)));
    let change = edited(&server, 4);
    assert_eq!(change["outcome"], "not_converged");
    assert!(change["error"]["message"][0].as_str().unwrap().contains("left Disabled"), "{change:#}");
    assert_eq!(server.job(&id(1))["status"], "Disabled");
    let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
    assert_eq!(outcomes(&applied(&server, &repo, 0)), ["enable applied"]);

    // Disabling is refused: nothing was done.
    let server = locked(FAR, json!({}));
    server.change(|b| b.fail_next.push(Fault::on(Call::Status, failure)));
    assert_eq!(edited(&server, 3)["outcome"], "blocked");
    assert_eq!(server.job(&id(1))["status"], "Enabled");

    // The edit holds other values than were sent: not armed with them.
    let server = locked(FAR, json!({}));
    let merge = json!({"timeout": 3}).as_object().unwrap().clone();
    let edit = Event::Edit { id: id(1), user: "anna.k".to_owned(), merge, scripts: [].into() };
    // Reads: plan, before the edit, after its refusal, after disabling; then the one after the edit.
    server.change(|b| b.meanwhile.push(Meanwhile::before(Call::Get, 5, edit)));
    let change = edited(&server, 4);
    assert_eq!(change["outcome"], "not_converged");
    assert!(change["notes"].to_string().contains("left Disabled"), "{change:#}");
    assert_eq!(server.job(&id(1))["status"], "Disabled");
}

#[test]
fn a_record_in_the_repository_takes_the_place_of_stamps() {
    let server = Server::of(vec![armable(1, "old", json!({"description": "Mine"}))]);
    let text = whole(
        "old",
        "  timeout: 5\n  preDeployActions:\n    - { action: Run Script, params: { actionItem: A }, scriptType: ps, script: ls }\n",
    );
    let repo = repo_of(&[("old", text), ("new", whole("new", ""))]);
    repo.write("patchctl.yaml", "owner: team\nrecord: live/record.json\n");
    let ran = repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    ran.complains("note: `live/record.json` says what was applied now; commit it");
    assert!(!server.dump().to_string().contains("[patchctl:"));
    assert_eq!(server.job(&id(1))["description"], "Mine");
    let record = repo.read("live/record.json");
    assert!(record.contains(&format!("\"old\": {{\"id\":\"{}\",\"stamp\":\"1:", id(1))), "{record}");
    assert!(record.contains("\"new\""), "{record}");
    // The script is known by it, and so is who changed what.
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    server.edit(&id(1), json!({"timeout": 7}));
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    assert_eq!(plan["changes"][0]["fields"][0]["origin"], "console");
    // Without it nothing is known of the script; with a damaged one nothing is planned.
    repo.write("live/record.json", "");
    repo.run_at(&server, &["plan"]).ends(0).says("(content unknown)");
    repo.write("live/record.json", "<<<<<<< HEAD");
    repo.run_at(&server, &["plan"]).ends(1).complains("error: the record `live/record.json` can not be read");
}

#[test]
fn a_lost_answer_is_settled_without_stamps_too() {
    for (call, effect, outcome, code) in [
        (Call::Update, Effect::CloseAfter, "update applied", 0),
        (Call::Update, Effect::CloseBefore, "update applied", 0),
        (Call::Create, Effect::CloseAfter, "create applied", 0),
        (Call::Create, Effect::CloseBefore, "create unsettled", 4),
    ] {
        let server =
            Server::of(if call == Call::Update { vec![armable(1, "job", json!({}))] } else { Vec::new() });
        let repo = repo_of(&[("job", whole("job", "  timeout: 5\n"))]);
        repo.write("patchctl.yaml", "owner: team\nrecord: record.json\n");
        server.change(|behaviour| behaviour.fail_next.push(Fault::on(call, effect)));
        assert_eq!(outcomes(&applied(&server, &repo, code)), [outcome]);
    }
}

/// What a server fills in by itself is not taken for an edit in the console.
#[test]
fn the_stamp_of_a_new_job_holds_whatever_the_server_fills_in() {
    for record in [false, true] {
        let create_defaults =
            json!({"timeout": 8, "preDeployment": {"userMessage": "Soon", "description": ""}});
        let create_defaults = create_defaults.as_object().unwrap().clone();
        let server = Server::behaving(Vec::new(), Behaviour { create_defaults, ..Behaviour::default() });
        let manifests = [("weekly", whole("weekly", "  description: Mine\n")), ("fix", on_demand("fix", ""))];
        let repo = repo_of(&manifests);
        if record {
            repo.write("patchctl.yaml", "owner: team\nrecord: record.json\n");
        }
        let done = applied(&server, &repo, 0);
        assert_eq!(outcomes(&done), ["create applied", "create applied"]);
        let expected = if record { (2, None) } else { (4, Some(&2)) };
        let counts = server.take_counts();
        assert_eq!((counts["get"], counts.get("update")), expected);
        repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
        // Git changes: nobody in the console is accused.
        repo.write("jobs.d/weekly.yaml", whole("weekly", "  description: Yours\n"));
        let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
        assert_eq!(plan["changes"][0]["fields"][0]["origin"], "git", "{plan:#}");
    }
}

#[test]
fn the_server_may_fill_in_the_zone_of_an_on_demand_job_when_it_likes() {
    let server = Server::of(Vec::new());
    let repo = repo_of(&[("fix", on_demand("fix", ""))]);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    assert_eq!(server.take_counts().get("update"), None, "nothing had to be mended");
    repo.write("jobs.d/fix.yaml", on_demand("fix", "  timeout: 5\n"));
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    assert_eq!(plan["changes"][0]["fields"][0]["origin"], "git");
}

#[test]
fn a_job_that_runs_once_says_whether_its_time_is_past() {
    for (start, zone, words) in [
        (
            "2020-01-01T01:00",
            "Europe/Berlin",
            "its time, 2020-01-01 01:00 Europe/Berlin, is past: starts AT ONCE on 12 assets",
        ),
        ("2099-01-01T01:00", "Europe/Berlin", "runs on 2099-01-01 01:00 Europe/Berlin on 12 assets"),
        ("2020-01-01T01:00", "Mars/Olympus", "runs at its time, at once if that is past, on 12 assets"),
    ] {
        let once =
            json!({"scheduleType": "Once", "recurring": false, "recurringWeekDays": null, "timezone": zone});
        let server = Server::of(vec![armable(1, "fix", once)]);
        let text = manifest(
            "fix",
            &format!("{WORK}  status: Enabled\n  startDateTime: {start}\n  timezone: {zone}\n"),
        );
        let repo = repo_of(&[("fix", text.replace("Weekly\n  recurringWeekDays: [Wed]", "Once"))]);
        let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
        let steps = plan["changes"].as_array().unwrap();
        let reason = steps.last().unwrap()["reason"].as_str().unwrap();
        assert!(reason.contains(words), "{reason}");
    }
}
