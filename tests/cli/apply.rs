//! `patchctl apply`: what is sent, what is read back, and what is said of each step.

use patchctl::simulator::{Behaviour, Call, Effect, Event, Fault, Lag, Meanwhile, Updates};
use serde_json::{Value, json};

use crate::support::{
    Repo, Server, bodies, but_its_cost, counts, id, live_job, live_job_with, manifest, says_nothing, snapshot,
};

#[test]
fn the_main_job_from_the_first_plan_to_no_changes() {
    let repo = Repo::of_the_sources();
    let first = repo.run(&["plan"]).ends(0).stdout;
    let applied = repo.run(&["apply", "--auto-approve"]).ends(0).keeps_quiet().stdout;
    // What was shown is what is carried out: the plan comes first, byte for byte.
    let rest = applied.strip_prefix(but_its_cost(&first)).expect("apply shows the plan that plan showed");
    snapshot("first-apply", &without_ids(rest));
    let second = repo.run(&["plan"]).ends(0).keeps_quiet().stdout;
    snapshot("second-plan", &second);
    let again = repo.run(&["apply", "--auto-approve", "--output", "json"]).ends(0).json();
    assert_eq!((&again["changes"], &again["api"]["update"]), (&json!([]), &json!(0)));
}

#[test]
fn without_a_terminal_nothing_is_asked_and_nothing_is_called() {
    let server = Server::of_the_examples();
    let repo = Repo::of_the_sources();
    let ran = repo.run_at(&server, &["apply"]).ends(64);
    assert_eq!(
        ran.stderr,
        "error: apply asks before it writes, and there is no terminal\n  \
         = help: give --auto-approve where nobody is there to answer, or --plan with a saved plan\n"
    );
    assert_eq!(ran.stdout, "");
    assert_eq!(server.take_requests(), []);
}

#[test]
fn with_nothing_to_change_nothing_is_written() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "")]);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0).keeps_quiet().says("No changes.");
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2), ("get", 1)]));
}

#[test]
fn a_body_holds_the_type_what_changes_and_the_stamp() {
    let live = json!({
        "description": "Mine",
        "postDeployment": {"suppressReboots": false, "rebootCountdown": {"interval": 5, "intervalUnit": "MINUTES"}},
    });
    let server = Server::of(vec![live_job_with(1, "job", live)]);
    let repo =
        Repo::with(&[("job", "  timeout: 5\n  postDeployment:\n    rebootCountdown: { interval: 15 }\n")]);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let requests = server.take_requests();
    let [mut body] = <[Value; 1]>::try_from(bodies(&requests, Call::Update)).unwrap();
    let description = body["description"].take();
    // The block is the live one with what is declared laid over it.
    assert_eq!(
        body,
        json!({
            "type": "Install",
            "timeout": 5,
            "postDeployment": {"suppressReboots": false, "rebootCountdown": {"interval": 15, "intervalUnit": "MINUTES"}},
            "description": null,
        })
    );
    let (text, stamp) = description.as_str().unwrap().split_once('\n').unwrap();
    assert_eq!(text, "Mine");
    let digests = stamp.strip_prefix("[patchctl:team/job 1:").unwrap().strip_suffix(']').unwrap();
    assert!(
        digests.split(':').count() == 3
            && digests.chars().all(|c| c == ':' || (c.is_ascii_hexdigit() && !c.is_ascii_uppercase())),
        "{stamp}"
    );
}

#[test]
fn the_stamp_is_neither_shown_nor_compared_and_ours_stays_one() {
    let server = Server::of(vec![live_job_with(1, "job", json!({"description": "Mine"}))]);
    let repo = Repo::with(&[("job", "  description: Mine\n  timeout: 5\n")]);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    repo.write("jobs.d/job.yaml", manifest("job", "  description: Yours\n  timeout: 6\n"));
    let ran = repo.run_at(&server, &["plan"]).ends(0).says("description: Mine -> Yours");
    assert!(!ran.stdout.contains("[patchctl:"));
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let description = server.job(&id(1))["description"].as_str().unwrap().to_owned();
    assert!(description.starts_with("Yours\n[patchctl:team/job 1:"), "{description}");
    assert_eq!(description.matches("[patchctl:").count(), 1);
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
}

#[test]
fn after_an_apply_the_origin_of_a_difference_is_known() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    let origin = || {
        let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
        plan["changes"][0]["fields"][0]["origin"].as_str().unwrap().to_owned()
    };
    repo.write("jobs.d/job.yaml", manifest("job", "  timeout: 6\n"));
    assert_eq!(origin(), "git");
    server.edit(&id(1), json!({"timeout": 7}));
    assert_eq!(origin(), "unknown");
    repo.write("jobs.d/job.yaml", manifest("job", "  timeout: 5\n"));
    assert_eq!(origin(), "console");
}

#[test]
fn the_whole_job_is_sent_where_nothing_is_known_of_the_gateway() {
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    for (server, flags) in [
        (
            Server::behaving(vec![live_job(1, "job")], says_nothing(Updates::Replace)),
            &["--no-probe"] as &[&str],
        ),
        (Server::of(vec![live_job(1, "job")]), &["--updates", "full"]),
    ] {
        let before = server.job(&id(1));
        let plan = repo.run_at(&server, &[&["plan", "--output", "json"], flags].concat()).ends(0).json();
        assert_eq!(plan["updates"], "full");
        server.take_requests();
        repo.run_at(&server, &[&["apply", "--auto-approve"], flags].concat()).ends(0);
        let [body] = <[Value; 1]>::try_from(bodies(&server.take_requests(), Call::Update)).unwrap();
        let members = |job: &Value| -> Vec<String> {
            let mut names: Vec<String> = job.as_object().unwrap().keys().cloned().collect();
            names.sort();
            names
        };
        assert_eq!(members(&body), members(&before));
        // Nothing but the declared change, its stamp and the bookkeeping moved.
        let after = server.job(&id(1));
        for (name, value) in before.as_object().unwrap() {
            match name.as_str() {
                "timeout" => assert_eq!(after[name], 5),
                "description" | "updatedBy" => assert_ne!(&after[name], value),
                _ => assert_eq!(&after[name], value, "{name}"),
            }
        }
        repo.run_at(&server, &[&["plan"], flags].concat()).ends(0).says("No changes.");
    }
}

#[test]
fn a_long_request_is_counted_and_not_listed() {
    let repo = Repo::of_the_sources();
    let ran = repo.run(&["plan", "--updates", "full", "--only", "linux-rollback"]).ends(0);
    ran.says("    PATCH the whole job, 70 members\n");
}

#[test]
fn minimal_is_not_used_where_it_is_known_to_wipe() {
    let replaces = patchctl::simulator::Behaviour { updates: Updates::Replace, ..Default::default() };
    let server = Server::behaving(vec![live_job(1, "job")], replaces);
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    repo.run_at(&server, &["plan", "--updates", "minimal"]).ends(0).complains(
        "note: this gateway replaces jobs, and `updates: minimal` would wipe what is not sent; using full",
    );
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
    assert_eq!(server.job(&id(1))["assetTagIds"], live_job(1, "job")["assetTagIds"]);
}

#[test]
fn a_write_that_moved_what_was_not_sent_stops_all_further_ones() {
    let jobs = vec![live_job(1, "a"), live_job(2, "b")];
    let server = Server::behaving(jobs, says_nothing(Updates::Replace));
    let repo = Repo::with(&[("a", "  timeout: 5\n"), ("b", "  timeout: 5\n")]);
    let ran = repo.run_at(&server, &["apply", "--auto-approve", "--updates", "minimal"]).ends(4);
    let shown = ran.stdout.replace(&server.host(), "127.0.0.1:PORT0");
    snapshot("collateral", &shown);
    // The second job was not even read again.
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2), ("get", 4), ("update", 1)]));
    assert_eq!(server.job(&id(2)), live_job(2, "b"));
}

#[test]
fn a_lost_answer_is_settled_by_reading() {
    // What did not take effect is sent once more and read once more.
    for (effect, n_updates) in [(Effect::CloseAfter, 1), (Effect::CloseBefore, 2)] {
        let server = Server::of(vec![live_job(1, "job")]);
        let repo = Repo::with(&[("job", "  timeout: 5\n")]);
        server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Update, effect)));
        let apply = ["apply", "--auto-approve", "--output", "json", "--settle-time", "0"];
        let done = repo.run_at(&server, &apply).ends(0).json();
        assert_eq!(done["changes"][0]["outcome"], "applied");
        let expected = counts(&[("auth", 1), ("list", 2), ("get", 2 + n_updates), ("update", n_updates)]);
        assert_eq!(server.take_counts(), expected);
    }
}

#[test]
fn one_refused_change_does_not_stop_the_others() {
    let server = Server::of(vec![live_job(1, "a"), live_job(2, "b")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n"), ("b", "  timeout: 5\n")]);
    let refused = Effect::Status { code: 400, body: None, headers: Default::default() };
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Update, refused)));
    let done = repo.run_at(&server, &["apply", "--auto-approve"]).ends(4).keeps_quiet();
    let outcomes = done.stdout.split_once("leave").map_or(&*done.stdout, |(_, rest)| rest);
    let shown = outcomes.split_once("\n\n").map_or(outcomes, |(_, rest)| rest);
    snapshot("one-refused", &shown[shown.find("failed").unwrap()..]);
    assert_eq!((&server.job(&id(1))["timeout"], &server.job(&id(2))["timeout"]), (&json!(4), &json!(5)));
}

#[test]
fn a_server_that_says_yes_and_keeps_its_value_is_found_out() {
    // The console takes the change back between the write and the read: after the reads of plan and apply.
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    let merge = json!({"timeout": 4}).as_object().unwrap().clone();
    let back = Event::Edit { id: id(1), user: "anna.k".to_owned(), merge, scripts: [].into() };
    server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 3, back)));
    let done = repo.run_at(&server, &["apply", "--auto-approve", "--output", "json"]).ends(4).json();
    let change = &done["changes"][0];
    assert_eq!(change["outcome"], "not_converged");
    let expected =
        json!([{"path": "/timeout", "before": 4, "after": 5, "sent": 5, "expected": 5, "found": 4}]);
    assert_eq!(change["error"]["fields"], expected);
}

#[test]
fn a_lost_write_that_is_confirmed_says_so() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Update, Effect::CloseAfter)));
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0).says(
        "applied       update job\n              = the answer was lost; confirmed by reading\n\nApply: 1 applied of 1 step.",
    );
}

#[test]
fn a_lost_write_whose_stamp_was_there_before_is_told_by_what_moved() {
    for (effect, n_updates) in [(Effect::CloseAfter, 1), (Effect::CloseBefore, 2)] {
        let server = Server::of(vec![live_job(1, "job")]);
        let repo = Repo::with(&[("job", "  timeout: 5\n")]);
        repo.run_at(&server, &["apply", "--auto-approve"]).ends(0);
        server.take_counts();
        // The description keeps the stamp of what is declared still.
        server.edit(&id(1), json!({"timeout": 9}));
        server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Update, effect)));
        let apply = ["apply", "--auto-approve", "--output", "json", "--settle-time", "0"];
        let done = repo.run_at(&server, &apply).ends(0).json();
        assert_eq!(done["changes"][0]["outcome"], "applied", "{}", done["changes"][0]["error"]);
        assert_eq!(server.take_counts()["update"], n_updates);
    }
}

#[test]
fn an_answer_that_may_be_an_old_copy_decides_nothing() {
    let unsettled = |server: &Server, repo: &Repo| {
        repo.run_at(server, &["apply", "--auto-approve", "--settle-time", "0"])
            .ends(4)
            .says("the answer may be an old copy: who and when of the last edit have not moved")
    };
    let server = Server::behaving(
        vec![live_job(1, "job")],
        Behaviour { get_lag: Lag::Calls(1), ..Behaviour::default() },
    );
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    unsettled(&server, &repo).says("unsettled     update job\n").says("= help: run plan in a few minutes");
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    // A server that says yes and stores nothing can not be told from it.
    let yes = Effect::Status { code: 200, body: Some("{}".to_owned()), headers: json_type() };
    let server = Server::of(vec![live_job(1, "job")]);
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Update, yes)));
    unsettled(&server, &repo);
}

#[test]
fn a_lost_write_that_does_not_show_yet_is_not_told_to_have_failed() {
    let server =
        Server::behaving(vec![live_job(1, "job")], Behaviour { get_lag: Lag::Never, ..Behaviour::default() });
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Update, Effect::CloseAfter)));
    repo.run_at(&server, &["apply", "--auto-approve", "--settle-time", "0"])
        .ends(4)
        .says("unsettled     update job\n")
        .says("= help: it was sent twice and does not show, or not yet; run plan before applying again");
    assert_eq!(server.job(&id(1))["timeout"], 5);
}

#[test]
fn what_every_write_brings_is_no_collateral() {
    // The server gives an On-demand job a zone, and a description that was no text becomes one.
    let odd = json!({
        "scheduleType": "On-demand", "recurring": false, "recurringWeekDays": null, "startDateTime": null,
        "timezone": null, "timezoneType": null, "description": 5,
    });
    let server = Server::of(vec![live_job_with(1, "job", odd)]);
    let repo = Repo::empty();
    let once = manifest("job", "  timeout: 5\n");
    let schedule = "scheduleType: Weekly\n  recurringWeekDays: [Wed]";
    repo.write("jobs.d/job.yaml", once.replace(schedule, "scheduleType: On-demand"));
    let zone = json!({"timezone": "UTC", "timezoneType": "SPECIFIC_TZ"}).as_object().unwrap().clone();
    let fill_in = Event::Edit { id: id(1), user: "the server".to_owned(), merge: zone, scripts: [].into() };
    server.change(|behaviour| behaviour.meanwhile.push(Meanwhile::before(Call::Get, 3, fill_in)));
    repo.run_at(&server, &["apply", "--auto-approve"]).ends(0).says("applied       update job\n");
}

/// An answer that lags is waited for, and a lost write that shows in the end is no failure.
#[test]
fn what_shows_within_the_settle_time_is_settled() {
    for lost in [false, true] {
        let lag = Behaviour { get_lag: Lag::Calls(1), ..Behaviour::default() };
        let server = Server::behaving(vec![live_job(1, "job")], lag);
        let repo = Repo::with(&[("job", "  timeout: 5\n")]);
        if lost {
            server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Update, Effect::CloseAfter)));
        }
        repo.run_at(&server, &["apply", "--auto-approve", "--settle-time", "20s"]).ends(0);
        assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2), ("get", 4), ("update", 1)]));
    }
}

/// Ids of new jobs are made by the server, and are others each time.
fn without_ids(text: &str) -> String {
    let mut lines: Vec<&str> = text.lines().collect();
    for line in &mut lines {
        if let Some(at) = line.find("= the new job is ") {
            *line = &line[..at + "= the new job is".len()];
        }
    }
    lines.join("\n") + "\n"
}

fn json_type() -> std::collections::BTreeMap<String, String> {
    [("content-type".to_owned(), "application/json".to_owned())].into()
}

#[test]
fn a_job_that_vanished_between_plan_and_write_is_stale() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "  timeout: 5\n")]);
    let gone = || Effect::Status { code: 404, body: None, headers: Default::default() };
    // Gone on the second read: the first fault is harmless and waits with the first read.
    let ok = Effect::Status { code: 200, body: Some(server.job(&id(1)).to_string()), headers: json_type() };
    server.change(|behaviour| {
        behaviour.fail_next = vec![Fault::on(Call::Get, ok), Fault::on(Call::Get, gone())];
    });
    let ran = repo.run_at(&server, &["apply", "--auto-approve"]).ends(3);
    let ran = ran.says(&format!("stale         update job\n              the live job {} is gone", id(1)));
    ran.says("= help: nothing was written");
    assert_eq!(server.take_counts().get("update"), None);
}
