//! What earlier runs know of manifests and their live jobs, as values; `ledger` keeps them in a file.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::job::Platform;
use crate::plan::{DisabledBy, Left};
use crate::snapshot::ListRow;

/// How old a sight may be before it is worth writing the file anew for: a day, in seconds.
///
/// The date is for people; a run that found nothing new writes nothing.
const STALE_SECONDS: i64 = 24 * 60 * 60;

/// The live job that a manifest was bound to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BoundJob {
    /// The job's id.
    pub id: String,
    /// The name that the live job had.
    pub name: String,
    /// Its platform, in the API's spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// Whether the manifest said that the job must never be deleted.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// When it was last seen so, RFC 3339.
    pub seen: String,
}

impl BoundJob {
    /// The job of a row, seen at `now`.
    pub fn of(row: &ListRow, protect: bool, now: jiff::Timestamp) -> Self {
        Self {
            id: row.id.clone(),
            name: row.name.clone(),
            platform: row.platform.map(|platform| platform.as_str().to_owned()),
            protect,
            seen: second(now),
        }
    }

    /// Its platform; `None` for one that this build does not know.
    pub fn platform(&self) -> Option<Platform> {
        self.platform.as_deref().and_then(Platform::parse)
    }

    /// Whether seeing the job of a row at `now` says nothing new.
    pub fn is_still(&self, row: &ListRow, protect: bool, now: jiff::Timestamp) -> bool {
        self.id == row.id
            && self.name == row.name
            && self.platform.as_deref() == row.platform.map(Platform::as_str)
            && self.protect == protect
            && self.is_fresh(now)
    }

    /// Whether another sight of it says nothing new.
    fn is_said_by(&self, former: &Self) -> bool {
        let Self { id, name, platform, protect, seen } = self;
        let same =
            (id, name, platform, protect) == (&former.id, &former.name, &former.platform, &former.protect);
        same && seen.parse().is_ok_and(|now| former.is_fresh(now))
    }

    fn is_fresh(&self, now: jiff::Timestamp) -> bool {
        let seen = self.seen.parse::<jiff::Timestamp>().map(jiff::Timestamp::as_second);
        seen.is_ok_and(|seen| (0..STALE_SECONDS).contains(&now.as_second().saturating_sub(seen)))
    }
}

/// A create that was sent and whose fate is not known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SentCreate {
    /// The name that was sent.
    pub name: String,
    /// The platform that was sent, in the API's spelling.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub platform: Option<String>,
    /// When, RFC 3339.
    pub sent: String,
}

/// Who edited a job before a write of ours that may have left its scripts as they were.
///
/// Our write is the job's last edit, and would hide it: what is stored for a script can not be read back.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ScriptDoubt {
    /// The job's id.
    pub id: String,
    /// Login name of who edited the job last before that write.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<String>,
    /// When, milliseconds since 1970-01-01 UTC.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<i64>,
}

/// All that is known of the manifests of one owner in one subscription.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Bindings {
    /// The commit that was applied last with nothing left over.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_commit: Option<String>,
    /// The youngest edit that this apply saw on any job, milliseconds since 1970-01-01 UTC by the server's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub applied_at: Option<i64>,
    /// By the manifest's key; keys of manifests that were removed stay.
    pub jobs: BTreeMap<String, BoundJob>,
    /// Creates whose fate is not known, by the manifest's key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub creates: BTreeMap<String, SentCreate>,
    /// What our last writes left on jobs, by the manifest's key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub left: BTreeMap<String, Left>,
    /// Jobs that the console disabled and that wait for a decision, by the manifest's key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub disabled: BTreeMap<String, DisabledBy>,
    /// Jobs whose scripts somebody may have replaced before we wrote to them, by the manifest's key.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub script_doubts: BTreeMap<String, ScriptDoubt>,
}

/// Another run has made the job of a create, or may have, since this one began.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overtaken(pub String);

impl std::fmt::Display for Overtaken {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Overtaken {}

impl Overtaken {
    /// Whether an error of the file is this one.
    pub fn is(error: &std::io::Error) -> bool {
        error.get_ref().is_some_and(|inner| inner.is::<Self>())
    }
}

/// One thing that a run learned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lesson {
    /// The manifest is bound to a job; a create of it is settled by that.
    Bound(String, BoundJob),
    /// The job of a key is gone for good, or was deleted.
    Forget(String),
    /// A create is about to be sent.
    CreateSent(String, SentCreate),
    /// A create surely made no job.
    CreateFailed(String),
    /// The manifests of a commit were applied with nothing left over; the youngest edit that was seen on any job.
    Applied(String, Option<i64>),
    /// What a run had applied was taken back, so that this commit is the one applied last again. Of the jobs that it was
    /// not about nothing is learned by that.
    StandsAt(String),
    /// A write left the job of this key so.
    Left(String, Left),
    /// The console disabled the job of this key, and it was left so.
    Disabled(String, DisabledBy),
    /// The manifest wants the job of this key disabled, so that nothing waits for a decision.
    Agreed(String),
    /// Somebody edited the job of this key, and we are about to write to it.
    DoubtsScripts(String, ScriptDoubt),
    /// All scripts of the job of this key were sent.
    SentScripts(String),
}

impl Bindings {
    /// Takes a lesson; `false` where it says nothing new.
    pub fn learn(&mut self, lesson: &Lesson) -> bool {
        match lesson {
            Lesson::Bound(key, job) => {
                let n_before = self.creates.len();
                // It may have been sent for the key that the manifest had then.
                self.creates.retain(|of, create| {
                    of != key && (&create.name, &create.platform) != (&job.name, &job.platform)
                });
                let settled = self.creates.len() < n_before;
                if self.jobs.get(key).is_some_and(|former| job.is_said_by(former)) {
                    return settled;
                }
                self.jobs.insert(key.clone(), job.clone());
                true
            }
            Lesson::Forget(key) => {
                self.left.remove(key);
                self.disabled.remove(key);
                self.script_doubts.remove(key);
                self.jobs.remove(key).is_some() | self.creates.remove(key).is_some()
            }
            Lesson::CreateSent(key, create) => {
                self.creates.insert(key.clone(), create.clone()).as_ref() != Some(create)
            }
            Lesson::CreateFailed(key) => self.creates.remove(key).is_some(),
            Lesson::Applied(commit, at) => {
                let is_new = (self.applied_commit.as_ref(), self.applied_at) != (Some(commit), *at);
                (self.applied_commit, self.applied_at) = (Some(commit.clone()), *at);
                for left in self.left.values_mut() {
                    left.since_applied = false;
                }
                self.disabled.clear();
                is_new
            }
            Lesson::StandsAt(commit) => {
                let is_new = (self.applied_commit.as_ref(), self.applied_at) != (Some(commit), None);
                (self.applied_commit, self.applied_at) = (Some(commit.clone()), None);
                is_new
            }
            Lesson::Left(key, left) => {
                let mut left = left.clone();
                // A call for the status leaves the content as it was written before.
                let former = self.left.get(key).filter(|former| former.id == left.id);
                left.content_at = left.content_at.or(former.and_then(|former| former.content_at));
                // Whoever switches the status decides, and what was said of it before is over.
                if left.status.is_some() {
                    self.disabled.remove(key);
                }
                left.status = left.status.or(former.and_then(|former| former.status.clone()));
                self.left.insert(key.clone(), left.clone()).as_ref() != Some(&left)
            }
            Lesson::Agreed(key) => self.disabled.remove(key).is_some(),
            Lesson::Disabled(key, by) => self.disabled.insert(key.clone(), by.clone()).as_ref() != Some(by),
            Lesson::DoubtsScripts(key, doubt) => {
                self.script_doubts.insert(key.clone(), doubt.clone()).as_ref() != Some(doubt)
            }
            Lesson::SentScripts(key) => self.script_doubts.remove(key).is_some(),
        }
    }

    /// Takes over what another section knows and this one does not.
    pub fn adopt(&mut self, other: Self) {
        let Self { applied_commit, applied_at, jobs, creates, left, disabled, script_doubts } = other;
        for (key, doubt) in script_doubts {
            self.script_doubts.entry(key).or_insert(doubt);
        }
        for (key, by) in disabled {
            self.disabled.entry(key).or_insert(by);
        }
        if self.applied_commit.is_none() {
            (self.applied_commit, self.applied_at) = (applied_commit, applied_at);
        }
        for (key, left) in left {
            self.left.entry(key).or_insert(left);
        }
        for (key, job) in jobs {
            self.jobs.entry(key).or_insert(job);
        }
        for (key, create) in creates {
            self.creates.entry(key).or_insert(create);
        }
    }

    /// The jobs whose manifest is not among these keys: candidates for pruning, and no more than that.
    ///
    /// A job that one of these keys is bound to, too, is none of them: its manifest was given another key.
    pub fn orphans<'a>(
        &'a self,
        keys: &'a BTreeSet<&str>,
    ) -> impl Iterator<Item = (&'a str, &'a BoundJob)> + use<'a> {
        let kept: BTreeSet<&str> =
            keys.iter().filter_map(|key| Some(self.jobs.get(*key)?.id.as_str())).collect();
        let jobs = self.jobs.iter().map(|(key, job)| (key.as_str(), job));
        jobs.filter(move |(key, job)| !keys.contains(key) && !kept.contains(job.id.as_str()))
    }

    /// Whether the ids are such as can stand in a URL; what somebody wrote into a file is not sent as it is.
    pub fn is_sound(&self) -> bool {
        let is_good = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
        self.jobs.values().all(|job| !job.id.is_empty() && job.id.chars().all(is_good))
    }
}

/// A time to the second, RFC 3339.
pub fn second(at: jiff::Timestamp) -> String {
    at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn job(id: &str, seen: &str) -> BoundJob {
        BoundJob {
            id: id.to_owned(),
            name: "A".to_owned(),
            platform: None,
            protect: false,
            seen: seen.to_owned(),
        }
    }

    #[test]
    fn a_sight_is_news_if_something_differs_or_a_day_went_by() {
        let mut known = Bindings::default();
        let mut check = |job: BoundJob, expected: bool| {
            assert_eq!(known.learn(&Lesson::Bound("a".to_owned(), job.clone())), expected, "{job:?}");
        };
        check(job("1", "2026-11-20T10:00:00Z"), true);
        check(job("1", "2026-11-21T09:59:59Z"), false);
        check(job("1", "2026-11-21T10:00:00Z"), true);
        check(job("1", "2026-11-20T10:00:00Z"), true);
        check(job("1", "nonsense"), true);
        check(job("2", "2026-11-20T10:00:00Z"), true);
        check(BoundJob { protect: true, ..job("2", "2026-11-20T10:00:00Z") }, true);
    }

    #[test]
    fn a_create_is_settled_by_the_job_by_its_failure_or_by_forgetting() {
        let create =
            SentCreate { name: "A".to_owned(), platform: None, sent: "2026-11-20T10:00:00Z".to_owned() };
        let key = || "a".to_owned();
        for lesson in [
            Lesson::Bound(key(), job("1", "2026-11-20T10:00:00Z")),
            Lesson::CreateFailed(key()),
            Lesson::Forget(key()),
        ] {
            let mut known = Bindings::default();
            assert!(known.learn(&Lesson::CreateSent(key(), create.clone())));
            assert!(known.learn(&lesson), "{lesson:?}");
            assert!(known.creates.is_empty(), "{lesson:?}");
        }
    }

    #[test]
    fn a_doubt_about_scripts_stays_until_they_are_sent_or_the_job_is_gone() {
        let key = || "a".to_owned();
        let doubt = ScriptDoubt { id: "1".to_owned(), user: Some("anna.k".to_owned()), at: Some(5) };
        for end in [Lesson::SentScripts(key()), Lesson::Forget(key())] {
            let mut known = Bindings::default();
            assert!(known.learn(&Lesson::DoubtsScripts(key(), doubt.clone())));
            assert!(!known.learn(&Lesson::DoubtsScripts(key(), doubt.clone())));
            known.learn(&Lesson::Applied("0123".to_owned(), None));
            assert_eq!(known.script_doubts.get("a"), Some(&doubt));
            known.learn(&end);
            assert!(known.script_doubts.is_empty(), "{end:?}");
        }
    }

    #[test]
    fn going_back_to_a_commit_decides_nothing_about_other_jobs() {
        let disabled = DisabledBy { id: "1".to_owned(), user: Some("anna.k".to_owned()), at: Some(5) };
        let left = Left {
            id: "1".to_owned(),
            at: 4,
            content_at: None,
            user: None,
            status: Some("Enabled".to_owned()),
            declared: None,
            since_applied: true,
        };
        let known_before = |lesson: &Lesson| {
            let mut known = Bindings::default();
            known.learn(&Lesson::Applied("new".to_owned(), Some(3)));
            known.learn(&Lesson::Left("a".to_owned(), left.clone()));
            known.learn(&Lesson::Disabled("a".to_owned(), disabled.clone()));
            assert!(known.learn(lesson));
            known
        };
        let back = known_before(&Lesson::StandsAt("old".to_owned()));
        assert_eq!((back.applied_commit.as_deref(), back.applied_at), (Some("old"), None));
        assert_eq!((back.disabled.get("a"), back.left.get("a")), (Some(&disabled), Some(&left)));
        let applied = known_before(&Lesson::Applied("old".to_owned(), Some(6)));
        assert_eq!((applied.disabled.len(), applied.left["a"].since_applied), (0, false));
    }

    #[test]
    fn orphans_are_the_keys_that_no_manifest_has() {
        let mut known = Bindings::default();
        for key in ["a", "b"] {
            known.learn(&Lesson::Bound(key.to_owned(), job(key, "2026-11-20T10:00:00Z")));
        }
        let keys = BTreeSet::from(["a", "c"]);
        let orphans: Vec<&str> = known.orphans(&keys).map(|(key, _)| key).collect();
        assert_eq!(orphans, ["b"]);
        // The manifest of `b` is called `c` now.
        known.learn(&Lesson::Bound("c".to_owned(), job("b", "2026-11-20T10:00:00Z")));
        assert_eq!(known.orphans(&keys).count(), 0);
    }
}
