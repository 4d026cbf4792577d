#![expect(
    clippy::disallowed_methods,
    reason = "runs the real program against a simulator on a loopback socket, in folders of its own"
)]

//! The real program over real HTTP against the simulator: whatever the jobs and the manifests, `apply` leaves nothing
//! to do for `plan`, changes nothing that no manifest declares, and touches no job that no manifest names.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Command, Output};

use patchctl::simulator::{Answer, Behaviour, Call, RecordedRequest, Running, Simulator, Tenant, Updates};
use serde_json::{Map, Value};
use tokio::runtime::Runtime;

use support::dice::Dice;
use support::kept::{scripts_are_kept, undeclared_is_kept};
use support::manifest::{Draft, ScriptMembers, faithful, subset};
use support::{edit, live};

/// Enough for every kind of schedule on both platforms in every state, some dozen times.
const N_JOBS: usize = 200;

/// A repository of manifests about a tenant.
struct Repository {
    folder: tempfile::TempDir,
    /// Manifests by the id of their job.
    drafts: BTreeMap<String, Draft>,
}

impl Repository {
    /// Manifests about four of five jobs: faithful ones or parts of them, two thirds of them edited.
    fn about(dice: &mut Dice, jobs: &[Value]) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        write(folder.path(), "patchctl.yaml", &format!("owner: acme\ncustomerId: {}\n", live::CUSTOMER));
        let mut drafts = BTreeMap::new();
        for (at, job) in jobs.iter().enumerate().filter(|(at, _)| at % 5 != 4) {
            let scripts = if dice.chance(20) { ScriptMembers::Declared } else { ScriptMembers::Left };
            let mut spec = faithful(dice, job, scripts);
            if dice.chance(60) {
                spec = subset(dice, &spec);
            }
            // Edits move no status here, and what is declared of it is what is live: tests/lifecycle arms and disarms.
            if spec.get("status").is_some_and(|status| !is_settable(status)) {
                spec.insert("status".to_owned(), "Enabled".into());
            }
            if at % 3 != 0 {
                edit::edits(dice, job, &mut spec, 4);
            }
            let id = job["id"].as_str().expect("an id").to_owned();
            let bound = dice.chance(50).then(|| id.clone());
            let draft = Draft { key: format!("job-{at}"), id: bound, spec };
            write(folder.path(), &format!("jobs.d/{}.yaml", draft.key), &draft.text(dice));
            drafts.insert(id, draft);
        }
        Self { folder, drafts }
    }

    /// Runs the program; its environment holds nothing but the simulator's login.
    fn run(&self, gateway: &str, arguments: &[&str]) -> Output {
        Command::new(env!("CARGO_BIN_EXE_patchctl"))
            .current_dir(self.folder.path())
            .env_clear()
            .env("QUALYS_USERNAME", "simulator")
            .env("QUALYS_PASSWORD", "simulator")
            .args(arguments)
            .args(["--gateway", gateway, "--output", "json"])
            .output()
            .expect("the program starts")
    }
}

fn write(folder: &Path, name: &str, text: &str) {
    let path = folder.join(name);
    fs::create_dir_all(path.parent().expect("a file has a folder")).expect("a folder");
    fs::write(path, text).expect("a file");
}

/// Whether a status is one that a person can ask for.
fn is_settable(status: &Value) -> bool {
    status.as_str().is_some_and(|status| ["enabled", "disabled"].contains(&status.to_lowercase().as_str()))
}

/// The document on stdout of a run that ended with one of these statuses.
#[track_caller]
fn document(output: &Output, statuses: &[i32]) -> Value {
    let status = output.status.code();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(status.is_some_and(|status| statuses.contains(&status)), "ended with {status:?}\n{said}");
    serde_json::from_slice(&output.stdout).expect("JSON on stdout")
}

fn start(runtime: &Runtime, jobs: &[Value], behaviour: Behaviour) -> Running {
    let tenant = Tenant::in_memory(jobs.to_vec(), BTreeMap::new()).expect("good jobs");
    let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, 0));
    runtime.block_on(Simulator::start(tenant, behaviour, listen)).expect("a free port")
}

/// All that the server keeps, true script contents included.
fn truth(simulator: &Running) -> (BTreeMap<String, Value>, Map<String, Value>) {
    let dump = simulator.with_tenant(|tenant| tenant.dump());
    let jobs = dump["jobs"].as_array().expect("jobs").iter();
    let jobs = jobs.map(|job| (job["id"].as_str().expect("an id").to_owned(), job.clone())).collect();
    (jobs, dump["scripts"].as_object().expect("scripts").clone())
}

/// Whether a write is about the scratch job of a probe: by its name, and never about a job that was there before.
fn is_of_the_probe(request: &RecordedRequest, before: &BTreeMap<String, Value>) -> bool {
    let body = request.body.clone().unwrap_or_default();
    let is_named = body["name"].as_str().is_some_and(|name| name.starts_with("patchctl probe "));
    let id = request.path.rsplit('/').next().unwrap_or_default();
    match request.call {
        Call::Create => is_named,
        Call::Update => is_named && !before.contains_key(id),
        Call::Delete => body["ids"]
            .as_array()
            .is_some_and(|ids| ids.iter().all(|id| !before.contains_key(id.as_str().unwrap_or_default()))),
        _ => false,
    }
}

/// Plans, applies, and holds what is there afterwards against what was there before.
#[track_caller]
fn check(seed: u64, behaviour: Behaviour) {
    let mut dice = Dice::seeded(seed);
    let jobs = live::tenant(&mut dice, N_JOBS);
    let repository = Repository::about(&mut dice, &jobs);
    let runtime = Runtime::new().expect("a runtime");
    let simulator = start(&runtime, &jobs, behaviour);
    let url = simulator.url();
    let before = truth(&simulator);

    let plan = document(&repository.run(&url, &["plan"]), &[0]);
    let written = |simulator: &Running| -> Vec<(String, Value)> {
        let requests = simulator.requests().into_iter();
        let writes = requests.filter(|r| !matches!(r.call, Call::Auth | Call::List | Call::Get));
        let writes = writes.filter(|request| !is_of_the_probe(request, &before.0));
        writes.map(|request| (request.path, request.body.unwrap_or_default())).collect()
    };
    assert_eq!(written(&simulator), [], "plan writes nothing");
    assert_eq!(truth(&simulator), before);
    let n_updates = plan["summary"]["update"].as_u64().expect("a count");
    assert!(n_updates > 60, "a test about few updates proves little: {}", plan["summary"]);

    simulator.clear_requests();
    let applied = document(&repository.run(&url, &["apply", "--auto-approve"]), &[0, 3, 4]);
    for change in applied["changes"].as_array().expect("changes") {
        let expected = if change["action"] == "update" { "applied" } else { "blocked" };
        assert_eq!(change["outcome"], expected, "{change:#}");
    }
    assert_eq!(applied["fingerprint"], plan["fingerprint"], "what was planned is what was applied");

    // Read, write, read back: one write to each job that the plan names, none to any other.
    let writes = written(&simulator);
    let paths: BTreeSet<&str> = writes.iter().map(|(path, _)| path.as_str()).collect();
    let planned = plan["changes"].as_array().expect("changes").iter();
    let planned: BTreeSet<&str> = planned.filter_map(|change| change["request"]["path"].as_str()).collect();
    assert_eq!(paths, planned);
    assert_eq!(writes.len(), planned.len());

    let after = truth(&simulator);
    for (id, job) in &before.0 {
        let changed = after.0.get(id).expect("no job is lost");
        match repository.drafts.get(id) {
            None => assert_eq!(changed, job, "no manifest names it"),
            Some(draft) if !paths.contains(format!("/pm/v1/deploymentjob/update/{id}").as_str()) => {
                assert_eq!(changed, job, "{} has no update", draft.key);
            }
            Some(draft) => undeclared_is_kept(&draft.spec, job, changed, &draft.key),
        }
    }
    let changed =
        before.0.iter().filter(|(id, job)| after.0[*id] != **job).map(|(id, _)| id.clone()).collect();
    let drafts = repository.drafts.iter().map(|(id, draft)| (id.clone(), draft)).collect();
    assert!(
        scripts_are_kept(&drafts, &changed, &before, &after) > 0,
        "a test about no scripts proves little"
    );

    let again = document(&repository.run(&url, &["plan"]), &[0]);
    assert_eq!(again["summary"]["update"], 0, "{again:#}");
    let left = again["changes"].as_array().expect("changes");
    assert!(left.iter().all(|change| change["action"] == "blocked"), "{left:#?}");
    assert_eq!(again["summary"]["blocked"], plan["summary"]["blocked"]);
    runtime.block_on(simulator.stop());
}

/// Checks one tenant, or as many as `PATCHCTL_TENANTS` says.
#[track_caller]
fn check_some(first_seed: u64, behaviour: &Behaviour) {
    let n_tenants: u64 = std::env::var("PATCHCTL_TENANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    for n in 0..n_tenants {
        check(first_seed + 100 * n, behaviour.clone());
    }
}

#[test]
fn a_server_that_merges_deeply() {
    check_some(1, &Behaviour::default());
}

#[test]
fn a_server_that_merges_at_the_top_and_echoes() {
    check_some(2, &Behaviour { updates: Updates::MergeTop, answer: Answer::Echo, ..Behaviour::default() });
}

#[test]
fn a_server_that_replaces_and_says_so() {
    check_some(3, &Behaviour { updates: Updates::Replace, ..Behaviour::default() });
}

#[test]
fn a_server_that_replaces_and_says_nothing() {
    let behaviour = Behaviour { updates: Updates::Replace, announce_updates: false, ..Behaviour::default() };
    check_some(4, &Behaviour { answer: Answer::Echo, ..behaviour });
}

/// The embedded simulator keeps its jobs between runs, so that the second plan sees what the apply left.
#[test]
fn the_embedded_simulator_converges_between_processes() {
    let mut dice = Dice::seeded(5);
    let jobs = live::tenant(&mut dice, 30);
    let repository = Repository::about(&mut dice, &jobs);
    let text = serde_json::to_string_pretty(&jobs).expect("plain data");
    write(repository.folder.path(), "tenant/jobs.json", &text);
    let seed = repository.folder.path().join("tenant");
    document(&repository.run("sim:tenant", &["apply", "--auto-approve"]), &[0, 3, 4]);
    let again = document(&repository.run("sim:tenant", &["plan"]), &[0]);
    assert_eq!(again["summary"]["update"], 0, "{again:#}");
    assert_eq!(
        fs::read_to_string(seed.join("jobs.json")).expect("the seed"),
        text,
        "the seed is never written"
    );

    let state = repository.folder.path().join(".patchctl");
    let tenant = Tenant::open(&seed, Some(&state), false).expect("the state that the runs left");
    let kept: BTreeMap<String, Value> = tenant.dump()["jobs"]
        .as_array()
        .expect("jobs")
        .iter()
        .map(|job| (job["id"].as_str().expect("an id").to_owned(), job.clone()))
        .collect();
    for job in jobs.iter().filter(|job| !repository.drafts.contains_key(job["id"].as_str().expect("an id"))) {
        let id = job["id"].as_str().expect("an id");
        assert_eq!(kept[id]["updatedBy"], job["updatedBy"], "{id}");
    }
}
