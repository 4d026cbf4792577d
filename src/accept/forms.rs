//! The form in which a live value is written: the one in which the value that it replaces was written, as far as both
//! can be.
//!
//! This is about what a value says (`Tue` or `tuesday`, `15` or `"15"`, a date with a `T` or a blank); how that is
//! quoted is the business of `scalar`.

use serde_json::Value as Json;

use super::proof::json_of;
use crate::import::Known;
use crate::job::{Element, Member, Owner, Type, canonical};
use crate::normalise;
use crate::yaml::{Node, Value};

/// Long names of the days, in the order of the API.
const LONG_DAYS: [&str; 7] = ["Sunday", "Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday"];

/// A live scalar, canonical, in the form of the one that stands there; `null` for none.
pub(super) fn readable(row: &Member, live: &Json, old: &Value) -> Json {
    if live.is_null() {
        return canonical::unset(row);
    }
    if row.owner == Owner::Status {
        let armed = normalise::is_armed(live.as_str());
        return cased(row, if armed { "Enabled" } else { "Disabled" }, old).into();
    }
    match (row.kind, live) {
        (Type::Choice(_) | Type::OpenChoice(_), Json::String(text)) => cased(row, text, old).into(),
        (Type::Integer(..), Json::Number(number)) if is_digits(old) => number.to_string().into(),
        (Type::DateTime, Json::String(text)) => date_time(text, old.as_str()).into(),
        (Type::WeekDay, Json::String(day)) => week_day(day, old),
        (Type::WeekDays, Json::Array(days)) => match old {
            Value::String(text) => week_days(days, text).into(),
            _ => live.clone(),
        },
        (Type::Addresses, Json::Array(items)) => match old {
            Value::String(text) => addresses(items, text).into(),
            _ => live.clone(),
        },
        _ => live.clone(),
    }
}

/// Whether a number was written as a text.
fn is_digits(old: &Value) -> bool {
    old.as_str().is_some_and(|text| text.trim().parse::<i64>().is_ok())
}

/// A named value in small or large letters, where the one before was.
fn cased(row: &Member, text: &str, old: &Value) -> String {
    let Some(old) = old.as_str() else { return text.to_owned() };
    let proper = canonical::canonical(row, &old.into()).ok();
    match proper.as_ref().and_then(Json::as_str) {
        Some(proper) if proper != old && proper.to_lowercase() == old => text.to_lowercase(),
        Some(proper) if proper != old && proper.to_uppercase() == old => text.to_uppercase(),
        Some(_) | None => text.to_owned(),
    }
}

/// A day as days are written beside it: short or long, in small letters or not.
fn day_like(day: &str, others: &[&str]) -> String {
    let position = canonical::DAYS.iter().position(|name| *name == day);
    let is_long = !others.is_empty() && others.iter().all(|other| other.trim().len() > 4);
    let day = match position {
        Some(position) if is_long => LONG_DAYS[position],
        Some(_) | None => day,
    };
    let is_all =
        |case: fn(&str) -> String| !others.is_empty() && others.iter().all(|other| case(other) == *other);
    if is_all(str::to_lowercase) {
        day.to_lowercase()
    } else if is_all(str::to_uppercase) {
        day.to_uppercase()
    } else {
        day.to_owned()
    }
}

fn week_day(day: &str, old: &Value) -> Json {
    let number = canonical::DAYS.iter().position(|name| *name == day);
    match (old, number) {
        (Value::Integer(_), Some(number)) => number.into(),
        (Value::String(text), Some(number)) if text.trim().parse::<i64>().is_ok() => {
            number.to_string().into()
        }
        (Value::String(text), _) => day_like(day, &[text.trim()]).into(),
        (_, _) => day.into(),
    }
}

/// Days in one text: flags stay flags, names stay names with what stood between them.
fn week_days(days: &[Json], old: &str) -> String {
    let days: Vec<&str> = days.iter().filter_map(Json::as_str).collect();
    let is_flags = old.split(',').all(|part| matches!(part.trim(), "0" | "1"));
    if is_flags {
        let flags = canonical::DAYS.iter().map(|day| if days.contains(day) { "1" } else { "0" });
        return flags.collect::<Vec<_>>().join(",");
    }
    let others: Vec<&str> = old.split([',', ' ']).filter(|part| !part.is_empty()).collect();
    let between = if !old.contains(',') && others.len() > 1 {
        " "
    } else if old.contains(',') && !old.contains(", ") {
        ","
    } else {
        ", "
    };
    days.iter().map(|day| day_like(day, &others)).collect::<Vec<_>>().join(between)
}

/// Addresses in one text: those that stay keep their order and their spelling.
fn addresses(live: &[Json], old: &str) -> String {
    let live: Vec<&str> = live.iter().filter_map(Json::as_str).collect();
    let parts: Vec<&str> = old.split(',').map(str::trim).filter(|part| !part.is_empty()).collect();
    let same = |a: &str, b: &str| a.eq_ignore_ascii_case(b);
    let mut kept: Vec<&str> =
        parts.iter().copied().filter(|part| live.iter().any(|address| same(address, part))).collect();
    let new = live.iter().copied().filter(|address| !parts.iter().any(|part| same(address, part)));
    kept.extend(new);
    kept.join(if old.contains(',') && !old.contains(", ") { "," } else { ", " })
}

/// A canonical date in the notation of another: ISO with a `T` or a blank, with or without seconds, or the server's.
pub(super) fn date_time(live: &str, old: Option<&str>) -> String {
    let short = live.strip_suffix(":00").filter(|_| live.len() == 19).unwrap_or(live);
    let Some(old) = old.map(str::trim) else { return short.to_owned() };
    if old.ends_with(['M', 'm']) {
        return match live.parse() {
            Ok(at) => canonical::server_date_time(at),
            Err(_) => live.to_owned(),
        };
    }
    let has_seconds = old.matches(':').count() > 1;
    let text = if has_seconds { live } else { short };
    match old.chars().nth(10) {
        Some(between @ (' ' | 't')) => text.replacen('T', &between.to_string(), 1),
        Some(_) | None => text.to_owned(),
    }
}

/// What one element of a declared set or list of days stands for, canonical; nothing where it can not be told.
pub(super) fn meaning(row: &Member, node: &Node, known: &Known) -> Vec<Json> {
    let mut json = json_of(node);
    if let Some(text) = json.as_str().map(str::trim) {
        let id = match row.kind {
            Type::Set(Element::Tag) if !canonical::is_uuid(text) => known.tags.get(text).cloned(),
            Type::Set(Element::Action) if !canonical::is_uuid(text) => action_id(known, text),
            _ => None,
        };
        if let Some(id) = id {
            json = id.into();
        }
    }
    match canonical::canonical(row, &Json::Array(vec![json])) {
        Ok(Json::Array(items)) => items,
        Ok(_) | Err(_) => Vec::new(),
    }
}

/// The id of the action with this name, where only one has it.
pub(super) fn action_id(known: &Known, name: &str) -> Option<String> {
    let mut ids = known.action_names.iter().filter(|(_, of_action)| *of_action == name).map(|(id, _)| id);
    ids.next().filter(|_| ids.next().is_none()).cloned()
}

/// A new element of a set or list of days, written like the ones beside it.
pub(super) fn element(row: &Member, live: &Json, others: &[Node], known: &Known) -> Json {
    let texts: Vec<&str> = others.iter().filter_map(|node| node.value.as_str()).collect();
    let Some(text) = live.as_str() else {
        let is_text = !others.is_empty() && texts.len() == others.len();
        return if is_text && live.is_number() { live.to_string().into() } else { live.clone() };
    };
    match row.kind {
        Type::WeekDays => day_like(text, &texts).into(),
        // Where a tag has a name in the configuration, that is how people want to read it.
        Type::Set(Element::Tag) => known.configured_tag(text).unwrap_or(text).into(),
        Type::Set(Element::Action) => {
            let by_name = texts.is_empty() || texts.iter().any(|text| !canonical::is_uuid(text.trim()));
            let name = known.action_names.get(text).filter(|name| {
                by_name && action_id(known, name).as_deref() == Some(text) && !canonical::is_uuid(name)
            });
            name.map_or(text, String::as_str).into()
        }
        _ => live.clone(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::job::find_pointer;

    #[track_caller]
    fn check(pointer: &str, live: Json, old: Value, expected: Json) {
        let row = find_pointer(pointer).expect("a row");
        assert_eq!(readable(row, &live, &old), expected);
    }

    fn text(text: &str) -> Value {
        Value::String(text.to_owned())
    }

    #[test]
    fn a_value_is_written_as_the_one_before() {
        check("/timeout", json!(5), Value::Integer(3), json!(5));
        check("/timeout", json!(5), text("3"), json!("5"));
        check("/scheduleType", json!("Monthly"), text("weekly"), json!("monthly"));
        check("/scheduleType", json!("Monthly"), text("Weekly"), json!("Monthly"));
        check("/timeoutUnit", json!("HOURS"), text("minutes"), json!("hours"));
        check("/status", json!("Prepared"), text("Disabled"), json!("Enabled"));
        check("/status", json!("Disabled"), text("enabled"), json!("disabled"));
        check("/name", json!(null), text("x"), json!(null));
        check("/minimizeWindow", json!(null), Value::Bool(true), json!(false));
        check("/filterType", json!(null), text("All"), json!("Any"));
    }

    #[test]
    fn dates_keep_their_notation() {
        let live = json!("2027-01-05T14:30:00");
        check("/startDateTime", live.clone(), text("2026-12-01T02:00"), json!("2027-01-05T14:30"));
        check("/startDateTime", live.clone(), text("2026-12-01 02:00"), json!("2027-01-05 14:30"));
        check("/startDateTime", live.clone(), text("2026-12-01T02:00:00"), json!("2027-01-05T14:30:00"));
        check("/startDateTime", live.clone(), text("2026-12-01 02:00:00 AM"), json!("2027-1-05 02:30:00 PM"));
        check("/startDateTime", live, Value::Null, json!("2027-01-05T14:30"));
        check(
            "/startDateTime",
            json!("2027-01-05T14:30:09"),
            text("2026-12-01T02:00"),
            json!("2027-01-05T14:30:09"),
        );
    }

    #[test]
    fn days_keep_their_notation() {
        let live = json!(["Tue", "Sat"]);
        check("/recurringWeekDays", live.clone(), text("0,0,1,0,1,0,0"), json!("0,0,1,0,0,0,1"));
        check("/recurringWeekDays", live.clone(), text("Tue, Thu"), json!("Tue, Sat"));
        check("/recurringWeekDays", live.clone(), text("tuesday thursday"), json!("tuesday saturday"));
        check("/recurringWeekDays", live, text("TUE,THU"), json!("TUE,SAT"));
        check("/recurringWeekDayOfMonth", json!("Sun"), Value::Integer(3), json!(0));
        check("/recurringWeekDayOfMonth", json!("Sun"), text("3"), json!("0"));
        check("/recurringWeekDayOfMonth", json!("Sun"), text("Wednesday"), json!("Sunday"));
    }

    #[test]
    fn addresses_in_one_text_stay_in_their_order() {
        let live = json!(["a@x.example", "c@x.example"]);
        check(
            "/notification/notificationConfigs/recipientEmails",
            live,
            text("c@x.example, b@x.example"),
            json!("c@x.example, a@x.example"),
        );
    }
}
