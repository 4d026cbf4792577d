//! A step with ids that the run itself has made in the place of its placeholders.

use std::collections::BTreeMap;

use serde_json::Value;

use super::links::is_link;
use super::{Action, Change};
use crate::links::{self, Unfilled};
use crate::normalise;
use crate::snapshot::LiveJob;
use crate::stamp::{self, Stamp};

/// Fills the placeholders of a step: in its request, in what it is based on, in its differences, and in the stamp,
/// whose digest is taken over the job as it will be.
///
/// `made` holds parents as they were read back in this run, by key. `None` for a step without placeholders.
///
/// # Errors
/// A placeholder without an id; then nothing must be sent.
pub fn filled(change: &Change, made: &BTreeMap<String, LiveJob>) -> Result<Option<Change>, Unfilled> {
    // Only the planner puts placeholders into what is declared; live texts of that form are left alone.
    let (Action::Create | Action::Update, Some(basis)) = (change.action, &change.basis) else {
        return Ok(None);
    };
    if links::placeholders(&basis.declared).is_empty() {
        return Ok(None);
    }
    let mut basis = basis.clone();
    links::fill_members(&mut basis.declared, made)?;
    let mut desired = basis.desired.members().clone();
    links::fill_members(&mut desired, made)?;
    basis.desired = normalise::from_canonical(desired);
    basis.stamp = Stamp { job: stamp::job_digest(&basis.desired), ..basis.stamp };
    if basis.description.is_some() {
        basis.description = Some(stamp::join(basis.desired.text("description"), &basis.stamp));
    }
    let mut change = change.clone();
    for field in change.fields.iter_mut().filter(|field| is_link(&field.path) && !field.after.is_null()) {
        field.after = basis.desired.at(&field.path).cloned().unwrap_or(Value::Null);
    }
    if let Some(request) = &mut change.request {
        links::fill(&mut request.body, made)?;
        if let Some(description) = &basis.description {
            request.body["description"] = description.as_str().into();
        }
    }
    change.basis = Some(basis);
    Ok(Some(change))
}
