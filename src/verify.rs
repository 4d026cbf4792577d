//! What a write must find before it, and what it must leave behind (DESIGN section 6).
//!
//! Pure: jobs in, differences out. Which calls are made is `apply`'s business.

use serde_json::Value;

use crate::diff::{self, FieldChange, top_level};
use crate::elements::{self, Match};
use crate::normalise::{self, Normalised};
use crate::overlay;
use crate::plan::{Basis, Change};
use crate::script;

/// Differences between a job as it was seen `before`, by the plan or just before a write, and what is there now, under the
/// members that the request carries.
///
/// A member that nobody is about to write may have moved: that is a note, not an obstacle.
pub fn moved(change: &Change, before: &Normalised, now: &Normalised) -> Vec<FieldChange> {
    let touched: Vec<&str> = change.fields.iter().map(|field| top_level(&field.path)).collect();
    diff::diff(before, now)
        .into_iter()
        .filter(|field| {
            let name = top_level(&field.pointer);
            // The description carries the stamp, so its text is written back with every change; the others decide
            // whether the job may be edited at all and what its members mean.
            let decides = ["name", "description", "type", "platform", "scheduleType", "status"];
            touched.contains(&name) || decides.contains(&name)
        })
        .collect()
}

/// What a read after a write shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Settled {
    /// Declared members that do not hold: `before` is what is there, `after` what was sent.
    pub not_converged: Vec<FieldChange>,
    /// Settable members that moved though nobody declared them: `before` is what was, `after` what is there.
    pub collateral: Vec<FieldChange>,
}

/// Compares the job as read after a write with the job that was wanted; `before` is the job as read just before it.
pub fn settled(basis: &Basis, before: &Normalised, now: &Normalised) -> Settled {
    let not_converged = not_converged(basis, now);
    let collateral = diff::diff(&expected(basis, before, now), now)
        .into_iter()
        .filter(|field| !is_expected(field, now.schedule_type()))
        .filter(|field| !not_converged.iter().any(|other| overlaps(&other.pointer, &field.pointer)))
        .collect();
    Settled { not_converged, collateral }
}

/// Declared members that a job does not have as declared, without its status: `before` is what is there, `after` what
/// was sent.
pub fn not_converged(basis: &Basis, now: &Normalised) -> Vec<FieldChange> {
    // The content of a script can not be read back: that the server stored one is all that can be seen.
    let wanted = overlay::overlay(&basis.declared, now, true).desired;
    diff::diff(now, &wanted).into_iter().filter(|field| field.pointer != "/status").collect()
}

/// The status of a job as a member that does not hold, unless it is the one wanted.
pub fn status_is_not(now: &Normalised, wanted: &str) -> Vec<FieldChange> {
    let before = now.members().get("status").cloned().unwrap_or(Value::Null);
    if before.as_str().is_some_and(|status| status.eq_ignore_ascii_case(wanted)) {
        return Vec::new();
    }
    vec![FieldChange { pointer: "/status".to_owned(), before, after: wanted.into() }]
}

/// What moved since the plan, other than the status: before a job is armed or removed it must be what the plan showed.
pub fn moved_at_all(expected: &Normalised, now: &Normalised) -> Vec<FieldChange> {
    diff::diff(expected, now).into_iter().filter(|field| field.pointer != "/status").collect()
}

/// The job that a write which does what it says leaves behind.
///
/// A member that the plan does not touch is expected as it was just before the write: it may have moved since the
/// plan, and that was not the write's doing. New actions are expected under the ids that the server made for them.
fn expected(basis: &Basis, before: &Normalised, now: &Normalised) -> Normalised {
    let mut members = basis.desired.members().clone();
    let names: Vec<&String> = basis.live.members().keys().chain(before.members().keys()).collect();
    for name in names {
        if basis.desired.members().get(name) != basis.live.members().get(name) {
            continue;
        }
        match before.members().get(name) {
            Some(value) => members.insert(name.clone(), value.clone()),
            None => members.shift_remove(name),
        };
    }
    for (name, value) in &mut members {
        let (Some(items), Some(made)) =
            (value.as_array_mut(), now.members().get(name).and_then(Value::as_array))
        else {
            continue;
        };
        let matches = elements::match_elements(items, made);
        let mut taken = Vec::new();
        for (item, found) in items.iter_mut().zip(matches) {
            let at = match found {
                Match::Live(at) => Some(at),
                // New actions of one name stand in the order in which they were sent.
                Match::Ambiguous(candidates) => candidates.into_iter().find(|at| !taken.contains(at)),
                Match::New => None,
            };
            taken.extend(at);
            let id = at.and_then(|at| made[at].get("actionId"));
            if let (Some(item), Some(id)) = (item.as_object_mut(), id)
                && !item.contains_key("actionId")
            {
                item.insert("actionId".to_owned(), id.clone());
            }
        }
    }
    normalise::from_canonical(members)
}

/// Whether a difference between the expected and the real job is what every write brings; the schedule type is that
/// of the real job.
fn is_expected(field: &FieldChange, schedule_type: Option<&str>) -> bool {
    let script_was_stored =
        script::declared_digest(&field.before).is_some() && script::stored_path(&field.after).is_some();
    let status_is_its_own = field.pointer == "/status";
    // The server gives an On-demand job without a zone one of its own (REFERENCE 5.5).
    let zone_was_filled_in = schedule_type == Some("On-demand")
        && field.before.is_null()
        && matches!(field.pointer.as_str(), "/timezone" | "/timezoneType");
    // Our stamp makes a text of whatever stood there.
    let became_text = field.pointer == "/description"
        && !field.before.is_null()
        && !field.before.is_string()
        && (field.after.is_null() || field.after.is_string());
    script_was_stored || status_is_its_own || zone_was_filled_in || became_text
}

/// Whether one pointer is the other or leads into it.
fn overlaps(a: &str, b: &str) -> bool {
    let inside = |outer: &str, inner: &str| {
        inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    inside(a, b) || inside(b, a)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[track_caller]
    fn check(schedule_type: &str, pointer: &str, before: Value, after: Value, expected: bool) {
        let field = FieldChange { pointer: pointer.to_owned(), before, after };
        assert_eq!(is_expected(&field, Some(schedule_type)), expected, "{schedule_type} {field:?}");
    }

    #[test]
    fn the_zone_that_the_server_fills_in_is_expected_of_on_demand_jobs_only() {
        check("On-demand", "/timezone", Value::Null, json!("UTC"), true);
        check("On-demand", "/timezoneType", Value::Null, json!("SPECIFIC_TZ"), true);
        check("On-demand", "/timezone", json!("Europe/Berlin"), json!("UTC"), false);
        check("On-demand", "/timeout", Value::Null, json!(4), false);
        check("Weekly", "/timezone", Value::Null, json!("UTC"), false);
    }

    #[test]
    fn a_description_that_was_no_text_becomes_one() {
        check("Weekly", "/description", json!(5), json!(""), true);
        check("Weekly", "/description", json!({"a": 1}), Value::Null, true);
        check("Weekly", "/description", json!("Mine"), json!(""), false);
        check("Weekly", "/description", Value::Null, json!("Yours"), false);
        check("Weekly", "/description", json!(5), json!(6), false);
    }

    #[test]
    fn a_script_that_was_stored_and_a_status_are_expected() {
        let digest = json!({"sha256": "0".repeat(64), "bytes": 1});
        check("Weekly", "/preDeployActions/0/script", digest.clone(), json!({"stored": "a/b"}), true);
        check("Weekly", "/preDeployActions/0/script", digest, Value::Null, false);
        check("Weekly", "/status", json!("Enabled"), json!("Completed"), true);
    }
}
