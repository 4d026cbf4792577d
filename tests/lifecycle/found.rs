//! What the random tests of this folder found, each small.

use patchctl::simulator::{Behaviour, Call, EditEnabled, Effect, Fault, Lag};
use serde_json::{Value, json};

use crate::cli::{Repo, Server, bodies, id, live_job_with, live_script, manifest};
use crate::run::{changes, text};

const FAR: &str = "2030-1-05 03:00:00 AM";

fn armed(members: Value) -> Value {
    let mut all = json!({"status": "Enabled", "startDateTime": FAR, "dynamicPatchesQQL": "q"});
    all.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    live_job_with(1, "job", all)
}

fn refusing(job: Value) -> Server {
    let behaviour = Behaviour { edit_enabled: EditEnabled::Refuse, ..Behaviour::default() };
    Server::behaving(vec![job], behaviour)
}

/// `action outcome` of each step of an apply.
#[track_caller]
fn outcomes(server: &Server, repo: &Repo, code: i32) -> (Vec<String>, Value) {
    let apply = ["apply", "--auto-approve", "--output", "json", "--settle-time", "0"];
    let document = repo.run_at(server, &apply).ends(code).json();
    let words = |change: &Value| format!("{} {}", text(change, "action"), text(change, "outcome"));
    (changes(&document).iter().map(words).collect(), document)
}

/// The update waited for the job to be off, and the disable waited for the update.
#[test]
fn a_job_that_is_to_be_off_is_disabled_though_its_update_is_refused() {
    let server = refusing(armed(json!({})));
    let repo = Repo::with(&[("job", "  timeout: 5\n  status: Disabled\n")]);
    let (words, document) = outcomes(&server, &repo, 4);
    assert_eq!(words, ["update blocked", "disable applied"]);
    let help = document["changes"][0]["error"]["help"].to_string();
    assert!(help.contains("apply again once it is Disabled"), "{help}");
    assert_eq!(outcomes(&server, &repo, 0).0, ["update applied"]);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

/// The help said "disable it first", and the disable waited for what it was to make possible.
#[test]
fn a_job_that_is_to_be_off_is_disabled_though_its_update_is_blocked() {
    for (job, lines) in [
        (armed(json!({})), "  startDateTime: 2030-01-05T03:00\n  status: Disabled\n"),
        (
            armed(json!({"preDeployActions": [live_script(1, "Drain")]})),
            "  preDeployActions: []\n  status: Disabled\n",
        ),
    ] {
        let server = Server::of(vec![job]);
        let repo = Repo::empty();
        let text = manifest("job", lines);
        let text = if lines.contains("startDateTime") {
            text.replace("Weekly\n  recurringWeekDays: [Wed]", "Once")
        } else {
            text
        };
        repo.write("jobs.d/job.yaml", text);
        let (words, document) = outcomes(&server, &repo, 4);
        assert_eq!(words, ["blocked blocked", "disable applied"], "{document:#}");
        assert_eq!(server.job(&id(1))["status"], "Disabled");
    }
}

/// It ended as `skipped`, waiting for a step that is blocked itself.
#[test]
fn a_step_that_is_blocked_in_the_plan_ends_as_blocked() {
    let job = armed(json!({"status": "Disabled", "preDeployActions": [live_script(1, "Drain")]}));
    let server = Server::of(vec![job]);
    let repo = Repo::with(&[("job", "  preDeployActions: []\n  status: Enabled\n")]);
    let (words, document) = outcomes(&server, &repo, 3);
    assert_eq!(words, ["blocked blocked", "blocked blocked"]);
    assert_eq!(document["changes"][1]["error"]["message"], json!(["waits for a change that is blocked"]));
}

/// It was disabled for the edit and could not be enabled any more, because it has no target.
#[test]
fn a_job_that_could_not_be_enabled_again_is_not_disabled_for_an_edit() {
    let server = refusing(armed(json!({"assetTagIds": null})));
    let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
    let (words, document) = outcomes(&server, &repo, 3);
    assert_eq!(words, ["update blocked"]);
    let message = document["changes"][0]["error"]["message"].to_string();
    assert!(
        message.contains("could not be enabled again: an enabled job needs at least one asset"),
        "{message}"
    );
    assert_eq!(server.job(&id(1))["status"], "Enabled");
    assert_eq!(server.take_counts().get("status"), None);
}

/// The one refusal was told as "turned the write away every time", and the job was switched off and on for nothing.
#[test]
fn an_edit_of_a_disabled_job_that_the_rate_limit_turns_away_is_made_anew() {
    let server = refusing(armed(json!({})));
    let refused = Effect::Throttle { form: patchctl::simulator::ThrottleForm::RetryAfter, seconds: 0 };
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Update, refused).nth(2)));
    let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
    assert_eq!(outcomes(&server, &repo, 0).0, ["update applied"]);
    let requests = server.take_requests();
    assert_eq!((bodies(&requests, Call::Update).len(), bodies(&requests, Call::Status).len()), (3, 2));
}

/// The outcome was `unsettled` without a word of what to do.
#[test]
fn an_edit_that_was_refused_and_can_not_be_looked_at_says_what_to_do() {
    let server = refusing(armed(json!({})));
    let gone = Effect::Status { code: 404, body: None, headers: Default::default() };
    // Reads: for the plan, before the edit, after its refusal.
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Get, gone).nth(3)));
    let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
    let (words, document) = outcomes(&server, &repo, 4);
    assert_eq!(words, ["update unsettled"]);
    let error = &document["changes"][0]["error"];
    assert!(error["help"].as_str().is_some_and(|help| help.contains("the edit was refused")), "{error:#}");
}

/// Each apply enabled the job anew, or disabled it, and the next plan wanted the same again.
#[test]
fn a_status_that_nobody_can_ask_for_is_no_difference_for_ever() {
    for (live, declared) in [("Scheduled", "Enabled"), ("Completed", "Enabled"), ("Disabled", "disabled")] {
        let server = Server::of(vec![armed(json!({"status": live}))]);
        let repo = Repo::with(&[("job", &format!("  status: {declared}\n"))]);
        repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
        let n_found = bodies(&server.take_requests(), Call::Status).len();
        assert_eq!(n_found, 0, "{live} live, {declared} declared");
        repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    }
    // What nobody can ask for is a mistake, and arms nothing.
    for declared in ["Prepared", "Running", "null"] {
        let server = Server::of(vec![armed(json!({"status": "Disabled"}))]);
        let repo = Repo::with(&[("job", &format!("  status: {declared}\n"))]);
        repo.run_at(&server, &["apply", "--auto-approve"]).ends(1);
        assert_eq!(server.take_requests(), []);
    }
}

/// The answer to the edit was lost while the job was off: it was compared with the job as it was Enabled, so it was
/// neither what it was nor what it should be, was not sent again, and stayed off.
#[test]
fn an_edit_of_a_disabled_job_whose_answer_is_lost_is_settled_like_any_other() {
    for (effect, n_updates) in [(Effect::CloseBefore, 3), (Effect::CloseAfter, 2), (Effect::Garbage, 2)] {
        let server = refusing(armed(json!({})));
        server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Update, effect.clone()).nth(2)));
        let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
        let (words, document) = outcomes(&server, &repo, 0);
        assert_eq!(words, ["update applied"], "{effect:?} {document:#}");
        let requests = server.take_requests();
        // The first of the updates is the one that was refused; the job is switched off and on once.
        let n_status = bodies(&requests, Call::Status).len();
        assert_eq!((bodies(&requests, Call::Update).len(), n_status), (n_updates, 2), "{effect:?}");
        let job = server.job(&id(1));
        assert_eq!((&job["status"], &job["timeout"]), (&json!("Enabled"), &json!(5)), "{effect:?}");
        repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    }
}

/// The same where the first reads after it still show the job as it was disabled.
#[test]
fn a_lost_edit_of_a_disabled_job_that_shows_late_is_waited_for() {
    let server = refusing(armed(json!({})));
    server.change(|behaviour| {
        behaviour.get_lag = Lag::Calls(1);
        behaviour.fail_next.push(Fault::on(Call::Update, Effect::CloseAfter).nth(2));
    });
    let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
    let apply = ["apply", "--auto-approve", "--output", "json", "--settle-time", "20s"];
    let document = repo.run_at(&server, &apply).ends(0).json();
    assert_eq!(document["changes"][0]["outcome"], "applied", "{document:#}");
    assert_eq!(server.job(&id(1))["status"], "Enabled");
    assert_eq!(bodies(&server.take_requests(), Call::Update).len(), 2);
}

/// Twice is the most. What is left off then is told, and the next run puts it right.
#[test]
fn an_edit_of_a_disabled_job_that_is_lost_twice_leaves_it_off_until_the_next_run() {
    let server = refusing(armed(json!({})));
    server.change(|behaviour| {
        behaviour.fail_next.extend([2, 2].map(|nth| Fault::on(Call::Update, Effect::CloseBefore).nth(nth)));
    });
    let repo = Repo::with(&[("job", "  timeout: 5\n  status: Enabled\n")]);
    let (words, document) = outcomes(&server, &repo, 4);
    assert_eq!(words, ["update unsettled"], "{document:#}");
    assert!(document["changes"][0]["notes"].to_string().contains("left Disabled"), "{document:#}");
    assert_eq!(server.job(&id(1))["status"], "Disabled");
    assert_eq!(outcomes(&server, &repo, 0).0, ["update applied", "enable applied"]);
    assert_eq!(server.job(&id(1))["status"], "Enabled");
}
