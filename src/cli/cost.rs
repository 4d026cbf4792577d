//! What a run costs: told at its end, and beforehand what an apply will.

use std::time::Duration;

use serde_json::{Value, json};

use crate::api::{CallCounts, Client, ReadApi, Traffic};
use crate::render::text::count;
use crate::terminal::Terminal;

/// What was spent.
#[derive(Clone, Debug, Default)]
pub(super) struct Spent {
    /// Requests by kind.
    pub(super) calls: CallCounts,
    traffic: Traffic,
}

impl Spent {
    /// So far, by this client.
    pub(super) fn of(client: &Client) -> Self {
        Self { calls: client.calls(), traffic: client.traffic() }
    }

    /// Calls by kind, waits, bytes and remembered jobs, as the `api` of JSON output.
    pub(super) fn json(&self, n_cached: usize) -> Value {
        let mut members = json!(self.calls);
        if let Some(members) = members.as_object_mut() {
            members.insert("bytes".to_owned(), self.traffic.bytes_received.into());
            members.insert("waited_seconds".to_owned(), whole_seconds(self.traffic.waited).into());
            members.insert("cached".to_owned(), n_cached.into());
        }
        members
    }

    /// The same as the last line on stderr.
    pub(super) fn tell(&self, terminal: &Terminal, n_cached: usize) {
        if terminal.is_quiet() {
            return;
        }
        terminal.say(&format!(
            "cost: {}; {} read, waited {} s, {} from the cache\n",
            self.calls,
            size(self.traffic.bytes_received),
            whole_seconds(self.traffic.waited),
            count(n_cached, "job")
        ));
    }
}

/// What a client spent, as the `api` of JSON output.
pub(super) fn json(client: &Client, n_cached: usize) -> Value {
    Spent::of(client).json(n_cached)
}

/// Rounded up, as everywhere where a wait is told: what is left of one second is a little less than one.
fn whole_seconds(waited: Duration) -> u64 {
    waited.as_secs() + u64::from(waited.subsec_nanos() > 0)
}

/// Bytes the way people say them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

/// Calls in an hour that the gateway allows by default, by the documentation of its other modules (REFERENCE 3).
const USUAL_CALLS_PER_HOUR: u64 = 300;

/// What carrying out a plan costs.
pub(super) struct Applying {
    /// Calls that it needs.
    pub(super) n_calls: usize,
    /// Calls that come before, because the run which carries it out reads the live jobs as well.
    pub(super) n_before: usize,
    /// Calls in an hour that the configuration says are allowed.
    pub(super) per_hour: Option<u64>,
}

/// The calls of an apply, and how long they take at the gateway's limit: the one it announced, else the configured one,
/// else the usual one. Of a limit that was not announced this run has used a part.
pub(super) fn of_apply(client: &Client, applying: &Applying) -> String {
    let limits = client.limits_seen();
    let announced = limits.as_ref().and_then(|limits| Some((limits.limit?, limits.window?)));
    let n_made = client.calls().total();
    let (limit, window, words) = match (announced, applying.per_hour) {
        (Some((limit, window)), _) => (limit, window, "the gateway allows"),
        (None, Some(limit)) => (limit, Duration::from_secs(3600), "configured are"),
        (None, None) => (USUAL_CALLS_PER_HOUR, Duration::from_secs(3600), "usually allowed are"),
    };
    let told = limits.as_ref().and_then(|limits| limits.remaining);
    let minutes = window.as_secs().div_ceil(60);
    let n_all = u64::try_from(applying.n_calls.saturating_add(applying.n_before)).unwrap_or(u64::MAX);
    let left = told.unwrap_or_else(|| limit.saturating_sub(n_made));
    let waits = n_windows(n_all, left, limit).saturating_mul(minutes);
    let calls = count(applying.n_calls, "call");
    if waits == 0 {
        return format!("Applying takes {calls}: no wait for the limit ({words} {limit} in {minutes} min).");
    }
    let before = match applying.n_before {
        0 => String::new(),
        n => format!(", and {n} before it to read the live jobs"),
    };
    let used = match told {
        Some(left) => format!(", of which {left} are left"),
        None => format!(", of which this run took {n_made}"),
    };
    format!(
        "Applying takes {calls}{before}: up to {waits} min of waiting for the limit ({words} {limit} in {minutes} min{used})."
    )
}

/// How many times a limit must be filled up again for so many calls, of which some are left now.
fn n_windows(n_calls: u64, n_left: u64, limit: u64) -> u64 {
    n_calls.saturating_sub(n_left).div_ceil(limit.max(1))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_filled_up_as_often_as_needed() {
        assert_eq!(n_windows(28, 300, 300), 0);
        assert_eq!(n_windows(300, 300, 300), 0);
        assert_eq!(n_windows(313, 187, 300), 1);
        assert_eq!(n_windows(901, 0, 300), 4);
        assert_eq!(n_windows(1, 0, 0), 1);
    }

    #[test]
    fn sizes_in_words() {
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(12_345), "12 kB");
        assert_eq!(size(41_512_298), "41.5 MB");
    }
}
