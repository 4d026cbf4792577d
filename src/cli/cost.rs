//! What a run costs: told at its end, and shown while it goes on.

use std::time::Duration;

use serde_json::{Value, json};
use tokio::time::Instant;

use crate::api::{Client, ReadApi};
use crate::render::text::count;
use crate::terminal::Terminal;

/// Calls by kind, waits, bytes and remembered jobs, as the `api` of JSON output.
pub(super) fn json(client: &Client, n_cached: usize) -> Value {
    let mut members = json!(client.calls());
    let traffic = client.traffic();
    if let Some(members) = members.as_object_mut() {
        members.insert("bytes".to_owned(), traffic.bytes_received.into());
        members.insert("waited_seconds".to_owned(), traffic.waited.as_secs().into());
        members.insert("cached".to_owned(), n_cached.into());
    }
    members
}

/// The same as the last line on stderr.
pub(super) fn tell(terminal: &Terminal, client: &Client, n_cached: usize) {
    if terminal.is_quiet() {
        return;
    }
    let traffic = client.traffic();
    terminal.say(&format!(
        "cost: {}; {} read, waited {} s, {} from the cache\n",
        client.calls(),
        size(traffic.bytes_received),
        traffic.waited.as_secs(),
        count(n_cached, "job")
    ));
}

/// Bytes the way people say them.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{}.{} MB", bytes / 1_000_000, bytes / 100_000 % 10),
    }
}

/// How long carrying out a plan takes at the gateway's limit: the one it announced, else the usual one.
///
/// 300 calls an hour is the documented default of the gateway's other modules (REFERENCE 3).
pub(super) fn of_apply(client: &Client, n_calls: usize) -> String {
    let limits = client.limits_seen();
    let announced = limits.as_ref().and_then(|limits| Some((limits.limit?, limits.window?)));
    let (limit, window) = announced.unwrap_or((300, Duration::from_secs(3600)));
    let left = limits.as_ref().and_then(|limits| limits.remaining).unwrap_or(limit);
    let words = if announced.is_some() { "the gateway allows" } else { "usually allowed are" };
    let minutes = window.as_secs().div_ceil(60);
    let n_calls_64 = u64::try_from(n_calls).unwrap_or(u64::MAX);
    let waits = n_calls_64.saturating_sub(left).div_ceil(limit.max(1)).saturating_mul(minutes);
    let long =
        if waits == 0 { "no wait for the limit".to_owned() } else { format!("up to {waits} min of waiting") };
    format!("Applying takes {}: {long} ({words} {limit} in {minutes} min).", count(n_calls, "call"))
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
