//! A job's schedule in words: "every Tue and Thu at 02:00 Europe/Berlin".
//!
//! Works on normalised members, reads no clock, and never guesses: what is missing is left out of the words.

use jiff::civil::DateTime;
use serde_json::Value;

use crate::normalise::Normalised;

/// Says when a job runs.
pub fn words(job: &Normalised) -> String {
    let start = job.text("startDateTime").and_then(|text| text.parse::<DateTime>().ok());
    let time = start.map(|at| format!(" at {}", clock(at))).unwrap_or_default();
    let rest = format!("{time}{}", zone(job));
    let since = start.map(|at| format!(", from {}", at.strftime("%Y-%m-%d"))).unwrap_or_default();
    match job.schedule_type() {
        Some("On-demand") => "when it is enabled".to_owned(),
        Some("Once") => match start {
            Some(at) => format!("once on {}{rest}", at.strftime("%a %Y-%m-%d")),
            None => format!("once{rest}"),
        },
        Some("Daily") => format!("every day{rest}{since}"),
        Some("Weekly") => format!("every {}{rest}{since}", week_days(job)),
        Some("Monthly") => format!("{}{rest}{since}", month_day(job)),
        Some(other) => format!("{other}{rest}"),
        None => "no schedule".to_owned(),
    }
}

/// Hours and minutes; seconds only where there are some.
fn clock(at: DateTime) -> String {
    let format = if at.second() == 0 { "%H:%M" } else { "%H:%M:%S" };
    at.strftime(format).to_string()
}

fn zone(job: &Normalised) -> String {
    match (job.text("timezoneType"), job.text("timezone")) {
        (Some("AGENT_TZ"), _) => " in each machine's own time zone".to_owned(),
        (_, Some(zone)) => format!(" {zone}"),
        (_, None) => String::new(),
    }
}

fn week_days(job: &Normalised) -> String {
    let days = job.members().get("recurringWeekDays").and_then(Value::as_array);
    let days: Vec<&str> = days.into_iter().flatten().filter_map(Value::as_str).collect();
    match days.as_slice() {
        [] => "week".to_owned(),
        [only] => (*only).to_owned(),
        [rest @ .., last] if days.len() < 7 => format!("{} and {last}", rest.join(", ")),
        [..] => "day of the week".to_owned(),
    }
}

fn month_day(job: &Normalised) -> String {
    let number = |name: &str| job.members().get(name).and_then(Value::as_i64);
    if number("monthlyRecurringType") == Some(1) {
        return match number("patchTuesdayPlusXDays") {
            Some(0) => "every Patch Tuesday".to_owned(),
            Some(days) if days > 0 => format!("{} after every Patch Tuesday", count(days, "day")),
            Some(days) => format!("{} before every Patch Tuesday", count(days.saturating_neg(), "day")),
            None => "relative to every Patch Tuesday".to_owned(),
        };
    }
    if job.members().get("recurringLastDayOfMonth") == Some(&Value::Bool(true)) {
        return "on the last day of every month".to_owned();
    }
    match (number("recurringDayOfMonth"), job.text("recurringWeekDayOfMonth"), number("dayOfMonth")) {
        (Some(which), Some(day), _) => format!("on the {} {day} of every month", ordinal(which)),
        (_, _, Some(day)) => format!("on day {day} of every month"),
        (_, _, None) => "every month".to_owned(),
    }
}

fn ordinal(which: i64) -> String {
    match which {
        1 => "first".to_owned(),
        2 => "second".to_owned(),
        3 => "third".to_owned(),
        4 => "fourth".to_owned(),
        5 => "fifth".to_owned(),
        other => format!("{other}th"),
    }
}

fn count(n: i64, noun: &str) -> String {
    if n == 1 { format!("1 {noun}") } else { format!("{n} {noun}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[track_caller]
    fn check(job: Value, expected: &str) {
        assert_eq!(words(&crate::normalise::live(&job)), expected);
    }

    #[test]
    fn every_kind_of_schedule_has_words() {
        let start = "2026-12-01 02:00:00 AM";
        check(
            json!({"scheduleType": "Weekly", "startDateTime": start, "recurringWeekDays": "0,0,1,0,1,0,0", "timezone": "Europe/Berlin"}),
            "every Tue and Thu at 02:00 Europe/Berlin, from 2026-12-01",
        );
        check(
            json!({"scheduleType": "Weekly", "startDateTime": start, "recurringWeekDays": "1,1,1,1,1,1,1", "timezoneType": "AGENT_TZ"}),
            "every day of the week at 02:00 in each machine's own time zone, from 2026-12-01",
        );
        check(json!({"scheduleType": "On-Demand", "startDateTime": start}), "when it is enabled");
        check(json!({"scheduleType": "Once", "startDateTime": start}), "once on Tue 2026-12-01 at 02:00");
        check(json!({"scheduleType": "Daily"}), "every day");
        check(
            json!({"scheduleType": "Monthly", "monthlyRecurringType": "1", "patchTuesdayPlusXDays": "-1"}),
            "1 day before every Patch Tuesday",
        );
        check(
            json!({"scheduleType": "Monthly", "recurringDayOfMonth": "1", "recurringWeekDayOfMonth": "0"}),
            "on the first Sun of every month",
        );
        check(json!({"scheduleType": "Monthly", "dayOfMonth": 15}), "on day 15 of every month");
        check(
            json!({"scheduleType": "Monthly", "recurringLastDayOfMonth": true}),
            "on the last day of every month",
        );
        check(json!({}), "no schedule");
    }
}
