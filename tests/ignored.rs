//! What a rule leaves alone is in no difference and is moved by no write, whatever the server does with a `PATCH`.

mod support;

use patchctl::ignore::{self, Rule, Rules};
use patchctl::job::{canonical, find_pointer, schedules};
use patchctl::normalise;
use patchctl::patch::Envelope;
use patchctl::plan::Plan;
use patchctl::source::{Place, SourceFile, Span};
use proptest::prelude::*;
use serde_json::{Map, Value};

use support::dice::{Dice, config, rolls};
use support::manifest::{Draft, ScriptMembers, faithful, subset};
use support::server::{self, Server};
use support::{edit, live, pipeline};

const SERVERS: [Server; 3] = [Server::DeepMerge, Server::TopMerge, Server::Replace];

/// A live job, and an edited part of its faithful manifest whose edits can be carried out.
fn edited(dice: &mut Dice) -> (Value, Draft) {
    let mut live = live::lone(dice);
    live["status"] = "Disabled".into();
    let spec = faithful(dice, &live, ScriptMembers::Left);
    let mut spec = if dice.chance(60) { subset(dice, &spec) } else { spec };
    edit::edits(dice, &live, &mut spec, 6);
    spec.shift_remove("status");
    // A block that is declared as none holds what is ignored, too.
    if dice.chance(20) && spec.contains_key("notification") {
        spec.insert("notification".to_owned(), Value::Null);
    }
    let id = live["id"].as_str().expect("generated with an id").to_owned();
    (live, Draft { key: "job".to_owned(), id: Some(id), spec })
}

fn rules(members: &[String]) -> Rules {
    let place = Place::new(&SourceFile::new("patchctl.yaml", "ignore"), Span::new(0, 1));
    let rule = |member: &String| Rule {
        keys: globset::Glob::new("jo*").expect("a glob"),
        member: member.clone(),
        reason: "drawn by lot".to_owned(),
        until: None,
        keys_place: place.clone(),
        place: place.clone(),
        until_place: None,
    };
    Rules::new(members.iter().map(rule).collect(), jiff::civil::date(2026, 1, 1))
}

fn is_inside(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Members to be ignored: some that differ without a rule, and some drawn from all that a rule may name.
fn drawn(dice: &mut Dice, plan: &Plan) -> Vec<String> {
    let all = ignore::pointers();
    let mut members: Vec<String> = (0..dice.below(4)).map(|_| dice.pick(&all)).collect();
    for field in plan.changes.iter().flat_map(|change| &change.fields) {
        let around: Vec<&String> = all.iter().filter(|member| is_inside(member, &field.path)).collect();
        if !around.is_empty() && dice.chance(50) {
            members.push(dice.pick(&around).clone());
        }
    }
    // Schedule members follow when the type changes, declared or not: the schedule is one unit (DESIGN 2).
    let changes_type =
        plan.changes.iter().flat_map(|change| &change.fields).any(|f| f.path == "/scheduleType");
    members.retain(|member| {
        let of_schedule =
            find_pointer(member).is_none_or(|row| row.schedules != schedules::ALL) || member == "/recurring";
        member != "/scheduleType" && !(changes_type && of_schedule)
    });
    members
}

/// What a member says: nothing, where it is what none means, or a block in which nothing is said.
fn said(job: &Map<String, Value>, pointer: &str) -> Value {
    fn meaning(pointer: &str, value: &Value) -> Value {
        let is_unset = find_pointer(pointer).is_some_and(|row| *value == canonical::unset(row));
        match value {
            _ if is_unset => Value::Null,
            Value::Object(members) => {
                let said =
                    members.iter().map(|(name, value)| (name, meaning(&format!("{pointer}/{name}"), value)));
                let said: Map<_, _> = said
                    .filter(|(_, value)| !value.is_null())
                    .map(|(name, value)| (name.clone(), value))
                    .collect();
                if said.is_empty() { Value::Null } else { said.into() }
            }
            other => other.clone(),
        }
    }
    meaning(pointer, normalise::at(job, pointer).unwrap_or(&Value::Null))
}

proptest! {
    #![proptest_config(config(200))]

    #[test]
    fn what_is_ignored_is_never_a_difference_nor_moved(roll in rolls(1100)) {
        let mut dice = Dice::new(roll);
        let (live, draft) = edited(&mut dice);
        let files = pipeline::files(&mut dice, std::slice::from_ref(&draft));
        let jobs = std::slice::from_ref(&live);
        for envelope in [Envelope::Minimal, Envelope::Full] {
            let without = pipeline::planned(&files, jobs, envelope);
            let members = drawn(&mut dice, &without);
            let plan = pipeline::planned_under(rules(&members), &files, jobs, envelope);
            let fields: Vec<&str> =
                plan.changes.iter().flat_map(|change| &change.fields).map(|field| field.path.as_str()).collect();
            for member in &members {
                prop_assert!(
                    !fields.iter().any(|field| is_inside(member, field) || is_inside(field, member)),
                    "{member} in {fields:?} of\n{}", files[0].1
                );
            }
            // What differs without the rules and not with them is what is told of.
            for field in without.changes.iter().flat_map(|change| &change.fields) {
                if let Some(member) = members.iter().find(|member| is_inside(member, &field.path)) {
                    let told = plan.ignored.iter().any(|ignored| is_inside(&ignored.path, &field.path));
                    prop_assert!(told, "{member} hides {} and nothing tells of it", field.path);
                }
            }
            let Some(change) = pipeline::update(&plan) else { continue };
            let before = normalise::live(&live);
            for server in SERVERS {
                if matches!((envelope, server), (Envelope::Minimal, Server::Replace)) {
                    continue;
                }
                let after = server::patched(server, &server::stored(&live), pipeline::body(change));
                let found = normalise::live(&after);
                for member in &members {
                    prop_assert_eq!(
                        said(found.members(), member), said(before.members(), member),
                        "{} moved by {:#} on {:?}", member, pipeline::body(change), server
                    );
                }
                let mut settled = server::settled(after);
                settled["description"] = live["description"].clone();
                if fields.contains(&"/description") {
                    continue;
                }
                let again =
                    pipeline::planned_under(rules(&members), &files, std::slice::from_ref(&settled), envelope);
                let left = again.changes.iter().flat_map(|change| &change.fields);
                let left: Vec<_> = left.filter(|field| !field.path.contains("cript")).collect();
                prop_assert!(left.is_empty(), "{left:#?} is left of\n{}", files[0].1);
            }
        }
    }

    /// Editing what is ignored in Git leaves no trace in the stamp that a write would leave.
    #[test]
    fn the_stamp_does_not_tell_what_is_ignored(roll in rolls(900)) {
        let mut dice = Dice::new(roll);
        let (live, draft) = edited(&mut dice);
        let emails = "/notification/notificationConfigs/recipientEmails".to_owned();
        let timeout = "/timeout".to_owned();
        let mut other = Draft { key: draft.key.clone(), id: draft.id.clone(), spec: draft.spec.clone() };
        other.spec.insert("timeout".to_owned(), 7.into());
        let declared = |draft: &Draft| {
            let set = pipeline::parsed(&pipeline::files(&mut Dice::seeded(1), std::slice::from_ref(draft)));
            let manifest = set.manifests[0].leaving_out(&[&emails, &timeout]);
            patchctl::stamp::declared_digest(manifest.as_declared())
        };
        prop_assert_eq!(declared(&draft), declared(&other));
        let plan = |draft: &Draft| {
            let files = pipeline::files(&mut Dice::seeded(1), std::slice::from_ref(draft));
            let plan = pipeline::planned_under(
                rules(&[emails.clone(), timeout.clone()]), &files, std::slice::from_ref(&live), Envelope::Minimal,
            );
            (pipeline::update(&plan).map(|change| change.basis.clone().expect("a basis").stamp), plan.fingerprint())
        };
        prop_assert_eq!(plan(&draft), plan(&other));
    }
}
