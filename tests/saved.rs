//! Properties of saved plans, for generated jobs and manifests: nothing is lost in the file, whatever is done to a byte
//! of it is refused or harmless, and every step of both plans ends in exactly one way.

mod support;

use std::collections::{BTreeMap, BTreeSet};

use patchctl::patch::Envelope;
use patchctl::plan::{Change, OutcomeKind, Plan};
use patchctl::saved::{Judged, Look, Made, Options, SavedPlan, judge, moved_ids};
use patchctl::script::Scripts;
use patchctl::snapshot::LiveJob;
use proptest::prelude::*;
use serde_json::Value;

use support::dice::{Dice, config, rolls};
use support::manifest::{Draft, ScriptMembers, faithful};
use support::{edit, live, pipeline};

fn envelope(dice: &mut Dice) -> Envelope {
    if dice.chance(50) { Envelope::Minimal } else { Envelope::Full }
}

fn draft(dice: &mut Dice, at: usize, job: &Value) -> Draft {
    let mut spec = faithful(dice, job, ScriptMembers::Left);
    let targets: Vec<_> = spec.clone().into_iter().filter(|(name, _)| name.starts_with("asset")).collect();
    edit::edits(dice, job, &mut spec, 3);
    // A job without targets must not be armed, and status steps are wanted here.
    spec.extend(targets);
    let id = job["id"].as_str().expect("an id").to_owned();
    Draft { key: format!("job-{at}"), id: Some(id), spec }
}

fn drafts(dice: &mut Dice, jobs: &[Value]) -> Vec<Draft> {
    jobs.iter().enumerate().map(|(at, job)| draft(dice, at, job)).collect()
}

fn planned(dice: &mut Dice, drafts: &[Draft], jobs: &[Value], envelope: Envelope) -> Plan {
    let files = pipeline::files(dice, drafts);
    pipeline::planned(&files, jobs, envelope)
}

fn saved(plan: &Plan) -> SavedPlan {
    let made = Made {
        created_at: "2026-11-23T12:00:00Z".to_owned(),
        gateway: "https://gateway.example/".to_owned(),
        subscription: "one".to_owned(),
        owner: pipeline::OWNER.to_owned(),
        options: Options { only: vec!["job-*".to_owned()], max_deletes: Some(3), ..Options::default() },
    };
    SavedPlan::of(plan, &Scripts::default(), made)
}

fn judged(saved: &SavedPlan, fresh: &Plan, drafts: &[Draft], jobs: &[Value]) -> Judged {
    let scripts = Scripts::default();
    let keys: BTreeSet<&str> = drafts.iter().map(|draft| draft.key.as_str()).collect();
    let bound: BTreeMap<&str, &str> =
        drafts.iter().filter_map(|draft| Some((draft.key.as_str(), draft.id.as_deref()?))).collect();
    let job = |id: &String| jobs.iter().find(|job| job["id"] == id.as_str()).cloned().map(LiveJob::new);
    let live: BTreeMap<String, Option<LiveJob>> =
        moved_ids(saved, fresh, &scripts, &bound).into_iter().map(|id| (id.clone(), job(&id))).collect();
    judge(saved, Look { fresh, scripts: &scripts, keys: &keys, bound: &bound, live: &live })
}

/// The steps that write, by name.
fn writes(plan: &Plan) -> BTreeMap<String, &Change> {
    plan.changes
        .iter()
        .filter(|change| change.action.writes())
        .map(|change| (change.step(), change))
        .collect()
}

proptest! {
    #![proptest_config(config(150))]

    #[test]
    fn a_plan_comes_back_as_it_was_saved_and_is_the_same_as_itself(roll in rolls(2_000)) {
        let mut dice = Dice::new(roll);
        let jobs = live::tenant(&mut dice, 5);
        let envelope = envelope(&mut dice);
        let drafts = drafts(&mut dice, &jobs);
        let plan = planned(&mut dice, &drafts, &jobs, envelope);
        let document = saved(&plan);
        let text = document.text();
        let read = SavedPlan::read(text.as_bytes());
        prop_assert_eq!(read.as_ref(), Ok(&document));
        prop_assert_eq!(&read.expect("read").text(), &text);
        let judged = judged(&document, &plan, &drafts, &jobs);
        prop_assert_eq!(judged.n_going, writes(&plan).len());
        prop_assert!(judged.gone.is_empty() && judged.decided.is_empty(), "{:?}", judged);
        // Any byte: refused, or the very same plan.
        for _ in 0..40 {
            let mut other = text.clone().into_bytes();
            let at = dice.below(other.len());
            other[at] = u8::try_from(dice.below(256)).expect("a byte");
            if let Ok(read) = SavedPlan::read(&other) {
                prop_assert_eq!(&read, &document);
            }
        }
    }

    #[test]
    fn only_what_is_the_same_goes_and_every_step_ends_in_one_way(roll in rolls(3_000)) {
        let mut dice = Dice::new(roll);
        let mut jobs = live::tenant(&mut dice, 6);
        let envelope = envelope(&mut dice);
        let mut drafts = drafts(&mut dice, &jobs);
        let first = planned(&mut dice, &drafts, &jobs, envelope);
        let document = saved(&first);
        // Some manifests change or go, and somebody is at work in the console.
        for at in (0..drafts.len()).rev() {
            match dice.below(5) {
                0 => drafts[at] = draft(&mut dice, at, &jobs[at]),
                1 if drafts.len() > 1 => drop(drafts.remove(at)),
                2 => jobs[at]["timeout"] = dice.between(1, 20).into(),
                _ => {}
            }
        }
        let fresh = planned(&mut dice, &drafts, &jobs, envelope);
        let judged = judged(&document, &fresh, &drafts, &jobs);
        let (before, now) = (writes(&first), writes(&fresh));
        let mut n_going = 0;
        for (at, change) in fresh.changes.iter().enumerate() {
            let Some(outcome) = judged.decided.get(&at) else {
                if change.action.writes() {
                    n_going += 1;
                    let planned = before.get(&change.step());
                    prop_assert!(planned.is_some(), "{} was not planned", change.step());
                    let planned = planned.expect("planned");
                    let values = |change: &Change| -> Vec<_> {
                        change.fields.iter().map(|f| (f.path.clone(), f.before.clone(), f.after.clone())).collect()
                    };
                    prop_assert_eq!(&planned.id, &change.id);
                    prop_assert_eq!(values(planned), values(change));
                }
                continue;
            };
            prop_assert!(!outcome.kind.has_written() && change.action.writes());
            let is_new = !before.contains_key(&change.step());
            prop_assert_eq!(is_new, outcome.kind == OutcomeKind::Held, "{}: {:?}", change.step(), outcome);
        }
        prop_assert_eq!(n_going, judged.n_going);
        // The rest of the saved plan, each step once.
        let gone: Vec<String> = judged.gone.iter().map(|(change, _)| change.step()).collect();
        let expected: Vec<&String> = before.keys().filter(|step| !now.contains_key(*step)).collect();
        let mut sorted: Vec<&String> = gone.iter().collect();
        sorted.sort();
        prop_assert_eq!(sorted, expected);
        for (change, outcome) in &judged.gone {
            prop_assert!(matches!(outcome.kind, OutcomeKind::Stale | OutcomeKind::Unchanged), "{:?}", outcome);
            prop_assert!(change.basis.is_none(), "it can not be carried out");
        }
        // A plan that is the same has the same fingerprint, and only such a one.
        let all_same = judged.gone.is_empty() && judged.decided.is_empty() && first.changes.len() == fresh.changes.len();
        prop_assert!(all_same || first.fingerprint() != fresh.fingerprint());
    }
}
