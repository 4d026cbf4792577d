//! The shapes that stored jobs are answered in: the full job, the summary of a parent, a row of the list, the runs.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::runs::next_run;
use super::stored::{ACTION_LISTS, Job, StoredJob, is_on_demand, stable_uuid, text};

/// The job as `GET` by id and, on a server that does not echo, as writes answer it.
///
/// `parent` is the job that `linkedJobId` names, if there is one, with how many jobs link to it. Where the parent is
/// not in the tenant (a seed cut out of a larger subscription), the summary that the seed brought is answered.
pub(super) fn full_job(stored: &Job, parent: Option<(&StoredJob, usize)>, now: i64) -> Value {
    let mut job = stored.clone();
    let rules = job.shift_remove("chainedJobRule");
    let parents = match parent {
        Some((parent, n_children)) => Some(json!([summary(parent, n_children, rules.as_ref(), now)])),
        None => job.get("linkedToJob").filter(|known| known.is_array()).cloned().map(|mut known| {
            if let (Some(first), Some(rules)) =
                (known.pointer_mut("/0").and_then(Value::as_object_mut), rules)
            {
                first.insert("chainedJobRule".to_owned(), answered_rules(&rules, &Job::new()));
            }
            known
        }),
    };
    if let Some(parents) = parents {
        job.insert("linkedToJob".to_owned(), parents);
    }
    Value::Object(job)
}

/// The parent's entry in `linkedToJob`, with the rule of the child in it (pair 3 of the samples).
fn summary(parent: &StoredJob, n_children: usize, rules: Option<&Value>, now: i64) -> Value {
    let job = &parent.job;
    let member = |name: &str| job.get(name).cloned().unwrap_or_default();
    let schedule = if is_on_demand(job) { "On-Demand" } else { text(job, "scheduleType") };
    json!({
        "customerId": member("customerId"),
        "id": member("id"),
        "name": member("name"),
        "type": member("type"),
        "status": member("status"),
        "createdBy": member("createdBy"),
        "linkedJobReferenceCount": n_children,
        "schedule": schedule,
        "previousRun": parent.last_run,
        "nextRun": next_run(job, now),
        "chainedJobRule": rules.map(|rules| answered_rules(rules, job)),
    })
}

fn answered_rules(rules: &Value, parent: &Job) -> Value {
    rules.as_array().into_iter().flatten().map(|rule| answered_rule(rule, parent)).collect()
}

fn answered_rule(rule: &Value, parent: &Job) -> Value {
    let member = |name: &str| rule.get(name).cloned().unwrap_or_default();
    let ids = rule.get("actionIds").and_then(Value::as_array).into_iter().flatten();
    let details: Vec<Value> = ids.filter_map(|id| action_details(id, parent)).collect();
    let mut answered = json!({
        "id": null,
        "field": member("field"),
        "threshold": member("threshold"),
        "actionIds": member("actionIds"),
        "condition": member("condition"),
        "actionDetails": details,
    });
    // Members that this simulator does not know are kept, as everywhere.
    if let (Some(answered), Some(rule)) = (answered.as_object_mut(), rule.as_object()) {
        for (name, value) in rule {
            if !answered.contains_key(name) {
                answered.insert(name.clone(), value.clone());
            }
        }
    }
    answered
}

/// One of the parent's actions as a rule tells it: with a checksum, empty where the action has none, before the
/// timeout, and a `remediationScope` after it.
fn action_details(id: &Value, parent: &Job) -> Option<Value> {
    let actions = ACTION_LISTS.iter().filter_map(|list| parent.get(*list)?.as_array()).flatten();
    let mut action =
        actions.filter_map(Value::as_object).find(|action| action.get("actionId") == Some(id))?.clone();
    if let Some(Value::Object(params)) = action.get_mut("params") {
        if !params.contains_key("fileChecksum") {
            let at = params.keys().position(|name| name == "timeout").unwrap_or(params.len());
            params.shift_insert(at, "fileChecksum".to_owned(), "".into());
        }
        if !params.contains_key("remediationScope") {
            params.insert("remediationScope".to_owned(), false.into());
        }
    }
    Some(Value::Object(action))
}

/// A row of the list (REFERENCE section 6).
///
/// `tags` are the known names by tag id; a tag without one gets a made-up name, as rows without names do not occur.
pub(super) fn list_row(
    stored: &StoredJob,
    columns: &[(&str, &str)],
    tags: &BTreeMap<String, String>,
    n_children: usize,
    now: i64,
) -> Value {
    let job = &stored.job;
    let mut row = Job::new();
    for (member, column) in columns {
        if let Some(value) = job.get(*member) {
            row.insert((*column).to_owned(), value.clone());
        }
    }
    let named: Option<Vec<Value>> = job.get("assetTagIds").and_then(Value::as_array).map(|ids| {
        ids.iter()
            .map(|id| {
                let id = id.as_str().unwrap_or_default();
                let made_up = || format!("tag {}", id.chars().take(8).collect::<String>());
                json!({"id": id, "name": tags.get(id).cloned().unwrap_or_else(made_up)})
            })
            .collect()
    });
    let custom_url = job.get("customPatchURLId").is_some_and(|id| !id.is_null());
    for (column, value) in [
        ("tags", json!(named)),
        ("linkedJobReferenceCount", n_children.into()),
        ("customPatchUrlConfigured", custom_url.into()),
        ("nextScheduleDateTime", json!(next_run(job, now))),
        ("lastScheduleDateTime", json!(stored.last_run)),
        ("deleted", stored.deleted.into()),
    ] {
        row.insert(column.to_owned(), value);
    }
    Value::Object(row)
}

/// The runs of a job (endpoint 8): the last one, since earlier ones are not kept.
pub(super) fn runs(stored: &StoredJob) -> Value {
    let run = stored.last_run.map(|at| {
        let instant = Timestamp::from_millisecond(at).unwrap_or(Timestamp::UNIX_EPOCH);
        json!({
            "jobInstanceId": stable_uuid(&format!("run/{}/{at}", stored.id())),
            "scheduledDateTime": instant.to_string(),
            "timezoneType": stored.job.get("timezoneType").cloned().unwrap_or_default(),
        })
    });
    Value::Array(run.into_iter().collect())
}

/// One entry of a bulk answer (REFERENCE section 3): `{id, name, status, error?}`.
pub(super) fn bulk_result(id: &str, name: Option<&str>, outcome: Result<(), String>) -> Value {
    match outcome {
        Ok(()) => json!({"id": id, "name": name, "status": "success"}),
        Err(error) => json!({"id": id, "name": name, "status": "failure", "error": error}),
    }
}
