//! When a job runs next, as the server tells it in lists and parent summaries.
//!
//! An independent reading of REFERENCE section 5.5, kept small: the client has its own, and tests compare the two.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Weekday};
use jiff::tz::TimeZone;
use serde_json::Value;

use super::normalise::parse_start;
use super::stored::{Job, number, text};

/// How many days ahead a run is looked for; the rarest schedule, the 31st, comes within 62.
const DAYS_AHEAD: usize = 100;

/// The next run of an Enabled job at or after `now`, both in epoch milliseconds; none where nothing is planned or
/// the schedule cannot be read.
pub(super) fn next_run(job: &Job, now: i64) -> Option<i64> {
    if text(job, "status") != "Enabled" {
        return None;
    }
    let start = parse_start(text(job, "startDateTime"))?;
    let runs_on: fn(&Job, Date) -> bool = match text(job, "scheduleType") {
        "Once" => return Some(instant_of_start(job, start)).filter(|run| *run >= now),
        "Daily" => |_, _| true,
        "Weekly" => runs_weekly_on,
        "Monthly" => runs_monthly_on,
        _ => return None,
    };
    let today = zone(job).to_datetime(Timestamp::from_millisecond(now).ok()?).date();
    let mut day = start.date().max(today);
    for _ in 0..DAYS_AHEAD {
        if runs_on(job, day) {
            let run = instant_of_start(job, DateTime::from_parts(day, start.time()));
            if run >= now {
                return Some(run);
            }
        }
        day = day.tomorrow().ok()?;
    }
    None
}

/// The instant of a civil time in the job's zone, in epoch milliseconds; a time that does not exist there is moved
/// on as clocks are.
pub(super) fn instant_of_start(job: &Job, start: DateTime) -> i64 {
    zone(job)
        .to_ambiguous_zoned_datetime(start)
        .compatible()
        .map_or(0, |run| run.timestamp().as_millisecond())
}

/// The job's zone; UTC where the agents' own zones apply, since then there is no one instant.
fn zone(job: &Job) -> TimeZone {
    if text(job, "timezoneType") == "AGENT_TZ" {
        return TimeZone::UTC;
    }
    TimeZone::get(text(job, "timezone")).unwrap_or(TimeZone::UTC)
}

fn runs_weekly_on(job: &Job, day: Date) -> bool {
    text(job, "recurringWeekDays").split(',').zip(0_i8..7).any(|(marked, from_sunday)| {
        marked.trim() == "1" && day.weekday().to_sunday_zero_offset() == from_sunday
    })
}

fn runs_monthly_on(job: &Job, day: Date) -> bool {
    let member = |name: &str| number(job.get(name));
    if member("monthlyRecurringType") == Some(1) {
        let Some(n_days) = member("patchTuesdayPlusXDays") else { return false };
        let patch_tuesday = jiff::Span::new().try_days(n_days).and_then(|span| day.checked_sub(span));
        return patch_tuesday
            .is_ok_and(|date| date.weekday() == Weekday::Tuesday && (8..=14).contains(&date.day()));
    }
    if job.get("recurringLastDayOfMonth") == Some(&Value::Bool(true)) {
        return day.day() == day.days_in_month();
    }
    if let Some(day_of_month) = member("dayOfMonth") {
        return i64::from(day.day()) == day_of_month;
    }
    match (member("recurringDayOfMonth"), member("recurringWeekDayOfMonth")) {
        (Some(nth), Some(weekday)) => {
            i64::from(day.weekday().to_sunday_zero_offset()) == weekday
                && i64::from((day.day() - 1) / 7 + 1) == nth
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schedule: &str, more: Value, now: &str, expected: Option<&str>) {
        let mut job = json!({"status": "Enabled", "scheduleType": schedule, "timezoneType": "SPECIFIC_TZ",
            "startDateTime": "2026-1-01 02:00:00 AM", "timezone": "Europe/Berlin"})
        .as_object()
        .expect("an object")
        .clone();
        job.extend(more.as_object().expect("an object").clone());
        let instant = |text: &str| text.parse::<Timestamp>().expect("an instant").as_millisecond();
        assert_eq!(next_run(&job, instant(now)), expected.map(instant));
    }

    #[test]
    fn next_runs_follow_the_schedule() {
        // 2026-11-23 is a Monday; the second Tuesday of December 2026 is the 8th.
        let now = "2026-11-23T00:00:00Z";
        check("Daily", json!({}), now, Some("2026-11-23T01:00:00Z"));
        check("Daily", json!({}), "2026-11-23T01:00:01Z", Some("2026-11-24T01:00:00Z"));
        check("Daily", json!({"startDateTime": "2026-12-24 02:00:00 AM"}), now, Some("2026-12-24T01:00:00Z"));
        check("Weekly", json!({"recurringWeekDays": "0,0,1,0,1,0,0"}), now, Some("2026-11-24T01:00:00Z"));
        check("Weekly", json!({"recurringWeekDays": "0,0,0,0,0,0,0"}), now, None);
        check("Monthly", json!({"dayOfMonth": "31"}), now, Some("2026-12-31T01:00:00Z"));
        check("Monthly", json!({"recurringLastDayOfMonth": true}), now, Some("2026-11-30T01:00:00Z"));
        check(
            "Monthly",
            json!({"recurringDayOfMonth": "2", "recurringWeekDayOfMonth": "1"}),
            now,
            Some("2026-12-14T01:00:00Z"),
        );
        check(
            "Monthly",
            json!({"monthlyRecurringType": "1", "patchTuesdayPlusXDays": 3}),
            now,
            Some("2026-12-11T01:00:00Z"),
        );
        check("Monthly", json!({}), now, None);
        check("Once", json!({}), now, None);
        check("Once", json!({"startDateTime": "2026-12-24 02:00:00 AM"}), now, Some("2026-12-24T01:00:00Z"));
        check("On-demand", json!({}), now, None);
        check("Daily", json!({"status": "Disabled"}), now, None);
        check("Daily", json!({"timezoneType": "AGENT_TZ"}), now, Some("2026-11-23T02:00:00Z"));
    }

    #[test]
    fn a_schedule_that_cannot_be_read_has_no_next_run() {
        let now = "2026-11-23T00:00:00Z";
        check("Monthly", json!({"monthlyRecurringType": 1, "patchTuesdayPlusXDays": i64::MAX}), now, None);
        check("Daily", json!({"startDateTime": "whenever"}), now, None);
    }
}
