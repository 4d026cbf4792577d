//! How the server rewrites what it is sent (REFERENCE section 10 and the samples' list of observed differences).
//!
//! Written from the documented examples, and on purpose not with the client's own normalisation: the two are tested
//! against each other over HTTP. A member that is absent stays absent.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use serde_json::{Value, json};
use uuid::Uuid;

use super::refusal::Refusal;
use super::stored::{ACTION_LISTS, Job, is_on_demand, number, text};

/// What stands for the content of a storage path of which nothing is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnknownPath {
    /// The path itself, taken for a script: what a server that knows no such path would do
    /// (REFERENCE section 12, question 4, answered in the way that hurts most).
    Literal,
    /// A made-up content: for seed files, where paths are all there is.
    Synthetic,
}

/// Brings a job's members into stored form and returns the true contents of its scripts.
///
/// `contents` are the contents known so far by path; those of actions that are gone are left out of the result.
pub(super) fn normalise(
    job: &mut Job,
    contents: &BTreeMap<String, Vec<u8>>,
    customer: &str,
    unknown: UnknownPath,
) -> Result<BTreeMap<String, Vec<u8>>, Refusal> {
    if let Some(days) = job.get_mut("patchTuesdayPlusXDays")
        && let Some(n_days) = number(Some(days))
    {
        *days = n_days.into();
    }
    if let Some(deleted) = job.get_mut("deletedBy")
        && deleted.pointer("/user").is_none_or(Value::is_null)
    {
        *deleted = Value::Null;
    }
    if let Some(qids @ Value::Null) = job.get_mut("remediationQids") {
        *qids = json!([]);
    }
    if let Some(Value::Object(block)) = job.get_mut("postDeployment")
        && let Some(prompt @ Value::Null) = block.get_mut("onComplete")
    {
        *prompt = json!({"userMessage": "", "description": "", "alwaysShowCompletedPrompt": false});
    }
    if let Some(start) = job.get_mut("startDateTime")
        && !matches!(start, Value::Null)
    {
        let written = start.as_str().unwrap_or_default();
        let parsed = parse_start(written).ok_or_else(|| {
            Refusal::invalid(format!("startDateTime `{written}` is not of the form yyyy-MM-dd hh:mm:ss a"))
        })?;
        *start = Value::String(format_start(parsed));
    }
    normalise_link(job);
    normalise_actions(job, contents, customer, unknown)
}

/// Numbers in the rule's thresholds; no rule without a parent; the members that answers of linked jobs have.
fn normalise_link(job: &mut Job) {
    if let Some(Value::Array(rules)) = job.get_mut("chainedJobRule") {
        for rule in rules.iter_mut().filter_map(Value::as_object_mut) {
            if let Some(threshold) = number(rule.get("threshold")) {
                rule.insert("threshold".to_owned(), threshold.into());
            }
            // Made for the answer, so that a rule copied out of one is stored like one that a person wrote.
            rule.shift_remove("actionDetails");
            rule.shift_remove("id");
        }
    }
    let linked = !text(job, "linkedJobId").is_empty();
    if !linked || matches!(job.get("chainedJobRule"), Some(Value::Null)) {
        job.shift_remove("chainedJobRule");
    }
    if let Some(id_at) = linked.then(|| job.keys().position(|name| name == "linkedJobId")).flatten() {
        if !job.contains_key("linkedToJob") {
            job.shift_insert(id_at + 1, "linkedToJob".to_owned(), Value::Null);
        }
        if !job.contains_key("linkedJobs") {
            job.shift_insert(id_at + 2, "linkedJobs".to_owned(), Value::Null);
        }
    } else if let Some(parents) = job.get_mut("linkedToJob") {
        *parents = Value::Null;
    }
}

fn normalise_actions(
    job: &mut Job,
    contents: &BTreeMap<String, Vec<u8>>,
    customer: &str,
    unknown: UnknownPath,
) -> Result<BTreeMap<String, Vec<u8>>, Refusal> {
    let mut kept = BTreeMap::new();
    for list in ACTION_LISTS {
        let Some(actions) = job.get_mut(list) else { continue };
        let actions = match actions {
            Value::Null => continue,
            Value::Array(actions) => actions,
            _ => return Err(Refusal::invalid(format!("{list} must be an array"))),
        };
        for action in actions {
            let Value::Object(action) = action else {
                return Err(Refusal::invalid(format!("{list} must hold objects")));
            };
            if text(action, "actionId").is_empty() {
                action.shift_remove("actionId");
                action.shift_insert(0, "actionId".to_owned(), Uuid::new_v4().to_string().into());
            }
            for (member, suffix) in [("script", "Script"), ("detectionScript", "DetectionScript")] {
                let path = format!("{customer}/{}/{suffix}", text(action, "actionId"));
                let Some(Value::String(sent)) = action.get_mut(member) else { continue };
                if sent.is_empty() {
                    continue;
                }
                let content = if *sent == path {
                    contents.get(&path).cloned().unwrap_or_else(|| match unknown {
                        UnknownPath::Literal => path.clone().into_bytes(),
                        UnknownPath::Synthetic => format!("# simulated content of {path}\n").into_bytes(),
                    })
                } else {
                    decode(sent)
                };
                *sent = path.clone();
                kept.insert(path, content);
            }
        }
    }
    Ok(kept)
}

/// The content that a `script` member brings: base64, line breaks in it allowed; other text stands for itself.
fn decode(sent: &str) -> Vec<u8> {
    let compact: String = sent.split_ascii_whitespace().collect();
    STANDARD.decode(compact).unwrap_or_else(|_| sent.as_bytes().to_vec())
}

/// Fills in what the server owns of an On-demand job: `startDateTime` is the instant of creation in UTC
/// (REFERENCE section 5.5), and a zone that is null becomes UTC. `created` is in epoch milliseconds.
pub(super) fn fill_on_demand(job: &mut Job, created: i64) {
    if !is_on_demand(job) {
        return;
    }
    let started = Timestamp::from_millisecond(created).unwrap_or(Timestamp::UNIX_EPOCH);
    let started = TimeZone::UTC.to_datetime(started);
    let owned = [
        ("startDateTime", format_start(started)),
        ("timezoneType", "SPECIFIC_TZ".into()),
        ("timezone", "UTC".into()),
    ];
    for (member, value) in owned {
        if let Some(empty @ Value::Null) = job.get_mut(member) {
            *empty = Value::String(value);
        }
    }
}

/// Reads `yyyy-MM-dd hh:mm:ss a`, leading zeros optional.
pub(super) fn parse_start(written: &str) -> Option<DateTime> {
    DateTime::strptime("%Y-%m-%d %I:%M:%S %p", written.trim()).ok()
}

/// Writes `yyyy-M-dd hh:mm:ss a`: the month without a leading zero, the day with one (REFERENCE section 5.5).
fn format_start(start: DateTime) -> String {
    start.strftime("%Y-%-m-%d %I:%M:%S %p").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CUSTOMER: &str = "c";

    #[track_caller]
    fn check(sent: Value, stored: Value) {
        let mut job = sent.as_object().expect("an object").clone();
        normalise(&mut job, &BTreeMap::new(), CUSTOMER, UnknownPath::Literal).expect("accepted");
        assert_eq!(Value::Object(job), stored);
    }

    #[test]
    fn members_are_brought_into_stored_form() {
        check(json!({}), json!({}));
        check(json!({"patchTuesdayPlusXDays": "-12"}), json!({"patchTuesdayPlusXDays": -12}));
        check(json!({"patchTuesdayPlusXDays": null}), json!({"patchTuesdayPlusXDays": null}));
        check(json!({"deletedBy": {"user": null, "date": null}}), json!({"deletedBy": null}));
        check(json!({"remediationQids": null}), json!({"remediationQids": []}));
        check(
            json!({"postDeployment": {"onComplete": null}}),
            json!({"postDeployment": {"onComplete":
                {"userMessage": "", "description": "", "alwaysShowCompletedPrompt": false}}}),
        );
        check(json!({"postDeployment": null}), json!({"postDeployment": null}));
        check(json!({"postDeployment": {}}), json!({"postDeployment": {}}));
    }

    #[test]
    fn start_times_are_written_in_the_servers_form() {
        #[track_caller]
        fn check_start(sent: &str, stored: &str) {
            check(json!({"startDateTime": sent}), json!({"startDateTime": stored}));
        }
        check_start("2025-07-01 09:57:18 AM", "2025-7-01 09:57:18 AM");
        check_start("2022-2-20 01:18:30 PM", "2022-2-20 01:18:30 PM");
        check_start("2022-2-3 1:18:30 pm", "2022-2-03 01:18:30 PM");
        check_start("2024-12-31 12:00:00 AM", "2024-12-31 12:00:00 AM");
        let mut job = json!({"startDateTime": "tomorrow"}).as_object().expect("an object").clone();
        assert!(normalise(&mut job, &BTreeMap::new(), CUSTOMER, UnknownPath::Literal).is_err());
    }

    #[test]
    fn a_rule_needs_a_parent() {
        let rule = json!([{"field": "postDeployAction", "actionIds": ["a"], "threshold": "100"}]);
        check(json!({"linkedJobId": "", "chainedJobRule": rule}), json!({"linkedJobId": ""}));
        check(
            json!({"linkedJobId": "p", "chainedJobRule": rule}),
            json!({"linkedJobId": "p", "linkedToJob": null, "linkedJobs": null,
                "chainedJobRule": [{"field": "postDeployAction", "actionIds": ["a"], "threshold": 100}]}),
        );
    }

    #[track_caller]
    fn check_script(sent: &str, answered: &str, content: Option<&str>) {
        let known = BTreeMap::from([("c/a/Script".to_owned(), b"before".to_vec())]);
        let action = json!({"actionId": "a", "script": sent});
        let mut job = json!({"preDeployActions": [action]}).as_object().expect("an object").clone();
        let contents = normalise(&mut job, &known, CUSTOMER, UnknownPath::Literal).expect("accepted");
        assert_eq!(job["preDeployActions"][0]["script"], json!(answered));
        assert_eq!(contents.get("c/a/Script").map(Vec::as_slice), content.map(str::as_bytes));
    }

    #[test]
    fn scripts_are_kept_and_answered_as_paths() {
        check_script("bHM=", "c/a/Script", Some("ls"));
        check_script("bH\n M=", "c/a/Script", Some("ls"));
        check_script("c/a/Script", "c/a/Script", Some("before"));
        check_script("c/other-action/Script", "c/a/Script", Some("c/other-action/Script"));
        check_script("", "", None);
    }

    #[test]
    fn a_new_action_gets_an_id() {
        let mut job =
            json!({"postDeployActions": [{"action": "Run Script"}]}).as_object().expect("an object").clone();
        normalise(&mut job, &BTreeMap::new(), CUSTOMER, UnknownPath::Literal).expect("accepted");
        let action = &job["postDeployActions"][0];
        assert_eq!(action["actionId"].as_str().map(str::len), Some(36));
        assert_eq!(
            action.as_object().and_then(|action| action.keys().next()).map(String::as_str),
            Some("actionId")
        );
    }

    #[test]
    fn on_demand_jobs_start_at_their_creation() {
        let mut job = json!({"scheduleType": "On-demand", "startDateTime": null, "timezoneType": null,
            "timezone": "Europe/Berlin"})
        .as_object()
        .expect("an object")
        .clone();
        fill_on_demand(&mut job, 1_735_641_304_754);
        assert_eq!(job["startDateTime"], json!("2024-12-31 10:35:04 AM"));
        assert_eq!(
            (&job["timezoneType"], &job["timezone"]),
            (&json!("SPECIFIC_TZ"), &json!("Europe/Berlin"))
        );
    }
}
