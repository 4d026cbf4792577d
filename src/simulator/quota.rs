//! The rate limit: how many calls of the window are left, and the headers that say so (REFERENCE section 3).

use std::time::{Duration, UNIX_EPOCH};

use axum::http::{HeaderMap, HeaderName, HeaderValue, header};

use super::behaviour::Quota;
use super::fault::ThrottleForm;

const LIMIT: &str = "x-ratelimit-limit";
const REMAINING: &str = "x-ratelimit-remaining";
const WINDOW: &str = "x-ratelimit-window-sec";
const TO_WAIT: &str = "x-ratelimit-towait-sec";

/// The window that is open.
#[derive(Debug, Default)]
pub(super) struct Usage {
    /// Epoch milliseconds at which the window opened, if one ever did.
    opened: Option<i64>,
    used: u32,
}

/// What the quota says to one call.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verdict {
    pub(super) is_refused: bool,
    /// Calls left after this one.
    remaining: u32,
    /// Seconds to the end of the window, rounded up.
    rest_seconds: u32,
}

impl Usage {
    /// Counts a call at an instant, in epoch milliseconds.
    pub(super) fn judge(&mut self, quota: &Quota, now: i64) -> Verdict {
        let length = i64::from(quota.window_seconds) * 1000;
        let opened = match self.opened {
            // A clock that was set back opens a new window too, so that nobody waits for hours.
            Some(opened) if (opened..opened.saturating_add(length)).contains(&now) => opened,
            _ => {
                (self.opened, self.used) = (Some(now), 0);
                now
            }
        };
        let is_refused = self.used >= quota.calls;
        if !is_refused {
            self.used += 1;
        }
        let rest = opened.saturating_add(length).saturating_sub(now);
        Verdict {
            is_refused,
            remaining: quota.calls.saturating_sub(self.used),
            rest_seconds: u32::try_from(rest.max(0).unsigned_abs().div_ceil(1000)).unwrap_or(u32::MAX),
        }
    }
}

impl Verdict {
    /// The headers of a refusal, at an instant in epoch milliseconds.
    pub(super) fn refusal(&self, quota: &Quota, now: i64) -> HeaderMap {
        let mut headers = throttle_headers(quota.refusal, self.rest_seconds, now);
        if quota.announce {
            self.announce(quota, &mut headers);
        }
        headers
    }

    /// Adds what every answer tells where the quota is announced.
    pub(super) fn announce(&self, quota: &Quota, headers: &mut HeaderMap) {
        let to_wait = if self.remaining == 0 { self.rest_seconds } else { 0 };
        for (name, value) in [
            (LIMIT, quota.calls),
            (REMAINING, self.remaining),
            (WINDOW, quota.window_seconds),
            (TO_WAIT, to_wait),
        ] {
            headers.insert(HeaderName::from_static(name), value.into());
        }
    }
}

/// The headers by which a refusal asks for a wait, at an instant in epoch milliseconds.
pub(super) fn throttle_headers(form: ThrottleForm, seconds: u32, now: i64) -> HeaderMap {
    let mut headers = HeaderMap::new();
    match form {
        ThrottleForm::RetryAfter => {
            headers.insert(header::RETRY_AFTER, seconds.into());
        }
        ThrottleForm::RetryAfterDate => {
            let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(now).unwrap_or_default());
            let until = now + Duration::from_secs(seconds.into());
            // Both by the tenant's clock: a client must not take the one relative to a clock of its own.
            for (name, at) in [(header::DATE, now), (header::RETRY_AFTER, until)] {
                let text = HeaderValue::try_from(httpdate::fmt_http_date(at));
                headers.insert(name, text.expect("internal error: a date is plain ASCII"));
            }
        }
        ThrottleForm::ToWait => {
            headers.insert(HeaderName::from_static(TO_WAIT), seconds.into());
        }
        ThrottleForm::RemainingWindow => {
            headers.insert(HeaderName::from_static(REMAINING), 0.into());
            headers.insert(HeaderName::from_static(WINDOW), seconds.into());
        }
        ThrottleForm::Silent => {}
    }
    headers
}

#[cfg(test)]
mod tests {
    use super::*;

    const QUOTA: Quota =
        Quota { calls: 2, window_seconds: 10, announce: true, refusal: ThrottleForm::RetryAfter };

    #[test]
    fn calls_are_counted_by_window() {
        let mut usage = Usage::default();
        let mut check = |now, is_refused, remaining, rest_seconds| {
            assert_eq!(usage.judge(&QUOTA, now), Verdict { is_refused, remaining, rest_seconds }, "at {now}");
        };
        check(1_000, false, 1, 10);
        check(5_500, false, 0, 6);
        check(10_999, true, 0, 1);
        check(11_000, false, 1, 10);
        check(30_000, false, 1, 10);
        check(30_000, false, 0, 10);
        check(30_000, true, 0, 10);
        // The clock was set back.
        check(2_000, false, 1, 10);
    }

    #[track_caller]
    fn check(form: ThrottleForm, expected: &[(&str, &str)]) {
        let headers = throttle_headers(form, 30, 784_111_777_999);
        let mut found: Vec<(&str, &str)> =
            headers.iter().map(|(name, value)| (name.as_str(), value.to_str().expect("ASCII"))).collect();
        found.sort_unstable();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_refusal_has_five_forms() {
        check(ThrottleForm::RetryAfter, &[("retry-after", "30")]);
        check(
            ThrottleForm::RetryAfterDate,
            &[("date", "Sun, 06 Nov 1994 08:49:37 GMT"), ("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")],
        );
        check(ThrottleForm::ToWait, &[("x-ratelimit-towait-sec", "30")]);
        check(
            ThrottleForm::RemainingWindow,
            &[("x-ratelimit-remaining", "0"), ("x-ratelimit-window-sec", "30")],
        );
        check(ThrottleForm::Silent, &[]);
    }

    #[test]
    fn a_limit_is_announced_before_it_bites() {
        let mut usage = Usage::default();
        for expected in [["2", "1", "10", "0"], ["2", "0", "10", "10"]] {
            let mut headers = HeaderMap::new();
            usage.judge(&QUOTA, 0).announce(&QUOTA, &mut headers);
            assert_eq!([LIMIT, REMAINING, WINDOW, TO_WAIT].map(|name| headers[name].clone()), expected);
        }
        let refused = usage.judge(&QUOTA, 9_000).refusal(&QUOTA, 9_000);
        assert_eq!(
            (&refused[TO_WAIT], &refused["retry-after"]),
            (&"1".parse().unwrap(), &"1".parse().unwrap())
        );
    }
}
