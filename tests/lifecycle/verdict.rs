//! What must hold of the jobs after any apply, whatever went wrong in it.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::run::text;
use crate::support::kept::Truth;

/// Whether a job is armed, or was: its status is anything but `Disabled`.
pub(crate) fn is_armed(job: &Value) -> bool {
    text(job, "status") != "Disabled"
}

/// Whether a job does not surely run again and again.
pub(crate) fn runs_once(job: &Value) -> bool {
    !["Daily", "Weekly", "Monthly"].contains(&text(job, "scheduleType"))
}

/// All that the server keeps of a dump.
pub(crate) fn truth(dump: &Value) -> Truth {
    let jobs = dump["jobs"].as_array().expect("jobs").iter();
    let jobs = jobs.map(|job| (text(job, "id").to_owned(), job.clone())).collect();
    (jobs, dump["scripts"].as_object().expect("scripts").clone())
}

/// No two jobs of one platform have one name.
#[track_caller]
pub(crate) fn names_are_unique(after: &Truth) {
    let mut names = BTreeSet::new();
    for job in after.0.values() {
        assert!(names.insert((text(job, "platform"), text(job, "name"))), "two jobs: {job:#}");
    }
}

/// Names of the jobs that were armed for good between the two.
pub(crate) fn armed_for_good<'a>(before: &Truth, after: &'a Truth) -> BTreeSet<&'a str> {
    let is_one_way = |job: &Value| is_armed(job) && runs_once(job);
    let new =
        after.0.iter().filter(|(id, job)| is_one_way(job) && !before.0.get(*id).is_some_and(is_one_way));
    new.map(|(_, job)| text(job, "name")).collect()
}

/// The body of a create holds nothing that the manifest does not declare, but what is ours or follows from it.
#[track_caller]
pub(crate) fn is_declared(body: &Value, declared: &Map<String, Value>, key: &str) {
    for (name, value) in body.as_object().expect("a body") {
        let is_ours = ["type", "status", "recurring", "description"].contains(&name.as_str());
        assert!(is_ours || declared.contains_key(name), "{key}: {name} in {body:#}");
        if let Some(declared) = declared.get(name) {
            inner_is_declared(value, declared, &format!("{key} {name}"));
        }
    }
    assert_eq!(body["status"], "Disabled", "{key}");
}

#[track_caller]
fn inner_is_declared(body: &Value, declared: &Value, path: &str) {
    match (body, declared) {
        (Value::Object(body), Value::Object(declared)) => {
            for (name, value) in body {
                let path = format!("{path}.{name}");
                match declared.get(name) {
                    Some(declared) => inner_is_declared(value, declared, &path),
                    None => assert_eq!(name, "actionType", "{path}"),
                }
            }
        }
        (Value::Array(body), Value::Array(declared)) if body.iter().any(Value::is_object) => {
            assert_eq!(body.len(), declared.len(), "{path}");
            for (body, declared) in body.iter().zip(declared) {
                inner_is_declared(body, declared, path);
            }
        }
        _ => {}
    }
}
