//! Properties of `accept`: for manifests in every notation and live jobs that differ in any member, what was accepted
//! differs no more, and no line changes that has nothing to do with it.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use patchctl::accept::{self, Accepted, Context, Job, is_script};
use patchctl::diff::{self, FieldChange, top_level};
use patchctl::ignore::Rules;
use patchctl::import::Known;
use patchctl::job::{self, Owner, Type};
use patchctl::manifest::{self, Manifest};
use patchctl::overlay;
use patchctl::snapshot::LiveJob;
use patchctl::source::{Place, SourceFile};
use proptest::prelude::*;
use serde_json::{Map, Value, json};

use support::dice::{Dice, Roll, config, rolls};
use support::manifest::{ScriptMembers, faithful, subset};
use support::pipeline::NoScripts;
use support::style::Style;
use support::{edit, live};

/// A file with one manifest that matters, and the job that it is about.
struct Case {
    file: Arc<SourceFile>,
    live: LiveJob,
    /// What stands before and after the manifest.
    around: (String, String),
}

fn context(tags: &BTreeMap<String, String>) -> manifest::Context<'_> {
    manifest::Context { tags, allow_unknown_fields: true, scripts: &NoScripts }
}

fn read(text: &str, path: &str) -> Option<Manifest> {
    let tags = BTreeMap::new();
    let parsed = manifest::parse(&SourceFile::new(path, text), context(&tags));
    let found = parsed.manifests.into_iter().find(|manifest| manifest.key == "job");
    found.filter(|_| !parsed.diagnostics.has_errors())
}

/// All that differs, as a plan has it, but for the contents of scripts.
fn differences(manifest: &Manifest, live: &LiveJob) -> Vec<FieldChange> {
    let desired = overlay::overlay(manifest.as_declared(), &live.normalised, true).desired;
    let mut fields = diff::diff(&live.normalised, &desired);
    let leftovers = overlay::schedule_leftovers(&live.raw, &live.normalised, &desired);
    fields.extend(leftovers.into_iter().map(|(row, before)| FieldChange {
        pointer: format!("/{}", row.name),
        before,
        after: Value::Null,
    }));
    fields.retain(|field| !is_script(&field.pointer));
    fields
}

/// A document with this spec, in any notation; `None` where the generator made none that is a manifest.
fn case(dice: &mut Dice, spec: Map<String, Value>, live: Value, anchored: usize) -> Option<Case> {
    let document = json!({
        "apiVersion": "patchctl/v1", "kind": "DeploymentJob",
        "metadata": {"key": "job", "id": live["id"]}, "spec": spec,
    });
    let plain = read(&serde_json::to_string(&document).expect("plain data"), "plain.yaml")?;
    let text = Style::new(dice, anchored).document(&document);
    let other = "# another one\napiVersion: patchctl/v1\nkind: DeploymentJob\nmetadata: {key: other, id: 00000000-0f3d-4b58-a2c7-d915e86b4f30}\nspec:\n  timeout: 5   # theirs\n";
    let before = if dice.chance(30) { format!("{other}---\n") } else { String::new() };
    let after = if dice.chance(30) { format!("---\n{other}") } else { String::new() };
    let mut whole = format!("{before}{text}{after}");
    if dice.chance(20) {
        whole.truncate(whole.trim_end().len());
    }
    let breaks = if dice.chance(25) { "\r\n" } else { "\n" };
    let mut around = (before, after);
    if breaks == "\r\n" {
        whole = whole.replace('\n', breaks);
        around = (around.0.replace('\n', breaks), around.1.replace('\n', breaks));
    }
    around.1.truncate(around.1.trim_end().len());
    let written = read(&whole, "jobs.d/a.yaml").unwrap_or_else(|| panic!("no manifest:\n{whole}"));
    assert_eq!(written.as_declared(), plain.as_declared(), "the writer of this test is wrong:\n{whole}");
    Some(Case { file: SourceFile::new("jobs.d/a.yaml", whole), live: LiveJob::new(live), around })
}

/// A live job, and a manifest that declares an edited part of it: the edits, undone, are the console's.
fn edited(roll: Roll, anchored: usize) -> Option<Case> {
    let mut dice = Dice::new(roll);
    let mut live = live::lone(&mut dice);
    let spec = faithful(&mut dice, &live, ScriptMembers::Left);
    let mut spec = if dice.chance(40) { subset(&mut dice, &spec) } else { spec };
    edit::edits(&mut dice, &live, &mut spec, 6);
    if spec.contains_key("status") && dice.chance(30) {
        live["status"] = "Disabled".into();
    }
    case(&mut dice, spec, live, anchored)
}

/// A manifest of one job, and another job altogether under its name: nearly every member differs.
fn replaced(roll: Roll) -> Option<Case> {
    let mut dice = Dice::new(roll);
    let first = live::lone(&mut dice);
    let mut second = live::lone(&mut dice);
    let spec = faithful(&mut dice, &first, ScriptMembers::Left);
    let spec = if dice.chance(50) { subset(&mut dice, &spec) } else { spec };
    // A job's platform and type are fixed when it is made.
    if first["platform"] != second["platform"] {
        return None;
    }
    for name in ["id", "name", "type"] {
        second[name] = first[name].clone();
    }
    case(&mut dice, spec, second, 0)
}

fn accepted(case: &Case, fields: &[FieldChange]) -> Accepted {
    let tags = BTreeMap::new();
    let mut known = Known::default();
    known.learn_actions(&case.live);
    let differences = fields.iter().map(|field| (field.clone(), true)).collect();
    let job = Job { key: "job", live: &case.live, differences };
    accept::accept(
        &case.file,
        &[job],
        Context { manifests: context(&tags), known: &known, ignore: &Rules::default() },
    )
}

/// The lines that a value fills, with what belongs to elements of a list.
fn lines_of(manifest: &Manifest, pointer: &str, lines: &[&str]) -> BTreeSet<usize> {
    let top = format!("/{}", top_level(pointer));
    let rows = [pointer, &top].map(job::find_pointer);
    let is_list = |row: Option<&job::Member>| {
        row.is_some_and(|row| {
            matches!(row.kind, Type::List(..) | Type::Set(_) | Type::WeekDays | Type::Addresses)
        })
    };
    let in_list = matches!(rows[1], Some(row) if matches!(row.kind, Type::List(..)));
    let parts = pointer.split('/').count();
    let whole = if in_list && parts <= 3 { top.as_str() } else { pointer };
    let Some((key, value)) = manifest.declared_at(whole) else { return BTreeSet::new() };
    let line = |file: &Arc<SourceFile>, at: usize| {
        Place::new(file, patchctl::source::Span::new(at, at)).line_column().0 - 1
    };
    let (first, mut last) = (line(&key.file, key.span.start), line(&key.file, value.span.end));
    let is_open =
        |at: usize| lines.get(at).is_some_and(|line| line.trim().is_empty() || line.trim().starts_with('#'));
    // Comments and empty lines behind the last element may belong to it.
    while (is_list(rows[0]) || whole == top) && is_open(last + 1) {
        last += 1;
    }
    (first..=last).collect()
}

/// What must hold of an acceptance, whatever was accepted.
fn judge(case: &Case, fields: &[FieldChange], found: &Accepted) -> Result<(), TestCaseError> {
    let text = &case.file.text;
    let refused: BTreeSet<&str> = found.refused.iter().map(|one| one.pointer.as_str()).collect();
    prop_assert_eq!(found.members.len() + found.refused.len(), fields.len(), "each is one or the other");
    let Some(after) = &found.text else {
        prop_assert!(found.members.is_empty(), "{:?}", found.members);
        return Ok(());
    };
    let before = read(text, &case.file.path).expect("checked");
    let read_again = read(after, &case.file.path);
    prop_assert!(read_again.is_some(), "of\n{text}\nbecame\n{after}");
    let manifest = read_again.expect("just asked");
    for field in differences(&manifest, &case.live) {
        let name = top_level(&field.pointer);
        prop_assert!(
            refused.iter().any(|pointer| top_level(pointer) == name),
            "{} differs still: {} not {}\nof\n{text}\nbecame\n{after}",
            field.pointer,
            field.before,
            field.after
        );
    }
    prop_assert!(after.starts_with(&case.around.0) && after.trim_end().ends_with(&case.around.1), "{after}");
    prop_assert_eq!(after.ends_with('\n'), text.ends_with('\n'), "the end of the file");
    prop_assert_eq!(after.contains("\r\n"), text.contains("\r\n"));
    if text.contains("\r\n") {
        prop_assert_eq!(after.matches('\n').count(), after.matches("\r\n").count(), "line ends");
    }
    // No line goes that is not one of an accepted member.
    let lines: Vec<&str> = text.lines().collect();
    let mut allowed = BTreeSet::new();
    for (_, pointer) in &found.members {
        allowed.extend(lines_of(&before, pointer, &lines));
    }
    // The last line of a file without a line break at its end gets one where something follows, and empty lines go
    // with what they part.
    let mut rest = after.lines();
    for (at, line) in
        lines.iter().enumerate().filter(|(at, line)| !allowed.contains(at) && !line.trim().is_empty())
    {
        let stays = rest.any(|new| new == *line);
        prop_assert!(stays, "line {}: {line}\nof\n{text}\nbecame\n{after}\nfor {:?}", at + 1, found.members);
    }
    Ok(())
}

proptest! {
    #![proptest_config(config(250))]

    /// Edits of any member that a person can set, in manifests of any notation: everything is accepted (issue 6).
    #[test]
    fn whatever_the_console_changed_goes_into_the_manifest(roll in rolls(1500)) {
        if let Some(case) = edited(roll, 0) {
            let manifest = read(&case.file.text, &case.file.path).expect("checked");
            let fields = differences(&manifest, &case.live);
            let found = accepted(&case, &fields);
            let refused: Vec<_> = found.refused.iter().map(|one| format!("{}: {}", one.pointer, one.finding.message)).collect();
            // A live value that no manifest can say is the one good reason here.
            let is_said = |one: &String| one.contains("can not be said in a manifest");
            prop_assert!(refused.iter().all(is_said), "{refused:?}\nof\n{}\nlive\n{:#}", case.file.text, case.live.raw);
            judge(&case, &fields, &found)?;
        }
    }

    /// The same where some values have anchors and others are aliases: those are refused, the others are not.
    #[test]
    fn anchors_never_change_for_everyone(roll in rolls(1500)) {
        if let Some(case) = edited(roll, 15) {
            let manifest = read(&case.file.text, &case.file.path).expect("checked");
            let fields = differences(&manifest, &case.live);
            let found = accepted(&case, &fields);
            for one in &found.refused {
                let codes = ["accept-anchor", "accept-value", "accept-notation"];
                prop_assert!(codes.contains(&one.finding.code), "{}: {}\nof\n{}", one.pointer, one.finding.message, case.file.text);
            }
            judge(&case, &fields, &found)?;
        }
    }

    /// Nearly every member at once, schedules of another type among them.
    #[test]
    fn a_job_that_became_another_one(roll in rolls(1800)) {
        if let Some(case) = replaced(roll) {
            let manifest = read(&case.file.text, &case.file.path).expect("checked");
            let fields = differences(&manifest, &case.live);
            let found = accepted(&case, &fields);
            judge(&case, &fields, &found)?;
        }
    }

    /// Only some of the differences: the others are as they were.
    #[test]
    fn what_was_not_asked_for_still_differs(roll in rolls(1500), share in 0_usize..100) {
        if let Some(case) = edited(roll, 0) {
            let manifest = read(&case.file.text, &case.file.path).expect("checked");
            let fields = differences(&manifest, &case.live);
            let mut dice = Dice::seeded(roll.seed);
            let taken: BTreeSet<String> =
                fields.iter().filter(|_| dice.chance(share)).map(|field| top_level(&field.pointer).to_owned()).collect();
            let is_taken = |field: &FieldChange| taken.contains(top_level(&field.pointer)) && !is_schedule(field);
            let tags = BTreeMap::new();
            let known = Known::default();
            let differences_of = fields.iter().map(|field| (field.clone(), is_taken(field))).collect();
            let job = Job { key: "job", live: &case.live, differences: differences_of };
            let found = accept::accept(&case.file, &[job], Context { manifests: context(&tags), known: &known, ignore: &Rules::default() });
            let text = found.text.clone().unwrap_or_else(|| case.file.text.clone());
            let after = differences(&read(&text, &case.file.path).expect("valid"), &case.live);
            let left = |fields: &[FieldChange]| -> Vec<String> {
                fields.iter().filter(|field| !is_taken(field)).map(|field| format!("{} {} {}", field.pointer, field.before, field.after)).collect()
            };
            prop_assert_eq!(left(&after), left(&fields), "of\n{}\nbecame\n{}", case.file.text, text);
        }
    }

    /// Whatever stands in the file, and whatever is said to differ: no panic, and no text that is no YAML.
    #[test]
    fn nothing_panics(roll in rolls(900), cuts in proptest::collection::vec((any::<u16>(), 0_usize..12, any::<u8>()), 1..6)) {
        const PIECES: [&str; 12] = ["", " ", "\n", "\t", "#", "'", "\"", "- ", ": ", "&a ", "*a", "\u{85}ä"];
        if let Some(mut case) = edited(roll, 10) {
            let manifest = read(&case.file.text, &case.file.path).expect("checked");
            let fields = differences(&manifest, &case.live);
            let mut text = case.file.text.clone();
            for (at, piece, length) in cuts {
                let mut at = usize::from(at) % (text.len() + 1);
                let mut end = (at + usize::from(length % 8)).min(text.len());
                while !text.is_char_boundary(at) { at -= 1; }
                while !text.is_char_boundary(end) { end += 1; }
                text.replace_range(at..end, PIECES[piece]);
            }
            case.file = SourceFile::new("jobs.d/a.yaml", text);
            let found = accepted(&case, &fields);
            if let Some(text) = &found.text {
                let (_, findings) = patchctl::yaml::parse(&SourceFile::new("a.yaml", text.as_str()));
                prop_assert!(!findings.has_errors());
            }
        }
    }
}

/// Members of a schedule follow one another, so that they are accepted or left together.
fn is_schedule(field: &FieldChange) -> bool {
    let row = job::find_pointer(&format!("/{}", top_level(&field.pointer)));
    let names = ["scheduleType", "recurring", "timezone", "timezoneType"];
    row.is_some_and(|row| row.schedules != job::schedules::ALL || names.contains(&row.name))
}

/// The generator reaches every member that a person can set, so that the properties above say something of each.
#[test]
fn every_member_is_accepted_by_some_case() {
    let mut reached = BTreeSet::new();
    let (mut n_accepted, mut n_refused) = (0, 0);
    let mut reasons: BTreeMap<String, usize> = BTreeMap::new();
    for seed in 0..300 {
        let roll = Roll { seed, length: 1800 };
        for case in [edited(roll, 0), replaced(roll)].into_iter().flatten() {
            let manifest = read(&case.file.text, &case.file.path).expect("checked");
            let fields = differences(&manifest, &case.live);
            let found = accepted(&case, &fields);
            n_accepted += found.members.len();
            n_refused += found.refused.len();
            for one in &found.refused {
                let why = one
                    .finding
                    .message
                    .split('`')
                    .filter(|part| !part.contains(['/', '.']))
                    .collect::<String>();
                *reasons.entry(why).or_insert(0_usize) += 1;
            }
            for (_, pointer) in found.members {
                let names: Vec<&str> =
                    pointer.split('/').filter(|part| part.parse::<usize>().is_err()).skip(1).collect();
                reached.insert(names.join("."));
            }
        }
    }
    let mut missing = Vec::new();
    job::walk(&mut |path, row| {
        let is_leaf = !matches!(row.kind, Type::Object(_) | Type::Script);
        let is_settable = matches!(row.owner, Owner::User | Owner::Status);
        // What finds a job or an action is the same on both sides, and some members have one value only.
        let finds = ["name", "action", "actionId", "actionItem", "field", "condition", "defaultScriptType"]
            .contains(&row.name);
        if is_leaf && is_settable && !finds && !reached.contains(&path.replace("[]", "")) {
            missing.push(path.to_owned());
        }
    });
    assert!(missing.is_empty(), "never accepted: {missing:?}");
    assert!(n_refused * 20 < n_accepted, "{n_refused} refused beside {n_accepted} accepted: {reasons:#?}");
}
