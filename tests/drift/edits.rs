//! Edits of any member that a person can set, by people in the console: exactly those are named, and nothing else.

use std::collections::{BTreeMap, BTreeSet};

use patchctl::patch::Envelope;
use patchctl::simulator::Event;
use patchctl::{diff, normalise};
use serde_json::{Map, Value};

use crate::support::dice::Dice;
use crate::support::{edit, pipeline};
use crate::world::{World, text};

/// What a person at the console sends to bring about an edit of a job, in the API's own form; `None` where the edit
/// came out as nothing or can not be made in one call.
fn edit_of(dice: &mut Dice, world: &World, at: usize) -> Option<Map<String, Value>> {
    let (live, draft) = (&world.jobs[at], &world.drafts[at]);
    // What runs once and is armed can not be edited in the console either.
    let status = text(live, "status");
    if !status.eq_ignore_ascii_case("Disabled") && ["Once", "On-demand"].contains(&text(live, "scheduleType"))
    {
        return None;
    }
    let mut edited = draft.clone();
    let n_edits = 1 + dice.below(3);
    edit::edits(dice, live, &mut edited.spec, n_edits);
    let plan = pipeline::planned_one(&edited, live, Envelope::Minimal);
    let mut body = pipeline::body(pipeline::update(&plan)?).as_object()?.clone();
    // The stamp is ours, and nobody writes it at the console.
    if !plan.changes[0].fields.iter().any(|field| field.path == "/description") {
        body.shift_remove("description");
    } else if let Some(Value::String(description)) = body.get_mut("description") {
        let (words, _) = patchctl::stamp::split(description);
        *description = words.to_owned();
    }
    let has_new_script = |list: &str| {
        let actions = body.get(list).and_then(Value::as_array).into_iter().flatten();
        actions.clone().any(|action| action["actionId"].is_null())
    };
    // A new action brings a script whose path only the server knows: that is another test's matter.
    (!has_new_script("preDeployActions") && !has_new_script("postDeployActions")).then_some(body)
}

/// A generated tenant, three of its jobs edited by three people at three times.
fn check(seed: u64) -> usize {
    let mut dice = Dice::seeded(seed);
    let world = World::new(&mut dice, 8);
    let before = world.drift(&[], 0);
    assert_eq!(before["changes"], serde_json::json!([]), "seed {seed}: {before:#}");
    let mut expected: BTreeMap<String, (BTreeSet<String>, String, i64)> = BTreeMap::new();
    for person in ["anna.k", "bob@acme.example", "carla"] {
        let at = dice.below(world.jobs.len());
        let key = world.drafts[at].key.clone();
        if expected.contains_key(&key) {
            continue;
        }
        let Some(merge) = edit_of(&mut dice, &world, at) else { continue };
        world.pass(i64::try_from(dice.below(100_000_000)).unwrap());
        let id = text(&world.jobs[at], "id").to_owned();
        world.happen(&Event::Edit {
            id: id.clone(),
            user: person.to_owned(),
            merge,
            scripts: BTreeMap::new(),
        });
        let after = world.job(&id);
        let differences = diff::diff(&normalise::live(&after), &normalise::live(&world.jobs[at]));
        // What a manifest does not declare, and comes or goes with the schedule type, is nobody's business.
        let spec = &world.drafts[at].spec;
        let is_managed = |path: &String| normalise::at(spec, path).is_some() || path.contains("Actions/");
        let paths: BTreeSet<String> = differences
            .into_iter()
            .filter(|field| !(field.before.is_null() && field.after == Value::Bool(false)))
            .map(|field| field.pointer)
            .filter(is_managed)
            .collect();
        if !paths.is_empty() {
            let date = after["updatedBy"]["date"].as_i64().unwrap();
            expected.insert(key, (paths, person.to_owned(), date));
        }
    }
    let drift = world.drift(&[], if expected.is_empty() { 0 } else { 2 });
    let mut found: BTreeMap<String, (BTreeSet<String>, String, i64)> = BTreeMap::new();
    for change in drift["changes"].as_array().unwrap() {
        // Of a block that is gone, what said `false` or nothing in it may be named along with it.
        let is_said = |field: &&Value| !(field["before"].is_null() && field["was"] == Value::Bool(false));
        let fields = change["fields"].as_array().unwrap().iter().filter(is_said);
        let paths = fields.map(|field| text(field, "path").to_owned());
        let at: jiff::Timestamp = text(change, "changed_at").parse().unwrap();
        let who = text(&change["changed_by"], "name").to_owned();
        found.insert(text(change, "key").to_owned(), (paths.collect(), who, at.as_millisecond()));
    }
    assert_eq!(found, expected, "seed {seed}: {drift:#}");
    assert_eq!((&drift["pending"], &drift["unverified"]), (&serde_json::json!([]), &serde_json::json!([])));
    expected.values().map(|(paths, ..)| paths.len()).sum()
}

#[test]
fn random_edits_are_named_exactly_with_who_and_when() {
    let n_members: usize = (0..30).map(check).sum();
    assert!(n_members > 60, "the dice made only {n_members} edits: this test shows nothing");
}
