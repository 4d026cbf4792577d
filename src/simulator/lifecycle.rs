//! Enabling, disabling, deleting, and what the server changes by itself (REFERENCE section 8).

use serde_json::Value;

use super::normalise::parse_start;
use super::runs::instant_of_start;
use super::stored::{ACTION_LISTS, Job, StoredJob, count, is_armed, is_on_demand, is_run_once, number, text};

/// The job after enabling, or why it cannot be enabled.
///
/// A recurring job that is Enabled stays as it is. An On-demand job starts at once and is `Prepared`, the one status
/// seen on such a job.
pub(super) fn enabled(before: &StoredJob) -> Result<StoredJob, String> {
    let job = &before.job;
    if is_armed(job) {
        return if is_run_once(job) {
            Err("Non-recurring jobs can be enabled only once".to_owned())
        } else {
            Ok(before.clone())
        };
    }
    if !has_work(job) {
        return Err("Job must have at least one patch, query or action to be enabled".to_owned());
    }
    if ["assetIds", "assetTagIds", "matchAllTagIds"].iter().all(|member| count(job, member) == 0) {
        return Err("Job must include at least one asset or tag to be enabled".to_owned());
    }
    let mut after = before.clone();
    let status = if is_on_demand(job) { "Prepared" } else { "Enabled" };
    after.job.insert("status".to_owned(), status.into());
    Ok(after)
}

/// The job after disabling, or why it cannot be disabled.
pub(super) fn disabled(before: &StoredJob) -> Result<StoredJob, String> {
    if is_run_once(&before.job) && is_armed(&before.job) {
        return Err("Non-recurring jobs cannot be disabled once enabled by user".to_owned());
    }
    let mut after = before.clone();
    after.job.insert("status".to_owned(), "Disabled".into());
    Ok(after)
}

fn has_work(job: &Job) -> bool {
    let queries = ["dynamicPatchesQQL", "additionalDynamicPatchesQQL", "linkedJobId"];
    count(job, "approvedPatches") > 0
        || queries.iter().any(|member| !text(job, member).trim().is_empty())
        || ACTION_LISTS.iter().any(|list| count(job, list) > 0)
}

/// What the server changes by itself as time goes on: counters of every job, and a step of progress of those that
/// run. Nobody is recorded as having changed the job. `now` is in epoch milliseconds.
pub(super) fn tick(before: &StoredJob, now: i64) -> StoredJob {
    let mut after = before.clone();
    // Patches are published all the time.
    let n_patches = number(before.job.get("patchCount")).unwrap_or(0) + 1;
    after.job.insert("patchCount".to_owned(), n_patches.into());
    let run_once = is_run_once(&before.job);
    let due = match text(&before.job, "status") {
        "Disabled" | "Completed" | "" => false,
        _ if is_on_demand(&before.job) || !run_once => true,
        _ => parse_start(text(&before.job, "startDateTime"))
            .is_none_or(|start| instant_of_start(&before.job, start) <= now),
    };
    if !due {
        return after;
    }
    let n_assets = count(&before.job, "assetIds") + count(&before.job, "assetTagIds");
    let percent = match number(before.job.get("completionPercent")).unwrap_or(0) {
        100.. => 25,
        percent => percent + 25,
    };
    for (member, value) in [
        ("completionPercent", Value::from(percent)),
        ("totalAssetCount", n_assets.into()),
        ("applicableAssetCount", n_assets.into()),
        ("assetResultReceivedCount", (if percent == 100 { n_assets } else { 0 }).into()),
    ] {
        after.job.insert(member.to_owned(), value);
    }
    after.last_run = Some(now);
    if run_once && percent >= 100 {
        after.job.insert("status".to_owned(), "Completed".into());
    }
    after
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn job(status: &str, schedule: &str, more: Value) -> StoredJob {
        let mut job =
            json!({"status": status, "scheduleType": schedule}).as_object().expect("an object").clone();
        job.extend(more.as_object().expect("an object").clone());
        StoredJob { job, ..StoredJob::default() }
    }

    fn status_of(answer: Result<StoredJob, String>) -> Option<String> {
        answer.ok().map(|stored| text(&stored.job, "status").to_owned())
    }

    #[test]
    fn enabling_needs_work_and_a_target() {
        #[track_caller]
        fn check(status: &str, schedule: &str, more: Value, expected: Option<&str>) {
            assert_eq!(status_of(enabled(&job(status, schedule, more))).as_deref(), expected);
        }
        let whole = || json!({"dynamicPatchesQQL": "q", "assetTagIds": ["t"]});
        check("Disabled", "Weekly", whole(), Some("Enabled"));
        check("Disabled", "Once", whole(), Some("Enabled"));
        check("Disabled", "On-demand", whole(), Some("Prepared"));
        check("Enabled", "Weekly", whole(), Some("Enabled"));
        check("Enabled", "Once", whole(), None);
        check("Completed", "On-demand", whole(), None);
        check("Disabled", "Weekly", json!({"assetIds": ["a"]}), None);
        check("Disabled", "Weekly", json!({"approvedPatches": ["p"], "assetIds": []}), None);
        check("Disabled", "Weekly", json!({"preDeployActions": [{}], "assetIds": ["a"]}), Some("Enabled"));
    }

    #[test]
    fn run_once_jobs_are_never_disabled_again() {
        #[track_caller]
        fn check(status: &str, schedule: &str, expected: Option<&str>) {
            assert_eq!(status_of(disabled(&job(status, schedule, json!({})))).as_deref(), expected);
        }
        check("Enabled", "Weekly", Some("Disabled"));
        check("Disabled", "Once", Some("Disabled"));
        check("Enabled", "Once", None);
        check("Prepared", "On-demand", None);
    }

    #[test]
    fn ticks_run_what_is_armed_and_record_nobody() {
        let mut running = job("Prepared", "On-demand", json!({"assetIds": ["a", "b"]}));
        for percent in [25, 50, 75, 100] {
            running = tick(&running, 9);
            assert_eq!(running.job["completionPercent"], json!(percent));
        }
        assert_eq!((&running.job["status"], running.last_run), (&json!("Completed"), Some(9)));
        assert_eq!(running.job["assetResultReceivedCount"], json!(2));
        assert!(!running.job.contains_key("updatedBy"));
        let off = tick(&job("Disabled", "Weekly", json!({})), 9);
        assert_eq!((off.last_run, &off.job["patchCount"]), (None, &json!(1)));
        let later = json!({"startDateTime": "2030-1-01 01:00:00 AM"});
        assert_eq!(tick(&job("Enabled", "Once", later), 9).last_run, None);
    }
}
