//! What the server keeps of a job, and small readers of its members.
//!
//! The stored form differs from the answered one in one place: `chainedJobRule` stands at the top level here and
//! inside `linkedToJob` in answers.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use sha2::{Digest, Sha256};

/// A job's members, in the order in which they are answered.
pub(super) type Job = Map<String, Value>;

/// The two lists of actions of a job.
pub(super) const ACTION_LISTS: [&str; 2] = ["preDeployActions", "postDeployActions"];

/// One job with what the server knows beyond the job object.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct StoredJob {
    /// The members.
    pub(super) job: Job,
    /// The true contents of the job's scripts by storage path, which no endpoint answers with.
    pub(super) scripts: BTreeMap<String, Vec<u8>>,
    /// Epoch milliseconds of the last run, if there was one.
    pub(super) last_run: Option<i64>,
    /// Whether the job was deleted; it then shows in lists only, and only if the behaviour says so.
    pub(super) deleted: bool,
}

impl StoredJob {
    /// The job's id; the empty text for a job that has none yet.
    pub(super) fn id(&self) -> &str {
        text(&self.job, "id")
    }
}

/// A person as `createdBy` and `updatedBy` name them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct User {
    pub(super) id: String,
    pub(super) name: String,
}

impl User {
    /// A user of whom only the name is known: the id follows from it, so that it is the same in every run.
    pub(super) fn named(name: &str) -> Self {
        Self { id: stable_uuid(&format!("user/{name}")), name: name.to_owned() }
    }

    /// `{user: {id, name}, date}` with the date in epoch milliseconds.
    pub(super) fn at(&self, date: i64) -> Value {
        json!({"user": {"id": self.id, "name": self.name}, "date": date})
    }
}

/// A member that is text; the empty text where it is absent or anything else.
pub(super) fn text<'a>(job: &'a Job, member: &str) -> &'a str {
    job.get(member).and_then(Value::as_str).unwrap_or_default()
}

/// A whole number, given as a number or as text (REFERENCE section 10).
pub(super) fn number(value: Option<&Value>) -> Option<i64> {
    match value? {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => text.trim().parse().ok(),
        _ => None,
    }
}

/// How many elements a list member has; 0 where it is absent or null.
pub(super) fn count(job: &Job, member: &str) -> usize {
    job.get(member).and_then(Value::as_array).map_or(0, Vec::len)
}

/// Whether the job runs at most once (On-demand, Once), so that enabling it cannot be taken back
/// (REFERENCE section 8).
pub(super) fn is_run_once(job: &Job) -> bool {
    matches!(text(job, "scheduleType").to_ascii_lowercase().as_str(), "on-demand" | "once")
}

/// Whether the job is anything but Disabled: armed, running or past. Statuses are an open set (REFERENCE section 8);
/// a job without one is taken for Disabled.
pub(super) fn is_armed(job: &Job) -> bool {
    !matches!(text(job, "status"), "Disabled" | "")
}

/// Whether the job's schedule is On-demand; the API itself is not of one mind about the case.
pub(super) fn is_on_demand(job: &Job) -> bool {
    text(job, "scheduleType").eq_ignore_ascii_case("On-demand")
}

/// A UUID that follows from a text.
pub(super) fn stable_uuid(text: &str) -> String {
    let digest = Sha256::digest(text.as_bytes());
    let mut bytes = [0; 16];
    bytes.copy_from_slice(&digest[..16]);
    uuid::Builder::from_random_bytes(bytes).into_uuid().to_string()
}

/// Lower-case hexadecimal digits.
pub(super) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Lays `source` over `target`: objects are merged at every depth, everything else is replaced.
pub(super) fn deep_merge(target: &mut Job, source: &Job) {
    for (name, value) in source {
        match (target.get_mut(name), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => deep_merge(inner, value),
            _ => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}
