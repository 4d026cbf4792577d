//! Values of flags, read from what people write.

use std::time::Duration;

/// Longest wait that can be allowed: what a gateway asks for beyond it is taken for a mistake anyway.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Reads a duration as people write it: plain seconds, `90s`, `15m`, `1h`, `1h 30m`; 0 to 24 hours.
pub(super) fn wait(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let not_understood = || "write seconds, or a time such as 90s, 15m or 1h".to_owned();
    let is_number = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let duration = if is_number {
        // More digits than fit are more than a day, too.
        text.parse().map_or(Duration::MAX, Duration::from_secs)
    } else {
        let signed: jiff::SignedDuration = text.parse().map_err(|_| not_understood())?;
        Duration::try_from(signed).map_err(|_| "a wait can not be negative".to_owned())?
    };
    if duration > LONGEST_WAIT { Err("it can be 24h at most".to_owned()) } else { Ok(duration) }
}

/// Reads the longest wait for one answer. Below a second it is the time-out that makes the lost answers.
pub(super) fn patience(text: &str) -> Result<Duration, String> {
    let duration = wait(text)?;
    if duration < Duration::from_secs(1) { Err("it must be 1s at least".to_owned()) } else { Ok(duration) }
}

/// Reads a fingerprint: all of its 64 digits, as `plan` prints them.
pub(super) fn fingerprint(text: &str) -> Result<String, String> {
    let text = text.trim().to_ascii_lowercase();
    let is_one = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_one { Ok(text) } else { Err("a fingerprint has 64 hexadecimal digits".to_owned()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, expected: Result<u64, &str>) {
        let found = wait(text);
        let found = found.as_ref().map(Duration::as_secs).map_err(String::as_str);
        match expected {
            Ok(seconds) => assert_eq!(found, Ok(seconds), "{text}"),
            Err(part) => assert!(found.is_err_and(|error| error.contains(part)), "{text}: {found:?}"),
        }
    }

    #[test]
    fn waits_as_people_write_them() {
        check("0", Ok(0));
        check("45", Ok(45));
        check("90s", Ok(90));
        check("15m", Ok(900));
        check("15 min", Ok(900));
        check("1h", Ok(3_600));
        check("1h30m", Ok(5_400));
        check(" 1h 30m ", Ok(5_400));
        check("24h", Ok(86_400));
        check("86401", Err("24h at most"));
        check("99999999999999999999999", Err("24h at most"));
        check("25h", Err("24h at most"));
        check("-1m", Err("negative"));
        check("", Err("such as 90s"));
        check("soon", Err("such as 90s"));
        check("1d", Err("such as 90s"));
        check("15 m 3", Err("such as 90s"));
        check("-5", Err("such as 90s"));
    }
}
