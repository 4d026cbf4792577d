//! What the `Date` of an answer says about the two clocks. Pure: it is given the time.

use std::time::SystemTime;

use jiff::SignedDuration;
use reqwest::header::{AGE, DATE, HeaderMap};

/// How far the sender's clock is ahead of `now`, negative where it is behind; `None` where the answer does not tell.
///
/// `Date` has whole seconds (RFC 9110, section 5.6.7) and stands for the moment of sending, so the result is good to
/// about a second. An answer with `Age` comes from a cache, and its `Date` is not of now.
pub(super) fn ahead(headers: &HeaderMap, now: SystemTime) -> Option<SignedDuration> {
    if headers.contains_key(AGE) {
        return None;
    }
    let date = httpdate::parse_http_date(headers.get(DATE)?.to_str().ok()?.trim()).ok()?;
    match date.duration_since(now) {
        Ok(ahead) => SignedDuration::try_from(ahead).ok(),
        Err(behind) => SignedDuration::try_from(behind.duration()).ok().map(|behind| -behind),
    }
}

#[cfg(test)]
mod tests {
    use reqwest::header::HeaderValue;

    use super::*;

    #[track_caller]
    fn check(headers: &[(&'static str, &str)], expected_seconds: Option<i64>) {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            map.insert(*name, HeaderValue::from_str(value).unwrap());
        }
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        assert_eq!(ahead(&map, now).map(|ahead| ahead.as_secs()), expected_seconds, "{headers:?}");
    }

    #[test]
    fn differences() {
        check(&[], None);
        check(&[("date", "Sun, 06 Nov 1994 08:49:37 GMT")], Some(0));
        check(&[("date", "Sun, 06 Nov 1994 08:52:37 GMT")], Some(180));
        check(&[("date", "Sun, 06 Nov 1994 08:49:07 GMT")], Some(-30));
        check(&[("date", "now")], None);
        check(&[("date", "Sun, 06 Nov 1994 08:52:37 GMT"), ("age", "5")], None);
    }
}
