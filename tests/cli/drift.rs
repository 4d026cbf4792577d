//! `patchctl drift`: who changed what and when, what counts, what was seen before, and how the run ends.

use std::os::unix::fs::PermissionsExt as _;

use patchctl::simulator::{Behaviour, Credentials, Effect, Event, Fault};
use serde_json::{Map, Value, json};

use crate::identity::{commit, git};
use crate::support::{
    CUSTOMER, Ran, Repo, Server, counts, id, live_job, live_job_with, live_script, manifest,
};

const APPLY: [&str; 2] = ["apply", "--auto-approve"];
const JSON: [&str; 3] = ["drift", "--output", "json"];

/// Servers with a countdown that Git knows, as an apply of ours left it.
const COUNTDOWN: &str =
    "  postDeployment: { rebootCountdown: { userMessage: m, interval: 15, intervalUnit: MINUTES } }\n";

fn live_countdown(interval: u8) -> Value {
    json!({"postDeployment": {"rebootCountdown": {"interval": interval}}})
}

/// A job that was applied, and nothing happened since.
fn applied() -> (Server, Repo) {
    let server = Server::of(vec![live_job(1, "servers"), live_job(2, "clients")]);
    let repo = Repo::with(&[("servers", COUNTDOWN), ("clients", "")]);
    repo.run_at(&server, &APPLY).ends(0);
    server.take_requests();
    (server, repo)
}

/// The report as JSON, held to the published schema, and that nothing but reads left the machine.
#[track_caller]
fn report(server: &Server, repo: &Repo, arguments: &[&str], code: i32) -> Value {
    let before = server.dump();
    server.take_requests();
    let report = repo.run_at(server, &[&JSON[..], arguments].concat()).ends(code).json();
    let written = server.take_requests().into_iter().find(|r| r.method != "GET" && r.path != "/auth");
    assert!(written.is_none(), "drift must not write: {written:?}");
    assert_eq!(server.dump(), before);
    report
}

/// Key, path, `was` and `is` of each member that drifted.
fn members(report: &Value) -> Vec<(String, String, Value, Value)> {
    let text = |value: &Value| value.as_str().unwrap().to_owned();
    let jobs = report["changes"].as_array().unwrap().iter();
    jobs.flat_map(|job| {
        let fields = job["fields"].as_array().unwrap().iter();
        fields.map(|f| (text(&job["key"]), text(&f["path"]), f["was"].clone(), f["before"].clone()))
    })
    .collect()
}

fn countdown(was: u8, is: u8) -> Vec<(String, String, Value, Value)> {
    let path = "/postDeployment/rebootCountdown/interval".to_owned();
    vec![("servers".to_owned(), path, json!(was), json!(is))]
}

#[test]
fn anna_is_named_with_what_she_changed_and_when() {
    let (server, repo) = applied();
    assert_eq!(report(&server, &repo, &[], 0)["summary"]["drifted"], 0);
    repo.run_at(&server, &["drift"]).ends(0).says("No drift. All 2 live jobs are as Git had them last.");

    server.edit(&id(1), live_countdown(5));
    let drift = report(&server, &repo, &[], 2);
    assert_eq!(members(&drift), countdown(15, 5));
    let change = &drift["changes"][0];
    assert_eq!(change["fields"][0]["origin"], "console");
    assert_eq!(change["changed_by"]["name"], "anna.k");
    let at = server.job(&id(1))["updatedBy"]["date"].as_i64().unwrap();
    let told: jiff::Timestamp = change["changed_at"].as_str().unwrap().parse().unwrap();
    assert_eq!(told.as_millisecond(), at);

    // In the reader's zone; the clock of the simulator began on 2026-09-21 at 14:13:20 UTC.
    for (zone, words) in [
        ("UTC", "changed in the console by anna.k on Monday 2026-09-21 at 14:1"),
        ("Europe/Berlin", "changed in the console by anna.k on Monday 2026-09-21 at 16:1"),
        ("Asia/Tokyo", "changed in the console by anna.k on Monday 2026-09-21 at 23:1"),
        ("Pacific/Auckland", "changed in the console by anna.k on Tuesday 2026-09-22 at 02:1"),
    ] {
        let mut command = repo.command(&["drift", "--gateway", &server.url()]);
        let ran = Ran::of(command.envs(crate::support::LOGIN).env("TZ", zone), &repo).ends(2);
        let ran = ran.says(words).says("postDeployment.rebootCountdown.interval: 15 -> 5");
        ran.says("The API keeps only the last editor").says("patchctl accept servers");
    }
    // She puts it back herself.
    server.edit(&id(1), live_countdown(15));
    let back = report(&server, &repo, &[], 0);
    assert_eq!(back["resolved"][0]["path"], "/postDeployment/rebootCountdown/interval", "{back:#}");
}

#[test]
fn each_difference_is_new_once_then_ongoing_then_resolved() {
    let (server, repo) = applied();
    let states = |report: &Value| {
        let count = |name: &str| report["summary"][name].as_u64().unwrap();
        (count("new"), count("ongoing"), count("resolved"))
    };
    server.edit(&id(1), live_countdown(5));
    let first = report(&server, &repo, &[], 2);
    assert_eq!(states(&first), (1, 0, 0));
    assert_eq!(first["changes"][0]["state"], "new");
    let second = report(&server, &repo, &[], 2);
    assert_eq!(states(&second), (0, 1, 0));
    assert_eq!(second["changes"][0]["state"], "ongoing");
    assert_eq!(second["changes"][0]["fields"][0]["since"], first["checked_at"]);
    assert_eq!(second["fingerprint"], first["fingerprint"]);
    // With --new-only it says nothing at all.
    let quiet = repo.run_at(&server, &["drift", "-q", "--new-only"]).ends(0);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("", ""));
    // Another value is another alarm; one more member is one more.
    server.edit(&id(1), live_countdown(7));
    assert_eq!(states(&report(&server, &repo, &[], 2)), (1, 0, 0));
    server.edit(&id(2), json!({"recurringWeekDays": "0,0,0,0,0,1,0"}));
    let third = repo.run_at(&server, &["drift", "--new-only", "--output", "json"]).ends(2).json();
    assert_eq!(members(&third).len(), 1, "{third:#}");
    assert_eq!(states(&report(&server, &repo, &[], 2)), (0, 2, 0));
    // A run over a selection leaves what is known of the others.
    let selected = report(&server, &repo, &["--only", "clients"], 2);
    assert_eq!((states(&selected), &selected["unmanaged"]), ((0, 1, 0), &Value::Null));
    server.edit(&id(1), live_countdown(15));
    assert_eq!(states(&report(&server, &repo, &["--only", "clients"], 2)), (0, 1, 0));
    assert_eq!(states(&report(&server, &repo, &[], 2)), (0, 1, 1));
    let ran = repo.run_at(&server, &["drift"]).ends(2).says("known since ");
    assert!(!ran.stdout.contains("resolved"), "it is told once: {}", ran.stdout);
}

#[test]
fn the_file_of_since_is_begun_kept_private_and_never_taken_from_others() {
    let (server, repo) = applied();
    server.edit(&id(1), live_countdown(5));
    let since = ["--since", "seen.json"];
    assert_eq!(report(&server, &repo, &since, 2)["summary"]["new"], 1);
    let mode = std::fs::metadata(repo.path("seen.json")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    assert_eq!(report(&server, &repo, &since, 2)["summary"]["ongoing"], 1);
    // The file alone counts, not the cache.
    assert_eq!(report(&server, &repo, &["--since", "other.json"], 2)["summary"]["new"], 1);
    // Damaged: a note, and everything is new.
    let good = repo.read("seen.json");
    repo.write("seen.json", &good[..good.len() / 2]);
    let ran = repo.run_at(&server, &[&JSON[..], &since].concat()).ends(2).complains("is damaged");
    assert_eq!(ran.json()["summary"]["new"], 1);
    assert_eq!(report(&server, &repo, &since, 2)["summary"]["ongoing"], 1);
    // Empty, as mktemp leaves it: begun.
    repo.write("empty.json", "");
    assert_eq!(report(&server, &repo, &["--since", "empty.json"], 2)["summary"]["new"], 1);
    // Something else, and that of another gateway: left as it is.
    for other in
        ["notes of mine\n".to_owned(), "{\"a\": 1}".to_owned(), good.replace("http://127", "http://128")]
    {
        repo.write("seen.json", &other);
        repo.run_at(&server, &[&JSON[..], &since].concat()).ends(1);
        assert_eq!(repo.read("seen.json"), other);
    }
    // A run that could not tell changes nothing of it.
    repo.write("seen.json", &good);
    repo.write("jobs.d/broken.yaml", "kind: [");
    repo.run_at(&server, &[&JSON[..], &since].concat()).ends(1);
    assert_eq!(repo.read("seen.json"), good);
}

#[test]
fn what_waits_in_git_is_no_drift() {
    let (server, repo) = applied();
    repo.edit("jobs.d/servers.yaml", "interval: 15", "interval: 20");
    repo.write("jobs.d/new.yaml", manifest("new", "  startDateTime: 2026-01-05T03:00\n"));
    let drift = report(&server, &repo, &[], 0);
    let pending: Vec<&Value> = drift["pending"].as_array().unwrap().iter().map(|job| &job["key"]).collect();
    assert_eq!(pending, ["new", "servers"]);
    assert_eq!(drift["summary"]["drifted"], 0);
    let ran = repo.run_at(&server, &["drift"]).ends(0);
    ran.says("not applied yet, which is no drift: new (no live job yet), servers (1 member).");
    let counted = report(&server, &repo, &["--include-pending"], 2);
    assert_eq!((&counted["summary"]["drifted"], &counted["summary"]["pending"]), (&json!(2), &json!(0)));
    let ran = repo.run_at(&server, &["drift", "--include-pending"]).ends(2);
    let ran = ran.says("interval: 15 -> 20").says("changed in Git, and not applied yet");
    assert!(!ran.stdout.contains("last edited by"), "{}", ran.stdout);
    // Somebody changes another member of another job: the two are told apart.
    server.edit(&id(2), json!({"recurringWeekDays": "0,0,0,0,0,1,0"}));
    let both = report(&server, &repo, &[], 2);
    assert_eq!(members(&both)[0].1, "/recurringWeekDays");
    assert_eq!(
        (both["changes"].as_array().unwrap().len(), both["pending"].as_array().unwrap().len()),
        (1, 2)
    );
}

#[test]
fn jobs_that_vanished_or_were_renamed_and_those_that_nobody_manages() {
    let (server, repo) = applied();
    report(&server, &repo, &[], 0);
    server.delete(&id(1));
    server.edit(&id(2), json!({"name": "Workstations"}));
    let job = json!({"name": "Anna's test"});
    let job: Map<String, Value> = serde_json::from_value(job).unwrap();
    server.happen(&Event::Insert { user: "anna.k".to_owned(), job });
    let drift = report(&server, &repo, &["--unmanaged"], 2);
    let kinds: Vec<(&Value, &Value)> =
        drift["changes"].as_array().unwrap().iter().map(|job| (&job["key"], &job["kind"])).collect();
    assert_eq!(kinds, [(&json!("clients"), &json!("member")), (&json!("servers"), &json!("missing"))]);
    let renamed = (json!("/name"), json!("clients"), json!("Workstations"));
    let found = &members(&drift)[0];
    assert_eq!((json!(found.1), found.2.clone(), found.3.clone()), renamed);
    assert_eq!(drift["changes"][0]["changed_by"]["name"], "anna.k");
    let unmanaged: Vec<&Value> =
        drift["unmanaged_jobs"].as_array().unwrap().iter().map(|job| &job["name"]).collect();
    assert_eq!(unmanaged, ["Anna's test", "Workstations"], "{drift:#}");
    assert_eq!(drift["unmanaged"], 2);
    let ran = repo.run_at(&server, &["drift", "--unmanaged"]).ends(2);
    ran.says("- missing servers").says("made by anna.k on ").says("name: clients -> Workstations");
    assert_eq!(report(&server, &repo, &[], 2)["unmanaged_jobs"], Value::Null);
}

#[test]
fn a_job_that_somebody_disabled_or_gave_to_another_owner() {
    let armed = json!({"status": "Enabled", "dynamicPatchesQQL": "q"});
    let server = Server::of(vec![live_job_with(1, "servers", armed), live_job(2, "clients")]);
    let repo = Repo::with(&[("servers", "  status: Enabled\n"), ("clients", "")]);
    report(&server, &repo, &[], 0);
    server.edit(&id(1), json!({"status": "Disabled"}));
    server.edit(&id(2), json!({"description": "[patchctl:others/job 1:9f3ac21b:77e01c44:5e6f7a8b]"}));
    let drift = report(&server, &repo, &[], 2);
    let expected = ("servers".to_owned(), "/status".to_owned(), json!("Enabled"), json!("Disabled"));
    assert_eq!(members(&drift), [expected]);
    let unclear = drift["changes"].as_array().unwrap().iter().find(|job| job["key"] == "clients").unwrap();
    assert_eq!(unclear["kind"], "unclear");
    assert!(unclear["reason"].as_str().unwrap().contains("managed by another owner"));
}

#[test]
fn an_edit_that_breaks_a_rule_is_drift_and_no_reason_to_give_up() {
    let live = json!({"preDeployActions": [live_script(1, "Drain")]});
    let server = Server::of(vec![live_job_with(1, "servers", live)]);
    let action = "  preDeployActions:\n    - action: Run Script\n      params: { actionItem: Drain, timeout: 180 }\n      scriptType: ps\n";
    let repo = Repo::with(&[("servers", action)]);
    report(&server, &repo, &[], 0);
    let mut renamed = live_script(1, "Drain");
    renamed["params"]["actionItem"] = json!("Drain first");
    server.edit(&id(1), json!({"preDeployActions": [renamed]}));
    // A plan can not be made: the renamed action would lose its script.
    repo.run_at(&server, &["plan"]).ends(1).complains("missing-script");
    let drift = report(&server, &repo, &[], 2);
    assert_eq!(drift["changes"][0]["key"], "servers");
    assert_eq!(drift["warnings"][0]["code"], "missing-script");
    repo.run_at(&server, &["drift"]).ends(2).complains("warning[missing-script]");
}

#[test]
fn what_could_not_be_read_is_never_called_clean() {
    let (server, repo) = applied();
    report(&server, &repo, &[], 0);
    let failing = |fault: Fault| server.change(|behaviour| behaviour.fail_next = vec![fault]);
    for call in [patchctl::simulator::Call::List, patchctl::simulator::Call::Auth] {
        failing(Fault::on(call, Effect::Garbage).always());
        let ran = repo.run_at(&server, &["drift", "--refresh", "--output", "json"]).ends(1);
        assert_eq!(ran.json()["command"], "drift");
    }
    failing(Fault::on(patchctl::simulator::Call::Get, Effect::NotJson).always());
    repo.run_at(&server, &["drift", "--refresh"]).ends(1);
    server.change(|behaviour| *behaviour = Behaviour::default());
    repo.run(&["drift"]).ends(1);
    repo.run_at(&server, &["drift", "--only", "nobody"]).ends(1);
    repo.run_at(&server, &["drift", "--new-only", "--include-pending"]).ends(64);
    repo.write("jobs.d/broken.yaml", "kind: [");
    repo.run_at(&server, &["drift"]).ends(1);
}

#[test]
fn it_costs_the_pages_of_the_lists_and_a_call_for_each_job_that_moved() {
    let key = |n: usize| format!("job-{n:03}");
    let live = |n: usize| {
        let mut job = live_job(1, &key(n));
        job["id"] = format!("00000000-0000-4000-8000-000000000{n:03}").into();
        job
    };
    let server = Server::of((0..200).map(live).collect());
    let repo = Repo::empty();
    for n in 0..200 {
        repo.write(&format!("jobs.d/{}.yaml", key(n)), manifest(&key(n), ""));
    }
    let pages = ["--page-size", "50"];
    report(&server, &repo, &pages, 0);
    let expect = |expected: &[(&str, usize)], code: i32| {
        server.take_requests();
        let drift = repo.run_at(&server, &[&JSON[..], &pages].concat()).ends(code).json();
        assert_eq!(server.take_counts(), counts(expected));
        drift
    };
    // Four pages, and an empty one.
    let clean = expect(&[("auth", 1), ("list", 5)], 0);
    assert!(clean["oldest_age_seconds"].as_u64().unwrap() < 600, "{clean:#}");
    let edited = [17, 101, 199];
    for n in edited {
        let id = live(n)["id"].as_str().unwrap().to_owned();
        server.edit(&id, json!({"recurringWeekDays": "0,1,0,0,0,0,0"}));
    }
    let drift = expect(&[("auth", 1), ("list", 5), ("get", 3)], 2);
    let named: Vec<String> = members(&drift).into_iter().map(|(key, ..)| key).collect();
    assert_eq!(named, edited.map(key));
    // The next run knows them.
    expect(&[("auth", 1), ("list", 5)], 2);
}

const ACTION: &str = "  preDeployActions:\n    - action: Run Script\n      params: { actionItem: Drain, timeout: 180 }\n      \
                      scriptType: ps\n      scriptFile: drain.ps1\n";

fn scripted(status: &str) -> (Server, Repo, String) {
    let live = json!({"preDeployActions": [live_script(1, "Drain")], "status": "Disabled", "dynamicPatchesQQL": "q"});
    let server = Server::of(vec![live_job_with(1, "servers", live)]);
    let repo = Repo::with(&[("servers", &format!("{ACTION}{status}"))]);
    repo.write("jobs.d/drain.ps1", "Stop-Service x\nexit 0\n");
    (server, repo, format!("{CUSTOMER}/aaaaaaaa-0000-4000-8000-000000000001/Script"))
}

#[test]
fn a_script_that_somebody_may_have_replaced_is_neither_clean_nor_changed() {
    let (server, repo, path) = scripted("  status: Enabled\n");
    // Never applied: nothing proves what is stored.
    let first = report(&server, &repo, &[], 2);
    assert_eq!(first["unverified"][0]["path"], "/preDeployActions/0/script");
    // The last edit is our own status call.
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(report(&server, &repo, &[], 0)["unverified"], json!([]));

    let scripts = std::collections::BTreeMap::from([(path.clone(), "Format-Volume".to_owned())]);
    server.happen(&Event::Edit { id: id(1), user: "anna.k".to_owned(), merge: Map::new(), scripts });
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    let drift = report(&server, &repo, &[], 2);
    assert_eq!((&drift["changes"], drift["unverified"].as_array().unwrap().len()), (&json!([]), 1));
    let script = &drift["unverified"][0];
    assert_eq!((&script["path"], &script["state"]), (&json!("/preDeployActions/0/script"), &json!("new")));
    assert_eq!(script["changed_by"]["name"], "anna.k");
    let ran = repo.run_at(&server, &["drift"]).ends(2);
    let ran =
        ran.says("? unverified servers").says("preDeployActions[0].script \"Drain\" can not be verified");
    ran.says("last edited by anna.k on ");

    // Bob edits a member, so he is the last editor; the way out sets both right.
    server.happen(&Event::Edit {
        id: id(1),
        user: "bob".to_owned(),
        merge: serde_json::from_value(json!({"status": "Disabled"})).unwrap(),
        scripts: std::collections::BTreeMap::new(),
    });
    let both = report(&server, &repo, &[], 2);
    assert_eq!((members(&both).len(), both["unverified"].as_array().unwrap().len()), (1, 1), "{both:#}");
    let all = ["--override", "servers", "--set-scripts", "servers"];
    repo.run_at(&server, &[&APPLY[..], &all].concat()).ends(0);
    assert_eq!(server.script(&path).unwrap(), b"Stop-Service x\nexit 0\n");
    report(&server, &repo, &[], 0);
}

/// Anna edits the countdown of the job, and may have replaced its script.
fn edited_by_anna(server: &Server) {
    server.happen(&Event::Edit {
        id: id(1),
        user: "anna.k".to_owned(),
        merge: serde_json::from_value(live_countdown(5)).unwrap(),
        scripts: std::collections::BTreeMap::new(),
    });
}

/// What a run says, with a blank for each line break.
/// What was said, without line breaks; and without the gateway's flag in the commands, which has another port each time.
fn in_one_line(ran: &Ran) -> String {
    let words: Vec<&str> = ran.stdout.split_whitespace().collect();
    let mut line = words.join(" ");
    while let Some((before, after)) = line.split_once(" --gateway http://127.0.0.1:") {
        line = before.to_owned() + after.trim_start_matches(|c: char| c.is_ascii_digit());
    }
    line
}

#[test]
fn a_write_of_ours_that_sends_no_script_does_not_clear_a_script_in_doubt() {
    let (server, repo, path) = scripted(COUNTDOWN);
    repo.run_at(&server, &APPLY).ends(0);
    report(&server, &repo, &[], 0);
    edited_by_anna(&server);
    let before = report(&server, &repo, &[], 2);
    server.take_requests();
    repo.run_at(&server, &APPLY).ends(0);
    assert!(server.take_requests().iter().any(|request| request.method == "PATCH"));
    let after = report(&server, &repo, &[], 2);
    assert_eq!((members(&after), after["resolved"].as_array().unwrap().len()), (Vec::new(), 1), "{after:#}");
    let script = &after["unverified"][0];
    assert_eq!((&script["state"], &script["changed_by_us"]), (&json!("ongoing"), &json!(false)), "{after:#}");
    for member in ["path", "changed_by", "changed_at"] {
        assert_eq!(script[member], before["unverified"][0][member], "{member}");
    }
    assert_eq!(script["changed_by"]["name"], "anna.k");
    let words = in_one_line(&repo.run_at(&server, &["drift"]).ends(2));
    assert!(words.contains("edited by anna.k on ") && words.contains(", before our last write"), "{words}");
    let hint = "For scripts in doubt: `patchctl apply --set-scripts servers` sends those of Git again.";
    assert!(words.contains(hint), "{words}");
    let markdown = repo.run_at(&server, &["drift", "--output", "markdown"]).ends(2).stdout;
    assert!(markdown.contains(hint) && markdown.contains("before our last write"), "{markdown}");

    // A write that is not about the scripts changes nothing about the doubt.
    let manifest = repo.read("jobs.d/servers.yaml");
    repo.write("jobs.d/servers.yaml", manifest.replace("interval: 15", "interval: 20"));
    repo.run_at(&server, &APPLY).ends(0);
    assert_eq!(report(&server, &repo, &[], 2)["unverified"][0]["changed_by"]["name"], "anna.k");

    repo.run_at(&server, &[&APPLY[..], &["--set-scripts", "servers"]].concat()).ends(0);
    assert_eq!(server.script(&path).unwrap(), b"Stop-Service x\nexit 0\n");
    let clean = in_one_line(&repo.run_at(&server, &["drift"]).ends(0));
    assert!(clean.contains("preDeployActions[0].script is no longer in doubt"), "{clean}");
}

#[test]
fn what_is_next_names_the_key_the_decision_and_the_scripts() {
    let (server, repo, _) = scripted(&format!("{COUNTDOWN}  status: Enabled\n"));
    repo.run_at(&server, &APPLY).ends(0);
    edited_by_anna(&server);
    let words = in_one_line(&repo.run_at(&server, &["drift"]).ends(2));
    let next = "Next: `patchctl accept servers` takes the change into its manifest, `patchctl apply --only servers` \
                puts it back, `patchctl drift --why servers/postDeployment/rebootCountdown/interval` tells how it was \
                judged.";
    assert!(words.contains(next) && !words.contains("until somebody decides"), "{words}");
    repo.run_at(&server, &["drift", "--why", "servers/postDeployment/rebootCountdown/interval"]).ends(0);
    // Whoever types what was printed looks where this run looked.
    let elsewhere = in_one_line(&repo.run_at(&server, &["drift", "--jobs", "./jobs.d"]).ends(2));
    assert!(elsewhere.contains("`patchctl accept servers --jobs ./jobs.d` takes"), "{elsewhere}");
    assert!(elsewhere.contains("`patchctl apply --only servers --jobs ./jobs.d` puts"), "{elsewhere}");

    // A job that the console disabled is not enabled again by itself.
    repo.run_at(&server, &APPLY).ends(0);
    server.happen(&Event::Edit {
        id: id(1),
        user: "bob".to_owned(),
        merge: serde_json::from_value(json!({"status": "Disabled"})).unwrap(),
        scripts: std::collections::BTreeMap::new(),
    });
    let words = in_one_line(&repo.run_at(&server, &["drift"]).ends(2));
    let decides =
        "`patchctl apply` leaves servers until somebody decides: with `--override servers` Git wins.";
    assert!(words.contains(decides) && !words.contains("puts it back"), "{words}");
    let markdown = repo.run_at(&server, &["drift", "--output", "markdown"]).ends(2).stdout;
    assert!(markdown.contains(decides), "{markdown}");
}

#[test]
fn accept_tells_that_scripts_may_have_been_replaced_as_well() {
    let (server, repo, _) = scripted(COUNTDOWN);
    repo.run_at(&server, &APPLY).ends(0);
    edited_by_anna(&server);
    let words = in_one_line(&repo.run_at(&server, &["accept", "--auto-approve"]).ends(0));
    let hint =
        "scripts of servers were replaced as well: `patchctl apply --set-scripts servers` sends those of Git";
    assert!(words.contains(hint), "{words}");
    report(&server, &repo, &[], 2);
    repo.run_at(&server, &[&APPLY[..], &["--set-scripts", "servers"]].concat()).ends(0);
    report(&server, &repo, &[], 0);

    let (server, repo) = applied();
    edited_by_anna(&server);
    let ran = repo.run_at(&server, &["accept", "--auto-approve"]).ends(0);
    assert!(!ran.stdout.contains("--set-scripts"), "{}", ran.stdout);
}

#[test]
fn a_script_that_git_changed_waits_and_is_shown_as_text_to_those_who_ask() {
    let (server, repo, _) = scripted("");
    git(&repo.path(""), &["init", "-q"]);
    commit(&repo);
    repo.run_at(&server, &APPLY).ends(0);
    repo.write("jobs.d/drain.ps1", "Stop-Service y\nexit 0\n");
    let drift = report(&server, &repo, &[], 0);
    assert_eq!(drift["pending"][0]["fields"][0]["path"], "/preDeployActions/0/script", "{drift:#}");
    assert_eq!(drift["unverified"], json!([]));
    for command in ["plan", "drift"] {
        let mut run =
            repo.command(&[command, "--base", "HEAD", "--show-scripts", "--gateway", &server.url()]);
        run.envs(crate::support::LOGIN).env("PATH", std::env::var_os("PATH").unwrap());
        let ran = Ran::of(&mut run, &repo).ends(0);
        ran.says("script servers  preDeployActions[0].script \"Drain\"\n")
            .says("- Stop-Service [-x-]\n    + Stop-Service {+y+}");
    }
    let ran = repo.run_at(&server, &["plan"]).ends(0);
    assert!(!ran.stdout.contains("Stop-Service"), "{}", ran.stdout);
}

#[test]
fn as_markdown_it_can_be_replaced_and_masks_addresses() {
    let (server, repo) = applied();
    let name = "servers | <b>@all</b>";
    server.happen(&Event::Insert {
        user: "anna.k".to_owned(),
        job: Map::from_iter([("name".to_owned(), name.into())]),
    });
    server.happen(&Event::Edit {
        id: id(1),
        user: "anna@acme.example".to_owned(),
        merge: serde_json::from_value(live_countdown(5)).unwrap(),
        scripts: std::collections::BTreeMap::new(),
    });
    let text = repo.run_at(&server, &["drift", "--unmanaged", "--output", "markdown"]).ends(2).stdout;
    assert!(text.starts_with("<!-- patchctl:drift team -->\n### Drift: 1 member of 1 job\n"), "{text}");
    assert!(text.contains("| `postDeployment.rebootCountdown.interval` | `15` | `5` | console |"), "{text}");
    assert!(!text.contains("anna@acme.example") && !text.contains("<b>"), "{text}");
    let clean = repo.run_at(&server, &["drift", "--only", "clients", "--output", "markdown"]).ends(0).stdout;
    assert!(clean.starts_with("<!-- patchctl:drift team -->\n**No drift** at "), "{clean}");
}

#[test]
fn who_reads_may_be_another_than_who_writes() {
    let (server, repo, _) = scripted("  status: Enabled\n");
    repo.run_at(&server, &APPLY).ends(0);
    let reader = Credentials::new("reader", "reader");
    server.change(|behaviour| behaviour.users.push(reader));
    // Another machine, which has seen none of our writes.
    let drift = |code: i32| {
        let arguments = ["drift", "--state-dir", "elsewhere", "--output", "json", "--gateway", &server.url()];
        let mut command = repo.command(&arguments);
        command.envs([("QUALYS_USERNAME", "reader"), ("QUALYS_PASSWORD", "reader")]);
        Ran::of(&mut command, &repo).ends(code).json()
    };
    assert_eq!(drift(2)["unverified"][0]["changed_by"]["name"], "simulator");
    repo.write("patchctl.yaml", format!("{}apiUsers: [Simulator]\n", repo.read("patchctl.yaml")));
    assert_eq!(drift(0)["unverified"], json!([]));
}
