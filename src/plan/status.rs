//! Status as a step of its own, after the content is right (DESIGN 6): what arms a job, what disarms it, and what must
//! be known and allowed before.

use serde_json::{Value, json};

use super::job::{block, note, planned_field, step};
use super::{Action, Basis, Change, Origin, Policy, Request, ignored};
use crate::diagnostic::Diagnostic;
use crate::diff::FieldChange;
use crate::job::{SettableStatus, rules};
use crate::manifest::Manifest;
use crate::normalise::{self, Normalised};
use crate::snapshot::LiveJob;
use crate::stamp;

/// The statuses that the vendor's own material names (REFERENCE 8).
const KNOWN: [&str; 5] = ["Disabled", "Enabled", "Prepared", "Completed", "Completed with Failure"];

/// Whether this build knows what a status means.
pub(super) fn is_known(status: &str) -> bool {
    KNOWN.iter().any(|known| known.eq_ignore_ascii_case(status))
}

/// Says where a live job has a status that is not known; it is taken for armed, as is everything but `Disabled`.
///
/// Told only where the status is managed: a job whose status nobody declares is not judged by it.
pub(super) fn unknown(manifest: &Manifest, job: &LiveJob) -> Option<Diagnostic> {
    let status = job.normalised.text("status")?;
    if !manifest.spec.contains_key("status") || is_known(status) {
        return None;
    }
    let message =
        format!("the live job is `{}`, a status that this build does not know", status.escape_debug());
    let diagnostic = manifest.at_member(Diagnostic::warning("unknown-status", message), "/status");
    Some(diagnostic.help("it is taken for armed, or past: look at the job in the console"))
}

/// Who may arm jobs that run once: enabling such a job can not be taken back (REFERENCE 8).
#[derive(Clone, Debug, Default)]
pub struct RunOnce {
    /// Keys of the manifests that may.
    pub allowed: Vec<String>,
    /// Whether somebody is there who will be asked for each of the others.
    pub can_ask: bool,
}

impl RunOnce {
    /// Whether a manifest's job may be armed, or may be asked for.
    fn lets_through(&self, key: &str) -> bool {
        self.can_ask || self.allowed.iter().any(|allowed| allowed == key)
    }
}

/// The status step of a job that is made in the same run; `job` is what it will be.
pub(super) fn of_new_job(policy: &Policy, manifest: &Manifest, job: &Normalised, first: String) -> Change {
    let mut change = status_step(manifest, None, SettableStatus::Enabled, &Value::Null);
    change.after = vec![first];
    guarded(policy, manifest, job, None, change)
}

/// The status step of a live job; `content` is the step that changes its members, where there is one.
pub(super) fn of_live_job(
    policy: &Policy,
    manifest: &Manifest,
    id: &str,
    job: &LiveJob,
    desired: &Normalised,
    field: &FieldChange,
    content: Option<&Change>,
) -> Change {
    let status = if normalise::is_armed(field.after.as_str()) {
        SettableStatus::Enabled
    } else {
        SettableStatus::Disabled
    };
    let mut change = status_step(manifest, Some(id), status, &field.before);
    change.basis = Some(Basis {
        owner: policy.owner.clone(),
        declared: manifest.spec.clone(),
        live: job.normalised.clone(),
        desired: desired.clone(),
        stamp: stamp::expected(
            &policy.owner,
            &manifest.key,
            ignored::left_out(policy, manifest).as_declared(),
            desired,
        ),
        description: None,
        scripts_are_known: true,
    });
    // Arming waits for the content. Disarming comes after it, too, and does not wait: a job that is to be off must not
    // stay armed because something else about it can not be done, and some edits can be done only once it is off.
    if let Some(content) = content.filter(|_| status == SettableStatus::Enabled) {
        change.after = vec![content.waiting.as_deref().unwrap_or(content).step()];
        if content.action == Action::Blocked {
            return block(change, "waits for a change that is blocked".to_owned(), "see the step before");
        }
    }
    if status == SettableStatus::Enabled {
        return guarded(policy, manifest, desired, Some(job), change);
    }
    // Whatever is not surely recurring may be a job that was armed for good.
    if !normalise::is_recurring(job.normalised.schedule_type()) {
        let help = "a job that runs once can not be disabled once it was enabled; declare `status: Enabled`";
        return block(change, "the live job runs once and was enabled".to_owned(), help);
    }
    change
}

/// Turns the arming of a job that must not be armed, or not yet, into a step that says why not.
fn guarded(
    policy: &Policy,
    manifest: &Manifest,
    job: &Normalised,
    live: Option<&LiveJob>,
    mut change: Change,
) -> Change {
    let missing = rules::check_enabling(job.members());
    if !missing.is_empty() {
        let join =
            |words: fn(&rules::Violation) -> &str| missing.iter().map(words).collect::<Vec<_>>().join("; ");
        return block(change, join(|violation| &violation.message), &join(|violation| &violation.help));
    }
    let Some(door) = one_way_door(policy, job, live) else { return change };
    if policy.run_once.lets_through(&manifest.key) {
        change.is_one_way = true;
        return note(change, &door);
    }
    let help = format!(
        "if that is what you want, allow it by name: --allow-run-once {}; at a terminal, apply asks",
        manifest.key
    );
    block(change, door, &help)
}

/// What must be known before a job that runs once is enabled (REFERENCE 8); `None` for one that surely recurs.
fn one_way_door(policy: &Policy, job: &Normalised, live: Option<&LiveJob>) -> Option<String> {
    let assets = assets(live);
    let start = match job.schedule_type() {
        Some("On-demand") => format!("starts AT ONCE on {assets}"),
        Some("Once") => match start(job) {
            Some((at, words)) if at <= policy.now => {
                format!("its time, {words}, is past: starts AT ONCE on {assets}")
            }
            Some((_, words)) => format!("runs on {words} on {assets}"),
            None => format!("runs at its time, at once if that is past, on {assets}"),
        },
        other if normalise::is_recurring(other) => return None,
        _ => format!("its schedule type is not known, so it may start at once on {assets}"),
    };
    Some(format!("one-way door: {start}; it can not be disabled or edited afterwards"))
}

/// When a job starts, in milliseconds since 1970-01-01 UTC and in words; `None` where each machine's own zone counts, or
/// the zone is not known.
fn start(job: &Normalised) -> Option<(i64, String)> {
    let at: jiff::civil::DateTime = job.text("startDateTime")?.parse().ok()?;
    let zone = job.text("timezone").filter(|_| job.text("timezoneType") != Some("AGENT_TZ"))?;
    let instant = at.in_tz(zone).ok()?.timestamp().as_millisecond();
    Some((instant, format!("{} {zone}", at.strftime("%Y-%m-%d %H:%M"))))
}

/// How many assets the API counts for a job, in words.
///
/// Which of its counters is the one that counts is not documented (REFERENCE 5.2); the largest is told, because a job
/// that is larger than said would be the worse surprise.
fn assets(live: Option<&LiveJob>) -> String {
    let Some(job) = live else {
        return "as many assets as it targets (the API counts them once the job is there)".to_owned();
    };
    let counters = ["assetCount", "taggedAssetCount", "applicableAssetCount", "totalAssetCount"];
    let number = |value: &Value| value.as_u64().or_else(|| value.as_str()?.trim().parse().ok());
    match counters.iter().filter_map(|name| number(job.raw.get(name)?)).max() {
        None => "an unknown number of assets".to_owned(),
        Some(0) => "its targets (the API counts no assets yet)".to_owned(),
        Some(1) => "1 asset".to_owned(),
        Some(n) => format!("{n} assets"),
    }
}

/// A step of its own for the status, by the bulk call (DESIGN 6).
fn status_step(manifest: &Manifest, id: Option<&str>, status: SettableStatus, before: &Value) -> Change {
    let (action, reason) = match status {
        SettableStatus::Enabled => (Action::Enable, "the manifest arms the job"),
        SettableStatus::Disabled => (Action::Disable, "the manifest disarms the job"),
    };
    let status = status.as_str();
    let mut change = step(manifest, id, action, reason.to_owned());
    let field = FieldChange { pointer: "/status".to_owned(), before: before.clone(), after: status.into() };
    change.fields = vec![planned_field(manifest, field, Origin::Unknown)];
    change.request = Some(Request {
        method: "POST",
        path: format!("/pm/v1/deploymentjobs/update/status/{status}"),
        body: json!({"ids": [id.unwrap_or("{id}")]}),
    });
    change
}
