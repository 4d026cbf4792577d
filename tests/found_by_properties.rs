//! Small cases of what the property tests found, each named after what went wrong.

mod support;

use patchctl::normalise;
use patchctl::patch::Envelope;
use patchctl::stamp;
use patchctl::verify;
use serde_json::{Map, Value, json};

use support::manifest::Draft;
use support::pipeline;

const ID: &str = "c08769ba-aa65-4b77-b224-f2c789ce7970";

/// A live job with some members more.
fn job(more: &Value) -> Value {
    let mut job = json!({
        "id": ID, "name": "n", "type": "Install", "platform": "Windows", "status": "Disabled",
        "scheduleType": "Weekly", "startDateTime": "2026-12-01 02:00:00 AM", "recurring": true,
        "recurringWeekDays": "0,0,1,0,0,0,0", "timezoneType": "SPECIFIC_TZ", "timezone": "UTC",
    });
    let members = job.as_object_mut().expect("an object");
    members.extend(more.as_object().expect("an object").clone());
    job
}

fn draft(spec: Value) -> Draft {
    let Value::Object(spec) = spec else { panic!("an object") };
    Draft { key: "job".to_owned(), id: Some(ID.to_owned()), spec }
}

/// The body that a manifest sends to a job.
#[track_caller]
fn body(live: &Value, spec: Value) -> Map<String, Value> {
    let plan = pipeline::planned_one(&draft(spec), live, Envelope::Minimal);
    let change = pipeline::update(&plan).expect("an update");
    pipeline::body(change).as_object().expect("a body").clone()
}

/// A leftover was sent back as it was read, and came to life under the new schedule type.
#[test]
fn a_leftover_of_another_schedule_is_sent_as_none() {
    let live =
        job(&json!({"patchTuesdayPlusXDays": 7, "monthlyRecurringType": 1, "recurringDayOfMonth": "2"}));
    let body = body(&live, json!({"scheduleType": "Monthly", "dayOfMonth": 15}));
    for leftover in ["patchTuesdayPlusXDays", "monthlyRecurringType", "recurringDayOfMonth"] {
        assert_eq!(body.get(leftover), Some(&Value::Null), "{leftover}");
    }
}

/// A switch that was off and stays off was sent because only the new schedule type looks at it.
#[test]
fn a_switch_that_the_new_schedule_finds_off_is_not_sent() {
    let live = job(&json!({"recurringLastDayOfMonth": null}));
    assert!(
        !body(&live, json!({"scheduleType": "Monthly", "dayOfMonth": 15}))
            .contains_key("recurringLastDayOfMonth")
    );
    let live = job(&json!({"recurringLastDayOfMonth": true}));
    let body = body(&live, json!({"scheduleType": "Monthly", "dayOfMonth": 15}));
    assert_eq!(body.get("recurringLastDayOfMonth"), Some(&Value::Bool(false)));
}

/// A block scalar ends with a line end, which is lost behind the stamp: the plan never became empty.
#[test]
fn a_description_that_ends_with_a_line_end_is_applied_once() {
    let live = job(&json!({"description": "text\n"}));
    assert!(
        pipeline::planned_one(&draft(json!({"description": "text"})), &live, Envelope::Minimal).is_empty()
    );
    let mut live = job(&json!({}));
    live["description"] = body(&live, json!({"description": "two\nlines\n"}))["description"].clone();
    let again =
        pipeline::planned_one(&draft(json!({"description": "two\nlines\n"})), &live, Envelope::Minimal);
    assert!(again.is_empty(), "{}", pipeline::shown(&again).0);
}

/// Only the job's own description holds a stamp.
#[test]
fn a_description_within_a_block_is_left_as_it_is() {
    let text = "text\n[patchctl:acme/elsewhere 1:9f3ac21b:77e01c44:5e6f7a8b]";
    let body = body(&job(&json!({})), json!({"duringDeployment": {"description": text}}));
    assert_eq!(body["duringDeployment"], json!({"description": text}));
}

/// One stamp was taken off each time that a job was normalised.
#[test]
fn two_stamps_prove_nothing_and_are_both_taken_off() {
    let line = "[patchctl:acme/job 1:9f3ac21b:77e01c44:5e6f7a8b]";
    assert_eq!(stamp::split(&format!("text\n{line}\n{line}")), ("text", stamp::Found::Damaged));
}

/// The id that the server makes for a new action made it another one: "collateral", and every other write was stopped.
#[test]
fn a_new_action_is_not_taken_for_collateral() {
    let live = job(&json!({"preDeployActions": []}));
    let spec = json!({"preDeployActions": [
        {"action": "Run Script", "params": {"actionItem": "New"}, "script": "ls\n", "scriptType": "ps"},
    ]});
    let draft = draft(spec);
    let plan = pipeline::planned_one(&draft, &live, Envelope::Minimal);
    let change = pipeline::update(&plan).expect("an update");
    let basis = change.basis.as_ref().expect("an update has a basis");
    let stored = |script: &str| {
        let after = json!({"preDeployActions": [{
            "actionId": "733d3f6c-8ba4-4ba5-8a54-a57e8a264f11", "action": "Run Script", "actionType": "predeploy",
            "params": {"actionItem": "New"}, "script": script, "scriptType": "ps",
        }], "description": basis.description});
        normalise::live(&job(&after))
    };
    assert_eq!(verify::settled(basis, &basis.live, &stored("c/a/Script")), verify::Settled::default());
    assert_ne!(verify::settled(basis, &basis.live, &stored("")), verify::Settled::default());
}

/// `id` and `actionDetails` are the server's, and were sent with the rule.
#[test]
fn a_rule_is_sent_without_what_the_server_adds() {
    let rule = json!({"id": null, "field": "postDeployAction", "actionIds": [ID], "threshold": 100,
        "condition": "Post Actions were successfully executed", "actionDetails": [{"actionId": ID}]});
    let live = job(&json!({"linkedJobId": ID, "linkedToJob": [{"id": ID, "chainedJobRule": [rule]}]}));
    let body = body(&live, json!({"chainedJobRule": [{"threshold": 50}]}));
    let sent = json!([{"field": "postDeployAction", "actionIds": [ID], "threshold": "50",
        "condition": "Post Actions were successfully executed"}]);
    assert_eq!(body["chainedJobRule"], sent);
}

/// The server fills in the zone of an On-demand job, so that a declared none was different for ever.
#[test]
fn the_zone_that_the_server_gives_an_on_demand_job_is_no_difference() {
    let live = job(&json!({"scheduleType": "On-demand", "recurring": false}));
    let spec = json!({"timezone": null, "timezoneType": null});
    assert!(pipeline::planned_one(&draft(spec), &live, Envelope::Minimal).is_empty());
    let spec = json!({"timezone": "Europe/Berlin"});
    assert!(!pipeline::planned_one(&draft(spec), &live, Envelope::Minimal).is_empty());
}
