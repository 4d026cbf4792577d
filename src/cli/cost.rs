//! What a run costs: told at its end, and shown while it goes on.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

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
            members.insert("waited_seconds".to_owned(), self.traffic.waited.as_secs().into());
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
            self.traffic.waited.as_secs(),
            count(n_cached, "job")
        ));
    }
}

/// What a client spent, as the `api` of JSON output.
pub(super) fn json(client: &Client, n_cached: usize) -> Value {
    Spent::of(client).json(n_cached)
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

/// A line on the terminal while jobs are read; nothing where there is no terminal.
pub(super) struct Progress<'a> {
    terminal: &'a Terminal,
    n_all: usize,
    n_done: usize,
    began: Instant,
    shown: Option<Instant>,
}

impl<'a> Progress<'a> {
    pub(super) fn new(terminal: &'a Terminal, n_all: usize) -> Self {
        Self { terminal, n_all, n_done: 0, began: Instant::now(), shown: None }
    }

    /// Counts one job; the line appears after a second and moves five times a second.
    pub(super) fn step(&mut self) {
        self.n_done += 1;
        let now = Instant::now();
        let since_shown = self.shown.map_or(now - self.began, |shown| now - shown);
        let pause = if self.shown.is_some() { Duration::from_millis(200) } else { Duration::from_secs(1) };
        if self.terminal.is_quiet() || !Terminal::can_rewrite() || since_shown < pause {
            return;
        }
        self.shown = Some(now);
        self.terminal.status(&self.words(now - self.began));
    }

    fn words(&self, spent: Duration) -> String {
        let (done, all) = (self.n_done, self.n_all);
        let left = u32::try_from(all - done).ok().and_then(|left| {
            let each = spent.checked_div(u32::try_from(done).ok()?)?;
            each.checked_mul(left)
        });
        let left = left.map_or(String::new(), |left| format!(", about {} s left", left.as_secs() + 1));
        format!("reading jobs: {done} of {all}{left}")
    }
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        if self.shown.is_some() {
            self.terminal.end_status();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::terminal::{ColourChoice, Talk};

    #[test]
    fn a_limit_is_filled_up_as_often_as_needed() {
        assert_eq!(n_windows(28, 300, 300), 0);
        assert_eq!(n_windows(300, 300, 300), 0);
        assert_eq!(n_windows(313, 187, 300), 1);
        assert_eq!(n_windows(901, 0, 300), 4);
        assert_eq!(n_windows(1, 0, 0), 1);
    }

    #[test]
    fn sizes_and_progress_in_words() {
        assert_eq!(size(999), "999 bytes");
        assert_eq!(size(12_345), "12 kB");
        assert_eq!(size(41_512_298), "41.5 MB");
        let terminal = Terminal::new(ColourChoice::Never, Talk::Quiet);
        let began = Instant::now();
        let progress = Progress { terminal: &terminal, n_all: 100, n_done: 20, began, shown: None };
        assert_eq!(progress.words(Duration::from_secs(2)), "reading jobs: 20 of 100, about 9 s left");
    }
}
