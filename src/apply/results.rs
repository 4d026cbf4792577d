//! Answers of bulk calls: one result for each id, with failures inside a success (REFERENCE 3).

use serde_json::Value;

/// What a bulk answer says of one job.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum JobResult {
    /// It was done.
    Success,
    /// It was refused, with the server's words.
    Failure(String),
    /// The answer does not say; what it is instead.
    Unknown(String),
}

/// What an answer says of one job; whatever it says of others is left alone.
pub(super) fn of_job(answer: &Value, id: &str) -> JobResult {
    let results = match answer {
        Value::Array(results) => results.as_slice(),
        // The list call is known to wrap its rows like this (REFERENCE 4, 2b).
        Value::Object(members) => match members.get("data").and_then(Value::as_array) {
            Some(results) => results.as_slice(),
            None => std::slice::from_ref(answer),
        },
        _ => return JobResult::Unknown("the answer is no list of results".to_owned()),
    };
    let ours: Vec<&Value> = results
        .iter()
        .filter(|result| {
            result.get("id").and_then(Value::as_str).is_some_and(|other| other.eq_ignore_ascii_case(id))
        })
        .collect();
    let [result] = ours.as_slice() else {
        let words = match (ours.len(), results.len()) {
            (0, 0) => "the answer holds no result".to_owned(),
            (0, 1) => "the answer holds one result, and it is not for this job".to_owned(),
            (0, n) => format!("the answer holds {n} results, none of them for this job"),
            (n, _) => format!("the answer holds {n} results for this job"),
        };
        return JobResult::Unknown(words);
    };
    let status = result.get("status").and_then(Value::as_str).unwrap_or_default();
    if status.eq_ignore_ascii_case("success") {
        JobResult::Success
    } else if status.eq_ignore_ascii_case("failure") {
        JobResult::Failure(words(result))
    } else {
        JobResult::Unknown(format!("the result for this job says `{}`", status.escape_debug()))
    }
}

/// The server's words for a failure, wherever it puts them.
fn words(result: &Value) -> String {
    let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
    let said = ["error", "message", "errorMessage", "reason"].iter().find_map(|name| {
        let value = result.get(*name)?;
        text(value)
            .or_else(|| text(value.get("message")?))
            .or_else(|| (value.is_object() || value.is_array()).then(|| value.to_string()))
    });
    said.map_or_else(|| "the API gives no reason".to_owned(), |said| said.chars().take(500).collect())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(answer: Value, expected: JobResult) {
        assert_eq!(of_job(&answer, "a"), expected, "{answer}");
    }

    #[test]
    fn each_id_is_judged_by_its_own_result() {
        let failure = |words: &str| JobResult::Failure(words.to_owned());
        let unknown = |words: &str| JobResult::Unknown(words.to_owned());
        check(json!([{"id": "A", "status": "Success"}]), JobResult::Success);
        check(
            json!([{"id": "b", "status": "failure"}, {"id": "a", "status": "success"}]),
            JobResult::Success,
        );
        check(json!({"data": [{"id": "a", "status": "success"}]}), JobResult::Success);
        check(json!({"id": "a", "status": "success"}), JobResult::Success);
        check(json!([{"id": "a", "status": "failure", "error": "no"}]), failure("no"));
        check(json!([{"id": "a", "status": "failure", "error": {"message": "no"}}]), failure("no"));
        check(json!([{"id": "a", "status": "failure", "error": {"code": 5}}]), failure("{\"code\":5}"));
        check(json!([{"id": "a", "status": "failure"}]), failure("the API gives no reason"));
        check(json!([]), unknown("the answer holds no result"));
        check(
            json!([{"id": "b", "status": "success"}]),
            unknown("the answer holds one result, and it is not for this job"),
        );
        check(
            json!([{"id": "a", "status": "success"}, {"id": "a", "status": "failure"}]),
            unknown("the answer holds 2 results for this job"),
        );
        check(json!([{"id": "a", "status": "queued"}]), unknown("the result for this job says `queued`"));
        check(json!([{"id": "a"}]), unknown("the result for this job says ``"));
        check(json!("done"), unknown("the answer is no list of results"));
        check(json!([null, 5, "a"]), unknown("the answer holds 3 results, none of them for this job"));
    }
}
