//! Which calls leave the machine: each of them, in order where there is one.

use std::collections::BTreeMap;

use base64::Engine as _;
use patchctl::simulator::{Call, Effect, Fault, RecordedRequest};
use serde_json::Value;
use sha2::{Digest as _, Sha256};

use crate::support::{Repo, Server, bodies, counts, live_job, sources};

fn line(request: &RecordedRequest) -> String {
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    format!("{} {}{query}", request.method, request.path)
}

/// Each call in a line. Jobs are read eight at a time, so their order among themselves is no one's: they are sorted.
fn lines(requests: &[RecordedRequest]) -> Vec<String> {
    let mut lines = Vec::new();
    for group in requests.chunk_by(|a, b| a.call == Call::Get && b.call == Call::Get) {
        let mut group: Vec<String> = group.iter().map(line).collect();
        group.sort();
        lines.extend(group);
    }
    lines
}

/// The ids of the live jobs that `jobs.d` is bound to, in sorted order.
fn bound_ids(plan: &Value, server: &Server) -> Vec<String> {
    let managed: Vec<String> = server.dump()["jobs"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|job| {
            let name = job["name"].as_str().unwrap();
            !name.starts_with("TEST ") && !name.to_lowercase().contains("smoke")
        })
        .map(|job| job["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(plan["unmanaged"], 15 - managed.len());
    let mut ids = managed;
    ids.sort();
    ids
}

const LIST: &str = "GET /pm/v1/deploymentjobs/summary?platform=";

fn calls_of_a_plan(ids: &[String]) -> Vec<String> {
    let mut expected = vec!["POST /auth".to_owned()];
    for platform in ["Linux", "Windows"] {
        for page in 0..2 {
            expected.push(format!("{LIST}{platform}&pageNumber={page}&pageSize=1000"));
        }
    }
    expected.extend(ids.iter().map(|id| format!("GET /pm/v1/deploymentjob/{id}")));
    expected
}

#[test]
fn a_plan_logs_in_lists_each_platform_and_reads_what_is_bound() {
    let server = Server::of_the_examples();
    let repo = Repo::of_the_sources();
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    let requests = server.take_requests();
    let mut made = lines(&requests);
    // The lists are read side by side: page follows page within each, and all come before the jobs.
    made[1..5].sort_by_key(|line| line.contains("platform=Windows"));
    assert_eq!(made, calls_of_a_plan(&bound_ids(&plan, &server)));
    assert!(requests.iter().all(|request| request.status.is_some_and(|status| status < 300)));
    assert!(requests[1..].iter().all(|request| request.user.as_deref() == Some("simulator")));
    // What it says it cost is what it cost.
    let api = &plan["api"];
    assert_eq!(
        (&api["auth"], &api["list"], &api["read"], &api["update"], &api["retries"]),
        (&1.into(), &4.into(), &12.into(), &0.into(), &0.into())
    );
}

#[test]
fn a_platform_that_no_manifest_names_is_not_listed() {
    let server = Server::of(vec![live_job(1, "job")]);
    let repo = Repo::with(&[("job", "")]);
    repo.run_at(&server, &["plan"]).ends(0);
    let lines = lines(&server.take_requests());
    let list = |page: u8| format!("{LIST}Windows&pageNumber={page}&pageSize=1000");
    let id = crate::support::id(1);
    assert_eq!(lines, ["POST /auth".to_owned(), list(0), list(1), format!("GET /pm/v1/deploymentjob/{id}")]);
}

#[test]
fn an_apply_reads_writes_and_reads_back_each_job_in_turn() {
    let server = Server::of_the_examples();
    let repo = Repo::of_the_sources();
    let plan = repo.run_at(&server, &["plan", "--output", "json"]).ends(0).json();
    let ids = bound_ids(&plan, &server);
    server.take_requests();

    // Nothing is remembered in another repository.
    let repo = Repo::of_the_sources();
    let done = repo.run_at(&server, &["apply", "--auto-approve", "--output", "json"]).ends(0).json();
    let requests = server.take_requests();
    let mut expected = calls_of_a_plan(&ids);
    for change in plan["changes"].as_array().unwrap() {
        let read = |id: &Value| format!("GET /pm/v1/deploymentjob/{}", id.as_str().unwrap());
        match change["action"].as_str().unwrap() {
            "create" => {
                // The list is read anew, because names may have been taken; its only full page, and an empty one.
                let page = |n: u8| {
                    let query = format!("platform=Windows&pageNumber={n}&pageSize=1000");
                    format!("GET /pm/v1/deploymentjobs/summary?{query}")
                };
                let id = done["changes"].as_array().unwrap().iter().find(|c| c["action"] == "create");
                expected.extend([page(0), page(1), "POST /pm/v1/deploymentjob".to_owned()]);
                expected.push(read(&id.unwrap()["id"]));
            }
            _ => {
                let request = &change["request"];
                let path = request["path"].as_str().unwrap();
                let write = format!("{} {path}", request["method"].as_str().unwrap());
                expected.extend([read(&change["id"]), write, read(&change["id"])]);
            }
        }
    }
    let updates: Vec<&Value> =
        plan["changes"].as_array().unwrap().iter().filter(|change| change["action"] == "update").collect();
    // Reads of neighbouring steps stand side by side in the log and are sorted with the others.
    let kinds = |lines: &[String]| -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for line in lines {
            *counts.entry(line.clone()).or_default() += 1;
        }
        counts
    };
    let made = lines(&requests);
    assert_eq!(kinds(&made), kinds(&expected));
    let in_order: Vec<String> = requests[17..].iter().map(line).collect();
    assert_eq!(in_order, expected[17..]);
    assert_eq!(done["api"]["read"], 12 + 2 * 8 + 1);
    let writes = ["update", "create", "status", "delete"].map(|kind| done["api"][kind].clone());
    assert_eq!(writes, [7, 1, 1, 0].map(Value::from));
    assert_eq!(plan["calls_needed"], requests.len() - 17);

    // The bodies are those of the plan, with the scripts' bytes in place of their digests.
    let sent = bodies(&requests, Call::Update);
    let shown: Vec<Value> = updates.iter().map(|change| with_scripts(&change["request"]["body"])).collect();
    assert_eq!(sent, shown);
}

/// A body of the plan as it goes out: `{sha256, bytes}` becomes base64 of the script that has this digest.
fn with_scripts(body: &Value) -> Value {
    match body {
        Value::Object(members) if members.contains_key("sha256") => {
            let content = script_with_digest(members["sha256"].as_str().unwrap());
            assert_eq!(members["bytes"], content.len());
            base64::engine::general_purpose::STANDARD.encode(content).into()
        }
        Value::Object(members) => {
            members.iter().map(|(name, value)| (name.clone(), with_scripts(value))).collect()
        }
        Value::Array(items) => items.iter().map(with_scripts).collect(),
        other => other.clone(),
    }
}

/// A script of `jobs.d`; the one that stands in a manifest is written out here.
fn script_with_digest(digest: &str) -> Vec<u8> {
    let inline = "#!/bin/sh\n# Every disk needs two live paths before the migration may begin.\nif multipath -ll | \
                  grep -q 'failed faulty'; then\n  echo 'at least one path is down'\n  exit 1\nfi\n";
    let files = crate::support::files_below(&sources().join("jobs.d"));
    let files = files.into_iter().filter(|(path, _)| path.parent().is_some_and(|p| p.ends_with("scripts")));
    let mut contents = files.map(|(_, content)| content).chain([inline.as_bytes().to_vec()]);
    let digest_of = |content: &[u8]| -> String {
        Sha256::digest(content).iter().map(|byte| format!("{byte:02x}")).collect()
    };
    contents.find(|content| digest_of(content) == digest).expect("a script with this digest")
}

#[test]
fn what_did_not_move_is_not_read_again() {
    let server = Server::of_the_examples();
    let repo = Repo::of_the_sources();
    let calls = |arguments: &[&str]| {
        repo.run_at(&server, arguments);
        server.take_counts()
    };
    assert_eq!(calls(&["plan"]), counts(&[("auth", 1), ("list", 4), ("get", 12)]));
    assert_eq!(calls(&["plan"]), counts(&[("auth", 1), ("list", 4)]));
    assert_eq!(calls(&["plan", "--refresh"]), counts(&[("auth", 1), ("list", 4), ("get", 12)]));
    assert_eq!(calls(&["plan", "--no-cache"]), counts(&[("auth", 1), ("list", 4), ("get", 12)]));
    // One job that a manifest is bound to, and one that none is.
    server.edit("6c1e7a94-0f3d-4b58-a2c7-d915e86b4f30", serde_json::json!({"timeout": 9}));
    server.edit("d27cb238-2bed-4a16-a5a9-f6b1a29709bf", serde_json::json!({"timeout": 9}));
    assert_eq!(calls(&["plan"]), counts(&[("auth", 1), ("list", 4), ("get", 1)]));
    // A write trusts nothing that is remembered, and what it reads back is remembered.
    let apply = [("auth", 1), ("list", 6), ("get", 17), ("update", 7), ("create", 1), ("status", 1)];
    let apply = counts(&apply);
    assert_eq!(calls(&["apply", "--auto-approve"]), apply);
    assert_eq!(calls(&["plan"]), counts(&[("auth", 1), ("list", 4)]));
}

#[test]
fn validate_and_schema_make_no_call() {
    let server = Server::of_the_examples();
    let repo = Repo::of_the_sources();
    repo.run_at(&server, &["validate"]).ends(0);
    repo.run_at(&server, &["schema"]).ends(0);
    assert_eq!(server.take_counts(), counts(&[]));
}

#[test]
fn a_mistake_in_a_manifest_costs_no_call() {
    let server = Server::of_the_examples();
    let repo = Repo::of_the_sources();
    repo.edit("jobs.d/windows/browsers-weekly.yaml", "timeout: 6", "timeout: six");
    for command in [&["plan"][..], &["apply", "--auto-approve"]] {
        repo.run_at(&server, command).ends(1).complains("error[wrong-value]");
    }
    assert_eq!(server.take_counts(), counts(&[]));
}

#[test]
fn a_memo_that_is_damaged_is_a_note_and_changes_no_plan() {
    let server = Server::of_the_examples();
    let repo = Repo::of_the_sources();
    let plan = || {
        let ran = repo.run_at(&server, &["plan", "--output", "json"]).ends(0);
        let document = ran.json();
        (ran, document["fingerprint"].clone(), document["changes"].clone())
    };
    let (_, fingerprint, changes) = plan();
    let memo = ".patchctl/cache/manifests.memo";
    let good = repo.read(memo);
    for (was, is) in [
        ("Workstations, Patch Tuesday + 3", "Workstations, Patch Tuesday + 2"),
        ("\"key\":\"linux-databases-monthly\"", "\"key\":\"lioux-databases-monthly\""),
        ("\"platform\"", "\"pl`tform\""),
    ] {
        assert!(good.contains(was), "{was}: {good}");
        repo.write(memo, good.replacen(was, is, 1));
        std::fs::remove_dir_all(repo.path(".patchctl/bindings")).unwrap();
        let (ran, again, same) = plan();
        ran.complains("manifests.memo` is not used: it is damaged");
        assert_eq!((again, same), (fingerprint.clone(), changes.clone()), "{was}");
        assert_eq!(repo.read(memo), good, "it is written anew");
    }
}

#[test]
fn a_warm_run_needs_no_temporary_file() {
    let server = Server::of_the_examples();
    let repo = Repo::of_the_sources();
    repo.run_at(&server, &["plan"]).ends(0);
    let run = |arguments: &[&str]| {
        let mut command = repo.command(arguments);
        command.args(["--gateway", &server.url()]).envs(crate::support::LOGIN).env("TMPDIR", "/nowhere");
        let output = command.output().unwrap();
        (output.status.code(), String::from_utf8(output.stderr).unwrap())
    };
    assert_eq!(run(&["plan"]).0, Some(0));
    // Where one is needed, it is said where it was to be.
    let (code, stderr) = run(&["plan", "--refresh"]);
    assert!(code == Some(1) && stderr.contains("in `/nowhere`: "), "{stderr}");
}

#[test]
fn a_run_that_fails_tells_what_it_cost() {
    let server = Server::of_the_examples();
    let repo = Repo::of_the_sources();
    // As it comes: elsewhere in these tests that line is left out.
    let raw = |arguments: &[&str], password: &str| {
        let mut command = repo.command(arguments);
        command.args(["--gateway", &server.url()]);
        command.envs([("QUALYS_USERNAME", "simulator"), ("QUALYS_PASSWORD", password)]);
        let output = command.output().unwrap();
        (output.stdout, String::from_utf8(output.stderr).unwrap())
    };
    let document: Value = serde_json::from_slice(&raw(&["plan", "--output", "json"], "wrong").0).unwrap();
    assert_eq!(document["api"]["auth"], 1, "{document:#}");
    let (_, stderr) = raw(&["plan"], "wrong");
    assert!(stderr.contains("cost: 1 call (1 auth)"), "{stderr}");
    for command in
        [&["plan", "--no-cache"][..], &["drift", "--no-cache"], &["apply", "--auto-approve", "--no-cache"]]
    {
        let fail = || {
            let refusal = Effect::Status { code: 403, body: None, headers: BTreeMap::new() };
            server.change(|behaviour| behaviour.fail_next = vec![Fault::on(Call::List, refusal.clone())]);
        };
        fail();
        let (_, stderr) = raw(command, "simulator");
        assert!(stderr.contains("error: ") && stderr.contains("cost: "), "{stderr}");
        fail();
        let document = repo.run_at(&server, &[command, &["--output", "json"]].concat()).ends(1).json();
        assert_eq!(
            (&document["api"]["auth"], &document["api"]["cached"]),
            (&1.into(), &0.into()),
            "{command:?}"
        );
    }
    assert!(raw(&["doctor"], "simulator").1.contains("cost: "));
    let doctor = repo.run_at(&server, &["doctor", "--output", "json"]).ends(0).json();
    assert!(doctor["api"]["bytes"].as_u64().unwrap() > 0);
}

#[test]
fn a_configured_limit_says_how_long_an_apply_waits() {
    let server = Server::of_the_examples();
    let repo = Repo::of_the_sources();
    let config = repo.read("patchctl.yaml");
    // 17 calls are made, 28 are needed, and 5 before them.
    for (limit, words) in [
        ("", "Applying takes 28 calls: no wait for the limit (usually allowed are 300 in 60 min)."),
        (
            "callsPerHour: 50\n",
            "Applying takes 28 calls: no wait for the limit (configured are 50 in 60 min).",
        ),
        (
            "callsPerHour: 20\n",
            "Applying takes 28 calls, and 5 before it to read the live jobs: up to 120 min of waiting for the limit \
             (configured are 20 in 60 min, of which this run took 17).",
        ),
    ] {
        repo.write("patchctl.yaml", format!("{config}{limit}"));
        let said = repo.run_at(&server, &["plan", "--no-cache"]).ends(0).stdout;
        let said = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(said.contains(words), "{limit}: {said}");
    }
    repo.write("patchctl.yaml", "callsPerHour: 0\n");
    repo.run_at(&server, &["plan"]).ends(1).complains("`callsPerHour` must be at least 1");
}
