//! Each fault of a network at each call of a plan, one by one, with the real binary.
//!
//! Whatever happens, the outcome is the right plan or a clean error, the run ends, and what was remembered before is
//! there afterwards. What the client does with a fault is tested in `tests/faults`; here it is what the plan makes of it.

use patchctl::simulator::{Effect, ErrorBody, Fault, ThrottleForm};
use serde_json::Value;

use crate::support::{Repo, Server, counts, live_job, manifest};

/// Jobs that the manifests are bound to: `one` differs, the others are equal.
const KEYS: [&str; 3] = ["one", "two", "three"];

/// Login, two pages, three jobs, and one call that never comes: there nothing may happen.
const MOST_CALLS: u64 = 7;

fn effects() -> Vec<Effect> {
    let status = |code| Effect::Status { code, body: None, headers: std::collections::BTreeMap::new() };
    vec![
        Effect::CloseBefore,
        Effect::CloseAfter,
        Effect::ResetBefore,
        Effect::ResetAfter,
        Effect::Truncated,
        Effect::Garbage,
        Effect::NotJson,
        Effect::ContentType { value: "text/plain".to_owned() },
        Effect::Redirect { to: "https://elsewhere.example/".to_owned() },
        Effect::ServerError { code: 503, body: ErrorBody::Html },
        Effect::Throttle { form: ThrottleForm::RetryAfter, seconds: 0 },
        Effect::Oversize { bytes: 5_000_000, unannounced: true },
        Effect::Drip { bytes: 256, pause_ms: 1 },
        status(400),
        status(401),
        status(403),
        status(404),
    ]
}

/// Whether a read, or the login, is asked for again after it, so that one of it costs a call and nothing else.
fn mends_itself(effect: &Effect) -> bool {
    !matches!(effect, Effect::Redirect { .. } | Effect::Oversize { .. } | Effect::Status { .. })
}

/// What a plan decides, without what it cost.
fn decided(plan: &Value) -> (Value, Value, Value) {
    (plan["summary"].clone(), plan["changes"].clone(), plan["fingerprint"].clone())
}

/// A repository whose cache knows two of its three jobs.
fn repo(server: &Server) -> Repo {
    let repo = Repo::with(&[("two", "  timeout: 4\n"), ("three", "  timeout: 4\n")]);
    repo.run_at(server, &["plan", "-q"]).ends(0);
    repo.write("jobs.d/one.yaml", manifest("one", "  timeout: 5\n"));
    server.take_requests();
    repo
}

/// Runs one fault after the other at one call.
fn at_call(nth: u64) {
    let jobs = KEYS.iter().zip(1..).map(|(key, n)| live_job(n, key)).collect();
    let server = Server::of(jobs);
    let right = decided(&repo(&server).run_at(&server, &["plan", "--output", "json"]).ends(0).json());
    for effect in effects() {
        // A gateway with page 0 refused once, or a job that is said to be gone, is an answer and no fault.
        let is_an_answer = matches!(effect, Effect::Status { code: 404, .. });
        let repo = repo(&server);
        server.change(|behaviour| behaviour.fail_next = vec![Fault::next(effect.clone()).nth(nth)]);
        let ran = repo.run_at(&server, &["plan", "--output", "json", "--max-wait", "30s"]);
        server.change(|behaviour| behaviour.fail_next.clear());
        let document = ran.json();
        match ran.code() {
            Some(0) if is_an_answer => {}
            Some(0) => assert_eq!(decided(&document), right, "{effect:?} at call {nth}"),
            Some(1) => {
                assert!(!mends_itself(&effect), "{effect:?} at call {nth}: {}", ran.stderr);
                assert!(document["error"]["help"].is_string(), "{effect:?} at call {nth}: {}", ran.stderr);
                assert!(
                    ran.stderr.contains("nothing was changed"),
                    "{effect:?} at call {nth}: {}",
                    ran.stderr
                );
            }
            other => panic!("{effect:?} at call {nth} ended with {other:?}: {}", ran.stderr),
        }
        assert!(!ran.stderr.contains("panicked"), "{}", ran.stderr);
        // What was remembered before the fault is still there, and the next run is right.
        server.take_requests();
        let after = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
        assert_eq!(decided(&after), right, "after {effect:?} at call {nth}");
        let reads = server.take_counts().get("get").copied().unwrap_or_default();
        assert!(reads <= 1, "after {effect:?} at call {nth}: {reads} jobs were asked for again");
    }
}

#[test]
fn the_outcome_is_the_right_plan_or_a_clean_error() {
    std::thread::scope(|scope| {
        for nth in 1..=MOST_CALLS {
            scope.spawn(move || at_call(nth));
        }
    });
}

#[test]
fn a_run_that_was_throttled_goes_on_where_it_stopped() {
    let server = Server::of((1..=6).map(|n| live_job(n, &format!("job-{n}"))).collect());
    let keys: Vec<String> = (1..=6).map(|n| format!("job-{n}")).collect();
    let manifests: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "  timeout: 4\n")).collect();
    let repo = Repo::with(&manifests);
    let refused = Effect::Throttle { form: ThrottleForm::RetryAfter, seconds: 3600 };
    let fault = Fault::on(patchctl::simulator::Call::Get, refused).nth(4).always();
    server.change(|behaviour| behaviour.fail_next = vec![fault]);
    let stopped = repo.run_at(&server, &["plan", "--concurrency", "1", "--max-wait", "5s"]).ends(1);
    assert!(stopped.stderr.contains("rate limit"), "{}", stopped.stderr);
    server.change(|behaviour| behaviour.fail_next.clear());
    server.take_requests();
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2), ("get", 3)]));
}

/// What was read is kept while the run waits, so that whatever ends it, the next one goes on from there.
#[test]
fn a_run_that_is_killed_while_it_waits_loses_nothing_of_what_it_read() {
    let server = Server::of((1..=6).map(|n| live_job(n, &format!("job-{n}"))).collect());
    let keys: Vec<String> = (1..=6).map(|n| format!("job-{n}")).collect();
    let manifests: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "  timeout: 4\n")).collect();
    let repo = Repo::with(&manifests);
    let refused = Effect::Throttle { form: ThrottleForm::RetryAfter, seconds: 600 };
    let fault = Fault::on(patchctl::simulator::Call::Get, refused).nth(4).always();
    server.change(|behaviour| behaviour.fail_next = vec![fault]);
    let mut command = repo.command(&["plan", "--concurrency", "1", "--gateway", &server.url()]);
    command
        .envs(crate::support::LOGIN)
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null());
    let mut child = command.spawn().unwrap();
    let cache = repo.path(".patchctl/cache");
    let is_kept = || {
        let mut files = std::fs::read_dir(&cache).into_iter().flatten().flatten();
        files.any(|file| file.path().extension().is_some_and(|ending| ending == "cache"))
    };
    while !is_kept() {
        assert_eq!(child.try_wait().unwrap(), None, "it ended before it was killed");
        std::thread::yield_now();
    }
    child.kill().unwrap();
    child.wait().unwrap();
    server.change(|behaviour| behaviour.fail_next.clear());
    server.take_requests();
    repo.run_at(&server, &["plan"]).ends(0).says("No changes.");
    assert_eq!(server.take_counts(), counts(&[("auth", 1), ("list", 2), ("get", 3)]));
}

/// Twelve jobs on a bad line: what is alike is told once, and the end says how much there was of it.
#[test]
fn retries_that_are_alike_are_one_line() {
    let keys: Vec<String> = (1..=12).map(|n| format!("job-{n}")).collect();
    let server = Server::of((1..=12).zip(&keys).map(|(n, key)| live_job(n, key)).collect());
    let manifests: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "  timeout: 4\n")).collect();
    let repo = Repo::with(&manifests);
    let broken = Effect::ServerError { code: 502, body: ErrorBody::Html };
    server.change(|behaviour| {
        behaviour.fail_next = vec![Fault::on(patchctl::simulator::Call::Get, broken); 12];
    });
    let ran = repo.run_at(&server, &["plan"]).ends(0);
    let lines: Vec<&str> = ran.stderr.lines().filter(|line| line.contains("follows")).collect();
    assert_eq!(lines.len(), 1, "{}", ran.stderr);
    assert!(lines[0].contains("502 Bad Gateway"), "{lines:?}");
    ran.says("12 of them retries");
}

/// Calls in flight are told to wait many times, and again after that; it is one line.
#[test]
fn waits_that_follow_each_other_are_one_line() {
    let keys: Vec<String> = (1..=12).map(|n| format!("job-{n}")).collect();
    let server = Server::of((1..=12).zip(&keys).map(|(n, key)| live_job(n, key)).collect());
    let manifests: Vec<(&str, &str)> = keys.iter().map(|key| (key.as_str(), "  timeout: 4\n")).collect();
    let repo = Repo::with(&manifests);
    let refused = Effect::Throttle { form: ThrottleForm::ToWait, seconds: 1 };
    server.change(|behaviour| {
        behaviour.fail_next = vec![Fault::on(patchctl::simulator::Call::Get, refused); 6];
    });
    let ran = repo.run_at(&server, &["plan"]).ends(0);
    let n_lines = ran.stderr.lines().filter(|line| line.contains("asks to wait")).count();
    assert_eq!(n_lines, 1, "{}", ran.stderr);
    assert!(!ran.cost.contains("waited 0 s"), "{}", ran.cost);
}
