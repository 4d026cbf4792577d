//! What a terminal shows while a run reads: nothing for a second, then one line that is rewritten. Nowhere else anything.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval_at};

use crate::terminal::Terminal;

/// Nothing is shown before.
const AFTER: Duration = Duration::from_secs(1);

/// Time between two states of the line.
const EVERY: Duration = Duration::from_millis(200);

/// Works, and shows what `words` says when it changes.
pub(super) async fn shown<T>(
    terminal: &Terminal,
    words: impl Fn() -> String,
    work: impl Future<Output = T>,
) -> T {
    if terminal.is_quiet() || !Terminal::can_rewrite() {
        return work.await;
    }
    let mut work = std::pin::pin!(work);
    let mut ticks = interval_at(Instant::now() + AFTER, EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = String::new();
    loop {
        tokio::select! {
            biased;
            done = &mut work => {
                if !last.is_empty() {
                    terminal.end_status();
                }
                return done;
            }
            _ = ticks.tick() => {
                let now = words();
                // A line about a wait for the rate limit stays while nothing moves.
                if now != last {
                    terminal.status(&now);
                    last = now;
                }
            }
        }
    }
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
        let pause = if self.shown.is_some() { EVERY } else { AFTER };
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
    fn progress_in_words() {
        let terminal = Terminal::new(ColourChoice::Never, Talk::Quiet);
        let began = Instant::now();
        let progress = Progress { terminal: &terminal, n_all: 100, n_done: 20, began, shown: None };
        assert_eq!(progress.words(Duration::from_secs(2)), "reading jobs: 20 of 100, about 9 s left");
    }
}
