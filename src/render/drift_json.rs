//! A drift report as JSON for programs (DESIGN section 8).

use serde_json::{Map, Value, json};

use super::json::{FORMAT_VERSION, summary};
use super::when::rfc3339;
use crate::drift::{Difference, JobDrift, Kind, Report, Resolved, Unmanaged};
use crate::job::Platform;
use crate::plan::Plan;
use crate::snapshot::Edit;
use crate::source::Place;

/// What a report is told with, beside itself.
#[derive(Clone, Debug)]
pub struct Context {
    /// The calls that were made, by kind.
    pub api: Value,
    /// What time it is, in milliseconds since 1970-01-01 UTC.
    pub now: i64,
    /// When the oldest of the jobs that were not asked for was read; `None` where all were.
    pub oldest_read: Option<i64>,
    /// Whether live jobs that no manifest is about are listed, and not only counted.
    pub lists_unmanaged: bool,
}

/// A report; `plan` is what it was made of.
pub fn drift(report: &Report<'_>, plan: &Plan, context: Context) -> Value {
    let mut counts = summary(plan);
    if let Value::Object(members) = &mut counts {
        let n_new = report.n_new();
        let more = [
            ("drifted", report.drifted.len()),
            ("members", report.count(Kind::Member)),
            ("missing", report.count(Kind::Missing)),
            ("unclear", report.count(Kind::Unclear)),
            ("unverified", report.count(Kind::Unverified)),
            ("pending", report.pending.len()),
            ("new", n_new),
            ("ongoing", report.n_differences() - n_new),
            ("resolved", report.resolved.len()),
        ];
        members.extend(more.map(|(name, n)| (name.to_owned(), n.into())));
    }
    let unverified = report.drifted.iter().flat_map(|job| {
        let scripts = job.differences.iter().filter(|difference| difference.kind == Kind::Unverified);
        scripts.map(move |difference| unverified(job, difference))
    });
    let is_change = |job: &&JobDrift<'_>| job.differences.iter().any(|d| d.kind != Kind::Unverified);
    let age = context.oldest_read.map(|at| context.now.saturating_sub(at).max(0) / 1000);
    let listed = report.unmanaged.as_deref().filter(|_| context.lists_unmanaged);
    json!({
        "format_version": FORMAT_VERSION,
        "command": "drift",
        "checked_at": rfc3339(context.now),
        "summary": counts,
        "changes": report.drifted.iter().filter(is_change).map(change).collect::<Vec<_>>(),
        "unverified": unverified.collect::<Vec<_>>(),
        "pending": report.pending.iter().map(change).collect::<Vec<_>>(),
        "resolved": report.resolved.iter().map(resolved).collect::<Vec<_>>(),
        "unmanaged": report.unmanaged.as_ref().map(Vec::len),
        "unmanaged_jobs": listed.map(|jobs| jobs.iter().map(self::unmanaged).collect::<Vec<_>>()),
        "oldest_read_at": context.oldest_read.and_then(rfc3339),
        "oldest_age_seconds": age,
        "warnings": super::diagnostic::diagnostics_json(&plan.warnings),
        "api": context.api,
        "fingerprint": report.fingerprint(),
    })
}

/// All that differs about one job; scripts that can not be verified stand apart.
fn change(job: &JobDrift<'_>) -> Value {
    let (line, _) = job.place.line_column();
    let rest = || job.differences.iter().filter(|difference| difference.kind != Kind::Unverified);
    let words: Vec<&str> =
        rest().map(|difference| difference.words.as_str()).filter(|w| !w.is_empty()).collect();
    let n_members = rest().filter(|difference| difference.kind == Kind::Member).count();
    let reason = match (words.is_empty(), n_members) {
        (false, _) => words.join("; "),
        (true, 1) => "1 member differs".to_owned(),
        (true, n) => format!("{n} members differ"),
    };
    let mut object = json!({
        "key": job.key,
        "id": job.id,
        "name": job.name,
        "platform": job.platform.map(Platform::as_str),
        "action": job.action.as_str(),
        "kind": job.kind().as_str(),
        "reason": reason,
        "source": {"file": job.place.file.path, "line": line},
        "fields": rest().filter(|d| d.kind == Kind::Member).map(field).collect::<Vec<_>>(),
        "request": null,
        "after": [],
        "notes": job.notes,
    });
    if let Value::Object(members) = &mut object {
        blame(members, job);
        let state = if job.has_new() { "new" } else { "ongoing" };
        members.insert("state".to_owned(), state.into());
        members.insert("since".to_owned(), job.since().and_then(rfc3339).into());
    }
    object
}

fn field(difference: &Difference<'_>) -> Value {
    json!({
        "path": difference.path,
        "before": difference.is,
        "after": difference.declared,
        "was": difference.was,
        "origin": difference.origin.as_str(),
        "source": place(difference.place.as_ref()),
        "state": difference.state.as_str(),
        "since": difference.state.since().and_then(rfc3339),
    })
}

fn unverified(job: &JobDrift<'_>, difference: &Difference<'_>) -> Value {
    let mut object = json!({
        "key": job.key,
        "id": job.id,
        "name": job.name,
        "platform": job.platform.map(Platform::as_str),
        "path": difference.path,
        "declared": difference.declared,
        "message": difference.words,
        "source": place(difference.place.as_ref()),
        "state": difference.state.as_str(),
        "since": difference.state.since().and_then(rfc3339),
    });
    if let Value::Object(members) = &mut object {
        blame(members, job);
    }
    object
}

/// Who edited the job last, and when.
fn blame(members: &mut Map<String, Value>, job: &JobDrift<'_>) {
    let edit = job.edited.as_ref();
    members.insert("changed_by".to_owned(), edit.map_or(Value::Null, person));
    members.insert("changed_at".to_owned(), edit.and_then(|edit| edit.at).and_then(rfc3339).into());
    members.insert("changed_by_us".to_owned(), job.is_our_edit.into());
}

fn person(edit: &Edit) -> Value {
    match (&edit.user_id, &edit.user) {
        (None, None) => Value::Null,
        (id, name) => json!({"id": id, "name": name}),
    }
}

fn place(place: Option<&Place>) -> Value {
    place.map_or(Value::Null, |place| {
        let (line, column) = place.line_column();
        json!({"file": place.file.path, "line": line, "column": column})
    })
}

fn resolved(resolved: &Resolved) -> Value {
    json!({
        "key": resolved.key,
        "name": resolved.name,
        "path": resolved.path,
        "kind": resolved.kind.as_str(),
        "since": rfc3339(resolved.since),
    })
}

fn unmanaged(job: &Unmanaged) -> Value {
    json!({
        "id": job.id,
        "name": job.name,
        "platform": job.platform.map(Platform::as_str),
        "created_by": person(&job.created),
        "created_at": job.created.at.and_then(rfc3339),
        "changed_by": person(&job.edited),
        "changed_at": job.edited.at.and_then(rfc3339),
    })
}
