//! What rules leave alone in one manifest, and where that hides a difference.
//!
//! What a rule is about is taken out of what is declared before anything else is worked out, so that comparing,
//! sending, judging, verifying and the stamp all see a member that nobody declares.

use std::borrow::Cow;

use jiff::civil::Date;
use serde_json::{Map, Value};

use super::Policy;
use crate::diff::{self, FieldChange};
use crate::ignore::{self, InForce, Rules};
use crate::job::{canonical, find_pointer};
use crate::manifest::Manifest;
use crate::overlay;
use crate::snapshot::LiveJob;
use crate::source::Place;

/// One member of one job that a rule leaves alone, where declared and live differ.
#[derive(Clone, Debug, PartialEq)]
pub struct Ignored {
    /// The manifest's key.
    pub key: String,
    /// The live job's id.
    pub id: String,
    /// The name that people know the job by.
    pub name: String,
    /// JSON Pointer of the member, as the rule names it.
    pub path: String,
    /// Where the rule stands.
    pub rule: Place,
    /// Why, where the rule says it.
    pub reason: Option<String>,
    /// The last day on which the rule holds, in UTC.
    pub until: Option<Date>,
    /// What the manifest declares, in canonical form; `null` for none.
    pub declared: Value,
    /// What the live job has, in canonical form; `null` for none.
    pub live: Value,
    /// Where the member is declared.
    pub place: Option<Place>,
}

/// The rules that hold for a manifest: its own first, then those of the configuration.
pub fn in_force(policy: &Policy, manifest: &Manifest) -> Vec<InForce> {
    let own = manifest.ignore.iter().map(|(member, span)| InForce {
        member: member.clone(),
        place: manifest.place_of(*span),
        reason: None,
        until: None,
    });
    own.chain(policy.ignore.of_key(&manifest.key)).collect()
}

/// A manifest without what rules leave alone; the same one where there are none, or it was done already.
pub(super) fn left_out<'m>(policy: &Policy, manifest: &'m Manifest) -> Cow<'m, Manifest> {
    managed(&policy.ignore, manifest)
}

/// The same by the manifest's own rules and these of the configuration.
pub fn managed<'m>(configured: &Rules, manifest: &'m Manifest) -> Cow<'m, Manifest> {
    if manifest.has_left_out() {
        return Cow::Borrowed(manifest);
    }
    let own = manifest.ignore.iter().map(|(member, _)| member.clone());
    let members = own.chain(configured.of_key(&manifest.key).map(|rule| rule.member));
    leaving_out(manifest, members)
}

/// A manifest, as it stood at another time, without what the rules of the manifest of now leave alone besides.
pub(super) fn leaving_out_as<'m>(then: &'m Manifest, now: &Manifest) -> Cow<'m, Manifest> {
    leaving_out(then, now.ignore.iter().map(|(member, _)| member.clone()))
}

fn leaving_out(manifest: &Manifest, members: impl Iterator<Item = String>) -> Cow<'_, Manifest> {
    let members: Vec<String> = members.filter(|member| ignore::is_declared(&manifest.spec, member)).collect();
    let members: Vec<&str> = members.iter().map(String::as_str).collect();
    if members.is_empty() { Cow::Borrowed(manifest) } else { Cow::Owned(manifest.leaving_out(&members)) }
}

/// Takes out of differences what only follows from a block around it that comes or goes: a member that is left alone and
/// says nothing comes and goes with the block, and that is no change of it.
pub(super) fn pass_over(policy: &Policy, manifest: &Manifest, fields: &mut Vec<FieldChange>) {
    if fields.is_empty() {
        return;
    }
    let rules = in_force(policy, manifest);
    let says_nothing = |pointer: &str, value: &Value| {
        value.is_null() || find_pointer(pointer).is_some_and(|row| *value == canonical::unset(row))
    };
    fields.retain(|FieldChange { pointer, before, after }| {
        let is_change = !says_nothing(pointer, before) || !says_nothing(pointer, after);
        is_change || !rules.iter().any(|rule| is_inside(&rule.member, pointer))
    });
}

/// Whether a pointer is the other or leads into it.
fn is_inside(outer: &str, inner: &str) -> bool {
    inner.strip_prefix(outer).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

/// Where a rule hides that declared and live differ.
pub(super) fn differing(policy: &Policy, manifest: &Manifest, id: &str, job: &LiveJob) -> Vec<Ignored> {
    if !manifest.has_left_out() {
        return Vec::new();
    }
    let declared = manifest.as_written();
    let desired = overlay::overlay(declared, &job.normalised, true).desired;
    let differences = diff::diff(&job.normalised, &desired);
    let mut ignored: Vec<Ignored> = Vec::new();
    for rule in in_force(policy, manifest) {
        let is_new = ignored.iter().all(|known| !is_inside(&known.path, &rule.member));
        if is_new && differences.iter().any(|field| is_inside(&rule.member, &field.pointer)) {
            ignored.push(Ignored {
                key: manifest.key.clone(),
                id: id.to_owned(),
                name: job.normalised.text("name").or(manifest.name()).unwrap_or_default().to_owned(),
                declared: value_at(declared, &rule.member),
                live: value_at(job.normalised.members(), &rule.member),
                place: manifest.declared_at(&rule.member).map(|(key, _)| key),
                path: rule.member,
                rule: rule.place,
                reason: rule.reason,
                until: rule.until,
            });
        }
    }
    ignored
}

fn value_at(members: &Map<String, Value>, pointer: &str) -> Value {
    crate::normalise::at(members, pointer).cloned().unwrap_or(Value::Null)
}
