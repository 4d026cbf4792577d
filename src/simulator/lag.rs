//! Answers that are behind: which version of a job a call sees where changes take their time to show.
//!
//! Time is counted in calls, so that a test meets the same versions in every run. Former versions are kept only while
//! some kind of answer lags.

use std::collections::BTreeMap;

use super::behaviour::Lag;
use super::stored::StoredJob;

/// One change of a job.
#[derive(Debug)]
struct Change {
    /// The number of the last call that had begun when the change was made.
    at: u64,
    id: String,
    /// The version before; none where the change made the job.
    former: Option<StoredJob>,
}

/// The changes of late.
#[derive(Debug, Default)]
pub(super) struct History {
    is_kept: bool,
    n_calls: u64,
    /// In the order in which they were made.
    changes: Vec<Change>,
}

impl History {
    /// Sets whether changes are kept from now on; those of before are forgotten where they are not.
    pub(super) fn keep(&mut self, is_kept: bool) {
        self.is_kept = is_kept;
        if !is_kept {
            self.changes.clear();
        }
    }

    /// Counts a call.
    pub(super) fn begin_call(&mut self) {
        self.n_calls += 1;
    }

    /// Takes down a change of a job.
    pub(super) fn note(&mut self, id: &str, former: Option<&StoredJob>) {
        if self.is_kept {
            self.changes.push(Change { at: self.n_calls, id: id.to_owned(), former: former.cloned() });
        }
    }

    /// The jobs whose latest changes do not show yet, by id, as they show instead: `None` for not at all.
    pub(super) fn hidden(&self, lag: Lag) -> BTreeMap<&str, Option<&StoredJob>> {
        let mut hidden = BTreeMap::new();
        let is_hidden = |change: &&Change| match lag {
            Lag::None => false,
            Lag::Calls(n_calls) => change.at.saturating_add(n_calls) >= self.n_calls,
            Lag::Never => true,
        };
        for change in self.changes.iter().filter(is_hidden) {
            // What shows is what was there before the first change that does not.
            hidden.entry(change.id.as_str()).or_insert(change.former.as_ref());
        }
        hidden
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn version(name: &str) -> StoredJob {
        let job = json!({"id": "a", "name": name}).as_object().expect("an object").clone();
        StoredJob { job, ..StoredJob::default() }
    }

    /// What the next calls see of a job that is made, and changed one call later; `-` is no job.
    #[track_caller]
    fn check(lag: Lag, expected: &str) {
        let mut history = History::default();
        history.keep(true);
        let mut seen = Vec::new();
        let mut now: Option<StoredJob> = None;
        for next in [Some("first"), Some("second"), None, None, None] {
            if let Some(name) = next {
                history.note("a", now.as_ref());
                now = Some(version(name));
            }
            history.begin_call();
            let shown = history.hidden(lag).get("a").copied().unwrap_or(now.as_ref());
            seen.push(shown.map_or("-", |job| job.job["name"].as_str().expect("a name")).to_owned());
        }
        assert_eq!(seen.join(" "), expected, "{lag:?}");
    }

    #[test]
    fn a_change_shows_after_so_many_further_calls() {
        check(Lag::None, "first second second second second");
        check(Lag::Calls(1), "- first second second second");
        check(Lag::Calls(3), "- - - first second");
        check(Lag::Never, "- - - - -");
    }

    #[test]
    fn nothing_is_kept_unless_it_is_needed() {
        let mut history = History::default();
        history.note("a", None);
        history.keep(true);
        assert!(history.hidden(Lag::Never).is_empty());
        history.note("a", None);
        history.keep(false);
        history.keep(true);
        assert!(history.hidden(Lag::Never).is_empty());
    }
}
