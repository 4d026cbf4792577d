//! Random days of a repository, taken back: after a revert every job is, in all that a person can set, what it was before
//! the apply, or the revert said that it can not be, and then nothing of it was touched.

use std::collections::{BTreeMap, BTreeSet};

use patchctl::simulator::{Answer, Behaviour, EditEnabled, Updates};
use serde_json::Value;

use crate::cli::settable;
use crate::repository::World;
use crate::run::{adds_up, changes, text};
use crate::support::dice::Dice;
use crate::verdict::is_armed;

/// Enough for every kind of schedule and status.
const N_JOBS: usize = 30;

#[track_caller]
fn taken_back(seed: u64, behaviour: Behaviour) -> (usize, usize) {
    let mut world = World::new(Dice::seeded(seed), N_JOBS, behaviour);
    let nobody = BTreeSet::new();
    world.plan(&nobody);
    // What is applied first sets the stamps and the scripts, so that their contents are known later.
    world.run(&["apply", "--auto-approve", "--settle-time", "0"], &nobody);
    let before = settable(&world.simulator.with_tenant(|tenant| tenant.dump()));
    world.edit_manifests();
    world.plan(&nobody);
    let applied = world.run(&["apply", "--auto-approve", "--settle-time", "0"], &nobody).json();
    let after = settable(&world.simulator.with_tenant(|tenant| tenant.dump()));
    if !changes(&applied).iter().any(|change| text(change, "outcome") == "applied") {
        return (0, 0);
    }
    let run = text(&applied, "run").to_owned();
    let ran = world.run(&["revert", &run, "--auto-approve", "--settle-time", "0"], &nobody);
    let document = ran.json();
    assert!(document["changes"].is_array(), "{}", ran.stderr);
    adds_up(&ran, &document);
    let now = settable(&world.simulator.with_tenant(|tenant| tenant.dump()));
    let refused: BTreeSet<&str> = changes(&document)
        .iter()
        .filter(|change| ["blocked", "held"].contains(&text(change, "action")))
        .filter_map(|change| change["id"].as_str())
        .collect();
    let failed: Vec<_> = changes(&document)
        .iter()
        .filter(|change| !["applied", "unchanged", "blocked", "held"].contains(&text(change, "outcome")))
        .collect();
    assert!(failed.is_empty(), "seed {seed}: {failed:#?}");
    for id in before.keys().chain(now.keys()) {
        if refused.contains(id.as_str()) {
            // A step beside the refused one may have been about the status only.
            let content = |jobs: &BTreeMap<String, Value>| {
                let mut job = jobs.get(id).cloned().unwrap_or_default();
                job["status"] = Value::Null;
                job
            };
            assert!(
                content(&now) == content(&after) || content(&now) == content(&before),
                "seed {seed}: {id}"
            );
        } else {
            let (now, before) = (now.get(id), before.get(id));
            let of = |document: &Value| {
                changes(document)
                    .iter()
                    .filter(|change| change["id"] == id.as_str())
                    .cloned()
                    .collect::<Vec<_>>()
            };
            assert!(
                is_same(now, before),
                "seed {seed}: {:#?}\napplied: {:#?}\nreverted: {:#?}\n{:#}",
                differences(before, now),
                of(&applied),
                of(&document),
                document["undone"]
            );
        }
    }
    let n_changed = before.iter().filter(|(id, job)| after.get(*id) != Some(*job)).count();
    (n_changed, refused.len())
}

/// Whether two jobs are the same; whatever is armed is armed.
fn is_same(a: Option<&Value>, b: Option<&Value>) -> bool {
    differences(a, b).iter().all(|name| name == "status")
        && a.is_some_and(is_armed) == b.is_some_and(is_armed)
}

fn differences(a: Option<&Value>, b: Option<&Value>) -> Vec<String> {
    let empty = serde_json::Map::new();
    let members = |job: Option<&Value>| job.and_then(Value::as_object).unwrap_or(&empty).clone();
    let (a, b) = (members(a), members(b));
    let names: BTreeSet<&String> = a.keys().chain(b.keys()).collect();
    names.into_iter().filter(|name| a.get(*name) != b.get(*name)).cloned().collect()
}

#[track_caller]
fn check(first_seed: u64, behaviour: &Behaviour) {
    let (mut n_changed, mut n_refused) = (0, 0);
    for seed in first_seed..first_seed + 4 {
        let (changed, refused) = taken_back(seed, behaviour.clone());
        n_changed += changed;
        n_refused += refused;
    }
    // The days did something, and most of it could be taken back.
    assert!(n_changed > 20 && n_refused < n_changed, "{n_changed} changed, {n_refused} refused");
}

#[test]
fn on_a_server_that_merges_at_the_top() {
    check(7_000, &Behaviour { updates: Updates::MergeTop, ..Behaviour::default() });
}

#[test]
fn on_a_server_that_replaces_and_echoes() {
    check(7_100, &Behaviour { updates: Updates::Replace, answer: Answer::Echo, ..Behaviour::default() });
}

#[test]
fn on_a_server_that_does_not_let_enabled_jobs_be_edited() {
    check(7_200, &Behaviour { edit_enabled: EditEnabled::Refuse, ..Behaviour::default() });
}
