//! A plain model of what a PATCH does to a stored job, in the three ways of which nobody knows the real one
//! (REFERENCE section 9). Written for these tests; it shares nothing with the simulator.

use patchctl::job::{self, JOB, Owner};
use serde_json::{Map, Value, json};

use super::live::CUSTOMER;

/// What a PATCH does with members that it does not mention.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Server {
    DeepMerge,
    TopMerge,
    Replace,
}

/// The stored form of an answered job: chained rules at the top level, without what only answers hold.
pub(crate) fn stored(answered: &Value) -> Value {
    let mut job = answered.as_object().expect("a job").clone();
    let parents = job.shift_remove("linkedToJob").unwrap_or_default();
    if let Some(Value::Array(rules)) = parents.pointer("/0/chainedJobRule") {
        let mut rules = rules.clone();
        for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
            rule.shift_remove("id");
            rule.shift_remove("actionDetails");
        }
        job.insert("chainedJobRule".to_owned(), rules.into());
    }
    Value::Object(job)
}

/// The stored job after a PATCH.
pub(crate) fn patched(server: Server, before: &Value, body: &Value) -> Value {
    let before = before.as_object().expect("a job");
    let body = body.as_object().expect("a body");
    let is_kept =
        |name: &str| job::find(JOB, name).is_some_and(|row| row.owner == Owner::Server) || name == "status";
    let sent: Map<String, Value> = body
        .iter()
        .filter(|(name, _)| !is_kept(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut after = before.clone();
    match server {
        Server::DeepMerge => merge(&mut after, &sent),
        Server::TopMerge => after.extend(sent),
        Server::Replace => {
            after.retain(|name, _| is_kept(name));
            after.extend(sent);
        }
    }
    Value::Object(after)
}

fn merge(target: &mut Map<String, Value>, source: &Map<String, Value>) {
    for (name, value) in source {
        match (target.get_mut(name), value) {
            (Some(Value::Object(inner)), Value::Object(value)) => merge(inner, value),
            _ => {
                target.insert(name.clone(), value.clone());
            }
        }
    }
}

/// What the server makes of contents and new actions: storage paths and ids.
pub(crate) fn settled(mut job: Value) -> Value {
    let mut n_new = 0;
    for list in ["preDeployActions", "postDeployActions"] {
        for action in job[list].as_array_mut().into_iter().flatten() {
            let Value::Object(action) = action else { continue };
            if !action.get("actionId").is_some_and(Value::is_string) {
                n_new += 1;
                action.insert("actionId".to_owned(), format!("ffffffff-0000-4000-8000-{n_new:012x}").into());
            }
            let id = action["actionId"].as_str().expect("an id").to_owned();
            for (member, suffix) in [("script", "Script"), ("detectionScript", "DetectionScript")] {
                if action.get(member).is_some_and(Value::is_object) {
                    action.insert(member.to_owned(), json!(format!("{CUSTOMER}/{id}/{suffix}")));
                }
            }
        }
    }
    job
}
