//! A month of hourly runs over a tenant that nobody touches: not one false alarm.

use std::collections::BTreeMap;

use patchctl::simulator::{Effect, Event, Fault, ListOrder, ThrottleForm};
use serde_json::json;

use crate::support::dice::Dice;
use crate::world::World;

const HOUR_MS: i64 = 60 * 60 * 1000;

/// Counters, progress, run times and statuses move by themselves with each hour; answers come in another order, and
/// now and then late.
#[test]
fn a_month_of_hourly_runs_raises_no_false_alarm() {
    let mut dice = Dice::seeded(30);
    let world = World::new(&mut dice, 6);
    // Some of the jobs were applied, so that they bear stamps and the last edit is ours.
    for draft in world.drafts.iter().take(4) {
        let path = format!("jobs.d/{}.yaml", draft.key);
        let mut edited = draft.clone();
        edited.spec.insert("description".to_owned(), "applied".into());
        world.repo.write(&path, edited.text(&mut dice));
    }
    let applied = world.run(&["apply", "--auto-approve", "--output", "json"]).json();
    let n_applied = applied["outcomes"]["applied"].as_u64().unwrap();
    assert!(n_applied > 0, "{applied:#}");
    // What can not be edited any more stays as Git has it not; that is no matter of this test.
    for change in applied["changes"].as_array().unwrap().iter().filter(|c| c["outcome"] != "applied") {
        let key = change["key"].as_str().unwrap();
        let draft = world.drafts.iter().find(|draft| draft.key == key).unwrap();
        world.repo.write(&format!("jobs.d/{key}.yaml"), draft.text(&mut dice));
    }
    let statuses = |world: &World| {
        let dump = world.simulator.with_tenant(|tenant| tenant.dump());
        let jobs = dump["jobs"].as_array().unwrap().clone();
        jobs.into_iter().map(|job| (job["id"].to_string(), job)).collect::<BTreeMap<_, _>>()
    };
    let before = statuses(&world);
    for hour in 0..30 * 24 {
        world.pass(HOUR_MS);
        world.happen(&Event::Tick);
        world.simulator.behaviour().change(|behaviour| {
            behaviour.list_order = if hour % 2 == 0 { ListOrder::Name } else { ListOrder::Newest };
            behaviour.fail_next = if hour % 50 == 7 {
                vec![Fault::next(Effect::Throttle { form: ThrottleForm::RetryAfter, seconds: 0 })]
            } else {
                Vec::new()
            };
        });
        // Once a day everything is read anew, so that what is remembered hides nothing.
        let refresh: &[&str] = if hour % 24 == 0 { &["--refresh"] } else { &[] };
        let ran = world.run(&[&["drift"], refresh].concat());
        assert_eq!(ran.code(), Some(0), "hour {hour}: {}{}", ran.stdout, ran.stderr);
    }
    let after = statuses(&world);
    let moved = |name: &str| before.iter().filter(|(id, job)| job[name] != after[*id][name]).count();
    let n_moved: Vec<usize> =
        ["patchCount", "completionPercent", "assetResultReceivedCount"].map(moved).into();
    assert!(n_moved.iter().all(|n| *n > 0), "the server did nothing by itself: {n_moved:?}");
    let drift = world.drift(&["--refresh"], 0);
    assert_eq!((&drift["changes"], &drift["resolved"]), (&json!([]), &json!([])), "{drift:#}");
}
