//! Keeps lines that are alike from filling a log: the first of a kind is told, and then one every 30 seconds at most,
//! with how many came since.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Time between two lines of a kind, as between two lines of a wait.
pub(super) const LINE_EVERY: Duration = Duration::from_secs(30);

/// What was told, by kind.
#[derive(Default)]
pub(super) struct Seldom {
    told: Mutex<BTreeMap<String, Told>>,
}

struct Told {
    at: Instant,
    n_kept_back: usize,
}

impl Seldom {
    /// Whether a line of a kind is told now, and then how many of them were kept back since the one before.
    pub(super) fn due(&self, kind: &str) -> Option<usize> {
        let now = Instant::now();
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match told.get_mut(kind) {
            None => {
                told.insert(kind.to_owned(), Told { at: now, n_kept_back: 0 });
                Some(0)
            }
            Some(last) if now.duration_since(last.at) >= LINE_EVERY => {
                last.at = now;
                Some(std::mem::take(&mut last.n_kept_back))
            }
            Some(last) => {
                last.n_kept_back += 1;
                None
            }
        }
    }

    /// The line for a call that will be sent again, if it is told. Calls with one cause are of one kind, whatever their
    /// answers say.
    pub(super) fn retry(&self, call: &str, cause: &str, next_try: u32) -> Option<String> {
        let kind = cause.split_once(": `").map_or(cause, |(kind, _)| kind);
        let since = match self.due(kind)? {
            0 => String::new(),
            1 => "; the same once more since the last line".to_owned(),
            n_kept_back => format!("; the same {n_kept_back} times more since the last line"),
        };
        Some(format!("{call}: {cause}; try {next_try} follows{since}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn the_first_of_a_kind_and_then_a_count() {
        let seldom = Seldom::default();
        let mut lines = Vec::new();
        for second in 0..70 {
            for (job, cause) in [
                ("a", "no connection could be made".to_owned()),
                ("b", "no connection could be made".to_owned()),
                ("c", format!("the answer was HTTP 502 Bad Gateway: `request {second}`")),
            ] {
                lines.extend(
                    seldom.retry(&format!("GET /{job}"), &cause, 2).map(|line| format!("{second} {line}")),
                );
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        assert_eq!(
            lines,
            [
                "0 GET /a: no connection could be made; try 2 follows",
                "0 GET /c: the answer was HTTP 502 Bad Gateway: `request 0`; try 2 follows",
                "30 GET /a: no connection could be made; try 2 follows; the same 59 times more since the last line",
                "30 GET /c: the answer was HTTP 502 Bad Gateway: `request 30`; try 2 follows; the same 29 times more since \
                 the last line",
                "60 GET /a: no connection could be made; try 2 follows; the same 59 times more since the last line",
                "60 GET /c: the answer was HTTP 502 Bad Gateway: `request 60`; try 2 follows; the same 29 times more since \
                 the last line",
            ]
        );
    }
}
