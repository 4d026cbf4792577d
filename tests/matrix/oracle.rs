//! What must hold of the jobs, whatever went wrong: each member has its former value, the declared one, or the one that
//! the console gave it, and true scripts are compared in place of paths.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use crate::run::text;

/// The members of a job by JSON Pointer, without those that are none.
pub(crate) type Leaves = BTreeMap<String, Value>;
/// Jobs by name.
pub(crate) type Jobs = BTreeMap<String, Leaves>;

/// What no two runs have in common and no manifest is about.
const OWN: [&str; 5] = ["id", "createdBy", "updatedBy", "customerId", "_scripts"];

/// The jobs of a dump: scripts by their true contents, other jobs and actions by their names.
pub(crate) fn jobs(dump: &Value) -> Jobs {
    let (all, scripts) = (dump["jobs"].as_array().unwrap(), dump["scripts"].as_object().unwrap());
    let mut names: BTreeMap<&str, &str> = BTreeMap::new();
    for job in all {
        names.insert(text(job, "id"), text(job, "name"));
        for list in ["preDeployActions", "postDeployActions"] {
            for action in job[list].as_array().into_iter().flatten() {
                names.insert(text(action, "actionId"), text(&action["params"], "actionItem"));
            }
        }
    }
    let mut jobs = Jobs::new();
    for job in all {
        let mut leaves = Leaves::new();
        for (name, value) in job.as_object().unwrap().iter().filter(|(name, _)| !OWN.contains(&name.as_str()))
        {
            flatten(&format!("/{name}"), value, &names, scripts, &mut leaves);
        }
        let description = leaves.get("/description").and_then(Value::as_str).unwrap_or_default();
        let ours = description.find("[patchctl:").unwrap_or(description.len());
        let description = description[..ours].trim_end().to_owned();
        leaves.remove("/description");
        if !description.is_empty() {
            leaves.insert("/description".to_owned(), description.into());
        }
        let twice = jobs.insert(text(job, "name").to_owned(), leaves);
        assert_eq!(twice, None, "a second job: {job:#}");
    }
    jobs
}

fn flatten(
    pointer: &str,
    value: &Value,
    names: &BTreeMap<&str, &str>,
    scripts: &Map<String, Value>,
    leaves: &mut Leaves,
) {
    match value {
        Value::Object(members) => {
            // The ids of actions differ where the run makes them; chained rules are told by the names.
            for (name, value) in members.iter().filter(|(name, _)| *name != "actionId") {
                flatten(&format!("{pointer}/{name}"), value, names, scripts, leaves);
            }
        }
        Value::Array(elements) => {
            for (at, value) in elements.iter().enumerate() {
                flatten(&format!("{pointer}/{at}"), value, names, scripts, leaves);
            }
        }
        // None in any of its forms; what a server that replaces writes for what was not there.
        Value::Null => {}
        Value::String(text) if text.is_empty() => {}
        Value::String(text) => {
            let is_script = text.ends_with("/Script") || text.ends_with("/DetectionScript");
            let meant = if is_script {
                scripts.get(text).unwrap_or_else(|| panic!("no content behind {text}")).clone()
            } else {
                names.get(text.as_str()).map_or_else(|| value.clone(), |name| (*name).into())
            };
            leaves.insert(pointer.to_owned(), meant);
        }
        Value::Bool(false) => {}
        Value::Bool(true) | Value::Number(_) => {
            leaves.insert(pointer.to_owned(), value.clone());
        }
    }
}

/// What may be there.
#[derive(Clone, Copy)]
pub(crate) struct Oracle<'a> {
    pub(crate) former: &'a Jobs,
    pub(crate) desired: &'a Jobs,
    /// The job that the console edited, the member and its value.
    pub(crate) edit: Option<(&'a str, &'a str, &'a Value)>,
}

impl Oracle<'_> {
    /// No job is in a state that neither the manifests nor the former live jobs nor the console describe.
    #[track_caller]
    pub(crate) fn nothing_else_is_there(self, now: &Jobs) {
        for (name, leaves) in now {
            self.job_is_described(name, leaves);
        }
        for name in self.former.keys().filter(|name| !now.contains_key(*name)) {
            assert!(!self.desired.contains_key(name), "{name} is gone, and no manifest was removed");
        }
    }

    #[track_caller]
    fn job_is_described(self, name: &str, now: &Leaves) {
        let (former, desired) = (self.former.get(name), self.desired.get(name));
        assert!(former.or(desired).is_some(), "nobody asked for a job `{name}`");
        let mut sides = BTreeSet::new();
        for pointer in pointers([Some(now), former, desired]) {
            let is = now.get(pointer);
            if self.edit_of(name).is_some_and(|(edited, value)| edited == pointer && is == Some(value)) {
                continue;
            }
            let was = former.map(|job| job.get(pointer));
            let wanted = desired.map(|job| job.get(pointer));
            if pointer == "/status" {
                // It has a step of its own, and every new job begins Disabled.
                let is_new = former.is_none() && is == Some(&"Disabled".into());
                assert!(is_new || [was, wanted].contains(&Some(is)), "{name} {pointer}: {is:?}");
                continue;
            }
            match (was == Some(is), wanted == Some(is)) {
                (true, true) => {}
                (true, false) => drop(sides.insert("former")),
                (false, true) => drop(sides.insert("desired")),
                (false, false) => panic!("{name} {pointer}: {is:?}, was {was:?}, wanted {wanted:?}"),
            }
        }
        // The content of a job is one write: all of it or nothing. `old` is wanted by nobody.
        assert!(sides.len() < 2 || desired.is_none(), "{name} is half written: {now:#?}");
    }

    /// Everything is as the manifests say, what they do not mention as it was or as the console left it.
    #[track_caller]
    pub(crate) fn all_is_as_declared(self, now: &Jobs) {
        let (here, wanted): (Vec<_>, Vec<_>) = (now.keys().collect(), self.desired.keys().collect());
        assert_eq!(here, wanted);
        for (name, leaves) in now {
            let desired = &self.desired[name];
            for pointer in pointers([Some(leaves), Some(desired)]) {
                let edited =
                    self.edit_of(name).filter(|(edited, _)| *edited == pointer && *edited != "/timeout");
                let expected = edited.map(|(_, value)| value).or_else(|| desired.get(pointer));
                assert_eq!(leaves.get(pointer), expected, "{name} {pointer}");
            }
        }
    }

    fn edit_of(&self, name: &str) -> Option<(&str, &Value)> {
        self.edit.filter(|(job, _, _)| *job == name).map(|(_, pointer, value)| (pointer, value))
    }
}

fn pointers<const N: usize>(jobs: [Option<&Leaves>; N]) -> BTreeSet<&str> {
    jobs.into_iter().flatten().flat_map(|job| job.keys().map(String::as_str)).collect()
}
