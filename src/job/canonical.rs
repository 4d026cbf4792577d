//! One canonical form for each type of value, and the way back to the form the API takes.
//!
//! The canonical form is what is compared, digested and shown: numbers are numbers, days are names, dates are
//! ISO, sets are sorted, the values that mean "none" are `null`. Both what people write and what the API
//! answers is brought to it here, so the two can never be read differently. Blocks and lists of blocks are
//! walked by the callers; rules that look at several members are in `rules` and `normalise`.

use jiff::civil::DateTime;
use serde_json::Value;

use super::{Element, Empty, Member, Type, Wire};

/// Short names of the days, in the order of the API: position 0 is Sunday (REFERENCE 5.5).
pub const DAYS: [&str; 7] = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"];

/// Long names of the days in small letters, in the same order.
pub(super) const LONG_DAYS: [&str; 7] =
    ["sunday", "monday", "tuesday", "wednesday", "thursday", "friday", "saturday"];

/// How a value differs from what its member takes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mismatch {
    /// What is allowed, to follow "must be": `a whole number from 1 to 31`.
    pub expected: String,
    /// YAML text that says what was probably meant.
    pub fix: Option<String>,
    /// Whether it may still be sent: a value that only this build, or only a public client, does not know.
    pub tolerable: bool,
}

impl Mismatch {
    fn new(expected: impl Into<String>) -> Self {
        Self { expected: expected.into(), fix: None, tolerable: false }
    }

    fn fix(mut self, fix: impl Into<String>) -> Self {
        self.fix = Some(fix.into());
        self
    }
}

/// What a member takes, to follow "must be".
pub fn expectation(member: &Member) -> String {
    match member.kind {
        Type::Text => "a text".to_owned(),
        Type::Uuid => "a UUID".to_owned(),
        Type::Job => "the UUID of a job".to_owned(),
        Type::Choice(values) | Type::OpenChoice(values) => match values {
            [only] => format!("`{only}`"),
            [rest @ .., last] => {
                format!(
                    "{} or `{last}`",
                    rest.iter().map(|v| format!("`{v}`")).collect::<Vec<_>>().join(", ")
                )
            }
            [] => "a text".to_owned(),
        },
        Type::Bool => "true or false".to_owned(),
        Type::Integer(i64::MIN, i64::MAX, _) => "a whole number".to_owned(),
        Type::Integer(0, i64::MAX, _) => "a whole number, 0 or more".to_owned(),
        Type::Integer(low, high, _) => format!("a whole number from {low} to {high}"),
        Type::WeekDays => "days of the week such as [Tue, Thu]".to_owned(),
        Type::WeekDay => "a day of the week such as Sun".to_owned(),
        Type::DateTime => "a date and time such as 2026-12-01T02:00".to_owned(),
        Type::Set(Element::Uuid) => "a list of UUIDs".to_owned(),
        Type::Set(Element::Tag) => "a list of tags, by UUID or by a name of the `tags` map".to_owned(),
        Type::Set(Element::Action) => "a list of the parent's post-actions, by name or UUID".to_owned(),
        Type::Set(Element::Integer) => "a list of whole numbers".to_owned(),
        Type::Addresses => "e-mail addresses, as a list or separated by commas".to_owned(),
        Type::Object(_) => "a mapping".to_owned(),
        Type::List(_, usize::MAX) => "a list of mappings".to_owned(),
        Type::List(_, most) => format!("a list of at most {most} mappings"),
        Type::Script => "the text of a script".to_owned(),
        Type::Any => "a value".to_owned(),
    }
}

/// Brings a scalar or set to canonical form; a block, a list of blocks or a script is returned as it is.
///
/// # Errors
/// Says what is allowed where the value is not of the member's type or range.
pub fn canonical(member: &Member, value: &Value) -> Result<Value, Mismatch> {
    if is_unset(member, value) {
        return Ok(unset(member));
    }
    let result = match member.kind {
        Type::Text => text(value).map(str::to_owned).map(Value::String),
        Type::Uuid | Type::Job => text(value).map(|text| Value::String(lower_uuid(text))),
        Type::Choice(known) => choice(known, value),
        Type::OpenChoice(known) => {
            choice(known, value).map_err(|mismatch| Mismatch { tolerable: value.is_string(), ..mismatch })
        }
        Type::Bool => bool_value(value),
        Type::Integer(low, high, _) => integer(value).and_then(|number| {
            let tolerable = member.evidence != super::Evidence::Doc;
            if (low..=high).contains(&number) {
                Ok(Value::from(number))
            } else {
                Err(Mismatch { tolerable, ..Mismatch::new("") })
            }
        }),
        Type::WeekDays => week_days(value),
        Type::WeekDay => week_day(value),
        Type::DateTime => date_time(value),
        Type::Set(element) => set(element, value),
        Type::Addresses => addresses(value),
        Type::Object(_) | Type::List(..) | Type::Script | Type::Any => Ok(value.clone()),
    };
    match result {
        Ok(value) if is_unset(member, &value) => Ok(unset(member)),
        Ok(value) => Ok(value),
        Err(mut mismatch) => {
            if mismatch.expected.is_empty() {
                mismatch.expected = expectation(member);
            }
            Err(mismatch)
        }
    }
}

/// The canonical form of "not set": `null`, or the value that none means.
pub fn unset(member: &Member) -> Value {
    match member.empty {
        Empty::False => Value::Bool(false),
        Empty::Default(value) => Value::from(value),
        Empty::Null | Empty::Blank | Empty::Zero | Empty::AllMembers => Value::Null,
    }
}

fn is_unset(member: &Member, value: &Value) -> bool {
    if value.is_null() {
        return true;
    }
    let blank = match value {
        Value::String(text) => text.is_empty(),
        Value::Array(items) => items.is_empty(),
        Value::Object(members) => members.is_empty(),
        Value::Null | Value::Bool(_) | Value::Number(_) => false,
    };
    match member.empty {
        // RN-3.5 sends `""` for a number that is not set (REFERENCE 5.4), so an empty text is none there too.
        Empty::Null | Empty::False | Empty::Default(_) => blank && value.is_string(),
        Empty::Blank => blank,
        Empty::Zero => blank || integer(value) == Ok(0),
        Empty::AllMembers => blank,
    }
}

/// Turns a canonical value into the form that requests carry.
///
/// A value that is not canonical (a live one that this build could not read) is sent back as it came.
pub fn wire(member: &Member, value: &Value) -> Value {
    match (member.kind, value) {
        (_, Value::Null) => Value::Null,
        (Type::Integer(_, _, Wire::Text), Value::Number(number)) => Value::String(number.to_string()),
        (Type::WeekDays, Value::Array(days)) => {
            let flag = |day: &&str| if days.iter().any(|d| d.as_str() == Some(day)) { "1" } else { "0" };
            Value::String(DAYS.iter().map(flag).collect::<Vec<_>>().join(","))
        }
        (Type::WeekDay, Value::String(day)) => match DAYS.iter().position(|name| name == day) {
            Some(position) => Value::String(position.to_string()),
            None => value.clone(),
        },
        (Type::DateTime, Value::String(text)) => match text.parse::<DateTime>() {
            Ok(at) => Value::String(server_date_time(at)),
            Err(_) => value.clone(),
        },
        (Type::Addresses, Value::Array(items)) => {
            Value::String(items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(","))
        }
        (
            Type::Text
            | Type::Uuid
            | Type::Job
            | Type::Choice(_)
            | Type::OpenChoice(_)
            | Type::Bool
            | Type::Integer(..)
            | Type::WeekDays
            | Type::WeekDay
            | Type::DateTime
            | Type::Set(_)
            | Type::Addresses
            | Type::Object(_)
            | Type::List(..)
            | Type::Script
            | Type::Any,
            _,
        ) => value.clone(),
    }
}

/// Writes a date and time as the server does: month without a leading zero, day with one, 12-hour clock.
///
/// Source: the samples and the mitigation twin ("2025-7-01 09:57:18 AM"), REFERENCE 5.5.
pub fn server_date_time(at: DateTime) -> String {
    let hour = match at.hour() % 12 {
        0 => 12,
        hour => hour,
    };
    let half = if at.hour() < 12 { "AM" } else { "PM" };
    format!(
        "{}-{}-{:02} {hour:02}:{:02}:{:02} {half}",
        at.year(),
        at.month(),
        at.day(),
        at.minute(),
        at.second()
    )
}

fn text(value: &Value) -> Result<&str, Mismatch> {
    match value {
        Value::String(text) => Ok(text),
        Value::Number(_) | Value::Bool(_) => Err(Mismatch::new("").fix(format!("\"{value}\""))),
        Value::Null | Value::Array(_) | Value::Object(_) => Err(Mismatch::new("")),
    }
}

fn choice(known: &[&str], value: &Value) -> Result<Value, Mismatch> {
    let text = match value {
        Value::String(text) => text.trim(),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => {
            return Err(Mismatch::new(""));
        }
    };
    match known.iter().find(|name| name.eq_ignore_ascii_case(text)) {
        Some(name) => Ok(Value::from(*name)),
        None => {
            let mismatch = Mismatch::new("");
            Err(match super::nearest(text, known.iter().copied()) {
                Some(near) => mismatch.fix(near),
                None => mismatch,
            })
        }
    }
}

fn bool_value(value: &Value) -> Result<Value, Mismatch> {
    let meant = match value {
        Value::Bool(_) => return Ok(value.clone()),
        Value::String(text) => match text.to_ascii_lowercase().as_str() {
            "true" | "yes" | "on" | "y" => Some("true"),
            "false" | "no" | "off" | "n" => Some("false"),
            _ => None,
        },
        Value::Null | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    };
    let mismatch = Mismatch::new("");
    Err(match meant {
        Some(meant) => mismatch.fix(meant),
        None => mismatch,
    })
}

fn integer(value: &Value) -> Result<i64, Mismatch> {
    match value {
        Value::Number(number) => number.as_i64().ok_or_else(|| Mismatch::new("")),
        Value::String(text) => text.trim().parse().map_err(|_| Mismatch::new("")),
        Value::Null | Value::Bool(_) | Value::Array(_) | Value::Object(_) => Err(Mismatch::new("")),
    }
}

/// Finds a day by its short or long English name.
fn day_by_name(text: &str) -> Option<usize> {
    let lower = text.trim().to_ascii_lowercase();
    (lower.len() >= 3).then(|| LONG_DAYS.iter().position(|day| day.starts_with(&lower)))?
}

fn week_days(value: &Value) -> Result<Value, Mismatch> {
    let mut run = [false; 7];
    match value {
        Value::Array(items) => {
            for item in items {
                run[day_of(item)?] = true;
            }
        }
        Value::String(text) => {
            let parts: Vec<&str> = text.split(',').map(str::trim).collect();
            if parts.len() == 7 && parts.iter().all(|part| matches!(*part, "0" | "1")) {
                for (day, part) in parts.iter().enumerate() {
                    run[day] = *part == "1";
                }
            } else {
                for part in text.split([',', ' ']).filter(|part| !part.is_empty()) {
                    run[day_of(&Value::from(part))?] = true;
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Err(Mismatch::new("")),
    }
    let days: Vec<Value> =
        DAYS.iter().zip(run).filter(|(_, on)| *on).map(|(day, _)| Value::from(*day)).collect();
    Ok(if days.is_empty() { Value::Null } else { Value::Array(days) })
}

/// A position in the week from a name; numbers are refused in lists of days, because 1 could be Sunday or Monday.
fn day_of(value: &Value) -> Result<usize, Mismatch> {
    let found = value.as_str().and_then(day_by_name);
    found.ok_or_else(|| {
        let near = value.as_str().and_then(|text| super::nearest(text, LONG_DAYS.iter().copied()));
        let mismatch = Mismatch::new("days of the week, each one of Sun, Mon, Tue, Wed, Thu, Fri, Sat");
        match near.and_then(day_by_name) {
            Some(position) if value.is_string() => mismatch.fix(DAYS[position]),
            Some(_) | None => mismatch,
        }
    })
}

fn week_day(value: &Value) -> Result<Value, Mismatch> {
    let position = match integer(value) {
        Ok(number) => usize::try_from(number).ok().filter(|position| *position < 7),
        Err(_) => value.as_str().and_then(day_by_name),
    };
    position.map(|position| Value::from(DAYS[position])).ok_or_else(|| Mismatch::new(""))
}

fn date_time(value: &Value) -> Result<Value, Mismatch> {
    let Value::String(text) = value else {
        return Err(Mismatch::new(""));
    };
    parse_date_time(text).map(|at| Value::String(at.strftime("%Y-%m-%dT%H:%M:%S").to_string()))
}

/// Reads ISO 8601 without a zone, and the server's own form.
fn parse_date_time(text: &str) -> Result<DateTime, Mismatch> {
    const EXPECTED: &str = "a date and time such as 2026-12-01T02:00";
    let text = text.trim();
    // A year with a sign is no date that anybody means, and the readers below differ about it.
    if !text.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Mismatch::new(EXPECTED));
    }
    for format in ["%Y-%m-%d %I:%M:%S %p", "%Y-%m-%d %I:%M %p"] {
        if let Ok(at) = DateTime::strptime(format, text) {
            return Ok(at);
        }
    }
    let mut after_date = text.chars().skip(10);
    let zoned = text.chars().count() > 10 && after_date.any(|c| matches!(c, 'Z' | 'z' | '+' | '[' | '-'));
    if zoned {
        let bare: String = text.chars().take(16).collect();
        return Err(Mismatch::new(format!("{EXPECTED}, without a zone (that is `timezone`)")).fix(bare));
    }
    if text.len() <= 10 {
        return Err(Mismatch::new(format!("{EXPECTED}, with the time")));
    }
    text.parse::<DateTime>().map_err(|_| Mismatch::new(EXPECTED))
}

fn lower_uuid(text: &str) -> String {
    let text = text.trim();
    if is_uuid(text) { text.to_ascii_lowercase() } else { text.to_owned() }
}

/// Whether a text has the form of a UUID: 8-4-4-4-12 hexadecimal digits.
pub fn is_uuid(text: &str) -> bool {
    text.len() == 36
        && text.bytes().enumerate().all(|(at, byte)| match at {
            8 | 13 | 18 | 23 => byte == b'-',
            _ => byte.is_ascii_hexdigit(),
        })
}

fn set(element: Element, value: &Value) -> Result<Value, Mismatch> {
    let items = match value {
        Value::Array(items) => items,
        Value::String(text) => return Err(Mismatch::new("").fix(format!("[{text}]"))),
        Value::Number(number) => return Err(Mismatch::new("").fix(format!("[{number}]"))),
        Value::Null | Value::Bool(_) | Value::Object(_) => return Err(Mismatch::new("")),
    };
    match element {
        Element::Uuid | Element::Tag | Element::Action => {
            let mut names = items
                .iter()
                .map(|item| item.as_str().map(lower_uuid).ok_or_else(|| Mismatch::new("")))
                .collect::<Result<Vec<_>, _>>()?;
            if element == Element::Action && names.iter().any(String::is_empty) {
                return Err(Mismatch::new(""));
            }
            names.sort();
            names.dedup();
            Ok(names.into())
        }
        Element::Integer => {
            let mut numbers = items.iter().map(integer).collect::<Result<Vec<_>, _>>()?;
            numbers.sort_unstable();
            numbers.dedup();
            Ok(numbers.into())
        }
    }
}

/// Addresses are compared without regard to order, blanks and repetition; the case of letters is kept.
fn addresses(value: &Value) -> Result<Value, Mismatch> {
    let texts: Vec<&str> = match value {
        Value::String(text) => vec![text.as_str()],
        Value::Array(items) => items
            .iter()
            .map(|item| item.as_str().ok_or_else(|| Mismatch::new("")))
            .collect::<Result<_, _>>()?,
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Object(_) => return Err(Mismatch::new("")),
    };
    let mut addresses: Vec<&str> = texts
        .iter()
        .flat_map(|text| text.split([',', ';']))
        .map(str::trim)
        .filter(|address| !address.is_empty())
        .collect();
    addresses.sort_unstable();
    addresses.dedup();
    Ok(if addresses.is_empty() { Value::Null } else { addresses.into() })
}

#[cfg(test)]
mod tests {
    use super::super::{JOB, find, find_pointer};
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn row(pointer: &str) -> &'static Member {
        find_pointer(pointer).expect("a row")
    }

    /// The canonical form of a value, and the form that a request carries.
    #[track_caller]
    fn check(pointer: &str, value: Value, expected: Value, expected_wire: Value) {
        let found = canonical(row(pointer), &value).expect("a good value");
        assert_eq!(found, expected, "canonical form of {value}");
        assert_eq!(wire(row(pointer), &found), expected_wire, "wire form of {value}");
        assert_eq!(canonical(row(pointer), &found).expect("canonical is good"), found, "twice");
        assert_eq!(
            canonical(row(pointer), &wire(row(pointer), &found)).expect("wire is good"),
            found,
            "there and back"
        );
    }

    #[track_caller]
    fn refuse(pointer: &str, value: Value, expected: &str, fix: Option<&str>) {
        let mismatch = canonical(row(pointer), &value).expect_err("a bad value");
        assert_eq!((mismatch.expected.as_str(), mismatch.fix.as_deref()), (expected, fix), "{value}");
    }

    #[test]
    fn days_are_read_in_every_form_and_sent_as_flags_from_sunday() {
        let flags = json!("0,0,1,0,1,0,0");
        for form in [
            json!(["Tue", "Thu"]),
            json!(["thursday", "TUE"]),
            json!("Tue, Thu"),
            json!("tue thu"),
            flags.clone(),
        ] {
            check("/recurringWeekDays", form, json!(["Tue", "Thu"]), flags.clone());
        }
        check("/recurringWeekDays", json!("0,0,0,0,0,0,0"), json!(null), json!(null));
        check("/recurringWeekDays", json!([]), json!(null), json!(null));
        let names = "days of the week, each one of Sun, Mon, Tue, Wed, Thu, Fri, Sat";
        refuse("/recurringWeekDays", json!(["Tuseday"]), names, Some("Tue"));
        refuse("/recurringWeekDays", json!([1]), names, None);
        refuse("/recurringWeekDays", json!("0,0,2,0,0,0,0"), names, None);
        for form in [json!(0), json!("0"), json!("Sunday")] {
            check("/recurringWeekDayOfMonth", form, json!("Sun"), json!("0"));
        }
        refuse("/recurringWeekDayOfMonth", json!(7), "a day of the week such as Sun", None);
    }

    #[test]
    fn dates_are_read_as_iso_and_as_the_server_writes_them() {
        for form in
            ["2026-12-01T02:00", "2026-12-01 02:00:00", "2026-12-01 02:00:00 AM", "2026-12-1 2:00:00 AM"]
        {
            check(
                "/startDateTime",
                json!(form),
                json!("2026-12-01T02:00:00"),
                json!("2026-12-01 02:00:00 AM"),
            );
        }
        check(
            "/startDateTime",
            json!("2025-7-01 12:57:18 AM"),
            json!("2025-07-01T00:57:18"),
            json!("2025-7-01 12:57:18 AM"),
        );
        check(
            "/startDateTime",
            json!("2022-2-20 01:18:30 PM"),
            json!("2022-02-20T13:18:30"),
            json!("2022-2-20 01:18:30 PM"),
        );
        check(
            "/startDateTime",
            json!("2022-02-20T12:00"),
            json!("2022-02-20T12:00:00"),
            json!("2022-2-20 12:00:00 PM"),
        );
        let zone = "a date and time such as 2026-12-01T02:00, without a zone (that is `timezone`)";
        for zoned in ["2026-12-01T02:00Z", "2026-12-01T02:00:00+01:00", "2026-12-01T02:00:00-05:00"] {
            refuse("/startDateTime", json!(zoned), zone, Some("2026-12-01T02:00"));
        }
        refuse(
            "/startDateTime",
            json!("2026-12-01"),
            "a date and time such as 2026-12-01T02:00, with the time",
            None,
        );
        refuse("/startDateTime", json!("2026-13-01T02:00"), "a date and time such as 2026-12-01T02:00", None);
        refuse(
            "/startDateTime",
            json!("tomorrow, at noon"),
            "a date and time such as 2026-12-01T02:00",
            None,
        );
        refuse("/startDateTime", json!("ä-ö-ü öäü öäü"), "a date and time such as 2026-12-01T02:00", None);
    }

    #[test]
    fn numbers_are_the_same_in_a_text_and_outside() {
        check("/patchTuesdayPlusXDays", json!("-12"), json!(-12), json!("-12"));
        check("/patchTuesdayPlusXDays", json!(0), json!(0), json!("0"));
        check("/timeout", json!("6"), json!(6), json!(6));
        check("/dayOfMonth", json!(""), json!(null), json!(null));
        check("/dynamicQQLType", json!(0), json!(null), json!(null));
        check("/customPatchURLId", json!(1008), json!(1008), json!("1008"));
        refuse("/patchTuesdayPlusXDays", json!(28), "a whole number from -27 to 27", None);
        refuse("/dayOfMonth", json!("first"), "a whole number from 1 to 31", None);
        refuse("/dayOfMonth", json!(1.5), "a whole number from 1 to 31", None);
        let timeout = canonical(row("/timeout"), &json!(20_000)).expect_err("out of range");
        assert!(timeout.tolerable, "the bound is from a client, so it only warns");
    }

    #[test]
    fn sets_and_addresses_have_no_order_and_none_is_none() {
        let (a, b) = ("0a000000-0000-4000-8000-000000000000", "0b000000-0000-4000-8000-000000000000");
        check("/assetIds", json!([b, a.to_uppercase(), b]), json!([a, b]), json!([a, b]));
        check("/assetIds", json!([]), json!(null), json!(null));
        check("/remediationQids", json!([3, "1"]), json!([1, 3]), json!([1, 3]));
        refuse("/assetIds", json!(a), "a list of UUIDs", Some(&format!("[{a}]")));
        let emails = "/notification/notificationConfigs/recipientEmails";
        check(emails, json!("b@x.org, a@x.org"), json!(["a@x.org", "b@x.org"]), json!("a@x.org,b@x.org"));
        check(emails, json!(["a@x.org"]), json!(["a@x.org"]), json!("a@x.org"));
        check(emails, json!(""), json!(null), json!(null));
    }

    #[test]
    fn texts_choices_and_booleans() {
        check("/scheduleType", json!("on-DEMAND"), json!("On-demand"), json!("On-demand"));
        check("/filterType", json!(null), json!("Any"), json!("Any"));
        check("/dynamicPatchesQQL", json!(""), json!(null), json!(null));
        check("/isDynamicPatchesQQL", json!(null), json!(false), json!(false));
        check("/continueOnPatchFailure", json!(null), json!(null), json!(null));
        refuse("/name", json!(2024), "a text", Some("\"2024\""));
        refuse("/minimizeWindow", json!("yes"), "true or false", Some("true"));
        refuse(
            "/scheduleType",
            json!("Weakly"),
            "`On-demand`, `Once`, `Daily`, `Weekly` or `Monthly`",
            Some("Weekly"),
        );
        let status = canonical(row("/status"), &json!("Prepared")).expect_err("not known");
        assert!(status.tolerable, "statuses are an open list");
    }

    #[test]
    fn every_row_has_an_expectation_and_takes_null() {
        super::super::walk(&mut |path, member| {
            assert!(!expectation(member).is_empty(), "{path}");
            canonical(member, &Value::Null).expect("null is a value of every member");
        });
        assert!(find(JOB, "name").is_some());
    }
}
