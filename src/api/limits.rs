//! What the headers of an answer say about the rate limit (REFERENCE section 3). Pure: it is given the time.

use std::time::{Duration, SystemTime};

use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};

/// Longest wait that is taken at its word; what asks for more is a mistake, and any wait budget is shorter.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// The rate-limit headers of one answer; `None` where a header is missing or unreadable.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LimitHeaders {
    /// `X-RateLimit-Limit`: calls allowed in a window.
    pub limit: Option<u64>,
    /// `X-RateLimit-Window-Sec`: length of the window.
    pub window: Option<Duration>,
    /// `X-RateLimit-Remaining`: calls left in the window.
    pub remaining: Option<u64>,
    /// `X-RateLimit-ToWait-Sec`: time until the next call is accepted.
    pub to_wait: Option<Duration>,
    /// `Retry-After`: the same, from the standard; given in seconds or as a date.
    pub retry_after: Option<Duration>,
}

impl LimitHeaders {
    /// Reads the headers. A date is taken relative to the answer's own `Date`, so that a wrong clock here does no harm,
    /// and relative to `now` where there is none.
    pub(super) fn read(headers: &HeaderMap, now: SystemTime) -> Self {
        let text = |name: &HeaderName| headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
        let number = |name: &'static str| -> Option<u64> {
            // Fractions are seen in the wild on other APIs; a wait is rounded up.
            let value = headers.get(name)?.to_str().ok()?.trim().parse::<f64>().ok()?;
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a float cast saturates, and what is negative or not a number is filtered"
            )]
            (value >= 0.0).then(|| value.ceil() as u64)
        };
        let seconds = |name| number(name).map(|count| Duration::from_secs(count).min(LONGEST_WAIT));
        let retry_after = text(&RETRY_AFTER).and_then(|value| match value.parse::<u64>() {
            Ok(count) => Some(Duration::from_secs(count).min(LONGEST_WAIT)),
            Err(_) => {
                let date = httpdate::parse_http_date(value).ok()?;
                let sent = text(&DATE).and_then(|value| httpdate::parse_http_date(value).ok()).unwrap_or(now);
                Some(date.duration_since(sent).unwrap_or_default().min(LONGEST_WAIT))
            }
        });
        Self {
            limit: number("x-ratelimit-limit"),
            window: seconds("x-ratelimit-window-sec"),
            remaining: number("x-ratelimit-remaining"),
            to_wait: seconds("x-ratelimit-towait-sec"),
            retry_after,
        }
    }

    /// Whether any header was there.
    pub(super) fn is_silent(&self) -> bool {
        *self == Self::default()
    }

    /// How long a refusal asks to wait: the longer of the two headers, or where neither is there, the window, by whose
    /// end the limit is over. A window longer than `unsaid` says nothing about when it ends: then, and where there is
    /// no header at all, it is `None`.
    pub(super) fn asked_by_refusal(&self, unsaid: Duration) -> Option<Duration> {
        self.to_wait.max(self.retry_after).or(self.window.filter(|window| *window <= unsaid))
    }

    /// How long a success asks to wait before the next call, so that it is not refused: `ToWait`, or where nothing
    /// remains and no time is given, the window but no longer than `unsaid`, after which a call shows how things are.
    pub(super) fn asked_by_success(&self, unsaid: Duration) -> Option<Duration> {
        match (self.to_wait, self.remaining) {
            (Some(wait), _) if !wait.is_zero() => Some(wait),
            (_, Some(0)) => Some(self.window.unwrap_or(unsaid).min(unsaid)),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    fn read(headers: &[(&'static str, &str)]) -> LimitHeaders {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        LimitHeaders::read(&map, httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap())
    }

    #[track_caller]
    fn check_refusal(headers: &[(&'static str, &str)], expected_seconds: Option<u64>) {
        assert_eq!(
            read(headers).asked_by_refusal(Duration::from_mins(1)),
            expected_seconds.map(Duration::from_secs),
            "{headers:?}"
        );
    }

    #[test]
    fn refusals() {
        check_refusal(&[], None);
        check_refusal(&[("retry-after", "7")], Some(7));
        check_refusal(&[("retry-after", "soon")], None);
        check_refusal(&[("retry-after", "-3")], None);
        check_refusal(&[("retry-after", "Sun, 06 Nov 1994 08:50:07 GMT")], Some(30));
        check_refusal(&[("retry-after", "Sun, 06 Nov 1994 08:00:00 GMT")], Some(0));
        // The server's own clock counts.
        check_refusal(
            &[("retry-after", "Mon, 07 Nov 1994 00:00:09 GMT"), ("date", "Mon, 07 Nov 1994 00:00:00 GMT")],
            Some(9),
        );
        check_refusal(&[("x-ratelimit-towait-sec", "12")], Some(12));
        check_refusal(&[("x-ratelimit-towait-sec", "11.2")], Some(12));
        check_refusal(&[("x-ratelimit-towait-sec", "NaN")], None);
        check_refusal(&[("x-ratelimit-towait-sec", "12"), ("retry-after", "3")], Some(12));
        check_refusal(&[("retry-after", "99999999999999999999")], None);
        check_refusal(&[("x-ratelimit-towait-sec", "1e300")], Some(86_400));
        // A window says when the limit ends at the latest, unless it is longer than one would wait without it.
        check_refusal(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-window-sec", "2")], Some(2));
        check_refusal(&[("x-ratelimit-window-sec", "60")], Some(60));
        check_refusal(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-window-sec", "3600")], None);
        check_refusal(&[("x-ratelimit-window-sec", "2"), ("retry-after", "7")], Some(7));
    }

    #[track_caller]
    fn check_success(headers: &[(&'static str, &str)], expected_seconds: Option<u64>) {
        let wait = read(headers).asked_by_success(Duration::from_mins(1));
        assert_eq!(wait, expected_seconds.map(Duration::from_secs), "{headers:?}");
    }

    #[test]
    fn successes() {
        check_success(&[], None);
        check_success(&[("x-ratelimit-remaining", "3"), ("x-ratelimit-towait-sec", "0")], None);
        check_success(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-towait-sec", "90")], Some(90));
        check_success(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-towait-sec", "0")], Some(60));
        check_success(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-window-sec", "3600")], Some(60));
        check_success(&[("x-ratelimit-remaining", "0"), ("x-ratelimit-window-sec", "10")], Some(10));
        check_success(&[("retry-after", "5")], None);
    }
}
