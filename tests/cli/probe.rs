//! The probe: how a gateway of which nothing is known takes updates, told by a scratch job that does not stay.
//!
//! What must survive is compared by the true contents of scripts and the stored rules, which the simulator keeps and no
//! answer shows.

use std::process::Stdio;

use patchctl::simulator::{Answer, Behaviour, Call, Effect, Fault, Lag, Updates};
use serde_json::{Value, json};

use crate::support::{
    CUSTOMER, LOGIN, Repo, Server, bodies, counts, files_below, id, live_job, live_job_with, live_script,
    says_nothing,
};

const UPDATES: [Updates; 3] = [Updates::Merge, Updates::MergeTop, Updates::Replace];

/// A name of a scratch job.
const NAME: &str = "patchctl probe team 7b1c8a50-30cb-4a55-9d0e-0b6f5f3c7f11, safe to delete";

/// A parent with scripts, and a child that waits for one of its actions.
fn jobs() -> Vec<Value> {
    let action = "bbbbbbbb-0000-4000-8000-000000000001";
    let post = json!({
        "actionId": action, "action": "Run Script", "actionType": "postdeploy",
        "params": {"actionItem": "Report", "timeout": 180},
        "script": format!("{CUSTOMER}/{action}/Script"), "scriptType": "ps",
    });
    let rule = json!({
        "field": "postDeployAction", "actionIds": [action], "threshold": 90,
        "condition": "Post Actions were successfully executed",
    });
    let during = json!({"userMessage": "Patching", "description": "Save your work"});
    vec![
        live_job_with(
            1,
            "parent",
            json!({
                "preDeployActions": [live_script(1, "Drain"), live_script(2, "Stop")],
                "postDeployActions": [post],
                "duringDeployment": during,
            }),
        ),
        live_job_with(
            2,
            "child",
            json!({
                "linkedJobId": id(1), "chainedJobRule": [rule], "preDeployActions": [live_script(3, "Check")],
            }),
        ),
    ]
}

/// One member of each job differs.
fn repo() -> Repo {
    Repo::with(&[("parent", "  timeout: 5\n"), ("child", "  timeout: 6\n")])
}

/// All that is stored but what the two changes move.
fn kept(server: &Server) -> Value {
    let mut dump = server.dump();
    dump["deleted"] = Value::Null;
    for job in dump["jobs"].as_array_mut().unwrap() {
        for name in ["timeout", "description", "updatedBy", "linkedToJob", "linkedJobs"] {
            job.as_object_mut().unwrap().remove(name);
        }
    }
    dump
}

/// The scratch jobs that are there.
fn scratch_jobs(server: &Server) -> Vec<Value> {
    let dump = server.dump();
    let jobs = dump["jobs"].as_array().unwrap().iter();
    jobs.filter(|job| job["name"].as_str().unwrap().starts_with("patchctl probe ")).cloned().collect()
}

const APPLY: [&str; 4] = ["apply", "--auto-approve", "--output", "json"];

#[test]
fn on_every_server_scripts_and_rules_survive_and_nothing_of_the_probe_stays() {
    for updates in UPDATES {
        for answer in [Answer::Stored, Answer::Echo] {
            let server = Server::behaving(jobs(), Behaviour { answer, ..says_nothing(updates) });
            let (repo, before) = (repo(), kept(&server));
            let scripts = before["scripts"].as_object().unwrap();
            assert_eq!(scripts.len(), 4);
            let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
            assert_eq!(plan["probe"]["platform"], "Windows", "{updates:?} {answer:?}");
            assert_eq!(
                (&plan["summary"]["update"], &plan["changes"].as_array().unwrap().len()),
                (&json!(2), &2)
            );
            server.take_requests();
            let done = repo.run_at(&server, &APPLY).ends(0).json();
            let (verdict, envelope) = match updates {
                Updates::Merge => ("merge", "minimal"),
                Updates::MergeTop => ("merge-top", "minimal"),
                Updates::Replace => ("replace", "full"),
            };
            assert_eq!(done["probe"]["verdict"], verdict, "{answer:?}");
            assert_eq!((&done["probe"]["updates"], &done["updates"]), (&json!(envelope), &json!(envelope)));
            assert_eq!(done["outcomes"]["applied"], 2, "{done:#}");
            assert_eq!(done["fingerprint"], plan["fingerprint"]);
            let requests = server.take_requests();
            let sizes: Vec<usize> =
                bodies(&requests, Call::Update).iter().map(|body| body.as_object().unwrap().len()).collect();
            assert_eq!(sizes.len(), 3, "the trial and the two updates");
            assert_eq!(sizes[1..].iter().all(|size| *size == 3), envelope == "minimal", "{sizes:?}");
            // The plan said what it costs: the jobs were remembered from it.
            let n_calls =
                requests.iter().filter(|request| !matches!(request.call, Call::Auth | Call::List)).count();
            assert_eq!(plan["calls_needed"], n_calls);
            assert_eq!(kept(&server), before, "{updates:?} {answer:?}");
            assert_eq!(
                (&server.job(&id(1))["timeout"], &server.job(&id(2))["timeout"]),
                (&json!(5), &json!(6))
            );
            repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes.");
            // It is remembered.
            server.edit(&id(1), json!({"timeout": 9}));
            let again = repo.run_at(&server, &APPLY).ends(0).json();
            assert_eq!((again.get("probe"), &again["updates"]), (None, &json!(envelope)));
            assert_eq!(server.take_counts().get("create"), None);
            assert_eq!(kept(&server), before);
        }
    }
}

#[test]
fn the_plan_shows_the_probe_first_and_writes_nothing() {
    let server = Server::behaving(vec![live_job(1, "job")], says_nothing(Updates::Merge));
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    let plan = repo.run_at(&server, &["plan"]).ends(0).keeps_quiet();
    let shown = plan.stdout.replace(&server.host(), "127.0.0.1:PORT0");
    insta::assert_snapshot!(crate::support::but_its_cost(&shown), @r#"
    * probe how this gateway takes updates (Windows)
        it is not known whether it merges them: a scratch job "patchctl probe team {uuid}, safe to delete" is
          made, updated, read and deleted, in 6 calls; no other job is touched
        = the requests below carry what changes; if the gateway replaces jobs, or the probe can not tell, each
          update carries the whole job as it is, with the same changes. --no-probe does that at once

    ~ update job  "job" (Windows)
        jobs.d/job.yaml:4: 1 member differs
        timeout: 4 -> 5
        PATCH type, timeout, description (stamp)

    Plan: 1 to update, 0 unchanged.
    "#);
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2), ("get", 1)]));
    assert!(!repo.path(".patchctl/probes").exists());
    let probe = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    let without = repo.run_at(&server, &["plan", "--output", "json", "--updates", "minimal"]).ends(0).json();
    assert_eq!(probe["changes"], without["changes"], "the same changes and requests");
    assert_ne!(probe["fingerprint"], without["fingerprint"], "and not the same plan");
    // Nobody says yes.
    server.take_requests();
    let refused = repo.run_at_terminal(&server, "patchctl apply", "no", || {});
    assert!(refused.stdout.contains("Apply 1 probe, 1 update to "), "{}", refused.stdout);
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2)]));
}

#[test]
fn no_probe_where_none_is_needed_or_wanted() {
    let server = Server::behaving(vec![live_job(1, "job")], says_nothing(Updates::Replace));
    let repo = Repo::with(&[("job", "  timeout: 4\n")]);
    let probe = |repo: &Repo, flags: &[&str]| {
        let plan = repo.run_at(&server, &[&["plan", "--output", "json"], flags].concat()).ends(0).json();
        (plan.get("probe").is_some(), plan["updates"].as_str().unwrap().to_owned())
    };
    assert_eq!(probe(&repo, &[]), (false, "full".to_owned()), "nothing to do");
    let created = Repo::with(&[("new", "  timeout: 4\n  startDateTime: 2026-12-01T02:00\n")]);
    assert_eq!(probe(&created, &[]), (false, "full".to_owned()), "only a create");
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    assert_eq!(probe(&repo, &[]), (true, "minimal".to_owned()));
    assert_eq!(probe(&repo, &["--no-probe"]), (false, "full".to_owned()));
    assert_eq!(probe(&repo, &["--updates", "full"]), (false, "full".to_owned()));
    assert_eq!(probe(&repo, &["--updates", "minimal"]), (false, "minimal".to_owned()));
    repo.write("patchctl.yaml", "owner: team\nupdates: full\n");
    assert_eq!(probe(&repo, &[]), (false, "full".to_owned()));
    repo.write("patchctl.yaml", "owner: team\n");
    server.take_requests();
    let done = repo.run_at(&server, &[&APPLY[..], &["--no-probe"]].concat()).ends(0).json();
    assert_eq!((done.get("probe"), &done["updates"]), (None, &json!("full")));
    assert_eq!(server.take_counts().get("create"), None);
    assert_eq!(server.job(&id(1))["assetTagIds"], live_job(1, "job")["assetTagIds"]);
}

#[test]
fn a_login_that_may_not_make_jobs_sends_whole_ones() {
    let server = Server::behaving(jobs(), says_nothing(Updates::Replace));
    let (repo, before) = (repo(), kept(&server));
    let refused = Effect::Status { code: 403, body: None, headers: Default::default() };
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Create, refused).always()]);
    let done =
        repo.run_at(&server, &["apply", "--auto-approve"]).ends(0).says("not probed    it is not known");
    done.says("this login may not make jobs")
        .says("= updates carry the whole job\n")
        .says("2 applied of 2 steps");
    assert_eq!(kept(&server), before);
    let doctor = repo.run_at(&server, &["doctor", "--probe-updates"]).ends(0);
    doctor.says("warning  updates").says("commit `updates: full`");
}

/// What is reached when a run hangs at a call.
fn has_reached(server: &Server, call: Call, effect: &Effect, n_seen: usize, nth: usize) -> bool {
    let scratch = scratch_jobs(server);
    match (effect, call) {
        (Effect::HangAfter, Call::Create) => !scratch.is_empty(),
        (Effect::HangAfter, Call::Update) => {
            scratch.iter().any(|job| job["preDeployment"]["userMessage"] == "after")
        }
        (Effect::HangAfter, Call::Delete) => n_seen >= nth && scratch.is_empty(),
        (_, _) => n_seen >= nth,
    }
}

/// Kills an apply at one of its calls, and runs it again.
fn killed_at(updates: Updates, call: Call, nth: usize, effect: Effect, keeps_state: bool) {
    let case = format!("{updates:?} {call:?} {nth} {effect:?} {keeps_state}");
    let server = Server::behaving(jobs(), says_nothing(updates));
    let (repo, before) = (repo(), kept(&server));
    // The jobs are remembered after it, so that every read of the apply is one of the probe.
    repo.run_at(&server, &["plan"]).ends(0);
    server.take_requests();
    let fault = Fault::on(call, effect.clone()).nth(nth.try_into().unwrap());
    server.change(|behaviour| behaviour.fail_next = vec![fault]);
    let mut command = repo.command(&["apply", "--auto-approve", "--gateway", &server.url()]);
    let mut child = command.envs(LOGIN).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    let mut n_seen = 0;
    while !has_reached(&server, call, &effect, n_seen, nth) {
        assert_eq!(child.try_wait().unwrap(), None, "{case}: it ended");
        n_seen += server.take_requests().iter().filter(|request| request.call == call).count();
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    server.change(|behaviour| behaviour.fail_next.clear());
    if !keeps_state && repo.path(".patchctl").exists() {
        std::fs::remove_dir_all(repo.path(".patchctl")).unwrap();
    }
    let n_left = scratch_jobs(&server).len();
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    let n_shown = plan.get("scratch_jobs").map_or(0, |jobs| jobs.as_array().unwrap().len());
    assert_eq!((n_shown, scratch_jobs(&server).len()), (n_left, n_left), "{case}: told, and not touched");
    assert_eq!(plan["unmanaged"], 0, "{case}");
    let done = repo.run_at(&server, &APPLY).ends(0).json();
    assert_eq!(done["outcomes"]["applied"], 2, "{case}");
    assert_eq!(scratch_jobs(&server), [] as [Value; 0], "{case}");
    assert_eq!(kept(&server), before, "{case}");
    repo.run_at(&server, &["plan", "--detailed-exitcode"]).ends(0).says("No changes.");
    // What was sent and is in no list may still come up in one, so it is not forgotten at once.
    let may_come = keeps_state && n_left == 0;
    for (path, content) in files_below(&repo.path(".patchctl/probes")) {
        let is_noted = String::from_utf8(content).unwrap().contains("\"sent\"");
        assert_eq!(is_noted, may_come, "{case}: {}", path.display());
    }
}

#[test]
fn killed_at_any_call_the_next_run_removes_what_is_left() {
    let calls = [
        (Call::Create, 1),
        (Call::Get, 1),
        (Call::Update, 1),
        (Call::Get, 2),
        (Call::Delete, 1),
        (Call::Get, 3),
    ];
    std::thread::scope(|scope| {
        for updates in [Updates::MergeTop, Updates::Replace] {
            for keeps_state in [true, false] {
                scope.spawn(move || {
                    for (call, nth) in calls {
                        for effect in [Effect::HangBefore, Effect::HangAfter] {
                            killed_at(updates, call, nth, effect, keeps_state);
                        }
                    }
                });
            }
        }
    });
}

#[test]
fn a_removal_that_fails_is_told_and_done_by_the_next_run() {
    for code in [403, 500] {
        let server = Server::behaving(jobs(), says_nothing(Updates::Replace));
        let repo = repo();
        let refused = Effect::Status { code, body: None, headers: Default::default() };
        server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Delete, refused).always()]);
        let flags = ["--settle-time", "0"];
        let done = repo.run_at(&server, &[&APPLY[..], &flags].concat()).ends(4).json();
        assert_eq!((&done["probe"]["verdict"], &done["outcomes"]["applied"]), (&json!("replace"), &json!(2)));
        let [left] = <[Value; 1]>::try_from(scratch_jobs(&server)).unwrap();
        assert_eq!(done["probe"]["scratch_job"]["id"], left["id"], "{code}");
        // Still not: it is named again, and that is all.
        let named = repo.run_at(&server, &[&["apply", "--auto-approve"], &flags[..]].concat()).ends(0);
        named.says("No changes.").says("left          scratch job").says(left["id"].as_str().unwrap());
        server.change(|behaviour| behaviour.fail_next.clear());
        server.take_requests();
        let warned = repo.run_at(&server, &["doctor"]).ends(0);
        warned.says("warning  updates").says("of an earlier probe is still there");
        repo.run_at(&server, &["plan"])
            .ends(0)
            .says("* remove \"patchctl probe team ")
            .says("Applying takes");
        let refused = repo.run_at_terminal(&server, "patchctl apply", "no", || {});
        assert!(refused.stdout.contains("Apply 1 scratch job removal to "), "{}", refused.stdout);
        assert_eq!(scratch_jobs(&server).len(), 1);
        let removed = repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
        removed.says("removed       scratch job \"patchctl probe team ");
        assert_eq!(scratch_jobs(&server), [] as [Value; 0]);
        assert_eq!(server.take_counts().get("create"), None, "what was told is remembered");
    }
}

#[test]
fn what_only_looks_like_a_scratch_job_is_left_to_a_person_and_touched_by_nothing() {
    let others = NAME.replace("team", "others");
    let impostors = vec![live_job(1, "job"), live_job(8, NAME), live_job(9, &others)];
    let server = Server::behaving(impostors, says_nothing(Updates::Merge));
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    let untouched = |server: &Server| {
        assert_eq!((server.job(&id(8)), server.job(&id(9))), (live_job(8, NAME), live_job(9, &others)));
    };
    let plan = repo.run_at(&server, &["plan", "--prune=scan", "--output", "json"]).ends(0).json();
    assert_eq!((&plan["unmanaged"], &plan["summary"]["delete"]), (&json!(0), &json!(0)));
    let done = repo.run_at(&server, &["apply", "--auto-approve", "--prune=scan"]).ends(0);
    let done = done
        .says("left          scratch job")
        .says("it is left alone, because its description is not the one");
    assert!(!done.stdout.contains("others"), "{}", done.stdout);
    untouched(&server);
    repo.run_at(&server, &["doctor", "--probe-updates"]).ends(0).says("warning  updates").says("left alone");
    untouched(&server);
    let imported = repo.run_at(&server, &["import", "--all", "--output", "json"]).ends(0).json();
    assert_eq!(imported["summary"]["files"], 0, "{imported:#}");
    repo.write(
        "jobs.d/copy.yaml",
        crate::support::manifest("copy", "  startDateTime: 2026-12-01T02:00\n")
            .replace("name: copy", &format!("name: \"{NAME}\"")),
    );
    let plan = repo.run_at(&server, &["plan", "--output", "json", "--only", "copy"]).ends(0).json();
    assert_ne!(plan["changes"][0]["id"], id(8), "it is bound to nothing");
}

#[test]
fn a_create_whose_answer_is_lost_is_found_by_its_name() {
    let server = Server::behaving(jobs(), says_nothing(Updates::Merge));
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Create, Effect::CloseAfter)]);
    let done = repo().run_at(&server, &APPLY).ends(0).json();
    assert_eq!((&done["probe"]["verdict"], scratch_jobs(&server).len()), (&json!("merge"), 0));
    // Not made: it is not known, whole jobs are sent, and the next run looks for it.
    let server = Server::behaving(jobs(), says_nothing(Updates::Replace));
    let (repo, before) = (repo(), kept(&server));
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Create, Effect::CloseBefore)]);
    let done = repo.run_at(&server, &[&APPLY[..], &["--settle-time", "0"]].concat()).ends(4).json();
    assert_eq!((&done["probe"]["verdict"], &done["updates"]), (&Value::Null, &json!("full")));
    assert_eq!((&done["outcomes"]["applied"], kept(&server)), (&json!(2), before));
    server.edit(&id(1), json!({"timeout": 9}));
    assert_eq!(repo.run_at(&server, &APPLY).ends(0).json()["probe"]["verdict"], "replace");
}

#[test]
fn an_answer_that_lags_does_not_fool_it() {
    for updates in UPDATES {
        let lag = Behaviour { get_lag: Lag::Calls(1), ..says_nothing(updates) };
        let server = Server::behaving(vec![live_job(1, "job")], lag);
        let repo = Repo::with(&[("job", "  timeout: 5\n")]);
        let done = repo.run_at(&server, &[&APPLY[..], &["--settle-time", "20s"]].concat()).ends(0).json();
        assert_eq!(done["probe"]["verdict"], serde_json::to_value(updates).unwrap());
        assert_eq!(scratch_jobs(&server), [] as [Value; 0]);
    }
    // It never shows: nothing is told, and nothing is concluded from that it does not.
    let server = Server::behaving(vec![live_job(1, "job")], says_nothing(Updates::Merge));
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    repo.run_at(&server, &["plan"]).ends(0);
    server.change(|behaviour| behaviour.get_lag = Lag::Never);
    let done = repo.run_at(&server, &[&APPLY[..], &["--settle-time", "0"]].concat()).ends(4).json();
    assert_eq!((&done["probe"]["verdict"], &done["updates"]), (&Value::Null, &json!("full")));
}

#[test]
fn a_trial_that_is_refused_means_whole_jobs() {
    let server = Server::behaving(jobs(), says_nothing(Updates::Replace));
    let (repo, before) = (repo(), kept(&server));
    let refused = Effect::Status { code: 400, body: None, headers: Default::default() };
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::Update, refused)]);
    let done = repo.run_at(&server, &APPLY).ends(0).json();
    assert_eq!((&done["probe"]["verdict"], &done["updates"]), (&json!("refuses"), &json!("full")));
    assert_eq!((kept(&server), scratch_jobs(&server).len()), (before, 0));
}

#[test]
fn what_a_probe_told_is_forgotten_once_a_write_shows_that_it_does_not_hold() {
    let server = Server::behaving(vec![live_job(1, "job")], says_nothing(Updates::Merge));
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    repo.run_at(&server, &APPLY).ends(0);
    server.change(|behaviour| behaviour.updates = Updates::Replace);
    server.edit(&id(1), json!({"timeout": 9}));
    let done = repo.run_at(&server, &APPLY).ends(4).json();
    assert_eq!(done["changes"][0]["outcome"], "collateral");
    let known = files_below(&repo.path(".patchctl/probes")).into_values().next().unwrap();
    assert!(!String::from_utf8(known).unwrap().contains("verdict"));
}

#[test]
fn doctor_probes_on_its_own_and_prints_the_setting_to_commit() {
    for (updates, setting) in UPDATES.into_iter().zip(["minimal", "minimal", "full"]) {
        let server = Server::behaving(jobs(), says_nothing(updates));
        let (repo, before) = (repo(), server.dump());
        repo.run_at(&server, &["doctor"]).ends(0).says("not known whether the gateway merges");
        assert_eq!(server.take_counts().get("create"), None, "only where it is asked for");
        let ran = repo.run_at(&server, &["doctor", "--probe-updates", "--output", "json"]).ends(0);
        let report: Value = ran.json();
        let checks = report["checks"].as_array().unwrap();
        let check = checks.iter().find(|check| check["name"] == "updates").unwrap();
        assert_eq!(check["status"], "ok");
        let words = format!("; commit `updates: {setting}` in patchctl.yaml");
        assert!(check["message"].as_str().unwrap().ends_with(&words), "{check}");
        assert_eq!(report["probe"]["updates"], setting);
        assert_eq!(
            (&server.dump()["jobs"], &server.dump()["scripts"]),
            (&before["jobs"], &before["scripts"])
        );
        repo.run_at(&server, &["doctor"]).ends(0).says("a probe told it on");
        let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
        assert_eq!((plan.get("probe"), &plan["updates"]), (None, &json!(setting)));
        repo.write("patchctl.yaml", format!("owner: team\nupdates: {setting}\n"));
        std::fs::remove_dir_all(repo.path(".patchctl")).unwrap();
        let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
        assert_eq!((plan.get("probe"), &plan["updates"]), (None, &json!(setting)), "no run probes after it");
    }
    // Nothing is made in the wrong subscription.
    let server = Server::behaving(jobs(), says_nothing(Updates::Merge));
    let repo = repo();
    repo.write("patchctl.yaml", "owner: team\ncustomerId: 00000000-0000-4000-8000-000000000000\n");
    repo.run_at(&server, &["doctor", "--probe-updates"]).ends(1);
    assert_eq!(server.take_counts().get("create"), None);
}

#[test]
fn whoever_approves_a_saved_plan_with_a_probe_approves_what_it_may_tell() {
    let apply = ["apply", "--plan", "plan.json", "--output", "json"];
    for updates in UPDATES {
        let server = Server::behaving(jobs(), says_nothing(updates));
        let (repo, before) = (repo(), kept(&server));
        repo.run_at(&server, &["plan", "--out", "plan.json"]).ends(0).says("* probe how this gateway");
        assert!(repo.read("plan.json").contains(r#""updates": "probe""#));
        let done = repo.run_at(&server, &apply).ends(0).json();
        assert_eq!((&done["saved_plan"]["same"], &done["outcomes"]["applied"]), (&json!(2), &json!(2)));
        assert!(!done["probe"]["verdict"].is_null());
        assert_eq!((kept(&server), scratch_jobs(&server)), (before, vec![]), "{updates:?}");
    }
}

#[test]
fn a_saved_plan_needs_no_probe_any_more_where_somebody_else_made_it() {
    for updates in UPDATES {
        let server = Server::behaving(jobs(), says_nothing(updates));
        let (repo, before) = (repo(), kept(&server));
        repo.run_at(&server, &["plan", "--out", "plan.json"]).ends(0);
        repo.run_at(&server, &["doctor", "--probe-updates"]).ends(0);
        server.take_requests();
        let done = repo.run_at(&server, &["apply", "--plan", "plan.json", "--output", "json"]).ends(0).json();
        assert_eq!((&done["probe"], &done["outcomes"]["applied"]), (&Value::Null, &json!(2)));
        assert!(server.take_requests().iter().all(|request| request.call != Call::Create));
        assert_eq!(kept(&server), before, "{updates:?}");
    }
}

#[test]
fn a_saved_plan_of_which_no_update_is_left_makes_no_scratch_job() {
    let server = Server::behaving(jobs(), says_nothing(Updates::Merge));
    let repo = repo();
    repo.run_at(&server, &["plan", "--out", "plan.json"]).ends(0);
    for (key, timeout) in [("parent", 7), ("child", 8)] {
        let text = repo.read(&format!("jobs.d/{key}.yaml"));
        let (old, new) = (if key == "parent" { 5 } else { 6 }, timeout);
        repo.write(
            &format!("jobs.d/{key}.yaml"),
            text.replace(&format!("timeout: {old}"), &format!("timeout: {new}")),
        );
    }
    server.take_requests();
    let done = repo.run_at(&server, &["apply", "--plan", "plan.json", "--output", "json"]).ends(3).json();
    assert_eq!(done["outcomes"]["stale"], 2, "{done:#}");
    let writes = [Call::Create, Call::Update, Call::Delete];
    assert!(server.take_requests().iter().all(|request| !writes.contains(&request.call)));
}
