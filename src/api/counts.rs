//! Counts of the requests sent: what a run cost, by kind. Nothing here decides anything.

use std::fmt;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use serde::Serialize;

/// What a request is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum CallKind {
    Auth,
    List,
    Read,
    Update,
    Create,
    Status,
    Delete,
    Version,
}

/// Requests, by kind, each counted just before it goes out, so also where then no connection could be made. A repeated
/// request counts in its kind each time, and once more in `retries`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct CallCounts {
    /// `POST /auth`; outside the rate limits as far as known (REFERENCE section 2).
    pub auth: u64,
    /// Pages of the job list.
    pub list: u64,
    /// Single jobs read.
    pub read: u64,
    /// `PATCH` of a job.
    pub update: u64,
    /// Creations.
    pub create: u64,
    /// Status calls, each for any number of jobs.
    pub status: u64,
    /// Delete calls, each for any number of jobs.
    pub delete: u64,
    /// The server's version: the call of `doctor` that asks whether the gateway is there at all.
    pub version: u64,
    /// How many of the requests above were sent again after a refusal or failure.
    pub retries: u64,
}

impl CallCounts {
    /// All requests sent; retries are in it once.
    pub fn total(&self) -> u64 {
        let Self { auth, list, read, update, create, status, delete, version, retries: _ } = self;
        auth + list + read + update + create + status + delete + version
    }
}

impl fmt::Display for CallCounts {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { auth, list, read, update, create, status, delete, version, retries } = *self;
        let total = self.total();
        write!(formatter, "{total} {}", if total == 1 { "call" } else { "calls" })?;
        let kinds = [
            (auth, "auth"),
            (list, "list"),
            (read, "read"),
            (update, "update"),
            (create, "create"),
            (status, "status"),
            (delete, "delete"),
            (version, "version"),
        ];
        let mut parts: Vec<String> = kinds
            .iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, kind)| format!("{count} {kind}"))
            .collect();
        if retries > 0 {
            parts.push(format!("{retries} of them retries"));
        }
        if parts.is_empty() { Ok(()) } else { write!(formatter, " ({})", parts.join(", ")) }
    }
}

/// What a run moved and waited for, beside its calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Traffic {
    /// Bytes of answers, after decompression.
    pub bytes_received: u64,
    /// Time for which the throttle gate was closed while something waited at it.
    pub waited: Duration,
}

/// The counters behind [`CallCounts`], shared by all calls in flight.
#[derive(Debug, Default)]
pub(super) struct Counters {
    auth: AtomicU64,
    list: AtomicU64,
    read: AtomicU64,
    update: AtomicU64,
    create: AtomicU64,
    status: AtomicU64,
    delete: AtomicU64,
    version: AtomicU64,
    retries: AtomicU64,
}

impl Counters {
    /// Counts one request, just before it is sent.
    pub(super) fn count(&self, kind: CallKind, is_repeat: bool) {
        let counter = match kind {
            CallKind::Auth => &self.auth,
            CallKind::List => &self.list,
            CallKind::Read => &self.read,
            CallKind::Update => &self.update,
            CallKind::Create => &self.create,
            CallKind::Status => &self.status,
            CallKind::Delete => &self.delete,
            CallKind::Version => &self.version,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if is_repeat {
            self.retries.fetch_add(1, Ordering::Relaxed);
        }
    }

    pub(super) fn snapshot(&self) -> CallCounts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        CallCounts {
            auth: read(&self.auth),
            list: read(&self.list),
            read: read(&self.read),
            update: read(&self.update),
            create: read(&self.create),
            status: read(&self.status),
            delete: read(&self.delete),
            version: read(&self.version),
            retries: read(&self.retries),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(counts: CallCounts, expected: &str) {
        assert_eq!(counts.to_string(), expected);
    }

    #[test]
    fn displayed_counts() {
        check(CallCounts::default(), "0 calls");
        check(CallCounts { auth: 1, ..CallCounts::default() }, "1 call (1 auth)");
        check(
            CallCounts { auth: 1, list: 4, read: 9, ..CallCounts::default() },
            "14 calls (1 auth, 4 list, 9 read)",
        );
        check(
            CallCounts { update: 1, create: 2, status: 3, delete: 4, retries: 5, ..CallCounts::default() },
            "10 calls (1 update, 2 create, 3 status, 4 delete, 5 of them retries)",
        );
    }

    #[test]
    fn counted_by_kind() {
        let counters = Counters::default();
        counters.count(CallKind::List, false);
        counters.count(CallKind::List, true);
        counters.count(CallKind::Read, false);
        assert_eq!(counters.snapshot(), CallCounts { list: 2, read: 1, retries: 1, ..CallCounts::default() });
    }
}
