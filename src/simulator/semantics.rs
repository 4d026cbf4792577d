//! What a create and a PATCH make of a job: pure functions, no clock, no files.

use std::collections::BTreeMap;

use serde_json::Value;

use super::behaviour::{Behaviour, EditEnabled, Updates};
use super::lifecycle;
use super::normalise::{UnknownPath, fill_on_demand, normalise};
use super::refusal::Refusal;
use super::stored::{
    ACTION_LISTS, Job, StoredJob, User, count, deep_merge, is_armed, is_on_demand, is_run_once, number, text,
};

/// The most actions of one kind that a job may have (REFERENCE section 5.8).
const MOST_ACTIONS: usize = 5;

/// Members that no request can set (REFERENCE section 5, owner S).
const SERVER_OWNED: &[&str] = &[
    "customerId",
    "id",
    "schemaVersion",
    "createdBy",
    "updatedBy",
    "deletedBy",
    "jobCategory",
    "jobSource",
    "subCategory",
    "readOnly",
    "patchCount",
    "assetCount",
    "taggedAssetCount",
    "applicableAssetCount",
    "jobTriggerStatus",
    "completionPercent",
    "totalAssetCount",
    "assetResultReceivedCount",
    "linkedToJob",
    "linkedJobs",
];

/// Who writes, and when.
#[derive(Debug)]
pub(super) struct Write<'a> {
    /// The user whose token came with the call.
    pub(super) user: &'a User,
    /// Epoch milliseconds.
    pub(super) now: i64,
}

/// Makes the job that a `POST` asks for.
///
/// Refused are a body without name, type, platform or schedule type, with a wrong value of the last three, with too
/// many actions, without a start where the schedule needs one, and a job to be enabled that has nothing to do.
pub(super) fn create(body: &Job, id: &str, customer: &str, write: &Write<'_>) -> Result<StoredJob, Refusal> {
    for member in ["name", "type", "platform", "scheduleType"] {
        if text(body, member).trim().is_empty() {
            return Err(Refusal::invalid(format!("{member} is mandatory")));
        }
    }
    check_values(body)?;
    let mut job = blank_job();
    for (name, value) in body.iter().filter(|(name, _)| !SERVER_OWNED.contains(&name.as_str())) {
        job.insert(name.clone(), value.clone());
    }
    job.insert("id".to_owned(), id.into());
    job.insert("customerId".to_owned(), customer.into());
    job.insert("createdBy".to_owned(), write.user.at(write.now));
    job.insert("applicableAssetCount".to_owned(), count(&job, "assetIds").into());
    if job["recurring"].is_null() {
        job.insert("recurring".to_owned(), (!is_run_once(&job)).into());
    }
    for list in ACTION_LISTS {
        for action in job.get_mut(list).and_then(Value::as_array_mut).into_iter().flatten() {
            if let Value::Object(action) = action
                && !action.contains_key("actionLinkedToJob")
            {
                action.insert("actionLinkedToJob".to_owned(), false.into());
            }
        }
    }
    if is_on_demand(&job) {
        // The server owns it, whatever was sent.
        job.insert("startDateTime".to_owned(), Value::Null);
        fill_on_demand(&mut job, write.now);
    } else if job["startDateTime"].is_null() {
        let schedule = text(body, "scheduleType");
        return Err(Refusal::invalid(format!("startDateTime is mandatory for schedule type {schedule}")));
    }
    let scripts = normalise(&mut job, &BTreeMap::new(), customer, UnknownPath::Literal)?;
    let status = text(&job, "status").to_owned();
    job.insert("status".to_owned(), "Disabled".into());
    let created = StoredJob { job, scripts, ..StoredJob::default() };
    match status.as_str() {
        "Disabled" => Ok(created),
        "Enabled" => {
            let mut enabled = lifecycle::enabled(&created).map_err(Refusal::invalid)?;
            enabled.job.insert("updatedBy".to_owned(), created.job["updatedBy"].clone());
            Ok(enabled)
        }
        other => Err(Refusal::invalid(format!("status must be Enabled or Disabled, not `{other}`"))),
    }
}

/// Makes the job that a `PATCH` leaves behind.
///
/// Refused are a body without `type`, with wrong values or too many actions, with another job's id or platform, and
/// edits that the job's state forbids.
pub(super) fn patch(
    before: &StoredJob,
    body: &Job,
    customer: &str,
    behaviour: &Behaviour,
    write: &Write<'_>,
) -> Result<StoredJob, Refusal> {
    check_patch(before, body)?;
    check_editable(before, behaviour)?;
    // The platform is fixed at creation, so a replacing body that leaves it out does not lose it.
    let kept = |name: &str| {
        SERVER_OWNED.contains(&name) || name == "platform" || (name == "status" && !behaviour.status_in_patch)
    };
    let sent: Job = body
        .iter()
        .filter(|(name, _)| !kept(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect();
    let mut job = before.job.clone();
    match behaviour.updates {
        Updates::Merge => deep_merge(&mut job, &sent),
        Updates::MergeTop => job.extend(sent),
        Updates::Replace => {
            for (name, value) in job.iter_mut().filter(|(name, _)| !kept(name) && *name != "status") {
                if !sent.contains_key(name) {
                    *value = Value::Null;
                }
            }
            job.extend(sent);
        }
    }
    if is_on_demand(&job) {
        // The server owns the start: what is stored stays, and what is sent is not looked at.
        let start = if is_on_demand(&before.job) { before.job.get("startDateTime").cloned() } else { None };
        if let Some(place) = job.get_mut("startDateTime") {
            *place = start.unwrap_or_default();
        }
        fill_on_demand(
            &mut job,
            number(before.job.get("createdBy").and_then(|by| by.get("date"))).unwrap_or(write.now),
        );
    }
    let scripts = normalise(&mut job, &before.scripts, customer, UnknownPath::Literal)?;
    let mut after = StoredJob { job, scripts, ..before.clone() };
    mark_updated(&mut after, write);
    Ok(after)
}

/// The answer of a server that echoes: the request's own members, normalised.
pub(super) fn echo(before: &StoredJob, body: &Job, customer: &str) -> Result<Job, Refusal> {
    let mut job = body.clone();
    normalise(&mut job, &before.scripts, customer, UnknownPath::Literal)?;
    Ok(job)
}

/// Says who changed the job last and when.
///
/// The date always moves on, by a millisecond at least, so that two edits can be told apart under a fixed clock.
pub(super) fn mark_updated(stored: &mut StoredJob, write: &Write<'_>) {
    let before = stored.job.get("updatedBy").and_then(|by| by.get("date")).and_then(Value::as_i64);
    let date = before.map_or(write.now, |before| write.now.max(before + 1));
    stored.job.insert("updatedBy".to_owned(), write.user.at(date));
}

fn check_patch(before: &StoredJob, body: &Job) -> Result<(), Refusal> {
    if text(body, "type").is_empty() {
        return Err(Refusal::invalid("type is mandatory"));
    }
    check_values(body)?;
    // Nothing is known of a body that names another job (the samples' address lines do, by a copying slip). A
    // client that sends one is about to overwrite the wrong job.
    if !matches!(text(body, "id"), "") && text(body, "id") != before.id() {
        return Err(Refusal::invalid("the id in the body is not the id in the address"));
    }
    let platform = text(body, "platform");
    if !platform.is_empty() && platform != text(&before.job, "platform") {
        return Err(Refusal::invalid("the platform of a job cannot be changed"));
    }
    Ok(())
}

fn check_editable(before: &StoredJob, behaviour: &Behaviour) -> Result<(), Refusal> {
    let armed = is_armed(&before.job);
    match behaviour.edit_enabled {
        _ if !armed => Ok(()),
        _ if is_run_once(&before.job) => {
            Err(Refusal::invalid("Non-recurring jobs cannot be modified once enabled by user"))
        }
        EditEnabled::Allow => Ok(()),
        EditEnabled::Refuse => Err(Refusal::invalid("Enabled jobs cannot be modified")),
    }
}

fn check_values(body: &Job) -> Result<(), Refusal> {
    const ALLOWED: [(&str, &[&str]); 3] = [
        ("type", &["Install", "Rollback"]),
        ("platform", &["Windows", "Linux"]),
        ("scheduleType", &["On-demand", "Once", "Daily", "Weekly", "Monthly"]),
    ];
    for (member, allowed) in ALLOWED {
        match body.get(member) {
            None | Some(Value::Null) => {}
            Some(Value::String(value)) if allowed.contains(&value.as_str()) => {}
            Some(value) => {
                return Err(Refusal::invalid(format!(
                    "{member} must be one of {}, not {value}",
                    allowed.join(", ")
                )));
            }
        }
    }
    for list in ACTION_LISTS {
        if count(body, list) > MOST_ACTIONS {
            return Err(Refusal::invalid(format!("{list} holds more than {MOST_ACTIONS} actions")));
        }
    }
    Ok(())
}

/// A job of which nothing was said, with every member of the fullest documented answer in its order.
///
/// The server's defaults for members that a create leaves out are not documented; those with a constant value in all
/// samples have it here, the others are null.
const BLANK_JOB: &str = r#"{
    "customerId": null, "id": null, "schemaVersion": "1.0", "name": null, "type": null, "status": "Disabled",
    "assetIds": null, "assetTagIds": null, "matchAllTagIds": null, "exclusionTagIds": null,
    "exclusionAssetIds": null, "coAuthorUserIds": null, "approvedPatches": null, "disabledPatches": null,
    "patchCount": 0, "scheduleType": null, "startDateTime": null, "recurring": null, "recurringWeekDays": null,
    "dayOfMonth": null, "recurringDayOfMonth": null, "recurringWeekDayOfMonth": null, "timezoneType": null,
    "timezone": null, "timeout": null, "timeoutUnit": null, "preDeployment": null, "duringDeployment": null,
    "postDeployment": null, "description": null, "createdBy": null,
    "updatedBy": {"user": null, "date": null}, "deletedBy": null, "assetCount": null,
    "opportunisticDownloads": false, "filterType": "Any", "exclusionFilterType": "Any", "taggedAssetCount": 0,
    "minimizeWindow": null, "dynamicPatchesQQL": null, "isDynamicPatchesQQL": false, "dynamicQQLType": null,
    "platform": null, "continueOnPatchFailure": false, "preDeployActions": null, "postDeployActions": null,
    "applicableAssetCount": 0, "monthlyRecurringType": null, "patchTuesdayPlusXDays": null,
    "recurringLastDayOfMonth": null, "jobCategory": 3, "jobTriggerStatus": null, "completionPercent": null,
    "totalAssetCount": null, "assetResultReceivedCount": null, "jobSource": 3, "readOnly": false,
    "notification": null, "linkedJobId": null, "linkedToJob": null, "linkedJobs": null,
    "jobStartCountdown": null, "passwordAction": null, "subCategory": "Patch",
    "additionalDynamicQQLType": null, "additionalDynamicPatchesQQL": null, "downloadRandomizeTime": null,
    "downloadRandomizeTimeUnit": null, "customPatchURLId": null, "isVulnContext": null, "remediationQids": null,
    "isAssetImported": false
}"#;

fn blank_job() -> Job {
    serde_json::from_str(BLANK_JOB).expect("internal error: the blank job is a JSON object")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn object(value: Value) -> Job {
        value.as_object().expect("an object").clone()
    }

    fn weekly() -> StoredJob {
        let job = json!({
            "id": "j", "name": "n", "type": "Install", "platform": "Windows", "status": "Disabled",
            "scheduleType": "Weekly", "startDateTime": "2026-1-05 02:00:00 AM", "patchCount": 7,
            "assetIds": ["a"], "description": "d",
            "preDeployment": {"userMessage": "m", "deferment": {"count": 3, "interval": 1}},
            "preDeployActions": [{"actionId": "x", "action": "Run Script", "script": "c/x/Script"}],
        });
        let scripts = BTreeMap::from([("c/x/Script".to_owned(), b"true".to_vec())]);
        StoredJob { job: object(job), scripts, ..StoredJob::default() }
    }

    fn patched(before: &StoredJob, body: Value, behaviour: &Behaviour) -> Result<StoredJob, Refusal> {
        let user = User::named("anna");
        patch(before, &object(body), "c", behaviour, &Write { user: &user, now: 50 })
    }

    #[track_caller]
    fn check(updates: Updates, body: Value, pointer: &str, expected: Value) {
        let behaviour = Behaviour { updates, ..Behaviour::default() };
        let after = patched(&weekly(), body, &behaviour).expect("accepted");
        assert_eq!(Value::Object(after.job).pointer(pointer), Some(&expected), "{updates:?} {pointer}");
    }

    #[test]
    fn the_three_servers_differ_in_what_a_body_leaves_out() {
        let nested = || json!({"type": "Install", "preDeployment": {"deferment": {"count": 4}}});
        check(Updates::Merge, nested(), "/preDeployment/userMessage", json!("m"));
        check(Updates::Merge, nested(), "/preDeployment/deferment", json!({"count": 4, "interval": 1}));
        check(Updates::MergeTop, nested(), "/preDeployment", json!({"deferment": {"count": 4}}));
        check(Updates::Replace, nested(), "/preDeployment", json!({"deferment": {"count": 4}}));
        for updates in [Updates::Merge, Updates::MergeTop] {
            check(updates, nested(), "/description", json!("d"));
            check(updates, json!({"type": "Install", "assetIds": []}), "/assetIds", json!([]));
            check(updates, json!({"type": "Install", "assetIds": null}), "/assetIds", Value::Null);
        }
        check(Updates::Replace, nested(), "/description", Value::Null);
        check(Updates::Replace, nested(), "/preDeployActions", Value::Null);
        check(Updates::Replace, nested(), "/status", json!("Disabled"));
        check(Updates::Replace, nested(), "/patchCount", json!(7));
    }

    #[test]
    fn a_replacing_server_loses_the_scripts_of_a_minimal_body() {
        let replace = Behaviour { updates: Updates::Replace, ..Behaviour::default() };
        let after = patched(&weekly(), json!({"type": "Install"}), &replace).expect("accepted");
        assert!(after.scripts.is_empty());
        let after = patched(&weekly(), json!({"type": "Install"}), &Behaviour::default()).expect("accepted");
        assert_eq!(after.scripts, weekly().scripts);
    }

    #[test]
    fn server_members_are_not_taken_from_a_body() {
        let body = json!({"type": "Install", "patchCount": 0, "status": "Enabled", "createdBy": 1, "linkedJobs": []});
        let after = patched(&weekly(), body, &Behaviour::default()).expect("accepted");
        assert_eq!((&after.job["patchCount"], &after.job["status"]), (&json!(7), &json!("Disabled")));
        assert!(!after.job.contains_key("createdBy") && !after.job.contains_key("linkedJobs"));
        assert_eq!(after.job["updatedBy"], User::named("anna").at(50));
    }

    #[test]
    fn the_date_of_an_update_always_moves() {
        let mut job = weekly();
        job.job.insert("updatedBy".to_owned(), User::named("bert").at(90));
        let after = patched(&job, json!({"type": "Install"}), &Behaviour::default()).expect("accepted");
        assert_eq!(after.job["updatedBy"], User::named("anna").at(91));
    }

    #[test]
    fn bad_bodies_are_refused() {
        #[track_caller]
        fn check(body: Value) {
            let answer = patched(&weekly(), body, &Behaviour::default());
            assert_eq!(answer.map_err(|refusal| refusal.status), Err(400));
        }
        check(json!({"name": "n"}));
        check(json!({"type": "install"}));
        check(json!({"type": 3}));
        check(json!({"type": "Install", "scheduleType": "Hourly"}));
        check(json!({"type": "Install", "platform": "Linux"}));
        check(json!({"type": "Install", "id": "other"}));
        check(json!({"type": "Install", "startDateTime": "soon"}));
        check(json!({"type": "Install", "preDeployActions": [{}, {}, {}, {}, {}, {}]}));
        check(json!({"type": "Install", "preDeployActions": {}}));
    }

    #[test]
    fn what_is_armed_is_edited_by_the_rules() {
        #[track_caller]
        fn check(status: &str, schedule: &str, edit_enabled: EditEnabled, allowed: bool) {
            let mut job = weekly();
            job.job.insert("status".to_owned(), status.into());
            job.job.insert("scheduleType".to_owned(), schedule.into());
            let behaviour = Behaviour { edit_enabled, ..Behaviour::default() };
            assert_eq!(
                patched(&job, json!({"type": "Install"}), &behaviour).is_ok(),
                allowed,
                "{status} {schedule}"
            );
        }
        check("Enabled", "Weekly", EditEnabled::Allow, true);
        check("Enabled", "Weekly", EditEnabled::Refuse, false);
        check("Disabled", "Weekly", EditEnabled::Refuse, true);
        check("Enabled", "Once", EditEnabled::Allow, false);
        check("Prepared", "On-demand", EditEnabled::Allow, false);
        check("Disabled", "Once", EditEnabled::Refuse, true);
    }

    proptest::proptest! {
        /// A body that repeats the whole job changes nothing on any server, once the server has written it itself.
        #[test]
        fn a_whole_body_changes_nothing(
            days in proptest::option::of(-27_i64..=27), month in 1_u8..=12, day in 1_u8..=28, hour in 1_u8..=12,
            script in proptest::collection::vec(proptest::num::u8::ANY, 1..40), linked: bool, threshold in 1_i64..=100,
            shown: bool, qids in proptest::option::of(proptest::collection::vec(0..9, 0..3)),
        ) {
            use base64::Engine as _;
            let mut body = weekly().job;
            body.extend(object(json!({
                "patchTuesdayPlusXDays": days.map(|days| days.to_string()),
                "startDateTime": format!("2026-{month}-{day} {hour}:05:09 PM"),
                "linkedJobId": linked.then_some("p"),
                "chainedJobRule": [{"field": "postDeployAction", "actionIds": [], "threshold": threshold.to_string()}],
                "remediationQids": qids,
                "postDeployment": {"onComplete": if shown { json!({"userMessage": "m"}) } else { Value::Null }},
                "preDeployActions": [{"actionId": "x",
                    "script": base64::engine::general_purpose::STANDARD.encode(&script)}],
            })));
            let first = patched(&weekly(), Value::Object(body), &Behaviour::default()).expect("accepted");
            proptest::prop_assert_eq!(first.scripts.get("c/x/Script"), Some(&script));
            for updates in [Updates::Merge, Updates::MergeTop, Updates::Replace] {
                let behaviour = Behaviour { updates, ..Behaviour::default() };
                let whole = Value::Object(first.job.clone());
                let mut second = patched(&first, whole, &behaviour).expect("accepted");
                second.job.insert("updatedBy".to_owned(), first.job["updatedBy"].clone());
                proptest::prop_assert_eq!(&second, &first);
            }
        }
    }

    fn created(body: Value) -> Result<Job, Refusal> {
        let user = User::named("anna");
        let write = Write { user: &user, now: 1_735_641_304_754 };
        create(&object(body), "new", "c", &write).map(|stored| stored.job)
    }

    #[test]
    fn a_create_fills_in_the_servers_members() {
        let job = created(json!({
            "id": "mine", "name": "n", "type": "Install", "platform": "Linux", "scheduleType": "On-demand",
            "startDateTime": "2030-1-01 01:00:00 AM", "futureMember": {"a": 1},
            "preDeployActions": [{"action": "Run Script", "script": "bHM="}],
        }))
        .expect("accepted");
        assert_eq!(
            (&job["id"], &job["status"], &job["recurring"]),
            (&json!("new"), &json!("Disabled"), &json!(false))
        );
        assert_eq!(job["startDateTime"], json!("2024-12-31 10:35:04 AM"));
        assert_eq!((&job["timezoneType"], &job["timezone"]), (&json!("SPECIFIC_TZ"), &json!("UTC")));
        assert_eq!(job["createdBy"]["user"]["name"], json!("anna"));
        assert_eq!(job["updatedBy"], json!({"user": null, "date": null}));
        assert_eq!((&job["futureMember"], &job["remediationQids"]), (&json!({"a": 1}), &json!([])));
        assert_eq!(job["preDeployActions"][0]["actionLinkedToJob"], json!(false));
    }

    #[test]
    fn a_create_needs_its_mandatory_members() {
        let whole = json!({"name": "n", "type": "Install", "platform": "Linux", "scheduleType": "Daily",
            "startDateTime": "2030-01-01 01:00:00 AM"});
        assert_eq!(created(whole.clone()).map(|job| job["recurring"].clone()), Ok(json!(true)));
        for member in ["name", "type", "platform", "scheduleType", "startDateTime"] {
            let mut body = object(whole.clone());
            body.shift_remove(member);
            assert!(created(Value::Object(body)).is_err(), "{member}");
        }
    }

    #[test]
    fn a_job_is_created_enabled_only_with_work_and_a_target() {
        let with = |more: Value| {
            let mut body =
                object(json!({"name": "n", "type": "Install", "platform": "Linux", "status": "Enabled",
                "scheduleType": "On-demand"}));
            body.extend(object(more));
            created(Value::Object(body)).map(|job| job["status"].clone()).map_err(|refusal| refusal.status)
        };
        assert_eq!(with(json!({})), Err(400));
        assert_eq!(with(json!({"approvedPatches": ["p"]})), Err(400));
        assert_eq!(with(json!({"approvedPatches": ["p"], "assetIds": ["a"]})), Ok(json!("Prepared")));
        assert_eq!(with(json!({"status": "Running"})), Err(400));
    }
}
