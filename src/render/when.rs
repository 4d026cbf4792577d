//! Times in the reader's zone, with how long ago that was.
//!
//! The clock and the zone are handed in.

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::text::count;

/// The reader's now: what time it is, and in which zone times are told.
#[derive(Clone, Debug)]
pub struct Now {
    /// In milliseconds since 1970-01-01 UTC.
    pub at: i64,
    /// The reader's zone.
    pub zone: TimeZone,
}

impl Now {
    /// `Friday 2026-11-20 at 17:02 CET, 3 days ago`; the bare number for one that is no time.
    pub fn moment(&self, at: i64) -> String {
        let ago = self.ago(at);
        self.write(at, "%A %Y-%m-%d at %H:%M %Z")
            .map_or_else(|| at.to_string(), |words| format!("{words}, {ago}"))
    }

    /// `2026-11-20 17:02 CET`.
    pub fn short(&self, at: i64) -> String {
        self.write(at, "%Y-%m-%d %H:%M %Z").unwrap_or_else(|| at.to_string())
    }

    /// `3 days ago`: minutes below two hours, hours below two days.
    pub fn ago(&self, at: i64) -> String {
        match self.age(at) {
            Some(age) => format!("{age} ago"),
            None => "by a clock that is ahead of this one".to_owned(),
        }
    }

    /// `3 days`: how old something is; `None` for what lies more than a minute ahead.
    pub fn age(&self, at: i64) -> Option<String> {
        let minutes = self.at.saturating_sub(at).div_euclid(60_000);
        let number = |n: i64| usize::try_from(n).unwrap_or(usize::MAX);
        match minutes {
            ..-1 => None,
            -1..1 => Some("less than a minute".to_owned()),
            1..120 => Some(count(number(minutes), "minute")),
            120..2_880 => Some(count(number(minutes / 60), "hour")),
            _ => Some(count(number(minutes / 1_440), "day")),
        }
    }

    fn write(&self, at: i64, form: &str) -> Option<String> {
        let at = Timestamp::from_millisecond(at).ok()?;
        jiff::fmt::strtime::format(form, &at.to_zoned_datetime(self.zone.clone())).ok()
    }
}

/// A time as JSON says it, RFC 3339 in UTC; `None` for a number that is no time.
pub fn rfc3339(at: i64) -> Option<String> {
    Timestamp::from_millisecond(at).ok().map(|at| at.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now(zone: &str) -> Now {
        let at: Timestamp = "2026-11-23T16:30:00Z".parse().expect("a time");
        Now { at: at.as_millisecond(), zone: TimeZone::get(zone).expect("a zone") }
    }

    #[track_caller]
    fn check(zone: &str, at: &str, expected: &str) {
        let at: Timestamp = at.parse().expect("a time");
        assert_eq!(now(zone).moment(at.as_millisecond()), expected);
    }

    #[test]
    fn times_are_told_in_the_readers_zone_and_by_their_age() {
        check("Europe/Berlin", "2026-11-20T16:02:11Z", "Friday 2026-11-20 at 17:02 CET, 3 days ago");
        check("Europe/Berlin", "2026-07-20T16:02:11Z", "Monday 2026-07-20 at 18:02 CEST, 126 days ago");
        // Another day there.
        check("Asia/Tokyo", "2026-11-20T16:02:11Z", "Saturday 2026-11-21 at 01:02 JST, 3 days ago");
        check("UTC", "2026-11-23T16:29:30Z", "Monday 2026-11-23 at 16:29 UTC, less than a minute ago");
        check("UTC", "2026-11-23T16:29:00Z", "Monday 2026-11-23 at 16:29 UTC, 1 minute ago");
        check("UTC", "2026-11-23T14:31:00Z", "Monday 2026-11-23 at 14:31 UTC, 119 minutes ago");
        check("UTC", "2026-11-23T14:30:00Z", "Monday 2026-11-23 at 14:30 UTC, 2 hours ago");
        check("UTC", "2026-11-21T16:31:00Z", "Saturday 2026-11-21 at 16:31 UTC, 47 hours ago");
        check("UTC", "2026-11-21T16:30:00Z", "Saturday 2026-11-21 at 16:30 UTC, 2 days ago");
        check("UTC", "2026-11-23T16:30:30Z", "Monday 2026-11-23 at 16:30 UTC, less than a minute ago");
        check(
            "UTC",
            "2026-11-23T16:32:00Z",
            "Monday 2026-11-23 at 16:32 UTC, by a clock that is ahead of this one",
        );
    }

    #[test]
    fn what_is_no_time_is_shown_as_it_is() {
        assert_eq!(now("UTC").moment(i64::MAX), i64::MAX.to_string());
        assert_eq!(now("UTC").short(i64::MIN), i64::MIN.to_string());
        assert_eq!(rfc3339(i64::MAX), None);
    }
}
