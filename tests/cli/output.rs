//! The streams: colour, quiet, and one JSON document whose members stand in the documented order.

use std::io::Read as _;
use std::process::{Command, Output, Stdio};

use patchctl::simulator::{Call, Effect, Fault};
use serde_json::{Value, json};

use crate::support::{LOGIN, Repo, Server, id, live_job};

fn setting() -> (Server, Repo) {
    (Server::of(vec![live_job(1, "job")]), Repo::with(&[("job", "  timeout: 5\n")]))
}

fn names(value: &Value) -> Vec<&str> {
    value.as_object().unwrap().keys().map(String::as_str).collect()
}

const CHANGE: [&str; 13] = [
    "key",
    "id",
    "name",
    "platform",
    "action",
    "reason",
    "source",
    "fields",
    "request",
    "after",
    "notes",
    "changed_by",
    "changed_at",
];

const COUNTS: [&str; 8] = ["create", "update", "enable", "disable", "delete", "unchanged", "blocked", "held"];

#[test]
fn members_of_a_plan() {
    let (server, repo) = setting();
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).keeps_quiet().json();
    assert_eq!(
        names(&plan),
        [
            "format_version",
            "command",
            "summary",
            "changes",
            "unmanaged",
            "orphans",
            "updates",
            "guard",
            "warnings",
            "api",
            "calls_needed",
            "base",
            "no_longer_managed",
            "fingerprint",
            "unsettled_runs"
        ]
    );
    assert_eq!((&plan["format_version"], &plan["command"]), (&1.into(), &"plan".into()));
    assert_eq!(names(&plan["summary"]), COUNTS);
    let change = &plan["changes"][0];
    assert_eq!(names(change), CHANGE);
    assert_eq!(names(&change["source"]), ["file", "line"]);
    assert_eq!(names(&change["fields"][0]), ["path", "before", "after", "origin", "source"]);
    assert_eq!(names(&change["fields"][0]["source"]), ["file", "line", "column"]);
    assert_eq!(names(&change["request"]), ["method", "path", "body"]);
    assert_eq!(
        names(&plan["api"]),
        [
            "auth",
            "list",
            "read",
            "update",
            "create",
            "status",
            "delete",
            "version",
            "retries",
            "bytes",
            "waited_seconds",
            "cached"
        ]
    );
    assert!(plan["fingerprint"].is_string());
}

#[test]
fn members_of_an_apply() {
    let (server, repo) = setting();
    let done =
        repo.run_at(&server, &["apply", "--auto-approve", "--output", "json"]).ends(0).keeps_quiet().json();
    assert_eq!(
        names(&done),
        [
            "format_version",
            "command",
            "summary",
            "outcomes",
            "changes",
            "unmanaged",
            "orphans",
            "updates",
            "guard",
            "warnings",
            "base",
            "no_longer_managed",
            "api",
            "fingerprint",
            "run",
            "unsettled_runs"
        ]
    );
    assert_eq!(done["command"], "apply");
    assert_eq!(
        names(&done["outcomes"]),
        [
            "applied",
            "unchanged",
            "stale",
            "blocked",
            "held",
            "not_converged",
            "collateral",
            "failed",
            "skipped",
            "unsettled"
        ]
    );
    assert_eq!(names(&done["changes"][0]), [&CHANGE[..], &["outcome", "error"]].concat());
    assert_eq!(
        (&done["changes"][0]["outcome"], &done["changes"][0]["error"]),
        (&"applied".into(), &Value::Null)
    );
}

/// What is not asked for again.
fn elsewhere() -> Effect {
    Effect::Redirect { to: "https://elsewhere.example/".to_owned() }
}

#[test]
fn every_run_ends_with_what_it_cost() {
    let (server, repo) = setting();
    let cost = |arguments: &[&str]| repo.run_at(&server, arguments).cost;
    let first = cost(&["plan"]);
    assert!(first.starts_with("cost: 4 calls (1 auth, 2 list, 1 read); "), "{first}");
    assert!(first.ends_with(", waited 0 s, 0 jobs from the cache\n"), "{first}");
    let second = cost(&["plan", "--output", "json"]);
    assert!(second.starts_with("cost: 3 calls (1 auth, 2 list); "), "{second}");
    assert!(second.ends_with(", waited 0 s, 1 job from the cache\n"), "{second}");
    assert_eq!(cost(&["plan", "-q"]), "");
    // A run that fails has cost something, too.
    server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::List, elsewhere())]);
    assert!(cost(&["plan"]).starts_with("cost: 2 calls (1 auth, 1 list); "));
}

#[test]
fn members_of_a_validation() {
    let (_, repo) = setting();
    let document = repo.run(&["validate", "--output", "json"]).ends(0).keeps_quiet().json();
    assert_eq!(names(&document), ["format_version", "command", "summary", "manifests", "diagnostics"]);
    assert_eq!(names(&document["summary"]), ["manifests", "errors", "warnings"]);
    assert_eq!(names(&document["manifests"][0]), ["key", "source"]);
}

#[test]
fn a_failing_run_gives_one_document_too() {
    let (server, repo) = setting();
    let failing = |arguments: &[&str], code: i32| {
        let ran = repo.run_at(&server, &[arguments, &["--output", "json"]].concat()).ends(code);
        let document = ran.json();
        let mut members = names(&document);
        // What it cost is told where anything was asked.
        members.retain(|name| *name != "api");
        assert_eq!(members, ["format_version", "command", "summary", "error", "diagnostics"]);
        assert_eq!(document["command"], arguments[0]);
        // What a person reads is on stderr all the same.
        assert!(ran.stderr.starts_with("error"), "{}", ran.stderr);
        document
    };
    let document = failing(&["plan", "--only", "none"], 1);
    assert_eq!(names(&document["error"]), ["message", "help"]);
    assert!(document["diagnostics"].as_array().unwrap().is_empty());
    failing(&["apply"], 64);
    failing(&["plan", "--reset"], 64);
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Get, elsewhere())));
    let document = failing(&["apply", "--auto-approve"], 1);
    assert_eq!(document["error"]["message"].as_array().unwrap().len(), 3);

    repo.write("jobs.d/job.yaml", crate::support::manifest("job", "  timeout: five\n"));
    for arguments in [&["validate"][..], &["plan"], &["apply", "--auto-approve"]] {
        let document = failing(arguments, 1);
        assert_eq!(document["error"], Value::Null);
        let finding = &document["diagnostics"][0];
        assert_eq!((&finding["severity"], &finding["code"]), (&"error".into(), &"wrong-value".into()));
    }
    repo.write("patchctl.yaml", "ownr: team\n");
    assert_eq!(failing(&["plan"], 1)["diagnostics"].as_array().unwrap().len(), 1);
}

#[test]
fn colour_is_for_terminals_and_for_those_who_ask() {
    let (server, repo) = setting();
    let is_coloured = |variables: &[(&str, &str)], arguments: &[&str]| {
        let login = [("QUALYS_USERNAME", "simulator"), ("QUALYS_PASSWORD", "simulator")];
        let url = server.url();
        let arguments = [&["plan", "--gateway", &url], arguments].concat();
        repo.run_with(&[variables, &login].concat(), &arguments).ends(0).stdout.contains('\u{1b}')
    };
    assert!(!is_coloured(&[("TERM", "xterm-256color")], &[]));
    assert!(!is_coloured(&[], &["--color", "never"]));
    assert!(is_coloured(&[], &["--color", "always"]));
    // The flag is nearer than the variable.
    assert!(is_coloured(&[("NO_COLOR", "1")], &["--color", "always"]));
    assert!(!is_coloured(&[("NO_COLOR", "1")], &["--color", "auto"]));

    // Without colour the text is the same, so nothing is told by colour alone.
    let plan = |colour: &str| repo.run_at(&server, &["plan", "--color", colour]).ends(0).stdout;
    assert_eq!(without_colour(&plan("always")), plan("never"));
    // JSON has none in any case.
    repo.run_at(&server, &["plan", "--output", "json", "--color", "always"]).ends(0).json();

    let findings = |colour: &str| {
        let broken = ["validate", "--jobs", "broken", "--color", colour];
        repo.write("broken/job.yaml", crate::support::manifest("job", "  timeout: five\n"));
        repo.run(&broken).ends(1).stderr
    };
    assert!(findings("always").contains('\u{1b}') && !findings("auto").contains('\u{1b}'));
    assert_eq!(without_colour(&findings("always")), findings("never"));
}

fn without_colour(text: &str) -> String {
    let mut parts = text.split("\u{1b}[");
    let mut plain = parts.next().unwrap().to_owned();
    for part in parts {
        plain.push_str(part.split_once('m').unwrap().1);
    }
    plain
}

#[test]
fn quiet_leaves_data_and_errors() {
    let (server, repo) = setting();
    let loud = repo.run_at(&server, &["plan"]).ends(0).stdout;
    let ran = repo.run_at(&server, &["plan", "--quiet", "--refresh"]).ends(0).keeps_quiet();
    assert_eq!(ran.stdout, loud);
    // A note of each kind: a retried read, and an unknown gateway with -v.
    server.change(|behaviour| {
        behaviour.announce_updates = false;
        behaviour.fail_next.push(Fault::on(Call::Get, Effect::CloseBefore));
    });
    repo.run_at(&server, &["plan", "-v", "--refresh", "--no-probe"])
        .ends(0)
        .complains("note: it is not known whether this gateway merges updates")
        .complains("try 2 follows");
    server.change(|behaviour| behaviour.fail_next.push(Fault::on(Call::Get, Effect::CloseBefore)));
    repo.run_at(&server, &["plan", "-q", "--refresh"]).ends(0).keeps_quiet();
    repo.run_at(&server, &["plan", "-q", "--only", "none"]).ends(1).complains("error: no manifest matches");
    repo.run(&["plan", "-q", "-v"]).ends(64);
}

#[test]
fn a_reader_that_went_away_is_no_error() {
    let repo = Repo::of_the_sources();
    let mut command = repo.command(&["plan", "--output", "json"]);
    let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    let status = child.wait().unwrap();
    let mut said = String::new();
    child.stderr.take().unwrap().read_to_string(&mut said).unwrap();
    assert_eq!(status.code(), Some(0));
    assert!(!said.contains("error"), "{said}");
}

/// Two jobs to write to, and an apply that has not begun.
fn two_writes() -> (Server, Repo, Command) {
    let server = Server::of(vec![live_job(1, "a"), live_job(2, "b")]);
    let repo = Repo::with(&[("a", "  timeout: 5\n"), ("b", "  timeout: 5\n")]);
    let mut command = repo.command(&["apply", "--auto-approve", "--gateway", &server.url()]);
    command.envs(LOGIN).stderr(Stdio::piped());
    (server, repo, command)
}

#[track_caller]
fn both_are_written_and_it_failed(server: &Server, output: &Output) {
    assert_eq!(output.status.code(), Some(1));
    assert_eq!((&server.job(&id(1))["timeout"], &server.job(&id(2))["timeout"]), (&json!(5), &json!(5)));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error: the output could not be written\n  caused by: "), "{said}");
    assert!(said.contains("run plan to see what is left"), "{said}");
}

#[test]
fn an_apply_whose_reader_went_away_goes_on_to_its_end() {
    let (server, _repo, mut command) = two_writes();
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    drop(child.stdout.take());
    both_are_written_and_it_failed(&server, &child.wait_with_output().unwrap());
}

#[test]
fn an_apply_whose_output_has_no_room_goes_on_to_its_end() {
    let (server, _repo, mut command) = two_writes();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    both_are_written_and_it_failed(&server, &command.stdout(full).output().unwrap());
}

#[test]
fn a_plan_that_could_not_be_written_failed() {
    let repo = Repo::of_the_sources();
    let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
    assert_eq!(repo.command(&["plan"]).stdout(full).status().unwrap().code(), Some(1));
}
