//! Random days of a repository: people edit manifests and use the console, then plan, apply and plan again.

use std::collections::{BTreeMap, BTreeSet};

use patchctl::simulator::{Answer, Behaviour, Call, EditEnabled, RecordedRequest, Updates};
use serde_json::Value;

use crate::repository::World;
use crate::run::{adds_up, changes, counts_calls, text, writes};
use crate::support::dice::Dice;
use crate::support::kept::{Truth, scripts_are_kept, undeclared_is_kept};
use crate::support::manifest::Draft;
use crate::verdict::{armed_for_good, is_armed, is_declared, names_are_unique, runs_once};

/// Enough for every kind of schedule and status, some times each.
const N_JOBS: usize = 40;

/// Days of one repository; on the last of them the console is used while the apply is under way.
const N_DAYS: usize = 3;

/// How many steps ended how, as `action outcome`.
type Tally = BTreeMap<String, usize>;

/// One apply, from both sides.
struct Applied {
    document: Value,
    requests: Vec<RecordedRequest>,
    allowed: BTreeSet<String>,
    /// Jobs that the console changed meanwhile.
    touched: BTreeSet<String>,
    before: Truth,
    after: Truth,
}

impl Applied {
    /// Steps of an action that ended in an outcome.
    fn of<'a>(&'a self, action: &'a str, outcome: &'a str) -> impl Iterator<Item = &'a Value> {
        let is_one =
            move |change: &&Value| text(change, "action") == action && text(change, "outcome") == outcome;
        changes(&self.document).iter().filter(is_one)
    }

    /// Ids of the jobs whose members were written as planned.
    fn written(&self) -> BTreeSet<String> {
        let steps = self.of("update", "applied").chain(self.of("create", "applied"));
        steps.map(|change| text(change, "id").to_owned()).collect()
    }
}

/// Applies and holds the outcome against what was there before.
#[track_caller]
fn apply(world: &World, allowed: &BTreeSet<String>, touched: BTreeSet<String>) -> Applied {
    let before = world.truth();
    world.simulator.clear_requests();
    let ran = world.run(&["apply", "--auto-approve", "--settle-time", "0"], allowed);
    world.simulator.behaviour().change(|behaviour| behaviour.meanwhile.clear());
    let document = ran.json();
    let requests = world.simulator.requests();
    assert!(document["changes"].is_array(), "{}", ran.stderr);
    adds_up(&ran, &document);
    counts_calls(&document, &requests);
    let requests = without_the_probe(requests, &before);
    let applied =
        Applied { document, requests, allowed: allowed.clone(), touched, before, after: world.truth() };
    names_are_unique(&applied.after);
    only_managed_jobs_are_written_to(world, &applied);
    nothing_is_armed_without_leave(world, &applied);
    creates_are_declared(world, &applied);
    the_rest_is_kept(world, &applied);
    applied
}

/// The requests without those about a scratch job: at most one of each kind, and none about a job that was there.
#[track_caller]
fn without_the_probe(requests: Vec<RecordedRequest>, before: &Truth) -> Vec<RecordedRequest> {
    let is_of_the_probe = |request: &RecordedRequest| {
        let body = request.body.clone().unwrap_or_default();
        match request.call {
            Call::Create | Call::Update => text(&body, "name").starts_with("patchctl probe "),
            Call::Delete => body["ids"].as_array().is_some_and(|ids| {
                ids.len() == 1 && !before.0.contains_key(ids[0].as_str().unwrap_or_default())
            }),
            _ => false,
        }
    };
    let (probe, rest): (Vec<_>, Vec<_>) = requests.into_iter().partition(is_of_the_probe);
    let calls: BTreeSet<String> = probe.iter().map(|request| request.method.clone()).collect();
    assert!(probe.is_empty() || (probe.len() == 3 && calls.len() == 3), "{probe:#?}");
    let id = |request: &RecordedRequest| request.path.rsplit('/').next().unwrap_or_default().to_owned();
    let trials = probe.iter().filter(|request| request.call == Call::Update);
    assert!(trials.into_iter().all(|trial| !before.0.contains_key(&id(trial))), "a real job is no trial");
    rest
}

/// No write has the path or the id of a job that no manifest names, none of them deletes, and each job that has no
/// step is as it was.
#[track_caller]
fn only_managed_jobs_are_written_to(world: &World, applied: &Applied) {
    let planned: BTreeSet<&str> = changes(&applied.document)
        .iter()
        .filter(|change| ["create", "update", "enable", "disable"].contains(&text(change, "action")))
        .filter_map(|change| change["id"].as_str())
        .collect();
    let mut written = BTreeSet::new();
    for request in writes(&applied.requests) {
        let body = request.body.clone().unwrap_or_default();
        match request.call {
            Call::Create => {}
            Call::Update => {
                let id = request.path.rsplit('/').next().unwrap_or_default();
                assert!(body.get("id").is_none_or(|inner| inner == id), "{request:?}");
                written.insert(id.to_owned());
            }
            Call::Status => {
                let ids = body["ids"].as_array().expect("ids");
                assert_eq!(ids.len(), 1, "{request:?}");
                written.insert(ids[0].as_str().expect("an id").to_owned());
            }
            _ => panic!("nobody asked for this: {request:?}"),
        }
    }
    for id in &written {
        assert!(planned.contains(id.as_str()), "no step is about {id}");
    }
    let ids: BTreeSet<String> = world.ids(&applied.after).into_values().collect();
    assert!(written.is_subset(&ids), "no manifest names one of {written:?}");
    for (id, job) in &applied.before.0 {
        let now = applied.after.0.get(id).expect("no job is lost");
        if !written.contains(id) && !applied.touched.contains(id) {
            assert_eq!(now, job);
        }
    }
}

/// A job that runs once is armed where its key is allowed only; no status moves that is not declared.
#[track_caller]
fn nothing_is_armed_without_leave(world: &World, applied: &Applied) {
    let name = |key: &String| world.drafts.get(key).and_then(|draft| draft.spec["name"].as_str());
    let allowed: BTreeSet<&str> = applied.allowed.iter().filter_map(name).collect();
    let armed = armed_for_good(&applied.before, &applied.after);
    assert!(armed.is_subset(&allowed), "{armed:?} are armed for good, and allowed are {allowed:?}");
    for request in applied.requests.iter().filter(|request| request.call == Call::Status) {
        let id = request.body.as_ref().and_then(|body| body["ids"][0].as_str()).expect("an id");
        let job = &applied.after.0[id];
        assert!(!runs_once(job) || allowed.contains(text(job, "name")), "{request:?}");
    }
    for (key, id) in world.ids(&applied.after) {
        let draft = &world.drafts[&key];
        let (Some(before), Some(after)) = (applied.before.0.get(&id), applied.after.0.get(&id)) else {
            // A new job is armed only where that is declared.
            if let Some(job) = applied.after.0.get(&id) {
                assert!(!is_armed(job) || draft.spec.get("status") == Some(&"Enabled".into()), "{key}");
            }
            continue;
        };
        if !draft.spec.contains_key("status") && !applied.touched.contains(&id) {
            assert_eq!(before["status"], after["status"], "{key} does not declare it");
        }
    }
}

/// Each new job is made once, of what is declared.
#[track_caller]
fn creates_are_declared(world: &World, applied: &Applied) {
    let by_name: BTreeMap<(&str, &str), &Draft> = world
        .drafts
        .values()
        .filter_map(|draft| Some(((draft.spec["platform"].as_str()?, draft.spec["name"].as_str()?), draft)))
        .collect();
    let mut made = BTreeSet::new();
    for request in applied.requests.iter().filter(|request| request.call == Call::Create) {
        let body = request.body.as_ref().expect("a body");
        let draft = by_name[&(text(body, "platform"), text(body, "name"))];
        assert!(made.insert(draft.key.clone()), "{} is made twice", draft.key);
        is_declared(body, &draft.spec, &draft.key);
        let stamp = format!("[patchctl:acme/{} ", draft.key);
        assert!(text(body, "description").contains(&stamp), "{body:#}");
    }
    let planned: BTreeSet<String> =
        applied.of("create", "applied").map(|change| text(change, "key").to_owned()).collect();
    assert!(planned.is_subset(&made));
}

/// What is not declared stays as it was, scripts above all.
#[track_caller]
fn the_rest_is_kept(world: &World, applied: &Applied) {
    let (before, after) = (&applied.before, &applied.after);
    let mut written = applied.written();
    written.retain(|id| !applied.touched.contains(id));
    let ids = world.ids(after);
    let drafts: BTreeMap<String, &Draft> =
        ids.into_iter().map(|(key, id)| (id, &world.drafts[&key])).collect();
    for (id, draft) in &drafts {
        let (Some(was), Some(is)) = (before.0.get(id), after.0.get(id)) else { continue };
        if written.contains(id) {
            undeclared_is_kept(&draft.spec, was, is, &draft.key);
        } else if !applied.touched.contains(id) {
            let content = |job: &Value| {
                let mut job = job.as_object().expect("a job").clone();
                job.retain(|name, _| !["status", "updatedBy"].contains(&name.as_str()));
                job
            };
            let steps: Vec<&Value> = changes(&applied.document)
                .iter()
                .filter(|change| text(change, "key") == draft.key)
                .map(|change| &change["error"])
                .collect();
            assert_eq!(content(was), content(is), "{}: no update was carried out: {steps:#?}", draft.key);
        }
    }
    // What a manifest and the console both had their hands on at the same time is nobody's to tell.
    let mut before = before.clone();
    let touched: Vec<String> =
        applied.touched.iter().filter_map(|id| before.0.get(id)).map(Value::to_string).collect();
    before.1.retain(|path, _| !touched.iter().any(|job| job.contains(path.as_str())));
    scripts_are_kept(&drafts, &written, &before, after);
}

/// Keys of the steps that were not carried out.
fn not_done(applied: &Applied) -> BTreeSet<&str> {
    let is_done = |change: &&Value| ["applied", "unchanged"].contains(&text(change, "outcome"));
    changes(&applied.document).iter().filter(|c| !is_done(c)).map(|c| text(c, "key")).collect()
}

/// Whether a step says that nothing is to be done now.
fn waits(change: &Value) -> bool {
    ["blocked", "held"].contains(&text(change, "action"))
}

/// One day.
#[track_caller]
fn day(world: &mut World, number: usize, refuses: bool, tally: &mut Tally) {
    if number > 0 {
        world.use_console();
    }
    world.edit_manifests();
    let allowed: BTreeSet<String> = world.drafts.keys().cloned().collect();
    let allowed: BTreeSet<String> = allowed.into_iter().filter(|_| world.dice.chance(60)).collect();
    world.simulator.clear_requests();
    let plan = world.plan(&allowed);
    assert!(writes(&world.simulator.requests()).is_empty(), "plan writes nothing");
    let is_last = number + 1 == N_DAYS;
    let touched = if is_last { world.interfere(&plan) } else { BTreeSet::new() };
    let mut applied = apply(world, &allowed, touched);
    count(&applied, tally);
    if is_last {
        // What the console spoilt is put right by the next apply.
        applied = apply(world, &allowed, BTreeSet::new());
    } else {
        assert_eq!(
            applied.document["fingerprint"], plan["fingerprint"],
            "what was planned is what was applied"
        );
        for change in changes(&applied.document) {
            let (action, outcome) = (text(change, "action"), text(change, "outcome"));
            let is_refused = refuses && action == "update" && outcome == "blocked";
            let waits_for_it = refuses && action == "enable" && outcome == "skipped";
            let expected = if waits(change) { action } else { "applied" };
            assert!(outcome == expected || is_refused || waits_for_it, "{change:#}");
        }
    }
    let again = world.run(&["plan"], &allowed);
    assert_eq!(again.code, Some(0), "{}", again.stderr);
    let again = again.json();
    let left = not_done(&applied);
    let is_off =
        |change: &Value| world.drafts[text(change, "key")].spec.get("status") == Some(&"Disabled".into());
    for change in changes(&again) {
        assert!(left.contains(text(change, "key")), "it was carried out: {change:#}");
        // What could not be done while the job was armed can be done now that it is off.
        assert!(refuses || waits(change) || is_off(change), "{change:#}");
    }
    if changes(&again).iter().any(|change| !waits(change)) {
        let last = apply(world, &allowed, BTreeSet::new());
        for change in changes(&last.document).iter().filter(|change| !waits(change) && is_off(change)) {
            assert_eq!(change["outcome"], "applied", "{change:#}");
        }
    }
}

fn count(applied: &Applied, tally: &mut Tally) {
    for change in changes(&applied.document) {
        *tally.entry(format!("{} {}", text(change, "action"), text(change, "outcome"))).or_default() += 1;
        if change["notes"].to_string().contains("one-way door") && change["outcome"] == "applied" {
            *tally.entry("one-way".to_owned()).or_default() += 1;
        }
        if change["notes"].to_string().contains("disabled, edited and enabled again") {
            *tally.entry("unlocked".to_owned()).or_default() += 1;
        }
    }
}

/// Lives some days with one tenant, or with as many as `PATCHCTL_TENANTS` says.
#[track_caller]
fn check_some(first_seed: u64, behaviour: &Behaviour) {
    let n_tenants: u64 = std::env::var("PATCHCTL_TENANTS").ok().and_then(|n| n.parse().ok()).unwrap_or(1);
    let refuses = behaviour.edit_enabled == EditEnabled::Refuse;
    let mut tally = Tally::new();
    for n in 0..n_tenants {
        let mut world = World::new(Dice::seeded(first_seed + 100 * n), N_JOBS, behaviour.clone());
        for number in 0..N_DAYS {
            day(&mut world, number, refuses, &mut tally);
        }
    }
    let steps = ["create applied", "update applied", "enable applied", "disable applied", "blocked blocked"];
    for what in steps.into_iter().chain(["one-way"]).chain(refuses.then_some("unlocked")) {
        assert!(tally.contains_key(what), "{what}: without any this proves little: {tally:?}");
    }
}

fn merging() -> Behaviour {
    Behaviour::default()
}

fn merging_at_the_top() -> Behaviour {
    Behaviour { updates: Updates::MergeTop, answer: Answer::Echo, ..Behaviour::default() }
}

fn replacing() -> Behaviour {
    Behaviour { updates: Updates::Replace, announce_updates: false, ..Behaviour::default() }
}

fn refusing(behaviour: Behaviour) -> Behaviour {
    Behaviour { edit_enabled: EditEnabled::Refuse, ..behaviour }
}

#[test]
fn a_server_that_merges_deeply() {
    check_some(11, &merging());
}

#[test]
fn a_server_that_merges_at_the_top_and_echoes() {
    check_some(12, &merging_at_the_top());
}

#[test]
fn a_server_that_replaces() {
    check_some(13, &replacing());
}

#[test]
fn a_server_that_merges_deeply_and_does_not_let_enabled_jobs_be_edited() {
    check_some(14, &refusing(merging()));
}

#[test]
fn a_server_that_merges_at_the_top_and_does_not_let_enabled_jobs_be_edited() {
    check_some(15, &refusing(merging_at_the_top()));
}

#[test]
fn a_server_that_replaces_and_does_not_let_enabled_jobs_be_edited() {
    check_some(16, &refusing(replacing()));
}
