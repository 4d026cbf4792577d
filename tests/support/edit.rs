//! Random edits of what a manifest declares, such that it stays valid.

use patchctl::job::{self, Member, Owner, Type, find_pointer};
use serde_json::{Map, Value, json};

use super::actions;
use super::dice::Dice;
use super::live;

/// Members that decide when a job runs; they are edited together.
const SCHEDULE: [&str; 9] = [
    "scheduleType",
    "startDateTime",
    "recurring",
    "recurringWeekDays",
    "dayOfMonth",
    "recurringLastDayOfMonth",
    "monthlyRecurringType",
    "patchTuesdayPlusXDays",
    "recurringDayOfMonth",
];

/// Members that are left as they are: what finds the job and its actions, what is fixed, what has a call of its own,
/// and units, whose number would mean something else.
const FIXED: [&str; 14] = [
    "name",
    "type",
    "platform",
    "status",
    "linkedJobId",
    "action",
    "actionId",
    "recurringWeekDayOfMonth",
    "timezoneType",
    "timeoutUnit",
    "downloadRandomizeTimeUnit",
    "defaultScriptType",
    "field",
    "condition",
];

/// Edits up to `most` declared members; says which, by JSON Pointer. Some of them may come out as they were.
pub(crate) fn edits(
    dice: &mut Dice,
    live: &Value,
    spec: &mut Map<String, Value>,
    most: usize,
) -> Vec<String> {
    let mut document = Value::Object(std::mem::take(spec));
    let mut edited = Vec::new();
    for _ in 0..most {
        let mut places = Vec::new();
        collect(&document, "", &mut places);
        if places.is_empty() {
            break;
        }
        let place = dice.pick(&places);
        if edit(dice, live, &mut document, &place) {
            edited.push(place);
        }
    }
    let Value::Object(after) = document else { unreachable!("an object stays one") };
    *spec = after;
    edited
}

/// All declared members that the table knows.
fn collect(value: &Value, prefix: &str, places: &mut Vec<String>) {
    let children: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            members.iter().map(|(name, value)| (format!("{prefix}/{name}"), value)).collect()
        }
        Value::Array(items) => {
            items.iter().enumerate().map(|(at, item)| (format!("{prefix}/{at}"), item)).collect()
        }
        _ => return,
    };
    for (pointer, child) in children {
        let Some(row) = find_pointer(&pointer) else { continue };
        let is_element = pointer.ends_with(|c: char| c.is_ascii_digit());
        if !is_element {
            places.push(pointer.clone());
        }
        if matches!(row.kind, Type::Object(_) | Type::List(..)) {
            collect(child, &pointer, places);
        }
    }
}

fn edit(dice: &mut Dice, live: &Value, document: &mut Value, pointer: &str) -> bool {
    let row = find_pointer(pointer).expect("collected by the table");
    let platform = live["platform"].as_str().unwrap_or_default();
    let elsewhere = row.platform.is_some_and(|(only, _)| only.as_str() != platform);
    if FIXED.contains(&row.name) || elsewhere {
        return false;
    }
    if SCHEDULE.contains(&row.name) {
        return schedule(dice, live, document, row);
    }
    if row.name == "actionItem" {
        let element = pointer.strip_suffix("/params/actionItem").expect("where it stands");
        // Under a new name the action is known by its id only.
        if document.pointer(element).and_then(|action| action.get("actionId")).is_none() {
            return false;
        }
    }
    if matches!(row.name, "downloadURL" | "fileChecksum") && !is_install(document, pointer) {
        return false;
    }
    let Some(place) = document.pointer_mut(pointer) else { return false };
    match another(dice, row, place, platform) {
        Some(value) => {
            *place = value;
            true
        }
        None => false,
    }
}

/// Whether a parameter belongs to an action of the only kind that takes it.
fn is_install(document: &Value, pointer: &str) -> bool {
    let element = pointer.split("/params/").next().and_then(|element| document.pointer(element));
    let kind = element.and_then(|action| action.get("action")).and_then(Value::as_str);
    kind.is_some_and(|kind| kind.eq_ignore_ascii_case("Install Software"))
}

/// Another good value for a member.
fn another(dice: &mut Dice, row: &Member, now: &Value, platform: &str) -> Option<Value> {
    let none = row.name != "actionItem" && dice.chance(20);
    match row.kind {
        Type::Text if none => Some(Value::Null),
        Type::Text if row.name == "timezone" => {
            Some(dice.pick(&["UTC", "Europe/Paris", "Asia/Tokyo"]).into())
        }
        Type::Text if row.name == "actionItem" => Some(format!("Renamed {}", dice.below(1000)).into()),
        Type::Text => Some(live::text(dice).into()),
        Type::Choice(values) | Type::OpenChoice(values) => Some(dice.pick(values).into()),
        Type::Bool => Some((now != &Value::Bool(true)).into()),
        // Small enough for every range, and for hours.
        Type::Integer(low, high, _) => Some(dice.between(low.max(1), high.min(100)).into()),
        Type::Set(job::Element::Integer) => Some(json!([dice.below(1000)])),
        Type::Set(_) if none => Some(json!([])),
        Type::Set(_) => Some(live::uuids(dice)),
        Type::Addresses => Some(json!([format!("p{}@example.org", dice.below(1000))])),
        Type::Script if now.as_str().is_some_and(|text| !text.is_empty()) => {
            Some(format!("echo {}\n", dice.below(1000)).into())
        }
        // No object: nobody can take a member out of an object of unknown shape on a server that merges deeply.
        Type::Any => Some(json!(dice.below(1000))),
        Type::Object(_) if row.name != "params" && dice.chance(20) => Some(Value::Null),
        Type::List(rows, _) if rows.iter().any(|row| row.owner == Owner::WriteOnly) => {
            list(dice, now.as_array().map_or(&[][..], Vec::as_slice), platform)
        }
        Type::Uuid
        | Type::Job
        | Type::WeekDays
        | Type::WeekDay
        | Type::DateTime
        | Type::Script
        | Type::Object(_)
        | Type::List(..) => None,
    }
}

/// A new action, or another order. None is taken away: its script would be lost, which is another test's matter.
fn list(dice: &mut Dice, actions: &[Value], platform: &str) -> Option<Value> {
    let mut actions = actions.to_vec();
    if actions.len() < actions::MOST && dice.chance(60) {
        let at = dice.below(actions.len() + 1);
        let item = format!("New {}", dice.below(100_000));
        let language = if platform == "Windows" { "ps" } else { "sh" };
        let action = json!({
            "action": "Run Script", "params": {"actionItem": item, "timeout": 60},
            "script": format!("echo {item}\n"), "scriptType": language,
        });
        actions.insert(at, action);
    } else {
        dice.shuffle(&mut actions);
    }
    Some(actions.into())
}

fn schedule(dice: &mut Dice, live: &Value, document: &mut Value, row: &Member) -> bool {
    let start = || json!("2031-03-04T05:06");
    let members = document.as_object_mut().expect("a job");
    let Some(declared) = members.get("scheduleType").and_then(Value::as_str).map(str::to_lowercase) else {
        // Alone, only what the live schedule uses can be edited.
        let used = job::schedules::bit(live["scheduleType"].as_str().unwrap_or_default());
        if row.schedules & used == 0 || !matches!(row.name, "startDateTime" | "recurringWeekDays") {
            return false;
        }
        let value = if row.name == "startDateTime" { start() } else { json!(["Sat", "Mon"]) };
        members.insert(row.name.to_owned(), value);
        return true;
    };
    let schedule = dice.pick(&["Weekly", "Monthly", "Daily", "Once", "On-demand"]);
    for name in SCHEDULE.iter().chain(&["recurringWeekDayOfMonth"]) {
        if let Some(value) = members.get_mut(*name) {
            *value = Value::Null;
        }
    }
    let mut set = |name: &str, value: Value| {
        members.insert(name.to_owned(), value);
    };
    set("scheduleType", schedule.into());
    if schedule != "On-demand" {
        set("startDateTime", start());
    }
    match (schedule, dice.below(4)) {
        ("Weekly", _) => set("recurringWeekDays", json!(["Fri"])),
        ("Monthly", 0) => set("dayOfMonth", json!(15)),
        ("Monthly", 1) => set("recurringLastDayOfMonth", json!(true)),
        ("Monthly", 2) => {
            set("recurringDayOfMonth", json!(2));
            set("recurringWeekDayOfMonth", json!("Sun"));
        }
        ("Monthly", _) => {
            set("monthlyRecurringType", json!(1));
            set("patchTuesdayPlusXDays", json!(-3));
        }
        _ => {}
    }
    // It follows from the type; a type that stays the same needs it said where it was.
    let recurs = !matches!(schedule, "On-demand" | "Once");
    if declared == schedule.to_lowercase() || dice.chance(50) {
        members.insert("recurring".to_owned(), recurs.into());
    } else {
        members.shift_remove("recurring");
    }
    true
}
