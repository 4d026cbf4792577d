//! Properties of the pure core that hold for every live job and every manifest (DESIGN sections 2 to 6).
//!
//! Each case is drawn by two numbers and judged against a model of the server that is written here, in `support`,
//! three times over: nobody knows whether the real one merges deeply, merges at the top, or replaces.

mod support;

use std::collections::BTreeSet;

use patchctl::diff;
use patchctl::edit as text_edit;
use patchctl::job::{self, JOB, Member, Owner, Type, schedules};
use patchctl::lean::Lean;
use patchctl::normalise::{self, Normalised};
use patchctl::patch::Envelope;
use patchctl::plan::{self, Change, Origin};
use patchctl::snapshot::LiveJob;
use patchctl::source::SourceFile;
use patchctl::stamp;
use proptest::prelude::*;
use serde_json::{Map, Value};

use support::dice::{Dice, config, rolls};
use support::manifest::{Draft, ScriptMembers, faithful, subset};
use support::pipeline::{self, OWNER};
use support::server::{self, Server};
use support::{edit, live};

const SERVERS: [Server; 3] = [Server::DeepMerge, Server::TopMerge, Server::Replace];

fn draft(live: &Value, spec: Map<String, Value>) -> Draft {
    let id = live["id"].as_str().expect("generated with an id").to_owned();
    Draft { key: "job".to_owned(), id: Some(id), spec }
}

/// A live job and an edited part of its faithful manifest.
fn edited(dice: &mut Dice) -> (Value, Draft) {
    let live = live::lone(dice);
    let spec = faithful(dice, &live, ScriptMembers::Left);
    let mut spec = if dice.chance(60) { subset(dice, &spec) } else { spec };
    edit::edits(dice, &live, &mut spec, 4);
    let draft = draft(&live, spec);
    (live, draft)
}

/// An edited manifest whose edits can be carried out, with its update.
fn update_of(dice: &mut Dice, envelope: Envelope) -> Option<(Value, Draft, Change)> {
    let (mut live, mut draft) = edited(dice);
    // A run-once job that is armed is not edited at all, and arming has a call of its own.
    live["status"] = "Disabled".into();
    draft.spec.shift_remove("status");
    let plan = pipeline::planned_one(&draft, &live, envelope);
    pipeline::update(&plan).cloned().map(|change| (live, draft, change))
}

/// What differs between two jobs, a line each.
fn differences(found: &Normalised, expected: &Normalised) -> Vec<String> {
    let changes = diff::diff(found, expected);
    changes
        .iter()
        .map(|change| format!("{}: {} not {}", change.pointer, change.before, change.after))
        .collect()
}

proptest! {
    #![proptest_config(config(300))]

    /// A faithful manifest is never refused, and there is nothing to do about it (issue 2, "Bad input gets").
    #[test]
    fn a_faithful_manifest_is_valid_and_plans_nothing(roll in rolls(900)) {
        let mut dice = Dice::new(roll);
        let live = live::lone(&mut dice);
        let spec = faithful(&mut dice, &live, ScriptMembers::Left);
        let files = pipeline::files(&mut dice, &[draft(&live, spec)]);
        let plan = pipeline::planned(&files, std::slice::from_ref(&live), Envelope::Minimal);
        prop_assert!(plan.is_empty(), "{}\nof\n{}\nlive\n{live:#}", pipeline::shown(&plan).0, files[0].1);
    }

    /// A glance never says that nothing is to be done where the planner has something to say.
    #[test]
    fn what_is_as_declared_at_a_glance_plans_nothing(roll in rolls(1100)) {
        let mut dice = Dice::new(roll);
        let mut live = live::lone(&mut dice);
        let scripts = if dice.chance(80) { ScriptMembers::Left } else { ScriptMembers::Declared };
        let spec = faithful(&mut dice, &live, scripts);
        let mut spec = if dice.chance(60) { subset(&mut dice, &spec) } else { spec };
        let n_edits = dice.below(2);
        edit::edits(&mut dice, &live, &mut spec, n_edits);
        let draft = draft(&live, spec);
        if dice.chance(30) {
            // What makes the planner speak though every declared member is there.
            match dice.below(4) {
                0 => live["description"] = "x\n[patchctl:others/k 1:00000000:00000000:00000000]".into(),
                1 => live["deletedBy"] = serde_json::json!({"user": {"id": "1", "name": "a"}, "date": 1}),
                2 => live["status"] = "Paused".into(),
                _ => live["status"] = "Enabled".into(),
            }
        }
        let set = pipeline::parsed(&pipeline::files(&mut dice, std::slice::from_ref(&draft)));
        let declared = serde_json::to_vec(&set.manifests[0].spec).expect("JSON");
        let job = serde_json::to_vec(&live).expect("JSON");
        let [declared, job] = [&declared, &job].map(|json| Lean::parse(json).expect("JSON"));
        if plan::is_as_declared(OWNER, &declared, &job) {
            let plan = pipeline::planned_one(&draft, &live, Envelope::Minimal);
            prop_assert!(plan.is_empty(), "{}\nlive\n{live:#}", pipeline::shown(&plan).0);
            prop_assert!(plan.warnings.is_empty());
        }
    }

    /// An id is written into a manifest of any notation, and nothing else of its file changes (issue 4, `--write-ids`).
    #[test]
    fn an_id_is_written_and_everything_else_stays(roll in rolls(900)) {
        let mut dice = Dice::new(roll);
        let ids = ["6c1e7a94-0f3d-4b58-a2c7-d915e86b4f30", "00000000-0f3d-4b58-a2c7-d915e86b4f30"];
        let mut texts = Vec::new();
        for key in ["first", "second"] {
            let live = live::lone(&mut dice);
            let mut spec = faithful(&mut dice, &live, ScriptMembers::Declared);
            spec.insert("name".to_owned(), key.into());
            let text = Draft { key: key.to_owned(), id: None, spec }.text(&mut dice);
            texts.push(if dice.chance(50) { format!("# of {key}\n{text}") } else { text });
        }
        let mut text = texts.join("\n---\n");
        if dice.chance(30) {
            text.truncate(text.trim_end().len());
        }
        if dice.chance(30) {
            text = text.replace('\n', "\r\n");
        }
        let file = SourceFile::new("jobs.d/a.yaml", text.as_str());
        let wanted = [("first", ids[0]), ("second", ids[1])];
        let n_wanted = 1 + dice.below(2);
        let edited = text_edit::with_ids(&file, &wanted[..n_wanted]);
        let Ok(Some(edited)) = edited else { panic!("{edited:?}\nof\n{text}") };
        let before = pipeline::parsed(&[("jobs.d/a.yaml".to_owned(), text.clone())]);
        let after = pipeline::parsed(&[("jobs.d/a.yaml".to_owned(), edited.clone())]);
        for (at, (before, after)) in before.manifests.iter().zip(&after.manifests).enumerate() {
            prop_assert_eq!(after.id.as_deref(), (at < n_wanted).then_some(ids[at]));
            prop_assert_eq!(&before.spec, &after.spec);
            prop_assert_eq!(&before.key, &after.key);
        }
        // Taken out again, the pieces leave the text as it was.
        let pieces = wanted[..n_wanted].iter().fold(edited, |text, (_, id)| {
            let at = text.find(id).expect("written");
            let start = text[..at].rfind([',', '\n']).expect("after the key");
            let is_line = text[start..].starts_with('\n');
            let end = at + id.len() + usize::from(!is_line && text[at + id.len()..].starts_with('"'));
            let start = if is_line && text[..start].ends_with('\r') { start - 1 } else { start };
            format!("{}{}", &text[..start], &text[end..])
        });
        prop_assert_eq!(pieces, text);
    }

    /// Declared scripts are equal once their digest is stamped, and one update before.
    #[test]
    fn a_faithful_manifest_with_scripts_plans_nothing_once_stamped(roll in rolls(900)) {
        let mut dice = Dice::new(roll);
        let mut live = live::lone(&mut dice);
        live["status"] = "Disabled".into();
        let spec = faithful(&mut dice, &live, ScriptMembers::Declared);
        let draft = draft(&live, spec);
        let files = pipeline::files(&mut dice, std::slice::from_ref(&draft));
        let set = pipeline::parsed(&files);
        let manifest = &set.manifests[0];
        let before = pipeline::planned(&files, std::slice::from_ref(&live), Envelope::Minimal);
        let n_scripts = before.changes.iter().flat_map(|change| &change.fields).count();
        prop_assert_eq!(n_scripts > 0, manifest.script_files.values().count() > 0 && has_stored_script(&live));
        let normalised = LiveJob::new(live.clone()).normalised;
        let stamp = stamp::expected(OWNER, &manifest.key, &manifest.spec, &normalised);
        live["description"] = stamp::join(normalised.text("description"), &stamp).into();
        let after = pipeline::planned(&files, std::slice::from_ref(&live), Envelope::Minimal);
        prop_assert!(after.is_empty(), "{}\nof\n{}\nlive\n{live:#}", pipeline::shown(&after).0, files[0].1);
    }

    #[test]
    fn normalising_twice_changes_nothing_more(roll in rolls(900)) {
        let live = live::lone(&mut Dice::new(roll));
        let once = normalise::live(&live);
        let twice = normalise::live(&Value::Object(once.members().clone()));
        prop_assert_eq!(&once, &twice);
        prop_assert_eq!(serde_json::to_string(once.members()).unwrap(), serde_json::to_string(twice.members()).unwrap());
        // What the server keeps means the same as what it answers.
        prop_assert_eq!(&normalise::live(&server::stored(&live)), &once);
    }

    /// Live plus patch is the desired job, on every kind of server that the body is meant for.
    #[test]
    fn live_plus_patch_is_desired(roll in rolls(1100)) {
        for envelope in [Envelope::Minimal, Envelope::Full] {
            let Some((live, draft, change)) = update_of(&mut Dice::new(roll), envelope) else { continue };
            let basis = change.basis.as_ref().expect("an update has a basis");
            for server in SERVERS {
                if matches!((envelope, server), (Envelope::Minimal, Server::Replace)) {
                    continue;
                }
                let after = server::patched(server, &server::stored(&live), pipeline::body(&change));
                let found = normalise::live(&after);
                let wrong = differences(&found, &basis.desired);
                prop_assert!(wrong.is_empty(), "{wrong:#?} {envelope:?} {server:?} {:#}", pipeline::body(&change));
                let declared = &pipeline::parsed(&pipeline::files(&mut Dice::seeded(1), std::slice::from_ref(&draft)));
                if let Err(pointer) = holds(&declared.manifests[0].spec, &found) {
                    prop_assert!(false, "{} does not hold after {:#}", pointer, pipeline::body(&change));
                }
            }
        }
    }

    /// Every member of a minimal body is needed.
    #[test]
    fn leaving_out_a_member_of_a_patch_breaks_it(roll in rolls(1100)) {
        let Some((live, _, change)) = update_of(&mut Dice::new(roll), Envelope::Minimal) else { return Ok(()) };
        let basis = change.basis.as_ref().expect("an update has a basis");
        let desired = &basis.desired;
        let used = desired.schedule_type().map_or(schedules::ALL, schedules::bit);
        let used_before = basis.live.schedule_type().map_or(schedules::ALL, schedules::bit);
        let body = pipeline::body(&change).as_object().expect("a body");
        for name in body.keys() {
            // `type` is there because the API demands it, the description because of the stamp, and leftovers of the
            // former schedule because nobody polices them: none of these is seen in the normalised job.
            let stamp_only = name == "description" && !change.fields.iter().any(|field| field.path == "/description");
            // A leftover may also happen to be what the new schedule wants.
            let leftover = |row: &Member| row.schedules & used_before == 0 && live.get(name).is_some_and(|v| !v.is_null());
            let unused = job::find(JOB, name).is_some_and(|row| row.schedules & used == 0 || leftover(row));
            if name == "type" || stamp_only || unused {
                continue;
            }
            let mut less = body.clone();
            less.shift_remove(name);
            let after = server::patched(Server::DeepMerge, &server::stored(&live), &Value::Object(less));
            let wrong = differences(&normalise::live(&after), desired);
            prop_assert!(!wrong.is_empty(), "{name} is not needed in {body:#?}");
        }
    }

    /// Nothing that no manifest declares is sent, and what stands beside it in a block is sent as it was read.
    #[test]
    fn undeclared_members_are_not_sent(roll in rolls(1100)) {
        for envelope in [Envelope::Minimal, Envelope::Full] {
            let Some((live, draft, change)) = update_of(&mut Dice::new(roll), envelope) else { continue };
            let set = pipeline::parsed(&pipeline::files(&mut Dice::seeded(1), std::slice::from_ref(&draft)));
            let declared = &set.manifests[0].spec;
            let stored = server::stored(&live);
            let basis = change.basis.as_ref().expect("an update has a basis");
            let new_schedule = basis.live.schedule_type() != basis.desired.schedule_type();
            for (name, sent) in pipeline::body(&change).as_object().expect("a body") {
                if let Some(declared) = declared.get(name) {
                    let raw = stored.get(name).unwrap_or(&Value::Null);
                    prop_assert_eq!(undeclared_is_kept(raw, declared, sent, &format!("/{name}")), Ok(()));
                    continue;
                }
                let row = job::find(JOB, name);
                let of_the_schedule =
                    new_schedule && (name == "recurring" || row.is_some_and(|row| row.schedules != schedules::ALL));
                match (name.as_str(), envelope) {
                    ("type", _) => prop_assert_eq!(sent, &live["type"]),
                    ("description", _) => {
                        let (text, found) = stamp::split(sent.as_str().expect("a text"));
                        prop_assert!(matches!(found, stamp::Found::Stamp(_)));
                        prop_assert_eq!(text, stamp::split(live["description"].as_str().unwrap_or_default()).0);
                    }
                    (_, Envelope::Minimal) if of_the_schedule => {
                        let says_nothing = sent.is_null() || sent == &Value::Bool(false);
                        prop_assert!(says_nothing || name == "recurring", "{} is {}", name, sent);
                    }
                    (_, Envelope::Full) if of_the_schedule => {}
                    (_, Envelope::Full) => prop_assert_eq!(Some(sent), stored.get(name), "{}", name),
                    (_, Envelope::Minimal) => prop_assert!(false, "{} is not declared and is sent", name),
                }
            }
        }
    }

    /// After an update that was carried out, there is nothing left to do, and the stamp tells who moved next.
    #[test]
    fn after_an_update_the_stamp_tells_git_from_console(roll in rolls(1100)) {
        let mut dice = Dice::new(roll);
        let Some((live, draft, change)) = update_of(&mut dice, Envelope::Minimal) else { return Ok(()) };
        let after = server::patched(Server::DeepMerge, &server::stored(&live), pipeline::body(&change));
        let after = server::settled(after);
        let again = pipeline::planned_one(&draft, &after, Envelope::Minimal);
        prop_assert!(again.is_empty(), "{}\nof {:#}\nlive {after:#}", pipeline::shown(&again).0, pipeline::body(&change));

        let in_git = |draft: &Draft| {
            let mut draft = draft.clone();
            draft.spec.insert("minimizeWindow".to_owned(), Value::Null);
            draft.spec.insert("approvedPatches".to_owned(), serde_json::json!(["0d8f1b9a-0000-4000-8000-000000000001"]));
            draft
        };
        let in_console = |job: &Value| {
            let mut job = job.clone();
            job["approvedPatches"] = serde_json::json!(["0d8f1b9a-0000-4000-8000-000000000002"]);
            job
        };
        prop_assert_eq!(origins(&in_git(&draft), &after), BTreeSet::from(["git"]));
        if draft.spec.contains_key("approvedPatches") {
            prop_assert_eq!(origins(&draft, &in_console(&after)), BTreeSet::from(["console"]));
        }
        prop_assert_eq!(origins(&in_git(&draft), &in_console(&after)), BTreeSet::from(["unknown"]));
        // Without a stamp nobody is accused.
        let mut bare = in_console(&after);
        bare["description"] = stamp::split(after["description"].as_str().expect("stamped")).0.into();
        prop_assert_eq!(origins(&in_git(&draft), &bare), BTreeSet::from(["unknown"]));
    }
}

proptest! {
    #![proptest_config(config(40))]

    /// The same manifests and jobs give the same bytes, in whatever order files and answers come.
    #[test]
    fn the_plan_depends_on_nothing_but_its_input(roll in rolls(6000)) {
        let mut dice = Dice::new(roll);
        let jobs = live::tenant(&mut dice, 8);
        let drafts: Vec<Draft> = jobs
            .iter()
            .enumerate()
            .filter(|(at, _)| at % 4 != 3)
            .map(|(at, job)| {
                let mut spec = faithful(&mut dice, job, ScriptMembers::Left);
                edit::edits(&mut dice, job, &mut spec, 3);
                let id = dice.chance(50).then(|| job["id"].as_str().expect("an id").to_owned());
                Draft { key: format!("job-{at}"), id, spec }
            })
            .collect();
        let mut files = pipeline::files(&mut dice, &drafts);
        let first = pipeline::planned(&files, &jobs, Envelope::Minimal);
        let second = pipeline::planned(&files, &jobs, Envelope::Minimal);
        prop_assert_eq!(pipeline::shown(&first), pipeline::shown(&second));
        let mut answers = jobs.clone();
        dice.shuffle(&mut files);
        dice.shuffle(&mut answers);
        let third = pipeline::planned(&files, &answers, Envelope::Minimal);
        prop_assert_eq!(pipeline::shown(&first), pipeline::shown(&third));
        prop_assert_eq!(first.fingerprint(), third.fingerprint());
    }
}

/// A glance that never says yes would be of no use, and would be found by no other test.
#[test]
fn most_faithful_manifests_are_seen_at_a_glance() {
    let n_seen = (0..200).filter(|seed| {
        let mut dice = Dice::seeded(*seed);
        let live = live::lone(&mut dice);
        let spec = faithful(&mut dice, &live, ScriptMembers::Left);
        let set = pipeline::parsed(&pipeline::files(&mut dice, &[draft(&live, spec)]));
        let declared = serde_json::to_vec(&set.manifests[0].spec).expect("JSON");
        let job = serde_json::to_vec(&live).expect("JSON");
        let [declared, job] = [&declared, &job].map(|json| Lean::parse(json).expect("JSON"));
        plan::is_as_declared(OWNER, &declared, &job)
    });
    let n_seen = n_seen.count();
    // The generated jobs hold every odd form and most have scripts; of usual ones nearly all are seen.
    assert!(n_seen >= 10, "{n_seen} of 200");
}

fn has_stored_script(live: &Value) -> bool {
    ["preDeployActions", "postDeployActions"].iter().any(|list| {
        let actions = live[list].as_array().into_iter().flatten();
        actions
            .flat_map(|action| [&action["script"], &action["detectionScript"]])
            .any(|script| script.as_str().is_some_and(|path| !path.is_empty()))
    })
}

/// The origins of all differences of an update.
#[track_caller]
fn origins(draft: &Draft, live: &Value) -> BTreeSet<&'static str> {
    let plan = pipeline::planned_one(draft, live, Envelope::Minimal);
    let change = pipeline::update(&plan).expect("an update");
    change.fields.iter().map(|field| field.origin).map(Origin::as_str).collect()
}

/// Whether every declared member is in a job, or the JSON Pointer of one that is not.
fn holds(declared: &Map<String, Value>, job: &Normalised) -> Result<(), String> {
    let used = job.schedule_type().map_or(schedules::ALL, schedules::bit);
    for (name, value) in declared {
        let row = job::find(JOB, name);
        let server_fills_in = job.schedule_type() == Some("On-demand") && value.is_null();
        let means_nothing = row.is_some_and(|row| row.schedules & used == 0)
            || (name == "timezone" && (job.text("timezoneType") == Some("AGENT_TZ") || server_fills_in));
        if name == "status" || means_nothing {
            continue;
        }
        value_holds(row, value, job.members().get(name), &format!("/{name}"))?;
    }
    Ok(())
}

fn value_holds(
    row: Option<&Member>,
    declared: &Value,
    found: Option<&Value>,
    pointer: &str,
) -> Result<(), String> {
    let row_of = |name: &str| row.and_then(|row| job::find(row.members(), name));
    match (declared, found) {
        (Value::Object(declared), Some(Value::Object(found))) if !declared.contains_key("sha256") => {
            for (name, value) in declared {
                value_holds(row_of(name), value, found.get(name), &format!("{pointer}/{name}"))?;
            }
            Ok(())
        }
        (Value::Array(declared), Some(Value::Array(found)))
            if row.is_some_and(|row| matches!(row.kind, Type::List(..))) && declared.len() == found.len() =>
        {
            for (at, (declared, found)) in declared.iter().zip(found).enumerate() {
                value_holds(row, declared, Some(found), &format!("{pointer}/{at}"))?;
            }
            Ok(())
        }
        (declared, found) if Some(declared) == found => Ok(()),
        (declared, None) if says_nothing(declared) => Ok(()),
        (declared, found) => Err(format!("{pointer} is {found:?} and not {declared}")),
    }
}

fn says_nothing(value: &Value) -> bool {
    match value {
        Value::Null | Value::Bool(false) => true,
        Value::String(text) => text == "Any",
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.values().all(says_nothing),
        Value::Bool(true) | Value::Number(_) => false,
    }
}

/// Compares a sent member with the live one, all that is declared left out.
fn undeclared_is_kept(raw: &Value, declared: &Value, sent: &Value, pointer: &str) -> Result<(), String> {
    match (declared, sent) {
        (Value::Object(declared), Value::Object(sent)) if !declared.contains_key("sha256") => {
            let empty = Map::new();
            let raw = raw.as_object().unwrap_or(&empty);
            for name in raw.keys().chain(sent.keys()) {
                let pointer = format!("{pointer}/{name}");
                match declared.get(name) {
                    None if name == "actionType" && !raw.contains_key(name) => {}
                    None if raw.get(name) != sent.get(name) => {
                        return Err(format!(
                            "{pointer} was {:?} and is sent as {:?}",
                            raw.get(name),
                            sent.get(name)
                        ));
                    }
                    None => {}
                    Some(declared) => {
                        if let Some(sent) = sent.get(name) {
                            undeclared_is_kept(
                                raw.get(name).unwrap_or(&Value::Null),
                                declared,
                                sent,
                                &pointer,
                            )?;
                        }
                    }
                }
            }
            Ok(())
        }
        (Value::Array(declared), Value::Array(sent)) if sent.iter().any(Value::is_object) => {
            let raw = raw.as_array().map_or(&[][..], Vec::as_slice);
            if declared.len() != sent.len() {
                return Err(format!("{pointer} has {} elements and {} are sent", declared.len(), sent.len()));
            }
            for (at, (declared, sent)) in declared.iter().zip(sent).enumerate() {
                let same_id =
                    |other: &&Value| sent["actionId"].is_string() && other["actionId"] == sent["actionId"];
                let is_action = pointer.ends_with("Actions");
                let raw = if is_action { raw.iter().find(same_id) } else { raw.get(at) };
                undeclared_is_kept(raw.unwrap_or(&Value::Null), declared, sent, &format!("{pointer}/{at}"))?;
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The generated jobs say something for every member that a person can set: a new row of the table needs a line there.
#[test]
fn the_generated_jobs_cover_the_table() {
    let mut filled = BTreeSet::new();
    for seed in 0..300 {
        let live = server::stored(&live::lone(&mut Dice::seeded(seed)));
        fill(JOB, &live, "", &mut filled);
    }
    let mut missing = Vec::new();
    job::walk(&mut |path, row| {
        let plain = !matches!(row.kind, Type::Object(_) | Type::List(..));
        if row.is_settable() && plain && row.owner != Owner::Server && !filled.contains(path) {
            missing.push(path.to_owned());
        }
    });
    // A filled value was never seen; and this one is for actions before deployment.
    missing
        .retain(|path| !["isVulnContext", "postDeployActions[].defaultScriptType"].contains(&path.as_str()));
    assert!(missing.is_empty(), "{missing:?}");
}

fn fill(rows: &'static [Member], value: &Value, prefix: &str, filled: &mut BTreeSet<String>) {
    for row in rows {
        let path = format!("{prefix}{}", row.name);
        let value = &value[row.name];
        match (row.kind, value) {
            (Type::Object(rows), _) => fill(rows, value, &format!("{path}."), filled),
            (Type::List(rows, _), Value::Array(items)) => {
                for item in items {
                    fill(rows, item, &format!("{path}[]."), filled);
                }
            }
            (_, value) if !support::forms::is_nothing(row, value) => {
                filled.insert(path);
            }
            _ => {}
        }
    }
}

/// A difference that no member shows would be one that no request mends.
#[test]
fn a_difference_always_has_a_pointer() {
    for seed in 0..200 {
        let mut dice = Dice::seeded(seed);
        let (left, right) = (live::lone(&mut dice), live::lone(&mut dice));
        let (left, right) = (normalise::live(&left), normalise::live(&right));
        assert_eq!(diff::diff(&left, &right).is_empty(), left == right, "seed {seed}");
        assert_eq!(diff::diff(&left, &left), [], "seed {seed}");
    }
}
